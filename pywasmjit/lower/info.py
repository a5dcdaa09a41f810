# SPDX-License-Identifier: GPL-2.0-only
"""What lowering a function needs to know of its module, in the terms of the IR."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pywasmjit.lower.ir import F32, F64, I32, I64, REF
from pywasmjit.wasm.module import Module

KINDS: Final = {0x7F: I32, 0x7E: I64, 0x7D: F32, 0x7C: F64, 0x70: REF, 0x6F: REF}

MAX_PAGES: Final = 65536

Signature = tuple[tuple[int, ...], tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class ModuleInfo:
    """A module as lowering sees it.

    types: (parameters, results) of each type, as IR types.  functions: type index of every
    function, imports included; the first `imported` are imports.  globals: (IR type,
    mutable) of every global.  slack: bytes of the 32-bit address space that memory can never
    grow into.
    """

    module: Module
    data: bytes
    types: tuple[Signature, ...]
    functions: tuple[int, ...]
    imported: int
    globals: tuple[tuple[int, bool], ...]
    slack: int

    @classmethod
    def of(cls, module: Module) -> ModuleInfo:
        """The information about a validated module."""
        return cls(
            module,
            module.data,
            tuple(
                (tuple(KINDS[t] for t in params), tuple(KINDS[t] for t in results))
                for params, results in module.types
            ),
            module.func_type_indices,
            module.num_imported_functions,
            tuple((KINDS[t], mutable) for t, mutable in module.global_types),
            _slack(module),
        )


def _slack(module: Module) -> int:
    # The core never lets a memory grow to all 65536 pages; one may start with them, though, and
    # an imported one may have been made by anybody.
    if not module.memory_types:
        return 0
    minimum, maximum = module.memory_types[0]
    if maximum is None:
        maximum = MAX_PAGES if module.num_imported_memories else MAX_PAGES - 1
    elif not module.num_imported_memories:
        maximum = min(maximum, MAX_PAGES - 1)
    return (MAX_PAGES - max(minimum, maximum)) << 16
