# SPDX-License-Identifier: GPL-2.0-only
"""`make bench-nginx`: nginx.wasm in user space under the JIT against Debian's native nginx.

Both serve the same files with the same configuration, one worker each, at the same time; wrk asks
one and then the other, for a second each, many times.  For each workload (1 KiB and 100 KiB files
with keep-alive, with and without sendfile) it prints the medians over the rounds of

    requests per second, and the ratio of the guest's to native's within each round;
    CPU time of the worker per request, user and system together and apart, and its ratio,
    which other load on the machine disturbs less.

Then the memory of both masters and workers: resident, proportional (shared pages divided by those
who share them), and private, in KiB.  Server and client are bound to a processor each.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]

from build_guests import Builder  # noqa: E402
from guest_cache import default_root  # noqa: E402

from pywasmjit import launch  # noqa: E402

NATIVE = "/usr/sbin/nginx"
SIZES = {"1 KiB": 1 << 10, "100 KiB": 100 << 10}
CONNECTIONS = 16
CONFIGURATION = """\
{user}
worker_processes 1;
pid {directory}/nginx.pid;
error_log {directory}/error.log;
events {{ worker_connections 512; }}
http {{
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    access_log off;
    keepalive_requests 100000000;
    server {{ listen 127.0.0.1:{plain}; root {html}; sendfile off; }}
    server {{ listen 127.0.0.1:{sendfile}; root {html}; sendfile on; }}
}}
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def bind(processor: int) -> None:
    """Run on one processor, if there is more than one."""
    os.sched_setaffinity(0, {processor % (os.cpu_count() or 1)})


def wait(condition: object, what: str, seconds: float = 60) -> None:
    """Until condition() holds."""
    assert callable(condition)
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit(f"bench: timed out: {what}")
        time.sleep(0.01)


class Server:
    """A master with one worker, as a daemon; a context manager."""

    def __init__(self, name: str, command: list[str], directory: Path, html: Path) -> None:
        self.name = name
        self.ports = {False: free_port(), True: free_port()}  # by whether sendfile is used
        self.directory = directory
        directory.mkdir()
        configuration = directory / "nginx.conf"
        configuration.write_text(CONFIGURATION.format(
            user="user nobody nogroup;" if os.geteuid() == 0 else "", directory=directory, html=html,
            plain=self.ports[False], sendfile=self.ports[True],
        ))  # fmt: skip
        arguments = ["-p", str(directory), "-c", str(configuration), "-e", str(directory / "error.log")]
        subprocess.run([*command, *arguments], check=True, preexec_fn=lambda: bind(0))
        wait(self.listens, f"{name} listens")
        self.master = int((directory / "nginx.pid").read_text())
        wait(self.children, f"{name} has a worker")
        (self.worker,) = self.children()

    def listens(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.ports[True]), 1).close()
        except OSError:
            return False
        return (self.directory / "nginx.pid").exists()

    def children(self) -> list[int]:
        return [int(n) for n in Path(f"/proc/{self.master}/task/{self.master}/children").read_text().split()]

    def cpu(self) -> tuple[float, float, float]:
        """Seconds that the worker has run: exact, and (in ticks) user and system."""
        exact = int(Path(f"/proc/{self.worker}/schedstat").read_text().split()[0]) / 1e9
        fields = Path(f"/proc/{self.worker}/stat").read_text().rsplit(")", 1)[1].split()
        ticks = os.sysconf("SC_CLK_TCK")
        return exact, int(fields[11]) / ticks, int(fields[12]) / ticks

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *exception: object) -> None:
        os.kill(self.master, signal.SIGTERM)
        wait(lambda: not Path(f"/proc/{self.master}").exists(), f"{self.name} ended")


@dataclass
class Result:
    """Of one server and workload: one element per round."""

    rate: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)  # seconds per request
    user: float = 0.0  # in all
    system: float = 0.0
    requests: int = 0


def load(server: Server, path: str, sendfile: bool, seconds: int, result: Result) -> None:
    """One round of one server."""
    before = server.cpu()
    text = subprocess.run(
        ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}", f"http://127.0.0.1:{server.ports[sendfile]}/{path}"],
        capture_output=True, text=True, check=True, preexec_fn=lambda: bind(1),
    ).stdout  # fmt: skip
    after = server.cpu()
    done = re.search(r"(\d+) requests in ([\d.]+)s", text)
    if not done or "Socket errors" in text or "Non-2xx" in text:
        raise SystemExit(f"bench: {server.name} failed\n{text}")
    count = int(done[1])
    result.rate.append(count / float(done[2]))
    result.cpu.append((after[0] - before[0]) / count)
    result.user += after[1] - before[1]
    result.system += after[2] - before[2]
    result.requests += count


def report(name: str, native: Result, guest: Result) -> None:
    """A line for each, and the ratios."""
    for who, result in (("native", native), ("guest", guest)):
        ticks = result.user + result.system
        user = result.user / ticks if ticks else 0.0
        cpu = statistics.median(result.cpu) * 1e6
        print(
            f"{name:23} {who:7} {statistics.median(result.rate):8.0f} requests/s  "
            f"CPU per request {cpu:6.1f} us (user {cpu * user:5.1f}, system {cpu * (1 - user):6.1f})"
        )
    rate = statistics.median(b / a for a, b in zip(native.rate, guest.rate, strict=True))
    cpu = statistics.median(b / a for a, b in zip(native.cpu, guest.cpu, strict=True))
    print(f"{name:23} guest/native: requests/s {rate:.2f}, CPU per request {cpu:.2f}", flush=True)


def memory(pid: int) -> dict[str, int]:
    """KiB: Rss, Pss, and what is this process's alone."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    found = {key: int(value) for key, value in re.findall(r"^(\w+):\s+(\d+) kB", text, re.MULTILINE)}
    return {
        "resident": found["Rss"],
        "proportional": found["Pss"],
        "private": found["Private_Clean"] + found["Private_Dirty"],
    }


def main() -> int:
    parser = argparse.ArgumentParser(description="nginx.wasm against native nginx")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=int, default=1, help="per server and round")
    parser.add_argument("--size", choices=SIZES, help="only this one")
    parser.add_argument("--sendfile", choices=("on", "off"), help="only so")
    options = parser.parse_args()
    builder = Builder(default_root(), 2, lambda line: print(line, file=sys.stderr))
    (wasm,) = builder.result("nginx").glob("*.wasm")
    with tempfile.TemporaryDirectory(prefix="pywasmjit-bench-") as temporary:
        directory = Path(temporary)
        directory.chmod(0o755)
        image = directory / "nginx.image"
        image.write_bytes(launch.lower(wasm.read_bytes(), lambda text: None))
        html = directory / "html"
        html.mkdir()
        for size in SIZES.values():
            (html / f"{size}.bin").write_bytes(b"0123456789abcdef" * (size // 16))
        stats = directory / "stats"
        guest_command = [str(launch.launcher()), f"--image={image}", f"--stats={stats}", "--", "nginx"]
        with (
            Server("native", [NATIVE], directory / "native", html) as native,
            Server("guest", guest_command, directory / "guest", html) as guest,
        ):
            for size_name, size in SIZES.items():
                for sendfile in (False, True):
                    how = "on" if sendfile else "off"
                    if options.size not in (None, size_name) or options.sendfile not in (None, how):
                        continue
                    results = Result(), Result()
                    for _ in range(options.rounds):
                        for server, result in zip((native, guest), results, strict=True):
                            load(server, f"{size}.bin", sendfile, options.seconds, result)
                    report(f"{size_name}, sendfile {how}", *results)
            for role in ("master", "worker"):
                for server in (native, guest):
                    sizes = memory(getattr(server, role))
                    text = ", ".join(f"{kind} {kib}" for kind, kib in sizes.items())
                    print(f"memory of the {role}, {server.name}: {text} KiB")
        if '"engine": "jit"' not in stats.read_text():
            raise SystemExit("bench: the guest did not run under the JIT")
    return 0


if __name__ == "__main__":
    sys.exit(main())
