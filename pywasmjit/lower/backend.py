# SPDX-License-Identifier: GPL-2.0-only
"""From SSA form to the bytes of a body: the back half of lowering."""

from __future__ import annotations

from collections.abc import Sequence

from pywasmjit.lower import ir
from pywasmjit.lower.layout import assemble
from pywasmjit.lower.regalloc import allocate


def allocate_and_emit(
    fn: ir.Function,
    types: Sequence[tuple[tuple[int, ...], tuple[int, ...]]] = (),
    func_types: Sequence[int] = (),
    globals: Sequence[int] = (),
) -> bytes:
    """The body of `fn` as image.h describes it, without its size field.

    types are (parameters, results) by type index, func_types type indices by function index,
    globals value types by global index; what the code needs of them is in the instructions.
    """
    del types, func_types, globals
    return assemble(allocate(fn))
