# SPDX-License-Identifier: GPL-2.0-only
"""`make run`: build nginx.wasm and serve a page with it.

    run_nginx.py --host auto|kernel|user [--port N] [--once] [--since SECONDS]

--host=kernel is this machine's kernel where /dev/wasm is there, else Debian's kernel in a virtual
machine (the port is forwarded): nothing is ever loaded into the kernel of this machine.

With --once it makes one request itself, prints the status line, the host and the time from
--since (seconds since the epoch; default: its own start) to the first byte, and ends. That nginx ran
in ring 0 is asserted from the module's totals, which are printed at the end.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from build_guests import main as build_guests  # noqa: E402

from pywasmjit import launch  # noqa: E402
from pywasmjit.errors import PywasmjitError  # noqa: E402
from pywasmjit.vm import packages, qemu, ring0  # noqa: E402
from pywasmjit.vm.cli import tell_what_takes_long  # noqa: E402
from pywasmjit.vm.machine import Machine  # noqa: E402

PAGE = """<!doctype html>
<title>pywasmjit</title>
<h1>It works</h1>
<p>nginx, compiled to WebAssembly, served this page in the {host} host.</p>
"""

CONFIGURATION = """\
daemon off;
worker_processes 1;
error_log {directory}/error.log info;
pid {directory}/nginx.pid;
{user}
events {{ worker_connections 512; }}
http {{
    access_log {directory}/access.log;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    default_type text/html;
    sendfile on;
    server {{
        listen {address};
        root {directory}/html;
    }}
}}
"""

START_SECONDS = 120
STOP_SECONDS = 10
# In the virtual machine:
INSIDE = "/run/nginx"
INSIDE_PORT = 8080
LIFETIME = 7 * 24 * 3600


def free_port(wanted: int) -> int:
    """`wanted`, or any free one where that is taken."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                return int(probe.getsockname()[1])
    raise OSError("no free port")


def request(port: int) -> tuple[str, bytes]:
    """Status line and body of GET /."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", "/")
    answer = connection.getresponse()
    return f"HTTP/1.1 {answer.status} {answer.reason}", answer.read()


def prepare(directory: Path, inside: str, address: str, host: str, root: bool) -> None:
    """Page and configuration in `directory`, which nginx knows as `inside`."""
    html = directory / "html"
    html.mkdir(parents=True)
    (html / "index.html").write_text(PAGE.format(host=host))
    directory.chmod(0o755)
    user = "user nobody nogroup;" if root else ""
    text = CONFIGURATION.format(directory=inside, address=address, user=user)
    (directory / "nginx.conf").write_text(text)


class Here:
    """nginx in user space, or in this machine's kernel."""

    def __init__(self, wasm: Path, host: str, port: int, directory: Path) -> None:
        self.host = self.where = host
        self.port = free_port(port)
        self._directory = directory
        prepare(directory, str(directory), f"127.0.0.1:{self.port}", host, root=os.geteuid() == 0)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "pywasmjit.cli", "exec", f"--host={host}", str(wasm),
             "-c", f"{directory}/nginx.conf", "-e", f"{directory}/error.log"],
            cwd=ROOT,
            # Control-C is for us: we end it, and look at the counters.
            start_new_session=True,
        )

    def wait_until_it_listens(self) -> None:
        """Until the port accepts; RuntimeError if the server ends or takes too long."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise RuntimeError(f"nginx.wasm ended with status {self._process.returncode}")
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            time.sleep(0.02)
        raise RuntimeError(f"nginx.wasm does not listen after {START_SECONDS} s")

    def poll(self) -> int | None:
        return self._process.poll()

    def totals(self) -> dict[str, int]:
        return ring0.totals(Path(ring0.TOTALS).read_text())

    def stop(self) -> None:
        """End it."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        log = self._directory / "error.log"
        if self._process.returncode not in (0, -signal.SIGTERM) and log.exists():
            print(log.read_text()[-2000:], file=sys.stderr)

    def close(self) -> None:
        if self._process.poll() is None:
            self.stop()


class InMachine:
    """nginx in ring 0 of Debian's kernel, in a virtual machine."""

    host = "kernel"

    def __init__(self, wasm: Path, port: int, directory: Path) -> None:
        qemu.program()  # before the work, not after it
        tell_what_takes_long()
        program = launch.launcher()
        kernel = packages.kernel()
        self.where = f"kernel: Linux {kernel.release} in a virtual machine"
        prepare(directory / "nginx", INSIDE, f"0.0.0.0:{INSIDE_PORT}", "kernel", root=True)
        image = directory / "nginx.img"
        with open(launch.image_of(launch.read_file(wasm), lambda text: None), "rb") as file:
            file.seek(0)
            image.write_bytes(file.read())
        print(f"run: building wasm.ko for Linux {kernel.release}", file=sys.stderr, flush=True)
        self._machine = Machine(
            kernel,
            project={
                "wasm.ko": ring0.wasm_module(kernel),
                "launch": program,
                "nginx.img": image,
                "nginx.wasm": wasm,
                "nginx": directory / "nginx",
            },
            lifetime=LIFETIME,
        )
        self._machine.start()
        try:
            self._start = self._machine.mark()
            self._machine.run(f"insmod /project/wasm.ko && cp -a /project/nginx {INSIDE}", check=True)
            self._nginx = self._machine.popen(
                ["/project/launch", "--host=kernel", "--image=/project/nginx.img",
                 "--wasm=/project/nginx.wasm", "--", "nginx",
                 "-c", f"{INSIDE}/nginx.conf", "-e", f"{INSIDE}/error.log"]
            )
            self.port = self._machine.forward(INSIDE_PORT, port)
        except BaseException:
            self._machine.close()
            raise

    def wait_until_it_listens(self) -> None:
        self._nginx.wait_for_port(INSIDE_PORT, START_SECONDS)

    def poll(self) -> int | None:
        return self._nginx.poll()

    def totals(self) -> dict[str, int]:
        return ring0.totals(self._machine.run(f"cat {ring0.TOTALS}", check=True).text)

    def stop(self) -> None:
        status = self._nginx.poll()
        if status is None:
            status = self._nginx.terminate(STOP_SECONDS)
        if status != 0:
            print(self._machine.run(f"tail -n 20 {INSIDE}/error.log").text, file=sys.stderr)
        self._machine.oracle(self._start)

    def close(self) -> None:
        self._machine.close()


def serve(wasm: Path, host: str, port: int, once: bool, since: float) -> int:
    """Run the server; with `once`, one request and its end."""
    with tempfile.TemporaryDirectory(prefix="pywasmjit-run-") as name:
        directory = Path(name)
        server: Here | InMachine
        if host == "kernel" and not launch.DEVICE.exists():
            problem = f"{launch.DEVICE} does not exist"
            print(f"run: {problem}: serving from ring 0 of a virtual machine", flush=True)
            server = InMachine(wasm, port, directory)
        else:
            server = Here(wasm, launch.choose_host(host), port, directory)
        try:
            server.wait_until_it_listens()
            if once:
                status, body = request(server.port)
                elapsed = time.time() - since
                print(f"http://127.0.0.1:{server.port}/\n{status} ({len(body)} bytes)")
                print(f"host: {server.where}")
                print(f"from command to first byte: {elapsed:.1f} s")
                ended = 0 if status.endswith("200 OK") else 1
            else:
                print(f"\n  http://127.0.0.1:{server.port}/   ({server.where}; Ctrl-C ends it)\n", flush=True)
                ended = wait(server)
            server.stop()
            if server.host == "kernel":
                counted = server.totals()
                ring0.require_ring0(counted)
                print(
                    f"served in ring 0: {counted['host_calls']} host calls, {counted['system_calls']} "
                    f"system calls made directly, {counted['launcher_calls']} by the launcher, "
                    f"{counted['functions_interpreted']} functions interpreted"
                )
        finally:
            server.close()
    return ended


def wait(server: Here | InMachine) -> int:
    """Until Control-C (0), or the server ends by itself (its status)."""
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    while (status := server.poll()) is None:
        if stopped.wait(0.5):
            return 0
    return status


def main() -> int:
    parser = argparse.ArgumentParser(description="Build nginx.wasm and serve a page with it.")
    parser.add_argument("--host", choices=("auto", "kernel", "user"), default="auto")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--once", action="store_true")
    parser.add_argument("--since", type=float, default=time.time())
    options = parser.parse_args()
    # Whoever ends us ends the machine, too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    guests = ROOT / "build" / "guests"
    try:
        if build_guests(["nginx", "-o", str(guests)]):
            return 1
        return serve(guests / "nginx.wasm", options.host, options.port, options.once, options.since)
    except KeyboardInterrupt:
        print("run: interrupted", file=sys.stderr)
        return 130
    except PywasmjitError as error:
        print(f"run: {error}", file=sys.stderr)
        return error.exit_code
    except (RuntimeError, OSError) as error:
        print(f"run: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
