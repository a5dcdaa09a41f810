#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Put pywasmjit where a system has its programs, and take it away again.

    install.py [--prefix DIR] [--destdir DIR] [--launcher FILE] [--dkms-apart] install|uninstall

Below PREFIX (/usr/local): bin/pywasmjit, the package in lib/pywasmjit, the module's sources in
src/pywasmjit-VERSION, udev rule, sysusers.d, systemd unit, man pages, completion.  With DESTDIR
nothing outside of it is touched: that is for packages.  What was installed is written down in
lib/pywasmjit/installed, so that `uninstall` leaves nothing, whichever version it was.
"""

from __future__ import annotations

import argparse
import gzip
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import gen_docs  # noqa: E402

from pywasmjit import __version__, kbuild  # noqa: E402
from pywasmjit.kconfig import KCONFIG  # noqa: E402
from pywasmjit.loader import SYSTEM_BUILDS  # noqa: E402

PACKAGING = ROOT / "packaging"
SOURCES = f"src/pywasmjit-{__version__}"
MANIFEST = "lib/pywasmjit/installed"
NOT_SOURCES = shutil.ignore_patterns("__pycache__", "*.pyc", "bin", ".*")
# Neither is part of the module.
NOT_OF_THE_MODULE = ("kmod/user/",)


def plan(prefix: str, launcher: Path, work: Path) -> Iterator[tuple[str, Path, int]]:
    """Every file: name below PREFIX, where it is now, mode.  `work` is for those made on the way."""

    def filled(name: str) -> Path:
        text = (PACKAGING / name).read_text()
        target = work / name
        target.write_text(text.replace("@VERSION@", __version__).replace("@PREFIX@", prefix))
        return target

    yield "bin/pywasmjit", PACKAGING / "pywasmjit", 0o755
    for path in sorted((ROOT / "pywasmjit").rglob("*")):
        name = path.relative_to(ROOT)
        if path.is_file() and "__pycache__" not in name.parts and name.parts[1] != "bin":
            yield f"lib/pywasmjit/{name}", path, 0o755 if os.access(path, os.X_OK) else 0o644
    stripped = work / "pywasmjit-launch"
    shutil.copy(launcher, stripped)
    subprocess.run(["strip", "--strip-debug", stripped], check=True)
    yield "lib/pywasmjit/pywasmjit/bin/pywasmjit-launch", stripped, 0o755
    files = kbuild.source_files(ROOT, (*kbuild.SOURCES, str(KCONFIG)))
    for source in sorted(files):
        if not source.startswith(NOT_OF_THE_MODULE):
            yield f"{SOURCES}/{source}", files[source], 0o644
    yield f"{SOURCES}/dkms.conf", filled("dkms.conf"), 0o644
    yield "lib/udev/rules.d/60-wasm.rules", PACKAGING / "60-wasm.rules", 0o644
    yield "lib/sysusers.d/pywasmjit.conf", PACKAGING / "sysusers.conf", 0o644
    yield "lib/systemd/system/pywasmjit@.service", filled("pywasmjit@.service"), 0o644
    for made in gen_docs.write(work):
        if made.suffix == ".1":
            packed = made.with_name(f"{made.name}.gz")
            packed.write_bytes(gzip.compress(made.read_bytes(), mtime=0))
            yield f"share/man/man1/{packed.name}", packed, 0o644
        else:
            yield "share/bash-completion/completions/pywasmjit", made, 0o644
    for document in ("README.md", "RATIONALE.md"):
        yield f"share/doc/pywasmjit/{document}", ROOT / document, 0o644


def install(prefix: str, destdir: Path, launcher: Path) -> list[str]:
    """Copy everything; the names of the files below PREFIX."""
    top = destdir / prefix.lstrip("/")
    if not destdir.samefile("/") and prefix == "/":
        raise SystemExit("install: --prefix / would spread files over the root directory")
    uninstall(prefix, destdir)
    made: list[str] = []
    names = []
    with tempfile.TemporaryDirectory(prefix="pywasmjit-install-") as work:
        for name, source, mode in plan(prefix, launcher, Path(work)):
            target = top / name
            _make_directories(target.parent, destdir, made)
            shutil.copyfile(source, target)
            target.chmod(mode)
            names.append(name)
    manifest = top / MANIFEST
    manifest.write_text("".join(f"{line}\n" for line in (*names, MANIFEST, *made)))
    manifest.chmod(0o644)
    if destdir == Path("/"):
        python = next(filter(os.path.exists, ("/usr/bin/python3", sys.executable)))
        subprocess.run([python, "-m", "compileall", "-q", top / "lib" / "pywasmjit"], check=False)
        if sysusers := shutil.which("systemd-sysusers"):
            subprocess.run([sysusers, top / "lib/sysusers.d/pywasmjit.conf"], check=False)
        _reload_udev()
    return names


def _make_directories(directory: Path, destdir: Path, made: list[str]) -> None:
    """Make a directory; `made` gets a line ending in / for each that was not there."""
    missing = []
    while not directory.exists():
        missing.append(directory)
        directory = directory.parent
    for path in reversed(missing):
        path.mkdir()
        path.chmod(0o755)
        made.append(f"/{path.relative_to(destdir)}/")


def uninstall(prefix: str, destdir: Path) -> bool:
    """Remove what install has put there, and what the tool has made since; False if there is nothing."""
    top = destdir / prefix.lstrip("/")
    manifest = top / MANIFEST
    if not manifest.exists():
        return False
    lines = manifest.read_text().splitlines()
    files = [line for line in lines if not line.startswith("/")]
    directories = [destdir / line.strip("/") for line in lines if line.startswith("/")]
    if destdir == Path("/"):
        for source in {name.split("/")[1] for name in files if name.endswith("/dkms.conf")}:
            _remove_from_dkms(source.removeprefix("pywasmjit-"))
        shutil.rmtree(SYSTEM_BUILDS.parent, ignore_errors=True)
    for name in files:
        (top / name).unlink(missing_ok=True)
    for cached in (top / "lib/pywasmjit").rglob("__pycache__"):
        shutil.rmtree(cached)
    for directory in sorted(directories, key=lambda path: len(path.parts), reverse=True):
        if directory.is_dir() and not any(directory.iterdir()):
            directory.rmdir()
    if destdir == Path("/"):
        _reload_udev()
    return True


def _remove_from_dkms(version: str) -> None:
    if Path(f"/var/lib/dkms/pywasmjit/{version}").exists() and (dkms := shutil.which("dkms")):
        subprocess.run([dkms, "remove", "-m", "pywasmjit", "-v", version, "--all"], check=False)


def _reload_udev() -> None:
    if Path("/run/udev/control").exists() and (udevadm := shutil.which("udevadm")):
        subprocess.run([udevadm, "control", "--reload"], check=False)


def main() -> int:
    parser = argparse.ArgumentParser(description="Install or uninstall pywasmjit.")
    parser.add_argument("--prefix", default="/usr/local", help="default: /usr/local")
    parser.add_argument("--destdir", type=Path, default=Path("/"), help="install below this directory")
    parser.add_argument("--launcher", type=Path, default=ROOT / "build" / "pywasmjit-launch",
                        help="default: build/pywasmjit-launch")
    parser.add_argument("what", choices=("install", "uninstall"))
    options = parser.parse_args()
    destdir = options.destdir.resolve()
    try:
        if options.what == "uninstall":
            if not uninstall(options.prefix, destdir):
                print(f"uninstall: nothing is installed below {options.prefix}", file=sys.stderr)
                return 1
            return 0
        names = install(options.prefix, destdir, options.launcher)
    except PermissionError as error:
        what = options.what
        print(f"{what}: {error.filename}: permission denied: sudo make {what}", file=sys.stderr)
        return 77
    print(f"  INSTALL {len(names)} files below {destdir / options.prefix.lstrip('/')}")
    if destdir == Path("/"):
        print("  insmod and doctor need: apt-get install python3-pyelftools python3-kconfiglib python3-rich")
    return 0


if __name__ == "__main__":
    sys.exit(main())
