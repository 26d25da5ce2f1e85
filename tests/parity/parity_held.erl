%% SPDX-License-Identifier: Apache-2.0
%% Cases: what a thread of a driver holds when its ports are gone, and whether the driver is unloaded all the same.
-module(parity_held).
-include("parity.hrl").

cases() ->
    held() ++ meanwhile() ++ at_once() ++ [not_held(What, Action) || {What, Action} <- not_holding()].

-define(D, "held_probe_drv").

try_load(Options) -> ddll(try_load, [dir(), ?D, Options]).
try_unload(Options) -> ddll(try_unload, [?D, Options]).
loaded() -> {ok, L} = ddll(loaded_drivers, []), lists:member(?D, L).
down() -> until(fun() -> not loaded() end).
port(Name, Command) -> name(parity_port:open_port({spawn_driver, Command}, []), Name).
info() -> [{I, ddll(info, [?D, I])} || I <- [port_count, processes, awaiting_load, awaiting_unload]].

%% Script runs with the gate shut and opens it; whatever becomes of it, no thread is left waiting.
gated(Script) ->
    Gate = parity_case:trace_file() ++ ".gate",
    Open = fun() -> file:write_file(Gate, "") end,
    file:delete(Gate),
    try Script(Open) after Open(), down() andalso file:delete(Gate) end.

%% The observation begins with a port that has come and gone, and left its thread with something.
left(Action, Script) ->
    left(Action, [], Script).

left(Action, Options, Script) ->
    trap(),
    gated(fun(Gate) ->
                  R = [try_load(Options)],
                  P = port(port, ?D " pdl"),
                  R ++ [do(P, Action), close(P), gone(P), msgs(1), trace(3)] ++ Script(Gate)
          end).

held() ->
    [{"a thread with a reference to a port data lock keeps the driver",
      fun() ->
              left("hold_pdl",
                   fun(Gate) ->
                           [try_unload([{monitor, pending_driver}]), none(), loaded(), info(), Gate(), msgs(1), down(), trace(3)]
                   end)
      end},
     {"a thread that unlocks the port data lock last lets the driver go",
      fun() ->
              left("hold_pdl_to_unlock",
                   fun(Gate) -> [try_unload([{monitor, pending_driver}]), none(), loaded(), Gate(), msgs(1), down(), trace(3)] end)
      end},
     {"a driver that is kept by a port data lock goes when its last user ends",
      fun() ->
              A = proc(a),
              trap(),
              gated(fun(Gate) ->
                            R = [ask(A, fun() -> try_load([]) end)],
                            P = port(port, ?D " pdl"),
                            R ++ [do(P, "hold_pdl"), stop_proc(A), close(P), gone(P), ddll(monitor, [driver, {?D, unloaded}]), trace(3), loaded(),
                                  Gate(), msgs(2), down(), trace(3)]
                    end)
      end},
     {"a thread with a reference to a port data lock keeps a driver whose ports are killed",
      fun() ->
              trap(),
              gated(fun(Gate) ->
                            R = [ddll(load_driver, [dir(), ?D])],
                            P = port(port, ?D " pdl"),
                            R ++ [do(P, "hold_pdl"), try_unload([{monitor, pending_driver}, kill_ports]), gone(P), msgs(1), loaded(), info(),
                                  r(fun() -> port(port2, ?D) end), Gate(), msgs(1), down(), trace(5)]
                    end)
      end},
     {"a port of the driver may be opened while a port data lock keeps it",
      fun() ->
              left("hold_pdl",
                   fun(Gate) ->
                           R = [try_unload([{monitor, pending_driver}])],
                           K = port(port2, ?D),
                           R ++ [info(), Gate(), do(K, "join"), none(), loaded(), close(K), msgs(2), down(), trace(5)]
                   end)
      end}].

meanwhile() ->
    [{"a driver that a port data lock keeps can be loaded again, and is the same",
      fun() ->
              left("hold_pdl",
                   fun(Gate) ->
                           [try_unload([{monitor, pending_driver}]), try_load([]), msgs(1), info(), Gate(), trace(2), none(), loaded(),
                            try_unload([{monitor, pending_driver}]), msgs(1), down(), trace(1)]
                   end)
      end},
     {"a reload waits for a port data lock that a thread has",
      fun() ->
              left("hold_pdl",
                   fun(Gate) ->
                           [try_load([{reload, pending_driver}, {monitor, pending_driver}]), none(), info(), trace(0),
                            try_load([{reload, pending_driver}]), Gate(), msgs(1), trace(4), try_unload([]), down(), trace(1)]
                   end)
      end},
     {"reload_driver waits for a port data lock that a thread has",
      fun() ->
              A = proc(a),
              trap(),
              gated(fun(Gate) ->
                            R = [ask(A, fun() -> ddll(load_driver, [dir(), ?D]) end)],
                            P = port(port, ?D " pdl"),
                            R1 = R ++ [do(P, "hold_pdl"), close(P), gone(P), msgs(1), trace(3)],
                            Ref = start_ask(A, fun() -> ddll(reload_driver, [dir(), ?D]) end),
                            R1 ++ [answered(Ref, 50), r(fun() -> port(port2, ?D) end), info(), Gate(), answer(Ref), trace(4),
                                   ask(A, fun() -> ddll(unload_driver, [?D]) end), down(), trace(1)]
                    end)
      end}].

%% The thread drops its reference while the driver is told to go.
at_once() ->
    Round = fun(Unload) ->
                    gated(fun(Gate) ->
                                  R = [try_load([])],
                                  P = port(port, ?D " pdl"),
                                  R ++ [do(P, "hold_pdl"), close(P), Gate(), Unload(), down()]
                          end)
            end,
    [{"a thread drops the port data lock while its driver is unloaded",
      fun() -> [Round(fun() -> try_unload([]) end) || _ <- lists:seq(1, 30)] end},
     {"a thread drops the port data lock while its driver is reloaded",
      fun() ->
              [Round(fun() -> [ddll(reload, [dir(), ?D]), try_unload([])] end) || _ <- lists:seq(1, 30)]
      end}].

not_holding() ->
    [{"is not joined", "hold_nothing"}, {"has a binary", "hold_binary"}, {"has locked a mutex", "hold_mutex"}, {"has a key", "hold_key"}].

not_held(What, Action) ->
    {"a thread that " ++ What ++ " does not keep the driver",
     fun() -> left(Action, fun(_Gate) -> [try_unload([{monitor, pending_driver}]), msgs(1), down(), trace(2)] end) end}.
