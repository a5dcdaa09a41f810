# SPDX-License-Identifier: GPL-2.0-only
"""Each byte of small images, with each value it can have: fields, opcodes, operands, types, lengths.

Rejected, or safe: what the verifier lets through runs in the interpreter that checks the verifier's
promises, under sanitizers, and in the JIT with canaries around whatever it could reach, where it
must do the same.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.fuzz.test_mutated_images import corpus
from tests.native.libcore import Core, CoreCrash
from tests.verify.assemble import program

CHECKED = (lambda: Core("shadow"), 1)
COMPILED = (lambda: Core("plain", jit=True, canaries=True), 3)
BOTH = pytest.mark.parametrize(("make", "engines"), [CHECKED, COMPILED], ids=["shadow", "jit"])

#: A bit of everything that a body may have.
MIXED = program(
    """
        MOV r8 r0
        SLOT_STORE r0 0
        OUT_STORE r1 0
        CALL 0
        SLOT_LOAD r1 0
        BR loop
    loop: r1=i32 r8=i32 s0
        POLL
        I32_LOAD r2 r1 8
        F64_LOAD f0 r1 16
        F64_STORE f0 r1 24
        I32_ADD_IMM r8 r8 -1
        I32_BR_IF_IMM r8 NE 0 loop
        BR_TABLE r1 a b a
    a: r1=i32
        I32_CONST r7 0
        RET
    b: r1=i32
        MOV r0 r1
        RET
    """,
    "iiiiiii",
    "",
    leaf=False,
    saved=1,
    slots=(1, 0, 0, 0, 0),
    outs=1,
)


def sweep(make: Callable[[], Core], engines: int, images: list[bytes]) -> tuple[int, int]:
    accepted = rejected = 0
    with make() as core:
        for raw in images:
            try:
                found = core.sweep(raw, 0, len(raw), engines)
            except CoreCrash as error:
                raise AssertionError(f"{raw.hex()}: {error}") from error
            accepted += found[0]
            rejected += found[1]
    return accepted, rejected


@BOTH
def test_some(make: Callable[[], Core], engines: int) -> None:
    accepted, rejected = sweep(make, engines, [MIXED.build()])
    assert accepted > 1_000 and rejected > 20_000


@pytest.mark.long
@pytest.mark.timeout(7200)
@BOTH
def test_whole_corpus(make: Callable[[], Core], engines: int) -> None:
    accepted, rejected = sweep(make, engines, corpus())
    assert accepted > 100_000 and rejected > 1_000_000
