# SPDX-License-Identifier: GPL-2.0-only
"""Encoding: LEB128, every instruction of the table, the body's header, parallel moves."""

from __future__ import annotations

import itertools

import pytest
from regalloc_model import GLOBALS

from pywasmjit import _isa
from pywasmjit._isa import OPS
from pywasmjit.lower import emit, ir
from pywasmjit.lower.backend import allocate_and_emit
from pywasmjit.lower.check import CheckError, check_body
from pywasmjit.lower.disasm import decode, disassemble, instruction_text
from pywasmjit.lower.moves import sequence

# The back makes these itself.
BACK = {
    "POLL", "MOV", "FMOV", "XCHG", "FXCHG", "SLOT_LOAD", "SLOT_STORE", "FSLOT_LOAD",
    "FSLOT_STORE", "ARG_LOAD", "FARG_LOAD", "OUT_STORE", "FOUT_STORE", "RESULT_LOAD",
    "FRESULT_LOAD", "RESULT_STORE", "FRESULT_STORE",
}  # fmt: skip
TYPES = [((0, 1), (0,))]
KIND = {**ir.TYPE_LETTERS, "W": ir.I32, "G": ir.F64}
IMMEDIATES: dict[str, tuple[int, ...]] = {
    "RRI": (-3,), "LEA": (3, -500), "CI": (-70000,), "C4": (0x3FC00000,), "C8": (1 << 63,),
    "SET": (2,), "SETI": (3, -1), "SEL": (5,), "SELI": (0, 1000), "LD": (70000,), "ALD": (8,),
    "ST": (0,), "STI": (300, -1), "ARMW": (4, 12), "ACAS": (16,), "JRR": (1,), "JRI": (1, 64),
    "CALL": (0,), "CALLI": (0, 0), "RT": (_isa.RT_MEMORY_COPY, 0, 0), "TRAP": (2,),
}  # fmt: skip
# Operands by letter of the table: a, b, and x, y of SEL.
OPERANDS = {
    "RR": "a", "RRR": "ab", "RRI": "a", "LEA": "ab", "DIV": "ab", "SET": "ab", "SETI": "a",
    "SEL": "abxy", "SELI": "abx", "LD": "i", "ALD": "i", "ST": "ai", "STI": "i", "ARMW": "ai",
    "ACAS": "aai", "GST": "a", "JRR": "ab", "JRI": "a", "JT": "a", "CALL": "il", "CALLI": "iil",
    "RT": "iii",
}  # fmt: skip


def one_instruction(op: _isa.Op) -> ir.Function:
    """A function that makes operands of the right types and uses them in one instruction."""
    number = getattr(_isa, op.name)
    compared = "L" if op.name.startswith("I64") else "I"
    letters = {"a": op.a, "b": op.b, "x": compared, "y": compared, "i": "I", "l": "L"}
    kinds = [KIND[letters[x]] for x in OPERANDS.get(op.format, "")]
    fn = ir.Function(0, "f", tuple(kinds), ())
    entry = ir.Block(0)
    fn.blocks.append(entry)
    for i, kind in enumerate(kinds):
        entry.insts.append(fn.value(ir.PARAM, (), (i,), kind))
    imm = IMMEDIATES.get(op.format, ())
    if op.format in ("GLD", "GST"):
        imm = (ir.F64,) if op.name.startswith("F") else (ir.I32,)
    if op.name in ("REF_NULL", "MEMORY_SIZE"):
        imm = (0,)
    result = ir.NONE if op.d == "_" else KIND[op.d]
    if op.format in ("CALL", "CALLI"):
        result = ir.I32
    made = fn.value(number, tuple(entry.insts), imm, result)
    entry.insts.append(made)
    targets = {"J": 1, "JRR": 2, "JRI": 2, "JT": 3}.get(op.format, 0)
    for i in range(targets):
        block = ir.Block(i + 1, preds=[0])
        block.insts.append(fn.value(_isa.TRAP, (), (i + 2,), ir.NONE))
        entry.succs.append(i + 1)
        fn.blocks.append(block)
    if "T" not in op.flags and not targets:
        if result != ir.NONE:
            # Otherwise nothing needs a constant.
            store = _isa.FGLOBAL_SET if result in (ir.F32, ir.F64) else _isa.GLOBAL_SET
            entry.insts.append(fn.value(store, (made,), (result,), ir.NONE))
        entry.insts.append(fn.value(_isa.RET, (), (), ir.NONE))
    return fn


@pytest.mark.parametrize("op", [op for op in OPS if op.name not in BACK], ids=lambda op: op.name)
def test_every_instruction(op: _isa.Op) -> None:
    fn = one_instruction(op)
    body = allocate_and_emit(fn)
    check_body(body, (fn.params, ()), TYPES, [0], GLOBALS)
    found = [i for i in decode(body).code if OPS[i.op].name == op.name]
    if op.format == "J":
        assert not found  # the only successor follows
        return
    assert len(found) == 1, disassemble(body)
    wanted = IMMEDIATES.get(op.format, ())
    if op.format in ("LD", "ALD", "ST", "STI", "RRI", "LEA", "C4", "C8", "CALL", "CALLI", "RT"):
        assert found[0].imm == wanted
    assert instruction_text(found[0]).startswith(op.name)


def test_no_base() -> None:
    fn = ir.Function(0, "f", (), ())
    value = fn.value(_isa.I32_LOAD, (), (16,), ir.I32)
    fn.blocks.append(
        ir.Block(
            0,
            insts=[
                value,
                fn.value(_isa.STORE8, (value,), (1 << 31,), ir.NONE),
                fn.value(_isa.STORE64_IMM, (), (8, -1), ir.NONE),
                fn.value(_isa.RET, (), (), ir.NONE),
            ],
        )
    )
    assert disassemble(allocate_and_emit(fn)).split("\n") == [
        "; leaf",
        "    I32_LOAD r0, [16]",
        "    STORE8 r0, [2147483648]",
        "    STORE64_IMM -1, [8]",
        "    RET",
        "",
    ]


def test_bytes() -> None:
    """The example that image.h and isa.def describe, byte by byte."""
    fn = ir.Function(0, "f", (ir.I32, ir.I32), (ir.I32,))
    a = fn.value(ir.PARAM, (), (0,), ir.I32)
    b = fn.value(ir.PARAM, (), (1,), ir.I32)
    total = fn.value(_isa.I32_SUB, (a, b), (), ir.I32)
    shifted = fn.value(_isa.I32_ADD_IMM, (total,), (-200,), ir.I32)
    ret = fn.value(_isa.RET, (shifted,), (), ir.NONE)
    fn.blocks.append(ir.Block(0, insts=[a, b, total, shifted, ret]))
    body = allocate_and_emit(fn)
    header = "01 00" + " 00" * 5 + " 00 00"  # leaf, nothing saved, no slots, no outs, no blocks
    code = f"{_isa.I32_SUB:02x} 00 01  {_isa.I32_ADD_IMM:02x} 00 b8 7e  {_isa.RET:02x}"
    assert body.hex() == bytes.fromhex(header + code).hex()


@pytest.mark.parametrize(
    ("value", "unsigned", "signed"),
    [
        (0, "00", "00"),
        (63, "3f", "3f"),
        (64, "40", "c000"),
        (127, "7f", "ff00"),
        (128, "8001", "8001"),
        (0xFFFFFFFF, "ffffffff0f", "ffffffff0f"),
        (-1, "", "7f"),
        (-64, "", "40"),
        (-65, "", "bf7f"),
        (-(1 << 63), "", "8080808080808080807f"),
    ],
)
def test_leb128(value: int, unsigned: str, signed: str) -> None:
    assert emit.SLEB[value].hex() == signed
    if unsigned:
        assert emit.ULEB[value].hex() == unsigned


def test_block_entry() -> None:
    assert emit.block_entry(3, 0x0105, 0, 0, 0, 0, 0).hex() == "03000501"
    full = emit.block_entry(200, 0xFFF, 0x2, 0x4, 0x3FFF, 0x8, 0x101)
    assert full.hex() == "c8010f" + "ff0f" + "0200" + "0400" + "ff3f0800" + "020101"


def run_moves(code: list[bytes], registers: dict[int, int]) -> dict[int, int]:
    """What a sequence of MOV, FMOV, XCHG, FXCHG does to registers."""
    found = dict(registers)
    for text in code:
        high = 16 if text[0] in (_isa.FMOV, _isa.FXCHG) else 0
        d, a = text[1] & 15 | high, text[1] >> 4 | high
        if text[0] in (_isa.XCHG, _isa.FXCHG):
            found[d], found[a] = found[a], found[d]
        else:
            found[d] = found[a]
    return found


@pytest.mark.parametrize("base", [0, 16])
@pytest.mark.parametrize("temporaries", [0, 1 << 5 | 1 << 21])
def test_parallel_moves(base: int, temporaries: int) -> None:
    """All ways to fill up to four registers from four."""
    registers = {r: r + 100 for r in [*range(6), *range(16, 22)]}
    for size in (1, 2, 3, 4):
        for targets in itertools.combinations(range(base, base + 4), size):
            for sources in itertools.product(range(base, base + 4), repeat=size):
                moves = dict(zip(targets, sources, strict=True))
                code: list[bytes] = []
                sequence(moves, code, temporaries)
                found = run_moves(code, registers)
                for r, value in registers.items():
                    if not temporaries >> r & 1:
                        assert found[r] == registers[moves.get(r, r)], (moves, value)
                exchanges = sum(text[0] in (_isa.XCHG, _isa.FXCHG) for text in code)
                assert not (exchanges and temporaries)


def test_parallel_moves_of_both_classes() -> None:
    registers = {r: r + 100 for r in [*range(4), *range(16, 20)]}
    moves = {0: 1, 1: 0, 16: 17, 17: 18, 18: 16}
    code: list[bytes] = []
    sequence(moves, code, 1 << 3)
    found = run_moves(code, registers)
    assert all(found[d] == registers[s] for d, s in moves.items())


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("I32_ADD 00 01", "register 1 is not defined"),
        ("FMOV 10", "register 17 is not defined"),
        ("I64_ADD_IMM 00 05", "is I, not L"),
        ("SLOT_LOAD 00 00", "slot is not defined"),
        ("MOV 08", "callee-saved register written"),
        ("I32_CONST 02 05 I32_DIV_S 01", "divisor in r0 or r1"),
        ("CALL 00", "register 1 is not defined"),
        ("BR 00", "does not poll"),
    ],
)
def test_check_rejects(code: str, why: str) -> None:
    """The model of the verifier finds what the allocator could do wrong."""
    text = b""
    for word in code.split():
        text += bytes((getattr(_isa, word),)) if hasattr(_isa, word) else bytes.fromhex(word)
    text += b"" if code.startswith("BR") else bytes((_isa.RET,))
    blocks = [bytes.fromhex("00000100")] if code.startswith("BR") else []
    body = emit.body("CALL" not in code, 0, (1, 0, 0, 0, 0), 0, blocks, text)
    with pytest.raises(CheckError, match=why):
        check_body(body, ((ir.I32,), ()), TYPES, [0])
