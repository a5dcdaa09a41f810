# SPDX-License-Identifier: GPL-2.0-only
"""Arguments and results of --invoke as text."""

from __future__ import annotations

import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pywasmjit.errors import UsageError
from pywasmjit.invoke import parse, show


@pytest.mark.parametrize(
    ("text", "kind", "bits"),
    [
        ("0", "i32", 0),
        ("-1", "i32", 0xFFFFFFFF),
        ("0xffffffff", "i32", 0xFFFFFFFF),
        ("-1", "i64", 0xFFFFFFFFFFFFFFFF),
        ("0b101", "i64", 5),
        ("1", "f32", 0x3F800000),
        ("-0.0", "f32", 0x80000000),
        ("inf", "f64", 0x7FF0000000000000),
        ("2.5", "f64", 0x4004000000000000),
    ],
)
def test_parse(text: str, kind: str, bits: int) -> None:
    assert parse(text, kind) == bits


@pytest.mark.parametrize(
    ("text", "kind"),
    [("", "i32"), ("1.0", "i32"), ("4294967296", "i32"), ("-2147483649", "i32"), ("x", "f32"), ("1e39", "f32"),
     ("18446744073709551616", "i64"), ("0", "externref"), ("0", "funcref")],
)  # fmt: skip
def test_refused(text: str, kind: str) -> None:
    with pytest.raises(UsageError):
        parse(text, kind)


@given(st.integers(0, 0xFFFFFFFF))
def test_i32(bits: int) -> None:
    assert parse(show(bits, "i32"), "i32") == bits
    assert show(bits | 1 << 40, "i32") == show(bits, "i32")  # the upper half is not looked at


@given(st.integers(0, 0xFFFFFFFFFFFFFFFF))
def test_i64(bits: int) -> None:
    assert parse(show(bits, "i64"), "i64") == bits


@given(st.floats(width=32))
def test_f32(value: float) -> None:
    bits = int.from_bytes(struct.pack("<f", value), "little")
    text = show(bits, "f32")
    assert math.isnan(value) and text == "nan" or parse(text, "f32") == bits
    assert len(text) <= 20


@given(st.floats())
def test_f64(value: float) -> None:
    bits = int.from_bytes(struct.pack("<d", value), "little")
    text = show(bits, "f64")
    assert math.isnan(value) and text == "nan" or parse(text, "f64") == bits


def test_references() -> None:
    assert show(0xFFFFFFFF, "externref") == "null"
    assert show(0, "funcref") == "funcref"
