# SPDX-License-Identifier: GPL-2.0-only
"""--trace: host calls in strace's notation."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from import_table import load_table

from tests.e2e.conftest import Host

ROOT = Path(__file__).resolve().parents[2]

# Of each program, lines that must be there, as regular expressions: those that are the same in every run.
EXPECTED = {
    "files": r"""
mkdir\("/tmp/wj-test-\w+", 0700\) = 0
open\("a", O_RDWR\|O_CREAT\|O_EXCL\|O_LARGEFILE, 0666\) = -1 EEXIST
open\("a", O_RDONLY\|O_LARGEFILE\) = 3
fd_write\(3, \[\{iov_base="x", iov_len=1\}\], 1, 0x\w+\) = -1 EBADF
fd_read\(3, \[\{iov_base="ab", iov_len=2\}, \{iov_base="", iov_len=0\}, \{iov_base="cXYfgh", iov_len=6\}\], 3, \[8\]\) = 0
fd_read\(3, 0x\w+, 1, 0x\w+ <unfinished \.\.\.>
fd_pwrite\(3, \[\{iov_base="far", iov_len=3\}\], 1, 4886718345, \[3\]\) = 0
fd_seek\(3, -4, SEEK_END, \[6\]\) = 0
\[pid \d+\] fcntl64\(5, F_GETFL\) = 33793
""",
    "sockets": r"""
socketpair\(AF_UNIX, SOCK_STREAM, IPPROTO_IP, \[3, 4\]\) = 0
sendmsg\(3, \{msg_name=NULL, msg_namelen=0, msg_iov=\[\{iov_base="two ", iov_len=4\}, .*\], msg_iovlen=2, msg_controllen=0, msg_flags=0\}, 0\) = 9
recvfrom\(4, "two parts", 64, MSG_PEEK, NULL, NULL\) = 9
sendto\(3, "x", 1, MSG_NOSIGNAL, NULL, 0\) = -1 EPIPE
\[pid \d+\] recvmsg\(.*msg_control=\[\{cmsg_len=16, cmsg_level=SOL_SOCKET, cmsg_type=SCM_RIGHTS, cmsg_data=\[5\]\}\], .*\) = 1
\[pid \d+\] connect\(3, \{sa_family=AF_UNIX, sun_path="socket"\}, 110\) = -1 ENOENT
\[pid \d+\] setsockopt\(3, SOL_SOCKET, SO_REUSEADDR, \[1\], 4\) = 0
\[pid \d+\] getsockname\(3, \{sa_family=AF_INET, sin_port=htons\(\d+\), sin_addr=inet_addr\("127.0.0.1"\)\}, \[16\]\) = 0
""",
    "events": r"""
epoll_create1\(EPOLL_CLOEXEC\) = 3
pipe2\(\[4, 5\], O_NONBLOCK\) = 0
epoll_ctl\(3, EPOLL_CTL_MOD, 4, \{events=EPOLLIN\|EPOLLET, data=\{u32=2, u64=2\}\}\) = 0
epoll_pwait\(3, \[\{events=EPOLLIN, data=\{u32=2, u64=2\}\}\], 8, 0, NULL\) = 1
eventfd2\(3, EFD_NONBLOCK\) = 3
\[pid \d+\] fd_write\(4, \[\{iov_base="\\25\\0\\0\\0\\0\\0\\0\\0", iov_len=8\}\], 1, \[8\]\) = 0
\[pid \d+\] timerfd_settime\(3, 0, \{it_interval=\{tv_sec=0, tv_nsec=0\}, it_value=\{tv_sec=0, tv_nsec=50000000\}\}, NULL\) = 0
\[pid \d+\] poll\(\[\{fd=3, events=POLLIN\}, \{fd=4, events=POLLOUT, revents=POLLOUT\}, .* revents=POLLNVAL\}\], 3, 0\) = 2
\[pid \d+\] ppoll\(\[\{fd=3, events=POLLIN, revents=POLLIN\}\], 1, \{tv_sec=0, tv_nsec=1000000\}, \[\]\) = 1
""",
    "signals": r"""
sigaction\(SIGUSR1, \{sa_handler=0x\w+, sa_mask=\[\], sa_flags=0\}, NULL\) = 0
--- SIGUSR1 \{si_signo=SIGUSR1, si_code=SI_USER, si_pid=\d+, si_uid=\d+\} ---
rt_sigprocmask\(SIG_BLOCK, \[USR1\], \[\]\) = 0
rt_sigprocmask\(SIG_SETMASK, \[\], ~\[.*KILL.*\]\) = 0
\[pid \d+\] fd_read\(3, 0x\w+, 1, 0x\w+\) = -1 EINTR
\[pid \d+\] clock_nanosleep\(CLOCK_REALTIME, 0, \{tv_sec=20, tv_nsec=0\}, NULL\) = -1 EINTR
""",
    "forkwait": r"""
\[pid \d+\] fork\(\) = 0
\[pid \d+\] fork\(\) = [1-9]\d*
\[pid \d+\] proc_exit\(200\) = \?
\[pid \d+\] wait4\(\d+, 0x\w+, 0, NULL <unfinished \.\.\.>
\[pid \d+\] wait4\(\d+, \[\{WIFEXITED\(s\) && WEXITSTATUS\(s\) == 200\}\], 0, NULL\) = \d+
\[pid \d+\] wait4\(\d+, \[\{WIFSIGNALED\(s\) && WTERMSIG\(s\) == SIGKILL\}\], .*\) = \d+
\[pid \d+\] waitid\(P_PID, \d+, \{si_signo=SIGCHLD, si_code=CLD_EXITED, si_pid=\d+, si_uid=\d+, si_status=4\}, .*\) = 0
""",
    "resolve": r"""
getaddrinfo\("::1", "8080", \{ai_flags=AI_NUMERICHOST\|AI_NUMERICSERV, .*sin6_port=htons\(8080\), inet_pton\(AF_INET6, "::1", .*\) = 0
getnameinfo\(\{sa_family=AF_INET, sin_port=htons\(443\), sin_addr=inet_addr\("10.20.30.40"\)\}, 16, "10.20.30.40", 200, "443", 100, NI_NUMERICHOST\|NI_NUMERICSERV\) = 0
getnameinfo\(.*\) = EAI_OVERFLOW
""",
    "limits": r"""
\[pid \d+\] prlimit64\(0, RLIMIT_NOFILE, \{rlim_cur=50, rlim_max=\d+\}, NULL\) = 0
\[pid \d+\] prlimit64\(0, RLIMIT_CORE, \{rlim_cur=RLIM64_INFINITY, rlim_max=5\}, NULL\) = -1 EINVAL
\[pid \d+\] wait4\(\d+, \[\{WIFSIGNALED\(s\) && WTERMSIG\(s\) == SIGXCPU\}\], 0, NULL\) = \d+
""",
}  # fmt: skip


@pytest.mark.parametrize("name", EXPECTED)
def test_trace(name: str, jit: Host, guest: Callable[[str], Path]) -> None:
    done = jit.run(guest(name), options=("--trace",))
    assert done.returncode == 0
    lines = done.stderr.decode().splitlines()
    missing = [
        pattern for pattern in EXPECTED[name].strip().splitlines()
        if not any(re.fullmatch(pattern, line) for line in lines)
    ]  # fmt: skip
    assert not missing, "\n".join([*missing, "in:", *lines])
    # Whole lines, whoever writes them.
    assert all(re.match(r"(\[pid \d+\] )?(\w+\(|--- SIG)", line) for line in lines)


def kinds() -> dict[str, list[str]]:
    """Result and argument kinds of trace.def by handler."""
    text = (ROOT / "kmod" / "host" / "trace.def").read_text()
    return {
        name: [word.strip() for word in words.split(",")]
        for name, words in re.findall(r"^TRACE\((\w+), ([^)]*)\)$", text, re.MULTILINE)
    }


def test_table_fits_signatures() -> None:
    table = kinds()
    signatures = {entry.handler: entry.signature for entry in load_table()}
    wasi = (ROOT / "kmod" / "host" / "wasi.def").read_text()
    signatures |= {h: s for s, h in re.findall(r'^WASI(?:_UNSTABLE)?\(\w+, "(.*)", (\w+)\)$', wasi, re.MULTILINE)}
    assert set(table) == set(signatures)
    for handler, signature in signatures.items():
        arguments = table[handler][1:]
        assert len(arguments) + arguments.count("T_OFFSET") == len(signature) - 2, handler


def test_wild_pointers(jit: Host, tmp_path: Path) -> None:
    """Whatever a guest passes is shown, or its address is: here all calls that begin with a descriptor."""
    table = kinds()
    calls = [e for e in load_table() if table[e.handler][1:2] == ["T_FD"] and e.module == "env" and "I" not in e.signature]
    assert len(calls) > 40
    imports, body = [], []
    for i, entry in enumerate(calls):
        parameters = len(entry.signature) - 2
        imports.append(f'(import "env" "{entry.name}" (func $f{i} (param {"i32 " * parameters}) (result i32)))')
        for value in (0, 8, -1, -16, 65532):
            body.append(f"(drop (call $f{i} (i32.const -1) {f'(i32.const {value})' * (parameters - 1)}))")
    text = "\n".join(["(module", *imports, '(memory (export "memory") 1)', '(func (export "_start")', *body, "))"])
    file = tmp_path / "wild.wasm"
    subprocess.run(["wat2wasm", "-o", file, "-"], input=text.encode(), check=True)
    done = jit.run(file, options=("--trace",))
    assert done.returncode == 0, done.stderr.decode()
    shown = [line for line in done.stderr.decode().splitlines() if "unfinished" not in line]
    assert len(shown) == 5 * len(calls)
    for i, entry in enumerate(calls):
        name = entry.name.removeprefix("__syscall_")
        for line in shown[5 * i : 5 * i + 5]:
            assert line.startswith(f"{name}(-1") and re.search(r"\) = (-1 E\w+|\d+)$", line), line
