# SPDX-License-Identifier: GPL-2.0-only
"""validate(): every instruction accepted and rejected, and the rules the suite does not cover."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from wasmbinary import body, func_type, function_module, module, name, section, u32, vec

from pywasmjit.errors import DecodeError, ModuleError, UnsupportedError, ValidationError
from pywasmjit.wasm import decode, validate, validate_function, validate_module
from pywasmjit.wasm.disasm import instructions
from pywasmjit.wasm.opcodes import (
    BY_CODE,
    EXTERNREF,
    F32,
    F64,
    FUNCREF,
    I32,
    I64,
    OPCODES,
    Imm,
    Opcode,
)
from pywasmjit.wasm.validate import MAX_LOCALS, MAX_PARAMS

VALUE_TYPES = (I32, I64, F32, F64, FUNCREF, EXTERNREF)

# Immediates that fit function_module(), by kind.
IMMEDIATES = {
    Imm.NONE: b"",
    Imm.FUNC: b"\0",
    Imm.TABLE: b"\0",
    Imm.I32: b"\0",
    Imm.I64: b"\0",
    Imm.F32: bytes(4),
    Imm.F64: bytes(8),
    Imm.MEMORY: b"\0",
    Imm.FENCE: b"\0",
    Imm.DATA_MEMORY: b"\0\0",
    Imm.DATA: b"\0",
    Imm.MEMORY_MEMORY: b"\0\0",
    Imm.ELEM_TABLE: b"\0\0",
    Imm.ELEM: b"\0",
    Imm.TABLE_TABLE: b"\0\0",
}

# Instructions whose types depend on something else: encoding, operand types, result types.
_I, _F, _X = (I32,), (FUNCREF,), (EXTERNREF,)
SPECIAL: dict[str, tuple[bytes, tuple[int, ...], tuple[int, ...]]] = {
    "block": (b"\x02\2\x42\0\x0b", _I, (I32, I64)),
    "br": (b"\x0c\0", _I, _I),
    "br_if": (b"\x0d\0", (I64, I32), (I64,)),
    "br_table": (b"\x0e\1\0\0", (I64, I32), (I64,)),
    "call": (b"\x10\0", (), ()),
    "call_indirect": (b"\x11\2\0", (I32, I32), (I32, I64)),
    "drop": (b"\x1a", (EXTERNREF,), ()),
    "else": (b"\x04\x7f\x41\0\x05\x41\1\x0b", _I, _I),
    "end": (b"\x02\x40\x0b", (), ()),
    "global.get": (b"\x23\0", (), (I64,)),
    "global.set": (b"\x24\0", (I64,), ()),
    "if": (b"\x04\x40\x0b", _I, ()),
    "loop": (b"\x03\x40\x0b", (), ()),
    "ref.is_null": (b"\xd1", _X, _I),
    "ref.null": (b"\xd0\x6f", (), _X),
    "table.get": (b"\x25\1", _I, _X),
    "table.set": (b"\x26\1", (I32, EXTERNREF), ()),
    "table.grow": (b"\xfc\x0f\1", (EXTERNREF, I32), _I),
    "table.fill": (b"\xfc\x11\1", (I32, EXTERNREF, I32), ()),
}


def encode(row: Opcode) -> bytes:
    code = bytes([row.code]) if row.code < 0x100 else bytes([row.code >> 8]) + u32(row.code & 0xFF)
    if row.imm is Imm.MEMARG:
        return code + u32(row.align) + b"\4"
    return code + IMMEDIATES[row.imm]


def gets(count: int) -> bytes:
    return b"".join(b"\x20" + u32(i) for i in range(count))


PLAIN = [row for row in OPCODES if row.params is not None and row.results is not None]


@pytest.mark.parametrize("row", PLAIN, ids=lambda row: row.name)
def test_every_plain_instruction(row: Opcode) -> None:
    params, results = row.params, row.results
    assert params is not None
    assert results is not None
    code = encode(row)
    operands = gets(len(params))
    validate(decode(function_module(operands + code, params, results)))
    # In unreachable code any operands will do, and results still have their types.
    validate(decode(function_module(b"\x00" + code, (), results)))
    for missing in range(len(params)):
        with pytest.raises(ValidationError, match="type mismatch"):
            validate(decode(function_module(gets(missing) + code, params, results)))
    for position in range(len(params)):
        for wrong in VALUE_TYPES:
            if wrong != params[position]:
                changed = (*params[:position], wrong, *params[position + 1 :])
                with pytest.raises(ValidationError, match="type mismatch"):
                    validate(decode(function_module(operands + code, changed, results)))
    for wrong_results in ((*results, I32), results[1:], tuple(t ^ 1 for t in results)):
        if wrong_results != results and all(t in VALUE_TYPES for t in wrong_results):
            with pytest.raises(ValidationError, match="type mismatch"):
                validate(decode(function_module(operands + code, params, wrong_results)))


@pytest.mark.parametrize("mnemonic", SPECIAL)
def test_every_special_instruction(mnemonic: str) -> None:
    code, params, results = SPECIAL[mnemonic]
    operands = gets(len(params))
    validate(decode(function_module(operands + code, params, results)))
    for missing in range(len(params)):
        with pytest.raises(ValidationError, match="type mismatch"):
            validate(decode(function_module(gets(missing) + code, params, results)))


def test_every_instruction_has_a_test() -> None:
    special = {row.name for row in OPCODES if row.params is None or row.results is None}
    elsewhere = {"unreachable", "return", "select", "local.get", "local.set", "local.tee"}
    assert special == set(SPECIAL) | elsewhere


def accept(code: bytes, params: tuple[int, ...] = (), results: tuple[int, ...] = ()) -> None:
    validate(decode(function_module(code, params, results)))


def reject(
    rule: str, code: bytes, params: tuple[int, ...] = (), results: tuple[int, ...] = ()
) -> ModuleError:
    with pytest.raises(ModuleError) as caught:
        validate(decode(function_module(code, params, results)))
    assert caught.value.rule.startswith(rule), caught.value
    return caught.value


def test_select() -> None:
    for value_type in (I32, I64, F32, F64):
        accept(b"\x20\0\x20\0\x20\1\x1b", (value_type, I32), (value_type,))
        accept(b"\x00\x1b", (), (value_type,))
    for value_type in VALUE_TYPES:
        typed = b"\x20\0\x20\0\x20\1\x1c\1" + bytes([value_type])
        accept(typed, (value_type, I32), (value_type,))
    reject("type mismatch: select of funcref", b"\x20\0\x20\0\x20\1\x1b", (FUNCREF, I32), _F)
    reject("type mismatch", b"\x20\0\x20\1\x20\1\x1b", (I64, I32), (I64,))
    reject("type mismatch", b"\x41\0\x1b")
    reject("type mismatch", b"\x41\0\x41\0\x1b")
    reject("invalid result arity", b"\x20\0\x20\0\x20\0\x1c\2\x7f\x7f", (I32,), (I32,))


def test_locals() -> None:
    accept(b"\x20\0\x21\1\x20\1\x22\1", (I64, I64), (I64,))
    reject("unknown local 2", b"\x20\2", (I64, I64), (I64,))
    reject("unknown local 300", b"\x20\xac\2")
    reject("unknown local 1", b"\x41\0\x21\1", (I32,))
    reject("type mismatch: expected i64, found i32", b"\x41\0\x21\0", (I64,))
    reject("type mismatch: expected i64, found nothing", b"\x22\0\x1a", (I64,))


def test_blocks_and_labels() -> None:
    accept(b"\x02\x7f\x41\1\x41\0\x0d\0\x0b", (), (I32,))
    accept(b"\x03\x7f\x41\1\x41\0\x0d\0\x0b", (), (I32,))  # a loop's label takes its parameters
    accept(b"\x41\1\x41\0\x0d\0", (), (I32,))
    accept(b"\x41\7\x0f", (), (I32,))
    accept(b"\x00\x0f", (), (I32,))
    reject("unknown label 1", b"\x0c\1")
    reject("unknown label 2", b"\x02\x40\x41\0\x0e\1\0\2\x0b")
    reject("type mismatch", b"\x02\x7f\x0b\x1a")
    reject("type mismatch: i32 remains", b"\x02\x40\x41\0\x0b")
    reject("type mismatch: if without else", b"\x41\0\x04\x7f\x41\0\x0b\x1a")
    reject("unknown type 9", b"\x02\x09\x0b")
    reject("type mismatch: br_table", b"\x02\x7f\x02\x40\x41\0\x0e\1\0\1\x0b\x0b\x1a")
    # An operand below the block's own is out of reach.
    reject("type mismatch: expected an operand, found nothing", b"\x41\0\x02\x40\x1a\x0b")
    reject("type mismatch: expected i32, found nothing", b"\x41\0\x02\x40\x45\x1a\x0b")


def test_block_parameters() -> None:
    # Type 2 is (i32) -> (i32, i64).
    accept(b"\x41\0\x02\2\x42\0\x0b", (), (I32, I64))
    accept(b"\x41\0\x41\1\x04\2\x42\0\x05\x42\1\x0b", (), (I32, I64))
    accept(b"\x41\0\x03\2\x1a\x41\1\x0c\0\x0b", (), (I32, I64))
    reject("type mismatch", b"\x02\2\x42\0\x0b", (), (I32, I64))
    reject("type mismatch: if without else", b"\x41\0\x41\1\x04\2\x42\0\x0b", (), (I32, I64))


def test_unreachable_code_still_has_types() -> None:
    accept(b"\x00\x1a\x1a")
    accept(b"\x00\x6a", (), (I32,))
    accept(b"\x0c\0\x6a\x1a")
    accept(b"\x00\xd1", (), (I32,))
    accept(b"\x02\x7e\x00\x41\0\x0d\0\x0b\x1a")
    reject("type mismatch", b"\x00\x42\0\x6a\x1a")
    reject("type mismatch", b"\x00\x41\0")
    reject("type mismatch", b"\x00\x42\0", (), (I32,))
    reject("unknown local 5", b"\x00\x20\5")


@pytest.mark.parametrize("row", [r for r in OPCODES if r.imm is Imm.MEMARG], ids=lambda r: r.name)
def test_alignment(row: Opcode) -> None:
    assert row.params is not None
    assert row.results is not None
    code = encode(row)
    prefix = 1 if row.code < 0x100 else 2
    too_large = code[:prefix] + u32(row.align + 1) + b"\0"
    operands = gets(len(row.params))
    reject("alignment must not be larger", operands + too_large, row.params, row.results)
    if row.align > 0:
        smaller = code[:prefix] + b"\0\0"
        if row.code < 0x100:
            accept(operands + smaller, row.params, row.results)
        else:
            reject("alignment must be equal to", operands + smaller, row.params, row.results)
    longest = code[:prefix] + u32(row.align) + b"\xff\xff\xff\xff\x0f"
    accept(operands + longest, row.params, row.results)
    reject(
        "integer too large",
        operands + code[:prefix] + u32(row.align) + b"\xff\xff\xff\xff\x1f",
        row.params,
        row.results,
    )


def test_memory_access_without_memory() -> None:
    def bare(code: bytes) -> bytes:
        return module(
            section(1, vec([func_type()])),
            section(3, vec([u32(0)])),
            section(10, vec([body(code)])),
        )

    for row in OPCODES:
        memory = (Imm.MEMARG, Imm.MEMORY, Imm.MEMORY_MEMORY, Imm.DATA_MEMORY)
        if row.imm in memory:
            with pytest.raises(ValidationError, match="unknown memory 0"):
                validate(decode(bare(b"\x00" + encode(row))))
    with pytest.raises(ValidationError, match="unknown table 0"):
        validate(decode(bare(b"\x41\0\x11\0\0")))


def test_indices() -> None:
    reject("unknown function 2", b"\x10\2")
    reject("unknown type 3", b"\x41\0\x11\3\0")
    reject("unknown table 2", b"\x41\0\x11\1\2")
    reject("type mismatch: call_indirect", b"\x41\0\x11\1\1")
    reject("unknown global 2", b"\x23\2\x1a")
    reject("global is immutable", b"\x41\0\x24\1")
    reject("unknown data segment 2", b"\xfc\x09\2")
    reject("unknown elem segment 2", b"\xfc\x0d\2")
    reject("type mismatch: element segment", b"\x00\xfc\x0c\1\0")
    reject("type mismatch: table.copy", b"\x00\xfc\x0e\0\1")
    reject("undeclared function reference 1", b"\xd2\1\x1a")


def test_malformed_bodies() -> None:
    for code, rule in (
        (b"\xff", "illegal opcode 0xff"),
        (b"\x06\x40", "illegal opcode 0x06"),
        (b"\x12\x00", "illegal opcode 0x12: tail calls are not supported, build with -mno-tail-call"),
        (b"\xfc\x12", "illegal opcode 0xfc 0x12"),
        (b"\xfe\x4f", "illegal opcode 0xfe 0x4f"),
        (b"\x3f\1\x1a", "zero byte expected"),
        (b"\x05", "else without if"),
        (b"\x02\x7a\x0b", "malformed value type"),
        (b"\x02\x40", "unexpected end of section or function"),
        (b"\x0b", "section size mismatch"),
        (b"\x0c", "unexpected end of section or function"),
        (b"\x41\x80\x80\x80\x80\x70\x1a", "integer too large"),
        (b"\x42\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\0\x1a", "integer representation too long"),
        # Malformed wins over invalid, wherever in the body.
        (b"\x6a\x1a\xff", "illegal opcode 0xff"),
        (b"\x0c\x09\x02\x40", "unexpected end of section or function"),
    ):
        assert isinstance(reject(rule, code), DecodeError), rule


def test_data_count_required() -> None:
    data = module(
        section(1, vec([func_type()])),
        section(3, vec([u32(0)])),
        section(5, vec([b"\0\1"])),
        section(10, vec([body(b"\xfc\x09\0")])),
        section(11, vec([b"\1\0"])),
    )
    with pytest.raises(DecodeError, match="data count section required"):
        validate(decode(data))


def test_error_names_function_and_offset() -> None:
    names = section(0, name("name") + section(1, vec([u32(1) + name("handle_request")])))
    data = function_module(b"\x01\x6a") + names
    decoded = decode(data)
    with pytest.raises(ValidationError) as caught:
        validate(decoded)
    error = caught.value
    assert error.function == 1
    assert error.function_name == "handle_request"
    assert error.section == "code"
    assert error.offset == decoded.functions[0].start + 1
    assert "function 1 (handle_request), code section, byte offset" in str(error)


def test_simd_is_refused_by_name() -> None:
    error = reject("SIMD", b"\xfd\x0c" + bytes(16) + b"\x1a")
    assert isinstance(error, UnsupportedError)
    assert "-msimd128" in str(error)


def test_functions_one_by_one() -> None:
    decoded = decode(function_module(b"\x01"))
    context = validate_module(decoded)
    validate_function(decoded, 1, context)
    validate_function(decoded, 1)


def test_implementation_limits() -> None:
    with pytest.raises(UnsupportedError, match="limit"):
        validate(decode(function_module(b"", local_runs=[(MAX_LOCALS + 1, I32)])))
    with pytest.raises(UnsupportedError, match="limit"):
        validate(decode(module(section(1, vec([func_type([I32] * (MAX_PARAMS + 1))])))))


def test_operand_stack_is_bounded() -> None:
    data = module(
        section(1, vec([func_type(), func_type([], [I32] * 1000)])),
        section(3, vec([u32(0), u32(1)])),
        section(10, vec([body(b"\x10\1" * 5000), body(b"\x00")])),
    )
    with pytest.raises(UnsupportedError, match="operands on the stack"):
        validate(decode(data))


MODULE_RULES = [
    (module(section(2, vec([name("") + name("") + b"\0\0"]))), "unknown type 0"),
    (
        module(section(3, b"\1\0"), section(10, vec([body(b"")]))),
        "unknown type 0",
    ),
    (module(section(4, vec([b"\x70\1\2\1"]))), "size minimum must not be greater than maximum"),
    (module(section(5, vec([b"\1\2\1"]))), "size minimum must not be greater than maximum"),
    (module(section(5, vec([b"\0\x81\x80\4"]))), "memory size must be at most 65536 pages (4GiB)"),
    (module(section(5, vec([b"\0\0", b"\0\0"]))), "multiple memories"),
    (module(section(6, vec([b"\x7f\0\x42\0\x0b"]))), "type mismatch"),
    (module(section(6, vec([b"\x7f\0\x0b"]))), "type mismatch"),
    (module(section(6, vec([b"\x7f\0\x41\0\x41\0\x0b"]))), "type mismatch"),
    (module(section(6, vec([b"\x7f\0\x41\0\x45\x0b"]))), "constant expression required"),
    (module(section(6, vec([b"\x7f\0\x41\0\x6a\x0b"]))), "type mismatch: operands of i32.add"),
    (module(section(6, vec([b"\x7f\0\x41\0\x42\0\x6a\x0b"]))), "type mismatch: operands of i32.add"),
    (module(section(6, vec([b"\x7f\0\x42\0\x42\0\x7c\x0b"]))), "type mismatch: constant expression has type i64"),
    (module(section(6, vec([b"\x7f\0\x41\0\x41\1\x6d\x0b"]))), "constant expression required, found i32.div_s"),
    (module(section(6, vec([b"\x7f\0\x41\0\x23\0\x6a\x0b"]))), "unknown global 0"),
    (module(section(6, vec([b"\x7f\0\x23\0\x0b"]))), "unknown global 0"),
    (module(section(6, vec([b"\x70\0\xd2\0\x0b"]))), "unknown function 0"),
    (module(section(7, vec([name("a") + b"\0\0"]))), "unknown function 0"),
    (module(section(7, vec([name("a") + b"\1\0"]))), "unknown table 0"),
    (module(section(7, vec([name("a") + b"\2\0"]))), "unknown memory 0"),
    (module(section(7, vec([name("a") + b"\3\0"]))), "unknown global 0"),
    (
        module(section(5, vec([b"\0\0"])), section(7, vec([name("a") + b"\2\0"] * 2))),
        "duplicate export name",
    ),
    (module(section(8, b"\0")), "unknown function 0"),
    (module(section(9, vec([b"\0\x41\0\x0b\0"]))), "unknown table 0"),
    (
        module(section(4, vec([b"\x6f\0\0"])), section(9, vec([b"\0\x41\0\x0b\0"]))),
        "type mismatch",
    ),
    (module(section(9, vec([b"\1\0\1\0"]))), "unknown function 0"),
    (module(section(11, vec([b"\0\x41\0\x0b\0"]))), "unknown memory 0"),
    (
        module(section(5, vec([b"\0\0"])), section(11, vec([b"\0\x42\0\x0b\0"]))),
        "type mismatch",
    ),
    (
        module(
            section(1, vec([func_type([I32])])),
            section(2, vec([name("") + name("f") + b"\0\0"])),
            section(8, b"\0"),
        ),
        "start function",
    ),
]


@pytest.mark.parametrize(("data", "rule"), MODULE_RULES)
def test_module_rules(data: bytes, rule: str) -> None:
    with pytest.raises(ValidationError) as caught:
        validate(decode(data))
    assert caught.value.rule.startswith(rule), caught.value


def test_table_agrees_with_wabt(tmp_path: Path) -> None:
    """Names, encodings and lengths of all instructions, by an independent disassembler."""
    code = b"".join(b"\x00" + encode(row) for row in PLAIN)
    path = tmp_path / "all.wasm"
    data = function_module(code)
    path.write_bytes(data)
    done = subprocess.run(
        ["wasm-objdump", "-d", str(path)], capture_output=True, text=True, check=True, timeout=30
    )
    theirs = []
    for line in done.stdout.splitlines():
        match = re.match(r" *([0-9a-f]+): +[0-9a-f ]+\| +([a-z][a-z0-9_.]*)", line)
        if match:
            theirs.append((int(match[1], 16), match[2]))
    function = decode(data).functions[0]
    ours = [(i.offset, i.name) for i in instructions(data, function.start, function.end)]
    assert len(theirs) == len(ours)
    assert [our_name for _, our_name in ours] == [their_name for _, their_name in theirs]


def test_codes_are_unique_and_complete() -> None:
    assert len(BY_CODE) == len(OPCODES)
    single = [code for code in BY_CODE if code < 0x100]
    # MVP, sign extension (5) and reference types (6); 0x1C is the typed select.
    assert len(single) == 172 + 5 + 6
    assert len([code for code in BY_CODE if code >> 8 == 0xFC]) == 18
    assert len([code for code in BY_CODE if code >> 8 == 0xFE]) == 67
