#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Every kind of request, while memory runs out at each allocation in turn: memory_test.sh BUILD EVERY [NTH]. EVERY: one allocation of so many is tried, NTH: one input of so
# many (default 1). The inputs are those that fuzzing begins with. Prints "N passed, N failed".
set -eu -o pipefail
cd "$(dirname "$0")/../.."
build=$1 every=$2 nth=${3:-1}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
tests/fuzz/seeds "$dir/seeds"
mapfile -t inputs < <(printf '%s\n' "$dir"/seeds/conn/* tests/fuzz/regressions/conn/* | awk -v nth="$nth" 'NR % nth == 0')
# What it tells while it goes is of interest only if it fails.
"$build/tests/faults/memory" "$every" "${inputs[@]}" 2>"$dir/log" || {
  status=$?
  tail -n 60 "$dir/log"
  exit "$status"
}
