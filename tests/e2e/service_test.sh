#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# porthostd as a service: the units, sockets that the service manager passes, what it is told. Prints TAP lines and "N passed, N failed".
. "$(dirname "$0")/lib.sh"
chmod 755 "$dir"
shown=("$dir/err" "$dir/told")

# --- the units ---

units=(porthostd.service porthostd.socket porthostd@.service porthostd@.socket)
mkdir "$dir/units"
for u in "${units[@]}"; do
  sed "s|/usr/sbin/porthostd|$daemon|" "conf/$u" >"$dir/units/$u"
done
systemd-analyze verify --man=no "$dir"/units/porthostd.{service,socket} "$dir"/units/porthostd@one.{service,socket} >"$dir/err" 2>&1 &&
  [ ! -s "$dir/err" ]
ok $? "systemd finds nothing wrong with the units"

for u in porthostd.service porthostd@.service; do
  systemd-analyze security --offline=true --threshold=20 "$dir/units/$u" >"$dir/err" 2>&1
  ok $? "the exposure of $u is 2.0 or less"
done

settings() { grep -E '^[A-Z][A-Za-z]*=' "conf/$1" | grep -vE '^(Description|After|Wants|ExecStart|RuntimeDirectory|StateDirectory|ListenStream)='; }
diff <(settings porthostd.service) <(settings porthostd@.service) >"$dir/err" && diff <(settings porthostd.socket) <(settings porthostd@.socket) >>"$dir/err"
ok $? "an instance of the template is set up as the single host is"

# The names behind the filter's groups; lines with - for those that are taken away again.
filtered() {
  local line word sign
  sed -n 's/^SystemCallFilter=//p' conf/porthostd.service | while read -r line; do
    sign=+
    case $line in "~"*) sign=- line=${line#"~"} ;; esac
    for word in $line; do
      expand "$word" | sed "s/^/$sign/"
    done
  done
}

expand() { # GROUP-OR-NAME
  local word
  case $1 in
    @*) for word in $(systemd-analyze syscall-filter "$1" 2>/dev/null | sed -n 's/^    \([^# ]\)/\1/p'); do expand "$word"; done ;;
    *) echo "$1" ;;
  esac
}

strace -f -o "$dir/calls" "$daemon" --unix "$dir/f" --driver-path "$drivers" >"$dir/err" 2>&1 &
strace=$!
await listens_at "$dir/f" && timeout 10 "$ctl" --unix "$dir/f" open echo_drv control 0 x >"$dir/o" 2>&1 && timeout 10 "$ctl" --unix "$dir/f" open delay_drv command x wait 50 >"$dir/o" 2>&1
kill -TERM "$(head -n 1 "$dir/calls" | cut -d' ' -f1)" && wait "$strace"
sed -nE 's/^[0-9]+ +([a-z][a-z_0-9]*)\(.*/\1/p' "$dir/calls" | sort -u >"$dir/used"
filtered | awk '/^[+]/ { ok[substr($0, 2)] = 1 } /^-/ { delete ok[substr($0, 2)] } END { for (c in ok) print c }' | sort >"$dir/allowed"
comm -23 "$dir/used" "$dir/allowed" >"$dir/err"
[ ! -s "$dir/err" ] && [ "$(wc -l <"$dir/used")" -gt 30 ]
ok $? "the daemon needs no system call that the unit does not allow"

# --- sockets that are passed ---

# Becomes COMMAND... with the sockets at descriptor 3 and up as the service manager passes them; their number in $passed
as_service() {
  # shellcheck disable=SC2016 # the inner shell's process is the daemon
  LISTEN_FDS=$passed exec bash -c 'LISTEN_PID=$$ exec "$@"' - "$@"
}

# Opens a listening socket at descriptor 3 and becomes the command: the service manager, which keeps the socket.
listening='use IO::Socket; use POSIX; my $at = shift;
  my $s = $at =~ m{^/} ? IO::Socket::UNIX->new(Local => $at, Listen => 64) : IO::Socket::IP->new(LocalAddr => $at, Listen => 64, ReuseAddr => 1);
  defined $s or die "$at: $!"; fileno($s) == 3 or POSIX::dup2(fileno($s), 3); $^F = 3;
  fcntl(IO::Handle->new_from_fd(3, "r"), 2, 0); exec @ARGV'

ping() { timeout 10 "$ctl" "$@" ping >"$dir/o" 2>>"$dir/err"; } # PLACE...

systemd-socket-activate -l "$dir/a" "$daemon" --driver-path "$drivers" >"$dir/err" 2>&1 &
pid=$!
await listens_at "$dir/a" && ping --unix "$dir/a" && timeout 10 "$ctl" --unix "$dir/a" open echo_drv control 0 x >"$dir/o" 2>&1 && grep -q '{ok,control,"x"}' "$dir/o"
ok $? "a client of a socket that systemd listens on is served"
stop && [ -S "$dir/a" ]
ok $? "the file of that socket is not removed at the end"

printf '{"listeners": [{"unix": "%s", "mode": "0600", "administer": true}, {"tcp": "localhost:%s"}, {"unix": "%s"}]}\n' "$dir/b" $tcp_port "$dir/own" >"$dir/c.json"
systemd-socket-activate -l "$dir/b" -l 127.0.0.1:$tcp_port -l "$dir/b2" "$daemon" --config "$dir/c.json" >"$dir/err" 2>&1 &
pid=$!
await listens_at "$dir/b2" && ping --unix "$dir/b2" && ping --tcp 127.0.0.1:$tcp_port && ping --unix "$dir/b" && ping --unix "$dir/own"
ok $? "unix and TCP sockets that are passed, and one of the daemon's own, are served side by side"
"$ctl" --unix "$dir/b" log-level info >"$dir/o" 2>&1 && ! "$ctl" --unix "$dir/b2" log-level info >"$dir/o" 2>&1 && grep -q not_permitted "$dir/o"
ok $? "a passed socket has the rights of the listener with its address, or else the defaults"
kill -HUP "$pid" && await grep -q "has been read again" "$dir/err" && ping --unix "$dir/b2" && ping --unix "$dir/b"
ok $? "a reload leaves them open"
stop && [ ! -e "$dir/own" ] && [ -S "$dir/b" ]
ok $? "only the daemon's own socket is removed"

mkdir "$dir/b3" && ln -s b3 "$dir/b4"
printf '{"listeners": [{"tcp": "localhost:%s", "administer": true}, {"unix": "%s"}]}\n' $tcp_port "$dir/b3/s" >"$dir/c.json"
systemd-socket-activate -l 127.0.0.1:$tcp_port -l "$dir/b3/s" "$daemon" --config "$dir/c.json" >"$dir/err" 2>&1 &
pid=$!
reload() { # TEXT
  echo "$1" >"$dir/c.json"
  : >"$dir/err"
  kill -HUP "$pid"
  await grep -q "has been read again\|stays as it was" "$dir/err" && grep -q "has been read again" "$dir/err"
}
level() { # as an administrator
  timeout 10 "$ctl" --tcp 127.0.0.1:$tcp_port log-level notice >"$dir/o" 2>&1
}
await listens_at "$dir/b3/s" && ping --tcp 127.0.0.1:$tcp_port && level &&
  reload '{"listeners": [{"tcp": "127.0.0.1:'$tcp_port'", "administer": true}]}' && ping --tcp 127.0.0.1:$tcp_port && level
ok $? "the listener of a passed TCP socket may be written in another way"
reload '{"listeners": [{"unix": "'"$dir/b4/s"'", "administer": true}]}' && ping --tcp 127.0.0.1:$tcp_port && ! level &&
  timeout 10 "$ctl" --unix "$dir/b3/s" log-level notice >"$dir/o" 2>&1
ok $? "without a listener it has the defaults from then on; the path of a unix socket may lead there in another way"
reload '{"driver_path": ["/tmp"]}' && ping --tcp 127.0.0.1:$tcp_port && ping --unix "$dir/b3/s"
ok $? "so have all without any listener"
stop

mode_before=$(stat -c %a "$dir/b")
[ "$mode_before" != 600 ]
ok $? "mode and owner of a passed socket stay as they are"

export passed=1
export -f as_service
timeout 10 bash -c 'as_service "$@"' - "$daemon" 3</dev/null >"$dir/err" 2>&1
[ $? -eq 1 ] && grep -q "descriptor 3 .* is no listening stream socket" "$dir/err"
ok $? "a passed descriptor that is no listening socket is refused"
timeout 10 perl -e "$listening" "$dir/d" bash -c 'as_service "$@"' - "$daemon" --nouse-stdio >"$dir/err" 2>&1
[ $? -eq 2 ] && grep -q "descriptor 3 is a socket of the service manager" "$dir/err"
ok $? "--nouse-stdio, which wants the same descriptor, is refused"

# --- a new daemon takes over ---

cat >"$dir/takeover" <<'END'
ctl=$1 dir=$2 daemon=$3 drivers=$4
as_service "$daemon" --driver-path "$drivers" 2>"$dir/old.err" &
old=$!
mkfifo "$dir/steps"
"$ctl" --unix "$dir/e" shell <"$dir/steps" >"$dir/steps.out" 2>&1 &
exec 9>"$dir/steps"
echo 'p = open delay_drv 1500' >&9
for i in $(seq 100); do grep -q ok,open "$dir/steps.out" && break; sleep 0.05; done
echo 'p command kept' >&9
(for i in $(seq 60); do timeout 10 "$ctl" --unix "$dir/e" ping >>"$dir/pings" 2>&1; done) &
pings=$!
sleep 0.2
kill -TERM $old # drains: the port has something to write yet
as_service "$daemon" --driver-path "$drivers" 2>"$dir/new.err" &
new=$!
wait $pings
wait $old && echo "old $?" >"$dir/ended"
timeout 10 "$ctl" --unix "$dir/e" ping >>"$dir/ended"
exec 9>&-
kill -TERM $new
wait $new
END
timeout 60 perl -e "$listening" "$dir/e" bash "$dir/takeover" "$ctl" "$dir" "$daemon" "$drivers" >"$dir/err" 2>&1
[ "$(tr '\n' ' ' <"$dir/ended")" = "old 0 pong " ]
ok $? "a daemon that starts with the same socket goes on when the other has ended"
# One that the old daemon had accepted already may be told goodbye.
[ "$(grep -c pong "$dir/pings")" -ge 55 ] && ! grep -vE '^(pong|porthostctl: the host (says goodbye: shutdown|has ended the connection).*)$' "$dir/pings" >"$dir/err"
ok $? "while one drains and the other starts no connection is refused"

# --- what the service manager is told ---

# Receives what is told at $dir/notify and writes it to a file, a line for each message, newlines as spaces.
perl -MIO::Socket::UNIX -MSocket -e '$| = 1; my $s = IO::Socket::UNIX->new(Local => shift, Type => SOCK_DGRAM) or die $!;
  while (defined $s->recv(my $m, 4096)) { $m =~ tr/\n/ /; print "$m\n" }' "$dir/notify" >"$dir/told" 2>>"$dir/err" &
await test -S "$dir/notify"

told() { grep -qE "$1" "$dir/told"; } # PATTERN
count() { grep -c "$1" "$dir/told"; }

start_told() { # OPTION...: a daemon that tells; its pid in $pid
  : >"$dir/told"
  # shellcheck disable=SC2016 # the inner shell's process is the daemon
  NOTIFY_SOCKET=$dir/notify WATCHDOG_USEC=600000 bash -c 'WATCHDOG_PID=$$ exec "$@"' - "$daemon" --unix "$dir/s" "$@" 2>"$dir/err" &
  pid=$!
}

echo '{"reactors": 2, "shutdown_s": 7}' >"$dir/r.json"
start_told --config "$dir/r.json"
await told '^READY=1' && ping --unix "$dir/s"
ok $? "it tells when it is ready"
mkfifo "$dir/hold"
"$ctl" --unix "$dir/s" shell <"$dir/hold" >/dev/null 2>&1 &
exec 8>"$dir/hold"
await told 'STATUS=1 connection, 0 ports'
ok $? "it tells how many connections and ports there are"
exec 8>&-
kill -HUP "$pid"
await told '^RELOADING=1 MONOTONIC_USEC=[0-9]+' && await grep -qzP 'RELOADING=1[^\n]*\n(.*\n)*READY=1' "$dir/told"
ok $? "it tells that it reloads, and when it has"
await eval '[ "$(count WATCHDOG=1)" -ge 2 ]'
ok $? "it tells that it lives, again and again"
tid=$(grep -l '^reactor-1$' /proc/"$pid"/task/*/comm | cut -d/ -f5) # the thread of the second
strace -q -o "$dir/strace" -e trace=epoll_wait,epoll_pwait2 -e inject=epoll_wait,epoll_pwait2:delay_enter=4000000 -p "$tid" 2>>"$dir/err" &
strace=$!
sleep 1
before=$(count WATCHDOG=1)
sleep 1.5
[ "$(count WATCHDOG=1)" -eq "$before" ] && [ "$before" -gt 0 ] && ping --unix "$dir/s"
ok $? "it does not when one of its reactors hangs"
kill -TERM "$strace" 2>/dev/null
await eval '[ "$(count WATCHDOG=1)" -gt "$before" ]'
ok $? "and does again when it goes on"
stop && told '^STOPPING=1 .*EXTEND_TIMEOUT_USEC=12000000'
ok $? "it tells that it ends, and how long that may take"

: >"$dir/told"
NOTIFY_SOCKET=$dir/notify timeout 10 "$daemon" --stdio </dev/null >/dev/null 2>"$dir/err" && [ ! -s "$dir/told" ]
ok $? "a daemon of its parent's says nothing to the parent's service manager"

finish
