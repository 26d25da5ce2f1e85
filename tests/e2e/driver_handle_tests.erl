%% SPDX-License-Identifier: Apache-2.0
%% Handles of ports that are gone, never were, or belong to another lock, in callbacks and in threads: refused. The VM takes no care.
-module(driver_handle_tests).

-include("rules.hrl").

%% The port that was used wrongly is as it was.
assert_untouched(Port) ->
    ?assertEqual("0 0", do(Port, "alive")),
    ?assertEqual({Port, {data, "alive"}}, next()),
    ?assertEqual({os_pid, undefined}, porthost:port_info(Port, os_pid)),
    ?assertEqual({queue_size, 0}, porthost:port_info(Port, queue_size)),
    ?assertEqual({monitors, []}, porthost:port_info(Port, monitors)),
    ?assertEqual(true, porthost:port_command(Port, "x", [nosuspend])),
    ?assertEqual(nothing, receive M -> M after 20 -> nothing end).

a_port_that_is_gone_is_refused_from_a_callback_of_another_port_test_() ->
    ?HOSTED(begin
        load("stale_probe_drv"),
        P = open("stale_probe_drv"),
        Q = open("stale_probe_drv"),
        porthost:port_close(P),
        {'EXIT', P, normal} = next(),
        [?assertEqual("refused", do(Q, "gone")) || _ <- [1, 2]],
        %% Also when its place has been taken.
        New = [open("stale_probe_drv") || _ <- lists:seq(1, 50)],
        ?assertEqual("refused", do(Q, "gone")),
        [assert_untouched(N) || N <- [Q | New]]
    end).

a_port_that_is_gone_is_refused_from_a_thread_test_() ->
    ?HOSTED(begin
        load("stale_probe_drv"),
        P = open("stale_probe_drv"),
        Q = open("stale_probe_drv"),
        porthost:port_close(P),
        {'EXIT', P, normal} = next(),
        ?assertEqual("refused", do(Q, "gone_in_thread")),
        assert_untouched(Q)
    end).

a_port_is_refused_in_a_thread_that_does_not_have_its_lock_test_() ->
    ?HOSTED(begin
        load("stale_probe_drv"),
        P = open("stale_probe_drv"),
        ?assertEqual("refused", do(P, "own_in_thread")),
        assert_untouched(P)
    end).

a_port_is_refused_in_a_callback_with_another_lock_test_() ->
    ?HOSTED(begin
        load("stale_probe_drv"),
        load("stale_locking_probe_drv"),
        P = open("stale_probe_drv"),
        [L, M] = [open("stale_locking_probe_drv") || _ <- [1, 2]],
        [begin
             ?assertEqual("refused", do(From, ["foreign ", do(To, "handle")])),
             assert_untouched(To),
             assert_untouched(From)
         end || {From, To} <- [{L, M}, {L, P}, {P, L}]]
    end).

a_port_that_never_was_is_refused_test_() ->
    ?HOSTED(begin
        load("stale_probe_drv"),
        P = open("stale_probe_drv"),
        ?assertEqual("refused", do(P, "invented")),
        assert_untouched(P)
    end).

two_ports_with_a_lock_for_each_are_in_callbacks_at_once_test_() ->
    ?HOSTED(begin
        load("overlap_locking_probe_drv"),
        Self = self(),
        Ports = [porthost:open_port({spawn_driver, "overlap_locking_probe_drv"}, [{parallelism, true}]) || _ <- [1, 2]],
        [spawn_link(fun() -> Self ! {P, do(P, "meet")} end) || P <- Ports],
        ?assertEqual(["met", "met"], [receive {P, Answer} -> Answer end || P <- Ports])
    end).
