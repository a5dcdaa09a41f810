# SPDX-License-Identifier: GPL-2.0-only
"""Random functions compute the same before and after allocation, and the verifier is content."""

from __future__ import annotations

import os

import pytest
from regalloc_model import (
    FUNC_TYPES,
    GLOBALS,
    TYPES,
    random_arguments,
    random_function,
    run_body,
    run_ir,
)

from pywasmjit.lower.backend import allocate_and_emit
from pywasmjit.lower.check import check_body

# Seeds to try; set PYWASMJIT_FUZZ for more.
COUNT = int(os.environ.get("PYWASMJIT_FUZZ", "200"))
# Variables, statements, share of calls.
SHAPES = [(4, 20, 0.1), (8, 40, 0.08), (20, 60, 0.03), (40, 60, 0.1), (30, 120, 0.0), (60, 150, 0.15)]


def check_seed(seed: int) -> None:
    variables, size, calls = SHAPES[seed % len(SHAPES)]
    fn = random_function(seed, variables, size, calls)
    runs = [run_ir(fn, random_arguments(fn, attempt)) for attempt in range(3)]
    body = allocate_and_emit(fn)
    check_body(body, (fn.params, fn.results), TYPES, FUNC_TYPES, GLOBALS)
    for attempt, expected in enumerate(runs):
        args = random_arguments(fn, attempt)
        if expected[0] == "limit":
            # SSA form and bytecode need different numbers of steps for the same events.
            found = run_body(body, fn.params, fn.results, args, len(expected[1]))
            count = min(len(expected[1]), len(found[1]))
            assert expected[1][:count] == found[1][:count]
        else:
            assert expected == run_body(body, fn.params, fn.results, args)


@pytest.mark.parametrize("block", range(COUNT // 10))
def test_random_functions(block: int) -> None:
    for seed in range(block * 10, block * 10 + 10):
        check_seed(seed)
