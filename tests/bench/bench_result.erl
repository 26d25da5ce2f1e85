%% SPDX-License-Identifier: Apache-2.0
%% Results: for each measurement, in the order of the items, what each round gave. Times are in microseconds, rates per second.
-module(bench_result).

-export([add/4, collect/1, median/3, select/2]).

-export_type([result/0]).
-type result() :: #{section := binary(), caller := binary(), contender := binary(), param := binary(), metric := atom(),
                    values := [number()], median := number(), min := number(), max := number()}.

add(Rows, Index, Key, Values) ->
    [begin
         Row = {Index, N, Metric},
         Old = case ets:lookup(Rows, Row) of
                   [{_, _, V}] -> V;
                   [] -> []
               end,
         ets:insert(Rows, {Row, Key, [Value | Old]})
     end || {N, {Metric, Value}} <- lists:enumerate(Values)].

collect(Rows) ->
    [Key#{metric => Metric, values => lists:reverse(Values), median => middle(Values), min => lists:min(Values),
          max => lists:max(Values)}
     || {{_, _, Metric}, Key, Values} <- ets:tab2list(Rows)].

middle(Values) ->
    Sorted = lists:sort(Values),
    N = length(Sorted),
    case N rem 2 of
        1 -> lists:nth(N div 2 + 1, Sorted);
        0 -> (lists:nth(N div 2, Sorted) + lists:nth(N div 2 + 1, Sorted)) / 2
    end.

%% Those that have all of Pattern.
select(Results, Pattern) ->
    [R || R <- Results, maps:with(maps:keys(Pattern), R) =:= Pattern].

%% The median of the one that has Pattern and Metric, or none.
median(Results, Pattern, Metric) ->
    case select(Results, Pattern#{metric => Metric}) of
        [#{median := Median} | _] -> Median;
        [] -> none
    end.
