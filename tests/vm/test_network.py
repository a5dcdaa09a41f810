# SPDX-License-Identifier: GPL-2.0-only
"""Networks of machines."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pywasmjit.vm.machine import Machine
from pywasmjit.vm.network import Network
from pywasmjit.vm.packages import Kernel

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not Path("/dev/net/tun").exists(), reason="needs root and /dev/net/tun"
)


def test_a_machine_on_a_network(kernel: Kernel) -> None:
    with Network() as network, Machine(kernel, network=network, lifetime=300) as machine, machine.checked():
        assert machine.address == "10.77.0.2"
        server = machine.popen(["python3", "-m", "http.server", "8000", "--bind", "::", "--directory", "/etc"])
        server.wait_for_port(8000)
        for address in ("10.77.0.2", "[fd77::2]"):
            done = network.run("curl", "-sS", "--max-time", "20", f"http://{address}:8000/hostname")
            assert (done.returncode, done.stdout) == (0, "pywasmjit\n"), done.stderr
        # Its clients have real addresses there.
        assert "10.77.0.1" in server.output().decode()
        machine.run("busybox ping -c 1 10.77.0.1", check=True)


def test_nothing_is_left_of_a_network() -> None:
    with Network() as network:
        port = network.port()
        assert port.mac == "52:54:00:77:00:02"
        assert "tap2" in network.run("ip", "link").stdout
    assert not Path("/run/netns", network.name).exists()
