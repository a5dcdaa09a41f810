# SPDX-License-Identifier: GPL-2.0-only
"""Lowering a whole module: every function through build, passes and allocation, in parallel.

The image is the same whatever the number of workers: functions do not influence each other.
"""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from typing import Final

from pywasmjit.errors import InternalError, PywasmjitError
from pywasmjit.image import write_image
from pywasmjit.lower.backend import allocate_and_emit
from pywasmjit.lower.build import build
from pywasmjit.lower.info import ModuleInfo
from pywasmjit.lower.passes import optimise
from pywasmjit.wasm.module import Module

Progress = Callable[[int, int], None]
"""Called with the bytes of code lowered so far and in all, from the calling process."""

# Below this many bytes of code a second process costs more than it saves.
_PARALLEL: Final = 30_000
# Chunks handed to a worker at a time, in bytes of code: large enough to amortise a round trip.
_CHUNK: Final = 16_000


def lower_function(info: ModuleInfo, index: int) -> bytes:
    """The encoded body of one defined function (index in the function index space)."""
    try:
        fn = build(info, index)
        optimise(fn)
        return allocate_and_emit(fn)
    except PywasmjitError:
        raise
    except Exception as error:
        name = info.module.function_name(index)
        where = info.module.functions[index - info.imported].start
        raise InternalError(
            f"lowering function {index} ({name}) at byte offset 0x{where:x} failed: "
            f"{type(error).__name__}: {error}"
        ) from error


@contextmanager
def _no_collection() -> Iterator[None]:
    # The IR has no cycles worth collecting, but enough tuples to trigger many collections.
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _chunks(info: ModuleInfo) -> list[list[int]]:
    """Functions in groups of similar total size, large functions first."""
    functions = info.module.functions
    by_size = sorted(
        range(len(functions)), key=lambda i: (functions[i].start - functions[i].end, i)
    )
    chunks: list[list[int]] = []
    room = 0
    for i in by_size:
        size = functions[i].end - functions[i].start
        if size > room or not chunks:
            chunks.append([])
            room = _CHUNK
        chunks[-1].append(i + info.imported)
        room -= size
    return chunks


# What a forked worker works on; set before the fork, so that nothing is pickled to it.
_shared: ModuleInfo | None = None


def _lower_chunk(indices: list[int]) -> list[tuple[int, bytes]]:
    info = _shared
    assert info is not None
    with _no_collection():
        return [(index, lower_function(info, index)) for index in indices]


def lower(module: Module, jobs: int | None = None, progress: Progress | None = None) -> bytes:
    """Lower a validated module to an image.

    jobs: number of processes, by default one per available processor.
    """
    global _shared
    info = ModuleInfo.of(module)
    functions = module.functions
    # Parsed once, before the workers start.
    _ = module.names
    total = sum(f.end - f.start for f in functions)
    if jobs is None:
        jobs = len(os.sched_getaffinity(0))
    bodies: list[bytes] = [b""] * len(functions)
    done = 0

    def take(lowered: list[tuple[int, bytes]]) -> None:
        nonlocal done
        for index, body in lowered:
            i = index - info.imported
            bodies[i] = body
            done += functions[i].end - functions[i].start
        if progress is not None:
            progress(done, total)

    chunks = _chunks(info)
    _shared = info
    try:
        if jobs > 1 and total > _PARALLEL and len(chunks) > 1:
            # Ctrl-C reaches all processes of the terminal: this one ends the others, in silence.
            workers = min(jobs, len(chunks))
            with get_context("fork").Pool(workers, signal.signal, (signal.SIGINT, signal.SIG_IGN)) as pool:
                for lowered in pool.imap_unordered(_lower_chunk, chunks):
                    take(lowered)
        else:
            for chunk in chunks:
                take(_lower_chunk(chunk))
    finally:
        _shared = None
    return write_image(module, bodies)
