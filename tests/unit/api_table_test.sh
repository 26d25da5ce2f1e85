#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# drivers/API.md has a row for each name that the installed erl_driver.h declares and for the R12 names, once; each name in it is
# exported; and each test that a row names exists.
# Usage: api_table_test.sh [DAEMON] [TABLE]   (default build/porthostd drivers/API.md; run from the top directory)
set -euo pipefail

daemon=${1:-build/porthostd}
table=${2:-drivers/API.md}
include=${ERL_INCLUDE:-$(erl -noshell -eval 'io:put_chars(code:root_dir()), halt().')/usr/include}
r12='driver_async_cancel driver_event'

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

fail() {
    echo "FAIL: $*"
    failed=1
}

# As in exports_test.sh: declarations as the compiler sees them, those of erl_driver.h only.
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

# NAME<TAB>WHERE<TAB>BEHAVIOUR<TAB>TEST of each row.
rows() {
    perl -ne 'print join("\t", $1, $2, $3, $4), "\n" if /^\| `(\w+)` \| (.*?) \| (.*?) \| (.*?) \|$/' "$table"
}

exported() {
    nm -D --defined-only "$daemon" | awk '{print $NF}' | grep -v @ || true
}

# A parity case is a string of a module of cases; the sources have it word for word.
parity_case() {
    grep -qrF --include='parity_*.erl' "\"$1\"" tests/parity
}

# FILE: NAME, the file without its suffix.
test_in_file() {
    local file=${1%%: *} name=${1#*: }
    case $file in
    tests/unit/check_*) grep -qE "^START_TEST\($name\)" "$file.c" 2>/dev/null ;;
    tests/e2e/*_tests) grep -qE "^${name}(_test|_test_)\(\) ->" "$file.erl" 2>/dev/null ;;
    *) false ;;
    esac
}

declared | sort -u > "$work/declared"
rows > "$work/rows"
cut -f1 "$work/rows" | sort > "$work/named"
exported | sort -u > "$work/exported"

# Guards against an extraction that finds nothing, or too little.
for name in driver_output driver_term_nil dtrace_drvport_str erl_drv_set_os_pid driver_alloc_binary; do
    grep -qx "$name" "$work/declared" || fail "$name not found in the header"
done
[ "$(grep -c '^| `' "$table")" = "$(wc -l < "$work/rows")" ] || fail "$table has rows without four columns"

for name in $(uniq -d "$work/named"); do fail "$name stands in $table twice"; done
for name in $(comm -23 "$work/declared" "$work/named"); do fail "$name is missing in $table"; done
for name in $(comm -13 "$work/exported" "$work/named"); do fail "$name stands in $table, but $daemon does not export it"; done

while IFS=$'\t' read -r name where behaviour test; do
    [[ $where =~ ^[CQT]$ ]] || fail "$name: $where is none of C, Q and T"
    [ -n "${behaviour// /}" ] || fail "$name: the behaviour is missing"
    if [[ $test =~ ^\"(.+)\"$ ]]; then
        parity_case "${BASH_REMATCH[1]}" || fail "$name: there is no parity case $test"
    else
        test_in_file "$test" || fail "$name: there is no test $test"
    fi
done < "$work/rows"

[ "$failed" = 0 ] && echo "ok: $(wc -l < "$work/rows") names, each with a test"
exit "$failed"
