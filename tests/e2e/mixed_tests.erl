%% SPDX-License-Identifier: Apache-2.0
%% A short run of the mixed load (tests/soak/mixed; `make soak` has the long one): every answer is right, the quiet moments are level, the daemon ends well.
-module(mixed_tests).
-include_lib("eunit/include/eunit.hrl").

-define(SECONDS, 8).

mixed_load_test_() ->
    {timeout, 300, fun() ->
        Result = mixed_run:run(?SECONDS),
        ?assertMatch(#{status := 0}, Result),
        #{quiet := Quiet, done := Done, errors := Errors} = Result,
        ?assertEqual({ok, Quiet}, {mixed_watch:verdict(Quiet), Quiet}),
        ?assertEqual([], [Name || {Name, {_, 0}} <- maps:to_list(Done)]),
        ?assertEqual([], Errors)
    end}.
