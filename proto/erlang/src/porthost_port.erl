%% SPDX-License-Identifier: Apache-2.0
%% @private
%% @doc The port process: the pid that stands for a hosted port, one for each.
%%
%% It holds the port's links and its registered name, takes the messages and exit signals that
%% are sent to the port, and those who wait for a busy port. Output, control and call pass it by.
%%
%% It must never wait for the host nor for the connection process, which waits for it (see
%% porthost_conn): what it has to send goes to the connection's writer. Only `open' is written
%% from here if it can be at once, for until then the host has nothing to say about the port. The
%% connection may end before there is an answer, and may have told all ports so before this one was
%% among them: the end of the writer, which comes last, tells it. So it tells those made for drivers.
%%
%% What a process sends it as messages must not be overtaken by what the same process then writes to
%% the connection itself. So whoever is about to write looks whether there is anything on the way:
%% in the mailbox or the hands of this process, or between it and the connection, which is what the
%% counter `unwritten' of the port counts. If there is, it asks the process and waits for its turn.
%%
%% It is a bare process, not a proc_lib one: its exit reasons are the port's, and no crash. It belongs
%% to no application: a port must not fall because that of whoever opened it, or the first, is stopped.
-module(porthost_port).

-export([open/3, grant/2, wait_idle/1, in_turn/1]).
-export([init/4, init_granted/3]).

-include("porthost.hrl").

-define(GRANTS, 4).

-record(st, {host :: #host{},
             id :: non_neg_integer(),
             unwritten :: atomics:atomics_ref(),
             opening = {} :: {} | {Request :: reference(), Opener :: reference()},
             ending = false :: boolean(),       % the host has been told to end the port
             %% Messages that came while the port was busy, newest first, and whose they are.
             held = [] :: [erlang:iovec()],
             holding = #{} :: #{pid() => []},
             %% Processes waiting for the port not to be busy: their monitors and tags.
             waiters = #{} :: #{reference() => reference()},
             %% Links that broke with reason normal, until the host says who owns the port.
             broken = #{} :: #{reference() => pid()}}).

%% Called by anyone.

%% @doc Open a port for the calling process.
-spec open(#host{}, term(), list()) -> {ok, pid()} | porthost_wire:failure().
open(#host{counters = Counters} = Host, Command, Options) ->
    Id = atomics:add_get(Counters, ?LAST_ID, 1),
    Pid = spawn(?MODULE, init, [Host, Id, counter(), self()]),
    Tag = erlang:monitor(process, Pid, [{alias, reply_demonitor}]),
    Pid ! {?MSG, open, Tag, Command, Options},
    receive
        {Tag, Result} -> Result;
        {'DOWN', Tag, process, _, _} -> down
    end.

%% @doc Make port processes for ports that drivers create, and the frame that tells the host.
-spec grant(#host{}, pos_integer()) -> erlang:iovec().
grant(#host{via = Via, counters = Counters, slots = Slots} = Host, N) ->
    Grant = fun(_) ->
        Id = atomics:add_get(Counters, ?LAST_ID, 1),
        Unwritten = counter(),
        Pid = spawn(?MODULE, init_granted, [Host, Id, Unwritten]),
        ets:insert(Slots, #slot{id = Id, pid = Pid, unwritten = Unwritten, state = granted}),
        {Id, Pid}
    end,
    porthost_wire:encode(Via, {grant, lists:map(Grant, lists:seq(1, N))}).

counter() ->
    atomics:new(1, []).

%% @doc Wait until the port is not busy.
-spec wait_idle(#port{}) -> ok | down.
wait_idle(#port{state = closing}) ->
    down;
wait_idle(#port{busy = false}) ->
    ok;
wait_idle(#port{pid = Pid, busy = true} = Port) ->
    case ask(Port, wait) of
        ok ->
            case porthost_registry:lookup(Pid) of
                #port{} = Now -> wait_idle(Now);
                none -> down
            end;
        down ->
            down
    end.

%% @doc Wait until what this process has sent to the port as messages has been written, or is held
%% because the port is busy.
%%
%% A port that is closing has no more messages to take.
%%
%% The state is looked at before the counter: what has left the mailbox has been counted when the
%% process is in its receive again.
-spec in_turn(#port{}) -> ok | closing | down.
in_turn(#port{state = closing}) ->
    closing;
in_turn(#port{pid = Pid, unwritten = Unwritten} = Port) ->
    case process_info(Pid, [message_queue_len, status]) of
        [{message_queue_len, 0}, {status, waiting}] ->
            case atomics:get(Unwritten, 1) of
                0 -> ok;
                _ -> flush(Port)
            end;
        _ ->
            flush(Port)
    end.

flush(#port{pid = Pid} = Port) ->
    case ask(Port, flush) of
        ok -> ok;
        down ->
            case porthost_registry:lookup(Pid) of
                #port{state = closing} -> closing;
                _ -> down
            end
    end.

ask(#port{pid = Pid}, What) ->
    Tag = erlang:monitor(process, Pid, [{alias, reply_demonitor}]),
    Pid ! {?MSG, What, Tag, self()},
    receive
        {Tag, done} -> ok;
        {'DOWN', Tag, process, _, _} -> down
    end.

%% The process.

-spec init(#host{}, non_neg_integer(), atomics:atomics_ref(), pid()) -> no_return().
init(Host, Id, Unwritten, Opener) ->
    join(Host),
    Monitor = monitor(process, Opener),
    receive
        {?MSG, open, Tag, Command, Options} ->
            demonitor(Monitor, [flush]),
            St = #st{host = Host, id = Id, unwritten = Unwritten},
            init_open(St, Opener, Tag, Command, Options);
        {'DOWN', Monitor, process, _, _} ->
            exit(normal)
    end.

join(#host{conn = Conn}) ->
    group_leader(whereis(init), self()),
    process_flag(trap_exit, true),
    link(Conn).

init_open(#st{host = Host, id = Id, unwritten = Unwritten} = St0, Opener, Tag, Command, Options) ->
    #host{via = Via, slots = Slots} = Host,
    try ets:insert(Slots, #slot{id = Id, pid = self(), unwritten = Unwritten, state = open})
    catch error:badarg -> exit(normal)  % the connection is gone
    end,
    ets:insert(?TABLE, #port{pid = self(), via = Via, id = Id, unwritten = Unwritten}),
    Request = erlang:monitor(process, writer(St0), [{alias, reply_demonitor}]),
    St = St0#st{opening = {Request, Tag}},
    first_grant(Host),
    case porthost_wire:frame(Via, {open, Request, Id, self(), Opener, Command, Options}) of
        {error, _} = Error -> open_failed(St, Error);
        Frame -> porthost_wire:leave(Via, Frame), loop(St)
    end.

first_grant(#host{counters = Counters, via = Via} = Host) ->
    case atomics:compare_exchange(Counters, ?GRANTED, 0, 1) of
        ok ->
            try grant(Host, ?GRANTS) of Frame -> porthost_wire:leave(Via, Frame)
            catch error:badarg -> ok    % the connection is gone
            end;
        _ ->
            ok
    end.

-spec init_granted(#host{}, non_neg_integer(), atomics:atomics_ref()) -> no_return().
init_granted(Host, Id, Unwritten) ->
    join(Host),
    St = #st{host = Host, id = Id, unwritten = Unwritten},
    _ = monitor(process, writer(St)),
    loop(St).

loop(#st{host = #host{conn = Conn, via = #via{writer = Writer}}} = St) ->
    receive
        {?MSG, Conn, Ref, Event} ->
            event(Event),
            Conn ! {Ref, done},
            loop(St);
        {?MSG, exit, Reason} ->
            exit(Reason);
        {?MSG, idle} ->
            loop(idle(St));
        {?MSG, wait, Tag, Pid} ->
            loop(wait(St, Tag, Pid));
        {?MSG, flush, Tag, _} ->
            loop(flush(St, Tag));
        {Ref, Kind, Value} when is_reference(Ref), Kind =:= ok orelse Kind =:= error ->
            loop(reply(St, Ref, Kind, Value));
        {'EXIT', Conn, Reason} ->
            connection_down(St, Reason);
        {'EXIT', From, Reason} when is_pid(From); is_port(From) ->
            loop(exit_signal(St, From, Reason));
        {'DOWN', _, process, Writer, _} ->
            too_late(St);
        {'DOWN', Monitor, process, _, _} when is_map_key(Monitor, St#st.waiters) ->
            loop(St#st{waiters = maps:remove(Monitor, St#st.waiters)});
        Message ->
            loop(message(St, Message))
    end.

%% The connection process waits until these have happened.
event({link, Pid}) -> link(Pid);
event({unlink, Pid}) -> unlink(Pid);
event({signal, To, Reason}) -> exit(To, Reason).

connection_down(#st{host = #host{slots = Slots}, id = Id}, Reason) ->
    ets:delete(?TABLE, self()),
    catch ets:delete(Slots, Id),
    case Reason of
        {host_down, _} -> exit({porthost, Reason});
        _ -> exit({porthost, {host_down, Reason}})
    end.

%% All ports have been told why before, but for one that came to the connection afterwards.
-spec too_late(#st{}) -> no_return().
too_late(#st{opening = {}} = St) -> connection_down(St, {host_down, closed});
too_late(St) -> open_failed(St, down).

%% Replies to the requests of this process: open, and who owns the port.
reply(#st{opening = {Request, Tag}} = St, Request, ok, #{soft_busy := SoftBusy}) ->
    ets:update_element(?TABLE, self(), {#port.soft_busy, SoftBusy}),
    Tag ! {Tag, {ok, self()}},
    St#st{opening = {}};
reply(#st{opening = {Request, _}} = St, Request, error, Reason) ->
    open_failed(St, {error, Reason});
reply(#st{broken = Broken} = St, Ref, Kind, Value) when is_map_key(Ref, Broken) ->
    {From, Broken1} = maps:take(Ref, Broken),
    case {Kind, Value} of
        {ok, From} -> send_exit(St#st{broken = Broken1}, writer(St), From, normal);
        _ -> St#st{broken = Broken1}
    end;
reply(St, Ref, Kind, Value) ->
    message(St, {Ref, Kind, Value}).

-spec open_failed(#st{}, porthost_wire:failure()) -> no_return().
open_failed(#st{host = #host{slots = Slots}, id = Id, opening = {_, Tag}}, Failure) ->
    ets:delete(?TABLE, self()),
    catch ets:delete(Slots, Id),        % it goes with the connection
    Tag ! {Tag, Failure},
    exit(normal).

%% A broken link and exit/2 look the same. With reason normal they differ in effect: exit/2 ends
%% the port, a broken link only if it was the owner's. Who is alive has not broken a link. If From
%% is dead, its 'DOWN' is in the mailbox of the connection process, and the host must hear of that
%% first: so the connection process hands on that the port ends.
exit_signal(St, From, Reason) ->
    Sent = porthost_wire:reason(via(St), Reason),
    case is_pid(From) andalso node(From) =:= node() andalso is_process_alive(From) of
        true -> send_exit(St, writer(St), From, Sent);
        false when Sent =:= normal -> ask_owner(St, From);
        false -> send_exit(St, St#st.host#host.conn, From, Sent)
    end.

ask_owner(#st{broken = Broken} = St, From) ->
    Request = erlang:alias([reply]),
    writer(St) ! {frame, porthost_wire:encode(via(St), {info, Request, St#st.id, connected})},
    St#st{broken = Broken#{Request => From}}.

%% From is a port, if the port was linked to one.
send_exit(#st{id = Id} = St, To, From, Reason) ->
    Pid = if is_pid(From) -> From; true -> self() end,
    atomics:add(St#st.unwritten, 1, 1),
    to_host(St, To, porthost_wire:encode(via(St), {exit, Id, Pid, Reason})),
    St#st{ending = true}.

%% What `Port ! Message' is. The true sender cannot be seen; the pid in the message must do.
message(#st{ending = true} = St, _) ->
    St;
message(#st{id = Id} = St, Message) ->
    {Class, Sent} = porthost_wire:message(self(), Message),
    Sender = case Sent of {Pid, _} -> Pid; badsig -> self() end,
    Frame = porthost_wire:encode(via(St), {send, Id, Sender, Sent}),
    atomics:add(St#st.unwritten, 1, 1),
    case is_map_key(Sender, St#st.holding) orelse (Class =:= command andalso busy()) of
        true -> hold(St, Sender, Frame);
        false -> to_host(St, writer(St), Frame), St
    end.

%% A real port suspends who sends it a command while it is busy, so no message that the same
%% process sends later may overtake it. Whatever that process asks for by function does not wait:
%% it may be another than the one that the message names, and be needed to make the port idle.
hold(#st{held = Held, holding = Holding} = St, Sender, Frame) ->
    St#st{held = [Frame | Held], holding = Holding#{Sender => []}}.

flush(St, Tag) ->
    St1 = idle(St),     % somebody may know that the port is idle before this process does
    writer(St1) ! {flush, Tag},
    St1.

wait(#st{waiters = Waiters} = St, Tag, Pid) ->
    case busy() of
        true -> St#st{waiters = Waiters#{monitor(process, Pid) => Tag}};
        false -> Tag ! {Tag, done}, St
    end.

%% The host says that the port is not busy any more; by now it may be again.
idle(#st{held = [], waiters = Waiters} = St) when map_size(Waiters) =:= 0 ->
    St;
idle(#st{held = Held, waiters = Waiters} = St) ->
    case busy() of
        true -> St;
        false ->
            [to_host(St, writer(St), Frame) || Frame <- lists:reverse(Held)],
            [begin demonitor(Monitor, [flush]), Tag ! {Tag, done} end
             || {Monitor, Tag} <- maps:to_list(Waiters)],
            St#st{held = [], holding = #{}, waiters = #{}}
    end.

%% Without a row the port is about to end.
busy() ->
    case porthost_registry:lookup(self()) of
        #port{busy = Busy} -> Busy;
        none -> false
    end.

%% The frame has been counted as unwritten; the writer takes it off.
to_host(#st{unwritten = Unwritten}, To, Frame) ->
    To ! {message, Frame, Unwritten},
    ok.

writer(#st{host = #host{via = #via{writer = Writer}}}) -> Writer.
via(#st{host = #host{via = Via}}) -> Via.
