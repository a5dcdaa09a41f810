# SPDX-License-Identifier: GPL-2.0-only
"""Test programs (tests/guests) print as guests what they print natively."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.conftest import Host, wait_until

SOURCES = Path(__file__).resolve().parents[1] / "guests"
SPECIAL = {"busyloop", "crash", "hello", "startup"}
PROGRAMS = sorted(path.stem for path in SOURCES.glob("*.c") if path.stem not in SPECIAL)
ENVIRONMENT = {"TZ": "Europe/Berlin", "LC_ALL": "C"}


@pytest.mark.parametrize("name", PROGRAMS)
def test_same_as_native(
    name: str, host: Host, guest: Callable[[str], Path], native: Callable[[str], Path]
) -> None:
    expected = subprocess.run(
        [native(name)], env={"PATH": os.environ["PATH"], **ENVIRONMENT}, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=120, check=True,
    ).stdout
    done = host.run(guest(name), env=ENVIRONMENT, timeout=120)
    assert done.stderr.decode() == ""
    assert done.stdout.decode() == expected
    assert done.returncode == 0
    host.assert_engine()


@pytest.mark.parametrize(
    "arguments", [[], ["return", "3"], ["exit", "4"], ["_exit", "5"], ["abort"]], ids=lambda a: "-".join(a) or "plain"
)
def test_start_and_end(
    arguments: list[str], host: Host, guest: Callable[[str], Path], native: Callable[[str], Path]
) -> None:
    """Constructors, environment, atexit, flushing, exit status, fatal signal."""
    expected = subprocess.run([native("startup"), *arguments], capture_output=True, check=False)
    done = host.run(guest("startup"), *arguments)
    assert done.returncode == expected.returncode
    assert done.stdout == expected.stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may chroot")
def test_itself_after_chroot_and_setuid(host: Host, guest: Callable[[str], Path], tmp_path: Path) -> None:
    """The image that runs is there where no cache, no tool and no privilege is; another file's is not."""
    root = tmp_path / "root"
    root.mkdir(mode=0o755)
    for name in ("program.wasm", "other.wasm"):
        shutil.copy(guest("startup"), root / name)
        (root / name).chmod(0o755)
    done = host.run(root / "program.wasm", "confined", str(root), "/program.wasm", "exit", "6")
    assert (done.returncode, done.stderr) == (6, b""), done
    assert "argument 2: 6\n" in done.stdout.decode()
    done = host.run(root / "program.wasm", "confined", str(root), "/other.wasm", "exit", "6")
    assert done.returncode == 1 and b"execv: " in done.stdout, done


def test_hello(host: Host, guest: Callable[[str], Path]) -> None:
    done = host.run(guest("hello"), "one", "two words")
    assert done.returncode == 0
    assert done.stdout.decode() == "hello, world\nargument 1: one\nargument 2: two words\n"


def test_trace(host: Host, guest: Callable[[str], Path]) -> None:
    done = host.run(guest("hello"), options=("--trace",))
    assert done.stderr == (
        b'fd_write(1, [{iov_base="hello, world", iov_len=12}, {iov_base="\\n", iov_len=1}], 2, [13]) = 0\n'
    )


def test_environment_and_argv0(host: Host, guest: Callable[[str], Path]) -> None:
    done = host.run(guest("lua"), "-e", "print(os.getenv('WJ_TEST'), arg[0])", options=("--env", "WJ_TEST=x=y", "--argv0", "zero"))
    assert done.stdout.decode().split() == ["x=y", "zero"]


@pytest.mark.parametrize("way", ["loop", "calls", "memory", "blocked"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_killed(number: signal.Signals, way: str, host: Host, guest: Callable[[str], Path]) -> None:
    process = host.start(guest("busyloop"), way)
    assert process.stdout and process.stdout.readline() == f"{way}\n".encode()  # the guest runs
    wait_until(lambda: in_guest(process.pid, blocked=way == "blocked"), "the guest runs", 30)
    started = time.monotonic()
    process.send_signal(number)
    assert process.wait(5) == -number
    assert time.monotonic() - started < 1


def test_handler_in_busy_loop(host: Host, guest: Callable[[str], Path]) -> None:
    """Signals reach a loop that makes no call; the third ends it."""
    process = host.start(guest("busyloop"), "handle")
    assert process.stdout and process.stdout.readline() == b"handle\n"  # the handler is there
    for _ in range(200):
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(0.05)
            break
        except subprocess.TimeoutExpired:
            continue
    assert process.returncode == 0


def in_guest(pid: int, blocked: bool) -> bool:
    """Is it the launcher by now, and running (or waiting)?"""
    name = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0]
    state = Path(f"/proc/{pid}/stat").read_text().split()[2]
    return name == b"pywasmjit-launch" and state == ("S" if blocked else "R")


@pytest.mark.parametrize(
    ("which", "number", "text"),
    [
        ("unreachable", signal.SIGILL, "unreachable"),
        ("divide", signal.SIGFPE, "integer divide by zero"),
        ("overflow", signal.SIGFPE, "integer overflow"),
        ("load", signal.SIGSEGV, "out of bounds memory access"),
        ("store", signal.SIGSEGV, "out of bounds memory access"),
        ("table", signal.SIGSEGV, "undefined element"),
        ("null", signal.SIGSEGV, "uninitialized element"),
    ],
)
def test_trap_is_a_fatal_signal(
    which: str, number: signal.Signals, text: str, host: Host, guest: Callable[[str], Path]
) -> None:
    """With the reason and a backtrace by name."""
    done = host.run(guest("crash"), which)
    assert done.returncode == -number
    assert done.stdout.decode() == which + "\n"
    assert f"trap: {text}" in done.stderr.decode()
    assert "main + 0x" in done.stderr.decode()


def test_recursion_ends_in_a_trap(host: Host, guest: Callable[[str], Path]) -> None:
    """Of the guest's own stack, which grows down to address zero, or of the native one."""
    done = host.run(guest("crash"), "stack")
    assert done.returncode == -signal.SIGSEGV
    assert "overflow + 0x" in done.stderr.decode()


def test_trap_in_a_child(host: Host, guest: Callable[[str], Path]) -> None:
    done = host.run(guest("crash"), "child")
    assert done.returncode == 0
    assert "the child did not exit: 1" in done.stdout.decode()
