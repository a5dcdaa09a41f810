# SPDX-License-Identifier: GPL-2.0-only
"""`pywasmjit vm`: run a command, or a shell, on a stock kernel in QEMU."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pywasmjit.errors import UsageError
from pywasmjit.vm import packages, rootfs
from pywasmjit.vm.machine import CHECKOUT, Machine

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[Any]


def add_parser(subparsers: Subparsers) -> None:
    """Register the command `vm`; its `function` default takes the parsed arguments."""
    vm = subparsers.add_parser("vm", help="run commands on stock kernels in QEMU")
    commands = vm.add_subparsers(dest="vm_command", metavar="COMMAND", required=True)

    run = _command(commands, "run", run_command, "boot, run a command, check the kernel's health")
    _add_machine_options(run)
    run.add_argument("--timeout", type=seconds, default=600, help="seconds (default: %(default)s)")
    run.add_argument("--kmsg", action="store_true", help="print the kernel's messages, too")
    run.add_argument(
        "command",
        nargs=argparse.REMAINDER,
        metavar="-- COMMAND",
        help="program and arguments, or one argument for /bin/sh",
    )

    shell = _command(commands, "shell", run_shell, "boot and open a shell; exit ends the machine")
    _add_machine_options(shell)

    fetch = _command(commands, "fetch", run_fetch, "download kernels and make the root image")
    known = ", ".join(packages.SUITES)
    fetch.add_argument("series", nargs="*", type=series, help=f"of {known} (default: these), debug")
    fetch.add_argument("--update", action="store_true", help="look for newer kernels")


def seconds(text: str) -> float:
    """A time to wait."""
    try:
        value = float(text)
    except ValueError:
        value = 0
    if not 0 < value < 1e6:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time in seconds")
    return value


def series(text: str) -> str:
    known = (*packages.SUITES, packages.DEBUG_SERIES)
    if text not in known:
        raise argparse.ArgumentTypeError(f"no kernel series {text!r}: known are {', '.join(known)}")
    return text


def _command(
    commands: Subparsers, name: str, function: Callable[[argparse.Namespace], int], text: str
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=text, description=f"{text.capitalize()}."
    )
    parser.set_defaults(function=function)
    return parser


def _add_machine_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--kernel",
        default=packages.DEFAULT_SERIES,
        type=series,
        help="kernel series, or debug: 6.1 with KASAN and lockdep, built once (default: %(default)s)",
    )
    parser.add_argument("--smp", type=int, default=1, metavar="N", help="processors")
    parser.add_argument("--memory", type=int, default=1024, metavar="MIB", help="memory")
    parser.add_argument("--online", action="store_true", help="let the guest reach the network")
    parser.add_argument(
        "--add",
        action="append",
        default=[],
        metavar="PATH",
        help="a file or directory to find below /project by its name, besides the checkout",
    )
    parser.add_argument("--append", action="append", default=[], help="kernel arguments")


def _machine(arguments: argparse.Namespace, lifetime: float) -> Machine:
    project = {".": CHECKOUT}
    for name in arguments.add:
        path = Path(name).resolve()
        if not path.exists():
            raise UsageError(f"--add {name}: no such file or directory")
        project[path.name] = path
    tell_what_takes_long()
    return Machine(
        arguments.kernel,
        smp=arguments.smp,
        memory_mb=arguments.memory,
        arguments=arguments.append,
        project=project,
        online=arguments.online,
        lifetime=lifetime,
    )


def tell_what_takes_long() -> None:
    """Downloads and the making of images, on standard error."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("vm: %(message)s"))
    log = logging.getLogger("pywasmjit.vm")
    if not log.handlers:
        log.addHandler(handler)
        log.setLevel(logging.INFO)


def run_command(arguments: argparse.Namespace) -> int:
    """Run one command; its output goes to standard output, its status is returned."""
    command = arguments.command[1:] if arguments.command[:1] == ["--"] else arguments.command
    if not command:
        raise UsageError("vm run: no command given; write it after --")
    machine = _machine(arguments, arguments.timeout + 300)
    try:
        with machine, machine.checked():
            wanted = command[0] if len(command) == 1 else command
            result = machine.run(wanted, arguments.timeout)
            sys.stdout.buffer.write(result.output)
            sys.stdout.buffer.flush()
    finally:
        if arguments.kmsg:
            sys.stderr.write(machine.kmsg())
    return result.status


def run_shell(arguments: argparse.Namespace) -> int:
    """A shell on this terminal."""
    return _machine(arguments, lifetime=8 * 3600).interact()


def run_fetch(arguments: argparse.Namespace) -> int:
    """Fill the cache."""
    tell_what_takes_long()
    for wanted in arguments.series or packages.SUITES:
        kernel = packages.kernel(wanted, update=arguments.update)
        rootfs.module_image(kernel)
        rootfs.initramfs(kernel)
        print(f"{wanted}: {kernel.release} ({kernel.version}) in {kernel.root}")
    print(f"root image: {rootfs.root_image()}")
    return 0
