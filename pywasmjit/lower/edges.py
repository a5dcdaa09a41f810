# SPDX-License-Identifier: GPL-2.0-only
"""After the walk: what control-flow edges must do where the states of their ends differ."""

from __future__ import annotations

from dataclasses import dataclass

from pywasmjit.lower.moves import sequence
from pywasmjit.lower.regalloc import Allocation


@dataclass(slots=True)
class MemoryEdge:
    """An edge into a block with phis in memory: everything on it is one parallel copy.

    Its code depends on slot numbers, so slots.py writes it, into out[at].
    """

    out: list[bytes]
    at: int
    state: dict[int, int]  # value -> register before the edge
    clean: int  # registers whose values are in their slots too
    registers: dict[int, int]  # register -> value to be there after it
    slots: dict[int, int]  # phi -> value to be in its slot after it


def resolve_edges(
    al: Allocation,
) -> tuple[dict[tuple[int, int], list[bytes]], list[MemoryEdge]]:
    """Code for the edges (predecessor, successor) whose states differ."""
    fn, an = al.fn, al.an
    number = an.number
    result: dict[tuple[int, int], list[bytes]] = {}
    memory_edges: list[MemoryEdge] = []
    for block in fn.blocks:
        b = block.index
        if len(block.preds) == 1 and not block.phis:
            continue
        entry = al.entry[b]
        clean_in = al.entry_clean[b]
        live = an.live_in[b]
        live_bytes = live.to_bytes(live.bit_length() + 7 >> 3, "little")
        size = len(live_bytes) << 3
        phis = set(block.phis)
        in_memory = [v for v in block.phis if v in al.memory_phis]
        for j, p in enumerate(block.preds):
            state = al.exit[p]
            assert state is not None
            clean_out = al.exit_clean[p]
            out: list[bytes] = []
            moves: dict[int, int] = {}
            loads: list[tuple[int, int]] = []
            position = an.end[p]
            weight = an.edge_freq[p][fn.blocks[p].succs.index(b)]
            for v, r in entry.items():
                source = fn.uses[v][j] if v in phis else v
                at = state.get(source, -1)
                if at < 0:
                    loads.append((r, source))
                elif at != r:
                    moves[r] = at
                if clean_in >> r & 1 and at >= 0 and not clean_out >> at & 1 and v not in al.remat:
                    al.record_store(out, at, v, position, weight)
            for v, r in state.items():
                if (
                    v not in entry
                    and not clean_out >> r & 1
                    and 0 <= (g := number[v]) < size
                    and live_bytes[g >> 3] >> (g & 7) & 1
                    and v not in al.remat
                ):
                    al.record_store(out, r, v, position, weight)
            if in_memory:
                targets = {r: fn.uses[v][j] if v in phis else v for v, r in entry.items()}
                slots = {v: fn.uses[v][j] for v in in_memory}
                memory_edges.append(MemoryEdge(out, len(out), state, clean_out, targets, slots))
                out.append(b"")
                for v in (*targets.values(), *slots.values()):
                    if v not in state and v not in al.remat:
                        al.loaded.add(v)
                        if position > al.slot_last.get(v, -1):
                            al.slot_last[v] = position
            else:
                if moves:
                    temporaries = al.usable
                    for r in entry.values():
                        temporaries &= ~(1 << r)
                    for r, _ in loads:
                        temporaries |= 1 << r
                    for r in moves.values():
                        temporaries &= ~(1 << r)
                    sequence(moves, out, temporaries)
                if loads:
                    # What operands of values to be computed again may be read from.
                    ready = {v: r for v, r in entry.items() if v in state and v not in phis}
                    for r, v in loads:
                        al.load(out, r, v, position, ready)
            if out:
                result[p, b] = out
    return result, memory_edges
