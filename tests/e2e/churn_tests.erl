%% SPDX-License-Identifier: Apache-2.0
%% Clients and ports that come and go by the hundreds, or are killed in the middle of what they send: a client beside them notices nothing, and nothing of them is left. Each
%% test has a daemon of its own.
-module(churn_tests).
-include_lib("eunit/include/eunit.hrl").
-import(raw_client, [with_daemon/1, connect/1, send/2, send_all/2, open/3, request/2, stats/2, eventually/1]).

-define(ROUNDS, 10).
-define(KIB_MORE, 4096). % that the daemon may have grown by, with what the allocator keeps
-define(LOOKS, 5).

%% Each of some processes connects again and again: and goes at once, or with half a hello, or with ports, or by a reset.
hundreds_that_connect_and_disconnect_test_() ->
    with_daemon(fun(D) ->
        beside_a_client(D, fun() ->
            level(D, fun() -> together([fun() -> [come_and_go(D, I) || I <- lists:seq(1, 100)] end || _ <- lists:seq(1, 4)]) end)
        end)
    end).

come_and_go(#{socket := Path} = D, I) when I rem 4 < 2 ->
    {ok, S} = gen_tcp:connect({local, Path}, 0, [local, binary, {active, false}]),
    I rem 4 =:= 1 andalso gen_tcp:send(S, binary:part(framed({hello, 1, #{name => <<"gone">>}}), 0, 9)),
    gen_tcp:close(S),
    {D, I};
come_and_go(D, I) ->
    S = connect(D),
    I rem 4 =:= 3 andalso send_all(S, [{open, N, N, p, self(), lists:nth(N, ["echo_drv", "delay_drv 1", "timer_probe_drv"]), []} || N <- [1, 2, 3]]),
    gen_tcp:close(S).

together(Funs) ->
    Refs = [element(2, spawn_monitor(Fun)) || Fun <- Funs],
    [receive {'DOWN', Ref, process, _, Reason} -> ?assertEqual(normal, Reason) end || Ref <- Refs].

%% Ports that are there for a moment, and never have a driver, while another client looks at all ports there are.
ports_that_cannot_be_opened_test_() ->
    with_daemon(fun(D) ->
        Openers = [spawn_monitor(fun() -> opened_in_vain(connect(D), 1) end) || _ <- [1, 2, 3]],
        S = connect(D),
        Names = lists:append([begin {ok, Ports} = request(S, {port_stats, N, all}), [maps:get(driver, P) || P <- Ports] end || N <- lists:seq(1, 8000)]),
        ?assertEqual(["no_such_drv"], lists:usort(Names)),
        [begin exit(Pid, kill), receive {'DOWN', Ref, process, Pid, Why} -> ?assertEqual(killed, Why) end end || {Pid, Ref} <- Openers]
    end).

opened_in_vain(S, N) ->
    Ids = lists:seq(N, N + 49),
    send_all(S, [{open, Id, Id, {port, Id}, self(), "no_such_drv and its command", []} || Id <- Ids]),
    Answers = [begin {error, Id, no_driver} = raw_client:next(S), Id end || _ <- Ids],
    Ids = lists:sort(Answers),     % those of different ports come in any order
    opened_in_vain(S, N + 50).

%% Processes of the system, since only those can be killed within a write.
clients_that_are_killed_within_a_frame_test_() ->
    with_daemon(fun(#{dir := Dir} = D) ->
        Clients = [write_client(Dir, Name, First, Again) || {Name, First, Again} <- clients()],
        beside_a_client(D, fun() -> level(D, fun() -> killed(D, Clients) end) end),
        [raw_client:logged(D, "[[]conn [0-9]+ " ++ Name ++ "[]] (the stream ends inside a frame|cannot write)") || {Name, _, _} <- clients()]
    end).

%% Frames that a client begins with, and what it writes then without end.
clients() ->
    Pid = raw_client:pid('gone@host', 1),
    Open = fun(Id, Driver) -> {open, Id, Id, {port, Id}, Pid, Driver, [binary]} end,
    Command = {command, 1, Pid, binary:copy(<<"c">>, 200000)},
    [{"unread", [Open(1, "echo_drv")], Command},
     {"busy", [Open(1, "busy_probe_drv"), {control, 2, 1, Pid, 0, "busy 1"}], Command},
     {"slow", [Open(1, "soak_probe_drv")], {command, 1, Pid, <<200:32, 0:80000>>}},
     {"monitors", [F || N <- lists:seq(1, 50), F <- [Open(N, "monitor_probe_drv"), {control, N, N, raw_client:pid('gone@host', N), 0, "monitor"}]], {ping, 1}},
     {"timers", [F || N <- lists:seq(1, 50), F <- [Open(N, "timer_probe_drv"), {control, N, N, Pid, 0, "set 3600000"}]], {ping, 1}},
     {"opens", [Open(N, "slow_init_probe_drv") || N <- lists:seq(1, 50)], Command}].

write_client(Dir, Name, First, Again) ->
    [FirstFile, AgainFile] = Files = [filename:join(Dir, Name ++ Part) || Part <- [".first", ".again"]],
    ok = file:write_file(FirstFile, [framed(F) || F <- [{hello, 1, #{name => list_to_binary(Name)}} | First]]),
    ok = file:write_file(AgainFile, framed(Again)),
    Files.

framed(Term) ->
    Bin = term_to_binary(Term),
    <<(byte_size(Bin)):32, Bin/binary>>.

killed(#{socket := Socket}, Clients) ->
    Program = "sub all { local $/; open my $f, '<:raw', shift or die; <$f> } my $s = IO::Socket::UNIX->new(Peer => shift) or die; my ($first, $again) = map { all($_) } @ARGV; "
              "syswrite $s, $first; syswrite STDOUT, 'b'; while (1) { syswrite $s, $again or die }",
    Perl = os:find_executable("perl"),
    Started = [open_port({spawn_executable, Perl}, [{args, ["-MIO::Socket::UNIX", "-e", Program, Socket | Files]}, exit_status, binary]) || Files <- Clients],
    [receive {P, {data, <<"b">>}} -> ok end || P <- Started],
    timer:sleep(rand:uniform(40) - 1),
    Pids = [integer_to_list(element(2, erlang:port_info(P, os_pid))) || P <- Started],
    os:cmd(lists:flatten(["kill -KILL ", lists:join(" ", Pids)])),
    [receive {P, {exit_status, Status}} -> ?assertEqual(128 + 9, Status) end || P <- Started].

%% --- what both have in common ---

%% A client that is served all the time, each answer the right one.
beside_a_client(D, Test) ->
    Served = spawn_monitor(fun() -> served(D) end),
    Test(),
    {Pid, Ref} = Served,
    Pid ! stop,
    receive {'DOWN', Ref, process, Pid, {served, N}} -> ?assert(N > 100); {'DOWN', Ref, process, Pid, Reason} -> error(Reason) end.

served(D) ->
    S = connect(D),
    ok = open(S, 1, "echo_drv"),
    served(S, 0).

served(S, N) ->
    send(S, {command, 1, self(), <<N:32>>}),
    {send, _, {{port, 1}, {data, <<N:32>>}}} = raw_client:next(S),
    {ok, pong} = request(S, {ping, N}),
    receive stop -> exit({served, N}) after 1 -> served(S, N + 1) end.

%% After the first rounds, descriptors and memory are what they were before, and of connections and ports there are this one's and those of the client beside.
level(D, Round) ->
    S = connect(D),
    Rounds = fun(N) -> [begin Round(), eventually(fun() -> stats(S, [connections, ports]) =:= [2, 1] end) end || _ <- lists:seq(1, N)] end,
    Rounds(?ROUNDS),
    Before = descriptors(D),
    ?assert(is_sanitized() orelse stays(D, fun() -> Rounds(?ROUNDS) end, ?LOOKS)),
    eventually(fun() -> descriptors(D) =:= Before end),
    gen_tcp:close(S).

%% What is lost is lost each time; what malloc takes once is not.
stays(_, _, 0) -> false;
stays(D, Again, Looks) ->
    Kib = raw_client:rss(D),
    Again(),
    raw_client:rss(D) - Kib < ?KIB_MORE orelse stays(D, Again, Looks - 1).

%% (Sanitizers keep what was freed.)
is_sanitized() ->
    filename:basename(filename:dirname(os:getenv("PORTHOSTD", "build/porthostd"))) =/= "build".

descriptors(D) ->
    {ok, Names} = file:list_dir("/proc/" ++ integer_to_list(raw_client:os_pid(D)) ++ "/fd"),
    length(Names).
