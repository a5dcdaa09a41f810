# SPDX-License-Identifier: GPL-2.0-only
"""Values at the edges of what instructions do, as bit patterns by type letter."""

from __future__ import annotations

import struct
from typing import Final


def f32(value: float) -> int:
    bits: int = struct.unpack("<I", struct.pack("<f", value))[0]
    return bits


def f64(value: float) -> int:
    bits: int = struct.unpack("<Q", struct.pack("<d", value))[0]
    return bits


_I32 = (
    0, 1, 2, 7, 31, 32, 33, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0x8000, 0xFFFF, 0x12345678,
    0x7FFFFFFF, 0x80000000, 0x80000001, 0xDEADBEEF, 0xFFFFFFF9, 0xFFFFFFFF,
)  # fmt: skip
_I64 = (
    0, 1, 3, 31, 32, 63, 64, 65, 0x80, 0xFF, 0x8000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 1 << 32,
    0x123456789ABCDEF0, 0x7FFFFFFFFFFFFFFF, 1 << 63, (1 << 63) + 1, (1 << 64) - 1, (1 << 64) - 7,
    0xFFFFFFFF80000000, 0x7FFFFFFFFFFFFBFF, 0x7FFFFFFFFFFFFE00, 0xFFFFFFFFFFFFFC00,
    0x8000000000000401, 0x8000008000000001,
)  # fmt: skip
_NUMBERS = (
    0.0, 0.5, 0.999999, 1.0, 1.5, 2.5, 3.0, 1e10, 1e-40, 2147483520.0, 2147483647.0, 2147483648.0,
    2147483649.0, 4294967040.0, 4294967295.0, 4294967296.0, 9.223371487098962e18, 9223372036854774784.0,
    9.223372036854775807e18, 1.8446742974197924e19, 18446744073709549568.0, 1.8446744073709552e19,
    8388607.5, 4503599627370495.5, 1e38, float("inf"),
)  # fmt: skip
_F32 = tuple(f32(sign * x) for x in _NUMBERS for sign in (1, -1)) + (
    0x7FC00000, 0xFFC00000, 0x7FC12345, 0x7FA00000, 0xFF800001, 1, 0x80000001, 0x00800000, 0x7F7FFFFF,
)  # fmt: skip
_F64 = tuple(f64(sign * x) for x in _NUMBERS for sign in (1, -1)) + (
    0x7FF8000000000000, 0xFFF8000000000000, 0x7FF8000000012345, 0x7FF4000000000000, 0xFFF0000000000001,
    1, 0x8000000000000001, 0x7FEFFFFFFFFFFFFF, f64(-2147483648.9), f64(-2147483649.0), f64(2147483647.9),
    f64(4294967295.9), f64(-0.999999999), f64(1e300),
)  # fmt: skip

VALUES: Final[dict[str, tuple[int, ...]]] = {"I": _I32, "L": _I64, "F": _F32, "D": _F64}

#: s32 immediates; those of i64 operations as well.
IMMEDIATES: Final = (0, 1, 2, -1, -2, 3, 127, 128, -128, -129, 255, 256, 0x7FFF, -0x8001, 0xFFFF, 0x10000,
                     0x12345678, 0x7FFFFFFF, -0x80000000)  # fmt: skip


def is_nan(letter: str, bits: int) -> bool:
    if letter == "F":
        return bits & 0x7FFFFFFF > 0x7F800000
    return letter == "D" and bits & 0x7FFFFFFFFFFFFFFF > 0x7FF0000000000000


def is_quiet(letter: str, bits: int) -> bool:
    return bool(bits >> (22 if letter == "F" else 51) & 1)
