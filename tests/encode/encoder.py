# SPDX-License-Identifier: GPL-2.0-only
"""kmod/core/emit_x86.c as a shared library, called through ctypes, and capstone to read it."""

from __future__ import annotations

import ctypes
import os
import re
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, Final

import capstone

ROOT: Final = Path(__file__).resolve().parent.parent.parent
CORE: Final = ROOT / "kmod" / "core"

RIP, NONE = 16, 17
R32: Final = ("eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi", *(f"r{i}d" for i in range(8, 16)))
R64: Final = ("rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", *(f"r{i}" for i in range(8, 16)))
R16: Final = ("ax", "cx", "dx", "bx", "sp", "bp", "si", "di", *(f"r{i}w" for i in range(8, 16)))
R8: Final = ("al", "cl", "dl", "bl", "spl", "bpl", "sil", "dil", *(f"r{i}b" for i in range(8, 16)))
XMM: Final = tuple(f"xmm{i}" for i in range(16))
NAMES: Final = {8: R8, 16: R16, 32: R32, 64: R64, 128: XMM}

_SHIM: Final = """
#include <stdlib.h>
#include "emit_x86.h"
void *wj_alloc(size_t size) { return calloc(1, size); }
void wj_free(void *p) { free(p); }
"""


class Emit(ctypes.Structure):
    _fields_ = (
        ("code", ctypes.POINTER(ctypes.c_uint8)),
        ("pos", ctypes.c_uint32),
        ("size", ctypes.c_uint32),
        ("error", ctypes.c_int),
    )


class Mem(ctypes.Structure):
    _fields_ = (
        ("base", ctypes.c_uint8),
        ("index", ctypes.c_uint8),
        ("scale", ctypes.c_uint8),
        ("disp", ctypes.c_int32),
    )


@cache
def library() -> ctypes.CDLL:
    directory = Path(os.environ.get("WJ_BUILD", ROOT / "build")) / "encode"
    directory.mkdir(parents=True, exist_ok=True)
    target = directory / "emit.so"
    command = ["gcc", "-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-fsanitize=undefined",
               "-fsanitize-undefined-trap-on-error", f"-I{CORE}", f"-I{ROOT / 'kmod/user'}", "-x", "c", "-",
               "-x", "none", str(CORE / "emit_x86.c"), "-o", str(target)]  # fmt: skip
    subprocess.run(command, input=_SHIM, text=True, check=True)
    return ctypes.CDLL(str(target))


class Encoder:
    """One buffer.  Calling ``encoder.x(...)`` is ``wj_x(&buffer, ...)``; the bytes it wrote."""

    def __init__(self, size: int = 1 << 16) -> None:
        self.state = Emit()
        assert library().wj_emit_init(ctypes.byref(self.state), size) == 0

    def __del__(self) -> None:
        library().wj_emit_deinit(ctypes.byref(self.state))

    def __getattr__(self, name: str) -> Callable[..., bytes]:
        function = getattr(library(), f"wj_{name}")

        def call(*args: Any) -> bytes:
            start = self.state.pos
            self.result = function(ctypes.byref(self.state), *args)
            return self.bytes(start)

        return call

    def bytes(self, start: int = 0) -> bytes:
        return bytes(self.state.code[start : self.state.pos])


def mem(base: int = NONE, index: int = NONE, scale: int = 0, disp: int = 0) -> Mem:
    return Mem(base, index, scale, disp)


@cache
def disassembler() -> capstone.Cs:
    cs = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
    cs.detail = True
    return cs


def decode(code: bytes, address: int = 0) -> capstone.CsInsn:
    """The one instruction that the bytes are."""
    (insn,) = disassembler().disasm(code, address)
    assert insn.size == len(code), f"{insn.mnemonic} {insn.op_str} of {code.hex()}"
    return insn


def text(code: bytes, address: int = 0) -> str:
    insn = decode(code, address)
    return f"{insn.mnemonic} {insn.op_str}".strip()


@cache
def words() -> dict[str, int]:
    """enum wj_x86 of emit_x86.h by name."""
    source = (CORE / "emit_x86.h").read_text()
    constants: dict[str, int] = {}
    for name, value in re.findall(r"#define (X86_\w+)\s+\((\d+u << \d+)\)", source):
        constants[name] = eval(value.replace("u", ""))
    constants["X86_BYTES"] = constants["X86_BYTE_REG"] | constants["X86_BYTE_RM"]
    body = re.sub(r"/\*.*?\*/", "", source.split("enum wj_x86 {")[1].split("};")[0], flags=re.S)
    found = {}
    for entry in body.split(","):
        name, _, value = entry.partition("=")
        found[name.strip()] = eval(value, {}, constants)
    return found | {"": constants["X86_W"]}


W: Final = 1 << 12
LOCK: Final = 1 << 15
