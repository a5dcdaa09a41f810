# SPDX-License-Identifier: GPL-2.0-only
"""Building modules: what is built fits the kernel, and what does not says why."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from pywasmjit import kbuild
from pywasmjit.kbuild import KbuildError
from pywasmjit.vm import packages
from pywasmjit.vm.packages import Kernel

PROBE = Path(__file__).with_name("probe")
PATHS = ("Kbuild", "main.c")


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kernels come from the common cache (the fixture above has fetched them), builds do not."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def _source(tmp_path: Path) -> Path:
    source = tmp_path / "source"
    shutil.copytree(PROBE, source)
    return source


def test_a_module_is_built_and_fits(kernel: Kernel, tmp_path: Path) -> None:
    steps: list[str] = []
    built = kbuild.build_module(kernel.headers, "probe.ko", source=PROBE, paths=PATHS, progress=steps.append)
    assert built.name == "probe.ko"
    assert "CC       main.o" in steps
    kbuild.check_module(built, kernel.headers)
    assert {path.name for path in PROBE.iterdir()} == {"Kbuild", "main.c"}


def test_vermagic_is_that_of_the_kernels_own_modules(kernel: Kernel) -> None:
    modules = kernel.modules / "kernel/drivers/net"
    shipped = subprocess.run(
        ["/sbin/modinfo", "-F", "vermagic", *modules.glob("virtio_net.ko*")],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert kbuild.inspect_kernel(kernel.headers).vermagic == shipped.strip()


def test_only_what_changed_is_compiled(kernel: Kernel, tmp_path: Path) -> None:
    source = _source(tmp_path)

    def build() -> tuple[Path, list[str]]:
        steps: list[str] = []
        built = kbuild.build_module(
            kernel.headers, "probe.ko", source=source, paths=PATHS, progress=steps.append
        )
        return built, [step for step in steps if not step.startswith("note:")]

    first, steps = build()
    assert "CC       main.o" in steps
    assert build() == (first, [f"probe.ko for {kernel.release} is up to date"])
    (source / "main.c").write_text((source / "main.c").read_text().replace("hello", "goodbye"))
    second, steps = build()
    assert "CC       main.o" in steps
    assert b"goodbye from ring 0" in second.read_bytes()
    # Whoever was given the first one still has it.
    assert b"hello from ring 0" in first.read_bytes()
    with (source / "Kbuild").open("a") as kbuild_file:
        kbuild_file.write("# changed\n")
    _, steps = build()
    assert "CC       main.o" not in steps
    assert "LD       probe.ko" in steps


def test_modules_that_nobody_uses_are_forgotten(
    kernel: Kernel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kbuild, "_KEPT", 1)
    source = _source(tmp_path)

    def build(word: str) -> Path:
        (source / "main.c").write_text((PROBE / "main.c").read_text().replace("hello", word))
        return kbuild.build_module(kernel.headers, "probe.ko", source=source, paths=PATHS)

    old, used, asked = (build(word) for word in ("one", "two", "three"))
    ago = time.time() - 2 * kbuild._KEPT_SECONDS
    for module in (old, asked):
        os.utime(module, (ago, ago))
    assert build("three") == asked
    assert (old.parent.exists(), used.exists(), asked.exists()) == (False, True, True)


def test_a_compile_error_names_the_source(kernel: Kernel, tmp_path: Path) -> None:
    source = _source(tmp_path)
    (source / "main.c").write_text("int broken(\n")
    with pytest.raises(KbuildError, match=re.escape(f"{source}/main.c:1:")) as caught:
        kbuild.build_module(kernel.headers, "probe.ko", source=source, paths=PATHS)
    assert str(caught.value).startswith(f"building the module for {kernel.release} with gcc")


def test_another_module_than_wanted(kernel: Kernel) -> None:
    with pytest.raises(KbuildError, match=r"Kbuild built probe\.ko instead of other\.ko"):
        kbuild.build_module(kernel.headers, "other.ko", source=PROBE, paths=PATHS)


def test_missing_headers_name_the_package(tmp_path: Path) -> None:
    directory = tmp_path / "9.9-amd64" / "build"
    with pytest.raises(KbuildError, match=r"apt-get install linux-headers-9\.9-amd64"):
        kbuild.build_module(directory)


def test_missing_compiler_is_named(kernel: Kernel) -> None:
    with pytest.raises(KbuildError, match="compiler gcc-1 not found"):
        kbuild.build_module(kernel.headers, "probe.ko", source=PROBE, paths=PATHS, compiler="gcc-1")


def test_a_module_for_another_kernel_is_refused(
    kernel: Kernel, probe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()  # the other kernel comes from the common cache
    other = packages.kernel("6.12" if kernel.series != "6.12" else "6.1")
    with pytest.raises(KbuildError) as caught:
        kbuild.check_module(probe, other.headers)
    assert kernel.release in str(caught.value)
    assert other.release in str(caught.value)


def test_a_missing_symbol_is_named(kernel: Kernel, probe: Path, tmp_path: Path) -> None:
    # The same headers, but for a kernel that lacks one export.
    headers = tmp_path / "headers"
    shutil.copytree(kernel.headers / "include", headers / "include", symlinks=True)
    shutil.copy(kernel.headers / "Makefile", headers)
    symbols = (kernel.headers / "Module.symvers").read_text().splitlines(keepends=True)
    kept = [line for line in symbols if "\tmisc_register\t" not in line]
    assert len(kept) == len(symbols) - 1
    (headers / "Module.symvers").write_text("".join(kept))
    with pytest.raises(KbuildError, match=rf"misc_register, which kernel {re.escape(kernel.release)}"):
        kbuild.check_module(probe, headers)
    changed = [
        f"0x12345678\t{line.partition(chr(9))[2]}" if "\tmisc_register\t" in line else line
        for line in symbols
    ]
    (headers / "Module.symvers").write_text("".join(changed))
    with pytest.raises(KbuildError, match=r"misc_register.* exports version 0x12345678"):
        kbuild.check_module(probe, headers)


def test_something_that_is_no_module(kernel: Kernel, tmp_path: Path) -> None:
    text = tmp_path / "text.ko"
    text.write_text("hello")
    with pytest.raises(KbuildError, match="is not a kernel module"):
        kbuild.check_module(text, kernel.headers)
    with Path("/bin/true").open("rb") as handle, pytest.raises(KbuildError, match="modinfo"):
        kbuild.read_information(handle.read())


def test_a_module_is_signed(kernel: Kernel, probe: Path, tmp_path: Path) -> None:
    """With the kernel's own program; whoever reads the end of the file sees it."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.der"
    subprocess.run(
        ["openssl", "req", "-new", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "9", "-subj", "/CN=test/",
         "-outform", "DER", "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    module = tmp_path / "probe.ko"
    shutil.copy(probe, module)
    assert not kbuild.is_signed(module.read_bytes())
    kbuild.sign_module(module, kernel.headers, key, certificate)
    assert kbuild.is_signed(module.read_bytes())
    kbuild.check_module(module, kernel.headers)
    signer = subprocess.run(["/sbin/modinfo", "-F", "signer", module], capture_output=True, text=True, check=True)
    assert signer.stdout.strip() == "test"
    with pytest.raises(KbuildError, match=r"signing .* with .*nothing failed"):
        kbuild.sign_module(module, kernel.headers, tmp_path / "nothing", certificate)
