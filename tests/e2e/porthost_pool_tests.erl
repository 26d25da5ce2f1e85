%% SPDX-License-Identifier: Apache-2.0
%% Pools of ports: see porthost_pool.
-module(porthost_pool_tests).
-behaviour(supervisor).

-include("rules.hrl").

-export([init/1, as_many_as_schedulers/0]).

-define(BACKOFF, #{min => 5, max => 40}).

pool(Options) ->
    porthost_pool:start_link(maps:merge(#{name => pool, command => "echo_drv", path => drivers(), backoff => ?BACKOFF}, Options)).

drivers() ->
    filename:join(filename:dirname(filename:absname(os:getenv("PORTHOSTD"))), "drivers").

probes() ->
    filename:join(drivers(), "../tests/drivers").

echo(Port) ->
    porthost:port_control(Port, 0, "echo").

ports() ->
    maps:get(ports, porthost_pool:info(pool)).

%% All ports open, and none of them one of those.
all_but(Old) ->
    until(fun() ->
                  try ports() of Ports -> not lists:member(none, Ports) andalso Old -- Ports =:= Old
                  catch error:{porthost, {no_pool, pool}} -> false     % it is being started
                  end
          end),
    ports().

%% What a process gets that runs on a scheduler.
on_scheduler(Scheduler, Fun) ->
    {Pid, Ref} = spawn_opt(fun() -> exit({was, erlang:system_info(scheduler_id), catch Fun()}) end,
                           [monitor, {scheduler, Scheduler}]),
    receive {'DOWN', Ref, process, Pid, Result} -> Result end.

%% What may not be left behind.
traces() ->
    {lists:sort(registered()), lists:sort(persistent_term:get()), ets:whereis(pool), porthost:ports(porthost)}.

with_traces(Fun) ->
    Before = traces(),
    Fun(),
    until(fun() -> porthost:ports(porthost) =:= [] end),
    ?assertEqual(Before, traces()).

a_port_for_each_scheduler_is_the_default_test_() ->
    rules:tested(fun() ->
        Paths = lists:append([["-pa", Path] || Module <- [?MODULE, porthost], Path <- [filename:dirname(code:which(Module))]]),
        {ok, Peer, _} = peer:start(#{connection => standard_io, args => ["+S", "4:4" | Paths],
                                     env => [{"PORTHOSTD", os:getenv("PORTHOSTD")}]}),
        ok = peer:call(Peer, ?MODULE, as_many_as_schedulers, [], 60000),
        peer:stop(Peer)
    end).

%% In a VM that has four.
as_many_as_schedulers() ->
    rules:hosted("", fun() ->
        {ok, _} = pool(#{}),
        Picked = [on_scheduler(S, fun() -> porthost_pool:port(pool) end) || S <- [1, 2, 3, 4]],
        ?assertEqual([{was, S, Port} || {S, Port} <- lists:zip([1, 2, 3, 4], ports())], Picked),
        ?assertEqual(4, length(lists:usort(ports()))),
        [?assertEqual({was, S, "echo"}, on_scheduler(S, fun() -> echo(porthost_pool:port(pool)) end)) || S <- [1, 2, 3, 4]],
        ok = porthost_pool:stop(pool),
        {ok, _} = pool(#{size => 3}),
        ?assertEqual(ports() ++ [hd(ports())], of_four()),
        ok = porthost_pool:stop(pool),
        {ok, _} = pool(#{size => 6}),
        ?assertEqual(lists:sublist(ports(), 4), of_four()),
        %% that of the second ends, and is not replaced soon
        ok = porthost_pool:stop(pool),
        {ok, _} = pool(#{size => 3, backoff => #{min => 60000, max => 60000}}),
        [First, Second, Third] = ports(),
        exit(Second, kill),
        until(fun() -> lists:member(none, ports()) end),
        ?assertEqual([First, none, Third], ports()),
        ?assertEqual([First, Third, Third, First], of_four()),
        exit(Third, kill),
        until(fun() -> ports() =:= [First, none, none] end),
        ?assertEqual([First, First, First, First], of_four()),
        exit(First, kill),
        until(fun() -> ports() =:= [none, none, none] end),
        ?assertError({porthost, {no_port, pool}}, porthost_pool:port(pool)),
        ?assertMatch(#{size := 3, lost := 3, trouble := {ended, killed}}, porthost_pool:info(pool)),
        ok = porthost_pool:stop(pool)
    end).

of_four() ->
    [Port || S <- [1, 2, 3, 4], {was, _, Port} <- [on_scheduler(S, fun() -> porthost_pool:port(pool) end)]].

a_pool_that_is_stopped_leaves_nothing_behind_test_() ->
    ?HOSTED(with_traces(fun() ->
        {ok, Pid} = pool(#{size => 5, registered => true}),
        ?assertEqual([whereis(N) || N <- [pool_1, pool_2, pool_3, pool_4, pool_5]], ports()),
        ?assertEqual({error, {already_started, Pid}}, pool(#{})),
        Ports = ports(),
        [?assertEqual({connected, Pid}, porthost:port_info(P, connected)) || P <- Ports],
        process_flag(trap_exit, true),
        [link(P) || P <- Ports],
        ok = porthost_pool:stop(pool),
        ?assertEqual([], [P || P <- Ports, is_process_alive(P)]),
        ?assertEqual([{P, shutdown} || P <- Ports], [{P, receive {'EXIT', P, Why} -> Why end} || P <- Ports]),
        ?assertError({porthost, {no_pool, pool}}, porthost_pool:port(pool)),
        ?assertError({porthost, {no_pool, pool}}, porthost_pool:info(pool)),
        ?assertExit(noproc, porthost_pool:stop(pool))
    end)).

%% Whether killed, closed, or ended by the driver.
a_port_that_ends_is_replaced_under_its_name_test_() ->
    ?HOSTED(begin
        {ok, _} = pool(#{size => 3, registered => true}),
        [begin
             [_, Old, _] = Before = ports(),
             ?assertEqual(Old, whereis(pool_2)),
             End(Old),
             [First, New, Last] = all_but([Old]),
             ?assertEqual([First, Old, Last], Before),
             ?assertEqual([First, New, Last], [whereis(N) || N <- [pool_1, pool_2, pool_3]]),
             ?assertEqual("echo", echo(pool_2)),
             until(fun() -> maps:get(trouble, porthost_pool:info(pool)) =:= none end)
         end
         || End <- [fun(P) -> exit(P, kill) end, fun(P) -> exit(P, normal), exit(P, shutdown) end, fun porthost:port_close/1]],
        ?assertMatch(#{lost := 3, size := 3}, porthost_pool:info(pool)),
        until(fun() -> length(porthost:ports(porthost)) =:= 3 end),
        ok = porthost_pool:stop(pool)
    end).

%% A port that ends as soon as it is open is not opened as fast as it can end.
ports_that_do_not_last_are_replaced_ever_more_slowly_test_() ->
    ?HOSTED(begin
        {ok, _} = pool(#{size => 1, backoff => #{min => 20, max => 60000}}),
        Started = erlang:monotonic_time(millisecond),
        [begin exit(P, kill), all_but([P]) end || _ <- lists:seq(1, 5), P <- ports()],
        %% the halves of 20, 40, 80, 160 and 320
        ?assert(erlang:monotonic_time(millisecond) - Started >= 310),
        ?assertMatch(#{lost := 5}, porthost_pool:info(pool)),
        ok = porthost_pool:stop(pool)
    end).

what_a_caller_of_a_port_that_has_ended_gets_test_() ->
    ?HOSTED(begin
        {ok, Pid} = pool(#{size => 2}),
        ok = sys:suspend(Pid),
        [exit(P, kill) || P <- ports()],
        until(fun() -> [P || P <- ports(), is_process_alive(P)] =:= [] end),
        ?assertError(badarg, echo(porthost_pool:port(pool))),
        Old = ports(),
        ok = sys:resume(Pid),
        all_but(Old),
        ?assertEqual("echo", echo(porthost_pool:port(pool))),
        ok = porthost_pool:stop(pool)
    end).

%% The driver's data is thrown away, and no answer of another's.
what_ports_send_to_their_owner_is_thrown_away_test_() ->
    ?HOSTED(begin
        {ok, Pid} = pool(#{}),
        [true = porthost:port_command(porthost_pool:port(pool), "hello") || _ <- lists:seq(1, 100)],
        ?assertEqual("echo", echo(porthost_pool:port(pool))),
        until(fun() -> process_info(Pid, message_queue_len) =:= {message_queue_len, 0} end),
        ?assertEqual(nothing, receive M -> M after 10 -> nothing end),
        ok = porthost_pool:stop(pool)
    end).

%% Each call of `meet' waits in the driver, up to five seconds, until another does: the two have different ports.
calls_from_one_scheduler_are_made_at_the_same_time_test_() ->
    ?HOSTED(begin
        {ok, _} = pool(#{command => "overlap_locking_probe_drv", path => probes(), size => 4, options => [{parallelism, true}]}),
        Callers = [spawn_opt(fun() -> exit(porthost_pool:control(pool, 0, "meet")) end, [monitor, {scheduler, 1}]) || _ <- [1, 2]],
        ?assertEqual(["met", "met"], [receive {'DOWN', Ref, process, Pid, Why} -> Why end || {Pid, Ref} <- Callers]),
        ok = porthost_pool:stop(pool)
    end).

a_caller_that_is_killed_holds_no_port_test_() ->
    ?HOSTED(begin
        {ok, _} = pool(#{size => 2}),
        ?assertEqual([], held()),
        ?assertError(badarg, porthost_pool:control(pool, 99, "")),
        ?assertError(badarg, porthost_pool:call(pool, -1, term)),
        ?assertEqual([], held()),
        %% One that gets no answer.
        ok = sys:suspend(porthost),
        {Pid, Ref} = spawn_monitor(fun() -> porthost_pool:control(pool, 0, "") end),
        until(fun() -> length(held()) =:= 1 end),
        exit(Pid, kill),
        receive {'DOWN', Ref, process, Pid, killed} -> ok end,
        [{Port, Pid}] = held(),
        ok = sys:resume(porthost),
        [Scheduler | _] = [S || S <- lists:seq(1, erlang:system_info(schedulers_online)),
                                {was, S, Port} =:= on_scheduler(S, fun() -> porthost_pool:port(pool) end)],
        ?assertMatch({was, _, "next"}, on_scheduler(Scheduler, fun() -> porthost_pool:control(pool, 0, "next") end)),
        ?assertEqual([], held()),
        %% A port that ends is held no more either.
        ok = sys:suspend(porthost),
        {Last, LastRef} = spawn_monitor(fun() -> porthost_pool:control(pool, 0, "") end),
        until(fun() -> length(held()) =:= 1 end),
        exit(Last, kill),
        receive {'DOWN', LastRef, process, Last, killed} -> ok end,
        [{Old, Last}] = held(),
        exit(Old, kill),
        ok = sys:resume(porthost),
        all_but([Old]),
        ?assertEqual([], held()),
        ok = porthost_pool:stop(pool)
    end).

held() ->
    [Row || {Port, _} = Row <- ets:tab2list(pool), is_pid(Port)].

%% With fewer ports than callers the others wait at the port of their scheduler.
more_callers_than_ports_all_have_their_answers_test_() ->
    ?HOSTED(begin
        {ok, _} = pool(#{size => 2}),
        Callers = [spawn_monitor(fun() -> [I = list_to_integer(porthost_pool:control(pool, 0, integer_to_list(I))) || I <- lists:seq(1, 200)],
                                          [{ok, 3, {I}} = porthost_pool:call(pool, 3, {I}) || I <- lists:seq(1, 200)]
                                 end) || _ <- lists:seq(1, 10)],
        [receive {'DOWN', Ref, process, Pid, Why} -> ?assertEqual(normal, Why) end || {Pid, Ref} <- Callers],
        ?assertEqual([], held()),
        ok = porthost_pool:stop(pool),
        ?assertError({porthost, {no_pool, pool}}, porthost_pool:control(pool, 0, "")),
        ?assertError({porthost, {no_pool, pool}}, porthost_pool:call(pool, 0, ""))
    end).

%% They get the right answer, or are told. However quickly somebody is told again and again while there is no port, there is an answer in the end.
callers_go_on_while_ports_are_killed_test_() ->
    ?HOSTED(begin
        {ok, _} = pool(#{size => 3, registered => true, backoff => #{min => 1, max => 4}}),
        Callers = [spawn_monitor(fun() -> exit(answered(500, 0)) end) || _ <- lists:seq(1, 6)],
        [begin exit(P, kill), timer:sleep(2) end || _ <- lists:seq(1, 20), P <- ports(), is_pid(P)],
        [receive {'DOWN', Ref, process, Pid, Answers} -> ?assert(Answers > 0) end || {Pid, Ref} <- Callers],
        all_but([]),
        ?assertEqual(ports(), [whereis(N) || N <- [pool_1, pool_2, pool_3]]),
        ?assertEqual([], held()),
        ok = porthost_pool:stop(pool)
    end).

answered(N, Answers) when N > 0; Answers =:= 0 -> answered(N - 1, Answers + asked(500 - N));
answered(_, Answers) -> Answers.

asked(I) ->
    Sent = integer_to_list(I),
    try porthost_pool:control(pool, 0, Sent) of Sent -> 1
    catch
        error:badarg -> 0;
        error:{porthost, {no_port, pool}} -> timer:sleep(1), asked(I)
    end.

reading_asks_no_process_test_() ->
    ?HOSTED(begin
        {ok, Pid} = pool(#{size => 2}),
        ok = sys:suspend(Pid),
        ?assert(lists:member(porthost_pool:port(pool), ports())),
        ?assertEqual({message_queue_len, 0}, process_info(Pid, message_queue_len)),
        ok = sys:resume(Pid),
        ok = porthost_pool:stop(pool)
    end).

a_pool_that_cannot_be_opened_says_why_and_leaves_nothing_test_() ->
    ?HOSTED(with_traces(fun() ->
        process_flag(trap_exit, false),         % nor is the caller killed
        [begin
             ?assertEqual({error, {porthost, Why}}, pool(Options#{registered => true})),
             ?assertEqual({undefined, undefined}, {whereis(pool), ets:whereis(pool)})
         end
         || {Why, Options} <- [{{open, enoent}, #{command => "start_probe_drv errno 2", path => probes()}},
                               {{open, badarg}, #{options => [no_such_option]}},
                               {{open, {porthost, {no_host, nobody}}}, #{host => nobody}},
                               {{load, {open_error, -10}}, #{command => "no_such_drv"}}]],
        true = register(pool_3, self()),
        ?assertEqual({error, {porthost, {registered, pool_3}}}, pool(#{size => 4, registered => true})),
        true = unregister(pool_3),
        ?assertEqual(nothing, receive M -> M after 0 -> nothing end)
    end)).

wrong_options_are_named_test() ->
    Good = #{name => pool, command => "echo_drv"},
    [?assertEqual({error, {porthost, {bad_option, Key}}}, porthost_pool:start_link(Options))
     || {Key, Options} <- [{name, []}, {name, maps:remove(name, Good)}, {command, maps:remove(command, Good)},
                           {name, Good#{name := "pool"}}, {name, Good#{name := undefined}}, {name, Good#{name := ac_tab}},
                           {command, Good#{command := echo_drv}},
                           {size, Good#{size => 0}}, {size, Good#{size => 1025}}, {size, Good#{size => 2.0}},
                           {host, Good#{host => self()}}, {path, Good#{path => there}}, {options, Good#{options => binary}},
                           {registered, Good#{registered => pool}}, {backoff, Good#{backoff => #{min => 0}}},
                           {ports, Good#{ports => 4}}]].

%% Its driver is unloaded with its ports, and comes back.
a_driver_that_cannot_be_opened_is_tried_again_test_() ->
    ?HOSTED(begin
        load("start_probe_drv"),
        {ok, _} = porthost_pool:start_link(#{name => pool, command => "start_probe_drv", size => 2, backoff => ?BACKOFF}),
        Old = ports(),
        ok = porthost_ddll:unload_driver("start_probe_drv"),
        until(fun() -> maps:get(trouble, porthost_pool:info(pool)) =:= {open, badarg} end),
        ?assertError({porthost, {no_port, pool}}, porthost_pool:port(pool)),
        load("start_probe_drv"),
        [New, _] = all_but(Old),
        ?assert(is_list(porthost:port_control(New, 0, ""))),
        ok = porthost_pool:stop(pool)
    end).

%% With the driver loaded there, from where the pool has it.
a_pool_outlives_its_host_test_() ->
    rules:tested(fun() -> rules:apart(fun() ->
        Daemon = filename:absname(os:getenv("PORTHOSTD")) ++ " --stdio --log-level error",
        {ok, Host} = porthost:start(#{name => again_host, transport => {spawn, Daemon}, reconnect => #{min => 200}}),
        {ok, Pool} = pool(#{host => again_host, size => 4, registered => true}),
        [begin
             Old = ports(),
             #{os_pid := OsPid} = os_pid(Host),
             os:cmd("kill -KILL " ++ integer_to_list(OsPid)),
             until(fun() -> ports() =:= [none, none, none, none] end),
             ?assertError({porthost, {no_port, pool}}, porthost_pool:port(pool)),
             New = all_but(Old),
             ?assertEqual(New, [whereis(N) || N <- [pool_1, pool_2, pool_3, pool_4]]),
             ?assertEqual("echo", echo(porthost_pool:port(pool)))
         end
         || _ <- [1, 2]],
        ?assertEqual(Pool, whereis(pool)),
        ?assertMatch(#{lost := 8}, porthost_pool:info(pool)),
        %% It ends also while there is none.
        #{os_pid := Last} = os_pid(Host),
        os:cmd("kill -KILL " ++ integer_to_list(Last)),
        ok = porthost_pool:stop(pool),
        ok = porthost:stop(again_host)
    end) end).

%% Of a host with the transport spawn.
os_pid(Host) ->
    [OsPid] = [P || Port <- erlang:ports(), {connected, Host} =:= erlang:port_info(Port, connected),
                    {os_pid, P} <- [erlang:port_info(Port, os_pid)]],
    #{os_pid => OsPid}.

%% One that is killed leaves its names to the one that is started in its place.
a_supervisor_starts_a_pool_again_test_() ->
    ?HOSTED(with_traces(fun() ->
        process_flag(trap_exit, true),
        Options = #{name => pool, command => "echo_drv", path => drivers(), size => 8, registered => true},
        ?assertEqual(#{id => pool, start => {porthost_pool, start_link, [Options]}}, porthost_pool:child_spec(Options)),
        {ok, Sup} = supervisor:start_link(?MODULE, {#{intensity => 3}, [porthost_pool:child_spec(Options)]}),
        [begin
             Old = ports(),
             exit(whereis(pool), kill),
             ?assertEqual(all_but(Old), [whereis(list_to_atom("pool_" ++ integer_to_list(I))) || I <- lists:seq(1, 8)])
         end
         || _ <- [1, 2, 3]],
        exit(Sup, shutdown),
        receive {'EXIT', Sup, shutdown} -> ok end,
        ?assertEqual(undefined, whereis(pool_1))
    end)).

init(Tree) ->
    {ok, Tree}.
