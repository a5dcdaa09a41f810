# SPDX-License-Identifier: GPL-2.0-only
"""Builds tests/unit/c/host_driver.c under the sanitizers and talks to it.

The driver holds the host layer's libraries for time, names and users, as they are
compiled into the kernel module, on top of ordinary system calls.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import os
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
C_DIR = Path(__file__).resolve().parent / "c"

# The libraries under test, in kmod/host/.
LIBRARIES = (
    "time", "tz", "strftime", "strptime", "hostio", "passwd",
    "inet", "dns", "netdb", "resolv", "getaddrinfo", "getnameinfo",
)
HEADERS = (
    "wj_text.h", "wj_hostio.h", "wj_time.h", "wj_tz.h", "wj_passwd.h", "wj_inet.h", "wj_dns.h",
    "wj_netdb.h", "wj_resolv.h", "wj_getaddrinfo.h",
)

Word = str | bytes | int | None


FLAGS = (
    "-std=gnu11", "-g", "-O1", "-Wall", "-Wextra", "-Werror", "-D_GNU_SOURCE",
    "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer",
    f"-I{C_DIR / 'hosted'}", f"-I{C_DIR}", f"-I{ROOT / 'kmod/core'}", f"-I{ROOT / 'kmod/host'}",
)


def _sources() -> list[Path]:
    return [C_DIR / "host_driver.c", C_DIR / "host_fuzz.c",
            *(ROOT / "kmod/host" / f"{name}.c" for name in LIBRARIES)]


def _compile(driver: Path) -> None:
    objects = [(source, driver.parent / f"{source.stem}.o") for source in _sources()]
    compilers = [subprocess.Popen(["gcc", *FLAGS, "-c", str(source), "-o", str(target)])
                 for source, target in objects]
    statuses = [compiler.wait(timeout=300) for compiler in compilers]
    if any(statuses):
        raise RuntimeError("the host layer's libraries do not compile for the tests")
    subprocess.run(["gcc", *FLAGS, "-o", str(driver), *(str(target) for _, target in objects)],
                   check=True, timeout=300)


@functools.cache
def build() -> Path:
    """The driver's path.  It is kept in build/ under the hash of what it is made of."""
    digest = hashlib.sha256(repr(FLAGS).encode())
    headers = [*C_DIR.rglob("*.h"), *(ROOT / "kmod/core").glob("*.[hd]*"),
               *(ROOT / "kmod/host").glob("*.h")]
    for path in sorted([*_sources(), *headers]):
        digest.update(path.read_bytes())
    kept = ROOT / "build" / "host_driver" / digest.hexdigest()[:16]
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=kept.parent) as directory:
            _compile(Path(directory) / "host_driver")
            os.replace(Path(directory) / "host_driver", kept)
    return kept


def encode(word: Word) -> str:
    if word is None:
        return "-"
    if isinstance(word, int):
        return str(int(word))
    data = word if isinstance(word, bytes) else word.encode("utf-8", "surrogateescape")
    return "x" + data.hex()


def decode(word: str) -> bytes | None:
    return None if word == "-" else bytes.fromhex(word[1:])


class Driver:
    """One driver process.  Leaving it checks that nothing is left open or allocated."""

    def __init__(self, prefix: Sequence[str] = ()) -> None:
        """prefix: a command to run it with, such as unshare."""
        self._process = subprocess.Popen(
            [*prefix, str(build())], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True,
        )

    def __enter__(self) -> Driver:
        return self

    def __exit__(self, exception: object, *_details: object) -> None:
        _, errors = self._process.communicate(timeout=30)
        if exception is None:
            assert self._process.returncode == 0, errors

    @property
    def pid(self) -> int:
        return self._process.pid

    def _died(self) -> AssertionError:
        _, errors = self._process.communicate(timeout=30)
        return AssertionError(f"host_driver ended: {errors}")

    def send(self, command: str, *words: Word) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(" ".join([command, *map(encode, words)]) + "\n")
        self._process.stdin.flush()

    def receive(self) -> list[str]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise self._died()
        return line.split()

    def run(self, command: str, *words: Word) -> list[str]:
        """The words of the answer."""
        self.send(command, *words)
        return self.receive()

    def run_all(self, commands: Iterable[tuple[str, Sequence[Word]]]) -> list[list[str]]:
        """Many commands at once; as fast as the driver is."""
        answers: list[list[str]] = []
        batch: list[str] = []

        def flush() -> None:
            assert self._process.stdin is not None
            self._process.stdin.write("".join(batch))
            self._process.stdin.flush()
            answers.extend(self.receive() for _ in batch)
            batch.clear()

        for command, words in commands:
            batch.append(" ".join([command, *map(encode, words)]) + "\n")
            # Less than a pipe holds, in both directions.
            if len(batch) == 200:
                flush()
        flush()
        return answers

    def fault(self, kind: str, count: int, error: int = 0, *, number: int = -1,
              unwind: bool = False) -> None:
        """Make the next command's count-th system call (`call`) or allocation (`alloc`) fail.

        number: count only this system call.  unwind: as if a signal handler had ended the guest.
        """
        self.send(f"fault {kind}", count, error, number, int(unwind))

    def stats(self) -> tuple[int, int, int, int]:
        """System calls and allocations of the last command; descriptors and blocks in use."""
        calls, allocations, descriptors, blocks = map(int, self.run("stats"))
        return calls, allocations, descriptors, blocks


@dataclasses.dataclass
class Tm:
    """struct wj_tm."""

    sec: int = 0
    min: int = 0
    hour: int = 0
    mday: int = 1
    mon: int = 0
    year: int = 70
    wday: int = 0
    yday: int = 0
    isdst: int = 0
    gmtoff: int = 0
    zone: str = ""

    def words(self) -> tuple[Word, ...]:
        return dataclasses.astuple(self)

    @classmethod
    def parse(cls, words: Sequence[str]) -> Tm:
        zone = decode(words[10])
        assert zone is not None
        sec, min_, hour, mday, mon, year, wday, yday, isdst, gmtoff = map(int, words[:10])
        return cls(sec, min_, hour, mday, mon, year, wday, yday, isdst, gmtoff, zone.decode())


def fuzz(target: str, rounds: int, seed: int, files: Sequence[Path]) -> None:
    """Feed mutations of the files to a parser (see c/host_fuzz.c)."""
    result = subprocess.run(
        [str(build()), target, str(rounds), str(seed), *map(str, files)],
        capture_output=True, text=True, timeout=120,
    )
    assert result.returncode == 0, result.stderr
