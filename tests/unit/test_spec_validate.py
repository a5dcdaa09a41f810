# SPDX-License-Identifier: GPL-2.0-only
"""The official test suite's modules through decode and validate.

Every module must be accepted, every invalid or malformed one rejected with the right class and
the suite's wording.  What the assertions execute is tested elsewhere.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from pywasmjit import wast
from pywasmjit.errors import (
    DecodeError,
    HostUnavailableError,
    InputError,
    ModuleError,
    ValidationError,
)
from pywasmjit.wasm import decode, validate
from pywasmjit.wast import (
    AssertInvalid,
    AssertMalformed,
    AssertUninstantiable,
    AssertUnlinkable,
    ModuleCommand,
    converted_suite,
    iter_commands,
)

# (script, suite's text): our text, where both are right.
EQUIVALENT = {
    # The reference interpreter reads past a body that lacks its `end`, takes the next section's id
    # (0x0b) for it, and blames the size; we stop at the body's declared end.
    ("binary", "section size mismatch"): "unexpected end of section or function",
    # 2.0 has no arithmetic in constant expressions; here its type is wrong.
    ("elem", "constant expression required"): "type mismatch",
    # wast2json encodes `(select (result))` as the select without types.
    ("select", "invalid result arity"): "type mismatch",
}

# Found in the pinned suite (2.0, commit 3a04b2c) and in the packages of wast.SOURCES; less means
# that something was skipped.
MINIMUM = {"accepted": 1190, "invalid": 1460, "malformed": 690}


def load(path: Path) -> None:
    validate(decode(path.read_bytes()))


def check_rejected(script: Path, path: Path, text: str, expected: type[ModuleError]) -> str | None:
    """None if the module is rejected as it should, else what happened instead."""
    try:
        load(path)
    except ModuleError as error:
        if type(error) is expected and error.rule.startswith(text):
            return None
        if type(error) is expected and text in error.rule:
            return None
        other = EQUIVALENT.get((script.stem, text))
        if type(error) is expected and other is not None and error.rule.startswith(other):
            return None
        return f"{path.name}: expected {expected.__name__} {text!r}, got {error!r} {error}"
    return f"{path.name}: accepted, expected {text!r}"


def test_decode_validate_suite() -> None:
    scripts = converted_suite()
    assert len(scripts) >= 89
    counts: Counter[str] = Counter()
    failures: list[str] = []
    for script in scripts:
        for command in iter_commands(script):
            match command:
                case ModuleCommand() | AssertUnlinkable() | AssertUninstantiable():
                    counts["accepted"] += 1
                    try:
                        load(command.path)
                    except ModuleError as error:
                        failures.append(f"{command.path.name}: {error}")
                case AssertInvalid(binary=True):
                    counts["invalid"] += 1
                    problem = check_rejected(script, command.path, command.text, ValidationError)
                    if problem:
                        failures.append(problem)
                case AssertMalformed(binary=True):
                    counts["malformed"] += 1
                    problem = check_rejected(script, command.path, command.text, DecodeError)
                    if problem:
                        failures.append(problem)
                case AssertInvalid() | AssertMalformed():
                    counts["skipped: about the text format, which pywasmjit does not read"] += 1
                case _:
                    pass
    print(dict(counts))
    assert not failures, "\n".join(failures)
    for kind, least in MINIMUM.items():
        assert counts[kind] >= least, counts


def test_empty_suite_directory_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(wast.SUITE_VARIABLE, str(tmp_path))
    with pytest.raises(InputError, match=r"no \.wast files"):
        wast.converted_suite()


def test_absent_suite_is_an_error_that_helps(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv(wast.SUITE_VARIABLE, raising=False)
    monkeypatch.setattr(wast, "BESIDE_CHECKOUT", tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(HostUnavailableError, match=r"apt install cargo.*PYWASMJIT_SPEC_SUITE"):
        wast.converted_suite()


def test_package_with_other_contents_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fetch(source: wast.Source, work: Path) -> Path:
        (work / "a.wast").write_text("(module)")
        return work

    source = wast.Source("sh", "dash", "package", "1", "", "0" * 64, fetch)
    monkeypatch.delenv(wast.SUITE_VARIABLE, raising=False)
    monkeypatch.setattr(wast, "BESIDE_CHECKOUT", tmp_path)
    monkeypatch.setattr(wast, "SOURCES", (source,))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(HostUnavailableError, match="other test scripts than expected"):
        wast.suite_directory()
    # With the right digest it is installed once, and then found without fetching.
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "a.wast").write_text("(module)")
    good = replace(source, digest=wast.directory_digest(tmp_path / "copy"))
    monkeypatch.setattr(wast, "SOURCES", (good,))
    first = wast.suite_directory()
    assert [path.name for path in first.iterdir()] == ["a.wast"]
    monkeypatch.setenv("PATH", "")
    assert wast.suite_directory() == first
