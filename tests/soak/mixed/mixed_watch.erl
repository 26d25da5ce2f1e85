%% SPDX-License-Identifier: Apache-2.0
%% What the mixed load costs the daemon: samples of it while the load goes on, measures of its quiet moments, and whether those are level. Knows nothing of
%% the load. For mixed_run.
-module(mixed_watch).
-export([start/2, stop/1, quiet/3, verdict/1, parts/1]).

-define(QUIET_MS, 3000).   % the daemon gives memory back after a second of quiet
-define(MIB, 1048576).
%% MiB of resident memory: what fragments and arenas of malloc make of the same load. In a short run it has hardly warmed up.
-define(SLACK, 8).
-define(SHORT, {8, 48}). % moments, slack

%% A process that samples every Ms; it has a connection of its own.
start(D, Ms) ->
    Self = self(),
    Pid = spawn_link(fun() -> S = raw_client:connect(D), Self ! {self(), ready}, sampling(D, S, Ms, now_ms(), []) end),
    receive {Pid, ready} -> Pid end.

%% [Sample], the oldest first. A sample: #{ms, rss (bytes), fds, threads, connections, ports, cpu (ms used so far)}.
stop(Pid) ->
    Pid ! {stop, self()},
    receive {Pid, Samples} -> Samples end.

sampling(D, S, Ms, Begun, Samples) ->
    Sample = (sample(D, S))#{ms => now_ms() - Begun},
    receive
        {stop, To} -> gen_tcp:close(S), To ! {self(), lists:reverse([Sample | Samples])}
    after Ms ->
        sampling(D, S, Ms, Begun, [Sample | Samples])
    end.

now_ms() ->
    erlang:monotonic_time(millisecond).

sample(#{os_pid := Pid} = D, S) ->
    [Connections, Ports] = raw_client:stats(S, [connections, ports]),
    #{rss => raw_client:rss(D) * 1024, fds => fds(D), threads => threads(D), connections => Connections, ports => Ports, cpu => cpu(Pid)}.

fds(D) ->
    {ok, Fds} = file:list_dir(proc(raw_client:os_pid(D), "fd")),
    length(Fds).

threads(D) ->
    {ok, Tasks} = file:list_dir(proc(raw_client:os_pid(D), "task")),
    length(Tasks).

%% Ticks are hundredths of a second.
cpu(Pid) ->
    {ok, Stat} = file:read_file(proc(Pid, "stat")),
    [_, Behind] = binary:split(Stat, <<") ">>),
    Fields = binary:split(Behind, <<" ">>, [global]),
    10 * lists:sum([binary_to_integer(lists:nth(N, Fields)) || N <- [12, 13]]).

proc(Pid, File) ->
    filename:join(["/proc", integer_to_list(Pid), File]).

%% Nobody asks the daemon for anything but these Connections, which have so many Ports: what it has then. Waits for what those who
%% went have left, and until the daemon has had time to give back what malloc keeps; what is not gone by then is told in the sample.
quiet(D, S, #{connections := Connections, ports := Ports} = Expected) ->
    Settled = fun() ->
        raw_client:stats(S, [connections, ports]) =:= [Connections, Ports] andalso fds(D) =< maps:get(fds, Expected, infinity) andalso
            threads(D) =< maps:get(threads, Expected, infinity)
    end,
    catch raw_client:eventually(Settled),
    timer:sleep(?QUIET_MS),
    sample(D, S).

%% The quiet moments of the second quarter are what the daemon needs when it has warmed up; those of the last quarter are held against it.
%% ok, or what has grown.
verdict(Quiet) ->
    {Early, Late} = parts(Quiet),
    %% One thread more: the main thread may have become a spare, which never ends.
    Counts = [{Key, most(Key, Late), most(Key, Early) + if Key =:= threads -> 1; true -> 0 end} || Key <- [fds, threads, connections, ports]],
    case [{Key, Is, Was} || {Key, Is, Was} <- [{rss, median(rss, Late) - slack(length(Quiet)), median(rss, Early)} | Counts], Is > Was] of
        [] -> ok;
        Grown -> {grown, Grown}
    end.

parts(Quiet) ->
    Quarter = max(1, length(Quiet) div 4),
    {lists:sublist(Quiet, Quarter + 1, Quarter), lists:nthtail(length(Quiet) - Quarter, Quiet)}.

%% Memory is the sanitizer's in a build that has one, which keeps what is freed for a while.
slack(Moments) ->
    {Few, Slack} = ?SHORT,
    case string:find(os:getenv("PORTHOSTD", "build/porthostd"), "build-") of
        nomatch when Moments < Few -> Slack * ?MIB;
        nomatch -> ?SLACK * ?MIB;
        _ -> 1 bsl 40
    end.

most(Key, Samples) ->
    lists:max([maps:get(Key, S) || S <- Samples]).

median(Key, Samples) ->
    lists:nth((length(Samples) + 1) div 2, lists:sort([maps:get(Key, S) || S <- Samples])).
