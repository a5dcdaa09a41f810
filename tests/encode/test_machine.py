# SPDX-License-Identifier: GPL-2.0-only
"""Whole programs, compiled and read back: the rules of test_code.py and machine.py for each function."""

from __future__ import annotations

import os
import re
import struct
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache

import pytest
from build_guests import Builder
from guest_cache import default_root

from pywasmjit import _isa as isa
from pywasmjit import wast
from pywasmjit.errors import PywasmjitError
from pywasmjit.lower.pipeline import lower
from pywasmjit.wasm import decode, validate
from tests.encode import test_code
from tests.encode.engines import Engines, Variant
from tests.encode.machine import check_program
from tests.encode.test_code import COMPILED, MAGIC, Insn, Listing, listing
from tests.native.libcore import Core
from tests.verify.assemble import Body, Image, func_type, limits

NATIVE, ALL = COMPILED[0], COMPILED[-1]


@cache
def lowered(guest: str) -> tuple[bytes, int]:
    """The image of a guest program, and how many functions it imports."""
    builder = Builder(default_root(), os.cpu_count() or 1, lambda line: print(line, file=sys.stderr))
    (path,) = builder.result(guest).glob("*.wasm")
    module = decode(path.read_bytes())
    return lower(module), module.num_imported_functions


def read_back(process: Core, name: str, image: bytes, imports: int, variant: Variant) -> Listing:
    code = Engines(process, variant).code(image)
    process.reset()
    return listing(name, code, variant.mitigations, imports)


def check(found: Listing, image: bytes) -> int:
    """Every rule there is; the number of functions."""
    test_code.test_linear_memory_is_accessed_with_fixups_only([found])
    test_code.test_memory_operands_are_known([found])
    test_code.test_indirect_branches([found])
    test_code.test_direct_branches_hit_instructions([found])
    test_code.test_returns_and_landing_pads([found])
    test_code.test_access_control_is_off_in_c([found])
    return check_program(found, image)


@pytest.mark.parametrize("variant", [NATIVE, ALL], ids=lambda variant: variant.name)
def test_lua(process: Core, variant: Variant) -> None:
    image, imports = lowered("lua")
    assert check(read_back(process, "lua", image, imports, variant), image) > 500


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("variant", COMPILED, ids=lambda variant: variant.name)
@pytest.mark.parametrize("guest", ["nginx", "sqlite3", "lua"])
def test_guests(process: Core, guest: str, variant: Variant) -> None:
    image, imports = lowered(guest)
    assert check(read_back(process, guest, image, imports, variant), image) > 500


def suite() -> Iterator[tuple[str, bytes, int]]:
    """All modules of the official test suite that are valid and not empty."""
    for script in wast.converted_suite():
        for k, path in enumerate(sorted(script.parent.glob(f"{script.stem}.*.wasm"))):
            try:
                module = decode(path.read_bytes())
                validate(module)
            except PywasmjitError:
                continue
            if module.functions:
                yield f"{script.stem} {k}", lower(module, jobs=1), module.num_imported_functions


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_official_suite(process: Core) -> None:
    functions = 0
    for k, (name, image, imports) in enumerate(suite()):
        for variant in (COMPILED[k % len(COMPILED)], NATIVE):
            functions += check(read_back(process, name, image, imports, variant), image)
    assert functions > 9_000


# ---------------------------------------------------------------------------- do the rules bite?

SOURCE = """
    MOV r8 r0
    SLOT_STORE r0 0
    CALL 0
    BR loop
loop: r8=i32 s0
    POLL
    SLOT_LOAD r1 0
    I32_LOAD r2 r1 8
    STORE32 r2 r1 16
    I32_ADD_IMM r8 r8 -1
    I32_BR_IF_IMM r8 NE 0 loop
    MOV r0 r8
    RET
"""


def small(process: Core) -> tuple[Listing, bytes]:
    body = Body(SOURCE, leaf=False, saved=3, slots=(2, 0, 0, 0, 0), outs=1)
    image = Image(types=[func_type("i", "i")], functions=[(0, body)], memories=[limits(1)]).build()
    return read_back(process, "small", image, 0, NATIVE), image


def edited(found: Listing, change: Callable[[Insn], str | None], count: int = 1) -> Listing:
    """With other text in the first ``count`` instructions of functions that ``change`` answers for."""
    insns = dict(found.insns)
    done = 0
    for insn in found.functions():
        text = change(insn)
        if text is not None and done < count:
            mnemonic, _, operands = text.partition(" ")
            insns[insn.at] = replace(insn, mnemonic=mnemonic, operands=operands)
            done += 1
    assert done == count
    return replace(found, insns=insns)


def text_of(pattern: str, other: str) -> Callable[[Insn], str | None]:
    return lambda insn: re.sub(pattern, other, insn.text) if re.search(pattern, insn.text) else None


BROKEN = {
    "stack check gone": (text_of(r"^cmp qword ptr \[r14 \+ 0x10\], rsp", "nop"), "prologue has not"),
    "another stack": (text_of(r"^cmp qword ptr \[r14 \+ 0x10\], rsp", "cmp qword ptr [r14 + 0x10], rcx"), "prologue has not"),
    "entry poll gone": (text_of(r"^cmp dword ptr \[r14 .*", "nop"), "prologue has not"),
    "saved register not pushed": (text_of(r"^push rbp", "nop"), "prologue has not"),
    "saved register not popped": (text_of(r"^pop rbp", "nop"), "bytes pushed"),
    "frame not released": (text_of(r"^add rsp, 0x.*", "nop"), "bytes pushed"),
    "store on a saved register": (text_of(r"^mov dword ptr \[rsp( \+ \w+)?\], eax", "mov dword ptr [rsp + 0x18], eax"), "store outside"),
    "store on the return address": (text_of(r"^mov dword ptr \[rsp( \+ \w+)?\], eax", "mov qword ptr [rsp + 0x28], rax"), "store outside"),
    "load of the return address": (text_of(r"^mov edx, dword ptr \[rsp.*\]", "mov rdx, qword ptr [rsp + 0x28]"), "load of a saved register"),
    "stack pointer copied": (text_of(r"^mov edx, dword ptr \[rsp.*\]", "mov rdx, rsp"), "stack pointer is copied"),
    "address on the stack": (text_of(r"^mov edx, dword ptr \[rsp.*\]", "lea rdx, [rsp + 8]"), "address on the stack"),
    "stack pointer written": (text_of(r"^mov edx, dword ptr \[rsp.*\]", "mov rsp, rdx"), "stack pointer is written"),
    "instance written": (text_of(r"^mov edx, dword ptr \[rsp.*\]", "mov r14, rdx"), "the instance's register"),
    "memory base written": (text_of(r"^mov edx, dword ptr \[rsp.*\]", "add r15, rdx"), "the memory's register"),
    "unsaved register": (text_of(r"^mov edx, dword ptr \[rsp.*\]", "mov r12d, edx"), "callee-saved register"),
    "system call": (text_of(r"^mov edx, dword ptr \[rsp.*\]", "syscall"), "not allowed"),
    "flags popped": (text_of(r"^mov edx, dword ptr \[rsp.*\]", "popfq"), "not allowed"),
    "push of a guest's value": (text_of(r"^mov edx, dword ptr \[rsp.*\]", "push rdx"), "bytes pushed"),
}  # fmt: skip


def test_atomics(process: Core) -> None:
    """Loops of their own, and addresses in r15 for a while: with every variant."""
    lines = [
        f"I32_ATOMIC_RMW r2 {base} {op} {offset}"
        for op in ("ADD", "AND", "XOR", "XCHG") for base in ("r0", "r1", "-") for offset in (0, 8, 0x5A4B3C20)
    ]  # fmt: skip
    source = "\n".join(line + "\nMOV r0 r1" for line in lines) + "\nRET"
    image = Image(types=[func_type("iii", "i")], functions=[(0, Body(source))], memories=[limits(1)]).build()
    for variant in COMPILED:
        found = read_back(process, "atomics", image, 0, variant)
        assert check(found, image) == 1
        if any(insn.text == "add r15, rcx" for insn in found.functions()):
            with pytest.raises(AssertionError, match="the memory's register"):
                check_program(edited(found, text_of(r"^mov r15, .*", "nop")), image)


@pytest.mark.parametrize("variant", COMPILED, ids=lambda v: v.name)
@pytest.mark.parametrize("op", [op.name for op in isa.OPS if op.format == "STI"])
@pytest.mark.parametrize("base", ["r1", "-"])
@pytest.mark.parametrize("offset", [8, MAGIC, MAGIC + (1 << 31)])
def test_a_constant_is_stored_at_once(
    process: Core, variant: Variant, op: str, base: str, offset: int
) -> None:
    """Blinded or not: who shares the memory sees what was there before or the constant, nothing else."""
    for value in (MAGIC, -MAGIC, 1):
        body = Body(f"{op} {base} {offset} {value}\nRET")
        image = Image(types=[func_type("ii")], functions=[(0, body)], memories=[limits(1)]).build()
        found = read_back(process, op, image, 0, variant)
        stores = [insn.text for insn in found.functions() if insn.memory and "r15" in insn.memory]
        assert len(stores) == 1 and re.match(r"(mov|movabs) ", stores[0]), stores
        assert len(found.code.fixups) == 1


def test_small_is_fine(process: Core) -> None:
    assert check(*small(process)) == 1


@pytest.mark.parametrize("name", BROKEN)
def test_broken_code_is_seen(process: Core, name: str) -> None:
    change, message = BROKEN[name]
    found, image = small(process)
    with pytest.raises(AssertionError, match=message):
        check_program(edited(found, change), image)


@pytest.mark.parametrize("slots", [29, 30])
def test_large_frame(process: Core, slots: int) -> None:
    """From 256 bytes on, callee-saved registers included, the frame counts."""
    body = Body(SOURCE, leaf=False, saved=3, slots=(slots, 0, 0, 0, 0), outs=1)
    image = Image(types=[func_type("i", "i")], functions=[(0, body)], memories=[limits(1)]).build()
    found = read_back(process, "large frame", image, 0, NATIVE)
    assert check(found, image) == 1
    limit = [insn.text for insn in found.functions() if re.match(r"lea rcx, \[rsp", insn.text)]
    assert limit == (["lea rcx, [rsp - 0x108]"] if slots == 30 else [])
    if limit:
        with pytest.raises(AssertionError, match="prologue has not"):
            check_program(edited(found, text_of(r"^lea rcx, \[rsp - .*", "lea rcx, [rsp - 0x100]")), image)


def test_loop_without_a_poll_is_seen(process: Core) -> None:
    found, image = small(process)
    polls = [insn.at for insn in found.functions() if insn.text.startswith("cmp dword ptr [r14")]
    with pytest.raises(AssertionError, match="a way round without a poll"):
        check_program(edited(found, lambda insn: "nop" if insn.at == polls[1] else None), image)


def test_no_way_without_a_poll_is_long(process: Core) -> None:
    """Straight on, and where each branch leads around one: of functions that call nothing, too."""
    add = "I32_ADD r0 r0 r1\n"
    ways = [add * 5000 + "RET"]
    ways.append(
        "".join(f"{add * 100}I32_BR_IF_IMM r0 EQ 1 around{k}\n{add * 80}around{k}: r0=i32 r1=i32\n" for k in range(50)) + "RET"
    )
    for source in ways:
        image = Image(types=[func_type("ii", "i")], functions=[(0, Body(source))], memories=[limits(1)]).build()
        found = read_back(process, "long", image, 0, NATIVE)
        assert check(found, image) == 1
        polls = [insn.at for insn in found.functions() if insn.text.startswith("cmp dword ptr [r14")]
        assert len(polls) >= source.count("I32_ADD") * 3 // 600

        def poll(insn: Insn, polls: list[int] = polls) -> str | None:
            return "nop" if insn.at in polls else None

        with pytest.raises(AssertionError, match="a long way without a poll"):
            check_program(edited(found, poll, len(polls)), image)


def test_access_without_a_fixup_is_seen(process: Core) -> None:
    found, image = small(process)
    fixups = dict(found.code.fixups)
    fixups.popitem()
    with pytest.raises(AssertionError):
        check(replace(found, code=replace(found.code, fixups=fixups)), image)


def test_call_without_a_site_is_seen(process: Core) -> None:
    found, image = small(process)
    call = next(insn for insn in found.functions() if insn.target in found.code.entries)
    sites = {at: offset for at, offset in found.code.sites.items() if at != call.at + call.size}
    with pytest.raises(AssertionError, match="call without a site"):
        check_program(replace(found, code=replace(found.code, sites=sites)), image)


def test_jump_tables_are_followed(process: Core) -> None:
    """A table that goes back without a poll: not from the bytecode, which the verifier would refuse."""
    blocks = "\n".join(f"b{k}: r0=i32\nI32_ADD_IMM r0 r0 {k}\nRET" for k in range(8))
    body = Body(f"BR_TABLE r0 {' '.join(f'b{k}' for k in range(8))}\n{blocks}")
    image = Image(types=[func_type("i", "i")], functions=[(0, body)], memories=[limits(1)]).build()
    found = read_back(process, "table", image, 0, NATIVE)
    assert check(found, image) == 1
    code = bytearray(found.code.code)
    table = next(
        int(match[1], 16) - found.code.base
        for insn in found.functions()
        if (match := re.search(r"jmp qword ptr \[rcx\*8 \+ (0x[0-9a-f]+)\]", insn.text))
    )
    struct.pack_into("<Q", code, table, found.code.entries[0] + found.code.base)
    with pytest.raises(AssertionError, match="a way round without a poll"):
        check_program(replace(found, code=replace(found.code, code=bytes(code))), image)
