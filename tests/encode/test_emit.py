# SPDX-License-Identifier: GPL-2.0-only
"""The encoder: every instruction over its operand space against capstone, and literal bytes."""

from __future__ import annotations

import ctypes
import itertools

import capstone
import pytest

from tests.encode.encoder import (
    LOCK,
    NAMES,
    NONE,
    R64,
    RIP,
    Encoder,
    W,
    decode,
    disassembler,
    mem,
    text,
    words,
)

# name: (mnemonic, operands in Intel order, W too, memory too).  Operands: "rm" or "reg" with the
# width, "w" for 32 or with W 64; m.. is the width in memory where it is another.
INTEGER = {
    "X86_ADD": "add", "X86_OR": "or", "X86_SBB": "sbb", "X86_AND": "and", "X86_SUB": "sub", "X86_XOR": "xor",
    "X86_CMP": "cmp", "X86_MOV": "mov", "X86_XADD": "xadd", "X86_CMPXCHG": "cmpxchg",
}  # fmt: skip
TABLE: dict[str, tuple[str, str, bool, bool]] = {
    **{name: (mnemonic, "rm:w reg:w", True, True) for name, mnemonic in INTEGER.items()},
    "X86_TEST": ("test", "rm:w reg:w", True, True),
    "X86_XCHG": ("xchg", "rm:w reg:w", True, True),
    "X86_XCHG8": ("xchg", "rm:8 reg:8", False, True),
    "X86_MOV8": ("mov", "rm:8 reg:8", False, True),
    "X86_XCHG16": ("xchg", "rm:16 reg:16", False, True),
    "X86_MOV16": ("mov", "rm:16 reg:16", False, True),
    "X86_CMPXCHG8": ("cmpxchg", "rm:8 reg:8", False, True),
    "X86_CMPXCHG16": ("cmpxchg", "rm:16 reg:16", False, True),
    "X86_XADD8": ("xadd", "rm:8 reg:8", False, True),
    "X86_XADD16": ("xadd", "rm:16 reg:16", False, True),
    "X86_LOAD": ("mov", "reg:w rm:w", True, True),
    "X86_ADD_LOAD": ("add", "reg:w rm:w", True, True),
    "X86_SUB_LOAD": ("sub", "reg:w rm:w", True, True),
    "X86_CMP_LOAD": ("cmp", "reg:w rm:w", True, True),
    "X86_MOVSXD": ("movsxd", "reg:64 rm:32", False, True),
    "X86_MOVZX8": ("movzx", "reg:32 rm:8", False, True),
    "X86_MOVZX16": ("movzx", "reg:32 rm:16", False, True),
    "X86_MOVSX8": ("movsx", "reg:w rm:8", True, True),
    "X86_MOVSX16": ("movsx", "reg:w rm:16", True, True),
    "X86_IMUL": ("imul", "reg:w rm:w", True, True),
    "X86_CMOV": ("cmovo", "reg:w rm:w", True, True),
    "X86_BSF": ("bsf", "reg:w rm:w", True, True),
    "X86_BSR": ("bsr", "reg:w rm:w", True, True),
    "X86_POPCNT": ("popcnt", "reg:w rm:w", True, True),
    "X86_TZCNT": ("tzcnt", "reg:w rm:w", True, True),
    "X86_LZCNT": ("lzcnt", "reg:w rm:w", True, True),
    "X86_MOVAPS": ("movaps", "reg:128 rm:128", False, True),
    "X86_ANDPS": ("andps", "reg:128 rm:128", False, True),
    "X86_ORPS": ("orps", "reg:128 rm:128", False, True),
    "X86_XORPS": ("xorps", "reg:128 rm:128", False, True),
    "X86_UCOMIS": ("ucomiss", "reg:128 rm:128/32", False, True),
    "X86_MOVD_TO_X": ("movd/movq", "reg:128 rm:w", True, True),
    "X86_MOVD_FROM_X": ("movd/movq", "rm:w reg:128", True, True),
    "X86_SETCC": ("seto", "rm:8", False, False),
}
# Scalar floats: mnemonic with F3; with F2 it ends in d.
SCALAR = {
    "X86_SQRTS": "sqrtss", "X86_ADDS": "addss", "X86_MULS": "mulss", "X86_SUBS": "subss", "X86_MINS": "minss",
    "X86_DIVS": "divss", "X86_MAXS": "maxss", "X86_MOVS_LOAD": "movss",
}  # fmt: skip
F3, F2, P66 = 2 << 10, 3 << 10, 1 << 10
# Those that take a digit or an immediate, tested below by what uses them.
OTHERS = {
    "X86_LEA", "X86_IMUL_IMM8", "X86_IMUL_IMM32", "X86_ALU_IMM8", "X86_ALU_IMM32", "X86_SHIFT_IMM8", "X86_SHIFT_CL",
    "X86_UNARY", "X86_TEST_IMM32", "X86_TEST8_IMM8", "X86_MOV_IMM32", "X86_MOV16_IMM16", "X86_MOV8_IMM8",
    "X86_SHIFT1", "X86_BT_IMM8", "X86_INDIRECT", "X86_LDMXCSR", "X86_SHLX", "X86_SARX", "X86_SHRX", "X86_RORX",
    "X86_CVTS2S", "X86_CVTSI2S", "X86_CVTTS2SI", "X86_MOVS_STORE", "X86_ROUNDSS", "X86_ROUNDSD",
}  # fmt: skip
REGISTERS = range(16)
DISPLACEMENTS = (0, 1, -1, 127, 128, -128, -129, 0x7FFFFFFF, -0x80000000)


def test_all_words_are_tested() -> None:
    assert set(words()) - {""} == set(TABLE) | set(SCALAR) | OTHERS


def check(code: bytes, mnemonic: str, operands: list[str | int], memory: tuple[int, int, int, int] | None = None,
          size: int = 0) -> None:  # fmt: skip
    """The bytes are this instruction; an operand "mem" is base, index, scale, disp of `memory`."""
    insn = decode(code)
    assert insn.mnemonic == mnemonic, f"{insn.mnemonic} {insn.op_str}"
    assert len(insn.operands) == len(operands), f"{insn.mnemonic} {insn.op_str}"
    for found, wanted in zip(insn.operands, operands, strict=True):
        where = f"{code.hex()}: {insn.mnemonic} {insn.op_str}, not {operands} {memory}"
        if wanted == "mem":
            assert memory is not None and found.type == capstone.x86.X86_OP_MEM, where
            base, index, scale, disp = memory
            name = insn.reg_name
            assert (name(found.mem.base) or "") == (
                "rip" if base == RIP else "" if base == NONE else R64[base]
            ), where
            # Index 100 without a base is "riz" to capstone.
            assert (name(found.mem.index) or "").replace("riz", "") == (
                "" if index == NONE else R64[index]
            ), where
            assert index == NONE or found.mem.scale == 1 << scale, where
            assert found.mem.disp == disp, where
            assert found.size == size // 8, where
        elif isinstance(wanted, str):
            assert found.type == capstone.x86.X86_OP_REG and insn.reg_name(found.reg) == wanted, where
        else:
            assert found.type == capstone.x86.X86_OP_IMM, where
            assert (found.imm - wanted) % (1 << (8 * found.size)) == 0, where


def forms() -> list[tuple[str, int, str, list[tuple[str, int, int]], bool]]:
    """(name, word, mnemonic, [(field, register width, memory width)], may be in memory)."""
    found = []
    for name, (mnemonic, spec, wide, memory) in TABLE.items():
        for w in (0, W) if wide else (0,):
            fields = []
            for part in spec.split():
                field, width = part.split(":")
                register, _, in_memory = width.partition("/")
                bits = (64 if w else 32) if register == "w" else int(register)
                fields.append((field, bits, int(in_memory or bits)))
            choice = mnemonic.split("/")
            found.append((name, words()[name] | w, choice[-1] if w else choice[0], fields, memory))
    for name, mnemonic in SCALAR.items():
        for prefix, suffix, bits in ((F3, "s", 32), (F2, "d", 64)):
            found.append((name, words()[name] | prefix, mnemonic[:-1] + suffix,
                          [("reg", 128, 128), ("rm", 128, bits)], True))  # fmt: skip
    for prefix, mnemonic, bits in ((F3, "cvtss2sd", 32), (F2, "cvtsd2ss", 64)):
        found.append(
            (
                "X86_CVTS2S",
                words()["X86_CVTS2S"] | prefix,
                mnemonic,
                [("reg", 128, 128), ("rm", 128, bits)],
                True,
            )
        )
    for prefix, letter, bits in ((F3, "s", 32), (F2, "d", 64)):
        for w in (0, W):
            general = 64 if w else 32
            found.append(("X86_CVTSI2S", words()["X86_CVTSI2S"] | prefix | w, f"cvtsi2s{letter}",
                          [("reg", 128, 128), ("rm", general, general)], False))  # fmt: skip
            found.append(("X86_CVTTS2SI", words()["X86_CVTTS2SI"] | prefix | w, f"cvtts{letter}2si",
                          [("reg", general, general), ("rm", 128, bits)], False))  # fmt: skip
        found.append(("X86_MOVS_STORE", words()["X86_MOVS_STORE"] | prefix, f"movs{letter}",
                      [("rm", 128, bits), ("reg", 128, 128)], True))  # fmt: skip
    found.append(
        ("X86_UCOMIS", words()["X86_UCOMIS"] | P66, "ucomisd", [("reg", 128, 128), ("rm", 128, 64)], True)
    )
    return found


FORMS = forms()


@pytest.mark.parametrize("form", FORMS, ids=lambda f: f"{f[0]}-{f[1]:x}")
def test_registers(form: tuple[str, int, str, list[tuple[str, int, int]], bool]) -> None:
    _, word, mnemonic, fields, _ = form
    encoder = Encoder()
    for reg, rm in itertools.product(REGISTERS, REGISTERS):
        if len(fields) == 1 and reg:
            continue
        operands: list[str | int] = [NAMES[bits][reg if field == "reg" else rm] for field, bits, _ in fields]
        code = encoder.x86_rr(word, reg, rm)
        # Capstone prints xchg, test in either order.
        if mnemonic in ("xchg", "test") and decode(code).op_str.split(", ")[0] != operands[0]:
            operands.reverse()
        check(code, mnemonic, operands)


@pytest.mark.parametrize("form", [f for f in FORMS if f[4]], ids=lambda f: f"{f[0]}-{f[1]:x}")
def test_memory(form: tuple[str, int, str, list[tuple[str, int, int]], bool]) -> None:
    _, word, mnemonic, fields, _ = form
    encoder = Encoder(1 << 22)
    (size,) = (in_memory for field, _, in_memory in fields if field == "rm")
    for reg in (0, 1, 4, 7, 9, 15):
        for base, index, scale, disp in memories(reg in (0, 9)):
            operands: list[str | int] = [
                "mem" if field == "rm" else NAMES[bits][reg] for field, bits, _ in fields
            ]
            code = encoder.x86_rm(word, reg, mem(base, index, scale, disp))
            if mnemonic in ("xchg", "test") and decode(code).operands[0].type != capstone.x86.X86_OP_MEM:
                operands.reverse()
            check(code, mnemonic, operands, (base, index, scale, disp), size)


def memories(some: bool) -> list[tuple[int, int, int, int]]:
    """Bases and indices that are special, with all scales and sizes of displacement."""
    bases = (0, 4, 5, 12, 13, 15) if some else (3, 4, 13)
    indices = (NONE, 0, 5, 12, 13, 15) if some else (NONE, 1)
    return [(base, index, scale, disp) for base in bases for index in indices
            for scale in (range(4) if index != NONE else (0,)) for disp in DISPLACEMENTS]  # fmt: skip


def test_every_memory_operand() -> None:
    encoder = Encoder(1 << 22)
    for base, index in itertools.product((*REGISTERS, NONE), (*REGISTERS, NONE)):
        if index == 4:
            continue  # rsp is no index
        for scale, disp in itertools.product(range(4) if index != NONE else (0,), DISPLACEMENTS):
            code = encoder.x86_rm(words()["X86_LEA"] | W, 11, mem(base, index, scale, disp))
            check(code, "lea", ["r11", "mem"], (base, index, scale, disp), 64)


def test_rip_relative() -> None:
    encoder = Encoder()
    encoder.x86_nops(1000)
    for target in (0, 16, 999, 5000):
        start = encoder.state.pos
        insn = decode(encoder.x86_rm(words()["X86_ANDPS"], 14, mem(RIP, NONE, 0, target)), start)
        assert insn.operands[1].mem.disp + start + insn.size == target
        start = encoder.state.pos
        insn = decode(encoder.vex_rm(words()["X86_ANDPS"], 14, 3, mem(RIP, NONE, 0, target)), start)
        assert insn.operands[2].mem.disp + start + insn.size == target


VEX_FLOAT = {"X86_ADDS": "vadds", "X86_SUBS": "vsubs", "X86_MULS": "vmuls", "X86_DIVS": "vdivs", "X86_MINS": "vmins",
             "X86_MAXS": "vmaxs", "X86_SQRTS": "vsqrts"}  # fmt: skip


@pytest.mark.parametrize("name", [*VEX_FLOAT, "X86_CVTS2S", "X86_ANDPS", "X86_ORPS", "X86_XORPS"])
def test_vex_floats(name: str) -> None:
    encoder = Encoder(1 << 20)
    for prefix, letter, other in (
        ((F3, "s", "d"), (F2, "d", "s")) if not name.endswith("PS") else ((0, "", ""),)
    ):
        mnemonic = VEX_FLOAT[name] + letter if name in VEX_FLOAT else f"vcvts{letter}2s{other}"
        if name.endswith("PS"):
            mnemonic = "v" + name[4:].lower()
        for reg, v, rm in itertools.product(REGISTERS, REGISTERS, REGISTERS):
            check(encoder.vex_rr(words()[name] | prefix, reg, v, rm), mnemonic,
                  [f"xmm{reg}", f"xmm{v}", f"xmm{rm}"])  # fmt: skip


def test_vex_integers() -> None:
    encoder = Encoder(1 << 20)
    for w, names in ((0, NAMES[32]), (W, NAMES[64])):
        for d, a, b in itertools.product(REGISTERS, REGISTERS, REGISTERS):
            for name in ("SHLX", "SARX", "SHRX"):
                code = encoder.vex_rr(words()[f"X86_{name}"] | w, d, b, a)
                check(code, name.lower(), [names[d], names[a], names[b]])
        for d, a in itertools.product(REGISTERS, REGISTERS):
            start = encoder.state.pos
            encoder.vex_rr(words()["X86_RORX"] | w, d, 0, a)
            encoder.imm8(27)
            check(encoder.bytes(start), "rorx", [names[d], names[a], 27])


def test_rounding() -> None:
    encoder = Encoder(1 << 20)
    for name, mnemonic in (("X86_ROUNDSS", "roundss"), ("X86_ROUNDSD", "roundsd")):
        for d, a, mode in itertools.product(REGISTERS, REGISTERS, (8, 9, 10, 11)):
            start = encoder.state.pos
            encoder.x86_rr(words()[name], d, a)
            encoder.imm8(mode)
            check(encoder.bytes(start), mnemonic, [f"xmm{d}", f"xmm{a}", mode])
            start = encoder.state.pos
            encoder.vex_rr(words()[name], d, a, a)
            encoder.imm8(mode)
            check(encoder.bytes(start), "v" + mnemonic, [f"xmm{d}", f"xmm{a}", f"xmm{a}", mode])


IMMEDIATES = (0, 1, -1, 127, 128, -128, -129, 255, 0x1234, 0x7FFFFFFF, -0x80000000)
ALU_DIGITS = {"add": 0, "or": 1, "and": 4, "sub": 5, "xor": 6, "cmp": 7}


def test_alu_immediates() -> None:
    encoder = Encoder(1 << 20)
    for (name, digit), rm, imm in itertools.product(ALU_DIGITS.items(), REGISTERS, IMMEDIATES):
        for w, bits in ((0, 32), (W, 64)):
            code = encoder.x86_alu_imm(digit, w, rm, imm)
            if imm == 128 and name in ("add", "sub"):
                check(code, {"add": "sub", "sub": "add"}[name], [NAMES[bits][rm], -128])
            else:
                check(code, name, [NAMES[bits][rm], imm])
            short = -128 <= imm <= 127 or (imm == 128 and name in ("add", "sub"))
            assert len(code) == (3 if short else 6) + (1 if w or rm >= 8 else 0)


def test_moved_immediates() -> None:
    encoder = Encoder(1 << 20)
    values = {0, 1, 127, 128, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 1 << 32, 0x123456789ABCDEF0, 1 << 63}
    values |= {(1 << 64) - value for value in (1, 128, 129, 0x80000000, 0x80000001)}
    for rm, value, keep in itertools.product(REGISTERS, sorted(values), (False, True)):
        insn = decode(encoder.x86_mov_imm(rm, _u64(value), keep))
        if value == 0 and not keep:
            assert insn.mnemonic == "xor" and insn.op_str == f"{NAMES[32][rm]}, {NAMES[32][rm]}"
            continue
        assert insn.mnemonic in ("mov", "movabs")
        bits = 32 if value < 1 << 32 else 64
        assert insn.reg_name(insn.operands[0].reg) == NAMES[bits][rm]
        assert insn.operands[1].imm % (1 << 64) == value
        assert insn.size == (5 + (rm >= 8) if bits == 32 else 7 if value >= (1 << 64) - 0x80000000 else 10)


def _u64(value: int) -> object:
    return ctypes.c_uint64(value)


def test_shifts_unary_and_the_like() -> None:
    encoder = Encoder(1 << 20)

    def emitted(word: str, digit: int, rm: int, w: int = 0, *imm: int) -> bytes:
        start = encoder.state.pos
        encoder.x86_rr(words()[word] | w, digit, rm)
        for value in imm:
            encoder.imm8(value)
        return encoder.bytes(start)

    for rm, (w, bits) in itertools.product(REGISTERS, ((0, 32), (W, 64))):
        name = NAMES[bits][rm]
        for mnemonic, digit in (("rol", 0), ("ror", 1), ("shl", 4), ("shr", 5), ("sar", 7)):
            check(emitted("X86_SHIFT_CL", digit, rm, w), mnemonic, [name, "cl"])
            for count in (0, 1, 2, 31, bits - 1):
                code = encoder.x86_shift_imm(digit, w, rm, count)
                check(code, mnemonic, [name, count] if count != 1 else [name, 1])
        for mnemonic, digit in (("not", 2), ("neg", 3), ("div", 6), ("idiv", 7)):
            check(emitted("X86_UNARY", digit, rm, w), mnemonic, [name])
        check(emitted("X86_ALU_IMM8", 2, rm, w, 0), "adc", [name, 0])
        check(emitted("X86_TEST_IMM32", 0, rm, w, 1, 2, 3, 4), "test", [name, 0x04030201])
        check(emitted("X86_TEST8_IMM8", 0, rm, 0, 0x81), "test", [NAMES[8][rm], 0x81])
        check(emitted("X86_BT_IMM8", 7, rm, w, 63), "btc", [name, 63])
        check(emitted("X86_MOV_IMM32", 0, rm, w, 1, 2, 3, 4), "mov", [name, 0x04030201])
        check(emitted("X86_INDIRECT", 2, rm), "call", [R64[rm]])
        check(emitted("X86_INDIRECT", 4, rm), "jmp", [R64[rm]])
        for reg in REGISTERS:
            start = encoder.state.pos
            encoder.x86_rr(words()["X86_IMUL_IMM8"] | w, reg, rm)
            encoder.imm8(-3)
            check(encoder.bytes(start), "imul", [NAMES[bits][reg], name, -3])
            start = encoder.state.pos
            encoder.x86_rr(words()["X86_IMUL_IMM32"] | w, reg, rm)
            encoder.imm32(-300)
            check(encoder.bytes(start), "imul", [NAMES[bits][reg], name, -300])
        check(encoder.x86_push(rm), "push", [R64[rm]])
        check(encoder.x86_pop(rm), "pop", [R64[rm]])
    for cc in range(16):
        names = "o no b ae e ne be a s ns p np l ge le g".split()
        check(encoder.x86_rr(words()["X86_CMOV"] + cc | W, 3, 12), f"cmov{names[cc]}", ["rbx", "r12"])
        check(encoder.x86_rr(words()["X86_SETCC"] + cc, 0, 6), f"set{names[cc]}", ["sil"])


# format + bytes, checked by hand or with another assembler
LITERAL = [
    ("x86_rr", (0x01, 1, 0), "01c8", "add eax, ecx"),
    ("x86_rr", (0x01 | W, 9, 15), "4d01cf", "add r15, r9"),
    ("x86_rm", (0x8B, 0, mem(15, 1)), "418b040f", "mov eax, dword ptr [r15 + rcx]"),
    ("x86_rm", (0x8B | W, 9, mem(15, 13, 0, 0x10)), "4f8b4c2f10", "mov r9, qword ptr [r15 + r13 + 0x10]"),
    ("x86_rm", (0x8B, 6, mem(5)), "8b7500", "mov esi, dword ptr [rbp]"),
    ("x86_rm", (0x8B, 6, mem(13)), "418b7500", "mov esi, dword ptr [r13]"),
    ("x86_rm", (0x8B, 6, mem(4, NONE, 0, 8)), "8b742408", "mov esi, dword ptr [rsp + 8]"),
    ("x86_rm", (0x8B, 6, mem(12, NONE, 0, 128)), "418bb42480000000", "mov esi, dword ptr [r12 + 0x80]"),
    ("x86_rm", (0xFF, 4, mem(NONE, 1, 3, 0x1000)), "ff24cd00100000", "jmp qword ptr [rcx*8 + 0x1000]"),
    (
        "x86_rm",
        (words()["X86_XADD"] | LOCK, 1, mem(15, 2)),
        "f0410fc10c17",
        "lock xadd dword ptr [r15 + rdx], ecx",
    ),
    ("x86_rm", (words()["X86_MOVZX8"], 8, mem(15, 8)), "470fb60407", "movzx r8d, byte ptr [r15 + r8]"),
    ("x86_rm", (words()["X86_MOV8"], 6, mem(15, 0)), "41883407", "mov byte ptr [r15 + rax], sil"),
    (
        "x86_rm",
        (words()["X86_MOVS_LOAD"] | F2, 9, mem(15, 0)),
        "f2450f100c07",
        "movsd xmm9, qword ptr [r15 + rax]",
    ),
    ("x86_rr", (words()["X86_CVTSI2S"] | F2 | W, 3, 9), "f2490f2ad9", "cvtsi2sd xmm3, r9"),
    ("x86_rr", (words()["X86_MOVD_TO_X"] | W, 14, 1), "664c0f6ef1", "movq xmm14, rcx"),
    ("vex_rr", (words()["X86_ADDS"] | F2, 0, 1, 2), "c5f358c2", "vaddsd xmm0, xmm1, xmm2"),
    ("vex_rr", (words()["X86_ADDS"] | F3, 8, 9, 10), "c4413258c2", "vaddss xmm8, xmm9, xmm10"),
    ("vex_rr", (words()["X86_SHLX"] | W, 0, 1, 2), "c4e2f1f7c2", "shlx rax, rdx, rcx"),
    ("x86_push", (13,), "4155", "push r13"),
    ("x86_bytes", (0xFA1E0FF3, 4), "f30f1efa", "endbr64"),
    ("x86_bytes", (0xCB010F, 3), "0f01cb", "stac"),
    ("x86_bytes", (0xCA010F, 3), "0f01ca", "clac"),
    ("x86_bytes", (0xE8AE0F, 3), "0faee8", "lfence"),
    ("x86_bytes", (0x9948, 2), "4899", "cqo"),
]


@pytest.mark.parametrize(
    ("function", "args", "expected", "meaning"), LITERAL, ids=[line[3] for line in LITERAL]
)
def test_literal(function: str, args: tuple[object, ...], expected: str, meaning: str) -> None:
    code = getattr(Encoder(), function)(*args)
    assert (code.hex(), text(code)) == (expected, meaning)


def test_nops_and_alignment() -> None:
    encoder = Encoder()
    for count in range(64):
        code = encoder.x86_nops(count)
        assert len(code) == count
        assert {insn.mnemonic for insn in disassembler().disasm(code, 0)} <= {"nop"}
    for alignment in (8, 16, 64):
        for filler in range(3):
            encoder.x86_nops(filler)
            encoder.x86_align(alignment, filler == 1)
            assert encoder.state.pos % alignment == 0


BOUNDARIES = (
    0,
    1,
    2,
    5,
    125,
    126,
    127,
    128,
    129,
    130,
    131,
    132,
    133,
    134,
    0x7FFF,
    0x8000,
    0xFFFF,
    0x10000,
    0x20000,
)


@pytest.mark.parametrize("distance", BOUNDARIES)
def test_branch_distances(distance: int) -> None:
    """Backward to a known target: the shortest form, of all branches; forward, both forms."""
    for name, args, short, long in (("x86_jmp_to", (), 2, 5), ("x86_jcc_to", (4,), 2, 6)):
        encoder = Encoder(1 << 18)
        encoder.x86_nops(distance)
        start = encoder.state.pos
        code = getattr(encoder, name)(*args, 0)
        assert len(code) == (short if distance + short <= 128 else long)
        assert decode(code, start).operands[0].imm == 0
    for is_short in (True, False):
        for name, args in (("x86_jmp", ()), ("x86_jcc", (12,)), ("x86_call", ())):
            if name == "x86_call" and is_short:
                continue
            encoder = Encoder(1 << 18)
            encoder.x86_nops(7)
            code = getattr(encoder, name)(*args, is_short) if name != "x86_call" else encoder.x86_call()
            at = encoder.result
            size = len(code)
            encoder.x86_nops(distance)
            target = encoder.state.pos
            if is_short:
                encoder.patch8(at, target)
                if distance > 127:
                    assert encoder.state.error == -34
                    assert encoder.bytes(at)[0] == 0, "never another target"
                    continue
            else:
                encoder.patch32(at, target)
            assert encoder.state.error == 0
            assert decode(encoder.bytes(7)[:size], 7).operands[0].imm == target


def test_growth_and_its_limit() -> None:
    encoder = Encoder(4096)
    wanted = b""
    for k in range(5000):
        wanted += encoder.x86_mov_imm(k % 16, _u64(k * 0x100000001 + 1), False)
    assert encoder.bytes() == wanted and encoder.state.error == 0
    # At the limit an error, and nothing outside the buffer is touched.
    encoder.state.pos = encoder.state.size
    encoder.state.size = 512 << 20
    encoder.state.pos = encoder.state.size - 8
    encoder.x86_push(0)
    assert encoder.state.error == -7 and encoder.state.pos < 64
