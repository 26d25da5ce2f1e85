# porthost: see README.md. Everything that is built goes to build/, build-debug/ with DEBUG=1, or
# build-SANITIZER/ with SANITIZER=address|undefined|thread; fuzz and coverage are built in the same way.
VERSION := 0.1.0
SHELL := /bin/bash
Q := $(if $(V),,@)
.DELETE_ON_ERROR:
comma := ,

SANITIZER ?=
# DEBUG=1: assertions that cost time (sched/overlap.h). Builds with a sanitizer have them.
DEBUG ?= $(if $(filter-out coverage,$(SANITIZER)),1)
BUILD := build$(if $(SANITIZER),-$(SANITIZER),$(if $(DEBUG),-debug))
FUZZ_SECONDS ?= 60
FUZZ_JOBS ?= $(shell nproc)

ERL_ROOT ?= /usr/lib/erlang
ERL_INCLUDE := $(ERL_ROOT)/usr/include
ERL_LIB := $(ERL_ROOT)/usr/lib
# "13.1.5 25": the run-time system that drivers are told they run in
ERTS_VERSION = $(word 1,$(shell cat $(ERL_ROOT)/releases/start_erl.data 2>/dev/null))
OTP_RELEASE = $(word 2,$(shell cat $(ERL_ROOT)/releases/start_erl.data 2>/dev/null))

CC := $(if $(filter fuzz,$(SANITIZER)),clang,$(if $(filter afl,$(SANITIZER)),afl-clang-fast,gcc))
WARN := -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wundef -Werror
SANFLAGS := $(if $(SANITIZER),-fsanitize=$(SANITIZER) -fno-omit-frame-pointer)
ifneq ($(filter fuzz afl,$(SANITIZER)),)
# gcc's warnings are the measure: clang's -Wconversion is another one.
WARN := -Wall -Wextra
endif
ifeq ($(SANITIZER),fuzz)
# NULL + 0 is what an empty buffer begins with; that and all else of pointer-overflow is one check.
SANFLAGS := -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize=pointer-overflow -fno-sanitize-recover=all -fno-omit-frame-pointer
else ifeq ($(SANITIZER),afl)
SANFLAGS := -fsanitize=address -fno-omit-frame-pointer
export AFL_QUIET := 1
else ifeq ($(SANITIZER),coverage)
SANFLAGS := --coverage -fprofile-update=atomic -O0
# What ends by _exit or raise is counted too.
COUNTED_EXIT := $(BUILD)/obj/tests/counted_exit.o -Wl,--wrap=_exit,--wrap=raise
endif
# The daemon is optimised as a whole (a tenth fewer instructions for each message); everything else links the same objects as they are.
LTO_COMPILE := $(if $(DEBUG)$(SANITIZER),,-flto -ffat-lto-objects)
LTO_LINK := $(if $(DEBUG)$(SANITIZER),,-flto=2 -O3)
DEBUGFLAGS := $(if $(DEBUG),-DPH_DEBUG)
# What sanitizers add makes gcc see null pointers where there are none, and warn.
OPTIMIZE := $(if $(SANITIZER),-O2,-O3)
# All is bound at the start (-z now): calls of libraries need no table of jumps.
BOUND := -fno-plt
HARDEN := -fstack-protector-strong $(if $(SANITIZER),,-D_FORTIFY_SOURCE=2)
CPPFLAGS_ALL := -D_GNU_SOURCE -Iproto -Iproto/cli -Idaemon -isystem $(ERL_INCLUDE) $(DEBUGFLAGS) $(CPPFLAGS)
CFLAGS_ALL := -std=c11 $(OPTIMIZE) -g $(WARN) $(BOUND) $(HARDEN) $(SANFLAGS) -pthread -MMD -MP $(CFLAGS)
LDFLAGS_ALL := -fno-lto $(SANFLAGS) $(COUNTED_EXIT) -pthread -Wl,-z,relro,-z,now $(LDFLAGS)

DAEMON_SRC := $(wildcard daemon/*.c daemon/*/*.c)
PROTO_SRC := $(wildcard proto/*.c)
CLI_SRC := $(wildcard proto/cli/*.c proto/cli/*/*.c)
UNIT_SRC := $(wildcard tests/unit/check_*.c)
DRIVERS := $(patsubst drivers/%.c,$(BUILD)/drivers/%.so,$(wildcard drivers/*_drv.c))
TEST_DRIVERS := $(patsubst tests/drivers/%.c,$(BUILD)/tests/drivers/%.so,$(wildcard tests/drivers/*_drv.c))
PRELOADS := $(patsubst tests/preload/%.c,$(BUILD)/tests/preload/%.so,$(wildcard tests/preload/*.c))
BENCH_DRIVERS := $(patsubst tests/bench/drivers/%.c,$(BUILD)/tests/bench/drivers/%.so,$(wildcard tests/bench/drivers/*_drv.c))
BENCH_PROGRAMS := $(BUILD)/tests/bench/load $(BUILD)/tests/bench/bare_echo $(BUILD)/tests/bench/c_node
BENCH_EBIN := $(BUILD)/tests/bench/ebin
ERL_SRC := $(wildcard proto/erlang/src/*.erl)
EBIN := $(BUILD)/erlang/porthost/ebin
TEST_EBIN := $(BUILD)/tests/ebin
TEST_ERL := $(wildcard tests/e2e/*.erl tests/parity/*.erl tests/soak/*.erl tests/soak/mixed/*.erl tests/hostile/*.erl)

obj = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))
LIB_OBJ := $(call obj,$(filter-out daemon/main.c,$(DAEMON_SRC)) $(PROTO_SRC))
FUZZ_TARGETS := $(patsubst tests/fuzz/fuzz_%.c,$(BUILD)/tests/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c))
# What is linked around a target: libFuzzer, or what runs kept inputs again.
FUZZ_MAIN := $(if $(filter fuzz,$(SANITIZER)),-fsanitize=fuzzer,$(BUILD)/obj/tests/fuzz/replay.o)
UNIT_TESTS := $(patsubst tests/unit/%.c,$(BUILD)/tests/unit/%,$(UNIT_SRC))

DAEMON_LIBS := -L$(ERL_LIB) -lei -levent_core -levent_extra -levent_pthreads -ljansson -lnettle -lsystemd -lelf -lz -ldl
CLI_LIBS := -L$(ERL_LIB) -lei -ljansson -lnettle -ledit -lelf -lm
# What is shared with the daemon: the rules of which drivers are loaded, and how addresses are written.
CLI_OBJ := $(call obj,$(CLI_SRC) $(PROTO_SRC) $(addprefix daemon/,driver/entry.c driver/path.c driver/settings.c base/address.c base/list.c base/mem.c base/reserve.c base/log.c base/trust.c))

# Where make install puts things: /usr for packages. The Erlang application is found by code:lib_dir(porthost) there.
PREFIX ?= /usr/local
DESTDIR ?=
SYSCONFDIR ?= /etc
UNITDIR ?= $(PREFIX)/lib/systemd/system
ERLANG_LIBDIR ?= $(ERL_ROOT)/lib

.PHONY: all daemon ctl drivers erlang test-programs fuzz-programs deps demo test test-faults test-valgrind bench soak install uninstall deb fuzz model lint coverage format clean

all: $(BUILD)/porthostd $(BUILD)/porthostctl $(DRIVERS) erlang

# --- from nothing: packages first, then a make of its own that sees what they brought ---

deps:
	@scripts/install-deps

demo: deps
	@$(MAKE) --no-print-directory all
	@scripts/demo $(BUILD)

test:
	@scripts/install-deps test
	@$(MAKE) --no-print-directory all test-programs
	@scripts/test $(BUILD)

# The comparison with the VM, the daemon under valgrind; takes longer than make test may.
test-valgrind: deps
	@$(MAKE) --no-print-directory all test-programs
	@scripts/test-valgrind $(BUILD)

# The system fails the daemon in every way, for an hour or so: see scripts/test-faults.
test-faults:
	@scripts/install-deps test
	@$(MAKE) --no-print-directory all test-programs
	@scripts/test-faults $(BUILD)

bench:
	@scripts/install-deps bench
	@$(MAKE) --no-print-directory all bench-programs
	@scripts/bench $(BUILD)

# Each target for FUZZ_SECONDS, FUZZ_JOBS of them at a time; build/fuzz-report.txt has the table.
fuzz:
	@scripts/install-deps fuzz
	@$(MAKE) --no-print-directory SANITIZER=fuzz drivers fuzz-programs
	@$(MAKE) --no-print-directory SANITIZER=afl daemon
	@scripts/fuzz build-fuzz build-afl/porthostd $(FUZZ_SECONDS) $(FUZZ_JOBS)

# The models of how locks and ports are handed over, searched completely; some minutes.
model:
	@scripts/install-deps model
	@scripts/model $(BUILD)

# SOAK_SECONDS: how long the mixed load takes, and each case may take
soak:
	@scripts/install-deps soak
	@$(MAKE) --no-print-directory all test-programs
	@scripts/soak $(BUILD)

# --- installation ---

install uninstall: export PREFIX := $(PREFIX)
install uninstall: export DESTDIR := $(DESTDIR)
install uninstall: export VERSION := $(VERSION)
install uninstall: export SYSCONFDIR := $(SYSCONFDIR)
install uninstall: export UNITDIR := $(UNITDIR)
install uninstall: export ERLANG_LIBDIR := $(ERLANG_LIBDIR)

install: all
	@scripts/install $(BUILD) install

uninstall:
	@scripts/install $(BUILD) uninstall

# build/deb/*.deb, and a test of it that installs and purges it: as root
deb:
	@scripts/install-deps deb
	@scripts/build-deb
	@tests/e2e/deb_test.sh
	@tests/e2e/systemd/deb_test.sh

# make test in a build that counts what is run, but for what scripts/test runs in one that is to be installed: see scripts/coverage.
coverage:
	@scripts/install-deps test coverage
	@$(MAKE) --no-print-directory SANITIZER=coverage all test-programs
	@scripts/coverage build-coverage

lint:
	@scripts/install-deps lint
	@$(MAKE) --no-print-directory erlang $(BUILD)/gen/api_functions.h
	@scripts/lint $(BUILD)

# The lines that have changed since the last commit, as .clang-format has it.
format:
	@scripts/install-deps format
	@git clang-format --style=file --extensions c,h

# --- C ---

$(BUILD)/obj/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS_ALL) -DPH_VERSION='"$(VERSION)"' -DPH_ERTS_VERSION='"$(ERTS_VERSION)"' -DPH_OTP_RELEASE='"$(OTP_RELEASE)"' $(CFLAGS_ALL) $(LTO_COMPILE) -fPIE -c -o $@ $<

ifeq ($(SANITIZER),coverage)
$(LIB_OBJ): | $(BUILD)/obj/tests/counted_exit.o
endif

$(BUILD)/libporthost.a: $(LIB_OBJ)
	@rm -f $@
	@ar rcs $@ $^

$(BUILD)/porthostd: $(call obj,$(DAEMON_SRC) $(PROTO_SRC)) daemon/exports.list
	$(Q)$(CC) $(LDFLAGS_ALL) $(LTO_LINK) -pie -Wl,--dynamic-list=daemon/exports.list -o $@ $(filter %.o,$^) $(DAEMON_LIBS)

# The functions that drivers may use, for check; those behind the R12 comment are marked.
$(BUILD)/gen/api_functions.h: daemon/exports.list
	@mkdir -p $(@D)
	@awk '/R12/ { old = 1 } /^ *[a-z_0-9]+;/ { sub(/;/, ""); printf "X(\"%s\", %d)\n", $$1, old }' $< > $@

$(BUILD)/obj/proto/cli/check/symbols.o: CPPFLAGS_ALL += -I$(BUILD)/gen
$(BUILD)/obj/proto/cli/check/symbols.o: $(BUILD)/gen/api_functions.h

$(BUILD)/porthostctl: $(CLI_OBJ)
	$(Q)$(CC) $(LDFLAGS_ALL) -pie -o $@ $^ $(CLI_LIBS)

UNIT_CLI := $(addprefix $(BUILD)/tests/unit/check_,link term)

$(UNIT_CLI): $(BUILD)/tests/unit/%: tests/unit/%.c $(filter-out $(call obj,proto/cli/main.c),$(CLI_OBJ))
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS_ALL) -DPH_VERSION='"$(VERSION)"' $(CFLAGS_ALL) -fPIE -o $@ $(filter %.c %.o,$^) $(LDFLAGS_ALL) -pie $(CLI_LIBS) -lcheck_pic -lrt -lm -lsubunit

$(BUILD)/tests/unit/%: tests/unit/%.c $(BUILD)/libporthost.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS_ALL) -DPH_ERTS_VERSION='"$(ERTS_VERSION)"' -DPH_OTP_RELEASE='"$(OTP_RELEASE)"' $(CFLAGS_ALL) -fPIE -o $@ $< $(filter %.a,$^) $(LDFLAGS_ALL) -pie -lcheck_pic -lrt -lm -lsubunit $(DAEMON_LIBS)

$(BUILD)/tests/parity/%: tests/parity/%.c $(BUILD)/libporthost.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) -fPIE -o $@ $< $(filter %.a,$^) $(LDFLAGS_ALL) -pie $(DAEMON_LIBS)

# Those of porthostctl's parsers; the others are the daemon's, and drivers bind to their functions.
FUZZ_CLI := $(addprefix $(BUILD)/tests/fuzz/,etf term script recording)

$(FUZZ_CLI): $(BUILD)/tests/fuzz/%: $(BUILD)/obj/tests/fuzz/fuzz_%.o $(BUILD)/obj/tests/fuzz/replay.o $(filter-out $(call obj,proto/cli/main.c),$(CLI_OBJ))
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $(filter-out %/replay.o,$^) $(FUZZ_MAIN) $(CLI_LIBS)

# Scripts include no other files of this machine (fuzz_script.c).
$(BUILD)/tests/fuzz/script: FUZZ_MAIN += -Wl,--wrap=fopen
# Nobody waits for a goodbye that comes late (fuzz_hello.c).
$(BUILD)/tests/fuzz/hello: FUZZ_MAIN += -Wl,--wrap=ph_backoff_failed
$(filter $(BUILD)/tests/fuzz/conn $(BUILD)/tests/fuzz/hello,$(FUZZ_TARGETS)): $(BUILD)/obj/tests/fuzz/host.o

$(filter-out $(FUZZ_CLI),$(FUZZ_TARGETS)): $(BUILD)/tests/fuzz/%: $(BUILD)/obj/tests/fuzz/fuzz_%.o $(BUILD)/obj/tests/fuzz/replay.o $(LIB_OBJ)
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS_ALL) -Wl,--dynamic-list=daemon/exports.list -o $@ $(filter-out %/replay.o,$^) $(FUZZ_MAIN) $(DAEMON_LIBS)

# Every kind of request, and of hello over TCP, while memory runs out; the fuzz targets conn and hello are what they run. What allocates within shared libraries is wrapped where it is called.
FAILING := malloc calloc realloc strndup realpath inflateInit_
MEMORY_TESTS := $(BUILD)/tests/faults/memory_conn $(BUILD)/tests/faults/memory_hello
$(BUILD)/tests/faults/memory_hello: LDFLAGS_ALL += -Wl,--wrap=ph_backoff_failed
$(MEMORY_TESTS): $(BUILD)/tests/faults/memory_%: $(BUILD)/obj/tests/faults/memory.o $(BUILD)/obj/tests/fuzz/fuzz_%.o $(BUILD)/obj/tests/fuzz/host.o $(LIB_OBJ)
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS_ALL) $(addprefix -Wl$(comma)--wrap=,$(FAILING)) -Wl,--dynamic-list=daemon/exports.list -o $@ $^ $(DAEMON_LIBS)

$(BUILD)/tests/fuzz/dictionary: $(BUILD)/obj/tests/fuzz/dictionary.o $(LIB_OBJ)
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(DAEMON_LIBS)

# Drivers see nothing but erl_driver.h (and ei); they are also what the VM loads, so no sanitizer.
DRIVER_CFLAGS := -std=c11 -O2 -g $(WARN) -D_GNU_SOURCE -fPIC -isystem $(ERL_INCLUDE) -pthread -MMD -MP

$(BUILD)/drivers/%.so: drivers/%.c Makefile
	@mkdir -p $(@D)
	$(Q)$(CC) $(DRIVER_CFLAGS) -shared -o $@ $< -L$(ERL_LIB) -Wl,--exclude-libs,ALL -lei

$(BUILD)/tests/drivers/%.so: tests/drivers/%.c Makefile
	@mkdir -p $(@D)
	$(Q)$(CC) $(DRIVER_CFLAGS) -shared -o $@ $< -L$(ERL_LIB) -Wl,--exclude-libs,ALL -lei

$(BUILD)/tests/preload/%.so: tests/preload/%.c Makefile
	@mkdir -p $(@D)
	$(Q)$(CC) -std=c11 -O2 -g $(WARN) -D_GNU_SOURCE $(if $(SANITIZER),-DPH_SANITIZER) -fPIC -pthread -MMD -MP -shared -o $@ $<

# The benchmark's own programs stand for what others would write: no daemon code in them.
$(BUILD)/tests/bench/load: $(call obj,$(wildcard tests/bench/load*.c))
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS_ALL) -pie -o $@ $^ -L$(ERL_LIB) -lei

# It shares what speaks to a daemon with the load generator.
$(BUILD)/tests/soak/soak: $(call obj,$(wildcard tests/soak/*.c) $(addprefix tests/bench/,load_link.c load_host.c load_stat.c))
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS_ALL) -pie -o $@ $^ -L$(ERL_LIB) -lei

# The same, for the good clients beside the hostile ones.
$(BUILD)/tests/hostile/hostile: $(call obj,$(wildcard tests/hostile/*.c) $(addprefix tests/bench/,load_link.c load_host.c load_stat.c))
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS_ALL) -pie -o $@ $^ -L$(ERL_LIB) -lei -levent_core -lz

$(BUILD)/tests/bench/bare_echo $(BUILD)/tests/bench/c_node: $(BUILD)/tests/bench/%: $(BUILD)/obj/tests/bench/%.o
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS_ALL) -pie -o $@ $^ -L$(ERL_LIB) -lei

$(BUILD)/tests/bench/drivers/%.so: tests/bench/drivers/%.c Makefile
	@mkdir -p $(@D)
	$(Q)$(CC) $(DRIVER_CFLAGS) -shared -o $@ $<

drivers: $(DRIVERS)
daemon: $(BUILD)/porthostd
ctl: $(BUILD)/porthostctl

test-programs: $(UNIT_TESTS) $(FUZZ_TARGETS) $(BUILD)/tests/parity/term_build_port $(TEST_DRIVERS) $(TEST_EBIN)/.built $(BUILD)/tests/bench/load $(BENCH_DRIVERS)

fuzz-programs: $(FUZZ_TARGETS) $(BUILD)/tests/fuzz/dictionary $(TEST_DRIVERS)
test-programs: $(UNIT_TESTS) $(BUILD)/tests/parity/term_build_port $(TEST_DRIVERS) $(TEST_EBIN)/.built $(BUILD)/tests/bench/load $(BUILD)/tests/soak/soak $(BUILD)/tests/hostile/hostile $(BENCH_DRIVERS)
test-programs: $(PRELOADS) $(MEMORY_TESTS)

bench-programs: $(BENCH_PROGRAMS) $(BENCH_DRIVERS) $(BENCH_EBIN)/.built

# --- Erlang ---

erlang: $(EBIN)/.built

$(EBIN)/.built: $(ERL_SRC) $(wildcard proto/erlang/src/*.hrl) proto/erlang/src/porthost.app.src Makefile
	@mkdir -p $(@D)
	erlc +debug_info +warnings_as_errors -o $(@D) $(ERL_SRC)
	@sed 's/{vsn, *"[^"]*"}/{vsn, "$(VERSION)"}/' proto/erlang/src/porthost.app.src > $(@D)/porthost.app
	@touch $@

$(TEST_EBIN)/.built: $(TEST_ERL) $(wildcard tests/parity/*.hrl tests/e2e/*.hrl) $(EBIN)/.built
	@mkdir -p $(@D)
	erlc +debug_info -pa $(EBIN) -I tests/parity -o $(@D) $(TEST_ERL)
	@touch $@

$(BENCH_EBIN)/.built: $(wildcard tests/bench/*.erl tests/bench/*.hrl) $(EBIN)/.built
	@mkdir -p $(@D)
	erlc +debug_info +warnings_as_errors -pa $(EBIN) -o $(@D) $(wildcard tests/bench/*.erl)
	@touch $@

clean:
	rm -rf build build-debug build-address build-undefined build-thread build-fuzz build-afl build-coverage

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
