%% SPDX-License-Identifier: Apache-2.0
%% Load: all areas of the driver API, as the cases of tests/parity have them. What a VM observes is kept, and the daemon must give the same each time. Cases are
%% run by two nodes, one with the VM's own ports, one connected to the daemon. For mixed_run.
-module(mixed_parity).
-export([start/2, stop/1, next/1]).

-record(st, {trace, vm, hosted, cases, ahead, seen = #{}}). % seen: name => what the VM has observed

-define(CALL_TIME, 60000).
-define(VM_TRIES, 3).

%% Trace: the file to which the daemon's probe drivers trace.
start(D, Trace) ->
    Self = self(),
    Pid = spawn_link(fun() -> St = new(D, Trace), Self ! {self(), ready}, serve(St) end),
    receive {Pid, ready} -> Pid after ?CALL_TIME -> error(no_nodes) end.

stop(Pid) ->
    ask(Pid, stop).

%% The next case, against what the VM says; how many observations it was. Not the same: an error.
next(Pid) ->
    case ask(Pid, next) of
        N when is_integer(N) -> N;
        Wrong -> error(Wrong)
    end.

ask(Pid, What) ->
    Ref = monitor(process, Pid),
    Pid ! {What, self()},
    receive
        {Pid, Answer} -> demonitor(Ref, [flush]), Answer;
        {'DOWN', Ref, process, _, Why} -> error({parity, Why})
    end.

new(#{socket := Socket}, Trace) ->
    Cases = cases(),
    #st{trace = Trace, vm = vm(Trace), hosted = node_with(Trace, porthost, {unix, Socket}), cases = Cases, ahead = Cases}.

vm(Trace) ->
    node_with(Trace ++ ".vm", vm, none).

%% Not those that differ on purpose, nor of modules that need a host for themselves: they load drivers that are not in the driver path, ask for
%% all drivers there are; nor those that count on the number of a descriptor being free a moment after it was closed. The modules take turns, so that a short run has something of each.
cases() ->
    {ok, [Intended]} = file:consult("tests/parity/intended.eterm"),
    Numbered = [lists:enumerate([{Module, Name} || {Name, _} <- Module:cases(), not lists:keymember(Name, 1, Intended), not lists:prefix("a number that is used again", Name)])
                || Module <- parity:modules() -- [parity_ddll, parity_others]],
    [Case || {_, Case} <- lists:keysort(1, lists:append(Numbered))].

node_with(Trace, Backend, Transport) ->
    Env = [{"PH_PROBE_TRACE", Trace}, {"PARITY_DRIVERS", lists:last(raw_client:driver_path())}],
    {ok, Peer, _} = peer:start(#{connection => standard_io, args => ["-kernel", "logger_level", "none", "+A", "4", "-pa" | code:get_path()], env => Env}),
    ok = peer:call(Peer, parity_run, start, [Backend, Transport], ?CALL_TIME),
    Peer.

serve(#st{ahead = []} = St) ->
    serve(St#st{ahead = St#st.cases});
serve(#st{ahead = [{Module, Name} = Case | Ahead]} = St) ->
    receive
        {next, From} ->
            #st{seen = #{Name := Expected}} = St1 = expected(Case, St, ?VM_TRIES),
            Observed = peer:call(St#st.hosted, parity_run, run, [Module, Name], ?CALL_TIME),
            From ! {self(), case Observed of Expected -> length(Expected); _ -> {differs, Name, {vm, Expected}, {hosted, Observed}} end},
            serve(St1#st{ahead = Ahead});
        {stop, From} ->
            [peer:stop(P) || P <- [St#st.vm, St#st.hosted]],
            From ! {self(), ok}
    end.

%% A VM that goes down, as now and then one does (see parity), is followed by another one.
expected({_, Name}, #st{seen = Seen} = St, _) when is_map_key(Name, Seen) ->
    St;
expected({Module, Name} = Case, #st{seen = Seen, vm = Vm, trace = Trace} = St, Tries) ->
    try peer:call(Vm, parity_run, run, [Module, Name], ?CALL_TIME) of
        Expected -> St#st{seen = Seen#{Name => Expected}}
    catch
        exit:_ when Tries > 1 ->
            catch peer:stop(Vm),
            expected(Case, St#st{vm = vm(Trace)}, Tries - 1)
    end.
