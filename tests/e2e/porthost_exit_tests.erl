%% SPDX-License-Identifier: Apache-2.0
%% How hosted ports end: who is told, why, and in which order.
-module(porthost_exit_tests).
-behaviour(application).

-include_lib("eunit/include/eunit.hrl").

-export([start/2, stop/1]).

-define(FAKE(Fake, Body), porthost_fake:run(fun(Fake) -> Body end)).
-define(PORT(Fake, Port, Body),
        ?FAKE(Fake, begin process_flag(trap_exit, true), Port = open(), Body end)).

open() ->
    porthost:open_port({spawn, "echo_drv x"}, [binary]).

next() ->
    receive Message -> Message after 1000 -> nothing end.

nothing_comes() ->
    receive Message -> Message after 50 -> nothing end.

no_ports() ->
    porthost_fake:until(fun() -> porthost:ports(porthost) =:= [] end).

exits(Fake) ->
    [Exit || {exit, _, _, _} = Exit <- porthost_fake:requests(Fake)].

%% A process that is linked to the port (or monitors it), and tells what it hears.
watcher(How, Port) ->
    Test = self(),
    Pid = spawn_link(fun() ->
                             process_flag(trap_exit, true),
                             How(Port),
                             _ = is_process_alive(Port),   % asked when what was sent before has been delivered
                             Test ! {self(), ready},
                             Test ! {self(), first, next()},
                             Test ! {self(), second, next()}
                     end),
    receive {Pid, ready} -> Pid end.

linker(Port) -> watcher(fun link/1, Port).
monitorer(Port) -> watcher(fun(P) -> monitor(process, P) end, Port).

exit_reaches_links_before_what_the_host_sends_later_test_() ->
    {timeout, 60,
     fun() ->
             ?FAKE(Fake, begin
                 process_flag(trap_exit, true),
                 [exit_order(Fake, N) || N <- lists:seq(1, 300)]
             end)
     end}.

exit_order(Fake, N) ->
    Port = open(),
    Id = id(Port),
    Count = 1 + N rem 20,
    Linked = [linker(Port) || _ <- lists:seq(1, Count)],
    Monitoring = [monitorer(Port) || _ <- lists:seq(1, Count)],
    All = Linked ++ Monitoring,
    %% All frames are there at once, so only the connection process keeps them apart.
    porthost_fake:send_all(Fake, [{exit, Id, why} | [{send, Pid, later} || Pid <- All]]
                                 ++ [{closed, Id}]),
    [receive {Pid, first, First} -> ?assertEqual({'EXIT', Port, why}, First) end || Pid <- Linked],
    [receive {Pid, first, First} -> ?assertMatch({'DOWN', _, process, Port, why}, First) end
     || Pid <- Monitoring],
    [receive {Pid, second, Second} -> ?assertEqual(later, Second) end || Pid <- All],
    ?assertEqual({'EXIT', Port, why}, receive {'EXIT', Port, _} = Exit -> Exit end),
    [receive {'EXIT', Pid, normal} -> ok end || Pid <- All].

id(Port) ->
    {id, Id} = porthost:port_info(Port, id),
    Id.

the_name_is_free_when_exit_arrives_test_() ->
    {timeout, 60,
     fun() ->
             ?FAKE(Fake, begin
                 process_flag(trap_exit, true),
                 [begin
                      Port = open(),
                      register(the_port, Port),
                      porthost_fake:send(Fake, {exit, id(Port), why}),
                      ?assertEqual({'EXIT', Port, why}, next()),
                      ?assertEqual(undefined, whereis(the_port)),
                      ?assertEqual([], porthost:port_info(Port, registered_name)),
                      ?assertError(badarg, porthost:port_command(Port, "x"))
                  end || _ <- lists:seq(1, 200)]
             end)
     end}.

output_of_stop_comes_between_exit_and_closed_test() ->
    ?PORT(Fake, Port, begin
        Me = self(),
        porthost_fake:script(Fake, fun({send, Id, _, {_, close}}) ->
                                           [{exit, Id, normal},
                                            {send, Me, {Port, {data, <<"bye">>}}},
                                            {closed, Id}, {send, Me, {Port, closed}}];
                                      (_) -> default
                                   end),
        Port ! {Me, close},
        ?assertEqual({'EXIT', Port, normal}, next()),
        ?assertEqual({Port, {data, <<"bye">>}}, next()),
        ?assertEqual({Port, closed}, next())
    end).

a_link_is_made_before_the_reply_test_() ->
    {timeout, 60,
     fun() ->
             ?FAKE(_, begin
                 process_flag(trap_exit, true),
                 [begin
                      Port = open(),
                      unlink(Port),
                      ?assertEqual({links, []}, porthost:port_info(Port, links)),
                      true = porthost:port_close(Port),
                      ?assertEqual(nothing, receive M -> M after 0 -> nothing end)
                  end || _ <- lists:seq(1, 300)]
             end)
     end}.

an_unlinked_process_gets_no_exit_test() ->
    ?PORT(Fake, Port, begin
        porthost_fake:send(Fake, {unlink, id(Port), self()}),
        porthost_fake:send(Fake, {exit, id(Port), normal}),
        ?assertEqual(nothing, nothing_comes()),
        ?assertNot(is_process_alive(Port))
    end).

the_driver_can_exit_with_any_reason_test_() ->
    [fun() ->
             ?PORT(Fake, Port, begin
                 Ref = monitor(process, Port),
                 porthost_fake:send(Fake, {exit, id(Port), Reason}),
                 ?assertEqual({'EXIT', Port, Reason}, next()),
                 ?assertEqual({'DOWN', Ref, process, Port, Reason}, next())
             end)
     end || Reason <- [normal, einval, 17, {a, "b"}, driver_unloaded]].

exit_2_ends_the_port_test_() ->
    [fun() ->
             ?PORT(Fake, Port, begin
                 exit(Port, Reason),
                 ?assertEqual({'EXIT', Port, Reason}, next()),
                 Me = self(),
                 ?assertMatch([{exit, _, Me, Reason}], exits(Fake)),
                 ?assertError(badarg, porthost:port_control(Port, 5, ""))
             end)
     end || Reason <- [normal, shutdown, {a, b}]].

exit_2_comes_after_messages_sent_before_test() ->
    ?PORT(_, Port, begin
        [Port ! {self(), {command, integer_to_list(N)}} || N <- lists:seq(1, 50)],
        exit(Port, why),
        [?assertEqual({Port, {data, integer_to_binary(N)}}, next()) || N <- lists:seq(1, 50)],
        ?assertEqual({'EXIT', Port, why}, next())
    end).

an_exit_signal_in_a_message_by_function_is_a_bad_signal_test() ->
    ?PORT(Fake, Port, begin
        Signal = {'EXIT', self(), foo},
        ?assertEqual(Signal, porthost:send(Port, Signal)),
        ?assertEqual({'EXIT', Port, badsig}, next()),
        ?assertEqual([], exits(Fake)),
        ?assert(porthost:is_port(Port))
    end).

kill_is_reported_as_killed_test() ->
    ?PORT(Fake, Port, begin
        Id = id(Port),
        Ref = monitor(process, Port),
        exit(Port, kill),
        ?assertEqual({'EXIT', Port, killed}, next()),
        ?assertEqual({'DOWN', Ref, process, Port, killed}, next()),
        ?assertEqual({exit, Id, Port, kill}, porthost_fake:await(Fake, exit)),
        no_ports(),
        ?assertError(badarg, porthost:port_command(Port, "x"))
    end).

kill_from_the_host_is_reported_as_killed_test() ->
    ?PORT(Fake, Port, begin
        porthost_fake:send(Fake, {exit, id(Port), kill}),
        ?assertEqual({'EXIT', Port, killed}, next())
    end).

a_linked_process_that_fails_ends_the_port_test() ->
    ?PORT(Fake, Port, begin
        Pid = spawn(fun() -> link(Port), exit(why) end),
        ?assertEqual({'EXIT', Port, why}, next()),
        ?assertMatch([{exit, _, Pid, why}], exits(Fake))
    end).

a_linked_process_that_is_no_owner_may_end_test() ->
    ?PORT(Fake, Port, begin
        {_, Ref} = spawn_monitor(fun() -> link(Port), _ = process_info(Port, status) end),
        receive {'DOWN', Ref, _, _, normal} -> ok end,
        ?assertEqual(nothing, nothing_comes()),
        ?assertEqual([], exits(Fake)),
        ?assert(porthost:is_port(Port))
    end).

the_owner_that_ends_ends_the_port_test_() ->
    [fun() ->
             ?FAKE(Fake, begin
                 {_, Ref} = spawn_monitor(fun() -> exit({port, open(), Reason}) end),
                 Port = receive {'DOWN', Ref, _, _, {port, P, _}} -> P end,
                 Watch = monitor(process, Port),
                 ?assertMatch({'DOWN', Watch, process, Port, _}, next()),
                 ?assertMatch([{exit, _, _, _}], exits(Fake))
             end)
     end || Reason <- [why]].

an_owner_by_message_that_ends_normally_ends_the_port_if_linked_test() ->
    ?PORT(Fake, Port, begin
        Me = self(),
        New = spawn(fun() ->
                            link(Port),
                            Me ! {self(), linked},
                            receive go -> ok end
                    end),
        receive {New, linked} -> ok end,
        Port ! {Me, {connect, New}},
        ?assertEqual({Port, connected}, next()),
        New ! go,
        ?assertEqual({'EXIT', Port, normal}, next()),
        ?assertMatch([{exit, _, New, normal}], exits(Fake))
    end).

an_owner_that_is_dead_already_counts_as_a_broken_link_test() ->
    ?PORT(Fake, Port, begin
        {Dead, Ref} = spawn_monitor(fun() -> ok end),
        receive {'DOWN', Ref, _, _, _} -> ok end,
        porthost_fake:send(Fake, {link, id(Port), Dead}),
        ?assertEqual({'EXIT', Port, noproc}, next()),
        ?assertMatch([{exit, _, Dead, noproc}], exits(Fake))
    end).

an_exit_reason_too_deep_for_a_frame_ends_only_the_port_test() ->
    ?PORT(Fake, Port, begin
        exit(Port, lists:foldl(fun(_, T) -> {T} end, a, lists:seq(1, 5000))),
        ?assertEqual({'EXIT', Port, {porthost, system_limit}}, next()),
        ?assertNot(lists:member({closed}, porthost_fake:requests(Fake)))
    end).

a_signal_from_the_port_does_not_end_it_test() ->
    ?PORT(Fake, Port, begin
        porthost_fake:send(Fake, {signal, id(Port), self(), badsig}),
        porthost_fake:send(Fake, {send, self(), later}),
        ?assertEqual({'EXIT', Port, badsig}, next()),
        ?assertEqual(later, next()),
        ?assert(porthost:is_port(Port))
    end).

an_owner_that_does_not_trap_dies_of_badsig_and_takes_the_port_along_test() ->
    ?FAKE(_, begin
        {Owner, Ref} = spawn_monitor(fun() ->
                                             open() ! garbage,
                                             receive after infinity -> ok end
                                     end),
        ?assertEqual({'DOWN', Ref, process, Owner, badsig}, next()),
        no_ports()
    end).

a_closed_port_stays_listed_while_it_flushes_test() ->
    ?PORT(Fake, Port, begin
        Id = id(Port),
        porthost_fake:script(Fake, fun({close, Tag, _, _}) -> [{exit, Id, normal}, {ok, Tag, true}];
                                      (_) -> default
                                   end),
        true = porthost:port_close(Port),
        ?assertEqual({'EXIT', Port, normal}, next()),
        ?assertEqual([Port], porthost:ports(porthost)),
        ?assertError(badarg, porthost:port_close(Port)),
        porthost_fake:send(Fake, {closed, Id}),
        no_ports()
    end).

%% A port whose driver has not flushed yet.
closing(Fake) ->
    process_flag(trap_exit, true),
    Port = open(),
    Id = id(Port),
    porthost_fake:script(Fake, fun({close, Tag, _, _}) -> [{exit, Id, normal}, {ok, Tag, true}];
                                  (_) -> default
                               end),
    true = porthost:port_close(Port),
    ?assertEqual({'EXIT', Port, normal}, next()),
    {Port, Id}.

a_closing_port_answers_control_call_and_info_test() ->
    ?FAKE(Fake, begin
        {Port, Id} = closing(Fake),
        Me = self(),
        ?assertEqual(<<"x">>, porthost:port_control(Port, 5, "x")),
        ?assertEqual({5, x}, porthost:port_call(Port, 5, x)),
        ?assertEqual({connected, Me}, porthost:port_info(Port, connected)),
        ?assertEqual({links, []}, porthost:port_info(Port, links)),
        ?assertEqual({monitored_by, []}, porthost:port_info(Port, monitored_by)),
        ?assertEqual({id, Id}, porthost:port_info(Port, id)),
        ?assertMatch([{name, "echo_drv x"}, {links, []}, {id, Id} | _], porthost:port_info(Port)),
        ?assertEqual(true, porthost:is_port(Port)),
        ?assert(lists:member(Port, porthost:ports()))
    end).

a_closing_port_takes_nothing_else_test() ->
    ?FAKE(Fake, begin
        {Port, _} = closing(Fake),
        Before = porthost_fake:requests(Fake),
        Message = {self(), {command, "x"}},
        [?assertError(badarg, Function())
         || Function <- [fun() -> porthost:port_command(Port, "x") end,
                         fun() -> porthost:port_command(Port, "x", [nosuspend]) end,
                         fun() -> porthost:port_command(Port, "x", [force]) end,
                         fun() -> porthost:port_close(Port) end,
                         fun() -> porthost:port_connect(Port, self()) end,
                         fun() -> porthost:port_set_data(Port, x) end,
                         fun() -> porthost:port_get_data(Port) end]],
        ?assertEqual(Message, Port ! Message),
        ?assertEqual(Message, porthost:send(Port, Message)),
        ?assertEqual(ok, porthost:send(Port, Message, [nosuspend])),
        exit(Port, kill),
        ?assertEqual(nothing, nothing_comes()),
        ?assertEqual(Before, porthost_fake:requests(Fake)),
        ?assertEqual([Port], porthost:ports(porthost))
    end).

a_busy_port_that_is_closing_makes_nobody_wait_test() ->
    ?FAKE(Fake, begin
        {Port, Id} = closing(Fake),
        porthost_fake:send(Fake, {busy, Id, true}),
        ?assertEqual(<<>>, porthost:port_control(Port, 5, "")),
        ?assertError(badarg, porthost:port_command(Port, "x")),
        ?assertEqual(x, porthost:send(Port, x)),
        ?assertEqual(true, porthost:send_nosuspend(Port, {self(), {command, "x"}}))
    end).

a_closing_port_is_gone_when_it_is_closed_test() ->
    ?FAKE(Fake, begin
        {Port, Id} = closing(Fake),
        porthost_fake:send(Fake, {closed, Id}),
        no_ports(),
        ?assertEqual(undefined, porthost:port_info(Port)),
        ?assertEqual(undefined, porthost:port_info(Port, links)),
        ?assertError(badarg, porthost:port_control(Port, 5, "x")),
        ?assertNot(porthost:is_port(Port)),
        ?assertEqual([], port_rows())
    end).

a_closing_port_goes_with_its_connection_test_() ->
    [fun() ->
             ?FAKE(Fake, begin
                 {Port, _} = closing(Fake),
                 End(Fake),
                 porthost_fake:until(fun() -> port_rows() =:= [] end),
                 ?assertError(badarg, porthost:port_control(Port, 5, "x"))
             end)
     end || End <- [fun porthost_fake:close/1, fun(_) -> porthost:stop(porthost) end,
                    fun(_) -> exit(whereis(porthost), kill) end]].

port_rows() ->
    [Row || Row <- ets:tab2list(porthost), element(1, Row) =:= port].

an_opener_killed_while_it_opens_leaves_nothing_behind_test() ->
    ?FAKE(Fake, begin
        Test = self(),
        porthost_fake:script(Fake, fun({open, Tag, _, _, _, _, _}) -> Test ! {tag, Tag}, [];
                                      (_) -> default
                                   end),
        Opener = spawn(fun open/0),
        Tag = receive {tag, T} -> T end,
        exit(Opener, kill),
        porthost_fake:send(Fake, {error, Tag, einval}),
        no_ports(),
        ?assertEqual([], port_rows())
    end).

%% Monitors of drivers, and ports they create

the_host_is_told_when_a_process_ends_test() ->
    ?FAKE(Fake, begin
        Pid = spawn(fun() -> receive stop -> ok end end),
        porthost_fake:send(Fake, {monitor, 7, Pid}),
        porthost_fake:send(Fake, {monitor, 8, Pid}),
        porthost_fake:send(Fake, {monitor, 9, Pid}),
        porthost_fake:send(Fake, {demonitor, 8}),
        porthost_fake:send(Fake, {demonitor, 12345}),
        ?assertMatch({ok, _}, porthost_wire:request(element(3, hd(porthost_registry:hosts())),
                                                    {ping, tag})),
        ?assertEqual([], [D || D <- porthost_fake:requests(Fake), element(1, D) =:= down]),
        Pid ! stop,
        porthost_fake:await(Fake, fun(R) -> R =:= {down, 7, normal} end),
        porthost_fake:await(Fake, fun(R) -> R =:= {down, 9, normal} end),
        porthost_fake:send(Fake, {monitor, 10, Pid}),
        porthost_fake:await(Fake, fun(R) -> R =:= {down, 10, noproc} end),
        ?assertNot(lists:keymember(8, 2, porthost_fake:requests(Fake)))
    end).

a_port_made_by_a_driver_is_a_port_test() ->
    ?PORT(Fake, Port, begin
        {grant, [{Id, Child} | _]} = porthost_fake:await(Fake, grant),
        ?assertNot(porthost:is_port(Child)),
        ?assertEqual([Port], porthost:ports(porthost)),
        porthost_fake:send(Fake, {created, Id, id(Port), self(), <<"child">>}),
        porthost_fake:send(Fake, {link, Id, self()}),
        {grant, [{_, New}]} =
            porthost_fake:await(Fake, fun({grant, [_]}) -> true; (_) -> false end),
        ?assert(porthost:is_port(Child)),
        ?assertNot(porthost:is_port(New)),
        ?assertEqual(lists:sort([Port, Child]), lists:sort(porthost:ports(porthost))),
        ?assertEqual({links, [self()]}, porthost:port_info(Child, links)),
        true = porthost:port_command(Child, "x"),
        ?assertMatch({command, Id, _, <<"x">>},
                     porthost_fake:await(Fake, command)),
        porthost_fake:send(Fake, {exit, Id, gone}),
        ?assertEqual({'EXIT', Child, gone}, next())
    end).

a_port_made_by_a_driver_whose_process_was_killed_ends_test() ->
    ?PORT(Fake, Port, begin
        {grant, [{Id, Child} | _]} = porthost_fake:await(Fake, grant),
        exit(Child, kill),
        porthost_fake:until(fun() -> not is_process_alive(Child) end),
        ?assertEqual(<<>>, porthost:port_control(Port, 5, "")),     % the connection process has heard of it
        porthost_fake:send(Fake, {created, Id, id(Port), self(), <<"child">>}),
        ?assertEqual({exit, Id, Child, kill}, porthost_fake:await(Fake, exit)),
        ?assertNot(porthost:is_port(Child)),
        ?assert(porthost:is_port(Port))
    end).

%% Applications

%% An application's end kills whatever has been started in it. A port is given away, which the VM's own would outlive.
ports_outlive_the_application_in_which_they_were_opened_test() ->
    ?FAKE(Fake, begin
        process_flag(trap_exit, true),
        Test = self(),
        ok = application:load({application, opener, [{mod, {?MODULE, Test}}, {applications, [kernel, stdlib]}]}),
        ok = application:start(opener),
        Port = receive {opened, P} -> P end,
        ok = application:stop(opener),
        ok = application:unload(opener),
        ?assertEqual({connected, Test}, porthost:port_info(Port, connected)),
        {grant, [{Id, Child} | _]} = porthost_fake:await(Fake, grant),
        porthost_fake:send_all(Fake, [{created, Id, id(Port), Test, <<"child">>}, {link, Id, Test}]),
        porthost_fake:until(fun() -> porthost:is_port(Child) end),
        ?assertEqual({links, [Test]}, porthost:port_info(Child, links)),
        ?assertEqual(nothing, nothing_comes())
    end).

start(normal, Test) ->
    {ok, spawn_link(fun() ->
                            Port = open(),
                            true = porthost:port_connect(Port, Test),
                            unlink(Port),
                            Test ! {opened, Port},
                            receive after infinity -> ok end
                    end)}.

stop(_) ->
    ok.

unknown_and_late_frames_do_no_harm_test() ->
    ?PORT(Fake, Port, begin
        [porthost_fake:send(Fake, Frame)
         || Frame <- [{exit, 4711, a}, {closed, 4711}, {link, 4711, self()}, {busy, 4711, true},
                      {ok, make_ref(), a}, {ok, not_ours, a}, {error, 1, a}, {send, nobody, x},
                      {what, is, this}, notuple, {}, {signal, 4711, self(), x},
                      {created, 4711, 1, self(), <<>>}]],
        ?assertEqual(<<"x">>, porthost:port_control(Port, 5, "x")),
        ?assertEqual(nothing, nothing_comes())
    end).
