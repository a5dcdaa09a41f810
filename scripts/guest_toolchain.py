# SPDX-License-Identifier: GPL-2.0-only
"""Compile and link guests: what emcc does, with fewer starts of Python and node."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from emscripten_env import clang, clang_compile_command, environment

ROOT: Final = Path(__file__).resolve().parent.parent

# -matomics: cross-process locks need real compare-and-swap, without the rest
# of what Emscripten's threads bring.
POSIX_COMPILE_FLAGS: Final = ("-O2", "-g0", "-matomics")
PLAIN_COMPILE_FLAGS: Final = ("-O2", "-g0")

# -O2 and no more: -O3 renames the imports.  --profiling-funcs keeps the name
# section, for backtraces.
LINK_FLAGS: Final = ("--profiling-funcs",)
SERVER_LINK_FLAGS: Final = ("-sALLOW_MEMORY_GROWTH=1", "-sEXIT_RUNTIME=1")
# The stack lies below everything else: running over its end is out of bounds
# and traps, where Emscripten's own layout would have it overwrite variables.
STACK_BYTES: Final = 5 << 20
POSIX_LINK_FLAGS: Final = (
    *SERVER_LINK_FLAGS,
    f"-sTOTAL_STACK={STACK_BYTES}",
    f"-sGLOBAL_BASE={STACK_BYTES}",
    "-Wl,--stack-first",
    "-sALLOW_UNIMPLEMENTED_SYSCALLS=0",
    "-sWASM_BIGINT=1",
    "-sEXPORTED_FUNCTIONS=_main,_malloc,_free",
)


class BuildError(Exception):
    """A command failed; the message has the end of what it printed."""


@dataclass(frozen=True)
class Overlay:
    """The POSIX overlay as the recipe "overlay" leaves it."""

    directory: Path

    @property
    def compile_flags(self) -> tuple[str, ...]:
        return ("-isystem", str(self.directory / "include"))

    @property
    def first_object(self) -> Path:
        return self.directory / "lib" / "table_start.o"

    @property
    def library(self) -> Path:
        return self.directory / "lib" / "libwjposix.a"

    @property
    def js_library(self) -> Path:
        return self.directory / "lib" / "wjposix.js"


@dataclass(frozen=True)
class Toolchain:
    """jobs: how many compilers at a time; log: where commands and their output go."""

    log: Path
    jobs: int
    environment: Mapping[str, str] = field(default_factory=environment)

    def run(
        self,
        command: Sequence[str],
        cwd: Path,
        extra: Mapping[str, str] | None = None,
    ) -> None:
        """Run one command; BuildError if it fails."""
        done = subprocess.run(
            list(command),
            cwd=cwd,
            env={**self.environment, **(extra or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
        with self.log.open("a") as log:
            log.write(f"$ {shlex.join(command)}\n{done.stdout}")
        if done.returncode:
            tail = "\n".join(done.stdout.splitlines()[-40:])
            shown = shlex.join(command)
            raise BuildError(f"exit status {done.returncode}: {shown[:400]}\n{tail}")

    def compile(self, sources: Sequence[Path], into: Path, flags: Sequence[str], cwd: Path) -> list[Path]:
        """Compile C files, several at a time; the objects in the order of the sources."""
        into.mkdir(parents=True, exist_ok=True)
        compiler = clang_compile_command()
        objects = [into / (source.stem + ".o") for source in sources]

        def one(source: Path, target: Path) -> None:
            self.run([*compiler, *flags, "-c", str(source), "-o", str(target)], cwd)

        # The largest first: then no compiler is left working alone at the end.
        order = sorted(
            zip(sources, objects, strict=True),
            key=lambda pair: pair[0].stat().st_size,
            reverse=True,
        )
        with ThreadPoolExecutor(self.jobs) as pool:
            for outcome in [pool.submit(one, *pair) for pair in order]:
                outcome.result()
        return objects

    def archive(self, objects: Sequence[Path], library: Path) -> None:
        ar = clang().replace("clang", "llvm-ar")
        self.run([ar, "rcsD", str(library), *map(str, objects)], library.parent)

    def link(
        self,
        inputs: Sequence[str],
        output: Path,
        cwd: Path,
        overlay: Overlay | None,
        flags: Sequence[str] = (),
        level: str = "-O2",
    ) -> None:
        """Link with emcc in cwd.  With an overlay its flags and files come along."""
        command = ["emcc", level, *LINK_FLAGS]
        if overlay is not None:
            command += [*POSIX_LINK_FLAGS, str(overlay.first_object)]
        command += [*inputs]
        if overlay is not None:
            command += [str(overlay.library), "--js-library", str(overlay.js_library)]
        script = cwd / (output.stem + ".js")
        self.run([*command, *flags, "-o", script.name], cwd)
        script.with_suffix(".wasm").rename(output)
        output.chmod(0o755)


def toolchain_versions() -> str:
    """Versions of the packages whose code ends up in guests or decides what does."""
    packages = ["emscripten", clang(), clang().replace("clang", "lld"), "binaryen"]
    done = subprocess.run(
        ["dpkg-query", "-W", "-f", "${Package} ${Version}\n", *packages],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.stdout
