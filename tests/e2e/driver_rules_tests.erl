%% SPDX-License-Identifier: Apache-2.0
%% Rules of the driver interface that the VM cannot be asked about: functions it no longer has, handles and threads that it takes no
%% care of, large maps from threads, which it crashes on, and what only a daemon has: several connections, and nodes, at once.
%%
%% Runs if the environment variable PORTHOSTD names the daemon. The probe drivers are in the directory drivers beside this module's.
-module(driver_rules_tests).

-include_lib("eunit/include/eunit.hrl").

-export([wait/0]).

%% A test: its own daemon as a child, the default host; or a daemon with a unix socket and nobody connected yet.
-define(HOSTED(Body), tested(fun() -> hosted(fun() -> Body end) end)).
-define(SERVED(Daemon, Body), tested(fun() -> served(fun(Daemon) -> Body end) end)).

-record(daemon, {socket, drivers, os_pid}).

tested(Test) ->
    case os:getenv("PORTHOSTD") of
        false -> [];
        _ -> {timeout, 120, Test}
    end.

program() ->
    filename:absname(os:getenv("PORTHOSTD")).

drivers() ->
    Ebin = filename:dirname(code:which(?MODULE)),
    filename:join(filename:dirname(filename:absname(Ebin)), "drivers").

%% ---- daemons ---------------------------------------------------------------

%% In a process of its own: messages of ports that come late disturb no other test.
apart(Fun) ->
    {Pid, Ref} = spawn_monitor(fun() -> process_flag(trap_exit, true), exit({done, Fun()}) end),
    receive
        {'DOWN', Ref, process, Pid, {done, _}} -> ok;
        {'DOWN', Ref, process, Pid, Why} -> erlang:error(Why)
    end.

hosted(Test) ->
    apart(fun() ->
                  {ok, Host} = porthost:start(#{transport => {spawn, program() ++ " --stdio"}, name => porthost}),
                  try Test(), ?assert(is_process_alive(Host))
                  after catch porthost:stop(Host)
                  end
          end).

served(Test) ->
    apart(fun() ->
                  Name = lists:concat(["rules-", os:getpid(), "-", erlang:unique_integer([positive])]),
                  Dir = filename:join(os:getenv("TMPDIR", "/tmp"), Name),
                  ok = file:make_dir(Dir),
                  ok = file:change_mode(Dir, 8#700),
                  {Port, Daemon} = start_daemon(Dir),
                  try Test(Daemon)
                  after
                      [catch porthost:stop(Host) || Host <- [host_a, host_b, host_c]],
                      Status = stop_daemon(Port, Daemon),
                      file:del_dir_r(Dir),
                      ?assertEqual(0, Status)
                  end
          end).

%% A connection that is not trusted loads from directories and files that only the daemon's user may write.
start_daemon(Dir) ->
    Drivers = filename:join(Dir, "drivers"),
    ok = file:make_dir(Drivers),
    ok = file:change_mode(Drivers, 8#755),
    [copy(Drivers, Name) || Name <- ["monitor_probe_drv.so", "term_probe_drv.so", "start_probe_drv.so", "reload_probe_drv.so"]],
    Socket = filename:join(Dir, "socket"),
    Port = open_port({spawn_executable, program()}, [{args, ["--unix", Socket, "--driver-path", Drivers]}, exit_status, binary]),
    {os_pid, OsPid} = erlang:port_info(Port, os_pid),
    Daemon = #daemon{socket = Socket, drivers = Drivers, os_pid = OsPid},
    until(fun() ->
                  case gen_tcp:connect({local, Socket}, 0, [local]) of
                      {ok, S} -> gen_tcp:close(S), true;
                      {error, _} -> false
                  end
          end),
    {Port, Daemon}.

copy(Dir, Name) ->
    To = filename:join(Dir, Name),
    {ok, _} = file:copy(filename:join(drivers(), Name), To),
    ok = file:change_mode(To, 8#755).

%% One that has crashed has told so already.
stop_daemon(Port, #daemon{os_pid = OsPid}) ->
    erlang:port_info(Port) =:= undefined orelse os:cmd("kill -TERM " ++ integer_to_list(OsPid)),
    receive {Port, {exit_status, Status}} -> Status after 20000 -> still_there end.

%% A host in this node.
connect(#daemon{socket = Socket}, Name) ->
    {ok, Host} = porthost:start(#{transport => {unix, Socket}, name => Name}),
    Host.

%% ---- helpers ---------------------------------------------------------------

until(Condition) ->
    until(Condition, erlang:monotonic_time(millisecond) + 10000).

until(Condition, End) ->
    case Condition() of
        true -> ok;
        false ->
            ?assert(erlang:monotonic_time(millisecond) < End),
            timer:sleep(5),
            until(Condition, End)
    end.

next() ->
    receive Message -> Message after 10000 -> nothing end.

load(Driver) ->
    ok = porthost_ddll:load(drivers(), Driver).

open(Command) ->
    porthost:open_port({spawn_driver, Command}, []).

do(Port, Action) ->
    porthost:port_control(Port, 0, Action).

%% ---- driver_async_cancel ---------------------------------------------------

await_counts(Port, Job, Counts) ->
    until(fun() -> do(Port, ["counts ", Job]) =:= Counts end).

a_queued_job_is_cancelled_and_freed_once_test_() ->
    ?HOSTED(begin
        load("r12_probe_drv"),
        P = open("r12_probe_drv"),
        [?assertEqual("positive", do(P, ["job ", J])) || J <- ["1", "2", "3"]],
        await_counts(P, "1", "invoked 1 ended 0 ready 0 freed 0"),
        ?assertEqual("1", do(P, "cancel 2")),
        ?assertEqual("invoked 0 ended 0 ready 0 freed 1", do(P, "counts 2")),
        ?assertEqual("0", do(P, "cancel 2")),
        do(P, "gate open"),
        await_counts(P, "3", "invoked 1 ended 1 ready 1 freed 0"),
        await_counts(P, "1", "invoked 1 ended 1 ready 1 freed 0"),
        ?assertEqual("invoked 0 ended 0 ready 0 freed 1", do(P, "counts 2"))
    end).

a_job_that_runs_or_is_done_is_not_cancelled_test_() ->
    ?HOSTED(begin
        load("r12_probe_drv"),
        P = open("r12_probe_drv"),
        do(P, "job 1"),
        await_counts(P, "1", "invoked 1 ended 0 ready 0 freed 0"),
        ?assertEqual("0", do(P, "cancel 1")),
        do(P, "gate open"),
        await_counts(P, "1", "invoked 1 ended 1 ready 1 freed 0"),
        ?assertEqual("0", do(P, "cancel 1")),
        ?assertEqual("0 0 0 0", do(P, "cancel_nothing")),
        ?assertEqual("invoked 1 ended 1 ready 1 freed 0", do(P, "counts 1"))
    end).

a_job_of_a_port_that_is_gone_is_cancelled_too_test_() ->
    ?HOSTED(begin
        load("r12_probe_drv"),
        P = open("r12_probe_drv"),
        K = open("r12_probe_drv"),
        [do(P, ["job ", J]) || J <- ["1", "2", "3"]],
        await_counts(P, "1", "invoked 1 ended 0 ready 0 freed 0"),
        porthost:port_close(P),
        ?assertEqual("1", do(K, "cancel 2")),
        ?assertEqual("invoked 0 ended 0 ready 0 freed 1", do(K, "counts 2")),
        do(K, "gate open"),
        await_counts(K, "1", "invoked 1 ended 1 ready 0 freed 1"),
        await_counts(K, "3", "invoked 1 ended 1 ready 0 freed 1"),
        %% Nothing holds the driver any more.
        porthost:port_close(K),
        ?assertEqual(ok, porthost_ddll:unload_driver("r12_probe_drv")),
        ?assertEqual({ok, []}, porthost_ddll:loaded_drivers())
    end).

driver_event_says_that_it_cannot_test_() ->
    ?HOSTED(begin
        load("r12_probe_drv"),
        ?assertEqual("-1 -1", do(open("r12_probe_drv"), "event"))
    end).

a_port_has_a_text_for_tracing_test_() ->
    ?HOSTED(begin
        load("r12_probe_drv"),
        P = open("r12_probe_drv"),
        {id, Id} = porthost:port_info(P, id),
        ?assertEqual(lists:concat(["#Port<0.", Id, "> #Port<0.0>"]), do(P, "text"))
    end).

%% ---- handles and threads ---------------------------------------------------

%% The port that was used wrongly is as it was.
assert_untouched(Port) ->
    ?assertEqual("0 0", do(Port, "alive")),
    ?assertEqual({Port, {data, "alive"}}, next()),
    ?assertEqual({os_pid, undefined}, porthost:port_info(Port, os_pid)),
    ?assertEqual({queue_size, 0}, porthost:port_info(Port, queue_size)),
    ?assertEqual({monitors, []}, porthost:port_info(Port, monitors)),
    ?assertEqual(true, porthost:port_command(Port, "x", [nosuspend])),
    ?assertEqual(nothing, receive M -> M after 20 -> nothing end).

a_port_that_is_gone_is_refused_from_a_callback_of_another_port_test_() ->
    ?HOSTED(begin
        load("stale_probe_drv"),
        P = open("stale_probe_drv"),
        Q = open("stale_probe_drv"),
        porthost:port_close(P),
        {'EXIT', P, normal} = next(),
        [?assertEqual("refused", do(Q, "gone")) || _ <- [1, 2]],
        %% Also when its place has been taken.
        New = [open("stale_probe_drv") || _ <- lists:seq(1, 50)],
        ?assertEqual("refused", do(Q, "gone")),
        [assert_untouched(N) || N <- [Q | New]]
    end).

a_port_that_is_gone_is_refused_from_a_thread_test_() ->
    ?HOSTED(begin
        load("stale_probe_drv"),
        P = open("stale_probe_drv"),
        Q = open("stale_probe_drv"),
        porthost:port_close(P),
        {'EXIT', P, normal} = next(),
        ?assertEqual("refused", do(Q, "gone_in_thread")),
        assert_untouched(Q)
    end).

a_port_is_refused_in_a_thread_that_does_not_have_its_lock_test_() ->
    ?HOSTED(begin
        load("stale_probe_drv"),
        P = open("stale_probe_drv"),
        ?assertEqual("refused", do(P, "own_in_thread")),
        assert_untouched(P)
    end).

a_port_is_refused_in_a_callback_with_another_lock_test_() ->
    ?HOSTED(begin
        load("stale_probe_drv"),
        load("stale_locking_probe_drv"),
        P = open("stale_probe_drv"),
        [L, M] = [open("stale_locking_probe_drv") || _ <- [1, 2]],
        [begin
             ?assertEqual("refused", do(From, ["foreign ", do(To, "handle")])),
             assert_untouched(To),
             assert_untouched(From)
         end || {From, To} <- [{L, M}, {L, P}, {P, L}]]
    end).

a_port_that_never_was_is_refused_test_() ->
    ?HOSTED(begin
        load("stale_probe_drv"),
        P = open("stale_probe_drv"),
        ?assertEqual("refused", do(P, "invented")),
        assert_untouched(P)
    end).

two_ports_with_a_lock_for_each_are_in_callbacks_at_once_test_() ->
    ?HOSTED(begin
        load("overlap_locking_probe_drv"),
        Self = self(),
        Ports = [porthost:open_port({spawn_driver, "overlap_locking_probe_drv"}, [{parallelism, true}]) || _ <- [1, 2]],
        [spawn_link(fun() -> Self ! {P, do(P, "meet")} end) || P <- Ports],
        ?assertEqual(["met", "met"], [receive {P, Answer} -> Answer end || P <- Ports])
    end).

%% ---- maps ------------------------------------------------------------------

map_spec(Keys) ->
    term_cases:encode(lists:append([[int, K, int, K * K] || K <- Keys]) ++ [map, length(Keys)]).

sent(Port, Op, Spec) ->
    <<Result:32/signed, References:32>> = porthost:port_control(Port, Op, Spec),
    {Result, References}.

%% Functions 6 and 7 of the probe send in a thread of its own.
large_maps_are_made_in_a_thread_of_the_drivers_test_() ->
    ?HOSTED(begin
        load("term_probe_drv"),
        P = open("term_probe_drv"),
        [begin
             ?assertEqual({1, 0}, sent(P, Op, map_spec(lists:seq(1, N)))),
             ?assertEqual(maps:from_list([{K, K * K} || K <- lists:seq(1, N)]), next())
         end || Op <- [6, 7], N <- [31, 32, 33, 127, 128, 129, 300, 5000]]
    end).

a_key_that_comes_twice_is_refused_in_large_maps_in_threads_test_() ->
    ?HOSTED(begin
        load("term_probe_drv"),
        P = open("term_probe_drv"),
        [?assertEqual({N, {-1, 0}}, {N, sent(P, Op, map_spec(lists:seq(1, N - 1) ++ [N div 2]))})
         || Op <- [6, 7], N <- [33, 129, 300, 5000]],
        ?assertEqual(nothing, receive M -> M after 20 -> nothing end)
    end).

%% ---- several connections ---------------------------------------------------

-define(D, "start_probe_drv").

on(Host, Function, Args) ->
    porthost_ddll:on(Host, Function, Args).

users(Host) ->
    lists:sort(on(Host, info, [?D, processes])).

loaded(Host) ->
    {ok, Drivers} = on(Host, loaded_drivers, []),
    lists:member(?D, Drivers).

connections_that_load_a_driver_are_users_of_their_own_test_() ->
    ?SERVED(Daemon, begin
        [connect(Daemon, Name) || Name <- [host_a, host_b]],
        Load = [Daemon#daemon.drivers, ?D, []],
        Self = self(),
        ?assertEqual({ok, loaded}, on(host_a, try_load, Load)),
        ?assertEqual({ok, already_loaded}, on(host_b, try_load, Load)),
        ?assertEqual({ok, already_loaded}, on(host_b, try_load, Load)),
        ?assertEqual([{Self, 1}, {Self, 2}], users(host_a)),
        ?assertEqual([{Self, 1}, {Self, 2}], users(host_b)),
        ?assertEqual({ok, pending_process}, on(host_a, try_unload, [?D, []])),
        ?assertEqual([{Self, 2}], users(host_a)),
        ?assertEqual({error, not_loaded_by_this_process}, on(host_a, try_unload, [?D, []])),
        P = porthost:open_port(host_a, {spawn_driver, ?D}, []),
        ?assertEqual("port", do(P, "x")),
        porthost:port_close(P),
        ?assertEqual({ok, pending_process}, on(host_b, try_unload, [?D, []])),
        ?assert(loaded(host_a)),
        ?assertEqual({ok, pending_driver}, on(host_b, try_unload, [?D, []])),
        until(fun() -> not loaded(host_a) end)
    end).

ports_of_all_connections_keep_a_driver_test_() ->
    ?SERVED(Daemon, begin
        [connect(Daemon, Name) || Name <- [host_a, host_b]],
        ok = on(host_a, load, [Daemon#daemon.drivers, ?D]),
        [A, B] = [porthost:open_port(Host, {spawn_driver, ?D}, []) || Host <- [host_a, host_b]],
        ?assertEqual(2, on(host_b, info, [?D, port_count])),
        {ok, pending_driver, Ref} = on(host_a, try_unload, [?D, [{monitor, pending}]]),
        porthost:port_close(A),
        ?assertEqual(1, on(host_a, info, [?D, port_count])),
        ?assertEqual("port", do(B, "x")),
        porthost:port_close(B),
        ?assertMatch({'DOWN', Ref, driver, _, unloaded}, receive {'DOWN', _, driver, _, _} = M -> M after 10000 -> nothing end)
    end).

the_last_user_of_one_connection_does_not_kill_ports_while_another_uses_the_driver_test_() ->
    ?SERVED(Daemon, begin
        [connect(Daemon, Name) || Name <- [host_a, host_b]],
        [ok = on(Host, load_driver, [Daemon#daemon.drivers, ?D]) || Host <- [host_a, host_b]],
        P = porthost:open_port(host_b, {spawn_driver, ?D}, []),
        ?assertEqual({ok, pending_process}, on(host_a, try_unload, [?D, [kill_ports]])),
        ?assertEqual("port", do(P, "x")),
        ?assertEqual(ok, on(host_b, unload_driver, [?D])),
        ?assertEqual({'EXIT', P, driver_unloaded}, next())
    end).

a_connection_that_ends_drops_what_it_has_loaded_test_() ->
    ?SERVED(Daemon, begin
        [connect(Daemon, Name) || Name <- [host_a, host_b, host_c]],
        [{ok, _} = on(Host, try_load, [Daemon#daemon.drivers, ?D, []]) || Host <- [host_a, host_b, host_b]],
        [A, B] = [porthost:open_port(Host, {spawn_driver, ?D}, []) || Host <- [host_a, host_b]],
        Self = self(),
        ?assertEqual([{Self, 1}, {Self, 2}], users(host_c)),
        porthost:stop(host_b),
        until(fun() -> users(host_c) =:= [{Self, 1}] end),
        until(fun() -> on(host_c, info, [?D, port_count]) =:= 1 end),
        ?assertMatch({'EXIT', B, _}, next()),
        ?assertMatch([_ | _], do(A, "x")),
        porthost:stop(host_a),
        until(fun() -> not loaded(host_c) end)
    end).

%% Who says nothing of a node of its own speaks for processes that another connection may speak for, too.
a_connection_without_a_node_drops_what_it_has_loaded_test_() ->
    ?SERVED(Daemon, begin
        connect(Daemon, host_a),
        Raw = raw(Daemon, #{}),
        ?assertEqual({ok, t, loaded}, asked(Raw, {load, t, self(), make_ref(), <<>>, ?D, []})),
        ?assertEqual([{self(), 1}], users(host_a)),
        gen_tcp:close(Raw),
        until(fun() -> not loaded(host_a) end)
    end).

%% ---- monitors across connections -------------------------------------------

%% A connection without the client application: any process can be the caller. Monitors of this node's processes are not answered.
raw(#daemon{socket = Socket}, Hello) ->
    {ok, S} = gen_tcp:connect({local, Socket}, 0, [local, binary, {packet, 4}, {active, false}]),
    tell(S, {hello, 1, Hello}),
    {hello, 1, #{}} = heard(S),
    S.

tell(S, Request) ->
    ok = gen_tcp:send(S, term_to_binary(Request)).

heard(S) ->
    case gen_tcp:recv(S, 0, 10000) of
        {ok, Frame} -> binary_to_term(Frame);
        Error -> Error
    end.

%% The reply, and no matter which events come before it.
asked(S, Request) ->
    tell(S, Request),
    answer(S, element(2, Request)).

answer(S, Tag) ->
    case heard(S) of
        {Kind, Tag, _} = Reply when Kind =:= ok; Kind =:= error -> Reply;
        {error, Why} when is_atom(Why) -> {error, Why};
        _ -> answer(S, Tag)
    end.

%% The next event of a kind.
event(S, Kind) ->
    case heard(S) of
        Event when element(1, Event) =:= Kind -> Event;
        {error, Why} -> {error, Why};
        _ -> event(S, Kind)
    end.

%% Another node with a host of its own and a process. No distribution is spoken with it.
node_with_host(#daemon{socket = Socket}) ->
    Name = lists:concat(["rules_", os:getpid(), "_", erlang:unique_integer([positive])]),
    Paths = [filename:dirname(code:which(M)) || M <- [?MODULE, porthost]],
    {ok, Peer, _} = peer:start(#{connection => standard_io,
                                 args => ["-sname", Name, "-start_epmd", "false", "-dist_listen", "false", "-pa" | Paths]}),
    {ok, _} = peer:call(Peer, porthost, start, [#{transport => {unix, Socket}, name => porthost}]),
    {Peer, peer:call(Peer, erlang, spawn, [?MODULE, wait, []])}.

%% A process in the other node: whatever it gets stays in its mailbox.
wait() ->
    receive never -> ok end.

got(Peer, Pid) ->
    {messages, Messages} = peer:call(Peer, erlang, process_info, [Pid, messages]),
    Messages.

monitoring(Test) ->
    fun(Daemon) ->
            {Peer, Pid} = node_with_host(Daemon),
            try
                Raw = raw(Daemon, #{self => self()}),
                {ok, t, loaded} = asked(Raw, {load, t, self(), make_ref(), <<>>, "monitor_probe_drv", []}),
                {ok, t, _} = asked(Raw, {open, t, 7, my_port, self(), "monitor_probe_drv", []}),
                ?assertEqual({ok, t, "0"}, asked(Raw, {control, t, 7, Pid, 0, "monitor"})),
                ?assertEqual({ok, t, [{process, Pid}]}, asked(Raw, {info, t, 7, monitors})),
                Test(Raw, Peer, Pid)
            after
                catch peer:stop(Peer)
            end
    end.

-define(MONITORING(Raw, Peer, Pid, Body), ?SERVED(Daemon, (monitoring(fun(Raw, Peer, Pid) -> Body end))(Daemon))).

a_process_of_another_connections_node_is_monitored_test_() ->
    ?MONITORING(Raw, Peer, Pid, begin
        true = peer:call(Peer, erlang, exit, [Pid, kill]),
        ?assertEqual({send, self(), {monitored, Pid}}, event(Raw, send)),
        ?assertEqual({ok, t, []}, asked(Raw, {info, t, 7, monitors}))
    end).

a_process_of_another_connections_node_that_is_gone_is_reported_test_() ->
    ?MONITORING(Raw, Peer, Pid, begin
        true = peer:call(Peer, erlang, exit, [Pid, kill]),
        {send, _, {monitored, Pid}} = event(Raw, send),
        ?assertEqual({ok, t, "0"}, asked(Raw, {control, t, 7, Pid, 0, "monitor"})),
        ?assertEqual({send, self(), {monitored, Pid}}, event(Raw, send))
    end).

a_monitor_of_another_connections_process_is_taken_back_test_() ->
    ?MONITORING(Raw, Peer, Pid, begin
        ?assertEqual({ok, t, "0"}, asked(Raw, {control, t, 7, self(), 0, "demonitor 0"})),
        ?assertEqual({ok, t, "1"}, asked(Raw, {control, t, 7, self(), 0, "demonitor 0"})),
        true = peer:call(Peer, erlang, exit, [Pid, kill]),
        %% What this one is told tells that the other has nothing to say.
        Second = peer:call(Peer, erlang, spawn, [?MODULE, wait, []]),
        ?assertEqual({ok, t, "0"}, asked(Raw, {control, t, 7, Second, 0, "monitor"})),
        true = peer:call(Peer, erlang, exit, [Second, kill]),
        ?assertEqual({send, self(), {monitored, Second}}, event(Raw, send))
    end).

a_connection_that_ends_is_the_end_of_its_processes_test_() ->
    ?MONITORING(Raw, Peer, Pid, begin
        ok = peer:call(Peer, porthost, stop, [porthost]),
        ?assertEqual({send, self(), {monitored, Pid}}, event(Raw, send)),
        ?assert(peer:call(Peer, erlang, is_process_alive, [Pid]))
    end).

a_node_that_dies_is_the_end_of_its_processes_test_() ->
    ?MONITORING(Raw, Peer, Pid, begin
        peer:stop(Peer),
        ?assertEqual({send, self(), {monitored, Pid}}, event(Raw, send))
    end).

the_processes_of_two_connections_are_told_apart_test_() ->
    ?MONITORING(Raw, Peer, Pid, begin
        ?assertEqual({ok, t, "0"}, asked(Raw, {control, t, 7, self(), 0, "monitor"})),
        ?assertEqual({ok, t, "0 ordered"}, asked(Raw, {control, t, 7, self(), 0, "compare"})),
        true = peer:call(Peer, erlang, exit, [Pid, kill]),
        ?assertEqual({send, self(), {monitored, Pid}}, event(Raw, send)),
        ?assertEqual({ok, t, [{process, self()}]}, asked(Raw, {info, t, 7, monitors}))
    end).

a_port_sends_to_processes_of_another_connections_node_test_() ->
    ?MONITORING(Raw, Peer, Pid, begin
        {ok, t, loaded} = asked(Raw, {load, t, self(), make_ref(), <<>>, "term_probe_drv", []}),
        {ok, t, _} = asked(Raw, {open, t, 8, my_port, self(), "term_probe_drv", []}),
        {ok, t, <<1:32, 0:32>>} = asked(Raw, {control, t, 8, Pid, 1, term_cases:encode([atom, {name, "hello"}])}),
        until(fun() -> got(Peer, Pid) =:= [hello] end)
    end).

%% ---- reloading under load --------------------------------------------------

-define(R, "reload_probe_drv").

%% Controls a port of host_a until told to stop or the port is gone; then tells what it got: answers, in order, and how it ended.
hammer(Test) ->
    process_flag(trap_exit, true),
    P = porthost:open_port(host_a, {spawn_driver, ?R}, []),
    Test ! {self(), opened},
    Answers = hammer_on(P, []),
    Test ! {self(), {lists:reverse(Answers), receive {'EXIT', P, Why} -> Why after 10000 -> nothing end}}.

hammer_on(P, Answers) ->
    receive
        stop -> porthost:port_close(P), Answers
    after 0 ->
        try porthost:port_control(P, 0, "") of
            Answer -> hammer_on(P, [Answer | Answers])
        catch
            error:badarg -> Answers
        end
    end.

hammers(N) ->
    Self = self(),
    Pids = [spawn_link(fun() -> hammer(Self) end) || _ <- lists:seq(1, N)],
    [receive {Pid, opened} -> ok end || Pid <- Pids],
    Pids.

results(Pids) ->
    [receive {Pid, Result} -> Result after 30000 -> no_answer end || Pid <- Pids].

generation(Host) ->
    P = porthost:open_port(Host, {spawn_driver, ?R}, []),
    Generation = do(P, ""),
    porthost:port_close(P),
    Generation.

old_ports_finish_on_the_old_code_while_a_reload_waits_test_() ->
    ?SERVED(Daemon, begin
        [connect(Daemon, Name) || Name <- [host_a, host_b]],
        ok = on(host_b, load, [Daemon#daemon.drivers, ?R]),
        Old = generation(host_b),
        Pids = hammers(6),
        Reload = [{reload, pending_driver}, {monitor, pending_driver}],
        {ok, pending_driver, Ref} = on(host_b, try_load, [Daemon#daemon.drivers, ?R, Reload]),
        timer:sleep(200),
        ?assertEqual({awaiting, 1}, {awaiting, length(on(host_a, info, [?R, awaiting_load]))}),
        [Pid ! stop || Pid <- Pids],
        [begin
             ?assertEqual(normal, Why),
             ?assertEqual([Old], lists:usort(Answers))
         end || {Answers, Why} <- results(Pids)],
        ?assertMatch({'UP', Ref, driver, _, loaded}, receive {'UP', _, driver, _, _} = M -> M after 10000 -> nothing end),
        ?assertNotEqual(Old, generation(host_a))
    end).

%% Every request is answered, by the old code or with badarg, and a port's answers are all of one generation.
ports_are_killed_by_a_reload_that_says_so_and_no_request_is_lost_test_() ->
    ?SERVED(Daemon, begin
        [connect(Daemon, Name) || Name <- [host_a, host_b]],
        ok = on(host_b, load_driver, [Daemon#daemon.drivers, ?R]),
        lists:foldl(fun(_, Before) ->
                            Old = generation(host_b),
                            ?assertNotEqual(Before, Old),
                            Pids = hammers(6),
                            timer:sleep(20),
                            ?assertEqual(ok, on(host_b, reload_driver, [Daemon#daemon.drivers, ?R])),
                            [begin
                                 ?assertEqual(driver_unloaded, Why),
                                 ?assertEqual([Old], lists:usort(Answers))
                             end || {Answers, Why} <- results(Pids)],
                            Old
                    end, none, lists:seq(1, 15)),
        ?assertEqual([{self(), 1}], on(host_a, info, [?R, processes])),
        ?assertEqual(0, on(host_a, info, [?R, port_count]))
    end).

%% Opening goes on during reloads: a new port is of the old code and killed with it, or of the new code, or there is no driver for the
%% moment. A port that is forgotten would be waited for in vain: nobody closes them here.
ports_opened_during_reloads_are_killed_or_new_or_refused_test_() ->
    ?SERVED(Daemon, begin
        [connect(Daemon, Name) || Name <- [host_a, host_b]],
        Load = [Daemon#daemon.drivers, ?R],
        ok = on(host_b, load_driver, Load),
        Self = self(),
        Openers = [spawn_link(fun() -> process_flag(trap_exit, true), opener(Self, none) end) || _ <- lists:seq(1, 4)],
        Reloader = spawn_link(fun() ->
                                      ok = on(host_b, load_driver, Load),
                                      receive go -> ok end,
                                      Self ! {self(), [on(host_b, reload_driver, Load) || _ <- lists:seq(1, 100)]},
                                      receive done -> ok end
                              end),
        ok = on(host_b, unload_driver, [?R]),
        Reloader ! go,
        ?assertEqual([[ok || _ <- lists:seq(1, 100)]], results([Reloader])),
        [Pid ! stop || Pid <- Openers],
        ?assertEqual([stopped || _ <- Openers], results(Openers)),
        %% Who has loaded it ends, and then nobody holds it. Not before: the daemon would find the driver for the openers by itself.
        Reloader ! done,
        until(fun() -> {ok, Drivers} = on(host_a, loaded_drivers, []), Drivers =:= [] end)
    end).

%% Keeps one port open, and opens the next when it has been killed.
opener(Test, Port) ->
    receive
        stop -> Test ! {self(), stopped};
        {'EXIT', Port, driver_unloaded} -> opener(Test, none)
    after case Port of none -> 0; _ -> infinity end ->
        try opener(Test, porthost:open_port(host_a, {spawn_driver, ?R}, []))
        catch error:badarg -> opener(Test, none)
        end
    end.
