%% SPDX-License-Identifier: Apache-2.0
%% Cases: messages made of driver terms: the table of term_cases, through each function that sends them, and large maps. What a
%% specification must give is in the table; here it is the VM that says so.
-module(parity_term).
-include("parity.hrl").

cases() ->
    table() ++ maps() ++ receivers().

%% The number of control for each function, see term_probe_drv.
table() ->
    [{"erl_drv_output_term makes the terms and refuses what the VM does", fun() -> all(0) end},
     {"erl_drv_send_term makes the terms and refuses what the VM does", fun() -> all(1) end},
     {"driver_output_term makes the terms and refuses what the VM does", fun() -> all(2) end},
     {"driver_send_term makes the terms and refuses what the VM does", fun() -> all(3) end}].

all(Op) ->
    P = open("term_probe_drv", [binary]),
    [observe(P, Op, Case) || Case <- term_cases:cases()].

observe(P, Op, Case) ->
    Result = send(P, Op, term_cases:encode(element(2, Case))),
    {element(1, Case), Result, received(Result)}.

send(P, Op, Bytes) ->
    case control(P, Op, Bytes) of
        <<Result:32/signed, _:32>> -> Result;
        Other -> Other
    end.

%% Large terms by their hash: what is compared is kept until the end.
received(1) ->
    receive
        M ->
            case erts_debug:flat_size(M) of
                N when N > 1000 -> {large, N, erlang:phash2(normal(M))};
                _ -> M
            end
    after 5000 -> nothing
    end;
received(_) ->
    none.

%% Ports and processes of the backends are not the same.
normal(M) ->
    parity_case:normalise(M).

%% A large map in a thread takes the VM down, so that is for the daemon alone: driver_rules_tests.
maps() ->
    Ints = fun(Keys) -> lists:append([[int, K, int, K * K] || K <- Keys]) ++ [map, length(Keys)] end,
    Expected = fun(N) -> maps:from_list([{K, K * K} || K <- lists:seq(1, N)]) end,
    Send = fun(P, Op, N) ->
                   1 = send(P, Op, term_cases:encode(Ints(lists:seq(1, N)))),
                   receive M -> {N, M =:= Expected(N)} end
           end,
    Twice = fun(N) -> Ints(lists:seq(1, N - 1) ++ [N div 2]) end,
    Sizes = [0, 1, 31, 32, 33, 64, 127, 128, 129, 300, 2000],
    Small = [N || N <- Sizes, N =< 32],
    [{"maps of any size are made in a callback",
      fun() -> P = open("term_probe_drv", [binary]), [Send(P, Op, N) || Op <- [0, 1], N <- Sizes] end},
     {"small maps are made in a thread of the driver's",
      fun() -> P = open("term_probe_drv", [binary]), [Send(P, Op, N) || Op <- [6, 7], N <- Small] end},
     {"a key that comes twice is refused in small and large maps",
      fun() ->
              P = open("term_probe_drv", [binary]),
              [{Op, N, send(P, Op, term_cases:encode(Twice(N)))} || Op <- [0, 1], N <- [2, 32, 33, 129, 300]]
              ++ [{Op, N, send(P, Op, term_cases:encode(Twice(N)))} || Op <- [6, 7], N <- [2, 32]] ++ [none()]
      end}].

receivers() ->
    Nil = term_cases:encode([nil]),
    Bad = term_cases:encode([tuple, 1]),
    [{"a term for a process that is gone is no error, a bad one is",
      fun() ->
              P = open("term_probe_drv", [binary]),
              A = proc(a),
              R = ask(A, fun() -> send(P, 5, <<>>) end),
              First = [R, send(P, 4, Nil), ask(A, fun() -> msgs(1) end)],
              stop_proc(A),
              First ++ [send(P, 4, Bad), none()]
      end},
     {"a term for a process that is gone is not sent",
      fun() ->
              P = open("term_probe_drv", [binary]),
              A = proc(a),
              ask(A, fun() -> send(P, 5, <<>>) end),
              stop_proc(A),
              [send(P, 4, Nil)]
      end}].
