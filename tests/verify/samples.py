# SPDX-License-Identifier: GPL-2.0-only
"""One well-formed use of every instruction and helper, in a context that has all it needs.

The context is one function with every kind of value at hand:

    r2, r3 i32   r4, r5 i64   r6 ref   f2, f3 f32   f4, f5 f64   (r10, f13 undefined)
    stack arguments, spill slots, globals, results of a call 1..5: i32 i64 ref f32 f64

``SAMPLES`` is what the tests of verifier, interpreter and JIT are parametrised over.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from pywasmjit import _isa as isa
from tests.verify.assemble import (
    FUNC,
    Body,
    Image,
    active_elements,
    export_entry,
    func_type,
    global_entry,
    integer,
    limits,
    ref_func,
    table_entry,
    unsigned,
)
from tests.verify.assemble import NULL as NULL_INIT

# What each operand word of a format is.
ROLES: Final[dict[str, tuple[str, ...]]] = {
    "N": (), "RR": ("d", "a"), "RRR": ("d", "a", "b"), "RRI": ("d", "a", "imm"),
    "LEA": ("d", "a", "b", "scale", "imm"), "CI": ("d", "imm"), "C4": ("d", "bits"),
    "C8": ("d", "bits"), "XCH": ("a", "b"), "DIV": ("b",), "SET": ("d", "a", "b", "cc"),
    "SETI": ("d", "a", "cc", "imm"), "SEL": ("d", "a", "b", "cc", "x", "y"),
    "SELI": ("d", "a", "b", "cc", "x", "imm"), "LD": ("d", "base", "off"),
    "ST": ("a", "base", "off"), "STI": ("base", "off", "imm"), "ALD": ("d", "base", "off"),
    "ARMW": ("a", "base", "kind", "off"), "ACAS": ("a", "base", "off"), "SLD": ("d", "index"),
    "SST": ("a", "index"), "ARG": ("d", "index"), "OUT": ("a", "out"), "RLD": ("d", "result"),
    "RST": ("a", "result"), "GLD": ("d", "index"), "GST": ("a", "index"), "J": ("blk",),
    "JRR": ("a", "b", "cc", "blk"), "JRI": ("a", "cc", "imm", "blk"), "JT": ("a", "blk", "blk"),
    "CALL": ("func",), "CALLI": ("type", "table"), "RT": ("helper", "imm0", "imm1"),
    "TRAP": ("trap",),
}  # fmt: skip

#: Registers that hold each operand type: first and second choice.
REGISTERS: Final = {
    "I": ("r2", "r3"), "L": ("r4", "r5"), "R": ("r6", "r6"), "W": ("r2", "r3"),
    "F": ("f2", "f3"), "D": ("f4", "f5"), "G": ("f2", "f3"),
}  # fmt: skip
STATE: Final = "r2=i32 r3=i32 r4=i64 r5=i64 r6=ref f2=f32 f3=f32 f4=f64 f5=f64"

VALUE_TYPES: Final = "ilrfd"
PARAMS: Final = "iiiiii" + "ilr" + "ffffffff" + "fd"
RESULTS: Final = "i" + VALUE_TYPES

#: Values in the registers, for running samples.
DEFAULTS: Final = {
    "r2": 40, "r3": 7, "r4": 1 << 40, "r5": 3, "f2": 0x40490FDB, "f3": 0xBF800000,
    "f4": 0x400921FB54442D18, "f5": 0xBFF0000000000000,
}  # fmt: skip


@dataclass(frozen=True)
class Sample:
    """An instruction as words, and the code before it that makes it valid."""

    name: str
    op: isa.Op
    words: tuple[str, ...]
    prelude: str = ""

    @property
    def roles(self) -> tuple[str, ...]:
        return ROLES[self.op.format]

    def operand_type(self, role: str) -> str:
        """The operand type of a register role; "" where the role is not a register."""
        if role == "base":
            return "I"
        if role in "xy":
            return "L" if self.op.name.startswith("I64") else "I"
        return {"d": self.op.d, "a": self.op.a, "b": self.op.b}.get(role, "")

    def with_word(self, position: int, word: str) -> Sample:
        """The same with another operand."""
        words = list(self.words)
        words[position + 1] = word
        return replace(self, words=tuple(words))


def _words(op: isa.Op) -> tuple[str, ...]:
    # DIV and ACAS use r0, ARMW and ACAS write it; d is r1 or f1, which nothing else uses.
    floats = (op.d if op.d != "_" else op.a) in "FDG"
    choice = {
        "imm": "0" if op.name in ("REF_NULL", "MEMORY_SIZE") else "5", "scale": "2",
        "bits": "0x3f800000", "cc": "NE" if "TEST" in op.name else "LT" if op.a in "FD" else "LT_S",
        "off": "8", "kind": "ADD", "out": "0",
        "index": ("2" if op.format in ("SLD", "SST") else "3") if floats else "0",
        "result": "4" if floats else "1", "blk": "end", "func": "1", "type": "1", "table": "0",
        "trap": "UNREACHABLE",
    }  # fmt: skip
    words = [op.name]
    for role in ROLES[op.format]:
        if role == "d":
            words.append("f1" if floats and op.d in "FDG" else "r1")
        elif role in ("a", "base"):
            words.append(REGISTERS["I" if role == "base" else op.a][0])
        elif role == "b":
            words.append(REGISTERS[op.b][1])
        elif role in "xy":
            words.append(REGISTERS["L" if op.name.startswith("I64") else "I"]["xy".index(role)])
        else:
            words.append(choice[role])
    return tuple(words)


def _samples() -> list[Sample]:
    found = []
    for op in isa.OPS:
        if op.format == "RT":
            continue
        prelude = ""
        if op.format in ("DIV", "ACAS"):
            prelude = "I32_CONST r0 1000" if op.a == "I" else "I64_CONST r0 1000"
        elif op.format == "RLD":
            prelude = f"CALL 1\n{definitions(DEFAULTS)}{STORE_SLOTS}"
        elif op.format == "CALLI":
            prelude = "I32_CONST r7 0"
        elif op.name == "RET":
            prelude = f"{STORE_RESULTS}\nI32_CONST r0 1"
        found.append(Sample(op.name, op, _words(op), prelude))
    rt = next(op for op in isa.OPS if op.format == "RT")
    for name, _, params, _, _ in isa.RT.values():
        # Small numbers: as addresses, lengths, indices, all of them are in range.
        number = 4 if name.startswith("ATOMIC") else 1
        prelude = "\n".join(
            f"I32_CONST r{i} {number}" if letter == "I" else f"REF_NULL r{i} 0"
            for i, letter in enumerate(params)
        )
        found.append(Sample(f"CALL_RT {name}", rt, (rt.name, name, "0", "0"), prelude))
    return found


def definitions(values: dict[str, int]) -> str:
    """Code that puts the values in the registers; r6 is null."""
    kinds = {"r2": "I32", "r3": "I32", "r4": "I64", "r5": "I64", "f2": "F32", "f3": "F32",
             "f4": "F64", "f5": "F64"}  # fmt: skip
    lines = ["REF_NULL r6 0"]
    for register, kind in kinds.items():
        value = values.get(register, DEFAULTS[register])
        if kind[0] == "I" and value >> (int(kind[1:]) - 1):
            value -= 1 << int(kind[1:])
        lines.append(f"{kind}_CONST {register} {value}")
    return "\n".join(lines)


STORE_SLOTS: Final = """
    SLOT_STORE r2 0
    SLOT_STORE r4 1
    SLOT_STORE r6 4
    FSLOT_STORE f2 2
    FSLOT_STORE f4 3"""
STORE_RESULTS: Final = """
    RESULT_STORE r2 1
    RESULT_STORE r4 2
    RESULT_STORE r6 3
    FRESULT_STORE f2 4
    FRESULT_STORE f4 5"""


def sample_image(
    sample: Sample, values: dict[str, int] | None = None, after: str = "", saved: int = 0
) -> Image:
    """The sample in its context, exported as "f"; ``after`` runs after it, unless it ends a block.

    Globals 0..4 are of the types of VALUE_TYPES, mutable; so are stack arguments and slots
    of the same numbers but for slots 2..4, which are f32 f64 ref.
    """
    code = definitions(DEFAULTS | (values or {})) + STORE_SLOTS + f"\n{sample.prelude}\n"
    code += " ".join(sample.words) + "\n"
    if "C" in sample.op.flags:
        after += "\n" + definitions(DEFAULTS)
    if "T" not in sample.op.flags:
        code += f"{after}\nBR end"
    code += f"\nend: {STATE}{STORE_RESULTS}\nI32_CONST r0 1\nRET"
    body = Body(code, leaf=False, saved=saved, slots=(1, 1, 1, 1, 1), outs=1)
    callee = Body(definitions(DEFAULTS) + STORE_RESULTS + "\nI32_CONST r0 9\nRET", leaf=True)
    return Image(
        types=[func_type(PARAMS, RESULTS), func_type("", RESULTS)],
        functions=[(0, body), (1, callee)],
        tables=[table_entry("r", 10)],
        memories=[limits(1)],
        globals=[
            global_entry("i", True, integer(11)),
            global_entry("l", True, integer(1 << 33)),
            global_entry("r", True, NULL_INIT),
            global_entry("f", True, b"\1" + (0x40000000).to_bytes(4, "little")),
            global_entry("d", True, b"\2" + (0x4000000000000000).to_bytes(8, "little")),
        ],
        exports=[export_entry("f", FUNC, 0)],
        elements=[b"\1\4" + unsigned(2) + ref_func(1) * 2, active_functions(0, 0, [1, 1, 1])],
        data=[b"\1" + unsigned(4) + b"data"],
    )


def active_functions(table: int, offset: int, functions: Sequence[int]) -> bytes:
    """An active element segment of functions, by index."""
    return active_elements(table, offset, map(ref_func, functions))


SAMPLES: Final = tuple(_samples())
