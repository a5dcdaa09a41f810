# SPDX-License-Identifier: GPL-2.0-only
"""The official WebAssembly 2.0 test suite without SIMD, on both engines."""

from __future__ import annotations

from pathlib import Path

import pytest

from pywasmjit import wast, wast_run


@pytest.mark.parametrize("engine", ["interp", "jit"])
def test_official_suite(engine: str) -> None:
    report = wast_run.run(wast.converted_suite(), engine)
    assert [str(failure) for failure in report.failures] == []
    # 26,625 assertions, of which some 570 are about the text format, which nothing here reads.
    assert report.passed > 25_900
    assert set(report.skipped) == {wast_run.TEXT_FORMAT}
    assert sum(report.skipped.values()) < 600


@pytest.mark.parametrize("engine", ["interp", "jit"])
def test_own_scripts(engine: str, tmp_path: Path) -> None:
    paths = []
    for script in sorted(Path(__file__).parent.glob("*.wast")):
        paths.append(tmp_path / f"{script.stem}.json")
        wast.convert(script, paths[-1])
    report = wast_run.run(paths, engine)
    assert [str(failure) for failure in report.failures] == []
    assert report.passed >= 5
