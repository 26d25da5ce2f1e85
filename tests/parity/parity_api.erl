%% SPDX-License-Identifier: Apache-2.0
%% Cases: the rest of the driver API: binaries, memory, locks of drivers and ports, time, environment.
-module(parity_api).
-include("parity.hrl").

cases() ->
    binaries() ++ locks() ++ system().

one(Driver, Action) ->
    fun() -> [do(open(Driver), Action)] end.

binaries() ->
    [{"references to a binary are counted, and dropping the last by hand does not free it", one("binary_probe_drv", "counts")},
     {"a binary changes its size with its contents", one("binary_probe_drv", "realloc")},
     {"a binary may be empty", one("binary_probe_drv", "empty")},
     {"the data of a binary is aligned to eight bytes", one("binary_probe_drv", "aligned")},
     {"driver memory may be empty, grow and be freed as nothing", one("binary_probe_drv", "memory")},
     {"64 bytes of a binary are copied to the owner",
      fun() -> P = open("binary_probe_drv", [binary]), [do(P, "output_small"), do(P, "term_small"), msgs(2)] end},
     {"a large binary is sent and stays the driver's",
      fun() -> P = open("binary_probe_drv", [binary]), [do(P, "output_large"), do(P, "term_large"), msgs(2), do(P, "still_good")] end},
     {"a term with more bytes than the binary has is refused and takes no reference", one("binary_probe_drv", "term_beyond")},
     {"a binary lives on in its messages when the port is gone",
      fun() ->
              trap(),
              P = open("binary_probe_drv", [binary]),
              [do(P, "output_large"), close(P), gone(P), msgs(2)]
      end},
     {"queueing a binary takes references and dequeueing drops them", one("binary_probe_drv", "queue_counts")},
     {"the queue of a port that is gone has dropped its references",
      fun() ->
              trap(),
              P = open("binary_probe_drv"),
              K = open(port2, "binary_probe_drv", []),
              R = [do(P, "leave_in_queue"), exit(P, kill), gone(P)],
              R ++ [until(fun() -> do(K, "left") =:= "left 1" end), do(K, "drop_left"), msgs(1)]
      end},
     {"output in every way leaves the contents of a binary as they were",
      fun() ->
              P = open("binary_probe_drv", [binary]),
              L = open(port2, "binary_probe_drv", []),
              [do(P, "output_every_way"), msgs(6), do(P, "unchanged"), do(L, "output_every_way"), msgs(6), do(L, "unchanged")]
      end},
     {"a receive buffer that is used again when nobody refers to it never changes what was sent",
      fun() ->
              P = open("binary_probe_drv", [binary]),
              Sent = lists:seq($a, $z) ++ lists:seq($A, $Z),
              [do(P, ["receive ", C]) || C <- Sent],
              Kept = msgs(length(Sent)),
              [do(P, ["receive ", C]) || C <- Sent],
              Again = msgs(length(Sent)),
              [M =:= {P, {data, binary:copy(<<C>>, 200)}} || {C, M} <- lists:zip(Sent ++ Sent, Kept ++ Again)]
      end}].

%% Processes that call ports at the same time, by control, command, timers and jobs.
together(Ports, N) ->
    Case = self(),
    Pids = [spawn_link(fun() ->
                               [begin _ = do(P, "work"), command(P, "x") end || _ <- lists:seq(1, N)],
                               Case ! {self(), done}
                       end) || P <- Ports, _ <- [1, 2, 3]],
    [receive {Pid, done} -> ok end || Pid <- Pids],
    length(Pids).

locks() ->
    Overlap = fun(Driver, Options) ->
                      fun() ->
                              A = open(port, Driver, Options),
                              B = open(port2, Driver, Options),
                              [together([A, B], 60), do(A, "overlaps 300"), do(B, "overlaps 300"), close(A), close(B)]
                      end
              end,
    [{"callbacks of two ports never overlap with a lock for the driver", Overlap("overlap_probe_drv", [])},
     {"callbacks of two ports never overlap with a lock for the driver and parallelism", Overlap("overlap_probe_drv", [{parallelism, true}])},
     {"callbacks of a port never overlap with a lock for each port", Overlap("overlap_locking_probe_drv", [])},
     {"callbacks of a port never overlap with a lock for each port and parallelism", Overlap("overlap_locking_probe_drv", [{parallelism, true}])}].

system() ->
    [{"errors have their names", one("system_probe_drv", "errno")},
     {"the system describes itself", one("system_probe_drv", "info")},
     {"an older caller of driver_system_info is served", one("system_probe_drv", "info_old")},
     {"time is monotonic and agrees with the clock", one("system_probe_drv", "time")},
     {"time is converted rounding down", one("system_probe_drv", "convert")},
     {"the environment is read and written", one("system_probe_drv", "environment")},
     {"libraries are opened by their path without suffix",
      fun() -> [do(open("system_probe_drv"), ["dl ", dir(), "/system_probe_drv"])] end},
     {"atoms are words", one("system_probe_drv", "atoms")},
     {"a timeslice is used up bit by bit", one("partial_probe_drv", "timeslice")}].
