# SPDX-License-Identifier: GPL-2.0-only
"""Another launcher than ours, run in a machine: WHAT IMAGE ARG...; kmod/linux/uapi.h is the protocol.

    rounding    runs the guest with every floating point exception enabled and rounding upwards
    tsync       a second thread adds a seccomp filter to all while the guest runs
    cookies     at a fork, tries the cookie where it must not work, and twice where it does
    no-claim    at a fork, the child never claims its copy
"""

import ctypes
import errno
import fcntl
import os
import struct
import sys
import threading
import time

LOAD, RUN = 0xC1006A10, 0xC0606A11
LOAD_FORMAT = "<IIQQQQIIIIQIIQQQ4iiIII128s"
RUN_FORMAT = "<IIIIQqIiQ6Q"
CONTINUE, INTERRUPTED, RESULT, SIGNAL, CLAIM = range(5)
NONE, EXIT, TRAP, SYSCALL, EXECVE, FORK, HANDLED = range(7)

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
what, path, *words = sys.argv[1:]
first = os.getpid()
device = os.open("/dev/wasm", os.O_RDWR)


def order(op=CONTINUE, result=0):
    signed = (result + (1 << 63)) % (1 << 64) - (1 << 63)  # cookies have 64 bits
    return bytearray(struct.pack(RUN_FORMAT, 1, op, 0, 0, 0, signed, *[0] * 9))


def load():
    image = ctypes.create_string_buffer(open(path, "rb").read())
    argv = ctypes.create_string_buffer(b"".join(word.encode() + b"\0" for word in ["guest", *words]))
    fcntl.ioctl(device, LOAD, bytearray(struct.pack(
        LOAD_FORMAT, 1, 0, ctypes.addressof(image), len(image) - 1, ctypes.addressof(argv), 0,
        len(argv) - 1, 0, len(words) + 1, 0, 0, 0, 0, 1 << 32, 0, 0, -1, -1, -1, -1, 0, 0, 0, 0, b"")))


def attempt(name, *arguments):
    try:
        fcntl.ioctl(device, RUN, order(*arguments))
        print(name, "OK", flush=True)
    except OSError as error:
        print(name, errno.errorcode[error.errno], flush=True)


def fork(cookie):
    """Whether to go on, and with which order."""
    if what == "cookies":
        attempt("in-the-parent", CLAIM, cookie)
        attempt("changed", CLAIM, cookie ^ 1)
    child = os.fork()
    if child:
        return order(RESULT, child)
    if what == "no-claim":
        os._exit(9)
    return order(CLAIM, cookie)


def serve(run):
    cookie = 0
    while True:
        try:
            fcntl.ioctl(device, RUN, run)
        except OSError as error:
            if error.errno == errno.EINTR:
                run = order(INTERRUPTED)
            elif not 512 <= error.errno <= 516:
                raise
            continue
        _, _, _, _, _, _, event, status, number, *arguments = struct.unpack(RUN_FORMAT, run)
        if event == SYSCALL:
            result = libc.syscall(ctypes.c_long(number), *(ctypes.c_long(a) for a in arguments))
            run = order(RESULT, result if result >= 0 else -ctypes.get_errno())
        elif event == FORK:
            cookie = number
            run = fork(number)
        else:
            if os.getpid() != first:
                # Claimed once is claimed for good.
                attempt("again", CLAIM, cookie)
                os._exit(status)
            return event, status


def filter_all():
    """getsid (124) fails with EPERM, in all threads."""
    time.sleep(1)
    program = b"".join(struct.pack("<HBBI", *line) for line in (
        (0x20, 0, 0, 0), (0x15, 0, 1, 124), (0x06, 0, 0, 0x00050001), (0x06, 0, 0, 0x7FFF0000)))
    buffer = ctypes.create_string_buffer(program)
    header = ctypes.create_string_buffer(struct.pack("<HxxxxxxQ", 4, ctypes.addressof(buffer)))
    assert libc.prctl(38, 1, 0, 0, 0) == 0
    assert libc.syscall(317, 1, 1, header) == 0


if what == "rounding":
    libm = ctypes.CDLL("libm.so.6")
    assert libm.fesetround(0x800) == 0 and libm.feenableexcept(0x3D) == 0
if what == "tsync":
    threading.Thread(target=filter_all).start()
load()
event, status = serve(order())
os.close(device)
print("end", event, status, flush=True)
os._exit(0)
