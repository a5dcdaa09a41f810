# SPDX-License-Identifier: GPL-2.0-only
"""`exec --both`: what counts as a difference, and how it is told."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from pywasmjit.both import Run, differences, interpret

ROOT = Path(__file__).resolve().parents[2]


def run(trace: str, *, status: int = 0, output: bytes = b"out\n", errors: bytes = b"") -> Run:
    return interpret(status, output, trace.encode() + errors)


USER = "[10] getpid()\n[10] getpid = 10\n[10] fork()\n[10] fork = 12\n[12] fork = 0\n[12] exit(0)\n[10] wait(12)\n[10] wait = 12\n"
# The same, interleaved otherwise, with other ids, the child without its return from fork.
KERNEL = "[70] getpid()\n[70] getpid = 70\n[70] fork()\n[70] fork = 75\n[70] wait(75)\n[75] exit(0)\n[70] wait = 75\n"


def test_process_ids_are_no_difference() -> None:
    assert run(USER).traces == {
        "0": ["getpid()", "getpid = 10", "fork()", "fork = 12", "wait(12)", "wait = 12"],
        "0.1": ["exit(0)"],
    }
    assert list(differences(run(USER), run(KERNEL))) == []


def test_another_process_is_a_difference() -> None:
    other = KERNEL.replace("wait = 75", "wait = 70")
    (problem,) = differences(run(USER), run(other))
    assert problem == (
        "host calls of process 0 differ, event 6:\n  both:   fork()\n  both:   fork = 12\n"
        "  both:   wait(12)\n  user:   wait = 12\n  kernel: wait = 70"
    )


def test_times_are_no_difference() -> None:
    assert list(differences(run("[1] time(0)\n[1] time = 170\n"), run("[1] time(0)\n[1] time = 171\n"))) == []


def test_other_numbers_and_missing_calls_are_differences() -> None:
    (problem,) = differences(run("[1] read(3, 7)\n"), run("[9] read(3, 8)\n"))
    assert problem.endswith("  user:   read(3, 7)\n  kernel: read(3, 8)")
    (problem,) = differences(run("[1] read(3)\n"), run("[1] read(3)\n[1] read = 1\n"))
    assert problem.endswith("  user:   (makes no call any more)\n  kernel: read = 1")
    # The first difference only: what follows from it says nothing.
    assert len(list(differences(run("[1] a()\n[1] b()\n"), run("[1] c()\n[1] d()\n")))) == 1


def test_the_guests_own_errors_are_told_from_the_trace() -> None:
    one = run("[1] write(2)\nhalf a line[1] write = 1\n[1] --- signal 15 ---\n[1] pause: trap\n", errors=b"end\n")
    assert one.errors == b"half a lineend\n"
    assert one.traces == {"0": ["write(2)", "write = 1", "--- signal 15 ---", "pause: trap"]}


def test_status_and_output() -> None:
    mine, theirs = run("", status=9), run("", status=3 << 8, output=b"out\nmore\n")
    assert list(differences(mine, theirs)) == [
        "they end differently:\n  user:   signal SIGKILL\n  kernel: exit status 3",
        "standard output differs in line 2:\n  user:   (ends)\n  kernel: 'more'",
    ]


def test_command_line() -> None:
    command = [sys.executable, "-m", "pywasmjit.cli", "exec", "--both"]
    done = subprocess.run([*command, "--host=user", "x.wasm"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "--both chooses the hosts" in done.stderr
    done = subprocess.run([*command, "--engine=interp", "x.wasm"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "no interpreter" in done.stderr
