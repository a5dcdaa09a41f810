# SPDX-License-Identifier: GPL-2.0-only
# `make help` lists the targets.  Everything that is built goes to build/ or to a cache.

SHELL := /bin/bash
BUILD := build
VENV := $(BUILD)/venv
PYTHON := $(VENV)/bin/python
CC := gcc
HOST ?= auto

.PHONY: help
help:
	@sed -n 's/^## //p' $(MAKEFILE_LIST)

# ---------------------------------------------------------------------------- set-up

## setup          install what is missing (apt as root, pip into build/venv), build the launcher
.PHONY: setup
setup: $(VENV)/.stamp launcher

$(VENV)/.stamp: pyproject.toml scripts/setup.sh
	scripts/setup.sh $(VENV)
	touch $@

# ---------------------------------------------------------------------------- the launcher

CORE_SOURCES := $(wildcard kmod/core/*.c)
HOST_SOURCES := $(wildcard kmod/host/*.c)
USER_SOURCES := $(wildcard kmod/user/*.c) kmod/user/start.S
LAUNCHER_SOURCES := $(CORE_SOURCES) $(HOST_SOURCES) $(USER_SOURCES)
LAUNCHER_OBJECTS := $(patsubst kmod/%,$(BUILD)/launcher/%.o,$(LAUNCHER_SOURCES))
HEADERS := $(wildcard kmod/*/*.h kmod/*/*.def)

WARNINGS := -Wall -Wextra -Werror
# No libc: what is linked is what is here.  Low and not position independent, so that guest code,
# which lives in the low 2 GiB too, reaches it with rel32 calls.
LAUNCHER_CFLAGS := -std=gnu11 -O2 -g $(WARNINGS) -Wframe-larger-than=1536 -ffreestanding \
	-fno-stack-protector -fno-pie -fcf-protection=none -ffunction-sections \
	-Ikmod/user -Ikmod/core -Ikmod/host

## launcher       build the launcher (build/pywasmjit-launch), the user-space host
.PHONY: launcher
launcher: $(BUILD)/pywasmjit-launch

$(BUILD)/pywasmjit-launch: $(LAUNCHER_OBJECTS)
	$(CC) -nostdlib -static -no-pie -Wl,--gc-sections -Wl,-z,noexecstack -o $@ $^

$(BUILD)/launcher/%.c.o: kmod/%.c $(HEADERS) Makefile
	@mkdir -p $(@D)
	$(CC) $(LAUNCHER_CFLAGS) -c -o $@ $<

$(BUILD)/launcher/%.S.o: kmod/%.S Makefile
	@mkdir -p $(@D)
	$(CC) $(LAUNCHER_CFLAGS) -c -o $@ $<

.PHONY: clean
clean:
	rm -rf $(BUILD)
