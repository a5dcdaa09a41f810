# SPDX-License-Identifier: GPL-2.0-only
"""JIT = interpreter for loads, stores and atomics: offsets, edges of memory, faults, registers."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from functools import cache

import pytest

from pywasmjit import _isa as isa
from tests.encode.engines import Engines
from tests.encode.values import VALUES
from tests.verify.assemble import FUNC, Body, Image, export_entry, func_type, limits

FORMATS = ("LD", "ST", "STI", "ALD", "ARMW", "ACAS")
PAGES = 3  # so that offsets beyond 16 bits, which are blinded, reach into it
END = PAGES * 65536
ALL_PAGES = 65536
SPAN = 4096  # what is compared of a large memory: all around an access
OFFSETS = (0, 1, 2, 3, 4, 8, 127, 128, 255, 256, 32767, 65528, 65535, 65536, 0x12340, 0x2FFF8, 0x12345678,
           0x7FFFFFFF, 0x80000000, 0xFFFF0000, 0xFFFFFFF8, 0xFFFFFFFF)  # fmt: skip
LETTERS = {"I": "i", "L": "l", "F": "f", "D": "d"}
#: Bases worth a try for any offset, and those that put offset + base at the edges.
BASES = (0, 1, 4, 8, 16, 0x7FFFFFF8, 0x80000000, 0xFFFFFFF0, 0xFFFFFFFF)


def value_type(op: isa.Op) -> str:
    return "I" if op.a == "W" or op.format == "STI" else op.d if op.format in ("LD", "ALD") else op.a


def functions(op: isa.Op) -> Iterator[tuple[str, Body, int | None]]:
    """(parameter letters, body, offset or None without base) of one access each."""
    rng = random.Random(op.name)
    letter = value_type(op)
    floats = letter in "FD"
    load = "F" if floats else ""
    for offset in OFFSETS:
        if op.format != "LD" and op.format[0] == "A" and offset >> 31:
            continue
        if op.format == "ST" and "M" in op.flags and offset >> 31:
            continue
        for base in ("-", *(f"r{r}" for r in rng.sample((0, 1, 2, 3, 4, 7, 8, 9, 10, 11), 3))):
            lines = ["SLOT_STORE r0 0"]
            value = f"f{rng.choice((0, 3, 9))}" if floats else f"r{rng.choice((1, 2, 3, 6, 8, 9, 11))}"
            if value == base and letter != "I":
                value = "r5"
            if op.format in ("LD", "ALD"):
                if base != "-":
                    lines.append(f"SLOT_LOAD {base} 0")
                lines.append(f"{op.name} {value} {base} {offset}")
                lines.append(f"{load}MOV {'f' if floats else 'r'}0 {value}\nRET")
                yield "i" + "i>" + LETTERS[letter], _body(lines, letter), offset
                continue
            # The parameters after the base: what is stored, and for ACAS what is expected.
            slot = 1 if letter == "I" else 2 if letter == "L" else 3 if letter == "F" else 4
            lines.append(f"{load}SLOT_STORE {'f0' if floats else 'r1'} {slot}")
            if base != "-":
                lines.append(f"SLOT_LOAD {base} 0")
            if op.format == "STI":
                imm = rng.choice((0, 1, -1, 127, -128, 0x1234, 0x12345678, -0x80000000))
                lines.append(f"{op.name} {base} {offset} {imm}\nRET")
                yield "ii>", _body(lines, "I"), offset
                continue
            if value != base or letter == "I":
                lines.append(f"{load}SLOT_LOAD {value} {slot}")
                if value == base:
                    lines.append(f"SLOT_LOAD {base} 0")
            if op.format == "ST":
                lines.append(f"{op.name} {value} {base} {offset}\nRET")
                yield f"i{LETTERS[letter]}>", _body(lines, letter), offset
                continue
            kinds = range(6) if op.format == "ARMW" else (0,)
            for kind in kinds:
                text = list(lines)
                if base == "r0" and op.format == "ACAS" and letter == "L":
                    continue  # expected is an i64, the base an i32
                if op.format == "ACAS":
                    text.insert(1, f"SLOT_STORE r2 {slot + 1}")
                    if base != "r0":
                        text.append(f"SLOT_LOAD r0 {slot + 1}")
                    text.append(f"{op.name} {value} {base} {offset}\nRET")
                    params = f"i{LETTERS[letter] * 2}>{LETTERS[letter]}"
                else:
                    text.append(f"{op.name} {value} {base} {kind} {offset}\nRET")
                    params = f"i{LETTERS[letter]}>{LETTERS[letter]}"
                yield params, _body(text, letter, acas=op.format == "ACAS"), offset


def _body(lines: list[str], letter: str, acas: bool = False) -> Body:
    # Slots: 0 and 1 (2 for ACAS) i32, then two i64, f32, f64.
    if acas:
        slots = (3, 0, 0, 0, 0) if letter == "I" else (2, 2, 0, 0, 0)
    else:
        slots = (2, 1, 1, 1, 0)
    return Body("\n".join(lines), leaf=True, saved=15, slots=slots)


@cache
def prepared(op: isa.Op, pages: int) -> tuple[list[tuple[str, Body, int | None]], bytes]:
    some = list(functions(op))
    return some, image_of(some, pages)


def image_of(some: Sequence[tuple[str, Body, int | None]], pages: int) -> bytes:
    types: list[bytes] = []
    bodies = []
    for params, body, _ in some:
        signature = func_type(*params.split(">"))
        if signature not in types:
            types.append(signature)
        bodies.append((types.index(signature), body))
    image = Image(
        types=types, functions=bodies, memories=[limits(pages)], exports=[export_entry("f", FUNC, 0)]
    )
    return image.build()


@pytest.mark.parametrize("pages", [PAGES, ALL_PAGES], ids=["3 pages", "4 GiB"])
@pytest.mark.parametrize("op", [op for op in isa.OPS if op.format in FORMATS], ids=lambda op: op.name)
def test_access(op: isa.Op, pages: int, engines: Engines) -> None:
    """In a small memory what is too far traps; in all of 4 GiB an address taken for negative shows."""
    some, image = prepared(op, pages)
    rng = random.Random(op.name)
    pair = engines.pair(image)
    end = pages * 65536
    pattern = bytes((i * 37 + (i >> 8)) & 0xFF for i in range(512))
    for at in (0, end - 512, 0x12000):
        pair.jit.write(at, pattern)
        pair.interp.write(at, pattern)
    touched = set()
    for index, (params, _, offset) in enumerate(some):
        assert offset is not None
        edges = {(end - size - offset) & 0xFFFFFFFF for size in (1, 2, 4, 8, 7, 9, 16, 0)}
        calls = []
        for base in (*BASES, *edges):
            values = [rng.choice(VALUES[{"i": "I", "l": "L", "f": "F", "d": "D"}[p]])
                      for p in params.split(">")[0][1:]]  # fmt: skip
            calls.append([base, *values])
            touched |= {at & -SPAN for at in (offset, base + offset, base + offset + 7) if at < end}
        for args, (jit, interp) in zip(calls, pair.call(index, calls), strict=True):
            assert jit == interp, f"{some[index][1].source}\nof {[hex(a) for a in args]}"
        if index % 40 == 0:
            pair.same_state(touched, SPAN)
    if pages == PAGES:
        touched = set(range(0, end, SPAN))
    pair.same_state(touched, SPAN)


def test_traps_are_located(engines: Engines) -> None:
    """The backtrace has the offset of the very access that faulted."""
    count = 40
    source = "\n".join(f"I32_LOAD r{k % 6 + 1} r0 {END - 4 * count + 4 * k}" for k in range(count))
    image = Image(
        types=[func_type("i", "i")],
        functions=[(0, Body(source + "\nRET"))],
        memories=[limits(PAGES)],
    )
    pair = engines.pair(image)
    for k in range(count + 1):
        answer = pair.one(0, 4 * k)
        assert answer.startswith("ok" if k == 0 else "trap 2 ")


def test_atomic_at_wrong_address_traps_before_the_bounds(engines: Engines) -> None:
    image = Image(
        types=[func_type("i", "i")],
        functions=[(0, Body("I32_CONST r1 1\nI32_ATOMIC_RMW r1 r0 ADD 4\nRET"))],
        memories=[limits(PAGES)],
    )
    pair = engines.pair(image)
    assert pair.one(0, 0) == "ok 0"
    assert pair.one(0, 0) == "ok 1"
    assert pair.one(0, 2).startswith("trap 10 ")
    assert pair.one(0, END + 1).startswith("trap 10 ")
    assert pair.one(0, END).startswith("trap 2 ")
