%% SPDX-License-Identifier: Apache-2.0
%% Cases: loading, unloading and reloading drivers, their users and monitors.
-module(parity_ddll).
-include("parity.hrl").

cases() ->
    loading() ++ refused() ++ unloading() ++ reloading() ++ monitors() ++ information() ++ permanent().

-define(D, "start_probe_drv").

try_load(Options) -> ddll(try_load, [dir(), ?D, Options]).
try_unload(Options) -> ddll(try_unload, [?D, Options]).
port() -> parity_port:open_port({spawn_driver, ?D}, []).
down() -> until(fun() -> {ok, L} = ddll(loaded_drivers, []), not lists:member(?D, L) end).

loading() ->
    [{"a driver is loaded once and then is already loaded",
      fun() -> [try_load([]), try_load([]), trace(1), ddll(info, [?D, processes]), try_unload([]), try_unload([]), trace(1), down()] end},
     {"load and unload go together",
      fun() -> [ddll(load, [dir(), ?D]), trace(1), ddll(unload, [?D]), trace(1), down()] end},
     {"load_driver and unload_driver go together",
      fun() -> [ddll(load_driver, [dir(), ?D]), ddll(info, [?D, driver_options]), ddll(unload_driver, [?D]), down(), trace(2)] end},
     {"the name may be a string, a binary or an atom",
      fun() -> [[ddll(try_load, [dir(), N, []]), ddll(try_unload, [N, []]), down()] || N <- [?D, list_to_binary(?D), list_to_atom(?D), [$s, "tart_", <<"probe_drv">>]]] end},
     {"the path may be a string or a binary, with slashes at its end",
      fun() -> [[ddll(try_load, [P, ?D, []]), ddll(try_unload, [?D, []]), down()] || P <- [dir(), list_to_binary(dir()), dir() ++ "/", dir() ++ "//"]] end},
     {"another path or another option for a loaded driver is inconsistent",
      fun() ->
              [try_load([]), ddll(try_load, [dir() ++ "/.", ?D, []]), try_load([{driver_options, [kill_ports]}]),
               ddll(load, [dir() ++ "/.", ?D]), ddll(load_driver, [dir(), ?D])]
      end},
     {"options that are not understood are a badarg",
      fun() ->
              [[try_load(O) || O <- [a, [a], [{monitor, x}], [{reload, x}], [{driver_options, kill_ports}], [{driver_options, [x]}], [a | b]]],
               [try_unload(O) || O <- [a, [a], [{monitor, x}], [a | b]]]]
      end},
     {"names and paths that are not understood are a badarg",
      fun() ->
              [ddll(try_load, [P, N, []]) || {P, N} <- [{a_path, ?D}, {1, ?D}, {dir(), 1}, {dir(), {}}, {dir(), ''}]]
      end}].

%% Error numbers of open_error are the VM's own.
refused() ->
    Error = fun(Name) ->
                    case ddll(try_load, [dir(), Name, []]) of
                        {error, {open_error, N}} when is_integer(N), N < -9 -> {error, open_error};
                        Other -> Other
                    end
            end,
    Refused = fun(Name) -> [Error(Name), ddll(load, [dir(), Name]) =:= ddll(load, [dir(), Name]), trace(0)] end,
    [{"a file without driver_init is no driver", fun() -> Refused("load_no_init_drv") end},
     {"a driver_init that gives no entry fails", fun() -> Refused("load_null_drv") end},
     {"an init that gives -1 fails", fun() -> Refused("load_init_minus_drv") end},
     {"an init that gives 1 fails", fun() -> Refused("load_init_plus_drv") end},
     {"an entry without the marker is refused before init", fun() -> Refused("load_marker_drv") end},
     {"a major version of 1 is refused", fun() -> Refused("load_major_1_drv") end},
     {"a major version of the future is refused", fun() -> Refused("load_major_4_drv") end},
     {"a minor version of the future is refused", fun() -> Refused("load_minor_drv") end},
     {"a major version of 2 is accepted with any minor", fun() -> [Error("load_major_2_drv"), trace(2)] end},
     {"_driver_init is as good as driver_init", fun() -> [Error("load_underscore_drv"), trace(1)] end},
     {"an init that changes the entry comes too late",
      fun() -> P = open("load_patching_drv"), [close(P), trace(2)] end},
     {"a driver that calls itself otherwise is refused before init", fun() -> Refused("load_name_drv") end},
     {"a driver with unresolved symbols cannot be opened", fun() -> Refused("load_unresolved_drv") end},
     {"a file that is not there cannot be opened", fun() -> Refused("load_not_there_drv") ++ [Error("")] end},
     {"every refusal has a text",
      fun() ->
              Texts = [ddll(format_error, [E]) || E <- [bad_driver_name, no_driver_init, driver_incorrect_version, driver_init_failed, not_loaded, linked_in_driver,
                                                        inconsistent, permanent, not_loaded_by_this_process, pending_reload, pending_process]],
              {error, {open_error, N}} = ddll(try_load, [dir(), "load_not_there_drv", []]),
              [[is_list(T) andalso T =/= [] || T <- Texts], length(ddll(format_error, [{open_error, N}])) > 10]
      end}].

unloading() ->
    [{"unloading what is not loaded is an error",
      fun() -> [try_unload([]), ddll(unload, [?D]), ddll(unload_driver, [?D]), ddll(try_unload, ["no_such_drv", [kill_ports]])] end},
     {"unloading what another process loaded is an error",
      fun() -> A = proc(a), [ask(A, fun() -> try_load([]) end), try_unload([]), ddll(info, [?D, processes])] end},
     {"each load is unloaded by itself",
      fun() ->
              [try_load([]), try_load([]), ddll(info, [?D, processes]), try_unload([]), ddll(info, [?D, processes]), try_unload([]), down(), try_unload([])]
      end},
     {"other users keep the driver",
      fun() ->
              A = proc(a),
              [try_load([]), ask(A, fun() -> try_load([]) end), try_unload([]), try_unload([{monitor, pending}]), ddll(info, [?D, processes]),
               ask(A, fun() -> try_unload([]) end), down(), trace(2)]
      end},
     {"a user that ends has unloaded what it loaded",
      fun() -> A = proc(a), [ask(A, fun() -> try_load([]), try_load([]) end), stop_proc(A) =:= ok, down(), trace(2)] end},
     {"ports keep the driver until they are closed",
      fun() ->
              try_load([]),
              P = name(port(), port),
              [try_unload([]), ddll(info, [?D, port_count]), do(P, "x"), name(r(fun port/0), port2), close(P), ddll(info, [?D, port_count]), trace(4)]
      end},
     {"kill_ports ends the ports with driver_unloaded",
      fun() ->
              trap(),
              try_load([{driver_options, [kill_ports]}]),
              name(port(), port),
              [ddll(try_unload, [?D, [kill_ports, {monitor, pending}]]), msgs(2), down(), trace(4)]
      end},
     {"a driver that has no users any more is unloaded by whoever asks, and its ports end",
      fun() ->
              trap(),
              A = proc(a),
              Kill = fun() -> ask(A, fun() -> try_unload([kill_ports]) end) end,
              try_load([]),
              P = name(port(), port),
              [Kill(), do(P, "x"), try_unload([]), Kill(), gone(P), msgs(1), down(), trace(4)]
      end},
     {"unloading a driver that kills its ports while one is open waits for nothing",
      fun() ->
              trap(),
              ddll(load_driver, [dir(), ?D]),
              P = name(port(), port),
              [ddll(unload_driver, [?D]), gone(P), msgs(1), down(), trace(4)]
      end},
     {"a port that is killed with its driver is not flushed",
      fun() ->
              trap(),
              P = open("queue_probe_drv"),
              do(P, "enq abc"), do(P, "drain 3"),
              [ddll(try_unload, ["queue_probe_drv", [kill_ports]]), r(fun() -> parity_port:open_port({spawn_driver, "queue_probe_drv"}, []) end), trace(1), msgs(1), gone(P)]
      end},
     {"a driver that is unloaded with its ports cannot be opened once that is answered",
      fun() ->
              trap(),
              [begin
                   try_load([]),
                   P = name(port(), port),
                   [try_unload([kill_ports]), r(fun port/0), gone(P), msgs(1), down(), trace(4)]
               end || _ <- lists:seq(1, 5)]
      end},
     {"loading again takes back an unload that waits for ports",
      fun() ->
              try_load([]),
              P = name(port(), port),
              [try_unload([]), try_load([]), ddll(info, [?D, processes]), do(P, "x"), close(P), trace(3)]
      end},
     {"the monitor of an unload tells when it is done",
      fun() ->
              try_load([]),
              P = name(port(), port),
              [try_unload([{monitor, pending_driver}]), none(), close(P), msgs(1), down()]
      end},
     {"the monitor of an unload tells when it is taken back",
      fun() ->
              try_load([]),
              name(port(), port),
              [try_unload([{monitor, pending_driver}]), try_load([]), msgs(1)]
      end}].

reloading() ->
    [{"reloading what is not loaded is an error",
      fun() -> [try_load([{reload, pending_driver}]), ddll(reload, [dir(), ?D]), ddll(reload_driver, [dir(), ?D])] end},
     {"a reload without ports loads the file anew",
      fun() ->
              try_load([]),
              [try_load([{reload, pending_driver}, {monitor, pending_driver}]), msgs(1), trace(3), ddll(info, [?D, processes])]
      end},
     {"reload waits for the new driver",
      fun() -> try_load([]), [ddll(reload, [dir(), ?D]), trace(3)] end},
     {"a reload waits for ports, and is refused a second time",
      fun() ->
              try_load([]),
              P = name(port(), port),
              [try_load([{reload, pending_driver}, {monitor, pending_driver}]), try_load([{reload, pending_driver}]), do(P, "x"),
               r(fun() -> name(port(), port2) end), ddll(info, [?D, awaiting_load]), none(), close(P), trace(3)]
      end},
     {"a reload with several users is refused unless they are waited for",
      fun() ->
              A = proc(a),
              [try_load([]), ask(A, fun() -> try_load([]) end), try_load([{reload, pending_driver}]), try_load([{reload, pending}, {monitor, pending}]),
               ask(A, fun() -> try_unload([]) end), msgs(1), trace(3)]
      end},
     {"a process that has not loaded a driver cannot reload it",
      fun() -> A = proc(a), ask(A, fun() -> try_load([]) end), [try_load([{reload, pending_driver}]), try_load([{reload, pending}])] end},
     {"a process with two loads of its own is not the only user",
      fun() -> [try_load([]), try_load([]), try_load([{reload, pending_driver}]), try_unload([]), try_load([{reload, pending_driver}, {monitor, pending_driver}]), msgs(1)] end},
     {"what is to be unloaded cannot be reloaded",
      fun() ->
              try_load([]),
              P = name(port(), port),
              [try_unload([]), try_load([{reload, pending_driver}]), try_load([{reload, pending}]), close(P), down()]
      end},
     {"the options of a reload must be those of the load, its path need not",
      fun() ->
              try_load([]),
              [try_load([{reload, pending_driver}, {driver_options, [kill_ports]}]),
               ddll(try_load, [dir() ++ "/.", ?D, [{reload, pending_driver}, {monitor, pending_driver}]]), msgs(1), trace(3)]
      end},
     {"a reload of a driver that kills its ports waits for nothing",
      fun() ->
              trap(),
              ddll(load_driver, [dir(), ?D]),
              P = name(port(), port),
              [ddll(reload_driver, [dir(), ?D]), gone(P), msgs(1), trace(6), ddll(info, [?D, processes])]
      end},
     {"a reload whose last user goes is cancelled, and the driver unloaded",
      fun() ->
              A = proc(a),
              P = open("start_probe_drv"),
              [ask(A, fun() -> ddll(monitor, [driver, {?D, loaded}]), msgs(1) end),
               try_load([{reload, pending_driver}, {monitor, pending_driver}]),
               ask(A, fun() -> ddll(monitor, [driver, {?D, loaded}]), ddll(monitor, [driver, {?D, unloaded}]), none() end),
               try_unload([]), msgs(1), ask(A, fun() -> msgs(1) end), close(P), ask(A, fun() -> msgs(1) end), down(), trace(3)]
      end},
     {"waiting for a reload is told when the driver is there",
      fun() ->
              A = proc(a),
              P = open("start_probe_drv"),
              [try_load([{reload, pending_driver}]), ask(A, fun() -> ddll(monitor, [driver, {?D, loaded}]), none() end), close(P), ask(A, fun() -> msgs(1) end)]
      end},
     {"a reload whose file is gone is told to those who wait",
      fun() ->
              Dir = parity_case:trace_file() ++ ".drivers",
              File = filename:join(Dir, "start_probe_drv.so"),
              file:make_dir(Dir),
              {ok, _} = file:copy(filename:join(dir(), "start_probe_drv.so"), File),
              R = [ddll(try_load, [Dir, ?D, []]), file:delete(File), ddll(try_load, [Dir, ?D, [{reload, pending_driver}, {monitor, pending_driver}]])],
              M = [case X of {'DOWN', Ref, driver, N, {load_failure, {open_error, E}}} when E < -9 -> {'DOWN', Ref, driver, N, load_failure}; _ -> X end || X <- msgs(1)],
              file:del_dir_r(Dir),
              [R, M, down(), trace(2)]
      end},
     {"loading while a reload waits gives a reference",
      fun() ->
              A = proc(a),
              try_load([]),
              P = name(port(), port),
              [try_load([{reload, pending_driver}]), ask(A, fun() -> try_load([]) end), close(P), ask(A, fun() -> msgs(1) end)]
      end}].

monitors() ->
    Monitor = fun(Name, When) -> ddll(monitor, [driver, {Name, When}]) end,
    [{"a monitor of an unknown driver answers at once",
      fun() -> [Monitor("no_such_drv", loaded), msgs(1), Monitor("no_such_drv", unloaded), msgs(1), Monitor(no_such_drv, unloaded_only), msgs(1)] end},
     {"a monitor of a loaded driver answers at once when it is asked about loading",
      fun() -> try_load([]), [Monitor(?D, loaded), msgs(1)] end},
     {"a monitor of a loaded driver waits for the unload",
      fun() -> try_load([]), [Monitor(?D, unloaded), Monitor(list_to_atom(?D), unloaded_only), none(), try_unload([]), lists:sort(msgs(2))] end},
     {"a monitor of the unload alone keeps waiting when the unload is taken back",
      fun() ->
              try_load([]),
              P = name(port(), port),
              [Monitor(?D, unloaded_only), Monitor(?D, unloaded), try_unload([]), try_load([]), msgs(1), try_unload([]), close(P), msgs(1)]
      end},
     {"a monitor of loading says cancelled when the unload is on",
      fun() -> try_load([]), P = name(port(), port), [try_unload([]), Monitor(?D, loaded), msgs(1), close(P)] end},
     {"a monitor that was taken back says nothing",
      fun() ->
              try_load([]),
              R = Monitor(?D, unloaded),
              [ddll(demonitor, [R]), ddll(demonitor, [R]), try_unload([]), down(), none()]
      end},
     {"a process that has ended waits no more",
      fun() ->
              try_load([]),
              [A, B] = [proc(a), proc(b)],
              Names = #{A => a, B => b, self() => test},
              Waiting = fun() -> lists:sort([{maps:get(Pid, Names), N} || {Pid, N} <- ddll(info, [?D, awaiting_unload])]) end,
              ask(B, fun() -> try_load([]) end),
              ask(B, fun() -> try_load([]) end),
              [ask(A, fun() -> Monitor(?D, When) end) || When <- [unloaded, unloaded, unloaded_only]],
              ask(B, fun() -> Monitor(?D, unloaded_only) end),
              R = ask(B, fun() -> try_unload([{monitor, pending}]) end),
              Monitor(?D, unloaded),
              Before = Waiting(),
              [exit(Pid, kill) || Pid <- [A, B]],
              until(fun() -> length(Waiting()) =< 1 end),
              [R, Before, Waiting(), length(ddll(info, [?D, processes])), try_unload([]), msgs(1)]
      end},
     {"taking back what is no monitor is true for a reference and a badarg otherwise",
      fun() -> [ddll(demonitor, [make_ref()]), ddll(demonitor, [a]), ddll(demonitor, [1])] end},
     {"monitors that are not understood are a badarg",
      fun() -> [ddll(monitor, A) || A <- [[port, {?D, loaded}], [driver, {?D, x}], [driver, ?D], [driver, {1, loaded}]]] end}].

information() ->
    [{"info tells users, ports and options of a driver",
      fun() ->
              A = proc(a),
              try_load([]),
              ask(A, fun() -> try_load([]), try_load([]) end),
              name(port(), port),
              [lists:sort([{case P of A -> a; _ -> self end, N} || {P, N} <- ddll(info, [?D, processes])])
               | [{I, ddll(info, [?D, I])} || I <- [driver_options, port_count, linked_in_driver, permanent, awaiting_load, awaiting_unload]]]
      end},
     {"info of the options tells kill_ports",
      fun() -> try_load([{driver_options, [kill_ports]}]), [ddll(info, [?D, driver_options])] end},
     {"info tells who waits for the unload",
      fun() ->
              try_load([]),
              P = name(port(), port),
              [try_unload([{monitor, pending_driver}]), ddll(info, [?D, awaiting_unload]), ddll(info, [?D, processes]), close(P), msgs(1)]
      end},
     {"info of an unknown driver or item is a badarg",
      fun() -> try_load([]), [ddll(info, ["no_such_drv", port_count]), ddll(info, [?D, unknown]), ddll(info, [1, port_count])] end},
     {"info of a driver is a list of all items",
      fun() -> try_load([]), [lists:sort([I || {I, _} <- ddll(info, [?D])])] end},
     {"info of all drivers is a list of their names and items",
      fun() ->
              try_load([]),
              All = ddll(info, []),
              [lists:keyfind(?D, 1, All) =:= {?D, ddll(info, [?D])}, [N || {N, _} <- All, N =:= ?D], is_list(hd([L || {_, L} <- All]))]
      end},
     {"loaded drivers are listed by name",
      fun() -> Is = fun() -> {ok, L} = ddll(loaded_drivers, []), lists:member(?D, L) end, [Is(), try_load([]), Is(), try_unload([]), down(), Is()] end}].

permanent() ->
    [{"a driver that locks itself is permanent",
      fun() ->
              L = "lock_probe_drv",
              P = open(L),
              Ref = ddll(monitor, [driver, {L, unloaded}]),
              [is_reference(Ref), ddll(info, [L, permanent]), do(P, "x"), msgs(1), ddll(try_load, [dir(), L, []]), ddll(try_unload, [L, []]),
               [ddll(info, [L, I]) || I <- [processes, driver_options, port_count, permanent, linked_in_driver]],
               ddll(monitor, [driver, {L, loaded}]), msgs(1), close(P), ddll(unload, [L])]
      end}].
