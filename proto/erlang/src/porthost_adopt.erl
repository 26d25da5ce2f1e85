%% SPDX-License-Identifier: Apache-2.0
%% @doc Moving an already compiled module out of the VM, as far as its ports go.
%%
%% The module's code, as its debug_info has it, goes through {@link porthost_transform}, is
%% compiled and loaded in place of the original. The file on disk stays as it is.
-module(porthost_adopt).

-export([adopt/1]).

-export_type([reason/0]).

-type reason() :: not_found             % no such module in the code path
                | no_debug_info         % compiled without, or encrypted
                | no_compiler           % application compiler is not there
                | old_code_in_use       % a process runs code older than the loaded one
                | {compile, term()}
                | {load, term()}.

%% Options that change what code means. All others of the module's are about how it was built.
-define(KEPT, [export_all, inline, inline_list_funcs, inline_size, no_auto_import, tuple_calls]).

%% @doc Load the module anew so that it uses hosted ports.
-spec adopt(module()) -> ok | {error, reason()}.
adopt(Module) when is_atom(Module) ->
    case code:ensure_loaded(compile) of
        {module, compile} -> adopt_object(Module, code:get_object_code(Module));
        {error, _} -> {error, no_compiler}
    end.

adopt_object(_, error) ->
    {error, not_found};
adopt_object(Module, {Module, Beam, File}) ->
    case forms(Beam) of
        {ok, Forms} ->
            Changed = porthost_transform:parse_transform(Forms, []),
            case compile:forms(Changed, [binary, return_errors, debug_info | options(Beam)]) of
                {ok, Module, Code} -> load(Module, File, Code);
                {error, Errors, _} -> {error, {compile, Errors}}
            end;
        error ->
            {error, no_debug_info}
    end.

forms(Beam) ->
    case beam_lib:chunks(Beam, [abstract_code]) of
        {ok, {_, [{abstract_code, {raw_abstract_v1, Forms}}]}} ->
            {ok, [without_transforms(Form) || Form <- Forms]};
        _ ->
            error
    end.

%% The transforms of the module's own have been applied, and what compiled then must compile now.
without_transforms({attribute, Anno, compile, Options}) when is_list(Options) ->
    {attribute, Anno, compile, [Option || Option <- Options, not dropped(Option)]};
without_transforms({attribute, Anno, compile, Option} = Form) ->
    case dropped(Option) of
        true -> {attribute, Anno, compile, []};
        false -> Form
    end;
without_transforms(Form) ->
    Form.

dropped({parse_transform, _}) -> true;
dropped(warnings_as_errors) -> true;
dropped(_) -> false.

options(Beam) ->
    {ok, {_, [{compile_info, Info}]}} = beam_lib:chunks(Beam, [compile_info]),
    [Option || Option <- proplists:get_value(options, Info, []), kept(Option)].

kept(Option) when is_tuple(Option), tuple_size(Option) > 0 -> kept(element(1, Option));
kept(Option) -> lists:member(Option, ?KEPT).

%% The code that is current becomes old, so nothing may run what is old now: it would be killed.
load(Module, File, Code) ->
    case code:soft_purge(Module) of
        true ->
            Loaded = unstuck(Module, File, fun() -> code:load_binary(Module, File, Code) end),
            case Loaded of
                {module, Module} -> ok;
                {error, Why} -> {error, {load, Why}}
            end;
        false ->
            {error, old_code_in_use}
    end.

unstuck(Module, File, Load) ->
    case code:is_sticky(Module) of
        true ->
            Dir = filename:dirname(File),
            ok = code:unstick_dir(Dir),
            try Load()
            after code:stick_dir(Dir)
            end;
        false ->
            Load()
    end.
