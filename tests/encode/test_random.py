# SPDX-License-Identifier: GPL-2.0-only
"""JIT = interpreter for random programs: what one instruction leaves behind and the next one finds."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from pywasmjit import _isa as isa
from tests.encode.engines import Engines
from tests.encode.test_equal import ROLES
from tests.encode.values import IMMEDIATES, VALUES, is_nan
from tests.verify.assemble import Body, Image, func_type, limits

# NaNs with payloads of their own would make results depend on the order of operands.
_LEFT_OUT = ("NEG", "ABS", "COPYSIGN", "F32_REINTERPRET_I32", "F64_REINTERPRET_I64", "MEMORY_SIZE")
OPS = [
    op
    for op in isa.OPS
    if (op.format in ROLES or op.format in ("LD", "ST", "STI"))
    and "R" not in (op.d, op.a)
    and op.name != "REF_NULL"
    and op.name not in ("F32_LOAD", "F64_LOAD")
    and not op.name.endswith(_LEFT_OUT)
    and not ("X" in op.flags and op.format == "RR")
    and "M" not in (op.flags if op.format == "ST" else ())
]
PARAMS = "iiilllffffdddd"
STATE_NAMES = {"I": "i32", "L": "i64", "F": "f32", "D": "f64"}


class Program:
    """A function that ends by storing every register to memory."""

    def __init__(self, seed: int, size: int) -> None:
        self.rng = random.Random(seed)
        self.types = {**{f"r{i}": "I" if i < 3 else "L" for i in range(6)}}
        self.types |= {f"f{i}": "F" if i < 4 else "D" for i in range(8)}
        self.lines = [f"I64_CONST r{i} {self.rng.getrandbits(40)}" for i in range(6, 12)]
        self.types |= {f"r{i}": "L" for i in range(6, 12)}
        self.lines += [f"F64_CONST f{i} {self.constant('D')}" for i in range(8, 14)]
        self.types |= {f"f{i}": "D" for i in range(8, 14)}
        self.labels = 0
        while len(self.lines) < size:
            if self.rng.random() < 0.12:
                self.skip()
            else:
                self.instruction(False)
        self.loop()
        for k, (register, letter) in enumerate(self.types.items()):
            store = {"I": "STORE32", "L": "STORE64", "F": "F32_STORE", "D": "F64_STORE"}[letter]
            self.lines.append(f"{store} {register} - {40000 + 8 * k}")
            if letter == "I":
                self.lines.append(
                    f"I64_EXTEND_I32_U {register} {register}\nSTORE64 {register} - {50000 + 8 * k}"
                )
        self.lines.append("RET")

    def constant(self, letter: str) -> int:
        value = self.rng.choice([v for v in VALUES[letter] if not is_nan(letter, v)])
        return (
            value - (1 << (32 if letter == "I" else 64))
            if letter in "IL" and value >> (31 if letter == "I" else 63)
            else value
        )

    def state(self) -> str:
        return " ".join(f"{register}={STATE_NAMES[letter]}" for register, letter in self.types.items())

    def label(self) -> str:
        self.labels += 1
        return f"b{self.labels}"

    def skip(self) -> None:
        """A few instructions that are jumped over or not; they change no register's type."""
        target = self.label()
        before = len(self.lines)
        while len(self.lines) == before:
            self.instruction(True, target)
        for _ in range(self.rng.randrange(1, 5)):
            self.instruction(True)
        self.lines.append(f"{target}: {self.state()}")

    def loop(self) -> None:
        """Three times around, through a poll."""
        self.types["r11"] = "I"
        head = self.label()
        self.lines.append(f"I32_CONST r11 3\nBR {head}\n{head}: {self.state()}\nPOLL")
        for _ in range(10):
            self.instruction(True, frozen="r11")
        self.lines.append(f"I32_ADD_IMM r11 r11 -1\nI32_BR_IF_IMM r11 NE 0 {head}")

    def pick(self, letter: str, writable: Callable[[str], bool] = lambda _: True) -> str | None:
        letters = {"W": "IL", "G": "FD"}.get(letter, letter)
        found = [r for r, t in self.types.items() if t in letters and writable(r)]
        return self.rng.choice(found) if found else None

    def instruction(self, keep_types: bool, branch_to: str = "", frozen: str = "") -> None:
        """One more instruction; a conditional branch if there is a target for it."""
        rng = self.rng
        op = rng.choice([op for op in OPS if (op.format in ("JRR", "JRI")) == bool(branch_to)])
        if op.format in ("LD", "ST", "STI"):
            self.access(op, keep_types, frozen)
            return
        roles = ROLES[op.format]
        words: list[str] = []
        chosen: dict[str, str] = {}
        for role in roles:
            if role in "abxy":
                letter = {"a": op.a, "b": op.b}.get(role, "L" if op.name.startswith("I64") else "I")
                if role == "b" and op.b in "WG":
                    letter = self.types[chosen["a"]]
                register = self.pick(letter)
                if register is None:
                    return
                chosen[role] = register
        if op.format == "XCH" and (
            frozen in chosen.values() or self.types[chosen["a"]] != self.types[chosen["b"]]
        ):
            return
        if op.format == "DIV":
            if keep_types or chosen["b"] in ("r0", "r1") or frozen in ("r0", "r1"):
                return
            kind = "I32" if op.a == "I" else "I64"
            # No trap: a positive divisor, and a dividend of the right type.
            self.lines.append(
                f"{kind}_OR_IMM {chosen['b']} {chosen['b']} 1\n{kind}_AND_IMM {chosen['b']} {chosen['b']} 2147483647"
            )
            self.lines.append(f"{kind}_CONST r0 {self.constant(op.a)}\n{op.name} {chosen['b']}")
            kept, other = ("r1", "r0") if "REM" in op.name else ("r0", "r1")
            self.types[kept] = op.d
            self.lines.append(f"I64_CONST {other} 1")
            self.types[other] = "L"
            return
        if "d" in roles:
            letter = self.types[chosen["a"]] if op.d in "WG" else op.d
            floats = letter in "FD"
            register = self.pick(
                letter if keep_types else "G" if floats else "W",
                lambda r: r != frozen,
            )
            if register is None:
                return
            chosen["d"] = register
        for role in roles:
            if role in chosen:
                words.append(chosen[role])
            elif role == "i":
                shift = op.name.endswith(("SHL_IMM", "SHR_S_IMM", "SHR_U_IMM", "ROTR_IMM"))
                words.append(
                    str(rng.randrange(32 if op.a == "I" else 64) if shift else rng.choice(IMMEDIATES))
                )
            elif role == "k":
                words.append(str(self.constant(op.d)))
            elif role == "t":
                words.append(branch_to)
            else:
                words.append(str(rng.randrange({"c": 2 if "TEST" in op.name else 10, "s": 4}[role])))
        self.lines.append(" ".join((op.name, *words)))
        if "d" in roles:
            self.types[chosen["d"]] = self.types[chosen["a"]] if op.d in "WG" else op.d

    def access(self, op: isa.Op, keep_types: bool, frozen: str) -> None:
        base = self.pick("I", lambda r: r != frozen)
        if base is None:
            return
        value = None
        if op.format == "LD":
            value = self.pick(op.d if keep_types else "W" if op.d in "IL" else "G", lambda r: r != frozen)
        elif op.format == "ST":
            value = self.pick(op.a)
        if value is None and op.format != "STI":
            return
        self.lines.append(f"I32_AND_IMM {base} {base} 16383")
        offset = self.rng.choice((0, 1, 8, 127, 128, 4096, 20000))
        if op.format == "STI":
            self.lines.append(f"{op.name} {base} {offset} {self.rng.choice(IMMEDIATES)}")
        else:
            self.lines.append(f"{op.name} {value} {base} {offset}")
        if op.format == "LD" and value is not None:
            self.types[value] = op.d


def check(seed: int, engines: Engines) -> None:
    """20 programs, three calls of each."""
    rng = random.Random(seed)
    programs = [Program(seed * 1000 + k, 120) for k in range(20)]
    bodies = [(0, Body("\n".join(p.lines), saved=15)) for p in programs]
    pair = engines.pair(Image(types=[func_type(PARAMS)], functions=bodies, memories=[limits(1)]))
    letters = {"i": "I", "l": "L", "f": "F", "d": "D"}
    for index, program in enumerate(programs):
        for _ in range(3):
            args = [rng.choice([v for v in VALUES[letters[c]] if not is_nan(letters[c], v)]) for c in PARAMS]
            assert pair.one(index, *args) == "ok"
            for at, size in ((0, 36864), (40000, 16000)):
                jit, interp = pair.jit.read(at, size), pair.interp.read(at, size)
                where = next((k for k in range(size) if jit[k] != interp[k]), size)
                assert jit == interp, f"byte {at + where} after\n" + "\n".join(program.lines)


@pytest.mark.parametrize("seed", range(6))
def test_random_programs(seed: int, engines: Engines) -> None:
    check(seed, engines)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(100, 300))
def test_many_random_programs(seed: int, engines: Engines) -> None:
    check(seed, engines)
