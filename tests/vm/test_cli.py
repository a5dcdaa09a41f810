# SPDX-License-Identifier: GPL-2.0-only
"""`pywasmjit vm`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import pexpect
import pytest

from pywasmjit.errors import UsageError
from pywasmjit.vm import cli
from pywasmjit.vm.errors import OracleError
from pywasmjit.vm.machine import CHECKOUT
from pywasmjit.vm.packages import Kernel

SHELL = """
import argparse, sys
from pywasmjit.vm import cli
parser = argparse.ArgumentParser()
cli.add_parser(parser.add_subparsers())
arguments = parser.parse_args()
sys.exit(arguments.function(arguments))
"""


def _run(*words: str) -> int:
    parser = argparse.ArgumentParser()
    cli.add_parser(parser.add_subparsers())
    arguments = parser.parse_args(["vm", *words])
    status: int = arguments.function(arguments)
    return status


def test_run_passes_output_and_status(
    kernel: Kernel, probe: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    command = "insmod /project/probe.ko && cat /dev/wj_probe; exit 7"
    words = ("--kernel", kernel.series, "--smp", "2", "--add", str(probe), "--kmsg")
    assert _run("run", *words, "--", command) == 7
    out, err = capfdbinary.readouterr()
    assert out == b"probe: hello from ring 0\n"
    assert b"wj_probe: loaded" in err
    assert b"smp: Brought up 1 node, 2 CPUs" in err


def test_run_reports_a_hurt_kernel(kernel: Kernel) -> None:
    with pytest.raises(OracleError, match="BUG: made up"):
        _run("run", "--kernel", kernel.series, "--", "echo '<3>BUG: made up' >/dev/kmsg")


def test_run_wants_a_command() -> None:
    with pytest.raises(UsageError, match="no command given"):
        _run("run")


def test_run_wants_what_it_adds() -> None:
    with pytest.raises(UsageError, match="--add /no/such/file"):
        _run("run", "--add", "/no/such/file", "--", "true")


def test_shell_on_a_terminal(kernel: Kernel) -> None:
    shell: pexpect.spawn[str] = pexpect.spawn(
        sys.executable,
        ["-c", SHELL, "vm", "shell", "--kernel", kernel.series],
        cwd=CHECKOUT,
        encoding="utf-8",
        timeout=120,
        dimensions=(40, 99),
    )
    try:
        shell.expect(r"root@pywasmjit:.*# ")
        shell.sendline("stty size; uname -r; tty")
        shell.expect_exact("40 99\r\n")
        shell.expect_exact(f"{kernel.release}\r\n/dev/hvc0\r\n")
        # Control-C reaches the guest, not QEMU.
        shell.sendline("sh -c 'echo star\"\"ted; exec sleep 1000'")
        shell.expect(r"[\r\n]started\r\n")
        shell.sendintr()
        shell.sendline("echo status=$?")
        shell.expect_exact("status=130\r\n")
        shell.sendline("exit")
        shell.expect(pexpect.EOF)
        shell.wait()
        assert shell.exitstatus == 0
    finally:
        shell.close(force=True)
