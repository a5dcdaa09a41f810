# SPDX-License-Identifier: GPL-2.0-only
"""Real programs through a Host: the same tests wherever guests can run."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from build_guests import Builder
from guest_cache import default_root

ROOT = Path(__file__).resolve().parents[2]


class Host:
    """Runs guests on this machine in user space, on one engine."""

    def __init__(self, engine: str, directory: Path) -> None:
        self.engine = engine
        self.stats_file = directory / "stats.jsonl"
        self._started: list[subprocess.Popen[bytes]] = []

    def command(self, wasm: Path, *arguments: str, options: tuple[str, ...] = ()) -> list[str]:
        """The command line that runs a guest."""
        return [
            sys.executable, "-m", "pywasmjit.cli", "exec", "--host=user", f"--engine={self.engine}",
            f"--stats={self.stats_file}", *options, str(wasm), *arguments,
        ]

    @staticmethod
    def environment() -> dict[str, str]:
        return {**os.environ, "PYTHONPATH": str(ROOT)}

    def run(
        self,
        wasm: Path,
        *arguments: str,
        stdin: bytes = b"",
        timeout: float = 60,
        options: tuple[str, ...] = (),
        cwd: Path = ROOT,
        env: dict[str, str] | None = None,
    ) -> subprocess.CompletedProcess[bytes]:
        """Run to the end: status, output, errors."""
        return subprocess.run(
            self.command(wasm, *arguments, options=options),
            input=stdin, capture_output=True, timeout=timeout, cwd=cwd, check=False,
            env={**self.environment(), **(env or {})},
        )

    def start(
        self, wasm: Path, *arguments: str, prefix: tuple[str, ...] = (), stdout: int = subprocess.PIPE,
        options: tuple[str, ...] = (),
    ) -> subprocess.Popen[bytes]:
        """Start a guest; it is killed at the end of the test if it still runs."""
        process = subprocess.Popen(
            [*prefix, *self.command(wasm, *arguments, options=options)],
            stdin=subprocess.PIPE, stdout=stdout, stderr=subprocess.STDOUT, cwd=ROOT,
            env=self.environment(),
        )
        self._started.append(process)
        return process

    def close(self) -> None:
        for process in self._started:
            if process.poll() is None:
                process.kill()
            process.communicate()

    def stats(self) -> list[dict[str, int | str]]:
        """Counters of the guest processes that ended."""
        if not self.stats_file.exists():
            return []
        return [json.loads(line) for line in self.stats_file.read_text().splitlines()]

    def assert_engine(self) -> None:
        """What ran, ran where it was asked to."""
        stats = self.stats()
        assert stats, "no guest wrote its counters"
        for entry in stats:
            assert entry["engine"] == self.engine
            if self.engine == "jit":
                assert int(entry["functions_jitted"]) > 0 and entry["functions_interpreted"] == 0
                assert int(entry["jit_ns"]) > 0
            else:
                assert int(entry["functions_interpreted"]) > 0 and entry["functions_jitted"] == 0
                assert entry["jit_ns"] == 0


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """A directory that everybody may enter: servers run as nobody, pytest's own is private."""
    with tempfile.TemporaryDirectory(prefix="pywasmjit-e2e-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture(params=["jit", "interp"])
def host(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Host]:
    """A host on each engine."""
    host = Host(request.param, tmp_path)
    yield host
    host.close()


@pytest.fixture
def jit(tmp_path: Path) -> Iterator[Host]:
    """A host on the JIT, for what takes long or looks at processes."""
    host = Host("jit", tmp_path)
    yield host
    host.close()


@pytest.fixture(scope="session")
def guest() -> Callable[[str], Path]:
    """Path of a guest's module, built (or found in the cache) when first asked for."""
    builder = Builder(default_root(), os.cpu_count() or 1, lambda line: print(line, file=sys.stderr))

    def find(name: str) -> Path:
        modules = sorted(builder.result(name).glob("*.wasm"))
        assert len(modules) == 1, modules
        return modules[0]

    return find


def wait_until(condition: Callable[[], object], what: str, seconds: float = 20) -> None:
    """Wait for an event, with a deadline."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.02)


def children(pid: int) -> list[int]:
    """Process ids of the direct children."""
    listing = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False
    ).stdout
    return [int(word) for word in listing.split()]


def alive(pid: int) -> bool:
    """Does the process exist, zombies aside?"""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def end(pid: int) -> None:
    """Kill by pid, whatever state it is in."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
