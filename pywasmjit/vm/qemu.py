# SPDX-License-Identifier: GPL-2.0-only
"""One QEMU process: its command line, its channels to the guest, its end."""

from __future__ import annotations

import json
import os
import selectors
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pywasmjit.vm.errors import MachineDied, VmError

QEMU = "qemu-system-x86_64"
# cx16: a 6.12 kernel under QEMU 7.2 twice showed garbage flags after cmpxchg16b.
DEFAULT_CPU = "max,-cx16"
# One virtual nanosecond per instruction, and nothing random: equal runs, equal counts.
ICOUNT_CPU = "max,-cx16,-erms,-fsrm,-rdrand,-rdseed"
ICOUNT_OPTIONS = (
    *("-seed", "1"),
    *("-rtc", "base=2024-01-01,clock=vm"),
)
ICOUNT_ARGUMENTS = ("norandmaps", "random.trust_cpu=off")
KERNEL_ARGUMENTS = (
    "console=ttyS0",
    "panic=-1",
    "oops=panic",
    "ignore_loglevel",
    # User space may write as many kernel messages as it likes.
    "printk.devkmsg=on",
    # Machine.run sends an NMI to a guest that hangs, for its backtrace.
    "unknown_nmi_panic",
)


class Channel:
    """A byte stream between host and guest; reading waits for an event, with a deadline."""

    def __init__(self) -> None:
        self.host, self.guest = socket.socketpair()
        self.host.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self.host, selectors.EVENT_READ)
        self._buffer = bytearray()
        self.closed = False

    def read_until(self, marker: bytes, deadline: float) -> bytes:
        """Everything before the marker, which is consumed.

        TimeoutError and EOFError leave what was read in the buffer (see `take`).
        """
        searched = 0
        while (found := self._buffer.find(marker, searched)) < 0:
            searched = max(0, len(self._buffer) - len(marker) + 1)
            self._fill(deadline)
        result = bytes(self._buffer[:found])
        del self._buffer[: found + len(marker)]
        return result

    def take(self) -> bytes:
        """What was read but not consumed, and what is there to read without waiting."""
        try:
            while not self.closed:
                self._fill(0)
        except (TimeoutError, EOFError):
            pass
        result = bytes(self._buffer)
        self._buffer.clear()
        return result

    def _fill(self, deadline: float) -> None:
        if self.closed:
            raise EOFError
        if not self._selector.select(max(0, deadline - time.monotonic())):
            raise TimeoutError
        try:
            received = self.host.recv(1 << 18)
        except ConnectionResetError:
            received = b""
        if not received:
            self.closed = True
            raise EOFError
        self._buffer += received

    def send(self, data: bytes, deadline: float) -> None:
        """Send everything; OSError when the other side is gone, TimeoutError past the deadline."""
        view = memoryview(data)
        while view:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            self.host.settimeout(left)
            try:
                view = view[self.host.send(view) :]
            finally:
                self.host.setblocking(False)

    def close(self) -> None:
        self.closed = True
        self._selector.close()
        self.host.close()
        self.guest.close()


@dataclass(frozen=True)
class Options:
    """What a machine is made of. Images appear as /dev/vda, /dev/vdb, ... in their order."""

    image: Path
    initramfs: Path
    images: Sequence[Path] = ()
    arguments: Sequence[str] = ()
    smp: int = 1
    memory_mb: int = 1024
    cpu: str = DEFAULT_CPU
    icount: bool = False
    warp: bool = False
    """With icount: an idle guest's clock jumps to its next event instead of following the host's.

    Needed for equal logs; wrong where the guest waits for the host, because all timeouts expire.
    """
    network: bool = True
    online: bool = False
    tap: tuple[int, str] | None = None
    """Descriptor and MAC address of a TAP device, instead of QEMU's own network."""
    lifetime: float = 1800


def shell_command(options: Options, kmsg_path: Path) -> list[str]:
    """QEMU's command line with the guest's shell on this process's terminal."""
    return [
        *machine_command(options),
        *("-chardev", f"file,id=kmsg,path={kmsg_path}", "-serial", "chardev:kmsg"),
        *("-device", "virtio-serial"),
        *("-chardev", "stdio,id=shell,signal=off", "-device", "virtconsole,chardev=shell"),
    ]


class Process:
    """A running QEMU. Ends with the object's close(), with the guest, or after its lifetime."""

    def __init__(self, options: Options, directory: Path) -> None:
        self.kmsg_path = directory / "kmsg.log"
        self.result_path = directory / "result"
        self._stderr_path = directory / "qemu.err"
        self.shell = Channel()
        self.files = Channel()
        self._monitor = Channel()
        self._lifetime = options.lifetime
        channels = (self.shell, self.files, self._monitor)
        numbers = [channel.guest.fileno() for channel in channels]
        limit = ["timeout", "-k", "5", str(options.lifetime)]
        # However this process ends, the machine ends with it.
        command = ["setpriv", "--pdeathsig", "TERM", *limit, *self._command(options, numbers)]
        try:
            with self._stderr_path.open("wb") as stderr:
                self._popen = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=stderr,
                    stderr=stderr,
                    pass_fds=numbers if options.tap is None else [*numbers, options.tap[0]],
                    start_new_session=True,
                )
        except BaseException:
            for channel in channels:
                channel.close()
            raise
        for channel in channels:
            # Only QEMU holds its end now, so its death is an end of file here.
            channel.guest.close()

    def _command(self, options: Options, numbers: Sequence[int]) -> list[str]:
        shell, files, monitor = numbers
        return [
            *machine_command(options),
            *("-chardev", f"file,id=kmsg,path={self.kmsg_path}", "-serial", "chardev:kmsg"),
            *("-device", "virtio-serial"),
            *("-chardev", f"socket,id=shell,fd={shell}"),
            # Not a console: QEMU drops a console's output when the host reads slowly.
            *("-device", "virtserialport,chardev=shell,name=shell"),
            *("-chardev", f"socket,id=files,fd={files}"),
            *("-device", "virtserialport,chardev=files,name=files"),
            *("-chardev", f"file,id=result,path={self.result_path}"),
            *("-device", "virtserialport,chardev=result,name=result"),
            *("-chardev", f"socket,id=monitor,fd={monitor}"),
            *("-mon", "chardev=monitor,mode=control"),
        ]

    @property
    def pid(self) -> int:
        """Process id of timeout(1), whose only child is QEMU; also their process group."""
        return self._popen.pid

    def alive(self) -> bool:
        return self._popen.poll() is None

    def complaint(self) -> str:
        """What QEMU itself printed, which is nothing if all is well."""
        return self._stderr_path.read_text(errors="replace").strip()

    def reason(self) -> str:
        """Why QEMU is gone if the guest did not end it, else ""."""
        status = self._popen.poll()
        if status in (124, 137):
            return f"QEMU was ended after its lifetime of {self._lifetime:g} s"
        if status in (None, 0):
            return ""
        return f"QEMU ended with status {status}: {self.complaint()}"

    def kmsg(self) -> str:
        """All kernel messages so far."""
        try:
            text = self.kmsg_path.read_text(errors="replace")
        except FileNotFoundError:
            return ""
        return text.replace("\r\n", "\n")

    def monitor(self, command: str) -> str:
        """Run a command of QEMU's human monitor; return what it printed."""
        deadline = time.monotonic() + 10
        try:
            self._execute("qmp_capabilities", deadline)
            reply = self._execute("human-monitor-command", deadline, {"command-line": command})
        except (TimeoutError, EOFError, OSError) as error:
            raise MachineDied(f"QEMU's monitor does not answer ({command})", self.kmsg()) from error
        return str(reply)

    def _execute(self, command: str, deadline: float, arguments: dict[str, str] | None = None) -> Any:
        message = {"execute": command, "arguments": arguments or {}}
        self._monitor.send(json.dumps(message).encode() + b"\n", deadline)
        while True:
            reply = json.loads(self._monitor.read_until(b"\n", deadline))
            if "return" in reply:
                return reply["return"]
            if "error" in reply:
                # qmp_capabilities succeeds once; after that the negotiation is over.
                if command == "qmp_capabilities":
                    return None
                raise VmError(f"QEMU refused {command}: {reply['error'].get('desc')}")

    def wait(self, timeout: float) -> bool:
        """Wait for QEMU's own end; False if it still runs."""
        try:
            self._popen.wait(timeout)
        except subprocess.TimeoutExpired:
            return False
        return True

    def close(self) -> None:
        """End QEMU by its process group and close the channels."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            if self.alive():
                os.killpg(self._popen.pid, number)
                self.wait(5)
        for channel in (self.shell, self.files, self._monitor):
            channel.close()


def program() -> str:
    """QEMU's path; VmError where it is not installed."""
    found = shutil.which(QEMU)
    if found is None:
        raise VmError(f"{QEMU} not found: apt-get install qemu-system-x86")
    return found


def machine_command(options: Options) -> list[str]:
    """QEMU's command line, without consoles and ports."""
    arguments = [*KERNEL_ARGUMENTS, *options.arguments]
    if options.icount:
        if options.smp != 1:
            raise VmError("counting instructions needs a single processor: use smp=1 with icount")
        arguments += ICOUNT_ARGUMENTS
    icount = ["-icount", f"shift=0,sleep={'off' if options.warp else 'on'}", *ICOUNT_OPTIONS]
    command = [
        program(),
        *("-machine", "pc", "-accel", "tcg"),
        *("-cpu", options.cpu),
        *("-smp", str(options.smp), "-m", f"{options.memory_mb}M"),
        *("-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"),
        *("-kernel", str(options.image), "-initrd", str(options.initramfs)),
        *("-append", " ".join(arguments)),
        *(icount if options.icount else ()),
    ]
    for image in options.images:
        command += ["-drive", f"file={image},if=virtio,format=raw,readonly=on"]
    if options.tap is not None:
        descriptor, mac = options.tap
        command += ["-netdev", f"tap,id=net0,fd={descriptor}"]
        command += ["-device", f"virtio-net-pci,netdev=net0,romfile=,mac={mac}"]
    elif options.network:
        restrict = "off" if options.online else "on"
        command += ["-netdev", f"user,id=net0,restrict={restrict}"]
        command += ["-device", "virtio-net-pci,netdev=net0,romfile="]
    return command
