%% SPDX-License-Identifier: Apache-2.0
%% What a client can make the registry of drivers keep and do is bounded, and does not hold up others. Each test has a daemon of its own.
-module(driver_bounds_tests).
-include_lib("eunit/include/eunit.hrl").
-import(raw_client, [with_daemon/1, connect/1, send/2, send_all/2, next/1, until/2, request/2, rss/1, pid/2, stats/2, open/3, eventually/1]).

-define(MIB, 1024). % of rss
-define(LEAST, 1024). % bytes that a user or a monitor counts as

%% Limits: the text of an object of limits.
with_limits(Limits, Test) ->
    raw_client:with_daemon(["\"limits\": ", Limits], Test).

load(User) -> load(User, []).
load(User, Options) -> {load, load, User, make_ref(), <<>>, "echo_drv", Options}.
unload(User) -> unload(User, []).
unload(User, Options) -> {unload, unload, User, make_ref(), "echo_drv", Options}.
watch(Ref) -> {monitor_driver, monitor, self(), Ref, "echo_drv", unloaded}.
unwatch(Ref) -> {demonitor_driver, demonitor, self(), Ref}.
users(S) -> {ok, Users} = request(S, {driver_info, info, "echo_drv", processes}), length(Users).
awaiting(S) -> {ok, Awaiting} = request(S, {driver_info, info, "echo_drv", awaiting_unload}), length(Awaiting).

%% One more than that is refused, for users and monitors together; others are not concerned.
users_and_monitors_count_as_kept_for_the_connection_test_() ->
    with_limits("{\"kept_bytes\": 65536}", fun(D) ->
        [S, Other] = [connect(D), connect(D)],
        Users = [pid(a@b, N) || N <- lists:seq(1, 65536 div ?LEAST)],
        [?assertMatch({ok, _}, request(S, load(User))) || User <- Users],
        [One | _] = Users,
        ?assertEqual({error, system_limit}, request(S, load(pid(a@b, 1000)))),
        ?assertEqual({error, system_limit}, request(S, watch(make_ref()))),
        ?assertEqual({error, system_limit}, request(S, unload(One, [{monitor, pending}]))),
        ?assertEqual({ok, already_loaded}, request(S, load(One))),
        ?assertEqual({ok, pending_process}, request(S, unload(One))),
        ?assertEqual({length(Users), 0}, {users(Other), awaiting(Other)}),
        ?assertEqual({ok, already_loaded}, request(Other, load(self()))),
        ?assertEqual({ok, true}, request(Other, watch(make_ref()))),
        ?assertEqual([3], stats(Other, [limit_kept_bytes])),
        ?assertEqual({ok, pending_process}, request(S, unload(One))),
        Ref = make_ref(),
        ?assertEqual({ok, true}, request(S, watch(Ref))),
        ?assertEqual({error, system_limit}, request(S, watch(make_ref()))),
        ?assertEqual({ok, true}, request(S, unwatch(Ref))),
        ?assertEqual({ok, true}, request(S, watch(Ref))),
        ?assertEqual(2, awaiting(Other)),
        gen_tcp:close(S),
        eventually(fun() -> {users(Other), awaiting(Other)} =:= {1, 1} end)
    end).

%% Nothing is loaded for a user for whom there is no room.
a_driver_whose_user_is_refused_is_not_loaded_test_() ->
    with_limits("{\"kept_bytes\": 65536}", fun(D) ->
        S = connect(D),
        [?assertMatch({ok, _}, request(S, load(pid(a@b, N)))) || N <- lists:seq(1, 65536 div ?LEAST)],
        ?assertEqual({error, system_limit}, request(S, {load, load, self(), make_ref(), <<>>, "crunch_drv", []})),
        ?assertEqual({ok, ["echo_drv"]}, request(S, {drivers, drivers}))
    end).

%% Of very many monitors each is found at once, and those of one reference one by one.
demonitors_among_very_many_monitors_hold_up_nobody_test_() ->
    with_daemon(fun(D) ->
        [S, Other] = [connect(D), connect(D)],
        {ok, loaded} = request(Other, load(self())),
        drained(S),
        [Same, Unknown] = [make_ref(), make_ref()],
        Refs = [make_ref() || _ <- lists:seq(1, 1000)],
        pour(S, lists:duplicate(120000, watch(Same)) ++ [watch(R) || R <- Refs] ++ lists:duplicate(60000, unwatch(Unknown))),
        ?assertMatch({ok, _}, request(Other, {open, open, 1, 1, self(), "delay_drv 0", []})),
        eventually(fun() -> awaiting(Other) =:= 121000 end),
        pour(S, [unwatch(R) || R <- Refs] ++ [unwatch(Same), unwatch(Same)]),
        eventually(fun() -> awaiting(Other) =:= 119998 end)
    end).

%% Each is for a process, as a user is.
monitors_go_with_their_process_test_() ->
    with_daemon(fun(D) ->
        [S, Other] = [connect(D), connect(D)],
        {ok, loaded} = request(Other, load(self())),
        [Ann, Bob] = [pid(a@b, 1), pid(a@b, 2)],
        Watched = fun(Pid) -> until(S, fun(F) -> element(1, F) =:= monitor andalso element(3, F) =:= Pid end) end,
        [send_all(S, [{monitor_driver, w, Pid, make_ref(), "echo_drv", When}]) || Pid <- [Ann, Bob], When <- [unloaded, unloaded_only]],
        [Id, Late] = [begin {monitor, Id, Pid} = Watched(Pid), Id end || Pid <- [Ann, Bob]],
        eventually(fun() -> awaiting(Other) =:= 4 end),
        send_all(S, [{down, Id, killed}]),
        eventually(fun() -> awaiting(Other) =:= 3 end),
        {ok, pending_driver} = request(Other, unload(self())),
        %% its end has crossed what tells that nobody asks for it any more
        {demonitor, Late} = until(S, fun(F) -> F =:= {demonitor, Late} end),
        send_all(S, [{down, Late, killed}]),
        ?assertEqual({ok, []}, request(S, {drivers, drivers}))
    end).

%% Each of one process's has a monitor of its own: together they take no longer than as many of as many.
very_many_monitors_of_a_process_that_ends_hold_up_nobody_test_() ->
    with_daemon(fun(D) ->
        [S, Other] = [connect(D), connect(D)],
        {ok, loaded} = request(Other, load(self())),
        N = 100000,
        spawn_link(fun() -> [send(S, {monitor_driver, w, pid(a@b, 1), make_ref(), "echo_drv", unloaded}) || _ <- lists:seq(1, N)] end),
        Ids = [begin {monitor, Id, _} = until(S, fun(F) -> element(1, F) =:= monitor end), Id end || _ <- lists:seq(1, N)],
        eventually(fun() -> awaiting(Other) =:= N end),
        drained(S),
        pour(S, [{down, Id, killed} || Id <- Ids]),
        ?assertMatch({ok, _}, request(Other, {open, open, 1, 1, self(), "delay_drv 0", []})),
        eventually(fun() -> awaiting(Other) =:= 0 end)
    end).

very_many_users_hold_up_nobody_test_() ->
    with_daemon(fun(D) ->
        [S, Other] = [connect(D), connect(D)],
        {ok, loaded} = request(Other, load(self())),
        drained(S),
        Users = [pid(a@b, N) || N <- lists:seq(1, 100000)],
        spawn_link(fun() -> pour(S, [load(User) || User <- Users]) end),
        eventually(fun() -> users(Other) > 1000 end),
        ?assertMatch({ok, _}, request(Other, {open, open, 1, 1, self(), "delay_drv 0", []})),
        eventually(fun() -> users(Other) =:= 100001 end),
        gen_tcp:close(S),
        eventually(fun() -> users(Other) =:= 1 end)
    end).

%% Requests of one connection wait for each other, not those of another.
a_flood_of_questions_is_that_connections_own_test_() ->
    with_daemon(fun(D) ->
        [S, Other] = [connect(D), connect(D)],
        {ok, loaded} = request(Other, load(self())),
        drained(S),
        pour(S, [load(pid(a@b, N)) || N <- lists:seq(1, 60000)]),
        eventually(fun() -> users(Other) =:= 60001 end),
        pour(S, lists:duplicate(20000, {driver_info, info, "echo_drv", processes})),
        ?assertMatch({ok, _}, request(Other, {open, open, 1, 1, self(), "delay_drv 0", []}))
    end).

paths_that_no_file_has_test_() ->
    with_daemon(fun(D) ->
        S = connect(D),
        [begin
             {error, {open_error, N}} = request(S, {load, load, self(), make_ref(), Path, Name, []}),
             ?assertEqual({ok, "File name too long"}, request(S, {format_error, text, {open_error, N}}))
         end
         || {Path, Name} <- [{long(4096), "echo_drv"}, {long(60 bsl 20), "echo_drv"}, {<<>>, long(4096)}]],
        ?assertMatch({error, {open_error, _}}, request(S, {load, load, self(), make_ref(), long(4000), "echo_drv", []}))
    end).

long(N) -> binary:copy(<<"x">>, N).

%% While the registry is busy, what waits for it is charged with all it keeps.
what_waits_for_the_registry_is_charged_test_() ->
    [{What, with_limits("{\"request_bytes\": 65536}", fun(D) ->
         [S, Other] = [connect(D), connect(D)],
         send_all(S, [{load, load, self(), make_ref(), <<>>, "slow_init_probe_drv", []} | [Request(N) || N <- lists:seq(1, Times)]]),
         eventually(fun() -> [Met] = stats(Other, [limit_request_bytes]), Met > 0 end),
         Answers = [until(S, fun(F) -> element(1, F) =/= monitor end) || _ <- lists:seq(0, Times)],
         ?assertEqual({ok, load, loaded}, hd(Answers)),
         [?assertMatch({error, _, _}, A) || A <- tl(Answers)]
     end)}
     || {What, Times, Request} <- [{"a path", 40, fun(_) -> {load, load, self(), make_ref(), long(4000), "no_such_drv", []} end},
                                   {"a name", 25, fun(_) -> {load, load, self(), make_ref(), <<>>, long(2000), []} end},
                                   {"a driver to open", 40, fun(N) -> {open, open, N, N, self(), long(4000), []} end}]].

%% As in the VM a driver may remove what it has added at any time; those who ask for it meanwhile find it or do not.
entries_that_are_removed_while_others_ask_for_them_test_() ->
    with_daemon(fun(D) ->
        [S, Other] = [connect(D), connect(D)],
        ok = open(S, 1, "adding_probe_drv"),
        Questions = [{driver_info, info, Name, Item} || Name <- ["adding_passing_drv", "adding_failing_drv"], Item <- [processes, entry, linked_in_driver]] ++
                    [{load, load, self(), make_ref(), <<>>, "adding_passing_drv", []}, {monitor_driver, monitor, self(), make_ref(), "adding_failing_drv", unloaded}],
        drained(Other),
        Asking = spawn_link(fun Ask() -> pour(Other, lists:append(lists:duplicate(100, Questions))), Ask() end),
        [?assertEqual({ok, "10000 0"}, request(S, {control, control, 1, self(), 10000, <<>>})) || _ <- lists:seq(1, 5)],
        unlink(Asking),
        exit(Asking, kill),
        gen_tcp:close(Other),
        ?assertEqual({ok, true}, request(S, {driver_info, info, "adding_resident_drv", linked_in_driver})),
        ?assertEqual({error, badarg}, request(S, {driver_info, info, "adding_passing_drv", linked_in_driver}))
    end).

%% From now on all that comes is read and dropped.
drained(S) ->
    ok = inet:setopts(S, [{packet, raw}]),
    spawn_link(fun Read() -> case gen_tcp:recv(S, 0) of {ok, _} -> Read(); {error, _} -> ok end end).

%% Requests to a connection that is drained. It may be closed meanwhile.
pour(S, Terms) ->
    gen_tcp:send(S, [[<<(byte_size(B)):32>>, B] || B <- [term_to_binary(T) || T <- Terms]]).

%% The registry comes to the end of the user before it comes to what the driver has said of itself.
a_driver_that_locks_itself_stays_though_its_last_user_ends_at_once_test_() ->
    with_daemon(fun(D) ->
        [A, B] = [connect(D), connect(D)],
        Load = fun(Driver, Options) -> {load, Driver, self(), make_ref(), <<>>, Driver, Options} end,
        send_all(A, [Load("lock_probe_drv", [{driver_options, [kill_ports]}])]),
        {monitor, Monitor, _} = until(A, fun(F) -> element(1, F) =:= monitor end),
        ok = open(B, 7, "lock_probe_drv"),
        send_all(A, [Load("slow_init_probe_drv", [])]),
        timer:sleep(200), % the registry is in its init: the end waits there when the driver locks itself
        send_all(A, [{down, Monitor, noproc}]),
        {error, undefined} = request(A, {info, info, 8, name}),
        {ok, "0 0"} = request(B, {control, control, 7, self(), 0, ""}),
        ?assertEqual({ok, true}, request(B, {driver_info, info, "lock_probe_drv", permanent})),
        ?assertEqual({ok, "0 0"}, request(B, {control, control, 7, self(), 0, ""}))
    end).
