%% SPDX-License-Identifier: Apache-2.0
%% The client's erl_ddll: what it asks the host, and what it makes of the answers.
-module(porthost_ddll_tests).

-include_lib("eunit/include/eunit.hrl").

%% Run Body with a host that gives Answer to every request for drivers.
answering(Answer, Body) ->
    porthost_fake:run(fun(Fake) ->
                              porthost_fake:script(Fake, fun(R) -> answer(R, Answer) end),
                              Body(Fake)
                      end).

answer(Request, Answer) ->
    Names = [load, unload, monitor_driver, demonitor_driver, driver_info, drivers, format_error],
    case lists:member(element(1, Request), Names) of
        true when is_function(Answer) -> Answer(Request);
        true -> {Kind, Value} = Answer, [{Kind, element(2, Request), Value}];
        false -> default
    end.

request(Fake) ->
    porthost_fake:await(Fake, fun(R) -> not lists:member(element(1, R), [hello, grant]) end).

every_function_of_erl_ddll_is_there_test() ->
    ?assertEqual([], erl_ddll:module_info(exports) -- porthost_ddll:module_info(exports)).

requests_carry_the_caller_and_a_reference_test() ->
    answering({ok, loaded}, fun(Fake) ->
        Me = self(),
        ?assertEqual({ok, loaded}, porthost_ddll:try_load("/dir", "drv", [{monitor, pending}])),
        {load, _, User, Ref, Path, Name, Options} = request(Fake),
        ?assertEqual({Me, "/dir", "drv", [{monitor, pending}]}, {User, Path, Name, Options}),
        ?assert(is_reference(Ref))
    end).

names_and_paths_keep_their_form_or_become_bytes_test_() ->
    [fun() ->
             answering({ok, loaded}, fun(Fake) ->
                 porthost_ddll:try_load(Path, Name, []),
                 {load, _, _, _, SentPath, SentName, []} = request(Fake),
                 ?assertEqual({Sent, Sent1}, {SentPath, SentName})
             end)
     end
     || {Path, Name, Sent, Sent1} <-
            [{"/dir", drv, "/dir", drv},
             {<<"/dir">>, <<"drv">>, <<"/dir">>, <<"drv">>},
             {["/d", [$i], "r"], ["d", <<"rv">>], <<"/dir">>, <<"drv">>},
             {[$/, 229, 1234], [229], <<$/, 195, 165, 211, 146>>, <<195, 165>>},
             {"", "", "", ""}]].

bad_arguments_are_badarg_and_not_sent_test_() ->
    [fun() ->
             answering({ok, true}, fun(Fake) ->
                 ?assertError(badarg, apply(porthost_ddll, Function, Args)),
                 ?assertMatch([{hello, 1, _}], porthost_fake:requests(Fake))
             end)
     end
     || {Function, Args} <-
            [{try_load, [foo, drv, []]}, {try_load, ["", 1, []]}, {try_load, ["", '', []]},
             {try_load, ["", [a], []]}, {try_load, ["", drv, foo]}, {try_load, ["", drv, [a | b]]},
             {try_unload, [1, []]}, {try_unload, [drv, foo]}, {unload, [1]}, {unload_driver, [1]},
             {load, [foo, drv]}, {load_driver, [foo, drv]}, {reload, [foo, drv]},
             {reload_driver, [foo, drv]}, {monitor, [foo, {drv, loaded}]},
             {monitor, [driver, {1, loaded}]}, {monitor, [driver, drv]},
             {monitor, [driver, {drv, 1}]}, {demonitor, [foo]}, {info, [1]}, {info, [1, permanent]},
             {info, [drv, 1]}]].

a_refusal_of_the_host_is_badarg_test_() ->
    [fun() ->
             answering({error, badarg},
                       fun(_) -> ?assertError(badarg, apply(porthost_ddll, Function, Args)) end)
     end
     || {Function, Args} <-
            [{try_load, ["", drv, [foo]]}, {try_unload, [drv, [foo]]}, {load, ["", drv]},
             {unload, [drv]}, {monitor, [driver, {drv, foo}]}, {demonitor, [make_ref()]},
             {info, [drv]}, {info, [drv, foo]}, {loaded_drivers, []}, {format_error, [foo]}]].

%% As in the VM it is the function that was called, with its arguments, which the report of a crash shows.
errors_are_raised_in_the_function_that_was_called_test() ->
    answering({error, badarg}, fun(_) ->
        [begin
             {'EXIT', {badarg, [{Module, F, A, _}, {?MODULE, _, _, _} | _]}} = (catch {ok, apply(porthost_ddll, Function, Args)}),
             ?assertEqual({porthost_ddll, Function, Args}, {Module, F, A})
         end
         || {Function, Args} <- [{info, [drv, foo]}, {info, [1]}, {monitor, [driver, {drv, foo}]}, {try_load, [1, drv, []]}, {load, ["", drv]},
                                 {on, [porthost, info, [drv, foo]]}]]
    end).

results_of_the_try_functions_test_() ->
    Ref = make_ref(),
    [fun() ->
             answering(Answer, fun(_) ->
                 ?assertEqual(Result, porthost_ddll:try_load("", drv, [])),
                 ?assertEqual(Result, porthost_ddll:try_unload(drv, []))
             end)
     end
     || {Answer, Result} <-
            [{{ok, loaded}, {ok, loaded}},
             {{ok, {pending_driver, Ref}}, {ok, pending_driver, Ref}},
             {{ok, {pending_process, Ref}}, {ok, pending_process, Ref}},
             {{ok, pending_driver}, {ok, pending_driver}},
             {{error, permanent}, {error, permanent}},
             {{error, {open_error, -10}}, {error, {open_error, -10}}}]].

load_and_unload_give_ok_or_the_reason_test_() ->
    [fun() ->
             answering(Answer, fun(_) ->
                 [?assertEqual({F, Result}, {F, apply(porthost_ddll, F, Args)})
                  || {F, Args} <- [{load, ["", drv]}, {load_driver, ["", drv]}, {reload, ["", drv]},
                                   {reload_driver, ["", drv]}]],
                 case Answer of
                     {error, inconsistent} -> ok;
                     _ -> [?assertEqual(Result, apply(porthost_ddll, F, [drv]))
                           || F <- [unload, unload_driver]]
                 end
             end)
     end
     || {Answer, Result} <- [{{ok, loaded}, ok}, {{ok, already_loaded}, ok},
                             {{ok, pending_process}, ok},
                             {{error, not_loaded}, {error, not_loaded}},
                             {{error, inconsistent}, {error, bad_driver_name}}]].

the_options_are_those_of_erl_ddll_test_() ->
    [fun() ->
             answering({ok, loaded}, fun(Fake) ->
                 ok = apply(porthost_ddll, Function, Args),
                 Request = request(Fake),
                 Sent = element(tuple_size(Request), Request),
                 ?assertEqual(lists:sort(Options), lists:sort(Sent))
             end)
     end
     || {Function, Args, Options} <-
            [{load, ["", drv], [{monitor, pending_driver}]},
             {load_driver, ["", drv], [{monitor, pending_driver}, {driver_options, [kill_ports]}]},
             {reload, ["", drv], [{monitor, pending_driver}, {reload, pending_driver}]},
             {reload_driver, ["", drv], [{monitor, pending_driver}, {reload, pending_driver},
                                         {driver_options, [kill_ports]}]},
             {unload, [drv], []},
             {unload_driver, [drv], [{monitor, pending_driver}, kill_ports]}]].

%% The host answers with a reference, and a message with it comes later.
later(Message) ->
    fun(Request) ->
            {Tag, User, Ref} = {element(2, Request), element(3, Request), element(4, Request)},
            [{ok, Tag, {pending_driver, Ref}},
             {send, User, {other, message}},
             {send, User, setelement(2, Message, Ref)}]
    end.

waiting_ends_with_the_message_of_the_host_test_() ->
    [fun() ->
             answering(later(Message), fun(_) ->
                 ?assertEqual(Result, apply(porthost_ddll, Function, Args)),
                 ?assertEqual({messages, [{other, message}]}, process_info(self(), messages))
             end)
     end
     || {Function, Args, Message, Result} <-
            [{load, ["", drv], {'UP', r, driver, drv, loaded}, ok},
             {load, ["", drv], {'UP', r, driver, drv, permanent}, {error, permanent}},
             {load, ["", drv], {'DOWN', r, driver, drv, load_cancelled}, {error, load_cancelled}},
             {reload, ["", drv], {'DOWN', r, driver, drv, {load_failure, bad_driver_name}},
              {error, bad_driver_name}},
             {unload_driver, [drv], {'DOWN', r, driver, drv, unloaded}, ok},
             {unload_driver, [drv], {'UP', r, driver, drv, unload_cancelled}, ok},
             {unload_driver, [drv], {'UP', r, driver, drv, permanent}, {error, permanent}}]].

waiting_ends_with_the_host_test() ->
    answering(fun({load, Tag, _, Ref, _, _, _}) ->
                      [{ok, Tag, {pending_driver, Ref}}, {goodbye, shutdown, <<>>}]
              end,
              fun(_) -> ?assertError(badarg, porthost_ddll:load("", drv)) end).

%% The process of the host lives on, and will have another connection.
waiting_ends_with_the_connection_of_a_host_that_connects_again_test_() ->
    [fun() ->
             Script = fun(R) -> answer(R, fun(Q) -> [{ok, element(2, Q), {pending_driver, element(4, Q)}}] end) end,
             Fake = porthost_fake:start(Script),
             {ok, Host} = porthost:start(#{transport => {unix, porthost_fake:path(Fake)}, reconnect => #{}}),
             {_, Ref} = spawn_monitor(fun() ->
                                              exit(try porthost_ddll:on(Host, Function, Args)
                                                   catch error:Why -> Why
                                                   end)
                                      end),
             request(Fake),
             porthost_fake:close(Fake),
             ?assertEqual(badarg, receive {'DOWN', Ref, _, _, Result} -> Result after 2000 -> nothing end),
             ok = porthost:stop(Host),
             unlink(Fake),
             porthost_fake:stop(Fake)
     end
     || {Function, Args} <- [{load, ["", drv]}, {load_driver, ["", drv]}, {reload, ["", drv]},
                             {reload_driver, ["", drv]}, {unload_driver, [drv]}]].

monitors_are_references_and_messages_come_test() ->
    answering(fun({monitor_driver, Tag, User, Ref, Name, loaded}) ->
                      [{ok, Tag, true}, {send, User, {'DOWN', Ref, driver, Name, unloaded}}];
                 ({demonitor_driver, Tag, _, _}) ->
                      [{ok, Tag, true}]
              end,
              fun(_) ->
                      Ref = porthost_ddll:monitor(driver, {"drv", loaded}),
                      ?assertEqual({'DOWN', Ref, driver, "drv", unloaded},
                                   receive M -> M after 1000 -> nothing end),
                      ?assertEqual(true, porthost_ddll:demonitor(Ref))
              end).

info_is_put_together_test() ->
    answering(fun({drivers, Tag}) -> [{ok, Tag, ["static", "drv", "gone"]}];
                 ({driver_info, Tag, "gone", _}) -> [{error, Tag, badarg}];
                 ({driver_info, Tag, Name, linked_in_driver}) -> [{ok, Tag, Name =:= "static"}];
                 ({driver_info, Tag, _, awaiting_load}) -> [{ok, Tag, [{self(), 1}, {self(), 1}]}];
                 ({driver_info, Tag, _, awaiting_unload}) -> [{ok, Tag, []}];
                 ({driver_info, Tag, _, Item}) -> [{ok, Tag, {Item}}]
              end,
              fun(_) ->
                      [{Host, 2}] = porthost_ddll:info("drv", awaiting_load),
                      Info = [{processes, {processes}}, {driver_options, {driver_options}},
                              {port_count, {port_count}}, {linked_in_driver, false},
                              {permanent, {permanent}}, {awaiting_load, [{Host, 2}]},
                              {awaiting_unload, []}],
                      ?assertEqual({ok, ["static", "drv", "gone"]}, porthost_ddll:loaded_drivers()),
                      ?assertEqual(Info, porthost_ddll:info("drv")),
                      ?assertEqual([{"drv", Info}], porthost_ddll:info()),
                      ?assertEqual({port_count}, porthost_ddll:info("drv", port_count))
              end).

texts_come_from_the_host_or_else_from_the_vm_test() ->
    answering(fun({format_error, Tag, {open_error, -10}}) -> [{ok, Tag, "no such file"}];
                 ({format_error, Tag, bad_driver_name}) -> [{ok, Tag, <<"bad name">>}];
                 ({format_error, Tag, _}) -> [{error, Tag, badarg}]
              end,
              fun(_) ->
                      ?assertEqual("no such file", porthost_ddll:format_error({open_error, -10})),
                      ?assertEqual("bad name", porthost_ddll:format_error(bad_driver_name)),
                      ?assertEqual(erl_ddll:format_error(permanent),
                                   porthost_ddll:format_error(permanent)),
                      ?assertEqual(erl_ddll:format_error(load_cancelled),
                                   porthost_ddll:format_error(load_cancelled)),
                      ?assertError(badarg, porthost_ddll:format_error(foo))
              end).

start_and_stop_do_nothing_test() ->
    ?assertEqual(erl_ddll:start(), porthost_ddll:start()),
    ?assertEqual(erl_ddll:stop(), porthost_ddll:stop()).

another_host_can_be_asked_test() ->
    answering({ok, loaded}, fun(_) ->
        Other = porthost_fake:start(),
        {ok, Host} = porthost:start(#{transport => {unix, porthost_fake:path(Other)}}),
        ?assertEqual(ok, porthost_ddll:on(Host, load_driver, ["/dir", drv])),
        ?assertMatch({load, _, _, _, "/dir", drv, _}, request(Other)),
        ?assertError(badarg, porthost_ddll:on(Host, no_such_function, [])),
        porthost:stop(Host)
    end).

without_a_host_it_fails_clearly_test() ->
    ?assertError({porthost, {no_host, porthost}}, porthost_ddll:load("", drv)).
