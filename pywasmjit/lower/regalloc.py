# SPDX-License-Identifier: GPL-2.0-only
"""Global register allocation: one walk over SSA form, in the order that liveness.py chose.

The walk keeps, for the current point, which value each register holds (`loc`, `regs`), which
registers are free and which hold a value whose spill slot is valid too (`clean`).  A live value
that is in no register is in its slot, or is cheap to make again (`remat`: constants, stack
parameters).  When registers run out, the value whose next use is farthest goes (Belady), where
everything behind the end of the current loop counts as far.  Values live across a call are
kept in callee-saved registers while there are any.

The state at a block's entry is that of its hottest predecessor, adjusted.  At a loop header
values compete for registers by how often the loop uses them: those that it uses less than it
would have to evict them, for lack of registers or at calls, stay in memory throughout, phis
included, and the most used of those that live across calls get the callee-saved registers.
Where predecessors disagree, moves, reloads and stores go on the edges (edges.py), so cold
paths pay for hot ones.  Frequencies are estimates from the shape of the code (liveness.py).

Stores of spilled values are recorded, not emitted: afterwards each spilled value is stored
either at all recorded places or once after its definition, whichever is cheaper.

Registers: 0-11 integer, 16-29 float; sets of them are ints with bit r for register r.
"""

from __future__ import annotations

from typing import Final

from pywasmjit import _isa
from pywasmjit._isa import FREGS, IREGS
from pywasmjit.lower import emit, ir
from pywasmjit.lower.emit import FORMAT, SLEB, ULEB
from pywasmjit.lower.liveness import CALLERS, INT_CLASS, NEVER, Analysis, analyse, argument_registers
from pywasmjit.lower.moves import sequence

INTS: Final = (1 << len(IREGS)) - 1
FLOATS: Final = ((1 << len(FREGS)) - 1) << 16
CALLEE: Final = sum(1 << r for r, (_, saver) in enumerate(IREGS) if saver == "CALLEE")
CALLER: Final = INTS & ~CALLEE
INDIRECT: Final = 7  # register of CALL_INDIRECT's element index

# Registers of a type.
CLASS: Final = tuple(INTS if is_int else FLOATS for is_int in INT_CLASS) + (0,)

# Using a callee-saved register costs a push and a pop per call of the function: it must avoid
# this many reloads.
CALLEE_BENEFIT: Final = 1.6
# Added to the distance of a next use that is behind the current loop.
FAR: Final = 1 << 20

# Kinds of slot operations to be filled in later.
LOAD, STORE, STORE_PHI = 0, 1, 2

_REMAT_OPS: Final = frozenset((_isa.I32_CONST, _isa.I64_CONST, _isa.F32_CONST, _isa.F64_CONST, _isa.REF_NULL))

_REMAINDERS: Final = frozenset((_isa.I32_REM_S, _isa.I32_REM_U, _isa.I64_REM_S, _isa.I64_REM_U))

# Computing these again takes one fast instruction.
_CHEAP: Final = frozenset(
    number
    for number, op in enumerate(_isa.OPS)
    if op.d in "IL"
    and (
        (op.format == "RRI" and "MUL" not in op.name)
        or op.format == "LEA"
        or op.name in ("I32_ADD", "I64_ADD", "I32_WRAP_I64", "I64_EXTEND_I32_U", "I64_EXTEND_I32_S")
    )
)

Terminator = tuple[int, int, int, bytes]
# A predecessor that has been allocated: its exit state, clean registers, edge frequency, index.
_Edge = tuple[dict[int, int], int, float, int]


class Allocation:
    """The walk's state and result; see the module's text."""

    def __init__(self, fn: ir.Function) -> None:
        self.fn = fn
        self.an: Analysis = analyse(fn)
        count = len(fn.blocks)
        # Per block: code as one bytes object per instruction, terminator, states.
        self.code: list[list[bytes]] = [[] for _ in range(count)]
        self.terms: list[Terminator] = [(0, 0, 0, b"")] * count
        self.entry: list[dict[int, int]] = [{} for _ in range(count)]
        self.entry_clean: list[int] = [0] * count
        self.exit: list[dict[int, int] | None] = [None] * count
        self.exit_clean: list[int] = [0] * count
        # How to make a value again: opcode and what follows the register byte.
        self.remat: dict[int, tuple[int, bytes]] = {}
        # Slot operations: (code list, index in it, kind, register, value).
        self.slot_ops: list[tuple[list[bytes], int, int, int, int]] = []
        # Values that some code reads from their slots.
        self.loaded: set[int] = set()
        # Spilled values: weight of recorded stores; last position where the slot is used.
        self.store_weight: dict[int, float] = {}
        self.slot_last: dict[int, int] = {}
        # Where a store after the definition would go: (block, index in its code, register).
        self.def_site: dict[int, tuple[int, int, int]] = {}
        self.memory_phis: dict[int, int] = {}  # phi -> its block
        # Where a value is at the start of the loops that it lives through.
        self.loop_reg: dict[int, int] = {}
        # The register of a group of phis: what reads or makes them prefers it.
        self.group_reg: dict[int, int] = {}
        self.used_callee = 0
        self.outs = 0
        # Per loop: offset from its start to the first use of each value used inside.
        self.loop_first: dict[int, dict[int, int]] = {}

        # The current point.
        self.block = 0
        self.position = 0
        self.weight = 1.0
        self.out: list[bytes] = []
        self.loc: dict[int, int] = {}
        self.regs: list[int] = [-1] * 32
        self.free = 0
        self.clean = 0
        worth = sum(benefit >= CALLEE_BENEFIT for benefit in self.an.callee_benefit)
        # Registers that may be used.
        self.allowed = FLOATS | CALLER | (CALLEE & -CALLEE) * ((1 << worth) - 1)
        self.call_index = 0
        self.fixed_index = 0
        self.next_call = self.an.calls[0] if self.an.calls else NEVER
        self.next_fixed = self.an.fixed[0] if self.an.fixed else NEVER
        self.def_pos: list[int] = [0] * len(fn.op)
        self.loop_limit = NEVER
        self.loop_uses: dict[int, int] = {}
        # Registers that hold something at the start of the current loop.
        self.header_regs = 0

    # Slots

    def slot_op(self, out: list[bytes], kind: int, r: int, v: int, position: int) -> None:
        """Leave room in `out` for a load or store of v's slot."""
        self.slot_ops.append((out, len(out), kind, r, v))
        out.append(b"")
        if position > self.slot_last.get(v, -1):
            self.slot_last[v] = position

    def record_store(self, out: list[bytes], r: int, v: int, position: int, weight: float) -> None:
        """Note that v, in r, must be in its slot from here on."""
        self.slot_op(out, STORE, r, v, position)
        self.store_weight[v] = self.store_weight.get(v, 0.0) + weight

    def load(self, out: list[bytes], r: int, v: int, position: int, loc: dict[int, int]) -> None:
        """Bring v, which is in no register, to r; loc says where others are at that point."""
        again = self.remat.get(v)
        if again:
            out.append(bytes((again[0], r & 15)) + again[1])
            return
        op = self.fn.op[v]
        if op in _CHEAP:
            # One instruction, if the operands are at hand, is faster than memory.
            uses, imm = self.fn.uses[v], self.fn.imm[v]
            a = loc.get(uses[0], -1)
            if a >= 0:
                form = FORMAT[op]
                if form == emit.RRI:
                    out.append(bytes((op, r | a << 4)) + SLEB[imm[0]])
                    return
                if form == emit.RR:
                    out.append(bytes((op, r | a << 4)))
                    return
                b = loc.get(uses[1], -1)
                if b >= 0:
                    if form == emit.LEA:
                        out.append(bytes((op, r | a << 4, b | imm[0] << 4)) + SLEB[imm[1]])
                    else:
                        out.append(bytes((op, r | a << 4, b)))
                    return
        self.slot_op(out, LOAD, r, v, position)
        self.loaded.add(v)

    # Registers

    def pick(self, v: int, cand: int, near: int) -> int:
        """The best register for v of `cand` (not empty); near: preferred if it costs nothing."""
        an = self.an
        last = an.last_use[v]
        good = cand
        h = an.hint[v]
        crosses = an.cross[v] > 0.1 * self.weight
        if cand & INTS:
            if crosses:
                good = cand & CALLEE or cand
            if self.next_fixed < last and good & ~3:
                if not (0 <= h < 2 and an.hint_pos[v] <= self.next_fixed):
                    good &= ~3
        if h >= 0 and good >> h & 1 and an.hint_pos[v] <= self.next_call:
            return h
        w = an.web[v]
        if w >= 0:
            # Where that phi is; if that is not decided yet, where its variable was.
            r = self.loop_reg.get(w, -1)
            if r < 0:
                r = self.group_reg.get(an.group[w], -1)
            if r >= 0 and good >> r & 1:
                return r
            # Where another variable of the loop has to go it would be in the way.
            good = good & ~self.header_regs or good
        if near >= 0 and good >> near & 1:
            return near
        if not crosses:
            good = good & ~CALLEE or good
        return (good & -good).bit_length() - 1

    def distance(self, v: int) -> int:
        """How far the next use of v is."""
        n = self.an.next_use[v]
        if n > self.loop_limit:
            first = self.loop_uses.get(v)
            n = n + FAR if first is None else self.loop_limit + first
        return n - self.position

    def victim(self, cand: int) -> int:
        """The register of `cand`, all occupied, whose value costs least to lose."""
        regs = self.regs
        best, best_score = -1, float("-inf")
        while cand:
            low = cand & -cand
            cand ^= low
            r = low.bit_length() - 1
            v = regs[r]
            score = float(self.distance(v))
            if self.clean & low or v in self.remat:
                score *= 1.5
            elif self.fn.op[v] in _CHEAP and all(u in self.loc for u in self.fn.uses[v]):
                score *= 1.3
            if score > best_score:
                best, best_score = r, score
        if best < 0:
            raise AssertionError("no register can be evicted")
        return best

    def evict(self, cand: int) -> int:
        """Free one of the occupied registers `cand`; returns it (not marked as free)."""
        r = self.victim(cand)
        self.drop(r)
        return r

    def drop(self, r: int) -> None:
        """Forget that r holds its value, which stays live; store it if its slot is not valid."""
        v = self.regs[r]
        if not self.clean >> r & 1 and v not in self.remat:
            self.record_store(self.out, r, v, self.position, self.weight)
        del self.loc[v]
        self.regs[r] = -1

    def reload(self, v: int, forbidden: int) -> int:
        """Bring v back to a register that is not in `forbidden`."""
        cls = CLASS[self.fn.type[v]] & ~forbidden
        cand = self.free & cls
        if cand:
            r = self.loop_reg.get(v, -1)
            if r < 0 or not cand >> r & 1:
                r = self.pick(v, cand, -1)
        else:
            r = self.evict(self.allowed & cls)
        self.load(self.out, r, v, self.position, self.loc)
        self.occupy(v, r)
        self.clean |= 1 << r
        return r

    def occupy(self, v: int, r: int) -> None:
        self.loc[v] = r
        self.regs[r] = v
        self.free &= ~(1 << r)
        self.clean &= ~(1 << r)
        self.used_callee |= 1 << r & CALLEE

    def release(self, v: int) -> None:
        r = self.loc.pop(v)
        self.regs[r] = -1
        self.free |= 1 << r

    def define(self, v: int, r: int) -> None:
        """v has just been computed into r by the last instruction emitted."""
        self.occupy(v, r)
        self.def_pos[v] = self.position
        self.def_site[v] = (self.block, len(self.out) - 1, r)
        w = self.an.web[v]
        if w >= 0:
            self.group_reg.setdefault(self.an.group[w], r)

    def operands(self, uses: tuple[int, ...]) -> set[int]:
        """Advance the next use of each operand; returns those that die."""
        next_use, after = self.an.next_use, self.an.after
        dying = set()
        for u in uses:
            n = after.pop()
            next_use[u] = n >> 1
            if n & 1:
                dying.add(u)
        return dying

    # Blocks

    def run(self) -> None:
        """Allocate every block."""
        for b in self.an.order:
            self.enter(b)
            self.body(b)
            for u in reversed(self.an.phi_out[b]):
                self.an.next_use[u] = self.an.after.pop() >> 1
            self.exit[b] = self.loc
            self.exit_clean[b] = self.clean

    @property
    def usable(self) -> int:
        """Registers that code on edges may write without adding to those to be saved."""
        return FLOATS | CALLER | self.used_callee

    def enter(self, b: int) -> None:
        """Set the current point to the start of block b."""
        an = self.an
        block = self.fn.blocks[b]
        self.block = b
        self.position = an.start[b]
        self.weight = an.freq[b]
        self.out = self.code[b]
        if an.cold[b]:
            self.next_call = self.next_fixed = NEVER
        h = an.loop[b]
        self.header_regs = 0
        if h >= 0:
            for r in self.entry[h].values():
                self.header_regs |= 1 << r
        if h >= 0 and not an.cold[b]:
            self.loop_limit = an.loop_end[h]
            self.loop_uses = self.loop_first.get(h, {})
        else:
            self.loop_limit = NEVER
        preds = block.preds
        number = an.number
        if len(preds) == 1 and not block.phis:
            p = preds[0]
            before = self.exit[p]
            assert before is not None
            live = an.live_in[b]
            live_bytes = live.to_bytes(live.bit_length() + 7 >> 3, "little")
            size = len(live_bytes) << 3
            entry = {
                v: r
                for v, r in before.items()
                if 0 <= (g := number[v]) < size and live_bytes[g >> 3] >> (g & 7) & 1
            }
            self.clean = self.exit_clean[p]
        elif b:
            entry = self.join(b)
        else:
            entry = self.parameters()
            self.clean = 0
        self.entry[b] = entry
        self.entry_clean[b] = self.clean
        self.loc = entry.copy()
        self.regs = regs = [-1] * 32
        used = 0
        for v, r in entry.items():
            regs[r] = v
            used |= 1 << r
        self.used_callee |= used & CALLEE
        self.free = self.allowed & ~used
        if block.phis:
            self.out.append(b"")
            for v in block.phis:
                r = entry.get(v, -1)
                self.def_pos[v] = self.position
                if r >= 0:
                    self.def_site[v] = (b, 0, r)

    def parameters(self) -> dict[int, int]:
        """The state at function entry: parameters in registers; those on the stack stay there."""
        fn, an = self.fn, self.an
        where = argument_registers(list(fn.params))
        entry = {}
        for v in fn.blocks[0].insts:
            if fn.op[v] != ir.PARAM:
                break
            if an.next_use[v] == NEVER:
                continue
            r = where[fn.imm[v][0]]
            if r < 0:
                op = _isa.ARG_LOAD if INT_CLASS[fn.type[v]] else _isa.FARG_LOAD
                self.remat[v] = (op, ULEB[~r])
            else:
                entry[v] = r
                self.def_site[v] = (0, 0, r)
        self.out.append(b"")
        return entry

    def join(self, b: int) -> dict[int, int]:
        """The state at the start of a block with several predecessors, or with phis."""
        an, fn = self.an, self.fn
        block = fn.blocks[b]
        number, next_use, types = an.number, an.next_use, fn.type
        live = an.live_in[b]
        live_bytes = live.to_bytes(live.bit_length() + 7 >> 3, "little")
        size = len(live_bytes) << 3
        edges: list[_Edge] = []
        base = -1
        base_weight = -1.0
        total = 0.0
        for j, p in enumerate(block.preds):
            state = self.exit[p]
            if state is None:
                continue
            w = an.edge_freq[p][fn.blocks[p].succs.index(b)]
            edges.append((state, self.exit_clean[p], w, j))
            total += w
            if w > base_weight:
                base, base_weight, before = p, w, state
        assert base >= 0
        entry = {
            v: r
            for v, r in before.items()
            if 0 <= (g := number[v]) < size and live_bytes[g >> 3] >> (g & 7) & 1
        }
        if len(edges) > 1:
            for v in list(entry):
                missing = 0.0
                for state, _, w, _ in edges:
                    if v not in state:
                        missing += w
                if missing > 0.6 * total:
                    del entry[v]
        phis = [v for v in block.phis if next_use[v] != NEVER]
        if b in an.loop_last:
            self.header(b, entry, phis, edges, total)
        used = 0
        for r in entry.values():
            used |= 1 << r
        for v in phis:
            if v in entry or v in self.memory_phis:
                continue
            cls = CLASS[types[v]]
            cand = self.allowed & ~used & cls
            if not cand or self.better_in_memory(v, edges, total):
                self.memory_phis[v] = b
                self.slot_last[v] = self.position
                continue
            r = self.phi_register(v, cand, edges, total)
            entry[v] = r
            used |= 1 << r
            self.group_reg.setdefault(an.group[v], r)
        if b in an.loop_last:
            self.loop_reg.update(entry)
        self.clean = 0
        for v, r in entry.items():
            if v in phis:
                continue
            for state, clean, _, _ in edges:
                at = state.get(v, -1)
                if at >= 0 and not clean >> at & 1:
                    break
            else:
                self.clean |= 1 << r
        return entry

    def phi_register(self, v: int, cand: int, edges: list[_Edge], total: float) -> int:
        """The register of `cand` that saves most moves on the edges to and from a phi."""
        an = self.an
        uses = self.fn.uses[v]
        scores: dict[int, float] = {}
        for state, _, w, j in edges:
            r = state.get(uses[j], -1)
            if r >= 0 and cand >> r & 1:
                scores[r] = scores.get(r, 0.0) + w
        r = self.loop_reg.get(an.web[v], -1)
        if r < 0:
            r = self.group_reg.get(an.group[v], -1)
        if r >= 0 and cand >> r & 1:
            scores[r] = scores.get(r, 0.0) + 0.8 * total
        r = an.hint[v]
        if r >= 0 and cand >> r & 1 and an.hint_pos[v] <= self.next_call:
            scores[r] = scores.get(r, 0.0) + 0.5 * total
        if cand & CALLEE and an.cross[v] > 0.1 * self.weight:
            bonus = 0.6 * an.cross[v]
            for r in range(CALLERS, 12):
                if cand >> r & 1:
                    scores[r] = scores.get(r, 0.0) + bonus
        if scores:
            return max(scores, key=scores.__getitem__)
        return self.pick(v, cand, -1)

    def better_in_memory(self, v: int, edges: list[_Edge], total: float) -> bool:
        """Whether a phi costs less in its slot than in a register at the start of its block."""
        uses = self.fn.uses[v]
        loads = stores = 0.0
        for state, clean, w, j in edges:
            u = uses[j]
            r = state.get(u, -1)
            if r < 0:
                if u not in self.remat:
                    loads += w
                else:
                    stores += w
            elif not clean >> r & 1:
                stores += w
        if not loads:
            return False
        stores += self.an.use_weight[v]
        if self.an.web[v] in self.memory_phis:
            loads += total
        return stores < loads

    def header(
        self, b: int, entry: dict[int, int], phis: list[int], edges: list[_Edge], total: float
    ) -> None:
        """Choose what is in registers throughout the loop with header b; changes entry.

        Each candidate, a value that lives through the loop or a phi, is worth the uses that
        would have to reload it.  It is not worth a register if evicting it where too many
        values live at the same time, or at calls, costs more.
        """
        an = self.an
        types, next_use = self.fn.type, an.next_use
        start, end = an.start[b], an.loop_end[b]
        weights = an.loop_uses[b]
        # A call costs a value in a caller-saved register a reload, at most one per iteration.
        call_cost = min(an.loop_calls[b], self.weight)
        first_uses = self.loop_first[b] = {}
        candidates: tuple[list[tuple[float, int]], list[tuple[float, int]]] = ([], [])
        live = an.live_in[b]
        while live:
            low = live & -live
            live ^= low
            v = an.globals[low.bit_length() - 1]
            w = weights.get(v, 0.0)
            if w > 0.05 * self.weight:
                n = next_use[v]
                first_uses[v] = n - start if n <= end else end - start
            if v in self.remat:
                w *= 0.5
            candidates[CLASS[types[v]] != INTS].append((w, v))
        for v in phis:
            first_uses[v] = max(0, min(next_use[v], end) - start)
            candidates[CLASS[types[v]] != INTS].append((weights.get(~an.group[v], 0.0), v))
        self.loop_uses = first_uses
        own = set(phis)

        for cls, mine, histogram in zip((INTS, FLOATS), candidates, an.loop_pressure[b], strict=True):
            if not mine:
                continue
            room = (self.allowed & cls).bit_count()
            mine.sort(reverse=True)
            in_memory: list[int] = []
            while mine:
                w, v = mine[-1]
                crowded = sum(histogram[room + len(in_memory) + 1 :])
                if len(mine) <= room and w >= 1.2 * crowded:
                    break
                mine.pop()
                in_memory.append(v)
            others: list[int] = []
            across: list[tuple[float, int]] = []
            for w, v in mine:
                if v not in entry and v not in own and w < total:
                    in_memory.append(v)
                elif not call_cost or (v in own and an.cross[v] <= 0.05 * self.weight):
                    others.append(v)
                else:
                    across.append((w, v))
            # Callee-saved registers are for those that calls would hurt most.
            spare = (self.allowed & cls & CALLEE).bit_count()
            out = 0
            while across:
                w, v = across[-1]
                if len(across) <= spare and w >= sum(an.loop_across[b][spare + out + 1 :]):
                    break
                across.pop()
                out += 1
                if w > (2 * call_cost if v in own else call_cost):
                    others.append(v)
                else:
                    in_memory.append(v)
            safe = [v for _, v in across]
            for v in in_memory:
                if v in own:
                    self.memory_phis[v] = b
                    self.slot_last[v] = self.position
                else:
                    entry.pop(v, None)
            avoid = 3 if an.loop_fixed[b] and cls == INTS else 0
            usable = self.allowed & cls
            self.place(entry, safe, usable & CALLEE, 0, own, edges, total)
            self.place(entry, others, usable & ~avoid, usable, own, edges, total)

    def place(
        self,
        entry: dict[int, int],
        values: list[int],
        good: int,
        possible: int,
        phis: set[int],
        edges: list[_Edge],
        total: float,
    ) -> None:
        """Give `values`, most important first, registers in `good`, else in `possible`.

        Values that hold one of `good` already keep it.  If `possible` is empty, others lose
        theirs, and those of `values` that get none are no longer in `entry`.
        """
        wanted = set(values)
        kept = 0
        for v, r in entry.items():
            if v in wanted and 1 << r & good:
                kept |= 1 << r
        for v in values:
            r = entry.get(v, -1)
            if r >= 0 and 1 << r & good:
                continue
            taken = kept
            holder: dict[int, int] = {}
            for u, at in entry.items():
                taken |= 1 << at
                holder[at] = u
            cand = good & ~taken or possible & ~taken
            if not cand:
                cand = good & ~kept
                if not cand or possible:
                    continue
            if v in phis:
                c = self.phi_register(v, cand, edges, total)
            else:
                c = (cand & -cand).bit_length() - 1
            if c in holder:
                del entry[holder[c]]
            entry[v] = c
            kept |= 1 << c
            if v in phis:
                self.group_reg[self.an.group[v]] = c

    # Instructions

    def body(self, b: int) -> None:
        """Allocate and encode block b's instructions."""
        fn, an = self.fn, self.an
        ops, all_uses, imms, types = fn.op, fn.uses, fn.imm, fn.type
        next_use, after, web = an.next_use, an.after, an.web
        loc, regs, out = self.loc, self.regs, self.out
        position = self.position
        for v in fn.blocks[b].insts:
            position += 1
            op = ops[v]
            form = FORMAT[op]
            uses = all_uses[v]
            self.position = position
            if emit.CALL <= form <= emit.RT:
                self.call(v, op, form)
                continue
            if form == emit.PARAM_FORMAT:
                continue
            if form == emit.DIV or form == emit.ARMW or form == emit.ACAS:
                self.fixed(v, op, form)
                continue
            if op == _isa.RET:
                self.ret(uses)
                self.terms[b] = (op, 0, 0, b"")
                continue
            near = ra = rb = -1
            count = len(uses)
            avoid = 0
            if count == 1:
                u = uses[0]
                ra = loc.get(u, -1)
                if ra < 0:
                    ra = self.reload(u, 0)
                n = after.pop()
                next_use[u] = n >> 1
                if n & 1:
                    del loc[u]
                    regs[ra] = -1
                    self.free |= 1 << ra
                    near = ra
            elif count == 2:
                u, w = uses
                ra = loc.get(u, -1)
                rb = loc.get(w, -1)
                if ra < 0:
                    ra = self.reload(u, 1 << rb if rb >= 0 else 0)
                    rb = loc.get(w, -1)
                if rb < 0:
                    rb = self.reload(w, 1 << ra)
                n = after.pop()
                next_use[u] = n >> 1
                if n & 1:
                    del loc[u]
                    regs[ra] = -1
                    self.free |= 1 << ra
                    near = ra
                n = after.pop()
                next_use[w] = n >> 1
                if n & 1:
                    del loc[w]
                    regs[rb] = -1
                    self.free |= 1 << rb
                    if form == emit.RRR:
                        if near < 0 and emit.COMMUTES[op]:
                            near = rb
                            ra, rb = rb, ra
                        elif not emit.COMMUTES[op]:
                            avoid = 1 << rb
            elif count:
                pins = 0
                for u in uses:
                    if u in loc:
                        pins |= 1 << loc[u]
                for u in uses:
                    if u not in loc:
                        pins |= 1 << self.reload(u, pins)
                found = [loc[u] for u in uses]
                for u in self.operands(uses):
                    self.release(u)
                ra, rb = found[0], found[1]
                near = rb
            kind = types[v]
            d = -1
            if kind != 5:
                if op in _REMAT_OPS:
                    self.remat[v] = (op, emit.constant(op, imms[v]))
                    continue
                cls = CLASS[kind]
                cand = self.free & cls
                if avoid and cand & ~avoid:
                    cand &= ~avoid
                d = self.pick(v, cand, near) if cand else self.evict(self.allowed & cls)

            if form == emit.RRI:
                out.append(bytes((op, d & 15 | ra << 4 & 240)) + SLEB[imms[v][0]])
            elif form == emit.RRR:
                out.append(bytes((op, d & 15 | ra << 4 & 240, rb & 15)))
            elif form == emit.RR:
                out.append(bytes((op, d & 15 | ra << 4 & 240)))
            elif form == emit.LD or form == emit.ALD:
                base = ra if count else emit.NO_BASE
                out.append(bytes((op, d & 15 | base << 4)) + ULEB[imms[v][0]])
            elif form == emit.ST:
                base = rb if count == 2 else emit.NO_BASE
                out.append(bytes((op, ra & 15 | base << 4)) + ULEB[imms[v][0]])
            elif form == emit.STI:
                off, k = imms[v]
                out.append(bytes((op, ra if count else emit.NO_BASE)) + ULEB[off] + SLEB[k])
            elif form == emit.LEA:
                scale, k = imms[v]
                out.append(bytes((op, d | ra << 4, rb | scale << 4)) + SLEB[k])
            elif form == emit.SETI:
                cc, k = imms[v]
                out.append(bytes((op, d | ra << 4, cc)) + SLEB[k])
            elif form == emit.SET:
                out.append(bytes((op, d | ra << 4 & 240, rb & 15 | imms[v][0] << 4)))
            elif form == emit.JRI:
                cc, k = imms[v]
                self.terms[b] = (op, ra, cc, SLEB[k])
                continue
            elif form == emit.JRR:
                self.terms[b] = (op, ra & 15 | rb << 4 & 240, imms[v][0], b"")
                continue
            elif form == emit.J:
                self.terms[b] = (op, 0, 0, b"")
                continue
            elif form == emit.SEL:
                x, y = found[2], found[3]
                out.append(bytes((op, d & 15 | ra << 4 & 240, rb & 15 | imms[v][0] << 4, x | y << 4)))
            elif form == emit.SELI:
                cc, k = imms[v]
                out.append(bytes((op, d & 15 | ra << 4 & 240, rb & 15 | cc << 4, found[2])) + SLEB[k])
            elif form == emit.GLD or form == emit.RLD:
                out.append(bytes((op, d & 15)) + ULEB[imms[v][0]])
            elif form == emit.GST:
                out.append(bytes((op, ra & 15)) + ULEB[imms[v][0]])
            elif form == emit.CI:
                out.append(bytes((op, d, 0)))
            elif form == emit.JT:
                self.terms[b] = (op, ra, 0, b"")
                continue
            elif form == emit.TRAP:
                self.terms[b] = (op, 0, 0, bytes((imms[v][0],)))
                continue
            elif form == emit.N:
                if op == _isa.UNREACHABLE:
                    self.terms[b] = (op, 0, 0, b"")
                    continue
                out.append(bytes((op,)))
            else:
                raise AssertionError(f"cannot encode {ir.mnemonic(op)}")

            if d >= 0 and next_use[v] != NEVER:
                loc[v] = d
                regs[d] = v
                bit = 1 << d
                self.free &= ~bit
                self.clean &= ~bit
                self.used_callee |= bit & CALLEE
                self.def_pos[v] = position
                self.def_site[v] = (b, len(out) - 1, d)
                if web[v] >= 0:
                    self.group_reg.setdefault(an.group[web[v]], d)
            elif d >= 0:
                # Nobody reads it; the register is free again.
                self.free |= 1 << d
                self.used_callee |= 1 << d & CALLEE

    def ret(self, uses: tuple[int, ...]) -> None:
        """Put the results in place."""
        loc, out, types = self.loc, self.out, self.fn.type
        for i in range(1, len(uses)):
            u = uses[i]
            r = loc.get(u, -1)
            if r < 0:
                r = self.reload(u, 0)
            op = _isa.RESULT_STORE if INT_CLASS[types[u]] else _isa.FRESULT_STORE
            out.append(bytes((op, r & 15)) + ULEB[i])
        if uses:
            u = uses[0]
            target = 0 if INT_CLASS[types[u]] else 16
            r = loc.get(u, -1)
            if r >= 0:
                sequence({target: r}, out, 0)
            else:
                self.load(out, target, u, self.position, loc)
        self.operands(uses)

    def call(self, v: int, op: int, form: int) -> None:
        """A call: arguments and survivors to their places, everything else is lost."""
        fn, an, loc, regs, out = self.fn, self.an, self.loc, self.regs, self.out
        uses, types = fn.uses[v], fn.type
        if self.next_call == self.position:
            self.call_index += 1
            calls = an.calls
            self.next_call = calls[self.call_index] if self.call_index < len(calls) else NEVER
        if form == emit.CALLI:
            targets = [INDIRECT, *argument_registers([types[u] for u in uses[1:]])]
        else:
            targets = argument_registers([types[u] for u in uses])
        if targets and min(targets) < 0:
            pins = 0
            for u, t in zip(uses, targets, strict=True):
                if t >= 0 and u in loc:
                    pins |= 1 << loc[u]
            for u, t in zip(uses, targets, strict=True):
                if t < 0:
                    r = loc.get(u, -1)
                    if r < 0:
                        r = self.reload(u, pins)
                    store = _isa.OUT_STORE if INT_CLASS[types[u]] else _isa.FOUT_STORE
                    out.append(bytes((store, r & 15)) + ULEB[~t])
                    self.outs = max(self.outs, ~t + 1)
        dying = self.operands(uses)
        moves: dict[int, int] = {}
        loads: list[tuple[int, int]] = []
        for u, t in zip(uses, targets, strict=True):
            if t >= 0:
                r = loc.get(u, -1)
                if r >= 0:
                    moves[t] = r
                else:
                    loads.append((t, u))
        for u in dying:
            if u in loc:
                self.release(u)
        spare = self.free & CALLEE
        survivors = [(u, r) for u, r in loc.items() if not 1 << r & CALLEE]
        if len(survivors) > 1:
            survivors.sort(key=lambda pair: self.distance(pair[0]))
        for u, r in survivors:
            bit = 1 << r
            if r < 16 and u not in self.remat:
                if not spare and self.allowed & CALLEE:
                    # Nearer next uses displace farther ones.
                    other = self.victim(self.allowed & CALLEE & ~self.free)
                    if self.distance(regs[other]) > 2 * self.distance(u) + 16:
                        self.drop(other)
                        spare = 1 << other
                if spare:
                    c = (spare & -spare).bit_length() - 1
                    spare &= ~(1 << c)
                    moves[c] = r
                    clean = self.clean & bit
                    regs[r] = -1
                    self.occupy(u, c)
                    if clean:
                        self.clean |= 1 << c
                    continue
            self.drop(r)
        if moves:
            temporaries = FLOATS | CALLER
            for t, r in moves.items():
                temporaries &= ~(1 << t | 1 << r)
            sequence(moves, out, temporaries)
        for t, u in loads:
            self.load(out, t, u, self.position, loc)
        imm = fn.imm[v]
        if form == emit.CALL:
            out.append(bytes((op,)) + ULEB[imm[0]])
        elif form == emit.CALLI:
            out.append(bytes((op,)) + ULEB[imm[0]] + ULEB[imm[1]])
        else:
            out.append(bytes((op, imm[0])) + ULEB[imm[1]] + ULEB[imm[2]])
        used = 0
        for r in loc.values():
            used |= 1 << r
        self.free = self.allowed & ~used
        if types[v] != ir.NONE and an.next_use[v] != NEVER:
            self.define(v, 0 if INT_CLASS[types[v]] else 16)

    def fixed(self, v: int, op: int, form: int) -> None:
        """DIV, ARMW, ACAS: an operand or result in r0, r0 and maybe r1 lost, the rest elsewhere."""
        fn, an, loc, regs, out = self.fn, self.an, self.loc, self.regs, self.out
        uses = fn.uses[v]
        if self.next_fixed == self.position:
            self.fixed_index += 1
            at = an.fixed
            self.next_fixed = at[self.fixed_index] if self.fixed_index < len(at) else NEVER
        lost = 3 if form == emit.DIV else 1
        first = -1 if form == emit.ARMW else uses[0]
        others = uses if form == emit.ARMW else uses[1:]

        pins = lost
        for u in others:
            if u in loc:
                pins |= 1 << loc[u]
        for u in others:
            if u not in loc:
                pins |= 1 << self.reload(u, pins)
        source = loc.get(first, -1)
        dying = self.operands(uses)
        moves: dict[int, int] = {}
        for r in (0, 1) if lost == 3 else (0,):
            w = regs[r]
            if w < 0 or (w in dying and w not in others):
                continue
            cand = self.free & INTS & ~lost
            if cand:
                c = self.pick(w, cand, -1)
            elif w in others:
                c = self.evict(self.allowed & INTS & ~pins & ~(1 << source if source >= 0 else 0))
            else:
                self.drop(r)
                continue
            moves[c] = r
            clean = self.clean >> r & 1
            regs[r] = -1
            self.occupy(w, c)
            self.clean |= clean << c
            pins |= 1 << c
        if source > 0:
            moves[0] = source
        if moves:
            sequence(moves, out, self.free & ~lost)
        if first >= 0 and source < 0:
            self.load(out, 0, first, self.position, loc)
        imm = fn.imm[v]
        if form == emit.DIV:
            out.append(bytes((op, loc[uses[1]])))
        elif form == emit.ARMW:
            operand, base = loc[uses[0]], loc[uses[1]]
            out.append(bytes((op, operand | base << 4, imm[0])) + ULEB[imm[1]])
        else:
            replacement, base = loc[uses[1]], loc[uses[2]]
            out.append(bytes((op, replacement | base << 4)) + ULEB[imm[0]])
        for u in dying:
            if u in loc:
                self.release(u)
        used = 0
        for r in loc.values():
            used |= 1 << r
        self.free = self.allowed & ~used
        if an.next_use[v] != NEVER:
            self.define(v, 1 if op in _REMAINDERS else 0)


def allocate(fn: ir.Function) -> Allocation:
    """Allocate registers for one function."""
    al = Allocation(fn)
    al.run()
    return al
