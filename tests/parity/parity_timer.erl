%% SPDX-License-Identifier: Apache-2.0
%% Cases: the port's timer.
-module(parity_timer).
-include("parity.hrl").

cases() ->
    Do = fun(Actions, N) -> P = open("timer_probe_drv"), dos(P, Actions) ++ [msgs(N), trace(N)] end,
    [{"a timer fires once and never early",
      fun() -> Do(["set 30"], 1) end},
     {"a timer of 0 ms fires soon but not inside the call that sets it",
      fun() -> Do(["set 0"], 1) end},
     {"a timer that was cancelled does not fire",
      fun() -> Do(["set 10", "cancel", "cancel"], 0) end},
     {"a timer that has expired can be cancelled until its callback runs",
      fun() -> Do(["set_and_cancel 0", "set_and_cancel 1"], 0) end},
     {"a second setting replaces the first",
      fun() -> Do(["set_twice 3000"], 1) end},
     {"the time left is nothing without a timer and at most what was set with one",
      fun() -> Do(["read", "set 3000", "read", "cancel", "read"], 0) end},
     {"inside its callback the timer has expired and can be set again",
      fun() -> Do(["rearm 3"], 1) end},
     {"closing cancels the timer",
      fun() -> P = open("timer_probe_drv"), [do(P, "set 10"), close(P), trace(1), timer:sleep(20), trace(0)] end},
     {"a timer set in start fires after it",
      fun() -> _ = open("timer_probe_drv in_start"), [msgs(1), trace(2)] end},
     {"a timer set in a start that fails does not fire",
      fun() -> [r(fun() -> open("timer_probe_drv in_start fail") end), timer:sleep(20), trace(1)] end},
     {"timers of two ports do not know of each other",
      fun() ->
              A = open(port, "timer_probe_drv", []),
              B = open(port2, "timer_probe_drv", []),
              do(A, "set 3000"), do(B, "set 1"), do(A, "cancel"),
              [msgs(1), do(A, "read")]
      end},
     {"a timer without callback can be set and does nothing",
      fun() -> P = open("partial_probe_drv"), [do(P, "timer"), timer:sleep(20), trace(0), do(P, "sizeq")] end}].
