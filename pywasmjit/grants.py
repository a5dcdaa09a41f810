# SPDX-License-Identifier: GPL-2.0-only
"""What a WASI program is given: directories, listening sockets, variables.

Each becomes a setting of the launcher (kmod/host/process.h) and, where it is a descriptor, one that
outlives the exec.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from pywasmjit.errors import AccessError, InputError, SystemCallError, UsageError

FIRST_INHERITED = 3  # sd_listen_fds(3)


def directory(text: str) -> str:
    """HOST or HOST::GUEST: the setting that gives the directory HOST as GUEST."""
    host, separator, guest = text.partition("::")
    if not host or (separator and not guest):
        raise UsageError(f"--dir {text}: not of the form HOST or HOST::GUEST")
    try:
        descriptor = os.open(host, os.O_RDONLY | os.O_DIRECTORY)
    except PermissionError as error:
        raise AccessError(f"--dir {host}: permission denied") from error
    except OSError as error:
        raise InputError(f"--dir {host}: {error.strerror}") from error
    os.set_inheritable(descriptor, True)
    return f"dir={descriptor}:{guest or host}"


def listener(text: str) -> str:
    """ADDRESS:PORT, [ADDRESS]:PORT or :PORT: the setting that gives a socket listening there.

    With ",nonblock" behind it accepting does not wait: Go's scheduler wants that, plain loops do not.
    """
    import socket  # not needed for most programs, and slow to import

    address_text = text.removesuffix(",nonblock")
    host, separator, port = address_text.rpartition(":")
    if not separator or not port.isdecimal() or int(port) > 65535:
        raise UsageError(f"--tcplisten {text}: not of the form ADDRESS:PORT[,nonblock]")
    host = host.removeprefix("[").removesuffix("]")
    try:
        found = socket.getaddrinfo(
            host or None, int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE | socket.AI_NUMERICHOST
        )
    except socket.gaierror as error:
        raise UsageError(f"--tcplisten {text}: {error.strerror}: give a numeric address") from error
    family, kind, protocol, _, address = found[0]
    try:
        made = socket.socket(family, kind, protocol)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(address)
        made.listen(128)
    except OSError as error:
        raise SystemCallError(f"--tcplisten {text}: {error.strerror}") from error
    made.setblocking(address_text == text)
    made.set_inheritable(True)
    return f"listen={made.detach()}"


def inherited_listeners(environment: Mapping[str, str]) -> list[str]:
    """Sockets that systemd (or another parent) left open for this process: sd_listen_fds(3)."""
    count = environment.get("LISTEN_FDS", "")
    if environment.get("LISTEN_PID") != str(os.getpid()) or not count.isdecimal():
        return []
    return [f"listen={FIRST_INHERITED + i}" for i in range(min(int(count), 64))]


def settings(
    directories: Sequence[str],
    listeners: Sequence[str],
    variables: Sequence[str],
    inherit_environment: bool,
    environment: Mapping[str, str],
) -> list[str]:
    """All of it, in the order of the guest's descriptors: from 3 on directories, then sockets."""
    given = [directory(text) for text in directories]
    given += [listener(text) for text in listeners]
    given += inherited_listeners(environment)
    if inherit_environment:
        return [*given, "inherit-env"]  # `variables` are part of it
    return [*given, *(f"env={variable}" for variable in variables)]
