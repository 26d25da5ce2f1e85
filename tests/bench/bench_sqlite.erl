%% SPDX-License-Identifier: Apache-2.0
%% Debian's SQLite library, as it is: with its driver in the VM, and adopted, its driver hosted. A module can be only one of the two in
%% a node, so each runs in a node of its own, next to this one.
-module(bench_sqlite).

-export([items/1]).
-export([prepare/1, measure/3]).        % run in those nodes

-define(ROWS, 1000).
-define(MS, 5).         % by that much longer than other measurements

items(#{servers := [{_, Path, _} | _]} = Env) ->
    VM = node_with(Env, none),
    Hosted = [{<<"unix">>, node_with(Env, {unix, Path})},
              {<<"stdio">>, node_with(Env, {spawn, bench_contender:daemon(Env, hd(maps:get(modes, Env))) ++ " --stdio"})}],
    [#{section => <<"SQLite">>, caller => Callers, contender => Name, param => Param,
       run => fun() -> peer:call(Peer, ?MODULE, measure, [Work, Dbs, maps:get(ms, Env) * ?MS], 60000) end}
     || {Callers, Dbs} <- [{<<"1 caller">>, [{1, 1}]}, {<<"16 callers, 4 databases">>, [{Db, 4} || Db <- [1, 2, 3, 4]]}],
        {Param, Work} <- [{<<"insert">>, insert}, {<<"select">>, select}, {<<"prepared">>, prepared}],
        {Name, Peer} <- [{<<"in the VM">>, VM} | Hosted]].

node_with(_, Transport) ->
    {ok, Peer, _} = peer:start_link(#{connection => standard_io, args => ["-pa" | code:get_path()]}),
    ok = peer:call(Peer, ?MODULE, prepare, [Transport], 20000),
    Peer.

%% The databases belong to a process that stays: they end with who has opened them.
prepare(Transport) ->
    Self = self(),
    Owner = spawn(fun() -> open(Transport), Self ! {self(), ready}, receive never -> ok end end),
    receive {Owner, ready} -> ok after 15000 -> {error, timeout} end.

open(Transport) ->
    Transport =:= none orelse adopt(Transport),
    [begin
         {ok, _} = sqlite3:open(name(Db), [in_memory]),
         ok = sqlite3:sql_exec(name(Db), "create table t (id integer primary key, name text, number integer)"),
         [{rowid, _} = sqlite3:sql_exec(name(Db), "insert into t (name, number) values ('a name', 42)")
          || _ <- lists:seq(1, ?ROWS)]
     end || Db <- [1, 2, 3, 4]].

adopt(Transport) ->
    {ok, _} = porthost:start(#{name => porthost, transport => Transport}),
    ok = porthost:adopt(sqlite3).

name(N) -> list_to_atom("bench_db" ++ integer_to_list(N)).

%% Dbs says how many callers each database has; the sum of their rates.
measure(Work, Dbs, Ms) ->
    Begin = erlang:monotonic_time(nanosecond),
    End = Begin + Ms * 1000000,
    Callers = [spawn_monitor(fun() -> exit({done, repeat(work(Work, name(Db)), End, 0)}) end)
               || {Db, N} <- Dbs, _ <- lists:seq(1, N)],
    Done = [receive {'DOWN', Ref, process, _, {done, N}} -> N end || {_, Ref} <- Callers],
    [{rate, lists:sum(Done) * 1000000000 / (erlang:monotonic_time(nanosecond) - Begin)}].

repeat(Fun, End, N) ->
    Fun(),
    case erlang:monotonic_time(nanosecond) >= End of
        true -> N + 1;
        false -> repeat(Fun, End, N + 1)
    end.

work(insert, Db) ->
    fun() -> {rowid, _} = sqlite3:sql_exec(Db, "insert into t (name, number) values (?, ?)", ["another", 43]) end;
work(select, Db) ->
    fun() -> [{columns, _}, {rows, [_]}] = sqlite3:sql_exec(Db, "select name, number from t where id = ?", [rand:uniform(?ROWS)]) end;
work(prepared, Db) ->
    {ok, Ref} = sqlite3:prepare(Db, "select name, number from t where id = ?"),
    fun() ->
            ok = sqlite3:bind(Db, Ref, [rand:uniform(?ROWS)]),
            {_, _} = sqlite3:next(Db, Ref),
            ok = sqlite3:reset(Db, Ref)
    end.
