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

# Names that a shell would run: of files, and of drivers that a host has loaded, which this program has in place of a host.
mkdir "$dir/drv"
cp "$drivers/echo_drv.so" "$dir/drv/\$(touch pwned).so"
cp "$drivers/echo_drv.so" "$dir/drv/a drv.so"
cp "$drivers/echo_drv.so" "$dir/drv/*.so"
cat >"$dir/asked" <<'EOF'
#!/bin/sh
echo '["$(touch${IFS}pwned)","`touch${IFS}pwned`","x;touch${IFS}pwned","b_drv"]'
EOF
chmod +x "$dir/asked"
evil() { # LINE: what it may go on with, a line each; run in $dir, where touch would leave its file
    (cd "$dir" && completed "$1" >/dev/null 2>err && printf '%s\n' "${COMPREPLY[@]}") | LC_ALL=C sort >"$dir/out"
    status=$?
}
evil "porthostctl --driver-path $dir/drv load "
check 'names of files are quoted' 0 $'\\$\\(touch\\ pwned\\)\n\\*\na\\ drv'
evil "porthostctl --driver-path $dir/drv load \$(to"
check 'such a name, begun' 0 '\$\(touch\ pwned\)'
evil "porthostctl --driver-path $dir/drv load a\\"
check 'such a name, begun as it is quoted' 0 'a\ drv'
ctl=$dir/asked evil "porthostctl --unix $dir/sock load "
check 'names of loaded drivers are quoted' 0 $'\\$\\(touch\\$\\{IFS\\}pwned\\)\n\\`touch\\$\\{IFS\\}pwned\\`\nb_drv\nx\\;touch\\$\\{IFS\\}pwned'
evil "porthostctl --unix $dir/drv/"
check 'names of sockets are quoted' 0 "$(printf '%q\n' "$dir/drv/\$(touch pwned).so" "$dir/drv/*.so" "$dir/drv/a drv.so" | LC_ALL=C sort)"
check_that 'none of it was run' test ! -e "$dir/pwned"

check_that 'it is what bash calls for porthostctl' test "$(complete -p porthostctl)" = 'complete -o default -F _porthostctl porthostctl'

finish
