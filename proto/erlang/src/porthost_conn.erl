%% SPDX-License-Identifier: Apache-2.0
%% @private
%% @doc The connection process of a host: it reads what the host sends, and hands it on.
%%
%% Replies go to the tag of the request, messages of drivers to the process they are for. What
%% changes a port's links or ends it goes to the port process, and the next frame is looked at
%% only when that has happened: so everybody sees exit signals, messages and replies in the order
%% in which the host sent them. For a port's end that order rests on this: a process that exits
%% sends exit signals to its links first, then 'DOWN' to its monitors, the oldest first; the
%% monitor made here is the youngest.
%%
%% The process does not write, except to say hello: the host may have stopped reading until it is
%% read from. Its writer process does, and the callers do.
%%
%% It is a special process as sys(3erl) has it, written by hand, for every frame passes it.
-module(porthost_conn).

-export([start_link/1, start/1]).
-export([init/3, writer_init/1]).
-export([system_continue/3, system_terminate/4, system_code_change/4, system_get_state/1]).

-include("porthost.hrl").
-include_lib("kernel/include/logger.hrl").

%% Frames that may arrive on a socket before the runtime stops reading for us to catch up.
-define(ACTIVE, 500).
-define(SOCKET_OPTIONS, [binary, {packet, 4}, {active, ?ACTIVE}, {keepalive, true},
                         {high_watermark, 262144}, {low_watermark, 131072}]).
-define(DEFAULT_TIMEOUT, 10000).

-record(st, {parent :: pid() | undefined,
             host :: #host{},
             debug = [] :: [sys:dbg_opt()],
             monitors = #{} :: #{integer() => reference()},     % the host's id => ours
             watched = #{} :: #{reference() => integer()}}).    % and back

%% @doc Start a host, linked to the caller.
-spec start_link(porthost:options()) -> {ok, pid()} | {error, term()}.
start_link(Options) ->
    start(start_link, Options, self()).

-spec start(porthost:options()) -> {ok, pid()} | {error, term()}.
start(Options) ->
    start(start, Options, undefined).

start(How, Options, Parent) ->
    case check(Options) of
        ok -> proc_lib:How(?MODULE, init, [self(), Parent, Options]);
        {error, Why} -> {error, {porthost, Why}}
    end.

check(#{transport := Transport} = Options) ->
    Checks = [{transport, is_transport(Transport)},
              {name, is_atom(maps:get(name, Options, porthost))},
              {timeout, is_timeout(maps:get(timeout, Options, ?DEFAULT_TIMEOUT))}
              | [{Key, false} || Key <- maps:keys(Options) -- [transport, name, timeout]]],
    case [Key || {Key, false} <- Checks] of
        [] -> ok;
        [Key | _] -> {error, {bad_option, Key}}
    end;
check(_) ->
    {error, {bad_option, transport}}.

is_transport({spawn, Command}) -> is_text(Command);
is_transport({unix, Path}) -> is_text(Path);
is_transport({tcp, Host, Port}) ->
    (is_list(Host) orelse is_atom(Host) orelse is_tuple(Host)) andalso
        is_integer(Port) andalso Port > 0 andalso Port < 65536;
is_transport(_) -> false.

is_text(Text) -> is_binary(Text) orelse io_lib:char_list(Text).

is_timeout(infinity) -> true;
is_timeout(T) -> is_integer(T) andalso T >= 0.

-spec init(pid(), pid() | undefined, porthost:options()) -> no_return().
init(_Starter, Parent, Options) ->
    process_flag(trap_exit, true),
    case register_name(Options) of
        ok ->
            case connect(Parent, Options) of
                {ok, St} ->
                    proc_lib:init_ack({ok, self()}),
                    loop(St);
                {error, Why} ->
                    refuse(Options, {porthost, Why})
            end;
        {error, _} = Error ->
            proc_lib:init_ack(Error),
            exit(normal)
    end.

%% Nobody is killed by a host that does not start; the caller has the error.
-spec refuse(porthost:options(), term()) -> no_return().
refuse(Options, Why) ->
    case Options of
        #{name := Name} -> unregister(Name);
        #{} -> ok
    end,
    proc_lib:init_ack({error, Why}),
    exit(normal).

register_name(#{name := Name}) ->
    try register(Name, self()) of
        true -> ok
    catch
        error:badarg ->
            case whereis(Name) of
                undefined -> {error, {porthost, {bad_option, name}}};
                Pid -> {error, {already_started, Pid}}
            end
    end;
register_name(#{}) ->
    ok.

connect(Parent, #{transport := Transport} = Options) ->
    Timeout = maps:get(timeout, Options, ?DEFAULT_TIMEOUT),
    case open(Transport, Timeout) of
        {ok, Kind, Handle} ->
            Via = #via{conn = self(), kind = Kind, handle = Handle,
                       max_frame = 1 bsl 27, max_depth = 1000},
            Name = atom_to_binary(maps:get(name, Options, node())),
            _ = porthost_wire:write(Via, porthost_wire:hello(self(), short(Name))),
            hello(Parent, Via, Timeout);
        {error, Why} ->
            {error, {connect, Why}}
    end.

short(<<Name:64/binary, _/binary>>) -> Name;
short(Name) -> Name.

open({spawn, Command}, _) ->
    try open_port({spawn, Command}, [{packet, 4}, binary, exit_status, hide]) of
        Port -> {ok, port, Port}
    catch
        error:Why -> {error, Why}
    end;
open({unix, Path}, Timeout) ->
    socket({local, Path}, 0, [], Timeout);
open({tcp, Host, Port}, Timeout) ->
    socket(Host, Port, [{nodelay, true}], Timeout).

%% The inet backend whatever the node's default is: any process may write, and a write is whole.
socket(Address, Port, Options, Timeout) ->
    try gen_tcp:connect(Address, Port, [{inet_backend, inet} | Options ++ ?SOCKET_OPTIONS],
                        Timeout) of
        {ok, Socket} -> {ok, tcp, Socket};
        {error, Why} -> {error, Why}
    catch
        exit:Why -> {error, Why}
    end.

hello(Parent, #via{handle = Handle} = Via, Timeout) ->
    receive
        {Handle, {data, Frame}} -> hello_answer(Parent, Via, Frame);
        {tcp, Handle, Frame} -> hello_answer(Parent, Via, Frame);
        {Handle, {exit_status, Status}} -> {error, status(Status)};
        {tcp_closed, Handle} -> {error, closed};
        {tcp_error, Handle, Why} -> {error, Why};
        {'EXIT', Handle, Why} -> {error, Why};
        {'EXIT', Parent, Why} -> exit(Why)
    after Timeout ->
        close(Via),
        {error, timeout}
    end.

hello_answer(Parent, Via, Frame) ->
    case porthost_wire:decode(Frame) of
        {ok, {hello, 1, #{max_frame := MaxFrame, max_depth := MaxDepth}}} ->
            {ok, started(Parent, Via#via{max_frame = MaxFrame, max_depth = MaxDepth})};
        {ok, {goodbye, Reason, Text}} ->
            close(Via),
            {error, {goodbye, Reason, Text}};
        _ ->
            close(Via),
            {error, not_a_host}
    end.

started(Parent, Via) ->
    Slots = ets:new(porthost_slots, [public, set, {keypos, #slot.id},
                                     {read_concurrency, true}, {write_concurrency, true}]),
    Host = #host{conn = self(), via = Via, counters = atomics:new(2, []), slots = Slots,
                 writer = proc_lib:spawn_link(?MODULE, writer_init, [Via])},
    ok = porthost_registry:watch(self()),
    ets:insert(?TABLE, Host),
    #st{parent = Parent, host = Host}.

%% The writer: it writes what must not make its sender wait.

-spec writer_init(#via{}) -> no_return().
writer_init(Via) ->
    receive
        {frame, Frame} -> porthost_wire:write(Via, Frame);
        {flush, Tag} -> Tag ! {Tag, done}
    end,
    writer_init(Via).

%% The loop.

-spec loop(#st{}) -> no_return().
loop(#st{parent = Parent, host = #host{via = #via{handle = Handle}}} = St) ->
    receive
        {Handle, {data, Frame}} ->
            loop(frame(St, Frame));
        {tcp, Handle, Frame} ->
            loop(frame(St, Frame));
        {tcp_passive, Handle} ->
            _ = inet:setopts(Handle, [{active, ?ACTIVE}]),
            loop(St);
        {Handle, {exit_status, Status}} ->
            host_down(St, status(Status));
        {tcp_closed, Handle} ->
            host_down(St, closed);
        {tcp_error, Handle, Why} ->
            host_down(St, Why);
        {'DOWN', Ref, process, _, Reason} ->
            loop(down(St, Ref, Reason));
        {'EXIT', Parent, Reason} ->
            terminate(St, Reason);
        {'EXIT', Handle, _} ->
            host_down(St, closed);
        {'EXIT', Pid, Reason} ->
            loop(exited(St, Pid, Reason));
        {system, From, Request} ->
            sys:handle_system_msg(Request, From, Parent, ?MODULE, St#st.debug, St);
        _ ->
            loop(St)
    end.

frame(St, Frame) ->
    case porthost_wire:decode(Frame) of
        {ok, Event} -> event(Event, St);
        error -> host_down(St, bad_frame)
    end.

%% Events the host may have learnt to send since are ignored.
event({Kind, Tag, Value}, St) when is_reference(Tag), Kind =:= ok orelse Kind =:= error ->
    Tag ! {Tag, Kind, Value},
    St;
event({send, To, Message}, St) when is_pid(To) ->
    To ! Message,
    St;
event({busy, Id, Busy}, St) when is_boolean(Busy) ->
    with_slot(St, Id, fun(Slot) -> busy(Slot, Busy) end);
event({link, Id, Pid}, St) when is_pid(Pid) ->
    with_slot(St, Id, fun(Slot) -> tell(Slot, {link, Pid}) end);
event({unlink, Id, Pid}, St) when is_pid(Pid) ->
    with_slot(St, Id, fun(Slot) -> tell(Slot, {unlink, Pid}) end);
event({signal, Id, To, Reason}, St) when is_pid(To) ->
    with_slot(St, Id, fun(Slot) -> tell(Slot, {signal, To, Reason}) end);
event({exit, Id, Reason}, St) ->
    with_slot(St, Id, fun(Slot) -> end_port(Slot, exit_reason(Reason)) end);
event({closed, Id}, #st{host = #host{slots = Slots}} = St) ->
    ets:delete(Slots, Id),
    St;
event({monitor, Id, Pid}, #st{monitors = Monitors, watched = Watched} = St) when is_pid(Pid) ->
    Ref = monitor(process, Pid),
    St#st{monitors = Monitors#{Id => Ref}, watched = Watched#{Ref => Id}};
event({demonitor, Id}, #st{monitors = Monitors} = St) when is_map_key(Id, Monitors) ->
    {Ref, Monitors1} = maps:take(Id, Monitors),
    demonitor(Ref, [flush]),
    St#st{monitors = Monitors1, watched = maps:remove(Ref, St#st.watched)};
event({created, Id, ParentId, _Owner, _Name}, St) ->
    with_slot(St, Id, fun(Slot) -> created(St, Slot, ParentId) end);
event({fault, Reason, Text}, St) ->
    ?LOG_WARNING("porthost: the host refused a request: ~p, ~ts", [Reason, Text]),
    St;
event({goodbye, Reason, Text}, St) ->
    host_down(St, {goodbye, Reason, Text});
event(_, St) ->
    St.

with_slot(#st{host = #host{slots = Slots}} = St, Id, Fun) ->
    case ets:lookup(Slots, Id) of
        [Slot] -> Fun(Slot);
        [] -> ok
    end,
    St.

busy(#slot{pid = Pid}, Busy) ->
    ets:update_element(?TABLE, Pid, {#port.busy, Busy}),
    Busy orelse (Pid ! {?MSG, idle}).

%% Have the port process do something, and wait until it has.
tell(#slot{pid = Pid}, What) ->
    Ref = monitor(process, Pid),
    Pid ! {?MSG, self(), Ref, What},
    receive
        {Ref, done} -> demonitor(Ref, [flush]);
        {'DOWN', Ref, process, _, _} -> true
    end.

%% From here on the port is dead for everybody, but its id stays in use until `closed'.
end_port(#slot{pid = Pid}, Reason) ->
    ets:delete(?TABLE, Pid),
    await_end(ask_end(Pid, Reason)).

ask_end(Pid, Reason) ->
    Ref = monitor(process, Pid),
    Pid ! {?MSG, exit, Reason},
    Ref.

await_end(Ref) ->
    receive {'DOWN', Ref, process, _, _} -> ok end.

exit_reason(kill) -> killed;
exit_reason(Reason) -> Reason.

%% A driver has made a port, of the same driver as its parent.
created(#st{host = #host{via = Via, slots = Slots, writer = Writer} = Host}, Slot, ParentId) ->
    #slot{pid = Pid, id = Id} = Slot,
    ets:insert(Slots, Slot#slot{state = open}),
    ets:insert(?TABLE, #port{pid = Pid, via = Via, id = Id,
                             soft_busy = soft_busy(Slots, ParentId)}),
    Writer ! {frame, porthost_port:grant(Host, 1)}.

soft_busy(Slots, Id) ->
    case ets:lookup(Slots, Id) of
        [#slot{pid = Pid}] ->
            case porthost_registry:lookup(Pid) of
                #port{soft_busy = SoftBusy} -> SoftBusy;
                none -> false
            end;
        [] ->
            false
    end.

%% A process that the host wanted watched has ended. Why is nothing that drivers can see.
down(#st{host = Host, monitors = Monitors, watched = Watched} = St, Ref, Reason) ->
    case maps:take(Ref, Watched) of
        {Id, Watched1} ->
            Word = if is_atom(Reason) -> Reason; true -> exit end,
            Host#host.writer ! {frame, porthost_wire:encode({down, Id, Word})},
            St#st{monitors = maps:remove(Id, Monitors), watched = Watched1};
        error ->
            St
    end.

%% A port process whose row is still there has not been told to end: it was killed.
exited(#st{host = #host{writer = Writer}} = St, Writer, Reason) ->
    terminate(St, {writer, Reason});
exited(#st{host = #host{writer = Writer}} = St, Pid, _) ->
    case porthost_registry:lookup(Pid) of
        #port{id = Id} ->
            ets:delete(?TABLE, Pid),
            Writer ! {frame, porthost_wire:encode({exit, Id, Pid, kill})},
            St;
        _ ->
            St
    end.

status(Status) when Status > 128, Status < 128 + 65 -> {signal, Status - 128};
status(Status) -> {exit_status, Status}.

-spec host_down(#st{}, term()) -> no_return().
host_down(St, Why) ->
    terminate(St, {host_down, Why}).

%% Every port ends before this process does: those who are in a call learn of it last.
-spec terminate(#st{}, term()) -> no_return().
terminate(#st{host = #host{via = Via, slots = Slots, writer = Writer}}, Reason) ->
    ets:delete(?TABLE, self()),
    close(Via),                         % first, for it sets those free who wait to write
    PortReason = case Reason of
                     {host_down, _} -> {porthost, Reason};
                     _ -> {porthost, {host_down, Reason}}
                 end,
    Pids = [Pid || #slot{pid = Pid} <- ets:tab2list(Slots)],
    [ets:delete(?TABLE, Pid) || Pid <- Pids],
    lists:foreach(fun await_end/1, [ask_end(Pid, PortReason) || Pid <- Pids]),
    unlink(Writer),
    exit(Writer, kill),
    exit(Reason).

close(#via{kind = port, handle = Port}) ->
    catch port_close(Port);
close(#via{kind = tcp, handle = Socket}) ->
    gen_tcp:close(Socket).

%% What sys(3erl) calls.

-spec system_continue(pid(), [sys:dbg_opt()], #st{}) -> no_return().
system_continue(_Parent, Debug, St) ->
    loop(St#st{debug = Debug}).

-spec system_terminate(term(), pid(), [sys:dbg_opt()], #st{}) -> no_return().
system_terminate(Reason, _Parent, _Debug, St) ->
    terminate(St, Reason).

-spec system_code_change(#st{}, module(), term(), term()) -> {ok, #st{}}.
system_code_change(St, _Module, _OldVsn, _Extra) ->
    {ok, St}.

-spec system_get_state(#st{}) -> {ok, #st{}}.
system_get_state(St) ->
    {ok, St}.
