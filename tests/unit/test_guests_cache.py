# SPDX-License-Identifier: GPL-2.0-only
"""The cache of built guests: complete or absent, once per key, whatever happens."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from guest_cache import Cache, default_root, file_inputs, hash_inputs

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"


def write_result(work: Path, out: Path) -> None:
    (work / "scratch").write_text("scratch")
    (out / "module.wasm").write_text("module")


def test_built_once(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache")
    assert cache.get("key") is None
    path, built = cache.get_or_build("key", write_result)
    assert built
    assert (path / "module.wasm").read_text() == "module"
    assert not (path / "scratch").exists()

    def fails(work: Path, out: Path) -> None:
        raise AssertionError("built again")

    assert cache.get_or_build("key", fails) == (path, False)
    assert cache.get("key") == path
    assert not list(cache.root.glob("work-*"))


def test_failure_leaves_nothing(tmp_path: Path) -> None:
    cache = Cache(tmp_path)

    def fails(work: Path, out: Path) -> None:
        (out / "half").write_text("half")
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        cache.get_or_build("key", fails)
    assert cache.get("key") is None
    assert not list(tmp_path.glob("work-*"))
    assert cache.get_or_build("key", write_result)[1]


def start_builder(root: Path, body: str) -> subprocess.Popen[str]:
    """Another process that builds "key" in root; body is the build function's."""
    program = (
        f"import sys, time; sys.path.insert(0, {str(SCRIPTS)!r})\n"
        "from pathlib import Path\nfrom guest_cache import Cache\n"
        f"def build(work, out):\n    {body}\n"
        f"print(Cache(Path({str(root)!r})).get_or_build('key', build)[1], flush=True)\n"
    )
    return subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def test_killed_builder(tmp_path: Path) -> None:
    with start_builder(
        tmp_path, "(out / 'half').write_text('half'); print('started', flush=True); time.sleep(1000)"
    ) as builder:
        assert builder.stdout is not None
        assert builder.stdout.readline() == "started\n"
        os.kill(builder.pid, signal.SIGKILL)
    cache = Cache(tmp_path)
    assert cache.get("key") is None
    assert len(list(tmp_path.glob("work-*"))) == 1
    # Whatever is built next cleans up.
    cache.get_or_build("other", write_result)
    assert not list(tmp_path.glob("work-*"))
    path, built = cache.get_or_build("key", write_result)
    assert built
    assert not (path / "half").exists()


def test_two_builders(tmp_path: Path) -> None:
    """The second waits and finds what the first built; neither sweeps the other away."""
    with start_builder(
        tmp_path, "print('started', flush=True); sys.stdin.readline(); (out / 'by').write_text('first')"
    ) as first:
        assert first.stdout is not None
        first.stdout.readline()
        Cache(tmp_path).get_or_build("other", write_result)
        assert len(list(tmp_path.glob("work-*"))) == 1
        with start_builder(tmp_path, "(out / 'by').write_text('second')") as second:
            assert first.stdin is not None
            first.stdin.write("\n")
            first.stdin.flush()
            assert first.stdout.readline() == "True\n"
            assert second.stdout is not None
            assert second.stdout.readline() == "False\n"
    assert (tmp_path / "key" / "by").read_text() == "first"


def test_hash_inputs() -> None:
    parts = [("a", b"1"), ("b", b"2")]
    key = hash_inputs(parts)
    assert key == hash_inputs(list(parts))
    assert is_hexadecimal(key)
    others = [
        [("a", b"1"), ("b", b"3")],
        [("b", b"2"), ("a", b"1")],
        [("a", b"1b"), ("", b"2")],
        [("a", b""), ("1b", b"2")],
        [("a", b"1")],
    ]
    assert len({key, *map(hash_inputs, others)}) == len(others) + 1


def is_hexadecimal(key: str) -> bool:
    return len(key) == 32 and set(key) <= set("0123456789abcdef")


def test_file_inputs(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "two.c").write_text("2")
    (tmp_path / "one.c").write_text("1")
    (tmp_path / "other.h").write_text("h")
    assert file_inputs(tmp_path, ["**/*.c", "one.c"]) == [("d/two.c", b"2"), ("one.c", b"1")]


def test_default_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert default_root() == Path("/somewhere/pywasmjit")
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setenv("HOME", "/home/x")
    assert default_root() == Path("/home/x/.cache/pywasmjit")
