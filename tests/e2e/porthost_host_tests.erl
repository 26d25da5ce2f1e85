%% SPDX-License-Identifier: Apache-2.0
%% Hosts: starting, stopping, and how their death is seen.
-module(porthost_host_tests).
-behaviour(supervisor).

-include_lib("eunit/include/eunit.hrl").
-include("../../proto/erlang/src/porthost.hrl").

-export([init/1]).

-define(NAME, "host.porthost.test").        % see named/2
-define(LOOPBACK_6, {0, 0, 0, 0, 0, 0, 0, 1}).

start(Transport) ->
    start(Transport, #{}).

start(Transport, Options) ->
    porthost:start_link(Options#{transport => Transport}).

next() ->
    receive Message -> Message after 3000 -> nothing end.

%% A command that answers hello and then does what the shell text says.
host_command(Text) ->
    host_command(porthost_fake:hello(), Text).

host_command(Answer, Text) ->
    Name = lists:concat(["hello-", os:getpid(), "-", erlang:unique_integer([positive])]),
    File = filename:join(os:getenv("TMPDIR", "/tmp"), Name),
    Frame = term_to_binary(Answer),
    ok = file:write_file(File, [<<(byte_size(Frame)):32>>, Frame]),
    "sh -c 'cat " ++ File ++ "; rm " ++ File ++ "; " ++ Text ++ "'".

with_fake(Fun) ->
    {Pid, Ref} = spawn_monitor(fun() ->
                                       process_flag(trap_exit, true),
                                       Fake = porthost_fake:start(),
                                       Fun(Fake),
                                       unlink(Fake),
                                       porthost_fake:stop(Fake)
                               end),
    receive {'DOWN', Ref, process, Pid, Why} -> ?assertEqual(normal, Why) end.

a_host_says_hello_with_its_pid_and_name_test() ->
    with_fake(fun(Fake) ->
        {ok, Host} = start({unix, porthost_fake:path(Fake)}, #{name => some_host}),
        ?assertEqual(Host, whereis(some_host)),
        ?assertEqual([{hello, 1, #{self => Host, name => <<"some_host">>}}],
                     porthost_fake:requests(Fake)),
        ok = porthost:stop(some_host),
        ?assertEqual({'EXIT', Host, normal}, next()),
        ?assertEqual(undefined, whereis(some_host)),
        porthost_fake:await(Fake, closed)
    end).

a_second_host_of_the_same_name_is_refused_test() ->
    with_fake(fun(Fake) ->
        {ok, Host} = start({unix, porthost_fake:path(Fake)}, #{name => some_host}),
        ?assertEqual({error, {already_started, Host}},
                     start({unix, porthost_fake:path(Fake)}, #{name => some_host}))
    end).

%% Reconnecting: each test has daemons of its own, which a driver ends.

daemon() ->
    os:getenv("PORTHOSTD", "build/porthostd") ++ " --stdio --log-level error --driver-path " ++ drivers().

drivers() ->
    Drivers = os:getenv("DRIVERS", "build/drivers"),
    Drivers ++ ":" ++ filename:join([Drivers, "..", "tests", "drivers"]).

%% The command with core dumps off, its log thrown away.
crashing() ->
    "sh -c 'ulimit -c 0; exec " ++ daemon() ++ " 2>/dev/null'".

reconnecting(Transport, Delays) ->
    {ok, Host} = start(Transport, #{name => again_host, reconnect => Delays}),
    Host.

%% A port of the host, as soon as there is a connection.
port(Driver) ->
    try porthost:open_port(again_host, {spawn_driver, Driver}, [])
    catch error:_ -> timer:sleep(20), port(Driver)
    end.

with_trapping(Fun) ->
    {timeout, 60, fun() ->
        Old = process_flag(trap_exit, true),
        try Fun() after process_flag(trap_exit, Old), forget_all() end
    end}.

a_host_that_reconnects_lives_on_with_its_name_when_a_driver_crashes_test_() ->
    with_trapping(fun() ->
        Host = reconnecting({spawn, crashing()}, #{min => 10}),
        [begin
             P = port("crash_probe_drv"),
             Q = port("echo_drv"),
             catch porthost:port_control(P, 0, ""),
             Reasons = [receive {'EXIT', Port, Reason} -> Reason after 10000 -> nothing end || Port <- [P, Q]],
             ?assertEqual(lists:duplicate(2, {porthost, {host_down, {signal, 11}}}), Reasons),
             ?assertEqual(Host, whereis(again_host))
         end
         || _ <- [1, 2, 3]],
        E = port("echo_drv"),
        true = porthost:port_command(E, "hello"),
        receive {E, {data, "hello"}} -> ok after 10000 -> error(no_echo) end,
        ?assertMatch({ok, [_]}, {ok, porthost:ports(again_host)}),
        ok = porthost:stop(again_host)
    end).

forget_all() ->
    receive _ -> forget_all() after 0 -> ok end.

without_a_connection_no_port_can_be_opened_and_it_can_be_stopped_test_() ->
    with_trapping(fun() ->
        Flag = filename:join(os:getenv("TMPDIR", "/tmp"), "once-" ++ integer_to_list(erlang:unique_integer([positive])) ++ os:getpid()),
        Once = "sh -c 'ulimit -c 0; [ ! -e " ++ Flag ++ " ] || exit 1; : >" ++ Flag ++ "; exec " ++ daemon() ++ " 2>/dev/null'",
        Host = reconnecting({spawn, Once}, #{min => 10, max => 50}),
        P = port("crash_probe_drv"),
        catch porthost:port_control(P, 0, ""),
        receive {'EXIT', P, {porthost, {host_down, {signal, 11}}}} -> ok after 10000 -> error(no_exit) end,
        timer:sleep(300),
        ?assertError(_, porthost:open_port(again_host, {spawn_driver, "echo_drv"}, [])),
        ?assertEqual(Host, whereis(again_host)),
        _ = sys:get_state(Host),
        ok = file:delete(Flag),
        E = port("echo_drv"),
        true = porthost:port_close(E),
        ok = file:delete(Flag),
        catch porthost:port_control(port_that_crashes(Flag), 0, ""),
        receive {'EXIT', _, {porthost, _}} -> ok after 10000 -> error(no_exit) end,
        ok = porthost:stop(again_host),
        receive {'EXIT', Host, normal} -> ok after 10000 -> error(no_end) end,
        _ = file:delete(Flag)
    end).

%% Each attempt adds a line to a file; the command has begun, so its pipe is found, and ends before it has said hello.
attempts_to_connect_leave_no_descriptors_behind_test_() ->
    with_trapping(fun() ->
        Tries = filename:join(os:getenv("TMPDIR", "/tmp"), "tries-" ++ integer_to_list(erlang:unique_integer([positive])) ++ os:getpid()),
        First = "[ -e " ++ Tries ++ " ] || { : >" ++ Tries ++ "; exec " ++ daemon() ++ "; }",
        Host = reconnecting({spawn, "sh -c '" ++ First ++ "; echo >>" ++ Tries ++ "; sleep 0.02; exit 1'"}, #{min => 1, max => 2}),
        Before = descriptors(),
        [{os_pid, Pid}] = [erlang:port_info(P, os_pid) || P <- erlang:ports(), erlang:port_info(P, connected) =:= {connected, Host}],
        _ = os:cmd("kill -KILL " ++ integer_to_list(Pid)),
        porthost_fake:until(fun() -> filelib:file_size(Tries) >= 20 end, 1500),
        porthost_fake:until(fun() -> descriptors() =< Before end),
        ok = porthost:stop(again_host),
        ok = file:delete(Tries)
    end).

descriptors() ->
    {ok, Descriptors} = file:list_dir("/proc/self/fd"),
    length(Descriptors).

%% The last start of the command for now: the file is there again.
port_that_crashes(Flag) ->
    P = port("crash_probe_drv"),
    ok = file:write_file(Flag, ""),
    P.

the_options_of_reconnect_are_checked_test() ->
    [?assertEqual({error, {porthost, {bad_option, reconnect}}},
                  porthost:start_link(#{transport => {spawn, "true"}, reconnect => Bad}))
     || Bad <- [true, #{min => 0}, #{max => 50}, #{min => 2, max => 1}, #{other => 1}, #{min => a}]].

bad_options_are_named_test_() ->
    [?_assertEqual({error, {porthost, {bad_option, Key}}}, porthost:start_link(Options))
     || {Key, Options} <- [{transport, #{}},
                           {transport, []},
                           {transport, #{transport => {spawn, 1}}},
                           {transport, #{transport => {unix, foo}}},
                           {transport, #{transport => {tcp, "localhost", 70000}}},
                           {transport, #{transport => stdio}},
                           {name, #{transport => {spawn, "x"}, name => "x"}},
                           {timeout, #{transport => {spawn, "x"}, timeout => -1}},
                           {timeout, #{transport => {spawn, "x"}, timeout => 16#100000000}},
                           {other, #{transport => {spawn, "x"}, other => 1}},
                           {name, #{transport => {spawn, "x"}, name => undefined}}]].

a_host_that_does_not_start_says_why_test_() ->
    [fun() ->
             {error, {porthost, Told}} = start(Transport, #{timeout => 500, name => gone}),
             ?assert(Told =:= Why orelse is_end(Why) andalso Told =:= epipe),
             ?assertEqual(undefined, whereis(gone))
     end
     || {Why, Transport} <-
            [{{exit_status, 127}, {spawn, "/no/such/program 2>/dev/null"}},
             {{exit_status, 3}, {spawn, "sh -c 'exit 3'"}},
             {{signal, 9}, {spawn, "sh -c 'kill -KILL $$'"}},
             {timeout, {spawn, "sleep 2"}},
             {not_a_host, {spawn, "cat 2>/dev/null"}},
             {{goodbye, bad_version, <<"no">>},
              {spawn, host_command({goodbye, bad_version, <<"no">>}, "sleep 1")}},
             {{connect, enoent}, {unix, "/no/such/socket"}},
             {{connect, econnrefused}, {tcp, {127, 0, 0, 1}, 1}}]].

%% That of the spawned command, which the VM forgets when it cannot write to it.
is_end({exit_status, _}) -> true;
is_end({signal, _}) -> true;
is_end(_) -> false.

the_caller_survives_a_host_that_does_not_start_test() ->
    {Pid, Ref} = spawn_monitor(fun() ->
                                       {error, _} = start({unix, "/no/such/socket"}),
                                       timer:sleep(20)
                               end),
    ?assertEqual({'DOWN', Ref, process, Pid, normal}, next()).

tcp_works_as_unix_sockets_do_test() ->
    {_, Number} = Listener = tcp_host([{ip, {127, 0, 0, 1}}], 0),
    {ok, Host} = start({tcp, "127.0.0.1", Number}),
    ok = porthost:stop(Host),
    gone(Listener).

so_does_tcp_over_ipv6_test_() ->
    [Test || has_ipv6(),
             Test <- [[{"to " ++ What, fun() -> ipv6_works(Host) end}
                       || {What, Host} <- [{"a name", ?NAME}, {"an atom", list_to_atom(?NAME)},
                                           {"an address", ?LOOPBACK_6}, {"its text", "::1"}]],
                      fun a_name_of_two_addresses_is_that_of_the_one_that_answers/0,
                      fun an_address_that_does_not_answer_leaves_time_for_the_next/0]].

has_ipv6() ->
    case gen_tcp:listen(0, [inet6, {ip, ?LOOPBACK_6}]) of
        {ok, L} -> gen_tcp:close(L) =:= ok;
        {error, _} -> false
    end.

%% The name has only an address of IPv6.
ipv6_works(Name) ->
    {_, Number} = Listener = tcp_host([inet6, {ip, ?LOOPBACK_6}], 0),
    named([?LOOPBACK_6], fun() ->
                                 {ok, Host} = start({tcp, Name, Number}),
                                 ok = porthost:stop(Host)
                         end),
    gone(Listener).

a_name_of_two_addresses_is_that_of_the_one_that_answers() ->
    {_, Number} = Listener = tcp_host([inet6, {ip, ?LOOPBACK_6}], 0),
    named([{127, 0, 0, 1}, ?LOOPBACK_6],
          fun() ->
                  {ok, Host} = start({tcp, ?NAME, Number}),
                  ok = porthost:stop(Host),
                  gone(Listener),
                  ?assertEqual({error, {porthost, {connect, econnrefused}}}, start({tcp, ?NAME, Number}))
          end).

%% The kernel answers nobody who would connect to the one of IPv4.
an_address_that_does_not_answer_leaves_time_for_the_next() ->
    {ok, Silent} = gen_tcp:listen(0, [{ip, {127, 0, 0, 1}}, {backlog, 0}]),
    {ok, Number} = inet:port(Silent),
    Waiting = fill(Number, []),
    Listener = tcp_host([inet6, {ip, ?LOOPBACK_6}], Number),
    named([{127, 0, 0, 1}, ?LOOPBACK_6],
          fun() ->
                  {ok, Host} = start({tcp, ?NAME, Number}, #{timeout => 2000}),
                  ok = porthost:stop(Host)
          end),
    gone(Listener),
    [gen_tcp:close(S) || S <- [Silent | Waiting]].

fill(Number, Waiting) ->
    case gen_tcp:connect({127, 0, 0, 1}, Number, [], 200) of
        {ok, S} when length(Waiting) < 20 -> fill(Number, [S | Waiting]);
        {error, timeout} -> Waiting
    end.

%% One that greets the first who comes: a listener, and its port.
tcp_host(Options, Wanted) ->
    {ok, Listener} = gen_tcp:listen(Wanted, [binary, {packet, 4}, {active, false} | Options]),
    {ok, Number} = inet:port(Listener),
    spawn_link(fun() ->
                       {ok, Socket} = gen_tcp:accept(Listener),
                       {ok, Hello} = gen_tcp:recv(Socket, 0),
                       {hello, 1, _} = binary_to_term(Hello),
                       ok = gen_tcp:send(Socket, term_to_binary(porthost_fake:hello())),
                       gen_tcp:recv(Socket, 0)
               end),
    {Listener, Number}.

gone({Listener, _}) -> gen_tcp:close(Listener).

%% ?NAME has these addresses while Fun runs.
named(Addresses, Fun) ->
    Lookup = proplists:get_value(lookup, inet:get_rc(), [native]),
    [ok = inet_db:add_host(A, [?NAME]) || A <- Addresses],
    ok = inet_db:set_lookup([file | Lookup -- [file]]),
    try
        Fun()
    after
        ok = inet_db:set_lookup(Lookup),
        [ok = inet_db:del_host(A) || A <- Addresses]
    end.

the_death_of_a_spawned_host_is_told_with_its_signal_test_() ->
    [fun() ->
             process_flag(trap_exit, true),
             {ok, Host} = start({spawn, host_command(Text)}),
             ?assertEqual({host_down, Why}, receive {'EXIT', Host, Reason} -> Reason end)
     end
     || {Why, Text} <- [{{signal, 11}, "sleep 0.1; kill -SEGV $$"},
                        {{signal, 6}, "sleep 0.1; kill -ABRT $$"},
                        {{exit_status, 2}, "sleep 0.1; exit 2"},
                        {{exit_status, 0}, "sleep 0.1"}]].

%% Everybody who has to do with a port of a host that dies.
death(Kill) ->
    with_fake(fun(Fake) ->
        Test = self(),
        {ok, Host} = start({unix, porthost_fake:path(Fake)}),
        Port = porthost:open_port(Host, {spawn, "echo_drv"}, []),
        Other = porthost:open_port(Host, {spawn, "echo_drv"}, []),
        porthost_fake:script(Fake, fun({control, _, _, _, _, _}) -> []; (_) -> default end),
        spawn(fun() ->
                      R = try porthost:port_control(Port, 1, "") catch C:W -> {C, W} end,
                      Test ! {called, R}
              end),
        porthost_fake:await(Fake, control),
        Reason = Kill(Fake, Host),
        Exits = [receive {'EXIT', P, R} when P =/= Host -> {P, R} end || _ <- [1, 2]],
        ?assertEqual([{Port, Reason}, {Other, Reason}], lists:sort(Exits)),
        ?assertEqual({called, {error, badarg}}, receive {called, _} = M -> M end),
        receive
            {'EXIT', Host, Why} ->
                ?assertMatch({porthost, {host_down, _}}, Reason),
                ?assert(lists:member(Why, [element(2, Reason), element(2, element(2, Reason))]))
        end,
        porthost_fake:until(fun() -> ets:tab2list(porthost) =:= [] end),
        ?assertError(badarg, porthost:port_command(Port, "x")),
        ?assertEqual(undefined, porthost:port_info(Port)),
        ?assertNot(porthost:is_port(Port)),
        ?assertError({porthost, {no_host, Host}},
                     porthost:open_port(Host, {spawn, "echo_drv"}, [])),
        ?assertError({porthost, {no_host, Host}}, porthost:ports(Host))
    end).

a_closed_connection_ends_all_ports_test() ->
    death(fun(Fake, _) -> porthost_fake:close(Fake), {porthost, {host_down, closed}} end).

a_goodbye_ends_all_ports_test() ->
    death(fun(Fake, _) ->
                  porthost_fake:send(Fake, {goodbye, shutdown, <<"bye">>}),
                  {porthost, {host_down, {goodbye, shutdown, <<"bye">>}}}
          end).

a_frame_that_is_no_term_ends_all_ports_test() ->
    death(fun(Fake, _) ->
                  porthost_fake:send(Fake, <<"garbage">>),
                  {porthost, {host_down, bad_frame}}
          end).

%% A process and a reference of this node that it could not have made: others may name them.
a_frame_with_what_this_node_could_not_have_made_ends_nothing_test() ->
    porthost_fake:run(fun(Fake) ->
        Node = atom_to_binary(node()),
        Own = fun(Tag, Numbers) ->
                      Whole = <<131, Tag/binary, 119, (byte_size(Node)), Node/binary, Numbers/binary>>,
                      ?assertError(badarg, binary_to_term(Whole)),
                      Whole
              end,
        <<Creation:32>> = creation(),
        NoPid = Own(<<88>>, <<(1 bsl 31):32, 0:32, Creation:32>>),
        NoRef = Own(<<90, 3:16>>, <<Creation:32, (1 bsl 31):32, 0:64>>),
        Port = porthost:open_port({spawn, "echo_drv"}, []),
        [porthost_fake:send(Fake, tuple([send, To, Message]))
         || {To, Message} <- [{NoPid, term_to_binary(x)}, {term_to_binary(self()), NoRef}]],
        porthost_fake:send(Fake, tuple([monitor, 77, NoPid])),
        porthost_fake:await(Fake, fun(R) -> R =:= {down, 77, noproc} end),
        porthost_fake:script(Fake, fun({call, Tag, _, _, _, _}) -> [tuple([ok, Tag, NoRef])];
                                      (_) -> default
                                   end),
        ?assertError(badarg, porthost:port_call(Port, 0, x)),
        true = porthost:port_command(Port, "still there"),
        ?assertEqual({Port, {data, <<"still there">>}}, next())
    end).

%% The elements: terms, or encoded terms.
tuple(Elements) ->
    Plain = fun(<<131, Bytes/binary>>) -> Bytes end,
    Encoded = [Plain(if is_binary(E) -> E; true -> term_to_binary(E) end) || E <- Elements],
    iolist_to_binary([131, 104, length(Elements), Encoded]).

creation() ->
    Pid = term_to_binary(self()),
    binary:part(Pid, byte_size(Pid), -4).

stopping_a_host_ends_all_ports_test() ->
    death(fun(_, Host) -> porthost:stop(Host), {porthost, {host_down, normal}} end).

killing_the_connection_process_ends_all_ports_test() ->
    death(fun(_, Host) -> exit(Host, kill), {porthost, {host_down, killed}} end).

ports_end_before_the_connection_process_test() ->
    with_fake(fun(Fake) ->
        {ok, Host} = start({unix, porthost_fake:path(Fake)}),
        Ports = [porthost:open_port(Host, {spawn, "echo_drv"}, []) || _ <- lists:seq(1, 50)],
        porthost_fake:close(Fake),
        [?assertMatch({'EXIT', Port, {porthost, {host_down, closed}}} when Port =/= Host, next())
         || _ <- Ports],
        ?assertEqual({'EXIT', Host, {host_down, closed}}, next())
    end).

%% The VM's port to a dead host fails as soon as it is written to, and then tells no exit status.
the_signal_is_told_even_while_callers_write_test_() ->
    {timeout, 60,
     fun() ->
             process_flag(trap_exit, true),
             [begin
                  Go = filename:join(os:getenv("TMPDIR", "/tmp"), lists:concat(["go-", os:getpid(), "-", erlang:unique_integer([positive])])),
                  {ok, Host} = start({spawn, host_command("until rm " ++ Go ++ " 2>/dev/null; do sleep 0.01; done; sleep 0.1; kill -SEGV $$")}),
                  Via = element(3, porthost_registry:lookup(Host)),
                  Writers = [spawn(fun() -> write(Via) end) || _ <- [1, 2]],
                  ok = file:write_file(Go, <<>>),
                  ?assertEqual({host_down, {signal, 11}},
                               receive {'EXIT', Host, Reason} -> Reason end),
                  [porthost_fake:until(fun() -> not is_process_alive(W) end) || W <- Writers]
              end || _ <- lists:seq(1, 10)]
     end}.

write(Via) ->
    case porthost_wire:post(Via, {command, 1, self(), <<"data">>}) of
        ok -> write(Via);
        down -> ok
    end.

a_host_ends_with_its_parent_test() ->
    with_fake(fun(Fake) ->
        Test = self(),
        Path = porthost_fake:path(Fake),
        Parent = spawn(fun() ->
                               {ok, Host} = start({unix, Path}),
                               Test ! {host, Host},
                               receive stop -> exit(shutdown) end
                       end),
        Host = receive {host, H} -> H end,
        Ref = monitor(process, Host),
        Parent ! stop,
        ?assertEqual({'DOWN', Ref, process, Host, shutdown}, next())
    end).

a_supervisor_starts_a_dead_host_again_test() ->
    process_flag(trap_exit, true),
    Options = #{transport => {spawn, "true"}, name => some_host},
    ?assertEqual(#{id => some_host, start => {porthost, start_link, [Options]}},
                 porthost:child_spec(Options)),
    Spec = #{id => host,
             start => {erlang, apply, [fun start_cat/0, []]}},
    {ok, Sup} = supervisor:start_link(?MODULE, {#{}, [Spec]}),
    First = whereis(some_host),
    exit(First, kill),
    Second = another(First, 300),
    ?assert(is_pid(Second)),
    exit(Sup, shutdown),
    receive {'EXIT', Sup, shutdown} -> ok end,
    ?assertEqual(undefined, whereis(some_host)).

start_cat() ->
    start({spawn, host_command("exec cat")}, #{name => some_host}).

init(Tree) ->
    {ok, Tree}.

another(First, N) ->
    case whereis(some_host) of
        Pid when is_pid(Pid), Pid =/= First -> Pid;
        _ when N > 0 -> timer:sleep(10), another(First, N - 1);
        _ -> none
    end.

system_messages_are_answered_test() ->
    with_fake(fun(Fake) ->
        {ok, Host} = start({unix, porthost_fake:path(Fake)}),
        ?assertMatch({status, Host, {module, porthost_conn}, _}, sys:get_status(Host)),
        ok = sys:suspend(Host),
        ok = sys:resume(Host),
        Port = porthost:open_port(Host, {spawn, "echo_drv"}, []),
        ?assertEqual(<<"x">>, porthost:port_control(Port, 5, "x"))
    end).

%% Sending must not cost more when many messages wait for the sender.
a_full_mailbox_does_not_slow_its_owner_down_test_() ->
    {timeout, 60,
     fun() ->
             with_fake(fun(Fake) ->
                 {ok, Host} = start({unix, porthost_fake:path(Fake)}),
                 Port = porthost:open_port(Host, {spawn, "echo_drv"}, []),
                 porthost_fake:script(Fake, fun({control, Tag, _, _, _, _}) -> [{ok, Tag, []}];
                                               (_) -> [] end),
                 Work = fun() -> [porthost:port_control(Port, 5, "") || _ <- lists:seq(1, 200)] end,
                 {Empty, _} = timer:tc(Work),
                 [self() ! {message, N} || N <- lists:seq(1, 200000)],
                 {Full, _} = timer:tc(Work),
                 ?assert(Full < 5 * Empty + 100000)
             end)
     end}.

%% A host that reads nothing must not stop the client from reading.
a_host_that_does_not_read_can_still_be_heard_test_() ->
    {timeout, 20,
     fun() ->
             with_fake(fun(Fake) ->
                 {ok, Host} = start({unix, porthost_fake:path(Fake)}),
                 Port = porthost:open_port(Host, {spawn, "echo_drv"}, []),
                 {id, Id} = porthost:port_info(Port, id),
                 Test = self(),
                 porthost_fake:pause(Fake),
                 %% More than socket and driver hold, from a caller and by messages.
                 Block = binary:copy(<<"a">>, 500000),
                 Blocked = spawn(fun() ->
                                         [catch porthost:port_command(Port, Block)
                                          || _ <- lists:seq(1, 20)]
                                 end),
                 [Port ! {Test, {command, Block}} || _ <- lists:seq(1, 5)],
                 timer:sleep(100),
                 %% It hears the host all the same, and the port process answers.
                 porthost_fake:send_all(Fake, [{monitor, 1, spawn(fun() -> ok end)},
                                               {link, Id, Test}, {send, Test, heard}]),
                 ?assertEqual(heard, next()),
                 porthost:stop(Host),
                 ?assertMatch({'EXIT', Port, _}, next()),
                 porthost_fake:until(fun() -> not is_process_alive(Blocked) end)
             end)
     end}.

%% The VM has crashed when its port was killed while it wrote.
hosts_that_do_not_read_can_be_stopped_test_() ->
    {timeout, 60,
     fun() ->
             with_fake(fun(_) -> [stop_unread(porthost_fake:start()) || _ <- lists:seq(1, 4)] end)
     end}.

stop_unread(Fake) ->
    {ok, Host} = start({unix, porthost_fake:path(Fake)}),
    #host{via = Via} = porthost_registry:lookup(Host),
    porthost_fake:pause(Fake),
    Write = fun() -> porthost_wire:write(Via, [binary:copy(<<0>>, 1000000)]) end,
    Writers = [spawn_monitor(Write) || _ <- lists:seq(1, 5)],
    timer:sleep(20),
    ok = porthost:stop(Host),
    [receive {'DOWN', Ref, process, Pid, Why} -> ?assertEqual(normal, Why) end
     || {Pid, Ref} <- Writers],
    [erlang:port_close(erlang:open_port({spawn, "sleep 1"}, [])) || _ <- lists:seq(1, 3)].
