# SPDX-License-Identifier: GPL-2.0-only
"""Mutated images, straight at the verifier; what it accepts is run, on both engines.

An image that was accepted must not crash anything, must end when polls say so, and must mean the
same to both engines.  The interpreter's process has the address and undefined behaviour sanitizers,
and a shadow that checks each instruction against all that the verifier promised (shadow.c).  Everything is made from a seed, which a failure shows; WJ_FUZZ_SEED and WJ_FUZZ_ROUNDS
override.
"""

from __future__ import annotations

import os
import random
import struct
from collections.abc import Iterator

import pytest

from tests.native.libcore import INTERP, JIT, Core, CoreError, Import, Instance, Trap, host
from tests.verify.assemble import FUNC, Image
from tests.verify.samples import SAMPLES, sample_image
from tests.verify.test_image import BASE
from tests.verify.test_rules import RULES

SEED = int(os.environ.get("WJ_FUZZ_SEED", "1"))
SHORT = int(os.environ.get("WJ_FUZZ_ROUNDS", "2000"))
LONG = 300_000

#: Polls until a guest is interrupted: enough to get anywhere, soon over.
POLLS = 200
INTERESTING = (0, 1, 2, 7, 8, 12, 14, 15, 16, 31, 32, 63, 64, 0x7F, 0x80, 0xF0, 0xFE, 0xFF)


def corpus() -> list[bytes]:
    images: list[Image] = [sample_image(sample) for sample in SAMPLES]
    images += [rule.accepted for rule in RULES] + [BASE]
    return sorted({image.build() for image in images})


def sections(raw: bytes) -> Iterator[tuple[int, int, int]]:
    """Number, offset and size of each section."""
    for i in range(struct.unpack_from("<I", raw, 20)[0]):
        yield struct.unpack_from("<III", raw, 64 + 12 * i)


def resize(raw: bytes, at: int, removed: int, added: bytes) -> bytes:
    """Replace bytes within a section and mend the sizes in the header."""
    out = bytearray(raw[:at] + added + raw[at + removed :])
    change = len(added) - removed
    struct.pack_into("<I", out, 16, len(out))
    for i, (_, offset, size) in enumerate(list(sections(raw))):
        if offset > at:
            struct.pack_into("<I", out, 64 + 12 * i + 4, offset + change)
        elif at < offset + size or (at == offset + size and size):
            struct.pack_into("<I", out, 64 + 12 * i + 8, size + change)
    return bytes(out)


def mutate(raw: bytes, others: list[bytes], rng: random.Random) -> bytes:
    """A few changes, most of them where code is."""
    for _ in range(rng.choice((1, 1, 1, 2, 3, 6))):
        ranges = [(offset, size) for number, offset, size in sections(raw) if size]
        code = [(offset, size) for number, offset, size in sections(raw) if number == 11 and size]
        choice = rng.random()
        if choice < 0.05 or not ranges:
            at = rng.randrange(len(raw))
        else:
            offset, size = rng.choice(code if code and choice < 0.85 else ranges)
            # The section table may lie by now.
            at = min(offset + rng.randrange(size), len(raw) - 1)
        kind = rng.random()
        if kind < 0.35:
            raw = raw[:at] + bytes([raw[at] ^ 1 << rng.randrange(8)]) + raw[at + 1 :]
        elif kind < 0.6:
            raw = raw[:at] + bytes([rng.choice(INTERESTING)]) + raw[at + 1 :]
        elif kind < 0.75:
            raw = raw[:at] + rng.randbytes(1) + raw[at + 1 :]
        elif kind < 0.83:
            # Of the same length: the sizes of bodies stay right.
            length = rng.randrange(1, 9)
            other = rng.choice(others)
            start = rng.randrange(64, len(other))
            piece = other[start : start + length]
            raw = raw[:at] + piece + raw[at + len(piece) :]
        elif kind < 0.92 and at >= 64:
            length = rng.randrange(0, 4)
            raw = resize(raw, at, length if at + length <= len(raw) else 0, rng.randbytes(length))
        elif at >= 64:
            raw = resize(raw, at, 1, b"")
        if len(raw) < 64 or struct.unpack_from("<I", raw, 20)[0] > 12:
            break
        if 64 + 12 * struct.unpack_from("<I", raw, 20)[0] > len(raw):
            break
    return raw


def is_nan(value: int) -> bool:
    """Could this be a NaN, whose sign and payload are the engine's to choose?"""
    return value & 0x7FF0000000000000 == 0x7FF0000000000000 or value & 0x7F800000 == 0x7F800000


class Half:
    """One engine: loads an image, runs it, says what is to be seen."""

    def __init__(self, engine: str) -> None:
        self.engine = engine
        self.core = Core("plain", jit=True, canaries=True) if engine == JIT else Core("shadow")

    def load(self, raw: bytes) -> str:
        """ "" or why it was rejected."""
        try:
            self.image = self.core.image(raw)
        except CoreError as error:
            return str(error)
        return ""

    def run(self, rng: random.Random, functions: range) -> list[object]:
        seen: list[object] = []
        imports = []
        for _, _, kind in self.core.imports(self.image):
            imports.append(host("print") if kind == FUNC else Import("none"))
        try:
            instance = self.core.instance(self.image, imports, self.engine)
        except CoreError as error:
            return [error.message]
        except Trap as trap:
            instance = trap.__dict__["instance"]
            seen.append(trap.text)
        for function in functions:
            seen += self.call(instance, function, rng)
        size = min(instance.memory_size(), 65536)
        seen.append(instance.read(0, size))
        self.core.printed.clear()
        return seen

    def call(self, instance: Instance, function: int, rng: random.Random) -> list[object]:
        instance.set_poll(1, POLLS)
        # The driver takes as many as the function has parameters.
        args = [rng.choice((0, 1, 8, 65528, 0x7FFFFFFF, 1 << 63, rng.getrandbits(64))) for _ in range(30)]
        try:
            return [[None if is_nan(value) else value for value in instance.call(function, *args)]]
        except (Trap, CoreError) as error:
            text = str(error)
            # Where the stack ends is not the same, nor how many polls one function takes then.
            return ["stopped" if "exhausted" in text or "interrupted" in text else text]


def fuzz(rounds: int, seed: int) -> tuple[int, int]:
    """Rounds, accepted images."""
    rng = random.Random(seed)
    seeds = corpus()
    accepted = 0
    interp, jit = Half(INTERP), Half(JIT)
    try:
        for number in range(rounds):
            raw = mutate(rng.choice(seeds), seeds, rng)
            where = f"seed {seed}, round {number}: {raw.hex()}"
            try:
                verdict = interp.load(raw)
                assert jit.load(raw) == verdict, where
                if verdict:
                    continue
                accepted += 1
                order = rng.getrandbits(32)
                results = [half.run(random.Random(order), range(3)) for half in (interp, jit)]
            except Exception as error:
                raise AssertionError(where) from error
            stopped = any("stopped" in map(str, found) for found in results)
            # One that was stopped half-way may have got to another place.
            assert stopped or results[0] == results[1], where
            if accepted % 50 == 0:
                assert interp.core.reset() == 0, where
                assert jit.core.reset() == 0, where
    finally:
        interp.core.close()
        jit.core.close()
    return rounds, accepted


def test_mutated_images() -> None:
    rounds, accepted = fuzz(SHORT, SEED)
    # Some of each, or nothing was tried.
    assert rounds * 0.02 < accepted < rounds * 0.9


@pytest.mark.long
@pytest.mark.timeout(7200)
def test_many_mutated_images() -> None:
    fuzz(LONG, SEED + 1)


def test_corpus_is_accepted() -> None:
    with Core("plain") as core:
        for raw in corpus():
            core.drop_image(core.image(raw))
