%% SPDX-License-Identifier: Apache-2.0
%% What the configuration limits, and what it says about single drivers, against real daemons: each limit has its refusal and its counter.
%%
%% Run from the top directory; PORTHOSTD is the daemon (default build/porthostd), example drivers are in drivers beside it and probe
%% drivers in tests/drivers. Each test has a daemon of its own that listens on a unix socket.
-module(limits_tests).
-include_lib("eunit/include/eunit.hrl").

-define(TIMEOUT, 10000).

-record(daemon, {port, pid, dir, socket}).

%% Limits.

connections_test_() ->
    with("{\"connections\": 2}", fun(D) ->
        A = connected(D),
        B = connected(D),
        C = raw(D),
        ?assertEqual({error, closed}, gen_tcp:recv(C, 0, ?TIMEOUT)),
        met(A, limit_connections, 1),
        gen_tcp:close(B),
        ?assert(await(fun() -> S = raw(D), gen_tcp:send(S, term_to_binary({hello, 1, #{}})) =:= ok andalso first(S) =/= closed end))
    end).

ports_per_connection_test_() ->
    with("{\"ports_per_connection\": 2}", fun(D) ->
        S = connected(D),
        [?assertMatch({ok, _, _}, open(S, Id, "echo_drv")) || Id <- [1, 2]],
        ?assertEqual({error, 3, system_limit}, open(S, 3, "echo_drv")),
        met(S, limit_ports_per_connection, 1),
        ?assertMatch({ok, _, _}, open(connected(D), 1, "echo_drv")),
        ?assertEqual({ok, tag, true}, request(S, {close, tag, 1, self()})),
        ?assertMatch({ok, _, _}, open(S, 4, "echo_drv"))
    end).

%% Those that a driver creates count, too.
created_ports_test_() ->
    [with(["{\"ports_per_connection\": ", Ports, "}"], ["{\"child_probe_drv\": {\"max_ports\": ", OfDriver, "}}"], fun(D) ->
         S = connected(D),
         {ok, _, _} = open(S, 1, "child_probe_drv"),
         send(S, {grant, [{2, two}, {3, three}]}),
         {ok, tag, "created" ++ _} = request(S, {control, tag, 1, self(), 0, "create"}),
         ?assertEqual({ok, tag, "failed"}, request(S, {control, tag, 1, self(), 0, "create"})),
         met(S, Counter, 1)
     end)
     || {Ports, OfDriver, Counter} <- [{"2", "10", limit_ports_per_connection}, {"10", "2", limit_driver_ports}]].

%% A grant is used up by a port only.
a_port_that_cannot_be_created_leaves_its_grant_test_() ->
    [with(["{", Limits, "}"], ["{\"child_probe_drv\": {\"max_ports\": ", OfDriver, "}}"], fun(D) ->
         S = connected(D),
         {ok, _, _} = open(S, 1, "child_probe_drv"),
         send(S, {grant, [{2, two}, {3, three}]}),
         Create = fun(Name) -> request(S, {control, tag, 1, self(), 0, "create " ++ Name}) end,
         ?assertMatch({ok, tag, "created" ++ _}, Create("kid")),
         [?assertEqual({ok, tag, "failed"}, Create(Long)) || _ <- lists:seq(1, 3)],
         ?assertEqual({ok, tag, true}, request(S, {close, tag, 2, self()})),
         ?assertMatch({ok, tag, "created" ++ _}, Create("kid")),
         ?assertMatch({ok, tag, "child"}, request(S, {control, tag, 3, self(), 0, "kind"}))
     end)
     || {Limits, OfDriver, Long} <- [{"\"ports_per_connection\": 2", "10", "kid"}, {"", "2", "kid"},
                                     {"\"kept_bytes\": 65536", "10", lists:duplicate(70000, $x)}]].

loaded_drivers_test_() ->
    with("{\"loaded_drivers\": 1}", fun(D) ->
        S = connected(D),
        ?assertMatch({ok, _, _}, open(S, 1, "echo_drv")),
        ?assertEqual({error, 2, system_limit}, open(S, 2, "crunch_drv")),
        ?assertEqual({error, tag, system_limit}, request(S, {load, tag, self(), make_ref(), "", "crunch_drv", []})),
        ?assertMatch({ok, _, _}, open(S, 3, "echo_drv")),
        ?assertEqual({ok, tag, ["echo_drv"]}, request(S, {drivers, tag})),
        met(S, limit_loaded_drivers, 2)
    end).

frame_bytes_test_() ->
    with("{\"frame_bytes\": 2000}", fun(D) ->
        S = connected(D),
        ?assertMatch({hello, 1, #{max_frame := 2000}}, hello(raw(D))),
        Most = 2000 - byte_size(term_to_binary({x, <<>>})),
        send(S, {x, binary:copy(<<0>>, Most)}),
        ?assertMatch({fault, bad_tag, _}, first(S)),
        send(S, {x, binary:copy(<<0>>, Most + 1)}),
        ?assertMatch({goodbye, frame_too_large, _}, first(S)),
        met(connected(D), limit_frame_bytes, 1)
    end).

term_depth_test_() ->
    with("{\"term_depth\": 20}", fun(D) ->
        S = connected(D),
        ?assertMatch({hello, 1, #{max_depth := 20}}, hello(raw(D))),
        ?assertMatch({ok, _, pong}, request(S, {ping, nested(17)})),
        send(S, {ping, nested(18)}),
        ?assertMatch({ok, _, pong}, first(S)),
        send(S, {ping, nested(19)}),
        ?assertMatch({goodbye, bad_term, _}, first(S)),
        met(connected(D), limit_term_depth, 1)
    end).

port_queue_bytes_test_() ->
    with("{\"port_queue_bytes\": 65536}", fun(D) ->
        S = connected(D),
        {ok, _, _} = open(S, 1, "place_probe_drv"),
        ?assertEqual({ok, tag, "0"}, request(S, {control, tag, 1, self(), 3, binary:copy(<<"x">>, 6553)})),
        ?assertEqual({ok, tag, "10"}, request(S, {control, tag, 1, self(), 3, binary:copy(<<"x">>, 6553)})),
        ?assertEqual({exit, 1, system_limit}, event(S, exit)),
        ?assertEqual({closed, 1}, event(S, closed)),
        met(S, limit_port_queue_bytes, 1)
    end).

the_log_tells_which_limit_the_queue_had_test() ->
    D = raw_client:start_configured(fun(_, Socket) ->
        ["{\"listeners\": [{\"unix\": \"", Socket, "\"}], \"driver_path\": [\"", hd(raw_client:driver_path()), "\"], \"limits\": {\"port_queue_bytes\": 65536}}"]
    end),
    S = raw_client:connect(D),
    ok = raw_client:open(S, 1, "delay_drv"),
    raw_client:send(S, {command, 1, self(), binary:copy(<<"x">>, 70000)}),
    ok = raw_client:logged(D, "the driver queue is at its limit of 65536 bytes: the port ends"),
    ?assertEqual(0, raw_client:stop(D)).

%% A busy port keeps what it is sent, and the connection is not read when that is too much; others go on.
request_bytes_test_() ->
    with("{\"request_bytes\": 100000}", fun(D) ->
        S = connected(D),
        {ok, _, _} = open(S, 1, "busy_probe_drv"),
        {ok, tag, _} = request(S, {control, tag, 1, self(), 0, "busy 1"}),
        [send(S, {command, 1, self(), binary:copy(<<"x">>, 50000)}) || _ <- [1, 2, 3]],
        send(S, {ping, held_back}),
        Other = connected(D),
        met(Other, limit_request_bytes, 1),
        ?assertEqual({error, timeout}, gen_tcp:recv(S, 0, 100))
    end).

%% A client that does not read what it asks for, until it is held back. What it gets when it does is complete.
unsent_pause_bytes_test_() ->
    with("{\"unsent_pause_bytes\": 65536}", fun(D) ->
        S = connected(D),
        {ok, _, _} = open(S, 1, "echo_drv", [binary]),
        Data = binary:copy(<<"x">>, 50000),
        spawn(fun() -> [send(S, {command, 1, self(), Data}) || _ <- lists:seq(1, 200)] end),
        ?assert(await(fun() -> stat(connected(D), limit_unsent_pause_bytes) > 0 end)),
        [?assertMatch({send, _, {1, {data, Data}}}, event(S, send)) || _ <- lists:seq(1, 200)]
    end).

%% By a driver that produces more in one callback than may wait.
unsent_bytes_test_() ->
    with("{\"unsent_pause_bytes\": 100000, \"unsent_bytes\": 200000}", "{\"place_probe_drv\": {\"worker\": \"never\"}}", fun(D) ->
        S = connected(D),
        {ok, _, _} = open(S, 1, "place_probe_drv", [binary]),
        ?assertEqual({ok, tag, "0"}, request(S, {control, tag, 1, self(), 4, binary:copy(<<"x">>, 10000)})),
        send(S, {control, tag, 1, self(), 4, binary:copy(<<"x">>, 50000)}),
        ?assertEqual(closed, last(S)),
        met(connected(D), limit_unsent_bytes, 1)
    end).

kept_bytes_test_() ->
    with("{\"kept_bytes\": 65536}", fun(D) ->
        S = connected(D),
        {ok, _, _} = open(S, 1, "echo_drv"),
        ?assertEqual({ok, tag, true}, request(S, {set_data, tag, 1, binary:copy(<<"x">>, 60000)})),
        ?assertEqual({error, tag, system_limit}, request(S, {set_data, tag, 1, binary:copy(<<"x">>, 70000)})),
        met(S, limit_kept_bytes, 1)
    end).

%% What a start cuts off from its command is given back with the rest.
bytes_of_commands_are_given_back_test_() ->
    with("{\"kept_bytes\": 65536}", fun(D) ->
        S = connected(D),
        Long = "start_probe_drv cut " ++ lists:duplicate(30000, $x),
        [begin
             ?assertMatch({ok, I, _}, open(S, I, Long)),
             ?assertEqual({ok, tag, true}, request(S, {close, tag, I, self()}))
         end
         || I <- lists:seq(1, 5)]
    end).

new_names_test_() ->
    with("{\"new_names\": 4}", fun(D) ->
        S = connected(D),
        Answers = [request(S, {close, I, 1, pid_of(I)}) || I <- lists:seq(1, 10)],
        ?assertMatch({error, 1, badarg}, hd(Answers)),
        ?assertMatch({error, 10, {bad_request, close, 4}}, lists:last(Answers)),
        ?assert(stat(S, limit_new_names) > 0)
    end).

max_ports_test_() ->
    with("{}", "{\"echo_drv\": {\"max_ports\": 2}}", fun(D) ->
        [A, B] = [connected(D), connected(D)],
        ?assertMatch({ok, _, _}, open(A, 1, "echo_drv")),
        ?assertMatch({ok, _, _}, open(B, 1, "echo_drv")),
        ?assertEqual({error, 2, system_limit}, open(A, 2, "echo_drv")),
        ?assertMatch({ok, _, _}, open(A, 3, "crunch_drv")),
        met(A, limit_driver_ports, 1),
        ?assertEqual({ok, tag, 2}, request(A, {driver_info, tag, "echo_drv", port_count})),
        ?assertEqual({ok, tag, true}, request(B, {close, tag, 1, self()})),
        ?assertMatch({ok, _, _}, open(A, 2, "echo_drv"))
    end).

%% Settings of drivers.

%% ("auto" without parallelism may be either: a loaded machine makes any driver slow.)
worker_test_() ->
    [with("{}", ["{\"place_probe_drv\": {\"worker\": \"", Setting, "\"}}"], fun(D) ->
         S = connected(D),
         {ok, _, _} = open(S, 1, "place_probe_drv", [{parallelism, Parallel}]),
         {ok, tag, Thread} = request(S, {control, tag, 1, self(), 0, ""}),
         ?assertEqual({Setting, Parallel, Worker}, {Setting, Parallel, lists:prefix("worker-", Thread)})
     end)
     || {Setting, Parallel, Worker} <- [{"auto", true, true}, {"always", false, true}, {"always", true, true},
                                        {"never", false, false}, {"never", true, false}]].

%% Two ports of a driver that declares port locking.
lock_test_() ->
    [with("{}", ["{\"place_probe_drv\": {\"worker\": \"always\", \"lock\": \"", Lock, "\"}}"], fun(D) ->
         S = connected(D),
         [{ok, _, _} = open(S, Id, "place_probe_drv") || Id <- [1, 2]],
         ?assertEqual({ok, tag, Level}, request(S, {info, tag, 1, locking})),
         [send(S, {control, Id, Id, self(), 2, ""}) || Id <- [1, 2]],
         ?assertEqual([Meeting, Meeting], [begin {ok, _, Text} = event(S, ok), Text end || _ <- [1, 2]])
     end)
     || {Lock, Level, Meeting} <- [{"declared", port_level, "met"}, {"driver", driver_level, "alone"}]].

%% The same key of two drivers: with keys of its own the second is on another thread (with this number of threads), in the same order.
async_keys_test_() ->
    [with("{}", ["{\"place_probe_drv\": {\"async_keys\": \"", Keys, "\"}}"], ", \"async_threads\": 7", fun(D) ->
         S = connected(D),
         {ok, _, _} = open(S, 1, "place_probe_drv"),
         Threads = [async_thread(S, Key) || Key <- [0, 1, 2]],
         ?assertEqual(Keys =:= "shared", Threads =:= ["async-0", "async-1", "async-2"]),
         ?assertEqual(3, length(lists:usort(Threads))),
         ?assertEqual({ok, tag, "1"}, request(S, {control, tag, 1, self(), 1, "8"}))
     end)
     || Keys <- ["shared", "own"]].

async_thread(S, Key) ->
    {ok, tag, _} = request(S, {control, tag, 1, self(), 1, integer_to_list(Key)}),
    {send, _, {_, {data, Where}}} = event(S, send),
    hd(string:split(Where, " ")).

%% Threads.

threads_test_() ->
    with("{}", "{}", ", \"reactors\": 1, \"workers\": 3, \"async_threads\": 5, \"stack_kib\": {\"async\": 2048, \"worker\": 512}", fun(D) ->
        S = connected(D),
        ?assertEqual({3, 5}, {stat(S, worker_threads), stat(S, async_threads)}),
        {ok, _, _} = open(S, 1, "place_probe_drv", [{parallelism, true}]),
        {ok, tag, Worker} = request(S, {control, tag, 1, self(), 0, ""}),
        ?assertMatch({"worker-" ++ _, KiB} when KiB >= 512 andalso KiB < 2048, name_and_stack(Worker)),
        {ok, tag, _} = request(S, {control, tag, 1, self(), 1, "0"}),
        {send, _, {_, {data, Async}}} = event(S, send),
        ?assertMatch({"async-0", KiB} when KiB >= 2048 andalso KiB < 4096, name_and_stack(Async))
    end).

%% (A sanitizer adds to the stack.)
name_and_stack(Where) ->
    [Name, KiB] = string:split(Where, " "),
    {Name, list_to_integer(KiB)}.

without_async_threads_jobs_run_at_once_test_() ->
    with("{}", "{}", ", \"async_threads\": 0", fun(D) ->
        S = connected(D),
        {ok, _, _} = open(S, 1, "place_probe_drv", [{parallelism, true}]),
        send(S, {control, tag, 1, self(), 1, "0"}),
        ?assertMatch({send, _, {_, {data, "worker-" ++ _}}}, event(S, send))
    end).

%% The daemon.

with(Limits, Test) ->
    with(Limits, "{}", Test).

with(Limits, Drivers, Test) ->
    with(Limits, Drivers, "", Test).

with(Limits, Drivers, More, Test) ->
    {lists:flatten([Limits, " ", Drivers, More]), {timeout, 60, fun() ->
        D = start(Limits, Drivers, More),
        try Test(D)
        after
            stop(D)
        end
    end}}.

start(Limits, Drivers, More) ->
    Dir = filename:join(os:getenv("TMPDIR", "/tmp"), lists:concat(["porthost-limits-", os:getpid(), "-", erlang:unique_integer([positive])])),
    ok = file:make_dir(Dir),
    Socket = filename:join(Dir, "socket"),
    Config = filename:join(Dir, "porthostd.json"),
    Build = filename:dirname(filename:absname(os:getenv("PORTHOSTD", "build/porthostd"))),
    ok = file:write_file(Config, ["{\"listeners\": [{\"unix\": \"", Socket, "\"}], \"driver_path\": [\"", Build, "/drivers\", \"", Build,
                                  "/tests/drivers\"], \"limits\": ", Limits, ", \"drivers\": ", Drivers, More, "}"]),
    Port = open_port({spawn_executable, filename:join(Build, "porthostd")},
                     [{args, ["--config", Config, "--log-level", "error"]}, exit_status, stderr_to_stdout, binary]),
    {os_pid, Pid} = erlang:port_info(Port, os_pid),
    D = #daemon{port = Port, pid = Pid, dir = Dir, socket = Socket},
    ?assert(await(fun() -> filelib:last_modified(Socket) =/= 0 end)),
    D.

stop(#daemon{port = Port, pid = Pid, dir = Dir}) ->
    os:cmd(lists:concat(["kill -TERM ", Pid])),
    receive {Port, {exit_status, Status}} -> ?assertEqual(0, Status) after ?TIMEOUT -> os:cmd(lists:concat(["kill -KILL ", Pid])), error(no_end) end,
    ok = file:del_dir_r(Dir).

await(Fun) -> await(Fun, erlang:monotonic_time(millisecond) + ?TIMEOUT).

await(Fun, End) ->
    Fun() orelse (erlang:monotonic_time(millisecond) < End andalso begin timer:sleep(20), await(Fun, End) end).

%% Connections.

%% There is a moment between the socket's file and its listening.
raw(#daemon{socket = Socket} = D) ->
    case gen_tcp:connect({local, Socket}, 0, [binary, {active, false}, {packet, 4}]) of
        {ok, S} -> S;
        {error, econnrefused} -> timer:sleep(10), raw(D)
    end.

hello(S) ->
    send(S, {hello, 1, #{}}),
    first(S).

connected(D) ->
    S = raw(D),
    {hello, 1, _} = hello(S),
    S.

send(S, Term) ->
    ok = gen_tcp:send(S, term_to_binary(Term)).

first(S) ->
    case gen_tcp:recv(S, 0, ?TIMEOUT) of
        {ok, Frame} -> binary_to_term(Frame);
        {error, closed} -> closed
    end.

%% What comes when all frames have been read.
last(S) ->
    case first(S) of
        Term when is_tuple(Term) -> last(S);
        End -> End
    end.

%% The next frame of that kind; others are dropped.
event(S, Kind) ->
    case first(S) of
        Term when element(1, Term) =:= Kind -> Term;
        Term when is_tuple(Term) -> event(S, Kind)
    end.

%% The reply to the request, which has a tag.
request(S, Request) ->
    send(S, Request),
    reply(S, element(2, Request)).

reply(S, Tag) ->
    case first(S) of
        {Kind, Tag, _} = Reply when Kind =:= ok; Kind =:= error -> Reply;
        Term when is_tuple(Term) -> reply(S, Tag)
    end.

open(S, Id, Driver) ->
    open(S, Id, Driver, []).

open(S, Id, Driver, Options) ->
    request(S, {open, Id, Id, Id, self(), Driver, Options}).

stat(S, Name) ->
    {ok, stats, Stats} = request(S, {stats, stats}),
    maps:get(Name, Stats).

met(S, Counter, Times) ->
    ?assert(await(fun() -> stat(S, Counter) =:= Times end)).

nested(0) -> [];
nested(N) -> [nested(N - 1)].

%% A pid of another node.
pid_of(I) ->
    Node = list_to_binary(lists:concat(["n", I, "@host"])),
    binary_to_term(<<131, 88, 119, (byte_size(Node)), Node/binary, 1:32, 0:32, 1:32>>).
