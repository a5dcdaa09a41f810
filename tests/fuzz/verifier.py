# SPDX-License-Identifier: GPL-2.0-only
"""libFuzzer on image parser, verifier and what they accept: ``python -m tests.fuzz.verifier --minutes 5``.

The corpus starts with the images of tests/verify and of some generated modules, and is kept in the
cache.  Prints which lines and branches of image.c, verify.c and decode.c its inputs reach.
Exit status 1 for a crash, a hang or a leak, with the input's path.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from pywasmjit.lower.pipeline import lower
from pywasmjit.wasm import decode
from tests.fuzz.sources import CACHE, own
from tests.fuzz.test_mutated_images import corpus

ROOT: Final = Path(__file__).resolve().parent.parent.parent
CORE: Final = ROOT / "kmod" / "core"
NATIVE: Final = ROOT / "tests" / "native"
HARNESS: Final = ROOT / "tests" / "fuzz" / "verifier_fuzz.c"
BUILD: Final = Path(os.environ.get("WJ_BUILD", ROOT / "build")) / "fuzz"
MEASURED: Final = ("image.c", "verify.c", "decode.c")

_COMMON: Final = ["-std=gnu11", "-g", "-O1", "-Wall", "-Wextra", "-Werror"]
_FUZZ: Final = ["-fsanitize=fuzzer,address,undefined", "-fno-sanitize-recover=all"]
_COVERAGE: Final = ["-fsanitize=fuzzer", "-fprofile-instr-generate", "-fcoverage-mapping"]


def compile_harness(coverage: bool) -> Path:
    BUILD.mkdir(parents=True, exist_ok=True)
    program = BUILD / ("verifier-coverage" if coverage else "verifier-fuzz")
    # The shadow takes the place of the interpreter; for coverage alone the verifier is enough.
    core = [path for path in sorted(CORE.glob("*.c")) if "_x86" not in path.name and path.name != "interp.c"]
    sources = [HARNESS, NATIVE / "platform.c", NATIVE / "shadow.c", *core]
    includes = [f"-I{path}" for path in (CORE, ROOT / "kmod" / "user", NATIVE)]
    flags = _COVERAGE if coverage else _FUZZ
    subprocess.run(["clang", *_COMMON, *flags, *includes, *map(str, sources), "-o", str(program)], check=True)
    return program


def first_corpus(directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    images = corpus() + [lower(decode(own(seed)), jobs=1) for seed in range(100)]
    for image in images:
        (directory / hashlib.sha256(image).hexdigest()[:20]).write_bytes(image)


def coverage(inputs: Path) -> dict[str, Any]:
    """llvm-cov's summary by file: of lines and branches count, covered, percent."""
    program = compile_harness(coverage=True)
    raw, merged = BUILD / "verifier.profraw", BUILD / "verifier.profdata"
    environment = {**os.environ, "LLVM_PROFILE_FILE": str(raw)}
    subprocess.run([program, "-runs=0", inputs], env=environment, check=True, capture_output=True)
    subprocess.run(["llvm-profdata-14", "merge", "-o", merged, raw], check=True)
    done = subprocess.run(
        ["llvm-cov-14", "export", "-summary-only", f"-instr-profile={merged}", program, *(str(CORE / name) for name in MEASURED)],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    files = json.loads(done.stdout)["data"][0]["files"]
    return {Path(entry["filename"]).name: entry["summary"] for entry in files}


def fuzz(seconds: int, inputs: Path, jobs: int) -> tuple[int, str]:
    """Exit status, and what libFuzzer said."""
    program = compile_harness(coverage=False)
    artifacts = BUILD / "crashes"
    artifacts.mkdir(exist_ok=True)
    command = [
        "nice", "-n", "19", program, f"-max_total_time={seconds}", "-max_len=32768", "-timeout=20", "-rss_limit_mb=4096",
        f"-artifact_prefix={artifacts}/", "-print_final_stats=1", "-verbosity=1", *([f"-fork={jobs}"] if jobs > 1 else []), inputs,
    ]  # fmt: skip
    environment = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0:allocator_may_return_null=1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, errors="replace")
    return done.returncode, done.stderr


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--jobs", type=int, default=1)
    options = parser.parse_args()
    inputs = CACHE / "fuzz-verifier"
    first_corpus(inputs)
    status, text = fuzz(int(options.minutes * 60), inputs, options.jobs)
    if status:
        print(text[-6000:], file=sys.stderr)
        print(f"fuzz-verifier: a find: {BUILD / 'crashes'}", file=sys.stderr)
        return 1
    executed = re.search(r"stat::number_of_executed_units:\s*(\d+)", text)
    counts = re.search(r"verifier_fuzz: (.*)", text)
    print(f"fuzz-verifier: {executed[1] if executed else '?'} inputs ({counts[1] if counts else '?'}), no find")
    for name, summary in coverage(inputs).items():
        shown = ", ".join(
            f"{what} {summary[what]['covered']}/{summary[what]['count']} ({summary[what]['percent']:.1f} %)"
            for what in ("functions", "lines", "branches")
        )
        print(f"  {name}: {shown}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
