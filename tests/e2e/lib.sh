# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What the shell tests share: sourced by each of them, and by the libraries of the directories here, before anything else. Nothing but bash and coreutils is needed.
# Environment: PORTHOSTD, PORTHOSTCTL and DRIVERS say where what is tested lies; without them it is in build, seen from the top directory.
# What a test has of it: the programs and directories of drivers; $dir, a directory of its own that is gone at the end. What it has
# in the background is killed then.
set -u
unset STATE_DIRECTORY # of a service that the test runs in
daemon=$(realpath -m "${PORTHOSTD:-build/porthostd}")
ctl=$(realpath -m "${PORTHOSTCTL:-build/porthostctl}")
drivers=$(realpath -m "${DRIVERS:-build/drivers}")
probes=$(realpath -m "$drivers/../tests/drivers")
dir=$(mktemp -d)
socket=$dir/s # of the daemon that start and client are about
tcp_port=$((20000 + $$ % 6000)) # for a TCP listener; below those that the system gives away, as is the one 6000 above it
n=0 failed=0

clean_up() {
  local left
  left=$(jobs -pr)
  # shellcheck disable=SC2086 # a list
  [ -z "$left" ] || { kill -KILL $left && wait $left; } 2>/dev/null
  rm -rf "$dir"
}
trap '[[ $BASHPID != "$$" ]] || clean_up' EXIT # not in subshells

# --- points ---

# Counts a point and prints its line; returns STATUS. For those who tell on their own what went wrong.
point() { # STATUS NAME
  n=$((n + 1))
  [ "$1" -eq 0 ] && echo "ok $n - $2" && return
  failed=$((failed + 1))
  echo "not ok $n - $2"
  return 1
}

# A point; if it failed also what evidence prints.
ok() { # STATUS NAME
  point "$@" || evidence | sed 's/^/# /'
}

# What is shown of a point that failed: the ends of the files in $shown, which a test may set. A test may also have an evidence of its own.
shown=("$dir/err" "$dir/o")
evidence() { tail -n 60 "${shown[@]}" 2>/dev/null | cut -c 1-300; }

# A point; what went wrong is on stdin.
verdict() { # NAME STATUS
  if point "$2" "$1"; then cat >/dev/null; else sed 's/^/# /'; fi
}

# The last line of every test: prints the plan and "N passed, N failed"; true if none failed and at least LEAST passed.
finish() { # [LEAST]
  echo "1..$n"
  echo "$((n - failed)) passed, $failed failed"
  [ "$failed" -eq 0 ] && [ "$n" -ge "${1:-0}" ]
}

# --- waiting ---

# Runs the command until it succeeds, for some seconds at most; what it prints is dropped.
await() { # COMMAND...
  for _ in {1..400}; do
    "$@" >/dev/null 2>&1 && return 0
    sleep 0.05
  done
  return 1
}

# --- a daemon in the background, and its clients ---

# Starts a daemon with these options and nothing else; its pid in $pid, what it says in $dir/out and $dir/err.
launch() { # OPTION...
  : >"$dir/err"
  "$daemon" "$@" </dev/null >"$dir/out" 2>>"$dir/err" &
  pid=$!
}

# True if somebody listens at that unix socket: its file is there a moment before.
listens_at() { # PATH
  grep -q " 00010000 .* $1\$" /proc/net/unix
}

# Launches one that listens at $socket and finds all drivers; returns when it listens.
start() { # OPTION...
  rm -f "$socket"
  launch --unix "$socket" --driver-path "$drivers:$probes" "$@"
  await listens_at "$socket"
}

# Has the daemon end in order; returns its status.
stop() {
  kill -TERM "$pid"
  wait "$pid" 2>/dev/null
}

# True if the daemon, run with these options, ends with STATUS and TEXT in what it says ($dir/out, $dir/err).
refuses() { # STATUS TEXT OPTION...
  local want=$1 text=$2
  shift 2
  timeout 20 "$daemon" "$@" </dev/null >"$dir/out" 2>"$dir/err"
  [ $? -eq "$want" ] && grep -qF -- "$text" "$dir/err"
}

# porthostctl at $socket; what it prints is in $dir/o.
client() { # ARGUMENT...
  timeout 30 "$ctl" --unix "$socket" "$@" >"$dir/o" 2>&1
}

# True if client printed that.
says() { # TEXT
  grep -qF -- "$1" "$dir/o"
}
