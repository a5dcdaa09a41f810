# SPDX-License-Identifier: GPL-2.0-only
"""Build small binary modules by hand, for tests."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

HEADER = b"\0asm\1\0\0\0"
EMPTY_TYPE = b"\x60\0\0"


def u32(value: int) -> bytes:
    """Unsigned LEB128, shortest form; also right for small non-negative signed numbers < 64."""
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def vec(items: Iterable[bytes]) -> bytes:
    """A vector: count, then the items."""
    parts = list(items)
    return u32(len(parts)) + b"".join(parts)


def name(text: str | bytes) -> bytes:
    """A name: its UTF-8 bytes with their count."""
    raw = text.encode() if isinstance(text, str) else text
    return u32(len(raw)) + raw


def section(number: int, contents: bytes) -> bytes:
    """A section with id and size."""
    return bytes([number]) + u32(len(contents)) + contents


def func_type(params: Sequence[int] = (), results: Sequence[int] = ()) -> bytes:
    """A function type."""
    return b"\x60" + u32(len(params)) + bytes(params) + u32(len(results)) + bytes(results)


def body(code: bytes, local_runs: Iterable[tuple[int, int]] = ()) -> bytes:
    """A code section entry; the final end is added."""
    runs = vec(u32(count) + bytes([value_type]) for count, value_type in local_runs)
    contents = runs + code + b"\x0b"
    return u32(len(contents)) + contents


def module(*sections: bytes) -> bytes:
    """A module of finished sections."""
    return HEADER + b"".join(sections)


def function_module(
    code: bytes,
    params: Sequence[int] = (),
    results: Sequence[int] = (),
    local_runs: Iterable[tuple[int, int]] = (),
) -> bytes:
    """A module around one function with these instructions, with something of everything.

    Type 0 is the function's, type 1 is () -> (), type 2 is (i32) -> (i32, i64).  Function 0 is
    imported with type 1, function 1 is the one given.  Table 0 funcref, table 1 externref; a
    memory; global 0 a mutable i64, global 1 an immutable i32; element segments 0 (funcref) and
    1 (externref); data segments 0 and 1; function 0 is exported.
    """
    return module(
        section(1, vec([func_type(params, results), EMPTY_TYPE, func_type([0x7F], [0x7F, 0x7E])])),
        section(2, vec([name("env") + name("host") + b"\0\1"])),
        section(3, vec([u32(0)])),
        section(4, vec([b"\x70\0\5", b"\x6f\0\5"])),
        section(5, vec([b"\0\1"])),
        section(6, vec([b"\x7e\1\x42\0\x0b", b"\x7f\0\x41\0\x0b"])),
        section(7, vec([name("host") + b"\0\0"])),
        section(9, vec([b"\1\0\1\0", b"\5\x6f\1\xd0\x6f\x0b"])),
        section(12, u32(2)),
        section(10, vec([body(code, local_runs)])),
        section(11, vec([b"\1\1a", b"\0\x41\3\x0b\2bc"])),
    )
