# SPDX-License-Identifier: GPL-2.0-only
"""Spill slots: where stores go, which values share a slot, and the code that needs to know."""

from __future__ import annotations

from dataclasses import dataclass, field
from heapq import heappop, heappush

from pywasmjit import _isa
from pywasmjit.lower import ir
from pywasmjit.lower.edges import MemoryEdge
from pywasmjit.lower.emit import ULEB
from pywasmjit.lower.moves import move
from pywasmjit.lower.regalloc import CLASS, LOAD, STORE, Allocation

# Classes of phis whose sizes multiply to more than this are not compared.
_PAIRS = 4000
# Uses farther behind a definition than so many instructions are assumed.
_NEAR = 200


@dataclass(slots=True)
class Slots:
    """slot[v] is final; counts per type; at_def: stored once, after the definition."""

    slot: dict[int, int] = field(default_factory=dict)
    counts: list[int] = field(default_factory=lambda: [0] * 5)
    at_def: set[int] = field(default_factory=set)
    bits: int = 0  # live-set bits of all values with a slot


def assign_slots(al: Allocation, edges: list[MemoryEdge]) -> Slots:
    """Number the slots and fill in all code that uses them."""
    an, types = al.an, al.fn.type
    result = Slots()
    for v in list(al.slot_last):
        if v not in al.loaded and v not in al.memory_phis:
            # Stored, but whoever needed it computed it again.
            del al.slot_last[v]
    for v, weight in al.store_weight.items():
        if v in al.slot_last and an.freq[al.def_site[v][0]] <= weight:
            result.at_def.add(v)
    for v in al.slot_last:
        g = an.number[v]
        if g >= 0:
            result.bits |= 1 << g
    first, last = _hulls(al, result)
    leader = _coalesce(al, first, last)
    slot, counts = _colour(types, first, last, leader)
    _sort(al, slot, counts)
    scratch: dict[tuple[int, int], int] = {}
    copies = [_ParallelCopy(al, edge, slot, result.at_def, scratch, counts) for edge in edges]
    bases = [sum(counts[:kind]) for kind in range(5)]
    result.counts = counts
    result.slot = {v: s + bases[types[v]] for v, s in slot.items()}

    for edge, copy in zip(edges, copies, strict=True):
        edge.out[edge.at :] = copy.code(bases)
    for out, at, what, r, v in al.slot_ops:
        if what == LOAD:
            op = _isa.SLOT_LOAD if r < 16 else _isa.FSLOT_LOAD
        elif what == STORE and (v in result.at_def or v not in result.slot):
            continue
        else:
            op = _isa.SLOT_STORE if r < 16 else _isa.FSLOT_STORE
        out[at] = bytes((op, r & 15)) + ULEB[result.slot[v]]
    for v in result.at_def:
        b, at, r = al.def_site[v]
        op = _isa.SLOT_STORE if r < 16 else _isa.FSLOT_STORE
        al.code[b][at] += bytes((op, r & 15)) + ULEB[result.slot[v]]
    return result


def _hulls(al: Allocation, result: Slots) -> tuple[dict[int, int], dict[int, int]]:
    """First and last position at which each slotted value is live, holes included."""
    an = al.an
    last = dict(al.slot_last)
    first = {v: al.def_pos[v] for v in last}
    remaining = result.bits
    for b in reversed(an.order):
        found = an.live_out[b] & remaining
        remaining &= ~found
        while found:
            low = found & -found
            found ^= low
            v = an.globals[low.bit_length() - 1]
            if last[v] < an.end[b]:
                last[v] = an.end[b]
    return first, last


def _coalesce(al: Allocation, first: dict[int, int], last: dict[int, int]) -> dict[int, int]:
    """Let phis in memory share slots with what they read; hulls become those of classes."""
    fn, an = al.fn, al.an
    leader = {v: v for v in last}
    members = {v: [v] for v in last}

    def find(v: int) -> int:
        while leader[v] != v:
            leader[v] = leader[leader[v]]
            v = leader[v]
        return v

    for phi in al.memory_phis:
        for u in fn.uses[phi]:
            if u not in leader:
                continue
            x, y = find(phi), find(u)
            if x == y or len(members[x]) * len(members[y]) > _PAIRS:
                continue
            if not any(_interfere(al, v, w) for v in members[x] for w in members[y]):
                leader[y] = x
                members[x] += members.pop(y)
                first[x] = min(first[x], first[y])
                last[x] = max(last[x], last[y])
    # Edge code writes the slots of phis at the ends of predecessors.
    for phi, b in al.memory_phis.items():
        x = find(phi)
        for p in fn.blocks[b].preds:
            first[x] = min(first[x], an.end[p])
            last[x] = max(last[x], an.end[p])
    return {v: find(v) for v in last}


def _interfere(al: Allocation, v: int, w: int) -> bool:
    """Whether two values are live at the same time: one where the other is defined."""
    return _live_at(al, v, w) or _live_at(al, w, v)


def _live_at(al: Allocation, v: int, w: int) -> bool:
    """Whether v is live just behind the definition of w."""
    fn, an = al.fn, al.an
    b = an.def_block[w]
    block = fn.blocks[b]
    g = an.number[v]
    phis = block.phis
    is_phi = fn.op[w] == ir.PHI
    if is_phi and v in phis:
        return True
    if g >= 0 and an.live_out[b] >> g & 1 and (an.def_block[v] != b or al.def_pos[v] <= al.def_pos[w]):
        return True
    if g >= 0 and an.live_in[b] >> g & 1:
        if is_phi:
            return True
    elif an.def_block[v] != b or al.def_pos[v] > al.def_pos[w]:
        return False
    # v is live at w's position if something in the block still uses it.
    at = max(0, al.def_pos[w] - an.start[b])
    if len(block.insts) - at > _NEAR or v in an.phi_out[b]:
        return True
    return any(v in fn.uses[u] for u in block.insts[at:])


def _colour(
    types: list[int], first: dict[int, int], last: dict[int, int], leader: dict[int, int]
) -> tuple[dict[int, int], list[int]]:
    """Linear scan over the classes' hulls, per type."""
    counts = [0] * 5
    free: list[list[int]] = [[] for _ in range(5)]
    active: list[list[tuple[int, int]]] = [[] for _ in range(5)]
    slot: dict[int, int] = {}
    for v in sorted((v for v in leader if leader[v] == v), key=first.__getitem__):
        kind = types[v]
        busy = active[kind]
        while busy and busy[0][0] < first[v]:
            heappush(free[kind], heappop(busy)[1])
        if free[kind]:
            s = heappop(free[kind])
        else:
            s = counts[kind]
            counts[kind] += 1
        slot[v] = s
        heappush(busy, (last[v], s))
    for v, x in leader.items():
        slot[v] = slot[x]
    return slot, counts


def _sort(al: Allocation, slot: dict[int, int], counts: list[int]) -> None:
    """Number the slots of each type by how often code names them: low ones encode shorter."""
    types = al.fn.type
    named = [[0] * count for count in counts]
    for _, _, _, _, v in al.slot_ops:
        if v in slot:
            named[types[v]][slot[v]] += 1
    order = []
    for mine in named:
        rank = [0] * len(mine)
        for new, old in enumerate(sorted(range(len(mine)), key=mine.__getitem__, reverse=True)):
            rank[old] = new
        order.append(rank)
    for v, s in slot.items():
        slot[v] = order[types[v]][s]


# Where a value is: (REGISTER, number), (type, slot of that type), or (AGAIN, value) if it is
# made anew.
REGISTER, AGAIN = -1, -2
_Place = tuple[int, int]


class _ParallelCopy:
    """The code of an edge into a block with phis in memory: one copy of registers and slots.

    A place is written once nothing still has to be read from it; a cycle is cut by putting
    one place aside into a scratch slot.  Slots are copied through a register that holds
    nothing at the moment, or else one that is saved around the copy.
    """

    def __init__(
        self,
        al: Allocation,
        edge: MemoryEdge,
        slot: dict[int, int],
        at_def: set[int],
        scratch: dict[tuple[int, int], int],
        counts: list[int],
    ) -> None:
        self.al = al
        self.types = al.fn.type
        self.scratch = scratch
        self.counts = counts
        self.steps: list[tuple[_Place, _Place]] = []  # one side is a register
        self.holds = {r: v for v, r in edge.state.items()}
        self.needed: set[int] = set()  # registers that are final
        self.pending: dict[_Place, tuple[_Place, int]] = {}  # to -> from, value
        for r, v in edge.registers.items():
            self._add((REGISTER, r), v, edge, slot)
        for phi, v in edge.slots.items():
            if slot.get(v, -1) == slot[phi]:
                r = edge.state.get(v, -1)
                if r < 0 or edge.clean >> r & 1 or v in at_def:
                    continue
            self._add((self.types[phi], slot[phi]), v, edge, slot)
        self._run()

    def _add(self, to: _Place, v: int, edge: MemoryEdge, slot: dict[int, int]) -> None:
        r = edge.state.get(v, -1)
        if r >= 0:
            source = (REGISTER, r)
        elif v in self.al.remat:
            source = (AGAIN, v)
        else:
            source = (self.types[v], slot[v])
        if source != to:
            self.pending[to] = (source, v)
        elif to[0] == REGISTER:
            self.needed.add(to[1])

    def _run(self) -> None:
        pending = self.pending
        while pending:
            read = {source for source, _ in pending.values()}
            ready = [to for to in pending if to not in read]
            for to in ready:
                self._copy(to, *pending.pop(to))
            if not ready:
                place = next(iter(pending))
                v = next(v for source, v in pending.values() if source == place)
                aside = self._scratch(self.types[v], 0)
                self._copy(aside, place, v)
                for to, (source, v) in pending.items():
                    if source == place:
                        pending[to] = (aside, v)

    def _scratch(self, kind: int, which: int) -> _Place:
        if (kind, which) not in self.scratch:
            self.scratch[kind, which] = self.counts[kind]
            self.counts[kind] += 1
        return (kind, self.scratch[kind, which])

    def _copy(self, to: _Place, source: _Place, v: int) -> None:
        if to[0] == REGISTER:
            self.needed.add(to[1])
            self.holds[to[1]] = v
        if to[0] == REGISTER or source[0] == REGISTER:
            self.steps.append((to, source))
            return
        cls = CLASS[self.types[v]] & self.al.usable
        busy = self.needed | {r for (kind, r), _ in self.pending.values() if kind == REGISTER}
        registers = [r for r in range(32) if cls >> r & 1]
        through = next((r for r in registers if r not in busy), registers[0])
        if through in busy:
            saved = self._scratch(self.types[self.holds[through]], 1)
            self.steps.append((saved, (REGISTER, through)))
        self.steps.append(((REGISTER, through), source))
        self.steps.append((to, (REGISTER, through)))
        if through in busy:
            self.steps.append(((REGISTER, through), saved))

    def code(self, bases: list[int]) -> list[bytes]:
        """The instructions, once it is known where each type's slots start."""
        out = []
        for (to_kind, to), (kind, source) in self.steps:
            if to_kind != REGISTER:
                op = _isa.SLOT_STORE if source < 16 else _isa.FSLOT_STORE
                out.append(bytes((op, source & 15)) + ULEB[to + bases[to_kind]])
            elif kind == REGISTER:
                out.append(move(to, source))
            elif kind == AGAIN:
                op, rest = self.al.remat[source]
                out.append(bytes((op, to & 15)) + rest)
            else:
                op = _isa.SLOT_LOAD if to < 16 else _isa.FSLOT_LOAD
                out.append(bytes((op, to & 15)) + ULEB[source + bases[kind]])
        return out
