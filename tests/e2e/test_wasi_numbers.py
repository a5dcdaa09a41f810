# SPDX-License-Identifier: GPL-2.0-only
"""WASI calls with numbers that no C library would pass: lengths, counts, offsets, cookies, descriptors."""

from __future__ import annotations

import re
import struct
from pathlib import Path

import wasmtime

from tests.e2e.conftest import Host

SIGNATURES = dict(
    re.findall(
        r'^WASI\((\w+), "i:(\w*)"',
        (Path(__file__).parents[2] / "kmod" / "host" / "wasi.def").read_text(),
        re.MULTILINE,
    )
)
BADF, FAULT, FBIG, INVAL, NAMETOOLONG, NOTCAPABLE = 8, 21, 22, 28, 37, 76
LOW, HIGH, MANY = 1 << 63, (1 << 63) - 1, 0xFFFFFFFF
ALL = 0x3FFFFFFF
# 64 KiB of memory: "file" at 64, at 256 a vector of 16 bytes at 512; 8 is for results, 1024 on is free.
CALLS: list[tuple[str, list[int], int]] = [
    ("path_open", [3, 0, 64, 4, 1, ALL, 0, 0, 8], 0),  # descriptor 4
    ("fd_write", [4, 256, MANY, 8], INVAL),
    ("fd_write", [4, 256, 1025, 8], INVAL),
    ("fd_write", [4, 0xFFFC, 2, 8], FAULT),
    ("fd_write", [4, 0xFFFFFFF8, 1, 8], FAULT),
    ("fd_read", [4, 256, MANY, 8], INVAL),
    ("fd_pread", [4, 256, 1, MANY << 32 | MANY, 8], INVAL),
    ("fd_pwrite", [4, 256, 1, LOW, 8], INVAL),
    ("fd_allocate", [4, LOW, 1], INVAL),
    ("fd_allocate", [4, 0, LOW], INVAL),
    ("fd_allocate", [4, HIGH, HIGH], FBIG),
    ("fd_filestat_set_size", [4, LOW], INVAL),
    ("fd_advise", [4, 0, LOW, 0], INVAL),
    ("fd_seek", [4, LOW, 0, 8], INVAL),
    ("fd_seek", [4, 0, MANY, 8], INVAL),
    ("fd_seek", [4, 0, 0, 0xFFFC], FAULT),
    ("fd_readdir", [3, 1024, 0, 0, 8], 0),
    ("fd_readdir", [3, 1024, 100, LOW, 8], INVAL),
    ("fd_readdir", [3, 1024, MANY, 0, 8], FAULT),
    ("path_open", [3, 0, 64, MANY, 0, ALL, 0, 0, 8], NAMETOOLONG),
    ("path_open", [3, 0, 64, 4096, 0, ALL, 0, 0, 8], NAMETOOLONG),
    ("path_open", [3, 0, 0xFFFE, 4, 0, ALL, 0, 0, 8], FAULT),
    ("path_open", [3, 0, 64, 4, 0, ALL, 0, 0, 0xFFFE], FAULT),
    ("path_open", [MANY, 0, 64, 4, 0, ALL, 0, 0, 8], BADF),
    ("path_rename", [3, 64, 4, 3, 64, MANY], NAMETOOLONG),
    ("path_symlink", [64, MANY, 3, 64, 4], NAMETOOLONG),
    ("path_readlink", [3, 64, 4, 0xFFFFFFF0, MANY, 8], INVAL),
    ("poll_oneoff", [1024, 1024, 0, 8], INVAL),
    ("poll_oneoff", [1024, 1024, 4097, 8], INVAL),
    ("poll_oneoff", [1024, 1024, MANY, 8], INVAL),
    ("poll_oneoff", [0xFFF0, 1024, 1, 8], FAULT),
    ("random_get", [0xFFF8, 16], FAULT),
    ("random_get", [0xFFFF, MANY], FAULT),
    ("fd_renumber", [4, MANY], BADF),
    ("fd_renumber", [MANY, 4], BADF),
    ("fd_renumber", [4, 4], 0),
    ("fd_close", [MANY], BADF),
    ("fd_close", [0x80000000], BADF),
    ("fd_prestat_get", [4, 1024], BADF),
    ("fd_prestat_dir_name", [3, 1024, 0], NAMETOOLONG),
    ("fd_prestat_dir_name", [3, 0xFFFFFFFF, MANY], FAULT),
    ("args_get", [0xFFFFFFFC, 1024], FAULT),
    ("args_sizes_get", [0xFFFE, 1024], FAULT),
    ("clock_time_get", [1, MANY << 32 | MANY, 0xFFFC], FAULT),
    ("clock_time_get", [MANY, 0, 8], INVAL),
    ("sock_send", [4, 256, MANY, 0, 8], INVAL),
    ("sock_recv", [4, 256, MANY, 0, 8, 12], INVAL),
    ("fd_fdstat_set_rights", [4, MANY << 32 | MANY, MANY << 32 | MANY], NOTCAPABLE),
    ("fd_fdstat_set_flags", [4, MANY], INVAL),
    ("fd_filestat_set_times", [4, MANY << 32 | MANY, MANY << 32 | MANY, 5], 0),
    # A directory that was given is closed; what has its number then is none.
    ("fd_close", [3], 0),
    ("fd_prestat_get", [3, 1024], BADF),
    ("fd_renumber", [4, 3], BADF),
    ("path_open", [3, 0, 64, 4, 0, ALL, 0, 0, 8], BADF),
]
RESULTS = 4096


def module() -> bytes:
    """Makes the calls, then writes their results, 4 bytes each."""
    types = {"i": "i32", "I": "i64"}
    names = sorted({name for name, _, _ in CALLS} | {"fd_write"})
    imports = "\n".join(
        f'(import "wasi_snapshot_preview1" "{name}" '
        f"(func ${name} (param {' '.join(types[t] for t in SIGNATURES[name])}) (result i32)))"
        for name in names
    )
    calls = []
    for i, (name, arguments, _) in enumerate(CALLS):
        constants = zip(SIGNATURES[name], arguments, strict=True)
        values = " ".join(f"({types[t]}.const {value})" for t, value in constants)
        calls.append(f"(i32.store (i32.const {RESULTS + 4 * i}) (call ${name} {values}))")
    size = struct.pack("<II", RESULTS, 4 * len(CALLS))
    text = "".join(f"\\{byte:02x}" for byte in size)
    return wasmtime.wat2wasm(f"""(module {imports}
      (memory (export "memory") 1)
      (data (i32.const 64) "file")
      (data (i32.const 256) "\\00\\02\\00\\00\\10\\00\\00\\00")
      (data (i32.const 32) "{text}")
      (func (export "_start") {" ".join(calls)}
        (drop (call $fd_write (i32.const 1) (i32.const 32) (i32.const 1) (i32.const 8)))))""")


def test_numbers(host: Host, tmp_path: Path) -> None:
    (tmp_path / "top").mkdir()
    path = tmp_path / "numbers.wasm"
    path.write_bytes(module())
    done = host.run(path, options=(f"--dir={tmp_path / 'top'}",))
    assert done.returncode == 0 and done.stderr == b""
    found = struct.unpack(f"<{len(CALLS)}I", done.stdout)
    wrong = [(*call, got) for call, got in zip(CALLS, found, strict=True) if call[2] != got]
    assert not wrong
    assert [entry.name for entry in (tmp_path / "top").iterdir()] == ["file"]
    host.assert_engine()
