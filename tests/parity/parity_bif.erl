%% SPDX-License-Identifier: Apache-2.0
%% Cases: what module erlang says about ports, and its refusals.
-module(parity_bif).
-include("parity.hrl").

cases() ->
    [{"port_info gives the usual items in their order",
      fun() ->
              P = open("output_probe_drv"),
              Items = fun() -> [case I of {id, N} -> {id, is_integer(N)}; _ -> I end || I <- parity_port:port_info(P)] end,
              A = Items(),
              true = register(bif_case, P),
              [A, Items(), unregister(bif_case)]
      end},
     {"port_info gives each item by name",
      fun() ->
              P = open("output_probe_drv"),
              [r(fun() -> parity_port:port_info(P, I) end)
               || I <- [name, connected, links, input, output, os_pid, locking, parallelism, queue_size, monitors, registered_name]]
      end},
     {"is_port is true of a port",
      fun() -> [is_port(open("output_probe_drv"))] end},
     {"a port is monitored as a port",
      fun() -> P = open("output_probe_drv"), [r(fun() -> is_reference(erlang:monitor(port, P)) end)] end},
     {"port_info of memory and id are numbers",
      fun() ->
              P = open("output_probe_drv"),
              [case r(fun() -> parity_port:port_info(P, I) end) of {I, N} -> {I, is_integer(N), N >= 0}; Other -> Other end || I <- [memory, id]]
      end},
     {"port_info of an unknown item is a badarg",
      fun() -> P = open("output_probe_drv"), [r(fun() -> parity_port:port_info(P, I) end) || I <- [unknown, 1, [], "name"]] end},
     {"port_info of a port that is gone is undefined",
      fun() -> P = open("output_probe_drv"), close(P), gone(P), [parity_port:port_info(P), parity_port:port_info(P, name), r(fun() -> parity_port:port_info(P, unknown) end)] end},
     {"port_info of what is no port is a badarg, and of an unknown name undefined",
      fun() -> [[r(fun() -> parity_port:port_info(X) end) || X <- [1, {}, "x", no_such_name]], r(fun() -> parity_port:port_info(no_such_name, name) end)] end},
     {"the process id that a driver sets is shown",
      fun() ->
              P = open("partial_probe_drv"),
              [begin do(P, "os_pid " ++ N), parity_port:port_info(P, os_pid) end || N <- ["4711", "-1", "1"]]
      end},
     {"the data of a port is kept, and undefined at first",
      fun() ->
              P = open("output_probe_drv"),
              Get = fun() -> r(fun() -> parity_port:port_get_data(P) end) end,
              [Get() | [[r(fun() -> parity_port:port_set_data(P, D) end), Get() =:= D] || D <- [x, 1, {a, "b"}, self(), lists:seq(1, 1000)]]]
      end},
     {"the data of a port that is gone is a badarg",
      fun() ->
              P = open("output_probe_drv"),
              close(P), gone(P),
              [r(fun() -> parity_port:port_get_data(P) end), r(fun() -> parity_port:port_set_data(P, x) end)]
      end},
     {"any process may use the data of a port",
      fun() ->
              P = open("output_probe_drv"),
              A = proc(a),
              [ask(A, fun() -> parity_port:port_set_data(P, by_a) end), parity_port:port_get_data(P)]
      end},
     {"ports lists a port while it is open",
      fun() ->
              P = open("output_probe_drv"),
              Is = fun() -> lists:member(P, parity_port:ports()) end,
              [Is(), close(P), Is()]
      end},
     {"functions for ports refuse what is no port",
      fun() ->
              [r(fun() -> F(X) end)
               || X <- [1, {}, no_such_name, [], <<"x">>, make_ref()],
                  F <- [fun(P) -> parity_port:port_command(P, "x") end, fun(P) -> parity_port:port_command(P, "x", []) end,
                        fun(P) -> parity_port:port_control(P, 0, "x") end, fun(P) -> parity_port:port_call(P, 0, x) end,
                        fun parity_port:port_close/1, fun(P) -> parity_port:port_connect(P, self()) end,
                        fun parity_port:port_get_data/1, fun(P) -> parity_port:port_set_data(P, x) end]]
      end},
     {"open_port refuses what is no name and no list of options",
      fun() ->
              load("start_probe_drv"),
              [r(fun() -> parity_port:open_port(N, O), opened end)
               || {N, O} <- [{{spawn_driver, "start_probe_drv"}, a}, {{spawn_driver, "start_probe_drv"}, [a | b]}, {{spawn_driver}, []},
                             {{spawn_driver, "start_probe_drv", x}, []}, {{spawn_driver, 1}, []}, {{spawn_driver, []}, []}, {{spawn_driver, <<>>}, []}]]
      end},
     {"a port is linked to its owner from the start",
      fun() -> P = open("output_probe_drv"), [parity_port:port_info(P, links), parity_port:port_info(P, connected)] end},
     {"a hundred ports at once keep apart",
      fun() ->
              Ports = [open({port, I}, "output_probe_drv", [binary]) || I <- lists:seq(1, 100)],
              [parity_port:port_command(P, integer_to_list(I)) || {I, P} <- lists:zip(lists:seq(1, 100), Ports)],
              [lists:sort(msgs(100)) =:= lists:sort([{P, {data, integer_to_binary(I)}} || {I, P} <- lists:zip(lists:seq(1, 100), Ports)]),
               [close(P) || P <- lists:sublist(Ports, 3)]]
      end},
     {"an exit signal to one port leaves its sisters alone",
      fun() ->
              trap(),
              [A, B, C] = [open(N, "output_probe_drv", []) || N <- [port, port2, child]],
              exit(B, some_reason),
              [gone(B), msgs(1), do(A, "output a"), do(C, "output c"), msgs(2)]
      end}].
