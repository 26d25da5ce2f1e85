#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The system does not answer what the daemon asks it, at its start, at a reload, or while clients are there (tests/preload/faults.c): a name, a file's owner, a client's user, a descriptor.
# It does not begin and says why, or serves; a request is refused or its connection ends; what it was not told is never taken for a yes. Prints TAP lines and "N passed, N failed".
. "$(dirname "$0")/lib.sh"
shown=("$dir/err" "$dir/o")
state=$dir/state
mkdir -m 700 "$state"
(umask 077 && echo "a cookie of the test" >"$dir/cookie")

# with KINDS CALLS COMMAND...: the daemon's calls of these names fail, as long as there is $dir/while.
with() {
  LD_PRELOAD=$(realpath "$drivers/../tests/preload/faults.so") FAULTS=$1 FAULTS_CALLS=$2 FAULTS_RATE=1 FAULTS_WHILE=$dir/while GCOV_PREFIX=$dir/counts \
    ASAN_OPTIONS="${ASAN_OPTIONS-}:verify_asan_link_order=0" "${@:3}"
}

said() { grep -qE -- "$1" "$dir/err"; }
serves() { client open echo_drv control 0 hello && says '{ok,control,"hello"}'; }
listens() { [ -S "$socket" ] || ! kill -0 "$pid" 2>/dev/null; }
reloads() { # TEXT
  kill -HUP "$pid" && await said "$1"
}

# All that it asks the system about.
config() {
  echo '{"listeners": [{"unix": "'"$socket"'", "mode": "0600", "uids": ["nobody"], "gids": ["daemon"], "load": true},
    {"tcp": "127.0.0.1:0", "cookie_file": "'"$dir/cookie"'"}], "metrics": "127.0.0.1:0",
    "driver_path": ["'"$drivers"'"], "state_dir": "'"$state"'"}' >"$dir/c.json"
}
config

calls="fds:socket,eventfd,timerfd_create,epoll_create1,pipe2,accept4,open,openat,fcntl,fopen,dlopen,getpwnam,getgrnam,getaddrinfo
  memory:epoll_ctl,stat,lstat,fstat,access,faccessat,realpath,fdopendir,setsockopt,getsockopt,getsockname,getaddrinfo,getnameinfo
  disk:stat,lstat,fstat,access,faccessat,realpath,readdir,read,close"

each() { # COMMAND: with each KIND CALL; says for which it is false
  local kind call
  for kind in $calls; do
    for call in $(tr , ' ' <<<"${kind#*:}"); do
      "$1" "${kind%%:*}" "$call" || { echo "$1 ${kind%%:*} $call"; tail -n 20 "$dir/err" "$dir/o"; }
    done
  done >"$dir/failed"
  [ ! -s "$dir/failed" ]
}

# It says why and ends, or listens; and serves when all is well again.
begins() { # KIND CALL
  touch "$dir/while"
  rm -f "$socket"
  with "$1" "$2" launch --config "$dir/c.json"
  await listens
  rm "$dir/while"
  if kill -0 "$pid" 2>/dev/null; then
    await serves && stop
  else
    wait "$pid"
    [ $? -eq 1 ] && said '^error '
  fi
}

# A client that need not be answered.
tries() { timeout 1 "$ctl" --unix "$socket" "$@" >"$dir/o" 2>&1; }

# A client, a reload and what a driver needs, while the call fails; and all of it when it does not.
goes_on() { # KIND CALL
  rm -f "$dir/while" "$socket"
  with "$1" "$2" launch --config "$dir/c.json"
  await serves || return 1
  touch "$dir/while"
  tries load delay_drv
  tries open echo_drv control 0 hello close
  reloads 'the configuration (has been read again|stays as it was)'
  rm "$dir/while"
  await serves && stop
}

shown=("$dir/failed")
each begins
ok $? "whatever fails at its start: it says why it does not begin, or serves"
each goes_on
ok $? "whatever fails while it serves: it serves on"
shown=("$dir/err" "$dir/o")

# --- what was not answered is no yes ---

printf 'CRITICAL\ndriver: echo_drv\n' >"$state/crash-$(date +%s)-1"
echo '{"listeners": [{"unix": "'"$socket"'"}], "driver_path": ["'"$drivers"'"], "state_dir": "'"$state"'", "crash_limit": 0}' >"$dir/c.json"
touch "$dir/while"
rm -f "$socket"
with disk readdir refuses 1 "state directory $state: Input/output error" --config "$dir/c.json"
ok $? "a state directory that cannot be read to its end: it does not begin"
with disk read launch --config "$dir/c.json"
await said '^warning state directory: crash-[0-9]+-1 cannot be read, and bars no driver: Input/output error$' && rm "$dir/while" && await serves
ok $? "a file in it that cannot be read: it is said"
reloads '\[echo_drv\] it has crashed the host 1 times'
ok $? "and counts as soon as it can be read"
stop
rm "$state"/crash-*

config
touch "$dir/while"
with fds open timeout 20 "$daemon" --stdio </dev/null >"$dir/out" 2>"$dir/err"
[ $? -eq 1 ] && said '^error /dev/null: Too many open files'
ok $? "no stdio connection where what drivers print would be in the stream"

rm -f "$dir/while"
with reset read start
touch "$dir/while"
cannot_read() { tries open echo_drv close; said "^warning \[conn [0-9]+\] cannot read: (Connection timed out|No route to host)$"; }
await cannot_read
ok $? "a connection that cannot be read ends, and it is said why"
rm "$dir/while"
serves && stop
ok $? "and the next is served"

rm -f "$socket"
with memory getsockname launch --config "$dir/c.json"
await serves
sed -i 's/, "cookie_file": "[^"]*"//' "$dir/c.json"
touch "$dir/while"
reloads 'tcp .*: where it listens cannot be found out: '
ok $? "a listener whose address is not known does not lose its cookie"
stop

finish 9
