#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The units under systemd itself: a systemd of its own, in namespaces, a control group and a copy of the root file system that are thrown away. The machine stays as
# it is. Where there is no root, no overlay or no version 2 control groups it says so and tests nothing. Prints TAP lines and "N passed, N failed".
set -u

if [ "${1:-}" = namespaces ]; then # becomes that systemd: TREE OUT, what it runs is this file again
  tree=$2 out=$3
  set -e
  mount --make-rprivate /
  at=$(mktemp -d)
  mount -t tmpfs none "$at" && mkdir "$at"/{upper,work,root}
  root=$at/root
  mount -t overlay overlay -o "lowerdir=/,upperdir=$at/upper,workdir=$at/work" "$root"
  mount -t proc proc "$root/proc" && mount --bind -o ro "$root/proc/sys" "$root/proc/sys"
  mount -t sysfs -o ro sysfs "$root/sys" && mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
  mount -t tmpfs -o mode=755 tmpfs "$root/run" && mount -t tmpfs tmpfs "$root/tmp" && mount -t tmpfs -o mode=755 tmpfs "$root/dev"
  for d in null zero full random urandom tty; do touch "$root/dev/$d" && mount --bind "/dev/$d" "$root/dev/$d"; done
  mkdir "$root/dev/shm" "$root/dev/pts" && mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
  ln -s pts/ptmx "$root/dev/ptmx" && ln -s /proc/self/fd "$root/dev/fd"
  touch "$root/dev/console" && mount --bind "$out/console" "$root/dev/console"
  mkdir "$root/package" && mount --bind "$out" "$root/package"
  rm -rf "$root"/{etc,var/lib}/porthost
  make -s -C "$tree" install DESTDIR="$root" PREFIX=/usr UNITDIR=/lib/systemd/system >"$out/install" 2>&1
  mkdir "$root/probes" && cp "$tree"/build/tests/drivers/{crash,confined}_probe_drv.so "$root/probes"
  cp "$0" "$root/test" && cp "$tree/tests/e2e/systemd_sqlite.escript" "$root/"
  # Nothing but the journal and what is tested: the rest would set up a machine.
  units=$root/etc/systemd/system
  rm -rf "$units" "$root"/lib/systemd/system/*.target.wants && mkdir "$units"
  for t in sysinit basic sockets; do printf '[Unit]\nDefaultDependencies=no\n' >"$units/$t.target"; done
  ln -s /dev/null "$units/systemd-journald-audit.socket"
  printf '[Unit]\nDefaultDependencies=no\nWants=test.service systemd-journald.service\n' >"$units/test.target"
  printf '[Unit]\nDefaultDependencies=no\nAfter=systemd-journald.service\n[Service]\nType=oneshot\nExecStart=/bin/bash /test inside\nStandardOutput=file:/package/tap\nStandardError=file:/package/err\n%s\n' \
    "ExecStopPost=/bin/systemctl --force exit" >"$units/test.service"
  cd "$root" && mkdir was && pivot_root . was && umount -l /was
  export container=porthost
  exec /lib/systemd/systemd --system --unit=test.target --log-target=console --show-status=no </dev/null
fi

if [ "${1:-}" != inside ]; then
  skip() {
    echo "# skipped: $1"
    echo "0 passed, 0 failed"
    exit 0
  }
  [ "$(id -u)" -eq 0 ] || skip "needs root"
  [ -x /lib/systemd/systemd ] || skip "needs systemd"
  groups=$(findmnt -n -o TARGET -t cgroup2 | head -n 1)
  [ -n "$groups" ] || skip "needs control groups of version 2"
  group=$groups/porthost-test-$$ out=$(mktemp -d)
  chmod 755 "$out" && touch "$out/console"
  mkdir "$group" 2>/dev/null || skip "may not make a control group"
  (echo "$BASHPID" >"$group/cgroup.procs" && exec timeout 240 unshare --mount --pid --fork --kill-child --cgroup --uts --ipc --net \
    bash "$(realpath "$0")" namespaces "$(realpath "$(dirname "$0")/../..")" "$out") </dev/null >"$out/namespaces" 2>&1
  echo 1 >"$group/cgroup.kill" 2>/dev/null
  for _ in $(seq 100); do
    find "$group" -depth -type d -exec rmdir {} + 2>/dev/null
    [ -d "$group" ] || break
    sleep 0.05
  done
  if [ ! -s "$out/tap" ] && grep -qE 'unshare failed|wrong fs type|Operation not permitted|permission denied' "$out/namespaces"; then
    sed 's/^/# /' "$out/namespaces"
    rm -rf "$out"
    skip "may not make namespaces or mount in them"
  fi
  cat "$out/tap" 2>/dev/null || sed 's/^/# /' "$out/namespaces" "$out/console"
  grep -q ' passed, 0 failed$' "$out/tap" 2>/dev/null
  status=$?
  [ $status -eq 0 ] || tail -n 50 "$out/err" "$out/console" | sed 's/^/# /'
  rm -rf "$out"
  exit $status
fi

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
timeout 60 escript /systemd_sqlite.escript $socket /var/lib/porthost/db >"$log" 2>&1 && says "rows 1000" && [ -s /var/lib/porthost/db ]
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

mkfifo /run/hold
for _ in 1 2 3; do
  (while [ -e /run/hold ]; do timeout 20 porthostctl --unix $socket ping; done >>"/run/pings-$BASHPID" 2>&1) &
done
for _ in 1 2 3; do
  systemctl restart $service >"$log" 2>&1
  sleep 0.3
done
rm /run/hold
wait
cat /run/pings-* >"$log"
[ "$(grep -c pong "$log")" -ge 50 ] && ! grep -vE '^(pong|porthostctl: the host (says goodbye: shutdown|has ended the connection).*)$' "$log"
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

echo "1..$n"
echo "$((n - failed)) passed, $failed failed"
