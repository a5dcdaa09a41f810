# SPDX-License-Identifier: GPL-2.0-only
"""Modules from a seed, biased to what breaks a JIT: our own generator.

``module(seed)`` is WebAssembly text, valid by construction, that always ends: loops count,
functions burn fuel.  What it can compute does not depend on what the standard leaves open:
a NaN that arithmetic made is replaced by the canonical one at once, while those from constants,
memory and reinterpretation keep their payload and move about.

Each module draws its own weights, so that some are all spills, others all addresses.
"""

from __future__ import annotations

import random
from typing import Final

I32: Final = "i32"
I64: Final = "i64"
F32: Final = "f32"
F64: Final = "f64"
TYPES: Final = (I32, I64, F32, F64)

#: Values at the edges of 8, 16, 32 and 64 bits, of shifts, of a page, of memory.
EDGES32: Final = (
    0, 1, 2, 3, 7, 8, 15, 16, 31, 32, 33, 63, 64, 127, 128, 255, 256, 0x7FFF, 0x8000, 0xFFFF, 0x10000,
    0xFFF8, 0xFFFC, 0xFFFF, 0x1FFFC, 0x7FFFFFFF, 0x80000000, 0x80000001, 0xFFFFFF80, 0xFFFF8000,
    0xFFFF0000, 0xFFFFFFF8, 0xFFFFFFFC, 0xFFFFFFFE, 0xFFFFFFFF, 0x55555555, 0xDEADBEEF, 10, 100, 1000,
)  # fmt: skip
EDGES64: Final = (
    *EDGES32, 0x100000000, 0x100000001, 0x1FFFFFFFF, 0xFFFFFFFF00000000, 0xFFFFFFFF00000001,
    0x8000000000000000, 0x7FFFFFFFFFFFFFFF, 0xFFFFFFFFFFFFFFFF, 0xFFFFFFFF7FFFFFFF, 0xFFFFFFFF80000000,
    0x8000000000000001, 0xDEADBEEF00000000, 0x0123456789ABCDEF,
)  # fmt: skip
EDGES_F32: Final = (
    0, 0x80000000, 0x3F800000, 0xBF800000, 0x3F000000, 0x4B000000, 0x4F000000, 0x4EFFFFFF, 0xCF000000, 0xCF000001,
    0x4F800000, 0x4F7FFFFF, 0x5F000000, 0x5EFFFFFF, 0xDF000000, 0xDF000001, 0x5F800000, 0x7F800000,
    0xFF800000, 0x7FC00000, 0xFFC00000, 0x7F800001, 0x7FA00000, 0xFFFFFFFF, 1, 0x80000001, 0x7F7FFFFF, 0x00800000,
    0x40490FDB, 0xBF7FFFFF, 0x3FC00000, 0x40200000,
)  # fmt: skip
EDGES_F64: Final = (
    0, 1 << 63, 0x3FF0000000000000, 0xBFF0000000000000, 0x3FE0000000000000, 0x41DFFFFFFFC00000,
    0x41DFFFFFFFE00000, 0x41E0000000000000, 0xC1E0000000000000, 0xC1E0000000200000, 0xC1E00000001FFFFF,
    0x41EFFFFFFFE00000, 0x41F0000000000000, 0x43E0000000000000, 0x43DFFFFFFFFFFFFF, 0xC3E0000000000000,
    0xC3E0000000000001, 0x43F0000000000000, 0x43EFFFFFFFFFFFFF, 0x7FF0000000000000, 0xFFF0000000000000,
    0x7FF8000000000000, 0xFFF8000000000000, 0x7FF0000000000001, 0x7FF4000000000000, 0xFFFFFFFFFFFFFFFF, 1,
    0x7FEFFFFFFFFFFFFF, 0x0010000000000000, 0x400921FB54442D18, 0xBFEFFFFFFFFFFFFF, 0x47EFFFFFE0000000,
    0x47EFFFFFF0000000, 0x36A0000000000000, 0x3690000000000000,
)  # fmt: skip
EDGES: Final = {I32: EDGES32, I64: EDGES64, F32: EDGES_F32, F64: EDGES_F64}

BINARY: Final = ("add", "sub", "mul", "and", "or", "xor", "shl", "shr_s", "shr_u", "rotl", "rotr")
DIVISIONS: Final = ("div_s", "div_u", "rem_s", "rem_u")
COMPARE: Final = ("eq", "ne", "lt_s", "lt_u", "gt_s", "gt_u", "le_s", "le_u", "ge_s", "ge_u")
FLOAT_BINARY: Final = ("add", "sub", "mul", "div", "min", "max")
FLOAT_UNARY: Final = ("ceil", "floor", "trunc", "nearest", "sqrt")
FLOAT_COMPARE: Final = ("eq", "ne", "lt", "gt", "le", "ge")
LOADS: Final = {
    I32: (("load", 4), ("load8_s", 1), ("load8_u", 1), ("load16_s", 2), ("load16_u", 2)),
    I64: (("load", 8), ("load8_s", 1), ("load8_u", 1), ("load16_s", 2), ("load16_u", 2), ("load32_s", 4), ("load32_u", 4)),
    F32: (("load", 4),),
    F64: (("load", 8),),
}  # fmt: skip
STORES: Final = {
    I32: (("store", 4), ("store8", 1), ("store16", 2)),
    I64: (("store", 8), ("store8", 1), ("store16", 2), ("store32", 4)),
    F32: (("store", 4),),
    F64: (("store", 8),),
}
RMW: Final = ("add", "sub", "and", "or", "xor", "xchg")
WIDTHS: Final = {I32: (("", 4), ("8", 1), ("16", 2)), I64: (("", 8), ("8", 1), ("16", 2), ("32", 4))}

#: Calls of all functions together, in one instance.
FUEL: Final = 120


class Function:
    """The signature of one function, and what is in scope while its body is made."""

    def __init__(self, number: int, params: list[str], results: list[str]) -> None:
        self.number = number
        self.params = params
        self.results = results
        self.locals: list[str] = []
        self.labels: list[tuple[str, tuple[str, ...]]] = []
        self.loops = 0
        self.counters = 0

    def of(self, kind: str) -> list[int]:
        """Parameters and locals of a type."""
        return [i for i, t in enumerate(self.params + self.locals) if t == kind]

    @property
    def signature(self) -> str:
        params = f" (param {' '.join(self.params)})" if self.params else ""
        results = f" (result {' '.join(self.results)})" if self.results else ""
        return params + results


class Generator:
    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        rng = self.rng
        # One module is mostly about one or two things.
        themes = ("ints", "wide", "floats", "memory", "edges", "control", "calls", "pressure", "atomics", "convert")
        chosen = rng.sample(themes, rng.choice((1, 2, 2, 3)))
        self.weight = {theme: 6.0 if theme in chosen else 1.0 for theme in themes}
        self.types = [t for t in TYPES if t in (I32, I64) or rng.random() < 0.3 * self.weight["floats"]]
        self.depth = rng.choice((1, 2, 2, 3, 3, 4))
        self.pages = rng.choice((1, 1, 1, 2))
        self.max_pages = self.pages + rng.choice((0, 1, 3))
        self.fn = Function(0, [], [])
        self.budget = 0
        self.names = 0
        count = rng.choice((1, 1, 1, 1, 1, 1, 1, 2, 2, 4))
        self.functions = [
            Function(
                i,
                self.signature(rng.choice((0, 1, 2, 2, 3, 5, 7, 9) if rng.random() < 0.8 else (12, 16, 20))),
                self.signature(rng.choice((0, 1, 1, 1, 1, 2, 3, 5))),
            )
            for i in range(count)
        ]
        self.globals = [rng.choice(self.types) for _ in range(rng.choice((1, 2, 4)))]
        self.table = [rng.choice((None, *range(count), *range(count))) for _ in range(rng.choice((1, 2, 5, 16)))]

    def signature(self, n: int) -> list[str]:
        return [self.rng.choice(self.types) for _ in range(n)]

    # ------------------------------------------------------------------ values

    def const(self, kind: str) -> str:
        rng = self.rng
        width = 32 if kind in (I32, F32) else 64
        choice = rng.random()
        if choice < 0.6:
            value = rng.choice(EDGES[kind])
        elif choice < 0.8:
            value = rng.getrandbits(7)
        else:
            value = rng.getrandbits(width)
        if kind in (F32, F64):
            return f"({kind}.reinterpret_i{width} (i{width}.const {value}))" if rng.random() < 0.5 else self.float_const(kind, value)
        return f"({kind}.const {value})"

    def float_const(self, kind: str, bits: int) -> str:
        """As a literal, which keeps payload and sign of a NaN."""
        mantissa, exponent = (23, 8) if kind == F32 else (52, 11)
        sign = "-" if bits >> (mantissa + exponent) else ""
        e, m = bits >> mantissa & ((1 << exponent) - 1), bits & ((1 << mantissa) - 1)
        if e == (1 << exponent) - 1:
            return f"({kind}.const {sign}{f'nan:0x{m:x}' if m else 'inf'})"
        scale = max(e, 1) - (1 << (exponent - 1)) + 1 - mantissa
        return f"({kind}.const {sign}0x{m | (bool(e) << mantissa):x}p{scale})"

    def get(self, kind: str) -> str:
        found = self.fn.of(kind)
        if not found:
            return self.const(kind)
        return f"(local.get {self.rng.choice(found)})"

    def leaf(self, kind: str) -> str:
        choice = self.rng.random()
        if choice < 0.62:
            return self.get(kind)
        if choice < 0.9:
            return self.const(kind)
        matching = [i for i, t in enumerate(self.globals) if t == kind]
        return f"(global.get $g{self.rng.choice(matching)})" if matching else self.get(kind)

    def quiet(self, kind: str, expression: str) -> str:
        """The same, with any NaN made canonical."""
        t = "$tf" if kind == F32 else "$td"
        return f"(select ({kind}.const nan) (local.tee {t} {expression}) ({kind}.ne (local.get {t}) (local.get {t})))"

    def expression(self, kind: str, depth: int) -> str:
        rng = self.rng
        if depth <= 0:
            return self.leaf(kind)
        choice = rng.random()
        if choice < 0.12:
            return self.leaf(kind)
        if choice < 0.17:
            return f"(select {self.expression(kind, depth - 1)} {self.expression(kind, depth - 1)} {self.condition(depth - 1)})"
        if choice < 0.17 + 0.03 * self.weight["memory"]:
            return self.load(kind, depth - 1)
        if choice < 0.40 and rng.random() < 0.04 * self.weight["atomics"] and kind in (I32, I64):
            return self.atomic(kind, depth - 1)
        if choice < 0.40 and rng.random() < 0.05 * self.weight["calls"]:
            found = self.call(kind, depth - 1)
            if found:
                return found
        if choice < 0.43:
            found = self.fn.of(kind)
            if found:
                return f"(local.tee {rng.choice(found)} {self.expression(kind, depth - 1)})"
        if choice < 0.46 and self.fn.loops < 3:
            then, otherwise = self.expression(kind, depth - 1), self.expression(kind, depth - 1)
            return f"(if (result {kind}) {self.condition(depth - 1)} (then {then}) (else {otherwise}))"
        return self.operator(kind, depth - 1)

    def operator(self, kind: str, d: int) -> str:
        rng, e = self.rng, self.expression
        choice = rng.random()
        if kind in (F32, F64):
            if choice < 0.45:
                return self.quiet(kind, f"({kind}.{rng.choice(FLOAT_BINARY)} {e(kind, d)} {e(kind, d)})")
            if choice < 0.6:
                return self.quiet(kind, f"({kind}.{rng.choice(FLOAT_UNARY)} {e(kind, d)})")
            if choice < 0.75:
                return rng.choice((
                    f"({kind}.neg {e(kind, d)})",
                    f"({kind}.abs {e(kind, d)})",
                    f"({kind}.copysign {e(kind, d)} {e(kind, d)})",
                ))  # fmt: skip
            if choice < 0.85:
                width = I32 if kind == F32 else I64
                return f"({kind}.reinterpret_{width} {e(width, d)})"
            if choice < 0.93:
                source = rng.choice((I32, I64))
                return f"({kind}.convert_{source}_{rng.choice('su')} {e(source, d)})"
            if kind == F32:
                return self.quiet(F32, f"(f32.demote_f64 {e(F64, d)})")
            return self.quiet(F64, f"(f64.promote_f32 {e(F32, d)})")
        if choice < 0.07:
            return self.division(kind, d)
        if choice < 0.14:
            unary = ("clz", "ctz", "popcnt", "extend8_s", "extend16_s") + (("extend32_s",) if kind == I64 else ())
            return f"({kind}.{rng.choice(unary)} {e(kind, d)})"
        if choice < 0.22:
            # Shifts and rotations by a constant, its edges included.
            count = rng.choice((0, 1, 7, 8, 16, 24, 31, 32, 33, 63, 64, 65, 0xFFFFFFFF))
            return f"({kind}.{rng.choice(BINARY[6:])} {e(kind, d)} ({kind}.const {count}))"
        if choice < 0.30:
            return f"({kind}.{rng.choice(BINARY)} {e(kind, d)} {self.const(kind)})"
        if choice < 0.30 + 0.03 * self.weight["convert"]:
            return self.conversion(kind, d)
        if choice < 0.55 and kind == I32:
            return self.condition(d)
        return f"({kind}.{rng.choice(BINARY)} {e(kind, d)} {e(kind, d)})"

    def division(self, kind: str, d: int) -> str:
        rng = self.rng
        op = rng.choice(DIVISIONS)
        left = self.expression(kind, d)
        choice = rng.random()
        if choice < 0.5:
            divisor = f"({kind}.or {self.expression(kind, d)} ({kind}.const {rng.choice((1, 2, 16, 0x80000001))}))"
        elif choice < 0.85:
            divisor = f"({kind}.const {rng.choice((1, 2, 3, 5, 7, 8, 10, 16, 100, 641, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF))})"
            if kind == I64 and rng.random() < 0.4:
                divisor = f"(i64.const {rng.choice(EDGES64[1:])})"
        else:
            divisor = self.expression(kind, d)
        return f"({kind}.{op} {left} {divisor})"

    def conversion(self, kind: str, d: int) -> str:
        rng, e = self.rng, self.expression
        choice = rng.random()
        if choice < 0.5 or len(self.types) == 2:
            if kind == I32:
                return f"(i32.wrap_i64 {e(I64, d)})"
            return f"(i64.extend_i32_{rng.choice('su')} {e(I32, d)})"
        source = rng.choice((F32, F64))
        if choice < 0.6:
            return f"(i32.reinterpret_f32 {e(F32, d)})" if kind == I32 else f"(i64.reinterpret_f64 {e(F64, d)})"
        saturating = "_sat" if rng.random() < 0.8 else ""
        return f"({kind}.trunc{saturating}_{source}_{rng.choice('su')} {e(source, d)})"

    def condition(self, d: int) -> str:
        rng, e = self.rng, self.expression
        choice = rng.random()
        if choice < 0.12:
            kind = rng.choice((I32, I64))
            return f"({kind}.eqz {e(kind, d)})"
        if choice < 0.25:
            kind = rng.choice(self.types)
            if kind in (F32, F64):
                return f"({kind}.{rng.choice(FLOAT_COMPARE)} {e(kind, d)} {e(kind, d)})"
        kind = rng.choice((I32, I32, I64))
        if choice < 0.35:
            mask = f"({kind}.and {e(kind, d)} {self.const(kind)})"
            return f"({kind}.{rng.choice(('eq', 'ne'))} {mask} ({kind}.const 0))"
        right = self.const(kind) if rng.random() < 0.4 else e(kind, d)
        return f"({kind}.{rng.choice(COMPARE)} {e(kind, d)} {right})"

    # ------------------------------------------------------------------ memory

    def address(self, d: int, size: int, aligned: bool = False) -> tuple[str, int]:
        """A base and an offset, mostly within memory, now and then at its very end or beyond."""
        rng = self.rng
        end = self.pages * 65536
        mask = 0xFF8 if aligned else 0xFFF
        choice = rng.random() * 1.6
        if choice > 0.1 * self.weight["edges"] or (aligned and choice > 0.15):
            offset = rng.choice((0, 0, 0, 1, 4, 8, 100, 4096, 0xF000)) & (~7 if aligned else ~0)
            base = f"(i32.and {self.expression(I32, d)} (i32.const {mask}))"
            extra = rng.random()
            if extra < 0.3:
                scale = rng.choice((0, 1, 2, 3))
                base = f"(i32.add {base} (i32.shl (i32.and {self.leaf(I32)} (i32.const 255)) (i32.const {scale if not aligned else 3})))"
            elif extra < 0.4:
                base = f"(i32.add {base} (i32.const {rng.choice((8, 16, 64, 1024))}))"
            return base, offset
        # The end of memory, of 4 GiB, of what an index and an offset add up to.
        place = rng.choice((end - size, end - size, end - size, end - size + 1, end - 1, end, end - size - 1))
        if rng.random() < 0.35:
            value = rng.choice((0xFFFFFFFF, 0x80000000, 0x7FFFFFFF, 0xFFFFFFF8, 0x100000000 - size))
            offset = rng.choice((0, 1, 8, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFFFFF8, (place - value) & 0xFFFFFFFF))
            return f"(i32.const {value})", offset
        offset = rng.choice((0, 0, 1, 8, place // 2, place, 0x80000000 + place if rng.random() < 0.2 else place))
        value = (place - offset) & 0xFFFFFFFF
        if rng.random() < 0.5:
            return f"(i32.const {value})", offset
        # The value, but not as a constant: through an i64 with a dirty upper half.
        return f"(i32.wrap_i64 (i64.or (i64.shl {self.expression(I64, d)} (i64.const 32)) (i64.const {value})))", offset

    def load(self, kind: str, d: int) -> str:
        name, size = self.rng.choice(LOADS[kind])
        base, offset = self.address(d, size)
        return f"({kind}.{name} offset={offset} align=1 {base})"

    def store(self, d: int) -> str:
        kind = self.rng.choice(self.types)
        name, size = self.rng.choice(STORES[kind])
        base, offset = self.address(d, size)
        value = self.const(kind) if self.rng.random() < 0.2 else self.expression(kind, d)
        return f"({kind}.{name} offset={offset} align=1 {base} {value})"

    def atomic(self, kind: str, d: int) -> str:
        rng = self.rng
        width, size = rng.choice(WIDTHS[kind])
        base, offset = self.address(d, size, aligned=rng.random() < 0.97)
        suffix = "_u" if width else ""
        choice = rng.random()
        if choice < 0.3:
            return f"({kind}.atomic.load{width}{suffix} offset={offset} {base})"
        if choice < 0.75:
            op = rng.choice(RMW)
            return f"({kind}.atomic.rmw{width}.{op}{suffix} offset={offset} {base} {self.expression(kind, d)})"
        expected = self.expression(kind, d)
        if rng.random() < 0.5:
            # What is there, so that it is exchanged.
            expected = f"({kind}.atomic.load{width}{suffix} offset={offset} {base})"
        return f"({kind}.atomic.rmw{width}.cmpxchg{suffix} offset={offset} {base} {expected} {self.expression(kind, d)})"

    # ------------------------------------------------------------------ calls

    def call(self, kind: str, d: int) -> str:
        """A call whose only result is of that type, "" if there is none."""
        rng = self.rng
        if rng.random() < 0.2 and kind != F64:
            return f"(call $dirty_{kind} {self.expression(kind, d)})"
        matching = [f for f in self.functions if f.results == [kind]]
        if not matching or self.budget <= 0 or self.fn.loops > 1:
            return ""
        self.budget -= 3
        function = rng.choice(matching)
        return self.invoke(function, d)

    def invoke(self, function: Function, d: int) -> str:
        arguments = " ".join(self.expression(t, min(d, 1)) for t in function.params)
        if self.rng.random() < 0.6:
            return f"(call $f{function.number} {arguments})"
        return f"(call_indirect $t (type $f{function.number}) {arguments} {self.element(function)})"

    def element(self, function: Function) -> str:
        """The index of an entry, mostly one with the right function."""
        right = [i for i, f in enumerate(self.table) if f is not None and self.functions[f].params == function.params]
        if right and self.rng.random() < 0.9:
            index = self.rng.choice(right)
            if self.rng.random() < 0.5:
                return f"(i32.const {index})"
            return f"(i32.wrap_i64 (i64.or (i64.shl {self.leaf(I64)} (i64.const 32)) (i64.const {index})))"
        return self.expression(I32, 1)

    # ------------------------------------------------------------------ statements

    def label(self, prefix: str) -> str:
        self.names += 1
        return f"${prefix}{self.names}"

    def statements(self, most: int) -> str:
        return " ".join(self.statement() for _ in range(self.rng.randint(1, most)))

    def simple(self) -> str:
        rng = self.rng
        choice = rng.random()
        if choice < 0.12 * self.weight["memory"] ** 0.5:
            return self.store(self.depth - 1)
        if choice < 0.4 and rng.random() < 0.15 and self.globals:
            i = rng.randrange(len(self.globals))
            return f"(global.set $g{i} {self.expression(self.globals[i], self.depth)})"
        if choice < 0.4 and rng.random() < 0.06 * self.weight["atomics"]:
            kind = rng.choice((I32, I64))
            width, size = rng.choice(WIDTHS[kind])
            base, offset = self.address(1, size, aligned=rng.random() < 0.97)
            return f"({kind}.atomic.store{width} offset={offset} {base} {self.expression(kind, 1)})"
        kind = rng.choice(self.types)
        found = self.fn.of(kind)
        if not found:
            return "(nop)"
        return f"(local.set {rng.choice(found)} {self.expression(kind, self.depth)})"

    def statement(self) -> str:
        rng = self.rng
        self.budget -= 1
        if self.budget <= 0 or len(self.fn.labels) > 6 or rng.random() < 0.5:
            return self.simple()
        makers = {
            self.if_else: 2 * self.weight["control"], self.block: self.weight["control"], self.loop: 1.5 * self.weight["control"],
            self.switch: self.weight["control"], self.leave: self.weight["control"], self.call_statement: self.weight["calls"],
            self.multi: self.weight["control"], self.memory_statement: self.weight["memory"], self.print: 0.7,
            self.table_statement: 0.3, self.pressure: self.weight["pressure"],
        }  # fmt: skip
        (maker,) = rng.choices(list(makers), list(makers.values()))
        found: str = maker()
        return found

    def inside(self, name: str, types: tuple[str, ...], most: int = 3) -> str:
        self.fn.labels.append((name, types))
        body = self.statements(most)
        self.fn.labels.pop()
        return body

    def if_else(self) -> str:
        name = self.label("i")
        text = f"(if {name} {self.condition(self.depth)} (then {self.inside(name, ())})"
        if self.rng.random() < 0.6:
            text += f" (else {self.inside(name, ())})"
        return text + ")"

    def block(self) -> str:
        name = self.label("b")
        return f"(block {name} {self.inside(name, (), 4)})"

    def loop(self) -> str:
        """Counted up or down, left in the middle or at the end; other branches only go out of it."""
        rng, fn = self.rng, self.fn
        if fn.loops > 2:
            return self.simple()
        name, out, counter = self.label("l"), self.label("o"), f"$k{fn.counters}"
        fn.counters += 1
        fn.loops += 1
        times = rng.choice((1, 2, 3, 5, 17) if fn.loops == 1 else (1, 2, 4))
        body = self.inside(out, (), 4)
        fn.loops -= 1
        use = ""
        if fn.of(I32) and rng.random() < 0.6:
            # The counter as an index, as programs have it.
            i = rng.choice(fn.of(I32))
            shifted = f"(i32.shl (local.get {counter}) (i32.const {rng.choice((0, 1, 2, 3))}))"
            use = f"(local.set {i} (i32.add (local.get {i}) (i32.load offset={rng.choice((0, 4, 256))} align=1 {shifted})))"
        if rng.random() < 0.5:
            step = f"(br_if {name} (i32.lt_u (local.tee {counter} (i32.add (local.get {counter}) (i32.const 1))) (i32.const {times})))"
            start = f"(local.set {counter} (i32.const 0))"
        else:
            step = f"(br_if {name} (local.tee {counter} (i32.sub (local.get {counter}) (i32.const 1))))"
            start = f"(local.set {counter} (i32.const {times}))"
        return f"{start} (block {out} (loop {name} {use} {body} {step}))"

    def switch(self) -> str:
        """Nested blocks and a br_table into them."""
        rng = self.rng
        n = rng.choice((1, 2, 3, 5, 9))
        names = [self.label("s") for _ in range(n)]
        targets = " ".join(rng.choice(names) for _ in range(rng.choice((1, 2, n, 2 * n, 20))))
        selector = self.expression(I32, 1)
        if rng.random() < 0.7:
            selector = f"(i32.rem_u {selector} (i32.const {rng.choice((2, 5, 21))}))"
        text = f"(br_table {targets} {selector})"
        for name in names:
            text = f"(block {name} {text}) {self.simple()}"
            if rng.random() < 0.3 and self.fn.labels:
                text += f" {self.leave()}"
        return text

    def leave(self) -> str:
        rng = self.rng
        if not self.fn.labels or rng.random() < 0.15:
            values = " ".join(self.expression(t, 1) for t in self.fn.results)
            return f"(if {self.condition(1)} (then (return {values})))"
        name, types = rng.choice(self.fn.labels)
        if not types and rng.random() < 0.6:
            return f"(br_if {name} {self.condition(1)})"
        values = " ".join(self.expression(t, 1) for t in types)
        return f"(if {self.condition(1)} (then (br {name} {values})))"

    def multi(self) -> str:
        """Blocks that take and give several values."""
        rng, fn = self.rng, self.fn
        kinds = [t for t in self.types if fn.of(t)]
        if not kinds:
            return self.simple()
        results = tuple(rng.choice(kinds) for _ in range(rng.choice((1, 2, 3, 4))))
        name = self.label("m")
        given = " ".join(self.expression(t, 1) for t in results)
        body = self.inside(name, results, 2)
        last = " ".join(self.expression(t, 1) for t in results)
        sets = " ".join(f"(local.set {rng.choice(fn.of(t))})" for t in reversed(results))
        words = " ".join(results)
        if rng.random() < 0.5:
            drops = " ".join("(drop)" for _ in results)
            return f"{given} (block {name} (param {words}) (result {words}) {drops} {body} {last}) {sets}"
        return f"(block {name} (result {words}) {body} {last}) {sets}"

    def call_statement(self) -> str:
        rng, fn = self.rng, self.fn
        if fn.loops > 1:
            return self.simple()
        function = rng.choice(self.functions)
        text = self.invoke(function, 1)
        for t in reversed(function.results):
            found = fn.of(t)
            text += f" (local.set {rng.choice(found)})" if found else " (drop)"
        return text

    def memory_statement(self) -> str:
        rng = self.rng
        choice = rng.random()
        i = self.fn.of(I32)
        if choice < 0.35 and i:
            grow = f"(memory.grow (i32.const {rng.choice((0, 1, 1, 2, 65536, 0xFFFFFFFF, 0x80000000))}))"
            return f"(local.set {rng.choice(i)} {grow}) {self.store(1)}"
        if choice < 0.45 and i:
            return f"(local.set {rng.choice(i)} (memory.size))"
        end = self.pages * 65536
        size = rng.choice((0, 1, 3, 8, 16, 100))
        first = rng.choice((f"(i32.and {self.leaf(I32)} (i32.const 0xfff))", f"(i32.const {end - size})", "(i32.const 256)"))
        second = f"(i32.and {self.leaf(I32)} (i32.const 0xfff))"
        length = f"(i32.const {size})" if rng.random() < 0.7 else f"(i32.and {self.leaf(I32)} (i32.const 127))"
        if choice < 0.7:
            return f"(memory.copy {first} {second} {length})"
        if choice < 0.85:
            return f"(memory.fill {first} {self.leaf(I32)} {length})"
        return f"(memory.init $d {first} (i32.const {rng.choice((0, 1, 5))}) (i32.const {rng.choice((0, 1, 7))}))"

    def table_statement(self) -> str:
        rng = self.rng
        n = len(self.table)
        choice = rng.random()
        index = f"(i32.const {rng.choice((0, n - 1, n))})" if rng.random() < 0.5 else f"(i32.rem_u {self.leaf(I32)} (i32.const {n + 1}))"
        if choice < 0.3:
            return f"(table.set $t {index} (ref.func $f{rng.randrange(len(self.functions))}))"
        if choice < 0.5:
            return f"(table.set $t {index} (table.get $t (i32.const {rng.randrange(n)})))"
        if choice < 0.7:
            return f"(drop (table.grow $t (ref.null func) (i32.const {rng.choice((0, 1, 0xFFFFFFFF))})))"
        if choice < 0.85:
            return f"(table.fill $t {index} (ref.func $f0) (i32.const {rng.choice((0, 1))}))"
        return f"(table.copy $t $t {index} (i32.const 0) (i32.const {rng.choice((0, 1))}))"

    def print(self) -> str:
        return f"(call $print {self.leaf(I32)} {self.leaf(I64)} {self.expression(I32, 1)})"

    def pressure(self) -> str:
        """A sum over everything that is there, in one expression whose operands all live at once."""
        rng, fn = self.rng, self.fn
        kind = rng.choice((I32, I64))
        found = fn.of(kind)
        if len(found) < 2:
            return self.simple()
        terms = [f"({kind}.{rng.choice(BINARY)} (local.get {i}) {self.leaf(kind)})" for i in found[:18]]
        rng.shuffle(terms)
        text = terms.pop()
        ops = [rng.choice(("add", "xor", "sub", "or")) for _ in terms]
        if rng.random() < 0.5:
            # All on the stack first, then folded.
            text = " ".join([text, *terms]) + " " + " ".join(f"({kind}.{op})" for op in ops)
            return f"{text} (local.set {rng.choice(found)})"
        for term, op in zip(terms, ops, strict=True):
            text = f"({kind}.{op} {text} {term})"
        return f"(local.set {rng.choice(found)} {text})"

    # ------------------------------------------------------------------ modules

    def mixed(self, kind: str) -> str:
        """One value that depends on all variables of a type."""
        found = self.fn.of(kind)
        text = self.expression(kind, 1)
        integer = kind in (I32, I64)
        for i in found:
            if integer:
                text = f"({kind}.{self.rng.choice(('add', 'xor'))} ({kind}.rotl {text} ({kind}.const 5)) (local.get {i}))"
            elif self.rng.random() < 0.5:
                text = f"(select {text} (local.get {i}) {self.condition(0)})"
        return text

    def body(self, fn: Function) -> str:
        rng = self.rng
        self.fn = fn
        many = (0, 1, 3, 6) if self.weight["pressure"] == 1 else (6, 10, 16, 24)
        fn.locals = self.signature(rng.choice(many))
        self.budget = rng.choice((2, 4, 8, 20))
        statements = self.statements(rng.choice((1, 2, 4, 8)))
        results = " ".join(self.mixed(t) for t in fn.results)
        # What is left is to be seen too.
        for t in self.types:
            matching = [i for i, kind in enumerate(self.globals) if kind == t]
            if matching and rng.random() < 0.5:
                statements += f" (global.set $g{rng.choice(matching)} {self.mixed(t)})"
        locals_ = f"(local {' '.join(fn.locals)})" if fn.locals else ""
        counters = " ".join(f"(local $k{i} i32)" for i in range(fn.counters))
        fuel = "(if (i32.eqz (global.get $fuel)) (then unreachable)) (global.set $fuel (i32.sub (global.get $fuel) (i32.const 1)))"
        return (
            f'(func $f{fn.number} (export "f{fn.number}") (type $f{fn.number}) {locals_} {counters} (local $tf f32) (local $td f64)\n'
            f"  {fuel}\n  {statements}\n  {results})"
        )

    def module(self) -> str:
        rng = self.rng
        bodies = "\n".join(self.body(fn) for fn in self.functions)
        types = " ".join(f"(type $f{fn.number} (func{fn.signature}))" for fn in self.functions)
        dirty = " ".join(f'(import "h" "dirty" (func $dirty_{t} (param {t}) (result {t})))' for t in (I32, I64, F32))
        entries = " ".join("(ref.null func)" if f is None else f"(ref.func $f{f})" for f in self.table)
        globals_ = " ".join(
            f'(global $g{i} (export "g{i}") (mut {t}) {self.float_const(t, rng.choice(EDGES[t])) if t in (F32, F64) else f"({t}.const {rng.choice(EDGES[t])})"})'
            for i, t in enumerate(self.globals)
        )
        data = "".join(f"\\{byte:02x}" for byte in rng.randbytes(rng.choice((16, 64, 300))))
        special = "".join(f"\\{byte:02x}" for t in (F32, F64) for bits in rng.sample(EDGES[t], 6) for byte in bits.to_bytes(4 if t == F32 else 8, "little"))
        last = "".join(f"\\{byte:02x}" for byte in rng.randbytes(16))
        return (
            f'(module {types}\n(import "h" "print" (func $print (param i32 i64 i32))) {dirty}\n'
            f'(memory (export "m") {self.pages} {self.max_pages}) (table $t (export "t") {len(self.table)} {len(self.table) + 3} funcref)\n'
            f"(elem (table $t) (i32.const 0) funcref {entries}) (elem declare func {' '.join(f'$f{f.number}' for f in self.functions)})\n"
            f'(global $fuel (mut i32) (i32.const {FUEL})) {globals_}\n'
            f'(data (i32.const 0) "{data}") (data (i32.const 1024) "{special}") (data (i32.const {self.pages * 65536 - 16}) "{last}") (data $d "12345678")\n'
            f"{bodies})"
        )


def module(seed: int) -> str:
    return Generator(seed).module()
