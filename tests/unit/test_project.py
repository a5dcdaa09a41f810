# SPDX-License-Identifier: GPL-2.0-only
"""Promises of the project's own files."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_generated_files_are_fresh() -> None:
    for script in (["gen_isa.py"], ["gen_guest.py"]):
        command = [sys.executable, str(ROOT / "scripts" / script[0]), "--check"]
        assert subprocess.run(command, cwd=ROOT / "scripts", check=False).returncode == 0, script


def test_readme_opens_with_the_two_commands() -> None:
    head = (ROOT / "README.md").read_text()[:700]
    assert head.index("make run") < head.index("make test")
