# SPDX-License-Identifier: GPL-2.0-only
"""A small assembler of images, on nothing but the instruction table, for tests.

It encodes what it is told, right or wrong.  A program is text, one instruction a line, its
operands in the order of the encoding (isa.def), separated by blanks::

        I32_CONST  r0 10
    loop: r0=i32 s0                  # a block, and what is defined at its start
        POLL
        I32_ADD_IMM  r0 r0 -1
        I32_BR_IF_IMM  r0 NE 0 loop
        RET

Registers are r0.., f0.., "-" is no base register.  ``.bytes 0xff 1 2`` are raw bytes.  In
the line of a block, ``!ints=1`` and likewise i64, ref, floats, f64, flags, delta (to the
block before) and ``!slots=ff`` (bitmap in hex) override what follows from the definitions.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from pywasmjit import _isa as isa

I32, I64, F32, F64, FUNCREF, EXTERNREF = range(6)
TYPES: Final = {"i": I32, "l": I64, "f": F32, "d": F64, "r": FUNCREF, "e": EXTERNREF}
FUNC, TABLE, MEMORY, GLOBAL = range(4)
SECTIONS: Final = (
    "types", "imports", "functions", "tables", "memories", "globals", "exports", "start",
    "elements", "data", "code", "names",
)  # fmt: skip

# The fields of each format, in the order of the encoding: "p|q" two registers or codes of
# four bits, "b" a byte, "s" and "u" LEB128, "4" and "8" bits, "blk" a block, "blks" n and
# n + 1 blocks.
FORMATS: Final[dict[str, tuple[str, ...]]] = {
    "N": (), "RR": ("p|q",), "RRR": ("p|q", "b"), "RRI": ("p|q", "s"),
    "LEA": ("p|q", "p|q", "s"), "CI": ("b", "s"), "C4": ("b", "4"), "C8": ("b", "8"),
    "XCH": ("p|q",), "DIV": ("b",), "SET": ("p|q", "p|q"), "SETI": ("p|q", "b", "s"),
    "SEL": ("p|q", "p|q", "p|q"), "SELI": ("p|q", "p|q", "b", "s"), "LD": ("p|q", "u"),
    "ST": ("p|q", "u"), "STI": ("b", "u", "s"), "ALD": ("p|q", "u"), "ARMW": ("p|q", "b", "u"),
    "ACAS": ("p|q", "u"), "SLD": ("b", "u"), "SST": ("b", "u"), "ARG": ("b", "u"),
    "OUT": ("b", "u"), "RLD": ("b", "u"), "RST": ("b", "u"), "GLD": ("b", "u"), "GST": ("b", "u"),
    "J": ("blk",), "JRR": ("p|q", "b", "blk"), "JRI": ("p|q", "s", "blk"), "JT": ("b", "blks"),
    "CALL": ("u",), "CALLI": ("u", "u"), "RT": ("b", "u", "u"), "TRAP": ("b",),
}  # fmt: skip

OPCODES: Final = {op.name: (index, op) for index, op in enumerate(isa.OPS)}


def unsigned(value: int, width: int = 0) -> bytes:
    """Unsigned LEB128, padded to ``width`` bytes."""
    out = bytearray()
    while True:
        byte = value & 0x7F
        value >>= 7
        if not value and len(out) + 1 >= width:
            return bytes([*out, byte])
        out.append(byte | 0x80)


def signed(value: int) -> bytes:
    out = bytearray()
    while True:
        byte = value & 0x7F
        value >>= 7
        if value == (-1 if byte & 0x40 else 0):
            return bytes([*out, byte])
        out.append(byte | 0x80)


def text(value: bytes | str) -> bytes:
    raw = value.encode() if isinstance(value, str) else value
    return unsigned(len(raw)) + raw


def vector(items: Iterable[bytes]) -> bytes:
    entries = list(items)
    return unsigned(len(entries)) + b"".join(entries)


def func_type(params: str, results: str = "") -> bytes:
    """A function type from letters: i i32, l i64, f f32, d f64, r funcref, e externref."""
    return text(bytes(TYPES[c] for c in params)) + text(bytes(TYPES[c] for c in results))


def limits(minimum: int, maximum: int | None = None) -> bytes:
    if maximum is None:
        return b"\0" + unsigned(minimum)
    return b"\1" + unsigned(minimum) + unsigned(maximum)


# Initialisers.
def integer(value: int) -> bytes:
    return b"\0" + signed(value)


def f32_bits(bits: int) -> bytes:
    return b"\1" + struct.pack("<I", bits)


def f64_bits(bits: int) -> bytes:
    return b"\2" + struct.pack("<Q", bits)


def global_value(index: int) -> bytes:
    return b"\3" + unsigned(index)


def ref_func(index: int) -> bytes:
    return b"\4" + unsigned(index)


NULL: Final = b"\5"


def global_entry(type_letter: str, mutable: bool, init: bytes = b"") -> bytes:
    """A global with its initial value; without one, the description of an import."""
    return bytes([TYPES[type_letter], mutable]) + init


def table_entry(type_letter: str, minimum: int, maximum: int | None = None) -> bytes:
    return bytes([TYPES[type_letter]]) + limits(minimum, maximum)


def import_entry(module: str, name: str, kind: int, description: bytes) -> bytes:
    return text(module) + text(name) + bytes([kind]) + description


def export_entry(name: str, kind: int, index: int) -> bytes:
    return text(name) + bytes([kind]) + unsigned(index)


def active_elements(table: int, offset: int, items: Iterable[bytes]) -> bytes:
    """A segment of functions that is written to a table when an instance is made."""
    return b"\0\4" + unsigned(table) + integer(offset) + vector(items)


def _number(word: str, op: isa.Op | None = None) -> int:
    """The value of an operand word."""
    if word == "-":
        return 15
    if word[0] in "rf" and word[1:].isdigit():
        return int(word[1:])
    floats = op is not None and op.a in "FD"
    for prefix in ("FCC" if floats else "CC", "RMW", "RT", "TRAP"):
        name = f"{prefix}_{word}"
        if hasattr(isa, name):
            value: int = getattr(isa, name)
            return value
    return int(word, 0)


@dataclass(frozen=True)
class Block:
    name: str
    offset: int
    words: tuple[str, ...]


_STATE_TYPES: Final = {"i32": "", "i64": "i64", "ref": "ref", "f32": "", "f64": "f64"}


def _block_entry(block: Block, previous: int) -> bytes:
    masks = {"ints": 0, "i64": 0, "ref": 0, "floats": 0, "f64": 0}
    bitmap = 0
    override: dict[str, str] = {}
    for word in block.words:
        if word.startswith("!"):
            key, _, value = word[1:].partition("=")
            override[key] = value
        elif word[0] == "s":
            bitmap |= 1 << int(word[1:])
        else:
            register, _, kind = word.partition("=")
            bit = 1 << int(register[1:])
            masks["ints" if register[0] == "r" else "floats"] |= bit
            if _STATE_TYPES[kind]:
                masks[_STATE_TYPES[kind]] |= bit
    for key in masks:
        masks[key] = int(override.get(key, str(masks[key])), 0)
    slots = bitmap.to_bytes((bitmap.bit_length() + 7) // 8, "little")
    slots = bytes.fromhex(override["slots"]) if "slots" in override else slots
    flags = bool(masks["i64"]) | bool(masks["ref"]) << 1
    flags |= bool(masks["floats"] or masks["f64"]) << 2 | bool(slots) << 3
    out = unsigned(int(override.get("delta", str(block.offset - previous)), 0))
    out += bytes([int(override.get("flags", str(flags)), 0)]) + struct.pack("<H", masks["ints"])
    if flags & 1:
        out += struct.pack("<H", masks["i64"])
    if flags & 2:
        out += struct.pack("<H", masks["ref"])
    if flags & 4:
        out += struct.pack("<HH", masks["floats"], masks["f64"])
    if flags & 8:
        out += text(slots)
    return out


def assemble(source: str) -> tuple[bytes, list[Block]]:
    """Instructions and blocks of a program."""
    lines = [line.split("#")[0].split() for line in source.splitlines()]
    names = [words[0][:-1] for words in lines if words and words[0].endswith(":")]
    numbers = {name: number for number, name in enumerate(names)}
    code = bytearray()
    blocks = []
    for words in lines:
        if not words:
            continue
        if words[0].endswith(":"):
            blocks.append(Block(words[0][:-1], len(code), tuple(words[1:])))
        elif words[0] == ".bytes":
            code += bytes(int(word, 0) for word in words[1:])
        else:
            code += encode(words, numbers)
    return bytes(code), blocks


def encode(words: Sequence[str], blocks: Mapping[str, int]) -> bytes:
    """One instruction.  A block is a name or ``@number``."""

    def block(word: str) -> bytes:
        return unsigned(int(word[1:]) if word[0] == "@" else blocks[word])

    opcode, op = OPCODES[words[0]]
    out = bytearray([opcode])
    operands = list(words[1:])
    for kind in FORMATS[op.format]:
        if kind == "p|q":
            low, high = _number(operands.pop(0), op), _number(operands.pop(0), op)
            out.append(low | high << 4)
        elif kind == "b":
            out.append(_number(operands.pop(0), op))
        elif kind == "s":
            out += signed(_number(operands.pop(0)))
        elif kind == "u":
            out += unsigned(_number(operands.pop(0)))
        elif kind in "48":
            out += _number(operands.pop(0)).to_bytes(int(kind), "little")
        elif kind == "blk":
            out += block(operands.pop(0))
        else:
            out += unsigned(len(operands) - 1) + b"".join(map(block, operands))
            operands.clear()
    if operands:
        raise ValueError(f"too many operands: {' '.join(words)}")
    return bytes(out)


@dataclass(frozen=True)
class Body:
    """A function's body.  ``raw`` replaces all of it."""

    source: str = "RET"
    leaf: bool = True
    saved: int = 0
    """Mask of callee-saved registers."""
    slots: tuple[int, int, int, int, int] = (0, 0, 0, 0, 0)
    outs: int = 0
    flags: int | None = None
    block_count: int | None = None
    raw: bytes | None = None

    def encode(self) -> bytes:
        if self.raw is not None:
            return text(self.raw)
        code, blocks = assemble(self.source)
        out = bytes([self.leaf if self.flags is None else self.flags, self.saved])
        out += b"".join(map(unsigned, self.slots)) + unsigned(self.outs)
        out += unsigned(len(blocks) if self.block_count is None else self.block_count)
        previous = 0
        for block in blocks:
            out += _block_entry(block, previous)
            previous = block.offset
        return text(out + code)


@dataclass(frozen=True)
class Image:
    """Entries of each section, encoded.  ``override`` replaces payloads by section name."""

    types: Sequence[bytes] = ()
    imports: Sequence[bytes] = ()
    functions: Sequence[tuple[int, Body]] = ()
    """(type index, body) of each defined function."""
    tables: Sequence[bytes] = ()
    memories: Sequence[bytes] = ()
    globals: Sequence[bytes] = ()
    exports: Sequence[bytes] = ()
    start: int | None = None
    elements: Sequence[bytes] = ()
    data: Sequence[bytes] = ()
    names: Sequence[bytes | str] | None = None
    override: Mapping[str, bytes] = field(default_factory=dict)
    isa_hash: int = isa.ISA_HASH

    def payloads(self) -> dict[str, bytes]:
        """Payload by section name; empty sections are left out."""
        found: dict[str, bytes] = {}
        for name in SECTIONS:
            entries = getattr(self, name, None)
            if entries and name not in ("functions", "start", "names"):
                found[name] = vector(entries)
        if self.functions:
            found["functions"] = vector(unsigned(index) for index, _ in self.functions)
            found["code"] = b"".join(body.encode() for _, body in self.functions)
        if self.start is not None:
            found["start"] = unsigned(self.start)
        if self.names is not None:
            found["names"] = vector(map(text, self.names))
        found.update(self.override)
        return found

    def build(self) -> bytes:
        payloads = self.payloads()
        present = [name for name in SECTIONS if name in payloads]
        offset = 64 + 12 * len(present)
        table = b""
        content = b""
        for name in present:
            payload = payloads[name]
            number = SECTIONS.index(name) + 1
            table += struct.pack("<III", number, offset + len(content), len(payload))
            content += payload
        size = offset + len(content)
        header = b"\0wjimg\0\1" + struct.pack("<QII", self.isa_hash, size, len(present))
        return header + bytes(32) + bytes(8) + table + content


def program(source: str, params: str = "", results: str = "", **options: Any) -> Image:
    """An image with a memory of one page and one exported function "f"."""
    body = replace(Body(source), **options)
    return Image(
        types=[func_type(params, results)],
        functions=[(0, body)],
        memories=[limits(1)],
        exports=[export_entry("f", FUNC, 0)],
    )
