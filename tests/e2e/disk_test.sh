#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A disk that is full, over quota or broken wherever something is written to it: the daemon serves on or says why it cannot begin, porthostctl says what is missing, and
# nothing is left half done. tests/preload/faults.c fails the calls. See also log_test.sh, and crash_test.sh for a disk that really is full. Prints TAP lines and "N passed, N failed".
. "$(dirname "$0")/lib.sh"
ulimit -c 0
state=$dir/state
errors='No space left on device|Disk quota exceeded|Input/output error'
shown=("$dir/err" "$dir/o" "$dir/out")

touch "$dir/while"

# with CALLS COMMAND...: the daemon's disk calls of these names fail, as long as there is $dir/while. So would those that write coverage's counts, and spoil what others wrote.
with() {
  LD_PRELOAD=$(realpath "$drivers/../tests/preload/faults.so") FAULTS=disk FAULTS_CALLS=$1 FAULTS_RATE=1 FAULTS_WHILE=$dir/while GCOV_PREFIX=$dir/counts \
    ASAN_OPTIONS="${ASAN_OPTIONS-}:verify_asan_link_order=0" "${@:2}"
}

said() { grep -qE -- "$1" "$dir/err"; }
serves() { client open echo_drv control 0 hello && says '{ok,control,"hello"}'; }
files() { find "$state" -name 'crash-*' | wc -l; }
config() { printf '%s\n' "$1" >"$dir/c.json"; }
fresh() { rm -rf "$state" && mkdir -m 700 "$state"; }

crash() { # the daemon's status is the function's
  client open crash_probe_drv control 8 x control 0 x wait 5000
  wait "$pid" 2>/dev/null
}

# --- the state directory ---

config '{"state_dir": "'"$state"'", "crash_limit": 0}'

fresh
with fallocate start --config "$dir/c.json"
said "^warning state directory: no room for what is to be said about a crash: ($errors)$" && serves
ok $? "no room for crashes: it is said, and the daemon serves"
crash
[ $? -eq 139 ] && [ "$(files)" -eq 1 ] && grep -q '^backtrace:$' "$state"/crash-* && grep -q '^driver: crash_probe_drv$' "$state"/crash-*
ok $? "a crash tries all the same"

fresh
with openat start --config "$dir/c.json"
said "^warning state directory: no room for what is to be said about a crash: ($errors)$" && serves
ok $? "no file for crashes can be made: it is said, and the daemon serves"
crash
[ $? -eq 139 ] && [ "$(files)" -eq 0 ] && said '^CRITICAL SIGSEGV in callback control of driver crash_probe_drv' && said '^backtrace:$'
ok $? "a crash is in the log then, and the process dies by the signal"

fresh
with linkat start --config "$dir/c.json"
crash
[ $? -eq 139 ] && [ "$(files)" -eq 1 ] && grep -q '^backtrace:$' "$state"/crash-* && grep -q '^driver: crash_probe_drv$' "$state"/crash-*
ok $? "the file that was prepared gets no name: the crash is in another"

fresh
rm "$dir/while"
with linkat,openat start --config "$dir/c.json"
touch "$dir/while"
crash
[ $? -eq 139 ] && [ "$(files)" -eq 0 ] && said '^CRITICAL SIGSEGV in callback control of driver crash_probe_drv'
ok $? "neither can be: it is in the log"

fresh
rm "$dir/while"
with write start --config "$dir/c.json"
touch "$dir/while"
crash
[ $? -eq 139 ]
ok $? "nothing can be written at all: the process dies by the signal"
rm "$dir/while"
start --config "$dir/c.json" && serves && stop
ok $? "and what is left of that does not keep the next one from serving"
touch "$dir/while"

fresh
printf 'CRITICAL\ndriver: crash_probe_drv\n' >"$state/crash-$(date +%s)-1"
with renameat start --config "$dir/c.json"
! client allow crash_probe_drv && grep -qE '^\{error,allow_driver,(enospc|edquot|eio)\}|enospc|edquot|eio' "$dir/o"
ok $? "what cannot be kept is not allowed, and who asked is told why"
said "^error state directory: crash-[0-9]+-1 cannot be renamed: ($errors)$" && ! client open crash_probe_drv close && says driver_crashed && [ "$(files)" -eq 1 ]
ok $? "the driver is barred as before"
rm "$dir/while"
client allow crash_probe_drv && says 1 && client open crash_probe_drv close && stop
ok $? "and allowed when the disk takes it"
touch "$dir/while"

fresh
for i in $(seq 150); do printf 'CRITICAL\ndriver: d\n' >"$state/crash-$i-1"; done
with unlinkat start --config "$dir/c.json" && serves && stop && [ "$(files)" -eq 150 ]
ok $? "files that are too many and cannot be removed do no harm"

# --- the socket's file ---

refused_at() { # CALLS TEXT: it does not begin, and no file is left
  rm -f "$socket"
  with "$1" refuses 1 "unix socket $socket: $2" --unix "$socket" && said "^error unix socket [^ ]*: $2($errors)$" && [ ! -e "$socket" ]
}
for seed in 1 2 3 4; do
  FAULTS_SEED=$seed refused_at bind '' || echo "# bind $seed"
  FAULTS_SEED=$seed refused_at lchown 'cannot set owner, group and mode: ' || echo "# lchown $seed"
  FAULTS_SEED=$seed refused_at chmod 'cannot set owner, group and mode: ' || echo "# chmod $seed"
done >"$dir/o"
[ ! -s "$dir/o" ]
ok $? "a socket that cannot have its file, or its rights, is an error, and no file is left"

rm "$dir/while"
start && kill -KILL "$pid"
wait "$pid" 2>/dev/null
touch "$dir/while"
with unlink refuses 1 "unix socket $socket: cannot take the place of the file that is there: " --unix "$socket" && said "($errors)$" && [ -S "$socket" ]
ok $? "so is that of another that cannot be removed"
with unlink start && stop && [ -S "$socket" ] && launch --unix "$socket" --driver-path "$drivers" && await serves && stop
ok $? "one's own that cannot be removed at the end: the end is in order, and the next daemon takes its place"

config '{"listeners": [{"unix": "'"$socket"'"}], "driver_path": ["'"$drivers"'"]}'
rm -f "$socket" "$dir/while"
with bind launch --config "$dir/c.json"
await serves
touch "$dir/while"
config '{"listeners": [{"unix": "'"$socket"'"}, {"unix": "'"$dir"'/s2"}], "driver_path": ["'"$drivers"'"], "limits": {"frame_bytes": 6000}}'
kill -HUP "$pid"
await said 'stays as it was' && said "^error unix socket $dir/s2: ($errors)$" && serves && [ ! -e "$dir/s2" ]
ok $? "a configuration with a listener that cannot have its file is not taken, and the daemon serves as before"
rm "$dir/while"
kill -HUP "$pid"
await listens_at "$dir/s2" && serves && stop
ok $? "it is when the disk takes it"
touch "$dir/while"

# --- the log ---

rm "$dir/while"
with write start --log-level info
touch "$dir/while"
before=$(stat -c %s "$dir/err")
serves && serves && [ "$(stat -c %s "$dir/err")" -eq "$before" ]
ok $? "a log that cannot be written: the daemon serves"
rm "$dir/while"
serves && said '^warning lines of the log were lost: [1-9][0-9]*$' && stop
ok $? "and says how much is missing when it can be"

# --- what porthostctl writes ---

# limited BYTES COMMAND...: its files may not grow beyond that
limited() {
  (trap '' XFSZ && export GCOV_PREFIX=$dir/counts && exec timeout 60 prlimit --fsize="$1": -- "${@:2}")
}

frames() { # N
  perl -e 'print pack("N", 1006) . "\x83m" . pack("N", 1000) . "x" x 1000 for 1 .. shift' "$1"
}
frames 1000 >"$dir/large"
limited 700000 "$ctl" record "$dir/cut.rec" -- cat <"$dir/large" 2>"$dir/err" | cat >"$dir/through"
[ "${PIPESTATUS[0]}" -eq 1 ] && said "cut.rec: not all of the session could be written: File too large$" && cmp -s "$dir/large" "$dir/through"
ok $? "a recording without room: it is said why, status 1, and the session is whole"
[ "$(wc -l <"$dir/cut.rec")" -gt 2 ] && [ "$(head -n 1 "$dir/cut.rec")" = 'porthost recording 1' ] && tail -n 1 "$dir/cut.rec" | grep -qE '^= [0-9.]+ cut$' &&
  ! sed '1d; $d' "$dir/cut.rec" | grep -qvE '^[<>] [0-9.]+ <<"x{1000}">>$'
ok $? "what is there of it are whole lines, and that it is cut"

limited 100 "$ctl" --daemon "$daemon" --driver-path "$drivers" run --junit "$dir/j.xml" tests/scripts/delay.phs 2>"$dir/err" | cat >"$dir/o"
[ "${PIPESTATUS[0]}" -eq 1 ] && said '--junit: .*/j.xml: File too large$'
ok $? "a report for JUnit without room: it is said, and status 1"

finish
