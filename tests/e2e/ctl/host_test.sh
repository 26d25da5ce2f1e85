#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# porthostctl: hosts that run, over unix sockets and TCP, and more than one of them. See lib.sh.
. "$(dirname "$0")/lib.sh"

tcp=127.0.0.1:$((20000 + $$ % 20000))
start_host one --tcp "$tcp"
one=$host
start_host two
run ctl_at one open echo_drv command hello
check 'a port is opened over a unix socket' 0 "$opened"$'\n{port,{data,"hello"}}\n'"$closed"
run timeout 30 "$ctl" --tcp "$tcp" open echo_drv control 0 hello
check 'a port is opened over TCP' 0 "$opened"$'\n{ok,control,"hello"}\n'"$closed"

"$ctl" --unix "$work/one" open 'echo_drv of one' wait 20000 >"$work/other" 2>/dev/null &
other=$!
within grep -q open "$work/other"
run ctl_at one ports --all
check_that 'the ports of other connections are shown' grep -qE '^\[#\{.*name => "echo_drv of one"' "$work/out"
run ctl_at one ports
check 'its own ports are shown by default' 0 '[]'
run ctl_at two ports --all
check 'another host has ports of its own' 0 '[]'

mkfifo "$work/in"
exec 9<>"$work/in"
"$ctl" --unix "$work/one" shell <"$work/in" >"$work/shell" 2>"$work/shell.err" 9>&- &
shell=$!
echo ping >&9
within grep -q pong "$work/shell"
kill -KILL "$one"
{ wait "$shell"; status=$?; } 2>/dev/null
exec 9>&-
cp "$work/shell.err" "$work/err"
check_err 'a host that dies ends a session with status 3' 3 'the host has ended the connection'
run ctl_at one ping
check_err 'a host that is dead gives no connection' 3 'cannot connect'
run ctl_at two ping
check 'another host goes on' 0 pong
kill "$other" 2>/dev/null

finish
