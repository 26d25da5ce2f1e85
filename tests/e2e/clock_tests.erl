%% SPDX-License-Identifier: Apache-2.0
%% The wall clock is set forward and back by hours while the daemon runs (tests/preload/wall_clock.c): nothing comes early or late, and what drivers are told follows.
%% A wait of the daemon's that went by the wall clock would end it.
-module(clock_tests).
-include_lib("eunit/include/eunit.hrl").
-import(raw_client, [connect/1, send/2, next/1, open/3, control/3, request/2, eventually/1, logged/2]).

-define(HOUR, 3600).
-define(COOKIE, <<"a cookie of the clock test">>).

timers_go_off_when_they_should_test_() ->
    with_clock([], fun(D, Set) ->
        S = connect(D),
        ok = open(S, 1, "timer_probe_drv"),
        Begin = now_ms(),
        <<"0">> = bin(control(S, 1, "set 700")),
        Set(5 * ?HOUR),
        ?assertEqual({ok, pong}, request(connect(D), {ping, 1})),
        ?assertMatch(<<"0 some">>, bin(control(S, 1, "read"))),
        Set(-5 * ?HOUR),
        ?assertMatch(<<"0 some">>, bin(control(S, 1, "read"))),
        {send, _, {{port, 1}, {data, <<"timeout">>}}} = raw_client:until(S, fun(F) -> element(1, F) =:= send end),
        ?assert(now_ms() - Begin >= 700)
    end).

connections_and_ports_come_and_go_while_it_jumps_test_() ->
    with_clock([], fun(D, Set) ->
        Jumper = spawn_link(fun() -> jump(Set, 1) end),
        Timers = connect(D),
        [ok = open(Timers, N, "timer_probe_drv") || N <- lists:seq(1, 50)],
        [send(Timers, {control, N, N, self(), 0, "set " ++ integer_to_list(N * 10)}) || N <- lists:seq(1, 50)],
        [begin
             S = connect(D),
             ok = open(S, 1, "echo_drv"),
             send(S, {command, 1, self(), <<"hello">>}),
             {send, _, {{port, 1}, {data, <<"hello">>}}} = raw_client:until(S, fun(F) -> element(1, F) =:= send end),
             gen_tcp:close(S)
         end
         || _ <- lists:seq(1, 100)],
        Rung = [begin {send, _, {{port, N}, {data, <<"timeout">>}}} = raw_client:until(Timers, fun(F) -> element(1, F) =:= send end), N end || _ <- lists:seq(1, 50)],
        ?assertEqual(lists:seq(1, 50), lists:sort(Rung)),
        unlink(Jumper),
        exit(Jumper, kill),
        eventually(fun() -> raw_client:stats(Timers, [connections, ports]) =:= [1, 50] end)
    end).

jump(Set, Sign) ->
    Set(Sign * 3 * ?HOUR),
    timer:sleep(7),
    jump(Set, -Sign).

%% driver_get_now never goes back, as the VM's does not; system time does.
what_drivers_are_told_follows_test_() ->
    with_clock([], fun(D, Set) ->
        S = connect(D),
        ok = open(S, 1, "system_probe_drv"),
        Clocks = fun() -> [binary_to_integer(N) || N <- binary:split(bin(control(S, 1, "clocks")), <<" ">>, [global])] end,
        [System, Now, Wall] = Clocks(),
        ?assert(near(System, Wall) andalso near(Now, Wall) andalso near(Wall, os:system_time(second))),
        Set(7 * ?HOUR),
        [System2, Now2, Wall2] = Clocks(),
        ?assert(near(Wall2, Wall + 7 * ?HOUR) andalso near(System2, Wall2) andalso near(Now2, Wall2)),
        Set(-7 * ?HOUR),
        [System3, Now3, Wall3] = Clocks(),
        ?assert(near(Wall3, Wall - 7 * ?HOUR) andalso near(System3, Wall3) andalso Now3 >= Now2 andalso near(Now3, Now2)),
        Set(8 * ?HOUR),
        [_, Now4, Wall4] = Clocks(),
        ?assert(near(Now4, Wall4)),
        ?assertMatch(<<"monotonic system time error">>, bin(control(S, 1, "time")))
    end).

near(A, B) ->
    abs(A - B) =< 60.

who_has_said_no_hello_has_his_time_and_no_more_test_() ->
    with_clock(["\"hello_s\": 3"], fun(D, Set) ->
        InTime = tcp(D, 1),
        Set(6 * ?HOUR),
        timer:sleep(200),
        send(InTime, {hello, 1, #{auth => crypto:strong_rand_bytes(32)}}),
        ?assertMatch({challenge, _}, next(InTime)),
        Silent = tcp(D, 2),
        Set(-6 * ?HOUR),
        ?assertMatch({goodbye, hello_timeout, _}, next(Silent))
    end).

an_address_that_fails_is_not_forgotten_test_() ->
    with_clock([], fun(D, Set) ->
        Wait = fun() ->
            S = tcp(D, 1),
            Begin = now_ms(),
            send(S, {hello, 1, #{}}),
            {goodbye, auth_required, _} = next(S),
            now_ms() - Begin
        end,
        ?assert(Wait() >= 490),
        Set(24 * ?HOUR),
        ?assert(Wait() >= 990),
        Set(-24 * ?HOUR),
        ?assert(Wait() >= 1990)
    end).

the_watchdog_is_told_that_it_lives_test_() ->
    {timeout, 60, fun() ->
        Dir = temporary(),
        {ok, Told} = socket:open(local, dgram),
        ok = socket:bind(Told, #{family => local, path => filename:join(Dir, "notify")}),
        [os:putenv(K, V) || {K, V} <- [{"NOTIFY_SOCKET", filename:join(Dir, "notify")}, {"WATCHDOG_USEC", "300000"}]],
        {D, Set} = start(Dir, []),
        [os:unsetenv(K) || K <- ["NOTIFY_SOCKET", "WATCHDOG_USEC"]],
        [begin
             Set(Hours * ?HOUR),
             drain(Told),
             [pinged(Told) || _ <- [1, 2, 3]]
         end
         || Hours <- [10, -10, 0]],
        ?assertEqual(0, raw_client:stop(D)),
        ok = socket:close(Told),
        ok = file:del_dir_r(Dir)
    end}.

drain(Socket) ->
    case socket:recv(Socket, 0, nowait) of
        {ok, _} -> drain(Socket);
        {select, Info} -> socket:cancel(Socket, Info)
    end.

pinged(Socket) ->
    {ok, Text} = socket:recv(Socket, 0, 10000),
    string:find(Text, "WATCHDOG=1") =/= nomatch orelse pinged(Socket).

%% A port that has something to write still when the daemon is to end, and never writes it.
the_end_takes_as_long_as_it_may_test_() ->
    with_clock([], ", \"shutdown_s\": 1", fun(D, Set) ->
        S = connect(D),
        ok = open(S, 1, "place_probe_drv"),
        {ok, _} = request(S, {control, tag, 1, self(), 3, <<"kept">>}),
        Begin = now_ms(),
        os:cmd("kill " ++ integer_to_list(raw_client:os_pid(D))),
        Set(-9 * ?HOUR),
        logged(D, "ports have not come to their end and are abandoned"),
        ?assert(now_ms() - Begin >= 1000)
    end).

%% --- helpers ---

with_clock(Limits, Test) ->
    with_clock(Limits, "", Test).

%% An EUnit test with a daemon that must have ended well afterwards, and a function that sets its clock, to so many seconds off.
with_clock(Limits, More, Test) ->
    {timeout, 60, fun() ->
        Dir = temporary(),
        {D, Set} = start(Dir, Limits, More),
        try Test(D, Set) after ?assertEqual(0, raw_client:stop(D)) end,
        ok = file:del_dir_r(Dir)
    end}.

start(Dir, Limits) ->
    start(Dir, Limits, "").

start(Dir, Limits, More) ->
    [Config, Cookie, Clock] = [filename:join(Dir, F) || F <- ["config", "cookie", "clock"]],
    ok = file:write_file(Config, ["{\"limits\": {", Limits, "}", More, "}"]),
    ok = file:write_file(Cookie, ?COOKIE),
    ok = file:change_mode(Cookie, 8#600),
    ok = file:write_file(Clock, <<0:64>>),
    [os:putenv(K, V) || {K, V} <- [{"LD_PRELOAD", filename:join([beside(), "tests", "preload", "wall_clock.so"])}, {"WALL_CLOCK", Clock}]],
    D = raw_client:start(["--config", Config, "--tcp", "127.0.0.1:0", "--cookie-file", Cookie]),
    [os:unsetenv(K) || K <- ["LD_PRELOAD", "WALL_CLOCK"]],
    logged(D, "listening on tcp"),
    {match, [Number]} = re:run(raw_client:log(D), "listening on tcp .*:([0-9]+)", [{capture, all_but_first, list}]),
    {D#{tcp => list_to_integer(Number)}, fun(Seconds) -> set(Clock, Seconds) end}.

set(Clock, Seconds) ->
    {ok, File} = file:open(Clock, [write, read, raw, binary]),
    ok = file:pwrite(File, 0, <<Seconds:64/native-signed>>),
    ok = file:close(File).

beside() ->
    filename:dirname(filename:absname(os:getenv("PORTHOSTD", "build/porthostd"))).

temporary() ->
    Dir = filename:join(os:getenv("TMPDIR", "/tmp"), lists:concat(["porthost-clock-", os:getpid(), "-", erlang:unique_integer([positive])])),
    ok = file:make_dir(Dir),
    Dir.

tcp(#{tcp := Number}, N) ->
    {ok, S} = gen_tcp:connect({127, 0, 0, 1}, Number, [binary, {packet, 4}, {active, false}, {ip, {127, 0, 1, N}}]),
    S.

now_ms() ->
    erlang:monotonic_time(millisecond).

bin(Text) ->
    iolist_to_binary(Text).
