%% SPDX-License-Identifier: Apache-2.0
%% What callers see of a port that is busy.
-module(porthost_busy_tests).

-include_lib("eunit/include/eunit.hrl").

-define(FAKE(Fake, Body), porthost_fake:run(fun(Fake) -> Body end)).
-define(BUSY(Port, Body), ?FAKE(_, begin Port = busy_port("echo_drv"), Body end)).

busy_port(Command) ->
    Port = porthost:open_port({spawn, Command}, [binary]),
    busy(Port),
    Port.

busy(Port) -> porthost:port_control(Port, 1, "").
idle(Port) -> porthost:port_control(Port, 2, "").

next() ->
    receive Message -> Message after 1000 -> nothing end.

nothing_comes() ->
    receive Message -> Message after 50 -> nothing end.

commands(Fake) ->
    [R || R <- porthost_fake:requests(Fake), lists:member(element(1, R), [command, send])].

%% A process that does something and tells how that went; returns when it waits (or is done).
doing(Fun) ->
    Test = self(),
    Pid = spawn(fun() ->
                        Result = try {ok, Fun()} catch Class:Why -> {Class, Why} end,
                        Test ! {self(), Result}
                end),
    settled(Pid),
    Pid.

settled(Pid) ->
    case process_info(Pid, status) of
        {status, Status} when Status =/= waiting -> erlang:yield(), settled(Pid);
        _ -> timer:sleep(5)
    end.

%% Ways to send a command and wait; each with the result it should have.
waiting_ways() ->
    Me = self(),
    [{"port_command/2", fun(P, D) -> true = porthost:port_command(P, D) end},
     {"port_command/3", fun(P, D) -> true = porthost:port_command(P, D, []) end},
     {"send/2", fun(P, D) -> {Me, _} = porthost:send(P, {Me, {command, D}}) end},
     {"send/3", fun(P, D) -> ok = porthost:send(P, {Me, {command, D}}, [noconnect]) end}].

commands_wait_until_the_port_is_not_busy_test_() ->
    [{Name, fun() -> ?FAKE(Fake, waits(Fake, N)) end}
     || {N, {Name, _}} <- lists:zip(lists:seq(1, 4), waiting_ways())].

waits(Fake, N) ->
    {_, Way} = lists:nth(N, waiting_ways()),
    Port = busy_port("echo_drv"),
    Pids = [doing(fun() -> Way(Port, "x") end) || _ <- lists:seq(1, 5)],
    ?assertEqual([], commands(Fake)),
    ?assertEqual(nothing, nothing_comes()),
    idle(Port),
    [receive {Pid, Result} -> ?assertMatch({ok, _}, Result) after 1000 -> error(Pid) end
     || Pid <- Pids],
    [?assertEqual({Port, {data, <<"x">>}}, next()) || _ <- Pids],
    ?assertEqual(nothing, nothing_comes()).

who_is_woken_waits_again_if_the_port_is_busy_again_test() ->
    ?FAKE(Fake, begin
        Port = busy_port("echo_drv"),
        Pid = doing(fun() -> porthost:port_command(Port, "x") end),
        {id, Id} = porthost:port_info(Port, id),
        porthost_fake:send_all(Fake, [{busy, Id, false}, {busy, Id, true}]),
        timer:sleep(30),
        N = length(commands(Fake)),
        ?assert(N =< 1),
        idle(Port),
        ?assertEqual({ok, true}, receive {Pid, Result} -> Result after 1000 -> nothing end)
    end).

other_requests_do_not_wait_test() ->
    ?BUSY(Port, begin
        ?assertEqual(<<"x">>, porthost:port_control(Port, 5, "x")),
        ?assertEqual({5, x}, porthost:port_call(Port, 5, x)),
        ?assertMatch({connected, _}, porthost:port_info(Port, connected)),
        ?assertEqual(true, porthost:port_connect(Port, self())),
        ?assertEqual(true, porthost:port_set_data(Port, x)),
        porthost:send(Port, {self(), {connect, self()}}),
        ?assertEqual({Port, connected}, next()),
        ?assertEqual(true, porthost:port_close(Port))
    end).

nosuspend_gives_up_test() ->
    ?BUSY(Port, begin
        Message = {self(), {command, "x"}},
        ?assertEqual(false, porthost:port_command(Port, "x", [nosuspend])),
        ?assertEqual(false, porthost:port_command(Port, no_data, [nosuspend])),
        ?assertEqual(nosuspend, porthost:send(Port, Message, [nosuspend])),
        ?assertEqual(false, porthost:send_nosuspend(Port, Message)),
        ?assertEqual(false, porthost:send_nosuspend(Port, Message, [noconnect])),
        idle(Port),
        ?assertEqual(nothing, nothing_comes()),
        ?assertEqual(true, porthost:port_command(Port, "x", [nosuspend])),
        ?assertEqual({Port, {data, <<"x">>}}, next())
    end).

force_does_not_wait_test() ->
    ?FAKE(_, begin
        Soft = busy_port("soft_drv"),
        ?assertEqual(true, porthost:port_command(Soft, "x", [force])),
        ?assertEqual({Soft, {data, <<"forced x">>}}, next()),
        ?assertEqual(true, porthost:port_command(Soft, "y", [nosuspend, force])),
        ?assertEqual({Soft, {data, <<"forced y">>}}, next())
    end).

waiting_callers_get_badarg_when_the_port_ends_test_() ->
    [fun() ->
             ?FAKE(_, begin
                 process_flag(trap_exit, true),
                 Port = busy_port("echo_drv"),
                 Command = doing(fun() -> porthost:port_command(Port, "x") end),
                 Message = doing(fun() -> porthost:send(Port, {a, {command, "x"}}) end),
                 Bang = doing(fun() -> porthost:send(Port, {self(), {command, "x"}}) end),
                 End(Port),
                 ?assertEqual({error, badarg}, receive {Command, R} -> R after 1000 -> nothing end),
                 ?assertMatch({ok, _}, receive {Message, R} -> R after 1000 -> nothing end),
                 ?assertMatch({ok, _}, receive {Bang, R} -> R after 1000 -> nothing end)
             end)
     end || End <- [fun porthost:port_close/1, fun(P) -> exit(P, kill) end,
                    fun(_) -> porthost:stop(porthost) end]].

a_killed_waiter_leaves_nothing_behind_test() ->
    ?FAKE(Fake, begin
        Port = busy_port("echo_drv"),
        Before = monitors(Port),
        Waiters = [doing(fun() -> porthost:port_command(Port, "x") end) || _ <- lists:seq(1, 20)],
        ?assertEqual(20, length(monitors(Port)) - length(Before)),
        [exit(Pid, kill) || Pid <- Waiters],
        porthost_fake:until(fun() -> monitors(Port) =:= Before end),
        ?assertEqual({monitored_by, []}, porthost:port_info(Port, monitored_by)),
        idle(Port),
        ?assertEqual(<<>>, porthost:port_control(Port, 5, "")),
        ?assertEqual([], commands(Fake))
    end).

monitors(Port) ->
    {monitors, Monitors} = process_info(Port, monitors),
    Monitors.

messages_to_a_busy_port_wait_and_keep_their_order_test() ->
    ?FAKE(Fake, begin
        Port = busy_port("echo_drv"),
        Me = self(),
        [Port ! {Me, {command, integer_to_list(N)}} || N <- lists:seq(1, 50)],
        Port ! {Me, {connect, Me}},
        ?assertEqual(nothing, nothing_comes()),
        ?assertEqual([], commands(Fake)),
        Closer = doing(fun() -> porthost:port_info(Port, connected) end),
        ?assertEqual({ok, {connected, Me}}, receive {Closer, R} -> R after 1000 -> nothing end),
        idle(Port),
        [?assertEqual({Port, {data, integer_to_binary(N)}}, next()) || N <- lists:seq(1, 50)],
        ?assertEqual({Port, connected}, next())
    end).

a_message_that_waits_keeps_nobody_from_closing_the_port_test() ->
    ?FAKE(Fake, begin
        Port = busy_port("echo_drv"),
        process_flag(trap_exit, true),
        Me = self(),
        {_, Ref} = spawn_monitor(fun() -> Port ! {Me, {command, "x"}} end),
        receive {'DOWN', Ref, _, _, _} -> ok end,
        Port ! {Me, {command, "y"}},
        true = porthost:port_close(Port),
        ?assertEqual({'EXIT', Port, normal}, next()),
        ?assertEqual([], commands(Fake))
    end).

a_message_that_is_no_command_passes_a_busy_port_test() ->
    ?BUSY(Port, begin
        process_flag(trap_exit, true),
        Port ! {self(), close},
        ?assertEqual({'EXIT', Port, normal}, next()),
        ?assertEqual({Port, closed}, next())
    end).
