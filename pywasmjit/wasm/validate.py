# SPDX-License-Identifier: GPL-2.0-only
"""Validate modules (WebAssembly core specification 2.0, chapter 3).

The algorithm for function bodies is that of appendix 7.3, one pass, with two changes for speed:

- A sentinel lies on the operand stack below each block's own operands, so popping needs no test
  of the stack's height: running into the sentinel, which equals no type, takes the slow path,
  and only that asks whether the code is unreachable.
- Operators with fixed types are driven by lists indexed by opcode, derived from opcodes.OPCODES.

Bodies are decoded here as well: malformed instructions raise DecodeError.  Where a body is both
malformed and invalid, malformed wins, as if decoding had come first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pywasmjit.errors import DecodeError, ModuleError, UnsupportedError, ValidationError
from pywasmjit.wasm.constants import ARITHMETIC, steps
from pywasmjit.wasm.disasm import (
    SIMD_UNSUPPORTED,
    check_syntax,
    read_ref_type,
    read_value_type,
)
from pywasmjit.wasm.leb128 import read_s32, read_s33, read_s64, read_u32
from pywasmjit.wasm.module import ConstExpr, Function, GlobalType, Module, TableType
from pywasmjit.wasm.opcodes import (
    BY_CODE,
    EMPTY_BLOCK,
    EXTERNREF,
    F32,
    F64,
    FUNCREF,
    I32,
    I64,
    OPCODES,
    VALUE_TYPE_NAMES,
    Imm,
)

# Implementation limits, those of the WebAssembly JavaScript interface; they bound the memory that
# a hostile module can make this process use.
MAX_PARAMS: Final = 1000
MAX_RESULTS: Final = 1000
MAX_LOCALS: Final = 50_000
MAX_BODY_SIZE: Final = 7_654_321
MAX_OPERANDS: Final = 1_000_000

MAX_PAGES: Final = 65_536

_UNKNOWN: Final = 0  # the bottom type: an operand that unreachable code conjured up
_SENTINEL: Final = -1
# Opcodes of later versions that compilers only emit when told to.
_TAIL_CALLS: Final = ": tail calls are not supported, build with -mno-tail-call"
_PROPOSALS: Final = {0x12: _TAIL_CALLS, 0x13: _TAIL_CALLS}

_TYPE_NAMES: Final = VALUE_TYPE_NAMES | {_UNKNOWN: "any type", _SENTINEL: "nothing"}

_Types = list[int]
_Signature = tuple[_Types, _Types]


class _Invalid(Exception):
    """A broken rule; the caller adds where."""


@dataclass(frozen=True, eq=False)
class Context:
    """What function bodies are validated against (3.1.1): made once per module.

    Lists by index space; signatures as (parameters, results) lists so that they compare with
    slices of the operand stack.
    """

    types: list[_Signature]
    functions: list[_Signature]
    tables: tuple[TableType, ...]
    globals: tuple[GlobalType, ...]
    has_memory: bool
    elements: list[int]
    num_data: int
    has_data_count: bool
    declared: frozenset[int]
    block_types: dict[int, _Signature]
    natural: list[int]


def _operator_lists() -> tuple[list[int], list[bool], list[int]]:
    """Operand type, whether there are two operands, and result type, by single-byte opcode.

    Only for operators that take one or two operands of one type and return one; 0 elsewhere.
    """
    operand = [0] * 256
    binary = [False] * 256
    result = [0] * 256
    for row in OPCODES:
        if row.imm is Imm.NONE and row.params and row.results and row.code < 256:
            assert row.params in (row.params[:1], row.params[:1] * 2)
            operand[row.code] = row.params[0]
            binary[row.code] = len(row.params) == 2
            result[row.code] = row.results[0]
    return operand, binary, result


def _memory_lists() -> tuple[list[int], list[int]]:
    """Natural alignment and value type of the single-byte memory accesses, else -1 and 0."""
    align = [-1] * 256
    value = [0] * 256
    for row in OPCODES:
        if row.imm is Imm.MEMARG and row.code < 256:
            assert row.params is not None and row.results is not None
            align[row.code] = row.align
            value[row.code] = row.results[0] if row.results else row.params[1]
    return align, value


_OPERAND, _BINARY, _RESULT = _operator_lists()
_NATURAL, _MEMORY_VALUE = _memory_lists()


def validate(module: Module) -> None:
    """Validate a whole module.

    Raises ValidationError (invalid), DecodeError (malformed function body) or UnsupportedError.
    """
    context = validate_module(module)
    first = module.num_imported_functions
    for index in range(first, first + len(module.functions)):
        validate_function(module, index, context)


def validate_module(module: Module) -> Context:
    """Validate everything but function bodies (3.4); returns what those are validated against."""
    _check_types(module)
    _check_imports(module)
    context = _make_context(module)
    _check_tables_and_memories(module)
    _check_globals(module)
    _check_segments(module)
    _check_exports_and_start(module)
    return context


def make_context(module: Module) -> Context:
    """The context alone, for validate_function in another process; checks no more than it needs."""
    _check_types(module)
    _check_imports(module)
    return _make_context(module)


def validate_function(module: Module, index: int, context: Context | None = None) -> None:
    """Validate the body of one defined function.

    index is in the function index space (at least module.num_imported_functions).  Pass the
    context from validate_module() or make_context() when validating many.
    Raises ValidationError, DecodeError or UnsupportedError, with the function's name.
    """
    if context is None:
        context = make_context(module)
    function = module.functions[index - module.num_imported_functions]
    try:
        _validate_body(module.data, function, context)
    except ModuleError as error:
        raise type(error)(
            error.rule,
            section="code",
            offset=error.offset,
            function=index,
            function_name=module.function_name(index),
        ) from None


# Module level


def _fail(rule: str, section: str, offset: int | None = None) -> ValidationError:
    return ValidationError(rule, section=section, offset=offset)


def _check_types(module: Module) -> None:
    for index, (params, results) in enumerate(module.types):
        if len(params) > MAX_PARAMS or len(results) > MAX_RESULTS:
            raise UnsupportedError(
                f"type {index} has {len(params)} parameters and {len(results)} results, "
                f"implementation limits are {MAX_PARAMS} and {MAX_RESULTS}",
                section="type",
            )


def _check_imports(module: Module) -> None:
    limit = len(module.types)
    for item in module.imports:
        if isinstance(item.type, int) and item.type >= limit:
            raise _fail(f"unknown type {item.type} of import {item.module}.{item.name}", "import")
    for number, function in enumerate(module.functions):
        if function.type_index >= limit:
            index = number + module.num_imported_functions
            raise _fail(f"unknown type {function.type_index} of function {index}", "function")


def _check_limits(minimum: int, maximum: int | None, section: str, what: str) -> None:
    if maximum is not None and minimum > maximum:
        raise _fail(
            f"size minimum must not be greater than maximum: {what} has {minimum} and {maximum}",
            section,
        )


def _check_tables_and_memories(module: Module) -> None:
    for index, table in enumerate(module.table_types):
        section = "import" if index < module.num_imported_tables else "table"
        _check_limits(table.minimum, table.maximum, section, f"table {index}")
    for index, memory in enumerate(module.memory_types):
        section = "import" if index < module.num_imported_memories else "memory"
        for pages in memory:
            if pages is not None and pages > MAX_PAGES:
                raise _fail(
                    f"memory size must be at most 65536 pages (4GiB), memory {index} has {pages}",
                    section,
                )
        _check_limits(memory.minimum, memory.maximum, section, f"memory {index}")
    if len(module.memory_types) > 1:
        section = "import" if module.num_imported_memories > 1 else "memory"
        raise _fail(f"multiple memories: {len(module.memory_types)}", section)


def _check_const(module: Module, expr: ConstExpr, expected: int, section: str) -> None:
    """Constant expressions (3.3.9); globals in them must be imported and immutable (3.4.10)."""
    kind, value = expr
    if kind == "expr":
        found = _expression_type(module, value, section)
    else:
        found = _const_type(module, kind, value, section)
    if found != expected:
        raise _fail(
            f"type mismatch: constant expression has type {_TYPE_NAMES[found]}, "
            f"expected {_TYPE_NAMES[expected]}",
            section,
        )


def _const_type(module: Module, kind: str, value: int, section: str) -> int:
    if kind == "ref.func":
        if value >= len(module.func_type_indices):
            raise _fail(f"unknown function {value} in a constant expression", section)
        return FUNCREF
    if kind == "ref.null":
        return value
    if kind == "global.get":
        if value >= module.num_imported_globals:
            raise _fail(
                f"unknown global {value}: a constant expression may only use imported globals",
                section,
            )
        global_type = module.global_types[value]
        if global_type.mutable:
            raise _fail(f"constant expression required: global {value} is mutable", section)
        return global_type.type
    return {"i32.const": I32, "i64.const": I64, "f32.const": F32, "f64.const": F64}[kind]


_CONSTANT: Final = frozenset(
    {"i32.const", "i64.const", "f32.const", "f64.const", "global.get", "ref.func", "ref.null"}
)


def _expression_type(module: Module, offset: int, section: str) -> int:
    """Type of the expression of several instructions (or none) at offset."""
    stack: list[int] = []
    for step in steps(module.data, offset):
        if step.name in _CONSTANT:
            stack.append(_const_type(module, step.name, step.value, section))
        elif step.name in ARITHMETIC:
            operand = I32 if step.name.startswith("i32") else I64
            if stack[-2:] != [operand, operand]:
                raise _fail(
                    f"type mismatch: operands of {step.name} in a constant expression", section, step.offset
                )
            stack.pop()
        else:
            raise _fail(f"constant expression required, found {step.name}", section, step.offset)
    if len(stack) != 1:
        raise _fail("type mismatch: a constant expression must leave exactly one value", section, offset)
    return stack[0]


def _check_globals(module: Module) -> None:
    for item in module.globals:
        _check_const(module, item.init, item.type, "global")


def _check_segments(module: Module) -> None:
    tables = module.table_types
    for number, element in enumerate(module.elements):
        if element.mode == "active":
            if element.table >= len(tables):
                raise _fail(
                    f"unknown table {element.table} in element segment {number}",
                    "element",
                    element.at,
                )
            if tables[element.table].element != element.type:
                raise _fail(
                    f"type mismatch: element segment {number} of {_TYPE_NAMES[element.type]}, "
                    f"table {element.table} of {_TYPE_NAMES[tables[element.table].element]}",
                    "element",
                    element.at,
                )
            assert element.offset is not None
            _check_const(module, element.offset, I32, "element")
        num_functions = len(module.func_type_indices)
        is_func = element.type == FUNCREF
        for expr in element.init:
            if is_func and expr[0] == "ref.func" and expr[1] < num_functions:
                continue
            _check_const(module, expr, element.type, "element")
    num_memories = len(module.memory_types)
    for segment in module.data_segments:
        offset = segment.offset
        if offset is not None:
            if segment.memory >= num_memories:
                raise _fail(f"unknown memory {segment.memory}", "data", segment.start)
            if offset[0] != "i32.const":
                _check_const(module, offset, I32, "data")


def _check_exports_and_start(module: Module) -> None:
    sizes = {
        "func": ("function", len(module.func_type_indices)),
        "table": ("table", len(module.table_types)),
        "memory": ("memory", len(module.memory_types)),
        "global": ("global", len(module.global_types)),
    }
    seen: set[str] = set()
    for export in module.exports:
        what, size = sizes[export.kind]
        if export.index >= size:
            raise _fail(f"unknown {what} {export.index} exported as {export.name!r}", "export")
        if export.name in seen:
            raise _fail(f"duplicate export name {export.name!r}", "export")
        seen.add(export.name)
    if module.start is not None:
        if module.start >= len(module.func_type_indices):
            raise _fail(f"unknown function {module.start} as start function", "start")
        if module.func_type(module.start) != ((), ()):
            raise _fail(
                f"start function {module.start} ({module.function_name(module.start)}) must have "
                "no parameters and no results",
                "start",
            )


def _make_context(module: Module) -> Context:
    types: list[_Signature] = [(list(params), list(results)) for params, results in module.types]
    declared = {e.index for e in module.exports if e.kind == "func"}
    declared.update(g.init[1] for g in module.globals if g.init[0] == "ref.func")
    for element in module.elements:
        declared.update(value for kind, value in element.init if kind == "ref.func")
    has_memory = bool(module.memory_types)
    block_types: dict[int, _Signature] = {EMPTY_BLOCK: ([], [])}
    for value_type in (I32, I64, F32, F64, FUNCREF, EXTERNREF):
        block_types[value_type] = ([], [value_type])
    for index in range(min(64, len(types))):  # those whose s33 encoding is one byte
        block_types[index] = types[index]
    return Context(
        types=types,
        functions=[types[i] for i in module.func_type_indices],
        tables=module.table_types,
        globals=module.global_types,
        has_memory=has_memory,
        elements=[e.type for e in module.elements],
        num_data=len(module.data_segments),
        has_data_count=module.data_count is not None,
        declared=frozenset(declared),
        block_types=block_types,
        natural=_NATURAL if has_memory else [-1] * 256,
    )


# Function bodies: slow paths


def _mismatch(stack: _Types, unreachable: bool, expected: int, found: int) -> None:
    """Handle a popped operand that is not what was expected; raises unless that is allowed."""
    if found == _UNKNOWN:
        return
    if found == _SENTINEL:
        stack.append(_SENTINEL)
        if unreachable:
            return
    raise _Invalid(f"type mismatch: expected {_TYPE_NAMES[expected]}, found {_TYPE_NAMES[found]}")


def _pop_any(stack: _Types, unreachable: bool) -> int:
    found = stack.pop()
    if found == _SENTINEL:
        stack.append(_SENTINEL)
        if not unreachable:
            raise _Invalid("type mismatch: expected an operand, found nothing")
        return _UNKNOWN
    return found


def _pop_many(stack: _Types, unreachable: bool, types: _Types) -> None:
    for expected in reversed(types):
        found = stack.pop()
        if found != expected:
            _mismatch(stack, unreachable, expected, found)


def _check_label(stack: _Types, unreachable: bool, types: _Types) -> None:
    """The operands a label needs, left on the stack as they are (bottom stays bottom)."""
    popped = []
    for expected in reversed(types):
        found = _pop_any(stack, unreachable)
        if found != expected:
            _mismatch(stack, unreachable, expected, found)
        popped.append(found)
    stack.extend(reversed(popped))


def _check_results(stack: _Types, unreachable: bool, types: _Types) -> None:
    """At the end of a block: exactly its results; leaves the stack at the sentinel."""
    _pop_many(stack, unreachable, types)
    if stack[-1] != _SENTINEL:
        raise _Invalid(
            f"type mismatch: {_TYPE_NAMES[stack[-1]]} remains on the stack at the end of the block"
        )


def _skip_align(data: bytes, pos: int, natural: int, context: Context) -> int:
    """Alignment of a memory access that is too large, or not one byte, or has no memory."""
    align, pos = read_u32(data, pos)
    if not context.has_memory:
        raise _Invalid("unknown memory 0")
    if align > natural:
        raise _Invalid(
            f"alignment must not be larger than natural: 2**{align}, natural is 2**{natural}"
        )
    return pos


def _long_block_type(data: bytes, pos: int, context: Context) -> tuple[_Signature, int]:
    number, after = read_s33(data, pos)
    if number < 0:
        if after == pos + 1:
            read_value_type(data, pos)
        raise DecodeError("malformed block type", offset=pos)
    if number >= len(context.types):
        raise _Invalid(f"unknown type {number}")
    return context.types[number], after


def _check_table(context: Context, index: int) -> TableType:
    if index >= len(context.tables):
        raise _Invalid(f"unknown table {index}")
    return context.tables[index]


def _zero_byte(data: bytes, pos: int) -> int:
    if data[pos] != 0:
        raise DecodeError(f"zero byte expected, found 0x{data[pos]:02x}", offset=pos)
    return pos + 1


def _pop_branch_table(
    data: bytes, pos: int, stack: _Types, unreachable: bool, labels: list[_Types]
) -> int:
    """br_table after its index operand: check every target, return the position after."""
    count, pos = read_u32(data, pos)
    if count >= len(data) - pos:
        raise IndexError
    chunk = data[pos : pos + count + 1]
    depths: set[int]
    if max(chunk) < 0x80:
        depths = set(chunk)
        default = chunk[-1]
        pos += count + 1
    else:
        depths = set()
        for _ in range(count + 1):
            default, pos = read_u32(data, pos)
            depths.add(default)
    if max(depths) >= len(labels):
        raise _Invalid(f"unknown label {max(depths)}")
    types = labels[~default]
    for depth in depths:
        other = labels[~depth]
        if len(other) != len(types):
            raise _Invalid(
                f"type mismatch: br_table targets take {len(other)} and {len(types)} operands"
            )
        if other:
            _check_label(stack, unreachable, other)
    if types:
        _pop_many(stack, unreachable, types)
    return pos


def _validate_prefixed(
    data: bytes, pos: int, prefix: int, stack: _Types, unreachable: bool, context: Context
) -> int:
    """Instructions after 0xFC and 0xFE: check immediates and types, return the position after."""
    at = pos - 1
    sub, pos = read_u32(data, pos)
    row = BY_CODE.get(prefix << 8 | sub) if sub < 0x100 else None
    if row is None:
        raise DecodeError(f"illegal opcode 0x{prefix:02x} 0x{sub:02x}", offset=at)
    params, results = row.params, row.results
    imm = row.imm
    if imm is Imm.MEMARG:
        align, pos = read_u32(data, pos)
        _, pos = read_u32(data, pos)
        if not context.has_memory:
            raise _Invalid("unknown memory 0")
        if align != row.align:
            rule = "must not be larger than" if align > row.align else "must be equal to"
            raise _Invalid(
                f"alignment {rule} natural: atomic access with 2**{align}, natural is "
                f"2**{row.align}"
            )
    elif imm is Imm.FENCE:
        pos = _zero_byte(data, pos)
    elif imm is Imm.MEMORY_MEMORY or imm is Imm.MEMORY:
        pos = _zero_byte(data, pos)
        if imm is Imm.MEMORY_MEMORY:
            pos = _zero_byte(data, pos)
        if not context.has_memory:
            raise _Invalid("unknown memory 0")
    elif imm is Imm.DATA_MEMORY or imm is Imm.DATA:
        index, pos = read_u32(data, pos)
        if imm is Imm.DATA_MEMORY:
            pos = _zero_byte(data, pos)
            if not context.has_memory:
                raise _Invalid("unknown memory 0")
        if index >= context.num_data:
            raise _Invalid(f"unknown data segment {index}")
        if not context.has_data_count:
            raise DecodeError(f"data count section required for {row.name}", offset=at)
    elif imm is Imm.ELEM:
        index, pos = read_u32(data, pos)
        if index >= len(context.elements):
            raise _Invalid(f"unknown elem segment {index}")
    elif imm is Imm.ELEM_TABLE:
        index, pos = read_u32(data, pos)
        table, pos = read_u32(data, pos)
        element = _check_table(context, table).element
        if index >= len(context.elements):
            raise _Invalid(f"unknown elem segment {index}")
        if context.elements[index] != element:
            raise _Invalid(
                f"type mismatch: element segment {index} of "
                f"{_TYPE_NAMES[context.elements[index]]}, table {table} of {_TYPE_NAMES[element]}"
            )
    elif imm is Imm.TABLE_TABLE:
        target, pos = read_u32(data, pos)
        source, pos = read_u32(data, pos)
        target_type = _check_table(context, target).element
        source_type = _check_table(context, source).element
        if target_type != source_type:
            raise _Invalid(
                f"type mismatch: table.copy from {_TYPE_NAMES[source_type]} to "
                f"{_TYPE_NAMES[target_type]}"
            )
    elif imm is Imm.TABLE:
        index, pos = read_u32(data, pos)
        element = _check_table(context, index).element
        if row.name == "table.grow":
            params, results = (element, I32), (I32,)
        elif row.name == "table.fill":
            params, results = (I32, element, I32), ()
    assert params is not None and results is not None, row.name
    _pop_many(stack, unreachable, list(params))
    stack.extend(results)
    return pos


def _select_type(stack: _Types, unreachable: bool) -> int:
    """Untyped select (3.3.3) after its condition: type of the two operands, popped."""
    second = _pop_any(stack, unreachable)
    first = _pop_any(stack, unreachable)
    for found in (first, second):
        if found in (FUNCREF, EXTERNREF):
            raise _Invalid(
                f"type mismatch: select of {_TYPE_NAMES[found]} must be annotated with its type"
            )
    if first != second and _UNKNOWN not in (first, second):
        raise _Invalid(f"type mismatch: select of {_TYPE_NAMES[first]} and {_TYPE_NAMES[second]}")
    return first or second


def _too_many(stack: _Types, at: int) -> None:
    if len(stack) > MAX_OPERANDS:
        raise UnsupportedError(
            f"more than {MAX_OPERANDS} operands on the stack (implementation limit)", offset=at
        )


def _validate_body(data: bytes, function: Function, context: Context) -> None:
    """Raises ModuleError with offset but without the function."""
    pos = function.start
    end = function.end
    if end - pos > MAX_BODY_SIZE:
        raise UnsupportedError(
            f"function body of {end - pos} bytes (implementation limit {MAX_BODY_SIZE})", offset=pos
        )
    params, results = context.types[function.type_index]
    local_types = params.copy()
    for count, value_type in function.locals:
        if len(local_types) + count > MAX_LOCALS:
            raise UnsupportedError(
                f"more than {MAX_LOCALS} locals (implementation limit)", offset=pos
            )
        local_types += [value_type] * count

    try:
        _walk(data, pos, end, local_types, results, context)
    except _Located as located:
        check_syntax(data, pos, end)
        raise ValidationError(str(located), offset=located.offset) from None
    except IndexError:
        raise DecodeError("unexpected end of section or function", offset=end) from None


class _Located(Exception):
    def __init__(self, rule: str, offset: int) -> None:
        super().__init__(rule)
        self.offset = offset


def _walk(
    data: bytes,
    pos: int,
    end: int,
    local_types: _Types,
    frame_results: _Types,
    context: Context,
) -> None:
    """The pass over a body's instructions.

    Long on purpose: a call per instruction would cost more than the checks.  Branches are in the
    order of how often compiled code contains them.
    """
    num_locals = len(local_types)
    operand = _OPERAND
    binary = _BINARY
    result = _RESULT
    natural = context.natural
    memory_value = _MEMORY_VALUE
    functions = context.functions
    globals_ = context.globals
    block_types = context.block_types

    stack: _Types = [_SENTINEL]
    push = stack.append
    pop = stack.pop
    # The innermost block: its opcode, parameters, results, height of the stack above its sentinel.
    frame_op = 0
    frame_params: _Types = []
    height = 1
    unreachable = False
    frames: list[tuple[int, _Types, _Types, int, bool]] = []
    labels: list[_Types] = [frame_results]  # operand types of a branch, outermost block first
    at = pos

    try:
        while pos < end:
            at = pos
            op = data[pos]
            pos += 1

            if op == 0x20:  # local.get
                index = data[pos]
                pos += 1
                if index >= 0x80:
                    index, pos = read_u32(data, pos - 1)
                if index >= num_locals:
                    raise _Invalid(f"unknown local {index}")
                push(local_types[index])

            elif op == 0x41:  # i32.const
                if data[pos] >= 0x80:
                    pos += 1
                    if data[pos] >= 0x80:
                        _, pos = read_s32(data, at + 1)
                        pos -= 1
                pos += 1
                push(0x7F)

            elif op == 0x21:  # local.set
                index = data[pos]
                pos += 1
                if index >= 0x80:
                    index, pos = read_u32(data, pos - 1)
                if index >= num_locals:
                    raise _Invalid(f"unknown local {index}")
                expected = local_types[index]
                found = pop()
                if found != expected:
                    _mismatch(stack, unreachable, expected, found)

            elif op == 0x22:  # local.tee
                index = data[pos]
                pos += 1
                if index >= 0x80:
                    index, pos = read_u32(data, pos - 1)
                if index >= num_locals:
                    raise _Invalid(f"unknown local {index}")
                expected = local_types[index]
                if stack[-1] != expected:
                    _mismatch(stack, unreachable, expected, pop())
                    push(expected)

            elif expected := operand[op]:  # operators without immediates
                if binary[op]:
                    found = pop()
                    if found != expected:
                        _mismatch(stack, unreachable, expected, found)
                if stack[-1] == expected:
                    stack[-1] = result[op]
                else:
                    _mismatch(stack, unreachable, expected, pop())
                    push(result[op])

            elif 0x28 <= op <= 0x3E:  # loads and stores
                if data[pos] > natural[op]:
                    pos = _skip_align(data, pos, natural[op], context)
                else:
                    pos += 1
                if data[pos] >= 0x80:
                    start = pos
                    pos += 1
                    while data[pos] >= 0x80:
                        pos += 1
                    if pos - start >= 4:
                        read_u32(data, start)
                pos += 1
                if op < 0x36:
                    if stack[-1] == 0x7F:
                        stack[-1] = memory_value[op]
                    else:
                        _mismatch(stack, unreachable, 0x7F, pop())
                        push(memory_value[op])
                else:
                    expected = memory_value[op]
                    found = pop()
                    if found != expected:
                        _mismatch(stack, unreachable, expected, found)
                    found = pop()
                    if found != 0x7F:
                        _mismatch(stack, unreachable, 0x7F, found)

            elif op == 0x0D:  # br_if
                found = pop()
                if found != 0x7F:
                    _mismatch(stack, unreachable, 0x7F, found)
                index = data[pos]
                pos += 1
                if index >= 0x80:
                    index, pos = read_u32(data, pos - 1)
                if index >= len(labels):
                    raise _Invalid(f"unknown label {index}")
                types = labels[~index]
                if types and stack[-len(types) :] != types:
                    _pop_many(stack, unreachable, types)
                    stack += types

            elif op == 0x0B:  # end
                if frame_results:
                    if stack[height:] != frame_results:
                        _check_results(stack, unreachable, frame_results)
                elif len(stack) != height:
                    _check_results(stack, unreachable, frame_results)
                if frame_op == 0x04 and frame_params != frame_results:
                    raise _Invalid("type mismatch: if without else must leave its parameters")
                if not frames:
                    break
                labels.pop()
                if frame_results:
                    stack[height - 1 :] = frame_results
                    if len(frame_results) > 1:
                        _too_many(stack, at)
                else:
                    pop()
                frame_op, frame_params, frame_results, height, unreachable = frames.pop()

            elif op == 0x02 or op == 0x03 or op == 0x04:  # block, loop, if
                if op == 0x04:
                    found = pop()
                    if found != 0x7F:
                        _mismatch(stack, unreachable, 0x7F, found)
                signature = block_types.get(data[pos])
                if signature is None:
                    signature, pos = _long_block_type(data, pos, context)
                else:
                    pos += 1
                frames.append((frame_op, frame_params, frame_results, height, unreachable))
                frame_params, frame_results = signature
                if frame_params:
                    _pop_many(stack, unreachable, frame_params)
                    push(-1)
                    height = len(stack)
                    stack += frame_params
                    if len(frame_params) > 1:
                        _too_many(stack, at)
                else:
                    push(-1)
                    height = len(stack)
                labels.append(frame_params if op == 0x03 else frame_results)
                frame_op = op
                unreachable = False

            elif op == 0x0C:  # br
                index = data[pos]
                pos += 1
                if index >= 0x80:
                    index, pos = read_u32(data, pos - 1)
                if index >= len(labels):
                    raise _Invalid(f"unknown label {index}")
                types = labels[~index]
                if types and stack[-len(types) :] != types:
                    _pop_many(stack, unreachable, types)
                del stack[height:]
                unreachable = True

            elif op == 0x10:  # call
                index = data[pos]
                pos += 1
                if index >= 0x80:
                    index, pos = read_u32(data, pos - 1)
                if index >= len(functions):
                    raise _Invalid(f"unknown function {index}")
                types, types2 = functions[index]
                if types:
                    if stack[-len(types) :] == types:
                        del stack[-len(types) :]
                    else:
                        _pop_many(stack, unreachable, types)
                if types2:
                    stack += types2
                    if len(types2) > 1:
                        _too_many(stack, at)

            elif op == 0x1A:  # drop
                if pop() == -1:
                    push(-1)
                    _pop_any(stack, unreachable)

            elif op == 0x42:  # i64.const
                if data[pos] >= 0x80:
                    pos += 1
                    if data[pos] >= 0x80:
                        _, pos = read_s64(data, at + 1)
                        pos -= 1
                pos += 1
                push(0x7E)

            elif op == 0x23:  # global.get
                index, pos = read_u32(data, pos)
                if index >= len(globals_):
                    raise _Invalid(f"unknown global {index}")
                push(globals_[index].type)

            elif op == 0x24:  # global.set
                index, pos = read_u32(data, pos)
                if index >= len(globals_):
                    raise _Invalid(f"unknown global {index}")
                expected, mutable = globals_[index]
                if not mutable:
                    raise _Invalid(f"global is immutable: global {index}")
                found = pop()
                if found != expected:
                    _mismatch(stack, unreachable, expected, found)

            elif op == 0x1B:  # select
                found = pop()
                if found != 0x7F:
                    _mismatch(stack, unreachable, 0x7F, found)
                if stack[-1] == 0x7F and stack[-2] == 0x7F:
                    pop()
                else:
                    push(_select_type(stack, unreachable))

            elif op == 0x11:  # call_indirect
                index, pos = read_u32(data, pos)
                table, pos = read_u32(data, pos)
                if _check_table(context, table).element != FUNCREF:
                    raise _Invalid("type mismatch: call_indirect needs a table of funcref")
                if index >= len(context.types):
                    raise _Invalid(f"unknown type {index}")
                found = pop()
                if found != 0x7F:
                    _mismatch(stack, unreachable, 0x7F, found)
                types, types2 = context.types[index]
                if types:
                    if stack[-len(types) :] == types:
                        del stack[-len(types) :]
                    else:
                        _pop_many(stack, unreachable, types)
                if types2:
                    stack += types2
                    if len(types2) > 1:
                        _too_many(stack, at)

            elif op == 0x05:  # else
                if frame_op != 0x04:
                    raise DecodeError("else without if", offset=at)
                if stack[height:] != frame_results:
                    _check_results(stack, unreachable, frame_results)
                del stack[height:]
                stack += frame_params
                frame_op = op
                unreachable = False

            elif op == 0x0F:  # return
                types = labels[0]
                if types and stack[-len(types) :] != types:
                    _pop_many(stack, unreachable, types)
                del stack[height:]
                unreachable = True

            elif op == 0x00:  # unreachable
                del stack[height:]
                unreachable = True

            elif op == 0x0E:  # br_table
                found = pop()
                if found != 0x7F:
                    _mismatch(stack, unreachable, 0x7F, found)
                pos = _pop_branch_table(data, pos, stack, unreachable, labels)
                del stack[height:]
                unreachable = True

            elif op == 0x44:  # f64.const
                pos += 8
                push(0x7C)

            elif op == 0x43:  # f32.const
                pos += 4
                push(0x7D)

            elif op in (0xFC, 0xFE):  # prefixes: bulk memory, tables, saturation; atomics
                pos = _validate_prefixed(data, pos, op, stack, unreachable, context)

            elif op == 0x3F or op == 0x40:  # memory.size, memory.grow
                pos = _zero_byte(data, pos)
                if not context.has_memory:
                    raise _Invalid("unknown memory 0")
                if op == 0x40:
                    found = pop()
                    if found != 0x7F:
                        _mismatch(stack, unreachable, 0x7F, found)
                push(0x7F)

            elif op == 0x01:  # nop
                pass

            elif op == 0x1C:  # select with types
                count, pos = read_u32(data, pos)
                if count > end - pos:
                    raise IndexError
                types = [read_value_type(data, pos + i) for i in range(count)]
                pos += count
                if count != 1:
                    raise _Invalid(f"invalid result arity: select with {count} types")
                _pop_many(stack, unreachable, [*types, *types, 0x7F])
                stack += types

            elif op == 0x25 or op == 0x26:  # table.get, table.set
                index, pos = read_u32(data, pos)
                element = _check_table(context, index).element
                if op == 0x26:
                    _pop_many(stack, unreachable, [0x7F, element])
                else:
                    _pop_many(stack, unreachable, [0x7F])
                    push(element)

            elif op == 0xD0:  # ref.null
                push(read_ref_type(data, pos))
                pos += 1

            elif op == 0xD1:  # ref.is_null
                found = _pop_any(stack, unreachable)
                if found not in (_UNKNOWN, FUNCREF, EXTERNREF):
                    raise _Invalid(
                        f"type mismatch: expected a reference, found {_TYPE_NAMES[found]}"
                    )
                push(0x7F)

            elif op == 0xD2:  # ref.func
                index, pos = read_u32(data, pos)
                if index >= len(functions):
                    raise _Invalid(f"unknown function {index}")
                if index not in context.declared:
                    raise _Invalid(f"undeclared function reference {index}")
                push(0x70)

            elif op == 0xFD:
                raise UnsupportedError(SIMD_UNSUPPORTED, offset=at)

            else:
                known = _PROPOSALS.get(op, "")
                raise DecodeError(f"illegal opcode 0x{op:02x}{known}", offset=at)
        else:
            raise DecodeError(
                "unexpected end of section or function: END opcode expected", offset=end
            )
    except _Invalid as broken:
        raise _Located(str(broken), at) from None
    if pos != end:
        raise DecodeError(
            f"section size mismatch: {end - pos} bytes after the final end", offset=pos
        )
