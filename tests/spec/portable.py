# SPDX-License-Identifier: GPL-2.0-only
"""The core and its interpreter on a C library, for other compilers, libraries and processors."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent.parent
CORE: Final = ROOT / "kmod" / "core"
NATIVE: Final = ROOT / "tests" / "native"

_FLAGS: Final = ["-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-static"]
# musl-gcc has no kernel headers of its own; those of this machine will do.
_MUSL: Final = ["-idirafter", "/usr/include/x86_64-linux-gnu", "-idirafter", "/usr/include"]
_MUSL_DIRECTORY: Final = "/usr/lib/x86_64-linux-musl"


@dataclass(frozen=True)
class Target:
    """A compiler with its options, and what runs the result (nothing: this machine does)."""

    name: str
    compiler: tuple[str, ...]
    emulator: str = ""
    objects: tuple[str, ...] = ()
    """Behind the sources: a C library by hand."""

    def build(self) -> list[str | Path]:
        """Compile; the command that takes the launcher's place."""
        directory = Path(os.environ.get("WJ_BUILD", ROOT / "build")) / "portable"
        directory.mkdir(parents=True, exist_ok=True)
        program = directory / f"script-host-{self.name}"
        sources = [NATIVE / "script_host.c", NATIVE / "platform.c"]
        sources += sorted(path for path in CORE.glob("*.c") if "_x86" not in path.name)
        includes = [f"-I{directory}" for directory in (CORE, ROOT / "kmod" / "user", NATIVE)]
        subprocess.run([*self.compiler, *_FLAGS, *includes, *sources, *self.objects, "-o", program], check=True)
        return [self.emulator, program] if self.emulator else [program]

    def missing(self) -> str:
        """What is not installed, "" if all is."""
        return ", ".join(word for word in (self.compiler[0], self.emulator) if word and not shutil.which(word))


TARGETS: Final = (
    Target("gcc-glibc", ("gcc",)),
    Target("clang-glibc", ("clang",)),
    Target("gcc-musl", ("musl-gcc", *_MUSL)),
    Target(
        "clang-musl", ("clang", "-nostdlibinc", "-isystem", "/usr/include/x86_64-linux-musl", *_MUSL, "-nostdlib"),
        objects=tuple(f"{_MUSL_DIRECTORY}/{name}" for name in ("crt1.o", "crti.o", "libc.a", "crtn.o")),
    ),
    Target("gcc-arm64", ("aarch64-linux-gnu-gcc",), "qemu-aarch64"),
    Target("clang-arm64", ("clang", "--target=aarch64-linux-gnu"), "qemu-aarch64"),
    # Big-endian.
    Target("gcc-s390x", ("s390x-linux-gnu-gcc",), "qemu-s390x"),
    Target("clang-s390x", ("clang", "--target=s390x-linux-gnu"), "qemu-s390x"),
)  # fmt: skip
