# SPDX-License-Identifier: GPL-2.0-only
"""A short run of the differential fuzzer from fixed seeds, and every find it ever made."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import wasmtime

from pywasmjit.wasm import decode
from tests.fuzz import minimise
from tests.fuzz.compare import Call, Difference, Engines, calls_of, reference
from tests.fuzz.differential import LEDGER, run, schedule
from tests.fuzz.sources import SOURCES

FIRST = 77


@pytest.fixture(scope="module")
def engines() -> Iterator[Engines]:
    found = Engines()
    yield found
    found.close()


@pytest.mark.parametrize(("name", "count"), [("own", 300), ("ttf", 12)])
def test_engines_agree(engines: Engines, name: str, count: int) -> None:
    compared = 0
    for seed in range(FIRST, FIRST + count):
        compared += engines.check(SOURCES[name](seed), seed=seed)
    assert compared > 2 * count


def test_sanitized_core_agrees() -> None:
    """The core under address and undefined behaviour sanitizers, JIT code within it."""
    engines = Engines("sanitize")
    try:
        for seed in range(FIRST + 1000, FIRST + 1040):
            engines.check(SOURCES["own"](seed), seed=seed)
    finally:
        engines.close()


def test_finds(engines: Engines) -> None:
    """All that ever differed: none does."""
    for path in sorted(minimise.FINDS.glob("*.wat")):
        raw, calls, seed = minimise.read(path)
        try:
            engines.check(raw, calls, seed)
        except Difference as error:
            raise AssertionError(path) from error


def test_generator_reaches_what_it_is_for() -> None:
    """Some of everything in few modules: most calls return, each trap occurs, state changes."""
    seen: set[str] = set()
    returned = calls = 0
    memories = set()
    for seed in range(150):
        raw = SOURCES["own"](seed)
        module = decode(raw)
        out = reference(raw, module, calls_of(module, seed))
        seen.update(text for text in out.calls if not text.startswith("ok"))
        returned += sum(text.startswith("ok") for text in out.calls)
        calls += len(out.calls)
        memories.add(out.memory)
    assert returned > calls * 0.6
    assert len(memories) > 140
    assert seen >= {
        "trap unreachable", "trap out of bounds memory access", "trap out of bounds table access",
        "trap integer divide by zero", "trap indirect call type mismatch",
    }  # fmt: skip


class Planted:
    """Engines that disagree wherever a module multiplies."""

    def check(self, raw: bytes, calls: Sequence[Call], seed: int) -> int:
        if not calls:
            return 0
        if any(b"\x6c" in cuts for _, cuts in minimise.take_apart(raw)[1]):
            raise Difference("jit (native), interp: f0(0x1): 'ok 1', 'ok 2'")
        return len(calls)


def test_minimiser(tmp_path: Path) -> None:
    """Down to the multiplication and what it needs; written, read and parsed again."""
    seed = next(s for s in range(100) if any(cuts.count(b"\x6c") > 2 for _, cuts in minimise.take_apart(SOURCES["own"](s))[1]))
    raw = SOURCES["own"](seed)
    engines: Any = Planted()
    small = minimise.minimise(engines, raw, calls_of(decode(raw), seed), seed, lambda _: None)
    assert len(small.calls) == 1
    bodies = minimise.take_apart(small.raw)[1]
    assert sum(len(cuts) for _, cuts in bodies) <= 9 + len(bodies)
    path = minimise.write("planted", small.raw, small.calls, seed, small.message, tmp_path)
    again, calls, number = minimise.read(path)
    assert calls == small.calls and number == seed
    assert minimise.take_apart(again)[1] == bodies
    wasmtime.Module.validate(wasmtime.Engine(), again)


def test_schedule_gives_each_seed_once() -> None:
    taken: list[tuple[str, int]] = []
    for worker in (0, 1):
        steps = schedule(["own", "smith", "ttf"], worker, 2, 10)
        taken += [next(steps) for _ in range(200)]
    assert len(set(taken)) == 400
    assert sum(name == "own" for name, _ in taken) == 368


def test_run_counts(tmp_path: Path) -> None:
    tally = run(["own"], 2, 1, 5, 20, tmp_path)
    assert tally.modules == {"own": 20} and not tally.finds
    assert not list(tmp_path.iterdir())


def test_ledger_has_no_open_find() -> None:
    """What a run found is a test in finds/ (or was mended in the generator, and is named there)."""
    lines = LEDGER.read_text().splitlines()
    assert lines[0].split("\t")[0] == "date"
    for line in lines[1:]:
        for find in line.split("\t")[6].split():
            name = find.replace(":", "-")
            assert find == "none" or (minimise.FINDS / f"{name}.wat").exists(), f"{find} has no test"
