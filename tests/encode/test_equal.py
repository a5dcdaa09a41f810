# SPDX-License-Identifier: GPL-2.0-only
"""JIT = interpreter for every instruction, over registers, aliasing, values and immediates.

Each case is a function that puts its parameters into given registers and sentinels into all
others, runs one instruction and returns what it wrote and whether a sentinel changed.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import pytest

from pywasmjit import _isa as isa
from tests.encode.engines import Engines, Pair
from tests.encode.values import IMMEDIATES, VALUES, is_nan, is_quiet
from tests.verify.assemble import FUNC, Body, Image, export_entry, func_type, limits

# What each operand word of a format is; W and G are tried as the types they stand for.
ROLES = {
    "RR": "da", "RRR": "dab", "RRI": "dai", "LEA": "dabsi", "CI": "dk", "C4": "dk", "C8": "dk",
    "XCH": "ab", "DIV": "b", "SET": "dabc", "SETI": "daci", "SEL": "dabcxy", "SELI": "dabcxi",
    "JRR": "abct", "JRI": "acit",
}  # fmt: skip
SHIFTS = ("SHL_IMM", "SHR_S_IMM", "SHR_U_IMM", "ROTR_IMM")
# Whose NaN results may have any payload, but are quiet.
ARITHMETIC = {
    f"{kind}_{name}"
    for kind in ("F32", "F64")
    for name in ("ADD", "SUB", "MUL", "DIV", "MIN", "MAX", "CEIL", "FLOOR", "TRUNC", "NEAREST", "SQRT")
} | {"F32_DEMOTE_F64", "F64_PROMOTE_F32"}
TYPE_NAMES = {"I": "i", "L": "l", "F": "f", "D": "d"}


@dataclass(frozen=True)
class Case:
    """One instruction on given registers: operands as words, types of register operands."""

    op: isa.Op
    words: tuple[str, ...]
    inputs: tuple[tuple[str, str], ...]
    """(register, type letter), distinct registers."""
    result: tuple[str, str] | None
    written: tuple[str, ...]
    """Registers that may change."""

    def body(self) -> Body:
        """Parameters are the inputs, results i64, i64, i64: what was written, sentinels that changed."""
        slot_types = "ILFD"
        counts = [sum(t == letter for _, t in self.inputs) for letter in slot_types]
        first = [sum(counts[:k]) for k in range(4)]
        lines = []
        used = {"I": 0, "F": 0}
        slots = []
        for _, letter in self.inputs:
            floats = letter in "FD"
            kind = "F" if floats else "I"
            slot = first[slot_types.index(letter)]
            first[slot_types.index(letter)] += 1
            slots.append(slot)
            lines.append(f"{'F' if floats else ''}SLOT_STORE {'f' if floats else 'r'}{used[kind]} {slot}")
            used[kind] += 1
        keep = {register for register, _ in self.inputs} | set(self.written)
        others = [f"r{i}" for i in range(12) if f"r{i}" not in keep]
        floats_kept = [f"f{i}" for i in range(14) if f"f{i}" not in keep]
        for k, register in enumerate(others):
            lines.append(f"I64_CONST {register} {_sentinel(k)}")
        for k, register in enumerate(floats_kept):
            lines.append(f"F64_CONST {register} {_sentinel(k)}")
        for (register, _), slot in zip(self.inputs, slots, strict=True):
            lines.append(f"{'F' if register[0] == 'f' else ''}SLOT_LOAD {register} {slot}")
        lines.append(" ".join((self.op.name, *self.words)))
        kept = [(r, t) for r, t in self.inputs if r not in self.written]
        result = self.result
        if self.op.format in ("JRR", "JRI"):
            free = others.pop()
            state = " ".join([f"{r}={_STATE[t]}" for r, t in self.inputs] + [f"{r}=i64" for r in others])
            state += "".join(f" {r}=f64" for r in floats_kept) + "".join(f" s{slot}" for slot in slots)
            lines.append(f"I32_CONST {free} 1\nBR join\ntaken: {state}\nI32_CONST {free} 2")
            lines.append(f"join: {state} {free}=i32")
            result = (free, "I")
        lines += _sum(others, floats_kept, kept)
        # What was written, as an i64 with whatever the upper half of its register has.
        scratch = others[0]
        if result is None:
            lines.append(f"I64_CONST {scratch} 0")
        elif result[1] == "I":
            scratch = result[0]
            lines.append(f"I64_EXTEND_I32_U {scratch} {scratch}")
        elif result[1] == "L":
            scratch = result[0]
        elif result[1] == "F":
            lines.append(f"I32_REINTERPRET_F32 {scratch} {result[0]}\nI64_EXTEND_I32_U {scratch} {scratch}")
        else:
            lines.append(f"I64_REINTERPRET_F64 {scratch} {result[0]}")
        lines.append(f"RESULT_STORE {scratch} 1\nGLOBAL_GET r0 0\nRET")
        return Body(
            "\n".join(lines), leaf=True, saved=15, slots=(counts[0], counts[1], counts[2], counts[3], 0)
        )


_STATE = {"I": "i32", "L": "i64", "F": "f32", "D": "f64"}


def _sentinel(k: int) -> int:
    return 0x1234567800000000 + k * 0x0101010101


def _sum(others: Sequence[str], floats: Sequence[str], kept: Sequence[tuple[str, str]]) -> list[str]:
    """Code that leaves a sum over all that should not have changed in global 0; clobbers others."""
    total, scratch, *_ = others
    lines = [f"I64_XOR {total} {total} {register}" for register in others[1:]]
    for register, letter in [*kept, *((register, "D") for register in floats)]:
        name = {"I": "I64_EXTEND_I32_U", "L": "MOV", "F": "I32_REINTERPRET_F32", "D": "I64_REINTERPRET_F64"}[
            letter
        ]
        lines.append(f"{name} {scratch} {register}")
        if letter == "F":
            lines.append(f"I64_EXTEND_I32_U {scratch} {scratch}")
        lines.append(f"I64_MUL_IMM {total} {total} 31\nI64_ADD {total} {total} {scratch}")
    lines.append(f"GLOBAL_SET {total} 0")
    return lines


def concrete(op: isa.Op) -> Iterator[dict[str, str]]:
    """Types of d, a, b, x, y for each meaning of W and G."""
    for w in ("I", "L") if "W" in (op.a, op.b) else ("F", "D") if "G" in (op.a, op.b) else ("",):
        types = {
            role: {"W": w, "G": w}.get(letter, letter)
            for role, letter in (("d", op.d), ("a", op.a), ("b", op.b))
        }
        compared = "L" if op.name.startswith("I64") else "I"
        yield {**types, "x": compared, "y": compared}


#: rax rdx rsi rdi r8 r10 r11 rbx rbp r12 r13: every special case of the encodings.
INTS = (0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 11)
FLOATS = (0, 1, 7, 8, 13)


def assignments(
    rng: random.Random, roles: Sequence[str], types: dict[str, str], count: int
) -> Iterator[dict[str, str]]:
    """Registers by role: every aliasing among roles of the same type, several times over."""
    seen = set()
    for _ in range(count * 20):
        chosen: dict[str, str] = {}
        for role in roles:
            floats = types[role] in "FD"
            same = [
                chosen[r]
                for r in chosen
                if types[r] == types[role]
                or (role != "d" and r == "d" and (chosen[r][0] == "f") == floats)
                or (r == "d" and (types[r] in "FD") == floats)
            ]
            if same and rng.random() < 0.4:
                chosen[role] = rng.choice(same)
            else:
                chosen[role] = f"f{rng.choice(FLOATS)}" if floats else f"r{rng.choice(INTS)}"
        # One register, one type, among what is read.
        reads: dict[str, str] = {}
        if any(reads.setdefault(chosen[r], types[r]) != types[r] for r in roles if r != "d"):
            continue
        key = tuple(sorted(chosen.items()))
        if key in seen:
            continue
        seen.add(key)
        yield chosen
        if len(seen) == count:
            return


def immediates(op: isa.Op, rng: random.Random) -> list[int]:
    if op.name.endswith(SHIFTS):
        return [0, 1, 2, 3, 7, 31] + ([32, 63] if op.a == "L" else [])
    return rng.sample(IMMEDIATES, 6) + [0, -1, 255]


def cases(op: isa.Op) -> Iterator[Case]:
    rng = random.Random(op.name)
    roles = ROLES[op.format]
    if op.name == "MEMORY_SIZE":
        yield Case(op, ("r9", "0"), (), ("r9", "I"), ("r9",))
        return
    registers = [role for role in roles if role in "dabxy"]
    codes = range(2) if "TEST" in op.name else range(10)
    for types in concrete(op):
        if op.format == "DIV":
            for register in ("r2", "r6", "r9", "r11"):
                for d in ("r0", "r1") if op.name.endswith(("_S", "_U")) else ():
                    if (d == "r1") == ("REM" in op.name):
                        yield Case(op, (register,), (("r0", op.a), (register, op.b)), (d, op.d), ("r0", "r1"))
            continue
        if op.format in ("CI", "C4", "C8"):
            for value in VALUES[op.d] if op.format != "CI" else VALUES["I" if op.d == "I" else "L"]:
                bits = 32 if op.d in "IF" else 64
                if op.format == "CI" and value >> (bits - 1):
                    value -= 1 << bits
                register = f"{'f' if op.d in 'FD' else 'r'}{rng.choice(FLOATS if op.d in 'FD' else INTS)}"
                yield Case(op, (register, str(value)), (), (register, op.d), (register,))
            continue
        free = {
            "i": immediates(op, rng) if "i" in roles else [0],
            "s": range(4) if "s" in roles else [0],
            "c": codes if "c" in roles else [0],
        }
        count = 14 if len(registers) > 1 else 6
        if "c" in roles:
            count = 8
        for chosen in assignments(rng, registers, types, count):
            for cc in free["c"]:
                for scale in free["s"]:
                    some = (
                        free["i"]
                        if "c" not in roles and "s" not in roles
                        else rng.sample(list(free["i"]), min(2, len(free["i"])))
                    )
                    for imm in some:
                        words = {"i": str(imm), "s": str(scale), "c": str(cc), "t": "taken", **chosen}
                        inputs = tuple({chosen[r]: types[r] for r in registers if r != "d"}.items())
                        if op.format == "XCH":
                            # Both are seen, one at a time.
                            for seen in ("a", "b"):
                                yield Case(
                                    op,
                                    tuple(words[r] for r in roles),
                                    inputs,
                                    (chosen[seen], types[seen]),
                                    (chosen["a"], chosen["b"]),
                                )
                            continue
                        result = (chosen["d"], types["d"]) if "d" in roles else None
                        yield Case(
                            op,
                            tuple(words[r] for r in roles),
                            inputs,
                            result,
                            (chosen["d"],) if "d" in roles else (),
                        )


def arguments(case: Case, rng: random.Random, count: int, every: bool) -> list[list[int]]:
    """Values for the inputs: all edges, all pairs of them if asked for, else some."""
    if not case.inputs:
        return [[]]
    if len(case.inputs) == 1:
        return [[value] for value in VALUES[case.inputs[0][1]]]
    if every and len(case.inputs) == 2:
        return [list(pair) for pair in itertools.product(*(VALUES[letter] for _, letter in case.inputs))]
    return [[rng.choice(VALUES[letter]) for _, letter in case.inputs] for _ in range(count)]


def image_of(some: Sequence[Case]) -> Image:
    types: list[bytes] = []
    functions = []
    for case in some:
        signature = func_type("".join(TYPE_NAMES[letter] for _, letter in case.inputs), "ll")
        if signature not in types:
            types.append(signature)
        functions.append((types.index(signature), case.body()))
    return Image(types=types, functions=functions, memories=[limits(1)], globals=[b"\1\1\0\0"],
                 exports=[export_entry("f", FUNC, 0)])  # fmt: skip


def compare(pair: Pair, index: int, case: Case, calls: Sequence[Sequence[int]]) -> None:
    for args, (jit, interp) in zip(calls, pair.call(index, calls), strict=True):
        if jit == interp:
            continue
        letter = case.result[1] if case.result else ""
        if case.op.name in ARITHMETIC and jit.startswith("ok") and interp.startswith("ok"):
            (a_others, a), (b_others, b) = (
                [int(w, 16) for w in answer.split()[1:]] for answer in (jit, interp)
            )
            if a_others == b_others and is_nan(letter, a) and is_nan(letter, b) and is_quiet(letter, a):
                continue
        words = " ".join(map(hex, args))
        raise AssertionError(
            f"{case.op.name} {' '.join(case.words)} of {words}: JIT {jit}, interpreter {interp}"
        )


@cache
def prepared(op: isa.Op) -> tuple[list[Case], bytes]:
    some = list(cases(op))
    return some, image_of(some).build()


TESTED = [op for op in isa.OPS if op.format in ROLES and op.a != "R" and op.name != "REF_NULL"]


@pytest.mark.parametrize("op", TESTED, ids=lambda op: op.name)
def test_equal(op: isa.Op, engines: Engines) -> None:
    some, image = prepared(op)
    rng = random.Random(op.name)
    pair = engines.pair(image)
    pairs = 0
    for index, case in enumerate(some):
        pairs += len(case.inputs) == 2
        compare(pair, index, case, arguments(case, rng, 8 if len(some) > 100 else 40, pairs in (1, 2)))
