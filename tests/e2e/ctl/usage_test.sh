#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# porthostctl: wrong usage, and connections that fail. See lib.sh.
. "$(dirname "$0")/lib.sh"

# ---- usage ----

used() { # NAME PATTERN ARGUMENT...: status 2 with that message, and nothing was started
    local name=$1 pattern=$2
    shift 2
    run "$ctl" --daemon "touch $dir/started;" "$@"
    check_err "$name" 2 "$pattern"
}
used 'a command is needed' 'a command is missing'
used 'an unknown command is refused' '^porthostctl: frob is no command' frob
used 'too many arguments are refused' '^porthostctl: usage: unload NAME' unload a b
used 'a step needs its arguments' 'the data of control is missing' open x control 0
used 'an operation is a number' 'expected a number from 0 to 4294967295, found -1' open x control -1 d
used 'a term on the command line has to be one' "^the term of call:1:4: expected a term, found '}'" open x call '{a,}'
used 'a file that is not there is named' '/no/such/file: No such file' open x command @/no/such/file
used 'what is not iodata is refused' 'not iodata' open x command 'term:{a}'
used 'a timeout is a number' "^porthostctl: --timeout: expected seconds" --timeout soon ping
used 'two hosts are one too many' 'only one of' --unix /x ping
used 'an unknown option is refused' 'unrecognized option' --frob
check_that 'wrong usage starts nothing' test ! -e "$dir/started"

# ---- connections that fail ----

run "$ctl" --unix "$dir/none" ping
check_err 'no unix socket: status 3' 3 'cannot connect to .*/none: No such file or directory'
run "$ctl" --tcp 127.0.0.1:1 ping
check_err 'no TCP listener: status 3' 3 'cannot connect to 127.0.0.1:1: Connection refused'
run "$ctl" --tcp nowhere ping
check_err 'an address without a port: wrong usage' 2 'nowhere: expected HOST:PORT'
for port in 0 65536 99999; do
    run timeout 30 "$ctl" --tcp "localhost:$port" ping
    check_err "an address with port $port: wrong usage" 2 "localhost:$port: the port must be from 1 to 65535"
done
run timeout 30 "$ctl" --tcp localhost:no-such-service ping
check_err 'the name of no service: status 3' 3 'cannot find localhost:no-such-service: '
if getent services tcpmux >/dev/null; then
    run timeout 30 "$ctl" --tcp 127.0.0.1:tcpmux ping
    check_err 'the name of a service is a port' 3 'cannot connect to 127.0.0.1:tcpmux: Connection refused'
fi
run timeout 30 "$ctl" --tcp "$(printf '%0246d177.0.0.1x' 0):1" ping # 255 bytes of it are 127.0.0.1
check_err 'of a long name nothing is cut off' 3 'cannot find 0'
run "$ctl" --unix "$(printf '%108s' '' | tr ' ' x)" ping
check_err 'a path that is too long: wrong usage' 2 'the path of a unix socket has 1 to 107 bytes'
run "$ctl" --daemon "$dir/none" ping
check_err 'no daemon: status 3' 3 'the host has ended the connection: it ended with status 127'

fake() { # a daemon that is a shell script, from stdin
    { echo '#!/bin/sh'; cat; } >"$dir/fake"
    chmod +x "$dir/fake"
}
fake <<<'exec sleep 100'
run timeout 30 "$ctl" --daemon "$dir/fake" --timeout 0.3 ping
check_err 'a daemon that says nothing: status 3' 3 'the host does not answer within 0.3 seconds'
fake <<<'echo this is no frame'
run "$ctl" --daemon "$dir/fake" ping
check_err 'a daemon that talks nonsense: status 3' 3 'no frame of this protocol'
fake <<<'kill -SEGV $$'
run "$ctl" --daemon "$dir/fake" ping
check_err 'a daemon that crashes is reported with its signal' 3 'ended by signal 11'

finish
