%% SPDX-License-Identifier: Apache-2.0
%% What is made of the results: tables for people, JSON, data for gnuplot.
-module(bench_report).

-export([text/3, json/3, plot_data/2]).

%% Tables.

text(Meta, Results, Targets) ->
    [head(Meta, Results), [table(Section, Caller, Results) || {Section, Caller} <- groups(Results)], target_table(Targets)].

head(#{rounds := Rounds, seconds := Seconds, cores := Cores, processor := Processor, kernel := Kernel, erts := Erts}, Results) ->
    io_lib:format("~n~ts, ~p processors, ~ts, ERTS ~ts; ~p rounds, ~p seconds.~n"
                  "Each figure is the median of the rounds' values, with half the distance from the least to the greatest:~n"
                  "one from each round, or several if a target depends on it (~p in all, at most).~n",
                  [Processor, Cores, Kernel, Erts, Rounds, Seconds, lists:max([length(V) || #{values := V} <- Results])]).

groups(Results) -> unique([{S, C} || #{section := S, caller := C} <- Results]).

unique(List) -> unique(List, #{}).

unique([], _) -> [];
unique([H | T], Seen) when is_map_key(H, Seen) -> unique(T, Seen);
unique([H | T], Seen) -> [H | unique(T, Seen#{H => true})].

%% A row for each contender and metric, a column for each parameter.
table(Section, Caller, Results) ->
    Rows = bench_result:select(Results, #{section => Section, caller => Caller}),
    Params = unique([P || #{param := P} <- Rows]),
    Names = unique([{N, M} || #{contender := N, metric := M} <- Rows]),
    Metrics = unique([M || {_, M} <- Names]),
    Lines = [[label(N, M, Several) | [cell(N, M, P, Rows) || P <- Params]]
             || N <- unique([N || {N, _} <- Names]), Several <- [length(Metrics) > 1], {N1, M} <- Names, N1 =:= N],
    layout([Section, " (", Caller, ")"], [["" | Params] | Lines]).

label(_, Metric, _) when Metric =:= p99; Metric =:= p999 -> ["  ", metric(Metric)];
label(Name, _, false) -> Name;
label(Name, Metric, true) -> [Name, ", ", metric(Metric)].

metric(p999) -> "p99.9";
metric(cpu) -> "us/s";
metric(bytes_per_second) -> "B/s";
metric(Metric) -> atom_to_list(Metric).

cell(Name, Metric, Param, Rows) ->
    case bench_result:select(Rows, #{contender => Name, metric => Metric, param => Param}) of
        [R] -> figure(Metric, R);
        [] -> "-"
    end.

figure(Metric, #{median := Median, min := Min, max := Max, values := [_, _ | _]}) when Median > 0 ->
    io_lib:format("~ts ~3w%", [number(Metric, Median), round((Max - Min) / 2 / Median * 100)]);
figure(Metric, #{median := Median}) ->
    [number(Metric, Median), "     "].

number(rate, N) -> rate(N, "/s");
number(bytes_per_second, N) -> rate(N, "B/s");
number(bytes, N) -> [digits(N), " B"];
number(Metric, N) when Metric =:= p50; Metric =:= p99; Metric =:= p999; Metric =:= open; Metric =:= close; Metric =:= first ->
    time(N);
number(_, N) -> digits(N).

rate(N, Unit) when N >= 1.0e9 -> [digits(N / 1.0e9), "G", Unit];
rate(N, Unit) when N >= 1.0e6 -> [digits(N / 1.0e6), "M", Unit];
rate(N, Unit) when N >= 1.0e3 -> [digits(N / 1.0e3), "k", Unit];
rate(N, Unit) -> [digits(N), Unit].

time(N) when N >= 1.0e4 -> [digits(N / 1.0e3), " ms"];
time(N) -> [digits(N), " us"].

%% Three of them that count.
digits(N) when abs(N) >= 100 -> integer_to_list(round(N));
digits(N) when abs(N) >= 10 -> float_to_list(float(N), [{decimals, 1}]);
digits(N) when abs(N) >= 0.1; N == 0 -> float_to_list(float(N), [{decimals, 2}]);
digits(N) -> float_to_list(float(N), [{decimals, 3}]).

%% The first column to the left, the others to the right.
layout(Title, Lines) ->
    Flat = [[unicode:characters_to_list(Cell) || Cell <- Line] || Line <- Lines],
    Widths = [lists:max([length(lists:nth(I, Line)) || Line <- Flat]) || I <- lists:seq(1, length(hd(Flat)))],
    ["\n", Title, "\n", [line(Line, Widths) || Line <- Flat]].

line([First | Rest], [Width | Widths]) ->
    ["  ", string:pad(First, Width), [["  ", string:pad(Cell, W, leading)] || {Cell, W} <- lists:zip(Rest, Widths)], "\n"].

target_table(Targets) ->
    Lines = [[maps:get(name, T), measured(T), target(T), verdict(T)] || T <- Targets],
    Met = length([T || #{met := true} = T <- Targets]),
    Floors = length([T || #{relation := floor} = T <- Targets]),
    [layout("Targets", [["", "measured", "target", ""] | Lines]),
     io_lib:format("~n~p of ~p targets met in this run.~n", [Met, length(Targets) - Floors])].

measured(#{measured := none}) -> "-";
measured(#{measured := N}) -> digits(N).

target(#{relation := floor}) -> "";
target(#{relation := le, target := T}) -> ["at most ", digits(T)];
target(#{relation := ge, target := T}) -> ["at least ", digits(T)].

verdict(#{met := true}) -> "met";
verdict(#{met := false}) -> "missed";
verdict(#{met := floor}) -> "floor";
verdict(#{met := not_measured}) -> "not measured".

%% JSON.

json(Meta, Results, Targets) ->
    [value(#{run => Meta, results => Results, targets => [T#{name := iolist_to_binary(Name)} || #{name := Name} = T <- Targets]}), $\n].

value(Map) when is_map(Map) ->
    [${, lists:join($,, [[quoted(atom_to_binary(K)), $:, value(V)] || {K, V} <- lists:sort(maps:to_list(Map))]), $}];
value(List) when is_list(List) -> [$[, lists:join(",\n", [value(V) || V <- List]), $]];
value(none) -> "null";
value(Bool) when is_boolean(Bool) -> atom_to_list(Bool);
value(Atom) when is_atom(Atom) -> quoted(atom_to_binary(Atom));
value(Text) when is_binary(Text) -> quoted(Text);
value(N) when is_integer(N) -> integer_to_list(N);
value(N) when is_float(N) -> float_to_list(N, [{decimals, 4}, compact]).

quoted(Text) -> [$", [escape(C) || <<C>> <= Text], $"].

escape(C) when C =:= $"; C =:= $\\ -> [$\\, C];
escape(C) when C < 32 -> io_lib:format("\\u~4.16.0b", [C]);
escape(C) -> C.

%% gnuplot: one file for each panel, an index (blocks apart by two empty lines) for each contender.

plot_data(Scratch, Results) ->
    [ok = file:write_file(filename:join(Scratch, File), blocks(Results, Section, Caller, Metric))
     || {File, Section, Caller, Metric} <- [{"trip-erlang", <<"command round trip">>, <<"Erlang">>, p50},
                                            {"trip-c", <<"command round trip">>, <<"C">>, p50},
                                            {"pipe-erlang", <<"pipelined commands, 64 B">>, <<"Erlang">>, rate},
                                            {"pipe-c", <<"pipelined commands, 64 B">>, <<"C">>, rate}]],
    ok.

blocks(Results, Section, Caller, Metric) ->
    Rows = bench_result:select(Results, #{section => Section, caller => Caller, metric => Metric}),
    [[[$", Name, "\"\n"],
      [io_lib:format("~w ~w ~w ~w~n", [position(P), Median, Min, Max])
       || #{contender := N, param := P, median := Median, min := Min, max := Max} <- Rows, N =:= Name],
      "\n\n"]
     || Name <- unique([N || #{contender := N} <- Rows])].

position(Param) ->
    case lists:keyfind(Param, 1, bench_erlang:sizes()) of
        {_, Size} -> Size;
        false -> binary_to_integer(Param)
    end.
