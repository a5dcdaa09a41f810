# SPDX-License-Identifier: GPL-2.0-only
"""cpio archives in the "newc" format the kernel unpacks as its initramfs.

Source: Documentation/driver-api/early-userspace/buffer-format.rst in the kernel tree.
"""

from __future__ import annotations

import stat
from dataclasses import dataclass, field


@dataclass
class Archive:
    """Entries in the order they are added; parents are added by themselves. Owner is root."""

    _entries: dict[str, tuple[int, bytes]] = field(default_factory=dict)

    def add_file(self, name: str, content: bytes, mode: int = 0o644) -> None:
        self._add(name, stat.S_IFREG | mode, content)

    def add_directory(self, name: str, mode: int = 0o755) -> None:
        self._add(name, stat.S_IFDIR | mode, b"")

    def add_symlink(self, name: str, target: str) -> None:
        self._add(name, stat.S_IFLNK | 0o777, target.encode())

    def _add(self, name: str, mode: int, content: bytes) -> None:
        name = name.strip("/")
        parent = name.rpartition("/")[0]
        if parent and parent not in self._entries:
            self.add_directory(parent)
        self._entries[name] = (mode, content)

    def to_bytes(self) -> bytes:
        """The archive; equal entries give equal bytes (times are 0, inode numbers count up)."""
        chunks = []
        entries = [*self._entries.items(), ("TRAILER!!!", (0, b""))]
        for inode, (name, (mode, content)) in enumerate(entries, start=1):
            encoded = name.encode() + b"\0"
            # magic, ino, mode, uid, gid, nlink, mtime, filesize, dev x2, rdev x2, namesize, check
            numbers = [inode, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(encoded), 0]
            header = b"070701" + b"".join(b"%08X" % number for number in numbers)
            chunks += [_padded(header + encoded), _padded(content)]
        return b"".join(chunks)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
