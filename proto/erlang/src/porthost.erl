%% SPDX-License-Identifier: Apache-2.0
%% @doc Ports of linked-in drivers that run outside the Erlang VM, in a driver host.
%%
%% A <em>host</em> is a connection to a running `porthostd'. {@link start_link/1} starts one; the
%% one with the name `porthost' is the default. Under a supervisor it is started again when the
%% host has died.
%%
%% A <em>hosted port</em> is a pid. The functions here that have the name of a function of module
%% `erlang' take the same arguments, give the same results and raise the same exceptions, for
%% hosted ports and also for the VM's own, by port or by registered name. `link', `monitor',
%% `register', `exit' and `!' are what they are for any pid: it is `monitor(process, Port)', and
%% the message says `process', too.
%%
%% When the host shuts down in good order, its ports exit with reason `shutdown' first. When it ends
%% the connection because of what it read there, or because it could not write there, they exit
%% with `connection_closed'; drivers see the same when this side ends the connection. Ports that
%% have not been told to exit by the host when the connection ends, as when the host has crashed,
%% exit with `{porthost, {host_down, Why}}'.
%%
%% A request that would be larger or deeper nested than the host accepts raises `system_limit'.
%%
%% Messages: `Port ! Message' goes to the port's process and from there to the host, in order with
%% what the functions of this module do for the same process. But it does not suspend its sender
%% while the port is busy. A command sent so is kept until the port is not busy any more; what the
%% process that it names sends after it, and other commands, come after it, but the rest does not
%% wait for it, such as {@link port_control/3} and {@link port_close/1}. {@link send/2} does
%% suspend; it is what {@link porthost_transform} and {@link adopt/1} make of `!'.
-module(porthost).

-export([start_link/1, start/1, stop/1, child_spec/1, adopt/1]).
-export([open_port/2, open_port/3, port_command/2, port_command/3, port_control/3,
         port_call/2, port_call/3, port_close/1, port_connect/2, port_info/1, port_info/2,
         port_set_data/2, port_get_data/1, ports/0, ports/1, is_port/1,
         send/2, send/3, send_nosuspend/2, send_nosuspend/3]).

-compile({no_auto_import, [open_port/2, port_command/2, port_command/3, port_control/3,
                           port_close/1, port_connect/2]}).

-include("porthost.hrl").

-export_type([options/0, transport/0, cookie/0, host/0, hosted_port/0, any_port/0]).

-type transport() :: {spawn, Command :: string() | binary()}
                   | {unix, Path :: file:name_all()}
                   | {tcp, inet:socket_address() | inet:hostname(), inet:port_number()}.
%% How to reach a host. With `spawn' the host is a child of this node, and ends with the
%% connection; Command is for example `"porthostd --stdio"'. With `tcp' the addresses of a name, of IPv4
%% and then of IPv6, are tried one after the other.

-type options() :: #{transport := transport(), cookie => cookie(), name => atom(),
                     timeout => timeout(),
                     reconnect => #{min => pos_integer(), max => pos_integer()}}.
%% `name' is registered for the connection process; `timeout' (milliseconds, 10000) is for the
%% connection and each of the host's answers to the greeting.
%%
%% `reconnect': when the host has ended, or the connection to it, this process lives on and connects
%% again (with `spawn': starts the command again). The first attempt comes after `min' milliseconds
%% (100), each later one after twice the time, up to `max' (10000), each shortened by chance to
%% between the half and all; it begins with `min' again after a connection that has lasted longer
%% than `max'. Ports do not come back: they exit as ever, with `{porthost, {host_down, Why}}',
%% and while there is no connection none can be opened. Without this option the process ends.

-type cookie() :: binary() | {file, file:name_all()}.
%% With transport `tcp': what both ends must prove to know before anything is asked. The file is as
%% porthostd wants it: 16 to 1024 bytes, ends of lines behind them not counted, a regular file of
%% this user's or root's to which nobody else has access. It is read for each connection. Needs
%% the application crypto.

-type host() :: atom() | pid().
-type hosted_port() :: pid().
-type any_port() :: hosted_port() | port() | atom().

-define(DEFAULT_HOST, porthost).
-define(IS_OP(Op), (is_integer(Op) andalso Op >= 0 andalso Op =< 16#FFFFFFFF)).

%% Hosts.

%% @doc Start a host, as a process linked to the caller.
%%
%% The errors are `{already_started, Pid}' and `{porthost, Why}', where Why is one of
%% `{bad_option, Key}', `{connect, Reason}', `{exit_status, N}' or `{signal, N}' (the spawned
%% command ended; `epipe' if it did before the greeting could be written to it, for then the VM
%% forgets its status), `{goodbye, Reason, Text}', `closed', `timeout', `not_a_host'; with a cookie also
%% `not_proven' (the host does not know it) and `{cookie, Reason}': an error of the file, or
%% `not_regular', `not_private', `not_owner', `bad_cookie', `no_crypto'.
%%
%% When the host ends, all its ports exit, and then this process with `{host_down, Why}', where Why
%% is `{goodbye, Reason, Text}' (the host has said so), `{signal, N}', `{exit_status, N}', `closed',
%% `bad_frame', an error of the socket, or `node_restarted': this node has had another name, or none,
%% and has the name again that it had when the connection was made. All other changes of its name
%% (net_kernel:start/2 and stop/0) do no harm; only what a fun has in its environment keeps the old one.
-spec start_link(options()) -> {ok, pid()} | {error, term()}.
start_link(Options) ->
    porthost_conn:start_link(Options).

%% @doc Start a host that is not linked to the caller.
-spec start(options()) -> {ok, pid()} | {error, term()}.
start(Options) ->
    porthost_conn:start(Options).

%% @doc End the connection to a host and with it all its ports.
-spec stop(host()) -> ok.
stop(Host) ->
    proc_lib:stop(Host).

%% @doc A child specification for a supervisor.
-spec child_spec(options()) -> supervisor:child_spec().
child_spec(Options) ->
    #{id => maps:get(name, Options, ?MODULE), start => {?MODULE, start_link, [Options]}}.

%% @doc Let a compiled module with debug_info use hosted ports: see {@link porthost_adopt}.
-spec adopt(module()) -> ok | {error, porthost_adopt:reason()}.
adopt(Module) ->
    porthost_adopt:adopt(Module).

%% Opening.

%% @doc `erlang:open_port/2' on the default host.
%%
%% What is no driver of the host's opens as the VM opens it: `{spawn, Command}' then runs a
%% program.
-spec open_port(term(), list()) -> hosted_port() | port().
open_port(Name, Options) ->
    open(?DEFAULT_HOST, Name, Options, {open_port, [Name, Options]}).

%% @doc The same on a given host.
-spec open_port(host(), term(), list()) -> hosted_port() | port().
open_port(Host, Name, Options) ->
    open(Host, Name, Options, {open_port, [Host, Name, Options]}).

open(Host, {Kind, Text} = Name, Options, Call) when Kind =:= spawn; Kind =:= spawn_driver ->
    #host{via = Via} = Row = host(Host, Call),
    case command_line(Text) of
        {ok, Command} when is_list(Options) ->
            case porthost_wire:fits(Via, Options) andalso
                 porthost_port:open(Row, Command, Options) of
                {ok, Port} -> Port;
                {error, no_driver} when Kind =:= spawn -> erlang:open_port(Name, Options);
                {error, no_driver} -> fail(badarg, Call);
                {error, Reason} when is_atom(Reason) -> fail(Reason, Call);
                _ -> fail(badarg, Call)
            end;
        _ ->
            fail(badarg, Call)
    end;
open(_, Name, Options, _) ->
    erlang:open_port(Name, Options).

host(Host, Call) ->
    Pid = case is_atom(Host) of
              true -> whereis(Host);
              false -> Host
          end,
    case is_pid(Pid) andalso porthost_registry:lookup(Pid) of
        #host{} = Row -> Row;
        _ -> fail({porthost, {no_host, Host}}, Call)
    end.

%% As the VM reads it: characters become bytes in the encoding of file names, bytes stay.
command_line(Text) when is_binary(Text) ->
    {ok, Text};
command_line(Text) when is_atom(Text) ->
    command_line(atom_to_list(Text));
command_line(Text) when is_list(Text) ->
    try lists:flatten(Text) of
        Chars ->
            case lists:all(fun(C) -> is_integer(C) andalso C > 0 end, Chars) of
                true -> encoded(Chars);
                false -> error
            end
    catch
        error:_ -> error
    end;
command_line(_) ->
    error.

encoded(Chars) ->
    case unicode:characters_to_binary(Chars, unicode, file:native_name_encoding()) of
        Bytes when is_binary(Bytes) -> {ok, Bytes};
        _ -> error
    end.

%% Using.

%% @doc `erlang:port_command/2'.
-spec port_command(any_port(), iodata()) -> true.
port_command(Port, Data) ->
    case lookup(Port) of
        #port{via = Via, id = Id} = Row ->
            Call = {port_command, [Port, Data]},
            Sent = output(Row, Data, Call),
            case may_send(Row, suspend) of
                true -> posted(porthost_wire:post(Via, {command, Id, self(), Sent}), Call);
                down -> fail(badarg, Call)
            end;
        real -> erlang:port_command(Port, Data);
        none -> fail(badarg, {port_command, [Port, Data]})
    end.

%% @doc `erlang:port_command/3'.
-spec port_command(any_port(), iodata(), [force | nosuspend]) -> boolean().
port_command(Port, Data, Options) ->
    case lookup(Port) of
        #port{} = Row ->
            Call = {port_command, [Port, Data, Options]},
            case options(Options, [force, nosuspend]) andalso command_mode(Row, Options) of
                false -> fail(badarg, Call);
                suspend -> port_command(Port, Data);
                notsup -> fail(notsup, Call);
                busy -> false;
                force -> force(Row, output(Row, Data, Call), Call)
            end;
        real -> erlang:port_command(Port, Data, Options);
        none -> fail(badarg, {port_command, [Port, Data, Options]})
    end.

force(#port{via = Via, id = Id} = Row, Data, Call) ->
    case porthost_port:in_turn(Row) of
        ok -> posted(porthost_wire:post(Via, {command, Id, self(), Data, [force]}), Call);
        _ -> fail(badarg, Call)
    end.

command_mode(#port{state = closing}, _) ->
    false;
command_mode(#port{busy = Busy, soft_busy = SoftBusy}, Options) ->
    case lists:member(force, Options) of
        true when SoftBusy -> force;
        true -> notsup;
        false when not Busy -> suspend;
        false ->
            case lists:member(nosuspend, Options) of
                true -> busy;
                false -> suspend
            end
    end.

%% @doc `erlang:port_control/3'.
-spec port_control(any_port(), 0..16#FFFFFFFF, iodata()) -> iodata().
port_control(Port, Op, Data) ->
    case lookup(Port) of
        #port{id = Id} = Row when ?IS_OP(Op) ->
            Call = {port_control, [Port, Op, Data]},
            Sent = flat(Data, Call),
            value(in_turn(Row, {control, tag, Id, self(), Op, Sent}), Call);
        real -> erlang:port_control(Port, Op, Data);
        _ -> fail(badarg, {port_control, [Port, Op, Data]})
    end.

%% @doc `erlang:port_call/2'.
-spec port_call(any_port(), term()) -> term().
port_call(Port, Data) ->
    call(Port, 0, Data, {port_call, [Port, Data]}).

%% @doc `erlang:port_call/3'.
-spec port_call(any_port(), 0..16#FFFFFFFF, term()) -> term().
port_call(Port, Op, Data) ->
    call(Port, Op, Data, {port_call, [Port, Op, Data]}).

call(Port, Op, Data, Call) ->
    case lookup(Port) of
        #port{via = Via, id = Id} = Row when ?IS_OP(Op) ->
            case porthost_wire:fits(Via, Data) of
                true -> value(in_turn(Row, {call, tag, Id, self(), Op, Data}), Call);
                false -> fail(system_limit, Call)
            end;
        real -> erlang:port_call(Port, Op, Data);
        _ -> fail(badarg, Call)
    end.

%% @doc `erlang:port_close/1'.
-spec port_close(any_port()) -> true.
port_close(Port) ->
    case lookup(Port) of
        #port{id = Id} = Row ->
            value(while_open(Row, {close, tag, Id, self()}), {port_close, [Port]});
        real -> erlang:port_close(Port);
        none -> fail(badarg, {port_close, [Port]})
    end.

%% @doc `erlang:port_connect/2'.
-spec port_connect(any_port(), pid()) -> true.
port_connect(Port, Pid) ->
    case lookup(Port) of
        #port{id = Id} = Row when is_pid(Pid), node(Pid) =:= node() ->
            case is_process_alive(Pid) andalso lookup(Pid) =:= none of
                true ->
                    value(while_open(Row, {connect, tag, Id, self(), Pid}),
                          {port_connect, [Port, Pid]});
                false -> fail(badarg, {port_connect, [Port, Pid]})
            end;
        real -> erlang:port_connect(Port, Pid);
        _ -> fail(badarg, {port_connect, [Port, Pid]})
    end.

%% @doc `erlang:port_set_data/2'.
-spec port_set_data(any_port(), term()) -> true.
port_set_data(Port, Data) ->
    case lookup(Port) of
        #port{via = Via, id = Id} = Row ->
            case porthost_wire:fits(Via, Data) of
                true ->
                    value(while_open(Row, {set_data, tag, Id, Data}),
                          {port_set_data, [Port, Data]});
                false ->
                    fail(system_limit, {port_set_data, [Port, Data]})
            end;
        real -> erlang:port_set_data(Port, Data);
        none -> fail(badarg, {port_set_data, [Port, Data]})
    end.

%% @doc `erlang:port_get_data/1'.
-spec port_get_data(any_port()) -> term().
port_get_data(Port) ->
    case lookup(Port) of
        #port{id = Id} = Row ->
            value(while_open(Row, {get_data, tag, Id}), {port_get_data, [Port]});
        real -> erlang:port_get_data(Port);
        none -> fail(badarg, {port_get_data, [Port]})
    end.

%% Asking.

%% @doc `erlang:port_info/1'.
-spec port_info(any_port()) -> [{atom(), term()}] | undefined.
port_info(Port) ->
    case lookup(Port) of
        #port{id = Id} = Row ->
            case in_turn(Row, {info, tag, Id, all}) of
                {ok, Known} -> all_info(Row, Known);
                _ -> undefined
            end;
        real -> erlang:port_info(Port);
        none -> no_info(Port, {port_info, [Port]})
    end.

%% @doc `erlang:port_info/2'.
-spec port_info(any_port(), atom()) -> {atom(), term()} | [] | undefined.
port_info(Port, Item) ->
    case lookup(Port) of
        #port{} = Row -> item(Row, Item, {port_info, [Port, Item]});
        real -> erlang:port_info(Port, Item);
        none -> no_info(Port, {port_info, [Port, Item]})
    end.

%% A pid may have been a port; one that lives is none, nor was it.
no_info(Pid, Call) when is_pid(Pid), node(Pid) =:= node() ->
    case is_process_alive(Pid) andalso lookup(Pid) =:= none of
        true -> fail(badarg, Call);
        false -> undefined
    end;
no_info(Name, _) when is_atom(Name) ->
    undefined;
no_info(_, Call) ->
    fail(badarg, Call).

all_info(#port{id = Id} = Row, Known) ->
    case {of_process(Row, registered_name), links(Row)} of
        {Name, Links} when Name =/= undefined, Links =/= undefined ->
            [N || {registered_name, _} = N <- [Name]]
                ++ known([name], Known) ++ [{links, Links}, {id, Id}]
                ++ known([connected, input, output, os_pid], Known);
        _ ->
            undefined
    end.

known(Items, Known) ->
    [host_item(Item, Value) || Item <- Items, {I, Value} <- Known, I =:= Item].

item(Row, registered_name, _) ->
    of_process(Row, registered_name);
item(Row, links, _) ->
    case links(Row) of
        undefined -> undefined;
        Links -> {links, Links}
    end;
item(#port{id = Id}, id, _) ->
    {id, Id};
item(Row, monitored_by, _) ->
    of_process(Row, monitored_by);
item(#port{id = Id} = Row, Item, Call) ->
    Items = [name, connected, input, output, os_pid, locking, parallelism, queue_size, memory,
             monitors],
    case lists:member(Item, Items) andalso in_turn(Row, {info, tag, Id, Item}) of
        {ok, Value} -> host_item(Item, Value);
        false -> fail(badarg, Call);
        _ -> undefined
    end.

host_item(name, Name) when is_binary(Name) -> {name, binary_to_list(Name)};
host_item(monitors, Pids) -> {monitors, [monitored(Pid) || Pid <- Pids]};
host_item(Item, Value) -> {Item, Value}.

monitored(Pid) when is_pid(Pid) -> {process, Pid};
monitored(Other) -> Other.

links(#port{via = #via{conn = Conn}} = Row) ->
    case of_process(Row, links) of
        {links, Links} -> lists:delete(Conn, Links);
        undefined -> undefined
    end.

%% What the process of the port knows. When it has ended the port may still be there, closing.
of_process(#port{pid = Pid}, Item) ->
    case process_info(Pid, Item) of
        undefined ->
            case porthost_registry:lookup(Pid) of
                #port{} when Item =:= registered_name -> [];
                #port{} -> {Item, []};
                none -> undefined
            end;
        Known ->
            Known
    end.

%% @doc All ports of this node: `erlang:ports/0' and the hosted ports of all hosts.
-spec ports() -> [port() | hosted_port()].
ports() ->
    erlang:ports() ++ lists:flatmap(fun host_ports/1, porthost_registry:hosts()).

%% @doc The ports of a host, also those that are closed and wait for their output to be written.
-spec ports(host()) -> [hosted_port()].
ports(Host) ->
    host_ports(host(Host, {ports, [Host]})).

host_ports(#host{slots = Slots}) ->
    try ets:match_object(Slots, #slot{state = open, _ = '_'}) of
        Rows -> [Pid || #slot{pid = Pid} <- Rows]
    catch
        error:badarg -> []
    end.

%% @doc Whether a term is a port: the VM's own, dead or alive, or a hosted port that is open or still
%% closing.
-spec is_port(term()) -> boolean().
is_port(Term) when erlang:is_port(Term) -> true;
is_port(Term) when is_pid(Term) -> is_record(porthost_registry:lookup(Term), port);
is_port(_) -> false.

%% Messages.

%% @doc `erlang:send/2', which for a hosted port does what `Port ! Message' does for the VM's own.
-spec send(erlang:send_destination(), Message) -> Message.
send(To, Message) ->
    case receiver(To) of
        #port{} = Row -> signal(Row, Message, suspend, {send, [To, Message]}), Message;
        _ -> erlang:send(To, Message)
    end.

%% @doc `erlang:send/3'.
-spec send(erlang:send_destination(), term(), [nosuspend | noconnect]) ->
          ok | nosuspend | noconnect.
send(To, Message, Options) ->
    case receiver(To) of
        #port{} = Row -> send_port(Row, Message, Options, {send, [To, Message, Options]});
        _ -> erlang:send(To, Message, Options)
    end.

%% @doc `erlang:send_nosuspend/2'.
-spec send_nosuspend(erlang:send_destination(), term()) -> boolean().
send_nosuspend(To, Message) ->
    case receiver(To) of
        #port{} = Row ->
            send_port(Row, Message, [nosuspend], {send_nosuspend, [To, Message]}) =:= ok;
        _ -> erlang:send_nosuspend(To, Message)
    end.

%% @doc `erlang:send_nosuspend/3'.
-spec send_nosuspend(erlang:send_destination(), term(), [noconnect]) -> boolean().
send_nosuspend(To, Message, Options) ->
    case receiver(To) of
        #port{} = Row ->
            Call = {send_nosuspend, [To, Message, Options]},
            options(Options, [noconnect]) orelse fail(badarg, Call),
            send_port(Row, Message, [nosuspend], Call) =:= ok;
        _ -> erlang:send_nosuspend(To, Message, Options)
    end.

send_port(Row, Message, Options, Call) ->
    case options(Options, [nosuspend, noconnect]) of
        true ->
            case lists:member(nosuspend, Options) of
                true -> signal(Row, Message, nosuspend, Call);
                false -> signal(Row, Message, suspend, Call)
            end;
        false ->
            fail(badarg, Call)
    end.

%% To a port that is gone a message just vanishes.
signal(#port{pid = Pid, via = Via, id = Id} = Row, Message, Mode, Call) ->
    {Class, Sent} = porthost_wire:message(Pid, Message),
    Waits = case Class of command -> Row; other -> Row#port{busy = false} end,
    case may_send(Waits, Mode) of
        nosuspend -> nosuspend;
        down -> ok;
        true ->
            case porthost_wire:post(Via, {send, Id, self(), Sent}) of
                {error, Reason} -> fail(Reason, Call);
                _ -> ok
            end
    end.

may_send(#port{busy = true, state = open}, nosuspend) ->
    nosuspend;
may_send(Row, _) ->
    case porthost_port:wait_idle(Row) =:= ok andalso porthost_port:in_turn(Row) of
        ok -> true;
        _ -> down
    end.

receiver(To) when is_pid(To); is_atom(To) -> lookup(To);
receiver(_) -> none.

%% Common to all.

lookup(Port) when is_pid(Port) ->
    case porthost_registry:lookup(Port) of
        #port{} = Row -> Row;
        _ -> none
    end;
lookup(Port) when erlang:is_port(Port) ->
    real;
lookup(Name) when is_atom(Name) ->
    case whereis(Name) of
        undefined -> none;
        Port -> lookup(Port)
    end;
lookup(_) ->
    none.

%% A request that does not overtake messages that the caller has sent to the port.
in_turn(#port{via = Via} = Row, Request) ->
    case porthost_port:in_turn(Row) of
        down -> down;
        _ -> porthost_wire:request(Via, Request)
    end.

%% The same, but nothing for a port that is closing.
while_open(#port{state = closing}, _) -> down;
while_open(Row, Request) -> in_turn(Row, Request).

output(#port{pid = Pid}, Data, Call) ->
    try porthost_wire:data(Data)
    catch error:badarg -> porthost_wire:bad_output(Pid), fail(badarg, Call)
    end.

flat(Data, Call) ->
    try porthost_wire:flat(Data)
    catch error:badarg -> fail(badarg, Call)
    end.

options(Options, Allowed) ->
    is_list(Options) andalso length_or_improper(Options) =/= improper
        andalso lists:all(fun(Option) -> lists:member(Option, Allowed) end, Options).

length_or_improper(List) ->
    try length(List)
    catch error:badarg -> improper
    end.

posted(ok, _) -> true;
posted(down, Call) -> fail(badarg, Call);
posted({error, Reason}, Call) -> fail(Reason, Call).

value({ok, Value}, _) -> Value;
value({error, system_limit}, Call) -> fail(system_limit, Call);
value(_, Call) -> fail(badarg, Call).

%% Raise an error as if in the function that the user has called.
-spec fail(term(), {atom(), [term()]}) -> no_return().
fail(Reason, {Function, Args}) ->
    {current_stacktrace, Stack} = process_info(self(), current_stacktrace),
    Callers = lists:dropwhile(fun(Frame) -> lists:member(element(1, Frame), [erlang, ?MODULE]) end,
                              Stack),
    erlang:raise(error, Reason, [{?MODULE, Function, Args, []} | Callers]).
