#!/usr/bin/env escript
%% -*- erlang -*-
%%! -noinput -kernel logger_level none
%% SPDX-License-Identifier: Apache-2.0
%% The nodes of scripts/demo, which starts them in the top directory:
%%   demo.escript BUILD DIR alone               the jobs in the VM, then hosted, then with a crash
%%   demo.escript BUILD DIR shared unix PATH    the job in a daemon that another node uses too
%%   demo.escript BUILD DIR shared tcp PORT COOKIE-FILE
%% DIR is for databases and the daemon's log. Whatever is found wrong ends the node with status 1.
-module(demo).
-mode(compile).
-behaviour(supervisor).
-export([main/1, init/1]).

-define(ROWS, 10000).
-define(BATCH, 1000).       % rows in a transaction
-define(LOOKUPS, 2000).
-define(CRASHED, {porthost, {host_down, {signal, 11}}}).
-define(PATIENCE, 30000).

main([Build, Dir | What]) ->
    process_flag(trap_exit, true),
    ok = io:setopts([{encoding, unicode}]),
    true = code:add_patha(filename:join(Build, "erlang/porthost/ebin")),
    {ok, _} = application:ensure_all_started(porthost),
    try
        demo(What, Build, Dir)
    catch
        throw:{wrong, Text} ->
            line("~ts ✗", [Text]),
            halt(1);
        Class:Reason:Stack ->
            line("~0p: ~0p ✗", [Class, Reason]),
            io:format(standard_error, "~p~n", [Stack]),
            halt(1)
    end.

demo(["alone"], Build, Dir) ->
    title("1. The jobs inside the VM, to compare with", []),
    InVm = sqlite_job("", database(Dir, "in_vm"), fun driver_is_in_node/0),
    Tokens = scan_job(),
    Sup = start_host(Build),
    adopt_sqlite(Dir, InVm),
    adopt_scanner(Tokens),
    crash(Sup, Dir),
    again(Dir);
demo(["shared", "unix", Path], _, Dir) ->
    shared("unix", #{transport => {unix, Path}}, Dir);
demo(["shared", "tcp", Port, Cookie], _, Dir) ->
    shared("tcp", #{transport => {tcp, {127, 0, 0, 1}, list_to_integer(Port)}, cookie => {file, Cookie}}, Dir).

database(Dir, Name) -> filename:join(Dir, Name ++ ".db").

%% Printing and checking.

title(Format, Args) -> io:format("~n" ++ Format ++ "~n", Args).

line(Format, Args) -> io:format("   " ++ Format ++ "~n", Args).

done(Format, Args) -> line(Format ++ " ✓", Args).

check(true, _, _) -> ok;
check(false, Format, Args) -> throw({wrong, io_lib:format(Format, Args)}).

number(N) when N < 1000 -> integer_to_list(N);
number(N) -> io_lib:format("~ts,~3..0b", [number(N div 1000), N rem 1000]).

seconds(Microseconds) -> io_lib:format("~.2f s", [Microseconds / 1.0e6]).

timed(Fun) ->
    Start = erlang:monotonic_time(microsecond),
    Result = Fun(),
    {max(1, erlang:monotonic_time(microsecond) - Start), Result}.

%% Links of a job's ports and servers are its own. What it throws is thrown here.
in_own_process(Fun) ->
    Call = fun() -> exit(try {done, Fun()} catch throw:Thrown -> {thrown, Thrown} end) end,
    {Pid, Monitor} = spawn_monitor(Call),
    receive
        {'DOWN', Monitor, process, Pid, {done, Result}} -> Result;
        {'DOWN', Monitor, process, Pid, {thrown, Thrown}} -> throw(Thrown);
        {'DOWN', Monitor, process, Pid, Why} -> error({job, Why})
    end.

until(Condition, What) -> until(Condition, What, ?PATIENCE div 10).

until(_, What, 0) ->
    throw({wrong, What});
until(Condition, What, N) ->
    Condition() orelse begin timer:sleep(10), until(Condition, What, N - 1) end.

%% The job with SQLite. It does not know where the driver is.

sqlite_job(Who, File, While) ->
    in_own_process(fun() ->
        {ok, Db} = sqlite3:open(demo_db, [{file, File}]),
        While(),
        create_table(Db),
        Insert = timed(fun() -> insert(Db, 1, ?ROWS) end),
        check(total(Db) =:= expected_total(), "~tsthe table has other rows", [Who]),
        InsertRate = report(Who, ?ROWS, "rows inserted one by one", Insert),
        Lookup = timed(fun() -> lookups(Db, ?LOOKUPS) end),
        LookupRate = report(Who, ?LOOKUPS, "rows looked up one by one", Lookup),
        {_, Rows} = All = timed(fun() -> rows(Db, "select id, name, price from item order by id", []) end),
        check(Rows =:= [row(Id) || Id <- lists:seq(1, ?ROWS)], "~tsnot the rows that were inserted", [Who]),
        AllRate = report(Who, ?ROWS, "rows in one answer", All),
        ok = sqlite3:close(Db),
        [InsertRate, LookupRate, AllRate]
    end).

create_table(Db) ->
    ok = sqlite3:sql_exec(Db, "create table item (id integer primary key, name text not null, price real not null)").

insert(_, From, To) when From > To -> ok;
insert(Db, From, To) ->
    insert_batch(Db, From),
    insert(Db, From + ?BATCH, To).

insert_batch(Db, From) ->
    ok = sqlite3:sql_exec(Db, "begin"),
    [{rowid, Id} = sqlite3:sql_exec(Db, "insert into item values (?, ?, ?)", tuple_to_list(row(Id)))
     || Id <- lists:seq(From, From + ?BATCH - 1)],
    ok = sqlite3:sql_exec(Db, "commit").

row(Id) -> {Id, <<"item ", (integer_to_binary(Id))/binary>>, price(Id)}.

price(Id) -> (Id * 7919 rem 10007) / 4.    % exact in binary, so that sums are exact too

expected_total() -> {?ROWS, lists:sum([price(Id) || Id <- lists:seq(1, ?ROWS)])}.

total(Db) ->
    [Total] = rows(Db, "select count(*), sum(price) from item", []),
    Total.

lookups(Db, N) ->
    [begin
         Id = 1 + I * 3571 rem ?ROWS,
         Found = rows(Db, "select id, name, price from item where id = ?", [Id]),
         check(Found =:= [row(Id)], "row ~b is ~0p", [Id, Found])
     end || I <- lists:seq(1, N)].

rows(Db, Sql, Params) ->
    Answer = sqlite3:sql_exec(Db, Sql, Params),
    {rows, Rows} = lists:keyfind(rows, 1, Answer),
    Rows.

report(Who, Count, What, {Time, _}) ->
    Rate = Count * 1000000 div Time,
    done("~ts~ts ~ts in ~ts, ~ts per second", [Who, number(Count), What, seconds(Time), number(Rate)]),
    Rate.

%% The job with the scanner: what a gateway sends to its controller (RFC 3525, text encoding).

message() ->
    <<"MEGACO/1 [192.0.2.17]:2944\n"
      "Transaction = 4711 {\n"
      "    Context = - {\n"
      "        ServiceChange = ROOT {\n"
      "            Services { Method = Restart, Reason = \"901 Cold Boot\" }\n"
      "        }\n"
      "    },\n"
      "    Context = 12 {\n"
      "        Notify = line/7 {\n"
      "            ObservedEvents = 81 {\n"
      "                20261103T14071530:al/of,\n"
      "                20261103T14071911:dd/ce { ds=\"0301234567\", Meth=UM }\n"
      "            }\n"
      "        }\n"
      "    },\n"
      "    Context = $ {\n"
      "        Add = line/7,\n"
      "        Add = $ {\n"
      "            Media {\n"
      "                LocalControl { Mode = SendReceive, nt/jit=40 },\n"
      "                Local {\nv=0\nc=IN IP4 $\nm=audio $ RTP/AVP 8\na=ptime:20\n}\n"
      "            },\n"
      "            Events = 82 { al/on, g/cause },\n"
      "            Signals { cg/rt }\n"
      "        }\n"
      "    }\n"
      "}\n">>.

scan_job() ->
    in_own_process(fun() ->
        {ok, Scanner} = megaco_flex_scanner:start(),
        {ok, Tokens, 1, _Line} = Result = megaco_flex_scanner:scan(message(), Scanner),
        stopped = megaco_flex_scanner:stop(Scanner),
        done("megaco_flex_scanner has scanned a message of ~b bytes: ~b tokens", [byte_size(message()), length(Tokens)]),
        Result
    end).

%% Whose memory holds the driver.

mapped(OsPid) ->
    {ok, Maps} = file:read_file(["/proc/", OsPid, "/maps"]),
    binary:match(Maps, <<"/sqlite3_drv.so">>) =/= nomatch.

driver_is_in_node() ->
    Node = os:getpid(),
    check(mapped(Node), "sqlite3_drv.so is not in the node's memory", []),
    done("sqlite3_drv.so is loaded into the node, process ~ts", [Node]).

driver_is_in_host() ->
    Node = os:getpid(),
    Host = integer_to_list(host_pid()),
    check(mapped(Host), "sqlite3_drv.so is not in the daemon's memory", []),
    check(not mapped(Node), "sqlite3_drv.so is in the node's memory", []),
    done("sqlite3_drv.so is loaded into the daemon, process ~ts, not into the node, process ~ts", [Host, Node]).

%% The host, under a supervisor as in any application.

start_host(Build) ->
    title("2. SQLite, moved out of the VM", []),
    Command = filename:join(Build, "porthostd") ++ " --stdio",
    line("porthost:start_link(#{name => porthost, transport => {spawn, ~0p}})", [Command]),
    case supervisor:start_link(?MODULE, Command) of
        {ok, Sup} ->
            done("the host runs under a supervisor of this node, process ~b", [host_pid()]),
            Sup;
        {error, {shutdown, {failed_to_start_child, _, Why}}} ->
            throw({wrong, io_lib:format("the host does not start: ~0p", [Why])})
    end.

init(Command) ->
    Host = porthost:child_spec(#{name => porthost, transport => {spawn, Command}}),
    {ok, {#{strategy => one_for_one}, [Host]}}.

host_pid() ->
    [OsPid] = [Pid || Port <- erlang:ports(), {name, Name} <- [erlang:port_info(Port, name)],
                      string:find(Name, "porthostd --stdio") =/= nomatch,
                      {os_pid, Pid} <- [erlang:port_info(Port, os_pid)]],
    OsPid.

adopt(Module) ->
    ok = porthost:adopt(Module),
    done("porthost:adopt(~p)", [Module]).

adopt_sqlite(Dir, InVm) ->
    adopt(sqlite3),
    File = database(Dir, "hosted"),
    Rates = sqlite_job("", File, fun driver_is_in_host/0),
    Ratios = [Hosted / Native || {Hosted, Native} <- lists:zip(Rates, InVm)],
    line("these rates / those inside the VM: inserts ~.2f, lookups ~.2f, one large answer ~.2f", Ratios),
    show_rows(File).

%% The five dearest, as a user would ask for them.
show_rows(File) ->
    Sql = "select id, name, price from item order by price desc limit 5",
    Rows = in_own_process(fun() ->
        {ok, Db} = sqlite3:open(demo_db, [{file, File}]),
        Found = rows(Db, Sql, []),
        ok = sqlite3:close(Db),
        Found
    end),
    line("~ts", [Sql]),
    [line("   ~6b  ~-10ts ~8.2f", [Id, Name, Price]) || {Id, Name, Price} <- Rows],
    Sorted = lists:sort(fun({_, _, A}, {_, _, B}) -> A >= B end, [row(Id) || Id <- lists:seq(1, ?ROWS)]),
    check(Rows =:= lists:sublist(Sorted, 5), "these are the wrong rows", []),
    done("these are the rows that were asked for", []).

adopt_scanner(InVm) ->
    title("3. OTP's Megaco scanner, moved likewise", []),
    adopt(megaco_flex_scanner),
    {ok, Tokens, Version, Line} = Hosted = scan_job(),
    [line("   ~0p", [Token]) || Token <- lists:sublist(Tokens, 6)],
    line("   and so on; Megaco version ~b, ~b lines", [Version, Line]),
    check(Hosted =:= InVm, "the VM has given other tokens", []),
    done("the same tokens as the VM has given", []).

%% The crash.

crash(Sup, Dir) ->
    title("4. The daemon crashes in the middle of the work", []),
    File = database(Dir, "crash"),
    Old = whereis(porthost),
    OsPid = host_pid(),
    Scanner = start_scanner(),
    Worker = start_inserting(File),
    Committed = committed(Worker, 3 * ?BATCH),
    Ports = [{Port, porthost:port_info(Port, name)} || Port <- porthost:ports(porthost)],
    Monitors = maps:from_list([{monitor(process, Port), Name} || {Port, {name, Name}} <- Ports]),
    line("~b hosted ports are open, ~ts rows are committed", [length(Ports), number(Committed)]),
    line("$ kill -SEGV ~b", [OsPid]),
    [] = os:cmd("kill -SEGV " ++ integer_to_list(OsPid)),
    [port_down(Monitor, Name) || {Monitor, Name} <- maps:to_list(Monitors)],
    job_down(Worker, "the process that was inserting"),
    job_down(Scanner, "the process that had the scanner"),
    crash_line(Dir),
    until(fun() -> new_host(Sup, Old) end, "no new host is started"),
    done("the node, process ~ts, goes on; its supervisor has started a new host, process ~b", [os:getpid(), host_pid()]),
    what_is_left(File, Committed).

start_scanner() ->
    Self = self(),
    Job = spawn_monitor(fun() ->
        {ok, _} = megaco_flex_scanner:start(),
        Self ! scanner_started,
        receive after infinity -> ok end
    end),
    receive scanner_started -> Job after ?PATIENCE -> throw({wrong, "the scanner does not start"}) end.

%% Inserts until it dies, and tells how far it is.
start_inserting(File) ->
    Self = self(),
    spawn_monitor(fun() ->
        {ok, Db} = sqlite3:open(demo_db, [{file, File}]),
        create_table(Db),
        insert_and_tell(Self, Db, 1)
    end).

insert_and_tell(To, Db, From) ->
    insert_batch(Db, From),
    To ! {committed, self(), From + ?BATCH - 1},
    insert_and_tell(To, Db, From + ?BATCH).

committed({Pid, Monitor} = Worker, Enough) ->
    receive
        {committed, Pid, N} when N >= Enough -> N;
        {committed, Pid, _} -> committed(Worker, Enough);
        {'DOWN', Monitor, process, Pid, Why} -> throw({wrong, io_lib:format("the insertion has ended: ~0p", [Why])})
    after ?PATIENCE ->
        throw({wrong, "the insertion does not get on"})
    end.

port_down(Monitor, Name) ->
    receive
        {'DOWN', Monitor, process, _, Why} ->
            check(Why =:= ?CRASHED, "port ~ts has ended with ~0p", [short(Name), Why]),
            done("port ~ts has exited: ~0p", [short(Name), Why])
    after ?PATIENCE ->
        throw({wrong, "port " ++ Name ++ " has not exited"})
    end.

short(Name) -> hd(string:split(Name, " ")).

job_down({Pid, Monitor}, Name) ->
    receive
        {'DOWN', Monitor, process, Pid, Why} ->
            check(Why =:= ?CRASHED, "~ts has ended with ~0p", [Name, Why]),
            done("~ts, linked to its ports, has exited likewise", [Name])
    after ?PATIENCE ->
        throw({wrong, Name ++ " has not exited"})
    end.

crash_line(Dir) ->
    {ok, Log} = file:read_file(filename:join(Dir, "log")),
    case re:run(Log, "^CRITICAL .*$", [multiline, {capture, first, binary}]) of
        {match, [Line]} -> done("the daemon's log: ~ts", [Line]);
        nomatch -> throw({wrong, "the daemon's log does not mention the crash"})
    end.

%% The supervisor answers when the host has been started.
new_host(Sup, Old) ->
    [{porthost, Pid, _, _}] = supervisor:which_children(Sup),
    is_pid(Pid) andalso Pid =/= Old.

%% SQLite itself rolls back what was not committed.
what_is_left(File, Committed) ->
    {Count, Max} = in_own_process(fun() ->
        {ok, Db} = sqlite3:open(demo_db, [{file, File}]),
        [Left] = rows(Db, "select count(*), max(id) from item", []),
        ok = sqlite3:close(Db),
        Left
    end),
    Whole = Count =:= Max andalso Count rem ?BATCH =:= 0 andalso Count >= Committed,
    check(Whole, "~b rows are left, the last is ~b", [Count, Max]),
    done("the database is whole: ~ts rows, all that were committed", [number(Count)]).

again(Dir) ->
    title("5. The same work again, in the new host", []),
    _ = sqlite_job("", database(Dir, "again"), fun() -> ok end),
    _ = scan_job(),
    ok.

%% Two nodes. Both wait until both are ready.

shared(Name, Options, Dir) ->
    Who = "node " ++ os:getpid() ++ " (" ++ Name ++ "): ",
    Started = porthost:start_link(Options#{name => porthost}),
    check(element(1, Started) =:= ok, "~tsthe host is not reached: ~0p", [Who, Started]),
    ok = porthost:adopt(sqlite3),
    sqlite_job(Who, database(Dir, Name), fun() -> get_ready(Name, Dir) end).

get_ready(Name, Dir) ->
    ok = file:write_file(filename:join(Dir, "ready." ++ Name), ""),
    until(fun() -> filelib:is_file(filename:join(Dir, "go")) end, "the other node is not ready").
