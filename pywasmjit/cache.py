# SPDX-License-Identifier: GPL-2.0-only
"""The image cache: what lowering made of a wasm file, found again by its content.

Root uses the system's cache, everybody else their own.  A cache is only believed if the
directory and the file belong to the caller (or root) and nobody else can write them: the
kernel would survive a forged image, but it would run with the rights of whoever execs it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import struct
import time
from pathlib import Path

from pywasmjit import __version__

SYSTEM_CACHE = Path("/var/cache/pywasmjit/images")

_NEW = ".new-"
_ABANDONED = 3600  # seconds
_HEADER = struct.Struct("<16xI")  # of image.h: its size


def directory() -> Path | None:
    """The caller's image directory; None if there is nowhere to keep one (no HOME)."""
    if override := os.environ.get("PYWASMJIT_CACHE"):
        return Path(override)
    if os.geteuid() == 0:
        return SYSTEM_CACHE
    if home := os.environ.get("XDG_CACHE_HOME"):
        return Path(home) / "pywasmjit" / "images"
    if home := os.environ.get("HOME"):
        return Path(home) / ".cache" / "pywasmjit" / "images"
    return None


def key(wasm: bytes) -> str:
    """Name of the image of a module: changes with its bytes and with anything that lowers it."""
    digest = hashlib.sha256(wasm)
    digest.update(__version__.encode())
    package = Path(__file__).resolve().parent
    # Their state, not their contents: a warm start imports none of them.
    sources = [package / "_isa.py", package / "image.py"]
    sources += [*(package / "lower").glob("**/*.py"), *(package / "wasm").glob("*.py")]
    for source in sorted(sources):
        status = source.stat()
        digest.update(f"{source.name}:{status.st_size}:{status.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:40]


def _private(status: os.stat_result) -> bool:
    return status.st_uid in (0, os.geteuid()) and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def find(name: str) -> tuple[int | None, str]:
    """An open descriptor of the cached image, or None, and why not ("" if simply absent)."""
    place = directory()
    if place is None:
        return None, "there is no HOME to keep a cache in"
    try:
        status = os.stat(place)
    except OSError:
        return None, ""
    if not _private(status):
        return None, f"{place} can be written by others or belongs to somebody else"
    try:
        descriptor = os.open(place / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None, ""
    except OSError as error:
        return None, f"{place / name}: {error.strerror}"
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or not _private(status):
        os.close(descriptor)
        return None, f"{place / name} can be written by others or belongs to somebody else"
    header = os.pread(descriptor, _HEADER.size, 0)
    if len(header) != _HEADER.size or _HEADER.unpack(header)[0] != status.st_size:
        os.close(descriptor)
        return None, f"{place / name} is damaged"
    return descriptor, ""


def _remove(path: Path | None) -> None:
    if path is not None:
        with contextlib.suppress(OSError):
            path.unlink()


def _sweep(place: Path) -> None:
    """Remove what processes that were killed have left behind."""
    for path in place.glob(f"{_NEW}*"):
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > _ABANDONED:
                path.unlink()


def store(name: str, image: bytes) -> str:
    """Keep an image, atomically; returns why it could not be kept, "" if it was.

    Two processes at once write the same bytes to files of their own; the last rename wins.
    Whatever goes wrong, nothing half-written is left under the name.
    """
    place = directory()
    if place is None:
        return "there is no HOME to keep a cache in"
    temporary: Path | None = None
    try:
        place.mkdir(mode=0o755, parents=True, exist_ok=True)
        if not _private(os.stat(place)):
            return f"{place} can be written by others or belongs to somebody else"
        _sweep(place)
        temporary = place / f"{_NEW}{os.getpid()}-{time.time_ns()}"
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(image)
            file.flush()
            os.fchmod(file.fileno(), 0o644)
        os.rename(temporary, place / name)
    except OSError as error:
        _remove(temporary)
        return f"{place}: {error.strerror}"
    except BaseException:
        _remove(temporary)
        raise
    return ""
