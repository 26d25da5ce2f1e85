# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Chapters of drivers/README.md as tests: their files are made, their commands are run, and print what stands behind them. Read by the tests in this
# directory, which are run from the top directory; PORTHOSTCTL says which build.

. tests/e2e/lib.sh
set -o pipefail
build=$(dirname "$ctl")
ln -s "$build" "$dir/build"
plain=no # or a sanitizer is in it, which goes with neither valgrind nor a malloc of one's own
[[ ${build##*/} == build ]] && plain=yes
shown=(out)

# The order of the keys in the reply to open is the host's affair.
as_written() {
    sed 's/#{parallelism => false,soft_busy => false}/#{soft_busy => false,parallelism => false}/' out | diff - "$1"
}

# chapter TITLE PATTERN: goes to a directory with its files, and runs the commands there, in a build that is not plain without those that match.
chapter() {
    local command text status
    # Files under their names, commands and what they print under the number of the command.
    awk -v dir="$dir" -v title="## $1" '
        /^## / { path = $0 == title }
        !path { next }
        /^```(c|erl|phs) / { out = dir "/" $2; next }
        /^```sh/ { n++; out = dir "/" n ".sh"; next }
        /^```text/ { out = dir "/" n ".text"; next }
        /^```/ { if (out != "") close(out); out = ""; next }
        out != "" { print > out }
    ' drivers/README.md
    cd "$dir" || exit 1
    for command in [0-9].sh; do
        [[ $plain == no ]] && grep -qe "$2" "$command" && continue
        timeout 120 bash "$command" >out 2>&1
        status=$?
        text=${command%.sh}.text
        [[ ! -e $text ]] || as_written "$text" || status=1
        ok $status "$(head -1 "$command" | cut -c -70)"
    done
}
