# SPDX-License-Identifier: GPL-2.0-only
"""kill -9 at random moments: every guest dies, soon, and nothing of it is left."""

from __future__ import annotations

import json
import statistics
from pathlib import Path

import pytest
from ring0 import HERE, Ring0

from pywasmjit.vm import packages

MANY = "1000000000"
VICTIMS = [
    ("busyloop", "loop"),
    ("busyloop", "calls"),
    ("busyloop", "memory"),
    ("busyloop", "blocked"),
    ("ring0", "floats", MANY),
    ("ring0", "faults", MANY),
    ("ring0", "calls", MANY),
    ("ring0", "fork", MANY),
    ("ring0", "spawn", MANY),
]
FEW = 99
SCRIPT = Path(__file__).with_name("storm.py")


def _left(ring0: Ring0) -> dict[str, object]:
    """What there is of guests, and of memory that the module holds."""
    totals = ring0.totals()
    areas = ring0.machine.run("grep -E '\\[wasm\\]|wj_' /proc/vmallocinfo | wc -l", check=True).text
    return {name: totals[name] for name in ("guests", "unclaimed", "pool_used")} | {"vmalloc": int(areas)}


@pytest.mark.parametrize("count", [FEW, pytest.param(1000, marks=[pytest.mark.long, pytest.mark.timeout(20000)])])
def test_kill_9_at_random_moments(ring0: Ring0, count: int) -> None:
    machine = ring0.machine
    if machine.kernel.series == packages.DEBUG_SERIES and count > FEW:
        pytest.skip("hours there, in which every victim dies as in the short one")
    commands = [ring0.command(*victim) for victim in VICTIMS]
    script = machine.copy_in(SCRIPT, HERE)
    before = _left(ring0)
    result = machine.run(["python3", script, str(count), "1", json.dumps(commands)], timeout=60 + 2 * count)
    assert result.status == 0, result.text
    # The children of the last ones may still be on their way.
    machine.run("while pgrep -x pywasmjit-launc; do sleep 0.1; done", timeout=20, check=True)
    taken = sorted(json.loads(result.text))
    assert len(taken) == count
    p50, p99 = statistics.median(taken), taken[int(count * 0.99)]
    print(f"time to death of {count} guests: p50 {p50:.1f} ms, p99 {p99:.1f} ms, longest {taken[-1]:.1f} ms")
    slowness = machine.kernel.slowness
    assert p50 < 100 * slowness and taken[-1] < 5000 * slowness
    assert _left(ring0) == before
