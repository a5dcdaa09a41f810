# SPDX-License-Identifier: GPL-2.0-only
"""LEB128 integers (WebAssembly 2.0, section 5.2.2), with the specification's limits.

Each reader takes the bytes and a position and returns (value, position after it).  Encodings may
be longer than needed but no longer than ceil(bits / 7) bytes, and unused bits of the last byte
must extend the number: otherwise DecodeError "integer representation too long" or "integer too
large".  Reading past the end of data raises IndexError, which the callers turn into a DecodeError.
Hot loops inline the single-byte case.
"""

from __future__ import annotations

from pywasmjit.errors import DecodeError


def read_u32(data: bytes, pos: int) -> tuple[int, int]:
    """Read an unsigned 32-bit integer."""
    byte = data[pos]
    if byte < 0x80:
        return byte, pos + 1
    start = pos
    value = byte & 0x7F
    shift = 7
    while True:
        pos += 1
        byte = data[pos]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            break
        shift += 7
        if shift > 28:
            raise DecodeError("integer representation too long", offset=start)
    if value > 0xFFFFFFFF:
        raise DecodeError("integer too large", offset=start)
    return value, pos + 1


def _read_signed(data: bytes, pos: int, bits: int) -> tuple[int, int]:
    start = pos
    value = 0
    shift = 0
    while True:
        byte = data[pos]
        pos += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            break
        if shift >= bits:
            raise DecodeError("integer representation too long", offset=start)
    if byte & 0x40:
        value -= 1 << shift
    if not -(1 << (bits - 1)) <= value < 1 << (bits - 1):
        raise DecodeError("integer too large", offset=start)
    return value, pos


def read_s32(data: bytes, pos: int) -> tuple[int, int]:
    """Read a signed 32-bit integer."""
    byte = data[pos]
    if byte < 0x40:
        return byte, pos + 1
    return _read_signed(data, pos, 32)


def read_s33(data: bytes, pos: int) -> tuple[int, int]:
    """Read a signed 33-bit integer: block types (5.4.1)."""
    return _read_signed(data, pos, 33)


def read_s64(data: bytes, pos: int) -> tuple[int, int]:
    """Read a signed 64-bit integer."""
    byte = data[pos]
    if byte < 0x40:
        return byte, pos + 1
    return _read_signed(data, pos, 64)
