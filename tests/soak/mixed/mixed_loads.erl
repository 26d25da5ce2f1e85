%% SPDX-License-Identifier: Apache-2.0
%% Loads that this node makes: SQLite through Debian's library, the Megaco scanner of OTP, the example drivers through the Erlang client, and connections by hand. A
%% round opens what it needs, verifies every answer, closes, and returns how many answers there were. For mixed_run.
-module(mixed_loads).
-export([prepare/1, sqlite/2, megaco/1, examples/1, by_hand/1, reloaded/1, reread/1, looked_at/1, order/1]).

-define(ROWS, 40).
-define(SCANS, 20).

%% Before anything is adopted: what the VM makes of the message, so that the daemon can be held against it.
prepare(#{daemon := #{socket := Socket}}) ->
    {ok, Scanner} = megaco_flex_scanner:start(),
    Tokens = megaco_flex_scanner:scan(message(), Scanner),
    megaco_flex_scanner:stop(Scanner),
    {ok, Host} = porthost:start(#{transport => {unix, Socket}, name => porthost}),
    [ok = porthost:adopt(M) || M <- [sqlite3, megaco_flex_scanner]],
    #{tokens => Tokens, host => Host}.

%% --- libraries of others ---

%% In memory, or in a file.
sqlite(N, #{daemon := #{dir := Dir}}) ->
    File = filename:join(Dir, lists:concat(["mixed", N, ".db"])),
    Where = case rand:uniform(2) of 1 -> in_memory; 2 -> {file, File} end,
    {ok, Db} = sqlite3:open(list_to_atom("mixed_db" ++ integer_to_list(N)), [Where]),
    ok = sqlite3:sql_exec(Db, "create table t (id integer primary key, name text, price real)"),
    ok = sqlite3:sql_exec(Db, "begin"),
    Rows = [row(Id) || Id <- lists:seq(1, ?ROWS)],
    [{rowid, Id} = sqlite3:sql_exec(Db, "insert into t values (?, ?, ?)", tuple_to_list(Row)) || {Id, _, _} = Row <- Rows],
    ok = sqlite3:sql_exec(Db, "commit"),
    ok = sqlite3:sql_exec(Db, "begin"),
    {rowid, _} = sqlite3:sql_exec(Db, "insert into t values (?, ?, ?)", tuple_to_list(row(?ROWS + 1))),
    ok = sqlite3:sql_exec(Db, "rollback"),
    Rows = rows(sqlite3:sql_exec(Db, "select * from t order by id")),
    [{Id, [{Id, _, _}]} = {Id, rows(sqlite3:sql_exec(Db, "select * from t where id = ?", [Id]))} || Id <- lists:seq(1, ?ROWS, 4)],
    {error, _, _} = sqlite3:sql_exec(Db, "select nothing from nowhere"),
    {ok, Ref} = sqlite3:prepare(Db, "select * from t where id > ? order by id"),
    ok = sqlite3:bind(Db, Ref, [?ROWS - 2]),
    LastTwo = lists:nthtail(?ROWS - 2, Rows),
    LastTwo = [sqlite3:next(Db, Ref), sqlite3:next(Db, Ref)],
    done = sqlite3:next(Db, Ref),
    ok = sqlite3:finalize(Db, Ref),
    sqlite3:close(Db),
    _ = file:delete(File),
    2 * ?ROWS + ?ROWS div 4 + 10.

row(Id) ->
    {Id, binary:copy(<<"n">>, Id * 7919 rem 3000), (Id * 7919 rem 10007) / 4}.

rows(Answer) ->
    {rows, Rows} = lists:keyfind(rows, 1, Answer),
    Rows.

message() ->
    <<"MEGACO/1 [192.0.2.17]:2944\n"
      "Transaction = 4711 {\n"
      "    Context = 12 {\n"
      "        Notify = line/7 {\n"
      "            ObservedEvents = 81 { 20261103T14071530:al/of, 20261103T14071911:dd/ce { ds=\"0301234567\", Meth=UM } }\n"
      "        }\n"
      "    },\n"
      "    Context = $ { Add = line/7, Add = $ { Media { LocalControl { Mode = SendReceive, nt/jit=40 } }, Signals { cg/rt } } }\n"
      "}\n">>.

%% One scanner for all rounds of a period, for its driver loses memory with each port. It ends with the process that has opened it.
megaco(#{tokens := Tokens}) ->
    Scanner = case get(scanner) of
                  undefined -> {ok, New} = megaco_flex_scanner:start(), put(scanner, New), New;
                  Kept -> Kept
              end,
    [Tokens = megaco_flex_scanner:scan(message(), Scanner) || _ <- lists:seq(1, ?SCANS)],
    ?SCANS.

%% --- the example drivers, over a connection that comes and goes ---

examples(#{daemon := #{socket := Socket}, tcp := TcpPort, cookie := Cookie}) ->
    {ok, Host} = porthost:start(case rand:uniform(2) of
                                    1 -> #{transport => {unix, Socket}};
                                    2 -> #{transport => {tcp, {127, 0, 0, 1}, TcpPort}, cookie => Cookie}
                                end),
    Done = [echo(Host), delay(Host), crunch(Host)],
    %% some leave their port to the end of the connection
    rand:uniform(2) =:= 1 andalso porthost:open_port(Host, {spawn_driver, "echo_drv"}, [binary]),
    process_flag(trap_exit, true),
    ok = porthost:stop(Host),
    process_flag(trap_exit, false),
    lists:sum(Done).

came(Port, Data) ->
    receive {Port, {data, D}} -> {Data, Data} = {Data, D} after 20000 -> error({no_answer, Port}) end.

closed(Port) ->
    unlink(Port),
    true = porthost:port_close(Port),
    receive {'EXIT', Port, _} -> ok after 0 -> ok end.

echo(Host) ->
    P = porthost:open_port(Host, {spawn_driver, "echo_drv"}, [binary]),
    Sizes = [1, 64, 65, 4096, rand:uniform(100000)],
    Sent = [rand:bytes(N) || N <- Sizes],
    [true = porthost:port_command(P, [D]) || D <- Sent],
    [came(P, D) || D <- Sent],
    "control" = porthost:port_control(P, 0, "control"),
    Term = #{list => Sizes, self() => make_ref(), float => rand:uniform()},
    {ok, 9, Term} = porthost:port_call(P, 9, Term),
    {connected, Self} = porthost:port_info(P, connected),
    Self = self(),
    true = porthost:port_set_data(P, Term),
    Term = porthost:port_get_data(P),
    {'EXIT', {badarg, _}} = (catch porthost:port_control(P, 77, "no such operation")),
    closed(P),
    length(Sizes) + 7.

delay(Host) ->
    P = porthost:open_port(Host, {spawn_driver, "delay_drv 5"}, [binary]),
    Sent = [<<N:32>> || N <- lists:seq(1, 20)],
    [true = porthost:port_command(P, D) || D <- Sent],
    [came(P, D) || D <- Sent],
    closed(P),
    20.

crunch(Host) ->
    P = porthost:open_port(Host, {spawn_driver, "crunch_drv"}, [binary, {parallelism, true}]),
    Sent = [rand:bytes(N * 300) || N <- lists:seq(1, 20)],
    [true = porthost:port_command(P, D) || D <- Sent],
    [came(P, iolist_to_binary(io_lib:format("~8.16.0b", [erlang:crc32(D)]))) || D <- Sent],
    closed(P),
    20.

%% --- connections by hand, which go as they like ---

by_hand(#{daemon := D}) ->
    S = raw_client:connect(D, #{name => <<"mixed">>}),
    Ports = lists:seq(1, rand:uniform(8)),
    [ok = raw_client:open(S, P, "echo_drv") || P <- Ports],
    [begin
         raw_client:send(S, {command, P, self(), [<<P>>, <<"abc">>]}),
         {send, _, {{port, P}, {data, <<P, "abc">>}}} = raw_client:until_event(S, send, self())
     end || P <- Ports],
    {error, {bad_request, open, 3}} = raw_client:request(S, {open, 1, seven, t, self(), "echo_drv", []}),
    {error, badarg} = raw_client:request(S, {control, 1, 4711, self(), 0, "x"}),
    leave(rand:uniform(4), S),
    length(Ports) + 2.

leave(1, S) ->
    {ok, _} = raw_client:request(S, {close, close, 1, self()}),
    gen_tcp:close(S);
leave(2, S) -> % in the middle of a frame
    ok = inet:setopts(S, [{packet, raw}]),
    ok = gen_tcp:send(S, <<1000:32, 131, 104>>),
    gen_tcp:close(S);
leave(3, S) ->
    ok = gen_tcp:shutdown(S, write),
    to_the_end(S);
leave(4, S) -> % with answers that are not read
    raw_client:send_all(S, [{control, N, 1, self(), 0, binary:copy(<<"x">>, 1000)} || N <- lists:seq(1, 50)]),
    gen_tcp:close(S).

to_the_end(S) ->
    case raw_client:next(S) of
        closed -> ok;
        Frame when is_tuple(Frame) -> to_the_end(S)
    end.

order(#{daemon := D}) ->
    #{lost := 0, done := Done} = soak_order:run(D, #{count => 2400, seconds => 60}),
    Done.

%% --- what those who run it do ---

%% A driver is loaded anew under two connections that use it.
reloaded(#{daemon := #{socket := Socket}}) ->
    process_flag(trap_exit, true),
    [A, B] = [element(2, {ok, _} = porthost:start(#{transport => {unix, Socket}})) || _ <- "ab"],
    Dir = lists:last(raw_client:driver_path()),
    Ask = fun(Host) ->
        P = porthost:open_port(Host, {spawn_driver, "reload_probe_drv"}, []),
        {P, porthost:port_control(P, 0, "")}
    end,
    ok = porthost_ddll:on(A, load_driver, [Dir, "reload_probe_drv"]),
    Old = [Ask(H) || H <- [A, B, A]],
    [Generation] = lists:usort([G || {_, G} <- Old]),
    ok = porthost_ddll:on(A, reload_driver, [Dir, "reload_probe_drv"]),
    [receive {'EXIT', P, driver_unloaded} -> ok after 20000 -> error({not_unloaded, P}) end || {P, _} <- Old],
    {New, Next} = Ask(B),
    true = Generation =/= Next,
    true = porthost:port_close(New),
    receive {'EXIT', New, normal} -> ok after 20000 -> error({not_closed, New}) end,
    [ok = porthost:stop(H) || H <- [A, B]],
    process_flag(trap_exit, false),
    9.

%% SIGHUP: a limit changes, a listener comes or goes.
reread(#{daemon := #{config := File, dir := Dir, socket := Socket} = D, configure := Configure}) ->
    lists:foldl(fun(Which, N) ->
        ok = file:write_file(File, Configure(Which, Dir, Socket)),
        [] = os:cmd("kill -HUP " ++ integer_to_list(raw_client:os_pid(D))),
        raw_client:eventually(fun() -> max_frame(Socket) =:= {ok, max_frame_of(Which)} end),
        Second = case Which of small -> ok; usual -> error end,
        raw_client:eventually(fun() -> element(1, max_frame(filename:join(Dir, "second"))) =:= Second end),
        N + 2
    end, 0, [small, usual]).

max_frame_of(small) -> 1 bsl 26;
max_frame_of(usual) -> 1 bsl 27.

%% A listener that ends may do so while a connection waits to be accepted.
max_frame(Socket) ->
    case gen_tcp:connect({local, Socket}, 0, [local, binary, {packet, 4}, {active, false}]) of
        {ok, S} ->
            _ = gen_tcp:send(S, term_to_binary({hello, 1, #{}})),
            Answer = raw_client:next(S),
            gen_tcp:close(S),
            case Answer of
                {hello, 1, #{max_frame := Max}} -> {ok, Max};
                Gone -> {error, Gone}
            end;
        Error -> Error
    end.

%% Somebody looks at all ports, and traces one.
looked_at(#{daemon := D}) ->
    [S, Other] = [raw_client:connect(D) || _ <- "so"],
    ok = raw_client:open(Other, 5, "echo_drv"),
    {ok, Mine} = raw_client:request(Other, {ports, ports, connection}),
    [#{id := 5, connection := Connection}] = Mine,
    {ok, All} = raw_client:request(S, {ports, ports, all}),
    true = lists:member(hd(Mine), All),
    {ok, Stats} = raw_client:request(S, {port_stats, stats, all}),
    [_] = [P || #{connection := C, id := 5} = P <- Stats, C =:= Connection],
    {ok, "echo_drv"} = raw_client:request(S, {port_info, info, Connection, 5, driver}),
    {ok, true} = raw_client:request(S, {trace, trace, Connection, 5, true}),
    {ok, "traced"} = raw_client:request(Other, {control, control, 5, self(), 0, "traced"}),
    {trace, Connection, 5, _, enter, #{callback := control, data := <<"traced">>}} = raw_client:until_event(S, trace, Connection),
    {ok, _} = raw_client:request(S, {log_level, log, get}),
    gen_tcp:close(Other),
    raw_client:until(S, fun(F) -> element(1, F) =:= trace andalso element(5, F) =:= closed end),
    gen_tcp:close(S),
    8.
