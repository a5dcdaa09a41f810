# SPDX-License-Identifier: GPL-2.0-only
"""Host functions of Emscripten's ABI, asked for what no C library asks for."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.e2e.conftest import Host

EFAULT, EINVAL, ENOPROTOOPT = -21, -28, -50  # of WASI's numbering, which is the guest's


def module(directory: Path, imports: str, body: str, memory: int = 1) -> Path:
    """A program of these instructions; what they leave is its exit status."""
    path = directory / "hostile.wasm"
    text = f'(module {imports} (memory (export "memory") {memory}) (func (export "main") (result i32) {body}))'
    subprocess.run(["wat2wasm", "-o", path, "-"], input=text.encode(), check=True)
    return path


def function(name: str, parameters: int, module: str = "env", result: str = "(result i32)") -> str:
    return f'(import "{module}" "{name}" (func ${name} (param {"i32 " * parameters}) {result}))'


def answers(host: Host, directory: Path, imports: str, call: str, expected: int) -> None:
    """The call returns what is expected, a small negative number."""
    done = host.run(module(directory, imports, f"(i32.sub (i32.const 0) {call})"))
    assert (done.returncode, done.stderr) == (-expected, b"")


def test_a_console_line_without_end_is_cut(host: Host, tmp_path: Path) -> None:
    """Not searched through all of memory, which takes a while and may wrap around."""
    imports = function("_emscripten_out", 1, result="")
    fill = "(memory.fill (i32.const 16) (i32.const 120) (i32.const 4194288))"
    done = host.run(
        module(tmp_path, imports, f"{fill} (call $_emscripten_out (i32.const 16)) (i32.const 0)", 64)
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == b"x" * 65536 + b"\n"


def test_socket_options_that_hold_pointers(host: Host, tmp_path: Path) -> None:
    """The kernel would take them for addresses of the process, not of linear memory."""
    imports = function("__syscall_socket", 6) + function("__syscall_getsockopt", 6)
    imports += function("__syscall_setsockopt", 6)
    socket = "(call $__syscall_socket (i32.const 2) (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))"
    for call, level, name in (
        ("get", 6, 35), ("set", 1, 26), ("set", 1, 51), ("get", 0, 64), ("set", 263, 22), ("set", 276, 1),
    ):  # fmt: skip
        rest = f"(i32.const {level}) (i32.const {name}) (i32.const 64) (i32.const 32) (i32.const 0)"
        answers(host, tmp_path, imports, f"(call $__syscall_{call}sockopt {socket} {rest})", ENOPROTOOPT)


def test_children_have_all_of_linear_memory(host: Host, tmp_path: Path) -> None:
    """A hole in it would be filled with what the process maps next."""
    imports = function("__syscall_madvise", 3)
    call = "(call $__syscall_madvise (i32.const 0) (i32.const 65536) (i32.const 10))"  # MADV_DONTFORK
    answers(host, tmp_path, imports, call, EINVAL)


def test_arrays_of_arguments_without_end(host: Host, tmp_path: Path) -> None:
    """Two million pointers are too many; they are not gone through to the last."""
    imports = function("execve", 3)
    fill = "(memory.fill (i32.const 0) (i32.const 1) (i32.const 8388608))"
    call = "(call $execve (i32.const 0) (i32.const 0) (i32.const 0))"
    done = host.run(module(tmp_path, imports, f"{fill} (i32.eq (i32.const -1) {call})", 128))
    assert (done.returncode, done.stderr) == (1, b"")
