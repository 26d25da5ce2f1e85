#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# porthostctl: every type of term goes to a driver and comes back, read and printed in Erlang syntax and as JSON. See lib.sh.
. "$(dirname "$0")/lib.sh"

# A term as it is typed, as it is printed if that differs, and as JSON.
terms=(
    "atom" "" '"atom"'
    "'an atom'" "" '"an atom"'
    "'Höhe'" "" '"Höhe"'
    "''" "" '""'
    "true" "" 'true'
    "0" "" '0'
    "-1" "" '-1'
    "16#ff" "255" '255'
    "\$a" "97" '97'
    "2147483648" "" '2147483648'
    "-9223372036854775808" "" '-9223372036854775808'
    "18446744073709551616" "" '{"term":"18446744073709551616"}'
    "-123456789012345678901234567890123456789012345678901234567890" "" '{"term":"-123456789012345678901234567890123456789012345678901234567890"}'
    "2.5" "" '2.5'
    "-1.0e100" "" '-1e100'
    "\"text\"" "" '"text"'
    "\"\\n\\\"\"" "" '"\n\""'
    "\"ö\"" "" '"ö"'
    "\"€\"" "" '"€"'
    "[]" "" '[]'
    "[1,2]" "" '[1,2]'
    "[1,[two,\"three\"]]" "" '[1,["two","three"]]'
    "[a|b]" "" '{"term":"[a|b]"}'
    "<<>>" "" '""'
    "<<\"bytes\">>" "" '"bytes"'
    "<<0,255>>" "" '{"term":"<<0,255>>"}'
    "<<\"€\"/utf8>>" "" '"€"'
    "<<5:3>>" "" '{"term":"<<5:3>>"}'
    "<<\"a\",1:1>>" "<<97,1:1>>" '{"term":"<<97,1:1>>"}'
    "{}" "" '{"tuple":[]}'
    "{a,{b,[c]},\"d\"}" "" '{"tuple":["a",{"tuple":["b",["c"]]},"d"]}'
    "#{}" "" '{}'
    "#{a => 1}" "" '{"a":1}'
    "#{<<\"k\">> => #{v => {1.5}}}" "" '{"k":{"v":{"tuple":[1.5]}}}'
    "#{{k} => v}" "" '{"{k}":"v"}'
    "<0.5.0>" "" '{"term":"<0.5.0>"}'
    "<'a-b@c.d'.17.1>" "" "{\"term\":\"<'a-b@c.d'.17.1>\"}"
    "<a@b/3.17.1>" "" "{\"term\":\"<a@b/3.17.1>\"}"
    "#Port<0.7>" "" '{"term":"#Port<0.7>"}'
    "#Port<a@b.7>" "" "{\"term\":\"#Port<a@b.7>\"}"
    "#Ref<0.1.2.3>" "" '{"term":"#Ref<0.1.2.3>"}'
    "#Ref<a@b.1.2.3>" "" "{\"term\":\"#Ref<a@b.1.2.3>\"}"
)

{
    echo 'p = open echo_drv'
    for ((i = 0; i < ${#terms[@]}; i += 3)); do
        printf 'p call 1 %s\n' "${terms[i]}"
    done
} >"$dir/session"
"$ctl" --daemon "$daemon" --driver-path "$drivers" shell <"$dir/session" >"$dir/erlang" 2>"$dir/err"
"$ctl" --json --daemon "$daemon" --driver-path "$drivers" shell <"$dir/session" >"$dir/json" 2>>"$dir/err"
check_that 'all are read' test ! -s "$dir/err"
for ((i = 0; i < ${#terms[@]}; i += 3)); do
    line=$((i / 3 + 2))
    sed -n "${line}p" "$dir/erlang" >"$dir/out"
    status=0
    check "${terms[i]} as a term" 0 "{ok,call,{ok,1,${terms[i + 1]:-${terms[i]}}}}"
    sed -n "${line}p" "$dir/json" | jq -c '.tuple[2].tuple[2]' >"$dir/out"
    check "${terms[i]} as JSON" 0 "$(jq -c . <<<"${terms[i + 2]}")"
done

# ---- limits ----

printf 'p = open echo_drv\np call 1 %s%s\n' "$(printf '[%.0s' {1..1001})" "$(printf ']%.0s' {1..1001})" >"$dir/deep"
run "$ctl" --daemon "$daemon" --driver-path "$drivers" shell <"$dir/deep"
check_err 'a term that is too deep is refused' 2 'nested'
own open echo_drv call 0 '{a,'
check_err 'a term that is not whole is refused' 2 'expected a term'
own open echo_drv call 0 'a b'
check_err 'what follows a term is refused' 2 "^the term of call:1:3: "

finish
