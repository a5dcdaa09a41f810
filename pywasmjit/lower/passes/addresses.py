# SPDX-License-Identifier: GPL-2.0-only
"""Addresses in innermost loops as sums: invariant part + variable part + constant.

Compilers for wasm often leave `a + (i << 2) + c` as it is written, with the invariant sums inside
the loop and a new sum for each of several neighbouring elements.  Here the address of every access
in a loop is taken apart into terms; the invariant ones are added in front of the loop, and accesses
that differ by a constant share one address, the constant becoming their offset.  (Where that is
right: see Emitter.address.)  Other invariant instructions move in front of the loop as well while
registers last.
"""

from __future__ import annotations

from typing import Final

from pywasmjit._isa import (
    I32_ADD,
    I32_ADD_IMM,
    I32_AND_IMM,
    I32_CONST,
    I32_LEA,
    I32_MUL_IMM,
    I32_OR_IMM,
    I32_SHL_IMM,
    I32_SUB,
    I64_CONST,
    OPS,
)
from pywasmjit.lower.ir import F32, F64, I32, PHI, Block, Function
from pywasmjit.lower.passes.clean import remove_dead
from pywasmjit.lower.passes.layout import nesting

# Largest loop looked at, in instructions and in blocks.
_MOST: Final = 300
_MOST_BLOCKS: Final = 40
# Registers that a loop without calls may fill before nothing more is moved in front of it.
_REGISTERS: Final = (10, 12)
_MASK: Final = 0xFFFFFFFF
_ACCESS: Final = tuple(
    {"LD": 1, "ST": 2, "STI": 3}.get(op.format, 0) if "ATOMIC" not in op.name else 0 for op in OPS
) + (0,) * (256 - len(OPS) + 3)
_CALL: Final = bytes("C" in op.flags for op in OPS).ljust(260, b"\0")
# Pure and worth moving out of a loop.
_PURE: Final = bytes(
    op.format in ("RR", "RRR", "RRI", "LEA", "SET", "SETI", "SEL", "SELI")
    and not op.flags & {"X", "M", "S", "C", "T"}
    for op in OPS
).ljust(260, b"\0")
# Worth a register even if not every iteration needs it.
_COSTLY: Final = bytes(
    op.name.startswith(("F32_", "F64_")) or "_MUL" in op.name or "_F32" in op.name or "_F64" in op.name
    for op in OPS
).ljust(260, b"\0")
_SCALES: Final = {1: 0, 2: 1, 4: 2, 8: 3}

# A sum: sorted (value, factor) pairs and a constant, modulo 2^32.
Sum = tuple[tuple[tuple[int, int], ...], int]


def _plus(a: Sum, b: Sum, factor: int = 1) -> Sum:
    terms = dict(a[0])
    for v, k in b[0]:
        k = (terms.get(v, 0) + k * factor) & _MASK
        if k:
            terms[v] = k
        else:
            terms.pop(v, None)
    return tuple(sorted(terms.items())), (a[1] + b[1] * factor) & _MASK


def _signed(k: int) -> int:
    k &= _MASK
    return k - (1 << 32) if k >> 31 else k


class _Loop:
    """One innermost loop; `blocks` in order, the head first."""

    def __init__(self, fn: Function, blocks: list[Block], slack: int) -> None:
        self.fn = fn
        self.blocks = blocks
        self.slack = slack
        self.inside = {v for b in blocks for v in (*b.phis, *b.insts)}
        self.sums: dict[int, Sum] = {}
        # Values made in front of the loop, in order, and by what they are.
        self.before: list[int] = []
        self.made: dict[tuple[object, ...], int] = {}
        self.invariant: set[int] = set()
        self.rewritten = False
        # Invariant instructions that repeat an earlier one.
        self.copies: dict[int, int] = {}

    def value(self, op: int, uses: tuple[int, ...], imm: tuple[int, ...]) -> int:
        return self.fn.value(op, uses, imm, I32)

    def zeros(self, v: int, phis: tuple[int, ...] = (), depth: int = 6) -> int:
        """A number of low bits of v that are zero for sure."""
        fn = self.fn
        op = fn.op[v]
        uses = fn.uses[v]
        if op == I32_CONST:
            k = fn.imm[v][0]
            return (k & -k).bit_length() - 1 if k else 32
        if v in phis:
            return 32
        if depth == 0:
            return 0
        depth -= 1
        if op == PHI:
            return min(self.zeros(u, (*phis, v), depth) for u in uses)
        if op == I32_SHL_IMM:
            return min(32, self.zeros(uses[0], phis, depth) + fn.imm[v][0])
        if op in (I32_ADD_IMM, I32_OR_IMM, I32_AND_IMM, I32_MUL_IMM):
            k = fn.imm[v][0]
            own = (k & -k).bit_length() - 1 if k else 32
            other = self.zeros(uses[0], phis, depth)
            if op == I32_AND_IMM:
                return max(own, other)
            return min(32, own + other) if op == I32_MUL_IMM else min(own, other)
        if op in (I32_ADD, I32_SUB):
            return min(self.zeros(u, phis, depth) for u in uses)
        return 0

    def sum(self, v: int, depth: int = 12) -> Sum:
        """A value of the loop as a sum of values that are not sums in the loop."""
        found = self.sums.get(v)
        if found is not None:
            return found
        if depth == 0:
            return ((v, 1),), 0
        self.sums[v] = found = self._sum(v, depth - 1)
        if len(found[0]) > 4:
            self.sums[v] = found = ((v, 1),), 0
        return found

    def _sum(self, v: int, depth: int) -> Sum:
        fn = self.fn
        v = self.copies.get(v, v)
        op = fn.op[v]
        imm = fn.imm[v]
        if op == I32_CONST:
            return (), imm[0] & _MASK
        if op == I32_ADD_IMM and (v in self.inside or imm[0] > 0):
            return _plus(self.sum(fn.uses[v][0], depth), ((), imm[0]))
        if v in self.inside:
            uses = fn.uses[v]
            if op == I32_ADD:
                return _plus(self.sum(uses[0], depth), self.sum(uses[1], depth))
            if op == I32_LEA:
                total = _plus(self.sum(uses[0], depth), self.sum(uses[1], depth), 1 << imm[0])
                return _plus(total, ((), imm[1]))
            if op == I32_SUB:
                return _plus(self.sum(uses[0], depth), self.sum(uses[1], depth), -1)
            if op == I32_SHL_IMM and imm[0] <= 3:
                return _plus(((), 0), self.sum(uses[0], depth), 1 << imm[0])
            if op == I32_OR_IMM and 0 < imm[0] < 1 << self.zeros(uses[0]):
                return _plus(self.sum(uses[0], depth), ((), imm[0]))
        return ((v, 1),), 0

    def find_invariant(self) -> None:
        fn = self.fn
        inside = self.inside
        invariant = self.invariant
        copies = self.copies
        # What the head computes reaches the whole loop, what another block does only that.
        in_head: dict[tuple[object, ...], int] = {}
        seen = in_head
        for block in self.blocks:
            if block is not self.blocks[0]:
                seen = {}
            for v in block.insts:
                if _PURE[fn.op[v]] and all(u not in inside or u in invariant for u in fn.uses[v]):
                    invariant.add(v)
                    operands = tuple([copies.get(u, u) for u in fn.uses[v]])
                    key = (fn.op[v], operands, fn.imm[v])
                    first = in_head[key] if key in in_head else seen.setdefault(key, v)
                    if first != v:
                        copies[v] = first

    def move_out(self, v: int) -> None:
        """Put an invariant instruction of the loop, and what it needs, in front of the loop."""
        fn = self.fn
        v = self.copies.get(v, v)
        if v in self.inside and v in self.invariant:
            for u in fn.uses[v]:
                self.move_out(u)
            self.inside.discard(v)
            key = (fn.op[v], tuple([self.copies.get(u, u) for u in fn.uses[v]]), fn.imm[v])
            if key in self.made:
                self.copies[v] = self.made[key]
            else:
                self.made[key] = v
                self.before.append(v)

    def total(self, terms: tuple[tuple[int, int], ...]) -> int:
        """The sum of invariant terms, made in front of the loop."""
        key = ("total", terms)
        found = self.made.get(key)
        if found is not None:
            return found
        value = -1
        # Positive factors first, so that there is something to subtract from.
        for v, factor in sorted(terms, key=lambda term: _signed(term[1]) < 0):
            self.move_out(v)
            k = _signed(factor)
            if value < 0:
                value = v if k == 1 else self.scaled(v, k)
            elif k in _SCALES:
                uses, imm = (value, v), (_SCALES[k], 0)
                value = self.early(I32_ADD, uses, ()) if k == 1 else self.early(I32_LEA, uses, imm)
            elif k == -1:
                value = self.early(I32_SUB, (value, v), ())
            else:
                value = self.early(I32_ADD, (value, self.scaled(v, k)), ())
        self.made[key] = value
        return value

    def scaled(self, v: int, k: int) -> int:
        if k in _SCALES:
            return self.early(I32_SHL_IMM, (v,), (_SCALES[k],))
        return self.early(I32_MUL_IMM, (v,), (k,))

    def early(self, op: int, uses: tuple[int, ...], imm: tuple[int, ...]) -> int:
        key = (op, uses, imm)
        found = self.made.get(key)
        if found is None:
            self.made[key] = found = self.value(op, uses, imm)
            self.before.append(found)
        return found


class _Access:
    """A load or store whose address is a sum: its operand `at` is the base."""

    __slots__ = ("at", "base", "block", "constant", "inst", "steady", "varying")

    def __init__(self, inst: int, block: int, at: int, base: int) -> None:
        self.inst = inst
        self.block = block
        self.at = at
        self.base = base
        self.steady: tuple[tuple[int, int], ...] = ()
        self.varying: tuple[tuple[int, int], ...] = ()
        self.constant = 0


class _Anchor:
    """A new address, made where an old one was; accesses that it or others share."""

    __slots__ = ("access", "home", "proofs", "value")

    def __init__(self, access: _Access, home: tuple[int, int]) -> None:
        self.access = access
        self.home = home  # block and position of the old address
        self.proofs: list[int] = []  # blocks with an access at this address
        self.value = -1


def _accesses(loop: _Loop) -> list[_Access]:
    """The accesses of a loop whose addresses are sums that can be made well."""
    fn = loop.fn
    found = []
    for block in loop.blocks:
        for v in block.insts:
            kind = _ACCESS[fn.op[v]]
            if not kind:
                continue
            uses = fn.uses[v]
            at = 1 if kind == 2 else 0
            if len(uses) <= at or uses[at] not in loop.inside:
                continue
            access = _Access(v, block.index, at, uses[at])
            terms, access.constant = loop.sum(uses[at])
            inside = loop.inside
            invariant = loop.invariant
            access.steady = tuple(t for t in terms if t[0] not in inside or t[0] in invariant)
            access.varying = tuple(t for t in terms if t[0] in inside and t[0] not in invariant)
            if len(access.varying) <= 2 and all(k in _SCALES for _, k in access.varying):
                found.append(access)
    return found


def _saved(fn: Function, loop: _Loop, accesses: list[_Access], counts: dict[int, int]) -> int:
    """How many instructions of the loop die if these accesses get other addresses."""
    left = dict(counts)
    dead = 0
    work = [access.base for access in accesses]
    while work:
        v = work.pop()
        left[v] -= 1
        if left[v] == 0 and v in loop.inside and _PURE[fn.op[v]]:
            dead += 1
            work += [u for u in fn.uses[v] if u in left]
    return dead


def _dominators(loop: _Loop) -> dict[int, int]:
    """Immediate dominators of the blocks of a loop; the head's is itself."""
    head = loop.blocks[0].index
    idom = {head: head}
    for block in loop.blocks[1:]:
        closest = -1
        for p in block.preds:
            if p >= block.index:
                continue
            if closest < 0:
                closest = p
            while closest != p:
                if closest > p:
                    closest = idom[closest]
                else:
                    p = idom[p]
        idom[block.index] = closest
    return idom


def _plan(loop: _Loop, accesses: list[_Access]) -> tuple[int, list[_Anchor], list[tuple[_Anchor, int]]]:
    """Instructions needed, the addresses to make, and each access's address and distance."""
    idom = _dominators(loop)

    def dominates(a: int, b: int) -> bool:
        while b > a:
            b = idom[b]
        return a == b

    home = {}
    for block in loop.blocks:
        home.update({v: (block.index, i) for i, v in enumerate(block.insts)})
        home.update(dict.fromkeys(block.phis, (block.index, -1)))
    groups: dict[object, list[_Anchor]] = {}
    anchors = []
    plan = []
    cost = 0
    for access in accesses:
        group = groups.setdefault((access.steady, access.varying), [])
        offset = loop.fn.imm[access.inst][0]
        here = home[access.inst]
        for anchor in group:
            origin, place = anchor.home
            if origin == here[0]:
                if place > here[1]:
                    continue
            elif not dominates(origin, here[0]):
                continue
            distance = (access.constant - anchor.access.constant) & _MASK
            if distance == 0 or (
                distance <= loop.slack
                and distance + offset <= _MASK
                and any(dominates(b, access.block) for b in anchor.proofs)
            ):
                break
        else:
            anchor = _Anchor(access, home[access.base])
            distance = 0
            group.append(anchor)
            anchors.append(anchor)
            cost += _cost(access)
        if distance == 0:
            anchor.proofs.append(access.block)
        plan.append((anchor, distance))
    return cost, anchors, plan


def _cost(access: _Access) -> int:
    """Instructions in the loop to compute the address."""
    if not access.varying:
        return 0
    if len(access.varying) == 1:
        if not access.steady:
            return int(access.varying[0][1] != 1) + int(access.constant != 0)
        return 1
    first = min(k for _, k in access.varying)
    return int(bool(access.steady)) + 1 + int(first != 1)


def _address(loop: _Loop, access: _Access, out: list[int]) -> int:
    """Compute an address; instructions in the loop are appended to out."""
    constant = _signed(access.constant)

    def now(op: int, uses: tuple[int, ...], imm: tuple[int, ...]) -> int:
        v = loop.value(op, uses, imm)
        loop.inside.add(v)
        out.append(v)
        return v

    if not access.varying:
        if not access.steady:
            return loop.early(I32_CONST, (), (constant,))
        base = loop.total(access.steady)
        return loop.early(I32_ADD_IMM, (base,), (constant,)) if constant else base
    varying = sorted(access.varying, key=lambda term: term[1])
    value = loop.total(access.steady) if access.steady else -1
    if value < 0:
        v, k = varying.pop(0)
        value = v if k == 1 else now(I32_SHL_IMM, (v,), (_SCALES[k],))
    for i, (v, k) in enumerate(varying):
        disp = constant if i == len(varying) - 1 else 0
        if k == 1 and not disp:
            value = now(I32_ADD, (value, v), ())
        else:
            value = now(I32_LEA, (value, v), (_SCALES[k], disp))
    if not varying and constant:
        value = now(I32_ADD_IMM, (value,), (constant,))
    return value


def _rewrite(loop: _Loop, counts: dict[int, int]) -> None:
    fn = loop.fn
    accesses = _accesses(loop)
    if not accesses:
        return
    cost, anchors, plan = _plan(loop, accesses)
    if _saved(fn, loop, accesses, counts) <= cost:
        return
    loop.rewritten = True
    new: dict[int, list[int]] = {}
    sharing: dict[int, list[_Access]] = {}
    for access, (anchor, _) in zip(accesses, plan, strict=True):
        sharing.setdefault(id(anchor), []).append(access)
    for anchor in anchors:
        access = anchor.access
        users = sharing[id(anchor)]
        alone = all(user.base == access.base for user in users)
        if alone and _saved(fn, loop, users, counts) <= _cost(access):
            anchor.value = access.base
        else:
            anchor.value = _address(loop, access, new.setdefault(access.base, []))
    for access, (anchor, distance) in zip(accesses, plan, strict=True):
        uses = list(fn.uses[access.inst])
        uses[access.at] = anchor.value
        fn.uses[access.inst] = tuple(uses)
        imm = fn.imm[access.inst]
        fn.imm[access.inst] = (imm[0] + distance, *imm[1:])
    for block in loop.blocks:
        insts: list[int] = []
        for v in block.insts:
            insts += new.get(v, ())
            insts.append(v)
        block.insts = insts


def _pressure(fn: Function, loop: _Loop) -> list[int]:
    """Integer and float values that live all through a loop: its phis and what it reads."""
    kinds = fn.type
    values = {v for block in loop.blocks for v in block.phis}
    for block in loop.blocks:
        for v in block.insts:
            values.update(u for u in fn.uses[v] if u not in loop.inside)
    constants = (I32_CONST, I64_CONST)
    counts = [0, 0]
    for v in values:
        if fn.op[v] not in constants:
            counts[kinds[v] in (F32, F64)] += 1
    return counts


def _hoist(fn: Function, loop: _Loop) -> None:
    """Move invariant instructions in front of a loop without calls, while registers last.

    Cheap ones only from where every iteration comes by: the head and the end of the loop.
    """
    if any(_CALL[fn.op[v]] for block in loop.blocks for v in block.insts):
        return
    used = _pressure(fn, loop)
    head = loop.blocks[0]
    ends = [p for p in head.preds if p >= head.index]
    for block in loop.blocks:
        always = block is head or ends == [block.index]
        for v in block.insts:
            if v in loop.invariant and v in loop.inside and v not in loop.copies:
                kind = int(fn.type[v] in (F32, F64))
                if used[kind] < _REGISTERS[kind] - 2 and (always or _COSTLY[fn.op[v]]):
                    used[kind] += 1
                    loop.move_out(v)


def _source(copies: dict[int, int], v: int) -> int:
    while v in copies:
        v = copies[v]
    return v


def improve_loops(fn: Function) -> None:
    """Rewrite the addresses of innermost loops and move invariant instructions out."""
    blocks = fn.blocks
    if not any(block.loop_header for block in blocks):
        return
    innermost, parent = nesting(fn)
    members: dict[int, list[Block]] = {}
    for block in blocks:
        if innermost[block.index] >= 0:
            members.setdefault(innermost[block.index], []).append(block)
    outer = {parent[h] for h in members}
    chosen = [
        _Loop(fn, found, fn.slack)
        for h, found in members.items()
        if h not in outer
        and len(found) <= _MOST_BLOCKS
        and sum(len(b.insts) for b in found) <= _MOST
        and sum(p < h for p in blocks[h].preds) == 1
    ]
    if not chosen:
        return
    counts: dict[int, int] = {v: 0 for loop in chosen for v in loop.inside}
    for block in blocks:
        for insts in (block.phis, block.insts):
            for v in insts:
                for u in fn.uses[v]:
                    if u in counts:
                        counts[u] += 1
    copies: dict[int, int] = {}
    changed = False
    for loop in chosen:
        loop.find_invariant()
        _rewrite(loop, counts)
        _hoist(fn, loop)
        if loop.before:
            head = loop.blocks[0]
            front = blocks[min(head.preds)]
            front.insts[-1:-1] = loop.before
            moved = set(loop.before)
            for block in loop.blocks:
                block.insts = [v for v in block.insts if v not in moved]
        copies |= loop.copies
        changed = changed or bool(loop.before) or loop.rewritten
    if changed or copies:
        remove_dead(fn, {v: _source(copies, v) for v in copies})
