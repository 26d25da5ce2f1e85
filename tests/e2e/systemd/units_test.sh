#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The units under systemd itself (see machine): sockets, readiness, reload, watchdog, restarts, confinement. Prints TAP lines and "N passed, N failed".
set -u
here=$(dirname "$(realpath "$0")")
case ${1:-} in
  setup)
    set -e
    tree=$(realpath "$here/../../..")
    make -s -C "$tree" install DESTDIR="$root" PREFIX=/usr UNITDIR=/lib/systemd/system
    mkdir "$root/probes" && cp "$tree"/build/tests/drivers/{crash,confined}_probe_drv.so "$root/probes"
    cp "$here/sqlite.escript" "$root/"
    exit
    ;;
  inside) . "$here/lib.sh" ;;
  *) exec "$here/machine" "$0" ;;
esac

restarted() { [ "$(property NRestarts)" = "$1" ] && is ActiveState active; } # TIMES
config() { # MORE: keys
  sqlite=$(dirname "$(find /usr/lib/erlang/lib/p1_sqlite3-* -name sqlite3_drv.so)")
  printf '{"listeners": [{"unix": "%s", "mode": "0660", "group": "porthost", "gids": ["porthost"], "administer": true}],
    "driver_path": ["/usr/lib/porthost/drivers", "/probes", "%s"]%s}\n' "$socket" "$sqlite" "$1" >/etc/porthost/next && mv /etc/porthost/next /etc/porthost/porthostd.json
}
drop_in() { # NAME LINE...
  mkdir -p "/etc/systemd/system/$service.d"
  { echo "[Service]" && printf '%s\n' "${@:2}"; } >"/etc/systemd/system/$service.d/$1.conf"
  systemctl daemon-reload
}

systemd-sysusers >"$log" 2>&1
config ""

# --- start ---

systemctl start porthostd.socket >"$log" 2>&1 && [ -S $socket ] && is ActiveState inactive && client ping && says pong && is ActiveState active
ok $? "the first connection to the socket starts the daemon"
pid=$(property MainPID)
is Type notify && await is StatusText "0 connections, 0 ports"
ok $? "systemd knows its status"
[ "$(stat -c %U "/proc/$pid")" = porthost ] && grep -q '^CapEff:\s0*$' "/proc/$pid/status" && grep -q '^CapBnd:\s0*$' "/proc/$pid/status" && grep -q '^NoNewPrivs:\s1$' "/proc/$pid/status" &&
  grep -q '^Seccomp:\s2$' "/proc/$pid/status"
ok $? "it runs as a user of its own, without capabilities, with system calls filtered"
! nsenter -t "$pid" -m -S "$(id -u porthost)" -G "$(id -g porthost)" touch /usr/x /etc/porthost/x /root/x 2>"$log" && nsenter -t "$pid" -m test ! -e /dev/console
ok $? "its file system is read-only, without devices"
client open echo_drv control 0 hello && says '{ok,control,"hello"}'
ok $? "a driver answers"
timeout 60 escript /sqlite.escript $socket /var/lib/porthost/db >"$log" 2>&1 && says "rows 1000" && [ -s /var/lib/porthost/db ]
ok $? "SQLite's driver writes a database in the state directory"
client open confined_probe_drv control 0 x && says "execute EPERM netlink EAFNOSUPPORT inet ok namespace EPERM etc EROFS home EACCES tmp ok clock EPERM child ok"
ok $? "a driver gets no memory that it may write and execute, no namespace, no other place to write; but sockets, temporary files and children"
runuser -u nobody -- porthostctl --unix $socket ping >"$log" 2>&1
[ $? -eq 3 ] && [ "$(runuser -u nobody -g porthost -- porthostctl --unix $socket ping 2>"$log")" = pong ]
ok $? "members of the group are served, others are not"

# --- reload ---

config ', "limits": {"frame_bytes": 5000}'
systemctl reload $service >"$log" 2>&1 && await eval 'client info && says "max_frame => 5000"' && [ "$(property MainPID)" = "$pid" ] && is ActiveState active
ok $? "a reload puts the new configuration in force"
echo '{"limits": 1}' >/etc/porthost/porthostd.json
systemctl reload $service >"$log" 2>&1
await eval 'journal | grep -q "stays as it was"' && journal -p err | grep -q 'porthostd.json:1: limits: expected' && client info && says "max_frame => 5000" && is ActiveState active
ok $? "a bad configuration changes nothing, and the journal has it as an error"
config ""

# --- ends that are none ---

client open crash_probe_drv control 8 x control 0 x wait 5000
await restarted 1 && [ "$(property MainPID)" != "$pid" ] && client ping
ok $? "after a crash it is started again"
journal -p crit | grep -q '^CRITICAL SIGSEGV in callback control of driver crash_probe_drv' && grep -q '^driver: crash_probe_drv$' /var/lib/porthost/crash-*
ok $? "the journal has the crash as critical, the state directory its file"
for _ in 1 2 3; do
  client open crash_probe_drv control 8 x control 0 x wait 5000
  await client ping
done
await eval 'client ping' && ! client open crash_probe_drv close && says driver_crashed && client allow crash_probe_drv && says 4
ok $? "a driver that crashes it too often is not loaded until it is allowed"
drop_in watchdog WatchdogSec=1 TimeoutAbortSec=2
systemctl restart $service
pid=$(property MainPID)
before=$(property NRestarts)
sleep 2
[ "$(property MainPID)" = "$pid" ] && is WatchdogUSec 1s
ok $? "the watchdog is content while the daemon lives"
kill -STOP "$pid"
await restarted $((before + 1)) && [ "$(property MainPID)" != "$pid" ] && client ping && journal -p crit | grep -q '^CRITICAL SIGABRT'
ok $? "it has one that hangs killed and started again"

# --- upgrade ---

hammer
for _ in 1 2 3; do
  systemctl restart $service >"$log" 2>&1
  sleep 0.3
done
none_was_refused
ok $? "while it is restarted no connection is refused"

# --- others, and the end ---

sed 's|porthostd.sock|two.sock|' /etc/porthost/porthostd.json >/etc/porthost/two.json
systemctl start porthostd@two.socket >"$log" 2>&1 && porthostctl --unix /run/porthost/two.sock ping >"$log" 2>&1 && systemctl is-active porthostd@two.service >"$log" 2>&1 && client ping &&
  systemctl stop porthostd@two.socket porthostd@two.service && client ping
ok $? "an instance of the template is a host of its own"
systemctl stop porthostd.socket $service >"$log" 2>&1 && is Result success && is ExecMainStatus 0 && is ActiveState inactive
ok $? "it stops in order"
mv /etc/porthost/porthostd.json /etc/porthost/gone
! systemctl start $service >"$log" 2>&1 && await eval 'journal -p err | grep -q "porthostd.json: No such file"'
ok $? "without its configuration the start fails, and the journal says why"

finish
