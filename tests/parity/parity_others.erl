%% SPDX-License-Identifier: Apache-2.0
%% Cases: drivers that come with OTP, used as dbg uses them: trace_file_drv writes what it is commanded to a file, or to files in turn,
%% trace_ip_drv to whoever connects. What it does until then is not for the VM, see tests/e2e/driver_crash_tests.
-module(parity_others).
-include("parity.hrl").

cases() ->
    [{"trace_file_drv writes frames to its file",
      fun() -> in_dir(fun(Dir) -> written(Dir, "trace_file_drv n " ++ filename:join(Dir, "trace"), [<<"one">>, "two", binary:copy(<<"x">>, 40000), <<>>]) end) end},
     {"trace_file_drv flushes its buffer when it is told",
      fun() ->
              in_dir(fun(Dir) ->
                             File = filename:join(Dir, "trace"),
                             P = traced("trace_file_drv n " ++ File),
                             R = [command(P, "abc"), control(P, $f, "")],
                             R ++ [file:read_file(File), control(P, $x, ""), close(P), gone(P), file:read_file(File)]
                     end)
      end},
     {"trace_file_drv goes on to the next file when one is full, and wipes the first",
      fun() ->
              in_dir(fun(Dir) ->
                             Name = filename:join(Dir, "trace"),
                             Command = lists:concat(["trace_file_drv w 100 3 0 ", length(Name), " n ", Name, ".wrap"]),
                             written(Dir, Command, [lists:duplicate(60, C) || C <- "abcdefgh"])
                     end)
      end},
     {"trace_file_drv that cannot open its file says why",
      fun() -> traced_dir(), [r(fun() -> parity_port:open_port({spawn_driver, C}, [eof]) end) || C <- ["trace_file_drv n /no/such/dir/trace", "trace_file_drv n /", "trace_file_drv", "trace_file_drv x y"]] end},
     {"trace_file_drv whose disk is full ends with the error",
      fun() -> trap(), P = traced("trace_file_drv n /dev/full"), [command(P, binary:copy(<<"x">>, 100000)), gone(P), msgs(1), command(P, "y"), control(P, $f, "")] end},
     {"trace_ip_drv sends what it is commanded to who connects",
      fun() ->
              P = traced("trace_ip_drv 0 100 2"),
              Number = number(P),
              {ok, S} = gen_tcp:connect({127, 0, 0, 1}, Number, [binary, {active, false}]),
              timer:sleep(100),
              R = [command(P, D) || D <- [<<"one">>, "two", binary:copy(<<"x">>, 5000)]],
              R ++ [gen_tcp:recv(S, 3 * 5 + 5006, 5000), close(P), gone(P), gen_tcp:recv(S, 0, 5000)]
      end}].

traced_dir() ->
    Dir = filename:join(code:lib_dir(runtime_tools), "priv/lib"),
    [ok = ddll(load, [Dir, D]) || D <- ["trace_file_drv", "trace_ip_drv"]].

traced(Command) ->
    traced_dir(),
    name(parity_port:open_port({spawn_driver, Command}, [eof]), port).

number(P) ->
    <<0, Number:16>> = control(P, $p, ""),
    Number.

in_dir(Fun) ->
    Dir = parity_case:trace_file() ++ ".files",
    ok = file:make_dir(Dir),
    try Fun(Dir)
    after file:del_dir_r(Dir)
    end.

%% The answers, and the files with what is in them.
written(Dir, Command, Data) ->
    P = traced(Command),
    R = [command(P, D) || D <- Data],
    End = [close(P), gone(P)],
    {ok, Files} = file:list_dir(Dir),
    [R, End, [{F, file:read_file(filename:join(Dir, F))} || F <- lists:sort(Files)]].
