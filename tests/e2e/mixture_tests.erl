%% SPDX-License-Identifier: Apache-2.0
%% Clients that ask for everything in any order, and go: afterwards nothing of theirs is left. The requests are random, from seeds that are the same
%% in every run. Each test has a daemon of its own.
-module(mixture_tests).
-include_lib("eunit/include/eunit.hrl").
-import(raw_client, [with_daemon/1, connect/1, connect/2, send_all/2, pid/2, stats/2, eventually/1]).

-define(CLIENTS, 6).
-define(ROUNDS, 150).
-define(REQUESTS, 60).

everything_at_once_test_() ->
    with_daemon(fun(D) ->
        S = connect(D),
        Clients = [spawn_monitor(fun() -> rand:seed(exsss, N), [round(D, N) || _ <- lists:seq(1, ?ROUNDS)] end) || N <- lists:seq(1, ?CLIENTS)],
        [receive {'DOWN', Ref, process, Pid, Why} -> ?assertEqual(normal, Why) end || {Pid, Ref} <- Clients],
        eventually(fun() -> stats(S, [connections, ports]) =:= [1, 0] end),
        %% a driver that an open brought stays, but nobody uses it or waits for it
        {ok, Drivers} = raw_client:request(S, {drivers, drivers}),
        Idle = [{processes, []}, {port_count, 0}, {awaiting_load, []}, {awaiting_unload, []}],
        ?assertEqual([], [{Driver, Item, Value} || Driver <- Drivers, {Item, None} <- Idle,
                                                   {_, Value} <- [raw_client:request(S, {driver_info, info, Driver, Item})],
                                                   Value =/= None, Value =/= badarg])
    end).

%% One connection. No port has anything in its queue that is not taken out in time, for it would be waited for.
round(D, N) ->
    S = connect(D, #{self => process(N, 1)}),
    send_all(S, [{grant, [{Id, granted} || Id <- lists:seq(1000, 1020)]} | [request(one_of(requests()), N) || _ <- lists:seq(1, ?REQUESTS)]]),
    case rand:uniform(3) of
        1 -> raw_client:until(S, fun(F) -> element(1, F) =:= ok end);
        2 -> ok = gen_tcp:shutdown(S, write), to_the_end(S);
        3 -> go
    end,
    gen_tcp:close(S).

to_the_end(S) ->
    case raw_client:next(S) of
        closed -> ok;
        Frame when is_tuple(Frame) -> to_the_end(S)
    end.

one_of(List) ->
    lists:nth(rand:uniform(length(List)), List).

requests() ->
    [open, open, open, open, open, command, command, command, command, control, control, control, control, child, exit, exit, close, load, unload, down,
     ports, connect, of_child, of_child, monitor_driver, info, send, call, set_data, ping].

process(N, Id) ->
    pid(list_to_atom(lists:concat(["n", N, "@h"])), Id).

request(What, N) ->
    request(What, rand:uniform(6), process(N, 5)).

request(open, P, Me) ->
    Driver = one_of(["echo_drv", "delay_drv 1", "crunch_drv", "ending_probe_drv", "ending_locking_probe_drv", "child_probe_drv",
                     "child_one_lock_probe_drv", "no_drv"]),
    {open, open, P, P, Me, Driver, one_of([[], [], [binary], [{parallelism, true}]])};
request(command, P, Me) ->
    {command, P, Me, binary:copy(<<"c">>, one_of([1, 100, 3000, 50000]))};
request(control, P, Me) ->
    {control, control, P, Me, 0, one_of(["arm stop", "arm flush", "monitor", "fail", "select", "write x", "counts", "kind", "create_in_stop", "timer"])};
request(child, P, Me) ->
    {control, create, P, Me, 0, one_of(["create kid", "create_and_use kid"])};
request(exit, P, Me) ->
    {exit, P, Me, one_of([bye, kill, normal])};
request(close, P, Me) ->
    {close, close, P, Me};
request(load, _, Me) ->
    {load, load, Me, make_ref(), <<>>, loadable(), one_of([[], [], [{driver_options, [kill_ports]}]])};
request(unload, _, Me) ->
    {unload, unload, Me, make_ref(), loadable(), one_of([[], [kill_ports], [{monitor, pending}]])};
request(down, P, _) ->
    {down, P bsl 28, gone};
request(ports, _, _) ->
    {ports, ports, one_of([connection, all])};
request(connect, P, Me) ->
    {connect, connect, P, Me, process(rand:uniform(?CLIENTS), 5)};
request(of_child, P, Me) ->
    one_of([{command, 999 + P, Me, <<"kid">>}, {control, kind, 999 + P, Me, 0, "kind"}, {exit, 999 + P, Me, bye}, {info, info, 999 + P, all}]);
request(monitor_driver, _, Me) ->
    {monitor_driver, monitor, Me, make_ref(), loadable(), one_of([loaded, unloaded, unloaded_only])};
request(info, P, _) ->
    {info, info, P, all};
request(send, P, Me) ->
    {send, P, Me, {Me, one_of([{command, <<"sent">>}, close, nonsense])}};
request(call, P, Me) ->
    {call, call, P, Me, 1, {some, term}};
request(set_data, P, _) ->
    {set_data, data, P, [1, 2, 3]};
request(ping, _, _) ->
    {ping, ping}.

loadable() ->
    one_of(["echo_drv", "ending_probe_drv", "ending_locking_probe_drv", "child_probe_drv"]).
