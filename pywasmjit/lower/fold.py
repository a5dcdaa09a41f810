# SPDX-License-Identifier: GPL-2.0-only
"""Making values: constant folding, algebraic simplification, selection, value numbering.

Emitter appends instructions to the current block.  Each method takes operands that are values
already and returns the value of the simplest equivalent it finds, so that an instruction is
selected once and for all when it is made:

  * constants become immediates, or disappear;
  * sums become LEAs, comparisons move into branches and selects (`branch`, `select`);
  * equal pure instructions, and loads with no store between, become one value where the first
    dominates the second (hash-consing; `enter` keeps track of which blocks dominate).

An operand that came straight off the wasm operand stack has no other use.  Values that were put
into a local or are used twice are in `named`; looking through them would lengthen the life of
their operands, so the address and comparison patterns leave them alone.

Instructions that become unused are left for the dead code pass.
"""

from __future__ import annotations

from typing import Final

from pywasmjit import _isa
from pywasmjit._isa import (
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
    F32_BR_IF,
    F32_CONST,
    F32_LOAD,
    F32_REINTERPRET_I32,
    F32_SET,
    F32_STORE,
    F64_BR_IF,
    F64_CONST,
    F64_LOAD,
    F64_REINTERPRET_I64,
    F64_SET,
    F64_STORE,
    FSELECT_IMM,
    I32_ADD_IMM,
    I32_AND,
    I32_AND_IMM,
    I32_ATOMIC_LOAD8_U,
    I32_ATOMIC_LOAD16_U,
    I32_BR_IF,
    I32_BR_IF_IMM,
    I32_BR_TEST,
    I32_BR_TEST_IMM,
    I32_CLZ,
    I32_CONST,
    I32_CTZ,
    I32_EXTEND8_S,
    I32_EXTEND16_S,
    I32_LOAD,
    I32_LOAD8_U,
    I32_LOAD16_U,
    I32_POPCNT,
    I32_REINTERPRET_F32,
    I32_SELECT,
    I32_SELECT_IMM,
    I32_SET,
    I32_SET_IMM,
    I32_SHR_U_IMM,
    I32_WRAP_I64,
    I64_ADD_IMM,
    I64_AND,
    I64_AND_IMM,
    I64_ATOMIC_LOAD8_U,
    I64_ATOMIC_LOAD16_U,
    I64_ATOMIC_LOAD32_U,
    I64_BR_IF,
    I64_BR_IF_IMM,
    I64_BR_TEST,
    I64_BR_TEST_IMM,
    I64_CLZ,
    I64_CONST,
    I64_CTZ,
    I64_EXTEND32_S,
    I64_EXTEND_I32_S,
    I64_EXTEND_I32_U,
    I64_LOAD,
    I64_LOAD8_U,
    I64_LOAD16_U,
    I64_LOAD32_U,
    I64_POPCNT,
    I64_REINTERPRET_F64,
    I64_SELECT,
    I64_SELECT_IMM,
    I64_SET,
    I64_SET_IMM,
    I64_SHR_U_IMM,
    REF_IS_NULL,
    REF_NULL,
    STORE8,
    STORE8_IMM,
    STORE16,
    STORE16_IMM,
    STORE32,
    STORE32_IMM,
    STORE64,
    STORE64_IMM,
)
from pywasmjit.lower.ir import F32, F64, I32, I64, NONE, REF

Ints = tuple[int, ...]


class Width:
    """The instructions of one integer width, named alike."""

    __slots__ = (
        "add", "add_imm", "and_", "and_imm", "bits", "clz", "const", "ctz", "div_s", "div_u",
        "extend", "kind", "lea", "mask", "mul", "mul_imm", "or_", "or_imm", "popcnt", "rem_s",
        "rem_u", "rotl", "rotr", "rotr_imm", "set", "set_imm", "shl", "shl_imm", "shr_s",
        "shr_s_imm", "shr_u", "shr_u_imm", "sign", "sub", "xor", "xor_imm",
    )  # fmt: skip

    def __init__(self, kind: int, bits: int) -> None:
        def code(name: str) -> int:
            return int(getattr(_isa, f"I{bits}_{name}"))

        self.kind = kind
        self.bits = bits
        self.sign = 1 << (bits - 1)
        self.mask = (1 << bits) - 1
        self.const = code("CONST")
        self.add, self.add_imm, self.sub = code("ADD"), code("ADD_IMM"), code("SUB")
        self.mul, self.mul_imm, self.lea = code("MUL"), code("MUL_IMM"), code("LEA")
        self.and_, self.and_imm = code("AND"), code("AND_IMM")
        self.or_, self.or_imm = code("OR"), code("OR_IMM")
        self.xor, self.xor_imm = code("XOR"), code("XOR_IMM")
        self.shl, self.shl_imm = code("SHL"), code("SHL_IMM")
        self.shr_s, self.shr_s_imm = code("SHR_S"), code("SHR_S_IMM")
        self.shr_u, self.shr_u_imm = code("SHR_U"), code("SHR_U_IMM")
        self.rotl, self.rotr, self.rotr_imm = (
            code("ROTL"),
            code("ROTR"),
            code("ROTR_IMM"),
        )
        self.div_s, self.div_u = code("DIV_S"), code("DIV_U")
        self.rem_s, self.rem_u = code("REM_S"), code("REM_U")
        self.clz, self.ctz, self.popcnt = code("CLZ"), code("CTZ"), code("POPCNT")
        self.set, self.set_imm = code("SET"), code("SET_IMM")
        # Shift count of a shl, shr_s pair -> the sign extension it is.
        self.extend = {bits - 8: code("EXTEND8_S"), bits - 16: code("EXTEND16_S")}
        if bits == 64:
            self.extend[32] = code("EXTEND32_S")


W32: Final = Width(I32, 32)
W64: Final = Width(I64, 64)

# Condition codes with the operands exchanged.
SWAPPED: Final = {
    CC_EQ: CC_EQ, CC_NE: CC_NE, CC_LT_S: CC_GT_S, CC_GT_S: CC_LT_S, CC_GE_S: CC_LE_S,
    CC_LE_S: CC_GE_S, CC_LT_U: CC_GT_U, CC_GT_U: CC_LT_U, CC_GE_U: CC_LE_U, CC_LE_U: CC_GE_U,
}  # fmt: skip
_REFLEXIVE: Final = frozenset({CC_EQ, CC_GE_S, CC_GE_U, CC_LE_S, CC_LE_U})
_SETS: Final = frozenset({I32_SET, I32_SET_IMM, I64_SET, I64_SET_IMM, F32_SET, F64_SET})

# Largest value (unsigned) of instructions where the opcode alone tells.
UMAX: Final = {
    I32_LOAD8_U: 0xFF, I32_LOAD16_U: 0xFFFF, I64_LOAD8_U: 0xFF, I64_LOAD16_U: 0xFFFF,
    I64_LOAD32_U: 0xFFFFFFFF, I32_ATOMIC_LOAD8_U: 0xFF, I32_ATOMIC_LOAD16_U: 0xFFFF,
    I64_ATOMIC_LOAD8_U: 0xFF, I64_ATOMIC_LOAD16_U: 0xFFFF, I64_ATOMIC_LOAD32_U: 0xFFFFFFFF,
    I32_CLZ: 32, I32_CTZ: 32, I32_POPCNT: 32, I64_CLZ: 64, I64_CTZ: 64, I64_POPCNT: 64,
    I32_SET: 1, I32_SET_IMM: 1, I64_SET: 1, I64_SET_IMM: 1, F32_SET: 1, F64_SET: 1,
    REF_IS_NULL: 1,
}  # fmt: skip
_U32_MAX: Final = 0xFFFFFFFF

# Stores: the form with an immediate and the width of what is stored, in bits.
_STORE_IMM: Final = {
    STORE8: (STORE8_IMM, 8),
    STORE16: (STORE16_IMM, 16),
    STORE32: (STORE32_IMM, 32),
    STORE64: (STORE64_IMM, 64),
}
# Loads that read back exactly what a store of a value of that type wrote.
_FORWARD: Final = {
    (STORE32, I32): I32_LOAD,
    (STORE64, I64): I64_LOAD,
    (F32_STORE, F32): F32_LOAD,
    (F64_STORE, F64): F64_LOAD,
}


def _signed(value: int, bits: int) -> int:
    """The low `bits` bits as a signed number."""
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def _fits(k: int) -> bool:
    return -0x80000000 <= k <= 0x7FFFFFFF


def holds(w: Width, cc: int, a: int, b: int) -> bool:
    """Whether `a cc b` for signed representations of two w-bit numbers."""
    if cc in (CC_LT_U, CC_GE_U, CC_GT_U, CC_LE_U):
        a &= w.mask
        b &= w.mask
    if cc == CC_EQ:
        return a == b
    if cc == CC_NE:
        return a != b
    if cc in (CC_LT_S, CC_LT_U):
        return a < b
    if cc in (CC_GE_S, CC_GE_U):
        return a >= b
    if cc in (CC_GT_S, CC_GT_U):
        return a > b
    return a <= b


class Emitter:
    """Values of one function under construction, and the block they go to.

    op, uses, imm, type: as in ir.Function.  home: the block of each value.
    insts: instructions of the current block.  mem, gmem: what loads and reads of globals
    depend on; a new number after anything that may write.
    slack: bytes of the 32-bit address space that memory can never grow into.
    """

    __slots__ = (
        "_accessed", "_consts", "_depth", "_idom", "_jump_up", "_live", "_top", "block", "gmem",
        "home", "imm", "insts", "mem", "named", "op", "slack", "table", "type", "uses",
    )  # fmt: skip

    def __init__(self, slack: int = 0) -> None:
        self.slack = slack
        # Block of the first access with this value as base.
        self._accessed: dict[int, int] = {}
        self.op: list[int] = []
        self.uses: list[Ints] = []
        self.imm: list[Ints] = []
        self.type: list[int] = []
        self.home: list[int] = []
        self.insts: list[int] = []
        self.block = 0
        self.mem = 0
        self.gmem = 0
        self.named: set[int] = set()
        self.table: dict[tuple[object, ...], int] = {}
        self._consts: dict[tuple[int, int], int] = {}
        # The dominator tree so far, and the chain of dominators of block `_top`.
        self._idom: list[int] = []
        self._depth: list[int] = []
        self._jump_up: list[int] = []
        self._live = bytearray()
        self._top = 0

    # Blocks ------------------------------------------------------------------------------

    def new_block(self) -> None:
        """Make room for one more block; its number is the count before."""
        self._idom.append(0)
        self._depth.append(0)
        self._jump_up.append(0)
        self._live.append(0)

    def common_dominator(self, a: int, b: int) -> int:
        """The closest block that dominates both."""
        idom = self._idom
        depth = self._depth
        # Ancestors at the same depth have jumps of the same length (Myers 1983).
        jump = self._jump_up
        if depth[a] < depth[b]:
            a, b = b, a
        level = depth[b]
        while depth[a] > level:
            up = jump[a]
            a = up if depth[up] >= level else idom[a]
        while a != b:
            if jump[a] != jump[b]:
                a = jump[a]
                b = jump[b]
            else:
                a = idom[a]
                b = idom[b]
        return a

    def enter(self, block: int, idom: int, insts: list[int]) -> None:
        """Emit into `block` from now on; `idom` is its immediate dominator."""
        live = self._live
        top = self._top
        if top != idom:
            chain = self._idom
            depth = self._depth
            down = idom
            while top != down:
                if depth[top] >= depth[down]:
                    live[top] = 0
                    top = chain[top]
                else:
                    live[down] = 1
                    down = chain[down]
        depth = self._depth
        jump = self._jump_up
        self._idom[block] = idom
        if block == idom:
            jump[block] = block
        else:
            depth[block] = depth[idom] + 1
            up = jump[idom]
            far = jump[up]
            jump[block] = far if depth[idom] - depth[up] == depth[up] - depth[far] else idom
        live[block] = 1
        self._top = block
        self.block = block
        self.insts = insts

    # Instructions ------------------------------------------------------------------------

    def effect(self, op: int, uses: Ints, imm: Ints, kind: int) -> int:
        """Append an instruction as it is."""
        v = len(self.op)
        self.op.append(op)
        self.uses.append(uses)
        self.imm.append(imm)
        self.type.append(kind)
        self.home.append(self.block)
        self.insts.append(v)
        return v

    def pure(self, op: int, uses: Ints, imm: Ints, kind: int) -> int:
        """An equal instruction that dominates this point, or a new one."""
        key = (op, uses, imm)
        v = self.table.get(key)
        if v is not None and self._live[self.home[v]]:
            self.named.add(v)
            return v
        self.table[key] = v = len(self.op)
        self.op.append(op)
        self.uses.append(uses)
        self.imm.append(imm)
        self.type.append(kind)
        self.home.append(self.block)
        self.insts.append(v)
        return v

    def _const(self, op: int, k: int, kind: int) -> int:
        # Constants are in no block until passes.place_constants puts them near their uses.
        v = self._consts.get((op, k))
        if v is None:
            self._consts[op, k] = v = len(self.op)
            self.op.append(op)
            self.uses.append(())
            self.imm.append((k,))
            self.type.append(kind)
            self.home.append(0)
        return v

    def const32(self, k: int) -> int:
        """An i32 constant, k signed."""
        return self._const(I32_CONST, k, I32)

    def const64(self, k: int) -> int:
        """An i64 constant, k signed."""
        return self._const(I64_CONST, k, I64)

    def const(self, w: Width, k: int) -> int:
        """A constant of that width; k is reduced to it."""
        return self._const(w.const, _signed(k, w.bits), w.kind)

    def zero(self, kind: int) -> int:
        """The initial value of a local of type `kind`."""
        return self._const(_ZERO[kind], 0, kind)

    def float_const(self, op: int, bits: int, kind: int) -> int:
        """F32_CONST or F64_CONST."""
        return self._const(op, bits, kind)

    def null(self) -> int:
        """The null reference."""
        return self._const(REF_NULL, 0, REF)

    def umax(self, v: int, depth: int = 4) -> int:
        """An upper bound of an integer value, taken as unsigned."""
        o = self.op[v]
        bound = UMAX.get(o)
        if bound is not None:
            return bound
        kind = self.type[v]
        top = 0xFFFFFFFFFFFFFFFF if kind == I64 else _U32_MAX
        if o in (I32_CONST, I64_CONST):
            return self.imm[v][0] & top
        if not depth:
            return top
        if o in (I32_AND_IMM, I64_AND_IMM):
            k = self.imm[v][0]
            return k if k >= 0 else self.umax(self.uses[v][0], depth - 1)
        if o in (I32_SHR_U_IMM, I64_SHR_U_IMM):
            return self.umax(self.uses[v][0], depth - 1) >> self.imm[v][0]
        if o in (I32_ADD_IMM, I64_ADD_IMM):
            k = self.imm[v][0]
            bound = self.umax(self.uses[v][0], depth - 1) + k
            return bound if k >= 0 and bound <= top else top
        if o in (W32.shl_imm, W64.shl_imm):
            bound = self.umax(self.uses[v][0], depth - 1) << self.imm[v][0]
            return min(bound, top)
        if o in (I32_AND, I64_AND):
            a, b = self.uses[v]
            return min(self.umax(a, depth - 1), self.umax(b, depth - 1))
        if o == I64_EXTEND_I32_U:
            return self.umax(self.uses[v][0], depth - 1)
        if o == I32_WRAP_I64:
            return min(top, self.umax(self.uses[v][0], depth - 1))
        return top

    # Sums and products -------------------------------------------------------------------

    def add(self, w: Width, a: int, b: int) -> int:
        """a + b"""
        op = self.op
        if op[b] == w.const:
            return self.add_const(w, a, self.imm[b][0])
        if op[a] == w.const:
            return self.add_const(w, b, self.imm[a][0])
        named = self.named
        disp = 0
        if op[a] == w.add_imm and a not in named:
            disp = self.imm[a][0]
            a = self.uses[a][0]
        elif op[b] == w.add_imm and b not in named:
            disp = self.imm[b][0]
            b = self.uses[b][0]
        if op[b] == w.shl_imm and b not in named and self.imm[b][0] <= 3:
            return self.pure(w.lea, (a, self.uses[b][0]), (self.imm[b][0], disp), w.kind)
        if op[a] == w.shl_imm and a not in named and self.imm[a][0] <= 3:
            return self.pure(w.lea, (b, self.uses[a][0]), (self.imm[a][0], disp), w.kind)
        if a > b:
            a, b = b, a
        if disp:
            return self.pure(w.lea, (a, b), (0, disp), w.kind)
        return self.pure(w.add, (a, b), (), w.kind)

    def add_const(self, w: Width, a: int, k: int) -> int:
        """a + k"""
        if k == 0:
            return a
        o = self.op[a]
        if o == w.const:
            return self.const(w, self.imm[a][0] + k)
        if a not in self.named:
            if o == w.add_imm:
                return self.add_const(w, self.uses[a][0], _signed(self.imm[a][0] + k, w.bits))
            if o == w.lea:
                scale, disp = self.imm[a]
                disp = _signed(disp + k, w.bits)
                if _fits(disp):
                    return self.pure(w.lea, self.uses[a], (scale, disp), w.kind)
            elif o == w.add and _fits(k):
                return self.pure(w.lea, self.uses[a], (0, k), w.kind)
        if _fits(k):
            return self.pure(w.add_imm, (a,), (k,), w.kind)
        return self.pure(w.add, (a, self.const(w, k)), (), w.kind)

    def sub(self, w: Width, a: int, b: int) -> int:
        """a - b"""
        if self.op[b] == w.const:
            return self.add_const(w, a, _signed(-self.imm[b][0], w.bits))
        if a == b:
            return self.const(w, 0)
        return self.pure(w.sub, (a, b), (), w.kind)

    def mul(self, w: Width, a: int, b: int) -> int:
        """a * b"""
        op = self.op
        if op[a] == w.const:
            a, b = b, a
        if op[b] != w.const:
            return self.pure(w.mul, (a, b) if a <= b else (b, a), (), w.kind)
        k = self.imm[b][0]
        if op[a] == w.const:
            return self.const(w, self.imm[a][0] * k)
        if k == 0:
            return b
        if k == 1:
            return a
        if k == -1:
            return self.sub(w, self.const(w, 0), a)
        positive = k & w.mask
        if positive & (positive - 1) == 0:
            return self.shl_const(w, a, positive.bit_length() - 1)
        if k in (3, 5, 9):
            return self.pure(w.lea, (a, a), ((k - 1).bit_length() - 1, 0), w.kind)
        if op[a] == w.mul_imm and a not in self.named:
            return self.mul(w, self.uses[a][0], self.const(w, self.imm[a][0] * k))
        if _fits(k):
            return self.pure(w.mul_imm, (a,), (k,), w.kind)
        return self.pure(w.mul, (a, b), (), w.kind)

    # Bits --------------------------------------------------------------------------------

    def and_(self, w: Width, a: int, b: int) -> int:
        """a & b"""
        op = self.op
        if op[a] == w.const:
            a, b = b, a
        if op[b] == w.const:
            return self.and_const(w, a, self.imm[b][0])
        if a == b:
            return a
        return self.pure(w.and_, (a, b) if a < b else (b, a), (), w.kind)

    def and_const(self, w: Width, a: int, k: int) -> int:
        """a & k"""
        o = self.op[a]
        if o == w.const:
            return self.const(w, self.imm[a][0] & k)
        if k == 0:
            return self.const(w, 0)
        if o == w.and_imm:
            return self.and_const(w, self.uses[a][0], self.imm[a][0] & k)
        low = (1 << self.umax(a).bit_length()) - 1
        if k & low == low:
            return a
        if _fits(k):
            return self.pure(w.and_imm, (a,), (k,), w.kind)
        if k == _U32_MAX:
            return self.extend_u(0, self.wrap(0, a))
        return self.pure(w.and_, (a, self.const(w, k)), (), w.kind)

    def or_(self, w: Width, a: int, b: int) -> int:
        """a | b"""
        op = self.op
        if op[a] == w.const:
            a, b = b, a
        if op[b] == w.const:
            k = self.imm[b][0]
            if op[a] == w.const:
                return self.const(w, self.imm[a][0] | k)
            if k == 0:
                return a
            if k == -1:
                return b
            if op[a] == w.or_imm:
                return self.or_(w, self.uses[a][0], self.const(w, self.imm[a][0] | k))
            if _fits(k):
                return self.pure(w.or_imm, (a,), (k,), w.kind)
        if a == b:
            return a
        return self.pure(w.or_, (a, b) if a < b else (b, a), (), w.kind)

    def xor(self, w: Width, a: int, b: int) -> int:
        """a ^ b"""
        op = self.op
        if op[a] == w.const:
            a, b = b, a
        if op[b] == w.const:
            k = self.imm[b][0]
            if op[a] == w.const:
                return self.const(w, self.imm[a][0] ^ k)
            if k == 0:
                return a
            if k == 1 and op[a] in _SETS:
                return self.inverted(a)
            if op[a] == w.xor_imm:
                return self.xor(w, self.uses[a][0], self.const(w, self.imm[a][0] ^ k))
            if _fits(k):
                return self.pure(w.xor_imm, (a,), (k,), w.kind)
        if a == b:
            return self.const(w, 0)
        return self.pure(w.xor, (a, b) if a < b else (b, a), (), w.kind)

    def _count(self, w: Width, b: int) -> int:
        # Shifts take the count modulo the width anyway.
        if self.op[b] == w.and_imm and self.imm[b][0] & (w.bits - 1) == w.bits - 1:
            return self.uses[b][0]
        return b

    def shl(self, w: Width, a: int, b: int) -> int:
        """a << b"""
        if self.op[b] == w.const:
            return self.shl_const(w, a, self.imm[b][0] & (w.bits - 1))
        return self.pure(w.shl, (a, self._count(w, b)), (), w.kind)

    def shl_const(self, w: Width, a: int, k: int) -> int:
        """a << k, 0 <= k < bits"""
        if k == 0:
            return a
        o = self.op[a]
        if o == w.const:
            return self.const(w, self.imm[a][0] << k)
        if a not in self.named:
            if o == w.shl_imm:
                k += self.imm[a][0]
                if k >= w.bits:
                    return self.const(w, 0)
                return self.pure(w.shl_imm, self.uses[a], (k,), w.kind)
            if o == w.shr_u_imm and self.imm[a][0] == k:
                return self.and_const(w, self.uses[a][0], -1 << k)
        return self.pure(w.shl_imm, (a,), (k,), w.kind)

    def shr_u(self, w: Width, a: int, b: int) -> int:
        """a >> b, unsigned"""
        if self.op[b] == w.const:
            return self.shr_u_const(w, a, self.imm[b][0] & (w.bits - 1))
        return self.pure(w.shr_u, (a, self._count(w, b)), (), w.kind)

    def shr_u_const(self, w: Width, a: int, k: int) -> int:
        """a >> k, unsigned, 0 <= k < bits"""
        if k == 0:
            return a
        o = self.op[a]
        if o == w.const:
            return self.const(w, (self.imm[a][0] & w.mask) >> k)
        if a not in self.named:
            if o == w.shr_u_imm:
                k += self.imm[a][0]
                if k >= w.bits:
                    return self.const(w, 0)
                return self.pure(w.shr_u_imm, self.uses[a], (k,), w.kind)
            if o == w.shl_imm and self.imm[a][0] == k:
                return self.and_const(w, self.uses[a][0], w.mask >> k)
        return self.pure(w.shr_u_imm, (a,), (k,), w.kind)

    def shr_s(self, w: Width, a: int, b: int) -> int:
        """a >> b, signed"""
        if self.op[b] == w.const:
            return self.shr_s_const(w, a, self.imm[b][0] & (w.bits - 1))
        return self.pure(w.shr_s, (a, self._count(w, b)), (), w.kind)

    def shr_s_const(self, w: Width, a: int, k: int) -> int:
        """a >> k, signed, 0 <= k < bits"""
        if k == 0:
            return a
        o = self.op[a]
        if o == w.const:
            return self.const(w, self.imm[a][0] >> k)
        if o == w.shl_imm and self.imm[a][0] == k and k in w.extend:
            return self.pure(w.extend[k], self.uses[a], (), w.kind)
        if o == w.shr_s_imm and a not in self.named:
            k = min(k + self.imm[a][0], w.bits - 1)
            a = self.uses[a][0]
        return self.pure(w.shr_s_imm, (a,), (k,), w.kind)

    def rotl(self, w: Width, a: int, b: int) -> int:
        """a rotated left by b"""
        if self.op[b] == w.const:
            return self._rotr_const(w, a, -self.imm[b][0] & (w.bits - 1))
        return self.pure(w.rotl, (a, self._count(w, b)), (), w.kind)

    def rotr(self, w: Width, a: int, b: int) -> int:
        """a rotated right by b"""
        if self.op[b] == w.const:
            return self._rotr_const(w, a, self.imm[b][0] & (w.bits - 1))
        return self.pure(w.rotr, (a, self._count(w, b)), (), w.kind)

    def _rotr_const(self, w: Width, a: int, k: int) -> int:
        if k == 0:
            return a
        if self.op[a] == w.const:
            bits = self.imm[a][0] & w.mask
            return self.const(w, bits >> k | bits << (w.bits - k))
        return self.pure(w.rotr_imm, (a,), (k,), w.kind)

    # Division ----------------------------------------------------------------------------

    def div_u(self, w: Width, a: int, b: int) -> int:
        """a / b, unsigned; traps on zero"""
        if self.op[b] != w.const or self.imm[b][0] == 0:
            return self.pure(w.div_u, (a, b), (), w.kind)
        d = self.imm[b][0] & w.mask
        if self.op[a] == w.const:
            return self.const(w, (self.imm[a][0] & w.mask) // d)
        if d & (d - 1) == 0:
            return self.shr_u_const(w, a, d.bit_length() - 1)
        if w is W64:
            return self.pure(w.div_u, (a, b), (), w.kind)
        return self._divide_u32(a, d)

    def _divide_u32(self, a: int, d: int) -> int:
        # ceil(2^p / d) as multiplier (Granlund, Montgomery 1994, section 4), in 64 bits.
        shift = 0
        bits = max(self.umax(a).bit_length(), 1)
        factor = _reciprocal(d, bits)
        if factor is None and d & 1 == 0:
            shift = (d & -d).bit_length() - 1
            factor = _reciprocal(d >> shift, max(bits - shift, 1))
        x = self.extend_u(0, self.shr_u_const(W32, a, shift))
        if factor is not None:
            m, p = factor
            product = self.mul(W64, x, self.const(W64, m))
            return self.wrap(0, self.shr_u_const(W64, product, p))
        # The multiplier has 33 bits: m = 2^32 + rest.
        p = d.bit_length()
        rest = -(-(1 << (32 + p)) // d) - (1 << 32)
        t = self.shr_u_const(W64, self.mul(W64, x, self.const(W64, rest)), 32)
        half = self.shr_u_const(W64, self.sub(W64, x, t), 1)
        return self.wrap(0, self.shr_u_const(W64, self.add(W64, half, t), p - 1))

    def div_s(self, w: Width, a: int, b: int) -> int:
        """a / b, signed; traps on zero and overflow"""
        if self.op[b] != w.const or self.imm[b][0] in (0, -1):
            return self.pure(w.div_s, (a, b), (), w.kind)
        d = self.imm[b][0]
        if self.op[a] == w.const:
            k = self.imm[a][0]
            return self.const(w, abs(k) // abs(d) * (1 if (k < 0) == (d < 0) else -1))
        if d == 1:
            return a
        size = abs(d)
        if size & (size - 1) == 0:
            shift = size.bit_length() - 1
            q = self.shr_s_const(w, self._biased(w, a, shift), shift)
            return q if d > 0 else self.sub(w, self.const(w, 0), q)
        if w is W64:
            return self.pure(w.div_s, (a, b), (), w.kind)
        m, p = _reciprocal_signed(size)
        product = self.mul(W64, self.extend_s(0, a), self.const(W64, m))
        q = self.wrap(0, self.shr_s_const(W64, product, p))
        sign = self.shr_s_const(W32, a, 31)
        return self.sub(W32, q, sign) if d > 0 else self.sub(W32, sign, q)

    def _biased(self, w: Width, a: int, shift: int) -> int:
        # a, plus 2^shift - 1 if a is negative: makes an arithmetic shift round to zero.
        sign = a if shift == 1 else self.shr_s_const(w, a, w.bits - 1)
        return self.add(w, self.shr_u_const(w, sign, w.bits - shift), a)

    def rem_u(self, w: Width, a: int, b: int) -> int:
        """a % b, unsigned; traps on zero"""
        if self.op[b] != w.const or self.imm[b][0] == 0:
            return self.pure(w.rem_u, (a, b), (), w.kind)
        d = self.imm[b][0] & w.mask
        if self.op[a] == w.const:
            return self.const(w, (self.imm[a][0] & w.mask) % d)
        if d & (d - 1) == 0:
            return self.and_const(w, a, d - 1)
        if w is W64:
            return self.pure(w.rem_u, (a, b), (), w.kind)
        return self.sub(w, a, self.mul(w, self._divide_u32(a, d), b))

    def rem_s(self, w: Width, a: int, b: int) -> int:
        """a % b, signed; traps on zero"""
        if self.op[b] != w.const or self.imm[b][0] == 0:
            return self.pure(w.rem_s, (a, b), (), w.kind)
        d = abs(self.imm[b][0])
        if self.op[a] == w.const:
            k = self.imm[a][0]
            return self.const(w, abs(k) % d * (-1 if k < 0 else 1))
        if d == 1:
            return self.const(w, 0)
        if d & (d - 1) == 0:
            shift = d.bit_length() - 1
            return self.sub(w, a, self.and_const(w, self._biased(w, a, shift), -d))
        if w is W64:
            return self.pure(w.rem_s, (a, b), (), w.kind)
        d_value = self.const(w, d)
        return self.sub(w, a, self.mul(w, self.div_s(w, a, d_value), d_value))

    # Other integer operations --------------------------------------------------------------

    def clz(self, w: Width, a: int) -> int:
        """Number of leading zeros."""
        if self.op[a] == w.const:
            return self.const(w, w.bits - (self.imm[a][0] & w.mask).bit_length())
        return self.pure(w.clz, (a,), (), w.kind)

    def ctz(self, w: Width, a: int) -> int:
        """Number of trailing zeros."""
        if self.op[a] == w.const:
            k = self.imm[a][0]
            return self.const(w, (k & -k).bit_length() - 1 if k else w.bits)
        return self.pure(w.ctz, (a,), (), w.kind)

    def popcnt(self, w: Width, a: int) -> int:
        """Number of ones."""
        if self.op[a] == w.const:
            return self.const(w, (self.imm[a][0] & w.mask).bit_count())
        return self.pure(w.popcnt, (a,), (), w.kind)

    def extend_low(self, arg: tuple[Width, int], a: int) -> int:
        """Sign-extend the low bits; arg: width, number of bits."""
        w, bits = arg
        if self.op[a] == w.const:
            return self.const(w, _signed(self.imm[a][0], bits))
        if self.umax(a) < 1 << (bits - 1):
            return a
        if self.op[a] == w.and_imm and self.imm[a][0] & ((1 << bits) - 1) == (1 << bits) - 1:
            a = self.uses[a][0]
        return self.pure(w.extend[w.bits - bits], (a,), (), w.kind)

    def wrap(self, _: int, a: int) -> int:
        """i32.wrap_i64"""
        o = self.op[a]
        if o == I64_CONST:
            return self.const(W32, self.imm[a][0])
        if o in (I64_EXTEND_I32_U, I64_EXTEND_I32_S):
            return self.uses[a][0]
        if o == I64_EXTEND32_S:
            a = self.uses[a][0]
        return self.pure(I32_WRAP_I64, (a,), (), I32)

    def extend_s(self, _: int, a: int) -> int:
        """i64.extend_i32_s"""
        if self.op[a] == I32_CONST:
            return self.const64(self.imm[a][0])
        if self.umax(a) < 0x80000000:
            return self.pure(I64_EXTEND_I32_U, (a,), (), I64)
        return self.pure(I64_EXTEND_I32_S, (a,), (), I64)

    def extend_u(self, _: int, a: int) -> int:
        """i64.extend_i32_u"""
        if self.op[a] == I32_CONST:
            return self.const64(self.imm[a][0] & _U32_MAX)
        return self.pure(I64_EXTEND_I32_U, (a,), (), I64)

    # Comparison ----------------------------------------------------------------------------

    def inverted(self, a: int) -> int:
        """The opposite of a SET of any kind."""
        imm = self.imm[a]
        return self.pure(self.op[a], self.uses[a], (imm[0] ^ 1, *imm[1:]), I32)

    def eqz(self, w: Width, a: int) -> int:
        """a == 0"""
        return self._compare_const(w, a, CC_EQ, 0)

    def compare(self, arg: tuple[Width, int], a: int, b: int) -> int:
        """a cc b; arg: width of the operands, cc"""
        w, cc = arg
        op = self.op
        if op[b] == w.const:
            return self._compare_const(w, a, cc, self.imm[b][0])
        if op[a] == w.const:
            return self._compare_const(w, b, SWAPPED[cc], self.imm[a][0])
        if a == b:
            return self.const32(int(cc in _REFLEXIVE))
        return self.pure(w.set, (a, b), (cc,), I32)

    def _compare_const(self, w: Width, a: int, cc: int, k: int) -> int:
        o = self.op[a]
        if o == w.const:
            return self.const32(int(holds(w, cc, self.imm[a][0], k)))
        if cc > CC_NE:
            # The forms that compare with zero for (in)equality are the best ones.
            if (cc == CC_LT_U and k == 1) or (cc == CC_LE_U and k == 0):
                cc, k = CC_EQ, 0
            elif (cc == CC_GE_U and k == 1) or (cc == CC_GT_U and k == 0):
                cc, k = CC_NE, 0
            elif k == 0 and cc in (CC_LT_U, CC_GE_U):
                return self.const32(int(cc == CC_GE_U))
            elif cc == CC_GT_S and k == -1:
                cc, k = CC_GE_S, 0
            elif cc == CC_LE_S and k == -1:
                cc, k = CC_LT_S, 0
        if cc <= CC_NE:
            while o in (w.add_imm, w.xor_imm) and a not in self.named:
                k = _signed(k - self.imm[a][0], w.bits) if o == w.add_imm else k ^ self.imm[a][0]
                a = self.uses[a][0]
                o = self.op[a]
            if o in _SETS:
                if k == 0:
                    return a if cc == CC_NE else self.inverted(a)
                if k == 1:
                    return a if cc == CC_EQ else self.inverted(a)
            if o == I64_EXTEND_I32_U and 0 <= k <= _U32_MAX:
                return self._compare_const(W32, self.uses[a][0], cc, _signed(k, 32))
            if k == 0 and o in (w.sub, w.xor) and a not in self.named:
                return self.pure(w.set, self.uses[a], (cc,), I32)
        if _fits(k):
            return self.pure(w.set_imm, (a,), (cc, k), I32)
        return self.pure(w.set, (a, self.const(w, k)), (cc,), I32)

    def compare_float(self, arg: tuple[int, int], a: int, b: int) -> int:
        """a cc b; arg: F32_SET or F64_SET, cc"""
        op, cc = arg
        return self.pure(op, (a, b), (cc,), I32)

    def _condition(self, c: int) -> tuple[int, Ints, Ints]:
        """(SET opcode or -1, uses, imm) of the comparison that an i32 stands for."""
        o = self.op[c]
        # A comparison from another block may be long ago: its operands need not live on.
        if o in _SETS and (c not in self.named or self.home[c] == self.block):
            return o, self.uses[c], self.imm[c]
        return -1, (c,), (CC_NE, 0)

    def branch(self, c: int) -> tuple[int, Ints, Ints]:
        """(opcode, uses, imm) of the conditional branch taken if c is not zero."""
        o, uses, imm = self._condition(c)
        if o == -1:
            o = I32_SET_IMM
        if o in (I32_SET_IMM, I64_SET_IMM) and imm[1] == 0 and imm[0] <= CC_NE:
            a = uses[0]
            inner = self.op[a]
            if a not in self.named:
                w, test, test_imm = (
                    (W32, I32_BR_TEST, I32_BR_TEST_IMM)
                    if o == I32_SET_IMM
                    else (W64, I64_BR_TEST, I64_BR_TEST_IMM)
                )
                if inner == w.and_:
                    return test, self.uses[a], (imm[0],)
                if inner == w.and_imm:
                    x = self.uses[a][0]
                    k = self.imm[a][0]
                    if self.op[x] == w.shr_u_imm and x not in self.named:
                        shifted = (k << self.imm[x][0]) & w.mask
                        if k >= 0 and shifted >> self.imm[x][0] == k:
                            shifted = _signed(shifted, w.bits)
                            if _fits(shifted):
                                return test_imm, self.uses[x], (imm[0], shifted)
                    return test_imm, (x,), (imm[0], k)
        return _BRANCH[o], uses, imm

    def select(self, kind: int, a: int, b: int, c: int) -> int:
        """c ? a : b, with operands of type `kind`"""
        op = self.op
        if op[c] == I32_CONST:
            return a if self.imm[c][0] else b
        if a == b:
            return a
        if op[a] == I32_CONST and op[b] == I32_CONST and op[c] in _SETS:
            ka, kb = self.imm[a][0], self.imm[b][0]
            if (ka, kb) == (1, 0):
                return c
            if (ka, kb) == (0, 1):
                return self.inverted(c)
        o, uses, imm = self._condition(c)
        if kind in (F32, F64):
            if o != I32_SET_IMM:
                uses, imm = (c,), (CC_NE, 0)
            return self.pure(FSELECT_IMM, (a, b, *uses), imm, kind)
        if o in (F32_SET, F64_SET):
            o, uses, imm = -1, (c,), (CC_NE, 0)
        return self.pure(_SELECT[o], (a, b, *uses), imm, kind)

    # Floats --------------------------------------------------------------------------------

    def float_binary(self, arg: tuple[int, int], a: int, b: int) -> int:
        """arg: opcode, type of the result"""
        return self.pure(arg[0], (a, b), (), arg[1])

    def unary(self, arg: tuple[int, int], a: int) -> int:
        """Any one-operand instruction without simplifications; arg: opcode, result type"""
        return self.pure(arg[0], (a,), (), arg[1])

    def reinterpret(self, arg: tuple[int, int], a: int) -> int:
        """Same bits, other type; arg: opcode, result type"""
        op, kind = arg
        o = self.op[a]
        if o == _REINTERPRET_BACK[op]:
            return self.uses[a][0]
        if o in (F32_CONST, F64_CONST):
            return self.const(W32 if kind == I32 else W64, self.imm[a][0])
        if o == I32_CONST:
            return self._const(F32_CONST, self.imm[a][0] & _U32_MAX, F32)
        if o == I64_CONST:
            return self._const(F64_CONST, self.imm[a][0] & 0xFFFFFFFFFFFFFFFF, F64)
        return self.pure(op, (a,), (), kind)

    # Memory --------------------------------------------------------------------------------

    def address(self, base: int, offset: int) -> tuple[Ints, int]:
        """Base operand (none if constant) and offset of an access at base + offset."""
        o = self.op[base]
        if o == I32_CONST:
            at = (self.imm[base][0] & _U32_MAX) + offset
            if at <= _U32_MAX:
                return (), at
        elif o == I32_ADD_IMM:
            # The sum wraps at 2^32, the offset does not: only where it cannot.
            k = self.imm[base][0]
            x = self.uses[base][0]
            while k > 0:
                if self._cannot_wrap(x, k) and offset + k <= _U32_MAX:
                    base = x
                    offset += k
                    break
                if self.op[x] != I32_ADD_IMM or self.imm[x][0] <= 0:
                    break
                k += self.imm[x][0]
                x = self.uses[x][0]
        accessed = self._accessed
        if base not in accessed or not self._live[accessed[base]]:
            accessed[base] = self.block
        return (base,), offset

    def _cannot_wrap(self, x: int, k: int) -> bool:
        """Whether x + k stays below 2^32, k > 0."""
        if k <= self.slack:
            # An access at x (and any offset) before this one would have trapped otherwise.
            home = self._accessed.get(x)
            if home is not None and self._live[home]:
                return True
        return self.umax(x) + k <= _U32_MAX

    def load(self, op: int, kind: int, base: int, offset: int) -> int:
        """A load of linear memory."""
        uses, offset = self.address(base, offset)
        key = (op, uses, offset, self.mem)
        v = self.table.get(key)
        if v is not None and self._live[self.home[v]]:
            self.named.add(v)
            return v
        self.table[key] = v = len(self.op)
        self.op.append(op)
        self.uses.append(uses)
        self.imm.append((offset,))
        self.type.append(kind)
        self.home.append(self.block)
        self.insts.append(v)
        return v

    def store(self, op: int, base: int, offset: int, value: int) -> None:
        """A store to linear memory; forgets what loads have seen."""
        uses, offset = self.address(base, offset)
        self.mem = mem = len(self.op)
        o = self.op[value]
        forward = _FORWARD.get((op, self.type[value]))
        if forward is not None:
            self.table[forward, uses, offset, mem] = value
            # What another block forwards must live until there.
            self.named.add(value)
        if o == F32_CONST:
            value, op = self.const(W32, self.imm[value][0]), STORE32
        elif o == F64_CONST:
            value, op = self.const(W64, self.imm[value][0]), STORE64
        elif o == I32_REINTERPRET_F32 and op == STORE32:
            value, op = self.uses[value][0], F32_STORE
        elif o == I64_REINTERPRET_F64 and op == STORE64:
            value, op = self.uses[value][0], F64_STORE
        elif o == F32_REINTERPRET_I32:
            value, op = self.uses[value][0], STORE32
        elif o == F64_REINTERPRET_I64:
            value, op = self.uses[value][0], STORE64
        o = self.op[value]
        if op in _STORE_IMM:
            op_imm, bits = _STORE_IMM[op]
            if o in (I32_CONST, I64_CONST):
                k = _signed(self.imm[value][0], bits)
                if _fits(k):
                    self.effect(op_imm, uses, (offset, k), NONE)
                    return
            elif bits < 64:
                value = self._stored(value, bits)
        self.effect(op, (value, *uses), (offset,), NONE)

    def _stored(self, v: int, bits: int) -> int:
        # The low bits are all that is stored: skip what changes only the others.
        while True:
            o = self.op[v]
            if o in (I32_AND_IMM, I64_AND_IMM):
                low = (1 << bits) - 1
                if self.imm[v][0] & low != low:
                    return v
            elif o in (I32_EXTEND16_S, W64.extend[48]):
                if bits > 16:
                    return v
            elif o in (I32_EXTEND8_S, W64.extend[56]):
                if bits > 8:
                    return v
            elif o not in (
                I32_WRAP_I64,
                I64_EXTEND_I32_U,
                I64_EXTEND_I32_S,
                I64_EXTEND32_S,
            ):
                return v
            v = self.uses[v][0]

    def clobber(self) -> None:
        """Memory and globals may have changed: a call."""
        self.mem = self.gmem = len(self.op)


_ZERO: Final = {
    I32: I32_CONST,
    I64: I64_CONST,
    F32: F32_CONST,
    F64: F64_CONST,
    REF: REF_NULL,
}
_BRANCH: Final = {
    I32_SET: I32_BR_IF,
    I32_SET_IMM: I32_BR_IF_IMM,
    I64_SET: I64_BR_IF,
    I64_SET_IMM: I64_BR_IF_IMM,
    F32_SET: F32_BR_IF,
    F64_SET: F64_BR_IF,
}
_SELECT: Final = {
    -1: I32_SELECT_IMM,
    I32_SET: I32_SELECT,
    I32_SET_IMM: I32_SELECT_IMM,
    I64_SET: I64_SELECT,
    I64_SET_IMM: I64_SELECT_IMM,
}
_REINTERPRET_BACK: Final = {
    I32_REINTERPRET_F32: F32_REINTERPRET_I32,
    F32_REINTERPRET_I32: I32_REINTERPRET_F32,
    I64_REINTERPRET_F64: F64_REINTERPRET_I64,
    F64_REINTERPRET_I64: I64_REINTERPRET_F64,
}


def _reciprocal(d: int, bits: int) -> tuple[int, int] | None:
    """(m, p) with x // d == x * m >> p for all 0 <= x < 2^bits, and x * m < 2^64."""
    for p in range(32, 64):
        m = -(-(1 << p) // d)
        if m.bit_length() + bits > 64:
            return None
        if m * d - (1 << p) <= 1 << (p - bits):
            return m, p
    return None


def _reciprocal_signed(d: int) -> tuple[int, int]:
    """(m, p) with x // d == (x * m >> p) + (x < 0), rounding to zero, for all i32 x; d >= 3."""
    # Hacker's Delight, 10-3.
    limit = 0x80000000 - 0x80000000 % d - 1
    p = 32
    while 1 << p <= limit * (d - (1 << p) % d):
        p += 1
    return ((1 << p) + d - (1 << p) % d) // d, p
