# SPDX-License-Identifier: GPL-2.0-only
"""Constant expressions of more than one instruction (the extended-const proposal, part of WebAssembly 3.0).

i32 and i64 constants and imported globals, with add, sub and mul.  What has no global in it is
computed here; the rest is left for the core to compute when the module is instantiated.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from pywasmjit.errors import UnsupportedError
from pywasmjit.wasm.disasm import instructions
from pywasmjit.wasm.module import ConstExpr

_OPERATIONS: Final[dict[str, Callable[[int, int], int]]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
}
# As in image.h; on the stack is never more than a half of them.
MAX_STEPS: Final = 32
ARITHMETIC: Final = frozenset(f"{kind}.{name}" for kind in ("i32", "i64") for name in _OPERATIONS)


class Step(NamedTuple):
    """An instruction; value: a constant, an index, a reference type, or 0.  offset: in the file."""

    name: str
    value: int
    offset: int


def steps(data: bytes, offset: int) -> list[Step]:
    """The instructions of the expression at offset, its `end` left out."""
    found = []
    for instruction in instructions(data, offset, len(data)):
        if instruction.name == "end":
            break
        value = instruction.immediates[0] if instruction.immediates else 0
        found.append(Step(instruction.name, value, instruction.offset))
        if len(found) > MAX_STEPS:
            message = f"constant expression of more than {MAX_STEPS} instructions"
            raise UnsupportedError(message, offset=offset)
    return found


def _wrapped(value: int, bits: int) -> int:
    """As a signed number of that many bits."""
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def fold(data: bytes, offset: int) -> tuple[ConstExpr, ...]:
    """The valid expression at offset, in postfix order, its constants computed: one if there is no global."""
    stack: list[tuple[ConstExpr, ...]] = []
    for step in steps(data, offset):
        kind, _, name = step.name.partition(".")
        if step.name not in ARITHMETIC:
            stack.append(((step.name, step.value),))
            continue
        right, left = stack.pop(), stack.pop()
        if len(left) == len(right) == 1 and left[0][0] == right[0][0] == f"{kind}.const":
            value = _OPERATIONS[name](left[0][1], right[0][1])
            stack.append(((f"{kind}.const", _wrapped(value, int(kind[1:]))),))
        else:
            stack.append((*left, *right, (step.name, 0)))
    return stack[0]
