# SPDX-License-Identifier: GPL-2.0-only
"""Parallel register moves to a sequence of MOV, FMOV, XCHG and FXCHG."""

from __future__ import annotations

from pywasmjit._isa import FMOV, FXCHG, MOV, XCHG


def move(dst: int, src: int) -> bytes:
    """One move between registers of one class."""
    return bytes((FMOV if dst & 16 else MOV, dst & 15 | (src & 15) << 4))


def sequence(moves: dict[int, int], out: list[bytes], temporaries: int) -> None:
    """Append code that performs all of `moves` (destination: source) at the same time.

    Destinations that nothing reads are written first; what remains are cycles.  One of the
    registers in the set `temporaries`, which must not be in moves, opens a cycle if it is of
    the right class; otherwise exchanges undo the cycle one register at a time.  Entries with
    destination = source are dropped.
    """
    if len(moves) == 1:
        ((dst, src),) = moves.items()
        if dst != src:
            out.append(bytes((FMOV if dst & 16 else MOV, dst & 15 | (src & 15) << 4)))
        return
    pending = {dst: src for dst, src in moves.items() if dst != src}
    readers: dict[int, int] = {}
    for src in pending.values():
        readers[src] = readers.get(src, 0) + 1
    ready = [dst for dst in pending if dst not in readers]
    while True:
        while ready:
            dst = ready.pop()
            src = pending.pop(dst)
            out.append(bytes((FMOV if dst & 16 else MOV, dst & 15 | (src & 15) << 4)))
            readers[src] -= 1
            if not readers[src] and src in pending:
                ready.append(src)
        if not pending:
            return
        # Only cycles are left: every pending source is read once and is itself pending.
        start, src = next(iter(pending.items()))
        free = temporaries & (0xFFFF0000 if start & 16 else 0xFFFF)
        if free:
            t = (free & -free).bit_length() - 1
            out.append(move(t, start))
            reader = next(dst for dst, src in pending.items() if src == start)
            pending[reader] = t
            readers[t] = 1
            ready.append(start)
            continue
        del pending[start]
        dst = start
        while True:
            out.append(bytes((FXCHG if dst & 16 else XCHG, dst & 15 | (src & 15) << 4)))
            # dst is right now; start's old value is in src.
            following = pending.pop(src)
            if following == start:
                break
            dst, src = src, following
