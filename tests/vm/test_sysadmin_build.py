# SPDX-License-Identifier: GPL-2.0-only
"""As test_sysadmin.py, but nothing is prepared: the machine's own gcc builds the module, by insmod and
by DKMS, and the guest is lowered there.  Emulated, that takes many minutes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from debian_site import USER, Site, left_behind, options

from pywasmjit import __version__
from pywasmjit.vm.machine import Machine
from pywasmjit.vm.packages import Kernel

pytestmark = [pytest.mark.long, pytest.mark.timeout(5400)]


@pytest.fixture(scope="module")
def site(kernel: Kernel, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    project = options(kernel, tmp_path_factory.mktemp("site"))
    machine = Machine(kernel, project=project, smp=2, memory_mb=1536, lifetime=5400)
    with machine, machine.checked():
        yield Site(machine, kernel)


def test_everything_from_the_package(site: Site) -> None:
    """Install, the line typed, a page from ring 0, unload, uninstall: no file is left."""
    site.install()
    done = site.run(f"python3 {site.dist}/typed.py 2400", 4000)
    assert done.status == 0, done.text
    found = json.loads(done.text)
    assert found["page"] == "from ring 0"
    assert "building wasm.ko" in found["insmod"]
    assert found["status"]["totals"]["loads"] == 1
    assert found["status"]["totals"]["launcher_calls"] == 0
    assert found["status"]["totals"]["functions_interpreted"] == 0
    assert {guest["user"] for guest in found["status"]["guests"]} == {USER}
    print({name: found[name] for name in ("load_seconds", "loaded_after", "page_after")})


def test_dkms(site: Site) -> None:
    """DKMS builds, signs and installs; insmod takes that module; removal leaves nothing."""
    site.machine.run(f"dpkg -i {site.dist}/pywasmjit-dkms_*.deb", 2400, check=True)
    module = f"/lib/modules/{site.kernel.release}/updates/dkms/wasm.ko"
    assert f"version:        {__version__}" in site.run(f"modinfo {module}").text
    assert "DKMS" in site.run(f"modinfo -F signer {module}").text
    assert "loaded in" in site.run("pywasmjit insmod", 120).text
    site.machine.run("pywasmjit rmmod", check=True)
    # With signatures enforced it is the key that is not known.
    site.machine.run("echo Y > /sys/module/module/parameters/sig_enforce", check=True)
    refused = site.run("pywasmjit insmod", 120)
    assert refused.status == 69 and "a key that the kernel does not know" in refused.text
    assert "mokutil --import /var/lib/dkms/mok.pub" in refused.text
    site.machine.run("dpkg --purge pywasmjit-dkms pywasmjit", 300, check=True)
    assert not site.run(f"find {module}").text.startswith("/")
    # The key is DKMS's own.
    assert {name for name in left_behind(site) if not name.startswith("/var/lib/dkms")} == set()
