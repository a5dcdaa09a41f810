# SPDX-License-Identifier: GPL-2.0-only
"""Walk and print the instructions of a function body or constant expression.

For objdump and error paths; nothing here needs the module to be valid, only well formed.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from pywasmjit.errors import DecodeError, UnsupportedError
from pywasmjit.wasm.leb128 import read_s32, read_s33, read_s64, read_u32
from pywasmjit.wasm.opcodes import (
    BLOCK,
    BY_CODE,
    ELSE,
    EMPTY_BLOCK,
    END,
    EXTERNREF,
    F32,
    F64,
    FUNCREF,
    I32,
    I64,
    IF,
    LOOP,
    PREFIX_ATOMIC,
    PREFIX_FC,
    PREFIX_SIMD,
    V128,
    VALUE_TYPE_NAMES,
    Imm,
)

if TYPE_CHECKING:
    from pywasmjit.wasm.module import Module

SIMD_UNSUPPORTED = "SIMD (128-bit vector) instructions are not supported: build without -msimd128"

_VALUE_TYPES = frozenset({I32, I64, F32, F64, FUNCREF, EXTERNREF})


class Instruction(NamedTuple):
    """offset of the opcode, code as in opcodes.OPCODES, name, immediates in encoding order.

    Immediates are ints: indices, alignment exponent and offset, constants (floats as their bits),
    a block type as its signed number (a type index, or -64 for none, -1 for i32 and so on); the
    reserved zero bytes of memory instructions are left out.
    """

    offset: int
    opcode: int
    name: str
    immediates: tuple[int, ...]


def _zero(data: bytes, pos: int) -> int:
    if data[pos] != 0:
        raise DecodeError(f"zero byte expected, found 0x{data[pos]:02x}", offset=pos)
    return pos + 1


def read_value_type(data: bytes, pos: int) -> int:
    """The value type at data[pos] (5.3.4); DecodeError, or UnsupportedError for v128."""
    byte = data[pos]
    if byte in _VALUE_TYPES:
        return byte
    if byte == V128:
        raise UnsupportedError(SIMD_UNSUPPORTED, offset=pos)
    raise DecodeError(f"malformed value type 0x{byte:02x}", offset=pos)


def read_ref_type(data: bytes, pos: int) -> int:
    """The reference type at data[pos] (5.3.3)."""
    byte = data[pos]
    if byte != FUNCREF and byte != EXTERNREF:
        raise DecodeError(f"malformed reference type 0x{byte:02x}", offset=pos)
    return byte


def read_opcode(data: bytes, pos: int) -> tuple[int, int]:
    """Read an opcode with its prefix: (code as in opcodes.OPCODES, position after it)."""
    code = data[pos]
    start = pos
    pos += 1
    if code in (PREFIX_FC, PREFIX_ATOMIC, PREFIX_SIMD):
        sub, pos = read_u32(data, pos)
        if code == PREFIX_SIMD:
            raise UnsupportedError(SIMD_UNSUPPORTED, offset=start)
        if sub > 0xFF:
            raise DecodeError(f"illegal opcode 0x{code:02x} {sub}", offset=start)
        code = code << 8 | sub
    return code, pos


def instructions(data: bytes, start: int, end: int) -> Iterator[Instruction]:
    """Iterate the instructions in data[start:end].

    Raises DecodeError for bytes that are no instruction or that end in the middle of one,
    UnsupportedError for SIMD.
    """
    pos = start
    try:
        while pos < end:
            instruction, pos = _read_instruction(data, pos)
            if pos > end:
                raise IndexError
            yield instruction
    except IndexError:
        raise DecodeError("unexpected end of section or function", offset=pos) from None


def skip_expression(data: bytes, pos: int) -> int:
    """Position after the `end` that closes the expression starting at pos (5.4.9)."""
    depth = 0
    while True:
        instruction, pos = _read_instruction(data, pos)
        code = instruction.opcode
        if code in (BLOCK, LOOP, IF):
            depth += 1
        elif code == END:
            if depth == 0:
                return pos
            depth -= 1


def check_syntax(data: bytes, start: int, end: int) -> None:
    """DecodeError or UnsupportedError if data[start:end] is not one well-formed expression."""
    frames: list[int] = []
    for instruction in instructions(data, start, end):
        code = instruction.opcode
        if code in (BLOCK, LOOP, IF):
            frames.append(code)
        elif code == ELSE:
            if not frames or frames[-1] != IF:
                raise DecodeError("else without if", offset=instruction.offset)
            frames[-1] = ELSE
        elif code == END:
            if frames:
                frames.pop()
            elif instruction.offset != end - 1:
                raise DecodeError(
                    "section size mismatch: bytes after the final end", offset=instruction.offset
                )
            else:
                return
    raise DecodeError("unexpected end of section or function: END opcode expected", offset=end)


def _read_instruction(data: bytes, pos: int) -> tuple[Instruction, int]:
    start = pos
    code, pos = read_opcode(data, pos)
    row = BY_CODE.get(code)
    if row is None:
        shown = f"0x{code:02x}" if code < 0x100 else f"0x{code >> 8:02x} 0x{code & 0xFF:02x}"
        raise DecodeError(f"illegal opcode {shown}", offset=start)
    immediates: tuple[int, ...] = ()
    match row.imm:
        case Imm.NONE:
            pass
        case Imm.LOCAL | Imm.LABEL | Imm.FUNC | Imm.GLOBAL | Imm.TABLE | Imm.DATA | Imm.ELEM:
            first, pos = read_u32(data, pos)
            immediates = (first,)
        case Imm.MEMARG | Imm.TYPE_TABLE | Imm.ELEM_TABLE | Imm.TABLE_TABLE:
            first, pos = read_u32(data, pos)
            second, pos = read_u32(data, pos)
            immediates = (first, second)
        case Imm.I32:
            first, pos = read_s32(data, pos)
            immediates = (first,)
        case Imm.I64:
            first, pos = read_s64(data, pos)
            immediates = (first,)
        case Imm.F32:
            data[pos + 3]
            immediates = (int.from_bytes(data[pos : pos + 4], "little"),)
            pos += 4
        case Imm.F64:
            data[pos + 7]
            immediates = (int.from_bytes(data[pos : pos + 8], "little"),)
            pos += 8
        case Imm.BLOCK:
            block_type, after = read_block_type(data, pos)
            immediates = (block_type,)
            pos = after
        case Imm.LABELS:
            count, pos = read_u32(data, pos)
            if count > len(data) - pos:
                raise IndexError
            labels = []
            for _ in range(count + 1):
                first, pos = read_u32(data, pos)
                labels.append(first)
            immediates = tuple(labels)
        case Imm.TYPES:
            count, pos = read_u32(data, pos)
            if count > len(data) - pos:
                raise IndexError
            immediates = tuple(read_value_type(data, pos + i) for i in range(count))
            pos += count
        case Imm.REFTYPE:
            immediates = (read_ref_type(data, pos),)
            pos += 1
        case Imm.MEMORY | Imm.FENCE:
            pos = _zero(data, pos)
        case Imm.DATA_MEMORY:
            first, pos = read_u32(data, pos)
            immediates = (first,)
            pos = _zero(data, pos)
        case Imm.MEMORY_MEMORY:
            pos = _zero(data, _zero(data, pos))
    return Instruction(start, code, row.name, immediates), pos


def read_block_type(data: bytes, pos: int) -> tuple[int, int]:
    """Read a block type (5.4.1): (type index >= 0, or value type - 0x80, or -64 for none; pos)."""
    number, after = read_s33(data, pos)
    if number < 0 and (after != pos + 1 or data[pos] != EMPTY_BLOCK):
        if after != pos + 1:
            raise DecodeError("malformed block type", offset=pos)
        read_value_type(data, pos)
    return number, after


def _block_type_text(number: int) -> str:
    if number >= 0:
        return f" (type {number})"
    if number == EMPTY_BLOCK - 0x80:
        return ""
    return f" (result {VALUE_TYPE_NAMES[number + 0x80]})"


def format_float(bits: int, size: int) -> str:
    """A float constant of 4 or 8 bytes, given by its bits, in the text format."""
    mantissa_bits = 23 if size == 4 else 52
    exponent_mask = 0xFF if size == 4 else 0x7FF
    sign = "-" if bits >> (size * 8 - 1) else ""
    mantissa = bits & ((1 << mantissa_bits) - 1)
    if bits >> mantissa_bits & exponent_mask == exponent_mask:
        if mantissa == 0:
            return f"{sign}inf"
        if mantissa == 1 << (mantissa_bits - 1):
            return f"{sign}nan"
        return f"{sign}nan:0x{mantissa:x}"
    value: float = struct.unpack("<f" if size == 4 else "<d", bits.to_bytes(size, "little"))[0]
    return repr(value)


def format_instruction(instruction: Instruction, module: Module | None = None) -> str:
    """Text format of one instruction; with a module, calls show the function's name."""
    row = BY_CODE[instruction.opcode]
    imm = instruction.immediates
    name = row.name
    match row.imm:
        case Imm.MEMARG:
            align, offset = imm
            text = name if offset == 0 else f"{name} offset={offset}"
            return text if align == row.align else f"{text} align={1 << align}"
        case Imm.F32:
            return f"{name} {format_float(imm[0], 4)}"
        case Imm.F64:
            return f"{name} {format_float(imm[0], 8)}"
        case Imm.BLOCK:
            return name + _block_type_text(imm[0])
        case Imm.TYPES:
            return f"{name} (result {' '.join(VALUE_TYPE_NAMES[t] for t in imm)})"
        case Imm.REFTYPE:
            return f"{name} {'func' if imm[0] == FUNCREF else 'extern'}"
        case Imm.TYPE_TABLE:
            table = f" {imm[1]}" if imm[1] else ""
            return f"{name}{table} (type {imm[0]})"
        case Imm.ELEM_TABLE:
            return f"{name} {imm[1]} {imm[0]}"  # text format: table first
        case Imm.FUNC if module is not None and imm[0] < len(module.func_type_indices):
            return f"{name} {imm[0]} <{module.function_name(imm[0])}>"
        case _:
            return " ".join([name, *map(str, imm)])
