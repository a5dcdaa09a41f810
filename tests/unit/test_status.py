# SPDX-License-Identifier: GPL-2.0-only
"""What `pywasmjit status` makes of /proc/wasm."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pywasmjit import __version__, status
from pywasmjit.errors import HostUnavailableError
from pywasmjit.system import System

TOTALS = f"""\
version {__version__}
interface 1
guests 2
loads 3
host_calls 12345
traps 1
pool_bytes 8388608
pool_used 1048576
something_new 7
"""
COLUMNS = "# pid uid state pages age_s cpu_ms host_calls traps new image\n"
GUESTS = COLUMNS + (
    "41 0 running 1024 3725 1500 12000 0 9 /srv/nginx.wasm\n"
    r"42 4294967294 outside 0 1 0 345 1 9 a\040b\134c\012[bold]" + "\n"
)


@pytest.fixture
def system(tmp_path: Path) -> System:
    system = System(tmp_path, "6.1.0", "x86_64")
    for name, text in (
        ("sys/module/wasm/version", __version__), ("dev/wasm", ""),
        ("proc/wasm/totals", TOTALS), ("proc/wasm/guests", GUESTS),
    ):  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return system


def test_read(system: System) -> None:
    state = status.read(system)
    assert state.loaded and state.version == __version__
    assert state.totals["host_calls"] == 12345 and state.totals["something_new"] == 7
    first, second = state.guests
    assert (first.pid, first.user, first.memory, first.age, first.cpu) == (41, "root", 64 << 20, 3725, 1.5)
    assert first.counts == {"host_calls": 12000, "traps": 0, "new": 9}
    assert second.image == "a b\\c\n[bold]"
    assert second.user == "4294967294"


def test_show(system: System, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    status.show(status.read(system))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"wasm {__version__}; /dev/wasm: ")
    assert "12345 host calls, 1 traps; machine code 1.0 MiB of 8.0 MiB" in lines[1]
    assert lines[3].split() == ["PID", "USER", "STATE", "MEMORY", "AGE", "CPU", "HOST", "CALLS", "TRAPS", "IMAGE"]
    assert lines[4].split() == ["41", "root", "running", "64.0", "MiB", "1:02:05", "1.50", "s", "12000", "0", "/srv/nginx.wasm"]
    # What a guest calls itself cannot draw on the terminal.
    assert lines[5].rstrip().endswith("a b\\c?[bold]")


def test_json(system: System) -> None:
    document = json.loads(status.as_json(status.read(system)))
    assert document["loaded"] is True
    assert document["guests"][0]["image"] == "/srv/nginx.wasm"


def test_not_loaded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state = status.read(System(tmp_path, "6.1.0", "x86_64"))
    assert not state.loaded
    status.show(state)
    assert "sudo pywasmjit insmod" in capsys.readouterr().out


def test_a_module_without_counters(system: System) -> None:
    system.path("/proc/wasm/totals").unlink()
    with pytest.raises(HostUnavailableError, match="has no /proc/wasm/totals"):
        status.read(system)
