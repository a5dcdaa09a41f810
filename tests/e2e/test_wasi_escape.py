# SPDX-License-Identifier: GPL-2.0-only
"""A WASI program cannot leave the directories it was given: every attempt is refused, nothing outside changes.

Layout: in/ is given as 3, in2/ as 4, /proc as 5; out/ is given to nobody and lies beside them.
"""

from __future__ import annotations

import ctypes
import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.conftest import Host

Guest = Callable[[str], Path]
EPERM, ENOENT, ELOOP, EINVAL, EBADF, ENOTCAPABLE, ENAMETOOLONG = 63, 44, 32, 28, 8, 76, 37
READ, WRITE, ALL = 2, 64, 0x3FFFFFFF

# The command, as tests/guests/wasi/wasicalls.c reads it, and the error it has to end in.
ATTEMPTS = [
    # The path itself.
    ("open 3 0 ../out/secret 0 2 0 0", EPERM),
    ("open 3 0 dir/../../out/secret 0 2 0 0", EPERM),
    ("open 3 0 ./../out/secret 0 2 0 0", EPERM),
    ("open 3 0 dir/deep/../../../out/secret 0 2 0 0", EPERM),
    ("open 3 0 .. 2 0x4000 0 0", EPERM),
    ("open 3 0 ../ 2 0x4000 0 0", EPERM),
    ("open 3 0 ../in/file 0 2 0 0", EPERM),
    ("open 3 0 {out}/secret 0 2 0 0", EPERM),
    ("open 3 0 //etc/passwd 0 2 0 0", EPERM),
    ("open 3 0 / 2 0x4000 0 0", EPERM),
    ("open 3 0 {in}/file 0 2 0 0", EPERM),
    ("open 3 0 file%00/../../out/secret 0 2 0 0", EINVAL),
    ("open 3 0 ../out/secret%00 0 2 0 0", EINVAL),
    ("open 3 0 % 0 2 0 0", ENOENT),
    ("open 3 0 {long} 0 2 0 0", ENAMETOOLONG),
    ("open 3 0 {dots}out/secret 0 2 0 0", EPERM),
    # Symbolic links that were there.
    ("open 3 1 absolute 0 2 0 0", EPERM),
    ("open 3 1 relative 0 2 0 0", EPERM),
    ("open 3 1 chain 0 2 0 0", EPERM),
    ("open 3 1 root/etc/passwd 0 2 0 0", EPERM),
    ("open 3 0 updir/secret 0 2 0 0", EPERM),
    ("open 3 0 updir 2 0x4000 0 0", 54),  # not followed: a link is no directory
    ("open 3 0 updir/ 2 0x4000 0 0", EPERM),
    ("open 3 0 updir/. 2 0x4000 0 0", EPERM),
    ("open 3 0 dir/up/../out/secret 0 2 0 0", EPERM),
    ("open 3 0 absolutedir/secret 0 2 0 0", EPERM),
    ("open 3 1 toself/../file 0 2 0 0", EPERM),  # {in}/. by its absolute name
    # Creating through links.
    ("open 3 1 dangling 1 64 0 0", EPERM),
    ("open 3 1 danglingabsolute 1 64 0 0", EPERM),
    ("open 3 1 relative 8 66 0 0", EPERM),
    ("open 3 0 updir/new 1 64 0 0", EPERM),
    ("open 3 0 updir/new 5 64 0 0", EPERM),
    # What changes directories.
    ("mkdir 3 ../out/new", EPERM),
    ("mkdir 3 updir/new", EPERM),
    ("mkdir 3 {out}/new", EPERM),
    ("mkdir 3 ..", EPERM),
    ("rmdir 3 ../out/empty", EPERM),
    ("rmdir 3 updir/empty", EPERM),
    ("rmdir 3 {out}/empty/", EPERM),
    ("rmdir 3 updir/empty/..", EPERM),
    ("unlink 3 ../out/secret", EPERM),
    ("unlink 3 updir/secret", EPERM),
    ("unlink 3 {out}/secret", EPERM),
    ("unlink 3 dir/../../out/secret", EPERM),
    ("rename 3 updir/secret 3 stolen", EPERM),
    ("rename 3 file 3 updir/secret", EPERM),
    ("rename 3 file 3 ../out/planted", EPERM),
    ("rename 3 file 4 updir/planted", EPERM),
    ("rename 4 ../out/secret 3 stolen", EPERM),
    ("rename 3 .. 4 stolen", EPERM),
    ("rename 3 dir 4 ../out/dir", EPERM),
    ("link 3 0 updir/secret 3 stolen", EPERM),
    ("link 3 0 ../out/secret 4 stolen", EPERM),
    ("link 3 1 relative 3 stolen", EINVAL),  # following is not offered
    ("link 3 0 file 4 updir/planted", EPERM),
    ("symlink {out}/secret 3 made", EPERM),
    ("symlink x 3 updir/planted", EPERM),
    ("symlink x 3 ../out/planted", EPERM),
    ("readlink 3 updir/pointer 100", EPERM),
    ("readlink 3 ../out/pointer 100", EPERM),
    # Looking, and changing times.
    ("path_filestat 3 1 relative", EPERM),
    ("path_filestat 3 0 updir/secret", EPERM),
    ("path_filestat 3 0 ..", EPERM),
    ("path_filestat 3 0 {out}/secret", EPERM),
    ("path_set_times 3 1 relative 1 1 5", EPERM),
    ("path_set_times 3 0 updir/secret 1 1 5", EPERM),
    ("path_set_times 3 0 .. 1 1 5", EPERM),
    # Magic links of /proc.
    ("open 5 1 self/root/etc/passwd 0 2 0 0", ELOOP),
    ("open 5 1 self/cwd/secret 0 2 0 0", ELOOP),
    ("open 5 1 self/exe 0 2 0 0", ELOOP),
    ("open 5 1 self/fd/0 0 2 0 0", ELOOP),
    ("open 5 1 thread-self/root 2 0x4000 0 0", ELOOP),
    ("path_filestat 5 1 self/cwd", ELOOP),
    ("mkdir 5 self/cwd/planted", ELOOP),
    ("unlink 5 self/root{out}/secret", ELOOP),
    ("rename 3 file 5 self/cwd/planted", ELOOP),
]  # fmt: skip

# Several steps: those that may succeed are 0, and the last one is the attempt.
SEQUENCES = {
    "a link that the program makes": [
        ("symlink ../out/secret 3 mine", 0),
        ("open 3 1 mine 0 2 0 0", EPERM),
        ("unlink 3 mine", 0),
    ],
    "a link that gets out by being moved": [
        ("mkdir 3 dir/a", 0),
        ("symlink ../../../out/secret 3 dir/a/mine", 0),
        ("open 3 1 dir/a/mine 0 2 0 0", EPERM),
        ("rename 3 dir/a/mine 4 mine", 0),
        ("open 4 1 mine 0 2 0 0", EPERM),
        ("unlink 4 mine", 0),
        ("rmdir 3 dir/a", 0),
    ],
    "from one directory to the other by ..": [
        ("symlink ../in/file 4 across", 0),
        ("open 4 1 across 0 2 0 0", EPERM),
        ("unlink 4 across", 0),
    ],
    "a directory that was opened and moved": [
        ("open 3 0 dir 2 0x3fffffff 0x3fffffff 0", 0),
        ("open 6 0 .. 2 0x4000 0 0", EPERM),
        ("open 6 0 ../file 0 2 0 0", EPERM),  # beneath `dir` only
        ("rename 3 dir 4 dir", 0),
        ("open 6 0 ../updir/secret 0 2 0 0", EPERM),
        ("rename 4 dir 3 dir", 0),
        ("close 6", 0),
    ],
    "a name that means another directory": [
        ("renumber 4 3", 0),
        ("open 3 0 ../in/file 0 2 0 0", EPERM),
        ("open 3 0 ../out/secret 0 2 0 0", EPERM),
        ("prestat 4", EBADF),
        ("open 4 0 file 0 2 0 0", EBADF),
    ],
    "a directory that is closed": [
        ("close 3", 0),
        ("open 3 0 file 0 2 0 0", EBADF),
        ("mkdir 3 x", EBADF),
        ("open 4 0 two 0 2 0 0", 0),
        ("open 3 0 file 0 2 0 0", ENOTCAPABLE),  # 3 is a file now
        ("prestat 3", EBADF),
    ],
    "a number that only the host has": [
        *((f"read {n} 10", EBADF) for n in (6, 7, 10, 63, 100, 255, 1023, 4294967295)),
        ("renumber 3 7", EBADF),
        ("open 4294967196 0 ../out/secret 0 2 0 0", EBADF),  # AT_FDCWD
    ],
    "rights that were given up": [
        ("set_rights 3 0x2000 2", 0),
        ("open 3 0 file 0 66 0 0", 0),
        ("write $ changed", ENOTCAPABLE),
        ("set_rights 3 0x3fffffff 0x3fffffff", ENOTCAPABLE),
        ("open 3 0 . 2 0x3fffffff 0x3fffffff 0", 0),
        ("mkdir $ planted", ENOTCAPABLE),
        ("open $ 0 file 0 66 0 0", ENOTCAPABLE),
        ("unlink 3 file", ENOTCAPABLE),
        ("open 3 0 new 1 2 0 0", ENOTCAPABLE),
        ("open 3 0 file 8 2 0 0", ENOTCAPABLE),
    ],
}  # fmt: skip


def make_tree(top: Path) -> None:
    for name in ("in", "in2", "out", "in/dir", "in/dir/deep", "out/empty", "out/swap"):
        (top / name).mkdir()
    (top / "in" / "file").write_text("inside")
    (top / "in2" / "two").write_text("inside")
    (top / "out" / "secret").write_text("outside")
    (top / "out" / "pointer").symlink_to("secret")
    inside = top / "in"
    for directory in (inside, top / "in2"):
        (directory / "updir").symlink_to("../out")
    (inside / "absolute").symlink_to(top / "out" / "secret")
    (inside / "relative").symlink_to("../out/secret")
    (inside / "chain").symlink_to("chain2")
    (inside / "chain2").symlink_to("dir/chain3")
    (inside / "dir" / "chain3").symlink_to("../updir/secret")
    (inside / "root").symlink_to("/")
    (inside / "dir" / "up").symlink_to("..")
    (inside / "absolutedir").symlink_to(top / "out")
    (inside / "toself").symlink_to(inside / ".")
    (inside / "dangling").symlink_to("../out/new")
    (inside / "danglingabsolute").symlink_to(top / "out" / "new")


def state(top: Path) -> list[tuple[object, ...]]:
    """Everything that can be seen of a tree: names, what they are, contents, times, links."""
    found: list[tuple[object, ...]] = []
    for path in sorted([top, *top.rglob("*")]):
        status = path.lstat()
        content = os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else b""
        found.append((str(path), status.st_ino, status.st_mode, status.st_nlink, status.st_uid,
                      status.st_mtime_ns, status.st_ctime_ns, content))  # fmt: skip
    return found


def commands(attempts: list[tuple[str, int]], top: Path) -> str:
    named = {"in": top / "in", "out": top / "out", "long": "dir/" * 1030 + "x", "dots": "dir/../" * 500 + "../"}
    return "\n".join(command.format(**named) for command, _ in attempts)


def options(top: Path) -> tuple[str, ...]:
    return (f"--dir={top / 'in'}::/", f"--dir={top / 'in2'}::/two", "--dir=/proc")


def check(attempts: list[tuple[str, int]], output: bytes) -> None:
    lines = output.decode().splitlines()
    assert "outside" not in output.decode()
    wrong = [
        f"{command}: {line}, not {expected}"
        for (command, expected), line in zip(attempts, lines, strict=True)
        if int(line.split()[1]) != expected
    ]
    assert not wrong, "\n".join(wrong)


def test_attempts(host: Host, guest: Guest, tmp_path: Path) -> None:
    assert len(ATTEMPTS) >= 40
    make_tree(tmp_path)
    before = state(tmp_path / "in"), state(tmp_path / "in2"), state(tmp_path / "out")
    done = host.run(guest("wasicalls"), commands(ATTEMPTS, tmp_path), options=options(tmp_path), cwd=tmp_path / "out")
    check(ATTEMPTS, done.stdout)
    assert (state(tmp_path / "in"), state(tmp_path / "in2"), state(tmp_path / "out")) == before


@pytest.mark.parametrize("name", SEQUENCES)
def test_sequences(name: str, jit: Host, guest: Guest, tmp_path: Path) -> None:
    make_tree(tmp_path)
    before = state(tmp_path / "out")
    done = jit.run(guest("wasicalls"), commands(SEQUENCES[name], tmp_path), options=options(tmp_path))
    check(SEQUENCES[name], done.stdout)
    assert state(tmp_path / "out") == before
    assert (tmp_path / "in" / "file").read_text() == "inside"


# A second process that changes what names mean, as fast as it can: renameat2(RENAME_EXCHANGE).
SWAPPER = """
import ctypes, sys
libc = ctypes.CDLL(None, use_errno=True)
one, other = sys.argv[1].encode(), sys.argv[2].encode()
print("ready", flush=True)
while True:
    libc.renameat2(-100, one, -100, other, 2)
"""
MOVER = """
import ctypes, sys
libc = ctypes.CDLL(None, use_errno=True)
one, other = sys.argv[1].encode(), sys.argv[2].encode()
print("ready", flush=True)
while True:
    libc.rename(one, other)
    libc.rename(other, one)
"""


def can_exchange(directory: Path) -> bool:
    (directory / "x1").touch()
    (directory / "x2").touch()
    libc = ctypes.CDLL(None, use_errno=True)
    failed = libc.renameat2(-100, bytes(directory / "x1"), -100, bytes(directory / "x2"), 2)
    return not failed or ctypes.get_errno() not in (errno.EINVAL, errno.ENOSYS)


def race(
    host: Host, module: Path, top: Path, script: str, program: str, one: Path, other: Path
) -> tuple[str, str]:
    """Output and errors of the guest, while the other process is at it."""
    swapper = subprocess.Popen([sys.executable, "-c", program, str(one), str(other)], stdout=subprocess.PIPE)
    try:
        assert swapper.stdout and swapper.stdout.readline() == b"ready\n"
        done = host.run(module, script, options=options(top), timeout=120)
        assert swapper.poll() is None
    finally:
        swapper.kill()
        swapper.wait()
    return done.stdout.decode(), done.stderr.decode()


@pytest.mark.parametrize(("command", "name"), [("race 20000", "file"), ("race_create 10000", "victim")])
def test_race_for_a_directory(command: str, name: str, jit: Host, guest: Guest, tmp_path: Path) -> None:
    """in/swap is a directory and a link to out/swap by turns.

    race_create creates, truncates and removes a file whose name exists outside, too.
    """
    make_tree(tmp_path)
    if not can_exchange(tmp_path):
        pytest.skip("the file system of the temporary directory cannot exchange two names")
    (tmp_path / "in" / "swap").mkdir()
    if command.startswith("race "):
        (tmp_path / "in" / "swap" / name).write_text("inside")
    (tmp_path / "out" / "swap" / name).write_text("outside")
    (tmp_path / "in" / "other").symlink_to("../out/swap")
    before = state(tmp_path / "out")
    output, errors = race(
        jit, guest("wasicalls"), tmp_path, f"{command} 3 swap/{name} both", SWAPPER,
        tmp_path / "in" / "swap", tmp_path / "in" / "other",
    )  # fmt: skip
    assert output == f"{command.split()[0]} leaked 0 opened some\n"
    assert int(errors.split()[3]) > 0, "the link was never met"
    assert state(tmp_path / "out") == before


def test_race_of_a_directory_that_is_moved_out(jit: Host, guest: Guest, tmp_path: Path) -> None:
    """in/dir/deep goes to out/deep and back: from there ../secret would be the secret."""
    make_tree(tmp_path)
    (tmp_path / "in" / "dir" / "secret").write_text("inside")
    output, errors = race(
        jit, guest("wasicalls"), tmp_path, "race 20000 3 dir/deep/../secret", MOVER,
        tmp_path / "in" / "dir" / "deep", tmp_path / "out" / "deep",
    )  # fmt: skip
    assert output == "race leaked 0 opened some\n", errors
