# SPDX-License-Identifier: GPL-2.0-only
"""Core, host layer and launcher under AddressSanitizer and UBSan, running the test programs and nginx.

The same sources as the ordinary launcher's, linked with a C library for the sanitizers' sake.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pywasmjit import __version__
from tests.e2e.conftest import ROOT, Host
from tests.e2e.nginx_server import Nginx

SHIM = ROOT / "tests" / "native" / "sanitized.c"
SOURCES = sorted(
    path for path in [*ROOT.glob("kmod/core/*.c"), *ROOT.glob("kmod/host/*.c"), *ROOT.glob("kmod/user/*.c"),
                      ROOT / "kmod/user/start.S", SHIM] if path != ROOT / "kmod/user/string.c"
)  # fmt: skip
COMPILE = [
    "gcc", "-std=gnu11", "-O1", "-g", "-DWJ_HOSTED", "-fno-pie", "-fcf-protection=none", "-fno-omit-frame-pointer",
    "-fsanitize=address,undefined", "-fno-sanitize-recover=all", f'-DWJ_VERSION="{__version__}"',
    *(f"-I{ROOT / 'kmod' / part}" for part in ("user", "core", "host")),
]  # fmt: skip
LINK = ["gcc", "-no-pie", "-fsanitize=address,undefined", "-Wl,--wrap=wj_alloc,--wrap=wj_free"]
PROGRAMS = sorted(
    path.stem for path in (ROOT / "tests" / "guests").glob("*.c") if 'say("end");' in path.read_text()
)


def compile_all(sources: list[Path], into: Path) -> None:
    """Objects for the sanitizers, of the names of their sources."""

    def compile_one(source: Path) -> None:
        subprocess.run([*COMPILE, "-c", source, "-o", into / f"{source.parent.name}-{source.name}.o"], check=True)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(compile_one, sources))


def link(objects: Path) -> Path:
    subprocess.run([*LINK, "-o", objects / "launcher", *objects.glob("*.o")], check=True)
    return objects / "launcher"


@pytest.fixture(scope="module")
def launcher() -> Path:
    """The launcher, kept beside its objects in build/ under the hash of what it is made of."""
    digest = hashlib.sha256(repr([COMPILE, LINK]).encode())
    for path in sorted([*SOURCES, *ROOT.glob("kmod/*/*.h"), *ROOT.glob("kmod/*/*.def")]):
        digest.update(path.read_bytes())
    kept = ROOT / "build" / "sanitized" / digest.hexdigest()[:16]
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=kept.parent) as name:
            objects = Path(name) / "objects"
            objects.mkdir()
            compile_all(SOURCES, objects)
            link(objects)
            objects.rename(kept)
    return kept / "launcher"


@pytest.fixture(autouse=True)
def sanitized(launcher: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYWASMJIT_LAUNCHER", str(launcher))


def unhurt(errors: str) -> None:
    """Nothing that a sanitizer has to say."""
    for word in ("Sanitizer", "runtime error"):
        assert word not in errors, errors[-4000:]


@pytest.mark.parametrize("name", PROGRAMS)
def test_program(name: str, host: Host, guest: Callable[[str], Path]) -> None:
    """With --trace, so that what shows the calls is seen, too."""
    done = host.run(guest(name), options=("--trace",), timeout=120)
    errors = done.stderr.decode()
    unhurt(errors)
    assert done.returncode == 0 and done.stdout.endswith(b"end\n"), errors[-4000:]
    host.assert_engine()


HTTP = """
    limit_req_zone $binary_remote_addr zone=slow:1m rate=1r/m;
    gzip on;
    server {
        listen 127.0.0.1:{port};
        root {directory}/html;
        location /files/ { autoindex on; }
        location /limited { limit_req zone=slow; try_files /index.html =404; }
        location ~ ^/item/(?<id>[0-9]+)$ { rewrite ^ /index.html break; }
        location /proxied { proxy_pass http://localhost:{port}/index.html; }
    }
"""


def test_nginx(jit: Host, guest: Callable[[str], Path], tmp_path: Path) -> None:
    with Nginx(jit, guest("nginx"), tmp_path, "worker_processes 2;\n", HTTP) as server:
        (tmp_path / "html" / "index.html").write_text("page " * 500)
        (tmp_path / "html" / "files").mkdir()
        for path, status in [("/", 200), ("/item/7", 200), ("/proxied", 200), ("/files/", 200), ("/limited", 200),
                             ("/limited", 503), ("/none", 404)]:  # fmt: skip
            assert server.get(path, {"Accept-Encoding": "gzip"})[0].status == status, path
        server.stop()
        unhurt(server.log())
        assert "exited on signal" not in server.log()
    jit.assert_engine()


def test_it_would_be_seen(launcher: Path, tmp_path: Path) -> None:
    """A launcher with an overrun in its log dies of it."""
    original = ROOT / "kmod" / "user" / "log.c"
    text = original.read_text()
    hurt = tmp_path / "user" / "log.c"
    objects = tmp_path / "objects"
    shutil.copytree(launcher.parent, objects)
    hurt.parent.mkdir()
    hurt.write_text(
        text.replace("line->used < LINE - 1", "line->used < LINE + 1").replace('"../host/', f'"{ROOT}/kmod/host/')
    )
    assert "LINE + 1" in hurt.read_text()
    compile_all([hurt], objects)
    done = subprocess.run([link(objects), "x" * 2000], capture_output=True, text=True, check=False)
    assert "log.c:" in done.stderr and ("runtime error: index 1024 out of bounds" in done.stderr
                                        or "AddressSanitizer: stack-buffer-overflow" in done.stderr)  # fmt: skip
