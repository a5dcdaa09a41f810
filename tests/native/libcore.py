# SPDX-License-Identifier: GPL-2.0-only
"""kmod/core in a process of its own, for tests: build the driver, speak with it.

``driver.c`` documents the protocol.  Values are bit patterns: i32 and f32 as 32-bit,
i64 and f64 as 64-bit unsigned integers, references as store-wide indices.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent.parent
CORE: Final = ROOT / "kmod" / "core"
HERE: Final = Path(__file__).resolve().parent

INTERP: Final = "interp"
JIT: Final = "jit"

_FLAGS: Final = ["-std=gnu11", "-g", "-Wall", "-Wextra", "-Werror", "-fno-pie"]
_VARIANTS: Final[dict[str, list[str]]] = {
    "plain": ["-O2"],
    "sanitize": [
        "-O1",
        "-fno-omit-frame-pointer",
        "-fsanitize=address,undefined",
        "-fno-sanitize-recover=all",
    ],
    # The interpreter checks what the verifier promised, see shadow.c.
    "shadow": [
        "-O1",
        "-fno-omit-frame-pointer",
        "-fsanitize=address,undefined",
        "-fno-sanitize-recover=all",
    ],
    "coverage": ["-O0", "--coverage"],
}


class CoreError(Exception):
    """The core refused: ``code`` is -errno, ``offset`` counts in the function or image."""

    def __init__(self, code: int, section: int, function: int, offset: int, message: str) -> None:
        where = f"section {section}, function {function}, offset {offset}"
        super().__init__(f"{message} (code {code}, {where})")
        self.code = code
        self.section = section
        self.function = function
        self.offset = offset
        self.message = message


class Trap(Exception):
    """Guest code trapped; ``number`` and ``text`` as in traps.def."""

    def __init__(self, number: int, text: str) -> None:
        super().__init__(text)
        self.number = number
        self.text = text


class CoreCrash(Exception):
    """The driver died: a bug in the core, with what it wrote to stderr."""


def build(variant: str = "plain", jit: bool = False, compiler: str = "gcc") -> Path:
    """Compile the driver; returns the executable, which is reused while no source changed.

    WJ_CORE has it made of another copy of the core (tests/verify/mutate_rules.py), in WJ_BUILD.
    """
    core = Path(os.environ.get("WJ_CORE", CORE))
    sources = [HERE / "driver.c", HERE / "platform.c", HERE / "sweep.c"]
    sources += sorted(p for p in core.glob("*.c") if jit or "_x86" not in p.name)
    sources += [HERE / "jit.c"] if jit else []
    if variant == "shadow":
        sources = [HERE / "shadow.c" if path.name == "interp.c" else path for path in sources]
    headers = [HERE / "native.h", ROOT / "kmod" / "user" / "platform_types.h"]
    headers += [*core.glob("*.h"), *core.glob("*.def"), core / "interp.c"]
    directory = Path(os.environ.get("WJ_BUILD", ROOT / "build")) / "native"
    directory.mkdir(parents=True, exist_ok=True)
    target = directory / f"driver-{variant}{'-jit' if jit else ''}-{compiler}"
    newest = max(p.stat().st_mtime for p in [*sources, *headers])
    if target.exists() and target.stat().st_mtime > newest:
        return target
    with tempfile.TemporaryDirectory(dir=directory) as temporary:
        output = Path(temporary) / "driver"
        command = [compiler, *_FLAGS, *_VARIANTS[variant], f"-I{core}", f"-I{ROOT / 'kmod/user'}"]
        command += [*map(str, sources), "-no-pie", "-o", str(output)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=temporary, check=False)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}\n{done.stderr}")
        output.replace(target)
    return target


@dataclass(frozen=True)
class Import:
    """What an import is bound to, in the driver's words."""

    text: str


NO_IMPORT: Final = Import("none")


def host(name: str) -> Import:
    """A host function built into the driver: print, dirty, trap, call_table, catch."""
    return Import(f"host:{name}")


@dataclass(frozen=True)
class Code:
    """Machine code; all numbers but ``base`` are offsets in ``code``."""

    base: int
    """Address it runs at."""
    data: int
    """Jump tables start here."""
    functions_end: int
    retries: int
    code: bytes
    entries: list[int]
    fixups: dict[int, int]
    """Faulting instruction to landing."""
    sites: dict[int, int]
    """Return address to offset in the bytecode; bit 31: in the prologue."""


class Instance:
    """One instance in the driver."""

    def __init__(self, core: Core, number: int) -> None:
        self.core = core
        self.number = number

    def _command(self, name: str, *words: object) -> list[str]:
        return self.core.command(f"{name} {self.number} {' '.join(map(str, words))}")

    def find(self, name: str | bytes) -> tuple[int, int]:
        """Kind (wj_kind) and index of an export."""
        raw = name.encode() if isinstance(name, str) else name
        kind, index = self._command("export", raw.hex() or "-")
        return int(kind, 16), int(index, 16)

    def exported(self, name: str | bytes) -> Import:
        """The export as something to import."""
        kind, index = self.find(name)
        return Import(f"{self.number}:{kind}:{index}")

    def call(self, function: str | int, *args: int) -> list[int]:
        """Call an export or a function by its index; the results."""
        index = function if isinstance(function, int) else self.find(function)[1]
        return [int(word, 16) for word in self._command("call", index, *args)]

    def call_table(self, element: int, like: int) -> None:
        """Call entry ``element`` of table 0 with the type of function ``like``."""
        self._command("call_table", element, like)

    def call_ref(self, reference: int) -> None:
        self._command("call_ref", reference)

    def start_function(self) -> int | None:
        try:
            return int(self._command("start")[0], 16)
        except CoreError:
            return None

    def global_get(self, index: int) -> tuple[int, int]:
        """Type (wj_type) and value."""
        kind, value = self._command("global", index)
        return int(kind, 16), int(value, 16)

    def global_set(self, index: int, value: int) -> None:
        self._command("global_set", index, value)

    def memory_size(self) -> int:
        return int(self._command("memory")[0], 16)

    def read(self, address: int, size: int) -> bytes:
        return bytes.fromhex(self._command("read", address, size)[0]) if size else b""

    def write(self, address: int, data: bytes) -> None:
        if data:
            self._command("write", address, data.hex())

    def backtrace(self) -> list[tuple[int, int]]:
        """(function, offset) of the last trap, innermost first."""
        words = [int(word, 16) for word in self._command("frames")]
        return list(zip(words[::2], words[1::2], strict=True))

    def function_name(self, index: int) -> str:
        self._command("name", index)
        return self.core.printed.pop()

    def stats(self) -> dict[str, int]:
        names = ("functions_jitted", "functions_interpreted", "code_bytes", "host_calls", "traps", "jit_ns")
        words = self._command("stats")
        return {name: int(word, 16) for name, word in zip(names, words, strict=True)}

    def set_poll(self, flags: int, trap_at: int = 0) -> None:
        """Set the poll word; the ``trap_at``-th poll from now on traps, 0: none does."""
        self._command("poll", flags, trap_at)

    def drop(self) -> None:
        self._command("drop")


class Core:
    """A driver process with one store.  Close it, or use it as a context manager."""

    def __init__(
        self, variant: str = "plain", jit: bool = False, compiler: str = "gcc", canaries: bool = False
    ) -> None:
        """canaries: around allocations and the guest's stack, looked at after each command."""
        self.program = build(variant, jit, compiler)
        self.printed: list[str] = []
        """What host functions printed since last looked at: "import type:value..."."""
        self._images = 0
        self._instances = 0
        # With leak detection exit is slow, and the driver counts allocations itself.
        environment = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0:allocator_may_return_null=1"}
        if canaries:
            environment["WJ_CANARIES"] = "1"
        self._process = subprocess.Popen(
            [self.program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
        )

    def __enter__(self) -> Core:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        if self._process.stdin:
            self._process.stdin.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def command(self, line: str, payload: bytes = b"") -> list[str]:
        """One command; the words of its answer, or the exception that it was."""
        process = self._process
        assert process.stdin and process.stdout and process.stderr
        try:
            process.stdin.write(line.encode() + b"\n" + payload)
            process.stdin.flush()
        except BrokenPipeError:
            pass
        while True:
            answer = process.stdout.readline().decode(errors="replace").rstrip("\n")
            kind, _, rest = answer.partition(" ")
            if kind == "print":
                self.printed.append(rest)
            elif kind == "ok":
                return rest.split()
            elif kind == "trap":
                number, _, text = rest.partition(" ")
                raise Trap(int(number), text)
            elif kind == "error":
                code, section, function, offset, message = rest.split(" ", 4)
                raise CoreError(int(code), int(section), int(function), int(offset), message)
            else:
                text = process.stderr.read().decode(errors="replace")
                raise CoreCrash(f"{line!r}: status {process.wait()}\n{answer}\n{text}")

    def commands(self, lines: Sequence[str], batch: int = 100, payload: bytes = b"") -> list[str]:
        """Many commands at once; their answers as they are, "ok ...", "trap ..." or "error ...".

        The payload is the first command's.
        """
        process = self._process
        assert process.stdin and process.stdout and process.stderr
        answers = []
        for start in range(0, len(lines), batch):
            some = lines[start : start + batch]
            try:
                first, rest = some[0], "".join(line + "\n" for line in some[1:])
                process.stdin.write(f"{first}\n".encode() + payload + rest.encode())
                process.stdin.flush()
            except BrokenPipeError:
                pass
            payload = b""
            for line in some:
                answer = "print"
                while answer.startswith("print"):
                    answer = process.stdout.readline().decode(errors="replace").rstrip("\n")
                    if answer.startswith("print"):
                        self.printed.append(answer[6:])
                if not answer:
                    text = process.stderr.read().decode(errors="replace")
                    raise CoreCrash(f"{line!r}: status {process.wait()}\n{text}")
                answers.append(answer)
        return answers

    def image(self, data: bytes) -> int:
        """Load an image; its number.  CoreError says why it was rejected."""
        number = self._images
        self.command(f"image {number} {len(data)}", data)
        self._images += 1
        return number

    def imports(self, image: int) -> list[tuple[str, str, int]]:
        """Module, name and kind (wj_kind) of each import."""
        words = self.command(f"imports {image}")
        modules, names = (
            [bytes.fromhex(word.strip("-")).decode(errors="replace") for word in words[i::3]] for i in (0, 1)
        )
        return list(zip(modules, names, [int(word, 16) for word in words[2::3]], strict=True))

    def compile(self, image: int, features: int = -1, mitigations: int = 0) -> None:
        """Compile for WJ_CPU_* (-1: this machine's) and WJ_MITIGATE_*, before any instance."""
        self.command(f"compile {image} {features} {mitigations}")

    def code(self, image: int) -> Code:
        """The machine code of an image that was compiled."""
        base, data, functions_end, retries, code, entries, fixups, sites = self.command(f"code {image}")

        def numbers(word: str) -> list[int]:
            return [int(part, 16) for part in word.split(",") if part]

        fixup_list, site_list = numbers(fixups), numbers(sites)
        return Code(
            base=int(base, 16),
            data=int(data, 16),
            functions_end=int(functions_end, 16),
            retries=int(retries, 16),
            code=bytes.fromhex(code),
            entries=numbers(entries),
            fixups=dict(zip(fixup_list[::2], fixup_list[1::2], strict=True)),
            sites=dict(zip(site_list[::2], site_list[1::2], strict=True)),
        )

    def fork_child(self, image: int) -> tuple[int, int, int, int]:
        """Run the child of the last fork: trap, result, frames of its backtrace, offset of the first."""
        trap, result, frames, offset = self.command(f"child {image}")
        return int(trap), int(result, 16), int(frames, 16), int(offset, 16)

    def jit_speed(self, image: int, times: int) -> tuple[float, int, int]:
        """Nanoseconds per compilation, bytes of bytecode, bytes of machine code."""
        ns, bytecode, code = (int(word, 16) for word in self.command(f"jit_speed {image} {times}"))
        return ns / times, bytecode, code

    def floats(self, image: int, function: int) -> tuple[bool, bool]:
        """Does a function compute with floats; does it touch a float register at all?"""
        uses, has = self.command(f"function {image} {function}")
        return uses == "1", has == "1"

    def drop_image(self, image: int) -> None:
        self.command(f"drop_image {image}")

    def instance(self, image: int, imports: Sequence[Import] = (), engine: str = INTERP) -> Instance:
        """Instantiate; a Trap has the instance as attribute ``instance``."""
        instance = Instance(self, self._instances)
        self._instances += 1
        words = " ".join(i.text for i in imports)
        try:
            self.command(f"instance {instance.number} {image} {int(engine == INTERP)} {words}")
        except Trap as trap:
            trap.__dict__["instance"] = instance
            raise
        return instance

    def polls(self) -> int:
        """Polls since last asked."""
        return int(self.command("polls")[0], 16)

    def fail_allocation(self, after: int) -> None:
        """The allocation after that many more fails, once; -1: none does."""
        self.command(f"fail_allocation {after}")

    def allocations(self) -> int:
        return int(self.command("allocations")[0], 16)

    def set_mitigations(self, mask: int) -> None:
        """WJ_MITIGATE_* that the JIT is told to emit from now on."""
        self.command(f"mitigations {mask}")

    def sweep(self, image: bytes, first: int, last: int, engines: int) -> tuple[int, int]:
        """Every value of bytes first to last - 1, one at a time (sweep.c); accepted, rejected mutants.

        engines: 1 runs what is accepted in the interpreter, 2 in the JIT, 3 in both, which must agree.
        """
        accepted, rejected = self.command(f"sweep {len(image)} {first} {last} {engines}", image)
        return int(accepted, 16), int(rejected, 16)

    def reset(self) -> int:
        """Drop everything; the number of allocations that were left over."""
        self._images = self._instances = 0
        self.printed.clear()
        return int(self.command("reset")[0], 16)
