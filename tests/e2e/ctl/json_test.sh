#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# porthostctl --json: what every command prints is of the shape that proto/cli/COMMANDS.md tells. See lib.sh.
. "$(dirname "$0")/lib.sh"

start_host host
mkfifo "$dir/in"
exec 8<>"$dir/in"
"$ctl" --unix "$dir/host" shell <"$dir/in" >"$dir/session" 2>&1 8>&- &
printf '%s\n' 'p1 = open echo_drv with words' 'p1 command x' >&8
await grep -q 'p1,{data' "$dir/session"
port=$(ctl_at host --json ports --all | jq -r '.[0] | "\(.connection)/\(.id)"')

# NAME FILTER ARGUMENT...: the command succeeds, every line is JSON, and the filter holds for all lines together.
shape() {
    local name=$1 filter=$2 wrong=0
    shift 2
    run ctl_at host --json "$@"
    [[ $status == 0 ]] && jq -se "$filter" "$dir/out" >"$dir/jq" 2>&1 || wrong=1
    verdict "$name" $wrong < <(
        echo "status $status; of $*: $filter"
        sed 's/^/jq: /' "$dir/jq"
        sed 's/^/stdout: /' "$dir/out" | cut -c -1000
        sed 's/^/stderr: /' "$dir/err"
    )
}

stats='(keys - ["connection","id","driver","name","state","busy","input","output","messages","queue_size","waiting","runs","worker_runs",
    "run_time","longest_run","running","running_time"] - ["rates"] == []) and .state == "live" and .busy == false and .driver == "echo_drv" and
    ([.connection, .id, .input, .output, .messages, .queue_size, .waiting, .runs, .worker_runs, .run_time, .longest_run, .running_time] | all(type == "number"))'

shape 'ping' '. == ["pong"]' ping
shape 'drivers' '. == [["echo_drv"]]' drivers
shape 'load' '. == ["already_loaded"] or . == ["loaded"]' load echo_drv
shape 'ports' '. == [[]]' ports
shape 'ports --all' '.[0] | length == 1 and (.[0] | keys == ["connected","connection","driver","id","name","port"] and .port == "p1" and
    .name == "echo_drv with words" and .driver == "echo_drv" and (.connected.term | startswith("<0.")) and (.id | type) == "number")' ports --all
shape 'info' '.[0] | (keys == ["connection","driver_api","max_depth","max_frame","max_ports","version"]) and
    .driver_api == {"tuple": [3, 3]} and (.version | type) == "string"' info
shape 'info PORT' ".[0] | (keys == [\"busy\",\"connected\",\"driver\",\"input\",\"locking\",\"memory\",\"monitors\",\"name\",\"os_pid\",\"output\",
    \"parallelism\",\"queue_size\",\"stats\"]) and .monitors == [] and .os_pid == \"undefined\" and .input == 1 and (.stats | $stats)" info "$port"
shape 'stats' '.[0] | (to_entries | all(.value | type == "number")) and .ports == 1' stats
shape 'watch' "length == 2 and all(.[]; (keys == [\"interval\",\"ports\",\"stats\",\"time\"]) and .interval > 0 and .time > 1700000000000000000 and
    .stats.ports == 1 and (.ports | length) == 1 and (.ports[0] | ($stats) and
    (.rates | keys == [\"input\",\"messages\",\"output\",\"run_time\",\"runs\"] and all(type == \"number\"))))" watch --interval 0.05 --count 2
(for _ in {1..40}; do sleep 0.05; echo 'p1 command again'; done >&8) &
shape 'trace' 'length == 6 and all(.[]; (keys == ["args","connection","event","id","time"]) and (.args | type) == "object" and .id == 1) and
    any(.[]; .event == "output" and .args == {"size": 5, "data": "again"})' trace "$port" --count 6
shape 'log-level' '. == ["notice"]' log-level
shape 'open and its steps' '. == [{"tuple": ["ok", "open", {"soft_busy": false, "parallelism": false}]}, {"tuple": ["ok", "control", "c"]},
    {"tuple": ["ok", "call", {"tuple": ["ok", 1, ["t"]]}]}, {"tuple": ["port", {"tuple": ["data", "d"]}]},
    {"tuple": ["exit", "port", "normal"]}, {"tuple": ["ok", "close", true]}]' open echo_drv control 0 c call 1 '[t]' command d wait 100
run ctl_at host --json open echo_drv control 99 x
check_that 'a step that fails' jq -se '.[1] == {"tuple": ["error", "control", "badarg"]}' "$dir/out"
check_that 'has status 1' test "$status" = 1
run ctl_at host --json unload no_such_drv
check_err 'a command that fails says so on stderr' 1 '^porthostctl: unload: not_loaded'
check_that 'and prints nothing' test ! -s "$dir/out"
run ctl_at host --json shell <<<$'load echo_drv\nunload echo_drv'
check_that 'unload' jq -se '(.[1] | type) == "string"' "$dir/out"
exec 8>&-

finish
