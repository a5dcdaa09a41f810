#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Make what an administrator needs: Debian packages, wheel, sdist and nginx.wasm.

    make_dist.py [--output DIR] [--launcher FILE] [WHAT...]     WHAT: sdist, wheel, deb, nginx

The wheel holds the launcher (pywasmjit/bin), the man pages and the completion; as the launcher is a
program for one processor, so is the wheel.  pip fetches setuptools to build it.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import gen_docs
import make_deb
from build_guests import main as build_guests

ROOT = Path(__file__).resolve().parent.parent
DIRECTORIES = ("pywasmjit", "kmod", "guest", "packaging", "scripts", "tests")
FILES = ("pyproject.toml", "README.md", "CONTRIBUTING.md", "RATIONALE.md", "Makefile", "Kbuild")
WHAT = ("sdist", "wheel", "deb", "nginx")

# Only files of the wheel's own staging directory: a checkout has neither.
WHEEL_PROJECT = """
[tool.setuptools.package-data]
pywasmjit = ["bin/*"]
"pywasmjit.vm" = ["guest/*"]

[tool.setuptools.data-files]
"share/man/man1" = ["man/*.1"]
"share/bash-completion/completions" = ["completion/pywasmjit"]
"""
BUILD_SDIST = "import sys; from setuptools import build_meta; build_meta.build_sdist(sys.argv[1])"


def stage(directory: Path) -> None:
    """Copy the sources, without what is built."""
    ignore = shutil.ignore_patterns("__pycache__", "*.pyc", "bin", "*.egg-info", ".*")
    for name in DIRECTORIES:
        shutil.copytree(ROOT / name, directory / name, ignore=ignore, symlinks=True)
    for name in FILES:
        shutil.copy(ROOT / name, directory / name)


def make_sdist(output: Path, directory: Path) -> None:
    """output/pywasmjit-VERSION.tar.gz."""
    stage(directory)
    manifest = [f"graft {name}" for name in DIRECTORIES] + [f"include {name}" for name in FILES]
    (directory / "MANIFEST.in").write_text("\n".join(manifest) + "\n")
    command = [sys.executable, "-c", BUILD_SDIST, str(output)]
    subprocess.run(command, cwd=directory, check=True, stdout=subprocess.DEVNULL)


def make_wheel(output: Path, directory: Path, launcher: Path) -> None:
    """output/pywasmjit-VERSION-py3-none-linux_ARCH.whl."""
    stage(directory)
    program = directory / "pywasmjit" / "bin" / "pywasmjit-launch"
    program.parent.mkdir()
    shutil.copy(launcher, program)
    subprocess.run(["strip", "--strip-debug", program], check=True)
    program.chmod(0o755)
    gen_docs.write(directory)
    with (directory / "pyproject.toml").open("a") as project:
        project.write(WHEEL_PROJECT)
    (directory / "setup.cfg").write_text(f"[bdist_wheel]\nplat_name = linux_{platform.machine()}\n")
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "-q", "--disable-pip-version-check", "--no-deps",
         "--wheel-dir", str(output), str(directory)],
        check=True, env={"SOURCE_DATE_EPOCH": "946684800", **os.environ},
    )  # fmt: skip


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Make Debian packages, wheel, sdist and nginx.wasm.")
    parser.add_argument("--output", type=Path, default=ROOT / "dist", help="default: dist")
    parser.add_argument("--launcher", type=Path, default=ROOT / "build" / "pywasmjit-launch",
                        help="default: build/pywasmjit-launch")
    parser.add_argument("what", nargs="*", metavar="WHAT", help=f"of {', '.join(WHAT)} (default: all)")
    options = parser.parse_args(arguments)
    what = options.what or WHAT
    if unknown := set(what) - set(WHAT):
        parser.error(f"cannot make {', '.join(sorted(unknown))}")
    output = options.output.resolve()
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="pywasmjit-dist-") as name:
        if "sdist" in what:
            make_sdist(output, Path(name) / "sdist")
        if "wheel" in what:
            make_wheel(output, Path(name) / "wheel", options.launcher)
        if "deb" in what:
            make_deb.make(output, Path(name) / "deb", options.launcher)
    if "nginx" in what and build_guests(["nginx", "--output", str(output)]):
        return 1
    for path in sorted(output.iterdir()):
        print(f"  DIST   {path} ({path.stat().st_size / 1e6:.1f} MB)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
