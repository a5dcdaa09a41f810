# SPDX-License-Identifier: GPL-2.0-only
"""Removal of what the builder left over: superfluous phis, dead instructions, extra blocks."""

from __future__ import annotations

from typing import Final

from pywasmjit._isa import (
    BR,
    BR_TABLE,
    CALL_RT,
    I32_CONST,
    I32_DIV_S,
    I32_DIV_U,
    I32_REM_S,
    I32_REM_U,
    I64_CONST,
    I64_DIV_S,
    I64_DIV_U,
    I64_REM_S,
    I64_REM_U,
    OPS,
    RT_REF_FUNC,
)
from pywasmjit.lower.ir import DEAD, Function

# By opcode: 1 if the instruction must stay even if its value is unused, 2 if that depends.
_ROOT: Final = bytes(
    int(bool(op.flags & {"T", "X", "S", "C"}) or op.d == "_" or op.name in ("RESULT_LOAD", "FRESULT_LOAD"))
    for op in OPS
).ljust(DEAD + 1, b"\0")
_DIVISIONS: Final = {
    I32_DIV_S: True,
    I32_REM_S: True,
    I64_DIV_S: True,
    I64_REM_S: True,
    I32_DIV_U: False,
    I32_REM_U: False,
    I64_DIV_U: False,
    I64_REM_U: False,
}


def simplify_phis(fn: Function) -> dict[int, int]:
    """Find phis that are copies of one value: phi -> that value, fully resolved."""
    uses = fn.uses
    copies: dict[int, int] = {}
    pending = [v for block in fn.blocks for v in block.phis]
    changed = True
    while changed:
        changed = False
        rest = []
        for v in pending:
            source = -1
            for u in uses[v]:
                while u in copies:
                    u = copies[u]
                if u != source and u != v:
                    if source >= 0:
                        rest.append(v)
                        break
                    source = u
            else:
                copies[v] = source
                changed = True
        pending = rest
    for v, u in copies.items():
        while u in copies:
            u = copies[u]
        copies[v] = u
    return copies


def _removable(fn: Function, v: int) -> bool:
    """Whether an instruction with flag X cannot trap after all (and has no other effect)."""
    op = fn.op[v]
    if op in _DIVISIONS:
        divisor = fn.uses[v][1]
        if fn.op[divisor] not in (I32_CONST, I64_CONST):
            return False
        k = fn.imm[divisor][0]
        return k != 0 and not (k == -1 and _DIVISIONS[op])
    return op == CALL_RT and fn.imm[v][0] == RT_REF_FUNC


def remove_dead(fn: Function, copies: dict[int, int]) -> None:
    """Replace copies by their sources and drop instructions and phis without users."""
    op = fn.op
    uses = fn.uses
    live = bytearray(len(op))
    root = _ROOT
    work = []
    for block in fn.blocks:
        for v in block.insts:
            if root[op[v]] and not ((op[v] in _DIVISIONS or op[v] == CALL_RT) and _removable(fn, v)):
                live[v] = 1
                work.append(v)
    get = copies.get
    pop = work.pop
    push = work.append
    while work:
        v = pop()
        operands = uses[v]
        for u in operands:
            if u in copies:
                uses[v] = operands = tuple([get(x, x) for x in operands])
                break
        for u in operands:
            if not live[u]:
                live[u] = 1
                push(u)
    for block in fn.blocks:
        block.insts = [v for v in block.insts if live[v]]
        if block.phis:
            block.phis = [v for v in block.phis if live[v]]


def clean(fn: Function) -> None:
    """Remove superfluous phis and dead instructions."""
    remove_dead(fn, simplify_phis(fn))


def merge_blocks(fn: Function) -> None:
    """Thread jumps through empty blocks and merge blocks that only follow each other.

    Blocks are left out of the order of fn.blocks (which lay_out renumbers) when removed.
    """
    blocks = {block.index: block for block in fn.blocks}
    op = fn.op
    uses = fn.uses
    for block in fn.blocks:
        # Empty and not the entry: let predecessors jump to the target themselves.
        if len(block.insts) != 1 or block.phis or not block.preds or op[block.insts[0]] != BR:
            continue
        target = blocks[block.succs[0]]
        if target is block or target.loop_header:
            continue
        at = target.preds.index(block.index)
        for p in list(block.preds):
            pred = blocks[p]
            if target.phis:
                # A conditional edge would have to be split again to hold the moves.
                if len(pred.succs) != 1 or p in target.preds:
                    continue
                for v in target.phis:
                    uses[v] = (*uses[v], uses[v][at])
                target.preds.append(p)
            elif p not in target.preds:
                target.preds.append(p)
            block.preds.remove(p)
            pred.succs = [target.index if s == block.index else s for s in pred.succs]
            v = pred.insts[-1]
            if op[v] != BR_TABLE and len(set(pred.succs)) < len(pred.succs):
                op[v], uses[v], fn.imm[v] = BR, (), ()
                pred.succs.pop()
        if not block.preds:
            del target.preds[at]
            for v in target.phis:
                uses[v] = uses[v][:at] + uses[v][at + 1 :]
            op[block.insts.pop()] = DEAD
            del blocks[block.index]
    for block in fn.blocks:
        if block.index not in blocks:
            continue
        while len(block.succs) == 1:
            follower = blocks[block.succs[0]]
            if len(follower.preds) != 1 or op[block.insts[-1]] != BR or follower is block:
                break
            op[block.insts.pop()] = DEAD
            # Phis of a block with one predecessor are copies, which remove_dead replaced.
            block.insts += follower.insts
            block.succs = follower.succs
            for s in set(block.succs):
                preds = blocks[s].preds
                preds[preds.index(follower.index)] = block.index
            del blocks[follower.index]
    fn.blocks = [block for block in fn.blocks if block.index in blocks]
