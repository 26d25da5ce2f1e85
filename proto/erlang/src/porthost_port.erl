%% SPDX-License-Identifier: Apache-2.0
%% @private
%% @doc The port process: the pid that stands for a hosted port, one for each.
%%
%% It holds the port's links and its registered name, takes the messages and exit signals that
%% are sent to the port, and those who wait for a busy port. Output, control and call pass it by.
%%
%% It must never wait for the host nor for the connection process, which waits for it (see
%% porthost_conn): what it has to send goes to the connection's writer. Only `open' is written
%% from here, for until then the host has nothing to say about the port.
%%
%% It is a bare process, not a proc_lib one: its exit reasons are the port's, and no crash.
-module(porthost_port).

-export([open/3, grant/2, wait_idle/1, flush/1]).
-export([init/3, init_granted/2]).

-include("porthost.hrl").

-define(GRANTS, 4).

-record(st, {host :: #host{},
             id :: non_neg_integer(),
             opening = none :: none | {Request :: reference(), Opener :: reference()},
             %% Messages that came while the port was busy, newest first, and whose they are.
             held = [] :: [{frame, iodata()} | {flush, reference()}],
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
    Pid = spawn(?MODULE, init, [Host, Id, self()]),
    Tag = erlang:monitor(process, Pid, [{alias, reply_demonitor}]),
    Pid ! {?MSG, open, Tag, Command, Options},
    receive
        {Tag, Result} -> Result;
        {'DOWN', Tag, process, _, _} -> down
    end.

%% @doc Make port processes for ports that drivers create, and the frame that tells the host.
-spec grant(#host{}, pos_integer()) -> iodata().
grant(#host{counters = Counters, slots = Slots} = Host, N) ->
    Grant = fun(_) ->
        Id = atomics:add_get(Counters, ?LAST_ID, 1),
        Pid = spawn(?MODULE, init_granted, [Host, Id]),
        ets:insert(Slots, #slot{id = Id, pid = Pid, state = granted}),
        {Id, Pid}
    end,
    porthost_wire:encode({grant, lists:map(Grant, lists:seq(1, N))}).

%% @doc Wait until the port is not busy.
-spec wait_idle(#port{}) -> ok | down.
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

%% @doc Wait until what this process has sent to the port as messages is on its way to the host.
-spec flush(#port{}) -> ok | down.
flush(Port) ->
    ask(Port, flush).

ask(#port{pid = Pid}, What) ->
    Tag = erlang:monitor(process, Pid, [{alias, reply_demonitor}]),
    Pid ! {?MSG, What, Tag, self()},
    receive
        {Tag, done} -> ok;
        {'DOWN', Tag, process, _, _} -> down
    end.

%% The process.

-spec init(#host{}, non_neg_integer(), pid()) -> no_return().
init(#host{conn = Conn} = Host, Id, Opener) ->
    process_flag(trap_exit, true),
    link(Conn),
    Monitor = monitor(process, Opener),
    receive
        {?MSG, open, Tag, Command, Options} ->
            demonitor(Monitor, [flush]),
            init_open(Host, Id, Opener, Tag, Command, Options);
        {'DOWN', Monitor, process, _, _} ->
            exit(normal)
    end.

init_open(#host{via = Via, slots = Slots} = Host, Id, Opener, Tag, Command, Options) ->
    try ets:insert(Slots, #slot{id = Id, pid = self(), state = open})
    catch error:badarg -> exit(normal)  % the connection is gone
    end,
    ets:insert(?TABLE, #port{pid = self(), via = Via, id = Id}),
    Request = erlang:alias([reply]),
    St = #st{host = Host, id = Id, opening = {Request, Tag}},
    first_grant(Host),
    case porthost_wire:post(Via, {open, Request, Id, self(), Opener, Command, Options}) of
        ok -> loop(St);
        Failure -> open_failed(St, Failure)
    end.

first_grant(#host{counters = Counters, via = Via} = Host) ->
    case atomics:compare_exchange(Counters, ?GRANTED, 0, 1) of
        ok -> porthost_wire:write(Via, grant(Host, ?GRANTS));
        _ -> true
    end.

-spec init_granted(#host{}, non_neg_integer()) -> no_return().
init_granted(#host{conn = Conn} = Host, Id) ->
    process_flag(trap_exit, true),
    link(Conn),
    loop(#st{host = Host, id = Id}).

loop(#st{host = #host{conn = Conn}} = St) ->
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
        {?MSG, flush, Tag, Pid} ->
            loop(forward(St, Pid, {flush, Tag}));
        {Ref, Kind, Value} when is_reference(Ref), Kind =:= ok orelse Kind =:= error ->
            loop(reply(St, Ref, Kind, Value));
        {'EXIT', Conn, Reason} ->
            connection_down(St, Reason);
        {'EXIT', From, Reason} ->
            loop(exit_signal(St, From, Reason));
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

%% Replies to the requests of this process: open, and who owns the port.
reply(#st{opening = {Request, Tag}} = St, Request, ok, #{soft_busy := SoftBusy}) ->
    ets:update_element(?TABLE, self(), {#port.soft_busy, SoftBusy}),
    Tag ! {Tag, {ok, self()}},
    St#st{opening = none};
reply(#st{opening = {Request, _}} = St, Request, error, Reason) ->
    open_failed(St, {error, Reason});
reply(#st{broken = Broken} = St, Ref, Kind, Value) when is_map_key(Ref, Broken) ->
    {From, Broken1} = maps:take(Ref, Broken),
    case {Kind, Value} of
        {ok, From} -> send_exit(St, From, normal);
        _ -> ok
    end,
    St#st{broken = Broken1};
reply(St, Ref, Kind, Value) ->
    message(St, {Ref, Kind, Value}).

-spec open_failed(#st{}, porthost_wire:failure()) -> no_return().
open_failed(#st{host = #host{slots = Slots}, id = Id, opening = {_, Tag}}, Failure) ->
    ets:delete(?TABLE, self()),
    catch ets:delete(Slots, Id),        % it goes with the connection
    Tag ! {Tag, Failure},
    exit(normal).

%% A broken link and exit/2 look the same. With reason normal they differ in effect: exit/2 ends
%% the port, a broken link only if it was the owner's. Who is alive has not broken a link.
exit_signal(St, From, normal) ->
    case is_pid(From) andalso node(From) =:= node() andalso is_process_alive(From) of
        true -> send_exit(St, From, normal), St;
        false -> ask_owner(St, From)
    end;
exit_signal(St, From, Reason) ->
    send_exit(St, From, porthost_wire:reason(via(St), Reason)),
    St.

ask_owner(#st{broken = Broken} = St, From) ->
    Request = erlang:alias([reply]),
    to_writer(St, {frame, porthost_wire:encode({info, Request, St#st.id, connected})}),
    St#st{broken = Broken#{Request => From}}.

%% From is a port, if the port was linked to one.
send_exit(#st{id = Id} = St, From, Reason) ->
    Pid = if is_pid(From) -> From; true -> self() end,
    to_writer(St, {frame, porthost_wire:encode({exit, Id, Pid, Reason})}).

%% What `Port ! Message' is. The true sender cannot be seen; the pid in the message must do.
message(#st{id = Id} = St, Message) ->
    {Class, Sent} = porthost_wire:message(Message),
    Sender = case Sent of {Pid, _} -> Pid; badsig -> self() end,
    Frame = {frame, porthost_wire:encode({send, Id, Sender, Sent})},
    case Class =:= command andalso busy() of
        true -> hold(St, Sender, Frame);
        false -> forward(St, Sender, Frame)
    end.

%% A real port suspends who sends it a command while it is busy, so nothing that the same process
%% sends later may overtake it.
forward(#st{holding = Holding} = St, Sender, Item) when is_map_key(Sender, Holding) ->
    hold(St, Sender, Item);
forward(St, _, Item) ->
    to_writer(St, Item),
    St.

hold(#st{held = Held, holding = Holding} = St, Sender, Item) ->
    St#st{held = [Item | Held], holding = Holding#{Sender => []}}.

wait(#st{waiters = Waiters} = St, Tag, Pid) ->
    case busy() of
        true -> St#st{waiters = Waiters#{monitor(process, Pid) => Tag}};
        false -> Tag ! {Tag, done}, St
    end.

%% The host says that the port is not busy any more; by now it may be again.
idle(#st{held = Held, waiters = Waiters} = St) ->
    case busy() of
        true -> St;
        false ->
            [to_writer(St, Item) || Item <- lists:reverse(Held)],
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

to_writer(#st{host = #host{writer = Writer}}, Item) ->
    Writer ! Item,
    ok.

via(#st{host = #host{via = Via}}) -> Via.
