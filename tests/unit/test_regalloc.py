# SPDX-License-Identifier: GPL-2.0-only
"""Register allocation and layout: SSA form in, disassembly out."""

from __future__ import annotations

import pytest
from ir_text import parse
from regalloc_model import run_body, run_ir

from pywasmjit.lower.backend import allocate_and_emit
from pywasmjit.lower.check import check_body
from pywasmjit.lower.disasm import disassemble
from pywasmjit.lower.regalloc import Allocation

# Types of the functions that are called below.
TYPES = [((0,), (0,)), ((0,) * 8, (0, 3))]


def compiled(text: str) -> str:
    """Disassembly of the body, which must pass the model of the verifier."""
    fn = parse(text)
    body = allocate_and_emit(fn)
    check_body(body, (fn.params, fn.results), TYPES, [0, 1])
    return "\n" + disassemble(body)


def test_loop_sum() -> None:
    """A loop's variables stay in their registers: no moves, one branch per iteration."""
    assert (
        compiled("""
func (i32, i32) -> (i32)
b0:
  v0:i32 = PARAM [0]
  v1:i32 = PARAM [1]
  v2:i32 = I32_CONST [0]
  BR -> b1
b1:
  v3:i32 = PHI v2, v7
  v4:i32 = PHI v0, v6
  v5:i32 = I32_LOAD v4 [0]
  v6:i32 = I32_ADD_IMM v4 [4]
  v7:i32 = I32_ADD v3, v5
  I32_BR_IF v6, v1 [LT_U] -> b1, b2
b2:
  RET v7
""")
        == """
; leaf
    I32_CONST r2, 0
b0: r0 r1 r2
    POLL
    I32_LOAD r3, [r0]
    I32_ADD_IMM r0, r0, 4
    I32_ADD r2, r2, r3
    I32_BR_IF r0 LT_U r1 -> b0
    MOV r0, r2
    RET
"""
    )


def test_across_call() -> None:
    """A value used after several calls is kept in a callee-saved register."""
    assert (
        compiled("""
func (i32, i32) -> (i32)
b0:
  v0:i32 = PARAM [0]
  v1:i32 = PARAM [1]
  v2:i32 = CALL v0 [0]
  v3:i32 = I32_ADD v2, v1
  v4:i32 = CALL v3 [0]
  v5:i32 = I32_ADD v4, v1
  v6:i32 = CALL v5 [0]
  v7:i32 = I32_SUB v6, v1
  RET v7
""")
        == """
; r8
    MOV r8, r1
    CALL func 0
    I32_ADD r0, r0, r8
    CALL func 0
    I32_ADD r0, r0, r8
    CALL func 0
    I32_SUB r0, r0, r8
    RET
"""
    )


def test_across_one_call() -> None:
    """Saving a register costs as much as storing and loading a value once."""
    assert (
        compiled("""
func (i32, i32) -> (i32)
b0:
  v0:i32 = PARAM [0]
  v1:i32 = PARAM [1]
  v2:i32 = CALL v0 [0]
  v3:i32 = I32_ADD v2, v1
  RET v3
""")
        == """
; 1 i32
    SLOT_STORE r1, 0
    CALL func 0
    SLOT_LOAD r1, 0
    I32_ADD r0, r0, r1
    RET
"""
    )


def test_loop_with_call() -> None:
    """Integers in callee-saved registers; no call keeps a float, so its phi lives in a slot."""
    assert (
        compiled("""
func (i32, i32, f64) -> (f64)
b0:
  v0:i32 = PARAM [0]
  v1:i32 = PARAM [1]
  v2:f64 = PARAM [2]
  BR -> b1
b1:
  v3:i32 = PHI v0, v6
  v4:f64 = PHI v2, v8
  v5:i32 = CALL v3 [0]
  v6:i32 = I32_ADD_IMM v3 [1]
  v7:f64 = F64_CONVERT_I32_S v5
  v8:f64 = F64_ADD v4, v7
  I32_BR_IF v6, v1 [LT_S] -> b1, b2
b2:
  RET v8
""")
        == """
; r8, r9, 1 f64
    MOV r9, r1
    MOV r8, r0
    FSLOT_STORE f0, 0
b0: r8 r9 slots 0
    POLL
    MOV r0, r8
    CALL func 0
    I32_ADD_IMM r8, r8, 1
    F64_CONVERT_I32_S f0, r0
    FSLOT_LOAD f1, 0
    F64_ADD f0, f1, f0
    I32_BR_IF r8 GE_S r9 -> b1
    FSLOT_STORE f0, 0
    BR b0
b1: f64:f0
    RET
"""
    )


def test_division() -> None:
    """Dividend and results in r0 and r1; what lives longer moves out of the way."""
    assert (
        compiled("""
func (i32, i32, i32) -> (i32)
b0:
  v0:i32 = PARAM [0]
  v1:i32 = PARAM [1]
  v2:i32 = PARAM [2]
  v3:i32 = I32_DIV_S v2, v0
  v4:i32 = I32_REM_U v3, v1
  v5:i32 = I32_ADD v4, v0
  RET v5
""")
        == """
; leaf
    MOV r4, r1
    MOV r3, r0
    MOV r0, r2
    I32_DIV_S r3
    I32_REM_U r4
    I32_ADD r0, r1, r3
    RET
"""
    )


def test_stack_and_results() -> None:
    """Stack arguments are read where they are needed; constants are made where they go."""
    assert (
        compiled("""
func (i32, i32, i32, i32, i32, i32, i32, i64) -> (i64, i32, f64)
b0:
  v0:i32 = PARAM [0]
  v6:i32 = PARAM [6]
  v7:i64 = PARAM [7]
  v8:i32 = I32_CONST [5]
  v9:i32 = CALL v0, v6, v8, v0, v6, v8, v6, v0 [1]
  v10:f64 = FRESULT_LOAD [1]
  RET v7, v9, v10
""")
        == """
; 2 out
    ARG_LOAD r1, 0
    OUT_STORE r1, 0
    OUT_STORE r0, 1
    MOV r4, r1
    MOV r3, r0
    I32_CONST r2, 5
    I32_CONST r5, 5
    CALL func 1
    FRESULT_LOAD f0, 1
    RESULT_STORE r0, 1
    FRESULT_STORE f0, 2
    ARG_LOAD r0, 1
    RET
"""
    )


def test_swap_in_loop() -> None:
    """Phis that exchange their values: a cycle through a free register."""
    assert (
        compiled("""
func (i32, i32, i32) -> (i32)
b0:
  v0:i32 = PARAM [0]
  v1:i32 = PARAM [1]
  v2:i32 = PARAM [2]
  BR -> b1
b1:
  v3:i32 = PHI v0, v4
  v4:i32 = PHI v1, v3
  v5:i32 = PHI v2, v6
  STORE32 v3, v4 [0]
  v6:i32 = I32_ADD_IMM v5 [-1]
  I32_BR_IF_IMM v6 [NE 0] -> b1, b2
b2:
  RET v3
""")
        == """
; leaf
b0: r0 r1 r2
    POLL
    STORE32 r0, [r1]
    I32_ADD_IMM r2, r2, -1
    I32_BR_IF_IMM r2 EQ 0 -> b1
    MOV r3, r1
    MOV r1, r0
    MOV r0, r3
    BR b0
b1: r0
    RET
"""
    )


def test_critical_edge_and_cold() -> None:
    """Copies of a short end, a move in front of the branch, cold code last."""
    assert (
        compiled("""
func (i32, i32) -> (i32)
b0:
  v0:i32 = PARAM [0]
  v1:i32 = PARAM [1]
  I32_BR_IF_IMM v0 [EQ 0] -> b3, b1
b1:
  v2:i32 = I32_LOAD v0 [0]
  I32_BR_IF_IMM v2 [LT_S 0] -> b2, b3
b2:
  v3:i32 = CALL v2 [0]
  TRAP [2]
b3:
  v4:i32 = PHI v1, v2
  v5:i32 = I32_MUL v4, v4
  RET v5
""")
        == """
    I32_BR_IF_IMM r0 NE 0 -> b0
    MOV r0, r1
    I32_MUL r0, r0, r0
    RET
b0: r0
    I32_LOAD r0, [r0]
    I32_BR_IF_IMM r0 LT_S 0 -> b1
    I32_MUL r0, r0, r0
    RET
b1: r0
    CALL func 0
    TRAP OUT_OF_BOUNDS
"""
    )


def test_switch() -> None:
    """Constants for phis are made on the edges."""
    assert (
        compiled("""
func (i32, i32) -> (i32)
b0:
  v0:i32 = PARAM [0]
  v1:i32 = PARAM [1]
  v2:i32 = I32_CONST [7]
  BR_TABLE v0 -> b1, b2, b2, b1, b3
b1:
  v3:i32 = I32_ADD_IMM v1 [1]
  BR -> b3
b2:
  v4:i32 = I32_MUL_IMM v1 [10]
  BR -> b3
b3:
  v5:i32 = PHI v2, v3, v4
  RET v5
""")
        == """
; leaf
    BR_TABLE r0 -> b1, b2, b2, b1, b0
b0:
    I32_CONST r0, 7
    RET
b1: r1
    I32_ADD_IMM r0, r1, 1
    RET
b2: r1
    I32_MUL_IMM r0, r1, 10
    RET
"""
    )


def test_empty_loop() -> None:
    """A loop without instructions still polls."""
    assert (
        compiled("""
func () -> ()
b0:
  BR -> b1
b1:
  BR -> b1
""")
        == """
; leaf
b0:
    POLL
    BR b0
"""
    )


def test_atomics() -> None:
    """The old value arrives in r0, where cmpxchg wants the expected one; operands elsewhere."""
    assert (
        compiled("""
func (i32, i64) -> (i64)
b0:
  v0:i32 = PARAM [0]
  v1:i64 = PARAM [1]
  v2:i64 = I64_ATOMIC_RMW v1, v0 [ADD 8]
  v3:i64 = I64_ATOMIC_CMPXCHG v1, v2, v0 [16]
  RET v3
""")
        == """
; leaf
    MOV r2, r0
    I64_ATOMIC_RMW ADD r1, [r2+8]
    MOV r3, r0
    MOV r0, r1
    I64_ATOMIC_CMPXCHG r3, [r2+16]
    RET
"""
    )


def test_indirect() -> None:
    """The element index in r7, arguments from r0 on."""
    assert (
        compiled("""
func (i32, i32) -> (i32)
b0:
  v0:i32 = PARAM [0]
  v1:i32 = PARAM [1]
  v2:i32 = CALL_INDIRECT v0, v1 [0 0]
  RET v2
""")
        == """
    MOV r7, r0
    MOV r0, r1
    CALL_INDIRECT type 0 table 0
    RET
"""
    )


def test_pressure() -> None:
    """More values than registers: the ones needed last are stored, then read back."""
    assert (
        compiled("""
func (i32) -> (i32)
b0:
  v0:i32 = PARAM [0]
  v1:i32 = I32_LOAD v0 [4]
  v2:i32 = I32_LOAD v0 [8]
  v3:i32 = I32_LOAD v0 [12]
  v4:i32 = I32_LOAD v0 [16]
  v5:i32 = I32_LOAD v0 [20]
  v6:i32 = I32_LOAD v0 [24]
  v7:i32 = I32_LOAD v0 [28]
  v8:i32 = I32_LOAD v0 [32]
  v9:i32 = I32_LOAD v0 [36]
  v10:i32 = I32_LOAD v0 [40]
  v11:i32 = I32_LOAD v0 [44]
  v12:i32 = I32_LOAD v0 [48]
  v13:i32 = I32_LOAD v0 [52]
  v14:i32 = I32_LOAD v0 [56]
  v15:i32 = I32_LOAD v0 [60]
  v16:i32 = I32_XOR v1, v2
  v17:i32 = I32_XOR v16, v3
  v18:i32 = I32_XOR v17, v4
  v19:i32 = I32_XOR v18, v5
  v20:i32 = I32_XOR v19, v6
  v21:i32 = I32_XOR v20, v7
  v22:i32 = I32_XOR v21, v8
  v23:i32 = I32_XOR v22, v9
  v24:i32 = I32_XOR v23, v10
  v25:i32 = I32_XOR v24, v11
  v26:i32 = I32_XOR v25, v12
  v27:i32 = I32_XOR v26, v13
  v28:i32 = I32_XOR v27, v14
  v29:i32 = I32_XOR v28, v15
  RET v29
""")
        == """
; leaf, r8, r9, r10, r11, 3 i32
    I32_LOAD r1, [r0+4]
    I32_LOAD r2, [r0+8]
    I32_LOAD r3, [r0+12]
    I32_LOAD r4, [r0+16]
    I32_LOAD r5, [r0+20]
    I32_LOAD r6, [r0+24]
    I32_LOAD r7, [r0+28]
    I32_LOAD r8, [r0+32]
    I32_LOAD r9, [r0+36]
    I32_LOAD r10, [r0+40]
    I32_LOAD r11, [r0+44]
    SLOT_STORE r11, 0
    I32_LOAD r11, [r0+48]
    SLOT_STORE r11, 1
    I32_LOAD r11, [r0+52]
    SLOT_STORE r11, 2
    I32_LOAD r11, [r0+56]
    I32_LOAD r0, [r0+60]
    I32_XOR r1, r1, r2
    I32_XOR r1, r1, r3
    I32_XOR r1, r1, r4
    I32_XOR r1, r1, r5
    I32_XOR r1, r1, r6
    I32_XOR r1, r1, r7
    I32_XOR r1, r1, r8
    I32_XOR r1, r1, r9
    I32_XOR r1, r1, r10
    SLOT_LOAD r2, 0
    I32_XOR r1, r1, r2
    SLOT_LOAD r2, 1
    I32_XOR r1, r1, r2
    SLOT_LOAD r2, 2
    I32_XOR r1, r1, r2
    I32_XOR r1, r1, r11
    I32_XOR r0, r1, r0
    RET
"""
    )


def test_many_phis() -> None:
    """More loop variables than registers: the rest live in slots, stepped there."""
    count = 20
    lines = ["func (i32) -> (i32)", "b0:", "  v0:i32 = PARAM [0]"]
    lines += [f"  v{i}:i32 = I32_CONST [{i}]" for i in range(1, count)]
    lines += ["  BR -> b1", "b1:"]
    lines += [f"  v{100 + i}:i32 = PHI v{i}, v{200 + i}" for i in range(count)]
    lines += [f"  v{200 + i}:i32 = I32_ADD_IMM v{100 + (i + 1) % count} [1]" for i in range(count)]
    lines += ["  I32_BR_IF_IMM v200 [NE 0] -> b1, b2", "b2:", "  RET v219"]
    text = compiled("\n".join(lines))
    assert "20 i32" not in text and "r11" in text
    assert text.count("SLOT_LOAD") < 30


def test_ends_are_copied_where_nothing_falls_in() -> None:
    """A branch to a bare RET becomes one."""
    text = compiled("""
func (i32) -> ()
b0:
  v0:i32 = PARAM [0]
  BR_TABLE v0 -> b1, b2, b3
b1:
  STORE32_IMM v0 [0 1]
  BR -> b3
b2:
  STORE32_IMM v0 [0 2]
  BR -> b3
b3:
  RET
""")
    assert "BR b" not in text
    assert text.count("RET") == 2


def test_poll_only_at_targets_of_backward_branches() -> None:
    text = compiled("""
func (i32) -> (i32)
b0:
  v0:i32 = PARAM [0]
  BR -> b1
b1:
  v1:i32 = PHI v0, v2, v4
  v2:i32 = I32_LOAD v1 [0]
  I32_BR_IF_IMM v2 [GT_S 5] -> b1, b2
b2:
  I32_BR_IF_IMM v2 [EQ 0] -> b4, b3
b3:
  v4:i32 = I32_LOAD v2 [4]
  I32_BR_IF_IMM v4 [NE 9] -> b1, b4
b4:
  v5:i32 = PHI v2, v4
  RET v5
""")
    assert text.count("POLL") == 1


def test_slot_read_only_on_an_edge_lives_until_then() -> None:
    """v1 is loaded when b0 ends, and v4 is spilled meanwhile: each needs a slot of its own.

    The edge's other half, v7, is in memory, so that the whole edge is one parallel copy.
    """
    fn = parse("""
func (i32, f64, f64) -> (f64)
b0:
  v0:i32 = PARAM [0]
  v1:f64 = PARAM [1]
  v2:f64 = PARAM [2]
  v3:i32 = CALL v0 [1]
  v4:f64 = F64_CONVERT_I32_S v3
  v5:i32 = CALL v3 [1]
  F64_STORE v4, v5 [0]
  BR -> b1
b1:
  v6:f64 = PHI v1, v10
  v7:f64 = PHI v2, v9
  v8:i32 = PHI v0, v12
  F64_STORE v6, v8 [8]
  v11:i32 = CALL v8 [1]
  v13:i32 = CALL v11 [1]
  v14:f64 = F64_CONVERT_I32_S v13
  v9:f64 = F64_ADD v7, v14
  v15:i32 = CALL v13 [1]
  v10:f64 = F64_CONVERT_I32_S v15
  v12:i32 = I32_ADD_IMM v8 [1]
  I32_BR_IF_IMM v12 [LT_S 7] -> b1, b2
b2:
  RET v9
""")
    expected = run_ir(fn, [3, 11, 22])
    assert isinstance(expected[0], list)
    body = allocate_and_emit(fn)
    text = disassemble(body)
    assert "slots 0" in text
    assert run_body(body, fn.params, fn.results, [3, 11, 22]) == expected


def test_cold_code_does_not_cost_the_rest() -> None:
    """A call on a path to a trap stores what it must, there; nothing is saved in the prologue."""
    text = compiled("""
func (i32, i32) -> (i32)
b0:
  v0:i32 = PARAM [0]
  v1:i32 = PARAM [1]
  v2:i32 = I32_LOAD v0 [0]
  I32_BR_IF_IMM v2 [EQ 0] -> b2, b1
b1:
  v3:i32 = I32_ADD v2, v1
  RET v3
b2:
  v4:i32 = CALL v1 [0]
  STORE32 v4, v0 [4]
  TRAP [1]
""")
    hot, cold = text.split("RET")
    assert "SLOT" not in hot and "r8" not in hot
    assert "SLOT_STORE" in cold


def test_address_is_computed_again_rather_than_spilled() -> None:
    """r0 + 16 is one instruction as long as its operand is at hand."""
    lines = ["func (i32) -> (i32)", "b0:", "  v0:i32 = PARAM [0]", "  v1:i32 = I32_ADD_IMM v0 [16]"]
    lines += [f"  v{i}:i32 = I32_LOAD v0 [{4 * i}]" for i in range(2, 16)]
    total = "v2"
    for i in range(3, 16):
        lines.append(f"  v{100 + i}:i32 = I32_XOR {total}, v{i}")
        total = f"v{100 + i}"
    lines += [f"  STORE32 {total}, {v} [8]" for v in ("v0", "v1", "v0")]
    lines += [f"  RET {total}"]
    text = compiled("\n".join(lines))
    assert text.count("I32_ADD_IMM") == 2
    assert "SLOT_LOAD" in text


def test_time_is_linear() -> None:
    """Work per instruction does not grow with the length of a function."""

    def steps(blocks: int) -> int:
        lines = ["func (i32, i32) -> (i32)", "b0:", "  v0:i32 = PARAM [0]", "  v1:i32 = PARAM [1]"]
        lines += ["  I32_BR_IF_IMM v0 [EQ 1] -> b2, b1"]
        for b in range(1, blocks, 2):
            lines += [f"b{b}:", f"  v{b}0:i32 = CALL v1 [0]", f"  BR -> b{b + 1}", f"b{b + 1}:"]
            lines += [f"  I32_BR_IF_IMM v0 [EQ {b}] -> b{b + 3}, b{b + 2}"]
        lines += [f"b{blocks + 1}:", f"  BR -> b{blocks + 2}", f"b{blocks + 2}:", "  RET v1"]
        al = Allocation(parse("\n".join(lines)))
        al.run()
        return len(al.slot_ops) + sum(len(code) for code in al.code)

    assert steps(2000) < 11 * steps(200)


@pytest.mark.parametrize("count", [1, 7, 40])
def test_arguments_on_the_stack(count: int) -> None:
    """Parameters beyond the registers keep their order, whatever their class."""
    kinds = ["i32" if i % 3 else "f64" for i in range(count)]
    lines = [f"func ({', '.join(kinds)}) -> ()", "b0:"]
    lines += [f"  v{i}:{kind} = PARAM [{i}]" for i, kind in enumerate(kinds)]
    for i, kind in enumerate(kinds):
        lines.append(f"  {'F64_STORE' if kind == 'f64' else 'STORE32'} v{i} [{8 * i}]")
    text = compiled("\n".join([*lines, "  RET"]))
    ints = sum(kind == "i32" for kind in kinds)
    stack = max(0, ints - 6) + max(0, count - ints - 8)
    assert text.count("ARG_LOAD") == stack
