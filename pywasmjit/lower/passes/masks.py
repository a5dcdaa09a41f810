# SPDX-License-Identifier: GPL-2.0-only
"""Masks that clear nothing: `x & 255` where x, at a merge of paths, always was loaded as a byte.

The front sees no more than what a value is computed of; what a phi can be it does not know yet.
"""

from __future__ import annotations

from typing import Final

from pywasmjit._isa import (
    I32_AND,
    I32_AND_IMM,
    I32_CONST,
    I32_OR,
    I32_OR_IMM,
    I32_SELECT,
    I32_SELECT_IMM,
    I32_SHR_U_IMM,
    I32_XOR,
    I32_XOR_IMM,
    I64_AND_IMM,
    I64_CONST,
    I64_EXTEND_I32_U,
    I64_SELECT,
    I64_SELECT_IMM,
    I64_SHR_U_IMM,
)
from pywasmjit.lower.fold import UMAX
from pywasmjit.lower.ir import I32, PHI, Function
from pywasmjit.lower.passes.clean import remove_dead

_ALL: Final = (1 << 64) - 1
_ALL32: Final = (1 << 32) - 1
# Bits that may be set in what an instruction yields, whatever its operands.
_FIXED: Final = {op: (1 << largest.bit_length()) - 1 for op, largest in UMAX.items()}
_AND_IMM: Final = frozenset((I32_AND_IMM, I64_AND_IMM))
_UNION: Final = frozenset((I32_OR, I32_XOR))
_SELECT: Final = frozenset((I32_SELECT, I32_SELECT_IMM, I64_SELECT, I64_SELECT_IMM))
# How often a phi may be found to have more bits before it is taken to have all: loops may shift.
_PATIENCE: Final = 3


def drop_masks(fn: Function) -> None:
    """Remove AND_IMM on phis that have none of the bits that it clears."""
    op, uses, imm = fn.op, fn.uses, fn.imm
    masks = [v for block in fn.blocks for v in block.insts if op[v] in _AND_IMM and op[uses[v][0]] == PHI]
    if not masks:
        return
    possible = _phis(fn, [uses[v][0] for v in masks])
    copies = {v: uses[v][0] for v in masks if not possible[uses[v][0]] & ~imm[v][0] & _all(fn, v)}
    for v, u in copies.items():
        while u in copies:
            u = copies[u]
        copies[v] = u
    if copies:
        remove_dead(fn, copies)


def _all(fn: Function, v: int) -> int:
    return _ALL32 if fn.type[v] == I32 else _ALL


def _phis(fn: Function, wanted: list[int]) -> dict[int, int]:
    """For these phis, and others that they are made of, the bits that may be set."""
    uses = fn.uses
    possible: dict[int, int] = {}
    work = list(wanted)
    while work:
        v = work.pop()
        if v not in possible:
            possible[v] = 0
            for u in uses[v]:
                work += _sources(fn, u, 6)
    grown = dict.fromkeys(possible, 0)
    changed = True
    while changed:
        changed = False
        for v in possible:
            bits = 0
            for u in uses[v]:
                bits |= _bits(fn, u, possible, 6)
            if bits & ~possible[v]:
                changed = True
                grown[v] += 1
                possible[v] = bits if grown[v] <= _PATIENCE else _all(fn, v)
    return possible


def _sources(fn: Function, v: int, depth: int) -> list[int]:
    """The phis that _bits looks at."""
    op = fn.op[v]
    if op == PHI:
        return [v]
    if op in _FIXED or not depth:
        return []
    return [p for u in _operands(fn, v) for p in _sources(fn, u, depth - 1)]


def _operands(fn: Function, v: int) -> tuple[int, ...]:
    """Those operands that decide which bits may be set."""
    op = fn.op[v]
    if op in _SELECT:
        return fn.uses[v][:2]
    if op in _AND_IMM or op in _UNION or op in (
        I32_AND, I32_OR_IMM, I32_XOR_IMM, I32_SHR_U_IMM, I64_SHR_U_IMM, I64_EXTEND_I32_U,
    ):  # fmt: skip
        return fn.uses[v]
    return ()


def _bits(fn: Function, v: int, possible: dict[int, int], depth: int) -> int:
    op = fn.op[v]
    if op == PHI:
        return possible[v]
    fixed = _FIXED.get(op)
    if fixed is not None:
        return fixed
    everything = _all(fn, v)
    if op in (I32_CONST, I64_CONST):
        return fn.imm[v][0] & everything
    operands = _operands(fn, v)
    if not depth or not operands:
        return everything
    bits = [_bits(fn, u, possible, depth - 1) for u in operands]
    if op in _AND_IMM:
        return bits[0] & fn.imm[v][0] & everything
    if op == I32_AND:
        return bits[0] & bits[1]
    if op in (I32_OR_IMM, I32_XOR_IMM):
        return (bits[0] | fn.imm[v][0]) & everything
    if op in (I32_SHR_U_IMM, I64_SHR_U_IMM):
        # All bits below the highest: what is shifted may have any of them.
        return (1 << bits[0].bit_length()) - 1 >> fn.imm[v][0]
    if op == I64_EXTEND_I32_U:
        return bits[0]
    return bits[0] | bits[1]
