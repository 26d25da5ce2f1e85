%% SPDX-License-Identifier: Apache-2.0
%% The mixed load: everything that porthost is for, at once and for a long time, against one daemon; every answer is verified. The time is cut into periods. In each all
%% loads are at work, round after round; at its end all of them close what they have, and the daemon is measured in the quiet moment. Two hosts and a few ports
%% stay all the time. main/0 is for scripts/soak, run/1 also for tests/e2e/mixed_tests.erl. Run from the top directory; raw_client says which daemon.
-module(mixed_run).
-export([main/0, run/1]).

-define(MIB, 1048576).
-define(STUCK_MS, 60000). % no load needs that long for a round
-define(COOKIE, <<"a cookie of the mixed load">>).

%% {name, ms of rest between rounds, a round}. The rests keep two processors less than busy, so that a long run is steady.
loads() ->
    [{"SQLite", 60, fun(Env) -> mixed_loads:sqlite(1, Env) end},
     {"SQLite, another", 60, fun(Env) -> mixed_loads:sqlite(2, Env) end},
     {"Megaco scanner", 100, fun mixed_loads:megaco/1},
     {"example drivers", 40, fun mixed_loads:examples/1},
     {"example drivers, more", 40, fun mixed_loads:examples/1},
     {"all areas of the API", 0, fun(#{parity := P}) -> mixed_parity:next(P) end},
     {"at random, in order", 300, fun mixed_loads:order/1},
     {"connections by hand", 20, fun mixed_loads:by_hand/1},
     {"clients in C", 200, fun mixed_clients:cases/1},
     {"clients that are killed", 1000, fun mixed_clients:killed/1},
     {"nodes that are killed", 15000, fun mixed_clients:killed_node/1},
     {"drivers loaded anew", 250, fun mixed_loads:reloaded/1},
     {"configuration read again", 500, fun mixed_loads:reread/1},
     {"looked at and traced", 200, fun mixed_loads:looked_at/1}].

-define(ERRORS, 5). % lines of the log that are shown

%% SOAK_MIXED: a directory for what mixed.gnuplot draws.
main() ->
    Seconds = list_to_integer(os:getenv("SOAK_SECONDS")),
    io:format("~nMixed load for ~b s~n", [Seconds]),
    heading(),
    try run(Seconds) of
        Result -> halt(told(Result))
    catch
        error:Why -> io:format("FAILED: ~tp~n", [Why]), halt(1)
    end.

told(#{quiet := Quiet, done := Done, samples := Samples, status := Status, log := Log, errors := Errors}) ->
    totals(Done, Log),
    [io:format("~ts~n", [Line]) || Line <- lists:sublist(Errors, ?ERRORS)],
    draw(os:getenv("SOAK_MIXED"), Samples, Quiet),
    Verdict = mixed_watch:verdict(Quiet),
    {Early, Late} = mixed_watch:parts(Quiet),
    io:format("~nThe last ~b quiet moments against the ~b after the warm-up: ~0p; the daemon's status: ~0p~n", [length(Late), length(Early), Verdict, Status]),
    case {Verdict, Status, Errors} of {ok, 0, []} -> 0; _ -> 1 end.

%% #{quiet => [Sample], samples => [Sample], done => #{load => {rounds, answers}}, status => of the daemon, log => lines of each level, errors => those of errors}.
%% Whatever is wrong is an error, with the seed.
run(Seconds) ->
    %% Drivers of others leak (OTP's Megaco scanner a struct for each port), for which a sanitizer would blame the daemon.
    os:putenv("ASAN_OPTIONS", os:getenv("ASAN_OPTIONS", "") ++ ":detect_leaks=0"),
    Seed = list_to_integer(os:getenv("SOAK_SEED", "4")),
    Trace = filename:join(os:getenv("TMPDIR", "/tmp"), "porthost-mixed-" ++ os:getpid()),
    os:putenv("PH_PROBE_TRACE", Trace),
    D = raw_client:start_configured(fun(Dir, Socket) ->
        cookie_file(Dir),
        configuration(usual, Dir, Socket)
    end),
    Result = try with_daemon(D, Trace, Seconds, Seed)
             catch Class:Why:Stack ->
                 Log = raw_client:log(D),
                 error({{seed, Seed}, Class, Why, Stack, {status, raw_client:stop(D)}, {log, end_of(Log)}})
             after [file:delete(Trace ++ T) || T <- ["", ".vm"]]
             end,
    Whole = raw_client:log(D),
    Result#{log => levels(Whole), errors => errors(Whole), status => raw_client:stop(D)}.

end_of(Log) ->
    binary_to_list(binary:part(Log, byte_size(Log), -min(byte_size(Log), 2000))).

with_daemon(D, Trace, Seconds, Seed) ->
    Loads = mixed_loads:prepare(#{daemon => D}),
    preload(D),
    Kept = keep(),
    Env = Loads#{daemon => D, tcp => tcp_port(D), cookie => ?COOKIE, configure => fun configuration/3, parity => mixed_parity:start(D, Trace), seed => Seed},
    S = raw_client:connect(D),
    Watch = mixed_watch:start(D, max(100, Seconds)),
    [Connections, Ports] = raw_client:stats(S, [connections, ports]),
    N = if Seconds < 100 -> 4; true -> 20 end,
    {Quiet, Done, _} = lists:foldl(fun(Period, Before) -> period(Period, Seconds * 1000 div N, Env, S, Before) end,
                                   {[], #{}, #{connections => Connections, ports => Ports}}, lists:seq(1, N)),
    Samples = mixed_watch:stop(Watch),
    kept(Kept),
    ok = mixed_parity:stop(maps:get(parity, Env)),
    ok = porthost:stop(maps:get(host, Env)),
    gen_tcp:close(S),
    #{quiet => lists:reverse(Quiet), samples => Samples, done => Done}.

%% --- the daemon ---

cookie_file(Dir) ->
    File = filename:join(Dir, "cookie"),
    ok = file:write_file(File, ""),
    ok = file:change_mode(File, 8#600),
    ok = file:write_file(File, ?COOKIE).

configuration(Which, Dir, Socket) ->
    Path = [filename:join(code:priv_dir(p1_sqlite3), ""), filename:join(code:priv_dir(megaco), "lib") | raw_client:driver_path()],
    Listeners = [["{\"unix\": \"", Socket, "\", \"administer\": true}"],
                 ["{\"tcp\": \"127.0.0.1:0\", \"cookie_file\": \"", Dir, "/cookie\"}"]] ++ [["{\"unix\": \"", Dir, "/second\"}"] || Which =:= small],
    Frame = case Which of usual -> 1 bsl 27; small -> 1 bsl 26 end,
    ["{\"listeners\": [", lists:join(", ", Listeners), "], \"driver_path\": [", lists:join(", ", [["\"", P, "\""] || P <- Path]), "],",
     " \"limits\": {\"frame_bytes\": ", integer_to_list(Frame), "}}"].

tcp_port(D) ->
    {match, [Port]} = re:run(raw_client:log(D), "127\\.0\\.0\\.1:([0-9]+)", [{capture, all_but_first, list}]),
    list_to_integer(Port).

%% Those that the loads use besides each other: cases of tests/parity that ask for drivers find always the same.
preload(D) ->
    S = raw_client:connect(D),
    [ok = raw_client:open(S, 1, Driver) || Driver <- ["echo_drv", "delay_drv", "crunch_drv", "soak_probe_drv", "soak_locking_probe_drv", "reload_probe_drv"],
                                           _ <- [raw_client:request(S, {close, close, 1, self()})]],
    gen_tcp:close(S).

levels(Log) ->
    lists:foldl(fun(Line, Levels) ->
        maps:update_with(hd(binary:split(Line, <<" ">>)), fun(N) -> N + 1 end, 1, Levels)
    end, #{}, lines(Log)).

%% But for what a case of tests/parity does on purpose: it selects a descriptor that is closed.
errors(Log) ->
    [Line || Line <- lines(Log), re:run(Line, "^(error|critical)", [caseless]) =/= nomatch,
             re:run(Line, "select: fd [0-9]+ cannot be waited for: Bad file descriptor") =:= nomatch].

lines(Log) ->
    binary:split(Log, <<"\n">>, [global, trim]).

%% --- what stays ---

%% With drivers that are then loaded all the time.
keep() ->
    {ok, Db} = sqlite3:open(mixed_kept, [in_memory]),
    ok = sqlite3:sql_exec(Db, "create table t (id integer primary key, name text)"),
    [{rowid, Id} = sqlite3:sql_exec(Db, "insert into t (name) values (?)", [integer_to_list(Id)]) || Id <- lists:seq(1, 1000)],
    {ok, Scanner} = megaco_flex_scanner:start(),
    P = porthost:open_port({spawn_driver, "echo_drv"}, []),
    {Db, Scanner, P}.

kept({Db, Scanner, P}) ->
    stopped = megaco_flex_scanner:stop(Scanner),
    Rows = [{Id, integer_to_binary(Id)} || Id <- lists:seq(1, 1000)],
    {rows, Rows} = lists:keyfind(rows, 1, sqlite3:sql_exec(Db, "select * from t order by id")),
    "still here" = porthost:port_control(P, 0, "still here"),
    true = porthost:port_close(P),
    sqlite3:close(Db).

%% --- periods ---

period(Number, Ms, #{daemon := D, seed := Seed} = Env, S, {Quiet, Done, Expected}) ->
    Begun = erlang:monotonic_time(millisecond),
    Workers = [worker(Load, Env, Begun + Ms, {Seed, Number, N}) || {N, Load} <- lists:enumerate(loads())],
    After = finished(Workers, Begun + Ms + ?STUCK_MS, Done),
    Moment = (mixed_watch:quiet(D, S, Expected))#{answers => lists:sum([A || {_, A} <- maps:values(After)]), ms => elapsed(Quiet, Begun)},
    row(Moment, Quiet),
    {[Moment | Quiet], After, maps:merge(maps:with([fds, threads], Moment), Expected)}.

elapsed([], Begun) -> erlang:monotonic_time(millisecond) - Begun;
elapsed([#{ms := Before} | _], Begun) -> Before + erlang:monotonic_time(millisecond) - Begun.

worker({Name, Rest, Round}, Env, End, Seed) ->
    {Pid, Ref} = spawn_monitor(fun() ->
        rand:seed(exsss, Seed),
        exit({finished, rounds(Round, Env, Rest, End, {0, 0})})
    end),
    {Ref, {Name, Pid}}.

rounds(Round, Env, Rest, End, {Rounds, Answers}) ->
    Done = {Rounds + 1, Answers + Round(Env)},
    Left = End - erlang:monotonic_time(millisecond),
    timer:sleep(max(0, min(Rest, Left))),
    if Left =< Rest -> Done; true -> rounds(Round, Env, Rest, End, Done) end.

%% All must have ended by then.
finished([], _, Sums) ->
    Sums;
finished(Workers, Latest, Sums) ->
    receive
        {'DOWN', Ref, process, _, Why} ->
            case {lists:keytake(Ref, 1, Workers), Why} of
                {{value, {_, {Name, _}}, Rest}, {finished, {Rounds, Answers}}} ->
                    finished(Rest, Latest, maps:update_with(Name, fun({R, A}) -> {R + Rounds, A + Answers} end, {Rounds, Answers}, Sums));
                {{value, {_, {Name, _}}, _}, _} -> error({load_failed, Name, Why});
                {false, _} -> finished(Workers, Latest, Sums)
            end
    after max(0, Latest - erlang:monotonic_time(millisecond)) ->
        error({stuck, [{Name, process_info(Pid, current_stacktrace)} || {_, {Name, Pid}} <- Workers]})
    end.

%% --- telling ---

heading() ->
    io:format("~6s ~12s ~10s ~10s ~6s ~8s ~12s ~8s~n", ["s", "answers", "a second", "MiB", "fds", "threads", "connections", "ports"]).

row(#{ms := Ms, answers := Answers, rss := Rss, fds := Fds, threads := Threads, connections := Connections, ports := Ports}, Quiet) ->
    {Ms0, Answers0} = case Quiet of [] -> {0, 0}; [#{ms := M, answers := A} | _] -> {M, A} end,
    io:format("~6b ~12b ~10b ~10.1f ~6b ~8b ~12b ~8b~n",
              [Ms div 1000, Answers, (Answers - Answers0) * 1000 div max(1, Ms - Ms0), Rss / ?MIB, Fds, Threads, Connections, Ports]).

totals(Done, Log) ->
    io:format("~n~-28s ~10s ~12s~n", ["", "rounds", "answers"]),
    [begin {Rounds, Answers} = maps:get(Name, Done), io:format("~-28s ~10b ~12b~n", [Name, Rounds, Answers]) end || {Name, _, _} <- loads()],
    io:format("Lines in the daemon's log:~s~n", [[[" ", Level, " ", integer_to_list(N)] || {Level, N} <- maps:to_list(Log)]]).

draw(Dir, Samples, Quiet) ->
    Line = fun(#{ms := Ms, rss := Rss, fds := Fds, threads := Threads, connections := Connections, ports := Ports}) ->
        io_lib:format("~.3f ~.2f ~b ~b ~b ~b~n", [Ms / 1000, Rss / ?MIB, Fds, Threads, Connections, Ports])
    end,
    [ok = file:write_file(filename:join(Dir, Name), [Line(S) || S <- List]) || {Name, List} <- [{"samples", Samples}, {"quiet", Quiet}]].
