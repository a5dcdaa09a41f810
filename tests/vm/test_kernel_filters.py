# SPDX-License-Identifier: GPL-2.0-only
"""Filters of seccomp: what they say is what they say to native programs, and most of it in ring 0."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
from ring0 import HERE, Ring0

HERE_ON_THE_HOST = Path(__file__).parent
WRITE, LSEEK, NANOSLEEP, GETPID, KILL, GETPPID, GETSID, CLOCK_NANOSLEEP = 1, 8, 35, 39, 62, 110, 124, 230
KILL_PROCESS, KILL_THREAD, TRAP, ERRNO, NOTIFY, TRACE, LOG, ALLOW = (
    0x80000000, 0, 0x30000, 0x50000, 0x7FC00000, 0x7FF00000, 0x7FFC0000, 0x7FFF0000,
)  # fmt: skip
EPERM, EACCES, EXDEV, ENOSYS = 1, 13, 18, 38
FLAG_LOG = 2
TYPES = "CONFIG_DEBUG_INFO_BTF"  # says what filters look like
# Halves of the arguments, as words of struct seccomp_data; those of the architecture.
LOW = [4 + 2 * n for n in range(6)]
HIGH = [5 + 2 * n for n in range(6)]
X86_64 = [1, 0xC000003E]


def rule(number: int, action: int, *words: list[int]) -> list[object]:
    return [number, list(words), action]


@dataclass(frozen=True)
class Case:
    """Filters, the oldest first, and a word of what the program says then."""

    filters: list[dict[str, object]]
    says: str = ""
    handler: bool = False
    status: int = 0


def one(*rules: list[object], **more: object) -> list[dict[str, object]]:
    return [{"rules": rules, **more}]


IN_RING_0 = {
    "allow": Case(one(), "getsid: some"),
    "errno": Case(one(rule(GETSID, ERRNO | EPERM)), "getsid: EPERM"),
    "success": Case(one(rule(GETSID, ERRNO)), "getsid: 0"),
    "argument": Case(one(rule(LSEEK, ERRNO | EXDEV, [LOW[2], 2])), "lseek: ok, EXDEV"),
    "architecture": Case(one(rule(GETSID, ERRNO | EACCES, X86_64)), "getsid: EACCES"),
    # Whose memory a pointer leads to: that of the guest, in the address space of the process.
    "pointer": Case(one(rule(WRITE, KILL_PROCESS, [HIGH[1], 0])), "write: ok, ok"),
    "size": Case(one(rule(WRITE, ERRNO | EACCES, [LOW[2], 7])), "write: ok, EACCES"),
    "newest": Case(
        one(rule(GETSID, ERRNO | EPERM)) + one(rule(GETSID, ERRNO | EACCES)), "getsid: EACCES"
    ),
    "strictest": Case(
        one(rule(GETSID, ERRNO | EPERM)) + one(rule(GETSID, ALLOW)) + one(rule(GETSID, LOG)), "getsid: EPERM"
    ),
}  # fmt: skip
BY_LAUNCHER = {
    "kill": Case(one(rule(GETSID, KILL_PROCESS)), "kill: 0", status=128 + 31),
    "kill thread": Case(one(rule(GETSID, KILL_THREAD)), "kill: 0", status=128 + 31),
    "unknown": Case(one(rule(GETSID, 0x12340000)), "kill: 0", status=128 + 31),
    "kill after errno": Case(
        one(rule(GETSID, KILL_PROCESS)) + one(rule(GETSID, ERRNO | EPERM)), "kill: 0", status=128 + 31
    ),
    "trap": Case(one(rule(GETSID, TRAP)), "kill: 0", status=128 + 31),
    "handled": Case(one(rule(KILL, TRAP)), "forbidden: 3", handler=True),
    "no tracer": Case(one(rule(KILL, TRACE)), "kill: ENOSYS"),
    "logged": Case(one(rule(KILL, LOG)), "kill: 0"),
    "errno that is logged": Case(one(rule(KILL, ERRNO | EPERM), flags=FLAG_LOG), "kill: EPERM"),
    "supervisor": Case(
        one(rule(KILL, NOTIFY), rule(GETSID, NOTIFY), reply={str(KILL): EXDEV, str(GETSID): 0}),
        "kill: EXDEV",
    ),
}  # fmt: skip


def filtered(ring0: Ring0, filters: list[dict[str, object]], *command: str) -> list[str]:
    script = ring0.machine.copy_in(HERE_ON_THE_HOST / "filtered.py", HERE)
    return ["python3", script, json.dumps(filters), *command]


def compare(ring0: Ring0, case: Case) -> dict[str, int]:
    """The guest does what the native program does; what was counted."""
    arguments = ["filtered", *(["handler"] if case.handler else [])]
    native = ring0.machine.run(filtered(ring0, case.filters, ring0.native_program("ring0"), *arguments))
    assert (native.status, case.says in native.text) == (case.status, True), native.text
    guest = ring0.machine.run(filtered(ring0, case.filters, *ring0.command("ring0", *arguments)))
    assert (guest.status, guest.text) == (native.status, native.text)
    return ring0.totals()


@pytest.mark.parametrize("which", IN_RING_0)
def test_filters_that_only_answer(ring0: Ring0, which: str) -> None:
    counted = compare(ring0, IN_RING_0[which])
    if ring0.has_option(TYPES):
        assert counted["launcher_calls"] == 0 and counted["filtered"] > 30
    else:
        assert counted["launcher_calls"] > 30 and counted["filtered"] == 0


@pytest.mark.parametrize("which", BY_LAUNCHER)
def test_filters_that_do_more(ring0: Ring0, which: str) -> None:
    counted = compare(ring0, BY_LAUNCHER[which])
    assert counted["launcher_calls"] >= 1
    if ring0.has_option(TYPES):
        # At most those that the rules are about: three times kill, and getsid twice as often.
        assert counted["filtered"] > 0 and counted["launcher_calls"] <= 9


def test_children_are_filtered_in_ring_0(ring0: Ring0) -> None:
    command = ring0.command("ring0", "fork", "5")
    result = ring0.machine.run(filtered(ring0, one(rule(GETSID, KILL_PROCESS)), *command))
    assert (result.status, result.text) == (0, "wrong: 0\n")
    counted = ring0.totals()
    assert counted["forks"] == 5
    if ring0.has_option(TYPES):
        assert counted["launcher_calls"] == 0 and counted["filtered"] >= 5
