# SPDX-License-Identifier: GPL-2.0-only
"""strftime, strptime and mktime of glibc and of musl, to compare with."""

from __future__ import annotations

import ctypes
import functools
import subprocess
import tempfile
from pathlib import Path

from host_driver import C_DIR, Tm

MUSL = Path("/usr/share/emscripten/system/lib/libc/musl/src/time")


class StructTm(ctypes.Structure):
    """struct tm on 64-bit Linux, glibc's."""

    _fields_ = (
        *((f"tm_{name}", ctypes.c_int)
          for name in ("sec", "min", "hour", "mday", "mon", "year", "wday", "yday", "isdst")),
        ("tm_gmtoff", ctypes.c_long),
        ("tm_zone", ctypes.c_char_p),
    )

    @classmethod
    def of(cls, tm: Tm) -> StructTm:
        return cls(tm.sec, tm.min, tm.hour, tm.mday, tm.mon, tm.year, tm.wday, tm.yday,
                   tm.isdst, tm.gmtoff, tm.zone.encode())

    def to_tm(self) -> Tm:
        return Tm(self.tm_sec, self.tm_min, self.tm_hour, self.tm_mday, self.tm_mon,
                  self.tm_year, self.tm_wday, self.tm_yday, self.tm_isdst, self.tm_gmtoff,
                  (self.tm_zone or b"").decode())


class Libc:
    """One C library's functions, in the C locale (Python sets no other for LC_TIME)."""

    def __init__(self, library: ctypes.CDLL, prefix: str = "") -> None:
        self._strftime = getattr(library, prefix + "strftime")
        self._strftime.restype = ctypes.c_size_t
        self._strftime.argtypes = (ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p,
                                   ctypes.POINTER(StructTm))
        self._strptime = getattr(library, prefix + "strptime")
        self._strptime.restype = ctypes.c_void_p
        self._strptime.argtypes = (ctypes.c_char_p, ctypes.c_char_p, ctypes.POINTER(StructTm))

    def strftime(self, size: int, form: bytes, tm: Tm) -> tuple[int, bytes]:
        """The return value and what the buffer holds up to its NUL."""
        buffer = ctypes.create_string_buffer(size + 1)
        length = self._strftime(buffer, size, form, ctypes.byref(StructTm.of(tm)))
        return length, buffer.raw.split(b"\0")[0]

    def strptime(self, text: bytes, form: bytes, tm: Tm) -> tuple[int, Tm] | None:
        """How many bytes were used, and the fields; None if it does not match."""
        buffer = ctypes.create_string_buffer(text)
        struct = StructTm.of(tm)
        end = self._strptime(ctypes.cast(buffer, ctypes.c_char_p), form, ctypes.byref(struct))
        if end is None:
            return None
        return end - ctypes.addressof(buffer), struct.to_tm()


@functools.cache
def glibc() -> Libc:
    return Libc(ctypes.CDLL(None))


@functools.cache
def musl() -> Libc | None:
    """Compiled from what Debian's emscripten package ships; None without it."""
    if not (MUSL / "strftime.c").exists():
        return None
    directory = Path(tempfile.mkdtemp(prefix="musl_time."))
    (directory / "locale_impl.h").touch()
    library = directory / "musl_time.so"
    sources = ("strftime", "strptime", "__tm_to_secs", "__year_to_secs", "__month_to_secs")
    subprocess.run(
        ["gcc", "-shared", "-fPIC", "-O1", "-w", "-Wl,-Bsymbolic", "-D_GNU_SOURCE", "-include",
         str(C_DIR / "musl_shim.h"), f"-I{directory}", "-o", str(library),
         *(str(MUSL / f"{name}.c") for name in sources)],
        check=True, timeout=60,
    )
    return Libc(ctypes.CDLL(str(library)), "musl_")
