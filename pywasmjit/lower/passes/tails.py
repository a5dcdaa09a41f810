# SPDX-License-Identifier: GPL-2.0-only
"""Tail duplication: the small common end of many paths through a loop, at the end of each.

In an interpreter's loop every case jumps to one block that fetches the next instruction and
jumps on to the head of the loop.  With a copy at the end of each case one jump is saved, and the
moves at the merge are tailored to the case.
"""

from __future__ import annotations

from typing import Final

from pywasmjit._isa import OPS
from pywasmjit.lower.ir import DEAD, Block, Function
from pywasmjit.lower.passes.layout import renumber

# Largest block that is copied, in instructions, its branch included.
_SIZE: Final = 8
# By opcode: may not be copied.
_FIXED: Final = bytes(bool("C" in op.flags) for op in OPS)


def duplicate_tails(fn: Function) -> None:
    """Copy small blocks that jump back to a loop's head into their predecessors."""
    op = fn.op
    blocks = fn.blocks
    candidates = [
        block
        for block in blocks
        if len(block.succs) == 1
        and len(block.insts) <= _SIZE
        and len(block.preds) > 1
        and blocks[block.succs[0]].loop_header
        and block.succs[0] <= block.index
        and not block.loop_header
        and sum(len(blocks[p].succs) == 1 for p in block.preds) > 1
        and not any(_FIXED[op[v]] for v in block.insts)
    ]
    if not candidates:
        return
    counts = _use_counts(fn)
    removed = [block.index for block in candidates if _duplicate(fn, block, counts)]
    if removed:
        renumber(fn, [block.index for block in blocks if block.index not in removed])


def _use_counts(fn: Function) -> list[int]:
    counts = [0] * len(fn.op)
    uses = fn.uses
    for block in fn.blocks:
        for v in block.phis:
            for u in uses[v]:
                counts[u] += 1
        for v in block.insts:
            for u in uses[v]:
                counts[u] += 1
    return counts


def _duplicate(fn: Function, block: Block, counts: list[int]) -> bool:
    """Copy `block` into its predecessors that only jump to it; True if none is left."""
    op, uses, imm, kinds = fn.op, fn.uses, fn.imm, fn.type
    target = fn.blocks[block.succs[0]]
    at = target.preds.index(block.index)
    # Every value of the block may be used here and by the target's phis only.
    own = dict.fromkeys([*block.phis, *block.insts], 0)
    for v in block.insts:
        for u in uses[v]:
            if u in own:
                own[u] += 1
    for v in target.phis:
        u = uses[v][at]
        if u in own:
            own[u] += 1
    if any(counts[v] != n for v, n in own.items()):
        return False
    for i in range(len(block.preds) - 1, -1, -1):
        pred = fn.blocks[block.preds[i]]
        if len(pred.succs) != 1 or pred is block:
            continue
        copies = {v: uses[v][i] for v in block.phis}
        op[pred.insts.pop()] = DEAD
        for v in block.insts:
            copies[v] = copy = len(op)
            op.append(op[v])
            uses.append(tuple([copies.get(u, u) for u in uses[v]]))
            imm.append(imm[v])
            kinds.append(kinds[v])
            pred.insts.append(copy)
        pred.succs = [target.index]
        target.preds.append(pred.index)
        for v in target.phis:
            u = uses[v][at]
            uses[v] = (*uses[v], copies.get(u, u))
        del block.preds[i]
        for v in block.phis:
            uses[v] = uses[v][:i] + uses[v][i + 1 :]
    if block.preds:
        return False
    for v in block.insts:
        op[v] = DEAD
    del target.preds[at]
    for v in target.phis:
        uses[v] = uses[v][:at] + uses[v][at + 1 :]
    return True
