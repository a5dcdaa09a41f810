# SPDX-License-Identifier: GPL-2.0-only
"""decode(): what comes out of literal modules, and what is refused with which words."""

from __future__ import annotations

import contextlib
import pickle
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wasmbinary import (
    EMPTY_TYPE,
    HEADER,
    body,
    func_type,
    function_module,
    module,
    name,
    section,
    u32,
    vec,
)

from pywasmjit.errors import DecodeError, ModuleError, UnsupportedError
from pywasmjit.wasm import decode, validate
from pywasmjit.wasm.disasm import format_instruction, instructions
from pywasmjit.wasm.leb128 import read_s32, read_s33, read_s64, read_u32
from pywasmjit.wasm.module import (
    DataSegment,
    ElementSegment,
    Export,
    Function,
    FuncType,
    Global,
    GlobalType,
    Import,
    MemoryType,
    TableType,
)
from pywasmjit.wasm.names import parse_name_section
from pywasmjit.wasm.opcodes import EXTERNREF, F64, FUNCREF, I32, I64


def test_everything_of_a_module() -> None:
    data = function_module(b"\x20\0", [I32], [I32], [(3, F64)])
    decoded = decode(data)
    validate(decoded)
    assert decoded.types == (
        FuncType((I32,), (I32,)),
        FuncType((), ()),
        FuncType((I32,), (I32, I64)),
    )
    assert decoded.imports == (Import("env", "host", "func", 1),)
    function = decoded.functions[0]
    assert function == Function(0, ((3, F64),), function.start, function.start + 3)
    assert data[function.start : function.end] == b"\x20\0\x0b"
    assert decoded.tables == (TableType(FUNCREF, 5, None), TableType(EXTERNREF, 5, None))
    assert decoded.memories == (MemoryType(1, None),)
    assert decoded.globals == (
        Global(I64, True, ("i64.const", 0)),
        Global(I32, False, ("i32.const", 0)),
    )
    assert decoded.exports == (Export("host", "func", 0),)
    assert decoded.elements == (
        ElementSegment("passive", 0, None, FUNCREF, (("ref.func", 0),), decoded.elements[0].at),
        ElementSegment(
            "passive", 0, None, EXTERNREF, (("ref.null", EXTERNREF),), decoded.elements[1].at
        ),
    )
    end = len(data)
    assert decoded.data_segments == (
        DataSegment("passive", 0, None, end - 8, end - 7),
        DataSegment("active", 0, ("i32.const", 3), end - 2, end),
    )
    assert decoded.data_count == 2
    assert decoded.start is None
    assert decoded.num_imported_functions == 1
    assert decoded.func_type(0) == FuncType((), ())
    assert decoded.func_type(1) == FuncType((I32,), (I32,))
    assert decoded.global_types == (GlobalType(I64, True), GlobalType(I32, False))
    assert decoded.section_at(function.start) == "code"


@pytest.mark.parametrize(
    ("encoded", "expected"),
    [
        (b"\0\x41\7\x0b\1\0", ("active", 0, ("i32.const", 7), FUNCREF, (("ref.func", 0),))),
        (b"\1\0\1\0", ("passive", 0, None, FUNCREF, (("ref.func", 0),))),
        (b"\2\1\x41\7\x0b\0\1\0", ("active", 1, ("i32.const", 7), FUNCREF, (("ref.func", 0),))),
        (b"\3\0\1\0", ("declarative", 0, None, FUNCREF, (("ref.func", 0),))),
        (
            b"\4\x41\7\x0b\1\xd2\0\x0b",
            ("active", 0, ("i32.const", 7), FUNCREF, (("ref.func", 0),)),
        ),
        (b"\5\x70\1\xd0\x70\x0b", ("passive", 0, None, FUNCREF, (("ref.null", FUNCREF),))),
        (
            b"\6\1\x23\0\x0b\x6f\1\xd0\x6f\x0b",
            ("active", 1, ("global.get", 0), EXTERNREF, (("ref.null", EXTERNREF),)),
        ),
        (b"\7\x6f\0", ("declarative", 0, None, EXTERNREF, ())),
    ],
)
def test_element_segment_forms(encoded: bytes, expected: tuple[object, ...]) -> None:
    decoded = decode(module(section(9, vec([encoded]))))
    assert decoded.elements[0][:5] == expected


@pytest.mark.parametrize(
    ("encoded", "expected"),
    [
        (b"\x41\x7f\x0b", ("i32.const", -1)),
        (b"\x42\x80\x80\x80\x80\x80\x80\x80\x80\x80\x7f\x0b", ("i64.const", -(2**63))),
        (b"\x43\0\0\x80\x3f\x0b", ("f32.const", 0x3F800000)),
        (b"\x44\0\0\0\0\0\0\xf0\x3f\x0b", ("f64.const", 0x3FF0000000000000)),
        (b"\x23\x85\x01\x0b", ("global.get", 133)),
        (b"\xd2\2\x0b", ("ref.func", 2)),
        (b"\xd0\x70\x0b", ("ref.null", FUNCREF)),
        (b"\x41\0\x41\0\x6a\x0b", ("expr", 13)),  # where it is, for validation to reject
        (b"\x0b", ("expr", 13)),
    ],
)
def test_constant_expressions(encoded: bytes, expected: tuple[str, int]) -> None:
    decoded = decode(module(section(6, vec([b"\x7f\0" + encoded]))))
    assert decoded.globals[0].init == expected


NAMES = section(
    0,
    name("name")
    + section(0, name("program"))
    + section(1, vec([u32(0) + name("puts"), u32(1) + name("main")]))
    + section(2, vec([u32(1) + vec([u32(0) + name("argc")])])),
)


def test_names() -> None:
    decoded = decode(function_module(b"") + NAMES)
    assert decoded.names.module == "program"
    assert decoded.names.locals == {1: {0: "argc"}}
    assert decoded.function_name(0) == "puts"
    assert decoded.function_name(1) == "main"


def test_names_without_name_section() -> None:
    decoded = decode(function_module(b""))
    assert decoded.names.module is None
    assert decoded.function_name(0) == "env.host"
    assert decoded.function_name(1) == "func[1]"
    exported = module(
        section(1, vec([EMPTY_TYPE])),
        section(3, vec([u32(0)])),
        section(7, vec([name("run") + b"\0\0"])),
        section(10, vec([body(b"")])),
    )
    assert decode(exported).function_name(0) == "run"


@given(st.binary(max_size=60))
def test_damaged_name_section_is_never_an_error(contents: bytes) -> None:
    parse_name_section(contents, 0, len(contents))
    whole = decode(HEADER + section(0, name("name") + contents))
    assert isinstance(whole.function_name(3), str)


def test_damaged_name_section_keeps_what_came_before() -> None:
    contents = section(1, vec([u32(0) + name("first"), u32(1) + name("second")]))[:-3]
    assert parse_name_section(contents, 0, len(contents)).functions == {}
    contents = section(1, vec([u32(0) + name("first")])) + b"\2\x7f"
    assert parse_name_section(contents, 0, len(contents)).functions == {0: "first"}
    odd = section(1, vec([u32(0) + name(b"a\xffb")]))
    assert parse_name_section(odd, 0, len(odd)).functions == {0: "a\N{REPLACEMENT CHARACTER}b"}


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        (b"", "unexpected end"),
        (b"\0as", "unexpected end"),
        (b"#!/bin/sh\n", "magic header not detected"),
        (HEADER[:7], "unexpected end"),
        (b"\0asm\2\0\0\0", "unknown binary version 2"),
        (HEADER + b"\x0d\0", "malformed section id 13"),
        (HEADER + b"\1\5\0", "length out of bounds"),
        (HEADER + section(3, b"\0") + section(1, b"\0"), "unexpected content after last section"),
        (HEADER + section(1, b"\0\0"), "section size mismatch"),
        (HEADER + section(1, b"\1\x5f\0\0"), "malformed function type 0x5f"),
        (HEADER + section(1, b"\1\x60\1\x40\0"), "malformed value type 0x40"),
        (HEADER + section(1, b"\x80\x80\x80\x80\x10"), "integer too large"),
        (HEADER + section(1, b"\x80\x80\x80\x80\x80\0"), "integer representation too long"),
        (HEADER + section(1, b"\xff\xff\xff\xff\x0f"), "length out of bounds"),
        (HEADER + section(2, vec([name(b"\xff") + name("") + b"\0\0"])), "malformed UTF-8"),
        (HEADER + section(2, vec([name("") + name("") + b"\4\0"])), "malformed import kind 4"),
        (HEADER + section(4, vec([b"\x7f\0\0"])), "malformed reference type 0x7f"),
        (HEADER + section(5, vec([b"\2\0"])), "integer too large"),
        (HEADER + section(6, vec([b"\x7f\2\x41\0\x0b"])), "malformed mutability 2"),
        (HEADER + section(7, vec([name("") + b"\4\0"])), "malformed export kind 4"),
        (HEADER + section(9, vec([b"\x08"])), "malformed elements segment kind 8"),
        (HEADER + section(9, vec([b"\1\1\0"])), "malformed element kind 1"),
        (HEADER + section(11, vec([b"\3"])), "malformed data segment kind 3"),
        (
            HEADER + section(1, vec([EMPTY_TYPE])) + section(3, b"\1\0"),
            "function and code section have inconsistent lengths",
        ),
        (HEADER + section(12, b"\1"), "data count and data section have inconsistent lengths"),
    ],
)
def test_malformed(data: bytes, rule: str) -> None:
    with pytest.raises(DecodeError) as caught:
        decode(data)
    assert caught.value.rule.startswith(rule)
    assert caught.value.exit_code == 65
    assert caught.value.offset is not None


def test_too_many_locals_without_allocating_them() -> None:
    runs = [(0xFFFFFFFF, I32), (1, I32)]
    with pytest.raises(DecodeError, match="too many locals"):
        decode(function_module(b"", local_runs=runs))
    decoded = decode(function_module(b"", local_runs=[(0, I32), (0xFFFFFFFF, I32)]))
    assert decoded.functions[0].locals == ((0xFFFFFFFF, I32),)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (HEADER + section(1, vec([func_type([0x7B])])), "SIMD"),
        (HEADER + section(5, vec([b"\3\1\1"])), "threads"),
        (HEADER + section(5, vec([b"\4\1"])), "64-bit memories"),
    ],
)
def test_unsupported_features_are_named(data: bytes, words: str) -> None:
    with pytest.raises(UnsupportedError, match=words):
        decode(data)


def test_error_message_says_what_and_where() -> None:
    with pytest.raises(DecodeError) as caught:
        decode(HEADER + section(5, vec([b"\2\0"])))
    assert str(caught.value) == (
        "malformed module: integer too large: memory limits flag 2 "
        "[memory section, byte offset 0xb]"
    )
    again = pickle.loads(pickle.dumps(caught.value))
    assert str(again) == str(caught.value)
    assert again.offset == 11


Reader = Callable[[bytes, int], tuple[int, int]]


def signed_leb(value: int) -> bytes:
    out = bytearray()
    while True:
        byte = value & 0x7F
        value >>= 7
        if value == (-1 if byte & 0x40 else 0):
            out.append(byte)
            return bytes(out)
        out.append(byte | 0x80)


@given(st.integers(0, 2**32 - 1))
def test_leb128_unsigned(value: int) -> None:
    encoded = u32(value)
    assert read_u32(b"x" + encoded, 1) == (value, 1 + len(encoded))


@given(st.integers(-(2**63), 2**63 - 1))
def test_leb128_signed(value: int) -> None:
    encoded = signed_leb(value)
    readers: tuple[tuple[int, Reader], ...] = ((32, read_s32), (33, read_s33), (64, read_s64))
    for bits, reader in readers:
        if -(1 << bits - 1) <= value < 1 << bits - 1:
            assert reader(encoded, 0) == (value, len(encoded))
        else:
            with pytest.raises(DecodeError):
                reader(encoded, 0)


def test_leb128_overlong_is_accepted_up_to_the_limit() -> None:
    assert read_u32(b"\x80\x80\x80\x80\x00", 0) == (0, 5)
    assert read_s32(b"\xff\xff\xff\xff\x7f", 0) == (-1, 5)
    with pytest.raises(DecodeError, match="too long"):
        read_s32(b"\xff\xff\xff\xff\xff\x7f", 0)
    with pytest.raises(DecodeError, match="too large"):
        read_s32(b"\xff\xff\xff\xff\x4f", 0)
    with pytest.raises(IndexError):
        read_u32(b"\x80", 0)


CORPUS = [
    function_module(b"\x20\0\x02\x40\x0c\0\x0b", [I32], [I32], [(3, F64)]) + NAMES,
    function_module(b"\x41\1\x0e\2\0\0\0\xfc\x0d\0\xfe\x03\0"),
]


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(CORPUS), st.lists(st.tuples(st.integers(0), st.integers(0, 255))))
def test_damage_never_raises_anything_else(data: bytes, edits: list[tuple[int, int]]) -> None:
    damaged = bytearray(data)
    for position, value in edits:
        damaged[position % len(damaged)] = value
    with contextlib.suppress(ModuleError):
        validate(decode(bytes(damaged)))


@given(st.sampled_from(CORPUS), st.integers(0))
def test_truncation_is_malformed(data: bytes, position: int) -> None:
    cut = data[: position % len(data)]
    try:
        decode(cut)
    except DecodeError:
        return
    # A cut between sections can leave a well-formed module.
    assert len(cut) >= 8


def test_disassembly() -> None:
    code = (
        b"\x02\x40\x03\x7f\x04\2\x05\x0b\x0b\x0b"
        b"\x0e\2\0\1\0\x10\0\x11\1\0\x1c\1\x7f\x20\x80\1\x28\2\4\x28\0\0\x3f\0"
        b"\x41\x7f\x43\0\0\x80\x3f\x44\0\0\0\0\0\0\xf8\xff\xd0\x70"
        b"\xfc\x0a\0\0\xfc\x0c\1\0\xfe\x1e\2\x08\x0b"
    )
    decoded = decode(function_module(b""))
    text = [format_instruction(item, decoded) for item in instructions(code, 0, len(code))]
    assert text == [
        "block",
        "loop (result i32)",
        "if (type 2)",
        "else",
        "end",
        "end",
        "end",
        "br_table 0 1 0",
        "call 0 <env.host>",
        "call_indirect (type 1)",
        "select (result i32)",
        "local.get 128",
        "i32.load offset=4",
        "i32.load align=1",
        "memory.size",
        "i32.const -1",
        "f32.const 1.0",
        "f64.const -nan",
        "ref.null func",
        "memory.copy",
        "table.init 0 1",
        "i32.atomic.rmw.add offset=8",
        "end",
    ]
