%% SPDX-License-Identifier: Apache-2.0
%% Reloading a driver that is in use, by several connections.
-module(driver_reload_tests).

-include("rules.hrl").

-define(R, "reload_probe_drv").

%% Controls a port of host_a until told to stop or the port is gone; then tells what it got: answers, in order, and how it ended.
hammer(Test) ->
    process_flag(trap_exit, true),
    P = porthost:open_port(host_a, {spawn_driver, ?R}, []),
    Test ! {self(), opened},
    Answers = hammer_on(P, []),
    Test ! {self(), {lists:reverse(Answers), receive {'EXIT', P, Why} -> Why after 10000 -> nothing end}}.

hammer_on(P, Answers) ->
    receive
        stop -> porthost:port_close(P), Answers
    after 0 ->
        try porthost:port_control(P, 0, "") of
            Answer -> hammer_on(P, [Answer | Answers])
        catch
            error:badarg -> Answers
        end
    end.

hammers(N) ->
    Self = self(),
    Pids = [spawn_link(fun() -> hammer(Self) end) || _ <- lists:seq(1, N)],
    [receive {Pid, opened} -> ok end || Pid <- Pids],
    Pids.

results(Pids) ->
    [receive {Pid, Result} -> Result after 30000 -> no_answer end || Pid <- Pids].

generation(Host) ->
    P = porthost:open_port(Host, {spawn_driver, ?R}, []),
    Generation = do(P, ""),
    porthost:port_close(P),
    Generation.

old_ports_finish_on_the_old_code_while_a_reload_waits_test_() ->
    ?SERVED(Daemon, begin
        [connect(Daemon, Name) || Name <- [host_a, host_b]],
        ok = on(host_b, load, [driver_dir(Daemon), ?R]),
        Old = generation(host_b),
        Pids = hammers(6),
        Reload = [{reload, pending_driver}, {monitor, pending_driver}],
        {ok, pending_driver, Ref} = on(host_b, try_load, [driver_dir(Daemon), ?R, Reload]),
        timer:sleep(200),
        ?assertEqual({awaiting, 1}, {awaiting, length(on(host_a, info, [?R, awaiting_load]))}),
        [Pid ! stop || Pid <- Pids],
        [begin
             ?assertEqual(normal, Why),
             ?assertEqual([Old], lists:usort(Answers))
         end || {Answers, Why} <- results(Pids)],
        ?assertMatch({'UP', Ref, driver, _, loaded}, receive {'UP', _, driver, _, _} = M -> M after 10000 -> nothing end),
        ?assertNotEqual(Old, generation(host_a))
    end).

%% Every request is answered, by the old code or with badarg, and a port's answers are all of one generation.
ports_are_killed_by_a_reload_that_says_so_and_no_request_is_lost_test_() ->
    ?SERVED(Daemon, begin
        [connect(Daemon, Name) || Name <- [host_a, host_b]],
        ok = on(host_b, load_driver, [driver_dir(Daemon), ?R]),
        lists:foldl(fun(_, Before) ->
                            Old = generation(host_b),
                            ?assertNotEqual(Before, Old),
                            Pids = hammers(6),
                            timer:sleep(20),
                            ?assertEqual(ok, on(host_b, reload_driver, [driver_dir(Daemon), ?R])),
                            [begin
                                 ?assertEqual(driver_unloaded, Why),
                                 ?assertEqual([Old], lists:usort(Answers))
                             end || {Answers, Why} <- results(Pids)],
                            Old
                    end, none, lists:seq(1, 15)),
        ?assertEqual([{self(), 1}], on(host_a, info, [?R, processes])),
        ?assertEqual(0, on(host_a, info, [?R, port_count]))
    end).

%% Opening goes on during reloads: a new port is of the old code and killed with it, or of the new code, or there is no driver for the
%% moment. A port that is forgotten would be waited for in vain: nobody closes them here.
ports_opened_during_reloads_are_killed_or_new_or_refused_test_() ->
    ?SERVED(Daemon, begin
        [connect(Daemon, Name) || Name <- [host_a, host_b]],
        Load = [driver_dir(Daemon), ?R],
        ok = on(host_b, load_driver, Load),
        Self = self(),
        Openers = [spawn_link(fun() -> process_flag(trap_exit, true), opener(Self, none) end) || _ <- lists:seq(1, 4)],
        Reloader = spawn_link(fun() ->
                                      ok = on(host_b, load_driver, Load),
                                      receive go -> ok end,
                                      Self ! {self(), [on(host_b, reload_driver, Load) || _ <- lists:seq(1, 100)]},
                                      receive done -> ok end
                              end),
        ok = on(host_b, unload_driver, [?R]),
        Reloader ! go,
        ?assertEqual([[ok || _ <- lists:seq(1, 100)]], results([Reloader])),
        [Pid ! stop || Pid <- Openers],
        ?assertEqual([stopped || _ <- Openers], results(Openers)),
        %% Who has loaded it ends, and then nobody holds it. Not before: the daemon would find the driver for the openers by itself.
        Reloader ! done,
        until(fun() -> {ok, Drivers} = on(host_a, loaded_drivers, []), Drivers =:= [] end)
    end).

%% Keeps one port open, and opens the next when it has been killed.
opener(Test, Port) ->
    receive
        stop -> Test ! {self(), stopped};
        {'EXIT', Port, driver_unloaded} -> opener(Test, none)
    after case Port of none -> 0; _ -> infinity end ->
        try opener(Test, porthost:open_port(host_a, {spawn_driver, ?R}, []))
        catch error:badarg -> opener(Test, none)
        end
    end.
