# SPDX-License-Identifier: GPL-2.0-only
"""Guests in ring 0 of a machine: the module, the launcher and images, put where they are needed."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from build_guests import Builder
from guest_cache import default_root

from pywasmjit import kbuild, launch
from pywasmjit.vm import cache
from pywasmjit.vm.machine import Background, Machine, Result
from pywasmjit.vm.packages import Kernel
from pywasmjit.vm.ring0 import TOTALS, totals, wasm_module

ROOT = Path(__file__).resolve().parents[2]
HERE = "/tmp/ring0"
LAUNCHER = f"{HERE}/pywasmjit-launch"
PYWASMJIT = f"{HERE}/pywasmjit"
COMMAND = f"""\
#!/bin/sh
exec env PYTHONPATH=/project PYWASMJIT_LAUNCHER={LAUNCHER} python3 -m pywasmjit.cli "$@"
"""


def launcher() -> Path:
    """The launcher, rebuilt if its sources have changed."""
    subprocess.run(["make", "-s", "launcher"], cwd=ROOT, check=True, stdout=sys.stderr)
    return ROOT / "build" / "pywasmjit-launch"


def module_file(name: str) -> Path:
    """A guest in tests/guests, compiled to WebAssembly."""
    builder = Builder(default_root(), os.cpu_count() or 1, lambda line: print(line, file=sys.stderr))
    return next(builder.result(name).glob("*.wasm"))


def image(name: str) -> Path:
    """The image of a guest."""
    wasm = module_file(name).read_bytes()
    lowering = [path.read_bytes() for path in sorted((ROOT / "pywasmjit").glob("**/*.py"))]
    key = cache.digest([wasm, *lowering])
    out = cache.root().parent / "ring0" / "images" / f"{name}-{key}.img"
    out.parent.mkdir(parents=True, exist_ok=True)

    def build(staged: Path) -> None:
        staged.write_bytes(launch.lower(wasm, lambda text: None))

    return cache.build_once(out, build)


def native(guest: str) -> Path:
    """A guest in tests/guests, compiled by the C compiler."""
    source = ROOT / "tests" / "guests" / f"{guest}.c"
    command = ["gcc", "-O1", "-static", "-w", "-D_GNU_SOURCE", "-pthread", source, "-lm"]
    # The preprocessor's output names all that goes into it.
    text = subprocess.run([*command, "-E"], capture_output=True, check=True).stdout
    key = cache.digest([text, subprocess.run(["gcc", "--version"], capture_output=True, check=True).stdout])
    out = cache.root().parent / "ring0" / "native" / f"{guest}-{key}"
    out.parent.mkdir(parents=True, exist_ok=True)

    def build(staged: Path) -> None:
        staged.mkdir()
        subprocess.run([*command, "-o", staged / guest], check=True)

    return cache.build_once(out, build) / guest


class Ring0:
    """A machine in which guests run in the kernel."""

    def __init__(self, machine: Machine, kernel: Kernel) -> None:
        self.machine = machine
        self.kernel = kernel
        self._there: set[str] = set()
        machine.run(f"rm -rf {HERE}; mkdir -p {HERE}; chmod 1777 {HERE}", check=True)
        machine.copy_in(launcher(), HERE)
        self.module = machine.copy_in(wasm_module(kernel), HERE)
        machine.run(f"cat > {PYWASMJIT} <<'END'\n{COMMAND}END\nchmod 755 {PYWASMJIT}", check=True)
        self.leaks_are_found = machine.run("mount -t debugfs debugfs /sys/kernel/debug").status == 0 and not (
            machine.run("echo scan >/sys/kernel/debug/kmemleak && echo clear >/sys/kernel/debug/kmemleak").status
        )
        self.insert()

    def has_option(self, option: str) -> bool:
        """Is the kernel configured so?"""
        return option in kbuild.inspect_kernel(self.kernel.headers).options

    def insert(self) -> None:
        """Load the module; let everybody in, for the tests that are about users."""
        parameters = f"launcher={LAUNCHER} pywasmjit={PYWASMJIT}"
        self.machine.run(
            f"grep -q '^wasm ' /proc/modules || insmod {self.module} {parameters}; chmod 666 /dev/wasm", check=True
        )

    def remove(self) -> None:
        """rmmod, which fails while anything of a guest is left."""
        self.machine.run("rmmod wasm", check=True)

    @contextlib.contextmanager
    def pool(self, mib: int) -> Iterator[None]:
        """The module with more executable memory, for guests of many megabytes."""
        usual, large = self.module, wasm_module(self.kernel, pool_mb=mib)
        self.remove()
        self.module = self.machine.copy_in(large, f"{HERE}/pool")
        self.insert()
        try:
            yield
        finally:
            self.kill_guests()
            self.remove()
            self.module = usual
            self.insert()

    def need(self, option: str) -> None:
        """Skip the test on kernels that were configured without what it looks with."""
        if not self.has_option(option):
            pytest.skip(f"{self.kernel.release} has no {option}")

    def check_leaks(self) -> None:
        """With kmemleak, the debug kernel's: nothing was allocated that nobody refers to any more."""
        if not self.leaks_are_found:
            return
        # Reported are blocks of 5 s and more; what one scan finds may still be in a register.
        script = "for i in 1 2; do sleep 6; echo scan >/sys/kernel/debug/kmemleak; done; cat /sys/kernel/debug/kmemleak"
        leaks = self.machine.run(script, timeout=120, check=True).text
        assert not leaks, leaks

    def helper(self, name: str) -> str:
        """A module of tests/vm; where it is in the machine."""
        built = kbuild.build_module(
            self.kernel.headers, f"{name}.ko", source=Path(__file__).with_name(name),
            paths=("Kbuild", f"{name}.c"),
        )  # fmt: skip
        return self.machine.copy_in(built, HERE)

    def kill_guests(self) -> None:
        """End what a test that failed may have left."""
        self.machine.run("pkill -9 -x pywasmjit-launc; while pgrep -x pywasmjit-launc; do sleep 0.1; done", 20)

    def command(self, guest: str, *arguments: str, options: tuple[str, ...] = ()) -> list[str]:
        if guest not in self._there:
            there = self.machine.copy_in(image(guest), HERE)
            self.machine.run(f"mv {there} {HERE}/{guest}.img", check=True)
            self.machine.copy_in(module_file(guest), HERE)
            self._there.add(guest)
        wasm = f"{HERE}/{guest}.wasm"
        return [
            LAUNCHER, "--host=kernel", *options, f"--image={HERE}/{guest}.img", f"--wasm={wasm}", "--", wasm,
            *arguments,
        ]

    def run(self, guest: str, *arguments: str, timeout: float = 60) -> Result:
        return self.machine.run(self.command(guest, *arguments), timeout)

    def start(self, guest: str, *arguments: str) -> Background:
        return self.machine.popen(self.command(guest, *arguments))

    def native(self, guest: str, *arguments: str, timeout: float = 60) -> Result:
        """The same source, compiled by the C compiler for the machine."""
        return self.machine.run([self.native_program(guest), *arguments], timeout)

    def native_program(self, guest: str) -> str:
        """Where that is in the machine."""
        return self.machine.copy_in(native(guest), f"{HERE}/native")

    def totals(self) -> dict[str, int]:
        """/proc/wasm/totals, the numbers in it."""
        return totals(self.machine.run(f"cat {TOTALS}", check=True).text)

    def guests(self, reader: str = "") -> dict[int, dict[str, str]]:
        """/proc/wasm/guests by process id, as a command given as a prefix sees it."""
        head, *lines = self.machine.run(f"{reader} cat /proc/wasm/guests", check=True).text.splitlines()
        names = head.removeprefix("# ").split()
        rows = [dict(zip(names, line.split(" "), strict=True)) for line in lines]
        return {int(row["pid"]): row for row in rows}
