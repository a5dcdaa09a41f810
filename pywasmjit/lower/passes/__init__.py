# SPDX-License-Identifier: GPL-2.0-only
"""Passes over the SSA form of one function; optimise() runs them in order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from pywasmjit.lower.ir import Function
from pywasmjit.lower.passes.addresses import improve_loops
from pywasmjit.lower.passes.clean import clean, merge_blocks
from pywasmjit.lower.passes.constants import place_constants
from pywasmjit.lower.passes.layout import lay_out
from pywasmjit.lower.passes.masks import drop_masks
from pywasmjit.lower.passes.tails import duplicate_tails
from pywasmjit.lower.passes.unroll import unroll

__all__ = ["BASIC", "PIPELINE", "optimise"]

Pass = Callable[[Function], None]

PIPELINE: Final[tuple[Pass, ...]] = (
    clean,
    drop_masks,
    merge_blocks,
    lay_out,
    duplicate_tails,
    unroll,
    improve_loops,
    place_constants,
)
# What the back needs, and nothing more.
BASIC: Final[tuple[Pass, ...]] = (clean, merge_blocks, lay_out, place_constants)


def optimise(fn: Function) -> None:
    """Make what build() returned ready for register allocation."""
    for run in PIPELINE:
        run(fn)
