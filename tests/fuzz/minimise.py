# SPDX-License-Identifier: GPL-2.0-only
"""A module that shows a difference, made as small as it gets, and written down as a literal test.

Works on the instructions of the binary, so that it serves all generators: instructions are left
out, in runs and one by one, or replaced by constants, as long as the module stays valid (says
wasmtime) and still shows a difference of the same kind.
"""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import wasmtime

from pywasmjit.wasm import decode
from pywasmjit.wasm.disasm import instructions
from tests.fuzz.compare import Call, Difference, Engines, engine
from tests.verify.assemble import unsigned

CODE: Final = 10
ELEMENTS, DATA, DATA_COUNT = 9, 11, 12
FINDS: Final = Path(__file__).resolve().parent / "finds"

# What an instruction may be replaced by: less of everything first.
_CONSTANTS: Final = ((), (b"\x41\x00",), (b"\x42\x00",), (b"\x43" + bytes(4),), (b"\x44" + bytes(8),), (b"\x41\x01",))
_REPLACEMENTS: Final = tuple((b"\x1a",) * drops + constant for drops in range(4) for constant in _CONSTANTS) + ((b"\x00",),)
#: Not to be replaced, or it would never end: unreachable, drop, constants.
_SIMPLE: Final = b"\x00\x1a\x41\x42\x43\x44"

Body = tuple[bytes, list[bytes]]
"""The declaration of locals, and the instructions, the last `end` left out."""


def take_apart(raw: bytes) -> tuple[list[tuple[int, bytes]], list[Body]]:
    """Sections (custom ones left out), and the bodies of the code section."""
    module = decode(raw)
    sections = [(s.id, raw[s.start : s.end]) for s in module.sections if s.id]
    bodies = []
    position = next((s.start for s in module.sections if s.id == CODE), 0)
    _, position = _leb(raw, position) if module.functions else (0, 0)
    for function in module.functions:
        _, start = _leb(raw, position)
        offsets = [i.offset for i in instructions(raw, function.start, function.end)]
        cuts = [raw[a:b] for a, b in zip(offsets, offsets[1:], strict=False)]
        bodies.append((raw[start : function.start], cuts))
        position = function.end
    return sections, bodies


def _leb(raw: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = raw[position]
        position += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, position


def put_together(sections: Sequence[tuple[int, bytes]], bodies: Sequence[Body]) -> bytes:
    out = b"\0asm\1\0\0\0"
    for number, content in sections:
        if number == CODE:
            whole = [head + b"".join(cuts) + b"\x0b" for head, cuts in bodies]
            content = unsigned(len(whole)) + b"".join(unsigned(len(body)) + body for body in whole)
        out += bytes([number]) + unsigned(len(content)) + content
    return out


def kind(difference: str) -> str:
    """What must stay the same: which engines, and what about them."""
    text = re.sub(r"0x[0-9a-f]+|\d+|'[^']*'|\[[^]]*\]", "", difference.splitlines()[0])
    return re.sub(r":[^:]*\(.*?\)", ":call", text)[:60]


class Minimiser:
    def __init__(self, engines: Engines, raw: bytes, calls: Sequence[Call], seed: int, budget: int = 6000) -> None:
        self.engines = engines
        self.calls = list(calls)
        self.seed = seed
        self.left = budget
        self.sections, self.bodies = take_apart(raw)
        self.message = ""
        self.wanted = ""
        found = self.attempt(raw, self.calls)
        if not found:
            raise ValueError("no difference to minimise")
        self.message, self.wanted = found, kind(found)

    def attempt(self, raw: bytes, calls: Sequence[Call]) -> str:
        """The difference shown, "" if there is none."""
        self.left -= 1
        try:
            wasmtime.Module.validate(engine(), raw)
            self.engines.check(raw, calls, self.seed)
        except Difference as difference:
            return str(difference)
        except Exception:
            # Not valid, or no longer what we support.
            return ""
        return ""

    def good(self, bodies: Sequence[Body], calls: Sequence[Call] | None = None) -> bool:
        calls = self.calls if calls is None else calls
        found = self.attempt(put_together(self.sections, bodies), calls)
        if not found or kind(found) != self.wanted:
            return False
        self.message = found
        return True

    def run(self) -> None:
        self.fewer_calls()
        for number in (DATA, ELEMENTS):
            self.without(number)
        self.whole_bodies()
        size = 0
        while size != len(self.raw) and self.left > 0:
            size = len(self.raw)
            self.runs()
            self.single()
        self.fewer_calls()

    def fewer_calls(self) -> None:
        for i in reversed(range(len(self.calls))):
            fewer = self.calls[:i] + self.calls[i + 1 :]
            if self.good(self.bodies, fewer):
                self.calls = fewer

    def without(self, number: int) -> None:
        before = self.sections
        # The data count section goes with the data.
        gone = (number, DATA_COUNT) if number == DATA else (number,)
        self.sections = [section for section in before if section[0] not in gone]
        if not self.good(self.bodies):
            self.sections = before

    def replace(self, number: int, cuts: list[bytes]) -> bool:
        bodies = list(self.bodies)
        bodies[number] = (bodies[number][0], cuts)
        if self.left <= 0 or not self.good(bodies):
            return False
        self.bodies = bodies
        return True

    def whole_bodies(self) -> None:
        for number in range(len(self.bodies)):
            self.replace(number, [b"\x00"])

    def runs(self) -> None:
        for number in range(len(self.bodies)):
            length = len(self.bodies[number][1]) // 2
            while length:
                at = 0
                while at + length <= len(self.bodies[number][1]):
                    cuts = self.bodies[number][1]
                    if not any(self.replace(number, cuts[:at] + list(r) + cuts[at + length :]) for r in self.fillers(length)):
                        at += length if length > 6 else 1
                length = length * 2 // 3 if length > 1 else 0

    @staticmethod
    def fillers(length: int) -> tuple[tuple[bytes, ...], ...]:
        return _CONSTANTS if length > 2 else _CONSTANTS[:1]

    def single(self) -> None:
        """One instruction by something simpler; a block's two ends together."""
        for number in range(len(self.bodies)):
            at = 0
            while at < len(self.bodies[number][1]):
                cuts = self.bodies[number][1]
                if not any(self.replace(number, new) for new in self.simpler(cuts, at)):
                    at += 1

    def simpler(self, cuts: list[bytes], at: int) -> Iterator[list[bytes]]:
        end = _end_of(cuts, at)
        if end is not None:
            for replacement in _REPLACEMENTS:
                yield cuts[:at] + list(replacement) + cuts[end + 1 :]
            yield cuts[:at] + cuts[at + 1 : end] + cuts[end + 1 :]
        for later in range(at + 1, min(at + 12, len(cuts))):
            if cuts[later] == b"\x1a":
                yield cuts[:at] + cuts[at + 1 : later] + cuts[later + 1 :]
        if cuts[at][0] in _SIMPLE or cuts[at] in (b"\x05", b"\x0b"):
            return
        for replacement in _REPLACEMENTS:
            if len(replacement) == 1 or end is None:
                yield cuts[:at] + list(replacement) + cuts[at + 1 :]

    @property
    def raw(self) -> bytes:
        return put_together(self.sections, self.bodies)


def _end_of(cuts: list[bytes], at: int) -> int | None:
    """Where the `end` of the block that starts at `at` is."""
    if cuts[at][0] not in (0x02, 0x03, 0x04):
        return None
    depth = 0
    for i in range(at, len(cuts)):
        depth += cuts[i][0] in (0x02, 0x03, 0x04)
        depth -= cuts[i][0] == 0x0B
        if not depth:
            return i
    return None


def text_of(raw: bytes) -> str:
    """As WebAssembly text, by wabt."""
    with tempfile.NamedTemporaryFile(suffix=".wasm") as file:
        file.write(raw)
        file.flush()
        done = subprocess.run(["wasm2wat", "--enable-all", file.name], capture_output=True, text=True, check=True)
    return done.stdout


def write(name: str, raw: bytes, calls: Sequence[Call], seed: int, why: str, directory: Path = FINDS) -> Path:
    """A test as a file: test_differential.py runs whatever is there."""
    directory.mkdir(exist_ok=True)
    path = directory / f"{name}.wat"
    lines = [f";; {line}" for line in why.splitlines()[:4]]
    lines += [f";; seed {seed}"] + [f";; call {json.dumps([export, *map(hex, args)])}" for export, args in calls]
    path.write_text("\n".join(lines) + "\n" + text_of(raw))
    return path


def read(path: Path) -> tuple[bytes, list[Call], int]:
    """Module, calls and seed of such a file."""
    text = path.read_text()
    calls = []
    seed = 0
    for line in text.splitlines():
        words = line.split()
        if words[:2] == [";;", "call"]:
            # In JSON: a name may be anything.
            name, *args = json.loads(line.removeprefix(";; call "))
            calls.append((name, tuple(int(word, 16) for word in args)))
        elif words[:2] == [";;", "seed"]:
            seed = int(words[2])
    return bytes(wasmtime.wat2wasm(text)), calls, seed


def minimise(engines: Engines, raw: bytes, calls: Sequence[Call], seed: int, check: Callable[[str], None] = print) -> Minimiser:
    found = Minimiser(engines, raw, calls, seed)
    check(f"minimise: {len(raw)} bytes, {len(calls)} calls: {found.message[:200]}")
    found.run()
    check(f"minimise: {len(found.raw)} bytes, {len(found.calls)} calls: {found.message[:200]}")
    return found
