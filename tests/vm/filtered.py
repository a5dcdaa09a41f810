# SPDX-License-Identifier: GPL-2.0-only
"""In a machine: execute a program under seccomp filters.

    filtered.py FILTERS COMMAND ...

FILTERS is JSON: a list of filters, each {"rules": [[system call, [[word, value], ...], action], ...],
"flags": flags of seccomp(2), "reply": {system call: errno, or 0 for "go on"}}.  A rule holds where all its words do: 32 bits
of struct seccomp_data, counted from 0.  With "reply" a process of its own answers what filters ask.
"""

import ctypes
import fcntl
import json
import os
import select
import signal
import struct
import sys

libc = ctypes.CDLL(None, use_errno=True)
LOAD, EQUAL, RETURN = 0x20, 0x15, 0x06
ALLOW = 0x7FFF0000
NEW_LISTENER = 8
RECEIVE, SEND = 0xC0502100, 0xC0182101
CONTINUE = 1


def program(rules):
    lines = []
    for number, words, action in rules:
        tests = [[0, number], *words]
        for at, (word, value) in enumerate(tests):
            # Otherwise to behind this rule: over what is left of its tests, and its return.
            lines += [(LOAD, 0, 0, 4 * word), (EQUAL, 0, 2 * (len(tests) - at - 1) + 1, value)]
        lines.append((RETURN, 0, 0, action))
    lines.append((RETURN, 0, 0, ALLOW))
    return b"".join(struct.pack("<HBBI", *line) for line in lines)


def install(rules, flags):
    code = program(rules)
    buffer = ctypes.create_string_buffer(code)
    header = ctypes.create_string_buffer(struct.pack("<HxxxxxxQ", len(code) // 8, ctypes.addressof(buffer)))
    result = libc.syscall(317, 1, flags, header)
    assert result >= 0, os.strerror(ctypes.get_errno())
    return result


def answer(listener, replies):
    """Until nobody is left who could ask."""
    poll = select.poll()
    poll.register(listener, select.POLLIN)
    while True:
        _, events = poll.poll()[0]
        if not events & select.POLLIN:
            return
        question = bytearray(80)
        try:
            fcntl.ioctl(listener, RECEIVE, question)
            identity, _, _, number = struct.unpack_from("<QIIi", question)
            error = replies[str(number)]
            fcntl.ioctl(listener, SEND, bytearray(struct.pack("<QqiI", identity, 0, -error, 0 if error else CONTINUE)))
        except FileNotFoundError:
            pass  # whoever asked is gone


assert libc.prctl(38, 1, 0, 0, 0) == 0
for description in json.loads(sys.argv[1]):
    replies = description.get("reply")
    listener = install(description["rules"], description.get("flags", 0) | (NEW_LISTENER if replies else 0))
    if replies:
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        if os.fork() == 0:
            null = os.open("/dev/null", os.O_RDWR)
            for descriptor in range(3):
                os.dup2(null, descriptor)
            answer(listener, replies)
            os._exit(0)
        os.close(listener)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
os.execv(sys.argv[2], sys.argv[2:])
