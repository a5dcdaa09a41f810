# SPDX-License-Identifier: GPL-2.0-only
"""Rust guests on machines whose compiler is too old for them: an error that tests skip on, with the reason."""

from __future__ import annotations

import pytest
import wasi_recipes


@pytest.mark.parametrize(
    ("package", "version", "fits"),
    [
        ("hello", "rustc 1.63.0", True),
        ("server", "rustc 1.63.0", True),
        ("grep", "rustc 1.63.0", False),
        ("grep", "rustc 1.84.1 (e71f9a9a9 2025-01-27)", False),
        ("grep", "rustc 1.85.0", True),
        ("grep", "rustc 1.100.0-nightly", True),
        ("hello", "", False),
    ],
)
def test_oldest_compiler(package: str, version: str, fits: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wasi_recipes, "rust_target", lambda: "wasm32-wasi")
    monkeypatch.setattr(wasi_recipes, "_answer", lambda command: version)
    if fits:
        assert wasi_recipes.rust_versions(package) == f"wasm32-wasi {version}"
    else:
        with pytest.raises(wasi_recipes.MissingToolchainError, match=f"rust-{package} needs Rust 1"):
            wasi_recipes.rust_versions(package)
