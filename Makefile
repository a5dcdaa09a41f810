# SPDX-License-Identifier: GPL-2.0-only
# `make help` lists the targets.  Everything that is built goes to build/ or to a cache.

SHELL := /bin/bash
BUILD := build
VENV := $(BUILD)/venv
PYTHON := $(VENV)/bin/python
CC := gcc
HOST ?= auto
PREFIX ?= /usr/local

.PHONY: help
help:
	@sed -n 's/^## //p' $(MAKEFILE_LIST)

# ---------------------------------------------------------------------------- set-up

## setup          install what is missing (apt as root, pip into build/venv), build the launcher
.PHONY: setup
setup: $(VENV)/.stamp launcher

$(VENV)/.stamp: pyproject.toml scripts/setup.sh scripts/packages.txt
	@scripts/setup.sh $(VENV)
	@touch $@

# ---------------------------------------------------------------------------- the launcher

CORE_SOURCES := $(wildcard kmod/core/*.c)
HOST_SOURCES := $(wildcard kmod/host/*.c)
USER_SOURCES := $(wildcard kmod/user/*.c) kmod/user/start.S
LAUNCHER_SOURCES := $(CORE_SOURCES) $(HOST_SOURCES) $(USER_SOURCES)
LAUNCHER_OBJECTS := $(patsubst kmod/%,$(BUILD)/launcher/%.o,$(LAUNCHER_SOURCES))
HEADERS := $(wildcard kmod/*/*.h kmod/*/*.def)

WARNINGS := -Wall -Wextra -Werror
VERSION := $(shell sed -n 's/^__version__ = "\(.*\)"$$/\1/p' pywasmjit/__init__.py)
# No libc: what is linked is what is here.  Low and not position independent, so that guest code,
# which lives in the low 2 GiB too, reaches it with rel32 calls.  In as few segments as can be: fork
# copies each one's vm_area_struct.
LAUNCHER_CFLAGS := -std=gnu11 -O2 -g $(WARNINGS) -Wframe-larger-than=1536 -ffreestanding \
	-fno-stack-protector -fno-pie -fcf-protection=none -ffunction-sections \
	-Ikmod/user -Ikmod/core -Ikmod/host -DWJ_VERSION='"$(VERSION)"'

## launcher       build the launcher (build/pywasmjit-launch), the user-space host
.PHONY: launcher
launcher: $(BUILD)/pywasmjit-launch

$(BUILD)/pywasmjit-launch: $(LAUNCHER_OBJECTS)
	@echo "  LINK   $@"
	@$(CC) -nostdlib -static -no-pie -Wl,--gc-sections -Wl,-z,noexecstack -Wl,-z,noseparate-code -o $@ $^

$(BUILD)/launcher/%.c.o: kmod/%.c $(HEADERS) Makefile
	@mkdir -p $(@D)
	@echo "  CC     $<"
	@$(CC) $(LAUNCHER_CFLAGS) -c -o $@ $<

$(BUILD)/launcher/%.S.o: kmod/%.S Makefile
	@mkdir -p $(@D)
	@echo "  CC     $<"
	@$(CC) $(LAUNCHER_CFLAGS) -c -o $@ $<

## guests         build nginx, lua, sqlite3 and the test programs for WebAssembly (cached)
.PHONY: guests
guests: setup
	@$(PYTHON) scripts/build_guests.py nginx nginx-plain lua sqlite3 hello tests >/dev/null

# ---------------------------------------------------------------------------- the two commands

## run            set up, build nginx.wasm, serve a page with it (HOST=auto|kernel|user, ONCE=1, PORT=8080)
.PHONY: run
run: START := $(shell date +%s.%N)
run: setup
	@$(PYTHON) scripts/run_nginx.py --host $(HOST) --port $(or $(PORT),8080) --since $(START) $(if $(ONCE),--once)

## test           set up, check, and pass the tests: unit, encoding, verifier, official suite, user space
.PHONY: test
test: setup check guests
	scripts/timed.sh "make test" $(PYTHON) -m pytest -q -m "not long" tests/unit tests/encode tests/verify tests/fuzz tests/spec tests/e2e

E2E_IN_VM := $(addprefix tests/e2e/test_,nginx.py dns.py programs.py lua.py sqlite.py hostile_guests.py)

# On Debian's other kernels; all of it in test-long.
ON_OTHER_KERNELS := $(addprefix tests/vm/test_kernel_,guests.py nginx.py)

## test-vm        kernels in virtual machines; tests/e2e with its guests in ring 0
.PHONY: test-vm
test-vm: setup guests
	scripts/timed.sh "make test-vm" $(PYTHON) -m pytest -q tests/vm -m "not long"
	PYWASMJIT_TEST_KERNELS=6.12,5.10 scripts/timed.sh "make test-vm, other kernels" \
		$(PYTHON) -m pytest -q $(ON_OTHER_KERNELS) -m "not long" -k "nginx or hello or transcripts or traps"
	scripts/timed.sh "make test-vm, tests/e2e in ring 0" $(PYTHON) -m pytest -q $(E2E_IN_VM) --host=vm -m "not long"

## test-long      what takes long: soak, fuzzing, the debug kernel
.PHONY: test-long
test-long: setup guests
	scripts/timed.sh "make test-long" $(PYTHON) -m pytest -q -m long
	PYWASMJIT_TEST_KERNELS=5.10,6.12,6.1-rt,bookworm-backports,trixie-backports scripts/timed.sh \
		"make test-long, other kernels" $(PYTHON) -m pytest -q tests/vm/test_kernel_*.py -m "not long"
	for kernel in $$(echo $${PYWASMJIT_TEST_KERNELS:-6.1,6.12} | tr , ' '); do \
		scripts/timed.sh "make test-long, tests/e2e on $$kernel" \
			$(PYTHON) -m pytest -q tests/e2e --host=vm --kernel=$$kernel || exit; \
	done

## test-debug     the kernel tests on the debug kernel only (part of test-long)
.PHONY: test-debug
test-debug: setup guests
	PYWASMJIT_TEST_KERNELS=debug scripts/timed.sh "make test-debug" \
		$(PYTHON) -m pytest -q $(wildcard tests/vm/test_kernel_*.py) -m "not long"

## test-fresh     both commands of the README as a new user, in a fresh Debian (debootstrap)
.PHONY: test-fresh
test-fresh:
	scripts/timed.sh "make test-fresh" scripts/test_fresh.sh

## spec           the official WebAssembly test suite on both engines
.PHONY: spec
spec: setup
	$(PYTHON) -m pywasmjit.cli wast

# ---------------------------------------------------------------------------- fuzzing

MINUTES ?= 10
GENERATORS ?= own,smith,ttf

## fuzz           generated modules: JIT = interpreter = wasmtime (MINUTES=10, GENERATORS=own,smith,ttf, SEED=)
.PHONY: fuzz
fuzz: setup
	nice -n 19 $(PYTHON) -m tests.fuzz.differential --minutes $(MINUTES) --generators $(GENERATORS) \
		$(if $(SEED),--seed $(SEED))

## fuzz-verifier  libFuzzer on image parser and verifier, and what its inputs cover (MINUTES=10)
.PHONY: fuzz-verifier
fuzz-verifier: setup
	$(PYTHON) -m tests.fuzz.verifier --minutes $(MINUTES)

## mutate-rules   a test fails for each rule of the verifier, or this does
.PHONY: mutate-rules
mutate-rules: setup
	$(PYTHON) -m tests.verify.mutate_rules

# ---------------------------------------------------------------------------- checks

## generate       write the generated files again (instruction table, guest stubs, ABI)
.PHONY: generate
generate: setup
	$(PYTHON) scripts/gen_isa.py
	$(PYTHON) scripts/gen_guest.py
	$(PYTHON) scripts/gen_abi.py

## check          formatting, types, generated files, C style
.PHONY: check
check: setup
	$(PYTHON) -m ruff check .
	$(PYTHON) -m mypy
	$(PYTHON) scripts/gen_isa.py --check
	$(PYTHON) scripts/check_source.py

# ---------------------------------------------------------------------------- for others

## docs           man pages and bash completion, into build/man and build/completion
.PHONY: docs
docs: $(VENV)/.stamp
	@$(PYTHON) scripts/gen_docs.py --output $(BUILD)

## dist           Debian packages, wheel with the launcher, sdist and nginx.wasm, into dist/
.PHONY: dist
dist: setup
	@$(PYTHON) scripts/make_dist.py --output dist --launcher $(BUILD)/pywasmjit-launch

## install        install below PREFIX (/usr/local), or below DESTDIR for a package
.PHONY: install
install: setup
	@$(PYTHON) scripts/install.py --prefix $(PREFIX) --destdir $(or $(DESTDIR),/) install

## uninstall      remove all of that, and what the tool has made since
.PHONY: uninstall
uninstall: setup
	@$(PYTHON) scripts/install.py --prefix $(PREFIX) --destdir $(or $(DESTDIR),/) uninstall

.PHONY: clean
clean:
	rm -rf $(BUILD)

# ---------------------------------------------------------------------------- figures

## bench-quick    lua and sqlite3 under the JIT against native clang -O2
.PHONY: bench-quick
bench-quick: setup
	$(PYTHON) bench/quick.py

## bench-wasi     C, Rust and Go programs: starts, sizes, requests, against native builds and wasmtime
.PHONY: bench-wasi
bench-wasi: setup
	$(PYTHON) bench/wasi.py

## bench-nginx    nginx.wasm in user space under the JIT against native nginx: rates, CPU, memory
.PHONY: bench-nginx
bench-nginx: setup
	$(PYTHON) bench/nginx.py

## bench-ring0    instructions per operation of guests in ring 0 against native programs, in a virtual machine
.PHONY: bench-ring0
bench-ring0: setup
	$(PYTHON) bench/ring0.py --wall --memory --start
