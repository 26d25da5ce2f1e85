%% SPDX-License-Identifier: Apache-2.0
%% Adopting compiled modules.
-module(porthost_adopt_tests).

-include_lib("eunit/include/eunit.hrl").

-define(MODULE_NAME, porthost_adopted).

%% Compile a module into a directory in the code path, and load it.
with_module(Lines, Options, Test) ->
    Name = lists:concat(["adopt-", os:getpid(), "-", erlang:unique_integer([positive])]),
    Dir = filename:join(os:getenv("TMPDIR", "/tmp"), Name),
    ok = file:make_dir(Dir),
    Source = filename:join(Dir, ?MODULE_NAME) ++ ".erl",
    ok = file:write_file(Source, ["-module(", atom_to_list(?MODULE_NAME), ").\n",
                                  [[Line, "\n"] || Line <- Lines]]),
    {ok, ?MODULE_NAME} = compile:file(Source, [{outdir, Dir} | Options]),
    true = code:add_patha(Dir),
    code:purge(?MODULE_NAME),
    {module, _} = code:load_file(?MODULE_NAME),
    try Test(Dir)
    after
        code:unstick_dir(Dir),
        code:purge(?MODULE_NAME),
        code:delete(?MODULE_NAME),
        code:purge(?MODULE_NAME),
        code:del_path(Dir),
        file:del_dir_r(Dir)
    end.

kind(Term) ->
    apply(?MODULE_NAME, kind, [Term]).

source() ->
    ["-export([kind/1]).", "kind(X) when is_port(X) -> port;", "kind(_) -> other."].

an_adopted_module_is_changed_and_loaded_test() ->
    with_module(source(), [debug_info], fun(Dir) ->
        ?assertEqual(other, kind(self())),
        ?assertEqual(ok, porthost:adopt(?MODULE_NAME)),
        ?assertEqual(port, kind(self())),
        ?assertEqual(filename:join(Dir, ?MODULE_NAME) ++ ".beam", code:which(?MODULE_NAME))
    end).

adopting_twice_is_adopting_once_test() ->
    with_module(source(), [debug_info], fun(_) ->
        ?assertEqual(ok, porthost:adopt(?MODULE_NAME)),
        ?assertEqual(ok, porthost:adopt(?MODULE_NAME)),
        ?assertEqual(ok, porthost:adopt(?MODULE_NAME)),
        ?assertEqual(port, kind(self()))
    end).

a_module_that_is_not_loaded_yet_is_loaded_test() ->
    with_module(source(), [debug_info], fun(_) ->
        code:delete(?MODULE_NAME),
        code:purge(?MODULE_NAME),
        ?assertEqual(ok, porthost:adopt(?MODULE_NAME)),
        ?assertEqual(port, kind(self()))
    end).

a_sticky_directory_stays_sticky_test() ->
    with_module(source(), [debug_info], fun(Dir) ->
        ok = code:stick_dir(Dir),
        code:purge(?MODULE_NAME),
        code:delete(?MODULE_NAME),
        code:purge(?MODULE_NAME),
        {module, _} = code:load_file(?MODULE_NAME),
        ?assert(code:is_sticky(?MODULE_NAME)),
        ?assertEqual(ok, porthost:adopt(?MODULE_NAME)),
        ?assertEqual(port, kind(self())),
        ?assert(code:is_sticky(?MODULE_NAME))
    end).

options_that_change_the_meaning_are_kept_test() ->
    with_module(["kind(X) when is_port(X) -> port;", "kind(_) -> other."],
                [debug_info, export_all, nowarn_export_all], fun(_) ->
        ?assertEqual(ok, porthost:adopt(?MODULE_NAME)),
        ?assertEqual(port, kind(self()))
    end).

transforms_of_the_module_are_not_applied_again_test() ->
    Attribute = "-compile([{parse_transform, porthost_transform}, warnings_as_errors]).",
    with_module([Attribute | source()], [debug_info], fun(_) ->
        ?assertEqual(ok, porthost:adopt(?MODULE_NAME)),
        ?assertEqual(port, kind(self()))
    end).

a_module_without_debug_info_is_refused_test() ->
    with_module(source(), [], fun(_) ->
        ?assertEqual({error, no_debug_info}, porthost:adopt(?MODULE_NAME)),
        ?assertEqual(other, kind(self()))
    end).

an_encrypted_module_is_refused_test() ->
    with_module(source(), [{debug_info_key, "secret"}], fun(_) ->
        ?assertEqual({error, no_debug_info}, porthost:adopt(?MODULE_NAME))
    end).

a_module_that_is_nowhere_is_not_found_test() ->
    ?assertEqual({error, not_found}, porthost:adopt(no_such_module_anywhere)),
    ?assertError(_, porthost:adopt("not an atom")).

code_that_is_run_is_not_purged_test() ->
    Source = ["-export([kind/1, wait/0])." | tl(source())] ++ ["wait() -> receive stop -> ok end."],
    with_module(Source, [debug_info], fun(_) ->
        Pid = spawn(?MODULE_NAME, wait, []),
        ?assertEqual(ok, porthost:adopt(?MODULE_NAME)),
        ?assertEqual({error, old_code_in_use}, porthost:adopt(?MODULE_NAME)),
        ?assert(is_process_alive(Pid)),
        Pid ! stop,
        porthost_fake:until(fun() -> not is_process_alive(Pid) end),
        ?assertEqual(ok, porthost:adopt(?MODULE_NAME))
    end).

libraries_of_the_distribution_can_be_adopted_test_() ->
    [{atom_to_list(Module),
      fun() ->
              case code:which(Module) of
                  non_existing -> ok;
                  _ -> ?assertEqual(ok, porthost:adopt(Module)), restore(Module)
              end
      end}
     || Module <- [sqlite3, megaco_flex_scanner, megaco_flex_scanner_handler]].

restore(Module) ->
    code:purge(Module),
    {module, Module} = code:load_file(Module),
    code:purge(Module).
