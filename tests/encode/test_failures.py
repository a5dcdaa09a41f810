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


def test_results_are_fetched_and_stored_near(process: Core) -> None:
    """Polls overwrite them, and there is none between; in as much code as their number asks for."""
    add = "I32_ADD_IMM r3 r3 1\n"
    types = [func_type("", "ii"), func_type("", "i")]
    pair = Body("I32_CONST r0 1\nRESULT_STORE r0 1\nRET")

    def compile_with(fetch: str, store: str) -> None:
        fetches = Body(f"CALL 0\nI32_CONST r3 0\n{fetch}RESULT_LOAD r1 1\nI32_ADD r0 r0 r1\nRET", leaf=False)
        stores = Body(f"I32_CONST r0 1\nI32_CONST r3 0\nRESULT_STORE r0 1\n{store}RET")
        image = Image(types=types, functions=[(0, pair), (1, fetches), (0, stores)], memories=[limits(1)])
        Engines(process, Variant("near", 0)).compile(image)
        assert process.reset() == 0

    compile_with(add * 20, add * 20)
    for fetch, store, message, function in (
        (add * 500, "", "result fetched too far from its call", 1),
        ("", add * 500, "result stored too far from the function's end", 2),
    ):
        with pytest.raises(CoreError, match=message) as info:
            compile_with(fetch, store)
        assert (info.value.code, info.value.function) == (-22, function)
        process.reset()


def test_a_thousand_results_are_near_enough(process: Core) -> None:
    """What the compiler makes of the most results that there may be: fetched, spilled, stored."""
    count = 1000
    stores = "".join(f"I32_CONST r0 {k}\nRESULT_STORE r0 {k}\n" for k in range(1, count)) + "I32_CONST r0 7\nRET"
    fetches = "CALL 0\nSLOT_STORE r0 0\n" + "".join(
        f"RESULT_LOAD r1 {k}\nSLOT_STORE r1 {k}\n" for k in range(1, count)
    )
    both = fetches + "".join(f"SLOT_LOAD r1 {k}\nRESULT_STORE r1 {k}\n" for k in range(1, count)) + "SLOT_LOAD r0 0\nRET"
    image = Image(
        types=[func_type("", "i" * count)],
        functions=[(0, Body(stores)), (0, Body(both, leaf=False, slots=(count, 0, 0, 0, 0)))],
        memories=[limits(1)],
    )
    Engines(process, Variant("most", 0)).compile(image)
    assert process.reset() == 0
