# SPDX-License-Identifier: GPL-2.0-only
"""What nginx may cost before it serves: size of its image, time to make it, time to start it.

Times are of the processor, which other work on the machine does not lengthen much.
"""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from pywasmjit import image
from pywasmjit.wasm import decode
from tests.e2e.conftest import Host

CORES = 2
COLD = 8.0 * CORES  # seconds
WARM = 0.15  # seconds until the launcher has the image, verifies and compiles it and nginx has read its options


@pytest.fixture(autouse=True)
def on_this_machine(request: pytest.FixtureRequest) -> None:
    if request.config.getoption("host") != "user":
        pytest.skip("lowering is the same in both hosts, and a virtual machine's times say little")


def cpu_seconds(command: Sequence[str | Path], environment: dict[str, str]) -> float:
    """Of a command and its children; it has to succeed."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, capture_output=True, env={**Host.environment(), **environment})
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def test_lowering(guest: Callable[[str], Path], tmp_path: Path) -> None:
    wasm = guest("nginx")
    command = [sys.executable, "-m", "pywasmjit.cli", "compile", str(wasm), "-o"]
    assert cpu_seconds([*command, tmp_path / "one"], {}) < COLD
    cpu_seconds([*command, tmp_path / "other"], {"PYTHONHASHSEED": "1"})
    made = (tmp_path / "one").read_bytes()
    assert made == (tmp_path / "other").read_bytes(), "lowering is not deterministic"
    module = decode(wasm.read_bytes())
    code = sum(function.end - function.start for function in module.functions)
    assert len(made) <= 1.5 * code, f"{len(made)} bytes of image, {code} of code"
    assert image.read_image(made).bodies


def test_warm_start(guest: Callable[[str], Path]) -> None:
    command = [sys.executable, "-m", "pywasmjit.cli", "exec", "--host=user", str(guest("nginx")), "-v"]
    cpu_seconds(command, {})  # the image is cached now
    assert min(cpu_seconds(command, {}) for _ in range(5)) < WARM
