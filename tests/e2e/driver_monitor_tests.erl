%% SPDX-License-Identifier: Apache-2.0
%% Monitors of processes of other connections and of other nodes.
-module(driver_monitor_tests).

-include("rules.hrl").

-export([wait/0]).

%% Another node with a host of its own and a process. No distribution is spoken with it.
node_with_host(#{socket := Socket}) ->
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
