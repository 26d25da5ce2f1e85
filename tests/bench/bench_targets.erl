%% SPDX-License-Identifier: Apache-2.0
%% The targets, and what this run says of each. A target that is missed fails nothing; it is told.
-module(bench_targets).

-export([check/2, watched/1]).

%% [#{name, measured (number | none), target, relation (le | ge | floor), met}]. A floor is no target: it is what somebody else
%% takes for as much, behind the target that it is the evidence for.
check(Results, Env) ->
    [judge(Name, Relation, Target, value(Formula, Results)) || {Name, Relation, Target, Formula} <- targets(Env)].

%% What is to be measured often, [#{section, caller, param}]: all contenders, for they are compared with each other.
watched(Env) ->
    lists:usort([maps:with([section, caller, param], Pattern)
                 || {_, _, _, Formula} <- targets(Env), {often, Pattern, _} <- measurements(Formula)]).

judge(Name, Relation, Target, Measured) ->
    #{name => Name, measured => Measured, relation => Relation, target => Target, met => met(Relation, Measured, Target)}.

met(floor, _, _) -> floor;
met(_, none, _) -> not_measured;
met(le, M, T) -> M =< T;
met(ge, M, T) -> M >= T.

targets(Env) ->
    lists:append([round_trips(Env), streams(), large(), processors(), beside(), memory(), flat(), counts(), sqlite(), polling(Env)]).

%% A formula is a number, a measurement {once | often, Pattern, Metric}, or {Fun, Formulas}, which is none if one of them is. Often
%% is for what swings from one moment to the next, by where the kernel happens to have put the threads.

value({Times, Pattern, Metric}, Results) when Times =:= once; Times =:= often ->
    bench_result:median(Results, Pattern, Metric);
value({Fun, Formulas}, Results) ->
    Values = [value(F, Results) || F <- Formulas],
    case lists:member(none, Values) of
        true -> none;
        false -> apply(Fun, Values)
    end;
value(Number, _) ->
    Number.

measurements({Fun, Formulas}) when is_function(Fun) -> lists:flatmap(fun measurements/1, Formulas);
measurements({_, _, _} = Measurement) -> [Measurement];
measurements(_) -> [].

get(Times, Section, Caller, Contender, Param, Metric) ->
    {Times, #{section => Section, caller => Caller, contender => Contender, param => Param}, Metric}.

ratio(A, B) -> {fun divided/2, [A, B]}.

divided(A, B) when B > 0 -> A / B;
divided(_, _) -> none.

difference(A, B) -> {fun erlang:'-'/2, [A, B]}.

trip(Contender) -> get(often, <<"control round trip">>, <<"Erlang">>, Contender, <<"16 B">>, p50).

has_polling(#{modes := Modes}) -> length(Modes) > 1.

round_trips(Env) ->
    Bare = trip(<<"bare port program">>),
    [{["control, Erlang, ", Way, ": of the bare port program's round trip"], le, 0.25, ratio(trip(list_to_binary(Way)), Bare)}
     || Way <- ["stdio", "unix"]]
        ++ [{"  the bare port program if it polled, its frames terms and relayed by a process", floor, none,
             ratio(trip(<<"bare port program, polling, relayed">>), Bare)},
            {"  the bare unix socket", floor, none, ratio(trip(<<"bare unix socket">>), Bare)}]
        ++ [{["the same, no polling, ", Way], le, 1.05, ratio(trip(list_to_binary([Way, ", no polling"])), Bare)}
            || Way <- ["stdio", "unix"], has_polling(Env)]
        ++ [{"  the bare port program if it waited in epoll, its frames terms and relayed by a process", floor, none,
             ratio(trip(<<"bare port program, waiting, relayed">>), Bare)} || has_polling(Env)]
        ++ [{["client library over frames by hand, ", Way, ", us"], le, 3.0,
             difference(trip(list_to_binary(Way)), trip(list_to_binary([Way, " by hand"])))}
            || Way <- ["stdio", "unix"]].

streams() ->
    Rate = fun(Caller, Who) -> get(often, <<"pipelined commands, 64 B">>, Caller, Who, <<"64">>, rate) end,
    [{[Text, ", ", Way, ": of the bare port program's rate"], ge, Target, ratio(Rate(Caller, Way), Rate(Caller, <<"bare port program">>))}
     || {Text, Caller, Target} <- [{"64 B pipelined by 64, C", <<"C">>, 2.0}, {"the same, Erlang", <<"Erlang">>, 0.8}],
        Way <- [<<"stdio">>, <<"unix">>]]
        ++ [{"  the bare port program, its frames terms and relayed by a process", floor, none,
             ratio(Rate(<<"Erlang">>, <<"bare port program, relayed">>), Rate(<<"Erlang">>, <<"bare port program">>))}].

large() ->
    Time = fun(Caller, Who) -> get(often, <<"command round trip">>, Caller, Who, <<"1 MiB">>, p50) end,
    [{["1 MiB echoed, ", Caller, ", unix: of the bare socket's speed"], ge, 0.95,
      ratio(Time(Caller, <<"bare unix socket">>), Time(Caller, <<"unix">>))} || Caller <- [<<"C">>, <<"Erlang">>]]
        ++ [{Text, Relation, Target, ratio(Time(Caller, <<"bare port program">>), Time(Caller, Who))}
            || Caller <- [<<"C">>, <<"Erlang">>],
               {Text, Relation, Target, Who} <-
                   [{["1 MiB echoed, ", Caller, ", stdio: of the bare port program's speed"], ge, 3.0, <<"stdio">>},
                    {"  the bare port program if its pipes were of 1 MiB", floor, none, <<"bare port program, pipes of 1 MiB">>}]].

processors() ->
    Rate = fun(Who, N) -> get(once, <<"computing in parallel">>, <<"C">>, Who, N, rate) end,
    [{"computing on 16 ports: of what 16 threads of a C program do", ge, 0.9,
      ratio(Rate(<<"ports with their own lock">>, <<"16">>), Rate(<<"threads of a C program">>, <<"16">>))}].

beside() ->
    P99 = fun(Light, Where, Heavy) ->
                  get(once, <<"a light port beside a heavy one">>, <<"C">>, <<Light/binary, ", ", Where/binary>>, Heavy, p99)
          end,
    [{["p99 beside ", Text, ", ", Light, ", ", Where, ": of that beside another process"], le, 2.0,
      ratio(P99(Light, Where, Heavy), P99(Light, <<"another process">>, Heavy))}
     || {Heavy, Text} <- [{<<"spin">>, "10 ms callbacks"}, {<<"block">>, "1 s callbacks"}],
        Light <- [<<"port lock">>, <<"driver lock">>], Where <- [<<"same connection">>, <<"another connection">>]].

memory() ->
    [{"an idle port, bytes (and 32 for what the driver allocates)", le, 512 + 32,
      get(once, <<"among many ports">>, <<"C">>, <<"stdio">>, <<"100000">>, bytes)},
     {"an idle connection, bytes", le, 4096, get(once, <<"among many connections">>, <<"C">>, <<"unix">>, <<"1000">>, bytes)},
     {"10,000 connections: bytes of each", le, 4096,
      get(once, <<"among many connections">>, <<"C">>, <<"unix">>, <<"10000">>, bytes)}].

flat() ->
    Among = fun(N, Metric) -> get(once, <<"among many ports">>, <<"C">>, <<"stdio">>, N, Metric) end,
    InVm = fun(N) -> get(once, <<"among many ports">>, <<"Erlang">>, <<"in the VM">>, N, rate) end,
    [{"time per pipelined message, among 100,000 ports against 10", le, 1.25, ratio(Among(<<"10">>, rate), Among(<<"100000">>, rate))},
     {"  control in the VM, among 50,000 ports against 10", floor, none, ratio(InVm(<<"10">>), InVm(<<"50000">>))}].

counts() ->
    Count = fun(Work, Metric) -> get(once, <<"counts for each message of 64 B">>, <<"C">>, Work, <<"stdio">>, Metric) end,
    [{["system calls per control round trip: ", atom_to_list(M)], le, 1.01, Count(<<"control">>, M)} || M <- [reads, writes, waits]]
        ++ [{["system calls per command, 64 under way: ", atom_to_list(M)], le, 0.1, Count(<<"command, 64 under way">>, M)}
            || M <- [reads, writes, waits]]
        ++ [{"instructions per command, 64 under way", le, 1500, Count(<<"command, 64 under way">>, instructions)},
            {"allocations per command, 64 under way", le, 0.01, Count(<<"command, 64 under way">>, allocations)}].

sqlite() ->
    Rate = fun(Callers, Who, Work) -> get(often, <<"SQLite">>, Callers, Who, Work, rate) end,
    lists:append([[{["SQLite, ", Work, ", ", Callers, ", unix: of the rate in the VM"], ge, Target,
                    ratio(Rate(Callers, <<"unix">>, Work), Rate(Callers, <<"in the VM">>, Work))},
                   {["  the rate in the VM if ", What, " came to each request"], floor, none,
                    and_the_way(Rate(Callers, <<"in the VM">>, Work), Requests, Way)}]
                  || {Callers, Target, What, Way} <-
                         [{<<"1 caller">>, 0.5, "the bare port program's round trip", trip(<<"bare port program">>)},
                          {<<"16 callers, 4 databases">>, 0.9, "one frame there and two back, relayed,",
                           ratio(1000000, get(often, <<"pipelined commands, 64 B">>, <<"Erlang">>, <<"bare port program, answering twice, relayed">>, <<"64">>, rate))}],
                     {Work, Requests} <- [{<<"insert">>, 1}, {<<"select">>, 1}, {<<"prepared">>, 3}]]).

%% Of that rate, when each unit of work also makes so many requests of so many microseconds.
and_the_way(Rate, Requests, Way) ->
    {fun(R, W) -> 1 / (1 + R * Requests * W / 1000000) end, [Rate, Way]}.

polling(Env) ->
    Cpu = fun(Times, Who, What) -> get(Times, <<"CPU time of the host, microseconds in a second">>, <<"C">>, Who, What, cpu) end,
    [{"start to first answer, ms", le, 20,
      ratio(get(once, <<"start to first answer">>, <<"C">>, <<"stdio">>, <<"time">>, first), 1000)},
     {"CPU time of an idle host, us in a second", le, 100, Cpu(once, <<"stdio">>, <<"idle">>)}]
        ++ [{"CPU time with a message every 10 ms, of that without polling", le, 1.05,
             ratio(Cpu(often, <<"stdio">>, <<"a message every 10 ms">>), Cpu(often, <<"stdio, no polling">>, <<"a message every 10 ms">>))}
            || has_polling(Env)].
