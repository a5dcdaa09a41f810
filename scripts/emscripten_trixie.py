# SPDX-License-Identifier: GPL-2.0-only
"""Guests built by the Emscripten of Debian 13 (trixie), 3.1.69, in a chroot that debootstrap makes.

Big (1.2 GB) and slow (ten minutes), so only on demand: `build_guests.py nginx-3.1.69`, `make test-long`.
Needs root, as debootstrap does.
"""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from guest_recipes import (
    NGINX,
    NGINX_PATHS,
    NGINX_PLAIN_LINK_FLAGS,
    NGINX_PLAIN_OPTIONS,
    Context,
    Recipe,
    build_nginx_with,
)
from guest_toolchain import PLAIN_COMPILE_FLAGS, ROOT, BuildError, Toolchain

SUITE: Final = "trixie"
VERSION: Final = "3.1.69"
PACKAGES: Final = ("emscripten", "make")
MIRROR: Final = "http://deb.debian.org/debian"
CHROOT: Final = f"emscripten-{VERSION}"
TIMES: Final = "tests/guests/later/times.c"
# Of the tree: what debootstrap has downloaded, and libraries for other ways of linking.
_LIBRARIES: Final = "usr/share/emscripten/cache/sysroot/lib/wasm32-emscripten"
UNUSED: Final = (
    "var/cache/apt", "usr/share/doc", "usr/share/emscripten/test",
    *(f"{_LIBRARIES}/{name}" for name in ("lto", "lto-pic", "pic")),
)  # fmt: skip

# The directory is in the chroot under its own name; the mount ends with the command.
ENTER: Final = """
mkdir -p "$0$1" && mount --bind "$1" "$0$1" || exit
mount -t proc proc "$0/proc" && mount --bind /dev "$0/dev" || exit
tree=$0 cwd=$2
shift 2
exec chroot "$tree" /usr/bin/env -i --chdir="$cwd" "$@"
"""


@dataclass(frozen=True, kw_only=True)
class ChrootToolchain(Toolchain):
    """Commands run in the chroot `tree`, where `shared` (absolute) is what it is here."""

    tree: Path
    shared: Path

    def run(self, command: Sequence[str], cwd: Path, extra: Mapping[str, str] | None = None) -> None:
        variables = {"HOME": "/root", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8",
                     "SOURCE_DATE_EPOCH": "0", **(extra or {})}  # fmt: skip
        enter = ["unshare", "--mount", "--propagation", "private", "sh", "-c", ENTER]
        directories = [str(self.tree), str(self.shared), str(cwd)]
        settings = [f"{name}={value}" for name, value in variables.items()]
        super().run([*enter, *directories, *settings, *command], cwd)


def build_chroot(context: Context) -> None:
    if os.geteuid() != 0:
        raise BuildError(f"a chroot with Debian's {SUITE} needs root once (debootstrap): run it with sudo")
    if shutil.which("debootstrap") is None:
        raise BuildError("debootstrap not found: apt-get install debootstrap")
    tree = context.out / "tree"
    context.report(f"debootstrap: Debian {SUITE} with Emscripten, 400 MB to download, some minutes")
    options = ["--variant=minbase", f"--include={','.join(PACKAGES)}"]
    context.toolchain.run(["debootstrap", *options, SUITE, str(tree), MIRROR], context.work)
    for name in UNUSED:
        shutil.rmtree(tree / name, ignore_errors=True)
    listed = ["chroot", str(tree), "dpkg-query", "-W", "emscripten", "clang-19", "binaryen"]
    versions = subprocess.run(listed, capture_output=True, text=True, check=True).stdout
    (context.out / "versions").write_text(versions)
    if not re.search(rf"^emscripten\t{re.escape(VERSION)}", versions, re.MULTILINE):
        raise BuildError(f"Debian {SUITE} has another Emscripten than {VERSION} by now:\n{versions}")


def in_chroot(context: Context) -> Context:
    """The same build, with the chroot's compilers."""
    chroot = context.needs[CHROOT]
    shutil.copy(chroot / "versions", context.out)
    toolchain = ChrootToolchain(
        context.toolchain.log, context.toolchain.jobs, tree=chroot / "tree", shared=context.work
    )
    needs = {name: path for name, path in context.needs.items() if name != CHROOT}
    return dataclasses.replace(context, toolchain=toolchain, needs=needs)


# CC for configure and make.  The program itself is not linked, only what to link is written down.
COMPILER_SCRIPT: Final = r"""#!/bin/sh
output=
previous=
for argument; do
	case $argument in
	-c | -E | -v) exec emcc "$@" ;;
	esac
	[ "$previous" = -o ] && output=$argument
	previous=$argument
done
if [ "$WJ_RECORD_LINK" ]; then
	printf '%s\n' "$@" > "$WJ_RECORD_LINK"
	: > "$output"
	exit 0
fi
emcc -sEXIT_RUNTIME=1 "$@" || exit	# or else what is printed stays in a buffer
sed -i '1i #!/usr/bin/env node' "$output"
chmod +x "$output"
"""


def write_compiler(context: Context) -> Path:
    script = context.work / "wjcc"
    script.write_text(COMPILER_SCRIPT)
    script.chmod(0o755)
    return script


def build_nginx(context: Context) -> None:
    context = in_chroot(context)
    compiler = write_compiler(context)
    options = [*NGINX_PATHS, *NGINX_PLAIN_OPTIONS]
    build_nginx_with(
        context, f"nginx-{VERSION}", compiler, options, PLAIN_COMPILE_FLAGS, NGINX_PLAIN_LINK_FLAGS
    )


def times(name: str, *flags: str) -> Recipe:
    """A program about times; -sWASM_BIGINT: an i64 goes to the host as one."""

    def build(context: Context) -> None:
        context = in_chroot(context)
        shutil.copy(ROOT / TIMES, context.work)
        module = context.out / f"{name}.wasm"
        context.toolchain.link(["times.c"], module, context.work, None, [*NGINX_PLAIN_LINK_FLAGS, *flags])

    inputs = ("scripts/emscripten_trixie.py", TIMES)
    return Recipe(name, "what has times in it", build, needs=(CHROOT,), inputs=inputs)


def trixie_recipes() -> list[Recipe]:
    own = ("scripts/emscripten_trixie.py",)
    return [
        times(f"times-{VERSION}"),
        times(f"times-{VERSION}-bigint", "-sWASM_BIGINT"),
        Recipe(CHROOT, f"a chroot of Debian {SUITE} with Emscripten {VERSION}", build_chroot, inputs=own),
        Recipe(f"nginx-{VERSION}", f"nginx-plain, built by Emscripten {VERSION}", build_nginx,
               needs=(CHROOT,), sources=(NGINX,), inputs=own),
    ]  # fmt: skip
