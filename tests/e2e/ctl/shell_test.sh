#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# porthostctl: lines from stdin. See lib.sh.
. "$(dirname "$0")/lib.sh"

# ---- shell ----

own shell <<'EOF'
# two ports of one driver
load echo_drv
p1 = open -o binary -o {line, 80} echo_drv first one
p2 = open echo_drv
p1 command hello world
p2 call 1 {a, "b c"}
p1 control 0 term:[1, 2]
p1 close
p2 close
EOF
check 'a session with two ports is played' 0 "loaded
$opened
$opened
{p1,{data,<<\"hello world\">>}}
{ok,call,{ok,1,{a,\"b c\"}}}
{ok,control,[1,2]}
{exit,p1,normal}
{ok,close,true}
{exit,p2,normal}
{ok,close,true}"
own shell <<'EOF'
p1 = open echo_drv
p1 call {a, B}
ping
EOF
check_err 'a mistake in a line has its place' 2 '^stdin:2:13: expected a term, found a variable$'
check_that 'a mistake shows the line and a caret' grep -qx '              ^' "$dir/err"
check_that 'the lines behind a mistake are run' grep -qx pong "$dir/out"
own shell <<<$'p1 = open echo_drv\np1 = open echo_drv'
check_err 'a name in use is not given to another port' 1 '^porthostctl: stdin:2: p1 is open$'
own shell <<<$'p1 = open echo_drv\np1 close\np1 = open echo_drv\np1 control 0 x'
check_that 'a name is free again when its port is closed' grep -qx '{ok,control,"x"}' "$dir/out"
own shell <<<$'frob\np9 close\nwait\nquit\nping'
check 'unknown words are usage errors, and quit ends' 2 ''
run timeout 30 "$ctl" --daemon "$daemon" --driver-path "$drivers:$probes" shell <<'EOF'
p1 = open failure_probe_drv
p2 = open -o binary echo_drv
p1 control 0 arm output atom
p1 command x
p2 command hello
EOF
check_that 'a port that has ended by itself at the end is no failure' test "$status" = 0
check_lines 'the other ports are heard and closed' 0 out '^\{p2,\{data,<<"hello">>\}\}$' '^\{exit,p2,normal\}$' '^\{ok,close,true\}$'
run timeout 30 "$ctl" --daemon "$daemon" --driver-path "$probes" shell <<'EOF'
p = open child_probe_drv
p control 0 create kid
created_1 command hello
created_1 control 0 create grandchild
created_1 close
p close
EOF
check_lines 'a port that a driver creates is one of the session' 0 out '^\{created,created_1,p,<0\.[0-9]+\.0>,<<"kid">>\}$' '^\{child,created_1\}$' \
    '^\{created_1,\{data,"childhello"\}\}$' '^\{created,created_2,created_1,.*<<"grandchild">>\}$' '^\{exit,created_1,normal\}$'
check_lines 'and is closed with the others' 0 out '^\{exit,created_2,normal\}$'
own shell <<<$'created_1 = open echo_drv\np = open echo_drv'
check_err 'its name is given to no other' 2 '^porthostctl: stdin:1: created_1 cannot be the name of a port'
own shell </dev/null
check 'no lines are no mistake' 0 ''
own shell <"$dir"
check_err 'input that cannot be read is not the end of it' 1 '^porthostctl: cannot read stdin: Is a directory$'

finish
