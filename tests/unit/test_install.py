# SPDX-License-Identifier: GPL-2.0-only
"""make install, make uninstall and the Debian package: what is where, and that nothing stays."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import install
import make_deb
import pytest

from pywasmjit import __version__

ROOT = Path(__file__).resolve().parents[2]
LAUNCHER = ROOT / "build" / "pywasmjit-launch"
# Import name -> Debian's package.
DEBIAN = {
    "elftools": "python3-pyelftools", "kconfiglib": "python3-kconfiglib", "rich": "python3-rich",
    "pexpect": "python3-pexpect", "pyroute2": "python3-pyroute2", "platformdirs": "python3-platformdirs",
}  # fmt: skip


def listing(directory: Path) -> list[str]:
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*"))


def test_install_and_uninstall(tmp_path: Path) -> None:
    destdir = tmp_path / "root"
    (destdir / "usr" / "share" / "doc").mkdir(parents=True)
    (destdir / "usr" / "share" / "doc" / "else").write_text("somebody else's")
    before = listing(destdir)
    install.install("/usr", destdir, LAUNCHER)
    top = destdir / "usr"
    for name in (
        "bin/pywasmjit", "lib/pywasmjit/pywasmjit/cli.py", "lib/pywasmjit/pywasmjit/bin/pywasmjit-launch",
        f"src/pywasmjit-{__version__}/Kbuild", f"src/pywasmjit-{__version__}/dkms.conf",
        f"src/pywasmjit-{__version__}/kmod/Kconfig", f"src/pywasmjit-{__version__}/kmod/linux/main.c",
        "lib/udev/rules.d/60-wasm.rules", "lib/sysusers.d/pywasmjit.conf",
        "lib/systemd/system/pywasmjit@.service", "share/man/man1/pywasmjit-insmod.1.gz",
        "share/bash-completion/completions/pywasmjit",
    ):  # fmt: skip
        assert (top / name).is_file(), name
    assert not list(top.rglob("__pycache__"))
    for path in top.rglob("*"):
        text = path.read_bytes() if path.is_file() else b""
        assert b"@VERSION@" not in text and b"@PREFIX@" not in text, path
        assert not path.stat().st_mode & 0o022, path
    # A second time, and what running it leaves: all goes.
    install.install("/usr", destdir, LAUNCHER)
    (top / "lib/pywasmjit/pywasmjit/__pycache__").mkdir()
    (top / "lib/pywasmjit/pywasmjit/__pycache__/cli.pyc").touch()
    assert install.uninstall("/usr", destdir)
    assert listing(destdir) == before
    assert not install.uninstall("/usr", destdir)


def test_the_installed_command_runs(tmp_path: Path) -> None:
    """From anywhere, with Python's environment variables ignored."""
    install.install("/usr", tmp_path, LAUNCHER)
    command = [sys.executable, "-I", tmp_path / "usr/bin/pywasmjit"]
    done = subprocess.run([*command, "--version"], capture_output=True, text=True, cwd="/", check=True)
    assert done.stdout == f"pywasmjit {__version__}\n"
    # The module's sources are found where they were installed.
    done = subprocess.run(
        [*command, "build", "--kernel", tmp_path], capture_output=True, text=True, cwd="/", check=False
    )
    assert done.returncode == 69
    assert "holds no headers prepared for building modules" in done.stderr


def test_packages(tmp_path: Path) -> None:
    tool, dkms = make_deb.make(tmp_path, tmp_path / "work", LAUNCHER)
    names = subprocess.run(["dpkg-deb", "-c", tool], capture_output=True, text=True, check=True).stdout
    assert "./usr/bin/pywasmjit\n" in names and "dkms.conf" not in names and install.MANIFEST not in names
    assert all(line.split()[1] == "root/root" for line in names.splitlines())
    names = subprocess.run(["dpkg-deb", "-c", dkms], capture_output=True, text=True, check=True).stdout
    assert f"./usr/src/pywasmjit-{__version__}/dkms.conf\n" in names
    again = make_deb.make(tmp_path, tmp_path / "again", LAUNCHER)
    assert again == [tool, dkms]


def test_a_python_package_that_is_missing_is_named(tmp_path: Path) -> None:
    install.install("/usr", tmp_path, LAUNCHER)
    command = ["/usr/bin/python3", "-I", "-S", tmp_path / "usr/bin/pywasmjit", "doctor"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 69
    assert re.fullmatch(
        r"pywasmjit: Python's \w+ is missing: apt-get install python3-\w+\n", done.stderr
    ), done.stderr


def imported(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
    return found - set(sys.stdlib_module_names) - {"pywasmjit"}


def test_dependencies() -> None:
    """The package depends on what the tool imports, in versions as pyproject.toml wants them."""
    control = (ROOT / "packaging/debian/control").read_text()
    depends = re.search(r"^Depends: (.*)$", control, re.M)
    assert depends
    versions = dict(re.findall(r"(\S+) \(>= ([\d.]+)\)", depends[1]))
    harness = ROOT / "pywasmjit" / "vm"
    files = [path for path in (ROOT / "pywasmjit").rglob("*.py") if harness not in path.parents]
    # objdump says what it leaves out without capstone.
    needed = set.union(*(imported(path) for path in files)) - {"capstone"}
    assert {DEBIAN[name] for name in needed} == versions.keys() - {"python3"}
    project = (ROOT / "pyproject.toml").read_text()
    for name in needed:
        package = DEBIAN[name].removeprefix("python3-")
        assert f'"{package}>={versions[DEBIAN[name]]}"' in project


@pytest.mark.parametrize("package", sorted(set(DEBIAN.values())))
def test_debian_12_has_them(package: str) -> None:
    """In the version that pyproject.toml asks for, or a later one."""
    wanted = re.search(rf'"{package.removeprefix("python3-")}>=([\d.]+)"', (ROOT / "pyproject.toml").read_text())
    assert wanted
    shown = subprocess.run(
        ["apt-cache", "show", f"{package}/bookworm"], capture_output=True, text=True, check=False
    ).stdout
    found = re.search(r"^Version: (.*)$", shown, re.M)
    if not found:
        pytest.skip("apt's lists are not of Debian 12, or empty")
    done = subprocess.run(["dpkg", "--compare-versions", found[1], "ge", wanted[1]], check=False)
    assert done.returncode == 0, found[1]
