%% SPDX-License-Identifier: Apache-2.0
%% Cases: threads of drivers: what they are, their locks, terms from them, the port data lock and the queue; and many of them at once.
-module(parity_thread).
-include("parity.hrl").

cases() ->
    threads() ++ herds().

threads() ->
    [{"threads have names, keys of their own and exit values", fun() -> [do(open("thread_probe_drv"), "thread_facts")] end},
     {"a thread that the driver did not make cannot be joined", fun() -> [do(open("thread_probe_drv"), "join_self")] end},
     {"locks have names and say when they are taken", fun() -> [do(open("thread_probe_drv"), "locks")] end},
     {"a thread sends terms in the name of the port and has no time",
      fun() -> P = open("thread_probe_drv"), [do(P, "terms_from_thread"), msgs(2), trace(2)] end},
     {"a thread sends terms long after the callback",
      fun() -> P = open("thread_probe_drv"), [do(P, "send_later"), msgs(1), trace(1)] end},
     {"a thread cannot output to a port that is gone",
      fun() ->
              P = open("thread_probe_drv"),
              close(P), gone(P),
              [do(open(port2, "thread_probe_drv", []), "dead_port"), trace(2)]
      end},
     {"a port has one port data lock",
      fun() -> _ = open("thread_probe_drv pdl"), [trace(2)] end},
     {"locking the port data lock takes a reference",
      fun() -> P = open("thread_probe_drv pdl"), [do(P, "pdl_refc")] end},
     {"no two threads get the same count of a port data lock",
      fun() -> P = open("thread_probe_drv pdl"), lists:usort([do(P, "pdl_shared") || _ <- lists:seq(1, 20)]) end},
     {"a thread may use the queue under the port data lock",
      fun() ->
              trap(),
              P = open("thread_probe_drv pdl"),
              [do(P, "enq_from_thread"), parity_port:port_info(P, queue_size), close(P), gone(P), trace(5), msgs(1)]
      end},
     {"a port data lock outlives its port",
      fun() ->
              P = open("thread_probe_drv pdl"),
              K = open(port2, "thread_probe_drv", []),
              [do(P, "keep_pdl"), close(P), gone(P), do(K, "drop_pdl")]
      end}].

%% Each number that a thread sends, by thread, in the order of arrival.
numbers(Messages, Threads) ->
    [[K || {I, K} <- Messages, I =:= Thread] || Thread <- lists:seq(1, Threads)].

herds() ->
    [{"what many threads send at once all comes, in the order of each",
      fun() ->
              P = open("herd_probe_drv"),
              [do(P, "send 8 250"), [N =:= lists:seq(1, 250) || N <- numbers(msgs(2000), 8)], do(P, "join")]
      end},
     {"threads that send at once for two ports do not disturb each other",
      fun() ->
              P = open("herd_probe_drv"),
              Q = proc(q),
              Other = ask(Q, fun() -> open(port2, "herd_probe_drv", []) end),
              name(Other, port2),
              [do(P, "send 4 250"), ask(Q, fun() -> do(Other, "send 4 250") end),
               [N =:= lists:seq(1, 250) || N <- numbers(msgs(1000), 4)],
               do(P, "join"), do(Other, "join")]
      end},
     {"threads and callbacks use the queue at the same time and nothing of it is lost",
      fun() ->
              P = open("herd_probe_drv pdl"),
              [do(P, "enq 8 500"), [do(P, "take") || _ <- lists:seq(1, 300)], do(P, "join"), parity_port:port_info(P, queue_size)]
      end},
     {"a port that is closed while threads fill its queue ends when they have emptied it",
      fun() ->
              trap(),
              P = open("herd_probe_drv pdl"),
              [do(P, "enq 4 20000"), close(P), gone(P), msgs(1), do(open(port2, "herd_probe_drv", []), "join_left")]
      end}]
        ++ [{"threads outlive a port that " ++ How,
             fun() ->
                     trap(),
                     P = open("herd_probe_drv pdl"),
                     R = [do(P, "outlive 3 0"), End(P), gone(P), lists:sort(only("outlived", trace(6)))],
                     [R, do(open(port2, "herd_probe_drv", []), "join_left")]
             end}
            || {How, End} <- [{"is closed", fun(P) -> close(P) end},
                              {"is killed", fun(P) -> exit(P, kill) end},
                              {"fails", fun(P) -> do(P, "fail") end}]]
        ++ [{"threads outlive a port and its owner",
             fun() ->
                     load("herd_probe_drv"),
                     Owner = proc(owner),
                     P = ask(Owner, fun() -> open("herd_probe_drv pdl") end),
                     name(P, port),
                     R = [do(P, "outlive 3 0"), stop_proc(Owner), gone(P), lists:sort(only("outlived", trace(6)))],
                     [R, do(open(port2, "herd_probe_drv", []), "join_left")]
             end},
            {"threads that outlive their port are waited for when the driver goes",
             fun() ->
                     trap(),
                     P = open("herd_probe_drv"),
                     R = [do(P, "outlive 3 0"), close(P), gone(P)],
                     [R, ddll(unload, ["herd_probe_drv"]), only("outlived", trace(3))]
             end}].
