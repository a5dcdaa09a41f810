# SPDX-License-Identifier: GPL-2.0-only
"""`make run`: build nginx.wasm and serve a page with it.

    run_nginx.py --host auto|kernel|user [--port N] [--once] [--since SECONDS]

With --once it makes one request itself, prints the status line, the host and the time from
--since (seconds since the epoch; default: its own start) to the first byte, and ends.
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
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from build_guests import main as build_guests  # noqa: E402

from pywasmjit import launch  # noqa: E402
from pywasmjit.errors import PywasmjitError  # noqa: E402

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
        listen 127.0.0.1:{port};
        root {directory}/html;
    }}
}}
"""

START_SECONDS = 120


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


def wait_for(port: int, server: subprocess.Popen[bytes]) -> None:
    """Until the port accepts; RuntimeError if the server ends or takes too long."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise RuntimeError(f"nginx.wasm ended with status {server.returncode}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.02)
    raise RuntimeError(f"nginx.wasm does not listen after {START_SECONDS} s")


def prepare(directory: Path, port: int, host: str) -> Path:
    """Page and configuration in `directory`."""
    html = directory / "html"
    html.mkdir()
    (html / "index.html").write_text(PAGE.format(host=host))
    directory.chmod(0o755)
    user = "user nobody nogroup;" if os.geteuid() == 0 else ""
    configuration = directory / "nginx.conf"
    configuration.write_text(CONFIGURATION.format(directory=directory, port=port, user=user))
    return configuration


def serve(wasm: Path, host: str, port: int, once: bool, since: float) -> int:
    """Run the server; with `once`, one request and its end."""
    with tempfile.TemporaryDirectory(prefix="pywasmjit-run-") as name:
        directory = Path(name)
        configuration = prepare(directory, port, host)
        server = subprocess.Popen(
            [sys.executable, "-m", "pywasmjit.cli", "exec", f"--host={host}", str(wasm),
             "-c", str(configuration), "-e", str(directory / "error.log")],
            cwd=ROOT,
        )
        try:
            wait_for(port, server)
            if once:
                status, body = request(port)
                elapsed = time.time() - since
                print(f"{status} ({len(body)} bytes)")
                print(f"host: {host}")
                print(f"from command to first byte: {elapsed:.1f} s")
                return 0 if status.endswith("200 OK") else 1
            print(f"\n  http://127.0.0.1:{port}/   ({host} host; Ctrl-C ends it)\n", flush=True)
            return server.wait()
        except KeyboardInterrupt:
            return 0
        finally:
            if server.poll() is None:
                server.send_signal(signal.SIGTERM)
                try:
                    server.wait(10)
                except subprocess.TimeoutExpired:
                    server.kill()
            log = directory / "error.log"
            if server.returncode not in (0, None, -15) and log.exists():
                print(log.read_text()[-2000:], file=sys.stderr)


def main() -> int:
    parser = argparse.ArgumentParser(description="Build nginx.wasm and serve a page with it.")
    parser.add_argument("--host", choices=("auto", "kernel", "user"), default="auto")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--once", action="store_true")
    parser.add_argument("--since", type=float, default=time.time())
    options = parser.parse_args()
    guests = ROOT / "build" / "guests"
    if build_guests(["nginx", "-o", str(guests)]):
        return 1
    try:
        host = launch.choose_host(options.host)
        port = free_port(options.port)
        return serve(guests / "nginx.wasm", host, port, options.once, options.since)
    except PywasmjitError as error:
        print(f"run: {error}", file=sys.stderr)
        return error.exit_code
    except (RuntimeError, OSError) as error:
        print(f"run: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
