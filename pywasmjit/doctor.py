# SPDX-License-Identifier: GPL-2.0-only
"""`pywasmjit doctor`: can guests run in this kernel, and if not, what to do about it."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pywasmjit import __version__, kbuild, kconfig, launch, loader, system
from pywasmjit.errors import HostUnavailableError, PywasmjitError
from pywasmjit.system import System

OK, NOTE, WARNING, MISSING = "ok", "note", "warning", "missing"
# Where root sees which functions are hooked; tracefs, or debugfs on older systems.
HOOKED = ("/sys/kernel/tracing/enabled_functions", "/sys/kernel/debug/tracing/enabled_functions")
FLOAT_HOOK = "kernel_fpu_end"


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    status: ok; note (a fact); warning (guests run, less well or not all of them); missing (guests
    do not run in the kernel, or the module cannot be built).
    """

    name: str
    status: str
    found: str
    remedy: str = ""


@dataclass(frozen=True)
class Subject:
    """Whose kernel is examined: the running one, or that of prepared headers."""

    running: System
    headers: Path
    this_system: bool


def examine(kernel: Path | None = None, running: System | None = None) -> list[Check]:
    """All checks of the running kernel, or those of another kernel's headers that need no running one."""
    running = running or System()
    subject = Subject(running, kernel or running.headers, kernel is None)
    checks: list[Callable[[Subject], Iterator[Check]]] = [_kernel, _configuration, _headers, _compiler]
    if subject.this_system:
        checks += [_signing, _mitigations, _btf, _module, _float_hook, _device, _launcher]
    return [check for function in checks for check in function(subject)]


def ready(checks: list[Check]) -> bool:
    return all(check.status != MISSING for check in checks)


def as_json(checks: list[Check], kernel: Path | None = None, running: System | None = None) -> str:
    """{"version", "kernel", "ready", "checks": [{"name", "status", "found", "remedy"}, ...]}."""
    document = {
        "version": __version__,
        "kernel": str(kernel) if kernel else (running or System()).release,
        "ready": ready(checks),
        "checks": [dataclasses.asdict(check) for check in checks],
    }
    return json.dumps(document, indent=2)


def show(checks: list[Check]) -> None:
    """A table on standard output, remedies below what they are for."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    styles = {OK: "green", NOTE: "cyan", WARNING: "yellow", MISSING: "bold red"}
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for check in checks:
        text = Text(check.found)
        if check.remedy:
            text.append(f"\n→ {check.remedy}")
        table.add_row(Text(check.status, styles[check.status]), check.name, text)
    console = Console(highlight=False)
    console.print(table)
    if ready(checks):
        console.print("\nGuests can run in this kernel.")
    else:
        count = sum(check.status == MISSING for check in checks)
        console.print(f"\nNot ready: {count} thing{'s' if count > 1 else ''} missing.")


# ---------------------------------------------------------------------------- the checks


def _kernel(subject: Subject) -> Iterator[Check]:
    if subject.running.machine != "x86_64":
        yield Check(
            "processor", MISSING, subject.running.machine, "The kernel host runs on x86_64: exec --host=user."
        )
    if subject.this_system:
        yield Check("kernel", OK, f"{subject.running.release}, {subject.running.machine}")


def _configuration(subject: Subject) -> Iterator[Check]:
    name = "configuration"
    if subject.this_system:
        configuration = subject.running.configuration()
    else:
        places = (subject.headers / ".config", subject.headers / "include/config/auto.conf")
        configuration = next((place for place in places if place.exists()), None)
    if configuration is None:
        yield Check(
            name, WARNING, "the kernel's configuration was not found",
            f"Put it at /boot/config-{subject.running.release}, or give prepared headers: --kernel DIR.",
        )  # fmt: skip
        return
    try:
        found = kconfig.requirements(kbuild.module_sources() / kconfig.KCONFIG, configuration)
    except PywasmjitError as error:
        yield Check(name, MISSING, str(error))
        return
    unmet = [need for need in found if not need.met]
    required = sum(need.required for need in found)
    if not any(need.required for need in unmet):
        yield Check(name, OK, f"{configuration}: all {required} requirements are met")
    for need in unmet:
        state = "is not set" if need.wanted else "is set"
        yield Check(
            name, MISSING if need.required else WARNING, f"{need.symbol} {state}. {need.reason}", need.remedy
        )


def _headers(subject: Subject) -> Iterator[Check]:
    running = subject.running
    prebuilt = loader.installed_module(running) if subject.this_system else None
    if prebuilt is not None:
        yield Check("module file", OK, f"{prebuilt}, version {__version__}")
    try:
        tree = kbuild.inspect_kernel(subject.headers)
    except kbuild.KbuildError as error:
        if prebuilt is not None:
            yield Check("headers", NOTE, f"{error.found}; only needed to build it again", error.remedy)
        else:
            yield Check("headers", MISSING, error.found, error.remedy)
        return
    if subject.this_system and tree.release != running.release:
        yield Check(
            "headers", MISSING, f"{subject.headers} is for {tree.release}, but {running.release} is running",
            f"apt-get install linux-headers-{running.release}, or reboot into {tree.release}",
        )  # fmt: skip
        return
    yield Check("headers", OK, f"{subject.headers} ({tree.release})")


def _compiler(subject: Subject) -> Iterator[Check]:
    if shutil.which("make") is None:
        yield Check("make", MISSING, "make was not found", "apt-get install make")
    try:
        tree = kbuild.inspect_kernel(subject.headers)
        notes: list[str] = []
        compiler = kbuild.find_compiler(tree, notes.append)
    except kbuild.KbuildError as error:
        # Without headers it was said above; which compiler is wanted is not known.
        if (subject.headers / "Makefile").exists():
            yield Check("compiler", MISSING, error.found, error.remedy)
        return
    if notes:
        yield Check("compiler", NOTE, f"{compiler}; {notes[0].removeprefix('note: ')}")
    else:
        yield Check("compiler", OK, f"{compiler} (kernel: {tree.compiler})")


def _signing(subject: Subject) -> Iterator[Check]:
    running = subject.running
    if running.loaded:
        return  # it was let in
    if running.modules_disabled:
        yield Check(
            "module loading", MISSING, "switched off (kernel.modules_disabled = 1)",
            "Reboot, and load wasm before whatever sets it.",
        )  # fmt: skip
    lockdown = running.lockdown
    if not running.path("/proc/modules").exists():
        return  # a kernel without modules: the configuration says so
    if not running.signatures_enforced and lockdown in ("", "none"):
        shown = "no lockdown" if lockdown else "lockdown unknown (securityfs is not mounted)"
        yield Check("signing", OK, f"unsigned modules are taken, {shown}")
        return
    why = "module.sig_enforce" if running.signatures_enforced else f"lockdown: {lockdown}"
    prebuilt = loader.installed_module(running)
    if prebuilt is not None and kbuild.is_signed(loader.read_module(prebuilt)):
        yield Check("signing", OK, f"signed modules only ({why}); {prebuilt} is signed")
        return
    remedy = " ".join(loader.SIGNING.format(release=running.release, version=__version__).split())
    yield Check("signing", MISSING, f"signed modules only ({why}), and there is no signed wasm.ko", remedy)


def _mitigations(subject: Subject) -> Iterator[Check]:
    directory = subject.running.path("/sys/devices/system/cpu/vulnerabilities")
    states = {}
    for path in sorted(directory.glob("*")):
        states[path.name] = subject.running.text(f"/sys/devices/system/cpu/vulnerabilities/{path.name}") or ""
    open_ones = [name for name, state in states.items() if state.startswith("Vulnerable")]
    if not states:
        yield Check("mitigations", NOTE, "the kernel does not say which it uses")
    elif open_ones:
        yield Check(
            "mitigations", WARNING, f"without: {', '.join(open_ones)}",
            "Guests are protected as much as the kernel's own eBPF programs: update the processor's "
            "microcode, boot without mitigations=off.",
        )  # fmt: skip
    else:
        used = sum(state.startswith("Mitigation") for state in states.values())
        yield Check("mitigations", OK, f"{used} in use, taken over for guests' code")


def _btf(subject: Subject) -> Iterator[Check]:
    if subject.running.path("/sys/kernel/btf/vmlinux").exists():
        yield Check("BTF", OK, "bpftrace knows the kernel's types")
    else:
        yield Check("BTF", NOTE, "the kernel has no type information; only tracing tools want it")


def _module(subject: Subject) -> Iterator[Check]:
    running = subject.running
    if not running.loaded:
        yield Check("module", NOTE, "not loaded", "sudo pywasmjit insmod")
    elif running.loaded_version != __version__:
        yield Check(
            "module", MISSING, f"wasm {running.loaded_version} is loaded, this is pywasmjit {__version__}",
            "sudo pywasmjit rmmod && sudo pywasmjit insmod",
        )  # fmt: skip
    else:
        yield Check("module", OK, f"wasm {running.loaded_version} is loaded")


def _float_hook(subject: Subject) -> Iterator[Check]:
    running = subject.running
    name = "ftrace hook"
    if running.text("/proc/sys/kernel/ftrace_enabled") == "0":
        yield Check(
            name, WARNING, "ftrace is switched off: guests that compute with floats are refused",
            "sysctl kernel.ftrace_enabled=1, then load the module again",
        )  # fmt: skip
        return
    if not running.loaded:
        return
    hooked = next((text for place in HOOKED if (text := running.text(place)) is not None), None)
    if hooked is None:
        if os.geteuid() == 0:
            yield Check(name, NOTE, "not known: tracefs is not mounted at /sys/kernel/tracing")
    elif any(line.startswith(f"{FLOAT_HOOK} ") for line in hooked.splitlines()):
        yield Check(name, OK, f"on {FLOAT_HOOK}: guests may compute with floats")
    else:
        yield Check(
            name, WARNING, f"not on {FLOAT_HOOK}: guests that compute with floats are refused",
            "The kernel's log says why (dmesg | grep wasm).",
        )  # fmt: skip


def _device(subject: Subject) -> Iterator[Check]:
    running = subject.running
    device = running.device
    if not running.loaded:
        return
    try:
        access = system.access_of(device)
    except OSError:
        yield Check("device", MISSING, f"{device} does not exist", "Mount devtmpfs at /dev.")
        return
    if system.may_open(device):
        yield Check("device", OK, f"{device}: {access}")
    else:
        found = f"{device}: permission denied; it is for {access}"
        yield Check("device", MISSING, found, launch.access_remedy(device))


def _launcher(subject: Subject) -> Iterator[Check]:
    try:
        yield Check("launcher", OK, str(launch.launcher()))
    except HostUnavailableError as error:
        yield Check("launcher", MISSING, str(error))
