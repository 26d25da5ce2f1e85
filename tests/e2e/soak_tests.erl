%% SPDX-License-Identifier: Apache-2.0
%% Short runs of the soak cases (tests/soak/soak_run.erl; `make soak` has the long ones): nothing is lost or out of order, memory is level after the first
%% tenth, the daemon ends well.
-module(soak_tests).
-include_lib("eunit/include/eunit.hrl").

-define(SECONDS, 20). % at most; most need less than one

soak_test_() ->
    [{What, {timeout, 120, fun() ->
         Result = soak_run:run(Case, short, ?SECONDS),
         ?assertEqual({ok, Result}, {soak_run:verdict(Case, Result), Result})
     end}} || {What, Case} <- soak_run:short()].

%% (Counted, not timed; but not under a sanitizer, for it would be its instructions.)
a_message_costs_the_same_among_many_ports_test_() ->
    {timeout, 120, fun() ->
        case filename:basename(filename:dirname(os:getenv("PORTHOSTD", "build/porthostd"))) of
            "build" -> ?assertMatch({Few, Many} when Many =< 1.25 * Few, {soak_run:cost(10), soak_run:cost(2000)});
            _ -> ok
        end
    end}.
