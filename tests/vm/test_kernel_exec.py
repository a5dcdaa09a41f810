# SPDX-License-Identifier: GPL-2.0-only
"""execve of wasm modules and images: they run like any program, wherever any program would."""

from __future__ import annotations

import pytest
from ring0 import HERE, LAUNCHER, PYWASMJIT, Ring0

from pywasmjit.vm.machine import Result

LAUNCHER_PARAMETER = "/sys/module/wasm/parameters/launcher"

# In a directory with nothing but the image and the device, as nobody: PATH ARGV0 ARG...
IN_A_CHROOT = f"""
import os, shutil, stat, sys
os.makedirs("{HERE}/root/dev", exist_ok=True)
shutil.copy(sys.argv[1], "{HERE}/root/program")
os.chmod("{HERE}/root/program", 0o711)
if not os.path.exists("{HERE}/root/dev/wasm"):
    os.mknod("{HERE}/root/dev/wasm", stat.S_IFCHR | 0o666, os.stat("/dev/wasm").st_rdev)
    os.chmod("{HERE}/root/dev/wasm", 0o666)
os.chroot("{HERE}/root")
os.chdir("/")
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
os.execve("/program", sys.argv[2:], {{"WJ_FROM": "chroot"}})
"""


@pytest.fixture
def files(ring0: Ring0) -> Ring0:
    """Modules and images of two guests, executable."""
    for guest in ("startup", "ring0"):
        ring0.command(guest)
        ring0.machine.run(f"chmod 755 {HERE}/{guest}.wasm {HERE}/{guest}.img", check=True)
    return ring0


def served(ring0: Ring0, command: str | list[str], **more: float) -> tuple[Result, int]:
    """A command's result, and how many guests it loaded."""
    before = ring0.totals()["loads"]
    result = ring0.machine.run(command, **more)
    return result, ring0.totals()["loads"] - before


@pytest.mark.parametrize("kind", ["img", "wasm"])
def test_from_a_shell(files: Ring0, kind: str) -> None:
    native = files.native("startup", "exit", "3", "a b", "")
    command = f"cd {HERE}; WJ_A=1 WJ_B='2 3' ./startup.{kind} exit 3 'a b' ''"
    result, loads = served(files, command, timeout=120)
    # The native one was run without these two.
    text = result.text.replace("environment: WJ_A=1\nenvironment: WJ_B=2 3\n", "")
    assert text != result.text
    assert (text, result.status, loads) == (native.text, 3, 1)


def test_from_a_guest(files: Ring0) -> None:
    command = files.command("ring0", "exec", f"{HERE}/startup.img", "return", "5")
    result, loads = served(files, command)
    assert (result.status, loads) == (5, 2)
    assert "argument 2: 5\n" in result.text


def test_without_the_right(files: Ring0) -> None:
    files.machine.run(f"chmod 644 {HERE}/startup.img")
    result, loads = served(files, f"{HERE}/startup.img")
    assert (result.status, loads) == (126, 0)
    assert "Permission denied" in result.text
    # x without r is enough for an image.
    files.machine.run(f"chmod 711 {HERE}/startup.img")
    result, loads = served(
        files, f"setpriv --reuid=65534 --regid=65534 --clear-groups {HERE}/startup.img exit 4"
    )
    assert (result.status, loads) == (4, 1)


def test_after_chroot_and_setuid(files: Ring0) -> None:
    result, loads = served(files, ["python3", "-c", IN_A_CHROOT, f"{HERE}/startup.img", "name", "exit", "6"])
    assert (result.status, loads) == (6, 1), result.text
    assert "environment: WJ_FROM=chroot\n" in result.text
    # A guest that has gone there executes itself: device, launcher and image are what it had.
    files.machine.run(f"rm {HERE}/root/dev/wasm")
    script = (
        "import os, sys\nos.chroot(sys.argv[1])\nos.chdir('/')\nos.setgid(65534)\nos.setuid(65534)\n"
        "os.execve('/program', ['x'], {})"
    )
    result = files.machine.run(["python3", "-c", script, f"{HERE}/root"])
    assert result.status == 69 and "/dev/wasm cannot be opened" in result.text


def test_what_is_no_program(files: Ring0) -> None:
    run = files.machine.run
    run(f"printf '\\0asm\\2\\0\\0\\0' > {HERE}/version; printf '\\0asm\\1\\0\\0\\0xyz' > {HERE}/rest; "
        f"head -c 3000 {HERE}/startup.img > {HERE}/cut; printf '\\0asm' > {HERE}/short; "
        f"chmod 755 {HERE}/version {HERE}/rest {HERE}/cut {HERE}/short", check=True)
    try_it = "import os, sys\ntry:\n os.execv(sys.argv[1], ['x'])\nexcept OSError as error:\n print(error.errno)"
    for name in ("version", "short"):
        assert run(["python3", "-c", try_it, f"{HERE}/{name}"]).text == "8\n"  # ENOEXEC
    assert run(f"{HERE}/rest", timeout=120).status == 65
    cut = run(f"{HERE}/cut")
    assert cut.status == 65 and "the image was rejected" in cut.text


def test_scripts(files: Ring0) -> None:
    run = files.machine.run
    # The interpreter of a script is a guest.
    run(f"printf '#!{HERE}/startup.img exit\\n' > {HERE}/script; chmod 755 {HERE}/script", check=True)
    result, loads = served(files, f"{HERE}/script more")
    assert loads == 1
    assert f"argument 1: exit\nargument 2: {HERE}/script\nargument 3: more\n" in result.text
    # A guest with a line of its own.
    run(f"(echo '#!{PYWASMJIT} exec'; cat {HERE}/startup.img) > {HERE}/with_line; chmod 755 {HERE}/with_line", check=True)
    result, loads = served(files, f"{HERE}/with_line exit 7", timeout=120)
    assert (result.status, loads) == (7, 1), result.text
    # Scripts of scripts end where the kernel says.
    run(f"for i in 1 2 3 4 5 6; do printf '#!{HERE}/s%d\\n' $((i + 1)) > {HERE}/s$i; done; "
        f"cp {HERE}/startup.img {HERE}/s7; chmod 755 {HERE}/s?", check=True)
    try_it = "import os, sys\ntry:\n os.execv(sys.argv[1], ['x'])\nexcept OSError as error:\n print(error.errno)"
    assert run(["python3", "-c", try_it, f"{HERE}/s1"]).text == "40\n"  # ELOOP
    result, loads = served(files, f"{HERE}/s5 exit")
    assert loads == 1 and f"argument 1: {HERE}/s6\n" in result.text


def test_the_launcher_is_chosen_by_a_parameter(files: Ring0) -> None:
    run = files.machine.run
    assert run(f"cat {LAUNCHER_PARAMETER}").text == f"{LAUNCHER}\n"
    assert run(f"echo /no/such > {LAUNCHER_PARAMETER}").status != 0
    assert run(f"cat {LAUNCHER_PARAMETER}").text == f"{LAUNCHER}\n"
    # Replaced under its name: the one that was opened stays, until it is named again.
    run(f"cp {LAUNCHER} {HERE}/other; echo {HERE}/other > {LAUNCHER_PARAMETER}; rm {HERE}/other", check=True)
    assert run(f"{HERE}/startup.img exit 8").status == 8
    # A guest as launcher leads nowhere.
    run(f"echo {HERE}/startup.img > {LAUNCHER_PARAMETER}", check=True)
    assert run(f"{HERE}/startup.img exit 8").status == 126
    files.remove()
    refused = run(f"insmod {files.module} launcher=/no/such")
    assert refused.status == 1 and "Invalid parameters" in refused.text
    run(f"insmod {files.module}", check=True)
    assert "no launcher at /usr/lib/pywasmjit/pywasmjit-launch" in run("dmesg | tail -3").text
    assert run(f"{HERE}/startup.img").status == 127
    files.remove()
    files.insert()


def test_an_empty_list_of_arguments(files: Ring0) -> None:
    script = (
        "import ctypes, sys\nlibc = ctypes.CDLL(None)\n"
        "libc.execve(sys.argv[1].encode(), (ctypes.c_char_p * 1)(), (ctypes.c_char_p * 1)())"
    )
    result, loads = served(files, ["python3", "-c", script, f"{HERE}/startup.img"])
    assert (result.status, loads) == (0, 1), result.text
    assert "ends with a null: 1" in result.text
