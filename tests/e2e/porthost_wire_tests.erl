%% SPDX-License-Identifier: Apache-2.0
%% What the client puts into frames.
-module(porthost_wire_tests).

-include_lib("eunit/include/eunit.hrl").
-include("../../proto/erlang/src/porthost.hrl").

via() ->
    #via{conn = self(), writer = self(), out = hd(erlang:ports()), max_frame = 1000,
         max_depth = 50}.

nested(0) -> [];
nested(N) -> [nested(N - 1)].

a_frame_is_one_term_without_compression_test() ->
    Term = {command, 1, self(), binary:copy(<<"a">>, 100000)},
    Frame = iolist_to_binary(porthost_wire:encode(Term)),
    ?assertMatch(<<131, Tag, _/binary>> when Tag =/= 80, Frame),
    ?assertEqual({ok, Term}, porthost_wire:decode(Frame)).

bytes_that_are_no_term_are_refused_test() ->
    ?assertEqual(error, porthost_wire:decode(<<131, 255>>)),
    ?assertEqual(error, porthost_wire:decode(<<>>)).

the_tag_is_an_alias_after_a_round_trip_test() ->
    Tag = erlang:monitor(process, whereis(init), [{alias, reply_demonitor}]),
    {ok, {control, Same}} =
        porthost_wire:decode(iolist_to_binary(porthost_wire:encode({control, Tag}))),
    Same ! {Same, ok, 1},
    ?assertEqual(1, receive {Tag, ok, V} -> V after 1000 -> timeout end),
    ?assert(byte_size(term_to_binary(Tag)) =< 1024).

a_binary_goes_as_it_is_test() ->
    ?assertEqual(<<>>, porthost_wire:data(<<>>)),
    ?assertEqual(<<"abc">>, porthost_wire:data(<<"abc">>)).

empty_lists_stay_lists_test() ->
    ?assertEqual([], porthost_wire:data([])),
    ?assertEqual([], porthost_wire:data([[], [[]]])).

bytes_go_as_one_binary_test() ->
    ?assertEqual(<<"abcd">>, porthost_wire:data("abcd")),
    ?assertEqual(<<"abcd">>, porthost_wire:data(["a", [[$b], "c" | []], $d])).

binaries_in_lists_stay_apart_test() ->
    Big = binary:copy(<<"a">>, 70),
    Data = [Big, "x", [Big | Big]],
    ?assertEqual(Data, porthost_wire:data(Data)).

deep_lists_are_made_flat_test() ->
    Deep = lists:foldl(fun(_, L) -> [L] end, [<<"abc">>, $d], lists:seq(1, 5000)),
    Flat = porthost_wire:data(Deep),
    ?assertEqual(<<"abcd">>, iolist_to_binary(Flat)),
    ?assert(lists:all(fun is_binary/1, Flat)).

what_is_no_iodata_is_badarg_test_() ->
    [?_assertError(badarg, porthost_wire:data(Data))
     || Data <- [foo, 1, <<1:1>>, [<<1:1>>], [256], [-1], [a], [$a | $b], {}]].

flat_data_is_a_binary_test() ->
    ?assertEqual(<<>>, porthost_wire:flat([])),
    ?assertEqual(<<"abc">>, porthost_wire:flat([$a, <<"b">> | <<"c">>])),
    ?assertError(badarg, porthost_wire:flat(foo)).

messages_of_a_port_are_known_test() ->
    Me = self(),
    ?assertEqual({command, {Me, {command, <<"ab">>}}},
                 porthost_wire:message(self(), {Me, {command, "ab"}})),
    ?assertEqual({other, {Me, close}}, porthost_wire:message(self(), {Me, close})),
    ?assertEqual({other, {Me, {connect, Me}}}, porthost_wire:message(self(), {Me, {connect, Me}})).

what_is_a_bad_signal_is_not_sent_in_full_test_() ->
    [?_assertEqual({other, badsig}, porthost_wire:message(self(), Message))
     || Message <- [foo, {self(), foo}, {self(), {command, foo}}, {a, {command, "x"}},
                    {self(), {connect, foo}}, {a, close}, nested(10000)]].

nesting_is_measured_as_frames_are_nested_test() ->
    ?assert(porthost_wire:fits(via(), lists:seq(1, 1000))),
    ?assert(porthost_wire:fits(via(), nested(40))),
    ?assertNot(porthost_wire:fits(via(), nested(50))),
    ?assertNot(porthost_wire:fits(via(), {a, #{b => nested(50)}})),
    ?assertNot(porthost_wire:fits(via(), #{nested(50) => a})),
    ?assertNot(porthost_wire:fits(via(), [a | {nested(50)}])),
    Deep = nested(50),
    ?assertNot(porthost_wire:fits(via(), fun() -> Deep end)),
    ?assert(porthost_wire:fits(via(), fun lists:map/2)).

too_large_a_request_is_not_sent_test() ->
    ?assertEqual({error, system_limit},
                 porthost_wire:post(via(), {command, 1, self(), binary:copy(<<"a">>, 1000)})).

exit_reasons_that_cannot_be_sent_are_replaced_test() ->
    ?assertEqual({a, b}, porthost_wire:reason(via(), {a, b})),
    ?assertEqual({porthost, system_limit}, porthost_wire:reason(via(), nested(50))),
    ?assertEqual({porthost, system_limit},
                 porthost_wire:reason(via(), binary:copy(<<"a">>, 1000))).
