# SPDX-License-Identifier: GPL-2.0-only
"""From a file on the command line to a running guest: image, host, launcher."""

from __future__ import annotations

import contextlib
import os
import signal
import stat
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from pywasmjit import __version__, cache, grants
from pywasmjit.errors import (
    AccessError,
    DecodeError,
    HostUnavailableError,
    InputError,
    ModuleError,
    OutputError,
    SystemCallError,
    UnsupportedError,
    UsageError,
)

DEVICE = Path("/dev/wasm")
MODULE_VERSION = Path("/sys/module/wasm/version")
IMAGE_MAGIC = b"\0wjimg\0\1"
WASM_MAGIC = b"\0asm"
ALL_MEMORY = 1 << 32
MAX_LINE = 256  # of which the kernel reads `#!`
_BETWEEN_NOTES = 1.0  # seconds, while lowering
MAX_FILE = 256 << 20  # that of images (image.h); and /dev/zero has an end

Note = Callable[[str], None]


class Options(NamedTuple):
    """What `pywasmjit exec` was asked for.  No dataclass: those take 10 ms to import."""

    file: Path
    arguments: tuple[str, ...] = ()
    host: str = "auto"
    engine: str = "jit"
    environment: tuple[str, ...] = ()  # K=V, added to the caller's
    argv0: str = ""
    max_memory: int = ALL_MEMORY
    trace: bool = False
    stats: str = ""
    directories: tuple[str, ...] = ()  # HOST or HOST::GUEST, for a WASI program
    listeners: tuple[str, ...] = ()  # ADDRESS:PORT
    inherit_environment: bool = False
    invoke: str = ""  # an exported function to call instead of main
    note: Note = lambda text: None


def read_file(path: Path) -> bytes:
    """The file's bytes, or an InputError or AccessError that names it."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE + 1)
    except PermissionError as error:
        raise AccessError(f"{path}: permission denied: run as a user who may read it") from error
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error
    if len(data) > MAX_FILE:
        raise UnsupportedError(f"larger than {MAX_FILE >> 20} MiB")
    return data


def write_file(path: Path, data: bytes) -> None:
    """Write a file so that nobody ever sees half of it; OutputError if that cannot be.

    What is no regular file (/dev/stdout) is written to, not replaced.
    """
    temporary: Path | None = None
    try:
        path = Path(os.path.realpath(path))
        if path.exists() and not path.is_file():
            path.write_bytes(data)
            return
        temporary = path.with_name(f".{path.name[:200]}.{os.getpid()}")
        temporary.write_bytes(data)
        temporary.replace(path)
    except BaseException as error:
        if temporary is not None:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and not isinstance(error, BrokenPipeError):
            raise OutputError(f"{path}: {error.strerror}") from error
        raise


def launcher() -> Path:
    """The launcher's path: $PYWASMJIT_LAUNCHER, beside the package, or in the checkout's build/."""
    if override := os.environ.get("PYWASMJIT_LAUNCHER"):
        if os.access(override, os.X_OK):
            return Path(override)
        raise HostUnavailableError(f"$PYWASMJIT_LAUNCHER is {override}, which is no program")
    package = Path(__file__).resolve().parent
    for candidate in (package / "bin" / "pywasmjit-launch", package.parent / "build" / "pywasmjit-launch"):
        if candidate.exists():
            return candidate
    raise HostUnavailableError(
        "the launcher (pywasmjit-launch) is not built: run `make launcher` in the source directory"
    )


def lower(wasm: bytes, note: Note) -> bytes:
    """Validate and lower a module; `note` hears of phases with their times."""
    # Imported here: a warm start needs none of it.
    from pywasmjit.lower.pipeline import lower as lower_module
    from pywasmjit.wasm import decode, validate

    module = decode(wasm)
    note("decoded")
    validate(module)
    note("validated")
    noted = time.monotonic()

    def progress(done: int, total: int) -> None:
        nonlocal noted
        if time.monotonic() - noted >= _BETWEEN_NOTES:
            noted = time.monotonic()
            note(f"lowered {100 * done // total} % of {total} bytes of code")

    image = lower_module(module, progress=progress)
    note(f"lowered: {len(wasm)} bytes of wasm, {len(image)} of image")
    return image


def _check_magic(data: bytes) -> None:
    """DecodeError if this is not even the beginning of a module."""
    if data[:4] == WASM_MAGIC:
        return
    if not data:
        raise DecodeError("the file is empty")
    if data[:6] == IMAGE_MAGIC[:6]:
        raise ModuleError("this is an image already, not a wasm module")
    raise DecodeError("neither a wasm module nor an image", offset=0)


def compile_file(source: Path, target: Path, note: Note) -> None:
    """Lower a wasm file to an image file."""
    data = read_file(source)
    _check_magic(data)
    # Before the work, not after it.
    with contextlib.suppress(OSError):
        if target.samefile(source):
            raise UsageError(f"{target}: the image would replace the wasm file")
    if target.is_dir():
        raise OutputError(f"{target}: Is a directory")
    if not target.parent.is_dir():
        raise OutputError(f"{target.parent}: no such directory")
    write_file(target, lower(data, note))
    note(f"{target} written")


def image_of(data: bytes, note: Note) -> int:
    """A descriptor of the image of a wasm file (cached or made now) or of an image file.

    Either may follow a line `#!/usr/bin/pywasmjit exec`.
    """
    if data[:2] == b"#!":
        data = data[: MAX_LINE].partition(b"\n")[2] + data[MAX_LINE:]
    if data[:8] == IMAGE_MAGIC:
        return _memory_file(data)
    if data[:6] == IMAGE_MAGIC[:6]:
        raise ModuleError("the image was made by another version of pywasmjit: compile it again")
    _check_magic(data)
    name = cache.key(data)
    descriptor, why = cache.find(name)
    if why:
        note(f"image cache not used: {why}")
    if descriptor is not None:
        note(f"image {name} from the cache")
        return descriptor
    image = lower(data, note)
    if why := cache.store(name, image):
        note(f"image not cached: {why}")
    return _memory_file(image)


def _memory_file(image: bytes) -> int:
    try:
        descriptor = os.memfd_create("pywasmjit-image", os.MFD_CLOEXEC)
        with open(descriptor, "wb", closefd=False) as file:
            file.write(image)
    except OSError as error:
        raise SystemCallError(f"no memory for the image: {error.strerror}") from error
    return descriptor


def choose_host(host: str, engine: str = "jit") -> str:
    """"kernel" or "user"; for "auto" the kernel where it can be, and a line that says why not."""
    if host == "user":
        return host
    if engine == "interp":
        if host == "kernel":
            raise UsageError("the kernel host has no interpreter: use --engine=jit or --host=user")
        problem = "the kernel host has no interpreter"
    elif not DEVICE.exists():
        problem = f"{DEVICE} does not exist: load the kernel module with sudo pywasmjit insmod"
    elif (version := _loaded_version()) != __version__:
        problem = (
            f"the loaded module is wasm {version}, this is pywasmjit {__version__}: "
            "sudo pywasmjit rmmod && sudo pywasmjit insmod"
        )
    elif not os.access(DEVICE, os.R_OK | os.W_OK):
        problem = f"{DEVICE}: permission denied: {access_remedy(DEVICE)}"
    else:
        return "kernel"
    if host == "kernel":
        raise (AccessError if "permission denied" in problem else HostUnavailableError)(problem)
    print(f"pywasmjit: running in user space: {problem}", file=sys.stderr)
    return "user"


def _loaded_version() -> str:
    """What the loaded module calls itself."""
    try:
        return MODULE_VERSION.read_text().strip()
    except OSError:
        return "unknown"


def access_remedy(device: Path) -> str:
    """How one gets at a device that one may not open."""
    import grp

    name = ""
    with contextlib.suppress(OSError, KeyError):
        status = device.stat()
        # Root's group is no way in for anybody.
        if status.st_gid and status.st_mode & stat.S_IWGRP:
            name = grp.getgrgid(status.st_gid).gr_name
    if name:
        lasting = f"join group {name} (sudo adduser $USER {name}, then log in again)"
    else:
        lasting = "sudo pywasmjit insmod --group GROUP"
    return f"sudo pywasmjit insmod lets you in until the module is unloaded; for others, {lasting}"


def execute(options: Options) -> int:
    """Become the launcher; returns only from --invoke, with the exit status."""
    started = time.monotonic()
    program = launcher()
    data = read_file(options.file)
    host = choose_host(options.host, options.engine)
    descriptor = image_of(data, options.note)
    command = [
        "pywasmjit-launch",
        f"--host={host}",
        f"--engine={options.engine}",
        f"--max-memory={options.max_memory}",
        f"--image-fd={descriptor}",
        f"--wasm={options.file}",
        f"--pywasmjit={own_command()}",
    ]
    if options.trace:
        command.append("--trace")
    if options.stats:
        try:
            open(options.stats, "ab").close()
        except OSError as error:
            raise OutputError(f"{options.stats}: {error.strerror}") from error
        command.append(f"--stats={options.stats}")
    settings = grants.settings(
        options.directories, options.listeners, options.environment, options.inherit_environment, os.environ
    )
    command += [f"--setting={setting}" for setting in settings]
    command += ["--", options.argv0 or str(options.file), *options.arguments]
    environment = dict(os.environ)
    for setting in options.environment:
        name, _, value = setting.partition("=")
        environment[name] = value
    options.note(f"{host} host, {options.engine} engine, {time.monotonic() - started:.3f} s so far")
    os.set_inheritable(descriptor, True)
    if options.invoke:
        from pywasmjit import invoke

        return invoke.run(program, command, environment, descriptor, options.invoke, options.arguments)
    # Python ignores these; the guest starts as any program does.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    try:
        os.execve(program, command, environment)
    except OSError as error:
        raise SystemCallError(f"{program}: {error.strerror}") from error


def own_command() -> str:
    """What the launcher execs for another wasm file: the pywasmjit beside this Python, or ours."""
    installed = Path(sys.executable).parent / "pywasmjit"
    return str(installed if installed.exists() else Path(sys.argv[0]).resolve())
