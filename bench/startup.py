#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""How long it takes from nothing to a page out of ring 0, in a virtual machine.

    startup.py [--kernel SERIES] [--icount]

Rows: booting the machine to its shell; the kernel's part of insmod (finit_module); `pywasmjit insmod`
with a module that DKMS has built; `pywasmjit exec nginx.wasm` with a cached image until the first page.
With --icount the unit is a million instructions of the guest, which the host's load does not change;
without, seconds of emulation (TCG), which mean little but their order.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "scripts"), str(ROOT / "tests" / "vm")]

from debian_site import HOME, Site, options  # noqa: E402

from pywasmjit.vm import packages  # noqa: E402
from pywasmjit.vm.machine import Machine  # noqa: E402

NOW = "cut -d' ' -f1 /proc/uptime"
PAGE = "until curl -s http://127.0.0.1:8080/ | grep -q 'ring 0'; do sleep 0.01; done"


def measure(kernel: packages.Kernel, icount: bool, directory: Path) -> list[tuple[str, float]]:
    """(what, seconds of the guest's clock)."""
    with Machine(kernel, project=options(kernel, directory), icount=icount, lifetime=1800) as machine:
        booted = float(machine.run(NOW, check=True).text)
        site = Site(machine, kernel)
        site.install()
        site.put_module()
        site.put_image()
        # What Python reads is in the page cache, as on a running system.
        machine.run("pywasmjit status", 300)
        inserted = machine.run(f"{NOW}; pywasmjit insmod; {NOW}", 300, check=True).text
        before, told, after = inserted.splitlines()
        loading = re.search(r"loaded in ([\d.]+) s", told)
        assert loading, told
        lines = machine.run(
            f"cd {HOME}; export PYWASMJIT_CACHE={HOME}/.cache/pywasmjit/images; chown -R root {HOME}; "
            f"{NOW}; pywasmjit exec --host=kernel nginx.wasm >/dev/null 2>&1 & {PAGE}; {NOW}; "
            "grep -E '^(guests|launcher_calls|functions_interpreted) ' /proc/wasm/totals; kill $!",
            600, check=True,
        ).text.splitlines()  # fmt: skip
        assert lines[2:] == ["guests 2", "functions_interpreted 0", "launcher_calls 0"], lines
        return [
            ("boot to shell", booted),
            ("finit_module", float(loading[1])),
            ("pywasmjit insmod", float(after) - float(before)),
            ("exec to first page", float(lines[1]) - float(lines[0])),
        ]


def main() -> int:
    parser = argparse.ArgumentParser(description="Time from nothing to a page out of ring 0.")
    parser.add_argument("--kernel", default=packages.DEFAULT_SERIES, choices=list(packages.SUITES))
    parser.add_argument("--icount", action="store_true", help="count instructions")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pywasmjit-startup-") as name:
        for what, seconds in measure(packages.kernel(chosen.kernel), chosen.icount, Path(name)):
            shown = f"{seconds * 1000:10.0f} Minstr" if chosen.icount else f"{seconds:10.2f} s"
            print(f"{what:<20}{shown}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
