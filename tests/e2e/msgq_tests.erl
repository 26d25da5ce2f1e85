%% SPDX-License-Identifier: Apache-2.0
%% The limits of a port's command queue: above the upper one the client hears that the port is busy, below the lower one that it is not, and all commands come.
%% (In the VM it depends on schedulers whether a queue grows at all, so this has no case among those of tests/parity.)
-module(msgq_tests).
-include_lib("eunit/include/eunit.hrl").
-import(raw_client, [with_daemon/1, connect/1, send/2, send_all/2, next/1, request/2, control/3]).

the_limits_of_the_queue_test_() ->
    [{Name, with_daemon(fun(D) ->
         S = connect(D),
         {ok, _} = request(S, {open, open, 1, {port, 1}, self(), Driver, [binary | Options]}),
         [control(S, 1, A) || A <- Actions],
         ?assertEqual(Busy, long_queue(S))
     end)}
     || {Name, Driver, Options, Actions, Busy} <-
            [{"those of the driver interface", "busy_probe_drv", [], [], []},
             {"set by open", "busy_probe_drv", [{busy_limits_msgq, {10, 20}}], [], [true, false]},
             {"set by open, and not reached", "busy_probe_drv", [{busy_limits_msgq, {10, 100}}], [], []},
             {"set by the driver", "busy_probe_drv", [], ["limits 10 20"], [true, false]},
             {"set by the driver, after open", "busy_probe_drv", [{busy_limits_msgq, {10, 20}}], ["limits 10 100"], []},
             {"disabled by open", "busy_probe_drv", [{busy_limits_msgq, disabled}], [], []},
             {"disabled by the driver", "busy_probe_drv", [{busy_limits_msgq, {10, 20}}], ["limits disabled 0"], []},
             {"none, the driver says", "busy_nomsgq_probe_drv", [], ["limits 10 20"], []},
             {"of a driver with soft busy", "busy_soft_probe_drv", [{busy_limits_msgq, {10, 20}}], [], [true, false]}]].

%% A port that is busy from its start on says so before it is open; one that is not opened says nothing.
busy_in_start_test_() ->
    with_daemon(fun(D) ->
        S = connect(D),
        send(S, {open, open, 1, {port, 1}, self(), "busy_probe_drv busy fail", []}),
        ?assertEqual({error, open, einval}, next(S)),
        send(S, {open, open, 1, {port, 1}, self(), "busy_probe_drv busy", []}),
        Link = {link, 1, self()},
        ?assertMatch([Link, {busy, 1, true}, {ok, open, _}], [next(S) || _ <- lists:seq(1, 3)])
    end).

%% 50 bytes of commands while the driver takes its time for the first of them; what the client hears of busy.
long_queue(S) ->
    control(S, 1, "nap 300"),
    send(S, {command, 1, self(), <<"first">>}),
    timer:sleep(50), % it runs
    send_all(S, lists:duplicate(3, {command, 1, self(), <<"fifteen bytes..">>})),
    send(S, {info, done, 1, output}),
    busy_until_done(S).

busy_until_done(S) ->
    case next(S) of
        {busy, 1, Busy} -> [Busy | busy_until_done(S)];
        {ok, done, 50} -> []
    end.
