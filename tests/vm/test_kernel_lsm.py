# SPDX-License-Identifier: GPL-2.0-only
"""Security modules refuse a guest in ring 0 what they refuse a native program, and say the same."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

import pytest
from ring0 import HERE, Ring0

PLACE = "/tmp/confined"
NATIVE = f"{HERE}/native/confined"

# landlock.py COMMAND...: may read and execute what is installed, and everything in allowed/.
# include/uapi/linux/landlock.h; each version of the interface has more rights.
LANDLOCK = f"""
import ctypes, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
def call(*arguments):
    result = libc.syscall(*(ctypes.c_long(a) if isinstance(a, int) else a for a in arguments))
    assert result >= 0, os.strerror(ctypes.get_errno())
    return result
version = call(444, 0, 0, 1)
files = (1 << 13) - 1 | (1 << 13 if version >= 2 else 0) | (1 << 14 if version >= 3 else 0)
ports = 3 if version >= 4 else 0
ruleset = call(444, struct.pack("<QQ", files, ports), 16 if ports else 8, 0)
EXECUTE, WRITE, READ, LIST = 1, 2, 4, 8
for path, rights in (("/usr", EXECUTE | READ | LIST), ("{HERE}", EXECUTE | READ | LIST), ("/proc", READ | LIST),
                     ("/dev", READ | WRITE), ("{PLACE}/allowed", files)):
    call(445, ruleset, 1, struct.pack("<Qi", rights, os.open(path, os.O_PATH)), 0)
assert libc.prctl(38, 1, 0, 0, 0) == 0
call(446, ruleset, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""

PROFILE = f"""
profile wj-confined {{
  file,
  capability,
  signal,
  network unix,
  deny {PLACE}/denied/ rwklmx,
  deny {PLACE}/denied/** rwklmx,
  deny network inet stream,
}}
"""


def prepare(ring0: Ring0) -> None:
    """Both directories, as they are before the program."""
    ring0.machine.run(
        f"rm -rf {PLACE}; for name in allowed denied; do mkdir -p {PLACE}/$name/directory && cd {PLACE}/$name && "
        "echo text | tee file victim >/dev/null && cp /bin/true program || exit; done",
        check=True,
    )


def compare(ring0: Ring0, confine: Sequence[str]) -> dict[str, str]:
    """The program in ring 0 and natively, confined alike: what each was answered."""
    prepare(ring0)
    free = ring0.native("confined", PLACE)
    assert free.status == 0 and "denied: read: ok\n" in free.text
    prepare(ring0)
    native = ring0.machine.run([*confine, NATIVE, PLACE])
    prepare(ring0)
    before = ring0.totals()
    guest = ring0.machine.run([*confine, *ring0.command("confined", PLACE)])
    counted = {name: value - before[name] for name, value in ring0.totals().items()}
    assert (guest.text, guest.status) == (native.text, native.status) == (native.text, 0)
    # Nobody but the kernel's own functions was asked.
    assert counted["system_calls"] > 20 and counted["launcher_calls"] == 0
    return dict(line.rsplit(": ", 1) for line in guest.text.splitlines())


def test_landlock(ring0: Ring0) -> None:
    if ring0.machine.run("grep -q landlock /sys/kernel/security/lsm").status:
        pytest.skip(f"{ring0.machine.kernel.release} has no Landlock")
    said = compare(ring0, ["python3", "-c", LANDLOCK])
    assert {value for name, value in said.items() if name.startswith("allowed")} == {"ok"}
    refused = {name.removeprefix("denied: ") for name, value in said.items() if value == "EACCES"}
    files = {"directory", "read", "write", "openat", "create", "mkdir", "rmdir", "symlink", "rename", "unlink", "exec"}
    assert refused - {"bind", "connect"} == files
    assert said["denied: stat"] == "ok"  # Landlock has nothing to say about it


def test_apparmor(ring0: Ring0) -> None:
    run = ring0.machine.run
    if run("grep -q apparmor /sys/kernel/security/lsm").status:
        pytest.skip(f"{ring0.machine.kernel.release} has no AppArmor")
    run(f"printf %s {shlex.quote(PROFILE)} | apparmor_parser --replace --skip-cache", check=True)
    try:
        said = compare(ring0, ["aa-exec", "--profile=wj-confined", "--"])
    finally:
        run(f"printf %s {shlex.quote(PROFILE)} | apparmor_parser --remove", check=True)
    assert {value for name, value in said.items() if name.startswith("allowed")} == {"ok"}
    assert {value for name, value in said.items() if name.startswith("denied") and "stat" not in name} == {"EACCES"}
    assert said["socket"] == "EACCES"
