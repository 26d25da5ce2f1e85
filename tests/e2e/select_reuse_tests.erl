%% SPDX-License-Identifier: Apache-2.0
%% Drivers whose stop closes descriptors that are still selected: the numbers become connections, or descriptors of other ports, and those
%% must work. Each test has a daemon of its own.
-module(select_reuse_tests).
-include_lib("eunit/include/eunit.hrl").
-import(raw_client, [with_daemon/1, connect/1, connect/2, send/2, open/3, request/2, control/3, until_event/3]).

a_number_that_was_selected_becomes_a_connection_test_() ->
    each_driver(fun(D, Driver) ->
        [S, _] = Both = [connect(D), connect(D)],
        Selected = lists:append([select(C, Driver, 8) || C <- Both]),
        [close(C, 8) || C <- Both],
        %% the daemon gives out the lowest numbers, so these get those of the pipes
        New = [connect(D) || _ <- lists:seq(1, 36)],
        Taken = sockets(D),
        ?assertEqual([], Selected -- Taken),
        [?assertEqual({ok, pong}, request(C, {ping, ping})) || C <- New],
        [?assertEqual(ok, open(C, 1, "echo_drv")) || C <- New],
        [gen_tcp:close(C) || C <- New],
        raw_client:eventually(fun() -> raw_client:stats(S, [connections, ports]) =:= [2, 0] end)
    end).

a_number_that_was_selected_is_selected_by_another_port_test_() ->
    each_driver(fun(D, Driver) ->
        S = connect(D, #{self => self()}),
        Before = select(S, Driver, 8),
        close(S, 8),
        ok = open(S, 100, Driver),
        Number = list_to_integer(control(S, 100, "select")),
        ?assert(lists:member(Number, Before)),
        [begin
             Text = integer_to_binary(N),
             send(S, {control, write, 100, self(), 0, ["write ", Text]}),
             ?assertEqual({send, self(), {{port, 100}, {data, Text}}}, until_event(S, send, self()))
         end || N <- lists:seq(1, 20)]
    end).

%% The old port lives while its number, closed behind the daemon's back, is already that of a connection. The end of the port must not touch it.
the_end_of_the_port_does_not_touch_the_connection_test_() ->
    each_driver(fun(D, Driver) ->
        Both = [connect(D), connect(D)],
        Numbers = [begin ok = open(S, 1, Driver), list_to_integer(control(S, 1, "select")) end || S <- Both],
        [] = [closed || S <- Both, control(S, 1, "close") =/= "ok"],
        New = [connect(D) || _ <- lists:seq(1, 8)],
        ?assertEqual([], Numbers -- sockets(D)),
        [{ok, true} = request(S, {close, close, 1, self()}) || S <- Both],
        [?assertEqual({ok, pong}, request(C, {ping, ping})) || C <- New]
    end).

each_driver(Test) ->
    [with_daemon(fun(D) -> Test(D, Driver) end) || Driver <- ["ending_probe_drv", "ending_locking_probe_drv"]].

%% Tests use two connections for their ports, since neighbours have different reactors, and so have the new connections.

%% Opens N ports that select a descriptor each; the numbers.
select(S, Driver, N) ->
    [begin ok = open(S, I, Driver), list_to_integer(control(S, I, "select")) end || I <- lists:seq(1, N)].

close(S, N) ->
    [{ok, true} = request(S, {close, close, I, self()}) || I <- lists:seq(1, N)].

%% The numbers of the daemon's sockets.
sockets(D) ->
    Dir = lists:concat(["/proc/", raw_client:os_pid(D), "/fd"]),
    {ok, Names} = file:list_dir(Dir),
    [list_to_integer(Name) || Name <- Names, {ok, "socket:" ++ _} <- [file:read_link(filename:join(Dir, Name))]].
