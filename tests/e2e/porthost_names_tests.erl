%% SPDX-License-Identifier: Apache-2.0
%% A node that gets a name, another one, or none, while its ports are open. Each test has a node and a daemon of its own; nobody
%% connects to the node, so no name server is asked.
-module(porthost_names_tests).
-include_lib("eunit/include/eunit.hrl").
-include("../../proto/erlang/src/porthost.hrl").

-export([ports_go_on/0, what_was_on_its_way_arrives/0, the_same_name_again/1, all_kinds_of_terms/0]).

-define(IN_A_NODE(Function, Args), {timeout, 60, fun() -> in_a_node(Function, Args) end}).

in_a_node(Function, Args) ->
    {ok, Peer, _} = peer:start_link(#{connection => standard_io, args => ["-pa" | code:get_path()]}),
    try ok = peer:call(Peer, ?MODULE, Function, Args, 50000)
    after peer:stop(Peer)
    end.

start(Options) ->
    Daemon = os:getenv("PORTHOSTD", "build/porthostd"),
    Drivers = os:getenv("DRIVERS", "build/drivers"),
    Path = Drivers ++ ":" ++ filename:join([Drivers, "..", "tests", "drivers"]),
    Command = Daemon ++ " --stdio --log-level error --driver-path " ++ Path,
    porthost:start(Options#{name => porthost, transport => {spawn, Command}}).

call_node(Name) ->
    _ = net_kernel:stop(),
    ok = named(Name).

named(nonode) -> ok;
named(Name) -> element(1, net_kernel:start(Name, #{name_domain => shortnames, dist_listen => false})).

next() ->
    receive Message -> Message after 3000 -> nothing end.

open() ->
    porthost:open_port({spawn_driver, "echo_drv"}, [binary]).

ports_go_on_when_the_node_changes_its_name_test_() ->
    ?IN_A_NODE(ports_go_on, []).

ports_go_on() ->
    process_flag(trap_exit, true),
    {ok, _} = start(#{}),
    Old = open(),
    [begin
         call_node(Name),
         works(Old),
         works(open())
     end
     || Name <- [one, two, nonode, one]],
    call_node(nonode),
    works(Old),
    true = porthost:port_close(Old),
    {'EXIT', Old, normal} = next(),
    ok.

%% The daemon takes the owner for the owner, in all that it is asked and tells.
works(Port) ->
    Me = self(),
    Port ! {Me, {command, "hello"}},
    {Port, {data, <<"hello">>}} = next(),
    true = porthost:port_command(Port, "there"),
    {Port, {data, <<"there">>}} = next(),
    {connected, Me} = porthost:port_info(Port, connected),
    Ref = make_ref(),
    Term = {Port, [Me | Ref], #{Me => Ref}, hd(erlang:ports())},
    {ok, 1, Term} = porthost:port_call(Port, 1, Term),
    true = porthost:port_set_data(Port, Term),
    Term = porthost:port_get_data(Port),
    {links, Links} = porthost:port_info(Port, links),
    true = lists:member(Me, Links),
    %% an owner that ends with reason normal, which counts if it is the owner
    {Owner, Watch} = spawn_monitor(fun() -> receive stop -> ok end end),
    New = open(),
    true = porthost:port_connect(New, Owner),
    Owner ! stop,
    {'DOWN', Watch, process, Owner, normal} = next(),
    {'EXIT', New, normal} = next(),
    %% users of drivers
    Monitor = porthost_ddll:monitor(driver, {no_such_drv, unloaded}),
    {'DOWN', Monitor, driver, no_such_drv, unloaded} = next(),
    ok = porthost_ddll:load(hd(string:split(os:getenv("DRIVERS", "build/drivers"), ":")), delay_drv),
    [{Me, 1}] = porthost_ddll:info(delay_drv, processes),
    ok = porthost_ddll:unload(delay_drv).

what_is_on_its_way_when_the_node_changes_its_name_arrives_test_() ->
    ?IN_A_NODE(what_was_on_its_way_arrives, []).

what_was_on_its_way_arrives() ->
    {ok, _} = start(#{}),
    Port = porthost:open_port({spawn_driver, "strain_probe_drv"}, []),
    [] = porthost:port_control(Port, 3, "500"),     % what a command takes; what comes behind it waits
    true = porthost:port_command(Port, "late"),
    Me = self(),
    spawn_link(fun() -> Me ! {answer, porthost:port_control(Port, 5, "")} end),
    timer:sleep(50),
    ok = call_node(one),
    {messages, []} = process_info(Me, messages),
    {Port, {data, "late"}} = next(),
    {answer, []} = next(),
    ok.

%% Nobody can tell by the name what is whose.
the_same_name_again_after_another_ends_the_connection_test_() ->
    [?IN_A_NODE(the_same_name_again, [Options]) || Options <- [#{}, #{reconnect => #{min => 1}}]].

the_same_name_again(Options) ->
    process_flag(trap_exit, true),
    ok = call_node(one),
    {ok, _} = start(Options),
    Port = open(),
    ok = call_node(two),
    works(Port),
    ok = call_node(one),
    {'EXIT', Port, {porthost, {host_down, node_restarted}}} = next(),
    case Options of
        #{reconnect := _} -> works(again());
        #{} -> porthost_fake:until(fun() -> whereis(porthost) =:= undefined end)
    end.

again() ->
    try open() catch error:_ -> timer:sleep(20), again() end.

%% There and back.
terms_of_all_kinds_are_renamed_test_() ->
    ?IN_A_NODE(all_kinds_of_terms, []).

all_kinds_of_terms() ->
    Terms = [self(), make_ref(), hd(erlang:ports()), alias(), monitor(process, self(), [{alias, demonitor}]), [self() | self()],
             {self(), #{self() => {make_ref()}}}, [], {}, #{}, 1.5, "text", <<1:3>>, fun erlang:self/0],
    Frame = term_to_binary(Terms),
    ok = call_node(binary_to_atom(binary:copy(<<"n">>, 150))),
    Foreign = binary_to_term(Frame),
    true = Foreign =/= Terms,
    {ok, Terms} = porthost_wire:decode(via('nonode@nohost', 0), Frame),
    Foreign = binary_to_term(iolist_to_binary(porthost_wire:encode(via('nonode@nohost', 0), Terms))),
    ok = call_node(nonode),
    {ok, Terms} = porthost_wire:decode(via('nonode@nohost', 0), Frame),
    ok.

via(Node, Creation) ->
    #via{node = Node, creation = Creation}.
