# SPDX-License-Identifier: GPL-2.0-only
"""A guest nginx under test: configuration, life, requests."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from tests.e2e.conftest import Host, alive, children, end, wait_until

HEAD = """\
{user}
pid {directory}/nginx.pid;
error_log {directory}/error.log info;
"""

HTTP = """\
    client_body_temp_path {directory}/tmp/body;
    proxy_temp_path {directory}/tmp/proxy;
    fastcgi_temp_path {directory}/tmp/fastcgi;
    uwsgi_temp_path {directory}/tmp/uwsgi;
    scgi_temp_path {directory}/tmp/scgi;
    access_log {directory}/access.log;
    default_type text/plain;
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Nginx:
    """nginx.wasm as a daemon; a context manager that leaves no process behind."""

    def __init__(self, host: Host, wasm: Path, directory: Path, main: str, http: str) -> None:
        self.host, self.wasm, self.directory = host, wasm, directory
        for name in ("tmp", "html"):
            (directory / name).mkdir(exist_ok=True)
        directory.chmod(0o755)
        user = "user nobody nogroup;" if os.geteuid() == 0 else ""
        names = {"directory": str(directory), "user": user}
        self.port = free_port()
        text = HEAD + main + "\nevents { worker_connections 512; }\n"
        if http:
            text += "http {\n" + HTTP + http + "\n}\n"
        for name, value in {**names, "port": str(self.port)}.items():
            text = text.replace("{" + name + "}", value)
        self.configuration = directory / "nginx.conf"
        self.configuration.write_text(text)
        self.prefix: tuple[str, ...] = ()

    def arguments(self) -> list[str]:
        return ["-p", str(self.directory), "-c", str(self.configuration),
                "-e", str(self.directory / "error.log")]

    @property
    def pid(self) -> int:
        """Of the master; 0 while there is none."""
        try:
            return int((self.directory / "nginx.pid").read_text() or "0")
        except FileNotFoundError:
            return 0

    @property
    def workers(self) -> list[int]:
        return children(self.pid) if self.pid else []

    def start(self) -> None:
        """Start as a daemon and wait until it listens."""
        done = subprocess.run(
            [*self.prefix, *self.host.command(self.wasm, *self.arguments())],
            capture_output=True, text=True, timeout=60, env=self.host.environment(), check=False,
        )
        assert done.returncode == 0, done.stderr + self.log()
        wait_until(self.listens, "nginx listens")

    def listens(self) -> bool:
        if self.prefix:
            return (self.directory / "nginx.pid").exists()
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return (self.directory / "nginx.pid").exists()
        return False

    def log(self) -> str:
        log = self.directory / "error.log"
        return log.read_text() if log.exists() else ""

    def send(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def get(
        self, path: str, headers: dict[str, str] | None = None, method: str = "GET", body: bytes | None = None
    ) -> tuple[http.client.HTTPResponse, bytes]:
        """One request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request(method, path, body=body, headers=headers or {})
        answer = connection.getresponse()
        data = answer.read()
        connection.close()
        return answer, data

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End it and wait until no process is left."""
        master = self.pid
        processes = [master, *self.workers]
        os.kill(master, number)
        wait_until(lambda: not any(alive(pid) for pid in processes), "nginx ended")

    def __enter__(self) -> Nginx:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self.pid:
            return
        processes = [self.pid, *self.workers]
        with suppress(AssertionError, ProcessLookupError):
            self.stop()
        for pid in processes:
            end(pid)
