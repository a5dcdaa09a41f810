# SPDX-License-Identifier: GPL-2.0-only
"""Loops, cold blocks, and the order of blocks."""

from __future__ import annotations

from heapq import heappop, heappush

from pywasmjit._isa import TRAP, UNREACHABLE
from pywasmjit.lower.ir import Function


def find_loops(fn: Function) -> list[int]:
    """Set loop_header and loop_depth; blocks must be numbered in reverse post-order.

    Returns, per block, the header of the innermost loop it is in, -1 outside of loops; for a
    header that is itself.  Parents of loops are the loops of the headers' entry
    predecessors' innermost common loop: see the second list in `nesting`.
    """
    return nesting(fn)[0]


def nesting(fn: Function) -> tuple[list[int], list[int]]:
    """Innermost loop of each block, and of each header the loop around it (-1: none)."""
    blocks = fn.blocks
    n = len(blocks)
    loop = [-1] * n
    parent = [-1] * n
    # Union-find from a header to the outermost loop around it that is known so far.
    outer = list(range(n))
    headers = []
    for h in range(n - 1, -1, -1):
        block = blocks[h]
        work = [p for p in block.preds if p >= h]
        block.loop_header = bool(work)
        if not work:
            continue
        headers.append(h)
        loop[h] = h
        while work:
            b = work.pop()
            if loop[b] < 0:
                loop[b] = h
                work += [p for p in blocks[b].preds if p != h]
                continue
            x = loop[b]
            while outer[x] != x:
                outer[x] = outer[outer[x]]
                x = outer[x]
            if x == h:
                continue
            outer[x] = h
            parent[x] = h
            work += [p for p in blocks[x].preds if p < x and p != h]
    depth = [0] * n
    for h in reversed(headers):
        depth[h] = depth[parent[h]] + 1 if parent[h] >= 0 else 1
    for block in blocks:
        x = loop[block.index]
        block.loop_depth = depth[x] if x >= 0 else 0
    return loop, parent


def _find_cold(fn: Function) -> None:
    blocks = fn.blocks
    op = fn.op
    for block in reversed(blocks):
        if block.succs:
            block.cold = all(s > block.index and blocks[s].cold for s in block.succs)
        else:
            block.cold = op[block.insts[-1]] in (TRAP, UNREACHABLE)
    for block in blocks:
        if block.preds and not block.cold:
            block.cold = all(p < block.index and blocks[p].cold for p in block.preds)


def renumber(fn: Function, order: list[int]) -> None:
    """Put the blocks, by their position now, into this order."""
    blocks = fn.blocks
    place = {blocks[old].index: new for new, old in enumerate(order)}
    fn.blocks = [blocks[old] for old in order]
    for new, block in enumerate(fn.blocks):
        block.index = new
        block.preds = [place[p] for p in block.preds]
        block.succs = [place[s] for s in block.succs]


def lay_out(fn: Function) -> None:
    """Number the blocks in an order that is topological and keeps loops together.

    Otherwise the order stays as it was: the one that the compiler of the module chose.
    """
    renumber(fn, list(range(len(fn.blocks))))
    loop, parent = nesting(fn)
    blocks = fn.blocks
    _find_cold(fn)
    if any(loop[i] >= 0 for i in range(len(blocks))):
        order = _contiguous(fn, loop, parent)
        if order != list(range(len(blocks))):
            renumber(fn, order)


def _contiguous(fn: Function, loop: list[int], parent: list[int]) -> list[int]:
    # Topological order; of the blocks that are ready, the first one of the innermost open loop.
    blocks = fn.blocks
    waiting = [sum(p < block.index for p in block.preds) for block in blocks]
    ready: dict[int, list[int]] = {-1: [0]}
    current = -1
    order: list[int] = []
    while True:
        heap = ready.get(current)
        if not heap:
            if current < 0:
                return order
            current = parent[current]
            continue
        b = heappop(heap)
        order.append(b)
        if blocks[b].loop_header:
            current = b
        for s in set(blocks[b].succs):
            if s > b:
                waiting[s] -= 1
                if not waiting[s]:
                    home = parent[s] if blocks[s].loop_header else loop[s]
                    heappush(ready.setdefault(home, []), s)
