# SPDX-License-Identifier: GPL-2.0-only
"""Compilation that fails says why and leaves nothing behind."""

from __future__ import annotations

import pytest

from tests.encode.engines import BLIND, SSE41, Engines, Variant
from tests.encode.test_code import control_image
from tests.native.libcore import Core, CoreError
from tests.verify.assemble import Body, Image, func_type, limits
from tests.verify.samples import SAMPLES, sample_image


def test_every_allocation_fails_once(process: Core) -> None:
    names = ("BR_TABLE", "I32_LOAD", "CALL_INDIRECT", "F64_MIN")
    images = [sample_image(sample) for sample in SAMPLES if sample.name in names] + [control_image()]
    for image in images:
        failures = 0
        for after in range(1000):
            number = process.image(image.build())
            before = process.allocations()
            process.fail_allocation(after)
            try:
                process.compile(number, -1, BLIND)
                break
            except CoreError as error:
                assert (error.code, error.message) in ((-12, "out of memory"), (-12, "no executable memory"))
                failures += 1
            finally:
                process.fail_allocation(-1)
            assert process.allocations() == before
        assert failures >= 10
        assert process.reset() == 0


def test_rounding_needs_sse41(process: Core) -> None:
    body = Body("I32_CONST r0 1\nF32_FLOOR f0 f0\nRET")
    image = Image(types=[func_type("f", "f")], functions=[(0, Body("RET")), (0, body)], memories=[limits(1)])
    with pytest.raises(CoreError, match="SSE4.1") as info:
        Engines(process, Variant("old", 0)).compile(image)
    assert (info.value.code, info.value.function, info.value.offset) == (-95, 1, 3)
    process.reset()
    Engines(process, Variant("newer", SSE41)).compile(image)
    assert process.reset() == 0
