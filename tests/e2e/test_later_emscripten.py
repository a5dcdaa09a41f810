# SPDX-License-Identifier: GPL-2.0-only
"""Guests of Debian 13's Emscripten, 3.1.69, whose time_t has 64 bits.

Built in a chroot (scripts/emscripten_trixie.py), which takes root and ten minutes: `make test-long`.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.conftest import Host
from tests.e2e.test_nginx import serve_plain

pytestmark = pytest.mark.long


def test_nginx(host: Host, guest: Callable[[str], Path], tmp_path: Path) -> None:
    serve_plain(host, guest("nginx-3.1.69"), tmp_path)


@pytest.mark.parametrize("name", ["times-3.1.69", "times-3.1.69-bigint"])
@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "UTC"])
def test_times(
    name: str, zone: str, host: Host, guest: Callable[[str], Path], native: Callable[[str], Path], tmp_path: Path
) -> None:
    """As the native build prints it; i64 go to the host as two i32 or as one."""
    file = tmp_path / "file"
    expected = subprocess.run([native(name), file], env={"TZ": zone}, capture_output=True, check=True).stdout
    done = host.run(guest(name), str(file), env={"TZ": zone})
    assert done.returncode == 0 and done.stderr == b""
    assert done.stdout.decode() == expected.decode()
    host.assert_engine()
