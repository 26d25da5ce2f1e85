#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Every kind of request and of hello, while memory runs out at each allocation in turn: memory_test.sh BUILD EVERY [NTH]. EVERY: one allocation of so many is tried, NTH: one input of so
# many (default 1). The inputs are those that fuzzing begins with. Prints "N passed, N failed".
set -eu -o pipefail
cd "$(dirname "$0")/../.."
build=$1 every=$2 nth=${3:-1}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
tests/fuzz/seeds "$dir/seeds"
passed=0
for target in conn hello; do
  mapfile -t inputs < <(printf '%s\n' "$dir/seeds/$target"/* "tests/fuzz/regressions/$target"/* | awk -v nth="$nth" 'NR % nth == 0')
  # What it tells while it goes is of interest only if it fails.
  "$build/tests/faults/memory_$target" "$every" "${inputs[@]}" 2>"$dir/log" | tee "$dir/result" || {
    status=$?
    tail -n 60 "$dir/log"
    exit "$status"
  }
  passed=$((passed + $(awk '$2 == "passed" { print $1 }' "$dir/result")))
done
echo "$passed passed, 0 failed"
