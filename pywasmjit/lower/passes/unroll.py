# SPDX-License-Identifier: GPL-2.0-only
"""Unrolling of loops that are one small block.

The copies keep their exit tests, so that nothing about the number of iterations is needed; what
is saved is the poll at the loop's head, and the addresses of one copy often are those of another
plus a constant (addresses.py).
"""

from __future__ import annotations

from typing import Final

from pywasmjit._isa import BR, OPS
from pywasmjit.lower.ir import NONE, PHI, Block, Function
from pywasmjit.lower.passes.layout import renumber

# Instructions of a loop, its branch included, and how many copies are made of it in all.
_COPIES: Final = ((7, 4),)
# By opcode: a loop with such an instruction is not small, or its copies would not help.
_HEAVY: Final = bytes(bool("C" in op.flags or {"M", "S"} <= op.flags) for op in OPS)
_LOAD: Final = bytes("M" in op.flags for op in OPS)


def _copies(fn: Function, block: Block) -> int:
    """How many times to have the body of a loop; 1 to leave it."""
    for size, copies in _COPIES:
        if len(block.insts) <= size:
            if any(_HEAVY[fn.op[v]] for v in block.insts) or not _counts(fn, block):
                return 1
            return copies
    return 1


def _counts(fn: Function, block: Block) -> bool:
    """Whether the loop's exit depends on arithmetic only.

    Loops that look for something in memory seldom run for long, and their exits are hard enough
    to predict once.
    """
    own = set(block.insts)
    work = [u for u in fn.uses[block.insts[-1]] if u in own]
    while work:
        v = work.pop()
        if _LOAD[fn.op[v]]:
            return False
        work += [u for u in fn.uses[v] if u in own]
    return True


def unroll(fn: Function) -> None:
    """Unroll small loops of one block; blocks are in order, loop_header and such are set."""
    blocks = fn.blocks
    loops = {}
    for block in blocks:
        if block.loop_header and block.index in block.succs and len(block.succs) == 2:
            copies = _copies(fn, block)
            if copies > 1:
                loops[block.index] = copies
    if not loops:
        return
    home = {v: i for i in loops for v in (*blocks[i].phis, *blocks[i].insts)}
    # Values of each loop that are used behind it, and by what.
    outside: dict[int, dict[int, list[int]]] = {i: {} for i in loops}
    uses = fn.uses
    for block in blocks:
        here = block.index
        for v in block.insts:
            for u in uses[v]:
                if u in home and home[u] != here:
                    outside[home[u]].setdefault(u, []).append(v)
        for v in block.phis:
            for p, u in zip(block.preds, uses[v], strict=True):
                # A loop's own phi is outside where another path leads back to its head.
                if u in home and (home[u] != here or p != here):
                    outside[home[u]].setdefault(u, []).append(v)
    order: list[int] = []
    for i in range(len(blocks)):
        order.append(i)
        if i in loops:
            order += _unroll(fn, blocks[i], loops[i], outside[i])
    renumber(fn, order)


def _unroll(fn: Function, block: Block, copies: int, outside: dict[int, list[int]]) -> list[int]:
    """Unroll one loop; returns the numbers of the new blocks."""
    op, uses, imm, kinds = fn.op, fn.uses, fn.imm, fn.type
    blocks = fn.blocks
    latch = block.preds.index(block.index)
    back = [uses[v][latch] for v in block.phis]
    own = set(block.phis)
    exit_ = blocks[block.succs[0] if block.succs[1] == block.index else block.succs[1]]
    # The values as they are in each copy; the first is the loop itself.
    maps: list[dict[int, int]] = [{}]
    bodies = [block]
    added: list[int] = []
    for _ in range(1, copies):
        last = maps[-1]
        now = {v: last.get(u, u) for v, u in zip(block.phis, back, strict=True)}
        body = Block(len(blocks), loop_depth=block.loop_depth, cold=block.cold)
        blocks.append(body)
        added.append(body.index)
        for v in block.insts:
            now[v] = copy = len(op)
            op.append(op[v])
            uses.append(tuple([now.get(u, u) for u in uses[v]]))
            imm.append(imm[v])
            kinds.append(kinds[v])
            body.insts.append(copy)
        body.preds = [bodies[-1].index]
        bodies.append(body)
        maps.append(now)
    for v, u in zip(block.phis, back, strict=True):
        u = maps[-1].get(u, u)
        uses[v] = (*uses[v][:latch], u, *uses[v][latch + 1 :])
    # Where the copies leave to: the exit itself if only this loop leads there.
    leave = exit_
    if len(exit_.preds) > 1:
        leave = Block(len(blocks), loop_depth=exit_.loop_depth, cold=exit_.cold)
        blocks.append(leave)
        added.append(leave.index)
        jump = len(op)
        op.append(BR)
        uses.append(())
        imm.append(())
        kinds.append(NONE)
        leave.insts.append(jump)
        leave.succs = [exit_.index]
        exit_.preds[exit_.preds.index(block.index)] = leave.index
    successors = list(block.succs)
    for i, body in enumerate(bodies):
        following = bodies[(i + 1) % copies].index
        body.succs = [following if s == block.index else leave.index for s in successors]
    block.preds[latch] = bodies[-1].index
    leave.preds = [body.index for body in bodies]
    for v, users in outside.items():
        merged = len(op)
        op.append(PHI)
        uses.append(tuple([m.get(v, v) for m in maps]))
        imm.append(())
        kinds.append(kinds[v])
        leave.phis.append(merged)
        for user in dict.fromkeys(users):
            if user in own:
                operands = [merged if u == v else u for u in uses[user]]
                operands[latch] = uses[user][latch]
                uses[user] = tuple(operands)
            else:
                uses[user] = tuple([merged if u == v else u for u in uses[user]])
    return added
