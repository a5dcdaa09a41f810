# SPDX-License-Identifier: GPL-2.0-only
"""nginx in ring 0 under load for ten minutes, with reloads, killed workers and forks beside it."""

from __future__ import annotations

import re
import time

import pytest
from ring0 import Ring0
from test_kernel_nginx import CONFIGURATION, WHERE

from pywasmjit.vm import packages
from pywasmjit.vm.machine import Machine
from pywasmjit.vm.packages import Kernel

SECONDS = 600
CONNECTIONS = 8
KILL_EVERY = 10  # turns


def _available(machine: Machine) -> int:
    """KiB of memory that could be had."""
    machine.run("sync; echo 3 > /proc/sys/vm/drop_caches", check=True)
    found = re.search(r"MemAvailable: +(\d+)", machine.run("cat /proc/meminfo", check=True).text)
    assert found
    return int(found[1])


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("preempt", ["voluntary", "full"])
def test_soak(kernel: Kernel, preempt: str) -> None:
    if kernel.series == packages.DEBUG_SERIES:
        pytest.skip("too slow there to be load; the other tests do the same things")
    with Machine(kernel, smp=2, arguments=[f"preempt={preempt}"], lifetime=3600) as machine, machine.checked():
        ring0 = Ring0(machine, kernel)
        machine.run(
            f"mkdir -p {WHERE}/html {WHERE}/tmp; printf '%s' '{CONFIGURATION}' > {WHERE}/nginx.conf;"
            f"sed -i 's/access_log .*/access_log off;/' {WHERE}/nginx.conf;"
            f"echo 'from ring 0' > {WHERE}/html/index.html",
            check=True,
        )
        command = ring0.command("nginx", "-p", WHERE, "-c", f"{WHERE}/nginx.conf", "-e", f"{WHERE}/error.log")
        ring0.run("ring0", "fork", "1")
        before, totals = _available(machine), ring0.totals()
        machine.run(command, check=True, timeout=60)
        machine.run("until curl -s -o /dev/null http://127.0.0.1:8080/; do sleep 0.1; done", timeout=30, check=True)
        load = machine.popen(
            f"wrk -t1 -c{CONNECTIONS} -d{SECONDS}s --timeout 30s -H 'Connection: close' http://127.0.0.1:8080/index.html"
        )
        end = time.monotonic() + SECONDS
        turns = kills = 0
        while time.monotonic() < end - 20:
            turns += 1
            machine.run(f"kill -HUP $(cat {WHERE}/nginx.pid)", check=True)
            assert ring0.run("ring0", "fork", "20").text == "wrong: 0\n"
            if turns % KILL_EVERY == 0:
                machine.run(f"kill -9 $(pgrep -P $(cat {WHERE}/nginx.pid) | tail -1)")
                kills += 1
        assert load.wait(120) == 0
        output = load.output().decode()
        requests = re.search(r"(\d+) requests in", output)
        errors = re.search(r"connect (\d+), read (\d+), write (\d+), timeout (\d+)", output)
        failed = sum(map(int, errors.groups())) if errors else 0
        machine.run(f"kill -QUIT $(cat {WHERE}/nginx.pid)", check=True)
        machine.run("while pgrep -x pywasmjit-launc; do sleep 0.1; done", timeout=60, check=True)
        after = ring0.totals()
        print(f"preempt={preempt}: {turns} reloads, {kills} killed workers\n{output}")
        assert requests and int(requests[1]) > 1000 and "Non-2xx" not in output
        assert failed <= kills * CONNECTIONS, output
        for name in ("guests", "unclaimed", "pool_used"):
            assert after[name] == totals[name]
        log = machine.run(f"cat {WHERE}/error.log").text
        assert not re.search(r"\[(alert|emerg|crit)\]", re.sub(r".*exited on signal 9.*", "", log)), log
        # The master, its workers and their images took some 10 MiB each.
        assert before - _available(machine) < 8 << 10
        ring0.remove()
