# SPDX-License-Identifier: GPL-2.0-only
"""`pywasmjit exec --both`: does a program do the same in user space and in ring 0?

It runs twice, in user space first, with the same input. Compared are exit status, standard output,
standard error, and the host calls of each of its processes with their arguments and results.
Process ids differ, so one run's may stand where the other run has its own; so do times that calls
return. What a program makes of time, of random numbers (names of temporary files) or of who is
faster, it makes in each run anew: such differences are reported, and are none of the hosts.
"""

from __future__ import annotations

import os
import re
import signal
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

from pywasmjit import launch
from pywasmjit.errors import InternalError, PywasmjitError

HOSTS = ("user", "kernel")
DIFFERENT = 1  # exit code
# What kmod/host/trace.c prints; a guest may write to standard error without ending the line.
_TRACE = re.compile(
    rb"(?:\[pid (\d+)\] )?"
    rb"(\w+\([^\n]*\)(?: = [^\n]*)?|\w+\([^\n]* <unfinished \.\.\.>|--- SIG[^\n]* ---)\n"
)
_FORKED = re.compile(r"\w*fork\(\) = (\d+)")
_OWN_PID = re.compile(r"getpid\(\) = (\d+)")
# Times, and bytes that nobody can foretell.
_VARYING = re.compile(
    r"(?<=tv_sec=)-?\d+|(?<=tv_nsec=)\d+|(?<=tv_usec=)\d+|(?<=\btime\(NULL\) = )\d+|(?<=clock\(\) = )\d+"
    r"|(?<=_get_now\(\) = )[\d.]+|(?<=_date_now\(\) = )[\d.e+]+|(?<=getentropy\().*|(?<=getrandom\().*"
)
_NUMBER = re.compile(r"\d+")
_CONTEXT = 3  # calls shown before the first that differs


@dataclass(frozen=True)
class Run:
    """What a program did in one host."""

    status: str
    """"exit status N" or "signal NAME"."""
    output: bytes
    errors: bytes
    """Standard error without the trace."""
    traces: dict[str, list[str]]
    """Host calls by process: "0", its first child "0.1", that one's second child "0.1.2"."""
    names: dict[str, str]
    """Process id -> key of traces."""


def interpret(status: int, output: bytes, errors: bytes) -> Run:
    """The Run of a wait status and of what was written, the trace being in `errors`."""
    lines = [
        ((match[1] or b"").decode(), match[2].decode(errors="replace")) for match in _TRACE.finditer(errors)
    ]
    # A line has an id once its process has forked; the first process is nobody's child.
    children = {found[1] for _, event in lines if (found := _FORKED.fullmatch(event))}
    first = next((pid for pid, _ in lines if pid and pid not in children), "")
    events: dict[str, list[str]] = {first: []}
    for pid, event in lines:
        events.setdefault(pid or first, []).append(event)
    names: dict[str, str] = {}

    def name(pid: str, key: str) -> None:
        names[pid] = key
        found = [match[1] for event in events.get(pid, ()) if (match := _FORKED.fullmatch(event))]
        for number, child in enumerate((child for child in found if child != "0"), start=1):
            if child not in names:
                name(child, f"{key}.{number}")

    for number, pid in enumerate(events):
        if pid not in names:
            name(pid, f"{number}")
    traces = {}
    for pid, calls in events.items():
        for event in calls:
            if own := _OWN_PID.fullmatch(event):
                names[own[1]] = names[pid]
        # In ring 0 a child begins after its fork.
        begin = 1 if "." in names[pid] and re.fullmatch(r"\w*fork\(\) = 0", calls[0]) else 0
        traces[names[pid]] = calls[begin:]
    if os.WIFSIGNALED(status):
        shown = f"signal {signal.Signals(os.WTERMSIG(status)).name}"
    else:
        shown = f"exit status {os.WEXITSTATUS(status)}"
    return Run(shown, output, _TRACE.sub(b"", errors), traces, names)


def differences(user: Run, kernel: Run) -> Iterator[str]:
    """The first difference in each of what is compared, for people; none if they are the same."""
    if user.status != kernel.status:
        yield f"they end differently:\n{_sides(user.status, kernel.status)}"
    for what, mine, theirs in (
        ("standard output", user.output, kernel.output),
        ("standard error", user.errors, kernel.errors),
    ):
        if mine != theirs:
            yield _text_difference(what, mine, theirs)
    for key in sorted(set(user.traces) | set(kernel.traces)):
        problem = _trace_difference(key, user, kernel)
        if problem:
            yield problem
            return


def _sides(user: str, kernel: str) -> str:
    return f"  user:   {user}\n  kernel: {kernel}"


def _text_difference(what: str, user: bytes, kernel: bytes) -> str:
    mine, theirs = user.splitlines(), kernel.splitlines()
    at = next((i for i, (a, b) in enumerate(zip(mine, theirs, strict=False)) if a != b), None)
    if at is None:
        at = min(len(mine), len(theirs))
    shown = [repr(lines[at])[1:] if at < len(lines) else "(ends)" for lines in (mine, theirs)]
    return f"{what} differs in line {at + 1}:\n{_sides(*shown)}"


def _trace_difference(key: str, user: Run, kernel: Run) -> str:
    mine, theirs = user.traces.get(key, []), kernel.traces.get(key, [])
    for at in range(max(len(mine), len(theirs))):
        pair = [calls[at] if at < len(calls) else "(makes no call any more)" for calls in (mine, theirs)]
        if not _same_event(pair[0], pair[1], user.names, kernel.names):
            before = "".join(f"  both:   {call}\n" for call in mine[max(0, at - _CONTEXT) : at])
            return f"host calls of process {key} differ, event {at + 1}:\n{before}{_sides(*pair)}"
    return ""


def _same_event(user: str, kernel: str, user_names: dict[str, str], kernel_names: dict[str, str]) -> bool:
    """Equal but for process ids that stand for the same process."""
    user, kernel = (_VARYING.sub("...", event) for event in (user, kernel))
    if user == kernel:
        return True
    if _NUMBER.sub("0", user) != _NUMBER.sub("0", kernel):
        return False
    return all(
        a == b or (a in user_names and user_names[a] == kernel_names.get(b))
        for a, b in zip(_NUMBER.findall(user), _NUMBER.findall(kernel), strict=True)
    )


def _keep_input(kept: IO[bytes]) -> None:
    """Standard input, to be read twice; nothing where it is a terminal."""
    if sys.stdin is not None and not sys.stdin.isatty():
        while chunk := sys.stdin.buffer.read(1 << 20):
            kept.write(chunk)
        kept.flush()


def _redirect(number: int, file: IO[bytes], flags: int) -> None:
    """Open the file anew, with a position of its own, as a standard descriptor."""
    os.dup2(os.open(f"/proc/self/fd/{file.fileno()}", flags), number)


def _run(options: launch.Options, host: str, stdin: IO[bytes]) -> Run:
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        pid = os.fork()
        if pid == 0:
            code = InternalError.exit_code
            try:
                _redirect(0, stdin, os.O_RDONLY)
                _redirect(1, output, os.O_WRONLY | os.O_APPEND)
                _redirect(2, errors, os.O_WRONLY | os.O_APPEND)
                code = launch.execute(options._replace(host=host, trace=True))
                sys.stdout.flush()
            except PywasmjitError as error:
                os.write(2, f"pywasmjit: {error}\n".encode())
                code = error.exit_code
            finally:
                os._exit(code)
        _, status = os.waitpid(pid, 0)
        output.seek(0)
        errors.seek(0)
        return interpret(status, output.read(), errors.read())


def execute(options: launch.Options) -> int:
    """Run in both hosts, pass on what it printed in user space, say what differs: 0 or DIFFERENT."""
    launch.choose_host("kernel", options.engine)
    # Refused, or lowered and cached, before anything runs.
    os.close(launch.image_of(launch.read_file(options.file), options.note))
    with tempfile.TemporaryFile() as stdin:
        _keep_input(stdin)
        user, kernel = (_run(options, host, stdin) for host in HOSTS)
    for stream, data in ((sys.stdout, user.output), (sys.stderr, user.errors)):
        stream.flush()
        stream.buffer.write(data)
        stream.flush()
    found = list(differences(user, kernel))
    for problem in found:
        print(f"pywasmjit: both hosts: {problem}", file=sys.stderr)
    if found:
        return DIFFERENT
    calls = sum(len(trace) for trace in user.traces.values())
    print(
        f"pywasmjit: both hosts: the same: {user.status}, {len(user.output)} bytes of output, "
        f"{len(user.errors)} of errors, {calls} events of {len(user.traces)} processes",
        file=sys.stderr,
    )
    return 0
