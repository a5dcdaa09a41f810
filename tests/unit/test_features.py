# SPDX-License-Identifier: GPL-2.0-only
"""FEATURES.md, the list of features that compilers emit by default, against what they emit."""

from __future__ import annotations

import os
import sys

import list_features
import pytest
from build_guests import Builder
from guest_cache import default_root
from wasi_recipes import MissingToolchainError
from wasmbinary import body, func_type, module, name, section, vec

from pywasmjit.wasm import decode
from pywasmjit.wasm.opcodes import I32

CODE = {
    "sign-ext": b"\x41\0\xc0\x1a",
    "bulk-memory": b"\x41\0\x41\0\x41\0\xfc\x0b\0",
    "nontrapping-fptoint": b"\x43\0\0\0\0\xfc\0\x1a",
    "reference-types": b"\xd0\x70\x1a",
    "atomics": b"\xfe\x03\0",
    "multivalue": b"\x02\1\x41\0\x41\0\x0b\x1a\x1a",
}


@pytest.mark.parametrize("feature", CODE)
def test_what_functions_use(feature: str) -> None:
    types = vec([func_type(), func_type(results=[I32, I32])]) if feature == "multivalue" else vec([func_type()])
    data = module(section(1, types), section(3, vec([b"\0"])), section(5, vec([b"\0\1"])),
                  section(10, vec([body(CODE[feature])])))  # fmt: skip
    assert list_features.used(decode(data)) == {feature}


def test_what_modules_use() -> None:
    mutable = module(section(2, vec([name("m") + name("g") + b"\3\x7f\1"])))
    assert list_features.used(decode(mutable)) == {"mutable-globals"}
    computed = module(section(6, vec([b"\x7f\0\x41\1\x41\2\x6a\x0b"])))
    assert list_features.used(decode(computed)) == {"extended-const"}


def test_what_the_section_declares() -> None:
    names = b"\2" + b"+\x08sign-ext" + b"-\x07atomics"
    assert list_features.declared(decode(module(section(0, name("target_features") + names)))) == {"sign-ext"}


@pytest.mark.parametrize(
    "toolchain",
    [
        pytest.param(entry[0], marks=() if "6 (Debian 12)" in entry[0] or "clang" in entry[0] else pytest.mark.long)
        for entry in list_features.TOOLCHAINS
    ],
)
def test_the_list_is_fresh(toolchain: str) -> None:
    builder = Builder(default_root(), os.cpu_count() or 1, lambda line: print(line, file=sys.stderr))
    guests = dict(list_features.TOOLCHAINS)[toolchain]
    try:
        line = list_features.row(builder, toolchain, guests)
    except MissingToolchainError as error:
        pytest.skip(str(error))
    assert line in list_features.OUTPUT.read_text().splitlines(), "run python3 scripts/list_features.py --write"
