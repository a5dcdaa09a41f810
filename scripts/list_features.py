# SPDX-License-Identifier: GPL-2.0-only
"""Which WebAssembly features do toolchains emit by default?  Derived from what they make.

    python3 scripts/list_features.py            print the table
    python3 scripts/list_features.py --write    write FEATURES.md

The guests below are built (or found in the cache) and read: a feature is used where the decoder meets
it, and declared where the module's target_features section names it.  A toolchain that this machine
does not have is left out with the reason; --write needs all of them.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from build_guests import Builder  # noqa: E402
from guest_cache import default_root  # noqa: E402
from guest_toolchain import BuildError  # noqa: E402

from pywasmjit.wasm import decode  # noqa: E402
from pywasmjit.wasm.disasm import instructions  # noqa: E402
from pywasmjit.wasm.leb128 import read_u32  # noqa: E402
from pywasmjit.wasm.module import Module  # noqa: E402

OUTPUT: Final = ROOT / "FEATURES.md"
# (what it is called in the table, guests that it makes)
TOOLCHAINS: Final = (
    ("Emscripten 3.1.6 (Debian 12)", ("hello", "nginx-plain")),
    ("... -matomics and guest/", ("nginx", "lua", "sqlite3")),
    ("Emscripten 3.1.69 (Debian 13)", ("times-3.1.69", "times-3.1.69-bigint", "nginx-3.1.69")),
    ("clang 14 and wasi-libc (Debian 12)", ("wasicalls",)),
    ("Rust 1.95", ("rust-hello", "rust-server", "rust-grep")),
    ("Go 1.26", ("go-hello", "go-server", "go-jsontool")),
)
FEATURES: Final = (
    "sign-ext", "mutable-globals", "bulk-memory", "nontrapping-fptoint", "multivalue", "reference-types",
    "extended-const", "atomics", "memory64",
)  # fmt: skip
# LLVM's names of parts: memory.copy and memory.fill alone; indices of tables that are padded to 5 bytes.
PARTS: Final = {"bulk-memory-opt": "bulk-memory", "call-indirect-overlong": "reference-types"}
_SIGN: Final = frozenset(
    "i32.extend8_s i32.extend16_s i64.extend8_s i64.extend16_s i64.extend32_s".split()
)
_BULK: Final = frozenset(
    "memory.copy memory.fill memory.init data.drop table.copy table.init elem.drop".split()
)
_REFERENCES: Final = frozenset(
    "ref.null ref.func ref.is_null table.get table.set table.grow table.fill".split()
)


def used(module: Module) -> set[str]:
    """Features that the module cannot do without."""
    found = set()
    for function in module.functions:
        for instruction in instructions(module.data, function.start, function.end):
            name = instruction.name
            if name in _SIGN:
                found.add("sign-ext")
            elif name in _BULK:
                found.add("bulk-memory")
            elif "trunc_sat" in name:
                found.add("nontrapping-fptoint")
            elif name in _REFERENCES:
                found.add("reference-types")
            elif "atomic" in name:
                found.add("atomics")
            elif name in ("block", "loop", "if") and instruction.immediates[0] >= 0:
                found.add("multivalue")
    if any(len(type_.results) > 1 for type_ in module.types):
        found.add("multivalue")
    globals_ = module.global_types
    if any(export.kind == "global" and globals_[export.index].mutable for export in module.exports) or any(
        global_.mutable for global_ in globals_[: module.num_imported_globals]
    ):
        found.add("mutable-globals")
    constants = [global_.init for global_ in module.globals]
    constants += [segment.offset for segment in module.elements if segment.offset]
    constants += [segment.offset for segment in module.data_segments if segment.offset]
    if any(kind == "expr" for kind, _ in constants):
        found.add("extended-const")
    return found


def declared(module: Module) -> set[str]:
    """Names in the target_features section with a plus sign (tool-conventions, Linking.md)."""
    found = set()
    for section in module.custom_sections:
        if section.name != "target_features":
            continue
        count, pos = read_u32(module.data, section.start)
        for _ in range(count):
            prefix, (size, start) = module.data[pos], read_u32(module.data, pos + 1)
            pos = start + size
            if prefix == ord("+"):
                name = module.data[start:pos].decode()
                found.add(PARTS.get(name, name))
    return found


def row(builder: Builder, name: str, guests: Sequence[str]) -> str:
    """A line of the table.  Raises BuildError."""
    by_use: set[str] = set()
    by_name: set[str] = set()
    for guest in guests:
        for path in sorted(builder.result(guest).glob("*.wasm")):
            module = decode(path.read_bytes())
            by_use |= used(module)
            by_name |= declared(module)
    if unknown := by_name - set(FEATURES):
        raise SystemExit(f"list_features: {name} declares {', '.join(sorted(unknown))}: add a column")
    cells = ["used" if f in by_use else "declared" if f in by_name else "" for f in FEATURES]
    return f"| {name} | " + " | ".join(cells) + " |"


def table(builder: Builder) -> tuple[list[str], list[str]]:
    """Lines of the table, and which toolchains are missing, with reasons."""
    lines = ["| compiler | " + " | ".join(FEATURES) + " |", "|---" * (len(FEATURES) + 1) + "|"]
    missing = []
    for name, guests in TOOLCHAINS:
        try:
            lines.append(row(builder, name, guests))
        except BuildError as error:
            missing.append(f"{name}: {error}")
    return lines, missing


TEXT: Final = """\
# What compilers emit by default

`python3 scripts/list_features.py --write` derives this table from guests that the compilers make; a test
compares. Used: the decoder meets it. Declared: only the module's target_features section has its name
(Emscripten strips that section, Go writes none). All of it is accepted; SIMD and shared memories are not.

"""


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="List the features that toolchains emit by default.")
    parser.add_argument("--write", action="store_true", help=f"write {OUTPUT.name}")
    options = parser.parse_args(arguments)
    builder = Builder(default_root(), os.cpu_count() or 1, lambda line: print(line, file=sys.stderr))
    lines, missing = table(builder)
    for reason in missing:
        print(f"list_features: left out: {reason}", file=sys.stderr)
    text = TEXT + "\n".join(lines) + "\n"
    if not options.write:
        print(text, end="")
    elif not missing:
        OUTPUT.write_text(text)
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
