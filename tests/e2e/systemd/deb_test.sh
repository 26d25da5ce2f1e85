#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The Debian package in build/deb under systemd itself (see machine): what its installation starts, an upgrade, its removal. Prints TAP lines and "N passed, N failed".
set -u
here=$(dirname "$(realpath "$0")")
case ${1:-} in
  setup)
    set -e
    mkdir "$root/debs" && cp "$here"/../../../build/deb/porthost_*.deb "$root/debs"
    rm -f "$root/usr/sbin/policy-rc.d" # services are to be started
    exit
    ;;
  inside) . "$here/lib.sh" ;;
  *) exec "$here/machine" "$0" ;;
esac

other() { timeout 30 porthostctl --unix /run/porthost/other.sock "$@" >"$log" 2>&1; }
other_property() { systemctl show -P "$1" porthostd@other.service; }

export DEBIAN_FRONTEND=noninteractive
dpkg -i /debs/porthost_*.deb >"$log" 2>&1 && systemctl is-enabled porthostd.socket >>"$log" && systemctl is-active porthostd.socket >>"$log"
ok $? "its installation enables and starts the socket"
await is ActiveState active && client ping && says pong && [ "$(stat -c %U "/proc/$(property MainPID)")" = porthost ]
ok $? "the daemon serves, as its own user"
client open echo_drv control 0 hello && says '{ok,control,"hello"}'
ok $? "a driver of the package answers"
echo '{"listeners": [{"unix": "/run/porthost/other.sock"}], "driver_path": ["/usr/lib/porthost/drivers"]}' >/etc/porthost/other.json
systemctl enable --now porthostd@other.socket >"$log" 2>&1 && other ping && says pong && other_pid=$(other_property MainPID)
ok $? "another instance serves"
systemctl enable porthostd@idle.service >"$log" 2>&1
pid=$(property MainPID)
hammer
sleep 0.3
dpkg -i /debs/porthost_*.deb >/run/dpkg 2>&1
status=$?
sleep 0.3
none_was_refused && [ $status -eq 0 ] && [ "$(property MainPID)" != "$pid" ] && client ping
ok $? "an upgrade puts another daemon in its place, and no connection is refused"
other ping && [ "$(other_property MainPID)" != "$other_pid" ] && [ "$(other_property NRestarts)" = 0 ]
ok $? "and another in that of an instance"
! systemctl is-active porthostd@idle.service porthostd@idle.socket >"$log"
ok $? "but starts no instance that was not running"
echo '{"limits": {"frame_bytes": 5000}}' >/etc/porthost/porthostd.json
systemctl restart $service >"$log" 2>&1 && client info && says "max_frame => 5000" && dpkg -i --force-confold /debs/porthost_*.deb >"$log" 2>&1 && client info && says "max_frame => 5000"
ok $? "the administrator's configuration is kept"
dpkg -r porthost >"$log" 2>&1 && ! systemctl is-active $service >>"$log" && ! systemctl is-active porthostd.socket porthostd@other.socket >>"$log" && ! pgrep -x porthostd >>"$log"
ok $? "its removal stops daemon and socket, also of instances"
[ -z "$(find /etc/systemd -name 'porthostd@*' | tee "$log")" ] && ! systemctl --all list-units 'porthostd@*' | grep -w active >>"$log"
ok $? "no instance is left, or enabled"
rm /etc/porthost/other.json
dpkg -P porthost >"$log" 2>&1 && [ ! -e /etc/porthost ] && [ -z "$(ls -d /var/lib/porthost* 2>/dev/null | tee "$log")" ] && [ ! -e /run/porthost ] && [ -z "$(find /etc/systemd /var/lib/systemd/deb-systemd-helper-enabled -name 'porthost*' 2>/dev/null | tee "$log")" ]
ok $? "purged, it leaves nothing"

finish
