# SPDX-License-Identifier: GPL-2.0-only
"""Real programs through a Host: the same tests wherever guests can run.

pytest tests/e2e                            in user space
pytest tests/e2e --host=vm [--kernel=6.12]  in ring 0 of a machine, which is booted for it (vm_host.py)
pytest tests/e2e --host=kernel              in ring 0 of this machine, whose wasm.ko is loaded
"""

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
from guest_recipes import all_recipes

from pywasmjit.vm import packages, ring0
from tests.e2e.vm_host import TEST_SECONDS, Forwarder, Server, build_native, inside_machine, staged

ROOT = Path(__file__).resolve().parents[2]
HOST_FIXTURES = {"host", "jit"}
SLOWNESS = 5 if inside_machine() else 1


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("pywasmjit")
    group.addoption("--host", choices=("user", "kernel", "vm"), default="user", help="where guests run")
    group.addoption("--kernel", default=packages.DEFAULT_SERIES, help="the machine's, with --host=vm")
    group.addoption("--serve", type=Path, help="inside of a machine: run what is asked for in this directory")


def pytest_configure(config: pytest.Config) -> None:
    # nohup and the background of a shell leave some signals ignored, and so would all we start.  What
    # is handled is the default again after an exec.
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, lambda *_: None)
    if directory := config.getoption("serve", None):
        config.pluginmanager.register(Server(directory))
    elif config.getoption("host", "user") == "vm":
        config.pluginmanager.register(Forwarder(config.getoption("kernel"), find_guest, guest_names()))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What a kernel host cannot run is skipped with its reason."""
    if config.getoption("host", "user") == "user":
        return
    for item in items:
        if not HOST_FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.skip("runs no guest through a Host: tested in user space"))
        elif config.getoption("host") == "vm" and item.path.name.startswith("test_wasi"):
            item.add_marker(pytest.mark.skip("machines have no wasmtime: tests/vm/test_kernel_wasi.py"))
        elif "interp" in getattr(getattr(item, "callspec", None), "params", {}).values():
            item.add_marker(pytest.mark.skip("the kernel host has no interpreter"))
        # A machine is slow; and whoever runs the test shall notice first.
        item.add_marker(pytest.mark.timeout(TEST_SECONDS if inside_machine() else TEST_SECONDS + 120))


class Host:
    """Runs guests on this machine, in user space or in ring 0, on one engine."""

    def __init__(self, engine: str, directory: Path, where: str = "user") -> None:
        self.engine = engine
        self.where = where
        self.stats_file = directory / "stats.jsonl"
        self.stats_file.touch()
        self.stats_file.chmod(0o666)  # for guests that change their user
        self._started: list[subprocess.Popen[bytes]] = []
        self._before = self._totals()

    def command(self, wasm: Path, *arguments: str, options: tuple[str, ...] = ()) -> list[str]:
        """The command line that runs a guest."""
        return [
            sys.executable, "-m", "pywasmjit.cli", "exec", f"--host={self.where}", f"--engine={self.engine}",
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
        if self.where == "kernel":
            # Nobody has served a guest from outside, and none is left.
            wait_until(lambda: self._totals()["guests"] == self._before["guests"], "guests have ended")
            ring0.require_ring0(ring0.since(self._before, self._totals()))

    def _totals(self) -> dict[str, int]:
        """What the module has counted until now; nothing in user space."""
        return ring0.totals(Path(ring0.TOTALS).read_text()) if self.where == "kernel" else {}

    def stats(self) -> list[dict[str, int | str]]:
        """Counters of the guest processes that ended."""
        return [json.loads(line) for line in self.stats_file.read_text().splitlines()]

    def assert_engine(self) -> None:
        """What ran, ran where it was asked to."""
        stats = self.stats()
        assert stats, "no guest wrote its counters"
        for entry in stats:
            assert entry["engine"] == self.engine and entry["host"] == self.where
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
    host = Host(request.param, tmp_path, request.config.getoption("host"))
    yield host
    host.close()


@pytest.fixture
def jit(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Host]:
    """A host on the JIT, for what takes long or looks at processes."""
    host = Host("jit", tmp_path, request.config.getoption("host"))
    yield host
    host.close()


def guest_names() -> list[str]:
    """All that can be asked of find_guest: recipes that are no part of others."""
    recipes = all_recipes()
    return sorted(set(recipes) - {need for recipe in recipes.values() for need in recipe.needs})


def find_guest(name: str) -> Path:
    """Path of a guest's module, built (or found in the cache) when first asked for."""
    if inside := staged(name, "*.wasm"):
        return inside
    builder = Builder(default_root(), os.cpu_count() or 1, lambda line: print(line, file=sys.stderr))
    modules = sorted(builder.result(name).glob("*.wasm"))
    assert len(modules) == 1, modules
    return modules[0]


@pytest.fixture(scope="session")
def guest() -> Callable[[str], Path]:
    return find_guest


@pytest.fixture(scope="session")
def native(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A program of tests/guests built by gcc."""
    directory = tmp_path_factory.mktemp("native")

    def build(name: str) -> Path:
        return staged(name, "native") or build_native(name, directory)

    return build


def wait_until(condition: Callable[[], object], what: str, seconds: float = 20) -> None:
    """Wait for an event, with a deadline; longer in a machine, which is slow."""
    seconds *= SLOWNESS
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
