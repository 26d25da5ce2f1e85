%% SPDX-License-Identifier: Apache-2.0
%% @private
%% @doc The owner of the table of hosts and hosted ports.
%%
%% The table outlives the connections, so that whoever holds the pid of a port that is gone gets
%% the answer that a dead port gives. The process is started when the first host is, and belongs
%% to no application: ports must not fall because somebody's application is stopped.
-module(porthost_registry).
-behaviour(gen_server).

-export([watch/1, lookup/1, hosts/0]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2]).

-include("porthost.hrl").

%% @doc Have the table made if need be, and what belongs to a connection removed when it ends.
-spec watch(pid()) -> ok.
watch(Conn) ->
    case gen_server:start({local, ?MODULE}, ?MODULE, [], []) of
        {ok, _} -> ok;
        {error, {already_started, _}} -> ok
    end,
    gen_server:call(?MODULE, {watch, Conn}, infinity).

%% @doc The row of a port or a host.
-spec lookup(pid()) -> #port{} | #host{} | none.
lookup(Pid) ->
    try ets:lookup(?TABLE, Pid) of
        [Row] -> Row;
        [] -> none
    catch
        error:badarg -> none
    end.

-spec hosts() -> [#host{}].
hosts() ->
    try ets:match_object(?TABLE, #host{_ = '_'})
    catch error:badarg -> []
    end.

-spec init([]) -> {ok, #{}}.
init([]) ->
    group_leader(whereis(init), self()),
    ?TABLE = ets:new(?TABLE, [named_table, public, set, {keypos, #port.pid},
                              {read_concurrency, true}, {write_concurrency, true}]),
    {ok, #{}}.

-spec handle_call({watch, pid()}, {pid(), term()}, #{}) -> {reply, ok, #{}}.
handle_call({watch, Conn}, _From, State) ->
    _ = monitor(process, Conn),
    {reply, ok, State}.

-spec handle_cast(term(), #{}) -> {noreply, #{}}.
handle_cast(_, State) ->
    {noreply, State}.

-spec handle_info(term(), #{}) -> {noreply, #{}}.
handle_info({'DOWN', _, process, Conn, _}, State) ->
    true = ets:delete(?TABLE, Conn),
    true = ets:match_delete(?TABLE, #port{via = #via{conn = Conn, _ = '_'}, _ = '_'}),
    {noreply, State};
handle_info(_, State) ->
    {noreply, State}.
