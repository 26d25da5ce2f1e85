%% SPDX-License-Identifier: Apache-2.0
%% Cases: the output family, list and binary mode, line mode, the vector that a command becomes.
-module(parity_output).
-include("parity.hrl").

cases() ->
    messages() ++ vectors() ++ lines() ++ commands() ++ [whole_vectors()].

%% What each function makes of the same data, with and without header, empty and not.
all_forms(P) ->
    Actions = ["output abc", "output", "output_null", "output2 abc", "output2", "output2_null", "binary abc", "binary",
               "binary_hd abc", "binary_hd", "binary_slice abcde", "vector a|bc|d", "vector abc", "vector", "vector a||b",
               "vector |a|b", "vector ||a", "vector_hd a|b", "vector_hd", "vector_skip 1 ab|c", "vector_skip 2 ab|c",
               "vector_skip 3 ab|c", "vector_skip 9 ab|c", "vector_hd_skip 3 ab|c", "vector_skip 1 a||c", "vector ~a|b|~c"],
    [{A, do(P, A), msgs(1)} || A <- Actions].

messages() ->
    Long = lists:duplicate(100, $x),
    [{"every output function sends lists to an owner without option binary",
      fun() -> all_forms(open("output_probe_drv")) end},
     {"every output function sends binaries to an owner with option binary",
      fun() -> all_forms(open("output_probe_drv", [binary])) end},
     {"get_port_flags tells the modes of the port after start, and none during start",
      fun() ->
              Flags = fun(N, Options) -> do(open(N, "output_probe_drv early", Options), "flags") end,
              [Flags(port, []), Flags(port2, [binary]), Flags(port3, [{line, 80}]), Flags(port4, [binary, line]), trace(8), msgs(4)]
      end},
     {"output of start is a list without lines whatever the options are",
      fun() -> P = open("output_probe_drv early", [binary, {line, 10}]), [msgs(1), do(P, "output abc\n"), msgs(1)] end},
     {"binaries of more than 64 bytes arrive whole in either mode",
      fun() ->
              [begin
                   P = open(N, "output_probe_drv", O),
                   [[do(P, [A, " ", Long]) || A <- ["output", "output2", "binary", "binary_hd", "binary_slice", "vector"]],
                    do(P, ["vector ", Long, "|", Long]), msgs(7)]
               end || {N, O} <- [{port, []}, {port2, [binary]}]]
      end},
     {"output precedes the result of the control that makes it",
      fun() ->
              P = open("output_probe_drv"),
              do(P, "output first"),
              [receive {P, M} -> M after 0 -> nothing end]
      end},
     {"driver_vec_to_buf gives the number of bytes it copied",
      fun() ->
              P = open("output_probe_drv"),
              [do(P, A) || A <- ["vec_to_buf 9 ab|cd", "vec_to_buf 4 ab|cd", "vec_to_buf 3 ab|cd", "vec_to_buf 1 ab|cd", "vec_to_buf 0 ab|cd",
                                 "vec_to_buf 5 "]]
      end},
     {"output goes to the new owner as soon as the owner has changed",
      fun() ->
              P = open("output_probe_drv"),
              O = proc(owner),
              [do(P, "output one"), r(fun() -> parity_port:port_connect(P, O) end), do(P, "output two"), msgs(1),
               ask(O, fun() -> msgs(1) end)]
      end},
     {"output after the owner has died goes nowhere and succeeds",
      fun() ->
              P = open("output_probe_drv"),
              O = proc(owner),
              parity_port:port_connect(P, O),
              ask(O, fun() -> unlink(P) end),
              stop_proc(O),
              [do(P, "output lost"), do(P, "binary lost"), do(P, "vector lost"), none(),
               parity_port:port_info(P, connected) =:= {connected, O}]
      end}].

vectors() ->
    Big = fun(C, N) -> binary:copy(<<C>>, N) end,
    Send = fun(Datas) ->
                   P = open("vector_probe_drv", [binary]),
                   do(P, "mode 1"),
                   [[command(P, D) || D <- Datas], trace(2 * length(Datas)), msgs(length(Datas))]
           end,
    [{"an empty list and an empty binary reach outputv as different vectors",
      fun() -> Send([[], <<>>, [[]], [<<>>], [<<>>, <<>>], [[], <<>>, "a"]]) end},
     {"small binaries and bytes share one element",
      fun() -> Send(["abc", <<"abc">>, ["a", <<"b">>, [<<"c">> | <<"d">>]], [$a, $b | <<"c">>]]) end},
     {"a binary of more than 64 bytes has an element of its own",
      fun() -> Send([Big($x, 64), Big($x, 65), ["a", Big($x, 65), "b"], [Big($x, 100), Big($y, 100)], ["ab", "cd", Big($z, 300)],
                     [Big($x, 65) | Big($y, 65)]]) end},
     {"a part of a large binary reaches outputv whole",
      fun() -> <<_:10/binary, Part:200/binary, _/binary>> = Big($p, 1000), Send([Part, [Part, "tail"]]) end},
     {"outputv echoes with header and with skip",
      fun() ->
              P = open("vector_probe_drv", [binary]),
              [[do(P, Mode), command(P, "abc"), command(P, ["a", Big($b, 100), "c"]), command(P, []), command(P, <<>>), trace(8), msgs(4)]
               || Mode <- ["mode 2", "mode 3"]]
      end},
     {"a driver may keep a binary of a command beyond the callback",
      fun() ->
              P = open("vector_probe_drv"),
              do(P, "mode 4"),
              command(P, ["head", Big($k, 100)]),
              Kept = do(P, "kept"),
              command(P, "small one"),
              [Kept, do(P, "kept")]
      end},
     {"deep and improper lists are flattened in order",
      fun() -> Send([[["a" | <<"b">>], [[[]], <<"c">> | [$d]] | <<"e">>], [1, 2, 3, 255, 0]]) end}].

%% The number of elements is bounded by copying when it would be large.
whole_vectors() ->
    {"many small pieces between binaries keep their bytes in order",
     fun() ->
             P = open("vector_probe_drv", [binary]),
             do(P, "mode 1"),
             Pieces = [[<<I>>, binary:copy(<<(I + 100)>>, 70)] || I <- lists:seq(1, 20)],
             [command(P, Pieces), [iolist_to_binary(D) =:= iolist_to_binary(Pieces) || {_, {data, D}} <- msgs(1)]]
     end}.

lines() ->
    Write = fun(Options, Pieces) ->
                    P = open("output_probe_drv", Options),
                    [[do(P, ["output ", Piece]) || Piece <- Pieces], none()]
            end,
    [{"line mode sends a message for every line and keeps the rest",
      fun() -> Write([{line, 10}], ["one\ntwo\nth", "ree\n", "rest"]) end},
     {"line mode with option binary sends binaries",
      fun() -> Write([binary, {line, 10}], ["one\ntwo\n", "\n", "much longer than ten\n"]) end},
     {"a line of exactly the limit is one message, a longer one is two",
      fun() -> [Write([{line, 4}], ["abcd\n"]), Write([{line, 4}], ["abcde\n"]), Write([{line, 4}], ["abcdefghij", "\n"])] end},
     {"a full line buffer waits for what follows",
      fun() -> [Write([{line, 4}], ["abcd", "\n"]), Write([{line, 4}], ["abcd", "\r\n"]), Write([{line, 4}], ["abcd", "e"])] end},
     {"carriage return and newline end a line, also when they come apart",
      fun() -> Write([{line, 20}], ["a\r\nb\r", "\nc\rd\n", "e\r", "f\n", "g\r\r\n", "\r\n", "\n"]) end},
     {"a header comes before every line and is lost without one",
      fun() ->
              P = open("output_probe_drv", [{line, 20}]),
              [do(P, "output2 a\nb\n"), do(P, "output2 no line"), do(P, "output2 ends\n"), msgs(3)]
      end},
     {"a header comes before every line in binary mode too",
      fun() ->
              P = open("output_probe_drv", [binary, {line, 4}]),
              [do(P, "output2 a\nb\n"), do(P, "output2 longer\n"), do(P, "output2 \n"), msgs(3)]
      end},
     {"binaries and vectors pass the line buffer by",
      fun() ->
              P = open("output_probe_drv", [{line, 20}]),
              [do(P, "output begun "), do(P, "binary a\nb"), do(P, "vector c\n|d"), do(P, "output ended\n"), msgs(3)]
      end},
     {"an end of file sends the unfinished line first",
      fun() ->
              trap(),
              P = open("output_probe_drv", [{line, 20}, eof]),
              [do(P, "output unfinished\r"), do(P, "eof"), msgs(3), do(P, "output more\n"), do(P, "eof"), msgs(2)]
      end},
     {"closing loses the unfinished line",
      fun() -> trap(), P = open("output_probe_drv", [{line, 20}]), [do(P, "output unfinished"), close(P), msgs(1)] end},
     {"a line limit is 512 bytes by default",
      fun() -> Write([line], [lists:duplicate(600, $l), "\n"]) end}].

commands() ->
    [{"the output callback gets the data as one flat copy, empty data too",
      fun() ->
              P = open("output_probe_drv"),
              [[command(P, D) || D <- ["abc", <<"abc">>, ["a", <<"b">>, [$c | <<"d">>]], [], <<>>, binary:copy(<<"x">>, 100)]], trace(6), msgs(6)]
      end},
     {"a command that is not iodata is a badarg and does not reach the driver",
      fun() ->
              P = open("vector_probe_drv"),
              [[command(P, D) || D <- [an_atom, 1, [256], [-1], [a], {}, #{}, [<<1:1>>], <<1:3>>]], trace(0), none()]
      end},
     {"a driver without output discards commands",
      fun() -> P = open("bare_probe_drv"), [command(P, "abc"), bang(P, {self(), {command, "x"}}) =:= {self(), {command, "x"}}, close(P)] end},
     {"outputv is preferred to output",
      fun() -> P = open("vector_probe_drv"), [command(P, "abc"), trace(1)] end},
     {"commands by function arrive in the order sent",
      fun() ->
              P = open("output_probe_drv"),
              [parity_port:port_command(P, integer_to_list(I)) || I <- lists:seq(1, 20)],
              [[list_to_integer(D) || {_, {data, D}} <- msgs(20)] =:= lists:seq(1, 20)]
      end},
     {"commands by message arrive in the order sent",
      fun() ->
              P = open("output_probe_drv"),
              [P ! {self(), {command, integer_to_list(I)}} || I <- lists:seq(1, 20)],
              [[list_to_integer(D) || {_, {data, D}} <- msgs(20)] =:= lists:seq(1, 20)]
      end},
     {"commands from one process arrive in the order sent by function and by message",
      fun() ->
              P = open("output_probe_drv"),
              [begin parity_port:port_command(P, integer_to_list(I)), P ! {self(), {command, integer_to_list(I + 1)}} end
               || I <- lists:seq(1, 19, 2)],
              [[list_to_integer(D) || {_, {data, D}} <- msgs(20)] =:= lists:seq(1, 20)]
      end},
     {"the counters of port_info count bytes of output and of input",
      fun() ->
              P = open("output_probe_drv", [{line, 10}]),
              Info = fun() -> [parity_port:port_info(P, I) || I <- [input, output]] end,
              A = Info(),
              command(P, "12345"),
              B = Info(),
              do(P, "output2 123\n"),
              do(P, "binary 123456"),
              [A, B, Info(), msgs(2)]
      end},
     {"a command of a megabyte comes back whole",
      fun() ->
              P = open("vector_probe_drv", [binary]),
              do(P, "mode 1"),
              Data = [<<"start">>, binary:copy(<<"0123456789abcdef">>, 65536), <<"end">>],
              [command(P, Data), [iolist_to_binary(D) =:= iolist_to_binary(Data) || {_, {data, D}} <- msgs(1)], trace(2)]
      end},
     {"options that only matter to programs are accepted",
      fun() ->
              P = open("output_probe_drv", [stream, {packet, 2}, in, out, hide, use_stdio, {cd, "/"}, {env, [{"A", "b"}]}]),
              [command(P, "abc"), msgs(1)]
      end}].
