%% SPDX-License-Identifier: Apache-2.0
%% What one client asks for, however much it is, holds up nobody else. Each test has a daemon of its own with one reactor, which all connections share, so that what matters is
%% the order in which it does things; where it is how long something takes, the measure is the same thing in the same daemon.
-module(fairness_tests).
-include_lib("eunit/include/eunit.hrl").
-import(raw_client, [connect/1, send/2, send_all/2, next/1, until/2, request/2, stats/2, eventually/1]).

-define(PORTS, 30000).

with_one_reactor(Test) ->
    raw_client:with_daemon("\"reactors\": 1", Test).

%% The connection, all of whose ports are open.
with_ports(D, N) ->
    S = connect(D),
    opened(S, lists:seq(1, N)),
    S.

%% In portions, so that what waits for the client stays small.
opened(_, []) ->
    ok;
opened(S, Ids) ->
    {Now, Later} = lists:split(min(1000, length(Ids)), Ids),
    send_all(S, [{open, {open, Id}, Id, {port, Id}, self(), "echo_drv", []} || Id <- Now]),
    [{ok, _, _} = until(S, fun(F) -> element(1, F) =:= ok end) || _ <- Now],
    opened(S, Later).

closed(_, []) ->
    ok;
closed(S, Ids) ->
    {Now, Later} = lists:split(min(1000, length(Ids)), Ids),
    send_all(S, [{close, {close, Id}, Id, self()} || Id <- Now]),
    [{ok, _, true} = until(S, fun(F) -> element(1, F) =:= ok end) || _ <- Now],
    closed(S, Later).

%% Its ports become fewer while another connection is served again and again.
a_client_with_many_ports_that_goes_test_() ->
    with_one_reactor(fun(D) ->
        Other = connect(D),
        S = with_ports(D, ?PORTS),
        N = 6000,
        stopped(D, fun() ->
            ok = gen_tcp:close(S),
            send_all(Other, lists:duplicate(N, {stats, 1}))
        end),
        Counts = [begin {ok, 1, #{ports := Ports}} = next(Other), Ports end || _ <- lists:seq(1, N)],
        ?assert(length([C || C <- lists:usort(Counts), C > 0, C < ?PORTS]) >= 3),
        eventually(fun() -> stats(Other, [connections, ports]) =:= [1, 0] end)
    end).

%% All that is sent by Fun is there when the daemon looks at the first.
stopped(#{os_pid := Pid}, Fun) ->
    [] = os:cmd(lists:concat(["kill -STOP ", Pid])),
    Fun(),
    [] = os:cmd(lists:concat(["kill -CONT ", Pid])).

together(D, Requests) ->
    stopped(D, fun() -> [send_all(S, Of) || {S, Of} <- Requests] end).

%% Another connection is served before a long answer is there, which has each port once.
a_list_of_many_ports_test_() ->
    [with_one_reactor(fun(D) ->
         Other = connect(D),
         S = with_ports(D, ?PORTS),
         [Before] = stats(Other, [bytes_out]),
         together(D, [{S, [{What, list, Scope}, {ping, behind}]}, {Other, [{stats, stats}]}]),
         {ok, stats, #{bytes_out := Until}} = next(Other),
         ?assert(Until - Before < 50 * ?PORTS),
         {ok, list, Ports} = next(S),
         ?assertEqual(lists:seq(1, ?PORTS), [Id || #{id := Id} <- Ports]),
         ?assertEqual({ok, behind, pong}, next(S))
     end)
     || {What, Scope} <- [{ports, connection}, {port_stats, all}]].

%% It goes while the answer is made, and so do others whose ports are in it.
clients_that_go_while_ports_are_listed_test_() ->
    with_one_reactor(fun(D) ->
        Other = connect(D),
        [begin
             [A, B] = [with_ports(D, 3000) || _ <- [1, 2]],
             [send(S, {port_stats, list, all}) || S <- [A, B]],
             [send(Other, {ports, list, all}) || _ <- lists:seq(1, Round)],
             ok = gen_tcp:close(A),
             [until(Other, fun({ok, list, _}) -> true; (_) -> false end) || _ <- lists:seq(1, Round)],
             ok = gen_tcp:close(B)
         end
         || Round <- [1, 2, 3]],
        eventually(fun() -> stats(Other, [connections, ports]) =:= [1, 0] end)
    end).

%% What each answer tells of how many frames there were until then says in which order they were looked at. All of them take few turns, in which one of the others
%% may have nothing to be read, if system calls fail.
many_requests_that_take_long_test_() ->
    with_one_reactor(fun(D) ->
        [S | Others] = [connect(D) || _ <- lists:seq(1, 11)],
        N = 3000, % of what one read brings
        together(D, [{S, lists:duplicate(N, {stats, 1})} | [{Other, [{stats, 1}]} || Other <- Others]]),
        Frames = [Of || Other <- Others, {ok, 1, #{frames_in := Of}} <- [next(Other)]],
        ?assert(lists:min(Frames) < N),
        [{ok, 1, _} = next(S) || _ <- lists:seq(1, N)]
    end).

%% It has had a hundred thousand ports.
looking_for_a_port_takes_no_longer_the_more_there_were_test_() ->
    with_one_reactor(fun(D) ->
        S = connect(D),
        C = number_of(S),
        Before = shortest(fun() -> look_for(S, C) end),
        opened(S, lists:seq(1, 100000)),
        closed(S, lists:seq(1, 100000)),
        After = shortest(fun() -> look_for(S, C) end),
        ?assertEqual({true, {Before, After}}, {After < 20 * Before, {Before, After}})
    end).

%% Of its connection, as a port tells it.
number_of(S) ->
    opened(S, [7]),
    {ok, [#{connection := C}]} = request(S, {ports, ports, connection}),
    closed(S, [7]),
    C.

look_for(S, C) ->
    send_all(S, lists:append(lists:duplicate(100, [{port_info, 1, C, 5, name}, {trace, 1, C, 5, true}, {ports, 1, connection}]))),
    [next(S) || _ <- lists:seq(1, 300)].

shortest(Fun) ->
    lists:min([element(1, timer:tc(Fun)) || _ <- lists:seq(1, 20)]).
