#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The daemon exports what the installed erl_driver.h declares and the R12 names, no more and no less.
# Usage: exports_test.sh [DAEMON]   (default build/porthostd; run from the top directory)
set -euo pipefail

daemon=${1:-build/porthostd}
list=daemon/exports.list
include=${ERL_INCLUDE:-$(erl -noshell -eval 'io:put_chars(code:root_dir()), halt().')/usr/include}
r12='driver_async_cancel driver_event'

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Declarations as the compiler sees them, those of erl_driver.h only. Left of the first parenthesis, or of the end,
# stands the name; types and struct bodies have no place in it.
declared() {
    echo '#include <erl_driver.h>' | "${CC:-gcc}" -E -I"$include" - | perl -0777 -e '
        my ($own, $text) = (0, "");
        for (split /\n/, <STDIN>) {
            if (/^# \d+ "([^"]*)"/) { $own = $1 =~ m{/erl_driver\.h$} } elsif ($own) { $text .= "$_\n" }
        }
        1 while $text =~ s/\{[^{}]*\}//g;
        for (split /;/, $text) {
            s/^\s+|\s+$//g;
            next if $_ eq "" || /^(typedef|struct|enum|union)\b/;
            print "$1\n" if /^[^(]*?(\w+)\s*(\(|$)/;
        }'
    printf '%s\n' $r12
}

listed() {
    perl -0777 -ne 's{/\*.*?\*/}{}gs; print "$1\n" while /(\w+)\s*;/g' "$list"
}

# Data of libc that the executable refers to shows as defined, with libc's version behind an @.
exported() {
    nm -D --defined-only "$daemon" | awk '{print $NF}' | grep -v @ || true
}

same() { # what is meant, what is there, how to say it
    if ! diff -u "$work/$1" "$work/$2" > "$work/diff"; then
        echo "FAIL: $3"
        sed 1,2d "$work/diff" | grep '^[-+]' || true
        failed=1
    fi
}

failed=0
declared | sort -u > "$work/declared"
listed | sort > "$work/listed"
exported | sort > "$work/exported"

# Guards against an extraction that finds nothing, or too little.
for name in driver_output driver_term_nil dtrace_drvport_str erl_drv_set_os_pid driver_alloc_binary; do
    grep -qx "$name" "$work/declared" || { echo "FAIL: $name not found in the header"; failed=1; }
done
same declared listed "$list differs from the header and the R12 names (-: missing, +: too many)"
same declared exported "$daemon differs from the header and the R12 names (-: missing, +: too many)"
[ "$failed" = 0 ] && echo "ok: $(wc -l < "$work/declared") names exported"
exit "$failed"
