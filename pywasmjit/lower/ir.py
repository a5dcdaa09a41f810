# SPDX-License-Identifier: GPL-2.0-only
"""The SSA form between lowering's front (build, passes) and back (regalloc, emit).

Instructions are those of isa.def already, over virtual values instead of registers, so
that instruction selection is done by the front and the back is generic over the table.

A value is an int, an index into the parallel lists of Function.  `uses` by format:

    RR (a)  RRR (a, b)  RRI (a) imm (k)  LEA (a, b) imm (scale, disp)
    CI () imm (k)  C4, C8 () imm (bits)
    DIV (dividend, divisor)                      the back fixes registers
    SET (a, b) imm (cc)  SETI (a) imm (cc, k)
    SEL (a, b, x, y) imm (cc)  SELI (a, b, x) imm (cc, k)
    LD (base) or () imm (offset)                 (): no base register
    ST (value, base) or (value) imm (offset)  STI (base) or () imm (offset, k)
    ALD like LD  ARMW (operand, base) imm (kind, offset)
    ACAS (expected, replacement, base) imm (offset)
    GLD () imm (global)  GST (value) imm (global)
    CALL args imm (function)  CALLI (element index, *args) imm (type, table)
    RT args imm (helper, imm0, imm1)
    RLD () imm (index)    directly after its call, before any other call
    RET results           TRAP () imm (trap)   UNREACHABLE ()

Terminators, the last instruction of each block, take their targets from Block.succs:
    J: [target]    JRR (a, b) imm (cc), JRI (a) imm (cc, k): [taken, not taken]
    JT (index): [*targets, default]              a target may appear more than once
    RET, TRAP, UNREACHABLE: []
The back makes POLL, MOV, SLOT_*, ARG_LOAD, OUT_STORE, RESULT_STORE, XCHG itself; the
front never makes them.  Pseudo instructions, outside the table:
    PARAM () imm (index)  in the entry block, first      PHI, in Block.phis: one use per
    predecessor, in the order of Block.preds

What the front guarantees besides SSA (checked by verify.py):
  * Block.preds holds each predecessor once, even if several of its edges lead here; both
    targets of a conditional branch differ.  Critical edges are not split.  The order of the
    blocks is the proposed layout (cold ones excepted), usually with succs[1] next.
  * Parameters without uses may have no PARAM.
  * Constants (I32_CONST, I64_CONST, F32_CONST, F64_CONST, REF_NULL) that could not be folded
    into an immediate are used in their own block only: they stand directly before their use,
    those of phis before the terminator of the predecessor.  Float and wide i64 constants,
    which cost more to make, are shared by the uses up to the next call.  All may be
    rematerialised anywhere (best on the edge itself when a phi uses them).
  * A value may be unused where its instruction has an effect or may trap (calls, loads).
  * I64_EXTEND_I32_U is a move if the i32 dies there: i32 registers have clear upper halves.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from pywasmjit import _isa
from pywasmjit._isa import OPS, RT

PARAM: Final = 256
PHI: Final = 257
# An instruction that a pass removed; never in a block.
DEAD: Final = 258

# Types of values: as in images, see image.h.
I32: Final = 0
I64: Final = 1
F32: Final = 2
F64: Final = 3
REF: Final = 4
NONE: Final = 5

TYPE_LETTERS: Final = {"I": I32, "L": I64, "F": F32, "D": F64, "R": REF}


@dataclass(slots=True)
class Block:
    """A basic block; `insts` ends with its terminator."""

    index: int
    phis: list[int] = field(default_factory=list)
    insts: list[int] = field(default_factory=list)
    preds: list[int] = field(default_factory=list)
    succs: list[int] = field(default_factory=list)
    loop_depth: int = 0
    # True if some predecessor reaches it by a back edge.
    loop_header: bool = False
    # Rarely executed (ends in UNREACHABLE or TRAP, or dominated by such): lay out last.
    cold: bool = False


@dataclass(slots=True)
class Function:
    """One function in SSA form.

    `blocks[i].index == i`; blocks[0] is the entry and has no predecessors; blocks are in
    reverse post-order with the blocks of a loop contiguous; none is unreachable.
    """

    index: int  # in the function index space, imports included
    name: str
    params: tuple[int, ...]
    results: tuple[int, ...]
    op: list[int] = field(default_factory=list)
    uses: list[tuple[int, ...]] = field(default_factory=list)
    imm: list[tuple[int, ...]] = field(default_factory=list)
    type: list[int] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)
    # Bytes of the 32-bit address space that memory can never grow into: after an access at v,
    # v + k cannot wrap for k up to this.
    slack: int = 0

    def value(self, op: int, uses: tuple[int, ...], imm: tuple[int, ...], kind: int) -> int:
        """Append an instruction that defines a value of type `kind` (or NONE)."""
        self.op.append(op)
        self.uses.append(uses)
        self.imm.append(imm)
        self.type.append(kind)
        return len(self.op) - 1


TYPE_NAMES: Final = ("i32", "i64", "f32", "f64", "ref", "none")
_ICC: Final = {value: name[3:] for name, value in vars(_isa).items() if name.startswith("CC_")}
_FCC: Final = {value: name[4:] for name, value in vars(_isa).items() if name.startswith("FCC_")}
_RMW: Final = {value: name[4:] for name, value in vars(_isa).items() if name.startswith("RMW_")}


def mnemonic(op: int) -> str:
    """Name of an opcode or pseudo opcode."""
    return {PARAM: "PARAM", PHI: "PHI", DEAD: "DEAD"}.get(op) or OPS[op].name


def _imm_text(op: int, imm: tuple[int, ...]) -> str:
    parts = [str(k) for k in imm]
    if op < PARAM and imm:
        form = OPS[op].format
        if form in ("SET", "SETI", "SEL", "SELI", "JRR", "JRI"):
            codes = _FCC if OPS[op].name[0] == "F" and form[:3] != "SEL" else _ICC
            parts[0] = codes.get(imm[0], parts[0])
        elif form == "ARMW":
            parts[0] = _RMW[imm[0]]
        elif form == "RT":
            parts[0] = RT[imm[0]][0]
    return " ".join(parts)


def dump(fn: Function) -> str:
    """The function as text, one line per instruction, for tests and --dump options."""
    names = ", ".join(TYPE_NAMES[t] for t in fn.params)
    results = ", ".join(TYPE_NAMES[t] for t in fn.results)
    lines = [f"func {fn.index} ({names}) -> ({results})"]
    for block in fn.blocks:
        notes = [f"preds {' '.join(f'b{p}' for p in block.preds)}"] if block.preds else []
        if block.loop_header:
            notes.append("loop")
        if block.loop_depth:
            notes.append(f"depth {block.loop_depth}")
        if block.cold:
            notes.append("cold")
        lines.append(f"b{block.index}:" + (f"  ; {', '.join(notes)}" if notes else ""))
        for v in [*block.phis, *block.insts]:
            text = mnemonic(fn.op[v])
            if fn.uses[v]:
                text += " " + ", ".join(f"v{u}" for u in fn.uses[v])
            if fn.imm[v]:
                text += f" [{_imm_text(fn.op[v], fn.imm[v])}]"
            if fn.type[v] != NONE:
                text = f"v{v}:{TYPE_NAMES[fn.type[v]]} = {text}"
            lines.append("  " + text)
        if block.succs:
            lines[-1] += " -> " + ", ".join(f"b{s}" for s in block.succs)
    return "\n".join(lines) + "\n"
