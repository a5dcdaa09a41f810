# SPDX-License-Identifier: GPL-2.0-only
"""A Debian 12 with the packages of `make dist`, a user who may use sudo, and no network."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import make_deb
from ring0 import ROOT, launcher, module_file

from pywasmjit import kbuild
from pywasmjit.vm.machine import Machine, Result
from pywasmjit.vm.packages import Kernel
from pywasmjit.vm.ring0 import wasm_module

USER, PASSWORD = "alice", "correct horse"
HOME = f"/home/{USER}"
CONFIGURATION = """\
daemon off;
pid /tmp/nginx.pid;
worker_processes 1;
events { worker_connections 64; }
http {
    access_log off;
    client_body_temp_path /tmp/body;
    proxy_temp_path /tmp/proxy;
    fastcgi_temp_path /tmp/fastcgi;
    uwsgi_temp_path /tmp/uwsgi;
    scgi_temp_path /tmp/scgi;
    server {
        listen 127.0.0.1:8080;
        root /srv/www;
    }
}
"""


# What is no file of a package or of the administrator; users' own files and the kernel's modules.
NOT_FILES = (
    "/proc /sys /dev /run /tmp /project /home /var/lib/dpkg /var/log /var/cache/ldconfig "
    "/lib/modules /usr/lib/modules"
)
LISTING = "find / " + " -o ".join(f"-path {name} -prune" for name in NOT_FILES.split()) + " -o -print"


SOURCES = (
    "Kbuild", "README.md", "RATIONALE.md", "kmod", "packaging", "pywasmjit", "scripts", "build/pywasmjit-launch",
)  # fmt: skip


class Site:
    """The machine, before our packages are installed; `dist` is where they are in it."""

    dist = "/project/dist"

    def __init__(self, machine: Machine, kernel: Kernel) -> None:
        self.machine = machine
        self.kernel = kernel
        machine.run(
            f"useradd -m -s /bin/bash -G sudo {USER} && echo '{USER}:{PASSWORD}' | chpasswd && "
            # The kernel's modules are on a read-only disk.
            "mkdir -p /run/modules/files /run/modules/work && mount -t overlay overlay -o "
            "lowerdir=/lib/modules,upperdir=/run/modules/files,workdir=/run/modules/work /lib/modules && "
            "mkdir -p /etc/nginx /srv/www && echo 'from ring 0' > /srv/www/index.html && "
            f"cp {self.dist}/nginx.wasm {HOME} && "
            f"printf '%s' '{CONFIGURATION}' > /etc/nginx/nginx.conf",
            check=True,
        )
        machine.run(f"cp {self.dist}/config /boot/config-{kernel.release}", check=True)

        self.install_headers()
        self.before = self.files()

    def files(self) -> set[str]:
        return set(self.run(LISTING).text.splitlines())

    def run(self, command: str, timeout: float = 60) -> Result:
        return self.machine.run(command, timeout)

    def as_user(self, command: str, timeout: float = 60) -> Result:
        """Through a login shell of the ordinary user."""
        return self.machine.run(["su", "-", USER, "-c", command], timeout)

    def install_headers(self) -> None:
        """What linux-headers-RELEASE contains."""
        release = self.kernel.release
        self.machine.run(
            "ln -s /project/headers/src/* /usr/src/ && ln -s /project/headers/lib/linux-kbuild-* /usr/lib/ && "
            f"rm /lib/modules/{release}/build && ln -s /usr/src/linux-headers-{release} /lib/modules/{release}/build",
            check=True,
        )

    def install(self) -> Result:
        return self.machine.run(f"dpkg -i {self.dist}/pywasmjit_*.deb", 120, check=True)

    def put_module(self) -> None:
        """wasm.ko, where DKMS would have put it: compiling takes minutes in this machine."""
        where = f"/lib/modules/{self.kernel.release}/updates/dkms"
        self.machine.run(f"mkdir -p {where} && cp {self.dist}/wasm.ko {where}/", check=True)

    def put_image(self) -> None:
        """The image of nginx.wasm, where an earlier run of the user's would have left it."""
        cache = f"{HOME}/.cache/pywasmjit/images"
        self.machine.run(
            f"su {USER} -c 'mkdir -p {cache} && cp {self.dist}/images/* {cache}/'", check=True
        )


def left_behind(site: Site) -> set[str]:
    """Files that are there now and were not before the package; not the backups of /etc/passwd."""
    return {name for name in site.files() - site.before if not re.fullmatch(r"/etc/[a-z]+-", name)}


def options(kernel: Kernel, directory: Path) -> dict[str, Path]:
    """What is at /project in the machine: packages, guest, module, image, headers."""
    dist = directory / "dist"
    dist.mkdir()
    with tempfile.TemporaryDirectory(prefix="pywasmjit-site-") as name:
        tool, _ = make_deb.make(dist, Path(name), launcher())
        installed = Path(name) / "installed"
        subprocess.run(["dpkg-deb", "-x", tool, installed], check=True)
        guests = [dist / f"{guest}.wasm" for guest in ("nginx", "ring0")]
        for guest in guests:
            shutil.copy(module_file(guest.stem), guest)
        # By the files of the package, with their times: they are part of the image's name.
        subprocess.run(
            ["python3", "-c", "from pywasmjit import launch; import sys\n"
             "for name in sys.argv[1:]: launch.image_of(open(name, 'rb').read(), print)", *guests],
            cwd=installed / "usr/lib/pywasmjit", check=True,
            env={"PYWASMJIT_CACHE": str(dist / "images"), "PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1"},
        )  # fmt: skip
    shutil.copy(wasm_module(kernel), dist / "wasm.ko")
    # With too little executable memory for nginx.
    (dist / "small").mkdir()
    shutil.copy(wasm_module(kernel, pool_mb=1), dist / "small" / kbuild.MODULE)
    shutil.copy(kernel.config, dist / "config")
    shutil.copy(Path(__file__).with_name("typed.py"), dist)
    return {
        "dist": dist,
        "headers/src": kernel.root / "usr/src",
        "headers/lib": kernel.root / "usr/lib",
        # What `make install` reads.
        **{f"source/{name}": ROOT / name for name in SOURCES},
    }
