# SPDX-License-Identifier: GPL-2.0-only
"""Instruction selection and folding: wat expression in, instructions out."""

from __future__ import annotations

import random
from textwrap import dedent

import pytest
from lowering import instructions

from pywasmjit import _isa
from pywasmjit._isa import OPS
from pywasmjit.lower.fold import W32, W64, Emitter, Width, _reciprocal, _reciprocal_signed, holds
from pywasmjit.lower.ir import PARAM

I32 = "(param i32 i32) (result i32)"
I64 = "(param i64 i64) (result i64)"
A, B = "(local.get 0)", "(local.get 1)"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        # Immediates, on either side.
        (f"(i32.add {A} (i32.const 5))", "v0:i32 = I32_ADD_IMM p0 [5]"),
        (f"(i32.add (i32.const 5) {A})", "v0:i32 = I32_ADD_IMM p0 [5]"),
        (f"(i32.sub {A} (i32.const 5))", "v0:i32 = I32_ADD_IMM p0 [-5]"),
        (f"(i32.sub {A} (i32.const 0x80000000))", "v0:i32 = I32_ADD_IMM p0 [-2147483648]"),
        (f"(i32.and {A} (i32.const 7))", "v0:i32 = I32_AND_IMM p0 [7]"),
        (f"(i32.or (i32.const 7) {A})", "v0:i32 = I32_OR_IMM p0 [7]"),
        (f"(i32.xor {A} (i32.const -1))", "v0:i32 = I32_XOR_IMM p0 [-1]"),
        (f"(i32.mul {A} (i32.const 7))", "v0:i32 = I32_MUL_IMM p0 [7]"),
        (f"(i32.shl {A} (i32.const 35))", "v0:i32 = I32_SHL_IMM p0 [3]"),
        (f"(i32.rotl {A} (i32.const 5))", "v0:i32 = I32_ROTR_IMM p0 [27]"),
        (f"(i32.rotr {A} (i32.const 5))", "v0:i32 = I32_ROTR_IMM p0 [5]"),
        # Identities.
        (f"(i32.add {A} (i32.const 0))", ""),
        (f"(i32.and {A} (i32.const -1))", ""),
        (f"(i32.shl {A} (i32.const 32))", ""),
        (f"(i32.mul {A} (i32.const 1))", ""),
        (f"(i32.sub {A} {A})", "v0:i32 = I32_CONST [0]"),
        (f"(i32.xor {A} {A})", "v0:i32 = I32_CONST [0]"),
        (f"(i32.and {A} {A})", ""),
        (f"(i32.and {A} (i32.const 0))", "v0:i32 = I32_CONST [0]"),
        # Constants fold, with wrap-around.
        ("(i32.add (i32.const 0x7fffffff) (i32.const 1))", "v0:i32 = I32_CONST [-2147483648]"),
        ("(i32.shr_u (i32.const -1) (i32.const 4))", "v0:i32 = I32_CONST [268435455]"),
        ("(i32.rotl (i32.const 0x80000001) (i32.const 1))", "v0:i32 = I32_CONST [3]"),
        ("(i32.clz (i32.const 1))", "v0:i32 = I32_CONST [31]"),
        ("(i32.ctz (i32.const 0))", "v0:i32 = I32_CONST [32]"),
        ("(i32.popcnt (i32.const -1))", "v0:i32 = I32_CONST [32]"),
        ("(i32.div_s (i32.const -7) (i32.const 2))", "v0:i32 = I32_CONST [-3]"),
        ("(i32.rem_s (i32.const -7) (i32.const 2))", "v0:i32 = I32_CONST [-1]"),
        ("(i32.lt_u (i32.const 1) (i32.const -1))", "v0:i32 = I32_CONST [1]"),
        ("(i32.wrap_i64 (i64.const 0x1ffffffff))", "v0:i32 = I32_CONST [-1]"),
        # Division by zero stays.
        (
            f"(i32.div_u {A} (i32.const 0))",
            """\
            v0:i32 = I32_CONST [0]
            v1:i32 = I32_DIV_U p0, v0""",
        ),
        # Strength reduction.
        (f"(i32.mul {A} (i32.const 8))", "v0:i32 = I32_SHL_IMM p0 [3]"),
        (f"(i32.mul {A} (i32.const 0x80000000))", "v0:i32 = I32_SHL_IMM p0 [31]"),
        (f"(i32.mul {A} (i32.const 3))", "v0:i32 = I32_LEA p0, p0 [1 0]"),
        (f"(i32.mul {A} (i32.const 5))", "v0:i32 = I32_LEA p0, p0 [2 0]"),
        (f"(i32.mul {A} (i32.const 9))", "v0:i32 = I32_LEA p0, p0 [3 0]"),
        (f"(i32.div_u {A} (i32.const 16))", "v0:i32 = I32_SHR_U_IMM p0 [4]"),
        (f"(i32.rem_u {A} (i32.const 16))", "v0:i32 = I32_AND_IMM p0 [15]"),
        (
            f"(i32.div_s {A} (i32.const 2))",
            """\
            v0:i32 = I32_SHR_U_IMM p0 [31]
            v1:i32 = I32_ADD p0, v0
            v2:i32 = I32_SHR_S_IMM v1 [1]""",
        ),
        (
            f"(i32.div_u {A} (i32.const 10))",
            """\
            v0:i64 = I64_EXTEND_I32_U p0
            v1:i64 = I64_CONST [3435973837]
            v2:i64 = I64_MUL v0, v1
            v3:i64 = I64_SHR_U_IMM v2 [35]
            v4:i32 = I32_WRAP_I64 v3""",
        ),
        # LEA.
        (f"(i32.add {A} (i32.shl {B} (i32.const 3)))", "v0:i32 = I32_LEA p0, p1 [3 0]"),
        (f"(i32.add (i32.shl {B} (i32.const 3)) {A})", "v0:i32 = I32_LEA p0, p1 [3 0]"),
        (
            f"(i32.add {A} (i32.shl {B} (i32.const 4)))",
            """\
            v0:i32 = I32_SHL_IMM p1 [4]
            v1:i32 = I32_ADD p0, v0""",
        ),
        (f"(i32.add (i32.add {A} {B}) (i32.const 9))", "v0:i32 = I32_LEA p0, p1 [0 9]"),
        (
            f"(i32.add (i32.add {A} (i32.const 4)) (i32.shl {B} (i32.const 2)))",
            "v0:i32 = I32_LEA p0, p1 [2 4]",
        ),
        (
            f"(i32.add (i32.add {A} (i32.shl {B} (i32.const 2))) (i32.const 4))",
            "v0:i32 = I32_LEA p0, p1 [2 4]",
        ),
        (f"(i32.add (i32.add {A} (i32.const 4)) (i32.const 5))", "v0:i32 = I32_ADD_IMM p0 [9]"),
        # Not through a value with another use.
        (
            f"(i32.add (local.tee 0 (i32.add {A} (i32.const 4))) (i32.const 5))"
            "(i32.store offset=0 (i32.const 0) (local.get 0))",
            """\
            v0:i32 = I32_ADD_IMM p0 [4]
            v1:i32 = I32_ADD_IMM v0 [5]
            STORE32 v0 [0]""",
        ),
        # Bits.
        (
            f"(i32.shr_s (i32.shl {A} (i32.const 24)) (i32.const 24))",
            "v0:i32 = I32_EXTEND8_S p0",
        ),
        (
            f"(i32.shr_s (i32.shl {A} (i32.const 16)) (i32.const 16))",
            "v0:i32 = I32_EXTEND16_S p0",
        ),
        (f"(i32.and (i32.load8_u {A}) (i32.const 255))", "v0:i32 = I32_LOAD8_U p0 [0]"),
        (
            f"(i32.and (i32.shr_u {A} (i32.const 24)) (i32.const 255))",
            "v0:i32 = I32_SHR_U_IMM p0 [24]",
        ),
        (
            f"(i32.and (i32.and {A} (i32.const 12)) (i32.const 6))",
            "v0:i32 = I32_AND_IMM p0 [4]",
        ),
        (f"(i32.shl (i32.shr_u {A} (i32.const 4)) (i32.const 4))", "v0:i32 = I32_AND_IMM p0 [-16]"),
        (f"(i32.shl {A} (i32.and {B} (i32.const 31)))", "v0:i32 = I32_SHL p0, p1"),
        # Comparisons.
        (f"(i32.eqz {A})", "v0:i32 = I32_SET_IMM p0 [EQ 0]"),
        (f"(i32.eqz (i32.eqz {A}))", "v0:i32 = I32_SET_IMM p0 [NE 0]"),
        (f"(i32.eqz (i32.lt_s {A} {B}))", "v0:i32 = I32_SET p0, p1 [GE_S]"),
        (f"(i32.xor (i32.lt_s {A} {B}) (i32.const 1))", "v0:i32 = I32_SET p0, p1 [GE_S]"),
        (f"(i32.lt_s (i32.const 3) {A})", "v0:i32 = I32_SET_IMM p0 [GT_S 3]"),
        (f"(i32.lt_u {A} (i32.const 1))", "v0:i32 = I32_SET_IMM p0 [EQ 0]"),
        (f"(i32.gt_s {A} (i32.const -1))", "v0:i32 = I32_SET_IMM p0 [GE_S 0]"),
        (f"(i32.lt_u {A} (i32.const 0))", "v0:i32 = I32_CONST [0]"),
        (f"(i32.eq (i32.add {A} (i32.const 3)) (i32.const 5))", "v0:i32 = I32_SET_IMM p0 [EQ 2]"),
        (f"(i32.eqz (i32.sub {A} {B}))", "v0:i32 = I32_SET p0, p1 [EQ]"),
        (f"(i32.le_s {A} {A})", "v0:i32 = I32_CONST [1]"),
        # Selects.
        (
            f"(select {A} {B} (i32.lt_s {A} {B}))",
            "v0:i32 = I32_SELECT p0, p1, p0, p1 [LT_S]",
        ),
        (f"(select {A} {B} (i32.eqz {A}))", "v0:i32 = I32_SELECT_IMM p0, p1, p0 [EQ 0]"),
        (f"(select {A} {B} {A})", "v0:i32 = I32_SELECT_IMM p0, p1, p0 [NE 0]"),
        (f"(select {A} {B} (i32.const 0))", ""),
        (
            f"(select (i32.const 0) (i32.const 1) (i32.lt_s {A} {B}))",
            "v0:i32 = I32_SET p0, p1 [GE_S]",
        ),
        # Equal expressions are one value.
        (
            f"(i32.mul (i32.sub {A} {B}) (i32.sub {A} {B}))",
            """\
            v0:i32 = I32_SUB p0, p1
            v1:i32 = I32_MUL v0, v0""",
        ),
        (
            f"(i32.mul (i32.add {A} {B}) (i32.add {B} {A}))",
            """\
            v0:i32 = I32_ADD p0, p1
            v1:i32 = I32_MUL v0, v0""",
        ),
    ],
)
def test_i32(body: str, expected: str) -> None:
    assert instructions(body, I32) == dedent(expected)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (f"(i64.add {A} (i64.const 5))", "v0:i64 = I64_ADD_IMM p0 [5]"),
        (
            f"(i64.add {A} (i64.const 0x80000000))",
            """\
            v0:i64 = I64_CONST [2147483648]
            v1:i64 = I64_ADD p0, v0""",
        ),
        (f"(i64.and {A} (i64.const 0xff))", "v0:i64 = I64_AND_IMM p0 [255]"),
        (
            f"(i64.and {A} (i64.const 0xffffffff))",
            """\
            v0:i32 = I32_WRAP_I64 p0
            v1:i64 = I64_EXTEND_I32_U v0""",
        ),
        (
            f"(i64.shr_s (i64.shl {A} (i64.const 32)) (i64.const 32))",
            "v0:i64 = I64_EXTEND32_S p0",
        ),
        (
            f"(i64.extend_i32_s (i32.load8_u (i32.wrap_i64 {A})))",
            """\
            v0:i32 = I32_WRAP_I64 p0
            v1:i32 = I32_LOAD8_U v0 [0]
            v2:i64 = I64_EXTEND_I32_U v1""",
        ),
        (
            f"(i64.extend_i32_u (i32.wrap_i64 (i64.extend_i32_u (i64.eqz {A}))))",
            """\
            v0:i32 = I64_SET_IMM p0 [EQ 0]
            v1:i64 = I64_EXTEND_I32_U v0""",
        ),
        (f"(i64.div_u {A} (i64.const 8))", "v0:i64 = I64_SHR_U_IMM p0 [3]"),
        (
            f"(i64.rem_s {A} (i64.const 1))",
            "v0:i64 = I64_CONST [0]",
        ),
        (f"(select {A} {B} (i64.lt_u {A} {B}))", "v0:i64 = I64_SELECT p0, p1, p0, p1 [LT_U]"),
        (f"(i64.mul {A} (i64.const 9))", "v0:i64 = I64_LEA p0, p0 [3 0]"),
    ],
)
def test_i64(body: str, expected: str) -> None:
    assert instructions(body, I64) == dedent(expected)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        # Offsets and absolute addresses.
        (f"(i32.load offset=8 {A})", "v0:i32 = I32_LOAD p0 [8]"),
        ("(i32.load offset=8 (i32.const 16))", "v0:i32 = I32_LOAD [24]"),
        (
            "(i32.load offset=8 (i32.const -4))",
            """\
            v0:i32 = I32_CONST [-4]
            v1:i32 = I32_LOAD v0 [8]""",
        ),
        # i32.add wraps, the offset does not.
        (
            f"(i32.load (i32.add {A} (i32.const 8)))",
            """\
            v0:i32 = I32_ADD_IMM p0 [8]
            v1:i32 = I32_LOAD v0 [0]""",
        ),
        (
            f"(i32.load offset=4 (i32.add (i32.load8_u {A}) (i32.const 8)))",
            """\
            v0:i32 = I32_LOAD8_U p0 [0]
            v1:i32 = I32_LOAD v0 [12]""",
        ),
        # An access at the base shows that it is below the end of memory.
        (
            f"(i32.store {A} {B}) (i32.load (i32.add {A} (i32.const 8)))",
            """\
            STORE32 p1, p0 [0]
            v0:i32 = I32_LOAD p0 [8]""",
        ),
        (
            f"(i32.store {A} {B}) (i32.load (i32.add {A} (i32.const -8)))",
            """\
            STORE32 p1, p0 [0]
            v0:i32 = I32_ADD_IMM p0 [-8]
            v1:i32 = I32_LOAD v0 [0]""",
        ),
        # Equal loads are one, until a store or a call.
        (
            f"(i32.add (i32.load {A}) (i32.load {A}))",
            """\
            v0:i32 = I32_LOAD p0 [0]
            v1:i32 = I32_ADD v0, v0""",
        ),
        (
            f"(i32.load {A}) (i32.store {B} (i32.const 1)) (i32.load {A}) (i32.add)",
            """\
            v0:i32 = I32_LOAD p0 [0]
            STORE32_IMM p1 [0 1]
            v1:i32 = I32_LOAD p0 [0]
            v2:i32 = I32_ADD v0, v1""",
        ),
        # A load gets what was just stored there.
        (f"(i32.store offset=4 {A} {B}) (i32.load offset=4 {A})", "STORE32 p1, p0 [4]"),
        # Unused loads may trap, so they stay.
        (f"(drop (i32.load {A})) {B}", "v0:i32 = I32_LOAD p0 [0]"),
        (f"(drop (i32.add {A} {B})) {B}", ""),
        (f"(drop (i32.div_u {A} {B})) {B}", "v0:i32 = I32_DIV_U p0, p1"),
        (f"(drop (i32.div_u {A} (i32.const 3))) {B}", ""),
        # Stores: immediates, and only the bits that count.
        (f"(i32.store8 {A} (i32.const 0x1ff)) {B}", "STORE8_IMM p0 [0 -1]"),
        (f"(i32.store8 {A} (i32.and {B} (i32.const 255))) {B}", "STORE8 p1, p0 [0]"),
        (
            f"(i32.store16 {A} (i32.and {B} (i32.const 255))) {B}",
            """\
            v0:i32 = I32_AND_IMM p1 [255]
            STORE16 v0, p0 [0]""",
        ),
        (f"(i64.store32 {A} (i64.extend_i32_s {B})) {B}", "STORE32 p1, p0 [0]"),
        (f"(f32.store {A} (f32.const 1)) {B}", "STORE32_IMM p0 [0 1065353216]"),
        (f"(f64.store {A} (f64.const 0)) {B}", "STORE64_IMM p0 [0 0]"),
        (
            f"(f64.store {A} (f64.const 1)) {B}",
            """\
            v0:i64 = I64_CONST [4607182418800017408]
            STORE64 v0, p0 [0]""",
        ),
        (f"(f32.store {A} (f32.reinterpret_i32 {B})) {B}", "STORE32 p1, p0 [0]"),
    ],
)
def test_memory(body: str, expected: str) -> None:
    assert instructions(body, I32) == dedent(expected)


def test_offset_past_the_largest_memory() -> None:
    # With 65536 pages an access says nothing about the sum.
    body = f"(i32.store {A} {B}) (i32.load (i32.add {A} (i32.const 8)))"
    wat = f"(module (memory 65536) (func {I32} {body}))"
    from lowering import lowered, text

    assert "I32_ADD_IMM" in text(lowered(wat))


GLOBALS = "(global $g (mut i32) (i32.const 0)) (global $c i32 (i32.const 7)) (func $f)"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            "(i32.add (global.get $g) (global.get $g))",
            """\
            v0:i32 = GLOBAL_GET [0]
            v1:i32 = I32_ADD v0, v0""",
        ),
        (
            "(global.get $g) (call $f) (i32.add (global.get $g))",
            """\
            v0:i32 = GLOBAL_GET [0]
            CALL [0]
            v1:i32 = GLOBAL_GET [0]
            v2:i32 = I32_ADD v0, v1""",
        ),
        (
            "(global.get $c) (call $f) (i32.add (global.get $c))",
            """\
            v0:i32 = GLOBAL_GET [1]
            CALL [0]
            v1:i32 = I32_ADD v0, v0""",
        ),
        (f"(global.set $g {A}) (global.get $g)", "GLOBAL_SET p0 [0]"),
    ],
)
def test_globals(body: str, expected: str) -> None:
    assert instructions(body, I32, GLOBALS) == dedent(expected)


# Differential: fold against the plain meaning of the operations -------------------------------


def _signed(value: int, bits: int) -> int:
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def _arithmetic(name: str, a: int, b: int, bits: int) -> int | None:
    """Reference semantics on signed numbers; None for a trap."""
    mask = (1 << bits) - 1
    count = b & (bits - 1)
    if name in ("DIV_S", "REM_S", "DIV_U", "REM_U"):
        if name.endswith("U"):
            a, b = a & mask, b & mask
        if b == 0 or (name == "DIV_S" and b == -1 and a == -1 << (bits - 1)):
            return None
        q = abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)
        return _signed(q if name.startswith("DIV") else a - q * b, bits)
    unsigned = a & mask
    value = {
        "ADD": a + b,
        "SUB": a - b,
        "MUL": a * b,
        "AND": a & b,
        "OR": a | b,
        "XOR": a ^ b,
        "SHL": a << count,
        "SHR_S": a >> count,
        "SHR_U": unsigned >> count,
        "ROTL": unsigned << count | unsigned >> (bits - count),
        "ROTR": unsigned >> count | unsigned << (bits - count),
    }[name]
    return _signed(value, bits)


def _run(e: Emitter, v: int, params: dict[int, int]) -> int | None:
    """Value of a pure integer expression; None for a trap."""
    op = e.op[v]
    if op == PARAM:
        return params[v]
    row = OPS[op]
    bits = 64 if row.name.startswith("I64") else 32
    imm = e.imm[v]
    args = []
    for u in e.uses[v]:
        value = _run(e, u, params)
        if value is None:
            return None
        args.append(value)
    name = row.name[4:].removesuffix("_IMM")
    match row.format:
        case "CI":
            return imm[0]
        case "RRR" | "DIV":
            return _arithmetic(name, args[0], args[1], bits)
        case "RRI":
            return _arithmetic(name, args[0], imm[0], bits)
        case "LEA":
            return _signed(args[0] + (args[1] << imm[0]) + imm[1], bits)
        case "SET":
            return int(holds(W32 if bits == 32 else W64, imm[0], args[0], args[1]))
        case "SETI":
            return int(holds(W32 if bits == 32 else W64, imm[0], args[0], imm[1]))
    mask = (1 << bits) - 1
    match row.name:
        case "I32_WRAP_I64":
            return _signed(args[0], 32)
        case "I64_EXTEND_I32_S":
            return args[0]
        case "I64_EXTEND_I32_U":
            return args[0] & 0xFFFFFFFF
    match name:
        case "EXTEND8_S":
            return _signed(args[0], 8)
        case "EXTEND16_S":
            return _signed(args[0], 16)
        case "EXTEND32_S":
            return _signed(args[0], 32)
        case "CLZ":
            return bits - (args[0] & mask).bit_length()
        case "CTZ":
            return (args[0] & -args[0]).bit_length() - 1 if args[0] else bits
        case "POPCNT":
            return (args[0] & mask).bit_count()
    raise AssertionError(row.name)


BINARY = {
    "ADD": Emitter.add, "SUB": Emitter.sub, "MUL": Emitter.mul, "AND": Emitter.and_,
    "OR": Emitter.or_, "XOR": Emitter.xor, "SHL": Emitter.shl, "SHR_S": Emitter.shr_s,
    "SHR_U": Emitter.shr_u, "ROTL": Emitter.rotl, "ROTR": Emitter.rotr, "DIV_S": Emitter.div_s,
    "DIV_U": Emitter.div_u, "REM_S": Emitter.rem_s, "REM_U": Emitter.rem_u,
}  # fmt: skip


def _numbers(rng: random.Random, bits: int) -> int:
    return _signed(
        rng.choice(
            [
                rng.getrandbits(bits),
                rng.getrandbits(rng.randrange(1, bits)),
                -rng.getrandbits(rng.randrange(1, bits)),
                1 << rng.randrange(bits),
                (1 << rng.randrange(bits)) - 1,
                rng.randrange(-70, 70),
                -1 << rng.randrange(bits),
            ]
        ),
        bits,
    )


def _emitter() -> Emitter:
    e = Emitter()
    e.new_block()
    e.enter(0, 0, [])
    return e


@pytest.mark.parametrize("w", [W32, W64], ids=["i32", "i64"])
def test_random_expressions(w: Width) -> None:
    # Expressions over a parameter and constants, evaluated along with their meaning.
    rng = random.Random(w.bits)
    for _ in range(3000):
        e = _emitter()
        p = e.effect(PARAM, (), (0,), w.kind)
        x = _numbers(rng, w.bits)
        expected: int | None = x
        v = p
        steps = []
        for _ in range(rng.randrange(1, 5)):
            name = rng.choice(list(BINARY))
            k = _numbers(rng, w.bits)
            steps.append((name, k))
            a, b, left, right = v, e.const(w, k), expected, k
            if rng.random() < 0.25:
                a, b, left, right = b, p, k, x
                b, right = (v, expected) if rng.random() < 0.5 else (b, right)
            v = BINARY[name](e, w, a, b)
            if left is None or right is None:
                expected = None
                break
            expected = _arithmetic(name, left, right, w.bits)
            if expected is None:
                break
            if rng.random() < 0.3:
                e.named.add(v)
            if rng.random() < 0.2:
                low = rng.choice([8, 16])
                v = e.extend_low((w, low), v)
                expected = _signed(expected, low)
        if expected is None:
            continue
        cc = rng.randrange(10)
        k = _numbers(rng, w.bits)
        comparison = e.compare((w, cc), v, e.const(w, k))
        assert _run(e, v, {p: x}) == expected, (x, steps)
        assert _run(e, comparison, {p: x}) == int(holds(w, cc, expected, k)), (x, steps, cc, k)


@pytest.mark.parametrize("w", [W32, W64], ids=["i32", "i64"])
@pytest.mark.parametrize("name", ["DIV_S", "DIV_U", "REM_S", "REM_U"])
def test_division_by_constants(w: Width, name: str) -> None:
    rng = random.Random(1)
    mask = (1 << w.bits) - 1
    divisors = [*range(-40, 41), *(2**i + j for i in range(w.bits) for j in (-1, 0, 1))]
    divisors += [_numbers(rng, w.bits) for _ in range(100)]
    for d in divisors:
        d = _signed(d, w.bits)
        if d == 0:
            continue
        e = _emitter()
        p = e.effect(PARAM, (), (0,), w.kind)
        v = BINARY[name](e, w, p, e.const(w, d))
        values = [0, 1, -1, mask >> 1, -(mask >> 1) - 1]
        values += [d * _numbers(rng, 8) + j for j in (-1, 0, 1)]
        values += [mask // (d & mask) * (d & mask) + j for j in (-1, 0, 1)]
        values += [_numbers(rng, w.bits) for _ in range(4)]
        for x in values:
            x = _signed(x, w.bits)
            assert _run(e, v, {p: x}) == _arithmetic(name, x, d, w.bits), (x, d)


def test_reciprocals_at_the_limits() -> None:
    for d in (3, 5, 7, 641, 0x7FFFFFFF, 0xFFFFFFFF, 0x80000001):
        factor = _reciprocal(d, 32)
        if factor is not None:
            m, p = factor
            for x in (0, d - 1, d, 0xFFFFFFFF, 0xFFFFFFFF // d * d, 0xFFFFFFFF // d * d - 1):
                assert x * m >> p == x // d
                assert x * m < 1 << 64
    for d in (3, 5, 7, 641, 0x7FFFFFFF):
        m, p = _reciprocal_signed(d)
        for x in (-0x80000000, 0x7FFFFFFF, d, -d, d - 1, 1 - d):
            assert -1 << 63 <= x * m < 1 << 63
            assert (x * m >> p) + (x < 0) == abs(x) // d * (-1 if x < 0 else 1)


def test_widths_name_the_instructions_they_mean() -> None:
    for w, prefix in ((W32, "I32_"), (W64, "I64_")):
        assert w.add == getattr(_isa, prefix + "ADD")
        assert w.set_imm == getattr(_isa, prefix + "SET_IMM")
        assert OPS[w.rotr_imm].format == "RRI"
