%% SPDX-License-Identifier: Apache-2.0
%% Async jobs of a daemon without async threads. The VM of today has one at least, so it cannot be asked.
-module(driver_async_tests).

-include("rules.hrl").

-define(INLINE(Driver, P, Body), ?HOSTED("--async-threads 0", begin
        load(Driver),
        P = open(Driver),
        Body
    end)).

without_threads_a_job_is_done_and_ready_before_driver_async_returns_test_() ->
    ?INLINE("async_probe_drv", P, begin
        ?assertEqual("zero zero zero", do(P, "jobs 3")),
        [?assertEqual({P, {data, "job " ++ N}}, next()) || N <- ["1", "2", "3"]],
        ?assertEqual("zero", do(P, "job_without_key")),
        ?assertEqual({P, {data, "job 1"}}, next())
    end).

%% The probe with everything counted.
without_threads_nothing_can_be_cancelled_and_data_is_released_once_test_() ->
    ?INLINE("r12_probe_drv", P, begin
        do(P, "gate open"),
        ?assertEqual("not positive", do(P, "job 1")),
        ?assertEqual("invoked 1 ended 1 ready 1 freed 0", do(P, "counts 1")),
        ?assertEqual("0", do(P, "cancel 1")),
        ?assertEqual("invoked 1 ended 1 ready 1 freed 0", do(P, "counts 1"))
    end).

without_threads_and_without_ready_async_the_data_is_freed_test_() ->
    ?INLINE("async_unready_probe_drv", P, begin
        ?assertEqual("zero zero", do(P, "jobs 2")),
        ?assertEqual("freed 2", do(P, "freed"))
    end).

%% What is freed is overwritten, so that a look at it is noticed.
without_threads_a_job_may_end_its_port_in_a_callback_of_another_test_() ->
    {setup, fun() -> os:putenv("MALLOC_PERTURB_", "90"), os:putenv("GLIBC_TUNABLES", "glibc.malloc.tcache_count=0") end,
     fun(_) -> os:unsetenv("MALLOC_PERTURB_"), os:unsetenv("GLIBC_TUNABLES") end,
     ?INLINE("async_probe_drv", P, begin
         Q = porthost:open_port({spawn_driver, "async_probe_drv mute"}, []),
         ?assertEqual("0", do(P, "failing_job_of_newest")),
         ?assertEqual({'EXIT', Q, failed}, next()),
         ?assertEqual("zero", do(P, "job_without_key"))
     end)}.

the_number_of_threads_is_what_was_asked_for_test_() ->
    [?HOSTED("--async-threads " ++ N, begin
        load("system_probe_drv"),
        ?assertEqual("async_threads " ++ N, do(open("system_probe_drv"), "async_threads"))
    end) || N <- ["0", "1", "5"]].
