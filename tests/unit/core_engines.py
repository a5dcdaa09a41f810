# SPDX-License-Identifier: GPL-2.0-only
"""Fixtures' material: the core with one of its engines, and a shorthand to instantiate."""

from __future__ import annotations

from collections.abc import Sequence

from tests.native.libcore import JIT, Core, Import, Instance, Trap
from tests.verify.assemble import Image


class Engine:
    """A core and the engine that instances are made with."""

    def __init__(self, name: str) -> None:
        self.name = name
        # Machine code and the sanitizer's shadow do not mix: the interpreter gets the latter.
        self.core = Core("plain", jit=True) if name == JIT else Core("sanitize")

    def load(self, image: Image, imports: Sequence[Import] = ()) -> Instance:
        return self.core.instance(self.core.image(image.build()), imports, self.name)


def outcome(instance: Instance, function: str | int, *args: int) -> list[int] | str:
    """Results, or the text of the trap."""
    try:
        return instance.call(function, *args)
    except Trap as trap:
        return trap.text
