%% SPDX-License-Identifier: Apache-2.0
%% What a case is written with. A case is a sentence and a fun; the fun runs in a process of its own and returns its observation,
%% a list of what it got: results, exceptions, messages, lines of the drivers' trace. All of it is normalised afterwards: ports,
%% processes and references are called by the names the case gave them, whatever they are made of on the backend.
%% Functions that wait take a number of things to wait for, at most five seconds, and then look a moment longer for more.
-module(parity_case).

-export([open/1, open/2, open/3, load/1, dir/0, do/2, dos/2, control/3, call/3, command/2, bang/2, close/1, r/1, ddll/2]).
-export([msgs/1, none/0, trace/1, only/2, trace_file/0, gone/1, until/1, until/2]).
-export([proc/1, ask/2, start_ask/2, answered/2, answer/1, stop_proc/1, name/2, trap/0]).
-export([normalise/1, run/1]).

-define(LONG, 5000).
-define(MOMENT, 30).

%% ---- ports -----------------------------------------------------------------

%% Loads the driver that the command begins with, if need be, and opens a port, called `port' in the observation.
open(Command) ->
    open(Command, []).

open(Command, Options) ->
    open(port, Command, Options).

open(Name, Command, Options) ->
    [Driver | _] = string:split(Command, " "),
    load(Driver),
    name(parity_port:open_port({spawn_driver, Command}, Options), Name).

load(Driver) ->
    case get({loaded, Driver}) of
        undefined ->
            ok = parity_port:ddll(load, [dir(), Driver]),
            put({loaded, Driver}, true),
            ok;
        true ->
            ok
    end.

dir() ->
    os:getenv("PARITY_DRIVERS").

%% An action of a probe driver, and its answer.
do(Port, Action) ->
    control(Port, 0, Action).

dos(Port, Actions) ->
    [do(Port, A) || A <- Actions].

control(Port, Op, Data) ->
    r(fun() -> parity_port:port_control(Port, Op, Data) end).

call(Port, Op, Term) ->
    r(fun() -> parity_port:port_call(Port, Op, Term) end).

command(Port, Data) ->
    r(fun() -> parity_port:port_command(Port, Data) end).

bang(Port, Message) ->
    r(fun() -> Port ! Message end).

close(Port) ->
    r(fun() -> parity_port:port_close(Port) end).

ddll(Function, Args) ->
    r(fun() -> parity_port:ddll(Function, Args) end).

%% The result, or class and reason.
r(Fun) ->
    try
        Fun()
    catch
        Class:Reason -> {Class, Reason}
    end.

%% ---- waiting ---------------------------------------------------------------

%% N messages, and whatever comes in the moment after.
msgs(N) ->
    messages(N, ?LONG) ++ messages(infinity, ?MOMENT).

none() ->
    msgs(0).

messages(0, _Timeout) ->
    [];
messages(N, Timeout) ->
    receive
        M when not (is_tuple(M) andalso tuple_size(M) > 0 andalso element(1, M) =:= '$parity') ->
            [M | messages(case N of infinity -> N; _ -> N - 1 end, Timeout)]
    after Timeout ->
        []
    end.

trace_file() ->
    os:getenv("PH_PROBE_TRACE").

%% At least N new lines of the drivers' trace, and whatever comes in the moment after.
trace(N) ->
    Seen = case get(trace_seen) of undefined -> 0; S -> S end,
    until(fun() -> length(lines()) >= Seen + N end),
    timer:sleep(?MOMENT),
    Lines = lines(),
    put(trace_seen, length(Lines)),
    lists:nthtail(Seen, Lines).

%% Of events in different threads only those of one kind have an order.
only(Prefix, Lines) ->
    [L || L <- Lines, lists:prefix(Prefix, L)].

lines() ->
    {ok, Bytes} = file:read_file(trace_file()),
    [unicode:characters_to_list(L, latin1) || L <- binary:split(Bytes, <<"\n">>, [global]), L =/= <<>>].

until(Condition) ->
    until(Condition, ?LONG).

until(Condition, Timeout) ->
    until_time(Condition, erlang:monotonic_time(millisecond) + Timeout).

until_time(Condition, End) ->
    case Condition() of
        true ->
            true;
        false ->
            case erlang:monotonic_time(millisecond) < End of
                true -> timer:sleep(3), until_time(Condition, End);
                false -> false
            end
    end.

gone(Port) ->
    case until(fun() -> parity_port:port_info(Port) =:= undefined end) of
        true -> gone;
        false -> still_there
    end.

%% ---- processes -------------------------------------------------------------

trap() ->
    process_flag(trap_exit, true),
    ok.

%% Another process, which does what it is asked. It ends with the case.
proc(Name) ->
    Case = self(),
    Pid = spawn(fun() ->
                        put(case_ref, monitor(process, Case)),
                        serve()
                end),
    name(Pid, Name).

serve() ->
    Ref = get(case_ref),
    receive
        {'$parity', From, AskRef, Fun} ->
            From ! {'$parity', AskRef, r(Fun)},
            serve();
        {'DOWN', Ref, process, _, _} ->
            ok
    end.

%% Lets the process run the fun and returns what r/1 makes of it, or that it died of it.
ask(Pid, Fun) ->
    answer(start_ask(Pid, Fun)).

start_ask(Pid, Fun) ->
    Ref = monitor(process, Pid),
    Pid ! {'$parity', self(), Ref, Fun},
    Ref.

%% Whether the answer comes within so many milliseconds; it is left to be taken.
answered(Ref, Timeout) ->
    receive
        {'$parity', Ref, Result} -> self() ! {'$parity', Ref, Result}, true
    after Timeout -> false
    end.

answer(Ref) ->
    receive
        {'$parity', Ref, Result} -> demonitor(Ref, [flush]), Result;
        {'DOWN', Ref, process, _, Reason} -> {died, Reason}
    after 2 * ?LONG -> no_answer
    end.

stop_proc(Pid) ->
    Ref = monitor(process, Pid),
    exit(Pid, kill),
    receive {'DOWN', Ref, process, _, _} -> ok end.

%% ---- the observation -------------------------------------------------------

name(Thing, Name) ->
    put({name, Thing}, Name),
    Thing.

%% To be called in the process of the case.
normalise(Term) when is_pid(Term); is_port(Term) ->
    case get({name, Term}) of
        undefined when Term =:= self() -> self;
        undefined -> other;
        Name -> Name
    end;
normalise(Term) when is_reference(Term) ->
    ref;
normalise({'DOWN', Ref, process, Thing, Reason}) ->
    {'DOWN', normalise(Ref), kind(Thing), normalise(Thing), normalise(Reason)};
normalise(Term) when is_tuple(Term) ->
    list_to_tuple(normalise(tuple_to_list(Term)));
normalise([Head | Tail]) ->
    [normalise(Head) | normalise(Tail)];
normalise(Term) when is_map(Term) ->
    maps:from_list(normalise(maps:to_list(Term)));
normalise(Term) when is_binary(Term), byte_size(Term) > 200 ->
    {binary, byte_size(Term), erlang:crc32(Term)};
normalise(Term) ->
    Term.

%% What is_port/1 says of a hosted port is not an observation.
kind(Thing) ->
    case get({name, Thing}) of
        Name when Name =:= port; Name =:= port2; Name =:= port3; Name =:= child -> port;
        _ -> process
    end.

%% The observation of a case, by its process.
run(Fun) ->
    case r(Fun) of
        Observation when is_list(Observation) -> normalise(Observation);
        Other -> [{'$stopped', normalise(Other)}]
    end.
