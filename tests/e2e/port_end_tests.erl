%% SPDX-License-Identifier: Apache-2.0
%% How a port ends when its driver does wrong, or late, what it should not: failures inside stop and flush, monitors made while it flushes, unloading
%% meanwhile. Each test has a daemon of its own; each is done with one lock for the driver and one for each port.
-module(port_end_tests).
-include_lib("eunit/include/eunit.hrl").
-import(raw_client, [with_daemon/1, connect/2, send/2, send_all/2, next/1, until/2, open/3, request/2, control/3, eventually/1]).

-define(DRIVERS, ["ending_probe_drv", "ending_locking_probe_drv"]).

%% Port 1 is for each test, port 2 tells how often stop has been called.
for_each_lock(Test) ->
    [with_daemon(fun(D) ->
         S = connect(D, #{self => self()}),
         [ok = open(S, N, Driver) || N <- [1, 2]],
         Test(S, Driver),
         ?assertEqual({ok, pong}, request(S, {ping, still_there}))
     end)
     || Driver <- ?DRIVERS].

a_failure_inside_stop_does_not_stop_twice_test_() ->
    for_each_lock(fun(S, _) ->
        "armed" = control(S, 1, "arm stop"),
        send(S, {exit, 1, self(), bye}),
        ?assertEqual([{exit, 1, bye}, {closed, 1}], [next(S), next(S)]),
        ?assertEqual("stops 1 late 0", control(S, 2, "counts"))
    end).

a_failure_inside_stop_of_a_port_that_has_flushed_test_() ->
    for_each_lock(fun(S, _) ->
        "armed" = control(S, 1, "arm stop"),
        flushing(S),
        ?assertEqual({"0", []}, ended_by(S, "deq 3")),
        ?assertEqual("stops 1 late 0", control(S, 2, "counts"))
    end).

a_failure_inside_a_stop_that_a_failure_caused_test_() ->
    for_each_lock(fun(S, _) ->
        "armed" = control(S, 1, "arm stop"),
        ?assertEqual({"0", [{exit, 1, told_to}]}, ended_by(S, "fail")),
        ?assertEqual("stops 1 late 0", control(S, 2, "counts"))
    end).

a_failure_inside_flush_stops_the_port_at_once_test_() ->
    for_each_lock(fun(S, _) ->
        "armed" = control(S, 1, "arm flush"),
        flushing(S),
        ?assertEqual({closed, 1}, next(S)),
        ?assertEqual("stops 1 late 0", control(S, 2, "counts"))
    end).

a_failure_while_the_port_waits_for_its_queue_stops_it_test_() ->
    for_each_lock(fun(S, _) ->
        "armed" = control(S, 1, "arm stop"),
        flushing(S),
        ?assertEqual({"0", []}, ended_by(S, "fail")),
        ?assertEqual("stops 1 late 0", control(S, 2, "counts"))
    end).

a_monitor_made_while_the_port_flushes_ends_with_it_test_() ->
    for_each_lock(fun(S, _) ->
        flushing(S),
        send(S, {control, monitor, 1, self(), 0, "monitor"}),
        {monitor, Id, _} = until(S, fun(F) -> element(1, F) =:= monitor end),
        ?assertEqual({ok, monitor, "0"}, next(S)),
        ?assertEqual({"0", [{demonitor, Id}]}, ended_by(S, "deq 3")),
        send(S, {down, Id, too_late}),
        ?assertEqual("stops 1 late 0", control(S, 2, "counts")),
        ?assertEqual("stops 1 late 0", control(S, 2, "counts"))
    end).

a_process_may_end_while_the_port_that_monitors_it_flushes_test_() ->
    for_each_lock(fun(S, _) ->
        flushing(S),
        send(S, {control, monitor, 1, self(), 0, "monitor"}),
        {monitor, Id, _} = until(S, fun(F) -> element(1, F) =:= monitor end),
        {ok, monitor, "0"} = next(S),
        send(S, {down, Id, gone}),
        %% process_exit is called, but nobody listens to a port that is closing
        ?assertEqual({"0", []}, ended_by(S, "deq 3")),
        send(S, {down, Id, again}),
        ?assertEqual("stops 1 late 0", control(S, 2, "counts"))
    end).

%% The driver goes when its ports have: told by its monitor, and none of its ports is left then.
unloading_while_ports_flush_waits_for_them_test_() ->
    [with_daemon(fun(D) ->
         S = connect(D, #{self => self()}),
         Ref = make_ref(),
         {ok, loaded} = request(S, {load, l, self(), Ref, <<>>, Driver, []}),
         Ids = lists:seq(1, 50),
         [begin ok = open(S, N, Driver), "0" = control(S, N, "enq abc") end || N <- Ids],
         [send(S, {exit, N, self(), bye}) || N <- Ids],
         ?assertMatch({ok, {pending_driver, Ref}}, request(S, {unload, u, self(), Ref, Driver, [{monitor, pending_driver}]})),
         ?assertEqual({ok, 50}, request(S, {driver_info, i, Driver, port_count})),
         send_all(S, [{control, {deq, N}, N, self(), 0, "deq 3"} || N <- Ids]),
         Before = up_to_down(S, Ref, Driver, []),
         ?assertEqual(Ids, lists:sort([N || {closed, N} <- Before])),
         ?assertEqual({ok, []}, request(S, {drivers, d}))
     end)
     || Driver <- ?DRIVERS].

unloading_with_kill_ports_ends_ports_that_flush_test_() ->
    [with_daemon(fun(D) ->
         S = connect(D, #{self => self()}),
         Ref = make_ref(),
         {ok, loaded} = request(S, {load, l, self(), Ref, <<>>, Driver, []}),
         Ids = lists:seq(1, 50),
         [begin ok = open(S, N, Driver), "0" = control(S, N, "enq abc") end || N <- Ids],
         [send(S, {exit, N, self(), bye}) || N <- lists:seq(1, 50, 2)],
         send(S, {unload, u, self(), Ref, Driver, [kill_ports, {monitor, pending_driver}]}),
         Before = up_to_down(S, Ref, Driver, []),
         ?assertEqual(Ids, lists:sort([N || {closed, N} <- Before])),
         ?assertEqual(Ids, lists:sort([N || {exit, N, Why} <- Before, Why =:= bye orelse Why =:= driver_unloaded])),
         ?assertEqual({ok, []}, request(S, {drivers, d}))
     end)
     || Driver <- ?DRIVERS].

up_to_down(S, Ref, Driver, Before) ->
    Name = list_to_atom(Driver),
    case next(S) of
        {send, _, {'DOWN', Ref, driver, Name, unloaded}} -> Before;
        Frame when is_tuple(Frame) -> up_to_down(S, Ref, Driver, [Frame | Before])
    end.

the_id_is_free_when_the_error_of_open_arrives_test_() ->
    [with_daemon(fun(D) ->
         S = connect(D, #{self => self()}),
         Open = fun(_) -> {error, Reason} = request(S, {open, open, 1, p, self(), Command, Options}), Reason end,
         ?assertEqual([Expected], lists:usort([Open(N) || N <- lists:seq(1, 3000)])),
         ?assertEqual(ok, open(S, 1, "echo_drv"))
     end)
     || {Command, Options, Expected} <- [{"start_probe_drv result -1", [{parallelism, true}], einval},
                                         {"start_probe_drv errno 2", [{parallelism, true}], enoent},
                                         {"locking_probe_drv result -3", [], badarg},
                                         {"locking_probe_drv errno 13", [{parallelism, true}], eacces},
                                         {"no_such_drv", [], no_driver}]].

ports_that_flush_and_their_monitors_go_with_the_connection_test_() ->
    [with_daemon(fun(D) ->
         [S, Other] = [connect(D, #{}) || _ <- [1, 2]],
         ok = open(Other, 2, Driver),
         ok = open(S, 1, Driver),
         [] = [E || E <- [control(S, 1, "monitor"), control(S, 1, "enq abc")], E =/= "0"],
         "armed" = control(S, 1, "arm flush"),
         gen_tcp:close(S),
         eventually(fun() -> raw_client:stats(Other, [connections, ports]) =:= [1, 1] end),
         ?assertEqual("stops 1 late 0", control(Other, 2, "counts"))
     end)
     || Driver <- ?DRIVERS].

%% A control after which port 1 is gone: its answer, and what else is told.
ended_by(S, Action) ->
    send(S, {control, action, 1, self(), 0, Action}),
    Frames = ended([], S),
    {ok, action, Answer} = lists:keyfind(action, 2, Frames),
    {Answer, Frames -- [{closed, 1}, {ok, action, Answer}]}.

ended(Frames, S) ->
    case lists:keymember(closed, 1, Frames) andalso lists:keymember(action, 2, Frames) of
        true -> Frames;
        false ->
            Frame = next(S),
            ?assert(is_tuple(Frame)),
            ended(Frames ++ [Frame], S)
    end.

%% Port 1 has data in its queue and is told to end.
flushing(S) ->
    "0" = control(S, 1, "enq abc"),
    send(S, {exit, 1, self(), bye}),
    {exit, 1, bye} = next(S).
