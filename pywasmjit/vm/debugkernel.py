# SPDX-License-Identifier: GPL-2.0-only
"""The debug kernel: Debian's 6.1 sources with KASAN, lockdep, kmemleak and other checkers.

Built once (some 15 minutes of processor time) from the package linux-source-6.1 and the fragment
guest/debug.config, and kept under the hash of both. It boots as any other kernel: no modules, all
that a machine needs is built in.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import subprocess
import tarfile
from collections.abc import Sequence
from pathlib import Path

from pywasmjit.vm import cache, packages
from pywasmjit.vm.errors import FetchError
from pywasmjit.vm.packages import Kernel

_log = logging.getLogger(__name__)

PACKAGE = "linux-source-6.1"
SUITE = "bookworm"
CONFIGURATION = Path(__file__).with_name("guest") / "debug.config"
# Without ACPI there is no clock to compare the time stamp counter with: it is trusted. All reports
# are wanted, not just the first. The RAM disk, which is built in, has room to swap to.
ARGUMENTS = ("tsc=reliable", "kasan_multi_shot", "brd.rd_size=131072")
# How much longer everything takes, measured with the tests of tests/vm.
SLOWNESS = 8.0
_FORMAT = b"1"  # count up when the way of building changes
# Built only where they are wanted, so that two builds of the same are the same.
_NAME = "pywasmjit"
_VARIABLES = (
    "LOCALVERSION=-pywasmjit-debug",
    "KBUILD_BUILD_TIMESTAMP=@0",
    f"KBUILD_BUILD_USER={_NAME}",
    f"KBUILD_BUILD_HOST={_NAME}",
)
# What of the sources, and of what was built, a module is built against (scripts/package/builddeb).
_HEADER_FILES = re.compile(r"(^|/)(Makefile|Kbuild|Kconfig)[^/]*$|^(arch/x86/)?include/|^scripts/")
_HEADER_TREES = ("Makefile", "Kbuild", "Kconfig", "arch/x86", "include", "scripts")
_MADE = ("arch/x86/include", "include", "scripts", "tools/objtool/objtool", "Module.symvers", ".config")


def kernel(*, update: bool = False) -> Kernel:
    """The debug kernel, built if it is not in the cache; `update` looks for newer sources."""
    directory = cache.root() / "kernels" / packages.DEBUG_SERIES
    current = directory / "source"
    if update or not current.exists():
        with cache.locked(directory / ".source.lock"):
            if update or not current.exists():
                cache.replace_text(current, packages.newest(SUITE, PACKAGE))
    source = current.read_text()
    key = cache.digest([_FORMAT, _compiler().encode(), CONFIGURATION.read_bytes()])
    target = cache.build_once(
        directory / f"{source}-{key}", lambda staged: _build(directory, source, staged)
    )
    image = next((target / "boot").glob("vmlinuz-*"))
    return Kernel(
        packages.DEBUG_SERIES,
        f"{source}-{key}",
        image.name.removeprefix("vmlinuz-"),
        target,
        arguments=ARGUMENTS,
        slowness=SLOWNESS,
    )


def _compiler() -> str:
    if shutil.which("gcc") is None:
        raise FetchError("gcc not found: apt-get install gcc")
    return subprocess.run(
        ["gcc", "-dumpfullversion"], capture_output=True, text=True, check=True
    ).stdout.strip()


def _build(directory: Path, version: str, staged: Path) -> None:
    work = directory / ".build"
    cache.remove(work)
    try:
        packages.unpack(SUITE, (f"{PACKAGE}={version}",), work)
        with tarfile.open(work / "usr" / "src" / f"{PACKAGE}.tar.xz") as archive:
            archive.extraction_filter = getattr(tarfile, "tar_filter", None)
            archive.extractall(work)
        source, out = work / PACKAGE, work / "out"
        out.mkdir()
        configure(source, out)
        _log.info("building the debug kernel: once, about 15 minutes on two processors")
        _make(source, out, f"-j{os.cpu_count() or 1}", "bzImage", "modules")
        _install(source, out, staged)
    finally:
        cache.remove(work)


def configure(source: Path, out: Path) -> None:
    """Make out/.config from the fragment; FetchError where the kernel does not take a line of it."""
    _make(source, out, f"KCONFIG_ALLCONFIG={CONFIGURATION}", "allnoconfig")
    got = set((out / ".config").read_text().splitlines())
    wanted = [line for line in CONFIGURATION.read_text().splitlines() if line.startswith("CONFIG_")]
    missing = [line for line in wanted if line not in got]
    if missing:
        raise FetchError(
            f"{CONFIGURATION}: the kernel in {source} does not take {', '.join(missing)}: "
            "mend the line, or add what it depends on"
        )


def _make(source: Path, out: Path, *what: str) -> None:
    command = ["nice", "-n", "19", "make", "-s", "-C", str(source), f"O={out}", *_VARIABLES, *what]
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS", "KBUILD_"))}
    try:
        done = subprocess.run(
            command,
            env={**environment, "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        raise FetchError("make not found: apt-get install make") from None
    if done.returncode != 0:
        tail = "\n".join((done.stdout + done.stderr).splitlines()[-30:])
        raise FetchError(
            f"building the debug kernel failed ({' '.join(what)}); it needs gcc, make, bc, bison, flex "
            f"and libelf-dev:\n{tail}"
        )


def _install(source: Path, out: Path, staged: Path) -> None:
    """Put image, configuration, module lists and headers where Debian's packages have them."""
    release = (out / "include/config/kernel.release").read_text().strip()
    boot, headers = staged / "boot", staged / "usr" / "src" / f"linux-headers-{release}"
    boot.mkdir(parents=True)
    shutil.copy(out / "arch/x86/boot/bzImage", boot / f"vmlinuz-{release}")
    shutil.copy(out / ".config", boot / f"config-{release}")
    shutil.copy(out / "System.map", boot / f"System.map-{release}")
    _make(source, out, f"INSTALL_MOD_PATH={staged}", "modules_install")
    for name in ("build", "source"):
        (staged / "lib" / "modules" / release / name).unlink(missing_ok=True)
    _copy(source, headers, _headers(source))
    for made in _MADE:
        from_ = out / made
        files = [path for path in from_.rglob("*") if path.is_file()] if from_.is_dir() else [from_]
        _copy(out, headers, [path for path in files if path.suffix not in (".o", ".cmd", ".d")])


def _headers(source: Path) -> list[Path]:
    result = []
    for name in _HEADER_TREES:
        top = source / name
        for path in [top] if top.is_file() else top.rglob("*"):
            if path.is_file() and _HEADER_FILES.search(str(path.relative_to(source))):
                result.append(path)
    return result


def _copy(top: Path, to: Path, files: Sequence[Path]) -> None:
    for path in files:
        target = to / path.relative_to(top)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
