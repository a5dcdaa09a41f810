# SPDX-License-Identifier: GPL-2.0-only
"""What the running system says about the module, the device and who may load what."""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import re
import stat
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

MODULE = "wasm"
ACL_NAME = "system.posix_acl_access"
# include/uapi/linux/posix_acl_xattr.h: version; tag, permissions, id.
_ACL_HEADER = struct.Struct("<I")
_ACL_ENTRY = struct.Struct("<HHI")
_ACL_VERSION = 2
_ACL_USER_OBJ, _ACL_USER, _ACL_GROUP_OBJ, _ACL_MASK, _ACL_OTHER = 0x01, 0x02, 0x04, 0x10, 0x20
_NO_ID = 0xFFFFFFFF
_READ_WRITE = 6


@dataclass(frozen=True)
class Holder:
    """A process with /dev/wasm open."""

    pid: int
    user: str
    file: str
    """The wasm file it runs, or the process's name."""


@dataclass(frozen=True)
class System:
    """The system below `root`, which is another directory in tests."""

    root: Path = Path("/")
    release: str = field(default_factory=lambda: os.uname().release)
    machine: str = field(default_factory=lambda: os.uname().machine)

    def path(self, name: str) -> Path:
        return self.root / name.lstrip("/")

    def text(self, name: str) -> str | None:
        """A file's text without white space around it; None if it cannot be read."""
        try:
            return self.path(name).read_text(errors="replace").strip()
        except OSError:
            return None

    @property
    def device(self) -> Path:
        return self.path("/dev/wasm")

    @property
    def headers(self) -> Path:
        """The headers of the running kernel, if they are installed."""
        return self.path(f"/lib/modules/{self.release}/build")

    # The module

    @property
    def loaded(self) -> bool:
        return self.path(f"/sys/module/{MODULE}").is_dir()

    @property
    def loaded_version(self) -> str:
        """The version of the loaded module, as it calls itself."""
        return self.text(f"/sys/module/{MODULE}/version") or "unknown"

    # Who may load modules

    @property
    def signatures_enforced(self) -> bool:
        return self.text("/sys/module/module/parameters/sig_enforce") in ("Y", "1")

    @property
    def lockdown(self) -> str:
        """none, integrity or confidentiality; "" where securityfs does not say."""
        found = re.search(r"\[(\w+)\]", self.text("/sys/kernel/security/lockdown") or "")
        return found[1] if found else ""

    @property
    def modules_disabled(self) -> bool:
        return self.text("/proc/sys/kernel/modules_disabled") == "1"

    # Configuration

    def configuration(self) -> Path | None:
        """The running kernel's configuration, wherever the distribution keeps it."""
        places = (
            f"/boot/config-{self.release}",
            f"/lib/modules/{self.release}/config",
            f"/usr/lib/modules/{self.release}/config",
            "/proc/config.gz",
            f"/lib/modules/{self.release}/build/.config",
        )
        return next((self.path(place) for place in places if self.path(place).exists()), None)

    # Processes

    def holders(self) -> Iterator[Holder]:
        """Processes that have the device open and that the caller may look into."""
        for directory in sorted(self.path("/proc").glob("[0-9]*"), key=lambda path: int(path.name)):
            with contextlib.suppress(OSError):
                links = (os.readlink(entry.path) for entry in os.scandir(directory / "fd"))
                if str(self.device) in links:
                    yield self._holder(directory)

    def _holder(self, directory: Path) -> Holder:
        words = (directory / "cmdline").read_bytes().decode(errors="replace").split("\0")
        file = next((word[len("--wasm=") :] for word in words if word.startswith("--wasm=")), "")
        return Holder(
            pid=int(directory.name),
            user=user_name(directory.stat().st_uid),
            file=file or (directory / "comm").read_text(errors="replace").strip(),
        )


def user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def group_name(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


# ---------------------------------------------------------------------------- access to the device


def may_open(device: Path) -> bool:
    return os.access(device, os.R_OK | os.W_OK)


def access_of(device: Path) -> str:
    """Who may open the device, in words; OSError if it is not there."""
    status = device.stat()
    if status.st_mode & stat.S_IROTH and status.st_mode & stat.S_IWOTH:
        return "everybody"
    words = [user_name(status.st_uid)]
    if _group_permissions(device) & _READ_WRITE == _READ_WRITE:
        words.append(f"group {group_name(status.st_gid)}")
    words += [f"user {user_name(uid)}" for uid in users_of(device)]
    return ", ".join(words)


def _entries(device: Path) -> list[tuple[int, int, int]]:
    """The access control list: tag, permissions, id; empty if there is none."""
    try:
        value = os.getxattr(device, ACL_NAME)
    except OSError:
        return []
    return list(_ACL_ENTRY.iter_unpack(value[_ACL_HEADER.size :]))


def _group_permissions(device: Path) -> int:
    """Of the owning group: with a list the mode's bits are the list's mask instead."""
    for tag, permissions, _ in _entries(device):
        if tag == _ACL_GROUP_OBJ:
            return permissions
    return (device.stat().st_mode >> 3) & 7


def users_of(device: Path) -> list[int]:
    """User ids that the device's list lets in."""
    return [
        uid
        for tag, permissions, uid in _entries(device)
        if tag == _ACL_USER and permissions & _READ_WRITE == _READ_WRITE
    ]


def admit_user(device: Path, uid: int) -> None:
    """Let a user in, besides whoever may open the device already; until the node is gone.

    OSError, with EOPNOTSUPP where devtmpfs has no access control lists.
    """
    users = sorted({uid, *users_of(device)})
    entries = [
        (_ACL_USER_OBJ, _READ_WRITE, _NO_ID),
        *((_ACL_USER, _READ_WRITE, user) for user in users),
        (_ACL_GROUP_OBJ, _group_permissions(device), _NO_ID),
        (_ACL_MASK, _READ_WRITE, _NO_ID),
        (_ACL_OTHER, device.stat().st_mode & 7, _NO_ID),
    ]
    value = _ACL_HEADER.pack(_ACL_VERSION) + b"".join(_ACL_ENTRY.pack(*entry) for entry in entries)
    os.setxattr(device, ACL_NAME, value)
