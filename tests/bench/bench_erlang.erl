%% SPDX-License-Identifier: Apache-2.0
%% Works with a real Erlang node as the caller.
-module(bench_erlang).

-export([items/1, sizes/0, trips/2]).

-define(CALLER, <<"Erlang">>).
-define(OP_ECHO, 0).
-define(OP_MODE, 1).
-define(OP_BURST, 2).
-define(OP_TERMS, 3).
-define(OP_TIMERS, 4).
-define(MODE_ECHO, 0).
-define(MODE_SINK, 1).
-define(MODE_FILE, 2).
-define(MODE_WORK, 3).
-define(BURST, 1000).
-define(STEPS, 500000).     % as the C load generator has them
-define(COMPUTE_MS, 300).

sizes() ->
    [{<<"16 B">>, 16}, {<<"64 B">>, 64}, {<<"1 KiB">>, 1 bsl 10}, {<<"64 KiB">>, 1 bsl 16}, {<<"1 MiB">>, 1 bsl 20},
     {<<"16 MiB">>, 1 bsl 24}].

items(Env) ->
    All = bench_contender:list(Env),
    Streams = [C || #{stream := _} = C <- All],
    Drivers = [C || #{module := _} = C <- All],
    lists:append([trip_items(Env, [C || #{trip := _} = C <- All]), pipe_items(Env, Streams), oneway_items(Env, Drivers), burst_items(Env, Drivers),
                  file_items(Env, Drivers), term_items(Env, Drivers), timer_items(Env, Drivers), open_items(Env, Drivers), among_items(Env, Drivers), cpu_items(Drivers)]).

%% As many as the VM may have (+Q), in an order by chance.
among_items(#{ms := Ms}, [#{name := <<"in the VM">>} = C | _]) ->
    [item(<<"among many ports">>, C, integer_to_binary(N), fun() -> among(C, N, Ms) end) || N <- [10, 50000]].

among(#{open := Open}, N, Ms) ->
    Ports = [Port || _ <- lists:seq(1, N), #{port := Port} <- [Open()]],
    Order = [Port || {_, Port} <- lists:sort([{rand:uniform(), Port} || Port <- Ports])],
    All = fun() -> lists:foreach(fun(Port) -> erlang:port_control(Port, ?OP_ECHO, <<"x">>) end, Order) end,
    Rate = repeat(All, fun() -> ok end, N, Ms),
    lists:foreach(fun erlang:port_close/1, Ports),
    [{rate, Rate}].

item(Section, #{name := Name}, Param, Run) ->
    #{section => Section, caller => ?CALLER, contender => Name, param => Param, run => Run}.

data(Size) -> binary:copy(<<"x">>, Size).

trip_items(#{ms := Ms}, All) ->
    [item(Section, C, Param, fun() -> trips(Trip(Op, data(Size)), Ms) end)
     || {Section, Op} <- [{<<"control round trip">>, control}, {<<"command round trip">>, command}],
        {Param, Size} <- sizes(), #{trip := Trip} = C <- All].

%% The clock is read once for each trip. The first trips are not counted.
trips(Trip, Ms) ->
    Trip(), Trip(),
    Begin = erlang:monotonic_time(nanosecond),
    Sorted = lists:sort(timed(Trip, Begin, Begin + Ms * 1000000, 0, [])),
    Tuple = list_to_tuple(Sorted),
    N = tuple_size(Tuple),
    [{Metric, element(trunc(N * Share) + 1, Tuple) / 1000} || {Metric, Share} <- [{p50, 0.5}, {p99, 0.99}, {p999, 0.999}]].

timed(_, Last, End, N, Acc) when Last >= End, N >= 3 -> Acc;
timed(Trip, Last, End, N, Acc) ->
    Trip(),
    Now = erlang:monotonic_time(nanosecond),
    timed(Trip, Now, End, N + 1, [Now - Last | Acc]).

pipe_items(#{ms := Ms}, Streams) ->
    [item(<<"pipelined commands, 64 B">>, C, integer_to_binary(W), fun() -> pipe(Stream(data(64)), W, Ms) end)
     || W <- [1, 4, 16, 64, 256, 1024], #{stream := Stream} = C <- Streams].

%% W are always under way.
pipe({Send, Receive}, W, Ms) ->
    Begin = erlang:monotonic_time(nanosecond),
    times(W, Send),
    N = keep(Send, Receive, Begin + Ms * 1000000, 0),
    times(W, Receive),
    [{rate, rate(N + W, Begin)}].

keep(Send, Receive, End, N) ->
    case N band 15 =:= 0 andalso erlang:monotonic_time(nanosecond) >= End of
        true -> N;
        false -> Receive(), Send(), keep(Send, Receive, End, N + 1)
    end.

times(0, _) -> ok;
times(N, Fun) -> Fun(), times(N - 1, Fun).

rate(N, Begin) ->
    N * 1000000000 / (erlang:monotonic_time(nanosecond) - Begin).

%% Does Fun for Ms, then Last; how often in a second, if each is worth N.
repeat(Fun, Last, N, Ms) ->
    Begin = erlang:monotonic_time(nanosecond),
    Done = repeat_until(Fun, Begin + Ms * 1000000, 0),
    Last(),
    rate(Done * N, Begin).

repeat_until(Fun, End, N) ->
    Fun(),
    case erlang:monotonic_time(nanosecond) >= End of
        true -> N + 1;
        false -> repeat_until(Fun, End, N + 1)
    end.

control(#{module := Module, port := Port}, Op, Data) ->
    Module:port_control(Port, Op, Data).

set_mode(C, Mode) -> control(C, ?OP_MODE, <<Mode, 0:32>>).

oneway_items(#{ms := Ms}, Drivers) ->
    [item(<<"one-way commands">>, C, Param,
          fun() ->
                  set_mode(C, ?MODE_SINK),
                  {Send, _} = Stream(data(Size)),
                  Rate = repeat(Send, fun() -> control(C, 0, <<>>) end, 1, Ms),
                  set_mode(C, ?MODE_ECHO),
                  [{rate, Rate}]
          end)
     || {Param, Size} <- [{<<"64 B">>, 64}, {<<"64 KiB">>, 1 bsl 16}], #{stream := Stream} = C <- Drivers].

burst_items(#{ms := Ms}, Drivers) ->
    [item(<<"driver output in bursts of 1000">>, C, Param,
          fun() ->
                  Do = fun() -> control(C, ?OP_BURST, <<?BURST:32, Size:32>>), drain(Port, ?BURST) end,
                  [{rate, repeat(Do, fun() -> ok end, ?BURST, Ms)}]
          end)
     || {Param, Size} <- [{<<"64 B">>, 64}, {<<"1 KiB">>, 1 bsl 10}, {<<"64 KiB">>, 1 bsl 16}],
        #{port := Port} = C <- Drivers].

drain(_, 0) -> ok;
drain(Port, N) -> receive {Port, {data, _}} -> drain(Port, N - 1) end.

file_items(#{ms := Ms, scratch := Scratch}, Drivers) ->
    Path = list_to_binary(filename:join(Scratch, "file")),
    [item(<<"outputv to a file">>, C, Param,
          fun() ->
                  control(C, ?OP_MODE, <<?MODE_FILE, 0:32, Path/binary>>),
                  {Send, _} = Stream(data(Size)),
                  Rate = repeat(Send, fun() -> control(C, 0, <<>>) end, Size, Ms),
                  set_mode(C, ?MODE_ECHO),
                  [{bytes_per_second, Rate}]
          end)
     || {Param, Size} <- [{<<"64 KiB">>, 1 bsl 16}, {<<"1 MiB">>, 1 bsl 20}], #{stream := Stream} = C <- Drivers].

term_items(#{ms := Ms}, Drivers) ->
    [item(<<"terms from the driver">>, C, Param,
          fun() ->
                  Do = fun() -> control(C, ?OP_TERMS, <<100:32, Shape:32>>), times(100, fun() -> receive T -> T end end) end,
                  [{rate, repeat(Do, fun() -> ok end, 100, Ms)}]
          end)
     || {Param, Shape} <- [{<<"{ok,42}">>, 0}, {<<"100 integers">>, 1}, {<<"map of 10">>, 2}, {<<"64 KiB binary">>, 3}],
        C <- Drivers].

timer_items(#{ms := Ms}, Drivers) ->
    [item(<<"timers set and cancelled">>, C, <<"1000 at a time">>,
          fun() -> [{rate, repeat(fun() -> control(C, ?OP_TIMERS, <<1000:32>>) end, fun() -> ok end, 1000, Ms)}] end)
     || C <- Drivers].

open_items(#{ms := Ms}, Drivers) ->
    [item(<<"open and close">>, C, <<"one port">>,
          fun() ->
                  Do = fun() -> #{port := Port, module := Module} = Open(), Module:port_close(Port) end,
                  [{rate, repeat(Do, fun() -> ok end, 1, Ms)}]
          end)
     || #{open := Open} = C <- Drivers].

%% N processes, each with a port of its own that always has work; on the host of one connection.
cpu_items(Drivers) ->
    [(item(<<"computing in parallel">>, C, integer_to_binary(N), fun() -> [{rate, compute(Open, N)}] end))#{rounds => 3}
     || N <- [1, 2, 4, 16], #{name := Name, open := Open} = C <- Drivers,
        lists:member(Name, [<<"in the VM">>, <<"stdio">>, <<"unix">>])].

compute(Open, N) ->
    Begin = erlang:monotonic_time(nanosecond),
    End = Begin + ?COMPUTE_MS * 1000000,
    Callers = [spawn_monitor(fun() -> exit({done, computed(Open(), End)}) end) || _ <- lists:seq(1, N)],
    Done = [receive {'DOWN', Ref, process, _, {done, D}} -> D end || {_, Ref} <- Callers],
    rate(lists:sum(Done), Begin).

computed(#{port := Port, module := Module} = C, End) ->
    control(C, ?OP_MODE, <<?MODE_WORK, ?STEPS:32>>),
    Send = fun() -> Module:port_command(Port, <<>>) end,
    Receive = fun() -> receive {Port, {data, _}} -> ok end end,
    times(2, Send),
    Done = 2 + compute_until(Send, Receive, End, 0),
    times(2, Receive),
    Module:port_close(Port),
    Done.

compute_until(Send, Receive, End, N) ->
    case erlang:monotonic_time(nanosecond) >= End of
        true -> N;
        false -> Receive(), Send(), compute_until(Send, Receive, End, N + 1)
    end.
