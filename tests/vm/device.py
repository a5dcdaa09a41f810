# SPDX-License-Identifier: GPL-2.0-only
"""Misuse of /dev/wasm, run in a machine: prints a line for each attempt, NAME ERRNO.

kmod/linux/uapi.h describes the structures.
"""

import ctypes
import errno
import fcntl
import mmap
import os
import struct
import threading

LOAD, RUN, STATS = 0xC1006A10, 0xC0606A11, 0xC0486A12
LOAD_FORMAT = "<IIQQQQIIIIQIIQQQ4iiIII128s"
RUN_FORMAT = "<IIIIQqIiQ6Q"


def attempt(name, fd, command, argument):
    try:
        fcntl.ioctl(fd, command, argument)
        print(name, "OK", flush=True)
    except OSError as error:
        print(name, errno.errorcode.get(error.errno, error.errno), flush=True)


def run(version=1, op=0, signal=0, reserved=0, siginfo=0, result=0):
    return bytearray(struct.pack(RUN_FORMAT, version, op, signal, reserved, siginfo, result, *[0] * 9))


def load(version=1, flags=0, image=b"", size=None, argv=b"a\0", argc=1, memory=1 << 32, address=None):
    image_buffer = ctypes.create_string_buffer(image, len(image) + 1)
    argv_buffer = ctypes.create_string_buffer(argv, len(argv) + 1)
    packed = struct.pack(
        LOAD_FORMAT, version, flags, address or ctypes.addressof(image_buffer),
        len(image) if size is None else size, ctypes.addressof(argv_buffer), 0, len(argv), 0, argc, 0, 0, 0, 0,
        memory, 0, 0, -1, -1, -1, -1, 0, 0, 0, 0, b"",
    )
    packed = bytearray(packed)
    keep.append((image_buffer, argv_buffer))
    return packed


keep = []
fd = os.open("/dev/wasm", os.O_RDWR)
image = open("/tmp/ring0/hello.img", "rb").read()
for number in (0x1234, RUN + 1, LOAD & 0xFFFF):
    attempt(f"ioctl-{number:x}", fd, number, bytearray(256))
attempt("run-before-load", fd, RUN, run())
attempt("stats-before-load", fd, STATS, bytearray(struct.pack("<II8Q", 1, 0, *[0] * 8)))
attempt("claim-nothing", fd, RUN, run(op=4))
attempt("claim-forged", fd, RUN, run(op=4, result=0x123456789))
attempt("load-version", fd, LOAD, load(version=2))
attempt("load-flags", fd, LOAD, load(flags=0x80))
attempt("load-memory", fd, LOAD, load(memory=1 << 33))
attempt("load-no-arguments", fd, LOAD, load(argc=0, argv=b""))
attempt("load-too-large", fd, LOAD, load(size=1 << 40))
attempt("load-empty", fd, LOAD, load())
attempt("load-bad-address", fd, LOAD, load(image=image, address=0xFFFF_8000_0000_0000))
attempt("load-strings", fd, LOAD, load(image=image, argv=b"a\0b", argc=1))
attempt("load-count", fd, LOAD, load(image=image, argv=b"a\0b\0", argc=3))
attempt("load-garbage", fd, LOAD, load(image=os.urandom(4096)))
attempt("load", fd, LOAD, load(image=image))
attempt("load-again", fd, LOAD, load(image=image))
attempt("run-version", fd, RUN, run(version=9))
attempt("run-op", fd, RUN, run(op=77))
attempt("run-reserved", fd, RUN, run(reserved=1))
attempt("signal-before-start", fd, RUN, run(op=3, signal=10))


def elsewhere():
    attempt("run-in-another-thread", fd, RUN, run())


thread = threading.Thread(target=elsewhere)
thread.start()
thread.join()
pid = os.fork()
if not pid:
    attempt("run-in-a-child", fd, RUN, run())
    attempt("claim-in-a-child", fd, RUN, run(op=4, result=1))
    os._exit(0)
os.waitpid(pid, 0)

# The order can be read but not written: nothing happens.
page = mmap.mmap(-1, 4096)
page[:96] = bytes(run())
address = ctypes.addressof(ctypes.c_char.from_buffer(page))
libc = ctypes.CDLL(None, use_errno=True)
libc.mprotect(ctypes.c_void_p(address), 4096, 1)
status = libc.ioctl(fd, ctypes.c_ulong(RUN), ctypes.c_void_p(address))
print("run-read-only", "OK" if not status else errno.errorcode[ctypes.get_errno()])
attempt("signal-0", fd, RUN, run(op=3, signal=0))
attempt("signal-65", fd, RUN, run(op=3, signal=65))

# Ends: prints, and reports its exit; then again and again.
for order in (run(op=2, result=5), run(), run(op=1), run(op=3, signal=10, siginfo=address)):
    while True:
        try:
            fcntl.ioctl(fd, RUN, order)
            break
        except OSError as error:
            assert 512 <= error.errno <= 516, error
    print("event", struct.unpack(RUN_FORMAT, order)[6], flush=True)
os.close(fd)
