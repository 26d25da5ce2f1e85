#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# porthostctl: how it ends, and that it leaves nothing behind. See lib.sh.
. "$(dirname "$0")/lib.sh"

# ---- endings ----

# Starts a shell that waits for input, and its daemon; their pids in $pid and $child.
start_waiting() {
    mkfifo "$dir/in"
    : >"$dir/out" # of the one before: its answer is not this one's
    exec 9<>"$dir/in"
    "$ctl" --daemon "$daemon" --driver-path "$drivers" shell <"$dir/in" >"$dir/out" 2>"$dir/err" 9>&- &
    pid=$!
    echo ping >&9
    await grep -q pong "$dir/out"
    child=$(pgrep -P "$pid")
}

finish_waiting() {
    { wait "$pid"; status=$?; } 2>/dev/null # bash reports a killed job here
    exec 9>&-
    rm "$dir/in"
}

gone() { ! kill -0 "$child" 2>/dev/null; }

start_waiting
check_that 'a shell has a daemon of its own' test -n "$child"
kill -TERM "$pid"
finish_waiting
check_that 'SIGTERM ends porthostctl' test $status = 143
check_that 'SIGTERM leaves no daemon behind' await gone
start_waiting
kill -KILL "$pid"
finish_waiting
check_that 'even SIGKILL leaves no daemon behind' await gone
start_waiting
kill -KILL "$child"
finish_waiting
check_err 'a daemon that is killed is reported: status 3' 3 'ended by signal 9'
set -m # an interactive shell: SIGINT is not ignored in the background
start_waiting
kill -INT "$pid"
finish_waiting
set +m
check_that 'SIGINT ends porthostctl' test $status = 130
check_that 'SIGINT leaves no daemon behind' await gone
set -m
for _ in {1..10}; do # what the daemon is about to say then is a matter of luck
    : >"$dir/out"
    "$ctl" --daemon "$daemon" --driver-path "$drivers" open echo_drv wait 60000 </dev/null >"$dir/out" 2>>"$dir/said" &
    pid=$!
    await grep -q '{ok,open' "$dir/out"
    kill -INT "$pid"
    { wait "$pid"; } 2>/dev/null
done
set +m
cp "$dir/said" "$dir/err"
complains() { grep -q '^warning' "$dir/said"; } # it may be told to end: with a sanitizer it takes its time
check_that 'nor does its daemon complain that nobody listens' eval '! complains'

{ echo 'p1 = open echo_drv'; yes 'p1 control 0 x' | head -100000; } >"$dir/many"
timeout 60 "$ctl" --daemon "$daemon" --driver-path "$drivers" shell <"$dir/many" 2>/dev/null | head -1 >"$dir/out"
check_that 'it ends when nobody reads what it prints' test "${PIPESTATUS[0]}" = 1

# ---- standard descriptors that are closed ----

run timeout 20 "$ctl" --daemon "$daemon" shell <&-
check 'no stdin: the shell ends' 0 ''
run timeout 20 "$ctl" record "$dir/closed.rec" -- "$daemon" --stdio <&-
check_lines 'no stdin: a recording ends' 0 out
check_that 'and has the end' grep -q 'client ended' "$dir/closed.rec"
timeout 20 "$ctl" --daemon "$daemon" ping >&- 2>"$dir/err"
status=$?
check_that 'no stdout: status 1' test "$status" = 1
run timeout 20 sh -c 'exec "$0" "$@" 2>&-' "$ctl" --daemon "$daemon" ping
check 'no stderr' 0 pong
timeout 20 "$ctl" --daemon "$daemon" --driver-path "$drivers" open echo_drv command x <&- >&- 2>&-
status=$?
check_that 'none of them' test "$status" = 1

finish
