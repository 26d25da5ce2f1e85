%% SPDX-License-Identifier: Apache-2.0
%% The cookie over TCP, from both ends: who proves it is served, who does not is told so late and costs little. Clients that are to fail come from loopback
%% addresses of their own, so that none waits for the failures of another.
-module(auth_tests).
-include_lib("eunit/include/eunit.hrl").

-define(COOKIE, <<"a cookie of the tests">>).
-define(TIMEOUT, 10000).

%% --- who knows the cookie ---

an_erlang_node_that_knows_the_cookie_is_served_test_() ->
    with_host(fun(D) ->
        [begin
             {ok, Host} = porthost:start_link(#{transport => transport(D), cookie => Cookie}),
             Port = porthost:open_port(Host, {spawn, "echo_drv"}, [binary]),
             Port ! {self(), {command, <<"hello">>}},
             ?assertEqual({Port, {data, <<"hello">>}}, receive M -> M after ?TIMEOUT -> timeout end),
             true = porthost:port_close(Port),
             ok = porthost:stop(Host)
         end || Cookie <- [?COOKIE, {file, cookie_file(D)}]]
    end).

what_the_hello_says_takes_effect_after_the_proof_test_() ->
    with_host(fun(D) ->
        {S, _} = prove(D, 1, #{name => <<"by hand">>, self => self()}),
        ?assertEqual({ok, pong}, raw_client:request(S, {ping, 1})),
        raw_client:logged(D, "by hand\\] hello from 127\\.0\\.1\\.1:")
    end).

%% What is freed is overwritten at once in that daemon. (A message would go to the first connection if that spoke for the node.)
the_hello_is_read_while_it_is_kept_test_() ->
    {setup, fun() -> os:putenv("GLIBC_TUNABLES", "glibc.malloc.tcache_count=0:glibc.malloc.perturb=165") end, fun(_) -> os:unsetenv("GLIBC_TUNABLES") end,
     with_host(fun(D) ->
         Nobody = raw_client:pid('nonode@nohost', 77),
         {Proven, _} = prove(D, 1, #{self => Nobody}),
         Other = raw_client:connect(D, #{self => raw_client:pid('other@h', 1)}),
         ok = raw_client:open(Other, 1, "soak_probe_drv"),
         raw_client:send(Other, {control, c, 1, Nobody, 2, <<4711:32>>}),
         ?assertEqual({send, Nobody, 4711}, raw_client:until(Other, fun(F) -> lists:member(element(1, F), [send, ok]) end)),
         ?assertEqual({ok, pong}, raw_client:request(Proven, {ping, 1}))
     end)}.

a_frame_may_be_large_after_the_hello_test_() ->
    with_host(fun(D) ->
        {S, _} = prove(D, 1, #{}),
        Large = binary:copy(<<"x">>, 100000),
        ?assertMatch({error, {bad_request, _, _}}, raw_client:request(S, {open, 1, Large}))
    end).

with_a_cookie_other_than_loopback_addresses_may_be_listened_on_test_() ->
    with_host("0.0.0.0:0", [], fun(D) ->
        {ok, Host} = porthost:start_link(#{transport => transport(D), cookie => ?COOKIE}),
        ok = porthost:stop(Host)
    end).

%% --- who does not ---

an_erlang_node_that_does_not_know_the_cookie_is_refused_test_() ->
    with_host(fun(D) ->
        ?assertMatch({error, {porthost, {goodbye, bad_auth, _}}},
                     porthost:start_link(#{transport => transport(D), cookie => <<"another cookie of the tests">>})),
        ?assertMatch({error, {porthost, {goodbye, auth_required, _}}}, porthost:start_link(#{transport => transport(D)})),
        raw_client:logged(D, "^warning \\[conn [0-9]+ 127\\.0\\.0\\.1:[0-9]+\\] ending the connection: the client does not know the cookie")
    end).

frames_that_prove_nothing_end_the_connection_test_() ->
    Entries = [E || #{file := "auth-exchange.txt", fault := _} = E <- vectors:read_all("proto/vectors")],
    ?assertMatch([_, _ | _], Entries),
    with_host(fun(D) -> lists:foldl(fun(E, N) -> refused_frame(D, N, E), N + 1 end, 1, Entries) end).

refused_frame(D, N, #{needs := Needs, hex := Hex, answer := [Pattern]}) ->
    S = connect(D, N),
    Needs =:= "challenge" andalso challenge(S, #{}),
    ok = inet:setopts(S, [{packet, raw}]),
    ok = gen_tcp:send(S, Hex),
    ok = inet:setopts(S, [{packet, 4}]),
    Answer = raw_client:next(S),
    ?assert(vectors:matches(Pattern, Answer)),
    ?assertEqual(closed, raw_client:next(S)).

an_answer_is_good_for_one_connection_test_() ->
    with_host(fun(D) ->
        Nonce = crypto:strong_rand_bytes(32),
        First = connect(D, 1),
        Theirs = challenge(First, #{}, Nonce),
        Proof = proof("client", Nonce, Theirs),
        raw_client:send(First, {auth, Proof}),
        ?assertMatch({hello, 1, #{auth := _}}, raw_client:next(First)),
        Second = connect(D, 2),
        ?assertNotEqual(Theirs, challenge(Second, #{}, Nonce)),
        raw_client:send(Second, {auth, Proof}),
        ended(Second, bad_auth)
    end).

what_a_host_would_answer_is_no_answer_of_a_client_test_() ->
    with_host(fun(D) ->
        Nonce = crypto:strong_rand_bytes(32),
        S = connect(D, 1),
        Theirs = challenge(S, #{}, Nonce),
        raw_client:send(S, {auth, proof("host", Nonce, Theirs)}),
        ended(S, bad_auth)
    end).

each_failure_of_an_address_is_answered_later_while_others_are_served_test_() ->
    with_host(fun(D) ->
        Other = raw_client:connect(D),
        Wait = fun(N) ->
            S = connect(D, N),
            Begin = erlang:monotonic_time(millisecond),
            raw_client:send(S, {hello, 1, #{}}),
            ?assertEqual({ok, pong}, raw_client:request(Other, {ping, 1})),
            ended(S, auth_required),
            erlang:monotonic_time(millisecond) - Begin
        end,
        [?assert(Ms >= Least) || {Ms, Least} <- lists:zip([Wait(1) || _ <- [1, 2, 3]] ++ [Wait(2)], [490, 990, 1990, 490])]
    end).

who_waits_for_an_answer_does_not_keep_the_host_from_ending_test_() ->
    with_host(fun(D) ->
        Waiting = [begin S = connect(D, 1), raw_client:send(S, {hello, 1, #{}}), S end || _ <- lists:seq(1, 8)],
        raw_client:logged(D, "(?s)(must prove.*){8}"),
        os:cmd("kill " ++ integer_to_list(raw_client:os_pid(D))),
        [?assertMatch({goodbye, auth_required, _}, raw_client:next(S, 5000)) || S <- Waiting]
    end).

%% --- limits ---

who_says_no_hello_in_time_is_ended_test_() ->
    with_host("127.0.0.1:0", [{hello_s, 1}], fun(D) ->
        Nothing = connect(D, 1),
        Half = connect(D, 2),
        ok = inet:setopts(Half, [{packet, raw}]),
        ok = gen_tcp:send(Half, <<0, 0, 0, 40, 131, 104>>),
        ok = inet:setopts(Half, [{packet, 4}]),
        NoAnswer = connect(D, 3),
        challenge(NoAnswer, #{}),
        [ended(S, hello_timeout) || S <- [Nothing, Half, NoAnswer]],
        ?assertEqual([3], raw_client:stats(raw_client:connect(D), [limit_hello_s]))
    end).

bytes_that_come_slowly_win_no_time_test_() ->
    with_host("127.0.0.1:0", [{hello_s, 1}], fun(D) ->
        S = connect(D, 1),
        ok = inet:setopts(S, [{packet, raw}]),
        Drip = spawn_link(fun() -> drip(S, <<0, 0, 1, 0, (binary:copy(<<131>>, 200))/binary>>) end),
        {ok, <<Length:32>>} = gen_tcp:recv(S, 4, ?TIMEOUT),
        {ok, Frame} = gen_tcp:recv(S, Length, ?TIMEOUT),
        ?assertMatch({goodbye, hello_timeout, _}, binary_to_term(Frame)),
        unlink(Drip),
        exit(Drip, kill)
    end).

drip(_, <<>>) -> ok;
drip(S, <<Byte, More/binary>>) ->
    _ = gen_tcp:send(S, <<Byte>>),
    timer:sleep(100),
    drip(S, More).

who_has_said_hello_has_all_the_time_test_() ->
    with_host("127.0.0.1:0", [{hello_s, 1}], fun(D) ->
        {S, _} = prove(D, 1, #{}),
        timer:sleep(1500),
        ?assertEqual({ok, pong}, raw_client:request(S, {ping, 1}))
    end).

a_hello_that_is_too_large_is_not_read_test_() ->
    with_host("127.0.0.1:0", [{hello_bytes, 1024}], fun(D) ->
        S = connect(D, 1),
        ok = inet:setopts(S, [{packet, raw}]),
        ok = gen_tcp:send(S, <<1025:32>>),
        ok = inet:setopts(S, [{packet, 4}]),
        ended(S, frame_too_large),
        Name = binary:copy(<<"n">>, 2000),
        T = connect(D, 2),
        raw_client:send(T, {hello, 1, #{Name => Name}}),
        ended(T, frame_too_large)
    end).

more_connections_without_hello_than_there_may_be_are_closed_test_() ->
    with_host("127.0.0.1:0", [{hello_connections, 2}], fun(D) ->
        {Known, _} = prove(D, 1, #{}),
        First = connect(D, 2),
        Second = connect(D, 2),
        challenge(First, #{}),
        challenge(Second, #{}),
        ?assertEqual(closed, raw_client:next(connect(D, 2))),
        Unix = raw_client:connect(D),
        ?assertEqual([1], raw_client:stats(Unix, [limit_hello_connections])),
        ?assertEqual({ok, pong}, raw_client:request(Known, {ping, 1})),
        gen_tcp:close(First),
        raw_client:eventually(fun() ->
            S = connect(D, 3),
            _ = gen_tcp:send(S, term_to_binary({hello, 1, #{auth => <<0:256>>}})),
            is_tuple(raw_client:next(S))
        end)
    end).

the_limits_are_for_hosts_without_a_cookie_too_test_() ->
    with_host(none, "127.0.0.1:0", [{hello_s, 1}, {hello_connections, 1}], fun(D) ->
        raw_client:logged(D, "without a cookie_file every user of this machine can connect"),
        S = connect(D, 1),
        raw_client:eventually(fun() -> raw_client:next(connect(D, 1), 1000) =:= closed end),
        ended(S, hello_timeout),
        {ok, Host} = porthost:start_link(#{transport => transport(D)}),
        ok = porthost:stop(Host)
    end).

%% --- hosts that do not know it ---

a_host_that_asks_for_no_proof_is_not_used_test() ->
    with_false_host(fun(_) -> [porthost_fake:hello()] end, not_proven).

a_host_that_shows_us_our_own_proof_is_not_used_test() ->
    with_false_host(fun({hello, 1, #{auth := Nonce}}) -> [{challenge, Nonce}];
                       ({auth, Proof}) -> [with_auth(Proof)]
                    end, not_proven).

a_host_with_another_cookie_is_not_used_test() ->
    with_false_host(fun({hello, 1, _}) -> [{challenge, <<0:256>>}];
                       ({auth, _}) -> [with_auth(crypto:strong_rand_bytes(32))]
                    end, not_proven).

a_host_that_shows_something_else_is_not_used_test() ->
    with_false_host(fun({hello, 1, _}) -> [{challenge, <<0:256>>}];
                       ({auth, _}) -> [with_auth(proof)]
                    end, not_proven).

a_host_that_asks_twice_is_not_used_test() ->
    with_false_host(fun(_) -> [{challenge, <<0:256>>}] end, not_a_host).

a_host_that_asks_with_something_else_is_not_used_test() ->
    with_false_host(fun(_) -> [{challenge, <<0:248>>}] end, not_a_host).

a_host_that_asks_who_has_no_cookie_is_not_used_test() ->
    with_false_host(fun(_) -> [{challenge, <<0:256>>}] end, none, not_a_host).

with_auth(Proof) ->
    {hello, 1, Items} = porthost_fake:hello(),
    {hello, 1, Items#{auth => Proof}}.

with_false_host(Answer, Why) ->
    with_false_host(Answer, ?COOKIE, Why).

with_false_host(Answer, Cookie, Why) ->
    {ok, L} = gen_tcp:listen(0, [binary, {packet, 4}, {active, false}, {ip, {127, 0, 0, 1}}]),
    {ok, Number} = inet:port(L),
    spawn_link(fun() -> {ok, S} = gen_tcp:accept(L), false_host(S, Answer) end),
    Options = #{transport => {tcp, {127, 0, 0, 1}, Number}},
    ?assertEqual({error, {porthost, Why}},
                 porthost:start_link(case Cookie of none -> Options; _ -> Options#{cookie => Cookie} end)),
    gen_tcp:close(L).

false_host(S, Answer) ->
    case gen_tcp:recv(S, 0) of
        {ok, Frame} ->
            [_ = gen_tcp:send(S, term_to_binary(T)) || T <- Answer(binary_to_term(Frame))],
            false_host(S, Answer);
        {error, _} ->
            ok
    end.

%% --- what the Erlang client takes for a cookie ---

a_cookie_that_cannot_be_one_is_a_bad_option_test_() ->
    Tcp = #{transport => {tcp, "localhost", 1}},
    [?_assertEqual({error, {porthost, {bad_option, cookie}}}, porthost:start_link(Options))
     || Options <- [Tcp#{cookie => C} || C <- [<<"too short">>, binary:copy(<<"x">>, 1025), <<"with a \0 in its middle">>, "a list of characters",
                                               none, {file, 1}]]
                   ++ [#{transport => {unix, "/x"}, cookie => ?COOKIE}, #{transport => {spawn, "x"}, cookie => ?COOKIE}]].

a_file_that_cannot_be_used_is_named_before_there_is_a_connection_test_() ->
    {setup, fun temporary/0, fun file:del_dir_r/1, fun(Dir) ->
        [{atom_to_list(Why), fun() ->
             File = filename:join(Dir, Why),
             ok = Make(File),
             ?assertEqual({error, {porthost, {cookie, Why}}},
                          porthost:start_link(#{transport => {tcp, "localhost", 1}, cookie => {file, File}}))
         end}
         || {Why, Make} <- [{enoent, fun(_) -> ok end},
                            {not_regular, fun file:make_dir/1},
                            {not_private, fun(F) -> write(F, ?COOKIE, 8#640) end},
                            {bad_cookie, fun(F) -> write(F, "", 8#600) end}]
                           ++ [{not_owner, fun(F) -> ok = write(F, ?COOKIE, 8#600), file:change_owner(F, 65534) end} || is_root()]]
    end}.

is_root() ->
    os:cmd("id -u") =:= "0\n".

%% --- helpers ---

temporary() ->
    Dir = filename:join(os:getenv("TMPDIR", "/tmp"), lists:concat(["porthost-auth-", os:getpid(), "-", erlang:unique_integer([positive])])),
    ok = file:make_dir(Dir),
    Dir.

write(File, Text, Mode) ->
    ok = file:write_file(File, Text),
    file:change_mode(File, Mode).

with_host(Test) ->
    with_host("127.0.0.1:0", [], Test).

with_host(Address, Limits, Test) ->
    with_host(?COOKIE, Address, Limits, Test).

%% An EUnit test with a daemon that listens on that address, with limits of its configuration, and must have ended well afterwards.
with_host(Cookie, Address, Limits, Test) ->
    {timeout, 60, fun() ->
        Dir = temporary(),
        try
            D = start(Dir, Cookie, Address, Limits),
            try Test(D) after ?assertEqual(0, raw_client:stop(D)) end
        after
            ok = file:del_dir_r(Dir)
        end
    end}.

start(Dir, Cookie, Address, Limits) ->
    Config = filename:join(Dir, "config"),
    ok = file:write_file(Config, ["{\"limits\": {", lists:join(",", [io_lib:format("\"~s\": ~b", [K, V]) || {K, V} <- Limits]), "}}"]),
    File = filename:join(Dir, "cookie"),
    ok = write(File, if Cookie =:= none -> ""; true -> [Cookie, "\n"] end, 8#600),
    D = raw_client:start(["--config", Config, "--log-level", "info", "--tcp", Address] ++ [A || Cookie =/= none, A <- ["--cookie-file", File]]),
    raw_client:logged(D, "listening on tcp"),
    {match, [Number]} = re:run(raw_client:log(D), "listening on tcp .*:([0-9]+)", [{capture, all_but_first, list}]),
    D#{tcp => list_to_integer(Number), cookie_file => File}.

transport(#{tcp := Number}) -> {tcp, {127, 0, 0, 1}, Number}.

cookie_file(#{cookie_file := File}) -> File.

%% From the Nth of some addresses.
connect(#{tcp := Number}, N) ->
    {ok, S} = gen_tcp:connect({127, 0, 0, 1}, Number, [binary, {packet, 4}, {active, false}, {ip, {127, 0, 1, N}}]),
    S.

challenge(S, Options) ->
    challenge(S, Options, crypto:strong_rand_bytes(32)).

%% Says hello; the host's nonce.
challenge(S, Options, Nonce) ->
    raw_client:send(S, {hello, 1, Options#{auth => Nonce}}),
    {challenge, <<Theirs:32/binary>>} = raw_client:next(S),
    Theirs.

proof(Role, Ours, Theirs) ->
    crypto:mac(hmac, sha256, ?COOKIE, ["porthost 1 ", Role, 0, Ours, Theirs]).

%% A connection on which both have proven themselves, and the host's hello.
prove(D, N, Options) ->
    S = connect(D, N),
    Nonce = crypto:strong_rand_bytes(32),
    Theirs = challenge(S, Options, Nonce),
    raw_client:send(S, {auth, proof("client", Nonce, Theirs)}),
    {hello, 1, #{auth := Shown} = Hello} = raw_client:next(S),
    ?assertEqual(proof("host", Nonce, Theirs), Shown),
    {S, Hello}.

ended(S, Reason) ->
    ?assertMatch({goodbye, Reason, _}, raw_client:next(S)),
    ?assertEqual(closed, raw_client:next(S)).
