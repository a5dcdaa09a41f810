# SPDX-License-Identifier: GPL-2.0-only
"""Fetch and unpack Debian source packages without touching the system's apt.

apt runs with its own source list, lists and cache below a directory of ours,
so this needs neither root nor a deb-src line; the system's keys still vouch
for what is fetched.
"""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from guest_cache import locked

DEFAULT_SITES: Final = (
    ("http://deb.debian.org/debian", "{codename}"),
    ("http://deb.debian.org/debian-security", "{codename}-security"),
)


class SourceError(Exception):
    """A source package cannot be had."""


@dataclass(frozen=True)
class SourcePackage:
    """name: Debian source package; upstream: the version the recipe was written for."""

    name: str
    upstream: str


def upstream_version(version: str) -> str:
    """The upstream part of a Debian version: 1:1.22.1-9+deb12u9 is 1.22.1."""
    return version.split(":", 1)[-1].rsplit("-", 1)[0]


def parse_showsrc(text: str) -> list[str]:
    """Versions in the output of `apt-cache showsrc`, in its order, each once."""
    return list(dict.fromkeys(re.findall(r"^Version: (\S+)$", text, re.MULTILINE)))


def _compare(left: str, right: str) -> int:
    if left == right:
        return 0
    newer = subprocess.run(["dpkg", "--compare-versions", left, "gt", right], check=False)
    return 1 if newer.returncode == 0 else -1


def candidates(versions: list[str], upstream: str) -> list[str]:
    """Versions to try: newest first, those of the wanted upstream release before others."""
    ordered = sorted(versions, key=functools.cmp_to_key(_compare), reverse=True)
    return sorted(ordered, key=lambda version: not upstream_version(version).startswith(upstream))


def _codename() -> str:
    for line in Path("/etc/os-release").read_text().splitlines():
        name, _, value = line.partition("=")
        if name == "VERSION_CODENAME":
            return value.strip('"')
    raise SourceError("/etc/os-release names no VERSION_CODENAME: is this Debian?")


def _sites() -> list[tuple[str, str]]:
    """(URI, suite) of the Debian archives this system installs from."""
    listed = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI) $(SUITE) $(CODENAME) $(ORIGIN)",
         "Created-By: Packages"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    sites = []
    for line in listed.stdout.splitlines():
        fields = line.split()
        if len(fields) == 4 and fields[3] == "Debian":
            sites.append((fields[0].rstrip("/"), fields[2]))
    if sites:
        return list(dict.fromkeys(sites))
    codename = _codename()
    return [(uri, suite.format(codename=codename)) for uri, suite in DEFAULT_SITES]


class SourceStore:
    """Downloaded source packages below one directory, kept between runs."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._apt = directory / "apt"

    def _options(self) -> list[str]:
        settings = {
            "Dir::Etc::sourcelist": self._apt / "sources.list",
            "Dir::Etc::sourceparts": "/dev/null",
            "Dir::State::lists": self._apt / "lists",
            "Dir::Cache": self._apt / "cache",
            "APT::Get::List-Cleanup": "0",
            "APT::Sandbox::User": "",
            "Acquire::Languages": "none",
            "Acquire::Retries": "3",
        }
        return [part for name, value in settings.items() for part in ("-o", f"{name}={value}")]

    def _run(self, command: list[str], cwd: Path) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}
        return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)

    def _update(self) -> None:
        for directory in ("lists/partial", "cache/archives/partial"):
            (self._apt / directory).mkdir(parents=True, exist_ok=True)
        lines = [f"deb-src {uri} {suite} main\n" for uri, suite in _sites()]
        (self._apt / "sources.list").write_text("".join(lines))
        done = self._run(["apt-get", "-q", *self._options(), "update"], self._apt)
        if done.returncode:
            raise SourceError(f"apt-get update failed\n{done.stderr}")

    def _download(self, package: SourcePackage, into: Path) -> Path:
        """Fetch the newest version that the archive really has; its .dsc."""
        shown = self._run(
            ["apt-cache", *self._options(), "showsrc", "--only-source", package.name], self._apt
        )
        failures = []
        for version in candidates(parse_showsrc(shown.stdout), package.upstream):
            fetched = self._run(
                ["apt-get", "-q", *self._options(), "source", "--download-only",
                 "--only-source", f"{package.name}={version}"],
                into,
            )  # fmt: skip
            found = sorted(into.glob("*.dsc"))
            if fetched.returncode == 0 and found:
                return found[0]
            # An index can be ahead of the files: the next older version will do.
            failures.append(f"{version}: {fetched.stderr.strip()}")
            for leftover in into.iterdir():
                leftover.unlink()
        raise SourceError(f"no version of {package.name} could be fetched\n" + "\n".join(failures))

    def fetch(self, package: SourcePackage) -> Path:
        """The package's .dsc, next to the files it names.  Downloads once."""
        with locked(self.directory / "lock"):
            return self._fetch(package)

    def _fetch(self, package: SourcePackage) -> Path:
        target = self.directory / f"{package.name}-{package.upstream}"
        present = sorted(target.glob("*.dsc"))
        if present:
            return present[0]
        partial = self.directory / f"{target.name}.partial-{os.getpid()}"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        try:
            if not any(self._apt.glob("lists/*Sources*")):
                self._update()
                self._download(package, partial)
            else:
                try:
                    self._download(package, partial)
                except SourceError:
                    self._update()
                    self._download(package, partial)
            partial.rename(target)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        return sorted(target.glob("*.dsc"))[0]

    def unpack(self, package: SourcePackage, into: Path) -> Path:
        """Unpack with Debian's patches applied, to the directory `into`."""
        description = self.fetch(package)
        done = self._run(["dpkg-source", "--no-check", "-x", str(description), str(into)], into.parent)
        if done.returncode:
            raise SourceError(f"dpkg-source -x {description.name} failed\n{done.stderr}")
        return into


def debian_version(description: Path) -> str:
    """The Version field of a .dsc file."""
    found = re.search(r"^Version: (\S+)$", description.read_text(), re.MULTILINE)
    if found is None:
        raise SourceError(f"{description}: no Version field")
    return found.group(1)
