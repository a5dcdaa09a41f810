# SPDX-License-Identifier: GPL-2.0-only
"""The file systems of a guest: root image, project image, module image and initramfs.

The images are read-only ext4; the guest puts an overlay in memory on its root, so one root image
serves any number of machines at once. Made without loop devices; only debootstrap needs root.
"""

from __future__ import annotations

import fnmatch
import logging
import lzma
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from pywasmjit.vm import cache, packages
from pywasmjit.vm.cpio import Archive
from pywasmjit.vm.errors import FetchError
from pywasmjit.vm.packages import Kernel

_log = logging.getLogger(__name__)

GUEST_FILES = Path(__file__).with_name("guest")
ROOT_SUITE = "bookworm"
ROOT_PACKAGES = (
    "acl",
    "apparmor",
    "busybox-static",
    "ca-certificates",
    "curl",
    "dkms",
    "dnsmasq-base",
    "gcc",
    "iproute2",
    "kmod",
    "libelf1",
    "lsof",
    "lua5.4",
    "make",
    "netcat-openbsd",
    "nghttp2-client",
    "nginx-light",
    "openssl",
    "procps",
    "python3",
    "python3-kconfiglib",
    "python3-pexpect",
    "python3-pyelftools",
    "python3-pytest",
    "python3-pytest-timeout",
    "python3-rich",
    "sqlite3",
    "strace",
    "sudo",
    "systemd",
    "tini",
    "tzdata",
    "udev",
    "wabt",
    "wrk",
)
# Drivers the initramfs loads, dependencies first; built-in ones are skipped. ext4 asks for crc32c by
# name, which newer kernels have in a library.
DRIVERS = ("virtio_pci", "virtio_console", "virtio_blk", "virtio_net", "crc32c_generic", "ext4", "overlay")
_IF_THERE = ("crc32c_generic",)
# What of a checkout a guest does not need.
PROJECT_EXCLUDES = (".git", ".*_cache", ".hypothesis", "*.egg-info", "venv", ".venv")
_SBIN = ":/usr/local/sbin:/usr/sbin:/sbin"


def root_image() -> Path:
    """The root file system, made once (about 45 s, needs root for debootstrap)."""
    layout = b"1"  # count up when _build_root_image changes
    key = cache.digest([layout, ROOT_SUITE.encode(), *(p.encode() for p in ROOT_PACKAGES)])
    return cache.build_once(cache.root() / "rootfs" / f"root-{key}.ext4", _build_root_image)


def _build_root_image(staged: Path) -> None:
    if os.geteuid() != 0:
        raise FetchError("making the root image needs root once (debootstrap): run it with sudo")
    mirror = os.environ.get(packages.MIRROR_VARIABLE, packages.DEFAULT_MIRROR).rstrip("/")
    _log.info("making the root image with debootstrap: once, about a minute")
    tree = staged.with_suffix(".tree")
    cache.remove(tree)
    try:
        _run(
            "debootstrap",
            "--variant=minbase",
            f"--include={','.join(ROOT_PACKAGES)}",
            ROOT_SUITE,
            str(tree),
            f"{mirror}/debian",
            package="debootstrap",
        )
        shutil.rmtree(tree / "var/cache/apt/archives")
        for lists in (tree / "var/lib/apt/lists").iterdir():
            cache.remove(lists)
        for name in ("project", "etc/pywasmjit", "lib/modules"):
            (tree / name).mkdir(parents=True, exist_ok=True)
        (tree / "etc/hostname").write_text("pywasmjit\n")
        (tree / "etc/hosts").write_text("127.0.0.1 localhost pywasmjit\n::1 localhost\n")
        (tree / "etc/resolv.conf").write_text("nameserver 10.0.2.3\n")
        make_image(tree, staged)
    finally:
        cache.remove(tree)


def module_image(kernel: Kernel) -> Path:
    """The kernel's modules, to be mounted at /lib/modules."""
    target = cache.root() / "modules" / f"{kernel.series}-{kernel.version}.ext4"
    return cache.build_once(target, lambda staged: make_image(kernel.modules.parent, staged))


def project_image(sources: Mapping[str, Path], target: Path) -> Path:
    """An image of some host directories and files, each under its name ("." for the top)."""
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".project-") as name:
        tree = Path(name)
        tree.chmod(0o755)
        for where, source in sources.items():
            if source.is_dir():
                shutil.copytree(
                    source,
                    tree / where,
                    symlinks=True,
                    ignore=_excluded,
                    copy_function=_link_or_copy,
                    dirs_exist_ok=True,
                )
            else:
                (tree / where).parent.mkdir(parents=True, exist_ok=True)
                _link_or_copy(str(source.resolve()), str(tree / where))
        make_image(tree, target)
    return target


def _excluded(_directory: str, names: list[str]) -> set[str]:
    return {n for n in names if any(fnmatch.fnmatch(n, p) for p in PROJECT_EXCLUDES)}


def _link_or_copy(source: str, target: str) -> str:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:
        shutil.copy2(source, target, follow_symlinks=False)
    return target


def make_image(tree: Path, target: Path) -> None:
    """Make an ext4 image just large enough for a directory tree; files belong to root."""
    size = inodes = 0
    for directory, directories, files in os.walk(tree):
        inodes += 1 + len(files)
        size += 4096
        for name in (*directories, *files):
            # Blocks of 4 KiB, one more for what extents and long names take.
            size += (os.lstat(os.path.join(directory, name)).st_size + 8191) // 4096 * 4096
    # 5 % for bitmaps and group descriptors.
    megabytes = (size + inodes * 256) * 21 // 20 // 2**20 + 4
    target.unlink(missing_ok=True)
    _run(
        "mke2fs",
        "-q",
        *("-t", "ext4", "-O", "^has_journal", "-m", "0", "-b", "4096", "-I", "256"),
        *("-N", str(inodes + 64), "-E", "root_owner=0:0"),
        *("-d", str(tree), str(target), f"{megabytes}M"),
        package="e2fsprogs",
    )


def busybox() -> bytes:
    """A static busybox, Debian's."""
    target = cache.root() / "tools" / "busybox"
    return cache.build_once(target, _unpack_busybox).read_bytes()


def _unpack_busybox(staged: Path) -> None:
    with tempfile.TemporaryDirectory(dir=staged.parent, prefix=".busybox-") as name:
        packages.unpack(ROOT_SUITE, ("busybox-static",), Path(name))
        shutil.move(Path(name) / "bin" / "busybox", staged)


def initramfs(kernel: Kernel) -> Path:
    """The initramfs that finds the images and changes over to them."""
    scripts = {
        where: (GUEST_FILES / name).read_bytes()
        for name, where in (
            ("init", "init"),
            ("rc", "guest/etc/pywasmjit/rc"),
            ("shell", "guest/etc/pywasmjit/shell"),
            ("pywasmjit.service", "guest/etc/systemd/system/pywasmjit.service"),
        )
    }
    key = cache.digest([*scripts.values(), *(name.encode() for name in DRIVERS)])
    target = cache.root() / "initramfs" / f"{kernel.series}-{kernel.version}-{key}.cpio"

    def build(staged: Path) -> None:
        archive = Archive()
        for where, content in scripts.items():
            archive.add_file(where, content, 0o755 if content.startswith(b"#!") else 0o644)
        archive.add_file("bin/busybox", busybox(), 0o755)
        add_modules(archive, kernel, DRIVERS)
        staged.write_bytes(archive.to_bytes())

    return cache.build_once(target, build)


def add_modules(archive: Archive, kernel: Kernel, names: Iterable[str], files: Iterable[Path] = ()) -> None:
    """Put modules below /modules: the kernel's own with what they need, then these files.

    /modules/order has the order in which to load them.
    """
    order: list[str] = []
    archive.add_directory("modules")
    for path in (*load_order(kernel, names), *files):
        content = path.read_bytes()
        if path.suffix == ".xz":
            content = lzma.decompress(content)
        name = path.name.removesuffix(".xz")
        archive.add_file(f"modules/{name}", content)
        order.append(name)
    archive.add_file("modules/order", "".join(f"{name}\n" for name in order).encode())


def load_order(kernel: Kernel, names: Iterable[str]) -> list[Path]:
    """The module files for these names, each after what it needs; built-in ones left out."""
    dependencies: dict[str, tuple[Path, list[str]]] = {}
    for line in (kernel.modules / "modules.dep").read_text().splitlines():
        path, _, needs = line.partition(":")
        dependencies[_module_name(path)] = (
            kernel.modules / path,
            [_module_name(need) for need in needs.split()],
        )
    builtin = {_module_name(line) for line in (kernel.modules / "modules.builtin").read_text().splitlines()}
    result: list[Path] = []

    def visit(name: str) -> None:
        if name in builtin:
            return
        if name not in dependencies and name in _IF_THERE:
            return
        if name not in dependencies:
            raise FetchError(f"kernel {kernel.release} has no module {name}")
        path, needs = dependencies[name]
        if path not in result:
            for need in needs:
                visit(need)
            result.append(path)

    for name in names:
        visit(name)
    return result


def _module_name(path: str) -> str:
    return Path(path).name.partition(".")[0].replace("-", "_")


def _run(program: str, *arguments: str, package: str) -> None:
    found = shutil.which(program, path=os.environ.get("PATH", "") + _SBIN)
    if found is None:
        raise FetchError(f"{program} not found: apt-get install {package}")
    done = subprocess.run(
        [found, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        tail = "\n".join((done.stdout + done.stderr).splitlines()[-20:])
        raise FetchError(f"{program} ended with status {done.returncode}:\n{tail}")
