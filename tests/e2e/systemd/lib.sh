# SPDX-License-Identifier: Apache-2.0
# For tests that run under the systemd of machine: a daemon that is porthostd.service, and what is said about it.
# shellcheck shell=bash
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
ctl=porthostctl
log=$dir/o # what client printed, or another command
socket=/run/porthost/porthostd.sock
service=porthostd.service
export HOME=/root

evidence() {
  tail -n 40 "$log"
  { systemctl status --no-pager "$service"; journalctl --no-pager -n 30; } 2>&1 | sed 's/^/  /'
}

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
