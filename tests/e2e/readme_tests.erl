%% SPDX-License-Identifier: Apache-2.0
%% The session in plain Erlang that README.md shows, run as it stands there but for the paths, and its table of differences from the
%% VM. Run from the top directory;
%% PORTHOSTD is the daemon (default build/porthostd), its drivers are in the directory drivers beside it.
-module(readme_tests).
-include_lib("eunit/include/eunit.hrl").

-define(FIRST, <<"    Host = open_port(">>).
-define(LAST, <<"    port_close(Host).">>).

the_session_in_the_readme_works_test_() ->
    {timeout, 30, fun() ->
        Ports = erlang:ports(),
        ?assertEqual(true, vectors:eval(code("README.md"), #{})),
        ?assertEqual([], erlang:ports() -- Ports)
    end}.

the_protocol_text_has_the_same_session_test() ->
    ?assertEqual(session("README.md"), session("proto/PROTOCOL.md")).

%% What is shown is what a reader can do: the paths are those of the build.
the_session_is_for_the_top_directory_test() ->
    Text = iolist_to_binary(session("README.md")),
    [?assertMatch({_, _}, binary:match(Text, Path)) || Path <- [<<"\"build/porthostd --stdio\"">>, <<"\"build/drivers\"">>]].

%% All of them and no others, in the same words.
the_differences_in_the_readme_are_those_of_the_comparison_test() ->
    {ok, [Intended]} = file:consult("tests/parity/intended.eterm"),
    ?assertNotEqual([], Intended),
    ?assertEqual([iolist_to_binary(["| ", Case, " | ", Why, " |"]) || {Case, Why} <- Intended], rows(<<"| what the VM does | why porthost does not |">>)).

%% Of the table with that head.
rows(Head) ->
    {ok, Text} = file:read_file("README.md"),
    [_, Table] = binary:split(Text, [<<Head/binary, "\n|---|---|\n">>]),
    lists:takewhile(fun(L) -> starts_with(<<"|">>, L) end, binary:split(Table, <<"\n">>, [global])).

%% The lines from the first to the last of the block.
session(File) ->
    {ok, Text} = file:read_file(File),
    Lines = binary:split(Text, <<"\n">>, [global]),
    {_, [First | _] = Rest} = lists:splitwith(fun(L) -> not starts_with(?FIRST, L) end, Lines),
    ?assert(starts_with(?FIRST, First)),
    {Session, After} = lists:splitwith(fun(L) -> L =/= ?LAST end, Rest),
    ?assertMatch([?LAST | _], After),
    [[L, "\n"] || L <- Session ++ [?LAST]].

starts_with(Prefix, Line) ->
    binary:longest_common_prefix([Prefix, Line]) =:= byte_size(Prefix).

%% For vectors:eval/2, which puts the full stop.
code(File) ->
    Text = unicode:characters_to_list(session(File)),
    Here = replace(replace(Text, "build/porthostd", program()), "build/drivers", drivers()),
    string:trim(Here, trailing, ".\n").

replace(Text, What, With) ->
    lists:flatten(string:replace(Text, What, With, all)).

program() ->
    os:getenv("PORTHOSTD", "build/porthostd").

drivers() ->
    filename:join(filename:dirname(program()), "drivers").
