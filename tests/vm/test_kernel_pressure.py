# SPDX-License-Identifier: GPL-2.0-only
"""Memory limits, swap and the freezer of control groups hold for guests as for any process."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from ring0 import Ring0

from pywasmjit.vm.errors import VmError

GROUP = "/sys/fs/cgroup/guest"
# What the kernel says when it kills somebody for want of memory.
OUT_OF_MEMORY = (r"Call Trace:",)


@pytest.fixture
def group(ring0_machine: Ring0) -> Iterator[Ring0]:
    """A machine with swap and an empty control group; unhurt afterwards, but for the OOM report."""
    machine = ring0_machine.machine
    with machine.checked(allow=OUT_OF_MEMORY):
        ring0_machine.insert()
        machine.run("[ -b /dev/ram0 ] || modprobe brd rd_nr=1 rd_size=131072", check=True)
        machine.run("mkswap /dev/ram0 && swapon /dev/ram0", check=True)
        machine.run(f"echo +memory > /sys/fs/cgroup/cgroup.subtree_control; mkdir {GROUP}", check=True)
        try:
            yield ring0_machine
        finally:
            ring0_machine.kill_guests()
            machine.run(f"rmdir {GROUP}; swapoff /dev/ram0", check=True)
        ring0_machine.remove()


def limited(ring0: Ring0, *arguments: str) -> str:
    """A command that runs a guest in the group."""
    return f"echo $$ > {GROUP}/cgroup.procs; exec {' '.join(ring0.command(*arguments))}"


def events(ring0: Ring0, file: str = "memory.events") -> dict[str, int]:
    text = ring0.machine.run(f"cat {GROUP}/{file}", check=True).text
    return {name: int(value) for name, value in re.findall(r"^(\w+) (\d+)$", text, re.MULTILINE)}


def swapped_out(ring0: Ring0) -> int:
    return int(ring0.machine.run("sed -n 's/^pswpout //p' /proc/vmstat", check=True).text)


def test_a_guest_that_wants_too_much_is_killed(group: Ring0) -> None:
    group.machine.run(f"echo 24M > {GROUP}/memory.max; echo 16M > {GROUP}/memory.swap.max", check=True)
    result = group.machine.run(limited(group, "ring0", "fill", "200"), timeout=120)
    assert result.status == 128 + 9, result.text
    assert events(group)["oom_kill"] == 1
    # Others are as well as before.
    assert group.run("ring0", "fill", "20").text == "wrong: 0\n"


def test_memory_survives_being_swapped_out(group: Ring0) -> None:
    group.need("CONFIG_VM_EVENT_COUNTERS")
    group.machine.run(f"echo 16M > {GROUP}/memory.max", check=True)
    before = swapped_out(group)
    result = group.machine.run(limited(group, "ring0", "fill", "48"), timeout=200)
    assert (result.status, result.text) == (0, "wrong: 0\n")
    assert swapped_out(group) - before > 48 * 256 // 2
    assert events(group)["oom_kill"] == 0


def test_memory_high_throttles_a_guest(group: Ring0) -> None:
    group.machine.run(f"echo 16M > {GROUP}/memory.high", check=True)
    result = group.machine.run(limited(group, "ring0", "fill", "40"), timeout=250)
    assert (result.status, result.text) == (0, "wrong: 0\n")
    assert events(group)["high"] > 10
    # It is not the limit, but what goes beyond it is taken back: nobody gets far.
    peak = group.machine.run(f"cat {GROUP}/memory.peak 2>/dev/null")
    if peak.status == 0:
        assert int(peak.text) < 24 << 20


@pytest.mark.parametrize("how", ["loop", "calls", "blocked"])
def test_the_freezer_freezes_and_thaws(group: Ring0, how: str) -> None:
    machine = group.machine
    guest = machine.popen(limited(group, "busyloop", how))
    guest.wait_for_output(how)

    def freeze(value: int) -> None:
        machine.run(f"echo {value} > {GROUP}/cgroup.freeze", check=True)
        wanted = f"until grep -q '^frozen {value}$' {GROUP}/cgroup.events; do sleep 0.02; done"
        machine.run(wanted, timeout=10, check=True)

    def busy() -> int:
        fields = machine.run(f"cat /proc/{guest.pid}/stat", check=True).text.rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])

    freeze(1)
    before = busy()
    machine.run("sleep 0.3", check=True)
    assert busy() == before
    freeze(0)
    if how != "blocked":
        try:
            machine.run(
                f"until [ $(cut -d' ' -f14 /proc/{guest.pid}/stat) -gt {before + 5} ]; do sleep 0.05; done", timeout=20
            )
        except VmError as error:
            raise AssertionError(f"{how} does not go on after it was thawed") from error
    freeze(1)
    machine.run(f"kill -9 {guest.pid}", check=True)
    assert guest.wait(10) == 128 + 9
