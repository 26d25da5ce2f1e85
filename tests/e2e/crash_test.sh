#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# When a driver crashes: what the log and the file in the state directory say, how the process dies, and that a driver that does so too often is not loaded until it is
# allowed. Prints TAP lines and "N passed, N failed".
. "$(dirname "$0")/lib.sh"
unset WALL_STEPS_MS # of scripts/test-faults: the time of day is part of what is looked at here
state=$dir/state
ulimit -c 0
evidence() { cat "$dir/err" "$dir/o" "$state"/crash-* 2>/dev/null; }

crash() { # OP [STEP...]: in a control of crash_probe_drv; the daemon's status in $status
  client open crash_probe_drv control 8 x control "$1" x "${@:2}"
  await gone
  wait "$pid" 2>/dev/null
  status=$?
}

gone() { ! kill -0 "$pid" 2>/dev/null; }

files() { # how many crashes are kept
  find "$state" -name 'crash-*' | wc -l
}

file_says() { # REGEX
  cat "$state"/crash-* | grep -qE -- "$1"
}

config() { printf '%s\n' "$1" >"$dir/c.json"; }

# --- what is said ---

mkdir -m 700 "$state"
config '{"state_dir": "'"$state"'", "crash_limit": 1000}'

start --config "$dir/c.json"
crash 0
[ "$status" -eq 139 ] && grep -qE '^CRITICAL SIGSEGV in callback control of driver crash_probe_drv, conn 1 port [0-9]+$' "$dir/err"
ok $? "the log names signal, callback, driver and port, and the process dies by the signal"
[ "$(files)" = 1 ] && [ "$(stat -c %a "$state"/crash-*)" = 600 ] && file_says '^CRITICAL SIGSEGV in callback control of driver crash_probe_drv, conn 1 port [0-9]+$' &&
  file_says '^driver: crash_probe_drv$' && file_says "^time: $(date +%s | cut -c 1-7)" && file_says "^process: $pid$"
ok $? "so does a file in the state directory"
file_says '^address: 0x18$' && file_says '^thread: (porthostd|reactor-|worker-)'
ok $? "address and thread"
[ "$(grep -cE '^event: control [0-9]+ us before, in ' "$state"/crash-*)" = 2 ] && file_says '^event: start [0-9]+ us before, in '
ok $? "what the port has done lately"
file_says '^backtrace:$' && file_says 'crash_probe_drv.so' && grep -q 'crash_probe_drv.so' "$dir/err"
ok $? "a backtrace"
rm -f "$state"/*

start --config "$dir/c.json" --log-format json
crash 0
tail -n 1 "$dir/err" | jq -e '.level == "critical" and .driver == "crash_probe_drv" and .connection == 1 and (.port | type) == "number" and (.text | test("^SIGSEGV in callback control of driver crash_probe_drv, conn 1 port [0-9]+; backtrace 0x"))' >"$dir/o" &&
  [ "$(files)" = 1 ] && file_says 'crash_probe_drv.so'
ok $? "a log of JSON has one line about it, the file is as ever"
rm -f "$state"/*

for kind in "1 134 SIGABRT.in.callback.control an abort" "2 133 SIGTRAP.in.callback.control a trap" "3 139 SIGSEGV.in.callback.async_invoke an async job" \
  "4 139 SIGSEGV.in.callback..none. a thread of the driver's own" "5 139 SIGSEGV.in.callback.timeout a timeout" "7 139 SIGSEGV.in.callback..none. several threads at once"; do
  read -r op want text name <<<"$kind"
  start --config "$dir/c.json"
  crash "$op" wait 5000
  [ "$status" -eq "$want" ] && file_says "^CRITICAL $text of driver crash_probe_drv" && file_says '^driver: crash_probe_drv$' && [ "$(grep -c ^CRITICAL "$dir/err")" = 1 ] && [ "$(files)" = 1 ]
  ok $? "$name: driver and signal are named, once"
  rm -f "$state"/*
done
start --config "$dir/c.json"
crash 9 close
[ "$status" -eq 139 ] && file_says 'in callback stop of driver crash_probe_drv, conn 1 port'
ok $? "stop"
rm -f "$state"/*
CRASH_IN_INIT=1 start --config "$dir/c.json"
client load crash_probe_drv
await gone && file_says '^CRITICAL SIGSEGV in callback init of driver crash_probe_drv$' && file_says '^driver: crash_probe_drv$'
ok $? "init"
rm -f "$state"/*
start --config "$dir/c.json"
client open crash_probe_drv control 6 x close && client ping && [ "$(files)" = 0 ] && stop
ok $? "a child process that crashes leaves no file"
start
crash 0
[ "$status" -eq 139 ] && grep -q '^CRITICAL SIGSEGV' "$dir/err" && [ "$(files)" = 0 ]
ok $? "without a state directory there is no file"
STATE_DIRECTORY="$state:/nowhere" start
crash 0
[ "$(files)" = 1 ]
ok $? "that of the service is used if none is configured"
rm -f "$state"/*
start --config "$dir/c.json"
ln -s "$dir/victim" "$state/crash-$(date +%s)-$pid"
ln -s "$dir/victim" "$state/crash-$(($(date +%s) + 1))-$pid"
crash 0
[ "$status" -eq 139 ] && [ ! -e "$dir/victim" ]
ok $? "no link is followed"
rm -f "$state"/*

# A disk of our own that can be filled. Only root has one.
if unshare --mount true 2>/dev/null && mkdir -p "$dir/disk"; then
  cat >"$dir/fill" <<'END'
mount -t tmpfs -o size=128k,mode=700 none "$1" && mkdir -m 700 "$1/state" && touch "$1/log"
shift 2
"$@" </dev/null 2>>"$LOG" &
pid=$!
trap 'kill -KILL $pid' EXIT
for _ in $(seq 200); do [ -S "$SOCKET" ] && break; sleep 0.05; done
dd if=/dev/zero of="$DISK/full" bs=1k status=none 2>/dev/null
timeout 20 "$CTL" --unix "$SOCKET" open echo_drv control 0 x && echo serves
timeout 20 "$CTL" --unix "$SOCKET" open crash_probe_drv control 8 x control 0 x wait 5000
wait $pid
echo "status $?"
trap - EXIT
cat "$DISK"/state/crash-*
END
  config '{"state_dir": "'"$dir"'/disk/state", "crash_limit": 1000}'
  rm -f "$dir/s"
  DISK=$dir/disk LOG=$dir/disk/log SOCKET=$dir/s CTL=$ctl timeout 60 unshare --mount bash "$dir/fill" "$dir/disk" -- \
    "$daemon" --unix "$dir/s" --driver-path "$drivers:$probes" --config "$dir/c.json" >"$dir/o" 2>"$dir/err"
  says serves && says "status 139"
  ok $? "with the disk of its log and state full it serves, and dies by the signal"
  grep -q '^CRITICAL SIGSEGV in callback control of driver crash_probe_drv, conn ' "$dir/o" && grep -q '^driver: crash_probe_drv$' "$dir/o" && grep -q 'crash_probe_drv.so' "$dir/o"
  ok $? "and what is to be said about the crash has its place there"
else
  echo "# no disk to fill: needs root"
fi

# --- too often ---

config '{"state_dir": "'"$state"'", "crash_limit": 1, "drivers": {"crash_probe_drv": {"preload": true}}}'
start --config "$dir/c.json"
crash 0
start --config "$dir/c.json"
client open crash_probe_drv control 8 x close
ok $? "a driver that has crashed as often as it may is loaded"
crash 0
start --config "$dir/c.json"
[ "$(files)" = 2 ] && grep -qF "warning [crash_probe_drv] it has crashed the host 2 times: it is not loaded until porthostctl allow crash_probe_drv" "$dir/err"
ok $? "after one more the daemon starts, though the driver is to be preloaded, and says so"
! client open crash_probe_drv close && says driver_crashed && ! client load crash_probe_drv && says driver_crashed && says "crashed the host too often"
ok $? "clients that load or open it are told why they cannot"
client open echo_drv close
ok $? "other drivers are not concerned"
client allow echo_drv && says 0 && client allow crash_probe_drv && says 2 && client open crash_probe_drv control 8 x close
ok $? "an administrator allows it"
stop
start --config "$dir/c.json"
[ "$(files)" = 0 ] && [ "$(find "$state" -name 'allowed-crash-*' | wc -l)" = 2 ] && client open crash_probe_drv control 8 x close
ok $? "also for the next start; what is known of the crashes stays"
stop
config '{"state_dir": "'"$state"'", "crash_limit": 0, "listeners": [{"unix": "'"$dir"'/s"}], "driver_path": ["'"$probes"'"]}'
printf 'CRITICAL\ndriver: crash_probe_drv\n' >"$state/crash-$(($(date +%s) - 3500))-1"
launch --config "$dir/c.json"
await listens_at "$dir/s"
! client allow crash_probe_drv && says not_permitted && ! client open crash_probe_drv close && says driver_crashed
ok $? "who may not administer may not allow it"
stop
config '{"state_dir": "'"$state"'", "crash_limit": 0, "crash_window_s": 3000}'
start --config "$dir/c.json"
client open crash_probe_drv control 8 x close
ok $? "what is longer ago than the window does not count"
printf 'CRITICAL\ndriver: crash_probe_drv\n' >"$state/crash-$(($(date +%s) + 100000))-1"
kill -HUP "$pid"
await grep -q "read again" "$dir/err" && client drivers && grep -q "it has crashed the host 1 times" "$dir/err"
ok $? "a crash in the future, after the clock was set back, does"
stop
for i in $(seq 150); do printf 'CRITICAL\ndriver: d\n' >"$state/crash-$i-1"; done
for bad in crash- crash-x crash-1 crash-99999999999999999999999-1; do head -c 3000 /dev/urandom >"$state/$bad"; done
mkdir "$state/crash-5-5"
printf 'driver: ' >"$state/crash-6-6"
start --config "$dir/c.json" && client ping && stop && [ "$(find "$state" -name 'crash-*-1' -size -50c | wc -l)" -le 100 ]
ok $? "files that are none, or too many, do no harm"
rm -r "${state:?}"/*
for i in $(seq 50); do
  printf 'CRITICAL\n' | tee "$state/crash-$i-1" >"$state/allowed-crash-$i-2"
  printf 'CRITICAL\ndriver: d\n' >"$state/crash-$i-3"
done
start --config "$dir/c.json" && client ping && stop && [ "$(find "$state" -type f | wc -l)" = 100 ] && [ -z "$(find "$state" -name '*crash-1[0-6]-*')" ] && [ "$(find "$state" -name '*crash-2?-*' | wc -l)" = 30 ]
ok $? "the newest hundred are kept, also of those that name no driver or are allowed"
config '{"state_dir": "'"$dir"'/nowhere"}'
refuses 1 "state directory $dir/nowhere: No such file" --unix "$dir/s2" --config "$dir/c.json"
ok $? "a state directory that is not there is an error"

finish
