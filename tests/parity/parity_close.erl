%% SPDX-License-Identifier: Apache-2.0
%% Cases: how ports end, links, exit signals, owners, messages to ports.
-module(parity_close).
-include("parity.hrl").

cases() ->
    closing() ++ signals() ++ owners() ++ messages().

%% A port of the case's, and another process that traps exits and is linked to it.
linked(Script) ->
    trap(),
    P = open("output_probe_drv"),
    A = proc(a),
    ask(A, fun() -> process_flag(trap_exit, true), link(P), ok end),
    Script(P, A).

closing() ->
    [{"port_close ends the links with normal and sends no closed",
      fun() -> linked(fun(P, A) -> [close(P), gone(P), msgs(1), ask(A, fun() -> msgs(1) end)] end) end},
     {"a close message ends the links with normal and is answered by closed",
      fun() -> linked(fun(P, A) -> [bang(P, {self(), close}) =:= {self(), close}, msgs(2), gone(P), ask(A, fun() -> msgs(1) end)] end) end},
     {"any process may call port_close",
      fun() -> linked(fun(P, A) -> [ask(A, fun() -> close(P) end), gone(P), msgs(1)] end) end},
     {"any process may send a close message in the owner's name, and the owner gets the answer",
      fun() ->
              linked(fun(P, A) ->
                             Self = self(),
                             ask(A, fun() -> P ! {Self, close}, ok end),
                             [msgs(2), gone(P), ask(A, fun() -> msgs(1) end)]
                     end)
      end},
     {"closing a closed port is a badarg",
      fun() -> P = open("output_probe_drv"), [close(P), close(P), command(P, "x"), do(P, "output x"), call(P, 0, x)] end},
     {"output of stop comes after the exit signal and before closed",
      fun() ->
              trap(),
              P = open("output_probe_drv"),
              do(P, "words_in_stop"),
              bang(P, {self(), close}),
              [msgs(3), trace(1)]
      end},
     {"output of stop has arrived when port_close returns",
      fun() ->
              trap(),
              P = open("output_probe_drv"),
              do(P, "words_in_stop"),
              close(P),
              [receive M -> M after 0 -> nothing end, receive M -> M after 0 -> nothing end]
      end},
     {"a monitor of a port tells the reason of its end",
      fun() ->
              trap(),
              [begin
                   P = open(N, "output_probe_drv", []),
                   parity_port:monitor_port(P),
                   How(P),
                   lists:sort([setelement(2, M, x) || M <- msgs(2), element(1, M) =:= 'DOWN']) ++ [gone(P)]
               end || {N, How} <- [{port, fun(P) -> close(P) end}, {port2, fun(P) -> exit(P, some_reason) end}, {port3, fun(P) -> exit(P, kill) end}]]
      end},
     {"a monitor of a port that is gone says noproc",
      fun() -> P = open("output_probe_drv"), close(P), gone(P), parity_port:monitor_port(P), [msgs(1)] end},
     {"a link to a port that is gone is an exit signal noproc",
      fun() -> trap(), P = open("output_probe_drv"), close(P), gone(P), msgs(1), [r(fun() -> link(P) end), msgs(1)] end},
     {"a registered port loses its name when it ends",
      fun() ->
              trap(),
              P = open("output_probe_drv"),
              true = register(close_case, P),
              [whereis(close_case), close(P), whereis(close_case)]
      end}].

signals() ->
    [{"an exit signal of any reason from any process ends a port",
      fun() ->
              trap(),
              [begin
                   P = open(N, "output_probe_drv", []),
                   A = proc(a),
                   [ask(A, fun() -> exit(P, R) end), gone(P), msgs(1)]
               end || {N, R} <- [{port, some_reason}, {port2, normal}, {port3, {a, "term"}}]]
      end},
     {"an exit signal kill is told as killed",
      fun() -> linked(fun(P, A) -> [exit(P, kill), gone(P), msgs(1), ask(A, fun() -> msgs(1) end)] end) end},
     {"a port ends when a linked process ends abnormally",
      fun() ->
              linked(fun(P, A) -> start_ask(A, fun() -> exit(self(), kill), ok end), [gone(P), msgs(1)] end)
      end},
     {"a port ends when a linked process exits with a reason",
      fun() ->
              trap(),
              P = open("output_probe_drv"),
              A = spawn(fun() -> link(P), receive go -> exit(my_reason) end end),
              name(A, a),
              until(fun() -> {links, L} = parity_port:port_info(P, links), length(L) =:= 2 end),
              A ! go,
              [gone(P), msgs(1)]
      end},
     {"a port does not end when a linked process that is not its owner ends normally",
      fun() ->
              trap(),
              P = open("output_probe_drv"),
              A = spawn(fun() -> link(P), receive go -> ok end end),
              until(fun() -> {links, L} = parity_port:port_info(P, links), length(L) =:= 2 end),
              A ! go,
              until(fun() -> {links, L} = parity_port:port_info(P, links), length(L) =:= 1 end),
              [none(), do(P, "output alive"), msgs(1)]
      end},
     {"a port ends when its owner ends, even normally",
      fun() ->
              load("output_probe_drv"),
              Self = self(),
              spawn(fun() -> Self ! {port_of, parity_port:open_port({spawn_driver, "output_probe_drv"}, [])} end),
              [{port_of, P}] = msgs(1),
              [gone(name(P, port))]
      end},
     {"a port ends when a former owner that is still linked ends abnormally",
      fun() ->
              trap(),
              A = proc(a),
              load("output_probe_drv"),
              P = name(ask(A, fun() -> parity_port:open_port({spawn_driver, "output_probe_drv"}, []) end), port),
              parity_port:port_connect(P, self()),
              stop_proc(A),
              [gone(P), msgs(1)]
      end},
     {"an unlinked owner may end without its port",
      fun() ->
              A = proc(a),
              P = open("output_probe_drv"),
              parity_port:port_connect(P, A),
              ask(A, fun() -> unlink(P) end),
              stop_proc(A),
              [do(P, "output x"), parity_port:port_info(P, links)]
      end},
     {"unlinking keeps the exit signal away",
      fun() -> trap(), P = open("output_probe_drv"), [unlink(P), parity_port:port_info(P, links), close(P), gone(P), none()] end}].

owners() ->
    [{"port_connect links the new owner and keeps the old link",
      fun() ->
              P = open("output_probe_drv"),
              A = proc(a),
              R = r(fun() -> parity_port:port_connect(P, A) end),
              {links, L} = parity_port:port_info(P, links),
              [R, lists:sort([case X of A -> a; _ when X =:= self() -> self; _ -> X end || X <- L]), parity_port:port_info(P, connected), none(),
               ask(A, fun() -> none() end)]
      end},
     {"port_connect may be called by any process, again and again",
      fun() ->
              P = open("output_probe_drv"),
              A = proc(a),
              [ask(A, fun() -> parity_port:port_connect(P, A) end), r(fun() -> parity_port:port_connect(P, A) end),
               ask(A, fun() -> do(P, "output x"), msgs(1) end)]
      end},
     {"port_connect to what is no living process is a badarg",
      fun() ->
              P = open("output_probe_drv"),
              A = proc(a),
              stop_proc(A),
              [[r(fun() -> parity_port:port_connect(P, X) end) || X <- [A, a, 1, {a}]], close(P), r(fun() -> parity_port:port_connect(P, self()) end)]
      end},
     {"a connect message is answered, and neither links nor unlinks",
      fun() ->
              P = open("output_probe_drv"),
              A = proc(a),
              bang(P, {self(), {connect, A}}),
              [msgs(1), parity_port:port_info(P, connected), parity_port:port_info(P, links), do(P, "output x"), none(), ask(A, fun() -> msgs(1) end)]
      end},
     {"a connect message by another process in the owner's name is answered to the owner",
      fun() ->
              P = open("output_probe_drv"),
              A = proc(a),
              Self = self(),
              ask(A, fun() -> P ! {Self, {connect, A}}, ok end),
              [msgs(1), parity_port:port_info(P, connected), ask(A, fun() -> none() end)]
      end}].

messages() ->
    Bad = fun(Make) ->
                  trap(),
                  P = open("output_probe_drv"),
                  bang(P, Make(P)),
                  [msgs(1), do(P, "output alive"), msgs(1)]
          end,
    [{"a message that is none of the three is an exit signal badsig to the owner, and the port lives on",
      fun() -> [Bad(fun(_) -> M end) || M <- [nonsense, {self(), nonsense}, {self(), {command}}, {1, 2, 3}, [], <<"x">>, {self(), {nonsense, x}}]] end},
     {"a message that resembles one of the VM's own is a badsig",
      fun() -> [Bad(fun(_) -> M end) || M <- [{'EXIT', a, b}, {'DOWN', make_ref(), process, self(), normal}, {make_ref(), ok, true}]] end},
     {"a message that looks like an exit signal is a badsig",
      fun() -> trap(), P = open("output_probe_drv"), bang(P, {'EXIT', self(), foo}), [msgs(1)] end},
     {"a command message with data that is not iodata is a badsig",
      fun() -> [Bad(fun(_) -> {self(), {command, D}} end) || D <- [a, [256], {}]] end},
     {"an output callback gets the whole bytes of a bit string sent by message",
      fun() -> [Bad(fun(_) -> {self(), {command, D}} end) || D <- [<<1:1>>, <<65, 1:1>>]] end},
     {"an output callback gets the whole bytes of a bit string",
      fun() -> P = open("output_probe_drv"), [[command(P, D), trace(if D =:= "end" -> 1; true -> 0 end)] || D <- [<<1:3>>, <<65, 1:1>>, "end"]] end},
     {"a message in the name of another than the owner is a badsig to the owner",
      fun() -> [Bad(fun(_) -> {spawn(fun() -> ok end), Request} end) || Request <- [{command, "x"}, close, {connect, self()}]] end},
     {"a connect message to what is no process is a badsig",
      fun() -> [Bad(fun(P) -> {self(), {connect, X(P)}} end) || X <- [fun(_) -> a end, fun(_) -> 1 end, fun(_) -> {} end | no_new_owners()]] end},
     {"a port is not given to what is no process of this node",
      fun() -> P = open("output_probe_drv"), [r(fun() -> parity_port:port_connect(P, X(P)) end) || X <- no_new_owners()] end},
     {"badsig goes to the owner and not to the sender",
      fun() ->
              linked(fun(P, A) -> ask(A, fun() -> P ! nonsense, ok end), [msgs(1), ask(A, fun() -> none() end), do(P, "output alive"), msgs(1)] end)
      end},
     {"an owner that does not trap exits dies of badsig and its port with it",
      fun() ->
              A = proc(a),
              load("output_probe_drv"),
              P = name(ask(A, fun() -> parity_port:open_port({spawn_driver, "output_probe_drv"}, []) end), port),
              [ask(A, fun() -> P ! nonsense, timer:sleep(200), survived end), gone(P)]
      end},
     {"messages to a port that is gone are lost",
      fun() ->
              trap(),
              P = open("output_probe_drv"),
              close(P), gone(P), msgs(1),
              [[bang(P, M) =:= M || M <- [{self(), {command, "x"}}, {self(), close}, nonsense]], none()]
      end},
     {"the former owner can no longer command by message",
      fun() ->
              trap(),
              P = open("output_probe_drv"),
              A = proc(a),
              ask(A, fun() -> process_flag(trap_exit, true), ok end),
              parity_port:port_connect(P, A),
              bang(P, {self(), {command, "x"}}),
              [none(), ask(A, fun() -> msgs(1) end), bang(P, {A, {command, "y"}}) =:= {A, {command, "y"}}, ask(A, fun() -> msgs(1) end), trace(1)]
      end},
     {"a name stands for the port in messages and functions",
      fun() ->
              P = open("output_probe_drv"),
              true = register(close_case, P),
              close_case ! {self(), {command, "by message"}},
              First = msgs(1),
              [First, command(close_case, "by function"), do(close_case, "flags"), r(fun() -> parity_port:port_info(close_case, name) end),
               r(fun() -> parity_port:port_info(close_case, registered_name) end), msgs(1), close(close_case), command(close_case, "x"), close(close_case),
               r(fun() -> parity_port:port_info(close_case) end)]
      end}].

%% The port itself, another one, a process of a node that is not there.
no_new_owners() ->
    [fun(P) -> P end,
     fun(_) -> open(port2, "output_probe_drv", []) end,
     fun(_) -> binary_to_term(<<131, 88, 119, 5, "a@b.c", 5:32, 0:32, 1:32>>) end].
