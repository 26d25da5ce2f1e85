%% SPDX-License-Identifier: Apache-2.0
%% Several connections that use one driver: users, ports, and what the end of a connection leaves.
-module(driver_users_tests).

-include("rules.hrl").

-define(D, "start_probe_drv").

users(Host) ->
    lists:sort(on(Host, info, [?D, processes])).

loaded(Host) ->
    {ok, Drivers} = on(Host, loaded_drivers, []),
    lists:member(?D, Drivers).

connections_that_load_a_driver_are_users_of_their_own_test_() ->
    ?SERVED(Daemon, begin
        [connect(Daemon, Name) || Name <- [host_a, host_b]],
        Load = [driver_dir(Daemon), ?D, []],
        Self = self(),
        ?assertEqual({ok, loaded}, on(host_a, try_load, Load)),
        ?assertEqual({ok, already_loaded}, on(host_b, try_load, Load)),
        ?assertEqual({ok, already_loaded}, on(host_b, try_load, Load)),
        ?assertEqual([{Self, 1}, {Self, 2}], users(host_a)),
        ?assertEqual([{Self, 1}, {Self, 2}], users(host_b)),
        ?assertEqual({ok, pending_process}, on(host_a, try_unload, [?D, []])),
        ?assertEqual([{Self, 2}], users(host_a)),
        ?assertEqual({error, not_loaded_by_this_process}, on(host_a, try_unload, [?D, []])),
        P = porthost:open_port(host_a, {spawn_driver, ?D}, []),
        ?assertEqual("port", do(P, "x")),
        porthost:port_close(P),
        ?assertEqual({ok, pending_process}, on(host_b, try_unload, [?D, []])),
        ?assert(loaded(host_a)),
        ?assertEqual({ok, pending_driver}, on(host_b, try_unload, [?D, []])),
        until(fun() -> not loaded(host_a) end)
    end).

ports_of_all_connections_keep_a_driver_test_() ->
    ?SERVED(Daemon, begin
        [connect(Daemon, Name) || Name <- [host_a, host_b]],
        ok = on(host_a, load, [driver_dir(Daemon), ?D]),
        [A, B] = [porthost:open_port(Host, {spawn_driver, ?D}, []) || Host <- [host_a, host_b]],
        ?assertEqual(2, on(host_b, info, [?D, port_count])),
        {ok, pending_driver, Ref} = on(host_a, try_unload, [?D, [{monitor, pending}]]),
        porthost:port_close(A),
        ?assertEqual(1, on(host_a, info, [?D, port_count])),
        ?assertEqual("port", do(B, "x")),
        porthost:port_close(B),
        ?assertMatch({'DOWN', Ref, driver, _, unloaded}, receive {'DOWN', _, driver, _, _} = M -> M after 10000 -> nothing end)
    end).

the_last_user_of_one_connection_does_not_kill_ports_while_another_uses_the_driver_test_() ->
    ?SERVED(Daemon, begin
        [connect(Daemon, Name) || Name <- [host_a, host_b]],
        [ok = on(Host, load_driver, [driver_dir(Daemon), ?D]) || Host <- [host_a, host_b]],
        P = porthost:open_port(host_b, {spawn_driver, ?D}, []),
        ?assertEqual({ok, pending_process}, on(host_a, try_unload, [?D, [kill_ports]])),
        ?assertEqual("port", do(P, "x")),
        ?assertEqual(ok, on(host_b, unload_driver, [?D])),
        ?assertEqual({'EXIT', P, driver_unloaded}, next())
    end).

a_driver_that_only_ports_use_is_unloaded_with_them_by_whoever_may_load_test_() ->
    ?SERVED(Daemon, begin
        [connect(Daemon, Name) || Name <- [host_a, host_b]],
        P = porthost:open_port(host_a, {spawn_driver, ?D}, []),
        ?assertEqual({ok, pending_driver}, on(host_b, try_unload, [?D, [kill_ports]])),
        ?assertEqual({'EXIT', P, driver_unloaded}, next()),
        until(fun() -> not loaded(host_a) end), % stop comes after the exit
        Q = porthost:open_port(host_a, {spawn_driver, ?D}, []),
        ok = on(host_a, load, [driver_dir(Daemon), ?D]),
        ?assertEqual({error, not_loaded_by_this_process}, on(host_b, try_unload, [?D, [kill_ports]])),
        ?assertEqual("port", do(Q, "x"))
    end).

a_connection_that_ends_drops_what_it_has_loaded_test_() ->
    ?SERVED(Daemon, begin
        [connect(Daemon, Name) || Name <- [host_a, host_b, host_c]],
        [{ok, _} = on(Host, try_load, [driver_dir(Daemon), ?D, []]) || Host <- [host_a, host_b, host_b]],
        [A, B] = [porthost:open_port(Host, {spawn_driver, ?D}, []) || Host <- [host_a, host_b]],
        Self = self(),
        ?assertEqual([{Self, 1}, {Self, 2}], users(host_c)),
        porthost:stop(host_b),
        until(fun() -> users(host_c) =:= [{Self, 1}] end),
        until(fun() -> on(host_c, info, [?D, port_count]) =:= 1 end),
        ?assertMatch({'EXIT', B, _}, next()),
        ?assertMatch([_ | _], do(A, "x")),
        porthost:stop(host_a),
        until(fun() -> not loaded(host_c) end)
    end).

%% Who says nothing of a node of its own speaks for processes that another connection may speak for, too.
a_connection_without_a_node_drops_what_it_has_loaded_test_() ->
    ?SERVED(Daemon, begin
        connect(Daemon, host_a),
        Raw = raw(Daemon, #{}),
        ?assertEqual({ok, t, loaded}, asked(Raw, {load, t, self(), make_ref(), <<>>, ?D, []})),
        ?assertEqual([{self(), 1}], users(host_a)),
        gen_tcp:close(Raw),
        until(fun() -> not loaded(host_a) end)
    end).
