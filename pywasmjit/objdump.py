# SPDX-License-Identifier: GPL-2.0-only
"""`pywasmjit objdump`: a module's functions as WebAssembly, as bytecode and as machine code.

One block of text per function, its three forms under each other.  Numbers before instructions
are hexadecimal offsets: in the file (WebAssembly), and in the code of all functions (machine
code); they do not depend on where the code runs.
"""

from __future__ import annotations

import os
import re
import struct
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pywasmjit import launch
from pywasmjit.errors import HostUnavailableError, PywasmjitError, SystemCallError, UsageError
from pywasmjit.image import TYPE_NAMES, Image, ImageError, read_image
from pywasmjit.lower.disasm import disassemble
from pywasmjit.wasm import decode
from pywasmjit.wasm.disasm import format_instruction, instructions
from pywasmjit.wasm.module import Module
from pywasmjit.wasm.opcodes import BLOCK, ELSE, END, IF, LOOP, VALUE_TYPE_NAMES

CODE_HEADER: Final = struct.Struct("<8sQII")  # kmod/user/dump.c
CODE_MAGIC: Final = b"wjcode\0\1"
_CALL: Final = re.compile(r"\bCALL func (\d+)$", re.MULTILINE)
NO_CAPSTONE: Final = "capstone is not installed: pip install capstone"


@dataclass(frozen=True)
class MachineCode:
    """What the JIT made of an image.

    base: address of the first byte of code where it was made; starts: offset in code of every
    function of the function index space.
    """

    base: int
    starts: tuple[int, ...]
    code: bytes

    def range(self, function: int) -> tuple[int, int]:
        """First and last offset of a function's code."""
        following = self.starts[function + 1 :]
        return self.starts[function], following[0] if following else len(self.code)


def machine_code(image: int) -> MachineCode:
    """The JIT's code of the image in a descriptor, made by the launcher, which runs nothing.

    Raises HostUnavailableError (no launcher, no JIT for this processor), ImageError (the image is
    rejected), SystemCallError.
    """
    command = [str(launch.launcher()), f"--image-fd={image}", "--dump-code"]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, pass_fds=[image], check=False
        )
    except OSError as error:
        raise SystemCallError(f"{command[0]}: {error.strerror}") from error
    if done.returncode:
        text = done.stderr.decode(errors="replace").strip().removeprefix("pywasmjit: ")
        kinds: dict[int, Callable[[str], PywasmjitError]] = {65: ImageError, 69: HostUnavailableError}
        make = kinds.get(done.returncode, SystemCallError)
        raise make(text or f"the launcher ended with status {done.returncode}")
    magic, base, count, size = CODE_HEADER.unpack_from(done.stdout)
    starts = CODE_HEADER.size + 4 * count
    if magic != CODE_MAGIC or len(done.stdout) != starts + size:
        raise HostUnavailableError("the launcher is of another version: run `make launcher`")
    offsets = struct.unpack_from(f"<{count}I", done.stdout, CODE_HEADER.size)
    return MachineCode(base, offsets, done.stdout[starts:])


def _disassembler() -> Any:
    """Capstone for x86-64, or None where it is not installed."""
    try:
        import capstone
    except ImportError:
        return None
    engine = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
    engine.skipdata = True
    return engine


def _types(kinds: list[str]) -> str:
    return kinds[0] if len(kinds) == 1 else f"({' '.join(kinds)})"


def wasm_lines(module: Module, index: int) -> Iterator[str]:
    """A defined function's locals and instructions in the text format, indented by block."""
    function = module.functions[index - module.num_imported_functions]
    counts = [f"{count} {VALUE_TYPE_NAMES[kind]}" for count, kind in function.locals]
    if counts:
        yield f"locals: {', '.join(counts)}"
    depth = 0
    for instruction in instructions(module.data, function.start, function.end):
        if instruction.opcode in (END, ELSE):
            depth -= 1
        text = format_instruction(instruction, module)
        yield f"{instruction.offset:6x}: {'  ' * max(depth, 0)}{text}"
        if instruction.opcode in (BLOCK, LOOP, IF, ELSE):
            depth += 1


class Dump:
    """One file's functions.

    module is None for a compiled image, which does not keep the WebAssembly; code is None where
    there is no machine code, and no_code says why.
    """

    def __init__(
        self, image: Image, module: Module | None, code: MachineCode | None, no_code: str = ""
    ) -> None:
        self.image = image
        self.module = module
        self.code = code
        self.no_code = no_code
        self.engine = _disassembler()
        if code is not None and self.engine is None:
            self.no_code = NO_CAPSTONE
        imported = [entry for entry in image.imports if entry.kind == 0]
        self.imported = len(imported)
        self.types = [*(int(entry.type) for entry in imported), *image.functions]
        self._at = {start: index for index, start in enumerate(code.starts)} if code else {}

    def name(self, index: int) -> str:
        """A function's name for people."""
        if self.module is not None:
            return self.module.function_name(index)
        return self.image.names[index] if index < len(self.image.names) else f"func[{index}]"

    def find(self, wanted: str) -> list[int]:
        """The functions with that index or name; UsageError if there is none."""
        count = len(self.types)
        if wanted.isdecimal():
            if int(wanted) < count:
                return [int(wanted)]
            raise UsageError(f"there is no function {wanted}: the module has {count}")
        found = [index for index in range(count) if self.name(index) == wanted]
        if not found:
            raise UsageError(f"there is no function named {wanted!r}; `pywasmjit objdump FILE` shows all")
        return found

    def title(self, index: int) -> str:
        """Index, name and type."""
        parameters, results = (
            _types([TYPE_NAMES[kind] for kind in kinds]) for kinds in self.image.types[self.types[index]]
        )
        kind = "import" if index < self.imported else "function"
        return f"{kind} {index} <{self.name(index)}> {parameters} -> {results}"

    def _target(self, text: str) -> str:
        """The operand of a jump or call as an offset and a name."""
        code = self.code
        if code is None or not text.startswith("0x"):
            return text
        offset = int(text, 16) - code.base
        if not 0 <= offset < len(code.code):
            return "<shared code>"
        index = self._at.get(offset)
        return f"{offset:x}" if index is None else f"{offset:x} <{self.name(index)}>"

    def machine_lines(self, index: int) -> Iterator[str]:
        """A function's machine code: offset, bytes, instruction."""
        if self.code is None or self.engine is None:
            return
        start, end = self.code.range(index)
        code = self.code.code[start:end]
        padding: list[str] = []  # before the next function, not shown
        for address, size, name, operands in self.engine.disasm_lite(code, self.code.base + start):
            offset = address - self.code.base
            if name == "call" or name.startswith("j"):
                operands = self._target(operands)
            raw = self.code.code[offset : offset + size].hex(" ")
            line = f"{offset:6x}: {raw:<30} {name} {operands}".rstrip()
            if name == "int3":
                padding.append(line)
                continue
            yield from padding
            padding.clear()
            yield line

    def function(self, index: int) -> str:
        """Everything about one function."""
        lines = [self.title(index)]
        if index >= self.imported:
            if self.module is not None:
                lines += ["  wasm:", *(f"    {line}" for line in wasm_lines(self.module, index))]
            try:
                body = disassemble(self.image.bodies[index - self.imported])
            except (IndexError, KeyError, ValueError) as error:
                raise ImageError(f"no bytecode: {error}", function=index) from error
            body = _CALL.sub(lambda found: f"{found[0]} <{self.name(int(found[1]))}>", body)
            lines += ["  bytecode:", *(f"    {line}" for line in body.splitlines())]
            if not self.no_code:
                lines += ["  machine code:", *(f"    {line}" for line in self.machine_lines(index))]
        return "\n".join(lines) + "\n"

    def text(self, path: Path, wanted: str = "") -> Iterator[str]:
        """The whole dump, or that of the functions `wanted`, in pieces."""
        functions = self.find(wanted) if wanted else list(range(len(self.types)))
        kind = "image" if self.module is None else "module"
        yield f"{path}: {kind}, {self.imported} imported and {len(self.image.functions)} own functions\n"
        if self.module is None:
            yield "no wasm: a compiled image does not keep it; dump the .wasm file to see it\n"
        if self.no_code:
            yield f"no machine code: {self.no_code}\n"
        for index in functions:
            yield "\n" + self.function(index)


def open_dump(path: Path, note: launch.Note) -> Dump:
    """Read a wasm file (lowering it if the cache does not have it) or an image."""
    data = launch.read_file(path)
    descriptor = launch.image_of(data, note)
    try:
        code, no_code = None, ""
        try:
            code = machine_code(descriptor)
        except HostUnavailableError as error:
            no_code = str(error)
        with open(descriptor, "rb", closefd=False) as file:
            file.seek(0)
            try:
                image = read_image(file.read())
            except (IndexError, ValueError, struct.error) as error:
                raise ImageError(f"cannot be read: {error}") from error
    finally:
        os.close(descriptor)
    module = decode(data) if data[:4] == launch.WASM_MAGIC else None
    return Dump(image, module, code, no_code)


def main(path: Path, wanted: str, note: launch.Note, write: Callable[[str], object]) -> int:
    """Write the dump in pieces."""
    for piece in open_dump(path, note).text(path, wanted):
        write(piece)
    return 0
