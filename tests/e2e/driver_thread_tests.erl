%% SPDX-License-Identifier: Apache-2.0
%% Threads of drivers while their ports and connections come and go: what the VM, which has no connections, cannot be asked. Nothing may be lost, crash, or
%% be found by a sanitizer.
-module(driver_thread_tests).

-include("rules.hrl").

%% The numbers of the messages that are there, by thread: {Thread, Number}.
numbers(Thread) ->
    receive {Thread, K} when is_integer(K) -> [K | numbers(Thread)] after 0 -> [] end.

%% Those that are sent to a port that has gone are refused; what was not, has come, each thread's in order.
ports_that_close_while_threads_send_test_() ->
    ?HOSTED(begin
        load("herd_probe_drv"),
        [begin
             P = open("herd_probe_drv"),
             "4" = do(P, "send 4 2000"),
             timer:sleep(Round rem 4),
             true = porthost:port_close(P),
             Q = open("herd_probe_drv"),
             "joined" = do(Q, "join_left"),
             %% After the threads, so after all that they have sent.
             [begin Came = numbers(T), ?assertEqual(lists:seq(1, length(Came)), Came) end || T <- [1, 2, 3, 4]],
             true = porthost:port_close(Q)
         end
         || Round <- lists:seq(1, 40)]
    end).

%% The last of the threads empties the queue, and so ends the port.
queues_that_threads_fill_while_their_ports_close_test_() ->
    ?HOSTED(begin
        load("herd_probe_drv"),
        [begin
             P = open("herd_probe_drv pdl"),
             "4" = do(P, "enq 4 20000"),
             [do(P, "take") || _ <- lists:seq(1, Round rem 5)],
             true = porthost:port_close(P),
             until(fun() -> porthost:port_info(P) =:= undefined end),
             Q = open("herd_probe_drv"),
             "joined" = do(Q, "join_left"),
             true = porthost:port_close(Q)
         end
         || Round <- lists:seq(1, 40)]
    end).

%% The threads go on for a port of a connection that is no more; a port of another connection waits for them.
a_connection_that_ends_while_threads_send_test_() ->
    ?SERVED(Daemon, begin
        [begin
             Host = connect(Daemon, host_a),
             ok = on(Host, load, [driver_dir(Daemon), "herd_probe_drv"]),
             Other = connect(Daemon, host_b),
             ok = on(Other, load, [driver_dir(Daemon), "herd_probe_drv"]),
             Ports = [porthost:open_port(Host, {spawn_driver, "herd_probe_drv pdl"}, []) || _ <- [1, 2]],
             ["3", "3"] = [do(P, Action) || {P, Action} <- lists:zip(Ports, ["outlive 3 0", "send 3 3000"])],
             timer:sleep(Round),
             ok = porthost:stop(Host),
             Q = porthost:open_port(Other, {spawn_driver, "herd_probe_drv"}, []),
             %% Of two herds that are left the first is joined by the second port's stop.
             until(fun() -> do(Q, "join_left") =:= "joined" end),
             ok = porthost:stop(Other)
         end
         || Round <- lists:seq(1, 10)]
    end).

%% With a client that has not read anything for a while.
threads_that_send_more_than_a_client_reads_test_() ->
    ?HOSTED(begin
        load("herd_probe_drv"),
        P = open("herd_probe_drv"),
        ok = sys:suspend(porthost),
        spawn(fun() -> timer:sleep(500), sys:resume(porthost) end),
        "8" = do(P, "send 8 5000"),
        "done 40000 refused 0" = do(P, "join"),
        [?assertEqual(lists:seq(1, 5000), numbers(T)) || T <- lists:seq(1, 8)]
    end).
