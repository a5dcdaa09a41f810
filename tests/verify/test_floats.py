# SPDX-License-Identifier: GPL-2.0-only
"""What the verifier finds out of floats: guests that have none leave the processor's alone."""

from __future__ import annotations

import pytest

from pywasmjit import _isa as isa
from tests.native.libcore import Core
from tests.verify.assemble import FUNC, Body, Image, func_type, import_entry, limits, table_entry, unsigned
from tests.verify.samples import SAMPLES, Sample, sample_image

NEITHER, TOUCHES, COMPUTES = (False, False), (False, True), (True, True)

#: source, its parameters, its results, the callee's type
CASES = {
    "integers": ("I32_ADD r0 r0 r1\n RET", "ii", "i", "i", NEITHER),
    "parameter": ("RET", "f", "", "", TOUCHES),
    "result": ("F64_CONST f0 0\n RET", "", "d", "", TOUCHES),
    "constant": ("F32_CONST f0 0\n RET", "", "", "", TOUCHES),
    "move": ("FMOV f1 f0\n RET", "f", "", "", TOUCHES),
    "load": ("F32_LOAD f0 r0 0\n RET", "i", "", "", TOUCHES),
    "store": ("F32_STORE f0 r0 0\n RET", "fi", "", "", TOUCHES),
    "reinterpretation": ("I32_REINTERPRET_F32 r0 f0\n RET", "f", "i", "", COMPUTES),
    "sum": ("F32_ADD f0 f0 f0\n RET", "f", "f", "", COMPUTES),
    "comparison": ("F64_SET r0 f0 f0 EQ\n RET", "d", "i", "", COMPUTES),
    "branch": ("F64_BR_IF f0 f0 EQ a\n a:\n RET", "d", "", "", COMPUTES),
    "call without": ("CALL 0\n RET", "", "", "", NEITHER),
    "call with a float result": ("CALL 0\n RET", "", "", ("", "d"), TOUCHES),
    "indirect call with a float result": ("I32_CONST r7 0\n CALL_INDIRECT 1 0\n RET", "", "", ("", "f"), TOUCHES),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_function(name: str, core: Core) -> None:
    source, params, results, callee, expected = CASES[name]
    other = callee if isinstance(callee, tuple) else ("", "")
    image = Image(
        types=[func_type(params, results), func_type(*other)],
        imports=[import_entry("m", "f", FUNC, unsigned(1))],
        functions=[(0, Body(source, leaf="CALL" not in source))],
        tables=[table_entry("r", 1)],
        memories=[limits(1)],
    )
    assert core.floats(core.image(image.build()), 1) == expected


def integer_only(op: isa.Op) -> bool:
    return not {op.d, op.a, op.b} & set("FDG")


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_instruction(sample: Sample, core: Core) -> None:
    """Each that has a float operand says so; the context of the samples has some anyway."""
    image = sample_image(sample)
    uses, has = core.floats(core.image(image.build()), 0)
    assert has
    if integer_only(sample.op):
        assert not uses
    elif sample.op.format in ("RR", "RRR", "SET", "JRR") and sample.op.a != "G":
        assert uses
