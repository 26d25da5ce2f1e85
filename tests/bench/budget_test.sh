#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A message costs the daemon no more than the budget says: instructions, allocations, system calls. They are counted, not timed, so
# the machine's mood matters little: on a loaded one turns are smaller, so what is over is counted again, three times in all, and the least
# taken. budget_test.sh BUILD; ends with "N passed, N failed".
set -eu -o pipefail
cd "$(dirname "$0")/../.."
build=$1
counts=$(mktemp)
trap 'rm -f "$counts"' EXIT
passed=0 failed=0

# over FACTOR: what is not within the budget times FACTOR, or was not counted, or has no budget
over() {
  awk -v factor="$1" '
    /^#/ { next }
    NR == FNR { budget[$1 " " $2] = $3; next }
    !(($1 " " $2) in counted) || $3 < counted[$1 " " $2] { counted[$1 " " $2] = $3 }
    END {
      for (k in budget)
        if (!(k in counted)) print k ": not counted"
        else if (counted[k] > budget[k] * factor) print k ": " counted[k] ", budget " budget[k] * factor
      for (k in counted)
        if (!(k in budget)) print k ": no budget"
    }' tests/bench/budget "$counts"
}

check() { # NAME CONDITION...
  local name=$1
  shift
  if "$@"; then passed=$((passed + 1)); else failed=$((failed + 1)) && echo "failed: $name"; fi
}

# Instructions: a wait or a read less in a hundred may come out as none at all.
instructions_are_over_a_hundredth() { [ "$(over 0.01 | grep -c instructions)" -eq "$(grep -c '^[a-z]* *instructions' tests/bench/budget)" ]; }
nothing_is_over() {
  local list
  list=$(over 1)
  [ -z "$list" ] || { echo "$list" && return 1; }
}

for _ in 1 2 3; do
  tests/bench/counts "$build" >>"$counts"
  [ -n "$(over 1)" ] || break
done
check "a message costs no more than its budget" nothing_is_over
check "a budget that is too small is noticed" instructions_are_over_a_hundredth
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
