# SPDX-License-Identifier: GPL-2.0-only
"""Random SSA functions, and two interpreters that must agree: of SSA form and of bodies.

Arithmetic is a hash of opcode, immediates and operands: what matters is that the right values
reach each instruction.  Only what loops need (add immediate, comparisons) means what it says.
Loads, stores and calls go into a trace, which must be equal as well.
"""

from __future__ import annotations

import random
import zlib

from pywasmjit import _isa
from pywasmjit._isa import OPS, RT
from pywasmjit.lower import ir
from pywasmjit.lower.disasm import Body, Instruction, decode
from pywasmjit.lower.emit import COMMUTES
from pywasmjit.lower.liveness import argument_registers

LETTER = {value: letter for letter, value in ir.TYPE_LETTERS.items()}
MASK = {0: (1 << 32) - 1, 1: (1 << 64) - 1, 2: (1 << 32) - 1, 3: (1 << 64) - 1, 4: (1 << 32) - 1}

# Function types that calls use: parameters, results.
TYPES: list[tuple[tuple[int, ...], tuple[int, ...]]] = [
    ((), ()),
    ((0,), (0,)),
    ((0, 1, 0), (1,)),
    ((3, 0, 3), (3,)),
    ((0, 0, 0, 0, 0, 0, 0, 1, 0), (0,)),
    ((3,) * 10 + (0,) * 8, (1, 0, 3, 0)),
    ((4, 2), (4,)),
    ((0, 1), (3, 0, 1)),
]
FUNC_TYPES = list(range(len(TYPES)))
GLOBALS = [0, 1, 2, 3, 4]


class Stop(Exception):
    """A trap, or too many steps."""


def mix(*parts: object) -> int:
    text = repr(parts).encode()
    return zlib.crc32(text) | zlib.crc32(text, 77) << 32


def compare(cc: int, a: int, b: int, bits: int) -> bool:
    sign = 1 << (bits - 1)
    x, y = (a ^ sign) - sign, (b ^ sign) - sign
    table = (a == b, a != b, x < y, x >= y, a < b, a >= b, x > y, x <= y, a > b, a <= b)
    return table[cc]


def compute(op: int, imm: tuple[int, ...], args: list[int], kind: int) -> int:
    """The value an instruction without side effects computes."""
    name = OPS[op].name
    if name in ("I32_ADD_IMM", "I64_ADD_IMM"):
        return (args[0] + imm[0]) & MASK[kind]
    if name in ("I32_CONST", "I64_CONST", "F32_CONST", "F64_CONST", "REF_NULL"):
        return imm[0] & MASK[kind]
    if COMMUTES[op]:
        args = sorted(args)
    return mix(name, imm, args) & MASK[kind]


def branches(op: int, imm: tuple[int, ...], args: list[int]) -> bool:
    """Whether a conditional branch is taken; imm (cc) or (cc, k)."""
    name = OPS[op].name
    bits = 64 if name.startswith("I64") else 32
    other = args[1] if len(args) > 1 else imm[1] & ((1 << bits) - 1)
    if "TEST" in name:
        return ((args[0] & other) == 0) == (imm[0] == 0)
    if name[0] == "F":
        return bool((mix(name, imm[0] | 1, args) & 1) ^ (imm[0] & 1))
    return compare(imm[0], args[0], other, bits)


def run_ir(fn: ir.Function, args: list[int], limit: int = 1500) -> tuple[object, list[object]]:
    """Results (or why it stopped) and trace."""
    env: dict[int, int] = {}
    trace: list[object] = []
    block, came = fn.blocks[0], -1
    results: list[int] = []
    while True:
        if came >= 0:
            j = block.preds.index(came)
            env.update({v: env[fn.uses[v][j]] for v in block.phis})
        came = block.index
        for v in block.insts:
            limit -= 1
            op, imm, kind = fn.op[v], fn.imm[v], fn.type[v]
            if limit < 0:
                return "limit", trace
            if op == ir.PARAM:
                env[v] = args[imm[0]]
                continue
            values = [env[u] for u in fn.uses[v]]
            form = OPS[op].format
            match form:
                case "CALL" | "CALLI" | "RT":
                    trace.append((form, imm, values))
                    results = call_results(form, imm, values, len(trace))
                    if kind != ir.NONE:
                        env[v] = results[0]
                case "RLD":
                    env[v] = results[imm[0]]
                case "J":
                    block = fn.blocks[block.succs[0]]
                case "JRR" | "JRI":
                    block = fn.blocks[block.succs[0 if branches(op, imm, values) else 1]]
                case "JT":
                    block = fn.blocks[block.succs[min(values[0], len(block.succs) - 1)]]
                case "ST" | "STI" | "GST":
                    trace.append((OPS[op].name, imm, values))
                case "ARMW" | "ACAS" | "LD" | "ALD" | "GLD":
                    trace.append((OPS[op].name, imm, values))
                    env[v] = mix(OPS[op].name, imm, values, len(trace)) & MASK[kind]
                case "SEL" | "SELI":
                    env[v] = select(op, imm, values)
                case "TRAP":
                    return f"trap {imm[0]}", trace
                case "N" if op == _isa.RET:
                    return values, trace
                case "N" if op == _isa.UNREACHABLE:
                    return "unreachable", trace
                case _:
                    env[v] = compute(op, imm, values, kind)


def call_signature(form: str, imm: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    if form == "CALL":
        return TYPES[FUNC_TYPES[imm[0]]]
    if form == "CALLI":
        return TYPES[imm[0]]
    _, result, params, _, _ = RT[imm[0]]
    return (
        tuple(ir.TYPE_LETTERS[t] for t in params),
        (ir.TYPE_LETTERS[result],) if result != "_" else (),
    )


def call_results(form: str, imm: tuple[int, ...], values: list[int], when: int) -> list[int]:
    _, results = call_signature(form, imm)
    return [mix(form, imm, values, when, i) & MASK[t] for i, t in enumerate(results)]


def run_body(
    data: bytes,
    params: tuple[int, ...],
    results: tuple[int, ...],
    args: list[int],
    stop: int = 1 << 30,
    limit: int = 300000,
) -> tuple[object, list[object]]:
    """The same for a body; registers lose their contents where the contract says so.

    Stops after `stop` events in the trace.
    """
    body: Body = decode(data)
    regs: dict[int, int] = {}
    slots: dict[int, int] = {}
    outs: dict[int, int] = {}
    last_results: list[int] = []
    own_results: dict[int, int] = {}
    trace: list[object] = []
    stack: list[int] = []
    for value, r in zip(args, argument_registers(list(params)), strict=True):
        if r >= 0:
            regs[r] = value
        else:
            stack.append(value)
    at = {i.offset: n for n, i in enumerate(body.code)}
    blocks = {entry.offset: entry for entry in body.blocks}
    slot_types = [t for t, count in enumerate(body.slots) for _ in range(count)]
    pc = 0

    def key(letter: str, number: int) -> int:
        return number + (16 if letter in "FDG" else 0)

    while True:
        limit -= 1
        if limit < 0 or len(trace) >= stop:
            return "limit", trace
        i: Instruction = body.code[pc]
        entry = blocks.get(i.offset)
        if entry:
            # Only what the block table lists survives.
            regs = {r: x for r, x in regs.items() if (entry.ints | entry.floats << 16) >> r & 1}
            slots = {s: x for s, x in slots.items() if entry.slots >> s & 1}
        pc += 1
        op = OPS[i.op]
        form, k = op.format, i.imm

        def a() -> int:
            return regs[key(op.a, i.a)]

        def b() -> int:
            return regs[key(op.b, i.b)]

        def d(value: int) -> None:
            regs[key(op.d, i.d)] = value

        def kind() -> int:
            return ir.TYPE_LETTERS[op.d]

        match form:
            case "N":
                if i.op == _isa.RET:
                    found = []
                    for n, t in enumerate(results):
                        found.append(own_results[n] if n else regs[key(LETTER[t], 0)])
                    return found, trace
                if i.op == _isa.UNREACHABLE:
                    return "unreachable", trace
            case "TRAP":
                return f"trap {k[0]}", trace
            case "RR" if op.name in ("MOV", "FMOV"):
                d(a())
            case "RR" | "RRI":
                d(compute(i.op, k, [a()], kind()))
            case "RRR" | "LEA":
                d(compute(i.op, k, [a(), b()], kind()))
            case "CI" | "C4" | "C8":
                d(compute(i.op, k, [], kind()))
            case "XCH":
                x, y = key(op.a, i.a), key(op.b, i.b)
                regs[x], regs[y] = regs[y], regs[x]
            case "DIV":
                value = compute(i.op, (), [regs[0], b()], kind())
                regs.pop(0, None)
                regs.pop(1, None)
                regs[1 if "REM" in op.name else 0] = value
            case "SET":
                d(compute(i.op, k, [a(), b()], kind()))
            case "SETI":
                d(compute(i.op, k, [a()], kind()))
            case "SEL" | "SELI":
                values = [a(), b(), regs[i.x]] + ([regs[i.y]] if form == "SEL" else [])
                d(select(i.op, k, values))
            case "LD" | "ALD":
                base = [] if i.b == 15 else [b()]
                trace.append((op.name, k, base))
                d(mix(op.name, k, base, len(trace)) & MASK[kind()])
            case "ST":
                trace.append((op.name, k, [a()] if i.b == 15 else [a(), b()]))
            case "STI":
                trace.append((op.name, k, [] if i.b == 15 else [regs[i.b]]))
            case "ARMW":
                trace.append((op.name, k, [a(), b()]))
                regs[0] = mix(op.name, k, [a(), b()], len(trace)) & MASK[kind()]
            case "ACAS":
                values = [regs[0], a(), b()]
                trace.append((op.name, k, values))
                regs[0] = mix(op.name, k, values, len(trace)) & MASK[kind()]
            case "GLD":
                trace.append((op.name, k, []))
                d(mix(op.name, k, [], len(trace)) & MASK[GLOBALS[k[0]]])
            case "GST":
                trace.append((op.name, k, [a()]))
            case "SLD":
                d(slots[k[0]])
            case "SST":
                slots[k[0]] = a()
                assert slot_types[k[0]] in ((2, 3) if op.a == "G" else (0, 1, 4))
            case "ARG":
                d(stack[k[0]])
            case "OUT":
                outs[k[0]] = a()
            case "RLD":
                d(last_results[k[0]])
            case "RST":
                own_results[k[0]] = a()
            case "J":
                pc = at[body.blocks[k[0]].offset]
            case "JRR":
                if branches(i.op, k[:1], [a(), b()]):
                    pc = at[body.blocks[k[1]].offset]
            case "JRI":
                if branches(i.op, k[:2], [a()]):
                    pc = at[body.blocks[k[2]].offset]
            case "JT":
                pc = at[body.blocks[k[min(a(), len(k) - 1)]].offset]
            case "CALL" | "CALLI" | "RT":
                types, kinds = call_signature(form, k)
                values = [regs[7]] if form == "CALLI" else []
                for r in argument_registers(list(types)):
                    values.append(regs[r] if r >= 0 else outs[~r])
                trace.append((form, k, values))
                last_results = call_results(form, k, values, len(trace))
                regs = {r: x for r, x in regs.items() if 8 <= r < 12}
                outs = {}
                if kinds:
                    regs[key(LETTER[kinds[0]], 0)] = last_results[0]
            case other:
                raise AssertionError(other)


def select(op: int, imm: tuple[int, ...], values: list[int]) -> int:
    bits = 64 if OPS[op].name.startswith("I64") else 32
    other = values[3] if len(values) > 3 else imm[1] & ((1 << bits) - 1)
    return values[0] if compare(imm[0], values[2], other, bits) else values[1]


BINARY = {
    0: (_isa.I32_ADD, _isa.I32_SUB, _isa.I32_AND, _isa.I32_SHL, _isa.I32_MUL),
    1: (_isa.I64_ADD, _isa.I64_SUB, _isa.I64_XOR, _isa.I64_ROTL),
    2: (_isa.F32_ADD, _isa.F32_SUB),
    3: (_isa.F64_ADD, _isa.F64_SUB, _isa.F64_MUL),
}
CONVERT = {
    (0, 1): _isa.I64_EXTEND_I32_U, (1, 0): _isa.I32_WRAP_I64, (1, 3): _isa.F64_REINTERPRET_I64,
    (3, 1): _isa.I64_REINTERPRET_F64, (0, 2): _isa.F32_REINTERPRET_I32,
    (2, 0): _isa.I32_REINTERPRET_F32, (2, 3): _isa.F64_PROMOTE_F32, (0, 3): _isa.F64_CONVERT_I32_S,
    (4, 0): _isa.REF_IS_NULL, (1, 2): _isa.F32_CONVERT_I64_S, (3, 2): _isa.F32_DEMOTE_F64,
    (3, 0): _isa.I32_TRUNC_F64_S, (2, 1): _isa.I64_TRUNC_F32_S,
}  # fmt: skip
CONST = {
    0: _isa.I32_CONST, 1: _isa.I64_CONST, 2: _isa.F32_CONST, 3: _isa.F64_CONST, 4: _isa.REF_NULL,
}  # fmt: skip


class Generator:
    """Random structured functions over a fixed set of variables, in SSA form."""

    def __init__(self, seed: int, variables: int = 8, size: int = 40, calls: float = 0.08) -> None:
        self.rng = rng = random.Random(seed)
        self.calls = calls
        self.budget = size
        params = tuple(rng.choice((0, 0, 0, 1, 3, 2, 4)) for _ in range(rng.randrange(12)))
        results = tuple(rng.choice((0, 1, 3)) for _ in range(rng.choice((0, 1, 1, 1, 2, 4))))
        self.fn = ir.Function(0, "f", params, results)
        self.made = 0
        self.block: ir.Block | None = self.new_block(0)
        self.order = [self.block]
        given = [self.add(ir.PARAM, (), (i,), t) for i, t in enumerate(params)]
        self.kinds = [rng.choice((0, 0, 0, 1, 1, 3, 3, 2, 4)) for _ in range(variables)]
        self.kinds[0] = 0
        self.env = []
        for kind in self.kinds:
            same = [v for v in given if self.fn.type[v] == kind]
            self.env.append(rng.choice(same) if same and rng.random() < 0.8 else self.const(kind))
        self.loops: list[tuple[ir.Block, list[bool], list[tuple[ir.Block, list[int]]]]] = []
        self.region(0)
        if self.block is not None:
            self.ret()

    def new_block(self, depth: int) -> ir.Block:
        self.made += 1
        return ir.Block(self.made - 1, loop_depth=depth)

    def add(self, op: int, uses: tuple[int, ...], imm: tuple[int, ...], kind: int) -> int:
        v = self.fn.value(op, uses, imm, kind)
        assert self.block is not None
        self.block.insts.append(v)
        return v

    def const(self, kind: int) -> int:
        value = 0 if kind == 4 else self.rng.randrange(100) if kind < 2 else self.rng.randrange(1 << 31)
        return self.add(CONST[kind], (), (value,), kind)

    def any(self, kind: int) -> int:
        """A value of this type: a variable, or a constant."""
        same = [v for v, k in zip(self.env, self.kinds, strict=True) if k == kind]
        if same and self.rng.random() < 0.93:
            return self.rng.choice(same)
        return self.const(kind)

    def region(self, depth: int) -> None:
        rng = self.rng
        for _ in range(rng.randrange(2, 9)):
            if self.budget <= 0 or self.block is None:
                return
            self.budget -= 1
            what = rng.random()
            if what < 0.62 or len(self.loops) > 3:
                self.statement()
            elif what < 0.78:
                self.branch(depth)
            elif what < 0.9:
                self.loop(depth)
            elif what < 0.94:
                self.switch(depth)
            elif what < 0.96 and self.loops:
                self.leave()
            elif what < 0.97:
                self.ret()
            else:
                self.statement()

    def statement(self) -> None:
        rng = self.rng
        what = rng.random()
        uses: tuple[int, ...]
        imm: tuple[int, ...]
        i = rng.randrange(1, len(self.env))
        kind = self.kinds[i]
        if what < self.calls:
            self.call()
        elif what < 0.2 and kind != 4:
            sources = [k for k in (0, 1, 2, 3, 4) if (k, kind) in CONVERT and k in self.kinds]
            if sources:
                source = rng.choice(sources)
                self.env[i] = self.add(CONVERT[source, kind], (self.any(source),), (), kind)
        elif what < 0.3 and kind < 2:
            op = (_isa.I32_ADD_IMM, _isa.I64_ADD_IMM)[kind]
            self.env[i] = self.add(op, (self.any(kind),), (rng.randrange(-200, 200),), kind)
        elif what < 0.36 and kind < 2:
            op = rng.choice(((_isa.I32_DIV_S, _isa.I32_REM_U), (_isa.I64_DIV_U, _isa.I64_REM_S))[kind])
            self.env[i] = self.add(op, (self.any(kind), self.any(kind)), (), kind)
        elif what < 0.4 and kind < 2:
            op = (_isa.I32_ATOMIC_RMW, _isa.I64_ATOMIC_RMW)[kind]
            self.env[i] = self.add(op, (self.any(kind), self.any(0)), (0, 8), kind)
        elif what < 0.43 and kind < 2:
            op = (_isa.I32_ATOMIC_CMPXCHG, _isa.I64_ATOMIC_CMPXCHG)[kind]
            uses = (self.any(kind), self.any(kind), self.any(0))
            self.env[i] = self.add(op, uses, (8,), kind)
        elif what < 0.5 and kind in (0, 1, 3):
            if kind == 3:
                op = _isa.FSELECT_IMM
                uses = (self.any(3), self.any(3), self.any(0))
                imm = (rng.randrange(10), rng.randrange(50))
            elif rng.random() < 0.5:
                op, imm = _isa.I32_SELECT, (rng.randrange(10),)
                uses = (self.any(kind), self.any(kind), self.any(0), self.any(0))
            else:
                op, imm = _isa.I64_SELECT_IMM, (rng.randrange(10), rng.randrange(50))
                uses = (self.any(kind), self.any(kind), self.any(1))
            self.env[i] = self.add(op, uses, imm, kind)
        elif what < 0.56:
            op = (_isa.STORE32, _isa.STORE64, _isa.F32_STORE, _isa.F64_STORE, _isa.STORE32)[kind]
            value = self.any(0 if kind == 4 else kind)
            self.add(op, (value, self.any(0)) if rng.random() < 0.9 else (value,), (16,), ir.NONE)
        elif what < 0.6:
            self.add(_isa.STORE32_IMM, (self.any(0),), (20, -5), ir.NONE)
        elif what < 0.68 and kind != 4:
            op = (_isa.I32_LOAD, _isa.I64_LOAD, _isa.F32_LOAD, _isa.F64_LOAD)[kind]
            base = (self.any(0),) if rng.random() < 0.9 else ()
            self.env[i] = self.add(op, base, (rng.randrange(300),), kind)
        elif what < 0.72:
            wide = kind in (2, 3)
            op = _isa.FGLOBAL_GET if wide else _isa.GLOBAL_GET
            self.env[i] = self.add(op, (), (kind,), kind)
        elif what < 0.75:
            op = _isa.FGLOBAL_SET if kind in (2, 3) else _isa.GLOBAL_SET
            self.add(op, (self.any(kind),), (kind,), ir.NONE)
        elif what < 0.8 and kind == 0:
            imm = (rng.randrange(10), rng.randrange(100))
            self.env[i] = self.add(_isa.I32_SET_IMM, (self.any(0),), imm, 0)
        elif what < 0.83 and kind == 0:
            self.env[i] = self.add(_isa.I32_LEA, (self.any(0), self.any(0)), (2, 12), 0)
        elif kind in BINARY:
            op = rng.choice(BINARY[kind])
            self.env[i] = self.add(op, (self.any(kind), self.any(kind)), (), kind)

    def call(self) -> None:
        rng = self.rng
        form = rng.random()
        extra: tuple[int, ...]
        if form < 0.15:
            helper = rng.choice((_isa.RT_MEMORY_GROW, _isa.RT_MEMORY_FILL, _isa.RT_TABLE_GET))
            imm: tuple[int, ...] = (helper, 0, 0)
            params, results = call_signature("RT", imm)
            op, extra = _isa.CALL_RT, ()
        else:
            index = rng.randrange(len(TYPES))
            params, results = TYPES[index]
            op, imm, extra = _isa.CALL, (index,), ()
            if form < 0.4:
                op, imm, extra = _isa.CALL_INDIRECT, (index, 0), (self.any(0),)
        uses = (*extra, *[self.any(t) for t in params])
        made = [self.add(op, uses, imm, results[0] if results else ir.NONE)]
        for i in range(1, len(results)):
            if rng.random() < 0.7:
                load = _isa.FRESULT_LOAD if results[i] in (2, 3) else _isa.RESULT_LOAD
                made.append(self.add(load, (), (i,), results[i]))
        for v in made:
            places = [i for i, k in enumerate(self.kinds) if i and k == self.fn.type[v]]
            if places:
                self.env[rng.choice(places)] = v

    def condition(self, targets: list[ir.Block]) -> None:
        """End the block with a conditional branch."""
        rng = self.rng
        if 3 in self.kinds and rng.random() < 0.1:
            self.add(_isa.F64_BR_IF, (self.any(3), self.any(3)), (rng.randrange(10),), ir.NONE)
        elif rng.random() < 0.6:
            imm = (rng.randrange(10), rng.randrange(-2, 100))
            self.add(_isa.I32_BR_IF_IMM, (self.any(0),), imm, ir.NONE)
        else:
            op = rng.choice((_isa.I32_BR_IF, _isa.I32_BR_TEST))
            cc = rng.randrange(10 if op == _isa.I32_BR_IF else 2)
            self.add(op, (self.any(0), self.any(0)), (cc,), ir.NONE)
        self.link(targets)

    def link(self, targets: list[ir.Block]) -> None:
        assert self.block is not None
        for t in targets:
            self.block.succs.append(t.index)
            if self.block.index not in t.preds:
                t.preds.append(self.block.index)

    def merge(self, block: ir.Block, states: list[tuple[ir.Block, list[int]]]) -> None:
        """Continue in `block`, whose predecessors end with these variables."""
        self.block = block
        by_block = {source.index: env for source, env in states}
        envs = [by_block[p] for p in block.preds]
        for i, kind in enumerate(self.kinds):
            column = tuple(env[i] for env in envs)
            if len(set(column)) == 1:
                self.env[i] = column[0]
            else:
                self.env[i] = self.fn.value(ir.PHI, column, (), kind)
                block.phis.append(self.env[i])

    def jump(self, target: ir.Block) -> None:
        self.add(_isa.BR, (), (), ir.NONE)
        self.link([target])

    def arms(self, blocks: list[ir.Block], depth: int) -> list[tuple[ir.Block, list[int]]]:
        ends = []
        env = list(self.env)
        for block in blocks:
            # Blocks are numbered when they are entered.
            self.block = block
            self.place(block)
            self.env = list(env)
            self.region(depth)
            if self.block is not None:
                ends.append((self.block, self.env))
        return ends

    def place(self, block: ir.Block) -> None:
        self.order.append(block)

    def branch(self, depth: int) -> None:
        yes, no = self.new_block(depth), self.new_block(depth)
        targets = [yes, no]
        if self.rng.random() < 0.4:
            # Without else: a critical edge.
            join = self.new_block(depth)
            source, env = self.block, list(self.env)
            assert source is not None
            self.condition([yes, join])
            ends = self.arms([yes], depth)
            for block, _ in ends:
                self.block = block
                self.jump(join)
            self.place(join)
            self.merge(join, [*ends, (source, env)])
            return
        self.condition(targets)
        ends = self.arms(targets, depth)
        self.finish(ends, depth)

    def finish(self, ends: list[tuple[ir.Block, list[int]]], depth: int) -> None:
        if not ends:
            self.block = None
            return
        join = self.new_block(depth)
        for block, _ in ends:
            self.block = block
            self.jump(join)
        self.place(join)
        self.merge(join, ends)

    def switch(self, depth: int) -> None:
        cases = [self.new_block(depth) for _ in range(self.rng.randrange(2, 6))]
        self.add(_isa.BR_TABLE, (self.any(0),), (), ir.NONE)
        targets = [*cases, self.rng.choice(cases), self.rng.choice(cases)]
        self.link(targets)
        self.finish(self.arms(cases, depth), depth)

    def loop(self, depth: int) -> None:
        rng = self.rng
        header = self.new_block(depth + 1)
        header.loop_header = True
        counter = self.const(0)
        source, env = self.block, [*self.env]
        assert source is not None
        self.jump(header)
        self.place(header)
        self.block = header
        changing = [rng.random() < 0.6 for _ in self.kinds]
        phis = {}
        for i, kind in enumerate(self.kinds):
            if changing[i]:
                phis[i] = self.fn.value(ir.PHI, (), (), kind)
                header.phis.append(phis[i])
                self.env[i] = phis[i]
        count = self.fn.value(ir.PHI, (), (), 0)
        header.phis.append(count)
        kept = list(self.env)
        exit_block = self.new_block(depth)
        outs: list[tuple[ir.Block, list[int]]] = []
        self.loops.append((exit_block, changing, outs))
        self.region(depth + 1)
        self.loops.pop()
        backs: list[tuple[ir.Block, list[int], int]] = []
        if self.block is not None:
            # Variables that the loop does not change must be what they were.
            for i, changes in enumerate(changing):
                if not changes:
                    self.env[i] = kept[i]
            stepped = self.add(_isa.I32_ADD_IMM, (count,), (1,), 0)
            self.add(_isa.I32_BR_IF_IMM, (stepped,), (_isa.CC_LT_U, 100 + rng.randrange(4)), ir.NONE)
            self.link([header, exit_block])
            backs.append((self.block, list(self.env), stepped))
            outs.append((self.block, list(self.env)))
        for i, v in phis.items():
            self.fn.uses[v] = (env[i], *[e[i] for _, e, _ in backs])
        self.fn.uses[count] = (counter, *[s for _, _, s in backs])
        header.loop_header = bool(backs)
        if not outs:
            self.block = None
            return
        self.place(exit_block)
        self.merge(exit_block, outs)

    def leave(self) -> None:
        """A conditional break."""
        exit_block, _, outs = self.loops[-1]
        assert self.block is not None
        following = self.new_block(self.block.loop_depth)
        outs.append((self.block, list(self.env)))
        self.condition([exit_block, following] if self.rng.random() < 0.5 else [following, exit_block])
        self.place(following)
        self.block = following

    def ret(self) -> None:
        assert self.block is not None
        if self.rng.random() < 0.1:
            self.block.cold = True
            self.add(_isa.UNREACHABLE, (), (), ir.NONE)
        else:
            self.add(_isa.RET, tuple(self.any(t) for t in self.fn.results), (), ir.NONE)
        self.block = None

    def function(self) -> ir.Function:
        """The function, blocks numbered in reverse post-order."""
        fn = self.fn
        index = {block.index: n for n, block in enumerate(self.order)}
        for block in self.order:
            block.preds = [index[p] for p in block.preds]
            block.succs = [index[s] for s in block.succs]
            block.index = index[block.index]
        fn.blocks = self.order
        return fn


def random_function(seed: int, variables: int = 8, size: int = 40, calls: float = 0.08) -> ir.Function:
    """One random function."""
    return Generator(seed, variables, size, calls).function()


def random_arguments(fn: ir.Function, seed: int) -> list[int]:
    """Arguments for it."""
    rng = random.Random(seed)
    return [rng.choice((rng.randrange(100), rng.getrandbits(64))) & MASK[t] for t in fn.params]
