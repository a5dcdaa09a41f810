# SPDX-License-Identifier: GPL-2.0-only
"""That "nginx in ring 0" is true: 10,000 requests, and what the kernel itself says about them."""

from __future__ import annotations

import re

import pytest
from ring0 import HERE, Ring0

from pywasmjit.vm.ring0 import require_ring0, since

WHERE = f"{HERE}/honest"
CONFIGURATION = f"""\
user nobody nogroup;
pid {WHERE}/nginx.pid;
error_log {WHERE}/error.log info;
worker_processes 1;
events {{ worker_connections 256; }}
http {{
    client_body_temp_path {WHERE}/tmp/body;
    proxy_temp_path {WHERE}/tmp/proxy;
    fastcgi_temp_path {WHERE}/tmp/fastcgi;
    uwsgi_temp_path {WHERE}/tmp/uwsgi;
    scgi_temp_path {WHERE}/tmp/scgi;
    access_log {WHERE}/access.log;
    keepalive_requests 100000;
    server {{
        listen 127.0.0.1:8080;
        root {WHERE}/html;
        default_type text/html;
        ssi on;
        location /proxied/ {{ proxy_pass http://localhost:8080/; }}
    }}
}}
"""
# nginx formats such dates with strftime.
PAGE = '<!--# config timefmt="%Y is the year" --><!--# echo var="date_local" -->\n'
REQUESTS = 10_000
# Functions of wasm.ko; a probe counts who enters them, whatever our own counters say.
PROBED = ("getaddrinfo", "strftime")


def probe(ring0: Ring0) -> None:
    functions = ",".join(f"wj_host_{name}" for name in PROBED)
    ring0.machine.run(f"insmod {ring0.helper('entered')} functions={functions}", check=True)


def unprobe(ring0: Ring0) -> dict[str, int]:
    """How often each was entered."""
    counts = ring0.machine.run("cat /sys/module/entered/parameters/entered", check=True).text
    ring0.machine.run("rmmod entered", check=True)
    return dict(zip(PROBED, map(int, counts.split(",")), strict=False))


@pytest.mark.timeout(900)
def test_10000_requests_in_ring_0(ring0: Ring0) -> None:
    machine = ring0.machine
    machine.run(
        f"mkdir -p {WHERE}/html {WHERE}/tmp; printf '%s' '{CONFIGURATION}' > {WHERE}/nginx.conf;"
        f"printf '%s' '{PAGE}' > {WHERE}/html/index.html", check=True,
    )  # fmt: skip
    probe(ring0)
    try:
        before = ring0.totals()
        arguments = ("-p", WHERE, "-c", f"{WHERE}/nginx.conf", "-e", f"{WHERE}/error.log")
        started = machine.run([*ring0.command("nginx", *arguments)], timeout=60)
        assert started.status == 0, started.text
        machine.run("until curl -s -o /dev/null http://127.0.0.1:8080/; do sleep 0.1; done", timeout=30, check=True)
        for path in ("", "proxied/"):
            answer = machine.run(f"curl -s http://127.0.0.1:8080/{path}").text
            assert re.fullmatch(r"20\d\d is the year\n", answer), answer
        requests = 0
        for _ in range(30):
            load = machine.run("wrk -t1 -c8 -d10s http://127.0.0.1:8080/", timeout=60).text
            assert "Socket errors" not in load and "Non-2xx" not in load, load
            found = re.search(r"(\d+) requests in", load)
            assert found, load
            requests += int(found[1])
            if requests >= REQUESTS:
                break
        assert requests >= REQUESTS
        machine.run(f"kill -QUIT $(cat {WHERE}/nginx.pid)", check=True)
        machine.run("while pgrep -x pywasmjit-launc >/dev/null; do sleep 0.1; done", timeout=30, check=True)
        counted = since(before, ring0.totals())
    finally:
        ring0.kill_guests()
        entered = unprobe(ring0)
    require_ring0(counted)
    assert counted["launcher_calls"] == counted["functions_interpreted"] == counted["traps"] == 0
    assert counted["host_calls"] > 4 * requests  # wait, receive, open, send at least
    # Each of them was a system call made from ring 0. Returns are not for them, but for what the
    # kernel does on the way to user mode: once a request, to close the file at last.
    assert counted["system_calls"] >= counted["host_calls"] * 3 // 4
    assert counted["returns"] < 2 * requests
    assert entered["strftime"] >= requests
    assert entered["getaddrinfo"] >= 1
