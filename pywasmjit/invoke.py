# SPDX-License-Identifier: GPL-2.0-only
"""`pywasmjit exec --invoke`: call one exported function, print its results.

Arguments and results cross as raw bits (kmod/host/invoke.c); text is made of them here, where there is
a language that can print floating point numbers.
"""

from __future__ import annotations

import ctypes
import math
import os
import signal
import struct
import subprocess
from collections.abc import Sequence
from pathlib import Path

from pywasmjit import image
from pywasmjit.errors import ModuleError, UsageError

FUNCTION = image.KIND_NAMES.index("func")
_NULL_REFERENCE = 0xFFFFFFFF  # WJ_NULL_REF of core.h
_FLOATS = {"f32": ("<f", "<I"), "f64": ("<d", "<Q")}


def parse(text: str, kind: str) -> int:
    """The bits of an argument: decimal or 0x numbers, signed or not; floats as Python reads them."""
    try:
        if kind in _FLOATS:
            as_float, as_int = _FLOATS[kind]
            return int(struct.unpack(as_int, struct.pack(as_float, float(text)))[0])
        if kind in ("i32", "i64"):
            bits = int(kind[1:])
            value = int(text, 0)
            if -(1 << bits - 1) <= value < 1 << bits:
                return value % (1 << bits)
            raise UsageError(f"{text} does not fit into {kind}")
    except (ValueError, OverflowError) as error:
        raise UsageError(f"{text!r} is not a number of type {kind}") from error
    raise UsageError(f"a {kind} cannot be given on the command line")


def show(bits: int, kind: str) -> str:
    """A result as text: integers signed, floats with as few digits as tell them apart."""
    if kind in ("i32", "i64"):
        width = int(kind[1:])
        bits &= (1 << width) - 1
        return str(bits - (1 << width) if bits >> width - 1 else bits)
    if kind == "f64":
        return repr(struct.unpack("<d", struct.pack("<Q", bits))[0])
    if kind == "f32":
        value = struct.unpack("<f", struct.pack("<I", bits & 0xFFFFFFFF))[0]
        if not math.isfinite(value):
            return repr(value)
        for digits in range(1, 9):
            shorter = float(f"{value:.{digits}g}")
            if ctypes.c_float(shorter).value == value:
                return repr(shorter)
        return repr(float(f"{value:.9g}"))
    return "null" if bits & 0xFFFFFFFF == _NULL_REFERENCE else kind


def function_type(data: bytes, name: str) -> tuple[list[str], list[str]]:
    """Names of the types of an image's exported function: parameters and results."""
    parsed = image.read_image(data)
    exported = {e.name: e.number for e in parsed.exports if e.kind == FUNCTION}
    if name not in exported:
        known = ", ".join(sorted(exported)[:20]) or "none"
        raise ModuleError(f"no exported function {name!r}; there are: {known}")
    imported = [i.type for i in parsed.imports if i.kind == FUNCTION]
    index = exported[name]
    kind = imported[index] if index < len(imported) else parsed.functions[index - len(imported)]
    if not isinstance(kind, int):
        raise ModuleError("a function import without a type")
    parameters, results = parsed.types[kind]
    return [image.TYPE_NAMES[t] for t in parameters], [image.TYPE_NAMES[t] for t in results]


def run(
    program: Path, command: Sequence[str], environment: dict[str, str], descriptor: int, name: str,
    arguments: Sequence[str],
) -> int:
    """Call it in a launcher of its own; results go to standard output, a line each.

    The exit status is the launcher's; where that dies of a signal, so does this process.
    """  # fmt: skip
    with open(descriptor, "rb", closefd=False) as file:
        file.seek(0)
        parameters, results = function_type(file.read(), name)
    if len(arguments) != len(parameters):
        wanted = f"{len(parameters)} arguments ({', '.join(parameters)})"
        raise UsageError(f"{name} takes {wanted}, not {len(arguments)}")
    reader, writer = os.pipe()
    os.set_inheritable(writer, True)
    settings = [f"invoke={name}", f"results={writer}"]
    settings += [f"arg={parse(text, kind):x}" for text, kind in zip(arguments, parameters, strict=True)]
    place = command.index("--")
    line = [*command[:place], *(f"--setting={s}" for s in settings), *command[place:]]
    old = signal.signal(signal.SIGINT, signal.SIG_IGN)  # the launcher's business
    try:
        child = subprocess.Popen(
            line, executable=program, env=environment, close_fds=False,
            preexec_fn=lambda: signal.signal(signal.SIGINT, old),
        )  # fmt: skip
        os.close(writer)
        with open(reader) as pipe:
            lines = pipe.read().split()
        status = child.wait()
    finally:
        signal.signal(signal.SIGINT, old)
    if status < 0:
        signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    if status == 0:
        for bits, kind in zip(lines, results, strict=True):
            print(show(int(bits, 16), kind))
    return status
