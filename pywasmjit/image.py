# SPDX-License-Identifier: GPL-2.0-only
"""The image that the core loads: writer around encoded bodies, and a reader for tools.

The format is that of kmod/core/image.h, which is the reference.  Sections without entries are
left out.  The writer's output depends on its arguments only.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from pywasmjit._isa import ISA_HASH
from pywasmjit.errors import InternalError, ModuleError, UnsupportedError
from pywasmjit.wasm import constants
from pywasmjit.wasm.module import ConstExpr, MemoryType, Module, TableType

MAGIC: Final = b"\0wjimg\0\1"
HEADER: Final = struct.Struct("<8sQII32sQ")
SECTION: Final = struct.Struct("<III")
(
    TYPES, IMPORTS, FUNCTIONS, TABLES, MEMORIES, GLOBALS, EXPORTS, START, ELEMENTS, DATA, CODE,
    NAMES,
) = range(1, 13)  # fmt: skip
SECTION_NAMES: Final = (
    "", "TYPES", "IMPORTS", "FUNCTIONS", "TABLES", "MEMORIES", "GLOBALS", "EXPORTS", "START",
    "ELEMENTS", "DATA", "CODE", "NAMES",
)  # fmt: skip
TYPE_NAMES: Final = ("i32", "i64", "f32", "f64", "funcref", "externref")
KIND_NAMES: Final = ("func", "table", "memory", "global")

_TYPE_BYTE: Final = {0x7F: 0, 0x7E: 1, 0x7D: 2, 0x7C: 3, 0x70: 4, 0x6F: 5}
_KIND_BYTE: Final = {name: i for i, name in enumerate(KIND_NAMES)}
_MODE_BYTE: Final = {"active": 0, "passive": 1, "declarative": 2}
_NULL_INIT: Final = b"\x05"

# Limits of image.h.
MAX_IMAGE_SIZE: Final = 256 << 20
MAX_NAME: Final = 4096


def _u32(value: int) -> bytes:
    if value < 0x80:
        return bytes((value,))
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _s64(value: int) -> bytes:
    out = bytearray()
    while not -64 <= value < 64:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value & 0x7F)
    return bytes(out)


def _name(text: str, what: str) -> bytes:
    data = text.encode("utf-8", "surrogatepass")
    if len(data) > MAX_NAME:
        raise UnsupportedError(f"{what} name of {len(data)} bytes; the limit is {MAX_NAME}")
    return _u32(len(data)) + data


def _limits(minimum: int, maximum: int | None) -> bytes:
    if maximum is None:
        return b"\0" + _u32(minimum)
    return b"\1" + _u32(minimum) + _u32(maximum)


_ARITHMETIC: Final = {"add": 16, "sub": 17, "mul": 18}
_ARITHMETIC_NAMES: Final = {code: name for name, code in _ARITHMETIC.items()}


def _init(module: Module, expr: ConstExpr) -> bytes:
    name, value = expr
    if name == "expr":
        folded = constants.fold(module.data, value)
        parts = [_init(module, step) for step in folded]
        return parts[0] if len(parts) == 1 else b"\6" + _u32(len(parts)) + b"".join(parts)
    if name in constants.ARITHMETIC:
        return bytes((_ARITHMETIC[name[4:]],))
    if name in ("i32.const", "i64.const"):
        return b"\0" + _s64(value)
    if name == "f32.const":
        return b"\1" + value.to_bytes(4, "little")
    if name == "f64.const":
        return b"\2" + value.to_bytes(8, "little")
    if name == "global.get":
        return b"\3" + _u32(value)
    if name == "ref.func":
        return b"\4" + _u32(value)
    if name == "ref.null":
        return _NULL_INIT
    raise InternalError(f"constant expression {name!r} in a validated module")


def _imports(module: Module) -> Iterable[bytes]:
    for entry in module.imports:
        yield _name(entry.module, "import") + _name(entry.name, "import")
        yield bytes((_KIND_BYTE[entry.kind],))
        kind = entry.type
        if isinstance(kind, int):
            yield _u32(kind)
        elif isinstance(kind, TableType):
            yield bytes((_TYPE_BYTE[kind.element],)) + _limits(kind.minimum, kind.maximum)
        elif isinstance(kind, MemoryType):
            yield _limits(kind.minimum, kind.maximum)
        else:
            yield bytes((_TYPE_BYTE[kind.type], kind.mutable))


def _elements(module: Module) -> Iterable[bytes]:
    for segment in module.elements:
        yield bytes((_MODE_BYTE[segment.mode], _TYPE_BYTE[segment.type]))
        if segment.offset is not None:
            yield _u32(segment.table) + _init(module, segment.offset)
        yield _u32(len(segment.init))
        for expr in segment.init:
            yield _init(module, expr)


def _data(module: Module) -> Iterable[bytes]:
    for segment in module.data_segments:
        yield bytes((_MODE_BYTE[segment.mode],))
        if segment.offset is not None:
            yield _init(module, segment.offset)
        yield _u32(segment.end - segment.start)
        yield module.data[segment.start : segment.end]


def _names(module: Module) -> Iterable[bytes]:
    imports = [f"{entry.module}.{entry.name}" for entry in module.imported_functions]
    own = range(len(imports), len(module.func_type_indices))
    for name in (*imports, *map(module.function_name, own)):
        data = name.encode("utf-8", "replace")
        if len(data) > MAX_NAME:
            data = data[:MAX_NAME].decode("utf-8", "ignore").encode()
        yield _u32(len(data)) + data


def _sections(module: Module, bodies: Sequence[bytes]) -> Iterable[tuple[int, bytes]]:
    def vector(section: int, count: int, parts: Iterable[bytes]) -> tuple[int, bytes]:
        return section, _u32(count) + b"".join(parts) if count else b""

    types = module.types
    yield vector(
        TYPES,
        len(types),
        (
            _u32(len(kinds)) + bytes(_TYPE_BYTE[t] for t in kinds)
            for signature in types
            for kinds in signature
        ),
    )
    yield vector(IMPORTS, len(module.imports), _imports(module))
    functions = module.functions
    yield vector(FUNCTIONS, len(functions), (_u32(f.type_index) for f in functions))
    yield vector(
        TABLES,
        len(module.tables),
        (bytes((_TYPE_BYTE[t.element],)) + _limits(*t[1:]) for t in module.tables),
    )
    yield vector(MEMORIES, len(module.memories), (_limits(*m) for m in module.memories))
    yield vector(
        GLOBALS,
        len(module.globals),
        (bytes((_TYPE_BYTE[g.type], g.mutable)) + _init(module, g.init) for g in module.globals),
    )
    yield vector(
        EXPORTS,
        len(module.exports),
        (
            _name(e.name, "export") + bytes((_KIND_BYTE[e.kind],)) + _u32(e.index)
            for e in module.exports
        ),
    )
    if module.start is not None:
        yield START, _u32(module.start)
    yield vector(ELEMENTS, len(module.elements), _elements(module))
    yield vector(DATA, len(module.data_segments), _data(module))
    yield CODE, b"".join(_u32(len(body)) + body for body in bodies)
    yield vector(NAMES, len(module.func_type_indices), _names(module))


def write_image(module: Module, bodies: Sequence[bytes]) -> bytes:
    """The image of a validated module.

    bodies: one encoded body (image.h, without its size field) per defined function, in order.
    """
    if len(bodies) != len(module.functions):
        raise InternalError(f"{len(bodies)} bodies for {len(module.functions)} functions")
    sections = [(section, data) for section, data in _sections(module, bodies) if data]
    offset = HEADER.size + SECTION.size * len(sections)
    table = bytearray()
    for section, data in sections:
        table += SECTION.pack(section, offset, len(data))
        offset += len(data)
    if offset > MAX_IMAGE_SIZE:
        raise UnsupportedError(f"image of {offset} bytes; the limit is {MAX_IMAGE_SIZE}")
    digest = hashlib.sha256(module.data).digest()
    header = HEADER.pack(MAGIC, ISA_HASH, offset, len(sections), digest, 0)
    return b"".join((header, table, *(data for _, data in sections)))


class ImageError(ModuleError):
    """The bytes are not an image in the format of this version."""

    kind = "bad image"


class Import(NamedTuple):
    """kind is an index into KIND_NAMES; type is the type index for functions, else text."""

    module: str
    name: str
    kind: int
    type: int | str


class Export(NamedTuple):
    """kind is an index into KIND_NAMES, number one into that kind's index space."""

    name: str
    kind: int
    number: int


class Element(NamedTuple):
    """offset and init as text, as in a global's initial value."""

    mode: int
    type: int
    table: int
    offset: str
    init: tuple[str, ...]


class Segment(NamedTuple):
    """offset as text, "" for a passive segment."""

    mode: int
    offset: str
    data: bytes


@dataclass(frozen=True)
class Image:
    """A parsed image; types are bytes as in TYPE_NAMES, bodies without their size field."""

    isa_hash: int
    sha256: bytes
    sizes: dict[int, int]
    types: tuple[tuple[bytes, bytes], ...]
    imports: tuple[Import, ...]
    functions: tuple[int, ...]
    tables: tuple[str, ...]
    memories: tuple[str, ...]
    globals: tuple[tuple[int, bool, str], ...]
    exports: tuple[Export, ...]
    start: int | None
    elements: tuple[Element, ...]
    data: tuple[Segment, ...]
    bodies: tuple[bytes, ...]
    names: tuple[str, ...]


class _Reader:
    def __init__(self, data: bytes, section: int, pos: int, end: int) -> None:
        self.data = data
        self.section = section
        self.pos = pos
        self.end = end

    def error(self, rule: str) -> ImageError:
        return ImageError(rule, section=SECTION_NAMES[self.section], offset=self.pos)

    def take(self, size: int) -> bytes:
        start = self.pos
        if size > self.end - start:
            raise self.error("unexpected end")
        self.pos += size
        return self.data[start : self.pos]

    def byte(self) -> int:
        return self.take(1)[0]

    def u32(self) -> int:
        value = shift = 0
        while True:
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value
            if shift > 28:
                raise self.error("number too long")

    def s64(self) -> int:
        value = shift = 0
        while True:
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value - (1 << shift) if byte & 0x40 else value
            if shift > 63:
                raise self.error("number too long")

    def name(self) -> str:
        return self.take(self.u32()).decode("utf-8", "surrogatepass")

    def limits(self) -> str:
        flags = self.byte()
        minimum = self.u32()
        return f"{minimum}..{self.u32()}" if flags else f"{minimum}.."

    def init(self) -> str:
        kind = self.byte()
        if kind == 0:
            return str(self.s64())
        if kind in (1, 2):
            bits = int.from_bytes(self.take(4 * kind), "little")
            return f"f{32 * kind} 0x{bits:0{8 * kind}x}"
        if kind in (3, 4):
            return f"{'global' if kind == 3 else 'func'} {self.u32()}"
        if kind == 5:
            return "null"
        if kind == 6:
            return f"({' '.join(self.init() for _ in range(self.u32()))})"
        if kind in _ARITHMETIC_NAMES:
            return _ARITHMETIC_NAMES[kind]
        raise self.error(f"initial value of kind {kind}")

    def import_(self) -> Import:
        module, name, kind = self.name(), self.name(), self.byte()
        if kind == 0:
            return Import(module, name, kind, self.u32())
        if kind == 1:
            return Import(module, name, kind, f"{TYPE_NAMES[self.byte()]} {self.limits()}")
        if kind == 2:
            return Import(module, name, kind, self.limits())
        type_byte, mutable = self.take(2)
        text = f"{'mut ' if mutable else ''}{TYPE_NAMES[type_byte]}"
        return Import(module, name, kind, text)

    def element(self) -> Element:
        mode, type_byte = self.take(2)
        table, offset = (self.u32(), self.init()) if mode == 0 else (0, "")
        return Element(mode, type_byte, table, offset, tuple(self.init() for _ in self.count()))

    def segment(self) -> Segment:
        mode = self.byte()
        offset = self.init() if mode == 0 else ""
        return Segment(mode, offset, self.take(self.u32()))

    def count(self) -> range:
        if self.pos == self.end:
            return range(0)
        count = self.u32()
        if count > self.end - self.pos:
            raise self.error("count exceeds the section")
        return range(count)


def read_image(data: bytes) -> Image:
    """Parse an image made by write_image; raises ImageError."""
    if len(data) < HEADER.size:
        raise ImageError("shorter than a header", offset=0)
    magic, isa_hash, size, count, sha256, _ = HEADER.unpack_from(data)
    if magic != MAGIC:
        raise ImageError("not an image (magic)", offset=0)
    if isa_hash != ISA_HASH:
        raise ImageError(
            "made for another version of the instruction set; lower it again", offset=8
        )
    if size != len(data) or count >= len(SECTION_NAMES):
        raise ImageError(f"size {size} in the header of {len(data)} bytes", offset=16)
    places = dict.fromkeys(range(1, len(SECTION_NAMES)), (0, 0))
    for i in range(count):
        section, offset, length = SECTION.unpack_from(data, HEADER.size + i * SECTION.size)
        if section not in places or offset + length > len(data):
            raise ImageError("bad section table", offset=HEADER.size + i * SECTION.size)
        places[section] = (offset, offset + length)

    def reader(section: int) -> _Reader:
        return _Reader(data, section, *places[section])

    r = reader(TYPES)
    types = tuple((r.take(r.u32()), r.take(r.u32())) for _ in r.count())
    r = reader(IMPORTS)
    imports = tuple(r.import_() for _ in r.count())
    r = reader(FUNCTIONS)
    functions = tuple(r.u32() for _ in r.count())
    r = reader(TABLES)
    tables = tuple(f"{TYPE_NAMES[r.byte()]} {r.limits()}" for _ in r.count())
    r = reader(MEMORIES)
    memories = tuple(r.limits() for _ in r.count())
    r = reader(GLOBALS)
    globals_ = tuple((r.byte(), bool(r.byte()), r.init()) for _ in r.count())
    r = reader(EXPORTS)
    exports = tuple(Export(r.name(), r.byte(), r.u32()) for _ in r.count())
    r = reader(START)
    start = r.u32() if r.pos < r.end else None
    r = reader(ELEMENTS)
    elements = tuple(r.element() for _ in r.count())
    r = reader(DATA)
    segments = tuple(r.segment() for _ in r.count())
    r = reader(CODE)
    bodies = tuple(r.take(r.u32()) for _ in functions)
    r = reader(NAMES)
    names = tuple(r.name() for _ in r.count())
    sizes = {s: end - begin for s, (begin, end) in places.items() if end > begin}
    return Image(
        isa_hash, sha256, sizes, types, imports, functions, tables, memories, globals_, exports,
        start, elements, segments, bodies, names,
    )  # fmt: skip
