%% SPDX-License-Identifier: Apache-2.0
%% Large maps from threads of drivers: the VM crashes on them.
-module(driver_term_tests).

-include("rules.hrl").

map_spec(Keys) ->
    term_cases:encode(lists:append([[int, K, int, K * K] || K <- Keys]) ++ [map, length(Keys)]).

sent(Port, Op, Spec) ->
    <<Result:32/signed, References:32>> = porthost:port_control(Port, Op, Spec),
    {Result, References}.

%% Functions 6 and 7 of the probe send in a thread of its own.
large_maps_are_made_in_a_thread_of_the_drivers_test_() ->
    ?HOSTED(begin
        load("term_probe_drv"),
        P = open("term_probe_drv"),
        [begin
             ?assertEqual({1, 0}, sent(P, Op, map_spec(lists:seq(1, N)))),
             ?assertEqual(maps:from_list([{K, K * K} || K <- lists:seq(1, N)]), next())
         end || Op <- [6, 7], N <- [31, 32, 33, 127, 128, 129, 300, 5000]]
    end).

a_key_that_comes_twice_is_refused_in_large_maps_in_threads_test_() ->
    ?HOSTED(begin
        load("term_probe_drv"),
        P = open("term_probe_drv"),
        [?assertEqual({N, {-1, 0}}, {N, sent(P, Op, map_spec(lists:seq(1, N - 1) ++ [N div 2]))})
         || Op <- [6, 7], N <- [33, 129, 300, 5000]],
        ?assertEqual(nothing, receive M -> M after 20 -> nothing end)
    end).
