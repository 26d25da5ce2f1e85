%% SPDX-License-Identifier: Apache-2.0
%% Parity: the same cases against the ports of a VM and against those of the daemon, and the difference.
%%
%%   erl -noshell -pa EBIN -s parity -extra --drivers DIR --daemon PATH --client EBIN [--intended FILE] [--case TEXT]
%%
%% --drivers   where the probe drivers' .so files are          --daemon   the porthostd to test
%% --client    the Erlang client's ebin directory              --intended differences that are meant: lists of {Case, Reason}
%% --case      only cases whose name contains the text         --list     the names of the cases, nothing else
%% --runs N    N times                                         --vm-only  a VM against another VM: are the cases stable?
%% --print     the observations too
%%
%% Each side is a node of its own, so that a case can take it down. Nothing is kept from run to run: the VM that is installed is
%% what the daemon is measured by. Ends with a line "N passed, N failed", and status 1 if anything failed.
-module(parity).

-export([start/0, modules/0]).

-define(CALL_TIME, 60000).
-define(VM_TRIES, 3).

-record(side, {backend, label, options, peer}).

start() ->
    Status = try
                 run(options(init:get_plain_arguments(), #{runs => "1", intended => ""}))
             catch
                 throw:{usage, Text} ->
                     io:put_chars(standard_error, ["parity: ", Text, "\n"]),
                     2
             end,
    halt(Status).

options(["--" ++ Flag | Rest], Options) when Flag =:= "list"; Flag =:= "vm-only"; Flag =:= "print" ->
    options(Rest, Options#{list_to_atom(Flag) => true});
options(["--" ++ Key, Value | Rest], Options) when Key =:= "drivers"; Key =:= "daemon"; Key =:= "client"; Key =:= "intended";
                                                   Key =:= "case"; Key =:= "runs" ->
    options(Rest, Options#{list_to_atom(Key) => Value});
options([], Options) ->
    Options;
options([Other | _], _Options) ->
    throw({usage, "what is " ++ Other ++ "?"}).

%% Those that have cases.
modules() ->
    [parity_output, parity_queue, parity_timer, parity_select, parity_async, parity_monitor, parity_busy, parity_result,
     parity_failure, parity_caller, parity_start, parity_close, parity_bif, parity_api, parity_thread, parity_held, parity_term, parity_ddll, parity_others].

run(Options) ->
    All = [{Module, Name} || Module <- modules(), {Name, _} <- Module:cases()],
    Names = [Name || {_, Name} <- All],
    length(lists:usort(Names)) =:= length(Names) orelse throw({usage, "two cases have one name"}),
    Wanted = maps:get('case', Options, ""),
    case [C || {_, Name} = C <- All, string:find(Name, Wanted) =/= nomatch] of
        [] -> throw({usage, "no such case"});
        Cases when is_map_key(list, Options) -> list(Cases);
        Cases -> compare_all(Cases, Options)
    end.

list(Cases) ->
    [io:put_chars([Name, "\n"]) || {_, Name} <- Cases],
    0.

need(Key, Options) ->
    case Options of
        #{Key := Value} -> Value;
        _ -> throw({usage, "--" ++ atom_to_list(Key) ++ " is missing"})
    end.

%% ---- comparing -------------------------------------------------------------

compare_all(Cases, Options) ->
    Intended = intended(maps:get(intended, Options)),
    Left = #side{backend = vm, label = "vm", options = Options},
    Right = case Options of
                #{'vm-only' := true} -> Left#side{label = "vm again"};
                _ -> Left#side{backend = porthost, label = "porthost"}
            end,
    {Passed, Failed} = lists:foldl(fun(_, Counts) -> compare(Cases, started(Left, 1), started(Right, 2), Intended, Options, Counts) end,
                                   {0, 0}, lists:seq(1, list_to_integer(maps:get(runs, Options)))),
    io:format("~b passed, ~b failed~n", [Passed, Failed]),
    case Failed of
        0 -> 0;
        _ -> 1
    end.

intended("") ->
    #{};
intended(File) ->
    case file:consult(File) of
        {ok, Lists} -> maps:from_list(lists:append(Lists));
        _ -> throw({usage, "cannot read " ++ File})
    end.

compare([], Left, Right, _Intended, _Options, Counts) ->
    ended(Left),
    ended(Right),
    [file:delete(trace(N)) || N <- [1, 2]],
    Counts;
compare([{Module, Name} | Rest], Left0, Right0, Intended, Options, {Passed, Failed}) ->
    {{A, Left}, {B, Right}} = both(fun() -> measure(Left0, Module, Name, ?VM_TRIES) end, fun() -> observe(Right0, Module, Name, 2) end),
    is_map_key(print, Options) andalso io:format("~ts~n    ~tp~n", [Name, A]),
    Verdict = verdict(A, B, maps:find(Name, Intended)),
    report(Verdict, Name, {Left#side.label, A}, {Right#side.label, B}),
    compare(Rest, Left, Right, Intended, Options,
            case Verdict of
                failed -> {Passed, Failed + 1};
                no_longer -> {Passed, Failed + 1};
                broken -> {Passed, Failed + 1};
                _ -> {Passed + 1, Failed}
            end).

%% A case that the VM itself does not get through says nothing; a difference that is listed must still be there.
verdict(A, B, Listed) ->
    case lists:any(fun is_trouble/1, A) of
        true -> broken;
        false when A =:= B, Listed =:= error -> same;
        false when A =:= B -> no_longer;
        false when Listed =:= error -> failed;
        false -> {intended, element(2, Listed)}
    end.

%% Steps that say that the case or its node did not come to a good end.
is_trouble('$hung') -> true;
is_trouble({Mark, _}) -> lists:member(Mark, ['$node_down', '$left_over', '$died', '$stopped']);
is_trouble(_) -> false.

report(same, _Name, _A, _B) ->
    ok;
report({intended, Reason}, Name, _A, _B) ->
    io:format("differs as intended: ~ts (~ts)~n", [Name, Reason]);
report(no_longer, Name, _A, _B) ->
    io:format("FAILED: ~ts~n    is listed as an intended difference, but does not differ~n", [Name]);
report(broken, Name, {Label, A}, _B) ->
    io:format("FAILED: ~ts~n    the case itself does not work; ~ts observed~n    ~tp~n", [Name, Label, A]);
report(failed, Name, {LabelA, A}, {LabelB, B}) ->
    io:format("FAILED: ~ts~n", [Name]),
    diff(A, B, LabelA, LabelB, 1).

%% Step by step; the elements of a step that is a list, such as messages and traces, one by one.
diff([], [], _LabelA, _LabelB, _N) ->
    ok;
diff([X | A], [X | B], LabelA, LabelB, N) ->
    diff(A, B, LabelA, LabelB, N + 1);
diff(A, B, LabelA, LabelB, N) ->
    {X, RestA} = step(A),
    {Y, RestB} = step(B),
    io:format("    step ~b~n      ~-9ts ~ts~n      ~-9ts ~ts~n", [N, LabelA, shown(X), LabelB, shown(Y)]),
    diff(RestA, RestB, LabelA, LabelB, N + 1).

step([]) -> {'(nothing)', []};
step([X | Rest]) -> {X, Rest}.

shown(X) ->
    string:replace(io_lib:format("~140tp", [X]), "\n", "\n                ", all).

%% ---- sides -----------------------------------------------------------------

%% At the same time.
both(First, Second) ->
    {Pid, Ref} = spawn_monitor(fun() -> exit({result, Second()}) end),
    Result = First(),
    receive {'DOWN', Ref, process, Pid, {result, Other}} -> {Result, Other} end.

%% What the daemon is measured by. A VM that goes down has observed nothing, and is asked again: now and then one does (OTP 25, about once in 500 times that a port is
%% closed while its driver's threads are in its queue). The daemon is asked once.
measure(Side, Module, Name, Tries) ->
    case observe(Side, Module, Name, 1) of
        {[{'$node_down', _}], Again} when Tries > 1 -> measure(Again, Module, Name, Tries - 1);
        Observed -> Observed
    end.

observe(Side, Module, Name, N) ->
    try peer:call(Side#side.peer, parity_run, run, [Module, Name], ?CALL_TIME) of
        Observation -> {Observation, refreshed(Side, Observation, N)}
    catch
        Class:Reason ->
            catch peer:stop(Side#side.peer),
            {[{'$node_down', {Class, first(Reason)}}], started(Side, N)}
    end.

%% What a case has left behind must not disturb the next one.
refreshed(Side, Observation, N) ->
    case lists:any(fun is_trouble/1, Observation) of
        false -> Side;
        true -> ended(Side), started(Side, N)
    end.

%% Without waiting for ports that will never be flushed.
ended(#side{peer = Peer}) ->
    peer:cast(Peer, erlang, halt, [0, [{flush, false}]]),
    catch peer:stop(Peer),
    ok.

first(Reason) when is_tuple(Reason), tuple_size(Reason) > 0 -> element(1, Reason);
first(Reason) -> Reason.

%% The trace file's name is passed on by the node to the daemon, its child.
started(Side = #side{backend = Backend, options = Options}, N) ->
    Paths = [filename:dirname(code:which(?MODULE)) | [need(client, Options) || Backend =:= porthost]],
    Env = [{"PH_PROBE_TRACE", trace(N)}, {"PARITY_DRIVERS", filename:absname(need(drivers, Options))}],
    Args = ["-kernel", "logger_level", "none", "+A", "4", "-pa" | Paths],
    {ok, Peer, _} = peer:start(#{connection => standard_io, args => Args, env => Env}),
    Transport = case Backend of
                    vm -> none;
                    porthost -> {spawn, filename:absname(need(daemon, Options)) ++ " --stdio"}
                end,
    ok = peer:call(Peer, parity_run, start, [Backend, Transport], ?CALL_TIME),
    Side#side{peer = Peer}.

trace(N) ->
    filename:join(tmp(), lists:flatten(io_lib:format("parity-~s-~b.trace", [os:getpid(), N]))).

tmp() ->
    case os:getenv("TMPDIR") of
        false -> "/tmp";
        Dir -> Dir
    end.
