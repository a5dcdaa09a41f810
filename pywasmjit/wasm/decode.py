# SPDX-License-Identifier: GPL-2.0-only
"""Decode the binary format (WebAssembly core specification 2.0, chapter 5).

Function bodies are only delimited here; their instructions are decoded while they are validated,
so that every body byte is read once.  A module is well formed when both have passed.
"""

from __future__ import annotations

from typing import Final

from pywasmjit.errors import DecodeError, ModuleError, UnsupportedError
from pywasmjit.wasm.disasm import read_ref_type, read_value_type, skip_expression
from pywasmjit.wasm.leb128 import read_s32, read_s64, read_u32
from pywasmjit.wasm.module import (
    SECTION_NAMES,
    ConstExpr,
    CustomSection,
    DataSegment,
    ElementSegment,
    Export,
    ExternalKind,
    Function,
    FuncType,
    Global,
    GlobalType,
    Import,
    MemoryType,
    Module,
    Section,
    SegmentMode,
    TableType,
)
from pywasmjit.wasm.opcodes import (
    END,
    F32_CONST,
    F64_CONST,
    FUNCREF,
    GLOBAL_GET,
    I32_CONST,
    I64_CONST,
    REF_FUNC,
    REF_NULL,
)

_KINDS: Final[tuple[ExternalKind, ...]] = ("func", "table", "memory", "global")

# Section ids in the order the file must have them (5.5.2): the data count section, id 12, stands
# between the element and the code section.
_ORDER: Final = {1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 6, 7: 7, 8: 8, 9: 9, 12: 10, 10: 11, 11: 12}

# Element segment flags (5.5.12), bits 0 and 1: which kind of segment.
_SEGMENT_MODES: Final[tuple[SegmentMode, ...]] = ("active", "passive", "active", "declarative")

_END_OF_SECTION: Final = "unexpected end of section or function"
_OUT_OF_BOUNDS: Final = "length out of bounds: unexpected end of section or function"


def decode(data: bytes) -> Module:
    """Decode a binary module.

    Raises DecodeError (malformed) or UnsupportedError (SIMD, threads, 64-bit memory).  The result
    still has to pass validate().
    """
    decoder = _Decoder(bytes(data))
    try:
        return decoder.module()
    except IndexError:
        raise DecodeError(
            _END_OF_SECTION, section=decoder.section, offset=len(decoder.data)
        ) from None
    except ModuleError as error:
        raise type(error)(error.rule, section=decoder.section, offset=error.offset) from None


class _Decoder:
    """One pass over the sections; methods take a position and return the position after."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.section = ""
        self.types: list[FuncType] = []
        self.imports: list[Import] = []
        self.type_indices: list[int] = []
        self.tables: list[TableType] = []
        self.memories: list[MemoryType] = []
        self.globals: list[Global] = []
        self.exports: list[Export] = []
        self.start: int | None = None
        self.elements: list[ElementSegment] = []
        self.data_count: int | None = None
        self.functions: list[Function] = []
        self.data_segments: list[DataSegment] = []
        self.custom_sections: list[CustomSection] = []
        self.sections: list[Section] = []

    def module(self) -> Module:
        data = self.data
        if len(data) < 4:
            raise IndexError
        if data[:4] != b"\0asm":
            raise DecodeError("magic header not detected: not a WebAssembly binary", offset=0)
        if len(data) < 8:
            raise IndexError
        if data[4:8] != b"\1\0\0\0":
            raise DecodeError(
                f"unknown binary version {int.from_bytes(data[4:8], 'little')}, expected 1",
                offset=4,
            )
        readers = {
            0: self._custom,
            1: self._types,
            2: self._imports,
            3: self._functions,
            4: self._tables,
            5: self._memories,
            6: self._globals,
            7: self._exports,
            8: self._start,
            9: self._elements,
            10: self._code,
            11: self._data,
            12: self._data_count,
        }
        pos = 8
        last = 0
        while pos < len(data):
            self.section = ""
            number = data[pos]
            if number not in readers:
                hint = ""
                if number == 13:
                    hint = ": exception handling is not supported, build with -fexceptions"
                elif number >= 0x80:
                    hint = ": integer representation too long"
                raise DecodeError(f"malformed section id {number}{hint}", offset=pos)
            at = pos
            size, pos = read_u32(data, pos + 1)
            self.section = SECTION_NAMES[number]
            end = pos + size
            if end > len(data):
                raise DecodeError(_OUT_OF_BOUNDS, offset=at)
            if number != 0:
                if _ORDER[number] <= last:
                    raise DecodeError(
                        f"unexpected content after last section: a second or misplaced "
                        f"{self.section} section",
                        offset=at,
                    )
                last = _ORDER[number]
            self.sections.append(Section(number, pos, end))
            pos = readers[number](pos, end)
            if pos > end:
                raise DecodeError(_END_OF_SECTION, offset=end)
            if pos != end:
                raise DecodeError(
                    f"section size mismatch: {end - pos} bytes after the last entry", offset=pos
                )
        self.section = "code"
        if len(self.functions) != len(self.type_indices):
            raise DecodeError(
                "function and code section have inconsistent lengths: "
                f"{len(self.type_indices)} and {len(self.functions)}",
                offset=len(data),
            )
        self.section = "data"
        if self.data_count is not None and self.data_count != len(self.data_segments):
            raise DecodeError(
                "data count and data section have inconsistent lengths: "
                f"{self.data_count} and {len(self.data_segments)}",
                offset=len(data),
            )
        return Module(
            data=data,
            types=tuple(self.types),
            imports=tuple(self.imports),
            functions=tuple(self.functions),
            tables=tuple(self.tables),
            memories=tuple(self.memories),
            globals=tuple(self.globals),
            exports=tuple(self.exports),
            start=self.start,
            elements=tuple(self.elements),
            data_segments=tuple(self.data_segments),
            data_count=self.data_count,
            custom_sections=tuple(self.custom_sections),
            sections=tuple(self.sections),
        )

    # Pieces shared by sections

    def _count(self, pos: int, end: int) -> tuple[int, int]:
        """Length of a vector; bounded by the bytes left so that memory use is, too."""
        count, pos = read_u32(self.data, pos)
        if pos > end:
            raise DecodeError(_END_OF_SECTION, offset=end)
        if count > len(self.data) - pos:
            raise DecodeError(_OUT_OF_BOUNDS, offset=pos)
        return count, pos

    def _name(self, pos: int, end: int) -> tuple[str, int]:
        size, pos = read_u32(self.data, pos)
        stop = pos + size
        if stop > end:
            raise DecodeError(_OUT_OF_BOUNDS, offset=pos)
        try:
            return self.data[pos:stop].decode("utf-8"), stop
        except UnicodeDecodeError as error:
            raise DecodeError(
                "malformed UTF-8 encoding in a name", offset=pos + error.start
            ) from None

    def _limits(self, pos: int, what: str) -> tuple[int, int | None, int]:
        data = self.data
        flags = data[pos]
        if flags >= 0x80:
            raise DecodeError("integer representation too long: limits flag", offset=pos)
        if flags == 3 and what == "memory":
            raise UnsupportedError(
                "shared memory (threads) is not supported: build without -pthread", offset=pos
            )
        if 4 <= flags <= 7:
            raise UnsupportedError(
                "64-bit memories and tables are not supported: build for wasm32", offset=pos
            )
        if flags > 1:
            raise DecodeError(f"integer too large: {what} limits flag {flags}", offset=pos)
        minimum, pos = read_u32(data, pos + 1)
        if flags == 0:
            return minimum, None, pos
        maximum, pos = read_u32(data, pos)
        return minimum, maximum, pos

    def _table_type(self, pos: int) -> tuple[TableType, int]:
        element = read_ref_type(self.data, pos)
        minimum, maximum, pos = self._limits(pos + 1, "table")
        return TableType(element, minimum, maximum), pos

    def _memory_type(self, pos: int) -> tuple[MemoryType, int]:
        minimum, maximum, pos = self._limits(pos, "memory")
        return MemoryType(minimum, maximum), pos

    def _global_type(self, pos: int) -> tuple[GlobalType, int]:
        value_type = read_value_type(self.data, pos)
        mutability = self.data[pos + 1]
        if mutability > 1:
            raise DecodeError(f"malformed mutability {mutability}", offset=pos + 1)
        return GlobalType(value_type, mutability == 1), pos + 2

    def _const_expr(self, pos: int) -> tuple[ConstExpr, int]:
        """A constant expression (5.4.9): one constant instruction and `end` in valid modules."""
        data = self.data
        start = pos
        op = data[pos]
        pos += 1
        expr: ConstExpr | None = None
        if op == I32_CONST:
            value, pos = read_s32(data, pos)
            expr = ("i32.const", value)
        elif op == I64_CONST:
            value, pos = read_s64(data, pos)
            expr = ("i64.const", value)
        elif op == F32_CONST:
            expr = ("f32.const", int.from_bytes(data[pos : pos + 4], "little"))
            pos += 4
        elif op == F64_CONST:
            expr = ("f64.const", int.from_bytes(data[pos : pos + 8], "little"))
            pos += 8
        elif op == GLOBAL_GET:
            value, pos = read_u32(data, pos)
            expr = ("global.get", value)
        elif op == REF_FUNC:
            value, pos = read_u32(data, pos)
            expr = ("ref.func", value)
        elif op == REF_NULL:
            expr = ("ref.null", read_ref_type(data, pos))
            pos += 1
        if expr is not None and data[pos] == END:
            return expr, pos + 1
        return ("expr", start), skip_expression(data, start)

    # Sections (5.5.3 - 5.5.16)

    def _custom(self, pos: int, end: int) -> int:
        name, pos = self._name(pos, end)
        self.custom_sections.append(CustomSection(name, pos, end))
        return end

    def _types(self, pos: int, end: int) -> int:
        data = self.data
        count, pos = self._count(pos, end)
        for _ in range(count):
            form = data[pos]
            if form != 0x60:
                if form >= 0x80:
                    raise DecodeError("integer representation too long: type form", offset=pos)
                raise DecodeError(f"malformed function type 0x{form:02x}", offset=pos)
            size, pos = self._count(pos + 1, end)
            params = tuple(read_value_type(data, i) for i in range(pos, pos + size))
            pos += size
            size, pos = self._count(pos, end)
            results = tuple(read_value_type(data, i) for i in range(pos, pos + size))
            pos += size
            self.types.append(FuncType(params, results))
        return pos

    def _imports(self, pos: int, end: int) -> int:
        data = self.data
        count, pos = self._count(pos, end)
        for _ in range(count):
            if pos >= end:
                raise DecodeError(_END_OF_SECTION, offset=pos)
            module, pos = self._name(pos, end)
            name, pos = self._name(pos, end)
            kind = data[pos]
            target: int | TableType | MemoryType | GlobalType
            if kind == 0:
                target, pos = read_u32(data, pos + 1)
            elif kind == 1:
                target, pos = self._table_type(pos + 1)
            elif kind == 2:
                target, pos = self._memory_type(pos + 1)
            elif kind == 3:
                target, pos = self._global_type(pos + 1)
            else:
                raise DecodeError(f"malformed import kind {kind} of {module}.{name}", offset=pos)
            self.imports.append(Import(module, name, _KINDS[kind], target))
        return pos

    def _functions(self, pos: int, end: int) -> int:
        count, pos = self._count(pos, end)
        for _ in range(count):
            index, pos = read_u32(self.data, pos)
            self.type_indices.append(index)
        return pos

    def _tables(self, pos: int, end: int) -> int:
        count, pos = self._count(pos, end)
        for _ in range(count):
            table, pos = self._table_type(pos)
            self.tables.append(table)
        return pos

    def _memories(self, pos: int, end: int) -> int:
        count, pos = self._count(pos, end)
        for _ in range(count):
            memory, pos = self._memory_type(pos)
            self.memories.append(memory)
        return pos

    def _globals(self, pos: int, end: int) -> int:
        count, pos = self._count(pos, end)
        for _ in range(count):
            (value_type, mutable), pos = self._global_type(pos)
            init, pos = self._const_expr(pos)
            self.globals.append(Global(value_type, mutable, init))
        return pos

    def _exports(self, pos: int, end: int) -> int:
        count, pos = self._count(pos, end)
        for _ in range(count):
            name, pos = self._name(pos, end)
            kind = self.data[pos]
            if kind > 3:
                raise DecodeError(f"malformed export kind {kind} of {name}", offset=pos)
            index, pos = read_u32(self.data, pos + 1)
            self.exports.append(Export(name, _KINDS[kind], index))
        return pos

    def _start(self, pos: int, end: int) -> int:
        self.start, pos = read_u32(self.data, pos)
        return pos

    def _elements(self, pos: int, end: int) -> int:
        data = self.data
        count, pos = self._count(pos, end)
        for _ in range(count):
            at = pos
            flags, pos = read_u32(data, pos)
            if flags > 7:
                raise DecodeError(f"malformed elements segment kind {flags}", offset=at)
            mode = _SEGMENT_MODES[flags & 3]
            table = 0
            offset: ConstExpr | None = None
            if mode == "active":
                if flags & 2:
                    table, pos = read_u32(data, pos)
                offset, pos = self._const_expr(pos)
            element_type = FUNCREF
            if flags & 3:
                if flags & 4:
                    element_type = read_ref_type(data, pos)
                elif data[pos] != 0:
                    raise DecodeError(f"malformed element kind {data[pos]}", offset=pos)
                pos += 1
            size, pos = self._count(pos, end)
            init: list[ConstExpr] = []
            for _ in range(size):
                if flags & 4:
                    expr, pos = self._const_expr(pos)
                    init.append(expr)
                else:
                    index, pos = read_u32(data, pos)
                    init.append(("ref.func", index))
            self.elements.append(ElementSegment(mode, table, offset, element_type, tuple(init), at))
        return pos

    def _data_count(self, pos: int, end: int) -> int:
        self.data_count, pos = read_u32(self.data, pos)
        return pos

    def _code(self, pos: int, end: int) -> int:
        data = self.data
        count, pos = self._count(pos, end)
        if count != len(self.type_indices):
            raise DecodeError(
                "function and code section have inconsistent lengths: "
                f"{len(self.type_indices)} and {count}",
                offset=pos,
            )
        for type_index in self.type_indices:
            size, pos = read_u32(data, pos)
            stop = pos + size
            if stop > end:
                raise DecodeError(_OUT_OF_BOUNDS, offset=pos)
            runs = data[pos]
            pos += 1
            if runs == 0:
                self.functions.append(Function(type_index, (), pos, stop))
                pos = stop
                continue
            runs, pos = self._count(pos - 1, stop)
            local_runs = []
            total = 0
            for _ in range(runs):
                at = pos
                number, pos = read_u32(data, pos)
                value_type = read_value_type(data, pos)
                pos += 1
                total += number
                if total > 0xFFFFFFFF:
                    raise DecodeError(f"too many locals: {total}", offset=at)
                if number:
                    local_runs.append((number, value_type))
            if pos > stop:
                raise DecodeError(_END_OF_SECTION, offset=stop)
            self.functions.append(Function(type_index, tuple(local_runs), pos, stop))
            pos = stop
        return pos

    def _data(self, pos: int, end: int) -> int:
        data = self.data
        append = self.data_segments.append
        count, pos = self._count(pos, end)
        for _ in range(count):
            at = pos
            flags, pos = read_u32(data, pos)
            offset: ConstExpr | None
            memory = 0
            mode: SegmentMode = "active"
            if flags == 0:
                offset, pos = self._const_expr(pos)
            elif flags == 1:
                mode = "passive"
                offset = None
            elif flags == 2:
                memory, pos = read_u32(data, pos)
                offset, pos = self._const_expr(pos)
            else:
                raise DecodeError(f"malformed data segment kind {flags}", offset=at)
            size, pos = read_u32(data, pos)
            stop = pos + size
            if stop > end:
                raise DecodeError(_OUT_OF_BOUNDS, offset=pos)
            append(DataSegment(mode, memory, offset, pos, stop))
            pos = stop
        return pos
