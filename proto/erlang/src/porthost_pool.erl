%% SPDX-License-Identifier: Apache-2.0
%% @doc Ports of one driver, opened beforehand, one for each scheduler.
%%
%% A driver that is a set of functions has no use for a port of each process that calls it; but
%% callers of a single port wait for each other. A pool opens some:
%% ```
%% {ok, _} = porthost_pool:start_link(#{name => crunch, command => "crunch_drv"}),
%% "1" = porthost_pool:control(crunch, 0, "100")
%% '''
%% {@link port/1} gives each caller the port of the scheduler that it runs on. {@link control/3} and
%% {@link call/3} begin with that one too; if another call holds it they take one that none holds. It
%% matters: processes that wait for a driver outside the VM leave their scheduler idle, and
%% the VM gathers what little work remains on few schedulers.
%%
%% The ports belong to the pool's process, which throws away what they send to their owner. So the
%% driver should answer by the results of control and call, or send to its caller (`driver_caller').
%% What a port keeps from one call to the next is kept for whoever comes next. The driver should
%% lock by port (`ERL_DRV_FLAG_USE_PORT_LOCKING'), or its ports take turns all the same.
%%
%% The pool is started when all of its ports are open, and from then on replaces those that end,
%% whatever they end of. A port that has lasted longer than the option `backoff' has as `max' is
%% replaced at once; others, and those that cannot be opened, are tried again after a delay that
%% grows. Meanwhile the schedulers of a missing port get the next one. When the host is gone the pool
%% has no ports, looks for it every `min' milliseconds, and opens them again when it is back: under
%% a host with the option `reconnect', or one that its supervisor starts again.
%%
%% A caller can still get a port that has just ended, or that ends under the call. Then it gets what
%% such a port gives: `badarg'. Nothing is sent twice, since nobody but the caller knows whether the
%% driver may do the same again.
%%
%% All of it is for hosted ports; with the VM's own a pool cannot be made.
-module(porthost_pool).
-behaviour(gen_server).

-export([start_link/1, child_spec/1, stop/1, port/1, control/3, call/3, info/1]).
-export([enter/1, init/1, handle_call/3, handle_cast/2, handle_info/2, terminate/2]).

-include("porthost.hrl").
-include_lib("kernel/include/logger.hrl").

-export_type([options/0, pool/0, info/0]).

-type pool() :: atom().

-type options() :: #{name := pool(), command := string() | binary(), size => 1..1024,
                     host => atom(), path => porthost_ddll:path(), options => list(),
                     registered => boolean(), backoff => porthost_backoff:option()}.
%% <dl>
%% <dt>`name'</dt><dd>of the pool: registered for its process, and the name of a table.</dd>
%% <dt>`command'</dt><dd>the driver's name and what follows it, as in `{spawn_driver, Command}'.</dd>
%% <dt>`size'</dt><dd>how many ports; as many as the VM has schedulers, if not given. With fewer,
%%   schedulers share. Those above the number of schedulers are no scheduler's own: they are used
%%   while others are in calls or missing.</dd>
%% <dt>`host'</dt><dd>the host's registered name, `porthost' if not given.</dd>
%% <dt>`path'</dt><dd>where the driver is to be loaded from, as by {@link porthost_ddll:load/2}, each time
%%   there is a new connection to the host. Without, it must be loaded, or be on the host's driver path.</dd>
%% <dt>`options'</dt><dd>for `open_port'.</dd>
%% <dt>`registered'</dt><dd>whether the ports of pool `p' have the registered names `p_1', `p_2' and so on;
%%   a port that takes the place of another has its name.</dd>
%% <dt>`backoff'</dt><dd>`#{min => Ms, max => Ms}', 100 and 10000 if not given.</dd>
%% </dl>

-type info() :: #{size := pos_integer(), ports := [porthost:hosted_port() | none],
                  lost := non_neg_integer(), trouble := none | {trouble(), Reason :: term()}}.
%% The ports in the order of their schedulers; how many have ended so far; and, while one is missing,
%% what happened last.

-type trouble() :: ended | open | load | registered.
%% A port ended, or one could not be opened, the driver not be loaded, the name not be had.

-define(DEFAULT_HOST, porthost).
-define(MAX_SIZE, 1024).        % the most schedulers that the VM can have
-define(ENDING_MS, 5000).
-define(TOLD, 8).

-record(place, {port = none :: pid() | none,
               backoff :: porthost_backoff:t()}).

-record(st, {name :: pool(),
             host :: atom(),
             command :: string() | binary(),
             path :: porthost_ddll:path() | none,
             options :: list(),
             registered :: boolean(),
             places :: #{pos_integer() => #place{}},
             ports = #{} :: #{pid() => pos_integer()},          % and back
             loaded = none :: ets:table() | none,               % the connection, by its table of ports
             lost = 0 :: non_neg_integer(),
             %% What has been told since a port has been missing, newest first.
             troubles = [] :: [{trouble(), term()}]}).

%% @doc Start a pool, linked to the caller.
%%
%% The errors are `{already_started, Pid}' and `{porthost, Why}', where Why is one of `{bad_option,
%% Key}', `{open, Reason}', with what {@link porthost:open_port/3} raises, `{load, Reason}', and
%% `{registered, Name}': somebody else has the name of a port. Nothing is left open then.
-spec start_link(options()) -> {ok, pid()} | {error, term()}.
start_link(Options) ->
    case check(Options) of
        ok -> proc_lib:start_link(?MODULE, enter, [Options]);
        {error, Key} -> {error, {porthost, {bad_option, Key}}}
    end.

%% @doc A child specification for a supervisor. The host comes before its pools.
-spec child_spec(options()) -> supervisor:child_spec().
child_spec(Options) ->
    #{id => maps:get(name, Options, ?MODULE), start => {?MODULE, start_link, [Options]}}.

%% @doc End the pool and its ports, which exit with reason `shutdown'. They are gone when it returns.
-spec stop(pool()) -> ok.
stop(Pool) ->
    gen_server:stop(Pool).

%% @doc The port of the scheduler that the caller runs on.
%%
%% It costs one look into a table and asks no process. The errors are `{porthost, {no_pool, Pool}}' and,
%% while all ports are missing, `{porthost, {no_port, Pool}}'.
-spec port(pool()) -> porthost:hosted_port().
port(Pool) ->
    case row(Pool, erlang:system_info(scheduler_id), 2) of
        none -> error({porthost, {no_port, Pool}});
        Port -> Port
    end.

%% @doc `porthost:port_control/3' on the port of the caller's scheduler, or, while that is in a call of
%% this function or {@link call/3}, on another that is not. If all are, it waits at the scheduler's.
-spec control(pool(), 0..16#FFFFFFFF, iodata()) -> iodata().
control(Pool, Op, Data) ->
    held(Pool, fun(Port) -> porthost:port_control(Port, Op, Data) end).

%% @doc The same with `porthost:port_call/3'.
-spec call(pool(), 0..16#FFFFFFFF, term()) -> term().
call(Pool, Op, Data) ->
    held(Pool, fun(Port) -> porthost:port_call(Port, Op, Data) end).

%% @doc What the pool has. Asks no process either.
-spec info(pool()) -> info().
info(Pool) ->
    row(Pool, info, 2).

row(Pool, Key, Position) ->
    try ets:lookup_element(Pool, Key, Position)
    catch error:badarg -> error({porthost, {no_pool, Pool}})
    end.

%% A port that is held has a row in the table, with who holds it.
held(Pool, Use) ->
    Port = port(Pool),
    case hold(Pool, Port) orelse hold_any(Pool, row(Pool, erlang:system_info(scheduler_id), 3)) of
        false -> Use(Port);
        true -> use(Pool, Port, Use);
        Other -> use(Pool, Other, Use)
    end.

use(Pool, Port, Use) ->
    try Use(Port)
    after
        try ets:delete(Pool, Port)
        catch error:badarg -> true      % the pool has ended meanwhile
        end
    end.

hold_any(_, []) ->
    false;
hold_any(Pool, [Port | Ports]) ->
    case hold(Pool, Port) of
        true -> Port;
        false -> hold_any(Pool, Ports)
    end.

%% Who was killed in a call has left its row.
hold(Pool, Port) ->
    try ets:insert_new(Pool, {Port, self()}) orelse ets:lookup(Pool, Port) of
        true ->
            true;
        [{_, Holder} = Row] ->
            not is_process_alive(Holder) andalso ets:delete_object(Pool, Row)
                andalso ets:insert_new(Pool, {Port, self()});
        [] ->
            false
    catch
        error:badarg -> error({porthost, {no_pool, Pool}})
    end.

check(#{name := Name, command := Command} = Options) ->
    Checks = [{name, is_name(Name)},
              {command, is_text(Command)},
              {size, is_size(maps:get(size, Options, 1))},
              {host, is_atom(maps:get(host, Options, ?DEFAULT_HOST))},
              {path, is_text(maps:get(path, Options, ""))},
              {options, is_list(maps:get(options, Options, []))},
              {registered, is_boolean(maps:get(registered, Options, false))},
              {backoff, porthost_backoff:is_option(maps:get(backoff, Options, #{}))}
              | [{Key, false} || Key <- maps:keys(Options) -- [name, command, size, host, path, options, registered, backoff]]],
    case [Key || {Key, false} <- Checks] of
        [] -> ok;
        [Key | _] -> {error, Key}
    end;
check(#{name := _}) ->
    {error, command};
check(_) ->
    {error, name}.

%% Nor may there be a table of that name; that of a pool that runs is another matter.
is_name(Name) when is_atom(Name), Name =/= undefined ->
    ets:whereis(Name) =:= undefined orelse whereis(Name) =/= undefined;
is_name(_) ->
    false.

is_text(Text) -> is_binary(Text) orelse io_lib:char_list(Text).

is_size(Size) -> is_integer(Size) andalso Size >= 1 andalso Size =< ?MAX_SIZE.

%% The process. Its table has a row for each scheduler, with the port for its callers and the others,
%% one with the information, and one for each port that is held. It goes with the process, however
%% that ends; and a port that is replaced costs other processes nothing, as a change of a persistent
%% term would.

%% Started by proc_lib: nobody is killed by a pool that does not start, the caller has the error.
-spec enter(options()) -> ok | no_return().
enter(#{name := Name} = Options) ->
    process_flag(trap_exit, true),
    try register(Name, self()) of
        true ->
            Name = ets:new(Name, [named_table, public, {read_concurrency, true}, {write_concurrency, true}]),
            {ok, St} = init(Options),
            begin_with(St)
    catch
        error:badarg ->
            proc_lib:init_ack({error, case whereis(Name) of
                                          undefined -> {porthost, {bad_option, name}};
                                          Pid -> {already_started, Pid}
                                      end})
    end.

-spec init(options()) -> {ok, #st{}}.
init(#{name := Name, command := Command} = Options) ->
    Size = maps:get(size, Options, erlang:system_info(schedulers)),
    Place = #place{backoff = porthost_backoff:new(maps:get(backoff, Options, #{}))},
    {ok, #st{name = Name, host = maps:get(host, Options, ?DEFAULT_HOST), command = Command,
             path = maps:get(path, Options, none), options = maps:get(options, Options, []),
             registered = maps:get(registered, Options, false),
             places = maps:from_list([{Index, Place} || Index <- lists:seq(1, Size)])}}.

-spec begin_with(#st{}) -> no_return().
begin_with(#st{name = Name, places = Places} = St0) ->
    await_names(St0),
    case open_all(1, map_size(Places), St0) of
        {ok, St} ->
            publish(St),
            proc_lib:init_ack({ok, self()}),
            gen_server:enter_loop(?MODULE, [], St, {local, Name});
        {error, Why, St} ->
            end_ports(St),
            ets:delete(Name),
            unregister(Name),
            proc_lib:init_ack({error, {porthost, Why}}),
            exit(normal)
    end.

open_all(Index, Size, St) when Index > Size ->
    {ok, St};
open_all(Index, Size, St) ->
    case open(Index, St) of
        {ok, St1} -> open_all(Index + 1, Size, St1);
        {error, Why} -> {error, Why, St}
    end.

%% The ports of a pool of that name that was killed may have yet to learn of it.
await_names(#st{registered = false}) ->
    ok;
await_names(#st{places = Places} = St) ->
    Ports = [Port || Index <- maps:keys(Places), Port <- [whereis(port_name(Index, St))], porthost:is_port(Port)],
    await_end([monitor(process, Port) || Port <- Ports], ?ENDING_MS).

-spec handle_call(term(), {pid(), term()}, #st{}) -> {noreply, #st{}}.
handle_call(_, _From, St) ->
    {noreply, St}.

-spec handle_cast(term(), #st{}) -> {noreply, #st{}}.
handle_cast(_, St) ->
    {noreply, St}.

%% What else comes is what ports send to their owner.
-spec handle_info(term(), #st{}) -> {noreply, #st{}}.
handle_info({'EXIT', Port, Reason}, #st{ports = Ports} = St) when is_map_key(Port, Ports) ->
    {noreply, lost(Port, Reason, St)};
handle_info({open, Index}, St) ->
    {noreply, replace(Index, St)};
handle_info(_, St) ->
    {noreply, St}.

-spec terminate(term(), #st{}) -> ok.
terminate(_, St) ->
    end_ports(St).

%% Together, so that none waits for what another still does.
end_ports(#st{ports = Ports}) ->
    Refs = [monitor(process, Port) || Port <- maps:keys(Ports)],
    [exit(Port, shutdown) || Port <- maps:keys(Ports)],
    await_end(Refs, infinity).

await_end(Refs, Timeout) ->
    lists:foreach(fun(Ref) ->
                          receive {'DOWN', Ref, process, _, _} -> ok
                          after Timeout -> demonitor(Ref, [flush])
                          end
                  end, Refs).

%% A port that ends, and the one that takes its place.

lost(Port, Reason, #st{name = Table, ports = Ports, places = Places, lost = Lost} = St) ->
    {Index, Ports1} = maps:take(Port, Ports),
    #place{backoff = Backoff} = maps:get(Index, Places),
    {Lasted, Backoff1} = porthost_backoff:lost(Backoff),
    Without = St#st{ports = Ports1, places = Places#{Index := #place{backoff = Backoff1}}, lost = Lost + 1},
    St1 = trouble({ended, Reason}, Index, Without),
    ets:delete(Table, Port),
    case Lasted of
        true -> replace(Index, St1);
        false -> later(Index, St1)
    end.

replace(Index, St) ->
    case open(Index, St) of
        {ok, St1} -> well(publish(St1));
        {error, {open, {porthost, {no_host, _}}} = Why} -> at_min(Index, trouble(Why, Index, St));
        {error, Why} -> later(Index, trouble(Why, Index, St))
    end.

later(Index, #st{places = Places} = St) ->
    #place{backoff = Backoff} = Place = maps:get(Index, Places),
    {Ms, Backoff1} = porthost_backoff:next(Backoff),
    _ = erlang:send_after(Ms, self(), {open, Index}),
    St#st{places = Places#{Index := Place#place{backoff = Backoff1}}}.

%% To find that there is no host costs nobody anything.
at_min(Index, #st{places = Places} = St) ->
    #place{backoff = Backoff} = maps:get(Index, Places),
    _ = erlang:send_after(porthost_backoff:min_ms(Backoff), self(), {open, Index}),
    St.

open(Index, #st{host = Host, command = Command, options = Options} = St) ->
    case load(St) of
        {ok, St1} ->
            try porthost:open_port(Host, {spawn_driver, Command}, Options) of
                Port -> name(Port, Index, St1)
            catch
                error:Reason -> {error, {open, Reason}}
            end;
        {error, _} = Error ->
            Error
    end.

load(#st{path = none} = St) ->
    {ok, St};
load(#st{host = Host, path = Path, command = Command, loaded = Loaded} = St) ->
    case connection(Host) of
        none ->
            {error, {open, {porthost, {no_host, Host}}}};
        Loaded ->
            {ok, St};
        Connection ->
            [Driver | _] = string:split(Command, " "),
            try porthost_ddll:on(Host, load, [Path, Driver]) of
                ok -> {ok, St#st{loaded = Connection}};
                {error, Reason} -> {error, {load, Reason}}
            catch
                error:Reason -> {error, {load, Reason}}
            end
    end.

connection(Host) ->
    Pid = whereis(Host),
    case is_pid(Pid) andalso porthost_registry:lookup(Pid) of
        #host{slots = Slots} -> Slots;
        _ -> none
    end.

name(Port, Index, #st{registered = false} = St) ->
    {ok, take(Port, Index, St)};
name(Port, Index, St) ->
    Name = port_name(Index, St),
    try register(Name, Port) of
        true -> {ok, take(Port, Index, St)}
    catch
        error:badarg ->
            end_ports(St#st{ports = #{Port => Index}}),
            {error, case whereis(Name) of
                        undefined -> {open, badarg};    % it ended meanwhile
                        _ -> {registered, Name}
                    end}
    end.

port_name(Index, #st{name = Name}) ->
    list_to_atom(lists:concat([Name, "_", Index])).

take(Port, Index, #st{ports = Ports, places = Places} = St) ->
    #place{backoff = Backoff} = maps:get(Index, Places),
    Place = #place{port = Port, backoff = porthost_backoff:began(Backoff)},
    St#st{ports = Ports#{Port => Index}, places = Places#{Index := Place}}.

%% What others see.

%% Once for each kind of trouble, until all is well again.
trouble(Trouble, Index, #st{name = Name, troubles = Told} = St) ->
    lists:member(Trouble, Told) orelse
        ?LOG_WARNING("porthost: pool ~tp: port ~b is missing: ~tp", [Name, Index, Trouble]),
    publish(St#st{troubles = lists:sublist([Trouble | lists:delete(Trouble, Told)], ?TOLD)}).

well(#st{name = Name, ports = Ports, places = Places} = St) when map_size(Ports) =:= map_size(Places) ->
    ?LOG_NOTICE("porthost: pool ~tp: all ~b ports are open", [Name, map_size(Ports)]),
    publish(St#st{troubles = []});
well(St) ->
    St.

publish(#st{name = Table, places = Places} = St) ->
    Ports = [Port || {_, #place{port = Port}} <- lists:sort(maps:to_list(Places))],
    true = ets:insert(Table, [{info, information(Ports, St)} | rows(Ports)]),
    St.

information(Ports, #st{lost = Lost, troubles = Troubles}) ->
    #{size => length(Ports), ports => Ports, lost => Lost,
      trouble => case Troubles of [Trouble | _] -> Trouble; [] -> none end}.

%% Those of missing ports get the next; if there are no more behind it, from the first.
rows(Ports) ->
    Schedulers = erlang:system_info(schedulers),
    rows(1, Schedulers, Ports, Ports).

rows(Scheduler, Schedulers, _, _) when Scheduler > Schedulers ->
    [];
rows(Scheduler, Schedulers, [], All) ->
    rows(Scheduler, Schedulers, All, All);
rows(Scheduler, Schedulers, [_ | Rest] = Ports, All) ->
    Before = lists:sublist(All, length(All) - length(Ports)),
    Row = case [Port || Port <- Ports ++ Before, Port =/= none] of
              [First | Others] -> {Scheduler, First, Others};
              [] -> {Scheduler, none, []}
          end,
    [Row | rows(Scheduler + 1, Schedulers, Rest, All)].
