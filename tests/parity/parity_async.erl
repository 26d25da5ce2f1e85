%% SPDX-License-Identifier: Apache-2.0
%% Cases: async jobs.
-module(parity_async).
-include("parity.hrl").

cases() ->
    living() ++ dying().

living() ->
    [{"jobs with one key run and complete in order",
      fun() -> P = open("async_probe_drv"), R = [do(P, "jobs 10"), msgs(10)], T = trace(30), R ++ [only("invoke", T), only("ready_async", T)] end},
     {"a job without key runs",
      fun() -> P = open("async_probe_drv"), [do(P, "job_without_key"), msgs(1), trace(3)] end},
     {"the key is reduced to the number of a thread",
      fun() -> P = open("async_probe_drv"), [[do(P, "job_with_key " ++ K) || K <- ["0", "3", "17", "4294967295"]], msgs(4)] end},
     {"jobs run while the callback that submitted them waits for that, however long it has run",
      fun() -> P = open("async_probe_drv"), [[do(P, A), msgs(N)] || {A, N} <- [{"jobs_waited_for 2 0", 2}, {"jobs_waited_for 2 100", 2}]] end},
     {"the key of a port is stable",
      fun() -> [do(open("async_probe_drv"), "port_key")] end},
     {"ready_async is called instead of async_free",
      fun() -> P = open("async_probe_drv mute"), R = do(P, "jobs 2"), T = trace(4), [R, only("ready", T), only("async_free", T), none()] end},
     {"a port answers while its job runs",
      fun() ->
              P = open("async_probe_drv"),
              [do(P, "gated_jobs 1"), none(), do(P, "port_key"), do(P, "gate open"), msgs(1)]
      end},
     {"a job that takes too long is given up by a timer, and its late result is harmless",
      fun() ->
              P = open("async_probe_drv"),
              R = [do(P, "gated_jobs 1"), do(P, "time_limit 20"), msgs(1), trace(1), do(P, "port_key"), do(P, "gate open"), msgs(1), trace(3)],
              R ++ [do(P, "jobs 1"), msgs(1)]
      end},
     {"the result of a job that was given up and whose port is closed meanwhile is freed",
      fun() ->
              trap(),
              P = open("async_probe_drv"),
              K = open(port2, "async_probe_drv", []),
              R = [do(P, "gated_jobs 1"), do(P, "time_limit 20"), msgs(1), close(P), gone(P), msgs(1), do(K, "gate open")],
              R ++ [trace(4)]
      end},
     {"a job holds the port data lock that its port has when it begins",
      fun() ->
              P = open("async_probe_drv"),
              R = [do(P, "gated_jobs 1"), do(P, "pdl"), do(P, "pdl_refc"), do(P, "gated_jobs 2"), do(P, "pdl_refc"), do(P, "gate open"), msgs(3)],
              R ++ [until(fun() -> do(P, "pdl_refc") =:= "1" end)]
      end},
     %% When each port is told is up to the ports.
     {"jobs of two ports with one key run in the order in which they came",
      fun() ->
              P = open("async_probe_drv"),
              Q = open(port2, "async_probe_drv", []),
              R = [do(X, A) || {X, A} <- [{P, "gated_job_with_key 1"}, {Q, "gated_job_with_key 2"}, {P, "gated_job_with_key 3"}, {Q, "gate open"}]],
              M = msgs(3),
              T = trace(9),
              [R, [D || {X, {data, D}} <- M, X =:= P], only("invoke", T)]
      end},
     {"without ready_async the data is freed",
      fun() -> P = open("async_unready_probe_drv"), R = do(P, "jobs 2"), T = trace(4), [R, only("invoke", T), only("async_free", T), none()] end}].

%% A second port of the driver opens the gate.
dying() ->
    Gate = fun(Script) -> trap(), P = open("async_probe_drv"), K = open(port2, "async_probe_drv", []), Script(P, K) end,
    [{"closing does not wait for jobs, and what they leave is freed",
      fun() ->
              Gate(fun(P, K) -> R = [do(P, "gated_jobs 2"), close(P), gone(P), trace(1), do(K, "gate open")], T = trace(4), R ++ [only("invoke", T), only("async_free", T), msgs(1)] end)
      end},
     {"a job without async_free ends silently when its port is gone",
      fun() ->
              Gate(fun(P, K) -> [do(P, "gated_job_without_free"), close(P), gone(P), trace(1), do(K, "gate open"), trace(1), none()] end)
      end},
     {"a job that completes while its port is closing is ready and may empty the queue",
      fun() ->
              Gate(fun(P, K) ->
                           [do(P, "gated_jobs 1"), do(P, "enq abc"), close(P), trace(1), do(K, "gate open"), trace(5), gone(P), msgs(1)]
                   end)
      end},
     {"jobs keep the driver loaded",
      fun() ->
              trap(),
              P = open("async_probe_drv"),
              K = open(port2, "async_probe_drv", []),
              do(P, "gated_jobs 1"),
              close(P),
              do(K, "gate open"),
              close(K),
              ddll(unload, ["async_probe_drv"]),
              [[L || L <- trace(5), L =/= "stop"]]
      end}].
