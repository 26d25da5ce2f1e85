%% SPDX-License-Identifier: Apache-2.0
%% Loads that are clients in processes of the system: the cases of the soak program, each answer verified there, and clients that are killed in the middle of
%% their work. A round returns how many units were done and verified. For mixed_run.
-module(mixed_clients).
-export([cases/1, killed/1, killed_node/1]).
-export([work/1]). % run in the node that is killed

-define(ROWS, 200).

%% {case, units}: small enough that each is done in a part of a second.
-define(CASES, [{"callers", 20000}, {"reopen", 2000}, {"timers", 100000}, {"monitors", 4000}, {"selected", 4000}, {"bytes", 2000}, {"ports", 512},
                {"connections", 30}, {"atoms", 2000}]).

cases(#{daemon := #{socket := Socket}}) ->
    {Case, Count} = one_of(?CASES),
    Port = program(Case, Socket, Count),
    #{"done" := Done, "lost" := 0} = measured(Port, #{}),
    Done.

one_of(List) ->
    lists:nth(rand:uniform(length(List)), List).

program(Case, Socket, Count) ->
    Program = filename:join([filename:dirname(filename:absname(os:getenv("PORTHOSTD", "build/porthostd"))), "tests", "soak", "soak"]),
    Args = [Case, "unix=" ++ Socket, "count=" ++ integer_to_list(Count), "seconds=60", "wide=50"],
    open_port({spawn_executable, Program}, [{args, Args}, exit_status, stderr_to_stdout, {line, 1000}]).

measured(Port, Measured) ->
    receive
        {Port, {data, {_, Line}}} ->
            case string:lexemes(Line, " ") of
                [Name, Value] -> measured(Port, Measured#{Name => list_to_integer(Value)});
                _ -> error({soak_program, Line})
            end;
        {Port, {exit_status, 0}} -> Measured;
        {Port, {exit_status, Status}} -> error({soak_program, Status, Measured})
    end.

%% It would go on for a minute. Nothing is verified but that it was still at work.
killed(#{daemon := #{socket := Socket}}) ->
    Port = program(one_of(["callers", "reopen", "selected", "monitors", "slow_reader", "flood", "bytes"]), Socket, 1000000000),
    {os_pid, Pid} = erlang:port_info(Port, os_pid),
    timer:sleep(100 + rand:uniform(300)),
    kill(Pid),
    receive {Port, {exit_status, Status}} -> 128 + 9 = Status end,
    1.

kill(Pid) ->
    [] = os:cmd("kill -KILL " ++ integer_to_list(Pid)).

%% An Erlang node with a database in use, in a transaction, and with commands under way. Not with an insert under way: the driver of p1_sqlite3 goes on with a database
%% that it has closed, and in the VM, too, that is the end of all.
killed_node(#{daemon := #{socket := Socket}}) ->
    process_flag(trap_exit, true),
    {ok, Peer, _} = peer:start_link(#{connection => standard_io, args => ["-kernel", "logger_level", "none", "-pa" | code:get_path()]}),
    Pid = list_to_integer(peer:call(Peer, os, getpid, [])),
    Rows = peer:call(Peer, ?MODULE, work, [Socket], 20000),
    kill(Pid),
    receive {'EXIT', Peer, _} -> Rows end.

work(Socket) ->
    Self = self(),
    Worker = spawn(fun() -> insert(Socket, Self) end),
    Ref = monitor(process, Worker),
    receive {Worker, Rows} -> Rows; {'DOWN', Ref, process, _, Why} -> error(Why) after 15000 -> error(timeout) end.

insert(Socket, Parent) ->
    {ok, _} = porthost:start_link(#{transport => {unix, Socket}, name => porthost}),
    ok = porthost:adopt(sqlite3),
    {ok, Db} = sqlite3:open(killed_db, [in_memory]),
    ok = sqlite3:sql_exec(Db, "create table t (id integer primary key, name text)"),
    ok = sqlite3:sql_exec(Db, "begin"),
    insert(Db, 1, Parent).

insert(Db, N, Parent) ->
    {rowid, N} = sqlite3:sql_exec(Db, "insert into t (name) values (?)", ["a name"]),
    if
        N < ?ROWS -> insert(Db, N + 1, Parent);
        true ->
            P = porthost:open_port({spawn_driver, "echo_drv"}, [binary]),
            Parent ! {self(), N},
            echo(P)
    end.

echo(P) ->
    porthost:port_command(P, <<"until it is killed">>),
    echo(P).
