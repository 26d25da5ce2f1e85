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
%% The process does not write: the host may have stopped reading until it is read from. The writer
%% does (porthost_writer), and the callers do, both by porthost_wire.
%%
%% Frames are read, whatever the transport, by one of the VM's own ports, which finds where they
%% end: that of a spawned host, or a socket of the inet backend, which is a port too. The former is
%% written to as well, by port_command/2: any process can. A socket is written to by the module
%% socket, on a descriptor of its own: gen_tcp:send/2 would wait for a message from the socket, and
%% look for it in all that the caller has in its mailbox. A port made of the socket's descriptor
%% would do neither: it has another thread write each frame, and it does not tell that reading
%% failed, which is all that is heard of a host that was killed with something left to read.
%% Sockets belong to this process, and are closed when it ends.
%%
%% It is a special process as sys(3erl) has it, written by hand, for every frame passes it.
-module(porthost_conn).

-export([start_link/1, start/1]).
-export([init/3, wait/1]).
-export([system_continue/3, system_terminate/4, system_code_change/4, system_get_state/1]).

-include("porthost.hrl").
-include_lib("kernel/include/logger.hrl").

-define(PORT_OPTIONS, [{packet, 4}, binary]).
-define(SOCKET_OPTIONS, [{inet_backend, inet}, {active, false}, {buffer, 65536} | ?PORT_OPTIONS]).
-define(UNIX_BUFFER, 1048576).      % large frames then take fewer turns; that of TCP the kernel sees to itself
-define(DEFAULT_TIMEOUT, 10000).
-define(UNWRITABLE_MS, 1000).

-record(retry, {options :: porthost:options(),
                backoff :: porthost_backoff:t()}).

%% In the place of #st{} while there is no connection.
-record(wait, {parent :: pid() | undefined,
               debug :: [sys:dbg_opt()],
               retry :: #retry{},
               timer :: reference() | undefined}).

-record(st, {parent :: pid() | undefined,
             retry = none :: #retry{} | none,
             host :: #host{},
             port :: port(),                        % reads from the host
             held = [] :: [file:fd()],              % see hold_pipe/1
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
              {timeout, is_timeout(maps:get(timeout, Options, ?DEFAULT_TIMEOUT))},
              {reconnect, porthost_backoff:is_option(maps:get(reconnect, Options, #{}))}
              | [{Key, false} || Key <- maps:keys(Options) -- [transport, cookie, name, timeout, reconnect]]],
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
is_timeout(T) -> is_integer(T) andalso T >= 0 andalso T < 1 bsl 32.

-spec init(pid(), pid() | undefined, porthost:options()) -> no_return().
init(_Starter, Parent, Options) ->
    process_flag(trap_exit, true),
    case register_name(Options) of
        ok ->
            ok = porthost_registry:watch(self()),
            ok = net_kernel:monitor_nodes(true),    % tells of this node, too
            case connect(Parent, Options) of
                {ok, St} ->
                    proc_lib:init_ack({ok, self()}),
                    loop(St#st{retry = retry(Options)});
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
        {ok, Port, Out, Whole} ->
            Traffic = porthost_wire:traffic(),
            Writer = porthost_writer:start_link(Out, Traffic),
            Via = #via{conn = self(), writer = Writer, out = Out, whole = Whole, traffic = Traffic,
                       creation = porthost_names:creation(), max_frame = 1 bsl 27, max_depth = 1000},
            St = #st{parent = Parent, port = Port, host = #host{via = Via}},
            greet(St, maps:get(name, Options, node()), Timeout, Auth);
        {error, Why} ->
            {error, {connect, Why}}
    end.

%% The option `device' of file:open/2 is not in its type, whence dialyzer takes it that no pipe is ever held.
-dialyzer({no_match, greet/4}).
greet(#st{port = Port} = St, Name, Timeout, Auth) ->
    Short = short(atom_to_binary(Name)),
    Held = hold_pipe(Port),
    writer(St) ! {frame, porthost_wire:hello(self(), Short, porthost_auth:hello(Auth))},
    case hello(St, Timeout, Auth) of
        {ok, Via} ->
            Late = [Pipe || Held =:= [], Pipe <- hold_pipe(Port)],  % the command may not have begun before
            {ok, started(St#st{held = Held ++ Late}, Via)};
        {error, Why} ->
            close(St#st{held = Held}),
            porthost_writer:stop(writer(St)),
            {error, Why}
    end.

short(<<Name:64/binary, _/binary>>) -> Name;
short(Name) -> Name.

open({spawn, Command}, _) ->
    try open_port({spawn, Command}, [exit_status, hide | ?PORT_OPTIONS]) of
        Port -> {ok, Port, Port, 0}
    catch
        error:Why -> {error, Why}
    end;
open({unix, Path}, Timeout) ->
    socket(unix, gen_tcp, {local, Path}, 0, [{sndbuf, ?UNIX_BUFFER}], Timeout);
open({tcp, Host, Number}, Timeout) ->
    socket(tcp, porthost_tcp, Host, Number, [{nodelay, true}, {keepalive, true}], Timeout).

socket(Kind, By, Address, Number, Options, Timeout) ->
    try By:connect(Address, Number, ?SOCKET_OPTIONS ++ Options, Timeout) of
        {ok, Socket} -> in_and_out(Kind, Socket);
        {error, Why} -> {error, Why}
    catch
        exit:Why -> {error, Why}
    end.

%% While it is passive, the socket does not notice its end, which would close the descriptor.
in_and_out(Kind, Socket) ->
    {ok, Fd} = inet:getfd(Socket),
    case socket:open(Fd, #{dup => true}) of
        {ok, Out} -> listened_to(Kind, Socket, Out);
        {error, Why} -> gave_up(Socket, Why)
    end.

listened_to(Kind, Socket, Out) ->
    case inet:setopts(Socket, [{active, true}]) of
        ok ->
            {ok, Socket, Out, porthost_wire:whole(Kind, Out)};
        {error, _} ->
            _ = socket:close(Out),
            gave_up(Socket, closed)
    end.

gave_up(Socket, Why) ->
    gen_tcp:close(Socket),
    {error, Why}.

hello(#st{parent = Parent, port = Port} = St, Timeout, Auth) ->
    receive
        {Port, {data, Frame}} -> first(St, Timeout, Auth, Frame);
        {tcp, Port, Frame} -> first(St, Timeout, Auth, Frame);
        {Port, {exit_status, Status}} -> {error, status(Status)};
        {tcp_closed, Port} -> {error, closed};
        {tcp_error, Port, Why} -> {error, Why};
        {'EXIT', Port, Why} -> {error, closed(Why)};
        {'EXIT', Parent, Why} -> porthost_writer:stop(writer(St)), exit(Why)
    after Timeout ->
        {error, timeout}
    end.

first(St, Timeout, Auth, Frame) ->
    case porthost_wire:decode(Frame) of
        {ok, {challenge, Nonce}} -> challenged(St, Timeout, Auth, Nonce);
        Answer -> greeted(St#st.host#host.via, Auth, Answer)
    end.

challenged(St, Timeout, Auth, Nonce) ->
    case porthost_auth:answer(Auth, Nonce) of
        {ok, Answer, Auth1} ->
            writer(St) ! {frame, porthost_wire:encode(Answer)},
            hello(St, Timeout, Auth1);
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
%% a descriptor of ours that nobody reads from; it goes with the connection.
hold_pipe(Port) ->
    case erlang:port_info(Port, os_pid) of
        {os_pid, Pid} when is_integer(Pid) ->
            Ours = [Pipe || {Pipe, _} <- pipes("self")],
            Theirs = pipes(integer_to_list(Pid)),
            [Held || {Pipe, File} <- Theirs, lists:member(Pipe, Ours), is_read_from(File),
                     {ok, Held} <- [file:open(File, [read, raw, device])]];
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

started(#st{host = Host} = St, Via) ->
    Slots = ets:new(porthost_slots, [public, set, {keypos, #slot.id},
                                     {read_concurrency, true}, {write_concurrency, true}]),
    Started = Host#host{conn = self(), via = Via, counters = atomics:new(2, []), slots = Slots},
    ets:insert(?TABLE, Started),
    St#st{host = Started}.

%% The loop.

-spec loop(#st{}) -> no_return().
loop(#st{parent = Parent, port = Port} = St) ->
    receive
        {Port, {data, Frame}} ->
            loop(frame(St, Frame));
        {tcp, Port, Frame} ->
            loop(frame(St, Frame));
        {Port, {exit_status, Status}} ->
            host_down(St, status(Status));
        {tcp_closed, Port} ->
            host_down(St, closed);
        {tcp_error, Port, Why} ->
            host_down(St, Why);
        {'DOWN', Ref, process, _, Reason} ->
            loop(down(St, Ref, Reason));
        {'EXIT', Parent, Reason} ->
            terminate(St, Reason);
        {'EXIT', Port, Why} ->
            host_down(St, closed(Why));
        {'EXIT', Pid, Reason} ->
            loop(exited(St, Pid, Reason));
        {nodeup, Node} when Node =:= node() ->
            named(St, Node);
        {message, _, _} = Item ->
            writer(St) ! Item,
            loop(St);
        {unwritable, Writer, Why} when Writer =:= St#st.host#host.via#via.writer ->
            %% There may be something left to read; if all is well, the end comes after it.
            _ = erlang:send_after(?UNWRITABLE_MS, self(), {unwritten, Writer, Why}),
            loop(St);
        {unwritten, Writer, Why} when Writer =:= St#st.host#host.via#via.writer ->
            host_down(St, Why);
        {system, From, Request} ->
            sys:handle_system_msg(Request, From, Parent, ?MODULE, St#st.debug, St);
        _ ->
            loop(St)
    end.

%% This node has a name, another than before, or its old one again, which nothing tells from the first.
-spec named(#st{}, node()) -> no_return().
named(#st{host = #host{via = #via{node = Node, creation = Creation}}} = St, Node) ->
    case porthost_names:creation() of
        Creation -> loop(St);
        _ -> host_down(St, node_restarted)
    end;
named(St, _) ->
    loop(St).

frame(St, Frame) ->
    case porthost_wire:decode(via(St), Frame) of
        {ok, Event} -> event(Event, St);
        error -> unreadable(porthost_wire:elements(via(St), Frame), St)
    end.

%% What drivers and other clients name as a process, a port or a reference of this node may be none
%% that the node could have made, and then it is no term here: a message with it is dropped, as the
%% VM drops a driver's; a process that cannot be has ended.
unreadable([Kind, Tag], St) when is_reference(Tag), Kind =:= ok orelse Kind =:= error ->
    Tag ! {Tag, error, badarg},
    St;
unreadable([monitor, Id], St) ->
    writer(St) ! {frame, porthost_wire:encode({down, Id, noproc})},
    St;
unreadable([Kind | _], St) when Kind =:= send; Kind =:= trace ->
    St;
unreadable(_, St) ->
    host_down(St, bad_frame).

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
created(#st{host = #host{via = Via, slots = Slots} = Host} = St, Slot, ParentId) ->
    #slot{pid = Pid, id = Id, unwritten = Unwritten} = Slot,
    ets:insert(Slots, Slot#slot{state = open}),
    ets:insert(?TABLE, #port{pid = Pid, via = Via, id = Id,
                             soft_busy = soft_busy(Slots, ParentId), unwritten = Unwritten}),
    is_process_alive(Pid) orelse exited(St, Pid, killed),
    writer(St) ! {frame, porthost_port:grant(Host, 1)}.

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
down(#st{monitors = Monitors, watched = Watched} = St, Ref, Reason) ->
    case maps:take(Ref, Watched) of
        {Id, Watched1} ->
            Word = if is_atom(Reason) -> Reason; true -> exit end,
            writer(St) ! {frame, porthost_wire:encode(via(St), {down, Id, Word})},
            St#st{monitors = maps:remove(Id, Monitors), watched = Watched1};
        error ->
            St
    end.

%% A port process whose port is open has not been told to end: it was killed.
exited(#st{host = #host{via = #via{writer = Writer}}} = St, Writer, Reason) ->
    terminate(St, {writer, Reason});
exited(St, Pid, _) ->
    case porthost_registry:lookup(Pid) of
        #port{id = Id, state = open} ->
            ets:delete(?TABLE, Pid),
            writer(St) ! {frame, porthost_wire:encode(via(St), {exit, Id, Pid, kill})},
            St;
        _ ->
            St
    end.

status(Status) when Status > 128, Status < 128 + 65 -> {signal, Status - 128};
status(Status) -> {exit_status, Status}.

closed(normal) -> closed;
closed(Why) -> Why.

writer(#st{host = #host{via = #via{writer = Writer}}}) -> Writer.
via(#st{host = #host{via = Via}}) -> Via.

-spec host_down(#st{}, term()) -> no_return().
host_down(#st{retry = none} = St, Why) ->
    terminate(St, {host_down, Why});
host_down(#st{parent = Parent, debug = Debug, retry = Retry} = St, Why) ->
    end_all(St, {porthost, {host_down, Why}}),
    [demonitor(Ref, [flush]) || Ref <- maps:keys(St#st.watched)],
    ets:delete(St#st.host#host.slots),
    Next = after_loss(Retry),
    ?LOG_WARNING("porthost: ~tp: the host is down: ~tp; connecting again", [name(Retry), Why]),
    %% Forgets the stack: whoever has noticed the end was about to return to the loop.
    proc_lib:hibernate(?MODULE, wait, [schedule(#wait{parent = Parent, debug = Debug, retry = Next})]).

%% Connecting again.

retry(#{reconnect := Delays} = Options) ->
    #retry{options = Options, backoff = porthost_backoff:new(Delays)};
retry(#{}) ->
    none.

name(#retry{options = Options}) ->
    maps:get(name, Options, self()).

after_loss(#retry{backoff = Backoff} = Retry) ->
    {_, Backoff1} = porthost_backoff:lost(Backoff),
    Retry#retry{backoff = Backoff1}.

schedule(#wait{retry = #retry{backoff = Backoff} = Retry} = Wait) ->
    {Ms, Backoff1} = porthost_backoff:next(Backoff),
    Wait#wait{timer = erlang:start_timer(Ms, self(), connect), retry = Retry#retry{backoff = Backoff1}}.

-spec wait(#wait{}) -> no_return().
wait(#wait{parent = Parent, timer = Timer} = Wait) ->
    receive
        {timeout, Timer, connect} ->
            again(Wait);
        {'EXIT', Parent, Reason} ->
            exit(Reason);
        {system, From, Request} ->
            sys:handle_system_msg(Request, From, Parent, ?MODULE, Wait#wait.debug, Wait);
        _ ->
            wait(Wait)
    end.

-spec again(#wait{}) -> no_return().
again(#wait{parent = Parent, debug = Debug, retry = Retry} = Wait) ->
    case connect(Parent, Retry#retry.options) of
        {ok, St} ->
            ?LOG_NOTICE("porthost: ~tp: connected again", [name(Retry)]),
            loop(St#st{debug = Debug, retry = Retry#retry{backoff = porthost_backoff:began(Retry#retry.backoff)}});
        {error, _} ->
            wait(schedule(Wait))
    end.

%% Every port ends before this process does: those who are in a call learn of it last.
-spec terminate(#st{}, term()) -> no_return().
terminate(St, Reason) ->
    end_all(St, case Reason of
                    {host_down, _} -> {porthost, Reason};
                    _ -> {porthost, {host_down, Reason}}
                end),
    exit(Reason).

end_all(#st{host = #host{slots = Slots}} = St, PortReason) ->
    ets:delete(?TABLE, self()),
    close(St),  % first, for it sets those free who wait to write to a port
    Pids = [Pid || #slot{pid = Pid} <- ets:tab2list(Slots)],
    [ets:delete(?TABLE, Pid) || Pid <- Pids],
    lists:foreach(fun await_end/1, [ask_end(Pid, PortReason) || Pid <- Pids]),
    porthost_writer:stop(writer(St)).

%% What has been given to the writer is written first, if the host reads; then the socket is shut
%% down, which makes writing fail.
close(#st{port = Port, held = Held, host = #host{via = #via{out = Port}}}) ->
    catch port_close(Port),
    lists:foreach(fun file:close/1, Held);
close(#st{port = Socket, host = #host{via = #via{out = Out}}} = St) ->
    porthost_writer:flush(writer(St)),
    _ = socket:shutdown(Out, read_write),
    _ = socket:close(Out),
    gen_tcp:close(Socket).

%% What sys(3erl) calls.

-spec system_continue(pid(), [sys:dbg_opt()], #st{} | #wait{}) -> no_return().
system_continue(_Parent, Debug, #wait{} = Wait) ->
    wait(Wait#wait{debug = Debug});
system_continue(_Parent, Debug, St) ->
    loop(St#st{debug = Debug}).

-spec system_terminate(term(), pid(), [sys:dbg_opt()], #st{} | #wait{}) -> no_return().
system_terminate(Reason, _Parent, _Debug, #wait{}) ->
    exit(Reason);
system_terminate(Reason, _Parent, _Debug, St) ->
    terminate(St, Reason).

-spec system_code_change(#st{} | #wait{}, module(), term(), term()) -> {ok, #st{} | #wait{}}.
system_code_change(St, _Module, _OldVsn, _Extra) ->
    {ok, St}.

-spec system_get_state(#st{} | #wait{}) -> {ok, #st{} | #wait{}}.
system_get_state(St) ->
    {ok, St}.
