# SPDX-License-Identifier: GPL-2.0-only
"""A warm start imports next to nothing: that is most of its time."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from lowering import assemble

ROOT = Path(__file__).resolve().parents[2]
# Each of these takes milliseconds, and some bring others along.
SLOW = (
    "asyncio", "dataclasses", "importlib.resources", "inspect", "logging", "multiprocessing", "subprocess",
    "tempfile", "traceback", "pywasmjit._isa", "pywasmjit.image", "pywasmjit.lower",
    "pywasmjit.objdump", "pywasmjit.vm", "pywasmjit.wasm", "pywasmjit.wast_run",
)  # fmt: skip


def loaded(program: str, *arguments: str, **environment: str) -> set[str]:
    """Modules that a program has imported when it ends; -S: without what site brings in."""
    code = f"import sys\n{program}\nprint(*sys.modules, file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-S", "-c", code, *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return set(done.stderr.split())


def test_import() -> None:
    assert sorted(loaded("import pywasmjit.cli") & set(SLOW)) == []


@pytest.mark.parametrize("first", [[], ["-v"]])
def test_exec_of_a_cached_module(first: list[str], tmp_path: Path) -> None:
    """All the way to the launcher's start."""
    wasm = tmp_path / "some.wasm"
    wasm.write_bytes(assemble('(module (memory 1) (func (export "_start")))'))
    program = (
        "import os\nfrom pywasmjit import cli\nos.execve = lambda *words: None\n"
        "assert not cli.main()"
    )
    arguments = [*first, "exec", "--host=user", str(wasm)]
    cold = loaded(program, *arguments, PYWASMJIT_CACHE=str(tmp_path / "cache"))
    assert "pywasmjit.lower" in cold
    warm = loaded(program, *arguments, PYWASMJIT_CACHE=str(tmp_path / "cache"))
    assert sorted(warm & set(SLOW)) == []
