%% SPDX-License-Identifier: Apache-2.0
%% What the parse transform changes in a module, and what it leaves alone.
-module(porthost_transform_tests).

-include_lib("eunit/include/eunit.hrl").

%% The source of a function after the transform, in one line.
transformed(Lines) ->
    transformed("", Lines).

transformed(Attributes, Function) ->
    Forms = forms("-module(m).\n" ++ Attributes ++ Function),
    Changed = porthost_transform:parse_transform(Forms, []),
    ?assertMatch({ok, m, _, _}, compile:forms(Changed, [binary, return, export_all])),
    [Last | _] = [F || F = {function, _, f, _, _} <- Changed],
    Text = lists:flatten(erl_pp:form(Last)),
    re:replace(Text, "\\s+", " ", [global, {return, list}]).

forms(Source) ->
    {ok, Tokens, _} = erl_scan:string(Source),
    forms(Tokens, []).

forms([], Acc) ->
    lists:reverse(Acc);
forms(Tokens, Acc) ->
    {Form, [Dot | Rest]} = lists:splitwith(fun(T) -> element(1, T) =/= dot end, Tokens),
    {ok, Parsed} = erl_parse:parse_form(Form ++ [Dot]),
    forms(Rest, [Parsed | Acc]).

has(Part, Text) ->
    ?assertMatch({true, _, _}, {string:find(Text, Part) =/= nomatch, Part, Text}).

hasnt(Part, Text) ->
    ?assertMatch({false, _, _}, {string:find(Text, Part) =/= nomatch, Part, Text}).

auto_imported_functions_are_redirected_test_() ->
    [{Call, fun() ->
                    Text = transformed("f(P, D) -> {P, D, " ++ Call ++ "}."),
                    has("porthost:" ++ Call, Text)
            end}
     || Call <- ["open_port(P, D)", "port_command(P, D)", "port_command(P, D, [force])",
                 "port_control(P, 1, D)", "port_close(P)", "port_connect(P, D)", "is_port(P)"]].

qualified_functions_are_redirected_test_() ->
    [{Call, fun() ->
                    Text = transformed("f(P, D) -> {P, D, erlang:" ++ Call ++ "}."),
                    has("porthost:" ++ Call, Text),
                    hasnt("erlang:", Text)
            end}
     || Call <- ["open_port(P, D)", "port_command(P, D)", "port_command(P, D, [force])",
                 "port_control(P, 1, D)", "port_call(P, D)", "port_call(P, 1, D)",
                 "port_close(P)", "port_connect(P, D)", "port_info(P)", "port_info(P, D)",
                 "port_set_data(P, D)", "port_get_data(P)", "ports()", "is_port(P)",
                 "send(P, D)", "send(P, D, [])", "send_nosuspend(P, D)",
                 "send_nosuspend(P, D, [])"]].

all_redirected_functions_are_there_test() ->
    Exports = porthost:module_info(exports),
    [?assert(lists:member(FA, Exports))
     || FA <- [{open_port, 2}, {port_command, 2}, {port_command, 3}, {port_control, 3},
               {port_call, 2}, {port_call, 3}, {port_close, 1}, {port_connect, 2},
               {port_info, 1}, {port_info, 2}, {port_set_data, 2}, {port_get_data, 1},
               {ports, 0}, {is_port, 1}, {send, 2}, {send, 3},
               {send_nosuspend, 2}, {send_nosuspend, 3}]].

erl_ddll_is_redirected_name_by_name_test_() ->
    [fun() ->
             Args = lists:join(", ", ["X" || _ <- lists:seq(1, Arity)]),
             Call = lists:flatten([atom_to_list(Name), "(", Args, ")"]),
             has("porthost_ddll:" ++ Call, transformed("f(X) -> {X, erl_ddll:" ++ Call ++ "}."))
     end
     || {Name, Arity} <- erl_ddll:module_info(exports), Name =/= module_info].

module_info_of_erl_ddll_stays_test() ->
    has("erl_ddll:module_info()", transformed("f() -> erl_ddll:module_info().")).

bang_is_redirected_everywhere_test() ->
    Text = transformed("f(P) -> [catch Q ! {self(), close} || Q <- P],"
                       " case P of [] -> P ! fun() -> P ! a end; _ -> ok end,"
                       " try P ! x after P ! y end, P ! P ! z."),
    hasnt("!", Text),
    has("porthost:send(P, porthost:send(P, z))", Text).

funs_are_redirected_test() ->
    Text = transformed("f() -> {fun port_command/2, fun erlang:port_info/1, fun erl_ddll:load/2,"
                       " fun lists:map/2, fun f/0}."),
    has("fun porthost:port_command/2", Text),
    has("fun porthost:port_info/1", Text),
    has("fun porthost_ddll:load/2", Text),
    has("fun lists:map/2", Text),
    has("fun f/0", Text).

imported_functions_are_redirected_test() ->
    Text = transformed("-import(erl_ddll, [load_driver/2]).\n-import(erlang, [port_info/1]).\n",
                       "f(P) -> {load_driver(P, P), port_info(P), fun load_driver/2}."),
    has("porthost_ddll:load_driver(P, P)", Text),
    has("porthost:port_info(P)", Text),
    has("fun porthost_ddll:load_driver/2", Text).

functions_of_the_module_itself_stay_test() ->
    Text = transformed("-compile({no_auto_import, [port_command/2]}).\n",
                       "port_command(A, B) -> {A, B}.\n"
                       "f(P) -> {port_command(P, a), erlang:port_command(P, a),"
                       " fun port_command/2, port_info(P)}.\n"
                       "port_info(P) -> P.\n"),
    has("{port_command(P, a), porthost:port_command(P, a), fun port_command/2, port_info(P)}",
        Text).

functions_imported_from_elsewhere_stay_test() ->
    has("{port_info(P)}",
        transformed("-import(elsewhere, [port_info/1]).\n", "f(P) -> {port_info(P)}.")).

functions_of_other_names_or_arities_stay_test() ->
    has("{self(), port_command(), link(P), erlang:send(P), other:open_port(P, P)}",
        transformed("port_command() -> ok.\n"
                    "f(P) -> {self(), port_command(), link(P), erlang:send(P),"
                    " other:open_port(P, P)}.")).

calls_by_variables_stay_test() ->
    has("M:port_command(P, D), F(P), apply(erlang, port_command, [P, D])",
        transformed("f(M, F, P, D) -> M:port_command(P, D), F(P),"
                    " apply(erlang, port_command, [P, D]).")).

is_port_in_a_guard_accepts_pids_test_() ->
    Guarded = "is_port(X) orelse is_pid(X)",
    [fun() -> has(Guarded, transformed(Source)) end
     || Source <- ["f(X) when is_port(X) -> X.",
                   "f(X) when erlang:is_port(X) -> X.",
                   "f(X) -> case X of _ when is_port(X) -> X end.",
                   "f(X) -> if not is_port(X) -> X; true -> X end.",
                   "f(X) -> fun(_) when is_port(X) -> X end.",
                   "f(X) -> receive _ when is_port(X) -> X end.",
                   "f(X) -> try X catch _:_ when is_port(X) -> X end."]].

is_port_in_a_body_asks_for_a_hosted_port_test() ->
    has("Y || Y <- X, porthost:is_port(Y)", transformed("f(X) -> [Y || Y <- X, is_port(Y)].")).

defaults_of_records_are_redirected_test() ->
    Forms = forms("-module(m).\n-record(r, {a = open_port(x, []), b :: atom()}).\n"),
    Changed = porthost_transform:parse_transform(Forms, []),
    [Record] = [F || {attribute, _, record, _} = F <- Changed],
    has("porthost:open_port(x, [])", lists:flatten(erl_pp:form(Record))).

the_compiler_takes_it_as_a_parse_transform_test() ->
    Forms = forms("-module(m).\n-compile({parse_transform, porthost_transform}).\n"
                  "-export([f/1]).\nf(X) when is_port(X) -> erlang:is_port(X).\n"),
    {ok, m, Code} = compile:forms(Forms, [binary]),
    {module, m} = code:load_binary(m, "m.beam", Code),
    ?assertEqual(false, apply(m, f, [self()])),
    ?assertEqual(true, apply(m, f, [hd(erlang:ports())])),
    ?assertError(function_clause, apply(m, f, [x])),
    code:purge(m),
    code:delete(m).
