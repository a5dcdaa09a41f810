# SPDX-License-Identifier: GPL-2.0-only
"""kmod/host/imports.def and what is generated from it."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

import gen_guest
import pytest
from import_table import Import, ImportTableError, invoke_signature, load_table, parse_table

ROOT = Path(__file__).resolve().parents[2]


def test_parse_line() -> None:
    text = '/* a\n comment */\n\nIMPORT(env, fork, "i:", fork, STUB)\n'
    assert parse_table(text) == [Import("env", "fork", "i:", "fork", "STUB")]


@pytest.mark.parametrize(
    "line",
    [
        'IMPORT(env, fork, "i", fork, STUB)',
        'IMPORT(env, fork, "i:x", fork, STUB)',
        'IMPORT(env, fork, "ii:", fork, STUB)',
        'IMPORT(env, fork, "i:", fork, ELSEWHERE)',
        "IMPORT(env, fork, i:, fork, STUB)",
        "something else",
    ],
)
def test_bad_line_is_named(line: str) -> None:
    with pytest.raises(ImportTableError, match="line 3"):
        parse_table(f"/* one\n */\n{line}\n")


def test_no_line_twice() -> None:
    keys = [entry.key for entry in load_table()]
    assert len(keys) == len(set(keys))


def test_handlers_have_one_signature() -> None:
    """Two lines may share a C function only if it is called in the same way."""
    signatures = defaultdict(set)
    for entry in load_table():
        signatures[entry.handler].add(entry.signature)
    assert {handler: found for handler, found in signatures.items() if len(found) > 1} == {}


def test_split_variants() -> None:
    """A _split handler is the one with an i64, that replaced by two i32."""
    table = {(entry.name, entry.handler): entry.signature for entry in load_table()}
    for (name, handler), signature in table.items():
        if handler.endswith("_split"):
            whole = table[(name, handler.removesuffix("_split"))]
            assert whole.replace("I", "ii") == signature


def test_handler_names() -> None:
    for entry in load_table():
        if entry.name.startswith("__syscall_"):
            plain = entry.handler.removesuffix("_split").removesuffix("_whole")
            assert plain == "syscall_" + entry.name.removeprefix("__syscall_").lstrip("_")
        if entry.module == "wasi_snapshot_preview1":
            assert entry.handler.removesuffix("_split") == "wasi_" + entry.name


@pytest.mark.parametrize(
    ("name", "signature"),
    [
        ("invoke_v", "v:i"),
        ("invoke_vii", "v:iii"),
        ("invoke_ijd", "i:iId"),
        ("invoke_", None),
        ("invoke_iv", None),
        ("invoker_v", None),
    ],
)
def test_invoke_signature(name: str, signature: str | None) -> None:
    assert invoke_signature(name) == signature


def test_generated_files_are_fresh() -> None:
    for name, text in gen_guest.generate().items():
        assert (ROOT / "guest" / name).read_text() == text, "run python3 scripts/gen_guest.py"
    assert gen_guest.main(["--check"]) == 0


def test_generation_is_deterministic() -> None:
    assert gen_guest.generate() == gen_guest.generate()


def test_prototype() -> None:
    entry = Import("env", "__syscall_x", "i:iId", "syscall_x", "OVERLAY")
    assert gen_guest.prototype(entry) == (
        "WJ_IMPORT(env, __syscall_x)\nint wj_host_syscall_x(int, long long, double);\n"
    )


def test_overlay_lines_are_used() -> None:
    """Every OVERLAY line is what some trampoline calls; no handler without a caller."""
    sources = "".join(path.read_text() for path in (ROOT / "guest" / "src").glob("*.c"))
    called = set(re.findall(r"wj_host_(\w+)\(", sources))
    overlay = {entry.handler for entry in load_table() if entry.origin == "OVERLAY"}
    assert overlay - called == set()
    assert called - {entry.handler for entry in load_table()} == set()
