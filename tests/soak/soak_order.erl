%% SPDX-License-Identifier: Apache-2.0
%% Order, at random: several connections, each with ports of both lock levels, some of them forced to the workers, and many callers that use all ports in turn.
%% What a port gets is numbered; it must come back in that order: data of a command, data that a control sends, the control's answer, a term to the caller.
%% Now and then a command takes so long that the driver moves to the workers, and back. The seed is in the failure's text.
-module(soak_order).
-export([run/2]).

-define(CONNECTIONS, 4).
-define(PORTS, 16).
-define(CALLERS, 50).
-define(BATCH, 40).

-define(ECHO, 0).
-define(DATA, 1).
-define(CALLER, 2).

%% Count requests in all, as long as there is time. The seed is the environment's SOAK_SEED, or always the same.
run(D, #{count := Count, seconds := Seconds}) ->
    Seed = list_to_integer(os:getenv("SOAK_SEED", "4")),
    Start = raw_client:rss(D),
    Each = Count div ?CONNECTIONS,
    Self = self(),
    Workers = [spawn_monitor(fun() -> exit({done, connection(D, {Seed, N}, Each, Seconds * 1000, Self)}) end) || N <- lists:seq(1, ?CONNECTIONS)],
    Tenth = lists:max([receive {tenth, Pid, Rss} -> Rss; {'DOWN', Ref, process, _, Why} -> error({seed, Seed, Why}) end || {Pid, Ref} <- Workers]),
    Done = [receive {'DOWN', Ref, process, _, {done, N}} -> N;
                    {'DOWN', Ref, process, _, Why} -> error({seed, Seed, Why}) end || {_, Ref} <- Workers],
    #{done => lists:sum(Done), lost => 0, start => Start * 1024, tenth => Tenth * 1024, 'end' => raw_client:rss(D) * 1024, seed => Seed}.

connection(D, {Seed, N}, Count, Ms, Parent) ->
    rand:seed(exsss, {Seed, N, 0}),
    S = raw_client:connect(D),
    [{ok, _} = raw_client:request(S, {open, open, P, P, self(), driver(P), [binary, {parallelism, P rem 4 =:= 3}]}) || P <- lists:seq(1, ?PORTS)],
    Now = erlang:monotonic_time(millisecond),
    {Some, Next} = batches(S, maps:from_keys(lists:seq(1, ?PORTS), 0), Count div 10, Now + Ms div 10, 0),
    Parent ! {tenth, self(), raw_client:rss(D)},
    {Done, _} = batches(S, Next, Count, Now + Ms, Some),
    gen_tcp:close(S),
    Done.

driver(P) when P rem 2 =:= 0 -> "soak_probe_drv";
driver(_) -> "soak_locking_probe_drv".

batches(S, Next, Count, End, Done) ->
    case Done >= Count orelse erlang:monotonic_time(millisecond) >= End of
        true -> {Done, Next};
        false ->
            {Requests, Expected, After} = batch(?BATCH, Next, [], #{}),
            raw_client:send_all(S, Requests),
            came(S, Expected),
            batches(S, After, Count, End, Done + ?BATCH)
    end.

%% Requests, and for each port what must come back, in order.
batch(0, Next, Requests, Expected) ->
    {lists:reverse(Requests), maps:map(fun(_, Events) -> lists:append(lists:reverse(Events)) end, Expected), Next};
batch(N, Next, Requests, Expected) ->
    P = rand:uniform(?PORTS),
    #{P := Number} = Next,
    {Request, Events} = request(rand:uniform(6), P, Number, caller()),
    batch(N - 1, Next#{P := Number + 1}, [Request | Requests], Expected#{P => [Events | maps:get(P, Expected, [])]}).

caller() ->
    raw_client:pid('soak@nowhere', 100 + rand:uniform(?CALLERS)).

request(What, P, N, Caller) when What =< 2 ->
    Data = <<N:32, (slow()):32, (binary:copy(<<"p">>, size()))/binary>>,
    {{command, P, Caller, Data}, [{data, Data}]};
request(3, P, N, Caller) ->
    {{send, P, Caller, {self(), {command, <<N:32>>}}}, [{data, <<N:32>>}]};
request(4, P, N, Caller) ->
    Data = <<N:32, (slow()):32>>,
    {{control, {P, N}, P, Caller, ?DATA, Data}, [{data, Data}, {answer, N, Data}]};
request(5, P, N, Caller) ->
    Term = P bsl 24 bor N,
    {{control, {P, N}, P, Caller, ?CALLER, <<Term:32>>}, [{term, Caller, N}, {answer, N, <<0:32>>}]};
request(6, P, N, Caller) ->
    {{control, {P, N}, P, Caller, ?ECHO, <<N:32>>}, [{answer, N, <<N:32>>}]}.

%% Microseconds: mostly none, sometimes what makes a driver slow.
slow() ->
    case rand:uniform(40) of
        1 -> 500;
        2 -> 50;
        _ -> 0
    end.

%% Some are copied, some are passed on by reference.
size() ->
    case rand:uniform(20) of
        1 -> 20000;
        _ -> rand:uniform(100)
    end.

came(_, Expected) when map_size(Expected) =:= 0 ->
    ok;
came(S, Expected) ->
    case raw_client:next(S) of
        {send, _, {P, {data, Data}}} -> came(S, next(P, {data, Data}, Expected));
        {ok, {P, N}, Value} -> came(S, next(P, {answer, N, Value}, Expected));
        {send, To, Term} when is_integer(Term) -> came(S, next(Term bsr 24, {term, To, Term band 16#ffffff}, Expected));
        {busy, _, _} -> came(S, Expected);
        Other -> error({unexpected, Other, Expected})
    end.

next(P, Event, Expected) ->
    case Expected of
        #{P := [Event]} -> maps:remove(P, Expected);
        #{P := [Event | Rest]} -> Expected#{P := Rest};
        _ -> error({out_of_order, P, Event, maps:get(P, Expected, none)})
    end.
