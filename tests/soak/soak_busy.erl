%% SPDX-License-Identifier: Apache-2.0
%% Processes of an Erlang node that send commands faster than the driver takes them, and are suspended for it: memory of the daemon stays level, everything comes
%% back, the commands of each process in order. Some processes are killed while they are suspended.
-module(soak_busy).
-export([run/2]).

-define(CALLERS, 8).
-define(US, 100). % that the driver takes for a command
-define(PADDING, 2000).
-define(TIMEOUT, 30000).
-define(BUSY, 10). % control of soak_probe_drv

%% In a process of its own, which may end with its port.
run(D, #{count := Count, seconds := Seconds}) ->
    {ok, _} = application:ensure_all_started(porthost),
    {ok, _} = porthost:start(#{name => soak, transport => {unix, maps:get(socket, D)}}),
    End = erlang:monotonic_time(millisecond) + 1000 * Seconds,
    {_, Ref} = spawn_monitor(fun() -> exit({measured, soak(D, Count, End)}) end),
    Why = receive {'DOWN', Ref, process, _, W} -> W end,
    porthost:stop(soak),
    {measured, Result} = Why,
    Result.

soak(D, Count, End) ->
    Port = porthost:open_port(soak, {spawn, "soak_probe_drv"}, [binary]),
    Start = raw_client:rss(D),
    Callers = [spawn_monitor(fun() -> exit({sent, caller(Port, N, Count div ?CALLERS, End, 0)}) end) || N <- lists:seq(1, ?CALLERS)],
    {Numbers, Tenth} = collect(Port, D, Count, #{}, 0, none),
    Sent = maps:from_list([receive {'DOWN', Ref, process, _, {sent, K}} -> {N, K} end || {N, {_, Ref}} <- lists:zip(lists:seq(1, ?CALLERS), Callers)]),
    Suspended = kill_suspended(Port, D, 20),
    true = porthost:port_close(Port),
    Done = lists:sum(maps:values(Sent)),
    Lost = lists:sum([abs(K - maps:get(N, Numbers, 0)) || {N, K} <- maps:to_list(Sent)]) + case Suspended of 20 -> 0; _ -> 1 end,
    #{done => Done, lost => Lost, start => Start * 1024, tenth => Tenth * 1024, 'end' => raw_client:rss(D) * 1024}.

%% The last thing that a caller sends is its end.
caller(Port, N, Count, End, K) ->
    case K >= Count orelse erlang:monotonic_time(millisecond) >= End of
        true -> porthost:port_command(Port, <<K:32, 0:32, N, "end">>), K;
        false -> porthost:port_command(Port, <<K:32, ?US:32, N, 0:?PADDING/unit:8>>), caller(Port, N, Count, End, K + 1)
    end.

%% How much of each has come, each in order, until all have ended; the memory after a tenth.
collect(_, D, _, Numbers, ?CALLERS, Tenth) ->
    {Numbers, case Tenth of none -> raw_client:rss(D); _ -> Tenth end};
collect(Port, D, Count, Numbers, Ended, Tenth) ->
    receive
        {Port, {data, <<K:32, _:32, N, "end">>}} ->
            K = maps:get(N, Numbers, 0),
            collect(Port, D, Count, Numbers, Ended + 1, Tenth);
        {Port, {data, <<K:32, _:32, N, _/binary>>}} ->
            K = maps:get(N, Numbers, 0),
            Now = case Tenth =:= none andalso K * ?CALLERS * 10 >= Count of true -> raw_client:rss(D); false -> Tenth end,
            collect(Port, D, Count, Numbers#{N => K + 1}, Ended, Now)
    after ?TIMEOUT -> error({missing, Numbers})
    end.

%% Suspends so many processes at the port, which is busy, and kills them; then the port is as before, and nothing of theirs comes. How many were suspended.
kill_suspended(Port, D, N) ->
    Monitors = fun() -> {monitors, M} = process_info(Port, monitors), length(M) end,
    Before = Monitors(),
    _ = porthost:port_control(Port, ?BUSY, <<1:32>>),
    Pids = [spawn(fun() -> porthost:port_command(Port, <<2:32, 0:32>>) end) || _ <- lists:seq(1, N)],
    raw_client:eventually(fun() -> Monitors() =:= Before + N end),
    Suspended = length([P || P <- Pids, process_info(P, status) =:= {status, waiting}]),
    [exit(P, kill) || P <- Pids],
    raw_client:eventually(fun() -> Monitors() =:= Before end),
    _ = porthost:port_control(Port, ?BUSY, <<0:32>>),
    true = porthost:port_command(Port, <<1:32, 0:32>>),
    receive {Port, {data, Data}} -> <<1:32, 0:32>> = Data after ?TIMEOUT -> error(stuck) end,
    [#{waiting := 0, busy := false}] = waiting(D),
    Suspended.

waiting(D) ->
    S = raw_client:connect(D),
    {ok, Stats} = raw_client:request(S, {port_stats, stats, all}),
    gen_tcp:close(S),
    Stats.
