# SPDX-License-Identifier: GPL-2.0-only
"""Rules for source files that no linter knows; part of `make check`.

    SPDX line in every source file; `__KERNEL__` nowhere but where the platform is chosen;
    core/ and host/ include nothing but their own headers; the launcher needs no libc; files
    stay below 1,200 lines; no white space at line ends.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LICENCE = "SPDX-License-Identifier: GPL-2.0-only"
SOURCE = {".py", ".c", ".h", ".S", ".def", ".sh", ".js", ".toml"}
LIMIT = 1200
GENERATED = {"kmod/host/abi_emscripten.h", "kmod/host/abi_errno.def"}
INCLUDE = re.compile(r'^\s*#\s*include\s+([<"][^>"]+[>"])', re.M)


def tracked() -> Iterator[Path]:
    """Files git tracks or would track."""
    listing = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout
    for name in listing.splitlines():
        path = ROOT / name
        if path.is_file() and not path.is_symlink():
            yield path


def is_source(path: Path) -> bool:
    return path.suffix in SOURCE or path.name in {"Makefile", "Kbuild", "Kconfig"}


def problems(path: Path) -> Iterator[str]:
    """What is wrong with one source file."""
    name = str(path.relative_to(ROOT))
    text = path.read_text()
    if LICENCE not in "\n".join(text.splitlines()[:3]):
        yield f"{name}: no SPDX line: {LICENCE}"
    if text.count("\n") > LIMIT and name not in GENERATED:
        yield f"{name}: {text.count(chr(10))} lines; split it (limit {LIMIT})"
    for number, line in enumerate(text.splitlines(), 1):
        if line != line.rstrip():
            yield f"{name}:{number}: white space at the end of the line"
    if not name.startswith("kmod/"):
        return
    if "__KERNEL__" in text and not name.startswith("kmod/linux/"):
        yield f"{name}: __KERNEL__ outside kmod/linux/"
    if name.startswith(("kmod/core/", "kmod/host/")):
        for included in INCLUDE.findall(text):
            if included.startswith("<"):
                yield f"{name}: includes {included}: core/ and host/ know only platform.h"


def undefined_symbols() -> Iterator[str]:
    """The launcher is linked without a libc: the linker would have failed otherwise."""
    launcher = ROOT / "build" / "pywasmjit-launch"
    if not launcher.exists():
        yield "build/pywasmjit-launch is not built: run `make launcher`"
        return
    listing = subprocess.run(
        ["nm", "--undefined-only", launcher], check=True, capture_output=True, text=True
    ).stdout
    for line in listing.splitlines():
        yield f"build/pywasmjit-launch: undefined symbol {line.split()[-1]}"


def main() -> int:
    found = [problem for path in tracked() if is_source(path) for problem in problems(path)]
    found += undefined_symbols()
    for problem in found:
        print(problem, file=sys.stderr)
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
