%% SPDX-License-Identifier: Apache-2.0
%% What a connection sees of the ports of another one: port_stats, port_info, trace, log_level. A daemon of its own on a unix
%% socket; one connection has the ports, another looks. Run from the top directory; PORTHOSTD is the daemon (default
%% build/porthostd), drivers are in drivers and tests/drivers beside it.
-module(trace_tests).
-include_lib("eunit/include/eunit.hrl").

-define(TIMEOUT, 10000).

-record(t, {daemon, owner, looker, dir}).

a_port_of_another_connection_is_seen_test_() ->
    with_daemon("seen", fun(#t{owner = O, looker = L} = T) ->
        open(T, 7, "echo_drv with words"),
        ask(O, {control, tag, 7, self(), 0, "hello"}),
        tell(O, {command, 7, self(), "four"}),
        {send, _, {port, {data, "four"}}} = next(O),
        [#{connection := C, id := 7, driver := "echo_drv", name := "echo_drv with words", state := live, busy := false,
           input := 4, output := 4, messages := 1, queue_size := 0, waiting := 0, runs := 3, worker_runs := _, run_time := Time,
           longest_run := Longest, running := none, running_time := 0}] = settled(L, fun(#{runs := N, running := Running, longest_run := Run}) -> N =:= 3 andalso Running =:= none andalso Run > 0 end),
        ?assert(Time >= Longest andalso Longest > 0),
        ?assertEqual({ok, "echo_drv with words"}, ask(L, {port_info, tag, C, 7, name})),
        ?assertMatch({ok, #{id := 7, runs := 3}}, ask(L, {port_info, tag, C, 7, stats})),
        ?assertEqual({ok, []}, ask(L, {port_stats, tag, connection}))
    end).

queue_busy_and_what_waits_are_counted_test_() ->
    with_daemon("counted", fun(#t{owner = O, looker = L} = T) ->
        open(T, 7, "delay_drv 60000"),
        tell(O, {command, 7, self(), "12345"}),
        [#{queue_size := 5}] = settled(L, fun(#{queue_size := N}) -> N > 0 end),
        tell(O, {exit, 7, self(), kill}),
        [] = settled(L, fun(_) -> false end),
        open(T, 8, "busy_probe_drv"),
        {ok, _} = ask(O, {control, tag, 8, self(), 0, "busy 1"}),
        tell(O, {command, 8, self(), "held"}),
        [#{busy := true}] = settled(L, fun(#{waiting := N}) -> N > 0 end)
    end).

slow_callbacks_are_seen_while_they_run_test_() ->
    with_daemon("running", fun(#t{owner = O, looker = L} = T) ->
        [open(T, Id, "overlap_locking_probe_drv", [{parallelism, true}]) || Id <- [7, 8]],
        tell(O, {control, tag, 7, self(), 0, "meet"}),
        Is = fun(R) -> fun(#{id := Id, running := Running}) -> Id =:= 7 andalso Running =:= R end end,
        [#{running := control, running_time := N}] = [S || #{id := 7} = S <- settled(L, Is(control))],
        ?assert(N > 0),
        tell(O, {control, tag, 8, self(), 0, "meet"}),
        [#{longest_run := Longest, runs := 2, worker_runs := 2}] = [S || #{id := 7} = S <- settled(L, Is(none))],
        ?assert(Longest >= N)
    end).

callbacks_and_output_are_traced_test_() ->
    os:unsetenv("WALL_STEPS_MS"), % of scripts/test-faults: the time of day is part of what is looked at here
    with_daemon("traced", fun(#t{owner = O, looker = L} = T) ->
        C = open(T, 7, "echo_drv"),
        {ok, true} = ask(L, {trace, tag, C, 7, true}),
        {ok, true} = ask(L, {trace, tag, C, 7, true}),
        Before = erlang:system_time(nanosecond),
        Me = self(),
        {ok, "hello"} = ask(O, {control, tag, 7, Me, 0, "hello"}),
        {enter, #{callback := control, runner := Runner, caller := Me, op := 0, size := 5, data := <<"hello">>}, At} = event(L, C, 7),
        {leave, #{callback := control, run_time := Run}, Later} = event(L, C, 7),
        ?assert(Runner =:= inline orelse Runner =:= worker), % it depends on how fast the machine is
        ?assert(Before =< At andalso At =< Later andalso Run > 0),
        Long = binary:copy(<<"x">>, 1000),
        Start = binary:part(Long, 0, 64),
        tell(O, {command, 7, Me, Long}),
        {enter, #{callback := outputv, caller := Me, size := 1000, data := Start}, _} = event(L, C, 7),
        {output, #{size := 1000, data := Start}, _} = event(L, C, 7),
        {leave, #{callback := outputv}, _} = event(L, C, 7),
        {ok, _} = ask(O, {call, tag, 7, Me, 4, term}),
        {enter, #{callback := call, op := 4, data := <<131, _/binary>>}, _} = event(L, C, 7),
        {leave, #{callback := call}, _} = event(L, C, 7),
        tell(O, {exit, 7, Me, {some, reason}}),
        {exit, #{reason := {some, reason}}, _} = event(L, C, 7),
        {enter, #{callback := stop}, _} = event(L, C, 7),
        {leave, #{callback := stop}, _} = event(L, C, 7),
        {closed, NoArgs, _} = event(L, C, 7),
        ?assertEqual(#{}, NoArgs),
        ?assertEqual({error, undefined}, ask(L, {trace, tag, C, 7, true})),
        ?assertEqual(nothing, next(L, 50))
    end).

timers_async_jobs_queues_and_descriptors_are_traced_test_() ->
    with_daemon("callbacks", fun(#t{owner = O, looker = L} = T) ->
        C = open(T, 1, "delay_drv 1"),
        open(T, 2, "crunch_drv"),
        open(T, 3, "select_probe_drv"),
        [{ok, true} = ask(L, {trace, tag, C, Id, true}) || Id <- [1, 2, 3]],
        tell(O, {command, 1, self(), "later"}),
        tell(O, {command, 2, self(), "sum"}),
        [{ok, "ok"}, {ok, "0"}] = [ask(O, {control, tag, 3, self(), 0, Action}) || Action <- ["pipe out", "select 2"]],
        Seen = [{Id, Callback} || {trace, _, Id, _, enter, #{callback := Callback}} <- until(L, fun(Es) ->
                    [] =:= [timeout, ready_async, ready_output] -- [Cb || {trace, _, _, _, enter, #{callback := Cb}} <- Es] end)],
        ?assert(lists:member({1, timeout}, Seen)),
        ?assert(lists:member({2, ready_async}, Seen)),
        ?assert(lists:member({3, ready_output}, Seen))
    end).

busy_eof_and_terms_are_traced_test_() ->
    with_daemon("others", fun(#t{owner = O, looker = L} = T) ->
        C = open(T, 7, "busy_probe_drv"),
        {ok, true} = ask(L, {trace, tag, C, 7, true}),
        {ok, _} = ask(O, {control, tag, 7, self(), 0, "busy 1"}),
        {enter, _, _} = event(L, C, 7),
        {busy, #{busy := true}, _} = event(L, C, 7),
        {leave, _, _} = event(L, C, 7),
        open(T, 8, "caller_probe_drv"),
        {ok, true} = ask(L, {trace, tag, C, 8, true}),
        {ok, _} = ask(O, {call, tag, 8, Me = self(), 0, x}),
        {enter, #{callback := call}, _} = event(L, C, 8),
        {send, #{to := Me, size := Size, term := {call, Me, Me}}, _} = event(L, C, 8),
        ?assert(Size > 0),
        {leave, _, _} = event(L, C, 8)
    end).

terms_from_threads_are_traced_test_() ->
    with_daemon("threads", fun(#t{owner = O, looker = L} = T) ->
        C = open(T, 7, "thread_probe_drv"),
        {ok, true} = ask(L, {trace, tag, C, 7, true}),
        {ok, _} = ask(O, {control, tag, 7, self(), 0, "terms_from_thread"}),
        Terms = [Term || {trace, _, _, _, send, #{term := Term}} <- until(L, fun(Es) ->
                    length([S || {trace, _, _, _, send, _} = S <- Es]) =:= 2 end)],
        ?assertMatch([{sent_from_thread, _}, output_from_thread], Terms)
    end).

a_trace_ends_when_it_is_told_to_test_() ->
    with_daemon("ends", fun(#t{owner = O, looker = L} = T) ->
        C = open(T, 7, "echo_drv"),
        {ok, true} = ask(L, {trace, tag, C, 7, true}),
        {ok, true} = ask(L, {trace, tag, C, 7, false}),
        {ok, _} = ask(O, {control, tag, 7, self(), 0, "hello"}),
        ?assertEqual(nothing, next(L, 50))
    end).

a_tracer_that_goes_leaves_the_port_alone_test_() ->
    with_daemon("goes", fun(#t{owner = O, looker = L, dir = Dir} = T) ->
        C = open(T, 7, "echo_drv"),
        {ok, true} = ask(L, {trace, tag, C, 7, true}),
        Second = connect(Dir),
        {ok, true} = ask(Second, {trace, tag, C, 7, true}),
        gen_tcp:close(Second),
        {ok, "1"} = ask(O, {control, tag, 7, self(), 0, "1"}),
        {enter, _, _} = event(L, C, 7),
        {leave, _, _} = event(L, C, 7)
    end).

a_port_that_traces_itself_test_() ->
    with_daemon("itself", fun(#t{owner = O} = T) ->
        C = open(T, 7, "echo_drv"),
        {ok, true} = ask(O, {trace, tag, C, 7, true}),
        tell(O, {close, tag, 7, self()}),
        Kinds = [element(1, E) || E <- until(O, fun(Es) -> lists:keymember(ok, 1, Es) end), element(1, E) =/= monitor],
        ?assertEqual([exit, trace, trace, trace, trace, closed, ok], Kinds)
    end).

%% It does not read: it loses events and is told how many, the port is not slowed, and the daemon keeps no more than its bound.
a_tracer_that_does_not_read_loses_events_test_() ->
    [with_daemon("loses", fun(T) -> lose_events(T, 20000) end),
     %% nor is it cut off, where that would come early
     with_daemon("loses early", "{\"limits\": {\"unsent_pause_bytes\": 65536, \"unsent_bytes\": 70000}}", fun(T) -> lose_events(T, 4000) end)].

lose_events(#t{owner = O, looker = L} = T, Times) ->
    C = open(T, 7, "echo_drv"),
    {ok, true} = ask(L, {trace, tag, C, 7, true}),
    [{ok, "x"} = ask(O, {control, tag, 7, self(), 0, "x"}) || _ <- lists:seq(1, Times)],
    tell(O, {close, tag, 7, self()}),
    {ok, true} = answer(O),
    Events = until(L, fun(Es) -> lists:keymember(closed, 5, Es) end),
    Told = length([E || {trace, _, _, _, K, _} = E <- Events, K =:= enter orelse K =:= leave]),
    Dropped = lists:sum([N || {trace, _, _, _, dropped, #{count := N}} <- Events]),
    ?assert(Dropped > 0),
    Exits = length([E || {trace, _, _, _, exit, _} = E <- Events]),
    %% control's enter and leave, exit, stop's enter and leave; each either told or counted
    ?assertEqual(2 * Times + 3, Told + Exits + Dropped).

the_level_of_the_log_can_be_changed_test_() ->
    with_daemon("log", fun(#t{owner = O, looker = L}) ->
        {ok, error} = ask(L, {log_level, tag, get}),
        {ok, error} = ask(L, {log_level, tag, debug}),
        {ok, debug} = ask(O, {log_level, tag, error}),
        {ok, error} = ask(L, {log_level, tag, get}),
        {error, badarg} = ask(L, {log_level, tag, loud}),
        {ok, error} = ask(L, {log_level, tag, get})
    end).

%% The connections.

with_daemon(Name, Fun) ->
    with_daemon(Name, "{}", Fun).

with_daemon(Name, Configuration, Fun) ->
    {Name, {timeout, 60, fun() ->
        Dir = string:trim(os:cmd("mktemp -d")),
        ok = file:write_file(Dir ++ "/c.json", Configuration),
        Program = os:getenv("PORTHOSTD", "build/porthostd"),
        Here = filename:dirname(Program),
        Daemon = open_port({spawn_executable, Program},
                           [{args, ["--stdio", "--unix", Dir ++ "/sock", "--log-level", "error", "--config", Dir ++ "/c.json",
                                    "--driver-path", filename:join(Here, "drivers") ++ ":" ++ filename:join(Here, "tests/drivers")]}]),
        try Fun(#t{daemon = Daemon, owner = connect(Dir), looker = connect(Dir), dir = Dir})
        after
            port_close(Daemon),
            os:cmd("rm -rf " ++ Dir)
        end
    end}}.

connect(Dir) -> connect(Dir, 200).

connect(Dir, N) ->
    case gen_tcp:connect({local, Dir ++ "/sock"}, 0, [binary, {packet, 4}, {active, false}]) of
        {ok, Socket} ->
            tell(Socket, {hello, 1, #{self => self()}}),
            {hello, 1, #{connection := _}} = next(Socket),
            Socket;
        {error, _} when N > 0 ->
            timer:sleep(20),
            connect(Dir, N - 1)
    end.

tell(Socket, Request) ->
    ok = gen_tcp:send(Socket, term_to_binary(Request)).

next(Socket) ->
    {_, _} = {next, Term} = {next, next(Socket, ?TIMEOUT)},
    ?assertNotEqual(nothing, Term),
    Term.

next(Socket, Ms) ->
    case gen_tcp:recv(Socket, 0, Ms) of
        {ok, Frame} -> binary_to_term(Frame);
        {error, timeout} -> nothing
    end.

%% The frames up to the one with which it is enough.
until(Socket, Enough) -> until(Socket, Enough, []).

until(Socket, Enough, Seen) ->
    case Enough(Seen) of
        true -> lists:reverse(Seen);
        false -> until(Socket, Enough, [next(Socket) | Seen])
    end.

ask(Socket, Request) ->
    tell(Socket, Request),
    answer(Socket).

answer(Socket) ->
    case next(Socket) of
        {ok, tag, Value} -> {ok, Value};
        {error, tag, Reason} -> {error, Reason};
        _ -> answer(Socket)
    end.

%% The number of the port's connection.
open(T, Id, Command) -> open(T, Id, Command, []).

open(#t{owner = O}, Id, Command, Options) ->
    Name = hd(string:lexemes(Command, " ")),
    {ok, _} = ask(O, {load, tag, self(), make_ref(), [], Name, []}),
    {ok, _} = ask(O, {open, tag, Id, port, self(), Command, Options}),
    {ok, [#{connection := C} | _]} = ask(O, {ports, tag, connection}),
    C.

event(Socket, Connection, Id) ->
    {trace, Connection, Id, Time, Event, Args} = next(Socket),
    {Event, Args, Time}.

%% port_stats of all as soon as the only port is so, or is gone.
settled(Socket, Is) -> settled(Socket, Is, 200).

settled(Socket, Is, N) ->
    {ok, Stats} = ask(Socket, {port_stats, tag, all}),
    case Stats =:= [] orelse lists:any(Is, Stats) of
        true -> Stats;
        false when N > 0 -> timer:sleep(10), settled(Socket, Is, N - 1)
    end.
