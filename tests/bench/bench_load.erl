%% SPDX-License-Identifier: Apache-2.0
%% Works with the C load generator as the caller: it takes the VM's own cost out of the picture.
-module(bench_load).

-export([items/1, scale_items/1]).

-define(CALLER, <<"C">>).
-define(TIMEOUT, 120000).
-define(LIGHT_MS, 15).      % light works last longer by this factor: they look at a p99

items(Env) ->
    Hosts = hosts(Env),
    All = Hosts ++ bares(Env),
    lists:append([trip_items(Env, Hosts, All), pipe_items(Env, All), oneway_items(Env, Hosts), burst_items(Env, Hosts),
                  other_items(Env, Hosts, All)]).

%% {Name, arguments that say how to reach it}
hosts(#{servers := Servers} = Env) ->
    lists:append([[{name("stdio", Suffix), ["run=" ++ bench_contender:daemon(Env, Mode) ++ " --stdio"]},
                   {name("unix", Suffix), ["unix=" ++ Path]},
                   {name("tcp", Suffix), ["tcp=" ++ integer_to_list(Tcp)]}]
                  || {{Suffix, _} = Mode, Path, Tcp} <- Servers]).

name(Kind, Suffix) -> list_to_binary([Kind, Suffix]).

bares(#{bare := {_, Path, Tcp}} = Env) ->
    [{<<"bare port program">>, ["bare=1", "run=" ++ bench_contender:bare(Env, [])]},
     {<<"bare port program, pipes of 1 MiB">>, ["bare=1", "run=" ++ bench_contender:bare(Env, ["large"])]},
     {<<"bare unix socket">>, ["bare=1", "unix=" ++ Path]},
     {<<"bare tcp socket">>, ["bare=1", "tcp=" ++ integer_to_list(Tcp)]}].

item(Section, Name, Param, Run) ->
    #{section => Section, caller => ?CALLER, contender => Name, param => Param, run => Run}.

%% Runs the generator; what it measured.
load(#{ms := Ms} = Env, Work, Args) ->
    Program = bench_contender:program(Env, "tests/bench/load"),
    Port = open_port({spawn_executable, Program},
                     [{args, [Work, "ms=" ++ integer_to_list(Ms) | Args]}, exit_status, {line, 200}]),
    values(Port, []).

values(Port, Acc) ->
    receive
        {Port, {data, {eol, Line}}} ->
            [Name, Value] = string:lexemes(Line, " "),
            values(Port, [value(list_to_atom(Name), list_to_float(Value)) | Acc]);
        {Port, {exit_status, 0}} -> lists:reverse(lists:append(Acc));
        {Port, {exit_status, Status}} -> error({load, Status})
    after ?TIMEOUT ->
        {os_pid, Pid} = erlang:port_info(Port, os_pid),
        os:cmd("kill " ++ integer_to_list(Pid)),
        error(timeout)
    end.

value(n, _) -> [];
value(Name, V) when Name =:= p50; Name =:= p99; Name =:= p999; Name =:= open; Name =:= close; Name =:= first ->
    [{Name, V / 1000}];
value(Name, V) -> [{Name, V}].

arg(Key, N) -> Key ++ "=" ++ integer_to_list(N).

only(Names, Values) -> [V || {Name, _} = V <- Values, lists:member(Name, Names)].

trip_items(Env, Hosts, All) ->
    [item(Section, Name, Param, fun() -> load(Env, "rtt", [arg("size", Size), arg("control", Control) | How]) end)
     || {Section, Control, Who} <- [{<<"control round trip">>, 1, Hosts}, {<<"command round trip">>, 0, All}],
        {Param, Size} <- bench_erlang:sizes(), {Name, How} <- Who].

pipe_items(Env, All) ->
    [item(<<"pipelined commands, 64 B">>, Name, integer_to_binary(W),
          fun() -> load(Env, "pipe", [arg("window", W), "size=64" | How]) end)
     || W <- [1, 4, 16, 64, 256, 1024], {Name, How} <- All].

oneway_items(Env, Hosts) ->
    File = "file=" ++ filename:join(maps:get(scratch, Env), "file"),
    [item(<<"one-way commands">>, Name, Param, fun() -> only([rate], load(Env, "oneway", [arg("size", Size) | How])) end)
     || {Param, Size} <- [{<<"64 B">>, 64}, {<<"64 KiB">>, 1 bsl 16}], {Name, How} <- Hosts]
        ++
    [item(<<"outputv to a file">>, Name, Param,
          fun() ->
                  [{bytes, V}] = only([bytes], load(Env, "oneway", [arg("size", Size), File | How])),
                  [{bytes_per_second, V}]
          end)
     || {Param, Size} <- [{<<"64 KiB">>, 1 bsl 16}, {<<"1 MiB">>, 1 bsl 20}], {Name, How} <- Hosts].

burst_items(Env, Hosts) ->
    [item(<<"driver output in bursts of 1000">>, Name, Param,
          fun() -> only([rate], load(Env, "burst", [arg("size", Size), "count=1000" | How])) end)
     || {Param, Size} <- [{<<"64 B">>, 64}, {<<"1 KiB">>, 1 bsl 10}, {<<"64 KiB">>, 1 bsl 16}], {Name, How} <- Hosts].

other_items(Env, Hosts, All) ->
    [item(<<"open and close">>, Name, <<"one port">>, fun() -> load(Env, "reopen", How) end) || {Name, How} <- Hosts]
        ++ [item(<<"start to first answer">>, Name, <<"time">>, fun() -> load(Env, "start", How) end)
            || {Name, How} <- All, is_spawned(How)].

is_spawned(How) -> lists:any(fun(A) -> lists:prefix("run=", A) end, How).

%% What needs many ports, connections or processors, or a quiet host: with the default settings, on hosts of its own.
scale_items(Env) ->
    lists:append([port_items(Env), conn_items(Env), cpu_items(Env), light_items(Env), tick_items(Env)]).

stdio(Env, Mode) -> "run=" ++ bench_contender:daemon(Env, Mode) ++ " --stdio".

port_items(#{modes := [Mode | _]} = Env) ->
    [(item(<<"among many ports">>, <<"stdio">>, integer_to_binary(N),
           fun() -> load(Env, "ports", [arg("count", N), stdio(Env, Mode)]) end))#{rounds => Rounds}
     || {N, Rounds} <- [{1, 5}, {10, 5}, {1000, 5}, {10000, 3}, {100000, 2}]].

%% 10,000 connections take 10,000 descriptors on either side.
conn_items(Env) ->
    [(item(<<"among many connections">>, <<"unix">>, integer_to_binary(N),
           fun() -> with_server(Env, fun(Path) -> load(Env, "conns", [arg("count", N), "unix=" ++ Path]) end) end))#{rounds => Rounds}
     || {N, Rounds} <- [{1, 5}, {10, 5}, {1000, 3}] ++ [{10000, 1} || descriptors() > 10500]].

descriptors() ->
    case string:to_integer(os:cmd("ulimit -n")) of
        {N, _} when is_integer(N) -> N;
        _ -> 1 bsl 20
    end.

%% A host that has done nothing before.
with_server(#{scratch := Scratch, modes := [Mode | _]} = Env, Fun) ->
    Path = filename:join(Scratch, "scale.sock"),
    Command = ["exec ", bench_contender:daemon(Env, Mode), " --unix ", Path, " </dev/null >/dev/null"],
    Port = open_port({spawn_executable, "/bin/sh"}, [{args, ["-c", lists:flatten(Command)]}, exit_status]),
    {os_pid, Pid} = erlang:port_info(Port, os_pid),
    bench_contender:wait_for_socket(Path),
    try Fun(Path)
    after
        os:cmd("kill -9 " ++ integer_to_list(Pid)),     % what a heavy port has begun is not waited for
        receive {Port, {exit_status, _}} -> file:delete(Path) end
    end.

cpu_items(#{modes := [Mode | _]} = Env) ->
    [(item(<<"computing in parallel">>, Name, integer_to_binary(N),
           fun() -> load(Env#{ms => 300}, Work, [arg("count", N) | How]) end))#{rounds => 3}
     || N <- [1, 2, 4, 16],
        {Name, Work, How} <- [{<<"ports with their own lock">>, "cpu", [stdio(Env, Mode)]},
                              {<<"ports with one lock">>, "cpu", ["driver=bench_locked_drv", stdio(Env, Mode)]},
                              {<<"threads of a C program">>, "spin", []}]].

%% The heavy port is on the light one's connection, on another connection of the same host, or in another host: that is the same load
%% from an unrelated process.
light_items(#{ms := Ms} = Env) ->
    [(item(<<"a light port beside a heavy one">>, list_to_binary([Light, ", ", Where]), list_to_binary(Heavy),
           fun() -> light(Env#{ms => max(Ms * ?LIGHT_MS, Least)}, Driver, Heavy, Where) end))#{rounds => 2}
     || {Heavy, Least} <- [{"spin", 0}, {"block", 2000}],
        {Light, Driver} <- [{"port lock", "bench_drv"}, {"driver lock", "bench_locked_drv"}],
        Where <- ["alone", "another process", "same connection", "another connection"]].

light(Env, Driver, Heavy, Where) ->
    with_server(Env, fun(Path) -> light(Env, Driver, Heavy, Where, Path) end).

light(#{servers := [{_, Other, _} | _]} = Env, Driver, Heavy, Where, Path) ->
    Args = case Where of
               "alone" -> ["heavy=none"];
               "another process" -> ["heavy=" ++ Heavy, "other=" ++ Other];
               "same connection" -> ["heavy=" ++ Heavy];
               "another connection" -> ["heavy=" ++ Heavy, "other=" ++ Path]
           end,
    load(Env, "light", ["driver=" ++ Driver, "unix=" ++ Path | Args]).

tick_items(#{modes := Modes} = Env) ->
    [(item(<<"CPU time of the host, microseconds in a second">>, name("stdio", Suffix), Param,
           fun() -> load(Env#{ms => 1000}, "tick", [arg("count", N), stdio(Env, Mode)]) end))#{rounds => 3}
     || {Param, N} <- [{<<"idle">>, 0}, {<<"a message every 10 ms">>, 1}], {Suffix, _} = Mode <- Modes].
