%% SPDX-License-Identifier: Apache-2.0
%% A short attack by the hostile crowd (tests/hostile; `make soak` has the long one): each move is answered as proto/PROTOCOL.md says, good clients have all their answers,
%% memory is within what the limits allow, the log is not flooded, and nothing is left.
-module(hostile_tests).
-include_lib("eunit/include/eunit.hrl").

-define(CLIENTS, 300).
-define(SECONDS, 4).
-define(PORTS, 5000).
-define(LEFT_MIB, 20). % of resident memory that malloc may keep
-define(LOG_LINES, 1000).

the_crowd_harms_nobody_test_() ->
    {timeout, 300, fun() ->
        #{values := Values, moves := Moves, before := Before, 'after' := After, peak := Peak, status := Status, log := Log}
            = hostile_run:run(?CLIENTS, ?SECONDS, ?PORTS),
        ?assertMatch({#{"wrong" := 0, "good_status" := 0}, _}, {Values, Moves}),
        ?assertEqual([], [M || M <- Moves, re:run(M, " 0$") =/= nomatch]),
        ?assert(maps:get("abandoned", Values) >= ?PORTS),
        ?assertEqual(0, Status),
        ?assert(Log =< ?LOG_LINES),
        ?assertEqual(maps:with([connections, ports, fds], Before), maps:with([connections, ports, fds], After)),
        case string:find(os:getenv("PORTHOSTD", "build/porthostd"), "build-") of
            nomatch ->
                ?assert(Peak =< hostile_run:bound(?CLIENTS)),
                ?assert(maps:get(rss, After) =< maps:get(rss, Before) + ?LEFT_MIB bsl 20);
            _ -> ok % memory is the sanitizer's then
        end
    end}.
