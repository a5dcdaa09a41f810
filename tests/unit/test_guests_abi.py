# SPDX-License-Identifier: GPL-2.0-only
"""kmod/host/abi_*.h and *.def against the compilers."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import gen_abi
import pytest

HOST = Path(__file__).resolve().parents[2] / "kmod" / "host"

needs_emcc = pytest.mark.skipif(shutil.which("emcc") is None, reason="emscripten is not installed")


@needs_emcc
def test_generated_files_are_fresh() -> None:
    for name, text in gen_abi.generate().items():
        assert (HOST / name).read_text() == text, "run python3 scripts/gen_abi.py"


def test_stale_file_is_reported(tmp_path: Path) -> None:
    contents = {"one": "new", "two": "same"}
    (tmp_path / "one").write_text("old")
    (tmp_path / "two").write_text("same")
    reports: list[str] = []
    assert not gen_abi.write_or_check(tmp_path, contents, True, reports.append)
    assert len(reports) == 1
    assert "one" in reports[0]
    assert (tmp_path / "one").read_text() == "old"
    assert not gen_abi.write_or_check(tmp_path, contents, False, reports.append)
    assert gen_abi.write_or_check(tmp_path, contents, True, reports.append)


def macros() -> dict[str, int]:
    text = (HOST / "abi_emscripten.h").read_text()
    found = re.findall(r"^#define WJ_EM_(\w+) \(?(-?\w+)\)?$", text, re.MULTILINE)
    return {name: int(value.rstrip("ul"), 0) for name, value in found}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SIZEOF_time_t", 4),
        ("SIZEOF_off_t", 8),
        ("SIZEOF_ino_t", 8),
        ("SIZEOF_long", 4),
        ("SIZEOF_sigset_t", 128),
        ("SIZEOF_rlim_t", 8),
        ("SIZEOF_jmp_buf", 156),
        ("SIZEOF_stat", 88),
        ("OFF_stat_st_ino", 80),
        ("OFF_stat_st_size", 40),
        ("SIZEOF_sigaction", 140),
        ("OFF_sigaction_sa_flags", 132),
        ("SIZEOF_siginfo", 128),
        ("OFF_siginfo_si_pid", 12),
        ("SIZEOF_epoll_event", 16),
        ("OFF_epoll_event_data", 8),
        ("SIZEOF_msghdr", 28),
        ("SIZEOF_cmsghdr", 12),
        ("SIZEOF_addrinfo", 32),
        ("OFF_addrinfo_ai_addr", 20),
        ("SIZEOF_tm", 44),
        ("SIZEOF_passwd", 28),
        ("SIZEOF_group", 16),
        ("SIZEOF_statfs", 64),
        ("SIZEOF_flock", 32),
        ("OFF_flock_l_len", 16),
        ("PAGE_SIZE", 65536),
        ("EPERM", 63),
        ("ENOENT", 44),
        ("EAI_SYSTEM", -11),
        ("AT_FDCWD", -100),
        ("SA_RESETHAND", 0x80000000),
    ],
)
def test_known_values(name: str, value: int) -> None:
    """What experiments with a working host had found."""
    assert macros()[name] == value


def test_errno_table() -> None:
    lines = re.findall(r"^ERRNO\((\w+), (\d+), (\d+)\)$", (HOST / "abi_errno.def").read_text(), re.MULTILINE)
    linux = [int(value) for _, value, _ in lines]
    assert linux == sorted(set(linux))
    assert [number for number in range(1, 134) if number not in linux] == [41, 58]  # Linux has none there
    known = macros()
    assert all(known[name] == int(value) for name, _, value in lines)


def test_probe_source_and_answers() -> None:
    questions = [gen_abi.Question("ONE", "1"), gen_abi.Question("TWO", "X", "X")]
    source = gen_abi.probe_source(questions, ["stdio.h"])
    assert "#include <stdio.h>" in source
    assert "#ifdef X" in source
    bias, absent = gen_abi.BIAS, gen_abi.ABSENT
    assembly = f"wj_abi:\n\t.int64\t{bias - 7}   # 0x1\n\t.int64\t{bias + absent}\n\n\t.size\n"
    assert gen_abi.parse_assembly(assembly, 2) == [-7, None]
    with pytest.raises(gen_abi.ProbeError, match="asked for 3 values, the assembly has 2"):
        gen_abi.parse_assembly(assembly, 3)
    with pytest.raises(gen_abi.ProbeError, match="no wj_abi"):
        gen_abi.parse_assembly("", 0)


@needs_emcc
def test_compiler_errors_are_shown() -> None:
    with pytest.raises(gen_abi.ProbeError, match="no_such_thing"):
        gen_abi.ask(["gcc"], [gen_abi.Question("A", "no_such_thing")], [])


@pytest.mark.parametrize(
    ("value", "text"),
    [(-1, "(-1)"), (7, "7"), (4096, "0x1000"), (1 << 31, "0x80000000u"), (1 << 40, "0x10000000000ll")],
)
def test_c_number(value: int, text: str) -> None:
    assert gen_abi.c_number(value) == text


@pytest.mark.long
def test_later_emscripten_is_as_it_was() -> None:
    """Emscripten 3.1.69's own answers, in its chroot."""
    for name, text in gen_abi.generate_later(gen_abi.later_chroot()).items():
        assert (HOST / name).read_text() == text, "run python3 scripts/gen_abi.py --later"
