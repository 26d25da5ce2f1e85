%% SPDX-License-Identifier: Apache-2.0
%% The port functions of the backend under test: module erlang and erl_ddll of the VM itself, or porthost and porthost_ddll, which
%% have the same names, arguments, results and exceptions. A case calls ports through this module only.
-module(parity_port).

-export([use/1, backend/0]).
-export([open_port/2, port_command/2, port_command/3, port_control/3, port_call/2, port_call/3, port_close/1, port_connect/2,
         port_info/1, port_info/2, send/3, send_nosuspend/2, port_set_data/2, port_get_data/1, ports/0, monitor_port/1, ddll/2]).

-type backend() :: vm | porthost.
-export_type([backend/0]).

-spec use(backend()) -> ok.
use(Backend) ->
    persistent_term:put(?MODULE, Backend).

-spec backend() -> backend().
backend() ->
    persistent_term:get(?MODULE).

port_module() ->
    case backend() of
        vm -> erlang;
        porthost -> porthost
    end.

open_port(Name, Options) -> (port_module()):open_port(Name, Options).
port_command(Port, Data) -> (port_module()):port_command(Port, Data).
port_command(Port, Data, Options) -> (port_module()):port_command(Port, Data, Options).
port_control(Port, Op, Data) -> (port_module()):port_control(Port, Op, Data).
port_call(Port, Term) -> (port_module()):port_call(Port, Term).
port_call(Port, Op, Term) -> (port_module()):port_call(Port, Op, Term).
port_close(Port) -> (port_module()):port_close(Port).
port_connect(Port, Pid) -> (port_module()):port_connect(Port, Pid).
port_info(Port) -> (port_module()):port_info(Port).
port_info(Port, Item) -> (port_module()):port_info(Port, Item).
send(Port, Message, Options) -> (port_module()):send(Port, Message, Options).
send_nosuspend(Port, Message) -> (port_module()):send_nosuspend(Port, Message).
port_set_data(Port, Term) -> (port_module()):port_set_data(Port, Term).
port_get_data(Port) -> (port_module()):port_get_data(Port).
ports() -> (port_module()):ports().

%% A hosted port is a process.
monitor_port(Port) ->
    case backend() of
        vm -> erlang:monitor(port, Port);
        porthost -> erlang:monitor(process, Port)
    end.

ddll(Function, Args) ->
    Module = case backend() of
                 vm -> erl_ddll;
                 porthost -> porthost_ddll
             end,
    apply(Module, Function, Args).
