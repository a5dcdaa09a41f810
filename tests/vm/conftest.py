# SPDX-License-Identifier: GPL-2.0-only
"""Machines for tests: one for each kernel and session, judged by the oracle after every test.

PYWASMJIT_TEST_KERNELS lists the kernel series to test, "6.1,6.12,5.10"; by default one. The files
test_kernel_*.py run on the debug kernel as well (`-m long`; alone: `make test-debug`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from ring0 import Ring0

from pywasmjit import kbuild
from pywasmjit.vm import packages
from pywasmjit.vm.machine import Machine
from pywasmjit.vm.packages import Kernel
from pywasmjit.vm.pool import MachinePool

PROBE = Path(__file__).with_name("probe")


def _series() -> list[str]:
    return os.environ.get("PYWASMJIT_TEST_KERNELS", packages.DEFAULT_SERIES).split(",")


@pytest.fixture(scope="session")
def machines() -> Iterator[MachinePool]:
    with MachinePool() as pool:
        yield pool


@pytest.fixture(autouse=True)
def no_machine_is_left_unchecked(request: pytest.FixtureRequest, machines: MachinePool) -> Iterator[None]:
    """The oracle has looked at every shared machine that the test used."""
    yield
    names = request.fixturenames
    if "unchecked_machine" not in names or "machine" in names:
        assert not machines.unchecked(), "a test has used a machine without the oracle: use machine.checked()"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "kernel" not in metafunc.fixturenames:
        return
    wanted = _series()
    slow = pytest.mark.timeout(3000)
    series: list[object] = [
        pytest.param(name, marks=[slow]) if name == packages.DEBUG_SERIES else name for name in wanted
    ]
    if metafunc.module.__name__.startswith("test_kernel_") and packages.DEBUG_SERIES not in wanted:
        series.append(pytest.param(packages.DEBUG_SERIES, marks=[pytest.mark.long, slow]))
    metafunc.parametrize("kernel", series, indirect=True, scope="session")


@pytest.fixture(scope="session")
def kernel(request: pytest.FixtureRequest) -> Kernel:
    return packages.kernel(request.param)


@pytest.fixture
def unchecked_machine(machines: MachinePool, kernel: Kernel) -> Machine:
    """A machine shared with other tests, for tests of the oracle."""
    return machines.get(kernel.series, lifetime=3600)


@pytest.fixture
def machine(unchecked_machine: Machine) -> Iterator[Machine]:
    """A machine shared with other tests; what the test does must leave the kernel unhurt."""
    with unchecked_machine.checked():
        yield unchecked_machine


@pytest.fixture
def own_machine(kernel: Kernel) -> Iterator[Machine]:
    """A machine to do anything to."""
    with Machine(kernel, lifetime=300) as booted:
        yield booted


@pytest.fixture(scope="session")
def probe(kernel: Kernel) -> Path:
    """The probe module, built for the kernel."""
    return kbuild.build_module(kernel.headers, "probe.ko", source=PROBE, paths=("Kbuild", "main.c"))


@pytest.fixture(scope="module")
def ring0_machine(machines: MachinePool, kernel: Kernel) -> Iterator[Ring0]:
    machine = machines.get(kernel.series, lifetime=3600)
    made = Ring0(machine, kernel)
    yield made
    if machine.alive:
        with machine.checked():
            made.check_leaks()


@pytest.fixture
def ring0(ring0_machine: Ring0) -> Iterator[Ring0]:
    """Loads the module; afterwards it must be possible to remove it, and the kernel be unhurt."""
    with ring0_machine.machine.checked():
        ring0_machine.insert()
        try:
            yield ring0_machine
        finally:
            ring0_machine.kill_guests()
        ring0_machine.remove()
