%% SPDX-License-Identifier: Apache-2.0
%% @doc A parse transform that makes a module use hosted ports.
%%
%% With `-compile({parse_transform, porthost_transform})' in a module,
%% <ul>
%% <li>the functions of module `erlang' that work on ports (`open_port/2', `port_command/2,3',
%%   `port_control/3', `port_call/2,3', `port_close/1', `port_connect/2', `port_info/1,2',
%%   `port_set_data/2', `port_get_data/1', `ports/0', `is_port/1', `send/2,3',
%%   `send_nosuspend/2,3') become those of module {@link porthost}, and those of `erl_ddll' those
%%   of {@link porthost_ddll}: in calls, with or without module name, imported or not, and in
%%   `fun Name/Arity' and `fun Module:Name/Arity';</li>
%% <li>`To ! Message' becomes `porthost:send(To, Message)';</li>
%% <li>`is_port(X)' in a guard becomes `is_port(X) orelse is_pid(X)'.</li>
%% </ul>
%% Functions of these names that the module defines or imports from elsewhere are left alone, and
%% so are calls whose module or function is known only when they are made.
-module(porthost_transform).

-export([parse_transform/2]).

-define(PORT_FUNCTIONS,
        [{open_port, 2}, {port_command, 2}, {port_command, 3}, {port_control, 3},
         {port_call, 2}, {port_call, 3}, {port_close, 1}, {port_connect, 2},
         {port_info, 1}, {port_info, 2}, {port_set_data, 2}, {port_get_data, 1},
         {ports, 0}, {is_port, 1}, {send, 2}, {send, 3},
         {send_nosuspend, 2}, {send_nosuspend, 3}]).

%% What names without a module mean: those the module defines, those it imports and where from.
-record(names, {defined :: #{{atom(), arity()} => []},
                imported :: #{{atom(), arity()} => module()}}).

%% @doc What the compiler calls.
-spec parse_transform([erl_parse:abstract_form()], [compile:option()]) ->
          [erl_parse:abstract_form()].
parse_transform(Forms, _Options) ->
    Names = names(Forms),
    [form(Form, Names) || Form <- Forms].

names(Forms) ->
    #names{defined = maps:from_list([{{F, A}, []} || {function, _, F, A, _} <- Forms]),
           imported = maps:from_list([{FA, M} || {attribute, _, import, {M, FAs}} <- Forms,
                                                 FA <- FAs])}.

form({function, Anno, Name, Arity, Clauses}, Names) ->
    {function, Anno, Name, Arity, body(Clauses, Names)};
form({attribute, Anno, record, {Name, Fields}}, Names) ->
    {attribute, Anno, record, {Name, [field(Field, Names) || Field <- Fields]}};
form(Form, _) ->
    Form.

%% Records may have expressions as default values.
field({typed_record_field, Field, Type}, Names) ->
    {typed_record_field, body(Field, Names), Type};
field(Field, Names) ->
    body(Field, Names).

%% Expressions outside guards. Patterns hold nothing that is changed, so they need no care.
body({clause, Anno, Patterns, Guards, Body}, Names) ->
    {clause, Anno, Patterns, guard(Guards, Names), body(Body, Names)};
body({call, Anno, Function, Args}, Names) ->
    {call, Anno, function(Function, length(Args), Names), body(Args, Names)};
body({op, Anno, '!', To, Message}, Names) ->
    {call, Anno, remote(Anno, porthost, send), [body(To, Names), body(Message, Names)]};
body({'fun', Anno, {clauses, Clauses}}, Names) ->
    {'fun', Anno, {clauses, body(Clauses, Names)}};
body({'fun', Anno, {function, Name, Arity}} = Fun, Names) ->
    case local(Name, Arity, Names) of
        none -> Fun;
        Module -> external_fun(Anno, Module, Name, Arity)
    end;
body({'fun', Anno, {function, {atom, _, M}, {atom, _, F}, {integer, _, A}}} = Fun, _) ->
    case target(M, F, A) of
        none -> Fun;
        Module -> external_fun(Anno, Module, F, A)
    end;
body(Term, Names) ->
    walk(Term, fun(Part) -> body(Part, Names) end).

guard({call, Anno, {atom, _, is_port}, [_] = Args} = Call, #names{defined = Defined}) ->
    case Defined of
        #{{is_port, 1} := []} -> Call;
        #{} -> port_or_pid(Anno, Args)
    end;
guard({call, Anno, {remote, _, {atom, _, erlang}, {atom, _, is_port}}, [_] = Args}, _) ->
    port_or_pid(Anno, Args);
guard(Term, Names) ->
    walk(Term, fun(Part) -> guard(Part, Names) end).

port_or_pid(Anno, Args) ->
    {op, Anno, 'orelse',
     {call, Anno, remote(Anno, erlang, is_port), Args},
     {call, Anno, remote(Anno, erlang, is_pid), Args}}.

%% The parts of an abstract form: what follows its kind and its place in the file.
walk(Terms, Fun) when is_list(Terms) ->
    lists:map(Fun, Terms);
walk(Term, Fun) when is_tuple(Term), tuple_size(Term) > 2 ->
    [Kind, Anno | Parts] = tuple_to_list(Term),
    list_to_tuple([Kind, Anno | lists:map(Fun, Parts)]);
walk(Term, _) ->
    Term.

%% The function of a call.
function({atom, Anno, Name} = Function, Arity, Names) ->
    case local(Name, Arity, Names) of
        none -> Function;
        Module -> remote(Anno, Module, Name)
    end;
function({remote, Anno, {atom, _, M}, {atom, _, F}} = Function, Arity, _) ->
    case target(M, F, Arity) of
        none -> Function;
        Module -> remote(Anno, Module, F)
    end;
function(Function, _, Names) ->
    body(Function, Names).

local(Name, Arity, #names{defined = Defined, imported = Imported}) ->
    FA = {Name, Arity},
    case {Defined, Imported} of
        {#{FA := []}, _} -> none;
        {_, #{FA := Module}} -> target(Module, Name, Arity);
        _ ->
            case erl_internal:bif(Name, Arity) of
                true -> target(erlang, Name, Arity);
                false -> none
            end
    end.

target(erlang, Name, Arity) ->
    case lists:member({Name, Arity}, ?PORT_FUNCTIONS) of
        true -> porthost;
        false -> none
    end;
target(erl_ddll, Name, Arity) when Name =/= module_info ->
    _ = code:ensure_loaded(porthost_ddll),
    case erlang:function_exported(porthost_ddll, Name, Arity) of
        true -> porthost_ddll;
        false -> none
    end;
target(_, _, _) ->
    none.

remote(Anno, Module, Function) ->
    {remote, Anno, {atom, Anno, Module}, {atom, Anno, Function}}.

external_fun(Anno, Module, Function, Arity) ->
    {'fun', Anno, {function, {atom, Anno, Module}, {atom, Anno, Function},
                   {integer, Anno, Arity}}}.
