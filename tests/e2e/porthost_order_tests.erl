%% SPDX-License-Identifier: Apache-2.0
%% What one process sends to a port, by message and by function, reaches the host in that order.
%%
%% A process of the client's is suspended where it would have to be slow for the order to fail.
-module(porthost_order_tests).

-include_lib("eunit/include/eunit.hrl").
-include("../../proto/erlang/src/porthost.hrl").

-define(PORT(Fake, Port, Body),
        porthost_fake:run(fun(Fake) -> Port = open("soft_drv"), Body end)).

open(Command) ->
    porthost:open_port({spawn, Command}, [binary]).

id(Port) ->
    {id, Id} = porthost:port_info(Port, id),
    Id.

row(Port) -> porthost_registry:lookup(Port).

writer() ->
    [#host{via = #via{writer = Writer}}] = porthost_registry:hosts(),
    Writer.

%% The names of the requests to ports since the port was opened, the information about it left out.
names(Fake) ->
    [element(1, R) || R <- porthost_fake:requests(Fake),
                      not lists:member(element(1, R), [hello, open, grant, info])].

%% Let Fun run while Pid does nothing; Pid goes on when it is done or waits.
without(Pid, Fun) ->
    Test = self(),
    {Doer, Ref} = spawn_monitor(fun() ->
                                        link(Test),
                                        receive go -> ok end,
                                        Result = try Fun() catch error:Why -> Why end,
                                        unlink(Test),
                                        exit({result, Result})
                                end),
    true = erlang:suspend_process(Pid),
    Doer ! go,
    settle(Doer),
    true = erlang:resume_process(Pid),
    receive {'DOWN', Ref, process, Doer, {result, Result}} -> Result end.

settle(Pid) ->
    case process_info(Pid, status) of
        {status, Status} when Status =/= waiting -> erlang:yield(), settle(Pid);
        _ -> timer:sleep(10)
    end.

functions() ->
    [{command, fun(P) -> porthost:port_command(P, "x") end},
     {command, fun(P) -> porthost:port_command(P, "x", [force]) end},
     {command, fun(P) -> porthost:port_command(P, "x", [nosuspend]) end},
     {control, fun(P) -> porthost:port_control(P, 5, "x") end},
     {call, fun(P) -> porthost:port_call(P, 5, x) end},
     {set_data, fun(P) -> porthost:port_set_data(P, x) end},
     {get_data, fun porthost:port_get_data/1},
     {connect, fun(P) -> porthost:port_connect(P, self()) end},
     {send, fun(P) -> porthost:send(P, {self(), nonsense}) end},
     {send, fun(P) -> porthost:send_nosuspend(P, {self(), {command, "x"}}) end},
     {close, fun porthost:port_close/1}].

%% By the port process, and by the writer behind it.
functions_do_not_overtake_messages_test_() ->
    [{lists:flatten(io_lib:format("~s ~p", [Where, Name])),
      fun() ->
              ?PORT(Fake, Port, begin
                  process_flag(trap_exit, true),
                  Slow = case Where of port -> Port; writer -> writer() end,
                  without(Slow, fun() -> Port ! {self(), {command, "first"}}, Function(Port) end),
                  porthost_fake:until(fun() -> length(names(Fake)) >= 2 end),
                  ?assertEqual([send, Name], lists:sublist(names(Fake), 2)),
                  ?assertMatch([<<"first">> | _], data(Fake))
              end)
      end}
     || Where <- [port, writer], {Name, Function} <- functions()].

functions_do_not_overtake_an_exit_signal_test() ->
    ?PORT(Fake, Port, begin
        process_flag(trap_exit, true),
        ?assertEqual(badarg, without(Port, fun() ->
                                                   exit(Port, why),
                                                   porthost:port_control(Port, 5, "x")
                                           end)),
        ?assertEqual([exit], names(Fake) -- [control])
    end).

kill_does_not_overtake_commands_by_function_test_() ->
    [fun() ->
             ?PORT(Fake, Port, begin
                 process_flag(trap_exit, true),
                 without(writer(), fun() -> Command(Port, {self(), {command, "x"}}), exit(Port, kill) end),
                 porthost_fake:await(Fake, exit),
                 ?assertMatch([_, exit], names(Fake))
             end)
     end || Command <- [fun porthost:send/2, fun(Port, {_, {command, Data}}) -> porthost:port_command(Port, Data) end]].

messages_after_an_exit_signal_are_lost_test() ->
    ?PORT(Fake, Port, begin
        process_flag(trap_exit, true),
        porthost_fake:script(Fake, fun({exit, _, _, _}) -> []; (_) -> default end),
        without(Port, fun() -> exit(Port, why), Port ! {self(), {command, "x"}} end),
        ?assertEqual(<<>>, porthost:port_control(Port, 5, "")),
        ?assertEqual([exit, control], names(Fake))
    end).

%% Data of the commands that the host gets, N of them.
data(Fake, N) ->
    _ = porthost_fake:until(fun() -> length(data(Fake)) >= N end),
    data(Fake).

data(Fake) ->
    [iolist_to_binary(D) || R <- porthost_fake:requests(Fake), {command, D} <- [command(R)]].

command({send, _, _, {_, Command}}) -> Command;
command({command, _, _, D}) -> {command, D};
command({command, _, _, D, [force]}) -> {command, D};
command(_) -> none.

commands_do_not_overtake_those_held_while_the_port_was_busy_test_() ->
    [fun() ->
             ?PORT(Fake, Port, begin
                 porthost:port_control(Port, 1, ""),
                 Port ! {self(), {command, "1"}},
                 Id = id(Port),
                 without(case Where of port -> Port; writer -> writer() end,
                         fun() ->
                                 porthost_fake:send(Fake, {busy, Id, false}),
                                 porthost_fake:until(fun() -> not (row(Port))#port.busy end),
                                 porthost:port_command(Port, "2")
                         end),
                 ?assertEqual([<<"1">>, <<"2">>], data(Fake, 2))
             end)
     end || Where <- [port, writer]].

a_message_held_in_the_callers_name_stops_only_its_commands_test() ->
    ?PORT(Fake, Port, begin
        porthost:port_control(Port, 1, ""),
        Me = self(),
        {_, Ref} = spawn_monitor(fun() -> Port ! {Me, {command, "1"}} end),
        receive {'DOWN', Ref, _, _, _} -> ok end,
        ?assertEqual({5, x}, porthost:port_call(Port, 5, x)),
        ?assertEqual({connected, Me}, porthost:port_info(Port, connected)),
        porthost:port_control(Port, 2, ""),
        porthost:port_command(Port, "2"),
        ?assertEqual([<<"1">>, <<"2">>], data(Fake, 2))
    end).

many_messages_and_functions_keep_their_order_test() ->
    ?PORT(Fake, Port, begin
        Me = self(),
        [begin
             Port ! {Me, {command, integer_to_list(N)}},
             N rem 3 =:= 0 andalso porthost:port_command(Port, integer_to_list(N + 1))
         end || N <- lists:seq(0, 998, 2)],
        porthost:port_control(Port, 5, ""),
        Sent = [binary_to_integer(D) || D <- data(Fake)],
        ?assertEqual(lists:sort(Sent), Sent),
        ?assertEqual(667, length(Sent))
    end).

%% A driver that monitors a process which is linked to its port.
the_host_hears_of_the_end_of_a_process_before_that_of_its_port_test() ->
    ?PORT(Fake, Port, begin
        process_flag(trap_exit, true),
        Linked = spawn(fun() -> link(Port), receive after infinity -> ok end end),
        porthost_fake:send(Fake, {monitor, 7, Linked}),
        Conn = (row(Port))#port.via#via.conn,
        ?assertEqual(<<>>, porthost:port_control(Port, 5, "")),
        without(Conn, fun() ->
                              exit(Linked, kill),
                              %% links are told first, and who is linked may be faster than the process that ends
                              porthost_fake:until(fun() -> is_told_of(Linked, Conn) end),
                              settle(Port)
                      end),
        porthost_fake:await(Fake, down),
        porthost_fake:await(Fake, exit),
        ?assertEqual([control, down, exit], names(Fake))
    end).

is_told_of(Pid, Conn) ->
    {messages, Messages} = process_info(Conn, messages),
    [down || {'DOWN', _, process, P, _} <- Messages, P =:= Pid] =/= [].
