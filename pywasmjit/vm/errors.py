# SPDX-License-Identifier: GPL-2.0-only
"""What can go wrong in the VM harness: each error says what was found, where, and what to do."""

from __future__ import annotations

from pywasmjit.errors import HostUnavailableError


class VmError(HostUnavailableError):
    """Any failure of the harness or of the machine it runs."""


class FetchError(VmError):
    """A kernel or root image could not be fetched, unpacked or made."""


class BootError(VmError):
    """QEMU ended or stayed silent before the guest's shell was ready."""


class CommandError(VmError):
    """A command run with `check=True` ended with a status other than 0."""


class CommandTimeout(VmError):
    """A command outlived its timeout and was killed; the machine is still usable.

    `partial` is what it had printed until then.
    """

    def __init__(self, message: str, partial: bytes = b"") -> None:
        shown = partial.decode(errors="replace")
        super().__init__(f"{message}; until then it printed:\n{shown}" if shown else message)
        self.partial = partial


class MachineDied(VmError):
    """The guest panicked, powered off or stopped answering; the machine is gone.

    `kmsg` is the end of the kernel's log, `partial` what the command had printed until then.
    """

    def __init__(self, message: str, kmsg: str = "", partial: bytes = b"") -> None:
        super().__init__(f"{message}\n--- last kernel messages ---\n{kmsg}" if kmsg else message)
        self.kmsg = kmsg
        self.partial = partial


class OracleError(VmError):
    """The kernel was hurt: taint changed, the end marker is missing, or a message reports a bug."""
