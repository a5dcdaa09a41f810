# SPDX-License-Identifier: GPL-2.0-only
"""Run a command in a guest whose clock counts instructions: equal runs give equal logs.

One instruction is one nanosecond. That makes a regression gate and a ratio, never a speed:
caches, the cost of a trap and mitigations are not seen, string instructions count per iteration,
and waiting counts as if instructions were executed (`sleep 1` is 10^9 of them).

    counted = run_counted("sha256sum /data", files={"data": Path("...")})
    print(counted.instructions, counted.output)
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pywasmjit.vm import packages, qemu, rootfs
from pywasmjit.vm.cpio import Archive
from pywasmjit.vm.errors import MachineDied, VmError
from pywasmjit.vm.packages import Kernel

_STAMPED = re.compile(r"^\[ *(\d+)\.(\d{6})\] ?(.*)$")
_COMPLETE = "pywasmjit: complete"


@dataclass(frozen=True)
class Counted:
    """What a counted run did."""

    status: int
    instructions: int
    """From just before the command to just after it, in steps of 1000; boot not included."""
    output: str
    """What the command printed, without the kernel's messages."""
    console: str
    """Everything on the serial port, from boot to power-off: equal between equal runs."""
    plugin_output: str = ""
    """What QEMU's plugin printed."""


def run_counted(
    command: str,
    *,
    kernel: str | Kernel = packages.DEFAULT_SERIES,
    files: Mapping[str, Path] | None = None,
    modules: Sequence[Path] = (),
    kernel_modules: Sequence[str] = (),
    arguments: Sequence[str] = (),
    memory_mb: int = 1024,
    cpu: str = qemu.ICOUNT_CPU,
    plugin: str | None = None,
    timeout: float = 600,
) -> Counted:
    """Boot, load modules, run a shell command, power off.

    Args:
        files: guest path -> host file or directory. The guest has busybox and nothing else; see
            program_files for native programs.
        modules: modules to load, in this order, after `kernel_modules` (names) of the kernel.
        plugin: for QEMU's -plugin, FILE,ARGUMENT,...
        timeout: seconds of the host's time.
    """
    chosen = packages.kernel(kernel) if isinstance(kernel, str) else kernel
    archive = Archive()
    archive.add_file("init", (rootfs.GUEST_FILES / "counted").read_bytes(), 0o755)
    archive.add_file("bin/busybox", rootfs.busybox(), 0o755)
    archive.add_file("command", command.encode())
    for guest_path, path in (files or {}).items():
        _add(archive, guest_path, path)
    rootfs.add_modules(archive, chosen, kernel_modules, modules)
    with tempfile.TemporaryDirectory(prefix="pywasmjit-vm-") as name:
        initramfs = Path(name) / "initramfs"
        initramfs.write_bytes(archive.to_bytes())
        log = Path(name) / "console"
        options = qemu.Options(
            image=chosen.image,
            initramfs=initramfs,
            arguments=("nokaslr", *arguments),
            memory_mb=memory_mb,
            cpu=cpu,
            icount=True,
            warp=True,
            network=False,
        )
        serial = ("-chardev", f"file,id=log,path={log}", "-serial", "chardev:log")
        plugins = ("-plugin", plugin) if plugin else ()
        done = subprocess.run(
            ["timeout", "-k", "5", str(timeout), *qemu.machine_command(options), *serial, *plugins],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        console = log.read_text(errors="replace").replace("\r\n", "\n") if log.exists() else ""
    tail = "\n".join(console.splitlines()[-40:])
    if done.returncode == 124:
        raise MachineDied(f"{command}: not finished in {timeout:g} s", tail)
    if done.returncode != 0:
        raise VmError(f"QEMU ended with status {done.returncode}: {done.stderr.strip()}")
    return _interpreted(command, console, tail, done.stderr)


def _interpreted(command: str, console: str, tail: str, plugin_output: str) -> Counted:
    times: dict[str, int] = {}
    status = 0
    output: list[str] | None = None
    for line in console.splitlines():
        stamped = _STAMPED.match(line)
        if stamped is None:
            if output is not None:
                output.append(line)
        elif stamped[3].startswith("pywasmjit: "):
            _, event, *rest = stamped[3].split()
            times[event] = int(stamped[1] + stamped[2]) * 1000
            if event == "end":
                status = int(rest[0])
                output = []
    if output is None or _COMPLETE not in output:
        raise MachineDied(f"the guest ended while running {command}", tail)
    text = "\n".join(output[: output.index(_COMPLETE)])
    return Counted(status, times["end"] - times["begin"], text, console, plugin_output)


def program_files(*programs: Path) -> dict[str, Path]:
    """A host's dynamic programs and their libraries, as `files` for run_counted."""
    result = {}
    for program in programs:
        result[str(program)] = program
        listed = subprocess.run(["ldd", str(program)], capture_output=True, text=True, check=False)
        for path in re.findall(r"(/\S+) \(0x", listed.stdout):
            result[path] = Path(path)
    return result


def _add(archive: Archive, guest_path: str, path: Path) -> None:
    entries: Iterable[Path] = sorted(path.rglob("*")) if path.is_dir() else [path]
    for entry in entries:
        name = f"{guest_path}/{entry.relative_to(path)}" if path.is_dir() else guest_path
        if entry.is_dir():
            archive.add_directory(name)
        else:
            # Links are followed: their targets need not be in the guest.
            archive.add_file(name, entry.read_bytes(), entry.stat().st_mode & 0o777)
