#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# porthostctl: hosts that run, over unix sockets and TCP, and more than one of them. See lib.sh.
. "$(dirname "$0")/lib.sh"

tcp=127.0.0.1:$tcp_port
start_host one --tcp "$tcp"
one=$host
start_host two
run ctl_at one open echo_drv command hello
check 'a port is opened over a unix socket' 0 "$opened"$'\n{port,{data,"hello"}}\n'"$closed"
run timeout 30 "$ctl" --tcp "$tcp" open echo_drv control 0 hello
check 'a port is opened over TCP' 0 "$opened"$'\n{ok,control,"hello"}\n'"$closed"

(umask 077; echo 'a cookie of the test' >"$dir/cookie"; echo 'another cookie of the test' >"$dir/wrong")
secret=127.0.0.1:$((tcp_port + 6000))
start_host three --tcp "$secret" --cookie-file "$dir/cookie"
run timeout 30 "$ctl" --cookie-file "$dir/cookie" --tcp "$secret" open echo_drv control 0 hello
check 'a port is opened over TCP at a host that demands a cookie' 0 "$opened"$'\n{ok,control,"hello"}\n'"$closed"
run timeout 30 "$ctl" --tcp "$secret" --cookie-file "$dir/wrong" ping
check_err 'with another cookie there is no connection' 3 'the host says goodbye: bad_auth'
run timeout 30 "$ctl" --tcp "$secret" ping
check_err 'nor without one' 3 'the host says goodbye: auth_required'
run timeout 30 "$ctl" --tcp "$tcp" --cookie-file "$dir/cookie" ping
check_err 'nor to a host that does not prove that it knows the cookie' 3 'does not prove'
run "$ctl" --tcp "$tcp" --cookie-file "$dir/none" ping
check_err 'a cookie file that is not there is wrong usage' 2 'none: No such file'
chmod 644 "$dir/wrong"
run "$ctl" --tcp "$tcp" --cookie-file "$dir/wrong" ping
check_err 'so is one that others can read' 2 'its mode must be 0600'
run "$ctl" --unix "$dir/one" --cookie-file "$dir/cookie" ping
check_err 'a cookie is for TCP' 2 'is for --tcp'
run "$ctl" --tcp "$secret" --cookie-file "$dir/cookie" record "$dir/rec"
check_err 'and not for recordings' 2 'not for record'

"$ctl" --unix "$dir/one" open 'echo_drv of one' wait 20000 >"$dir/other" 2>/dev/null &
other=$!
await grep -q open "$dir/other"
run ctl_at one ports --all
check_that 'the ports of other connections are shown' grep -qE '^\[#\{.*name => "echo_drv of one"' "$dir/out"
run ctl_at one ports
check 'its own ports are shown by default' 0 '[]'
run ctl_at two ports --all
check 'another host has ports of its own' 0 '[]'

mkfifo "$dir/in"
exec 9<>"$dir/in"
"$ctl" --unix "$dir/one" shell <"$dir/in" >"$dir/shell" 2>"$dir/shell.err" 9>&- &
shell=$!
echo ping >&9
await grep -q pong "$dir/shell"
kill -KILL "$one"
{ wait "$shell"; status=$?; } 2>/dev/null
exec 9>&-
cp "$dir/shell.err" "$dir/err"
check_err 'a host that dies ends a session with status 3' 3 'the host has ended the connection'
run ctl_at one ping
check_err 'a host that is dead gives no connection' 3 'cannot connect'
run ctl_at two ping
check 'another host goes on' 0 pong
kill "$other" 2>/dev/null

finish
