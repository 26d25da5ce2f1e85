#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A log that cannot be written, or that somebody tries to flood: the daemon goes on, and says what is missing. Prints TAP lines and "N passed, N failed".
. "$(dirname "$0")/lib.sh"
ulimit -c 0

options=(--unix "$dir/s" --driver-path "$drivers:$probes" --metrics "127.0.0.1:$tcp_port" --log-level info)

begun() { # PID: of a daemon that comes to listen
  pid=$1
  await listens_at "$dir/s"
}

serves() { client open echo_drv control 0 hello && says '{ok,control,"hello"}'; }

lost() { curl -sS -m 20 "http://127.0.0.1:$tcp_port/metrics" 2>"$dir/o" | sed -n 's/^porthost_log_lines_lost_total //p'; }

# --- nobody takes it ---

"$daemon" "${options[@]}" </dev/null 2>/dev/full &
begun $! && serves && [ "$(lost)" -ge 5 ] && serves && stop
ok $? "with a full disk the daemon serves, counts the lines that are lost, and ends in order"

"$daemon" "${options[@]}" </dev/null 2> >(head -n 1 >/dev/null) &
begun $! && serves && serves && [ "$(lost)" -ge 5 ] && stop
ok $? "so it does when its reader has gone"

"$daemon" "${options[@]}" </dev/null 2>&- &
begun $! && serves && [ "$(lost)" -eq 0 ] && [ "$(readlink "/proc/$pid/fd/2")" = /dev/null ] && stop
ok $? "so it does without any log; its descriptor is nobody else's"

# --- a file that may not grow ---

start_limited() { # BYTES OPTION...
  (trap '' XFSZ && exec prlimit --fsize="$1": -- "$daemon" "${options[@]}" "${@:2}") </dev/null 2>>"$dir/err" &
  begun $!
}

for format in text json; do
  before=0
  : >"$dir/err"
  start_limited 700 --log-format "$format" && for _ in 1 2 3 4 5 6; do serves; done && [ "$(lost)" -gt 3 ]
  ok $? "$format: what has no place in the file is lost"
  [ "$(stat -c %s "$dir/err")" -eq 700 ] && before=$(lost); prlimit --pid "$pid" --fsize=1000000: && serves
  [ "$(grep -c "lines of the log were lost: $before" "$dir/err")" -eq 1 ] && serves && [ "$(grep -c "lines of the log were lost" "$dir/err")" -eq 1 ] && [ "$(lost)" -eq "$before" ]
  ok $? "$format: when there is place again the log says how many lines were lost, once"
  grep -qE '^(warning |.*"level":"warning","text":")lines of the log were lost: [0-9]+("})?$' "$dir/err"
  ok $? "$format: in a line of its own, though the last one before has no end"
  stop
done
jq -R 'fromjson? | .level' "$dir/err" 2>/dev/null | grep -c . >"$dir/o"
[ "$(cat "$dir/o")" -eq $(($(wc -l <"$dir/err") - 1)) ]
ok $? "json: all but that one are whole"

# --- a reader that does not read ---

mkfifo "$dir/pipe"
exec 7<>"$dir/pipe"
"$daemon" "${options[@]}" </dev/null 2>"$dir/pipe" 7<&- &
begun $!
dd if=/dev/zero of="$dir/pipe" bs=4096 oflag=nonblock status=none 2>/dev/null
serves && serves && [ "$(lost)" -gt 5 ]
ok $? "a pipe that nobody reads holds nothing up"
tr -d '\0' <"$dir/pipe" >"$dir/err" 7<&- &
exec 7<&-
told() { serves && grep -q "^warning lines of the log were lost: [1-9]" "$dir/err"; }
await told
ok $? "and has the loss told when it is read again"
stop

exec 7<>"$dir/pipe"
"$daemon" "${options[@]}" </dev/null 2>"$dir/pipe" 7<&- &
begun $!
dd if=/dev/zero of="$dir/pipe" bs=4096 oflag=nonblock status=none 2>/dev/null
client open crash_probe_drv control 8 x control 0 x wait 5000
gone() { [ ! -e "/proc/$pid/stat" ] || grep -q ' Z ' "/proc/$pid/stat"; }
await gone && { wait "$pid"; [ $? -eq 139 ]; }
ok $? "nor does it keep a process that crashes from dying"
exec 7<&-

# --- a flood of connections that come to nothing ---

flood() { # COUNT BYTES: so many connections that send that and wait for the end
  perl -MIO::Socket::UNIX -e '$SIG{PIPE} = "IGNORE"; my ($at, $n, $bytes) = @ARGV; for (1 .. $n) { my $s = IO::Socket::UNIX->new(Peer => $at) or die "$_: $!"; syswrite $s, pack("H*", $bytes); shutdown $s, 1;
    1 while sysread $s, my $answer, 4096 }' "$dir/s" "$@" 2>"$dir/o"
}

rm -f "$dir/s"
echo '{"limits": {"connections": 1}}' >"$dir/c.json"
"$daemon" "${options[@]}" --config "$dir/c.json" --log-level notice </dev/null 2>"$dir/err" &
begun $!
mkfifo "$dir/shell"
"$ctl" --unix "$dir/s" shell <"$dir/shell" >"$dir/shell.out" 2>&1 &
exec 8>"$dir/shell"
echo 'ping' >&8
await grep -q pong "$dir/shell.out"
flood 500 ""
[ "$(grep -c 'a connection is refused: too many connections' "$dir/err")" -eq 20 ]
ok $? "of many connections that are refused only some have a line"
await grep -q '^warning 480 more connections were refused, or ended before their hello, within 10 seconds$' "$dir/err"
ok $? "the number of the others follows"
curl -sS -m 20 "http://127.0.0.1:$tcp_port/metrics" 2>&1 | grep -qx 'porthost_connections_refused_total 500'
ok $? "all are counted"
exec 8>&-
await client ping
: >"$dir/err"
flood 300 00000003836a6a && flood 300 00000004
[ "$(grep -c 'ending the connection' "$dir/err")" -ge 1 ] && [ "$(wc -l <"$dir/err")" -le 41 ]
ok $? "so it is with connections that end before their hello"
stop

# --- a flood of requests by who was admitted ---

commands() { # COUNT: so many commands that are no iodata, to a port of echo_drv
  perl -MIO::Socket::UNIX -e 'my ($at, $n) = @ARGV; my $s = IO::Socket::UNIX->new(Peer => $at) or die $!;
    sub atom { pack "C C/a", 119, $_[0] } sub tuple { pack("C C", 104, scalar @_) . join "", @_ } sub frame { pack "N/a", chr(131) . $_[0] }
    my $pid = "X" . atom("n\@h") . pack "N3", 1, 0, 1;
    print $s frame(tuple(atom("hello"), pack("C2", 97, 1), pack("C N", 116, 0)));
    print $s frame(tuple(atom("open"), pack("C2", 97, 1), pack("C2", 97, 7), atom("p"), $pid, pack("C n/a", 107, "echo_drv"), pack("C", 106)));
    print $s frame(tuple(atom("command"), pack("C2", 97, 7), $pid, atom("no_iodata"))) for 1 .. $n;
    shutdown $s, 1; 1 while sysread $s, my $answer, 4096' "$dir/s" "$1" 2>"$dir/o"
}

begin() { # LEVEL: with an empty log
  rm -f "$dir/s"
  "$daemon" "${options[@]}" --log-level "$1" </dev/null 2>"$dir/err" &
  begun $!
}

dropped() { grep -c 'a command that is not iodata is dropped' "$dir/err"; }

begin notice
commands 500
[ "$(dropped)" -eq 200 ]
ok $? "of the commands that one client gets dropped only some have a line"
stop
grep -q '^warning 300 more requests were refused, or connections ended for what the client did, within 10 seconds$' "$dir/err"
ok $? "the number of the others is told by a daemon that ends before the period does"

begin notice
printf '%s\n' 'p = open queue_probe_drv' 'p control 0 enq abc' | timeout 20 "$ctl" --unix "$dir/s" shell >"$dir/o" 2>&1
commands 300
kill -TERM "$pid" && await grep -q 'Terminated: ending$' "$dir/err"
stop
grep -q 'are abandoned$' "$dir/err" && grep -q '^warning 100 more requests were refused' "$dir/err"
ok $? "also by one that abandons a port"

begin debug
commands 500
[ "$(dropped)" -eq 500 ] && stop && ! grep -q ' more requests ' "$dir/err"
ok $? "at level debug all are written"

begin notice
{ echo "p = open bare_probe_drv" && for _ in $(seq 150); do printf '%s\n' "load no_such_drv" "p control 0 x"; done; } | timeout 60 "$ctl" --unix "$dir/s" shell >"$dir/o" 2>&1
[ "$(grep -cE 'no_such_drv|the driver has no control callback' "$dir/err")" -eq 200 ]
ok $? "so it is with drivers that cannot be loaded, and callbacks that they do not have"
await grep -q '^warning 100 more lines about drivers and their ports were left out within 10 seconds$' "$dir/err"
ok $? "which are counted apart"
commands 1 && [ "$(dropped)" -eq 1 ]
ok $? "and take nothing from what the log says of others"
stop

finish
