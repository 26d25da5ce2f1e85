%% SPDX-License-Identifier: Apache-2.0
%% The contenders, each behind the same two functions, and the programs that they need. All live as long as this node.
%%
%% trip(Op, Data) gives a fun that does one round trip: the work of a caller that waits. stream(Data) gives {Send, Receive}: funs for one
%% that does not. What can be made before (a frame) is made before.
-module(bench_contender).

-export([start/1, list/1, daemon/2, program/2, wait_for_socket/1]).

-define(DRIVER, "bench_drv").
-define(OP_ECHO, 0).
-define(PORT_ID, 1).

%% Adds to Env: `modes', the settings of busy polling that there are; `servers', what listens: [{Mode, Unix, Tcp}].
start(Env) ->
    ok = erl_ddll:load_driver(drivers(Env), ?DRIVER),
    Modes = modes(Env),
    Servers = [server(Env, Mode) || Mode <- Modes],
    Bare = {bare, Path, Tcp} = {bare, scratch(Env, "bare.sock"), free_port()},
    spawn_program(bare(Env, "unix", Path)),
    spawn_program(bare(Env, "tcp", integer_to_list(Tcp))),
    [wait_for_socket(P) || {_, P, _} <- [Bare | Servers]],
    Env1 = Env#{modes => Modes, servers => Servers, bare => Bare},
    Env1#{contenders => contenders(Env1)}.

list(#{contenders := Contenders}) ->
    Contenders.

drivers(Env) -> program(Env, "tests/bench/drivers").

program(#{build := Build}, Name) -> filename:join(Build, Name).

scratch(#{scratch := Scratch}, Name) -> filename:join(Scratch, Name).

%% A command line that starts the daemon.
daemon(Env, {_, Options}) ->
    lists:flatten([program(Env, "porthostd"), " --log-level error --driver-path ", drivers(Env), ":", code:priv_dir(p1_sqlite3),
                   Options]).

bare(Env, Kind, Where) ->
    lists:flatten([program(Env, "tests/bench/bare_echo"), " ", Kind, " ", Where]).

%% {suffix of the name, options}
modes(Env) ->
    Help = os:cmd(program(Env, "porthostd") ++ " --help"),
    case string:find(Help, "--busy-poll-us") of
        nomatch -> [{"", ""}];
        _ -> [{"", ""}, {", no polling", " --busy-poll-us 0"}]
    end.

server(Env, {Name, _} = Mode) ->
    Path = scratch(Env, "host" ++ integer_to_list(length(Name)) ++ ".sock"),
    Tcp = free_port(),
    spawn_program([daemon(Env, Mode), " --unix ", Path, " --tcp 127.0.0.1:", integer_to_list(Tcp)]),
    {Mode, Path, Tcp}.

%% It ends with this node: the shell waits for its stdin to end, and kills it.
spawn_program(Command) ->
    open_port({spawn_executable, "/bin/sh"},
              [{args, ["-c", lists:flatten([Command, " </dev/null >/dev/null & cat; kill $!"])]}, binary]).

free_port() ->
    {ok, Socket} = gen_tcp:listen(0, [{ip, {127, 0, 0, 1}}]),
    {ok, Number} = inet:port(Socket),
    gen_tcp:close(Socket),
    Number.

wait_for_socket(Path) -> wait_for_socket(Path, 500).

wait_for_socket(Path, 0) -> error({not_there, Path});
wait_for_socket(Path, N) ->
    case gen_tcp:connect({local, Path}, 0, []) of
        {ok, Socket} -> gen_tcp:close(Socket);
        {error, _} -> timer:sleep(10), wait_for_socket(Path, N - 1)
    end.

contenders(#{servers := Servers, bare := {_, BarePath, BareTcp}} = Env) ->
    [driver("in the VM", erlang, fun() -> open_port({spawn_driver, ?DRIVER}, [binary]) end)]
        ++ lists:append([hosted(Env, S) || S <- Servers])
        ++ [frames("bare port program", open_port({spawn, program(Env, "tests/bench/bare_echo")}, [{packet, 4}, binary])),
            maps:remove(trip, relayed("bare port program, relayed", program(Env, "tests/bench/bare_echo"), 1)),
            maps:remove(trip, relayed("bare port program, answering twice, relayed", program(Env, "tests/bench/bare_echo") ++ " twice", 2)),
            maps:remove(stream, relayed("bare port program, polling, relayed", program(Env, "tests/bench/bare_echo") ++ " polling", 1)),
            frames("bare unix socket", connect({local, BarePath}, 0)),
            frames("bare tcp socket", connect({127, 0, 0, 1}, BareTcp)),
            c_node(Env)].

hosted(Env, {{Suffix, _} = Mode, Path, Tcp}) ->
    Stdio = daemon(Env, Mode) ++ " --stdio",
    [driver(Name ++ Suffix, porthost, hosted_port(Transport))
     || {Name, Transport} <- [{"stdio", {spawn, Stdio}}, {"unix", {unix, Path}}, {"tcp", {tcp, {127, 0, 0, 1}, Tcp}}]]
        ++ [by_hand("stdio by hand" ++ Suffix, open_port({spawn, Stdio}, [{packet, 4}, binary])),
            by_hand("unix by hand" ++ Suffix, connect({local, Path}, 0))].

hosted_port(Transport) ->
    {ok, Host} = porthost:start(#{transport => Transport}),
    fun() -> porthost:open_port(Host, {spawn_driver, ?DRIVER}, [binary]) end.

%% The way the client has it: the VM's own port on the socket's descriptor.
connect(Address, Number) ->
    NoDelay = [{nodelay, true} || Number > 0],
    {ok, Socket} = gen_tcp:connect(Address, Number, [{inet_backend, inet}, binary, {active, false} | NoDelay]),
    {ok, Fd} = inet:getfd(Socket),
    put({socket, Fd}, Socket),      % kept from the garbage collector
    open_port({fd, Fd, Fd}, [{packet, 4}, binary]).

%% A port, by the functions of Module. `open' opens another.
driver(Name, Module, Open) ->
    Port = Open(),
    Send = fun(Data) -> fun() -> Module:port_command(Port, Data) end end,
    Receive = fun() -> receive {Port, {data, _}} -> ok end end,
    #{name => list_to_binary(Name), port => Port, module => Module, open => fun() -> #{port => Open(), module => Module} end,
      trip => fun(control, Data) -> fun() -> Module:port_control(Port, ?OP_ECHO, Data) end;
                 (command, Data) -> Do = Send(Data), fun() -> Do(), Receive() end
              end,
      stream => fun(Data) -> {Send(Data), Receive} end}.

%% Who only echoes frames.
frames(Name, Port) ->
    Receive = fun() -> receive {Port, {data, _}} -> ok end end,
    #{name => list_to_binary(Name),
      trip => fun(_, Data) -> fun() -> port_command(Port, Data), Receive() end end,
      stream => fun(Data) -> {fun() -> port_command(Port, Data) end, Receive} end}.

%% The answers come through another process, as they must when one reads what is for many. It makes terms and takes them apart.
relayed(Name, Program, Answers) ->
    Self = self(),
    spawn_link(fun() ->
                       Far = open_port({spawn, Program}, [{packet, 4}, binary]),
                       Self ! {relayed, Far},
                       relay(Self, Far)
               end),
    Port = receive {relayed, Opened} -> Opened end,
    Each = lists:seq(1, Answers),
    Receive = fun() -> [receive {Port, {data, _}} -> ok end || _ <- Each] end,
    Send = fun(Data) -> fun() -> port_command(Port, term_to_iovec({command, 1, Self, Data})) end end,
    #{name => list_to_binary(Name),
      trip => fun(_, Data) -> Do = Send(Data), fun() -> Do(), Receive() end end,
      stream => fun(Data) -> {Send(Data), Receive} end}.

relay(To, Port) ->
    receive
        {Port, {data, Frame}} ->
            {command, 1, To, Data} = binary_to_term(Frame),
            To ! {Port, {data, Data}}
    end,
    relay(To, Port).

%% The protocol without the library, and without encoding: what is left is the price of the way.
by_hand(Name, Port) ->
    Tell = fun(Term) -> port_command(Port, term_to_binary(Term)) end,
    Tell({hello, 1, #{self => self()}}),
    Tell({open, 1, ?PORT_ID, bench, self(), ?DRIVER, [binary]}),
    await_ok(Port),
    Receive = fun() -> answered(Port) end,
    Frame = fun(control, Data) -> term_to_binary({control, 1, ?PORT_ID, self(), ?OP_ECHO, Data});
               (command, Data) -> term_to_binary({command, ?PORT_ID, self(), Data})
            end,
    #{name => list_to_binary(Name),
      trip => fun(Op, Data) -> F = Frame(Op, Data), fun() -> port_command(Port, F), Receive() end end,
      stream => fun(Data) -> F = Frame(command, Data), {fun() -> port_command(Port, F) end, Receive} end}.

%% Busy events answer nothing.
answered(Port) ->
    receive
        {Port, {data, <<131, $h, 3, $w, 4, "busy", _/binary>>}} -> answered(Port);
        {Port, {data, _}} -> ok
    end.

await_ok(Port) ->
    receive
        {Port, {data, Frame}} ->
            case binary_to_term(Frame) of
                {ok, 1, _} -> ok;
                _ -> await_ok(Port)
            end
    after 5000 -> error(no_answer)
    end.

c_node(Env) ->
    Node = list_to_atom("bench_c" ++ os:getpid() ++ "@127.0.0.1"),
    Port = open_port({spawn_executable, program(Env, "tests/bench/c_node")},
                     [{args, [atom_to_list(Node), atom_to_list(erlang:get_cookie())]}, {line, 80}]),
    receive {Port, {data, {eol, "ready"}}} -> ok after 5000 -> error(no_c_node) end,
    Send = fun(Data) -> Message = {self(), Data}, fun() -> {bench, Node} ! Message end end,
    Receive = fun() -> receive Answer when is_binary(Answer) -> ok end end,
    #{name => <<"C node">>,
      trip => fun(_, Data) -> Do = Send(Data), fun() -> Do(), Receive() end end,
      stream => fun(Data) -> {Send(Data), Receive} end}.
