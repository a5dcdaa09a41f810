# SPDX-License-Identifier: GPL-2.0-only
"""A directory of build results, each found by a hash of everything it was made from.

<root>/<key>/         a result, complete by construction: put there by a rename
<root>/work-<key>/    it is being built, or its builder was killed
<root>/<key>.lock     held by the builder; ends with it, however that ends
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path


def default_root() -> Path:
    """${XDG_CACHE_HOME:-~/.cache}/pywasmjit"""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(base) / "pywasmjit"


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on a file; it ends with the process, however that ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def hash_inputs(parts: Iterable[tuple[str, bytes]]) -> str:
    """A key for named inputs.  Order, names and lengths count."""
    digest = hashlib.sha256()
    for name, content in parts:
        encoded = name.encode()
        digest.update(f"{len(encoded)} {len(content)}\n".encode())
        digest.update(encoded)
        digest.update(content)
    return digest.hexdigest()[:32]


def file_inputs(base: Path, patterns: Iterable[str]) -> list[tuple[str, bytes]]:
    """Names relative to base and contents of the files that the patterns match."""
    paths = {path for pattern in patterns for path in base.glob(pattern) if path.is_file()}
    return [(str(path.relative_to(base)), path.read_bytes()) for path in sorted(paths)]


class Cache:
    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, key: str) -> Path:
        return self.root / key

    def get(self, key: str) -> Path | None:
        path = self.path(key)
        return path if path.is_dir() else None

    def get_or_build(self, key: str, build: Callable[[Path, Path], None]) -> tuple[Path, bool]:
        """The result directory of key, and whether it had to be built.

        build(work, out) may do what it likes in work and leaves its results in
        out.  Whatever happens to it, a result directory is either complete or
        not there.
        """
        present = self.get(key)
        if present is not None:
            return present, False
        self.root.mkdir(parents=True, exist_ok=True)
        with locked(self._lock(key)):
            present = self.get(key)  # somebody else built it while we waited
            if present is not None:
                return present, False
            self._sweep(key)
            work = self._work(key)
            out = work / "out"
            try:
                out.mkdir(parents=True)
                build(work, out)
                out.rename(self.path(key))
            finally:
                shutil.rmtree(work, ignore_errors=True)
        return self.path(key), True

    def _lock(self, key: str) -> Path:
        return self.root / f"{key}.lock"

    def _work(self, key: str) -> Path:
        """Where key is built: always the same place, its name may end up in results."""
        return self.root / f"work-{key}"

    def _sweep(self, own: str) -> None:
        """Remove what killed builders left.  The caller holds the lock of `own`."""
        shutil.rmtree(self._work(own), ignore_errors=True)
        for work in self.root.glob("work-*"):
            with self._lock(work.name.removeprefix("work-")).open("a") as handle:
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    continue
                shutil.rmtree(work, ignore_errors=True)
