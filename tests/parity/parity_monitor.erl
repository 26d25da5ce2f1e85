%% SPDX-License-Identifier: Apache-2.0
%% Cases: monitors of processes by drivers.
-module(parity_monitor).
-include("parity.hrl").

cases() ->
    Two = fun(Script) -> P = open("monitor_probe_drv"), A = proc(a), B = proc(b), Script(P, A, B) end,
    In = fun(Proc, P, Action) -> ask(Proc, fun() -> do(P, Action) end) end,
    [{"the driver is told once when a monitored process ends",
      fun() -> Two(fun(P, A, _) -> [In(A, P, "monitor"), stop_proc(A), trace(1), msgs(1), do(P, "who 0"), msgs(1)] end) end},
     {"a process may be monitored twice, and each monitor fires",
      fun() ->
              Two(fun(P, A, _) ->
                          [In(A, P, "monitor"), In(A, P, "monitor"), do(P, "compare"), stop_proc(A), lists:sort(trace(2)), msgs(2)]
                  end)
      end},
     {"monitors of two processes are told apart",
      fun() ->
              Two(fun(P, A, B) ->
                          [In(A, P, "monitor"), In(B, P, "monitor"), do(P, "compare"), stop_proc(B), trace(1), msgs(1),
                           do(P, "who 0"), do(P, "who 1"), msgs(2), stop_proc(A), trace(1), msgs(1)]
                  end)
      end},
     {"a copy of a monitor is as good as the monitor",
      fun() -> Two(fun(P, A, _) -> [In(A, P, "monitor"), do(P, "who_copy 0"), msgs(1)] end) end},
     {"a monitor that was taken back does not fire",
      fun() ->
              Two(fun(P, A, _) ->
                          [In(A, P, "monitor"), do(P, "demonitor 0"), do(P, "demonitor 0"), do(P, "who 0"), stop_proc(A), msgs(1), trace(0)]
                  end)
      end},
     {"a monitor that was never made, or is another port's, is none",
      fun() ->
              Two(fun(P, A, _) ->
                          Q = open(port2, "monitor_probe_drv", []),
                          [do(P, "lend 3"), do(P, "lent"), msgs(1), In(A, P, "monitor"), do(P, "lend 0"), do(Q, "lent"), msgs(1), do(P, "who 0"), msgs(1)]
                  end)
      end},
     {"a process that is gone cannot be monitored",
      fun() -> Two(fun(P, A, _) -> [In(A, P, "remember"), stop_proc(A), do(P, "monitor_remembered"), none(), trace(0)] end) end},
     {"what is not a pid cannot be monitored",
      fun() -> [do(open("monitor_probe_drv"), "monitor_nonsense")] end},
     {"a driver without process_exit cannot monitor",
      fun() -> [do(open("partial_probe_drv"), "monitor")] end},
     {"port_info names the monitored processes",
      fun() ->
              Two(fun(P, A, _) ->
                          [parity_port:port_info(P, monitors), In(A, P, "monitor"), parity_port:port_info(P, monitors), do(P, "demonitor 0"),
                           parity_port:port_info(P, monitors)]
                  end)
      end},
     {"monitors are gone when stop runs",
      fun() -> Two(fun(P, A, _) -> [In(A, P, "monitor"), close(P), trace(2), stop_proc(A), trace(0)] end) end},
     {"monitors are gone when flush runs, and do not fire while closing",
      fun() ->
              trap(),
              Two(fun(P, A, _) ->
                          [In(A, P, "monitor"), do(P, "enq abc"), do(P, "set_timer 60"), close(P), trace(1), stop_proc(A), trace(2), gone(P), msgs(1)]
                  end)
      end},
     {"the owner may be monitored, and its end is not told to a port that ends with it",
      fun() ->
              A = proc(a),
              load("monitor_probe_drv"),
              P = name(ask(A, fun() -> parity_port:open_port({spawn_driver, "monitor_probe_drv"}, []) end), port),
              [In(A, P, "monitor"), stop_proc(A), trace(1), gone(P)]
      end}].
