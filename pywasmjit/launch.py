# SPDX-License-Identifier: GPL-2.0-only
"""From a file on the command line to a running guest: image, host, launcher."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from pywasmjit import cache
from pywasmjit.errors import (
    AccessError,
    DecodeError,
    HostUnavailableError,
    InputError,
    SystemCallError,
)

DEVICE = Path("/dev/wasm")
IMAGE_MAGIC = b"\0wjimg\0\1"
WASM_MAGIC = b"\0asm"
ALL_MEMORY = 1 << 32

Note = Callable[[str], None]


@dataclass(frozen=True)
class Options:
    """What `pywasmjit exec` was asked for."""

    file: Path
    arguments: tuple[str, ...] = ()
    host: str = "auto"
    engine: str = "jit"
    environment: tuple[str, ...] = ()  # K=V, added to the caller's
    argv0: str = ""
    max_memory: int = ALL_MEMORY
    trace: bool = False
    stats: str = ""
    note: Note = field(default=lambda text: None)


def read_file(path: Path) -> bytes:
    """The file's bytes, or an InputError or AccessError that names it."""
    try:
        return path.read_bytes()
    except PermissionError as error:
        raise AccessError(f"{path}: permission denied: run as a user who may read it") from error
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error


def launcher() -> Path:
    """The launcher's path: $PYWASMJIT_LAUNCHER, beside the package, or in the checkout's build/."""
    package = Path(__file__).resolve().parent
    candidates = [package / "bin" / "pywasmjit-launch", package.parent / "build" / "pywasmjit-launch"]
    if override := os.environ.get("PYWASMJIT_LAUNCHER"):
        candidates.insert(0, Path(override))
    for candidate in candidates:
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
    return lower_module(module)


def image_of(data: bytes, path: Path, note: Note) -> int:
    """A descriptor of the image of a wasm file (cached or made now) or of an image file."""
    if data[:8] == IMAGE_MAGIC:
        return _memory_file(data)
    if data[:4] != WASM_MAGIC:
        what = "empty" if not data else "neither a wasm module nor an image"
        raise DecodeError(f"{path} is {what}", offset=0)
    name = cache.key(data)
    descriptor, why = cache.find(name)
    if why:
        note(f"image cache not used: {why}")
    if descriptor is not None:
        note(f"image {name} from the cache")
        return descriptor
    started = time.monotonic()
    image = lower(data, note)
    note(f"lowered in {time.monotonic() - started:.2f} s: {len(data)} bytes of wasm, {len(image)} of image")
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


def choose_host(host: str) -> str:
    """"kernel" or "user"; for "auto" the kernel where it can be, and a line that says why not."""
    if host == "user":
        return host
    if not DEVICE.exists():
        problem = f"{DEVICE} does not exist: load the module with `sudo pywasmjit insmod`"
    elif not os.access(DEVICE, os.R_OK | os.W_OK):
        problem = f"{DEVICE}: permission denied: use sudo, or `sudo pywasmjit insmod` as this user"
    else:
        return "kernel"
    if host == "kernel":
        if DEVICE.exists():
            raise AccessError(problem)
        raise HostUnavailableError(problem)
    print(f"pywasmjit: running in user space: {problem}", file=sys.stderr)
    return "user"


def execute(options: Options) -> None:
    """Become the launcher; returns only by an exception."""
    started = time.monotonic()
    program = launcher()
    descriptor = image_of(read_file(options.file), options.file, options.note)
    host = choose_host(options.host)
    command = [
        "pywasmjit-launch",
        f"--host={host}",
        f"--engine={options.engine}",
        f"--max-memory={options.max_memory}",
        f"--image-fd={descriptor}",
        f"--wasm={options.file}",
        f"--pywasmjit={_own_command()}",
    ]
    if options.trace:
        command.append("--trace")
    if options.stats:
        command.append(f"--stats={options.stats}")
    command += ["--", options.argv0 or str(options.file), *options.arguments]
    environment = dict(os.environ)
    for setting in options.environment:
        name, _, value = setting.partition("=")
        environment[name] = value
    options.note(f"{host} host, {options.engine} engine, {time.monotonic() - started:.3f} s so far")
    os.set_inheritable(descriptor, True)
    try:
        os.execve(program, command, environment)
    except OSError as error:
        raise SystemCallError(f"{program}: {error.strerror}") from error


def _own_command() -> str:
    """What the launcher execs for another wasm file: the pywasmjit beside this Python, or ours."""
    installed = Path(sys.executable).parent / "pywasmjit"
    return str(installed if installed.exists() else Path(sys.argv[0]).resolve())
