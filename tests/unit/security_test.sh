#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The tests that SECURITY.md names exist: in each line of its tables a file of tests in backquotes is followed by what is looked for in it.
set -eu
cd "$(dirname "$0")/../.."
named=0 failed=0
while read -r token; do
  case $token in
    *.erl | *.sh | *.c) file=$(find tests -name "$token") ;;
    *)
      named=$((named + 1))
      if ! { [ -n "$file" ] && grep -qF -- "$token" "$file"; }; then
        echo "SECURITY.md names a test that does not exist: $token"
        failed=$((failed + 1))
      fi
      ;;
  esac
done < <(grep '^|.*|.*|$' SECURITY.md | sed 's/^.*| \(.*\) |$/\1/' | grep -oE '`[^`]+`' | tr -d '`' | grep -vE '^make ')
echo "$((named - failed)) passed, $failed failed"
[ "$named" -gt 0 ] && [ "$failed" -eq 0 ]
