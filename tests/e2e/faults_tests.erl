%% SPDX-License-Identifier: Apache-2.0
%% The system fails the daemon while clients work (tests/preload/faults.c): connections break, descriptors run out, memory, threads, the disk. Every request is answered or
%% its connection ends; what is answered is right; and when the fault is over the daemon serves as before and has lost nothing.
-module(faults_tests).
-include_lib("eunit/include/eunit.hrl").

-define(CLIENTS, 6).
-define(PATIENCE, 20000). % longer than anything may take, on a machine that is busy

it_serves_on_when_the_fault_is_over_test_() ->
    [{Kind ++ ", one of " ++ integer_to_list(Rate), {timeout, 120, fun() -> fault(Kind, Rate) end}}
     || {Kind, Rate} <- [{"reset", 20}, {"fds", 3}, {"memory", 50}, {"memory", 3}, {"threads", 1}, {"disk", 1}, {"reset,fds,memory,threads,disk", 15}]].

fault(Kind, Rate) ->
    Switch = switch(),
    D = start(Kind, Rate, 1, Switch),
    session(connect(D)),
    Before = settled(D),
    ok = file:write_file(Switch, ""),
    Result = load(D, seconds() * 1000),
    ok = file:delete(Switch),
    try
        raw_client:eventually(fun() -> serves(D) end),
        ?assertMatch({_, _, []}, Result),
        raw_client:eventually(fun() -> has_lost_nothing(D, Before) end)
    catch
        Class:Reason:Stack ->
            Log = raw_client:log(D),
            ?debugFmt("~s", [binary:part(Log, byte_size(Log), -min(2000, byte_size(Log)))]),
            raw_client:stop(D),
            erlang:raise(Class, Reason, Stack)
    end,
    ?assertEqual(0, raw_client:stop(D)).

%% The parent's pipes: when one is broken the connection has ended, and with it the daemon.
it_ends_when_the_pipe_to_its_parent_breaks_test_() ->
    {timeout, 120, fun() -> [?assertEqual(0, for_parent(Seed)) || Seed <- lists:seq(1, 8)] end}.

for_parent(Seed) ->
    Options = [{args, ["--stdio", "--driver-path", lists:join(":", raw_client:driver_path())]}, {packet, 4}, binary, exit_status, use_stdio],
    P = with_env(env("reset", 10, Seed), fun() -> erlang:open_port({spawn_executable, program()}, Options) end),
    tell(P, {hello, 1, #{self => self()}}),
    tell(P, {open, o, 1, 1, self(), "echo_drv", []}),
    talk(P, binary:copy(<<"x">>, 3000), 10000).

%% The daemon's exit status, if it ends while it is talked to.
talk(_, _, 0) ->
    serves_on;
talk(P, Data, N) ->
    tell(P, {command, 1, self(), Data}),
    receive
        {P, {exit_status, Status}} -> Status;
        {P, {data, _}} -> talk(P, Data, N - 1)
    after ?PATIENCE -> no_answer
    end.

tell(P, Frame) ->
    try erlang:port_command(P, term_to_binary(Frame)) catch error:badarg -> gone end.

%% How long each load lasts: make test-faults has more time than make test.
seconds() ->
    list_to_integer(os:getenv("FAULTS_SECONDS", "1")).

%% --- starting ---

it_starts_or_says_why_not_test_() ->
    [{Kind, {timeout, 120, fun() -> [begins(Kind, Seed) || Seed <- lists:seq(1, 8)] end}} || Kind <- ["fds", "threads"]].

begins(Kind, Seed) ->
    Dir = switch() ++ ".d",
    ok = file:make_dir(Dir),
    Socket = filename:join(Dir, "s"),
    Log = filename:join(Dir, "log"),
    Command = ["exec ", program(), " --unix ", Socket, " </dev/null 2>", Log],
    P = with_env(env(Kind, 6, Seed) , fun() -> erlang:open_port({spawn_executable, "/bin/sh"}, [{args, ["-c", lists:flatten(Command)]}, exit_status]) end),
    {os_pid, Pid} = erlang:port_info(P, os_pid),
    ends_or_serves(P, Pid, Socket, Log, 400),
    ok = file:del_dir_r(Dir).

ends_or_serves(P, Pid, Socket, Log, N) ->
    receive
        {P, {exit_status, Status}} ->
            {ok, Text} = file:read_file(Log),
            ?assertMatch({1, {match, _}}, {Status, re:run(Text, "^error ", [multiline])})
    after 50 ->
        case gen_tcp:connect({local, Socket}, 0, [local]) of
            {ok, S} ->
                gen_tcp:close(S),
                os:cmd("kill " ++ integer_to_list(Pid)),
                receive {P, {exit_status, 0}} -> ok after ?PATIENCE -> error({does_not_end, Pid}) end;
            {error, _} when N > 0 ->
                ends_or_serves(P, Pid, Socket, Log, N - 1)
        end
    end.

%% --- threads, when callbacks do not come back ---

%% The only reactor's thread is in a callback, and no other can be started for a while.
a_reactor_goes_on_as_soon_as_there_is_a_thread_for_it_test_() ->
    stuck(fun(D, NoThreads, Gate) ->
        [Stuck, Other] = [connect(D), connect(D)],
        ok = raw_client:open(Stuck, 1, "strain_probe_drv"),
        raw_client:send(Stuck, {control, stuck, 1, self(), 7, Gate}),
        raw_client:logged(D, "^warning .*no thread can be started"),
        raw_client:send(Other, {ping, other}),
        ?assertEqual(timeout, raw_client:next(Other, 100)),
        ok = file:delete(NoThreads),
        ?assertEqual({ok, other, pong}, raw_client:next(Other)),
        ?assertEqual(timeout, raw_client:next(Stuck, 0)),
        raw_client:logged(D, "^info .*each reactor has a thread again"),
        ok = file:delete(Gate),
        ?assertEqual({ok, stuck, []}, raw_client:next(Stuck))
    end).

%% That callback comes back meanwhile: its thread goes on itself.
a_reactor_without_a_thread_is_gone_on_with_by_the_one_that_comes_back_test_() ->
    stuck(fun(D, _, Gate) ->
        [Stuck, Other] = [connect(D), connect(D)],
        ok = raw_client:open(Stuck, 1, "strain_probe_drv"),
        raw_client:send(Stuck, {control, stuck, 1, self(), 7, Gate}),
        raw_client:logged(D, "^warning .*no thread can be started"),
        raw_client:send(Other, {ping, other}),
        ok = file:delete(Gate),
        ?assertEqual({ok, other, pong}, raw_client:next(Other)),
        ?assertEqual({ok, stuck, []}, raw_client:next(Stuck))
    end).

%% The same with the only worker; it is said once.
a_worker_is_started_as_soon_as_one_can_be_test_() ->
    stuck(fun(D, NoThreads, Gate) ->
        S = connect(D),
        [{ok, _} = raw_client:request(S, {open, N, N, N, self(), "strain_locking_probe_drv", [{parallelism, true}]}) || N <- [1, 2]],
        raw_client:send(S, {control, stuck, 1, self(), 7, Gate}),
        %% not before: the worker may still be at the end of the other's start, and take this along
        raw_client:eventually(fun() -> {ok, [Stats, _]} = raw_client:request(S, {port_stats, stats, connection}), maps:get(running, Stats) =:= control end),
        raw_client:send(S, {control, other, 2, self(), 5, ""}),
        raw_client:logged(D, "^warning .*no other can be started"),
        ?assertEqual(timeout, raw_client:next(S, 100)),
        ok = file:delete(NoThreads),
        ?assertEqual({ok, other, []}, raw_client:next(S)),
        ?assertMatch({match, [_]}, re:run(raw_client:log(D), "no other can be started", [global])),
        ok = file:delete(Gate),
        ?assertEqual({ok, stuck, []}, raw_client:next(S))
    end).

%% A test with a daemon of one reactor and one worker. While there is the first file, no thread can be started; the second is for a callback to await the end of.
stuck(Test) ->
    {timeout, 120, fun() ->
        Dir = switch() ++ ".d",
        ok = file:make_dir(Dir),
        [Config, NoThreads, Gate] = [filename:join(Dir, F) || F <- ["config", "no_threads", "gate"]],
        %% a start that took long under load would have the workers run the driver
        ok = file:write_file(Config, "{\"reactors\": 1, \"workers\": 1, \"drivers\": {\"strain_probe_drv\": {\"worker\": \"never\"}}}"),
        D = start("threads", 1, 1, NoThreads, ["--config", Config, "--log-level", "info"]),
        [ok = file:write_file(F, "") || F <- [NoThreads, Gate]],
        try Test(D, NoThreads, Gate)
        after
            [file:delete(F) || F <- [NoThreads, Gate]],
            ?assertEqual(0, raw_client:stop(D))
        end,
        ok = file:del_dir_r(Dir)
    end}.

%% --- a daemon ---

program() ->
    filename:absname(os:getenv("PORTHOSTD", "build/porthostd")).

switch() ->
    filename:join(os:getenv("TMPDIR", "/tmp"), lists:concat(["porthost-faults-", os:getpid(), "-", erlang:unique_integer([positive])])).

env(Kind, Rate, Seed) ->
    Library = filename:join([filename:dirname(program()), "tests", "preload", "faults.so"]),
    Asan = os:getenv("ASAN_OPTIONS", "") ++ ":verify_asan_link_order=0",
    [{"LD_PRELOAD", Library}, {"FAULTS", Kind}, {"FAULTS_RATE", integer_to_list(Rate)}, {"FAULTS_SEED", integer_to_list(Seed)}, {"ASAN_OPTIONS", Asan}].

with_env(Env, Fun) ->
    Old = [{K, os:getenv(K)} || {K, _} <- Env],
    [os:putenv(K, V) || {K, V} <- Env],
    try Fun()
    after [case V of false -> os:unsetenv(K); _ -> os:putenv(K, V) end || {K, V} <- Old]
    end.

start(Kind, Rate, Seed, Switch) ->
    start(Kind, Rate, Seed, Switch, []).

start(Kind, Rate, Seed, Switch, Args) ->
    with_env([{"FAULTS_WHILE", Switch} | env(Kind, Rate, Seed)], fun() -> raw_client:start(Args) end).

connect(D) ->
    raw_client:connect(D, #{self => self()}).

%% --- what clients do ---

%% So long: {sessions that were done, that broke off, what must not be}.
load(#{socket := Socket}, Ms) ->
    Self = self(),
    End = erlang:monotonic_time(millisecond) + Ms,
    Clients = [spawn_link(fun() -> Self ! {self(), client(Socket, End, {0, 0, []})} end) || _ <- lists:seq(1, ?CLIENTS)],
    Results = [receive {C, R} -> R after Ms + 6 * ?PATIENCE -> {0, 0, [hangs]} end || C <- Clients],
    lists:foldl(fun({A, B, C}, {X, Y, Z}) -> {A + X, B + Y, C ++ Z} end, {0, 0, []}, Results).

client(Socket, End, {Done, Broken, Wrong} = Result) ->
    case erlang:monotonic_time(millisecond) >= End orelse Wrong =/= [] of
        true -> Result;
        false -> client(Socket, End, one_session(Socket, Done, Broken))
    end.

one_session(Socket, Done, Broken) ->
    case gen_tcp:connect({local, Socket}, 0, [local, binary, {packet, 4}, {active, false}]) of
        {ok, S} ->
            try
                raw_client:send(S, {hello, 1, #{self => self()}}),
                {hello, 1, _} = hear(S),
                session(S),
                {Done + 1, Broken, []}
            catch
                throw:broken -> {Done, Broken + 1, []};
                error:{badmatch, {error, Reason}} when Reason =:= closed; Reason =:= econnreset; Reason =:= epipe; Reason =:= enotconn -> {Done, Broken + 1, []};
                Class:Reason:Stack -> {Done, Broken, [{Class, Reason, Stack}]}
            after gen_tcp:close(S)
            end;
        {error, _} ->
            timer:sleep(20),
            {Done, Broken + 1, []}
    end.

hear(S) ->
    case raw_client:next(S, ?PATIENCE) of
        {goodbye, _, _} -> throw(broken);
        Frame when is_tuple(Frame) -> Frame;
        timeout -> error(no_answer);
        _ -> throw(broken)
    end.

%% {ok, _} or {error, _}, and what came before.
ask(S, Request) ->
    raw_client:send(S, Request),
    answer(S, element(2, Request), []).

answer(S, Tag, Before) ->
    case hear(S) of
        {Result, Tag, Value} when Result =:= ok; Result =:= error -> {Result, Value, lists:reverse(Before)};
        Frame -> answer(S, Tag, [Frame | Before])
    end.

%% All that a client may ask for; it is refused or right.
session(S) ->
    {_, _, _} = ask(S, {load, l, self(), make_ref(), [], "delay_drv", []}),
    {_, _, _} = ask(S, {monitor_driver, m, self(), make_ref(), "no_such_drv", loaded}),
    [with_port(S, Id, Driver) || {Id, Driver} <- [{1, "echo_drv"}, {2, "no_such_drv"}, {3, "select_probe_drv"}, {4, "timer_probe_drv"}, {5, "thread_probe_drv"}]],
    {_, _, _} = ask(S, {unload, u, self(), make_ref(), "delay_drv", []}),
    {_, _, _} = ask(S, {ports, p, all}),
    {ok, pong, _} = ask(S, {ping, g}),
    gen_tcp:close(S).

with_port(S, Id, Driver) ->
    case ask(S, {open, o, Id, Id, self(), Driver, [binary]}) of
        {ok, _, _} when Driver =:= "echo_drv" -> echoes(S, Id), close(S, Id);
        {ok, _, _} -> [ask(S, {control, c, Id, self(), 0, T}) || T <- told(Driver)], close(S, Id);
        {error, _, _} -> refused
    end.

told("select_probe_drv") -> ["pipe in", "read_size 4", "select 1", "write hi", "deselect 5"];
told("timer_probe_drv") -> ["set 1", "set 100000", "read", "cancel"];
told("thread_probe_drv") -> ["terms_from_thread"].

echoes(S, Id) ->
    case ask(S, {control, c, Id, self(), 0, <<"hello">>}) of {ok, "hello", _} -> ok; {error, _, _} -> ok end,
    case ask(S, {call, k, Id, self(), 1, {a, "term"}}) of {ok, {ok, 1, {a, "term"}}, _} -> ok; {error, _, _} -> ok end,
    case ask(S, {set_data, d, Id, lists:duplicate(1000, x)}) of {ok, true, _} -> ok; {error, _, _} -> ok end,
    [echo(S, Id, binary:copy(<<"x">>, Size)) || Size <- [10, 1000, 300000]].

%% A command is never lost in silence.
echo(S, Id, Data) ->
    raw_client:send(S, {command, Id, self(), Data}),
    echoed(S, Id, Data).

echoed(S, Id, Data) ->
    case hear(S) of
        {send, _, {Id, {data, Data}}} -> ok;
        {exit, Id, _} -> ok;
        {send, _, {Id, {data, Other}}} -> error({other_data, byte_size(Other)});
        _ -> echoed(S, Id, Data)
    end.

close(S, Id) ->
    {_, _, _} = ask(S, {close, x, Id, self()}).

%% --- afterwards ---

serves(#{socket := Socket}) ->
    case one_session(Socket, 0, 0) of
        {1, 0, []} -> true;
        Other -> Other
    end.

settled(D) ->
    case counts(D) of
        {[0, 1], _} = Counts -> Counts;
        _ -> timer:sleep(10), settled(D) % a connection that was closed is not gone yet, perhaps that of the last look
    end.

counts(D) ->
    S = connect(D),
    Counts = raw_client:stats(S, [ports, connections]),
    Fds = filelib:wildcard("/proc/" ++ integer_to_list(raw_client:os_pid(D)) ++ "/fd/*"),
    gen_tcp:close(S),
    {Counts, length(Fds)}.

has_lost_nothing(D, {Counts, Fds}) ->
    case counts(D) of
        {Counts, Now} when Now =< Fds -> true;
        Other -> {Other, before, {Counts, Fds}}
    end.
