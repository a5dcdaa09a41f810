# SPDX-License-Identifier: GPL-2.0-only
"""The administrator's tool in a Debian 12 of its own: packages, insmod, access, errors.

One machine for all; the last tests change it for good, and remove the package.  The module and the
image of nginx.wasm are put where DKMS and an earlier run leave them: test_sysadmin_build.py does
without, which takes many minutes under emulation.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from debian_site import HOME, USER, Site, left_behind, options

from pywasmjit import __version__
from pywasmjit.vm.machine import Machine
from pywasmjit.vm.packages import Kernel

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def site(kernel: Kernel, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The package is installed, by dpkg, without a network."""
    project = options(kernel, tmp_path_factory.mktemp("site"))
    with Machine(kernel, project=project, lifetime=1500) as machine:
        site = Site(machine, kernel)
        with machine.checked():
            site.install()
            site.put_module()
            site.put_image()
            yield site


def unload(site: Site) -> None:
    site.machine.run("[ ! -d /sys/module/wasm ] || pywasmjit rmmod", check=True)


def test_missing_headers(site: Site) -> None:
    """doctor and insmod name the package; nothing is loaded, no traceback."""
    modules = f"/lib/modules/{site.kernel.release}"
    site.machine.run(f"mv {modules}/build {modules}/updates /run/", check=True)
    remedy = f"apt-get install linux-headers-{site.kernel.release}"
    doctor = site.run("pywasmjit doctor --json")
    assert doctor.status == 69
    document = json.loads(doctor.text)
    missing = [check for check in document["checks"] if check["status"] == "missing"]
    assert [check["name"] for check in missing] == ["headers"]
    assert remedy in missing[0]["remedy"]
    insmod = site.run("pywasmjit insmod")
    assert insmod.status == 69 and remedy in insmod.text and "Traceback" not in insmod.text
    site.machine.run(f"mv /run/build /run/updates {modules}/", check=True)


def test_the_line_typed(site: Site) -> None:
    """An ordinary user, at a terminal, types the README's line; a second terminal fetches the page."""
    done = site.run(f"python3 {site.dist}/typed.py 200", 400)
    assert done.status == 0, done.text
    found = json.loads(done.text)
    assert found["page"] == "from ring 0"
    assert found["access"] == f"/dev/wasm: root, user {USER}"
    # In ring 0, says the module.
    totals, guests = found["status"]["totals"], found["status"]["guests"]
    assert totals["loads"] == 1 and totals["functions_interpreted"] == 0
    assert totals["functions_jitted"] > 1000
    assert totals["launcher_calls"] == 0 and totals["host_calls"] > 100
    assert {guest["user"] for guest in guests} == {USER}
    assert {guest["image"] for guest in guests} == {"nginx.wasm"}
    assert len(guests) == 2  # master and worker
    assert f"wasm {__version__}" in found["shown"] and found["shown"].count("nginx.wasm") == 2
    # Unloading under a guest: the guests are named.
    assert "the module is in use" in found["busy"]
    for guest in guests:
        assert f"pid {guest['pid']} (user {USER}): nginx.wasm" in found["busy"]
    assert found["unloaded"] == f"wasm {__version__} unloaded"
    # Access is gone with the device.
    assert "/dev/wasm does not exist" in found["after"] and "sudo pywasmjit insmod" in found["after"]
    print({name: found[name] for name in ("load_seconds", "loaded_after", "page_after")})


def test_only_root_by_default(site: Site) -> None:
    assert site.run("pywasmjit insmod").text.endswith("/dev/wasm: root\n")
    assert site.run("stat -c '%U %a' /dev/wasm").text == "root 600\n"
    refused = site.as_user("pywasmjit exec --host=kernel nginx.wasm -v")
    assert refused.status == 77
    assert "/dev/wasm: permission denied: sudo pywasmjit insmod lets you in" in refused.text
    # auto says in one line why it does not run in the kernel.
    fallen_back = site.as_user("pywasmjit exec nginx.wasm -v")
    assert fallen_back.status == 0
    first, second = fallen_back.text.splitlines()
    assert first.startswith("pywasmjit: running in user space: /dev/wasm: permission denied: ")
    assert second.startswith("nginx version")
    needs_root = site.as_user("pywasmjit rmmod")
    assert (needs_root.status, needs_root.text) == (77, "pywasmjit: rmmod needs root: sudo pywasmjit rmmod\n")


def test_insmod_again_with_a_group(site: Site) -> None:
    """The module stays; the group gets in, and whoever is not in it does not."""
    site.run("groupadd servers; pywasmjit insmod")
    assert site.run("pywasmjit insmod --group servers").text == (
        f"wasm {__version__} is loaded already; /dev/wasm: root, group servers\n"
    )
    allowed = site.run(
        f"cd {HOME}; HOME={HOME} setpriv --reuid={USER} --regid={USER} --groups=servers "
        "pywasmjit exec --host=kernel nginx.wasm -v"
    )
    assert allowed.status == 0, allowed.text
    assert allowed.text.startswith("nginx version")
    refused = site.as_user("pywasmjit exec --host=kernel nginx.wasm -v")
    assert refused.status == 77 and "sudo adduser $USER servers" in refused.text
    wrong = site.run("pywasmjit insmod --group nobodys")
    assert wrong.status == 2 and "addgroup" in wrong.text
    unload(site)


def test_a_wasm_file_just_runs(site: Site) -> None:
    """insmod has told the module where the launcher is: execve of the file runs it."""
    site.machine.run(f"SUDO_UID=$(id -u {USER}) pywasmjit insmod; chmod 755 {HOME}/nginx.wasm", check=True)
    launcher = "/usr/lib/pywasmjit/pywasmjit/bin/pywasmjit-launch"
    assert site.run("cat /sys/module/wasm/parameters/launcher").text == f"{launcher}\n"
    ran = site.as_user("./nginx.wasm -v")
    assert (ran.status, ran.text) == (0, "nginx version: nginx/1.22.1\n")
    assert "loads 1\n" in site.run("cat /proc/wasm/totals").text
    unload(site)


def test_udev_rule(site: Site) -> None:
    """With udev the device belongs to the package's group for good, and the list stays beside it."""
    site.machine.run("/lib/systemd/systemd-udevd --daemon && udevadm control --reload", check=True)
    loaded = site.run(f"SUDO_UID=$(id -u {USER}) pywasmjit insmod")
    assert loaded.text.endswith(f"/dev/wasm: root, group wasm, user {USER}\n"), loaded.text
    assert site.run("stat -c '%U %G' /dev/wasm").text == "root wasm\n"
    listed = site.run("getfacl -cp /dev/wasm").text
    assert f"user:{USER}:rw-\ngroup::rw-\nmask::rw-\nother::---" in listed
    site.machine.run("udevadm control --exit; rm -rf /run/udev", check=True)


def test_systemd_unit(site: Site) -> None:
    """systemd has nothing to say against it."""
    unit = "/usr/lib/systemd/system/pywasmjit@nginx.service"
    checked = site.run(f"systemd-analyze verify --man=no {unit}")
    assert (checked.status, checked.text) == (0, "")


def test_another_version(site: Site) -> None:
    """The loaded module and the tool are both named: by insmod, doctor and exec."""
    init = "/usr/lib/pywasmjit/pywasmjit/__init__.py"
    site.machine.run(f"cp -p {init} /run/init && sed -i 's/{__version__}/9.9.9/' {init}", check=True)
    try:
        insmod = site.run("pywasmjit insmod")
        assert insmod.status == 69
        assert f"wasm {__version__}, this is pywasmjit 9.9.9" in insmod.text
        run = site.as_user("pywasmjit exec --host=kernel nginx.wasm -v")
        assert run.status == 69 and f"wasm {__version__}, this is pywasmjit 9.9.9" in run.text
    finally:
        site.run(f"cp -p /run/init {init}")
    unload(site)


def test_a_module_for_another_kernel(site: Site) -> None:
    """Both are named, before the kernel is asked."""
    release = site.kernel.release.encode()
    patch = (
        f"data = open('{site.dist}/wasm.ko', 'rb').read(); new = data.replace(b'vermagic={release.decode()}', "
        f"b'vermagic=9{release[1:].decode()}'); assert new != data; open('/tmp/wasm.ko', 'wb').write(new)"
    )
    site.machine.run(["python3", "-c", patch], check=True)
    refused = site.run("pywasmjit insmod --module /tmp/wasm.ko")
    assert refused.status == 69
    assert f"built for kernel 9{release[1:].decode()}, but {release.decode()} is running" in refused.text
    text = site.run("echo hello > /tmp/text.ko; pywasmjit insmod --module /tmp/text.ko")
    assert text.status == 69 and "/tmp/text.ko is not a kernel module" in text.text


def test_pool_exhausted(site: Site) -> None:
    """No room for the machine code: of the module, or of what one user may have.  Both say what to do."""
    inserted = site.run(f"SUDO_UID=$(id -u {USER}) pywasmjit insmod --module {site.dist}/small/wasm.ko max_code=100")
    assert inserted.status == 0, inserted.text
    refused = site.as_user("pywasmjit exec --host=kernel nginx.wasm -v")
    assert refused.status == 71
    assert "no executable memory left" in refused.text and "insmod --pool MIB" in refused.text
    unload(site)
    site.machine.run(f"SUDO_UID=$(id -u {USER}) pywasmjit insmod max_code=1", check=True)
    refused = site.as_user("pywasmjit exec --host=kernel nginx.wasm -v")
    assert refused.status == 71
    assert "no executable memory left for this user" in refused.text and "max_code" in refused.text
    assert "refused 1\n" in site.run("cat /proc/wasm/totals").text
    unload(site)


def test_ftrace_stays_on(site: Site) -> None:
    """Floats depend on it: it cannot be switched off under the module; and before, doctor says so."""
    site.machine.run("pywasmjit insmod", check=True)
    assert site.run("sysctl -w kernel.ftrace_enabled=0").status != 0
    hook = {c["name"]: c for c in json.loads(site.run("pywasmjit doctor --json").text)["checks"]}["ftrace hook"]
    assert hook["status"] == "ok"
    unload(site)
    site.machine.run("sysctl -w kernel.ftrace_enabled=0", check=True)
    site.machine.run("pywasmjit insmod", check=True)
    hook = {c["name"]: c for c in json.loads(site.run("pywasmjit doctor --json").text)["checks"]}["ftrace hook"]
    assert hook["status"] == "warning" and "sysctl kernel.ftrace_enabled=1" in hook["remedy"]
    unload(site)
    site.machine.run("sysctl -w kernel.ftrace_enabled=1", check=True)


def test_signatures_and_switches(site: Site) -> None:
    """What cannot be undone comes last: enforced signatures, lockdown, no more modules."""
    site.machine.run("echo Y > /sys/module/module/parameters/sig_enforce", check=True)
    refused = site.run("pywasmjit insmod")
    assert refused.status == 69
    assert "wasm.ko is not signed, and this kernel loads signed modules only" in refused.text
    for remedy in ("dkms install pywasmjit/", "mokutil --import /var/lib/dkms/mok.pub", "--key KEY.priv --certificate"):
        assert remedy in refused.text
    # Signed by somebody whom the kernel does not know.
    sign = (
        "openssl req -new -x509 -newkey rsa:2048 -nodes -days 9 -subj /CN=nobody/ -outform DER "
        f"-keyout /tmp/key -out /tmp/certificate 2>/dev/null && cp {site.dist}/wasm.ko /tmp/wasm.ko && "
        "/project/headers/lib/linux-kbuild-*/scripts/sign-file sha256 /tmp/key /tmp/certificate /tmp/wasm.ko"
    )
    site.machine.run(sign, 120, check=True)
    unknown = site.run("pywasmjit insmod --module /tmp/wasm.ko")
    assert unknown.status == 69 and "is signed with a key that the kernel does not know" in unknown.text
    checks = {c["name"]: c for c in json.loads(site.run("pywasmjit doctor --json").text)["checks"]}
    assert checks["signing"]["status"] == "missing"
    assert "mokutil --import" in checks["signing"]["remedy"]
    site.machine.run("echo 1 > /proc/sys/kernel/modules_disabled", check=True)
    refused = site.run("pywasmjit insmod")
    assert refused.status == 77 and "kernel.modules_disabled = 1" in refused.text


def test_removal_leaves_no_file(site: Site) -> None:
    site.machine.run("dpkg --purge pywasmjit", 120, check=True)
    site.run("groupdel servers")
    assert left_behind(site) == set()
    assert site.run("getent group wasm").status != 0


def test_make_install(site: Site) -> None:
    """From the sources to /usr/local, as `make install` does it, and away again."""
    script = "python3 /project/source/scripts/install.py"
    site.machine.run(f"{script} install", 120, check=True)
    assert site.run("/usr/local/bin/pywasmjit --version").text == f"pywasmjit {__version__}\n"
    assert site.run("getent group wasm").status == 0
    # Found where they were installed: the sources, and with them what the module needs.
    checks = json.loads(site.run("/usr/local/bin/pywasmjit doctor --json").text)["checks"]
    assert {check["name"]: check["status"] for check in checks}["configuration"] == "ok"
    site.machine.run(f"{script} uninstall", 120, check=True)
    assert left_behind(site) == set()
    nothing = site.run(f"{script} uninstall", 120)
    assert nothing.status == 1 and "nothing is installed below /usr/local" in nothing.text


def test_what_is_in_dist(site: Site) -> None:
    """Both packages, for this processor."""
    names = sorted(Path(name).name for name in site.run(f"ls {site.dist}/*.deb").text.split())
    assert names == [f"pywasmjit-dkms_{__version__}_all.deb", f"pywasmjit_{__version__}_amd64.deb"]
