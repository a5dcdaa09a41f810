# SPDX-License-Identifier: GPL-2.0-only
"""Differential fuzzing for some minutes: ``python -m tests.fuzz.differential --minutes 10``.

Each worker takes its own seeds, one after another.  A difference is minimised and written to
tests/fuzz/finds, where it is a test from then on; the run is noted in tests/fuzz/ledger.tsv.
Exit status 1 if there was one.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

from pywasmjit.errors import PywasmjitError
from pywasmjit.wasm import decode
from tests.fuzz import minimise
from tests.fuzz.compare import Difference, Engines, calls_of
from tests.fuzz.sources import SHARES, SOURCES, MissingTool, wasm_tools

HERE: Final = Path(__file__).resolve().parent
LEDGER: Final = HERE / "ledger.tsv"
#: Seconds after which a module hangs: they take milliseconds.
PATIENCE: Final = 60


class Hang(Exception):
    """A module took too long."""


@contextlib.contextmanager
def patience(seconds: int) -> Iterator[None]:
    def give_up(*_: object) -> None:
        raise Hang(f"no answer in {seconds} seconds")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@dataclass
class Tally:
    modules: Counter[str] = field(default_factory=Counter)
    calls: int = 0
    not_made: Counter[str] = field(default_factory=Counter)
    """Where the generator failed, not we."""
    finds: list[str] = field(default_factory=list)


def one(engines: Engines, name: str, seed: int, tally: Tally, directory: Path) -> None:
    """One module; a find is minimised and written down."""
    try:
        raw = SOURCES[name](seed)
    except (RuntimeError, subprocess.CalledProcessError):
        tally.not_made[name] += 1
        return
    tally.modules[name] += 1
    try:
        with patience(PATIENCE):
            tally.calls += engines.check(raw, seed=seed)
        return
    except (Difference, Hang) as error:
        why = str(error)
        if isinstance(error, Hang):
            engines.restart()
    except Exception:
        # Of pywasmjit (a valid module refused) or of this test: both are to be mended.
        why = traceback.format_exc(limit=-3)
        engines.restart()
    tally.finds.append(f"{name}:{seed}")
    print(f"fuzz: {name}:{seed}: {why[:300]}", flush=True)
    directory.mkdir(parents=True, exist_ok=True)
    (directory / f"{name}-{seed}.wasm").write_bytes(raw)
    try:
        with patience(600):
            small = minimise.minimise(engines, raw, calls_of(decode(raw), seed), seed)
        place = minimise.write(f"{name}-{seed}", small.raw, small.calls, seed, small.message, directory)
        print(f"fuzz: {place}", flush=True)
    except (Hang, ValueError, PywasmjitError, subprocess.CalledProcessError) as error:
        print(f"fuzz: {name}:{seed} is not minimised ({error}): {directory / name}-{seed}.wasm", flush=True)
        engines.restart()


def schedule(names: list[str], worker: int, workers: int, first: int) -> Iterator[tuple[str, int]]:
    """Generator and seed, each in its share; worker w takes seeds first + w, first + w + workers..."""
    credit = dict.fromkeys(names, 0.0)
    following = dict.fromkeys(names, first + worker)
    while True:
        for name in names:
            credit[name] += SHARES[name]
        name = max(names, key=lambda n: credit[n])
        credit[name] -= sum(SHARES[n] for n in names)
        yield name, following[name]
        following[name] += workers


def work(names: list[str], worker: int, workers: int, first: int, end: float, count: int, directory: Path, pipe: Any) -> None:
    # In the background of a shell SIGINT is ignored; either ends a run, which is noted all the same.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    tally = Tally()
    engines = Engines()
    progress = directory / f"progress-{os.getpid()}"
    directory.mkdir(parents=True, exist_ok=True)
    try:
        for name, seed in schedule(names, worker, workers, first):
            total = sum(tally.modules.values())
            if time.monotonic() > end or (count and total >= count):
                break
            one(engines, name, seed, tally, directory)
            if total % 500 == 499:
                # Survives an end that is not ours.
                progress.write_text(json.dumps([tally.modules, tally.calls, tally.finds]))
    except KeyboardInterrupt:
        print("fuzz: ends early", flush=True)
    finally:
        engines.close()
        progress.unlink(missing_ok=True)
        pipe.send(tally)
        pipe.close()


def run(names: list[str], workers: int, first: int, minutes: float, count: int, directory: Path) -> Tally:
    """``count`` modules (0: as many as there is time for) from all workers."""
    end = time.monotonic() + minutes * 60
    context = get_context("fork")
    pipes = []
    for worker in range(workers):
        ours, theirs = context.Pipe(duplex=False)
        share = -(-count // workers)
        context.Process(target=work, args=(names, worker, workers, first, end, share, directory, theirs)).start()
        theirs.close()
        pipes.append(ours)
    whole = Tally()
    # They are told to end as well, and answer.
    before = [signal.signal(number, lambda *_: None) for number in (signal.SIGINT, signal.SIGTERM)]
    for pipe in pipes:
        tally: Tally = pipe.recv()
        whole.modules += tally.modules
        whole.not_made += tally.not_made
        whole.calls += tally.calls
        whole.finds += tally.finds
    for number, handler in zip((signal.SIGINT, signal.SIGTERM), before, strict=True):
        signal.signal(number, handler)
    return whole


def note(tally: Tally, first: int, seconds: float) -> None:
    """A line in the ledger."""
    revision = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=HERE, capture_output=True, text=True).stdout.strip()
    if not LEDGER.exists():
        LEDGER.write_text("date\trevision\tfirst seed\tmodules\tcalls\tseconds\tfinds\n")
    modules = " ".join(f"{name}:{n}" for name, n in sorted(tally.modules.items()))
    date = time.strftime("%Y-%m-%d %H:%M", time.gmtime())
    with LEDGER.open("a") as file:
        finds = " ".join(tally.finds) or "none"
        file.write(f"{date}\t{revision or '-'}\t{first}\t{modules}\t{tally.calls}\t{seconds:.0f}\t{finds}\n")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--modules", type=int, default=0, help="stop after so many")
    parser.add_argument("--generators", default="own,smith,ttf")
    parser.add_argument("--seed", type=int, help="the first one; by default another each second")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--output", type=Path, default=minimise.FINDS, help="where finds go")
    parser.add_argument("--no-ledger", action="store_true")
    options = parser.parse_args()
    names = options.generators.split(",")
    if unknown := set(names) - set(SOURCES):
        parser.error(f"no such generator: {', '.join(sorted(unknown))}; there are {', '.join(SOURCES)}")
    try:
        if "smith" in names:
            wasm_tools()
    except MissingTool as error:
        print(f"fuzz: {error}", file=sys.stderr)
        return 77
    first = options.seed if options.seed is not None else int(time.time()) * 1000
    start = time.monotonic()
    tally = run(names, options.jobs, first, options.minutes, options.modules, options.output)
    seconds = time.monotonic() - start
    total = sum(tally.modules.values())
    print(
        f"fuzz: {total} modules from seed {first} ({', '.join(f'{n} {c}' for n, c in sorted(tally.modules.items()))}), "
        f"{tally.calls} calls on three engines, {seconds:.0f} s, {total * 60 / max(seconds, 1):.0f} a minute, "
        f"{len(tally.finds)} finds; generators failed {sum(tally.not_made.values())} times"
    )
    if not options.no_ledger:
        note(tally, first, seconds)
    return 1 if tally.finds else 0


if __name__ == "__main__":
    sys.exit(main())
