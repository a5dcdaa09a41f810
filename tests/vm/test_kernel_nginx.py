# SPDX-License-Identifier: GPL-2.0-only
"""nginx in ring 0: master and workers, requests, reload, end."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator

import pytest
from ring0 import HERE, Ring0

from pywasmjit.vm.packages import Kernel
from pywasmjit.vm.pool import MachinePool

WHERE = f"{HERE}/nginx"
CONFIGURATION = f"""\
user nobody nogroup;
pid {WHERE}/nginx.pid;
error_log {WHERE}/error.log info;
worker_processes 2;
events {{ worker_connections 256; }}
http {{
    client_body_temp_path {WHERE}/tmp/body;
    proxy_temp_path {WHERE}/tmp/proxy;
    fastcgi_temp_path {WHERE}/tmp/fastcgi;
    uwsgi_temp_path {WHERE}/tmp/uwsgi;
    scgi_temp_path {WHERE}/tmp/scgi;
    access_log {WHERE}/access.log;
    sendfile on;
    server {{
        listen 127.0.0.1:8080;
        root {WHERE}/html;
        location /status {{ stub_status; }}
    }}
}}
"""


@pytest.fixture
def nginx(machines: MachinePool, kernel: Kernel) -> Iterator[Ring0]:
    """nginx as a daemon, which has ended and left nothing behind afterwards."""
    ring0 = Ring0(machines.get(kernel.series, lifetime=3600), kernel)
    machine = ring0.machine
    with machine.checked():
        machine.run(
            f"mkdir -p {WHERE}/html {WHERE}/tmp; printf '%s' '{CONFIGURATION}' > {WHERE}/nginx.conf;"
            f"echo 'from ring 0' > {WHERE}/html/index.html;"
            f"yes 0123456789 | head -c 3000000 > {WHERE}/html/big",
            check=True,
        )
        arguments = ("-p", WHERE, "-c", f"{WHERE}/nginx.conf", "-e", f"{WHERE}/error.log")
        started = machine.run([*ring0.command("nginx", *arguments)], timeout=60)
        assert started.status == 0, started.text
        try:
            machine.run(
                "until curl -s -o /dev/null http://127.0.0.1:8080/; do sleep 0.1; done", timeout=30, check=True
            )
            yield ring0
        finally:
            machine.run(f"kill $(cat {WHERE}/nginx.pid) 2>/dev/null; true")
            machine.run("i=0; while pgrep -x pywasmjit-launc && [ $i -lt 100 ]; do i=$((i+1)); sleep 0.1; done")
            left = machine.run("pgrep -x pywasmjit-launc").text
            ring0.kill_guests()
        assert not left
        ring0.remove()


def test_nginx_serves(nginx: Ring0) -> None:
    machine = nginx.machine
    assert machine.run("curl -s http://127.0.0.1:8080/").text == "from ring 0\n"
    assert machine.run("curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:8080/none").text == "404"
    big = machine.run(f"cat {WHERE}/html/big").output
    sum_there = machine.run("curl -s http://127.0.0.1:8080/big | md5sum").text.split()[0]
    assert sum_there == hashlib.md5(big).hexdigest()
    assert "Active connections" in machine.run("curl -s http://127.0.0.1:8080/status").text

    load = machine.run("wrk -t1 -c8 -d5s http://127.0.0.1:8080/index.html", timeout=60).text
    requests = re.search(r"(\d+) requests in", load)
    assert requests and int(requests[1]) > 50, load
    assert "Socket errors" not in load and "Non-2xx" not in load

    before = machine.run("pgrep -x pywasmjit-launc").text.split()
    assert len(before) == 3
    machine.run(f"kill -HUP $(cat {WHERE}/nginx.pid)", check=True)
    machine.run(
        f"while kill -0 {before[1]} 2>/dev/null || kill -0 {before[2]} 2>/dev/null; do sleep 0.1; done",
        timeout=30, check=True,
    )
    assert machine.run("curl -s http://127.0.0.1:8080/").text == "from ring 0\n"

    # A worker that dies is replaced.
    workers = machine.run(f"pgrep -P $(cat {WHERE}/nginx.pid)").text.split()
    machine.run(f"kill -9 {workers[0]}", check=True)
    machine.run(
        f"until [ $(pgrep -c -P $(cat {WHERE}/nginx.pid)) = 2 ] && ! kill -0 {workers[0]}; do sleep 0.1; done",
        timeout=30, check=True,
    )
    assert machine.run("curl -s http://127.0.0.1:8080/").text == "from ring 0\n"


def test_nginx_is_upgraded_on_the_fly(nginx: Ring0) -> None:
    """As nginx's manual has it: USR2, then QUIT to the old master; the new one serves, then quits."""
    machine = nginx.machine
    old = machine.run(f"cat {WHERE}/nginx.pid", check=True).text.strip()
    machine.run(f"kill -USR2 {old}", check=True)
    machine.run(
        f"until [ -e {WHERE}/nginx.pid.oldbin ] && [ -s {WHERE}/nginx.pid ] && "
        f"[ $(cat {WHERE}/nginx.pid) != {old} ]; do sleep 0.1; done", timeout=60, check=True,
    )
    new = machine.run(f"cat {WHERE}/nginx.pid", check=True).text.strip()
    assert {int(old), int(new)} <= set(nginx.guests())
    machine.run(f"kill -QUIT {old}; while kill -0 {old} 2>/dev/null; do sleep 0.1; done", timeout=60, check=True)
    assert machine.run("curl -s http://127.0.0.1:8080/").text == "from ring 0\n"
    assert int(new) in nginx.guests()
    machine.run(f"kill -QUIT {new}; while kill -0 {new} 2>/dev/null; do sleep 0.1; done", timeout=60, check=True)
    assert nginx.guests() == {}
    totals = nginx.totals()
    # Old and new are one image, and nobody but the kernel has made their system calls.
    assert totals["loads"] == 2 and totals["shared"] == 1 and totals["execs"] == 1
    assert totals["launcher_calls"] == 0 and totals["functions_interpreted"] == 0
