# SPDX-License-Identifier: GPL-2.0-only
"""`make bench-quick`: guests under the JIT against the same sources built natively.

The lua and sqlite3 shells, each with a workload of at least a second, then the small programs of
bench/programs and the geometric mean of their ratios.  User CPU time, interleaved, medians; a
guest's includes starting and compiling it.  Native programs are built with clang -O2, the guests'
compiler, from the same sources, and must print the same.  Exits 1 if lua or sqlite3 is slower than
the floor.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]

from build_guests import Builder  # noqa: E402
from emscripten_env import clang, environment  # noqa: E402
from guest_cache import default_root  # noqa: E402
from guest_recipes import LUA, LUA_DEFINES, SQLITE, SQLITE_OPTIONS  # noqa: E402

from pywasmjit import launch  # noqa: E402
from pywasmjit.vm import cache  # noqa: E402

FLOOR = 2.2

LUA_PROGRAM = """
local function fib(n) if n < 2 then return n end return fib(n - 1) + fib(n - 2) end
print(fib(35))
local s = {}
for i = 1, 600000 do s[#s + 1] = tostring(i):rep(2):sub(2, 5) end
local n = 0
for w in table.concat(s):gmatch("12") do n = n + 1 end
local m = {}
for i = 1, 1000000 do m[i] = (i * 7919) % 1000003 end
table.sort(m)
print(n, m[1], m[#m])
"""

SQL_PROGRAM = """
CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT, c REAL);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1500000)
    INSERT INTO t SELECT i, 'row' || (i * 7919 % 100003), i * 0.5 FROM n;
CREATE INDEX tb ON t(b);
SELECT count(*), sum(c), max(b) FROM t WHERE b LIKE '%99%';
SELECT b, count(*) k FROM t GROUP BY b ORDER BY k DESC, b LIMIT 2;
SELECT count(*) FROM t x JOIN t y ON x.b = y.b WHERE x.a < 20000;
"""


EMCC_FLAGS = ("-O2", "-sINITIAL_MEMORY=64MB", "-sALLOW_MEMORY_GROWTH=1")
PROGRAMS = sorted((ROOT / "bench" / "programs").glob("*.c"))


def cached(name: str, parts: list[bytes], build: Callable[[Path], None]) -> Path:
    """What build() makes of these inputs, kept by their hash."""
    target = cache.root().parent / "bench" / f"{name}-{cache.digest(parts)}"
    target.parent.mkdir(parents=True, exist_ok=True)
    return cache.build_once(target, build)


def native_shell(builder: Builder, name: str) -> Path:
    """The lua or sqlite3 shell from Debian's source, with the guest's options."""

    def lua(directory: Path) -> tuple[list[Path], list[str]]:
        source = builder.store.unpack(LUA, directory / "source") / "src"
        (source / "lua5.4-deb-multiarch.h").write_text('#define DEB_HOST_MULTIARCH "native"\n')
        files = [path for path in sorted(source.glob("*.c")) if path.name != "luac.c"]
        return files, [*LUA_DEFINES, "-std=gnu99"]

    def sqlite(directory: Path) -> tuple[list[Path], list[str]]:
        source = builder.store.unpack(SQLITE, directory / "source")
        subprocess.run(
            ["make", "-s", "-f", source / "main.mk", f"TOP={source}", "BCC=gcc -O1", "BEXE=", "NAWK=awk",
             "OPTS=-DSQLITE_ENABLE_UPDATE_DELETE_LIMIT=1", "sqlite3.c", "shell.c"],
            cwd=directory, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        flags = ["-fno-strict-aliasing", "-w", f"-I{directory}", *(f"-D{o}" for o in SQLITE_OPTIONS)]
        return [directory / "sqlite3.c", directory / "shell.c"], flags

    def build(target: Path) -> None:
        with tempfile.TemporaryDirectory() as directory:
            files, flags = (lua if name == "lua" else sqlite)(Path(directory))
            native(files, flags, target)

    package = LUA if name == "lua" else SQLITE
    options = LUA_DEFINES if name == "lua" else SQLITE_OPTIONS
    return cached(name, [clang().encode(), repr(package).encode(), repr(options).encode()], build)


def native(files: list[Path], flags: list[str], target: Path) -> None:
    """Compile and link natively."""
    libraries = ["-lm", "-ldl", "-lpthread"]
    subprocess.run([clang(), "-O2", *flags, *map(str, files), "-o", str(target), *libraries], check=True)


def native_program(source: Path) -> Path:
    return cached(
        source.stem, [clang().encode(), source.read_bytes()], lambda target: native([source], [], target)
    )


def guest_program(source: Path) -> Path:
    """The module, by plain emcc."""

    def build(target: Path) -> None:
        with tempfile.TemporaryDirectory() as directory:
            script = Path(directory) / "program.js"
            subprocess.run(
                ["emcc", *EMCC_FLAGS, str(source), "-o", str(script)],
                env=environment(), check=True, cwd=directory,
            )  # fmt: skip
            target.write_bytes(script.with_suffix(".wasm").read_bytes())

    return cached(f"{source.stem}.wasm", [repr(EMCC_FLAGS).encode(), source.read_bytes()], build)


def cpu_seconds(command: list[str], text: str) -> tuple[float, str]:
    """User CPU time of the command, and what it printed."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=True)
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before, done.stdout


def compare(name: str, program: Path, wasm: Path, arguments: list[str], text: str, runs: int) -> float:
    """Print the medians; return their ratio."""
    times: dict[str, list[float]] = {"native": [], "jit": []}
    outputs = set()
    with tempfile.TemporaryDirectory() as directory:
        image = Path(directory) / "image"
        image.write_bytes(launch.lower(wasm.read_bytes(), lambda line: None))
        commands = {
            "native": [str(program), *arguments],
            "jit": [str(launch.launcher()), "--engine=jit", f"--image={image}", "--", name, *arguments],
        }
        for _ in range(runs):
            for which, command in commands.items():
                seconds, output = cpu_seconds(command, text)
                times[which].append(seconds)
                outputs.add(output)
    if len(outputs) != 1:
        raise SystemExit(f"{name}: the outputs differ")
    native_time, jit_time = (statistics.median(times[which]) for which in ("native", "jit"))
    ratio = jit_time / native_time
    print(f"{name:10} native {native_time:.2f} s  jit {jit_time:.2f} s  ratio {ratio:.2f}", flush=True)
    return ratio


def main() -> int:
    parser = argparse.ArgumentParser(description="guests under the JIT against native programs")
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    builder = Builder(default_root(), 2, lambda line: print(line, file=sys.stderr))
    slow = False
    for guest, arguments, text in (("lua", ["-"], LUA_PROGRAM), ("sqlite3", [":memory:"], SQL_PROGRAM)):
        (wasm,) = builder.result(guest).glob("*.wasm")
        program = native_shell(builder, guest)
        slow |= compare(guest, program, wasm, arguments, text, options.runs) > FLOOR
    print(f"floor: at most {FLOOR} for each: {'missed' if slow else 'kept'}")
    ratios = [
        compare(source.stem, native_program(source), guest_program(source), [], "", options.runs)
        for source in PROGRAMS
    ]
    print(f"bench/programs: geometric mean of {len(ratios)} ratios {statistics.geometric_mean(ratios):.2f}")
    return int(slow)


if __name__ == "__main__":
    sys.exit(main())
