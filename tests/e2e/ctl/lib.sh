# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What the tests of porthostctl share beyond ../lib.sh; sourced by each of them, from the top directory. They print TAP, and at the end 'N passed, N failed'.
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
set -o pipefail

for needed in "$daemon" "$ctl" "$drivers/echo_drv.so"; do
    [[ -e $needed ]] || { echo "Bail out! $needed is missing"; exit 1; }
done

# ---- judging ----

# Runs a command with what is on stdin; its status and output go to $status, $dir/out and $dir/err.
run() {
    "$@" >"$dir/out" 2>"$dir/err"
    status=$?
}

own() { run timeout 30 "$ctl" --daemon "$daemon" --driver-path "$drivers" "$@"; }

# NAME STATUS STDOUT: the last run ended with that status and printed exactly that.
check() {
    local wrong=0
    [[ $status == "$2" && $(<"$dir/out") == "$3" ]] || wrong=1
    verdict "$1" $wrong < <(
        echo "status $status, expected $2"
        diff <(printf '%s\n' "$3") "$dir/out"
        sed 's/^/stderr: /' "$dir/err"
    )
}

# NAME STATUS PATTERN: the last run ended with that status and a line of its stderr matches.
check_err() {
    local wrong=0
    [[ $status == "$2" ]] && grep -qE -- "$3" "$dir/err" || wrong=1
    verdict "$1" $wrong < <(
        echo "status $status, expected $2; expected on stderr: $3"
        sed 's/^/stdout: /' "$dir/out"
        sed 's/^/stderr: /' "$dir/err"
    )
}

# NAME STATUS FILE PATTERN...: the last run ended with that status, and each pattern matches a line of $dir/FILE.
check_lines() {
    local name=$1 expected=$2 file=$3 wrong=0 pattern
    shift 3
    [[ $status == "$expected" ]] || wrong=1
    for pattern; do
        grep -qE -- "$pattern" "$dir/$file" || { wrong=1; break; }
    done
    verdict "$name" $wrong < <(
        echo "status $status, expected $expected; expected in $file: ${pattern:-}"
        sed 's/^/stdout: /' "$dir/out" | cut -c -300
        sed 's/^/stderr: /' "$dir/err" | cut -c -300
    )
}

# NAME COMMAND...: the command succeeds.
check_that() {
    local name=$1 wrong=0
    shift
    "$@" >/dev/null || wrong=1
    verdict "$name" $wrong < <(
        echo "failed: $*"
        sed 's/^/stdout: /' "$dir/out" | cut -c -300
        sed 's/^/stderr: /' "$dir/err"
    )
}

# ---- hosts that run ----

# Starts a daemon at the unix socket $dir/NAME; its pid in $host. ctl_at NAME talks to it.
start_host() { # NAME [OPTION]...
    local name=$1
    shift
    "$daemon" --unix "$dir/$name" --driver-path "$drivers" "$@" 2>"$dir/$name.log" &
    host=$!
    await "$ctl" --unix "$dir/$name" ping
}

ctl_at() {
    local name=$1
    shift
    timeout 30 "$ctl" --unix "$dir/$name" "$@"
}

# ---- what open and close print ----

opened='{ok,open,#{parallelism => false,soft_busy => false}}'
closed=$'{exit,port,normal}\n{ok,close,true}'
# The order of the keys in the reply to open is the host's affair.
own open echo_drv
first=$(head -1 "$dir/out")
[[ $first == '{ok,open,#{soft_busy => false,parallelism => false}}' ]] && opened=$first
true
