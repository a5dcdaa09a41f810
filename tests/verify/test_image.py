# SPDX-License-Identifier: GPL-2.0-only
"""The image parser: one image per rule that it rejects, beside a neighbour it accepts."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.native.libcore import CORE, Core, CoreError
from tests.verify.assemble import (
    FUNC,
    GLOBAL,
    MEMORY,
    NULL,
    TABLE,
    Body,
    Image,
    active_elements,
    encode,
    export_entry,
    f32_bits,
    f64_bits,
    func_type,
    global_entry,
    global_value,
    import_entry,
    integer,
    limits,
    program,
    ref_func,
    table_entry,
    text,
    unsigned,
    vector,
)

Verdict = Callable[[Image | bytes], str]

BASE = Image(
    types=[func_type(""), func_type("i")],
    imports=[
        import_entry("m", "g", GLOBAL, global_entry("i", False)),
        import_entry("m", "mutable", GLOBAL, global_entry("i", True)),
        import_entry("m", "f", FUNC, unsigned(0)),
        import_entry("m", "e", GLOBAL, global_entry("e", False)),
    ],
    functions=[(0, Body("RET")), (1, Body("RET"))],
    tables=[table_entry("r", 1, 2), table_entry("e", 0)],
    memories=[limits(1, 2)],
    globals=[global_entry("l", True, integer(-(1 << 63)))],
    exports=[export_entry("f", FUNC, 1)],
    start=1,
    elements=[active_elements(0, 0, [ref_func(0), NULL])],
    data=[b"\0" + integer(0) + text("data")],
    names=["", "one"],
)


def changed(**fields: object) -> Image:
    return replace(BASE, **fields)  # type: ignore[arg-type]


def payload(name: str, content: bytes) -> Image:
    return replace(BASE, override={name: content})


def patched(offset: int, content: bytes) -> bytes:
    raw = bytearray(BASE.build())
    raw[offset : offset + len(content)] = content
    return bytes(raw)


def table(n: int) -> int:
    """Offset of entry n of the section table."""
    return 64 + 12 * n


NOT_AN_IMAGE = "not an image"
COUNT = "count exceeds the section"
LIMIT = "count over the limit"
BYTES = "bytes run over the end of the section"
LENGTH = "length over the limit"
INIT = "initialiser is not a constant of the type"
EXACT = "section is not consumed exactly"
LONG = "x" * 4097
MALFORMED = b"\xff" * 5

FUNCREFS = b"\0\4" + unsigned(0) + integer(0)


def computed(*steps: bytes) -> bytes:
    """An initialiser of several steps."""
    return b"\6" + unsigned(len(steps)) + b"".join(steps)


STEPS = computed(global_value(0), integer(-1), b"\x12")

CASES: dict[str, tuple[str, Image | bytes, Image | bytes]] = {
    # name: (message, rejected, accepted)
    "magic": (NOT_AN_IMAGE, patched(7, b"\2"), BASE),
    "short": (NOT_AN_IMAGE, BASE.build()[:63], BASE),
    "hash": ("image is of another version: recompile", changed(isa_hash=1), BASE),
    "size": ("size differs from the header's", BASE.build() + b"\0", BASE),
    "reserved": ("reserved bytes are not zero", patched(56, b"\1"), patched(24, b"\1" * 32)),
    "section count": ("too many sections", patched(20, b"\x0d"), BASE),
    "section id 0": ("unknown section, or out of order", patched(table(0), b"\0"), BASE),
    "section id 13": ("unknown section, or out of order", patched(table(11), b"\x0d"), BASE),
    "section twice": ("unknown section, or out of order", patched(table(1), b"\1"), BASE),
    "section gap": (
        "gap or overlap between sections",
        patched(table(0) + 4, struct.pack("<I", table(12) + 1)),
        BASE,
    ),
    "section overlap": (
        "gap or overlap between sections",
        patched(table(1) + 4, struct.pack("<I", table(12))),
        BASE,
    ),
    "section beyond the end": (
        "section runs over the end",
        patched(table(11) + 8, b"\xff\xff"),
        BASE,
    ),
    "section size overflows": (
        "section runs over the end",
        patched(table(11) + 8, b"\xff\xff\xff\xff"),
        BASE,
    ),
    "section one byte too long": (
        "section runs over the end",
        patched(table(11) + 8, struct.pack("<I", len(BASE.payloads()["names"]) + 1)),
        BASE,
    ),
    "bytes after the sections": (
        "bytes after the last section",
        patched(table(11) + 8, b"\0\0"),
        BASE,
    ),
    "type count": (COUNT, payload("types", unsigned(9) + func_type("")), BASE),
    "function's type malformed": ("type index out of range", payload("functions", unsigned(1) + MALFORMED), BASE),
    "global import cut": (
        "malformed global type",
        payload("imports", unsigned(1) + text("m") + text("g") + bytes([GLOBAL])),
        BASE,
    ),
    "function count malformed": (COUNT, payload("functions", MALFORMED), BASE),
    "export index malformed": (
        "export index out of range",
        payload("exports", unsigned(1) + text("f") + bytes([FUNC]) + MALFORMED),
        BASE,
    ),
    "start malformed": ("start function index out of range", payload("start", MALFORMED), BASE),
    "start's result": (
        "start function has parameters or results",
        changed(types=[func_type(""), func_type("", "i")], start=2, functions=[(0, Body("RET")), (1, Body("I32_CONST r0 1\n RET"))]),
        changed(types=[func_type(""), func_type("", "i")], start=1, functions=[(0, Body("RET")), (1, Body("I32_CONST r0 1\n RET"))]),
    ),
    "second data segment cut": (
        "malformed data segment",
        payload("data", unsigned(2) + b"\1" + text("a")),
        payload("data", unsigned(1) + b"\1" + text("a")),
    ),
    "name count malformed": ("more names than functions", payload("names", MALFORMED), BASE),
    "type count malformed": ("malformed count", payload("types", b"\xff" * 5), BASE),
    "types": (LIMIT, payload("types", unsigned(65537) + bytes(1 << 17)), BASE),
    "value type": (
        "unknown value type",
        changed(types=[func_type(""), func_type("i"), b"\1\6\0"]),
        changed(types=[func_type(""), func_type("i"), b"\1\5\0"]),
    ),
    "parameters": (
        LENGTH,
        changed(types=[func_type(""), func_type("i"), func_type("i" * 1001)]),
        changed(types=[func_type(""), func_type("i"), func_type("i" * 1000)]),
    ),
    "results": (
        LENGTH,
        changed(types=[func_type(""), func_type("i"), func_type("", "i" * 1001)]),
        changed(types=[func_type(""), func_type("i"), func_type("", "i" * 1000)]),
    ),
    "types run over": (BYTES, payload("types", unsigned(1) + unsigned(5) + b"\0"), BASE),
    "types left over": (EXACT, payload("types", vector(BASE.types) + b"\0"), BASE),
    "import kind": (
        "unknown kind of import",
        changed(imports=[*BASE.imports, import_entry("m", "x", 4, b"\0")]),
        changed(imports=[*BASE.imports, import_entry("m", "x", GLOBAL, global_entry("d", False))]),
    ),
    "import type": (
        "type index out of range",
        changed(imports=[*BASE.imports, import_entry("m", "x", FUNC, unsigned(2))]),
        changed(imports=[*BASE.imports, import_entry("m", "x", FUNC, unsigned(0))]),
    ),
    "import module name": (
        LENGTH,
        changed(imports=[*BASE.imports, import_entry(LONG, "x", FUNC, unsigned(0))]),
        changed(imports=[*BASE.imports, import_entry(LONG[1:], "x", FUNC, unsigned(0))]),
    ),
    "import name": (
        LENGTH,
        changed(imports=[*BASE.imports, import_entry("m", LONG, FUNC, unsigned(0))]),
        changed(imports=[*BASE.imports, import_entry("m", LONG[1:], FUNC, unsigned(0))]),
    ),
    "imported and own memory": (
        "more than one memory",
        changed(imports=[*BASE.imports, import_entry("m", "m", MEMORY, limits(1))]),
        changed(imports=[*BASE.imports, import_entry("m", "m", MEMORY, limits(1))], memories=[]),
    ),
    "two memories": ("more than one memory", changed(memories=[limits(1), limits(1)]), BASE),
    "memory minimum": (
        "limits over the limit",
        changed(memories=[limits(65537)]),
        changed(memories=[limits(65536)]),
    ),
    "memory maximum": (
        "limits over the limit",
        changed(memories=[limits(1, 65537)]),
        changed(memories=[limits(1, 65536)]),
    ),
    "memory limits": (
        "minimum exceeds maximum",
        changed(memories=[limits(2, 1)]),
        changed(memories=[limits(2, 2)]),
    ),
    "limits flags": ("unknown limits flags", changed(memories=[b"\2\1\1"]), BASE),
    "limits cut": ("malformed limits", payload("memories", b"\1\1\1"), BASE),
    "table minimum": (
        "limits over the limit",
        changed(tables=[*BASE.tables, table_entry("r", 10_000_001)]),
        changed(tables=[*BASE.tables, table_entry("r", 10_000_000)]),
    ),
    "table limits": (
        "minimum exceeds maximum",
        changed(tables=[*BASE.tables, table_entry("r", 2, 1)]),
        changed(tables=[*BASE.tables, table_entry("r", 2, 0xFFFFFFFF)]),
    ),
    "table type": (
        "table type is not a reference type",
        changed(tables=[*BASE.tables, table_entry("i", 0)]),
        changed(tables=[*BASE.tables, table_entry("e", 0)]),
    ),
    "tables": (
        LIMIT,
        changed(tables=[BASE.tables[0]] * 1025),
        changed(tables=[BASE.tables[0]] * 1024),
    ),
    "imported tables": (
        LIMIT,
        changed(
            imports=[*BASE.imports, import_entry("m", "t", TABLE, table_entry("r", 1))],
            tables=[BASE.tables[0]] * 1024,
        ),
        changed(
            imports=[*BASE.imports, import_entry("m", "t", TABLE, table_entry("r", 1))],
            tables=[BASE.tables[0]] * 1023,
        ),
    ),
    "function type": (
        "type index out of range",
        changed(functions=[*BASE.functions, (2, Body())]),
        changed(functions=[*BASE.functions, (1, Body())]),
    ),
    "function count": (COUNT, payload("functions", unsigned(3) + b"\0\0"), BASE),
    "body cut": (BYTES, payload("code", Body().encode() + b"\x0e" + bytes(13)), BASE),
    "body missing": (BYTES, payload("code", Body().encode()), BASE),
    "body left over": (EXACT, payload("code", Body().encode() * 3), BASE),
    "global's type": (
        "malformed global type",
        changed(globals=[b"\6\0" + NULL]),
        changed(globals=[b"\5\0" + NULL]),
    ),
    "global's mutability": (
        "malformed global type",
        changed(globals=[b"\5\2" + NULL]),
        changed(globals=[b"\5\1" + NULL]),
    ),
    "initialiser kind": (
        "unknown kind of initialiser",
        changed(globals=[global_entry("r", False, b"\7")]),
        changed(globals=[global_entry("r", False, b"\5")]),
    ),
    "initialiser cut": ("malformed initialiser", payload("globals", b"\1\3\0\2\1"), BASE),
    "steps of a float": (
        INIT,
        changed(globals=[global_entry("f", False, STEPS)]),
        changed(globals=[global_entry("l", False, computed(integer(1), integer(1 << 40), b"\x10"))]),
    ),
    "steps of a reference": (
        INIT,
        changed(globals=[global_entry("e", False, computed(global_value(2)))]),
        changed(globals=[global_entry("e", False, global_value(2))]),
    ),
    "a step's constant": (
        INIT,
        changed(globals=[global_entry("i", False, computed(integer(1), integer(1 << 40), b"\x10"))]),
        changed(globals=[global_entry("i", False, STEPS)]),
    ),
    "a step's global": (
        INIT,
        changed(globals=[global_entry("i", False, computed(global_value(1), integer(1), b"\x10"))]),
        changed(globals=[global_entry("i", False, computed(global_value(0), integer(1), b"\x10"))]),
    ),
    "unknown step": (
        "unknown step of an initialiser",
        changed(globals=[global_entry("i", False, computed(integer(1), integer(1), b"\x13"))]),
        changed(globals=[global_entry("i", False, computed(integer(1), integer(1), b"\x12"))]),
    ),
    "steps within steps": (
        "unknown step of an initialiser",
        changed(globals=[global_entry("i", False, computed(STEPS))]),
        changed(globals=[global_entry("i", False, computed(integer(1)))]),
    ),
    "a step without operands": (
        "a step of an initialiser lacks operands",
        changed(globals=[global_entry("i", False, computed(integer(1), b"\x11", integer(1)))]),
        changed(globals=[global_entry("i", False, computed(integer(1), integer(1), b"\x11"))]),
    ),
    "no steps": (
        "an initialiser does not leave one value",
        changed(globals=[global_entry("i", False, computed())]),
        changed(globals=[global_entry("i", False, computed(integer(1)))]),
    ),
    "steps that leave two values": (
        "an initialiser does not leave one value",
        changed(globals=[global_entry("i", False, computed(integer(1), integer(1)))]),
        changed(globals=[global_entry("i", False, computed(integer(1)))]),
    ),
    "number of steps": (
        "steps of an initialiser over the limit",
        changed(globals=[global_entry("i", False, computed(*[integer(1)] * 17, *[b"\x10"] * 16))]),
        changed(globals=[global_entry("i", False, computed(*[integer(1)] * 16, *[b"\x10"] * 15))]),
    ),
    "number of steps cut": (
        "steps of an initialiser over the limit",
        payload("globals", b"\1\0\0\6"),
        payload("globals", b"\1\0\0\6\1\0\1"),
    ),
    "steps cut": (
        "malformed initialiser",
        payload("globals", b"\1\0\0\6\3\0\1"),
        payload("globals", b"\1\0\0\6\3\0\1\0\1\x10"),
    ),
    "i32 global": (
        INIT,
        changed(globals=[global_entry("i", False, integer(1 << 31))]),
        changed(globals=[global_entry("i", False, integer((1 << 31) - 1))]),
    ),
    "i32 global, negative": (
        INIT,
        changed(globals=[global_entry("i", False, integer(-(1 << 31) - 1))]),
        changed(globals=[global_entry("i", False, integer(-(1 << 31)))]),
    ),
    "integer for a float": (
        INIT,
        changed(globals=[global_entry("f", False, integer(0))]),
        changed(globals=[global_entry("f", False, f32_bits(0))]),
    ),
    "f32 for f64": (
        INIT,
        changed(globals=[global_entry("d", False, f32_bits(0))]),
        changed(globals=[global_entry("d", False, f64_bits(0))]),
    ),
    "f64 for f32": (
        INIT,
        changed(globals=[global_entry("f", False, f64_bits(0))]),
        changed(globals=[global_entry("f", False, f32_bits(0))]),
    ),
    "function for externref": (
        INIT,
        changed(globals=[global_entry("e", False, ref_func(0))]),
        changed(globals=[global_entry("r", False, ref_func(0))]),
    ),
    "function reference": (
        INIT,
        changed(globals=[global_entry("r", False, ref_func(3))]),
        changed(globals=[global_entry("r", False, ref_func(2))]),
    ),
    "null for an integer": (
        INIT,
        changed(globals=[global_entry("i", False, NULL)]),
        changed(globals=[global_entry("e", False, NULL)]),
    ),
    "global of own": (
        INIT,
        changed(globals=[global_entry("i", False, integer(1)), global_entry("i", False, global_value(3))]),
        changed(globals=[global_entry("i", False, integer(1)), global_entry("i", False, global_value(0))]),
    ),
    "mutable global": (
        INIT,
        changed(globals=[global_entry("i", False, global_value(1))]),
        changed(globals=[global_entry("i", False, global_value(0))]),
    ),
    "global of another type": (
        INIT,
        changed(globals=[global_entry("l", False, global_value(0))]),
        changed(globals=[global_entry("i", False, global_value(0))]),
    ),
    "exported function": (
        "export index out of range",
        changed(exports=[export_entry("f", FUNC, 3)]),
        changed(exports=[export_entry("f", FUNC, 2)]),
    ),
    "exported table": (
        "export index out of range",
        changed(exports=[export_entry("f", TABLE, 2)]),
        changed(exports=[export_entry("f", TABLE, 1)]),
    ),
    "exported memory": (
        "export index out of range",
        changed(exports=[export_entry("f", MEMORY, 1)]),
        changed(exports=[export_entry("f", MEMORY, 0)]),
    ),
    "exported global": (
        "export index out of range",
        changed(exports=[export_entry("f", GLOBAL, 4)]),
        changed(exports=[export_entry("f", GLOBAL, 3)]),
    ),
    "exported something": ("export index out of range", changed(exports=[export_entry("f", 4, 0)]), BASE),
    "export name": (
        LENGTH,
        changed(exports=[export_entry(LONG, FUNC, 0)]),
        changed(exports=[export_entry(LONG[1:], FUNC, 0)]),
    ),
    "start": ("start function index out of range", changed(start=3), changed(start=0)),
    "start's type": ("start function has parameters or results", changed(start=2), changed(start=0)),
    "element mode": (
        "malformed element segment",
        changed(elements=[b"\3\4" + vector([])]),
        changed(elements=[b"\2\4" + vector([])]),
    ),
    "element type": (
        "malformed element segment",
        changed(elements=[b"\1\3" + vector([])]),
        changed(elements=[b"\1\5" + vector([])]),
    ),
    "element table": (
        "table index out of range",
        changed(elements=[active_elements(2, 0, [])]),
        changed(elements=[active_elements(0, 0, [])]),
    ),
    "element table's type": (
        "table of another type",
        changed(elements=[active_elements(1, 0, [])]),
        changed(elements=[b"\0\5" + unsigned(1) + integer(0) + vector([])]),
    ),
    "element offset": (
        INIT,
        changed(elements=[b"\0\4" + unsigned(0) + NULL + vector([])]),
        changed(elements=[b"\0\4" + unsigned(0) + global_value(0) + vector([])]),
    ),
    "element value": (
        INIT,
        changed(elements=[FUNCREFS + vector([ref_func(3)])]),
        changed(elements=[FUNCREFS + vector([ref_func(2)])]),
    ),
    "element value's type": (
        INIT,
        changed(elements=[FUNCREFS + vector([global_value(2)])]),
        changed(elements=[b"\1\5" + vector([global_value(2)])]),
    ),
    "elements cut": (
        "unknown kind of initialiser",
        payload("elements", b"\1\1\4" + unsigned(2) + NULL),
        BASE,
    ),
    "element count": ("malformed element segment", payload("elements", b"\1\1\4" + b"\xff" * 5), BASE),
    "data mode": (
        "malformed data segment",
        changed(data=[b"\2" + text("")]),
        changed(data=[b"\1" + text("")]),
    ),
    "data without a memory": (
        "active data segment without a memory",
        changed(memories=[]),
        changed(memories=[], data=[b"\1" + text("")]),
    ),
    "data offset": (
        INIT,
        changed(data=[b"\0" + integer(1 << 32) + text("")]),
        changed(data=[b"\0" + integer(-1) + text("")]),
    ),
    "data cut": (BYTES, payload("data", b"\1\1\5data"), BASE),
    "names": ("more names than functions", changed(names=[""] * 4), changed(names=[""] * 3)),
    "names cut": (BYTES, payload("names", b"\1\5"), BASE),
    "name": (LENGTH, changed(names=[LONG]), changed(names=[LONG[1:]])),
}


@pytest.mark.parametrize("name", CASES)
def test_rule(name: str, verdict: Verdict) -> None:
    message, rejected, accepted = CASES[name]
    # A cut initialiser reads as kind 0 at the end of the section.
    expected = {message, "malformed initialiser"} if name == "elements cut" else {message}
    assert verdict(rejected) in expected
    assert verdict(accepted) == ""


def test_rules_are_all_here() -> None:
    """No message of image.c is without an image that provokes it."""
    source = (CORE / "image.c").read_text()
    messages = set(re.findall(r'(?:reject|fail)\(p,[^"]*"([^"]*)"', source, re.S))
    messages |= set(re.findall(r'reject\(&p,\s*"([^"]*)"', source))
    tested = {message for message, _, _ in CASES.values()}
    assert messages - tested == {
        "out of memory",
        # An image of more than 256 MiB is not in the table.
        "image over the size limit",
        # There are at most 12 sections, and 64 bytes with none left are caught before.
        "section table runs over the end",
    }


def test_image_over_the_limit(verdict: Verdict) -> None:
    raw = BASE.build()
    assert verdict(raw + bytes((256 << 20) + 1 - len(raw))) == "image over the size limit"


def test_section_table_cut(verdict: Verdict) -> None:
    raw = bytearray(Image().build())
    raw[20] = 1
    assert verdict(bytes(raw)) == "section table runs over the end"


def test_code() -> None:
    """What the caller must tell apart: a stale image is -EPROTO, a bad one -EINVAL."""
    with Core() as core:
        for image, code in ((changed(isa_hash=1), -71), (changed(start=9), -22)):
            with pytest.raises(CoreError) as error:
                core.image(image.build())
            assert error.value.code == code


@pytest.mark.parametrize("name", BASE.payloads())
def test_each_section_may_be_missing(name: str, verdict: Verdict) -> None:
    """It is as if it had no entries: an error only where other sections need them."""
    left = {k: v for k, v in BASE.payloads().items() if k != name}
    harmless = {"globals", "exports", "start", "elements", "data", "names"}
    assert (verdict(Image(override=left)) == "") == (name in harmless)


def test_empty(verdict: Verdict) -> None:
    assert verdict(Image()) == ""


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b"\x05", 5),
        (b"\x85\x80\x80\x80\x00", 5),  # longer than needed is fine
        (b"\xff\xff\xff\xff\x0f", 2**32 - 1),
        (b"\xff\xff\xff\xff\x1f", None),  # bit 32
        (b"\x85\x80\x80\x80\x80\x00", None),  # six bytes
        (b"\x85", None),
    ],
)
def test_unsigned_leb128(raw: bytes, value: int | None, verdict: Verdict) -> None:
    """By way of a load's offset: the byte after it is RET."""
    opcode = encode(["I32_LOAD", "r1", "r0", "0"], {})[:-1]
    source = f"I32_CONST r0 0\n .bytes {' '.join(map(str, opcode + raw))}\n RET"
    assert (verdict(program(source)) == "") == (value is not None)


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b"\x7f", -1),
        (b"\xff\xff\xff\xff\x7f", -1),
        (b"\x80\x80\x80\x80\x78", -(2**31)),
        (b"\xff\xff\xff\xff\x07", 2**31 - 1),
        (b"\xff\xff\xff\xff\x0f", None),  # neither sign
        (b"\x80\x80\x80\x80\x70", None),
        (b"\xff\xff\xff\xff\xff\x7f", None),  # six bytes
    ],
)
def test_signed_leb128(raw: bytes, value: int | None, core: Core) -> None:
    """By way of an immediate."""
    opcode = encode(["I32_ADD_IMM", "r0", "r0", "0"], {})[:-1]
    source = f".bytes {' '.join(map(str, opcode + raw))}\n RET"
    image = program(source, "i", "i").build()
    if value is None:
        with pytest.raises(CoreError):
            core.image(image)
    else:
        assert core.instance(core.image(image)).call("f", 0) == [value % 2**32]


def test_signed_leb128_of_64_bits(core: Core) -> None:
    opcode = encode(["I64_CONST", "r0", "0"], {})[:-1]
    for raw, value in (
        (b"\x80" * 9 + b"\x7f", 1 << 63),
        (b"\xff" * 9 + b"\x00", (1 << 63) - 1),
        (b"\xff" * 9 + b"\x7f", (1 << 64) - 1),
        (b"\xff" * 9 + b"\x01", None),
        (b"\xff" * 10 + b"\x00", None),
    ):
        source = f".bytes {' '.join(map(str, opcode + raw))}\n RET"
        image = program(source, "", "l").build()
        if value is None:
            with pytest.raises(CoreError):
                core.image(image)
        else:
            assert core.instance(core.image(image)).call("f") == [value]
