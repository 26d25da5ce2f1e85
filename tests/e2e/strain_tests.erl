%% SPDX-License-Identifier: Apache-2.0
%% Clients and drivers that ask too much: limits are kept, others go on, and memory stays bounded. Each test has a daemon of its own.
-module(strain_tests).
-include_lib("eunit/include/eunit.hrl").
-import(raw_client, [with_daemon/1, connect/1, connect/2, send/2, send_all/2, next/1, next/2, until/2, open/3, request/2]).

%% A client that makes up nodes can fill no table but for itself.
invented_nodes_are_limited_for_each_connection_test_() ->
    with_daemon(fun(D) ->
        [S, Other] = [connect(D), connect(D)],
        ok = open(S, 1, "echo_drv"),
        ok = open(Other, 1, "echo_drv"),
        Answers = [request(S, {control, N, 1, pid_of(N), 1, <<"x">>}) || N <- lists:seq(1, 1100)],
        {Good, Bad} = lists:splitwith(fun({Result, _}) -> Result =:= ok end, Answers),
        ?assert(length(Good) >= 500),
        ?assertEqual([{error, {bad_request, control, 4}}], lists:usort(Bad)),
        %% who is known stays known, and the other connection has its own allowance
        ?assertMatch({ok, _}, request(S, {control, known, 1, pid_of(1), 1, <<"x">>})),
        ?assertMatch({ok, _}, request(Other, {control, new, 1, pid_of(2000), 1, <<"x">>})),
        %% a pid inside a message is under the same limit
        send(S, {send, 1, self(), {pid_of(3000), {command, <<"x">>}}}),
        ?assertMatch({ok, pong}, request(S, {ping, after_it}))
    end).

what_a_client_keeps_in_ports_is_limited_test_() ->
    with_daemon(fun(D) ->
        S = connect(D),
        Data = binary:copy(<<"d">>, 20 bsl 20),
        [ok = open(S, N, "echo_drv") || N <- lists:seq(1, 8)],
        Results = [request(S, {set_data, N, N, Data}) || N <- lists:seq(1, 8)],
        ?assertEqual(lists:duplicate(6, {ok, true}) ++ lists:duplicate(2, {error, system_limit}), Results),
        ?assertEqual({ok, undefined}, request(S, {get_data, get, 8})),
        %% replacing counts once, and a closed port gives back what it kept
        ?assertEqual({ok, true}, request(S, {set_data, again, 1, <<"small">>})),
        ?assertEqual({ok, true}, request(S, {set_data, room, 8, Data})),
        ?assertEqual({ok, true}, request(S, {close, close, 2, self()})),
        ?assertEqual({ok, true}, request(S, {set_data, room, 7, Data})),
        ?assertEqual({error, system_limit}, request(S, {open, open, 99, p, self(), binary:copy(<<"echo_drv ">>, 2 bsl 20), []})),
        ok = open(S, 99, "echo_drv")
    end).

%% The driver is not told of input while its client does not read; nothing is lost and the port goes on afterwards.
input_waits_for_a_client_that_does_not_read_test_() ->
    with_daemon(fun(D) ->
        [S, Other] = [connect(D), connect(D)],
        ok = open(S, 1, "strain_probe_drv"),
        ok = open(Other, 1, "strain_probe_drv"),
        send(S, {control, go, 1, self(), 1, <<>>}),
        timer:sleep(500),
        First = raw_client:rss(D),
        timer:sleep(500),
        ?assert(raw_client:rss(D) < 100 bsl 10),
        ?assert(raw_client:rss(D) - First < 4 bsl 10),
        %% the same driver's port of a client that reads is not held
        {ok, _} = request(Other, {control, quick, 1, self(), 5, <<>>}),
        Numbers = [binary:decode_unsigned(<<A, B, C, E>>) || {data, [A, B, C, E | _]} <- [data(S) || _ <- lists:seq(1, 2000)]],
        ?assertEqual(lists:seq(0, 1999), Numbers),
        send(S, {control, stop, 1, self(), 2, <<>>}),
        until(S, fun(F) -> element(1, F) =:= ok andalso element(2, F) =:= stop end)
    end).

data(S) ->
    {send, _, {{port, 1}, Data}} = until(S, fun(F) -> element(1, F) =:= send end),
    Data.

%% The queue of a port becomes too long while a callback runs: the client hears of it then, not when the callback is over.
a_long_queue_is_told_while_a_callback_runs_test_() ->
    [with_daemon(fun(D) ->
         S = connect(D, #{self => self()}),
         ok = open(S, 1, "strain_probe_drv"),
         {ok, _} = request(S, {control, ms, 1, self(), 3, <<"300">>}),
         send(S, Command(1)),
         timer:sleep(50), % it runs
         send(S, {control, off, 1, self(), 3, <<"0">>}),
         send_all(S, [Command(N) || N <- lists:seq(2, 20)]),
         ?assertEqual({busy, 1, true}, next(S)),
         Rest = [next(S) || _ <- lists:seq(1, 22)],
         ?assertEqual(1, length([x || {busy, 1, false} <- Rest])),
         ?assertEqual(20, length([x || {send, _, {{port, 1}, {data, _}}} <- Rest]))
     end)
     || Command <- [fun(N) -> {command, 1, self(), <<N, (binary:copy(<<"c">>, 1000))/binary>>} end,
                    fun(N) -> {send, 1, self(), {self(), {command, <<N, (binary:copy(<<"c">>, 1000))/binary>>}}} end]].

%% A driver that was quick so far and suddenly is not: what comes to its reactor meanwhile is done by another thread.
a_callback_that_does_not_return_holds_up_nothing_test_() ->
    with_daemon(fun(D) ->
        Connections = [connect(D) || _ <- lists:seq(1, 8)], % some on the same reactor
        Before = threads(D),
        [ok = open(S, 1, "strain_locking_probe_drv") || S <- Connections],
        [ok = open(S, 2, "echo_drv") || S <- Connections],
        Two = lists:sublist(Connections, 2),
        [{ok, _} = request(Stuck, {control, ms, 1, self(), 3, <<"3000">>}) || Stuck <- Two],
        [send(Stuck, {command, 1, self(), <<"slow">>}) || Stuck <- Two],
        timer:sleep(100),
        [?assertMatch({ok, _}, request(S, {control, {echo, N}, 2, self(), 1, <<"x">>})) || S <- Connections, N <- [1, 2, 3]],
        New = connect(D),
        ok = open(New, 2, "echo_drv"),
        %% only now
        [?assertEqual({send, self(), {{port, 1}, {data, <<"slow">>}}}, next(Stuck)) || Stuck <- Two],
        raw_client:eventually(fun() -> threads(D) =< Before + 1 end), % the main thread may be one too many
        raw_client:eventually(fun() -> watch_sleeps(D) end)
    end).

%% Each of them blocks a thread of the pool; more of those come.
slow_drivers_do_not_use_up_the_workers_test_() ->
    with_daemon(fun(D) ->
        S = connect(D),
        Before = threads(D),
        [{ok, _} = request(S, {open, open, N, {port, N}, self(), "strain_locking_probe_drv", [binary, {parallelism, true}]}) || N <- lists:seq(1, 9)],
        [{ok, _} = request(S, {control, ms, N, self(), 3, <<"3000">>}) || N <- lists:seq(1, 8)],
        [send(S, {command, N, self(), <<"slow">>}) || N <- lists:seq(1, 8)],
        timer:sleep(100),
        send(S, {command, 9, self(), <<"quick">>}),
        ?assertEqual({send, self(), {{port, 9}, {data, <<"quick">>}}}, next(S)),
        ?assert(threads(D) > Before),
        [?assertMatch({send, _, {{port, _}, {data, <<"slow">>}}}, next(S)) || _ <- lists:seq(1, 8)],
        raw_client:eventually(fun() -> threads(D) =:= Before end)
    end).

threads(D) ->
    length(tasks(D)).

tasks(D) ->
    filelib:wildcard(lists:concat(["/proc/", raw_client:os_pid(D), "/task/*"])).

%% The thread that looks after the others does not wake while there is nothing to look after.
watch_sleeps(D) ->
    [Watch] = [Task || Task <- tasks(D), file:read_file(Task ++ "/comm") =:= {ok, <<"watch\n">>}],
    Before = switches(Watch),
    timer:sleep(200),
    switches(Watch) =:= Before.

switches(Task) ->
    {ok, Status} = file:read_file(Task ++ "/status"),
    {match, [N]} = re:run(Status, "^voluntary_ctxt_switches:\\s*([0-9]+)", [multiline, {capture, [1], binary}]),
    N.

a_stack_overflow_is_reported_test_() ->
    {timeout, 60, fun() ->
        D = raw_client:start(),
        S = connect(D),
        ok = open(S, 1, "strain_probe_drv"),
        send(S, {control, deep, 1, self(), 4, <<>>}),
        ?assertEqual(closed, next(S)),
        raw_client:logged(D, "CRITICAL SIG(SEGV|BUS) in callback control of driver strain_probe_drv, conn [0-9]+ port 1"),
        ?assertNotEqual(0, raw_client:stop(D))
    end}.

%% A process of a node that nobody has heard of.
pid_of(N) ->
    raw_client:pid(list_to_atom(lists:concat(["n", N, "@nowhere"])), 1).
