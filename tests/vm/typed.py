# SPDX-License-Identifier: GPL-2.0-only
"""Run in a machine: what a user types at a terminal, and what a second one sees meanwhile.

    typed.py SECONDS

The line of the README, typed verbatim, until a page comes; then status, what root is told who
unloads the module under a guest, the guest's end, and unloading.  Prints JSON: texts and seconds.
"""

import json
import re
import sys
import time

import pexpect

LINE = "sudo pywasmjit insmod && pywasmjit exec nginx.wasm"
PROMPT = "alice> "
PASSWORD = "correct horse"
LIMIT = float(sys.argv[1])
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")


def shell():
    """A login shell of the user alice, at its prompt."""
    terminal = pexpect.spawn("su", ["-", "alice"], encoding="utf-8", timeout=LIMIT, dimensions=(40, 200))
    terminal.expect_exact("$ ")
    # Not the prompt itself: the terminal echoes what is typed.
    terminal.sendline(f"PS1='ali''{PROMPT[3:]}'; bind 'set enable-bracketed-paste off'")
    terminal.expect_exact(PROMPT)
    return terminal


def command(terminal, line):
    """Type a line; what it prints until the prompt."""
    terminal.sendline(line)
    terminal.expect_exact(line)
    terminal.expect_exact(PROMPT)
    return ESCAPES.sub("", terminal.before).strip()


def give_password(terminal):
    terminal.expect_exact("[sudo] password for alice: ")
    terminal.sendline(PASSWORD)


found = {}
first, second = shell(), shell()
began = time.monotonic()
first.sendline(LINE)
give_password(first)
first.expect(r"wasm \S+ loaded in (\S+) s; (/dev/wasm: [^\r\n]*)")
found["load_seconds"] = float(first.match[1])
found["access"] = first.match[2]
found["insmod"] = ESCAPES.sub("", first.before).strip()
found["loaded_after"] = time.monotonic() - began
while "ring 0" not in (page := command(second, "curl -s -m 9 http://127.0.0.1:8080/")):
    if time.monotonic() - began > LIMIT or not first.isalive():
        sys.exit(f"no page: {page!r}; terminal: {first.read_nonblocking(4096, 1)!r}")
found["page_after"] = time.monotonic() - began
found["page"] = page
found["status"] = json.loads(command(second, "pywasmjit status --json"))
found["shown"] = command(second, "pywasmjit status")
second.sendline("sudo pywasmjit rmmod")
give_password(second)
second.expect_exact(PROMPT)
found["busy"] = ESCAPES.sub("", second.before).strip()
first.sendintr()
first.expect_exact(PROMPT)
found["unloaded"] = command(second, "sudo pywasmjit rmmod")
found["after"] = command(second, "pywasmjit exec --host=kernel nginx.wasm")
print(json.dumps(found))
