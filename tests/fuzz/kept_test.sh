#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The inputs that fuzzing has kept (tests/fuzz/corpus), each run once more: kept_test.sh BUILD. All targets at a time; conn waits more than it works. What `process` keeps is
# among conn's. Prints a line for each target, the end of the log of those that failed, and "N passed, N failed" of targets.
set -u
cd "$(dirname "$0")/../.." || exit
build=$1
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
passed=0 failed=0

replay() { # TARGET
  mkdir "$dir/$1" && tar -C "$dir/$1" -xJf "tests/fuzz/corpus/$1.tar.xz" || return
  timeout 600 "$build/tests/fuzz/$1" "$dir/$1"/*
}

declare -A pids
for t in tests/fuzz/fuzz_*.c; do
  t=${t#tests/fuzz/fuzz_} t=${t%.c}
  replay "$t" >"$dir/$t.log" 2>&1 &
  pids[$t]=$!
done
for t in "${!pids[@]}"; do
  if wait "${pids[$t]}" && grep -q '^[1-9][0-9]* passed, 0 failed$' "$dir/$t.log"; then
    passed=$((passed + 1))
    echo "$t: $(tail -n 1 "$dir/$t.log")"
  else
    failed=$((failed + 1))
    echo "$t: the last input it ran:"
    tail -n 40 "$dir/$t.log"
  fi
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
