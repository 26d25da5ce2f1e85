%% SPDX-License-Identifier: Apache-2.0
%% What can be counted: see the script `counts'. Once is enough.
-module(bench_counts).

-export([items/1]).

items(Env) ->
    [#{section => <<"counts for each message of 64 B">>, caller => <<"C">>, contender => Name, param => <<"stdio">>, rounds => 1,
       run => fun() -> counts(Env, Work) end}
     || {Name, Work} <- [{<<"control">>, "control"}, {<<"command">>, "command"}, {<<"command, 64 under way">>, "pipelined"}]].

counts(#{build := Build}, Work) ->
    Script = filename:join(["tests", "bench", "counts"]),
    lines(open_port({spawn_executable, Script}, [{args, [Build, Work]}, exit_status, {line, 200}]), []).

lines(Port, Acc) ->
    receive
        {Port, {data, {eol, Line}}} ->
            [_, Metric, Value] = string:lexemes(Line, " "),
            lines(Port, [{list_to_atom(Metric), list_to_float(Value)} | Acc]);
        {Port, {exit_status, 0}} -> lists:reverse(Acc);
        {Port, {exit_status, Status}} -> error({counts, Status})
    end.
