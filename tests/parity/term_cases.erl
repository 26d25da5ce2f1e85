%% SPDX-License-Identifier: Apache-2.0
%% The rules of the driver term format as a table: what a specification must give. The table is run against the VM's own
%% implementation, which is the reference, and against ours (term_parity.escript).
%%
%% A case is {Name, Spec, Result, Term}:
%%
%%   Spec    a list of items, each one word of the specification:
%%             integer           that word
%%             atom              a tag: nil, atom, int, port, binary, string, ... (ERL_DRV_NIL and so on), or
%%                               null (0), self_port, caller, connected
%%             {ptr, Bytes}      a pointer to these bytes
%%             {bin, Bytes}      a driver binary with these bytes
%%             {name, Text}      the atom of this Latin-1 text
%%             {times, N, Items} these items N times over
%%   Result  what the send function returns: -1, 0 or 1
%%   Term    {term, T}: the message that arrives, '$port' and '$caller' in it standing for the port and the caller;
%%           none: there is none
%%
%% A case {Name, Spec, {Alive, Dead}, Term} has different results for a receiver that is alive and one that is dead: it
%% tells what is found before the receiver is looked up. In the other cases the second is -1 for -1, else 0.
%% {Alive, Dead, OurDead}: we find it earlier than the VM, which does not look at the values in an encoded term at first.
-module(term_cases).
-export([cases/0, encode/1, random/1]).

-define(U64(I), <<(I):64/native-unsigned>>).
-define(S64(I), <<(I):64/native-signed>>).
-define(F(X), <<(X):64/native-float>>).
-define(NODE, 119, 3, "a@b").

cases() ->
    simple() ++ numbers() ++ strings() ++ binaries() ++ containers() ++ malformed() ++ maps() ++ externals() ++ large().

ok(Name, Spec, Term) -> {Name, Spec, 1, {term, Term}}.
bad(Name, Spec) -> {Name, Spec, -1, none}.
late(Name, Spec) -> {Name, Spec, {-1, 0}, none}. % found only when the term is built
value(Name, Spec) -> {Name, Spec, {-1, 0, -1}, none}.

simple() ->
    [ok(nil, [nil], []),
     ok(an_atom, [atom, {name, "hello"}], hello),
     ok(atom_empty, [atom, {name, ""}], ''),
     ok(atom_latin1, [atom, {name, [229, 228, 246, 255]}], list_to_atom([229, 228, 246, 255])),
     ok(atom_255, [atom, {name, lists:duplicate(255, $x)}], list_to_atom(lists:duplicate(255, $x))),
     ok(atom_255_latin1, [atom, {name, lists:duplicate(255, 246)}], list_to_atom(lists:duplicate(255, 246))),
     ok(atom_longer_is_cut, [atom, {name, lists:duplicate(300, $x)}], list_to_atom(lists:duplicate(255, $x))),
     ok(own_port, [port, self_port], '$port'),
     ok(caller_pid, [pid, caller], '$caller'),
     ok(connected_pid, [pid, connected], '$caller'),
     ok(all_in_a_tuple, [port, self_port, pid, caller, atom, {name, "x"}, nil, tuple, 4], {'$port', '$caller', x, []})].

numbers() ->
    [ok({int, I}, [int, I], I) || I <- [0, 1, -1, 255, 256, 1 bsl 27 - 1, 1 bsl 27, 1 bsl 31, -(1 bsl 31) - 1, 1 bsl 59 - 1,
                                        1 bsl 59, -(1 bsl 59), -(1 bsl 59) - 1, 1 bsl 63 - 1, -(1 bsl 63)]] ++
    [ok({uint, I}, [uint, I], I) || I <- [0, 255, 256, 1 bsl 32, 1 bsl 63, 1 bsl 64 - 1]] ++
    [ok({int64, I}, [int64, {ptr, ?S64(I)}], I) || I <- [0, -1, 1 bsl 59, 1 bsl 63 - 1, -(1 bsl 63)]] ++
    [ok({uint64, I}, [uint64, {ptr, ?U64(I)}], I) || I <- [0, 1 bsl 60, 1 bsl 63, 1 bsl 64 - 1]] ++
    [ok({float, F}, [float, {ptr, ?F(F)}], F) || F <- [0.0, -0.0, 1.5, -1.0e308, 5.0e-324]] ++
    [late({float, Name}, [float, {ptr, Bits}])
     || {Name, Bits} <- [{nan, ?U64(16#7ff8000000000000)}, {inf, ?U64(16#7ff0000000000000)},
                         {minus_inf, ?U64(16#fff0000000000000)}, {signalling_nan, ?U64(16#7ff0000000000001)}]] ++
    [late(float_nan_inside, [nil, float, {ptr, ?U64(16#7ff8000000000000)}, binary, {bin, copy(100)}, 100, 0, tuple, 3])].

strings() ->
    [ok(string, [string, {ptr, <<"abc">>}, 3], "abc"),
     ok(string_part, [string, {ptr, <<"abcdef">>}, 2], "ab"),
     ok(string_empty, [string, {ptr, <<>>}, 0], []),
     ok(string_high, [string, {ptr, <<0, 128, 255>>}, 3], [0, 128, 255]),
     ok(string_65535, [string, {ptr, copy(65535)}, 65535], binary_to_list(copy(65535))),
     ok(string_65536, [string, {ptr, copy(65536)}, 65536], binary_to_list(copy(65536))),
     bad(string_null, [string, null, 3]),
     bad(string_null_empty, [string, null, 0]),
     bad(string_negative, [string, {ptr, <<"abc">>}, 16#80000000]),
     bad(string_all_ones, [string, {ptr, <<"abc">>}, -1]),
     ok(cons_on_nil, [nil, string_cons, {ptr, <<"abc">>}, 3], "abc"),
     ok(cons_on_string, [string, {ptr, <<"def">>}, 3, string_cons, {ptr, <<"abc">>}, 3], "abcdef"),
     ok(cons_on_atom, [atom, {name, "x"}, string_cons, {ptr, <<"ab">>}, 2], [$a, $b | x]),
     ok(cons_on_list, [int, 1000, nil, list, 2, string_cons, {ptr, <<"ab">>}, 2], [$a, $b, 1000]),
     ok(cons_on_tuple, [nil, tuple, 1, string_cons, {ptr, <<"a">>}, 1], [$a | {[]}]),
     ok(cons_empty, [int, 7, string_cons, {ptr, <<>>}, 0], 7),
     ok(cons_empty_on_string, [string, {ptr, <<"a">>}, 1, string_cons, {ptr, <<>>}, 0], "a"),
     bad(cons_null_empty, [nil, string_cons, null, 0]),
     bad(cons_null, [nil, string_cons, null, 1]),
     bad(cons_negative, [nil, string_cons, {ptr, <<"a">>}, 16#80000000]),
     bad(cons_on_nothing, [string_cons, {ptr, <<"a">>}, 1]),
     ok(cons_65535, [nil, string_cons, {ptr, copy(65535)}, 65535], binary_to_list(copy(65535))),
     ok(cons_over_65535, [nil, string_cons, {ptr, copy(40000)}, 40000, string_cons, {ptr, copy(40000)}, 40000],
        binary_to_list(<<(copy(40000))/binary, (copy(40000))/binary>>))].

binaries() ->
    [ok(binary, [binary, {bin, <<"abcdef">>}, 3, 2], <<"cde">>),
     ok(binary_empty, [binary, {bin, <<"abc">>}, 0, 3], <<>>),
     ok(binary_of_none, [binary, {bin, <<>>}, 0, 0], <<>>),
     ok(binary_64, [binary, {bin, copy(64)}, 64, 0], copy(64)),
     ok(binary_65, [binary, {bin, copy(65)}, 65, 0], copy(65)),
     ok(binary_large, [binary, {bin, copy(100000)}, 99990, 10], binary:part(copy(100000), 10, 99990)),
     ok(binary_many, [{times, 3, [binary, {bin, copy(200)}, 100, 50]}, tuple, 3],
        erlang:make_tuple(3, binary:part(copy(200), 50, 100))),
     bad(binary_too_long, [binary, {bin, <<"abc">>}, 4, 0]),
     bad(binary_beyond, [binary, {bin, <<"abc">>}, 1, 3]),
     bad(binary_offset_beyond, [binary, {bin, <<"abc">>}, 0, 4]),
     bad(binary_null, [binary, null, 0, 0]),
     bad(binary_among_good_ones, [binary, {bin, copy(100)}, 100, 0, binary, {bin, copy(100)}, 101, 0, tuple, 2]),
     ok(buf2binary, [buf2binary, {ptr, <<"abc">>}, 3], <<"abc">>),
     ok(buf2binary_large, [buf2binary, {ptr, copy(70000)}, 70000], copy(70000)),
     ok(buf2binary_empty, [buf2binary, {ptr, <<>>}, 0], <<>>),
     ok(buf2binary_null_empty, [buf2binary, null, 0], <<>>),
     bad(buf2binary_null, [buf2binary, null, 1])].

containers() ->
    [ok(tuple_0, [tuple, 0], {}),
     ok(tuple_1, [int, 1, tuple, 1], {1}),
     ok(tuple_255, [{times, 255, [nil]}, tuple, 255], erlang:make_tuple(255, [])),
     ok(tuple_256, [{times, 256, [nil]}, tuple, 256], erlang:make_tuple(256, [])),
     ok(tuple_nested, [int, 1, int, 2, int, 3, tuple, 2, tuple, 1, tuple, 2], {1, {{2, 3}}}),
     ok(tuple_order, [atom, {name, "a"}, string, {ptr, <<"b">>}, 1, int, 3, tuple, 3], {a, "b", 3}),
     bad(tuple_underflow, [nil, tuple, 2]),
     bad(tuple_negative, [nil, tuple, 16#ffffffff]),
     ok(list, [int, 1, int, 2, nil, list, 3], [1, 2]),
     ok(list_improper, [int, 1, int, 2, int, 3, list, 3], [1, 2 | 3]),
     ok(list_1, [int, 5, list, 1], 5),
     ok(list_1_nil, [nil, list, 1], []),
     ok(list_1_of_list, [int, 1, nil, list, 2, list, 1], [1]),
     ok(list_1_under_list, [int, 9, int, 5, list, 1, list, 2], [9 | 5]),
     ok(list_of_lists, [int, 1, nil, list, 2, int, 2, nil, list, 2, nil, list, 3], [[1], [2]]),
     ok(list_on_list, [int, 1, int, 2, nil, list, 2, list, 2], [1, 2]),
     ok(list_on_string, [int, 1000, string, {ptr, <<"ab">>}, 2, list, 2], [1000, $a, $b]),
     ok(list_on_empty_string, [int, 1, string, {ptr, <<>>}, 0, list, 2], [1]),
     ok(list_on_binary, [int, 1, binary, {bin, copy(100)}, 100, 0, list, 2], [1 | copy(100)]),
     ok(string_in_list, [string, {ptr, <<"ab">>}, 2, nil, list, 2], ["ab"]),
     ok(list_of_bytes, [int, $a, int, $b, nil, list, 3], "ab"),
     bad(list_0, [list, 0]),
     bad(list_0_on_nil, [nil, list, 0]),
     bad(list_underflow, [nil, list, 2]),
     bad(list_negative, [nil, list, 16#ffffffff])].

malformed() ->
    [bad(empty, []),
     bad(tag_0, [0]), bad(tag_18, [18]), bad(tag_19, [nil, 19]), bad(tag_huge, [16#100000001]), bad(tag_all_ones, [-1]),
     bad(two_terms, [nil, nil]),
     bad(tag_after, [nil, 0]),
     bad(unfinished_tuple, [nil, nil, tuple, 1])] ++
    [bad({truncated, Tag, N}, [nil, Tag | lists:duplicate(N, {ptr, <<0, 0, 0, 0, 0, 0, 0, 0>>})])
     || {Tag, Args} <- [{atom, 1}, {int, 1}, {port, 1}, {binary, 3}, {string, 2}, {tuple, 1}, {list, 1}, {string_cons, 2},
                        {pid, 1}, {float, 1}, {ext2term, 2}, {uint, 1}, {buf2binary, 2}, {int64, 1}, {uint64, 1}, {map, 1}],
        N <- lists:seq(0, Args - 1)] ++
    [bad({not_an, atom, nil}, [atom, 16#3b]), bad({not_an, atom, pid}, [atom, caller]), bad({not_an, atom, port}, [atom, self_port]),
     bad({not_an, atom, zero}, [atom, 0]), bad({not_a, port, nil}, [port, 16#3b]), bad({not_a, port, pid}, [port, caller]),
     bad({not_a, port, atom}, [port, {name, "x"}]), bad({not_a, port, zero}, [port, 0]), bad({not_a, pid, nil}, [pid, 16#3b]),
     bad({not_a, pid, port}, [pid, self_port]), bad({not_a, pid, atom}, [pid, {name, "x"}]), bad({not_a, pid, zero}, [pid, 0])].

pair(K) -> K ++ [nil].
map_of(Keys) -> lists:append([pair(K) || K <- Keys]) ++ [map, length(Keys)].

key_a() -> [atom, {name, "a"}].
key_str(S) -> [string, {ptr, list_to_binary(S)}, length(S)].
key_ints(S) -> lists:append([[int, C] || C <- S]) ++ [nil, list, length(S) + 1].
key_float(F) -> [float, {ptr, ?F(F)}].
key_ext(T) -> key_enc(term_to_binary(T)).
key_enc(B) -> [ext2term, {ptr, B}, byte_size(B)].
small_map(Ks) -> map_of([[int, K] || K <- Ks]).

%% Pairs of keys that are one and the same, in two spellings.
same_keys() ->
    [{atom, key_a(), key_a()},
     {int, [int, 1], [int, 1]},
     {int_uint, [int, 1000], [uint, 1000]},
     {int_int64, [int, -5], [int64, {ptr, ?S64(-5)}]},
     {big_uint64, [uint, 1 bsl 63], [uint64, {ptr, ?U64(1 bsl 63)}]},
     {int_ext_big, [int, 1], key_enc(<<131, 110, 1, 0, 1>>)},
     {int_ext_big_zeros, [int, 1], key_enc(<<131, 110, 4, 0, 1, 0, 0, 0>>)},
     {int_ext_long, [int, 1], key_enc(<<131, 98, 1:32>>)},
     {zero_minus_zero_int, [int, 0], key_enc(<<131, 110, 1, 1, 0>>)},
     {int_ext_large_big, [int, -1], key_enc(<<131, 111, 1:32, 1, 1>>)},
     {string_list, key_str("ab"), key_ints("ab")},
     {string_ext_list, key_str("ab"), key_enc(<<131, 108, 2:32, 97, $a, 97, $b, 106>>)},
     {string_nested_list, key_str("ab"), key_enc(<<131, 108, 1:32, 97, $a, 107, 1:16, $b>>)},
     {nil_empty_string, [nil], key_str("")},
     {nil_ext_string, [nil], key_enc(<<131, 107, 0:16>>)},
     {nil_ext_list, [nil], key_enc(<<131, 108, 0:32, 106>>)},
     {term_ext_empty_list, [int, 7], key_enc(<<131, 108, 0:32, 97, 7>>)},
     {atom_ext, key_a(), key_ext(a)},
     {atom_ext_latin1, key_a(), key_enc(<<131, 100, 1:16, $a>>)},
     {atom_ext_small_latin1, [atom, {name, [246]}], key_enc(<<131, 115, 1, 246>>)},
     {atom_ext_long_utf8, [atom, {name, [246]}], key_enc(<<131, 118, 2:16, 195, 182>>)},
     {float, key_float(1.5), key_ext(1.5)},
     {float_old, key_float(1.5), key_enc(<<131, 99, "1.5", 0:(28 * 8)>>)},
     {float_zeros, key_float(0.0), key_float(-0.0)},
     {binary, [binary, {bin, copy(100)}, 100, 0], [buf2binary, {ptr, copy(100)}, 100]},
     {binary_small, [binary, {bin, copy(10)}, 10, 0], key_ext(copy(10))},
     {binary_as_bits, key_ext(<<1, 2>>), key_enc(<<131, 77, 2:32, 8, 1, 2>>)},
     {bits_unused, key_enc(<<131, 77, 1:32, 3, 2#10100000>>), key_enc(<<131, 77, 1:32, 3, 2#10111111>>)},
     {tuple, [int, 1, nil, tuple, 2], key_ext({1, []})},
     {tuple_large, [int, 1, tuple, 1], key_enc(<<131, 105, 1:32, 97, 1>>)},
     {pid, [pid, caller], [pid, connected]},
     {port, [port, self_port], [port, self_port]},
     {map_order, small_map([1, 2, 3]), small_map([3, 1, 2])},
     {map_ext_order, small_map([1, 2]), key_enc(<<131, 116, 2:32, 97, 2, 106, 97, 1, 106>>)},
     {map_large_order, small_map(lists:seq(1, 100)), small_map(lists:reverse(lists:seq(1, 100)))},
     {map_in_map, small_map([1, 2]) ++ [nil, map, 1], small_map([2, 1]) ++ [nil, map, 1]},
     {map_string_in_map, key_str("ab") ++ [nil, int, 1, nil, map, 2], [int, 1, nil] ++ key_ints("ab") ++ [nil, map, 2]},
     {compressed, key_str(lists:duplicate(1000, $a)), key_enc(term_to_binary(lists:duplicate(1000, $a), [compressed]))},
     {pid_old, key_enc(<<131, 88, ?NODE, 1:32, 2:32, 3:32>>), key_enc(<<131, 103, ?NODE, 1:32, 2:32, 3>>)},
     {port_old, key_enc(<<131, 120, ?NODE, 5:64, 3:32>>), key_enc(<<131, 102, ?NODE, 5:32, 3>>)},
     {port_new, key_enc(<<131, 120, ?NODE, 5:64, 3:32>>), key_enc(<<131, 89, ?NODE, 5:32, 3:32>>)},
     {reference_new, key_enc(<<131, 90, 3:16, ?NODE, 3:32, 5:32, 6:32, 7:32>>), key_enc(<<131, 114, 3:16, ?NODE, 3, 5:32, 6:32, 7:32>>)},
     {'fun', key_ext(a_fun()), key_ext(a_fun())},
     {export, key_enc(<<131, 113, 119, 1, $m, 119, 1, $f, 97, 1>>), key_enc(<<131, 113, 100, 1:16, $m, 119, 1, $f, 97, 1>>)},
     {deep_tail, key_ints("abcd"), [int, $a, int, $b, nil, string_cons, {ptr, <<"cd">>}, 2, list, 3]}].

%% Also the same, but in large maps the VM takes them for different.
same_in_small_maps() ->
    [{reference_old, key_enc(<<131, 90, 1:16, ?NODE, 3:32, 5:32>>), key_enc(<<131, 101, ?NODE, 5:32, 3>>)},
     {reference_zeros, key_enc(<<131, 90, 3:16, ?NODE, 3:32, 5:32, 0:64>>), key_enc(<<131, 90, 1:16, ?NODE, 3:32, 5:32>>)}].

different_keys() ->
    [{int_float, [int, 1], key_float(1.0), 1, 1.0},
     {string_binary, key_str("ab"), [buf2binary, {ptr, <<"ab">>}, 2], "ab", <<"ab">>},
     {list_improper, key_ints("ab"), [int, $a, int, $b, list, 2], "ab", [$a | $b]},
     {atom_string, key_a(), key_str("a"), a, "a"},
     {signs, [int, 1], [int, -1], 1, -1},
     {tuple_list, [int, 1, tuple, 1], [int, 1, nil, list, 2], {1}, [1]},
     {nil_tuple, [nil], [tuple, 0], [], {}},
     {nil_binary, [nil], [buf2binary, null, 0], [], <<>>},
     {map_values, [int, 1, int, 2, map, 1], [int, 1, int, 3, map, 1], #{1 => 2}, #{1 => 3}},
     {map_swapped, [int, 1, int, 2, map, 1], [int, 2, int, 1, map, 1], #{1 => 2}, #{2 => 1}},
     {map_shift, map_of([[int, 1], [int, 2]]), map_of([[int, 1]]), #{1 => [], 2 => []}, #{1 => []}},
     {pid_creation, key_enc(<<131, 88, ?NODE, 1:32, 2:32, 3:32>>), key_enc(<<131, 88, ?NODE, 1:32, 2:32, 4:32>>),
      binary_to_term(<<131, 88, ?NODE, 1:32, 2:32, 3:32>>), binary_to_term(<<131, 88, ?NODE, 1:32, 2:32, 4:32>>)},
     {pid_serial, key_enc(<<131, 88, ?NODE, 1:32, 2:32, 3:32>>), key_enc(<<131, 88, ?NODE, 1:32, 3:32, 3:32>>),
      binary_to_term(<<131, 88, ?NODE, 1:32, 2:32, 3:32>>), binary_to_term(<<131, 88, ?NODE, 1:32, 3:32, 3:32>>)},
     {bits, key_ext(<<5:3>>), key_ext(<<5:4>>), <<5:3>>, <<5:4>>},
     {pid_port, [pid, caller], [port, self_port], '$caller', '$port'},
     {arity, [tuple, 0, tuple, 1], [tuple, 0], {{}}, {}}].

maps() ->
    Filler = [[int, 1000 + I] || I <- lists:seq(1, 40)],
    FillerMap = maps:from_list([{1000 + I, []} || I <- lists:seq(1, 40)]),
    [ok(map_0, [map, 0], #{}),
     ok(map_1, key_a() ++ [int, 1, map, 1], #{a => 1}),
     ok(map_2, key_a() ++ [int, 1, int, 2] ++ key_a() ++ [map, 2], #{a => 1, 2 => a}),
     ok(map_atoms, lists:append([[atom, {name, [C]}, int, C] || C <- lists:seq($a, $z)]) ++ [map, 26],
        maps:from_list([{list_to_atom([C]), C} || C <- lists:seq($a, $z)])),
     ok(map_large, small_map(lists:seq(1, 5000)), maps:from_list([{I, []} || I <- lists:seq(1, 5000)])),
     ok(map_large_binary_keys, map_of([[binary, {bin, <<I:800>>}, 100, 0] || I <- lists:seq(1, 50)]),
        maps:from_list([{<<I:800>>, []} || I <- lists:seq(1, 50)])),
     ok(map_nested_values, key_a() ++ small_map([1, 2]) ++ [map, 1], #{a => #{1 => [], 2 => []}}),
     ok(map_in_list, small_map([1, 2]) ++ [nil, list, 2], [#{1 => [], 2 => []}]),
     bad(map_odd, [nil, map, 1]),
     bad(map_underflow, [nil, nil, nil, map, 2]),
     bad(map_negative, [nil, nil, map, 16#ffffffff]),
     late(map_atoms_twice_in_33, lists:append([[atom, {name, [C]}, nil] || C <- lists:seq(1, 32) ++ [7]]) ++ [map, 33]),
     late(map_dup_under_key, small_map([1, 1]) ++ [nil, map, 1]),
     late(map_dup_in_value, key_a() ++ small_map([1, 1]) ++ [map, 1]),
     late(map_dup_in_key_of_two, small_map([1, 1]) ++ [nil] ++ key_a() ++ [nil, map, 2]),
     late(map_dup_in_tuple, small_map([1, 1]) ++ [tuple, 1]),
     late(map_dup_with_binaries, [nil, binary, {bin, copy(100)}, 100, 0] ++ small_map([1, 1]) ++ [tuple, 3])] ++
    [late({map_same, Name}, map_of([K1, K2])) || {Name, K1, K2} <- same_keys() ++ same_in_small_maps()] ++
    [late({map_same_large, Name}, map_of([K1] ++ Filler ++ [K2])) || {Name, K1, K2} <- same_keys()] ++
    [ok({map_different, Name}, map_of([K1, K2]), #{T1 => [], T2 => []}) || {Name, K1, K2, T1, T2} <- different_keys()] ++
    [ok({map_different_large, Name}, map_of([K1] ++ Filler ++ [K2]), FillerMap#{T1 => [], T2 => []})
     || {Name, K1, K2, T1, T2} <- different_keys()].

externals() ->
    Terms = [a, 1, -1, 1 bsl 100, 1.5, "abc", <<"abc">>, <<5:3>>, {1, 2}, [1 | 2], [], #{a => 1}, #{1 => #{2 => 3}}, fun lists:map/2,
             make_ref(), self(), lists:seq(1, 1000), binary_to_list(copy(70000)), copy(1000), erlang:make_tuple(300, a),
             maps:from_list([{I, I} || I <- lists:seq(1, 100)]), list_to_atom([1234, 246]), fun() -> Self = self(), Self end,
             {<<131, 116>>, #{<<116>> => 116, "t" => t}}],
    [ok({ext, N}, key_ext(T), T) || {N, T} <- lists:zip(lists:seq(1, length(Terms)), Terms)] ++
    [ok({ext_compressed, N}, key_enc(compressed(T)), T) || {N, T} <- lists:zip(lists:seq(1, length(Terms)), Terms)] ++
    [ok(ext_trailing, key_enc(<<(term_to_binary(a))/binary, 1, 2, 3>>), a),
     ok(ext_in_tuple, key_ext({a, #{b => 1}}) ++ [int, 3, tuple, 2], {{a, #{b => 1}}, 3}),
     ok(ext_as_tail, [int, 1] ++ key_ext([2, 3]) ++ [list, 2], [1, 2, 3]),
     ok(ext_under_cons, key_ext("b") ++ [string_cons, {ptr, <<"a">>}, 1], "ab"),
     ok(ext_compressed_trailing, key_enc(<<(compressed("aaaaaaaa"))/binary, 1, 2, 3>>), "aaaaaaaa"),
     ok(ext_compressed_term_trailing, key_enc(compressed_bytes(<<97, 1, 9, 9>>, 4)), 1),
     bad(ext_null, [ext2term, null, 4]),
     bad(ext_empty, [ext2term, {ptr, <<131, 97, 1>>}, 0]),
     bad(ext_negative, [ext2term, {ptr, <<131, 97, 1>>}, -1]),
     bad(ext_version_only, key_enc(<<131>>)),
     bad(ext_no_version, key_enc(<<97, 1>>)),
     bad(ext_other_version, key_enc(<<130, 97, 1>>)),
     bad(ext_cut, key_enc(<<131, 97>>)),
     bad(ext_cut_list, key_enc(<<131, 108, 2:32, 97, 1, 106>>)),
     bad(ext_cut_binary, key_enc(<<131, 109, 4:32, 1, 2, 3>>)),
     bad(ext_long_claim, key_enc(<<131, 108, 16#ffffffff:32, 97, 1, 106>>)),
     bad(ext_tag, key_enc(<<131, 1>>)),
     value(ext_atom_utf8, key_enc(<<131, 119, 1, 200>>)),
     bad(ext_atom_long, key_enc(<<131, 100, 256:16, (copy(256))/binary>>)),
     value(ext_bits_0, key_enc(<<131, 77, 1:32, 0, 1>>)),
     value(ext_bits_9, key_enc(<<131, 77, 1:32, 9, 1>>)),
     value(ext_float_nan, key_enc(<<131, 70, 16#7ff8000000000000:64>>)),
     value(ext_float_text, key_enc(<<131, 99, "abc", 0:(28 * 8)>>)),
     value(ext_float_space, key_enc(<<131, 99, " 1.5", 0:(27 * 8)>>)),
     value(ext_float_no_point, key_enc(<<131, 99, "15", 0:(29 * 8)>>)),
     value(ext_float_more, key_enc(<<131, 99, "1.5e3x", 0:(25 * 8)>>)),
     value(ext_float_hex, key_enc(<<131, 99, "0x1p3", 0:(26 * 8)>>)),
     value(ext_float_range, key_enc(<<131, 99, "1.0e400", 0:(24 * 8)>>)),
     ok(ext_float_old, key_enc(<<131, 99, "-1.5e+3", 0:(24 * 8)>>), -1.5e3),
     ok(ext_float_garbage, key_enc(<<131, 99, "1.5", 0, "garbage", 0:(20 * 8)>>), 1.5),
     value(ext_pid_creation, key_enc(<<131, 103, ?NODE, 1:32, 2:32, 4>>)),
     value(ext_ref_creation, key_enc(<<131, 114, 1:16, ?NODE, 4, 1:32>>)),
     value(ext_ref_word, key_enc(<<131, 114, 2:16, ?NODE, 3, (1 bsl 18):32, 1:32>>)),
     value(ext_ref_old_word, key_enc(<<131, 101, ?NODE, (1 bsl 18):32, 3>>)),
     value(ext_fun_number, key_enc(<<131, 112, 0:32, 0, 7:128, 0:32, 0:32, 119, 1, "m", 97, 0, 110, 8, 0, (1 bsl 59):64/little, 88, ?NODE, 1:32, 2:32, 3:32>>)),
     ok(ext_big_largest, key_enc(large_big(4194296)), decoded(large_big(4194296))),
     bad(ext_big_larger, key_enc(large_big(4194297))),
     bad(ext_big_zeros, key_enc(<<131, 111, 4194297:32, 0, 1, 0:(4194296 * 8)>>)),
     ok(ext_cell_by_cell, key_enc(<<131, (binary:copy(<<108, 1:32, 97, 7>>, 5000))/binary, 106>>), lists:duplicate(5000, 7)),
     ok(ext_deep, key_enc(<<131, (binary:copy(<<104, 1>>, 5000))/binary, 106>>),
        lists:foldl(fun(_, T) -> {T} end, [], lists:seq(1, 5000))),
     value(ext_pid_node_no_atom, key_enc(<<131, 88, 97, 1, 0:96>>)),
     late(ext_map_dup, key_enc(<<131, 116, 2:32, 97, 1, 106, 97, 1, 106>>)),
     late(ext_map_dup_string, key_enc(<<131, 116, 2:32, 107, 1:16, $a, 106, 108, 1:32, 97, $a, 106, 106>>)),
     late(ext_map_dup_deep, key_enc(<<131, 104, 2, 97, 1, 108, 1:32, 116, 2:32, 97, 1, 106, 97, 1, 106, 106>>)),
     late(ext_map_dup_compressed, key_enc(compressed_bytes(<<116, 2:32, 97, 1, 106, 97, 1, 106>>, 11))),
     bad(ext_compressed_short, key_enc(compressed_bytes(<<97, 1>>, 3))),
     bad(ext_compressed_long, key_enc(compressed_bytes(<<97, 1>>, 1))),
     bad(ext_compressed_zero, key_enc(compressed_bytes(<<97, 1>>, 0))),
     bad(ext_compressed_cut, key_enc(cut(compressed(lists:seq(1, 100))))),
     bad(ext_compressed_garbage, key_enc(<<131, 80, 100:32, "not zlib data">>)),
     bad(ext_compressed_head, key_enc(<<131, 80, 1, 2>>)),
     bad(ext_compressed_twice, key_enc(compressed_bytes(<<80, 2:32, (zlib:compress(<<97, 1>>))/binary>>, 15)))].

large() ->
    [ok(deep_lists, [{times, 20000, [nil]}, nil, {times, 20000, [list, 2]}], lists:duplicate(20000, [])),
     ok(deep_tuples, [nil, {times, 20000, [tuple, 1]}], lists:foldl(fun(_, T) -> {T} end, [], lists:seq(1, 20000))),
     ok(deep_cons, [atom, {name, "x"}, {times, 20000, [string_cons, {ptr, <<"ab">>}, 2]}],
        lists:foldl(fun(_, T) -> [$a, $b | T] end, x, lists:seq(1, 20000))),
     ok(deep_values, [nil, {times, 1000, [nil, list, 2, tuple, 1]}], lists:foldl(fun(_, T) -> {[T]} end, [], lists:seq(1, 1000))),
     ok(wide_list, [{times, 30000, [int, 300]}, nil, list, 30001], lists:duplicate(30000, 300))].

a_fun() -> X = hd([1]), fun() -> X end.

large_big(Bytes) -> <<131, 111, Bytes:32, 0, (binary:copy(<<1>>, Bytes))/binary>>.

decoded(Bytes) -> binary_to_term(Bytes).

copy(N) -> << <<(I rem 251)>> || I <- lists:seq(1, N) >>.

compressed(T) ->
    <<131, Bytes/binary>> = term_to_binary(T),
    compressed_bytes(Bytes, byte_size(Bytes)).

compressed_bytes(Bytes, Claim) -> <<131, 80, Claim:32, (zlib:compress(Bytes))/binary>>.

cut(B) -> binary:part(B, 0, byte_size(B) - 10).

%% The bytes of a specification, as tests/drivers/term_spec.h reads them.
encode(Spec) -> iolist_to_binary([item(I) || I <- Spec]).

item(I) when is_integer(I) -> <<0, I:64>>;
item({ptr, B}) -> <<1, (byte_size(B)):32, B/binary>>;
item({bin, B}) -> <<2, (byte_size(B)):32, B/binary>>;
item({name, S}) -> <<3, (length(S)):16, (list_to_binary(S))/binary>>;
item({times, N, Items}) -> binary:copy(encode(Items), N);
item(self_port) -> <<4>>;
item(caller) -> <<5>>;
item(connected) -> <<6>>;
item(null) -> item(0);
item(Tag) -> item(tag(Tag)).

tag(Name) ->
    Tags = [nil, atom, int, port, binary, string, tuple, list, string_cons, pid, float, ext2term, uint, buf2binary,
            int64, uint64, map],
    tag(Name, Tags, 1).

tag(Name, [Name | _], N) -> N;
tag(Name, [_ | Tags], N) -> tag(Name, Tags, N + 1).

%% A specification by chance, of about Size items: well-formed mostly, with few different values, so that map keys meet.
random(Size) ->
    {Items, Depth} = random_items(Size, [], 0),
    Kept = case rand:uniform(20) of
               1 -> [I || I <- Items, rand:uniform(Size) > 1]; % a whole operation: half of one may be a wild pointer
               _ -> Items
           end,
    lists:append(lists:reverse(Kept)) ++ [tuple, Depth].

random_items(0, Acc, Depth) -> {Acc, Depth};
random_items(Size, Acc, Depth) ->
    {Item, Change} = random_item(rand:uniform(24), Depth),
    random_items(Size - 1, [Item | Acc], Depth + Change).

random_item(N, Depth) when N =< 4, Depth >= 2 ->
    K = rand:uniform(min(4, Depth)) - 1,
    {[tuple, K], 1 - K};
random_item(N, Depth) when N =< 8, Depth >= 1 ->
    K = rand:uniform(min(5, Depth)),
    {[list, K], 1 - K};
random_item(N, Depth) when N =< 12, Depth >= 2 ->
    K = rand:uniform(min(4, Depth div 2)),
    {[map, K], 1 - 2 * K};
random_item(N, Depth) when N =< 14, Depth >= 1 ->
    K = rand:uniform(3) - 1,
    {[string_cons, {ptr, copy(K)}, K], 0};
random_item(_, _) -> {random_leaf(rand:uniform(13)), 1}.

random_leaf(1) -> [nil];
random_leaf(2) -> [atom, {name, [$a + rand:uniform(2)]}];
random_leaf(3) -> [int, rand:uniform(3)];
random_leaf(4) -> [uint, rand:uniform(3)];
random_leaf(5) -> [pid, caller];
random_leaf(6) -> [port, self_port];
random_leaf(7) -> K = rand:uniform(3) - 1, [string, {ptr, copy(K)}, K];
random_leaf(8) -> K = pick([0, 1, 64, 65, 70]), [binary, {bin, copy(70)}, K, 0];
random_leaf(9) -> K = pick([1, 64, 65, 70]), [buf2binary, {ptr, copy(K)}, K];
random_leaf(10) -> [float, {ptr, ?F(pick([0.0, -0.0, 1.0]))}];
random_leaf(11) -> key_ext(random_term(3));
random_leaf(12) -> key_enc(mutate(term_to_binary(random_term(4))));
random_leaf(13) -> key_enc(pick([mutate(pick(unusual())), pick(unchanged())])).

pick(L) -> lists:nth(rand:uniform(length(L)), L).

random_term(0) -> pick([a, b, 1, 2, [], {}, <<>>, "ab", 1.0, 0.0, <<1:1>>, 1 bsl 70, foreign_pid(), fun lists:map/2]);
random_term(D) ->
    case rand:uniform(5) of
        1 -> [random_term(D - 1) | random_term(D - 1)];
        2 -> {random_term(D - 1), random_term(D - 1)};
        3 -> #{random_term(D - 1) => random_term(0), random_term(D - 1) => random_term(D - 1)};
        4 -> [random_term(D - 1), random_term(D - 1)];
        5 -> random_term(0)
    end.

%% Not of the local node: what can be a local pid depends on the node that decodes it.
foreign_pid() -> binary_to_term(<<131, 88, ?NODE, 1:32, 2:32, 3:32>>).

%% Encodings that term_to_binary does not make.
unusual() ->
    [<<131, 103, ?NODE, 1:32, 2:32, 3>>, <<131, 102, ?NODE, 5:32, 3>>, <<131, 89, ?NODE, 5:32, 3:32>>, <<131, 120, ?NODE, 5:64, 3:32>>,
     <<131, 99, "1.50000000000000000000e+00", 0:40>>, <<131, 110, 3, 0, 1, 2, 0>>, <<131, 111, 3:32, 1, 1, 2, 0>>,
     <<131, 105, 1:32, 106>>, <<131, 108, 0:32, 97, 1>>, <<131, 100, 1:16, 246>>, <<131, 115, 1, 246>>, <<131, 118, 2:16, 195, 182>>,
     <<131, 77, 1:32, 3, 255>>, <<131, 77, 0:32, 0>>, compressed("aaaaaaaaaaaa")].

%% The VM takes some nonsense in these (references without words, a fun's creator of any type), we do not: so they stay as they are.
unchanged() ->
    [<<131, 101, ?NODE, 5:32, 3>>, <<131, 114, 2:16, ?NODE, 3, 5:32, 6:32>>, <<131, 90, 2:16, ?NODE, 3:32, 5:32, 6:32>>,
     <<131, 112, 0:32, 0, 7:128, 0:32, 1:32, 119, 1, "m", 97, 0, 97, 0, 88, ?NODE, 1:32, 2:32, 3:32, 97, 1>>].

%% Sometimes one byte of an encoded term changed, to another or to a tag.
mutate(B) ->
    case rand:uniform(2) of
        1 -> B;
        2 ->
            At = rand:uniform(byte_size(B)) - 1,
            <<Before:At/binary, _, After/binary>> = B,
            <<Before/binary, (pick([rand:uniform(256) - 1, 97, 98, 100, 104, 105, 106, 107, 108, 109, 110, 116, 119, 0, 1, 2])),
              After/binary>>
    end.
