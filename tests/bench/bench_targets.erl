%% SPDX-License-Identifier: Apache-2.0
%% The targets, and what this run says of each. A target that is missed fails nothing; it is told.
-module(bench_targets).

-export([check/2]).

%% [#{name, measured (number | none), target, relation (le | ge | floor), met}]. A floor is no target: it is what somebody else
%% takes for as much, behind the target that it is the evidence for.
check(Results, Env) ->
    [judge(Name, Relation, Target, Measured) || {Name, Relation, Target, Measured} <- targets(Results, Env)].

judge(Name, Relation, Target, Measured) ->
    #{name => Name, measured => Measured, relation => Relation, target => Target, met => met(Relation, Measured, Target)}.

met(floor, _, _) -> floor;
met(_, none, _) -> not_measured;
met(le, M, T) -> M =< T;
met(ge, M, T) -> M >= T.

targets(R, Env) ->
    lists:append([round_trips(R, Env), streams(R), large(R), processors(R), beside(R), memory(R), flat(R), counts(R), sqlite(R),
                  polling(R, Env)]).

get(R, Section, Caller, Contender, Param, Metric) ->
    bench_result:median(R, #{section => Section, caller => Caller, contender => Contender, param => Param}, Metric).

ratio(A, B) when is_number(A), is_number(B), B > 0 -> A / B;
ratio(_, _) -> none.

difference(A, B) when is_number(A), is_number(B) -> A - B;
difference(_, _) -> none.

trip(R, Contender) -> get(R, <<"control round trip">>, <<"Erlang">>, Contender, <<"16 B">>, p50).

has_polling(#{modes := Modes}) -> length(Modes) > 1.

round_trips(R, Env) ->
    Bare = trip(R, <<"bare port program">>),
    [{["control, Erlang, ", Way, ": of the bare port program's round trip"], le, 0.25, ratio(trip(R, list_to_binary(Way)), Bare)}
     || Way <- ["stdio", "unix"]]
        ++ [{"  the bare port program if it polled, its frames terms and relayed by a process", floor, none,
             ratio(trip(R, <<"bare port program, polling, relayed">>), Bare)},
            {"  the bare unix socket", floor, none, ratio(trip(R, <<"bare unix socket">>), Bare)}]
        ++ [{["the same, no polling, ", Way], le, 1.05, ratio(trip(R, list_to_binary([Way, ", no polling"])), Bare)}
            || Way <- ["stdio", "unix"], has_polling(Env)]
        ++ [{["client library over frames by hand, ", Way, ", us"], le, 3.0,
             difference(trip(R, list_to_binary(Way)), trip(R, list_to_binary([Way, " by hand"])))}
            || Way <- ["stdio", "unix"]].

streams(R) ->
    Rate = fun(Caller, Who) -> get(R, <<"pipelined commands, 64 B">>, Caller, Who, <<"64">>, rate) end,
    [{[Text, ", ", Way, ": of the bare port program's rate"], ge, Target, ratio(Rate(Caller, Way), Rate(Caller, <<"bare port program">>))}
     || {Text, Caller, Target} <- [{"64 B pipelined by 64, C", <<"C">>, 2.0}, {"the same, Erlang", <<"Erlang">>, 0.8}],
        Way <- [<<"stdio">>, <<"unix">>]]
        ++ [{"  the bare port program, its frames terms and relayed by a process", floor, none,
             ratio(Rate(<<"Erlang">>, <<"bare port program, relayed">>), Rate(<<"Erlang">>, <<"bare port program">>))}].

large(R) ->
    Time = fun(Caller, Who) -> get(R, <<"command round trip">>, Caller, Who, <<"1 MiB">>, p50) end,
    [{["1 MiB echoed, ", Caller, ", unix: of the bare socket's speed"], ge, 0.95,
      ratio(Time(Caller, <<"bare unix socket">>), Time(Caller, <<"unix">>))} || Caller <- [<<"C">>, <<"Erlang">>]]
        ++ [{["1 MiB echoed, ", Caller, ", stdio: of the bare port program's speed"], ge, 3.0,
             ratio(Time(Caller, <<"bare port program">>), Time(Caller, <<"stdio">>))} || Caller <- [<<"C">>, <<"Erlang">>]].

processors(R) ->
    Rate = fun(Who, N) -> get(R, <<"computing in parallel">>, <<"C">>, Who, N, rate) end,
    [{"computing on 16 ports: of what 16 threads of a C program do", ge, 0.9,
      ratio(Rate(<<"ports with their own lock">>, <<"16">>), Rate(<<"threads of a C program">>, <<"16">>))}].

beside(R) ->
    P99 = fun(Light, Where, Heavy) ->
                  get(R, <<"a light port beside a heavy one">>, <<"C">>, <<Light/binary, ", ", Where/binary>>, Heavy, p99)
          end,
    [{["p99 beside ", Text, ", ", Light, ", ", Where, ": of that beside another process"], le, 2.0,
      ratio(P99(Light, Where, Heavy), P99(Light, <<"another process">>, Heavy))}
     || {Heavy, Text} <- [{<<"spin">>, "10 ms callbacks"}, {<<"block">>, "1 s callbacks"}],
        Light <- [<<"port lock">>, <<"driver lock">>], Where <- [<<"same connection">>, <<"another connection">>]].

memory(R) ->
    [{"an idle port, bytes (and 32 for what the driver allocates)", le, 512 + 32,
      get(R, <<"among many ports">>, <<"C">>, <<"stdio">>, <<"100000">>, bytes)},
     {"an idle connection, bytes", le, 4096, get(R, <<"among many connections">>, <<"C">>, <<"unix">>, <<"1000">>, bytes)},
     {"10,000 connections: bytes of each", le, 4096,
      get(R, <<"among many connections">>, <<"C">>, <<"unix">>, <<"10000">>, bytes)}].

flat(R) ->
    Among = fun(N, Metric) -> get(R, <<"among many ports">>, <<"C">>, <<"stdio">>, N, Metric) end,
    InVm = fun(N) -> get(R, <<"among many ports">>, <<"Erlang">>, <<"in the VM">>, N, rate) end,
    [{"time per pipelined message, among 100,000 ports against 10", le, 1.25, ratio(Among(<<"10">>, rate), Among(<<"100000">>, rate))},
     {"  control in the VM, among 50,000 ports against 10", floor, none, ratio(InVm(<<"10">>), InVm(<<"50000">>))}].

counts(R) ->
    Count = fun(Work, Metric) -> get(R, <<"counts for each message of 64 B">>, <<"C">>, Work, <<"stdio">>, Metric) end,
    [{["system calls per control round trip: ", atom_to_list(M)], le, 1.01, Count(<<"control">>, M)} || M <- [reads, writes, waits]]
        ++ [{["system calls per command, 64 under way: ", atom_to_list(M)], le, 0.1, Count(<<"command, 64 under way">>, M)}
            || M <- [reads, writes, waits]]
        ++ [{"instructions per command, 64 under way", le, 1500, Count(<<"command, 64 under way">>, instructions)},
            {"allocations per command, 64 under way", le, 0.01, Count(<<"command, 64 under way">>, allocations)}].

sqlite(R) ->
    Rate = fun(Callers, Who, Work) -> get(R, <<"SQLite">>, Callers, Who, Work, rate) end,
    lists:append([[{["SQLite, ", Work, ", ", Callers, ", unix: of the rate in the VM"], ge, Target,
                    ratio(Rate(Callers, <<"unix">>, Work), Rate(Callers, <<"in the VM">>, Work))},
                   {["  the rate in the VM if ", What, " came to each request"], floor, none,
                    and_the_way(Rate(Callers, <<"in the VM">>, Work), Requests, Way)}]
                  || {Callers, Target, What, Way} <-
                         [{<<"1 caller">>, 0.5, "the bare port program's round trip", trip(R, <<"bare port program">>)},
                          {<<"16 callers, 4 databases">>, 0.9, "one frame there and two back, relayed,",
                           ratio(1000000, get(R, <<"pipelined commands, 64 B">>, <<"Erlang">>, <<"bare port program, answering twice, relayed">>, <<"64">>, rate))}],
                     {Work, Requests} <- [{<<"insert">>, 1}, {<<"select">>, 1}, {<<"prepared">>, 3}]]).

%% Of that rate, when each unit of work also makes so many requests of so many microseconds.
and_the_way(Rate, Requests, Way) when is_number(Rate), is_number(Way) -> 1 / (1 + Rate * Requests * Way / 1000000);
and_the_way(_, _, _) -> none.

polling(R, Env) ->
    Cpu = fun(Who, What) -> get(R, <<"CPU time of the host, microseconds in a second">>, <<"C">>, Who, What, cpu) end,
    [{"start to first answer, ms", le, 20,
      ratio(get(R, <<"start to first answer">>, <<"C">>, <<"stdio">>, <<"time">>, first), 1000)},
     {"CPU time of an idle host, us in a second", le, 100, Cpu(<<"stdio">>, <<"idle">>)}]
        ++ [{"CPU time with a message every 10 ms, of that without polling", le, 1.05,
             ratio(Cpu(<<"stdio">>, <<"a message every 10 ms">>), Cpu(<<"stdio, no polling">>, <<"a message every 10 ms">>))}
            || has_polling(Env)].
