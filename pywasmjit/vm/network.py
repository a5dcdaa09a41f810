# SPDX-License-Identifier: GPL-2.0-only
"""A network of machines: a bridge in a network namespace of this host, reachable from nowhere else.

    with Network() as network, Machine(network=network) as machine:
        network.run("curl", f"http://{machine.address}/")

Needs CAP_NET_ADMIN and /dev/net/tun. The host is 10.77.0.1 and fd77::1 there, inside the namespace;
machines have the next addresses, in their order.
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import os
import struct
import subprocess
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from pywasmjit.vm.errors import VmError

_BRIDGE = "br0"
_TUN = "/dev/net/tun"
# linux/if_tun.h
_TUNSETIFF = 0x400454CA
_IFF_TAP, _IFF_NO_PI = 0x0002, 0x1000
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Port:
    """A machine's end of the network."""

    tap: int
    """Descriptor of the TAP device, for QEMU; the device goes with the last one."""
    mac: str
    address: str
    address6: str

    @property
    def argument(self) -> str:
        """For the guest's kernel command line; vm/guest/rc reads it."""
        return f"pywasmjit.address={self.address}/24,{self.address6}/64"


class Network:
    """From `with` to its end."""

    def __init__(self) -> None:
        self.name = f"pywasmjit-{os.getpid()}-{next(_numbers)}"
        self._ports: list[Port] = []

    def __enter__(self) -> Self:
        # Not at the top: the harness is imported inside of machines, too, which have no pyroute2.
        from pyroute2 import NetNS, netns
        from pyroute2.netlink.exceptions import NetlinkError

        try:
            netns.create(self.name)
        except (OSError, NetlinkError) as error:
            raise VmError(f"no network namespace for machines: {error}: run it as root") from error
        try:
            with NetNS(self.name) as space:
                space.link("add", ifname=_BRIDGE, kind="bridge")
                bridge = space.link_lookup(ifname=_BRIDGE)[0]
                for address, length in (("10.77.0.1", 24), ("fd77::1", 64)):
                    space.addr("add", index=bridge, address=address, prefixlen=length)
                for index in (bridge, space.link_lookup(ifname="lo")[0]):
                    space.link("set", index=index, state="up")
        except BaseException:
            self.close()
            raise
        return self

    def port(self) -> Port:
        """A TAP device on the bridge, for one machine."""
        from pyroute2 import NetNS

        number = len(self._ports) + 2
        name = f"tap{number}"
        try:
            tap = self._open_tap(name)
        except OSError as error:
            raise VmError(f"{_TUN}: {error.strerror}: machines need it for a network of their own") from error
        self._ports.append(
            Port(tap, f"52:54:00:77:00:{number:02x}", f"10.77.0.{number}", f"fd77::{number:x}")
        )
        with NetNS(self.name) as space:
            bridge = space.link_lookup(ifname=_BRIDGE)[0]
            space.link("set", index=space.link_lookup(ifname=name)[0], master=bridge, state="up")
        return self._ports[-1]

    def _open_tap(self, name: str) -> int:
        """The device belongs to the namespace that it was opened in."""
        from pyroute2 import netns

        netns.pushns(self.name)
        try:
            tap = os.open(_TUN, os.O_RDWR | os.O_CLOEXEC)
            try:
                fcntl.ioctl(tap, _TUNSETIFF, struct.pack("<16sH22x", name.encode(), _IFF_TAP | _IFF_NO_PI))
            except BaseException:
                os.close(tap)
                raise
            return tap
        finally:
            netns.popns()

    def command(self, *arguments: str) -> list[str]:
        """A command line that runs inside the namespace."""
        return ["nsenter", f"--net=/run/netns/{self.name}", *arguments]

    def run(self, *arguments: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """Run a program inside the namespace to its end."""
        return subprocess.run(
            self.command(*arguments), stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=timeout, check=False,
        )  # fmt: skip

    def close(self) -> None:
        """Remove all of it; machines on it are cut off."""
        from pyroute2 import netns

        for port in self._ports:
            os.close(port.tap)
        self._ports.clear()
        with contextlib.suppress(FileNotFoundError):
            netns.remove(self.name)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
