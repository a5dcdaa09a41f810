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


USER = (
    "getpid() = 10\n[pid 10] fork() = 12\n[pid 12] fork() = 0\n[pid 10] wait4(12, <unfinished ...>\n"
    "[pid 12] exit(0) = ?\n[pid 10] wait4(12) = 12\n"
)
# The same, interleaved otherwise, with other ids, the child without its return from fork.
KERNEL = (
    "getpid() = 70\n[pid 75] exit(0) = ?\n[pid 70] fork() = 75\n[pid 70] wait4(75, <unfinished ...>\n"
    "[pid 70] wait4(75) = 75\n"
)


def test_process_ids_are_no_difference() -> None:
    assert run(USER).traces == {
        "0": ["getpid() = 10", "fork() = 12", "wait4(12, <unfinished ...>", "wait4(12) = 12"],
        "0.1": ["exit(0) = ?"],
    }
    assert list(differences(run(USER), run(KERNEL))) == []


def test_another_process_is_a_difference() -> None:
    other = KERNEL.replace("wait4(75) = 75", "wait4(75) = 70")
    (problem,) = differences(run(USER), run(other))
    assert problem == (
        "host calls of process 0 differ, event 4:\n  both:   getpid() = 10\n  both:   fork() = 12\n"
        "  both:   wait4(12, <unfinished ...>\n  user:   wait4(12) = 12\n  kernel: wait4(75) = 70"
    )


def test_times_are_no_difference() -> None:
    mine = "time(NULL) = 170\nclock_gettime(CLOCK_REALTIME, {tv_sec=1, tv_nsec=5}) = 0\n"
    theirs = "time(NULL) = 171\nclock_gettime(CLOCK_REALTIME, {tv_sec=2, tv_nsec=77}) = 0\n"
    assert list(differences(run(mine), run(theirs))) == []
    assert list(differences(run(mine), run(theirs.replace("REALTIME", "MONOTONIC")))) != []


def test_other_numbers_and_missing_calls_are_differences() -> None:
    (problem,) = differences(run("read(3) = 7\n"), run("read(3) = 8\n"))
    assert problem.endswith("  user:   read(3) = 7\n  kernel: read(3) = 8")
    (problem,) = differences(run("read(3) = 1\n"), run("read(3) = 1\nread(4) = 1\n"))
    assert problem.endswith("  user:   (makes no call any more)\n  kernel: read(4) = 1")
    # The first difference only: what follows from it says nothing.
    assert len(list(differences(run("a() = 1\nb() = 1\n"), run("c() = 1\nd() = 1\n")))) == 1


def test_the_guests_own_errors_are_told_from_the_trace() -> None:
    trace = (
        "write(2, x) = 1\nhalf a line.write(2, y) = 1\n--- SIGTERM {si_signo=SIGTERM} ---\n"
        "pause() = ? (trap)\n"
    )
    one = run(trace, errors=b"end\n")
    assert one.errors == b"half a line.end\n"
    assert one.traces == {
        "0": ["write(2, x) = 1", "write(2, y) = 1", "--- SIGTERM {si_signo=SIGTERM} ---", "pause() = ? (trap)"]
    }


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
