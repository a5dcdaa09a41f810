# SPDX-License-Identifier: GPL-2.0-only
"""Checks that a Function is what ir.py promises, for tests and for --debug runs."""

from __future__ import annotations

from pywasmjit._isa import BR_TABLE, OPS, RT
from pywasmjit.lower.info import ModuleInfo
from pywasmjit.lower.ir import (
    F32,
    F64,
    I32,
    I64,
    NONE,
    PARAM,
    PHI,
    REF,
    TYPE_LETTERS,
    Block,
    Function,
    dump,
    mnemonic,
)

_CONDITIONAL = frozenset({"JRR", "JRI"})
_BACK_ONLY = frozenset(
    {"POLL", "MOV", "FMOV", "XCHG", "FXCHG", "SLOT_LOAD", "SLOT_STORE", "FSLOT_LOAD",
     "FSLOT_STORE", "ARG_LOAD", "FARG_LOAD", "OUT_STORE", "FOUT_STORE", "RESULT_STORE",
     "FRESULT_STORE"}
)  # fmt: skip
_IMM_COUNT = {
    "N": 0, "RR": 0, "RRR": 0, "RRI": 1, "LEA": 2, "CI": 1, "C4": 1, "C8": 1, "DIV": 0,
    "SET": 1, "SETI": 2, "SEL": 1, "SELI": 2, "LD": 1, "ST": 1, "STI": 2, "ALD": 1, "ARMW": 2,
    "ACAS": 1, "RLD": 1, "GLD": 1, "GST": 1, "J": 0, "JRR": 1, "JRI": 2, "JT": 0, "CALL": 1,
    "CALLI": 2, "RT": 3, "TRAP": 1,
}  # fmt: skip


class IRError(Exception):
    """The function breaks a rule; str() names the rule, the block and the instruction."""


def _dominators(fn: Function) -> list[int]:
    """Immediate dominators (Cooper, Harvey, Kennedy 2001) of blocks in reverse post-order."""
    blocks = fn.blocks
    idom = [-1] * len(blocks)
    idom[0] = 0
    changed = True
    while changed:
        changed = False
        for block in blocks[1:]:
            new = -1
            for p in block.preds:
                if idom[p] < 0:
                    continue
                if new < 0:
                    new = p
                    continue
                a, b = new, p
                while a != b:
                    while a > b:
                        a = idom[a]
                    while b > a:
                        b = idom[b]
                new = a
            if idom[block.index] != new:
                idom[block.index] = new
                changed = True
    return idom


class _Verifier:
    def __init__(self, fn: Function, info: ModuleInfo | None) -> None:
        self.fn = fn
        self.info = info
        self.where: dict[int, tuple[int, int]] = {}
        self.at = ""

    def check(self, condition: bool, rule: str) -> None:
        if not condition:
            raise IRError(f"{rule} [{self.at}] in\n{dump(self.fn)}")

    def run(self) -> None:
        fn = self.fn
        blocks = fn.blocks
        self.at = "lists"
        self.check(len(fn.op) == len(fn.uses) == len(fn.imm) == len(fn.type), "lists differ in length")
        self.check(bool(blocks) and not blocks[0].preds, "the entry has predecessors")
        self.check(not blocks[0].phis, "the entry has phis")
        for i, block in enumerate(blocks):
            self.at = f"b{i}"
            self.check(block.index == i, "block index is not its position")
            self.edges(block)
            for place, v in enumerate(block.phis):
                self.check(fn.op[v] == PHI, "only PHI belongs in phis")
                self.define(v, i, -1 - place)
            for place, v in enumerate(block.insts):
                self.define(v, i, place)
        self.idom = _dominators(fn)
        self.depth = [0] * len(blocks)
        for i in range(1, len(blocks)):
            self.at = f"b{i}"
            self.check(self.idom[i] >= 0, "unreachable block")
            self.check(self.idom[i] < i, "blocks are not in reverse post-order")
            self.depth[i] = self.depth[self.idom[i]] + 1
        for block in blocks:
            for v in block.phis:
                self.at = f"b{block.index} v{v}"
                self.phi(block, v)
            for place, v in enumerate(block.insts):
                self.at = f"b{block.index} v{v}"
                self.instruction(block, place, v)
        self.loops()

    def edges(self, block: Block) -> None:
        blocks = self.fn.blocks
        op = self.fn.op
        self.check(bool(block.insts), "no terminator")
        last = block.insts[-1]
        form = OPS[op[last]].format if op[last] < PARAM else ""
        terminal = form in _CONDITIONAL or (form != "" and "T" in OPS[op[last]].flags)
        self.check(terminal, "the last instruction is no terminator")
        count = len(block.succs)
        if form == "J":
            self.check(count == 1, "BR has one successor")
        elif form in _CONDITIONAL:
            self.check(count == 2, "a conditional branch has two successors")
            self.check(block.succs[0] != block.succs[1], "both successors are the same")
        elif op[last] == BR_TABLE:
            self.check(count >= 1, "BR_TABLE has successors")
        else:
            self.check(count == 0, "successors after the end")
        for s in block.succs:
            self.check(0 <= s < len(blocks), "successor out of range")
            self.check(blocks[s].preds.count(block.index) == 1, "not once in preds of successor")
        for p in block.preds:
            self.check(block.index in blocks[p].succs, "predecessor does not lead here")
        self.check(len(set(block.preds)) == len(block.preds), "predecessor listed twice")

    def define(self, v: int, block: int, place: int) -> None:
        self.at = f"b{block} v{v}"
        self.check(v not in self.where, "value is in two places")
        self.where[v] = (block, place)

    def dominates(self, v: int, block: int, place: int) -> bool:
        if v not in self.where:
            return False
        home, at = self.where[v]
        if home == block:
            return at < place
        while self.depth[block] > self.depth[home]:
            block = self.idom[block]
        return block == home

    def phi(self, block: Block, v: int) -> None:
        fn = self.fn
        self.check(len(fn.uses[v]) == len(block.preds), "one operand per predecessor")
        self.check(fn.type[v] != NONE, "a phi has a type")
        for p, u in zip(block.preds, fn.uses[v], strict=True):
            self.check(fn.type[u] == fn.type[v], f"type of v{u}")
            self.check(self.dominates(u, p, 1 << 60), f"v{u} does not reach the end of b{p}")

    def instruction(self, block: Block, place: int, v: int) -> None:
        fn = self.fn
        op = fn.op[v]
        uses = fn.uses[v]
        for u in uses:
            self.check(self.dominates(u, block.index, place), f"v{u} does not dominate")
        if op == PARAM:
            self.check(block.index == 0, "PARAM belongs in the entry")
            self.check(fn.type[v] == fn.params[fn.imm[v][0]], "type of the parameter")
            before = [fn.op[x] for x in block.insts[:place]]
            self.check(all(o == PARAM for o in before), "PARAM comes first")
            return
        self.check(op < PARAM, f"{mnemonic(op)} does not belong here")
        row = OPS[op]
        self.check(row.name not in _BACK_ONLY, f"{row.name} is for the back")
        ends = "T" in row.flags or row.format in _CONDITIONAL
        self.check(ends == (place == len(block.insts) - 1), "terminator in the middle")
        self.check(len(fn.imm[v]) == _IMM_COUNT[row.format], "number of immediates")
        self.operands(row.format, op, v, tuple(fn.type[u] for u in uses))
        self.immediates(row.format, v)

    def operands(self, form: str, op: int, v: int, got: tuple[int, ...]) -> None:
        row = OPS[op]
        fn = self.fn
        kind = fn.type[v]
        a = row.a
        b = row.b
        ints = (I32, I64, REF)
        floats = (F32, F64)
        if form in ("SEL", "SELI"):
            x = I64 if op in (OPS.index(o) for o in OPS if o.name.startswith("I64_SEL")) else I32
            count = 2 if form == "SEL" else 1
            self.check(got[:2] == (kind, kind), "operands to select from")
            self.check(kind in (floats if row.name[0] == "F" else ints), "type of the result")
            self.check(got[2:] == (x,) * count, "operands to compare")
            return
        if form in ("CALL", "CALLI", "RT"):
            self.call(form, v, got)
            return
        if op == self.ret:
            self.check(got == fn.results, "types of the results")
            return
        expected: list[str] = []
        if form in ("LD", "ALD"):
            expected = [a] if got else []
        elif form == "ST":
            expected = [a, b] if len(got) > 1 else [a]
        elif form == "STI":
            expected = [b] if got else []
        elif form == "ARMW":
            expected = [a, b]
        elif form == "ACAS":
            expected = [a, a, b]
        elif form == "GST":
            expected = [a]
        else:
            expected = [x for x in (a, b) if x != "_"]
        self.check(len(got) == len(expected), "number of operands")
        for have, letter in zip(got, expected, strict=True):
            allowed = {"W": ints, "G": floats}.get(letter) or (TYPE_LETTERS[letter],)
            self.check(have in allowed, f"operand type {letter}")
        if row.d == "_":
            self.check(kind == NONE, "type of an instruction without value")
        elif row.d in "WG":
            self.check(kind in (ints if row.d == "W" else floats), "type of the value")
        else:
            self.check(kind == TYPE_LETTERS[row.d], "type of the value")

    ret = next(i for i, row in enumerate(OPS) if row.name == "RET")

    def call(self, form: str, v: int, got: tuple[int, ...]) -> None:
        fn = self.fn
        imm = fn.imm[v]
        if form == "RT":
            _, result, letters, _, _ = RT[imm[0]]
            self.check(got == tuple(TYPE_LETTERS[p] for p in letters), "arguments of the helper")
            self.check(fn.type[v] == TYPE_LETTERS.get(result, NONE), "result of the helper")
            return
        if self.info is None:
            return
        index = imm[0] if form == "CALLI" else self.info.functions[imm[0]]
        params, results = self.info.types[index]
        expected = (I32, *params) if form == "CALLI" else params
        self.check(got == expected, "arguments of the call")
        self.check(fn.type[v] == (results[0] if results else NONE), "result of the call")

    def immediates(self, form: str, v: int) -> None:
        imm = self.fn.imm[v]
        op = self.fn.op[v]
        name = OPS[op].name
        low, high = -(1 << 31), (1 << 31) - 1
        if form in ("RRI", "SETI", "SELI", "JRI", "STI", "LEA"):
            self.check(low <= imm[-1] <= high, "immediate does not fit")
        if form in ("LD", "ST", "STI"):
            limit = 1 << (31 if "ATOMIC" in name else 32)
            self.check(0 <= imm[0] < limit, "offset out of range")
        if form in ("ALD", "ARMW", "ACAS"):
            self.check(0 <= imm[-1] < 1 << 31, "offset out of range")
        if form == "LEA":
            self.check(0 <= imm[0] <= 3, "scale out of range")
        if form == "RRI" and ("SH" in name or "ROT" in name):
            self.check(0 <= imm[0] < int(name[1:3]), "shift count out of range")
        if form == "CI" and name == "I32_CONST":
            self.check(low <= imm[0] <= high, "constant does not fit")
        if form in ("SET", "SETI", "SEL", "SELI", "JRR", "JRI"):
            self.check(0 <= imm[0] < (2 if "TEST" in name else 10), "condition code")

    def loops(self) -> None:
        blocks = self.fn.blocks
        for block in blocks:
            self.at = f"b{block.index}"
            back = [p for p in block.preds if p >= block.index]
            self.check(block.loop_header == bool(back), "loop_header")
            if not back:
                continue
            body = {block.index}
            work = list(back)
            while work:
                b = work.pop()
                if b not in body:
                    body.add(b)
                    work += blocks[b].preds
            self.check(body == set(range(block.index, block.index + len(body))), "loop not contiguous")
            for b in body:
                self.check(blocks[b].loop_depth >= block.loop_depth, "loop_depth")


def verify(fn: Function, info: ModuleInfo | None = None) -> None:
    """Raise IRError if the function breaks a rule of ir.py; `info` also checks calls."""
    _Verifier(fn, info).run()
