%% SPDX-License-Identifier: Apache-2.0
%% Bad input to a real daemon. For each kind: the client gets the error that the VM gives (the same is done in this VM), the daemon's
%% log names the cause, and another port of the same connection and one of another connection go on working. What is only a badarg
%% without a word in the VM (a port or driver that is not there, a callback that the driver does not have) is none in the log either.
%%
%% Run from the top directory; PORTHOSTD is the daemon (default build/porthostd), example drivers are in drivers beside it and
%% probe drivers in tests/drivers. Each test has a daemon of its own, with a connection over stdio (the default host: it may load
%% any file, as the VM may) and one over a unix socket.
-module(badinput_tests).
-include_lib("eunit/include/eunit.hrl").

-define(TIMEOUT, 5000).

-record(daemon, {host, other, near, far, log, socket, dir}).

%% Loading.

a_file_that_is_no_driver_test_() ->
    [with_daemon(Name, fun(D) ->
         Dir = place(Where, D),
         Vm = cause(erl_ddll:load(Dir, Name)),
         ?assertEqual({error, Reason}, Vm),
         ?assertEqual(Vm, cause(porthost_ddll:load(Dir, Name))),
         {error, Error} = porthost_ddll:load(Dir, Name),
         ?assertMatch([_ | _], porthost_ddll:format_error(Error)),
         logged(D, ["warning driver ", Dir, "/", Name, "\\.so: ", Line])
     end)
     || {Where, Name, Reason, Line} <-
            [{probes, "load_not_there_drv", open_error, "cannot be opened: .*No such file"},
             {scratch, "text_drv", open_error, "cannot be opened: .*invalid ELF header"},
             {scratch, "empty_drv", open_error, "cannot be opened: .*file too short"},
             {scratch, "cut_drv", open_error, "cannot be opened: ."},
             {probes, "load_unresolved_drv", open_error, "cannot be opened: .*load_symbol_that_nobody_has"},
             {probes, "load_no_init_drv", no_driver_init, "no_driver_init"},
             {probes, "load_null_drv", driver_init_failed, "driver_init_failed: driver_init returned"},
             {probes, "load_marker_drv", driver_incorrect_version, "driver_incorrect_version"},
             {probes, "load_major_1_drv", driver_incorrect_version, "driver_incorrect_version"},
             {probes, "load_major_4_drv", driver_incorrect_version, "driver_incorrect_version"},
             {probes, "load_minor_drv", driver_incorrect_version, "driver_incorrect_version"},
             {probes, "load_name_drv", bad_driver_name, "bad_driver_name"},
             {probes, "load_init_minus_drv", driver_init_failed, "driver_init_failed: its init"},
             {probes, "load_init_plus_drv", driver_init_failed, "driver_init_failed: its init"}]].

a_file_from_elsewhere_over_a_socket_test_() ->
    with_daemon("not permitted", fun(#daemon{other = Other, dir = Dir} = D) ->
        ?assertEqual({error, not_permitted}, porthost_ddll:on(Other, load, [Dir, "text_drv"])),
        logged(D, ["warning .*conn [0-9]+.*may not load ", Dir, "/text_drv"])
    end).

%% A number stands for a text, and the texts are not the VM's.
cause({error, {open_error, N}}) when is_integer(N), N =< -10 -> {error, open_error};
cause(Other) -> Other.

%% Opening.

a_driver_that_is_not_there_test_() ->
    with_daemon("open", fun(_) ->
        same_error(badarg, fun(M) -> M:open_port({spawn_driver, "no_such_drv"}, []) end)
    end).

a_start_that_fails_test_() ->
    [with_daemon(Args, fun(D) ->
         loaded("start_probe_drv", fun() ->
             same_error(Reason, fun(M) -> M:open_port({spawn_driver, "start_probe_drv " ++ Args}, []) end)
         end),
         logged(D, ["\\[conn [0-9]+ port [0-9]+ start_probe_drv\\] start failed: ", atom_to_list(Reason)])
     end)
     || {Args, Reason} <- [{"result -1", einval}, {"result -3", badarg}, {"errno 2", enoent}, {"errno 13", eacces}]].

%% Ports.

a_callback_that_the_driver_does_not_have_test_() ->
    [with_daemon(Callback, fun(_) ->
         loaded("bare_probe_drv", fun() -> same_error(badarg, fun(M) -> on_port(M, "bare_probe_drv", Call) end) end)
     end)
     || {Callback, Call} <- [{"control", fun(M, Port) -> M:port_control(Port, 0, "x") end},
                             {"call", fun(M, Port) -> M:port_call(Port, 0, x) end}]].

a_port_that_is_gone_test_() ->
    with_daemon("gone", fun(_) ->
        [loaded("bare_probe_drv", fun() ->
             same_error(badarg, fun(M) -> on_port(M, "bare_probe_drv", fun(_, P) -> M:port_close(P), Call(M, P) end) end)
         end)
         || Call <- [fun(M, P) -> M:port_control(P, 0, "x") end, fun(M, P) -> M:port_call(P, 0, x) end,
                     fun(M, P) -> M:port_command(P, "x") end, fun(M, P) -> M:port_close(P) end]]
    end).

%% By a client that has made the id up. It is what a client sees whose request crosses the port's end: answered, and no line.
an_unknown_port_id_test_() ->
    with_daemon("unknown id", fun(D) ->
        Gone = erlang:open_port({spawn, "cat"}, []),
        true = erlang:port_close(Gone),
        {error, Badarg} = outcome(fun() -> erlang:port_control(Gone, 0, "") end),
        Undefined = erlang:port_info(Gone, name),
        S = connected(D),
        [begin
             send(S, Request),
             ?assertEqual({error, tag, Reason}, answer(S))
         end
         || {Reason, Request} <- [{Badarg, {control, tag, 99, self(), 0, ""}}, {Badarg, {call, tag, 99, self(), 0, x}},
                                  {Badarg, {close, tag, 99, self()}}, {Badarg, {connect, tag, 99, self(), self()}},
                                  {Badarg, {get_data, tag, 99}}, {Undefined, {info, tag, 99, name}},
                                  {badarg, {control, tag, 16#7FFFFFFFFFFFFFF, self(), 0, ""}}]],
        send(S, {command, 99, self(), "x"}),
        still_answered(S)
    end).

%% Requests that are refused; the connection goes on.

a_request_that_makes_no_sense_test_() ->
    [with_daemon(Name, fun(D) ->
         S = connected(D),
         send(S, Request),
         ?assertMatch({Answer, _}, {answer_kind(answer(S)), Request}),
         logged(D, ["warning \\[conn [0-9]+.*\\] ", Line]),
         still_answered(S)
     end)
     || {Name, Request, Answer, Line} <-
            [{"no tuple", <<"junk">>, {fault, not_a_request}, "not_a_request"},
             {"unknown, tagged", {opne, tag, 7}, {error, unknown_request}, "unknown_request: opne"},
             {"unknown", {opne}, {fault, unknown_request}, "unknown_request: opne"},
             {"id of the wrong type", {control, tag, seven, self(), 0, ""}, {error, {bad_request, control, 3}},
              "bad_request: request control: element 3"},
             {"id out of range", {control, tag, 1 bsl 59, self(), 0, ""}, {error, {bad_request, control, 3}},
              "bad_request: request control: element 3"},
             {"arity", {open, tag, 7}, {error, {bad_request, open, 1}}, "bad_request: request open: element 1"},
             {"untagged", {command, 7, caller, "x"}, {fault, bad_request}, "bad_request: request command: element 3"},
             {"tag", {ping, binary:copy(<<"x">>, 2000)}, {fault, bad_tag}, "bad_tag"},
             {"second hello", {hello, 1, #{}}, {fault, unexpected_hello}, "unexpected_hello"}]].

answer_kind({fault, Reason, Text}) when is_binary(Text) -> {fault, Reason};
answer_kind({error, tag, Reason}) -> {error, Reason}.

%% A port's term, and the reason of its end, reach other connections too: what their clients could not decode is refused, as binary_to_term refuses it here.
a_term_that_others_could_not_decode_test_() ->
    with_daemon("terms", fun(D) ->
        S = connected(D),
        send(S, {open, open, 1, good, self(), "echo_drv", []}),
        {ok, open, _} = answer_but_events(S),
        [begin
             ?assertEqual({Name, badarg}, {Name, decoded(Bytes)}),
             send_with(S, {open, tag, 2, '$term', self(), "echo_drv", []}, Bytes),
             ?assertEqual({Name, {error, tag, {bad_request, open, 4}}}, {Name, answer(S)}),
             send_with(S, {grant, [{100, good}, {101, '$term'}]}, Bytes),
             ?assertMatch({Name, {fault, bad_request, _}}, {Name, answer(S)}),
             send_with(S, {exit, 1, self(), '$term'}, Bytes),
             ?assertMatch({Name, {fault, bad_request, _}}, {Name, answer(S)})
         end
         || {Name, Bytes} <- undecodable() ++ [{{nested, Name}, <<104, 2, 106, Bytes/binary>>} || {Name, Bytes} <- undecodable()]],
        logged(D, "warning \\[conn [0-9]+.*\\] bad_request: request open: element 4"),
        send(S, {info, tag, 1, name}),
        ?assertEqual({ok, tag, "echo_drv"}, answer(S))
    end).

%% As the reason of a port's end, and as its term, with which it answers.
a_term_that_others_can_decode_test_() ->
    with_daemon("terms", fun(D) ->
        S = connected(D),
        [begin
             {ok, Term} = decoded(Bytes),
             send_with(S, {open, tag, 1, '$term', self(), "echo_drv", [binary]}, Bytes),
             ?assertMatch({Name, {ok, tag, _}}, {Name, answer_but_events(S)}),
             send(S, {command, 1, self(), <<"x">>}),
             ?assertEqual({send, self(), {Term, {data, <<"x">>}}}, answer(S)),
             send_with(S, {exit, 1, self(), '$term'}, Bytes),
             ?assertEqual({exit, 1, Term}, answer(S)),
             ?assertEqual({closed, 1}, answer(S))
         end
         || {Name, Bytes} <- decodable()]
    end).

undecodable() ->
    Twice = fun(A, B) -> <<116, 2:32, A/binary, 106, B/binary, 106>> end,
    [{an_atom_twice, Twice(<<119, 1, "a">>, <<119, 1, "a">>)},
     {an_atom_in_two_encodings, Twice(<<100, 1:16, 228>>, <<119, 2, 195, 164>>)},
     {an_integer_in_two_encodings, Twice(<<97, 1>>, <<98, 1:32>>)},
     {a_small_integer_as_a_big_one, Twice(<<97, 1>>, <<110, 3, 0, 1, 0, 0>>)},
     {zeros_of_both_signs, Twice(<<70, 0:64>>, <<70, 1:1, 0:63>>)},
     {a_float_in_two_encodings, Twice(<<70, 1.5/float>>, (old_float("1.5")))},
     {a_string_and_a_list, Twice(<<107, 2:16, 1, 2>>, <<108, 2:32, 97, 1, 97, 2, 106>>)},
     {a_pid_in_two_encodings, Twice(<<88, 119, 1, "n", 1:32, 2:32, 3:32>>, <<103, 119, 1, "n", 1:32, 2:32, 3>>)},
     {maps_in_another_order, Twice(<<116, 2:32, 97, 1, 106, 97, 2, 106>>, <<116, 2:32, 97, 2, 106, 97, 1, 106>>)},
     {a_value_with_equal_keys, <<116, 1:32, 97, 1, (Twice(<<97, 1>>, <<97, 1>>))/binary>>},
     {a_float_that_is_none, old_float("  1.0")},
     {an_old_pid_of_a_large_creation, <<103, 119, 1, "n", 1:32, 2:32, 4>>},
     {an_old_port_of_a_large_creation, <<102, 119, 1, "n", 1:32, 4>>},
     {an_old_reference_of_a_large_creation, <<114, 1:16, 119, 1, "n", 4, 1:32>>},
     {an_old_reference_of_a_large_number, <<114, 1:16, 119, 1, "n", 1, (1 bsl 18):32>>}].

decodable() ->
    [{numbers_of_both_kinds, <<116, 2:32, 97, 1, 106, 70, 1.0/float, 106>>},
     {a_float_as_text, old_float("1.0")},
     {an_old_pid, <<103, 119, 1, "n", 1:32, 2:32, 3>>},
     {a_large_map, plain(maps:from_list([{N, N} || N <- lists:seq(1, 60)]))},
     {a_list_of_lists, plain([[], [[1 | 2]], "string", <<1:3>>])},
     {a_fun, plain(fun lists:map/2)},
     {no_elements_and_a_tail, <<108, 0:32, 97, 1>>}].

old_float(Text) ->
    <<99, (iolist_to_binary(Text))/binary, 0:((31 - length(Text)) * 8)>>.

decoded(Bytes) ->
    try {ok, binary_to_term(<<131, Bytes/binary>>)}
    catch error:badarg -> badarg
    end.

%% The request with Bytes for '$term' in it.
send_with(S, Request, Bytes) ->
    [Before, After] = binary:split(term_to_binary(Request), plain('$term')),
    ok = gen_tcp:send(S, packet(<<Before/binary, Bytes/binary, After/binary>>)).

plain(Term) ->
    <<131, Plain/binary>> = term_to_binary(Term),
    Plain.

answer_but_events(S) ->
    case answer(S) of
        {link, _, _} -> answer_but_events(S);
        Answer -> Answer
    end.

%% Bytes that end their connection.

bytes_that_are_no_frame_test_() ->
    [with_daemon(Name, fun(D) ->
         S = case State of new -> raw(D); hello -> connected(D) end,
         ok = gen_tcp:send(S, Bytes),
         {goodbye, Told, Text} = answer(S),
         ?assertEqual(Reason, Told),
         ?assertEqual({error, closed}, gen_tcp:recv(S, 0, ?TIMEOUT)),
         logged(D, ["warning \\[conn [0-9]+.*\\] ending the connection: ", Text])
     end)
     || {Name, State, Bytes, Reason} <-
            [{"too large", hello, <<134217729:32>>, frame_too_large},
             {"too large at once", new, <<134217729:32>>, frame_too_large},
             {"all ones", hello, binary:copy(<<255>>, 100), frame_too_large},
             {"another protocol", new, <<"GET / HTTP/1.1\r\n\r\n">>, frame_too_large},
             {"empty", hello, <<0:32>>, frame_empty},
             {"no term", hello, <<4:32, "junk">>, bad_term},
             {"no term at once", new, <<4:32, "junk">>, bad_term},
             {"a term that is cut", hello, <<3:32, 131, 104, 2>>, bad_term},
             {"a term and more", hello, <<4:32, 131, 97, 1, 0>>, bad_term},
             {"compressed", hello, packet(term_to_binary(lists:duplicate(1000, 0), [compressed])), bad_term},
             {"deep", hello, packet(term_to_binary({ping, nested(2000)})), bad_term},
             {"no hello", new, packet(term_to_binary({ping, 1})), bad_hello},
             {"another version", new, packet(term_to_binary({hello, 2, #{}})), bad_version}]].

a_stream_that_ends_within_a_frame_test_() ->
    [with_daemon("cut", fun(D) ->
         S = connected(D),
         ok = gen_tcp:send(S, Bytes),
         ok = gen_tcp:shutdown(S, write),
         ?assertEqual({error, closed}, gen_tcp:recv(S, 0, ?TIMEOUT)),
         logged(D, "warning \\[conn [0-9]+.*\\] the stream ends inside a frame")
     end)
     || Bytes <- [<<0, 0>>, <<100:32>>, <<100:32, 131, 104>>]].

%% As the client's library sees it: the reason of its host process has the text of goodbye.
the_client_ends_with_the_reason_told_test_() ->
    with_daemon("client", fun(D) ->
        Host = over_socket(D),
        Port = echo(Host),
        unlink(Port),
        [Portal, Process] = [monitor(process, P) || P <- [Port, Host]],
        ok = socket:send(socket_in(sys:get_state(Host)), <<4:32, "junk">>),
        receive {'DOWN', Portal, process, _, _} -> ok after ?TIMEOUT -> error(the_port_lives_on) end,
        {host_down, {goodbye, bad_term, Text}} =
            receive {'DOWN', Process, process, _, Reason} -> Reason after ?TIMEOUT -> error(the_host_lives_on) end,
        logged(D, ["ending the connection: ", Text])
    end).

%% What the host process writes to, wherever it keeps it.
socket_in({'$socket', _} = Socket) -> Socket;
socket_in(Tuple) when is_tuple(Tuple) -> socket_in(tuple_to_list(Tuple));
socket_in([H | T]) -> case socket_in(H) of none -> socket_in(T); Socket -> Socket end;
socket_in(_) -> none.

%% The daemon.

with_daemon(Name, Test) ->
    {Name, {timeout, 60, fun() ->
        Trap = process_flag(trap_exit, true),  % the end of the daemon is a failure, not the end of this process
        D = start(),
        try
            Test(D),
            works(D#daemon.near),
            works(D#daemon.far)
        after
            stop(D),
            process_flag(trap_exit, Trap)
        end
    end}}.

start() ->
    Dir = filename:join(os:getenv("TMPDIR", "/tmp"), lists:concat(["porthost-badinput-", os:getpid(), "-", erlang:unique_integer([positive])])),
    ok = file:make_dir(Dir),
    write_files(Dir),
    D = #daemon{dir = Dir, log = filename:join(Dir, "log"), socket = filename:join(Dir, "socket")},
    Command = ["exec ", program(), " --stdio --unix ", D#daemon.socket, " --driver-path ", drivers(), ":", probes(),
               " --log-level info 2>", D#daemon.log],
    {ok, Host} = porthost:start(#{transport => {spawn, lists:flatten(["sh -c '", Command, "'"])}, name => porthost}),
    Other = over_socket(D),
    D#daemon{host = Host, other = Other, near = echo(Host), far = echo(Other)}.

stop(#daemon{host = Host, other = Other, near = Near, far = Far, dir = Dir}) ->
    [unlink(P) || P <- [Near, Far]],
    [catch porthost:stop(H) || H <- [Other, Host]],
    ok = file:del_dir_r(Dir).

over_socket(#daemon{socket = Socket}) ->
    {ok, Host} = porthost:start(#{transport => {unix, Socket}}),
    Host.

echo(Host) ->
    porthost:open_port(Host, {spawn_driver, "echo_drv"}, [binary]).

works(Port) ->
    true = porthost:port_command(Port, <<"still there">>),
    ?assertEqual(<<"still there">>, receive {Port, {data, Data}} -> Data after ?TIMEOUT -> timeout end).

write_files(Dir) ->
    {ok, Whole} = file:read_file(filename:join(drivers(), "echo_drv.so")),
    [ok = file:write_file(filename:join(Dir, Name), Bytes)
     || {Name, Bytes} <- [{"text_drv.so", binary:copy(<<"this is no driver\n">>, 100)}, {"empty_drv.so", <<>>},
                          {"cut_drv.so", binary:part(Whole, 0, 256)}]].

%% A line of the log, waited for: the log is written by another process.
logged(D, Pattern) ->
    logged(D, ["^[^\n]*", Pattern], erlang:monotonic_time(millisecond) + ?TIMEOUT).

logged(#daemon{log = File} = D, Pattern, End) ->
    {ok, Text} = file:read_file(File),
    case {re:run(Text, Pattern, [multiline]), erlang:monotonic_time(millisecond) < End} of
        {{match, _}, _} -> ok;
        {nomatch, true} -> timer:sleep(20), logged(D, Pattern, End);
        {nomatch, false} -> error({not_in_the_log, lists:flatten(io_lib:format("~ts", [Pattern])), Text})
    end.

program() ->
    os:getenv("PORTHOSTD", "build/porthostd").

drivers() ->
    filename:absname(filename:join(filename:dirname(program()), "drivers")).

probes() ->
    filename:absname(filename:join([filename:dirname(program()), "tests", "drivers"])).

place(probes, _) -> probes();
place(scratch, #daemon{dir = Dir}) -> Dir.

%% The VM and the host.

%% Raises the reason in both.
same_error(Reason, Fun) ->
    ?assertEqual({vm, {error, Reason}}, {vm, outcome(fun() -> Fun(erlang) end)}),
    ?assertEqual({porthost, {error, Reason}}, {porthost, outcome(fun() -> Fun(porthost) end)}).

outcome(Fun) ->
    try {ok, Fun()}
    catch error:Reason -> {error, Reason}
    end.

%% With the probe driver loaded in both.
loaded(Name, Fun) ->
    [ok = M:load(probes(), Name) || M <- [erl_ddll, porthost_ddll]],
    try Fun()
    after
        [ok = M:unload(Name) || M <- [erl_ddll, porthost_ddll]]
    end.

on_port(M, Driver, Call) ->
    Port = M:open_port({spawn_driver, Driver}, []),
    try Call(M, Port)
    after
        catch M:port_close(Port)
    end.

%% A connection without the client's library.

raw(#daemon{socket = Socket}) ->
    {ok, S} = gen_tcp:connect({local, Socket}, 0, [binary, {active, false}, {packet, raw}]),
    S.

connected(D) ->
    S = raw(D),
    send(S, {hello, 1, #{}}),
    {hello, 1, _} = answer(S),
    S.

packet(Bin) ->
    <<(byte_size(Bin)):32, Bin/binary>>.

send(S, Term) ->
    ok = gen_tcp:send(S, packet(term_to_binary(Term))).

answer(S) ->
    {ok, <<Length:32>>} = gen_tcp:recv(S, 4, ?TIMEOUT),
    {ok, Bin} = gen_tcp:recv(S, Length, ?TIMEOUT),
    binary_to_term(Bin).

still_answered(S) ->
    send(S, {ping, still_there}),
    ?assertEqual({ok, still_there, pong}, answer(S)).

nested(0) -> [];
nested(N) -> [nested(N - 1)].
