%% SPDX-License-Identifier: Apache-2.0
%% The soak cases: what each does, how much of it in the long run (main/0, for scripts/soak) and in the short one (tests/e2e/soak_tests.erl), and what counts
%% as good. Each case has a daemon of its own. Run from the top directory; raw_client says which daemon.
-module(soak_run).
-export([main/0, short/0, run/3, verdict/2, cost/1]).

-define(MIB, 1048576).

-record(soak, {name, what, long, short,
               slack = 2,   % MiB that memory may grow after the first tenth
               how = program, % or a function of count and seconds that returns what the program prints
               more = []}). % arguments

%% The slack of those whose tenth may come before all that may wait is waiting: what the daemon reads of one connection before it
%% stops (16 MiB), what it has unsent (8 MiB), a few frames.
cases() ->
    [#soak{name = "slow_reader", what = "64 KiB messages, slow reader", long = 100000, short = 1000, slack = 12},
     #soak{name = "flood", what = "commands, busy ignored", long = 200000, short = 3000, slack = 24},
     #soak{name = "busy", what = "commands, busy honoured", long = 200000, short = 3000, slack = 8, how = fun soak_busy:run/2},
     #soak{name = "callers", what = "different callers", long = 10000000, short = 500000},
     #soak{name = "reopen", what = "opened and closed", long = 1000000, short = 100000},
     #soak{name = "reopen", what = "the same, a lock each", long = 1000000, short = 50000, more = ["driver=soak_locking_probe_drv"]},
     #soak{name = "timers", what = "timers set, cancelled", long = 10000000, short = 1000000},
     #soak{name = "atoms", what = "atoms by a driver", long = 100000, short = 20000},
     #soak{name = "atom_limit", what = "atoms beyond the limit", long = 1000000, short = 10000},
     #soak{name = "monitors", what = "processes monitored", long = 1000000, short = 100000},
     #soak{name = "large", what = "64 MiB frames", long = 200, short = 4, slack = 256},
     #soak{name = "bytes", what = "bytes, one at a time", long = 10000000, short = 200000},
     #soak{name = "ports", what = "ports open at a time", long = 100000, short = 5000, slack = 16},
     #soak{name = "connections", what = "connections at a time", long = 10000, short = 500, slack = 16},
     #soak{name = "selected", what = "inputs of 1,000 descriptors", long = 1000000, short = 10000, more = ["wide=1000"]},
     #soak{name = "order", what = "requests at random", long = 1000000, short = 60000, slack = 24, how = fun soak_order:run/2}].

short() ->
    [{C#soak.what, C} || C <- cases()].

main() ->
    Seconds = list_to_integer(os:getenv("SOAK_SECONDS", "15")),
    io:format("at most ~b s each~n~-28s ~10s ~10s ~10s ~10s ~10s ~5s  ~s~n", [Seconds, "", "of", "done", "start", "a tenth", "end", "lost", ""]),
    Results = [begin R = run(C, C#soak.long, Seconds), row(C, R), verdict(C, R) end || C <- cases()],
    {Few, Many} = {cost(10), cost(100000)},
    Cost = case Many =< 1.25 * Few of true -> ok; false -> "DEARER" end,
    io:format("~nA round trip to one of 10 ports takes ~b instructions, to one of 100,000 ~b  ~s~n", [round(Few), round(Many), text(Cost)]),
    halt(length([bad || V <- [Cost | Results], V =/= ok])).

row(#soak{what = What, long = Long} = C, #{done := Done, start := A, tenth := B, 'end' := E, lost := Lost} = R) ->
    Notes = [", time was up" || Done < Long] ++ [[", seed ", integer_to_list(Seed)] || #{seed := Seed} <- [R]],
    io:format("~-28s ~10b ~10b ~10s ~10s ~10s ~5b  ~s~s~n", [What, Long, Done, mib(A), mib(B), mib(E), Lost, text(verdict(C, R)), Notes]);
row(#soak{what = What} = C, R) ->
    io:format("~-28s ~s~n", [What, text(verdict(C, R))]).

mib(Bytes) ->
    io_lib:format("~.1f MiB", [Bytes / ?MIB]).

text(ok) -> "good";
text(Bad) -> Bad.

%% ok, or what is wrong.
verdict(_, #{failed := Text}) -> "FAILED: " ++ Text;
verdict(_, #{status := Status}) when Status =/= 0 -> lists:flatten(io_lib:format("THE DAEMON ENDED: ~p", [Status]));
verdict(_, #{lost := Lost}) when Lost > 0 -> "LOST";
verdict(#soak{slack = Slack}, #{tenth := Tenth, 'end' := End}) ->
    case End - Tenth > Slack * ?MIB andalso not sanitizer() of
        true -> "GROWS";
        false -> ok
    end.

%% Memory is the sanitizer's then, which keeps what is freed for a while.
sanitizer() ->
    string:find(filename:basename(filename:dirname(daemon())), "build-") =/= nomatch.

daemon() ->
    filename:absname(os:getenv("PORTHOSTD", "build/porthostd")).

%% So much of a case, or as much as can be done in the time: a map of what was measured. Count: long, short, or a number.
run(C, short, Seconds) ->
    run(C, C#soak.short, Seconds);
run(#soak{how = program} = C, Count, Seconds) ->
    with_daemon(C, fun(D) ->
        Args = [C#soak.name, "unix=" ++ maps:get(socket, D), "count=" ++ integer_to_list(Count), "seconds=" ++ integer_to_list(Seconds)],
        program(Args ++ C#soak.more)
    end);
run(#soak{how = How} = C, Count, Seconds) ->
    with_daemon(C, fun(D) -> How(D, #{count => Count, seconds => Seconds}) end).

with_daemon(C, Fun) ->
    D = raw_client:start(),
    Result = try Fun(D) catch Class:Why:Stack -> #{failed => lists:flatten(io_lib:format("~0p", [{Class, Why, Stack}]))} end,
    Log = case C#soak.name of
              "atom_limit" -> atom_limit_log(raw_client:log(D));
              _ -> #{}
          end,
    maps:merge(Result#{status => raw_client:stop(D)}, Log).

%% The daemon says it once.
atom_limit_log(Log) ->
    case re:run(Log, "1000000 atoms: no more are made", [global]) of
        {match, [_]} -> #{};
        _ -> #{failed => "the log does not say once that there are too many atoms: " ++ binary_to_list(Log)}
    end.

program(Args) ->
    Soak = filename:join([filename:dirname(daemon()), "tests", "soak", "soak"]),
    Port = open_port({spawn_executable, Soak}, [{args, Args}, exit_status, stderr_to_stdout, {line, 1000}]),
    case output(Port, []) of
        {0, Lines} -> maps:from_list([measured(L) || L <- Lines]);
        {Status, Lines} -> #{failed => lists:flatten(io_lib:format("~s; status ~b", [lists:join("; ", Lines), Status]))}
    end.

measured(Line) ->
    [Name, Value] = string:lexemes(Line, " "),
    {list_to_atom(Name), list_to_integer(Value)}.

output(Port, Lines) ->
    receive
        {Port, {data, {_, Line}}} -> output(Port, [Line | Lines]);
        {Port, {exit_status, Status}} -> {Status, lists:reverse(Lines)}
    end.

%% Instructions for a round trip to one of so many open ports: what a run with many has more than one with few, so that opening falls out.
cost(Ports) ->
    {Few, Many} = {1000, 11000},
    (instructions(Ports, Many) - instructions(Ports, Few)) / (Many - Few).

instructions(Ports, Trips) ->
    Out = filename:join(os:getenv("TMPDIR", "/tmp"), lists:concat(["porthost-soak-", os:getpid(), "-", erlang:unique_integer([positive])])),
    Run = ["run=valgrind -q --tool=callgrind --callgrind-out-file=", Out, " ", daemon(), " --stdio --log-level error --busy-poll-us 0 --driver-path ",
           filename:join([filename:dirname(daemon()), "tests", "drivers"])],
    #{lost := 0} = program(["spread", "count=" ++ integer_to_list(Trips), "wide=" ++ integer_to_list(Ports), "seconds=60", lists:flatten(Run)]),
    {ok, Text} = file:read_file(Out),
    ok = file:delete(Out),
    {match, [N]} = re:run(Text, "^(?:totals|summary): (\\d+)", [multiline, {capture, all_but_first, list}]),
    list_to_integer(N).
