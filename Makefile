# stead: cluster HA for KVM. One Makefile, not recursive. `make help` lists the targets.
#
#   make                     programs in build/
#   make SAN=1 …             the same with ASan and UBSan, in build-san/
#   make CC=clang …          the same with clang, in build-clang/

PREFIX     ?= /usr/local
SYSTEMD    ?= $(PREFIX)/lib/systemd/system
DOC        ?= $(PREFIX)/share/doc/stead
HOOKS      := /etc/libvirt/hooks/qemu.d# libvirt knows no other, and its AppArmor profile runs none elsewhere
SAN        ?=
FUZZ       ?=
ifneq ($(FUZZ),)
override CC := clang
endif
VARIANT    := $(if $(findstring clang,$(CC)),-clang)$(if $(SAN),-san)$(if $(FUZZ),-fuzz)
B          := build$(VARIANT)
.DEFAULT_GOAL := all

ROOMS      := proto storage fencing migration agent
SOURCES    := $(foreach room,$(ROOMS),$(wildcard $(room)/*.c $(room)/*/*.c))
# Files that may touch the world; every other one is pure, and `make purity` proves it.
EDGE       := $(filter-out %main.c,$(filter %_io.c,$(SOURCES)))
PURE       := $(filter-out $(EDGE) %main.c,$(SOURCES))
SIM        := $(filter-out %main.c,$(wildcard tests/sim/*.c))
UNIT       := $(patsubst tests/unit/%.c,$(B)/tests/%,$(wildcard tests/unit/test_*.c))
EDGE_TESTS := $(patsubst tests/edge/%.c,$(B)/tests/%,$(wildcard tests/edge/test_*.c))
CONFORM    := $(filter $(B)/tests/test_conform_%,$(EDGE_TESTS)) # these ask the simulator's world as well
FUZZERS    := $(patsubst tests/fuzz/%.c,$(B)/tests/%,$(wildcard tests/fuzz/fuzz_*.c))
BENCH      := $(patsubst tests/bench/%.c,$(B)/tests/bench_%,$(wildcard tests/bench/*.c))

LIBS       := libcpg libquorum libvotequorum libcmap libcfg libqb libvirt libprotobuf-c libsystemd jansson smartcols libxml-2.0
WARNINGS   := -Wall -Wextra -Wconversion -Wshadow -Wswitch-enum -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wundef -Werror
CFLAGS     ?= -O2 -g
override CFLAGS += -std=gnu17 $(WARNINGS) -fno-common -pthread -MMD -MP -I. -I$(B) -D_FORTIFY_SOURCE=2 -fstack-protector-strong
override CFLAGS += $(filter-out -I/usr/include,$(subst -I,-isystem ,$(shell pkg-config --cflags $(LIBS) 2>/dev/null)))
# Each program loads only the libraries it uses: `stead` neither Ceph's nor libvirt's.
override LDFLAGS += -Wl,--as-needed
LDLIBS_EDGE = $(shell pkg-config --libs $(LIBS)) -linih -lfreeipmi -lrados -lrbd -pthread
ifneq ($(SAN),)
override CFLAGS += -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
override CFLAGS := $(filter-out -D_FORTIFY_SOURCE=2,$(CFLAGS))
override LDFLAGS += -fsanitize=address,undefined
endif
ifneq ($(FUZZ),)
override CFLAGS += -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
override CFLAGS := $(filter-out -D_FORTIFY_SOURCE=2,$(CFLAGS))
override LDFLAGS += -fsanitize=fuzzer,address,undefined
endif

CLI_TESTS  := $(patsubst tests/cli/%.c,$(B)/tests/cli_%,$(wildcard tests/cli/*.c))
MAN        := $(patsubst docs/man/%.scd,$(B)/man/%,$(wildcard docs/man/*.scd))

PROTO_C    := $(patsubst %.proto,$(B)/%.pb-c.c,$(wildcard proto/*.proto))
LIB_PURE   := $(B)/libstead-core.a
LIB_EDGE   := $(B)/libstead-edge.a
LIB_SIM    := $(B)/libstead-sim.a
BIN        := $(addprefix $(B)/,stead-agent stead stead-sim stead-bmc stead-state stead-hook stead-keeper)

all: $(BIN)                        ## build the programs: stead-agent, stead, stead-sim

$(B)/%.o: %.c
	@mkdir -p $(@D)
	@echo "  CC      $<"
	@$(CC) $(CFLAGS) -c -o $@ $<

$(PROTO_C): $(B)/%.pb-c.c: %.proto
	@mkdir -p $(@D)
	@echo "  PROTOC  $<"
	@protoc-c --c_out=$(B) $<
$(PROTO_C:.c=.h): %.h: %.c ;
$(PROTO_C:.c=.o): %.o: %.c
	@$(CC) $(filter-out -W%,$(CFLAGS)) -c -o $@ $<

$(LIB_PURE): $(PURE:%.c=$(B)/%.o)
	@rm -f $@; $(AR) rcs $@ $^
$(LIB_EDGE): $(EDGE:%.c=$(B)/%.o) $(PROTO_C:.c=.o)
	@rm -f $@; $(AR) rcs $@ $^
$(patsubst %.c,$(B)/%.o,$(EDGE) $(wildcard agent/*main.c agent/*/*main.c tests/edge/*.c tests/cli/*.c tests/bench/*.c tests/fuzz/*.c)): | $(PROTO_C:.c=.h)

$(B)/stead-agent: $(B)/agent/agent_main.o $(LIB_EDGE) $(LIB_PURE)
	@echo "  LD      $@"
	@$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS_EDGE)
$(B)/stead: $(B)/agent/cli/stead_main.o $(LIB_EDGE) $(LIB_PURE)
	@echo "  LD      $@"
	@$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS_EDGE)
$(B)/stead-state: $(B)/agent/state_main.o $(LIB_EDGE) $(LIB_PURE)
	@echo "  LD      $@"
	@$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS_EDGE)
$(B)/stead-bmc: $(B)/fencing/bmc_main.o $(B)/proto/clock_io.o
	@echo "  LD      $@"
	@$(CC) $(LDFLAGS) -o $@ $^ -lfreeipmi
$(LIB_SIM): $(SIM:%.c=$(B)/%.o)
	@rm -f $@; $(AR) rcs $@ $^
$(B)/stead-sim: $(B)/tests/sim/sim_main.o $(LIB_SIM) $(LIB_PURE)
	@echo "  LD      $@"
	@$(CC) $(LDFLAGS) -o $@ $^ -ljansson
# Static, so that its locked memory is its own and no library's; sanitizers want theirs shared.
$(B)/stead-keeper: $(patsubst %,$(B)/fencing/%.o,keeper_main keeper_selftest_io watchdog_io keeper) $(B)/proto/text.o $(B)/proto/clock_io.o
	@echo "  LD      $@"
	@$(CC) $(LDFLAGS) $(if $(SAN)$(FUZZ),,-static) -o $@ $^
$(B)/stead-hook: $(B)/migration/hook_main.o $(B)/proto/clock_io.o
	@echo "  LD      $@"
	@$(CC) $(LDFLAGS) -o $@ $^
# The tables of the code, for the pages: @commands@ in docs/man/stead.8.scd is `stead-tables commands`.
$(B)/stead-tables: $(B)/agent/cli/tables_main.o $(LIB_EDGE) $(LIB_PURE)
	@$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS_EDGE)
$(MAN): $(B)/man/%: docs/man/%.scd $(B)/stead-tables
	@mkdir -p $(@D)
	@echo "  SCDOC   $@"
	@awk '/^@[a-z]+@$$/ {gsub("@", ""); fflush(); if (system("$(B)/stead-tables " $$0) != 0) exit 1; next} {print}' \
	    $< >$@.scd && scdoc <$@.scd >$@.part && mv $@.part $@
$(UNIT): $(B)/tests/%: $(B)/tests/unit/%.o $(LIB_PURE)
	@mkdir -p $(@D)
	@$(CC) $(LDFLAGS) -o $@ $^ -lcmocka
$(filter-out $(CONFORM),$(EDGE_TESTS)): $(B)/tests/%: $(B)/tests/edge/%.o $(LIB_EDGE) $(LIB_PURE) | $(B)/stead-bmc $(B)/stead-hook
	@mkdir -p $(@D)
	@$(CC) $(LDFLAGS) -o $@ $^ -lcmocka $(LDLIBS_EDGE)
$(CONFORM): $(B)/tests/%: $(B)/tests/edge/%.o $(LIB_SIM) $(LIB_EDGE) $(LIB_PURE) | $(B)/stead-bmc
	@mkdir -p $(@D)
	@$(CC) $(LDFLAGS) -o $@ $^ -lcmocka $(LDLIBS_EDGE)
$(B)/tests/watchdog: tests/lab/watchdog/watchdog.c # the lab's device, for test_keeper_device
	@mkdir -p $(@D)
	@$(CC) -O2 -o $@ $< $(shell pkg-config --cflags --libs fuse3)
$(BENCH): $(B)/tests/bench_%: $(B)/tests/bench/%.o $(LIB_EDGE) $(LIB_PURE)
	@mkdir -p $(@D)
	@$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS_EDGE)
$(CLI_TESTS): $(B)/tests/cli_%: $(B)/tests/cli/%.o $(LIB_EDGE) $(LIB_PURE)
	@mkdir -p $(@D)
	@$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS_EDGE)
$(B)/tests/fuzz_scenario: $(patsubst %.c,$(B)/%.o,$(filter tests/sim/sim_parse% %/sim_words.c %/sim_values.c,$(SIM)))
$(FUZZERS): $(B)/tests/%: $(B)/tests/fuzz/%.o $(LIB_EDGE) $(LIB_PURE)
	@mkdir -p $(@D)
	@$(CC) $(LDFLAGS) -o $@ $(filter-out %.a,$^) $(filter %.a,$^) -lcmocka $(LDLIBS_EDGE)
$(B)/tests/corpus: $(B)/tests/fuzz/corpus.o $(LIB_EDGE) $(LIB_PURE)
	@mkdir -p $(@D)
	@$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS_EDGE)

unit-tests: $(UNIT)                ## build the unit tests
edge-tests: $(EDGE_TESTS)          ## build the edge tests
cli-tests: $(CLI_TESTS)            ## build what tests of the command need
fuzzers: $(FUZZERS)
corpus: $(B)/tests/corpus          ## write the fuzz targets' seeds anew
	@$< tests/fuzz/corpus
fuzz:                              ## run each fuzz target for a minute (FUZZ_SECONDS=N: for N seconds)
	@tests/fuzz/run --seconds $(or $(FUZZ_SECONDS),60)
mutants:                           ## does a test notice each single change to what decides? (MUTANTS="FILE… --sample N")
	@tests/mutants/run $(MUTANTS)
man: $(MAN)                        ## build the man pages
bench: $(BENCH)                    ## build the benchmarks

deps:                              ## install the Debian packages that build, tests and lab need
	@tests/deps.sh
check: deps                        ## all tests; ends with "N passed, N failed"
	@tests/check.sh
check-unit check-sim check-cli check-edge check-fuzz check-lab: ## one kind of test
	@tests/check.sh $(@:check-%=%)
check-long:                        ## the long runs (large swarm, failover benchmark)
	@tests/check.sh long
demo: deps                         ## a failover on a real cluster on this machine (KEEP=1 leaves it up)
	@tests/lab/demo
lab: all                           ## a real three-node cluster to play with; see tests/lab/README.md
	@tests/lab/lab up

format:                            ## clang-format over the tree
	@git ls-files '*.c' '*.h' | xargs -r clang-format -i
tidy:                              ## format, include arrows, lengths, shell
	@tests/tidy.sh
purity: $(LIB_PURE)                ## prove that the core touches nothing
	@tests/purity.sh $(LIB_PURE)

# What is installed, as SOURCE:TARGET:MODE; `uninstall` takes the same away. Folders that others use stay.
INSTALLED   = $(B)/stead-agent:$(PREFIX)/sbin/stead-agent:755 \
              $(B)/stead:$(PREFIX)/bin/stead:755 \
              $(B)/stead-sim:$(PREFIX)/bin/stead-sim:755 \
              $(B)/stead-bmc:$(PREFIX)/libexec/stead/stead-bmc:755 \
              $(B)/stead-state:$(PREFIX)/libexec/stead/stead-state:755 \
              $(B)/stead-hook:$(HOOKS)/stead:755 \
              $(B)/stead-keeper:$(PREFIX)/sbin/stead-keeper:755 \
              $(B)/stead-agent.service:$(SYSTEMD)/stead-agent.service:644 \
              $(B)/stead-keeper.service:$(SYSTEMD)/stead-keeper.service:644 \
              deploy/systemd/corosync.service.d/stead.conf:$(SYSTEMD)/corosync.service.d/stead.conf:644 \
              deploy/systemd/stead.catalog:$(PREFIX)/lib/systemd/catalog/stead.catalog:644 \
              deploy/completion/stead:$(PREFIX)/share/bash-completion/completions/stead:644 \
              $(B)/stead.conf:$(DOC)/stead.conf:644 \
              deploy/web.xml:$(DOC)/web.xml:644 \
              $(foreach d,$(wildcard docs/*.md docs/decisions/*.md),$(d):$(d:docs/%=$(DOC)/%):644) \
              $(foreach m,$(MAN),$(m):$(PREFIX)/share/man/man$(subst .,,$(suffix $(m)))/$(notdir $(m)):644)
$(B)/stead.conf: $(B)/stead-tables
	@$< example >$@.part && mv $@.part $@

install: all man $(B)/stead.conf   ## to DESTDIR and PREFIX
	@for unit in stead-agent stead-keeper; do \
	    sed 's,@sbindir@,$(PREFIX)/sbin,' deploy/systemd/$$unit.service.in >$(B)/$$unit.service || exit 1; done
	@for each in $(INSTALLED); do set -- $$(echo "$$each" | tr : ' '); \
	    install -D -m "$$3" "$$1" "$(DESTDIR)$$2" || exit 1; done
	@[ -n "$(DESTDIR)" ] || journalctl --update-catalog 2>/dev/null || true
	@echo "installed below $(DESTDIR)$(PREFIX)"
uninstall:                         ## take away what install put there
	@for each in $(INSTALLED); do set -- $$(echo "$$each" | tr : ' '); rm -f "$(DESTDIR)$$2"; done
	@rmdir $(DESTDIR)$(PREFIX)/libexec/stead $(DESTDIR)$(DOC)/decisions $(DESTDIR)$(DOC) $(DESTDIR)$(SYSTEMD)/corosync.service.d 2>/dev/null || true
clean:                             ## remove what was built
	rm -rf build build-san build-clang build-clang-san build-clang-fuzz build-mutants
help:                              ## this list
	@sed -n 's/^\([a-z -]*\):.*## \(.*\)/  \1\t\2/p' Makefile | expand -t 34

.PHONY: all fuzz fuzzers corpus mutants man unit-tests edge-tests cli-tests bench deps check check-unit check-sim check-edge check-lab check-long demo lab format tidy purity \
    install uninstall clean help
-include $(shell find $(B) -name '*.d' 2>/dev/null)
