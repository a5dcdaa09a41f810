# SPDX-License-Identifier: GPL-2.0-only
"""One module in three engines: JIT, interpreter, and wasmtime, which is nobody of ours.

Results, traps, what is printed, memory and globals are compared.  What the standard leaves open
is left out: the payload of a NaN that reaches the outside as a float, and where the stack ends.
"""

from __future__ import annotations

import ctypes
import random
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import wasmtime

from pywasmjit.errors import PywasmjitError
from pywasmjit.lower.pipeline import lower
from pywasmjit.wasm import decode, validate
from pywasmjit.wasm.module import Module
from pywasmjit.wasm.opcodes import F32, F64, I32, I64
from tests.encode.engines import VARIANTS, Variant
from tests.native.libcore import Core, CoreCrash

# wasmtime's trap codes by what our texts call them.
TRAPS: Final = {
    "UNREACHABLE": "unreachable", "MEMORY_OUT_OF_BOUNDS": "out of bounds memory access",
    "HEAP_MISALIGNED": "unaligned atomic", "INDIRECT_CALL_TO_NULL": "uninitialized element",
    "BAD_SIGNATURE": "indirect call type mismatch", "INTEGER_OVERFLOW": "integer overflow",
    "INTEGER_DIVISION_BY_ZERO": "integer divide by zero", "BAD_CONVERSION_TO_INTEGER": "invalid conversion to integer",
    "TABLE_OUT_OF_BOUNDS": "out of bounds table access", "STACK_OVERFLOW": "call stack exhausted",
}  # fmt: skip
#: An atomic access that is both may trap with either.
BOTH_WRONG: Final = {"trap out of bounds memory access", "trap unaligned atomic"}
NULL: Final = 0xFFFFFFFF  # WJ_NULL_REF
STACK: Final = "call stack exhausted"

#: Never reached; as long as it is set every poll takes the slow path, which ruins all registers it may.
ALWAYS_POLL: Final = 1 << 60

Call = tuple[str, tuple[int, ...]]
"""An export and its arguments as bits."""


class Difference(Exception):
    """Two engines do not agree, or one died, or lowering failed: what, in one line first."""


@dataclass
class Outcome:
    """What one engine did: per call its results or trap, then all that is left to be seen."""

    calls: list[str]
    printed: list[str]
    memory: str
    globals: list[str]


def arguments(types: Sequence[int], rng: random.Random) -> tuple[int, ...]:
    """Values worth trying; floats are no NaN, which would not survive the way through Python.

    References are null.
    """
    found = []
    for kind in types:
        wide = rng.random() < 0.5
        if kind in (F32, F64):
            value = rng.choice((0.0, -0.0, 1.0, -1.5, 2147483648.0, -2147483649.0, 1e30, float("inf"), rng.uniform(-1e5, 1e5)))
            found.append(struct.unpack("<I", struct.pack("<f", value))[0] if kind == F32 else struct.unpack("<Q", struct.pack("<d", value))[0])
        elif kind not in (I32, I64):
            found.append(NULL)
        elif kind == I32:
            found.append(rng.getrandbits(32) if wide else rng.choice((0, 1, 5, 31, 32, 255, 0xFFF8, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)))
        else:
            found.append(rng.getrandbits(64) if wide else rng.choice((0, 1, 63, 1 << 31, 1 << 32, (1 << 63) - 1, 1 << 63, (1 << 64) - 1)))
    return tuple(found)  # fmt: skip


def calls_of(module: Module, seed: int, each: int = 3) -> list[Call]:
    """Calls of the exported functions."""
    rng = random.Random(seed)
    return [
        (export.name, arguments(module.func_type(export.index).params, rng))
        for export in module.exports
        if export.kind == "func"
        for _ in range(each if module.func_type(export.index).params else 1)
    ]


# ---------------------------------------------------------------------------- values


def word(kind: int, bits: int) -> str:
    """A result or global as text; all NaNs are one, all references but null are."""
    if kind == F32:
        return "nan" if bits & 0x7FFFFFFF > 0x7F800000 else f"{bits:x}"
    if kind == F64:
        return "nan" if bits & ((1 << 63) - 1) > 0x7FF << 52 else f"{bits:x}"
    if kind in (I32, I64):
        return f"{bits:x}"
    return "null" if bits == NULL else "ref"


def to_python(kind: int, bits: int) -> int | float | None:
    if kind not in (I32, I64, F32, F64):
        return None
    if kind == I32:
        return bits - (1 << 32) if bits >> 31 else bits
    if kind == I64:
        return bits - (1 << 64) if bits >> 63 else bits
    return float(struct.unpack("<f", struct.pack("<I", bits))[0] if kind == F32 else struct.unpack("<d", struct.pack("<Q", bits))[0])


def from_python(kind: int, value: Any) -> str:
    if kind == I32:
        return word(kind, value & 0xFFFFFFFF)
    if kind == I64:
        return word(kind, value & 0xFFFFFFFFFFFFFFFF)
    if kind == F32:
        return word(kind, struct.unpack("<I", ctypes.c_float(value))[0])
    if kind == F64:
        return word(kind, struct.unpack("<Q", struct.pack("<d", value))[0])
    return "null" if value is None else "ref"


# ---------------------------------------------------------------------------- wasmtime


@cache
def engine() -> wasmtime.Engine:
    config = wasmtime.Config()
    config.wasm_threads = True
    config.wasm_multi_value = True
    config.wasm_simd = False
    config.wasm_relaxed_simd = False
    # We look at what it computes, not how fast.
    config.cranelift_opt_level = "none"
    config.cranelift_flag_set("regalloc_algorithm", "single_pass")
    config.parallel_compilation = False
    return wasmtime.Engine(config)


_KINDS: Final = {"i32": I32, "i64": I64, "f32": F32, "f64": F64}


def _import(store: wasmtime.Store, number: int, module: Module, item: Any, printed: list[str]) -> wasmtime.Func:
    """The host functions of the driver, once more."""
    kinds = module.types[item.type].params
    results = [to_python(kind, 1 if kind in (I32, F32) else 0xFFFFFFFF00000001) for kind in module.types[item.type].results]

    def dirty(*args: Any) -> Any:
        return results[0] if len(results) == 1 else results

    def log(*args: Any) -> Any:
        words = " ".join(from_python(kind, value) for kind, value in zip(kinds, args, strict=True))
        printed.append(f"{number} {words}".strip())
        zeros = [type(value)(0) for value in results]
        return zeros[0] if len(zeros) == 1 else zeros or None

    names = {I32: wasmtime.ValType.i32(), I64: wasmtime.ValType.i64(), F32: wasmtime.ValType.f32(), F64: wasmtime.ValType.f64()}
    kind = wasmtime.FuncType([names[k] for k in kinds], [names[k] for k in module.types[item.type].results])
    return wasmtime.Func(store, kind, dirty if item.name == "dirty" else log)


def _trap(error: Exception) -> str:
    if isinstance(error, wasmtime.Trap) and error.trap_code is not None:
        return f"trap {TRAPS.get(error.trap_code.name, error.trap_code.name)}"
    return f"trap {error}"


def reference(raw: bytes, module: Module, calls: Sequence[Call]) -> Outcome:
    """What wasmtime makes of it."""
    store = wasmtime.Store(engine())
    out = Outcome([], [], "", [])
    imports = [_import(store, i, module, item, out.printed) for i, item in enumerate(module.imports)]
    try:
        instance = wasmtime.Instance(store, wasmtime.Module(engine(), raw), imports)
    except wasmtime.Trap as error:
        out.calls.append(f"instance {_trap(error)}")
        return out
    exports = instance.exports(store)
    indices = {export.name: export.index for export in module.exports if export.kind == "func"}
    for name, args in calls:
        kind = module.func_type(indices[name])
        try:
            found = exports[name](store, *(to_python(k, v) for k, v in zip(kind.params, args, strict=True)))
        except wasmtime.Trap as error:
            out.calls.append(_trap(error))
            continue
        values = [] if not kind.results else found if len(kind.results) > 1 else [found]
        out.calls.append(" ".join(["ok", *(from_python(k, v) for k, v in zip(kind.results, values, strict=True))]))
    for export in module.exports:
        if export.kind == "memory":
            memory = exports[export.name]
            size = memory.data_len(store)
            data = ctypes.string_at(memory.data_ptr(store), size) if size else b""
            out.memory = f"{size:x} {zlib.crc32(data):x}"
        elif export.kind == "global":
            value = exports[export.name]
            if str(value.type(store).content) in _KINDS:
                out.globals.append(from_python(_KINDS[str(value.type(store).content)], value.value(store)))
    return out


# ---------------------------------------------------------------------------- ours


def _answer(text: str, kinds: Sequence[int]) -> str:
    kind, _, rest = text.partition(" ")
    if kind == "trap":
        name = rest.partition(" ")[2]
        return "trap " + {"undefined element": "out of bounds table access"}.get(name, name)
    if kind != "ok":
        raise Difference(f"the core answers {text!r}")
    return " ".join(["ok", *(word(k, int(bits, 16)) for k, bits in zip(kinds, rest.split(), strict=True))])


_DRIVER_KINDS: Final = (I32, I64, F32, F64)  # enum wj_type


def exported_globals(module: Module) -> list[tuple[int, int]]:
    """Index and type of those that are numbers."""
    return [
        (export.index, module.global_types[export.index].type)
        for export in module.exports
        if export.kind == "global" and module.global_types[export.index].type in _DRIVER_KINDS
    ]


class Engines:
    """Both engines of ours behind one pipe, and wasmtime."""

    def __init__(self, variant: str = "plain") -> None:
        self.flavour = variant
        self.core = Core(variant, jit=True)

    def close(self) -> None:
        self.core.close()

    def restart(self) -> None:
        """After a crash."""
        self.core._process.kill()
        self.core._process.wait()
        self.core = Core(self.flavour, jit=True)

    def ours(self, module: Module, calls: Sequence[Call], variant: Variant, polls: bool) -> list[Outcome]:
        """JIT, interpreter."""
        try:
            image = lower(module, jobs=1)
        except PywasmjitError as error:
            raise Difference(f"lowering failed: {error}") from error
        lines = [f"image 0 {len(image)}", f"compile 0 {variant.features} {variant.mitigations}"]
        for text in self.core.commands(lines, payload=image):
            if text != "ok":
                raise Difference(f"image refused: {text}")
        found = [self._run(module, calls, number, polls) for number in (0, 1)]
        if self.core.reset():
            raise Difference("allocations left over")
        return found

    def _run(self, module: Module, calls: Sequence[Call], number: int, polls: bool) -> Outcome:
        """In one engine: 0 is the JIT, 1 the interpreter."""
        core, out = self.core, Outcome([], [], "", [])
        imports = " ".join("host:dirty" if item.name == "dirty" else "host:print" for item in module.imports)
        core.printed.clear()
        (created,) = core.commands([f"instance {number} 0 {number} {imports}"])
        if created != "ok":
            out.calls.append(f"instance {_answer(created, ())}")
            return out
        lines = [f"poll {number} {int(polls)} {ALWAYS_POLL if polls else 0}"]
        if module.start is not None:
            lines.append(f"call {number} {module.start}")
        indices = {export.name: export.index for export in module.exports if export.kind == "func"}
        results = [module.func_type(indices[name]).results for name, _ in calls]
        lines += [f"call {number} {indices[name]} {' '.join(map(str, args))}" for name, args in calls]
        globals_ = exported_globals(module)
        lines += [f"global {number} {index}" for index, _ in globals_]
        memory = any(export.kind == "memory" for export in module.exports)
        lines += [f"crc {number}"] * memory
        answers = iter(core.commands(lines, len(lines))[1:])
        if module.start is not None:
            started = _answer(next(answers), ())
            if started != "ok":
                out.calls.append(f"instance {started}")
                return out
        out.calls = [_answer(next(answers), kinds) for kinds in results]
        out.globals = [word(kind, int(next(answers).split()[2], 16)) for _, kind in globals_]
        out.memory = next(answers)[3:] if memory else ""
        for line in core.printed:
            position, *values = line.split()
            parts = [value.split(":") for value in values]
            out.printed.append(" ".join([position, *(word(_DRIVER_KINDS[int(k)], int(v, 16)) for k, v in parts)]))
        return out

    def check(self, raw: bytes, calls: Sequence[Call] | None = None, seed: int = 0) -> int:
        """Difference if the engines do not agree on a module; the number of calls compared.

        0 where the stack was exhausted.
        """
        module = decode(raw)
        validate(module)
        if calls is None:
            calls = calls_of(module, seed)
        rng = random.Random(seed)
        variant = rng.choice((VARIANTS[0], *VARIANTS))
        try:
            jit, interp = self.ours(module, calls, variant, rng.random() < 0.4)
        except CoreCrash as error:
            self.restart()
            raise Difference(f"the core crashed: {error}") from error
        other = reference(raw, module, calls)
        if any(STACK in text for outcome in (jit, interp, other) for text in outcome.calls):
            return 0
        compare(("jit", jit), ("interp", interp), calls, variant)
        compare(("jit", jit), ("wasmtime", other), calls, variant)
        return len(calls)


def compare(first: tuple[str, Outcome], second: tuple[str, Outcome], calls: Sequence[Call], variant: Variant) -> None:
    a, b = first[1], second[1]
    where = f"{first[0]} ({variant.name}), {second[0]}"
    if a.calls and a.calls[0].startswith("instance") or b.calls and b.calls[0].startswith("instance"):
        if a.calls[:1] != b.calls[:1]:
            raise Difference(f"{where}: instantiation: {a.calls[:1]}, {b.calls[:1]}")
        return
    for (name, args), x, y in zip(calls, a.calls, b.calls, strict=True):
        if x != y and not (second[0] == "wasmtime" and {x, y} == BOTH_WRONG):
            raise Difference(f"{where}: {name}({', '.join(map(hex, args))}): {x!r}, {y!r}")
    pairs: list[tuple[str, Any, Any]] = [
        ("printed", a.printed, b.printed), ("memory", a.memory, b.memory), ("globals", a.globals, b.globals)
    ]  # fmt: skip
    for what, left, right in pairs:
        if left != right:
            raise Difference(f"{where}: {what}: {left!r}, {right!r}")

