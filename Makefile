# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# The user side is built here; the module by Kbuild (kmod/Kbuild); both twice:
# natively by "make", and inside the lab's root by "make lab". "make help" tells
# what there is.

B       ?= build/native
KDIR    ?= /lib/modules/$(shell uname -r)/build
DESTDIR ?=
PREFIX  ?= /usr/local

CXX      ?= g++
PKGS     := libibverbs libefa
WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion \
            -Wnon-virtual-dtor -Wold-style-cast -Werror
OPT      ?= -O2 -g
SAN      ?=
# Sanitizers make gcc see paths that are none.
WARNINGS += $(if $(SAN),$(if $(findstring clang,$(CXX)),,-Wno-maybe-uninitialized))
CXXFLAGS += -std=c++20 $(OPT) $(WARNINGS) $(SAN) -ffile-prefix-map=$(CURDIR)/= -MMD -MP
CPPFLAGS += -Iinclude -isystem include/uapi -I.
LDFLAGS  += -Wl,-z,defs -Wl,--as-needed

l2_src      := $(wildcard lib/l2/*.cpp)
lib_src     := $(filter-out $(l2_src),$(wildcard lib/*.cpp lib/*/*.cpp))
tool_src    := $(wildcard tools/p2prdma/*.cpp)
daemon_src  := $(wildcard tools/p2prdmad/*.cpp)
lab_src     := $(wildcard tools/lab/*.cpp tools/lab/*/*.cpp)
unit_src    := $(wildcard tests/unit/*.cpp)
l2_test_src := $(wildcard tests/l2/*.cpp)
# Programs that scenarios run inside the machines: one source, one program.
guest_src   := $(wildcard tests/guest/*.cpp)
bench_src   := $(wildcard tests/bench/*.cpp)
example_src := $(wildcard examples/*.cpp)

obj = $(patsubst %.cpp,$(B)/obj/%.o,$(1))

lib_so  := $(B)/libp2prdma.so.0
l2_so   := $(B)/libp2prdma-l2.so.0
l2_libs := -lsodium -lxdp -lbpf
tool    := $(B)/p2prdma
# The daemon needs an rdma-core with queues and counters in dma-bufs, such as 65.
daemon  := $(if $(shell grep -s efadv_create_comp_cntr /usr/include/infiniband/efadv.h),$(B)/p2prdmad)
lab     := $(B)/p2prdma-lab
guest   := $(patsubst tests/guest/%.cpp,$(B)/guest/%,$(guest_src))
bench   := $(patsubst tests/bench/%.cpp,$(B)/bench/%,$(bench_src))
fuzz    := $(patsubst tests/fuzz/%.cpp,$(B)/fuzz/%,$(wildcard tests/fuzz/*.cpp))
example := $(patsubst examples/%.cpp,$(B)/examples/%,$(example_src))
unit    := $(B)/unit-tests
l2_test := $(B)/l2-tests

.PHONY: all
all: user kmod ## build module, library and command for this machine

.PHONY: user
user: $(lib_so) $(B)/libp2prdma.a $(l2_so) $(B)/libp2prdma-l2.a $(tool) $(daemon)

.PHONY: kmod
kmod:
	@scripts/build-kmod $(KDIR) $(B)/kmod $(KBUILD_ARGS)

# Everything that the lab needs; meant to run inside the lab's root.
.PHONY: lab-user
lab-user: user $(lab) $(guest) $(unit) $(l2_test) $(bench) $(example)

$(B)/obj/lib/%.o: CXXFLAGS += -fPIC -fvisibility=hidden -fno-semantic-interposition
$(B)/obj/%.o: %.cpp Makefile
	@mkdir -p $(@D)
	$(if $(V),,@echo "  CXX     $<" &&) $(CXX) $(CPPFLAGS) $(CXXFLAGS) -c -o $@ $<

$(lib_so): $(call obj,$(lib_src))
	$(if $(V),,@echo "  LD      $@" &&) $(CXX) $(SAN) -shared -Wl,-soname,$(@F) $(LDFLAGS) -o $@ $^ -libverbs -lefa
	@ln -sf $(@F) $(B)/libp2prdma.so

$(B)/libp2prdma.a: $(call obj,$(lib_src))
	@rm -f $@
	$(if $(V),,@echo "  AR      $@" &&) $(AR) rcs $@ $^

$(l2_so): $(call obj,$(l2_src)) $(lib_so)
	$(if $(V),,@echo "  LD      $@" &&) $(CXX) $(SAN) -shared -Wl,-soname,$(@F) $(LDFLAGS) -o $@ \
		$(call obj,$(l2_src)) -L$(B) -lp2prdma '-Wl,-rpath,$$ORIGIN' $(l2_libs) -lpthread
	@ln -sf $(@F) $(B)/libp2prdma-l2.so

$(B)/libp2prdma-l2.a: $(call obj,$(l2_src))
	@rm -f $@
	$(if $(V),,@echo "  AR      $@" &&) $(AR) rcs $@ $^

# The archive has what only this project calls: the codec of frames. All else is in the libraries.
$(tool): $(call obj,$(tool_src)) $(lib_so) $(l2_so) $(B)/libp2prdma-l2.a
	$(if $(V),,@echo "  LD      $@" &&) $(CXX) $(SAN) $(LDFLAGS) -o $@ $(call obj,$(tool_src)) -L$(B) -lp2prdma-l2 -lp2prdma \
		$(B)/libp2prdma-l2.a '-Wl,-rpath,$$ORIGIN' -libverbs -lefa -lmd -lpthread

$(daemon): $(call obj,$(daemon_src)) $(lib_so)
	$(if $(V),,@echo "  LD      $@" &&) $(CXX) $(SAN) $(LDFLAGS) -o $@ $(call obj,$(daemon_src)) -L$(B) -lp2prdma \
		'-Wl,-rpath,$$ORIGIN' -libverbs -lefa

# What an application does: the libraries, and nothing else of the project.
$(example): $(B)/examples/%: $(B)/obj/examples/%.o $(lib_so) $(l2_so)
	@mkdir -p $(@D)
	$(if $(V),,@echo "  LD      $@" &&) $(CXX) $(SAN) $(LDFLAGS) -o $@ $< -L$(B) -lp2prdma-l2 -lp2prdma \
		'-Wl,-rpath,$$ORIGIN/..' -lmd

$(lab): $(call obj,$(lab_src))
	$(if $(V),,@echo "  LD      $@" &&) $(CXX) $(SAN) $(LDFLAGS) -o $@ $^

# A unit test may use any object: library, command, daemon and lab, but for their main().
unit_deps := $(filter-out %/main.o,$(call obj,$(lib_src) $(l2_src) $(tool_src) $(daemon_src) $(lab_src)))
$(unit): $(call obj,$(unit_src)) $(unit_deps)
	$(if $(V),,@echo "  LD      $@" &&) $(CXX) $(SAN) $(LDFLAGS) -o $@ $^ -lCatch2Main -lCatch2 -libverbs -lefa -lmd $(l2_libs) -lpthread

# Of the transport over Ethernet frames; ONLY="wire port" links the tests of these alone.
l2_tested := $(if $(ONLY),$(foreach one,$(ONLY),$(wildcard tests/l2/$(one)*.cpp)),$(l2_test_src))
$(l2_test): $(call obj,$(l2_tested)) $(call obj,$(l2_src)) $(call obj,$(lib_src))
	$(if $(V),,@echo "  LD      $@" &&) $(CXX) $(SAN) $(LDFLAGS) -o $@ $^ -lCatch2Main -lCatch2 -libverbs -lefa $(l2_libs) -lpthread

# Fuzzers, of clang's libFuzzer: CXX=clang++ and the sanitizer fuzzer-no-link; see tests/fuzz/run.
fuzz_deps := $(patsubst %,$(B)/obj/tests/l2/%.o,engine_target golden_frames frame_check)
$(fuzz): $(B)/fuzz/%: $(B)/obj/tests/fuzz/%.o $(fuzz_deps) $(call obj,$(l2_src) $(lib_src))
	@mkdir -p $(@D)
	$(if $(V),,@echo "  LD      $@" &&) $(CXX) $(SAN) -fsanitize=fuzzer $(LDFLAGS) -o $@ $^ -libverbs -lefa $(l2_libs) -lpthread

# Programs for the machines may use the command's objects, too.
$(B)/tool.a: $(filter-out %/main.o,$(call obj,$(tool_src)))
	@rm -f $@
	$(if $(V),,@echo "  AR      $@" &&) $(AR) rcs $@ $^

# l2_raw measures the drivers below the library's surface.
$(B)/bench/l2_raw: $(B)/libp2prdma-l2.a
$(B)/bench/l2_raw: inner := $(B)/libp2prdma-l2.a $(l2_libs)
$(guest) $(bench): $(B)/%: $(B)/obj/tests/%.o $(B)/tool.a $(lib_so) $(l2_so)
	@mkdir -p $(@D)
	$(if $(V),,@echo "  LD      $@" &&) $(CXX) $(SAN) $(LDFLAGS) -o $@ $< $(B)/tool.a $(inner) -L$(B) -lp2prdma-l2 -lp2prdma \
		'-Wl,-rpath,$$ORIGIN/..' -lCatch2Main -lCatch2 -libverbs -lefa -lmd -lpthread

-include $(shell find $(B)/obj -name '*.d' 2>/dev/null)

.PHONY: fuzzers
fuzzers: $(fuzz)

# --- the lab ---------------------------------------------------------------

in_root := scripts/in-root

.PHONY: setup
setup: ## install and make what the lab needs (once; takes some minutes)
	@scripts/host-needs
	@scripts/lab-root
	@scripts/lab-build

.PHONY: lab
lab: setup

.PHONY: shell
shell: setup ## a shell in a lab machine; MACHINE=two-ports/ivshmem, and more: Documentation/lab.rst
	@$(in_root) tools/lab/lab shell $(MACHINE)

.PHONY: demo
demo: setup ## two hosts, two cards; the cards exchange a file while the hosts stand still; FILE=path
	@scripts/demo "$$FILE"

.PHONY: demo-l2
demo-l2: setup ## a file crosses in Ethernet frames without IP, under loss and page faults; no machines
	@scripts/demo-l2

.PHONY: check
check: setup ## all tests but the long ones
	@scripts/check

.PHONY: check-long
check-long: setup ## what takes longer
	@scripts/check --long

.PHONY: fuzz
fuzz: setup ## fuzzers of what comes from the wire; SECONDS=60 each
	@$(in_root) tests/fuzz/run "$(SECONDS)"

.PHONY: lint
lint: setup ## licences, format, clang-tidy, shellcheck, checkpatch
	@scripts/lint

.PHONY: bench
bench: setup ## measurements into build/bench/*.json
	@scripts/bench

# --- installing ------------------------------------------------------------

.PHONY: install
install: ## install what "make" built; DESTDIR and PREFIX as usual
	@scripts/install $(B) $(KDIR) "$(DESTDIR)" "$(PREFIX)"

.PHONY: clean
clean: ## remove what was compiled; keeps the lab's root
	rm -rf build/native build/lab build/asan build/tsan build/run build/check build/demo build/bench build/lint

.PHONY: distclean
distclean: ## remove everything below build/
	rm -rf build

.PHONY: help
help: ## this text
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14
