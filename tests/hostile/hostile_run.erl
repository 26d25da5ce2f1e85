%% SPDX-License-Identifier: Apache-2.0
%% The hostile crowd (the program hostile) against a daemon that is configured for strangers: what its good clients noticed, what the daemon needed meanwhile and what is
%% left of it, and whether that is as it must be. main/0 is for scripts/soak, run/5 and verdict/1 also for tests/e2e/hostile_tests.erl. Run from the top directory; raw_client
%% says which daemon.
-module(hostile_run).
-export([main/0, run/5, verdict/1, bound/1]).

-define(MIB, 1048576).

%% The limits of strangers.
-define(LIMITS, [{hello_connections, 200}, {hello_bytes, 4096}, {hello_s, 2}, {ports_per_connection, 1000}, {frame_bytes, 262144}, {port_queue_bytes, 65536},
                 {request_bytes, 65536}, {unsent_pause_bytes, 65536}, {unsent_bytes, 262144}, {kept_bytes, 131072}, {new_names, 16}, {loaded_drivers, 3}]).
-define(DRIVERS, [{"echo_drv", 1000000}, {"delay_drv", 1000}]). % ports of each
%% Those that the crowd must have met, as the daemon counts it.
-define(MET, [frame_bytes, hello_bytes, hello_s, ports_per_connection, port_queue_bytes, unsent_pause_bytes, unsent_bytes, kept_bytes, new_names, loaded_drivers]).
-define(IDLE_MS, 3000).    % after which it has given memory back
%% Connections besides the crowd's: the good clients', and those that have gone and are still to end. Of those there are more the slower the daemon is (with a sanitizer, on a busy
%% machine, over 130), and who is refused for them has done nothing wrong.
-define(SPARE(Clients), 300 + (Clients) div 10).

%% What a daemon needs, in bytes, besides what its limits let clients make it keep: for itself, with threads, buffers and the log; for a connection, with a small frame,
%% small requests and answers that are under way; for a port, with its driver's own.
-define(OWN_BYTES, 32 * ?MIB).
-define(CONNECTION_BYTES, 8192).
-define(PORT_BYTES, 1024).

%% What may be left: tables that stay as large as they were, and what malloc could not give back since something small that lives lies in each page.
-define(LEFT_BYTES, 20 * ?MIB).
-define(LEFT_OF_PEAK, 10). % and per cent of what it needed at most

%% Of the good clients: how many times as long as in the quiet phase an answer may take; what was shorter than the floor (microseconds) counts as that. Beside the daemon
%% the crowd itself wants a processor, all the time, so the good clients and the daemon's threads wait for time slices of some milliseconds where alone they ran at once;
%% a call that had to wait for what the crowd asks for would take seconds.
-define(SLOWER, [{"p50", 10, 200}, {"p99", 20, 4000}]).

main() ->
    [Seconds, Clients] = [list_to_integer(os:getenv(Name, Default)) || {Name, Default} <- [{"SOAK_SECONDS", "15"}, {"SOAK_CLIENTS", "10000"}]],
    io:format("~nHostile clients, ~b at a time, for ~b s and until a million ports have been abandoned~n", [Clients, Seconds]),
    Result = run(Clients, Seconds, 1000000, 20000, 1000),
    print(Result),
    Complaints = verdict(Result),
    [io:format("hostile clients: ~ts~n", [C]) || C <- Complaints],
    halt(case Complaints of [] -> io:format("hostile clients: ok~n"), 0; _ -> 1 end).

print(#{values := Values, moves := Moves, before := Before, 'after' := After, peak := Peak, most := Most, status := Status, log := Log} = Result) ->
    [io:format("~ts~n", [M]) || M <- Moves],
    Value = fun(K) -> maps:get(K, Values, none) end,
    io:format("~p moves, ~p clients at once, ~p ports abandoned, ~b at once, ~p wrong answers~n",
              [Value("moves"), Value("at_once"), Value("abandoned"), maps:get(ports, Most), Value("wrong")]),
    [io:format("good clients: ~s ~.1f us alone, ~.1f beside the crowd~n", [P, Value("quiet " ++ P) / 1000, Value("beside " ++ P) / 1000]) || {P, _, _} <- ?SLOWER],
    io:format("memory: ~.1f MiB before, at most ~.1f (the limits allow ~.1f), ~.1f after~n", [B / ?MIB || B <- [maps:get(rss, Before), Peak, bound(Result), maps:get(rss, After)]]),
    io:format("left: ~0p, before: ~0p; ~b lines in the log; the daemon's status: ~0p~n", [After, Before, Log, Status]).

%% Bytes that the daemon may have needed at most: so many connections as may be there at once, the ports that were, and what the clients of the crowd could make it hold by
%% its limits, at the time when that was most: which moves they made then is known.
bound(#{clients := Clients, most := #{ports := Ports}, values := #{"held" := Held}}) ->
    ?OWN_BYTES + (Clients + ?SPARE(Clients)) * ?CONNECTION_BYTES + Ports * ?PORT_BYTES + Held.

%% What is not as it must be, in words.
verdict(#{values := Values} = Result) ->
    case maps:is_key("good_status", Values) of
        true -> answers(Result) ++ reached(Result) ++ latency(Values) ++ left(Result) ++ memory(Result);
        false -> ["the crowd has not come to its end"]
    end.

complain(false, _, _) -> [];
complain(true, Format, Args) -> [io_lib:format(Format, Args)].

answers(#{values := #{"wrong" := Wrong, "good_status" := Good}, moves := Moves, status := Status}) ->
    complain(Wrong > 0, "~b answers are wrong", [Wrong])
    ++ complain(Good =/= 0, "a good client had a wrong answer, or none", [])
    ++ [["nobody has come to the end of: ", M] || M <- Moves, re:run(M, " 0$") =/= nomatch]
    ++ complain(Status =/= 0, "the daemon's status is ~0p", [Status]).

%% Each rests for up to 0.2 s between two moves.
reached(#{clients := Clients, ports := Ports, met := Met, opens := Opens, values := #{"clients" := Made, "at_once" := AtOnce, "abandoned" := Abandoned}}) ->
    complain(Made =/= Clients orelse AtOnce < Clients * 4 div 5, "~b clients at once, of ~b", [AtOnce, Clients])
    ++ complain(min(Abandoned, Opens) < Ports, "~b ports were abandoned, ~b opened, not ~b", [Abandoned, Opens, Ports])
    ++ [io_lib:format("nobody has met the limit ~s", [Limit]) || {Limit, 0} <- Met].

latency(Values) ->
    [io_lib:format("the ~s of the good clients is ~.1f us, alone it was ~.1f: more than ~b times as much", [P, Beside, Quiet, Times])
     || {P, Times, Floor} <- ?SLOWER, [Quiet, Beside] <- [[maps:get(When ++ P, Values) / 1000 || When <- ["quiet ", "beside "]]], Beside > Times * max(Quiet, Floor)].

%% One thread more: the main thread may have become a spare, which never ends.
left(#{before := Before, 'after' := After}) ->
    [io_lib:format("~b ~s are left, ~b were there before", [Is, Key, Was])
     || {Key, More} <- [{connections, 0}, {ports, 0}, {fds, 0}, {threads, 1}], [Was, Is] <- [[maps:get(Key, B) || B <- [Before, After]]], Is > Was + More].

%% In a build with a sanitizer memory is the sanitizer's.
memory(#{before := #{rss := Before}, 'after' := #{rss := After}, peak := Peak} = Result) ->
    case string:find(os:getenv("PORTHOSTD", "build/porthostd"), "build-") of
        nomatch ->
            complain(Peak > bound(Result), "the daemon needed ~.1f MiB, its limits allow ~.1f", [Peak / ?MIB, bound(Result) / ?MIB])
            ++ complain(After > Before + ?LEFT_BYTES + Peak * ?LEFT_OF_PEAK div 100, "~.1f MiB are left, ~.1f were there before", [After / ?MIB, Before / ?MIB]);
        _ -> []
    end.

%% #{clients, ports => what was asked for, values => what the program measured, moves => its lines, before, 'after' => samples, peak => bytes, most => of connections and ports
%% in samples, met => how often each limit was met, opens => of ports, status => of the daemon, log => lines}.
run(Clients, Seconds, Ports, HesitateMs, DripMs) ->
    D = raw_client:start_configured(fun(Dir, Socket) -> configuration(Clients, Dir, Socket) end),
    try attacked(D, [{clients, Clients}, {seconds, Seconds}, {ports, Ports}, {hesitate_ms, HesitateMs}, {drip_ms, DripMs}]) of
        Result ->
            Log = length(binary:split(raw_client:log(D), <<"\n">>, [global])),
            Result#{clients => Clients, ports => Ports, log => Log, status => raw_client:stop(D)}
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
     " {\"unix\": \"", Dir, "/strangers\", \"load\": false, \"open\": [\"echo_drv\", \"delay_drv\", \"crunch_drv\"], \"all_ports\": false},",
     " {\"tcp\": \"127.0.0.1:0\", \"cookie_file\": \"", Cookie, "\"}],",
     " \"driver_path\": [", lists:join(", ", [["\"", P, "\""] || P <- raw_client:driver_path()]), "],",
     " \"drivers\": {", Pairs("\"~s\": {\"max_ports\": ~b}", ?DRIVERS), "},",
     " \"limits\": {", Pairs("\"~s\": ~b", [{connections, Clients + ?SPARE(Clients)} | ?LIMITS]), "}}"].

attacked(#{dir := Dir, socket := Socket} = D, Options) ->
    S = raw_client:connect(D),
    [ok = raw_client:open(S, 1, Driver) || Driver <- ["echo_drv", "delay_drv", "soak_probe_drv"], _ <- [raw_client:request(S, {close, close, 1, self()})]],
    {ok, true} = raw_client:request(S, {close, close, 1, self()}),
    Quiet = #{connections => 1, ports => 0},
    Before = mixed_watch:quiet(D, S, Quiet),
    Watch = mixed_watch:start(D, 100),
    Limits = [{Name, proplists:get_value(Key, ?LIMITS)} || {Name, Key} <- [{max_frame, frame_bytes}, {max_ports, ports_per_connection}, {queue, port_queue_bytes},
                                                                          {requests, request_bytes}, {unsent, unsent_bytes}, {kept, kept_bytes}]],
    Args = ["unix=" ++ Dir ++ "/strangers", "good=" ++ Socket, lists:concat(["tcp=", tcp_port(D)]) | [lists:concat([K, "=", V]) || {K, V} <- Options ++ Limits]],
    Program = filename:join([filename:dirname(filename:absname(os:getenv("PORTHOSTD", "build/porthostd"))), "tests", "hostile", "hostile"]),
    Port = open_port({spawn_executable, Program}, [{args, Args}, exit_status, stderr_to_stdout, {line, 1000}]),
    {Moves, Values} = output(Port, "", [], #{}),
    Samples = mixed_watch:stop(Watch),
    Left = mixed_watch:quiet(D, S, maps:merge(Quiet, maps:with([fds], Before))),
    timer:sleep(?IDLE_MS),
    After = Left#{rss := raw_client:rss(D) * 1024},
    {ok, Stats} = raw_client:request(S, {stats, stats}),
    gen_tcp:close(S),
    #{moves => Moves, values => Values, before => Before, 'after' => After, peak => most(rss, Samples), most => maps:from_list([{K, most(K, Samples)} || K <- [connections, ports]]),
      met => [{Limit, maps:get(list_to_atom(lists:concat([limit_, Limit])), Stats)} || Limit <- ?MET], opens => maps:get(opens, Stats)}.

most(Key, Samples) ->
    lists:max([maps:get(Key, S) || S <- Samples]).

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
