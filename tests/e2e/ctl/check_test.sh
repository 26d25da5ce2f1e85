#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# porthostctl check: a diagnosis for each way in which a driver can fail to load.
. "$(dirname "$0")/lib.sh"

include=${ERL_INCLUDE:-$(erl -noshell -eval 'io:put_chars(code:root_dir()), halt().')/usr/include}

ctl_check() { run timeout 60 "$ctl" --daemon "$daemon" --timeout 5 "$@"; }

# NAME WHAT FILE [PATTERN...]: the file is not good, for that reason, and the report says so.
bad() {
    local name=$1 what=$2 file=$3
    shift 3
    ctl_check check "$file"
    check_lines "$name" 1 out "PROBLEM +$what: " "$@" '^  result +not good$'
}

# NAME [LINKER-OPTION...], C on stdin: $dir/NAME.so. The header and an empty driver_init can be had by name.
build() {
    local name=$1
    shift
    { echo '#include <erl_driver.h>'; cat; } >"$dir/$name.c"
    "${CC:-gcc}" -g -O1 -fPIC -shared -isystem "$include" -o "$dir/$name.so" "$dir/$name.c" "$@"
}

# NAME, C statements of init on stdin: a driver that is good but for these.
build_init() {
    local name=$1
    { echo '#include <stdlib.h>
#include <unistd.h>
static int init(void) {'; cat; echo 'return 0; }
static void finish(void) {}
static ErlDrvEntry entry = {.init = init, .finish = finish, .driver_name = "'"$name"'", .extended_marker = ERL_DRV_EXTENDED_MARKER,
    .major_version = ERL_DRV_EXTENDED_MAJOR_VERSION, .minor_version = ERL_DRV_EXTENDED_MINOR_VERSION};
DRIVER_INIT(x) { return &entry; }'; } | build "$name"
}

# ---- drivers that are good ----

ctl_check check "$drivers/echo_drv.so"
check_lines 'a good driver: status 0' 0 out '^  file +ELF .* shared object$' '^  driver +echo_drv, API version 3\.3$' \
    '^  lock +one for each port$' '^  callbacks +start stop .*call$' '^  imports +driver_alloc ' '^  libraries +libc' '^  trial +loaded$' '^  result +good$'
check_that 'nothing is written to stderr for it' test ! -s "$dir/err"
ctl_check check "$probes/bare_probe_drv.so"
check_lines 'a driver with one lock for all of its ports' 0 out '^  lock +one for the driver$'
ctl_check check "$probes/r12_probe_drv.so"
check_lines 'functions that only the R12 interface had are named' 0 out '^  only in R12 +driver_async_cancel driver_event$'
ctl_check check "$probes/load_major_2_drv.so"
check_lines 'a driver of an old version that is still spoken' 0 out 'API version 2\.0$'
ctl_check --json check "$drivers/echo_drv.so" "$probes/load_name_drv.so"
check_lines 'JSON: one object for each file' 1 out '^\{"file":".*echo_drv.so",.*"version":\[3,3\].*"known_from":"host".*"permitted":true,"trial":"loaded"\}$' \
    '^\{"file":".*load_name_drv.so",.*"known_from":"file".*"what":"bad_driver_name"'
ctl_check check "$drivers/"*.so
check_lines 'the shipped drivers are good' 0 out
build run_time_drv <<'END'
static ErlDrvEntry entry;
DRIVER_INIT(x)
{
    entry = (ErlDrvEntry){.driver_name = "run_time_drv", .extended_marker = ERL_DRV_EXTENDED_MARKER, .major_version = 3, .minor_version = 1};
    return &entry;
}
END
ctl_check check "$dir/run_time_drv.so"
check_lines 'an entry that is filled in when it runs is told by the host' 0 out 'remark +entry: ' '^  driver +run_time_drv, API version 3\.1$'
build two_drv <<'END'
static ErlDrvEntry one = {.driver_name = "two_drv", .extended_marker = ERL_DRV_EXTENDED_MARKER, .major_version = 3, .minor_version = 3};
static ErlDrvEntry two = {.driver_name = "two_drv", .extended_marker = ERL_DRV_EXTENDED_MARKER, .major_version = 3, .minor_version = 3};
ErlDrvEntry *other(void) { return &two; }
DRIVER_INIT(x) { return &one; }
END
ctl_check check "$dir/two_drv.so"
check_lines 'of several entries the host knows which' 0 out 'remark +entry: it has several' '^  driver +two_drv'

# ---- what is no shared object ----

bad 'no such file' no_file "$dir/none.so"
mkdir "$dir/dir.so"
bad 'a directory' directory "$dir/dir.so"
mkfifo "$dir/pipe.so"
bad 'a pipe' not_a_file "$dir/pipe.so"
: >"$dir/empty.so"
bad 'an empty file' empty "$dir/empty.so"
echo 'hello, wörld' >"$dir/text.so"
bad 'text' text "$dir/text.so"
printf '#!/bin/sh\necho hello\n' >"$dir/script.so"
bad 'a script' text "$dir/script.so" 'it is a script'
echo 'GROUP ( libc.so.6 )' >"$dir/ld.so"
bad 'a linker script' text "$dir/ld.so" 'linker script'
printf '\001\002\003\377binary' >"$dir/binary.so"
bad 'something else' not_elf "$dir/binary.so"
printf 'MZ\220\000\003\000\000\000' >"$dir/dll.so"
bad 'a DLL' not_elf "$dir/dll.so" 'Windows'
printf '\177ELF' >"$dir/four.so"
bad 'the first bytes of an ELF file' damaged "$dir/four.so"
head -c 9000 "$drivers/echo_drv.so" >"$dir/cut_drv.so"
bad 'an ELF file that is cut off' damaged "$dir/cut_drv.so"
echo 'int x;' | "${CC:-gcc}" -xc -c -o "$dir/object.so" -
bad 'an object file' object_file "$dir/object.so" 'link it with -shared'
ar rc "$dir/archive.so" "$dir/object.so"
bad 'a static library' archive "$dir/archive.so"
cp "$(type -P true)" "$dir/program.so"
bad 'a program' program "$dir/program.so"

patched() { # NAME OFFSET BYTE: a copy of the echo driver with a byte changed
    cp "$drivers/echo_drv.so" "$dir/$1.so"
    printf "\\x$3" | dd of="$dir/$1.so" bs=1 seek="$2" conv=notrunc status=none
}
patched class 4 01
bad 'another word size' wrong_class "$dir/class.so" '32'
patched machine 18 02
bad 'another machine' wrong_machine "$dir/machine.so" 'compile it for this machine'
patched order 5 02
bad 'another byte order' wrong_machine "$dir/order.so"
if ((EUID != 0)); then
    cp "$drivers/echo_drv.so" "$dir/secret.so"
    chmod 0 "$dir/secret.so"
    bad 'a file that may not be read' unreadable "$dir/secret.so" 'Permission denied'
fi

# ---- what is no driver ----

bad 'a shared object without driver_init' no_driver_init "$probes/load_no_init_drv.so" 'no function driver_init'
build hidden_drv <<<'__attribute__((visibility("hidden"))) ErlDrvEntry *driver_init(void); ErlDrvEntry *driver_init(void) { return 0; }
void *keep(void); void *keep(void) { return driver_init; }'
bad 'driver_init is not exported' no_driver_init "$dir/hidden_drv.so" 'not exported'
build mangled_drv <<<'int _Z11driver_initv(void); int _Z11driver_initv(void) { return 0; }'
bad 'driver_init is compiled as C++' no_driver_init "$dir/mangled_drv.so" 'extern "C"'
build nif <<<'int nif_init(void); int nif_init(void) { return 0; }'
bad 'a library of NIFs' no_driver_init "$dir/nif.so" 'NIF'
build loud <<<"#include <stdlib.h>
__attribute__((constructor)) static void begin(void) { if (system(\"touch $dir/ran\")) abort(); }"
bad 'a shared object with a constructor that is no driver' no_driver_init "$dir/loud.so"
check_that 'none of its code was run' test ! -e "$dir/ran"

# ---- drivers that are refused ----

bad 'driver_init gives NULL' driver_init_failed "$probes/load_null_drv.so" 'driver_init returned NULL'
bad 'init gives -1' driver_init_failed "$probes/load_init_minus_drv.so" 'init callback failed' '^  trial +refused'
bad 'init gives 1' driver_init_failed "$probes/load_init_plus_drv.so" 'init callback failed'
bad 'a version that is too old' driver_incorrect_version "$probes/load_major_1_drv.so" 'says version 1\.'
bad 'a major version to come' driver_incorrect_version "$probes/load_major_4_drv.so" 'says version 4\.0'
bad 'a minor version to come' driver_incorrect_version "$probes/load_minor_drv.so" 'spoken here are 2\.0 to 3\.3'
bad 'no marker' driver_incorrect_version "$probes/load_marker_drv.so" 'extended_marker of its entry is 16#0'
bad 'a name that is not the file'"'"'s' bad_driver_name "$probes/load_name_drv.so" 'calls it load_other_drv'
cp "$drivers/echo_drv.so" "$dir/echo_drv.dll"
bad 'a name without .so' suffix "$dir/echo_drv.dll"

# ---- what is missing ----

bad 'a symbol that nobody has' missing_symbols "$probes/load_unresolved_drv.so" 'missing +load_symbol_that_nobody_has: '
build_init internals_drv <<<'extern int erts_internal(void), enif_function(void), driver_tomorrow(void), _Z4plusv(void);
    return erts_internal() + enif_function() + driver_tomorrow() + _Z4plusv();'
bad 'symbols are told by what they were' missing_symbols "$dir/internals_drv.so" ' erts_internal: an internal of the VM' \
    ' enif_function: a function for NIFs' ' driver_tomorrow: of a driver interface' ' _Z4plusv: a C\+\+ function' 'PROBLEM +open_error: .*undefined symbol'
build libgone <<<'int gone(void); int gone(void) { return 0; }'
build needs_gone_drv -L"$dir" -l:libgone.so <<<'extern int gone(void); ErlDrvEntry *driver_init(void) { gone(); return 0; }'
rm "$dir/libgone.so"
bad 'a library that is not there' missing_library "$dir/needs_gone_drv.so" 'the library libgone.so is not found' \
    'missing +gone: perhaps of a library that is not found' 'PROBLEM +open_error: .*libgone'
echo 'V1 { global: *; };' >"$dir/map1"
echo 'V2 { global: *; };' >"$dir/map2"
versioned() { build libversion -Wl,-soname,libversion.so -Wl,--version-script="$1" <<<'int versioned(void); int versioned(void) { return 0; }'; }
versioned "$dir/map2"
build version_drv -L"$dir" -l:libversion.so -Wl,-rpath,"$dir" <<<'extern int versioned(void); ErlDrvEntry *driver_init(void) { versioned(); return 0; }'
versioned "$dir/map1"
bad 'a version of a library that is not there' missing_version "$dir/version_drv.so" 'V2.*not found'

# ---- what may not be loaded ----

mkdir "$dir/path"
cp "$drivers/echo_drv.so" "$dir/path/"
chmod g+w "$dir/path/echo_drv.so"
ctl_check check "$dir/path/echo_drv.so"
check_lines 'a file that others may write: a remark' 0 out '^  over sockets +may not' 'remark +not_permitted: .*others may write'
ctl_check --driver-path "$dir/path" check "$dir/path/echo_drv.so"
check_lines 'a problem if it is asked for a driver path' 1 out 'PROBLEM +not_permitted: .*others may write'
chmod g-w "$dir/path/echo_drv.so"
ctl_check --driver-path "$drivers:$dir/path" check "$dir/path/echo_drv.so"
check_lines 'a file in a directory of the driver path may be loaded' 0 out '^  over sockets +may be loaded'
ctl_check --driver-path "$drivers" check "$dir/path/echo_drv.so"
check_lines 'a file outside the driver path may not' 1 out 'PROBLEM +not_permitted: .*not in a directory of the driver path'
ln -s "$dir/path/echo_drv.so" "$dir/dir.so/echo_drv.so"
ctl_check --driver-path "$dir/dir.so" check "$dir/dir.so/echo_drv.so"
check_lines 'a link counts where it leads' 1 out 'PROBLEM +not_permitted: '

# ---- drivers that harm the host ----

build_init crash_drv <<<'*(volatile int *)8 = 0;'
bad 'a crash is told with signal, callback and backtrace' crashed "$dir/crash_drv.so" '^  trial +crashed' 'crash +SIGSEGV in callback init$' \
    'crash_drv\.so\(' 'PROBLEM +crashed: .*while it is loaded: SIGSEGV in callback init'
build_init abort_drv <<<'abort();'
bad 'so is an abort' crashed "$dir/abort_drv.so" 'SIGABRT in callback init'
build driver_init_drv <<<'#include <stdlib.h>
DRIVER_INIT(x) { abort(); return 0; }'
bad 'a crash in driver_init' crashed "$dir/driver_init_drv.so" 'in callback driver_init'
sed 's/finish(void) {}/finish(void) { abort(); }/; s/crash_drv/finish_drv/; s/\*(volatile.*//' "$dir/crash_drv.c" | tail -n +2 | build finish_drv
bad 'a crash in finish' crashed "$dir/finish_drv.so" 'while it is unloaded: SIGABRT in callback finish'
build_init exit_drv <<<'_exit(7);'
bad 'a driver that ends the host' ended "$dir/exit_drv.so" '^  trial +ended' 'status 7'
build_init hang_drv <<<'for (;;) pause();'
run timeout 60 "$ctl" --daemon "$daemon" --timeout 0.5 check "$dir/hang_drv.so"
check_lines 'a driver that does not come back' 1 out '^  trial +hung' 'PROBLEM +hung: .*within 0.5 seconds from being loaded'

# ---- the reference page ----

words=$(grep -ohE 'ph_report_(problem|remark)\([^"]*"[a-z_]+"' proto/cli/check/*.c | grep -oE '"[a-z_]+"' | tr -d '"' | sort -u)
check_that 'problems and remarks are found in the sources' test "$(wc -w <<<"$words")" -gt 20
for word in $words; do
    grep -qE "^\|.*\`$word\`.*\| " proto/cli/CHECK.md || undescribed+=" $word"
done
check_that 'each is on the page' test -z "${undescribed-}"
sed -n 's/^    \(  .*\)/\1/p' proto/cli/CHECK.md | sed '/^$/d' >"$dir/page"
ctl_check check "$drivers/echo_drv.so"
check_that 'the example of the page is so' diff <(tail -n +2 "$dir/out" | grep -v '^  file') <(grep -v '^  file' "$dir/page")

# ---- use ----

ctl_check check "$dir/crash_drv.so" "$drivers/echo_drv.so"
check_lines 'a crash does no harm to the next' 1 out '^  result +not good' '^  result +good'
ctl_check check
check_lines 'a file is needed' 2 err 'usage: check FILE'
ctl_check --unix "$dir/sock" check x.so
check_lines 'two hosts are one too many' 2 err 'only one of'
run "$ctl" --unix "$dir/sock" check x.so
check_lines 'check has a host of its own' 2 err 'not for it'
run "$ctl" --daemon "$dir/no_daemon" check "$drivers/echo_drv.so"
check_lines 'without a host: status 3' 3 err 'the host has ended the connection'
set -m
"$ctl" --daemon "$daemon" --timeout 60 check "$dir/hang_drv.so" >"$dir/out" 2>"$dir/err" &
pid=$!
set +m
await pgrep -P "$pid"
child=$(pgrep -P "$pid")
kill -INT "$pid"
{ wait "$pid"; status=$?; } 2>/dev/null
check_lines 'an interrupt ends it' 130 out
gone() { ! kill -0 "$child" 2>/dev/null; }
check_that 'an interrupt leaves no host behind' await gone

finish
