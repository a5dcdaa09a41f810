# SPDX-License-Identifier: GPL-2.0-only
"""The administrator's commands on the command line: build, insmod, rmmod, status, doctor."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pywasmjit.errors import HostUnavailableError, UsageError

if TYPE_CHECKING:
    from pywasmjit import loader

    Subparsers = argparse._SubParsersAction[Any]

BUILD = """\
Build wasm.ko for the running kernel, or for the one whose headers are given, and check that it fits.
"""
INSMOD = """\
Load the kernel module, building it first where DKMS has not: then /dev/wasm is there.  Only root may
open it, and until the module is unloaded the user who called sudo.  Does nothing but that last part
if the module is loaded already.
"""
RMMOD = "Unload the kernel module.  If guests still run, they are named and it stays."
STATUS = "Show the module, and the guests that run in the kernel."
DOCTOR = """\
Say whether guests can run in this kernel, or in one whose headers are given, and what to do if not.
The exit code is 0 if they can, 69 if something is missing.
"""


COMMANDS = ("build", "insmod", "rmmod", "status", "doctor")


def megabytes(text: str) -> int:
    """MiB of executable memory."""
    if not text.isdigit() or not 1 <= int(text) <= 1024:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of MiB from 1 to 1024")
    return int(text)


def add_parsers(commands: Subparsers) -> None:
    """Register the commands; their `function` default takes the parsed arguments."""
    command = _command(commands, "build", run_build, "build the kernel module", BUILD)
    _add_build_options(command)
    command.add_argument("-o", "--output", type=Path, default=Path("wasm.ko"), metavar="FILE",
                         help="where to write it (default: %(default)s)")

    command = _command(commands, "insmod", run_insmod, "load the kernel module", INSMOD)
    _add_build_options(command)
    command.add_argument("--module", type=Path, metavar="FILE",
                         help="load this file (default: DKMS's module, or one built now)")
    command.add_argument("--group", metavar="GROUP", help="let a group in, until the module is unloaded")
    command.add_argument("parameters", nargs="*", metavar="NAME=VALUE",
                         help="parameters of the module, such as max_guests=10; see modinfo wasm.ko")

    _command(commands, "rmmod", run_rmmod, "unload the kernel module", RMMOD)

    command = _command(commands, "status", run_status, "show the guests in the kernel", STATUS)
    command.add_argument("--json", action="store_true", help="as JSON")

    command = _command(commands, "doctor", run_doctor, "say what the kernel host lacks here", DOCTOR)
    command.add_argument("--kernel", type=Path, metavar="DIR",
                         help="examine the kernel with these headers (default: the running one)")
    command.add_argument("--json", action="store_true", help="as JSON")


def _command(
    commands: Subparsers,
    name: str,
    function: Callable[[argparse.Namespace], int],
    text: str,
    description: str,
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=text, description=description, allow_abbrev=False
    )
    parser.set_defaults(function=function)
    return parser


def _add_build_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--kernel", type=Path, metavar="DIR",
                         help="prepared headers (default: those of the running kernel)")
    command.add_argument("--pool", type=megabytes, metavar="MIB",
                         help="memory for the machine code of all guests (default: 8)")
    command.add_argument("--key", type=Path, metavar="FILE", help="sign the module with this private key")
    command.add_argument("--certificate", type=Path, metavar="FILE", help="the key's X.509 certificate")


def _build_options(options: argparse.Namespace) -> loader.BuildOptions:
    from pywasmjit import loader

    if (options.key is None) != (options.certificate is None):
        raise UsageError("--key and --certificate belong together")
    signing = loader.Signing(options.key, options.certificate) if options.key else None
    return loader.BuildOptions(kernel=options.kernel, pool_mb=options.pool, signing=signing)


@contextlib.contextmanager
def _progress() -> Iterator[Callable[[str], None]]:
    """What is told of a build: a bar on a terminal, else a line for what is not routine."""
    with contextlib.ExitStack() as stack:
        started: list[Callable[[str], None]] = []

        def progress(line: str) -> None:
            if not started:
                started.append(_start_progress(stack))
            started[0](line)

        yield progress


def _start_progress(stack: contextlib.ExitStack) -> Callable[[str], None]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from pywasmjit import kbuild

    console = Console(stderr=True, highlight=False)
    quiet = not console.is_terminal
    columns = (
        TextColumn("building wasm.ko"), BarColumn(), TextColumn("{task.description}", markup=False),
        TimeElapsedColumn(),
    )  # fmt: skip
    bar = stack.enter_context(Progress(*columns, console=console, transient=True, disable=quiet))
    # One file is compiled from each, then linking and modpost.
    sources = kbuild.module_sources()
    steps = 4 + sum(len(list((sources / "kmod" / name).glob("*.[cS]"))) for name in ("core", "host", "linux"))
    task = bar.add_task("", total=steps)
    if quiet:
        console.print("building wasm.ko", markup=False)

    def progress(line: str) -> None:
        if line[:1].isupper():  # "CC       kmod/core/image.o"
            bar.update(task, advance=1, description=line.split()[-1])
        else:
            console.print(line, markup=False)

    return progress


def run_build(options: argparse.Namespace) -> int:
    from pywasmjit import loader

    with _progress() as progress:
        out = loader.build(_build_options(options), options.output, progress=progress)
    print(f"{out} ({out.stat().st_size / 1e6:.1f} MB)")
    return 0


def run_insmod(options: argparse.Namespace) -> int:
    from pywasmjit import loader

    wanted = loader.InsertOptions(
        build=_build_options(options),
        module=options.module,
        group=options.group,
        parameters=options.parameters,
    )
    with _progress() as progress:
        done = loader.insert(wanted, progress=progress)
    if done.file is None:
        print(f"wasm {done.version} is loaded already; /dev/wasm: {done.access}")
    else:
        print(f"wasm {done.version} loaded in {done.seconds:.3f} s; /dev/wasm: {done.access}")
    return 0


def run_rmmod(options: argparse.Namespace) -> int:
    from pywasmjit import loader

    print(f"wasm {loader.remove()} unloaded")
    return 0


def run_status(options: argparse.Namespace) -> int:
    from pywasmjit import status

    state = status.read()
    if options.json:
        print(status.as_json(state))
    else:
        status.show(state)
    return 0 if state.loaded else HostUnavailableError.exit_code


def run_doctor(options: argparse.Namespace) -> int:
    from pywasmjit import doctor

    checks = doctor.examine(options.kernel)
    if options.json:
        print(doctor.as_json(checks, options.kernel))
    else:
        doctor.show(checks)
    sys.stdout.flush()
    return 0 if doctor.ready(checks) else HostUnavailableError.exit_code
