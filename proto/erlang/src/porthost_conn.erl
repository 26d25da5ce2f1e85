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
%% Whatever the transport, frames are read and written by one of the VM's own ports, which any
%% process can write to with port_command/2: a socket is handed over to one. gen_tcp:send/2 would
%% wait for a message from the socket, and look for it in all that the caller has in its mailbox.
%%
%% It is a special process as sys(3erl) has it, written by hand, for every frame passes it.
-module(porthost_conn).

-export([start_link/1, start/1]).
-export([init/3, writer_init/1]).
-export([system_continue/3, system_terminate/4, system_code_change/4, system_get_state/1]).

-include("porthost.hrl").
-include_lib("kernel/include/logger.hrl").

-define(PORT_OPTIONS, [{packet, 4}, binary]).
-define(SOCKET_OPTIONS, [{inet_backend, inet}, binary, {packet, raw}, {active, false}]).
-define(DEFAULT_TIMEOUT, 10000).
-define(POLL_MS, 10).
-define(POLLS, 50).

-record(st, {parent :: pid() | undefined,
             host :: #host{},
             socket :: gen_tcp:socket() | none,     % whose descriptor the port uses
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
              {cookie, is_cookie(Transport, Options)},
              {name, is_atom(maps:get(name, Options, porthost))},
              {timeout, is_timeout(maps:get(timeout, Options, ?DEFAULT_TIMEOUT))}
              | [{Key, false} || Key <- maps:keys(Options) -- [transport, cookie, name, timeout]]],
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

is_cookie({tcp, _, _}, #{cookie := Cookie}) -> porthost_auth:is_option(Cookie);
is_cookie(_, Options) -> not is_map_key(cookie, Options).

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

connect(Parent, Options) ->
    case porthost_auth:start(maps:get(cookie, Options, none)) of
        {ok, Auth} -> connect(Parent, Options, Auth);
        {error, Why} -> {error, {cookie, Why}}
    end.

connect(Parent, #{transport := Transport} = Options, Auth) ->
    Timeout = maps:get(timeout, Options, ?DEFAULT_TIMEOUT),
    case open(Transport, Timeout) of
        {ok, Port, Socket} ->
            Via = #via{conn = self(), port = Port, max_frame = 1 bsl 27, max_depth = 1000},
            Name = atom_to_binary(maps:get(name, Options, node())),
            Hello = porthost_wire:hello(self(), short(Name), porthost_auth:hello(Auth)),
            _ = porthost_wire:write(Via, Hello),
            case hello(Parent, Via, Timeout, Auth) of
                {ok, Greeted} ->
                    hold_pipe(Port),
                    {ok, started(Parent, Greeted, Socket)};
                {error, Why} ->
                    close(Port, Socket),
                    {error, Why}
            end;
        {error, Why} ->
            {error, {connect, Why}}
    end.

short(<<Name:64/binary, _/binary>>) -> Name;
short(Name) -> Name.

open({spawn, Command}, _) ->
    try open_port({spawn, Command}, [exit_status, hide | ?PORT_OPTIONS]) of
        Port -> {ok, Port, none}
    catch
        error:Why -> {error, Why}
    end;
open({unix, Path}, Timeout) ->
    socket({local, Path}, 0, [], Timeout);
open({tcp, Host, Number}, Timeout) ->
    socket(Host, Number, [{nodelay, true}, {keepalive, true}], Timeout).

socket(Address, Number, Options, Timeout) ->
    try gen_tcp:connect(Address, Number, ?SOCKET_OPTIONS ++ Options, Timeout) of
        {ok, Socket} ->
            {ok, Fd} = inet:getfd(Socket),
            {ok, open_port({fd, Fd, Fd}, ?PORT_OPTIONS), Socket};
        {error, Why} ->
            {error, Why}
    catch
        exit:Why -> {error, Why}
    end.

hello(Parent, #via{port = Port} = Via, Timeout, Auth) ->
    receive
        {Port, {data, Frame}} ->
            case porthost_wire:decode(Frame) of
                {ok, {challenge, Nonce}} -> challenged(Parent, Via, Timeout, Auth, Nonce);
                Answer -> greeted(Via, Auth, Answer)
            end;
        {Port, {exit_status, Status}} -> {error, status(Status)};
        {'EXIT', Port, Why} -> {error, closed(Why)};
        {'EXIT', Parent, Why} -> exit(Why)
    after Timeout ->
        {error, timeout}
    end.

challenged(Parent, Via, Timeout, Auth, Nonce) ->
    case porthost_auth:answer(Auth, Nonce) of
        {ok, Answer, Auth1} ->
            _ = porthost_wire:write(Via, porthost_wire:encode(Answer)),
            hello(Parent, Via, Timeout, Auth1);
        error ->
            {error, not_a_host}
    end.

greeted(Via, Auth, {ok, {hello, 1, #{max_frame := MaxFrame, max_depth := MaxDepth} = Hello}}) ->
    case porthost_auth:is_proven(Auth, Hello) of
        true -> {ok, Via#via{max_frame = MaxFrame, max_depth = MaxDepth}};
        false -> {error, not_proven}
    end;
greeted(_, _, {ok, {goodbye, Reason, Text}}) ->
    {error, {goodbye, Reason, Text}};
greeted(_, _, _) ->
    {error, not_a_host}.

%% When a spawned host dies while somebody writes, the VM's port fails with epipe and forgets the
%% exit status, which tells us why the host died. So the pipe is kept open at its far end too, by
%% a descriptor of ours that nobody reads from; it goes when this process does.
hold_pipe(Port) ->
    case erlang:port_info(Port, os_pid) of
        {os_pid, Pid} when is_integer(Pid) ->
            Ours = [Pipe || {Pipe, _} <- pipes("self")],
            Theirs = pipes(integer_to_list(Pid)),
            [file:open(File, [read, raw, device])
             || {Pipe, File} <- Theirs, lists:member(Pipe, Ours), is_read_from(File)];
        _ ->
            []
    end.

pipes(Process) ->
    Dir = "/proc/" ++ Process ++ "/fd",
    Files = case file:list_dir(Dir) of
                {ok, Names} -> [filename:join(Dir, Name) || Name <- Names];
                {error, _} -> []
            end,
    [{Pipe, File} || File <- Files, {ok, "pipe:" ++ _ = Pipe} <- [file:read_link(File)]].

%% The access mode is in the last two bits of the flags, an octal number.
is_read_from(File) ->
    Info = filename:join([filename:dirname(filename:dirname(File)), "fdinfo",
                          filename:basename(File)]),
    case file:read_file(Info) of
        {ok, Text} ->
            case re:run(Text, "flags:\\s*[0-7]*([0-7])", [{capture, [1], list}]) of
                {match, [Digit]} -> (hd(Digit) - $0) band 3 =:= 0;
                nomatch -> false
            end;
        {error, _} ->
            false
    end.

started(Parent, Via, Socket) ->
    Slots = ets:new(porthost_slots, [public, set, {keypos, #slot.id},
                                     {read_concurrency, true}, {write_concurrency, true}]),
    Host = #host{conn = self(), via = Via, counters = atomics:new(2, []), slots = Slots,
                 writer = proc_lib:spawn_link(?MODULE, writer_init, [Via])},
    ok = porthost_registry:watch(self()),
    ets:insert(?TABLE, Host),
    #st{parent = Parent, host = Host, socket = Socket}.

%% The writer: it writes what must not make its sender wait.

-spec writer_init(#via{}) -> no_return().
writer_init(Via) ->
    receive
        {frame, Frame} -> porthost_wire:write(Via, Frame);
        {frame, Frame, Unwritten} ->
            porthost_wire:write(Via, Frame),
            atomics:sub(Unwritten, 1, 1);
        {flush, Tag} -> Tag ! {Tag, done}
    end,
    writer_init(Via).

%% The loop.

-spec loop(#st{}) -> no_return().
loop(#st{parent = Parent, host = #host{via = #via{port = Port}}} = St) ->
    receive
        {Port, {data, Frame}} ->
            loop(frame(St, Frame));
        {Port, {exit_status, Status}} ->
            host_down(St, status(Status));
        {'DOWN', Ref, process, _, Reason} ->
            loop(down(St, Ref, Reason));
        {'EXIT', Parent, Reason} ->
            terminate(St, Reason);
        {'EXIT', Port, Why} ->
            host_down(St, closed(Why));
        {'EXIT', Pid, Reason} ->
            loop(exited(St, Pid, Reason));
        {frame, _, _} = Item ->
            St#st.host#host.writer ! Item,
            loop(St);
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
    with_slot(St, Id, fun(#slot{pid = Pid}) -> ets:delete(?TABLE, Pid) end),
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

%% From here on the port is dead, but for what a driver that still flushes answers until `closed'.
end_port(#slot{pid = Pid}, Reason) ->
    ets:update_element(?TABLE, Pid, {#port.state, closing}),
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
    #slot{pid = Pid, id = Id, unwritten = Unwritten} = Slot,
    ets:insert(Slots, Slot#slot{state = open}),
    ets:insert(?TABLE, #port{pid = Pid, via = Via, id = Id,
                             soft_busy = soft_busy(Slots, ParentId), unwritten = Unwritten}),
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

%% A port process whose port is open has not been told to end: it was killed.
exited(#st{host = #host{writer = Writer}} = St, Writer, Reason) ->
    terminate(St, {writer, Reason});
exited(#st{host = #host{writer = Writer}} = St, Pid, _) ->
    case porthost_registry:lookup(Pid) of
        #port{id = Id, state = open} ->
            ets:delete(?TABLE, Pid),
            Writer ! {frame, porthost_wire:encode({exit, Id, Pid, kill})},
            St;
        _ ->
            St
    end.

status(Status) when Status > 128, Status < 128 + 65 -> {signal, Status - 128};
status(Status) -> {exit_status, Status}.

closed(normal) -> closed;
closed(Why) -> Why.

-spec host_down(#st{}, term()) -> no_return().
host_down(St, Why) ->
    terminate(St, {host_down, Why}).

%% Every port ends before this process does: those who are in a call learn of it last.
-spec terminate(#st{}, term()) -> no_return().
terminate(#st{host = #host{via = Via, slots = Slots, writer = Writer}} = St, Reason) ->
    ets:delete(?TABLE, self()),
    close(Via#via.port, St#st.socket),  % first, for it sets those free who wait to write
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

%% The VM may close a socket only when the port that uses its descriptor is gone. A port with
%% output in its queue stays until the host has read that; if that takes long, the socket is shut
%% down, which makes writing fail. The port must not be killed: while one of the VM's threads is
%% writing for it, that crashes the VM.
close(Port, none) ->
    catch port_close(Port);
close(Port, Socket) ->
    poll(fun() -> is_written(erlang:port_info(Port, queue_size)) end),
    _ = gen_tcp:shutdown(Socket, read_write),
    catch port_close(Port),
    poll(fun() -> not lists:member(Port, erlang:ports()) end),
    gen_tcp:close(Socket).

is_written({queue_size, Size}) -> Size =:= 0;
is_written(undefined) -> true.

poll(Condition) -> poll(Condition, ?POLLS).

poll(Condition, N) ->
    case Condition() of
        false when N > 0 -> timer:sleep(?POLL_MS), poll(Condition, N - 1);
        Held -> Held
    end.

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
