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

finish
