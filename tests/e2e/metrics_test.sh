#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What porthostd serves to Prometheus. Prints TAP lines and "N passed, N failed".
. "$(dirname "$0")/lib.sh"

begin() { # OPTION...: a daemon; the address of its metrics in $at
  start "$@" && at=$(address)
}

address() {
  sed -n 's|.*metrics at http://\([^/]*\)/metrics|\1|p' "$dir/err" | tail -n 1
}

lines() { # LINE...: for a porthostctl shell
  printf '%s\n' "$@" | client shell
}

scrape() { # into $dir/o
  curl -sS -m 20 "http://$at/metrics" >"$dir/o" 2>>"$dir/err"
}

value() { # METRIC: of the last scrape
  awk -v m="$1" '$1 == m {print $2}' "$dir/o"
}

is() { # METRIC VALUE
  scrape && [ "$(value "$1")" = "$2" ]
}

at_least() { # METRIC VALUE
  scrape && awk -v m="$1" -v v="$2" '$1 == m && $2 >= v {found = 1} END {exit !found}' "$dir/o"
}

has_thread() { # NAME
  grep -qx "$1" /proc/"$pid"/task/*/comm
}

status() { # PATH
  curl -s -m 20 -o /dev/null -w '%{http_code}' "http://$at$1"
}

# --- addresses ---

refuses 1 "not a loopback address" --unix "$dir/s" --metrics 0.0.0.0:0
ok $? "an address that is not a loopback address is refused"
refuses 1 "expected HOST:PORT" --unix "$dir/s" --metrics 9464
ok $? "so is one without a host"
refuses 1 "the port must be a number" --unix "$dir/s" --metrics 127.0.0.1:http
ok $? "so is one whose port is no number"
echo '{"metrics_remote": true}' >"$dir/c.json"
begin --config "$dir/c.json" --metrics 0.0.0.0:0 && [ "$(curl -s -m 20 "http://127.0.0.1:${at##*:}/healthz")" = ok ]
ok $? "with metrics_remote it is not"
sed -i 's/}/, "metrics": "0.0.0.0:0"}/' "$dir/c.json" && stop
begin --config "$dir/c.json" && : >"$dir/err" && sed -i 's/true/false/' "$dir/c.json" && kill -HUP "$pid" &&
  await grep -q "not a loopback address" "$dir/err" && await grep -q "stays as it was" "$dir/err" && [ "$(status /healthz)" = 200 ]
ok $? "SIGHUP: such an address is not served without that key any more, so the configuration stays"
refuses 1 "Address already in use" --unix "$dir/s" --metrics "127.0.0.1:${at##*:}"
ok $? "an address that is taken is refused"
stop
echo '{}' >"$dir/c.json"
begin --config "$dir/c.json" && [ -z "$at" ]
ok $? "without the key nothing is served"
echo '{"metrics": "localhost:0"}' >"$dir/c.json"
kill -HUP "$pid"
await grep -q "read again" "$dir/err" && at=$(address) && scrape
ok $? "SIGHUP: they are served"
echo '{}' >"$dir/c.json"
: >"$dir/err"
kill -HUP "$pid"
await grep -q "read again" "$dir/err" && ! scrape
ok $? "SIGHUP: they are not any more"
stop
ok $? "and it ends in order"
reload() { # TEXT: another configuration; true if it is in force and served
  echo "$1" >"$dir/c.json"
  : >"$dir/err"
  kill -HUP "$pid"
  await grep -q "read again\|stays as it was" "$dir/err" && grep -q "read again" "$dir/err" && [ "$(curl -s -m 20 "http://127.0.0.1:$tcp_port/healthz")" = ok ]
}
echo '{"metrics": "127.0.0.1:'$tcp_port'"}' >"$dir/c.json"
begin --config "$dir/c.json" && reload '{"metrics": "localhost:'$tcp_port'"}' && [ -z "$(address)" ]
ok $? "SIGHUP: another name of the address changes nothing"
reload '{"metrics": "0.0.0.0:'$tcp_port'", "metrics_remote": true}' && [ "$(address)" = 0.0.0.0:$tcp_port ] && reload '{"metrics": "127.0.0.1:'$tcp_port'"}' &&
  [ "$(address)" = 127.0.0.1:$tcp_port ] && ! curl -s -m 20 "http://127.0.0.2:$tcp_port/healthz" >"$dir/o"
ok $? "SIGHUP: an address that overlaps takes its place"
stop
if [ -e /proc/net/if_inet6 ]; then
  begin --metrics '[::1]:0' && [[ $at == "[::1]:"* ]] && [ "$(status /healthz)" = 200 ]
  ok $? "an IPv6 address is named as it is written in a URL"
  stop
fi
# The thread that reads the configuration is there when no other can be started any more: it loads a driver meanwhile, which takes as long as there is $dir/init.
echo '{"metrics": "localhost:0"}' >"$dir/c.json"
touch "$dir/init"
LD_PRELOAD=$(realpath "$drivers/../tests/preload/faults.so") FAULTS=threads FAULTS_RATE=1 FAULTS_WHILE=$dir/while SLOW_INIT_WHILE=$dir/init \
  ASAN_OPTIONS=${ASAN_OPTIONS:-}:verify_asan_link_order=0 begin --driver-path "$probes" --config "$dir/c.json"
echo '{"metrics": "127.0.0.1:0", "drivers": {"slow_init_probe_drv": {"preload": true}}}' >"$dir/c.json"
kill -HUP "$pid"
await has_thread reload && touch "$dir/while" && rm "$dir/init"
await grep -q "stays as it was" "$dir/err" && grep -q "cannot start a thread for metrics" "$dir/err" && scrape
ok $? "SIGHUP: without a thread for another address they are served where they were"
rm -f "$dir/while"
stop

# --- what is served ---

begin --metrics 127.0.0.1:0
[ "$(status /healthz)" = 200 ] && [ "$(status /metrics)" = 200 ] && [ "$(status /)" = 404 ] && [ "$(status "/metrics?x=1")" = 200 ]
ok $? "/metrics and /healthz, and nothing else"
exec 8<>"/dev/tcp/${at%:*}/${at##*:}"
{ printf 'HEAD %s HTTP/1.1\r\nHost: x\r\n\r\n' /metrics /healthz / && printf 'GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'; } >&8
timeout 20 tr -d '\r' <&8 >"$dir/o"
exec 8>&-
[ "$(grep -vE '^(Date|Content-Type|Connection):' "$dir/o" | sed -E 's/^(Content-Length:) [0-9]{4,}$/\1 many/' | tr '\n' '|')" = \
  'HTTP/1.1 200 OK|Content-Length: many||HTTP/1.1 200 OK|Content-Length: 3||HTTP/1.1 404 Not Found|Content-Length: 10||HTTP/1.1 200 OK|Content-Length: 3||ok|' ]
ok $? "HEAD: how long the answer to GET would be, and nothing that would be taken for the next one"
[ "$(curl -s -m 20 -o /dev/null -w '%{http_code}' -X DELETE "http://$at/metrics")" != 200 ] && head -c 100000 /dev/zero | tr '\0' x | curl -s -m 20 -o /dev/null --data-binary @- "http://$at/metrics"
scrape
ok $? "other methods and long bodies do no harm"
lines "a = open echo_drv" "a command hello" "b = open echo_drv" "b close" "wait 300 ms"
scrape && promtool check metrics <"$dir/o" >"$dir/lint" 2>&1 && [ ! -s "$dir/lint" ]
ok $? "promtool has nothing to say about them"
is 'porthost_driver_opens_total{driver="echo_drv"}' 2 && is 'porthost_driver_closes_total{driver="echo_drv"}' 2 && is 'porthost_driver_ports{driver="echo_drv"}' 0
ok $? "opens, closes and ports of a driver"
[ "$(value 'porthost_driver_received_bytes_total{driver="echo_drv"}')" = 5 ] && [ "$(value 'porthost_driver_sent_bytes_total{driver="echo_drv"}')" = 5 ] &&
  [ "$(value 'porthost_driver_outputs_total{driver="echo_drv"}')" = 1 ] && [ "$(value 'porthost_requests_total{request="commands"}')" = 1 ]
ok $? "commands, bytes and messages"
[ "$(value 'porthost_driver_callbacks_total{driver="echo_drv",callback="outputv"}')" = 1 ] && [ "$(value 'porthost_driver_callbacks_total{driver="echo_drv",callback="start"}')" = 2 ] &&
  [ "$(value 'porthost_driver_callback_seconds_count{driver="echo_drv"}')" = "$(value 'porthost_driver_callback_seconds_bucket{driver="echo_drv",le="+Inf"}')" ] &&
  [ "$(value 'porthost_driver_callback_seconds_count{driver="echo_drv"}')" = "$(($(value 'porthost_driver_runs_total{driver="echo_drv",by="inline"}') + $(value 'porthost_driver_runs_total{driver="echo_drv",by="worker"}')))" ]
ok $? "callbacks by name, by time and by thread"
is porthost_connections 0 && at_least porthost_connections_opened_total 1 && at_least porthost_frames_sent_total 3 && at_least porthost_received_bytes_total 10 &&
  at_least process_resident_memory_bytes 1000000
ok $? "connections, frames and memory"

# --- what comes and goes ---

mkfifo "$dir/f"
timeout 60 "$ctl" --unix "$dir/s" shell <"$dir/f" >"$dir/c" 2>&1 &
client_pid=$!
exec 7>"$dir/f"
say() { printf '%s\n' "$@" >&7; }
say "a = open delay_drv 60000" "a command data"
await is 'porthost_driver_timers{driver="delay_drv"}' 1 && [ "$(value porthost_connections)" = 1 ] && [ "$(value 'porthost_driver_ports{driver="delay_drv"}')" = 1 ]
ok $? "a timer that is set"
[ "$(value 'porthost_driver_queue_bytes{driver="delay_drv"}')" -ge 4 ]
ok $? "bytes in a driver queue"

say "load $probes busy_probe_drv" "c = open busy_probe_drv busy fail" "c = open busy_probe_drv busy"
await is 'porthost_driver_opens_total{driver="busy_probe_drv"}' 1 && is 'porthost_driver_busy_ports{driver="busy_probe_drv"}' 1
ok $? "a port that is busy, and none that could not be opened"

# --- a reactor that hangs ---

strace -q -o "$dir/strace" -e trace=epoll_wait,epoll_pwait2 -e inject=epoll_wait,epoll_pwait2:delay_enter=30000000 -p "$pid" 2>>"$dir/err" & # the thread of the first
strace=$!
hangs() { [ "$(status /healthz)" = 503 ] && curl -s -m 20 "http://$at/healthz" | grep -qx "a reactor does not answer"; }
await hangs
ok $? "a daemon with a reactor that hangs is not healthy"
kill -TERM $strace
wait $strace 2>/dev/null
healthy() { [ "$(status /healthz)" = 200 ]; }
await healthy
ok $? "and is again when it goes on"

# --- the end ---

kill -TERM "$pid"
await test "$(status /healthz)" = 503 && grep -q "the daemon ends" <(curl -s -m 20 "http://$at/healthz")
ok $? "a daemon that ends, but has a port to flush, is not healthy"
stop
ok $? "a second signal hurries it"
exec 7>&-
wait "$client_pid"

finish
