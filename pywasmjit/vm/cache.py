# SPDX-License-Identifier: GPL-2.0-only
"""A cache outside the checkout whose entries appear whole or not at all."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path


def root() -> Path:
    """`$XDG_CACHE_HOME/pywasmjit/vm`, by default `~/.cache/pywasmjit/vm`; not created."""
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "pywasmjit" / "vm"


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on the file `path`, waiting for other processes that hold it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def build_once(target: Path, build: Callable[[Path], None]) -> Path:
    """Return `target`, made by `build(staged)` and renamed into place if it does not exist yet.

    Processes that want the same target at once wait for the first; what a killed builder left
    behind is removed by the next one.
    """
    if target.exists():
        return target
    with locked(target.with_name(f".{target.name}.lock")):
        if target.exists():
            return target
        staged = target.with_name(f".{target.name}.staged")
        remove(staged)
        try:
            build(staged)
            staged.rename(target)
        except BaseException:
            remove(staged)
            raise
    return target


def replace_text(target: Path, text: str) -> None:
    """Write a small file atomically."""
    staged = target.with_name(f".{target.name}.{os.getpid()}")
    staged.write_text(text)
    staged.replace(target)


def remove(path: Path) -> None:
    """Remove a file or a directory tree, or nothing."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def digest(parts: Iterable[bytes]) -> str:
    """16 hexadecimal digits naming this sequence of byte strings."""
    state = hashlib.sha256()
    for part in parts:
        state.update(len(part).to_bytes(8, "little"))
        state.update(part)
    return state.hexdigest()[:16]
