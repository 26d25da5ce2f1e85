%% SPDX-License-Identifier: Apache-2.0
%% Ports of a driver with one lock take turns: a port that is flooded keeps another of the same driver waiting for its turn, not for all. What is
%% compared is how many of the flood's commands the driver has had when it is the other's turn. Each test has a daemon of its own.
-module(lanes_tests).
-include_lib("eunit/include/eunit.hrl").
-import(raw_client, [with_daemon/1, connect/1, send/2, send_all/2, next/1, open/3, request/2]).

%% The first command takes long, so that the others lie behind it when the other port is asked.
a_flood_of_quick_commands_test_() ->
    flooded("1000", [{control, quick, 1, self(), 3, "0"}], 12000, 10000).

a_flood_of_slow_commands_test_() ->
    flooded("2", [], 500, 450).

%% Port 1 gets a command that takes so many milliseconds, Then, and N commands more. When all have been read, another port is asked, and that sees less than
%% Limit of them. Port 2 is of the same connection, port 3 of another.
flooded(Ms, Then, N, Limit) ->
    [with_daemon(fun(D) ->
         [S, Other] = [connect(D), connect(D)],
         [{ok, _} = request(S, {open, open, P, p, self(), "strain_probe_drv", [binary, {parallelism, true}]}) || P <- [1, 2]],
         ok = open(Other, 3, "strain_probe_drv"),
         {ok, _} = request(S, {control, ms, 1, self(), 3, Ms}),
         send_all(S, [{command, 1, self(), <<0:32>>}] ++ Then ++ [{command, 1, self(), <<C:32>>} || C <- lists:seq(1, N)] ++ [{ping, ping}]),
         First = up_to(S, ping),
         Asker = case Port of 2 -> S; 3 -> Other end,
         send(Asker, {control, outputs, Port, self(), 6, <<>>}),
         Second = up_to(Asker, outputs),
         {ok, outputs, Outputs} = lists:last(Second),
         ?assert(list_to_integer(Outputs) < Limit),
         %% and the flood is not forgotten
         send(S, {control, last, 1, self(), 5, <<>>}),
         Numbers = [C || {send, _, {p, {data, <<C:32>>}}} <- First ++ [F || F <- Second, Asker =:= S] ++ up_to(S, last)],
         ?assertEqual(lists:seq(0, N), Numbers)
     end)
     || Port <- [2, 3]].

%% All frames up to the answer with this tag.
up_to(S, Tag) ->
    case next(S) of
        {ok, Tag, _} = Last -> [Last];
        Frame when is_tuple(Frame) -> [Frame | up_to(S, Tag)]
    end.
