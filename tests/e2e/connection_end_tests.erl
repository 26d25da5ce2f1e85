%% SPDX-License-Identifier: Apache-2.0
%% What a connection leaves behind when it ends: nothing, also if its client was being held back or others wait in its name. Each test has a daemon
%% of its own.
-module(connection_end_tests).
-include_lib("eunit/include/eunit.hrl").
-import(raw_client, [with_daemon/1, connect/1, connect/2, send/2, send_all/2, next/1, open/3, request/2, stats/2, pid/2, eventually/1]).

%% The client has filled all that the daemon takes for a port that is busy, so the daemon does not read it, and then it dies.
a_client_that_is_held_back_by_a_busy_port_and_dies_test_() ->
    with_daemon(fun(D) ->
        Other = connect(D),
        socket:close(flood(D, "busy_probe_drv busy", [])),
        eventually(fun() -> stats(Other, [connections, ports]) =:= [1, 0] end)
    end).

%% The same with a driver that is slow: what it was sent is done, or dropped, and then the port ends.
a_client_that_is_held_back_by_a_slow_driver_and_dies_test_() ->
    [with_daemon(fun(D) ->
         Other = connect(D),
         socket:close(flood(D, "strain_probe_drv", Options)),
         eventually(fun() -> stats(Other, [connections, ports]) =:= [1, 0] end)
     end)
     || Options <- [[], [{parallelism, true}]]].

%% A client that does not read either: output waits for it as well.
a_client_that_does_not_read_its_echo_and_dies_test_() ->
    with_daemon(fun(D) ->
        Other = connect(D),
        socket:close(flood(D, "echo_drv", [])),
        eventually(fun() -> stats(Other, [connections, ports]) =:= [1, 0] end)
    end).

%% A connection with a port that was sent commands until no more were taken; nothing was read from it. A plain socket, since those of
%% gen_tcp do not close before all is written.
flood(#{socket := Path} = D, Command, Options) ->
    {ok, S} = socket:open(local, stream),
    ok = socket:connect(S, #{family => local, path => Path}),
    [ok = socket:send(S, framed(F)) || F <- [{hello, 1, #{}}, {open, open, 1, p, self(), Command, Options}, {control, ms, 1, self(), 3, "5"}]],
    Frame = framed({command, 1, self(), binary:copy(<<"f">>, 100000)}),
    flood_on(S, Frame, Frame, 0),
    ?assert(raw_client:rss(D) bsr 10 < most_mib()),
    S.

%% Half of what is sent at the most. Of a byte that has been used the thread sanitizer keeps five, and the address sanitizer keeps 256 MiB of what was freed.
most_mib() ->
    case string:find(raw_client:program(), "build-") of
        nomatch -> 100;
        _ -> 500
    end.

%% Until no byte has been taken for a while, after more has been than lies in the socket.
flood_on(S, Frame, Left, Sent) when Sent < 2000 ->
    case socket:send(S, Left, 300) of
        ok -> flood_on(S, Frame, Frame, Sent + 1);
        {error, {timeout, Rest}} -> flood_on(S, Frame, Rest, Sent);
        {error, timeout} when Sent =< 10 -> flood_on(S, Frame, Left, Sent);
        {error, timeout} -> held_back
    end.

framed(Term) ->
    Bin = term_to_binary(Term),
    <<(byte_size(Bin)):32, Bin/binary>>.

waiters_for_a_driver_go_with_their_connections_test_() ->
    with_daemon(fun(D) ->
        S = connect(D),
        ok = open(S, 1, "ending_probe_drv"),
        Waiting = fun() -> {ok, Waiters} = request(S, {driver_info, w, "ending_probe_drv", awaiting_unload}), length(Waiters) end,
        [begin
             Gone = [connect(D) || _ <- lists:seq(1, 100)],
             [{ok, true} = request(C, {monitor_driver, m, self(), make_ref(), "ending_probe_drv", unloaded}) || C <- Gone],
             ?assert(Waiting() > 0),
             [gen_tcp:close(C) || C <- Gone],
             eventually(fun() -> Waiting() =:= 0 end)
         end
         || _ <- lists:seq(1, 10)],
        %% one that has asked for thousands at once, and goes without waiting for an answer
        Many = connect(D),
        send_all(Many, [{monitor_driver, N, self(), make_ref(), "ending_probe_drv", unloaded} || N <- lists:seq(1, 5000)]),
        gen_tcp:close(Many),
        eventually(fun() -> stats(S, [connections]) =:= [1] andalso Waiting() =:= 0 end)
    end).

ports_whose_driver_is_still_being_loaded_go_with_the_connection_test_() ->
    with_daemon(fun(D) ->
        [S, Other] = [connect(D), connect(D)],
        send_all(S, [{open, N, N, p, self(), "slow_init_probe_drv", []} || N <- lists:seq(1, 100)]),
        eventually(fun() -> stats(Other, [ports]) =:= [100] end),
        gen_tcp:close(S),
        eventually(fun() -> stats(Other, [connections, ports]) =:= [1, 0] end)
    end).

%% Its ports have gone, and it does not read: what others send to processes of its node meanwhile is not for this connection any more.
nothing_follows_goodbye_test_() ->
    with_daemon(fun(#{socket := Socket} = D) ->
        Pid = pid('ending@h', 1),
        {ok, S} = gen_tcp:connect({local, Socket}, 0, [local, binary, {packet, 4}, {active, false}, {recbuf, 4096}, {buffer, 4096}]),
        send(S, {hello, 1, #{self => Pid}}),
        {hello, 1, _} = next(S),
        Other = connect(D, #{self => pid('other@h', 1)}),
        {ok, _} = request(Other, {open, open, 1, other, Pid, "echo_drv", [binary]}),
        {ok, _} = request(S, {open, open, 1, own, Pid, "echo_drv", [binary]}),
        send(S, {command, 1, Pid, binary:copy(<<"x">>, 3 bsl 20)}),
        ok = inet:setopts(S, [{packet, raw}]),
        ok = gen_tcp:send(S, <<0:32>>),
        ok = inet:setopts(S, [{packet, 4}]),
        eventually(fun() -> stats(Other, [ports]) =:= [1] end),
        [begin
             send(Other, {command, 1, Pid, <<"late">>}),
             send(Other, {set_data, done, 1, its_answer_comes_after_the_echo}),
             ?assertEqual({send, Pid, {other, {data, <<"late">>}}}, next(Other)),
             ?assertEqual({ok, done, true}, next(Other))
         end
         || _ <- lists:seq(1, 3)],
        Frames = all(S),
        ?assertEqual([], [Frame || {send, _, {other, _}} = Frame <- Frames]),
        ?assertMatch([{exit, 1, connection_closed}, {closed, 1}, {goodbye, frame_empty, _}], lists:nthtail(length(Frames) - 3, Frames))
    end).

all(S) ->
    case next(S) of
        closed -> [];
        Frame -> [Frame | all(S)]
    end.
