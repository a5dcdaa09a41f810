# SPDX-License-Identifier: GPL-2.0-only
"""Rules of the kernel-mode process (kmod/linux/README.md): confinement, and what guards ring 0."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from ring0 import HERE, Ring0

from pywasmjit.vm.ring0 import since

HERE_ON_THE_HOST = Path(__file__).parent
CGROUP = "/tmp/wj-cgroup"

# Reads executable memory of the module through /proc/kcore: ADDRESS SIZE.
KCORE = """
import hashlib, struct, sys
address, size = int(sys.argv[1], 16), int(sys.argv[2])
core = open("/proc/kcore", "rb", 0)
count = struct.unpack("<H", core.read(64)[56:58])[0]
headers = core.read(56 * count)
for i in range(count):
    kind, flags, offset, virtual, physical, file_size, memory_size, align = struct.unpack_from("<IIQQQQQQ", headers, 56 * i)
    if kind == 1 and virtual <= address < virtual + memory_size:
        core.seek(offset + address - virtual)
        data = b""
        while len(data) < size:
            data += core.read(size - len(data))
chunk = 32768
code = data[chunk:]
start = len(code) - len(code.lstrip(b"\\xcc"))
print("used", sum(code[at:at + chunk].count(0xcc) != chunk for at in range(0, len(code), chunk)), "start", start if start < len(code) else -1,
      "seen", *(int(word) for word in (code.find(bytes.fromhex(needle)) >= 0 for needle in sys.argv[3:])))
"""


@pytest.fixture
def cgroup(ring0: Ring0) -> Iterator[str]:
    """A control group of version 2."""
    run = ring0.machine.run
    run(f"mkdir -p {CGROUP}; mountpoint -q {CGROUP} || mount -t cgroup2 none {CGROUP}; "
        f"mkdir -p {CGROUP}/wj", check=True)
    yield f"{CGROUP}/wj"
    run(f"echo 0 > {CGROUP}/wj/cgroup.freeze; "
        f"pkill -9 -x pywasmjit-launc; while ! rmdir {CGROUP}/wj; do sleep 0.1; done", check=True)


def pool(ring0: Ring0, *needles: str) -> tuple[int, int | None, list[int]]:
    """How many chunks of the pool hold code, where it starts, and which bytes are in it."""
    ring0.need("CONFIG_PROC_KCORE")
    address = ring0.machine.run("grep -w wj_pool /proc/kallsyms", check=True).text.split()[0]
    size = str(ring0.totals()["pool_bytes"])
    text = ring0.machine.run(["python3", "-c", KCORE, address, size, *needles], check=True).text
    found = re.fullmatch(r"used (\d+) start (-?\d+) seen ?([\d ]*)\n", text)
    assert found, text
    start = int(found[2])
    return int(found[1]), None if start < 0 else start, [int(word) for word in found[3].split()]


def kill(ring0: Ring0, pid: int) -> None:
    ring0.machine.run(f"kill -9 {pid}; while kill -0 {pid} 2>/dev/null; do sleep 0.05; done", check=True)


def test_a_guest_that_spins_can_be_frozen(ring0: Ring0, cgroup: str) -> None:
    run = ring0.machine.run
    guest = ring0.start("busyloop", "loop")
    guest.wait_for_output("loop")
    run(f"echo {guest.pid} > {cgroup}/cgroup.procs; echo 1 > {cgroup}/cgroup.freeze", check=True)
    run(f"until grep -q 'frozen 1' {cgroup}/cgroup.events; do sleep 0.05; done", timeout=20, check=True)
    spent = ring0.guests()[guest.pid]["cpu_ms"]
    time.sleep(0.5)
    assert ring0.guests()[guest.pid]["cpu_ms"] == spent
    run(f"echo 0 > {cgroup}/cgroup.freeze", check=True)
    deadline = time.monotonic() + 20 * ring0.machine.kernel.slowness
    while ring0.guests()[guest.pid]["cpu_ms"] == spent:
        assert time.monotonic() < deadline
    kill(ring0, guest.pid)


def test_a_guest_that_spins_does_not_hold_up_live_patches(ring0: Ring0) -> None:
    run = ring0.machine.run
    ring0.need("CONFIG_LIVEPATCH")
    there = ring0.helper("patched")
    guest = ring0.start("busyloop", "loop")
    guest.wait_for_output("loop")
    run(f"insmod {there}", check=True)
    switch = "/sys/kernel/livepatch/patched"
    run(f"until grep -q 0 {switch}/transition; do sleep 0.1; done", timeout=60, check=True)
    assert run("cat /proc/cmdline").text == "patched\n"
    run(f"echo 0 > {switch}/enabled; while [ -e {switch} ]; do sleep 0.1; done; rmmod patched", timeout=60, check=True)
    assert guest.poll() is None
    kill(ring0, guest.pid)


def test_executable_memory_is_never_writable_and_ac_never_set_in_c(ring0: Ring0) -> None:
    there = ring0.helper("guard")
    address = ring0.machine.run("grep -w wj_pool /proc/kallsyms", check=True).text.split()[0]
    size = ring0.totals()["pool_bytes"]
    ring0.machine.run(f"insmod {there} pool=0x{address} size={size}", check=True)
    try:
        assert ring0.run("ring0", "calls", "500").text == "wrong: 0\n"
        words = ring0.machine.run("cat /proc/guard", check=True).text.split()
    finally:
        ring0.machine.run("rmmod guard", check=True)
    seen = dict(zip(words[::2], (int(word) for word in words[1::2]), strict=True))
    assert seen["pages"] == size // 4096 and seen["calls"] >= 500
    wrong = ("writable", "not_executable", "alias_executable", "with_ac")
    assert [seen[name] for name in wrong] == [0, 0, 0, 0], seen


def test_freed_code_is_gone_and_code_starts_anywhere(ring0: Ring0) -> None:
    assert pool(ring0)[:2] == (0, None)
    starts = set()
    for _ in range(4):
        guest = ring0.start("busyloop", "blocked")
        guest.wait_for_output("blocked")
        used, start, _ = pool(ring0)
        assert used > 0
        starts.add(start)
        kill(ring0, guest.pid)
        assert pool(ring0)[:2] == (0, None)
    assert len(starts) > 1


def test_constants_of_guests_cannot_be_found_in_their_code(ring0: Ring0) -> None:
    guest = ring0.start("ring0", "constants")
    guest.wait_for_output("3cd5c6b73cd8c9ba")
    numbers = (0x3CD1C2B3, 0x3CD1C2B4)
    needles = [number.to_bytes(4, "little").hex() for number in numbers]
    needles.append((0x3CD5C6B73CD8C9BA).to_bytes(8, "little").hex())
    used, _, seen = pool(ring0, *needles)
    assert used > 0 and seen == [0, 0, 0]
    kill(ring0, guest.pid)


def test_floating_point_does_not_depend_on_the_launcher(ring0: Ring0) -> None:
    expected = ring0.run("ring0", "rounding")
    assert expected.status == 0
    script = ring0.machine.copy_in(HERE_ON_THE_HOST / "minilauncher.py", HERE)
    result = ring0.machine.run(["python3", script, "rounding", f"{HERE}/ring0.img", "rounding"])
    assert result.text == expected.text + "end 1 0\n"


def test_a_filter_that_is_added_while_the_guest_runs_holds(ring0: Ring0) -> None:
    ring0.command("ring0")
    script = ring0.machine.copy_in(HERE_ON_THE_HOST / "minilauncher.py", HERE)
    before = ring0.totals()
    result = ring0.machine.run(["python3", script, "tsync", f"{HERE}/ring0.img", "session"])
    assert result.text == "calling\nafter some calls: EPERM\nend 1 0\n"
    asked = "filtered" if ring0.has_option("CONFIG_DEBUG_INFO_BTF") else "launcher_calls"
    counted = since(before, ring0.totals())
    assert [name for name in ("filtered", "launcher_calls") if counted[name]] == [asked]


def test_cookies_of_forks(ring0: Ring0) -> None:
    ring0.command("ring0")
    script = ring0.machine.copy_in(HERE_ON_THE_HOST / "minilauncher.py", HERE)
    result = ring0.machine.run(["python3", script, "cookies", f"{HERE}/ring0.img", "fork", "1"])
    assert sorted(result.text.splitlines()) == sorted(
        ["in-the-parent ESRCH", "changed ESRCH", "again ESRCH", "wrong: 0", "end 1 0"]
    )
    assert ring0.totals()["unclaimed"] == 0


def test_copies_that_nobody_claims_are_forgotten(ring0: Ring0) -> None:
    ring0.command("ring0")
    script = ring0.machine.copy_in(HERE_ON_THE_HOST / "minilauncher.py", HERE)
    result = ring0.machine.run(["python3", script, "no-claim", f"{HERE}/ring0.img", "fork", "5"], timeout=120)
    assert "wrong: " in result.text and "end 1 0" in result.text
    totals = ring0.totals()
    assert (totals["guests"], totals["unclaimed"]) == (0, 0)


def test_rights_are_those_of_the_process(ring0: Ring0) -> None:
    command = " ".join(ring0.command("ring0", "who"))
    nobody = "setpriv --reuid=65534 --regid=65534 --clear-groups"
    inside = "unshare --pid --fork --mount-proc"
    result = ring0.machine.run(f"echo secret > {HERE}/shadow; chmod 600 {HERE}/shadow; {inside} {nobody} {command}")
    assert result.text == (
        "pid 1, user 65534\n/etc/shadow: EACCES\nport 81: EACCES\nsetuid: EPERM\n"
    )
    root = ring0.machine.run(command).text
    assert "/etc/shadow: ok\nport 81: ok\nsetuid: ok\n" in root
    # Capabilities alone, without a change of user.
    bounded = ring0.machine.run(f"setpriv --bounding-set=-net_bind_service --inh-caps=-all {command}").text
    assert "port 81: EACCES\n" in bounded and "/etc/shadow: ok\n" in bounded


def test_what_a_guest_executes_has_the_rights_of_the_guest(ring0: Ring0) -> None:
    # A set-user-ID program gains nothing under no_new_privs, also when a guest executes it.
    ring0.machine.run(f"cp /usr/bin/id {HERE}/id; chmod 4755 {HERE}/id", check=True)
    nobody = "setpriv --reuid=65534 --regid=65534 --clear-groups"
    command = " ".join(ring0.command("ring0", "exec", f"{HERE}/id"))
    assert "euid=0(root)" in ring0.machine.run(f"{nobody} {command}").text
    assert "euid=0" not in ring0.machine.run(f"{nobody} --no-new-privs {command}").text


def test_the_limit_of_the_address_space_holds(ring0: Ring0) -> None:
    command = " ".join(ring0.command("ring0", "touch", "1"))
    # 8 GiB of address space are reserved: less is a clear refusal.
    limited = ring0.machine.run(f"ulimit -v 4000000; exec {command}")
    assert limited.status == 71 and "out of memory" in limited.text
