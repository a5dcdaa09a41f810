# SPDX-License-Identifier: GPL-2.0-only
"""Programs that Rust's and Go's own compilers made for WASI: the output of their native builds, and of wasmtime.

Without a toolchain (wasi_recipes.py says which) a test skips and says what to install.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import socket
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from wasi_recipes import MissingToolchainError

from tests.e2e import reference
from tests.e2e.conftest import Host, wait_until
from tests.e2e.test_wasi import free_port

Guest = Callable[[str], Path]


@pytest.fixture
def program(guest: Guest) -> Guest:
    """A guest, or a skip with the reason: no toolchain."""

    def find(name: str) -> Path:
        try:
            return guest(name)
        except MissingToolchainError as error:
            pytest.skip(str(error))

    return find


def native(module: Path) -> Path:
    """The same source, built for this machine."""
    return module.with_name("native")


@pytest.mark.parametrize("name", ["rust-hello", "go-hello"])
def test_hello(name: str, host: Host, program: Guest) -> None:
    module = program(name)
    arguments = ["one", "two words", "drei"]
    env = {"WJ_STATUS": "7"}
    expected = subprocess.run([native(module), *arguments], env=env, capture_output=True, check=False)
    done = host.run(module, *arguments, options=("--env=WJ_STATUS=7",), timeout=200)
    assert done.stderr == b""
    assert (done.returncode, done.stdout) == (7, expected.stdout) == (expected.returncode, expected.stdout)
    assert reference.run(module, *arguments, environment=env) == (7, expected.stdout)
    host.assert_engine()


def corpus(top: Path) -> None:
    """A few hundred text files, always the same, 1.5 MB."""
    state = b"corpus"
    for i in range(120):
        directory = top / f"d{i % 7}" / f"e{i % 5}"
        directory.mkdir(parents=True, exist_ok=True)
        lines = []
        for j in range(200):
            state = hashlib.sha256(state).digest()
            lines.append(f"{j}: {state.hex()[: 20 + state[0] % 40]} {'Needle' if state[1] < 4 else 'straw'} ä")
        (directory / f"f{i}.txt").write_text("\n".join(lines) + "\n")


@pytest.mark.long
@pytest.mark.parametrize(
    "arguments",
    [["needle", "."], ["-i", "needle", "."], ["-c", "[0-9a-f]{3}7+ straw", "d1", "d2"], ["-v", "straw", "."],
     ["(", "."], ["nothing at all", "."], ["Needle", "absent", "d3"], ["--help"]],
    ids=" ".join,
)  # fmt: skip
def test_rust_grep(arguments: list[str], host: Host, program: Guest, tmp_path: Path) -> None:
    module = program("rust-grep")
    corpus(tmp_path)
    expected = subprocess.run([native(module), *arguments], cwd=tmp_path, capture_output=True, check=False)
    done = host.run(module, *arguments, options=("--dir=.",), cwd=tmp_path, timeout=200)
    # clap shows the program's name as it was called.
    assert done.stdout.replace(b"rust-grep.wasm", b"native") == expected.stdout
    assert done.returncode == expected.returncode
    assert len(done.stderr.splitlines()) == len(expected.stderr.splitlines())
    host.assert_engine()


def json_files(top: Path) -> None:
    """A dozen, always the same."""
    state = b"json"
    for i in range(12):
        directory = top / f"d{i % 3}"
        directory.mkdir(parents=True, exist_ok=True)
        members = {}
        for j in range(100):
            state = hashlib.sha256(state).digest()
            members[state.hex()[:9]] = [j, state[0] / 7, None, {"key": f"{state.hex()} ü"}, state[1] < 128]
        (directory / f"{i}.json").write_text(json.dumps(members))


@pytest.mark.long
def test_go_jsontool(host: Host, program: Guest, tmp_path: Path) -> None:
    module = program("go-jsontool")
    for name in ("ours", "theirs", "native"):
        json_files(tmp_path / name)
    expected = subprocess.run([native(module), "."], cwd=tmp_path / "native", capture_output=True, check=True)
    assert expected.stdout.startswith(b"d0/0.json ") and b"12 files" in expected.stdout
    done = host.run(module, "/data", options=(f"--dir={tmp_path / 'ours'}::/data",), timeout=250)
    assert done.stderr.decode() == ""
    assert done.stdout.replace(b"/data/", b"") == expected.stdout
    for path in sorted((tmp_path / "native").rglob("*.gz")):
        made = tmp_path / "ours" / path.relative_to(tmp_path / "native")
        assert made.read_bytes() == path.read_bytes()
    status, output = reference.run(module, "/data", directories=[(tmp_path / "theirs", "/data")])
    assert (status, output) == (0, done.stdout)
    host.assert_engine()


def fetch(port: int, path: str, body: bytes | None = None) -> bytes:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", body, timeout=60) as answer:
        data = answer.read()
        assert answer.status == 200 and isinstance(data, bytes)
        return data


def answers(port: int) -> bool:
    try:
        fetch(port, "/up")
    except (urllib.error.URLError, OSError):
        return False
    return True


def keep_alive(port: int, requests: int) -> None:
    """Many requests on one connection, each answer checked."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as client:
        stream = client.makefile("rb")
        for i in range(requests):
            client.sendall(f"GET /number/{i} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            assert stream.readline().split()[1] == b"200"
            length = 0
            while (line := stream.readline()) not in (b"\r\n", b""):
                name, _, value = line.partition(b":")
                if name.lower() == b"content-length":
                    length = int(value)
            assert stream.read(length) == f"hello from /number/{i}\n".encode()


def descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def resident(pid: int) -> int:
    """KiB."""
    return next(
        int(line.split()[1])
        for line in Path(f"/proc/{pid}/status").read_text().splitlines()
        if line.startswith("VmRSS")
    )


@pytest.mark.parametrize(
    ("name", "clients", "suffix"),
    [("rust-server", 1, ""), pytest.param("go-server", 10, ",nonblock", marks=pytest.mark.long)],
)
def test_server(name: str, clients: int, suffix: str, jit: Host, program: Guest) -> None:
    """10,000 requests; afterwards it has as many descriptors, and hardly more memory, than before."""
    module, port = program(name), free_port()
    process = jit.start(module, options=(f"--tcplisten=127.0.0.1:{port}{suffix}",))
    wait_until(lambda: process.poll() is not None or answers(port), "the server answers", 280)
    body = os.urandom(300_000)
    assert fetch(port, "/echo", body) == body
    for _ in range(3):
        keep_alive(port, 200)
    before, memory = descriptors(process.pid), resident(process.pid)
    with ThreadPoolExecutor(clients) as pool:
        for outcome in [pool.submit(keep_alive, port, 10_000 // clients) for _ in range(clients)]:
            outcome.result()
    wait_until(lambda: descriptors(process.pid) <= before, "connections are closed")
    assert resident(process.pid) < memory + 32_000
    # Who goes away in the middle harms nobody.
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(b"GET / HT")
    assert fetch(port, "/after") == b"hello from /after\n"
    threading.Thread(target=lambda: answers_quit(port), daemon=True).start()
    assert process.wait(20) == 0
    jit.assert_engine()


def answers_quit(port: int) -> None:
    with contextlib.suppress(urllib.error.URLError, OSError):
        fetch(port, "/quit")
