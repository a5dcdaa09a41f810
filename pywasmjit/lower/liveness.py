# SPDX-License-Identifier: GPL-2.0-only
"""What register allocation knows about a function before it starts.

Blocks get an order in which they are allocated (and by and large laid out): reverse post-order,
cold blocks last.  Instructions get positions along that order: a block's phis stand at start[b],
its instructions at start[b] + 1 ... end[b]; what phis of successors read is read at end[b].

Live sets are ints used as bitsets over "global" values only, those that are used outside of
the block that defines them.  Next-use positions are exact along the order, which is what
eviction wants: the next use in a colder or later place counts as farther away.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from pywasmjit import _isa
from pywasmjit._isa import FARGS, IARGS, IREGS
from pywasmjit.lower import emit, ir

# Numbers of live values from this one on are counted together.
PRESSURES = 47
# The position of a use that does not exist.
NEVER = 1 << 29
# How often a loop is assumed to run.
LOOP_WEIGHT = 8.0

CALLEES = sum(saver == "CALLEE" for _, saver in IREGS)
CALLERS = len(IREGS) - CALLEES

_EQUALITY = frozenset((_isa.I32_BR_IF_IMM, _isa.I64_BR_IF_IMM))

# Odds of a block that calls, when the other way does not.
SLOW_PATH = 0.22

INT_CLASS = (True, True, False, False, True, False)  # by type


@dataclass(slots=True)
class Analysis:
    """Facts per block (b), per value (v) or per loop (h, the index of its header block)."""

    order: list[int] = field(default_factory=list)
    start: list[int] = field(default_factory=list)
    end: list[int] = field(default_factory=list)
    freq: list[float] = field(default_factory=list)
    # Frequency of the edge to successor i of b.
    edge_freq: list[list[float]] = field(default_factory=list)
    cold: list[bool] = field(default_factory=list)
    # The innermost loop around b, -1: none; the loop around loop h.
    loop: list[int] = field(default_factory=list)
    parent: dict[int, int] = field(default_factory=dict)
    # Last block of loop h; last position in its blocks that are not cold.
    loop_last: dict[int, int] = field(default_factory=dict)
    loop_end: dict[int, int] = field(default_factory=dict)
    # Frequency of calls in loop h; whether it has instructions that fix r0 and r1.
    loop_calls: dict[int, float] = field(default_factory=dict)
    loop_fixed: dict[int, bool] = field(default_factory=dict)
    # Summed frequency of uses in loop h of each value v that is defined outside, and, at key
    # ~group, of uses and changes of a group of phis; all uses in an inner loop count as one per
    # entry to that.
    loop_uses: dict[int, dict[int, float]] = field(default_factory=dict)
    # Summed frequency of the blocks of loop h in which so many integer or float values (list
    # index: class, number) live at the same time.
    loop_pressure: dict[int, list[list[float]]] = field(default_factory=dict)
    # The same for integer values that live across a call, per call.
    loop_across: dict[int, list[float]] = field(default_factory=dict)
    # Phis that read each other form a group, mostly one variable of the source: its first phi.
    group: dict[int, int] = field(default_factory=dict)
    # Summed frequency of uses of v, not counting phis.
    use_weight: list[float] = field(default_factory=list)

    def_block: list[int] = field(default_factory=list)
    number: list[int] = field(default_factory=list)  # of v in the live sets, -1: local
    globals: list[int] = field(default_factory=list)  # the inverse
    live_in: list[int] = field(default_factory=list)
    live_out: list[int] = field(default_factory=list)
    # Values that phis of b's successors read on edges from b.
    phi_out: list[list[int]] = field(default_factory=list)

    # Position of the next use from where allocation is; starts at the first use.
    next_use: list[int] = field(default_factory=list)
    # Per operand, in reverse order of allocation: next use after it, times two, plus one if
    # the value is dead after it.
    after: list[int] = field(default_factory=list)
    # Summed frequency of blocks in which v is live across a call.
    cross: list[float] = field(default_factory=list)
    # Summed frequency of points where one more callee-saved register avoids a reload, for the
    # first, second, ... such register.
    callee_benefit: list[float] = field(default_factory=lambda: [0.0] * CALLEES)
    # Last position, outside of cold blocks, up to which v is live.
    last_use: list[int] = field(default_factory=list)
    # Register that the use at hint_pos wants v in, -1: none; a phi that reads v, -1: none.
    hint: list[int] = field(default_factory=list)
    hint_pos: list[int] = field(default_factory=list)
    web: list[int] = field(default_factory=list)
    # Positions of calls outside of cold blocks, and of instructions that fix r0, r1.
    calls: list[int] = field(default_factory=list)
    fixed: list[int] = field(default_factory=list)
    has_calls: bool = False


def argument_registers(types: list[int]) -> list[int]:
    """Where values of these types go as arguments: a register, or ~i for stack slot i."""
    ints = floats = stack = 0
    where = []
    for kind in types:
        if INT_CLASS[kind]:
            if ints < len(IARGS):
                where.append(IARGS[ints])
                ints += 1
                continue
        elif floats < len(FARGS):
            where.append(16 + FARGS[floats])
            floats += 1
            continue
        where.append(~stack)
        stack += 1
    return where


def analyse(fn: ir.Function) -> Analysis:
    """All of the above for one function."""
    an = Analysis()
    _order(fn, an)
    _frequencies(fn, an)
    _live_sets(fn, an)
    _sink_steps(fn, an)
    _uses(fn, an)
    return an


def _order(fn: ir.Function, an: Analysis) -> None:
    blocks = fn.blocks
    cold = an.cold = [False] * len(blocks)
    last: dict[int, int] = {}
    for block in blocks:
        b = block.index
        if b and (block.cold or all(cold[p] for p in block.preds if p < b)):
            cold[b] = True
        for s in block.succs:
            if s <= b:
                last[s] = b
    an.order = [b for b in range(len(blocks)) if not cold[b]]
    an.order += [b for b in range(len(blocks)) if cold[b]]

    stack: list[int] = []
    loop = an.loop = [-1] * len(blocks)
    if last:
        for b in range(len(blocks)):
            while stack and last[stack[-1]] < b:
                stack.pop()
            if b in last:
                an.parent[b] = stack[-1] if stack else -1
                if stack and last[stack[-1]] < last[b]:
                    last[b] = last[stack[-1]]
                stack.append(b)
            if stack:
                loop[b] = stack[-1]
    an.loop_last = last

    an.start = [0] * len(blocks)
    an.end = [0] * len(blocks)
    position = 0
    for b in an.order:
        an.start[b] = position
        position += len(blocks[b].insts)
        an.end[b] = position
        position += 1
    for h, tail in last.items():
        an.loop_end[h] = max(an.end[b] for b in range(h, tail + 1) if cold[b] == cold[h])


def _frequencies(fn: ir.Function, an: Analysis) -> None:
    blocks = fn.blocks
    freq = an.freq = [0.0] * len(blocks)
    freq[0] = 1.0
    loop, cold, last = an.loop, an.cold, an.loop_last
    op = fn.op
    calls = [any(6 <= op[v] <= 8 for v in block.insts) for block in blocks]
    for block in blocks:
        b = block.index
        if b in last:
            freq[b] *= LOOP_WEIGHT
        f = freq[b]
        succs = block.succs
        if len(succs) == 1:
            s = succs[0]
            an.edge_freq.append([f])
            if s > b:
                freq[s] += f
            continue
        if len(succs) == 2:
            s, t = succs
            share = 0.5
            if cold[s] != cold[t]:
                share = 0.01 if cold[s] else 0.99
            else:
                v = block.insts[-1]
                if fn.op[v] in _EQUALITY and len(fn.uses[v]) == 1 and fn.imm[v][1] == 0:
                    # Mostly error codes and null pointers.
                    cc = fn.imm[v][0]
                    if cc < 3:
                        share = 0.65 if cc == 1 else 0.35
                if calls[s] != calls[t]:
                    # Code that calls is more often the slow path.
                    odds = share / (1 - share) * (SLOW_PATH if calls[s] else 1 / SLOW_PATH)
                    share = odds / (1 + odds)
                if (h := loop[b]) >= 0:
                    out_s, out_t = s > last[h], t > last[h]
                    if out_s != out_t:
                        share = 1 / LOOP_WEIGHT if out_s else 1 - 1 / LOOP_WEIGHT
            edges = [f * share, f * (1 - share)]
        else:
            edges = [f / len(succs)] * len(succs) if succs else []
        an.edge_freq.append(edges)
        for s, e in zip(succs, edges, strict=True):
            if s > b:
                freq[s] += e


def _live_sets(fn: ir.Function, an: Analysis) -> None:
    blocks, uses = fn.blocks, fn.uses
    count = len(blocks)
    home = an.def_block = [-1] * len(fn.op)
    number = an.number = [-1] * len(fn.op)
    found = an.globals
    generated: list[set[int]] = []
    phi_out = an.phi_out = [[] for _ in blocks]
    web = an.web = [-1] * len(fn.op)
    for block in blocks:
        b = block.index
        gen: set[int] = set()
        for v in block.phis:
            home[v] = b
        for v in block.insts:
            for u in uses[v]:
                if home[u] != b:
                    g = number[u]
                    if g < 0:
                        g = number[u] = len(found)
                        found.append(u)
                    gen.add(g)
            home[v] = b
        generated.append(gen)
    phi_live = [0] * count
    group = an.group
    for block in blocks:
        for v in block.phis:
            group[v] = v

    def leader(v: int) -> int:
        while group[v] != v:
            group[v] = v = group[group[v]]
        return v

    for block in blocks:
        for v in block.phis:
            for p, u in zip(block.preds, uses[v], strict=True):
                if u in group:
                    group[leader(u)] = leader(v)
                if web[u] < 0 or p >= block.index:
                    web[u] = v
                phi_out[p].append(u)
                if home[u] != p:
                    g = number[u]
                    if g < 0:
                        g = number[u] = len(found)
                        found.append(u)
                    generated[p].add(g)
    for v in group:
        group[v] = leader(v)
    killed = [0] * count
    bit = 1
    for v in found:
        killed[home[v]] |= bit
        bit <<= 1
    for b, out in enumerate(phi_out):
        for u in out:
            g = number[u]
            if g >= 0:
                phi_live[b] |= 1 << g

    live_in = an.live_in = [0] * count
    live_out = an.live_out = [0] * count
    gen_bits = []
    for gen in generated:
        bits = 0
        for g in gen:
            bits |= 1 << g
        gen_bits.append(bits)
    # Loops are reducible, so one pass per nesting level, and one to see that nothing changes.
    headers = list(an.loop_last)
    while True:
        before = [live_in[h] for h in headers]
        for b in range(count - 1, -1, -1):
            live = phi_live[b]
            for s in blocks[b].succs:
                live |= live_in[s]
            live_out[b] = live
            live_in[b] = live & ~killed[b] | gen_bits[b]
        if before == [live_in[h] for h in headers]:
            break


def _sink_steps(fn: ir.Function, an: Analysis) -> None:
    """Move the step of a loop's variable, i + 1, behind the last use of i in its block.

    Both then fit in one register.
    """
    FORMAT = emit.FORMAT
    group, home = an.group, an.def_block
    for block in fn.blocks:
        b = block.index
        for v in an.phi_out[b]:
            if home[v] != b or FORMAT[fn.op[v]] != emit.RRI:
                continue
            a = fn.uses[v][0]
            if a not in group or group[a] != group[an.web[v]]:
                continue
            g = an.number[a]
            if (g >= 0 and an.live_out[b] >> g & 1) or a in an.phi_out[b]:
                continue
            insts = block.insts
            at = last = insts.index(v)
            first = len(insts)  # use of v
            for i in range(at + 1, len(insts)):
                uses = fn.uses[insts[i]]
                if a in uses:
                    last = i
                if v in uses and i < first:
                    first = i
            if at < last < min(first, len(insts) - 1):
                del insts[at]
                insts.insert(last, v)


def _uses(fn: ir.Function, an: Analysis) -> None:
    """One walk backward: next and last uses, hints, pressure and weights of loops."""
    blocks, op, all_uses, types = fn.blocks, fn.op, fn.uses, fn.type
    count = len(op)
    next_use = an.next_use = [NEVER] * count
    last_use = an.last_use = [0] * count
    hint = an.hint = [-1] * count
    hint_pos = an.hint_pos = [0] * count
    after = an.after
    number, home, web = an.number, an.def_block, an.web
    FORMAT = emit.FORMAT
    size = (len(an.globals) + 8) // 8
    cross = an.cross = [0.0] * count
    benefit = an.callee_benefit
    block_last = [0] * count  # of a value used in the current block: up to where it is live
    bits = bytearray(size)
    for g, v in enumerate(an.globals):
        if INT_CLASS[types[v]]:
            bits[g >> 3] |= 1 << (g & 7)
    int_bits = int.from_bytes(bits, "little")
    for h in an.loop_last:
        an.loop_uses[h] = {}
        an.loop_calls[h] = 0.0
        an.loop_fixed[h] = False
        an.loop_pressure[h] = [[0.0] * (PRESSURES + 1), [0.0] * (PRESSURES + 1)]
        an.loop_across[h] = [0.0] * (PRESSURES + 1)
    use_weight = an.use_weight = [0.0] * count
    group = an.group

    for b in reversed(an.order):
        end = position = an.end[b]
        live = an.live_out[b].to_bytes(size, "little")
        hot = not an.cold[b]
        h = an.loop[b]
        weight = an.freq[b]
        call = NEVER  # the nearest call behind the current point
        # What a register that calls keep would be worth to values used up to that call: reading
        # an argument from memory instead of moving it costs half as much as other reloads.
        window: dict[int, float] = {}
        ints = (an.live_out[b] & int_bits).bit_count()
        floats = an.live_out[b].bit_count() - ints
        for u in an.phi_out[b]:
            n = next_use[u]
            after.append(n + n)
            if n != end:
                next_use[u] = end
                block_last[u] = end
                w = web[u]
                if w >= 0 and hint[u] < 0 and hint[w] >= 0:
                    hint[u] = hint[w]
                    hint_pos[u] = hint_pos[w]
                if number[u] < 0:
                    if INT_CLASS[types[u]]:
                        ints += 1
                    else:
                        floats += 1
            if hot and not last_use[u]:
                last_use[u] = end
        most_ints, most_floats = ints, floats
        for v in reversed(blocks[b].insts):
            n = next_use[v]
            if n != NEVER:
                if INT_CLASS[types[v]]:
                    ints -= 1
                else:
                    floats -= 1
                if call < (block_last[v] if n <= end else NEVER):
                    cross[v] += weight
                window.pop(v, None)
            across = ints
            uses = all_uses[v]
            form = FORMAT[op[v]]
            if emit.CALL <= form <= emit.RT:
                if across:
                    worth = sorted(window.values(), reverse=True)[:across]
                    worth += [0.3] * (across - len(worth))
                    for i, saved in enumerate(worth[:CALLEES]):
                        benefit[i] += saved * weight
                window = dict.fromkeys(uses, 0.5)
            elif uses:
                for u in uses:
                    window[u] = 1.0
            for u in reversed(uses):
                n = next_use[u]
                if n <= end:
                    after.append(n + n)
                else:
                    g = number[u]
                    if g < 0 or not live[g >> 3] >> (g & 7) & 1:
                        after.append(n + n + 1)
                        block_last[u] = position
                        if INT_CLASS[types[u]]:
                            ints += 1
                        else:
                            floats += 1
                    else:
                        after.append(n + n)
                        block_last[u] = end
                    if hot and not last_use[u]:
                        last_use[u] = position
                next_use[u] = position
                use_weight[u] += weight
                if h >= 0 and (number[u] >= 0 or u in group):
                    d = home[u]
                    table = an.loop_uses[h]
                    if h <= d <= an.loop_last[h]:
                        if u in group:
                            key = ~group[u]
                            table[key] = table.get(key, 0.0) + weight
                    else:
                        table[u] = table.get(u, 0.0) + weight
                        outer = h
                        while hot and outer >= 0 and not outer <= d <= an.loop_last[outer]:
                            if last_use[u] < an.loop_end[outer]:
                                last_use[u] = an.loop_end[outer]
                            outer = an.parent[outer]
            if ints > most_ints:
                most_ints = ints
            if floats > most_floats:
                most_floats = floats
            if form == emit.RRR or form == emit.RRI:
                # What the result wants, the first operand wants if it dies here.
                if after[-1] & 1:
                    u = uses[0]
                    if hint[v] >= 0:
                        hint[u] = hint[v]
                        hint_pos[u] = hint_pos[v]
                    if web[u] < 0:
                        web[u] = web[v]
            elif emit.CALL <= form <= emit.RT:
                an.has_calls = True
                call = position
                if h >= 0:
                    an.loop_across[h][min(across, PRESSURES)] += weight
                if hot:
                    an.calls.append(position)
                    if h >= 0:
                        an.loop_calls[h] += weight
                # An argument that dies is best computed where it goes.
                if uses:
                    if form == emit.CALLI:
                        places = [7, *argument_registers([types[u] for u in uses[1:]])]
                    else:
                        places = argument_registers([types[u] for u in uses])
                    i = len(after)
                    for u, r in zip(uses, places, strict=True):
                        i -= 1
                        if r >= 0 and after[i] & 1:
                            hint[u] = r
                            hint_pos[u] = position
            elif form == emit.DIV or form == emit.ACAS:
                if after[-1] & 1:
                    hint[uses[0]] = 0
                    hint_pos[uses[0]] = position
                an.fixed.append(position)
                if h >= 0:
                    an.loop_fixed[h] = True
            elif form == emit.ARMW:
                an.fixed.append(position)
                if h >= 0:
                    an.loop_fixed[h] = True
            elif op[v] == 3 and uses:
                hint[uses[0]] = 0 if INT_CLASS[types[uses[0]]] else 16
                hint_pos[uses[0]] = position
            position -= 1
        for i in range(min(most_ints - CALLERS, CALLEES)):
            benefit[i] += 2 * weight
        if call != NEVER:
            found = an.live_in[b]
            while found:
                low = found & -found
                found ^= low
                g = low.bit_length() - 1
                u = an.globals[g]
                if live[g >> 3] >> (g & 7) & 1 or call < block_last[u]:
                    cross[u] += weight
            for v in blocks[b].phis:
                n = next_use[v]
                if n != NEVER and call < (block_last[v] if n <= end else NEVER):
                    cross[v] += weight
        if h >= 0:
            histogram = an.loop_pressure[h]
            histogram[0][min(most_ints, PRESSURES)] += weight
            histogram[1][min(most_floats, PRESSURES)] += weight
    an.calls.reverse()
    an.fixed.reverse()
    # A change of a phi's variable counts as a use.
    for block in blocks:
        for v in block.phis:
            for p, u in zip(block.preds, all_uses[v], strict=True):
                h = an.loop[p]
                if h >= 0 and u not in group and home[u] >= h:
                    table = an.loop_uses[h]
                    key = ~group[v]
                    table[key] = table.get(key, 0.0) + an.freq[p] / len(blocks[p].succs)
    for h in sorted(an.loop_last, reverse=True):
        outer = an.parent[h]
        if outer >= 0:
            an.loop_calls[outer] += an.loop_calls[h]
            an.loop_fixed[outer] |= an.loop_fixed[h]
            for mine, theirs in zip(
                [*an.loop_pressure[h], an.loop_across[h]],
                [*an.loop_pressure[outer], an.loop_across[outer]],
                strict=True,
            ):
                for i, weight in enumerate(mine):
                    theirs[i] += weight / LOOP_WEIGHT
            # Seen from the outer loop, the inner one needs a value in a register once per entry.
            entries = an.freq[h] / LOOP_WEIGHT
            last = an.loop_last[outer]
            table = an.loop_uses[outer]
            for u, weight in an.loop_uses[h].items():
                if u >= 0 and outer <= home[u] <= last:
                    if u not in group:
                        continue
                    u = ~group[u]
                table[u] = table.get(u, 0.0) + min(weight, entries)
