#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The examples of proto/cli/SCRIPTS.md: every block marked phs passes; one marked "phs fails" or "phs wrong" fails, or is refused, with the text in the block
# that follows. Usage: [PORTHOSTD=..] [PORTHOSTCTL=..] [DRIVERS=..] script_doc_test.sh   (run from the top directory). Ends with 'N passed, N failed'.
. "$(dirname "$0")/lib.sh"
set -o pipefail
export DRIVERS=$drivers
evidence() { echo "status $status"; cat out err; }

# Each block in a directory of its own, in the order of the page: the block, what it is marked with, and the text that follows.
awk -v work="$dir" '
    /^```phs/ { mark = $2; name = mark == "file" ? $3 : "example.phs"; n++
                dir = sprintf("%s/%03d", work, n); system("mkdir " dir); print mark > (dir "/mark"); close(dir "/mark")
                print FNR > (dir "/line"); close(dir "/line"); out = dir "/" name; next }
    /^```text/ { out = dir "/text"; next }
    /^```/ { if (out != "") close(out); out = ""; next }
    out != "" { print > out }
' proto/cli/SCRIPTS.md
for f in "$dir"/*/common.phs; do # included by the example behind it
    for d in "$dir"/*/; do [[ -e $d/common.phs ]] || cp "$f" "$d"; done
done

for example in "$dir"/*/; do
    cd "$example" || exit 1
    [[ -e example.phs ]] || continue
    timeout 120 "$ctl" --daemon "$daemon" --driver-path "$drivers:$probes" run example.phs >out 2>err
    status=$?
    case $(<mark) in
        '') ((status == 0)) ;;
        fails) ((status == 1)) && [[ $(sed -e 1d -e '/^# stderr: /d' out) == "$(<text)" ]] ;;
        wrong) ((status == 2)) && [[ $(<err) == "$(<text)" && ! -s out ]] ;;
        *) false ;;
    esac
    ok $? "the example at line $(<line)"
done

for word in load unload env open command control call close expect caller as connect kill test set repeat sleep include; do
    grep -hqE "^ *$word " "$dir"/*/*.phs || point 1 "there is an example with $word"
done
finish 21
