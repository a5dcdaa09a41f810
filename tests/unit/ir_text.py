# SPDX-License-Identifier: GPL-2.0-only
"""Functions in SSA form from text, for literal tests of the back half.

    func (i32, f64) -> (i32)
    b0:
      v0:i32 = PARAM [0]
      v1:i32 = I32_ADD_IMM v0 [5]
      I32_BR_IF_IMM v1 [LT_S 7] -> b1, b2
    b1:
      ...

is what ir.dump() prints; notes behind ";" are ignored, predecessors and loops are found.
"""

from __future__ import annotations

import re

from pywasmjit import _isa
from pywasmjit._isa import OPS
from pywasmjit.lower import ir

_OPCODES = {op.name: number for number, op in enumerate(OPS)} | {"PARAM": ir.PARAM, "PHI": ir.PHI}
_NAMES = {name: value for value, name in enumerate(ir.TYPE_NAMES)}
_ICC = {name[3:]: value for name, value in vars(_isa).items() if name.startswith("CC_")}
_FCC = {name[4:]: value for name, value in vars(_isa).items() if name.startswith("FCC_")}
_RMW = {name[4:]: value for name, value in vars(_isa).items() if name.startswith("RMW_")}
_RT = {row[0]: value for value, row in _isa.RT.items()}
_LINE = re.compile(
    r"(?:(?P<v>v\d+):(?P<type>\w+) = )?(?P<op>\w+)(?P<uses>[v\d, ]*)"
    r"(?:\[(?P<imm>[^]]*)\])?(?: -> (?P<to>[b\d, ]+))?$"
)


def _types(text: str) -> tuple[int, ...]:
    return tuple(_NAMES[word] for word in text.replace(",", " ").split())


def _immediate(op: int, word: str) -> int:
    for table in (_RMW, _RT, _FCC if op < len(OPS) and OPS[op].a in "FD" else _ICC):
        if word in table:
            return table[word]
    return int(word, 0)


def parse(text: str) -> ir.Function:
    """The function; blocks must be in reverse post-order."""
    lines = [line.split(";")[0].strip() for line in text.strip().splitlines()]
    head = re.match(r"func \d*\s*\((.*)\) -> \((.*)\)$", lines[0])
    assert head, lines[0]
    fn = ir.Function(0, "f", _types(head[1]), _types(head[2]))
    values: dict[str, int] = {}
    pending: list[tuple[int, list[str]]] = []
    block = ir.Block(-1)
    for line in filter(None, lines[1:]):
        if line.endswith(":"):
            assert line == f"b{len(fn.blocks)}:", line
            block = ir.Block(len(fn.blocks))
            fn.blocks.append(block)
            continue
        match = _LINE.match(line)
        assert match, line
        op = _OPCODES[match["op"]]
        imm = tuple(_immediate(op, word) for word in (match["imm"] or "").split())
        v = fn.value(op, (), imm, _NAMES[match["type"]] if match["type"] else ir.NONE)
        if match["v"]:
            values[match["v"]] = v
        pending.append((v, match["uses"].replace(",", " ").split()))
        (block.phis if op == ir.PHI else block.insts).append(v)
        block.succs += [int(word[1:]) for word in (match["to"] or "").replace(",", " ").split()]
    for v, names in pending:
        fn.uses[v] = tuple(values[name] for name in names)
    for block in fn.blocks:
        for s in dict.fromkeys(block.succs):
            fn.blocks[s].preds.append(block.index)
    ends: dict[int, int] = {}
    for block in fn.blocks:
        for s in block.succs:
            if s <= block.index:
                ends[s] = block.index
                fn.blocks[s].loop_header = True
    for block in fn.blocks:
        block.loop_depth = sum(h <= block.index <= end for h, end in ends.items())
        block.cold = block.index > 0 and fn.op[block.insts[-1]] in (_isa.UNREACHABLE, _isa.TRAP)
    return fn
