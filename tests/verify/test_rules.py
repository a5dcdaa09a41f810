# SPDX-License-Identifier: GPL-2.0-only
"""One program per rule of the verifier that this rule rejects, beside a neighbour it accepts.

Rules on the registers of single instructions are in test_operands.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from tests.native.libcore import CORE, Core, CoreError
from tests.verify.assemble import (
    FUNC,
    NULL,
    OPCODES,
    Body,
    Image,
    export_entry,
    f32_bits,
    func_type,
    global_entry,
    import_entry,
    integer,
    program,
    table_entry,
    text,
    unsigned,
)

Verdict = Callable[[Image], str]


@dataclass(frozen=True)
class Rule:
    name: str
    message: str
    rejected: Image
    accepted: Image


RULES: list[Rule] = []


def rule(name: str, message: str, rejected: Image, accepted: Image) -> None:
    RULES.append(Rule(name, message, rejected, accepted))


def pair(
    name: str,
    message: str,
    rejected: str,
    accepted: str,
    params: str = "",
    results: str = "",
    **options: Any,
) -> None:
    """A rule on two programs of the same type and with the same header."""
    rule(
        name,
        message,
        program(rejected, params, results, **options),
        program(accepted, params, results, **options),
    )


def header(name: str, message: str, source: str, wrong: object, right: object, key: str) -> None:
    """A rule on one field of the body's header."""
    rule(name, message, program(source, "", "", **{key: wrong}), program(source, "", "", **{key: right}))


# ---------------------------------------------------------------- body header and blocks

header("body flags", "unknown body flags", "RET", 2, 1, "flags")
header("callee-saved mask", "mask of callee-saved registers has a bit too many", "RET", 16, 15, "saved")
header("slots", "frame over the limit", "RET", (1, 1, 7997, 1, 1), (1, 1, 7996, 1, 1), "slots")
header("slots overflow", "frame over the limit", "RET", (8000, 2**32 - 1, 0, 0, 0), (0,) * 5, "slots")
rule(
    "frame with outgoing arguments",
    "frame over the limit",
    program("RET", slots=(4000, 0, 0, 0, 0), outs=4001),
    program("RET", slots=(4000, 0, 0, 0, 0), outs=4000),
)
rule(
    "block count",
    "block table runs over the end of the body",
    program("RET", block_count=2**32 - 1),
    program("RET", block_count=0),
)
rule(
    "block table",
    "block table runs over the end of the body",
    program("b: !flags=8\n .bytes 100", slots=(8000, 0, 0, 0, 0)),
    program("b: !flags=8\n .bytes 0\n RET", slots=(8000, 0, 0, 0, 0)),
)
rule("body of one byte", "unknown body flags", program("", raw=b"\1"), program("RET"))
rule(
    "header cut",
    "block table runs over the end of the body",
    program("", raw=b"\1\0" + b"\0" * 5),
    program("", raw=b"\1\0" + b"\0" * 7 + bytes([OPCODES["RET"][0]])),
)
rule(
    "masks cut",
    "block table runs over the end of the body",
    program("", raw=b"\1\0" + b"\0" * 6 + b"\1" + b"\0\1\0\0"),
    program("BR a\n a:\n RET"),
)
rule(
    "block offset malformed",
    "block offsets do not rise",
    program("", raw=b"\1\0" + b"\0" * 6 + b"\1" + b"\xff" * 5 + bytes(8)),
    program("BR a\n a:\n RET"),
)
pair(
    "block order",
    "block offsets do not rise",
    "BR a\n a:\n BR b\n b: !delta=0\n RET",
    "BR a\n a:\n BR b\n b:\n RET",
)
pair(
    "block offset overflow",
    "block offsets do not rise",
    "BR a\n a: !delta=0xffffffff\n RET",
    "BR a\n a:\n RET",
)
pair(
    "block offset sum",
    "block starts behind the code",
    "a: !delta=0x1000000\n BR b\n b: !delta=0x1000000\n RET",
    "a:\n BR b\n b:\n RET",
)
pair(
    "block after the code",
    "block starts behind the code",
    "BR a\n a:\n RET\n b: !delta=1",
    "BR a\n a:\n RET",
)
pair(
    "block inside an instruction",
    "block starts inside an instruction",
    "I32_CONST r0 5\n BR a\n a: !delta=4\n RET",
    "I32_CONST r0 5\n BR a\n a:\n RET",
)
pair("block flags", "unknown block flags", "a: !flags=16\n RET", "a: !flags=0\n RET")
pair(
    "block integer registers",
    "block defines a register that does not exist",
    "BR a\n a:\n RET\n b: !ints=0x1000\n RET",
    "BR a\n a:\n RET\n b: !ints=0xfff\n RET",
)
pair(
    "block float registers",
    "block defines a register that does not exist",
    "BR a\n a:\n RET\n b: !floats=0x4000\n RET",
    "BR a\n a:\n RET\n b: !floats=0x3fff\n RET",
)
TYPE_OF_NOTHING = "block gives a type to what is not defined, or two"
for mask, base in (("i64", "r0=i32"), ("ref", "r0=i32"), ("f64", "f0=f32")):
    pair(
        f"block {mask} mask",
        TYPE_OF_NOTHING,
        f"BR a\n a:\n RET\n b: {base} !{mask}=2\n RET",
        f"BR a\n a:\n RET\n b: {base} !{mask}=1\n RET",
    )
pair(
    "block register of two types",
    TYPE_OF_NOTHING,
    "BR a\n a:\n RET\n b: r0=i64 r1=ref !ref=3\n RET",
    "BR a\n a:\n RET\n b: r0=i64 r1=ref !ref=2\n RET",
)
pair(
    "block slot in the last byte",
    "block defines a slot that does not exist",
    "BR a\n a:\n RET\n b: s9\n RET",
    "BR a\n a:\n RET\n b: s8\n RET",
    slots=(9, 0, 0, 0, 0),
)
pair(
    "block slot bytes",
    "block defines a slot that does not exist",
    "BR a\n a:\n RET\n b: s16\n RET",
    "BR a\n a:\n RET\n b: s15\n RET",
    slots=(16, 0, 0, 0, 0),
)

# ---------------------------------------------------------------- flow

pair("empty code", "code runs off its end", "", "RET")
pair("end of code", "code runs off its end", "RET\n a:\n POLL", "RET\n a:\n POLL\n RET")
pair(
    "conditional branch at the end",
    "code runs off its end",
    "a: r0=i32\n POLL\n I32_BR_IF r0 r0 EQ a",
    "a: r0=i32\n POLL\n BR a",
    "i",
)
NOT_A_BLOCK = "code after the end of a block is not a block"
for end in ("RET", "UNREACHABLE", "TRAP UNREACHABLE", "BR a", "BR_TABLE r0 a a"):
    pair(
        f"code after {end.split()[0]}",
        NOT_A_BLOCK,
        f"{end}\n POLL\n RET\n a:\n RET",
        f"{end}\n b:\n POLL\n RET\n a:\n RET",
        "i",
    )
pair(
    "branch to no block",
    "branch to a block that does not exist",
    "BR @1\n a:\n RET",
    "BR @0\n a:\n RET",
)
pair(
    "conditional branch to no block",
    "branch to a block that does not exist",
    "I32_BR_IF r0 r0 EQ @1\n RET\n a:\n RET",
    "I32_BR_IF r0 r0 EQ @0\n RET\n a:\n RET",
    "i",
)
for words in ("r0 @0 @1 @0", "r0 @0 @0 @1"):
    pair(
        f"table of branches {words}",
        "branch to a block that does not exist",
        f"BR_TABLE {words}\n a:\n RET",
        "BR_TABLE r0 @0 @0 @0\n a:\n RET",
        "i",
    )
rule(
    "table of branches cut",
    "malformed instruction",
    program(f"a: r0=i32\n POLL\n .bytes {OPCODES['BR_TABLE'][0]} 0 2 0 0", "i"),
    program(f"a: r0=i32\n POLL\n .bytes {OPCODES['BR_TABLE'][0]} 0 1 0 0", "i"),
)
NO_POLL = "backward branch to a block that does not poll first"
pair("poll in a loop", NO_POLL, "a:\n BR a", "a:\n POLL\n BR a")
pair(
    "poll comes first",
    NO_POLL,
    "a:\n I32_CONST r0 1\n POLL\n BR a",
    "a:\n POLL\n I32_CONST r0 1\n BR a",
)
pair(
    "poll in a conditional loop",
    NO_POLL,
    "a: r0=i32\n I32_ADD_IMM r0 r0 1\n I32_BR_IF_IMM r0 NE 0 a\n RET",
    "a: r0=i32\n POLL\n I32_BR_IF_IMM r0 NE 0 a\n RET",
    "i",
)
pair(
    "poll in a loop by table",
    NO_POLL,
    "a: r0=i32\n I32_ADD_IMM r0 r0 1\n BR_TABLE r0 b a\n b:\n RET",
    "a: r0=i32\n POLL\n BR_TABLE r0 b a\n b:\n RET",
    "i",
)
pair(
    "forward branches need no poll",
    NO_POLL,
    "b:\n BR a\n a:\n BR b",
    "b:\n BR a\n a:\n RET",
)
REGISTER_MISSING = "block expects a register that is not defined here"
REGISTER_TYPE = "block expects a register to have another type"
SLOT_MISSING = "block expects a slot that is not defined here"
for how, jump in (
    ("branch", "BR a"),
    ("conditional", "I32_BR_IF r0 r0 EQ a\n RET"),
    ("table", "BR_TABLE r0 a a"),
    ("fall", ""),
):
    pair(
        f"{how}: integer register",
        REGISTER_MISSING,
        f"{jump}\n a: r1=i32\n RET",
        f"{jump}\n a: r0=i32\n RET",
        "i",
    )
    pair(
        f"{how}: float register",
        REGISTER_MISSING,
        f"{jump}\n a: f1=f32\n RET",
        f"{jump}\n a: f0=f32\n RET",
        "if",
    )
    for wrong in ("r0=i64", "r0=ref", "r1=i32", "r1=ref", "r2=i32", "r2=i64", "f0=f64", "f1=f32"):
        pair(
            f"{how}: type {wrong}",
            REGISTER_TYPE,
            f"{jump}\n a: {wrong}\n RET",
            f"{jump}\n a: r0=i32 r1=i64 r2=ref f0=f32 f1=f64\n RET",
            "ilrfd",
        )
    pair(
        f"{how}: slot",
        SLOT_MISSING,
        f"SLOT_STORE r0 1\n {jump}\n a: s0\n RET",
        f"SLOT_STORE r0 1\n {jump}\n a: s1\n RET",
        "i",
        slots=(10, 0, 0, 0, 0),
    )
    pair(
        f"{how}: slot of the second byte",
        SLOT_MISSING,
        f"SLOT_STORE r0 8\n {jump}\n a: s9\n RET",
        f"SLOT_STORE r0 8\n {jump}\n a: s8\n RET",
        "i",
        slots=(10, 0, 0, 0, 0),
    )
UNDEFINED = "register is read before it is defined"
pair(
    "a block forgets what it does not expect",
    UNDEFINED,
    "BR a\n a:\n MOV r1 r0\n RET",
    "BR a\n a: r0=i32\n MOV r1 r0\n RET",
    "i",
)
pair(
    "a block forgets slots",
    "slot is read before it is defined",
    "SLOT_STORE r0 0\n a:\n SLOT_LOAD r1 0\n RET",
    "SLOT_STORE r0 0\n a: s0\n SLOT_LOAD r1 0\n RET",
    "i",
    slots=(1, 0, 0, 0, 0),
)
pair(
    "a block that nothing reaches is verified",
    UNDEFINED,
    "RET\n a:\n MOV r1 r0\n RET",
    "RET\n a: r0=i64\n MOV r1 r0\n RET",
)
pair(
    "parameters are what is defined at entry",
    UNDEFINED,
    "MOV r8 r2\n RET",
    "MOV r8 r1\n RET",
    "il",
    saved=1,
)


def too_complex(targets: int) -> str:
    """Branches of one byte each to two blocks with a bitmap of 1000 bytes."""
    slots = " ".join(f"s{i}" for i in range(8000))
    stores = "\n".join(f"SLOT_STORE r0 {i}" for i in range(8000))
    table = " ".join(["a", "b"] * targets)
    return f"{stores}\n BR_TABLE r0 {table}\n a: {slots}\n RET\n b: {slots}\n RET"


pair(
    "work on bitmaps is bounded",
    "function is too complex",
    too_complex(2000),
    too_complex(50),
    "i",
    slots=(8000, 0, 0, 0, 0),
)
# ---------------------------------------------------------------- single instructions

SHIFTS = ("SHL_IMM", "SHR_S_IMM", "SHR_U_IMM", "ROTR_IMM")
for width, params in ((32, "i"), (64, "l")):
    for shift in SHIFTS:
        for count, inside in ((width, width - 1), (-1, 0)):
            pair(
                f"I{width}_{shift} by {count}",
                "shift count out of range",
                f"I{width}_{shift} r0 r0 {count}\n RET",
                f"I{width}_{shift} r0 r0 {inside}\n RET",
                params,
            )
WIDE = "immediate does not fit in 32 bits"
for number in (1 << 31, -(1 << 31) - 1):
    inside = number + (1 if number < 0 else -1)
    pair(f"I32_CONST {number}", WIDE, f"I32_CONST r0 {number}\n RET", f"I32_CONST r0 {inside}\n RET")
    pair(
        f"I64_ADD_IMM {number}",
        WIDE,
        f"I64_ADD_IMM r0 r0 {number}\n RET",
        f"I64_ADD_IMM r0 r0 {inside}\n RET",
        "l",
    )
    pair(
        f"I32_ADD_IMM {number}",
        "malformed instruction",
        f"I32_ADD_IMM r0 r0 {number}\n RET",
        f"I32_ADD_IMM r0 r0 {inside}\n RET",
        "i",
    )
pair("REF_NULL", "reserved immediate is not zero", "REF_NULL r0 1\n RET", "REF_NULL r0 0\n RET")
pair(
    "MEMORY_SIZE",
    "reserved immediate is not zero",
    "MEMORY_SIZE r0 1\n RET",
    "MEMORY_SIZE r0 0\n RET",
)
rule(
    "MEMORY_SIZE needs a memory",
    "no memory",
    replace(program("MEMORY_SIZE r0 0\n RET"), memories=[]),
    program("MEMORY_SIZE r0 0\n RET"),
)
pair("scale", "scale of more than 3", "I32_LEA r0 r0 r0 4 0\n RET", "I32_LEA r0 r0 r0 3 0\n RET", "i")
pair(
    "scale64",
    "scale of more than 3",
    "I64_LEA r0 r0 r0 4 0\n RET",
    "I64_LEA r0 r0 r0 3 0\n RET",
    "l",
)
for op in ("DIV_S", "DIV_U", "REM_S", "REM_U"):
    for width, letter in ((32, "i"), (64, "l")):
        for register in ("r0", "r1"):
            pair(
                f"I{width}_{op} by {register}",
                "divisor in a fixed register",
                f"I{width}_{op} {register}\n RET",
                f"I{width}_{op} r2\n RET",
                letter * 3,
            )
        # The result is defined, the other register is not.
        result, other = ("r0", "r1") if op < "R" else ("r1", "r0")
        pair(
            f"I{width}_{op} loses {other}",
            UNDEFINED,
            f"I{width}_{op} r2\n MOV r3 {other}\n RET",
            f"I{width}_{op} r2\n MOV r3 {result}\n RET",
            letter * 3,
        )
for op in ("ATOMIC_RMW", "ATOMIC_RMW8", "ATOMIC_RMW16", "ATOMIC_CMPXCHG", "ATOMIC_CMPXCHG8"):
    kind = "ADD" if "RMW" in op else ""
    pair(
        f"I32_{op} of r0",
        "operand of an atomic in a fixed register",
        f"I32_{op} r0 r2 {kind} 0\n RET",
        f"I32_{op} r1 r2 {kind} 0\n RET",
        "iii",
    )
pair(
    "atomic kind",
    "unknown atomic operation",
    "I32_ATOMIC_RMW r1 r2 6 0\n RET",
    "I32_ATOMIC_RMW r1 r2 5 0\n RET",
    "iii",
)
pair(
    "what a compare-and-exchange expects",
    "register has another type",
    "I32_ATOMIC_CMPXCHG r1 r2 0\n RET",
    "I64_ATOMIC_CMPXCHG r3 r2 0\n RET",
    "liil",
)
pair(
    "the old value has its type",
    "register has another type",
    "I64_ATOMIC_RMW8 r1 r2 ADD 0\n I32_ADD r0 r0 r0\n RET",
    "I64_ATOMIC_RMW8 r1 r2 ADD 0\n I64_ADD r0 r0 r0\n RET",
    "ili",
)
for op in ("STORE8", "STORE16", "STORE32", "ATOMIC_STORE8", "ATOMIC_STORE16", "ATOMIC_STORE32"):
    pair(
        f"{op} of a reference",
        "store of a reference",
        f"{op} r1 r0 0\n RET",
        f"{op} r2 r0 0\n RET",
        "irl",
    )
pair(
    "select of different types",
    "select between different types",
    "I32_SELECT r0 r0 r1 EQ r0 r0\n RET",
    "I32_SELECT r0 r0 r2 EQ r0 r0\n RET",
    "ili",
)
pair(
    "select of different floats",
    "select between different types",
    "FSELECT_IMM f0 f0 f1 EQ r0 0\n RET",
    "FSELECT_IMM f0 f0 f2 EQ r0 0\n RET",
    "ifdf",
)
pair(
    "a move takes the type along",
    "register has another type",
    "MOV r1 r0\n I64_ADD r1 r1 r1\n RET",
    "MOV r1 r0\n I32_ADD r1 r1 r1\n RET",
    "il",
)
pair(
    "an exchange exchanges types",
    "register has another type",
    "XCHG r0 r1\n I32_ADD r0 r0 r0\n RET",
    "XCHG r0 r1\n I64_ADD r0 r0 r0\n RET",
    "il",
)
for number in (0, 12, 31, 32, 255):
    pair(f"TRAP {number}", "not a trap that code may raise", f"TRAP {number}", "TRAP 11")
pair("opcode", "malformed instruction", ".bytes 255\n RET", "RET")

# ---------------------------------------------------------------- slots, arguments, globals

for slot, register in enumerate(("r0", "r1", "f0", "f1", "r2")):
    prefix = "F" if register[0] == "f" else ""
    other = {"r0": "r1", "r1": "r2", "f0": "f1", "f1": "f0", "r2": "r0"}[register]
    five: dict[str, Any] = {"slots": (1, 1, 1, 1, 1)}
    pair(
        f"slot {slot} stored",
        "stored value has another type",
        f"{prefix}SLOT_STORE {other} {slot}\n RET",
        f"{prefix}SLOT_STORE {register} {slot}\n RET",
        "ilrfd",
        **five,
    )
    pair(
        f"slot {slot} undefined",
        "slot is read before it is defined",
        f"{prefix}SLOT_LOAD {register} {slot}\n RET",
        f"{prefix}SLOT_STORE {register} {slot}\n {prefix}SLOT_LOAD {register} {slot}\n RET",
        "ilrfd",
        **five,
    )
    wrong = "SLOT_LOAD r0" if prefix else "FSLOT_LOAD f0"
    pair(
        f"slot {slot} of the other class",
        "load is for registers of the other class",
        f"{prefix}SLOT_STORE {register} {slot}\n {wrong} {slot}\n RET",
        f"{prefix}SLOT_STORE {register} {slot}\n {prefix}SLOT_LOAD {register} {slot}\n RET",
        "ilrfd",
        **five,
    )
pair(
    "no slot to load",
    "no such slot",
    "SLOT_LOAD r0 1\n RET",
    "SLOT_STORE r0 0\n SLOT_LOAD r0 0\n RET",
    "i",
    slots=(1, 0, 0, 0, 0),
)
pair(
    "no slot to store",
    "no such slot",
    "SLOT_STORE r0 1\n RET",
    "SLOT_STORE r0 0\n RET",
    "i",
    slots=(1, 0, 0, 0, 0),
)
pair(
    "a slot load has the slot's type",
    "register has another type",
    "SLOT_STORE r0 0\n SLOT_LOAD r1 0\n I32_ADD r1 r1 r1\n RET",
    "SLOT_STORE r0 0\n SLOT_LOAD r1 0\n I64_ADD r1 r1 r1\n RET",
    "l",
    slots=(0, 1, 0, 0, 0),
)

STACKED = "iiiiiil"
pair(
    "stack argument",
    "no such stack argument",
    "ARG_LOAD r0 1\n RET",
    "ARG_LOAD r0 0\n RET",
    STACKED,
)
pair(
    "stack argument's class",
    "load is for registers of the other class",
    "FARG_LOAD f0 0\n RET",
    "ARG_LOAD r0 0\n RET",
    STACKED,
)
pair(
    "stack argument's type",
    "register has another type",
    "ARG_LOAD r0 0\n I32_ADD r0 r0 r0\n RET",
    "ARG_LOAD r0 0\n I64_ADD r0 r0 r0\n RET",
    STACKED,
)
pair(
    "both classes are numbered together",
    "load is for registers of the other class",
    "ARG_LOAD r0 1\n RET",
    "FARG_LOAD f0 1\n RET",
    STACKED + "fffffffff",
)


def with_globals(source: str, mutable: bool = True) -> Image:
    """i32, f32 and reference globals; parameters r0 i32, r1 i64, r2 ref, f0 f32."""
    return replace(
        program(source, "ilrf"),
        globals=[
            global_entry("i", mutable, integer(0)),
            global_entry("f", mutable, f32_bits(0)),
            global_entry("e", mutable, NULL),
        ],
    )


GLOBAL_RANGE = "global index out of range"
rule(
    "global to get",
    GLOBAL_RANGE,
    with_globals("GLOBAL_GET r0 3\n RET"),
    with_globals("GLOBAL_GET r0 2\n RET"),
)
rule(
    "global to set",
    GLOBAL_RANGE,
    with_globals("GLOBAL_SET r2 3\n RET"),
    with_globals("GLOBAL_SET r2 2\n RET"),
)
rule(
    "global's class",
    "load is for registers of the other class",
    with_globals("GLOBAL_GET r0 1\n RET"),
    with_globals("FGLOBAL_GET f0 1\n RET"),
)
rule(
    "global's type, read",
    "register has another type",
    with_globals("GLOBAL_GET r0 0\n I64_ADD r0 r0 r0\n RET"),
    with_globals("GLOBAL_GET r0 0\n I32_ADD r0 r0 r0\n RET"),
)
rule(
    "global's type, written",
    "stored value has another type",
    with_globals("GLOBAL_SET r1 0\n RET"),
    with_globals("GLOBAL_SET r0 0\n RET"),
)
rule(
    "immutable global",
    "store to an immutable global",
    with_globals("GLOBAL_SET r0 0\n RET", False),
    with_globals("GLOBAL_GET r0 0\n RET", False),
)

# ---------------------------------------------------------------- results

RESULT = "result is undefined or has another type"
for letter, good, bad in (
    ("i", "r0", "r1"),
    ("l", "r1", "r0"),
    ("r", "r2", "r0"),
    ("f", "f0", "f1"),
    ("d", "f1", "f0"),
):
    move = "FMOV f0" if good[0] == "f" else "MOV r0"
    pair(
        f"result of type {letter}",
        RESULT,
        f"{move} {bad}\n RET",
        f"{move} {good}\n RET",
        "ilrfd",
        letter,
    )
pair("no result", RESULT, "RET", "I32_CONST r0 1\n RET", "", "i")
FURTHER = "further result is not stored"
pair("second result", FURTHER, "RET", "RESULT_STORE r0 1\n RET", "i", "ii")
pair(
    "third result",
    FURTHER,
    "RESULT_STORE r0 1\n RET",
    "RESULT_STORE r0 1\n RESULT_STORE r0 2\n RET",
    "i",
    "iii",
)
pair(
    "results at a label",
    FURTHER,
    "RESULT_STORE r0 1\n a: r0=i32\n RET",
    "a: r0=i32\n RESULT_STORE r0 1\n RET",
    "i",
    "ii",
)
pair(
    "results after a poll",
    FURTHER,
    "RESULT_STORE r0 1\n POLL\n RET",
    "POLL\n RESULT_STORE r0 1\n RET",
    "i",
    "ii",
)
pair(
    "results after a helper",
    FURTHER,
    "RESULT_STORE r0 1\n CALL_RT MEMORY_GROW 0 0\n RET",
    "CALL_RT MEMORY_GROW 0 0\n RESULT_STORE r0 1\n RET",
    "i",
    "ii",
    leaf=False,
)
NO_RESULT = "no such result"
for index in (0, 2):
    pair(
        f"store of result {index}",
        NO_RESULT,
        f"RESULT_STORE r0 {index}\n RET",
        "RESULT_STORE r0 1\n RET",
        "i",
        "ii",
    )
pair(
    "type of a further result",
    "stored value has another type",
    "RESULT_STORE r0 1\n RET",
    "RESULT_STORE r1 1\n RET",
    "il",
    "il",
)

# ---------------------------------------------------------------- calls


def calling(source: str, callee: tuple[str, str] = ("", ""), params: str = "", **options: Any) -> Image:
    """Function 0 is an import of the callee's type, function 1 is `source`; two tables."""
    image = program(source, params, **({"leaf": False} | options))
    return replace(
        image,
        types=[func_type(params), func_type(*callee)],
        imports=[import_entry("m", "f", FUNC, unsigned(1))],
        tables=[table_entry("r", 1), table_entry("e", 1)],
        exports=[export_entry("f", FUNC, 1)],
        elements=[b"\1\4" + unsigned(0), b"\1\5" + unsigned(0)],
        data=[b"\1" + text(b"")],
    )


def call_pair(
    name: str,
    message: str,
    rejected: str,
    accepted: str,
    callee: tuple[str, str] = ("", ""),
    params: str = "",
    **options: Any,
) -> None:
    rule(
        name,
        message,
        calling(rejected, callee, params, **options),
        calling(accepted, callee, params, **options),
    )


call_pair("function index", "function index out of range", "CALL 2\n RET", "CALL 1\n RET")
for call in ("CALL 0", "CALL_INDIRECT 1 0", "CALL_RT DATA_DROP 0 0"):
    source = f"I32_CONST r7 0\n {call}\n RET"
    rule(
        f"{call.split()[0]} in a leaf",
        "call in a leaf function",
        calling(source, leaf=True),
        calling(source, leaf=False),
    )
ARGUMENT = "argument register is undefined or has another type"
TYPED = {
    "i": "I32_CONST r{} 1",
    "l": "I64_CONST r{} 1",
    "r": "REF_NULL r{} 0",
    "f": "F32_CONST f{} 0",
    "d": "F64_CONST f{} 0",
}
for letter in TYPED:
    for position in (0, 1, 5):
        callee = (letter * (position + 1), "")
        good = "\n".join(TYPED[letter].format(i) for i in range(position + 1))
        other = TYPED[{"i": "l", "l": "r", "r": "i", "f": "d", "d": "f"}[letter]].format(position)
        missing = "\n".join(TYPED[letter].format(i) for i in range(position))
        call_pair(
            f"argument {position} of type {letter}",
            ARGUMENT,
            f"{good}\n {other}\n CALL 0\n RET",
            f"{good}\n CALL 0\n RET",
            callee,
        )
        call_pair(
            f"argument {position} of type {letter} missing",
            ARGUMENT,
            f"{missing}\n CALL 0\n RET",
            f"{good}\n CALL 0\n RET",
            callee,
        )
call_pair(
    "externref and funcref are one",
    ARGUMENT,
    "CALL 0\n RET",
    "REF_NULL r0 0\n CALL 0\n RET",
    ("e", ""),
)
call_pair(
    "classes are counted apart",
    ARGUMENT,
    "I32_CONST r1 1\n F32_CONST f0 0\n CALL 0\n RET",
    "I32_CONST r0 1\n F32_CONST f0 0\n CALL 0\n RET",
    ("fi", ""),
)

SIX = "\n".join(f"I32_CONST r{i} {i}" for i in range(6)) + "\n"
OUT = "stack argument is undefined or has another type"
seven = ("iiiiiii", "")
call_pair(
    "outgoing slot",
    "no such outgoing slot",
    "OUT_STORE r0 1\n RET",
    "OUT_STORE r0 0\n RET",
    params="i",
    outs=1,
)
rule(
    "outgoing slots for the call",
    "call has more stack arguments than outgoing slots",
    calling(SIX + "CALL 0\n RET", seven, outs=0),
    calling(SIX + "OUT_STORE r0 0\n CALL 0\n RET", seven, outs=1),
)
call_pair(
    "stack argument stored",
    OUT,
    SIX + "CALL 0\n RET",
    SIX + "OUT_STORE r0 0\n CALL 0\n RET",
    seven,
    outs=1,
)
call_pair(
    "stack argument's type, stored",
    OUT,
    SIX + "I64_CONST r8 1\n OUT_STORE r8 0\n CALL 0\n RET",
    SIX + "I32_CONST r8 1\n OUT_STORE r8 0\n CALL 0\n RET",
    seven,
    outs=1,
    saved=1,
)
call_pair(
    "stack arguments at a label",
    OUT,
    SIX + "OUT_STORE r0 0\n a: r0=i32 r1=i32 r2=i32 r3=i32 r4=i32 r5=i32\n CALL 0\n RET",
    SIX + "a: r0=i32 r1=i32 r2=i32 r3=i32 r4=i32 r5=i32\n OUT_STORE r0 0\n CALL 0\n RET",
    seven,
    outs=1,
)
call_pair(
    "stack arguments after a call",
    OUT,
    SIX + "OUT_STORE r0 0\n CALL 0\n" + SIX + "CALL 0\n RET",
    SIX + "OUT_STORE r0 0\n CALL 0\n" + SIX + "OUT_STORE r0 0\n CALL 0\n RET",
    seven,
    outs=1,
)
call_pair(
    "stack arguments after a helper",
    OUT,
    SIX + "OUT_STORE r0 0\n CALL_RT DATA_DROP 0 0\n" + SIX + "CALL 0\n RET",
    "CALL_RT DATA_DROP 0 0\n" + SIX + "OUT_STORE r0 0\n CALL 0\n RET",
    seven,
    outs=1,
)

for call in ("CALL 0", "I32_CONST r7 0\n CALL_INDIRECT 1 0", "CALL_RT DATA_DROP 0 0"):
    kind = call.split()[-3 if "RT" in call or "IND" in call else 0]
    for number in range(12):
        source = f"I32_CONST r8 1\n I32_CONST r{number} 1\n {call}\n"
        name = f"r{number} after {kind}"
        if number < 8:
            call_pair(
                name,
                UNDEFINED,
                f"{source} MOV r9 r{number}\n RET",
                f"{source} MOV r9 r8\n RET",
                saved=15,
            )
        else:
            call_pair(
                name,
                "register has another type",
                f"{source} I64_ADD r9 r{number} r{number}\n RET",
                f"{source} MOV r9 r{number}\n RET",
                saved=15,
            )
    for number in range(14):
        source = f"F32_CONST f{number} 1\n {call}\n"
        call_pair(
            f"f{number} after {kind}",
            UNDEFINED,
            f"{source} FMOV f0 f{number}\n RET",
            f"{source} RET",
        )
for letter, use in (
    ("i", "I32_ADD r0 r0 r0"),
    ("l", "I64_ADD r0 r0 r0"),
    ("r", "REF_IS_NULL r0 r0"),
    ("f", "F32_ADD f0 f0 f0"),
    ("d", "F64_ADD f0 f0 f0"),
):
    other = {"i": "l", "l": "r", "r": "i", "f": "d", "d": "f"}[letter]
    rule(
        f"a call's result of type {letter}",
        "register has another type",
        calling(f"CALL 0\n {use}\n RET", ("", other)),
        calling(f"CALL 0\n {use}\n RET", ("", letter)),
    )
call_pair(
    "a helper's result",
    "register has another type",
    "CALL_RT TABLE_SIZE 0 0\n REF_IS_NULL r0 r0\n RET",
    "CALL_RT TABLE_SIZE 0 0\n I32_ADD r0 r0 r0\n RET",
)
call_pair(
    "a helper's reference",
    "register has another type",
    "CALL_RT REF_FUNC 0 0\n I32_ADD r0 r0 r0\n RET",
    "CALL_RT REF_FUNC 0 0\n REF_IS_NULL r0 r0\n RET",
)

LAST = "no such result of a call just made"
results = ("", "iilrfd")
for index in (0, 6):
    call_pair(
        f"load of result {index}",
        LAST,
        f"CALL 0\n RESULT_LOAD r1 {index}\n RET",
        "CALL 0\n RESULT_LOAD r1 1\n RET",
        results,
    )
call_pair(
    "results before a call",
    LAST,
    "RESULT_LOAD r1 1\n CALL 0\n RET",
    "CALL 0\n RESULT_LOAD r1 1\n RET",
    results,
)
for name, between in (
    ("a poll", "POLL"),
    ("a label", "a:"),
    ("a helper", "CALL_RT DATA_DROP 0 0"),
    ("another call", "CALL 1"),
):
    call_pair(
        f"results of a call after {name}",
        LAST,
        f"CALL 0\n {between}\n RESULT_LOAD r1 1\n RET",
        f"CALL 0\n RESULT_LOAD r1 1\n {between}\n RET",
        results,
    )
call_pair(
    "results of a call, class",
    "load is for registers of the other class",
    "CALL 0\n RESULT_LOAD r1 4\n RET",
    "CALL 0\n FRESULT_LOAD f1 4\n RET",
    results,
)
call_pair(
    "results of a call, type",
    "register has another type",
    "CALL 0\n RESULT_LOAD r1 2\n I32_ADD r1 r1 r1\n RET",
    "CALL 0\n RESULT_LOAD r1 2\n I64_ADD r1 r1 r1\n RET",
    results,
)


def passing_results(source: str) -> Image:
    """A function with the results of the import that it calls: i32 i32."""
    return replace(calling(source, ("", "ii")), types=[func_type("", "ii"), func_type("", "ii")])


rule(
    "results share their storage",
    LAST,
    passing_results("CALL 0\n RESULT_STORE r0 1\n RESULT_LOAD r1 1\n RET"),
    passing_results("CALL 0\n RESULT_LOAD r1 1\n RESULT_STORE r1 1\n RET"),
)

INDIRECT = "I32_CONST r7 0\n CALL_INDIRECT {} {}\n RET"
call_pair(
    "type of an indirect call",
    "type index out of range",
    INDIRECT.format(2, 0),
    INDIRECT.format(1, 0),
)
call_pair(
    "table of an indirect call",
    "table index out of range",
    INDIRECT.format(1, 2),
    INDIRECT.format(1, 0),
)
call_pair(
    "table's type",
    "indirect call through a table of another type",
    INDIRECT.format(1, 1),
    INDIRECT.format(1, 0),
)
ELEMENT = "element index is undefined or has another type"
call_pair("element index", ELEMENT, "CALL_INDIRECT 1 0\n RET", INDIRECT.format(1, 0))
call_pair(
    "element index's type",
    ELEMENT,
    "I64_CONST r7 0\n CALL_INDIRECT 1 0\n RET",
    INDIRECT.format(1, 0),
)
call_pair(
    "arguments of an indirect call",
    ARGUMENT,
    INDIRECT.format(1, 0),
    "I32_CONST r0 0\n" + INDIRECT.format(1, 0),
    ("i", ""),
)

call_pair("helper", "unknown helper", "CALL_RT 16 0 0\n RET", "CALL_RT DATA_DROP 0 0\n RET")
HELPER = "immediate of a helper out of range"
ARGS = "I32_CONST r0 0\n I32_CONST r1 0\n I32_CONST r2 0\n"
REFS = "REF_NULL r0 0\n I32_CONST r1 0\n"
for call, good in (
    ("MEMORY_GROW 1 0", "MEMORY_GROW 0 0"),
    ("MEMORY_GROW 0 1", "MEMORY_GROW 0 0"),
    ("MEMORY_FILL 1 0", "MEMORY_FILL 0 0"),
    ("MEMORY_COPY 1 0", "MEMORY_COPY 0 0"),
    ("MEMORY_INIT 1 0", "MEMORY_INIT 0 0"),
    ("MEMORY_INIT 0 1", "MEMORY_INIT 0 0"),
    ("DATA_DROP 1 0", "DATA_DROP 0 0"),
    ("DATA_DROP 0 1", "DATA_DROP 0 0"),
    ("TABLE_GET 2 0", "TABLE_GET 1 0"),
    ("TABLE_SIZE 2 0", "TABLE_SIZE 1 0"),
    ("TABLE_COPY 2 0", "TABLE_COPY 0 0"),
    ("TABLE_COPY 0 2", "TABLE_COPY 1 1"),
    ("TABLE_INIT 2 0", "TABLE_INIT 0 0"),
    ("TABLE_INIT 0 2", "TABLE_INIT 0 0"),
    ("ELEM_DROP 2 0", "ELEM_DROP 1 0"),
    ("REF_FUNC 2 0", "REF_FUNC 1 0"),
    ("ATOMIC_NOTIFY 1 0", "ATOMIC_NOTIFY 0 0"),
    ("ATOMIC_WAIT 1 0", "ATOMIC_WAIT 0 0"),
):
    call_pair(f"CALL_RT {call}", HELPER, f"{ARGS} CALL_RT {call}\n RET", f"{ARGS} CALL_RT {good}\n RET")
call_pair(
    "CALL_RT TABLE_COPY of two types",
    "copy between tables of different types",
    f"{ARGS} CALL_RT TABLE_COPY 0 1\n RET",
    f"{ARGS} CALL_RT TABLE_COPY 1 1\n RET",
)
call_pair(
    "CALL_RT TABLE_INIT of two types",
    "table and element segment of different types",
    f"{ARGS} CALL_RT TABLE_INIT 1 0\n RET",
    f"{ARGS} CALL_RT TABLE_INIT 1 1\n RET",
)
call_pair(
    "argument of a helper missing",
    ARGUMENT,
    "I32_CONST r0 0\n I32_CONST r1 0\n CALL_RT MEMORY_FILL 0 0\n RET",
    f"{ARGS} CALL_RT MEMORY_FILL 0 0\n RET",
)
call_pair(
    "argument of a helper of another type",
    ARGUMENT,
    f"{ARGS} CALL_RT TABLE_GROW 0 0\n RET",
    f"{REFS} CALL_RT TABLE_GROW 0 0\n RET",
)
for helper in (
    "MEMORY_GROW",
    "MEMORY_FILL",
    "MEMORY_COPY",
    "MEMORY_INIT",
    "ATOMIC_NOTIFY",
    "ATOMIC_WAIT",
):
    image = calling(f"{ARGS} CALL_RT {helper} 0 0\n RET")
    rule(f"CALL_RT {helper} without a memory", "no memory", replace(image, memories=[]), image)


@pytest.mark.parametrize("case", RULES, ids=lambda case: case.name)
def test_rule(case: Rule, verdict: Verdict) -> None:
    assert verdict(case.rejected) == case.message
    assert verdict(case.accepted) == ""


def test_rules_are_all_here() -> None:
    """No message of verify.c is without a program that provokes it."""
    source = (CORE / "verify.c").read_text()
    messages = set(re.findall(r'reject\(v,\s*"([^"]*)"', source))
    tested = {case.message for case in RULES}
    elsewhere = {
        "unknown condition",
        "no such register",
        "write to a callee-saved register that the body's mask lacks",
        "offset of an atomic access is 2^31 or more",
        "out of memory",
        "interrupted",
        # Cannot be: every format has its case, which the compiler checks.
        "unknown format",
    }
    assert messages - tested == elsewhere


def test_location(core: Core) -> None:
    """The error says which function, counted with imports, and where in its code."""
    image = calling("I32_CONST r0 5\n MOV r1 r2\n RET")
    with pytest.raises(CoreError) as error:
        core.image(image.build())
    assert (error.value.code, error.value.section, error.value.function) == (-22, 11, 1)
    assert error.value.offset == len(b"\x00\x00\x05")


def test_body_is_consumed(core: Core) -> None:
    """A body's size is exact: a byte more or less is another instruction, or none."""
    body = Body("RET").encode()[1:]
    for raw in (body + b"\xff", body[:-1]):
        image = replace(program("RET"), functions=[(0, Body(raw=raw))])
        with pytest.raises(CoreError):
            core.image(image.build())
