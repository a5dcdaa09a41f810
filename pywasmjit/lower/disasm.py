# SPDX-License-Identifier: GPL-2.0-only
"""A body's bytes to text, derived from the instruction table; for objdump and tests.

One line per instruction.  Registers are r0-r11 and f0-f13, blocks b0, b1, ... are those of the
block table and each stands before its first instruction with its entry state:

    b0: r1 i64:r2 f0 f64:f3 slots 0 2
        POLL
        I32_ADD_IMM r1, r1, 4
        I32_BR_IF_IMM r1 LT_U 100 -> b0
"""

from __future__ import annotations

from dataclasses import dataclass, field

from pywasmjit import _isa
from pywasmjit._isa import OPS, RT
from pywasmjit.lower.emit import BLOCK_FLOAT, BLOCK_I64, BLOCK_REF, BLOCK_SLOTS

_ICC = {value: name[3:] for name, value in vars(_isa).items() if name.startswith("CC_")}
_FCC = {value: name[4:] for name, value in vars(_isa).items() if name.startswith("FCC_")}
_RMW = {value: name[4:] for name, value in vars(_isa).items() if name.startswith("RMW_")}


@dataclass(slots=True)
class BlockEntry:
    """One line of a body's block table, decoded; masks as in image.h."""

    offset: int
    ints: int
    i64s: int = 0
    refs: int = 0
    floats: int = 0
    doubles: int = 0
    slots: int = 0


@dataclass(slots=True)
class Instruction:
    """A decoded instruction.

    d, a, b, x, y are register numbers as encoded (-1: not there); imm the immediates in the
    order of the format's description; for branches imm ends with the block indices.
    """

    offset: int
    op: int
    d: int = -1
    a: int = -1
    b: int = -1
    x: int = -1
    y: int = -1
    imm: tuple[int, ...] = ()


@dataclass(slots=True)
class Body:
    """A decoded body."""

    leaf: bool
    callee_saved: int
    slots: tuple[int, ...]
    outs: int
    blocks: list[BlockEntry] = field(default_factory=list)
    code: list[Instruction] = field(default_factory=list)
    size: int = 0  # of the code in bytes


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.pos = 0

    def u8(self) -> int:
        self.pos += 1
        return self.data[self.pos - 1]

    def le(self, size: int) -> int:
        self.pos += size
        return int.from_bytes(self.data[self.pos - size : self.pos], "little")

    def u32(self) -> int:
        result = shift = 0
        while True:
            byte = self.u8()
            result |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return result

    def s64(self) -> int:
        result = shift = 0
        while True:
            byte = self.u8()
            result |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return result - (1 << shift) if byte & 64 else result


def _instruction(read: _Reader, base: int) -> Instruction:
    i = Instruction(read.pos - base, read.u8())
    match OPS[i.op].format:
        case "N":
            pass
        case "RR":
            i.d, i.a = _pair(read)
        case "RRR":
            i.d, i.a = _pair(read)
            i.b = read.u8()
        case "RRI":
            i.d, i.a = _pair(read)
            i.imm = (read.s64(),)
        case "LEA":
            i.d, i.a = _pair(read)
            i.b, scale = _pair(read)
            i.imm = (scale, read.s64())
        case "CI":
            i.d = read.u8()
            i.imm = (read.s64(),)
        case "C4":
            i.d = read.u8()
            i.imm = (read.le(4),)
        case "C8":
            i.d = read.u8()
            i.imm = (read.le(8),)
        case "XCH":
            i.a, i.b = _pair(read)
        case "DIV":
            i.b = read.u8()
        case "SET":
            i.d, i.a = _pair(read)
            i.b, cc = _pair(read)
            i.imm = (cc,)
        case "SETI":
            i.d, i.a = _pair(read)
            i.imm = (read.u8(), read.s64())
        case "SEL":
            i.d, i.a = _pair(read)
            i.b, cc = _pair(read)
            i.x, i.y = _pair(read)
            i.imm = (cc,)
        case "SELI":
            i.d, i.a = _pair(read)
            i.b, cc = _pair(read)
            i.x = read.u8()
            i.imm = (cc, read.s64())
        case "LD" | "ALD":
            i.d, i.b = _pair(read)
            i.imm = (read.u32(),)
        case "ST":
            i.a, i.b = _pair(read)
            i.imm = (read.u32(),)
        case "STI":
            i.b = read.u8()
            i.imm = (read.u32(), read.s64())
        case "ARMW":
            i.a, i.b = _pair(read)
            i.imm = (read.u8(), read.u32())
        case "ACAS":
            i.a, i.b = _pair(read)
            i.imm = (read.u32(),)
        case "SLD" | "ARG" | "RLD" | "GLD":
            i.d = read.u8()
            i.imm = (read.u32(),)
        case "SST" | "OUT" | "RST" | "GST":
            i.a = read.u8()
            i.imm = (read.u32(),)
        case "J":
            i.imm = (read.u32(),)
        case "JRR":
            i.a, i.b = _pair(read)
            i.imm = (read.u8(), read.u32())
        case "JRI":
            i.a, cc = _pair(read)
            i.imm = (cc, read.s64(), read.u32())
        case "JT":
            i.a = read.u8()
            i.imm = tuple(read.u32() for _ in range(read.u32() + 1))
        case "CALL":
            i.imm = (read.u32(),)
        case "CALLI":
            i.imm = (read.u32(), read.u32())
        case "RT":
            i.imm = (read.u8(), read.u32(), read.u32())
        case "TRAP":
            i.imm = (read.u8(),)
        case other:
            raise ValueError(f"no decoder for format {other}")
    return i


def _pair(read: _Reader) -> tuple[int, int]:
    byte = read.u8()
    return byte & 15, byte >> 4


def decode(body: bytes) -> Body:
    """A body without its size field; IndexError or ValueError if it is cut short."""
    read = _Reader(body)
    flags, saved = read.u8(), read.u8()
    result = Body(bool(flags & 1), saved, tuple(read.u32() for _ in range(5)), read.u32())
    offset = 0
    for _ in range(read.u32()):
        offset += read.u32()
        have = read.u8()
        entry = BlockEntry(offset, read.le(2))
        if have & BLOCK_I64:
            entry.i64s = read.le(2)
        if have & BLOCK_REF:
            entry.refs = read.le(2)
        if have & BLOCK_FLOAT:
            entry.floats = read.le(2)
            entry.doubles = read.le(2)
        if have & BLOCK_SLOTS:
            entry.slots = read.le(read.u32())
        result.blocks.append(entry)
    base = read.pos
    while read.pos < len(body):
        result.code.append(_instruction(read, base))
    result.size = len(body) - base
    return result


def instruction_text(i: Instruction) -> str:
    """One instruction as text."""
    op = OPS[i.op]
    form = op.format

    def reg(letter: str, number: int) -> str:
        return f"{'f' if letter in 'FDG' else 'r'}{number}"

    def address(offset: int) -> str:
        return f"[{offset}]" if i.b == 15 else f"[r{i.b}+{offset}]" if offset else f"[r{i.b}]"

    cc = _FCC if op.a in "FD" else _ICC
    d, a, b = (reg(op.d, i.d), reg(op.a, i.a), reg(op.b, i.b))
    k = i.imm
    match form:
        case "N":
            rest = ""
        case "RR":
            rest = f"{d}, {a}"
        case "RRR":
            rest = f"{d}, {a}, {b}"
        case "RRI":
            rest = f"{d}, {a}, {k[0]}"
        case "LEA":
            rest = f"{d}, {a} + ({b} << {k[0]}) + {k[1]}"
        case "CI" | "SLD" | "ARG" | "RLD" | "GLD":
            rest = f"{d}, {k[0]}"
        case "C4" | "C8":
            rest = f"{d}, 0x{k[0]:x}"
        case "SST" | "OUT" | "RST" | "GST":
            rest = f"{a}, {k[0]}"
        case "XCH":
            rest = f"{a}, {b}"
        case "DIV":
            rest = b
        case "SET":
            rest = f"{d}, {a} {cc[k[0]]} {b}"
        case "SETI":
            rest = f"{d}, {a} {cc[k[0]]} {k[1]}"
        case "SEL":
            rest = f"{d}, r{i.x} {_ICC[k[0]]} r{i.y} ? {a} : {b}"
        case "SELI":
            rest = f"{d}, r{i.x} {_ICC[k[0]]} {k[1]} ? {a} : {b}"
        case "LD" | "ALD":
            rest = f"{d}, {address(k[0])}"
        case "ST":
            rest = f"{a}, {address(k[0])}"
        case "STI":
            rest = f"{k[1]}, {address(k[0])}"
        case "ARMW":
            rest = f"{_RMW[k[0]]} {a}, {address(k[1])}"
        case "ACAS":
            rest = f"{a}, {address(k[0])}"
        case "J":
            rest = f"b{k[0]}"
        case "JRR":
            rest = f"{a} {cc[k[0]]} {b} -> b{k[1]}"
        case "JRI":
            rest = f"{a} {cc[k[0]]} {k[1]} -> b{k[2]}"
        case "JT":
            rest = f"{a} -> " + ", ".join(f"b{t}" for t in k)
        case "CALL":
            rest = f"func {k[0]}"
        case "CALLI":
            rest = f"type {k[0]} table {k[1]}"
        case "RT":
            rest = f"{RT[k[0]][0]} {k[1]} {k[2]}"
        case "TRAP":
            rest = _isa.TRAPS[k[0]][0]
        case other:
            raise ValueError(f"no text for format {other}")
    return f"{op.name} {rest}".rstrip()


def _entry_text(index: int, entry: BlockEntry) -> str:
    parts = [f"b{index}:"]
    for r in range(16):
        if entry.ints >> r & 1:
            kind = "i64:" if entry.i64s >> r & 1 else "ref:" if entry.refs >> r & 1 else ""
            parts.append(f"{kind}r{r}")
    for r in range(16):
        if entry.floats >> r & 1:
            parts.append(f"{'f64:' if entry.doubles >> r & 1 else ''}f{r}")
    if entry.slots:
        parts.append("slots")
        parts += [str(s) for s in range(entry.slots.bit_length()) if entry.slots >> s & 1]
    return " ".join(parts)


def disassemble(body: bytes) -> str:
    """A body without its size field as text."""
    decoded = decode(body)
    notes = ["leaf"] if decoded.leaf else []
    notes += [f"r{8 + i}" for i in range(8) if decoded.callee_saved >> i & 1]
    names = ("i32", "i64", "f32", "f64", "ref")
    notes += [f"{count} {name}" for count, name in zip(decoded.slots, names, strict=True) if count]
    if decoded.outs:
        notes.append(f"{decoded.outs} out")
    lines = [f"; {', '.join(notes)}"] if notes else []
    starts = {entry.offset: i for i, entry in enumerate(decoded.blocks)}
    for i in decoded.code:
        if i.offset in starts:
            index = starts[i.offset]
            lines.append(_entry_text(index, decoded.blocks[index]))
        lines.append("    " + instruction_text(i))
    return "\n".join(lines) + "\n"
