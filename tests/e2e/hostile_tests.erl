%% SPDX-License-Identifier: Apache-2.0
%% A short attack by the hostile crowd (tests/hostile; `make soak` has the long one): each move is answered as proto/PROTOCOL.md says, good clients have all their answers,
%% memory is within what the limits allow, the log is not flooded, and nothing is left. And the verdict, which the long one has, too, would say if it were otherwise.
-module(hostile_tests).
-include_lib("eunit/include/eunit.hrl").

-define(CLIENTS, 300).
-define(SECONDS, 6).
-define(PORTS, 5000).
-define(HESITATE_MS, 500).
-define(DRIP_MS, 50).
-define(LOG_LINES, 1000).

the_crowd_harms_nobody_and_the_verdict_would_say_if_it_did_test_() ->
    {timeout, 600, fun() ->
        #{log := Log} = Result = as_fast(hostile_run:run(?CLIENTS, ?SECONDS, ?PORTS, ?HESITATE_MS, ?DRIP_MS)),
        ?assertMatch({[], _}, {hostile_run:verdict(Result), Result}),
        ?assert(Log =< ?LOG_LINES),
        [?assertMatch({_, [_]}, {Otherwise, hostile_run:verdict(spoilt(Otherwise, Result))}) || Otherwise <- otherwise(Result)]
    end}.

%% How long the good clients had to wait is for `make soak` to judge: in so few seconds the rest of the machine has more to do with it than the crowd.
as_fast(#{values := #{"quiet p50" := P50, "quiet p99" := P99} = Values} = Result) ->
    Result#{values := Values#{"beside p50" := P50, "beside p99" := P99}}.

%% Keys and another value.
otherwise(#{values := Values, before := Before, peak := Peak} = Result) ->
    [{values, "wrong", 1}, {values, "good_status", 1}, {status, 1}, {moves, ["1: a rule      0"]},
     {values, "clients", ?CLIENTS - 1}, {values, "at_once", ?CLIENTS div 2}, {values, "abandoned", ?PORTS - 1}, {opens, ?PORTS - 1}, {met, [{hello_s, 0}]},
     {values, "beside p50", 20 * max(maps:get("quiet p50", Values), 1.0e6)}, {values, "beside p99", 30 * max(maps:get("quiet p99", Values), 1.0e7)},
     {'after', connections, maps:get(connections, Before) + 1}, {'after', ports, 1}, {'after', fds, maps:get(fds, Before) + 1}, {'after', threads, maps:get(threads, Before) + 2}]
    ++ case string:find(os:getenv("PORTHOSTD", "build/porthostd"), "build-") of
           nomatch -> [{peak, hostile_run:bound(Result) + 1}, {'after', rss, Peak + (200 bsl 20)}];
           _ -> [] % memory is the sanitizer's then
       end.

spoilt({Key, Value}, Result) -> Result#{Key := Value};
spoilt({Key, Inner, Value}, Result) -> Result#{Key := (maps:get(Key, Result))#{Inner := Value}}.
