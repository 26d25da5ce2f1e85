%% SPDX-License-Identifier: Apache-2.0
%% Ports that drivers create (driver_create_port), with one lock for each port and with one for the driver. Each test has a daemon of its own.
-module(children_tests).
-include_lib("eunit/include/eunit.hrl").
-import(raw_client, [with_daemon/1, connect/1, connect/2, send/2, send_all/2, next/1, until_event/3, open/3, request/2, control/3, stats/2, eventually/1]).

for_each_lock(Test) ->
    [with_daemon(fun(D) ->
         S = connect(D, #{self => self()}),
         ok = open(S, 1, Driver),
         Test(D, S)
     end)
     || Driver <- ["child_probe_drv", "child_one_lock_probe_drv"]].

the_creator_uses_a_child_before_its_callback_returns_test_() ->
    for_each_lock(fun(_, S) ->
        grant(S, [100]),
        send(S, {control, create, 1, self(), 0, "create_and_use kid"}),
        Self = self(),
        ?assertEqual([{created, 100, 1, Self, <<"kid">>}, {link, 100, Self}, {send, Self, {{port, 100}, {data, "first"}}},
                      {ok, create, "output 0 timer 0 enq 0 deq 0"}],
                     [next(S) || _ <- lists:seq(1, 4)]),
        ?assertEqual("child", control(S, 100, "kind")),
        send(S, {command, 100, self(), "hello"}),
        ?assertEqual({send, Self, {{port, 100}, {data, "childhello"}}}, next(S))
    end).

a_child_is_made_with_each_grant_and_no_more_test_() ->
    for_each_lock(fun(_, S) ->
        Ids = lists:seq(100, 104),
        grant(S, Ids),
        [?assertMatch("created" ++ _, control(S, 1, "create kid")) || _ <- Ids],
        ?assertEqual("failed", control(S, 1, "create kid")),
        %% a grant for an id that is in use is used up in vain; the next one is good
        grant(S, [100, 200]),
        ?assertEqual("failed", control(S, 1, "create kid")),
        ?assertMatch("created" ++ _, control(S, 1, "create kid")),
        ?assertEqual("child", control(S, 200, "kind")),
        %% children end one by one, and their creator may go before them
        {ok, true} = request(S, {close, close, 1, self()}),
        [?assertEqual("child", control(S, N, "kind")) || N <- Ids],
        send(S, {exit, 100, self(), bye}),
        ?assertEqual({exit, 100, bye}, until_event(S, exit, 100)),
        ?assertEqual({closed, 100}, next(S)),
        ?assertEqual({error, badarg}, request(S, {control, c, 100, self(), 0, "kind"})),
        ?assertEqual("child", control(S, 101, "kind"))
    end).

nothing_of_a_grant_that_is_refused_is_used_test_() ->
    for_each_lock(fun(_, S) ->
        [begin
             send(S, {grant, Pairs}),
             ?assertMatch({fault, bad_request, _}, next(S)),
             ?assertEqual("failed", control(S, 1, "create kid"))
         end
         || Pairs <- [[{100, a}, bad], [{100, a} | {101, b}], [{100, a}, {-1, b}], [{100, a}, {101, binary:copy(<<0>>, 1025)}]]],
        grant(S, [102]),
        ?assertMatch("created" ++ _, control(S, 1, "create kid")),
        ?assertEqual("child", control(S, 102, "kind"))
    end).

a_child_is_made_during_the_stop_of_its_creator_test_() ->
    for_each_lock(fun(_, S) ->
        grant(S, [100]),
        "ok" = control(S, 1, "create_in_stop"),
        send(S, {exit, 1, self(), bye}),
        ?assertMatch({created, 100, 1, _, <<"late">>}, until_event(S, created, 100)),
        ?assertEqual({closed, 1}, until_event(S, closed, 1)),
        ?assertEqual("child", control(S, 100, "kind")),
        ?assertEqual({ok, "late"}, request(S, {info, name, 100, name}))
    end).

what_is_asked_about_a_child_at_once_is_answered_test_() ->
    for_each_lock(fun(_, S) ->
        Ids = lists:seq(100, 103),
        [begin
             grant(S, Ids),
             Asked = [{Id, N} || N <- lists:seq(1, 300), Id <- Ids],
             send_all(S, [{control, made, 1, self(), 0, "create kid"} || _ <- Ids] ++ [{info, {i, Q}, element(1, Q), driver} || Q <- Asked]),
             Replies = replies(S, length(Ids) + length(Asked), []),
             ?assertEqual(lists:sort(Asked), lists:sort([Q || {_, {i, Q}, _} <- Replies])),
             %% never heard of, or there
             ?assertEqual([], lists:usort([R || {Kind, {i, _}, Value} = R <- Replies, Kind =/= ok, Value =/= undefined])),
             send_all(S, [{exit, Id, self(), bye} || Id <- Ids]),
             [until_event(S, closed, Id) || Id <- Ids]
         end
         || _ <- lists:seq(1, 10)]
    end).

replies(_, 0, Replies) ->
    Replies;
replies(S, N, Replies) ->
    case next(S) of
        {Kind, _, _} = Reply when Kind =:= ok; Kind =:= error -> replies(S, N - 1, [Reply | Replies]);
        Event when is_tuple(Event) -> replies(S, N, Replies)
    end.

children_end_with_their_connection_test_() ->
    for_each_lock(fun(D, S) ->
        Other = connect(D),
        grant(S, lists:seq(100, 149)),
        [control(S, 1, "create kid") || _ <- lists:seq(1, 50)],
        ?assertEqual([51], stats(Other, [ports])),
        gen_tcp:close(S),
        eventually(fun() -> stats(Other, [connections, ports]) =:= [1, 0] end)
    end).

no_child_is_left_behind_by_a_stop_at_the_end_of_the_connection_test_() ->
    for_each_lock(fun(D, S) ->
        Other = connect(D),
        grant(S, lists:seq(100, 120)),
        [control(S, 1, "create kid") || _ <- lists:seq(1, 10)],
        ["ok" = control(S, Id, "create_in_stop") || Id <- [1 | lists:seq(100, 109)]],
        gen_tcp:close(S),
        eventually(fun() -> stats(Other, [connections, ports]) =:= [1, 0] end)
    end).

grant(S, Ids) ->
    send(S, {grant, [{Id, {port, Id}} || Id <- Ids]}).
