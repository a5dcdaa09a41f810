# SPDX-License-Identifier: GPL-2.0-only
"""WASI preview 1: every call, against wasmtime's answers on the same input or against stated ones."""

from __future__ import annotations

import itertools
import os
import re
import signal
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import wasmtime

from tests.e2e import reference
from tests.e2e.conftest import Host, wait_until

Guest = Callable[[str], Path]


def fill(top: Path) -> None:
    """The directory that the scripts below start with."""
    (top / "file").write_text("contents of a file")
    (top / "dir").mkdir()
    (top / "dir" / "inner").write_text("inner")
    (top / "link").symlink_to("file")
    (top / "dirlink").symlink_to("dir")
    (top / "dangling").symlink_to("nowhere")
    (top / "loop").symlink_to("loop")
    (top / "many").mkdir()
    for i in range(300):
        (top / "many" / f"{'n' * (i % 60)}{i}").touch()


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Callable[[], Path]]:
    """Makes directories of that kind."""
    numbers = itertools.count()

    def make() -> Path:
        top = tmp_path / f"top{next(numbers)}"
        top.mkdir()
        fill(top)
        return top

    yield make


# Descriptors are given in order: 3 is the directory.  tests/guests/wasi/wasicalls.c has the language.
# Rights are written as numbers: 2 read, 64 write, 0x4000 readdir, 0x3fffffff all; errors too: 8 EBADF,
# 20 EEXIST, 28 EINVAL, 44 ENOENT, 54 ENOTDIR, 63 EPERM, 76 ENOTCAPABLE.
SAME_AS_WASMTIME = {
    "process": """
        args
        environ
        clock_res 0
        clock_res 1
        clock_time 0
        clock_time 1
        random 1000
        yield
        prestat 0
        prestat 3
        prestat 4
        prestat 99
        fdstat 3
        fdstat 99
        read 0 100
        read 0 100
        exit 7
        """,
    "file": """
        open 3 0 new 1 0x3fffffff 0 0
        fdstat $
        write 4 hello%20world
        tell 4
        seek 4 -5 2
        read 4 100
        seek 4 -100 0
        seek 4 3 0
        seek 4 1 1
        pread 4 3 1
        pread 4 100 6
        pread 4 5 100
        pread 4 5 -1
        pwrite 4 XY 2
        pread 4 100 0
        pwrite 4 end 20
        filestat 4
        pread 4 100 0
        set_size 4 4
        filestat 4
        set_size 4 -1
        advise 4 0 10 3
        sync 4
        datasync 4
        set_flags 4 1
        fdstat 4
        seek 4 0 0
        write 4 appended
        filestat 4
        set_flags 4 0
        set_flags 4 4
        fdstat 4
        set_times 4 1000000001 2000000002 5
        stamps 4
        set_times 4 0 3000000003 4
        stamps 4
        set_times 4 0 0 3
        close 4
        close 4
        read 4 10
        write 4 x
        seek 4 0 0
        filestat 4
        fdstat 4
        sync 4
        write 99 x
        """,
    "open": """
        open 3 0 new 1 0x3fffffff 0 0
        open 3 0 new 5 0x3fffffff 0 0
        open 3 0 absent 0 2 0 0
        open 3 0 dir 0 0x4000 0 0
        open 3 0 dir 2 0x4000 0 0
        open 3 0 file 2 2 0 0
        open 3 0 link 0 2 0 0
        open 3 1 link 0 2 0 0
        read $ 100
        open 3 1 dangling 0 2 0 0
        open 3 1 loop 0 2 0 0
        open 3 0 dirlink/inner 0 2 0 0
        open 3 0 file/ 0 2 0 0
        open 3 0 file/x 0 2 0 0
        open 3 0 dir 1 64 0 0
        open 3 0 dir 0 64 0 0
        open 3 0 % 0 2 0 0
        open 3 0 file 8 66 0 0
        open 99 0 file 0 2 0 0
        open 3 0 app 1 64 0 1
        write $ one
        fdstat $
        path_filestat 3 0 file
        """,
    "paths": """
        mkdir 3 made
        mkdir 3 made
        mkdir 3 made2/
        mkdir 3 no/such
        mkdir 3 file/x
        mkdir 3 .
        mkdir 3 ..
        mkdir 3 %
        path_filestat 3 0 made
        path_filestat 3 0 link
        path_filestat 3 1 link
        path_filestat 3 0 dirlink/
        path_filestat 3 0 .
        path_filestat 3 1 dangling
        path_filestat 3 0 dangling
        path_filestat 3 1 loop
        path_filestat 3 0 file/
        path_filestat 3 0 %
        path_set_times 3 0 file 1000000001 2000000002 5
        path_stamps 3 0 file
        path_set_times 3 1 link 1000000003 2000000004 5
        path_stamps 3 0 file
        path_set_times 3 0 link 1000000005 2000000006 5
        path_stamps 3 0 link
        path_stamps 3 0 file
        path_set_times 3 0 absent 0 0 5
        link 3 0 file 3 hard
        path_filestat 3 0 hard
        link 3 0 file 3 hard
        link 3 0 dir 3 hard2
        link 3 0 link 3 hardlink
        path_filestat 3 0 hardlink
        link 3 1 link 3 hardlink2
        link 3 0 absent 3 hard3
        link 3 0 file 3 hard4/
        rename 3 hard 3 hard5
        rename 3 hard 3 hard5
        rename 3 dir 3 made
        rename 3 made 3 dir
        rename 3 dir/ 3 moved/
        rename 3 file/ 3 file2
        rename 3 file 3 moved
        rename 3 moved 3 file
        rename 3 moved 3 moved/below
        rename 3 . 3 x
        rename 3 moved 3 dir
        symlink target 3 made_link
        readlink 3 made_link 100
        readlink 3 made_link 3
        readlink 3 made_link 0
        readlink 3 file 100
        readlink 3 absent 100
        symlink target 3 made_link
        symlink target 3 no/such
        symlink target 3 slash/
        symlink % 3 empty
        symlink a/../../b 3 dots
        readlink 3 dots 100
        unlink 3 made_link
        unlink 3 made_link
        unlink 3 dir
        unlink 3 file/
        unlink 3 hard5
        mkdir 3 made
        rmdir 3 made
        rmdir 3 dir
        rmdir 3 file
        rmdir 3 dirlink
        rmdir 3 .
        rmdir 3 ..
        mkdir 3 full
        mkdir 3 full/x
        rmdir 3 full
        rename 3 full/x 3 file
        rename 3 file 3 full
        readdir 3 1000
        """,
    "readdir": """
        open 3 0 many 2 0x4000 0 0
        count 4 24
        count 4 4096
        count 4 100000
        readdir_at 4 0 0
        readdir_at 4 10 0
        readdir_at 4 24 0
        close 4
        readdir 3 100
        readdir 99 1000
        """,
    "poll": """
        poll clock:1:1000:0:7
        poll clock:0:1000000:0:7
        poll clock:1:1000000:1:7
        poll clock:0:1000000:1:7
        poll clock:1:9000000000:0:1 clock:1:1000000:0:2
        poll clock:1:0:0:1 clock:1:0:0:2
        open 3 0 file 0 0x3fffffff 0 0
        poll read:4:9
        poll write:4:9
        poll read:4:9 clock:1:9000000000:0:1
        poll read:0:3
        poll
        """,
    "renumber": """
        open 3 0 file 0 0x3fffffff 0 0
        open 3 0 dir/inner 0 0x3fffffff 0 0
        renumber 5 4
        pread 4 20 0
        pread 5 20 0
        renumber 5 4
        renumber 4 99
        renumber 4 4
        pread 4 20 0
        open 3 0 dir 2 0x4000 0 0
        """,
}  # fmt: skip


def lines(script: str) -> str:
    return "\n".join(line.strip() for line in script.strip().splitlines())


@pytest.mark.parametrize("name", SAME_AS_WASMTIME)
def test_same_as_wasmtime(name: str, host: Host, guest: Guest, fresh: Callable[[], Path]) -> None:
    module, script = guest("wasicalls"), lines(SAME_AS_WASMTIME[name])
    arguments, given = [script, "x", "two words"], b"from standard input"
    status, expected = reference.run(
        module, *arguments, directories=[(fresh(), "/")], environment={"A": "b c", "D": ""}, stdin=given
    )
    done = host.run(
        module, *arguments, stdin=given,
        options=("--argv0=program", "--env=A=b c", "--env=D=", f"--dir={fresh()}::/"),
    )  # fmt: skip
    assert done.stderr.decode() == ""
    assert done.stdout.decode().splitlines() == expected.decode().splitlines()
    assert done.returncode == status == (7 if name == "process" else 0)
    host.assert_engine()


def test_readdir_through_small_buffers(host: Host, guest: Guest, fresh: Callable[[], Path]) -> None:
    """Cookies: every entry once, whatever fits.  (wasmtime's time is quadratic in their number.)"""
    sizes = [86, 87, 100, 111, 127, 256, 1000, 4095, 65536]
    script = "\n".join(["open 3 0 many 2 0x4000 0 0", *(f"count 4 {size}" for size in sizes)])
    output = host.run(guest("wasicalls"), script, options=(f"--dir={fresh()}::/",)).stdout.decode().splitlines()
    assert len(set(output[1:])) == 1
    assert output[1].startswith("count 0 entries 302 twice 0 checksum ")


# command => what it prints.
STATED = {
    "numbers that name nothing": """
        clock_res 9 => 28 none
        clock_time 9 => 28 none
        seek 3 0 9 => 28 0
        open 3 0 file 0 0x3fffffff 0 0 => 0 fd 4
        advise 4 0 10 9 => 28
        set_flags 4 64 => 28
        set_times 4 0 0 16 => 28
        open 3 2 file 0 2 0 0 => 28
        open 3 0 file 64 2 0 0 => 28
        open 3 0 file 0 2 0 64 => 28
        poll other:4:9 => 28 0
        poll clock:9:1000:0:7 => 0 1 [7 error 28 type 0]
        raise 99 => 28
        open 3 0 synced 1 0x3fffffff 0 2 => 0 fd 5
        set_flags 5 66 => 28
        """,
    "clocks of the process": """
        clock_res 2 => 0 some
        clock_res 3 => 0 some
        clock_time 2 => 0 some
        clock_time 3 => 0 some
        """,
    "several vectors": """
        vectors 2 =>
        open 3 0 new 1 0x3fffffff 0 0 => 0 fd 4
        write 4 abcdefghi => 0 9
        pread 4 9 0 => 0 9 abcdefghi
        pwrite 4 123456 2 => 0 6
        seek 4 1 0 => 0 1
        read 4 100 => 0 8 b123456i
        """,
    "allocate": """
        open 3 0 new 1 0x3fffffff 0 0 => 0 fd 4
        allocate 4 0 100 => 0
        filestat 4 => 0 type 4 size 100 nlink 1
        allocate 4 50 10 => 0
        filestat 4 => 0 type 4 size 100 nlink 1
        allocate 4 0 0 => 28
        """,
    "a descriptor has the rights it was opened with": """
        open 3 0 file 0 2 0 0 => 0 fd 4
        rights 4 => 0 0x2 0x0
        write 4 x => 76
        pread 4 1 0 => 76
        seek 4 0 0 => 76 0
        tell 4 => 76 0
        set_size 4 0 => 76
        allocate 4 0 1 => 76
        advise 4 0 0 0 => 76
        sync 4 => 76
        datasync 4 => 76
        set_flags 4 0 => 76
        filestat 4 => 76
        set_times 4 0 0 1 => 76
        readdir_at 4 100 0 => 76 0
        poll read:4:9 => 0 1 [9 error 76 type 1]
        accept 4 0 => 76
        recv 4 1 0 => 57 flags 9
        send 4 x 0 => 76
        shutdown 4 1 => 76
        read 4 8 => 0 8 contents
        open 4 0 x 0 2 0 0 => 76
        open 3 0 file 0 66 0 0 => 0 fd 5
        rights 5 => 0 0x42 0x0
        """,
    "a directory has them too": """
        open 3 0 dir 2 0x6000 0x2 0 => 0 fd 4
        rights 4 => 0 0x6000 0x2
        open 4 0 inner 0 0x42 0x42 0 => 0 fd 5
        rights 5 => 0 0x2 0x0
        open 4 0 new 1 2 0 0 => 76
        open 4 0 inner 8 2 0 0 => 76
        mkdir 4 x => 76
        rmdir 4 x => 76
        unlink 4 inner => 76
        symlink x 4 y => 76
        readlink 4 inner 10 => 76
        rename 4 inner 3 inner => 76
        rename 3 file 4 file => 76
        link 4 0 inner 3 inner => 76
        link 3 0 file 4 file => 76
        path_filestat 4 0 inner => 76
        path_set_times 4 0 inner 0 0 5 => 76
        """,
    "rights are only given up": """
        open 3 0 file 0 0x3fffffff 0 0 => 0 fd 4
        set_rights 4 2 0 => 0
        rights 4 => 0 0x2 0x0
        set_rights 4 66 0 => 76
        set_rights 4 2 2 => 76
        rights 4 => 0 0x2 0x0
        set_rights 4 0 0 => 0
        read 4 1 => 76
        close 4 => 0
        set_rights 3 0x2000 2 => 0
        open 3 0 file 0 66 0 0 => 0 fd 4
        rights 4 => 0 0x2 0x0
        mkdir 3 x => 76
        set_rights 99 0 0 => 8
        """,
    "what is no directory": """
        mkdir 0 x => 76
        open 0 0 x 0 2 0 0 => 76
        readdir_at 1 100 0 => 76 0
        """,
    "waiting for what is not there": """
        poll read:99:9 => 0 1 [9 error 8 type 1]
        poll read:99:9 clock:1:9000000000:0:1 => 0 1 [9 error 8 type 1]
        """,
    "names of directories": """
        mkdir 3 made/ => 0
        rmdir 3 made/ => 0
        unlink 3 dangling/ => 54
        """,
    "what is no socket": """
        open 3 0 file 0 0x3fffffff 0 0 => 0 fd 4
        accept 4 0 => 76
        recv 4 1 0 => 57 flags 9
        send 4 x 0 => 57
        shutdown 4 1 => 76
        accept 99 0 => 8
        recv 99 1 0 => 8 flags 9
        send 99 x 0 => 8
        shutdown 99 1 => 8
        """,
    "descriptors that are renumbered": """
        open 3 0 file 0 0x3fffffff 0 0 => 0 fd 4
        renumber 4 3 => 0
        mkdir 3 x => 76
        prestat 3 => 8
        read 3 8 => 0 8 contents
        read 4 8 => 8
        """,
    "pointers to nowhere": """
        open 3 0 file 0 0x3fffffff 0 0 => 0 fd 4
        faults 3 4 => 31
        """,
}  # fmt: skip


@pytest.mark.parametrize("name", STATED)
def test_stated(name: str, host: Host, guest: Guest, fresh: Callable[[], Path]) -> None:
    commands, answers = zip(*(line.split(" =>") for line in lines(STATED[name]).splitlines()), strict=True)
    done = host.run(guest("wasicalls"), "\n".join(commands), options=(f"--dir={fresh()}::/",))
    found = [line.rstrip() for line in done.stdout.decode().splitlines()]
    assert found == [command.split()[0] + answer for command, answer in zip(commands, answers, strict=True)]
    assert done.returncode == 0 and done.stderr == b""


def test_every_call_is_made(guest: Guest) -> None:
    """The program imports all of wasi.def, and the scripts use each of its commands."""
    definitions = (Path(__file__).parents[2] / "kmod" / "host" / "wasi.def").read_text()
    names = set(re.findall(r"^WASI\((\w+),", definitions, re.MULTILINE))
    module = wasmtime.Module(wasmtime.Engine(), guest("wasicalls").read_bytes())
    assert {i.name for i in module.imports if i.module == "wasi_snapshot_preview1"} == names
    used = {line.split()[0] for s in SAME_AS_WASMTIME.values() for line in lines(s).splitlines()}
    used |= {line.split()[0] for s in STATED.values() for line in lines(s).splitlines()}
    source = (Path(__file__).parents[1] / "guests" / "wasi" / "wasicalls.c").read_text()
    commands = set(re.findall(r'IS\("(\w+)"\)', source))
    # test_wasi_escape.py; a test of its own
    assert commands - used == {"race", "race_create", "accept_nowhere"}


def test_hundreds_of_directories(host: Host, guest: Guest, fresh: Callable[[], Path]) -> None:
    """What the host asks about each leaves nothing behind that later calls lack."""
    top = fresh()
    options = [f"--dir={top}::/{i}" for i in range(300)]
    done = host.run(guest("wasicalls"), "prestat 302\nrename 302 file 3 dir/file", options=tuple(options))
    assert done.stdout.decode().splitlines() == ["prestat 0 short 37 name 0 /299", "rename 0"]
    assert (top / "dir" / "file").exists() and done.stderr == b""


WRAPPING = """
(module
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_readdir" (func $readdir (param i32 i32 i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 65536)
  (func (export "_start")
    (call $exit (i32.or
      (i32.or
        (i32.ne (call $poll (i32.const 0xffffffd0) (i32.const 1024) (i32.const 2) (i32.const 512)) (i32.const 21))
        (i32.ne (call $poll (i32.const 1024) (i32.const 0xffffffe0) (i32.const 2) (i32.const 512)) (i32.const 21)))
      (i32.or
        (i32.ne (call $readdir (i32.const 3) (i32.const 0xffffffe8) (i32.const 100) (i64.const 0) (i32.const 512))
          (i32.const 21))
        (i32.ne (i64.eqz (i64.load (i32.const 0))) (i32.const 1)))))))
"""


def test_arrays_do_not_go_on_at_address_0(host: Host, fresh: Callable[[], Path], tmp_path: Path) -> None:
    """Of a memory of 4 GiB: the first entry would fit in its end, the next is beyond it."""
    module = tmp_path / "wrapping.wasm"
    module.write_bytes(wasmtime.wat2wasm(WRAPPING))
    assert host.run(module, options=(f"--dir={fresh()}",)).returncode == 0


def test_descriptors_do_not_run_out(host: Host, guest: Guest, fresh: Callable[[], Path]) -> None:
    """What the host opens on the way (parents, objects) it closes; a process may have 24 here."""
    top = fresh()
    script = "race 300 3 dir/inner\n" + "\n".join(
        ["mkdir 3 dir/a", "rmdir 3 dir/a", "path_filestat 3 1 link", "readlink 3 link 10", "unlink 3 dir/absent",
         "rename 3 dir/absent 3 dir/b", "link 3 0 dir/inner 3 dir/inner", "mkdir 3 ..", "symlink a 3 dir/inner",
         "path_set_times 3 0 file 0 0 5", "open 3 0 absent 0 2 0 0", "mkdir 3 absent/x"] * 30
    )  # fmt: skip
    command = host.command(guest("wasicalls"), script, options=(f"--dir={top}::/",))
    done = subprocess.run(
        ["prlimit", "--nofile=24:24", *command], env=host.environment(), capture_output=True, check=False
    )
    output = done.stdout.decode().splitlines()
    assert output[0] == "race leaked 0 opened some" and done.stderr == b"opened 300 refused 0 absent 0\n"
    again = [output[i : i + 12] for i in range(1, len(output), 12)]
    assert len(again) == 30 and all(one == again[0] for one in again)
    assert [line.split()[1] for line in again[0]] == "0 0 0 0 44 44 20 63 20 0 44 44".split()


@pytest.mark.parametrize(
    ("number", "native"),
    [(1, signal.SIGHUP), (6, signal.SIGABRT), (9, signal.SIGKILL), (15, signal.SIGTERM), (24, signal.SIGXFSZ), (30, signal.SIGSYS)],
)
def test_proc_raise(number: int, native: signal.Signals, jit: Host, guest: Guest) -> None:
    done = jit.run(guest("wasicalls"), f"raise {number}")
    assert done.returncode == -native


def test_proc_raise_of_what_is_ignored(host: Host, guest: Guest) -> None:
    """NONE, CHLD, CONT, WINCH do nothing; nor does PIPE, as WASI knows no signals."""
    done = host.run(guest("wasicalls"), "raise 0\nraise 16\nraise 17\nraise 27\nraise 13")
    assert done.stdout.decode().split() == ["raise", "0"] * 5
    assert done.returncode == 0


@pytest.mark.parametrize("status", [0, 1, 255])
def test_exit_status(status: int, host: Host, guest: Guest) -> None:
    assert host.run(guest("wasicalls"), f"exit {status}").returncode == status


def test_closed_pipe_is_an_error(jit: Host, guest: Guest) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        jit.command(guest("wasicalls"), "write 1 x\nexit 5"), stdout=writer, stderr=subprocess.PIPE,
        env=jit.environment(), check=False,
    )  # fmt: skip
    os.close(writer)
    assert done.returncode == 5


def test_standard_descriptors_that_are_closed(jit: Host, guest: Guest) -> None:
    command = jit.command(guest("wasicalls"), "read 0 1\nfdstat 0\nfdstat 1")
    done = subprocess.run(["sh", "-c", 'exec "$@" <&-', "sh", *command], env=jit.environment(), capture_output=True, check=False)
    # Python opens nothing in its place; the guest's 0 is not there.
    assert done.stdout.decode().splitlines()[0] == "read 8"


# ---------------------------------------------------------------------------- sockets


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        assert isinstance(port, int)
        return port


def connect(port: int, family: socket.AddressFamily = socket.AF_INET) -> socket.socket:
    found: list[socket.socket] = []

    def attempt() -> bool:
        client = socket.socket(family)
        try:
            client.connect(("::1" if family == socket.AF_INET6 else "127.0.0.1", port))
        except ConnectionRefusedError:
            client.close()
            return False
        found.append(client)
        return True

    wait_until(attempt, "the guest listens")
    return found[0]


def test_a_connection_that_cannot_be_told_of_is_closed(jit: Host, guest: Guest) -> None:
    port = free_port()
    process = jit.start(
        guest("wasicalls"), "accept_nowhere 3\naccept 3 0", options=(f"--tcplisten=127.0.0.1:{port}",)
    )
    with connect(port) as first, connect(port):
        assert first.recv(1) == b""
        output, _ = process.communicate(timeout=60)
    assert output.decode().splitlines() == ["accept_nowhere 21", "accept 0 fd 4"]


def test_sockets(host: Host, guest: Guest, fresh: Callable[[], Path]) -> None:
    """A directory is 3, the listening sockets 4 and 5 (which nobody connects to), the connection 6."""
    port = free_port()
    script = lines("""
        fdstat 4
        set_flags 5 4
        accept 5 0
        poll read:4:1 read:5:2
        accept 4 4
        fdstat $
        poll read:6:2 clock:1:20000000000:0:9
        recv 6 4 1
        recv 6 4 0
        vectors 2
        recv 6 100 0
        send 6 pong 0
        poll write:6:3
        shutdown 6 2
        send 6 x 0
        poll read:6:4
        recv 6 10 0
        set_flags 6 0
        recv 6 10 2
        shutdown 6 9
        shutdown 6 0
        send 6 x 1
        recv 6 1 64
        accept 4 1
        close 6
        shutdown 6 1
        """)
    process = host.start(guest("wasicalls"), script, options=(f"--dir={fresh()}::/", f"--tcplisten=127.0.0.1:{port}", "--tcplisten=:0"))
    client = connect(port)
    client.sendall(b"ping and more")
    answer = b""
    while piece := client.recv(100):
        answer += piece
    client.sendall(b"last")
    client.shutdown(socket.SHUT_WR)
    output, _ = process.communicate(timeout=60)
    assert answer == b"pong"
    assert [line.rstrip() for line in output.decode().splitlines()] == lines("""
        fdstat 0 type 6 flags 0
        set_flags 0
        accept 6
        poll 0 1 [1 error 0 type 1]
        accept 0 fd 6
        fdstat 0 type 6 flags 4
        poll 0 1 [2 error 0 type 1]
        recv 0 4 ping flags 0
        recv 0 4 ping flags 0
        vectors
        recv 0 9 %20and%20more flags 0
        send 0 4
        poll 0 1 [3 error 0 type 2]
        shutdown 0
        send 64
        poll 0 1 [4 error 0 type 1]
        recv 0 4 last flags 0
        set_flags 0
        recv 0 0  flags 0
        shutdown 28
        shutdown 28
        send 28
        recv 28 flags 9
        accept 28
        close 0
        shutdown 8
        """).splitlines()


def test_two_listeners_and_ipv6(jit: Host, guest: Guest) -> None:
    first, second = free_port(), free_port()
    process = jit.start(
        guest("wasicalls"), "accept 4 0\nsend $ six 0\naccept 3 0\nsend $ four 0",
        options=(f"--tcplisten=127.0.0.1:{first}", f"--tcplisten=[::1]:{second}"),
    )  # fmt: skip
    assert connect(second, socket.AF_INET6).recv(10) == b"six"
    assert connect(first).recv(10) == b"four"
    assert process.wait(30) == 0


def test_listener_from_systemd(jit: Host, guest: Guest) -> None:
    """sd_listen_fds(3): descriptor 3, LISTEN_FDS=1, LISTEN_PID the process that gets them."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        command = jit.command(guest("wasicalls"), "accept 3 0\nsend $ inherited 0")
        process = subprocess.Popen(
            ["bash", "-c", f'exec 3<&{listener.fileno()}; LISTEN_FDS=1 LISTEN_PID=$$ exec "$@"', "sh", *command],
            env=jit.environment(), pass_fds=[listener.fileno()], stdout=subprocess.PIPE,
        )  # fmt: skip
        with connect(port) as client:
            assert client.recv(100) == b"inherited"
        output, _ = process.communicate(timeout=30)
    assert output == b"accept 0 fd 4\nsend 0 9 \n"


# ---------------------------------------------------------------------------- environment and options


def test_environment(jit: Host, guest: Guest) -> None:
    """Nothing without being told; --inherit-env gives all, --env comes on top."""
    module, env = guest("wasicalls"), {"WJ_SEEN": "yes"}
    assert jit.run(module, "environ", env=env).stdout == b"environ 0 0 0\n"
    assert jit.run(module, "environ", env=env, options=("--env=A=1",)).stdout == b"environ 0 1 4 A=1\n"
    # More variables than the program prints are possible here: 64.
    clean = ["env", "-i", f"PATH={os.environ['PATH']}", "WJ_SEEN=yes", "A=0", f"PYTHONPATH={jit.environment()['PYTHONPATH']}"]
    done = subprocess.run([*clean, *jit.command(module, "environ", options=("--inherit-env", "--env=A=1"))], capture_output=True, check=False)
    words = done.stdout.decode().split()
    assert "WJ_SEEN=yes" in words and "A=1" in words and "A=0" not in words


def test_argv0(jit: Host, guest: Guest) -> None:
    """wasicalls prints the size of all arguments; argv[0] is in it."""
    module = guest("wasicalls")
    sizes = [
        int(jit.run(module, "args", options=options).stdout.split()[3])
        for options in ((), ("--argv0=",), ("--argv0=zero",))
    ]
    assert sizes == [len(str(module)) + 1 + 5, len(str(module)) + 1 + 5, 5 + 5]


@pytest.mark.parametrize(
    ("options", "status", "text"),
    [
        (("--dir=/nowhere/at/all",), 66, "--dir /nowhere/at/all: No such file or directory"),
        (("--dir=/etc/passwd",), 66, "--dir /etc/passwd: Not a directory"),
        (("--dir=::/x",), 2, "not of the form HOST or HOST::GUEST"),
        (("--dir=/tmp::",), 2, "not of the form HOST or HOST::GUEST"),
        (("--tcplisten=80",), 2, "not of the form ADDRESS:PORT"),
        (("--tcplisten=127.0.0.1:x",), 2, "not of the form ADDRESS:PORT"),
        (("--tcplisten=127.0.0.1:65536",), 2, "not of the form ADDRESS:PORT"),
        (("--tcplisten=localhost:8000",), 2, "give a numeric address"),
        (("--tcplisten=203.0.113.1:8000",), 71, "Cannot assign requested address"),
        (("--env=novalue",), 2, "not of the form NAME=VALUE"),
        (("--invoke=nothing",), 65, "no exported function 'nothing'"),
    ],
)
def test_bad_options(options: tuple[str, ...], status: int, text: str, jit: Host, guest: Guest) -> None:
    done = jit.run(guest("wasicalls"), options=options)
    assert done.returncode == status
    assert text in done.stderr.decode() and len(done.stderr.splitlines()) == 1


def test_a_port_in_use(jit: Host, guest: Guest) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        done = jit.run(guest("wasicalls"), options=(f"--tcplisten=127.0.0.1:{port}",))
    assert done.returncode == 71 and "Address already in use" in done.stderr.decode()


# ---------------------------------------------------------------------------- wasi_unstable


def wat(text: str, directory: Path) -> Path:
    path = directory / "module.wasm"
    path.write_bytes(wasmtime.wat2wasm(text))
    return path


UNSTABLE = """(module
  (import "wasi_unstable" "fd_filestat_get" (func $fstat (param i32 i32) (result i32)))
  (import "wasi_unstable" "path_filestat_get" (func $stat (param i32 i32 i32 i32 i32) (result i32)))
  (import "wasi_unstable" "fd_seek" (func $seek (param i32 i64 i32 i32) (result i32)))
  (import "wasi_unstable" "path_open" (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_unstable" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
  (import "wasi_unstable" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "file")
  (func $check (param $ok i32) (param $what i32)
    (if (i32.eqz (local.get $ok)) (then (call $exit (local.get $what)))))
  (import "wasi_unstable" "proc_exit" (func $exit (param i32)))
  (func (export "_start")
    (call $check (i32.eqz (call $open (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 4) (i32.const 0)
      (i64.const 0x1fffffff) (i64.const 0) (i32.const 0) (i32.const 16))) (i32.const 1))
    ;; 56 bytes: links in 32 bits at 20, size at 24; what lies behind is left alone
    (i64.store (i32.const 156) (i64.const -1))
    (call $check (i32.eqz (call $fstat (i32.load (i32.const 16)) (i32.const 100))) (i32.const 2))
    (call $check (i32.eq (i32.load (i32.const 120)) (i32.const 1)) (i32.const 3))
    (call $check (i64.eq (i64.load (i32.const 124)) (i64.const 18)) (i32.const 4))
    (call $check (i64.eq (i64.load (i32.const 156)) (i64.const -1)) (i32.const 5))
    (call $check (i32.eqz (call $stat (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 4) (i32.const 200))) (i32.const 6))
    (call $check (i64.eq (i64.load (i32.const 224)) (i64.const 18)) (i32.const 7))
    (call $check (i64.eq (i64.load (i32.const 116)) (i64.load (i32.const 216))) (i32.const 8))
    ;; whence: 0 current, 1 end, 2 start
    (call $check (i32.eqz (call $seek (i32.load (i32.const 16)) (i64.const -8) (i32.const 1) (i32.const 32))) (i32.const 9))
    (call $check (i64.eq (i64.load (i32.const 32)) (i64.const 10)) (i32.const 10))
    (call $check (i32.eqz (call $seek (i32.load (i32.const 16)) (i64.const 2) (i32.const 0) (i32.const 32))) (i32.const 11))
    (call $check (i64.eq (i64.load (i32.const 32)) (i64.const 12)) (i32.const 12))
    (call $check (i32.eqz (call $seek (i32.load (i32.const 16)) (i64.const 2) (i32.const 2) (i32.const 32))) (i32.const 13))
    (call $check (i64.eq (i64.load (i32.const 32)) (i64.const 2)) (i32.const 14))
    (call $check (i32.eq (call $seek (i32.load (i32.const 16)) (i64.const 2) (i32.const 3) (i32.const 32)) (i32.const 28)) (i32.const 15))
    ;; two subscriptions of 56 bytes: a clock with one more field in front, a descriptor
    (i64.store (i32.const 400) (i64.const 77))
    (i32.store8 (i32.const 408) (i32.const 0))
    (i64.store (i32.const 416) (i64.const 1234567))
    (i32.store (i32.const 424) (i32.const 1))
    (i64.store (i32.const 432) (i64.const 20000000000))
    (i64.store (i32.const 456) (i64.const 78))
    (i32.store8 (i32.const 464) (i32.const 1))
    (i32.store (i32.const 472) (i32.load (i32.const 16)))
    (call $check (i32.eqz (call $poll (i32.const 400) (i32.const 600) (i32.const 2) (i32.const 36))) (i32.const 16))
    (call $check (i32.eq (i32.load (i32.const 36)) (i32.const 1)) (i32.const 17))
    (call $check (i64.eq (i64.load (i32.const 600)) (i64.const 78)) (i32.const 18))
    (i64.store (i32.const 432) (i64.const 1000))
    (call $check (i32.eqz (call $poll (i32.const 400) (i32.const 600) (i32.const 1) (i32.const 36))) (i32.const 19))
    (call $check (i64.eq (i64.load (i32.const 600)) (i64.const 77)) (i32.const 20))
    (i32.store (i32.const 700) (i32.const 0))
    (i32.store (i32.const 704) (i32.const 4))
    (drop (call $write (i32.const 1) (i32.const 700) (i32.const 1) (i32.const 36)))))
"""


def test_unstable(host: Host, fresh: Callable[[], Path], tmp_path: Path) -> None:
    # Imports come first in a module.
    first = '(import "wasi_unstable" "proc_exit" (func $exit (param i32)))'
    text = UNSTABLE.replace(first, "").replace("(module", f"(module {first}", 1)
    done = host.run(wat(text, tmp_path), options=(f"--dir={fresh()}::/",))
    assert (done.returncode, done.stdout, done.stderr) == (0, b"file", b"")


def test_wrong_signature(jit: Host, tmp_path: Path) -> None:
    text = """(module (import "wasi_snapshot_preview1" "fd_close" (func (param i64) (result i32)))
        (memory (export "memory") 1) (func (export "_start")))"""
    done = jit.run(wat(text, tmp_path))
    assert done.returncode == 65
    assert "fd_close" in done.stderr.decode()


# ---------------------------------------------------------------------------- functions and reactors

FUNCTIONS = """(module
  (import "wasi_snapshot_preview1" "fd_write" (func (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (global $ready (mut i32) (i32.const 0))
  (func (export "_initialize") (global.set $ready (i32.const 42)))
  (func (export "ready") (result i32) (global.get $ready))
  (func (export "nothing"))
  (func (export "i32") (param i32) (result i32) (local.get 0))
  (func (export "i64") (param i64) (result i64) (local.get 0))
  (func (export "f32") (param f32) (result f32) (local.get 0))
  (func (export "f64") (param f64) (result f64) (local.get 0))
  (func (export "many") (param i32 i64 f32 f64) (result f64 f32 i64 i32)
    (local.get 3) (local.get 2) (local.get 1) (local.get 0))
  (func (export "reference") (param externref))
  (func (export "null") (result externref) (ref.null extern))
  (func (export "divide") (param i32 i32) (result i32) (i32.div_s (local.get 0) (local.get 1))))
"""


@pytest.mark.parametrize(
    ("name", "arguments", "results"),
    [
        ("ready", [], ["42"]),
        ("nothing", [], []),
        ("i32", ["-2147483648"], ["-2147483648"]),
        ("i32", ["4294967295"], ["-1"]),
        ("i32", ["0x7fffffff"], ["2147483647"]),
        ("i64", ["-9223372036854775808"], ["-9223372036854775808"]),
        ("i64", ["18446744073709551615"], ["-1"]),
        ("f32", ["0.1"], ["0.1"]),
        ("f32", ["-inf"], ["-inf"]),
        ("f32", ["nan"], ["nan"]),
        ("f64", ["0.1"], ["0.1"]),
        ("f64", ["1e-310"], ["1e-310"]),
        ("f64", ["-0.0"], ["-0.0"]),
        ("many", ["1", "-2", "3.5", "4.25"], ["4.25", "3.5", "-2", "1"]),
        ("null", [], ["null"]),
        ("divide", ["-7", "2"], ["-3"]),
    ],
)
def test_invoke(name: str, arguments: list[str], results: list[str], host: Host, tmp_path: Path) -> None:
    done = host.run(wat(FUNCTIONS, tmp_path), *arguments, options=(f"--invoke={name}",))
    assert done.stderr.decode() == ""
    assert done.stdout.decode().splitlines() == results
    assert done.returncode == 0


@pytest.mark.parametrize(
    ("name", "arguments", "status", "text"),
    [
        ("i32", ["4294967296"], 2, "4294967296 does not fit into i32"),
        ("i32", ["-2147483649"], 2, "does not fit"),
        ("i32", ["1.5"], 2, "'1.5' is not a number of type i32"),
        ("f64", ["one"], 2, "'one' is not a number of type f64"),
        ("i32", [], 2, "i32 takes 1 arguments (i32), not 0"),
        ("nothing", ["1"], 2, "nothing takes 0 arguments"),
        ("reference", ["1"], 2, "a externref cannot be given"),
        ("absent", [], 65, "no exported function 'absent'; there are: _initialize, divide"),
        ("memory", [], 65, "no exported function 'memory'"),
        ("divide", ["1", "0"], -signal.SIGFPE, "trap: integer divide by zero"),
    ],
)
def test_invoke_errors(name: str, arguments: list[str], status: int, text: str, jit: Host, tmp_path: Path) -> None:
    done = jit.run(wat(FUNCTIONS, tmp_path), *arguments, options=(f"--invoke={name}",))
    assert done.returncode == status
    assert text in done.stderr.decode()
    assert done.stdout == b""


def test_a_library_is_no_program(jit: Host, tmp_path: Path) -> None:
    """A reactor, run as a program: said so, with what to do."""
    done = jit.run(wat(FUNCTIONS, tmp_path))
    assert done.returncode == 65
    assert "--invoke" in done.stderr.decode()


def test_invoke_of_a_program(host: Host, guest: Guest) -> None:
    """_start as a function: its exit status passes through."""
    done = host.run(guest("wasicalls"), options=("--invoke=_start",))
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_temporary_directory_under_another_name(jit: Host, guest: Guest) -> None:
    """HOST without ::GUEST keeps its name; two directories are 3 and 4."""
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
        done = jit.run(guest("wasicalls"), "prestat 3\nprestat 4\nmkdir 4 x", options=(f"--dir={one}", f"--dir={two}::/data/two"))
        assert done.stdout.decode().splitlines() == [
            f"prestat 0 short 37 name 0 {one}", "prestat 0 short 37 name 0 /data/two", "mkdir 0",
        ]  # fmt: skip
        assert os.listdir(one) == [] and os.listdir(two) == ["x"]
