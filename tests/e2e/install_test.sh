#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# make install and uninstall: installs into a directory, runs from there, removes. Prints TAP lines and "N passed, N failed".
. "$(dirname "$0")/lib.sh"
dest=$dir/dest log=$dir/log
shown=("$log")

in_dest() { (cd "$dest" && find . -type f | sort); }

make -s install DESTDIR="$dest" PREFIX=/usr >"$log" 2>&1
ok $? "it installs"
missing=
for f in usr/sbin/porthostd usr/bin/porthostctl usr/lib/porthost/drivers/echo_drv.so usr/share/man/man{8/porthostd.8,1/porthostctl.1,3/porthost.3,5/porthostd.json.5,7/porthost-protocol.7} \
  usr/lib/systemd/system/porthostd{,@}.{service,socket} usr/share/bash-completion/completions/porthostctl usr/share/doc/porthost/PROTOCOL.md \
  etc/porthost/porthostd.json usr/lib/sysusers.d/porthost.conf; do
  [ -s "$dest/$f" ] || missing+=" $f"
done
echo "$missing" >"$log"
[ -z "$missing" ]
ok $? "everything is in its place"
[ "$(erl -noshell -env ERL_LIBS "$dest/usr/lib/erlang/lib" -eval 'io:put_chars([code:lib_dir(porthost), $ , porthost_wire:module_info(module) =:= porthost_wire andalso "ok"]), halt().' 2>"$log")" \
  = "$dest/usr/lib/erlang/lib/porthost-$(build/porthostd --version | cut -d' ' -f2) ok" ]
ok $? "Erlang finds the application there"
ls "$dest"/usr/include >"$log" 2>&1
[ $? -ne 0 ]
ok $? "it installs no headers"
systemd-sysusers --root="$dest" --replace=/usr/lib/sysusers.d/porthost.conf --dry-run "$dest/usr/lib/sysusers.d/porthost.conf" >"$log" 2>&1
ok $? "systemd makes the user that the units name"

# As it is installed, but for what only the real place has.
sed "s|/run/porthost|$dir|; s|/usr/lib/porthost|$dest&|; s|\"porthost\"|\"$(id -gn)\"|g" "$dest/etc/porthost/porthostd.json" >"$dir/c.json"
"$dest/usr/sbin/porthostd" --config "$dir/c.json" 2>"$log" &
pid=$!
await listens_at "$dir/porthostd.sock" &&
  "$dest/usr/bin/porthostctl" --unix "$dir/porthostd.sock" open echo_drv control 0 hello >>"$log" 2>&1 && grep -q '{ok,control,"hello"}' "$log"
ok $? "with the installed configuration a client opens a port of an installed driver"
"$dest/usr/bin/porthostctl" --unix "$dir/porthostd.sock" load echo_drv >"$log" 2>&1
[ $? -eq 1 ] && grep -q not_permitted "$log"
ok $? "and may not load drivers"
stop
ok $? "it ends"
"$dest/usr/bin/porthostctl" --driver-path "$dest/usr/lib/porthost/drivers" ping >"$log" 2>&1
ok $? "porthostctl starts the installed daemon"

echo '{}' >"$dest/etc/porthost/porthostd.json"
make -s install DESTDIR="$dest" PREFIX=/usr >"$log" 2>&1 && [ "$(cat "$dest/etc/porthost/porthostd.json")" = '{}' ]
ok $? "installed again, it leaves the configuration as it is"
make -s uninstall DESTDIR="$dest" PREFIX=/usr >"$log" 2>&1 && grep -q "has been changed and stays" "$log" && [ "$(in_dest)" = ./etc/porthost/porthostd.json ]
ok $? "uninstalled, it leaves a configuration that was changed, and nothing else"
rm -r "$dest"
(umask 077 && make -s install DESTDIR="$dest" PREFIX=/opt/x UNITDIR=/opt/units SYSCONFDIR=/opt/etc ERLANG_LIBDIR=/opt/erl) >"$log" 2>&1 &&
  grep -q '^ExecStart=/opt/x/sbin/porthostd ' "$dest/opt/units/porthostd.service" && grep -q /opt/x/lib/porthost/drivers "$dest/opt/etc/porthost/porthostd.json"
ok $? "units and configuration name the prefix that was chosen"
[ "$(find "$dest" | wc -l)" -gt 40 ] && find "$dest" \( -type d ! -perm 755 \) -o ! -perm -444 >"$log" && [ ! -s "$log" ]
ok $? "everybody has access to what is installed, whatever the umask"
make -s uninstall DESTDIR="$dest" PREFIX=/opt/x UNITDIR=/opt/units SYSCONFDIR=/opt/etc ERLANG_LIBDIR=/opt/erl >"$log" 2>&1 && in_dest >"$log" && [ ! -s "$log" ] &&
  [ -z "$(find "$dest" -name 'porthost*')" ]
ok $? "uninstalled, it leaves nothing"

finish
