%% SPDX-License-Identifier: Apache-2.0
%% Cases: driver_caller and driver_connected. The messages are {Callback, Caller, Connected}.
-module(parity_caller).
-include("parity.hrl").

cases() ->
    [{"the caller in start is the owner",
      fun() -> open("caller_probe_drv"), [msgs(1)] end},
     {"the caller of control and call is the process that calls",
      fun() ->
              P = open("caller_probe_drv"),
              A = proc(a),
              [do(P, "report"), call(P, 0, x), ask(A, fun() -> do(P, "report") end), ask(A, fun() -> call(P, 0, x) end), msgs(5)]
      end},
     {"the caller of a command is the process that commands",
      fun() ->
              P = open("caller_probe_drv"),
              A = proc(a),
              command(P, "x"),
              ask(A, fun() -> parity_port:port_command(P, "x") end),
              R = msgs(3),
              P ! {self(), {command, "x"}},
              [R, msgs(1)]
      end},
     {"the caller of a command by message is its real sender, whoever it says it is",
      fun() ->
              P = open("caller_probe_drv"),
              A = proc(a),
              Self = self(),
              ask(A, fun() -> P ! {Self, {command, "x"}}, ok end),
              [msgs(2)]
      end},
     {"there is no caller in timeout, ready_input, ready_async and process_exit",
      fun() ->
              P = open("caller_probe_drv"),
              A = proc(a),
              R = [do(P, "timer"), msgs(2), do(P, "select"), msgs(1), do(P, "async"), msgs(1), ask(A, fun() -> do(P, "monitor") end)],
              stop_proc(A),
              R ++ [msgs(1)]
      end},
     {"the connected process is the new owner after connect",
      fun() ->
              P = open("caller_probe_drv"),
              A = proc(a),
              msgs(1),
              parity_port:port_connect(P, A),
              [do(P, "report"), none(), ask(A, fun() -> do(P, "report") end), ask(A, fun() -> msgs(2) end)]
      end},
     {"there is no caller in stop when the port is closed",
      fun() -> trap(), P = open("caller_probe_drv"), [close(P), msgs(3), trace(1)] end},
     {"there is no caller in stop after a close message",
      fun() -> trap(), P = open("caller_probe_drv"), bang(P, {self(), close}), [msgs(4), trace(1)] end},
     {"there is no caller in stop after an exit signal",
      fun() -> trap(), P = open("caller_probe_drv"), exit(P, gone), [msgs(3), trace(1)] end},
     {"stop inside a command has the caller of the command",
      fun() ->
              trap(),
              P = open("caller_probe_drv"),
              A = proc(a),
              [ask(A, fun() -> parity_port:port_command(P, "die") end), msgs(4), trace(1)]
      end},
     {"stop after a flush sends nothing",
      fun() -> trap(), P = open("caller_probe_drv"), [do(P, "enq abc"), close(P), gone(P), msgs(2), trace(3)] end},
     {"a process is one word, and another process another",
      fun() ->
              P = open("caller_probe_drv"),
              A = proc(a),
              [do(P, "same"), ask(A, fun() -> do(P, "same") end), do(P, "same")]
      end}].
