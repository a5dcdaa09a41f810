# SPDX-License-Identifier: GPL-2.0-only
"""Read kmod/host/imports.def, the table of functions that guests may import."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

TABLE_PATH: Final = Path(__file__).resolve().parent.parent / "kmod" / "host" / "imports.def"
ORIGINS: Final = ("LIBC", "STUB", "OVERLAY", "TIME64")

_LINE: Final = re.compile(r'IMPORT\((\w+), (\w+), "([viIfd]:[iIfd]*)", (\w+), (\w+)\)')
_INVOKE: Final = re.compile(r"invoke_([vijfd])([ijfd]*)")


class ImportTableError(Exception):
    """A line of the table is not of its form."""


@dataclass(frozen=True)
class Import:
    """One line.  signature is result, colon, parameters, in letters v i I f d."""

    module: str
    name: str
    signature: str
    handler: str
    origin: str

    @property
    def key(self) -> tuple[str, str, str]:
        return (self.module, self.name, self.signature)


def parse_table(text: str) -> list[Import]:
    """The lines in their order.  Raises ImportTableError naming the line."""
    return list(_parse(text))


def _parse(text: str) -> Iterator[Import]:
    without_comments = re.sub(
        r"/\*.*?\*/", lambda comment: "\n" * comment.group().count("\n"), text, flags=re.DOTALL
    )
    for number, line in enumerate(without_comments.splitlines(), 1):
        if not line.strip():
            continue
        found = _LINE.fullmatch(line.strip())
        if found is None:
            raise ImportTableError(f"line {number}: not an IMPORT(...) line: {line.strip()}")
        entry = Import(*found.groups())
        if entry.origin not in ORIGINS:
            raise ImportTableError(f"line {number}: origin {entry.origin} is not in {ORIGINS}")
        yield entry


def load_table(path: Path = TABLE_PATH) -> list[Import]:
    return parse_table(path.read_text())


def invoke_signature(name: str) -> str | None:
    """Signature of an invoke_* import, from its name alone; None if it is not one.

    The letters are those of the called function, j for an i64; the import has
    the function's table index in front of the parameters.
    """
    found = _INVOKE.fullmatch(name)
    if found is None:
        return None
    result, parameters = found.groups()
    return (result + ":i" + parameters).replace("j", "I")
