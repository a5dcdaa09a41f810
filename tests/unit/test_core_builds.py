# SPDX-License-Identifier: GPL-2.0-only
"""The core compiles for everything it is to run in, and asks nothing of it but platform.h."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.native.libcore import CORE, ROOT

FLAGS = [
    "-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-ffreestanding", "-Wvla",
    "-Wdeclaration-after-statement", "-Wframe-larger-than=1536", "-fno-pie", f"-I{ROOT / 'kmod' / 'user'}",
]  # fmt: skip
#: As the kernel is compiled: no register of floats may be touched.
KERNEL = ["-mno-sse", "-mno-mmx", "-mno-80387", "-mcmodel=kernel"]
SOURCES = sorted(path.name for path in CORE.glob("*.c"))
#: What computes with floats is left out of the kernel.
FLOATS = {"interp_float.c"}
LIBRARY = {"memcpy", "memmove", "memset", "memcmp", "strlen"}


def compile_source(compiler: str, name: str, output: Path, *flags: str) -> set[str]:
    """Compile one file; the symbols that it leaves undefined."""
    command = [compiler, *FLAGS, *flags, "-c", str(CORE / name), "-o", str(output)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    listing = subprocess.run(["nm", "-u", str(output)], capture_output=True, text=True, check=True)
    return set(listing.stdout.split()) - {"U", "w"}


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.parametrize("name", SOURCES)
def test_builds(compiler: str, name: str, tmp_path: Path) -> None:
    if not shutil.which(compiler):
        pytest.skip(f"{compiler} is not installed")
    undefined = compile_source(compiler, name, tmp_path / "object.o")
    assert {symbol for symbol in undefined if not symbol.startswith("wj_")} <= LIBRARY


@pytest.mark.parametrize("name", [name for name in SOURCES if name not in FLOATS])
def test_builds_for_the_kernel(name: str, tmp_path: Path) -> None:
    undefined = compile_source("gcc", name, tmp_path / "object.o", *KERNEL)
    assert {symbol for symbol in undefined if not symbol.startswith("wj_")} <= LIBRARY


def test_includes() -> None:
    """Nothing but each other, the tables, and platform.h; __KERNEL__ is nobody's business here."""
    for path in [*CORE.glob("*.c"), *CORE.glob("*.h")]:
        source = path.read_text()
        assert source.splitlines()[0].split()[1] == "SPDX-License-Identifier:"
        assert "__KERNEL__" not in source
        for included in re.findall(r'#include\s+([<"][^>"]+)', source):
            assert included[0] == '"', f"{path.name}: {included}"
            name = included[1:]
            assert (CORE / name).exists() or name == "platform_types.h", f"{path.name}: {name}"


def test_sizes() -> None:
    """The trusted base stays readable: some 4,000 lines of code (comments and blank lines not
    counted) for verifier and JIT together."""
    lines = {path.name: len(path.read_text().splitlines()) for path in CORE.glob("*.c")}
    assert max(lines.values()) <= 1200
    assert lines["verify.c"] + lines["decode.c"] + lines["image.c"] < 2200
    trusted = [CORE / "verify.c", *CORE.glob("*_x86.*")]
    text = re.sub(r"/\*.*?\*/", "", "".join(path.read_text() for path in trusted), flags=re.DOTALL)
    code = [line for line in text.splitlines() if line.strip() and not line.startswith("//")]
    assert len(code) < 4050


def test_switches_name_every_instruction() -> None:
    """interp.c has a case for each, so that a new one does not compile without it."""
    source = (CORE / "interp.c").read_text()
    body = source[source.index("switch ((enum wj_op)insn.op)") :]
    assert "default:" not in body[: body.index("case WJ_OP_COUNT")]
