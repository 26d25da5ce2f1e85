%% SPDX-License-Identifier: Apache-2.0
%% How frames get into a connection, whoever writes, however slowly the host reads, and however
%% the writing ends. The host is this test: it greets, and from then on reads when it likes.
-module(porthost_write_tests).

-include_lib("eunit/include/eunit.hrl").
-include("../../proto/erlang/src/porthost.hrl").

-define(MIB, 1048576).

%% Tests, for each kind of socket.

over(Kinds, Seconds, Test) ->
    [{atom_to_list(Kind),
      {timeout, Seconds,
       fun() ->
               process_flag(trap_exit, true),
               {Host, Via, Socket} = connect(Kind),
               try Test(Host, Via, Socket)
               after
                   gen_tcp:close(Socket),
                   catch porthost:stop(Host)
               end
       end}} || Kind <- Kinds].

connect(Kind) ->
    {Listener, Transport} = listen(Kind),
    Test = self(),
    Greeter = spawn_link(fun() ->
                                 Socket = accept_and_greet(Listener),
                                 ok = gen_tcp:controlling_process(Socket, Test),
                                 Test ! {self(), Socket}
                         end),
    {ok, Host} = porthost:start_link(#{transport => Transport}),
    Accepted = receive {Greeter, Socket} -> Socket after 5000 -> error(timeout) end,
    receive {'EXIT', Greeter, normal} -> ok end,
    gen_tcp:close(Listener),
    remove(Transport),
    #host{via = Via} = porthost_registry:lookup(Host),
    {Host, Via, Accepted}.

listen(unix) ->
    Name = ["write-", os:getpid(), $-, integer_to_list(erlang:unique_integer([positive]))],
    Path = filename:join(os:getenv("TMPDIR", "/tmp"), lists:flatten(Name)),
    {ok, Listener} = listen_at([{ifaddr, {local, Path}}]),
    {Listener, {unix, Path}};
listen(tcp) ->
    {ok, Listener} = listen_at([{ip, {127, 0, 0, 1}}]),
    {ok, Number} = inet:port(Listener),
    {Listener, {tcp, {127, 0, 0, 1}, Number}}.

remove({unix, Path}) -> ok = file:delete(Path);
remove({tcp, _, _}) -> ok.

listen_at(Where) ->
    gen_tcp:listen(0, [binary, {packet, raw}, {active, false} | Where]).

tell(Socket, Term) ->
    Frame = term_to_binary(Term),
    gen_tcp:send(Socket, [<<(byte_size(Frame)):32>>, Frame]).

%% A frame all of whose bytes tell whose it is, so that a stray byte is seen.
frame(Sender, Number, Size) ->
    [<<Sender:32, Number:32>>, binary:copy(<<Sender>>, Size)].

%% The sender, the number and the size of the next frame, if it is one.
read(Socket) ->
    read_rest(Socket, read_head(Socket)).

read_head(Socket) ->
    {ok, <<Size:32, Sender:32, Number:32>>} = gen_tcp:recv(Socket, 12, 10000),
    {Sender, Number, Size - 8}.

read_rest(Socket, {Sender, _, Size} = Head) ->
    check(Socket, Sender, Size),
    Head.

check(_, _, 0) ->
    ok;
check(Socket, Sender, Size) ->
    Part = min(Size, ?MIB),
    {ok, Bytes} = gen_tcp:recv(Socket, Part, 10000),
    ?assertEqual(binary:copy(<<Sender>>, Part), Bytes),
    check(Socket, Sender, Size - Part).

%% A sender's results, and what is in its mailbox when it is done.
sender(Via, Frames) ->
    spawn_monitor(fun() ->
                          Results = [porthost_wire:write(Via, Frame) || Frame <- Frames],
                          {messages, Left} = process_info(self(), messages),
                          exit({Results, Left})
                  end).

result({Pid, Ref}) ->
    receive {'DOWN', Ref, process, Pid, Result} -> Result after 10000 -> error(timeout) end.

%% Until a sender waits: for the writer, for else it has nothing to wait for.
await_blocked({Pid, _}) ->
    porthost_fake:until(fun() -> process_info(Pid, status) =:= {status, waiting} end),
    timer:sleep(20),
    ?assertEqual({status, waiting}, process_info(Pid, status)).


sizes(Sender) ->
    [case (Sender + N) rem 20 of
         0 -> ?MIB + N;
         1 -> 32760 - 8 - N rem 12;     % about as much as a sender writes itself
         2 -> 100000;
         _ -> N
     end || N <- lists:seq(1, 100)].

frames_of_many_senders_do_not_mix_test_() ->
    over([unix, tcp], 60, fun(_, Via, Socket) ->
        Senders = lists:seq(1, 8),
        Started = [sender(Via, [frame(Sender, N, Size)
                                || {N, Size} <- lists:enumerate(sizes(Sender))])
                   || Sender <- Senders],
        Read = [slowly(read(Socket)) || _ <- lists:seq(1, 8 * 100)],
        [?assertEqual(lists:enumerate(sizes(Sender)),
                      [{N, Size} || {From, N, Size} <- Read, From =:= Sender])
         || Sender <- Senders],
        [?assertEqual({lists:duplicate(100, true), []}, result(One)) || One <- Started]
    end).

slowly({_, Number, _} = Frame) ->
    Number rem 10 =:= 0 andalso timer:sleep(1),
    Frame.

frames_of_64_mib_do_not_mix_test_() ->
    over([unix, tcp], 60, fun(_, Via, Socket) ->
        Big = sender(Via, [frame(1, 1, 64 * ?MIB)]),
        await_blocked(Big),
        Others = [sender(Via, [frame(Sender, 1, 10), frame(Sender, 2, 64 * ?MIB)])
                  || Sender <- [2, 3]],
        ?assertEqual({1, 1, 64 * ?MIB}, read(Socket)),
        ?assertEqual([{2, 1, 10}, {2, 2, 64 * ?MIB}, {3, 1, 10}, {3, 2, 64 * ?MIB}],
                     lists:sort([read(Socket) || _ <- lists:seq(1, 4)])),
        [?assertMatch({[true | _], []}, result(Sender)) || Sender <- [Big | Others]]
    end).

a_frame_of_many_binaries_arrives_whole_test_() ->
    over([unix, tcp], 20, fun(_, Via, Socket) ->
        Parts = [binary:copy(<<7>>, N rem 70) || N <- lists:seq(1, 5000)],
        Sender = sender(Via, [[<<7:32, 1:32>> | Parts]]),
        ?assertEqual({7, 1, iolist_size(Parts)}, read(Socket)),
        ?assertEqual({[true], []}, result(Sender))
    end).

%% Whatever a killed sender had begun to write is written to its end, and nothing else in between.
%% What it had not begun to write is not written.
a_sender_killed_in_the_middle_of_a_frame_leaves_no_part_of_it_test_() ->
    over([unix, tcp], 20, fun(_, Via, Socket) ->
        {Begun, _} = One = sender(Via, [frame(1, 1, 8 * ?MIB)]),
        Head = read_head(Socket),
        await_blocked(One),
        {Waiting, _} = Two = sender(Via, [frame(2, 1, 100)]),
        await_blocked(Two),
        [exit(Pid, kill) || Pid <- [Begun, Waiting]],
        ?assertEqual([killed, killed], [result(Sender) || Sender <- [One, Two]]),
        Three = sender(Via, [frame(3, 1, 100)]),
        ?assertEqual({1, 1, 8 * ?MIB}, read_rest(Socket, Head)),
        ?assertEqual({3, 1, 100}, read(Socket)),
        ?assertEqual({[true], []}, result(Three))
    end).

killing_senders_at_any_time_leaves_frames_whole_test_() ->
    over([unix, tcp], 60, fun(_, Via, Socket) ->
        Senders = [spawn_link(fun() -> short_lived(Via, Id, 300) end) || Id <- lists:seq(1, 4)],
        read_until(Socket, Senders, Via)
    end).

%% Processes, one after the other, that write until they are killed.
short_lived(_, _, 0) ->
    ok;
short_lived(Via, Id, N) ->
    Size = lists:nth(N rem 4 + 1, [1, 30000, 60000, 300]),
    {Pid, Ref} = spawn_monitor(fun() -> write_on(Via, frame(Id, N, Size)) end),
    [erlang:yield() || _ <- lists:seq(1, rand:uniform(50))],
    exit(Pid, kill),
    receive {'DOWN', Ref, process, Pid, killed} -> ok end,
    short_lived(Via, Id, N - 1).

write_on(Via, Frame) ->
    true = porthost_wire:write(Via, Frame),
    write_on(Via, Frame).

read_until(Socket, [], Via) ->
    Last = sender(Via, [frame(9, 9, 9)]),
    read_last(Socket),
    ?assertEqual({[true], []}, result(Last));
read_until(Socket, Senders, Via) ->
    %% Some frame may be there or not.
    case gen_tcp:recv(Socket, 4, 50) of
        {ok, <<Size:32>>} ->
            {ok, <<Sender:32, _:32, Bytes/binary>>} = gen_tcp:recv(Socket, Size, 10000),
            ?assertEqual(binary:copy(<<Sender>>, Size - 8), Bytes);
        {error, timeout} ->
            ok
    end,
    read_until(Socket, [Pid || Pid <- Senders, is_process_alive(Pid)], Via).

read_last(Socket) ->
    case read(Socket) of
        {9, 9, 9} -> ok;
        _ -> read_last(Socket)
    end.

%% Senders that were killed when they had counted a frame and not sent it yet, leave what they
%% counted; the counter is only waited for.
what_was_counted_and_never_sent_is_forgotten_test_() ->
    over([unix, tcp], 20, fun(_, #via{traffic = Traffic} = Via, Socket) ->
        ?assertEqual(0, porthost_wire:unwritten(Traffic)),
        porthost_wire:taken(Traffic, -1000),
        One = sender(Via, [frame(1, 1, 10)]),
        ?assertEqual({1, 1, 10}, read(Socket)),
        ?assertEqual({[true], []}, result(One)),
        porthost_fake:until(fun() -> porthost_wire:unwritten(Traffic) =:= 0 end, 1500)
    end).

%% Ends of connections: what a host does, and the reason with which its process exits.
ends() ->
    [{"the host crashes", fun(_, Socket) -> gen_tcp:close(Socket) end,
      fun(Reason) -> ?assertMatch({host_down, _}, Reason) end},
     {"the client stops the host", fun(Host, _) -> porthost:stop(Host) end,
      fun(Reason) -> ?assertEqual(normal, Reason) end},
     {"the connection process is killed", fun(Host, _) -> exit(Host, kill) end,
      fun(Reason) -> ?assertEqual(killed, Reason) end}].

waiting_senders_are_set_free_when_the_connection_ends_test_() ->
    [{Title, over([unix, tcp], 20, fun(Host, Via, Socket) ->
        Big = sender(Via, [frame(1, 1, 8 * ?MIB)]),
        await_blocked(Big),
        Small = [sender(Via, [frame(Sender, N, 10) || N <- [1, 2]]) || Sender <- [2, 3]],
        [await_blocked(Sender) || Sender <- Small],
        End(Host, Socket),
        ?assertEqual({[false], []}, result(Big)),
        [?assertEqual({[false, false], []}, result(Sender)) || Sender <- Small],
        receive {'EXIT', Host, Reason} -> Check(Reason) after 5000 -> error(timeout) end
    end)} || {Title, End, Check} <- ends()].

%% An open_port that the host has not read: neither it nor the end of the connection waits for the other.
an_open_port_that_cannot_be_written_fails_when_the_connection_ends_test_() ->
    [{Title, over([unix, tcp], 20, fun(Host, Via, Socket) ->
        Big = sender(Via, [frame(1, 1, 8 * ?MIB)]),
        await_blocked(Big),
        Openers = [opener(Host) || _ <- lists:seq(1, 5)],
        [await_blocked(Opener) || Opener <- Openers],
        Stop = spawn_monitor(fun() -> End(Host, Socket) end),
        [?assertEqual(badarg, result(Opener)) || Opener <- Openers],
        ?assertEqual({[false], []}, result(Big)),
        ?assertEqual(normal, result(Stop)),
        receive {'EXIT', Host, Reason} -> Check(Reason) after 5000 -> error(timeout) end
    end)} || {Title, End, Check} <- ends()].

opener(Host) ->
    spawn_monitor(fun() -> exit(catch_error(fun() -> porthost:open_port(Host, {spawn_driver, "echo_drv"}, []) end)) end).

catch_error(Fun) ->
    try Fun() catch error:Why -> Why end.

%% It has found the host before the connection ended, and comes to the rest of it afterwards, when all ports have been told.
an_open_port_that_comes_when_the_connection_has_ended_fails_test_() ->
    over([unix, tcp], 20, fun(Host, _, Socket) ->
        #host{} = Row = porthost_registry:lookup(Host),
        gen_tcp:close(Socket),
        receive {'EXIT', Host, _} -> ok after 5000 -> error(timeout) end,
        {Conn, _} = spawn_monitor(fun() -> receive stop -> ok end end),    % lives on, as with reconnect
        Slots = ets:new(slots, [public, {keypos, #slot.id}]),
        Late = Row#host{conn = Conn, slots = Slots},
        Opener = spawn_monitor(fun() -> exit(porthost_port:open(Late, <<"echo_drv">>, [])) end),
        ?assertEqual(down, result(Opener)),
        porthost_fake:until(fun() -> ets:tab2list(Slots) =:= [] end),
        Conn ! stop
    end).

%% Its last words are not lost because somebody has noticed that the host is gone.
what_a_host_said_before_it_went_is_heard_by_those_who_write_test_() ->
    over(lists:duplicate(10, unix), 20, fun(Host, Via, Socket) ->
        Senders = [spawn_monitor(fun() -> exit(write_to_the_end(Via, Host)) end)
                   || _ <- [1, 2]],
        {ok, _} = gen_tcp:recv(Socket, 1000, 5000),
        sys:suspend(Host),
        ok = tell(Socket, {goodbye, shutdown, <<>>}),
        gen_tcp:close(Socket),
        timer:sleep(20),
        sys:resume(Host),
        receive
            {'EXIT', Host, Reason} -> ?assertEqual({host_down, {goodbye, shutdown, <<>>}}, Reason)
        after 5000 -> error(timeout)
        end,
        [?assertEqual(freed, result(Sender)) || Sender <- Senders]
    end).

write_to_the_end(Via, Host) ->
    case porthost_wire:write(Via, frame(1, 1, 100)) of
        true -> write_to_the_end(Via, Host);
        false -> freed
    end.

a_peer_that_closes_at_once_is_no_host_test_() ->
    [{atom_to_list(Kind), {timeout, 60, fun() ->
        {Listener, Transport} = listen(Kind),
        Closer = spawn_link(fun() -> accept_and_close(Listener) end),
        [?assertMatch({error, {porthost, _}}, porthost:start(#{transport => Transport}))
         || _ <- lists:seq(1, 300)],
        unlink(Closer),
        exit(Closer, kill),
        gen_tcp:close(Listener),
        remove(Transport)
    end}} || Kind <- [unix, tcp]].

accept_and_close(Listener) ->
    {ok, Socket} = gen_tcp:accept(Listener),
    ok = gen_tcp:close(Socket),
    accept_and_close(Listener).

%% What was noticed of a connection concerns no later one.
the_next_connection_does_not_suffer_for_the_last_test_() ->
    {timeout, 20, fun() ->
        {Listener, Transport} = listen(unix),
        Started = spawn_monitor(fun() ->
            exit(porthost:start(#{transport => Transport, reconnect => #{min => 10, max => 20}}))
        end),
        First = accept_and_greet(Listener),
        {ok, Host} = result(Started),
        #host{via = #via{writer = Writer}} = porthost_registry:lookup(Host),
        ok = gen_tcp:shutdown(First, read),
        Writer ! {frame, frame(1, 1, 10)},
        timer:sleep(100),
        gen_tcp:close(First),
        Second = accept_and_greet(Listener),
        ?assertEqual({error, timeout}, gen_tcp:recv(Second, 1, 1500)),
        porthost:stop(Host),
        gen_tcp:close(Second),
        gen_tcp:close(Listener),
        remove(Transport)
    end}.

accept_and_greet(Listener) ->
    {ok, Socket} = gen_tcp:accept(Listener, 5000),
    {ok, <<Size:32>>} = gen_tcp:recv(Socket, 4, 5000),
    {ok, _} = gen_tcp:recv(Socket, Size, 5000),
    ok = tell(Socket, porthost_fake:hello()),
    Socket.

%% The kernel tells of it by an error where else it tells of the end.
a_host_that_goes_with_something_unread_is_down_test_() ->
    over([unix, tcp], 20, fun(Host, Via, Socket) ->
        ?assertEqual({[true], []}, result(sender(Via, [frame(1, 1, 10)]))),
        {ok, <<_>>} = gen_tcp:recv(Socket, 1, 5000),
        gen_tcp:close(Socket),
        receive {'EXIT', Host, Reason} -> ?assertEqual({host_down, closed}, Reason)
        after 5000 -> error(timeout)
        end
    end).

a_host_that_will_not_read_any_more_is_down_test_() ->
    over([unix], 20, fun(Host, Via, Socket) ->
        ok = gen_tcp:shutdown(Socket, read),
        Sender = sender(Via, [frame(1, 1, 10)]),
        receive {'EXIT', Host, Reason} -> ?assertEqual({host_down, epipe}, Reason)
        after 5000 -> error(timeout)
        end,
        ?assertEqual({[false], []}, result(Sender))
    end).

what_was_given_to_the_writer_is_written_before_the_end_test_() ->
    over([unix, tcp], 20, fun(Host, #via{writer = Writer}, Socket) ->
        [Writer ! {frame, frame(1, N, ?MIB)} || N <- [1, 2, 3]],
        Stop = spawn_monitor(fun() -> porthost:stop(Host) end),
        ?assertEqual([{1, N, ?MIB} || N <- [1, 2, 3]], [read(Socket) || _ <- [1, 2, 3]]),
        ?assertEqual(normal, result(Stop)),
        ?assertEqual({error, closed}, gen_tcp:recv(Socket, 1, 5000))
    end).

connections_leave_nothing_behind_test_() ->
    {timeout, 60,
     fun() ->
             process_flag(trap_exit, true),
             [begin
                  [come_and_go(Kind, End) || {_, End, _} <- ends()],     % what is made only once
                  Before = settled(),
                  [come_and_go(Kind, End) || _ <- lists:seq(1, 15), {_, End, _} <- ends()],
                  porthost_fake:until(fun() -> held() =:= Before end)
              end || Kind <- [unix, tcp]]
     end}.

%% What a process that was killed had goes a little later.
settled() ->
    Held = held(),
    timer:sleep(100),
    case held() of
        Held -> Held;
        _ -> settled()
    end.

held() ->
    {ok, Descriptors} = file:list_dir("/proc/self/fd"),
    {length(Descriptors), length(erlang:ports()), length(processes()),
     length(socket:which_sockets())}.

come_and_go(Kind, End) ->
    {Host, Via, Socket} = connect(Kind),
    Sender = sender(Via, [frame(1, 1, 10)]),
    ?assertEqual({1, 1, 10}, read(Socket)),
    ?assertEqual({[true], []}, result(Sender)),
    End(Host, Socket),
    receive {'EXIT', Host, _} -> ok after 5000 -> error(timeout) end,
    gen_tcp:close(Socket).
