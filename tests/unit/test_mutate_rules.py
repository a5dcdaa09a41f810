# SPDX-License-Identifier: GPL-2.0-only
"""Without any one rule of the verifier a test of tests/verify fails (``make mutate-rules``)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.timeout(900)
def test_every_rule_has_a_test() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.verify.mutate_rules"], cwd=Path(__file__).resolve().parents[2],
        capture_output=True, text=True, check=False, timeout=800,
    )  # fmt: skip
    survivors = [line for line in done.stdout.splitlines() if line.endswith("SURVIVES")]
    assert (done.returncode, survivors) == (0, []), done.stdout[-2000:] + done.stderr
