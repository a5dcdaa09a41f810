# SPDX-License-Identifier: GPL-2.0-only
"""WASI programs in wasmtime: what another engine makes of the same module and input."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import wasmtime


@functools.cache
def _engine() -> wasmtime.Engine:
    config = wasmtime.Config()
    config.cranelift_opt_level = "none"
    return wasmtime.Engine(config)


@functools.cache
def _module(wasm: bytes) -> wasmtime.Module:
    return wasmtime.Module(_engine(), wasm)


def run(
    wasm: Path | bytes,
    *arguments: str,
    directories: Sequence[tuple[Path, str]] = (),
    environment: Mapping[str, str] | None = None,
    stdin: bytes = b"",
) -> tuple[int, bytes]:
    """Exit status and standard output.  argv[0] is "program"; directories are (host, guest)."""
    with tempfile.TemporaryDirectory(prefix="pywasmjit-reference-") as name:
        given, output = Path(name) / "stdin", Path(name) / "stdout"
        given.write_bytes(stdin)
        config = wasmtime.WasiConfig()
        config.argv = ["program", *arguments]
        config.env = (environment or {}).items()
        config.stdin_file = str(given)
        config.stdout_file = str(output)
        config.inherit_stderr()
        for host, guest in directories:
            config.preopen_dir(str(host), guest)
        engine = _engine()
        store = wasmtime.Store(engine)
        store.set_wasi(config)
        linker = wasmtime.Linker(engine)
        linker.define_wasi()
        module = _module(wasm.read_bytes() if isinstance(wasm, Path) else wasm)
        instance = linker.instantiate(store, module)
        start = instance.exports(store)["_start"]
        assert isinstance(start, wasmtime.Func)
        status = 0
        try:
            start(store)
        except wasmtime.ExitTrap as trap:
            status = trap.code
        del store
        return status, output.read_bytes()
