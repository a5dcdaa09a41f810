# SPDX-License-Identifier: GPL-2.0-only
"""`make bench-quick`: lua and sqlite3 under the JIT against the same sources built natively.

User CPU time, interleaved, medians.  Native programs are built with clang -O2 from the source
packages that the guests are built from.  Exits 1 if a workload is slower than the floor.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]

from build_guests import Builder  # noqa: E402
from guest_cache import default_root  # noqa: E402
from guest_recipes import LUA, LUA_DEFINES, SQLITE, SQLITE_OPTIONS  # noqa: E402

from pywasmjit import launch  # noqa: E402

FLOOR = 2.2

LUA_PROGRAM = """
local function fib(n) if n < 2 then return n end return fib(n - 1) + fib(n - 2) end
print(fib(33))
local s = {}
for i = 1, 600000 do s[#s + 1] = tostring(i):rep(2):sub(2, 5) end
local n = 0
for w in table.concat(s):gmatch("12") do n = n + 1 end
local m = {}
for i = 1, 800000 do m[i] = (i * 7919) % 1000003 end
table.sort(m)
print(n, m[1], m[#m])
"""

SQL_PROGRAM = """
CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT, c REAL);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 800000)
    INSERT INTO t SELECT i, 'row' || (i * 7919 % 100003), i * 0.5 FROM n;
CREATE INDEX tb ON t(b);
SELECT count(*), sum(c), max(b) FROM t WHERE b LIKE '%99%';
SELECT b, count(*) k FROM t GROUP BY b ORDER BY k DESC, b LIMIT 2;
SELECT count(*) FROM t x JOIN t y ON x.b = y.b WHERE x.a < 20000;
"""


def build_native(builder: Builder, name: str, into: Path) -> Path:
    """The shell built with clang -O2 from Debian's source, with the guest's options."""
    target = into / name
    if name == "lua":
        source = builder.store.unpack(LUA, into / "lua-source") / "src"
        (source / "lua5.4-deb-multiarch.h").write_text('#define DEB_HOST_MULTIARCH "native"\n')
        files = [path for path in sorted(source.glob("*.c")) if path.name != "luac.c"]
        flags = [*LUA_DEFINES, "-std=gnu99"]
    else:
        source = builder.store.unpack(SQLITE, into / "sqlite-source")
        generated = into / "generated"
        generated.mkdir()
        subprocess.run(
            ["make", "-s", "-f", source / "main.mk", f"TOP={source}", "BCC=gcc -O1", "BEXE=", "NAWK=awk",
             "OPTS=-DSQLITE_ENABLE_UPDATE_DELETE_LIMIT=1", "sqlite3.c", "shell.c"],
            cwd=generated, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        files = [generated / "sqlite3.c", generated / "shell.c"]
        flags = ["-fno-strict-aliasing", "-w", "-I", str(generated), *(f"-D{o}" for o in SQLITE_OPTIONS)]
    command = ["clang", "-O2", *flags, *map(str, files), "-o", str(target), "-lm", "-ldl", "-lpthread"]
    subprocess.run(command, check=True)
    return target


def cpu_seconds(command: list[str], text: str) -> tuple[float, str]:
    """User CPU time of the command, and what it printed."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=True)
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before, done.stdout


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    builder = Builder(default_root(), 2, lambda line: print(line, file=sys.stderr))
    slow = False
    with tempfile.TemporaryDirectory() as name:
        for guest, arguments, text in (
            ("lua", ["-"], LUA_PROGRAM),
            ("sqlite3", [":memory:"], SQL_PROGRAM),
        ):
            native = [str(build_native(builder, guest, Path(name))), *arguments]
            (wasm,) = builder.result(guest).glob("*.wasm")
            image = Path(name) / f"{guest}.image"
            image.write_bytes(launch.lower(wasm.read_bytes(), lambda text: None))
            jit = [str(launch.launcher()), f"--image={image}", "--", guest, *arguments]
            times: dict[str, list[float]] = {"native": [], "jit": []}
            outputs = set()
            for _ in range(options.runs):
                for which, command in (("native", native), ("jit", jit)):
                    seconds, output = cpu_seconds(command, text)
                    times[which].append(seconds)
                    outputs.add(output)
            if len(outputs) != 1:
                print(f"{guest}: the outputs differ", file=sys.stderr)
                return 1
            native_time, jit_time = (statistics.median(times[which]) for which in ("native", "jit"))
            ratio = jit_time / native_time
            slow |= ratio > FLOOR
            times_text = f"native {native_time:.2f} s  jit {jit_time:.2f} s"
            print(f"{guest:8} {times_text}  ratio {ratio:.2f} (at most {FLOOR})")
    return int(slow)


if __name__ == "__main__":
    sys.exit(main())
