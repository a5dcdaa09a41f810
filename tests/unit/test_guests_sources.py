# SPDX-License-Identifier: GPL-2.0-only
"""Choosing which Debian source package to fetch."""

from __future__ import annotations

import shutil

import pytest
from debian_source import candidates, parse_showsrc, upstream_version


@pytest.mark.parametrize(
    ("version", "upstream"),
    [
        ("1.22.1-9+deb12u9", "1.22.1"),
        ("1:1.2.13.dfsg-1", "1.2.13.dfsg"),
        ("3.40.1-2-3", "3.40.1-2"),
        ("10.42", "10.42"),
    ],
)
def test_upstream_version(version: str, upstream: str) -> None:
    assert upstream_version(version) == upstream


def test_parse_showsrc() -> None:
    text = "Package: nginx\nVersion: 1.2-3\nStandards-Version: 4.6\n\nPackage: nginx\nVersion: 1.2-4\n"
    assert parse_showsrc(text + text) == ["1.2-3", "1.2-4"]


@pytest.mark.skipif(shutil.which("dpkg") is None, reason="not on Debian")
def test_candidates() -> None:
    """Newest first; another upstream release only when there is no choice."""
    versions = ["1.22.1-9+deb12u9", "1.26.0-1", "1.22.1-9+deb12u11"]
    assert candidates(versions, "1.22.1") == ["1.22.1-9+deb12u11", "1.22.1-9+deb12u9", "1.26.0-1"]
    assert candidates(versions, "1.18") == ["1.26.0-1", "1.22.1-9+deb12u11", "1.22.1-9+deb12u9"]
