# SPDX-License-Identifier: GPL-2.0-only
"""Calendar, time zones, strftime and strptime of the host layer.

Compared with Python's own arithmetic, with zoneinfo and glibc where they define the same,
and with musl's strftime and strptime, compiled from Emscripten's copy of the source.
"""

from __future__ import annotations

import dataclasses
import datetime
import os
import random
import shutil
import struct
import time
import zoneinfo
from collections.abc import Iterator
from pathlib import Path

import host_driver
import libc_time
import pytest
from host_driver import Driver, Tm, Word, decode
from hypothesis import given, settings
from hypothesis import strategies as st

ZONEINFO = Path("/usr/share/zoneinfo")
UTC = datetime.UTC
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=UTC)
YEARS_400 = 146097 * 86400
EOVERFLOW, EINTR, ENOMEM, EINVAL = 75, 4, 12, 22

needs_zones = pytest.mark.skipif(not ZONEINFO.is_dir(), reason="no tzdata")


@pytest.fixture(scope="module")
def driver() -> Iterator[Driver]:
    with Driver() as process:
        yield process


@pytest.fixture
def glibc_zone() -> Iterator[object]:
    """Call it with a value of TZ to set glibc's."""
    before = os.environ.get("TZ")

    def set_zone(tz: str) -> None:
        os.environ["TZ"] = tz
        time.tzset()

    yield set_zone
    if before is None:
        os.environ.pop("TZ", None)
    else:
        os.environ["TZ"] = before
    time.tzset()


def calendar(t: int) -> Tm:
    """gmtime in Python, for any t."""
    cycles, rest = divmod(t, YEARS_400)
    when = EPOCH + datetime.timedelta(seconds=rest)
    tuple_ = when.timetuple()
    return Tm(when.second, when.minute, when.hour, when.day, when.month - 1,
              when.year - 1900 + 400 * cycles, (when.weekday() + 1) % 7, tuple_.tm_yday - 1,
              0, 0, "GMT")


def seconds(tm: Tm) -> int:
    """timegm in Python, for any fields."""
    carry, month = divmod(tm.mon, 12)
    cycles, year = divmod(1900 + tm.year + carry - 2000, 400)
    days = datetime.date(2000 + year, month + 1, 1).toordinal() - EPOCH.toordinal()
    return (cycles * YEARS_400 + (days + tm.mday - 1) * 86400 + tm.hour * 3600 + tm.min * 60
            + tm.sec)


# ---- The calendar ----

s32 = st.integers(-(2**31), 2**31 - 1)
FIRST, LAST = seconds(Tm(year=-(2**31))), seconds(Tm(year=2**31 - 1, mon=11, mday=31, hour=23,
                                                     min=59, sec=59))


@settings(deadline=None, max_examples=400)
@given(t=st.one_of(st.integers(-(2**63), 2**63 - 1), st.integers(FIRST, LAST),
                   st.integers(-(10**11), 10**11),
                   st.sampled_from([FIRST, FIRST - 1, LAST, LAST + 1, -1, 0, -(2**63), 2**63 - 1])))
def test_gmtime(driver: Driver, t: int) -> None:
    answer = driver.run("gmtime", t)
    if FIRST <= t <= LAST:
        assert answer[0] == "0" and Tm.parse(answer[1:]) == calendar(t)
    else:
        assert int(answer[0]) == -EOVERFLOW


@settings(deadline=None, max_examples=400)
@given(small=st.booleans(), fields=st.tuples(s32, s32, s32, s32, s32, s32))
def test_timegm_normalises(driver: Driver, small: bool, fields: tuple[int, ...]) -> None:
    if small:
        fields = tuple(f % 4001 - 2000 for f in fields)
    sec, minute, hour, mday, mon, year = fields
    tm = Tm(sec, minute, hour, mday, mon, year)
    answer = driver.run("timegm", *tm.words())
    t = seconds(tm)
    if FIRST <= t <= LAST:
        assert answer[:2] == ["0", str(t)] and Tm.parse(answer[2:]) == calendar(t)
    else:
        # The structure is left as it was.
        assert int(answer[0]) == -EOVERFLOW and Tm.parse(answer[2:]) == tm


# ---- Zones from files ----

def all_zones() -> list[str]:
    names = zoneinfo.available_timezones()
    return sorted(name for name in names if (ZONEINFO / name).is_file())


def load_zone(name: str) -> zoneinfo.ZoneInfo:
    with open(ZONEINFO / name, "rb") as file:
        return zoneinfo.ZoneInfo.from_file(file)


def expected_local(zone: datetime.tzinfo, t: int) -> tuple[object, ...]:
    local = (EPOCH + datetime.timedelta(seconds=t)).astimezone(zone)
    offset, dst = local.utcoffset(), local.dst()
    assert offset is not None
    return (local.year, local.month, local.day, local.hour, local.minute, local.second,
            (local.weekday() + 1) % 7, local.timetuple().tm_yday - 1,
            int(offset.total_seconds()), bool(dst), local.tzname())


def actual_local(answer: list[str]) -> tuple[object, ...]:
    assert answer[0] == "0"
    tm = Tm.parse(answer[1:])
    return (tm.year + 1900, tm.mon + 1, tm.mday, tm.hour, tm.min, tm.sec, tm.wday, tm.yday,
            tm.gmtoff, bool(tm.isdst), tm.zone)


def transitions(name: str) -> list[int]:
    """The times in the second part of a TZif file."""
    data = (ZONEINFO / name).read_bytes()

    def header(at: int) -> tuple[int, ...]:
        return struct.unpack(">6I", data[at + 20 : at + 44])

    isut, isstd, leaps, count, types, chars = header(0)
    at = 44 + count * 5 + types * 6 + chars + leaps * 8 + isstd + isut
    count = header(at)[3]
    return list(struct.unpack(f">{count}q", data[at + 44 : at + 44 + 8 * count]))


@needs_zones
def test_localtime_in_all_zones(driver: Driver) -> None:
    rng = random.Random(1)
    commands: list[tuple[str, tuple[Word, ...]]] = []
    expected = []
    for name in all_zones():
        zone = load_zone(name)
        times = [rng.randrange(-5 * 10**9, 10**10) for _ in range(8)]
        for t in rng.sample(transitions(name), min(4, len(transitions(name)))):
            if t > -6 * 10**10:
                times += [t - 1, t]
        for t in times:
            commands.append(("localtime", (name, None, t)))
            expected.append((name, t, expected_local(zone, t)))
    for (name, t, want), answer in zip(expected, driver.run_all(commands), strict=True):
        assert actual_local(answer) == want, (name, t)


YEARLY = (
    "America/New_York", "Europe/Berlin", "Europe/Dublin", "Europe/London", "Australia/Lord_Howe",
    "Antarctica/Troll", "America/Havana", "Pacific/Chatham", "Africa/Casablanca",
)
ODD = ("Asia/Kathmandu", "Pacific/Apia", "America/Caracas", "Asia/Tokyo", "UTC", "Africa/Monrovia")


def mktime_words(name: str, when: datetime.datetime, isdst: int) -> tuple[Word, ...]:
    tm = Tm(when.second, when.minute, when.hour, when.day, when.month - 1, when.year - 1900,
            isdst=isdst)
    return (name, None, *tm.words())


@needs_zones
@pytest.mark.parametrize("name", YEARLY + ODD)
def test_mktime_guesses_as_pep_495_does(driver: Driver, name: str) -> None:
    """isdst -1: fold 0.  Near changes of the clock, gaps and repeated hours included."""
    rng = random.Random(2)
    zone = load_zone(name)
    whens = []
    for t in rng.sample(transitions(name), min(40, len(transitions(name)))):
        if t < -6 * 10**10:
            continue
        naive = (EPOCH + datetime.timedelta(seconds=t)).replace(tzinfo=None)
        whens += [naive + datetime.timedelta(seconds=rng.randrange(-50000, 50000))
                  for _ in range(6)]
    whens += [datetime.datetime(2040, 1, 1) + datetime.timedelta(seconds=rng.randrange(10**9))
              for _ in range(50)]
    commands = [("mktime", mktime_words(name, when, -1)) for when in whens]
    for when, answer in zip(whens, driver.run_all(commands), strict=True):
        t = (when.replace(tzinfo=zone).astimezone(UTC) - EPOCH) // datetime.timedelta(seconds=1)
        assert answer[:2] == ["0", str(t)], (name, when)
        assert actual_local(["0", *answer[2:]]) == expected_local(zone, t)


@needs_zones
@pytest.mark.parametrize("name", YEARLY)
def test_mktime_heeds_isdst_in_a_repeated_hour(driver: Driver, name: str) -> None:
    """localtime and mktime are inverse, wherever isdst tells the two times apart."""
    rng = random.Random(3)
    times = [t + rng.randrange(-7200, 7200) for t in transitions(name)[-60:] for _ in range(4)]
    local = driver.run_all([("localtime", (name, None, t)) for t in times])
    tms = [Tm.parse(answer[1:]) for answer in local]
    back = driver.run_all([("mktime", (name, None, *tm.words())) for tm in tms])
    zone = load_zone(name)
    for t, tm, answer in zip(times, tms, back, strict=True):
        got = int(answer[1])
        if got == t:
            continue
        # Only where the same local time with the same isdst occurs twice.
        assert expected_local(zone, got)[:6] == expected_local(zone, t)[:6]
        assert Tm.parse(answer[2:]).isdst == tm.isdst


@needs_zones
@pytest.mark.parametrize("name", ("America/New_York", "Europe/Berlin", "Europe/London"))
@pytest.mark.parametrize("isdst", (0, 1))
def test_mktime_corrects_a_wrong_isdst(driver: Driver, glibc_zone: object, name: str,
                                       isdst: int) -> None:
    glibc_zone(name)  # type: ignore[operator]
    rng = random.Random(4)
    whens = [datetime.datetime(1990, 1, 1) + datetime.timedelta(seconds=rng.randrange(10**9))
             for _ in range(200)]
    answers = driver.run_all([("mktime", mktime_words(name, when, isdst)) for when in whens])
    for when, answer in zip(whens, answers, strict=True):
        t = time.mktime((*when.timetuple()[:6], 0, 0, isdst))
        assert int(answer[1]) == int(t), when


def test_mktime_in_the_gap(driver: Driver) -> None:
    """02:30 on the last Sunday of March 2021 does not exist in Berlin."""
    if not ZONEINFO.is_dir():
        pytest.skip("no tzdata")
    when = datetime.datetime(2021, 3, 28, 2, 30)
    results = [driver.run("mktime", *mktime_words("Europe/Berlin", when, isdst))
               for isdst in (-1, 0, 1)]
    assert [int(r[1]) for r in results] == [1616895000, 1616895000, 1616891400]
    assert [Tm.parse(r[2:]).hour for r in results] == [3, 3, 1]


@needs_zones
@pytest.mark.skipif(not (ZONEINFO / "right/UTC").exists(), reason="no leap second zones")
def test_leap_seconds(driver: Driver, glibc_zone: object) -> None:
    for name in ("right/UTC", "right/Europe/Berlin"):
        glibc_zone(name)  # type: ignore[operator]
        # 1972-06-30, 1990-12-31, 2016-12-31: the first, one between and the last.
        for leap in (78796800, 662688015, 1483228826, 0, 1700000000):
            for t in range(leap - 2, leap + 3):
                tm = Tm.parse(driver.run("localtime", name, None, t)[1:])
                want = time.localtime(t)
                assert (tm.year + 1900, tm.mon + 1, tm.mday, tm.hour, tm.min, tm.sec) == want[:6]
                if tm.sec < 60:
                    back = driver.run("mktime", name, None, *tm.words())
                    assert int(back[1]) == t


# ---- POSIX TZ strings ----

def offsets(hours: int) -> st.SearchStrategy[str]:
    minutes = st.one_of(st.just(""), st.integers(0, 59).map(":{:02d}".format),
                        st.tuples(st.integers(0, 59), st.integers(0, 59)).map(
                            lambda p: f":{p[0]:02d}:{p[1]:02d}"))
    return st.tuples(st.sampled_from(["", "-", "+"]), st.integers(0, hours), minutes).map(
        lambda p: f"{p[0]}{p[1]}{p[2]}")


names = st.sampled_from(["EST", "CEST", "ABCDEF", "<+03>", "<-0330>", "<A1B>"])


def days(first: int, last: int) -> st.SearchStrategy[str]:
    """Days of these months, in the three notations."""
    return st.one_of(
        st.tuples(st.integers(first, last), st.integers(1, 5), st.integers(0, 6)).map(
            lambda p: "M{}.{}.{}".format(*p)),
        st.integers((first - 1) * 30 + 1, last * 30).map("J{}".format),
        st.integers((first - 1) * 30, last * 30).map(str),
    )


def changes(first: int, last: int) -> st.SearchStrategy[str]:
    return st.tuples(days(first, last), st.one_of(st.just(""), offsets(167).map("/{}".format))).map(
        "".join)


# The changes are apart from each other and from new year: elsewhere glibc itself errs.
rules = st.tuples(changes(2, 4), changes(7, 10), st.booleans()).map(
    lambda p: f",{p[1]},{p[0]}" if p[2] else f",{p[0]},{p[1]}")
tz_strings = st.one_of(
    st.tuples(names, offsets(14)).map("".join),
    st.tuples(names, offsets(14), names, st.one_of(st.just(""), offsets(14)), rules).map("".join),
)


@settings(deadline=None, max_examples=300)
@given(tz=tz_strings, times=st.lists(st.integers(5 * 10**7, 8 * 10**9), min_size=6, max_size=6))
def test_tz_strings_as_in_glibc(driver: Driver, tz: str, times: list[int]) -> None:
    before = os.environ.get("TZ")
    os.environ["TZ"] = tz
    time.tzset()
    want = [time.localtime(t) for t in times]
    os.environ["TZ"] = before or ""
    if before is None:
        del os.environ["TZ"]
    time.tzset()
    answers = driver.run_all([("localtime", (tz, None, t)) for t in times])
    for t, w, answer in zip(times, want, answers, strict=True):
        tm = Tm.parse(answer[1:])
        got = (tm.year + 1900, tm.mon + 1, tm.mday, tm.hour, tm.min, tm.sec, tm.gmtoff,
               tm.isdst, tm.zone)
        assert got == (*w[:6], w.tm_gmtoff, w.tm_isdst, w.tm_zone), (tz, t)


@pytest.mark.parametrize(("tz", "t", "offset", "zone", "isdst"), [
    ("<+03>-3", 0, 10800, "+03", 0),
    ("EST5EDT", 1700000000 - 86400 * 120, -14400, "EDT", 1),
    ("EST5EDT,M3.2.0,M11.1.0", 1700000000, -18000, "EST", 0),
    # All year: the end is the start of the next year's (RFC 8536 section 3.3.1).
    ("EST5EDT,0/0,J365/25", 1700000000, -14400, "EDT", 1),
    ("EST5EDT,0/0,J365/25", 1704067200 + 4 * 3600, -14400, "EDT", 1),
    # Winter as daylight saving time, Dublin's law.
    ("IST-1GMT0,M10.5.0,M3.5.0/1", 1700000000, 0, "GMT", 1),
    # Hours outside the day: Godthab's Saturday evening, Gaza's.
    ("<-02>2<-01>,M3.5.0/-1,M10.5.0/0", 1711846800 - 1, -7200, "-02", 0),
    ("<-02>2<-01>,M3.5.0/-1,M10.5.0/0", 1711846800, -3600, "-01", 1),
    ("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA0", 0, 0, "A" * 31, 0),
    ("", 0, 0, "UTC", 0),
    ("UTC0", 0, 0, "UTC", 0),
    # What is no zone is UTC.
    ("Nowhere/Atall", 0, 0, "UTC", 0),
    ("AB3", 0, 0, "UTC", 0),
    ("EST", 0, -18000, "EST", 0),          # a file
    ("ESTX", 0, 0, "UTC", 0),
    ("EST25", 0, 0, "UTC", 0),
    ("EST5EDT,M13.1.0,M11.1.0", 0, 0, "UTC", 0),
    ("EST5EDT,M3.2.0", 0, 0, "UTC", 0),
    ("EST5EDT,J0,J1", 0, 0, "UTC", 0),
    ("EST5EDT,M3.2.0/168,M11.1.0", 0, 0, "UTC", 0),
    ("EST5EDT,M3.2.0,M11.1.0,", 0, 0, "UTC", 0),
    ("<EST5", 0, 0, "UTC", 0),
    (":EST5EDT,M3.2.0,M11.1.0", 0, 0, "UTC", 0),
    ("../../../etc/passwd", 0, 0, "UTC", 0),
    ("A" * 5000, 0, 0, "UTC", 0),
])
def test_tz_string(driver: Driver, tz: str, t: int, offset: int, zone: str, isdst: int) -> None:
    if tz in ("EST", "EST5EDT") and not (ZONEINFO / tz).exists():
        pytest.skip("no such file in this tzdata")
    tm = Tm.parse(driver.run("localtime", tz, None, t)[1:])
    if tz != "EST":                        # whose daylight saving time tzdata changed lately
        assert (tm.gmtoff, tm.zone, tm.isdst) == (offset, zone, isdst)
    else:
        assert (tm.gmtoff, tm.zone) == (offset, zone)


@needs_zones
def test_forms_of_tz(driver: Driver, tmp_path: Path) -> None:
    def zone_of(tz: str | None, tzdir: str | None = None) -> str:
        return Tm.parse(driver.run("localtime", tz, tzdir, 1700000000)[1:]).zone

    assert zone_of("Europe/Berlin") == "CET"
    assert zone_of(":Europe/Berlin") == "CET"
    assert zone_of("/usr/share/zoneinfo/Europe/Berlin") == "CET"
    assert zone_of(":/usr/share/zoneinfo/Asia/Tokyo") == "JST"
    (tmp_path / "Europe").mkdir()
    shutil.copy(ZONEINFO / "Asia/Tokyo", tmp_path / "Europe/Berlin")
    assert zone_of("Europe/Berlin", str(tmp_path)) == "JST"
    assert zone_of("Europe/Berlin", "relative") == "CET"
    # Neither directories nor FIFOs are read.
    os.mkfifo(tmp_path / "fifo")
    assert zone_of(f":{tmp_path}/fifo") == "UTC"
    assert zone_of(f":{tmp_path}") == "UTC"
    local = Path("/etc/localtime")
    if local.exists():
        assert zone_of(None) == zone_of(f":{local.resolve()}")


@needs_zones
@pytest.mark.parametrize("name", (*YEARLY, "Asia/Kathmandu", "America/Sao_Paulo", "UTC"))
def test_tzset(driver: Driver, name: str) -> None:
    answer = driver.run("tzinfo", name, None)
    zone = load_zone(name)
    winter, summer = (expected_local(zone, t) for t in (1704067200, 1720000000))
    std, dst = (summer, winter) if winter[9] else (winter, summer)
    assert answer[0] == "0" and int(answer[1]) == -int(str(std[8]))
    assert int(answer[2]) == (winter[8] != summer[8])
    assert [decode(w) for w in answer[3:]] == [str(std[10]).encode(), str(dst[10]).encode()]


@needs_zones
def test_zone_file_is_read_again_when_it_changes(tmp_path: Path) -> None:
    def install(name: str) -> None:
        shutil.copy(ZONEINFO / name, tmp_path / "new")
        os.replace(tmp_path / "new", tmp_path / "Zone")

    with Driver() as driver:
        def zone() -> str:
            return Tm.parse(driver.run("localtime", "Zone", str(tmp_path), 1700000000)[1:]).zone

        now = 0

        def wait() -> None:
            nonlocal now
            now += 1_100_000_000
            driver.run("clock", now)

        install("Asia/Tokyo")
        assert zone() == "JST"
        install("Europe/Berlin")
        assert zone() == "JST"
        assert driver.stats()[0] == 1      # the clock was read, the file was not
        wait()
        assert zone() == "CET"
        # chroot
        os.unlink(tmp_path / "Zone")
        wait()
        assert zone() == "CET"
        # Half an update
        (tmp_path / "Zone").write_bytes(b"TZif2")
        wait()
        assert zone() == "CET"
        install("Asia/Tokyo")
        wait()
        assert zone() == "JST"
        # fork
        os.unlink(tmp_path / "Zone")
        assert driver.run("tzclone") == ["0"]
        wait()
        assert zone() == "JST"
        # A file that appears late
        assert driver.run("localtime", "Late/Zone", str(tmp_path), 0)[-1] == "x" + b"UTC".hex()
        (tmp_path / "Late").mkdir()
        shutil.copy(ZONEINFO / "Asia/Tokyo", tmp_path / "Late/Zone")
        wait()
        assert driver.run("localtime", "Late/Zone", str(tmp_path), 0)[-1] == "x" + b"JST".hex()


@needs_zones
def test_zone_cache_is_bounded(driver: Driver) -> None:
    before = driver.stats()[3]
    for name in all_zones()[:60]:
        driver.run("localtime", name, None, 0)
    assert driver.stats()[3] <= max(before, 2 * 4)
    # An interrupted read, and no memory: nothing is lost, the answer is right afterwards.
    for kind, error in (("call", -EINTR), ("call", -512), ("alloc", 0)):
        for count in range(100):
            driver.run("tzreset")
            driver.fault(kind, count, error)
            answer = driver.run("localtime", "Europe/Berlin", None, 0)
            calls, allocations, _, blocks = driver.stats()
            if (calls if kind == "call" else allocations) <= count:
                assert answer[0] == "0"
                break
            assert int(answer[0]) == (error or -ENOMEM)
            assert blocks == 0
            assert Tm.parse(driver.run("localtime", "Europe/Berlin", None, 0)[1:]).zone == "CET"
        else:
            pytest.fail("the faults never ended")
        assert count > 3


def tzif(version: bytes = b"2", *, times: list[int] | None = None, indices: bytes = b"\1\0",
         types: list[tuple[int, int, int]] | None = None, chars: bytes = b"AAA\0BBB\0",
         leaps: list[tuple[int, int]] | None = None, footer: bytes = b"\nAAA0\n",
         counts: tuple[int, ...] | None = None) -> bytes:
    """A TZif file; the first part is empty from version 2 on, as zic -b slim leaves it."""
    times = [1000, 2000] if times is None else times
    types = types or [(0, 0, 0), (3600, 1, 4)]
    leaps = leaps or []
    width = "i" if version == b"\0" else "q"
    body = struct.pack(f">{len(times)}{width}", *times) + indices
    body += b"".join(struct.pack(">iBB", *t) for t in types) + chars
    body += b"".join(struct.pack(f">{width}i", *leap) for leap in leaps)
    real = counts or (0, 0, len(leaps), len(times), len(types), len(chars))
    header = b"TZif" + version + bytes(15) + struct.pack(">6I", *real)
    if version == b"\0":
        return header + body
    first = b"TZif" + version + bytes(15) + struct.pack(">6I", 0, 0, 0, 0, 1, 1) + bytes(7)
    return first + header + body + footer


GOOD = {
    "version 1": tzif(b"\0"),
    "version 2": tzif(),
    "version 4": tzif(b"4"),
    "no changes": tzif(times=[], indices=b"", footer=b"\nBBB-1\n"),
    "no footer": tzif(footer=b"\n\n"),
    "footer missing": tzif(footer=b""),
    "old times": tzif(times=[-(2**63), 2000]),
    "leap second": tzif(leaps=[(78796800, 1), (94694401, 2)]),
}
BAD = {
    "empty": b"",
    "magic": b"tzif" + tzif()[4:],
    "version 1 cut": tzif(b"\0")[:-1],
    "version 2 cut": tzif(footer=b"")[:-1],
    "no second header": tzif()[:60],
    "no types": tzif(counts=(0, 0, 0, 2, 0, 8)),
    "no names": tzif(counts=(0, 0, 0, 2, 2, 0)),
    "huge counts": tzif(counts=(2**32 - 1,) * 6),
    "counts that overflow": tzif(counts=(0, 0, 2**32 - 1, 2**32 - 1, 2, 8)),
    "type index": tzif(indices=b"\2\0"),
    "name index": tzif(types=[(0, 0, 8), (3600, 1, 4)]),
    "name without NUL": tzif(chars=b"AAA\0BBBB"),
    "offset": tzif(types=[(10**6, 0, 0), (3600, 1, 4)]),
    "isdst": tzif(types=[(0, 2, 0), (3600, 1, 4)]),
    "descending": tzif(times=[2000, 1000]),
    "equal": tzif(times=[2000, 2000]),
    "leaps descending": tzif(leaps=[(94694401, 1), (78796800, 2)]),
    "footer": tzif(footer=b"\nAAA\n"),
    "footer without newline": tzif(footer=b"\nAAA0"),
    "footer with NUL": tzif(footer=b"\nAAA0\0\n"),
    "too large": tzif() + bytes(70000),
}


@pytest.mark.parametrize("case", sorted(GOOD))
def test_tzif_accepted(driver: Driver, tmp_path: Path, case: str) -> None:
    (tmp_path / "zone").write_bytes(GOOD[case])
    tm = Tm.parse(driver.run("localtime", f":{tmp_path}/zone", None, 1500)[1:])
    assert tm.zone == "BBB" and tm.gmtoff == 3600


@pytest.mark.parametrize("case", sorted(BAD))
def test_tzif_refused(driver: Driver, tmp_path: Path, case: str) -> None:
    (tmp_path / "zone").write_bytes(BAD[case])
    tm = Tm.parse(driver.run("localtime", f":{tmp_path}/zone", None, 1500)[1:])
    assert tm.zone == "UTC" and tm.gmtoff == 0


# ---- strftime ----

CONVERSIONS = "aAbBcCdDeFgGhHIjmMnprRsStTuUVwWxXyYzZ%"


def random_tm(rng: random.Random) -> Tm:
    t = rng.randrange(-(10**11), 4 * 10**11) if rng.random() < 0.5 else rng.randrange(2**31)
    return dataclasses.replace(
        calendar(t), isdst=rng.choice([0, 1, -1]), gmtoff=rng.choice([0, 3600, -12600, 45900]),
        zone=rng.choice(["", "UTC", "CEST"]))


def compare_strftime(driver: Driver, libc: libc_time.Libc,
                     cases: list[tuple[int, str, Tm]]) -> None:
    answers = driver.run_all([("strftime", (size, form, *tm.words()))
                              for size, form, tm in cases])
    for (size, form, tm), answer in zip(cases, answers, strict=True):
        got = (int(answer[0]), decode(answer[1]))
        assert got == libc.strftime(size, form.encode(), tm), (size, form, tm)


def test_strftime_is_musls(driver: Driver) -> None:
    """Flags, widths, modifiers, and what is left in a buffer that is too small."""
    musl = libc_time.musl()
    if musl is None:
        pytest.skip("no musl source")
    rng = random.Random(5)
    cases = []
    for _ in range(5000):
        form = "".join(
            "%" + rng.choice(["", "", "", "-", "_", "0"]) + rng.choice(["", "", "+"])
            + rng.choice(["", "", "", "0", "1", "5", "12"]) + rng.choice(["", "", "E", "O"])
            + rng.choice(CONVERSIONS) + rng.choice(["", " ", "x"])
            for _ in range(rng.randrange(1, 4)))
        cases.append((rng.choice([200, 200, rng.randrange(30)]), form, random_tm(rng)))
    compare_strftime(driver, musl, cases)


def test_strftime_of_fields_out_of_range_is_musls(driver: Driver) -> None:
    musl = libc_time.musl()
    if musl is None:
        pytest.skip("no musl source")
    rng = random.Random(6)
    cases = []
    for _ in range(1000):
        fields = [rng.choice([rng.randrange(-(2**31), 2**31 - 1), rng.randrange(-20, 100)])
                  for _ in range(9)]
        form = "".join(f"%{rng.choice('aAbBCdeHImMpSyYFDTRw')}|" for _ in range(3))
        sec, minute, hour, mday, mon, year, wday, yday, isdst = fields
        # musl adds 1 to the month as an int.
        tm = Tm(sec, minute, hour, mday, min(mon, 2**31 - 2), year, wday, yday, isdst)
        cases.append((200, form, tm))
    compare_strftime(driver, musl, cases)


def test_strftime_is_glibcs_where_both_agree(driver: Driver) -> None:
    rng = random.Random(7)
    cases = [
        (200, f"%{rng.choice('aAbBcdDeFgGhHIjklmMnpPrRStTuUVwWxXyYzZ%')}|",
         dataclasses.replace(calendar(rng.randrange(-2 * 10**10, 2 * 10**11)), zone="CEST"))
        for _ in range(2000)
    ]
    compare_strftime(driver, libc_time.glibc(), cases)


@pytest.mark.parametrize(("form", "result"), [
    ("", b""), ("%", None), ("%Q", None), ("%E", None), ("%5", None), ("a%", None),
    ("%Y-%m-%dT%H:%M:%SZ", b"2001-09-09T01:46:40Z"),
    ("%+4Y|%+5Y|%10F|%_d|%-d|%e", b"2001|+2001|2001-09-09| 9|9| 9"),
    ("%a, %d %b %Y %T GMT", b"Sun, 09 Sep 2001 01:46:40 GMT"),
    ("%99999999999999999999Y", None),
])
def test_strftime_literal(driver: Driver, form: str, result: bytes | None) -> None:
    answer = driver.run("strftime", 100, form, *calendar(10**9).words())
    if result is None:
        assert answer[0] == "0"
    else:
        assert (int(answer[0]), decode(answer[1])) == (len(result), result)


# ---- strptime ----

FORMATS = (
    "%Y-%m-%d %H:%M:%S", "%a, %d %b %Y %T GMT", "%c", "%D %R", "%F %T", "%d/%b/%Y:%H:%M:%S %z",
    "%A %e %B %Y %I:%M:%S %p", "%y%m%d", "%Y %j", "%s", "%n%x%t%X", "%Y-W%U-%w", "%G %Y %W %u",
    "%C%y %h %d %r", "%Y%m%d %k %l%p", "%d.%m.%Y %Z", "%m/%d/%Ey %OH",
)
MUSL_FORMATS = tuple(f for f in FORMATS if not any(
    c in f for c in ("%F", "%z", "%Z", "%s", "%u", "%G", "%k", "%l", "%E", "%O")))


def texts(libc: libc_time.Libc, forms: tuple[str, ...], count: int, seed: int,
          ) -> list[tuple[bytes, str]]:
    """Dates in the formats, some with a byte changed."""
    rng = random.Random(seed)
    cases = []
    for _ in range(count):
        form = rng.choice(forms)
        tm = dataclasses.replace(calendar(rng.randrange(0, 2**32)), zone="UTC")
        text = bytearray(libc_time.glibc().strftime(200, form.encode(), tm)[1])
        if rng.random() < 0.3 and text:
            text[rng.randrange(len(text))] = rng.choice(b"0123456789 +-AaPpZ:x")
        cases.append((bytes(text), form))
    return cases


def strptime_all(driver: Driver, cases: list[tuple[bytes, str]]) -> list[tuple[int, Tm] | None]:
    answers = driver.run_all([("strptime", (text, form, "UTC0", None, *Tm().words()))
                              for text, form in cases])
    return [None if int(a[0]) < 0 else (int(a[0]), Tm.parse(a[1:])) for a in answers]


def test_strptime_is_glibcs(driver: Driver, glibc_zone: object) -> None:
    glibc_zone("UTC0")  # type: ignore[operator]
    glibc = libc_time.glibc()
    cases = texts(glibc, FORMATS, 3000, 8)
    for (text, form), got in zip(cases, strptime_all(driver, cases), strict=True):
        want = glibc.strptime(text, form.encode(), Tm())
        # Signs and years we take as musl does.  Weeks that reach into another year give
        # glibc a month of 12.
        if want is None or want[1].mon > 11 or want[1].yday < 0:
            continue
        assert got is not None, (text, form)
        assert got[0] == want[0], (text, form)
        assert dataclasses.astuple(got[1])[:10] == dataclasses.astuple(want[1])[:10], (text, form)


def test_strptime_takes_what_musl_takes(driver: Driver) -> None:
    musl = libc_time.musl()
    if musl is None:
        pytest.skip("no musl source")
    cases = texts(musl, MUSL_FORMATS, 3000, 9)
    fields = ("sec", "min", "hour", "year", "isdst", "gmtoff")
    for (text, form), got in zip(cases, strptime_all(driver, cases), strict=True):
        want = musl.strptime(text, form.encode(), Tm())
        if want is None:
            continue
        assert got is not None and got[0] == want[0], (text, form)
        for field in fields:               # the others musl does not derive
            assert getattr(got[1], field) == getattr(want[1], field), (text, form, field)


@pytest.mark.parametrize(("text", "form", "used"), [
    ("", "", 0), ("x", "", 0), ("", "%Y", None), ("2001", "%Y", 4), ("20011", "%Y", 4),
    ("  2001", "%Y", 6), ("-5", "%Y", 2), ("99999999999", "%11Y", None), ("%", "%%", 1),
    ("x", "%%", None), ("%2001%", "%%%Y%%", 6), ("x", "%", None), ("x", "%Q", None),
    # As many digits as can be right.
    ("13", "%m", None), ("12", "%m", 2), ("23", "%m", 1), ("230", "%m%d", 3), ("0", "%d", None),
    ("60", "%M", 1), ("60", "%S", 2), ("61", "%S", None), ("24", "%H", None), ("0", "%I", None),
    ("367", "%j", None), ("8", "%u", None), ("sEPtember", "%b", 9), ("sep", "%B", 3),
    ("Se", "%b", None), ("PM", "%p", 2), ("XM", "%p", None), ("+01:30", "%z", 6), ("Z", "%z", 1),
    ("+1", "%z", None), ("+9900", "%z", 5), ("+0160", "%z", None),
    ("99999999999999999999", "%s", None), ("-1", "%s", 2), ("a b", "a b", 3), ("a  b", "a b", 4),
    ("ab", "a b", 2), ("CET x", "%Z", 3),
])
def test_strptime_literal(driver: Driver, text: str, form: str, used: int | None) -> None:
    answer = driver.run("strptime", text, form, "UTC0", None, *Tm().words())
    assert int(answer[0]) == (-EINVAL if used is None else used)


@pytest.mark.parametrize(("text", "form", "want"), [
    ("2024-060", "%Y-%j", Tm(mon=1, mday=29, year=124, wday=4, yday=59)),
    ("2024 Feb 29", "%Y %b %d", Tm(mon=1, mday=29, year=124, wday=4, yday=59)),
    ("PM 11", "%p %I", Tm(hour=23)),
    ("12 AM", "%I %p", Tm(hour=0)),
    ("12 PM", "%I %p", Tm(hour=12)),
    ("68", "%y", Tm(year=168)),
    ("69", "%y", Tm(year=69)),
    ("1868", "%C%y", Tm(year=-32)),
    ("-0330", "%z", Tm(gmtoff=-12600)),
    ("1000000000", "%s", dataclasses.replace(calendar(10**9), zone="UTC")),
])
def test_strptime_derives(driver: Driver, text: str, form: str, want: Tm) -> None:
    answer = driver.run("strptime", text, form, "UTC0", None, *Tm().words())
    assert int(answer[0]) == len(text) and Tm.parse(answer[1:]) == want


# ---- Hostile input ----

def test_fuzz_tzif(tmp_path: Path) -> None:
    files = []
    for i, data in enumerate(GOOD.values()):
        files.append(tmp_path / f"good{i}")
        files[-1].write_bytes(data)
    for name in ("Europe/Dublin", "America/Nuuk", "right/UTC"):
        if (ZONEINFO / name).exists():
            files.append(ZONEINFO / name)
    host_driver.fuzz("tzif", 20000, 1, files)


def test_fuzz_tz_strings(tmp_path: Path) -> None:
    seeds = ["EST5EDT,M3.2.0,M11.1.0", "<+03>-3", "IST-1GMT0,M10.5.0,M3.5.0/1",
             "A1B-12:34:56<-01>,J60/-167:59:59,365/167", f"<{'A' * 60}>0{'B' * 40}"]
    files = []
    for i, text in enumerate(seeds):
        files.append(tmp_path / f"rule{i}")
        files[-1].write_text(text)
    host_driver.fuzz("rule", 40000, 2, files)


def test_fuzz_formats(tmp_path: Path) -> None:
    files = []
    for i, form in enumerate(FORMATS):
        text = libc_time.glibc().strftime(200, form.encode(), calendar(10**9))[1]
        files.append(tmp_path / f"format{i}")
        files[-1].write_bytes(form.encode() + b"\0" + text + b"\0")
    files.append(tmp_path / "widths")
    files[-1].write_bytes(b"%+12Y%010G%-5C%_F%E9%Ox%99999999999Y\0x\0")
    host_driver.fuzz("format", 60000, 3, files)
