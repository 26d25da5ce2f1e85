%% SPDX-License-Identifier: Apache-2.0
%% Runs single cases inside the node whose ports are under test, one at a time, each from a clean start: no ports, no probe
%% drivers, an empty trace. Called by parity, which is in another node because a case may take this one down.
-module(parity_run).

-export([start/2, run/2]).

-define(CASE_TIME, 20000).

%% Transport: how the client reaches the daemon; not used by the backend vm.
-spec start(parity_port:backend(), none | porthost:transport()) -> ok.
start(Backend, Transport) ->
    parity_port:use(Backend),
    Backend =:= porthost andalso start_host(Transport),
    {ok, Drivers} = parity_port:ddll(loaded_drivers, []),
    persistent_term:put({?MODULE, drivers}, Drivers),
    persistent_term:put({?MODULE, ports}, parity_port:ports()),
    ok.

%% The caller is gone as soon as it has its answer; the host must not be.
start_host(Transport) ->
    Self = self(),
    spawn(fun() ->
                  {ok, _} = porthost:start_link(#{transport => Transport, name => porthost}),
                  Self ! {self(), started},
                  receive never -> ok end
          end),
    receive {_, started} -> ok end.

-spec run(module(), string()) -> [term()].
run(Module, Name) ->
    {Name, Fun} = lists:keyfind(Name, 1, Module:cases()),
    ok = file:write_file(parity_case:trace_file(), ""),
    {Pid, Ref} = spawn_monitor(fun() -> exit({observed, parity_case:run(Fun)}) end),
    receive
        {'DOWN', Ref, process, Pid, {observed, Observation}} -> Observation ++ clean();
        {'DOWN', Ref, process, Pid, Reason} -> [{'$died', Reason}] ++ clean()
    after ?CASE_TIME ->
        exit(Pid, kill),
        ['$hung'] ++ clean()
    end.

%% Drivers are unloaded when the process of the case has ended and its ports and jobs have: the next case needs them unloaded.
clean() ->
    [exit(P, kill) || P <- parity_port:ports() -- persistent_term:get({?MODULE, ports})],
    parity_case:until(fun() -> left_over() =:= [] end, 2000),
    case left_over() of
        [] -> [];
        Names -> [{'$left_over', Names}]
    end.

%% The lock probe makes itself permanent, and is meant to.
left_over() ->
    {ok, Drivers} = parity_port:ddll(loaded_drivers, []),
    Drivers -- ["lock_probe_drv" | persistent_term:get({?MODULE, drivers})].
