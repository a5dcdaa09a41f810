# SPDX-License-Identifier: GPL-2.0-only
"""The lua shell: setjmp, coroutines, strings, dates, other programs."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

from tests.e2e.conftest import Host

SCRIPT = """
print(pcall(function() error({code = 7}) end))
print(select(2, pcall(error, "message", 0)))
local co = coroutine.wrap(function(a) for i = 1, 3 do a = coroutine.yield(a + i) end return "end" end)
print(co(1), co(10), co(20), co(30))
print(("x"):rep(5), ("%5.2f|%q|%x"):format(math.pi, "a\\nb", 255), ("k=v"):match("(%w+)=(%w+)"))
print(os.date("!%Y-%m-%d %H:%M:%S", 86400 * 365), os.time({year = 2001, month = 9, day = 9, hour = 12}))
print(1 // 0.0 == math.huge, 7 // -2, 7 % -3, 2^53 == 2^53 + 1, math.maxinteger + 1 == math.mininteger)
local pipe = io.popen("echo from the shell; exit 3")
print(pipe:read("a"), pipe:close())
print(os.execute("exit 4"))
table.sort({3, 1, 2}, function(a, b) return a < b end)
print(string.pack("<i4d", 7, 0.5):byte(1, -1))
print(#table.concat(setmetatable({}, {__index = function(_, i) return i end}), ",", 1, 1000))
print(select("#", table.unpack({}, 1, 200)), tostring(1e15), 0x7fffffffffffffff, 1e308 * 10)
goto done
::done::
print(utf8.char(228, 8364), utf8.len("ä€"))
"""


def without_addresses(text: str) -> str:
    return "\n".join(line.split(" 0x")[0] for line in text.splitlines() if "table: 0x" not in line)


def test_same_as_native(host: Host, guest: Callable[[str], Path]) -> None:
    native = subprocess.run(
        ["lua5.4", "-e", SCRIPT], env={"PATH": "/usr/bin:/bin", "TZ": "America/New_York"},
        capture_output=True, text=True, check=True,
    ).stdout
    done = host.run(guest("lua"), "-e", SCRIPT, env={"TZ": "America/New_York"})
    assert done.stderr.decode() == ""
    assert without_addresses(done.stdout.decode()) == without_addresses(native)
    host.assert_engine()


def test_deep_recursion_is_an_error(host: Host, guest: Callable[[str], Path]) -> None:
    script = "local function f() return 1 + f() end print(pcall(f)) print(pcall(string.rep, 'x', -1))"
    done = host.run(guest("lua"), "-e", script)
    assert b"stack overflow" in done.stdout and done.returncode == 0


def test_local_time(host: Host, guest: Callable[[str], Path]) -> None:
    done = host.run(guest("lua"), "-e", "print(os.date('%Y-%m-%d %H:%M %Z', 0))", env={"TZ": "Asia/Tokyo"})
    assert done.stdout.decode() == "1970-01-01 09:00 JST\n"
