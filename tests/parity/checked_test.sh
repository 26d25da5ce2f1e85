#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Whole suites in the checking mode (porthostd --check-drivers): the comparison with the VM, and SQLite's and Megaco's drivers as Debian has them. They pass
# as ever, and nothing is reported but what tests/parity/offences lists with a reason; all that is there is reported. checked_test.sh BUILD; ends with "N passed, N failed".
set -u
cd "$(dirname "$0")/../.." || exit
build=${1:-build}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
n=0 failed=0

ok() { # STATUS NAME
  n=$((n + 1))
  [ "$1" -eq 0 ] && echo "ok $n - $2" && return
  failed=$((failed + 1))
  echo "not ok $n - $2"
  tail -n 40 "$dir/out" | sed 's/^/# /'
}

# A program that can be started in the daemon's place, with what lies beside it.
mkdir "$dir/bin"
ln -s "$PWD/$build/drivers" "$PWD/$build/tests" "$PWD/$build/porthostctl" "$dir/bin/"
cat >"$dir/bin/porthostd" <<END
#!/usr/bin/env bash
echo \$\$ >>"$dir/pids"
exec "$PWD/$build/porthostd" --check-drivers=20000 "\$@" 2>>"$dir/log"
END
chmod 755 "$dir/bin/porthostd"

running() { # a zombie has no command line
  local pid
  for pid in $(cat "$dir/pids"); do
    grep -q . "/proc/$pid/cmdline" 2>/dev/null && return 0
  done
  return 1
}

# The daemons lose their parents, and end.
ended() {
  for _ in $(seq 300); do
    running || return 0
    sleep 0.1
  done
  return 1
}

# suite NAME COMMAND...: passes, with at least one daemon, and what is reported goes to $dir/NAME as "driver kind callback"
suite() {
  local name=$1
  shift
  : >"$dir/log"
  : >"$dir/pids"
  timeout 600 "$@" >"$dir/out" 2>&1 </dev/null
  ok $? "$name passes"
  [ -s "$dir/pids" ] && ended
  ok $? "$name: daemons have run, and have ended"
  sed -nE 's/.*[[ ]([^] ]+)\] check: ([a-z_]+) in ([^:]+): .*/\1 \2 \3/p' "$dir/log" | sort -u >"$dir/$name"
  cat "$dir/$name" >>"$dir/all"
}

sed '/^#/d; /^$/d; s/ *#.*//' tests/parity/offences | sort -u >"$dir/expected"

eunit() { # MODULE
  PORTHOSTD=$dir/bin/porthostd DRIVERS=$dir/bin/drivers erl -noshell -pa "$build/erlang/porthost/ebin" -pa "$build/tests/ebin" \
    -eval "case eunit:test($1) of ok -> halt(0); _ -> halt(1) end"
}
export -f eunit
export dir build

cat tests/parity/intended.eterm tests/parity/intended_checked.eterm >"$dir/intended"
suite parity erl -noshell -pa "$build/tests/ebin" -s parity -extra --drivers "$build/tests/drivers" \
  --daemon "$dir/bin/porthostd" --client "$build/erlang/porthost/ebin" --intended "$dir/intended"
suite libraries bash -c 'eunit porthost_daemon_tests && eunit porthost_adopt_tests'

sort -u "$dir/all" | comm -13 "$dir/expected" - >"$dir/out"
[ ! -s "$dir/out" ]
ok $? "nothing is reported but what breaks a rule on purpose"
sort -u "$dir/all" | comm -23 "$dir/expected" - >"$dir/out"
[ ! -s "$dir/out" ]
ok $? "what breaks a rule on purpose is reported"
! grep -q sqlite "$dir/libraries"
ok $? "SQLite's driver breaks no rule"

echo "1..$n"
echo "$((n - failed)) passed, $failed failed"
[ "$failed" -eq 0 ]
