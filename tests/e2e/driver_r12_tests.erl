%% SPDX-License-Identifier: Apache-2.0
%% Functions of the driver interface that the VM no longer has, or has only by name.
-module(driver_r12_tests).

-include("rules.hrl").

await_counts(Port, Job, Counts) ->
    until(fun() -> do(Port, ["counts ", Job]) =:= Counts end).

a_queued_job_is_cancelled_and_freed_once_test_() ->
    ?HOSTED(begin
        load("r12_probe_drv"),
        P = open("r12_probe_drv"),
        [?assertEqual("positive", do(P, ["job ", J])) || J <- ["1", "2", "3"]],
        await_counts(P, "1", "invoked 1 ended 0 ready 0 freed 0"),
        ?assertEqual("1", do(P, "cancel 2")),
        ?assertEqual("invoked 0 ended 0 ready 0 freed 1", do(P, "counts 2")),
        ?assertEqual("0", do(P, "cancel 2")),
        do(P, "gate open"),
        await_counts(P, "3", "invoked 1 ended 1 ready 1 freed 0"),
        await_counts(P, "1", "invoked 1 ended 1 ready 1 freed 0"),
        ?assertEqual("invoked 0 ended 0 ready 0 freed 1", do(P, "counts 2"))
    end).

a_job_that_runs_or_is_done_is_not_cancelled_test_() ->
    ?HOSTED(begin
        load("r12_probe_drv"),
        P = open("r12_probe_drv"),
        do(P, "job 1"),
        await_counts(P, "1", "invoked 1 ended 0 ready 0 freed 0"),
        ?assertEqual("0", do(P, "cancel 1")),
        do(P, "gate open"),
        await_counts(P, "1", "invoked 1 ended 1 ready 1 freed 0"),
        ?assertEqual("0", do(P, "cancel 1")),
        ?assertEqual("0 0 0 0", do(P, "cancel_nothing")),
        ?assertEqual("invoked 1 ended 1 ready 1 freed 0", do(P, "counts 1"))
    end).

a_job_of_a_port_that_is_gone_is_cancelled_too_test_() ->
    ?HOSTED(begin
        load("r12_probe_drv"),
        P = open("r12_probe_drv"),
        K = open("r12_probe_drv"),
        [do(P, ["job ", J]) || J <- ["1", "2", "3"]],
        await_counts(P, "1", "invoked 1 ended 0 ready 0 freed 0"),
        porthost:port_close(P),
        ?assertEqual("1", do(K, "cancel 2")),
        ?assertEqual("invoked 0 ended 0 ready 0 freed 1", do(K, "counts 2")),
        do(K, "gate open"),
        await_counts(K, "1", "invoked 1 ended 1 ready 0 freed 1"),
        await_counts(K, "3", "invoked 1 ended 1 ready 0 freed 1"),
        %% Nothing holds the driver any more.
        porthost:port_close(K),
        ?assertEqual(ok, porthost_ddll:unload_driver("r12_probe_drv")),
        ?assertEqual({ok, []}, porthost_ddll:loaded_drivers())
    end).

driver_event_says_that_it_cannot_test_() ->
    ?HOSTED(begin
        load("r12_probe_drv"),
        ?assertEqual("-1 -1", do(open("r12_probe_drv"), "event"))
    end).

a_port_has_a_text_for_tracing_test_() ->
    ?HOSTED(begin
        load("r12_probe_drv"),
        P = open("r12_probe_drv"),
        {id, Id} = porthost:port_info(P, id),
        ?assertEqual(lists:concat(["#Port<0.", Id, "> #Port<0.0>"]), do(P, "text"))
    end).
