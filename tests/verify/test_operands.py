# SPDX-License-Identifier: GPL-2.0-only
"""Every instruction's register operands: accepted as isa.def has them, rejected otherwise."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from tests.verify.assemble import Body, Image, encode
from tests.verify.samples import SAMPLES, Sample, sample_image

Verdict = Callable[[Image], str]

UNDEFINED = "register is read before it is defined"
MISSING = "no such register"
OTHER_TYPE = "register has another type"
CALLEE_SAVED = "write to a callee-saved register that the body's mask lacks"

# A register of each type, and the types that an operand letter admits.
OF_TYPE = {"i32": "r2", "i64": "r4", "ref": "r6", "f32": "f2", "f64": "f4"}
ADMITS = {"I": ("i32",), "L": ("i64",), "R": ("ref",), "F": ("f32",), "D": ("f64",),
          "W": ("i32", "i64", "ref"), "G": ("f32", "f64")}  # fmt: skip


def by_name(sample: Sample) -> str:
    return sample.name


def wrong_operands() -> Iterator[tuple[Sample, str, str]]:
    """(sample with one wrong register, what is wrong, message)."""
    for sample in SAMPLES:
        for position, role in enumerate(sample.roles):
            letter = sample.operand_type(role)
            if letter in ("", "_"):
                continue
            floats = letter in "FDG"
            if role == "d":
                wrong = [("f14" if floats else "r12", MISSING)]
                if not floats:
                    wrong.append(("r8", CALLEE_SAVED))
            else:
                wrong = [("f13" if floats else "r10", UNDEFINED)]
                wrong += [("f14" if floats else "r12", MISSING)]
                wrong += [
                    (register, OTHER_TYPE)
                    for kind, register in OF_TYPE.items()
                    if (register[0] == "f") == floats and kind not in ADMITS[letter]
                ]
            for register, message in wrong:
                yield sample.with_word(position, register), f"{role}={register}", message


@pytest.mark.parametrize("sample", SAMPLES, ids=by_name)
def test_accepts(sample: Sample, verdict: Verdict) -> None:
    assert verdict(sample_image(sample)) == ""


@pytest.mark.parametrize(
    ("sample", "message"),
    [pytest.param(s, message, id=f"{s.name} {what}") for s, what, message in wrong_operands()],
)
def test_rejects_register(sample: Sample, message: str, verdict: Verdict) -> None:
    assert verdict(sample_image(sample)) == message


def integer_results() -> list[Sample]:
    return [s for s in SAMPLES if s.op.d in "ILRW" and "d" in s.roles]


@pytest.mark.parametrize("sample", integer_results(), ids=by_name)
def test_callee_saved_in_mask(sample: Sample, verdict: Verdict) -> None:
    wanted = sample.with_word(sample.roles.index("d"), "r8")
    assert verdict(sample_image(wanted, saved=1)) == ""
    assert verdict(sample_image(wanted, saved=2)) == CALLEE_SAVED


@pytest.mark.parametrize("sample", SAMPLES, ids=by_name)
def test_truncated(sample: Sample, verdict: Verdict) -> None:
    """The code ends inside the instruction, which is the last."""
    image = sample_image(sample)

    raw = encode(sample.words, {"end": 0})
    for length in range(1, len(raw)):
        code = ".bytes " + " ".join(map(str, raw[:length]))
        body = Body(code, leaf=False)
        found = verdict(replace(image, functions=[(0, body), image.functions[1]]))
        # The targets of BR_TABLE are checked one by one, and there is no block here.
        branch = sample.op.format == "JT" and found == "branch to a block that does not exist"
        assert branch or found == "malformed instruction"


def memory_samples() -> list[Sample]:
    return [s for s in SAMPLES if "base" in s.roles]


@pytest.mark.parametrize("sample", memory_samples(), ids=by_name)
def test_memory_needs_a_memory(sample: Sample, verdict: Verdict) -> None:
    assert verdict(replace(sample_image(sample), memories=[])) == "no memory"


@pytest.mark.parametrize("sample", memory_samples(), ids=by_name)
def test_no_base(sample: Sample, verdict: Verdict) -> None:
    position = sample.roles.index("base")
    assert verdict(sample_image(sample.with_word(position, "-"))) == ""
    assert verdict(sample_image(sample.with_word(position, "r14"))) == MISSING


@pytest.mark.parametrize("sample", memory_samples(), ids=by_name)
def test_offset(sample: Sample, verdict: Verdict) -> None:
    """Up to 2^32 - 1, of atomic accesses below 2^31."""
    position = sample.roles.index("off")
    atomic = "ATOMIC" in sample.name
    assert verdict(sample_image(sample.with_word(position, str((1 << 31) - 1)))) == ""
    for offset in (1 << 31, (1 << 32) - 1):
        assert verdict(sample_image(sample.with_word(position, str(offset)))) == (
            "offset of an atomic access is 2^31 or more" if atomic else ""
        )
    too_large = sample.with_word(position, str(1 << 32))
    assert verdict(sample_image(too_large)) == "malformed instruction"


@pytest.mark.parametrize("sample", [s for s in SAMPLES if "cc" in s.roles], ids=by_name)
def test_condition(sample: Sample, verdict: Verdict) -> None:
    position = sample.roles.index("cc")
    codes = 2 if "TEST" in sample.name else 10
    for cc in range(16):
        expected = "" if cc < codes else "unknown condition"
        assert verdict(sample_image(sample.with_word(position, str(cc)))) == expected
