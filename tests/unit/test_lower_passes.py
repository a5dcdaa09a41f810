# SPDX-License-Identifier: GPL-2.0-only
"""The passes one by one, and that every function of the official test suite survives them."""

from __future__ import annotations

from collections import Counter
from textwrap import dedent

import pytest
from lowering import check, function, lowered, module, text

from pywasmjit._isa import (
    BR,
    I32_ADD_IMM,
    I32_AND_IMM,
    I32_BR_IF_IMM,
    I32_CONST,
    I32_LOAD8_U,
    I32_LOAD16_U,
    I32_OR_IMM,
    I32_SELECT,
    I32_SET_IMM,
    I32_SHL_IMM,
    I32_SHR_U_IMM,
    I64_AND_IMM,
    I64_CONST,
    I64_EXTEND_I32_U,
    I64_LOAD8_U,
    RET,
)
from pywasmjit.errors import ModuleError
from pywasmjit.lower.build import build
from pywasmjit.lower.info import ModuleInfo
from pywasmjit.lower.ir import I32, I64, NONE, PARAM, PHI, Block, Function
from pywasmjit.lower.passes import optimise
from pywasmjit.lower.passes.clean import clean, merge_blocks, simplify_phis
from pywasmjit.lower.passes.layout import lay_out, nesting
from pywasmjit.lower.passes.masks import drop_masks
from pywasmjit.lower.verify import IRError, verify
from pywasmjit.wasm import decode, validate
from pywasmjit.wast import ModuleCommand, converted_suite, iter_commands


def graph(*edges: str) -> Function:
    """A function of empty blocks from "0 1 2" lines: block and its successors."""
    fn = Function(0, "graph", (I32,), ())
    fn.blocks = [Block(i) for i in range(len(edges))]
    condition = fn.value(I32_CONST, (), (1,), I32)
    for line in edges:
        source, *targets = map(int, line.split())
        block = fn.blocks[source]
        block.succs = targets
        if len(targets) == 2:
            last = fn.value(I32_BR_IF_IMM, (condition,), (0, 0), NONE)
        else:
            last = fn.value(BR if targets else RET, (), (), NONE)
        # Something in each block, so that none is empty.
        block.insts = [fn.value(I32_ADD_IMM, (condition,), (source,), I32), last]
        for target in targets:
            fn.blocks[target].preds.append(source)
    fn.blocks[0].insts.insert(0, condition)
    return fn


def order(fn: Function) -> list[int]:
    """Blocks by what their first addition adds, which is their first number."""
    return [next(fn.imm[v][0] for v in b.insts if fn.op[v] == I32_ADD_IMM) for b in fn.blocks]


def test_phis_that_copy_each_other() -> None:
    fn = Function(0, "f", (), ())
    a = fn.value(I32_CONST, (), (1,), I32)
    b = fn.value(I32_CONST, (), (2,), I32)
    outer = fn.value(PHI, (), (), I32)
    inner = fn.value(PHI, (), (), I32)
    real = fn.value(PHI, (), (), I32)
    after = fn.value(PHI, (), (), I32)
    fn.uses[outer] = (a, inner)
    fn.uses[inner] = (outer, inner)
    fn.uses[real] = (a, b)
    fn.uses[after] = (real, real)
    fn.blocks = [Block(0, phis=[outer, inner, real, after])]
    assert simplify_phis(fn) == {outer: a, inner: a, after: real}


@pytest.mark.parametrize(
    ("first", "step", "mask", "gone"),
    [
        ((I32_LOAD8_U, 1, (0,)), (I32_LOAD8_U, 1, (1,)), 0xFF, True),
        ((I32_LOAD8_U, 1, (0,)), (I32_LOAD8_U, 1, (1,)), 0x7F, False),
        ((I32_LOAD8_U, 1, (0,)), (I32_LOAD8_U, 1, (1,)), -1 & ~0x100, True),
        ((I32_LOAD8_U, 1, (0,)), (I32_LOAD16_U, 1, (1,)), 0xFF, False),
        ((I32_LOAD8_U, 1, (0,)), (I32_LOAD16_U, 1, (1,)), 0xFFFF, True),
        ((I32_CONST, 0, (255,)), (I32_SHR_U_IMM, -1, (1,)), 0xFF, True),
        ((I32_CONST, 0, (-1,)), (I32_SHR_U_IMM, -1, (1,)), 0xFF, False),
        ((I32_CONST, 0, (1,)), (I32_OR_IMM, -1, (0x80,)), 0xFF, True),
        ((I32_CONST, 0, (1,)), (I32_OR_IMM, -1, (0x100,)), 0xFF, False),
        ((I32_SET_IMM, 1, (0, 5)), (I32_AND_IMM, -1, (3,)), 1, True),
        # One bit more each time, and what may be anything.
        ((I32_CONST, 0, (1,)), (I32_SHL_IMM, -1, (1,)), 0xFF, False),
        ((I32_CONST, 0, (1,)), (I32_ADD_IMM, -1, (1,)), 0xFF, False),
    ],
)
def test_masks_on_phis(
    first: tuple[int, int, tuple[int, ...]], step: tuple[int, int, tuple[int, ...]], mask: int, gone: bool
) -> None:
    """Operands of the first value and the next: none, the parameter, or (-1) the phi."""
    fn = Function(0, "f", (I32,), (I32,))
    param = fn.value(PARAM, (), (0,), I32)
    phi = fn.value(PHI, (), (), I32)
    operands = {0: (), 1: (param,), -1: (phi,)}
    before = fn.value(first[0], operands[first[1]], first[2], I32)
    after = fn.value(step[0], operands[step[1]], step[2], I32)
    masked = fn.value(I32_AND_IMM, (phi,), (mask,), I32)
    fn.uses[phi] = (before, after)
    jump = fn.value(BR, (), (), NONE)
    again = fn.value(I32_BR_IF_IMM, (masked,), (0, 0), NONE)
    end = fn.value(RET, (masked,), (), NONE)
    fn.blocks = [
        Block(0, [], [param, before, jump], [], [1]),
        Block(1, [phi], [after, masked, again], [0, 1], [1, 2], 1, True),
        Block(2, [], [end], [1], []),
    ]
    drop_masks(fn)
    assert fn.uses[end] == ((phi,) if gone else (masked,))
    assert fn.uses[again] == fn.uses[end]
    assert (masked in fn.blocks[1].insts) == (not gone)


def test_masks_through_other_values() -> None:
    """Phis of phis, selections, wider integers; a mask that is needed before one that is not."""
    fn = Function(0, "f", (I32,), (I64,))
    param = fn.value(PARAM, (), (0,), I32)
    byte = fn.value(I32_LOAD8_U, (param,), (0,), I32)
    five = fn.value(I32_CONST, (), (5,), I32)
    either = fn.value(I32_SELECT, (byte, five, param, five), (0,), I32)
    wide = fn.value(I64_EXTEND_I32_U, (either,), (), I64)
    other = fn.value(I64_LOAD8_U, (param,), (1,), I64)
    big = fn.value(I64_CONST, (), (1 << 40,), I64)
    phi = fn.value(PHI, (wide, other), (), I64)
    outer = fn.value(PHI, (phi, big), (), I64)
    kept = fn.value(I64_AND_IMM, (outer,), (0xFF,), I64)
    gone = fn.value(I64_AND_IMM, (phi,), (0xFF,), I64)
    ends = [fn.value(RET, (v,), (), NONE) for v in (kept, gone)]
    insts = [param, byte, five, either, wide, other, big, kept, gone, *ends]
    fn.blocks = [Block(0, [phi, outer], insts)]
    drop_masks(fn)
    assert [fn.uses[end] for end in ends] == [(kept,), (phi,)]


def test_loops_and_their_nesting() -> None:
    fn = graph("0 1", "1 2", "2 3 4", "3 2", "4 1 5", "5")
    loop, parent = nesting(fn)
    assert loop == [-1, 1, 2, 2, 1, -1]
    assert parent[2] == 1
    assert parent[1] == -1
    assert [b.loop_depth for b in fn.blocks] == [0, 1, 2, 2, 1, 0]
    assert [b.loop_header for b in fn.blocks] == [False, True, True, False, False, False]


def test_layout_moves_exits_behind_the_loop() -> None:
    # 2 and 3 leave the loop 1-5 in the middle of it.
    fn = graph("0 1", "1 2 4", "2 3", "3", "4 5 6", "5 1", "6")
    lay_out(fn)
    verify(fn)
    assert order(fn) == [0, 1, 4, 5, 2, 3, 6]


def test_layout_keeps_the_order_of_straight_code() -> None:
    fn = graph("0 1 3", "1 2", "2 5", "3 4", "4 5", "5")
    lay_out(fn)
    verify(fn)
    assert order(fn) == [0, 1, 2, 3, 4, 5]


def test_layout_of_nested_exits() -> None:
    # The inner loop 2-4 is left from 3 to 6, which is in the outer loop 1-7.
    fn = graph("0 1", "1 2", "2 3 5", "3 6 4", "4 2", "5 7", "6 7", "7 1 8", "8")
    lay_out(fn)
    verify(fn)
    assert order(fn) == [0, 1, 2, 3, 4, 5, 6, 7, 8]
    fn = graph("0 1", "1 2", "2 5 3", "3 4 6", "4 2", "5 7", "6 7", "7 1 8", "8")
    lay_out(fn)
    verify(fn)


def test_empty_blocks_are_skipped_and_chains_merged() -> None:
    fn = graph("0 1 2", "1 3", "2 3", "3 4", "4")
    fn.blocks[1].insts.pop(0)
    fn.blocks[2].insts.pop(0)
    merge_blocks(fn)
    lay_out(fn)
    verify(fn)
    # Both arms were empty, so the branch is gone too.
    assert len(fn.blocks) == 1


def test_an_edge_with_a_phi_keeps_its_block() -> None:
    # b1 could only go if its edge could hold the move.
    check(
        function(
            "(if (local.get 0) (then (local.set 0 (i32.const 1))) (else (local.set 0 (i32.const 2"
            ")))) (local.get 0)"
        ),
        """
        b0:
          p0:i32 = PARAM [0]
          I32_BR_IF_IMM p0 [EQ 0] -> b2, b1
        b1:  ; preds b0
          v0:i32 = I32_CONST [1]
          BR -> b3
        b2:  ; preds b0
          v1:i32 = I32_CONST [2]
          BR -> b3
        b3:  ; preds b1 b2
          v2:i32 = PHI v0, v1
          RET v2
        """,
    )


def test_constants_stand_before_their_uses() -> None:
    calls = "(call $f (i32.const 7) (i64.const 0x100000000))" * 2
    sums = "(f64.store (i32.const 8) (f64.add (f64.const 2) (f64.load (i32.const 16))))" * 2
    sums = sums.replace("f64.store (i32.const 8)", "f64.store (local.get 0)")
    check(
        function(calls + sums, "(param i32)", "(func $f (param i32 i64))"),
        """
        b0:
          p0:i32 = PARAM [0]
          v0:i32 = I32_CONST [7]
          v1:i64 = I64_CONST [4294967296]
          CALL v0, v1 [0]
          v2:i32 = I32_CONST [7]
          v3:i64 = I64_CONST [4294967296]
          CALL v2, v3 [0]
          v4:f64 = F64_LOAD [16]
          v5:f64 = F64_CONST [4611686018427387904]
          v6:f64 = F64_ADD v5, v4
          F64_STORE v6, p0 [0]
          v7:f64 = F64_LOAD [16]
          v8:f64 = F64_ADD v5, v7
          F64_STORE v8, p0 [0]
          RET
        """,
    )


def test_dead_code_takes_its_operands_along() -> None:
    fn = build(
        ModuleInfo.of(
            module(
                function("(drop (i32.mul (i32.sub (local.get 0) (local.get 1)) (local.get 1))) (local.get 0)")
            )
        ),
        0,
    )
    clean(fn)
    lay_out(fn)
    assert text(fn) == dedent(
        """\
        b0:
          p0:i32 = PARAM [0]
          RET p0
        """
    )


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (lambda fn: fn.blocks[0].insts.pop(), "last instruction is no terminator"),
        (lambda fn: fn.blocks[1].preds.clear(), "not once in preds"),
        (lambda fn: fn.blocks[2].succs.append(1), "successors after the end"),
        (lambda fn: fn.type.__setitem__(fn.blocks[2].phis[0], NONE), "a phi has a type"),
        (lambda fn: fn.blocks[2].phis.append(fn.blocks[2].phis[0]), "in two places"),
        (lambda fn: fn.uses.__setitem__(fn.blocks[2].phis[0], (0,)), "one operand per"),
        (lambda fn: fn.blocks[1].insts.reverse(), "terminator"),
        (lambda fn: fn.imm.__setitem__(fn.blocks[0].insts[-1], (12, 0)), "condition code"),
        (lambda fn: setattr(fn.blocks[1], "loop_header", True), "loop_header"),
        (lambda fn: setattr(fn.blocks[1], "index", 7), "block index"),
        (lambda fn: fn.uses.__setitem__(fn.blocks[2].insts[-1], (999,)), "dominate|range"),
    ],
)
def test_verifier_rejects(change: object, rule: str) -> None:
    body = "(if (local.get 0) (then (local.set 0 (i32.const 1)))) (local.get 0)"
    fn = lowered(function(body))
    assert callable(change)
    change(fn)
    with pytest.raises((IRError, IndexError), match=rule):
        verify(fn)


def test_every_function_of_the_test_suite() -> None:
    scripts = converted_suite()
    seen: Counter[str] = Counter()
    for script in scripts:
        for command in iter_commands(script):
            if not isinstance(command, ModuleCommand):
                continue
            try:
                found = decode(command.path.read_bytes())
                validate(found)
            except ModuleError:
                continue
            info = ModuleInfo.of(found)
            for index in range(info.imported, len(info.functions)):
                fn = build(info, index)
                optimise(fn)
                verify(fn, info)
                seen["functions"] += 1
    assert seen["functions"] > 4400


LOOPS = {
    # duplicate_tails: each arm jumps to the head of the loop itself.
    "tail": (
        """
        (local i32)
          (block $out (loop $l
            (br_if $out (i32.eqz (local.tee 2 (i32.load (local.get 0)))))
            (block $next
              (if (i32.eq (local.get 2) (i32.const 1))
                (then (i32.store (local.get 1) (i32.const 7)) (br $next)))
              (if (i32.eq (local.get 2) (i32.const 2))
                (then (i32.store (local.get 1) (local.get 2)) (br $next)))
              (i32.store offset=4 (local.get 1) (local.get 2)))
            (local.set 0 (i32.add (local.get 0) (i32.const 4)))
            (br $l)))
          (local.get 0)
        """,
        """\
        b0:
          p0:i32 = PARAM [0]
          p1:i32 = PARAM [1]
          BR -> b1
        b1:  ; preds b0 b6 b5 b3, loop, depth 1
          v0:i32 = PHI p0, v1, v2, v3
          v4:i32 = I32_LOAD v0 [0]
          I32_BR_IF_IMM v4 [EQ 0] -> b7, b2
        b2:  ; preds b1, depth 1
          I32_BR_IF_IMM v4 [NE 1] -> b4, b3
        b3:  ; preds b2, depth 1
          STORE32_IMM p1 [0 7]
          v3:i32 = I32_ADD_IMM v0 [4]
          BR -> b1
        b4:  ; preds b2, depth 1
          I32_BR_IF_IMM v4 [NE 2] -> b6, b5
        b5:  ; preds b4, depth 1
          STORE32 v4, p1 [0]
          v2:i32 = I32_ADD_IMM v0 [4]
          BR -> b1
        b6:  ; preds b4, depth 1
          STORE32 v4, p1 [4]
          v1:i32 = I32_ADD_IMM v0 [4]
          BR -> b1
        b7:  ; preds b1
          RET v0
        """,
    ),
    # a search is not unrolled.
    "strlen": (
        """
        (local i32) (local.set 2 (local.get 0))
         (loop $l
           (br_if $l (i32.load8_u (local.tee 2 (i32.add (local.get 2) (i32.const 1))))))
         (i32.sub (local.get 2) (local.get 0))
        """,
        """\
        b0:
          p0:i32 = PARAM [0]
          BR -> b1
        b1:  ; preds b0 b1, loop, depth 1
          v0:i32 = PHI p0, v1
          v1:i32 = I32_ADD_IMM v0 [1]
          v2:i32 = I32_LOAD8_U v1 [0]
          I32_BR_IF_IMM v2 [NE 0] -> b1, b2
        b2:  ; preds b1
          v3:i32 = I32_SUB v1, p0
          RET v3
        """,
    ),
    # unroll: a loop that counts, its value used behind it.
    "two exits": (
        """
        (local i32 i32)
         (loop $l (local.set 2 (i32.add (local.get 2) (i32.const 1)))
           (br_if $l (i32.lt_u (local.get 2) (i32.load offset=8 (local.get 0)))))
         (loop $m (local.set 3 (i32.add (local.get 3) (local.get 2)))
           (br_if $m (i32.lt_s (local.get 3) (local.get 1))))
         (i32.add (local.get 2) (local.get 3))
        """,
        """\
        b0:
          p0:i32 = PARAM [0]
          p1:i32 = PARAM [1]
          v0:i32 = I32_CONST [0]
          BR -> b1
        b1:  ; preds b0 b1, loop, depth 1
          v1:i32 = PHI v0, v2
          v2:i32 = I32_ADD_IMM v1 [1]
          v3:i32 = I32_LOAD p0 [8]
          I32_BR_IF v2, v3 [LT_U] -> b1, b2
        b2:  ; preds b1
          v4:i32 = I32_CONST [0]
          BR -> b3
        b3:  ; preds b2 b6, loop, depth 1
          v5:i32 = PHI v4, v6
          v7:i32 = I32_ADD v2, v5
          I32_BR_IF v7, p1 [LT_S] -> b4, b7
        b4:  ; preds b3, depth 1
          v8:i32 = I32_ADD v2, v7
          I32_BR_IF v8, p1 [LT_S] -> b5, b7
        b5:  ; preds b4, depth 1
          v9:i32 = I32_ADD v2, v8
          I32_BR_IF v9, p1 [LT_S] -> b6, b7
        b6:  ; preds b5, depth 1
          v6:i32 = I32_ADD v2, v9
          I32_BR_IF v6, p1 [LT_S] -> b3, b7
        b7:  ; preds b3 b4 b5 b6
          v10:i32 = PHI v7, v8, v9, v6
          v11:i32 = I32_ADD v2, v10
          RET v11
        """,
    ),
    # improve_loops: one address for all elements of all copies.
    "sum": (
        """
        (local i32 i32 i32)
         (loop $l
           (local.set 3 (i32.add (local.get 3)
             (i32.load (i32.add (local.tee 4 (i32.shl (local.get 2) (i32.const 2))) (i32.add (local.get 0) (i32.const 8))))))
           (local.set 3 (i32.add (local.get 3)
             (i32.load (i32.add (i32.or (local.get 4) (i32.const 4)) (i32.add (local.get 0) (i32.const 8))))))
           (br_if $l (i32.ne (local.tee 2 (i32.add (local.get 2) (i32.const 2))) (local.get 1))))
         (local.get 3)
        """,
        """\
        b0:
          p0:i32 = PARAM [0]
          p1:i32 = PARAM [1]
          v0:i32 = I32_CONST [0]
          BR -> b1
        b1:  ; preds b0 b1, loop, depth 1
          v1:i32 = PHI v0, v2
          v3:i32 = PHI v0, v4
          v5:i32 = I32_LEA p0, v1 [2 8]
          v6:i32 = I32_LOAD v5 [0]
          v7:i32 = I32_ADD v3, v6
          v8:i32 = I32_LOAD v5 [4]
          v4:i32 = I32_ADD v7, v8
          v2:i32 = I32_ADD_IMM v1 [2]
          I32_BR_IF v2, p1 [NE] -> b1, b2
        b2:  ; preds b1
          RET v4
        """,
    ),
    # improve_loops: out of the loop.
    "invariant": (
        """
        (local i32 i32)
         (loop $l
           (local.set 3 (i32.add (local.get 3) (i32.mul (local.get 0) (i32.const 800))))
           (if (i32.and (local.get 3) (i32.const 64))
             (then (local.set 3 (i32.xor (local.get 3) (local.get 1)))))
           (br_if $l (i32.lt_u (local.tee 2 (i32.add (local.get 2) (i32.const 2))) (local.get 1))))
         (local.get 3)
        """,
        """\
        b0:
          p0:i32 = PARAM [0]
          p1:i32 = PARAM [1]
          v0:i32 = I32_MUL_IMM p0 [800]
          v1:i32 = I32_CONST [0]
          BR -> b1
        b1:  ; preds b0 b3, loop, depth 1
          v2:i32 = PHI v1, v3
          v4:i32 = PHI v1, v5
          v6:i32 = I32_ADD v4, v0
          I32_BR_TEST_IMM v6 [EQ 64] -> b3, b2
        b2:  ; preds b1, depth 1
          v7:i32 = I32_XOR p1, v6
          BR -> b3
        b3:  ; preds b1 b2, depth 1
          v5:i32 = PHI v6, v7
          v3:i32 = I32_ADD_IMM v2 [2]
          I32_BR_IF v3, p1 [LT_U] -> b1, b4
        b4:  ; preds b3
          RET v5
        """,
    ),
    # a call leaves few registers, so nothing moves.
    "call": (
        """
        (local i32 i32)
         (loop $l
           (local.set 3 (i32.add (call $f (local.get 3)) (i32.mul (local.get 0) (i32.const 800))))
           (br_if $l (i32.lt_u (local.tee 2 (i32.add (local.get 2) (i32.const 2))) (local.get 1))))
         (local.get 3)
        """,
        """\
        b0:
          p0:i32 = PARAM [0]
          p1:i32 = PARAM [1]
          v0:i32 = I32_CONST [0]
          BR -> b1
        b1:  ; preds b0 b1, loop, depth 1
          v1:i32 = PHI v0, v2
          v3:i32 = PHI v0, v4
          v5:i32 = CALL v3 [0]
          v6:i32 = I32_MUL_IMM p0 [800]
          v4:i32 = I32_ADD v5, v6
          v2:i32 = I32_ADD_IMM v1 [2]
          I32_BR_IF v2, p1 [LT_U] -> b1, b2
        b2:  ; preds b1
          RET v4
        """,
    ),
}


@pytest.mark.parametrize(("body", "expected"), LOOPS.values(), ids=LOOPS)
def test_loops(body: str, expected: str) -> None:
    helper = "(func $f (param i32) (result i32) (local.get 0))"
    assert text(lowered(function(body, module=helper))) == dedent(expected)


def test_unrolled_loop_with_a_second_way_back() -> None:
    # The other back edge brings the value of the copy that was left, not of the first one.
    body = """
      (local i32)
      (loop $l
        (br_if $l (i32.lt_u (local.tee 2 (i32.add (local.get 2) (i32.const 1))) (local.get 1)))
        (br_if $l (i32.load (local.get 2))))
      (local.get 2)"""
    expected = """\
        b0:
          p1:i32 = PARAM [1]
          v0:i32 = I32_CONST [0]
          BR -> b1
        b1:  ; preds b0 b4 b5, loop, depth 1
          v1:i32 = PHI v0, v2, v3
          v4:i32 = I32_ADD_IMM v1 [1]
          I32_BR_IF v4, p1 [LT_U] -> b2, b5
        b2:  ; preds b1, depth 1
          v5:i32 = I32_ADD_IMM v4 [1]
          I32_BR_IF v5, p1 [LT_U] -> b3, b5
        b3:  ; preds b2, depth 1
          v6:i32 = I32_ADD_IMM v5 [1]
          I32_BR_IF v6, p1 [LT_U] -> b4, b5
        b4:  ; preds b3, depth 1
          v2:i32 = I32_ADD_IMM v6 [1]
          I32_BR_IF v2, p1 [LT_U] -> b1, b5
        b5:  ; preds b1 b2 b3 b4, depth 1
          v3:i32 = PHI v4, v5, v6, v2
          v7:i32 = I32_LOAD v3 [0]
          I32_BR_IF_IMM v7 [NE 0] -> b1, b6
        b6:  ; preds b5
          RET v3
        """
    assert text(lowered(function(body))) == dedent(expected)


def test_equal_invariants_of_two_arms() -> None:
    # Neither arm's product reaches the other arm; with a call in the loop nothing moves.
    body = """
      (local i32)
      (loop $l
        (if (i32.load (local.get 2))
          (then (local.set 2 (i32.add (i32.mul (local.get 0) (i32.const 77)) (call $f))))
          (else (local.set 2 (i32.sub (i32.mul (local.get 0) (i32.const 77)) (local.get 2)))))
        (br_if $l (local.get 2)))
      (local.get 2)"""
    fn = lowered(function(body, module="(func $f (result i32) (i32.const 1))"))
    assert text(fn).count("I32_MUL_IMM p0 [77]") == 2
    # Without, one moves in front of the loop for both.
    fn = lowered(function(body.replace("(call $f)", "(local.get 1)")))
    assert text(fn).count("I32_MUL_IMM p0 [77]") == 1
