# SPDX-License-Identifier: GPL-2.0-only
"""Giving constants a place: until here they are values without a block."""

from __future__ import annotations

from typing import Final

from pywasmjit._isa import (
    CALL,
    CALL_INDIRECT,
    CALL_RT,
    F32_CONST,
    F64_CONST,
    I32_CONST,
    I64_CONST,
    REF_NULL,
)
from pywasmjit.lower.ir import Function

_CALLS: Final = frozenset({CALL, CALL_INDIRECT, CALL_RT})
_COSTLY: Final = frozenset({I64_CONST, F32_CONST, F64_CONST})
_CONSTANT: Final = frozenset({I32_CONST, I64_CONST, F32_CONST, F64_CONST, REF_NULL})
_FIRST: Final = min(_CONSTANT)
_LAST: Final = max(_CONSTANT)
assert len(_CONSTANT) == _LAST - _FIRST + 1


def place_constants(fn: Function) -> None:
    """Put every constant that is used directly before its use.

    Floats and wide integers are costly to make and shared by the uses between two calls.
    """
    op, uses, imm, kinds = fn.op, fn.uses, fn.imm, fn.type
    first, last = _FIRST, _LAST
    small = 1 << 31

    def copy_of(u: int, out: list[int]) -> int:
        v = len(op)
        op.append(op[u])
        uses.append(())
        imm.append(imm[u])
        kinds.append(kinds[u])
        out.append(v)
        return v

    # Per block, the constants that phis of its successors read: (phi, operand).
    ends: dict[int, list[tuple[int, int]]] = {}
    for block in fn.blocks:
        for v in block.phis:
            for i, u in enumerate(uses[v]):
                if first <= op[u] <= last:
                    ends.setdefault(block.preds[i], []).append((v, i))
    for block in fn.blocks:
        shared: dict[int, int] = {}
        out: list[int] = []
        for v in block.insts:
            operands = uses[v]
            for u in operands:
                if first <= op[u] <= last:
                    placed: dict[int, int] = {}
                    for k in operands:
                        if first <= op[k] <= last and k not in placed:
                            if op[k] not in _COSTLY or (op[k] == I64_CONST and -small <= imm[k][0] < small):
                                placed[k] = copy_of(k, out)
                            else:
                                if k not in shared:
                                    shared[k] = copy_of(k, out)
                                placed[k] = shared[k]
                    uses[v] = tuple([placed.get(x, x) for x in operands])
                    break
            out.append(v)
            if op[v] in _CALLS:
                shared.clear()
        if block.index in ends:
            terminator = out.pop()
            placed = {}
            for v, i in ends[block.index]:
                k = uses[v][i]
                if k not in placed:
                    placed[k] = copy_of(k, out)
                uses[v] = (*uses[v][:i], placed[k], *uses[v][i + 1 :])
            out.append(terminator)
        block.insts = out
