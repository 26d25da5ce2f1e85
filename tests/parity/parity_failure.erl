%% SPDX-License-Identifier: Apache-2.0
%% Cases: ports that end themselves, in every way from a command, and from every other callback but process_exit, where the VM
%% crashes.
-module(parity_failure).
-include("parity.hrl").

cases() ->
    [from_command(Way, Text) || {Way, Text} <- ways()]
        ++ [from_callback(Where) || Where <- ["control", "call", "timeout", "ready_input", "ready_output", "ready_async"]]
        ++ [in_every_way(Where, Options) || Where <- ["output", "outputv", "control", "call", "timeout", "ready_input", "ready_output", "ready_async", "flush"],
                                            Options <- [[], [eof]]]
        ++ more().

ways() ->
    [{"eof", "an end of file without option eof ends the port normally"},
     {"atom", "driver_failure_atom ends the port with that atom"},
     {"odd_atom", "driver_failure_atom takes latin-1 text"},
     {"posix", "driver_failure_posix ends the port with the name of the error"},
     {"posix_unknown", "driver_failure_posix of an unknown number ends the port with unknown"},
     {"zero", "driver_failure of zero is an end of file"},
     {"five", "driver_failure of a number ends the port with that number"},
     {"minus", "driver_failure of a negative number ends the port with that number"},
     {"exit_zero", "driver_exit of zero tells the owner nothing and others normal"},
     {"exit_posix", "driver_exit of an error tells the owner nothing and others the name of the error"}].

%% Another process is linked to the port, too.
from_command(Way, Text) ->
    {Text,
     fun() ->
             trap(),
             P = open("failure_probe_drv"),
             A = proc(a),
             ask(A, fun() -> process_flag(trap_exit, true), link(P) end),
             do(P, "arm output " ++ Way),
             [command(P, "go"), gone(P), msgs(1), ask(A, fun() -> msgs(1) end), trace(4)]
     end}.

from_callback(Where) ->
    {"a port can end itself in " ++ Where,
     fun() ->
             trap(),
             P = open("failure_probe_drv"),
             do(P, "arm " ++ Where ++ " atom"),
             R = provoke(Where, P),
             [R, gone(P), msgs(1), trace(4)]
     end}.

%% One port after the other. A port that stays open is closed afterwards. The trace is that of all.
in_every_way(Where, Options) ->
    With = case Options of [] -> " without option eof"; [eof] -> " with option eof" end,
    {"a port can end itself in every way in " ++ Where ++ With,
     fun() ->
             trap(),
             Driver = case Where of "outputv" -> "failure_vector_probe_drv"; _ -> "failure_probe_drv" end,
             Ways = ["eof", "zero", "atom", "posix", "five", "exit_posix"],
             [{Way, one_way(Where, Way, Driver, Options)} || Way <- Ways]
     end}.

one_way(Where, Way, Driver, Options) ->
    P = open(port, Driver, Options),
    Stays = Options =:= [eof] andalso lists:member(Way, ["eof", "zero"]),
    Where =:= "flush" andalso do(P, "enq abc"),
    do(P, ["arm ", Where, " ", Way]),
    R = provoke(Where, P),
    First = [case Where of
                 "flush" -> gone(P);
                 _ when Stays -> trace(3);
                 _ -> gone(P)
             end, none()],
    Second = [r(fun() -> parity_port:port_info(P, connected) end), close(P), gone(P), none(), trace(0)],
    [R, First, Second].

provoke("output", P) -> command(P, "go");
provoke("outputv", P) -> command(P, ["go", binary:copy(<<"x">>, 100)]);
provoke("flush", P) -> close(P);
provoke("control", P) -> control(P, 1, "go");
provoke("call", P) -> call(P, 1, {the, term});
provoke("timeout", P) -> do(P, "timer 1");
provoke("ready_input", P) -> do(P, "select 1");
provoke("ready_output", P) -> do(P, "select 2");
provoke("ready_async", P) -> do(P, "async").

more() ->
    [{"a port that ends itself in stop is ending already",
      fun() ->
              trap(),
              [begin
                   P = open("failure_probe_drv"),
                   do(P, "arm stop " ++ Way),
                   [Way, close(P), gone(P), none(), trace(3)]
               end || Way <- ["eof", "atom", "posix", "five", "exit_zero"]]
      end},
     {"an end of file with option eof is a message each time, and the port stays",
      fun() ->
              trap(),
              P = open("failure_probe_drv", [eof]),
              do(P, "arm output eof"), command(P, "go"),
              R = msgs(2),
              do(P, "arm timeout zero"), do(P, "timer 1"),
              [R, msgs(2), trace(7), do(P, "output alive"), msgs(1), close(P), msgs(1)]
      end},
     {"an end of file discards the queue",
      fun() ->
              trap(),
              P = open("failure_probe_drv"),
              do(P, "enq abc"), do(P, "arm output eof"),
              [command(P, "go"), gone(P), msgs(1), trace(4)]
      end},
     {"a failure discards the queue without flushing",
      fun() ->
              trap(),
              P = open("failure_probe_drv"),
              do(P, "enq abc"), do(P, "arm output atom"),
              [command(P, "go"), gone(P), msgs(1), trace(4)]
      end},
     {"a failure while closing ends the port at once",
      fun() ->
              trap(),
              P = open("failure_probe_drv"),
              do(P, "enq abc"), do(P, "arm timeout atom"), do(P, "timer 50"),
              [close(P), msgs(1), trace(5), gone(P), none()]
      end},
     {"a failure in flush ends the port at once",
      fun() ->
              trap(),
              P = open("failure_probe_drv"),
              do(P, "enq abc"), do(P, "arm flush posix"),
              [close(P), msgs(1), trace(5), gone(P), none()]
      end},
     {"an owner that does not trap exits dies of its port",
      fun() ->
              [begin
                   A = proc(Way),
                   load("failure_probe_drv"),
                   ask(A, fun() ->
                                  P = parity_port:open_port({spawn_driver, "failure_probe_drv"}, []),
                                  do(P, "arm output " ++ Way),
                                  parity_port:port_command(P, "go"),
                                  timer:sleep(50),
                                  survived
                          end)
               end || Way <- ["atom", "five", "eof", "exit_posix"]]
      end},
     {"what stop outputs follows the exit signal of a failure",
      fun() ->
              trap(),
              P = open("failure_probe_drv"),
              do(P, "arm timeout atom"), do(P, "timer 1"),
              [msgs(2), trace(4)]
      end}].
