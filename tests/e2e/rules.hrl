%% SPDX-License-Identifier: Apache-2.0
%% What tests of hosted drivers begin with: see rules.erl.
-include_lib("eunit/include/eunit.hrl").
-import(rules, [connect/2, driver_dir/1, until/1, next/0, load/1, open/1, do/2, on/3, raw/2, asked/2, event/2]).

%% A test: its own daemon as a child, the default host, perhaps with options; or a daemon with a unix socket and nobody connected yet.
-define(HOSTED(Body), ?HOSTED("", Body)).
-define(HOSTED(Options, Body), rules:tested(fun() -> rules:hosted(Options, fun() -> Body end) end)).
-define(SERVED(Daemon, Body), rules:tested(fun() -> rules:served(fun(Daemon) -> Body end) end)).
