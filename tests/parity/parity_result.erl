%% SPDX-License-Identifier: Apache-2.0
%% Cases: the results of control and call in every form. The operation numbers are those of result_probe_drv.c.
-module(parity_result).
-include("parity.hrl").

cases() ->
    controls() ++ calls().

controls() ->
    Long = lists:duplicate(1000, $r),
    Binary = fun(P) -> control(P, 6, "1") end,
    [{"control answers a list from the given buffer or from one of the driver's",
      fun() -> P = open("result_probe_drv"), [control(P, Op, D) || Op <- [0, 1], D <- ["abc", [], Long, <<0, 255>>, ["a", <<"b">> | <<"c">>]]] end},
     {"control without a buffer answers an empty list in either mode",
      fun() -> P = open("result_probe_drv"), [control(P, 2, "abc"), Binary(P), control(P, 2, "abc"), control(P, 11, "abc")] end},
     {"a negative result of control is a badarg and zero is an empty result",
      fun() -> P = open("result_probe_drv"), [control(P, 3, "a"), control(P, 4, "a"), Binary(P), control(P, 3, "a"), control(P, 4, "a")] end},
     {"only as many bytes of a buffer as control returned are the result",
      fun() -> P = open("result_probe_drv"), [control(P, 5, "abcdef")] end},
     {"control answers binaries in binary mode, from the very control that sets it",
      fun() -> P = open("result_probe_drv"), [control(P, 0, "abc"), control(P, 6, "1"), control(P, 0, "abc"), control(P, 0, []), control(P, 6, "0"), control(P, 0, "abc")] end},
     {"in binary mode a driver binary is the result, whole, whatever length was returned",
      fun() -> P = open("result_probe_drv"), Binary(P), [control(P, Op, D) || Op <- [7, 8], D <- ["abc", [], Long]] end},
     {"a driver binary that the driver keeps is its own still",
      fun() -> P = open("result_probe_drv"), Binary(P), [control(P, 9, "abc"), control(P, 9, "defghi"), control(P, 9, Long), close(P), length(trace(1))] end},
     {"the buffer given to control has 64 bytes",
      fun() -> [control(open("result_probe_drv"), 10, [])] end},
     {"output before the result arrives before it",
      fun() -> P = open("result_probe_drv"), [control(P, 12, "result"), msgs(1)] end},
     {"control still answers when it has ended the port",
      fun() -> trap(), P = open("result_probe_drv"), [control(P, 13, "result"), msgs(1), control(P, 0, "x"), trace(0)] end},
     {"the heavy flag changes nothing",
      fun() -> P = open("result_probe_drv"), [control(P, 14, "abc"), control(P, 0, "abc")] end},
     {"operations of control are numbers of 32 bits",
      fun() -> P = open("result_probe_drv"), [control(P, Op, "x") || Op <- [16#ffffffff, 16#100000000, -1, 1 bsl 70, 1.0, a, 0]] end},
     {"data of control must be iodata",
      fun() -> P = open("result_probe_drv"), [control(P, 0, D) || D <- [a, 1, [256], {}, [[]], <<"ok">>]] end},
     {"control gets the whole bytes of a bit string",
      fun() -> P = open("result_probe_drv"), [control(P, 0, D) || D <- [<<1:3>>, [<<1:1>>], <<"ab", 1:1>>]] end},
     {"control of a driver without one is a badarg",
      fun() -> [control(open("bare_probe_drv"), 0, "x")] end}].

calls() ->
    Terms = [1, -1, 256, 1 bsl 70, 1.5, atom, 'odd Atom', [], "string", [1 | 2], {}, {a, {b}}, <<>>, <<"bin">>, <<5:3>>, #{a => 1, <<"b">> => [c]},
             lists:seq(1, 300), lists:duplicate(70000, 7), binary:copy(<<"x">>, 1000), 'unicode atom \x{e5}'],
    [{"call answers any term from the given buffer or from one of the driver's",
      fun() -> P = open("result_probe_drv"), [call(P, Op, T) =:= T || Op <- [0, 1], T <- Terms] end},
     {"call passes on pids, references and funs",
      fun() -> P = open("result_probe_drv"), T = {self(), make_ref(), fun lists:map/2}, [call(P, 0, T) =:= T] end},
     {"a buffer that call keeps is the driver's",
      fun() -> P = open("result_probe_drv"), [call(P, 2, one), call(P, 2, {two}), call(P, 2, lists:seq(1, 500)), close(P), trace(1)] end},
     {"a result of call that is zero or negative is a badarg",
      fun() -> P = open("result_probe_drv"), [call(P, 3, x), call(P, 4, x)] end},
     {"a result of call that is no term is a badarg",
      fun() -> P = open("result_probe_drv"), [call(P, Op, x) || Op <- [5, 6, 8]] end},
     {"a result of call that has equal keys is a badarg, as is one with what only old releases wrote",
      fun() ->
              P = open("result_probe_drv"),
              Old = <<99, "1.5", 0:(28 * 8)>>,
              Twice = [<<116, 2:32, A/binary, 106, B/binary, 106>>
                       || {A, B} <- [{<<97, 1>>, <<97, 1>>}, {<<97, 1>>, <<98, 1:32>>}, {<<97, 1>>, <<70, 1.0/float>>}, {<<100, 1:16, "a">>, <<119, 1, "a">>},
                                     {Old, <<70, 1.5/float>>}, {<<107, 1:16, 1>>, <<108, 1:32, 97, 1, 106>>}]],
              Others = [Old, <<99, "  1.5", 0:(26 * 8)>>, <<103, 119, 3, "a@b", 1:32, 2:32, 3>>, <<103, 119, 3, "a@b", 1:32, 2:32, 4>>,
                        <<114, 1:16, 119, 3, "a@b", 3, (1 bsl 18):32>>],
              [call(P, 13, <<131, Bytes/binary>>) || Bytes <- Twice ++ Others ++ [<<104, 1, B/binary>> || B <- Twice ++ Others]]
      end},
     {"a result of call that is too large a number is a badarg",
      fun() ->
              P = open("result_probe_drv"),
              [case call(P, 13, <<131, 111, N:32, 0, (binary:copy(<<1>>, N))/binary>>) of
                   Big when is_integer(Big) -> {N, number};
                   Other -> {N, Other}
               end || N <- [1000, 4194296, 4194297, 5000000]]
      end},
     {"a result of call may be nested deep",
      fun() -> P = open("result_probe_drv"), [call(P, 13, <<131, (binary:copy(<<104, 1>>, 5000))/binary, 106>>) =:= lists:foldl(fun(_, T) -> {T} end, [], lists:seq(1, 5000))] end},
     {"bytes behind the term that call gives are ignored",
      fun() -> P = open("result_probe_drv"), [call(P, 7, x)] end},
     {"call may answer an atom that was not there before",
      fun() -> P = open("result_probe_drv"), [call(P, 9, x)] end},
     {"the flags given to call are clear",
      fun() -> P = open("result_probe_drv"), [call(P, 10, x)] end},
     {"the data given to call is a term in external format, and nothing behind it",
      fun() -> P = open("result_probe_drv"), [call(P, 11, 1), call(P, 11, []), call(P, 11, "ab"), trace(3)] end},
     {"call still answers when it has ended the port",
      fun() -> trap(), P = open("result_probe_drv"), [call(P, 12, {still, here}), msgs(1), call(P, 0, x)] end},
     {"the operation of call is 0 by default and a number of 32 bits",
      fun() ->
              P = open("result_probe_drv"),
              [r(fun() -> parity_port:port_call(P, x) end)] ++ [call(P, Op, x) || Op <- [16#ffffffff, 16#100000000, -1, a]]
      end},
     {"call of a driver without one is a badarg",
      fun() -> [call(open("bare_probe_drv"), 0, x)] end}].
