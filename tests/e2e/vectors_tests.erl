%% SPDX-License-Identifier: Apache-2.0
%% Sends every golden vector of proto/vectors to a daemon of its own and looks at what comes back. Run from the top
%% directory; PORTHOSTD is the daemon (default build/porthostd), its drivers are in the directory drivers beside it.
%%
%% The daemon is started as a port in stream mode, not {packet,4}: the lengths in front of frames are part of the vectors.
-module(vectors_tests).
-include_lib("eunit/include/eunit.hrl").

-define(TIMEOUT, 5000).
%% The faults after which the host ends the connection.
-define(ENDS, ["frame_empty", "frame_too_large", "bad_term", "bad_hello", "bad_version"]).

-record(daemon, {port :: port(), buffer = <<>> :: binary()}).

frames_from_the_client_test_() ->
    [{Name, {timeout, 30, fun() -> run(Entry) end}} || #{name := Name} = Entry <- entries(), is_sent(Entry)].

frames_from_the_host_are_what_their_terms_say_test_() ->
    [{Name, fun() -> ?assertEqual(vectors:frame(Term), Hex) end}
     || #{name := Name, term := Term, hex := Hex} = Entry <- entries(), not is_sent(Entry)].

frames_cut_into_single_bytes_are_put_together_test_() ->
    {timeout, 30, fun() ->
        D = start(),
        [begin send(D, <<Byte>>), timer:sleep(1) end
         || Text <- ["{hello, 1, #{}}", "{ping, {a, \"tag\"}}"], <<Byte>> <= vectors:frame(Text)],
        stop(expect(D, ["{hello, 1, _}", "{ok, {a, \"tag\"}, pong}"]))
    end}.

many_frames_in_one_write_are_answered_in_order_test_() ->
    {timeout, 30, fun() ->
        D = start(),
        Requests = [hello(), load(), open(), "{command, 7, Caller, <<\"abc\">>}", "{control, 2, 7, Caller, 0, <<\"def\">>}",
                    "{close, 3, 7, Caller}"],
        send(D, [vectors:frame(R) || R <- Requests]),
        stop(expect(D, ["{hello, 1, _}", "{ok, setup, loaded}", "{ok, setup, _}", "{send, Owner, {Port, {data, \"abc\"}}}",
                        "{ok, 2, \"def\"}", "{exit, 7, normal}", "{ok, 3, true}"]))
    end}.

a_host_that_is_terminated_says_goodbye_test_() ->
    {timeout, 30, fun() ->
        D = prepare("hello", start()),
        {os_pid, Pid} = erlang:port_info(D#daemon.port, os_pid),
        os:cmd("kill -TERM " ++ integer_to_list(Pid)),
        expect_end(expect(D, ["{goodbye, shutdown, _}"]))
    end}.

%% Section 9 of PROTOCOL.md, as it stands there but for the paths.
the_session_in_the_protocol_text_works_test_() ->
    {timeout, 30, fun() ->
        {ok, Text} = file:read_file("proto/PROTOCOL.md"),
        [_, Section] = string:split(Text, "\n## 9. "),
        Lines = [L || <<"    ", L/binary>> <- binary:split(Section, <<"\n">>, [global])],
        Code = re:replace(re:replace(lists:join("\n", Lines), "build/porthostd", program()), "build/drivers", drivers()),
        ?assert(vectors:eval(string:trim(lists:flatten(io_lib:format("~ts", [Code])), trailing, ".\n"), #{}))
    end}.

entries() ->
    case vectors:read_all("proto/vectors") of
        [] -> error(no_vectors);
        Entries -> Entries
    end.

is_sent(#{file := "request-" ++ _}) -> true;
is_sent(#{file := "fault-" ++ _}) -> true;
is_sent(_) -> false.

run(#{'end' := "yes", needs := Needs, hex := Hex, answer := Answers}) ->
    Before = [vectors:frame(hello()) || Needs =/= "nothing"],
    D = expect(start_on_file([Before, Hex]), ["{hello, 1, _}" || Before =/= []] ++ Answers),
    expect_end(D);
run(#{needs := Needs, hex := Hex, answer := Answers} = Entry) ->
    D = prepare(Needs, start()),
    send(D, Hex),
    Answered = expect(D, Answers),
    case lists:member(maps:get(fault, Entry, ""), ?ENDS) of
        true -> expect_end(Answered);
        false -> expect_alive(Answered)
    end.

prepare("nothing", D) -> D;
prepare("hello", D) -> request(D, hello(), "{hello, 1, _}");
prepare("driver", D) -> request(prepare("hello", D), load(), "{ok, setup, loaded}");
prepare("port", D) -> request(prepare("driver", D), open(), "{ok, setup, _}").

hello() -> "{hello, 1, #{self => Owner}}".

open() -> "{open, setup, 7, Port, Owner, \"echo_drv\", []}".

load() ->
    lists:flatten(io_lib:format("{load, setup, Owner, Ref, ~p, echo_drv, []}", [drivers()])).

drivers() ->
    filename:absname(filename:join(filename:dirname(program()), "drivers")).

request(D, Text, Answer) ->
    send(D, vectors:frame(Text)),
    expect(D, [Answer]).

expect_alive(D) ->
    stop(request(D, "{ping, still_alive}", "{ok, still_alive, pong}")).

%% The stream ends without another frame.
expect_end(D) ->
    ?assertMatch({ended, _}, next(D)).

program() ->
    os:getenv("PORTHOSTD", "build/porthostd").

start() ->
    Port = open_port({spawn_executable, program()}, [{args, ["--stdio"]}, stream, binary, exit_status]),
    #daemon{port = Port}.

%% The daemon reads the bytes through a pipe, then the end of the stream.
start_on_file(Bytes) ->
    File = filename:join(os:getenv("TMPDIR", "/tmp"), "porthost-vector-" ++ os:getpid()),
    ok = file:write_file(File, Bytes),
    Port = open_port({spawn_executable, "/bin/sh"},
                     [{args, ["-c", "cat \"$1\" | \"$2\" --stdio; rm -f \"$1\"", "sh", File, program()]}, stream, binary, exit_status]),
    #daemon{port = Port}.

stop(#daemon{port = Port}) ->
    port_close(Port).

send(#daemon{port = Port}, Bytes) ->
    true = port_command(Port, Bytes).

%% Frames that match the patterns come in their order. Others may come between them (events that are not what this vector is
%% about), but no refusal that is not expected.
expect(D, []) ->
    D;
expect(D, [Pattern | Patterns]) ->
    case next(D) of
        {frame, Term, D1} ->
            case vectors:matches(Pattern, Term) of
                true -> expect(D1, Patterns);
                false -> ?assertNot(is_refusal(Term), {Term, instead_of, Pattern}), expect(D1, [Pattern | Patterns])
            end;
        Other ->
            error({Other, instead_of, Pattern})
    end.

is_refusal({Kind, _, _}) -> lists:member(Kind, [error, fault, goodbye]);
is_refusal(_) -> false.

next(#daemon{buffer = <<Length:32, Bin:Length/binary, Rest/binary>>} = D) ->
    {Term, Length} = binary_to_term(Bin, [used]),
    {frame, Term, D#daemon{buffer = Rest}};
next(#daemon{port = Port, buffer = Buffer} = D) ->
    receive
        {Port, {data, Data}} -> next(D#daemon{buffer = <<Buffer/binary, Data/binary>>});
        {Port, {exit_status, Status}} when Buffer =:= <<>> -> {ended, Status};
        {Port, {exit_status, Status}} -> {ended_within_a_frame, Status}
    after ?TIMEOUT ->
        timeout
    end.
