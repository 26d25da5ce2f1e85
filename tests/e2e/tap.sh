# SPDX-License-Identifier: Apache-2.0
# For shell tests that run a program and judge its status, stdout and stderr. Sourced; makes $work, a directory that goes with the test.
# Prints TAP; the test ends with `finish`, which prints 'N passed, N failed'.
passed=0 failed=0 number=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
: >"$work/out"
: >"$work/err"

need() { # FILE...: without them there is no test
    local file
    for file; do
        [[ -e $file ]] || { echo "Bail out! $file is missing"; exit 1; }
    done
}

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

show_last() {
    sed 's/^/stdout: /' "$work/out" | cut -c -300
    sed 's/^/stderr: /' "$work/err" | cut -c -300
}

# NAME STATUS FILE PATTERN...: the last run ended with that status, and each pattern matches a line of $work/FILE.
check() {
    local name=$1 expected=$2 file=$work/$3 wrong=0 pattern
    shift 3
    [[ $status == "$expected" ]] || wrong=1
    for pattern; do
        grep -qE -- "$pattern" "$file" || { wrong=1; break; }
    done
    verdict "$name" $wrong < <(echo "status $status, expected $expected; expected in ${file##*/}: ${pattern:-}"; show_last)
}

# NAME COMMAND...: the command succeeds.
check_that() {
    local name=$1 wrong=0
    shift
    "$@" || wrong=1
    verdict "$name" $wrong < <(echo "failed: $*"; show_last)
}

# COMMAND...: tries until it succeeds, for at most ten seconds.
await() {
    for _ in {1..200}; do
        "$@" && return 0
        sleep 0.05
    done
    return 1
}

finish() {
    echo "1..$number"
    echo "$passed passed, $failed failed"
    ((failed == 0))
}
