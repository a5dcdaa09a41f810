# SPDX-License-Identifier: GPL-2.0-only
"""Run the official test suite's scripts: every assertion, on one engine.

Modules are decoded, validated and lowered here; the launcher's script mode (kmod/user/script.c)
instantiates and calls them.  Each assertion passes, fails, or is skipped with a reason.
"""

from __future__ import annotations

import struct
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from pywasmjit import launch, wast
from pywasmjit.errors import HostUnavailableError, ModuleError
from pywasmjit.wasm.opcodes import EXTERNREF, F32, F64, FUNCREF, I32, I64

TEXT_FORMAT = "malformed text format: pywasmjit reads only the binary format"
NULL = 0xFFFFFFFF
MAX_SHOWN = 40


@dataclass(frozen=True)
class Failure:
    """One assertion that did not hold."""

    script: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.script}:{self.line}: {self.text}"


@dataclass
class Report:
    """Counts over any number of scripts."""

    passed: int = 0
    failures: list[Failure] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)

    def summary(self) -> str:
        """`N passed, 0 failed, K skipped`."""
        skipped = sum(self.skipped.values())
        return f"{self.passed} passed, {len(self.failures)} failed, {skipped} skipped"


class Script:
    """The launcher in script mode; answers are (word, rest of the line)."""

    def __init__(self, engine: str, command: Sequence[str | Path] = ()) -> None:
        self._process = subprocess.Popen(
            [*(command or [launch.launcher()]), f"--engine={engine}", "--script"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._next = 0

    def __enter__(self) -> Script:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.communicate()

    def ask(self, line: str, data: bytes = b"") -> tuple[str, str]:
        """Send one command; HostUnavailableError if the launcher died of it."""
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            self._process.stdin.write(line.encode() + b"\n" + data)
            self._process.stdin.flush()
            answer = self._process.stdout.readline().decode()
        except BrokenPipeError:
            answer = ""
        if not answer:
            raise HostUnavailableError(f"the launcher ended ({self._process.wait()}) at: {line[:80]}")
        word, _, rest = answer.rstrip("\n").partition(" ")
        return word, rest

    def module(self, image: bytes) -> tuple[int, tuple[str, str]]:
        """Instantiate an image: its number and the answer."""
        self._next += 1
        return self._next, self.ask(f"module {self._next:x} {len(image):x}", image)


def _hex(text: str) -> str:
    return text.encode().hex() or "-"


# The module that the suite's scripts import from: print functions, and one of everything else.
def spectest() -> bytes:
    """A wasm module with the exports of the reference interpreter's `spectest`."""
    kinds = {"": b"", "_i32": b"\x7f", "_i64": b"\x7e", "_f32": b"\x7d", "_f64": b"\x7c",
             "_i32_f32": b"\x7f\x7d", "_f64_f64": b"\x7c\x7c"}
    types = b"".join(b"\x60" + bytes([len(p)]) + p + b"\x00" for p in kinds.values())
    n = len(kinds)
    globals_ = (
        b"\x7f\x00\x41\x9a\x05\x0b" + b"\x7e\x00\x42\x9a\x05\x0b"
        + b"\x7d\x00\x43" + struct.pack("<f", 666.6) + b"\x0b"
        + b"\x7c\x00\x44" + struct.pack("<d", 666.6) + b"\x0b"
    )
    exports = [(f"print{name}", 0, i) for i, name in enumerate(kinds)]
    exports += [("table", 1, 0), ("memory", 2, 0)]
    exports += [(f"global_{t}", 3, i) for i, t in enumerate(("i32", "i64", "f32", "f64"))]
    export_bytes = b"".join(
        bytes([len(name)]) + name.encode() + bytes([kind, index]) for name, kind, index in exports
    )
    body = b"\x02\x00\x0b"

    def section(number: int, count: int, payload: bytes) -> bytes:
        payload = bytes([count]) + payload
        size = len(payload)
        leb = bytes([size]) if size < 128 else bytes([size & 127 | 128, size >> 7])
        return bytes([number]) + leb + payload

    return b"".join((
        b"\0asm\1\0\0\0",
        section(1, n, types),
        section(3, n, bytes(range(n))),
        section(4, 1, b"\x70\x01\x0a\x14"),
        section(5, 1, b"\x01\x01\x02"),
        section(6, 4, globals_),
        section(7, len(exports), export_bytes),
        section(10, n, body * n),
    ))


def _argument(value: wast.Value) -> str:
    return f"{NULL if value.bits is None else value.bits:x}"


def _matches(value: wast.Value, bits: int) -> bool:
    if value.nan:
        width, mantissa = (32, 23) if value.type == F32 else (64, 52)
        quiet = 1 << (mantissa - 1)
        exponent = ((1 << (width - 1 - mantissa)) - 1) << mantissa
        magnitude = bits & ((1 << (width - 1)) - 1)
        if value.nan == "canonical":
            return magnitude == exponent | quiet
        return magnitude & (exponent | quiet) == exponent | quiet
    if value.type in (I32, F32):
        return bits == value.bits
    if value.type in (I64, F64):
        return bits == value.bits
    assert value.type in (FUNCREF, EXTERNREF)
    if value.any_reference:
        return bits != NULL
    return bits == (NULL if value.bits is None else value.bits)


class Runner:
    """Runs the commands of one script."""

    def __init__(self, engine: str, report: Report, command: Sequence[str | Path] = ()) -> None:
        self._engine = engine
        self._command_line = command
        self._report = report
        self._modules: dict[str, int] = {}
        self._current = 0

    def run(self, path: Path) -> None:
        """Run a converted script (JSON); results go to the report."""
        with Script(self._engine, self._command_line) as script:
            self._script = script
            number, answer = script.module(launch.lower(spectest(), lambda text: None))
            assert answer[0] == "ok", answer
            script.ask(f"register {number:x} {_hex('spectest')}")
            for command in wast.iter_commands(path):
                self._name = path.stem
                try:
                    problem = self._command(command)
                except HostUnavailableError as error:
                    self._fail(command, str(error))
                    return
                if problem:
                    self._fail(command, problem)

    def _fail(self, command: wast.Command, text: str) -> None:
        self._report.failures.append(Failure(self._name, command.line, text))

    def _pass(self, holds: bool, text: str) -> str:
        if holds:
            self._report.passed += 1
            return ""
        return text

    def _instantiate(self, path: Path) -> tuple[int, tuple[str, str]]:
        return self._script.module(launch.lower(path.read_bytes(), lambda text: None))

    def _act(self, action: wast.Action) -> tuple[str, str]:
        module = self._modules[action.module] if action.module else self._current
        if isinstance(action, wast.Get):
            return self._script.ask(f"get {module:x} {_hex(action.field)}")
        arguments = "".join(f" {_argument(value)}" for value in action.args)
        return self._script.ask(f"invoke {module:x} {_hex(action.field)}{arguments}")

    def _command(self, command: wast.Command) -> str:
        """Run one command: what went wrong, or ""."""
        match command:
            case wast.ModuleCommand():
                try:
                    self._current, answer = self._instantiate(command.path)
                except ModuleError as error:
                    return f"module refused: {error}"
                if command.name:
                    self._modules[command.name] = self._current
                return "" if answer[0] == "ok" else f"module: {' '.join(answer)}"
            case wast.Register():
                module = self._modules[command.name] if command.name else self._current
                answer = self._script.ask(f"register {module:x} {_hex(command.alias)}")
                return "" if answer[0] == "ok" else " ".join(answer)
            case wast.ActionCommand():
                answer = self._act(command.action)
                return "" if answer[0] == "ok" else " ".join(answer)
            case wast.AssertReturn():
                word, rest = self._act(command.action)
                values = [int(text, 16) for text in rest.split()] if word == "ok" else []
                holds = word == "ok" and len(values) == len(command.expected) and all(
                    _matches(*pair) for pair in zip(command.expected, values, strict=True)
                )
                return self._pass(holds, f"{command.action}: expected {command.expected}, got {word} {rest}")
            case wast.AssertTrap() | wast.AssertExhaustion():
                word, rest = self._act(command.action)
                # "uninitialized element 2" names the element too.
                holds = word == "trap" and command.text.startswith(rest)
                return self._pass(holds, f"expected trap {command.text!r}, got {word} {rest}")
            case wast.AssertUninstantiable() | wast.AssertUnlinkable():
                word, rest = self._instantiate(command.path)[1]
                wanted = "link" if isinstance(command, wast.AssertUnlinkable) else "trap"
                holds = word == wanted and command.text.startswith(rest)
                return self._pass(holds, f"expected {wanted} {command.text!r}, got {word} {rest}")
            case wast.AssertInvalid() | wast.AssertMalformed():
                if not command.binary:
                    self._report.skipped[TEXT_FORMAT] += 1
                    return ""
                try:
                    launch.lower(command.path.read_bytes(), lambda text: None)
                except ModuleError:
                    return self._pass(True, "")
                return f"accepted, expected {command.text!r}"
        raise AssertionError(f"unknown command {command}")


def run(paths: Iterable[Path], engine: str, command: Sequence[str | Path] = ()) -> Report:
    """Run converted scripts on one engine; command: what to start instead of the launcher."""
    report = Report()
    for path in paths:
        Runner(engine, report, command).run(path)
    return report


def main(scripts: Sequence[Path], engine: str) -> int:
    """`pywasmjit wast`: the suite, or these scripts; 1 if an assertion failed."""
    with tempfile.TemporaryDirectory(prefix="pywasmjit-wast-") as name:
        paths = wast.converted_suite() if not scripts else []
        for script in scripts:
            paths.append(Path(name) / f"{script.stem}.json")
            wast.convert(script, paths[-1])
        total = Report()
        for each in ("interp", "jit") if engine == "both" else (engine,):
            report = run(paths, each)
            print(f"{each}: {report.summary()}")
            total.passed += report.passed
            total.failures += report.failures
            total.skipped += report.skipped
    for failure in total.failures[:MAX_SHOWN]:
        print(failure, file=sys.stderr)
    if len(total.failures) > MAX_SHOWN:
        print(f"... and {len(total.failures) - MAX_SHOWN} more failures", file=sys.stderr)
    for reason, count in sorted(total.skipped.items()):
        print(f"{count} skipped: {reason}")
    print(total.summary())
    return bool(total.failures)
