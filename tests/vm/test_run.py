# SPDX-License-Identifier: GPL-2.0-only
"""`make run HOST=kernel` on a machine that loads no modules: ring 0 of a virtual machine."""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from pywasmjit import launch

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.skipif(launch.DEVICE.exists(), reason=f"this machine has {launch.DEVICE}")


@contextlib.contextmanager
def make_run(*settings: str, env: dict[str, str] | None = None) -> Iterator[subprocess.Popen[str]]:
    """`make run` with a process group of its own, as a terminal would give it."""
    with subprocess.Popen(
        ["make", "-s", "run", f"PORT={free_port()}", *settings], cwd=ROOT, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        env={**os.environ, **(env or {})},
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])




def in_ring0(output: str) -> None:
    found = re.search(
        r"^served in ring 0: (\d+) host calls, (\d+) system calls made directly, "
        r"0 by the launcher, 0 functions interpreted$",
        output, re.MULTILINE,
    )  # fmt: skip
    assert found, output
    assert int(found[1]) > 150 and int(found[2]) > 150  # master and worker


def test_once() -> None:
    with make_run("HOST=kernel", "ONCE=1") as process:
        output, errors = process.communicate(timeout=280)
    assert process.returncode == 0, errors
    assert "run: /dev/wasm does not exist: serving from ring 0 of a virtual machine" in output
    assert "HTTP/1.1 200 OK" in output
    assert re.search(r"^host: kernel: Linux 6\.\d+\.\S+ in a virtual machine$", output, re.MULTILINE)
    assert re.search(r"^from command to first byte: \d+\.\d s$", output, re.MULTILINE)
    in_ring0(output)


def test_until_control_c() -> None:
    with make_run("HOST=kernel") as process:
        assert process.stdout and process.stderr
        for line in process.stdout:
            if found := re.search(r"http://127\.0\.0\.1:(\d+)/ ", line):
                break
        else:
            pytest.fail(process.stderr.read())
        connection = http.client.HTTPConnection("127.0.0.1", int(found[1]), timeout=30)
        connection.request("GET", "/")
        answer = connection.getresponse()
        assert answer.status == 200
        assert b"served this page in the kernel host" in answer.read()
        connection.close()
        os.killpg(process.pid, signal.SIGINT)
        output, errors = process.communicate(timeout=60)
    assert "Traceback" not in errors
    in_ring0(output)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", int(found[1])))


def test_without_qemu(tmp_path: Path) -> None:
    """Said at once, not after kernels have been fetched."""
    for directory in os.environ["PATH"].split(":"):
        for program in Path(directory).glob("*"):
            if not program.name.startswith("qemu-system"):
                with contextlib.suppress(FileExistsError):
                    (tmp_path / program.name).symlink_to(program)
    with make_run("HOST=kernel", "ONCE=1", env={"PATH": str(tmp_path)}) as process:
        _, errors = process.communicate(timeout=120)
    assert "run: qemu-system-x86_64 not found: apt-get install qemu-system-x86\n" in errors
    assert process.returncode == 2 and "Error 69" in errors


def test_without_the_kernels_package(tmp_path: Path) -> None:
    (tmp_path / "pywasmjit").mkdir()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "pywasmjit"
    for name in ("guests", "sources"):
        (tmp_path / "pywasmjit" / name).symlink_to(cache / name)
    environment = {
        "XDG_CACHE_HOME": str(tmp_path), "PYWASMJIT_DEBIAN_MIRROR": f"http://127.0.0.1:{free_port()}",
    }  # fmt: skip
    with make_run("HOST=kernel", "ONCE=1", env=environment) as process:
        _, errors = process.communicate(timeout=120)
    assert re.search(r"^run: apt-get .*\(suite bookworm\) ended with status 100:$", errors, re.MULTILINE)
    assert "Traceback" not in errors
    assert process.returncode == 2 and "Error 69" in errors


def test_auto_says_why_it_is_user_space() -> None:
    with make_run("ONCE=1") as process:
        output, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    told = [line for line in errors.splitlines() if line.startswith("pywasmjit: ")]
    assert len(told) == 1 and told[0].startswith("pywasmjit: running in user space: /dev/wasm does not exist")
    assert "HTTP/1.1 200 OK" in output and "host: user\n" in output
