#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! +A 1
%% Runs the table of term_cases.erl, and specifications made by chance.
%%
%%   term_parity.escript vm DRIVER_DIR             the table on the VM's own term functions (checks the table)
%%   term_parity.escript build PROGRAM             the table on ours, through tests/parity/term_build_port.c
%%   term_parity.escript random DRIVER_DIR PROGRAM COUNT
%%                                                 COUNT specifications on both, whose answers must be the same
-mode(compile).

main(["vm", Dir]) ->
    load(),
    finish(table(vm(Dir), vm));
main(["build", Program]) ->
    load(),
    finish(table(program(Program), ours));
main(["random", Dir, Program, Count]) ->
    load(),
    finish(random(vm(Dir), program(Program), list_to_integer(Count)));
main(_) ->
    io:put_chars(standard_error, "usage: term_parity.escript vm DIR | build PROGRAM | random DIR PROGRAM COUNT\n"),
    halt(2).

load() ->
    Source = filename:join(filename:dirname(escript:script_name()), "term_cases.erl"),
    {ok, Module, Code} = compile:file(Source, [binary, report]),
    {module, Module} = code:load_binary(Module, Source, Code).

finish({Run, 0}) -> io:format("~b passed, 0 failed~n", [Run]);
finish({Run, Failed}) -> io:format("~b passed, ~b failed~n", [Run - Failed, Failed]), halt(1).

%% An implementation: fun(Op, EncodedSpec) -> {Result, ExtraReferences, none | {term, T}}, and its port.
vm(Dir) ->
    ok = erl_ddll:load_driver(Dir, "term_probe_drv"),
    Port = open_port({spawn_driver, "term_probe_drv"}, [binary]),
    {Dead, Down} = spawn_monitor(fun() -> port_control(Port, 5, <<>>) end),
    receive {'DOWN', Down, process, Dead, _} -> ok end,
    {Port, fun(Op, Bytes) -> vm_send(Port, Op, Bytes) end}.

vm_send(Port, Op, Bytes) ->
    <<Result:32/signed, Refs:32/signed>> = port_control(Port, Op, Bytes),
    receive Message when Result =:= 1 -> {Result, Refs, {term, Message}}
    after case Result of 1 -> 5000; _ -> 0 end -> {Result, Refs, none}
    end.

program(Program) ->
    Port = open_port({spawn_executable, Program}, [{packet, 4}, binary]),
    {Port, fun(Op, Bytes) -> program_send(Port, Op, Bytes) end}.

program_send(Port, Op, Bytes) ->
    <<131, Pid/binary>> = term_to_binary(self()),
    <<131, PortTerm/binary>> = term_to_binary(Port),
    port_command(Port, [Op, <<(byte_size(Pid)):16>>, Pid, <<(byte_size(PortTerm)):16>>, PortTerm, Bytes]),
    receive
        {Port, {data, <<Result:32/signed, Refs:32/signed>>}} -> {Result, Refs, none};
        {Port, {data, <<Result:32/signed, Refs:32/signed, Term/binary>>}} -> {Result, Refs, decoded(Term)}
    after 20000 -> timeout
    end.

decoded(Bytes) ->
    try {term, binary_to_term(Bytes)}
    catch error:badarg -> {not_a_term, Bytes}
    end.

table({Port, Send}, Whose) ->
    Failed = [Name || {Name, Spec, Result, Term} <- term_cases:cases(),
                      not passes(Port, Send, Name, Spec, results(Result, Whose), Term)],
    {length(term_cases:cases()), length(Failed)}.

results({Alive, _, Dead}, ours) -> {Alive, Dead};
results({Alive, Dead, _}, vm) -> {Alive, Dead};
results({Alive, Dead}, _) -> {Alive, Dead};
results(-1, _) -> {-1, -1};
results(1, _) -> {1, 0}.

passes(Port, Send, Name, Spec, {Alive, Dead}, Term) ->
    Bytes = term_cases:encode(Spec),
    Wanted = {Alive, resolve(Term, Port)},
    Got = [{Op, Send(Op, Bytes)} || Op <- [0, 1, 2, 3]],
    Good = lists:all(fun({_, Answer}) -> same(Answer, Wanted) end, Got) andalso same(Send(4, Bytes), {Dead, none}),
    Good orelse io:format("~tp:~n  wanted ~tP~n  got    ~tP, to the dead ~tp~n",
                          [Name, {Alive, Dead, Term}, 20, hd(Got), 20, Send(4, Bytes)]),
    Good.

%% After a failure no reference to a binary is held.
same({-1, Refs, none}, {-1, none}) -> Refs =:= 0;
same({0, Refs, none}, {0, none}) -> Refs =:= 0;
same({1, _, {term, T}}, {1, {term, Wanted}}) -> T =:= Wanted;
same(_, _) -> false.

resolve('$port', Port) -> Port;
resolve('$caller', _) -> self();
resolve(T, Port) when is_tuple(T) -> list_to_tuple(resolve(tuple_to_list(T), Port));
resolve([H | T], Port) -> [resolve(H, Port) | resolve(T, Port)];
resolve(M, Port) when is_map(M), map_size(M) < 50 -> maps:from_list(resolve(maps:to_list(M), Port));
resolve(T, _) -> T.

random({VmPort, Vm}, {OurPort, Ours}, Count) ->
    Failed = [N || N <- lists:seq(1, Count), not agree(N, VmPort, Vm, OurPort, Ours)],
    {Count, length(Failed)}.

agree(N, VmPort, Vm, OurPort, Ours) ->
    rand:seed(exsss, {N, 1, 1}),
    Spec = term_cases:random(rand:uniform(12)),
    Bytes = term_cases:encode(Spec),
    A = Vm(0, Bytes),
    B = Ours(0, Bytes),
    Agree = comparable(A, VmPort) =:= comparable(B, OurPort),
    Agree orelse io:format("seed ~b: ~tp~n  the VM ~tp~n  ours   ~tp~n", [N, Spec, A, B]),
    Agree.

%% Each implementation has a port of its own: made the same before comparing.
comparable({Result, _, {term, T}}, Port) -> {Result, generic(T, Port)};
comparable({Result, Refs, none}, _) -> {Result, Refs};
comparable(Other, _) -> Other.

generic(Port, Port) -> '$port';
generic(T, Port) when is_tuple(T) -> list_to_tuple(generic(tuple_to_list(T), Port));
generic([H | T], Port) -> [generic(H, Port) | generic(T, Port)];
generic(M, Port) when is_map(M) -> maps:from_list(generic(maps:to_list(M), Port));
generic(T, _) -> T.
