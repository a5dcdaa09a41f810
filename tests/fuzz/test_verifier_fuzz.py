# SPDX-License-Identifier: GPL-2.0-only
"""libFuzzer on image parser and verifier: no find, and its inputs reach nearly all of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz import verifier


@pytest.mark.long
@pytest.mark.timeout(900)
def test_libfuzzer(tmp_path: Path) -> None:
    verifier.first_corpus(tmp_path)
    status, text = verifier.fuzz(60, tmp_path, 1)
    assert status == 0, text
    summaries = verifier.coverage(tmp_path)
    assert set(summaries) == set(verifier.MEASURED)
    for summary in summaries.values():
        assert summary["lines"]["percent"] > 90 and summary["branches"]["percent"] > 80
