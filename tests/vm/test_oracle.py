# SPDX-License-Identifier: GPL-2.0-only
"""A hurt kernel is noticed by its messages or its taint, and only then."""

from __future__ import annotations

from pathlib import Path

import pytest

from pywasmjit.vm import oracle
from pywasmjit.vm.errors import OracleError
from pywasmjit.vm.machine import Machine
from pywasmjit.vm.pool import MachinePool

HARMFUL = [
    "BUG: kernel NULL pointer dereference, address: 0000000000000008",
    "BUG: scheduling while atomic: sh/123/0x00000002",
    "WARNING: CPU: 0 PID: 99 at kernel/fork.c:1 f+0x1/0x2",
    "WARNING: possible circular locking dependency detected",
    "Oops: 0002 [#1] PREEMPT SMP PTI",
    "Kernel panic - not syncing: Fatal exception",
    "UBSAN: array-index-out-of-bounds in x.c:1:2",
    "watchdog: BUG: soft lockup - CPU#0 stuck for 26s!",
    "rcu: INFO: rcu_preempt self-detected stall on CPU",
    "INFO: task nginx:12 blocked for more than 120 seconds.",
    "kmemleak: 3 new suspected memory leaks (see /sys/kernel/debug/kmemleak)",
    "refcount_t: underflow; use-after-free.",
    "general protection fault, probably for non-canonical address 0x1: 0000 [#1]",
]
HARMLESS = [
    "wasm: loading out-of-tree module taints kernel.",
    "wasm: module verification failed: signature and/or required key missing - tainting kernel",
    "traps: a.out[7] general protection ip:1 sp:2 error:0 in a.out",
    "a.out[7]: segfault at 0 ip 1 sp 2 error 4",
    "Debugging enabled",
]


@pytest.mark.parametrize("message", HARMFUL)
def test_signs_of_harm_are_seen(message: str) -> None:
    assert oracle.signs_of_harm(f"[    1.0] {message}\n[    1.1] more\n") == [f"[    1.0] {message}"]


@pytest.mark.parametrize("message", HARMLESS)
def test_harmless_messages_are_not(message: str) -> None:
    assert oracle.signs_of_harm(f"[    1.0] {message}\n") == []


# Debug kernel, 6.1.192, while a guest's stack was given memory.
UNWINDER = """\
[  187.923505] BUG: using {what}() in preemptible [00000000] code: hostile/176
[  187.923505] caller is {caller}+0x41/0x120
[  187.923505] CPU: 0 PID: 176 Comm: hostile Tainted: G           O       6.1.192-pywasmjit-debug #1
[  187.923505] Call Trace:
"""


def test_the_unwinder_on_a_guests_stack_is_harmless() -> None:
    report = UNWINDER.format(what="__this_cpu_read", caller="get_stack_info_noinstr")
    other = UNWINDER.format(what="smp_processor_id", caller="in_entry_stack")
    assert oracle.signs_of_harm(f"{report}{other}[  187.9] more\n{report}") == []
    assert len(oracle.signs_of_harm(f"{report}[  187.9] BUG: sleeping function\n{other}")) == 1
    # On a stack that it knows; somebody else.
    assert len(oracle.signs_of_harm(f"{report}[  187.9]  <TASK>\n[  187.9]  schedule+0x1/0x2\n")) == 2
    elsewhere = UNWINDER.format(what="smp_processor_id", caller="wj_tick_start")
    assert len(oracle.signs_of_harm(elsewhere)) == 2


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (0, 0, ""),
        (0, 12288, ""),
        (12288, 12288, ""),
        (12288, 12288 + 512, "kernel warned (WARN)"),
        (0, 128 + 2**31, "kernel died (oops or BUG), bit 31"),
        (512, 512, ""),
    ],
)
def test_taint_changes_have_names(before: int, after: int, expected: str) -> None:
    assert oracle.taint_change(before, after) == expected


def test_the_pool_knows_what_the_oracle_has_not_seen(machines: MachinePool, machine: Machine) -> None:
    machine.run("true")
    assert machines.unchecked() == [machine]
    with machine.checked():
        machine.run("true")
    assert machines.unchecked() == []


def test_a_reported_bug_is_caught(unchecked_machine: Machine) -> None:
    with (
        pytest.raises(OracleError, match=r"the kernel reported: .*WARNING: made up"),
        unchecked_machine.checked(),
    ):
        unchecked_machine.run("echo '<4>WARNING: made up' >/dev/kmsg")


def test_an_expected_message_is_allowed(unchecked_machine: Machine) -> None:
    with unchecked_machine.checked(allow=["WARNING: made"]):
        unchecked_machine.run("echo '<4>WARNING: made up' >/dev/kmsg")
    # What came before a mark does not count.
    with unchecked_machine.checked():
        unchecked_machine.run("true")


def _fail_on(machine: Machine) -> None:
    with machine.checked():
        machine.run("echo '<4>BUG: made up' >/dev/kmsg")
        raise ValueError("mine")


def test_a_failing_test_stays_the_first_reason(unchecked_machine: Machine) -> None:
    with pytest.raises(ValueError, match="mine") as caught:
        _fail_on(unchecked_machine)
    assert "and the kernel was hurt: the kernel reported:" in caught.value.__notes__[0]


def test_a_changed_taint_is_caught(own_machine: Machine) -> None:
    with (
        pytest.raises(OracleError, match="from 0 to 64: requested by user space"),
        own_machine.checked(),
    ):
        own_machine.run("echo 64 >/proc/sys/kernel/tainted", check=True)
    with own_machine.checked():
        own_machine.run("true")


def test_loading_an_unsigned_module_is_no_harm(machine: Machine, probe: Path) -> None:
    path = machine.copy_in(probe)
    machine.run(f"insmod {path}", check=True)
    assert machine.run("cat /dev/wj_probe", check=True).text == "probe: hello from ring 0\n"
    machine.run("rmmod probe", check=True)
    assert "wj_probe: unloaded" in machine.kmsg()
