# SPDX-License-Identifier: Apache-2.0
# Chapters of drivers/README.md as tests: their files are made, their commands are run, and print what stands behind them. Read by the tests in this
# directory, which are run from the top directory; PORTHOSTCTL says which build.

build=$(dirname "$(realpath "${PORTHOSTCTL:-build/porthostctl}")")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
ln -s "$build" "$work/build"
plain=no # or a sanitizer is in it, which goes with neither valgrind nor a malloc of one's own
[[ ${build##*/} == build ]] && plain=yes
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

# chapter TITLE PATTERN: goes to a directory with its files, and runs the commands there, in a build that is not plain without those that match.
chapter() {
    local command text status
    # Files under their names, commands and what they print under the number of the command.
    awk -v work="$work" -v title="## $1" '
        /^## / { path = $0 == title }
        !path { next }
        /^```(c|erl|phs) / { out = work "/" $2; next }
        /^```sh/ { n++; out = work "/" n ".sh"; next }
        /^```text/ { out = work "/" n ".text"; next }
        /^```/ { if (out != "") close(out); out = ""; next }
        out != "" { print > out }
    ' drivers/README.md
    cd "$work" || exit 1
    for command in [0-9].sh; do
        [[ $plain == no ]] && grep -qe "$2" "$command" && continue
        timeout 120 bash "$command" >out 2>&1
        status=$?
        text=${command%.sh}.text
        [[ ! -e $text ]] || as_written "$text" || status=1
        judge "$(head -1 "$command" | cut -c -70)" $status
    done
}

# finish LEAST: fewer tests than these are a failure, too.
finish() {
    echo "$passed passed, $failed failed"
    ((failed == 0 && passed >= $1))
}
