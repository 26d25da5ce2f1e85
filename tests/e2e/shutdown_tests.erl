%% SPDX-License-Identifier: Apache-2.0
%% SIGTERM at a bad moment: the daemon ends in time with status 0, and a sanitizer has nothing to say. Each test has daemons of its own.
-module(shutdown_tests).
-include_lib("eunit/include/eunit.hrl").
-import(raw_client, [connect/1, send/2, send_all/2, open/3, request/2]).

-define(CHURNERS, 8).

%% Connections come and go, ports are opened and closed, when it is told to end.
connections_that_come_and_go_test_() ->
    {timeout, 120, fun() ->
        [begin
             D = raw_client:start(),
             Test = self(),
             Churners = [spawn_link(fun() -> churn(Test, D, N) end) || N <- lists:seq(1, ?CHURNERS)],
             wait_for(200),
             ?assertEqual(0, raw_client:stop(D)),
             [begin unlink(Pid), exit(Pid, kill) end || Pid <- Churners],
             forget_rounds()
         end
         || _ <- lists:seq(1, 4)]
    end}.

%% Their port and its connection are gone, what they have is not: a leak would be reported by a sanitizer.
async_jobs_that_are_being_done_test_() ->
    {timeout, 60, fun() ->
        D = raw_client:start(),
        S = connect(D),
        ok = open(S, 1, "crunch_drv"),
        _ = raw_client:control(S, 1, <<"50000">>),
        [send(S, {command, 1, self(), binary:copy(<<"x">>, 1000)}) || _ <- lists:seq(1, 8)],
        {ok, _} = raw_client:request(S, {close, close, 1, self()}),
        gen_tcp:close(S),
        ?assertEqual(0, raw_client:stop(D))
    end}.

%% Two signals, the second at any moment of the end, up to its last.
a_signal_while_it_ends_test_() ->
    {timeout, 120, fun() ->
        [begin
             #{os_pid := Pid} = D = raw_client:start(),
             os:cmd(lists:concat(["kill ", Pid, "; sleep 0.00", N rem 8, "; kill ", Pid])),
             ?assertEqual(0, raw_client:stop(D))
         end
         || N <- lists:seq(1, 40)]
    end}.

%% One round after another until the daemon does not answer any more.
churn(Test, D, N) ->
    try
        S = connect(D),
        send_all(S, [{open, I, I, p, self(), driver(I), []} || I <- lists:seq(1, 6)] ++
                    [{command, I, self(), <<"data">>} || I <- lists:seq(1, 6)] ++
                    [{close, I, I, self()} || I <- lists:seq(1, 4)] ++ [{exit, 5, self(), bye}, {ping, last}]),
        N rem 2 =:= 0 andalso raw_client:until(S, fun(F) -> F =:= {ok, last, pong} end),
        gen_tcp:close(S),
        Test ! round
    of
        round -> churn(Test, D, N)
    catch
        error:_ -> ended
    end.

driver(I) ->
    lists:nth(I rem 3 + 1, ["echo_drv", "delay_drv 1", "ending_locking_probe_drv"]).

wait_for(0) -> ok;
wait_for(N) -> receive round -> wait_for(N - 1) end.

forget_rounds() ->
    receive round -> forget_rounds() after 0 -> ok end.

%% Hundreds of connections are closed by their clients while the daemon ends them.
connections_that_are_closed_meanwhile_test_() ->
    {timeout, 120, fun() ->
        [begin
             D = raw_client:start(),
             Sockets = [connect(D) || _ <- lists:seq(1, 300)],
             [ok = open(S, 1, "echo_drv") || S <- lists:sublist(Sockets, 100)],
             Closer = spawn_link(fun() -> receive go -> [gen_tcp:close(S) || S <- Sockets] end end),
             [ok = gen_tcp:controlling_process(S, Closer) || S <- Sockets],
             Closer ! go,
             ?assertEqual(0, raw_client:stop(D))
         end
         || _ <- lists:seq(1, 4)]
    end}.

%% Ports that have something in their queues when it is told to end: they flush, and their last words arrive.
ports_that_flush_test_() ->
    {timeout, 120, fun() ->
        D = raw_client:start(),
        Sockets = [connect(D) || _ <- lists:seq(1, 50)],
        Ids = lists:seq(1, 10),
        [begin
             [ok = open(S, I, "delay_drv 300") || I <- Ids],
             [send(S, {command, I, self(), <<"data">>}) || I <- Ids],
             {ok, _} = request(S, {info, queue, 10, queue_size})
         end
         || S <- Sockets],
        ?assertEqual(0, raw_client:stop(D)),
        [begin
             Told = to_the_end(S),
             ?assertEqual(Ids, lists:sort([I || {exit, I, shutdown} <- Told])),
             ?assertEqual(Ids, lists:sort([I || {closed, I} <- Told])),
             ?assertMatch({goodbye, shutdown, _}, lists:last(Told))
         end
         || S <- Sockets]
    end}.

%% A port that has much to flush still, when a second signal hurries the end: the log says which.
an_abandoned_port_is_named_test_() ->
    {timeout, 60, fun() ->
        D = raw_client:start(),
        S = connect(D),
        ok = open(S, 7, "delay_drv 60000"),
        send(S, {command, 7, self(), <<"data">>}),
        {ok, _} = request(S, {info, queue, 7, queue_size}),
        Kill = "kill " ++ integer_to_list(raw_client:os_pid(D)),
        os:cmd(Kill),
        raw_client:logged(D, "Terminated: ending"),
        os:cmd(Kill),
        raw_client:logged(D, "warning \\[conn [0-9]+ port 7 delay_drv\\] abandoned: 4 bytes in its queue"),
        ?assertEqual(0, raw_client:stop(D))
    end}.

%% A callback that does not come back, or much to flush, does not keep a daemon whose node has gone.
an_end_of_stdio_does_not_wait_for_a_driver_for_ever_test_() ->
    {timeout, 120, fun() ->
        [begin
             {P, Dir} = on_stdio(),
             Gate = filename:join(Dir, "config"), % that there is
             tell(P, {open, open, 1, p, self(), Driver, []}),
             tell(P, Request(Gate)),
             tell(P, {ping, ping}),
             raw_client:eventually(fun() -> {ok, ping, pong} =:= told(P) end),
             {os_pid, Pid} = erlang:port_info(P, os_pid),
             port_close(P),
             raw_client:eventually(fun() -> not filelib:is_dir("/proc/" ++ integer_to_list(Pid)) end),
             ok = file:del_dir_r(Dir)
         end
         || {Driver, Request} <- [{"strain_probe_drv", fun(Gate) -> {control, stuck, 1, self(), 7, Gate} end},
                                   {"delay_drv 60000", fun(_) -> {command, 1, self(), <<"data">>} end}]]
    end}.

%% What is left to be said is waited for as long as somebody may read it.
an_end_of_stdin_waits_for_ports_while_stdout_is_read_test_() ->
    {timeout, 60, fun() ->
        Dir = stdio_dir(),
        Frames = [{hello, 1, #{}}, {open, open, 1, p, self(), "delay_drv 1500", []}, {command, 1, self(), <<"data">>}],
        ok = file:write_file(filename:join(Dir, "frames"), [framed(F) || F <- Frames]),
        P = open_port({spawn_executable, "/bin/sh"}, [{args, ["-c", "cat \"$0\"/frames | \"$@\"", Dir, raw_client:program() | stdio_args(Dir)]}, {packet, 4}, binary]),
        raw_client:eventually(fun() -> {closed, 1} =:= told(P) end),
        ok = file:del_dir_r(Dir)
    end}.

on_stdio() ->
    Dir = stdio_dir(),
    P = open_port({spawn_executable, raw_client:program()}, [{args, stdio_args(Dir)}, {packet, 4}, binary]),
    tell(P, {hello, 1, #{}}),
    {hello, 1, _} = told(P),
    {P, Dir}.

stdio_dir() ->
    Dir = filename:join(os:getenv("TMPDIR", "/tmp"), lists:concat(["porthost-stdio-", os:getpid(), "-", erlang:unique_integer([positive])])),
    ok = file:make_dir(Dir),
    ok = file:write_file(filename:join(Dir, "config"), "{\"shutdown_s\": 0}"),
    Dir.

stdio_args(Dir) ->
    ["--stdio", "--log-level", "error", "--config", filename:join(Dir, "config"), "--driver-path", lists:join(":", raw_client:driver_path())].

framed(Term) ->
    Bin = term_to_binary(Term),
    [<<(byte_size(Bin)):32>>, Bin].

tell(P, Term) ->
    true = port_command(P, term_to_binary(Term)).

told(P) ->
    receive {P, {data, Bin}} -> binary_to_term(Bin) after 20000 -> error(nothing_is_told) end.

%% Its port is gone, but a thread has the port data lock, and so keeps the driver, which is to be unloaded since its user's connection has ended: finish ends the thread, and is called once.
a_thread_that_keeps_its_driver_test_() ->
    {timeout, 60, fun() ->
        Trace = filename:join(os:getenv("TMPDIR", "/tmp"), lists:concat(["porthost-trace-", os:getpid(), "-", erlang:unique_integer([positive])])),
        os:putenv("PH_PROBE_TRACE", Trace),
        D = raw_client:start(),
        os:unsetenv("PH_PROBE_TRACE"),
        S = connect(D),
        {ok, loaded} = request(S, {load, l, self(), make_ref(), [], "held_probe_drv", []}),
        ok = open(S, 1, "held_probe_drv pdl"),
        <<"0">> = iolist_to_binary(raw_client:control(S, 1, "hold_pdl")),
        gen_tcp:close(S),
        Other = connect(D),
        raw_client:eventually(fun() -> {ok, []} =:= request(Other, {driver_info, i, "held_probe_drv", processes}) end),
        ?assertEqual(0, raw_client:stop(D)),
        {ok, Lines} = file:read_file(Trace),
        file:delete(Trace),
        ?assertEqual(<<"init\nstart\nstop\nrefc 1\ndec 0\nfinish\n">>, Lines)
    end}.

to_the_end(S) ->
    case raw_client:next(S) of
        closed -> [];
        Frame when is_tuple(Frame) -> [Frame | to_the_end(S)]
    end.

%% Callbacks that do not return, on every reactor or every worker: signals that follow cut the end short.
callbacks_that_do_not_return_test_() ->
    [{timeout, 60, fun() ->
         D = raw_client:start(),
         Sockets = [connect(D) || _ <- lists:seq(1, 8)],
         [{ok, _} = request(S, {open, open, 1, p, self(), "ending_locking_probe_drv", Options}) || S <- Sockets],
         [send(S, {control, sleep, 1, self(), 0, "sleep 600"}) || S <- Sockets],
         Threads = min(2, erlang:system_info(schedulers_online)),
         raw_client:logged(D, lists:append(lists:duplicate(Threads, "sleeps(.|\\n)*"))),
         kill(D, "ending$"),
         kill(D, "ending now$"),
         ?assertEqual(0, raw_client:stop(D))
     end}
     || Options <- [[], [{parallelism, true}]]].

kill(D, Logged) ->
    os:cmd("kill " ++ integer_to_list(raw_client:os_pid(D))),
    raw_client:logged(D, Logged).

%% Many wait for a driver on behalf of connections that are gone: nothing that takes long at the end.
many_waiters_of_connections_that_are_gone_test_() ->
    raw_client:with_daemon(fun(D) ->
        S = connect(D),
        ok = open(S, 1, "ending_probe_drv"),
        [begin
             Gone = connect(D),
             send_all(Gone, [{monitor_driver, N, self(), make_ref(), "ending_probe_drv", unloaded} || N <- lists:seq(1, 15000)]),
             gen_tcp:close(Gone)
         end
         || _ <- [1, 2, 3]],
        ?assertMatch({ok, [_ | _]}, request(S, {drivers, d}))
    end).
