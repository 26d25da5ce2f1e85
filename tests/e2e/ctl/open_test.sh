#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# porthostctl: a port and the steps on it, and their data. See lib.sh.
. "$(dirname "$0")/lib.sh"

# ---- a port and its steps ----

own open echo_drv command hello
check 'a command comes back as data before the port is closed' 0 "$opened"$'\n{port,{data,"hello"}}\n'"$closed"
own open echo_drv -o binary command hello close
check 'an option of open takes effect, and close closes' 0 "$opened"$'\n{port,{data,<<"hello">>}}\n'"$closed"
own open 'echo_drv with arguments' control 0 abc
check 'control prints the reply' 0 "$opened"$'\n{ok,control,"abc"}\n'"$closed"
own open echo_drv call 7 '{a,[1,2.5],<<1:3>>}' call '#{k => "v"}'
check 'call sends a term, with and without an operation' 0 \
    "$opened"$'\n{ok,call,{ok,7,{a,[1,2.5],<<1:3>>}}}\n{ok,call,{ok,0,#{k => "v"}}}\n'"$closed"
own open echo_drv call 7 close
check 'a number before a step is the term of call, not its operation' 0 "$opened"$'\n{ok,call,{ok,0,7}}\n'"$closed"
own open echo_drv control 99 x command never
check 'a step that fails ends the steps, and the status is 1' 1 "$opened"$'\n{error,control,badarg}\n'"$closed"
own open echo_drv close control 0 x
check 'a closed port takes no control' 1 "$opened"$'\n'"$closed"$'\n{error,control,badarg}'
own open echo_drv close command x
check_err 'a closed port takes no command' 1 'port is gone'
own open echo_drv command one wait 20 command two
check 'data comes in order' 0 "$opened"$'\n{port,{data,"one"}}\n{port,{data,"two"}}\n'"$closed"
run timeout 30 "$ctl" --daemon "$daemon" --driver-path "$probes" open failure_probe_drv control 0 'arm output atom' command x
check_that 'a port that has ended by itself need not be closed' test "$status" = 0
check_that 'its end is all that is said of it' grep -qE '^\{exit,port,[a-z_]+\}$' "$dir/out"
check_that 'no failure of its closing is' eval '! grep -q "error,close" "$dir/out"'
own open no_such_drv command x
check_err 'a port of no driver cannot be opened' 1 '^porthostctl: load: '
own open echo_drv -o '{no_such_option,1}'
check_that 'a wrong option is refused by the host' grep -qx '{error,open,badarg}' "$dir/out"

# ---- data ----

printf 'from a file\n' >"$dir/data"
own open echo_drv control 0 "@$dir/data"
check 'data comes from a file' 0 "$opened"$'\n{ok,control,"from a file\\n"}\n'"$closed"
own open echo_drv control 0 - < <(printf 'from stdin')
check 'data comes from stdin' 0 "$opened"$'\n{ok,control,"from stdin"}\n'"$closed"
own open echo_drv control 0 'term:[$a,"bc"|<<"d">>]'
check 'data is an iodata term' 0 "$opened"$'\n{ok,control,"abcd"}\n'"$closed"
own open echo_drv control 0 ''
check 'data may be empty' 0 "$opened"$'\n{ok,control,[]}\n'"$closed"
own open echo_drv command 'höhe' -o binary
check_err 'an option behind a step is a usage error' 2 'expected command, control, call, connect, close or wait'
own open echo_drv -o binary command 'höhe'
check 'text is sent as UTF-8' 0 "$opened"$'\n{port,{data,<<"höhe"/utf8>>}}\n'"$closed"
head -c 3000000 /dev/zero | tr '\0' x >"$dir/large"
own open echo_drv -o binary command "@$dir/large" command "@$dir/large"
check_that 'large data goes there and back without a deadlock' \
    test "$(grep -c '^{port,{data,<<"x*">>}}$' "$dir/out"):$(tr -cd x <"$dir/out" | wc -c)" = 2:6000001

finish
