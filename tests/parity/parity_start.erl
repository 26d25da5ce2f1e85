%% SPDX-License-Identifier: Apache-2.0
%% Cases: opening ports: names, options, the results of start, ports that acknowledge late, ports that drivers create.
-module(parity_start).
-include("parity.hrl").

cases() ->
    results() ++ names() ++ acknowledged() ++ children() ++ entries().

opened(Command, Options) ->
    r(fun() -> parity_port:open_port({spawn_driver, Command}, Options), opened end).

results() ->
    Start = fun(Arg) -> load("start_probe_drv"), [opened("start_probe_drv " ++ Arg, []), trace(1)] end,
    [{"start that returns -1 is an einval", fun() -> Start("result -1") end},
     {"start that returns -2 is the name of the error",
      fun() -> [Start("errno " ++ integer_to_list(N)) || N <- [2, 13, 0, 99999]] end},
     {"start that returns -3 is a badarg", fun() -> Start("result -3") end},
     {"start that returns nothing or another negative number has opened a port",
      fun() ->
              load("start_probe_drv"),
              [begin
                   P = open(N, "start_probe_drv result " ++ R, []),
                   [do(P, ""), close(P), trace(2)]
               end || {N, R} <- [{port, "0"}, {port2, "-4"}, {port3, "-100"}, {port4, "1"}]]
      end},
     {"a failed start leaves no port and no message",
      fun() -> trap(), Before = length(parity_port:ports()), Start("result -1") ++ [none(), length(parity_port:ports()) - Before] end},
     {"a port without start and stop opens and closes",
      fun() -> trap(), P = open("bare_probe_drv"), [close(P), gone(P), msgs(1)] end}].

names() ->
    [{"start gets the whole command as it was given, and port_info too",
      fun() ->
              [begin
                   P = open(N, C, []),
                   [parity_port:port_info(P, name), trace(1)]
               end || {N, C} <- [{port, "start_probe_drv"}, {port2, "start_probe_drv "}, {port3, "start_probe_drv  two  spaces "}, {port4, "start_probe_drv a\tb"}]]
      end},
     {"what start writes into the command changes nothing",
      fun() -> P = open("start_probe_drv cut x"), [parity_port:port_info(P, name), trace(1)] end},
     {"the command may be a string, a binary or an atom",
      fun() ->
              load("start_probe_drv"),
              [[opened(C, []) || C <- ["start_probe_drv s", <<"start_probe_drv b">>, 'start_probe_drv a', ["start_probe_drv", " deep"], 1, {a}]], trace(3)]
      end},
     {"the command is passed on in UTF-8",
      fun() -> load("start_probe_drv"), [opened([$s, $t | "art_probe_drv \x{e5}\x{20ac}"], []), trace(1)] end},
     {"only a space ends the name of the driver",
      fun() ->
              load("start_probe_drv"),
              [[opened(C, []) || C <- ["start_probe_drv\tx", " start_probe_drv", "", "start_probe", "start_probe_drv2", "no_such_drv"]], trace(0)]
      end},
     {"spawn finds a driver, too",
      fun() -> load("start_probe_drv"), [r(fun() -> parity_port:open_port({spawn, "start_probe_drv x"}, []), opened end), trace(1)] end},
     {"output of start arrives after the port is known",
      fun() -> _ = open("start_probe_drv hello"), [msgs(1), trace(2)] end},
     {"options that are meant for programs only are a badarg, like unknown ones",
      fun() ->
              load("start_probe_drv"),
              [{O, opened("start_probe_drv x", O)}
               || O <- [[exit_status], [{args, []}], [{arg0, "x"}], [{line, 0}], [{line, -1}], [{line, a}], [line, {packet, 2}], [{packet, 3}],
                        [unknown], [binary | eof], binary, [{cd, "/"}], [{parallelism, true}], [{parallelism, 1}], [eof], [{line, 1}],
                        [{packet, 1}], [{packet, 2}], [{packet, 4}], [stream], [nouse_stdio], [overlapped_io], [{env, []}]]]
      end},
     {"an environment must be a list",
      fun() -> load("start_probe_drv"), [opened("start_probe_drv x", [{env, E}]) || E <- [a, [a], [{"A", 1}], [{"A", false}], [{"A", "b"}]]]
      end},
     {"the level of locking is known",
      fun() ->
              [parity_port:port_info(open(port, "start_probe_drv", []), locking), parity_port:port_info(open(port2, "locking_probe_drv", []), locking)]
      end},
     {"parallelism is what was asked for",
      fun() ->
              [parity_port:port_info(open(N, "start_probe_drv", O), parallelism)
               || {N, O} <- [{port, []}, {port2, [{parallelism, true}]}, {port3, [{parallelism, false}]}]]
      end}].

acknowledged() ->
    [{"open_port waits until the driver acknowledges, and the port has the acknowledged data",
      fun() -> P = open("ack_probe_drv 1"), [do(P, ""), trace(3), close(P), trace(1)] end},
     {"a second acknowledgement does nothing",
      fun() -> P = open("ack_probe_drv late"), [do(P, ""), trace(3), close(P), trace(1)] end},
     {"what is acknowledged inside start is lost",
      fun() -> P = open("ack_probe_drv early"), [do(P, ""), trace(3), close(P), trace(1)] end},
     {"an acknowledged error is an error of open_port, and stop is called",
      fun() -> trap(), load("ack_probe_drv"), [[opened("ack_probe_drv " ++ R, []), trace(4), none()] || R <- ["-1", "-3"]] end},
     {"a port that ends before it is acknowledged has been opened",
      fun() -> trap(), P = open("ack_probe_drv fail"), [msgs(1), gone(P), trace(4)] end}].

children() ->
    Create = fun(Script) ->
                     trap(),
                     P = open("child_probe_drv"),
                     R = do(P, "create the child's name"),
                     [{child, C}] = msgs(1),
                     [R | Script(P, name(C, child))]
             end,
    [{"a driver creates a port that is called and owned as it says",
      fun() ->
              Create(fun(_P, C) ->
                             [parity_port:port_info(C, name), parity_port:port_info(C, connected), parity_port:port_info(C, links), trace(1)]
                     end)
      end},
     {"a created port works like any other",
      fun() ->
              Create(fun(P, C) ->
                             [do(C, "kind"), do(P, "kind"), command(C, "abc"), bang(C, {self(), {command, "x"}}) =:= {self(), {command, "x"}}, msgs(2),
                              do(C, "timer"), trace(4), close(C), trace(1), msgs(1), do(P, "kind"), r(fun() -> do(C, "kind") end)]
                     end)
      end},
     {"a created port is a list port, whatever its parent is",
      fun() ->
              P = open("child_probe_drv", [binary, {line, 10}]),
              do(P, "create x"),
              [{child, C}] = msgs(1),
              name(C, child),
              [command(P, "p\n"), msgs(1), command(C, "c"), msgs(1)]
      end},
     {"a created port outlives its parent",
      fun() -> Create(fun(P, C) -> [close(P), trace(2), msgs(1), do(C, "kind"), do(C, "fail"), msgs(1), trace(1), gone(C)] end) end},
     {"a created port ends with its owner",
      fun() ->
              A = proc(a),
              load("child_probe_drv"),
              P = open("child_probe_drv"),
              R = ask(A, fun() -> do(P, "create a's") end),
              [{child, C}] = msgs(1),
              name(C, child),
              Info = parity_port:port_info(C, connected),
              stop_proc(A),
              [R, Info, gone(C), trace(2), do(P, "kind")]
      end},
     {"a port cannot be created for a process that is gone",
      fun() ->
              A = proc(a),
              P = open("child_probe_drv"),
              ask(A, fun() -> do(P, "remember") end),
              stop_proc(A),
              [do(P, "create_remembered x"), trace(1)]
      end}].

entries() ->
    [{"a driver that a driver adds can be opened, and is gone when removed",
      fun() ->
              trap(),
              E = open("entry_probe_drv"),
              R = [opened("entry_added_drv x", []), do(E, "add"), trace(1)],
              P = name(parity_port:open_port({spawn_driver, "entry_added_drv x"}, []), port2),
              R ++ [msgs(1), ddll(info, ["entry_added_drv", linked_in_driver]), do(P, ""), close(P), msgs(1), gone(P), trace(2), do(E, "remove"), trace(0),
                    opened("entry_added_drv x", []), do(E, "remove")]
      end},
     {"an added driver whose init fails is not added",
      fun() -> E = open("entry_probe_drv"), [do(E, "add_failing"), trace(1), opened("entry_failing_drv", [])] end},
     {"an added driver is listed, and cannot be loaded or unloaded",
      fun() ->
              E = open("entry_probe_drv"),
              do(E, "add"),
              {ok, L} = ddll(loaded_drivers, []),
              R = [lists:member("entry_added_drv", L), ddll(try_load, [dir(), "entry_added_drv", []]), ddll(try_unload, ["entry_added_drv", []]),
                   ddll(info, ["entry_added_drv", processes]), ddll(info, ["entry_added_drv", port_count])],
              R ++ [do(E, "remove")]
      end},
     {"a driver removes neither an unknown entry nor one that was loaded",
      fun() -> E = open("entry_probe_drv"), [do(E, "remove_unknown"), do(E, "remove_self")] end}].
