# SPDX-License-Identifier: GPL-2.0-only
"""From a validated wasm body to SSA, in one pass over the bytes.

Wasm is structured, so that blocks come in reverse post-order and every forward predecessor of a
block is complete when the block begins.  A branch takes a copy of the locals along; where
branches meet, locals that differ become phis, and at a loop those that the loop assigns
(scan.py) do.  Phis that turn out to be superfluous are left for passes.clean.

A branch to the end of a construct that is followed by another end or by `br` goes to the final
target at once, which saves most of the blocks of a switch.
"""

from __future__ import annotations

from typing import Any, Final

from pywasmjit import _isa
from pywasmjit._isa import (
    ATOMIC_FENCE,
    BR,
    BR_TABLE,
    CALL,
    CALL_INDIRECT,
    CALL_RT,
    CC_EQ,
    CC_GE_S,
    CC_GE_U,
    CC_GT_S,
    CC_GT_U,
    CC_LE_S,
    CC_LE_U,
    CC_LT_S,
    CC_LT_U,
    CC_NE,
    F32_CONST,
    F32_SET,
    F64_CONST,
    F64_SET,
    FCC_EQ,
    FCC_GE,
    FCC_GT,
    FCC_LE,
    FCC_LT,
    FCC_NE,
    FGLOBAL_GET,
    FGLOBAL_SET,
    FRESULT_LOAD,
    GLOBAL_GET,
    GLOBAL_SET,
    I32_ADD_IMM,
    I32_CONST,
    MEMORY_SIZE,
    REF_IS_NULL,
    RESULT_LOAD,
    RET,
    RT,
    RT_ATOMIC_NOTIFY,
    RT_ATOMIC_WAIT,
    RT_REF_FUNC,
    TRAP,
    TRAP_OUT_OF_BOUNDS,
    UNREACHABLE,
)
from pywasmjit.lower.fold import W32, W64, Emitter, Ints
from pywasmjit.lower.info import KINDS, ModuleInfo
from pywasmjit.lower.ir import (
    F32,
    F64,
    I32,
    NONE,
    PARAM,
    PHI,
    TYPE_LETTERS,
    Block,
    Function,
)
from pywasmjit.lower.scan import scan

_BLOCK: Final = 0
_LOOP: Final = 1
# A br_table with at most so many cases (ranges of indices) becomes comparisons.
_COMPARED: Final = 4
# Most entries that a br_table may grow by to save a subtraction.
_MOST_ADDED: Final = 64

# Numeric instructions 0x45 to 0xC4: method of Emitter and its first argument.
_COMPARISONS: Final = (
    CC_EQ, CC_NE, CC_LT_S, CC_LT_U, CC_GT_S, CC_GT_U, CC_LE_S, CC_LE_U, CC_GE_S, CC_GE_U,
)  # fmt: skip
_FLOAT_COMPARISONS: Final = (FCC_EQ, FCC_NE, FCC_LT, FCC_GT, FCC_LE, FCC_GE)
_INTEGER_BINARY: Final = (
    Emitter.add, Emitter.sub, Emitter.mul, Emitter.div_s, Emitter.div_u, Emitter.rem_s,
    Emitter.rem_u, Emitter.and_, Emitter.or_, Emitter.xor, Emitter.shl, Emitter.shr_s,
    Emitter.shr_u, Emitter.rotl, Emitter.rotr,
)  # fmt: skip
_FLOAT_UNARY: Final = ("ABS", "NEG", "CEIL", "FLOOR", "TRUNC", "NEAREST", "SQRT")
_FLOAT_BINARY: Final = ("ADD", "SUB", "MUL", "DIV", "MIN", "MAX", "COPYSIGN")
_CONVERSIONS: Final = {
    0xA8: "I32_TRUNC_F32_S", 0xA9: "I32_TRUNC_F32_U", 0xAA: "I32_TRUNC_F64_S",
    0xAB: "I32_TRUNC_F64_U", 0xAE: "I64_TRUNC_F32_S", 0xAF: "I64_TRUNC_F32_U",
    0xB0: "I64_TRUNC_F64_S", 0xB1: "I64_TRUNC_F64_U", 0xB2: "F32_CONVERT_I32_S",
    0xB3: "F32_CONVERT_I32_U", 0xB4: "F32_CONVERT_I64_S", 0xB5: "F32_CONVERT_I64_U",
    0xB6: "F32_DEMOTE_F64", 0xB7: "F64_CONVERT_I32_S", 0xB8: "F64_CONVERT_I32_U",
    0xB9: "F64_CONVERT_I64_S", 0xBA: "F64_CONVERT_I64_U", 0xBB: "F64_PROMOTE_F32",
}  # fmt: skip
_SATURATING: Final = (
    "I32_TRUNC_SAT_F32_S", "I32_TRUNC_SAT_F32_U", "I32_TRUNC_SAT_F64_S", "I32_TRUNC_SAT_F64_U",
    "I64_TRUNC_SAT_F32_S", "I64_TRUNC_SAT_F32_U", "I64_TRUNC_SAT_F64_S", "I64_TRUNC_SAT_F64_U",
)  # fmt: skip
_LOADS: Final = (
    "I32_LOAD", "I64_LOAD", "F32_LOAD", "F64_LOAD", "I32_LOAD8_S", "I32_LOAD8_U",
    "I32_LOAD16_S", "I32_LOAD16_U", "I64_LOAD8_S", "I64_LOAD8_U", "I64_LOAD16_S",
    "I64_LOAD16_U", "I64_LOAD32_S", "I64_LOAD32_U",
)  # fmt: skip
_STORES: Final = (
    "STORE32", "STORE64", "F32_STORE", "F64_STORE", "STORE8", "STORE16", "STORE8", "STORE16",
    "STORE32",
)  # fmt: skip
_ATOMIC_LOADS: Final = (
    "I32_ATOMIC_LOAD", "I64_ATOMIC_LOAD", "I32_ATOMIC_LOAD8_U", "I32_ATOMIC_LOAD16_U",
    "I64_ATOMIC_LOAD8_U", "I64_ATOMIC_LOAD16_U", "I64_ATOMIC_LOAD32_U",
)  # fmt: skip
_ATOMIC_STORES: Final = ("32", "64", "8", "16", "8", "16", "32")
# Suffixes in the order of the binary format, for rmw.add (0x1E) to cmpxchg (0x48).
_ATOMIC_FORMS: Final = (
    ("I32", ""), ("I64", ""), ("I32", "8"), ("I32", "16"), ("I64", "8"), ("I64", "16"),
    ("I64", "32"),
)  # fmt: skip
# Bulk and table instructions 0xFC08 to 0xFC11: helper, operands read after the sub-opcode.
_BULK: Final = (
    (_isa.RT_MEMORY_INIT, 2), (_isa.RT_DATA_DROP, 1), (_isa.RT_MEMORY_COPY, 2),
    (_isa.RT_MEMORY_FILL, 1), (_isa.RT_TABLE_INIT, 2), (_isa.RT_ELEM_DROP, 1),
    (_isa.RT_TABLE_COPY, 2), (_isa.RT_TABLE_GROW, 1), (_isa.RT_TABLE_SIZE, 1),
    (_isa.RT_TABLE_FILL, 1),
)  # fmt: skip


def _typed(name: str) -> tuple[int, int]:
    """Opcode and result type of an instruction, by name."""
    code = int(getattr(_isa, name))
    return code, TYPE_LETTERS.get(_isa.OPS[code].d, NONE)


def _numeric() -> tuple[list[object], list[object], list[object]]:
    """Tables by opcode: binary method, unary method (None where not), first argument."""
    binary: list[object] = [None] * 256
    unary: list[object] = [None] * 256
    argument: list[object] = [None] * 256
    for base, w in ((0x45, W32), (0x50, W64)):
        unary[base], argument[base] = Emitter.eqz, w
        for i, cc in enumerate(_COMPARISONS):
            binary[base + 1 + i], argument[base + 1 + i] = Emitter.compare, (w, cc)
    for base, code in ((0x5B, F32_SET), (0x61, F64_SET)):
        for i, cc in enumerate(_FLOAT_COMPARISONS):
            binary[base + i], argument[base + i] = Emitter.compare_float, (code, cc)
    for base, w in ((0x67, W32), (0x79, W64)):
        for i, method in enumerate((Emitter.clz, Emitter.ctz, Emitter.popcnt)):
            unary[base + i], argument[base + i] = method, w
        for i, integer in enumerate(_INTEGER_BINARY):
            binary[base + 3 + i], argument[base + 3 + i] = integer, w
    for base, prefix in ((0x8B, "F32_"), (0x99, "F64_")):
        for i, name in enumerate(_FLOAT_UNARY):
            unary[base + i], argument[base + i] = Emitter.unary, _typed(prefix + name)
        for i, name in enumerate(_FLOAT_BINARY, 7):
            binary[base + i], argument[base + i] = Emitter.float_binary, _typed(prefix + name)
    for opcode, name in _CONVERSIONS.items():
        unary[opcode], argument[opcode] = Emitter.unary, _typed(name)
    unary[0xA7], unary[0xAC], unary[0xAD] = Emitter.wrap, Emitter.extend_s, Emitter.extend_u
    argument[0xA7] = argument[0xAC] = argument[0xAD] = 0
    for i, name in enumerate(
        (
            "I32_REINTERPRET_F32",
            "I64_REINTERPRET_F64",
            "F32_REINTERPRET_I32",
            "F64_REINTERPRET_I64",
        ),
        0xBC,
    ):
        unary[i], argument[i] = Emitter.reinterpret, _typed(name)
    for i, low in enumerate(((W32, 8), (W32, 16), (W64, 8), (W64, 16), (W64, 32)), 0xC0):
        unary[i], argument[i] = Emitter.extend_low, low
    unary[0xD1], argument[0xD1] = Emitter.unary, (REF_IS_NULL, I32)
    return binary, unary, argument


_NUMERIC: Final[Any] = _numeric()
_LOAD_TABLE: Final = tuple(_typed(name) for name in _LOADS)
_STORE_TABLE: Final = tuple(_typed(name)[0] for name in _STORES)
_SATURATING_TABLE: Final = tuple(_typed(name) for name in _SATURATING)
_ATOMIC_LOAD_TABLE: Final = tuple(_typed(name) for name in _ATOMIC_LOADS)
_ATOMIC_STORE_TABLE: Final = tuple(_typed("ATOMIC_STORE" + s)[0] for s in _ATOMIC_STORES)
_RMW_TABLE: Final = tuple(_typed(f"{t}_ATOMIC_RMW{s}") for t, s in _ATOMIC_FORMS)
_CMPXCHG_TABLE: Final = tuple(_typed(f"{t}_ATOMIC_CMPXCHG{s}") for t, s in _ATOMIC_FORMS)


def _leb(data: bytes, pos: int) -> tuple[int, int]:
    """An unsigned LEB128 number and the position after it."""
    value = shift = 0
    while True:
        byte = data[pos]
        pos += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, pos
        shift += 7


def _sleb(data: bytes, pos: int) -> tuple[int, int]:
    """A signed LEB128 number and the position after it."""
    value = shift = 0
    while True:
        byte = data[pos]
        pos += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return (value - (1 << shift) if byte & 0x40 else value), pos


# What a branch takes along: block it comes from, locals, operands, versions of memory, globals.
Env = tuple[int, list[int], Ints, int, int]


class _Label:
    """A construct that is open."""

    __slots__ = (
        "arity", "assigned", "block", "else_", "else_block", "else_env", "end", "envs", "final",
        "height", "kind", "operands",
    )  # fmt: skip

    def __init__(self, kind: int, operands: Ints, height: int, end: int, else_: int, assigned: int) -> None:
        self.kind = kind
        self.operands = operands  # types that a branch to it takes along
        self.arity = len(operands)
        self.height = height  # of the operand stack below its parameters
        self.end = end
        self.else_ = else_
        self.assigned = assigned
        self.block: Block | None = None
        self.envs: list[Env] = []
        self.else_block: Block | None = None
        self.else_env: Env | None = None
        self.final = -1  # index of the label that branches really go to, once known


def _bits(mask: int) -> list[int]:
    """Indices of the locals in Construct.assigned."""
    found = []
    while mask:
        low = mask & -mask
        found.append(low.bit_length() - 1)
        mask ^= low
    return found


class _Builder(Emitter):
    __slots__ = (
        "_blocks", "_version", "constructs", "control", "current", "data", "fn", "info",
        "kinds", "locals", "mem_out", "stack",
    )  # fmt: skip

    def __init__(self, info: ModuleInfo, index: int) -> None:
        super().__init__(info.slack)
        body = info.module.functions[index - info.imported]
        params, results = info.types[body.type_index]
        self.info = info
        self.data = info.data
        self.fn = Function(
            index,
            info.module.function_name(index),
            params,
            results,
            self.op,
            self.uses,
            self.imm,
            self.type,
            slack=info.slack,
        )
        self.constructs = scan(self.data, body.start, body.end)
        self.stack: list[int] = []
        self.control: list[_Label] = []
        self._version = 0
        self._blocks = 0
        entry = self._block()
        self.current = entry
        self._enter(entry, 0)
        self.kinds: list[int] = list(params)
        self.locals = [self.effect(PARAM, (), (i,), t) for i, t in enumerate(params)]
        self.named.update(self.locals)
        for count, type_byte in body.locals:
            kind = KINDS[type_byte]
            self.kinds += [kind] * count
            self.locals += [self.zero(kind)] * count
        whole = self.constructs[body.start - 1]
        label = _Label(_BLOCK, results, 0, whole.end, 0, whole.assigned)
        label.final = 0
        self.control.append(label)
        self._run(body.start)

    # Blocks --------------------------------------------------------------------------------

    def _block(self) -> Block:
        block = Block(self._blocks)
        self._blocks += 1
        self.new_block()
        return block

    def _enter(self, block: Block, idom: int) -> None:
        self.current = block
        self.fn.blocks.append(block)
        self.enter(block.index, idom, block.insts)

    def _jump(self, op: int, uses: Ints, imm: Ints, *targets: Block) -> None:
        self.effect(op, uses, imm, NONE)
        self.current.succs[:] = [t.index for t in targets]

    def _new_version(self) -> int:
        self._version -= 1
        return self._version

    def _phi(self, block: Block, kind: int, uses: Ints) -> int:
        v = len(self.op)
        self.op.append(PHI)
        self.uses.append(uses)
        self.imm.append(())
        self.type.append(kind)
        self.home.append(block.index)
        block.phis.append(v)
        return v

    def _target(self, depth: int) -> _Label:
        """The label that a branch goes to in the end."""
        control = self.control
        i = len(control) - 1 - depth
        label = control[i]
        if label.final < 0:
            self._resolve(i)
        return control[label.final]

    def _resolve(self, i: int) -> None:
        """Find out where branches to label i, and to those on the way, really go."""
        control = self.control
        passed = []
        while control[i].final < 0:
            passed.append(control[i])
            following = self._following(i)
            if following == i:
                break
            i = following
        final = control[i].final if control[i].final >= 0 else i
        for label in passed:
            label.final = final

    def _following(self, i: int) -> int:
        """The label that the code behind the end of label i jumps to at once, else i."""
        control = self.control
        label = control[i]
        if label.kind == _LOOP:
            return i
        data = self.data
        pos = label.end + 1
        outer = i - 1
        while True:
            enclosing = control[outer]
            opcode = data[pos]
            if opcode == 0x0B:
                if enclosing.kind == _LOOP:
                    # Falls out of the loop.
                    pos += 1
                    outer -= 1
                    continue
            elif opcode == 0x0C:
                outer -= _leb(data, pos + 1)[0]
                if control[outer].kind == _LOOP:
                    return i
            elif opcode == 0x0F:
                outer = 0
            elif opcode != 0x05 or enclosing.else_ != pos:
                return i
            return outer if control[outer].arity == label.arity else i

    def _branch_env(self, label: _Label) -> Block:
        """Take the state along to a label; returns its block."""
        n = label.arity
        stack = self.stack
        operands = tuple(stack[-n:]) if n else ()
        index = self.current.index
        label.envs.append((index, self.locals[:], operands, self.mem, self.gmem))
        block = label.block
        if block is None:
            label.block = block = self._block()
        block.preds.append(index)
        return block

    def _restore(self, env: Env, height: int) -> None:
        _, values, operands, self.mem, self.gmem = env
        self.locals[:] = values
        del self.stack[height:]
        self.stack += operands

    def _join(self, label: _Label) -> None:
        """Start the block of a label with the states that branches brought."""
        block = label.block
        assert block is not None
        envs = label.envs
        first = envs[0]
        if len(envs) == 1:
            self._enter(block, first[0])
            self._restore(first, label.height)
            return
        idom = first[0]
        for env in envs[1:]:
            idom = self.common_dominator(idom, env[0])
        self._enter(block, idom)
        self._restore(first, label.height)
        kinds = self.kinds
        values = self.locals
        columns = [env[1] for env in envs]
        if len(columns) == 2:
            x, y = columns
            for i in _bits(label.assigned):
                if x[i] != y[i]:
                    values[i] = v = self._phi(block, kinds[i], (x[i], y[i]))
                    self.named.add(v)
        else:
            n = len(columns)
            for i in _bits(label.assigned):
                column = [c[i] for c in columns]
                if column.count(column[0]) != n:
                    values[i] = v = self._phi(block, kinds[i], tuple(column))
                    self.named.add(v)
        for i, kind in enumerate(label.operands):
            operands = tuple([env[2][i] for env in envs])
            if operands.count(operands[0]) != len(operands):
                self.stack[label.height + i] = self._phi(block, kind, operands)
        mem, gmem = first[3], first[4]
        for env in envs:
            if env[3] != mem:
                self.mem = self._new_version()
            if env[4] != gmem:
                self.gmem = self._new_version()

    def _open_loop(self, label: _Label, operands: int) -> None:
        header = self._block()
        label.block = header
        before = self.current.index
        header.preds.append(before)
        self._jump(BR, (), (), header)
        self._enter(header, before)
        values = self.locals
        stack = self.stack
        for i in _bits(label.assigned):
            values[i] = v = self._phi(header, self.kinds[i], (values[i],))
            self.named.add(v)
        for i in range(len(stack) - operands, len(stack)):
            stack[i] = self._phi(header, self.type[stack[i]], (stack[i],))
        # The poll at a loop's head may run signal handlers, and a loop may wait for what
        # another process writes to shared memory.
        self.mem = self._new_version()
        self.gmem = self._new_version()

    def _close_loop(self, label: _Label) -> None:
        header = label.block
        assert header is not None
        envs = label.envs
        if not envs:
            return
        header.loop_header = True
        uses = self.uses
        phis = iter(header.phis)
        for i in _bits(label.assigned):
            v = next(phis)
            uses[v] = (*uses[v], *[env[1][i] for env in envs])
        for i, v in enumerate(phis):
            uses[v] = (*uses[v], *[env[2][i] for env in envs])

    # Calls ---------------------------------------------------------------------------------

    def _call(self, op: int, args: Ints, imm: Ints, results: Ints) -> None:
        v = self.effect(op, args, imm, results[0] if results else NONE)
        stack = self.stack
        if results:
            stack.append(v)
            for i in range(1, len(results)):
                kind = results[i]
                load = FRESULT_LOAD if kind in (F32, F64) else RESULT_LOAD
                stack.append(self.effect(load, (), (i,), kind))
        self.mem = self.gmem = self._new_version()

    def _runtime(self, helper: int, imm0: int, imm1: int) -> None:
        _, result, params, _, _ = RT[helper]
        stack = self.stack
        n = len(params)
        args = tuple(stack[len(stack) - n :])
        del stack[len(stack) - n :]
        kinds = () if result == "_" else (TYPE_LETTERS[result],)
        self._call(CALL_RT, args, (helper, imm0, imm1), kinds)

    # Prefixed instructions -------------------------------------------------------------------

    def _bulk(self, pos: int) -> int:
        sub, pos = _leb(self.data, pos)
        stack = self.stack
        if sub < 8:
            stack[-1] = self.unary(_SATURATING_TABLE[sub], stack[-1])
            return pos
        helper, count = _BULK[sub - 8]
        imm0, pos = _leb(self.data, pos)
        imm1 = 0
        if count == 2:
            imm1, pos = _leb(self.data, pos)
        self._runtime(helper, imm0, imm1)
        return pos

    def _sum(self, base: int, offset: int) -> int:
        """base + offset as an address; traps where that passes 4 GiB."""
        if offset == 0:
            return base
        if self.op[base] == I32_CONST:
            at = (self.imm[base][0] & 0xFFFFFFFF) + offset
            if at < 0x100000000:
                return self.const(W32, at)
        total = self.add(W32, base, self.const(W32, offset))
        trap = self._block()
        after = self._block()
        here = self.current.index
        trap.preds.append(here)
        after.preds.append(here)
        carry = self.compare((W32, CC_LT_U), total, self.const(W32, offset))
        op, uses, imm = self.branch(carry)
        self._jump(op, uses, imm, trap, after)
        self._enter(trap, here)
        self.effect(TRAP, (), (TRAP_OUT_OF_BOUNDS,), NONE)
        self._enter(after, here)
        return total

    def _atomic_address(self, base: int, offset: int) -> tuple[int, int]:
        if offset >= 0x80000000:
            return self._sum(base, offset), 0
        return base, offset

    def _atomic(self, pos: int) -> int:
        data = self.data
        sub, pos = _leb(data, pos)
        if sub == 3:
            self.effect(ATOMIC_FENCE, (), (), NONE)
            self.mem = self._new_version()
            return pos + 1
        _, pos = _leb(data, pos)
        offset, pos = _leb(data, pos)
        stack = self.stack
        if sub < 3:
            # Whether a wait would time out does not matter: it always traps.
            count = stack.pop()
            if sub:
                stack.pop()
                count = self.const32(4 if sub == 1 else 8)
            base = self._sum(stack.pop(), offset)
            helper = RT_ATOMIC_WAIT if sub else RT_ATOMIC_NOTIFY
            stack += (base, count)
            self._runtime(helper, 0, 0)
            return pos
        if sub <= 0x16:
            base, offset = self._atomic_address(stack.pop(), offset)
            op, kind = _ATOMIC_LOAD_TABLE[sub - 0x10]
            uses, offset = self._atomic_operand(base, offset)
            stack.append(self.effect(op, uses, (offset,), kind))
        elif sub <= 0x1D:
            value = stack.pop()
            base, offset = self._atomic_address(stack.pop(), offset)
            uses, offset = self._atomic_operand(base, offset)
            self.effect(_ATOMIC_STORE_TABLE[sub - 0x17], (value, *uses), (offset,), NONE)
        elif sub < 0x48:
            value = stack.pop()
            base, offset = self._atomic_address(stack.pop(), offset)
            operation, form = divmod(sub - 0x1E, 7)
            op, kind = _RMW_TABLE[form]
            stack.append(self.effect(op, (value, base), (operation, offset), kind))
        else:
            value = stack.pop()
            expected = stack.pop()
            base, offset = self._atomic_address(stack.pop(), offset)
            op, kind = _CMPXCHG_TABLE[sub - 0x48]
            stack.append(self.effect(op, (expected, value, base), (offset,), kind))
        self.mem = self._new_version()
        return pos

    def _atomic_operand(self, base: int, offset: int) -> tuple[Ints, int]:
        uses, at = self.address(base, offset)
        return (uses, at) if at < 0x80000000 else ((base,), offset)

    # The body --------------------------------------------------------------------------------

    def _block_type(self, pos: int) -> tuple[Ints, Ints, int]:
        """Parameters, results and the position after a block type."""
        byte = self.data[pos]
        if byte == 0x40:
            return (), (), pos + 1
        if byte in KINDS:
            return (), (KINDS[byte],), pos + 1
        index, pos = _sleb(self.data, pos)
        return (*self.info.types[index], pos)

    def _open(self, opcode: int, pos: int, start: int) -> tuple[int, bool]:
        """block, loop or if at `start`: position to go on at, and whether that is dead."""
        end, else_, assigned = self.constructs[start]
        params, results, pos = self._block_type(pos)
        control = self.control
        stack = self.stack
        if opcode == 0x02:
            height = len(stack) - len(params)
            control.append(_Label(_BLOCK, results, height, end, 0, assigned))
            return pos, False
        if opcode == 0x03:
            height = len(stack) - len(params)
            label = _Label(_LOOP, params, height, end, 0, assigned)
            control.append(label)
            self._open_loop(label, len(params))
            return pos, False
        condition = stack.pop()
        height = len(stack) - len(params)
        label = _Label(_BLOCK, results, height, end, 0, assigned)
        control.append(label)
        if self.op[condition] == I32_CONST:
            if self.imm[condition][0] == 0:
                pos = else_ + 1 if else_ else end
            return pos, False
        label.else_ = else_
        op, uses, imm = self.branch(condition)
        here = self.current.index
        then = self._block()
        if else_:
            operands = tuple(stack[height:])
            self.named.update(operands)
            label.else_block = other = self._block()
            label.else_env = (here, self.locals[:], operands, self.mem, self.gmem)
            other.preds.append(here)
        else:
            other = self._branch_env(control[self._final_of(label)])
        self._jump(op, uses, (imm[0] ^ 1, *imm[1:]), other, then)
        then.preds.append(here)
        self._enter(then, here)
        return pos, False

    def _final_of(self, label: _Label) -> int:
        if label.final < 0:
            self._resolve(len(self.control) - 1)
        return label.final

    def _dead(self) -> int:
        """Where to go on after an instruction that does not fall through."""
        label = self.control[-1]
        return label.else_ if label.else_block is not None else label.end

    def _run(self, pos: int) -> None:
        data = self.data
        info = self.info
        stack = self.stack
        push = stack.append
        pop = stack.pop
        values = self.locals
        name = self.named.add
        control = self.control
        binary, unary, argument = _NUMERIC
        load = self.load
        load_table = _LOAD_TABLE
        const32 = self.const32
        dead = False
        while True:
            opcode = data[pos]
            pos += 1
            if opcode < 0x28:
                if opcode == 0x20:
                    index = data[pos]
                    pos += 1
                    if index >= 0x80:
                        index, pos = _leb(data, pos - 1)
                    push(values[index])
                elif opcode >= 0x21 and opcode <= 0x22:
                    index = data[pos]
                    pos += 1
                    if index >= 0x80:
                        index, pos = _leb(data, pos - 1)
                    v = pop() if opcode == 0x21 else stack[-1]
                    values[index] = v
                    name(v)
                elif opcode == 0x0B:
                    label = control.pop()
                    if label.kind == _LOOP:
                        self._close_loop(label)
                    elif label.envs:
                        if not dead:
                            self._jump(BR, (), (), self._branch_env(label))
                        self._join(label)
                        dead = False
                    if not control:
                        break
                    if dead:
                        pos = self._dead()
                elif opcode == 0x0D:
                    depth, pos = _leb(data, pos)
                    if self._branch_if(pop(), self._target(depth)):
                        dead = True
                        pos = self._dead()
                elif opcode <= 0x04:
                    if opcode >= 0x02:
                        pos, dead = self._open(opcode, pos, pos - 1)
                    elif opcode == 0x00:
                        self.effect(UNREACHABLE, (), (), NONE)
                        dead = True
                        pos = self._dead()
                elif opcode == 0x0C:
                    depth, pos = _leb(data, pos)
                    label = self._target(depth)
                    if label.final == 0 and label is control[0]:
                        self._return()
                    else:
                        self._jump(BR, (), (), self._branch_env(label))
                    dead = True
                    pos = self._dead()
                elif opcode == 0x05:
                    label = control[-1]
                    other = label.else_block
                    if other is None:
                        # The condition was constant.
                        pos = label.end
                        continue
                    if not dead:
                        target = control[self._final_of(label)]
                        self._jump(BR, (), (), self._branch_env(target))
                    env = label.else_env
                    assert env is not None
                    label.else_block = None
                    self._enter(other, env[0])
                    self._restore(env, label.height)
                    dead = False
                elif opcode == 0x10:
                    index, pos = _leb(data, pos)
                    params, results = info.types[info.functions[index]]
                    n = len(params)
                    if n:
                        args = tuple(stack[-n:])
                        del stack[-n:]
                        self._call(CALL, args, (index,), results)
                    else:
                        self._call(CALL, (), (index,), results)
                elif opcode == 0x11:
                    index, pos = _leb(data, pos)
                    table, pos = _leb(data, pos)
                    params, results = info.types[index]
                    element = pop()
                    first = len(stack) - len(params)
                    args = (element, *stack[first:])
                    del stack[first:]
                    self._call(CALL_INDIRECT, args, (index, table), results)
                elif opcode == 0x1A:
                    pop()
                elif opcode <= 0x1C and opcode >= 0x1B:
                    if opcode == 0x1C:
                        pos = _leb(data, pos)[1] + 1
                    condition = pop()
                    other_value = pop()
                    v = stack[-1]
                    stack[-1] = self.select(self.type[v], v, other_value, condition)
                elif opcode == 0x23:
                    index, pos = _leb(data, pos)
                    push(self._global_get(index))
                elif opcode == 0x24:
                    index, pos = _leb(data, pos)
                    self._global_set(index, pop())
                elif opcode == 0x0F:
                    self._return()
                    dead = True
                    pos = self._dead()
                elif opcode == 0x0E:
                    self._branch_table(pos)
                    dead = True
                    pos = self._dead()
                else:
                    # table.get, table.set
                    index, pos = _leb(data, pos)
                    helper = _isa.RT_TABLE_GET if opcode == 0x25 else _isa.RT_TABLE_SET
                    self._runtime(helper, index, 0)
            elif opcode >= 0x45:
                method = binary[opcode]
                if method is not None:
                    v = pop()
                    stack[-1] = method(self, argument[opcode], stack[-1], v)
                elif opcode == 0xFC:
                    pos = self._bulk(pos)
                elif opcode == 0xFE:
                    pos = self._atomic(pos)
                elif opcode == 0xD0:
                    pos += 1
                    push(self.null())
                elif opcode == 0xD2:
                    index, pos = _leb(data, pos)
                    push(self.pure(CALL_RT, (), (RT_REF_FUNC, index, 0), TYPE_LETTERS["R"]))
                else:
                    stack[-1] = unary[opcode](self, argument[opcode], stack[-1])
            elif opcode == 0x41:
                byte = data[pos]
                pos += 1
                if byte < 0x40:
                    push(const32(byte))
                else:
                    k, pos = _sleb(data, pos - 1)
                    push(const32(k))
            elif opcode <= 0x3E:
                # Loads and stores: alignment, offset.
                pos += 1
                while data[pos - 1] >= 0x80:
                    pos += 1
                offset = data[pos]
                pos += 1
                if offset >= 0x80:
                    offset, pos = _leb(data, pos - 1)
                if opcode <= 0x35:
                    op, kind = load_table[opcode - 0x28]
                    stack[-1] = load(op, kind, stack[-1], offset)
                else:
                    v = pop()
                    self.store(_STORE_TABLE[opcode - 0x36], pop(), offset, v)
            elif opcode == 0x42:
                k, pos = _sleb(data, pos)
                push(self.const64(k))
            elif opcode == 0x44:
                bits = int.from_bytes(data[pos : pos + 8], "little")
                pos += 8
                push(self.float_const(F64_CONST, bits, F64))
            elif opcode == 0x43:
                bits = int.from_bytes(data[pos : pos + 4], "little")
                pos += 4
                push(self.float_const(F32_CONST, bits, F32))
            elif opcode == 0x3F:
                pos += 1
                push(self._memory_size())
            else:
                # memory.grow
                pos += 1
                self._runtime(_isa.RT_MEMORY_GROW, 0, 0)
        if not dead:
            self._return()

    def _return(self) -> None:
        n = len(self.fn.results)
        stack = self.stack
        self.effect(RET, tuple(stack[-n:]) if n else (), (), NONE)

    def _branch_table(self, pos: int) -> None:
        data = self.data
        count, pos = _leb(data, pos)
        index = self.stack.pop()
        labels = []
        for _ in range(count + 1):
            depth, pos = _leb(data, pos)
            labels.append(self._target(depth))
        if self.op[index] == I32_CONST:
            k = self.imm[index][0] & 0xFFFFFFFF
            labels = [labels[min(k, count)]]
        default = labels.pop()
        # Ranges of indices that do not go to the default label.
        runs: list[tuple[int, int, _Label]] = []
        for i, label in enumerate(labels):
            if label is default:
                continue
            if runs and runs[-1][2] is label and runs[-1][1] == i - 1:
                runs[-1] = (runs[-1][0], i, label)
            else:
                runs.append((i, i, label))
        if default.arity:
            self.named.update(self.stack[-default.arity :])
        if len(runs) <= _COMPARED:
            if not self._compare_chain(index, runs):
                self._jump(BR, (), (), self._branch_env(default))
            return
        if self.op[index] == I32_ADD_IMM and index not in self.named:
            # Table entries for the values that the subtraction makes huge.
            k = -self.imm[index][0]
            if 0 < k <= _MOST_ADDED and k <= count:
                index = self.uses[index][0]
                labels[:0] = [default] * k
        blocks: dict[int, Block] = {}
        labels.append(default)
        for label in labels:
            if id(label) not in blocks:
                blocks[id(label)] = self._branch_env(label)
        targets = [blocks[id(label)] for label in labels]
        self._jump(BR_TABLE, (index,), (), *targets)

    def _compare_chain(self, index: int, runs: list[tuple[int, int, _Label]]) -> bool:
        """A br_table with few cases as conditional branches; True if one is always taken."""
        bias = 0
        if self.op[index] == I32_ADD_IMM and index not in self.named:
            if all(low == high for low, high, _ in runs):
                bias = self.imm[index][0]
                index = self.uses[index][0]
        self.named.add(index)
        for low, high, label in runs:
            if low == high:
                cc, value, k = CC_EQ, index, low - bias
            elif low == 0:
                cc, value, k = CC_LT_U, index, high + 1
            else:
                value = self.add_const(W32, index, -low)
                cc, k = CC_LT_U, high - low + 1
            if self._branch_if(self.compare((W32, cc), value, self.const(W32, k)), label):
                return True
        return False

    def _branch_if(self, condition: int, label: _Label) -> bool:
        """br_if: True if it is always taken, so that what follows is dead."""
        if self.op[condition] == I32_CONST:
            if self.imm[condition][0] == 0:
                return False
            self._jump(BR, (), (), self._branch_env(label))
            return True
        if label.arity:
            self.named.update(self.stack[-label.arity :])
        op, uses, imm = self.branch(condition)
        here = self.current.index
        taken = self._branch_env(label)
        after = self._block()
        self._jump(op, uses, imm, taken, after)
        after.preds.append(here)
        self._enter(after, here)
        return False

    def _global_get(self, index: int) -> int:
        kind, mutable = self.info.globals[index]
        version = self.gmem if mutable else 0
        key = (GLOBAL_GET, index, version)
        v = self.table.get(key)
        if v is not None and self._live[self.home[v]]:
            self.named.add(v)
            return v
        op = FGLOBAL_GET if kind in (F32, F64) else GLOBAL_GET
        self.table[key] = v = self.effect(op, (), (index,), kind)
        return v

    def _global_set(self, index: int, value: int) -> None:
        op = FGLOBAL_SET if self.info.globals[index][0] in (F32, F64) else GLOBAL_SET
        self.effect(op, (value,), (index,), NONE)
        self.gmem = self._new_version()
        self.table[GLOBAL_GET, index, self.gmem] = value
        self.named.add(value)

    def _memory_size(self) -> int:
        key = (MEMORY_SIZE, 0, self.gmem)
        v = self.table.get(key)
        if v is None or not self._live[self.home[v]]:
            self.table[key] = v = self.effect(MEMORY_SIZE, (), (0,), I32)
        return v


def build(info: ModuleInfo, index: int) -> Function:
    """SSA of a defined function (index in the function index space).

    The result still needs passes.clean: it may hold dead instructions, superfluous phis, blocks
    that could be merged, and constants that are in no block.
    """
    return _Builder(info, index).fn
