# SPDX-License-Identifier: GPL-2.0-only
"""The image writer against bytes by hand, and the reader against the writer."""

from __future__ import annotations

import hashlib

import pytest
from lowering import assemble, module

from pywasmjit import image
from pywasmjit._isa import ISA_HASH
from pywasmjit.errors import InternalError, UnsupportedError
from pywasmjit.lower.pipeline import lower

WAT = """
(module $m
  (type $t (func (param i32 i64 f32 f64 funcref externref) (result i32 i64)))
  (import "env" "f" (func $f (type $t)))
  (import "env" "t" (table $t0 1 2 externref))
  (import "env" "g" (global $g0 i32))
  (import "env" "v" (global $g1 (mut f64)))
  (memory 1 300)
  (table $t1 3 funcref)
  (global $i i32 (i32.const -2))
  (global $l (mut i64) (i64.const 0x123456789))
  (global $s f32 (f32.const 1))
  (global $d f64 (f64.const -0))
  (global $c i32 (global.get $g0))
  (global $r funcref (ref.func $start))
  (global $n externref (ref.null extern))
  (export "run" (func $start))
  (export "mem" (memory 0))
  (func $start)
  (func $other (param i32) (result i32) (local.get 0))
  (start $start)
  (elem (table $t1) (i32.const 1) func $start $f)
  (elem funcref (ref.null func) (ref.func $other))
  (elem declare func $other)
  (data (i32.const 16) "abc")
  (data (global.get $g0) "")
  (data "\\00\\ff"))
"""


def test_sections_byte_for_byte() -> None:
    wat = """(module (func $f (param i32) (result i32) (local.get 0)) (memory 2)
        (export "f" (func $f)) (data (i32.const 200) "xy"))"""
    found = module(wat)
    data = image.write_image(found, [b"\x01\x02\x03"])
    sections = {
        image.TYPES: "01 01 00 01 00",
        image.FUNCTIONS: "01 00",
        image.MEMORIES: "01 00 02",
        image.EXPORTS: "01 01 66 00 00",
        image.DATA: "01 00 00 c8 01 02 78 79",
        image.CODE: "03 01 02 03",
        image.NAMES: "01 01 66",
    }
    table = b""
    contents = b""
    at = 64 + 12 * len(sections)
    for section, text in sections.items():
        part = bytes.fromhex(text)
        table += b"".join(n.to_bytes(4, "little") for n in (section, at, len(part)))
        contents += part
        at += len(part)
    header = b"\0wjimg\0\1" + ISA_HASH.to_bytes(8, "little") + at.to_bytes(4, "little")
    header += len(sections).to_bytes(4, "little") + hashlib.sha256(assemble(wat)).digest()
    assert data == header + bytes(8) + table + contents


def test_reader_reads_what_the_writer_wrote() -> None:
    found = module(WAT)
    read = image.read_image(image.write_image(found, [b"one", b"two" * 100]))
    assert read.isa_hash == ISA_HASH
    assert read.types[0] == (bytes((0, 1, 2, 3, 4, 5)), bytes((0, 1)))
    assert read.imports == (
        image.Import("env", "f", 0, 0),
        image.Import("env", "t", 1, "externref 1..2"),
        image.Import("env", "g", 3, "i32"),
        image.Import("env", "v", 3, "mut f64"),
    )
    assert len(read.functions) == 2
    assert read.tables == ("funcref 3..",)
    assert read.memories == ("1..300",)
    assert read.globals == (
        (0, False, "-2"),
        (1, True, str(0x123456789)),
        (2, False, "f32 0x3f800000"),
        (3, False, "f64 0x8000000000000000"),
        (0, False, "global 0"),
        (4, False, "func 1"),
        (5, False, "null"),
    )
    assert read.exports == (image.Export("run", 0, 1), image.Export("mem", 2, 0))
    assert read.start == 1
    assert read.elements == (
        image.Element(0, 4, 1, "1", ("func 1", "func 0")),
        image.Element(1, 4, 0, "", ("null", "func 2")),
        image.Element(2, 4, 0, "", ("func 2",)),
    )
    assert read.data == (
        image.Segment(0, "16", b"abc"),
        image.Segment(0, "global 0", b""),
        image.Segment(1, "", b"\0\xff"),
    )
    assert read.bodies == (b"one", b"two" * 100)
    assert read.names == ("env.f", "start", "other")


def test_empty_module() -> None:
    read = image.read_image(image.write_image(module("(module)"), []))
    assert read.sizes == {}
    assert read.names == ()


def test_number_of_bodies_is_checked() -> None:
    with pytest.raises(InternalError):
        image.write_image(module("(module (func))"), [])


def test_long_names() -> None:
    found = module(f'(module (func (export "{"é" * 2049}")))')
    with pytest.raises(UnsupportedError, match="4098 bytes; the limit is 4096"):
        image.write_image(found, [b""])
    found = module(f"(module (func ${'x' * 5000}))")
    assert image.read_image(image.write_image(found, [b""])).names == ("x" * 4096,)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d[:60], "shorter than a header"),
        (lambda d: b"x" + d[1:], "not an image"),
        (lambda d: d[:8] + bytes(8) + d[16:], "lower it again"),
        (lambda d: d + b"x", "size"),
        (lambda d: d[:64] + b"\xff" + d[65:], "section table"),
        (lambda d: d[:-4] + b"\xff" + d[-3:], "unexpected end"),
    ],
)
def test_reader_rejects(change: object, message: str) -> None:
    data = image.write_image(module("(module (func $abc))"), [b""])
    assert callable(change)
    with pytest.raises(image.ImageError, match=message):
        image.read_image(change(data))


def test_lowering_does_not_depend_on_the_number_of_processes() -> None:
    functions = "".join(
        f"(func $f{i} (param i32) (result i32) (local.get 0)"
        + "(i32.mul (i32.const 3)) (i32.add (local.get 0)) (i32.const 11) (i32.rotl)" * 40
        + ")"
        for i in range(300)
    )
    found = module(f"(module {functions})")
    seen: list[tuple[int, int]] = []
    one = lower(found, jobs=1)
    two = lower(found, jobs=2, progress=lambda done, total: seen.append((done, total)))
    assert one == two
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})
    assert seen[-1][0] == seen[-1][1]
    assert len(seen) > 1
    assert len(image.read_image(one).bodies) == 300


def test_a_failure_names_the_function(monkeypatch: pytest.MonkeyPatch) -> None:
    from pywasmjit.lower import pipeline

    def fail(fn: object) -> bytes:
        raise ValueError("no such luck")

    monkeypatch.setattr(pipeline, "allocate_and_emit", fail)
    with pytest.raises(InternalError, match=r"function 0 \(broken\).*no such luck"):
        lower(module("(module (func $broken))"), jobs=1)
