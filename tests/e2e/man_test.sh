#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The man pages: what mandoc says, and whether they have what the programs and the protocol have. Prints TAP lines and "N passed, N failed".
. "$(dirname "$0")/lib.sh"

# Whether the pages they refer to are installed is no fault of the pages.
! mandoc -T lint conf/*.[1-8] 2>/dev/null | grep -v 'STYLE: referenced manual not found'
ok $? "mandoc finds nothing to say"

options() { # PROGRAM
  "$1" --help | grep -oE -- '(^|[ ,|[])--[a-z-]+' | grep -oE -- '--[a-z-]+' | sort -u
}

for page in porthostd.8 porthostctl.1; do
  case $page in *.8) program=$daemon ;; *) program=$ctl ;; esac
  missing=
  for o in $(options "$program"); do
    mandoc -T utf8 "conf/$page" 2>/dev/null | sed 's/.\x08//g' | grep -qE -- "(^|[^-])$o\b" || missing+=" $o"
  done
  [ -z "$missing" ] || echo "# $page lacks$missing"
  [ -z "$missing" ]
  ok $? "$page has every option of the program"
done

missing=
for c in $("$ctl" --help | sed -n '/^Commands/,/^PORT/s/^  \([a-z-]*\) .*/\1/p; /^Steps/,/^DATA/s/^  \([a-z]*\) .*/\1/p; s/^  \(close\|shell\) .*/\1/p'); do
  grep -qE "^\.It Cm $c( |$)" conf/porthostctl.1 || missing+=" $c"
done
[ -z "$missing" ] || echo "# porthostctl.1 lacks$missing"
[ -z "$missing" ]
ok $? "porthostctl.1 has every command and step"

missing=
for v in proto/vectors/{request,event}-*.txt; do
  v=${v##*/} v=${v#*-} v=${v%.txt}
  grep -q "{$v, " conf/porthost-protocol.7 || missing+=" $v"
done
[ -z "$missing" ] || echo "# porthost-protocol.7 lacks$missing"
[ -z "$missing" ]
ok $? "porthost-protocol.7 has every request and event"

missing=
for m in porthost porthost_ddll porthost_pool; do
  # Of a gen_server's callbacks nothing is said.
  for f in $(erl -noshell -pa "$(dirname "$daemon")/erlang/porthost/ebin" -eval "
      Callbacks = [module_info, behaviour_info, enter, init, handle_call, handle_cast, handle_info, terminate],
      [io:format(\"~s/~w \", [F, A]) || {F, A} <- $m:module_info(exports), not lists:member(F, Callbacks)], halt()." </dev/null); do
    sed -n "/^\.Sh MODULE $m\$/,/^\.Sh/{/^\.Sh MODULE $m\$/p;/^\.It /p}" conf/porthost.3 | grep -qE "^\.It.* $f( |\$)" || missing+=" $m:$f"
    functions=$((${functions:-0} + 1))
  done
done
[ -z "$missing" ] || echo "# porthost.3 lacks$missing"
[ -z "$missing" ] && [ "${functions:-0}" -gt 40 ]
ok $? "porthost.3 has every function of the Erlang client"

finish
