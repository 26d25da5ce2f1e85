#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The examples of proto/cli/SCRIPTS.md: every block marked phs passes; one marked "phs fails" or "phs wrong" fails, or is refused, with the text in the block
# that follows. Usage: [PORTHOSTD=..] [PORTHOSTCTL=..] [DRIVERS=..] script_doc_test.sh   (run from the top directory). Ends with 'N passed, N failed'.
set -uo pipefail

daemon=$(realpath "${PORTHOSTD:-build/porthostd}")
ctl=$(realpath "${PORTHOSTCTL:-build/porthostctl}")
DRIVERS=$(realpath "${DRIVERS:-build/drivers}")
export DRIVERS
passed=0 failed=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Each block in a directory of its own, in the order of the page: the block, what it is marked with, and the text that follows.
awk -v work="$work" '
    /^```phs/ { mark = $2; name = mark == "file" ? $3 : "example.phs"; n++
                dir = sprintf("%s/%03d", work, n); system("mkdir " dir); print mark > (dir "/mark"); close(dir "/mark")
                print FNR > (dir "/line"); close(dir "/line"); out = dir "/" name; next }
    /^```text/ { out = dir "/text"; next }
    /^```/ { if (out != "") close(out); out = ""; next }
    out != "" { print > out }
' proto/cli/SCRIPTS.md
for f in "$work"/*/common.phs; do # included by the example behind it
    for d in "$work"/*/; do [[ -e $d/common.phs ]] || cp "$f" "$d"; done
done

judge() { # LINE OK: the example at that line of the page
    if (($2)); then
        passed=$((passed + 1))
        echo "ok - the example at line $1"
    else
        failed=$((failed + 1))
        echo "not ok - the example at line $1 (status $status)"
        sed 's/^/# /' out err
    fi
}

for dir in "$work"/*/; do
    cd "$dir" || exit 1
    [[ -e example.phs ]] || continue
    timeout 120 "$ctl" --daemon "$daemon" --driver-path "$DRIVERS:${DRIVERS%/*}/tests/drivers" run example.phs >out 2>err
    status=$?
    ok=0
    case $(<mark) in
        '') ((status == 0)) && ok=1 ;;
        fails) ((status == 1)) && [[ $(sed -e 1d -e '/^# stderr: /d' out) == "$(<text)" ]] && ok=1 ;;
        wrong) ((status == 2)) && [[ $(<err) == "$(<text)" && ! -s out ]] && ok=1 ;;
    esac
    judge "$(<line)" "$ok"
done

for word in load unload env open command control call close expect caller as connect kill test set repeat end sleep include; do
    status=0
    grep -hqE "^ *$word " "$work"/*/*.phs || [[ $word == end ]] || judge "where $word should be" 0
done
echo "$passed passed, $failed failed"
((failed == 0 && passed > 20))
