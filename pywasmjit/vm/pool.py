# SPDX-License-Identifier: GPL-2.0-only
"""Machines shared by many tests: booted when first wanted, replaced when dead."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

from pywasmjit.vm import packages
from pywasmjit.vm.machine import Machine


class MachinePool:
    """One machine for each kernel and set of options, until close()."""

    def __init__(self) -> None:
        self._machines: dict[str, Machine] = {}

    def get(self, kernel: str = packages.DEFAULT_SERIES, **options: Any) -> Machine:
        """The running machine with these options of Machine; booted if there is none."""
        key = f"{kernel} {sorted(options.items())}"
        machine = self._machines.pop(key, None)
        if machine is not None and not machine.alive:
            machine.close()
            machine = None
        if machine is None:
            machine = Machine(kernel, **options)
            machine.start()
        self._machines[key] = machine
        return machine

    def unchecked(self) -> list[Machine]:
        """Those that have run commands since the oracle looked at them."""
        return [machine for machine in self._machines.values() if machine.alive and machine.unchecked]

    def close(self) -> None:
        """End them all."""
        while self._machines:
            self._machines.popitem()[1].close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
