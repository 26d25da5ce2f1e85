%% SPDX-License-Identifier: Apache-2.0
%% The hostile crowd (the program hostile) against a daemon that is configured for strangers: what its good clients noticed, what the daemon needed meanwhile and what is
%% left of it. main/0 is for scripts/soak, run/3 also for tests/e2e/hostile_tests.erl. Run from the top directory; raw_client says which daemon.
-module(hostile_run).
-export([main/0, run/3, bound/1]).

-define(MIB, 1048576).

%% The limits of strangers.
-define(LIMITS, [{hello_connections, 200}, {hello_bytes, 4096}, {hello_s, 3}, {ports_per_connection, 1000}, {frame_bytes, 262144}, {port_queue_bytes, 65536},
                 {request_bytes, 65536}, {unsent_pause_bytes, 65536}, {unsent_bytes, 262144}, {kept_bytes, 131072}, {new_names, 16}]).
-define(DRIVERS, [{"echo_drv", 1000000}, {"delay_drv", 1000}]). % ports of each
-define(PORT_BYTES, 1024). % of memory for a port, with its driver's own
-define(IDLE_MS, 3000).    % after which it has given memory back
-define(SPARE, 100).       % connections besides the crowd's

%% Bytes that the daemon may need at most for so many clients. For each connection: the frame that it reads, which is twice as large while it grows; requests that
%% wait, of which the last may be as large as a frame; what is unsent, likewise; what is kept. For each port its memory, and the queue of those whose driver has one.
bound(Clients) ->
    [Frame, Requests, Unsent, Kept, Queue] = [proplists:get_value(K, ?LIMITS) || K <- [frame_bytes, request_bytes, unsent_bytes, kept_bytes, port_queue_bytes]],
    [Echo, Delay] = [N || {_, N} <- ?DRIVERS],
    (Clients + ?SPARE) * (4 * Frame + Requests + Unsent + Kept) + (Echo + Delay) * ?PORT_BYTES + Delay * (Queue + Frame).

main() ->
    Seconds = list_to_integer(os:getenv("SOAK_SECONDS")),
    io:format("~nHostile clients, 10,000 at a time, for ~b s and until a million ports have been abandoned~n", [Seconds]),
    #{values := Values, moves := Moves, before := Before, 'after' := After, peak := Peak, status := Status, log := Log} = run(10000, Seconds, 1000000),
    [io:format("~ts~n", [M]) || M <- Moves],
    Value = fun(K) -> maps:get(K, Values, none) end,
    io:format("~p moves, ~p clients at once, ~p ports abandoned, ~p wrong answers~n", [Value(K) || K <- ["moves", "at_once", "abandoned", "wrong"]]),
    [{Q50, Q99}, {B50, B99}] = [{Value(W ++ " p50"), Value(W ++ " p99")} || W <- ["quiet", "beside"]],
    io:format("good clients: median ~.1f us alone, ~.1f beside the crowd (x ~.1f); p99 ~.1f, ~.1f (x ~.1f)~n",
              [Q50 / 1000, B50 / 1000, B50 / Q50, Q99 / 1000, B99 / 1000, B99 / Q99]),
    io:format("memory: ~.1f MiB before, at most ~.1f (the limits allow ~.1f), ~.1f after~n", [B / ?MIB || B <- [maps:get(rss, Before), Peak, bound(10000), maps:get(rss, After)]]),
    io:format("left: ~0p, before: ~0p; ~b lines in the log; the daemon's status: ~0p~n", [After, Before, Log, Status]),
    Good = Value("wrong") =:= 0 andalso Value("good_status") =:= 0 andalso Status =:= 0 andalso Peak =< bound(10000),
    halt(case Good of true -> 0; false -> 1 end).

%% #{values => what the program measured, moves => its lines, before, 'after' => samples, peak => bytes, status => of the daemon, log => lines}.
run(Clients, Seconds, Ports) ->
    D = raw_client:start_configured(fun(Dir, Socket) -> configuration(Clients, Dir, Socket) end),
    try attacked(D, Clients, Seconds, Ports) of
        Result ->
            Log = length(binary:split(raw_client:log(D), <<"\n">>, [global])),
            Result#{log => Log, status => raw_client:stop(D)}
    catch
        Class:Why:Stack ->
            Log = raw_client:log(D),
            raw_client:stop(D),
            error({Class, Why, Stack, binary:part(Log, byte_size(Log), -min(2000, byte_size(Log)))})
    end.

configuration(Clients, Dir, Socket) ->
    Cookie = filename:join(Dir, "cookie"),
    ok = file:write_file(Cookie, ""),
    ok = file:change_mode(Cookie, 8#600),
    ok = file:write_file(Cookie, "a cookie of the hostile test"),
    Pairs = fun(Format, List) -> lists:join(", ", [io_lib:format(Format, [K, V]) || {K, V} <- List]) end,
    ["{\"listeners\": [{\"unix\": \"", Socket, "\"},",
     " {\"unix\": \"", Dir, "/strangers\", \"load\": false, \"open\": [\"echo_drv\", \"delay_drv\"], \"all_ports\": false},",
     " {\"tcp\": \"127.0.0.1:0\", \"cookie_file\": \"", Cookie, "\"}],",
     " \"driver_path\": [", lists:join(", ", [["\"", P, "\""] || P <- raw_client:driver_path()]), "],",
     " \"drivers\": {", Pairs("\"~s\": {\"max_ports\": ~b}", ?DRIVERS), "},",
     " \"limits\": {", Pairs("\"~s\": ~b", [{connections, Clients + ?SPARE} | ?LIMITS]), "}}"].

attacked(#{dir := Dir, socket := Socket} = D, Clients, Seconds, Ports) ->
    S = raw_client:connect(D),
    [ok = raw_client:open(S, 1, Driver) || Driver <- ["echo_drv", "delay_drv", "soak_probe_drv"], _ <- [raw_client:request(S, {close, close, 1, self()})]],
    {ok, true} = raw_client:request(S, {close, close, 1, self()}),
    Quiet = #{connections => 1, ports => 0},
    Before = mixed_watch:quiet(D, S, Quiet),
    Watch = mixed_watch:start(D, 100),
    Args = ["unix=" ++ Dir ++ "/strangers", "good=" ++ Socket, lists:concat(["tcp=", tcp_port(D)]), lists:concat(["clients=", Clients]),
            lists:concat(["seconds=", Seconds]), lists:concat(["ports=", Ports])
            | [lists:concat([Name, "=", proplists:get_value(Key, ?LIMITS)]) || {Name, Key} <- [{max_frame, frame_bytes}, {max_ports, ports_per_connection}]]],
    Program = filename:join([filename:dirname(filename:absname(os:getenv("PORTHOSTD", "build/porthostd"))), "tests", "hostile", "hostile"]),
    Port = open_port({spawn_executable, Program}, [{args, Args}, exit_status, stderr_to_stdout, {line, 1000}]),
    {Moves, Values} = output(Port, "", [], #{}),
    Samples = mixed_watch:stop(Watch),
    Left = mixed_watch:quiet(D, S, maps:merge(Quiet, maps:with([fds], Before))),
    timer:sleep(?IDLE_MS),
    After = Left#{rss := raw_client:rss(D) * 1024},
    gen_tcp:close(S),
    #{moves => Moves, values => Values, before => Before, 'after' => After, peak => lists:max([Rss || #{rss := Rss} <- Samples]),
      most => lists:max([C || #{connections := C} <- Samples])}.

tcp_port(D) ->
    {match, [Port]} = re:run(raw_client:log(D), "127\\.0\\.0\\.1:([0-9]+)", [{capture, all_but_first, list}]),
    list_to_integer(Port).

%% Lines of moves, and "name value" of those that follow; those behind "quiet" and "beside" are latencies.
output(Port, When, Moves, Values) ->
    receive
        {Port, {data, {_, "move " ++ Line}}} -> output(Port, When, [Line | Moves], Values);
        {Port, {data, {_, Line}}} ->
            case string:lexemes(Line, " ") of
                [W] when W =:= "quiet"; W =:= "beside" -> output(Port, W ++ " ", Moves, Values);
                [Name, Value] when Name =:= "p50"; Name =:= "p99" -> output(Port, When, Moves, Values#{When ++ Name => list_to_float(Value)});
                [Name, Value] when Name =/= "p999", Name =/= "n" -> output(Port, When, Moves, Values#{Name => list_to_integer(Value)});
                [_, _] -> output(Port, When, Moves, Values);
                _ -> output(Port, When, [Line | Moves], Values)
            end;
        {Port, {exit_status, _}} -> {lists:reverse(Moves), Values}
    end.
