#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# porthostctl on a terminal, which script(1) makes: line editing, history, completion, Ctrl-C, colours. See lib.sh.
. "$(dirname "$0")/lib.sh"

export HOME=$dir TERM=xterm LC_ALL=C.UTF-8
unset NO_COLOR

# ---- a terminal to type at ----

# Starts a command (as env takes it; SIGINT is ignored in the background of a script) on a terminal. What it writes goes to $dir/tty; what is typed, to descriptor 7.
start_terminal() { # COMMAND
    rm -f "$dir/keys"
    mkfifo "$dir/keys"
    exec 7<>"$dir/keys"
    : >"$dir/tty"
    script -qfec "stty rows 24 cols 200; env --default-signal=INT $1; echo status \$?" "$dir/tty" <"$dir/keys" >/dev/null 2>&1 7>&- &
    terminal=$!
}

type_keys() { printf "$1" >&7; }

shows() { await grep -aqE -- "$1" "$dir/tty"; }

# Types, and waits until the terminal shows that.
keys() { # KEYS PATTERN
    type_keys "$1"
    shows "$2"
}

end_terminal() {
    shows 'status [0-9]+'
    local rc=$?
    exec 7>&-
    kill "$terminal" 2>/dev/null
    wait "$terminal" 2>/dev/null
    cp "$dir/tty" "$dir/out"
    return $rc
}


shell="$ctl --daemon $daemon --driver-path $drivers shell"

# ---- the interactive mode ----

start_terminal "$shell"
check_that 'there is a prompt' shows '^porthostctl> '
check_that 'a line is run' keys 'ping\r' '^pong'
check_that 'the tabulator completes a command' keys 'dri\t\r' '^\[\]'
check_that 'the tabulator shows what there is' keys 'lo\t' '^load +log-level'
check_that 'what is shown leaves the line' keys 'ad echo_drv\r' '^loaded'
check_that 'the tabulator completes a driver, and a line is edited' keys 'l = open ech\t\001p\005\r' '^\{ok,open'
check_that 'the tabulator completes the name of a port and a step' keys 'pl com\t one\r' '\{pl,\{data,"one"\}\}'
check_that 'the arrow brings the last line back' keys '\033[A\177\177\177two\r' '\{pl,\{data,"two"\}\}'
check_that 'the tabulator shows the levels of the log' keys 'log-level \t\t' '^error +warning'
type_keys '\003'
check_that 'the tabulator completes the argument of a command: a driver' keys 'load ech\t\r' '^already loaded|^loaded'
check_that 'a port' keys 'info p\t\r' 'registered_name|name =>'
check_that 'a word' keys 'ports --a\t\r' 'connection =>'
check_that 'text is UTF-8' keys 'pl call \xe2\x82\xac\xe2\x82\xac\r' 'expected a term'
check_that 'a line is typed' keys 'abandoned' 'abandoned'
type_keys '\003'
check_that 'Ctrl-C abandons it' keys 'stats\r' '^#\{'
check_that 'and it is not run' eval '! grep -aq "neither a command" "$dir/tty"'
type_keys 'trace pl\r'
sleep 0.3
type_keys '\003'
check_that 'Ctrl-C ends what runs, not the session' keys 'log-level\r' '^notice'
check_that 'a byte that is no text is one character' keys '\377ping\r' '[?]ping is neither a command'
check_that 'so are those of half a code point' keys '\xe2\x82pong\r' '[?][?]pong is neither a command'
type_keys 'pl = open delay_drv\r' # a name that is in use: an error, status 1
check_that 'a mistake is told' shows 'pl is open'
type_keys '\004'
check_that 'Ctrl-D ends the session, with the worst status' eval 'end_terminal && grep -aq "status 2" "$dir/tty"'
check_that 'ports are closed at the end' grep -aq '^{exit,pl,normal}' "$dir/tty"
check_that 'the history belongs to its owner' test "$(stat -c %a "$dir/.porthostctl_history")" = 600
start_terminal "$shell"
shows '^porthostctl> '
check_that 'the history is there the next time' keys '\022log-l\r' 'log-level'
check_that 'and its lines can be run' shows '^notice'
check_that 'messages come while a line is typed' keys 'p = open delay_drv 300\r' '^\{ok,open'
type_keys 'p command late\r'
type_keys 'pi'
check_that 'they come above the line' shows '\{p,\{data,"late"\}\}'
check_that 'which goes on' keys 'ng\r' '^pong'
type_keys 'quit\r'
check_that 'quit ends the session' end_terminal
cp "$dir/.porthostctl_history" "$dir/history"
start_terminal "--ignore-signal=XFSZ prlimit --fsize=0: $shell"
shows '^porthostctl> '
check_that 'a session whose history has no room ends as ever' eval 'keys "ping\r" "^pong" && type_keys "quit\r" && end_terminal'
check_that 'and the history stays as it was' cmp "$dir/history" "$dir/.porthostctl_history"
check_that 'alone' test "$(find "$dir" -name '.porthostctl_history*' | wc -l)" = 1

start_terminal "TERM=dumb $shell"
check_that 'a terminal that cannot edit has a prompt' shows '^porthostctl> '
check_that 'and its lines are run' keys 'ping\r' '^pong'
type_keys '\004'
check_that 'and it ends with Ctrl-D' end_terminal
printf '#!/bin/sh\necho $$ >%q\nexec %q "$@"\n' "$dir/pid" "$daemon" >"$dir/wrapped"
chmod +x "$dir/wrapped"
start_terminal "$ctl --daemon $dir/wrapped shell"
shows '^porthostctl> '
kill -KILL "$(<"$dir/pid")"
check_that 'a daemon that dies ends the session with status 3' eval 'end_terminal && grep -aq "status 3" "$dir/tty"'

# ---- colours ----

escapes() { grep -c $'\033\\[[0-9;]*m' "$dir/tty"; }

start_host sock
start_terminal "$ctl --unix $dir/sock unload none"
end_terminal
check_that 'diagnostics on a terminal are coloured' test "$(escapes)" -gt 0
start_terminal "NO_COLOR=1 $ctl --unix $dir/sock unload none"
end_terminal
check_that 'but not with NO_COLOR' test "$(escapes)" = 0
start_terminal "$ctl --unix $dir/sock watch --interval 0.05 --count 2"
end_terminal
check_that 'watch draws in place' grep -aq $'\033\\[H' "$dir/tty"
check_that 'watch gives the cursor back' grep -aq $'\033\\[?25h' "$dir/tty"
start_terminal "NO_COLOR=1 $ctl --unix $dir/sock watch --interval 0.05 --count 2"
end_terminal
check_that 'watch has no colours with NO_COLOR' test "$(escapes)" = 0
start_terminal "$ctl --unix $dir/sock watch --interval 0.05"
shows DRIVER
type_keys '\003'
check_that 'Ctrl-C ends watch, and that is well' eval 'end_terminal && grep -aq "status 0" "$dir/tty"'

finish
