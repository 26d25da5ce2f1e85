%% SPDX-License-Identifier: Apache-2.0
%% The golden vectors of proto/vectors: reading them, and making their bytes from their terms. Used by scripts/vectors,
%% which writes and checks the files, and by vectors_tests, which sends the frames to the daemon.
%%
%% A file is a sequence of entries with an empty line between two; a line that begins with # is a comment. An entry is
%% lines "key: value"; a line that begins with a space continues the value before it. The keys:
%%   name    what the frame is; unique in all files
%%   needs   what must have been sent before: nothing | challenge | hello (default) | driver | port
%%   term    the term in Erlang syntax, with the variables of bindings/0
%%   hex     the bytes: length, then the term; "N * bytes" means these bytes N times
%%   end     yes: the stream ends after these bytes
%%   fault   the reason (PROTOCOL.md, Errors) for which the frame is refused; a frame without one is valid
%%   answer  a pattern in Erlang syntax; may be given several times: frames that must come, in this order
-module(vectors).
-export([read/1, read_all/1, frame/1, eval/1, eval/2, matches/2, rewrite/1]).

%% All entries of a directory: maps from key (atom) to text, but answer to a list of texts and hex to a binary.
read_all(Dir) ->
    lists:append([read(F) || F <- lists:sort(filelib:wildcard(filename:join(Dir, "*.txt")))]).

read(File) ->
    {ok, Bin} = file:read_file(File),
    Entries = [entry(File, Pairs) || B <- blocks(Bin), (Pairs = pairs(B)) =/= []],
    Entries.

blocks(Bin) ->
    re:split(Bin, "\n\\s*\n", [{return, list}]).

pairs(Block) ->
    lists:foldr(fun add_line/2, [], joined(lines(Block))).

lines(Block) ->
    [L || L <- string:split(Block, "\n", all), L =/= "", hd(L) =/= $#].

%% Continuation lines stay separate with a newline between: hex is read by the line.
joined(Lines) ->
    lists:reverse(lists:foldl(fun([$\s | _] = More, [L | Ls]) -> [L ++ "\n" ++ string:trim(More) | Ls];
                                 (L, Ls) -> [L | Ls]
                              end, [], Lines)).

add_line(Line, Pairs) ->
    [Key, Value] = string:split(Line, ":"),
    [{key(Key), string:trim(Value)} | Pairs].

key(Key) ->
    maps:get(Key, maps:from_list([{atom_to_list(K), K} || K <- [name, needs, term, hex, 'end', fault, answer]])).

entry(File, Pairs) ->
    Answers = [V || {answer, V} <- Pairs],
    Entry = maps:from_list([P || {K, _} = P <- Pairs, K =/= answer]),
    Entry#{file => filename:basename(File), answer => Answers, needs => maps:get(needs, Entry, "hello"),
           hex => bytes(maps:get(hex, Entry, ""))}.

bytes(Text) ->
    iolist_to_binary([hex_line(string:lexemes(L, " ")) || L <- string:split(Text, "\n", all)]).

hex_line([N, "*" | Bytes]) ->
    lists:duplicate(list_to_integer(N), hex_line(Bytes));
hex_line(Bytes) ->
    [list_to_integer(B, 16) || [_, _] = B <- Bytes].

%% Identifiers of a node that is not running, so that their bytes are the same everywhere.
bindings() ->
    Node = <<119, 11, "client@host">>,
    Pid = fun(Id) -> binary_to_term(<<131, 88, Node/binary, Id:32, 0:32, 1:32>>) end,
    #{'Owner' => Pid(100), 'Caller' => Pid(101), 'Other' => Pid(102), 'Port' => Pid(103),
      'Ref' => binary_to_term(<<131, 90, 3:16, Node/binary, 1:32, 1:32, 2:32, 3:32>>)}.

eval(Text) ->
    eval(Text, bindings()).

eval(Text, Bindings) ->
    {ok, Tokens, _} = erl_scan:string(Text ++ "."),
    {ok, Exprs} = erl_parse:parse_exprs(Tokens),
    {value, Value, _} = erl_eval:exprs(Exprs, maps:to_list(Bindings)),
    Value.

matches(Pattern, Term) ->
    eval("case Received_ of " ++ Pattern ++ " -> true; _ -> false end", (bindings())#{'Received_' => Term}).

frame(TermText) ->
    Bin = term_to_binary(eval(TermText), [{minor_version, 2}, deterministic]),
    <<(byte_size(Bin)):32, Bin/binary>>.

%% The text of a file with the hex of all entries that have a term made anew.
rewrite(File) ->
    {ok, Bin} = file:read_file(File),
    Blocks = [rewrite_block(string:trim(B, trailing)) || B <- blocks(Bin)],
    iolist_to_binary([lists:join("\n\n", Blocks), "\n"]).

rewrite_block(Block) ->
    case lists:keyfind(term, 1, pairs(Block)) of
        false -> Block;
        {term, Text} -> insert_hex(string:split(Block, "\n", all), hex_text(frame(Text)))
    end.

insert_hex(Lines, Hex) ->
    {Before, Rest} = lists:splitwith(fun(L) -> not lists:prefix("term:", L) end, drop_hex(Lines)),
    {More, After} = lists:splitwith(fun continues/1, tl(Rest)),
    lists:join("\n", Before ++ [hd(Rest) | More] ++ Hex ++ After).

drop_hex(Lines) ->
    case lists:splitwith(fun(L) -> not lists:prefix("hex:", L) end, Lines) of
        {All, []} -> All;
        {Before, [_ | Rest]} -> Before ++ lists:dropwhile(fun continues/1, Rest)
    end.

continues([$\s | _]) -> true;
continues(_) -> false.

hex_text(<<Length:4/binary, Term/binary>>) ->
    ["hex: " ++ hex(Length) | ["     " ++ L || L <- repeats([hex(R) || R <- rows(Term)])]].

rows(<<Row:16/binary, More/binary>>) when More =/= <<>> -> [Row | rows(More)];
rows(Row) -> [Row].

hex(Bin) ->
    lists:flatten(lists:join($\s, [io_lib:format("~2.16.0b", [B]) || <<B>> <= Bin])).

repeats([]) ->
    [];
repeats([Row | Rows]) ->
    {Same, Others} = lists:splitwith(fun(R) -> R =:= Row end, Rows),
    case length(Same) of
        0 -> [Row | repeats(Others)];
        N -> [integer_to_list(N + 1) ++ " * " ++ Row | repeats(Others)]
    end.
