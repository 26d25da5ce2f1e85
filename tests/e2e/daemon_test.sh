#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# porthostd from the outside: options, listeners, signals, ends. Prints TAP lines and "N passed, N failed".
. "$(dirname "$0")/lib.sh"

"$daemon" --help >"$dir/out" 2>"$dir/err" && grep -q -- --driver-path "$dir/out" && [ ! -s "$dir/err" ]
ok $? "--help describes the options on standard output"
[[ $("$daemon" --version) =~ ^porthostd\ [0-9]+\.[0-9]+\.[0-9]+$ ]]
ok $? "--version says the version"
echo '{"listeners": [{"unix": "'"$socket"'"}]}' >"$dir/c.json"
unheard() { # OPTION...: neither on a full disk nor where there is no stdout
  "$daemon" "$@" >/dev/full 2>"$dir/err"
  [ $? -eq 1 ] && grep -qx "porthostd: cannot write to stdout: No space left on device" "$dir/err" || return 1
  "$daemon" "$@" >&- 2>"$dir/err"
  [ $? -eq 1 ]
}
unheard --help && unheard --version && unheard --check-config "$dir/c.json"
ok $? "what cannot be written to standard output is status 1"
refuses 2 "nothing to serve"
ok $? "without anything to serve it ends with status 2"
refuses 2 "unrecognized option" --wrong
ok $? "an unknown option is named"
refuses 2 "unexpected argument 'x'" --stdio x
ok $? "an argument is refused"
refuses 2 "unknown level 'loud'" --stdio --log-level loud
ok $? "an unknown log level is refused"
refuses 2 "expected text or json, not 'xml'" --stdio --log-format xml
ok $? "so is an unknown format of the log"
refuses 2 "'1025' is no number" --stdio --async-threads 1025 && refuses 2 "'' is no number" --stdio --async-threads '' &&
  refuses 2 "'-1' is no number" --stdio --async-threads -1 && refuses 2 "'2x' is no number" --stdio --async-threads 2x &&
  refuses 2 "'1001' is no number" --stdio --busy-poll-us 1001
ok $? "a number of async threads that cannot be is refused"
refuses 2 "only one of" --stdio --nouse-stdio
ok $? "--stdio and --nouse-stdio exclude each other"
refuses 1 "expected HOST:PORT" --tcp 4711
ok $? "a TCP address without host is refused"
listened=0
for port in 65536 99999 4294967297 -1; do
  refuses 1 "the port must be from 0 to 65535" --tcp "127.0.0.1:$port" || listened=1
done
ok $listened "so is one with a port that there is not"
refuses 1 "not a loopback address" --tcp 0.0.0.0:0
ok $? "a TCP address that others can reach is refused"
refuses 2 "--cookie-file is for --tcp" --unix "$dir/s" --cookie-file /dev/null
ok $? "a cookie file without a TCP address is refused"
refuses 1 "the path must have" --unix "$dir/$(printf 'x%.0s' $(seq 200))"
ok $? "a unix path that is too long is refused"
refuses 1 "--unix $dir/./s: the place is given twice" --unix "$dir/s" --unix "$dir/./s" &&
  refuses 1 "--tcp 127.0.0.1:1: the place is given twice" --tcp 127.0.0.1:1 --tcp 127.0.0.1:1
ok $? "so is a place that is given twice"
echo text >"$dir/file"
refuses 1 "is not a socket" --unix "$dir/file" && [ "$(cat "$dir/file")" = text ]
ok $? "a file that is no socket is left alone"
refuses 1 "No such file" --unix "$dir/none/s"
ok $? "a unix path in no directory is refused"

launch --unix "$dir/s" --driver-path "$drivers"
await listens_at "$dir/s" && [ "$(stat -c %a "$dir/s")" = 600 ]
ok $? "the unix socket is for its user only"
client ping && says pong
ok $? "a client is served over the unix socket"
refuses 1 "another daemon listens" --unix "$dir/s"
ok $? "a socket of a living daemon is refused"
client ping
ok $? "and that daemon goes on"
first=$pid
rm "$dir/s"
launch --unix "$dir/s" --driver-path "$drivers"
await client ping && kill -TERM "$first" && wait "$first" && client ping
ok $? "a daemon that ends leaves the socket that another has put in the place of its own"
kill -KILL "$pid"
wait "$pid" 2>/dev/null
launch --unix "$dir/s" --tcp 127.0.0.1:0 --driver-path "$drivers"
await client ping
ok $? "a socket that a dead daemon left is replaced"
stop
[ $? -eq 0 ] && [ ! -e "$dir/s" ] && [ ! -s "$dir/out" ]
ok $? "SIGTERM ends it with status 0, the socket is removed, nothing went to standard output"
launch --unix "$dir/s"
await listens_at "$dir/s"
kill -INT "$pid"
wait "$pid"
ok $? "so does SIGINT, which a background process of a script must be able to get"

if [ -e /proc/net/if_inet6 ]; then
  launch --tcp '[::1]:0'
  await grep -q '^notice listening on tcp \[::1\]:[1-9][0-9]*$' "$dir/err"
  ok $? "an IPv6 address is logged as it is written"
  stop
fi

# --- several that start at once ---

# A daemon that is slow to listen once it is bound, and another that starts meanwhile. True if one of them serves and the other ends with an error.
contend() { # MICROSECONDS
  rm -f "$dir/first" "$dir/second"
  # Leaks cannot be looked for in what is traced.
  # shellcheck disable=SC2016 # the inner shell's process is the daemon
  ASAN_OPTIONS=${ASAN_OPTIONS:-}:detect_leaks=0 strace -q -f -o "$dir/calls" -e trace=listen -e inject=listen:delay_enter="$1" bash -c 'echo $$ >"$1" && exec "$2" --unix "$3"' - "$dir/first.pid" "$daemon" "$dir/two/s" \
    </dev/null >"$dir/out" 2>"$dir/first" &
  local first=$!
  await test -S "$dir/two/s"
  "$daemon" --unix "$dir/two/s" </dev/null >"$dir/out" 2>"$dir/second" &
  local second=$!
  await grep -q "^error" "$dir/first" "$dir/second" || return 1
  local loser=$second winner=$first
  pid=$(cat "$dir/first.pid")
  ! grep -q "^error" "$dir/first" || loser=$first winner=$second pid=$second
  wait "$loser"
  [ $? -eq 1 ] && socket=$dir/two/s client ping && kill -TERM "$pid" && wait "$winner" && [ ! -e "$dir/two/s" ]
}
mkdir "$dir/two"
shown=("$dir/first" "$dir/second" "$dir/o")
contend 300000 && grep -q "another daemon" "$dir/first" "$dir/second"
ok $? "of two that start at once one serves, and the other ends with an error"
contend 1500000 && grep -q "another daemon" "$dir/first" "$dir/second"
ok $? "also if the first is very slow"
shown=("$dir"/many.*)
launch --unix "$dir/two/s"
await listens_at "$dir/two/s" && kill -KILL "$pid"
wait "$pid" 2>/dev/null
all=()
for i in 1 2 3 4 5 6 7 8; do
  "$daemon" --unix "$dir/two/s" </dev/null >"$dir/out" 2>"$dir/many.$i" &
  all+=($!)
done
have_met() { # one listens, the others have an error
  [ "$(grep -l '^error .* another daemon' "$dir"/many.* | wc -l)" -eq 7 ]
}
await have_met && socket=$dir/two/s client ping
kill "${all[@]}" 2>/dev/null
sum=0
for i in "${all[@]}"; do
  wait "$i"
  sum=$((sum + $?))
done
[ "$sum" -eq 7 ] && [ ! -e "$dir/two/s" ]
ok $? "of many that would replace a socket that was left one does"
shown=("$dir/err" "$dir/o")
perl -e 'open my $d, "<", shift; flock $d, 2; $| = 1; print "locked\n"; sleep 60' "$dir/two" >"$dir/locked" &
locker=$!
await grep -q locked "$dir/locked"
launch --unix "$dir/two/s"
await listens_at "$dir/two/s" && grep -q "^warning .* its directory is locked" "$dir/err" && socket=$dir/two/s client ping
ok $? "whoever keeps the directory locked does not keep it from starting"
kill "$locker"
stop

"$daemon" --stdio </dev/null >"$dir/out" 2>"$dir/err"
[ $? -eq 0 ] && [ ! -s "$dir/out" ]
ok $? "--stdio ends with status 0 at the end of its input"
"$daemon" --nouse-stdio 3</dev/null 4>"$dir/four" >"$dir/out" 2>"$dir/err"
[ $? -eq 0 ] && [ ! -s "$dir/out" ]
ok $? "--nouse-stdio serves descriptors 3 and 4"
refuses 1 "descriptor 3" --nouse-stdio 3>&- 4>&-
ok $? "--nouse-stdio without those descriptors is refused"
# {hello,1,#{}} and {ping,1} from a file, which no event loop can wait for
printf '\0\0\0\021\203h\003w\005helloa\001t\0\0\0\0\0\0\0\013\203h\002w\004pinga\001' >"$dir/frames"
timeout 20 "$daemon" --stdio <"$dir/frames" >"$dir/out" 2>"$dir/err"
[ $? -eq 0 ] && grep -q pong "$dir/out"
ok $? "requests from a regular file are answered"
head -c 13 "$dir/frames" | timeout 20 "$daemon" --stdio >"$dir/out" 2>"$dir/err"
[ $? -eq 0 ] && grep -q "inside a frame" "$dir/err"
ok $? "a stream that ends inside a frame is logged"
for i in $(seq 0 "$(($(stat -c %s "$dir/frames") - 1))"); do
  dd if="$dir/frames" bs=1 skip="$i" count=1 status=none
done | timeout 60 "$daemon" --stdio >"$dir/out" 2>"$dir/err"
[ $? -eq 0 ] && grep -q pong "$dir/out"
ok $? "requests that come byte by byte are answered"

mkfifo "$dir/in" "$dir/outp"
"$daemon" --stdio --driver-path "$drivers" <"$dir/in" >"$dir/outp" 2>"$dir/err" &
pid=$!
exec 7>"$dir/in" 8<"$dir/outp"
head -c 21 "$dir/frames" >&7
timeout 5 head -c 8 <&8 >/dev/null
kill -TERM "$pid"
wait "$pid" && timeout 5 grep -q shutdown <&8
ok $? "a client is told of the shutdown"
exec 7>&- 8<&-

# 40 descriptors are enough for the daemon and some clients; each of these holds one until descriptor 9 closes.
(ulimit -n 40 && exec "$daemon" --unix "$dir/few" --driver-path "$drivers" </dev/null >"$dir/out" 2>"$dir/err") &
pid=$!
await listens_at "$dir/few"
mkfifo "$dir/hold"
for _ in $(seq 40); do "$ctl" --unix "$dir/few" shell <"$dir/hold" >>"$dir/o" 2>&1 & done
exec 9>"$dir/hold"
await grep -q "cannot accept connections: Too many open files" "$dir/err"
ok $? "without descriptors it says that it cannot accept"
sleep 1 # some trials
[ "$(grep -c "cannot accept" "$dir/err")" -eq 1 ]
ok $? "and says so once"
exec 9>&-
await grep -q "accepts connections again" "$dir/err" && socket=$dir/few client ping
ok $? "and accepts again when there are some"
stop
ok $? "and ends in order"

mkdir "$dir/open" && cp "$drivers/echo_drv.so" "$dir/open/" && chmod 777 "$dir/open"
launch --unix "$dir/s2" --driver-path "$dir/open"
await listens_at "$dir/s2"
socket=$dir/s2 client load echo_drv
[ $? -eq 1 ] && grep -q "others may write" "$dir/err"
ok $? "over a socket no driver is loaded from a directory that others may write"
chmod 755 "$dir/open" && socket=$dir/s2 client load echo_drv
ok $? "and one from a directory of the driver path is"
socket=$dir/s2 client load "$(realpath "$drivers")" crunch_drv
[ $? -eq 1 ] && grep -q "not in a directory of the driver path" "$dir/err"
ok $? "but none from elsewhere"

# --- what it has no permission for: as a user who may not, if we are one who may everything ---

user=()
[ "$(id -u)" -ne 0 ] || user=(setpriv --reuid=65534 --regid=65534 --clear-groups)
chmod 755 "$dir"
cp "$daemon" "$dir/daemon" # where another user can reach it
denied() { # TEXT OPTION...
  local text=$1
  shift
  timeout 20 "${user[@]}" "$dir/daemon" "$@" </dev/null >"$dir/out" 2>"$dir/err"
  [ $? -eq 1 ] && grep -qF -- "$text: Permission denied" "$dir/err"
}
mkdir -m 555 "$dir/closed"
denied "unix socket $dir/closed/s" --unix "$dir/closed/s"
ok $? "a unix path in a directory that it may not write is an error"
echo '{}' >"$dir/secret.json" && chmod 000 "$dir/secret.json"
denied "$dir/secret.json" --unix "$dir/s3" --config "$dir/secret.json"
ok $? "so is a configuration that it may not read"
echo '{"state_dir": "'"$dir"'/closed"}' >"$dir/state.json" && chmod 644 "$dir/state.json"
denied "state directory $dir/closed" --unix "$dir/s3" --config "$dir/state.json"
ok $? "so is a state directory that it may not write"
if [ "$(id -u)" -eq 0 ]; then
  mkdir -m 1777 "$dir/sticky" && mkdir -m 777 "$dir/everybody"
  for place in sticky everybody; do
    launch --unix "$dir/$place/s"
    await listens_at "$dir/$place/s"
    denied "unix socket $dir/$place/s: cannot take the place of the file that is there" --unix "$dir/$place/s" && socket=$dir/$place/s client ping
    ok $? "the socket of another user's daemon stays, in a directory that is $place"
    stop
  done
fi
mkdir -m 755 "$dir/drivers" "$dir/run" && cp "$drivers"/{echo,delay}_drv.so "$dir/drivers" && chmod 000 "$dir/drivers/echo_drv.so"
[ "$(id -u)" -ne 0 ] || chown 65534 "$dir/run"
"${user[@]}" "$dir/daemon" --unix "$dir/run/s" --driver-path "$dir/drivers" </dev/null >"$dir/out" 2>"$dir/err" &
pid=$!
await listens_at "$dir/run/s"
! socket=$dir/run/s client load echo_drv && grep -q "echo_drv.so: cannot be opened: .*Permission denied" "$dir/err" && socket=$dir/run/s client load delay_drv
ok $? "a driver that it may not read is not loaded, and the others are"
stop
ok $? "and it ends in order"

finish
