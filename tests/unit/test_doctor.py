# SPDX-License-Identifier: GPL-2.0-only
"""doctor on made-up systems: what is missing is found, and the remedy is in the answer."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from pywasmjit import __version__, admin, cli, doctor, kbuild, kconfig, launch
from pywasmjit.doctor import MISSING, NOTE, OK, WARNING, Check
from pywasmjit.system import System

RELEASE = "6.1.0-99-amd64"
KCONFIG = kbuild.CHECKOUT / kconfig.KCONFIG
GOOD = """\
CONFIG_X86_64=y
CONFIG_MODULES=y
CONFIG_KPROBES=y
CONFIG_KALLSYMS=y
CONFIG_KALLSYMS_ALL=y
CONFIG_PREEMPT_NOTIFIERS=y
CONFIG_EPOLL=y
CONFIG_NET=y
CONFIG_INET=y
CONFIG_DEVTMPFS=y
CONFIG_DYNAMIC_FTRACE=y
CONFIG_FUNCTION_TRACER=y
CONFIG_MODULE_UNLOAD=y
CONFIG_STRICT_MODULE_RWX=y
CONFIG_VMAP_STACK=y
CONFIG_MEMCG=y
CONFIG_SECCOMP_FILTER=y
CONFIG_TMPFS_POSIX_ACL=y
CONFIG_SYSFS=y
CONFIG_SOMETHING_ELSE="of no interest"
"""


@pytest.fixture
def system(tmp_path: Path) -> System:
    """Everything is as it should be, and the module is not loaded."""
    system = System(tmp_path, RELEASE, "x86_64")
    for name, text in (
        (f"/boot/config-{RELEASE}", GOOD),
        ("/proc/modules", ""),
        ("/proc/sys/kernel/modules_disabled", "0\n"),
        ("/proc/sys/kernel/ftrace_enabled", "1\n"),
        ("/sys/module/module/parameters/sig_enforce", "N\n"),
        ("/sys/kernel/security/lockdown", "[none] integrity confidentiality\n"),
        ("/sys/kernel/btf/vmlinux", ""),
        ("/sys/devices/system/cpu/vulnerabilities/spectre_v2", "Mitigation: Retpolines\n"),
        ("/sys/devices/system/cpu/vulnerabilities/meltdown", "Not affected\n"),
        (f"/lib/modules/{RELEASE}/build/Makefile", ""),
        (f"/lib/modules/{RELEASE}/build/include/config/auto.conf", GOOD),
        (f"/lib/modules/{RELEASE}/build/include/generated/utsrelease.h", f'#define UTS_RELEASE "{RELEASE}"\n'),
    ):
        write(system, name, text)
    return system


def write(system: System, name: str, text: str) -> None:
    path = system.path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def load(system: System, version: str = __version__) -> None:
    write(system, "/sys/module/wasm/version", f"{version}\n")
    write(system, "/dev/wasm", "")
    write(system, "/sys/kernel/tracing/enabled_functions", "kernel_fpu_end (1) R\n")


def find(checks: list[Check], name: str, status: str) -> str:
    """The text of the one check of this name and status."""
    (check,) = (check for check in checks if (check.name, check.status) == (name, status))
    return f"{check.found} {check.remedy}"


def test_a_good_system_is_ready(system: System) -> None:
    checks = doctor.examine(running=system)
    assert doctor.ready(checks), checks
    assert {check.status for check in checks} == {OK, NOTE}
    assert "sudo pywasmjit insmod" in find(checks, "module", NOTE)
    load(system)
    checks = doctor.examine(running=system)
    assert {check.status for check in checks} == {OK}, checks
    assert "kernel_fpu_end" in find(checks, "ftrace hook", OK)


@pytest.mark.parametrize("need", kconfig.requirements(KCONFIG, Path("/dev/null")), ids=lambda need: need.symbol)
def test_every_requirement_is_looked_at(need: kconfig.Requirement, system: System) -> None:
    """Each symbol the other way around is found, with its help text as the remedy."""
    changed = GOOD.replace(f"{need.symbol}=y\n", "") if need.wanted else f"{GOOD}{need.symbol}=y\n"
    assert changed != GOOD
    write(system, f"/boot/config-{RELEASE}", changed)
    checks = doctor.examine(running=system)
    text = find(checks, "configuration", MISSING if need.required else WARNING)
    assert need.symbol in text
    assert need.reason and need.reason in text
    assert need.remedy and need.remedy in text
    assert doctor.ready(checks) is not need.required


@pytest.mark.parametrize(
    ("name", "text", "check", "status", "expected"),
    [
        ("/sys/module/module/parameters/sig_enforce", "Y\n", "signing", MISSING, "mokutil --import /var/lib/dkms/mok.pub"),
        ("/sys/kernel/security/lockdown", "none [integrity] confidentiality", "signing", MISSING, "lockdown: integrity"),
        ("/proc/sys/kernel/modules_disabled", "1\n", "module loading", MISSING, "Reboot"),
        ("/proc/sys/kernel/ftrace_enabled", "0\n", "ftrace hook", WARNING, "sysctl kernel.ftrace_enabled=1"),
        ("/sys/devices/system/cpu/vulnerabilities/l1tf", "Vulnerable\n", "mitigations", WARNING, "l1tf"),
        (
            f"/lib/modules/{RELEASE}/build/include/generated/utsrelease.h", '#define UTS_RELEASE "6.1.0-98-amd64"\n',
            "headers", MISSING, f"apt-get install linux-headers-{RELEASE}",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) and len(value) < 20 else "",
)  # fmt: skip
def test_what_is_wrong_is_found(
    name: str, text: str, check: str, status: str, expected: str, system: System
) -> None:
    write(system, name, text)
    checks = doctor.examine(running=system)
    assert expected in find(checks, check, status)
    assert doctor.ready(checks) is (status != MISSING)


@pytest.mark.parametrize(
    ("name", "check", "status", "expected"),
    [
        (f"/boot/config-{RELEASE}", "configuration", WARNING, "--kernel DIR"),
        (f"/lib/modules/{RELEASE}/build/Makefile", "headers", MISSING, f"apt-get install linux-headers-{RELEASE}"),
        ("/sys/kernel/btf/vmlinux", "BTF", NOTE, "no type information"),
    ],
)
def test_what_is_not_there_is_found(name: str, check: str, status: str, expected: str, system: System) -> None:
    system.path(name).unlink()
    assert expected in find(doctor.examine(running=system), check, status)


def test_another_version_of_the_module(system: System) -> None:
    load(system, "0.0.9")
    text = find(doctor.examine(running=system), "module", MISSING)
    assert "0.0.9" in text and __version__ in text


def test_the_hook_is_not_there(system: System) -> None:
    load(system)
    write(system, "/sys/kernel/tracing/enabled_functions", "do_exit (1)\n")
    assert "refused" in find(doctor.examine(running=system), "ftrace hook", WARNING)


def test_no_device(system: System) -> None:
    load(system)
    system.device.unlink()
    assert "devtmpfs" in find(doctor.examine(running=system), "device", MISSING)


def test_another_processor(system: System) -> None:
    checks = doctor.examine(running=replace(system, machine="aarch64"))
    assert "aarch64" in find(checks, "processor", MISSING)


def test_no_compiler(system: System, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    checks = doctor.examine(running=system)
    assert "apt-get install make" in find(checks, "make", MISSING)
    assert "apt-get install gcc" in find(checks, "compiler", MISSING)


def test_no_launcher(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{'PYWASMJIT'}_LAUNCHER", "/nowhere")
    assert "/nowhere" in find(doctor.examine(running=system), "launcher", MISSING)


def test_another_kernel(system: System) -> None:
    """Of headers only what can be known of them."""
    checks = doctor.examine(system.headers, system)
    assert {check.name for check in checks} == {"configuration", "headers", "compiler"}
    assert doctor.ready(checks)
    assert not doctor.ready(doctor.examine(system.path("/nowhere"), system))


def test_exit_code_and_json(system: System, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["doctor", "--kernel", str(system.headers), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["ready"] is True
    assert {"name", "status", "found", "remedy"} == document["checks"][0].keys()
    assert cli.main(["doctor", "--kernel", str(system.path("/nowhere"))]) == 69
    out, err = capsys.readouterr()
    assert "apt-get install linux-headers" in " ".join(out.split())
    assert err == ""


def test_commands_are_light() -> None:
    """Administrators' commands do not import the VM harness."""
    assert set(admin.COMMANDS) <= cli.LIGHT


def test_a_device_that_one_may_not_open(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    load(system)
    monkeypatch.setattr("os.access", lambda *_: False)
    assert launch.access_remedy(system.device) in find(doctor.examine(running=system), "device", MISSING)
