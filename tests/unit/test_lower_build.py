# SPDX-License-Identifier: GPL-2.0-only
"""From wat to SSA: control flow, locals, calls and the instructions with effects."""

from __future__ import annotations

from textwrap import dedent

import pytest
from lowering import built, function, module, text

from pywasmjit.lower.build import build
from pywasmjit.lower.info import ModuleInfo
from pywasmjit.lower.scan import scan
from pywasmjit.wasm import decode

CASES = {
    "if_else": (
        function(
            "(local i32) (if (local.get 0) (then (local.set 2 (i32.const 1))) (else "
            "(local.set 2 (local.get 1)))) (local.get 2)",
        ),
        """\
        b0:
          p0:i32 = PARAM [0]
          p1:i32 = PARAM [1]
          I32_BR_IF_IMM p0 [EQ 0] -> b2, b1
        b1:  ; preds b0
          v0:i32 = I32_CONST [1]
          BR -> b3
        b2:  ; preds b0
          BR -> b3
        b3:  ; preds b1 b2
          v1:i32 = PHI v0, p1
          RET v1
        """,
    ),
    "if_without_else": (
        function(
            "(if (i32.lt_s (local.get 0) (local.get 1)) (then (local.set 0 (i32.const 7)))) (local.get 0)",
        ),
        """\
        b0:
          p0:i32 = PARAM [0]
          p1:i32 = PARAM [1]
          I32_BR_IF p0, p1 [GE_S] -> b2, b1
        b1:  ; preds b0
          v0:i32 = I32_CONST [7]
          BR -> b2
        b2:  ; preds b0 b1
          v1:i32 = PHI p0, v0
          RET v1
        """,
    ),
    "if_result": (
        function(
            "(if (result i32) (i32.and (local.get 0) (i32.const 8)) (then (local.get 1)) "
            "(else (i32.const 3)))",
        ),
        """\
        b0:
          p0:i32 = PARAM [0]
          p1:i32 = PARAM [1]
          I32_BR_TEST_IMM p0 [EQ 8] -> b2, b1
        b1:  ; preds b0
          BR -> b3
        b2:  ; preds b0
          v0:i32 = I32_CONST [3]
          BR -> b3
        b3:  ; preds b1 b2
          v1:i32 = PHI p1, v0
          RET v1
        """,
    ),
    "constant_if": (
        function(
            "(if (result i32) (i32.const 0) (then (unreachable)) (else (local.get 1)))",
        ),
        """\
        b0:
          p1:i32 = PARAM [1]
          RET p1
        """,
    ),
    "loop": (
        function(
            "(local i32) (loop $l (local.set 2 (i32.add (local.get 2) (local.get 1))) "
            "(br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))) (local.get "
            "2)",
        ),
        """\
        b0:
          p0:i32 = PARAM [0]
          p1:i32 = PARAM [1]
          v0:i32 = I32_CONST [0]
          BR -> b1
        b1:  ; preds b0 b1, loop, depth 1
          v1:i32 = PHI p0, v2
          v3:i32 = PHI v0, v4
          v4:i32 = I32_ADD p1, v3
          v2:i32 = I32_ADD_IMM v1 [-1]
          I32_BR_IF_IMM v2 [NE 0] -> b1, b2
        b2:  ; preds b1
          RET v4
        """,
    ),
    "loop_invariant_local": (
        function(
            "(loop $l (i32.store (local.get 1) (local.get 0)) (br_if $l (i32.load "
            "(local.get 1)))) (local.get 0)",
        ),
        """\
        b0:
          p0:i32 = PARAM [0]
          p1:i32 = PARAM [1]
          BR -> b1
        b1:  ; preds b0 b1, loop, depth 1
          STORE32 p0, p1 [0]
          I32_BR_IF_IMM p0 [NE 0] -> b1, b2
        b2:  ; preds b1
          RET p0
        """,
    ),
    "loop_without_branch": (
        function(
            "(loop (local.set 0 (i32.const 1))) (local.get 0)",
        ),
        """\
        b0:
          v0:i32 = I32_CONST [1]
          RET v0
        """,
    ),
    "superfluous_phi": (
        function(
            "(loop $l (if (local.get 1) (then (local.set 0 (i32.const 5)) (return "
            "(local.get 0)))) (br_if $l (i32.load (i32.const 0)))) (local.get 0)",
        ),
        """\
        b0:
          p0:i32 = PARAM [0]
          p1:i32 = PARAM [1]
          BR -> b1
        b1:  ; preds b0 b2, loop, depth 1
          I32_BR_IF_IMM p1 [EQ 0] -> b2, b3
        b2:  ; preds b1, depth 1
          v0:i32 = I32_LOAD [0]
          I32_BR_IF_IMM v0 [NE 0] -> b1, b4
        b3:  ; preds b1
          v1:i32 = I32_CONST [5]
          RET v1
        b4:  ; preds b2
          RET p0
        """,
    ),
    "loop_params": (
        function(
            "(local.get 0) (loop $l (param i32) (result i32) (i32.add (i32.const 1)) "
            "(br_if $l (local.get 1)))",
        ),
        """\
        b0:
          p0:i32 = PARAM [0]
          p1:i32 = PARAM [1]
          BR -> b1
        b1:  ; preds b0 b1, loop, depth 1
          v0:i32 = PHI p0, v1
          v1:i32 = I32_ADD_IMM v0 [1]
          I32_BR_IF_IMM p1 [NE 0] -> b1, b2
        b2:  ; preds b1
          RET v1
        """,
    ),
    "nested_blocks_forward": (
        function(
            "(block $a (block $b (block $c (br_if $c (local.get 0)) (br_if $a (local.get "
            "1)) (unreachable)))) (i32.const 1)",
        ),
        """\
        b0:
          p0:i32 = PARAM [0]
          p1:i32 = PARAM [1]
          I32_BR_IF_IMM p0 [NE 0] -> b3, b1
        b1:  ; preds b0
          I32_BR_IF_IMM p1 [NE 0] -> b3, b2
        b2:  ; preds b1, cold
          UNREACHABLE
        b3:  ; preds b0 b1
          v0:i32 = I32_CONST [1]
          RET v0
        """,
    ),
    "br_after_end": (
        function(
            "(block $out (block $in (br_if $in (local.get 0)) (i32.store (i32.const 0) "
            "(i32.const 1))) (br $out)) (i32.const 1)",
        ),
        """\
        b0:
          p0:i32 = PARAM [0]
          I32_BR_IF_IMM p0 [NE 0] -> b2, b1
        b1:  ; preds b0
          STORE32_IMM [0 1]
          BR -> b2
        b2:  ; preds b0 b1
          v0:i32 = I32_CONST [1]
          RET v0
        """,
    ),
    "br_table": (
        function(
            "(block $c (block $b (block $a (br_table $a $b $a $b $a $b $c (local.get 0)))"
            " (return (i32.const 1))) (return (i32.const 2))) (i32.const 3)",
        ),
        """\
        b0:
          p0:i32 = PARAM [0]
          BR_TABLE p0 -> b1, b2, b1, b2, b1, b2, b3
        b1:  ; preds b0
          v0:i32 = I32_CONST [1]
          RET v0
        b2:  ; preds b0
          v1:i32 = I32_CONST [2]
          RET v1
        b3:  ; preds b0
          v2:i32 = I32_CONST [3]
          RET v2
        """,
    ),
    "br_table_with_few_cases": (
        function(
            "(block $c (block $b (block $a (br_table $a $c $c $b $b $c $a $c (local.get "
            "0))) (return (i32.const 1))) (return (i32.const 2))) (i32.const 3)",
        ),
        """\
        b0:
          p0:i32 = PARAM [0]
          I32_BR_IF_IMM p0 [EQ 0] -> b3, b1
        b1:  ; preds b0
          v0:i32 = I32_ADD_IMM p0 [-3]
          I32_BR_IF_IMM v0 [LT_U 2] -> b4, b2
        b2:  ; preds b1
          I32_BR_IF_IMM p0 [EQ 6] -> b3, b5
        b3:  ; preds b0 b2
          v1:i32 = I32_CONST [1]
          RET v1
        b4:  ; preds b1
          v2:i32 = I32_CONST [2]
          RET v2
        b5:  ; preds b2
          v3:i32 = I32_CONST [3]
          RET v3
        """,
    ),
    "br_table_of_two_values": (
        function(
            "(block $c (block $b (block $a (br_table $a $c $c $b $c (i32.sub (local.get "
            "0) (i32.const 3)))) (return (i32.const 1))) (return (i32.const 2))) "
            "(i32.const 3)",
        ),
        """\
        b0:
          p0:i32 = PARAM [0]
          I32_BR_IF_IMM p0 [EQ 3] -> b2, b1
        b1:  ; preds b0
          I32_BR_IF_IMM p0 [EQ 6] -> b3, b4
        b2:  ; preds b0
          v0:i32 = I32_CONST [1]
          RET v0
        b3:  ; preds b1
          v1:i32 = I32_CONST [2]
          RET v1
        b4:  ; preds b1
          v2:i32 = I32_CONST [3]
          RET v2
        """,
    ),
    "br_table_constant": (
        function(
            "(block $b (block $a (br_table $a $b (i32.const 9))) (return (i32.const 1))) (i32.const 3)",
        ),
        """\
        b0:
          v0:i32 = I32_CONST [3]
          RET v0
        """,
    ),
    "br_if_value": (
        function(
            "(block (result i32) (br_if 0 (local.get 0) (local.get 1)) (drop) (i32.const 4))",
        ),
        """\
        b0:
          p0:i32 = PARAM [0]
          p1:i32 = PARAM [1]
          I32_BR_IF_IMM p1 [NE 0] -> b2, b1
        b1:  ; preds b0
          v0:i32 = I32_CONST [4]
          BR -> b2
        b2:  ; preds b0 b1
          v1:i32 = PHI p0, v0
          RET v1
        """,
    ),
    "dead_code": (
        function(
            "(return (local.get 0)) (block (loop (br 0)) (br 0) (drop (i32.add))) (i32.const 1)",
        ),
        """\
        b0:
          p0:i32 = PARAM [0]
          RET p0
        """,
    ),
    "unreachable_is_cold": (
        function(
            "(if (local.get 0) (then (unreachable))) (local.get 1)",
        ),
        """\
        b0:
          p0:i32 = PARAM [0]
          p1:i32 = PARAM [1]
          I32_BR_IF_IMM p0 [EQ 0] -> b2, b1
        b1:  ; preds b0, cold
          UNREACHABLE
        b2:  ; preds b0
          RET p1
        """,
    ),
    "call_results": (
        function(
            "(call $f (local.get 0)) (i32.add)",
            module="(func $f (param i32) (result i32 i32) (i32.const 1) (local.get 0))",
        ),
        """\
        b0:
          p0:i32 = PARAM [0]
          v0:i32 = CALL p0 [0]
          v1:i32 = RESULT_LOAD [1]
          v2:i32 = I32_ADD v0, v1
          RET v2
        """,
    ),
    "call_indirect": (
        function(
            "(call_indirect (type $t) (local.get 0) (local.get 1))",
            module="(type $t (func (param i32) (result i32))) (table 3 funcref)",
        ),
        """\
        b0:
          p0:i32 = PARAM [0]
          p1:i32 = PARAM [1]
          v0:i32 = CALL_INDIRECT p1, p0 [0 0]
          RET v0
        """,
    ),
    "float_branch": (
        function(
            "(if (result i32) (i32.eqz (f64.lt (local.get 0) (local.get 1))) (then "
            "(i32.const 1)) (else (i32.const 2)))",
            "(param f64 f64) (result i32)",
        ),
        """\
        b0:
          p0:f64 = PARAM [0]
          p1:f64 = PARAM [1]
          F64_BR_IF p0, p1 [LT] -> b2, b1
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
    ),
    "test_bit": (
        function(
            "(if (i32.and (i32.shr_u (local.get 0) (i32.const 5)) (i32.const 1)) (then "
            "(unreachable))) (i32.const 1)",
        ),
        """\
        b0:
          p0:i32 = PARAM [0]
          I32_BR_TEST_IMM p0 [EQ 32] -> b2, b1
        b1:  ; preds b0, cold
          UNREACHABLE
        b2:  ; preds b0
          v0:i32 = I32_CONST [1]
          RET v0
        """,
    ),
    "float_select": (
        function(
            "(select (local.get 0) (local.get 1) (f64.lt (local.get 0) (local.get 1)))",
            "(param f64 f64) (result f64)",
        ),
        """\
        b0:
          p0:f64 = PARAM [0]
          p1:f64 = PARAM [1]
          v0:i32 = F64_SET p0, p1 [LT]
          v1:f64 = FSELECT_IMM p0, p1, v0 [NE 0]
          RET v1
        """,
    ),
    "multi_value_return": (
        function(
            "(local.get 1) (local.get 0)",
            "(param i32 i64) (result i64 i32)",
        ),
        """\
        b0:
          p0:i32 = PARAM [0]
          p1:i64 = PARAM [1]
          RET p1, p0
        """,
    ),
    "refs": (
        function(
            "(table.set 0 (i32.const 0) (ref.func 0)) (ref.is_null (table.get 0 (local.get 0)))",
            "(param i32) (result i32)",
            module="(table 3 funcref) (elem declare func 0)",
        ),
        """\
        b0:
          p0:i32 = PARAM [0]
          v0:ref = CALL_RT [REF_FUNC 0 0]
          v1:i32 = I32_CONST [0]
          CALL_RT v1, v0 [TABLE_SET 0 0]
          v2:ref = CALL_RT p0 [TABLE_GET 0 0]
          v3:i32 = REF_IS_NULL v2
          RET v3
        """,
    ),
    "bulk": (
        function(
            "(memory.copy (local.get 0) (local.get 1) (i32.const 8)) (memory.fill "
            "(local.get 0) (i32.const 0) (i32.const 3)) (memory.grow (memory.size))",
        ),
        """\
        b0:
          p0:i32 = PARAM [0]
          p1:i32 = PARAM [1]
          v0:i32 = I32_CONST [8]
          CALL_RT p0, p1, v0 [MEMORY_COPY 0 0]
          v1:i32 = I32_CONST [0]
          v2:i32 = I32_CONST [3]
          CALL_RT p0, v1, v2 [MEMORY_FILL 0 0]
          v3:i32 = MEMORY_SIZE [0]
          v4:i32 = CALL_RT v3 [MEMORY_GROW 0 0]
          RET v4
        """,
    ),
    "atomics": (
        function(
            "(i32.atomic.rmw.add offset=4 (local.get 0) (local.get 1)) "
            "(i32.atomic.load16_u (local.get 0)) (i32.atomic.rmw8.cmpxchg_u (local.get 0)"
            " (local.get 0) (local.get 1)) (atomic.fence) (i32.add) (i32.add)",
        ),
        """\
        b0:
          p0:i32 = PARAM [0]
          p1:i32 = PARAM [1]
          v0:i32 = I32_ATOMIC_RMW p1, p0 [ADD 4]
          v1:i32 = I32_ATOMIC_LOAD16_U p0 [0]
          v2:i32 = I32_ATOMIC_CMPXCHG8 p0, p1, p0 [0]
          ATOMIC_FENCE
          v3:i32 = I32_ADD v1, v2
          v4:i32 = I32_ADD v0, v3
          RET v4
        """,
    ),
    "atomic_large_offset": (
        function(
            "(i32.atomic.load offset=0x80000000 (local.get 0))",
        ),
        """\
        b0:
          p0:i32 = PARAM [0]
          v0:i32 = I32_ADD_IMM p0 [-2147483648]
          I32_BR_IF_IMM v0 [LT_U -2147483648] -> b1, b2
        b1:  ; preds b0, cold
          TRAP [2]
        b2:  ; preds b0
          v1:i32 = I32_ATOMIC_LOAD v0 [0]
          RET v1
        """,
    ),
    "notify": (
        function(
            "(memory.atomic.notify offset=8 (local.get 0) (local.get 1))",
        ),
        """\
        b0:
          p0:i32 = PARAM [0]
          p1:i32 = PARAM [1]
          v0:i32 = I32_ADD_IMM p0 [8]
          I32_BR_IF_IMM v0 [LT_U 8] -> b1, b2
        b1:  ; preds b0, cold
          TRAP [2]
        b2:  ; preds b0
          v1:i32 = CALL_RT v0, p1 [ATOMIC_NOTIFY 0 0]
          RET v1
        """,
    ),
    "wait": (
        function(
            "(memory.atomic.wait64 (local.get 0) (i64.const 1) (i64.const -1))",
        ),
        """\
        b0:
          p0:i32 = PARAM [0]
          v0:i32 = I32_CONST [8]
          v1:i32 = CALL_RT p0, v0 [ATOMIC_WAIT 0 0]
          RET v1
        """,
    ),
    "store_kills_across_join": (
        function(
            "(local i32) (local.set 2 (i32.load (local.get 0))) (if (local.get 1) (then "
            "(i32.store (local.get 1) (i32.const 0)))) (i32.add (local.get 2) (i32.load "
            "(local.get 0)))",
        ),
        """\
        b0:
          p0:i32 = PARAM [0]
          p1:i32 = PARAM [1]
          v0:i32 = I32_LOAD p0 [0]
          I32_BR_IF_IMM p1 [EQ 0] -> b2, b1
        b1:  ; preds b0
          STORE32_IMM p1 [0 0]
          BR -> b2
        b2:  ; preds b0 b1
          v1:i32 = I32_LOAD p0 [0]
          v2:i32 = I32_ADD v0, v1
          RET v2
        """,
    ),
    "load_across_join": (
        function(
            "(local i32) (local.set 2 (i32.load (local.get 0))) (if (local.get 1) (then "
            "(drop (i32.load (local.get 1))))) (i32.add (local.get 2) (i32.load "
            "(local.get 0)))",
        ),
        """\
        b0:
          p0:i32 = PARAM [0]
          p1:i32 = PARAM [1]
          v0:i32 = I32_LOAD p0 [0]
          I32_BR_IF_IMM p1 [EQ 0] -> b2, b1
        b1:  ; preds b0
          v1:i32 = I32_LOAD p1 [0]
          BR -> b2
        b2:  ; preds b0 b1
          v2:i32 = I32_ADD v0, v0
          RET v2
        """,
    ),
    "value_of_one_arm_is_not_used_in_the_other": (
        function(
            "(if (result i32) (local.get 0) (then (i32.mul (local.get 0) (local.get 1))) "
            "(else (i32.add (i32.mul (local.get 0) (local.get 1)) (i32.const 1))))",
        ),
        """\
        b0:
          p0:i32 = PARAM [0]
          p1:i32 = PARAM [1]
          I32_BR_IF_IMM p0 [EQ 0] -> b2, b1
        b1:  ; preds b0
          v0:i32 = I32_MUL p0, p1
          BR -> b3
        b2:  ; preds b0
          v1:i32 = I32_MUL p0, p1
          v2:i32 = I32_ADD_IMM v1 [1]
          BR -> b3
        b3:  ; preds b1 b2
          v3:i32 = PHI v0, v2
          RET v3
        """,
    ),
    "exit_code_leaves_the_loop": (
        function(
            "(loop $l (if (local.get 0) (then (i32.store (i32.const 0) (i32.const 9)) "
            "(return (i32.const 1)))) (br_if $l (i32.load (local.get 1)))) (i32.const 2)",
        ),
        """\
        b0:
          p0:i32 = PARAM [0]
          p1:i32 = PARAM [1]
          BR -> b1
        b1:  ; preds b0 b2, loop, depth 1
          I32_BR_IF_IMM p0 [EQ 0] -> b2, b3
        b2:  ; preds b1, depth 1
          v0:i32 = I32_LOAD p1 [0]
          I32_BR_IF_IMM v0 [NE 0] -> b1, b4
        b3:  ; preds b1
          STORE32_IMM [0 9]
          v1:i32 = I32_CONST [1]
          RET v1
        b4:  ; preds b2
          v2:i32 = I32_CONST [2]
          RET v2
        """,
    ),
}


@pytest.mark.parametrize(("wat", "expected"), CASES.values(), ids=CASES)
def test_build(wat: str, expected: str) -> None:
    assert text(built(wat)) == dedent(expected)


def test_scan_finds_the_ends_of_constructs() -> None:
    body = "(local i32) (block (loop (local.set 2 (i32.const 1)) (br_if 1 (local.get 0))))"
    body += "(if (local.get 0) (then (local.set 0 (i32.const 0x4000))) (else (nop)))"
    found = module(function(body, "(param i32 i32)"))
    code = found.functions[0]
    data = found.data
    constructs = scan(data, code.start, code.end)
    whole = constructs.pop(code.start - 1)
    assert whole.end == code.end - 1
    assert whole.assigned == 0b101
    kinds = {data[at]: construct for at, construct in constructs.items()}
    assert sorted(kinds) == [0x02, 0x03, 0x04]
    assert all(data[c.end] == 0x0B for c in kinds.values())
    assert kinds[0x02].end == kinds[0x03].end + 1
    assert kinds[0x02].assigned == kinds[0x03].assigned == 0b100
    assert data[kinds[0x04].else_] == 0x05
    assert kinds[0x04].assigned == 0b001
    assert kinds[0x02].else_ == 0


def test_scan_reads_all_immediates() -> None:
    # Bytes of immediates that look like `end`: every kind of immediate once.
    body = """
        (drop (i32.const 11)) (drop (i64.const 0xb0b0b0b0b)) (drop (f32.const 0x1.16p-104))
        (drop (f64.const 11)) (drop (i32.load offset=11 (i32.const 0)))
        (block (block (br_table 0 1 0 1 0 1 0 1 0 1 0 1 0 (local.get 0))))
        (memory.init 11 (i32.const 0) (i32.const 0) (i32.const 0)) (data.drop 11)
        (i32.store8 offset=0xb0b (i32.const 11) (i32.const 11))
        (drop (select (result i32) (i32.const 0) (i32.const 1) (local.get 0)))
        (drop (i32.trunc_sat_f32_s (f32.const 0))) (drop (memory.size)) (atomic.fence)
        (drop (i32.atomic.rmw.add offset=11 (i32.const 0) (i32.const 0)))
        (local.set 0 (i32.const 0)) (if (local.get 0) (then (unreachable)))"""
    data = '(data "")' * 12
    found = module(function(body, "(param i32)", data))
    code = found.functions[0]
    constructs = scan(found.data, code.start, code.end)
    assert [found.data[at] for at in sorted(constructs)[1:]] == [0x02, 0x02, 0x04]
    assert constructs[code.start - 1].end == code.end - 1


def test_overlong_sub_opcode() -> None:
    # 0xFC 0x8B 0x80 0x00 is memory.fill; the scan has to get past it.
    body = bytes.fromhex("00 41 00 41 00 41 00 fc 8b 80 00 00 02 40 0b 0b")
    sections = bytes.fromhex("01 04 01 60 00 00 03 02 01 00 05 03 01 00 01 0a")
    code = bytes([len(body) + 2, 1, len(body)]) + body
    found = decode(b"\0asm\1\0\0\0" + sections + code)
    assert build(ModuleInfo.of(found), 0).blocks
