%% SPDX-License-Identifier: Apache-2.0
%% More than somebody takes: nothing is lost or out of order, and the daemon's memory stays bounded. Each test has a daemon of its own.
-module(flood_tests).
-include_lib("eunit/include/eunit.hrl").
-import(raw_client, [with_daemon/1, connect/1, send/2, send_all/2, next/1, until/2, request/2, rss/1]).

-define(MIB, 1024). % of rss

%% Workers produce for one connection while its reactor writes what it can: all arrives, each port's data in order.
parallel_ports_and_one_slow_reader_test_() ->
    [with_daemon(fun(D) ->
         S = connect(D),
         ok = inet:setopts(S, [{recbuf, 4096}]),
         Ports = lists:seq(1, 4),
         [{ok, _} = request(S, {open, open, P, P, self(), Driver, [binary, {parallelism, true}]}) || P <- Ports],
         Rounds = 5000,
         Padding = binary:copy(<<"p">>, 3000),
         Writer = writer(S, [{command, P, self(), <<N:32, Padding/binary>>} || N <- lists:seq(1, Rounds), P <- Ports] ++ [{ping, last}]),
         Got = receive_data(S, length(Ports) * Rounds + 1, maps:from_keys(Ports, 0)),
         ?assertEqual(maps:from_keys(Ports, Rounds), Got),
         done(Writer),
         ?assertEqual({ok, pong}, request(S, {ping, ping}))
     end)
     || Driver <- ["echo_drv", "delay_drv 0"]].

%% N data messages (and the answer of the ping); the last number of each port, each being one more than the one before.
receive_data(_, 0, Last) ->
    Last;
receive_data(S, N, Last) ->
    case next(S) of
        {send, _, {P, {data, <<Number:32, _/binary>>}}} ->
            #{P := Before} = Last,
            ?assertEqual({P, Before + 1}, {P, Number}),
            receive_data(S, N - 1, Last#{P := Number});
        {ok, last, pong} -> receive_data(S, N - 1, Last);
        {busy, _, _} -> receive_data(S, N, Last)
    end.

%% A process that sends these requests, as fast as they are taken.
writer(S, Requests) ->
    spawn_monitor(fun() -> [send(S, R) || R <- Requests] end).

done({Pid, Ref}) ->
    receive {'DOWN', Ref, process, Pid, Why} -> ?assertEqual(normal, Why) end.

%% Short requests with long answers, all in one write, so that the daemon may have them in one read; the client does not read for now. The daemon
%% stops when much is unsent, but in the end every one has been answered.
answers_that_are_not_read_test_() ->
    [with_daemon(fun(D) ->
         S = connect(D),
         Name = ["echo_drv ", binary:copy(<<"n">>, 1000)],
         [{ok, _} = request(S, {open, open, P, P, self(), iolist_to_binary(Name), []}) || P <- lists:seq(1, 200)],
         send_all(S, lists:duplicate(N, Request)),
         read_answers(S, N div 10),
         ?assert(rss(D) < 250 * ?MIB),
         read_answers(S, N - N div 10),
         ?assertEqual({ok, pong}, request(S, {ping, ping}))
     end)
     || {Request, N} <- [{{ports, t, connection}, 2000}, {{ports, t, all}, 2000}, {{stats, t}, 5000}, {{info, t, 7, all}, 5000}]].

%% Not decoded, for there is much of it: a tuple of three that begins with the atom ok.
read_answers(_, 0) ->
    ok;
read_answers(S, N) ->
    {ok, <<131, 104, 3, 119, 2, "ok", _/binary>>} = gen_tcp:recv(S, 0, 20000),
    read_answers(S, N - 1).

%% Requests for drivers wait while one of them is being loaded; no more of them are read than what is a bounded number of bytes.
requests_for_drivers_while_init_is_slow_test_() ->
    with_daemon(fun(D) ->
        [S, Loader] = [connect(D), connect(D)],
        send(Loader, {load, load, self(), make_ref(), <<>>, "slow_init_probe_drv", []}),
        Large = binary:copy(<<"e">>, 1 bsl 20),
        Writer = writer(S, [{format_error, N, Large} || N <- lists:seq(1, 400)]),
        {ok, load, loaded} = until(Loader, fun(F) -> element(2, F) =:= load end),
        ?assert(rss(D) < 250 * ?MIB),
        ?assertEqual([{error, N, badarg} || N <- lists:seq(1, 400)], [next(S) || _ <- lists:seq(1, 400)]),
        done(Writer)
    end).

%% Commands of little data in large frames, the rest of which are options: what a driver's queue keeps of them is the data. (Sanitizers keep what is freed.)
little_data_in_large_frames_test_() ->
    case string:find(os:getenv("PORTHOSTD", "build/porthostd"), "build-") of
        nomatch -> with_daemon(fun little_data_in_large_frames/1);
        _ -> []
    end.

little_data_in_large_frames(D) ->
    [S, Other] = [connect(D), connect(D)],
    {ok, _} = request(S, {open, open, 1, p, self(), "delay_drv 5000", [binary]}),
    Frame = term_to_binary({command, 1, self(), binary:copy(<<"x">>, 1000), lists:duplicate(1000000, force)}),
    Before = rss(D),
    [ok = gen_tcp:send(S, Frame) || _ <- lists:seq(1, 30)],
    raw_client:eventually(fun() -> raw_client:stats(Other, [commands]) =:= [30] end),
    ?assert(rss(D) - Before < 100 * ?MIB). % of the 200 that were sent
