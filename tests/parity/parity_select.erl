%% SPDX-License-Identifier: Apache-2.0
%% Cases: driver_select and stop_select. Modes: 1 read, 2 write, 4 use, and their sums; 12 is use without callback.
-module(parity_select).
-include("parity.hrl").

cases() ->
    reading() ++ writing() ++ stopping() ++ handed_over() ++ closing() ++ odd().

reading() ->
    [{"ready_input repeats as long as there is something to read",
      fun() -> P = open("select_probe_drv"), dos(P, ["pipe in", "select 1", "write abc"]) ++ [msgs(3), trace(3)] end},
     {"data that was there before the select is seen",
      fun() -> P = open("select_probe_drv"), dos(P, ["pipe in", "write a", "select 5"]) ++ [msgs(1), trace(1)] end},
     {"selecting twice is selecting once",
      fun() -> P = open("select_probe_drv"), dos(P, ["pipe in", "select 1", "select 1", "select 5", "write a"]) ++ [msgs(1), trace(1)] end},
     {"a hang-up is readable",
      fun() -> P = open("select_probe_drv"), dos(P, ["pipe in", "select 5", "hang_up"]) ++ [trace(1)] end},
     {"after deselecting there is no callback, and after selecting again there is",
      fun() ->
              P = open("select_probe_drv"),
              dos(P, ["pipe in", "select 1", "deselect 1", "write ab"]) ++ [none(), trace(0), do(P, "select 1"), msgs(2), trace(2)]
      end},
     {"deselecting withdraws a callback that is due",
      fun() ->
              P = open("select_probe_drv"),
              dos(P, ["pipe in", "select 1", "write_wait_deselect abc"]) ++ [none(), trace(0)]
      end},
     {"deselecting inside the callback ends it",
      fun() ->
              P = open("select_probe_drv"),
              dos(P, ["pipe in", "then_deselect 1", "select 1", "write abc"]) ++ [msgs(1), trace(1)]
      end},
     {"a regular file is always readable",
      fun() -> P = open("select_probe_drv"), dos(P, ["file xyz", "read_size 2", "select 5"]) ++ [msgs(2), trace(3)] end},
     {"a regular file is always writable",
      fun() -> P = open("select_probe_drv"), dos(P, ["file xyz", "select 6"]) ++ [msgs(1), trace(1)] end}].

writing() ->
    [{"a pipe with room is writable",
      fun() -> P = open("select_probe_drv"), dos(P, ["pipe out", "select 2"]) ++ [msgs(1), trace(1)] end},
     {"of a descriptor that is readable and writable output comes first",
      fun() ->
              P = open("select_probe_drv"),
              dos(P, ["socketpair", "write a", "select 3"]) ++ [msgs(2), trace(2)]
      end},
     {"reading goes on when writing is deselected",
      fun() ->
              P = open("select_probe_drv"),
              dos(P, ["socketpair", "select 7"]) ++ [msgs(1), do(P, "write a"), msgs(1), trace(2)]
      end}].

stopping() ->
    [{"deselecting use calls stop_select at once",
      fun() -> P = open("select_probe_drv"), dos(P, ["pipe in", "select 5", "deselect 4"]) ++ [trace(1)] end},
     {"a regular file is given back by stop_select, too",
      fun() -> P = open("select_probe_drv"), R = dos(P, ["file xyz", "select 5"]), msgs(3), close(P), R ++ [lists:member("stop select off 0", T) || T <- [trace(7)]] end},
     {"deselecting use from inside the callback calls stop_select",
      fun() ->
              P = open("select_probe_drv"),
              dos(P, ["socketpair", "then_deselect 4", "select 5", "write abc"]) ++ [msgs(1), trace(2)]
      end},
     {"deselecting use for a descriptor that was never selected calls stop_select",
      fun() -> P = open("select_probe_drv"), dos(P, ["pipe in", "deselect 4"]) ++ [trace(1)] end},
     {"deselecting reading alone does not call stop_select",
      fun() -> P = open("select_probe_drv"), dos(P, ["pipe in", "select 5", "deselect 1", "deselect 2"]) ++ [trace(0), do(P, "deselect 4"), trace(1)] end},
     {"deselecting both directions and use calls stop_select once",
      fun() -> P = open("select_probe_drv"), dos(P, ["socketpair", "select 5", "deselect 7"]) ++ [trace(1)] end},
     {"deselecting use without callback does not call stop_select",
      fun() -> P = open("select_probe_drv"), dos(P, ["pipe in", "select 5", "deselect 13", "write a"]) ++ [none(), trace(0)] end},
     {"use alone selects nothing",
      fun() -> P = open("select_probe_drv"), dos(P, ["pipe in", "select 4", "write a"]) ++ [none(), trace(0)] end},
     {"stop may deselect and so close what is selected",
      fun() -> P = open("select_probe_drv"), dos(P, ["pipe in", "select 5"]) ++ [close(P), trace(3), gone(P)] end}].

%% A port selects a descriptor and another one is to have it. What either is told, its messages say.
handed_over() ->
    Two = fun(Script) ->
                  trap(),
                  P = open("select_probe_drv"),
                  Q = open(port2, "select_probe_drv", []),
                  Script(P, Q)
          end,
    [{"a descriptor that another port selects is taken over",
      fun() ->
              Two(fun(P, Q) ->
                          dos(P, ["pipe in", "select 5", "share"]) ++ dos(Q, ["take", "select 5"]) ++ [do(P, "write ab"), msgs(2), trace(2)]
                              ++ [do(P, "forget"), close(P), msgs(1), do(Q, "deselect 4"), trace(2)]
                  end)
      end},
     {"each direction of a descriptor may be another port's",
      fun() ->
              Two(fun(P, Q) ->
                          dos(P, ["socketpair", "select 5", "share"]) ++ dos(Q, ["take", "select 6"]) ++ [msgs(1), do(P, "write a"), msgs(1), trace(2)]
                              ++ [do(P, "forget"), do(Q, "deselect 7"), trace(1)]
                  end)
      end},
     {"a descriptor is handed over by deselecting and selecting",
      fun() ->
              Two(fun(P, Q) ->
                          dos(P, ["pipe in", "select 5", "deselect 1", "share", "write ab"]) ++ [none()] ++ dos(Q, ["take", "select 5"])
                              ++ [msgs(2), do(P, "forget"), close(P), msgs(1), do(Q, "deselect 4"), trace(4)]
                  end)
      end},
     {"deselecting use takes a descriptor from its other port, too",
      fun() ->
              Two(fun(P, Q) ->
                          dos(P, ["socketpair", "select 5", "share"]) ++ dos(Q, ["take", "deselect 4"]) ++ [do(P, "write a"), none(), trace(1), do(P, "forget")]
                  end)
      end},
     {"what a port leaves selected when it ends is deselected without stop_select",
      fun() ->
              Two(fun(P, Q) ->
                          dos(P, ["pipe in", "select 5", "share", "leave", "write ab", "deselect 1", "select 1"]) ++ [msgs(2)]
                              ++ [close(P), msgs(1), trace(3)] ++ dos(Q, ["take", "select_fd -1"]) ++ [none(), trace(0)]
                  end)
      end},
     {"another port may select what a port has left",
      fun() ->
              Two(fun(P, Q) ->
                          dos(P, ["socketpair", "select 5", "share", "leave"]) ++ [close(P), msgs(1), trace(1)]
                              ++ dos(Q, ["take", "select 6"]) ++ [msgs(1), trace(1), do(Q, "deselect 4"), trace(1)]
                  end)
      end}].

closing() ->
    [{"what was selected before closing empties the queue while closing",
      fun() ->
              trap(),
              P = open("select_probe_drv"),
              K = open(port2, "select_probe_drv", []),
              dos(P, ["pipe in", "share", "select 5", "enq abc"]) ++ [close(P), trace(1), msgs(1)]
                  ++ [do(P, "write abc"), trace(8), gone(P), do(K, "select_fd -1"), none()]
      end},
     {"selecting and deselecting work while closing",
      fun() ->
              trap(),
              P = open("select_probe_drv"),
              dos(P, ["pipe in", "enq ab"]) ++ [close(P), trace(1)] ++ dos(P, ["select 5", "deselect 1", "write ab"])
                  ++ [trace(0), do(P, "select 1"), trace(6), gone(P)]
      end}].

odd() ->
    [{"descriptors that cannot be are refused",
      fun() -> P = open("select_probe_drv"), [do(P, A) || A <- ["select_fd -1", "select_fd 99999999", "deselect_fd -1"]] end},
     {"deselecting an unknown descriptor succeeds",
      fun() -> P = open("select_probe_drv"), dos(P, ["pipe in", "deselect 1", "deselect 2", "deselect 3"]) ++ [trace(0)] end},
     {"selecting a closed descriptor succeeds and calls nothing",
      fun() -> P = open("select_probe_drv"), dos(P, ["pipe in", "select_closed"]) ++ [trace(0)] end},
     {"a hang-up is told in both directions, output first",
      fun() -> P = open("select_probe_drv"), dos(P, ["socketpair", "read_size 1", "select 7"]) ++ [msgs(1), do(P, "hang_up"), trace(2)] end},
     {"a descriptor that is closed while it is selected calls nothing",
      fun() -> P = open("select_probe_drv"), dos(P, ["pipe in", "select 1", "close_mine", "write abc"]) ++ [none(), trace(0), do(P, "deselect 1"), do(P, "forget")] end},
     {"a number that is used again after it was closed while selected is selected anew when it was deselected",
      fun() ->
              P = open("select_probe_drv"),
              dos(P, ["pipe in", "select 1", "close_mine", "deselect 1", "same_number", "select 5", "write ab"]) ++ [msgs(2), do(P, "deselect 4"), trace(3)]
      end},
     {"a number that is used again although it is selected still gets stop_select",
      fun() ->
              P = open("select_probe_drv"),
              dos(P, ["pipe in", "select 1", "close_mine", "same_number", "select 5", "deselect 4"]) ++ [trace(1)]
      end},
     {"a driver without ready_input can select, and is not called",
      fun() -> P = open("partial_probe_drv"), [do(P, "select"), none(), do(P, "sizeq"), close(P), trace(1)] end}].
