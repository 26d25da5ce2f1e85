%% SPDX-License-Identifier: Apache-2.0
%% Cases: the port's queue, and closing with data in it.
-module(parity_queue).
-include("parity.hrl").

cases() ->
    queue() ++ closing().

queue() ->
    Do = fun(Actions) -> P = open("queue_probe_drv"), Result = dos(P, Actions), do(P, "deq_all"), drained(P, Result) end,
    [{"data is queued at the tail and pushed at the head",
      fun() -> Do(["enq abc", "enq de", "pushq xy", "pushq z", "sizeq"]) end},
     {"an empty queue peeks as nothing",
      fun() -> Do(["sizeq", "peekqv", "deq 0", "enq a", "peekqv", "deq 1", "peekqv"]) end},
     {"nothing is queued for no bytes",
      fun() -> Do(["enq", "pushq", "enq_bin x", "pushq_bin", "enqv 0 |", "sizeq"]) end},
     {"dequeueing takes whole elements and parts",
      fun() -> Do(["enq abc", "enq def", "enq ghi", "deq 1", "deq 3", "deq 2", "deq 0", "peekqv", "deq 3"]) end},
     {"dequeueing more than there is removes nothing",
      fun() -> Do(["enq abc", "deq 4", "sizeq", "deq 3", "deq 1"]) end},
     {"binaries are queued by reference from an offset",
      fun() -> Do(["enq_bin xabc", "pushq_bin def", "enq_bin xghi", "peekqv", "deq 4"]) end},
     {"a queued binary is referred to until its last byte is dequeued",
      fun() -> Do(["bin_refc abcdef"]) end},
     {"a vector is queued element by element, without the empty ones",
      fun() -> Do(["enqv 0 ab||cd|~ef", "enqv 1 ab|cd", "enqv 2 ab|cd", "enqv 3 ab|cd", "enqv 4 ab|cd", "enqv 9 ab|cd"]) end},
     {"a vector is pushed in front as a block",
      fun() -> Do(["enq old", "pushqv 0 ab|cd", "pushqv 1 xy|z", "pushqv 2 no"]) end},
     {"a command is enqueued as it comes",
      fun() ->
              P = open("queue_probe_drv"),
              command(P, "abc"),
              command(P, ["d", binary:copy(<<"e">>, 70), "f"]),
              command(P, []),
              R = [do(P, "peekqv"), parity_port:port_info(P, queue_size), trace(3)],
              do(P, "deq_all"),
              drained(P, R)
      end}].

%% Ends a case whose queue the port would otherwise wait for.
drained(P, Result) ->
    Result ++ [do(P, "sizeq"), close(P), trace(1)].

closing() ->
    Closing = fun(How) ->
                      trap(),
                      P = open("queue_probe_drv"),
                      do(P, "enq abcdef"),
                      do(P, "drain 2"),
                      How(P),
                      [trace(5), gone(P), none()]
              end,
    [{"port_close waits in the background for the queue to empty",
      fun() -> Closing(fun(P) -> close(P) end) end},
     {"a close message is answered when the queue is empty",
      fun() -> Closing(fun(P) -> P ! {self(), close} end) end},
     {"an exit signal leaves time to flush",
      fun() -> Closing(fun(P) -> exit(P, some_reason) end) end},
     {"an exit signal kill leaves no time to flush",
      fun() -> trap(), P = open("queue_probe_drv"), [do(P, "enq abc"), exit(P, kill), trace(1), gone(P), msgs(1)] end},
     {"an empty queue is not flushed",
      fun() -> trap(), P = open("queue_probe_drv"), [do(P, "enq abc"), do(P, "deq 3"), close(P), trace(1), gone(P), msgs(1)] end},
     {"a closing port is no port to its users but is still one of the ports",
      fun() ->
              trap(),
              P = open("queue_probe_drv"),
              do(P, "enq abcdef"),
              true = register(queue_case, P),
              close(P),
              [whereis(queue_case), command(P, "x"), close(P), call(P, 0, x), bang(P, {self(), {command, "y"}}) =:= {self(), {command, "y"}},
               r(fun() -> parity_port:port_connect(P, self()) end), r(fun() -> parity_port:port_get_data(P) end), lists:member(P, parity_port:ports()), do(P, "deq_all"), trace(2), gone(P),
               lists:member(P, parity_port:ports()), none()]
      end},
     {"a closing port still answers control and port_info",
      fun() ->
              trap(),
              P = open("queue_probe_drv"),
              do(P, "enq abcdef"),
              close(P),
              [do(P, "sizeq"), parity_port:port_info(P, links), parity_port:port_info(P, connected), do(P, "deq_all"), trace(2), gone(P), msgs(1)]
      end},
     {"what a closing port outputs is dropped",
      fun() ->
              trap(),
              P = open("queue_probe_drv"),
              do(P, "enq abcd"), do(P, "drain 2"), do(P, "talk"),
              close(P),
              [trace(6), gone(P), none()]
      end},
     {"most of the driver interface works for a closing port",
      fun() ->
              trap(),
              P = open("queue_probe_drv"),
              [do(P, "interface"), msgs(6), do(P, "enq abc"), close(P), trace(1), msgs(1), do(P, "interface"), none(), do(P, "deq_all"), gone(P), trace(1)]
      end},
     {"kill does not reach a port that is closing already",
      fun() ->
              trap(),
              P = open("queue_probe_drv"),
              do(P, "enq abcd"), do(P, "drain 1"),
              close(P),
              exit(P, kill),
              [trace(6), gone(P), none()]
      end},
     {"a timer set before closing fires while closing",
      fun() ->
              trap(),
              P = open("queue_probe_drv"),
              do(P, "enq abc"), do(P, "drain 3"), do(P, "timer 40"),
              R = do(P, "drain 3"),
              close(P),
              [R, trace(3), gone(P), none()]
      end},
     {"kill ends a port without a flush callback that has data in its queue",
      fun() ->
              trap(),
              P = open("partial_probe_drv"),
              [do(P, "enq abc"), do(P, "sizeq"), exit(P, kill), trace(1), gone(P), msgs(1)]
      end}].
