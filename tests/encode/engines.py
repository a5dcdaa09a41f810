# SPDX-License-Identifier: GPL-2.0-only
"""Run the same image in both engines and compare all there is to see."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from tests.native.libcore import INTERP, JIT, Code, Core, Import, Instance
from tests.verify.assemble import Image

# kmod/core/jit_x86.h
SSE41, POPCNT, LZCNT, BMI1, BMI2, AVX = (1 << bit for bit in range(6))
# kmod/core/platform.h
RETPOLINE, RETHUNK, IBT, BHB, BLIND, SMAP = (1 << bit for bit in range(6))


@dataclass(frozen=True)
class Variant:
    """Features (-1: those of this machine) and mitigations to compile with."""

    name: str
    features: int = -1
    mitigations: int = 0


VARIANTS: Final = (
    Variant("native"),
    Variant("baseline", SSE41),
    Variant("hardened", -1, RETPOLINE | RETHUNK | IBT | BHB | BLIND),
    Variant("baseline-blind", SSE41, BLIND),
)

Answer = str
"""What the driver said of a call: "ok hex...", or "trap number text"."""


@dataclass
class Pair:
    """One image instantiated in both engines."""

    core: Core
    jit: Instance
    interp: Instance
    image: int
    indices: dict[str, int] = field(default_factory=dict)

    def call(self, function: int, calls: Sequence[Sequence[int]]) -> list[tuple[Answer, Answer]]:
        """Answers of the JIT and of the interpreter, call by call."""
        lines = []
        for args in calls:
            words = " ".join(map(str, args))
            lines.append(f"call {self.jit.number} {function} {words}")
            lines.append(f"call {self.interp.number} {function} {words}")
        answers = self.core.commands(lines)
        return list(zip(answers[::2], answers[1::2], strict=True))

    def one(self, function: int, *args: int) -> Answer:
        """The answer, which is the same in both engines, as is the backtrace."""
        ((jit, interp),) = self.call(function, [args])
        assert jit == interp
        assert self.jit.backtrace() == self.interp.backtrace()
        return jit

    def same_state(self, at: Iterable[int] = (0,), span: int = 0) -> None:
        """Memories are the same, whole or in ``span`` bytes from each address."""
        size = self.jit.memory_size()
        assert size == self.interp.memory_size()
        for start in sorted(at):
            assert self.jit.read(start, span or size) == self.interp.read(start, span or size)


@dataclass(frozen=True)
class Engines:
    """How to run images: one process, one way of compiling."""

    core: Core
    variant: Variant

    def compile(self, image: Image | bytes) -> int:
        number = self.core.image(image.build() if isinstance(image, Image) else image)
        self.core.compile(number, self.variant.features, self.variant.mitigations)
        return number

    def code(self, image: Image | bytes) -> Code:
        return self.core.code(self.compile(image))

    def pair(self, image: Image | bytes, imports: Sequence[Import] = ()) -> Pair:
        number = self.compile(image)
        jit = self.core.instance(number, imports, JIT)
        return Pair(self.core, jit, self.core.instance(number, imports, INTERP), number)
