%% SPDX-License-Identifier: Apache-2.0
%% The benchmark: every work on every contender in every round, contender after contender, so that what the machine does meanwhile
%% is shared. Run by scripts/bench, which starts this node with what it needs: -s bench -extra BUILD SCRATCH.
%%
%% BENCH_ROUNDS is the number of rounds, BENCH_MS how long each measurement takes.
-module(bench).

-export([start/0]).
-export([stuck/2]).     % by the timer

-define(STUCK_MS, 180000).

%% In a process that traps no exits: init's own would keep one message for each port that ends, and look through them for ever after.
start() ->
    [Build, Scratch] = init:get_plain_arguments(),
    {_, Ref} = spawn_monitor(fun() -> run(Build, Scratch) end),
    receive
        {'DOWN', Ref, process, _, normal} ->
            halt(0);
        {'DOWN', Ref, process, _, Reason} ->
            io:format(standard_error, "bench: ~0P~n", [Reason, 60]),
            halt(1)
    end.

run(Build, Scratch) ->
    Rounds = env("BENCH_ROUNDS", 5),
    Env = bench_contender:start(#{build => Build, scratch => Scratch, ms => env("BENCH_MS", 40)}),
    Items = lists:append([bench_erlang:items(Env), bench_load:items(Env), bench_sqlite:items(Env),
                          bench_load:scale_items(Env), bench_counts:items(Env)]),
    Rows = ets:new(rows, [ordered_set]),
    Begin = erlang:monotonic_time(second),
    Watched = bench_targets:watched(Env),
    [round(N, Rounds, Items, Watched, Rows) || N <- lists:seq(1, Rounds)],
    Results = bench_result:collect(Rows),
    Targets = bench_targets:check(Results, Env),
    Meta = meta(Rounds, erlang:monotonic_time(second) - Begin),
    io:put_chars(bench_report:text(Meta, Results, Targets)),
    ok = file:write_file(filename:join(Build, "bench.json"), bench_report:json(Meta, Results, Targets)),
    bench_report:plot_data(Scratch, Results).

env(Name, Default) ->
    case os:getenv(Name) of
        false -> Default;
        "" -> Default;
        Text -> list_to_integer(Text)
    end.

%% An item says in how many of the rounds it takes part, if not in all. Those that are watched are measured three times in a round, far
%% apart: what slows one down, or speeds it up, for a moment or two then decides no median.
round(N, Rounds, Items, Watched, Rows) ->
    io:format(standard_error, "round ~p of ~p~n", [N, Rounds]),
    Present = [{Index, Item} || {Index, Item} <- lists:enumerate(Items), N =< maps:get(rounds, Item, Rounds)],
    Again = [I || {_, Item} = I <- Present, lists:member(maps:with([section, caller, param], Item), Watched)],
    {First, Second} = lists:split(length(Present) div 2, Present),
    [measure(Index, Item, Rows) || {Index, Item} <- First ++ Again ++ Second ++ Again],
    ok.

%% What fails is told and left out; the rest goes on.
measure(Index, #{run := Run} = Item, Rows) ->
    Key = maps:with([section, caller, contender, param], Item),
    {ok, Watch} = timer:apply_after(?STUCK_MS, ?MODULE, stuck, [self(), Key]),
    erlang:garbage_collect(),
    try Run() of
        Values -> bench_result:add(Rows, Index, Key, Values)
    catch
        Class:Reason -> io:format(standard_error, "failed: ~0p: ~p ~0P~n", [maps:values(Key), Class, Reason, 30])
    end,
    {ok, cancel} = timer:cancel(Watch),
    left_over(Key).

%% A message that nobody has taken makes every later receive slower, and may be taken for another: it is a defect here.
left_over(Key) ->
    receive
        Message ->
            io:format(standard_error, "left over by ~0p: ~0P~n", [maps:values(Key), Message, 20]),
            left_over(Key)
    after 0 -> ok
    end.

%% An answer that never comes would be waited for for ever.
stuck(Pid, Key) ->
    {current_stacktrace, Stack} = process_info(Pid, current_stacktrace),
    io:format(standard_error, "bench: stuck in ~0p~n~p~n", [maps:values(Key), Stack]),
    halt(1).

meta(Rounds, Seconds) ->
    #{rounds => Rounds, seconds => Seconds, cores => erlang:system_info(logical_processors_available),
      otp => list_to_binary(erlang:system_info(otp_release)), erts => list_to_binary(erlang:system_info(version)),
      kernel => list_to_binary(string:trim(os:cmd("uname -sr"))),
      processor => list_to_binary(string:trim(os:cmd("sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1")))}.
