# SPDX-License-Identifier: GPL-2.0-only
"""What the JIT emits, read back: nothing in it but what is allowed, all of it accounted for."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cache

import pytest

from pywasmjit import _isa as isa
from tests.encode import test_equal, test_memory
from tests.encode.encoder import disassembler
from tests.encode.engines import BHB, BLIND, IBT, RETHUNK, RETPOLINE, SMAP, VARIANTS, Engines, Variant
from tests.native.libcore import Code, Core
from tests.verify.assemble import FUNC, Body, Image, func_type, import_entry, limits, table_entry, unsigned
from tests.verify.samples import SAMPLES, active_functions, sample_image

ALL = RETPOLINE | RETHUNK | IBT | BHB | BLIND | SMAP
#: Beside those that can run in user space, one as hardened as a kernel can ask for.
COMPILED = (*VARIANTS, Variant("kernel", -1, SMAP), Variant("all", -1, ALL))
CONSTANTS = 112  # WJ_C_SIZE


def control_image() -> Image:
    """Every form of control transfer, with imports and tables."""
    big_table = " ".join(f"b{k % 20}" for k in range(64))
    blocks = "\n".join(f"b{k}: r0=i32\nI32_ADD_IMM r0 r0 {k}\nRET" for k in range(20))
    return Image(
        types=[func_type("i", "i"), func_type("ildfr" * 3, "ildfr")],
        imports=[import_entry("m", "print", FUNC, unsigned(0)), import_entry("m", "print", FUNC, unsigned(1))],
        functions=[
            (0, Body("CALL 0\nI32_CONST r7 1\nCALL_INDIRECT 0 0\nI32_CONST r7 1\nCALL_INDIRECT 0 1\nCALL 3\nRET",
                     leaf=False, saved=15)),
            (0, Body(f"BR_TABLE r0 {big_table}\n{blocks}")),
        ],
        tables=[table_entry("r", 4), table_entry("r", 70000, 70000)],
        elements=[active_functions(0, 0, [2, 3])],
        memories=[limits(1)],
    )  # fmt: skip


@cache
def images() -> dict[str, bytes]:
    """All instructions in few images: those of the other tests, a part of their functions."""
    equal = [case for op in isa.OPS if op in test_equal.TESTED for case in test_equal.prepared(op)[0][::60]]
    memory = [
        case
        for op in isa.OPS
        if op.format in test_memory.FORMATS
        for case in list(test_memory.functions(op))[::11]
    ]
    samples = [sample_image(sample) for sample in SAMPLES]
    first, callee = samples[0].functions
    merged = replace(samples[0], functions=[first, callee, *(image.functions[0] for image in samples[1:])])
    return {
        "equal": test_equal.image_of(equal).build(),
        "memory": test_memory.image_of(memory, test_memory.PAGES),
        "samples": merged.build(),
        "control": control_image().build(),
    }


@dataclass(frozen=True)
class Insn:
    at: int
    size: int
    mnemonic: str
    operands: str

    @property
    def text(self) -> str:
        return f"{self.mnemonic} {self.operands}".strip()

    @property
    def target(self) -> int | None:
        """Of a direct branch or call."""
        direct = self.mnemonic[0] == "j" or self.mnemonic == "call"
        return int(self.operands, 16) if direct and self.operands.startswith("0x") else None

    @property
    def memory(self) -> tuple[str, str, int, int] | None:
        """Base, index, scale, displacement of the memory operand, if it is accessed."""
        match = re.search(r"\[(.*?)\]", self.operands)
        if not match or self.mnemonic in ("lea", "nop"):
            return None
        base, index, scale, disp = "", "", 1, 0
        for sign, part in re.findall(r"([+-]?)\s*([^\s+-]+)", match[1]):
            register, _, factor = part.partition("*")
            if part.startswith("0x") or part.isdigit():
                disp = int(sign + part, 0)
            elif factor:
                index, scale = register, int(factor)
            elif base:
                index = register
            else:
                base = register
        return base, index, scale, disp


@dataclass(frozen=True)
class Listing:
    name: str
    code: Code
    insns: dict[int, Insn]
    mitigations: int
    imports: int = 0
    """Functions that are imported: their entries are stubs."""

    def functions(self) -> list[Insn]:
        """The instructions of functions that came from bytecode."""
        first = min(self.code.entries[self.imports :])
        return [insn for at, insn in self.insns.items() if first <= at < self.code.functions_end]


def start_of_code(code: Code) -> int:
    """Where the constants end: behind the padding, which is random."""
    padding = len(code.code) - len(code.code.lstrip(b"\xcc"))
    assert padding % 64 == 0
    return padding + CONSTANTS


def listing(name: str, code: Code, mitigations: int, imports: int = 0) -> Listing:
    start = start_of_code(code)
    insns = {at: Insn(at, size, mnemonic, operands) for at, size, mnemonic, operands in
             disassembler().disasm_lite(code.code[start : code.data], start)}  # fmt: skip
    last = max(insns)
    assert last + insns[last].size == code.data, "all of it decodes"
    return Listing(name, code, insns, mitigations, imports)


@pytest.fixture(scope="module", params=COMPILED, ids=lambda variant: variant.name)
def listings(request: pytest.FixtureRequest, process: Core) -> list[Listing]:
    engines = Engines(process, request.param)
    found = [
        listing(name, engines.code(image), request.param.mitigations, 2 if name == "control" else 0)
        for name, image in images().items()
    ]
    process.reset()
    return found


def test_linear_memory_is_accessed_with_fixups_only(listings: list[Listing]) -> None:
    """Memory operands with r15 are those that have a fixup, whose landing says where it was."""
    for found in listings:
        accesses = {
            insn.at: insn.memory for insn in found.insns.values() if insn.memory and "r15" in insn.memory
        }
        assert set(accesses) == set(found.code.fixups)
        assert list(found.code.fixups) == sorted(found.code.fixups)
        for at, landing in found.code.fixups.items():
            call = found.insns[landing]
            assert call.target is not None and landing + call.size in found.code.sites
            assert found.insns[call.target].text == f"mov ecx, {isa.TRAP_OUT_OF_BOUNDS}"
            base, _, scale, disp = accesses[at] or ("", "", 0, -1)
            assert base == "r15" and disp >= 0 and scale == 1


def test_memory_operands_are_known(listings: list[Listing]) -> None:
    """All others: frame, instance, what the instance points to through rcx and r11, constants."""
    for found in listings:
        before: list[str] = []
        for insn in found.functions():
            base, index, scale, disp = insn.memory or ("", "", 0, 0)
            where = f"{found.name}: {insn.text} after {before[-9:]}"
            if insn.memory is None or base == "r15":
                pass
            elif not base:
                assert insn.mnemonic == "jmp" and index == "rcx" and scale == 8, where
            elif base == "rsp":
                assert not index and 0 <= disp < 1 << 17, where
            elif base == "rip":
                target = insn.at + insn.size + disp
                literal = not found.mitigations & BLIND and found.code.data <= target < len(found.code.code)
                assert 0 <= target < start_of_code(found.code) or literal, where
            elif base == "rcx":
                # Just loaded from the instance: no guest value is ever a pointer.
                assert not index and 0 <= disp < 64, where
                assert any(re.fullmatch(r"mov rcx, qword ptr \[r14.*\]", line) for line in before[-6:]), where
            elif base == "r11":
                assert not index and 0 <= disp < 32, where
                assert any(line.startswith("add r11, qword ptr [rcx") for line in before[-9:]), where
            else:
                assert base == "r14" and not index and disp >= 0, where
            before.append(insn.text)


def test_indirect_branches(listings: list[Listing]) -> None:
    """None but calls through tables, jump tables and one to host functions; with retpolines none at all."""
    for found in listings:
        for insn in found.insns.values():
            if insn.mnemonic not in ("call", "jmp") or insn.target is not None:
                continue
            where = f"{found.name}: {insn.text}"
            assert not found.mitigations & RETPOLINE, where
            if insn.mnemonic == "call":
                stub = insn.at < found.code.entries[0]
                assert insn.operands in (("rcx", "r11") if stub else ("r10",)), where
                continue
            assert not found.mitigations & IBT, where
            assert insn.memory and insn.memory[:3] == ("", "rcx", 8), where
            assert found.code.data <= insn.memory[3] - found.code.base < len(found.code.code), where


def test_direct_branches_hit_instructions(listings: list[Listing]) -> None:
    for found in listings:
        size = len(found.code.code)
        for insn in found.insns.values():
            if insn.target is not None and 0 <= insn.target < size:
                assert insn.target in found.insns, f"{found.name}: {insn.at:x} {insn.text}"
            elif insn.target is not None:
                assert insn.mnemonic in ("call", "jmp"), "C functions and thunks"


def test_jump_tables_hit_instructions(listings: list[Listing]) -> None:
    found = listings[-1]
    table = found.code.code[found.code.data :]
    if found.mitigations & (RETPOLINE | IBT):
        assert not table.strip(b"\xcc"), "no tables"
        return
    for k in range(0, 8 * 63, 8):
        assert int.from_bytes(table[k : k + 8], "little") - found.code.base in found.insns


def test_returns_and_landing_pads(listings: list[Listing]) -> None:
    for found in listings:
        returns = sum(insn.mnemonic == "ret" for insn in found.insns.values())
        # Those of the sequence that clears the branch history are meant to be.
        if found.mitigations & RETHUNK:
            assert returns == (2 if found.mitigations & BHB else 0)
        for entry in found.code.entries:
            assert (found.insns[entry].mnemonic == "endbr64") == bool(found.mitigations & IBT)
        forbidden = {"syscall", "int", "iretq", "hlt", "in", "out", "wrmsr", "std", "popfq", "sysenter"}
        assert not forbidden & {insn.mnemonic for insn in found.insns.values()}


def test_access_control_is_off_in_c(listings: list[Listing]) -> None:
    """stac only on the way to guest code; clac before every call of a C function."""
    for found in listings:
        size = len(found.code.code)
        state = ""
        calls = 0
        for insn in found.insns.values():
            if insn.mnemonic in ("stac", "clac"):
                assert found.mitigations & SMAP
                state = insn.mnemonic
            external = insn.mnemonic == "call" and insn.target is not None and not 0 <= insn.target < size
            if found.mitigations & SMAP and external and insn.at < found.code.entries[0]:
                calls += 1
                # The first is the thunk that enters guest code, where there are retpolines.
                enters = calls == 1 and found.mitigations & RETPOLINE
                assert state == ("stac" if enters else "clac"), f"{insn.at:x} {insn.text}"


MAGIC = 0x5A4B3C2D


@pytest.mark.parametrize("variant", [v for v in COMPILED if v.mitigations & BLIND], ids=lambda v: v.name)
def test_constants_are_blinded(process: Core, variant: Variant) -> None:
    """A constant of the guest's choice is nowhere in the code, in no instruction that has one."""
    signed = MAGIC
    lines = [
        f"I32_CONST r1 {signed}", f"I64_CONST r2 {signed << 32 | signed}", f"I64_CONST r2 {-signed}", f"F32_CONST f0 {MAGIC}",
        f"F64_CONST f1 {MAGIC << 32 | MAGIC}", f"I32_ADD_IMM r1 r1 {signed}", f"I32_ADD_IMM r3 r1 {signed}",
        f"I32_MUL_IMM r3 r1 {signed}", f"I32_AND_IMM r3 r1 {signed}", f"I32_OR_IMM r3 r1 {signed}",
        f"I32_XOR_IMM r3 r1 {signed}", f"I64_AND_IMM r2 r2 {signed}", f"I64_XOR_IMM r2 r2 {signed}",
        f"I32_LEA r3 r1 r1 2 {signed}", f"I32_SET_IMM r3 r1 LT_S {signed}", f"I32_SELECT_IMM r3 r1 r1 NE r1 {signed}",
        f"I32_LOAD r3 r0 {MAGIC}", f"I32_LOAD r3 - {MAGIC}", f"STORE32 r1 r0 {MAGIC}", f"F64_LOAD f0 r0 {MAGIC}",
        f"STORE32_IMM r0 8 {signed}", f"STORE64_IMM r0 {MAGIC} {signed}", f"STORE64_IMM r0 {MAGIC + 0x80000000} {-signed}",
        f"I32_ATOMIC_LOAD r3 r0 {MAGIC & ~7}", f"I32_ATOMIC_RMW r1 r2 XOR {MAGIC & ~7}".replace("r2", "r1"),
        f"I32_BR_IF_IMM r1 EQ {signed} out", f"I32_BR_TEST_IMM r1 EQ {signed} out", f"I64_BR_IF_IMM r2 EQ {signed} out",
        "RET", "out: r0=i32", "RET",
    ]  # fmt: skip
    image = Image(types=[func_type("i", "i")], functions=[(0, Body("\n".join(lines)))], memories=[limits(1)])
    code = Engines(process, variant).code(image)
    for value in (
        MAGIC,
        -MAGIC & 0xFFFFFFFF,
        ~MAGIC & 0xFFFFFFFF,
        MAGIC & ~7,
        (MAGIC + 0x80000000) & 0xFFFFFFFF,
    ):
        assert value.to_bytes(4, "little") not in code.code
        # Nor three bytes of it at an offset.
        assert value.to_bytes(4, "little")[1:] not in code.code
    process.reset()
    again = Engines(process, variant).code(image)
    assert again.code != code.code, "other keys, other places"
    process.reset()


def test_short_branches_are_short(process: Core) -> None:
    """Forward branches of every distance around the limit: right, and short where that reaches."""
    engines = Engines(process, VARIANTS[0])
    for distance in range(2, 300):  # farther there is a poll in between
        # 2 and 3 byte instructions: add eax, ecx; add eax, 5
        threes = distance % 2
        filler = ["I32_ADD_IMM r0 r0 5"] * threes + ["I32_ADD r0 r0 r1"] * ((distance - 3 * threes) // 2)
        if distance == 3 and not filler:
            continue
        source = "I32_BR_IF_IMM r0 EQ 0 out\n" + "\n".join(filler) + "\nout: r0=i32\nRET"
        pair = engines.pair(
            Image(types=[func_type("ii", "i")], functions=[(0, Body(source))], memories=[limits(1)])
        )
        assert pair.one(0, 0, 1) == "ok 0"
        pair.one(0, 3, 4)
        code = process.code(pair.image)
        branch = next(insn for insn in listing("", code, 0).functions() if insn.mnemonic == "je")
        assert branch.target == branch.at + branch.size + distance
        if distance > 127:
            assert branch.size == 6
        elif distance < 48:
            assert branch.size == 2
        process.reset()


def test_loops_are_aligned(process: Core) -> None:
    lines = ["BR l0"]
    for k in range(20):
        lines += (
            [f"l{k}: r0=i32", "POLL"] + ["I32_ADD_IMM r0 r0 1"] * (k + 1) + [f"I32_BR_IF_IMM r0 EQ {k} l{k}"]
        )
    image = Image(
        types=[func_type("i", "i")], functions=[(0, Body("\n".join([*lines, "RET"])))], memories=[limits(1)]
    )
    code = Engines(process, VARIANTS[0]).code(image)
    targets = {insn.target for insn in listing("", code, 0).functions() if insn.mnemonic == "je"}
    assert len(targets) == 20 and all(target is not None and target % 16 == 0 for target in targets)
    process.reset()


def test_retries_converge(process: Core) -> None:
    """Many branches whose first guess is short and wrong: divisions are 2 bytes, their code 30."""
    engines = Engines(process, VARIANTS[0])
    lines = []
    for k in range(300):
        lines.append(f"I32_BR_IF_IMM r2 EQ {k} b{k}")
        lines += ["MOV r0 r3", "I32_DIV_S r3"] * (k % 12)
        state = "r2=i32 r3=i32"
        lines += [f"b{k}: {state}", f"I32_ADD_IMM r2 r2 {k}"]
    lines += ["MOV r0 r2", "RET"]
    source = "MOV r2 r0\nMOV r3 r1\n" + "\n".join(lines)
    pair = engines.pair(
        Image(types=[func_type("ii", "i")], functions=[(0, Body(source))], memories=[limits(1)])
    )
    for value in range(20):
        pair.one(0, value, 7)
    assert process.code(pair.image).retries >= 1
    process.reset()
