# SPDX-License-Identifier: GPL-2.0-only
"""Users and groups of the host layer: /etc/passwd and /etc/group."""

from __future__ import annotations

import errno
import grp
import os
import pwd
from collections.abc import Iterator
from pathlib import Path

import host_driver
import pytest
from host_driver import Driver, Word, decode
from hypothesis import given, settings
from hypothesis import strategies as st

PASSWD = """\
root:x:0:0:root:/root:/bin/bash
# comment:x:1:1::/:/bin/sh
daemon:*:1:1:daemon:/usr/sbin:/usr/sbin/nologin

+nis:x:5:5:::
-nis:x:6:6:::
short:x:7:7
notanumber:x:7a:7::/:/bin/sh
negative:x:-1:7::/:/bin/sh
toolarge:x:4294967296:7::/:/bin/sh
spaces:x: 8:8::/:/bin/sh
:x:9:9:no name:/:/bin/sh
empty:::::::
extra:x:10:10:g:/home:/bin/sh:more:fields
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
highest:x:4294967295:4294967295:::
root:x:0:0:second root:/:/bin/sh
last:x:11:12:without newline:/last:/bin/last"""

GROUP = """\
root:x:0:
daemon:x:1:alice
broken:x:one:alice
wheel:x:10:alice,bob
sudo:*:27:bob,,alice,
wheel2:x:10:alice
staff:x:50:alicea,xalice,alice
extra:x:51:bob:alice
last:x:60:alice"""


@pytest.fixture(scope="module")
def driver() -> Iterator[Driver]:
    with Driver() as process:
        yield process
        assert process.stats()[2:] == (0, 0)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("passwd")
    (directory / "passwd").write_text(PASSWD)
    (directory / "group").write_text(GROUP)
    return directory


User = tuple[str, str, int, int, str, str, str]


def user(words: list[str]) -> User | int:
    """Name, password, uid, gid, gecos, directory, shell; or the error."""
    if words[0] != "0":
        return int(words[0])
    texts = [(decode(words[i]) or b"").decode() for i in (1, 2, 5, 6, 7)]
    return (texts[0], texts[1], int(words[3]), int(words[4]), texts[2], texts[3], texts[4])


def group(words: list[str]) -> tuple[str, str, int, list[str]] | int:
    if words[0] != "0":
        return int(words[0])
    name, password, *members = ((decode(w) or b"").decode() for w in (*words[1:3], *words[5:]))
    assert len(members) == int(words[4])
    return (name, password, int(words[3]), members)


ROOT = ("root", "x", 0, 0, "root", "/root", "/bin/bash")


@pytest.mark.parametrize(("name", "want"), [
    ("root", ROOT), ("daemon", ("daemon", "*", 1, 1, "daemon", "/usr/sbin", "/usr/sbin/nologin")),
    ("extra", ("extra", "x", 10, 10, "g", "/home", "/bin/sh")),
    ("highest", ("highest", "x", 2**32 - 1, 2**32 - 1, "", "", "")),
    ("last", ("last", "x", 11, 12, "without newline", "/last", "/bin/last")),
    *((name, -errno.ENOENT) for name in (
        "nosuch", "Root", "roo", "rootx", "", "# comment", "+nis", "-nis", "short", "notanumber",
        "negative", "toolarge", "spaces", "empty", "root:x")),
])
def test_getpwnam(driver: Driver, files: Path, name: str, want: User | int) -> None:
    assert user(driver.run("getpwnam", str(files / "passwd"), 1024, name)) == want


@pytest.mark.parametrize(("uid", "want"), [
    (0, "root"), (10, "extra"), (65534, "nobody"), (2**32 - 1, "highest"), (11, "last"),
    (5, None), (7, None), (8, None), (9, None), (12, None),
])
def test_getpwuid(driver: Driver, files: Path, uid: int, want: str | None) -> None:
    found = user(driver.run("getpwuid", str(files / "passwd"), 1024, uid))
    assert found == -errno.ENOENT if want is None else found[0] == want  # type: ignore[index]


@pytest.mark.parametrize(("name", "want"), [
    ("root", ("root", "x", 0, [])), ("daemon", ("daemon", "x", 1, ["alice"])),
    ("wheel", ("wheel", "x", 10, ["alice", "bob"])),
    ("sudo", ("sudo", "*", 27, ["bob", "alice"])), ("extra", ("extra", "x", 51, ["bob"])),
    ("last", ("last", "x", 60, ["alice"])), ("broken", -errno.ENOENT), ("alice", -errno.ENOENT),
])
def test_getgrnam(driver: Driver, files: Path, name: str, want: object) -> None:
    assert group(driver.run("getgrnam", str(files / "group"), 1024, name)) == want


def test_getgrgid(driver: Driver, files: Path) -> None:
    path = str(files / "group")
    assert group(driver.run("getgrgid", path, 1024, 10)) == ("wheel", "x", 10, ["alice", "bob"])
    assert group(driver.run("getgrgid", path, 1024, 2)) == -errno.ENOENT


def test_the_buffer_must_hold_the_entry(driver: Driver, files: Path) -> None:
    """Exactly the strings and their NULs: one byte less is ERANGE."""
    need = len("root") + len("x") + len("root") + len("/root") + len("/bin/bash") + 5
    for size in range(need + 2):
        found = user(driver.run("getpwnam", str(files / "passwd"), size, "root"))
        assert found == (ROOT if size >= need else -errno.ERANGE), size
    need = len("wheel") + len("x") + len("alice") + len("bob") + 4
    for size in range(need + 2):
        entry = group(driver.run("getgrnam", str(files / "group"), size, "wheel"))
        assert (entry == -errno.ERANGE) == (size < need), size


def entries(driver: Driver, command: str, path: Path) -> list[list[str]]:
    found: list[list[str]] = []
    offset = 0
    while True:
        words = driver.run(command, str(path), offset)
        if words[1] != "0":
            assert words[1] == str(-errno.ENOENT)
            return found
        assert int(words[0]) > offset
        offset = int(words[0])
        found.append(words[1:])


def test_enumeration(driver: Driver, files: Path) -> None:
    users = [user(words) for words in entries(driver, "getpwent", files / "passwd")]
    assert [u[0] for u in users] == [  # type: ignore[index]
        "root", "daemon", "extra", "nobody", "highest", "root", "last"]
    groups = [group(words) for words in entries(driver, "getgrent", files / "group")]
    assert [g[0] for g in groups] == [  # type: ignore[index]
        "root", "daemon", "wheel", "sudo", "wheel2", "staff", "extra", "last"]


def test_this_machine(driver: Driver) -> None:
    """As Python has it from glibc, where that reads the files alone."""
    for command, path, want in (
        ("getpwent", "/etc/passwd", [tuple(e) for e in pwd.getpwall()]),
        ("getgrent", "/etc/group", [(e.gr_name, e.gr_passwd, e.gr_gid, e.gr_mem)
                                    for e in grp.getgrall()]),
    ):
        decode_entry = user if command == "getpwent" else group
        got = [decode_entry(words) for words in entries(driver, command, Path(path))]
        assert got and all(entry in want for entry in got)
    assert user(driver.run("getpwuid", None, 1024, 0)) == tuple(pwd.getpwuid(0))


@pytest.mark.parametrize(("name", "gid", "limit", "want"), [
    ("alice", 100, 99, [100, 1, 10, 27, 50, 60]), ("alice", 10, 99, [10, 1, 27, 50, 60]),
    ("bob", 5, 99, [5, 10, 27, 51]), ("nobody", 5, 99, [5]), ("", 5, 99, [5]),
    ("alice", 100, 6, [100, 1, 10, 27, 50, 60]),
])
def test_getgrouplist(driver: Driver, files: Path, name: str, gid: int, limit: int,
                      want: list[int]) -> None:
    words = driver.run("getgrouplist", str(files / "group"), name, gid, limit)
    assert list(map(int, words)) == [0, len(want), *want]


def test_getgrouplist_too_long(driver: Driver, files: Path) -> None:
    """The length that would be needed is returned, and as much as fits is stored."""
    words = driver.run("getgrouplist", str(files / "group"), "alice", 100, 3)
    assert list(map(int, words[2:])) == [100, 1, 10]
    assert words[0] == str(-errno.ERANGE) and int(words[1]) >= 6
    words = driver.run("getgrouplist", str(files / "group"), "alice", 100, 0)
    assert words[0] == str(-errno.ERANGE) and len(words) == 2


def test_missing_and_odd_files(driver: Driver, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    os.mkfifo(tmp_path / "fifo")
    for path in ("nosuch", "empty", "fifo", ".", "empty/passwd"):
        full = str(tmp_path / path)
        assert driver.run("getpwnam", full, 1024, "root") == [str(-errno.ENOENT)]
        assert driver.run("getgrgid", full, 1024, 0) == [str(-errno.ENOENT)]
        assert driver.run("getgrouplist", full, "root", 7, 4) == ["0", "1", "7"]
    assert driver.run("getpwnam", "/" + "x" * 5000, 1024, "root") == [str(-errno.ENAMETOOLONG)]


def test_long_lines(driver: Driver, tmp_path: Path) -> None:
    path = tmp_path / "group"
    members = [f"member{i}" for i in range(15000)]
    path.write_text("big:x:1:" + ",".join(members) + "\nhuge:x:2:" + "x" * 400000 + "\nnul:x:4:\0\n"
                    + "#" * 8191 + "\n" + "after:x:3:member9\n")
    entry = group(driver.run("getgrnam", str(path), 400000, "big"))
    assert isinstance(entry, tuple) and entry[3] == members
    assert driver.run("getgrnam", str(path), 1000, "big") == [str(-errno.ERANGE)]
    for name in ("huge", "nul"):
        assert driver.run("getgrnam", str(path), 1000000, name) == [str(-errno.ENOENT)]
    assert group(driver.run("getgrnam", str(path), 100, "after")) == ("after", "x", 3, ["member9"])
    words = driver.run("getgrouplist", str(path), "member9", 0, 9)
    assert words == ["0", "3", "0", "1", "3"]


def test_lines_of_every_length(driver: Driver, tmp_path: Path) -> None:
    """Where the line's buffer grows, and where a chunk ends."""
    sizes = [*range(230, 280), *range(490, 540), *range(4070, 4110), *range(8170, 8210)]
    path = tmp_path / "passwd"
    path.write_text("".join(f"u{n}:x:{n}:1:{'g' * n}:/:/bin/sh\n" for n in sizes))
    for n in sizes:
        found = user(driver.run("getpwuid", str(path), 16384, n))
        assert found == (f"u{n}", "x", n, 1, "g" * n, "/", "/bin/sh")


field = st.text(st.characters(codec="ascii", exclude_characters=":\n\0"), max_size=12)


@settings(deadline=None, max_examples=100)
@given(lines=st.lists(st.lists(st.one_of(field, st.integers(0, 99).map(str)), min_size=1,
                               max_size=9).map(":".join), max_size=8), pad=st.integers(0, 9000))
def test_any_file(driver: Driver, files: Path, lines: list[str], pad: int) -> None:
    """Against a parser of three lines, with lines across the ends of chunks."""
    path = files / "any"
    path.write_bytes(("#" * pad + "\n" + "\n".join(lines)).encode())
    want = []
    for line in lines:
        fields = line.split(":")
        if (len(fields) >= 7 and fields[0] and fields[0][0] not in "#+-"
                and all(f and f.isdecimal() and f.isascii() and int(f) < 2**32
                        for f in fields[2:4])):
            want.append((fields[0], fields[1], int(fields[2]), int(fields[3]), *fields[4:7]))
    assert [user(words) for words in entries(driver, "getpwent", path)] == want


def test_faults(driver: Driver, files: Path) -> None:
    """Every call interrupted, every allocation refused: nothing stays behind."""
    commands: list[tuple[str, tuple[Word, ...]]] = [
        ("getpwnam", (str(files / "passwd"), 1024, "last")),
        ("getgrgid", (str(files / "group"), 1024, 60)),
        ("getgrouplist", (str(files / "group"), "alice", 100, 99)),
    ]
    for command, words in commands:
        for kind, error in (("call", -errno.EINTR), ("call", -512), ("alloc", 0)):
            for count in range(50):
                driver.fault(kind, count, error)
                answer = driver.run(command, *words)
                calls, allocations, descriptors, blocks = driver.stats()
                assert (descriptors, blocks) == (0, 0)
                if (calls if kind == "call" else allocations) <= count:
                    assert answer[0] == "0"
                    break
                assert int(answer[0]) == (error or -errno.ENOMEM)
            assert count >= 2


def test_fuzz(tmp_path: Path) -> None:
    (tmp_path / "passwd").write_text(PASSWD)
    (tmp_path / "group").write_text(GROUP)
    host_driver.fuzz("passwd", 3000, 1, [tmp_path / "passwd", tmp_path / "group"])
