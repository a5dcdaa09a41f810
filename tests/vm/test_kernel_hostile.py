# SPDX-License-Identifier: GPL-2.0-only
"""A hostile launcher (hostile.c): the kernel is unhurt, and nothing of it stays."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from ring0 import HERE, ROOT, Ring0

SOURCE = Path(__file__).with_name("hostile.c")
# What it does -> the guest it does it with.
ATTACKS = {
    "forge": "events",
    "memory": "busyloop",
    "threads": "hello",
    "fetch": "hello",
    "cookies": "ring0",
    "orders": "busyloop",
    "pass": "hello",
    "exit": "busyloop",
    "kill": "ring0",
    "trace": "ring0",
    "watch": "ring0",
}
ROOTS = {"watch"}


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("hostile") / "hostile"
    flags = ["-O1", "-Wall", "-Wextra", "-Werror", "-static", "-pthread", "-D_GNU_SOURCE"]
    subprocess.run(["gcc", *flags, f"-I{ROOT / 'kmod/linux'}", "-o", out, SOURCE], check=True)
    return out


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_hostile_launcher(ring0: Ring0, program: Path, attack: str) -> None:
    machine = ring0.machine
    before = ring0.totals()
    guest = ATTACKS[attack]
    ring0.command(guest)
    there = machine.copy_in(program, HERE)
    prefix = "" if attack in ROOTS else "setpriv --reuid=65534 --regid=65534 --clear-groups "
    result = machine.run(f"{prefix}{there} {HERE}/{guest}.img {attack}", timeout=120)
    lines = [line for line in result.text.splitlines() if not line.startswith("pywasmjit: ")]
    assert result.status == 0 and lines[-1:] == ["survived"], result.text
    machine.run("while pgrep -x hostile; do sleep 0.1; done", timeout=20, check=True)
    after = ring0.totals()
    assert [after[name] for name in ("guests", "unclaimed", "pool_used")] == [
        before[name] for name in ("guests", "unclaimed", "pool_used")
    ]
