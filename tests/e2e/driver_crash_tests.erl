%% SPDX-License-Identifier: Apache-2.0
%% What is allowed and takes the VM down or makes it hang: failures in process_exit, drivers that are added in init. And a driver of OTP
%% that uses memory as it finds it.
-module(driver_crash_tests).

-include("rules.hrl").

%% The port ends itself in process_exit; what its owner hears.
failed(Way, Options) ->
    P = porthost:open_port({spawn_driver, "failure_probe_drv"}, Options),
    {Monitored, Ref} = spawn_monitor(fun() -> receive {monitor, Test} -> Test ! {monitored, do(P, "monitor")} end, receive never -> ok end end),
    Monitored ! {monitor, self()},
    ?assertEqual({monitored, "0"}, next()),
    do(P, ["arm process_exit ", Way]),
    exit(Monitored, kill),
    receive {'DOWN', Ref, process, _, _} -> ok end,
    {P, next()}.

a_port_can_end_itself_in_process_exit_test_() ->
    ?HOSTED(begin
        load("failure_probe_drv"),
        [begin
             {P, Heard} = failed(Way, Options),
             ?assertEqual({Way, {'EXIT', P, Reason}}, {Way, Heard}),
             ?assertEqual({P, {data, "from stop"}}, next()),
             ?assertEqual(undefined, porthost:port_info(P))
         end || {Way, Reason, Options} <- [{"eof", normal, []}, {"zero", normal, []}, {"atom", some_reason, []}, {"atom", some_reason, [eof]},
                                           {"posix", enoent, []}, {"five", 5, []}]]
    end).

a_port_with_option_eof_tells_so_in_process_exit_and_stays_test_() ->
    ?HOSTED(begin
        load("failure_probe_drv"),
        {P, Heard} = failed("eof", [eof]),
        ?assertEqual({P, eof}, Heard),
        ?assertEqual({P, eof}, next()),
        ?assertEqual({monitors, []}, porthost:port_info(P, monitors))
    end).

a_port_exits_in_process_exit_without_a_word_to_its_owner_test_() ->
    ?HOSTED(begin
        load("failure_probe_drv"),
        {P, Heard} = failed("exit_posix", []),
        ?assertEqual({P, {data, "from stop"}}, Heard),
        until(fun() -> porthost:port_info(P) =:= undefined end)
    end).

a_driver_may_add_another_in_init_test_() ->
    ?HOSTED(begin
        load("load_adding_drv"),
        P = open("load_adding_drv"),
        Q = open("load_sister_drv"),
        porthost:port_close(Q),
        ?assertEqual({'EXIT', Q, normal}, next()),
        ?assertEqual("1", do(P, "x")),
        ?assertError(badarg, open("load_sister_drv"))
    end).

%% Its queue is a ring in a struct that it does not initialise. In the VM it lives or dies by what was there before. A sanitizer is to find such drivers: there memory is not
%% zeroed, and it dies.
trace_ip_drv_keeps_what_it_can_until_somebody_connects_test_() ->
    case string:find(os:getenv("PORTHOSTD", "build/porthostd"), "build-") of
        nomatch -> ?HOSTED(keeps_what_it_can());
        _ -> []
    end.

keeps_what_it_can() ->
    ok = porthost_ddll:load(filename:join(code:lib_dir(runtime_tools), "priv/lib"), "trace_ip_drv"),
    [ring() || _ <- lists:seq(1, 5)].

ring() ->
    P = open("trace_ip_drv 0 3 2"),
    [true = porthost:port_command(P, [I]) || I <- "123456"],
    <<0, Number:16>> = porthost:port_control(P, $p, ""), % the driver has had them all by now
    {ok, S} = gen_tcp:connect({127, 0, 0, 1}, Number, [binary, {active, false}]),
    ?assertEqual({ok, <<0, 1:32, "1", 0, 1:32, "2", 0, 1:32, "3", 1, 3:32>>}, gen_tcp:recv(S, 23, 5000)),
    gen_tcp:close(S),
    porthost:port_close(P),
    ?assertEqual({'EXIT', P, normal}, next()).
