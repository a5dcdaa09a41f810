# SPDX-License-Identifier: GPL-2.0-only
"""What the JIT emits, read back: nothing in it but what is allowed, all of it accounted for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import capstone
import pytest
from capstone import x86

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


@lru_cache(maxsize=None)
def images() -> dict[str, bytes]:
    found = {f"sample {sample.name}": sample_image(sample).build() for sample in SAMPLES}
    for op in isa.OPS:
        if op.format in test_memory.FORMATS:
            found[f"memory {op.name}"] = test_memory.image_of(test_memory.prepared(op)[0][::7])
        elif op.format in test_equal.ROLES and op.a != "R" and op.name != "REF_NULL":
            found[f"equal {op.name}"] = test_equal.image_of(test_equal.prepared(op)[0][::40]).build()
    found["control"] = control_image().build()
    return found


@dataclass(frozen=True)
class Listing:
    code: Code
    insns: dict[int, capstone.CsInsn]
    variant: Variant

    @property
    def functions_start(self) -> int:
        return self.code.entries[-1]


def start_of_code(code: Code) -> int:
    """Where the constants end: behind the padding, which is random."""
    padding = len(code.code) - len(code.code.lstrip(b"\xcc"))
    assert padding % 64 == 0
    return padding + CONSTANTS


def listing(code: Code, variant: Variant) -> Listing:
    start = start_of_code(code)
    insns = {insn.address: insn for insn in disassembler().disasm(code.code[start : code.data], start)}
    last = max(insns)
    assert last + insns[last].size == code.data, "all of it decodes"
    return Listing(code, insns, variant)


@pytest.fixture(scope="session", params=COMPILED, ids=lambda variant: variant.name)
def listings(request: pytest.FixtureRequest, process: Core) -> Iterator[dict[str, Listing]]:
    engines = Engines(process, request.param)
    found = {}
    for name, image in images().items():
        found[name] = listing(engines.code(image), request.param)
        process.reset()
    yield found


def memory_operands(insn: capstone.CsInsn) -> list[x86.X86OpValue]:
    if insn.mnemonic in ("lea", "nop"):
        return []
    return [operand.mem for operand in insn.operands if operand.type == x86.X86_OP_MEM]


def in_functions(found: Listing) -> Iterator[capstone.CsInsn]:
    start = min(found.code.sites, default=found.code.functions_end)
    first = max(entry for entry in found.code.entries if entry <= start)
    return (insn for at, insn in found.insns.items() if first <= at < found.code.functions_end)


def test_linear_memory_is_accessed_with_fixups_only(listings: dict[str, Listing]) -> None:
    """Memory operands with r15 are those that have a fixup, whose landing says where it was."""
    for name, found in listings.items():
        accesses = {at for at, insn in found.insns.items() for m in memory_operands(insn)
                    if "r15" in (insn.reg_name(m.base), insn.reg_name(m.index))}  # fmt: skip
        assert accesses == set(found.code.fixups), name
        assert list(found.code.fixups) == sorted(found.code.fixups)
        for at, landing in found.code.fixups.items():
            call = found.insns[landing]
            assert call.mnemonic == "call"
            assert landing + call.size in found.code.sites
            stub = found.insns[call.operands[0].imm]
            assert (stub.mnemonic, stub.op_str) == ("mov", "ecx, 2"), "WJ_TRAP_OUT_OF_BOUNDS"
            m = memory_operands(found.insns[at])[0]
            assert found.insns[at].reg_name(m.base) == "r15" and m.disp >= 0 and m.scale == 1


def test_memory_operands_are_known(listings: dict[str, Listing]) -> None:
    """All others: frame, instance, what instance points to through rcx and r11, constants."""
    for name, found in listings.items():
        for insn in in_functions(found):
            for m in memory_operands(insn):
                base, index = insn.reg_name(m.base), insn.reg_name(m.index)
                where = f"{name}: {insn.mnemonic} {insn.op_str}"
                if base == "r15":
                    continue
                if base is None and insn.mnemonic == "jmp":
                    assert index == "rcx" and m.scale == 8, where
                    continue
                assert index is None, where
                assert base in ("rsp", "r14", "rcx", "r11", "rip"), where
                assert base != "rsp" or 0 <= m.disp < 1 << 17, where
                assert base != "rip" or 0 <= insn.address + insn.size + m.disp < start_of_code(found.code), where
                assert base not in ("rcx", "r11") or 0 <= m.disp < 64, where


def test_scratch_pointers_come_from_the_instance(listings: dict[str, Listing]) -> None:
    """rcx and r11 as a base were just loaded: no guest value is ever a pointer."""
    for name, found in listings.items():
        before: list[capstone.CsInsn] = []
        for insn in in_functions(found):
            for m in memory_operands(insn):
                base = insn.reg_name(m.base)
                if base == "rcx":
                    recent = [f"{b.mnemonic} {b.op_str}" for b in before[-6:]]
                    assert any(re.fullmatch(r"mov rcx, qword ptr \[r14.*\]", line) for line in recent), f"{name} {recent}"
                elif base == "r11":
                    recent = [f"{b.mnemonic} {b.op_str}" for b in before[-9:]]
                    assert any(line.startswith("add r11, qword ptr [rcx") for line in recent), f"{name} {recent}"
            before.append(insn)


def test_indirect_branches(listings: dict[str, Listing]) -> None:
    """None but calls through tables and jump tables; with retpolines none at all."""
    for name, found in listings.items():
        mitigations = found.variant.mitigations
        for insn in found.insns.values():
            where = f"{name}: {insn.mnemonic} {insn.op_str}"
            if insn.mnemonic not in ("call", "jmp") or insn.operands[0].type == x86.X86_OP_IMM:
                continue
            if insn.op_str == "rax":
                continue  # a C function: out of reach of a displacement in a sanitized or PIE build
            assert not mitigations & RETPOLINE, where
            if insn.mnemonic == "call":
                assert insn.op_str == "rcx", where
            else:
                assert not mitigations & IBT, where
                m = insn.operands[0].mem
                assert insn.reg_name(m.index) == "rcx" and m.scale == 8, where
                table = m.disp - found.code.base
                assert found.code.data <= table < len(found.code.code), where


def test_direct_branches_hit_instructions(listings: dict[str, Listing]) -> None:
    for name, found in listings.items():
        size = len(found.code.code)
        for at, insn in found.insns.items():
            if not insn.operands or insn.operands[0].type != x86.X86_OP_IMM or insn.mnemonic in ("push",):
                continue
            if not (insn.group(x86.X86_GRP_JUMP) or insn.group(x86.X86_GRP_CALL)):
                continue
            target = insn.operands[0].imm
            if 0 <= target < size:
                assert target in found.insns, f"{name}: {at:x} {insn.mnemonic} {insn.op_str}"
            else:
                assert insn.mnemonic in ("call", "jmp"), name


def test_jump_tables_hit_instructions(listings: dict[str, Listing]) -> None:
    found = listings["control"]
    table = found.code.code[found.code.data :]
    hardened = found.variant.mitigations & (RETPOLINE | IBT)
    entries = [int.from_bytes(table[k : k + 8], "little") for k in range(0, 8 * 64, 8)]
    if hardened:
        assert not table.strip(b"\xcc"), "no tables"
        return
    for entry in entries:
        assert entry - found.code.base in found.insns


def test_returns_and_landing_pads(listings: dict[str, Listing]) -> None:
    for name, found in listings.items():
        mitigations = found.variant.mitigations
        returns = [insn for insn in found.insns.values() if insn.mnemonic == "ret"]
        # Those of the sequence that clears the branch history are meant to be.
        assert len(returns) == (2 if mitigations & BHB else 0) if mitigations & RETHUNK else len(returns) > 2, name
        for entry in found.code.entries:
            assert (found.insns[entry].mnemonic == "endbr64") == bool(mitigations & IBT), name
        for insn in found.insns.values():
            assert insn.mnemonic not in ("syscall", "int", "iretq", "hlt", "in", "out", "wrmsr", "std", "popfq"), name


def test_access_control_is_off_in_c(listings: dict[str, Listing]) -> None:
    """stac only right before guest code; clac before every call of a C function."""
    for name, found in listings.items():
        stacs = [insn for insn in found.insns.values() if insn.mnemonic == "stac"]
        if not found.variant.mitigations & SMAP:
            assert not stacs
            continue
        assert len(stacs) >= 5
        size = len(found.code.code)
        last = ""
        for insn in found.insns.values():
            if insn.mnemonic in ("stac", "clac"):
                last = insn.mnemonic
            external = insn.mnemonic == "call" and (
                insn.op_str == "rax" or (insn.operands[0].type == x86.X86_OP_IMM and not 0 <= insn.operands[0].imm < size))
            if external and insn.address < found.code.entries[0] and not is_thunk(found, insn):
                assert last == "clac", f"{name}: {insn.address:x}"


def is_thunk(found: Listing, insn: capstone.CsInsn) -> bool:
    """A call of the indirect thunk goes to guest code; it is the one with stac before it."""
    before = [other for at, other in found.insns.items() if insn.address - 8 <= at < insn.address]
    return bool(found.variant.mitigations & RETPOLINE) and any(other.mnemonic == "stac" for other in before)


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
    for value in (MAGIC, -MAGIC & 0xFFFFFFFF, ~MAGIC & 0xFFFFFFFF, MAGIC & ~7, (MAGIC + 0x80000000) & 0xFFFFFFFF):
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
    for distance in range(2, 400):
        # 2 and 3 byte instructions: add eax, ecx; add eax, 5
        threes = distance % 2
        filler = ["I32_ADD_IMM r0 r0 5"] * threes + ["I32_ADD r0 r0 r1"] * ((distance - 3 * threes) // 2)
        if distance == 3 and not filler:
            continue
        source = "I32_BR_IF_IMM r0 EQ 0 out\n" + "\n".join(filler) + "\nout: r0=i32\nRET"
        pair = engines.pair(Image(types=[func_type("ii", "i")], functions=[(0, Body(source))], memories=[limits(1)]))
        assert pair.one(0, 0, 1) == "ok 0"
        pair.one(0, 3, 4)
        code = process.code(pair.image)
        found = listing(code, VARIANTS[0])
        branch = next(insn for insn in in_functions(found) if insn.mnemonic == "je")
        assert branch.operands[0].imm == branch.address + branch.size + distance
        if distance > 127:
            assert branch.size == 6
        elif distance < 48:
            assert branch.size == 2
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
    pair = engines.pair(Image(types=[func_type("ii", "i")], functions=[(0, Body(source))], memories=[limits(1)]))
    for value in range(20):
        pair.one(0, value, 7)
    assert process.code(pair.image).retries >= 1
    process.reset()
