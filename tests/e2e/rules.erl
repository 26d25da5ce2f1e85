%% SPDX-License-Identifier: Apache-2.0
%% What the tests of the rules of the driver interface share: daemons to ask, hosts in this node, and connections without the
%% client application. These tests are of what the VM cannot be asked about; the rest is in tests/parity.
%%
%% They run if the environment variable PORTHOSTD names the daemon. The probe drivers are in the directory drivers beside this module's.
-module(rules).

-export([tested/1, hosted/2, served/1, apart/1]).
-export([connect/2, driver_dir/1, until/1, next/0, load/1, open/1, do/2, on/3, raw/2, asked/2, event/2]).

-include_lib("eunit/include/eunit.hrl").

%% A test of eunit; none without a daemon to test.
tested(Test) ->
    case os:getenv("PORTHOSTD") of
        false -> [];
        _ -> {timeout, 120, Test}
    end.

program() ->
    filename:absname(os:getenv("PORTHOSTD")).

drivers() ->
    Ebin = filename:dirname(code:which(?MODULE)),
    filename:join(filename:dirname(filename:absname(Ebin)), "drivers").

%% ---- daemons ---------------------------------------------------------------

%% In a process of its own: messages of ports that come late disturb no other test.
apart(Fun) ->
    {Pid, Ref} = spawn_monitor(fun() -> process_flag(trap_exit, true), exit({done, Fun()}) end),
    receive
        {'DOWN', Ref, process, Pid, {done, _}} -> ok;
        {'DOWN', Ref, process, Pid, Why} -> erlang:error(Why)
    end.

%% With a daemon as a child, the default host; Options are for its command line.
hosted(Options, Test) ->
    apart(fun() ->
                  {ok, Host} = porthost:start(#{transport => {spawn, program() ++ " --stdio " ++ Options}, name => porthost}),
                  try Test(), ?assert(is_process_alive(Host))
                  after catch porthost:stop(Host)
                  end
          end).

%% With a daemon with a unix socket and nobody connected yet.
served(Test) ->
    apart(fun() ->
                  Name = lists:concat(["rules-", os:getpid(), "-", erlang:unique_integer([positive])]),
                  Dir = filename:join(os:getenv("TMPDIR", "/tmp"), Name),
                  ok = file:make_dir(Dir),
                  ok = file:change_mode(Dir, 8#700),
                  {Port, Daemon} = start_daemon(Dir),
                  try Test(Daemon)
                  after
                      [catch porthost:stop(Host) || Host <- [host_a, host_b, host_c]],
                      Status = stop_daemon(Port, Daemon),
                      file:del_dir_r(Dir),
                      ?assertEqual(0, Status)
                  end
          end).

%% A connection that is not trusted loads from directories and files that only the daemon's user may write.
start_daemon(Dir) ->
    Drivers = filename:join(Dir, "drivers"),
    ok = file:make_dir(Drivers),
    ok = file:change_mode(Drivers, 8#755),
    [copy(Drivers, Name) || Name <- ["monitor_probe_drv.so", "term_probe_drv.so", "start_probe_drv.so", "reload_probe_drv.so",
                            "herd_probe_drv.so"]],
    Socket = filename:join(Dir, "socket"),
    Port = open_port({spawn_executable, program()}, [{args, ["--unix", Socket, "--driver-path", Drivers]}, exit_status, binary]),
    {os_pid, OsPid} = erlang:port_info(Port, os_pid),
    Daemon = #{socket => Socket, drivers => Drivers, os_pid => OsPid},
    until(fun() ->
                  case gen_tcp:connect({local, Socket}, 0, [local]) of
                      {ok, S} -> gen_tcp:close(S), true;
                      {error, _} -> false
                  end
          end),
    {Port, Daemon}.

copy(Dir, Name) ->
    To = filename:join(Dir, Name),
    {ok, _} = file:copy(filename:join(drivers(), Name), To),
    ok = file:change_mode(To, 8#755).

%% One that has crashed has told so already.
stop_daemon(Port, #{os_pid := OsPid}) ->
    erlang:port_info(Port) =:= undefined orelse os:cmd("kill -TERM " ++ integer_to_list(OsPid)),
    receive {Port, {exit_status, Status}} -> Status after 20000 -> still_there end.

%% A host in this node.
connect(#{socket := Socket}, Name) ->
    {ok, Host} = porthost:start(#{transport => {unix, Socket}, name => Name}),
    Host.

%% Where its drivers are.
driver_dir(#{drivers := Dir}) ->
    Dir.

%% ---- hosts and ports -------------------------------------------------------

until(Condition) ->
    until(Condition, erlang:monotonic_time(millisecond) + 10000).

until(Condition, End) ->
    case Condition() of
        true -> ok;
        false ->
            ?assert(erlang:monotonic_time(millisecond) < End),
            timer:sleep(5),
            until(Condition, End)
    end.

next() ->
    receive Message -> Message after 10000 -> nothing end.

load(Driver) ->
    ok = porthost_ddll:load(drivers(), Driver).

open(Command) ->
    porthost:open_port({spawn_driver, Command}, []).

do(Port, Action) ->
    porthost:port_control(Port, 0, Action).

on(Host, Function, Args) ->
    porthost_ddll:on(Host, Function, Args).

%% ---- connections without the client application ---------------------------

%% A connection without the client application: any process can be the caller. Monitors of this node's processes are not answered.
raw(#{socket := Socket}, Hello) ->
    {ok, S} = gen_tcp:connect({local, Socket}, 0, [local, binary, {packet, 4}, {active, false}]),
    tell(S, {hello, 1, Hello}),
    {hello, 1, #{}} = heard(S),
    S.

tell(S, Request) ->
    ok = gen_tcp:send(S, term_to_binary(Request)).

heard(S) ->
    case gen_tcp:recv(S, 0, 10000) of
        {ok, Frame} -> binary_to_term(Frame);
        Error -> Error
    end.

%% The reply, and no matter which events come before it.
asked(S, Request) ->
    tell(S, Request),
    answer(S, element(2, Request)).

answer(S, Tag) ->
    case heard(S) of
        {Kind, Tag, _} = Reply when Kind =:= ok; Kind =:= error -> Reply;
        {error, Why} when is_atom(Why) -> {error, Why};
        _ -> answer(S, Tag)
    end.

%% The next event of a kind.
event(S, Kind) ->
    case heard(S) of
        Event when element(1, Event) =:= Kind -> Event;
        {error, Why} -> {error, Why};
        _ -> event(S, Kind)
    end.
