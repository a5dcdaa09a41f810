# SPDX-License-Identifier: GPL-2.0-only
"""The test programs as native ones: what they print is what guests are compared with."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

GUESTS = Path(__file__).resolve().parents[1] / "guests"
# Others never end, are meant to crash, or make sense only as guests.
PROGRAMS = sorted(path.stem for path in GUESTS.glob("*.c") if 'say("end");' in path.read_text())


def build(name: str, into: Path) -> Path:
    target = into / name
    command = ["gcc", "-O2", "-std=gnu11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror"]
    subprocess.run([*command, "-o", str(target), str(GUESTS / f"{name}.c")], check=True)
    return target


def transcript(program: Path) -> str:
    environment = {"PATH": os.environ["PATH"], "TZ": "Europe/Berlin", "LC_ALL": "C"}
    done = subprocess.run(
        [program], env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.parametrize("name", PROGRAMS)
def test_transcript(name: str, tmp_path: Path) -> None:
    """It comes to its end and says the same each time."""
    program = build(name, tmp_path)
    first = transcript(program)
    assert first.endswith("end\n")
    assert transcript(program) == first


@pytest.mark.parametrize(
    ("arguments", "status", "last"),
    [
        ([], 0, "registered second\nregistered first\nafter main\nflushed at the end"),
        (["return", "3"], 3, "after main\nflushed at the end"),
        (["exit", "4"], 4, "after main\nflushed at the end"),
        (["_exit", "5"], 5, "setenv: set here\n"),
        (["abort"], -6, "setenv: set here\n"),
    ],
)
def test_startup(arguments: list[str], status: int, last: str, tmp_path: Path) -> None:
    program = build("startup", tmp_path)
    done = subprocess.run([program, *arguments], capture_output=True, text=True)
    assert done.returncode == status
    assert done.stdout.startswith("before main\n")
    assert done.stdout.endswith(last)


@pytest.mark.parametrize("name", ["busyloop", "crash", "hello"])
def test_others_compile(name: str, tmp_path: Path) -> None:
    assert build(name, tmp_path).exists()
