# SPDX-License-Identifier: GPL-2.0-only
"""Where modules come from: a generator's name and a seed are a module, today and tomorrow.

    own     generate.py
    smith   wasm-smith, of the wasm-tools that ``wasm_tools()`` builds
    ttf     Debian's binaryen: wasm-opt --translate-to-fuzz
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Final

import wasmtime

from tests.fuzz import generate

#: The last one that the rustc of the year before last compiles; seeds mean what they mean with it.
WASM_TOOLS: Final = "1.219.1"
CACHE: Final = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "pywasmjit"

# No traps of the instances' own making, all that we do not have switched off, NaNs canonical.
_SMITH: Final = {
    "fuel": 300, "memory-offset-choices": "95,4,1", "max-imports": 0, "min-types": 3, "min-funcs": 2, "max-funcs": 6, "max-types": 8, "max-instructions": 80,
    "canonicalize-nans": "true", "export-everything": "true", "exceptions-enabled": "false",
    "gc-enabled": "false", "memory64-enabled": "false", "max-memories": 1, "max-memory32-bytes": 262144,
    "memory-max-size-required": "true", "simd-enabled": "false", "relaxed-simd-enabled": "false",
    "tail-call-enabled": "false", "table-max-size-required": "true", "max-table-elements": 1000,
    "threads-enabled": "false", "wide-arithmetic-enabled": "false", "custom-page-sizes-enabled": "false",
    "allow-start-export": "true", "generate-custom-sections": "false",
}  # fmt: skip

_FEATURES: Final = (
    "--enable-mutable-globals", "--enable-nontrapping-float-to-int", "--enable-sign-ext",
    "--enable-multivalue", "--enable-bulk-memory",
)  # fmt: skip
_PASSES: Final = ((), ("-O1",), ("-O2",), ("-O3",), ("-Os",), ("--flatten", "--simplify-locals"))


class MissingTool(Exception):
    """What to install."""


@cache
def wasm_tools() -> Path:
    """wasm-tools of crates.io, built once by cargo into the cache."""
    root = CACHE / f"wasm-tools-{WASM_TOOLS}"
    program = root / "bin" / "wasm-tools"
    if not program.exists():
        cargo = shutil.which("cargo") or shutil.which("cargo", path=str(Path.home() / ".cargo/bin"))
        if not cargo:
            raise MissingTool(
                "generator smith needs cargo (Rust 1.76 or later, https://rustup.rs) to build wasm-tools; "
                "name the others with GENERATORS=own,ttf"
            )
        print(f"fuzz: cargo builds wasm-tools {WASM_TOOLS} in {root}, some minutes", flush=True)
        subprocess.run(
            [cargo, "install", "--quiet", "--locked", "wasm-tools", "--version", WASM_TOOLS,
             "--no-default-features", "--features", "smith", "--root", str(root)], check=True,
        )  # fmt: skip
    return program


def own(seed: int) -> bytes:
    return bytes(wasmtime.wat2wasm(generate.module(seed)))


def smith(seed: int) -> bytes:
    rng = random.Random(seed)
    options = [word for name, value in _SMITH.items() for word in (f"--{name}", str(value))]
    done = subprocess.run(
        [wasm_tools(), "smith", "--ensure-termination", *options],
        input=rng.randbytes(rng.choice((1000, 2000, 4000, 8000))), capture_output=True, check=True,
    )  # fmt: skip
    return done.stdout


@cache
def _scratch() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="pywasmjit-fuzz-")


def ttf(seed: int) -> bytes:
    rng = random.Random(seed)
    place = Path(_scratch().name) / str(os.getpid())
    place.write_bytes(rng.randbytes(rng.choice((200, 500, 1000, 3000))))
    done = subprocess.run(
        ["wasm-opt", place, "-ttf", "--denan", *rng.choice(_PASSES), *_FEATURES, "-o", "-"],
        capture_output=True, env={**os.environ, "BINARYEN_CORES": "1"},
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"wasm-opt, seed {seed}: {done.stderr.decode(errors='replace')}")
    return done.stdout


SOURCES: Final[dict[str, Callable[[int], bytes]]] = {"own": own, "smith": smith, "ttf": ttf}

#: Of a hundred modules; a process for each of the others makes them dear.
SHARES: Final = {"own": 92, "smith": 6, "ttf": 2}
