# SPDX-License-Identifier: GPL-2.0-only
"""nginx as a sysadmin would configure it, with real clients."""

from __future__ import annotations

import gzip
import hashlib
import http.client
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from pywasmjit import launch
from tests.e2e.conftest import Host, alive, wait_until
from tests.e2e.nginx_server import Nginx, free_port

FULL = """
    limit_req_zone $binary_remote_addr zone=slow:1m rate=1r/m;
    gzip on;
    gzip_min_length 100;
    sendfile on;
    client_max_body_size 128m;
    server {
        listen 127.0.0.1:{port};
        root {directory}/html;
        location /files/ { autoindex on; }
        location /status { stub_status; }
        location /limited { limit_req zone=slow; try_files /index.html =404; }
        location ~ ^/item/(?<id>[0-9]+)$ { rewrite ^ /found-$id.txt break; }
        location /upload/ { dav_methods PUT; create_full_put_path on; root {directory}/upload; }
    }
"""
MAIN = "worker_processes 2;\n"


@pytest.fixture
def nginx(host: Host, guest: Callable[[str], Path], tmp_path: Path) -> Iterator[Nginx]:
    (tmp_path / "upload").mkdir()
    (tmp_path / "upload").chmod(0o777)
    with Nginx(host, guest("nginx"), tmp_path, MAIN, FULL) as server:
        html = tmp_path / "html"
        (html / "index.html").write_text("front page " * 50)
        (html / "found-42.txt").write_text("item 42")
        (html / "files").mkdir()
        (html / "files" / "a b.txt").write_text("x")
        (html / "big").write_bytes(bytes(range(256)) * 4096)
        yield server


def test_static_file(nginx: Nginx) -> None:
    answer, body = nginx.get("/big")
    assert answer.status == 200
    assert body == bytes(range(256)) * 4096
    assert nginx.get("/missing")[0].status == 404


def test_ranges(nginx: Nginx) -> None:
    answer, body = nginx.get("/big", {"Range": "bytes=256-511"})
    assert answer.status == 206
    assert answer.getheader("Content-Range") == "bytes 256-511/1048576"
    assert body == bytes(range(256))


def test_gzip(nginx: Nginx) -> None:
    answer, body = nginx.get("/index.html", {"Accept-Encoding": "gzip"})
    assert answer.getheader("Content-Encoding") == "gzip"
    assert gzip.decompress(body) == b"front page " * 50


def test_autoindex(nginx: Nginx) -> None:
    assert b'<a href="a%20b.txt">a b.txt</a>' in nginx.get("/files/")[1]


def test_conditional_request(nginx: Nginx) -> None:
    etag = nginx.get("/big")[0].getheader("ETag")
    assert etag
    assert nginx.get("/big", {"If-None-Match": etag})[0].status == 304


def test_regular_expression_rewrite(nginx: Nginx) -> None:
    assert nginx.get("/item/42")[1] == b"item 42"
    assert nginx.get("/item/x")[0].status == 404


def test_shared_memory_zones(nginx: Nginx) -> None:
    """Both workers count in the same zone: of many requests one is let through."""
    statuses = [nginx.get("/limited")[0].status for _ in range(8)]
    assert statuses.count(200) == 1 and statuses.count(503) == 7
    status = nginx.get("/status")[1].decode()
    assert int(re.findall(r"\d+", status)[2]) >= 8


def test_upload(nginx: Nginx) -> None:
    data = os.urandom(1 << 20) * 64
    assert nginx.get("/upload/64MiB", method="PUT", body=data)[0].status == 201
    stored = nginx.directory / "upload" / "upload" / "64MiB"
    assert hashlib.sha256(stored.read_bytes()).digest() == hashlib.sha256(data).digest()


def test_access_log_has_local_time(host: Host, guest: Callable[[str], Path], tmp_path: Path,
                                   monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    with Nginx(host, guest("nginx"), tmp_path, MAIN, FULL) as server:
        server.get("/")
        log = tmp_path / "access.log"
        wait_until(lambda: log.exists() and "GET / " in log.read_text(), "the request is logged")
        assert re.search(r"\[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d \+0530\]", log.read_text())


def test_error_log(nginx: Nginx) -> None:
    nginx.get("/missing")
    wait_until(lambda: "No such file or directory" in nginx.log(), "the error is logged")


def test_http2(nginx: Nginx, host: Host, guest: Callable[[str], Path], tmp_path: Path) -> None:
    (tmp_path / "h2").mkdir()
    http2 = FULL.replace("{port};", "{port} http2;").replace("{directory}/html", f"{tmp_path}/html")
    with Nginx(host, guest("nginx"), tmp_path / "h2", MAIN, http2.replace("zone=slow:1m", "zone=slow:2m")) as server:
        done = subprocess.run(
            ["nghttp", "-v", f"http://127.0.0.1:{server.port}/found-42.txt"],
            capture_output=True, text=True, timeout=30, check=True,
        )
        assert ":status: 200" in done.stdout and "item 42" in done.stdout


def test_engine_counters(host: Host, guest: Callable[[str], Path], tmp_path: Path) -> None:
    with Nginx(host, guest("nginx"), tmp_path, MAIN, FULL) as server:
        server.get("/")
        server.stop()
    host.assert_engine()


# Processes


def test_master_and_workers(jit: Host, guest: Callable[[str], Path], tmp_path: Path) -> None:
    with Nginx(jit, guest("nginx"), tmp_path, MAIN, FULL) as server:
        wait_until(lambda: len(server.workers) == 2, "two workers")
        if os.geteuid() == 0:
            for worker in server.workers:
                assert f"Uid:\t{pwd_uid('nobody')}" in Path(f"/proc/{worker}/status").read_text()
        server.stop()


def pwd_uid(name: str) -> int:
    import pwd

    return pwd.getpwnam(name).pw_uid


def test_killed_worker_is_replaced(jit: Host, guest: Callable[[str], Path], tmp_path: Path) -> None:
    with Nginx(jit, guest("nginx"), tmp_path, MAIN, FULL) as server:
        wait_until(lambda: len(server.workers) == 2, "two workers")
        victim = server.workers[0]
        os.kill(victim, signal.SIGKILL)
        wait_until(lambda: len(server.workers) == 2 and victim not in server.workers, "a new worker")
        assert server.get("/status")[0].status == 200
        assert not Path(f"/proc/{victim}").exists()  # reaped: no zombie


def test_daemon(jit: Host, guest: Callable[[str], Path], tmp_path: Path) -> None:
    """Its own session, nobody's child, nothing on the standard descriptors; at the end nothing is left."""
    with Nginx(jit, guest("nginx"), tmp_path, MAIN, FULL) as server:
        master = server.pid
        assert os.getsid(master) == os.getpgid(master) != os.getsid(0)
        status = Path(f"/proc/{master}/status").read_text()
        assert f"PPid:\t{os.getpid()}\n" not in status
        for descriptor in (0, 1):
            assert os.readlink(f"/proc/{master}/fd/{descriptor}") == "/dev/null"
        wait_until(lambda: len(server.workers) == 2, "two workers")
        before = set(server.workers)
        server.send(signal.SIGHUP)
        wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in before), "old workers ended, and reaped")
        server.stop()
    assert not (tmp_path / "nginx.pid").exists()
    assert processes_of(tmp_path) == []


def processes_of(directory: Path) -> list[str]:
    """Command lines that name the directory."""
    found = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = process.read_bytes()
        except OSError:
            continue
        if str(directory).encode() in line:
            found.append(line.replace(b"\0", b" ").decode())
    return found


CACHE = """
    proxy_cache_path {directory}/cache levels=1:2 keys_zone=pages:1m max_size=200k inactive=10m
        manager_sleep=100ms loader_threshold=200ms;
    server {
        listen 127.0.0.1:{port};
        location / { proxy_pass http://127.0.0.1:{port}/origin/; proxy_cache pages; proxy_cache_valid 200 10m;
            add_header X-Cache $upstream_cache_status; }
        location /origin/ { alias {directory}/html/; }
    }
"""


def test_cache_manager(jit: Host, guest: Callable[[str], Path], tmp_path: Path) -> None:
    """The manager is a process of its own, and removes what is above max_size."""
    with Nginx(jit, guest("nginx"), tmp_path, MAIN, CACHE) as server:
        for i in range(8):
            (tmp_path / "html" / f"page{i}").write_bytes(os.urandom(100_000))
        assert server.get("/page0")[0].getheader("X-Cache") == "MISS"
        # It is stored a moment after it has been sent.
        wait_until(lambda: server.get("/page0")[0].getheader("X-Cache") == "HIT", "a page from the cache")
        assert server.get("/page0")[1] == (tmp_path / "html" / "page0").read_bytes()
        wait_until(lambda: len(server.workers) >= 3, "workers and cache manager")
        for i in range(1, 8):
            server.get(f"/page{i}")

        def stored() -> int:
            size = 0
            for path in (tmp_path / "cache").glob("*/*/*"):
                with suppress(FileNotFoundError):  # it is being removed
                    size += path.stat().st_size
            return size

        wait_until(lambda: 0 < stored() <= 300_000, "the manager has removed old pages")


PLAIN = """\
daemon off;
master_process off;
pid {directory}/nginx.pid;
error_log {directory}/error.log info;
events { worker_connections 64; }
http {
    access_log {directory}/access.log;
    client_body_temp_path {directory}/tmp/body;
    proxy_temp_path {directory}/tmp/proxy;
    fastcgi_temp_path {directory}/tmp/fastcgi;
    uwsgi_temp_path {directory}/tmp/uwsgi;
    scgi_temp_path {directory}/tmp/scgi;
    default_type text/plain;
    server { listen 127.0.0.1:{port}; root {directory}/html; }
}
"""


def accepts(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_plain(host: Host, guest: Callable[[str], Path], tmp_path: Path) -> None:
    serve_plain(host, guest("nginx-plain"), tmp_path)


def serve_plain(host: Host, module: Path, tmp_path: Path) -> None:
    """What emcc makes of nginx without the overlay, in one process: its kill and sigaction are fakes.

    Not as root: it would ask for the user nobody.
    """
    (tmp_path / "html").mkdir()
    (tmp_path / "html" / "page").write_bytes(b"plain " * 1000)
    port = free_port()
    (tmp_path / "nginx.conf").write_text(
        PLAIN.replace("{directory}", str(tmp_path)).replace("{port}", str(port))
    )
    (tmp_path / "tmp").mkdir()
    for path in (tmp_path, tmp_path / "tmp"):
        path.chmod(0o777)
    image = tmp_path / "nginx.image"
    launch.compile_file(module, image, lambda text: None)
    image.chmod(0o644)
    launcher = tmp_path / "launcher"  # a checkout may be where nobody can go
    shutil.copy(launch.launcher(), launcher)
    launcher.chmod(0o755)
    user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.geteuid() == 0 else []
    server = subprocess.Popen(
        [*user, launcher, f"--host={host.where}", f"--engine={host.engine}", f"--stats={host.stats_file}",
         f"--image={image}", "--", "nginx", "-p", tmp_path, "-c", tmp_path / "nginx.conf",
         "-e", tmp_path / "error.log"],
        stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        wait_until(lambda: accepts(port) or server.poll() is not None, "nginx listens", 60)
        assert server.poll() is None, server.stderr and server.stderr.read()

        def get(path: str) -> http.client.HTTPResponse:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            connection.request("GET", path)
            return connection.getresponse()

        for _ in range(20):
            assert get("/page").read() == b"plain " * 1000
        assert get("/none").status == 404
    finally:
        server.terminate()
        server.wait(10)
    assert server.returncode == -signal.SIGTERM  # its sigaction is a fake, too


class Load:
    """Requests from threads until told to stop; every failure is kept."""

    def __init__(self, server: Nginx, threads: int = 4) -> None:
        self.server, self.done, self.failures = server, 0, []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(threads)]

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                answer, _ = self.server.get("/status")
                if answer.status != 200:
                    self.failures.append(str(answer.status))
            except OSError as error:
                self.failures.append(repr(error))
            self.done += 1

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        """Stop; not before there was load."""
        try:
            if not kind:
                wait_until(lambda: self.done > 20, "twenty requests")
        finally:
            self._stop.set()
            for thread in self._threads:
                thread.join()


def test_reload_under_load(jit: Host, guest: Callable[[str], Path], tmp_path: Path) -> None:
    with Nginx(jit, guest("nginx"), tmp_path, MAIN, FULL) as server:
        wait_until(lambda: len(server.workers) == 2, "two workers")
        with Load(server) as load:
            for _ in range(3):
                before = set(server.workers)
                server.send(signal.SIGHUP)
                wait_until(
                    lambda before=before: len(server.workers) == 2 and not before & set(server.workers),
                    "workers replaced",
                )
        assert load.failures == []


def test_log_rotation(jit: Host, guest: Callable[[str], Path], tmp_path: Path) -> None:
    with Nginx(jit, guest("nginx"), tmp_path, MAIN, FULL) as server:
        server.get("/one")
        log, old = tmp_path / "access.log", tmp_path / "access.log.1"
        wait_until(lambda: log.exists() and "/one" in log.read_text(), "logged")
        log.rename(old)
        server.send(signal.SIGUSR1)
        # The master opens the new file first, the workers when it has told them.
        wait_until(lambda: old not in opened([server.pid, *server.workers]), "no process writes to the old log")
        server.get("/two")
        wait_until(lambda: "/two" in log.read_text(), "logged in the new file")
        assert "/two" not in old.read_text()


def opened(processes: list[int]) -> set[Path]:
    """What the processes' descriptors name."""
    found = set()
    for pid in processes:
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(FileNotFoundError):  # closed since it was listed
                found.add(descriptor.readlink())
    return found


def test_binary_upgrade_under_load(jit: Host, guest: Callable[[str], Path], tmp_path: Path) -> None:
    with Nginx(jit, guest("nginx"), tmp_path, MAIN, FULL) as server:
        old = server.pid
        with Load(server) as load:
            server.send(signal.SIGUSR2)
            wait_until(lambda: server.pid not in (0, old), "a new master")
            wait_until(lambda: len(server.workers) == 2, "its workers")
            os.kill(old, signal.SIGQUIT)
            wait_until(lambda: not alive(old), "the old master ended")
        assert load.failures == []
        server.stop()


def test_graceful_quit_finishes_requests(jit: Host, guest: Callable[[str], Path], tmp_path: Path) -> None:
    with Nginx(jit, guest("nginx"), tmp_path, MAIN, FULL) as server:
        (tmp_path / "html" / "slow").write_bytes(b"x" * (8 << 20))
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            connection.sendall(b"GET /slow HTTP/1.0\r\n\r\n")
            received = len(connection.recv(65536))
            server.send(signal.SIGQUIT)
            time.sleep(0.2)  # not a wait: the request shall be in progress while the server quits
            while data := connection.recv(1 << 20):
                received += len(data)
        assert received > 8 << 20
        wait_until(lambda: not server.pid, "nginx ended")


def test_port_in_use(jit: Host, guest: Callable[[str], Path], tmp_path: Path) -> None:
    server = Nginx(jit, guest("nginx"), tmp_path, MAIN, FULL)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", server.port))
        taken.listen()
        done = jit.run(server.wasm, *server.arguments())
        assert done.returncode == 1
        assert b"Address in use" in done.stderr  # musl's words


# Upstreams


def test_proxy(nginx: Nginx, host: Host, guest: Callable[[str], Path], tmp_path: Path) -> None:
    """proxy_pass and stream to another guest, by a name from /etc/hosts."""
    (tmp_path / "front").mkdir()
    stream_port = free_port()
    stream = "stream { server { listen 127.0.0.1:STREAM; proxy_pass localhost:BACK; } }\n"
    main = MAIN + stream.replace("STREAM", str(stream_port)).replace("BACK", str(nginx.port))
    http = "server { listen 127.0.0.1:{port}; location / { proxy_pass http://localhost:BACK; } }"
    http = http.replace("BACK", str(nginx.port))
    with Nginx(host, guest("nginx"), tmp_path / "front", main, http) as front:
        assert front.get("/item/42")[1] == b"item 42"
        with socket.create_connection(("127.0.0.1", stream_port)) as connection:
            connection.sendall(b"GET /item/42 HTTP/1.0\r\n\r\n")
            answer = b""
            while data := connection.recv(65536):
                answer += data
        assert answer.endswith(b"item 42")
