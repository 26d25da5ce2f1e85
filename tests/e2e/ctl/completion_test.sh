#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# porthostctl: completion in bash, as bash calls it. See lib.sh.
. "$(dirname "$0")/lib.sh"
. conf/completion/porthostctl

# What the line may go on with, in one line; $PROGRAM stands for porthostctl, as a user has it in PATH.
completed() { # LINE
    COMP_LINE=${1/#porthostctl/$ctl} COMP_POINT=${#COMP_LINE}
    COMP_POINT=${#COMP_LINE}
    _porthostctl "$ctl" "" ""
    echo "${COMPREPLY[*]}"
}

completes() { # NAME LINE EXPECTED
    completed "$2" >"$dir/out" 2>"$dir/err"
    status=$?
    check "$1" 0 "$3"
    check_that "$1: nothing is said" test ! -s "$dir/err"
}

start_host sock

completes 'a command' 'porthostctl dri' drivers
completes 'commands with the same beginning' 'porthostctl lo' 'load log-level'
completed 'porthostctl ' >"$dir/out"
check_that 'every command of the help is there' test "$(tr ' ' '\n' <"$dir/out" | sort)" = "$(
    "$ctl" --help | sed -n '/^Commands/,/^[A-Z][A-Z]/p' | grep -oE '^  [a-z-]+' | tr -d ' ' | sort)"
completes 'an option' 'porthostctl --dr' --driver-path
completes 'every option' 'porthostctl --' '--unix --tcp --cookie-file --daemon --driver-path --timeout --json --help --version'
completes 'a command behind options' 'porthostctl --json --timeout 3 pin' ping
completes 'a directory' 'porthostctl --driver-path conf/comp' conf/completion
completes 'drivers of a driver path' "porthostctl --driver-path $drivers open ech" echo_drv
completes 'drivers, if no host is named' 'porthostctl load ' ''
ctl_at sock open 'echo_drv' wait 20000 >"$dir/port" 2>/dev/null &
await grep -q open "$dir/port"
completes 'loaded drivers of a running host' "porthostctl --unix $dir/sock unload e" echo_drv
run ctl_at sock ports --all
port=$(grep -oE 'connection => [0-9]+' "$dir/out" | tr -dc 0-9)/1
completes 'ports of a running host' "porthostctl --unix $dir/sock info " "$port"
completes 'a host that is not there' "porthostctl --unix $dir/none info " ''
completes 'levels of the log' 'porthostctl log-level ' 'error warning notice info debug'
completes 'options of a command' 'porthostctl watch --i' --interval
completes 'options of a command, behind its arguments' 'porthostctl trace 1/2 --' --count
completes 'the argument of an option of a command' 'porthostctl watch --interval ' ''
completes 'steps' 'porthostctl open echo_drv co' 'command control connect'
check_that 'it is what bash calls for porthostctl' test "$(complete -p porthostctl)" = 'complete -o default -F _porthostctl porthostctl'

finish
