# SPDX-License-Identifier: GPL-2.0-only
"""Starts guests and kills them at random moments, run in a machine: storm.py COUNT SEED COMMANDS.

COMMANDS is JSON, a list of commands none of which ends by itself. Prints as JSON how long each took
to die, in milliseconds from kill to the end of the process.
"""

import contextlib
import json
import os
import random
import select
import signal
import subprocess
import sys
import time

LONGEST_LIFE = 0.6  # seconds: from before it is loaded to well at work

count, seed, commands = int(sys.argv[1]), int(sys.argv[2]), json.loads(sys.argv[3])
chance = random.Random(seed)
taken = []
for number in range(count):
    command = commands[number % len(commands)]
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True
    )
    end = os.pidfd_open(process.pid)
    if select.select([end], [], [], chance.random() * LONGEST_LIFE)[0]:
        sys.exit(f"{command}: ended with {process.wait()} before it was killed: {process.stderr.read()!r}")
    begin = time.monotonic()
    os.kill(process.pid, signal.SIGKILL)
    if not select.select([end], [], [], 60)[0]:
        sys.exit(f"{command}: survives SIGKILL, pid {process.pid}")
    taken.append(1000 * (time.monotonic() - begin))
    if process.wait() != -signal.SIGKILL:
        sys.exit(f"{command}: ended with {process.returncode}")
    os.close(end)
    process.stderr.close()
    # Children it has forked are in its session.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
print(json.dumps(taken))
