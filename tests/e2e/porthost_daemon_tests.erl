%% SPDX-License-Identifier: Apache-2.0
%% The client with a real host: libraries that come with a driver, moved out of the VM unchanged.
%%
%% Runs if the environment variable PORTHOSTD names the daemon, and a library is installed.
-module(porthost_daemon_tests).

-include_lib("eunit/include/eunit.hrl").

daemon_test_() ->
    case os:getenv("PORTHOSTD") of
        false -> [];
        Path ->
            Here = [Module || Module <- [sqlite3, megaco_flex_scanner], code:which(Module) =/= non_existing],
            [{foreach,
              fun() -> start(Path) end,
              fun stop/1,
              [{with, [Test]} || Test <- [fun a_bad_request_is_answered/1,
                                          fun what_is_no_driver_is_a_program/1,
                                          fun a_dead_daemon_ends_its_ports/1,
                                          fun a_daemon_that_shuts_down_says_so_to_its_ports/1,
                                          fun ports_end_with_a_connection_that_goes_wrong/1]]
              ++ [{with, [Test]} || Test <- [fun sqlite3_keeps_its_tables/1, fun sqlite3_ends_with_its_owner/1],
                                    lists:member(sqlite3, Here)]},
             {foreach,
              fun() -> start_with_leaks(Path) end,
              fun stop/1,
              [{with, [fun megaco_scans/1]} || lists:member(megaco_flex_scanner, Here)]}]
    end.

%% The scanner's driver leaks a struct for each port, for which a sanitizer would blame the daemon.
start_with_leaks(Path) ->
    Options = os:getenv("ASAN_OPTIONS", ""),
    os:putenv("ASAN_OPTIONS", Options ++ ":detect_leaks=0"),
    try start(Path) after os:putenv("ASAN_OPTIONS", Options) end.

start(Path) ->
    {ok, Host} = porthost:start(#{transport => {spawn, Path ++ " --stdio"}, name => porthost}),
    Host.

stop(Host) ->
    catch porthost:stop(Host).

%% The drivers' libraries, so that they are in the VM again when a test is over.
adopted(Modules, Test) ->
    [?assertEqual({Module, ok}, {Module, porthost:adopt(Module)}) || Module <- Modules],
    try Test()
    after
        [begin code:purge(Module), code:load_file(Module), code:purge(Module) end
         || Module <- Modules]
    end.

a_bad_request_is_answered(_) ->
    ?assertError(badarg, porthost:open_port({spawn_driver, "no_such_drv"}, [])),
    ?assertMatch({error, {open_error, _}}, porthost_ddll:load("/no/such/dir", no_such_drv)),
    {error, Reason} = porthost_ddll:load("/no/such/dir", no_such_drv),
    ?assertMatch([_ | _], porthost_ddll:format_error(Reason)),
    ?assertMatch({ok, _}, porthost_ddll:loaded_drivers()).

what_is_no_driver_is_a_program(_) ->
    Port = porthost:open_port({spawn, "cat"}, [binary]),
    ?assert(erlang:is_port(Port)),
    true = porthost:port_close(Port).

sqlite3_keeps_its_tables(_) ->
    adopted([sqlite3], fun() ->
        {ok, Db} = sqlite3:open(some_db, [in_memory]),
        ok = sqlite3:sql_exec(some_db, "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT)"),
        [{rowid, _} = sqlite3:sql_exec(some_db, "INSERT INTO t (name) VALUES (?)", [Name])
         || Name <- [<<"a">>, <<"b">>, binary:copy(<<"c">>, 100000)]],
        [{columns, ["id", "name"]}, {rows, Rows}] =
            sqlite3:sql_exec(some_db, "SELECT id, name FROM t ORDER BY id"),
        ?assertEqual([{1, <<"a">>}, {2, <<"b">>}, {3, binary:copy(<<"c">>, 100000)}], Rows),
        ?assertMatch([_], porthost:ports(porthost)),
        ?assertNot(lists:any(fun(P) -> is_sqlite(erlang:port_info(P, name)) end, erlang:ports())),
        sqlite3:close(some_db),
        ?assertNot(is_process_alive(Db)),
        ?assertEqual([], porthost:ports(porthost))
    end).

is_sqlite({name, "sqlite3" ++ _}) -> true;
is_sqlite(_) -> false.

sqlite3_ends_with_its_owner(_) ->
    adopted([sqlite3], fun() ->
        {ok, Db} = sqlite3:open(some_db, [in_memory]),
        unlink(Db),
        [Port] = porthost:ports(porthost),
        Ref = monitor(process, Port),
        exit(Db, kill),
        ?assertMatch({'DOWN', Ref, process, Port, killed},
                     receive Down -> Down after 5000 -> nothing end)
    end).

megaco_scans(_) ->
    adopted([megaco_flex_scanner, megaco_flex_scanner_handler], fun() ->
        {ok, Ports} = megaco_flex_scanner:start(),
        [?assert(porthost:is_port(Port)) || Port <- ports_of(Ports)],
        Message = <<"MEGACO/1 [124.124.124.222]:55555\n"
                    "Transaction = 9998 { Context = - { ServiceChange = ROOT {"
                    " Services { Method = Restart, ServiceChangeAddress = 55555,"
                    " Profile = ResGW/1, Reason = \"901 MG Cold Boot\"} } } }">>,
        {ok, Tokens, Version, _} = megaco_flex_scanner:scan(Message, Ports),
        ?assertEqual(1, Version),
        ?assertMatch([_, _, _ | _], Tokens),
        megaco_flex_scanner:stop(Ports)
    end).

ports_of(Ports) when is_tuple(Ports) -> tuple_to_list(Ports);
ports_of(Port) -> [Port].

a_dead_daemon_ends_its_ports(Host) ->
    process_flag(trap_exit, true),
    case code:which(sqlite3) of
        non_existing -> ok;
        _ ->
            ok = porthost_ddll:load(code:priv_dir(p1_sqlite3), "sqlite3_drv"),
            Port = porthost:open_port({spawn_driver, "sqlite3_drv :memory:"}, [binary]),
            Ref = monitor(process, Host),
            {os_pid, Pid} = erlang:port_info(transport(), os_pid),
            os:cmd("kill -SEGV " ++ integer_to_list(Pid)),
            Down = {host_down, {signal, 11}},
            receive {'EXIT', Port, Why} -> ?assertEqual({porthost, Down}, Why) end,
            receive {'DOWN', Ref, _, _, Reason} -> ?assertEqual(Down, Reason) end
    end.

a_daemon_that_shuts_down_says_so_to_its_ports(Host) ->
    {os_pid, Pid} = erlang:port_info(transport(), os_pid),
    {shutdown, {goodbye, shutdown, _}} =
        ends(Host, fun() -> os:cmd("kill -TERM " ++ integer_to_list(Pid)) end).

ports_end_with_a_connection_that_goes_wrong(Host) ->
    {connection_closed, {goodbye, bad_term, _}} =
        ends(Host, fun() -> erlang:port_command(transport(), <<"nonsense">>) end).

%% Why a port ends, and why its host is down, after End().
ends(Host, End) ->
    process_flag(trap_exit, true),
    Drivers = filename:join(filename:dirname(os:getenv("PORTHOSTD")), "drivers"),
    ok = porthost_ddll:load(Drivers, "echo_drv"),
    Port = porthost:open_port({spawn_driver, "echo_drv"}, [binary]),
    Ref = monitor(process, Host),
    End(),
    receive
        {'EXIT', Port, PortReason} ->
            receive {'DOWN', Ref, _, _, {host_down, Why}} -> {PortReason, Why} end
    end.

%% The VM's port to the daemon.
transport() ->
    Daemon = os:getenv("PORTHOSTD"),
    [Port] = [P || P <- erlang:ports(), {name, Name} <- [erlang:port_info(P, name)],
                   lists:prefix(Daemon, Name)],
    Port.
