# SPDX-License-Identifier: GPL-2.0-only
"""Debian's stock kernels: found and downloaded by apt, unpacked into the cache, never installed.

Each suite has its own apt configuration and package lists inside the cache, so neither the
system's sources nor its lists are read or changed; only the `Acquire::` settings (proxies) are
taken over.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import shutil
import stat
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pywasmjit.vm import cache
from pywasmjit.vm.errors import FetchError

_log = logging.getLogger(__name__)

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
MIRROR_VARIABLE = "PYWASMJIT_DEBIAN_MIRROR"
DEFAULT_MIRROR = "http://deb.debian.org"


@dataclass(frozen=True)
class Suite:
    """Where a kernel series comes from."""

    codename: str
    # Libraries that the suite's kbuild programs need and an older host (bookworm) does not have.
    libraries: tuple[str, ...] = ()
    flavour: str = "cloud"

    @property
    def meta_packages(self) -> tuple[str, str]:
        """What always depends on the newest image and its headers."""
        return (f"linux-image-{self.flavour}-amd64", f"linux-headers-{self.flavour}-amd64")


_TRIXIE_LIBRARIES = ("libc6", "libelf1t64", "zlib1g", "libzstd1")
# Those named after a suite are whatever is the newest there.
SUITES = {
    "5.10": Suite("bullseye"),
    "6.1": Suite("bookworm"),
    "6.12": Suite("trixie", _TRIXIE_LIBRARIES),
    "bookworm-backports": Suite("bookworm-backports"),
    "trixie-backports": Suite("trixie-backports", (*_TRIXIE_LIBRARIES, "libssl3t64")),
    "6.1-rt": Suite("bookworm", flavour="rt"),
}
DEFAULT_SERIES = "6.1"
DEBUG_SERIES = "debug"  # not Debian's: built by vm.debugkernel
_BACKPORTS = "-backports"
# Of what the meta packages depend on, only these are unpacked.
_WANTED = re.compile(r"linux-(image|binary|modules|base|headers|kbuild|compiler)-[^ ,|()]+")
# Programs linked against a newer glibc than the oldest supported host's are wrapped.
_HOST_GLIBC_MINOR = 36


@dataclass(frozen=True)
class Kernel:
    """One unpacked kernel: image, modules and headers under `root`."""

    series: str
    version: str
    """The Debian package version."""
    release: str
    """What `uname -r` prints."""
    root: Path
    arguments: tuple[str, ...] = ()
    """What its command line needs."""
    slowness: float = 1.0
    """How much longer it takes than a stock kernel: what timeouts are multiplied with."""

    @property
    def image(self) -> Path:
        return self.root / "boot" / f"vmlinuz-{self.release}"

    @property
    def config(self) -> Path:
        return self.root / "boot" / f"config-{self.release}"

    @property
    def modules(self) -> Path:
        """The directory that belongs at /lib/modules/RELEASE."""
        return self.root / "lib" / "modules" / self.release

    @property
    def headers(self) -> Path:
        """What to give `make -C` for an out-of-tree module."""
        return self.root / "usr" / "src" / f"linux-headers-{self.release}"


def kernel(series: str = DEFAULT_SERIES, *, update: bool = False) -> Kernel:
    """The newest cached kernel of a series; fetched if there is none, or if `update` is set."""
    if series == DEBUG_SERIES:
        from pywasmjit.vm import debugkernel

        return debugkernel.kernel(update=update)
    if series not in SUITES:
        raise FetchError(f"no kernel series {series!r}: known are {', '.join((*SUITES, DEBUG_SERIES))}")
    directory = cache.root() / "kernels" / series
    current = directory / "current"
    if update or not current.exists():
        with cache.locked(directory / ".current.lock"):
            if update or not current.exists():
                cache.replace_text(current, _fetch(series, directory))
    version = current.read_text()
    root = directory / version
    images = list((root / "boot").glob("vmlinuz-*"))
    if len(images) != 1:
        raise FetchError(
            f"{root}/boot holds {len(images)} kernel images instead of one: "
            f"remove {directory} and fetch again"
        )
    return Kernel(series, version, images[0].name.removeprefix("vmlinuz-"), root)


def _fetch(series: str, directory: Path) -> str:
    """Download and unpack the suite's newest kernel; return its package version."""
    with _apt(SUITES[series].codename) as apt:
        return _unpack_newest(apt, series, directory)


def _unpack_newest(apt: _Apt, series: str, directory: Path) -> str:
    _log.info("looking for kernel %s in Debian %s", series, apt.codename)
    apt.update()
    meta = SUITES[series].meta_packages
    wanted = apt.closure(meta)
    images = [name for name in wanted if name.startswith("linux-image-")]
    if len(images) != 1:
        raise FetchError(f"{meta[0]} of {apt.codename} needs {images}, expected one image")
    version = apt.field(images[0], "Version")
    target = directory / version

    def build(staged: Path) -> None:
        _log.info("downloading kernel %s: %s", version, " ".join(wanted))
        apt.unpack(wanted, staged)
        _relocate(staged)
        libraries = SUITES[series].libraries
        if libraries:
            apt.unpack(libraries, staged / "libraries")
            _wrap_programs(staged, target)

    cache.build_once(target, build)
    return version


def newest(codename: str, package: str) -> str:
    """The newest version of a package in a suite."""
    with _apt(codename) as apt:
        apt.update()
        version = apt.field(package, "Version")
    if not version:
        raise FetchError(f"Debian {codename} has no package {package}")
    return version


def unpack(codename: str, names: tuple[str, ...], into: Path) -> None:
    """Download packages of a suite by name and unpack them into a directory."""
    with _apt(codename) as apt:
        apt.update()
        apt.unpack(names, into)


@contextlib.contextmanager
def _apt(codename: str) -> Iterator[_Apt]:
    """apt for a suite; other processes that want it wait."""
    with cache.locked(cache.root() / "apt" / f".{codename}.lock"):
        yield _Apt(codename)


class _Apt:
    """apt for one Debian suite, apart from the system's own sources."""

    def __init__(self, codename: str) -> None:
        self.codename = codename
        self.directory = cache.root() / "apt" / codename
        for name in ("lists/partial", "archives/partial", "parts"):
            (self.directory / name).mkdir(parents=True, exist_ok=True)
        mirror = os.environ.get(MIRROR_VARIABLE, DEFAULT_MIRROR).rstrip("/")
        signed = f"[signed-by={KEYRING}]"
        cache.replace_text(
            self.directory / "sources.list",
            f"deb {signed} {mirror}/debian {codename} main\n"
            + (
                f"deb {signed} {mirror}/debian {codename.removesuffix(_BACKPORTS)} main\n"
                if codename.endswith(_BACKPORTS)
                else f"deb {signed} {mirror}/debian-security {codename}-security main\n"
            ),
        )
        self.environment = {**os.environ, "LC_ALL": "C"}
        cache.replace_text(self.directory / "apt.conf", self._configuration())
        self.environment["APT_CONFIG"] = str(self.directory / "apt.conf")

    def _configuration(self) -> str:
        here = self.directory
        taken_over = [
            line
            for line in self._run("apt-config", "dump").splitlines()
            if line.startswith("Acquire::") and not line.startswith("Acquire::IndexTargets")
        ]
        own = [
            'Dir::Etc::main "/dev/null";',
            f'Dir::Etc::parts "{here}/parts";',
            f'Dir::Etc::sourcelist "{here}/sources.list";',
            'Dir::Etc::sourceparts "-";',
            f'Dir::State::lists "{here}/lists";',
            'Dir::State::status "/dev/null";',
            f'Dir::Cache "{here}";',
            'Dir::Cache::pkgcache "";',
            'Dir::Cache::srcpkgcache "";',
            'Acquire::Languages "none";',
            # Everything happens inside the user's own cache, which the _apt user cannot enter.
            'APT::Sandbox::User "root";',
            'APT::Architecture "amd64";',
        ]
        if self.codename.endswith(_BACKPORTS):
            # Unless they are asked for they come after what they are for.
            own.append(f'APT::Default-Release "{self.codename}";')
        return "\n".join([*taken_over, *own, ""])

    def _run(self, *command: str, cwd: Path | None = None) -> str:
        try:
            done = subprocess.run(
                command,
                cwd=cwd,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
            )
        except FileNotFoundError:
            raise FetchError(
                f"{command[0]} not found: the VM harness gets its kernels from Debian's archive "
                "and needs a Debian host with apt and dpkg"
            ) from None
        if done.returncode != 0:
            raise FetchError(
                f"{' '.join(command)} (suite {self.codename}) ended with status "
                f"{done.returncode}:\n{done.stderr.strip() or done.stdout.strip()}"
            )
        return done.stdout

    def update(self) -> None:
        if not KEYRING.exists():
            raise FetchError(f"{KEYRING} not found: apt-get install debian-archive-keyring")
        # apt-get update reports unreachable sources as warnings and ends with 0.
        self._run("apt-get", "-qq", "-o", "APT::Update::Error-Mode=any", "update")

    def field(self, package: str, name: str) -> str:
        record = self._run("apt-cache", "show", "--no-all-versions", package)
        found = re.search(rf"^{name}: (.*)$", record, re.MULTILINE)
        return found[1] if found else ""

    def closure(self, packages: tuple[str, ...]) -> tuple[str, ...]:
        """The kernel packages that these meta packages stand for, directly or indirectly."""
        result: list[str] = []
        queue = list(packages)
        while queue:
            package = queue.pop()
            for found in _WANTED.finditer(self.field(package, "Depends")):
                name = found[0]
                if name not in result and not name.endswith("-unsigned"):
                    result.append(name)
                    queue.append(name)
        return tuple(sorted(result))

    def unpack(self, packages: tuple[str, ...], into: Path) -> None:
        """Download packages and unpack them over one another."""
        debs = into.with_name(f".{into.name}.debs")
        cache.remove(debs)
        debs.mkdir(parents=True)
        into.mkdir(parents=True, exist_ok=True)
        try:
            self._run("apt-get", "-qq", "download", *packages, cwd=debs)
            for deb in sorted(debs.iterdir()):
                self._run("dpkg-deb", "-x", str(deb), str(into))
                deb.unlink()
        finally:
            cache.remove(debs)


def _relocate(root: Path) -> None:
    """Make unpacked packages usable where they are: no absolute paths, module lists made."""
    # trixie ships /usr/lib/modules; one place for all.
    if not (root / "lib").exists():
        (root / "lib").symlink_to("usr/lib")
    for makefile in root.glob("usr/src/linux-headers-*/Makefile"):
        text = makefile.read_text()
        makefile.write_text(
            re.sub(
                r"^(include |KBUILD_OUTPUT=)/usr/src/",
                r"\1$(dir $(realpath $(lastword $(MAKEFILE_LIST))))../",
                text,
                flags=re.MULTILINE,
            )
        )
    for modules in (root / "lib" / "modules").iterdir():
        # Where Debian's packages have image and configuration since 7.3.
        for name in ("vmlinuz", "config"):
            if (modules / name).exists():
                (root / "boot").mkdir(exist_ok=True)
                (modules / name).rename(root / "boot" / f"{name}-{modules.name}")
        for name in ("build", "source"):
            link = modules / name
            if link.is_symlink() and (target := link.readlink()).is_absolute():
                link.unlink()
                link.symlink_to(os.path.relpath(root / target.relative_to("/"), modules))
        depmod = shutil.which("depmod", path=f"{os.environ.get('PATH', '')}:/sbin:/usr/sbin")
        if depmod is None:
            raise FetchError("depmod not found: apt-get install kmod")
        subprocess.run([depmod, "-b", str(root), modules.name], check=True)


def _wrap_programs(root: Path, final: Path) -> None:
    """Run kbuild's programs with the libraries of their own suite (under `final`/libraries)."""
    library_path = ":".join(
        str(final / "libraries" / name) for name in ("usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu")
    )
    loader = final / "libraries/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"
    for program in _new_programs(root / "usr" / "lib"):
        real = program.with_name(f"{program.name}.elf")
        program.rename(real)
        program.write_text(
            "#!/bin/sh\n"
            f'exec "{loader}" --library-path "{library_path}" '
            f'"{final / real.relative_to(root)}" "$@"\n'
        )
        program.chmod(0o755)


def _new_programs(directory: Path) -> Iterator[Path]:
    """Executables that need a newer glibc than the oldest supported host has."""
    for path in list(directory.glob("linux-kbuild-*/**/*")):
        if path.is_symlink() or not path.is_file() or not path.stat().st_mode & stat.S_IXUSR:
            continue
        content = path.read_bytes()
        if content[:4] != b"\x7fELF":
            continue
        needed = [int(minor) for minor in re.findall(rb"GLIBC_2\.(\d+)\0", content)]
        if max(needed, default=0) > _HOST_GLIBC_MINOR:
            yield path
