# SPDX-License-Identifier: GPL-2.0-only
"""A quick scan of a function body for what the builder must know ahead: where constructs end.

One regular expression skips everything but control instructions and assignments to locals, so
the cost is a fraction of decoding.  The body must be valid.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

_LEB: Final = rb"[\x80-\xff]*[\x00-\x7f]"
_SKIPPED: Final = (
    rb"[\x20\x23-\x26\x41\x42\x0c\x0d\x10\xd2]%(L)s|[\x45-\xc4\x00\x01\x0f\x1a\x1b\xd1]|"
    rb"[\x28-\x3e\x11]%(L)s%(L)s|[\x3f\x40\xd0].|\xfc[\x00-\x07]|"
    rb"\xfc[\x08\x0a\x0c\x0e]%(L)s%(L)s|\xfc[\x09\x0b\x0d\x0f-\x11]%(L)s|"
    rb"\xfe[\x00-\x02\x10-\x4e]%(L)s%(L)s|\xfe\x03.|"
    rb"\x43.{4}|\x44.{8}|\x1c%(L)s."
)
# After what is skipped: an assignment (index in group 2), a control instruction, br_table, or
# a prefix whose second opcode is written with more bytes than needed.
_EVENT: Final = re.compile(
    (
        rb"(?:" + _SKIPPED + rb")*(?:([\x21\x22])(%(L)s)|([\x02-\x04])%(L)s|"
        rb"([\x05\x0b])|[\x0e\xfc\xfe])"
    )
    % {b"L": _LEB},
    re.DOTALL,
)


class Construct(NamedTuple):
    """A block, loop or if.

    end: position of its `end`; else_: of its `else`, or 0.
    assigned: bit i is set if local i is assigned inside.
    """

    end: int
    else_: int
    assigned: int


def _leb(data: bytes, pos: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[pos]
        pos += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, pos
        shift += 7


def _skip_uncommon(data: bytes, pos: int) -> int:
    """Position after the br_table or overlong prefixed instruction at `pos`."""
    opcode = data[pos]
    count, pos = _leb(data, pos + 1)
    if opcode == 0x0E:
        skip = count + 1
    elif opcode == 0xFE:
        skip = 1 if count == 3 else 2
    else:
        skip = 0 if count < 8 else 2 if count in (8, 10, 12, 14) else 1
    for _ in range(skip):
        while data[pos] >= 0x80:
            pos += 1
        pos += 1
    return pos


def scan(data: bytes, start: int, end: int) -> dict[int, Construct]:
    """Constructs of the body data[start:end] by the position of their opcode.

    The body itself is at start - 1.
    """
    found: dict[int, Construct] = {}
    opens = [start - 1]
    elses = [0]
    masks = [0]
    mask = 0
    bits: dict[bytes, int] = {}
    pos = start
    while pos < end:
        for match in _EVENT.finditer(data, pos, end):
            assign, index, opened, closed = match.groups()
            if assign is not None:
                bit = bits.get(index)
                if bit is None:
                    bit = bits[index] = 1 << _leb(index, 0)[0]
                mask |= bit
            elif opened is not None:
                opens.append(match.start(3))
                elses.append(0)
                masks.append(mask)
                mask = 0
            elif closed == b"\x0b":
                found[opens.pop()] = Construct(match.end() - 1, elses.pop(), mask)
                mask |= masks.pop()
            elif closed is not None:
                elses[-1] = match.end() - 1
            else:
                pos = _skip_uncommon(data, match.end() - 1)
                break
        else:
            break
    return found
