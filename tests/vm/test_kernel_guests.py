# SPDX-License-Identifier: GPL-2.0-only
"""Guests in ring 0: they do what they do in user space, and the kernel is unhurt by it."""

from __future__ import annotations

import re
import subprocess
import time
from pathlib import Path

import pytest
from ring0 import HERE, LAUNCHER, Ring0

from pywasmjit import launch
from pywasmjit.vm.machine import Background
from tests.verify.assemble import FUNC, MEMORY, Body, Image, export_entry, func_type, limits


def test_hello(ring0: Ring0) -> None:
    result = ring0.run("hello", "one", "two words")
    assert result.text == "hello, world\nargument 1: one\nargument 2: two words\n"
    assert result.status == 0


def test_the_guest_is_an_ordinary_process(ring0: Ring0) -> None:
    guest = ring0.start("busyloop", "blocked")
    guest.wait_for_output("blocked")
    status = ring0.machine.run(f"cat /proc/{guest.pid}/status", check=True).text
    assert re.search(r"^Name:\s+pywasmjit-launc$", status, re.MULTILINE)
    # The reservation of linear memory, and what the guest uses of it.
    size = re.search(r"^VmSize:\s+(\d+) kB", status, re.MULTILINE)
    resident = re.search(r"^VmRSS:\s+(\d+) kB", status, re.MULTILINE)
    assert size and int(size[1]) > 8 << 20
    assert resident and int(resident[1]) < 64 << 10
    ring0.machine.run(f"kill -9 {guest.pid}", check=True)
    assert guest.wait() == 128 + 9


def test_counters_say_that_it_ran_in_the_kernel(ring0: Ring0) -> None:
    command = ring0.command("hello", options=(f"--stats={HERE}/stats",))
    ring0.machine.run(f"rm -f {HERE}/stats")
    ring0.machine.run(command, check=True)
    text = ring0.machine.run(f"cat {HERE}/stats", check=True).text
    assert '"host": "kernel", "engine": "jit"' in text
    assert '"functions_interpreted": 0' in text
    jitted = re.search(r'"functions_jitted": (\d+)', text)
    assert jitted and int(jitted[1]) > 10
    nanoseconds = re.search(r'"jit_ns": (\d+)', text)
    assert nanoseconds and 0 < int(nanoseconds[1]) < 60e9


def test_trace(ring0: Ring0) -> None:
    """Host calls in strace's notation, those of a fork's child, too."""
    text = ring0.machine.run(ring0.command("forkwait", options=("--trace",)), check=True).text
    assert re.search(r"^\[pid \d+\] fork\(\) = [1-9]", text, re.MULTILINE)
    assert re.search(r"^\[pid \d+\] wait4\(\d+, \[\{WIFEXITED\(s\) && WEXITSTATUS\(s\) == 7\}\], 0, NULL\) = \d+$",
                     text, re.MULTILINE)
    exits = re.findall(r"^\[pid (\d+)\] proc_exit\(", text, re.MULTILINE)
    assert len(set(exits)) > 5


def test_entry_of_a_wrong_type(ring0: Ring0, tmp_path: Path) -> None:
    text = '(module (memory 1) (func (export "_start") (param i32)))'
    wasm = subprocess.run(
        ["wat2wasm", "--output=/dev/stdout", "-"], input=text.encode(), capture_output=True, check=True
    ).stdout
    image = tmp_path / "entry.img"
    image.write_bytes(launch.lower(wasm, lambda line: None))
    there = ring0.machine.copy_in(image, HERE)
    result = ring0.machine.run([LAUNCHER, "--host=kernel", f"--image={there}", "--", "entry"])
    assert result.status == 65
    assert "the module's _start has a wrong type" in result.text


@pytest.mark.parametrize(
    ("which", "signal", "message"),
    [
        ("unreachable", 4, "unreachable"),
        ("divide", 8, "integer divide by zero"),
        ("overflow", 8, "integer overflow"),
        ("load", 11, "out of bounds memory access"),
        ("store", 11, "out of bounds memory access"),
        ("table", 11, "undefined element"),
        ("stack", 11, None),
    ],
)
def test_traps_end_the_process(ring0: Ring0, which: str, signal: int, message: str | None) -> None:
    result = ring0.run("crash", which)
    assert result.status == 128 + signal, result.text
    assert f"trap: {message}" in result.text if message else "trap: " in result.text
    assert "#0 " in result.text


@pytest.mark.parametrize(
    "guest",
    ["descriptors", "events", "exec", "files", "jumps", "limits", "mapping", "names", "signals", "sigjumps", "sockets",
     "startup", "timefmt", "timers", "forkwait", "forkhandler"],
)
def test_transcripts_are_those_of_native_programs(ring0: Ring0, guest: str) -> None:
    result = ring0.run(guest)
    native = ring0.native(guest)
    assert (result.text, result.status) == (native.text, native.status)


def kill_9(ring0: Ring0, guest: Background, limit: int = 500) -> None:
    """It dies soon: measured inside the machine, from kill to the end of the process, in milliseconds."""
    script = (
        "import os, signal, sys, time\n"
        "pid = int(sys.argv[1]); fd = os.pidfd_open(pid)\n"
        "import select\n"
        "begin = time.monotonic(); os.kill(pid, signal.SIGKILL)\n"
        "assert select.select([fd], [], [], 30)[0]\n"
        "print(int(1000 * (time.monotonic() - begin)))\n"
    )
    taken = ring0.machine.run(["python3", "-c", script, str(guest.pid)], check=True)
    assert guest.wait() == 128 + 9
    assert int(taken.text) < limit * ring0.machine.kernel.slowness, taken.text


@pytest.mark.parametrize("how", ["loop", "calls", "memory", "blocked"])
def test_kill_9_at_any_time(ring0: Ring0, how: str) -> None:
    guest = ring0.start("busyloop", how)
    guest.wait_for_output(how)
    kill_9(ring0, guest)


def test_kill_9_where_there_is_no_loop(ring0: Ring0, tmp_path: Path) -> None:
    """A long function that calls nothing, called from as many places: minutes, in which the verifier asks for no poll."""
    adds = Body("I32_ADD r0 r0 r1\n" * 200_000 + "RET")
    calls = Body("I32_CONST r0 0\n" + "I32_CONST r1 1\nCALL 0\n" * 100_000 + "RET", leaf=False)
    image = Image(
        types=[func_type("ii", "i"), func_type("")],
        functions=[(0, adds), (1, calls)],
        memories=[limits(1)],
        exports=[export_entry("_start", FUNC, 1), export_entry("memory", MEMORY, 0)],
    )
    (tmp_path / "straight.img").write_bytes(image.build())
    there = ring0.machine.copy_in(tmp_path / "straight.img", HERE)
    guest = ring0.machine.popen([LAUNCHER, "--host=kernel", f"--image={there}", "--", "straight"])
    deadline = time.monotonic() + 60 * ring0.machine.kernel.slowness
    while not any(int(row["cpu_ms"]) > 200 for row in ring0.guests().values()):
        assert time.monotonic() < deadline and guest.poll() is None
        time.sleep(0.1)
    # Its megabytes are freed, too.
    kill_9(ring0, guest, 5000)


def test_handlers_run_in_a_guest_that_never_calls(ring0: Ring0) -> None:
    guest = ring0.start("busyloop", "handle")
    guest.wait_for_output("handle")
    for _ in range(2):
        # While one is pending another would be none.
        taken = f"until grep -q '^ShdPnd:[[:space:]]*0*$' /proc/{guest.pid}/status; do sleep 0.05; done"
        ring0.machine.run(f"kill -TERM {guest.pid}; {taken}", timeout=20, check=True)
    assert guest.poll() is None
    ring0.machine.run(f"kill -TERM {guest.pid}", check=True)
    assert guest.wait() == 0
    assert b"terminated 3 times" in guest.output()


def test_stop_and_continue(ring0: Ring0) -> None:
    guest = ring0.start("busyloop", "loop")
    guest.wait_for_output("loop")
    ring0.machine.run(f"kill -STOP {guest.pid}", check=True)
    state = f"until grep -q '^State:.*{{}}' /proc/{guest.pid}/status; do sleep 0.05; done"
    ring0.machine.run(state.format("stopped"), timeout=10, check=True)
    ring0.machine.run(f"kill -CONT {guest.pid}", check=True)
    ring0.machine.run(state.format("running"), timeout=10, check=True)
    ring0.machine.run(f"kill -TERM {guest.pid}", check=True)
    assert guest.wait() == 128 + 15


def test_a_peer_sees_the_end_of_file_of_a_guest_that_stays_in_the_kernel(ring0: Ring0) -> None:
    fifo = f"{HERE}/fifo"
    ring0.machine.run(f"rm -f {fifo}; mkfifo {fifo}", check=True)
    guest = ring0.start("ring0", "eof", fifo)
    assert ring0.machine.run(f"timeout 5 cat {fifo}").text == "data\n"
    assert ring0.machine.run(f"timeout 5 cat {fifo} </dev/null & kill -9 {guest.pid}; wait").status == 0
    guest.wait()


def test_the_limit_of_cpu_time_holds(ring0: Ring0) -> None:
    command = " ".join(ring0.command("busyloop", "loop"))
    begin = time.monotonic()
    result = ring0.machine.run(f"ulimit -S -t 1; exec {command}", timeout=30)
    assert result.status == 128 + 24, result.text  # SIGXCPU
    assert time.monotonic() - begin < 20 * ring0.machine.kernel.slowness


def test_the_control_descriptor_is_out_of_reach(ring0: Ring0) -> None:
    command = " ".join(ring0.command("ring0", "control"))
    result = ring0.machine.run(f"ulimit -n 1024; exec {command}", timeout=60)
    assert result.status == 0, result.text
    assert result.text == "closed 0, controlled 0, replaced 1017\ntop: EBADF EBADF EBADF\nand alive\n"


def test_a_guest_cannot_nest_guests(ring0: Ring0) -> None:
    assert ring0.run("ring0", "nest").text == "open: fine\nrun: refused\n"


def test_floats_survive_everybody_else(ring0: Ring0) -> None:
    noise = ring0.machine.popen(
        ["python3", "-c", "x = 0.1\nwhile True:\n    x = x * 1.0000001 + 0.3\n    x = x % 7.5"]
    )
    flood = ring0.machine.popen("while true; do sha256sum /bin/busybox; done > /dev/null")
    guests = [ring0.start("ring0", "floats", "3000") for _ in range(3)]
    for guest in guests:
        assert guest.wait(120) == 0
        assert guest.output() == b"wrong sums: 0\n"
    noise.terminate()
    ring0.machine.run(f"kill -9 -{flood.pid} {flood.pid}; pkill -9 -x sha256sum; true")


def test_page_faults(ring0: Ring0) -> None:
    assert ring0.run("ring0", "faults", "20").text == "not zero: 0\n"


def test_many_system_calls(ring0: Ring0) -> None:
    assert ring0.run("ring0", "calls", "200000").text == "wrong: 0\n"


def test_many_forks(ring0: Ring0) -> None:
    assert ring0.run("ring0", "fork", "200").text == "wrong: 0\n"


def test_fork_where_the_child_could_not_go_on_fails(ring0: Ring0) -> None:
    text = ring0.run("ring0", "indirect").text
    assert text in ("fork: EAGAIN\nand alive\n", "fork: ok\nchild: exited 3\nand alive\n")


def test_a_child_outlives_its_parent(ring0: Ring0) -> None:
    assert ring0.machine.run(" ".join(ring0.command("ring0", "orphan")) + " >/dev/null 2>&1").status == 0
    found = ring0.machine.run("pgrep -x pywasmjit-launc", check=True)
    ring0.machine.run(f"kill -9 {found.text.strip()}", check=True)
    ring0.machine.run("while pgrep -x pywasmjit-launc; do sleep 0.05; done", timeout=10, check=True)


def test_the_module_cannot_be_removed_under_a_guest(ring0: Ring0) -> None:
    guest = ring0.start("busyloop", "loop")
    guest.wait_for_output("loop")
    assert "in use" in ring0.machine.run("rmmod wasm").text
    ring0.machine.run(f"kill -9 {guest.pid}", check=True)
    guest.wait()


def test_unprivileged_users_may_run_guests(ring0: Ring0) -> None:
    command = " ".join(ring0.command("hello"))
    result = ring0.machine.run(f"setpriv --reuid=65534 --regid=65534 --clear-groups {command}")
    assert (result.status, result.text) == (0, "hello, world\n")


@pytest.mark.parametrize(
    ("at", "message"),
    [(0, "the image was rejected"), (9, "compile it again")],
)
def test_bad_images_are_refused(ring0: Ring0, at: int, message: str) -> None:
    ring0.command("hello")
    script = (
        f"d = bytearray(open('{HERE}/hello.img', 'rb').read()); d[{at}] ^= 0x55\n"
        f"open('{HERE}/bad.img', 'wb').write(d)"
    )
    ring0.machine.run(["python3", "-c", script], check=True)
    result = ring0.machine.run([LAUNCHER, "--host=kernel", f"--image={HERE}/bad.img", "--", "bad"])
    assert result.status == 65
    assert message in result.text


def test_without_the_module_it_says_so(ring0: Ring0) -> None:
    ring0.remove()
    result = ring0.run("hello")
    ring0.insert()
    assert result.status == 69
    assert "/dev/wasm cannot be opened" in result.text
