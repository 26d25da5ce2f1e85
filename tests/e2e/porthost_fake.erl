%% SPDX-License-Identifier: Apache-2.0
%% @doc A driver host in a few lines of Erlang, to test the client alone.
%%
%% It listens on a unix socket for one connection and behaves as PROTOCOL.md says, with drivers
%% that echo: `echo_drv', `soft_drv' (the same with SOFT_BUSY), `fail_drv' (`start' fails with the
%% error that the command line names). A test can answer any request otherwise, send what it
%% likes, and look at what the client has sent.
-module(porthost_fake).

-export([run/1, start/0, start/1, stop/1, path/1, script/2, send/2, send_all/2, pause/1, close/1,
         requests/1, await/2, until/1, until/2, hello/0]).

-record(st, {path, listener, socket, script, rest = <<>>, ports = #{}, log = []}).
-record(port, {term, owner, data = undefined}).

%% Run Test(Fake) in a process of its own, with the fake as the default host.
run(Test) ->
    {_, Ref} = spawn_monitor(
                 fun() ->
                         Fake = start(),
                         {ok, _} = porthost:start(#{transport => {unix, path(Fake)},
                                                    name => porthost}),
                         Result = try Test(Fake), ok
                                  catch Class:Why:Stack -> {Class, Why, Stack}
                                  end,
                         process_flag(trap_exit, true),
                         catch porthost:stop(porthost),
                         unlink(Fake),
                         stop(Fake),
                         exit({result, Result})
                 end),
    receive
        {'DOWN', Ref, process, _, {result, ok}} -> ok;
        {'DOWN', Ref, process, _, {result, {Class, Why, Stack}}} ->
            erlang:raise(Class, Why, Stack);
        {'DOWN', Ref, process, _, Why} -> error(Why)
    end.

start() -> start(fun(_) -> default end).

%% Script: a function of a request that gives `default' or the list of frames to send.
start(Script) ->
    Test = self(),
    {Pid, Ref} = spawn_monitor(fun() -> init(Test, Script) end),
    receive
        {Pid, ready} -> demonitor(Ref, [flush]), Pid;
        {'DOWN', Ref, process, _, Why} -> error(Why)
    end.

stop(Fake) ->
    Ref = monitor(process, Fake),
    exit(Fake, kill),
    receive {'DOWN', Ref, process, _, _} -> ok end.

path(Fake) -> call(Fake, path).
script(Fake, Script) -> call(Fake, {script, Script}).
send(Fake, Frame) -> send_all(Fake, [Frame]).

%% Terms as frames, in one write. A binary is sent as a frame that holds just that.
send_all(Fake, Frames) -> call(Fake, {send, Frames}).

close(Fake) -> call(Fake, close).

%% Stop reading.
pause(Fake) -> call(Fake, pause).
requests(Fake) -> call(Fake, requests).

%% Wait for a request of that name, or that Select is true of, among those that came and those to
%% come.
await(Fake, Name) when is_atom(Name) -> await(Fake, fun(R) -> element(1, R) =:= Name end);
await(Fake, Select) -> await(Fake, Select, 200).

await(Fake, Select, N) ->
    case [R || R <- requests(Fake), Select(R)] of
        [R | _] -> R;
        [] when N > 0 -> timer:sleep(10), await(Fake, Select, N - 1);
        [] -> error({no_such_request, requests(Fake)})
    end.

%% Wait until a condition holds.
until(Condition) -> until(Condition, 200).

until(Condition, N) ->
    case Condition() of
        true -> ok;
        false when N > 0 -> timer:sleep(10), until(Condition, N - 1)
    end.

hello() ->
    {hello, 1, #{version => <<"fake">>, max_frame => 1 bsl 20, max_depth => 100,
                 max_ports => 1000, driver_api => {3, 3}}}.

call(Fake, What) ->
    Ref = monitor(process, Fake),
    Fake ! {call, self(), Ref, What},
    receive
        {Ref, Answer} -> demonitor(Ref, [flush]), Answer;
        {'DOWN', Ref, process, _, Why} -> error(Why)
    end.

init(Test, Script) ->
    link(Test),
    Path = filename:join(dir(), "fake-" ++ os:getpid() ++ "-"
                         ++ integer_to_list(erlang:unique_integer([positive]))),
    {ok, Listener} = gen_tcp:listen(0, [binary, {packet, raw}, {active, false},
                                        {ifaddr, {local, Path}}]),
    Self = self(),
    spawn_link(fun() ->
                       {ok, Socket} = gen_tcp:accept(Listener),
                       ok = gen_tcp:controlling_process(Socket, Self),
                       Self ! {accepted, Socket}
               end),
    Test ! {self(), ready},
    loop(#st{path = Path, listener = Listener, script = Script}).

dir() ->
    os:getenv("TMPDIR", "/tmp").

loop(#st{socket = Socket} = St) ->
    receive
        {accepted, New} ->
            _ = file:delete(St#st.path),
            ok = inet:setopts(New, [{active, true}]),
            loop(St#st{socket = New});
        {tcp, Socket, Bytes} ->
            loop(received(St#st{rest = <<(St#st.rest)/binary, Bytes/binary>>}));
        {tcp_closed, Socket} ->
            loop(St#st{log = [{closed} | St#st.log]});
        {call, From, Ref, What} ->
            {Answer, St1} = called(What, St),
            From ! {Ref, Answer},
            loop(St1)
    end.

received(#st{rest = <<Size:32, Frame:Size/binary, Rest/binary>>} = St) ->
    Request = binary_to_term(Frame),
    received(request(Request, St#st{rest = Rest, log = [Request | St#st.log]}));
received(St) ->
    St.

called(path, St) -> {St#st.path, St};
called({script, Script}, St) -> {ok, St#st{script = Script}};
called({send, Frames}, St) -> {frames(St, Frames), St};
called(pause, St) -> {inet:setopts(St#st.socket, [{active, false}]), St};
called(close, St) -> {gen_tcp:close(St#st.socket), St};
called(requests, St) -> {lists:reverse(St#st.log), St}.

frames(#st{socket = Socket}, Frames) ->
    gen_tcp:send(Socket, [frame(Frame) || Frame <- Frames]).

frame(Bytes) when is_binary(Bytes) -> [<<(byte_size(Bytes)):32>>, Bytes];
frame(Term) -> frame(term_to_binary(Term)).

request(Request, #st{script = Script} = St) ->
    case Script(Request) of
        default ->
            {Frames, St1} = default(Request, St),
            frames(St, Frames),
            St1;
        Frames ->
            frames(St, Frames),
            St
    end.

default({hello, 1, _}, St) ->
    {[hello()], St};
default({open, Tag, Id, Term, Owner, Command, _Options}, #st{ports = Ports} = St) ->
    case binary:split(iolist_to_binary(Command), <<" ">>) of
        [<<"fail_drv">>, Why] ->
            {[{error, Tag, binary_to_atom(Why)}], St};
        [Driver | _] when Driver =:= <<"echo_drv">>; Driver =:= <<"soft_drv">> ->
            Flags = #{soft_busy => Driver =:= <<"soft_drv">>, parallelism => false},
            {[{link, Id, Owner}, {ok, Tag, Flags}],
             St#st{ports = Ports#{Id => #port{term = Term, owner = Owner}}}};
        _ ->
            {[{error, Tag, no_driver}], St}
    end;
default(Request, St) when element(1, Request) =:= grant ->
    {[], St};
default({load, Tag, _User, _Ref, _Path, _Name, _Options}, St) ->
    {[{ok, Tag, loaded}], St};
default({ping, Tag}, St) ->
    {[{ok, Tag, pong}], St};
default(Request, #st{ports = Ports} = St) ->
    {Id, Tag} = case is_integer(element(2, Request)) of
                    true -> {element(2, Request), none};
                    false -> {element(3, Request), element(2, Request)}
                end,
    case Ports of
        #{Id := Port} ->
            port(Request, Tag, Id, Port, St);
        #{} when element(1, Request) =:= info ->
            {[{error, Tag, undefined}], St};
        #{} ->
            {[{error, Tag, badarg} || Tag =/= none], St}
    end.

port({command, Id, _, Data}, _, Id, Port, St) ->
    {[data(Port, Data)], St};
port({command, Id, _, Data, [force]}, _, Id, Port, St) ->
    {[data(Port, [<<"forced ">>, Data])], St};
port({control, _, _, _, 1, _}, Tag, Id, _, St) ->
    {[{busy, Id, true}, {ok, Tag, []}], St};
port({control, _, _, _, 2, _}, Tag, Id, _, St) ->
    {[{busy, Id, false}, {ok, Tag, []}], St};
port({control, _, _, _, 99, _}, Tag, _, _, St) ->
    {[{error, Tag, badarg}], St};
port({control, _, _, _, _, Data}, Tag, _, _, St) ->
    {[{ok, Tag, Data}], St};
port({call, _, _, _, 99, _}, Tag, _, _, St) ->
    {[{error, Tag, badarg}], St};
port({call, _, _, _, Op, Term}, Tag, _, _, St) ->
    {[{ok, Tag, {Op, Term}}], St};
port({send, Id, _, {Owner, Message}}, _, Id, #port{owner = Owner} = Port, St) ->
    message(Message, Id, Port, St);
port({send, Id, _, _}, _, Id, #port{owner = Owner}, St) ->
    {[{signal, Id, Owner, badsig}], St};
port({connect, _, _, _, New}, Tag, Id, Port, St) ->
    {[{link, Id, New}, {ok, Tag, true}], put_port(St, Id, Port#port{owner = New})};
port({close, _, _, _}, Tag, Id, _, St) ->
    {[{exit, Id, normal}, {closed, Id}, {ok, Tag, true}], take(St, Id)};
port({exit, Id, _, Reason}, _, Id, _, St) ->
    {[{exit, Id, Reason}, {closed, Id}], take(St, Id)};
port({info, _, _, connected}, Tag, _, #port{owner = Owner}, St) ->
    {[{ok, Tag, Owner}], St};
port({info, _, _, queue_size}, Tag, _, _, St) ->
    {[{ok, Tag, 0}], St};
port({info, _, _, monitors}, Tag, _, #port{owner = Owner}, St) ->
    {[{ok, Tag, [Owner]}], St};
port({info, _, _, all}, Tag, _, #port{owner = Owner}, St) ->
    {[{ok, Tag, [{os_pid, undefined}, {output, 3}, {name, <<"echo_drv x">>}, {input, 2},
                 {connected, Owner}, {driver, "echo_drv"}]}], St};
port({set_data, _, _, Data}, Tag, Id, Port, St) ->
    {[{ok, Tag, true}], put_port(St, Id, Port#port{data = Data})};
port({get_data, _, _}, Tag, _, #port{data = Data}, St) ->
    {[{ok, Tag, Data}], St};
port(_, Tag, _, _, St) ->
    {[{error, Tag, badarg} || Tag =/= none], St}.

message({command, Data}, _, Port, St) ->
    {[data(Port, Data)], St};
message(close, Id, #port{term = Term, owner = Owner}, St) ->
    {[{exit, Id, normal}, {closed, Id}, {send, Owner, {Term, closed}}], take(St, Id)};
message({connect, New}, Id, #port{term = Term, owner = Owner} = Port, St) ->
    {[{send, Owner, {Term, connected}}], put_port(St, Id, Port#port{owner = New})}.

data(#port{term = Term, owner = Owner}, Data) ->
    {send, Owner, {Term, {data, iolist_to_binary(Data)}}}.

put_port(#st{ports = Ports} = St, Id, Port) -> St#st{ports = Ports#{Id => Port}}.
take(#st{ports = Ports} = St, Id) -> St#st{ports = maps:remove(Id, Ports)}.
