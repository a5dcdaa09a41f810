# SPDX-License-Identifier: GPL-2.0-only
"""The unit template, in a Debian 12 whose first process is systemd: a server in ring 0, and what
confines it.  Module and images are put where DKMS and an earlier run leave them.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator

import pytest
from debian_site import Site, options
from ring0 import native

from pywasmjit.vm.machine import SYSTEMD, Machine
from pywasmjit.vm.packages import Kernel
from pywasmjit.vm.ring0 import TOTALS, totals

pytestmark = pytest.mark.timeout(1200)

UNIT = "pywasmjit@nginx.service"
STATE, RUNTIME = "/var/lib/pywasmjit/nginx", "/run/pywasmjit/nginx"
CONFIGURATION = f"""\
daemon off;
error_log stderr;
pid {RUNTIME}/nginx.pid;
worker_processes 1;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {STATE}/body;
    proxy_temp_path {STATE}/proxy;
    fastcgi_temp_path {STATE}/fastcgi;
    uwsgi_temp_path {STATE}/uwsgi;
    scgi_temp_path {STATE}/scgi;
    server {{
        listen 127.0.0.1:80;
        return 200 PAGE;
    }}
}}
"""


@pytest.fixture(scope="module")
def site(kernel: Kernel, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    project = options(kernel, tmp_path_factory.mktemp("site"))
    with Machine(kernel, project=project, arguments=SYSTEMD, lifetime=1800) as machine:
        site = Site(machine, kernel)
        with machine.checked():
            assert site.run("cat /proc/1/comm").text == "systemd\n"
            site.install()
            site.put_module()
            yield site


def write(site: Site, path: str, text: str) -> None:
    site.machine.run(f"mkdir -p {path.rpartition('/')[0]} && printf %s {shlex.quote(text)} > {path}", check=True)


def describe(site: Site, name: str, file: str, arguments: str) -> None:
    """/etc/pywasmjit/NAME.conf, and the image where the unit keeps it."""
    cache = f"/var/cache/pywasmjit-{name}"
    site.machine.run(
        f"mkdir -p {cache} && cp {site.dist}/images/* {cache}/ && chown -R wasm: {cache} && "
        f"cp {site.dist}/{file} /srv/ && chmod 644 /srv/{file}", check=True,
    )  # fmt: skip
    write(site, f"/etc/pywasmjit/{name}.conf", f"FILE=/srv/{file}\nARGUMENTS={arguments}\n")


def state(site: Site, unit: str, *names: str) -> dict[str, str]:
    """Properties of a unit."""
    shown = site.run(f"systemctl show {unit} {' '.join(f'-p {name}' for name in names)}").text
    return dict(line.split("=", 1) for line in shown.splitlines())


def page(site: Site, wanted: str) -> None:
    """Wait until the server sends this."""
    script = (
        f'until [ "$(curl -s -m 20 http://127.0.0.1/)" = {wanted} ]; do '
        f"! systemctl is-failed -q {UNIT} || exit 1; sleep 0.2; done"
    )
    done = site.run(script, 300)
    assert done.status == 0, site.run(f"systemctl status -n 50 {UNIT}").text


def test_a_server_in_ring_0(site: Site) -> None:
    """Started as a user of its own on port 80; reloaded; filtered; stopped."""
    describe(site, "nginx", "nginx.wasm", "-c /srv/nginx.conf")
    write(site, "/srv/nginx.conf", CONFIGURATION.replace("PAGE", "first"))
    started = site.run(f"systemctl start {UNIT}", 120)
    assert started.status == 0, site.run(f"systemctl status -n 50 {UNIT}").text
    page(site, "first")
    main = state(site, UNIT, "MainPID", "ActiveState")
    assert main["ActiveState"] == "active"
    pid = main["MainPID"]
    rows = site.run("cat /proc/wasm/guests").text.splitlines()[1:]
    assert len(rows) == 2 and pid in [row.split()[0] for row in rows]  # master and worker
    assert {row.split()[1] for row in rows} == {site.run("id -u wasm").text.strip()}
    counted = totals(site.run(f"cat {TOTALS}").text)
    assert counted["loads"] == 1 and counted["launcher_calls"] == 0 and counted["functions_interpreted"] == 0
    rights = site.run(f"cat /proc/{pid}/status").text
    assert "NoNewPrivs:\t1\n" in rights and "CapEff:\t0000000000000400\n" in rights
    assert f"{UNIT}\n" in site.run(f"cat /proc/{pid}/cgroup").text

    write(site, "/srv/nginx.conf", CONFIGURATION.replace("PAGE", "second"))
    site.machine.run(f"systemctl reload {UNIT}", check=True)
    page(site, "second")
    assert state(site, UNIT, "MainPID")["MainPID"] == pid

    site.machine.run(f"systemctl stop {UNIT}", 120, check=True)
    ended = state(site, UNIT, "ActiveState", "Result", "ExecMainStatus")
    assert ended == {"ActiveState": "inactive", "Result": "success", "ExecMainStatus": "0"}
    assert len(site.run("cat /proc/wasm/guests").text.splitlines()) == 1

    # With a filter, which is asked about each system call, in ring 0.
    drop_in = f"/etc/systemd/system/{UNIT}.d/filter.conf"
    write(site, drop_in, "[Service]\nSystemCallFilter=@system-service\nSystemCallErrorNumber=EPERM\n")
    site.machine.run(f"systemctl daemon-reload && systemctl start {UNIT}", 120, check=True)
    page(site, "second")
    counted = totals(site.run(f"cat {TOTALS}").text)
    assert counted["filtered"] > 100 and counted["launcher_calls"] == 0
    site.machine.run(f"systemctl stop {UNIT}", 120, check=True)


@pytest.mark.parametrize(
    ("filter_", "expected", "answer"),
    [
        ("", ("success", "0"), "port 81: ok"),
        ("SystemCallFilter=~bind\nSystemCallErrorNumber=ENETUNREACH\n", ("success", "0"), "port 81: ENETUNREACH"),
        ("SystemCallFilter=~bind\n", ("signal", "31"), "/etc/shadow: EACCES"),
    ],
    ids=["none", "errno", "kill"],
)
def test_filters_are_those_of_native_programs(
    site: Site, filter_: str, expected: tuple[str, str], answer: str
) -> None:
    """SystemCallFilter= in a drop-in: the guest is answered, or killed, as a native program is."""
    describe(site, "who", "ring0.wasm", "who")
    program = site.machine.copy_in(native("ring0"), "/srv/native")
    write(
        site, "/etc/systemd/system/wj-native.service",
        f"[Service]\nExecStart={program} who\nNoNewPrivileges=yes\nUser=wasm\nAmbientCapabilities=CAP_NET_BIND_SERVICE\n",
    )  # fmt: skip
    found = []
    for unit in ("wj-native.service", "pywasmjit@who.service"):
        out = f"/tmp/{unit}.out"
        write(
            site, f"/etc/systemd/system/{unit}.d/filter.conf",
            f"[Service]\nType=oneshot\nRestart=no\nLimitCORE=0\nStandardOutput=truncate:{out}\n{filter_}",
        )  # fmt: skip
        site.run(f"systemctl daemon-reload; systemctl start {unit}", 120)
        ended = state(site, unit, "Result", "ExecMainCode", "ExecMainStatus")
        assert (ended["Result"], ended["ExecMainStatus"]) == expected, site.run(f"systemctl status -n 50 {unit}").text
        # Without the first line: process id and user.
        found.append((ended, site.run(f"tail -n +2 {out}").text))
        site.run(f"systemctl reset-failed {unit}; rm -r /etc/systemd/system/{unit}.d")
    assert found[0] == found[1]
    assert answer in found[0][1].splitlines()
