#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# porthostctl: commands that are one request, and what is printed. See lib.sh.
. "$(dirname "$0")/lib.sh"

# ---- one request ----

own ping
check 'ping is answered by pong' 0 pong
own info
check_that 'info shows the version of the host' grep -qE '#\{.*version => <<"[0-9.]+">>' "$dir/out"
own stats
check_that 'stats shows a map of counters' grep -qE '^#\{.*[a-z_]+ => [0-9]+' "$dir/out"
own load echo_drv
check 'a driver is loaded from the driver path' 0 loaded
own load "$drivers" echo_drv
check 'a driver is loaded from a path' 0 loaded
own load no_such_drv
check_err 'a driver that is not there gives the reason, and status 1' 1 '^porthostctl: load: '
check_that 'an error leaves stdout empty' test ! -s "$dir/out"
own unload no_such_drv
check_err 'what is not loaded cannot be unloaded' 1 '^porthostctl: unload: '
own ports
check 'a new connection has no ports' 0 '[]'
own ports --all
check 'a new host has no ports' 0 '[]'

# ---- output ----

own --json open echo_drv control 0 'a"b'
check_that 'JSON has a line for every event' grep -qxF '{"tuple":["ok","control","a\"b"]}' "$dir/out"
own --json ping
check 'JSON of an atom is a string' 0 '"pong"'
run "$ctl" --version
check_that 'the version names the protocol' grep -qE '^porthostctl .+ \(protocol 1\)$' "$dir/out"
run "$ctl" --help
check_that 'the help names every command' test "$(grep -cE '^  (ping|drivers|load|unload|ports|info|stats|open|shell) ' "$dir/out")" = 9

finish
