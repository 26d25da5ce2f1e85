#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The Debian package in build/deb: installed, started, used, removed and purged, in a copy of the root file system that is thrown away (an overlay in a mount
# namespace): the machine stays as it is. As root. Prints TAP lines and "N passed, N failed".
set -u
here=$(dirname "$(realpath "$0")")
if [ "${1:-}" != inside ]; then
  deb=$(realpath "$here/../../build/deb")
  exec unshare --mount --pid --fork --kill-child bash -c '
    at=$(mktemp -d) && mount -t tmpfs none "$at" && mkdir "$at"/{upper,work,root} &&
      mount -t overlay overlay -o "lowerdir=/,upperdir=$at/upper,workdir=$at/work" "$at/root" &&
      mount -t proc proc "$at/root/proc" && mkdir -p "$at/root/package" && cp "$2"/*.deb "$1"/{deb_test,lib}.sh "$at/root/package" &&
      rm -rf "$at"/root/{etc,run,var/lib}/porthost && chroot "$at/root" bash /package/deb_test.sh inside
    status=$?
    umount -l "$at/root" "$at" && rmdir "$at"
    exit $status' - "$here" "$deb"
fi

. "$here/lib.sh"
log=$dir/log
shown=("$log")
socket=/run/porthost/porthostd.sock
export DEBIAN_FRONTEND=noninteractive

# Where packages put things.
files() { find /etc /usr /bin /sbin /lib /var /run /opt -path /var/lib/dpkg -prune -o -print 2>/dev/null | sort -u; }

cd /
[ ! -e /usr/sbin/porthostd ] && files >/package/before
dpkg -i /package/porthost_*.deb >"$log" 2>&1
ok $? "it installs where systemd does not run"
getent passwd porthost >"$log" && getent group porthost >>"$log"
ok $? "it makes the user that the daemon runs as"
grep -E 'deb-systemd-invoke .*(action|stop)' /var/lib/dpkg/info/porthost.{postinst,prerm} >"$log"
grep -qE "_dh_action 'porthostd.service'" "$log" && ! grep -qE '_dh_action.*socket' "$log"
ok $? "an upgrade restarts the daemon, but not its socket"
porthostd --check-config >"$log" 2>&1 && grep -qx "/etc/porthost/porthostd.json: no errors" "$log"
ok $? "its configuration has no errors"
systemd-analyze verify --man=no /lib/systemd/system/porthostd.{service,socket} >"$log" 2>&1 && [ ! -s "$log" ]
ok $? "its units have no errors"
(cd /package && erl -noshell -eval 'io:format("~s ~p~n", [code:lib_dir(porthost), application:load(porthost)]), halt().') >"$log" 2>&1 &&
  grep -qE '/porthost-[0-9.]+ ok$' "$log"
ok $? "Erlang finds the application"
[ "$(zcat /usr/share/man/man{1,3,5,7,8}/porthost*.gz 2>"$log" | grep -c '^\.Dt PORTHOST')" -eq 5 ] && [ -s /usr/share/bash-completion/completions/porthostctl ]
ok $? "the man pages and the completion are there"

# As the unit says: its directory, its user.
install -d -o porthost -g porthost /run/porthost
setpriv --reuid=porthost --regid=porthost --init-groups /usr/sbin/porthostd --config /etc/porthost/porthostd.json >"$log" 2>&1 &
pid=$!
await test -S $socket && [ "$(porthostctl --unix $socket ping 2>>"$log")" = pong ]
ok $? "the daemon starts, and root may connect"
porthostctl --unix $socket open echo_drv control 0 hello >"$log" 2>&1 && grep -q '{ok,control,"hello"}' "$log"
ok $? "a driver of the package answers"
[ "$(runuser -u nobody -g porthost -- porthostctl --unix $socket ping 2>"$log")" = pong ]
ok $? "a member of the group may connect"
runuser -u nobody -- porthostctl --unix $socket ping >"$log" 2>&1
[ $? -eq 3 ]
ok $? "others may not"
stop
ok $? "it ends"

mkdir -p /var/lib/porthost && echo '{"listeners": []}' >/etc/porthost/porthostd.json
dpkg -r porthost >"$log" 2>&1 && [ ! -e /usr/sbin/porthostd ] && [ "$(cat /etc/porthost/porthostd.json)" = '{"listeners": []}' ]
ok $? "removed, it leaves the administrator's configuration"
dpkg -P porthost >"$log" 2>&1
files | comm -13 /package/before - |
  grep -vE '^/(var/(log|cache)|etc/(passwd|group|shadow|gshadow)|run/)' >"$log"
[ ! -s "$log" ] && [ ! -e /etc/porthost ] && [ ! -e /var/lib/porthost ] && [ ! -e /run/porthost ]
ok $? "purged, it leaves nothing"

finish
