#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The path of drivers/README.md, "A first driver": its files are made, its commands are run, and they print what stands behind them; and valgrind finds the leak
# that the text speaks of. Usage: [PORTHOSTCTL=..] newcomer_test.sh   (run from the top directory). Ends with 'N passed, N failed'.
set -uo pipefail

build=$(dirname "$(realpath "${PORTHOSTCTL:-build/porthostctl}")")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
ln -s "$build" "$work/build"
valgrind=no # for a sanitizer build
[[ ${build##*/} == build ]] && valgrind=yes

# Files under their names, commands and what they print under the number of the command.
awk -v work="$work" '
    /^## / { path = $0 == "## A first driver" }
    !path { next }
    /^```(c|phs) / { out = work "/" $2; next }
    /^```sh/ { n++; out = work "/" n ".sh"; next }
    /^```text/ { out = work "/" n ".text"; next }
    /^```/ { if (out != "") close(out); out = ""; next }
    out != "" { print > out }
' drivers/README.md
cd "$work" || exit 1

passed=0 failed=0
judge() { # NAME STATUS
    if (($2 == 0)); then
        passed=$((passed + 1))
        echo "ok - $1"
    else
        failed=$((failed + 1))
        echo "not ok - $1"
        sed 's/^/# /' out
    fi
}

# The order of the keys in the reply to open is the host's affair.
as_written() {
    sed 's/#{parallelism => false,soft_busy => false}/#{soft_busy => false,parallelism => false}/' out | diff - "$1"
}

for command in [0-9].sh; do
    [[ $valgrind == no ]] && grep -q valgrind "$command" && continue
    timeout 120 bash "$command" >out 2>&1
    status=$?
    text=${command%.sh}.text
    [[ ! -e $text ]] || as_written "$text" || status=1
    judge "$(head -1 "$command" | cut -c -70)" $status
done
if [[ $valgrind == yes ]]; then
    sed -i '/^    driver_free(d);$/d; s/^static void upper_stop(ErlDrvData d)$/&/; /^static void upper_stop/,/^}/s/^{$/{\n    (void)d;/' upper_drv.c
    timeout 120 bash 1.sh >out 2>&1 && ! timeout 120 build/porthostctl --driver-path . run --valgrind upper.phs >out 2>&1 && grep -q 'upper_start (upper_drv.c:' out
    judge 'a leak is found' $?
fi
echo "$passed passed, $failed failed"
((failed == 0 && passed >= 3))
