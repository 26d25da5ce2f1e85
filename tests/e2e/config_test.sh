#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The configuration of porthostd from the outside: checking, starting, options over it, who may do what, reading it again. Prints TAP lines and
# "N passed, N failed".
. "$(dirname "$0")/lib.sh"
chmod 755 "$dir"

config() { # TEXT: becomes the file, in one step
  printf '%s\n' "$1" >"$dir/next" && chmod 644 "$dir/next" && mv "$dir/next" "$dir/c.json"
}

begin() { # OPTION...: a daemon whose configuration or options make it listen at $socket
  launch "$@"
  await listens_at "$socket"
}

logged() { # TEXT
  await grep -qF -- "$1" "$dir/err"
}

reload() { # TEXT [LOGGED]: another configuration
  config "$1"
  : >"$dir/err"
  kill -HUP "$pid"
  logged "${2:-the configuration has been read again}"
}

# --- checking ---

cp conf/porthostd.json "$dir/sample.json" # where nobody else may write, whatever the tree is like
chmod 644 "$dir/sample.json"
"$daemon" --check-config "$dir/sample.json" >"$dir/out" 2>"$dir/err" && grep -qx "$dir/sample.json: no errors" "$dir/out" && [ ! -s "$dir/err" ]
ok $? "--check-config finds no errors in the sample"
config '{"listeners": [{"unix": "/x"}],
"reactors": 0,
"drivers": {"a_drv": {"worker": 1}}, "log": {"levl": 1}}'
refuses 1 "$dir/c.json:2: reactors: expected an integer from 1 to 64 or \"auto\", found 0" --check-config "$dir/c.json" &&
  grep -qF "$dir/c.json:3: drivers.a_drv.worker: expected" "$dir/err" && grep -qF "$dir/c.json:3: log.levl: unknown key" "$dir/err" && [ ! -s "$dir/out" ]
ok $? "--check-config tells file, line and key of every error, with status 1"
refuses 1 "$dir/c.json:2: reactors" --check-config --config "$dir/c.json"
ok $? "--check-config checks the file that --config names"
JOURNAL_STREAM=$(stat -c %d:%i "$dir/err") refuses 1 "<3>error $dir/c.json:2: reactors" --check-config "$dir/c.json"
ok $? "in the journal they are errors"
refuses 1 "No such file" --check-config "$dir/none.json"
ok $? "--check-config refuses a file that is not there"
refuses 2 "unexpected argument" --check-config "$dir/c.json" x
ok $? "--check-config takes one file"
if [ ! -e /etc/porthost/porthostd.json ]; then
  refuses 1 "/etc/porthost/porthostd.json: No such file" --check-config --unix "$dir/s"
  ok $? "--check-config checks the default file if no other is named"
fi
status=0
while IFS='|' read -r what wrong; do
  config "$wrong"
  refuses 1 "$dir/c.json:1: $what: " --check-config "$dir/c.json" && refuses 1 "$dir/c.json:1: $what: " --config "$dir/c.json" || status=1
done <<END
listeners[0].tcp|{"listeners": [{"tcp": "0.0.0.0:1234"}]}
listeners[0].tcp|{"listeners": [{"tcp": "localhost:99999"}]}
listeners[1]|{"listeners": [{"unix": "$dir/s"}, {"unix": "/$dir/./s"}]}
metrics|{"listeners": [{"unix": "$dir/s"}], "metrics": "localhost:http"}
metrics|{"listeners": [{"unix": "$dir/s"}], "metrics": "0.0.0.0:99999"}
metrics|{"listeners": [{"unix": "$dir/s"}], "metrics": "0.0.0.0:9999"}
END
ok $status "--check-config and the start refuse a place that cannot be listened at, with file, line and key"
config '{"listeners": [{"unix": "'"$dir"'/s"}]}'
refuses 1 "--metrics foo: expected HOST:PORT" --check-config --metrics foo "$dir/c.json" &&
  refuses 1 "--metrics 0.0.0.0:1: not a loopback address" --check-config --metrics 0.0.0.0:1 "$dir/c.json" &&
  refuses 1 "--tcp 0.0.0.0:1: not a loopback address" --check-config --tcp 0.0.0.0:1 "$dir/c.json" &&
  refuses 1 "--unix $dir/./s: the place is given twice" --check-config --unix "$dir/s" --unix "$dir/./s" "$dir/c.json"
ok $? "--check-config checks the options that go before the file"
config '{"listeners": []}'
"$daemon" --check-config "$dir/c.json" >"$dir/out" 2>"$dir/err" && grep -qx "$dir/c.json: no errors" "$dir/out" &&
  grep -q "^warning $dir/c.json: listeners: expected at least one, or a socket of the service manager" "$dir/err"
ok $? "--check-config warns of a file without listeners, which may be all that is wanted"
refuses 1 "$dir/c.json: listeners: expected at least one" --config "$dir/c.json"
ok $? "a configuration without listeners is refused"

# --- who may write it ---

may_write="others may write it"
config '{"listeners": [{"unix": "'"$dir"'/s"}]}'
status=0
for mode in 622 664 606; do
  chmod "$mode" "$dir/c.json"
  refuses 1 "$dir/c.json: the file belongs to another user or $may_write" --config "$dir/c.json" && [ ! -e "$dir/s" ] &&
    refuses 1 "$may_write" --check-config "$dir/c.json" || status=1
done
ok $status "a configuration that a group or others may write is refused"
mkdir "$dir/shared" && cp "$dir/sample.json" "$dir/shared/c.json"
chmod 775 "$dir/shared"
refuses 1 "$dir/shared/c.json: its directory belongs to another user or $may_write" --check-config "$dir/shared/c.json"
ok $? "so is one that they may replace"
ln -s "$dir/shared/c.json" "$dir/link.json"
refuses 1 "$dir/link.json: its directory " --check-config "$dir/link.json"
ok $? "also behind a link"
chmod 1777 "$dir/shared"
"$daemon" --check-config "$dir/shared/c.json" >"$dir/out" 2>"$dir/err"
ok $? "but not one in a directory like /tmp, where they may not"
"$daemon" --check-config <(cat "$dir/sample.json") >"$dir/out" 2>"$dir/err"
ok $? "nor what comes out of a pipe"
if [ "$(id -u)" -eq 0 ]; then
  cp "$dir/sample.json" "$dir/other.json"
  chown nobody "$dir/other.json"
  refuses 1 "$dir/other.json: the file belongs to another user" --check-config "$dir/other.json"
  ok $? "another user's is refused"
fi
mkdir -m 770 "$dir/state"
config '{"listeners": [{"unix": "'"$dir"'/s"}], "state_dir": "'"$dir"'/state"}'
refuses 1 "state directory $dir/state: belongs to another user or $may_write" --config "$dir/c.json"
ok $? "so is a state directory that a group may write"

# --- starting ---

status=0
for wrong in '{"listeners": [{"unix": "'"$dir"'/s"}], "reactors": 0}' '{"listeners": [{"unix": "'"$dir"'/s"}]' '[]' '""' 'listeners = 1' '{"listeners": {}}' \
  '{"listeners": [{"unix": "'"$dir"'/s"}], "limits": {"frame_bytes": 1}}' '{"listeners": [{"unix": "'"$dir"'/s", "mode": "rw"}]}'; do
  config "$wrong"
  refuses 1 "$dir/c.json:" --config "$dir/c.json" && [ ! -e "$dir/s" ] || status=1
done
ok $status "with an error in its configuration it does not start"
config '{"listeners": [{"unix": "'"$dir"'/s"}, {"unix": "'"$dir"'/none/s"}]}'
refuses 1 "$dir/none/s: No such file" --config "$dir/c.json" && [ ! -e "$dir/s" ]
ok $? "if one listener cannot be opened it does not start, and no other stays"
config '{"listeners": [{"tcp": "192.0.2.1:1"}]}'
refuses 1 "$dir/c.json:1: listeners[0].tcp: not a loopback address" --config "$dir/c.json"
ok $? "nor with a TCP address that is no loopback address"
status=0
for wrong in missing empty open other; do
  rm -f "$dir/cookie"
  case $wrong in
    missing) text="No such file" ;;
    empty) text="16 to 1024 bytes"; (umask 077; : >"$dir/cookie") ;;
    open) text="mode must be 0600"; echo "a cookie of the test" >"$dir/cookie"; chmod 644 "$dir/cookie" ;;
    other) text="another user"; echo "a cookie of the test" >"$dir/cookie"; chmod 600 "$dir/cookie"; chown nobody "$dir/cookie" 2>/dev/null || continue ;;
  esac
  config '{"listeners": [
    {"tcp": "127.0.0.1:0", "cookie_file": "'"$dir"'/cookie"}]}'
  refuses 1 "$dir/c.json:2: listeners[0]: cookie_file: $dir/cookie: " --check-config "$dir/c.json" && grep -qF "$text" "$dir/err" &&
    refuses 1 "$text" --config "$dir/c.json" && refuses 1 "--cookie-file: $dir/cookie: " --tcp 127.0.0.1:0 --cookie-file "$dir/cookie" || status=1
done
ok $status "nor with a cookie file that is missing, empty, open to others or another user's"
config '{"listeners": [{"unix": "'"$dir"'/s"}], "driver_path": ["'"$drivers"'"], "drivers": {"none_drv": {"preload": true}}}'
refuses 1 "driver none_drv cannot be preloaded" --config "$dir/c.json" && [ ! -e "$dir/s" ]
ok $? "nor if a driver cannot be preloaded"
config '{"listeners": [{"unix": "'"$dir"'/s", "mode": "0666"}], "driver_path": ["'"$drivers"'"], "drivers": {"echo_drv": {"preload": true}}}'
begin --config "$dir/c.json" && client drivers && says echo_drv
ok $? "a driver that is to be preloaded is there when it listens"
[ "$(stat -c %a "$dir/s")" = 666 ]
ok $? "the unix socket has the mode of the configuration"
client open crunch_drv command 9 wait 100 && says prime
client open crunch_drv close
ok $? "drivers are found in the configured directories"
stop && [ ! -e "$dir/s" ]
ok $? "and SIGTERM ends it in order"

config '{"listeners": [{"unix": "'"$dir"'/none/x"}], "driver_path": ["/none"], "log": {"level": "error"}, "async_threads": 3}'
begin --config "$dir/c.json" --unix "$dir/s" --driver-path "$drivers" --log-level info && client open echo_drv close && grep -q "info" "$dir/err"
ok $? "options override listeners, driver path and log level"
client stats && says "async_threads => 3"
ok $? "and leave the rest"
stop
config '{"limits": {"frame_bytes": 2000}}'
printf '\0\0\0\021\203h\003w\005helloa\001t\0\0\0\0\0\0\0\013\203h\002w\004pinga\001' >"$dir/frames"
timeout 20 "$daemon" --stdio --config "$dir/c.json" <"$dir/frames" >"$dir/out" 2>"$dir/err" && grep -q pong "$dir/out"
ok $? "--stdio takes the place of listeners"

# --- who may do what ---

mkdir "$dir/apart" && cp "$drivers/echo_drv.so" "$dir/apart/other_name.so"
config '{"listeners": [{"unix": "'"$dir"'/s", "load": false, "open": ["echo_drv"], "all_ports": false}, {"unix": "'"$dir"'/s2", "administer": true}],
  "driver_path": ["'"$drivers"'"], "drivers": {"echo_drv": {"path": "'"$dir"'/apart/other_name.so"}}}'
begin --config "$dir/c.json"
! client load crunch_drv && says not_permitted
ok $? "a client that may not load drivers is refused"
! client unload crunch_drv && says not_permitted
ok $? "nor may it unload any"
client open crunch_drv close
says eacces && ! says "{ok,open"
ok $? "a driver that it may not open is eacces"
client open "echo_drv with arguments" command hi wait 100 && says hi
ok $? "one that it may open is opened, from the file that is configured"
client stats && says "not_permitted => 3"
ok $? "what was refused is counted"
mkfifo "$dir/shell"
"$ctl" --unix "$dir/s2" shell <"$dir/shell" >"$dir/shell.out" 2>&1 &
exec 7>"$dir/shell"
echo "a = open echo_drv" >&7
await grep -q "open" "$dir/shell.out"
client ports --all && ! says echo_drv
ok $? "a client that may see its own ports only sees no other"
socket=$dir/s2 client ports --all && says echo_drv
ok $? "one of another listener sees all"
port=$(sed -n 's/.*id => \([0-9]*\),.*connection => \([0-9]*\),.*/\2\/\1/p' "$dir/o")
! client info "$port" && says not_permitted && socket=$dir/s2 client info "$port" && says echo_drv
ok $? "what a port of another connection tells about itself is for those who may see it"
timeout 20 "$ctl" --unix "$dir/s2" trace "$port" --count 1 >"$dir/t" 2>&1 &
tracer=$!
traced() { # something for the trace to see
  echo "a control 0 x" >&7
  grep -q "control" "$dir/t"
}
! client trace "$port" --count 1 && says not_permitted && await traced && wait "$tracer"
ok $? "its trace for those who may administer"
! client log-level debug && says not_permitted && client log-level && says notice && socket=$dir/s2 client log-level info &&
  client log-level && says info
ok $? "the level of the log is set by those who may administer, and told to all"
socket=$dir/s2 client load crunch_drv
ok $? "and may load"
exec 7>&-
stop
chmod 777 "$dir/apart"
begin --config "$dir/c.json"
! client open echo_drv close && logged "others may write"
ok $? "a configured file in a directory that others may write is refused"
stop
chmod 755 "$dir/apart"

if [ "$(id -u)" -eq 0 ]; then
  cp "$ctl" "$dir/ctl" # where another user can reach it
  as() { # UID GID GROUPS ARGUMENT...
    local who=(--reuid "$1" --regid "$2" --groups "$3")
    shift 3
    timeout 20 setpriv "${who[@]}" "$dir/ctl" --unix "$dir/s" "$@" >"$dir/o" 2>&1
  }
  config '{"listeners": [{"unix": "'"$dir"'/s", "mode": "0666", "uids": [4001], "gids": [4002, "daemon"], "group": 4002}]}'
  begin --config "$dir/c.json"
  [ "$(stat -c %g "$dir/s")" = 4002 ]
  ok $? "the unix socket has the group of the configuration"
  ! as 4009 4009 4009 ping && logged "the client runs as a user who is not admitted"
  ok $? "a user who is not named is refused"
  as 4001 4009 4009 ping && says pong
  ok $? "a user who is named is admitted"
  as 4009 4002 4009 ping && says pong
  ok $? "so is one in a group that is named"
  as 4009 4009 4009,1 ping && says pong
  ok $? "also as a supplementary group"
  stop
fi

# --- reading it again ---

base='{"listeners": [{"unix": "'"$dir"'/s"}], "driver_path": ["'"$drivers"'"]'
config "$base}"
begin --config "$dir/c.json"
reload "$base"', "limits": {"frame_bytes": 5000}, "log": {"level": "debug"}}' && client info && says "max_frame => 5000" && grep -q "info \[conn" "$dir/err"
ok $? "SIGHUP: limits and log level change"
reload "$base"', "limits": {"frame_bytes": 6000}, "log": {"level": "nonsense"}}' "stays as it was" && grep -qF "$dir/c.json:1: log.level: expected" "$dir/err" &&
  client info && says "max_frame => 5000"
ok $? "a file with an error changes nothing, and the log says so"
reload '{"listeners": [{"unix": "'"$dir"'/s"}, {"unix": "'"$dir"'/none/s"}], "limits": {"frame_bytes": 6000}}' "stays as it was" &&
  client info && says "max_frame => 5000"
ok $? "nor does one whose listeners cannot be opened"
reload "$base"', "drivers": {"none_drv": {"preload": true}}, "limits": {"frame_bytes": 6000}}' "stays as it was" && client info && says "max_frame => 5000"
ok $? "nor does one with a driver that cannot be preloaded"
reload "$base"', "reactors": 3, "stack_kib": {"worker": 1024}}' && logged "reactors has changed: that needs a restart" &&
  logged "stack_kib.worker has changed: that needs a restart" && client info && says "max_frame => 134217728"
ok $? "what needs a restart is named, the rest is in force"
reload "$base"', "drivers": {"echo_drv": {"preload": true}}}' && client drivers && says echo_drv && ! grep -q "has changed" "$dir/err"
ok $? "a driver is preloaded"
reload '{"listeners": [{"unix": "'"$dir"'/s", "open": []}, {"unix": "'"$dir"'/s2", "mode": "0600"}]}' && [ -S "$dir/s2" ] &&
  socket=$dir/s2 client ping
ok $? "a new listener is opened"
client open echo_drv close
says eacces
ok $? "the rights of the other have changed"
reload '{"listeners": [{"unix": "'"$dir"'/s", "mode": "0640"}]}' && [ ! -e "$dir/s2" ] && [ "$(stat -c %a "$dir/s")" = 640 ] && client ping
ok $? "a listener that is not in the file any more is closed, the mode of the other changes"
ln -s . "$dir/link"
inode=$(stat -c %i "$dir/s")
reload '{"listeners": [{"unix": "'"/$dir"'/./s", "mode": "0660"}]}' && [ "$(stat -c %a "$dir/s")" = 660 ] &&
  reload '{"listeners": [{"unix": "'"$dir"'/link/s", "mode": "0640"}]}' && [ "$(stat -c %a/%i "$dir/s")" = "640/$inode" ] && client ping &&
  ! grep -q listening "$dir/err"
ok $? "a listener whose path is written in another way stays, by its new rules"
rm "$dir/s"
kill -HUP "$pid" && await client ping && [ "$(stat -c %a "$dir/s")" = 640 ]
ok $? "a socket whose file was removed is there again"
rm "$dir/s"
"$daemon" --unix "$dir/s" </dev/null >/dev/null 2>&1 &
other=$!
await client ping && : >"$dir/err" && kill -HUP "$pid" && logged "another daemon listens there" && [ "$(stat -c %a "$dir/s")" = 600 ] && client ping
ok $? "but not one that another daemon listens at"
kill "$other" && wait "$other"
reload '{"listeners": [{"unix": "'"$dir"'/s", "mode": "0640"}]}' && client ping
ok $? "unless that has ended"
chmod 666 "$dir/c.json"
: >"$dir/err"
kill -HUP "$pid" && logged "stays as it was" && grep -qF "$may_write" "$dir/err" && client ping
ok $? "a file that others may write is not read again"
rm "$dir/c.json"
: >"$dir/err"
kill -HUP "$pid" && logged "stays as it was" && client ping
ok $? "without a file all stays"
config "$base}"
for _ in $(seq 50); do kill -HUP "$pid"; done
logged "has been read again" && client ping
ok $? "many signals at once do no harm"
stop && [ ! -e "$dir/s" ]
ok $? "and it ends in order"
config "$base"', "shutdown_s": 3600}'
begin --config "$dir/c.json"
rm -f "$dir/cookie"
(umask 077; echo "a cookie of the test" >"$dir/cookie"; echo "the next cookie of the test" >"$dir/cookie2")
tcp() { # COOKIE COMMAND...: porthostctl over TCP, output in $dir/o
  local cookie=$1
  shift
  timeout 20 "$ctl" --tcp "127.0.0.1:$tcp_port" --cookie-file "$cookie" "$@" >"$dir/o" 2>&1
}
open='{"tcp": "0.0.0.0:'$tcp_port'", "cookie_file": "'"$dir/cookie"'"}'
reload '{"listeners": [{"unix": "'"$dir"'/s"}, '"$open"']}' && tcp "$dir/cookie" ping && says pong
ok $? "a TCP address that others can reach is listened on with a cookie"
mv "$dir/cookie2" "$dir/cookie"
echo "a cookie of the test" >"$dir/old" && chmod 600 "$dir/old" && tcp "$dir/old" ping &&
  reload '{"listeners": [{"unix": "'"$dir"'/s"}, '"$open"']}' && tcp "$dir/cookie" ping && ! tcp "$dir/old" ping && says bad_auth
ok $? "a new cookie is in force after it has been read again"
reload '{"listeners": [{"unix": "'"$dir"'/s"}, {"tcp": "0.0.0.0:'$tcp_port'"}]}' "stays as it was" &&
  grep -qF "not a loopback address" "$dir/err" && tcp "$dir/cookie" ping && ! timeout 20 "$ctl" --tcp "127.0.0.1:$tcp_port" ping >"$dir/o" 2>&1
ok $? "such an address does not lose its cookie"
reachable() { # HOST: without a cookie
  timeout 20 "$ctl" --tcp "$1:$tcp_port" ping >"$dir/o" 2>&1
}
reload '{"listeners": [{"unix": "'"$dir"'/s"}, {"tcp": "127.0.0.1:'$tcp_port'"}]}' && reachable 127.0.0.1 && ! reachable 127.0.0.2
ok $? "a TCP address takes the place of one that it is a part of"
reload '{"listeners": [{"unix": "'"$dir"'/s"}, {"tcp": "localhost:'$tcp_port'"}]}' && reachable 127.0.0.1 && ! grep -q "no longer" "$dir/err" &&
  reload '{"listeners": [{"unix": "'"$dir"'/s"}, {"tcp": "127.0.0.1:'$tcp_port'"}]}' && reachable 127.0.0.1
ok $? "another name of an address leaves it open"
mkfifo "$dir/hold"
"$ctl" --tcp "127.0.0.1:$tcp_port" shell <"$dir/hold" >"$dir/held" 2>&1 &
held=$!
exec 6<>"$dir/hold" # also without a reader
echo drivers >&6
await test -s "$dir/held"
reload '{"listeners": [{"unix": "'"$dir"'/s"}, '"$open"']}' && tcp "$dir/cookie" ping && ! reachable 127.0.0.1 && says auth
ok $? "with a cookie, 0.0.0.0 takes the place of 127.0.0.1 at the same port"
echo ping >&6
exec 6>&-
wait "$held" && grep -q pong "$dir/held"
ok $? "its connections stay"
reload '{"listeners": [{"unix": "'"$dir"'/none/s"}, {"tcp": "127.0.0.1:'$tcp_port'"}]}' "stays as it was" && tcp "$dir/cookie" ping &&
  (refuses 1 "Address already in use" --tcp 127.0.0.1:$tcp_port)
ok $? "if something else fails the old one is what it was, and nobody else can share it"
reload '{"listeners": [{"unix": "'"$dir"'/s"}, {"tcp": "127.0.0.1:'$tcp_port'"}]}'
strace -q -f -o "$dir/calls" -e trace=listen -e inject=listen:delay_enter=700000 -p "$pid" 2>"$dir/strace" &
strace=$!
await grep -q '^TracerPid:.*[1-9]' /proc/"$pid"/status
config '{"listeners": [{"unix": "'"$dir"'/s"}, '"$open"']}'
: >"$dir/err"
kill -HUP "$pid" && sleep 0.3 && reachable 127.0.0.1 && logged "has been read again"
ok $? "who connects meanwhile is served"
kill "$strace"
wait "$strace" 2>/dev/null
reload '{"listeners": [{"unix": "'"$dir"'/s"}], "driver_path": ["'"$(dirname "$drivers")"'/tests/drivers"], "shutdown_s": 0}'
timeout 20 "$ctl" --unix "$dir/s" shell >"$dir/o" 2>&1 < <(echo "a = open place_probe_drv"; echo "a control 3 abc"; sleep 10) &
await grep -q '"0"' "$dir/o"
stop
logged "1 ports have not come to their end and are abandoned"
ok $? "ports that do not flush are abandoned after the time that is configured"
begin --unix "$dir/s" --log-level info --log-format json
client open none_drv
client ping && stop && jq -es 'all(.[]; has("time") and has("level") and has("text"))' "$dir/err" >"$dir/o" 2>&1 &&
  jq -es 'any(.[]; .level == "notice" and .connection == 1 and .port == 1 and .driver == "none_drv" and .text == "open is refused: no_driver") and
    any(.[]; .connection == 1 and .client == "porthostctl" and .text == "hello")' "$dir/err" >"$dir/o"
ok $? "a log of JSON lines names connection, client, port and driver"
config "$base"', "log": {"format": "json", "priority_prefix": "always"}}'
begin --config "$dir/c.json" && grep -q '^<5>{"time":[0-9.]*,"level":"notice","text":"listening on unix socket ' "$dir/err"
ok $? "lines begin with their priority if that is configured"
reload "$base"', "log": {"priority_prefix": "never"}}' && stop && grep -q "^notice the configuration has been read again" "$dir/err"
ok $? "SIGHUP changes the format"
begin --unix "$dir/s"
kill -HUP "$pid" && logged "has been read again" && client ping && stop
ok $? "SIGHUP without any file does no harm"

finish
