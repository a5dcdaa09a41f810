# SPDX-License-Identifier: GPL-2.0-only
"""The command line: names, options, exit codes.  What commands do is elsewhere."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from pywasmjit import __version__, launch
from pywasmjit.errors import OutputError, PywasmjitError, UsageError
from pywasmjit.vm import cli as vm_cli

EXIT_CODES = """\
exit codes:
  2   usage                          71  the system refused something
  65  bad module or image            73  output cannot be written
  66  input cannot be read           77  permission denied
  69  a host or a tool is missing    70  internal error
  exec passes the guest's exit status and fatal signal through.
"""

SIZES = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


def size(text: str) -> int:
    """A number of bytes: digits and perhaps K, M or G."""
    digits = text.rstrip("KMGkmg")
    unit = text[len(digits) :].upper()
    if not digits.isdigit() or unit not in SIZES:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size such as 256M")
    return int(digits) * SIZES[unit]


def setting(text: str) -> str:
    """K=V."""
    if "=" not in text or text.startswith("="):
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form NAME=VALUE")
    return text


def build_parser() -> argparse.ArgumentParser:
    """All commands and options; man pages and completion are made from it."""
    parser = argparse.ArgumentParser(
        prog="pywasmjit",
        description="Run POSIX servers, compiled to WebAssembly, inside the Linux kernel.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"pywasmjit {__version__}")
    parser.add_argument("-v", "--verbose", action="store_true", help="show phases with their times")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    command = commands.add_parser("exec", help="run a wasm file", allow_abbrev=False)
    command.add_argument("--host", choices=("auto", "kernel", "user"), default="auto",
                         help="where to run it (default: the kernel where it can be, saying so if not)")
    command.add_argument("--engine", choices=("jit", "interp"), default="jit",
                         help="machine code (default) or the interpreter")
    command.add_argument("--env", type=setting, action="append", default=[], metavar="K=V",
                         help="set a variable in the guest's environment")
    command.add_argument("--argv0", default="", help="the guest's argv[0] (default: FILE)")
    command.add_argument("--max-memory", type=size, default=launch.ALL_MEMORY, metavar="SIZE",
                         help="limit of linear memory, such as 256M")
    command.add_argument("--trace", action="store_true", help="print host calls on standard error")
    command.add_argument("--stats", default="", metavar="PATH",
                         help="append counters to this file when a guest process ends")
    command.add_argument("file", type=Path, metavar="FILE", help="a .wasm file or a compiled image")
    command.add_argument("arguments", nargs=argparse.REMAINDER, metavar="ARG")
    command.set_defaults(function=run_exec)

    command = commands.add_parser("compile", help="lower a wasm file to an image", allow_abbrev=False)
    command.add_argument("-o", "--output", type=Path, required=True, metavar="IMAGE")
    command.add_argument("file", type=Path, metavar="FILE")
    command.set_defaults(function=run_compile)

    command = commands.add_parser("validate", help="check a wasm file", allow_abbrev=False)
    command.add_argument("file", type=Path, metavar="FILE")
    command.set_defaults(function=run_validate)

    command = commands.add_parser("wast", help="run test scripts of the WebAssembly specification",
                                  allow_abbrev=False)
    command.add_argument("--engine", choices=("jit", "interp", "both"), default="both")
    command.add_argument("scripts", nargs="*", type=Path, metavar="FILE.wast",
                         help="default: the official suite of WebAssembly 2.0 without SIMD")
    command.set_defaults(function=run_wast)

    vm_cli.add_parser(commands)
    return parser


def noter(verbose: bool) -> launch.Note:
    started = time.monotonic()

    def note(text: str) -> None:
        if verbose:
            print(f"pywasmjit: {time.monotonic() - started:6.3f} s: {text}", file=sys.stderr)

    return note


def run_exec(options: argparse.Namespace) -> int:
    launch.execute(
        launch.Options(
            file=options.file,
            arguments=tuple(options.arguments),
            host=options.host,
            engine=options.engine,
            environment=tuple(options.env),
            argv0=options.argv0,
            max_memory=options.max_memory,
            trace=options.trace,
            stats=options.stats,
            note=noter(options.verbose),
        )
    )
    return 0


def run_compile(options: argparse.Namespace) -> int:
    image = launch.lower(launch.read_file(options.file), noter(options.verbose))
    temporary = options.output.with_name(f".{options.output.name}.{os.getpid()}")
    try:
        temporary.write_bytes(image)
        temporary.rename(options.output)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise OutputError(f"{options.output}: {error.strerror}") from error
    return 0


def run_validate(options: argparse.Namespace) -> int:
    from pywasmjit.wasm import decode, validate

    validate(decode(launch.read_file(options.file)))
    return 0


def run_wast(options: argparse.Namespace) -> int:
    from pywasmjit import wast_run

    return wast_run.main(options.scripts, options.engine)


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; every error a user can cause is one line and a stable exit code."""
    options = build_parser().parse_args(arguments)
    function: Callable[[argparse.Namespace], int] = options.function
    try:
        return function(options)
    except UsageError as error:
        print(f"pywasmjit: {error}", file=sys.stderr)
        return error.exit_code
    except PywasmjitError as error:
        where = f"{options.file}: " if getattr(options, "file", None) else ""
        text = str(error)
        print(f"pywasmjit: {text if text.startswith(where) else where + text}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 141
    except KeyboardInterrupt:
        return 130
    except MemoryError:
        print("pywasmjit: out of memory", file=sys.stderr)
        return 71


if __name__ == "__main__":
    sys.exit(main())
