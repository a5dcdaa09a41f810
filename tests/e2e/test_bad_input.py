# SPDX-License-Identifier: GPL-2.0-only
"""Bad files, bad directories, bad moments: one clear line, a documented exit code, no traceback."""

from __future__ import annotations

import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pywasmjit import cli, launch
from tests.e2e.conftest import ROOT, Host

NOBODY = 65534
PYTHON = [sys.executable, "-m", "pywasmjit.cli"]
HELLO = b"hello, world\n"
COMMANDS = [["exec", "--host=user"], ["validate"], ["objdump"], ["compile", "-o", "x"]]

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def wat(path: Path, text: str) -> Path:
    """A module from its text form."""
    subprocess.run(["wat2wasm", "--debug-names", "-o", path, "-"], input=text.encode(), check=True)
    return path


@pytest.fixture
def hello(guest: Callable[[str], Path], tmp_path: Path) -> Path:
    """A copy of hello.wasm that everybody may read."""
    path = tmp_path / "hello.wasm"
    shutil.copyfile(guest("hello"), path)
    path.chmod(0o644)
    return path


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own."""
    path = tmp_path / "cache"
    monkeypatch.setenv("PYWASMJIT_CACHE", str(path))
    return path


@pytest.fixture(scope="session")
def for_nobody() -> Iterator[Path]:
    """A copy of package and launcher where nobody can read them: a checkout may be below /root."""
    with tempfile.TemporaryDirectory(prefix="pywasmjit-copy-") as name:
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / "pywasmjit", Path(name) / "pywasmjit", ignore=ignore)
        (Path(name) / "build").mkdir()
        shutil.copy(launch.launcher(), Path(name) / "build" / "pywasmjit-launch")
        for path in (Path(name), *Path(name).rglob("*")):
            path.chmod(path.stat().st_mode | (0o755 if path.is_dir() else 0o444))
        yield Path(name)


def pywasmjit(
    *arguments: object,
    env: dict[str, str | None] | None = None,
    nobody: Path | None = None,
    stdout: int = subprocess.PIPE,
    package: Path = ROOT,
) -> subprocess.CompletedProcess[bytes]:
    """Run the command line; env None removes a variable; nobody: as that user, from this copy."""
    package = nobody or package
    environment = {**os.environ, "PYTHONPATH": str(package), "PYTHONDONTWRITEBYTECODE": "1"}
    for name, value in (env or {}).items():
        environment.pop(name, None)
        if value is not None:
            environment[name] = value
    prefix = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"] if nobody else []
    python = ["/usr/bin/python3", *PYTHON[1:]] if package != ROOT else PYTHON
    return subprocess.run(
        [*prefix, *python, *map(str, arguments)], env=environment, cwd="/", stdin=subprocess.DEVNULL,
        stdout=stdout, stderr=subprocess.PIPE, timeout=120, check=False,
    )


def execute(file: Path, *options: str, **rest: object) -> subprocess.CompletedProcess[bytes]:
    return pywasmjit("exec", "--host=user", *options, file, **rest)  # type: ignore[arg-type]


def refused(done: subprocess.CompletedProcess[bytes], status: int, *words: str) -> None:
    """That exit code, and one line with these words."""
    text = done.stderr.decode()
    assert done.returncode == status, text
    assert text.startswith("pywasmjit: ") and text.count("\n") == 1 and text.endswith("\n"), text
    for word in words:
        assert word in text


# ---------------------------------------------------------------------------- files


@pytest.mark.parametrize("command", COMMANDS)
def test_not_a_file(command: list[str], tmp_path: Path) -> None:
    refused(pywasmjit(*command, tmp_path / "none.wasm"), 66, "none.wasm: No such file or directory")
    refused(pywasmjit(*command, tmp_path), 66, f"{tmp_path}: Is a directory")


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    "data",
    [b"", b"\0", b"\0asm", b"\0asm\2\0\0\0", b"#!/bin/sh\n", b"\x7fELF" + bytes(60), b"\0wjimg\0\1",
     b"\0wjimg\0\1" + bytes(80), b"\0wjimg\0\2" + bytes(80)],
)  # fmt: skip
def test_not_a_module(
    command: list[str], data: bytes, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "bad.wasm"
    file.write_bytes(data)
    if command[0] == "exec":
        refused(pywasmjit(*command, file), 65)
        return
    assert cli.main([*command, str(file)]) == 65
    text = capfd.readouterr().err
    assert text.startswith(f"pywasmjit: {file}: ") and text.count("\n") == 1


@as_root
def test_unreadable(hello: Path, for_nobody: Path) -> None:
    hello.chmod(0o600)
    refused(execute(hello, nobody=for_nobody), 77, f"{hello}: permission denied")


def test_endless() -> None:
    refused(pywasmjit("validate", "/dev/zero"), 65, "/dev/zero: ", "larger than 256 MiB")


def test_truncated(hello: Path, capfd: pytest.CaptureFixture[str]) -> None:
    data = hello.read_bytes()
    for size in [*range(9, 60, 7), len(data) // 2, len(data) - 1]:
        hello.write_bytes(data[:size])
        assert cli.main(["validate", str(hello)]) == 65, size
        text = capfd.readouterr().err
        assert text.startswith(f"pywasmjit: {hello}: malformed module: ") and text.count("\n") == 1
    refused(execute(hello), 65, "malformed module: ", "byte offset 0x")


def test_mutated(hello: Path, cache: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Refused with a reason; what is still valid runs, and ends as guests end."""
    data = hello.read_bytes()
    some = random.Random(20)
    valid = 0
    for _ in range(48):
        mutant = bytearray(data)
        for _ in range(some.choice([1, 1, 2, 8])):
            # Half of them near the beginning: types, imports, functions.
            place = some.randrange(8, some.choice([400, len(data)]))
            mutant[place] = some.choice([0, 1, 0x7F, some.randrange(256)])
        hello.write_bytes(mutant)
        status = cli.main(["validate", str(hello)])
        text = capfd.readouterr().err
        assert status in (0, 65), text
        if status:
            assert text.startswith(f"pywasmjit: {hello}: ") and text.count("\n") == 1
            assert "internal error" not in text
        elif valid < 6:
            valid += 1
            try:
                done = execute(hello)
            except subprocess.TimeoutExpired:
                continue
            assert b"Traceback" not in done.stderr and b"internal error" not in done.stderr
            assert done.returncode in (0, 1, 65, 71) or done.returncode < 0
    assert valid


def test_image_of_another_version(hello: Path, tmp_path: Path) -> None:
    image = tmp_path / "hello.image"
    assert pywasmjit("compile", hello, "-o", image).returncode == 0
    assert execute(image).stdout == HELLO
    data = bytearray(image.read_bytes())
    data[8] ^= 1  # the hash of the instruction set
    image.write_bytes(data)
    refused(execute(image), 65, "compile it again")


# ---------------------------------------------------------------------------- modules

UNKNOWN = """
(module
  (import "env" "frobnicate" (func $unknown (result i32)))
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $sizes (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (func (export "_start")
    (drop (call $sizes (i32.const 0) (i32.const 4)))
    (if (i32.gt_u (i32.load (i32.const 0)) (i32.const 1)) (then (drop (call $unknown))))
    (call $exit (i32.const 3))))
"""


def test_unknown_import(host: Host, tmp_path: Path) -> None:
    """Named when the program starts; a trap only if it is called."""
    file = wat(tmp_path / "unknown.wasm", UNKNOWN)
    done = host.run(file)
    assert done.returncode == 3
    assert done.stderr == b"pywasmjit: unknown import (a trap if it is called): env.frobnicate\n"
    done = host.run(file, "call")
    assert done.returncode == -signal.SIGILL
    assert b"pywasmjit: trap: unknown import\n" in done.stderr


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('(import "wasi_snapshot_preview1" "proc_exit" (func (param i64)))',
         ["signature", "wasi_snapshot_preview1.proc_exit"]),
        ('(import "env" "invoke_vi" (func))', ["signature", "env.invoke_vi"]),
        ('(import "env" "memory" (memory 1))', ["not a function", "env.memory"]),
        ('(memory 1) (func (export "other"))', ["exports neither main nor _start"]),
        ('(memory 1) (global (export "_start") i32 (i32.const 0))', ["exports neither main nor _start"]),
        ('(memory 1) (func (export "_start") (param i32))', ["_start has a wrong type"]),
        ('(memory 1) (func (export "_start") (result i32) (i32.const 0))', ["_start has a wrong type"]),
        ('(memory 1) (func (export "main") (param i32))', ["main has a wrong type"]),
        ('(memory 1) (func (export "main") (param i64 i32) (result i32) (i32.const 0))', ["main has a wrong type"]),
        ('(memory 1) (func (export "main") (result f32) (f32.const 0))', ["main has a wrong type"]),
        ('(memory 1) (func (export "main")) (func (export "_start"))', ["main has a wrong type"]),
        ('(memory 1) (data (i32.const 65536) "x") (func (export "_start"))',
         ["cannot be instantiated: out of bounds"]),
    ],
)  # fmt: skip
def test_module_that_cannot_start(text: str, words: list[str], tmp_path: Path) -> None:
    file = wat(tmp_path / "some.wasm", f"(module {text})")
    image = tmp_path / "some.image"
    refused(execute(file), 65, *words)
    assert pywasmjit("compile", file, "-o", image).returncode == 0
    refused(execute(image), 65, *words)


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ('(func (export "_start"))', 0),
        ('(func (export "main") (result i32) (i32.const 3))', 3),
        ('(func (export "main") (param i32 i32) (result i32) (local.get 0)) (global $p (mut i32) (i32.const 1024))'
         ' (func (export "stackAlloc") (param i32) (result i32) (global.get $p))', 1),
    ],
)  # fmt: skip
def test_entries(text: str, status: int, host: Host, tmp_path: Path) -> None:
    """Each type that an entry may have."""
    done = host.run(wat(tmp_path / "some.wasm", f"(module (memory 1) {text})"))
    assert (done.returncode, done.stderr) == (status, b"")


def test_memory_limit(tmp_path: Path) -> None:
    file = wat(tmp_path / "large.wasm", '(module (memory (export "memory") 32) (func (export "_start")))')
    assert execute(file, "--max-memory=2M").returncode == 0
    refused(execute(file, "--max-memory=1M"), 71, "--max-memory")


# ---------------------------------------------------------------------------- the cache


@as_root
def test_no_home(hello: Path, for_nobody: Path) -> None:
    none = {"HOME": None, "XDG_CACHE_HOME": None, "PYWASMJIT_CACHE": None}
    done = execute(hello, nobody=for_nobody, env=none)
    assert (done.returncode, done.stdout, done.stderr) == (0, HELLO, b"")
    done = pywasmjit("-v", "exec", "--host=user", hello, nobody=for_nobody, env=none)
    assert b"there is no HOME to keep a cache in" in done.stderr


@as_root
def test_read_only_home(hello: Path, tmp_path: Path, for_nobody: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    env = {"HOME": str(home), "XDG_CACHE_HOME": None, "PYWASMJIT_CACHE": None}
    done = pywasmjit("-v", "exec", "--host=user", hello, nobody=for_nobody, env=env)
    assert (done.returncode, done.stdout) == (0, HELLO)
    assert b"image not cached: " in done.stderr and b"Permission denied" in done.stderr
    assert execute(hello, nobody=for_nobody, env=env).stderr == b""


def test_cache_that_others_can_write(hello: Path, cache: Path) -> None:
    cache.mkdir()
    cache.chmod(0o777)
    done = pywasmjit("-v", "exec", "--host=user", hello)
    assert (done.returncode, done.stdout) == (0, HELLO)
    assert b"can be written by others" in done.stderr
    assert not list(cache.iterdir())
    assert execute(hello).stderr == b""


def test_cached_file_that_others_can_write(hello: Path, cache: Path) -> None:
    assert execute(hello).stdout == HELLO
    (file,) = cache.iterdir()
    file.chmod(0o666)
    done = pywasmjit("-v", "exec", "--host=user", hello)
    assert done.stdout == HELLO and b"can be written by others" in done.stderr
    assert file.stat().st_mode & 0o777 == 0o644


def test_damaged_cache(hello: Path, cache: Path) -> None:
    assert execute(hello).stdout == HELLO
    (file,) = cache.iterdir()
    whole = file.read_bytes()
    for damaged in (b"", whole[:40], whole[:-1]):
        file.write_bytes(damaged)
        done = pywasmjit("-v", "exec", "--host=user", hello)
        assert done.stdout == HELLO and b"is damaged" in done.stderr
        assert file.read_bytes() == whole
    assert b"from the cache" in pywasmjit("-v", "exec", "--host=user", hello).stderr


@pytest.fixture
def full(tmp_path: Path) -> Iterator[Path]:
    """A file system with one page of room."""
    if os.geteuid():
        pytest.skip("mounting needs root")
    place = tmp_path / "full"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=4k,mode=755", "pywasmjit-test", str(place)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {done.stderr.strip()}")
    yield place
    subprocess.run(["umount", place], check=True)


def test_full_disk(hello: Path, full: Path) -> None:
    done = pywasmjit("-v", "exec", "--host=user", hello, env={"PYWASMJIT_CACHE": str(full)})
    assert (done.returncode, done.stdout) == (0, HELLO)
    assert b"image not cached: " in done.stderr and b"No space left on device" in done.stderr
    assert not list(full.iterdir())
    refused(pywasmjit("compile", hello, "-o", full / "x"), 73, f"{full}/x: No space left on device")
    assert not list(full.iterdir())


def test_file_size_limit(hello: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Like a full disk, without root."""
    target = tmp_path / "x.image"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        status = cli.main(["compile", str(hello), "-o", str(target)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert status == 73 and f"{target}: File too large" in capfd.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["hello.wasm"]


def test_two_at_once(hello: Path, cache: Path) -> None:
    command = [*PYTHON, "-v", "exec", "--host=user", str(hello)]
    both = [
        subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(2)
    ]
    assert [process.communicate(timeout=120)[0] for process in both] == [HELLO, HELLO]
    assert len(list(cache.iterdir())) == 1
    assert b"from the cache" in pywasmjit("-v", "exec", "--host=user", hello).stderr


# ---------------------------------------------------------------------------- compile


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A module that takes seconds to lower, in several processes."""
    body = "".join(
        f"(local.set 0 (i32.add (i32.mul (local.get 0) (i32.const {i + 2})) (i32.load (local.get 1))))"
        for i in range(60)
    )
    function = f"(func (param i32 i32) (result i32) {body} (local.get 0))"
    file = tmp_path_factory.mktemp("large") / "large.wasm"
    return wat(file, f'(module (memory 1) {function * 400} (func (export "_start")))')


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_ended_while_compiling(how: signal.Signals, large: Path, tmp_path: Path) -> None:
    """As from a terminal: all processes get the signal."""
    target = tmp_path / "large.image"
    command = [*PYTHON, "-v", "compile", str(large), "-o", str(target)]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, start_new_session=True)
    assert process.stderr is not None
    for line in process.stderr:
        if b"validated" in line:
            break
    os.killpg(process.pid, how)
    rest = process.stderr.read()
    assert process.wait(60) == (130 if how == signal.SIGINT else -how)
    assert rest == b""
    assert not list(tmp_path.iterdir())


def test_compile_to_nowhere(hello: Path, tmp_path: Path) -> None:
    refused(pywasmjit("compile", hello, "-o", tmp_path), 73, "Is a directory")
    refused(pywasmjit("compile", hello, "-o", tmp_path / "none" / "x"), 73, "no such directory")
    refused(pywasmjit("compile", hello, "-o", hello), 2, "would replace the wasm file")
    assert pywasmjit("compile", hello, "-o", "/dev/null").returncode == 0
    assert Path("/dev/null").is_char_device()


def test_compile_an_image(hello: Path, tmp_path: Path) -> None:
    image = tmp_path / "x"
    assert pywasmjit("compile", hello, "-o", image).returncode == 0
    refused(pywasmjit("compile", image, "-o", tmp_path / "y"), 65, "an image already")


# ---------------------------------------------------------------------------- around it


def test_launcher_is_missing(hello: Path, tmp_path: Path) -> None:
    refused(execute(hello, env={"PYWASMJIT_LAUNCHER": "/none"}), 69, "$PYWASMJIT_LAUNCHER is /none")
    shutil.copytree(ROOT / "pywasmjit", tmp_path / "copy" / "pywasmjit", ignore=shutil.ignore_patterns("bin"))
    done = execute(hello, package=tmp_path / "copy", env={"PYWASMJIT_LAUNCHER": None})
    refused(done, 69, "(pywasmjit-launch) is not built: run `make launcher`")


@pytest.mark.skipif(Path("/dev/wasm").exists(), reason="the kernel module is loaded")
def test_kernel_is_missing(hello: Path) -> None:
    refused(pywasmjit("exec", "--host=kernel", hello), 69, "/dev/wasm does not exist", "insmod")
    done = pywasmjit("exec", hello)
    assert (done.returncode, done.stdout) == (0, HELLO)
    assert done.stderr.startswith(b"pywasmjit: running in user space: ")


@pytest.mark.parametrize(
    "arguments",
    [[], ["bogus"], ["exec"], ["exec", "--bogus", "x"], ["exec", "--host=moon", "x"],
     ["exec", "--env=x", "x"], ["exec", "--max-memory=1X", "x"], ["compile", "x"], ["objdump"],
     ["validate", "x", "y"], ["exec", ""], ["compile", "", "-o", "x"], ["compile", "x", "-o", ""], ["validate", ""],
     ["objdump", ""], ["wast", ""], ["vm"], ["vm", "run", "--timeout=-5", "--", "true"],
     ["vm", "run", "--timeout=nan", "--", "true"], ["vm", "run", "--kernel=2.4", "--", "true"], ["vm", "fetch", "2.4"]],
)  # fmt: skip
def test_wrong_command_line(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as found:
        cli.main(arguments)
    assert found.value.code == 2
    text = capsys.readouterr().err
    assert text.startswith("pywasmjit: ") and text.endswith("--help`\n") and text.count("\n") == 1


@pytest.mark.parametrize("words", [["-v", "COMMAND"], ["COMMAND", "-v"], ["COMMAND", "--verbose"]])
def test_verbose(words: list[str], hello: Path, cache: Path, tmp_path: Path) -> None:
    """Phases and times, wherever the option stands; behind the file it is the guest's."""
    for command, phases in [
        (["exec", "--host=user"], ["decoded", "validated", "lowered", "user host"]),
        (["compile", "-o", tmp_path / "x"], ["decoded", "validated", "lowered", "written"]),
        (["validate"], ["decoded", "validated"]),
    ]:
        place = words.index("COMMAND")
        done = pywasmjit(*words[:place], command[0], *words[place + 1 :], *command[1:], hello)
        text = done.stderr.decode()
        assert done.returncode == 0
        for phase in phases:
            assert re.search(rf"^pywasmjit: +\d+\.\d{{3}} s: .*{phase}", text, re.MULTILINE), text
    assert pywasmjit("exec", "--host=user", hello, "-v").stderr == b""


def test_counters_that_cannot_be_written(hello: Path) -> None:
    refused(execute(hello, "--stats=/none/stats"), 73, "/none/stats: No such file or directory")


def test_bad_scripts(tmp_path: Path) -> None:
    script = tmp_path / "bad.wast"
    refused(pywasmjit("wast", script), 66, f"{script}: No such file or directory")
    refused(pywasmjit("wast", tmp_path), 66, f"{tmp_path}: not a regular file")
    script.write_text("(module")
    refused(pywasmjit("wast", script), 65, f"{script}:1:", "unexpected token")


@pytest.mark.parametrize("arguments", [["--help"], ["objdump"]])
def test_nobody_reads(arguments: list[str], hello: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    files = [hello] if arguments == ["objdump"] else []
    try:
        done = pywasmjit(*arguments, *files, stdout=write)
    finally:
        os.close(write)
    assert (done.returncode, done.stderr) == (141, b"")


def test_output_does_not_fit(hello: Path) -> None:
    with open("/dev/full", "wb") as full:
        refused(pywasmjit("objdump", hello, stdout=full.fileno()), 73, "No space left on device")


def test_guest_whose_output_nobody_reads(hello: Path) -> None:
    """Python ignores SIGPIPE; the guest does not."""
    read, write = os.pipe()
    os.close(read)
    try:
        assert execute(hello, stdout=write).returncode == -signal.SIGPIPE
    finally:
        os.close(write)


def test_bug(hello: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """What nobody thought of is one line, too; -v has the traceback."""

    def fail(path: Path) -> bytes:
        raise ZeroDivisionError("of all\nthings")

    monkeypatch.setattr("pywasmjit.launch.read_file", fail)
    assert cli.main(["validate", str(hello)]) == 70
    text = capsys.readouterr().err
    assert text.startswith("pywasmjit: internal error: ZeroDivisionError: of all things (`pywasmjit -v`")
    assert text.count("\n") == 1
    assert cli.main(["-v", "validate", str(hello)]) == 70
    assert "Traceback" in capsys.readouterr().err


def test_kernel_host_has_no_interpreter(guest: Callable[[str], Path]) -> None:
    """The engine is never swapped silently."""
    done = subprocess.run(
        [sys.executable, "-m", "pywasmjit.cli", "exec", "--host=kernel", "--engine=interp", str(guest("hello"))],
        capture_output=True, text=True, cwd=ROOT, check=False,
    )
    assert done.returncode == 2 and "no interpreter" in done.stderr
