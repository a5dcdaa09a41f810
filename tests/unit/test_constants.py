# SPDX-License-Identifier: GPL-2.0-only
"""Constant expressions of several instructions: computed here, or left to the core where an import takes part."""

from __future__ import annotations

import pytest
from wasmbinary import module, name, section, vec

from pywasmjit.errors import UnsupportedError
from pywasmjit.image import read_image, write_image
from pywasmjit.wasm import decode, validate
from pywasmjit.wasm.constants import MAX_STEPS, fold
from pywasmjit.wasm.module import ConstExpr
from pywasmjit.wasm.opcodes import I32, I64

ADD, SUB, MUL = b"\x6a", b"\x6b", b"\x6c"
ADD64, MUL64 = b"\x7c", b"\x7e"


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        (b"\x41\5\x41\7" + ADD, [("i32.const", 12)]),
        (b"\x41\5\x41\7" + SUB, [("i32.const", -2)]),
        (b"\x41\x7d\x41\7" + MUL, [("i32.const", -21)]),
        (b"\x41\xff\xff\xff\xff\7\x41\1" + ADD, [("i32.const", -(2**31))]),  # wraps
        (b"\x42\xff\xff\xff\xff\xff\xff\xff\xff\xff\0\x42\2" + MUL64, [("i64.const", -2)]),
        (b"\x23\0\x41\5" + ADD, [("global.get", 0), ("i32.const", 5), ("i32.add", 0)]),
        (
            b"\x41\2\x41\3" + MUL + b"\x23\0" + SUB,
            [("i32.const", 6), ("global.get", 0), ("i32.sub", 0)],
        ),
    ],
)
def test_fold(expression: bytes, expected: list[ConstExpr]) -> None:
    assert list(fold(b"??" + expression + b"\x0b", 2)) == expected


def with_global(value_type: int, expression: bytes) -> bytes:
    """A module that imports an i32 and an i64 and defines a global."""
    imports = [name("m") + name(text) + b"\3" + bytes((kind, 0)) for text, kind in (("a", I32), ("b", I64))]
    return module(section(2, vec(imports)), section(6, vec([bytes((value_type, 0)) + expression + b"\x0b"])))


def test_image_has_numbers_where_no_import_takes_part() -> None:
    parsed = decode(with_global(I32, b"\x41\5\x41\7" + ADD))
    validate(parsed)
    assert read_image(write_image(parsed, [])).globals[0][2] == "12"


def test_image_has_steps_where_an_import_takes_part() -> None:
    parsed = decode(with_global(I64, b"\x23\1\x42\3\x42\4" + ADD64 + MUL64))
    validate(parsed)
    assert read_image(write_image(parsed, [])).globals[0][2] == "(global 1 7 mul)"


def test_length_is_limited() -> None:
    longest = MAX_STEPS // 2
    validate(decode(with_global(I32, b"\x23\0" * longest + ADD * (longest - 1))))
    with pytest.raises(UnsupportedError, match=f"more than {MAX_STEPS} instructions"):
        validate(decode(with_global(I32, b"\x23\0" * (longest + 1) + ADD * longest)))
