#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# porthostctl run: the language, its mistakes, reports, tools, and that nothing is left behind. The examples of SCRIPTS.md are run by script_doc_test.sh.
# Usage: [PORTHOSTD=..] [PORTHOSTCTL=..] [DRIVERS=..] script_test.sh   (run from the top directory). Prints TAP, and at the end 'N passed, N failed'.
. "$(dirname "$0")/lib.sh"
set -o pipefail

mkdir "$dir/drivers" # a path that no other run has: what is left behind is known by it
ln -s "$drivers"/*.so "$probes"/*.so "$dir/drivers"
cd "$dir" || exit 1

# ---- judging ----

show() {
    echo "status $status"
    sed 's/^/stdout: /' out | head -60
    sed 's/^/stderr: /' err | head -60
}

script() { # FILE, its text on stdin
    cat >"$1"
}

run() { # ARGUMENT...: of `run`
    timeout 150 "$ctl" --daemon "$daemon" --driver-path "$dir/drivers" run "$@" >out 2>err
    status=$?
}

# NAME STATUS PATTERN...: the last run ended with that status, and each pattern matches a line of its output.
check() {
    local name=$1 wrong=0 pattern
    [[ $status == "$2" ]] || wrong=1
    shift 2
    for pattern in "$@"; do
        grep -qE -- "$pattern" out err || { wrong=1; echo "missing: $pattern" >>err; }
    done
    verdict "$name" $wrong < <(show)
}

check_that() { # NAME COMMAND...
    local name=$1 wrong=0
    shift
    "$@" || wrong=1
    verdict "$name" $wrong < <(echo "failed: $*"; show)
}

# ---- mistakes: refused with their place before anything is run ----

wrong() { # NAME PATTERN, the script on stdin
    script wrong.phs
    timeout 20 "$ctl" --daemon "touch $dir/started;" run wrong.phs >out 2>err
    status=$?
    check "refused: $1" 2 "$2" '^ +\^$'
}

wrong 'an unknown statement' '^wrong.phs:2:1: expected a statement, ' <<<$'load echo_drv\nopne p'
wrong 'no statement at all' "^wrong.phs:1:1: expected a statement, found '1'" <<<'17'
wrong 'a line that goes on' "^wrong.phs:1:10: expected the end of the line, found 'x'" <<<'load d   x'
wrong 'a name that is missing' '^wrong.phs:1:5: expected the name of a driver, found the end of the line' <<<'load'
wrong 'a name that is none' "^wrong.phs:1:6: expected the name of a driver, found '1'" <<<'load 1'
wrong 'a term that is missing' '^wrong.phs:2:10: expected a term, found the end of the line' <<<$'open p d\ncommand p'
wrong 'a term that is broken' "^wrong.phs:3:3: expected ',' or '}', found ']'" <<<$'open p d\ncommand p {a,\n b]'
wrong 'a term that does not end' '^wrong.phs:2:11: expected " at the end of the string' <<<$'open p d\ncommand p "abc'
wrong 'a character that belongs nowhere' "^wrong.phs:2:11: expected a term, found '\\^'" <<<$'open p d\ncommand p ^'
wrong 'bytes that are no UTF-8' 'byte 0xff, which is not UTF-8' <<<$'open p d\ncommand p "\xff"'
wrong 'a number that is too large' '^wrong.phs:2:11: expected the operation, a number from 0 to 4294967295' <<<$'open p d\ncontrol p 4294967296 ""'
wrong 'a time without a unit' '^wrong.phs:1:9: expected ms, s or m behind the number' <<<'sleep 20'
wrong 'a time that is none' '^wrong.phs:1:7: expected a time' <<<'sleep soon'
wrong 'a time of years' 'longer than a day' <<<'sleep 1000000m'
wrong 'a variable without a value' '^wrong.phs:2:11: the variable X has no value here' <<<$'open p d\ncommand p [X]'
wrong 'a variable of a block behind it' 'the variable X has no value here' <<<$'open p d\nrepeat 2\nset X = 1\nend\ncommand p X'
wrong 'a variable of another test' 'the variable X has no value here' <<<$'open p d\ntest "a"\nset X = 1\ntest "b"\ncommand p X'
wrong '_ where a term is needed' '_ is no term' <<<$'open p d\ncommand p {_, 1}'
wrong 'a variable in a key' '^wrong.phs:2:12: a key of a map cannot have variables' <<<$'open p d\nexpect #{ {K} => 1}'
wrong 'a rest that is not the last' "expected '>>' behind the rest" <<<$'open p d\nexpect <<X/binary, 1>>'
wrong 'a rest of no type' 'expected /binary behind the variable' <<<$'open p d\nexpect <<1, X>>'
wrong 'a rest behind bits' 'no whole bytes' <<<$'open p d\nexpect <<1:3, X/binary>>'
wrong 'half an append' "expected '[+][+]'" <<<$'open p d\nexpect "a" + X'
wrong 'a value for _' '_ cannot have a value' <<<'set _ = 1'
wrong 'a port that was not opened' '^wrong.phs:1:9: no port of this name' <<<'command p "x"'
wrong 'a port of another test' 'no port of this name' <<<$'test "a"\nopen p d\ntest "b"\nclose p'
wrong 'a caller that is none' 'this is no caller' <<<$'open p d\nas X command p "x"'
wrong 'a caller for what needs none' 'not made by a caller' <<<$'caller A\nas A sleep 1s'
wrong 'two callers of one name' 'has a value already' <<<$'caller A\ncaller A'
wrong 'killing Self' 'Self lives as long as the script' <<<'kill Self'
wrong 'a repeat without an end' '^wrong.phs:2:1: this repeat has no end' <<<$'open p d\nrepeat 3\nclose p'
wrong 'an end without a repeat' '^wrong.phs:1:1: there is no repeat' <<<'end'
wrong 'a test in a block' 'a test cannot begin within repeat' <<<$'repeat 2\ntest "x"\nend'
wrong 'a test without a name' 'expected the name of the test, as a string' <<<'test 17'
wrong 'an environment that comes too late' 'the environment is set before' <<<$'load d\nenv A "b"'
wrong 'nothing for no time' "expected for, found the end of the line" <<<'expect nothing'
wrong 'any order of nothing' "expected order, found '\\{'" <<<'expect any {a}'
wrong 'a comma too many' '^wrong.phs:2:1: expected a term, found the end' <<<'expect {a},'
wrong 'a file that is not there' '^wrong.phs:1:.*none.phs: No such file or directory' <<<'include "none.phs"'
wrong 'a file without a name' 'expected the name of a file, as a string that is not empty' <<<'include ""'
wrong 'a file that includes itself' 'more than 16 deep' <<<'include "wrong.phs"'
script half.phs <<<'end'
wrong 'a block that is ended by an included file' '^half.phs:1:1: there is no repeat in this file' <<<$'repeat 2\ninclude "half.phs"'
script half.phs <<<'repeat 2'
wrong 'a block that is left open by an included file' '^half.phs:1:1: this repeat has no end' <<<$'include "half.phs"\nend'
wrong 'a term that is too deep' 'nested more than [0-9]+ deep' < <(printf 'open p d\ncommand p '; printf '[%.0s' {1..1200}; printf ']%.0s' {1..1200}; echo)
wrong 'blocks that are too deep' 'nested more than 16 deep' < <(for i in {1..17}; do echo 'repeat 1'; done; for i in {1..17}; do echo end; done)
wrong 'a name that is too long' 'longer than 200 bytes' < <(printf 'test "'; printf 'x%.0s' {1..300}; echo '"')

script one.phs <<<'open'
script two.phs <<<'close'
timeout 20 "$ctl" --daemon "touch $dir/started;" run one.phs none.phs two.phs >out 2>err
status=$?
check 'the mistakes of all files are told at once' 2 '^one.phs:1:5:' 'none.phs: No such file' '^two.phs:1:6:'
check_that 'a mistake starts nothing' test ! -e started
head -c 17000000 /dev/zero | tr '\0' '\n' >large.phs
run large.phs
check 'a script that is too large is refused' 2 'large.phs: File too large'
run "$dir"
check 'a directory is no script' 2 'Is a directory'
run
check 'a file is needed' 2 'a file is missing'
script empty.phs </dev/null
run empty.phs
check 'an empty script passes' 0 '^ok 1 - empty.phs$'
for option in '--jobs 0' '--jobs many' '--timeout soon' '--valgrind --gdb' '--frob'; do
    run $option empty.phs # in words
    check "refused: $option" 2 'porthostctl: |unrecognized'
done
wrong 'a variable that has a value is no port that is created' '^wrong.phs:3:.*this variable has a value already' <<'EOF'
set Child = 1
open p child_probe_drv
expect created Child by p
EOF
wrong 'a port that is created gets no other value' '^wrong.phs:3:.*this variable is a port' <<'EOF'
open p child_probe_drv
expect created Child by p
set Child = 1
EOF
wrong 'the names of ports that are created are not opened' '^wrong.phs:1:.*for ports that drivers create' <<'EOF'
open created_2 echo_drv
EOF

# ---- ports that drivers create ----

script created.phs <<'EOF'
load child_probe_drv
open common child_probe_drv
test "as many as there are, one after the other"
open p child_probe_drv
repeat 30
    control p 0 "create kid"
    expect created Kid by p
    expect {child, Kid}
    command Kid "x"
    expect {Kid, {data, "childx"}}
    control Kid 0 "create grandkid"
    expect created Grandkid by Kid
    expect {child, Grandkid}
    close Kid
    expect exit Kid normal
    close Grandkid
end
test "of which parent"
open p child_probe_drv
control p 0 "create one" 
control common 0 "create two"
control p 0 "create three"
expect created Two by common
expect created One by p
expect created Three by p
expect {child, One}, {child, Two}, {child, Three}
test "nobody asks, and one comes at the end"
open p child_probe_drv
control p 0 "create kid"
control p 0 "create_in_stop"
test "what the others have left is not seen"
open p child_probe_drv
expect nothing for 50ms
control common 0 "create another"
expect created Another by common
expect {child, Another}
EOF
run created.phs
check 'ports that drivers create are expected and used' 0 '^ok 4 ' '^ok 5 '
script created.phs <<'EOF'
load child_probe_drv
open p child_probe_drv
test "none"
expect created Kid by p within 50ms
EOF
run created.phs
check 'a port that is not created is missed' 1 '^not ok 1 ' 'expected  p creates a port' 'came      nothing of it within 0.05 s'

# ---- what is run ----

script good.phs <<'END'
load echo_drv
open p echo_drv options [binary]
command p "x"
expect {p, {data, <<"x">>}}
END
run good.phs
check 'a script that passes is one point' 0 '^1\.\.1$' '^ok 1 - good.phs$'

fails() { # NAME PATTERN..., the script on stdin
    local name=$1
    shift
    script bad.phs
    run --timeout 30 bad.phs
    check "fails: $name" 1 '^not ok 1 - bad.phs' "$@"
}

fails 'another message' '^# bad.phs:4: expect' 'expected  \{p,\{data,"hallo"\}\}' 'came      \{p,\{data,"hello"\}\}' 'differs in element 2 of the tuple, element 2' \
    '- "hallo"$' '[+] "hello"$' '^#         \^$' <<<$'load echo_drv\nopen p echo_drv\ncommand p "hello"\nexpect {p,{data,"hallo"}}'
fails 'no message' 'expected  \{p,_\}' 'came      nothing within 0.05 s' <<<$'load echo_drv\nopen p echo_drv\nexpect {p,_} within 50ms'
script noisy.phs <<'END'
load echo_drv
sleep 20s
END
cat >noisy <<END
#!/bin/sh
exec yes >&2
END
chmod +x noisy
timeout 60 "$ctl" --daemon ./noisy run noisy.phs >out 2>err
status=$?
check 'a daemon that writes without end is ended' 1 'more than 256 MB to stderr'
fails 'a port that ended instead' 'the port p has ended: defect' <<<$'load defect_drv\nopen p defect_drv\ncontrol p 6 ""\nexpect {p,_} within 50ms'
fails 'a message where none is expected' 'expected  nothing' 'came      \{p,\{data,"x"\}\}' <<<$'load echo_drv\nopen p echo_drv\ncommand p "x"\nexpect nothing for 5s'
fails 'an end where nothing is expected' 'expected  nothing' 'came      a port that has ended' <<<$'load echo_drv\ncaller A\nas A open p echo_drv\nkill A\nexpect nothing for 5s'
fails 'an error where none is expected' 'expected  success' 'came      error badarg' <<<$'load echo_drv\nopen p echo_drv\ncontrol p 9 ""'
fails 'success where an error is expected' 'expected  error badarg' 'came      "x"' <<<$'load echo_drv\nopen p echo_drv\ncontrol p 0 "x" -> error badarg'
fails 'another error' '- enoent' '[+] badarg' <<<$'load echo_drv\nopen p echo_drv\ncontrol p 9 "x" -> error enoent'
fails 'a driver that is not there' 'came      error \{open_error,' 'which means: ' <<<'load no_such_drv'
fails 'another exit reason' '- normal' '[+] defect' <<<$'load defect_drv\nopen p defect_drv\ncontrol p 6 ""\nexpect exit p normal'
fails 'an exit that does not come' 'expected  p exit' 'nothing of it within 0.05 s' <<<$'load echo_drv\nopen p echo_drv\nexpect exit p within 50ms'
fails 'a port that is not busy' 'expected  p busy' <<<$'load echo_drv\nopen p echo_drv\nexpect busy p within 50ms'
fails 'a command to a port that has ended' 'expected  an open port' 'came      exit defect' <<<$'load defect_drv\nopen p defect_drv\ncontrol p 6 ""\ncommand p "x"'
fails 'a name that is in use' 'p is open' <<<$'load echo_drv\nopen p echo_drv\nopen p echo_drv'
fails 'a caller that is dead' 'A is dead' <<<$'load echo_drv\ncaller A\nopen p echo_drv\nkill A\nas A command p "x"'
fails 'a variable that is something else' 'where     X = "a"' '- "a"' '[+] "b"' <<<$'load echo_drv\nopen p echo_drv\ncontrol p 0 "a" -> X\ncontrol p 0 "b" -> X'
fails 'a variable of the environment that is not set' 'the environment has no NO_SUCH' <<<'set X env NO_SUCH'
fails 'a message that is unread' 'unread by A: \{q,\{data,"y"\}\}' <<<$'load echo_drv\ncaller A\nas A open q echo_drv\nopen p echo_drv\ncommand q "y"\ncontrol q 0 ""\nexpect eof p within 50ms'
fails 'data that gets too deep by its variables' 'with its variables filled in this term is nested more than' \
    < <(echo $'load echo_drv\nopen p echo_drv'; printf 'set X = '; printf '[%.0s' {1..900}; printf ']%.0s' {1..900}; echo; printf 'call p 0 '; printf '[%.0s' {1..200}; printf X; printf ']%.0s' {1..200}; echo)
fails 'data that gets too long by its variables' 'with its variables filled in this term is longer than [0-9]+ bytes' \
    < <(printf 'set X = "'; printf 'x%.0s' {1..1000}; echo '"'; printf 'repeat 30\nset X = [X, X, X, X, X, X, X, X]\nend\n')
script lists.phs <<'END'
load echo_drv
open p echo_drv
call p 0 [1, 2, 300 | tail] -> {_, _, [1, X | T]}
call p 0 {X, T} -> {_, _, {2, [300 | tail]}}
call p 0 "abc" -> {_, _, [97, $b | "c"]}
call p 0 [] -> {_, _, []}
call p 0 [[], [[]], ["a", $b]] -> {_, _, [[], [[]], ["a", 98]]}
call p 0 #{a => 1, {b} => #{c => [2]}} -> {_, _, #{{b} => #{c => [Y]}}}
call p 0 {-1, 2.5, 123456789012345678901234567890, <<1:1>>, 'an atom', "ü", <<"ü"/utf8>>} -> {_, _, {-1, 2.5, Big, <<1:1>>, 'an atom', "ü", <<"ü"/utf8>>}}
call p 0 {Big, Y} -> {_, _, {123456789012345678901234567890, 2}}
call p 0 <0.1.2> -> {_, _, <0.1.2>}
call p 0 {x, x} -> {_, _, {Same, Same}}
END
run lists.phs
check 'patterns match all types' 0 '^ok 1'
for term in '[1,2]' '[1,2,3,4]' '[1,2|3]' '{1,2,3}' '[1,2,four]' 'three' '"abc"' '<<1,2,3>>' '#{1 => 2}' '3.0'; do
    fails "$term is not [1,2,3]" 'which differs' <<<$'load echo_drv\nopen p echo_drv\ncall p 0 '"$term"' -> {ok,0,[1,2,3]}'
done
fails 'another beginning of a binary' '- <<"abd",_/binary>>' '[+] <<"abcd">>' <<<$'load echo_drv\nopen p echo_drv\ncall p 0 <<"abcd">> -> {ok,0,<<"abd",_/binary>>}'
fails 'another beginning of a string' 'which differs' <<<$'load echo_drv\nopen p echo_drv\ncall p 0 "abcd" -> {ok,0,"abd" ++ _}'
fails 'another rest of a binary' '- <<"d">>' '[+] <<"cd">>' <<<$'load echo_drv\nopen p echo_drv\nset X = <<"d">>\ncall p 0 [<<"abcd">>] -> {ok,0,[<<"ab",X/binary>>]}'
fails 'a string for the rest of a binary' 'stands for the rest of a binary here, but is none' <<<$'load echo_drv\nopen p echo_drv\nset X = "d"\ncall p 0 <<"ab",X/binary>>'
fails 'a map without the key' 'which differs in element 3 of the tuple:' <<<$'load echo_drv\nopen p echo_drv\ncall p 0 #{a => 1} -> {ok,0,#{b => 1}}'
fails 'a map with another value' 'value of a in the map' <<<$'load echo_drv\nopen p echo_drv\ncall p 0 #{a => 1} -> {ok,0,#{a => 2}}'

script tests.phs <<'END'
load echo_drv
open common echo_drv
test "first"
control common 99 ""
control common 0 "not reached"
test "second"
control common 0 "x" -> "x"
END
run tests.phs
check 'a test that fails does not keep the next from being run' 1 '^1\.\.3$' '^not ok 1 - tests.phs: first' '^ok 2 - tests.phs: second' '^ok 3 - tests.phs: the host'
script tests.phs <<<$'load no_such_drv\ntest "first"\nsleep 1ms'
run tests.phs
check 'if what tests share fails they are not run' 1 '^not ok 1 - tests.phs: first' 'not run: what stands before' '^not ok 2 - tests.phs: the host'

mkdir cut # what is wrong in one file keeps the others from being run
for ((i = 0; i <= $(stat -c %s lists.phs); i++)); do head -c $i lists.phs >cut/$i.phs; done
run cut/*.phs one.phs
check 'a script that ends anywhere is read to its end or refused' 2 '^one.phs:1:5:'
script monitors.phs <<'END'
load monitor_probe_drv
caller A
open p monitor_probe_drv
as A control p 0 "monitor" -> "0"
kill A
expect {monitored, A}
END
run monitors.phs
check 'a driver is told that a process it monitors has been killed' 0 '^ok 1'
script given.phs <<'END'
set Where env WHERE
env GIVEN [Where]
caller A
as A load delay_drv
as A unload delay_drv
END
WHERE=here run given.phs
check 'the environment is read and given' 0 '^ok 1'
script loops.phs <<'END'
load echo_drv
open p echo_drv
repeat 0
    control p 99 "never"
end
repeat 3
    repeat 2
        control p 0 "x" -> [X]
        set X = 5
    end
end
END
run loops.phs
check 'blocks are repeated, in each other, and never' 0 '^ok 1'
chmod +x good.phs && sed -i "1i #!/usr/bin/env -S $ctl --daemon $daemon --driver-path $dir/drivers run" good.phs
./good.phs >out 2>err
status=$?
check 'a script can be made executable' 0 '^ok 1 - ./good.phs'

printf 'test "a\\rb\\e[31mc"\n' >name.phs
run name.phs
check 'the name of a test is text' 0 '^ok 1 - name\.phs: a b \[31mc$'

# ---- in any order ----

# Lines of a script: the port says each of these, of which a pattern each is expected.
any_order() { # FILE WORDS PATTERNS
    local word
    {
        printf 'load echo_drv\nopen p echo_drv\n'
        for word in $2; do printf 'command p "%s"\n' "$word"; done
        printf 'expect any order %s\n' "$(sed 's/ /, /g' <<<"$3")"
    } >"$1"
}
times() { # N TEXT: the text so often, with numbers for #
    local i
    for ((i = 0; i < $1; i++)); do printf '%s ' "${2//\#/$i}"; done
}
any_order any1.phs "one $(times 63 x)" "$(times 63 '{p,{data,_}}')"'{p,{data,"one"}}'
any_order any2.phs "one $(times 63 x)" "$(times 63 '{p,{data,V#}}')"'{p,{data,"one"}}'
any_order any3.phs "a $(times 30 x) b" "$(times 31 '{p,{data,"x"}}'){p,{data,_}}"
any_order any4.phs "$(times 30 x) y b" "$(times 30 '{p,{data,V}}')"'{p,{data,"y"}} {p,{data,"a"}}'
# Two rings of letters, where one is expected: it depends on variables, and is not found out soon.
any_order any5.phs "$(for i in {0..14}; do a=abcdefghijklmnoa b=ABCDEFGHIJKLMNOA; echo "${a:i:2} ${b:i:2}"; done)" \
    "$(for i in {0..29}; do echo "{p,{data,[V$i,V$(((i + 1) % 30))]}}"; done | tr '\n' ' ' | sed 's/ $//')"
run --timeout 30 any1.phs any2.phs
check 'many that fit anything, and one that does not' 0 '^ok 1 - any1' '^ok 2 - any2'
run --timeout 30 any3.phs any4.phs
check 'many that do not fit' 1 '^not ok 1 - any3' '^#     - \{p,\{data,"x"\}\}$' '^#     \+ \{p,\{data,"b"\}\}$' '^not ok 2 - any4' '^#     - \{p,\{data,"a"\}\}$'
run --timeout 1 any5.phs
check 'a search without end ends with the time of the script' 1 "the script's time-out came here"
"$ctl" --daemon "$daemon" --driver-path "$dir/drivers" run --timeout 100 any5.phs >out 2>err &
runner=$!
sleep 1
kill "$runner"
wait "$runner"
status=$?
check_that 'and when it is interrupted' test "$status" = 143

# ---- many at once ----

mkdir many
for i in {1..8}; do sed "s/\"x\"/\"$i\"/g" good.phs >many/$i.phs; done
run --jobs 3 many/*.phs
check 'many scripts are reported in their order' 0 '^1\.\.8$'
check_that 'each is there once' test "$(grep '^ok' out)" = "$(for i in {1..8}; do echo "ok $i - many/$i.phs"; done)"
check_that 'there is no progress line without a terminal' test ! -s err
for i in 1 2 3; do script slow$i.phs <<<$'load echo_drv\nopen p echo_drv\nsleep 20s'; done
timeout 60 "$ctl" --daemon "$daemon" --driver-path "$dir/drivers" run --jobs 3 slow*.phs >out 2>err &
pid=$!
daemons() { pgrep -fc "^$daemon .*$dir/drivers"; }
for _ in {1..200}; do [[ $(daemons) == 3 ]] && break; sleep 0.1; done
status=-
check_that 'each has a daemon of its own, at the same time' test "$(daemons)" = 3
kill -TERM $pid
{ wait $pid; } 2>/dev/null

tty() { # ENVIRONMENT: what a terminal gets to see
    env "$@" TERM=xterm script -qec "$ctl --daemon '$daemon' --driver-path '$dir/drivers' run --jobs 1 bad.phs good.phs" /dev/null >out 2>err </dev/null
    status=$?
}
script bad.phs <<<'load no_such_drv'
tty COLUMNS=80
check_that 'a terminal shows how far it is' grep -q '\[1/2\]' out
check_that 'what has failed is red there' grep -q $'\033\[[0-9;]*m1 failed' out
tty NO_COLOR=1
check_that 'there are no colours with NO_COLOR' sh -c '! grep -q "$(printf "\\033")\\[" out'

# ---- reports ----

run --junit out.xml bad.phs good.phs
check 'JUnit is written beside TAP' 1 '^not ok 1 - bad.phs' '^ok 2 - good.phs'
check_that 'JUnit is well-formed' xmllint --noout out.xml
check_that 'JUnit has what failed' test "$(xmllint --xpath 'string(//testcase[@name="bad.phs"]/failure/@message)' out.xml)" = 'bad.phs:1: load no_such_drv'
check_that 'JUnit counts' test "$(xmllint --xpath 'concat(/testsuites/@tests, " ", /testsuites/@failures, " ", count(//testsuite))' out.xml)" = '2 1 2'
printf 'load echo_drv\nopen p echo_drv\ncall p 0 "<&\\"\\x{1}>" -> {ok, 0, []}\n' >'a<b&.phs'
run --junit out.xml 'a<b&.phs'
check_that 'JUnit takes every character' xmllint --noout out.xml
run --junit /no/such/dir/out.xml good.phs
check 'a JUnit file that cannot be written is told' 1 '/no/such/dir/out.xml: No such file'
timeout 60 "$ctl" --daemon "$daemon" --driver-path "$dir/drivers" run good.phs 2>err >/dev/full
status=$?
check 'a report that cannot be written is a failure' 1
prove -e "$ctl --daemon $daemon --driver-path $dir/drivers run" good.phs many/1.phs >out 2>err
status=$?
check 'prove reads the output' 0 'All tests successful' 'Files=2, Tests=2'
prove -e "$ctl --daemon $daemon --driver-path $dir/drivers run" bad.phs >out 2>err
status=$?
check 'prove sees a failure' 1 'Failed 1/1 subtests'

# ---- hosts that fail ----

defect() { # OPERATION, what follows on stdin
    { printf 'load defect_drv\nopen p defect_drv\ncontrol p %s "abc"\n' "$1"; cat; } >defect.phs
}
nothing_left() { # a process that was started by a run
    for _ in {1..100}; do
        pgrep -f -- "--driver-path $dir/drivers" >/dev/null || return 0
        sleep 0.1
    done
    return 1
}

defect 3 <<<$'test "never"\nsleep 1ms'
run defect.phs
check 'a crash is reported with signal, callback, driver and backtrace' 3 '^not ok 1 - defect.phs: never' 'not run: ' \
    '^# defect.phs:3: control p 3' 'ended by signal 11' 'SIGSEGV in callback control of driver defect_drv' 'defect_drv.so'
run --junit out.xml defect.phs
check_that 'JUnit has the report of a crash' grep -q 'SIGSEGV in callback control' out.xml
defect 5 </dev/null
run defect.phs
check 'a daemon that ends is reported with its status' 3 'the host was lost here' 'it ended with status 7'
defect 4 </dev/null
run --timeout 3 defect.phs
check 'a script that hangs is ended by its time-out' 1 '^# defect.phs:3: control p 4' "the script's time-out came here"
check_that 'what hangs is not left behind' nothing_left
printf 'test "one"\nsleep 1m\ntest "two"\nsleep 1ms\n' >sleep.phs
run --timeout 2 sleep.phs
check 'tests behind the time-out are not run' 1 '^not ok 1 - sleep.phs: one' "the script's time-out came here" '^not ok 2 - sleep.phs: two' 'no end to what stands before'
echo 'sleep 1m' >sleep.phs
run --timeout 2 sleep.phs
check 'a sleep is ended by the time-out' 1 "sleep.phs:1: sleep 1m" "the script's time-out came here"
"$ctl" --daemon "$dir/none" run good.phs >out 2>err
status=$?
check 'no daemon: status 3' 3 '^not ok 1' 'there is no host'

"$daemon" --unix "$dir/sock" --driver-path "$drivers" 2>host.log &
host=$!
for _ in {1..100}; do [[ -S $dir/sock ]] && break; sleep 0.05; done
"$ctl" --unix "$dir/sock" run good.phs many/1.phs >out 2>err
status=$?
check 'scripts talk to a running host' 0 '^ok 1' '^ok 2'
WHERE=here "$ctl" --unix "$dir/sock" run given.phs >out 2>err
status=$?
check 'a running host has its environment' 1 'a running host has its environment'
"$ctl" --unix "$dir/sock" run --gdb good.phs >out 2>err
status=$?
check 'a running host is under no tool' 2 'not for one that is running'
kill $host
wait $host

set -m # SIGINT is not ignored in the background
for signal in INT TERM KILL; do
    "$ctl" --daemon "$daemon" --driver-path "$dir/drivers" run --jobs 3 slow*.phs >out 2>err &
    pid=$!
    for _ in {1..200}; do [[ $(daemons) == 3 ]] && break; sleep 0.1; done
    kill -$signal $pid
    { wait $pid; status=$?; } 2>/dev/null
    check_that "SIG$signal ends it" test $status = $((128 + $(kill -l $signal)))
    check_that "SIG$signal leaves no process behind" nothing_left
done
set +m

# ---- tools ----

for op in 0 1 2; do defect $op </dev/null; mv defect.phs defect$op.phs; done
run --check-drivers defect0.phs good.phs
check 'without a finding a script passes with checks' 0 '^ok 1 - defect0.phs \(check-drivers\)'
run --check-drivers=10000 defect1.phs defect2.phs
check 'checks find a leak and a wrong write' 1 '^not ok 1' '^not ok 2' 'it ended with status 3' 'check: leak in finish: a block of 100 bytes' \
    'check: overwrite in control: something was written outside of a block of 19 bytes, at offset 19'
run --check-drivers=0 defect0.phs
check 'a callback may take some time' 2 'expected a number from 1 to 3600000, found 0'

if [[ $(basename "$(dirname "$daemon")") =~ ^build(-coverage)?$ ]]; then # a sanitizer build runs under no other tool
    for op in 0 1 2; do defect $op </dev/null; mv defect.phs defect$op.phs; done
    run --valgrind defect0.phs good.phs
    check 'without a finding a script passes under valgrind' 0 '^ok 1 - defect0.phs \(valgrind\)'
    run --valgrind defect1.phs defect2.phs
    check 'valgrind finds a leak and a wrong write' 1 '^not ok 1' '^not ok 2' 'it ended with status 99' '100 bytes .* definitely lost' 'by .*: leak \(defect_drv.c' \
        'Invalid write of size 1' 'at .*: overrun \(defect_drv.c'
    defect 3 </dev/null
    run --gdb defect0.phs
    check 'without a crash a script passes under gdb' 0 '^ok 1 - defect0.phs \(gdb\)'
    run --gdb defect.phs
    check 'gdb shows where the crash is' 3 'received signal SIGSEGV' '#0 .*crash \(\) at .*defect_drv.c' 'SIGSEGV in callback control of driver defect_drv'
    for tool in gdb valgrind; do
        "$ctl" --daemon "$daemon" --driver-path "$dir/drivers" run --$tool slow1.phs >out 2>err &
        pid=$!
        for _ in {1..200}; do pgrep -f -- "porthostd .*--driver-path $dir/drivers" >/dev/null && break; sleep 0.1; done
        sleep 0.5
        kill -KILL $pid
        { wait $pid; } 2>/dev/null
        check_that "no process is left of $tool" nothing_left
    done
fi
# The sanitizer build is the one beside; here it is one that claims to have found something.
mkdir -p beside/build beside/build-address
ln "$ctl" beside/build/porthostctl 2>/dev/null || cp "$ctl" beside/build/porthostctl
beside/build/porthostctl run --asan good.phs >out 2>err
status=$?
check 'without a sanitizer build --asan says how to get one' 2 'make SANITIZER=address'
cat >beside/build-address/porthostd <<END
#!/bin/sh
"$daemon" "\$@"
echo '==1==ERROR: AddressSanitizer: something' >&2
exit 1
END
chmod +x beside/build-address/porthostd
beside/build/porthostctl --driver-path "$dir/drivers" run --asan good.phs >out 2>err
status=$?
check 'what the sanitizer build finds fails the script' 1 '^not ok 1 - good.phs \(asan\)' 'it ended with status 1' 'ERROR: AddressSanitizer: something'

finish
