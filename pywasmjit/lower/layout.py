# SPDX-License-Identifier: GPL-2.0-only
"""From allocated blocks to a body: placement, branches, polls and the block table.

Nodes are the function's blocks and, behind them, edges that need code but whose predecessor
has other successors and whose successor has other predecessors.
"""

from __future__ import annotations

from bisect import bisect_left

from pywasmjit import _isa
from pywasmjit.errors import UnsupportedError
from pywasmjit.lower import emit
from pywasmjit.lower.edges import resolve_edges
from pywasmjit.lower.emit import FORMAT, ULEB
from pywasmjit.lower.regalloc import Allocation
from pywasmjit.lower.slots import Slots, assign_slots

# Bytes of code that are copied rather than branched to, before a RET.
_COPIED = 8
# WJ_MAX_SLOTS of image.h, outgoing slots included.
MAX_SLOTS = 8000
_POLL = bytes((_isa.POLL,))
# What edge code consists of if it may run before the branch, and its cost there, compared with
# that of a jump.
_HOISTED = {
    _isa.MOV: 0.4,
    _isa.FMOV: 0.4,
    _isa.I32_CONST: 0.4,
    _isa.I64_CONST: 0.5,
    _isa.SLOT_LOAD: 1.0,
    _isa.FSLOT_LOAD: 1.0,
}


def assemble(al: Allocation) -> bytes:
    """The body of an allocated function."""
    fn = al.fn
    edge_code, memory_edges = resolve_edges(al)
    slots = assign_slots(al, memory_edges)
    if sum(slots.counts) + al.outs > MAX_SLOTS:
        raise UnsupportedError(
            f"a function with {sum(slots.counts)} values in its frame; the limit is {MAX_SLOTS}: "
            "split the function",
            function=fn.index,
            function_name=fn.name,
        )

    text = [b"".join(code) for code in al.code]
    terms = list(al.terms)
    targets = [list(block.succs) for block in fn.blocks]
    edge_of: dict[int, tuple[int, int]] = {}
    hoisted: dict[int, int] = {}
    for (p, b), parts in edge_code.items():
        chunks = [part for part in parts if part]
        if not chunks:
            continue
        data = b"".join(chunks)
        if len(targets[p]) == 1 or _may_hoist(al, p, b, chunks, hoisted):
            text[p] += data
            continue
        node = len(text)
        text.append(data)
        terms.append((_isa.BR, 0, 0, b""))
        targets[p] = [node if t == b else t for t in targets[p]]
        targets.append([b])
        edge_of[node] = (p, b)

    while _skip_empty(text, terms, targets):
        pass
    sequence = _place(al, terms, targets, edge_of)
    return _emit(al, slots, text, terms, targets, edge_of, sequence)


def _may_hoist(al: Allocation, p: int, b: int, chunks: list[bytes], hoisted: dict[int, int]) -> bool:
    """Whether code of the edge from p to b may as well run before p's conditional branch.

    It must be cheap, and write nothing that the branch or the other target reads.  hoisted:
    registers that code moved there writes, by block; extended here.
    """
    if len(chunks) > 6:
        return False
    op, a, _, _ = al.terms[p]
    form = FORMAT[op]
    if form != emit.JRI and form != emit.JRR:
        return False
    an, fn = al.an, al.fn
    succs = fn.blocks[p].succs
    side = succs.index(b)
    other = succs[1 - side]
    freq = an.edge_freq[p]
    written = 0
    cost = 0.0
    for chunk in chunks:
        if chunk[0] not in _HOISTED:
            return False
        cost += _HOISTED[chunk[0]]
        floats = chunk[0] == _isa.FMOV or chunk[0] == _isa.FSLOT_LOAD
        written |= 1 << (chunk[1] & 15 | (16 if floats else 0))
    if freq[side] < freq[1 - side] * cost:
        return False
    if op == _isa.F32_BR_IF or op == _isa.F64_BR_IF:
        read = 1 << 16 + (a & 15) | 1 << 16 + (a >> 4)
    else:
        read = 1 << (a & 15) | (1 << (a >> 4) if form == emit.JRR else 0)
    if (read | hoisted.get(p, 0)) & written:
        return False
    state = al.exit[p]
    assert state is not None
    number, live = an.number, an.live_in[other]
    block = fn.blocks[other]
    taken = set()
    if block.phis:
        j = block.preds.index(p)
        taken = {fn.uses[v][j] for v in block.phis}
    for v, r in state.items():
        if written >> r & 1 and (v in taken or (number[v] >= 0 and live >> number[v] & 1)):
            return False
    hoisted[p] = hoisted.get(p, 0) | written
    return True


def _skip_empty(
    text: list[bytes], terms: list[tuple[int, int, int, bytes]], targets: list[list[int]]
) -> bool:
    """Redirect branches past nodes that only branch on; true if that made more such nodes."""
    again = False
    final = list(range(len(text)))
    for node in range(len(text)):
        seen = {node}
        t = node
        while not text[t] and terms[t][0] == _isa.BR:
            t = targets[t][0]
            if t in seen:
                break
            seen.add(t)
        final[node] = t
    for node, succs in enumerate(targets):
        if succs:
            targets[node] = succs = [final[t] for t in succs]
            if len(succs) == 2 and succs[0] == succs[1] and FORMAT[terms[node][0]] != emit.JT:
                targets[node] = succs[:1]
                terms[node] = (_isa.BR, 0, 0, b"")
                again = True
    return again


def _place(
    al: Allocation,
    terms: list[tuple[int, int, int, bytes]],
    targets: list[list[int]],
    edge_of: dict[int, tuple[int, int]],
) -> list[int]:
    """The nodes that are reached, in code order."""
    an = al.an
    reached = {0}
    work = [0]
    while work:
        for t in targets[work.pop()]:
            if t not in reached:
                reached.add(t)
                work.append(t)
    blocks = [b for b in an.order if b in reached]
    following = dict(zip(blocks, blocks[1:], strict=False))
    sequence: list[int] = []
    pending: list[int] = []
    for b in blocks:
        sequence.append(b)
        edges = [t for t in targets[b] if t in edge_of]
        if not edges:
            continue
        if len(targets[b]) == 2 and FORMAT[terms[b][0]] != emit.JT:
            freq = an.edge_freq[b]
            taken, other = targets[b]
            if len(edges) == 2:
                inline = taken if freq[0] > freq[1] else other
            elif taken in edge_of:
                inline = taken if other != following.get(b) or freq[0] > freq[1] else -1
            else:
                inline = other if taken != following.get(b) or freq[1] >= freq[0] else -1
            if inline >= 0:
                sequence.append(inline)
            pending += [t for t in edges if t != inline]
        else:
            sequence += dict.fromkeys(edges)
    return _fill_gaps(sequence, pending, terms, targets, edge_of)


def _fill_gaps(
    sequence: list[int],
    pending: list[int],
    terms: list[tuple[int, int, int, bytes]],
    targets: list[list[int]],
    edge_of: dict[int, tuple[int, int]],
) -> list[int]:
    """Put edges where nothing falls through, forward of their source so that targets need no
    poll on their account; as close to the target as possible."""
    if not pending:
        return sequence
    place = {node: i for i, node in enumerate(sequence)}
    gaps = []
    for i, node in enumerate(sequence):
        succs = targets[node]
        next_node = sequence[i + 1] if i + 1 < len(sequence) else -1
        if FORMAT[terms[node][0]] == emit.JT or next_node not in succs:
            gaps.append(i)
    inserted: dict[int, list[int]] = {}
    for node in pending:
        p, b = edge_of[node]
        source, target = place[p], place[targets[node][0]]
        if target > source:
            found = bisect_left(gaps, target) - 1
            if found >= 0 and gaps[found] >= source:
                at = gaps[found]
            else:
                at = source
        else:
            found = bisect_left(gaps, source)
            at = gaps[found] if found < len(gaps) else len(sequence) - 1
        inserted.setdefault(at, []).append(node)
    result = []
    for i, node in enumerate(sequence):
        result.append(node)
        result += inserted.get(i, ())
    return result


def _emit(
    al: Allocation,
    slots: Slots,
    text: list[bytes],
    terms: list[tuple[int, int, int, bytes]],
    targets: list[list[int]],
    edge_of: dict[int, tuple[int, int]],
    sequence: list[int],
) -> bytes:
    an = al.an
    place = {node: i for i, node in enumerate(sequence)}
    # What each node falls into, what it branches to.
    branched: set[int] = set()
    polled: set[int] = set()
    last = len(sequence) - 1
    plans: list[tuple[int, ...]] = []  # targets of the branches to be emitted
    for i, node in enumerate(sequence):
        succs = targets[node]
        following = sequence[i + 1] if i < last else -1
        plan: tuple[int, ...]
        if not succs:
            plan = ()
        elif FORMAT[terms[node][0]] == emit.JT:
            plan = tuple(succs)
        elif len(succs) == 1:
            t = succs[0]
            plan = () if t == following else (t,)
            if plan and not targets[t] and len(text[t]) <= _COPIED and not an.cold[t]:
                # A copy of a short end of the function instead of a branch to it.
                text[node] += text[t]
                terms[node] = terms[t]
                targets[node] = []
                plan = ()
        else:
            taken, other = succs
            if other == following:
                plan = (taken,)
            elif taken == following:
                op, a, cc, rest = terms[node]
                terms[node] = (op, a, cc ^ 1, rest)
                plan = (other,)
            else:
                plan = (taken, other)
        plans.append(plan)
        for t in plan:
            branched.add(t)
            if place[t] <= i:
                polled.add(t)

    # Ends of the function of which there are only copies now.
    dead = {
        node
        for i, node in enumerate(sequence)
        if i and node not in branched and node not in targets[sequence[i - 1]]
    }
    number: dict[int, int] = {}
    for node in sequence:
        if node in branched:
            number[node] = len(number)
    code: list[bytes] = []
    table: list[bytes] = []
    offset = previous = 0
    for i, node in enumerate(sequence):
        if node in dead:
            continue
        data = text[node]
        if node in polled:
            data = _POLL + data
        op, a, cc, rest = terms[node]
        plan = plans[i]
        form = FORMAT[op]
        if form == emit.JRI:
            data += bytes((op, a | cc << 4)) + rest + ULEB[number[plan[0]]]
        elif form == emit.JRR:
            data += bytes((op, a, cc)) + ULEB[number[plan[0]]]
        elif form == emit.JT:
            data += bytes((op, a)) + ULEB[len(plan) - 1]
            data += b"".join([ULEB[number[t]] for t in plan])
        elif form == emit.J:
            if plan:
                data += bytes((op,)) + ULEB[number[plan[0]]]
        else:
            data += bytes((op,)) + rest
        if len(plan) == 2 and (form == emit.JRI or form == emit.JRR):
            data += bytes((_isa.BR,)) + ULEB[number[plan[1]]]
        if node in branched:
            table.append(_entry(al, slots, node, edge_of, offset - previous))
            previous = offset
        code.append(data)
        offset += len(data)
    return emit.body(
        not al.an.has_calls,
        al.used_callee >> 8,
        tuple(slots.counts),
        al.outs,
        table,
        b"".join(code),
    )


def _entry(al: Allocation, slots: Slots, node: int, edge_of: dict[int, tuple[int, int]], delta: int) -> bytes:
    """The line of the block table for a node."""
    an, fn = al.an, al.fn
    number, types = an.number, fn.type
    edge = edge_of.get(node)
    extra: list[int]  # values in slots that are not in the live set
    if edge is None:
        registers = al.entry[node]
        clean = al.entry_clean[node]
        live = an.live_in[node]
        extra = [v for v in fn.blocks[node].phis if v in al.memory_phis]
    else:
        p, b = edge
        state = al.exit[p]
        assert state is not None
        clean = al.exit_clean[p]
        live = an.live_in[b]
        j = fn.blocks[b].preds.index(p)
        read = {fn.uses[v][j] for v in fn.blocks[b].phis if v in al.entry[b] or v in al.memory_phis}
        registers = {
            v: r for v, r in state.items() if v in read or (number[v] >= 0 and live >> number[v] & 1)
        }
        extra = [
            v
            for v in read
            if v in slots.slot and (v not in state or v in slots.at_def or clean >> state[v] & 1)
        ]
    ints = i64s = refs = floats = doubles = 0
    for v, r in registers.items():
        kind = types[v]
        bit = 1 << (r & 15)
        if r < 16:
            ints |= bit
            if kind == 1:
                i64s |= bit
            elif kind == 4:
                refs |= bit
        else:
            floats |= bit
            if kind == 3:
                doubles |= bit
    bitmap = 0
    found = live & slots.bits
    while found:
        low = found & -found
        found ^= low
        v = an.globals[low.bit_length() - 1]
        r = registers.get(v, -1)
        if r < 0 or clean >> r & 1 or v in slots.at_def:
            bitmap |= 1 << slots.slot[v]
    for v in extra:
        bitmap |= 1 << slots.slot[v]
    return emit.block_entry(delta, ints, i64s, refs, floats, doubles, bitmap)
