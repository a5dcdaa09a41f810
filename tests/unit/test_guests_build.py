# SPDX-License-Identifier: GPL-2.0-only
"""The modules that scripts/build_guests.py makes.  Builds those that are not in the cache."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import build_guests
import pytest
from debian_source import SourceError
from emscripten_env import clang
from guest_cache import default_root, file_inputs
from guest_recipes import PLAIN_PROGRAMS, all_recipes, nginx_link_inputs, program_names
from guest_toolchain import STACK_BYTES
from import_table import invoke_signature, load_table
from wasi_recipes import MissingToolchainError, wasi_program_names

from pywasmjit.wasm.decode import decode
from pywasmjit.wasm.module import FuncType, Module
from pywasmjit.wasm.opcodes import F32, F64, I32, I64

pytestmark = [
    pytest.mark.skipif(shutil.which("emcc") is None, reason="emscripten is not installed"),
    pytest.mark.timeout(1800),  # cold, beside other work, on two cores
]

TESTS = program_names()
POSIX = ["nginx", "lua", "sqlite3", *TESTS]
PLAIN = ["nginx-plain", "hello", *(f"{name}-plain" for name in PLAIN_PROGRAMS)]
# Nothing that Emscripten has defines them: an import that no host knows.
UNKNOWN = {
    "nginx-plain": {
        ("env", name, signature)
        for name, signature in {
            "sigsuspend": "i:i", "initgroups": "i:ii", "getpwnam": "i:i", "getgrnam": "i:i",
        }.items()
    }
}  # fmt: skip


@cache
def builder() -> build_guests.Builder:
    return build_guests.Builder(default_root(), 2, lambda line: print(line, file=sys.stderr))


@cache
def result(name: str) -> Path:
    try:
        return builder().result(name)
    except SourceError as error:
        pytest.skip(f"no Debian sources: {error}")


@cache
def module(name: str) -> Module:
    return decode((result(name) / f"{name}.wasm").read_bytes())


def letters(kind: FuncType) -> str:
    letter = {I32: "i", I64: "I", F32: "f", F64: "d"}
    results = "".join(letter[value] for value in kind.results) or "v"
    return results + ":" + "".join(letter[value] for value in kind.params)


def imports(name: str) -> set[tuple[str, str, str]]:
    found = set()
    for entry in module(name).imports:
        assert entry.kind == "func"
        assert isinstance(entry.type, int)
        found.add((entry.module, entry.name, letters(module(name).types[entry.type])))
    return found


def exports(name: str) -> dict[str, str]:
    return {entry.name: entry.kind for entry in module(name).exports}


@pytest.mark.parametrize("name", [*POSIX, *PLAIN])
def test_imports_are_in_the_table(name: str) -> None:
    table = {entry.key for entry in load_table()}
    unknown = {
        key
        for key in imports(name)
        if key not in table and not (key[0] == "env" and invoke_signature(key[1]) == key[2])
    }
    assert unknown == UNKNOWN.get(name, set())


@pytest.mark.parametrize("name", PLAIN)
def test_plain_modules_know_nothing_of_the_overlay(name: str) -> None:
    """But for what Emscripten leaves to the host when it is told not to fake it: nginx-plain is."""
    foreign = {"OVERLAY"} if name == "nginx-plain" else {"OVERLAY", "STUB"}
    assert imports(name) & {entry.key for entry in load_table() if entry.origin in foreign} == set()


def test_nginx_imports() -> None:
    names = {name for _, name, _ in imports("nginx")}
    assert names >= {"getaddrinfo", "strftime", "fork", "execve", "__syscall_sigaction"}
    assert names >= {
        "__syscall_" + call
        for call in "kill wait4 epoll_ctl epoll_pwait sendfile64 mmap2 getpid setuid32 socketpair".split()
    }


def test_sqlite_imports() -> None:
    """WAL needs shared mappings and locks."""
    assert {"__syscall_mmap2", "__syscall_munmap", "__syscall_fcntl64"} <= {
        name for _, name, _ in imports("sqlite3")
    }


def test_lua_imports() -> None:
    """popen and system are the guest's own, made of these."""
    names = {name for _, name, _ in imports("lua")}
    assert {"fork", "execve", "__syscall_wait4", "__syscall_pipe2"} <= names
    assert "system" not in names


@pytest.mark.parametrize("name", POSIX)
def test_exports(name: str) -> None:
    exported = exports(name)
    assert len(exported) < 25
    assert exported["memory"] == "memory"
    assert exported["__indirect_function_table"] == "table"
    needed = "main malloc free __errno_location __wasm_call_ctors __funcs_on_exit __stdio_exit"
    needed += " stackSave stackRestore stackAlloc"
    for function in needed.split():
        assert exported[function] == "func"
    if any(invoke_signature(imported) for _, imported, _ in imports(name)):
        assert exported["setThrew"] == "func"


@pytest.mark.parametrize("name", POSIX)
def test_no_handler_can_be_sig_ign(name: str) -> None:
    """Table entries 1 and 2 are the overlay's placeholders."""
    first = module(name).elements[0]
    assert first.offset == ("i32.const", 1)
    for kind, index in first.init[:2]:
        assert kind == "ref.func"
        assert module(name).function_name(index).startswith("reserved_")


@pytest.mark.parametrize("name", POSIX)
def test_stack_is_below_the_data(name: str) -> None:
    """Then its end is address zero, and running over it traps."""
    stack_pointer = module(name).globals[0]
    assert stack_pointer.mutable
    assert stack_pointer.init == ("i32.const", STACK_BYTES)
    for segment in module(name).data_segments:
        assert segment.offset is not None
        assert segment.offset[1] >= STACK_BYTES


@pytest.mark.parametrize("name", [*POSIX, *PLAIN])
def test_functions_have_names(name: str) -> None:
    main = next(entry.index for entry in module(name).exports if entry.name == "main")
    assert module(name).function_name(main) in {"main", "__original_main"}
    inner = [
        module(name).function_name(module(name).num_imported_functions + index)
        for index in range(len(module(name).functions))
    ]
    assert {"printf", "fd_write", "__stdio_write", "vsnprintf", "strlen"} & set(inner)


@pytest.mark.parametrize("name", ["nginx", "lua", "sqlite3", "hello", "forkwait"])
def test_valid(name: str) -> None:
    """By another validator than ours."""
    if shutil.which("wasm-validate") is None:
        pytest.skip("wabt is not installed")
    path = result(name) / f"{name}.wasm"
    done = subprocess.run(["wasm-validate", "--enable-threads", str(path)], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_nginx_has_atomics_and_no_paths() -> None:
    data = (result("nginx") / "nginx.wasm").read_bytes()
    # i32.atomic.rmw.cmpxchg: nginx's locks between processes
    assert b"\xfe\x48\x02" in data
    assert str(default_root()).encode() not in data
    assert b"--with-http_v2_module" in data
    features = (result("nginx") / "ngx_auto_config.h").read_text()
    for feature in "EPOLL EVENTFD SENDFILE64 MAP_ANON POSIX_SEM GETADDRINFO GCC_ATOMIC".split():
        assert f"#define NGX_HAVE_{feature}  1" in features


def member_symbols(archive: Path) -> dict[str, dict[str, str]]:
    """Global symbols of each member of an archive: member to name to letter of nm, U if undefined."""
    nm = clang().replace("clang", "llvm-nm")
    done = subprocess.run([nm, "-A", str(archive)], capture_output=True, text=True, check=True)
    members: dict[str, dict[str, str]] = {}
    for line in done.stdout.splitlines():
        where, _, rest = line.rpartition(": ")
        letter, name = rest.split()[-2:]
        if letter.isupper():
            members.setdefault(where.rpartition(":")[2], {})[name] = letter
    return members


def test_overlay_replaces_whole_members() -> None:
    """A member of libc that is replaced in part would bring duplicates.

    So what it defines and the overlay does not may be used only by members
    that are replaced too.
    """
    ours = {
        name
        for symbols in member_symbols(result("overlay") / "lib" / "libwjposix.a").values()
        for name, letter in symbols.items()
        if letter != "U"
    }
    libc = member_symbols(Path("/usr/share/emscripten/cache/sysroot/lib/wasm32-emscripten/libc.a"))
    replaced = {
        member
        for member, symbols in libc.items()
        if any(letter not in "UWV" and name in ours for name, letter in symbols.items())
    }
    assert {"kill.o", "sigaction.o", "library_pthread_stub.o", "emscripten_mmap.o"} <= replaced
    left_out = {
        name
        for member in replaced
        for name, letter in libc[member].items()
        if letter not in "UWV" and name not in ours
    }
    wanted = {
        (member, name)
        for member, symbols in libc.items()
        if member not in replaced
        for name, letter in symbols.items()
        if letter == "U" and name in left_out
    }
    assert wanted == set()


def test_compiler_wrapper(tmp_path: Path) -> None:
    """emcc-posix compiles, links, and still refuses a symbol that nobody defines."""
    compiler = result("overlay") / "bin" / "emcc-posix"
    source = tmp_path / "program.c"
    source.write_text("#include <sys/sendfile.h>\nint raise(int); int main(void) { return raise(9); }\n")
    subprocess.run([compiler, "-c", source, "-o", tmp_path / "program.o"], check=True)
    subprocess.run([compiler, tmp_path / "program.o", "-o", tmp_path / "program"], check=True)
    linked = decode((tmp_path / "program.wasm").read_bytes())
    table = {entry.name for entry in load_table()}
    names = {entry.name for entry in linked.imports}
    assert "__syscall_kill" in names
    assert names <= table

    source.write_text("int no_such_function(void); int main(void) { return no_such_function(); }\n")
    done = subprocess.run(
        [compiler, source, "-o", tmp_path / "bad"], capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "undefined symbol: no_such_function" in done.stderr


@pytest.mark.parametrize("name", ["hello", "overlay"])
def test_key_depends_on_the_inputs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = builder().key(name)
    assert build_guests.Builder(tmp_path, 1, print).key(name) == before
    monkeypatch.setattr(build_guests, "toolchain_versions", lambda: "another emscripten")
    assert build_guests.Builder(tmp_path, 1, print).key(name) != before


def test_keys_differ() -> None:
    keys = []
    for name in all_recipes():
        # Rust and Go are not on every machine.
        with contextlib.suppress(MissingToolchainError):
            keys.append(builder().key(name))
    assert len(set(keys)) == len(keys) > 20


def test_dependants_change_with_the_overlay(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = build_guests.Builder(default_root(), 1, print)
    before = {name: mine.key(name) for name in ("overlay", "nginx", "forkwait", "nginx-plain", "zlib")}
    monkeypatch.setattr(
        build_guests,
        "file_inputs",
        lambda base, patterns: (
            [("guest/src/changed.c", b"")] if "guest/**/*.c" in patterns else file_inputs(base, patterns)
        ),
    )
    for name in ("overlay", "nginx", "forkwait"):
        assert mine.key(name) != before[name]
    for name in ("nginx-plain", "zlib"):
        assert mine.key(name) == before[name]


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert build_guests.main(["--list"]) == 0
    listed = capsys.readouterr().out
    assert all(name in listed for name in ("nginx", "nginx-plain", "lua", "sqlite3", "hello"))
    result("hello")
    assert build_guests.main(["hello", "-o", str(tmp_path)]) == 0
    assert capsys.readouterr().out == f"{tmp_path}/hello.wasm\n"
    assert (tmp_path / "hello.wasm").read_bytes() == (result("hello") / "hello.wasm").read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["hello.wasm"]
    with pytest.raises(SystemExit):
        build_guests.main(["no-such-guest"])


def test_tests_means_all_programs() -> None:
    expanded = build_guests.expand(["tests", "hello", "forkwait"])
    plain = [f"{name}-plain" for name in PLAIN_PROGRAMS]
    assert expanded == [*TESTS, *plain, *wasi_program_names(), "hello"]


def test_link_inputs() -> None:
    recorded = "-o\nobjs/nginx\nobjs/a.o\n-Wl,-E\n-lz\n"
    assert nginx_link_inputs(recorded) == ["objs/a.o", "-lz"]
