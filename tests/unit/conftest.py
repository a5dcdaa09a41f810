# SPDX-License-Identifier: GPL-2.0-only
"""Fixtures of the tests that drive the core."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.native.libcore import INTERP, JIT
from tests.unit.core_engines import Engine


@pytest.fixture(scope="module", params=[INTERP, JIT])
def core_process(request: pytest.FixtureRequest) -> Iterator[Engine]:
    engine = Engine(request.param)
    yield engine
    engine.core.close()


@pytest.fixture
def engine(core_process: Engine) -> Iterator[Engine]:
    """Each engine in turn; a test must leave no allocation behind."""
    yield core_process
    assert core_process.core.reset() == 0, "allocations left over"
