# SPDX-License-Identifier: GPL-2.0-only
"""The harness itself: commands, files, ports, and what happens when the guest dies."""

from __future__ import annotations

import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from pywasmjit.vm import machine as machine_module
from pywasmjit.vm import qemu
from pywasmjit.vm.errors import BootError, CommandError, CommandTimeout, MachineDied, VmError
from pywasmjit.vm.machine import CHECKOUT, Machine
from pywasmjit.vm.packages import Kernel
from pywasmjit.vm.pool import MachinePool


def test_the_wanted_kernel_runs(machine: Machine, kernel: Kernel) -> None:
    assert machine.run("uname -r").text == f"{kernel.release}\n"
    assert 0 < machine.boot_seconds < machine_module.BOOT_TIMEOUT


@pytest.mark.parametrize(
    ("command", "status", "output"),
    [
        ("true", 0, b""),
        ("exit 3", 3, b""),
        ("kill -9 $$", 137, b""),
        ("printf 'no newline'", 0, b"no newline"),
        ("echo out; echo err >&2", 0, b"out\nerr\n"),
        ("cat", 0, b""),
        ("test -t 1", 1, b""),
        ("echo 'a  b' \"$HOME\"\necho '$HOME'\n", 0, b"a  b /root\n$HOME\n"),
        (["printf", "%s|", "a  b", "$HOME", "'"], 0, b"a  b|$HOME|'|"),
        ("printf '\\036\\000\\r\\n\\004\\003'", 0, b"\x1e\0\r\n\x04\x03"),
    ],
)
def test_status_and_output_are_exact(
    machine: Machine, command: str | list[str], status: int, output: bytes
) -> None:
    result = machine.run(command)
    assert (result.status, result.output) == (status, output)


def test_every_byte_passes(machine: Machine, tmp_path: Path) -> None:
    source = tmp_path / "bytes"
    source.write_bytes(bytes(range(256)) * 3000)
    path = machine.copy_in(source)
    assert machine.run(f"cat {path}").output == source.read_bytes()


def test_a_slow_host_loses_nothing(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    # QEMU drops a console's output when its socket is full (about 200 KB): so it is no console.
    fill = qemu.Channel._fill

    def slowly(channel: qemu.Channel, deadline: float) -> None:
        time.sleep(0.05)
        fill(channel, deadline)

    monkeypatch.setattr(qemu.Channel, "_fill", slowly)
    lines = machine.run("seq 300000", timeout=120).output.splitlines()
    assert lines == [b"%d" % number for number in range(1, 300_001)]


def test_a_syntax_error_is_just_a_status(machine: Machine) -> None:
    result = machine.run("echo 'unfinished")
    assert result.status == 2
    assert "Unterminated quoted string" in result.text
    assert machine.run("echo alive").text == "alive\n"


def test_a_long_command_arrives_whole(machine: Machine) -> None:
    word = "x" * 50_000
    assert machine.run(f"echo {word} | wc -c").text == "50001\n"


def test_environment_and_directory(machine: Machine) -> None:
    result = machine.run(["sh", "-c", 'echo "$A"; pwd'], env={"A": "it's"}, cwd="/tmp")
    assert result.text == "it's\n/tmp\n"


def test_check_raises_with_the_output(machine: Machine) -> None:
    with pytest.raises(CommandError, match=r"(?s)echo why; exit 5: status 5\nwhy"):
        machine.run("echo why; exit 5", check=True)


def test_a_timeout_kills_the_command_only(machine: Machine) -> None:
    with pytest.raises(CommandTimeout, match=r"not finished in 4 s") as caught:
        machine.run("echo so far; sleep 1000 & sleep 1000", timeout=4)
    assert caught.value.partial == b"so far\n"
    assert machine.run("pgrep -x sleep").status == 1


def test_the_project_can_be_imported(machine: Machine) -> None:
    result = machine.run("python3 -c 'import json, pywasmjit; print(pywasmjit.__path__)'")
    assert result.text == "['/project/pywasmjit']\n"


def test_background_process(machine: Machine) -> None:
    process = machine.popen("echo one; echo two >&2; sleep 1000")
    assert process.wait_for_output("two") == b"one\ntwo\n"
    assert process.poll() is None
    process = machine.popen(["sleep", "1000"])
    assert machine.run(f"cat /proc/{process.pid}/comm").text == "sleep\n"
    assert process.terminate() == 128 + 15
    assert process.poll() == 128 + 15
    machine.run("pkill -x sleep")


def test_background_process_that_ends_early(machine: Machine) -> None:
    process = machine.popen("echo sorry; exit 4")
    assert process.wait() == 4
    with pytest.raises(CommandError, match=r"ended with status 4 before it printed 'x':\nsorry"):
        process.wait_for_output("x")
    with pytest.raises(CommandError, match="ended with status 4 before it listened on port 80"):
        process.wait_for_port(80)


def test_a_server_inside_is_reachable(machine: Machine) -> None:
    server = machine.popen("cd /etc && exec python3 -u -m http.server 8000")
    server.wait_for_port(8000)
    port = machine.forward(8000)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/hostname", timeout=30) as answer:
        assert answer.read() == b"pywasmjit\n"
    assert b"GET /hostname" in server.wait_for_output("GET")
    server.terminate()


def test_directories_are_copied_in_and_out(machine: Machine, tmp_path: Path) -> None:
    source = tmp_path / "a tree"
    (source / "sub").mkdir(parents=True)
    (source / "sub" / "script").write_text("#!/bin/sh\necho copied\n")
    (source / "sub" / "script").chmod(0o755)
    path = machine.copy_in(source, "/tmp/new directory")
    assert path == "/tmp/new directory/a tree"
    assert machine.run(["/tmp/new directory/a tree/sub/script"]).text == "copied\n"
    out = tmp_path / "out"
    out.mkdir()
    assert machine.copy_out(path, out) == out / "a tree"
    assert (out / "a tree/sub/script").read_text() == "#!/bin/sh\necho copied\n"
    with pytest.raises(VmError, match="no-such-file"):
        machine.copy_out("/tmp/no-such-file", out)


def test_results_have_their_own_port(machine: Machine) -> None:
    before = len(machine.result())
    machine.run("""echo '{"ok": true}' > /dev/virtio-ports/result""", check=True)
    assert machine.result()[before:] == b'{"ok": true}\n'


def test_a_panic_is_an_exception_with_the_kernels_words(own_machine: Machine) -> None:
    with pytest.raises(MachineDied, match="Kernel panic - not syncing: sysrq") as caught:
        own_machine.run("echo before; sync; sleep 1; echo c > /proc/sysrq-trigger")
    assert caught.value.partial == b"before\n"
    assert "sysrq" in caught.value.kmsg
    assert not own_machine.alive
    with pytest.raises(MachineDied, match="not running"):
        own_machine.run("true")


def test_the_lifetime_ends_a_machine(kernel: Kernel) -> None:
    with pytest.raises(BootError, match="QEMU was ended after its lifetime of 1 s"):
        Machine(kernel, lifetime=1).start()


def test_a_machine_ends_with_its_owner(kernel: Kernel) -> None:
    """Even if that is killed and cleans nothing up."""
    script = (
        "import sys, time; from pywasmjit.vm.machine import Machine\n"
        "machine = Machine(sys.argv[1]); machine.start()\n"
        "print(machine._process().pid, flush=True); time.sleep(600)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, kernel.series], cwd=CHECKOUT, stdout=subprocess.PIPE
    ) as owner:
        assert owner.stdout
        group = int(owner.stdout.readline())
        assert subprocess.run(["pgrep", "-c", "-g", str(group)], capture_output=True, check=True).stdout == b"2\n"
        owner.kill()
    deadline = time.monotonic() + 20
    while subprocess.run(["pgrep", "-g", str(group)], capture_output=True, check=False).stdout:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_guest_that_hangs_leaves_a_backtrace(own_machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine_module, "_GRACE", 1.0)
    with pytest.raises(MachineDied, match="the guest hangs") as caught:
        # The shell itself is stopped: nothing will prompt again.
        own_machine.run("kill -STOP $(pgrep -o -x dash)", timeout=8)
    assert "NMI" in caught.value.kmsg
    assert "Call Trace" in caught.value.kmsg


def test_a_background_process_that_keeps_the_output_open(own_machine: Machine) -> None:
    with pytest.raises(CommandTimeout, match="keeps the output open"):
        own_machine.run("setsid sleep 1000 & echo started", timeout=4)
    assert own_machine.run("echo again").text == "again\n"


def test_a_pool_replaces_dead_machines(kernel: Kernel) -> None:
    with MachinePool() as pool:
        first = pool.get(kernel.series)
        assert pool.get(kernel.series) is first
        with pytest.raises(MachineDied):
            first.run("busybox poweroff -f")
        second = pool.get(kernel.series)
        assert second is not first
        assert second.run("true").status == 0
    assert not second.alive
