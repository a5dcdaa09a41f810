# SPDX-License-Identifier: GPL-2.0-only
"""Would the fuzzer see it?  Mistakes planted in JIT and interpreter, each found in few modules."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.fuzz.compare import Difference, Engines
from tests.fuzz.sources import own
from tests.native.libcore import CORE

MOST = 3000

# file, what is there, what is there instead
PLANTED = {
    "dirty upper half": (
        "translate_x86.c",
        "EMIT(I32_WRAP_I64, wj_x86_rr(e, X86_MOV, a, d))",
        "EMIT(I32_WRAP_I64, wj_x86_rr(e, X86_MOV | X86_W, a, d))",
    ),
    "constant address": ("translate_memory_x86.c", "return wj_mem(R15, (s32)off);", "return wj_mem(R15, (s32)(off & ~1u));"),
    "logical shift": (
        "translate_x86.c",
        "EMIT(I32_SHR_S, wj_t_shift(j, X86_SARX, X86_SAR, 0, d, a, b))",
        "EMIT(I32_SHR_S, wj_t_shift(j, X86_SHRX, X86_SHR, 0, d, a, b))",
    ),
    "comparison of floats": ("translate_float_x86.c", "[WJ_FCC_LE] = { X86_AE, true }", "[WJ_FCC_LE] = { X86_A, true }"),
    "element of a table": ("translate_x86.c", "X86_SHL, X86_W, R11, 5);", "X86_SHL, X86_W, R11, 6);"),
    "minimum divided by -1": (
        "translate_int_x86.c",
        "wj_jit_cold(j, WJ_COLD_DIV_MINUS_1, X86_E, i)",
        "wj_jit_cold(j, WJ_COLD_DIV_MINUS_1, X86_O, i)",
    ),
    "order of saved registers": (
        "translate_x86.c",
        "for (i = WJ_IREGS - WJ_FIRST_CALLEE_SAVED; i-- > 0;) {",
        "for (i = 0; i < WJ_IREGS - WJ_FIRST_CALLEE_SAVED; i++) {",
    ),
    "rotation in the interpreter": ("interp.c", "CASE(I32_ROTR_IMM, rotl32(R32(a), -IMM32))", "CASE(I32_ROTR_IMM, rotl32(R32(a), IMM32))"),
    "last byte of memory": ("interp.c", "address + size <= inst->memory->size;", "address + size < inst->memory->size;"),
    "atomic subtraction": ("interp.c", "return old - operand;", "return operand - old;"),
}  # fmt: skip


def modules_until_found(most: int) -> int:
    engines = Engines()
    try:
        for seed in range(most):
            try:
                engines.check(own(seed), seed=seed)
            except Difference:
                return seed + 1
    finally:
        engines.close()
    return 0


def planted(name: str) -> str:
    """The file's text with the mistake."""
    file, right, wrong = PLANTED[name]
    source = (CORE / file).read_text()
    assert source.count(right) == 1, "the source has changed: plant it anew"
    return source.replace(right, wrong)


@pytest.mark.parametrize("name", PLANTED)
def test_mistakes_have_a_place(name: str) -> None:
    assert planted(name)


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", PLANTED)
def test_planted_mistake_is_found(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(CORE, tmp_path / "core")
    (tmp_path / "core" / PLANTED[name][0]).write_text(planted(name))
    monkeypatch.setenv("WJ_CORE", str(tmp_path / "core"))
    monkeypatch.setenv("WJ_BUILD", str(tmp_path / "build"))
    found = modules_until_found(MOST)
    print(f"{name}: after {found} modules")
    assert found
