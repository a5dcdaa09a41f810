# SPDX-License-Identifier: GPL-2.0-only
"""The host layer's libraries compile as the kernel compiles: no libc, no floats, small frames."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from host_driver import HEADERS, LIBRARIES, ROOT

FLAGS = [
    "-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-Wvla", "-Wdeclaration-after-statement",
    "-Wmissing-prototypes", "-Wstrict-prototypes", "-Wframe-larger-than=1024", "-ffreestanding",
    "-nostdlib", "-mgeneral-regs-only",
]
# What platform.h promises.
PLATFORM = {
    "memcpy", "memmove", "memset", "memcmp", "strlen", "wj_alloc", "wj_free", "wj_sys",
    "wj_scratch", "wj_copy_from_user", "wj_copy_to_user",
}


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_freestanding(compiler: str, tmp_path: Path) -> None:
    if not shutil.which(compiler):
        pytest.skip(f"no {compiler}")
    sources = [str(ROOT / "kmod/host" / f"{name}.c") for name in LIBRARIES]
    includes = [f"-I{ROOT / 'kmod/core'}", f"-I{ROOT / 'kmod/user'}"]
    subprocess.run([compiler, *FLAGS, *includes, "-c", *sources], cwd=tmp_path, check=True,
                   timeout=120)
    subprocess.run(["ld", "-r", "-o", "all.o", *(f"{name}.o" for name in LIBRARIES)],
                   cwd=tmp_path, check=True, timeout=60)
    symbols = subprocess.run(["nm", "all.o"], cwd=tmp_path, check=True, capture_output=True,
                             text=True, timeout=60).stdout
    kinds = [line.split()[-2:] for line in symbols.splitlines()]
    assert {name for kind, name in kinds if kind == "U"} <= PLATFORM
    # No state of their own: nothing in .data, .bss or common.
    assert [name for kind, name in kinds if kind in "DdBbC"] == []
    assert all(name.startswith("wj_") for kind, name in kinds if kind in "TR")


@pytest.mark.parametrize("header", HEADERS)
def test_header_stands_alone(header: str, tmp_path: Path) -> None:
    (tmp_path / "one.c").write_text(f'#include "{header}"\n#include "{header}"\n')
    subprocess.run(
        ["gcc", *FLAGS, f"-I{ROOT / 'kmod/host'}", f"-I{ROOT / 'kmod/core'}",
         f"-I{ROOT / 'kmod/user'}", "-fsyntax-only", "one.c"],
        cwd=tmp_path, check=True, timeout=60)
    text = (ROOT / "kmod/host" / header).read_text()
    assert not re.search(r"\b(float|double)\b", re.sub(r"/\*.*?\*/", "", text, flags=re.S))
