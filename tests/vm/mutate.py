# SPDX-License-Identifier: GPL-2.0-only
"""Mutated images straight at the kernel's verifier, run in a machine: IMAGE LAUNCHER COUNT SEED.

Whatever the verdict, the kernel must survive it; what is accepted runs, for two seconds at most.
"""

import collections
import random
import subprocess
import sys

path, launcher, count, seed = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
image = open(path, "rb").read()
choose = random.Random(seed)
ends = collections.Counter()
for _ in range(count):
    mutant = bytearray(image)
    for _ in range(choose.choice((1, 1, 1, 2, 5))):
        at = choose.randrange(64, len(mutant))
        kind = choose.randrange(3)
        if kind == 0:
            mutant[at] ^= 1 << choose.randrange(8)
        elif kind == 1:
            mutant[at] = choose.choice((0, 1, 0x7F, 0x80, 0xFF))
        else:
            other = choose.randrange(64, len(mutant))
            mutant[at] = mutant[other]
    with open("/tmp/ring0/mutant.img", "wb") as file:
        file.write(mutant)
    command = [launcher, "--host=kernel", "--image=/tmp/ring0/mutant.img", "--", "mutant"]
    try:
        done = subprocess.run(command, capture_output=True, timeout=2, stdin=subprocess.DEVNULL)
        ends["rejected" if done.returncode == 65 else "ran" if done.returncode >= 0 else "died"] += 1
    except subprocess.TimeoutExpired:
        ends["killed"] += 1
print(*(f"{name} {number}" for name, number in sorted(ends.items())))
