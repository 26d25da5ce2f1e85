#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# porthostctl against a real daemon and the echo driver: what it prints, its exit status, and that it leaves nothing behind.
# Usage: [PORTHOSTD=..] [PORTHOSTCTL=..] [DRIVERS=..] ctl_test.sh   (run from the top directory)
# Prints TAP, and at the end 'N passed, N failed'.
set -uo pipefail

daemon=$(realpath "${PORTHOSTD:-build/porthostd}")
ctl=$(realpath "${PORTHOSTCTL:-build/porthostctl}")
drivers=$(realpath "${DRIVERS:-build/drivers}")
passed=0 failed=0 number=0

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for needed in "$daemon" "$ctl" "$drivers/echo_drv.so"; do
    [[ -e $needed ]] || { echo "Bail out! $needed is missing"; exit 1; }
done

# ---- judging ----

verdict() { # NAME STATUS, then what went wrong on stdin
    number=$((number + 1))
    if (($2 == 0)); then
        passed=$((passed + 1))
        echo "ok $number - $1"
        cat >/dev/null
    else
        failed=$((failed + 1))
        echo "not ok $number - $1"
        sed 's/^/# /'
    fi
}

# Runs a command with what is on stdin; its status and output go to $status, $work/out and $work/err.
run() {
    "$@" >"$work/out" 2>"$work/err"
    status=$?
}

own() { run timeout 30 "$ctl" --daemon "$daemon" --driver-path "$drivers" "$@"; }

# NAME STATUS STDOUT: the last run ended with that status and printed exactly that.
check() {
    local wrong=0
    [[ $status == "$2" && $(<"$work/out") == "$3" ]] || wrong=1
    verdict "$1" $wrong < <(
        echo "status $status, expected $2"
        diff <(printf '%s\n' "$3") "$work/out"
        sed 's/^/stderr: /' "$work/err"
    )
}

# NAME STATUS PATTERN: the last run ended with that status and a line of its stderr matches.
check_err() {
    local wrong=0
    [[ $status == "$2" ]] && grep -qE -- "$3" "$work/err" || wrong=1
    verdict "$1" $wrong < <(
        echo "status $status, expected $2; expected on stderr: $3"
        sed 's/^/stdout: /' "$work/out"
        sed 's/^/stderr: /' "$work/err"
    )
}

# NAME COMMAND...: the command succeeds.
check_that() {
    local name=$1 wrong=0
    shift
    "$@" || wrong=1
    verdict "$name" $wrong < <(
        echo "failed: $*"
        sed 's/^/stdout: /' "$work/out" | cut -c -300
        sed 's/^/stderr: /' "$work/err"
    )
}

opened='{ok,open,#{parallelism => false,soft_busy => false}}'
closed=$'{exit,port,normal}\n{ok,close,true}'
# The order of the keys in the reply to open is the host's affair.
own open echo_drv
first=$(head -1 "$work/out")
[[ $first == '{ok,open,#{soft_busy => false,parallelism => false}}' ]] && opened=$first

# ---- one request ----

own ping
check 'ping is answered by pong' 0 pong
own info
check_that 'info shows the version of the host' grep -qE '#\{.*version => <<"[0-9.]+">>' "$work/out"
own stats
check_that 'stats shows a map of counters' grep -qE '^#\{.*[a-z_]+ => [0-9]+' "$work/out"
own load echo_drv
check 'a driver is loaded from the driver path' 0 loaded
own load "$drivers" echo_drv
check 'a driver is loaded from a path' 0 loaded
own load no_such_drv
check_err 'a driver that is not there gives the reason, and status 1' 1 '^porthostctl: load: '
check_that 'an error leaves stdout empty' test ! -s "$work/out"
own unload no_such_drv
check_err 'what is not loaded cannot be unloaded' 1 '^porthostctl: unload: '
own ports
check 'a new connection has no ports' 0 '[]'
own ports --all
check 'a new host has no ports' 0 '[]'

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
own open no_such_drv command x
check_err 'a port of no driver cannot be opened' 1 '^porthostctl: load: '
own open echo_drv -o '{no_such_option,1}'
check_that 'a wrong option is refused by the host' grep -qx '{error,open,badarg}' "$work/out"

# ---- data ----

printf 'from a file\n' >"$work/data"
own open echo_drv control 0 "@$work/data"
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
head -c 3000000 /dev/zero | tr '\0' x >"$work/large"
own open echo_drv -o binary command "@$work/large" command "@$work/large"
check_that 'large data goes there and back without a deadlock' \
    test "$(grep -c '^{port,{data,<<"x*">>}}$' "$work/out"):$(tr -cd x <"$work/out" | wc -c)" = 2:6000001

# ---- output ----

own --json open echo_drv control 0 'a"b'
check_that 'JSON has a line for every event' grep -qxF '{"tuple":["ok","control","a\"b"]}' "$work/out"
own --json ping
check 'JSON of an atom is a string' 0 '"pong"'
run "$ctl" --version
check_that 'the version names the protocol' grep -qE '^porthostctl .+ \(protocol 1\)$' "$work/out"
run "$ctl" --help
check_that 'the help names every command' test "$(grep -cE '^  (ping|drivers|load|unload|ports|info|stats|open|shell) ' "$work/out")" = 9

# ---- shell ----

own shell <<'EOF'
# two ports of one driver
load echo_drv
p1 = open -o binary -o {line, 80} echo_drv first one
p2 = open echo_drv
p1 command hello world
p2 call 1 {a, "b c"}
p1 control 0 term:[1, 2]
p1 close
p2 close
EOF
check 'a session with two ports is played' 0 "loaded
$opened
$opened
{p1,{data,<<\"hello world\">>}}
{ok,call,{ok,1,{a,\"b c\"}}}
{ok,control,[1,2]}
{exit,p1,normal}
{ok,close,true}
{exit,p2,normal}
{ok,close,true}"
own shell <<'EOF'
p1 = open echo_drv
p1 call {a, B}
ping
EOF
check_err 'a mistake in a line has its place' 2 '^stdin:2:13: expected a term, found a variable$'
check_that 'a mistake shows the line and a caret' grep -qx '              ^' "$work/err"
check_that 'the lines behind a mistake are run' grep -qx pong "$work/out"
own shell <<<$'p1 = open echo_drv\np1 = open echo_drv'
check_err 'a name in use is not given to another port' 1 '^porthostctl: stdin:2: p1 is open$'
own shell <<<$'p1 = open echo_drv\np1 close\np1 = open echo_drv\np1 control 0 x'
check_that 'a name is free again when its port is closed' grep -qx '{ok,control,"x"}' "$work/out"
own shell <<<$'frob\np9 close\nwait\nquit\nping'
check 'unknown words are usage errors, and quit ends' 2 ''
own shell </dev/null
check 'no lines are no mistake' 0 ''

# ---- a running host ----

port=$((20000 + $$ % 20000))
"$daemon" --unix "$work/sock" --tcp "127.0.0.1:$port" --driver-path "$drivers" 2>"$work/host.log" &
host=$!
for _ in {1..100}; do
    [[ -S $work/sock ]] && "$ctl" --tcp "127.0.0.1:$port" ping >/dev/null 2>&1 && break
    sleep 0.05
done
run "$ctl" --unix "$work/sock" open echo_drv command hello
check 'a port is opened over a unix socket' 0 "$opened"$'\n{port,{data,"hello"}}\n'"$closed"
run "$ctl" --tcp "127.0.0.1:$port" open echo_drv control 0 hello
check 'a port is opened over TCP' 0 "$opened"$'\n{ok,control,"hello"}\n'"$closed"
"$ctl" --unix "$work/sock" open echo_drv wait 3000 >"$work/other" 2>/dev/null &
other=$!
for _ in {1..100}; do
    grep -q open "$work/other" && break
    sleep 0.05
done
run "$ctl" --unix "$work/sock" ports --all
check_that 'the ports of other connections are shown' grep -qE '^\[#\{.*name => "echo_drv"' "$work/out"
run "$ctl" --unix "$work/sock" ports
check 'its own ports are shown by default' 0 '[]'
kill -INT "$other" "$host" 2>/dev/null
wait "$host"
run "$ctl" --unix "$work/sock" ping
check_err 'a host that has ended gives no connection' 3 'cannot connect'
kill "$other" 2>/dev/null
wait "$other"

# ---- usage ----

used() { # NAME PATTERN ARGUMENT...: status 2 with that message, and nothing was started
    local name=$1 pattern=$2
    shift 2
    run "$ctl" --daemon "touch $work/started;" "$@"
    check_err "$name" 2 "$pattern"
}
used 'a command is needed' 'a command is missing'
used 'an unknown command is refused' '^porthostctl: frob is no command' frob
used 'too many arguments are refused' '^porthostctl: usage: unload NAME' unload a b
used 'a step needs its arguments' 'the data of control is missing' open x control 0
used 'an operation is a number' 'expected a number from 0 to 4294967295, found -1' open x control -1 d
used 'a term on the command line has to be one' "^the term of call:1:4: expected a term, found '}'" open x call '{a,}'
used 'a file that is not there is named' '/no/such/file: No such file' open x command @/no/such/file
used 'what is not iodata is refused' 'not iodata' open x command 'term:{a}'
used 'a timeout is a number' "^porthostctl: --timeout: expected seconds" --timeout soon ping
used 'two hosts are one too many' 'only one of' --unix /x ping
used 'an unknown option is refused' 'unrecognized option' --frob
check_that 'wrong usage starts nothing' test ! -e "$work/started"

# ---- connections that fail ----

run "$ctl" --unix "$work/none" ping
check_err 'no unix socket: status 3' 3 'cannot connect to .*/none: No such file or directory'
run "$ctl" --tcp 127.0.0.1:1 ping
check_err 'no TCP listener: status 3' 3 'cannot connect to 127.0.0.1:1: Connection refused'
run "$ctl" --tcp nowhere ping
check_err 'an address without a port: status 3' 3 'nowhere is not HOST:PORT'
run "$ctl" --daemon "$work/none" ping
check_err 'no daemon: status 3' 3 'the host has ended the connection: it ended with status 127'

fake() { # a daemon that is a shell script, from stdin
    { echo '#!/bin/sh'; cat; } >"$work/fake"
    chmod +x "$work/fake"
}
fake <<<'exec sleep 100'
run timeout 30 "$ctl" --daemon "$work/fake" --timeout 0.3 ping
check_err 'a daemon that says nothing: status 3' 3 'the host does not answer within 0.3 seconds'
fake <<<'echo this is no frame'
run "$ctl" --daemon "$work/fake" ping
check_err 'a daemon that talks nonsense: status 3' 3 'no frame of this protocol'
fake <<<'kill -SEGV $$'
run "$ctl" --daemon "$work/fake" ping
check_err 'a daemon that crashes is reported with its signal' 3 'ended by signal 11'

# ---- endings ----

# Starts a shell that waits for input, and its daemon; their pids in $pid and $child.
start_waiting() {
    mkfifo "$work/in"
    exec 9<>"$work/in"
    "$ctl" --daemon "$daemon" --driver-path "$drivers" shell <"$work/in" >"$work/out" 2>"$work/err" 9>&- &
    pid=$!
    echo ping >&9
    for _ in {1..100}; do
        grep -q pong "$work/out" && break
        sleep 0.05
    done
    child=$(pgrep -P "$pid")
}

finish_waiting() {
    { wait "$pid"; status=$?; } 2>/dev/null # bash reports a killed job here
    exec 9>&-
    rm "$work/in"
}

child_gone() {
    for _ in {1..100}; do
        kill -0 "$child" 2>/dev/null || return 0
        sleep 0.05
    done
    return 1
}

start_waiting
check_that 'a shell has a daemon of its own' test -n "$child"
kill -TERM "$pid"
finish_waiting
check_that 'SIGTERM ends porthostctl' test $status = 143
check_that 'SIGTERM leaves no daemon behind' child_gone
start_waiting
kill -KILL "$pid"
finish_waiting
check_that 'even SIGKILL leaves no daemon behind' child_gone
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
check_that 'SIGINT leaves no daemon behind' child_gone

{ echo 'p1 = open echo_drv'; yes 'p1 control 0 x' | head -100000; } >"$work/many"
timeout 60 "$ctl" --daemon "$daemon" --driver-path "$drivers" shell <"$work/many" 2>/dev/null | head -1 >"$work/out"
check_that 'it ends when nobody reads what it prints' test "${PIPESTATUS[0]}" = 1

echo "1..$number"
echo "$passed passed, $failed failed"
((failed == 0))
