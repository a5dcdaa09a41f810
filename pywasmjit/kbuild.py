# SPDX-License-Identifier: GPL-2.0-only
"""Build the kernel module out of tree against a kernel's headers, and check that it fits.

The sources are copied into a build directory in the cache, so the checkout stays clean and a
second build compiles only what changed. A finished module is kept under the hash of all that went
into it: sources, the kernel's configuration and symbols, compiler, options. Nothing changes it there,
whatever other checkouts build meanwhile.

A kernel should be extended with the compiler it was built with, but need not be: Debian's 5.10
(gcc 10) and 6.12 (gcc 14) accept modules built with gcc 12 from bookworm, measured in QEMU. What
the configuration says about that other compiler is corrected on make's command line, see
`_COMPILER_FEATURES`. Type information (BTF) is never made: it needs a matching pahole, and nothing
uses it.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import struct
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from pywasmjit import __version__
from pywasmjit.errors import HostUnavailableError
from pywasmjit.vm import cache

CHECKOUT = Path(__file__).resolve().parents[1]
SOURCES = ("Kbuild", "kmod", "pywasmjit/__init__.py")
MODULE = "wasm.ko"

# Configuration symbols that promise a compiler option -> that option. Where the compiler at hand
# refuses it, the symbol is unset for make, which then uses what came before.
_COMPILER_FEATURES = {
    "CONFIG_CC_HAS_MIN_FUNCTION_ALIGNMENT": "-fmin-function-alignment=16",
}
_ALWAYS_UNSET = ("CONFIG_DEBUG_INFO_BTF_MODULES",)
# What must not leak from a calling make or shell into the kernel's build.
_FOREIGN_VARIABLES = ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "ARCH", "CROSS_COMPILE")
_KEPT, _KEPT_SECONDS = 16, 24 * 3600  # finished modules of one name: that many, and those used since
_FORMAT = b"2"  # count up when the way of building changes


class KbuildError(HostUnavailableError):
    """The module cannot be built here, or does not fit the kernel; the message says why.

    Attributes:
        found, remedy: the message's two halves, the second "" where nothing certain can be said.
    """

    def __init__(self, found: str, remedy: str = "") -> None:
        super().__init__(f"{found}: {remedy}" if remedy else found)
        self.found = found
        self.remedy = remedy


@dataclass(frozen=True)
class KernelTree:
    """A kernel's headers, prepared for building modules."""

    directory: Path
    release: str
    compiler: str
    """The compiler the kernel was built with, as it calls itself."""
    vermagic: str
    options: Mapping[str, str]
    """CONFIG_... as in .config; strings without quotes."""


def module_sources() -> Path:
    """The directory with the module's Kbuild: the checkout, or PREFIX/src/pywasmjit-VERSION."""
    # Installed, this file is PREFIX/lib/pywasmjit/pywasmjit/kbuild.py.
    installed = CHECKOUT.parents[1] / "src" / f"pywasmjit-{__version__}"
    for directory in (CHECKOUT, installed):
        if (directory / "Kbuild").exists():
            return directory
    raise KbuildError(
        f"the sources of the module are neither in {CHECKOUT} nor in {installed}: "
        "install pywasmjit from its Debian package or with make install"
    )


def inspect_kernel(directory: Path) -> KernelTree:
    """Read release, compiler and version magic from prepared headers."""
    for name in ("Makefile", "include/config/auto.conf", "include/generated/utsrelease.h"):
        if not (directory / name).exists():
            release = directory.parent.name if directory.name == "build" else "RELEASE"
            raise KbuildError(
                f"{directory} holds no headers prepared for building modules ({name} is missing)",
                f"apt-get install linux-headers-{release}, or make modules_prepare in a source tree",
            )
    options = {}
    for line in (directory / "include/config/auto.conf").read_text().splitlines():
        name, found, value = line.partition("=")
        if found:
            options[name] = value.strip('"')
    release_line = (directory / "include/generated/utsrelease.h").read_text()
    found_release = re.search(r'UTS_RELEASE "([^"]*)"', release_line)
    if found_release is None:
        raise KbuildError(f"{directory}/include/generated/utsrelease.h names no release")
    release = found_release[1]
    return KernelTree(
        directory=directory.resolve(),
        release=release,
        compiler=options.get("CONFIG_CC_VERSION_TEXT", "an unknown compiler"),
        vermagic=_vermagic(release, options),
        options=options,
    )


def _vermagic(release: str, options: Mapping[str, str]) -> str:
    """VERMAGIC_STRING of include/linux/vermagic.h, for x86-64 and arm64."""
    words = [release]
    if "CONFIG_SMP" in options:
        words.append("SMP")
    if "CONFIG_PREEMPT_BUILD" in options or (
        "CONFIG_PREEMPT" in options and "CONFIG_PREEMPT_RT" not in options
    ):
        words.append("preempt")
    elif "CONFIG_PREEMPT_RT" in options:
        words.append("preempt_rt")
    if "CONFIG_MODULE_UNLOAD" in options:
        words.append("mod_unload")
    if "CONFIG_MODVERSIONS" in options:
        words.append("modversions")
    if "CONFIG_ARM64" in options:
        words.append("aarch64")
    return " ".join(words)


def build_module(
    kernel_directory: Path,
    name: str = MODULE,
    *,
    source: Path | None = None,
    paths: Sequence[str] = SOURCES,
    compiler: str | None = None,
    variables: Mapping[str, str] | None = None,
    base: Path | None = None,
    progress: Callable[[str], None] = lambda line: None,
) -> Path:
    """Build a module; return the file, which is called that and belongs to the cache: do not change it.

    Args:
        kernel_directory: prepared headers, e.g. /lib/modules/RELEASE/build.
        name: which of the modules in Kbuild.
        source, paths: the directory with Kbuild in it (default: wasm.ko's), and what below it
            belongs to the module.
        compiler: instead of the one the kernel was built with, or gcc where that is missing.
        variables: make variables that Kbuild reads.
        base: where build directories and finished modules are kept (default: the user's cache).
        progress: is given a line for each step.
    """
    tree = inspect_kernel(kernel_directory)
    command = find_compiler(tree, progress, compiler)
    source = source or module_sources()
    settings = {**_corrections(tree, command), **(variables or {})}
    files = source_files(source, paths)
    if "Kbuild" not in files:
        raise KbuildError(f"{source} has no file Kbuild that lists the module's objects")
    version = _first_line(command, "--version")
    kernel_key = cache.digest(
        [
            _FORMAT,
            bytes(tree.directory),
            (tree.directory / "include/config/auto.conf").read_bytes(),
            _read_if_there(tree.directory / "Module.symvers"),
            version.encode(),
            *(f"{variable}={value}".encode() for variable, value in sorted(settings.items())),
            bytes(source.resolve()),
        ]
    )
    contents = {file: path.read_bytes() for file, path in files.items()}
    parts = (part for file in sorted(contents) for part in (file.encode(), contents[file]))
    source_key = cache.digest([name.encode(), *parts])
    base = base or cache.root().parent / "kbuild"
    build = base / f"{tree.release}-{kernel_key}"
    if "kmod/linux/pool.S" in files:
        # See Kbuild.
        settings["LDFLAGS_MODULE"] = str(build / "kmod/linux/pool.o")
    finished = base / "finished" / f"{tree.release}-{kernel_key}-{source_key}"

    def make(staged: Path) -> None:
        with cache.locked(base / f".{build.name}.lock"):
            _synchronise(contents, build)
            _make(tree, build, source, command, settings, progress)
            built = build / name
            if not built.exists():
                others = ", ".join(sorted(path.name for path in build.glob("*.ko"))) or "no module"
                raise KbuildError(f"{source}/Kbuild built {others} instead of {name}")
            staged.mkdir()
            shutil.copyfile(built, staged / name)

    module = finished / name
    # What is about to be used is not what another process forgets.
    with cache.locked(base / ".finished.lock"):
        if module.exists():
            module.touch()
            progress(f"{name} for {tree.release} is up to date")
    cache.build_once(finished, make)
    with cache.locked(base / ".finished.lock"):
        _forget_old(base / "finished", name)
    return module


def _forget_old(finished: Path, name: str) -> None:
    """Of the modules of this name, those that nobody has asked for lately; a debug build takes megabytes."""
    modules = sorted(finished.glob(f"[!.]*/{name}"), key=lambda path: path.stat().st_mtime)
    for old in modules[:-_KEPT]:
        if old.stat().st_mtime < time.time() - _KEPT_SECONDS:
            cache.remove(old.parent)
            cache.remove(old.parent.with_name(f".{old.parent.name}.lock"))


def source_files(source: Path, paths: Sequence[str]) -> dict[str, Path]:
    """Relative name -> file, of everything that is not hidden or left by a build."""
    files = {}
    for path in paths:
        top = source / path
        for file in [top] if top.is_file() else sorted(top.rglob("*")):
            name = file.relative_to(source)
            hidden = any(part.startswith((".", "__pycache__")) for part in name.parts)
            made = file.suffix in (".o", ".ko", ".mod", ".cmd") or file.name.endswith(".mod.c")
            if file.is_file() and not hidden and not made:
                files[str(name)] = file
    return files


def _synchronise(contents: Mapping[str, bytes], build: Path) -> None:
    """Make the build directory hold these sources; unchanged files keep their time."""
    manifest = build / ".sources"
    known = manifest.read_text().splitlines() if manifest.exists() else []
    for name in set(known) - set(contents):
        (build / name).unlink(missing_ok=True)
    for name, content in contents.items():
        target = build / name
        if not target.exists() or target.read_bytes() != content:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
    manifest.write_text("".join(f"{name}\n" for name in sorted(contents)))
    for module in build.glob("*.ko"):
        module.unlink()


def find_compiler(tree: KernelTree, progress: Callable[[str], None], wanted: str | None = None) -> str:
    """The compiler to call: the wanted one, the kernel's own, or the distribution's default."""
    if wanted is not None:
        if shutil.which(wanted) is None:
            raise KbuildError(f"compiler {wanted} not found")
        return wanted
    named = tree.compiler.split(" ", 1)[0]
    # "x86_64-linux-gnu-gcc-14" is gcc-14 for those who do not cross-compile.
    candidates = [named, re.sub(r"^.*-linux-gnu-", "", named)]
    default = "clang" if "CONFIG_CC_IS_CLANG" in tree.options else "gcc"
    for candidate in candidates:
        if candidate not in ("", "an") and shutil.which(candidate):
            break
    else:
        candidate = default
    if shutil.which(candidate) is None:
        raise KbuildError(
            f"no C compiler (kernel {tree.release} was built with {tree.compiler})",
            f"apt-get install {default}",
        )
    major = tree.options.get("CONFIG_GCC_VERSION", "0")[:-4]
    own = _first_line(candidate, "-dumpversion").split(".")[0]
    if default == "gcc" and major and major != own:
        progress(f"note: {tree.release} was built with gcc {major}, compiling with gcc {own}")
    return candidate


def _corrections(tree: KernelTree, compiler: str) -> dict[str, str]:
    """Make variables that unset what the configuration says about another compiler."""
    result = dict.fromkeys(_ALWAYS_UNSET, "")
    for symbol, option in _COMPILER_FEATURES.items():
        if symbol in tree.options:
            probe = [compiler, "-Werror", option, "-S", "-x", "c", "/dev/null", "-o", "/dev/null"]
            if subprocess.run(probe, capture_output=True, check=False).returncode != 0:
                result[symbol] = ""
    return result


def _make(
    tree: KernelTree,
    build: Path,
    source: Path,
    compiler: str,
    settings: Mapping[str, str],
    progress: Callable[[str], None],
) -> None:
    """Run the kernel's build system on the build directory."""
    if shutil.which("make") is None:
        raise KbuildError("make was not found", "apt-get install make")
    environment = {k: v for k, v in os.environ.items() if k not in _FOREIGN_VARIABLES}
    environment["LC_ALL"] = "C"
    command = [
        *("make", "--no-print-directory", f"-j{os.cpu_count() or 1}"),
        *("-C", str(tree.directory), f"M={build}", f"CC={compiler}"),
        *(("LLVM=1",) if "CONFIG_CC_IS_CLANG" in tree.options else ()),
        *(f"{name}={value}" for name, value in settings.items()),
        "modules",
    ]
    output: list[str] = []
    with subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        assert process.stdout is not None
        for raw in process.stdout:
            # Messages name the file to edit, not its copy.
            line = raw.rstrip().replace(f"{build}/", f"{source}/")
            step = re.fullmatch(r"  ([A-Z][A-Z0-9 ]*(?:\[M\])?) +(\S+)", line)
            if step:
                name = step[2].removeprefix(f"{source}/")
                progress(f"{step[1].removesuffix('[M]').strip():<8} {name}")
            else:
                output.append(line)
                if "warning:" in line and "the compiler differs" not in line:
                    progress(line)
    if process.returncode != 0:
        raise KbuildError(_explained(tree, compiler, output))


def _explained(tree: KernelTree, compiler: str, output: Sequence[str]) -> str:
    """Make's output as an error message, with advice where the cause is known."""
    told = [line for line in output if not re.match(r"make(\[\d+\])?: ", line)]
    text = "\n".join((told or output)[-40:])
    advice = ""
    if "unrecognized command-line option" in text or "unrecognized command line option" in text:
        advice = (
            f"\nThe kernel was built with {tree.compiler}; {compiler} lacks an option of that "
            "compiler: install the kernel's own."
        )
    elif "cannot find -lelf" in text or "libelf.so" in text:
        advice = "\nThe kernel's build tools need libelf: apt-get install libelf1"
    elif "No such file or directory" in text and "/usr/src/" in text:
        advice = "\nThe headers are incomplete: reinstall linux-headers, -common and linux-kbuild."
    return f"building the module for {tree.release} with {compiler} failed:\n{text}{advice}"


def check_module(module: Path, kernel_directory: Path) -> None:
    """Raise KbuildError unless the kernel would accept this module: version magic and symbols."""
    try:
        data = module.read_bytes()
    except OSError as error:
        raise KbuildError(f"{module} is not a kernel module: {error}") from None
    check_contents(data, str(module), kernel_directory)


def check_contents(data: bytes, module: str, kernel_directory: Path) -> None:
    """check_module for a module that is in memory; `module` is what to call it."""
    tree = inspect_kernel(kernel_directory)
    information = read_information(data, module)
    elf = ELFFile(io.BytesIO(data))
    undefined = _undefined_symbols(elf)
    checksums = _symbol_checksums(elf)
    built_for = information.get("vermagic", "").strip()
    if built_for != tree.vermagic:
        raise KbuildError(
            f"{module} was built for '{built_for}', but the kernel in {tree.directory} is "
            f"'{tree.vermagic}': build it again for that kernel"
        )
    exported = _exported_symbols(tree)
    missing = sorted(undefined - exported.keys())
    if missing:
        raise KbuildError(
            f"{module} needs {', '.join(missing)}, which kernel {tree.release} "
            f"({tree.directory}/Module.symvers) does not export"
        )
    for name, checksum in checksums.items():
        if name in exported and exported[name] not in (0, checksum):
            raise KbuildError(
                f"{module} was built for a version 0x{checksum:08x} of {name}, but kernel "
                f"{tree.release} exports version 0x{exported[name]:08x}: build it again"
            )


def sign_module(module: Path, kernel_directory: Path, key: Path, certificate: Path) -> None:
    """Append a signature, with the kernel's own scripts/sign-file.

    Args:
        key: private key in PEM, or pkcs11:...
        certificate: its X.509 certificate in DER or PEM.
    """
    tree = inspect_kernel(kernel_directory)
    program = tree.directory / "scripts" / "sign-file"
    if not program.exists():
        raise KbuildError(f"{program} is missing: the headers are incomplete, or the kernel signs no modules")
    digest = tree.options.get("CONFIG_MODULE_SIG_HASH", "sha256")
    done = subprocess.run(
        [program, digest, key, certificate, module], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise KbuildError(f"signing {module} with {key} failed: {done.stderr.strip()}")


def is_signed(module: bytes) -> bool:
    """Whether a signature is appended (by whom is for the kernel to say)."""
    return module.endswith(b"~Module signature appended~\n")


def read_information(data: bytes, module: str = "the file") -> dict[str, str]:
    """What modinfo shows: name -> value, the last one of each."""
    try:
        section = ELFFile(io.BytesIO(data)).get_section_by_name(".modinfo")
    except ELFError as error:
        raise KbuildError(f"{module} is not a kernel module: {error}") from None
    if section is None:
        raise KbuildError(f"{module} is not a kernel module: it has no section .modinfo")
    entries = section.data().decode(errors="replace").split("\0")
    return dict(entry.split("=", 1) for entry in entries if "=" in entry)


def _undefined_symbols(elf: ELFFile) -> set[str]:
    table = elf.get_section_by_name(".symtab")
    if not isinstance(table, SymbolTableSection):
        return set()
    return {
        symbol.name
        for symbol in table.iter_symbols()
        if symbol.name and symbol["st_shndx"] == "SHN_UNDEF" and symbol["st_info"]["bind"] == "STB_GLOBAL"
    }


def _symbol_checksums(elf: ELFFile) -> dict[str, int]:
    """The section __versions: struct modversion_info, a long and 56 bytes of name."""
    section = elf.get_section_by_name("__versions")
    if section is None:
        return {}
    return {
        name.rstrip(b"\0").decode(): checksum
        for checksum, name in struct.iter_unpack("<Q56s", section.data())
    }


def _exported_symbols(tree: KernelTree) -> dict[str, int]:
    """Module.symvers: checksum, name, where, how, name space."""
    path = tree.directory / "Module.symvers"
    if not path.exists():
        raise KbuildError(f"{path} is missing: the headers are incomplete")
    result = {}
    for line in path.read_text().splitlines():
        checksum, name = line.split("\t")[:2]
        result[name] = int(checksum, 16)
    return result


def _first_line(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.partition("\n")[0].strip()


def _read_if_there(path: Path) -> bytes:
    return path.read_bytes() if path.exists() else b""
