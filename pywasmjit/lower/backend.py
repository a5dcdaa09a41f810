# SPDX-License-Identifier: GPL-2.0-only
"""From SSA form to the bytes of a body: the back half of lowering."""

from __future__ import annotations

from pywasmjit.lower import ir
from pywasmjit.lower.layout import assemble
from pywasmjit.lower.regalloc import allocate


def allocate_and_emit(fn: ir.Function) -> bytes:
    """The body of `fn` as image.h describes it, without its size field.

    The order of instructions in fn's blocks may change.
    """
    return assemble(allocate(fn))
