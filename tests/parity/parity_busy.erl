%% SPDX-License-Identifier: Apache-2.0
%% Cases: busy ports. A process that should wait is given a tenth of a second to show that it does not.
-module(parity_busy).
-include("parity.hrl").

-define(WAIT, 100).

cases() ->
    suspension() ++ options() ++ limits().

send(P, Data) ->
    fun() -> parity_port:port_command(P, Data) end.

send(P, Data, Options) ->
    r(fun() -> parity_port:port_command(P, Data, Options) end).

suspension() ->
    With = fun(Script) -> P = open("busy_probe_drv"), A = proc(a), Script(P, A) end,
    [{"a command to a busy port waits until the port is free",
      fun() ->
              With(fun(P, A) ->
                           do(P, "busy 1"),
                           C = start_ask(A, send(P, "late")),
                           [answered(C, ?WAIT), trace(1), do(P, "busy 0"), answer(C), trace(2)]
                   end)
      end},
     {"a message to a busy port makes its sender wait",
      fun() ->
              With(fun(P, A) ->
                           do(P, "busy 1"),
                           Self = self(),
                           C = start_ask(A, fun() -> P ! {Self, {command, "late"}}, sent end),
                           [answered(C, ?WAIT), trace(1), do(P, "busy 0"), answer(C), trace(2)]
                   end)
      end},
     {"control, call, info and connect do not wait for a busy port",
      fun() ->
              With(fun(P, A) ->
                           do(P, "busy 1"),
                           [call(P, 0, {some, term}), parity_port:port_info(P, connected), r(fun() -> parity_port:port_connect(P, A) end),
                            r(fun() -> parity_port:port_set_data(P, x) end), do(P, "limits 0 0"), close(P), trace(2)]
                   end)
      end},
     {"the command that makes the port busy succeeds and the next one waits",
      fun() ->
              With(fun(P, A) ->
                           do(P, "busy_on_output"),
                           First = ask(A, send(P, "first")),
                           do(P, "limits 0 0"),
                           C = start_ask(A, send(P, "second")),
                           [First, answered(C, ?WAIT), do(P, "busy 0"), answer(C), trace(4)]
                   end)
      end},
     {"the command that makes the port busy succeeds and the very next one waits",
      fun() ->
              With(fun(P, A) ->
                           do(P, "busy_on_output"),
                           First = ask(A, send(P, "first")),
                           C = start_ask(A, send(P, "second")),
                           [First, answered(C, ?WAIT), do(P, "busy 0"), answer(C), trace(4)]
                   end)
      end},
     {"the commands of one waiting process arrive in order",
      fun() ->
              With(fun(P, A) ->
                           do(P, "busy 1"),
                           C = start_ask(A, fun() -> [parity_port:port_command(P, integer_to_list(I)) || I <- lists:seq(1, 5)] end),
                           [answered(C, ?WAIT), do(P, "busy 0"), answer(C), trace(7)]
                   end)
      end},
     {"all waiting processes are let go",
      fun() ->
              P = open("busy_probe_drv"),
              do(P, "busy 1"),
              Cs = [start_ask(proc(N), send(P, "x")) || N <- [a, b, c]],
              [[answered(C, ?WAIT) || C <- Cs], do(P, "busy 0"), [answer(C) || C <- Cs], trace(5)]
      end},
     {"a timer frees a busy port",
      fun() -> With(fun(P, A) -> do(P, "busy 1"), do(P, "free_after 100"), [ask(A, send(P, "x")), trace(3)] end) end},
     {"a process that waits at a port that closes gets a badarg",
      fun() ->
              With(fun(P, A) ->
                           do(P, "busy 1"),
                           C = start_ask(A, send(P, "never")),
                           [answered(C, ?WAIT), close(P), answer(C), trace(2)]
                   end)
      end},
     {"a process that is killed while it waits leaves nothing behind",
      fun() ->
              With(fun(P, A) ->
                           do(P, "busy 1"),
                           C = start_ask(A, send(P, "never")),
                           Waits = answered(C, ?WAIT),
                           stop_proc(A),
                           [Waits, trace(1), do(P, "busy 0"), ask(proc(b), send(P, "later")), trace(2), parity_port:port_info(P, queue_size)]
                   end)
      end},
     {"a process that is killed among others that wait keeps nobody",
      fun() ->
              With(fun(P, A) ->
                           do(P, "busy 1"),
                           Cs = [start_ask(Q, send(P, "x")) || Q <- [proc(b), A, proc(c)]],
                           Waits = [answered(C, ?WAIT) || C <- Cs],
                           stop_proc(A),
                           [Waits, do(P, "busy 0"), [answer(C) || C <- Cs], trace(4)]
                   end)
      end},
     {"a sender that waits at a port that closes just goes on",
      fun() ->
              With(fun(P, A) ->
                           do(P, "busy 1"),
                           Self = self(),
                           C = start_ask(A, fun() -> P ! {Self, {command, "never"}}, sent end),
                           [answered(C, ?WAIT), close(P), answer(C), trace(2)]
                   end)
      end},
     {"a port may be busy from its start",
      fun() ->
              P = open("busy_probe_drv busy"),
              C = start_ask(proc(a), send(P, "x")),
              [answered(C, ?WAIT), do(P, "busy 0"), answer(C), trace(3)]
      end},
     {"busy and free count once",
      fun() ->
              With(fun(P, A) -> do(P, "busy 1"), do(P, "busy 1"), do(P, "busy 0"), [ask(A, send(P, "x")), do(P, "busy 0"), ask(A, send(P, "y")), trace(6)] end)
      end}].

options() ->
    [{"nosuspend says false at a busy port and true at a free one",
      fun() ->
              P = open("busy_probe_drv"),
              A = send(P, "a", [nosuspend]),
              do(P, "busy 1"),
              B = send(P, "b", [nosuspend]),
              C = send(P, not_iodata, [nosuspend]),
              do(P, "busy 0"),
              [A, B, C, send(P, "d", [nosuspend]), send(P, not_iodata, [nosuspend]), trace(4)]
      end},
     {"sending to a busy port without waiting says so",
      fun() ->
              P = open("busy_probe_drv"),
              M = {self(), {command, "x"}},
              Send = fun() -> [r(fun() -> parity_port:send(P, M, [nosuspend]) end), r(fun() -> parity_port:send_nosuspend(P, M) end)] end,
              A = Send(),
              do(P, "busy 1"),
              B = Send(),
              do(P, "busy 0"),
              [A, B, Send(), trace(6)]
      end},
     {"force is not supported by a driver without soft busy, even when free",
      fun() ->
              P = open("busy_probe_drv"),
              A = send(P, "a", [force]),
              do(P, "busy 1"),
              [A, send(P, "b", [force]), send(P, "c", [force, nosuspend]), trace(1)]
      end},
     {"force goes through a busy port of a driver with soft busy",
      fun() ->
              P = open("busy_soft_probe_drv"),
              A = send(P, "a", [force]),
              do(P, "busy 1"),
              [A, send(P, "b", [force]), send(P, "c", [force, nosuspend]), send(P, "d", [nosuspend, force]), send(P, "e", [nosuspend]), trace(5)]
      end},
     {"options of port_command that do not exist are a badarg",
      fun() ->
              P = open("busy_probe_drv"),
              [[send(P, "a", O) || O <- [[wrong], wrong, [force | nosuspend], [{force, true}]]], send(P, "ok", []), trace(1)]
      end},
     {"a busy port does not make another port of its driver busy",
      fun() ->
              P = open("busy_probe_drv"),
              Q = open(port2, "busy_probe_drv", []),
              do(P, "busy 1"),
              [command(Q, "free"), do(P, "busy 0"), trace(3)]
      end}].

limits() ->
    [{"the limits of the command queue are read and set",
      fun() -> P = open("busy_probe_drv"), [do(P, "limits " ++ L) || L <- ["0 0", "100 200", "0 0", "0 150", "300 0", "0 50"]] end},
     {"a low limit above the high one raises it",
      fun() -> P = open("busy_probe_drv"), [do(P, "limits " ++ L) || L <- ["10 20", "100 50", "1 1"]] end},
     {"limits once disabled stay disabled",
      fun() -> P = open("busy_probe_drv"), [[do(P, "limits " ++ L) || L <- ["disabled 0", "0 0", "100 200"]], command(P, "still works"), trace(1)] end},
     {"limits are read through the pointers that are given",
      fun() -> [do(open("busy_probe_drv"), "limits_null")] end},
     {"a driver without command queue limits has none",
      fun() -> P = open("busy_nomsgq_probe_drv"), [do(P, "limits 0 0"), do(P, "limits 10 20"), command(P, "works"), trace(1)] end},
     {"open_port sets the limits of the command queue",
      fun() ->
              [r(fun() -> do(open(N, "busy_probe_drv", [{busy_limits_msgq, L}]), "limits 0 0") end)
               || {N, L} <- [{port, {10, 20}}, {port2, {30, 20}}, {port3, disabled}, {port4, {0, 20}}, {port5, {1, 1}}, {port6, wrong}, {port7, {a, b}}]]
      end},
     {"open_port cannot set limits for a driver that has none",
      fun() -> [r(fun() -> open("busy_nomsgq_probe_drv", [{busy_limits_msgq, L}]), opened end) || L <- [{10, 20}, disabled]] end},
     {"limits of the port's own queue are refused for drivers",
      fun() -> [r(fun() -> open("busy_probe_drv", [{busy_limits_port, {10, 20}}]) end)] end}].
