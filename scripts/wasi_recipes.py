# SPDX-License-Identifier: GPL-2.0-only
"""Guests for WASI: C with Debian's clang and wasi-libc, Rust and Go with the machine's own toolchains.

Rust and Go come in both kinds: beside NAME.wasm lies `native`, the same source for this machine.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tomllib
from collections.abc import Sequence
from functools import cache, partial
from pathlib import Path
from typing import Final

from emscripten_env import clang
from guest_recipes import Context, Recipe
from guest_toolchain import ROOT, BuildError

SOURCES: Final = ROOT / "tests" / "guests" / "wasi"
# The name changed in Rust 1.78; Debian 12 has the old one.
RUST_TARGETS: Final = ("wasm32-wasip1", "wasm32-wasi")
GO_OLDEST: Final = (1, 21)  # the first with wasip1


class MissingToolchainError(BuildError):
    """This machine has no compiler for that language; the message says what to install."""


def _answer(command: Sequence[str]) -> str:
    """What a program prints, or "" if it is not there or fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=_go_environment())
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _go_environment() -> dict[str, str]:
    """GOTOOLCHAIN: a build must not download another compiler than the one that was asked."""
    return {**os.environ, "GOTOOLCHAIN": "local", "GOFLAGS": "-trimpath", "CGO_ENABLED": "0"}


@cache
def c_versions() -> str:
    return _answer(["dpkg-query", "-W", "wasi-libc", "libclang-rt-14-dev-wasm32"])


@cache
def rust_target() -> str:
    """The name of the target that the installed rustc has a library for."""
    sysroot = _answer(["rustc", "--print", "sysroot"])
    if sysroot and shutil.which("cargo"):
        for target in RUST_TARGETS:
            if (Path(sysroot) / "lib" / "rustlib" / target / "lib").is_dir():
                return target
    raise MissingToolchainError(
        "no Rust for WASI: `rustup target add wasm32-wasip1`, or "
        "`apt-get install cargo rustc libstd-rust-dev-wasm32 lld`"
    )


def rust_versions(name: str) -> str:
    """Target and compiler, or an error if the package NAME asks for a newer one (its rust-version)."""
    target, version = rust_target(), _answer(["rustc", "--version"])
    package = tomllib.loads((SOURCES / "rust" / name / "Cargo.toml").read_text())["package"]
    found = re.search(r"(\d+)\.(\d+)", version)
    oldest = package.get("rust-version", "1.63")
    if found is None or [*map(int, found.groups())] < [*map(int, oldest.split("."))]:
        raise MissingToolchainError(f"rust-{name} needs Rust {oldest}, this is {version}: `rustup update`")
    return f"{target} {version}"


@cache
def go_version() -> str:
    """`go version`, or an error if it is too old."""
    text = _answer(["go", "version"])
    found = re.search(r"go(\d+)\.(\d+)", text)
    if found is None or (int(found[1]), int(found[2])) < GO_OLDEST:
        raise MissingToolchainError(
            f"no Go for WASI ({text or 'none installed'}): install 1.21 or later from go.dev/dl"
        )
    return text


def c_program(name: str) -> Recipe:
    def build(context: Context) -> None:
        context.report(f"building {name} with clang and wasi-libc")
        flags = ["-O1", "-Wall", "-Wextra", "-Werror", "-Wno-format", f"-ffile-prefix-map={ROOT}=."]
        source, module = SOURCES / f"{name}.c", context.out / f"{name}.wasm"
        command = [clang(), "--target=wasm32-wasi", *flags, str(source), "-o", str(module)]
        context.toolchain.run(command, context.work)

    inputs = (f"tests/guests/wasi/{name}.c", "tests/guests/wasi/*.h", "scripts/wasi_recipes.py")
    return Recipe(name, "WASI test program", build, inputs=inputs, settings=c_versions)


def rust_program(name: str) -> Recipe:
    """tests/guests/wasi/rust/NAME, a package with its Cargo.lock, as rust-NAME."""

    def build(context: Context) -> None:
        target = rust_target()
        source = context.work / "source"
        shutil.copytree(SOURCES / "rust" / name, source)
        flags = {"CARGO_TARGET_DIR": str(context.work / "target"), "CARGO_INCREMENTAL": "0"}
        build = ["cargo", "build", "--release", "--locked", f"-j{context.toolchain.jobs}"]
        context.report(f"building {name} with cargo for {target}")
        context.toolchain.run([*build, "--target", target], source, flags)
        context.report(f"building {name} with cargo for this machine")
        context.toolchain.run(build, source, flags)
        made = context.work / "target"
        shutil.copy(made / target / "release" / f"{name}.wasm", context.out / f"rust-{name}.wasm")
        shutil.copy(made / "release" / name, context.out / "native")

    inputs = (f"tests/guests/wasi/rust/{name}/**/*", "scripts/wasi_recipes.py")
    settings = partial(rust_versions, name)
    return Recipe(f"rust-{name}", "Rust for WASI", build, inputs=inputs, settings=settings)


def go_program(name: str) -> Recipe:
    """tests/guests/wasi/go/NAME, a module, as go-NAME."""

    def build(context: Context) -> None:
        environment = _go_environment()
        source = context.work / "source"
        shutil.copytree(SOURCES / "go" / name, source)
        build = ["go", "build", f"-p={context.toolchain.jobs}", "-buildvcs=false", "-o"]
        context.report(f"building {name} with go for wasip1")
        module = context.out / f"go-{name}.wasm"
        context.toolchain.run([*build, str(module), "."], source,
                              {**environment, "GOOS": "wasip1", "GOARCH": "wasm"})  # fmt: skip
        context.report(f"building {name} with go for this machine")
        context.toolchain.run([*build, str(context.out / "native"), "."], source, environment)

    inputs = (f"tests/guests/wasi/go/{name}/**/*", "scripts/wasi_recipes.py")
    return Recipe(f"go-{name}", "Go for WASI", build, inputs=inputs, settings=go_version)


def wasi_program_names() -> list[str]:
    """The C programs."""
    return sorted(path.stem for path in SOURCES.glob("*.c"))


def wasi_recipes() -> list[Recipe]:
    rust = sorted(path.parent.name for path in (SOURCES / "rust").glob("*/Cargo.toml"))
    go = sorted(path.parent.name for path in (SOURCES / "go").glob("*/go.mod"))
    return [*map(c_program, wasi_program_names()), *map(rust_program, rust), *map(go_program, go)]
