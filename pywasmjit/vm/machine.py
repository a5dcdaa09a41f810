# SPDX-License-Identifier: GPL-2.0-only
"""A stock kernel in QEMU that runs commands and says whether the kernel was hurt.

    with Machine("6.1") as machine, machine.checked():
        machine.run("insmod /project/wasm.ko", check=True)
        print(machine.run("uname -a").text)

In the guest: the project read-only at /project (and on Python's path), a writable root in memory,
user networking on eth0 with the host at 10.0.2.2, /dev/virtio-ports/result for results.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import os
import secrets
import shlex
import socket
import subprocess
import tarfile
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from pywasmjit.vm import oracle, packages, qemu, rootfs
from pywasmjit.vm.errors import (
    BootError,
    CommandError,
    CommandTimeout,
    MachineDied,
    OracleError,
    VmError,
)
from pywasmjit.vm.network import Network
from pywasmjit.vm.packages import Kernel

CHECKOUT = Path(__file__).resolve().parents[2]
BOOT_TIMEOUT = 180.0
# Kernel arguments with which systemd is the first process, and the shell one of its services.
SYSTEMD = ("pywasmjit.systemd", "systemd.unit=pywasmjit.service", "net.ifnames=0")
# How much longer than the guest's own timeout the host waits before it calls the guest hung.
_GRACE = 30.0
_READY = b"pywasmjit: shell ready\n"
_MARK = b"\x1e"
# timeout(1): ended by SIGTERM, or by SIGKILL.
_TIMED_OUT = (124, 137)
_TAIL_LINES = 60
_RUN_DIRECTORY = "/run/pywasmjit"


@dataclass(frozen=True)
class Result:
    """How a command ended; output is standard output and standard error, unchanged."""

    status: int
    output: bytes

    @property
    def text(self) -> str:
        return self.output.decode(errors="replace")


@dataclass(frozen=True)
class Mark:
    """A moment: position in the kernel's log, and the taint."""

    position: int
    taint: int


class Machine:
    """A booted guest, from `with` (or start()) to close().

    Args:
        kernel: a series ("6.1") or a Kernel.
        smp, memory_mb: processors and memory in MiB.
        arguments: more kernel arguments.
        project: what is at /project: guest path relative to it -> host file or directory.
            By default the checkout.
        lifetime: seconds after which the machine is ended, whatever happens.
        icount: count instructions: one is one nanosecond of guest time. See vm.counted.
        cpu: QEMU's -cpu.
        network: QEMU's user network, none, or one shared with other machines (vm/network.py).
        online: let the guest reach the host and beyond, not just the other way around.
    """

    def __init__(
        self,
        kernel: str | Kernel = packages.DEFAULT_SERIES,
        *,
        smp: int = 1,
        memory_mb: int = 1024,
        arguments: Sequence[str] = (),
        project: Mapping[str, Path] | None = None,
        lifetime: float = 1800,
        icount: bool = False,
        cpu: str | None = None,
        network: bool | Network = True,
        online: bool = False,
    ) -> None:
        self._wanted_kernel = kernel
        self._project = {".": CHECKOUT} if project is None else dict(project)
        self._smp = smp
        self._memory_mb = memory_mb
        self._arguments = ("nokaslr", *arguments)
        self._lifetime = lifetime
        self._icount = icount
        self._cpu = cpu or (qemu.ICOUNT_CPU if icount else qemu.DEFAULT_CPU)
        self._network = network
        self.address = "10.0.2.15"
        self._online = online
        self._lock = threading.RLock()
        self._numbers = itertools.count(1)
        self._directory: tempfile.TemporaryDirectory[str] | None = None
        self._qemu: qemu.Process | None = None
        self._final_kmsg = ""
        self.boot_seconds = 0.0
        self.unchecked = False
        """Commands have run since oracle() looked at the kernel."""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    # Life and death

    def start(self) -> None:
        """Make what is missing in the cache, boot, and wait for the shell."""
        self._directory = tempfile.TemporaryDirectory(prefix="pywasmjit-vm-")
        directory = Path(self._directory.name)
        try:
            self._qemu = qemu.Process(self._options(directory), directory)
            self._wait_for_shell()
        except BaseException:
            self.close()
            raise

    def _options(self, directory: Path, arguments: Sequence[str] = ()) -> qemu.Options:
        wanted = self._wanted_kernel
        self.kernel = packages.kernel(wanted) if isinstance(wanted, str) else wanted
        tap = None
        if isinstance(self._network, Network):
            port = self._network.port()
            self.address = port.address
            tap = (port.tap, port.mac)
            arguments = [*arguments, port.argument]
        return qemu.Options(
            image=self.kernel.image,
            initramfs=rootfs.initramfs(self.kernel),
            images=(
                rootfs.root_image(),
                rootfs.project_image(self._project, directory / "project.ext4"),
                rootfs.module_image(self.kernel),
            ),
            arguments=(*self.kernel.arguments, *self._arguments, *arguments),
            smp=self._smp,
            memory_mb=self._memory_mb,
            cpu=self._cpu,
            icount=self._icount,
            network=self._network is True,
            tap=tap,
            online=self._online,
            lifetime=self._lifetime * self.kernel.slowness,
        )

    def interact(self) -> int:
        """Boot with the guest's shell on this terminal, until it exits; instead of start()."""
        terminal = os.environ.get("TERM", "linux")
        try:
            # Not shutil's: LINES and COLUMNS may be left from another terminal.
            size = os.get_terminal_size(0)
        except OSError:
            raise VmError("a shell in a machine needs a terminal as standard input") from None
        shown = f"pywasmjit.terminal={terminal},{size.lines},{size.columns}"
        with tempfile.TemporaryDirectory(prefix="pywasmjit-vm-") as name:
            directory = Path(name)
            options = self._options(directory, [shown])
            command = qemu.shell_command(options, directory / "kmsg.log")
            limit = ["timeout", "--foreground", str(self._lifetime)]
            return subprocess.run([*limit, *command], check=False).returncode

    def _wait_for_shell(self) -> None:
        process = self._process()
        begin = time.monotonic()
        try:
            process.shell.read_until(_READY, begin + BOOT_TIMEOUT * self.kernel.slowness)
        except (TimeoutError, EOFError) as error:
            what = "ended" if isinstance(error, EOFError) else f"no shell in {BOOT_TIMEOUT:.0f} s"
            process.wait(2)
            raise BootError(
                f"booting {self.kernel.release} failed: {what}; "
                f"{process.reason() or process.complaint()}\n"
                f"--- last kernel messages ---\n{self.kmsg_tail()}"
            ) from None
        self.boot_seconds = time.monotonic() - begin

    def close(self) -> None:
        """End the machine at once; nothing in it needs saving."""
        if self._qemu is not None:
            self._qemu.close()
            self._final_kmsg = self._qemu.kmsg()
            self._qemu = None
        if self._directory is not None:
            self._directory.cleanup()
            self._directory = None

    @property
    def alive(self) -> bool:
        return self._qemu is not None and self._qemu.alive()

    def _process(self) -> qemu.Process:
        if self._qemu is None:
            raise MachineDied("the machine is not running", self.kmsg_tail())
        return self._qemu

    def _death(self, what: str, partial: bytes = b"") -> MachineDied:
        """End the machine and say why it is gone."""
        if self._qemu is not None:
            self._qemu.wait(2)
            if reason := self._qemu.reason():
                what = f"{what}; {reason}"
        self.close()
        for line in self.kmsg().splitlines():
            if "Kernel panic" in line:
                what = f"{what}: {line.strip()}"
                break
        return MachineDied(what, self.kmsg_tail(), partial)

    # Commands

    def run(
        self,
        command: str | Sequence[str],
        timeout: float = 60,
        *,
        check: bool = False,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
    ) -> Result:
        """Run a command (a string is for /bin/sh) without input; return status and output.

        `timeout`, as all in this module, is in seconds on a stock kernel; a slower one has longer.
        A background process must not keep the output open: give it its own, or use popen().
        Raises CommandTimeout (the command was killed), MachineDied, CommandError (with check).
        """
        result = self._run(_shell_text(command, env, cwd), timeout)
        if check and result.status != 0:
            raise CommandError(
                f"{_shown(command)}: status {result.status}\n{result.text}"
                f"--- last kernel messages ---\n{self.kmsg_tail(20)}"
            )
        return result

    def _run(self, text: str, timeout: float, feed: bytes = b"") -> Result:
        self.unchecked = True
        timeout *= self.kernel.slowness
        nonce = secrets.token_hex(8)
        # The pipe keeps the shell's port out of sight of the command, and timeout(1) ends
        # whatever of its process group holds that pipe. What the shell around it has to say
        # ("Killed") is not the command's output.
        inner = (
            f"{{ (exec 2>&1; exec sh -c {shlex.quote(text)}); "
            f"printf '\\036{nonce} %d\\036' $?; }} </dev/null 2>/dev/null | cat"
        )
        # Where instructions are the clock the guest's seconds are not the host's.
        limit = 0 if self._icount else timeout
        line = (
            f"timeout -k 2 {limit:.1f} sh -c {shlex.quote(inner)}; "
            f"printf '\\036{nonce}=%d\\036{nonce}.\\036' $?\n"
        )
        answer = self._converse(line, f"{nonce}.".encode(), timeout, _shown(text), feed)
        # OUTPUT, mark with the command's status, later output, mark with the status of timeout(1);
        # the first mark is missing if the command's whole process group was killed.
        answer, _, outer = answer.rpartition(_MARK + f"{nonce}=".encode())
        output, ended, rest = answer.partition(_MARK + f"{nonce} ".encode())
        status, _, later = rest.partition(_MARK)
        if int(outer) in _TIMED_OUT:
            what = f"{_shown(text)}: not finished in {timeout:g} s"
            if ended:
                what = (
                    f"{_shown(text)}: ended, but a background process keeps the output open after "
                    f"{timeout:g} s; use popen(), or redirect its output"
                )
            raise CommandTimeout(what, output + later)
        return Result(int(status or outer), output + later)

    def _converse(self, line: str, prompt: bytes, timeout: float, what: str, feed: bytes = b"") -> bytes:
        """Send a line to the shell, data to the files port; return what precedes the prompt."""
        with self._lock:
            process = self._process()
            deadline = time.monotonic() + timeout + _GRACE * self.kernel.slowness
            try:
                process.shell.send(line.encode(), deadline)
                process.files.send(feed, deadline)
                return process.shell.read_until(_MARK + prompt + _MARK, deadline)
            except TimeoutError:
                raise self._hung(what, timeout, process.shell.take()) from None
            except (EOFError, OSError):
                partial = process.shell.take()
                raise self._death(f"the guest ended while running {what}", partial) from None

    def _hung(self, what: str, timeout: float, partial: bytes) -> MachineDied:
        """The guest did not even kill the command: take a backtrace and end the machine."""
        with contextlib.suppress(VmError):
            self._process().monitor("nmi")
            self._process().wait(10)
        return self._death(
            f"the guest hangs: {what} was to be killed after {timeout:g} s, but after "
            f"{timeout + _GRACE:g} s there is no prompt",
            partial,
        )

    def popen(
        self,
        command: str | Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
    ) -> Background:
        """Start a command that keeps running; a Sequence, or a simple command, has its own pid."""
        directory = f"{_RUN_DIRECTORY}/{next(self._numbers)}"
        text = _shell_text(command, env, cwd)
        watcher = (
            f"sh -c {shlex.quote(text)} </dev/null >{directory}/out 2>&1 & echo $! >{directory}/p; "
            f"mv {directory}/p {directory}/pid; wait $!; "
            f"echo $? >{directory}/s; mv {directory}/s {directory}/status"
        )
        started = self.run(
            f"mkdir -p {directory} && "
            f"{{ setsid sh -c {shlex.quote(watcher)} </dev/null >/dev/null 2>&1 & }}; "
            f"until [ -e {directory}/pid ]; do sleep 0.01; done; cat {directory}/pid",
            check=True,
        )
        return Background(self, _shown(command), int(started.text), directory)

    # Files, ports, results

    def copy_in(self, source: Path, directory: str = "/tmp", *, timeout: float = 120) -> str:
        """Copy a host file or directory into a guest directory; return its guest path."""
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            tar.add(source, arcname=source.name, filter=_owned_by_root)
        data = archive.getvalue()
        where = shlex.quote(directory)
        result = self._run(
            f"mkdir -p {where} && head -c {len(data)} </dev/virtio-ports/files | tar -xf - -C {where}",
            timeout,
            feed=data,
        )
        if result.status != 0:
            raise VmError(f"copying {source} to {directory} failed: {result.text}")
        return f"{directory.rstrip('/')}/{source.name}"

    def copy_out(self, path: str, directory: Path, *, timeout: float = 120) -> Path:
        """Copy a guest file or directory into a host directory; return its host path."""
        parent, _, name = path.rstrip("/").rpartition("/")
        with self._lock:
            files = self._process().files
            files.take()
            reader = _Collector(files)
            with reader:
                result = self._run(
                    f"tar -cf /dev/virtio-ports/files -C {shlex.quote(parent or '/')} {shlex.quote(name)}",
                    timeout,
                )
        if result.status != 0:
            raise VmError(f"copying {path} out of the guest failed: {result.text}")
        with tarfile.open(fileobj=io.BytesIO(reader.data)) as tar:
            for member in tar.getmembers():
                if member.name.startswith("/") or ".." in member.name.split("/"):
                    raise VmError(f"the guest sent a file name that leads elsewhere: {member.name}")
            # Debian 12's Python has no filters yet (3.11.4) and ignores this.
            tar.extraction_filter = getattr(tarfile, "data_filter", None)
            tar.extractall(directory)
        return directory / name

    def result(self) -> bytes:
        """Everything the guest has written to /dev/virtio-ports/result."""
        return self._process().result_path.read_bytes()

    def forward(self, guest_port: int, wanted: int = 0) -> int:
        """Make a guest TCP port reachable on the host's loopback; return the port there.

        It is `wanted` if that is free, else any.
        """
        refusal = ""
        for attempt in range(10):
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind(("127.0.0.1", 0 if attempt else wanted))
                except OSError:
                    continue
                port = int(probe.getsockname()[1])
            # Another process may take the port in between: then QEMU refuses, and we try again.
            refusal = self._process().monitor(f"hostfwd_add net0 tcp:127.0.0.1:{port}-:{guest_port}")
            if not refusal.strip():
                return port
        raise VmError(f"cannot forward a port to the guest's {guest_port}: {refusal.strip()}")

    # The kernel's health

    def kmsg(self) -> str:
        """All kernel messages since boot; also after the machine's end."""
        return self._qemu.kmsg() if self._qemu is not None else self._final_kmsg

    def kmsg_tail(self, lines: int = _TAIL_LINES) -> str:
        return "\n".join(self.kmsg().splitlines()[-lines:])

    def mark(self) -> Mark:
        """Note the present state, for oracle()."""
        nonce = secrets.token_hex(8)
        # Straight to the shell: run() costs a dozen processes. (The shell's own `read` would see
        # only the taint's first digit, because it reads bytewise and such files read at once.)
        line = (
            f"echo '<6>pywasmjit: mark {nonce}' >/dev/kmsg; "
            f"printf '%d \\036{nonce}.\\036' $(cat /proc/sys/kernel/tainted)\n"
        )
        taint = self._converse(line, f"{nonce}.".encode(), 0, "the mark")
        deadline = time.monotonic() + 10 * self.kernel.slowness
        while True:
            log = self.kmsg()
            found = log.find(f"pywasmjit: mark {nonce}\n")
            if found >= 0:
                return Mark(log.index("\n", found) + 1, int(taint))
            if time.monotonic() > deadline:
                raise OracleError(
                    "the end marker written to /dev/kmsg did not reach the serial port\n"
                    f"--- last kernel messages ---\n{self.kmsg_tail()}"
                )
            time.sleep(0.01)

    def oracle(self, since: Mark, *, allow: Iterable[str] = ()) -> None:
        """Raise OracleError if the kernel was hurt since a mark.

        `allow` are regular expressions for message lines that this test provokes.
        """
        now = self.mark()
        self.unchecked = False
        messages = self.kmsg()[since.position : now.position]
        harm = oracle.signs_of_harm(messages, allow)
        taint = oracle.taint_change(since.taint, now.taint)
        problems = []
        if taint:
            problems.append(f"taint changed from {since.taint} to {now.taint}: {taint}")
        if harm:
            problems.append(f"the kernel reported: {harm[0].strip()}")
        if problems:
            raise OracleError(f"{'; '.join(problems)}\n--- kernel messages ---\n{messages}")

    @contextlib.contextmanager
    def checked(self, *, allow: Iterable[str] = ()) -> Iterator[Mark]:
        """Require that what is done inside leaves the kernel unhurt."""
        allow = tuple(allow)
        since = self.mark()
        try:
            yield since
        except Exception as error:
            # The first failure is the one to report; the kernel's state may explain it.
            try:
                self.oracle(since, allow=allow)
            except VmError as harm:
                error.add_note(f"and the kernel was hurt: {harm}")
            raise
        self.oracle(since, allow=allow)


class Background:
    """A process running in the guest beside others; see Machine.popen."""

    def __init__(self, machine: Machine, name: str, pid: int, directory: str) -> None:
        self._machine = machine
        self._name = name
        self.pid = pid
        self._directory = directory

    def output(self) -> bytes:
        """Standard output and standard error so far."""
        return self._machine.run(f"cat {self._directory}/out", check=True).output

    def poll(self) -> int | None:
        """The exit status (128 + signal if a signal ended it), None while it runs."""
        result = self._machine.run(f"cat {self._directory}/status 2>/dev/null")
        return int(result.text) if result.status == 0 else None

    def wait(self, timeout: float = 60) -> int:
        """Wait for the end; return the exit status."""
        self._wait_until(f"[ -e {self._directory}/status ]", "end", timeout)
        status = self.poll()
        assert status is not None
        return status

    def wait_for_output(self, text: str, timeout: float = 60) -> bytes:
        """Wait until the output contains this text; return the output so far."""
        pattern = shlex.quote(text)
        self._wait_until(
            f"grep -qF -e {pattern} {self._directory}/out || [ -e {self._directory}/status ]",
            f"print {text!r}",
            timeout,
        )
        output = self.output()
        if text.encode() not in output:
            raise CommandError(
                f"{self._name} ended with status {self.poll()} before it printed {text!r}:\n"
                f"{output.decode(errors='replace')}"
            )
        return output

    def wait_for_port(self, port: int, timeout: float = 60) -> None:
        """Wait until something in the guest listens on a TCP port."""
        self._wait_until(
            f"[ -n \"$(ss -Hltn 'sport = :{port}')\" ] || [ -e {self._directory}/status ]",
            f"listen on port {port}",
            timeout,
        )
        if (status := self.poll()) is not None:
            raise CommandError(
                f"{self._name} ended with status {status} before it listened on port {port}:\n"
                f"{self.output().decode(errors='replace')}"
            )

    def _wait_until(self, condition: str, what: str, timeout: float) -> None:
        try:
            self._machine.run(f"until {condition}; do sleep 0.05; done", timeout)
        except CommandTimeout as error:
            output = self.output().decode(errors="replace")
            raise CommandTimeout(
                f"{self._name} did not {what} in {timeout:g} s; its output:\n{output}"
            ) from error

    def signal(self, name: str) -> None:
        """Send a signal by name ("TERM") to the process."""
        self._machine.run(f"kill -{name} {self.pid}", check=True)

    def terminate(self, timeout: float = 10) -> int:
        """End the process: SIGTERM, or SIGKILL when that does not help; return the status."""
        for name in ("TERM", "KILL"):
            self._machine.run(f"kill -{name} {self.pid}")
            with contextlib.suppress(CommandTimeout):
                return self.wait(timeout)
        raise CommandTimeout(f"{self._name} (pid {self.pid}) survives SIGKILL")


class _Collector:
    """Reads a channel in a thread until the block ends, then what is left."""

    def __init__(self, channel: qemu.Channel) -> None:
        self._channel = channel
        self._chunks: list[bytes] = []
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._collect)

    @property
    def data(self) -> bytes:
        return b"".join(self._chunks)

    def _collect(self) -> None:
        while not self._done.wait(0.005):
            self._chunks.append(self._channel.take())

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()
        # The guest's write returns only when QEMU has passed the data on.
        self._chunks.append(self._channel.take())


def _shell_text(command: str | Sequence[str], env: Mapping[str, str] | None, cwd: str | None) -> str:
    # A sequence replaces its shell, so that it is the process with the pid.
    text = command if isinstance(command, str) else "exec " + shlex.join(command)
    exports = "".join(f"export {name}={shlex.quote(value)}; " for name, value in (env or {}).items())
    change = f"cd {shlex.quote(cwd)} || exit; " if cwd is not None else ""
    return f"{exports}{change}{text}"


def _shown(command: str | Sequence[str]) -> str:
    text = command if isinstance(command, str) else shlex.join(command)
    text = " ".join(text.split())
    return text if len(text) <= 200 else f"{text[:200]}..."


def _owned_by_root(info: tarfile.TarInfo) -> tarfile.TarInfo:
    info.uid = info.gid = 0
    info.uname = info.gname = "root"
    return info
