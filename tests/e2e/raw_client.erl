%% SPDX-License-Identifier: Apache-2.0
%% A daemon with a unix socket and a log file, and connections to it that speak the protocol by hand: for tests of what the client library would never do.
%% Run from the top directory; PORTHOSTD is the daemon (default build/porthostd), its drivers and the probe drivers lie beside it.
-module(raw_client).
-export([start/0, start/1, start_configured/1, program/0, driver_path/0, stop/1, with_daemon/1, with_daemon/2, connect/1, connect/2, send/2, send_all/2, next/1, next/2, until/2, until_event/3, open/3, request/2,
         control/3, stats/2, pid/2, eventually/1, logged/2, log/1, rss/1, os_pid/1]).

-define(TIMEOUT, 10000).

start() ->
    start([]).

%% Args: more of the daemon's command line.
start(Args) ->
    start_in(directory(), fun(_, Socket) -> ["--unix", Socket, "--driver-path", lists:join(":", driver_path()) | Args] end).

%% Config(Dir, Socket) is the text of its configuration, in which Socket is one of the listeners. The file is "config" in the map.
start_configured(Config) ->
    Dir = directory(),
    File = filename:join(Dir, "config.json"),
    D = start_in(Dir, fun(_, Socket) -> ok = file:write_file(File, Config(Dir, Socket)), ["--config", File] end),
    D#{config => File}.

directory() ->
    Dir = filename:join(os:getenv("TMPDIR", "/tmp"), lists:concat(["porthost-raw-", os:getpid(), "-", erlang:unique_integer([positive])])),
    ok = file:make_dir(Dir),
    ok = file:change_mode(Dir, 8#700),
    Dir.

program() ->
    filename:absname(os:getenv("PORTHOSTD", "build/porthostd")).

driver_path() ->
    Beside = filename:dirname(program()),
    [filename:join(Beside, "drivers"), filename:join([Beside, "tests", "drivers"])].

start_in(Dir, Args) ->
    Socket = filename:join(Dir, "socket"),
    Log = filename:join(Dir, "log"),
    Command = lists:join(" ", ["exec", program() | Args(Dir, Socket)] ++ ["2>" ++ Log]),
    Port = erlang:open_port({spawn_executable, "/bin/sh"}, [{args, ["-c", lists:flatten(Command)]}, exit_status]),
    {os_pid, Pid} = erlang:port_info(Port, os_pid),
    D = #{dir => Dir, socket => Socket, log => Log, port => Port, os_pid => Pid},
    wait_for_socket(D, 500),
    D.

wait_for_socket(D, 0) ->
    error({no_socket, log(D)});
wait_for_socket(#{socket := Socket} = D, N) ->
    case gen_tcp:connect({local, Socket}, 0, [local]) of
        {ok, S} -> gen_tcp:close(S);
        {error, _} -> timer:sleep(10), wait_for_socket(D, N - 1)
    end.

%% Ends the daemon; its exit status, or {report, Log} if a sanitizer had something to say.
stop(#{port := Port, dir := Dir, os_pid := Pid} = D) ->
    os:cmd("kill " ++ integer_to_list(Pid)),
    Status = receive {Port, {exit_status, S}} -> S after 20000 -> os:cmd("kill -9 " ++ integer_to_list(Pid)), timeout end,
    Log = log(D),
    ok = file:del_dir_r(Dir),
    case re:run(Log, "Sanitizer|runtime error:") of
        nomatch -> Status;
        {match, _} -> {report, Log}
    end.

%% An EUnit test with a daemon of its own, which must have ended well afterwards. Settings: the text of a pair of its configuration.
with_daemon(Test) ->
    on(fun start/0, Test).

with_daemon(Settings, Test) ->
    Path = lists:join(", ", [[$", P, $"] || P <- driver_path()]),
    Config = fun(_, Socket) -> ["{\"listeners\": [{\"unix\": \"", Socket, "\"}], \"driver_path\": [", Path, "], ", Settings, "}"] end,
    on(fun() -> start_configured(Config) end, Test).

on(Start, Test) ->
    {timeout, 120, fun() ->
        D = Start(),
        try Test(D)
        catch
            Class:Reason:Stack ->
                stop(D),
                erlang:raise(Class, Reason, Stack)
        end,
        0 = stop(D)
    end}.

connect(D) ->
    connect(D, #{}).

connect(#{socket := Socket}, Options) ->
    {ok, S} = gen_tcp:connect({local, Socket}, 0, [local, binary, {packet, 4}, {active, false}]),
    send(S, {hello, 1, Options}),
    {hello, 1, _} = next(S),
    S.

send(S, Term) ->
    ok = gen_tcp:send(S, term_to_binary(Term)).

%% All in one write.
send_all(S, Terms) ->
    ok = inet:setopts(S, [{packet, raw}]),
    ok = gen_tcp:send(S, [[<<(byte_size(B)):32>>, B] || B <- [term_to_binary(T) || T <- Terms]]),
    ok = inet:setopts(S, [{packet, 4}]).

next(S) ->
    next(S, ?TIMEOUT).

%% The next frame, or timeout, or closed.
next(S, Timeout) ->
    case gen_tcp:recv(S, 0, Timeout) of
        {ok, Bin} -> binary_to_term(Bin);
        {error, Reason} -> Reason
    end.

%% Drops frames up to the first for which Fun is true, and returns it.
until(S, Fun) ->
    case next(S) of
        Frame when is_tuple(Frame) ->
            case Fun(Frame) of
                true -> Frame;
                false -> until(S, Fun)
            end;
        Reason -> error(Reason)
    end.

%% The next event of a kind about a port, or to a process; drops what comes before.
until_event(S, Kind, About) ->
    until(S, fun(F) -> element(1, F) =:= Kind andalso element(2, F) =:= About end).

%% Sends a request whose second element is its tag; {ok, Value} or {error, Reason}.
request(S, Request) ->
    send(S, Request),
    Tag = element(2, Request),
    {Result, Tag, Value} = until(S, fun(F) -> element(1, F) =:= ok orelse element(1, F) =:= error end),
    {Result, Value}.

open(S, Id, Command) ->
    {ok, _} = request(S, {open, open, Id, {port, Id}, self(), Command, [binary]}),
    ok.

%% What a probe driver answers to an action.
control(S, Id, Action) ->
    {ok, Text} = request(S, {control, control, Id, self(), 0, Action}),
    Text.

stats(S, Keys) ->
    {ok, Stats} = request(S, {stats, stats}),
    [maps:get(K, Stats) || K <- Keys].

%% A process of another node.
pid(Node, Id) ->
    Name = atom_to_binary(Node),
    binary_to_term(<<131, 88, 119, (byte_size(Name)), Name/binary, Id:32, 0:32, 1:32>>).

eventually(Fun) ->
    eventually(Fun, 500).

eventually(Fun, N) ->
    case Fun() of
        true -> ok;
        Other when N =:= 0 -> error({never, Other});
        _ -> timer:sleep(20), eventually(Fun, N - 1)
    end.

log(#{log := Log}) ->
    case file:read_file(Log) of
        {ok, Text} -> Text;
        {error, Reason} -> Reason
    end.

logged(D, Pattern) ->
    logged(D, Pattern, 500).

logged(D, Pattern, N) ->
    case {re:run(log(D), Pattern, [multiline]), N} of
        {{match, _}, _} -> ok;
        {nomatch, 0} -> error({not_in_the_log, Pattern, log(D)});
        {nomatch, _} -> timer:sleep(20), logged(D, Pattern, N - 1)
    end.

%% Resident memory, in KiB.
rss(D) ->
    {ok, Text} = file:read_file("/proc/" ++ integer_to_list(os_pid(D)) ++ "/status"),
    {match, [Kib]} = re:run(Text, "VmRSS:\\s*([0-9]+)", [{capture, all_but_first, list}]),
    list_to_integer(Kib).

os_pid(#{os_pid := Pid}) ->
    Pid.
