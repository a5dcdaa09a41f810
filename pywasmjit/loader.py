# SPDX-License-Identifier: GPL-2.0-only
"""Build the module, load it, let people at /dev/wasm, and unload it again."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import grp
import lzma
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pywasmjit import __version__, kbuild, kconfig, launch, system
from pywasmjit.errors import AccessError, HostUnavailableError, InputError, SystemCallError, UsageError
from pywasmjit.kbuild import KbuildError
from pywasmjit.system import System

# Root's builds: `apt purge` and `make uninstall` remove them.
SYSTEM_BUILDS = Path("/var/cache/pywasmjit/kbuild")
DEVICE_SECONDS = 10.0
_FINIT_MODULE, _DELETE_MODULE = 313, 176  # arch/x86/entry/syscalls/syscall_64.tbl

SIGNING = """\
Sign it with a key that the kernel knows.  With DKMS: apt-get install dkms linux-headers-{release},
then `dkms install pywasmjit/{version}` signs with DKMS's key; `mokutil --import /var/lib/dkms/mok.pub`,
reboot and enrol it where the firmware asks.  With a key of your own that is enrolled already:
`pywasmjit insmod --key KEY.priv --certificate CERTIFICATE.der`."""


@dataclass(frozen=True)
class Signing:
    """Private key and certificate to sign a module with."""

    key: Path
    certificate: Path


@dataclass(frozen=True)
class BuildOptions:
    """How wasm.ko is to be made."""

    kernel: Path | None = None
    """Prepared headers; None: of the running kernel."""
    pool_mb: int | None = None
    signing: Signing | None = None


@dataclass(frozen=True)
class Loaded:
    """What insmod has done."""

    version: str
    release: str
    file: Path | None
    """None if the module was loaded before."""
    seconds: float
    access: str


Progress = Callable[[str], None]


def build(
    options: BuildOptions, out: Path, *, running: System | None = None, progress: Progress = lambda line: None
) -> Path:
    """Build wasm.ko, check it against the kernel's headers and sign it if asked to; return `out`."""
    headers = options.kernel or (running or System()).headers
    variables = {} if options.pool_mb is None else {"WJ_POOL_MB": str(options.pool_mb)}
    base = SYSTEM_BUILDS if os.geteuid() == 0 and not os.environ.get("XDG_CACHE_HOME") else None
    module = kbuild.build_module(headers, variables=variables, base=base, progress=progress)
    kbuild.check_module(module, headers)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".pywasmjit-build-", dir=out.parent) as name:
        staged = Path(shutil.copyfile(module, Path(name) / kbuild.MODULE))
        if options.signing is not None:
            kbuild.sign_module(staged, headers, options.signing.key, options.signing.certificate)
            progress(f"SIGN     {kbuild.MODULE}")
        staged.replace(out)
    return out


def installed_module(running: System) -> Path | None:
    """A module of this version that DKMS or a package has put where modprobe finds it."""
    top = running.path(f"/lib/modules/{running.release}")
    for directory in ("updates/dkms", "updates", "extra"):
        for suffix in ("", ".xz", ".gz"):
            path = top / directory / f"{kbuild.MODULE}{suffix}"
            with contextlib.suppress(KbuildError, OSError):
                if path.exists() and kbuild.read_information(read_module(path)).get("version") == __version__:
                    return path
    return None


def read_module(path: Path) -> bytes:
    """A module file's contents, unpacked."""
    data = path.read_bytes()
    if path.suffix == ".xz":
        return lzma.decompress(data)
    if path.suffix == ".gz":
        import gzip

        return gzip.decompress(data)
    return data


# ---------------------------------------------------------------------------- insmod


@dataclass(frozen=True)
class InsertOptions:
    """What `pywasmjit insmod` was asked for."""

    build: BuildOptions = field(default_factory=BuildOptions)
    module: Path | None = None
    """A finished module; None: DKMS's, or one that is built now."""
    group: str | None = None
    parameters: Sequence[str] = ()


def insert(
    options: InsertOptions, running: System | None = None, *, progress: Progress = lambda line: None
) -> Loaded:
    """Load the module and set who may open the device; fine if this version is loaded already."""
    running = running or System()
    _require_root("insmod")
    gid = _group(options.group)
    for parameter in options.parameters:
        if not re.fullmatch(r"\w+=\S*", parameter):
            raise UsageError(f"{parameter!r} is no module parameter: NAME=VALUE")
    if running.loaded:
        if running.loaded_version != __version__:
            raise HostUnavailableError(
                f"the loaded module is wasm {running.loaded_version}, this is pywasmjit {__version__}: "
                "`pywasmjit rmmod`, then insmod again"
            )
        if options.parameters or options.module or options.build.pool_mb is not None:
            raise UsageError("the module is loaded already: `pywasmjit rmmod` first, then with new options")
        _wait_for_device(running)
        return Loaded(__version__, running.release, None, 0.0, _set_access(running, gid))
    _check_configuration(running)
    with _module_file(options, running, progress) as (path, shown):
        data = read_module(path)
        _check_fits(data, shown, running)
        parameters = [*options.parameters, *_own_programs(data, options.parameters)]
        started = time.monotonic()
        _load(path, shown, " ".join(parameters), running)
        seconds = time.monotonic() - started
    _wait_for_device(running)
    return Loaded(__version__, running.release, shown, seconds, _set_access(running, gid))


def _own_programs(data: bytes, given: Sequence[str]) -> Iterator[str]:
    """Parameters that say where what execve of a wasm file needs is installed, if the module has them."""
    names = {parameter.partition("=")[0] for parameter in given}
    for name, path in (("launcher", launch.launcher()), ("pywasmjit", Path(launch.own_command()))):
        if f"parm={name}:".encode() in data and name not in names:
            yield f'{name}="{path}"' if " " in str(path) else f"{name}={path}"


@contextlib.contextmanager
def _module_file(options: InsertOptions, running: System, progress: Progress) -> Iterator[tuple[Path, Path]]:
    """The module to load, and the name to call it by."""
    wanted = options.module
    asked = options.build != BuildOptions()
    if wanted is not None:
        if asked:
            raise UsageError("--module takes a finished module: nothing is built or signed")
        if not wanted.exists():
            raise InputError(f"{wanted}: no such file")
    elif not asked:
        wanted = installed_module(running)
    if wanted is not None:
        yield wanted, wanted
        return
    with tempfile.TemporaryDirectory(prefix="pywasmjit-insmod-") as name:
        built = build(options.build, Path(name) / kbuild.MODULE, running=running, progress=progress)
        yield built, Path(kbuild.MODULE)


def _require_root(command: str) -> None:
    if os.geteuid() != 0:
        raise AccessError(f"{command} needs root: sudo pywasmjit {command}")


def _group(name: str | None) -> int | None:
    if name is None:
        return None
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        raise UsageError(f"there is no group {name}: addgroup --system {name}") from None


def _check_configuration(running: System) -> None:
    """Refuse what cannot work, before minutes of building."""
    if running.machine != "x86_64":
        raise HostUnavailableError(
            f"the kernel host runs on x86_64, this machine is {running.machine}: "
            "run guests in user space, pywasmjit exec --host=user"
        )
    configuration = running.configuration()
    if configuration is None:
        return  # the kernel itself will say
    found = kconfig.requirements(kbuild.module_sources() / kconfig.KCONFIG, configuration)
    lines = [
        f"{need.symbol}{'' if need.wanted else ' (must not be set)'}: {need.reason} {need.remedy}"
        for need in found
        if need.required and not need.met
    ]
    if lines:
        raise HostUnavailableError(
            f"kernel {running.release} ({configuration}) lacks what the module needs:\n  "
            + "\n  ".join(lines)
        )


def _check_fits(data: bytes, shown: Path, running: System) -> None:
    """Version magic, symbols and version, before the kernel says no in its own way."""
    information = kbuild.read_information(data, str(shown))
    built_for = information.get("vermagic", "").split(" ", 1)[0]
    if built_for != running.release:
        raise KbuildError(
            f"{shown} was built for kernel {built_for}, but {running.release} is running: "
            "build it again (pywasmjit insmod does), or boot that kernel"
        )
    version = information.get("version", "unknown")
    if version != __version__:
        raise KbuildError(f"{shown} is wasm {version}, this is pywasmjit {__version__}: build it again")
    if (running.headers / "Module.symvers").exists():
        kbuild.check_contents(data, str(shown), running.headers)


def _load(path: Path, shown: Path, parameters: str, running: System) -> None:
    with _log_since_now(running) as messages:
        descriptor = _descriptor(path)
        try:
            _system_call(_FINIT_MODULE, descriptor, parameters.encode(), 0)
        except OSError as error:
            raise _refusal(error, read_module(path), shown, running, messages()) from None
        finally:
            os.close(descriptor)


def _descriptor(path: Path) -> int:
    """The module's file itself, which LSMs can judge, or where that is compressed one in memory."""
    if path.suffix == ".ko":
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    writable = os.memfd_create(kbuild.MODULE, os.MFD_CLOEXEC)
    try:
        with open(writable, "wb", closefd=False) as file:
            file.write(read_module(path))
        # The kernel takes no file that somebody could still write.
        return os.open(f"/proc/self/fd/{writable}", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.close(writable)


def _system_call(number: int, *arguments: int | bytes) -> None:
    """OSError if it fails.  Python has neither call."""
    libc = ctypes.CDLL(None, use_errno=True)
    words = [ctypes.c_char_p(word) if isinstance(word, bytes) else ctypes.c_long(word) for word in arguments]
    if libc.syscall(ctypes.c_long(number), *words) < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


@contextlib.contextmanager
def _log_since_now(running: System) -> Iterator[Callable[[], list[str]]]:
    """A function that returns the kernel's messages since the beginning of the block."""
    try:
        descriptor = os.open(running.path("/dev/kmsg"), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        yield lambda: []
        return

    def messages() -> list[str]:
        lines = []
        with contextlib.suppress(OSError):  # EAGAIN: that was the last
            while True:
                record = os.read(descriptor, 8192).decode(errors="replace")
                lines.append(record.partition(";")[2].partition("\n")[0])
        return lines

    try:
        os.lseek(descriptor, 0, os.SEEK_END)
        yield messages
    finally:
        os.close(descriptor)


def _refusal(
    error: OSError, data: bytes, shown: Path, running: System, messages: list[str]
) -> HostUnavailableError | AccessError | SystemCallError:
    """Why the kernel did not take the module, and what to do."""
    signing = SIGNING.format(release=running.release, version=__version__)
    signed = kbuild.is_signed(data)
    said = [line for line in messages if "wasm" in line or "module" in line.lower()]
    kernel_says = "".join(f"\n  kernel: {line}" for line in said[-5:])
    if error.errno in (errno.EKEYREJECTED, errno.ENOKEY, errno.EBADMSG):
        what = "is signed with a key that the kernel does not know" if signed else "is not signed"
        return HostUnavailableError(
            f"{shown} {what}, and this kernel loads signed modules only (module.sig_enforce)."
            f"\n{signing}{kernel_says}"
        )
    if error.errno == errno.EPERM:
        if running.modules_disabled:
            return AccessError(
                "loading modules is switched off until the next boot (kernel.modules_disabled = 1): "
                "load wasm before whatever sets it"
            )
        if running.lockdown not in ("", "none"):
            return HostUnavailableError(
                f"kernel lockdown ({running.lockdown}) refuses unsigned modules.\n{signing}{kernel_says}"
            )
        return AccessError(
            "the kernel does not let this process load modules: CAP_SYS_MODULE is missing "
            f"(in a container, run insmod on its host){kernel_says}"
        )
    if error.errno == errno.ENOMEM:
        return SystemCallError(f"no memory for the module: use a smaller --pool{kernel_says}")
    if error.errno in (errno.ENOEXEC, errno.ENOENT, errno.EINVAL):
        return HostUnavailableError(
            f"kernel {running.release} does not take {shown}: {error.strerror}; "
            f"`pywasmjit doctor` shows what is missing{kernel_says}"
        )
    return SystemCallError(f"kernel {running.release} does not load {shown}: {error.strerror}{kernel_says}")


def _wait_for_device(running: System) -> None:
    """devtmpfs makes the node at once; udev may then change it."""
    deadline = time.monotonic() + DEVICE_SECONDS
    while not running.device.exists():
        if time.monotonic() > deadline:
            raise HostUnavailableError(
                f"the module is loaded, but {running.device} does not appear: is devtmpfs mounted at /dev?"
            )
        time.sleep(0.01)
    if running.path("/run/udev/control").exists() and (udevadm := shutil.which("udevadm")):
        command = [udevadm, "settle", f"--timeout={DEVICE_SECONDS:.0f}"]
        subprocess.run(command, stdout=subprocess.DEVNULL, check=False)


def _set_access(running: System, gid: int | None) -> str:
    """Let the group and the user behind sudo in; say who may open the device."""
    device = running.device
    if gid is not None:
        os.chown(device, 0, gid)
        device.chmod(0o660)
    uid = os.environ.get("SUDO_UID", "")
    if uid.isdigit() and int(uid) != 0:
        try:
            system.admit_user(device, int(uid))
        except OSError as error:
            if error.errno != errno.EOPNOTSUPP:
                raise
            raise HostUnavailableError(
                f"the module is loaded, but {device} takes no access control list for user "
                f"{system.user_name(int(uid))} (CONFIG_TMPFS_POSIX_ACL): pywasmjit insmod --group GROUP"
            ) from None
    return system.access_of(device)


# ---------------------------------------------------------------------------- rmmod


def remove(running: System | None = None) -> str:
    """Unload the module; its version."""
    running = running or System()
    _require_root("rmmod")
    if not running.loaded:
        raise HostUnavailableError("the module is not loaded")
    version = running.loaded_version
    try:
        _system_call(_DELETE_MODULE, system.MODULE.encode(), os.O_NONBLOCK)
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EBUSY):
            raise _busy(running) from None
        if error.errno == errno.EPERM:
            raise AccessError("the kernel does not let this process unload modules") from None
        raise SystemCallError(f"the module cannot be unloaded: {error.strerror}") from None
    return version


def _busy(running: System) -> HostUnavailableError:
    holders = list(running.holders())
    count = running.text(f"/sys/module/{system.MODULE}/refcnt") or "?"
    lines = "".join(f"\n  pid {holder.pid} (user {holder.user}): {holder.file}" for holder in holders)
    if not holders:
        lines = "\n  of processes that are not visible here (another PID namespace?)"
    return HostUnavailableError(
        f"the module is in use ({count} references):{lines}\n"
        "End these guests first; `pywasmjit status` shows them."
    )
