# SPDX-License-Identifier: GPL-2.0-only
"""`make bench-wasi`: C, Rust and Go programs for WASI, in user space under the JIT.

For each guest: bytes of wasm and of image; seconds of a cold start (nothing cached: lowering and the
run), wall and CPU; of a warm start, the native build's and wasmtime's (module compiled before, so that
it is the run alone), medians.  For servers: requests per second with wrk (one thread, --connections),
guest and native by turns, medians, and their ratio.

    wasi.py [--rounds N] [--connections N] [NAME...]
"""

from __future__ import annotations

import argparse
import contextlib
import os
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]

import wasmtime  # noqa: E402
from build_guests import Builder  # noqa: E402
from guest_cache import default_root  # noqa: E402
from wasi_recipes import MissingToolchainError  # noqa: E402

PROGRAMS = {
    "wasicalls": ["args", "x"],
    "rust-hello": ["x"],
    "go-hello": ["x"],
    "rust-grep": ["-c", "[a-z]+_[a-z]+\\(.*(struct|static)", "."],
}
SERVERS = ("rust-server", "go-server")


def pywasmjit(module: Path, cache: str, *arguments: str, options: tuple[str, ...] = ()) -> list[str]:
    return [
        "env", f"PYTHONPATH={ROOT}", f"PYWASMJIT_CACHE={cache}", sys.executable, "-m", "pywasmjit.cli",
        "exec", "--host=user", *options, str(module), *arguments,
    ]  # fmt: skip


def timed(call: Callable[[], object]) -> tuple[float, float]:
    """Wall and CPU seconds, children's included."""

    def cpu() -> float:
        both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return sum(usage.ru_utime + usage.ru_stime for usage in both)

    before, started = cpu(), time.monotonic()
    call()
    return time.monotonic() - started, cpu() - before


def run(command: list[str]) -> None:
    nothing = subprocess.DEVNULL
    subprocess.run(command, cwd=ROOT / "kmod", stdout=nothing, stderr=nothing, check=False)


def in_wasmtime(engine: wasmtime.Engine, module: wasmtime.Module, arguments: list[str]) -> None:
    config = wasmtime.WasiConfig()
    config.argv = ["program", *arguments]
    config.preopen_dir(str(ROOT / "kmod"), ".")
    config.stdout_file = os.devnull
    store = wasmtime.Store(engine)
    store.set_wasi(config)
    linker = wasmtime.Linker(engine)
    linker.define_wasi()
    start = linker.instantiate(store, module).exports(store)["_start"]
    assert isinstance(start, wasmtime.Func)
    with contextlib.suppress(wasmtime.ExitTrap):
        start(store)


def programs(name: str, module: Path, rounds: int) -> None:
    arguments, options = PROGRAMS[name], ("--dir=.",)
    with tempfile.TemporaryDirectory() as cache:
        wall, cpu = timed(lambda: run(pywasmjit(module, cache, *arguments, options=options)))
        image = sum(path.stat().st_size for path in Path(cache).iterdir())
        engine = wasmtime.Engine()
        compiled: list[wasmtime.Module] = []
        theirs = timed(lambda: compiled.append(wasmtime.Module(engine, module.read_bytes())))
        command = pywasmjit(module, cache, *arguments, options=options)
        native = module.with_name("native")
        ways: dict[str, Callable[[], object]] = {
            "warm": lambda: run(command),
            "wasmtime": lambda: in_wasmtime(engine, compiled[0], arguments),
        }
        if native.exists():
            ways["native"] = lambda: run([str(native), *arguments])
        found: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
        for _ in range(rounds):
            for way, call in ways.items():
                found[way].append(timed(call))
    print(f"{name}: wasm {module.stat().st_size} bytes, image {image}")
    print(f"  cold      {wall:8.3f} s wall {cpu:8.3f} s CPU")
    print(f"  wasmtime compiles in {theirs[0]:.3f} s wall {theirs[1]:.3f} s CPU")
    for way, times in found.items():
        wall, cpu = (statistics.median(values) for values in zip(*times, strict=True))
        print(f"  {way:9} {wall:8.3f} s wall {cpu:8.3f} s CPU")


def rate(port: int, connections: int) -> float:
    command = ["wrk", "-t1", f"-c{connections}", "-d2", f"http://127.0.0.1:{port}/x"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith("Requests/sec"))


def servers(name: str, module: Path, rounds: int, connections: int) -> None:
    running: list[subprocess.Popen[bytes]] = []
    with tempfile.TemporaryDirectory() as cache:
        try:
            ports = []
            for way in ("guest", "native"):
                listener = socket.create_server(("127.0.0.1", 0), backlog=128)
                ports.append(listener.getsockname()[1])
                listener.setblocking(not name.startswith("go-"))
                command = [str(module.with_name("native"))]
                if way == "guest":
                    command = pywasmjit(module, cache)
                # As systemd hands it over: descriptor 3 of a process that knows its number.
                shell = f'exec 3<&{listener.fileno()}; LISTEN_FDS=1 LISTEN_PID=$$ exec "$@"'
                command = ["bash", "-c", shell, "sh", *command]
                running.append(subprocess.Popen(command, pass_fds=[listener.fileno()]))
                started = time.monotonic()
                listener.close()
                with socket.create_connection(("127.0.0.1", ports[-1])) as client:
                    client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                    client.recv(100)
                if way == "guest":
                    image = sum(path.stat().st_size for path in Path(cache).iterdir())
                    print(f"{name}: wasm {module.stat().st_size} bytes, image {image}")
                    print(f"  cold, to the first answer {time.monotonic() - started:.2f} s wall")
            rates: list[list[float]] = [[], []]
            for _ in range(rounds):
                for i, port in enumerate(ports):
                    rates[i].append(rate(port, connections))
        finally:
            for process in running:
                process.kill()
                process.wait()
    ratios = [guest / native for guest, native in zip(*rates, strict=True)]
    print(f"  requests/s {statistics.median(rates[0]):.0f}, native {statistics.median(rates[1]):.0f}, "
          f"ratio {statistics.median(ratios):.2f} ({connections} connections)")  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description="Figures of WASI programs.")
    parser.add_argument("names", nargs="*", metavar="NAME", default=[*PROGRAMS, *SERVERS])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--connections", type=int, default=1, help="the Rust server has no threads")
    options = parser.parse_args()
    builder = Builder(default_root(), os.cpu_count() or 1, lambda line: print(line, file=sys.stderr))
    for name in options.names:
        if name not in PROGRAMS and name not in SERVERS:
            parser.error(f"no such program: {name}")
        if name in SERVERS and not shutil.which("wrk"):
            parser.error("wrk is not installed")
        try:
            module = next(builder.result(name).glob("*.wasm"))
        except MissingToolchainError as error:
            print(f"{name}: {error}")
            continue
        if name in SERVERS:
            servers(name, module, options.rounds, options.connections)
        else:
            programs(name, module, options.rounds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
