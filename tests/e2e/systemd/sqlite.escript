%% SPDX-License-Identifier: Apache-2.0
%% systemd_sqlite.escript SOCKET FILE: 1000 rows through SQLite's driver in the host that listens at SOCKET, into the database FILE, which is the host's.
main([Socket, File]) ->
    {ok, _} = application:ensure_all_started(porthost),
    {ok, _} = porthost:start_link(#{name => porthost, transport => {unix, Socket}}),
    ok = porthost:adopt(sqlite3),
    {ok, Db} = sqlite3:open(db, [{file, File}]),
    ok = sqlite3:sql_exec(Db, "create table item (id integer primary key, name text)"),
    ok = sqlite3:sql_exec(Db, "begin"),
    [{rowid, Id} = sqlite3:sql_exec(Db, "insert into item values (?, ?)", [Id, <<"name">>]) || Id <- lists:seq(1, 1000)],
    ok = sqlite3:sql_exec(Db, "commit"),
    [_, {rows, [{N}]}] = sqlite3:sql_exec(Db, "select count(*) from item"),
    ok = sqlite3:close(Db),
    io:format("rows ~p~n", [N]).
