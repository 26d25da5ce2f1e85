%% SPDX-License-Identifier: Apache-2.0
%% For whom a connection speaks: the `self` of its hello, and where messages and monitors go then. Each test has a daemon of its own.
-module(origin_tests).
-include_lib("eunit/include/eunit.hrl").
-import(raw_client, [with_daemon/1, connect/1, connect/2, send/2, next/1, open/3, request/2, control/3, pid/2, until_event/3]).

the_last_self_of_a_hello_counts_test_() ->
    with_daemon(fun(D) ->
        [First, Last] = [pid('first@h', 1), pid('last@h', 1)],
        Twice = connect_with_pairs(D, [{self, First}, {self, First}, {self, Last}]),
        Other = connect(D, #{self => pid('other@h', 1)}),
        Third = connect(D, #{self => pid('third@h', 1)}),
        %% nobody speaks for this one: every connection is looked at
        ?assertEqual(at_home, where(Other, [Twice], pid('nobody@h', 1))),
        ?assertEqual(Twice, where(Other, [Twice], Last)),
        ?assertEqual(at_home, where(Other, [Twice], First)),
        gen_tcp:close(Twice),
        raw_client:eventually(fun() -> raw_client:stats(Third, [connections]) =:= [2] end),
        ?assertEqual(at_home, where(Third, [Other], Last))
    end).

a_connection_without_self_gets_what_its_own_ports_send_test_() ->
    with_daemon(fun(D) ->
        Named = connect(D, #{self => pid('named@h', 1)}),
        Nameless = connect(D),
        ?assertEqual(at_home, where(Nameless, [Named], pid('named@h', 5))),
        ?assertEqual(at_home, where(Nameless, [Named], pid('nobody@h', 5)))
    end).

processes_of_nonode_are_not_told_apart_so_nothing_goes_to_another_connection_test_() ->
    with_daemon(fun(D) ->
        Nobody = pid('nonode@nohost', 77),
        [Before, Named, After] = [connect(D, #{self => Pid}) || Pid <- [Nobody, pid('named@h', 1), Nobody]],
        ?assertEqual(at_home, where(Named, [Before, After], Nobody)),
        ?assertEqual(at_home, where(Before, [After], Nobody)),
        Nameless = connect(D),
        ?assertEqual(at_home, where(Nameless, [Before, After], Nobody))
    end).

two_connections_of_one_node_keep_their_own_test_() ->
    with_daemon(fun(D) ->
        [A, B] = [connect(D, #{self => pid('same@h', 1)}) || _ <- [a, b]],
        ?assertEqual(at_home, where(A, [B], pid('same@h', 9))),
        ?assertEqual(at_home, where(B, [A], pid('same@h', 9))),
        Other = connect(D, #{self => pid('other@h', 1)}),
        To = where(Other, [A, B], pid('same@h', 9)),
        ?assert(lists:member(To, [A, B])),
        %% the one that is left speaks for the node when the other is gone
        gen_tcp:close(To),
        raw_client:eventually(fun() -> raw_client:stats(Other, [connections]) =:= [2] end),
        [Left] = [A, B] -- [To],
        ?assertEqual(Left, where(Other, [Left], pid('same@h', 9)))
    end).

monitors_reach_the_connection_that_speaks_for_the_node_test_() ->
    with_daemon(fun(D) ->
        Far = pid('far@h', 3),
        [Near, There] = [connect(D, #{self => Pid}) || Pid <- [pid('near@h', 1), pid('far@h', 1)]],
        ok = open(Near, 1, "ending_probe_drv"),
        {ok, "0"} = request(Near, {control, c, 1, Far, 0, "monitor"}),
        {monitor, Id, Far} = next(There),
        send(There, {down, Id, gone}),
        ?assertEqual({send, self(), {{port, 1}, {data, <<"process_exit">>}}}, until_event(Near, send, self())),
        ?assertEqual("stops 0 late 0", control(Near, 1, "counts"))
    end).

%% Lets a port of this connection send to its owner, and says which of the others hears it; at_home if it is S itself.
where(S, Others, Owner) ->
    {ok, _} = request(S, {open, open, 1, p, Owner, "echo_drv", [binary]}),
    send(S, {command, 1, Owner, <<"who?">>}),
    send(S, {set_data, done, 1, its_answer_comes_after_the_echo}),
    Own = is_told(S, Owner, {ok, done, true}),
    Hearers = [O || O <- Others, begin send(O, {ping, ping}), is_told(O, Owner, {ok, ping, pong}) end],
    {ok, true} = request(S, {close, close, 1, Owner}),
    case {Own, Hearers} of
        {true, []} -> at_home;
        {false, [There]} -> There;
        _ -> {Own, Hearers}
    end.

%% Looks at what comes up to Last.
is_told(S, Owner, Last) ->
    is_told(S, Owner, Last, false).

is_told(S, Owner, Last, Told) ->
    case next(S) of
        Last -> Told;
        {send, Owner, {p, {data, <<"who?">>}}} -> is_told(S, Owner, Last, true);
        Frame when is_tuple(Frame) -> is_told(S, Owner, Last, Told)
    end.

%% A hello whose map has a key more than once, as no term has.
connect_with_pairs(#{socket := Socket}, Pairs) ->
    {ok, S} = gen_tcp:connect({local, Socket}, 0, [local, binary, {packet, 4}, {active, false}]),
    Map = [<<116, (length(Pairs)):32>>, [[plain(K), plain(V)] || {K, V} <- Pairs]],
    ok = gen_tcp:send(S, [<<131, 104, 3>>, plain(hello), plain(1), Map]),
    {hello, 1, _} = next(S),
    S.

plain(Term) ->
    <<131, Plain/binary>> = term_to_binary(Term),
    Plain.
