%% SPDX-License-Identifier: Apache-2.0
%% The port functions of the client, one by one: results, exceptions, and what goes to the host.
-module(porthost_client_tests).

-export([log/2]).    % as a handler of logger

-include_lib("eunit/include/eunit.hrl").

-define(HOST(Body), porthost_fake:run(fun(_Fake) -> Body end)).
-define(FAKE(Fake, Body), porthost_fake:run(fun(Fake) -> Body end)).
-define(PORT(Port, Body), ?HOST(begin Port = open("echo_drv x"), Body end)).

open(Command) ->
    porthost:open_port({spawn, Command}, [binary]).

next() ->
    receive Message -> Message after 1000 -> nothing end.

nothing_comes() ->
    receive Message -> Message after 50 -> nothing end.

dead() ->
    {Pid, Ref} = spawn_monitor(fun() -> ok end),
    receive {'DOWN', Ref, _, _, _} -> Pid end.

nested(0) -> [];
nested(N) -> [nested(N - 1)].

%% open_port

a_hosted_port_is_a_linked_pid_test() ->
    ?PORT(Port, begin
        ?assert(is_pid(Port)),
        ?assert(porthost:is_port(Port)),
        {links, Links} = process_info(self(), links),
        ?assert(lists:member(Port, Links))
    end).

command_lines_are_sent_as_bytes_test_() ->
    [{lists:flatten(io_lib:format("~p", [Given])),
      fun() ->
              ?FAKE(Fake, begin
                  open(Given),
                  {open, _, _, _, _, Command, [binary]} =
                      porthost_fake:await(Fake, open),
                  ?assertEqual(Sent, Command)
              end)
      end}
     || {Given, Sent} <- [{"echo_drv a  b", <<"echo_drv a  b">>},
                          {<<"echo_drv a">>, <<"echo_drv a">>},
                          {'echo_drv a', <<"echo_drv a">>},
                          {["echo_drv", [$\s]], <<"echo_drv ">>},
                          {"echo_drv " ++ [229, 1234], <<"echo_drv ", 195, 165, 211, 146>>}]].

bad_names_and_options_are_badarg_test_() ->
    [fun() -> ?HOST(?assertError(badarg, porthost:open_port(Name, Options))) end
     || {Name, Options} <- [{{spawn_driver, ["echo_drv" | <<"x">>]}, []},
                            {{spawn_driver, "echo_drv" ++ [0]}, []},
                            {{spawn_driver, "echo_drv " ++ [-1]}, []},
                            {{spawn_driver, [foo]}, []},
                            {{spawn_driver, self()}, []},
                            {{spawn_driver, "echo_drv"}, foo},
                            {{spawn_driver, "echo_drv"}, nested(200)},
                            {{spawn_driver, "no_such_drv"}, []},
                            {{spawn_executable, 1}, []},
                            {{foo}, []}]].

errors_of_start_are_raised_test_() ->
    [fun() -> ?HOST(?assertError(Why, open("fail_drv " ++ atom_to_list(Why)))) end
     || Why <- [badarg, einval, enoent, unknown, system_limit]].

a_failed_open_leaves_nothing_behind_test() ->
    ?FAKE(_, begin
        ?assertError(einval, open("fail_drv einval")),
        ?assertEqual([], porthost:ports(porthost)),
        ?assertEqual(nothing, nothing_comes())
    end).

spawn_of_what_is_no_driver_runs_a_program_test() ->
    ?HOST(begin
        Port = porthost:open_port({spawn, "cat"}, [binary]),
        ?assert(erlang:is_port(Port)),
        true = porthost:port_command(Port, "hello"),
        ?assertEqual({Port, {data, <<"hello">>}}, next()),
        true = porthost:port_close(Port)
    end).

spawn_executable_is_not_for_the_host_test() ->
    ?FAKE(Fake, begin
        Port = porthost:open_port({spawn_executable, "/bin/cat"}, []),
        ?assert(erlang:is_port(Port)),
        ?assertMatch([{hello, 1, _}], porthost_fake:requests(Fake)),
        true = porthost:port_close(Port)
    end).

without_a_host_opening_fails_clearly_test() ->
    ?assertError({porthost, {no_host, porthost}}, open("echo_drv")),
    ?assertError({porthost, {no_host, nobody}}, porthost:open_port(nobody, {spawn, "a"}, [])),
    Pid = self(),
    ?assertError({porthost, {no_host, Pid}}, porthost:open_port(Pid, {spawn, "a"}, [])).

ports_for_driver_created_ones_are_granted_once_test() ->
    ?FAKE(Fake, begin
        open("echo_drv"),
        open("echo_drv"),
        Grants = [G || {grant, G} <- porthost_fake:requests(Fake)],
        ?assertMatch([[_, _, _, _]], Grants)
    end).

%% port_command

a_command_is_answered_by_data_test() ->
    ?PORT(Port, begin
        true = porthost:port_command(Port, ["ab", <<"c">> | <<"d">>]),
        ?assertEqual({Port, {data, <<"abcd">>}}, next()),
        true = porthost:port_command(Port, "x", []),
        ?assertEqual({Port, {data, <<"x">>}}, next()),
        true = porthost:port_command(Port, "y", [nosuspend]),
        ?assertEqual({Port, {data, <<"y">>}}, next())
    end).

a_command_goes_by_a_registered_name_test() ->
    ?PORT(Port, begin
        register(some_port, Port),
        true = porthost:port_command(some_port, "x"),
        ?assertEqual({Port, {data, <<"x">>}}, next())
    end).

bad_data_is_badarg_and_not_sent_test_() ->
    [fun() ->
             ?FAKE(Fake, begin
                 Port = open("soft_drv"),
                 ?assertError(badarg, porthost:port_command(Port, Data)),
                 ?assertError(badarg, porthost:port_command(Port, Data, [])),
                 ?assertError(badarg, porthost:port_command(Port, Data, [force])),
                 ?assertError(badarg, porthost:port_control(Port, 1, Data)),
                 ?assertNot(lists:keymember(command, 1, porthost_fake:requests(Fake))),
                 ?assertNot(lists:keymember(control, 1, porthost_fake:requests(Fake)))
             end)
     end || Data <- [foo, 1, <<1:1>>, [256], [a], [$a | $b], {}]].

bad_options_of_a_command_are_badarg_test_() ->
    [fun() -> ?PORT(Port, ?assertError(badarg, porthost:port_command(Port, "x", Options))) end
     || Options <- [foo, [foo], [force | foo], [nosuspend, 1]]].

force_needs_a_driver_with_soft_busy_test() ->
    ?HOST(begin
        Hard = open("echo_drv"),
        ?assertError(notsup, porthost:port_command(Hard, "x", [force])),
        ?assertError(notsup, porthost:port_command(Hard, foo, [force])),
        ?assertError(notsup, porthost:port_command(Hard, "x", [nosuspend, force])),
        Soft = open("soft_drv"),
        true = porthost:port_command(Soft, "x", [force]),
        ?assertEqual({Soft, {data, <<"forced x">>}}, next())
    end).

deeply_nested_data_does_no_harm_test() ->
    ?PORT(Port, begin
        Data = lists:foldl(fun(_, L) -> [L] end, "x", lists:seq(1, 5000)),
        true = porthost:port_command(Port, Data),
        ?assertEqual({Port, {data, <<"x">>}}, next()),
        ?assertEqual(<<"x">>, porthost:port_control(Port, 5, Data))
    end).

what_the_host_would_refuse_raises_system_limit_test() ->
    ?PORT(Port, begin
        Large = binary:copy(<<"a">>, 1 bsl 20),
        ?assertError(system_limit, porthost:port_command(Port, Large)),
        ?assertError(system_limit, porthost:port_control(Port, 5, Large)),
        ?assertError(system_limit, porthost:port_call(Port, Large)),
        ?assertError(system_limit, porthost:port_call(Port, nested(200))),
        ?assertError(system_limit, porthost:port_set_data(Port, nested(200))),
        ?assertError(system_limit, porthost:send(Port, {self(), {command, Large}})),
        ?assertEqual(<<"x">>, porthost:port_control(Port, 5, "x"))
    end).

%% port_control, port_call

control_gives_what_the_driver_gives_test() ->
    ?FAKE(Fake, begin
        Port = open("echo_drv"),
        ?assertEqual(<<"abc">>, porthost:port_control(Port, 5, ["a", <<"bc">>])),
        ?assertEqual(<<>>, porthost:port_control(Port, 16#FFFFFFFF, [])),
        Me = self(),
        {control, _, _, Caller, _, _} = porthost_fake:await(Fake, control),
        ?assertEqual(Me, Caller)
    end).

a_refused_control_is_badarg_test() ->
    ?PORT(Port, ?assertError(badarg, porthost:port_control(Port, 99, ""))).

operations_out_of_range_are_badarg_test_() ->
    [fun() ->
             ?PORT(Port, begin
                 ?assertError(badarg, porthost:port_control(Port, Op, "")),
                 ?assertError(badarg, porthost:port_call(Port, Op, x))
             end)
     end || Op <- [-1, 1 bsl 32, a, 1.0]].

call_passes_terms_test() ->
    ?PORT(Port, begin
        Term = {self(), make_ref(), #{a => [1.5, "x"]}},
        ?assertEqual({7, Term}, porthost:port_call(Port, 7, Term)),
        ?assertEqual({0, Term}, porthost:port_call(Port, Term)),
        ?assertError(badarg, porthost:port_call(Port, 99, Term))
    end).

%% port_close, port_connect

close_gives_exit_and_no_closed_test() ->
    ?PORT(Port, begin
        process_flag(trap_exit, true),
        ?assertEqual(true, porthost:port_close(Port)),
        ?assertEqual({'EXIT', Port, normal}, next()),
        ?assertEqual(nothing, nothing_comes()),
        ?assertError(badarg, porthost:port_close(Port)),
        ?assertEqual([], porthost:ports(porthost))
    end).

closing_comes_after_messages_sent_before_test() ->
    ?PORT(Port, begin
        [Port ! {self(), {command, integer_to_list(N)}} || N <- lists:seq(1, 100)],
        true = porthost:port_close(Port),
        [?assertEqual({Port, {data, integer_to_binary(N)}}, next()) || N <- lists:seq(1, 100)]
    end).

connect_changes_the_owner_and_links_it_test() ->
    ?PORT(Port, begin
        Test = self(),
        New = spawn(fun() ->
                            receive go -> ok end,
                            {links, Links} = process_info(self(), links),
                            Test ! {links, Links},
                            Test ! {got, next()}
                    end),
        ?assertEqual(true, porthost:port_connect(Port, New)),
        ?assertEqual({connected, New}, porthost:port_info(Port, connected)),
        true = porthost:port_command(Port, "x"),
        New ! go,
        ?assertEqual({links, [Port]}, next()),
        ?assertMatch({got, _}, next()),
        ?assert(porthost:is_port(Port))
    end).

connect_to_what_cannot_own_is_badarg_test_() ->
    [fun() -> ?PORT(Port, ?assertError(badarg, porthost:port_connect(Port, Pid))) end
     || Pid <- [foo, hd(erlang:ports()), dead()]].

%% port_info and data

info_has_the_items_in_the_order_of_the_vm_test() ->
    ?PORT(Port, begin
        Me = self(),
        ?assertEqual([{name, "echo_drv x"}, {links, [Me]}, {id, 1}, {connected, Me}, {input, 2},
                      {output, 3}, {os_pid, undefined}], porthost:port_info(Port)),
        register(named_port, Port),
        ?assertMatch([{registered_name, named_port}, {name, _} | _], porthost:port_info(named_port))
    end).

info_of_one_item_test() ->
    ?PORT(Port, begin
        Me = self(),
        ?assertEqual([], porthost:port_info(Port, registered_name)),
        register(named_port, Port),
        ?assertEqual({registered_name, named_port}, porthost:port_info(Port, registered_name)),
        ?assertEqual({links, [Me]}, porthost:port_info(Port, links)),
        ?assertEqual({id, 1}, porthost:port_info(Port, id)),
        ?assertEqual({connected, Me}, porthost:port_info(Port, connected)),
        ?assertEqual({queue_size, 0}, porthost:port_info(Port, queue_size)),
        ?assertEqual({monitors, [{process, Me}]}, porthost:port_info(Port, monitors)),
        ?assertEqual({monitored_by, []}, porthost:port_info(Port, monitored_by)),
        monitor(process, Port),
        ?assertEqual({monitored_by, [Me]}, porthost:port_info(Port, monitored_by)),
        ?assertError(badarg, porthost:port_info(Port, foo)),
        ?assertError(badarg, porthost:port_info(Port, driver))
    end).

info_of_what_is_no_port_test() ->
    ?PORT(Port, begin
        Me = self(),
        true = porthost:port_close(Port),
        ?assertEqual(undefined, porthost:port_info(Port)),
        ?assertEqual(undefined, porthost:port_info(Port, name)),
        ?assertEqual(undefined, porthost:port_info(Port, foo)),
        ?assertEqual(undefined, porthost:port_info(no_such_name)),
        ?assertEqual(undefined, porthost:port_info(no_such_name, name)),
        [?assertError(badarg, porthost:port_info(What)) || What <- [Me, 1, "x"]],
        [?assertError(badarg, porthost:port_info(What, name)) || What <- [Me, 1, "x"]]
    end).

data_of_a_port_is_kept_test() ->
    ?PORT(Port, begin
        ?assertEqual(undefined, porthost:port_get_data(Port)),
        ?assertEqual(true, porthost:port_set_data(Port, {a, "b"})),
        ?assertEqual({a, "b"}, porthost:port_get_data(Port))
    end).

dead_ports_and_other_things_are_badarg_test_() ->
    Things = [fun dead/0, fun() -> self() end, fun() -> no_such_name end, fun() -> 1 end,
              fun() -> {a} end, fun() -> "x" end, fun() -> init end,
              fun() -> whereis(porthost) end],
    Calls = [fun(P) -> porthost:port_command(P, "x") end,
             fun(P) -> porthost:port_command(P, "x", []) end,
             fun(P) -> porthost:port_command(P, "x", [force]) end,
             fun(P) -> porthost:port_command(P, "x", [nosuspend]) end,
             fun(P) -> porthost:port_control(P, 1, "x") end,
             fun(P) -> porthost:port_call(P, x) end,
             fun(P) -> porthost:port_call(P, 1, x) end,
             fun(P) -> porthost:port_close(P) end,
             fun(P) -> porthost:port_connect(P, self()) end,
             fun(P) -> porthost:port_set_data(P, x) end,
             fun(P) -> porthost:port_get_data(P) end],
    [fun() -> ?HOST(?assertError(badarg, Call(Thing()))) end || Thing <- Things, Call <- Calls].

without_any_host_ports_of_the_vm_still_work_test() ->
    Port = open_port({spawn, "cat"}, [binary]),
    register(vm_port, Port),
    true = porthost:port_command(vm_port, "a"),
    true = porthost:port_command(Port, "b", [nosuspend]),
    ?assertMatch({name, "cat"}, porthost:port_info(vm_port, name)),
    ?assertEqual(erlang:port_info(Port), porthost:port_info(Port)),
    ?assertError(badarg, porthost:port_control(Port, 1, "x")),
    ?assertError(badarg, porthost:port_call(Port, x)),
    true = porthost:port_set_data(Port, x),
    ?assertEqual(x, porthost:port_get_data(Port)),
    true = porthost:port_connect(Port, self()),
    ?assert(porthost:is_port(Port)),
    ?assert(lists:member(Port, porthost:ports())),
    true = porthost:send_nosuspend(Port, {self(), {command, "c"}}),
    ?assertEqual(<<"abc">>, cat(Port, <<>>)),
    true = porthost:port_close(vm_port).

cat(_, <<_, _, _>> = Data) -> Data;
cat(Port, Data) -> receive {Port, {data, More}} -> cat(Port, <<Data/binary, More/binary>>) end.

ports_are_listed_by_host_and_for_the_node_test() ->
    ?FAKE(_, begin
        Other = porthost_fake:start(),
        {ok, Host} = porthost:start_link(#{transport => {unix, porthost_fake:path(Other)}}),
        A = open("echo_drv"),
        B = porthost:open_port(Host, {spawn, "echo_drv"}, []),
        ?assertEqual([A], porthost:ports(porthost)),
        ?assertEqual([B], porthost:ports(Host)),
        ?assertEqual([], [A, B] -- porthost:ports()),
        ?assertEqual([], erlang:ports() -- porthost:ports()),
        process_flag(trap_exit, true),
        porthost:stop(Host)
    end).

is_port_knows_ports_test() ->
    ?PORT(Port, begin
        ?assert(porthost:is_port(Port)),
        ?assertNot(porthost:is_port(self())),
        ?assertNot(porthost:is_port(whereis(porthost))),
        ?assertNot(porthost:is_port(porthost)),
        ?assert(porthost:is_port(hd(erlang:ports()))),
        true = porthost:port_close(Port),
        ?assertNot(porthost:is_port(Port))
    end).

%% Messages

%% Ways to send to a port, all of which should have the same effects.
ways() ->
    [{"bang", fun(P, M) -> P ! M end}, {"send", fun porthost:send/2},
     {"send3", fun(P, M) -> porthost:send(P, M, []) end},
     {"nosuspend", fun(P, M) -> porthost:send(P, M, [nosuspend, noconnect]) end},
     {"send_nosuspend", fun porthost:send_nosuspend/2},
     {"send_nosuspend3", fun(P, M) -> porthost:send_nosuspend(P, M, [noconnect]) end}].

messages_to_a_port_do_what_they_do_in_the_vm_test_() ->
    [{Name, fun() -> ?PORT(Port, message_effects(Port, Way)) end} || {Name, Way} <- ways()].

message_effects(Port, Way) ->
    process_flag(trap_exit, true),
    Me = self(),
    Way(Port, {Me, {command, ["a", <<"b">>]}}),
    ?assertEqual({Port, {data, <<"ab">>}}, next()),
    Way(Port, {Me, {connect, Me}}),
    ?assertEqual({Port, connected}, next()),
    [begin
         Way(Port, Bad),
         ?assertEqual({Bad, {'EXIT', Port, badsig}}, {Bad, next()})
     end || Bad <- [foo, {Me, foo}, {Me, {command, foo}}, {Me, {connect, foo}},
                    {whereis(init), close}, {Port, close}, nested(5000)]],
    ?assert(porthost:is_port(Port)),
    Way(Port, {Me, close}),
    ?assertEqual({'EXIT', Port, normal}, next()),
    ?assertEqual({Port, closed}, next()),
    Way(Port, {Me, close}),
    ?assertEqual(nothing, nothing_comes()).

%% A command that is not iodata is logged, by whatever way it comes; other bad signals are not.
bad_output_is_logged_test() ->
    ?PORT(Port, begin
        process_flag(trap_exit, true),
        ok = logger:add_handler(?MODULE, ?MODULE, #{config => self()}),
        logger:set_handler_config(default, level, none),
        Logged = fun() -> receive {logged, Text} -> Text after 5000 -> nothing end end,
        Bad = lists:flatten(io_lib:format("Bad value on output port ~p", [Port])),
        try
            ?assertError(badarg, porthost:port_command(Port, foo)),
            ?assertEqual(Bad, Logged()),
            [begin
                 Way(Port, {self(), foo}),
                 ?assertEqual({'EXIT', Port, badsig}, next()),
                 Way(Port, {self(), {command, <<1:3>>}}),
                 ?assertEqual(Bad, Logged()),
                 ?assertEqual({'EXIT', Port, badsig}, next())
             end
             || {_, Way} <- ways()]
        after
            logger:set_handler_config(default, level, all),
            logger:remove_handler(?MODULE)
        end
    end).

log(#{msg := {Format, Args}}, #{config := To}) ->
    To ! {logged, lists:flatten(io_lib:format(Format, Args))}.

results_of_sending_test() ->
    ?PORT(Port, begin
        Message = {self(), {command, "x"}},
        ?assertEqual(Message, porthost:send(Port, Message)),
        ?assertEqual(ok, porthost:send(Port, Message, [])),
        ?assertEqual(ok, porthost:send(Port, Message, [nosuspend, noconnect])),
        ?assertEqual(true, porthost:send_nosuspend(Port, Message)),
        ?assertEqual(true, porthost:send_nosuspend(Port, Message, [noconnect])),
        register(named_port, Port),
        ?assertEqual(Message, porthost:send(named_port, Message)),
        [?assertEqual({Port, {data, <<"x">>}}, next()) || _ <- lists:seq(1, 6)]
    end).

bad_options_of_sending_are_badarg_test_() ->
    [fun() ->
             ?PORT(Port, begin
                 ?assertError(badarg, porthost:send(Port, x, Options)),
                 ?assertError(badarg, porthost:send_nosuspend(Port, x, Options))
             end)
     end || Options <- [foo, [foo], [noconnect | foo]]].

sending_elsewhere_is_what_it_was_test() ->
    ?HOST(begin
        Me = self(),
        ?assertEqual(hello, porthost:send(Me, hello)),
        ?assertEqual(ok, porthost:send(Me, hello, [noconnect])),
        ?assertEqual(true, porthost:send_nosuspend(Me, hello)),
        ?assertEqual(true, porthost:send_nosuspend(Me, hello, [noconnect])),
        register(me, Me),
        ?assertEqual(hello, porthost:send(me, hello)),
        ?assertEqual(hello, porthost:send({me, node()}, hello)),
        [?assertEqual(hello, next()) || _ <- lists:seq(1, 6)],
        ?assertError(badarg, porthost:send(no_such_name, hello)),
        ?assertError(badarg, porthost:send(1, hello)),
        ?assertError(badarg, porthost:send(Me, hello, [foo]))
    end).

the_sender_is_the_caller_test() ->
    ?FAKE(Fake, begin
        Port = open("echo_drv"),
        Me = self(),
        spawn(fun() -> porthost:send(Port, {Me, {command, "x"}}) end),
        {send, _, Sender, {Me, _}} = porthost_fake:await(Fake, send),
        ?assertNotEqual(Me, Sender),
        Data = {Port, {data, <<"x">>}},
        ?assertEqual(Data, next())
    end).

commands_and_messages_of_one_process_keep_their_order_test() ->
    ?PORT(Port, begin
        [case N rem 2 of
             0 -> porthost:port_command(Port, integer_to_list(N));
             1 -> porthost:send(Port, {self(), {command, integer_to_list(N)}})
         end || N <- lists:seq(1, 200)],
        [?assertEqual({Port, {data, integer_to_binary(N)}}, next()) || N <- lists:seq(1, 200)]
    end).

an_error_names_the_function_that_was_called_test() ->
    ?PORT(Port, begin
        [?assertMatch({Function, [{porthost, Function, [Port | _], _}, {?MODULE, _, _, _} | _]},
                      {Function, stack(fun() -> apply(porthost, Function, [Port | Args]) end)})
         || {Function, Args} <- [{port_command, [foo]}, {port_command, [x, [foo]]},
                                 {port_control, [-1, ""]}, {port_control, [99, ""]},
                                 {port_call, [-1, x]}, {port_connect, [foo]},
                                 {port_info, [foo]}, {send, [x, foo]}]]
    end).

stack(Fun) ->
    try Fun() of Result -> {returned, Result}
    catch error:_:Stack -> Stack
    end.
