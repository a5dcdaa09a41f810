# SPDX-License-Identifier: GPL-2.0-only
"""What can be seen of guests from outside: /proc/wasm, tracepoints, the kernel's log, sysfs."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path

from ring0 import HERE, ROOT, Ring0

from pywasmjit import __version__
from pywasmjit.errors import HostUnavailableError

AS_NOBODY = "setpriv --reuid=65534 --regid=65534 --clear-groups"
TRACING = "/sys/kernel/tracing"


def difference(ring0: Ring0, before: dict[str, int]) -> dict[str, int]:
    return {name: value - before[name] for name, value in ring0.totals().items()}


def test_the_module_tells_its_versions_and_parameters(ring0: Ring0) -> None:
    assert ring0.machine.run("cat /sys/module/wasm/version", check=True).text == f"{__version__}\n"
    assert ring0.machine.run("cat /proc/wasm/totals", check=True).text.startswith(f"version {__version__}\n")
    assert ring0.totals()["interface"] == 1
    assert ring0.machine.run("cat /sys/module/wasm/parameters/interface", check=True).text == "1\n"
    parameters = ring0.machine.run("ls /sys/module/wasm/parameters", check=True).text.split()
    described = ring0.machine.run(f"modinfo -F parm {ring0.module}", check=True).text
    assert {line.partition(":")[0] for line in described.splitlines()} == set(parameters)
    assert all(len(line.partition(":")[2]) > 10 for line in described.splitlines())


def test_a_launcher_of_another_version_names_both(ring0: Ring0, tmp_path: Path) -> None:
    other = tmp_path / "other"
    for name in ("Makefile", "kmod", "pywasmjit/__init__.py", "build/launcher"):
        (other / name).parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["cp", "-a", ROOT / name, other / name], check=True)
    (other / "pywasmjit/__init__.py").write_text('__version__ = "9.8.7"\n')
    uapi = other / "kmod/linux/uapi.h"
    uapi.write_text(uapi.read_text().replace("#define WJ_UAPI_VERSION 1\n", "#define WJ_UAPI_VERSION 77\n"))
    # Only what knows the interface is compiled again.
    command = ["make", "-s", "launcher", "-o", "kmod/linux/uapi.h", "-W", "kmod/user/kernel.c"]
    subprocess.run(command, cwd=other, check=True, stdout=sys.stderr)
    there = ring0.machine.copy_in(other / "build/pywasmjit-launch", f"{HERE}/other")
    _, *arguments = ring0.command("ring0", "calls", "1")
    result = ring0.machine.run([there, *arguments])
    assert result.status == HostUnavailableError.exit_code
    assert f"wasm {__version__} with version 1 of /dev/wasm, this is pywasmjit 9.8.7 with version 77: " in result.text
    assert "rmmod" in result.text and ring0.totals()["loads"] == 0


def test_totals_count_what_happened(ring0: Ring0) -> None:
    before = ring0.totals()
    ring0.run("ring0", "calls", "0")
    start = difference(ring0, before)
    before = ring0.totals()
    ring0.run("ring0", "calls", "1000")
    done = difference(ring0, before)
    assert done["host_calls"] == start["host_calls"] + 1000
    assert done["system_calls"] == start["system_calls"] + 1000
    assert (done["loads"], done["guests"], done["launcher_calls"], done["traps"]) == (1, 0, 0, 0)
    assert done["functions_jitted"] > 10 and done["functions_interpreted"] == 0

    before = ring0.totals()
    ring0.run("ring0", "fork", "3")
    done = difference(ring0, before)
    assert (done["loads"], done["forks"], done["guests"], done["unclaimed"]) == (1, 3, 0, 0)

    before = ring0.totals()
    ring0.run("crash", "load")
    done = difference(ring0, before)
    assert (done["traps"], done["refused"]) == (1, 0)

    before = ring0.totals()
    ring0.machine.run("printf '\\0asm' > /tmp/ring0/no.img")
    ring0.machine.run([*ring0.command("hello")[:2], f"--image={HERE}/no.img", "--", "no"])
    assert difference(ring0, before)["refused"] == 1
    assert ring0.totals()["pool_used"] == 32 << 10


def test_processes_of_a_user_share_an_image(ring0: Ring0) -> None:
    before = ring0.totals()
    guests = [ring0.start("busyloop", "blocked")]
    guests[0].wait_for_output("blocked")
    one = ring0.totals()
    assert (one["images"], one["shared"] - before["shared"]) == (1, 0)
    assert one["pool_used"] > before["pool_used"]
    guests.append(ring0.start("busyloop", "blocked"))
    guests[1].wait_for_output("blocked")
    two = ring0.totals()
    assert (two["images"], two["shared"] - before["shared"]) == (1, 1)
    assert two["pool_used"] == one["pool_used"]
    # The first may go: the code stays for the second.
    ring0.machine.run(f"kill -9 {guests[0].pid}", check=True)
    guests[0].wait()
    guests[0] = ring0.start("busyloop", "handle")
    guests[0].wait_for_output("handle")
    assert ring0.totals()["pool_used"] == one["pool_used"]
    # Somebody else has his own.
    guests.append(ring0.machine.popen([*AS_NOBODY.split(), *ring0.command("busyloop", "blocked")]))
    guests[2].wait_for_output("blocked")
    three = ring0.totals()
    assert three["images"] == 2
    assert three["pool_used"] == 2 * one["pool_used"] - before["pool_used"]
    for guest in guests:
        ring0.machine.run(f"kill -9 {guest.pid}", check=True)
        guest.wait()
    after = ring0.totals()
    assert (after["images"], after["pool_used"]) == (0, before["pool_used"])


def test_each_guest_has_a_line(ring0: Ring0) -> None:
    mine = ring0.start("busyloop", "blocked")
    nobodys = ring0.machine.popen([*AS_NOBODY.split(), *ring0.command("busyloop", "loop")])
    mine.wait_for_output("blocked")
    nobodys.wait_for_output("loop")
    guests = ring0.guests()
    assert set(guests) == {mine.pid, nobodys.pid}
    assert guests[mine.pid]["uid"] == "0" and guests[nobodys.pid]["uid"] == "65534"
    assert guests[mine.pid]["image"] == f"{HERE}/busyloop.wasm"
    assert guests[mine.pid]["state"] == "running" and int(guests[mine.pid]["pages"]) == 256
    assert ring0.totals()["guests"] == 2
    spun = int(guests[nobodys.pid]["cpu_ms"])
    deadline = time.monotonic() + 20 * ring0.machine.kernel.slowness
    while int(ring0.guests()[nobodys.pid]["cpu_ms"]) <= spun:
        assert time.monotonic() < deadline
    # Others' guests are nobody's business; a name space of its own sees none of ours.
    assert set(ring0.guests(AS_NOBODY)) == {nobodys.pid}
    assert ring0.guests("unshare --pid --fork --mount-proc") == {}
    for guest in (mine, nobodys):
        ring0.machine.run(f"kill -9 {guest.pid}", check=True)
        guest.wait()
    assert ring0.guests() == {} and ring0.totals()["guests"] == 0


def test_names_cannot_fake_lines(ring0: Ring0) -> None:
    command = ring0.command("busyloop", "blocked")
    command[command.index("--") + 1] = "a b\n1 0 running#\\"
    guest = ring0.machine.popen(command)
    guest.wait_for_output("blocked")
    assert ring0.guests()[guest.pid]["image"] == r"a\040b\0121\0400\040running\043\134"
    ring0.machine.run(f"kill -9 {guest.pid}", check=True)
    guest.wait()


def test_a_trap_is_one_line_in_the_log(ring0: Ring0) -> None:
    ring0.machine.run("dmesg -C")
    ring0.run("crash", "load")
    log = ring0.machine.run("dmesg").text
    assert len(re.findall(r"wasm: .*", log)) == 1
    assert re.search(r"wasm: crash\.wasm\[\d+\]: trap: out of bounds memory access in function \d+ \+ 0x", log)
    # And few lines even where there are many traps.
    loop = " ".join(ring0.command("crash", "unreachable"))
    ring0.machine.run(f"for i in $(seq 13); do {loop}; done >/dev/null 2>&1", timeout=120)
    traps = ring0.machine.run("dmesg | grep -c 'trap: unreachable'").text
    assert 1 <= int(traps) < 13


def test_tracepoints(ring0: Ring0) -> None:
    run = ring0.machine.run
    run(f"mountpoint -q {TRACING} || mount -t tracefs t {TRACING}; echo > {TRACING}/trace", check=True)
    run(f"echo 1 > {TRACING}/events/wasm/enable", check=True)
    ring0.run("ring0", "fork", "1")
    ring0.run("crash", "divide")
    run(f"echo 0 > {TRACING}/events/wasm/enable", check=True)
    trace = run(f"cat {TRACING}/trace; echo > {TRACING}/trace", check=True).text
    for event in (
        rf"wasm_load: image={HERE}/ring0\.wasm result=0 functions=\d+ code_bytes=\d+",
        r"wasm_host_enter: name=fork",
        r"wasm_fork: child=\d+",
        r"wasm_host_exit: name=__syscall_wait4 result=\d+",
        r"wasm_exit: status=0 signal=0",
        r'wasm_trap: trap=3 text="integer divide by zero" function=\d+ offset=0x',
        r"wasm_exit: status=0 signal=8",
    ):
        assert re.search(event, trace), f"{event} in\n{trace}"
    # Somebody who does not look costs nothing, and sees nothing.
    ring0.run("hello")
    assert "wasm_" not in run(f"cat {TRACING}/trace").text


def test_tracers(ring0: Ring0) -> None:
    """Calls and returns are recorded, and backtraces made: also while a task is on a guest's stacks."""
    for tracer in ("CONFIG_STACK_TRACER", "CONFIG_FUNCTION_GRAPH_TRACER"):
        ring0.need(tracer)
    run = ring0.machine.run
    run(f"mountpoint -q {TRACING} || mount -t tracefs t {TRACING}; echo > {TRACING}/trace", check=True)
    # The tracer expects functions to return in the reverse order of their calls. Ours do not.
    assert run(f"grep -c '\\[wasm\\]' {TRACING}/available_filter_functions").text == "0\n"
    switches = ["options/stacktrace", "options/userstacktrace", "events/wasm/enable", "events/exceptions/enable"]
    run(f"echo '*ioctl* vfs_* schedule* handle_mm_fault' > {TRACING}/set_ftrace_filter", check=True)
    stack_tracer = "/proc/sys/kernel/stack_tracer_enabled"
    try:
        for switch in switches:
            run(f"echo 1 > {TRACING}/{switch}", check=True)
        run(f"echo 1 > {stack_tracer}; echo function_graph > {TRACING}/current_tracer", check=True)
        assert ring0.run("ring0", "fork", "5", timeout=120).text == "wrong: 0\n"
        assert ring0.run("forkhandler", timeout=120).text == ring0.native("forkhandler", timeout=120).text
        run(f"echo 0 > {TRACING}/tracing_on", check=True)
        trace = run(f"cat {TRACING}/trace", timeout=120, check=True).text
    finally:
        run(f"echo nop > {TRACING}/current_tracer; echo 0 > {stack_tracer}; echo > {TRACING}/set_ftrace_filter")
        for switch in switches:
            run(f"echo 0 > {TRACING}/{switch}")
        run(f"echo > {TRACING}/trace; echo 1 > {TRACING}/tracing_on")
    assert re.search(r"\bvfs_\w+\(\)", trace) and "<stack trace>" in trace and "wasm_host_enter" in trace
