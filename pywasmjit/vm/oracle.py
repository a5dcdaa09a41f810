# SPDX-License-Identifier: GPL-2.0-only
"""Was the kernel hurt? Which messages and which taint bits say so.

No sign suffices alone: "scheduling while atomic" and lockdep's reports leave the taint unchanged,
and a dead serial port leaves no message.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

# What the kernel prints when it has found a bug in itself. Case matters.
_SIGNS = (
    r"BUG:",
    r"WARNING:",
    r"\bOops\b",
    r"Kernel panic",
    r"Call Trace:",
    r"UBSAN",
    r"KASAN",
    r"general protection fault",
    r"double fault",
    r"soft lockup",
    r"hard LOCKUP",
    r"detected (stalls|expedited stalls)",
    r"self-detected stall",
    r"INFO: task .* blocked for more than",
    r"possible circular",
    r"possible recursive locking",
    r"inconsistent lock state",
    r"suspicious RCU usage",
    r"still held",
    r"suspected memory leaks",
    r"refcount_t:",
    r"list_(add|del) corruption",
    r"usercopy: Kernel memory",
    r"stack-protector:",
)
HURT = re.compile("|".join(_SIGNS))

# The debug kernel's (CONFIG_DEBUG_PREEMPT), about its own unwinder, and harmless. KASAN and lockdep keep
# backtraces, also of what happens while a task is on a guest's stacks. The unwinder finds that it is not on
# the task's stack, and then looks whether it is on one of this CPU's, for exceptions or interrupts: with
# preemption enabled, because it takes for granted that whoever has that enabled is on a task's stack. Should
# it be moved to another CPU in between, the answer is no all the same, which ends the backtrace. So such a
# report has no backtrace of its own; one that has any is not meant here.
_UNWINDER = re.compile(
    r"^.*BUG: using (__this_cpu_read|smp_processor_id)\(\) in preemptible \[\w+\] code: .*\n"
    r".* caller is (get_stack_info_noinstr|in_entry_stack)\+.*\n"
    r".* CPU: .*\n"
    r"(.* Hardware name: .*\n)?"
    r".* Call Trace:\n(?!.*(<TASK>| [?\w.]+\+0x))",
    re.MULTILINE,
)

# An unsigned (2^13) out-of-tree (2^12) module was loaded, or a live patch (2^15): not a sign of harm.
EXPECTED_TAINT = 1 << 12 | 1 << 13 | 1 << 15

# Documentation/admin-guide/tainted-kernels.rst
TAINT_BITS = {
    0: "proprietary module",
    1: "module force-loaded",
    2: "out of specification",
    3: "module force-unloaded",
    4: "machine check",
    5: "bad page",
    6: "requested by user space",
    7: "kernel died (oops or BUG)",
    8: "ACPI table overridden",
    9: "kernel warned (WARN)",
    10: "staging driver",
    11: "firmware workaround",
    12: "out-of-tree module",
    13: "unsigned module",
    14: "soft lockup",
    15: "live-patched",
    16: "auxiliary",
    17: "randomised structures",
    18: "in-kernel test",
}


def signs_of_harm(messages: str, allowed: Iterable[str] = ()) -> list[str]:
    """The lines that report a kernel bug, but for those matching an allowed expression."""
    permitted = [re.compile(expression) for expression in allowed]
    return [
        line
        for line in _UNWINDER.sub("", messages).splitlines()
        if HURT.search(line) and not any(p.search(line) for p in permitted)
    ]


def taint_change(before: int, after: int) -> str:
    """Names of the taint bits set in between, expected ones left out; "" if there are none."""
    new = after & ~before & ~EXPECTED_TAINT
    return ", ".join(TAINT_BITS.get(bit, f"bit {bit}") for bit in range(new.bit_length()) if new >> bit & 1)
