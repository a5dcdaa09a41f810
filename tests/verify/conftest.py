# SPDX-License-Identifier: GPL-2.0-only
"""The core in a sanitized process, one for all tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.native.libcore import Core, CoreError
from tests.verify.assemble import Image


@pytest.fixture(scope="session")
def sanitized() -> Iterator[Core]:
    with Core("sanitize") as core:
        yield core


@pytest.fixture
def core(sanitized: Core) -> Iterator[Core]:
    yield sanitized
    assert sanitized.reset() == 0, "allocations left over"


@pytest.fixture
def verdict(core: Core) -> Callable[[Image | bytes], str]:
    """What the core says of an image: "" if it accepts it, else the rule it breaks."""

    def load(image: Image | bytes) -> str:
        try:
            core.drop_image(core.image(image.build() if isinstance(image, Image) else image))
        except CoreError as error:
            return error.message
        return ""

    return load
