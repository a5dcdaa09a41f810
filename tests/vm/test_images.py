# SPDX-License-Identifier: GPL-2.0-only
"""What machines boot from: archives, images, and a cache that holds whole entries only."""

from __future__ import annotations

import os
import subprocess
import threading
from pathlib import Path

import pytest

from pywasmjit.vm import cache, rootfs
from pywasmjit.vm.cpio import Archive
from pywasmjit.vm.packages import Kernel


def test_an_archive_is_read_by_cpio() -> None:
    archive = Archive()
    archive.add_file("/bin/program", b"odd", 0o755)
    archive.add_symlink("bin/link", "program")
    archive.add_directory("empty")
    listing = subprocess.run(
        ["cpio", "-tv", "--numeric-uid-gid"],
        input=archive.to_bytes(),
        capture_output=True,
        check=True,
    ).stdout.decode()
    entries = [(line.split()[0], line.split(maxsplit=8)[8]) for line in listing.splitlines()]
    assert entries == [
        ("drwxr-xr-x", "bin"),
        ("-rwxr-xr-x", "bin/program"),
        ("lrwxrwxrwx", "bin/link -> program"),
        ("drwxr-xr-x", "empty"),
    ]


def test_drivers_come_after_what_they_need(kernel: Kernel) -> None:
    order = [path.name.partition(".")[0] for path in rootfs.load_order(kernel, ["virtio_net"])]
    assert order.index("failover") < order.index("net_failover") < order.index("virtio_net")
    assert rootfs.load_order(kernel, ["ext4"]) == []


def test_a_project_image_leaves_out_what_a_guest_does_not_need(tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / ".git").mkdir(parents=True)
    (source / ".git" / "index").write_text("x" * 10_000)
    (source / "kept").write_text("kept")
    extra = tmp_path / "elsewhere"
    extra.write_text("extra")
    image = rootfs.project_image({".": source, "sub/extra": extra}, tmp_path / "image")
    listing = subprocess.run(
        ["/sbin/debugfs", "-R", "ls -p /", str(image)], capture_output=True, text=True, check=True
    ).stdout
    names = {line.split("/")[5] for line in listing.splitlines() if line}
    assert names == {".", "..", "lost+found", "kept", "sub"}
    found = subprocess.run(
        ["/sbin/debugfs", "-R", "cat /sub/extra", str(image)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert found == "extra"


def test_a_failed_build_leaves_nothing(tmp_path: Path) -> None:
    target = tmp_path / "target"

    def fail(staged: Path) -> None:
        staged.mkdir()
        (staged / "half").write_text("half")
        raise ValueError("half done")

    with pytest.raises(ValueError, match="half done"):
        cache.build_once(target, fail)
    assert [path.name for path in tmp_path.iterdir()] == [".target.lock"]


def test_a_killed_build_is_begun_again(tmp_path: Path) -> None:
    target = tmp_path / "target"
    staged = tmp_path / ".target.staged"
    staged.mkdir()
    (staged / "left over").write_text("x")
    cache.build_once(target, lambda path: path.mkdir())
    assert list(target.iterdir()) == []
    assert not staged.exists()


def test_builders_wait_for_each_other(tmp_path: Path) -> None:
    target = tmp_path / "target"
    built: list[int] = []
    barrier = threading.Barrier(4)

    def build(staged: Path) -> None:
        built.append(os.getpid())
        staged.write_text("built")

    def want() -> None:
        barrier.wait()
        assert cache.build_once(target, build).read_text() == "built"

    threads = [threading.Thread(target=want) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(built) == 1
