#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The checking mode (porthostd --check-drivers): each rule that a driver breaks is reported with its kind, the driver, the port and the callback, it is counted, and the
# daemon serves on. Prints TAP lines and "N passed, N failed".
. "$(dirname "$0")/lib.sh"

log_lines() { wc -l <"$dir/err"; }
since() { tail -n +"$((mark + 1))" "$dir/err"; }

# reported KIND CALLBACK DRIVER: since $mark, with a port
reported() {
  since | grep -qE "\[conn [0-9]+ port [0-9]+ $3\] check: $1 in $2: "
}
reported_without_port() {
  since | grep -qE "\[$3\] check: $1 in $2: "
}
# A frame of the function, since $mark: what is told of a stack comes a line at a time.
in_stack() { since | grep -qE "check:     $1\+0x[0-9a-f]+ \(.*\.so\+0x[0-9a-f]+\)$"; }
# The same, right behind a note of this text.
in_note() { since | grep -A 1 -F "check:   $1" | grep -qE "check:     $2\+0x"; }
serves() { client ping && [ "$(cat "$dir/o")" = pong ]; }

tested=

# offence DRIVER KIND CALLBACK STEP...: that is reported, nothing else is, the daemon serves on
offence() {
  local driver=$1 kind=$2 callback=$3 reported=${reported:-reported}
  shift 3
  tested+=" $kind"
  mark=$(log_lines)
  client open "$driver" "$@"
  await "$reported" "$kind" "$callback" "$driver" && others "$kind" && serves
  ok $? "$driver: $kind in $callback: $*"
}

# No report of another kind since $mark.
others() {
  ! since | grep -E 'check: [a-z_]+ in ' | grep -vE "check: $1 in "
}

m() { offence offence_memory_drv "$@"; }

start --check-drivers --metrics localhost:0
grep -q 'drivers are checked' "$dir/err"
ok $? "the mode is announced"

mark=$(log_lines)
client open offence_memory_drv control 0 none command abc && ! since | grep -q 'check: '
ok $? "who breaks no rule is not reported"

m double_free control control 0 double_free
since | grep -qE 'check:     double_free\+0x[0-9a-f]+ \(.*/offence_memory_drv\.so\+0x[0-9a-f]+\)$' && since | grep -qE 'check:     act[.a-z0-9]*\+0x'
ok $? "a backtrace has the driver's functions, static ones too"
m double_free control control 0 double_free_binary
m double_free control control 0 realloc_freed
m unknown_free control control 0 unknown_free
m unknown_free control control 0 unknown_realloc
m unknown_free control control 0 unknown_free_binary
m wrong_free control control 0 wrong_free
m wrong_free control control 0 wrong_free_binary
m overwrite control control 0 overrun
m overwrite control control 0 underrun
m overwrite control control 0 overrun_kept control 0 free_kept
m overwrite control control 0 overrun_binary
m overwrite control control 0 underrun_binary
m overwrite control control 5 x
m use_after_free control control 0 write_freed
m use_after_free control control 0 write_freed_binary
m binary_after_free control control 0 output_freed_binary
m binary_after_free control control 0 enq_freed_binary
m binary_after_free control control 0 inc_freed_binary
m binary_after_free control control 0 send_freed_binary
m binary_after_free control control 0 copy_freed_binary
m binary_unknown control control 0 output_unknown_binary
m binary_after_free control control 0 vector_take command abc control 0 use_taken
m refcount control control 0 refcount_below
m refcount control control 0 refcount_zero
m refcount control control 0 realloc_shared
m refcount outputv control 0 vector_free command abc
m bad_argument control control 0 range
m bad_argument control control 0 null_output
m bad_argument control control 0 null_enq
m bad_argument control control 0 output_outside_binary
m bad_argument control control 0 enq_outside_binary
m bad_argument control control 0 enq_null_element
m bad_argument control control 0 enq_too_large
m bad_argument control control 0 system_info
m bad_term control control 0 bad_term
m vector_changed outputv control 0 vector_change command abc
m data_changed outputv control 0 data_change command abc
m data_changed control -o binary control 0 change_sent control 0 empty_queue
m data_changed control -o binary control 0 change_sent_before control 0 empty_queue
m data_changed control -o binary control 0 change_sent_term control 0 empty_queue
m bad_answer control control 1 x
m bad_answer control control 2 x
m bad_answer control control 3 x control 0 free_kept
in_note 'made in control of port 1 of offence_memory_drv at' control
ok $? "an answer that is longer than its block is reported with where that was made"
m bad_answer control control 4 x control 0 free_kept
m bad_answer call call 1 x
m bad_answer call call 2 x

p() { offence offence_port_drv "$@"; }

# The driver is loaded for as long as another connection has it: it remembers the handle of the last port.
client_in_background() {
  : >"$dir/o2"
  timeout 60 "$ctl" --unix "$dir/s" "$@" </dev/null >>"$dir/o2" 2>&1 &
  other=$!
}
client_in_background open offence_port_drv control 0 none wait 60000
await grep -q 'ok,control' "$dir/o2"
client open offence_port_drv control 0 none
p stale_port control control 0 stale_output
p stale_port control control 0 stale_timer
p stale_port control control 0 stale_queue
p stale_port control control 0 stale_mk_port
p unknown_port control control 0 unknown_output
p stale_port control control 0 after_failure
p failure_in_stop stop control 0 fail_in_stop
p output_after_close flush control 0 fill_queue
p init_ack control control 0 acknowledge
p monitor_unknown control control 0 demonitor_unmade
p monitor_unknown control control 0 get_unmade
p wrong_thread 'a thread of its own' control 0 thread_output
p wrong_thread 'a thread of its own' control 0 thread_timer
p wrong_thread 'a thread of its own' control 0 foreign_output
p wrong_thread async_invoke control 0 async wait 200
p queue_without_lock 'a thread of its own' control 0 thread_queue
p wrong_thread 'a thread of its own' control 0 thread_mk_port
p wrong_thread 'a thread of its own' control 0 thread_connected
reported=reported_without_port p wrong_thread 'a thread of its own' control 0 thread_mk_atom
p slow_callback control control 0 doze
await in_stack doze
ok $? "a slow callback is reported with what it was in"
p slow_callback control control 0 churn
await in_stack churn
ok $? "also if it is in the host then"
p slow_callback control control 0 doze_deaf
p bad_fd control control 0 select_negative
p bad_fd control control 0 select_closed
p fd_closed control control 0 close_selected
p fd_closed control control 0 reuse_selected
p fd_closed control control 0 close_then_deselect
p no_stop_select control control 0 use
kill "$other"
wait "$other" 2>/dev/null
client_in_background open offence_port_drv control 0 lend_lock wait 60000
await grep -q 'ok,control' "$dir/o2"
p queue_without_lock 'a thread of its own' control 0 thread_queue_other
kill "$other"
wait "$other" 2>/dev/null
mark=$(log_lines)
client open offence_select_drv control 0 none control 0 late_output close wait 200 && ! since | grep 'check: '
ok $? "a driver without flush may send when it is closed"
offence offence_select_drv wrong_thread stop_select control 0 call
[ "$(since | grep -c 'check: wrong_thread')" -eq 2 ]
ok $? "nothing but memory may be had in stop_select"
mark=$(log_lines)
client_in_background open offence_port_drv control 0 'doze_deaf 1500'
sleep 0.2 # it is asked for its stack from now on, for a second
for _ in 1 2 3 4 5 6; do client open offence_memory_drv control 0 none; done
wait "$other"
await reported slow_callback control offence_port_drv && [ "$(since | grep -c 'check: slow_callback')" -eq 1 ]
ok $? "nobody else is slow while one that is slow does not answer"
mkfifo "$dir/fifo"
mark=$(log_lines)
client_in_background open offence_port_drv control 0 "hang $dir/fifo"
# The thread sanitizer keeps signals back while a thread is in open.
await reported slow_callback control offence_port_drv && { [[ $daemon == */build-thread/* ]] || await in_stack hang; } && ! grep -q 'ok,control' "$dir/o2"
ok $? "a callback that does not return is reported while it runs, with what it is in"
timeout 20 sh -c ': >"$1"' - "$dir/fifo" # opening a pipe is no call that a signal ends
wait "$other"
grep -q released "$dir/o2" && [ "$(since | grep -c 'check: slow_callback')" -eq 1 ]
ok $? "its call goes on undisturbed, and it is reported once"
client_in_background open offence_port_drv control 0 steal wait 60000
await grep -q 'ok,control' "$dir/o2"
p fd_stolen control control 0 steal
kill "$other"
wait "$other" 2>/dev/null

# Two ports with one descriptor, of which each has a direction: 5 is ERL_DRV_READ | ERL_DRV_USE.
shell() {
  mark=$(log_lines)
  printf '%s\n' "$@" quit | timeout 30 "$ctl" --unix "$socket" shell >"$dir/o" 2>&1
}
both=('a = open select_probe_drv' 'b = open select_probe_drv' 'a control 0 socketpair' 'a control 0 select 5' 'a control 0 share' 'b control 0 take' 'b control 0 select 6' 'b wait 100')
shell "${both[@]}" 'a control 0 deselect 7' 'b control 0 forget' && grep -q stopped "$dir/o" && ! since | grep 'check: '
ok $? "two ports may have a descriptor together, and the one that ends its use ends it for both"
shell "${both[@]}" 'a control 0 close_mine' 'a control 0 forget' 'b control 0 forget' && reported fd_closed control select_probe_drv && [ "$(since | grep -c 'check: fd_closed')" -eq 1 ] && others fd_closed
ok $? "closing it while one has it selected is reported"
client_in_background open offence_port_drv control 0 lend wait 60000
await grep -q 'ok,control' "$dir/o2"
p monitor_unknown control control 0 demonitor_lent
p monitor_unknown control control 0 get_lent
kill "$other"
wait "$other" 2>/dev/null

# A driver that acknowledges what is opened. Twice, both times by a timer; and inside start, where the VM takes no notice, either.
for how in 'late timeout' 'early start'; do
  mark=$(log_lines)
  client open "ack_probe_drv ${how% *}" && await reported init_ack "${how#* }" ack_probe_drv && others init_ack && serves
  ok $? "ack_probe_drv: init_ack in ${how#* }"
done
mark=$(log_lines)
client open "ack_probe_drv 1" control 0 none && ! since | grep -q 'check: '
ok $? "who acknowledges once is not reported"

l() { offence offence_lock_drv "$@"; }

mark=$(log_lines)
client open offence_lock_drv control 0 none && ! since | grep -q 'check: '
ok $? "who breaks no rule about locks is not reported"
l lock_unknown control control 0 null_mutex
l lock_unknown control control 0 dead_mutex
l lock_unknown control control 0 null_cond
l lock_twice control control 0 lock_twice
l lock_twice control control 0 read_twice
l lock_twice control control 0 pdl_twice
l lock_not_held control control 0 unlock
l lock_not_held control control 0 unlock_otherwise
l lock_not_held control control 0 unlock_pdl
l lock_not_held control control 0 wait_unlocked
l lock_destroyed control control 0 destroy_held
l lock_left control control 0 leave_locked control 0 unlock_left
l lock_left control control 0 leave_pdl
l lock_left control control 0 leave_pdl control 0 unlock_pdl control 0 none
l refcount control control 0 pdl_refcount
l queue_without_lock control control 0 queue_unlocked
l tsd_key control control 0 no_key
l tsd_left control control 0 leave_data
client open offence_lock_drv control 0 leave_data control 0 data_left && grep -q '"none"' "$dir/o"
ok $? "data that are left are cleared"
l tsd_left control control 0 destroy_set_key
l thread_misuse control control 0 exit_here
l thread_misuse control control 0 join_again
l thread_misuse control control 0 no_thread
reported=reported_without_port
l lock_not_held 'a thread of its own' control 0 unlock_elsewhere
l lock_destroyed 'a thread of its own' control 0 destroy_elsewhere
l lock_left 'a thread of its own' control 0 thread_leaves_locked
l lock_left 'a thread of its own' control 0 foreign_leaves_locked
l lock_left async_invoke control 0 async_leaves_locked wait 200 control 0 unlock_left
l tsd_left async_invoke control 0 async_leaves_data wait 200
l lock_left async_free control 0 free_leaves_locked
mark=$(log_lines)
client open offence_init_drv && reported_without_port lock_left init offence_init_drv && reported_without_port tsd_left init offence_init_drv
ok $? "offence_init_drv: lock_left and tsd_left in init"
reported=reported

# --- counting ---

client stats && grep -qE 'violation_double_free => 3[,}]' "$dir/o" && grep -qE 'violations => [1-9]' "$dir/o" && ! grep -q violation_overlap "$dir/o"
ok $? "stats count them by kind"
metrics=$(sed -n 's|.*metrics at \(http://[^ ]*\).*|\1|p' "$dir/err")
curl -sS -m 20 "$metrics" >"$dir/o" && grep -qFx 'porthost_driver_violations_total{driver="offence_memory_drv",kind="double_free"} 3' "$dir/o"
ok $? "metrics count them by driver and kind"

# --- loading and unloading ---

# What is loaded is unloaded at the end.
cycle() { # DRIVER COMMAND
  shell "load $1" "p = open $1$2" 'p close' "unload $1"
}
cycle offence_end_drv '' && cycle offence_end_drv ' leave' && await reported_without_port leak finish offence_end_drv && await in_note 'made in start of port 1 of offence_end_drv at' start &&
  [ "$(since | grep -c 'check: leak')" -eq 1 ] && others leak
ok $? "what a destructor frees is not left, and what is left is reported with the functions of the driver that has gone"
! grep '33 bytes' "$dir/err"
ok $? "nor is it later"
cycle offence_end_drv ' twice' && await reported_without_port double_free dlclose offence_end_drv && await in_stack end && others double_free
ok $? "what a destructor does wrong is its driver's"
shell 'load offence_load_drv'
await reported_without_port leak finish offence_load_drv && since | grep -q 'a block of 55 bytes, made in init of offence_load_drv, is left'
ok $? "what an init that fails has left is reported"
tested+=" entry_changed"
cycle load_patching_drv '' && await reported_without_port entry_changed finish load_patching_drv && since | grep -q 'as driver_init returned it: start is changed' && others entry_changed
ok $? "load_patching_drv: entry_changed in finish"

# --- what is left ---

mark=$(log_lines)
client open offence_memory_drv control 0 leak control 0 leak_binary
client open offence_lock_drv control 0 leave_thread control 0 leave_mutex control 0 leave_key control 0 leave_pdl_reference
client open offence_port_drv control 0 async_lost control 0 async_kept
client open offence_end_drv
stop
status=$?
reported_without_port leak finish offence_memory_drv && since | grep -q 'a block of 4321 bytes, made in control of port .* is left' &&
  since | grep -q 'a binary of 1234 bytes, made in control of port .* is left'
ok $? "offence_memory_drv: leak in finish: blocks and binaries, and who has made them"
reported_without_port leak finish offence_port_drv && in_note 'given to driver_async in control of port 1 of offence_port_drv, which ended before the job was done at' async_lost &&
  since | grep -q 'a block of 77 bytes, made in control of port 1 of offence_port_drv, is left' && ! since | grep ' 78 bytes'
ok $? "data of an async job that nobody frees are left, and reported with where they were given away"
# The thread sanitizer has a thread of its own, which may run anything.
[[ $daemon == */build-thread/* ]] || ! since | grep ' 33 bytes'
ok $? "what a destructor frees is not left"
reported_without_port lock_left finish offence_init_drv
ok $? "offence_init_drv: lock_left in finish"
for what in 'the thread' 'the mutex' 'the thread-specific data key' 'the port data lock'; do
  since | grep -qE "\[offence_lock_drv\] check: leak in finish: $what \".*\", made in [a-z]+ of port .* is left" || echo "# $what"
done >"$dir/o"
[ ! -s "$dir/o" ]
ok $? "offence_lock_drv: leak in finish: threads, locks, keys, references to port data locks"
[ "$status" -eq 3 ]
ok $? "the end of a daemon whose drivers broke rules is status 3"

start --check-drivers
client open offence_memory_drv control 0 none
client open echo_drv command hello
stop
[ $? -eq 0 ] && ! grep 'check: ' "$dir/err"
ok $? "without any it is 0"

start --check-drivers=60000
client open offence_memory_drv control 0 leak_many
stop
[ $? -eq 3 ] && grep -q 'check: leak: more of these are only counted' "$dir/err" && ! grep -q abandoned "$dir/err"
ok $? "as many leaks as there may be are counted in time"

OFFENCE_HANG=1 start --check-drivers=60000
client open offence_init_drv
kill -TERM "$pid"
await grep -q 'lock_left in init' "$dir/err" && await grep -q ': ending$' "$dir/err" && kill -TERM "$pid" && await grep -q ': ending now$' "$dir/err"
stop
[ $? -eq 3 ] && grep -q 'a driver does not come to an end and is abandoned' "$dir/err"
ok $? "the end of one that is stuck in a driver is status 3 too"

# --- two threads at once ---

# Other threads run wherever a mutex is given back: one of the two frees it, the other's is reported, each time.
LD_PRELOAD=$(realpath "$drivers/../tests/preload/yielding.so") ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}verify_asan_link_order=0 start --check-drivers=60000
for what in free realloc realloc_binary; do
  client open offence_memory_drv control 0 "${what}_at_once" && serves
  ok $? "$what of two threads at once: the daemon serves on"
done
client open offence_memory_drv control 0 free_many && client stats && grep -qE 'violation_double_free => 600[,}]' "$dir/o" && grep -qE 'violation_binary_after_free => 300[,}]' "$dir/o" && grep -qE 'violations => 900[,}]' "$dir/o"
ok $? "and each second one is reported, nothing else"
stop

# --- the list ---

missing=
for kind in $(sed -n 's/^ *X([A-Z_]*, \([a-z_]*\)).*/\1/p' daemon/check/violation.h); do
  [[ " $tested leak " == *" $kind "* ]] || missing+=" $kind"
done
[ -z "$missing" ] || echo "# not tested:$missing"
[ -z "$missing" ]
ok $? "each kind of report has a test"
[ "$(sed -n 's/^### //p' drivers/CHECKING.md)" = "$(sed -n 's/^ *X([A-Z_]*, \([a-z_]*\)).*/\1/p' daemon/check/violation.h)" ]
ok $? "each kind of report is described in drivers/CHECKING.md"

finish
