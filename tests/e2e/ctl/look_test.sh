#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# porthostctl: looking at the ports of others: info, watch, trace, log-level, reload. See lib.sh.
. "$(dirname "$0")/lib.sh"

start_host host

# A session with a port of echo_drv and one of delay_drv, to which lines can be sent on descriptor 8.
mkfifo "$dir/in"
exec 8<>"$dir/in"
"$ctl" --unix "$dir/host" shell <"$dir/in" >"$dir/session" 2>&1 8>&- &
session=$!
printf '%s\n' 'p1 = open echo_drv' 'p2 = open delay_drv 60000' 'p2 command 12345' 'p1 command x' >&8
await grep -q 'p1,{data' "$dir/session"
run ctl_at host ports --all
connection=$(grep -oE 'connection => [0-9]+' "$dir/out" | head -1 | tr -dc 0-9)
port=$connection/1

# ---- info ----

run ctl_at host info "$port"
check_that 'info shows a port of another connection' grep -qE '^#\{name => "echo_drv",.*driver => "echo_drv",busy => false,stats => #\{' "$dir/out"
run ctl_at host --json info "$connection/2"
check_that 'info as JSON is an object' jq -e '.name == "delay_drv 60000" and .queue_size == 5 and .stats.runs >= 2' "$dir/out"
run ctl_at host info 999/1
check_err 'info about a port that is not there fails' 1 '^porthostctl: info: there is no port 999/1$'
own shell <<<$'p1 = open echo_drv\ninfo p1\ninfo p2'
check_that 'in the shell a port has its name' grep -q '^#{name => "echo_drv"' "$dir/out"
check_err 'in the shell an unknown name is an error' 2 "stdin:3: expected a port: .*found p2"

# ---- watch ----

run ctl_at host watch --interval 0.05 --count 2
check_that 'watch prints a table for each interval' test "$(grep -cE "^$port +echo_drv +live " "$dir/out")" = 2
check_that 'watch prints a head for each table' test "$(grep -c '^PORT  *DRIVER' "$dir/out")" = 2
check_that 'watch shows what is queued' grep -qE "^$connection/2 +delay_drv +live +0 +0 +0 +5 " "$dir/out"
check_that 'no escape sequences go into a file' test "$(tr -cd '\033' <"$dir/out" | wc -c)" = 0
(for _ in {1..200}; do echo 'p1 command hello'; sleep 0.01; done >&8) &
busy=$!
run ctl_at host --json watch --interval 0.3 --count 1
check_that 'watch as JSON is a line for each interval' test "$(wc -l <"$dir/out")" = 1
check_that 'a port that works has rates' jq -e --arg c "$connection" '.interval > 0.2 and .stats.ports == 2 and
    (.ports[] | select(.connection == ($c | tonumber) and .id == 1) |
     .rates.input > 0 and .rates.output > 0 and .rates.messages > 0 and .rates.runs > 0 and .rates.run_time > 0 and .rates.run_time <= 1)' "$dir/out"
check_that 'the port with the most run time comes first' jq -e '.ports[0].id == 1 and .ports[1].id == 2' "$dir/out"
wait "$busy"
"$ctl" --unix "$dir/host" watch --interval 0.05 >"$dir/out" 2>"$dir/err" &
watch=$!
await grep -q DRIVER "$dir/out"
kill -TERM "$watch"
{ wait "$watch"; status=$?; } 2>/dev/null
check_that 'watch ends when it is terminated' test "$status" = 143
timeout 30 "$ctl" --unix "$dir/host" watch --interval 0.02 2>/dev/null | head -1 >"$dir/out"
check_that 'watch ends when nobody reads' test "${PIPESTATUS[0]}" = 1

# A callback that has not come back yet: it waits while there is a file.
looked_at=$host
start_host stuck --driver-path "$probes"
host=$looked_at
touch "$dir/gate"
"$ctl" --unix "$dir/stuck" open strain_probe_drv control 7 "$dir/gate" >"$dir/stuck.out" 2>&1 &
opener=$!
running() { "$ctl" --unix "$dir/stuck" --json watch --interval 0.02 --count 1 | jq -e '.ports[0].running == "control"'; }
await running
run ctl_at stuck --json watch --interval 0.3 --count 1
check_that 'what runs counts as run time before it has ended' jq -e '.ports[0].rates.run_time > 0.5' "$dir/out"
run ctl_at stuck watch --interval 0.1 --count 1
check_that '... and may be the longest run' grep -qE ' ([0-9.]+m?s) +control \1$' "$dir/out"
rm "$dir/gate"
wait "$opener"

# ---- trace ----

# Starts a trace of the port with that name in the background and waits until it is one.
start_trace() { # NAME ARGUMENT...
    local name=$1
    shift
    : >"$dir/out"
    "$ctl" --unix "$dir/host" "$@" >"$dir/out" 2>"$dir/err" &
    tracer=$!
    for _ in {1..200}; do
        echo "$name control 0 wake" >&8
        [[ -s $dir/out ]] && return 0
        sleep 0.05
    done
}

# Until it has seen enough.
feed_trace() {
    for _ in {1..200}; do
        kill -0 "$tracer" 2>/dev/null || return
        echo 'p1 control 0 wake' >&8
        sleep 0.05
    done
}

await_trace() {
    { wait "$tracer"; status=$?; } 2>/dev/null
}

start_trace p1 trace "$port" --count 12
feed_trace
await_trace
check_that 'trace ends with its count, and well' test "$status:$(wc -l <"$dir/out")" = 0:12
check_that 'trace tells what enters the driver, and when' \
    grep -qE "^[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6} $port enter   #\{callback => control,runner => (inline|worker),caller => <[0-9.]+>,op => 0,size => 4,data => <<\"wake\">>\}$" "$dir/out"
check_that 'trace tells how long it ran' grep -qE "$port leave   #\{callback => control,run_time => [0-9]+\}$" "$dir/out"
start_trace p1 --json trace "$port" --count 12
feed_trace
await_trace
check_that 'trace as JSON is a line for each event' jq -se --arg c "$connection" 'length == 12 and
    any(.[]; .connection == ($c | tonumber) and .id == 1 and .event == "enter" and .args.callback == "control" and .args.data == "wake" and
            .time > 1700000000000000000) and any(.[]; .event == "leave")' "$dir/out"
set -m # SIGINT is not ignored in the background
start_trace p1 trace "$port"
kill -INT "$tracer"
await_trace
set +m
check_that 'SIGINT ends trace, and that is well' test "$status" = 0
timeout 30 "$ctl" --unix "$dir/host" trace "$port" 2>/dev/null | head -1 >"$dir/out" &
tracer=$!
for _ in {1..200}; do
    kill -0 "$tracer" 2>/dev/null || break
    echo 'p1 command again' >&8
    sleep 0.05
done
check_that 'trace ends when nobody reads' eval '! kill -0 "$tracer" 2>/dev/null'
start_trace p1 trace "$port"
echo 'p1 close' >&8
await_trace
check_that 'trace ends with the port' test "$status:$(tail -1 "$dir/out" | grep -c " $port closed  #{}$")" = 0:1
run ctl_at host trace "$port"
check_err 'there is no trace of a port that is not there' 1 "^porthostctl: trace: there is no port $port$"
own shell <<<$'p1 = open echo_drv\ntrace p1 --count 0\nping'
check_that 'in the shell a trace is a command like others' test "$status:$(tail -n +2 "$dir/out" | head -1)" = 0:pong

# ---- reload ----

printf '%s\n' 'p3 = open echo_drv' >&8
await eval 'ctl_at host ports --all | grep -q "id => 3"'
run ctl_at host --timeout 0.2 reload echo_drv
check_err 'a driver with ports is not loaded anew' 1 'reload: the driver still has ports after 0.2 seconds'
(sleep 0.3; echo 'p3 close' >&8) &
run ctl_at host reload echo_drv
check 'a driver is loaded anew when its ports are closed' 0 loaded
run ctl_at host reload no_such_drv
check_err 'what cannot be loaded cannot be loaded anew' 1 '^porthostctl: reload: '

# ---- log-level ----

run ctl_at host log-level
check 'log-level tells the level' 0 notice
run ctl_at host log-level debug
check 'log-level gives the level that was' 0 notice
run ctl_at host log-level warning
check 'log-level has changed the level' 0 debug
check_that 'the log tells who has done that' grep -qE '^notice \[conn [0-9]+ porthostctl\] sets the level of the log to warning$' "$dir/host.log"

# ---- the host dies ----

printf '%s\n' 'p4 = open echo_drv' >&8
await eval 'ctl_at host ports --all | grep -q "id => 4"'
start_trace p4 trace "$connection/4"
kill -KILL "$host"
await_trace
check_err 'a host that dies ends a trace with status 3' 3 'the host has ended the connection'
exec 8>&-
wait "$session" 2>/dev/null

finish
