# SPDX-License-Identifier: GPL-2.0-only
"""Names through a real DNS server, in a network of its own."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import Host, wait_until
from tests.e2e.nginx_server import Nginx

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")


class Network:
    """Loopback, /etc/resolv.conf and dnsmasq on port 53, in namespaces of their own."""

    def __init__(self, directory: Path) -> None:
        resolv = directory / "resolv.conf"
        resolv.write_text("nameserver 127.0.0.1\nsearch example.test\noptions timeout:2 attempts:2\n")
        script = f"ip link set lo up && mount --bind {resolv} /etc/resolv.conf && echo ready && exec sleep 600"
        self._holder = subprocess.Popen(
            ["unshare", "--net", "--mount", "sh", "-c", script], stdout=subprocess.PIPE
        )
        assert self._holder.stdout and self._holder.stdout.readline() == b"ready\n"
        self.prefix = ("nsenter", "-t", str(self._holder.pid), "--net", "--mount")
        self._server = subprocess.Popen(
            [*self.prefix, "dnsmasq", "--no-daemon", "--no-hosts", "--no-resolv", "--user=root",
             "--conf-file=/dev/null", "--address=/backend.example.test/127.0.0.7",
             "--host-record=both.example.test,127.0.0.8,::1",
             "--host-record=target.example.test,127.0.0.9",
             "--cname=alias.example.test,target.example.test"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        wait_until(self._answers, "dnsmasq answers")

    def _answers(self) -> bool:
        return self.run("ss", "-lun", "sport", "=", ":53").stdout.count(b":53") > 0

    def run(self, *command: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run([*self.prefix, *command], capture_output=True, timeout=60, check=False)

    def close(self) -> None:
        for process in (self._server, self._holder):
            process.kill()
            process.communicate()


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Network]:
    network = Network(tmp_path)
    yield network
    network.close()


HTTP = """
    server { listen 127.0.0.7:8000; location / { return 200 "backend says hello"; } }
    server { listen 127.0.0.1:8001; location / { proxy_pass http://backend.example.test:8000; } }
    server { listen 127.0.0.1:8002; location / { proxy_pass http://backend:8000; } }
"""


def test_proxy_by_host_name(jit: Host, guest: Callable[[str], Path], tmp_path: Path, network: Network) -> None:
    """nginx resolves its upstreams with getaddrinfo at start: full names and by the search list."""
    server = Nginx(jit, guest("nginx"), tmp_path, "worker_processes 1;\n", HTTP)
    server.prefix = network.prefix
    with server:
        for port in (8001, 8002):
            done = network.run("curl", "-s", "--retry", "5", "--retry-connrefused", f"http://127.0.0.1:{port}/")
            assert done.stdout == b"backend says hello"
        server.stop()
    jit.assert_engine()


def test_unknown_host_is_an_error(jit: Host, guest: Callable[[str], Path], tmp_path: Path, network: Network) -> None:
    server = Nginx(jit, guest("nginx"), tmp_path, "", HTTP.replace("http://backend:", "http://nobody:"))
    done = network.run(*jit.command(server.wasm, *server.arguments()))
    assert done.returncode == 1
    assert b'host not found in upstream "nobody"' in done.stderr
