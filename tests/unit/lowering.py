# SPDX-License-Identifier: GPL-2.0-only
"""Helpers of the tests of lowering: wat in, IR text out."""

from __future__ import annotations

import re
import subprocess
from functools import cache
from textwrap import dedent

from pywasmjit.lower import ir
from pywasmjit.lower.build import build
from pywasmjit.lower.info import ModuleInfo
from pywasmjit.lower.passes import BASIC, optimise
from pywasmjit.lower.verify import verify
from pywasmjit.wasm import Module, decode, validate


@cache
def assemble(wat: str) -> bytes:
    """A module in text form to its bytes, with wabt."""
    command = ["wat2wasm", "--enable-threads", "--debug-names", "-o", "/dev/stdout", "-"]
    return subprocess.run(command, input=wat.encode(), capture_output=True, check=True).stdout


def module(wat: str) -> Module:
    """A validated module from text."""
    found = decode(assemble(wat))
    validate(found)
    return found


def lowered(wat: str, index: int = -1) -> ir.Function:
    """The last function (or the one with that index), built, optimised and verified."""
    info = ModuleInfo.of(module(wat))
    fn = build(info, index if index >= 0 else len(info.functions) - 1)
    optimise(fn)
    verify(fn, info)
    return fn


def built(wat: str) -> ir.Function:
    """The last function, with no more passes than the back needs."""
    info = ModuleInfo.of(module(wat))
    fn = build(info, len(info.functions) - 1)
    for run in BASIC:
        run(fn)
    verify(fn, info)
    return fn


def text(fn: ir.Function) -> str:
    """The dump without its first line; parameters are p0.., the others v0.. as they appear."""
    body = ir.dump(fn).split("\n", 1)[1]
    names = {v: f"p{i}" for v, i in re.findall(r"(v\d+):\w+ = PARAM \[(\d+)\]", body)}
    count = len(names)
    return re.sub(r"\bv\d+\b", lambda m: names.setdefault(m.group(), f"v{len(names) - count}"), body)


def check(wat: str, expected: str, index: int = -1) -> None:
    """Compare the IR of a module's function with a literal text."""
    assert text(lowered(wat, index)).strip() == dedent(expected).strip()


def function(body: str, kind: str = "(param i32 i32) (result i32)", module: str = "") -> str:
    """A module with one function of that type around a body."""
    return f"(module (memory 1 100) {module} (func {kind} {body}))"


def instructions(body: str, kind: str = "(param i32 i32) (result i32)", module: str = "") -> str:
    """Instructions of a straight-line function, without parameters and the final RET."""
    lines = [line.strip() for line in text(lowered(function(body, kind, module))).splitlines()]
    return "\n".join(line for line in lines if "PARAM" not in line and not line.startswith(("RET", "b0:")))
