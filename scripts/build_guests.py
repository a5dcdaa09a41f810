# SPDX-License-Identifier: GPL-2.0-only
"""Build the programs that run as guests, from Debian's unmodified source packages.

    python3 scripts/build_guests.py --list
    python3 scripts/build_guests.py nginx lua sqlite3 -o DIR
    python3 scripts/build_guests.py tests             every program in tests/guests

Results are kept in ${XDG_CACHE_HOME:-~/.cache}/pywasmjit/guests/<hash>/, where
the hash covers this program, the overlay and the versions of the tools, so a
second run only prints where they are.  An interrupted run leaves nothing that
a later one would mistake for a result.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from debian_source import SourceError, SourceStore, debian_version
from guest_cache import Cache, default_root, file_inputs, hash_inputs
from guest_recipes import PLAIN_PROGRAMS, Context, Recipe, all_recipes, program_names
from guest_toolchain import ROOT, BuildError, Toolchain, toolchain_versions
from wasi_recipes import wasi_program_names

# Whatever of these changes, everything is built again.
BUILDER_FILES: Final = (
    "scripts/build_guests.py",
    "scripts/debian_source.py",
    "scripts/emscripten_env.py",
    "scripts/guest_recipes.py",
    "scripts/guest_toolchain.py",
)


class Builder:
    """Builds recipes and what they need, each once, results in the cache."""

    def __init__(self, root: Path, jobs: int, report: Callable[[str], None]) -> None:
        self.cache = Cache(root / "guests")
        self.store = SourceStore(root / "sources")
        self.jobs = jobs
        self.report = report
        self.recipes = all_recipes()
        self._builder_inputs = [
            ("versions", toolchain_versions().encode()),
            *file_inputs(ROOT, BUILDER_FILES),
        ]

    def key(self, name: str) -> str:
        recipe = self.recipes[name]
        return hash_inputs(
            [
                ("recipe", name.encode()),
                ("settings", recipe.settings().encode()),
                *self._builder_inputs,
                *file_inputs(ROOT, recipe.inputs),
                *((need, self.key(need).encode()) for need in recipe.needs),
            ]
        )

    def result(self, name: str) -> Path:
        """The result directory of a recipe, built if it is not there."""
        recipe = self.recipes[name]
        key = self.key(name)
        present = self.cache.get(key)
        if present is not None:
            return present
        needs = {need: self.result(need) for need in recipe.needs}
        return self.cache.get_or_build(key, lambda work, out: self._build(recipe, needs, work, out))[0]

    def results(self, names: Sequence[str]) -> Iterator[Path]:
        """Result directories in the order of the names, as they come.

        Two guests at a time: the one-process parts of one (configure, link)
        overlap with the compilers of the other.
        """
        with ThreadPoolExecutor(2) as pool:
            futures = [pool.submit(self.result, name) for name in names]
            try:
                for future in futures:
                    yield future.result()
            finally:
                for future in futures:
                    future.cancel()

    def _build(self, recipe: Recipe, needs: dict[str, Path], work: Path, out: Path) -> None:
        start = time.monotonic()
        log = work / "build.log"

        def report(message: str) -> None:
            self.report(f"[{time.monotonic() - start:5.1f} s] {recipe.name}: {message}")

        context = Context(work, out, needs, self.store, Toolchain(log, self.jobs), report)
        try:
            recipe.build(context)
        except BuildError as error:
            kept = self.cache.root / f"failed-{recipe.name}.log"
            if log.exists():
                shutil.copy(log, kept)
            raise BuildError(f"{recipe.name}: {error}\nThe whole log: {kept}") from error
        shutil.copy(log, out / "build.log")
        manifest = {
            "recipe": recipe.name,
            "sources": {
                package.name: debian_version(self.store.fetch(package)) for package in recipe.sources
            },
            "tools": toolchain_versions().splitlines(),
            "seconds": round(time.monotonic() - start, 1),
        }
        (out / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")
        report("done")


def expand(names: Sequence[str]) -> list[str]:
    """Recipe names for what the user typed: `tests` means all test programs."""
    expanded: list[str] = []
    for name in names:
        if name == "tests":
            expanded += [*program_names(), *(f"{plain}-plain" for plain in PLAIN_PROGRAMS)]
            expanded += wasi_program_names()
        else:
            expanded.append(name)
    return list(dict.fromkeys(expanded))


def copy_modules(result: Path, into: Path) -> list[Path]:
    """Copy the modules of a result so that a reader never sees half of one."""
    into.mkdir(parents=True, exist_ok=True)
    copied = []
    for module in sorted(result.glob("*.wasm")):
        partial = into / f".{module.name}.{os.getpid()}"
        shutil.copy(module, partial)
        partial.rename(into / module.name)
        copied.append(into / module.name)
    return copied


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description="Build guests from Debian's source packages.",
        epilog='Needs the packages of scripts/packages.txt, below "guests from source".',
    )
    parser.add_argument("guest", nargs="*", help="what to build; `tests`: all test programs")
    parser.add_argument("-o", "--output", type=Path, metavar="DIR", help="copy modules there")
    parser.add_argument("-j", "--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--list", action="store_true", help="print what can be built")
    parser.add_argument("--cache", type=Path, default=default_root(), metavar="DIR")
    options = parser.parse_args(arguments)
    recipes = all_recipes()
    if options.list:
        for recipe in recipes.values():
            print(f"{recipe.name:14} {recipe.summary}")
        return 0
    names = expand(options.guest)
    unknown = [name for name in names if name not in recipes]
    if unknown or not names:
        parser.error(f"no such guest: {', '.join(unknown)}" if unknown else "build what?")
    builder = Builder(options.cache, options.jobs, lambda line: print(line, file=sys.stderr))
    try:
        for result in builder.results(names):
            modules = copy_modules(result, options.output) if options.output else []
            for path in modules or sorted(result.glob("*.wasm")) or [result]:
                print(path)
    except (BuildError, SourceError) as error:
        print(f"build_guests: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
