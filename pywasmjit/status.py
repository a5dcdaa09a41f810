# SPDX-License-Identifier: GPL-2.0-only
"""`pywasmjit status`: the module's counters and its guests, from /proc/wasm.

kmod/linux/README.md describes the two files.  Columns are found by their names, so a module that
adds some is no problem.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from pywasmjit import __version__, system
from pywasmjit.errors import HostUnavailableError
from pywasmjit.system import System

TOTALS = "/proc/wasm/totals"
GUESTS = "/proc/wasm/guests"
PAGE = 65536  # bytes, of linear memory


@dataclass(frozen=True)
class Guest:
    """One process in the kernel."""

    pid: int
    user: str
    state: str
    """running (in the kernel), or outside (its launcher is doing something for it)."""
    memory: int
    """Bytes of linear memory."""
    age: int
    """Seconds since it was loaded or forked."""
    cpu: float
    """Seconds of processor time."""
    counts: Mapping[str, int]
    """host_calls, system_calls, traps and others, by the module's names."""
    image: str
    """The guest's argv[0]."""


@dataclass(frozen=True)
class State:
    """What the module says of itself; empty if it is not loaded."""

    loaded: bool
    version: str
    access: str
    totals: Mapping[str, int]
    guests: tuple[Guest, ...]


def read(running: System | None = None) -> State:
    """The present state.  Without CAP_SYS_PTRACE the guests are the caller's own."""
    running = running or System()
    if not running.loaded:
        return State(False, "", "", {}, ())
    counted = running.text(TOTALS)
    guests = running.text(GUESTS)
    if counted is None or guests is None:
        raise HostUnavailableError(
            f"the loaded module, wasm {running.loaded_version}, has no {TOTALS}; this is pywasmjit "
            f"{__version__}: sudo pywasmjit rmmod && sudo pywasmjit insmod"
        )
    try:
        access = system.access_of(running.device)
    except OSError:
        access = "no device"
    return State(
        loaded=True,
        version=running.loaded_version,
        access=access,
        totals=totals(counted),
        guests=_guests(guests),
    )


def totals(text: str) -> dict[str, int]:
    """The numbers in /proc/wasm/totals; kmod/linux/README.md says what they are."""
    lines = (line.partition(" ") for line in text.splitlines())
    return {name: int(value) for name, _, value in lines if value.isdigit()}


def _guests(text: str) -> tuple[Guest, ...]:
    names: list[str] = []
    found = []
    for line in text.splitlines():
        if line.startswith("#"):
            names = line[1:].split()
            continue
        fields = dict(zip(names, line.split(" "), strict=True))
        found.append(
            Guest(
                pid=int(fields.pop("pid")),
                user=system.user_name(int(fields.pop("uid"))),
                state=fields.pop("state"),
                memory=int(fields.pop("pages")) * PAGE,
                age=int(fields.pop("age_s")),
                cpu=int(fields.pop("cpu_ms")) / 1000,
                image=_unescaped(fields.pop("image")),
                counts={name: int(value) for name, value in fields.items()},
            )
        )
    return tuple(found)


def _unescaped(text: str) -> str:
    r"""White space and backslashes are written as \ooo."""
    raw, _ = codecs.escape_decode(text.encode())
    return bytes(raw).decode(errors="replace")


def as_json(state: State) -> str:
    """{"loaded", "version", "access", "totals": {...}, "guests": [{...}, ...]}."""
    return json.dumps(asdict(state), indent=2)


def show(state: State) -> None:
    """For people, on standard output."""
    from rich.console import Console
    from rich.table import Table

    # A terminal that is too narrow wraps; what is read by a program must not be cut.
    console = Console(highlight=False, width=1000, soft_wrap=True)
    if not state.loaded:
        console.print("The module is not loaded: sudo pywasmjit insmod", markup=False)
        return
    counted = state.totals
    if state.version != __version__:
        console.print(f"This is pywasmjit {__version__}; the module is of another version.", markup=False)
    console.print(f"wasm {state.version}; /dev/wasm: {state.access}", markup=False)
    pool = f"{_bytes(counted.get('pool_used', 0))} of {_bytes(counted.get('pool_bytes', 0))}"
    console.print(
        f"{counted.get('guests', 0)} guests, {counted.get('loads', 0)} loaded since insmod, "
        f"{counted.get('host_calls', 0)} host calls, {counted.get('traps', 0)} traps; machine code {pool}",
        markup=False,
    )
    if not state.guests:
        return
    table = Table(box=None, pad_edge=False)
    for title, right in (
        ("PID", True), ("USER", False), ("STATE", False), ("MEMORY", True), ("AGE", True), ("CPU", True),
        ("HOST CALLS", True), ("TRAPS", True), ("IMAGE", False),
    ):  # fmt: skip
        table.add_column(title, justify="right" if right else "left", no_wrap=True)
    for guest in state.guests:
        table.add_row(
            str(guest.pid), guest.user, guest.state, _bytes(guest.memory), _time(guest.age),
            f"{guest.cpu:.2f} s", str(guest.counts.get("host_calls", 0)),
            str(guest.counts.get("traps", 0)), _plain(guest.image),
        )  # fmt: skip
    console.print()
    console.print(table)


def _plain(text: str) -> str:
    """A guest chooses its argv[0]: no control characters, no markup."""
    from rich.markup import escape

    return escape("".join(c if c.isprintable() else "?" for c in text))


def _bytes(number: int) -> str:
    for unit, size in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if number >= size:
            return f"{number / size:.1f} {unit}"
    return f"{number} B"


def _time(seconds: int) -> str:
    hours, rest = divmod(seconds, 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}"
