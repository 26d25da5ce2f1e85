#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The path of drivers/README.md, "A first driver"; and valgrind finds the leak that the text speaks of. Usage: [PORTHOSTCTL=..] newcomer_test.sh
. tests/e2e/guide/lib.sh

chapter "A first driver" valgrind
if [[ $plain == yes ]]; then
    sed -i '/^    driver_free(d);$/d; s/^static void upper_stop(ErlDrvData d)$/&/; /^static void upper_stop/,/^}/s/^{$/{\n    (void)d;/' upper_drv.c
    timeout 120 bash 1.sh >out 2>&1 && ! timeout 120 build/porthostctl --driver-path . run --valgrind upper.phs >out 2>&1 && grep -q 'upper_start (upper_drv.c:' out
    ok $? 'a leak is found'
fi
finish 3
