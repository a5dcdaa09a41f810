# SPDX-License-Identifier: GPL-2.0-only
"""`--host=vm`: these tests as they are, each in a pytest inside of a machine, guests in ring 0 there.

The pytest outside boots the machine, loads wasm.ko, and hands over one test at a time by its node
id; the pytest inside, which collects the same files, runs it with `--host=kernel` and answers with
its reports. After every test the machine's kernel must be unhurt.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pywasmjit import cache, launch
from pywasmjit.vm.errors import VmError
from pywasmjit.vm.machine import Background, Machine
from pywasmjit.vm.packages import kernel as fetch_kernel
from pywasmjit.vm.ring0 import wasm_module

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ROOT / "tests" / "guests"
PROJECT = "/project"
FIFOS = "/run/e2e"
# What was built outside, for the pytest inside.
FILES_VARIABLE = "PYWASMJIT_TEST_FILES"
TEST_SECONDS = 900


def source_of(name: str) -> Path:
    """Of a test program, if there is such a file; what later Emscriptens build (NAME-VERSION) is in later/."""
    path = SOURCES / f"{name}.c"
    return path if path.exists() else SOURCES / "later" / f"{name.partition('-')[0]}.c"


def build_native(name: str, directory: Path) -> Path:
    """A program of tests/guests, built by gcc."""
    target = directory / name
    if not target.exists():
        subprocess.run(
            ["gcc", "-O2", "-std=gnu11", "-D_GNU_SOURCE", "-o", target, source_of(name)], check=True
        )
    return target


def stage(directory: Path, guest: Callable[[str], Path], names: list[str]) -> None:
    """Guests, their images, and the native programs to compare with."""
    for name in names:
        where = directory / name
        where.mkdir()
        wasm = guest(name)
        (where / wasm.name).write_bytes(wasm.read_bytes())
        with open(launch.image_of(wasm.read_bytes(), lambda text: None), "rb") as image:
            image.seek(0)
            (where / "image").write_bytes(image.read())
        if source_of(name).exists():
            build_native(name, where).rename(where / "native")


def inside_machine() -> bool:
    return FILES_VARIABLE in os.environ


def staged(name: str, what: str) -> Path | None:
    """A file that stage() made, inside of the machine; None outside."""
    files = os.environ.get(FILES_VARIABLE)
    return next((Path(files) / name).glob(what)) if files else None


def skipped(item: pytest.Item) -> bool:
    return any(item.iter_markers("skip"))


class Forwarder:
    """The plugin of the pytest outside."""

    def __init__(self, series: str, guest: Callable[[str], Path], names: list[str]) -> None:
        self._series, self._guest, self._names = series, guest, names
        self._machine: Machine | None = None
        self._inside: Background | None = None

    def _start(self) -> Machine:
        """Machine and pytest in it; again if the last ones are gone."""
        if self._machine is not None and self._machine.alive and self._inside and self._inside.poll() is None:
            return self._machine
        self.close()
        kernel = fetch_kernel(self._series)
        with tempfile.TemporaryDirectory(prefix="pywasmjit-e2e-vm-") as name:
            files = Path(name) / "files"
            files.mkdir()
            stage(files, self._guest, self._names)
            project = {".": ROOT, "e2e": files, "wasm.ko": wasm_module(kernel)}
            self._machine = Machine(kernel, smp=2, memory_mb=2048, project=project, lifetime=4 * 3600)
            self._machine.start()
        self._machine.run(
            # Tests run guests as other users, too; by itself the device is root's.
            f"insmod {PROJECT}/wasm.ko && chmod 666 /dev/wasm && mkdir -p {FIFOS} && mkfifo {FIFOS}/tests {FIFOS}/reports", check=True
        )
        self._inside = self._machine.popen(
            ["python3", "-m", "pytest", "-p", "no:cacheprovider", "--host=kernel", f"--serve={FIFOS}", "tests/e2e"],
            cwd=PROJECT, env={FILES_VARIABLE: f"{PROJECT}/e2e", "COLUMNS": "110"},
        )  # fmt: skip
        serving = f"{FIFOS}/serving"
        ready = self._machine.run(
            f"until [ -e {serving} ] || ! kill -0 {self._inside.pid}; do sleep 0.2; done; [ -e {serving} ]", 300
        )
        if ready.status != 0:
            output = self._inside.output().decode(errors="replace")
            raise VmError(f"the pytest in the machine has ended:\n{output}")
        return self._machine

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        if session.config.option.collectonly or all(map(skipped, session.items)):
            return
        # Lowering takes long: only what these files name.
        paths = {item.path for item in session.items if not skipped(item)}
        text = "".join(path.read_text() for path in paths)
        self._names = [
            name for name in self._names if f'"{name}"' in text or (SOURCES / f"{name}.c").exists()
        ]
        try:
            self._start()
        except VmError as error:
            pytest.exit(str(error), returncode=error.exit_code)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> bool | None:
        if skipped(item):
            return None
        item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        for report in self._reports(item):
            item.ihook.pytest_runtest_logreport(report=report)
        item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        return True

    def _reports(self, item: pytest.Item) -> list[pytest.TestReport]:
        answer: list[Any] = []
        problem = ""
        try:
            machine = self._start()
            with machine.checked():
                answer = self._ask(machine, item.nodeid)
        except VmError as error:
            problem = str(error)
            if self._machine is not None:
                self._machine.close()
        hook = item.config.hook
        reports = [hook.pytest_report_from_serializable(config=item.config, data=data) for data in answer]
        if problem:
            reports.append(
                pytest.TestReport(item.nodeid, item.location, {}, "failed", problem, "teardown")
            )
        return reports

    def _ask(self, machine: Machine, nodeid: str) -> list[Any]:
        done = machine.run(
            f"printf '%s\\n' {shlex.quote(nodeid)} >{FIFOS}/tests && cat {FIFOS}/reports", TEST_SECONDS + 60
        )
        try:
            answer = json.loads(done.text)
            assert isinstance(answer, list)
        except ValueError:
            output = self._inside.output().decode(errors="replace") if self._inside else ""
            raise VmError(f"no report from the machine, but {done.text!r}; its pytest says:\n{output}") from None
        if not answer:
            raise VmError(f"the machine's pytest has no test {nodeid}")
        return answer

    def pytest_sessionfinish(self) -> None:
        self.close()

    def close(self) -> None:
        if self._machine is not None:
            self._machine.close()
        self._machine = self._inside = None


class Server:
    """The plugin of the pytest inside: runs what it is asked to instead of all."""

    def __init__(self, fifos: Path) -> None:
        self._fifos = fifos
        self._reports: list[Any] = []

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        keep_images()
        items = {item.nodeid: item for item in session.items}
        (self._fifos / "serving").touch()
        while True:
            nodeid = (self._fifos / "tests").read_text().rstrip("\n")
            self._reports = []
            item = items.get(nodeid)
            if item is not None:
                item.ihook.pytest_runtest_protocol(item=item, nextitem=None)
            (self._fifos / "reports").write_text(json.dumps(self._reports))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._reports.append(self._config.hook.pytest_report_to_serializable(config=self._config, report=report))

    def pytest_configure(self, config: pytest.Config) -> None:
        self._config = config


def keep_images() -> None:
    """Put the images that were made outside into the cache: lowering takes long in here."""
    for image in Path(os.environ[FILES_VARIABLE]).glob("*/image"):
        (wasm,) = image.parent.glob("*.wasm")
        problem = cache.store(cache.key(wasm.read_bytes()), image.read_bytes())
        assert not problem, problem
