# SPDX-License-Identifier: GPL-2.0-only
"""How to call Debian's Emscripten."""

from __future__ import annotations

import functools
import os
import re
import shlex
import subprocess
from pathlib import Path
from typing import Final

# Debian keeps emcc's node modules outside node's default path, and node 18
# and later bring a fetch() that emcc 3.1.6 mistakes for a browser's.
NODE_ENVIRONMENT: Final = {
    "NODE_PATH": "/usr/share/nodejs",
    "NODE_OPTIONS": "--no-experimental-fetch",
}


def environment() -> dict[str, str]:
    """The caller's environment without anything that would steer a compiler."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("EMCC_", "EMMAKEN_", "EM_"))
        and name not in {"CFLAGS", "CPPFLAGS", "LDFLAGS", "CC", "AR", "MAKEFLAGS"}
    }
    return kept | NODE_ENVIRONMENT | {"LC_ALL": "C.UTF-8", "SOURCE_DATE_EPOCH": "0"}


@functools.cache
def clang() -> str:
    """The clang that Debian's Emscripten is configured to use, "clang-14" say."""
    config = Path("/usr/share/emscripten/.emscripten").read_text()
    found = re.search(r"^CLANG_ADD_VERSION\s*=\s*'(\d+)'", config, re.MULTILINE)
    return f"clang-{found.group(1)}" if found else "clang"


@functools.cache
def clang_flags() -> tuple[str, ...]:
    """The flags that emcc itself would pass to clang."""
    done = subprocess.run(["emcc", "--cflags"], check=True, capture_output=True, text=True, env=environment())
    return tuple(shlex.split(done.stdout))


def clang_compile_command() -> list[str]:
    """What `emcc -c` runs in the end, without Python's start-up time."""
    return [clang(), *clang_flags()]
