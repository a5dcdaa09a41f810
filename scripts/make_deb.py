# SPDX-License-Identifier: GPL-2.0-only
"""pywasmjit_VERSION_ARCH.deb and pywasmjit-dkms_VERSION_all.deb, from what `make install` installs.

No debhelper: dpkg-deb packs a directory that install.py has filled.  The packages depend on
Debian's own Python packages, so they install without pip and, from a mirror, without the Internet.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

import install
from install import PACKAGING, SOURCES

from pywasmjit import __version__

SCRIPTS = ("postinst", "prerm", "postrm")
EPOCH = "946684800"  # of the wheel, too


def make(output: Path, directory: Path, launcher: Path) -> list[Path]:
    """Write both packages to `output`; `directory` is for what they are made from."""
    tool, dkms = directory / "tool", directory / "dkms"
    tool.mkdir(parents=True)
    install.install("/usr", tool, launcher)
    (tool / "usr" / install.MANIFEST).unlink()
    for name, tree in (("pywasmjit", tool), ("pywasmjit-dkms", dkms)):
        target = tree / "usr/share/doc" / name / "copyright"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((PACKAGING / "debian" / "copyright").read_bytes())
    configuration = dkms / "usr" / SOURCES / "dkms.conf"
    configuration.parent.mkdir(parents=True)
    (tool / "usr" / SOURCES / "dkms.conf").rename(configuration)
    architecture = subprocess.run(
        ["dpkg", "--print-architecture"], capture_output=True, text=True, check=True
    ).stdout.strip()
    return [
        _pack(tool, output / f"pywasmjit_{__version__}_{architecture}.deb", "", architecture),
        _pack(dkms, output / f"pywasmjit-dkms_{__version__}_all.deb", ".dkms", architecture),
    ]


def _pack(tree: Path, target: Path, suffix: str, architecture: str) -> Path:
    control = tree / "DEBIAN"
    files = sorted(path for path in tree.rglob("*") if path.is_file())
    size = sum(path.stat().st_size for path in files) // 1024 + 1
    control.mkdir(mode=0o755)
    for name in ("control", *SCRIPTS):
        source = PACKAGING / "debian" / f"{name}{suffix}"
        if not source.exists():
            continue
        text = source.read_text()
        for key, value in (("VERSION", __version__), ("ARCHITECTURE", architecture), ("SIZE", str(size))):
            text = text.replace(f"@{key}@", value)
        (control / name).write_text(text)
        (control / name).chmod(0o755 if name in SCRIPTS else 0o644)
    sums = [f"{hashlib.md5(path.read_bytes()).hexdigest()}  {path.relative_to(tree)}\n" for path in files]
    (control / "md5sums").write_text("".join(sums))
    for path in (tree, *tree.rglob("*")):
        if path.is_dir():
            path.chmod(0o755)
    subprocess.run(
        ["dpkg-deb", "--root-owner-group", "-Zxz", "--build", tree, target],
        check=True, stdout=subprocess.DEVNULL, env={"SOURCE_DATE_EPOCH": EPOCH, **os.environ},
    )  # fmt: skip
    return target
