# SPDX-License-Identifier: GPL-2.0-only
"""The core with its JIT, and the ways of compiling that must all mean the same."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.encode.engines import VARIANTS, Engines, Variant
from tests.native.libcore import Core


@pytest.fixture(scope="session")
def process() -> Iterator[Core]:
    with Core("plain", jit=True) as core:
        yield core


@pytest.fixture(params=VARIANTS, ids=lambda variant: variant.name)
def engines(request: pytest.FixtureRequest, process: Core) -> Iterator[Engines]:
    """Both engines, with the JIT as each of the variants has it."""
    variant: Variant = request.param
    yield Engines(process, variant)
    assert process.reset() == 0, "allocations left over"


@pytest.fixture
def jit(process: Core) -> Iterator[Engines]:
    """Both engines, the JIT as it is on this machine."""
    yield Engines(process, VARIANTS[0])
    assert process.reset() == 0, "allocations left over"
