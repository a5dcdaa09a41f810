# SPDX-License-Identifier: GPL-2.0-only
"""The rules of the kernel-mode process (kmod/linux/): filters, limits, and what must not be stalled."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from ring0 import HERE, LAUNCHER, Ring0

from pywasmjit.vm.machine import Machine
from pywasmjit.vm.packages import Kernel

HERE_ON_THE_HOST = Path(__file__).parent


@pytest.mark.parametrize("how", ["", "--seccomp-bpf"], ids=["each call", "asked by a filter"])
def test_strace_sees_the_system_calls_of_guests(ring0: Ring0, how: str) -> None:
    command = " ".join(ring0.command("ring0", "calls", "7"))
    result = ring0.machine.run(f"strace -f {how} -e trace=getppid -o {HERE}/trace {command}")
    assert result.text == "wrong: 0\n"
    trace = ring0.machine.run(f"cat {HERE}/trace").text
    assert len(re.findall(r"getppid\(\)\s+= \d+", trace)) == 8


def test_handlers_interrupt_what_the_launcher_does(ring0: Ring0) -> None:
    command = " ".join(ring0.command("forkhandler"))
    result = ring0.machine.run(f"strace -f -o /dev/null {command}", timeout=120)
    assert result.text == ring0.native("forkhandler").text
    assert ring0.totals()["launcher_calls"] > 50


def test_room_for_descriptors_is_made_under_a_tracer(ring0: Ring0) -> None:
    command = " ".join(ring0.command("descriptors"))
    result = ring0.machine.run(f"strace -f -o /dev/null {command}", timeout=120)
    assert result.text == ring0.native("descriptors").text
    assert ring0.totals()["launcher_calls"] > 100


def test_strace_sees_signals_and_forks(ring0: Ring0) -> None:
    command = " ".join(ring0.command("ring0", "fork", "5"))
    result = ring0.machine.run(f"strace -f -o {HERE}/trace {command}")
    assert result.text == "wrong: 0\n"
    assert ring0.machine.run(f"grep -c 'exited with' {HERE}/trace").text == "6\n"


def _wait_for_rcu_tasks(ring0: Ring0) -> None:
    there = ring0.helper("rcutasks")
    guest = ring0.start("busyloop", "loop")
    guest.wait_for_output("loop")
    ring0.machine.run(f"dmesg -C; insmod {there} 2>/dev/null", timeout=30)
    found = re.search(r"rcutasks: (\d+) ms", ring0.machine.run("dmesg").text)
    assert found and int(found[1]) < 3000 * ring0.kernel.slowness
    assert guest.poll() is None
    ring0.machine.run(f"kill -9 {guest.pid}", check=True)
    guest.wait()


def test_a_spinning_guest_does_not_hold_up_rcu_tasks(ring0: Ring0) -> None:
    _wait_for_rcu_tasks(ring0)


def test_nor_does_it_where_guests_are_preempted(kernel: Kernel) -> None:
    """preempt=full: whatever asks for the processor gets it at once, without the guest's knowing."""
    with Machine(kernel, arguments=["preempt=full"], lifetime=600) as machine, machine.checked():
        _wait_for_rcu_tasks(Ring0(machine, kernel))


def test_floats_survive_floating_point_in_interrupts(ring0: Ring0) -> None:
    ring0.machine.run(f"insmod {ring0.helper('fpunoise')}", check=True)
    try:
        guests = [ring0.start("ring0", "floats", "1500") for _ in range(2)]
        for guest in guests:
            assert guest.wait(120) == 0
            assert guest.output() == b"wrong sums: 0\n"
        used = ring0.machine.run("cat /sys/module/fpunoise/parameters/used", check=True).text
    finally:
        ring0.machine.run("rmmod fpunoise", check=True)
    assert all(int(number) > 100 for number in used.split(",")), used


def test_a_user_has_a_limited_number_of_guests(ring0: Ring0) -> None:
    parameter = "/sys/module/wasm/parameters/max_guests"
    as_nobody = [
        *("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"),
        *ring0.command("busyloop", "blocked"),
    ]
    ring0.machine.run(f"echo 2 > {parameter}", check=True)
    guests = [ring0.machine.popen(as_nobody) for _ in range(2)]
    for guest in guests:
        guest.wait_for_output("blocked")
    refused = ring0.machine.run(as_nobody)
    assert refused.status == 71
    assert "this user runs as many guests as one may" in refused.text
    ring0.machine.run(f"kill -9 {guests[0].pid}", check=True)
    guests[0].wait()
    third = ring0.machine.popen(as_nobody)
    third.wait_for_output("blocked")
    for guest in (guests[1], third):
        ring0.machine.run(f"kill -9 {guest.pid}", check=True)
        guest.wait()


def test_a_user_cannot_fill_the_executable_memory(ring0: Ring0) -> None:
    command = " ".join(ring0.command("hello"))
    as_nobody = f"setpriv --reuid=65534 --regid=65534 --clear-groups {command}"
    ring0.machine.run("echo 0 > /sys/module/wasm/parameters/max_code", check=True)
    refused = ring0.machine.run(as_nobody)
    assert refused.status == 71
    assert "no executable memory left for this user" in refused.text
    ring0.machine.run("echo 50 > /sys/module/wasm/parameters/max_code", check=True)
    assert ring0.machine.run(as_nobody).status == 0


def test_misuse_of_the_device_is_refused(ring0: Ring0) -> None:
    ring0.command("hello")
    script = ring0.machine.copy_in(HERE_ON_THE_HOST / "device.py", HERE)
    result = ring0.machine.run(f"python3 {script}")
    expected = """
        ioctl-1234 ENOTTY|ioctl-c0606a12 ENOTTY|ioctl-6a10 ENOTTY
        run-before-load ESRCH|stats-before-load ESRCH|claim-nothing ESRCH|claim-forged ESRCH
        load-version EPROTO|load-flags EINVAL|load-memory EINVAL|load-no-arguments EINVAL
        load-too-large EFBIG|load-empty EINVAL|load-bad-address EFAULT|load-strings EINVAL
        load-count EINVAL|load-garbage EINVAL|load OK|load-again EEXIST|run-version EPROTO
        run-op EINVAL|run-reserved EINVAL|signal-before-start EINVAL|run-in-another-thread ESRCH
        run-in-a-child ESRCH|claim-in-a-child ESRCH|run-read-only EFAULT|signal-0 EINVAL
        signal-65 EINVAL|hello, world|event 1|event 1|event 1|event 6
    """
    wanted = [line.strip() for row in expected.strip().splitlines() for line in row.split("|")]
    assert result.text.splitlines() == wanted


@pytest.mark.parametrize("seed", [1, 2])
def test_mutated_images_do_no_harm(ring0: Ring0, seed: int) -> None:
    ring0.command("hello")
    script = ring0.machine.copy_in(HERE_ON_THE_HOST / "mutate.py", HERE)
    result = ring0.machine.run(
        ["python3", script, f"{HERE}/hello.img", LAUNCHER, "150", str(seed)], timeout=280
    )
    assert result.status == 0, result.text
    assert "rejected" in result.text and "ran" in result.text, result.text
