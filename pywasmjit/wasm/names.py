# SPDX-License-Identifier: GPL-2.0-only
"""The name section (WebAssembly core specification 2.0, appendix 7.4.1).

It is for people only, so a malformed one is never an error: what could be read before the damage
is kept, and bytes that are not UTF-8 are shown as replacement characters.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from pywasmjit.errors import DecodeError
from pywasmjit.wasm.leb128 import read_u32

_MODULE = 0
_FUNCTIONS = 1
_LOCALS = 2


class Names(NamedTuple):
    """module name or None; function index to name; function index to {local index: name}."""

    module: str | None
    functions: Mapping[int, str]
    locals: Mapping[int, Mapping[int, str]]


class _Damaged(Exception):
    """The section ends early or a number in it is malformed."""


def _u32(data: bytes, pos: int, end: int) -> tuple[int, int]:
    try:
        value, pos = read_u32(data, pos)
    except (DecodeError, IndexError):
        raise _Damaged from None
    if pos > end:
        raise _Damaged
    return value, pos


def _name(data: bytes, pos: int, end: int) -> tuple[str, int]:
    size, pos = _u32(data, pos, end)
    if size > end - pos:
        raise _Damaged
    return data[pos : pos + size].decode("utf-8", "replace"), pos + size


def _name_map(data: bytes, pos: int, end: int, names: dict[int, str]) -> int:
    count, pos = _u32(data, pos, end)
    for _ in range(count):
        index, pos = _u32(data, pos, end)
        names[index], pos = _name(data, pos, end)
    return pos


def parse_name_section(data: bytes, start: int, end: int) -> Names:
    """Read the contents of a custom section called "name", data[start:end]."""
    module: str | None = None
    functions: dict[int, str] = {}
    local_names: dict[int, dict[int, str]] = {}
    pos = start
    try:
        while pos < end:
            kind = data[pos]
            size, pos = _u32(data, pos + 1, end)
            stop = pos + size
            if stop > end:
                raise _Damaged
            if kind == _MODULE:
                module, _ = _name(data, pos, stop)
            elif kind == _FUNCTIONS:
                _name_map(data, pos, stop, functions)
            elif kind == _LOCALS:
                count, pos = _u32(data, pos, stop)
                for _ in range(count):
                    index, pos = _u32(data, pos, stop)
                    pos = _name_map(data, pos, stop, local_names.setdefault(index, {}))
            pos = stop
    except _Damaged:
        pass
    return Names(module, functions, local_names)
