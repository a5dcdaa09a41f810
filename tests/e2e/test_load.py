# SPDX-License-Identifier: GPL-2.0-only
"""100,000 requests: no error, no descriptor and no memory left behind."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from tests.e2e.conftest import SLOWNESS, Host, wait_until
from tests.e2e.nginx_server import Nginx

HTTP = """
    access_log off;
    keepalive_requests 1000000;
    server { listen 127.0.0.1:{port}; root {directory}/html; }
"""
REQUESTS = 100_000


def descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def resident(pid: int) -> int:
    """KiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1])  # type: ignore[index]


def test_100000_requests(jit: Host, guest: Callable[[str], Path], tmp_path: Path) -> None:
    with Nginx(jit, guest("nginx"), tmp_path, "worker_processes 1;\n", HTTP) as server:
        (tmp_path / "html" / "1k").write_bytes(b"x" * 1024)

        def load(seconds: int) -> int:
            """Requests done in that time; any error fails."""
            done = subprocess.run(
                ["wrk", "-t1", "-c64", f"-d{seconds}", f"http://127.0.0.1:{server.port}/1k"],
                capture_output=True, text=True, check=True, timeout=120,
            ).stdout
            assert "Socket errors" not in done and "Non-2xx" not in done, done
            return int(re.search(r"(\d+) requests in", done)[1])  # type: ignore[index]

        load(1)
        (worker,) = server.workers
        before, memory = descriptors(worker), resident(worker)
        count = 0
        deadline = time.monotonic() + 80 * SLOWNESS
        while count < REQUESTS:
            assert time.monotonic() < deadline, f"{count} requests"
            count += load(2 * SLOWNESS)
        # The last connections are closed a moment after wrk has ended.
        wait_until(lambda: descriptors(worker) <= before, "connections are closed")
        assert resident(worker) <= memory + 256
        assert server.workers == [worker]
