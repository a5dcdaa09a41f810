# SPDX-License-Identifier: GPL-2.0-only
"""Encoding of instructions and body headers, byte for byte as isa.def and image.h say.

The allocator encodes each instruction once its registers are known, so everything here is
small and table driven.  Registers are numbered 0-11 (integer) and 16-29 (float) in the
allocator; the low four bits are what the encoding holds.
"""

from __future__ import annotations

from typing import Final

from pywasmjit._isa import OPS

# Formats as small ints, for dispatch; the order is that of FORMATS.
FORMATS: Final = (
    "N", "RR", "RRR", "RRI", "LEA", "CI", "C4", "C8", "XCH", "DIV", "SET", "SETI", "SEL", "SELI",
    "LD", "ST", "STI", "ALD", "ARMW", "ACAS", "SLD", "SST", "ARG", "OUT", "RLD", "RST", "GLD",
    "GST", "J", "JRR", "JRI", "JT", "CALL", "CALLI", "RT", "TRAP",
)  # fmt: skip
(
    N, RR, RRR, RRI, LEA, CI, C4, C8, XCH, DIV, SET, SETI, SEL, SELI,
    LD, ST, STI, ALD, ARMW, ACAS, SLD, SST, ARG, OUT, RLD, RST, GLD,
    GST, J, JRR, JRI, JT, CALL, CALLI, RT, TRAP,
) = range(36)  # fmt: skip
PARAM_FORMAT: Final = 36
PHI_FORMAT: Final = 37

FORMAT: Final[list[int]] = [
    *(FORMATS.index(op.format) for op in OPS),
    *[0] * (256 - len(OPS)),
    PARAM_FORMAT,
    PHI_FORMAT,
]

COMMUTES: Final[list[bool]] = ["K" in op.flags for op in OPS]

NO_BASE: Final = 15

BLOCK_I64, BLOCK_REF, BLOCK_FLOAT, BLOCK_SLOTS = 1, 2, 4, 8


def uleb(value: int) -> bytes:
    """LEB128, unsigned."""
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def sleb(value: int) -> bytes:
    """LEB128, signed."""
    out = bytearray()
    while not -64 <= value < 64:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value & 127)
    return bytes(out)


class _Unsigned(dict[int, bytes]):
    def __missing__(self, value: int) -> bytes:
        self[value] = text = uleb(value)
        return text


class _Signed(dict[int, bytes]):
    def __missing__(self, value: int) -> bytes:
        self[value] = text = sleb(value)
        return text


ULEB: Final[dict[int, bytes]] = _Unsigned()
SLEB: Final[dict[int, bytes]] = _Signed()


def constant(op: int, imm: tuple[int, ...]) -> bytes:
    """What follows the register byte of CI, C4 and C8."""
    form = FORMAT[op]
    if form == C4:
        return imm[0].to_bytes(4, "little")
    if form == C8:
        return imm[0].to_bytes(8, "little")
    return SLEB[imm[0]] if imm else b"\0"


def block_entry(delta: int, ints: int, i64s: int, refs: int, floats: int, doubles: int, slots: int) -> bytes:
    """One line of the block table: masks of defined registers, bitmap of defined slots."""
    flags = BLOCK_I64 if i64s else 0
    if refs:
        flags |= BLOCK_REF
    if floats:
        flags |= BLOCK_FLOAT
    if slots:
        flags |= BLOCK_SLOTS
    out = ULEB[delta] + bytes((flags, ints & 255, ints >> 8))
    if i64s:
        out += i64s.to_bytes(2, "little")
    if refs:
        out += refs.to_bytes(2, "little")
    if floats:
        out += bytes((floats & 255, floats >> 8, doubles & 255, doubles >> 8))
    if slots:
        bitmap = slots.to_bytes((slots.bit_length() + 7) // 8, "little")
        out += ULEB[len(bitmap)] + bitmap
    return out


def body(
    leaf: bool, callee_saved: int, slots: tuple[int, ...], outs: int, blocks: list[bytes], code: bytes
) -> bytes:
    """A body without its size field; slots counts i32, i64, f32, f64 and ref ones."""
    parts = [bytes((1 if leaf else 0, callee_saved))]
    parts += [ULEB[count] for count in slots]
    parts += [ULEB[outs], ULEB[len(blocks)], *blocks, code]
    return b"".join(parts)
