# SPDX-License-Identifier: Apache-2.0
# What the tests of porthostctl share; sourced by each of them, from the top directory. They print TAP, and at the end 'N passed, N failed'.
# Environment: PORTHOSTD, PORTHOSTCTL, DRIVERS say where what is tested lies.
set -uo pipefail

daemon=$(realpath "${PORTHOSTD:-build/porthostd}")
ctl=$(realpath "${PORTHOSTCTL:-build/porthostctl}")
drivers=$(realpath "${DRIVERS:-build/drivers}")
passed=0 failed=0 number=0

work=$(mktemp -d)
hosts=()
trap '[[ $BASHPID != $$ ]] || { end_hosts; rm -rf "$work"; }' EXIT # not in subshells
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

# NAME STATUS FILE PATTERN...: the last run ended with that status, and each pattern matches a line of $work/FILE.
check_lines() {
    local name=$1 expected=$2 file=$3 wrong=0 pattern
    shift 3
    [[ $status == "$expected" ]] || wrong=1
    for pattern; do
        grep -qE -- "$pattern" "$work/$file" || { wrong=1; break; }
    done
    verdict "$name" $wrong < <(
        echo "status $status, expected $expected; expected in $file: ${pattern:-}"
        sed 's/^/stdout: /' "$work/out" | cut -c -300
        sed 's/^/stderr: /' "$work/err" | cut -c -300
    )
}

# NAME COMMAND...: the command succeeds.
check_that() {
    local name=$1 wrong=0
    shift
    "$@" >/dev/null || wrong=1
    verdict "$name" $wrong < <(
        echo "failed: $*"
        sed 's/^/stdout: /' "$work/out" | cut -c -300
        sed 's/^/stderr: /' "$work/err"
    )
}

finish() { # the last line of every test
    echo "1..$number"
    echo "$passed passed, $failed failed"
    ((failed == 0))
}

# ---- waiting, and hosts that run ----

# Succeeds as soon as the command does, within ten seconds.
within() {
    for _ in {1..200}; do
        "$@" >/dev/null 2>&1 && return 0
        sleep 0.05
    done
    return 1
}

# Starts a daemon at the unix socket $work/NAME; its pid in $host. ctl_at NAME talks to it.
start_host() { # NAME [OPTION]...
    local name=$1
    shift
    "$daemon" --unix "$work/$name" --driver-path "$drivers" "$@" 2>"$work/$name.log" &
    host=$!
    hosts+=("$host")
    within "$ctl" --unix "$work/$name" ping
}

ctl_at() {
    local name=$1
    shift
    timeout 30 "$ctl" --unix "$work/$name" "$@"
}

end_hosts() {
    ((${#hosts[@]} == 0)) || kill "${hosts[@]}" 2>/dev/null
    wait
    hosts=()
}

# ---- what open and close print ----

opened='{ok,open,#{parallelism => false,soft_busy => false}}'
closed=$'{exit,port,normal}\n{ok,close,true}'
# The order of the keys in the reply to open is the host's affair.
own open echo_drv
first=$(head -1 "$work/out")
[[ $first == '{ok,open,#{soft_busy => false,parallelism => false}}' ]] && opened=$first
true
