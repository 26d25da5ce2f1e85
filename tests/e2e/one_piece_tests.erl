%% SPDX-License-Identifier: Apache-2.0
%% Requests that come in one piece, many to a read: each is done as if it had come alone, in its order, whatever stands before and behind it.
-module(one_piece_tests).
-include_lib("eunit/include/eunit.hrl").

-import(raw_client, [with_daemon/1, connect/1, open/3, send_all/2, next/1, until/2, until_event/3, request/2, stats/2, logged/2, pid/2]).

commands_for_ports_in_turns_test_() ->
    with_daemon(fun(D) ->
        S = with_ports(D, [1, 2]),
        Ids = [1, 1, 2, 1, 2, 2, 2, 1, 1, 1],
        Commands = [{command, Id, self(), <<N:32>>} || {N, Id} <- lists:enumerate(Ids)],
        send_all(S, Commands),
        Got = [echo(S) || _ <- Ids],
        [?assertEqual([{Id, <<N:32>>} || {N, I} <- lists:enumerate(Ids), I =:= Id], [E || {I, _} = E <- Got, I =:= Id]) || Id <- [1, 2]]
    end).

%% The request in between is for another port, and does not begin like a command.
commands_with_a_control_for_another_port_in_between_test_() ->
    with_daemon(fun(D) ->
        S = with_ports(D, [1, 2]),
        send_all(S, [{command, 1, self(), <<"a">>}, {control, c, 2, self(), 0, <<>>}, {command, 1, self(), <<"b">>}]),
        ?assertEqual([{1, <<"a">>}, {1, <<"b">>}], [echo(S), echo(S)])
    end).

%% That the beginning is the same says nothing about the data.
data_of_all_kinds_behind_the_same_beginning_test_() ->
    with_daemon(fun(D) ->
        S = with_ports(D, [1]),
        Data = [<<"one">>, <<>>, <<"two">>, [], "text", [<<"a">>, "b" | <<"c">>], binary:copy(<<"x">>, 64), binary:copy(<<"x">>, 65), [[[]]], <<"last">>],
        send_all(S, [{command, 1, self(), X} || X <- Data]),
        [?assertEqual({1, iolist_to_binary(X)}, echo(S)) || X <- Data]
    end).

callers_in_turns_test_() ->
    with_daemon(fun(D) ->
        S = with_ports(D, [1]),
        Callers = [self(), pid(node7, 7), self(), self(), pid(node8, 8)],
        send_all(S, [{send, 1, C, {self(), {command, <<N>>}}} || {N, C} <- lists:enumerate(Callers)] ++ [{command, 1, C, <<(N + 10)>>} || {N, C} <- lists:enumerate(Callers)]),
        [?assertEqual({1, <<N>>}, echo(S)) || N <- lists:seq(1, 5) ++ lists:seq(11, 15)]
    end).

data_that_is_no_iodata_test_() ->
    with_daemon(fun(D) ->
        S = with_ports(D, [1]),
        send_all(S, [{command, 1, self(), X} || X <- [<<"a">>, nodata, 17, <<"b">>]]),
        [?assertEqual({1, X}, echo(S)) || X <- [<<"a">>, <<"b">>]],
        logged(D, ["a command that is not iodata is dropped"])
    end).

%% What comes before a frame that is no term is done; that frame ends the connection.
a_frame_that_is_wrong_behind_the_same_beginning_test_() ->
    Command = term_to_binary({command, 1, self(), <<"12345678">>}),
    Cut = binary:part(Command, 0, byte_size(Command) - 1),
    Head = binary:part(Command, 0, byte_size(Command) - 13),
    [{Kind, with_daemon(fun(D) ->
        S = with_ports(D, [1]),
        send_frames(S, [Command, Command, Wrong, Command]),
        ?assertEqual([{1, <<"12345678">>}, {1, <<"12345678">>}], [echo(S), echo(S)]),
        ?assertMatch({goodbye, bad_term, _}, until(S, fun(F) -> element(1, F) =:= goodbye end)),
        ?assertEqual(closed, next(S))
     end)} || {Kind, Wrong} <- [{"cut", Cut}, {"more behind it", <<Command/binary, 106>>}, {"no data", Head}, {"a size of 4 GiB", <<Head/binary, 109, 255, 255, 255, 255, "12345678">>},
                                {"a list that is cut", <<Head/binary, 108, 0, 0, 0, 9, 106>>}, {"no tag of a term", <<Head/binary, 1>>}]].

%% A frame in several reads, the beginning of one and the end of another: memory that the bytes were in is used again meanwhile.
the_same_beginning_in_another_read_test_() ->
    with_daemon(fun(D) ->
        S = with_ports(D, [1, 2]),
        Frames = << <<(byte_size(B)):32, B/binary>> || Id <- [1, 1, 2, 1, 1], B <- [term_to_binary({command, Id, self(), <<Id, "data of the command">>})] >>,
        ok = inet:setopts(S, [{packet, raw}]),
        [begin
             {A, B} = split_binary(Frames, At),
             ok = gen_tcp:send(S, A),
             timer:sleep(2),
             ok = gen_tcp:send(S, B)
         end || At <- lists:seq(1, byte_size(Frames) - 1, 7)],
        ok = inet:setopts(S, [{packet, 4}]),
        Times = length(lists:seq(1, byte_size(Frames) - 1, 7)),
        Got = [echo(S) || _ <- lists:seq(1, 5 * Times)],
        [?assertEqual(N * Times, length([x || E <- Got, E =:= {Id, <<Id, "data of the command">>}])) || {Id, N} <- [{1, 4}, {2, 1}]]
    end).

a_port_that_ends_and_another_with_its_number_test_() ->
    with_daemon(fun(D) ->
        S = with_ports(D, [1]),
        send_all(S, [{command, 1, self(), <<"a">>}, {command, 1, self(), <<"b">>}, {close, tag, 1, self()}, {command, 1, self(), <<"lost">>}]),
        [?assertEqual({1, X}, echo(S)) || X <- [<<"a">>, <<"b">>]],
        until_event(S, closed, 1),
        send_all(S, [{open, again, 1, {port, 1}, self(), "echo_drv", [binary]}, {command, 1, self(), <<"c">>}, {command, 1, self(), <<"d">>}]),
        [?assertEqual({1, X}, echo(S)) || X <- [<<"c">>, <<"d">>]]
    end).

%% Requests that are no operation on a port come after what stands before them.
a_count_in_between_test_() ->
    with_daemon(fun(D) ->
        S = with_ports(D, [1]),
        [Frames, Commands] = stats(S, [frames_in, commands]),
        send_all(S, [{command, 1, self(), <<"x">>} || _ <- lists:seq(1, 50)] ++ [{stats, counted}]),
        {ok, counted, Stats} = until(S, fun(F) -> element(2, F) =:= counted end),
        ?assertMatch(#{frames_in := F, commands := C} when F =:= Frames + 51 andalso C =:= Commands + 50, maps:with([frames_in, commands], Stats))
    end).

%% --- helpers ---

with_ports(D, Ids) ->
    S = connect(D),
    [ok = open(S, Id, "echo_drv") || Id <- Ids],
    S.

echo(S) ->
    {send, _, {{port, Id}, {data, Data}}} = until(S, fun(F) -> element(1, F) =:= send end),
    {Id, iolist_to_binary(Data)}.

send_frames(S, Frames) ->
    ok = inet:setopts(S, [{packet, raw}]),
    ok = gen_tcp:send(S, [[<<(byte_size(F)):32>>, F] || F <- Frames]),
    ok = inet:setopts(S, [{packet, 4}]).
