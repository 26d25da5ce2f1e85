#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# porthostctl and a host that says more than is read, or more at once than others: times are kept, stdin is read, nothing is lost. See lib.sh.
. "$(dirname "$0")/lib.sh"

gush() { timeout 40 "$ctl" --daemon "$daemon" --driver-path "$probes" --timeout 1 "$@" 2>"$dir/err"; }

# Takes what comes, but slower than it comes.
slowly() { while [[ $(head -c 20000 | wc -c) -gt 0 ]]; do sleep 0.05; done; }

# ---- more than is read ----

gush open gush_probe_drv command 'gush 100 1' wait 500 | slowly
status=${PIPESTATUS[0]}
check_that 'wait ends' test "$status" != 124
input() {
    printf '%s\n' 'p = open gush_probe_drv' 'p command gush 100 1'
    sleep 1
    echo quit
}
input | gush shell | slowly
status=${PIPESTATUS[1]}
check_that 'a line that comes meanwhile is read' test "$status" != 124
gush open gush_probe_drv command 'gush 5 10' wait 60000 | head -1 >"$dir/out"
status=${PIPESTATUS[0]}
check_that 'wait ends when nobody reads any more' test "$status" = 1

# ---- more at once ----

deep() { head -c "$1" /dev/zero | tr '\0' "$2"; } # N CHARACTER
run timeout 60 "$ctl" --daemon "$daemon" --driver-path "$probes" open gush_probe_drv command 'deep 4900' command 'deep 9000' command 'deep 70000' wait 100
check_that 'a term that is nested deep is shown' grep -qx "$(deep 4900 '{')\[\]$(deep 4900 '}')" "$dir/out"
check_err 'one nested deeper is not, and that is told' 1 'cannot be shown; one may be nested 5000 deep'
check_that 'the session goes on' grep -qx '{ok,close,true}' "$dir/out"
check_that 'there is no line for what is not shown' test "$(wc -l <"$dir/out")" = 4
run timeout 60 "$ctl" --daemon "$daemon" --driver-path "$probes" --json open gush_probe_drv command 'deep 3000' wait 100
check_that 'it is shown as JSON' test "$(grep -o tuple "$dir/out" | wc -l)" -gt 3000
cat >"$dir/deep.phs" <<'EOF'
load gush_probe_drv
open p gush_probe_drv
command p "deep 3000"
expect X
command p "deep 3000"
expect X
command p "deep 9000"
expect {_}
EOF
run timeout 60 "$ctl" --daemon "$daemon" --driver-path "$probes" run "$dir/deep.phs"
check_lines 'a script compares it, and says what is too deep' 1 out 'deep.phs:8: expect \{_\}' '^#   came      \(a term that is nested too deep to be shown\)$'

cat >"$dir/huge.phs" <<'EOF'
load gush_probe_drv
open p gush_probe_drv options [binary]
command p "huge 129"
expect {p, {data, <<"xxx", _/binary>>}} within 60s
EOF
run timeout 100 "$ctl" --daemon "$daemon" --driver-path "$probes" run "$dir/huge.phs"
check_lines 'a frame larger than those of clients is taken' 0 out '^ok 1'

finish
