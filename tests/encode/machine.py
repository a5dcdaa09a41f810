# SPDX-License-Identifier: GPL-2.0-only
"""What holds of every function in machine code, by reading it back: flow, stack, polls, registers.

Takes from the image only what a body declares (leaf, saved registers, slots); all else comes from
the instructions.  Each broken rule is an ``AssertionError`` that names function and instruction.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from tests.encode.engines import IBT, RETHUNK, RETPOLINE
from tests.encode.test_code import Insn, Listing

#: All that may appear in functions.  Whatever else an encoder could produce is a mistake.
ALLOWED: Final = frozenset(
    """
    mov movabs movzx movsx movsxd movss movsd movaps movd movq lea push pop xchg cmpxchg xadd mfence endbr64
    add sub neg not and or xor cmp test inc dec imul mul div idiv cdq cqo sbb adc bt
    bts btr btc
    shl shr sar rol ror shlx shrx sarx rorx lzcnt tzcnt popcnt bsr bsf bswap
    jmp call ret int3 nop ud2 lfence
    addss addsd subss subsd mulss mulsd divss divsd sqrtss sqrtsd minss minsd maxss maxsd ucomiss ucomisd
    roundss roundsd cvtsi2ss cvtsi2sd cvttss2si cvttsd2si cvtss2sd cvtsd2ss andps andpd orps orpd xorps xorpd andnps
    vaddss vaddsd vsubss vsubsd vmulss vmulsd vdivss vdivsd vsqrtss vsqrtsd vminss vminsd vmaxss vmaxsd vroundss vroundsd
    vcvtss2sd vcvtsd2ss vandps vandpd vorps vorpd vxorps vxorpd vandnps vcvtsi2ss vcvtsi2sd vmovss vmovsd vmovaps
    """.split()
)
CONDITIONS: Final = frozenset("o no b ae e ne be a s ns p np l ge le g".split())
CALLEE_SAVED: Final = ("rbx", "rbp", "r12", "r13")  # by bit of the body's mask
_WIDTHS: Final = {
    "rbx": ("rbx", "ebx", "bx", "bl", "bh"), "rbp": ("rbp", "ebp", "bp", "bpl"), "rsp": ("rsp", "esp", "sp", "spl"),
    **{f"r{i}": (f"r{i}", f"r{i}d", f"r{i}w", f"r{i}b") for i in (12, 13, 14, 15)},
}  # fmt: skip
WHOLE: Final = {alias: whole for whole, aliases in _WIDTHS.items() for alias in aliases}
#: Their first operand is only read.
READERS: Final = frozenset({"cmp", "test", "ucomiss", "ucomisd", "push", "jmp", "call", "bt", "mul", "div", "idiv"})
STACK_LIMIT: Final = "[r14 + 0x10]"
SIZES: Final = {"byte": 1, "word": 2, "dword": 4, "qword": 8, "xmmword": 16}


@dataclass(frozen=True)
class Declared:
    """The header of a body."""

    leaf: bool
    saved: int
    words: int
    """Spill slots and outgoing arguments."""

    @property
    def pushes(self) -> list[str]:
        return [name for bit, name in enumerate(CALLEE_SAVED) if self.saved >> bit & 1]

    @property
    def frame(self) -> int:
        """Bytes between rsp and the saved registers."""
        return 8 * self.words

    @property
    def total(self) -> int:
        return self.frame + 8 * len(self.pushes)


def _u32(raw: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        value |= (raw[at] & 127) << shift
        at += 1
        shift += 7
        if raw[at - 1] < 128:
            return value, at


def declared(image: bytes) -> list[Declared]:
    """Of each defined function of an image."""
    found = []
    for k in range(struct.unpack_from("<I", image, 20)[0]):
        number, offset, size = struct.unpack_from("<III", image, 64 + 12 * k)
        at = offset
        while number == 11 and at < offset + size:
            length, at = _u32(image, at)
            numbers = []
            position = at + 2
            for _ in range(6):
                value, position = _u32(image, position)
                numbers.append(value)
            found.append(Declared(bool(image[at] & 1), image[at + 1], sum(numbers)))
            at += length
    return found


class Function:
    """The instructions from one entry to the next."""

    def __init__(self, found: Whole, insns: list[Insn], body: Declared, number: int) -> None:
        self.listing = found
        self.insns = insns
        self.body = body
        self.number = number
        self.start = insns[0].at
        self.end = insns[-1].at + insns[-1].size
        self.at = {insn.at: i for i, insn in enumerate(insns)}

    def fail(self, insn: Insn, what: str) -> AssertionError:
        return AssertionError(f"{self.listing.name}, function {self.number}, {insn.at:#x} `{insn.text}`: {what}")

    def require(self, condition: object, insn: Insn, what: str) -> None:
        if not condition:
            raise self.fail(insn, what)

    # ------------------------------------------------------------------ flow

    def inside(self, target: int | None) -> bool:
        return target is not None and self.start <= target < self.end

    def jump_table(self, i: int) -> list[int]:
        """Where an indirect jump goes: as many entries as the comparison before it admits."""
        match = re.search(r"\[rcx\*8 \+ (0x[0-9a-f]+)\]", self.insns[i].operands)
        if not match:
            raise self.fail(self.insns[i], "indirect jump of another form")
        checks = [insn for insn in self.insns[max(0, i - 5) : i] if insn.mnemonic == "cmp"]
        code = self.listing.code
        first = int(match[1], 16) - code.base
        n = int(checks[-1].operands.split(", ")[1], 0)
        self.require(n > 0 and code.data <= first and first + 8 * n <= len(code.code), self.insns[i], "table outside")
        return [struct.unpack_from("<Q", code.code, first + 8 * k)[0] - code.base for k in range(n)]

    def successors(self, i: int) -> list[int]:
        """Indices of what may run next in this function."""
        insn = self.insns[i]
        following = [i + 1] if i + 1 < len(self.insns) else []
        if insn.mnemonic in ("ret", "ud2", "int3"):
            return []
        if insn.mnemonic == "jmp":
            targets = self.jump_table(i) if insn.target is None else [insn.target]
            following = []
        elif insn.mnemonic[0] == "j":
            targets = [insn.target or 0]
        else:
            return [] if self.never_returns(insn) else following
        for target in targets:
            if self.inside(target):
                self.require(target in self.at, insn, "branch into an instruction")
                following.append(self.at[target])
            else:
                # Only to what leaves for good: stubs, or thunks outside.
                self.require(insn.mnemonic == "jmp" and not len(targets) > 1, insn, "branch out of the function")
                self.require(self.is_stub(target), insn, "jump to another function")
        return following

    def is_stub(self, target: int) -> bool:
        code = self.listing.code
        return not min(code.entries) <= target < code.functions_end

    def never_returns(self, insn: Insn) -> bool:
        """A call of a stub that unwinds: `mov ecx, trap`."""
        if insn.mnemonic != "call" or insn.target is None:
            return False
        stub = self.listing.insns.get(insn.target)
        return stub is not None and re.fullmatch(r"mov ecx, (0x)?[0-9a-f]+", stub.text) is not None

    # ------------------------------------------------------------------ rules

    def check(self) -> None:
        hot = self.prologue()
        self.instructions()
        depths = self.depths(hot)
        self.stack(depths)
        self.polls(depths)

    def instructions(self) -> None:
        mitigations = self.listing.mitigations
        code = self.listing.code
        for insn in self.insns:
            mnemonic = insn.mnemonic.removeprefix("lock ").removeprefix("notrack ")
            known = mnemonic in ALLOWED or any(
                mnemonic.startswith(prefix) and mnemonic.removeprefix(prefix) in CONDITIONS for prefix in ("j", "set", "cmov")
            )
            self.require(known, insn, "instruction that is not allowed")
            first = insn.operands.split(",")[0]
            written = None if insn.mnemonic in READERS else WHOLE.get(first)
            if insn.mnemonic in ("xchg", "xadd") and "," in insn.operands:
                second = WHOLE.get(insn.operands.split(", ")[1])
                self.require(second in (None, *self.body.pushes), insn, "register that is not the function's")
            self.require(written != "r14", insn, "the instance's register is written")
            self.require(written != "r15" or self.moves_memory(insn), insn, "the memory's register is written")
            self.require(written in (None, "rsp", "r15", *self.body.pushes), insn, "callee-saved register that is not saved")
            self.require(written != "rsp" or insn.mnemonic in ("add", "sub"), insn, "stack pointer is written")
            if re.search(r"\b[re]?sp[l]?\b", re.sub(r"\[.*?\]", "", insn.operands)):
                # Never into another register, where fork would not find it.
                fine = insn.mnemonic in ("add", "sub") and first == "rsp" and "rsp" not in insn.operands[4:]
                self.require(fine or (insn.mnemonic == "cmp" and STACK_LIMIT in insn.operands), insn, "stack pointer is copied")
            if insn.mnemonic == "lea" and "rsp" in insn.operands:
                later = self.insns[self.at[insn.at] + 1]
                fine = later.text == f"cmp qword ptr {STACK_LIMIT}, rcx"
                self.require(fine and first == "rcx", insn, "address on the stack")
            if insn.mnemonic == "call" and insn.target is not None:
                internal = 0 <= insn.target < len(code.code)
                known = insn.target in self.listing.entries or self.is_stub(insn.target)
                self.require(not internal or known, insn, "call into a function")
                self.require(internal or mitigations & RETPOLINE, insn, "call of C from guest code")
            if insn.mnemonic == "call":
                self.require(insn.at + insn.size in code.sites, insn, "call without a site")
            if insn.mnemonic == "ret":
                self.require(not mitigations & RETHUNK, insn, "return without the thunk")

    def prologue(self) -> int:
        """Exactly what the header asks for; the index of the first instruction behind it."""
        body, lines = self.body, []
        if self.listing.mitigations & IBT:
            lines.append(r"endbr64")
        if not body.leaf or body.total > 256:
            register = "rcx" if body.total > 256 else "rsp"
            if body.total > 256:
                lines.append(rf"lea rcx, \[rsp - {hex(body.total)}\]")
            lines += [rf"cmp qword ptr {re.escape(STACK_LIMIT)}, {register}", r"ja 0x[0-9a-f]+"]
        if not body.leaf:
            lines += [POLL, r"jne 0x[0-9a-f]+"]
        lines += [f"push {name}" for name in body.pushes]
        if body.frame:
            # 128 is shorter as -128.
            lines.append(r"add rsp, -0x80" if body.frame == 128 else rf"sub rsp, {body.frame if body.frame < 10 else hex(body.frame)}")
        for insn, line in zip(self.insns, lines, strict=False):
            self.require(re.fullmatch(line, insn.text), insn, f"prologue has not {line}")
        return len(lines)

    def depths(self, hot: int) -> dict[int, int]:
        """Bytes pushed before each instruction, on all ways to it alike."""
        found = {0: 0}
        work = [0]
        total = self.body.total
        # Landings, and what only jump tables reach, are in the body.
        pending = [self.at[insn.at] for insn in self.insns if insn.at in self.listing.landings]
        while work or pending:
            if not work:
                i = pending.pop()
                if i in found:
                    continue
                found[i] = total
                work.append(i)
            i = work.pop()
            insn, depth = self.insns[i], found[i]
            if insn.mnemonic == "push":
                depth += 8
            elif insn.mnemonic == "pop":
                depth -= 8
            elif insn.mnemonic in ("add", "sub") and insn.operands.startswith("rsp,"):
                amount = int(insn.operands.split(", ")[1], 0)
                depth += amount if insn.mnemonic == "sub" else -amount
            self.require(0 <= depth <= total, insn, f"{depth} bytes pushed of {total}")
            for k in self.successors(i):
                if k not in found:
                    found[k] = depth
                    work.append(k)
                self.require(found[k] == depth, self.insns[k], f"{found[k]} or {depth} bytes pushed")
        for insn in self.insns[:hot]:
            self.require(self.at[insn.at] in found, insn, "out of reach in the prologue")
        return found

    def stack(self, depths: dict[int, int]) -> None:
        """Stores stay in the frame, loads in frame and incoming arguments; leaving is at depth 0."""
        total, frame = self.body.total, self.body.frame
        for i, insn in enumerate(self.insns):
            if i not in depths:
                # Padding, and what follows an unconditional branch without being a target.
                continue
            depth = depths[i]
            leaves = insn.mnemonic == "ret" or (insn.mnemonic == "jmp" and insn.target is not None and not self.inside(insn.target))
            self.require(not leaves or depth == 0, insn, f"leaves with {depth} bytes pushed")
            if insn.mnemonic == "call":
                self.require(depth in (0, total), insn, f"calls with {depth} bytes pushed of {total}")
            memory = insn.memory
            if memory is None or memory[0] != "rsp":
                continue
            disp = memory[3]
            size = SIZES[re.search(r"(\w+) ptr", insn.operands)[1]]  # type: ignore[index]
            self.require(depth == total, insn, "frame is used before it is there")
            if insn.operands.split(",")[0].find("[") >= 0 and insn.mnemonic not in READERS:
                self.require(disp >= 0 and disp + size <= frame, insn, "store outside of the frame")
            else:
                own = disp >= 0 and disp + size <= frame
                self.require(own or disp >= total + 8, insn, "load of a saved register or return address")

    def polls(self, depths: dict[int, int]) -> None:
        """Without the polls nothing goes round, and no way is long."""
        state = bytearray(len(self.insns))
        ahead = [0] * len(self.insns)  # instructions from here to polls, by the longest way
        for root in sorted(depths):
            if state[root]:
                continue
            work: list[tuple[int, Iterator[int]]] = [(root, iter(self.successors(root)))]
            state[root] = 1
            while work:
                i, rest = work[-1]
                for k in rest:
                    if self.is_poll(k) or self.counts_bits(i, k) or self.exchanges(i, k):
                        continue
                    self.require(state[k] != 1, self.insns[k], "a way round without a poll")
                    if not state[k]:
                        state[k] = 1
                        work.append((k, iter(self.successors(k))))
                        break
                else:
                    state[i] = 2
                    # What is not done yet is behind: the loops of one instruction that may go round.
                    ahead[i] = 1 + max((ahead[k] for k in self.successors(i) if state[k] == 2 and not self.is_poll(k)), default=0)
                    self.require(ahead[i] <= MOST_WITHOUT_POLL, self.insns[i], "a long way without a poll")
                    work.pop()

    def counts_bits(self, i: int, k: int) -> bool:
        """Back from i to k in what stands for POPCNT: one of at most 64 bits each time."""
        loop = "; ".join(insn.text for insn in self.insns[k:i])
        return i == k + 3 and re.fullmatch(r"shr ([er])cx, 1; adc \w+, 0; test \1cx, \1cx", loop) is not None

    def exchanges(self, i: int, k: int) -> bool:
        """Back from i to k in an atomic operation that others got in the way of."""
        loop = [insn.mnemonic for insn in self.insns[k : i + 1]]
        return len(loop) == 4 and loop[0] == "mov" and loop[2:] == ["lock cmpxchg", "jne"]

    def moves_memory(self, insn: Insn) -> bool:
        """An atomic access adds its address to r15, and loads that again before anything else happens."""
        i = self.at[insn.at]
        before = [other.text for other in self.insns[max(0, i - 12) : i + 1]]
        after = [other.text for other in self.insns[i : i + 12]]
        if insn.text == RESTORE:
            return MOVE in before
        if insn.text != MOVE or RESTORE not in after:
            return False
        between = self.insns[i + 1 : i + after.index(RESTORE)]
        start, end = between[0].at, between[-1].at
        return all(
            other.mnemonic not in ("call", "ret", "jmp") and (other.target is None or start <= other.target <= end)
            for other in between
        )

    def is_poll(self, i: int) -> bool:
        """The test, and the branch on it to a call of the poll stub that comes back behind."""
        if not re.fullmatch(POLL, self.insns[i].text):
            return False
        branch = self.insns[i + 1]
        self.require(branch.mnemonic == "jne" and self.inside(branch.target), branch, "poll that is not looked at")
        call = self.insns[self.at[branch.target or 0]]
        self.require(call.mnemonic == "call" and call.target == self.listing.poll_stub, call, "poll without a call")
        back = self.insns[self.at[call.at] + 1]
        self.require(back.mnemonic == "jmp" and back.target == branch.at + branch.size, back, "poll does not come back")
        return True


# Of 512 bytes of bytecode, of which division and conversions to integers make the most.
MOST_WITHOUT_POLL = 1000
MOVE = "add r15, rcx"
RESTORE = "mov r15, qword ptr [r14 + 8]"
POLL = r"cmp dword ptr \[r14 \+ 0x[0-9a-f]+\], 0"


@dataclass(frozen=True)
class Whole(Listing):
    """A listing of a whole program, with what all its functions are checked against."""

    entries: frozenset[int] = frozenset()
    landings: frozenset[int] = frozenset()
    poll_stub: int = -1

    @classmethod
    def of(cls, found: Listing) -> Whole:
        entries = found.code.entries
        own = entries[found.imports :]
        stubs = {
            insn.target
            for insn in found.insns.values()
            if insn.mnemonic == "call" and insn.target is not None and insn.target < min(entries, default=0)
        }
        # The one that the branches after polls lead to.
        poll = {
            call.target
            for at, insn in found.insns.items()
            if own and at >= min(own) and re.fullmatch(POLL, insn.text)
            and (branch := found.insns.get(at + insn.size)) and branch.mnemonic == "jne"
            and (call := found.insns.get(branch.target or 0)) and call.mnemonic == "call" and call.target in stubs
        }  # fmt: skip
        return cls(
            found.name, found.code, found.insns, found.mitigations, found.imports,
            entries=frozenset(entries), landings=frozenset(found.code.fixups.values()),
            poll_stub=min(poll, default=-1) if len(poll) <= 1 else -2,
        )  # fmt: skip


def functions(found: Whole, image: bytes) -> Iterator[Function]:
    bodies = declared(image)
    entries = found.code.entries[found.imports :]
    assert len(bodies) == len(entries)
    order = sorted(range(len(entries)), key=lambda k: entries[k])
    ends = [entries[k] for k in order[1:]] + [found.code.functions_end]
    addresses = sorted(found.insns)
    position = 0
    for k, end in zip(order, ends, strict=True):
        insns = []
        while position < len(addresses) and addresses[position] < end:
            if addresses[position] >= entries[k]:
                insns.append(found.insns[addresses[position]])
            position += 1
        yield Function(found, insns, bodies[k], found.imports + k)


def check_program(found: Listing, image: bytes) -> int:
    """AssertionError if a rule is broken; the number of functions."""
    whole = Whole.of(found)
    assert whole.poll_stub != -2, "several stubs are called by polls"
    count = 0
    for function in functions(whole, image):
        function.check()
        count += 1
    return count
