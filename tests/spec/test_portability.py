# SPDX-License-Identifier: GPL-2.0-only
"""The official suite on the interpreter built by other compilers, for other libraries and processors."""

from __future__ import annotations

import pytest

from pywasmjit import wast, wast_run
from tests.spec.portable import TARGETS, Target

#: Scripts that see byte order, the width of a long and the machine's floating point.
SENSITIVE = {
    "endianness", "memory", "memory_init", "float_memory", "float_exprs", "conversions", "f32", "f64", "i64",
    "f64_bitwise", "traps", "data", "global", "call_indirect",
}  # fmt: skip


def by_name(target: Target) -> str:
    return target.name


@pytest.mark.parametrize("target", [t for t in TARGETS if t.name in ("gcc-s390x", "clang-musl")], ids=by_name)
def test_sensitive_scripts(target: Target) -> None:
    assert not target.missing()
    paths = [path for path in wast.converted_suite() if path.stem in SENSITIVE]
    report = wast_run.run(paths, "interp", target.build())
    assert [str(failure) for failure in report.failures] == []
    assert report.passed > 5_500


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("target", TARGETS, ids=by_name)
def test_official_suite_elsewhere(target: Target) -> None:
    assert not target.missing()
    report = wast_run.run(wast.converted_suite(), "interp", target.build())
    assert [str(failure) for failure in report.failures] == []
    assert report.passed > 25_900
    assert set(report.skipped) == {wast_run.TEXT_FORMAT}


def test_byte_order_is_tested() -> None:
    """Without the interpreter's change of byte order the suite does fail on a big-endian machine."""
    target = next(t for t in TARGETS if t.name == "gcc-s390x")
    wrong = Target("gcc-s390x-wrong", (*target.compiler, "-U__BYTE_ORDER__"), target.emulator)
    paths = [path for path in wast.converted_suite() if path.stem == "endianness"]
    assert len(wast_run.run(paths, "interp", wrong.build()).failures) > 50
