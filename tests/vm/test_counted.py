# SPDX-License-Identifier: GPL-2.0-only
"""Counting instructions: equal runs give equal logs."""

from __future__ import annotations

from pathlib import Path

import pytest

from pywasmjit.vm import counted
from pywasmjit.vm.errors import MachineDied, VmError
from pywasmjit.vm.machine import Machine
from pywasmjit.vm.packages import Kernel


def test_equal_runs_give_equal_logs(kernel: Kernel, probe: Path) -> None:
    files = counted.program_files(Path("/usr/bin/sha256sum"))
    command = "cat /dev/wj_probe; head -c 100000 /dev/urandom | /usr/bin/sha256sum; printf x; exit 3"
    first, second = (
        counted.run_counted(command, kernel=kernel, files=files, modules=[probe]) for _ in range(2)
    )
    assert first.status == 3
    assert first.output.startswith("probe: hello from ring 0\n")
    assert first.output.endswith("  -\nx")
    assert first.instructions > 1_000_000
    assert first == second


def test_more_work_counts_more(kernel: Kernel) -> None:
    one, ten = (
        counted.run_counted(f"i=0; while [ $i -lt {n} ]; do i=$((i + 1)); done", kernel=kernel)
        for n in (10_000, 100_000)
    )
    assert 9.5 < ten.instructions / one.instructions < 10.5


def test_a_guest_that_dies(kernel: Kernel) -> None:
    with pytest.raises(MachineDied, match=r"(?s)ended while running.*sysrq"):
        counted.run_counted("echo c > /proc/sysrq-trigger", kernel=kernel)


def test_a_full_machine_can_count(kernel: Kernel) -> None:
    with Machine(kernel, icount=True, lifetime=300) as machine:
        assert machine.run("echo counted").text == "counted\n"
    with pytest.raises(VmError, match="single processor"):
        Machine(kernel, icount=True, smp=2).start()
