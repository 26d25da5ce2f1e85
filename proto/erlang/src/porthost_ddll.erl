%% SPDX-License-Identifier: Apache-2.0
%% @doc Loading drivers into a host: `erl_ddll', name by name.
%%
%% The functions take the arguments and give the results of those of module `erl_ddll', for the
%% drivers of the default host. {@link on/3} is for other hosts. A path is one that the host can
%% see; the empty path is its driver path.
%%
%% The user of a driver, in the sense of `erl_ddll', is the calling process.
-module(porthost_ddll).

-export([on/3]).
-export([try_load/3, try_unload/2, load/2, load_driver/2, unload/1, unload_driver/1,
         reload/2, reload_driver/2, monitor/2, demonitor/1, loaded_drivers/0,
         info/0, info/1, info/2, format_error/1, format_error_int/1, start/0, stop/0]).

-compile({no_auto_import, [monitor/2, demonitor/1]}).

-include("porthost.hrl").

-export_type([path/0, driver/0, result/0]).

-type path() :: string() | binary().
-type driver() :: iodata() | atom().
-type result() :: {ok, loaded | already_loaded | unloaded | pending_driver | pending_process}
                | {ok, pending_driver | pending_process, reference()}
                | {error, term()}.

-define(DEFAULT_HOST, porthost).
-define(INFO, [processes, driver_options, port_count, linked_in_driver, permanent,
               awaiting_load, awaiting_unload]).

%% @doc One of the functions of this module, by name and arguments, on a given host.
-spec on(porthost:host(), Function :: atom(), Arguments :: [term()]) -> term().
on(Host, Function, Args) ->
    in_call(on, [Host, Function, Args], fun() -> on_host(Host, Function, Args) end).

%% @doc `erl_ddll:try_load/3'.
-spec try_load(path(), driver(), [term()]) -> result().
try_load(Path, Driver, Options) -> default(try_load, [Path, Driver, Options]).

%% @doc `erl_ddll:try_unload/2'.
-spec try_unload(driver(), [term()]) -> result().
try_unload(Driver, Options) -> default(try_unload, [Driver, Options]).

%% @doc `erl_ddll:load/2'.
-spec load(path(), driver()) -> ok | {error, term()}.
load(Path, Driver) -> default(load, [Path, Driver]).

%% @doc `erl_ddll:load_driver/2'.
-spec load_driver(path(), driver()) -> ok | {error, term()}.
load_driver(Path, Driver) -> default(load_driver, [Path, Driver]).

%% @doc `erl_ddll:unload/1'.
-spec unload(driver()) -> ok | {error, term()}.
unload(Driver) -> default(unload, [Driver]).

%% @doc `erl_ddll:unload_driver/1'.
-spec unload_driver(driver()) -> ok | {error, term()}.
unload_driver(Driver) -> default(unload_driver, [Driver]).

%% @doc `erl_ddll:reload/2'.
-spec reload(path(), driver()) -> ok | {error, term()}.
reload(Path, Driver) -> default(reload, [Path, Driver]).

%% @doc `erl_ddll:reload_driver/2'.
-spec reload_driver(path(), driver()) -> ok | {error, term()}.
reload_driver(Path, Driver) -> default(reload_driver, [Path, Driver]).

%% @doc `erl_ddll:monitor/2'.
-spec monitor(driver, {driver(), loaded | unloaded | unloaded_only}) -> reference().
monitor(Tag, Item) -> default(monitor, [Tag, Item]).

%% @doc `erl_ddll:demonitor/1'.
-spec demonitor(reference()) -> true.
demonitor(Ref) -> default(demonitor, [Ref]).

%% @doc `erl_ddll:loaded_drivers/0'.
-spec loaded_drivers() -> {ok, [string()]}.
loaded_drivers() -> default(loaded_drivers, []).

%% @doc `erl_ddll:info/0'.
-spec info() -> [{string(), [{atom(), term()}]}].
info() -> default(info, []).

%% @doc `erl_ddll:info/1'.
-spec info(driver()) -> [{atom(), term()}].
info(Driver) -> default(info, [Driver]).

%% @doc `erl_ddll:info/2'.
-spec info(driver(), atom()) -> term().
info(Driver, Item) -> default(info, [Driver, Item]).

%% @doc `erl_ddll:format_error/1'. Numbers of `open_error' are those of the host.
-spec format_error(term()) -> string().
format_error(Code) -> default(format_error, [Code]).

%% @doc The same.
-spec format_error_int(term()) -> string().
format_error_int(Code) -> default(format_error_int, [Code]).

%% @doc `erl_ddll:start/0'.
-spec start() -> {error, {already_started, undefined}}.
start() -> default(start, []).

%% @doc `erl_ddll:stop/0'.
-spec stop() -> ok.
stop() -> default(stop, []).

default(Function, Args) ->
    in_call(Function, Args, fun() -> on_host(?DEFAULT_HOST, Function, Args) end).

%% Errors are raised as if in the function that the user has called.
in_call(Function, Args, Fun) ->
    try Fun()
    catch
        error:Reason when Reason =:= badarg; Reason =:= system_limit; element(1, Reason) =:= porthost ->
            {current_stacktrace, Stack} = process_info(self(), current_stacktrace),
            Callers = lists:dropwhile(fun(Frame) -> lists:member(element(1, Frame), [erlang, ?MODULE]) end,
                                      Stack),
            erlang:raise(error, Reason, [{?MODULE, Function, Args, []} | Callers])
    end.

%% By name and arguments.

on_host(Host, try_load, [Path, Driver, Options]) ->
    Ref = make_ref(),
    outcome(request(Host, {load, tag, self(), Ref, path(Path), name(Driver), list(Options)}));
on_host(Host, try_unload, [Driver, Options]) ->
    outcome(request(Host, {unload, tag, self(), make_ref(), name(Driver), list(Options)}));
on_host(Host, load, [Path, Driver]) ->
    load_and_wait(Host, Path, Driver, []);
on_host(Host, load_driver, [Path, Driver]) ->
    load_and_wait(Host, Path, Driver, [{driver_options, [kill_ports]}]);
on_host(Host, reload, [Path, Driver]) ->
    load_and_wait(Host, Path, Driver, [{reload, pending_driver}]);
on_host(Host, reload_driver, [Path, Driver]) ->
    load_and_wait(Host, Path, Driver,
                  [{reload, pending_driver}, {driver_options, [kill_ports]}]);
on_host(Host, unload, [Driver]) ->
    unload_and_wait(Host, Driver, []);
on_host(Host, unload_driver, [Driver]) ->
    unload_and_wait(Host, Driver, [{monitor, pending_driver}, kill_ports]);
on_host(Host, monitor, [driver, {Driver, When}]) when is_atom(When) ->
    Ref = make_ref(),
    true = value(request(Host, {monitor_driver, tag, self(), Ref, name(Driver), When})),
    Ref;
on_host(Host, demonitor, [Ref]) when is_reference(Ref) ->
    value(request(Host, {demonitor_driver, tag, self(), Ref}));
on_host(Host, loaded_drivers, []) ->
    {ok, value(request(Host, {drivers, tag}))};
on_host(Host, info, []) ->
    {ok, Drivers} = on_host(Host, loaded_drivers, []),
    [{Driver, Info} || Driver <- Drivers, Info <- info_unless_gone(Host, Driver),
                       not lists:member({linked_in_driver, true}, Info)];
on_host(Host, info, [Driver]) ->
    [{Item, on_host(Host, info, [Driver, Item])} || Item <- ?INFO];
on_host(Host, info, [Driver, Item]) when is_atom(Item) ->
    item(Item, value(request(Host, {driver_info, tag, name(Driver), Item})));
on_host(Host, format_error, [Code]) ->
    error_text(Host, Code);
on_host(Host, format_error_int, [Code]) ->
    error_text(Host, Code);
on_host(_, start, []) ->
    {error, {already_started, undefined}};
on_host(_, stop, []) ->
    ok;
on_host(_, _, _) ->
    error(badarg).

%% The functions that wait.

load_and_wait(Host, Path, Driver, Options) ->
    #host{conn = Conn, via = #via{writer = Life}} = host(Host),
    case on_host(Conn, try_load, [Path, Driver, [{monitor, pending_driver} | Options]]) of
        {error, inconsistent} -> {error, bad_driver_name};
        {error, Reason} -> {error, Reason};
        {ok, pending_driver, Ref} -> wait(Life, Ref);
        {ok, _} -> ok
    end.

unload_and_wait(Host, Driver, Options) ->
    #host{conn = Conn, via = #via{writer = Life}} = host(Host),
    case on_host(Conn, try_unload, [Driver, Options]) of
        {error, Reason} -> {error, Reason};
        {ok, pending_driver, Ref} -> wait(Life, Ref);
        {ok, _} -> ok
    end.

%% Life ends with the connection, which the process of the host may outlive.
wait(Life, Ref) ->
    Monitor = erlang:monitor(process, Life),
    Result = receive
                 {'UP', Ref, driver, _, permanent} -> {error, permanent};
                 {'UP', Ref, driver, _, _} -> ok;
                 {'DOWN', Ref, driver, _, unloaded} -> ok;
                 {'DOWN', Ref, driver, _, {load_failure, Reason}} -> {error, Reason};
                 {'DOWN', Ref, driver, _, Reason} -> {error, Reason};
                 {'DOWN', Monitor, process, _, _} -> error(badarg)
             end,
    erlang:demonitor(Monitor, [flush]),
    Result.

%% Asking the host.

request(Host, Request) ->
    #host{via = Via} = host(Host),
    porthost_wire:request(Via, Request).

host(Host) ->
    Pid = if is_atom(Host) -> whereis(Host); true -> Host end,
    case is_pid(Pid) andalso porthost_registry:lookup(Pid) of
        #host{} = Row -> Row;
        _ -> error({porthost, {no_host, Host}})
    end.

outcome({ok, {Pending, Ref}}) -> {ok, Pending, Ref};
outcome({ok, What}) -> {ok, What};
outcome({error, system_limit}) -> error(system_limit);
outcome({error, {bad_request, _, _}}) -> error(badarg);
outcome({error, Reason}) when Reason =/= badarg -> {error, Reason};
outcome(_) -> error(badarg).

value({ok, Value}) -> Value;
value({error, system_limit}) -> error(system_limit);
value(_) -> error(badarg).

%% The host tells of each that waits, the VM of how often each process does.
item(Item, Waits) when Item =:= awaiting_load; Item =:= awaiting_unload ->
    maps:to_list(lists:foldl(fun({Pid, N}, Sums) -> maps:update_with(Pid, fun(Sum) -> Sum + N end, N, Sums) end, #{}, Waits));
item(_, Value) ->
    Value.

info_unless_gone(Host, Driver) ->
    try [on_host(Host, info, [Driver])]
    catch error:badarg -> []
    end.

%% What the host has no text for the VM may have.
error_text(_, load_cancelled) ->
    erl_ddll:format_error(load_cancelled);
error_text(Host, Code) ->
    case request(Host, {format_error, tag, Code}) of
        {ok, Text} when is_binary(Text) -> binary_to_list(Text);
        {ok, Text} -> Text;
        _ -> erl_ddll:format_error(Code)
    end.

%% Names and paths go as they are, since monitors repeat a name as it was given; what is no plain
%% string goes as the bytes that the VM would make of it.
name(Name) when is_atom(Name), Name =/= '' -> Name;
name(Name) when is_list(Name); is_binary(Name) -> text(Name);
name(_) -> error(badarg).

path(Path) when is_list(Path); is_binary(Path) -> text(Path);
path(_) -> error(badarg).

text(Text) when is_binary(Text) ->
    Text;
text(Text) ->
    try iolist_size(Text), lists:all(fun(C) -> is_integer(C) andalso C < 128 end, Text) of
        true -> Text;
        false -> encoded(Text)
    catch
        error:_ -> encoded(Text)
    end.

encoded(Text) ->
    case unicode:characters_to_binary(Text, unicode, file:native_name_encoding()) of
        Bytes when is_binary(Bytes) -> Bytes;
        _ -> error(badarg)
    end.

list(Options) ->
    try length(Options) of _ -> Options
    catch error:badarg -> error(badarg)
    end.
