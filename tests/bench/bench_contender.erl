%% SPDX-License-Identifier: Apache-2.0
%% The contenders, each behind the same two functions, and the programs that they need. All live as long as this node.
%%
%% trip(Op, Data) gives a fun that does one round trip: the work of a caller that waits. stream(Data) gives {Send, Receive}: funs for one
%% that does not. What can be made before (a frame) is made before.
-module(bench_contender).

-export([start/1, list/1, daemon/2, bare/2, program/2, wait_for_socket/1]).

-define(DRIVER, "bench_drv").
-define(OP_ECHO, 0).
-define(PORT_ID, 1).

%% Adds to Env: `modes', the settings of busy polling that there are; `servers', what listens: [{Mode, Unix, Tcp}].
start(Env) ->
    ok = erl_ddll:load_driver(drivers(Env), ?DRIVER),
    Modes = modes(Env),
    Servers = [server(Env, Mode) || Mode <- Modes],
    Bare = {bare, Path, Tcp} = {bare, scratch(Env, "bare.sock"), free_port()},
    spawn_program(bare(Env, ["unix", Path])),
    spawn_program(bare(Env, ["tcp", integer_to_list(Tcp)])),
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

%% One for the program that only echoes frames.
bare(Env, Words) ->
    lists:append(lists:join(" ", [program(Env, "tests/bench/bare_echo") | Words])).

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
        ++ [frames("bare port program", program_way(bare(Env, []))),
            frames("bare port program, pipes of 1 MiB", program_way(bare(Env, ["large"]))),
            maps:remove(trip, relayed("bare port program, relayed", bare(Env, []), 1)),
            maps:remove(trip, relayed("bare port program, answering twice, relayed", bare(Env, ["twice"]), 2)),
            maps:remove(stream, relayed("bare port program, polling, relayed", bare(Env, ["polling"]), 1)),
            maps:remove(stream, relayed("bare port program, waiting, relayed", bare(Env, ["waiting"]), 1)),
            frames("bare unix socket", socket_way({local, BarePath}, 0)),
            frames("bare tcp socket", socket_way({127, 0, 0, 1}, BareTcp)),
            c_node(Env)].

hosted(Env, {{Suffix, _} = Mode, Path, Tcp}) ->
    Stdio = daemon(Env, Mode) ++ " --stdio",
    [driver(Name ++ Suffix, porthost, hosted_port(Transport))
     || {Name, Transport} <- [{"stdio", {spawn, Stdio}}, {"unix", {unix, Path}}, {"tcp", {tcp, {127, 0, 0, 1}, Tcp}}]]
        ++ [by_hand("stdio by hand" ++ Suffix, program_way(Stdio)),
            by_hand("unix by hand" ++ Suffix, socket_way({local, Path}, 0))].

hosted_port(Transport) ->
    {ok, Host} = porthost:start(#{transport => Transport}),
    fun() -> porthost:open_port(Host, {spawn_driver, ?DRIVER}, [binary]) end.

%% Ways for frames, as a user would write them by hand: {Reader, Write}, whose messages bring frames, and a fun that sends one.

program_way(Command) ->
    Port = open_port({spawn, Command}, [{packet, 4}, binary]),
    {Port, fun(Frame) -> port_command(Port, Frame) end}.

socket_way(Address, Number) ->
    NoDelay = [{nodelay, true} || Number > 0],
    {ok, Socket} = gen_tcp:connect(Address, Number, [{packet, 4}, {active, true}, binary | NoDelay]),
    {Socket, fun(Frame) -> ok = gen_tcp:send(Socket, Frame) end}.

received(Reader, Patience) ->
    receive
        {Reader, {data, Frame}} -> Frame;
        {tcp, Reader, Frame} -> Frame
    after Patience -> error(no_answer)
    end.

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
frames(Name, {Reader, Write}) ->
    Receive = fun() -> received(Reader, infinity) end,
    #{name => list_to_binary(Name),
      trip => fun(_, Data) -> fun() -> Write(Data), Receive() end end,
      stream => fun(Data) -> {fun() -> Write(Data) end, Receive} end}.

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
by_hand(Name, {Reader, Write}) ->
    Write(term_to_binary({hello, 1, #{self => self()}})),
    Write(term_to_binary({open, 1, ?PORT_ID, bench, self(), ?DRIVER, [binary]})),
    await_ok(Reader),
    Receive = fun() -> answered(Reader) end,
    Frame = fun(control, Data) -> term_to_binary({control, 1, ?PORT_ID, self(), ?OP_ECHO, Data});
               (command, Data) -> term_to_binary({command, ?PORT_ID, self(), Data})
            end,
    #{name => list_to_binary(Name),
      trip => fun(Op, Data) -> F = Frame(Op, Data), fun() -> Write(F), Receive() end end,
      stream => fun(Data) -> F = Frame(command, Data), {fun() -> Write(F) end, Receive} end}.

%% Busy events answer nothing.
answered(Reader) ->
    case received(Reader, infinity) of
        <<131, $h, 3, $w, 4, "busy", _/binary>> -> answered(Reader);
        _ -> ok
    end.

await_ok(Reader) ->
    case binary_to_term(received(Reader, 5000)) of
        {ok, 1, _} -> ok;
        _ -> await_ok(Reader)
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
