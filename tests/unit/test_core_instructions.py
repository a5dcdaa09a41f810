# SPDX-License-Identifier: GPL-2.0-only
"""What each instruction on integers, memory and frames means, against a model in Python.

tests/encode holds the JIT to the interpreter; this holds the interpreter to the model.  The
arithmetic of floats is left to the official suite, which has thousands of cases for it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from pywasmjit import _isa as isa
from tests.encode.values import IMMEDIATES, VALUES, f32, f64
from tests.native.libcore import Core, Instance, Trap
from tests.verify.assemble import (
    FUNC,
    NULL,
    Body,
    Image,
    export_entry,
    func_type,
    global_entry,
    limits,
    program,
    table_entry,
)


@pytest.fixture(scope="module")
def process() -> Iterator[Core]:
    with Core("sanitize") as core:
        yield core


@pytest.fixture
def core(process: Core) -> Iterator[Core]:
    yield process
    assert process.reset() == 0, "allocations left over"


def signed(value: int, width: int) -> int:
    value &= (1 << width) - 1
    return value - (1 << width) if value >> (width - 1) else value


def rotl(value: int, count: int, width: int) -> int:
    count %= width
    return (value << count | value >> (width - count)) & ((1 << width) - 1)


def leading_zeros(value: int, width: int) -> int:
    return width - value.bit_length()


def trailing_zeros(value: int, width: int) -> int:
    return (value & -value).bit_length() - 1 if value else width


# Suffix of the instruction -> result from operands (unsigned) and width, before masking.
BINARY: dict[str, Callable[[int, int, int], int]] = {
    "ADD": lambda a, b, w: a + b,
    "SUB": lambda a, b, w: a - b,
    "MUL": lambda a, b, w: a * b,
    "AND": lambda a, b, w: a & b,
    "OR": lambda a, b, w: a | b,
    "XOR": lambda a, b, w: a ^ b,
    "SHL": lambda a, b, w: a << b % w,
    "SHR_S": lambda a, b, w: signed(a, w) >> b % w,
    "SHR_U": lambda a, b, w: a >> b % w,
    "ROTL": rotl,
    "ROTR": lambda a, b, w: rotl(a, -b, w),
}
UNARY: dict[str, Callable[[int, int], int]] = {
    "CLZ": leading_zeros,
    "CTZ": trailing_zeros,
    "POPCNT": lambda a, w: a.bit_count(),
    "EXTEND8_S": lambda a, w: signed(a, 8),
    "EXTEND16_S": lambda a, w: signed(a, 16),
    "EXTEND32_S": lambda a, w: signed(a, 32),
}
CONDITIONS: dict[str, Callable[[int, int, int], bool]] = {
    "EQ": lambda a, b, w: a == b,
    "NE": lambda a, b, w: a != b,
    "LT_S": lambda a, b, w: signed(a, w) < signed(b, w),
    "GE_S": lambda a, b, w: signed(a, w) >= signed(b, w),
    "LT_U": lambda a, b, w: a < b,
    "GE_U": lambda a, b, w: a >= b,
    "GT_S": lambda a, b, w: signed(a, w) > signed(b, w),
    "LE_S": lambda a, b, w: signed(a, w) <= signed(b, w),
    "GT_U": lambda a, b, w: a > b,
    "LE_U": lambda a, b, w: a <= b,
}
FLOAT_CONDITIONS: dict[str, Callable[[float, float], bool]] = {
    "EQ": lambda a, b: a == b,
    "NE": lambda a, b: a != b,
    "LT": lambda a, b: a < b,
    "NLT": lambda a, b: not a < b,
    "GT": lambda a, b: a > b,
    "NGT": lambda a, b: not a > b,
    "LE": lambda a, b: a <= b,
    "NLE": lambda a, b: not a <= b,
    "GE": lambda a, b: a >= b,
    "NGE": lambda a, b: not a >= b,
}
CONVERSIONS: dict[str, tuple[str, str, Callable[[int], int]]] = {
    "I32_WRAP_I64": ("l", "i", lambda a: a & 0xFFFFFFFF),
    "I64_EXTEND_I32_S": ("i", "l", lambda a: signed(a, 32) & (1 << 64) - 1),
    "I64_EXTEND_I32_U": ("i", "l", lambda a: a),
    "I32_REINTERPRET_F32": ("f", "i", lambda a: a),
    "I64_REINTERPRET_F64": ("d", "l", lambda a: a),
    "F32_REINTERPRET_I32": ("i", "f", lambda a: a),
    "F64_REINTERPRET_I64": ("l", "d", lambda a: a),
}
WIDTHS = ((32, "i", "I"), (64, "l", "L"))


def functions(sources: list[tuple[str, str, str]], **fields: object) -> Image:
    """An image of functions from (params, results, source)."""
    types = sorted({(params, results) for params, results, _ in sources})
    return Image(
        types=[func_type(*one) for one in types],
        functions=[(types.index((p, r)), Body(source, saved=15)) for p, r, source in sources],
        memories=[limits(1)],
        **fields,  # type: ignore[arg-type]
    )


def load(core: Core, image: Image) -> Instance:
    return core.instance(core.image(image.build()))


@pytest.mark.parametrize(("width", "letter", "values"), WIDTHS)
def test_binary(core: Core, width: int, letter: str, values: str) -> None:
    mask = (1 << width) - 1
    names = [f"I{width}_{name}" for name in BINARY]
    instance = load(core, functions([(letter * 2, letter, f"{name} r0 r0 r1\n RET") for name in names]))
    for index, function in enumerate(BINARY.values()):
        for a in VALUES[values]:
            for b in VALUES[values]:
                assert instance.call(index, a, b) == [function(a, b, width) & mask]


@pytest.mark.parametrize(("width", "letter", "values"), WIDTHS)
def test_binary_immediate(core: Core, width: int, letter: str, values: str) -> None:
    mask = (1 << width) - 1
    for name, function in BINARY.items():
        op = f"I{width}_{name}_IMM"
        if not hasattr(isa, op):
            continue
        shift = name in ("SHL", "SHR_S", "SHR_U", "ROTR")
        immediates = range(width) if shift else IMMEDIATES
        instance = load(core, functions([(letter, letter, f"{op} r0 r0 {imm}\n RET") for imm in immediates]))
        for index, imm in enumerate(immediates):
            for a in VALUES[values]:
                assert instance.call(index, a) == [function(a, imm & mask, width) & mask]


@pytest.mark.parametrize(("width", "letter", "values"), WIDTHS)
def test_unary(core: Core, width: int, letter: str, values: str) -> None:
    for name, function in UNARY.items():
        op = f"I{width}_{name}"
        if not hasattr(isa, op):
            continue
        instance = load(core, program(f"{op} r0 r0\n RET", letter, letter))
        for a in VALUES[values]:
            assert instance.call("f", a) == [function(a, width) & ((1 << width) - 1)]


@pytest.mark.parametrize(("width", "letter", "values"), WIDTHS)
def test_lea(core: Core, width: int, letter: str, values: str) -> None:
    op = f"I{width}_LEA"
    forms = [(scale, disp) for scale in range(4) for disp in (0, -1, 0x7FFFFFFF, -0x80000000)]
    sources = [(letter * 2, letter, f"{op} r0 r0 r1 {s} {d}\n RET") for s, d in forms]
    instance = load(core, functions(sources))
    for index, (scale, disp) in enumerate(forms):
        for a in VALUES[values][::3]:
            for b in VALUES[values][::3]:
                expected = (a + (b << scale) + disp) & ((1 << width) - 1)
                assert instance.call(index, a, b) == [expected]


def divide(op: str, a: int, b: int, width: int) -> int | str:
    if b == 0:
        return "integer divide by zero"
    if op.endswith("S"):
        a, b = signed(a, width), signed(b, width)
    quotient = abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)
    if op.startswith("REM"):
        return (a - b * quotient) & ((1 << width) - 1)
    if op == "DIV_S" and quotient == 1 << (width - 1):
        return "integer overflow"
    return quotient & ((1 << width) - 1)


@pytest.mark.parametrize(("width", "letter", "values"), WIDTHS)
@pytest.mark.parametrize("op", ["DIV_S", "DIV_U", "REM_S", "REM_U"])
def test_division(core: Core, op: str, width: int, letter: str, values: str) -> None:
    result = "r0" if op.startswith("DIV") else "r1"
    source = f"MOV r2 r1\n I{width}_{op} r2\n MOV r0 {result}\n RET"
    instance = load(core, program(source, letter * 2, letter))
    for a in VALUES[values]:
        for b in VALUES[values]:
            try:
                found: int | str = instance.call("f", a, b)[0]
            except Trap as trap:
                found = trap.text
            assert found == divide(op, a, b, width)


def comparing(width: int, letter: str) -> Iterator[tuple[str, str, str, str, bool]]:
    """(instruction, condition, source, second parameter or immediate, is it a test of bits?)."""
    both = "RET\n yes: r2=i32\n I32_CONST r2 1\n MOV r0 r2\n RET"
    start = "I32_CONST r2 0\n"
    end = "\n MOV r0 r2\n " + both
    for cc in CONDITIONS:
        for imm in ("", "-1", "0", "7"):
            suffix, second = ("_IMM", imm) if imm else ("", "r1")
            name = f"I{width}_SET{suffix}"
            order = f"{cc} {second}" if imm else f"{second} {cc}"
            yield name, cc, f"{name} r0 r0 {order}\n RET", imm, False
            name = f"I{width}_BR_IF{suffix}"
            order = f"{cc} {second}" if imm else f"{second} {cc}"
            yield name, cc, f"{start} {name} r0 {order} yes{end}", imm, False
            if cc in ("EQ", "NE"):
                name = f"I{width}_BR_TEST{suffix}"
                yield name, cc, f"{start} {name} r0 {order} yes{end}", imm, True
            name = f"I{width}_SELECT{suffix}"
            constants = "I32_CONST r2 1\n I32_CONST r3 0\n"
            operands = f"r0 r2 r3 {cc} r0 {second}"
            yield name, cc, f"{constants} {name} {operands}\n RET", imm, False
            if imm and width == 32:
                constants = "F32_CONST f2 1\n F32_CONST f3 0\n"
                source = f"{constants} FSELECT_IMM f0 f2 f3 {cc} r0 {imm}\n"
                yield "FSELECT_IMM", cc, f"{source} I32_REINTERPRET_F32 r0 f0\n RET", imm, False


@pytest.mark.parametrize(("width", "letter", "values"), WIDTHS)
def test_comparisons(core: Core, width: int, letter: str, values: str) -> None:
    mask = (1 << width) - 1
    cases = list(comparing(width, letter))
    instance = load(core, functions([(letter * 2, "i", source) for _, _, source, _, _ in cases]))
    numbers = VALUES[values][::2]
    for index, (name, cc, _, imm, is_test) in enumerate(cases):
        for a in numbers:
            for b in [int(imm) & mask] if imm else numbers:
                left, right = (a & b, 0) if is_test else (a, b)
                expected = int(CONDITIONS[cc](left, right, width))
                assert instance.call(index, a, b) == [expected], (name, cc, a, b)


@pytest.mark.parametrize(("width", "letter"), [(32, "f"), (64, "d")])
def test_float_comparisons(core: Core, width: int, letter: str) -> None:
    bits = f32 if width == 32 else f64
    numbers = [0.0, -0.0, 1.0, -1.0, float("inf"), float("-inf"), float("nan")]
    start = "I32_CONST r2 0\n"
    end = "\n MOV r0 r2\n RET\n yes: r2=i32\n I32_CONST r0 1\n RET"
    sources = []
    for cc in FLOAT_CONDITIONS:
        sources.append((letter * 2, "i", f"F{width}_SET r0 f0 f1 {cc}\n RET"))
        sources.append((letter * 2, "i", f"{start} F{width}_BR_IF f0 f1 {cc} yes{end}"))
    instance = load(core, functions(sources))
    for index, condition in enumerate(FLOAT_CONDITIONS.values()):
        for a in numbers:
            for b in numbers:
                for function in (2 * index, 2 * index + 1):
                    assert instance.call(function, bits(a), bits(b)) == [condition(a, b)]


def test_conversions(core: Core) -> None:
    for name, (params, results, function) in CONVERSIONS.items():
        d, a = ("f0" if letter in "fd" else "r0" for letter in (results, params))
        instance = load(core, program(f"{name} {d} {a}\n RET", params, results))
        for value in VALUES["I" if params in "if" else "L"]:
            assert instance.call("f", value) == [function(value)]


def test_constants(core: Core) -> None:
    for value in VALUES["I"]:
        source = f"I32_CONST r0 {signed(value, 32)}\n RET"
        assert load(core, program(source, "", "i")).call("f") == [value]
        source = f"F32_CONST f0 {value}\n RET"
        assert load(core, program(source, "", "f")).call("f") == [value]
    for value in VALUES["L"]:
        source = f"I64_CONST r0 {signed(value, 64)}\n RET"
        assert load(core, program(source, "", "l")).call("f") == [value]
        source = f"F64_CONST f0 {value}\n RET"
        assert load(core, program(source, "", "d")).call("f") == [value]
    assert load(core, program("REF_NULL r0 0\n RET", "", "e")).call("f") == [0xFFFFFFFF]
    is_null = load(core, program("REF_IS_NULL r0 r0\n RET", "e", "i"))
    assert is_null.call("f", 0xFFFFFFFF) == [1]
    assert is_null.call("f", 5) == [0]


def test_moves(core: Core) -> None:
    source = "MOV r8 r0\n XCHG r1 r8\n MOV r0 r1\n FMOV f5 f0\n FXCHG f5 f1\n FMOV f0 f1\n"
    source += "RESULT_STORE r8 1\n FRESULT_STORE f0 2\n FRESULT_STORE f5 3\n RET"
    instance = load(core, program(source, "ilfd", "ilfd", saved=15))
    assert instance.call("f", 1, 2, 3, 4) == [1, 2, 3, 4]


LOADS = {
    # instruction: (bytes, is the value signed?, width of the register)
    "I32_LOAD": (4, False, 32), "I32_LOAD8_S": (1, True, 32), "I32_LOAD8_U": (1, False, 32),
    "I32_LOAD16_S": (2, True, 32), "I32_LOAD16_U": (2, False, 32), "I64_LOAD": (8, False, 64),
    "I64_LOAD8_S": (1, True, 64), "I64_LOAD8_U": (1, False, 64), "I64_LOAD16_S": (2, True, 64),
    "I64_LOAD16_U": (2, False, 64), "I64_LOAD32_S": (4, True, 64),
    "I64_LOAD32_U": (4, False, 64), "F32_LOAD": (4, False, 32), "F64_LOAD": (8, False, 64),
    "I32_ATOMIC_LOAD": (4, False, 32), "I32_ATOMIC_LOAD8_U": (1, False, 32),
    "I32_ATOMIC_LOAD16_U": (2, False, 32), "I64_ATOMIC_LOAD": (8, False, 64),
    "I64_ATOMIC_LOAD8_U": (1, False, 64), "I64_ATOMIC_LOAD16_U": (2, False, 64),
    "I64_ATOMIC_LOAD32_U": (4, False, 64),
}  # fmt: skip
STORES = {"STORE8": 1, "STORE16": 2, "STORE32": 4, "STORE64": 8, "F32_STORE": 4, "F64_STORE": 8,
          "ATOMIC_STORE8": 1, "ATOMIC_STORE16": 2, "ATOMIC_STORE32": 4, "ATOMIC_STORE64": 8}  # fmt: skip
OUT_OF_BOUNDS = "out of bounds memory access"
UNALIGNED = "unaligned atomic"
PAGE = 65536
PATTERN = bytes(range(0x81, 0x91)) + bytes(range(0x11, 0x21))


def outcome(instance: Instance, function: str | int, *args: int) -> list[int] | str:
    try:
        return instance.call(function, *args)
    except Trap as trap:
        return trap.text


def accesses(size: int, atomic: bool) -> Iterator[tuple[int, int, str]]:
    """(base, offset, trap or "") around the end of a page of memory and of the address space."""
    last = PAGE - size
    for base, offset in (
        (0, 0), (8, 8), (last, 0), (0, last), (last - 8, 8), (last + 1, 0), (0, last + 1), (PAGE, 0),
        (last, 1), (0xFFFFFFFF, 1), (0xFFFFFFFF, 0), (0xFFFFFFF8, 8), (0x80000000, 0x7FFFFFFF),
        (0, 0x7FFFFFF8), (0xFFFFFFF8, 0x7FFFFFF8), (1, 0), (3, 0), (0, 0x80000000),
        (0xFFFFFFFF, 0xFFFFFFFF), (0xFFFFFFF8, 0xFFFFFFF8),
    ):  # fmt: skip
        if atomic and offset >> 31:
            continue
        address = base + offset
        if atomic and address % size:
            yield base, offset, UNALIGNED
        else:
            yield base, offset, "" if address <= last else OUT_OF_BOUNDS


@pytest.mark.parametrize("name", LOADS)
def test_load(core: Core, name: str) -> None:
    size, is_signed, width = LOADS[name]
    d = "f0" if name[0] == "F" else "r0"
    letter = {"I32": "i", "I64": "l", "F32": "f", "F64": "d"}[name[:3]]
    cases = list(accesses(size, "ATOMIC" in name))
    offsets = sorted({offset for _, offset, _ in cases})
    sources = [("i", letter, f"{name} {d} r0 {offset}\n RET") for offset in offsets]
    sources += [("i", letter, f"{name} {d} - {offset}\n RET") for offset in offsets]
    instance = load(core, functions(sources))
    instance.write(0, PATTERN)
    instance.write(PAGE - 16, PATTERN[:16])
    memory = instance.read(0, PAGE)
    for base, offset, trap in cases:
        address = base + offset
        expected: list[int] | str = trap
        if not trap:
            raw = int.from_bytes(memory[address : address + size], "little", signed=is_signed)
            expected = [raw & ((1 << width) - 1)]
        assert outcome(instance, offsets.index(offset), base) == expected, (base, offset)
        if base == 0:
            # The same address without a base, whatever the register holds.
            index = len(offsets) + offsets.index(offset)
            assert outcome(instance, index, 0xFFFFFFFF) == expected, offset


@pytest.mark.parametrize("name", STORES)
def test_store(core: Core, name: str) -> None:
    size = STORES[name]
    letter = "fd"[size == 8] if name[0] == "F" else "il"[size == 8]
    value = 0x8182838485868788 & ((1 << 64) - 1 if size == 8 else 0xFFFFFFFF)
    a = "f0" if name[0] == "F" else "r1"
    cases = list(accesses(size, "ATOMIC" in name))
    offsets = sorted({offset for _, offset, _ in cases})
    sources = [("i" + letter, "", f"{name} {a} r0 {offset}\n RET") for offset in offsets]
    instance = load(core, functions(sources))
    for base, offset, trap in cases:
        instance.write(0, bytes(64))
        instance.write(PAGE - 64, bytes(64))
        expected = bytearray(PAGE)
        if not trap:
            expected[base + offset : base + offset + size] = value.to_bytes(8, "little")[:size]
        assert outcome(instance, offsets.index(offset), base, value) == (trap or [])
        assert instance.read(0, PAGE) == expected, (base, offset)


@pytest.mark.parametrize("size", [1, 2, 4, 8])
def test_store_immediate(core: Core, size: int) -> None:
    name = f"STORE{8 * size}_IMM"
    sources = [("i", "", f"{name} r0 8 {imm}\n RET") for imm in IMMEDIATES]
    instance = load(core, functions(sources))
    for index, imm in enumerate(IMMEDIATES):
        instance.write(0, b"\xee" * 32)
        assert outcome(instance, index, 5) == []
        stored = (imm & ((1 << 64) - 1)).to_bytes(8, "little")[:size]
        assert instance.read(0, 32) == (b"\xee" * 13 + stored).ljust(32, b"\xee")
        assert outcome(instance, index, PAGE - 8 - size + 1) == OUT_OF_BOUNDS


RMW: dict[str, Callable[[int, int], int]] = {
    "ADD": lambda old, b: old + b,
    "SUB": lambda old, b: old - b,
    "AND": lambda old, b: old & b,
    "OR": lambda old, b: old | b,
    "XOR": lambda old, b: old ^ b,
    "XCHG": lambda old, b: b,
}
NARROW = [(width, size) for width in (32, 64) for size in (1, 2, 4, 8) if 8 * size <= width]


@pytest.mark.parametrize(("width", "size"), NARROW)
def test_read_modify_write(core: Core, width: int, size: int) -> None:
    name = f"I{width}_ATOMIC_RMW" + ("" if 8 * size == width else str(8 * size))
    letter = "i" if width == 32 else "l"
    sources = [("i" + letter, letter, f"MOV r2 r0\n {name} r1 r2 {kind} 8\n RET") for kind in RMW]
    instance = load(core, functions(sources))
    mask = (1 << 8 * size) - 1
    for index, function in enumerate(RMW.values()):
        for operand in VALUES["I" if width == 32 else "L"][::3]:
            instance.write(0, PATTERN)
            old = int.from_bytes(PATTERN[16 : 16 + size], "little")
            assert outcome(instance, index, 8, operand) == [old]
            new = (function(old, operand) & mask).to_bytes(size, "little")
            assert instance.read(0, 32) == PATTERN[:16] + new + PATTERN[16 + size :]
        assert outcome(instance, index, PAGE - 8, 1) == OUT_OF_BOUNDS
        if size > 1:
            assert outcome(instance, index, 1, 1) == UNALIGNED


@pytest.mark.parametrize(("width", "size"), NARROW)
def test_compare_and_exchange(core: Core, width: int, size: int) -> None:
    name = f"I{width}_ATOMIC_CMPXCHG" + ("" if 8 * size == width else str(8 * size))
    letter = "i" if width == 32 else "l"
    source = f"XCHG r0 r1\n {name} r2 r1 8\n RET"
    instance = load(core, program(source, "i" + letter * 2, letter))
    old = int.from_bytes(PATTERN[16 : 16 + size], "little")
    high = 0xA5 << (width - 8) if 8 * size < width else 0
    # Only the low bits of what is expected count, as with CMPXCHG on x86.
    for expected, holds in ((old, True), (old | high, True), (old ^ 1, False)):
        instance.write(0, PATTERN)
        replacement = 0x7766554433221100 & ((1 << width) - 1)
        assert outcome(instance, "f", 8, expected, replacement) == [old]
        new = replacement.to_bytes(8, "little")[:size] if holds else PATTERN[16 : 16 + size]
        assert instance.read(0, 32) == PATTERN[:16] + new + PATTERN[16 + size :]
    assert outcome(instance, "f", PAGE - 8, 0, 0) == OUT_OF_BOUNDS
    if size > 1:
        assert outcome(instance, "f", 1, 0, 0) == UNALIGNED


def test_frame(core: Core) -> None:
    """Stack arguments, spill slots, outgoing arguments, further results; of every type."""
    params = "i" * 6 + "f" * 8 + "ildfr"
    # Stack arguments to slots, slots to results, the last first.
    inner = """
        ARG_LOAD r0 0
        SLOT_STORE r0 0
        ARG_LOAD r0 1
        SLOT_STORE r0 1
        FARG_LOAD f0 2
        FSLOT_STORE f0 3
        FARG_LOAD f0 3
        FSLOT_STORE f0 2
        ARG_LOAD r0 4
        SLOT_STORE r0 4
        SLOT_LOAD r1 0
        RESULT_STORE r1 4
        SLOT_LOAD r1 1
        RESULT_STORE r1 3
        FSLOT_LOAD f1 3
        FRESULT_STORE f1 2
        FSLOT_LOAD f1 2
        FRESULT_STORE f1 1
        SLOT_LOAD r0 4
        RET"""
    outer = """
        OUT_STORE r0 0
        OUT_STORE r1 1
        FOUT_STORE f0 2
        FOUT_STORE f1 3
        OUT_STORE r2 4
        I32_CONST r0 0
        I32_CONST r1 0
        I32_CONST r2 0
        I32_CONST r3 0
        I32_CONST r4 0
        I32_CONST r5 0
        F32_CONST f0 0
        F32_CONST f1 0
        F32_CONST f2 0
        F32_CONST f3 0
        F32_CONST f4 0
        F32_CONST f5 0
        F32_CONST f6 0
        F32_CONST f7 0
        CALL 0
        MOV r8 r0
        FRESULT_LOAD f0 1
        FRESULT_LOAD f1 2
        RESULT_LOAD r1 3
        RESULT_LOAD r2 4
        FRESULT_STORE f0 1
        FRESULT_STORE f1 2
        RESULT_STORE r1 3
        RESULT_STORE r2 4
        MOV r0 r8
        RET"""
    image = Image(
        types=[func_type(params, "rfdli"), func_type("ildfr".replace("d", "D").lower(), "rfdli")],
        functions=[
            (0, Body(inner, slots=(1, 1, 1, 1, 1))),
            (1, Body(outer, leaf=False, saved=1, outs=5)),
        ],
        exports=[export_entry("f", FUNC, 1)],
    )
    instance = load(core, image)
    values = [0x80000001, 0x8000000000000002, 0x8000000000000003, 0x80000004, 0xFFFFFFFF]
    assert instance.call("f", *values) == [values[i] for i in (4, 3, 2, 1, 0)]


def test_globals(core: Core) -> None:
    for letter, value in zip("ildfe", (1 << 31, 1 << 63, 1 << 63, 1 << 31, 7), strict=True):
        prefix, register = ("F", "f0") if letter in "fd" else ("", "r0")
        source = f"{prefix}GLOBAL_SET {register} 1\n {prefix}GLOBAL_GET {register} 0\n RET"
        init = {"i": b"\0\x05", "l": b"\0\x06", "f": b"\1" + struct.pack("<I", 7),
                "d": b"\2" + struct.pack("<Q", 8), "e": NULL}[letter]  # fmt: skip
        image = replace(
            program(source, letter, letter),
            globals=[global_entry(letter, False, init), global_entry(letter, True, init)],
        )
        instance = load(core, image)
        first = {"i": 5, "l": 6, "f": 7, "d": 8, "e": 0xFFFFFFFF}[letter]
        assert instance.call("f", value) == [first]
        assert instance.global_get(1)[1] == value
        assert instance.global_get(0)[1] == first


def test_control(core: Core) -> None:
    table = "\n".join(f"b{i}:\n I32_CONST r0 {i}\n BR end" for i in range(4))
    source = f"ATOMIC_FENCE\n POLL\n BR_TABLE r0 b0 b1 b2 b3\n {table}\n end: r0=i32\n RET"
    instance = load(core, program(source, "i", "i"))
    for index in (0, 1, 2, 3, 4, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF):
        assert instance.call("f", index) == [min(index, 3)]
    assert outcome(load(core, program("UNREACHABLE")), "f") == "unreachable"
    for number, (_, text) in isa.TRAPS.items():
        if number < 32:
            assert outcome(load(core, program(f"TRAP {number}")), "f") == text
    assert load(core, program("MEMORY_SIZE r0 0\n RET", "", "i")).call("f") == [1]


def test_calls_through_a_table(core: Core) -> None:
    source = "MOV r7 r0\n CALL_INDIRECT 1 0\n RET"
    image = Image(
        types=[func_type("i", "i"), func_type("", "i"), func_type("", "l")],
        functions=[
            (0, Body(source, leaf=False)),
            (1, Body("I32_CONST r0 42\n RET")),
            (2, Body("I64_CONST r0 43\n RET")),
        ],
        tables=[table_entry("r", 4)],
        exports=[export_entry("f", FUNC, 0)],
        elements=[b"\0\4\0\0\0\3\4\1\4\2\5"],
    )
    instance = load(core, image)
    assert outcome(instance, "f", 0) == [42]
    assert outcome(instance, "f", 1) == "indirect call type mismatch"
    assert outcome(instance, "f", 2) == "uninitialized element"
    assert outcome(instance, "f", 4) == "undefined element"
    assert outcome(instance, "f", 0xFFFFFFFF) == "undefined element"


def modelled() -> Iterator[str]:
    """Instructions that a test above is about."""
    forms = [*BINARY, *(f"{name}_IMM" for name in BINARY), *UNARY, "LEA", "DIV_S", "DIV_U", "REM_S"]
    forms += ["REM_U", *(f"ATOMIC_{kind}" for kind in ("RMW", "RMW8", "RMW16", "RMW32"))]
    forms += [f"ATOMIC_CMPXCHG{size}" for size in ("", 8, 16, 32)]
    for width, letter, _ in WIDTHS:
        yield from (f"I{width}_{form}" for form in forms)
        yield from (name for name, *_ in comparing(width, letter))
    yield from [*LOADS, *STORES, *CONVERSIONS, *(f"STORE{8 * size}_IMM" for size in (1, 2, 4, 8))]
    yield from """
        F32_SET F32_BR_IF F64_SET F64_BR_IF
        I32_CONST I64_CONST F32_CONST F64_CONST REF_NULL REF_IS_NULL MOV FMOV XCHG FXCHG
        SLOT_LOAD SLOT_STORE FSLOT_LOAD FSLOT_STORE ARG_LOAD FARG_LOAD OUT_STORE FOUT_STORE
        RESULT_LOAD RESULT_STORE FRESULT_LOAD FRESULT_STORE CALL RET
        GLOBAL_GET GLOBAL_SET FGLOBAL_GET FGLOBAL_SET CALL_INDIRECT
        BR BR_TABLE UNREACHABLE TRAP POLL ATOMIC_FENCE MEMORY_SIZE""".split()


def test_all_are_modelled() -> None:
    """What is left is the arithmetic of floats, and the helpers (test_core_runtime.py)."""
    left = {op.name for op in isa.OPS} - set(modelled()) - {"CALL_RT"}
    floats = {op.name for op in isa.OPS if {op.d, op.a, op.b} & {"F", "D"}}
    assert left <= floats, left - floats
