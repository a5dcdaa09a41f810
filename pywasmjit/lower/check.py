# SPDX-License-Identifier: GPL-2.0-only
"""A model of the verifier's rules for bodies (image.h), for tests of the back half.

The C verifier is what counts; this one names the instruction and the register, which makes
mistakes of the allocator easy to find.
"""

from __future__ import annotations

from collections.abc import Sequence

from pywasmjit import _isa
from pywasmjit._isa import IREGS, OPS, RT
from pywasmjit.lower.disasm import BlockEntry, Body, Instruction, decode, instruction_text
from pywasmjit.lower.ir import TYPE_LETTERS
from pywasmjit.lower.liveness import argument_registers

FuncType = tuple[Sequence[int], Sequence[int]]
_LETTER = {value: letter for letter, value in TYPE_LETTERS.items()}


class CheckError(AssertionError):
    """The verifier would reject the body."""


class _State:
    def __init__(self) -> None:
        self.regs: dict[int, str] = {}  # 0-11 integer, 16-29 float -> type letter
        self.slots = 0
        self.outs: dict[int, str] = {}
        self.results: Sequence[int] = ()


class _Checker:
    def __init__(
        self, body: Body, kind: FuncType, types: Sequence[FuncType], functions: Sequence[int],
        globals: Sequence[int],
    ) -> None:  # fmt: skip
        self.body = body
        self.kind = kind
        self.types = types
        self.functions = functions
        self.globals = globals
        self.slot_types = "".join(t * n for t, n in zip("ILFDR", body.slots, strict=True))
        self.callee_written = 0
        self.called = False
        self.now = Instruction(0, 0)
        self.state = _State()

    def fail(self, why: str) -> CheckError:
        return CheckError(f"{self.now.offset}: {instruction_text(self.now)}: {why}")

    def read(self, letter: str, number: int) -> str:
        number += 16 if letter in "FDG" else 0
        kind = self.state.regs.get(number)
        if kind is None:
            raise self.fail(f"register {number} is not defined")
        if letter not in "WG" and kind != letter:
            raise self.fail(f"register {number} is {kind}, not {letter}")
        return kind

    def write(self, letter: str, number: int) -> None:
        number += 16 if letter in "FD" else 0
        if number not in (*range(len(IREGS)), *range(16, 30)):
            raise self.fail(f"no register {number}")
        if 8 <= number < 12:
            self.callee_written |= 1 << (number - 8)
        self.state.regs[number] = letter

    def entry(self, block: BlockEntry) -> _State:
        state = _State()
        for r in range(12):
            if block.ints >> r & 1:
                state.regs[r] = "L" if block.i64s >> r & 1 else "R" if block.refs >> r & 1 else "I"
        for r in range(14):
            if block.floats >> r & 1:
                state.regs[16 + r] = "D" if block.doubles >> r & 1 else "F"
        state.slots = block.slots
        return state

    def reaches(self, block: BlockEntry) -> None:
        wanted = self.entry(block)
        for r, letter in wanted.regs.items():
            if self.state.regs.get(r) != letter:
                raise self.fail(
                    f"block at {block.offset} wants {letter} in {r}, not {self.state.regs.get(r)}"
                )
        if wanted.slots & ~self.state.slots:
            raise self.fail(f"block at {block.offset} wants slots {wanted.slots:b}")

    def branch(self, target: int) -> None:
        block = self.body.blocks[target]
        self.reaches(block)
        if block.offset <= self.now.offset:
            first = next(i for i in self.body.code if i.offset == block.offset)
            if first.op != _isa.POLL:
                raise self.fail("backward branch to a block that does not poll")

    def call(self, params: Sequence[int], results: Sequence[int]) -> None:
        state = self.state
        self.called = True
        for kind, r in zip(params, argument_registers(list(params)), strict=True):
            if r < 0:
                if state.outs.get(~r) != _LETTER[kind]:
                    raise self.fail(f"outgoing slot {~r} is {state.outs.get(~r)}")
            else:
                self.read(_LETTER[kind], r & 15)
        state.regs = {r: t for r, t in state.regs.items() if 8 <= r < 12}
        state.outs = {}
        state.results = results
        if results:
            self.write(_LETTER[results[0]], 0)

    def run(self) -> None:
        body = self.body
        state = self.state
        params = list(self.kind[0])
        for kind, r in zip(params, argument_registers(params), strict=True):
            if r >= 0:
                state.regs[r] = _LETTER[kind]
        starts = {block.offset: block for block in body.blocks}
        if len(starts) != len(body.blocks):
            raise CheckError("two blocks at one offset")
        seen = 0
        flows = True
        for i in body.code:
            block = starts.get(i.offset)
            self.now = i
            if block:
                if flows:
                    self.reaches(block)
                self.state = self.entry(block)
                seen += 1
            elif not flows:
                raise self.fail("code after a terminator is not a block")
            self.step(i)
            flows = "T" not in OPS[i.op].flags
        if flows:
            raise self.fail("runs off the end")
        if seen != len(body.blocks):
            raise CheckError("a block does not start at an instruction")
        if self.callee_written & ~body.callee_saved:
            raise CheckError("callee-saved register written but not saved")
        if self.called == body.leaf:
            raise CheckError("leaf flag is wrong")

    def step(self, i: Instruction) -> None:
        op = OPS[i.op]
        state, k = self.state, i.imm
        form = op.format
        if form in ("SEL", "SELI"):
            compared = "L" if op.name.startswith("I64") else "I"
            self.read(compared, i.x)
            if form == "SEL":
                self.read(compared, i.y)
        if form == "XCH":
            one, two = self.read(op.a, i.a), self.read(op.b, i.b)
            self.write(two, i.a)
            self.write(one, i.b)
            return
        if form == "DIV":
            self.read(op.a, 0)
            if i.b < 2:
                raise self.fail("divisor in r0 or r1")
            self.read(op.b, i.b)
            state.regs.pop(0, None)
            state.regs.pop(1, None)
            self.write(op.d, 1 if "REM" in op.name else 0)
            return
        if form in ("ARMW", "ACAS"):
            if i.a == 0:
                raise self.fail("operand in r0")
            if form == "ACAS":
                self.read(op.a, 0)
            self.read(op.a, i.a)
            self.read("I", i.b)
            self.write(op.d, 0)
            return
        first = ""
        if i.a >= 0 and op.a != "_":
            first = self.read(op.a, i.a)
        if i.b >= 0 and not (form in ("LD", "ALD", "ST", "STI") and i.b == 15):
            second = self.read("I" if form == "STI" else op.b if op.b != "_" else "I", i.b)
            if op.b in "WG" and form != "XCH" and second != first:
                raise self.fail("operand types differ")
        match form:
            case "J":
                self.branch(k[0])
            case "JRR":
                self.branch(k[1])
            case "JRI":
                self.branch(k[2])
            case "JT":
                for t in k:
                    self.branch(t)
            case "CALL":
                self.call(*self.types[self.functions[k[0]]])
                return
            case "CALLI":
                self.read("I", 7)
                self.call(*self.types[k[0]])
                return
            case "RT":
                _, result, args, _, _ = RT[k[0]]
                self.call([TYPE_LETTERS[t] for t in args], [TYPE_LETTERS[result]] if result != "_" else [])
                return
            case "SST":
                if first != self.slot_types[k[0]]:
                    raise self.fail(f"slot is {self.slot_types[k[0]]}, register {first}")
                state.slots |= 1 << k[0]
            case "SLD":
                if not state.slots >> k[0] & 1:
                    raise self.fail("slot is not defined")
                self.typed(op.d, self.slot_types[k[0]], i.d)
            case "ARG":
                stack = [
                    t for t, r in zip(
                        self.kind[0], argument_registers(list(self.kind[0])), strict=True
                    ) if r < 0
                ]  # fmt: skip
                self.typed(op.d, _LETTER[stack[k[0]]], i.d)
            case "OUT":
                if k[0] >= self.body.outs:
                    raise self.fail("outgoing slot is not declared")
                state.outs[k[0]] = first
            case "RLD":
                self.typed(op.d, _LETTER[state.results[k[0]]], i.d)
            case "RST":
                if _LETTER[self.kind[1][k[0]]] != first:
                    raise self.fail("result of the wrong type")
            case "GLD":
                self.typed(op.d, _LETTER[self.globals[k[0]]], i.d)
            case "N" if i.op == _isa.RET:
                if self.kind[1]:
                    letter = _LETTER[self.kind[1][0]]
                    self.read(letter, 0)
            case _:
                if op.d != "_":
                    self.write(first if op.d in "WG" else op.d, i.d)

    def typed(self, pattern: str, letter: str, number: int) -> None:
        if (pattern == "G") != (letter in "FD"):
            raise self.fail(f"wrong register class for {letter}")
        self.write(letter, number)


def check_body(
    body: bytes,
    kind: FuncType,
    types: Sequence[FuncType] = (),
    functions: Sequence[int] = (),
    globals: Sequence[int] = (),
) -> None:
    """Raise CheckError if a body (without its size field) breaks a rule of the verifier."""
    _Checker(decode(body), kind, types, functions, globals).run()
