%% SPDX-License-Identifier: Apache-2.0
%% Cases: driver_select and stop_select. Modes: 1 read, 2 write, 4 use, and their sums; 12 is use without callback.
-module(parity_select).
-include("parity.hrl").

cases() ->
    reading() ++ writing() ++ stopping() ++ odd().

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

odd() ->
    [{"descriptors that cannot be are refused",
      fun() -> P = open("select_probe_drv"), [do(P, A) || A <- ["select_fd -1", "select_fd 99999999", "deselect_fd -1"]] end},
     {"deselecting an unknown descriptor succeeds",
      fun() -> P = open("select_probe_drv"), dos(P, ["pipe in", "deselect 1", "deselect 2", "deselect 3"]) ++ [trace(0)] end},
     {"selecting a closed descriptor succeeds and calls nothing",
      fun() -> P = open("select_probe_drv"), dos(P, ["pipe in", "select_closed"]) ++ [trace(0)] end},
     {"a driver without ready_input can select, and is not called",
      fun() -> P = open("partial_probe_drv"), [do(P, "select"), none(), do(P, "sizeq"), close(P), trace(1)] end}].
