# SPDX-License-Identifier: GPL-2.0-only
"""JIT = interpreter for calls, branches, traps, polls: answers, backtraces, memory."""

from __future__ import annotations

import random

import pytest

from pywasmjit import _isa as isa
from tests.encode.engines import Engines
from tests.native.libcore import INTERP, JIT, host
from tests.verify.assemble import FUNC, Body, Image, func_type, import_entry, limits, table_entry, unsigned
from tests.verify.samples import DEFAULTS, PARAMS, SAMPLES, Sample, active_functions, sample_image

ALL_INTS = [f"r{i}" for i in range(12)]
ALL_FLOATS = [f"f{i}" for i in range(14)]


def fill(first: int = 1) -> str:
    """Every register a value of its own."""
    lines = [f"I64_CONST {r} {(first + k) * 0x100000001}" for k, r in enumerate(ALL_INTS)]
    return "\n".join(lines + [f"F64_CONST {r} {(first + 50 + k) << 40}" for k, r in enumerate(ALL_FLOATS)])


#: All registers, by fill(): the state of a block and code that sums them up in r0.
FULL_STATE = " ".join([f"{r}=i64" for r in ALL_INTS] + [f"{r}=f64" for r in ALL_FLOATS])
SUM = "\n".join(
    [f"I64_MUL_IMM r0 r0 31\nI64_ADD r0 r0 {r}" for r in ALL_INTS[1:]]
    + [f"I64_REINTERPRET_F64 r1 {r}\nI64_MUL_IMM r0 r0 31\nI64_ADD r0 r0 r1" for r in ALL_FLOATS]
)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_samples(sample: Sample, engines: Engines) -> None:
    pair = engines.pair(sample_image(sample))
    args = (
        list(range(1, 7)) + [5, 1 << 33, 0xFFFFFFFF] + [DEFAULTS["f2"]] * 8 + [DEFAULTS["f3"], DEFAULTS["f4"]]
    )
    assert len(args) == len(PARAMS)
    for _ in range(2):
        pair.one(0, *args)
    pair.same_state()


def test_arguments_and_results(engines: Engines) -> None:
    """20 parameters and results of mixed types, through a call, a call through a table and a host."""
    letters = "ilfdrilfdilfdilfdddd"
    ints = [k for k, c in enumerate(letters) if c in "ilr"]
    floats = [k for k, c in enumerate(letters) if c in "fd"]
    in_stack = [
        k
        for k in range(len(letters))
        if (k in ints and ints.index(k) >= 6) or (k in floats and floats.index(k) >= 8)
    ]
    types = [func_type(letters, letters), func_type("")]

    # Spill slots by type: i32, i64, f32, f64, ref, in this order.
    order = sorted(range(len(letters)), key=lambda k: "ilfdr".index(letters[k]))
    slot = {k: n for n, k in enumerate(order)}
    counts = tuple(letters.count(c) for c in "ilfdr")

    def receive() -> list[str]:
        lines = []
        for k, c in enumerate(letters):
            load, register = ("F", "f") if c in "fd" else ("", "r")
            n = (floats if c in "fd" else ints).index(k)
            if k not in in_stack:
                lines.append(f"{load}SLOT_STORE {register}{n} {slot[k]}")
        for k in in_stack:
            load, register = ("F", "f9") if letters[k] in "fd" else ("", "r7")
            lines.append(f"{load}ARG_LOAD {register} {in_stack.index(k)}")
            lines.append(f"{load}SLOT_STORE {register} {slot[k]}")
        return lines

    def send() -> list[str]:
        lines = []
        for k in in_stack:
            load, register = ("F", "f9") if letters[k] in "fd" else ("", "r7")
            lines.append(
                f"{load}SLOT_LOAD {register} {slot[k]}\n{load}OUT_STORE {register} {in_stack.index(k)}"
            )
        for k, c in enumerate(letters):
            load, register = ("F", "f") if c in "fd" else ("", "r")
            if k not in in_stack:
                lines.append(
                    f"{load}SLOT_LOAD {register}{(floats if c in 'fd' else ints).index(k)} {slot[k]}"
                )
        return lines

    def give() -> list[str]:
        lines = []
        for k, c in enumerate(letters[1:], 1):
            load, register = ("F", "f9") if c in "fd" else ("", "r7")
            lines.append(f"{load}SLOT_LOAD {register} {slot[k]}\n{load}RESULT_STORE {register} {k}")
        return [*lines, f"SLOT_LOAD r0 {slot[0]}\nRET"]

    def take() -> list[str]:
        lines = [f"SLOT_STORE r0 {slot[0]}"]
        for k, c in enumerate(letters[1:], 1):
            load, register = ("F", "f9") if c in "fd" else ("", "r7")
            lines.append(f"{load}RESULT_LOAD {register} {k}\n{load}SLOT_STORE {register} {slot[k]}")
        return lines

    echo = Body("\n".join(receive() + give()), slots=counts)  # type: ignore[arg-type]

    def caller(call: str) -> Body:
        text = "\n".join(receive() + send() + [call] + take() + give())
        return Body(text, leaf=False, slots=counts, outs=len(in_stack))  # type: ignore[arg-type]

    image = Image(
        types=types,
        imports=[import_entry("m", name, FUNC, unsigned(0)) for name in ("dirty", "print")],
        functions=[(0, echo), (0, caller("CALL 2")), (0, caller("I32_CONST r7 2\nCALL_INDIRECT 0 0")),
                   (0, caller("CALL 0")), (0, caller("I32_CONST r7 0\nCALL_INDIRECT 0 0")),
                   (0, caller("CALL 1")), (0, caller("I32_CONST r7 1\nCALL_INDIRECT 0 0"))],
        tables=[table_entry("r", 3)],
        elements=[active_functions(0, 0, [0, 1, 2])],
        memories=[limits(1)],
    )  # fmt: skip
    pair = engines.pair(image, [host("dirty"), host("print")])
    rng = random.Random(1)
    args = [0xFFFFFFFF if c == "r" else rng.getrandbits(64 if c in "ld" else 32) for c in letters]
    expected = "ok " + " ".join(f"{a:x}" for a in args)
    for function in (2, 3, 4):
        assert pair.one(function, *args) == expected
    for function in (5, 6):
        assert pair.one(function, *args) == pair.one(0, *args)
        assert pair.one(function, *args).split()[1:4] == ["1", "ffffffff00000002", "3"]
    engines.core.printed.clear()
    for function in (7, 8):
        assert pair.one(function, *args) == "ok" + " 0" * len(letters)
    types_and_values = " ".join(f"{'ilfdr'.index(c)}:{a:x}" for c, a in zip(letters, args, strict=True))
    assert engines.core.printed == [f"1 {types_and_values}"] * 4


def test_call_indirect(engines: Engines) -> None:
    """Every way a call through a table ends, with a table of fixed and one of open size."""
    types = [func_type("i", "i"), func_type("l", "l"), func_type("", ""), func_type("ii", "i")]
    call = "I32_ADD_IMM r7 r1 0\nCALL_INDIRECT 0 {}\nI32_ADD_IMM r0 r0 1\nRET"
    image = Image(
        types=types,
        functions=[
            (3, Body(call.format(0), leaf=False)),
            (3, Body(call.format(1), leaf=False)),
            (0, Body("I32_MUL_IMM r0 r0 10\nRET")),
            (1, Body("RET")),
        ],
        tables=[table_entry("r", 8, 8), table_entry("r", 8, 100)],
        elements=[active_functions(t, 0, [2, 3, 2]) for t in (0, 1)],
        memories=[limits(1)],
    )
    pair = engines.pair(image)
    for function in (0, 1):
        assert pair.one(function, 7, 0) == "ok 47"
        assert pair.one(function, 7, 2) == "ok 47"
        assert pair.one(function, 7, 1).startswith("trap 8 ")
        for empty in (3, 7):
            assert pair.one(function, 7, empty).startswith("trap 7 ")
        for beyond in (8, 9, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF):
            assert pair.one(function, 7, beyond).startswith("trap 6 ")


@pytest.mark.parametrize("other", [JIT, INTERP])
def test_call_indirect_other_instance(engines: Engines, other: str) -> None:
    """Elements that are functions of another instance, of either engine, and host functions."""
    exporter = Image(
        types=[func_type("i", "i"), func_type("", "")],
        functions=[(0, Body("GLOBAL_GET r1 0\nI32_ADD r0 r0 r1\nRET")), (0, Body("UNREACHABLE"))],
        globals=[b"\0\1\0\x2a"],
        tables=[table_entry("r", 4)],
        elements=[active_functions(0, 0, [0, 1])],
        memories=[limits(1)],
        exports=[],
    )
    importer = Image(
        types=[func_type("i", "i"), func_type("ii", "i")],
        imports=[
            import_entry("m", "t", 1, table_entry("r", 0)),
            import_entry("m", "trap", FUNC, unsigned(0)),
        ],
        functions=[(1, Body("I32_ADD_IMM r7 r1 0\nCALL_INDIRECT 0 0\nI32_ADD_IMM r0 r0 1\nRET", leaf=False))],
        elements=[active_functions(0, 2, [0])],
        memories=[limits(1)],
    )
    core = engines.core
    first = core.instance(engines.compile(exporter), (), other)
    table = type(host("trap"))(f"{first.number}:1:0")
    number = engines.compile(importer)
    jit = core.instance(number, [table, host("trap")], JIT)
    for element, expected in ((0, "ok 32"), (1, "trap 1 unreachable"), (2, "trap 7 "), (3, "trap 7 ")):
        if element == 2:
            # Written by the importer: its own import, a host function that traps with its argument.
            assert core.commands([f"call {jit.number} 1 5 2"])[0].startswith("trap 5 ")
            continue
        assert core.commands([f"call {jit.number} 1 7 {element}"])[0].startswith(expected)


def test_host_traps_and_nesting(engines: Engines) -> None:
    """Guest -> host -> guest ..., with traps inside that the host passes on or hides."""
    image = Image(
        types=[func_type(""), func_type("i"), func_type("i", "i"), func_type("i", "l")],
        imports=[import_entry("m", "call_table", FUNC, unsigned(1)), import_entry("m", "catch", FUNC, unsigned(2)),
                 import_entry("m", "trap", FUNC, unsigned(1)), import_entry("m", "none", FUNC, unsigned(1))],
        functions=[
            (3, Body(f"SLOT_STORE r0 0\n{fill()}\nSLOT_LOAD r0 0\nCALL 0\nI64_CONST r0 5\n" + "\n".join(
                f"I64_ADD r0 r0 {r}" for r in ALL_INTS[8:]) + "\nRET", leaf=False, saved=15, slots=(1, 0, 0, 0, 0))),
            (2, Body("CALL 1\nRET", leaf=False)),
            (0, Body("RET")),
            (0, Body("UNREACHABLE")),
            (0, Body("I32_CONST r0 1\nCALL 0\nRET", leaf=False)),
            (0, Body("I32_CONST r0 1\nCALL 1\nI32_CONST r8 0\nI32_CONST r9 9\nRET", leaf=False, saved=3)),
            (0, Body("I32_CONST r0 7\nCALL 2\nRET", leaf=False)),
            (0, Body("I32_CONST r0 7\nCALL 3\nRET", leaf=False)),
        ],
        tables=[table_entry("r", 6)],
        elements=[active_functions(0, 0, list(range(6, 12)))],
        memories=[limits(1)],
    )  # fmt: skip
    pair = engines.pair(image, [host("call_table"), host("catch"), host("trap"), type(host("trap"))("none")])
    for function in (4, 5):
        for element in range(7):
            pair.one(function, element)
    assert pair.one(5, 1) == "ok 1"
    assert pair.one(4, 1).startswith("trap 1 ")
    assert pair.jit.backtrace()[-1][0] == 4
    # Twice, as nothing may be left of the first time.
    assert pair.one(4, 0) == pair.one(4, 0)


@pytest.mark.parametrize("n", [0, 1, 2, 3, 4, 5, 6, 7, 8, 20, 300])
@pytest.mark.parametrize("shape", ["distinct", "few", "equal"])
def test_br_table(engines: Engines, n: int, shape: str) -> None:
    """Tables of n entries and a default; blocks before and behind."""
    targets = {"distinct": n + 1, "few": min(3, n + 1), "equal": 1}[shape]
    rng = random.Random(n)
    chosen = list(range(targets)) + [rng.randrange(targets) for _ in range(n + 1 - targets)]
    lines = ["BR start", "back: r0=i32 r1=i32", "POLL", "I32_CONST r0 4242", "RET", "start: r0=i32 r1=i32"]
    words = [f"b{k}" for k in chosen]
    if n > 1:
        words[n // 2] = "back"
    lines.append(f"BR_TABLE r1 {' '.join(words)}")
    for k in range(targets):
        lines += [f"b{k}: r0=i32", f"I32_ADD_IMM r0 r0 {k * 3 + 1}", "RET"]
    pair = engines.pair(
        Image(types=[func_type("ii", "i")], functions=[(0, Body("\n".join(lines)))], memories=[limits(1)])
    )
    values = [*range(n + 3), 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 1 << 16, (1 << 29) + 1]
    for value, (jit, interp) in zip(values, pair.call(0, [[0, v] for v in values]), strict=True):
        assert jit == interp, value


def test_stack_exhaustion(engines: Engines) -> None:
    image = Image(
        types=[func_type("i", "i")],
        functions=[
            (0, Body("I32_BR_IF_IMM r0 EQ 0 out\nI32_ADD_IMM r0 r0 -1\nCALL 0\nI32_ADD_IMM r0 r0 1\nRET\n"
                     "out: r0=i32\nRET", leaf=False)),
            (0, Body("CALL 1\nRET", leaf=False, saved=15, slots=(0, 7000, 0, 0, 0))),
            # A leaf whose frame does not fit.
            (0, Body("I64_CONST r1 1\nSLOT_STORE r1 7999\nRET", slots=(0, 8000, 0, 0, 0))),
            (0, Body("SLOT_STORE r0 0\nCALL 2\nSLOT_LOAD r0 0\nI32_BR_IF_IMM r0 EQ 0 out\nI32_ADD_IMM r0 r0 -1\nCALL 3\n"
                     "I32_ADD_IMM r0 r0 1\nRET\nout: r0=i32\nRET", leaf=False, slots=(1, 0, 0, 0, 0))),
        ],
        memories=[limits(1)],
    )  # fmt: skip
    pair = engines.pair(image)
    assert pair.one(0, 1000) == "ok 3e8"
    for function in (0, 1, 3):
        (answers,) = pair.call(function, [[10_000_000]])
        for answer, instance in zip(answers, (pair.jit, pair.interp), strict=True):
            assert answer.startswith("trap 32 ")
            assert len(instance.backtrace()) == (64 if function != 1 or instance is pair.interp else 18)
    # All is well again.
    assert pair.one(3, 20) == "ok 14"


def test_poll_keeps_registers(engines: Engines) -> None:
    """A poll anywhere changes no register; one that traps ends the guest there."""
    state = f"{FULL_STATE} s0"
    source = (
        f"I32_CONST r1 0\nSLOT_STORE r1 0\n{fill()}\nBR loop\nloop: {state}\nPOLL\nXCHG r3 r4\nSLOT_LOAD r0 0\n"
        f"I32_ADD_IMM r0 r0 1\nSLOT_STORE r0 0\nI32_BR_IF_IMM r0 NE 5 next\n{fill(9)}\n{SUM}\nRET\n"
        f"next: r1=i64 r2=i64 r3=i64 r4=i64 {FULL_STATE.split('r4=i64 ')[1]} s0\nI64_CONST r0 7\nBR loop"
    )
    body = Body(source, saved=15, slots=(1, 0, 0, 0, 0))
    sum_only = Body(f"{fill()}\nBR once\nonce: {FULL_STATE}\nPOLL\n{SUM}\nRET", saved=15)
    # Prologue polls keep arguments.
    caller = Body("I64_ADD r0 r0 r1\nI64_ADD r0 r0 r5\nF64_ADD f0 f7 f0\nCALL 3\nRET", leaf=False)
    image = Image(
        types=[func_type("", "l"), func_type("lllllldddddddd", "l"), func_type("ld", "l")],
        functions=[(0, body), (0, sum_only), (1, caller),
                   (2, Body("I64_REINTERPRET_F64 r1 f0\nI64_ADD r0 r0 r1\nRET"))],
        memories=[limits(1)],
    )  # fmt: skip
    pair = engines.pair(image)
    args = {0: [], 1: [], 2: list(range(1, 7)) + [0x3FF0000000000000 + (k << 44) for k in range(8)]}
    for function, values in args.items():
        quiet = pair.one(function, *values)
        engines.core.polls()
        for trap_at in range(0, 8):
            answers = []
            for instance in (pair.jit, pair.interp):
                instance.set_poll(0x80000001, trap_at)
                words = " ".join(map(str, values))
                answers.append(engines.core.commands([f"call {instance.number} {function} {words}"])[0])
                polls = engines.core.polls()
                instance.set_poll(0)
                answers.append(str(polls))
            assert answers[:2] == answers[2:]
            assert answers[0] == quiet or answers[0].startswith("trap 34 ")
            assert pair.jit.backtrace() == pair.interp.backtrace()


def test_long_jumps_and_shared_memory(engines: Engines) -> None:
    """A function of 300 KB of code with branches across all of it, forward and back."""
    rng = random.Random(3)
    count = 3000
    lines = ["I32_CONST r2 0", "BR b0"]
    for k in range(count):
        lines += [f"b{k}: r0=i32 r1=i32 r2=i32", "POLL", f"I32_ADD_IMM r2 r2 {k}", "I32_ADD_IMM r0 r0 -1"]
        lines += ["I32_BR_IF_IMM r0 EQ 0 end", "I32_MUL_IMM r1 r1 1664525", "I32_ADD_IMM r1 r1 1013904223"]
        lines += [f"I32_ROTR_IMM r3 r1 {k % 32}", "I32_XOR r2 r2 r3"]
        lines += [
            f"I32_BR_TEST_IMM r1 NE {1 << (k % 20)} b{rng.randrange(count)}",
            f"BR b{rng.randrange(count)}",
        ]
    lines += ["end: r2=i32", "MOV r0 r2", "RET"]
    pair = engines.pair(
        Image(types=[func_type("ii", "i")], functions=[(0, Body("\n".join(lines)))], memories=[limits(1)])
    )
    for seed in range(5):
        pair.one(0, 20000, seed)


def test_fork(engines: Engines) -> None:
    """A copy of the guest stack at another place goes on where a host function was called."""
    state = " ".join(f"{r}=i64" for r in ALL_INTS[8:])
    image = Image(
        types=[func_type("l", "l"), func_type("", "i"), func_type("l" * 10, "l")],
        imports=[import_entry("m", "fork", FUNC, unsigned(1))],
        functions=[
            # main: callee-saved registers and slots full, a call with stack arguments.
            (0, Body(f"{fill()}\nI64_CONST r2 77\nSLOT_STORE r2 0\n"
                     + "\n".join(f"I64_CONST r2 {k}\nOUT_STORE r2 {k}" for k in range(4))
                     + "\nCALL 2\nSLOT_LOAD r1 0\nI64_ADD r0 r0 r1\n"
                     + "\n".join(f"I64_ADD r0 r0 {r}" for r in ALL_INTS[8:]) + "\nRET",
                     leaf=False, saved=15, slots=(0, 1, 0, 0, 0), outs=4)),
            (2, Body(f"{fill(100)}\nF64_CONST f3 7\nFSLOT_STORE f3 0\nCALL 0\nI64_EXTEND_I32_U r0 r0\n"
                     "I64_MUL_IMM r0 r0 1000000\nARG_LOAD r1 0\nARG_LOAD r2 3\nI64_ADD r0 r0 r2\nFSLOT_LOAD f4 0\n"
                     f"I64_REINTERPRET_F64 r1 f4\nI64_ADD r0 r0 r1\nI64_BR_IF_IMM r8 EQ 0 never\n"
                     + "\n".join(f"I64_ADD r0 r0 {r}" for r in ALL_INTS[8:])
                     + f"\nBR loop\nloop: r0=i64 {state}\nPOLL\nCALL 3\nRET\nnever:\nUNREACHABLE",
                     leaf=False, saved=15, slots=(0, 0, 0, 1, 0))),
            (0, Body("I64_LOAD r1 - 0\nI64_ADD r0 r0 r1\nRET")),
        ],
        memories=[limits(1)],
    )  # fmt: skip
    number = engines.compile(image)
    instance = engines.core.instance(number, [host("fork")], JIT)
    (parent,) = instance.call(1, 5)
    trap, child, frames, _ = engines.core.fork_child(number)
    assert (trap, frames) == (0, 0)
    assert parent - child == 1_000_000
    # Again, and the memory that they share here has changed in between.
    assert instance.call(1, 5) == [parent]
    instance.write(0, b"\1")
    assert engines.core.fork_child(number)[:2] == (0, child + 1)
    assert instance.call(1, 5) == [parent + 1]


ZERO_OPS = [op for op in isa.OPS if op.format in ("RRR", "RRI") and op.d == op.a and op.a in "IL"]


@pytest.mark.parametrize("op", ZERO_OPS, ids=lambda op: op.name)
def test_branch_on_zero_after_arithmetic(op: isa.Op, engines: Engines) -> None:
    """A branch on a result being 0: right behind the instruction, a block later, or jumped to."""
    letter = {"I": "i", "L": "l"}[op.a]
    kind = {"I": "i32", "L": "i64"}[op.a]
    bits = {"I": "I32", "L": "I64"}[op.a]
    block = f"block: r0={kind} r1={kind} r2={kind}"
    bodies = []
    for d, a, b in (("r0", "r0", "r1"), ("r2", "r0", "r1"), ("r1", "r0", "r1")):
        lasts: tuple[str, ...] = ("-1", "128", "5")
        if op.format == "RRR":
            lasts = (b,)
        elif "SH" in op.name or "ROT" in op.name:
            lasts = ("0", "1", "5")
        for last in lasts:
            for cc in ("EQ", "NE", "LT_S", "GE_S", "LE_S", "GT_S"):
                for before, between in (
                    ("", ""),
                    ("", f"BR block\n{block}"),
                    # Over the instruction, with flags of another one.
                    (f"{bits}_BR_IF_IMM r1 EQ 5 block", block),
                ):
                    bodies.append(
                        Body(
                            f"MOV r2 r0\n{before}\n{op.name} {d} {a} {last}\n{between}\n"
                            f"{bits}_BR_IF_IMM {d} {cc} 0 yes\nI32_CONST r0 0\nRET\nyes:\nI32_CONST r0 1\nRET"
                        )
                    )
    image = Image(
        types=[func_type(letter * 2, "i")], functions=[(0, body) for body in bodies], memories=[limits(1)]
    )
    pair = engines.pair(image)
    values = [0, 1, 5, 2**31, 2**32 - 1, 2**32 - 5, 2**32 - 128] + (
        [2**32, 2**63, 2**64 - 1, 2**64 - 128] if letter == "l" else []
    )
    calls = [[x, y] for x in values for y in values]
    for function, body in enumerate(bodies):
        for args, (jit, interp) in zip(calls, pair.call(function, calls), strict=True):
            assert jit == interp, f"{body.source} of {args}"


def test_tables_and_literals(engines: Engines) -> None:
    """Jump tables and float constants, which share the end of the code."""
    functions = []
    for f in range(3):
        blocks = "\n".join(f"b{k}:\nF64_CONST f0 {(0x3FF0 + k) << 48 | f}\nF32_CONST f1 {0x3F800000 + 16 * k + f}\n"
                           "F64_PROMOTE_F32 f1 f1\nF64_ADD f0 f0 f1\nRET" for k in range(20))  # fmt: skip
        functions.append((0, Body("BR_TABLE r0 " + " ".join(f"b{k}" for k in range(20)) + "\n" + blocks)))
    pair = engines.pair(Image(types=[func_type("i", "d")], functions=functions, memories=[limits(1)]))
    answers = {pair.one(f, value) for f in range(3) for value in range(21)}
    assert len(answers) == 60
