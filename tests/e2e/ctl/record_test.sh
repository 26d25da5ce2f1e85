#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# porthostctl record and replay: that a session passes unchanged, is in the file as RECORDINGS.md says, and that a play tells the same from the different.
. "$(dirname "$0")/lib.sh"

ebin=$(realpath "${EBIN:-$drivers/../erlang/porthost/ebin}")
include=${ERL_INCLUDE:-$(erl -noshell -eval 'io:put_chars(code:root_dir()), halt().')/usr/include}

replay() { run timeout 60 "$ctl" --daemon "$daemon" --driver-path "$drivers" --timeout 5 replay "$@"; }

# NAME TEXT: a recording of these lines.
recording() { { echo 'porthost recording 1'; printf '%s\n' "$2"; } >"$dir/$1.rec"; }

# NAME TEXT: a recording of a session that begins with a hello.
session() {
    recording "$1" "> 0.0 {hello,1,#{self => <0.1.0>}}
< 0.1 {hello,1,_}
$2"
}

# NAME FILE LINE PATTERN...: the play differs there.
differs() {
    local name=$1 file=$2 line=$3
    shift 3
    replay "$dir/$file.rec"
    check_lines "$name" 1 out "^not ok .*/$file\.rec:$line: " "$@"
}

same() { # NAME FILE
    replay "$dir/$2.rec"
    check_lines "$1" 0 out "^ok .*/$2\.rec$"
}

# ---- what passes is not changed ----

frames() { # those of the golden vectors that are good
    erl -noshell -pa "$drivers/../tests/ebin" -eval '
        ok = io:setopts([{encoding, latin1}]),
        [ok = file:write(standard_io, Hex) || #{hex := Hex} = V <- vectors:read_all("proto/vectors"), not is_map_key(fault, V), not is_map_key('"'end'"', V)],
        halt().'
}
frames >"$dir/frames"
{ cat "$dir/frames"; printf '\0\0\0\0\0\0\0\3abc\0\0\0\11rest'; } >"$dir/sent"
check_that 'there are frames to send' test "$(wc -c <"$dir/frames")" -gt 5000
run timeout 60 "$ctl" record "$dir/cat.rec" -- cat <"$dir/sent"
check_lines 'a session of any bytes is recorded: status 0' 0 err
check_that 'they pass unchanged' cmp "$dir/sent" "$dir/out"
check_that 'what is no term is recorded as bytes' grep -qE '^> [0-9.]+ frame <<"abc">>$' "$dir/cat.rec"
check_that 'so is an empty frame' grep -qE '^< [0-9.]+ frame <<>>$' "$dir/cat.rec"
check_that 'so is what is no whole frame' grep -qE '^> [0-9.]+ rest <<"\\000\\000\\000\\t.*rest">>$' "$dir/cat.rec"
check_that 'both ends are recorded' test "$(grep '^=' "$dir/cat.rec" | cut -d' ' -f3- | tr '\n' ' ')" = 'client ended host ended '
# A host that says back what it hears says the same again if, and only if, every line gives the term that it was made from.
grep -vE '^[<>] [0-9.]+ (frame|rest)' "$dir/cat.rec" >"$dir/again.rec"
run timeout 60 "$ctl" record "$dir/copy.rec" -- "$ctl" --daemon 'sh -c cat' replay "$dir/again.rec" </dev/null
check_that 'the frames with a text can be read again' grep -q 'ok .*again.rec' "$dir/out"
printf '\0\0\0\2\203j\0\0\0\5\203m\0\0\0\1' >"$dir/cut"
run timeout 60 "$ctl" record "$dir/cut.rec" -- cat <"$dir/cut"
check_that 'a frame that ends too early is recorded as bytes' grep -qE '^< [0-9.]+ frame <<"\\203m.*">>$' "$dir/cut.rec"

# ---- nothing waits for the file ----

mkfifo "$dir/slow.rec"
exec 8<>"$dir/slow.rec" # holds what a pipe holds, and is not read
head -c 3000000 /dev/zero | tr '\0' x >"$dir/x"
{ perl -e 'print pack("N", 3000006) . "\x83m" . pack("N", 3000000)'; cat "$dir/x"; } >"$dir/large"
"$ctl" record "$dir/slow.rec" -- cat <"$dir/large" >"$dir/through" 2>"$dir/err" 8>&- &
pid=$!
through() { cmp -s "$dir/large" "$dir/through"; }
check_that 'a session passes while the file takes nothing' await through
timeout 20 cat <"$dir/slow.rec" >"$dir/slow" 8>&- &
exec 8>&-
wait "$pid"
wait
check_that 'and is in the file in the end' test "$(grep -c '^[<>] [0-9.]* <<"x*">>$' "$dir/slow")" = 2
if [[ -w /dev/full ]]; then
    run timeout 60 "$ctl" record /dev/full -- cat <"$dir/large"
    check_lines 'a full disk: status 1, and it is said' 1 err 'not all of the session could be written'
    check_that 'the session is not harmed by it' cmp "$dir/large" "$dir/out"
fi

# ---- the last frames have no answer ----

session last '> 0.2 {command,7,<0.1.0>,"x"}
> 0.3 {down,1,normal}'
same 'a play ends when the host has taken the last frame' last
printf '\0\0\0\11\203' >"$dir/half"
run timeout 60 "$ctl" record "$dir/half.rec" -- "$daemon" --stdio <"$dir/half"
same 'and when it has taken half a frame' half

# ---- an Erlang node with a driver of others ----

cat >"$dir/shop.erl" <<'END'
-module(shop).
-export([main/1]).
main(Command) ->
    {ok, _} = porthost:start_link(#{transport => {spawn, Command}, name => porthost}),
    ok = porthost:adopt(sqlite3),
    {ok, _} = sqlite3:open(shop, [in_memory]),
    ok = sqlite3:sql_exec(shop, "create table t (id integer primary key, name text, data blob)"),
    {rowid, 1} = sqlite3:sql_exec(shop, "insert into t (name, data) values ('one', x'00ff10')"),
    {rowid, 2} = sqlite3:write(shop, t, [{name, "two"}]),
    [{columns, _}, {rows, [_, _]}] = sqlite3:sql_exec(shop, "select * from t"),
    {error, _, _} = sqlite3:sql_exec(shop, "no such statement"),
    sqlite3:close(shop),
    halt(0).
END
(cd "$dir" && erlc shop.erl)
run timeout 60 erl -noshell -pa "$ebin" "$dir" -eval "shop:main(\"$ctl record $dir/shop.rec -- $daemon --stdio\")."
check_lines 'a node with SQLite is recorded' 0 out
await grep -qE '^= [0-9.]+ [a-z]+ ended' "$dir/shop.rec" # the node does not wait for that
check_that 'what it said can be read' grep -qE '^> [0-9.]+ \{control,#Ref<nonode@nohost\.[0-9.]+>,1,<nonode@nohost\.[0-9.]+>,2,<<"select \* from t">>\}$' "$dir/shop.rec"
check_that 'what the driver said too' grep -qE '^< .*\{rows,\[\{1,<<"one">>,\{blob,<<"\\000\\377\\020">>\}\},' "$dir/shop.rec"
same 'a play of it is as recorded' shop
sed 's/<<"one">>,{blob/<<"eins">>,{blob/' "$dir/shop.rec" >"$dir/shop2.rec"
line=$(grep -n eins "$dir/shop2.rec" | cut -d: -f1)
differs 'a line that was changed is told, with its place' shop2 "$line" '    - <<"eins">>' '    \+ <<"one">>'
sed '/{rowid,1}/d' "$dir/shop.rec" >"$dir/shop3.rec"
# It ends while a statement is running, of which the driver leaks the database, in the VM too: no leaks are looked for.
ASAN_OPTIONS=${ASAN_OPTIONS:-}:detect_leaks=0 differs 'a line that is missing is told' shop3 '[0-9]+' 'came .*\{rowid,1\}'
sed 's/^\(.*{rowid,2}.*\)$/\1\n\1/' "$dir/shop.rec" >"$dir/shop4.rec"
run timeout 60 "$ctl" --daemon "$daemon" --timeout 0.5 replay "$dir/shop4.rec"
check_lines 'a line too many is told' 1 out '^not ok .*: this does not come within 0.5 seconds'
run timeout 60 "$ctl" --daemon "$daemon" replay "$dir/shop2.rec" "$dir/shop.rec"
check_lines 'several files: the worst status' 1 out '^not ok ' '^ok .*/shop.rec'

# ---- the reference page ----

sed -n '/^    porthost recording 1/,/^$/s/^    //p' proto/cli/RECORDINGS.md >"$dir/page.rec"
check_that 'the page has an example' test "$(wc -l <"$dir/page.rec")" -gt 15
same 'the example of the page is so' page

# ---- order ----

two='> 1 {open,1,1,one,<0.1.0>,"echo_drv",[binary]}
> 1 {open,2,2,two,<0.1.0>,"echo_drv",[binary]}
> 1 {command,1,<0.1.0>,"a"}
> 1 {command,2,<0.1.0>,"b"}
> 1 {command,1,<0.1.0>,"c"}'
session independent "$two
< 2 {link,2,<0.1.0>}
< 2 {ok,2,_}
< 2 {send,<0.1.0>,{two,{data,<<\"b\">>}}}
< 3 {link,1,<0.1.0>}
< 3 {ok,1,_}
< 3 {send,<0.1.0>,{one,{data,<<\"a\">>}}}
< 3 {send,<0.1.0>,{one,{data,<<\"c\">>}}}"
same 'ports may overtake each other' independent
session swapped "$two
< 2 {link,1,<0.1.0>}
< 2 {ok,1,_}
< 3 {send,<0.1.0>,{one,{data,<<\"c\">>}}}
< 3 {send,<0.1.0>,{one,{data,<<\"a\">>}}}
< 2 {link,2,<0.1.0>}
< 2 {ok,2,_}
< 2 {send,<0.1.0>,{two,{data,<<\"b\">>}}}"
differs 'what one port says keeps its order' swapped 11 '    - <<"c">>' '    \+ <<"a">>'
session more '> 1 {open,1,1,one,<0.1.0>,"echo_drv",[]}
< 2 {link,1,<0.1.0>}
< 2 {ok,1,_}
> 3 {command,1,<0.1.0>,"a"}
> 3 {control,2,1,<0.1.0>,0,"b"}
< 3 {ok,2,"b"}'
differs 'what the recording does not have is told' more 9 'expected .*\{ok,2,"b"\}' 'came .*\{send,<0\.1\.0>,\{one,\{data,"a"\}\}\}'

# ---- what may differ ----

session vary '> 1 {load,1,<0.2.0>,#Ref<0.0.0.1>,<<"/no/such/place">>,"echo_drv",[]}
< 1 {error,1,{open_error,-77}}
> 1 {format_error,2,{open_error,-77}}
< 1 {ok,2,_}
> 1 {load,3,<0.2.0>,#Ref<0.0.0.2>,<<>>,"echo_drv",[]}
< 1 {ok,3,loaded}
< 1 {monitor,4711,<0.2.0>}
> 1 {down,4711,noproc}
> 1 {stats,4}
< 1 {ok,4,#{frames => 17}}
> 1 {open,5,1,one,<0.1.0>,"echo_drv",[]}
< 1 {link,1,<0.1.0>}
< 1 {ok,5,#{soft_busy => false,parallelism => false}}
> 1 {info,6,1,memory}
< 1 {ok,6,1}
> 1 {ports,7,connection}
< 1 {ok,7,[#{connection => 99,id => 1}]}
> 1 {info,8,1,all}
< 1 {ok,8,[{name,"echo_drv"},{connected,<0.1.0>},{input,0},{output,0},{os_pid,1},{locking,port_level},{parallelism,false},{queue_size,0},{memory,5},{monitors,[]},{driver,"echo_drv"},{busy,false},{stats,#{}}]}
> 1 {port_stats,9,connection}
< 1 {ok,9,[#{runs => 1000}]}
> 1 {trace,10,99,1,true}
< 1 {ok,10,true}
> 1 {control,11,1,<0.1.0>,0,"x"}
< 1 {trace,99,1,1700000000000000000,enter,#{callback => control}}
< 1 {ok,11,"x"}
> 1 {port_info,12,99,1,os_pid}
< 1 {ok,12,77}
> 1 {no_such_request}
< 1 {fault,unknown_request,<<"some words">>}
> 2 {exit,1,<0.1.0>,done}
< 2 {exit,1,done}
< 2 {closed,1}'
same 'numbers that the host makes, and texts for people, may be others' vary
session monitors '> 1 {load,3,<0.2.0>,#Ref<0.0.0.2>,<<>>,"echo_drv",[]}
< 1 {ok,3,loaded}
< 1 {monitor,4711,<0.3.0>}'
differs 'but not what they are for' monitors 6 '.'
session reason '> 1 {no_such_request}
< 1 {fault,bad_request,<<"some words">>}'
differs 'nor the reason of a fault' reason 5 '    - bad_request'
session bound '> 1 {open,1,1,one,<0.1.0>,"echo_drv",[]}
< 2 {link,1,<0.1.0>}
< 2 {ok,1,_}
> 3 {control,2,1,<0.1.0>,0,"b"}
< 3 {ok,2,X}
> 3 {control,3,1,<0.1.0>,0,"c"}
< 3 {ok,3,X}'
differs 'a variable keeps its value' bound 10 'where +X = "b"'
session unbound '> 1 {ping,X}'
replay "$dir/unbound.rec"
check_lines 'a variable without a value cannot be sent' 2 err 'unbound.rec:4: the variable X has no value'

# ---- ends ----

cat >"$dir/crash_drv.c" <<'END'
#include <erl_driver.h>
static int init(void) { *(volatile int *)8 = 0; return 0; }
static ErlDrvEntry entry = {.init = init, .driver_name = "crash_drv", .extended_marker = ERL_DRV_EXTENDED_MARKER,
    .major_version = ERL_DRV_EXTENDED_MAJOR_VERSION, .minor_version = ERL_DRV_EXTENDED_MINOR_VERSION};
DRIVER_INIT(x) { return &entry; }
END
"${CC:-gcc}" -fPIC -shared -isystem "$include" -o "$dir/crash_drv.so" "$dir/crash_drv.c"
run timeout 60 "$ctl" --daemon "$ctl record $dir/crash.rec -- $daemon --driver-path $dir" load crash_drv
check_that 'a daemon command gets --stdio through the recorder' grep -q '^> .*{load,' "$dir/crash.rec"
check_that 'the crash of a host is recorded' grep -qE '^= [0-9.]+ host ended: .*signal 11' "$dir/crash.rec"
run timeout 60 "$ctl" --daemon "$daemon" --driver-path "$dir" replay "$dir/crash.rec"
check_lines 'a host that crashes again is as recorded' 0 out '^ok '
sed -i 's/\*(volatile.*; return/return/' "$dir/crash_drv.c"
"${CC:-gcc}" -fPIC -shared -isystem "$include" -o "$dir/crash_drv.so" "$dir/crash_drv.c"
run timeout 60 "$ctl" --daemon "$daemon" --driver-path "$dir" --timeout 1 replay "$dir/crash.rec"
check_lines 'one that does not is not' 1 out '^not ok .*the host (does not end|says what is not in the recording)'
recording ends '> 0 {hello,1,#{}}
< 0 {hello,1,_}
> 0 {ping,1}
< 0 {ok,1,pong}'
run timeout 60 "$ctl" --daemon "sh -c 'kill -9 \$\$'" replay "$dir/ends.rec"
check_lines 'a host that ends too early is told' 1 out '^not ok .*:3: the host has ended instead$' 'signal 9'
cat >"$dir/tracing" <<'END'
$| = 1; binmode STDIN; binmode STDOUT;
sub out { print pack("N/a*", "\x83" . shift) }
sub frame { read(STDIN, my $head, 4) == 4 or exit; read(STDIN, my $frame, unpack("N", $head)) }
frame(); out("h\x03w\x05helloa\x01t\0\0\0\0");
frame(); while (out("h\x06w\x05tracea\x01a\x01a\x01w\x01xt\0\0\0\0")) { select(undef, undef, undef, 0.1) }
END
run timeout 20 "$ctl" --daemon "perl $dir/tracing" --timeout 1 replay "$dir/ends.rec"
check_lines 'what is not compared does not keep a replay waiting' 1 out '^not ok .*:5: '
recording version '> 0 {hello,7,#{}}
< 0 {goodbye,bad_version,<<"some words">>}
= 0 host ended'
same 'a goodbye and the end are as recorded' version
run timeout 60 "$ctl" record "$dir/none.rec" -- "$dir/no_such_host" </dev/null
check_lines 'no host: status 3' 3 err 'cannot start .*no_such_host: No such file'
run timeout 60 "$ctl" --unix "$dir/none" replay "$dir/ends.rec"
check_lines 'no host to play to: status 3' 3 err 'cannot connect'
run timeout 60 "$ctl" record "$dir/no/such/dir.rec" -- cat </dev/null
check_lines 'no file: status 1' 1 err 'No such file'

# ---- in front of a host that is running ----

"$daemon" --unix "$dir/host" --tcp "127.0.0.1:$tcp_port" --driver-path "$drivers" 2>"$dir/host.log" &
host=$!
await listens_at "$dir/host"
"$ctl" --unix "$dir/host" record "$dir/front.rec" --listen "$dir/front" 2>"$dir/front.log" &
front=$!
await listens_at "$dir/front"
run "$ctl" --unix "$dir/front" open echo_drv command hello
check_lines 'a client goes through to a host over unix sockets' 0 out '^\{port,\{data,"hello"\}\}$'
run "$ctl" --unix "$dir/front" ping
check_lines 'so does the next' 0 out '^pong$'
run "$ctl" --unix "$dir/host" replay "$dir/front.rec" "$dir/front.rec.2"
check_lines 'each is in a file of its own, and can be played to a running host' 0 out '^ok .*/front.rec$' '^ok .*/front.rec.2$'
await "$ctl" --tcp "127.0.0.1:$tcp_port" ping
run "$ctl" --tcp "127.0.0.1:$tcp_port" replay "$dir/front.rec"
check_lines 'and over TCP' 0 out '^ok '
mkfifo "$dir/in"
"$ctl" --unix "$dir/front" shell <"$dir/in" >"$dir/shell" 2>&1 &
shell=$!
exec 9>"$dir/in"
echo ping >&9
await grep -q pong "$dir/shell"
child=$(pgrep -P "$front")
kill -TERM "$front"
{ wait "$front"; status=$?; } 2>/dev/null
check_lines 'it ends when it is told to' 143 out
check_that 'and leaves no process behind' test -n "$child" -a ! -e "/proc/$child"
check_that 'nor its socket' test ! -e "$dir/front"
check_that 'what was recorded until then is in the file' grep -q pong "$dir/front.rec.3"
exec 9>&-
"$ctl" --unix "$dir/host" record "$dir/first.rec" --listen "$dir/front" 2>"$dir/front.log" &
first=$!
await test -S "$dir/front"
rm "$dir/front"
"$ctl" --unix "$dir/host" record "$dir/second.rec" --listen "$dir/front" 2>"$dir/front.log" &
await test -S "$dir/front"
kill -TERM "$first"
{ wait "$first"; } 2>/dev/null
run "$ctl" --unix "$dir/front" ping
check 'it leaves a socket that another has put there meanwhile' 0 pong
wait "$shell"
kill "$host"
wait "$host"
mkfifo "$dir/in2"
"$ctl" record "$dir/term.rec" -- cat <"$dir/in2" >"$dir/out" 2>"$dir/err" &
pid=$!
exec 9>"$dir/in2"
await pgrep -P "$pid"
child=$(pgrep -P "$pid")
kill -TERM "$pid"
{ wait "$pid"; status=$?; } 2>/dev/null
exec 9>&-
check_lines 'a recorder on stdio ends when it is told to' 143 out
check_that 'and its host with it' test -n "$child" -a ! -e "/proc/$child"

# ---- bad files ----

bad_file() { # NAME LINE:COLUMN MESSAGE TEXT
    printf '%s' "$4" >"$dir/bad.rec"
    run timeout 60 "$ctl" --daemon "touch $dir/started;" replay "$dir/bad.rec"
    check_lines "$1" 2 err "^(porthostctl: )?$dir/bad.rec:$2: $3"
}
head='porthost recording 1
'
bad_file 'an empty file' 1:1 'expected the first line to be porthost recording 1' ''
bad_file 'another file' 1:1 'expected the first line to be porthost recording 1' 'hello'
bad_file 'a line without a mark' 2:1 'expected a line that begins with' "${head}hello"
bad_file 'a line without a time' 2:3 'expected a time in seconds' "${head}> {ping,1}"
bad_file 'a line that ends behind the time' 2:4 'expected a blank behind the time' "${head}> 1"
bad_file 'a term that is none' 2:12 "expected a term, found '}'" "${head}> 1 {hellö,}"
bad_file 'a term that is cut off' 2:11 'expected' "${head}> 1 {ping,"
bad_file 'something behind a term' 4:12 'expected nothing behind the term' "${head}
% a remark
> 1 {ping} {pong}"
bad_file 'a frame that is no binary' 2:11 'expected a binary' "${head}> 1 frame {ping}"
bad_file 'an unknown state' 2:5 'expected client ended, host ended or cut' "${head}= 1 nobody ended"
bad_file 'something behind the end' 3:1 'expected nothing of the client behind its end' "${head}= 1 client ended
> 2 {ping,1}"
bad_file 'something behind a cut' 3:1 'expected nothing behind cut' "${head}= 1 cut
< 2 {ok,1,pong}"
printf '%s\0\0\n' "${head}> 1 {ping,1}" >"$dir/bad.rec"
run "$ctl" --daemon "touch $dir/started;" replay "$dir/bad.rec"
check_lines 'bytes that are no text' 2 err ':2:13: expected'
run "$ctl" --daemon "touch $dir/started;" replay "$dir/nowhere.rec"
check_lines 'a file that is not there' 2 err 'nowhere.rec: No such file'
check_that 'nothing was started for any of these' test ! -e "$dir/started"
run "$ctl" replay
check_lines 'replay needs a file' 2 err 'usage: replay FILE'
run "$ctl" record
check_lines 'record needs a file' 2 err 'usage: record FILE'
run "$ctl" --unix "$dir/x" record "$dir/y" -- cat
check_lines 'record has one host' 2 err 'only one of'

finish
