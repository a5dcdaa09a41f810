# SPDX-License-Identifier: GPL-2.0-only
"""The wheel in a fresh environment, without compiler and checkout, runs a guest."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import make_dist
import pytest

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]


def test_wheel(tmp_path: Path, guest: Callable[[str], Path]) -> None:
    assert make_dist.main(["--output", str(tmp_path / "dist"), "wheel"]) == 0
    (wheel,) = (tmp_path / "dist").iterdir()
    assert "-py3-none-linux_" in wheel.name
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", venv], check=True)
    # What `exec` needs is all in it: no other package, no network.
    subprocess.run([venv / "bin" / "pip", "install", "-q", "--no-deps", "--no-index", wheel], check=True)
    environment = {
        "PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "PYWASMJIT_CACHE": str(tmp_path / "cache"),
    }  # fmt: skip
    for _ in range(2):  # lowered, then from the cache
        done = subprocess.run(
            [venv / "bin" / "pywasmjit", "exec", "--host", "user", guest("hello"), "one"],
            env=environment, cwd=tmp_path, capture_output=True, timeout=120, check=False,
        )  # fmt: skip
        assert (done.returncode, done.stdout, done.stderr) == (0, b"hello, world\nargument 1: one\n", b"")
    image = tmp_path / "hello.image"
    for command, output in [
        (["validate", guest("hello")], b""),
        (["compile", guest("hello"), "-o", image], b""),
        (["exec", "--host=user", image], b"hello, world\n"),
        (["objdump", "--function", "main", image], b"main"),
    ]:
        done = subprocess.run(
            [venv / "bin" / "pywasmjit", *command], env=environment, cwd=tmp_path, capture_output=True, timeout=120,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0 and output in done.stdout and done.stderr == b"", (command, done)
    package = next(venv.glob("lib/python*/site-packages/pywasmjit"))
    assert os.access(package / "bin" / "pywasmjit-launch", os.X_OK)
    # What `pywasmjit vm` puts into its machines.
    source = Path(make_dist.ROOT) / "pywasmjit" / "vm" / "guest"
    assert {path.name for path in (package / "vm" / "guest").iterdir()} == {path.name for path in source.iterdir()}
    assert (venv / "share" / "man" / "man1" / "pywasmjit-exec.1").exists()
    assert (venv / "share" / "bash-completion" / "completions" / "pywasmjit").exists()


def test_sdist(tmp_path: Path) -> None:
    """What `make` needs is there."""
    assert make_dist.main(["--output", str(tmp_path), "sdist"]) == 0
    (archive,) = tmp_path.iterdir()
    with tarfile.open(archive) as tar:
        names = {name.partition("/")[2] for name in tar.getnames()}
    for needed in (
        "Makefile", "Kbuild", "scripts/setup.sh", "scripts/packages.txt", "kmod/core/isa.def",
        "kmod/user/start.S", "kmod/user/launcher.c", "guest/README.md", "pywasmjit/cli.py",
        "pywasmjit/lower/passes/__init__.py", "pywasmjit/vm/guest/init", "tests/guests/hello.c",
    ):  # fmt: skip
        assert needed in names
    assert not any("__pycache__" in name or name.endswith("pywasmjit-launch") for name in names)
