# SPDX-License-Identifier: GPL-2.0-only
"""WASI programs in ring 0: the calls, the escapes and the servers of tests/e2e/test_wasi*.py."""

from __future__ import annotations

import contextlib
import shlex
import subprocess
import tarfile
from pathlib import Path

import pytest
from ring0 import HERE, LAUNCHER, Ring0, module_file
from wasi_recipes import MissingToolchainError

from pywasmjit import launch
from tests.e2e import test_wasi, test_wasi_escape, test_wasi_languages, test_wasi_numbers

SERVE = """
import os, socket, sys, time, urllib.request
listener = socket.create_server(("127.0.0.1", 0))
port = listener.getsockname()[1]
listener.setblocking("go-" not in sys.argv[-1])  # Go polls: an accept that waits would stop all it does
os.dup2(listener.fileno(), 9)
child = os.fork()
if not child:
    listener.close()
    os.execv(sys.argv[1], sys.argv[1:])
listener.close()
os.close(9)
url = f"http://127.0.0.1:{port}"
print(urllib.request.urlopen(url + "/page").read().decode().strip())
body = os.urandom(100000)
assert urllib.request.urlopen(url + "/echo", body).read() == body
before = len(os.listdir(f"/proc/{child}/fd"))
client = socket.create_connection(("127.0.0.1", port))
stream = client.makefile("rb")
for i in range(int(os.environ["REQUESTS"])):
    client.sendall(f"GET /{i} HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n".encode())
    assert b" 200 " in stream.readline()
    length = 0
    while (line := stream.readline().lower()) != b"\\r\\n":
        if line.startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    assert stream.read(length) == f"hello from /{i}\\n".encode()
stream.close()
client.close()
print(urllib.request.urlopen(url + "/after").read().decode().strip())
end = time.monotonic() + 60  # it closes a connection a moment after its client does
while (more := len(os.listdir(f"/proc/{child}/fd")) - before) > 0 and time.monotonic() < end:
    time.sleep(0.05)
print(max(more, 0), "more descriptors")
try:
    urllib.request.urlopen(url + "/quit")
except OSError:
    pass
print("status", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def there(ring0: Ring0, tmp_path: Path, names: list[str]) -> None:
    """Put trees that were made here into the machine, under the same absolute names."""
    archive = tmp_path / "tree.tar"
    with tarfile.open(archive, "w") as tar:
        for name in names:
            tar.add(tmp_path / name)
    copied = ring0.machine.copy_in(archive, HERE)
    ring0.machine.run(f"mkdir -p {tmp_path} && tar -C / -xf {copied} && rm {copied}", check=True)


def command(ring0: Ring0, guest: str, *arguments: str, directories: list[tuple[str, str]]) -> str:
    """A command line for the shell, which opens the directories."""
    opened = "".join(f" {20 + i}<{shlex.quote(host)}" for i, (host, _) in enumerate(directories))
    options = tuple(f"--setting=dir={20 + i}:{name}" for i, (_, name) in enumerate(directories))
    return f"exec {shlex.join(ring0.command(guest, *arguments, options=options))}{opened}"


@pytest.mark.parametrize("name", ["file", "open", "paths", "readdir", "poll", "renumber"])
def test_the_same_in_both_hosts(ring0: Ring0, name: str, tmp_path: Path) -> None:
    """tests/e2e compares the user-space host with wasmtime; here both hosts are compared."""
    script = test_wasi.lines(test_wasi.SAME_AS_WASMTIME[name])
    tops = [tmp_path / "one", tmp_path / "two"]
    for top in tops:
        top.mkdir()
        test_wasi.fill(top)
    there(ring0, tmp_path, ["one", "two"])
    texts = []
    for host, top in zip(("kernel", "user"), tops, strict=True):
        line = command(ring0, "wasicalls", script, directories=[(str(top), "/")])
        result = ring0.machine.run(["bash", "-c", line.replace("--host=kernel", f"--host={host}")])
        assert result.status == 0
        texts.append(result.text)
    assert texts[0] == texts[1]
    assert len(texts[0].splitlines()) == len(script.splitlines())


@pytest.mark.parametrize("name", test_wasi.STATED)
def test_stated(ring0: Ring0, name: str, tmp_path: Path) -> None:
    commands, answers = zip(
        *(line.split(" =>") for line in test_wasi.lines(test_wasi.STATED[name]).splitlines()), strict=True
    )
    top = tmp_path / "top"
    top.mkdir()
    test_wasi.fill(top)
    there(ring0, tmp_path, ["top"])
    line = command(ring0, "wasicalls", "\n".join(commands), directories=[(str(top), "/")])
    result = ring0.machine.run(["bash", "-c", line])
    found = [text.rstrip() for text in result.text.splitlines()]
    assert found == [command.split()[0] + answer for command, answer in zip(commands, answers, strict=True)]


def test_escapes(ring0: Ring0, tmp_path: Path) -> None:
    test_wasi_escape.make_tree(tmp_path)
    there(ring0, tmp_path, ["in", "in2", "out"])
    state = f"cd {tmp_path} && find in in2 out -printf '%p %i %m %n %U %T@ %C@ %l\\n' | sort && cat out/secret in/file"
    before = ring0.machine.run(state, check=True).text
    attempts = test_wasi_escape.ATTEMPTS
    line = command(
        ring0, "wasicalls", test_wasi_escape.commands(attempts, tmp_path),
        directories=[(f"{tmp_path}/in", "/"), (f"{tmp_path}/in2", "/two"), ("/proc", "/proc")],
    )  # fmt: skip
    calls = ring0.totals()
    script = tmp_path / "attempts"
    script.write_text(line)
    result = ring0.machine.run(["bash", ring0.machine.copy_in(script, HERE)])
    test_wasi_escape.check(attempts, result.text.encode())
    assert ring0.machine.run(state, check=True).text == before
    assert ring0.totals()["host_calls"] - calls["host_calls"] > len(attempts)  # in ring 0, that is


def test_numbers(ring0: Ring0, tmp_path: Path) -> None:
    """Lengths, counts and offsets that no C library would pass."""
    module, image = tmp_path / "numbers.wasm", tmp_path / "numbers.img"
    module.write_bytes(test_wasi_numbers.module())
    image.write_bytes(launch.lower(module.read_bytes(), lambda text: None))
    (tmp_path / "top").mkdir()
    there(ring0, tmp_path, ["top", module.name, image.name])
    line = [LAUNCHER, "--host=kernel", "--setting=dir=20:/", f"--image={image}", f"--wasm={module}", "--", "numbers"]
    result = ring0.machine.run(["bash", "-c", f"{shlex.join(line)} 20<{tmp_path}/top | od -An -v -tu4 -w4"])
    found = [int(word) for word in result.text.split()]
    assert found == [errno for _, _, errno in test_wasi_numbers.CALLS]


@pytest.mark.parametrize(("number", "status"), [(6, 128 + 6), (9, 128 + 9), (15, 128 + 15)])
def test_proc_raise(ring0: Ring0, number: int, status: int) -> None:
    assert ring0.run("wasicalls", f"raise {number}").status == status


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", ["rust-hello", pytest.param("go-hello", marks=pytest.mark.long)])
def test_hello(ring0: Ring0, name: str) -> None:
    try:
        result = ring0.machine.run(ring0.command(name, "one", "two words", options=("--setting=env=WJ_STATUS=7",)), 120)
    except MissingToolchainError as error:
        pytest.skip(str(error))
    assert result.text.startswith("hello, world\nargument 1: one\nargument 2: two words\n")
    assert result.status == 7


@pytest.mark.long
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(
    "arguments",
    [["-i", "needle", "."], ["-c", "[0-9a-f]{3}7+ straw", "d1", "d2"], ["-v", "straw", "."], ["nothing at all", "."]],
    ids=" ".join,
)  # fmt: skip
def test_rust_grep(ring0: Ring0, arguments: list[str], tmp_path: Path) -> None:
    try:
        native = module_file("rust-grep").with_name("native")
    except MissingToolchainError as error:
        pytest.skip(str(error))
    top = tmp_path / "top"
    test_wasi_languages.corpus(top)
    there(ring0, tmp_path, ["top"])
    expected = subprocess.run([native, *arguments], cwd=top, capture_output=True, text=True, check=False)
    result = ring0.machine.run(["bash", "-c", command(ring0, "rust-grep", *arguments, directories=[(str(top), ".")])], 120)
    assert (result.status, result.text) == (expected.returncode, expected.stdout)


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_go_jsontool(ring0: Ring0, tmp_path: Path) -> None:
    try:
        native = module_file("go-jsontool").with_name("native")
    except MissingToolchainError as error:
        pytest.skip(str(error))
    test_wasi_languages.json_files(tmp_path / "native")
    test_wasi_languages.json_files(tmp_path / "top")
    there(ring0, tmp_path, ["top"])
    expected = subprocess.run([native, "."], cwd=tmp_path / "native", capture_output=True, text=True, check=True)
    sums = "find . -name '*.gz' | sort | xargs sha256sum"
    compressed = subprocess.run(sums, shell=True, cwd=tmp_path / "native", capture_output=True, text=True, check=True)
    assert len(compressed.stdout.splitlines()) == 12
    with ring0.pool(32):
        line = command(ring0, "go-jsontool", "/data", directories=[(f"{tmp_path}/top", "/data")])
        result = ring0.machine.run(["bash", "-c", line], 200)
    assert (result.status, result.text.replace("/data/", "")) == (0, expected.stdout)
    assert ring0.machine.run(f"cd {tmp_path}/top && {sums}", check=True).text == compressed.stdout


@pytest.mark.timeout(1200)  # Go's is lowered, and a module with room for it built
@pytest.mark.parametrize(
    ("name", "requests"), [("rust-server", 10_000), pytest.param("go-server", 10_000, marks=pytest.mark.long)]
)
def test_server(ring0: Ring0, name: str, requests: int) -> None:
    try:
        line = ring0.command(name, options=("--setting=listen=9",))
    except MissingToolchainError as error:
        pytest.skip(str(error))
    # Machine code of Go's is 10.5 MB, which is more than the module usually has room for.
    with ring0.pool(32) if name == "go-server" else contextlib.nullcontext():
        before = ring0.totals()
        result = ring0.machine.run(["python3", "-c", SERVE, *line], 280, env={"REQUESTS": str(requests)})
        expected = ["hello from /page", "hello from /after", "0 more descriptors", "status 0"]
        assert result.text.splitlines() == expected
        assert ring0.totals()["host_calls"] - before["host_calls"] > 2 * requests
