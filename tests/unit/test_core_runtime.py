# SPDX-License-Identifier: GPL-2.0-only
"""The helpers of CALL_RT, on both engines: results, traps, that nothing is written before one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pywasmjit import _isa as isa
from tests.native.libcore import Instance
from tests.unit.core_engines import Engine, outcome
from tests.verify.assemble import (
    FUNC,
    NULL,
    Body,
    Image,
    active_elements,
    export_entry,
    func_type,
    limits,
    ref_func,
    table_entry,
    text,
    unsigned,
    vector,
)

PAGE = 65536
NONE = 0xFFFFFFFF
MEMORY = "out of bounds memory access"
TABLE = "out of bounds table access"


def helper(name: str, imm0: int = 0, imm1: int = 0) -> tuple[bytes, Body]:
    """A function's type and body: parameters and result of the helper, and the call."""
    _, result, params, _, _ = isa.RT[getattr(isa, f"RT_{name}")]
    letters = params.replace("I", "i").replace("R", "r")
    body = Body(f"CALL_RT {name} {imm0} {imm1}\n RET", leaf=False)
    return func_type(letters, {"_": "", "I": "i", "R": "r"}[result]), body


DATA = bytes(range(100, 120))


def image(*helpers: tuple[bytes, Body], pages: bytes = limits(1, 3)) -> Image:
    """Exports f0, f1, ... for the helpers; tables 0 (5 elements) and 1 of functions, 2 external."""
    types = [*(kind for kind, _ in helpers), func_type("", "i")]
    return Image(
        types=types,
        functions=[(i, body) for i, (_, body) in enumerate(helpers)]
        + [(len(helpers), Body(f"I32_CONST r0 {i}\n RET")) for i in range(5)],
        tables=[table_entry("r", 5, 20), table_entry("r", 3), table_entry("e", 4)],
        memories=[pages],
        exports=[export_entry(f"f{i}", FUNC, i) for i in range(len(helpers))],
        elements=[
            b"\1\4" + vector(ref_func(len(helpers) + i) for i in range(5)),
            active_elements(1, 0, [ref_func(len(helpers)), NULL]),
            b"\1\5" + vector([NULL]),
            b"\2\4" + vector([ref_func(0)]),
        ],
        data=[b"\1" + text(DATA), b"\0\0" + unsigned(8) + text("active")],
    )


def test_memory_grow(engine: Engine) -> None:
    instance = engine.load(image(helper("MEMORY_GROW")))
    for pages, before, after in (
        (0, 1, 1), (1, 1, 2), (2, NONE, 2), (NONE, NONE, 2), (0x80000000, NONE, 2), (65535, NONE, 2),
        (1, 2, 3), (1, NONE, 3), (0, 3, 3),
    ):  # fmt: skip
        assert instance.call("f0", pages) == [before]
        assert instance.memory_size() == after * PAGE
    assert instance.read(0, 3 * PAGE)[PAGE:] == bytes(2 * PAGE)


def test_memory_grows_to_one_page_below_4_gib(engine: Engine) -> None:
    """Lowering folds sums into offsets: what it adds must not wrap (pywasmjit/lower/info.py)."""
    instance = engine.load(image(helper("MEMORY_GROW"), helper("MEMORY_FILL"), pages=limits(1)))
    assert instance.call("f0", 65536) == [NONE]
    assert instance.call("f0", 65535) == [NONE]
    assert instance.call("f0", 65534) == [1]
    last = (1 << 32) - PAGE - 1
    assert instance.memory_size() == last + 1
    assert instance.call("f0", 1) == [NONE]
    assert instance.call("f0", 0) == [65535]
    assert outcome(instance, "f1", last, 7, 1) == []
    assert instance.read(last, 1) == b"\7"
    assert outcome(instance, "f1", last, 7, 2) == MEMORY


def test_memory_grow_fails(engine: Engine) -> None:
    """What the platform refuses is -1, and nothing has changed."""
    instance = engine.load(image(helper("MEMORY_GROW")))
    assert instance.call("f0", 0) == [1]
    engine.core.fail_allocation(0)
    assert instance.call("f0", 1) == [NONE]
    assert instance.memory_size() == PAGE
    assert instance.call("f0", 1) == [1]


BOUNDS = [
    # start, size, in bounds of a page?
    (0, 0, True), (PAGE, 0, True), (PAGE + 1, 0, False), (0, PAGE, True), (1, PAGE, False),
    (PAGE - 1, 1, True), (PAGE, 1, False), (NONE, 1, False), (NONE, 0, False), (1, NONE, False),
    (NONE, NONE, False), (0x80000000, 0x80000000, False),
]  # fmt: skip


def pattern(instance: Instance) -> bytes:
    content = bytes(i * 7 & 0xFF for i in range(PAGE))
    instance.write(0, content)
    return content


@pytest.mark.parametrize(("start", "size", "inside"), BOUNDS)
def test_memory_fill(engine: Engine, start: int, size: int, inside: bool) -> None:
    instance = engine.load(image(helper("MEMORY_FILL")))
    content = bytearray(pattern(instance))
    assert outcome(instance, "f0", start, 0x1AB, size) == ([] if inside else MEMORY)
    if inside:
        content[start : start + size] = b"\xab" * size
    assert instance.read(0, PAGE) == content


@pytest.mark.parametrize(("start", "size", "inside"), BOUNDS)
def test_memory_copy_bounds(engine: Engine, start: int, size: int, inside: bool) -> None:
    instance = engine.load(image(helper("MEMORY_COPY")))
    content = pattern(instance)
    assert outcome(instance, "f0", start, 0, size) == ([] if inside else MEMORY)
    assert outcome(instance, "f0", 0, start, size) == ([] if inside else MEMORY)
    if not inside:
        assert instance.read(0, PAGE) == content


@pytest.mark.parametrize(("to", "source"), [(0, 100), (100, 0), (70000, 3), (3, 70000), (5, 5)])
def test_memory_copy_overlaps(engine: Engine, to: int, source: int) -> None:
    """Also where it takes several chunks."""
    size = 120_000
    instance = engine.load(image(helper("MEMORY_COPY"), pages=limits(3)))
    content = bytearray(i * i >> 3 & 0xFF for i in range(3 * PAGE))
    instance.write(0, bytes(content))
    assert outcome(instance, "f0", to, source, size) == []
    content[to : to + size] = content[source : source + size]
    assert instance.read(0, 3 * PAGE) == content


def test_memory_init(engine: Engine) -> None:
    instance = engine.load(image(helper("MEMORY_INIT", 0), helper("DATA_DROP", 0), helper("MEMORY_INIT", 1)))
    assert instance.read(0, 16) == bytes(8) + b"active" + bytes(2)
    assert outcome(instance, "f0", 100, 5, 10) == []
    assert instance.read(100, 11) == DATA[5:15] + b"\0"
    for dst, src, size in ((0, 11, 10), (0, 21, 0), (0, NONE, 2), (PAGE - 9, 0, 10), (NONE, 0, 1)):
        assert outcome(instance, "f0", dst, src, size) == MEMORY
    assert outcome(instance, "f0", PAGE, 20, 0) == []
    # Active segments have been dropped, which leaves them empty.
    assert outcome(instance, "f2", 0, 0, 0) == []
    assert outcome(instance, "f2", 0, 0, 1) == MEMORY
    assert outcome(instance, "f1") == []
    assert outcome(instance, "f1") == []
    assert outcome(instance, "f0", 0, 0, 1) == MEMORY
    assert outcome(instance, "f0", 0, 0, 0) == []


def elements(instance: Instance, get: str, size: int) -> list[int]:
    return [instance.call(get, i)[0] for i in range(size)]


def test_table_get_and_set(engine: Engine) -> None:
    instance = engine.load(image(helper("TABLE_GET", 2), helper("TABLE_SET", 2), helper("TABLE_SIZE", 2)))
    assert elements(instance, "f0", 4) == [NONE] * 4
    assert outcome(instance, "f1", 1, 0xFFFFFFFE) == []
    assert outcome(instance, "f1", 3, 0) == []
    assert elements(instance, "f0", 4) == [NONE, 0xFFFFFFFE, NONE, 0]
    for index in (4, NONE, 0x80000000):
        assert outcome(instance, "f0", index) == TABLE
        assert outcome(instance, "f1", index, 0) == TABLE
    assert instance.call("f2") == [4]


def test_table_of_functions_holds_functions(engine: Engine) -> None:
    """A reference that is no function's cannot be stored, let alone called."""
    instance = engine.load(image(helper("TABLE_SET", 0), helper("REF_FUNC", 3), helper("TABLE_GET", 0)))
    reference = instance.call("f1")[0]
    assert outcome(instance, "f0", 0, reference) == []
    assert instance.call("f2", 0) == [reference]
    for wrong in (1000, 0x80000000, 0xFFFFFFFE):
        assert outcome(instance, "f0", 0, wrong) == "bad argument to a host function"
    assert instance.call("f2", 0) == [reference]


def test_table_grow(engine: Engine) -> None:
    instance = engine.load(
        image(helper("TABLE_GROW", 0), helper("TABLE_SIZE", 0), helper("TABLE_GET", 0),
              helper("TABLE_GROW", 2), helper("TABLE_SIZE", 2), helper("TABLE_GET", 2))
    )  # fmt: skip
    for delta, before, after in (
        (0, 5, 5),
        (10, 5, 15),
        (6, NONE, 15),
        (NONE, NONE, 15),
        (5, 15, 20),
        (1, NONE, 20),
    ):
        assert instance.call("f0", NONE, delta) == [before]
        assert instance.call("f1") == [after]
    assert elements(instance, "f2", 20) == [NONE] * 20
    assert instance.call("f3", 77, 3) == [4]
    assert elements(instance, "f5", 7) == [NONE] * 4 + [77] * 3
    # No maximum declared: the implementation's, over all tables together.
    for delta in (10_000_000, NONE, 0x80000000):
        assert instance.call("f3", 0, delta) == [NONE]
    for _ in range(300):
        instance.call("f3", 1, 1)
    assert instance.call("f4") == [307]
    engine.core.fail_allocation(0)
    assert instance.call("f3", 0, 100_000) == [307]  # less room than wished for
    assert instance.call("f5", 100_306) == [0]


@pytest.mark.parametrize(("start", "size", "inside"), [
    (0, 0, True), (4, 0, True), (5, 0, False), (0, 4, True), (1, 3, True), (2, 3, False),
    (NONE, 1, False), (1, NONE, False), (NONE, NONE, False),
])  # fmt: skip
def test_table_bulk_bounds(engine: Engine, start: int, size: int, inside: bool) -> None:
    instance = engine.load(image(helper("TABLE_FILL", 2), helper("TABLE_COPY", 2, 2), helper("TABLE_GET", 2)))
    expected: list[int] | str = [] if inside else TABLE
    assert outcome(instance, "f0", start, 9, size) == expected
    filled = [9 if inside and start <= i < start + size else NONE for i in range(4)]
    assert elements(instance, "f2", 4) == filled
    assert outcome(instance, "f1", start, 0, size) == expected
    assert outcome(instance, "f1", 0, start, size) == expected


def test_table_copy_overlaps(engine: Engine) -> None:
    instance = engine.load(
        image(helper("TABLE_SET", 2), helper("TABLE_COPY", 2, 2), helper("TABLE_GET", 2),
              helper("TABLE_COPY", 1, 0), helper("TABLE_GET", 1))
    )  # fmt: skip
    for i in range(4):
        instance.call("f0", i, 10 + i)
    instance.call("f1", 1, 0, 3)
    assert elements(instance, "f2", 4) == [10, 10, 11, 12]
    instance.call("f1", 0, 1, 3)
    assert elements(instance, "f2", 4) == [10, 11, 12, 12]
    assert instance.call("f4", 0) != [NONE]
    instance.call("f3", 0, 0, 3)
    assert elements(instance, "f4", 3) == [NONE] * 3


def test_table_init(engine: Engine) -> None:
    instance = engine.load(
        image(helper("TABLE_INIT", 0, 0), helper("ELEM_DROP", 0), helper("TABLE_GET", 0),
              helper("TABLE_INIT", 1, 0), helper("TABLE_INIT", 3, 0), helper("REF_FUNC", 9))
    )  # fmt: skip
    first = instance.call("f5")[0] - 3
    assert outcome(instance, "f0", 1, 2, 3) == []
    assert elements(instance, "f2", 5) == [NONE, first + 2, first + 3, first + 4, NONE]
    for dst, src, size in ((0, 3, 3), (3, 0, 3), (0, 6, 0), (6, 0, 0), (NONE, 0, 1), (0, NONE, 1)):
        assert outcome(instance, "f0", dst, src, size) == TABLE
    # Active and declared segments are dropped.
    for export in ("f3", "f4"):
        assert outcome(instance, export, 0, 0, 0) == []
        assert outcome(instance, export, 0, 0, 1) == TABLE
    assert outcome(instance, "f1") == []
    assert outcome(instance, "f0", 0, 0, 1) == TABLE
    assert outcome(instance, "f0", 5, 0, 0) == []


def test_atomic_wait_and_notify(engine: Engine) -> None:
    instance = engine.load(image(helper("ATOMIC_NOTIFY"), helper("ATOMIC_WAIT")))
    assert outcome(instance, "f0", PAGE - 4, 1) == [0]
    assert outcome(instance, "f0", 2, 1) == "unaligned atomic"
    assert outcome(instance, "f0", PAGE, 1) == MEMORY
    for width in (4, 8):
        assert outcome(instance, "f1", 8, width) == "expected shared memory"
        assert outcome(instance, "f1", width // 2, width) == "unaligned atomic"
        assert outcome(instance, "f1", PAGE, width) == MEMORY


@pytest.mark.parametrize(
    ("name", "args", "polls"),
    [
        ("MEMORY_FILL", (0, 1, 3 * PAGE), 3),
        ("MEMORY_COPY", (0, 5, 3 * PAGE - 5), 3),
        ("TABLE_FILL", (0, 1, 9000), 4),
        ("TABLE_COPY", (0, 1, 8999), 4),
    ],
)
def test_polls(engine: Engine, name: str, args: tuple[int, ...], polls: int) -> None:
    """Every 64 KiB at least, and a poll that traps ends it."""
    table = 2 if "TABLE" in name else 0
    base = image(helper(name, table, table if "COPY" in name else 0), pages=limits(3))
    instance = engine.load(replace(base, tables=[*base.tables[:2], table_entry("e", 9000)]))
    engine.core.polls()
    instance.set_poll(1, 1000)
    assert outcome(instance, "f0", *args) == []
    # One in the prologue.
    assert engine.core.polls() == 1 + polls
    instance.set_poll(1, 3)
    assert outcome(instance, "f0", *args) == "interrupted by a fatal signal"
    assert engine.core.polls() == 3
    if name == "MEMORY_FILL":
        instance.write(0, bytes(3 * PAGE))
        instance.set_poll(1, 2)
        assert outcome(instance, "f0", *args) == "interrupted by a fatal signal"
        assert instance.read(0, 3 * PAGE) == b"\1" * PAGE + bytes(2 * PAGE)
