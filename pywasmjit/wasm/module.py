# SPDX-License-Identifier: GPL-2.0-only
"""A decoded WebAssembly module (core specification 2.0, section 2.5).

Value types are ints: their byte in the binary format (opcodes.I32 and so on).  Offsets are byte
offsets into Module.data, the original file.  Index spaces start with the imports, as in the
specification; `functions`, `tables`, `memories`, `globals` hold only what the module defines.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

from pywasmjit.wasm.names import Names, parse_name_section

ExternalKind = Literal["func", "table", "memory", "global"]
SegmentMode = Literal["active", "passive", "declarative"]

ConstExpr = tuple[str, int]
"""A constant expression in small form.

("i32.const", signed value), ("i64.const", signed value), ("f32.const", bits), ("f64.const", bits),
("global.get", index), ("ref.func", index), ("ref.null", reference type); and
("expr", offset of its first byte): several instructions (constants.py), or before validation any other.
"""


class FuncType(NamedTuple):
    """A function type: tuples of value types."""

    params: tuple[int, ...]
    results: tuple[int, ...]


class TableType(NamedTuple):
    """element: FUNCREF or EXTERNREF; sizes in entries, maximum None when there is none."""

    element: int
    minimum: int
    maximum: int | None


class MemoryType(NamedTuple):
    """Sizes in pages of 64 KiB; maximum None when there is none."""

    minimum: int
    maximum: int | None


class GlobalType(NamedTuple):
    """A value type and whether global.set may change it."""

    type: int
    mutable: bool


class Import(NamedTuple):
    """type is an index into Module.types for kind "func", else that kind's type."""

    module: str
    name: str
    kind: ExternalKind
    type: int | TableType | MemoryType | GlobalType


@dataclass(frozen=True, slots=True)
class Export:
    """index is in the index space of its kind."""

    name: str
    kind: ExternalKind
    index: int


class Function(NamedTuple):
    """A defined function.

    locals: runs (count, value type), parameters not included.
    start, end: the instructions, from the first opcode to after the final `end`.
    """

    type_index: int
    locals: tuple[tuple[int, int], ...]
    start: int
    end: int


class Global(NamedTuple):
    """A defined global."""

    type: int
    mutable: bool
    init: ConstExpr


class ElementSegment(NamedTuple):
    """table and offset are 0 and None unless mode is "active"; at is the segment's byte offset."""

    mode: SegmentMode
    table: int
    offset: ConstExpr | None
    type: int
    init: tuple[ConstExpr, ...]
    at: int


class DataSegment(NamedTuple):
    """Bytes Module.data[start:end]; memory and offset are 0 and None unless mode is "active"."""

    mode: SegmentMode
    memory: int
    offset: ConstExpr | None
    start: int
    end: int


class CustomSection(NamedTuple):
    """Contents are Module.data[start:end], after the name."""

    name: str
    start: int
    end: int


class Section(NamedTuple):
    """One section as found in the file: id, and its contents' range."""

    id: int
    start: int
    end: int


SECTION_NAMES = (
    "custom",
    "type",
    "import",
    "function",
    "table",
    "memory",
    "global",
    "export",
    "start",
    "element",
    "code",
    "data",
    "data count",
)


@dataclass(frozen=True, eq=False)
class Module:
    """A decoded module; see the module docstring for conventions.

    Attributes:
        data: the file.
        types: the type section.
        imports: in file order.
        functions, tables, memories, globals: defined here, without imports.
        exports: in file order.
        start: function index of the start function, or None.
        elements, data_segments: in file order.
        data_count: value of the data count section, or None without one.
        custom_sections: in file order.
        sections: every section in file order.
    """

    data: bytes
    types: tuple[FuncType, ...]
    imports: tuple[Import, ...]
    functions: tuple[Function, ...]
    tables: tuple[TableType, ...]
    memories: tuple[MemoryType, ...]
    globals: tuple[Global, ...]
    exports: tuple[Export, ...]
    start: int | None
    elements: tuple[ElementSegment, ...]
    data_segments: Sequence[DataSegment]
    data_count: int | None
    custom_sections: tuple[CustomSection, ...]
    sections: tuple[Section, ...]

    def __repr__(self) -> str:
        return (
            f"<Module {len(self.data)} bytes, {len(self.imports)} imports, "
            f"{len(self.functions)} functions>"
        )

    @cached_property
    def imported_functions(self) -> tuple[Import, ...]:
        """Imports of functions: function indices 0 to len - 1."""
        return tuple(i for i in self.imports if i.kind == "func")

    @cached_property
    def num_imported_functions(self) -> int:
        """Index of the first defined function."""
        return len(self.imported_functions)

    @cached_property
    def num_imported_tables(self) -> int:
        """Index of the first defined table."""
        return sum(i.kind == "table" for i in self.imports)

    @cached_property
    def num_imported_memories(self) -> int:
        """Index of the first defined memory."""
        return sum(i.kind == "memory" for i in self.imports)

    @cached_property
    def num_imported_globals(self) -> int:
        """Index of the first defined global."""
        return sum(i.kind == "global" for i in self.imports)

    @cached_property
    def func_type_indices(self) -> tuple[int, ...]:
        """Type index of every function of the function index space."""
        imported = [i.type for i in self.imports if isinstance(i.type, int)]
        return (*imported, *(f.type_index for f in self.functions))

    @cached_property
    def table_types(self) -> tuple[TableType, ...]:
        """Every table of the table index space."""
        return (*(i.type for i in self.imports if isinstance(i.type, TableType)), *self.tables)

    @cached_property
    def memory_types(self) -> tuple[MemoryType, ...]:
        """Every memory of the memory index space."""
        return (*(i.type for i in self.imports if isinstance(i.type, MemoryType)), *self.memories)

    @cached_property
    def global_types(self) -> tuple[GlobalType, ...]:
        """Every global of the global index space."""
        imported = (i.type for i in self.imports if isinstance(i.type, GlobalType))
        return (*imported, *(GlobalType(g.type, g.mutable) for g in self.globals))

    @cached_property
    def names(self) -> Names:
        """The name section (appendix 7.4.1); empty when absent, partial when malformed."""
        for section in self.custom_sections:
            if section.name == "name":
                return parse_name_section(self.data, section.start, section.end)
        return Names(None, {}, {})

    @cached_property
    def _exported_function_names(self) -> dict[int, str]:
        return {e.index: e.name for e in reversed(self.exports) if e.kind == "func"}

    def func_type(self, index: int) -> FuncType:
        """Type of a function, by its index in the function index space."""
        return self.types[self.func_type_indices[index]]

    def function_name(self, index: int) -> str:
        """A function's name for people: name section, else import, else export, else "func[12]"."""
        name = self.names.functions.get(index)
        if name is not None:
            return name
        if index < self.num_imported_functions:
            imported = self.imported_functions[index]
            return f"{imported.module}.{imported.name}"
        name = self._exported_function_names.get(index)
        return name if name is not None else f"func[{index}]"

    def section_at(self, offset: int) -> str:
        """Name of the section that holds a byte offset, "" outside of all."""
        for section in self.sections:
            if section.start <= offset < section.end:
                return SECTION_NAMES[section.id]
        return ""
