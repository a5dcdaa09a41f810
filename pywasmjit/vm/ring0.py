# SPDX-License-Identifier: GPL-2.0-only
"""wasm.ko for a machine's kernel, and what its totals say about where guests ran."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pywasmjit import kbuild
from pywasmjit.errors import InternalError
from pywasmjit.status import TOTALS as TOTALS
from pywasmjit.status import totals as totals
from pywasmjit.vm.packages import Kernel


def wasm_module(
    kernel: Kernel, progress: Callable[[str], None] = lambda line: None, pool_mb: int | None = None
) -> Path:
    """wasm.ko for a kernel, built when something has changed, checked against the kernel's symbols.

    pool_mb: its executable memory in MiB, if not the usual.
    """
    variables = {} if pool_mb is None else {"WJ_POOL_MB": str(pool_mb)}
    module = kbuild.build_module(kernel.headers, variables=variables, progress=progress)
    kbuild.check_module(module, kernel.headers)
    return module


def since(before: dict[str, int], after: dict[str, int]) -> dict[str, int]:
    """What was counted in between."""
    return {name: value - before.get(name, 0) for name, value in after.items()}


def require_ring0(counted: dict[str, int]) -> None:
    """Raise InternalError unless guests ran, and nothing of them outside of ring 0."""
    wrong = [f"no {name}" for name in ("loads", "functions_jitted") if not counted[name]]
    for name in ("launcher_calls", "functions_interpreted"):
        if counted[name]:
            wrong.append(f"{counted[name]} {name}")
    if wrong:
        raise InternalError(f"not everything ran in ring 0: {', '.join(wrong)} in {TOTALS}")
