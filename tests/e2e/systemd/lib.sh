# SPDX-License-Identifier: Apache-2.0
# For tests that run under the systemd of machine: a daemon that is porthostd.service, and what is said about it.
# shellcheck shell=bash
# shellcheck disable=SC2034 # those who read this file use them
n=0 failed=0
log=/package/log
socket=/run/porthost/porthostd.sock
service=porthostd.service
export HOME=/root

ok() { # STATUS NAME
  n=$((n + 1))
  if [ "$1" -eq 0 ]; then
    echo "ok $n - $2"
  else
    failed=$((failed + 1))
    echo "not ok $n - $2"
    tail -n 40 "$log" | sed 's/^/# /'
    { systemctl status --no-pager "$service"; journalctl --no-pager -n 30; } 2>&1 | sed 's/^/#   /'
  fi
}

all_told() {
  echo "1..$n"
  echo "$((n - failed)) passed, $failed failed"
}

await() { # COMMAND...: until it succeeds, at most some seconds
  for _ in $(seq 200); do
    "$@" && return 0
    sleep 0.05
  done
  return 1
}

client() { timeout 20 porthostctl --unix "$socket" "$@" >"$log" 2>&1; }
says() { grep -qF -- "$1" "$log"; }
property() { systemctl show -P "$1" "$service"; }
is() { [ "$(property "$1")" = "$2" ]; }
journal() { journalctl -u "$service" "$@" --no-pager -o cat 2>/dev/null; }

# Clients that connect without a pause, until none_was_refused; each writes what it was told.
hammer() {
  touch /run/hammer
  for _ in 1 2 3; do
    (while [ -e /run/hammer ]; do timeout 20 porthostctl --unix $socket ping; done >>"/run/pings-$BASHPID" 2>&1) &
  done
}

# True if all were served, or told goodbye by a daemon that had taken them before it ended.
none_was_refused() {
  rm /run/hammer
  wait
  cat /run/pings-* >"$log"
  rm /run/pings-*
  [ "$(grep -c pong "$log")" -ge 50 ] && ! grep -vE '^(pong|porthostctl: the host (says goodbye: shutdown|has ended the connection).*)$' "$log"
}
