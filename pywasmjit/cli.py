# SPDX-License-Identifier: GPL-2.0-only
"""The command line: names, options, exit codes.  What commands do is elsewhere."""

from __future__ import annotations

import argparse
import errno
import io
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from pywasmjit import __version__, admin, launch
from pywasmjit.errors import (
    HostUnavailableError,
    InternalError,
    ModuleError,
    OutputError,
    PywasmjitError,
    SystemCallError,
    UsageError,
)

EXAMPLES = """\
examples:
  sudo pywasmjit insmod && pywasmjit exec nginx.wasm
  pywasmjit exec nginx.wasm -c /etc/nginx/nginx.conf
  pywasmjit exec --host user --trace hello.wasm
  pywasmjit compile nginx.wasm -o nginx.image
  pywasmjit objdump hello.wasm --function main

`pywasmjit COMMAND --help` shows a command's options.
"""
EXIT_CODES = """\
exit codes:
  0    done                           71   the system refused something
  2    usage                          73   output cannot be written
  65   bad module or image            77   permission denied
  66   input cannot be read           130  interrupted
  69   a host or a tool is missing    141  nobody reads the output
  70   internal error
  exec passes the guest's exit status and fatal signal through.
"""
EXEC = """\
Run a WebAssembly program, lowering it first if the cache does not have it.  Options go before FILE,
the program's arguments after it.
"""
OBJDUMP = """\
Show a file's functions as WebAssembly, as bytecode and as machine code.  Nothing is run.
"""
NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
# These need nothing of what the other commands import.
LIGHT = frozenset({"exec", "compile", "validate", "objdump", *admin.COMMANDS})

# Of what some commands import and an installation may lack.
DEBIAN_PACKAGES = {
    "elftools": "python3-pyelftools",
    "kconfiglib": "python3-kconfiglib",
    "rich": "python3-rich",
}

SIZES = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


def size(text: str) -> int:
    """A number of bytes: digits and perhaps K, M or G."""
    digits = text.rstrip("KMGkmg")
    unit = text[len(digits) :].upper()
    if not digits.isdigit() or unit not in SIZES:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size such as 256M")
    return min(int(digits) * SIZES[unit], launch.ALL_MEMORY)


def file(text: str) -> Path:
    """A file name; "" is none, and Path takes it for the working directory."""
    if not text:
        raise argparse.ArgumentTypeError("the file name is empty")
    return Path(text)


def setting(text: str) -> str:
    """K=V."""
    if "=" not in text or text.startswith("="):
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form NAME=VALUE")
    return text


class Parser(argparse.ArgumentParser):
    """One line for a wrong command line; -v before the command and after it."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        # Without a default: a command's parser must not undo what came before the command.
        self.add_argument("-v", "--verbose", action="store_true", default=argparse.SUPPRESS,
                          help="show phases with their times")

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"pywasmjit: {message}; see `{self.prog} --help`\n")


def build_parser(light: bool = False) -> argparse.ArgumentParser:
    """All commands and options; man pages and completion are made from it.

    light: without the commands that are slow to import.
    """
    parser = Parser(
        prog="pywasmjit",
        description="Run POSIX servers, compiled to WebAssembly, inside the Linux kernel.",
        epilog=f"{EXAMPLES}\n{EXIT_CODES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"pywasmjit {__version__}")
    parser.set_defaults(verbose=False)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    command = commands.add_parser("exec", help="run a wasm file", allow_abbrev=False, description=EXEC)
    command.add_argument("--host", choices=("auto", "kernel", "user"), default="auto",
                         help="where to run it (default: the kernel where it can be, saying so if not)")
    command.add_argument("--engine", choices=("jit", "interp"), default="jit",
                         help="machine code (default) or the interpreter")
    command.add_argument("--both", action="store_true",
                         help="run it in user space, then in the kernel, and say what differs")
    command.add_argument("--env", type=setting, action="append", default=[], metavar="K=V",
                         help="set a variable in the guest's environment")
    command.add_argument("--inherit-env", action="store_true",
                         help="give a WASI program all of this environment (others have it anyway)")
    command.add_argument("--dir", dest="directories", action="append", default=[], metavar="HOST[::GUEST]",
                         help="give a WASI program a directory, perhaps under another name")
    command.add_argument("--tcplisten", dest="listeners", action="append", default=[],
                         metavar="ADDR:PORT[,nonblock]",
                         help="give a WASI program a socket that listens there (numbered after directories)")
    command.add_argument("--invoke", default="", metavar="NAME",
                         help="call this exported function with the ARGs and print its results")
    command.add_argument("--argv0", default="", help="the guest's argv[0] (default: FILE)")
    command.add_argument("--max-memory", type=size, default=launch.ALL_MEMORY, metavar="SIZE",
                         help="limit of linear memory, such as 256M")
    command.add_argument("--trace", action="store_true", help="print host calls on standard error")
    command.add_argument("--stats", default="", metavar="PATH",
                         help="append counters to this file when a guest process ends")
    command.add_argument("file", type=file, metavar="FILE", help="a .wasm file or a compiled image")
    rest = command.add_argument("arguments", nargs=argparse.REMAINDER, metavar="ARG",
                                help="the program's arguments")
    rest.required = False  # else a missing FILE is reported as both
    command.set_defaults(function=run_exec)

    command = commands.add_parser("compile", help="lower a wasm file to an image", allow_abbrev=False,
                                  description="Lower a wasm file to an image, which exec can run.")
    command.add_argument("-o", "--output", type=file, required=True, metavar="IMAGE",
                         help="where to write the image")
    command.add_argument("file", type=file, metavar="FILE", help="a .wasm file")
    command.set_defaults(function=run_compile)

    command = commands.add_parser("validate", help="check a wasm file", allow_abbrev=False,
                                  description="Check a wasm file; no output if it is valid WebAssembly 2.0.")
    command.add_argument("file", type=file, metavar="FILE", help="a .wasm file")
    command.set_defaults(function=run_validate)

    command = commands.add_parser("objdump", help="show a file's functions, down to machine code",
                                  allow_abbrev=False, description=OBJDUMP)
    command.add_argument("--function", dest="wanted", default="", metavar="NAME|INDEX",
                         help="only this one (default: all)")
    command.add_argument("file", type=file, metavar="FILE", help="a .wasm file or a compiled image")
    command.set_defaults(function=run_objdump)

    command = commands.add_parser("wast", help="run test scripts of the WebAssembly specification",
                                  allow_abbrev=False,
                                  description="Run test scripts of the WebAssembly specification.")
    command.add_argument("--engine", choices=("jit", "interp", "both"), default="both",
                         help="on which engine (default: both)")
    command.add_argument("scripts", nargs="*", type=file, metavar="FILE.wast",
                         help="default: the official suite of WebAssembly 2.0 without SIMD")
    command.set_defaults(function=run_wast)

    admin.add_parsers(commands)
    if not light:
        from pywasmjit.vm import cli as vm_cli

        vm_cli.add_parser(commands)
    return parser


def noter(verbose: bool) -> launch.Note:
    started = time.monotonic()

    def note(text: str) -> None:
        if verbose:
            print(f"pywasmjit: {time.monotonic() - started:6.3f} s: {text}", file=sys.stderr)

    return note


def run_exec(options: argparse.Namespace) -> int:
    wanted = launch.Options(
        file=options.file,
        arguments=tuple(options.arguments),
        host=options.host,
        engine=options.engine,
        environment=tuple(options.env),
        argv0=options.argv0,
        max_memory=options.max_memory,
        trace=options.trace,
        stats=options.stats,
        directories=tuple(options.directories),
        listeners=tuple(options.listeners),
        inherit_environment=options.inherit_env,
        invoke=options.invoke,
        note=noter(options.verbose),
    )
    if not options.both:
        return launch.execute(wanted)
    if options.host != "auto" or options.trace:
        raise UsageError("--both chooses the hosts and compares the traces: no --host or --trace with it")
    from pywasmjit import both

    return both.execute(wanted)


def run_compile(options: argparse.Namespace) -> int:
    launch.compile_file(options.file, options.output, noter(options.verbose))
    return 0


def run_validate(options: argparse.Namespace) -> int:
    from pywasmjit.wasm import decode, validate

    note = noter(options.verbose)
    module = decode(launch.read_file(options.file))
    note("decoded")
    validate(module)
    note("validated")
    return 0


def run_objdump(options: argparse.Namespace) -> int:
    from pywasmjit import objdump

    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    return objdump.main(options.file, options.wanted, noter(options.verbose), sys.stdout.write)


def run_wast(options: argparse.Namespace) -> int:
    from pywasmjit import wast_run

    return wast_run.main(options.scripts, options.engine)


def complain(text: str) -> None:
    """One line on standard error, if there is one."""
    try:
        print(f"pywasmjit: {text}", file=sys.stderr, flush=True)
    except (OSError, ValueError):
        sys.stderr = None


def _drop_output() -> None:
    """What standard output still holds goes nowhere: Python would try, and complain, at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _describe(error: PywasmjitError, options: argparse.Namespace | None) -> str:
    """The error's text, with the file's name where the error itself does not know it."""
    text = str(error)
    file = getattr(options, "file", None)
    if file is None or not isinstance(error, ModuleError | InternalError) or text.startswith(f"{file}: "):
        return text
    return f"{file}: {text}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; every error a user can cause is one line and a stable exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    options = None
    try:
        first = next((word for word in words if word not in ("-v", "--verbose")), "")
        try:
            options = build_parser(first in LIGHT).parse_args(words)
            function: Callable[[argparse.Namespace], int] = options.function
            return function(options)
        finally:
            # Here, where it can be reported: Python itself does it too late.
            if sys.stdout is not None:
                sys.stdout.flush()
    except PywasmjitError as error:
        complain(_describe(error, options))
        return error.exit_code
    except BrokenPipeError:
        _drop_output()
        return 141
    except KeyboardInterrupt:
        return 130
    except MemoryError:
        complain("out of memory")
        return SystemCallError.exit_code
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        complain(f"{where}{error.strerror or error}")
        if error.errno not in NO_SPACE:
            return SystemCallError.exit_code
        _drop_output()
        return OutputError.exit_code
    except Exception as error:
        if isinstance(error, ModuleNotFoundError) and error.name in DEBIAN_PACKAGES:
            complain(f"Python's {error.name} is missing: apt-get install {DEBIAN_PACKAGES[error.name]}")
            return HostUnavailableError.exit_code
        if options is not None and options.verbose:
            import traceback

            traceback.print_exc()
        text = " ".join(str(error).split())
        complain(f"internal error: {type(error).__name__}: {text} (`pywasmjit -v` shows where)")
        return InternalError.exit_code


if __name__ == "__main__":
    sys.exit(main())
