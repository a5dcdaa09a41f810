# SPDX-License-Identifier: GPL-2.0-only
"""`pywasmjit exec --both` where there are both: the same program in user space and in ring 0."""

from __future__ import annotations

import re
import shlex

import pytest
from ring0 import HERE, LAUNCHER, Ring0

from pywasmjit.vm.machine import Result
from pywasmjit.vm.ring0 import since


def both(ring0: Ring0, guest: str, *arguments: str, stdin: str = "") -> Result:
    ring0.command(guest)  # puts it there
    command = ["python3", "-m", "pywasmjit.cli", "exec", "--both", f"{HERE}/{guest}.img", *arguments]
    return ring0.machine.run(
        f"printf %s {shlex.quote(stdin)} | {shlex.join(command)}", timeout=120, env={"PYWASMJIT_LAUNCHER": LAUNCHER}
    )


@pytest.mark.parametrize("guest", ["hello", "jumps", "timefmt"])
def test_the_same_in_both(ring0: Ring0, guest: str) -> None:
    before = ring0.totals()
    done = both(ring0, guest)
    assert done.status == 0, done.text
    found = re.search(r"both hosts: the same: exit status 0, (\d+) bytes of output, 0 of errors, (\d+) events", done.text)
    assert found and int(found[1]) and int(found[2]), done.text
    assert since(before, ring0.totals())["loads"] == 1  # one of the two


def test_both_read_the_input(ring0: Ring0) -> None:
    done = both(ring0, "lua", "-", stdin="print(1 + 1) os.exit(3)")
    assert done.status == 0, done.text
    assert done.text.startswith("2\n") and "the same: exit status 3, 2 bytes of output" in done.text


def test_traps_are_the_same(ring0: Ring0) -> None:
    done = both(ring0, "crash", "divide")
    assert done.status == 0, done.text
    assert "trap: integer divide by zero" in done.text and "the same: signal SIGFPE" in done.text


def test_children_are_compared(ring0: Ring0) -> None:
    done = both(ring0, "crash", "child")
    assert done.status == 0, done.text
    assert "the same: exit status 0" in done.text and "of 2 processes" in done.text


def test_differences_are_told(ring0: Ring0) -> None:
    """A program that finds what its first run has left."""
    script = (
        "local old = io.open(arg[1]) if not old then io.open(arg[1], 'w'):write('x') print('first') "
        "else io.stderr:write('found it\\n') print('second') os.exit(4) end"
    )
    ring0.machine.run(f"rm -f {HERE}/left; printf %s {shlex.quote(script)} > {HERE}/left.lua", check=True)
    done = both(ring0, "lua", f"{HERE}/left.lua", f"{HERE}/left")
    assert done.status == 1
    assert "both hosts: they end differently:\n  user:   exit status 0\n  kernel: exit status 4\n" in done.text
    assert "standard output differs in line 1:\n  user:   'first'\n  kernel: 'second'\n" in done.text
    assert "standard error differs in line 1:\n  user:   (ends)\n  kernel: 'found it'\n" in done.text
    trace = done.text.partition("both hosts: host calls of process 0 differ")[2]
    assert re.search(r"user: .* = -1 ENOENT\n  kernel: .* = \d+\n$", trace), done.text


def test_without_the_module(ring0: Ring0) -> None:
    ring0.remove()
    done = both(ring0, "hello")
    ring0.insert()
    assert done.status == 69 and "/dev/wasm does not exist" in done.text
    assert "hello, world" not in done.text
