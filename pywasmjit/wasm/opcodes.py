# SPDX-License-Identifier: GPL-2.0-only
"""The instructions of WebAssembly 2.0 without SIMD, plus atomics, as one table.

One row per instruction: code, name, kind of immediates, operand types, result types and, for
memory accesses, the natural alignment.  The validator's dispatch, the disassembler and the
lowering derive from it.  Sources: WebAssembly core specification 2.0, section 5.4; for the 0xFE
prefix the threads proposal.

An instruction with a prefix byte p (0xFC, 0xFE) and sub-opcode s has the code p << 8 | s.
"""

from __future__ import annotations

from enum import Enum
from typing import Final, NamedTuple

# Value types (5.3.1 - 5.3.4), by their byte in the binary format.
I32: Final = 0x7F
I64: Final = 0x7E
F32: Final = 0x7D
F64: Final = 0x7C
V128: Final = 0x7B  # named so that it can be refused by name
FUNCREF: Final = 0x70
EXTERNREF: Final = 0x6F

VALUE_TYPE_NAMES: Final[dict[int, str]] = {
    I32: "i32",
    I64: "i64",
    F32: "f32",
    F64: "f64",
    V128: "v128",
    FUNCREF: "funcref",
    EXTERNREF: "externref",
}

EMPTY_BLOCK: Final = 0x40  # block type without a value (5.4.1)

# Opcodes that code refers to by name: control and everything that is not a plain operator.
UNREACHABLE: Final = 0x00
NOP: Final = 0x01
BLOCK: Final = 0x02
LOOP: Final = 0x03
IF: Final = 0x04
ELSE: Final = 0x05
END: Final = 0x0B
BR: Final = 0x0C
BR_IF: Final = 0x0D
BR_TABLE: Final = 0x0E
RETURN: Final = 0x0F
CALL: Final = 0x10
CALL_INDIRECT: Final = 0x11
DROP: Final = 0x1A
SELECT: Final = 0x1B
SELECT_T: Final = 0x1C
LOCAL_GET: Final = 0x20
LOCAL_SET: Final = 0x21
LOCAL_TEE: Final = 0x22
GLOBAL_GET: Final = 0x23
GLOBAL_SET: Final = 0x24
TABLE_GET: Final = 0x25
TABLE_SET: Final = 0x26
MEMORY_SIZE: Final = 0x3F
MEMORY_GROW: Final = 0x40
I32_CONST: Final = 0x41
I64_CONST: Final = 0x42
F32_CONST: Final = 0x43
F64_CONST: Final = 0x44
REF_NULL: Final = 0xD0
REF_IS_NULL: Final = 0xD1
REF_FUNC: Final = 0xD2
PREFIX_FC: Final = 0xFC  # saturating truncation, bulk memory, tables
PREFIX_SIMD: Final = 0xFD  # refused by name
PREFIX_ATOMIC: Final = 0xFE
MEMORY_INIT: Final = 0xFC08
DATA_DROP: Final = 0xFC09
MEMORY_COPY: Final = 0xFC0A
MEMORY_FILL: Final = 0xFC0B
TABLE_INIT: Final = 0xFC0C
ELEM_DROP: Final = 0xFC0D
TABLE_COPY: Final = 0xFC0E
TABLE_GROW: Final = 0xFC0F
TABLE_SIZE: Final = 0xFC10
TABLE_FILL: Final = 0xFC11
ATOMIC_FENCE: Final = 0xFE03


class Imm(Enum):
    """What follows the opcode in the byte stream; LEB128 numbers unless said otherwise."""

    NONE = "none"
    BLOCK = "block"  # block type: 0x40, a value type, or a type index as s33
    LABEL = "label"  # u32 relative depth
    LABELS = "labels"  # vector of u32 depths, then the default depth
    FUNC = "func"  # u32 function index
    TYPE_TABLE = "type_table"  # u32 type index, u32 table index
    LOCAL = "local"  # u32
    GLOBAL = "global"  # u32
    TABLE = "table"  # u32
    MEMARG = "memarg"  # u32 alignment exponent, u32 offset
    MEMORY = "memory"  # byte 0x00
    I32 = "i32"  # s32
    I64 = "i64"  # s64
    F32 = "f32"  # 4 bytes, little-endian IEEE 754
    F64 = "f64"  # 8 bytes
    TYPES = "types"  # vector of value types
    REFTYPE = "reftype"  # byte
    DATA_MEMORY = "data_memory"  # u32 data index, byte 0x00
    DATA = "data"  # u32
    MEMORY_MEMORY = "memory_memory"  # bytes 0x00 0x00
    ELEM_TABLE = "elem_table"  # u32 element index, u32 table index
    ELEM = "elem"  # u32
    TABLE_TABLE = "table_table"  # u32 destination, u32 source
    FENCE = "fence"  # byte 0x00


class Opcode(NamedTuple):
    """One row of the table.

    params and results hold value types, bottom of the stack first.  They are None for
    instructions whose types depend on immediates, on the module or on the stack; the validator
    has a rule for each of those.  align is the base-2 logarithm of the bytes accessed.
    """

    code: int
    name: str
    imm: Imm
    params: tuple[int, ...] | None
    results: tuple[int, ...] | None
    align: int = -1


_I = (I32,)
_L = (I64,)
_F = (F32,)
_D = (F64,)
_II = (I32, I32)
_IL = (I32, I64)
_IF = (I32, F32)
_ID = (I32, F64)
_LL = (I64, I64)
_FF = (F32, F32)
_DD = (F64, F64)
_III = (I32, I32, I32)
_IIL = (I32, I32, I64)
_ILL = (I32, I64, I64)

OPCODES: Final[tuple[Opcode, ...]] = (
    # Control (5.4.1)
    Opcode(0x00, "unreachable", Imm.NONE, None, None),
    Opcode(0x01, "nop", Imm.NONE, (), ()),
    Opcode(0x02, "block", Imm.BLOCK, None, None),
    Opcode(0x03, "loop", Imm.BLOCK, None, None),
    Opcode(0x04, "if", Imm.BLOCK, None, None),
    Opcode(0x05, "else", Imm.NONE, None, None),
    Opcode(0x0B, "end", Imm.NONE, None, None),
    Opcode(0x0C, "br", Imm.LABEL, None, None),
    Opcode(0x0D, "br_if", Imm.LABEL, None, None),
    Opcode(0x0E, "br_table", Imm.LABELS, None, None),
    Opcode(0x0F, "return", Imm.NONE, None, None),
    Opcode(0x10, "call", Imm.FUNC, None, None),
    Opcode(0x11, "call_indirect", Imm.TYPE_TABLE, None, None),
    # References (5.4.2)
    Opcode(0xD0, "ref.null", Imm.REFTYPE, None, None),
    Opcode(0xD1, "ref.is_null", Imm.NONE, None, None),
    Opcode(0xD2, "ref.func", Imm.FUNC, (), (FUNCREF,)),
    # Parametric (5.4.3)
    Opcode(0x1A, "drop", Imm.NONE, None, None),
    Opcode(0x1B, "select", Imm.NONE, None, None),
    Opcode(0x1C, "select", Imm.TYPES, None, None),
    # Variables (5.4.4)
    Opcode(0x20, "local.get", Imm.LOCAL, None, None),
    Opcode(0x21, "local.set", Imm.LOCAL, None, None),
    Opcode(0x22, "local.tee", Imm.LOCAL, None, None),
    Opcode(0x23, "global.get", Imm.GLOBAL, None, None),
    Opcode(0x24, "global.set", Imm.GLOBAL, None, None),
    # Tables (5.4.5)
    Opcode(0x25, "table.get", Imm.TABLE, None, None),
    Opcode(0x26, "table.set", Imm.TABLE, None, None),
    Opcode(0xFC0C, "table.init", Imm.ELEM_TABLE, _III, ()),
    Opcode(0xFC0D, "elem.drop", Imm.ELEM, (), ()),
    Opcode(0xFC0E, "table.copy", Imm.TABLE_TABLE, _III, ()),
    Opcode(0xFC0F, "table.grow", Imm.TABLE, None, None),
    Opcode(0xFC10, "table.size", Imm.TABLE, (), _I),
    Opcode(0xFC11, "table.fill", Imm.TABLE, None, None),
    # Bulk memory (5.4.6)
    Opcode(0xFC08, "memory.init", Imm.DATA_MEMORY, _III, ()),
    Opcode(0xFC09, "data.drop", Imm.DATA, (), ()),
    Opcode(0xFC0A, "memory.copy", Imm.MEMORY_MEMORY, _III, ()),
    Opcode(0xFC0B, "memory.fill", Imm.MEMORY, _III, ()),
    # Memory (5.4.6)
    Opcode(0x28, "i32.load", Imm.MEMARG, _I, _I, 2),
    Opcode(0x29, "i64.load", Imm.MEMARG, _I, _L, 3),
    Opcode(0x2A, "f32.load", Imm.MEMARG, _I, _F, 2),
    Opcode(0x2B, "f64.load", Imm.MEMARG, _I, _D, 3),
    Opcode(0x2C, "i32.load8_s", Imm.MEMARG, _I, _I, 0),
    Opcode(0x2D, "i32.load8_u", Imm.MEMARG, _I, _I, 0),
    Opcode(0x2E, "i32.load16_s", Imm.MEMARG, _I, _I, 1),
    Opcode(0x2F, "i32.load16_u", Imm.MEMARG, _I, _I, 1),
    Opcode(0x30, "i64.load8_s", Imm.MEMARG, _I, _L, 0),
    Opcode(0x31, "i64.load8_u", Imm.MEMARG, _I, _L, 0),
    Opcode(0x32, "i64.load16_s", Imm.MEMARG, _I, _L, 1),
    Opcode(0x33, "i64.load16_u", Imm.MEMARG, _I, _L, 1),
    Opcode(0x34, "i64.load32_s", Imm.MEMARG, _I, _L, 2),
    Opcode(0x35, "i64.load32_u", Imm.MEMARG, _I, _L, 2),
    Opcode(0x36, "i32.store", Imm.MEMARG, _II, (), 2),
    Opcode(0x37, "i64.store", Imm.MEMARG, _IL, (), 3),
    Opcode(0x38, "f32.store", Imm.MEMARG, _IF, (), 2),
    Opcode(0x39, "f64.store", Imm.MEMARG, _ID, (), 3),
    Opcode(0x3A, "i32.store8", Imm.MEMARG, _II, (), 0),
    Opcode(0x3B, "i32.store16", Imm.MEMARG, _II, (), 1),
    Opcode(0x3C, "i64.store8", Imm.MEMARG, _IL, (), 0),
    Opcode(0x3D, "i64.store16", Imm.MEMARG, _IL, (), 1),
    Opcode(0x3E, "i64.store32", Imm.MEMARG, _IL, (), 2),
    Opcode(0x3F, "memory.size", Imm.MEMORY, (), _I),
    Opcode(0x40, "memory.grow", Imm.MEMORY, _I, _I),
    # Numeric (5.4.7)
    Opcode(0x41, "i32.const", Imm.I32, (), _I),
    Opcode(0x42, "i64.const", Imm.I64, (), _L),
    Opcode(0x43, "f32.const", Imm.F32, (), _F),
    Opcode(0x44, "f64.const", Imm.F64, (), _D),
    Opcode(0x45, "i32.eqz", Imm.NONE, _I, _I),
    Opcode(0x46, "i32.eq", Imm.NONE, _II, _I),
    Opcode(0x47, "i32.ne", Imm.NONE, _II, _I),
    Opcode(0x48, "i32.lt_s", Imm.NONE, _II, _I),
    Opcode(0x49, "i32.lt_u", Imm.NONE, _II, _I),
    Opcode(0x4A, "i32.gt_s", Imm.NONE, _II, _I),
    Opcode(0x4B, "i32.gt_u", Imm.NONE, _II, _I),
    Opcode(0x4C, "i32.le_s", Imm.NONE, _II, _I),
    Opcode(0x4D, "i32.le_u", Imm.NONE, _II, _I),
    Opcode(0x4E, "i32.ge_s", Imm.NONE, _II, _I),
    Opcode(0x4F, "i32.ge_u", Imm.NONE, _II, _I),
    Opcode(0x50, "i64.eqz", Imm.NONE, _L, _I),
    Opcode(0x51, "i64.eq", Imm.NONE, _LL, _I),
    Opcode(0x52, "i64.ne", Imm.NONE, _LL, _I),
    Opcode(0x53, "i64.lt_s", Imm.NONE, _LL, _I),
    Opcode(0x54, "i64.lt_u", Imm.NONE, _LL, _I),
    Opcode(0x55, "i64.gt_s", Imm.NONE, _LL, _I),
    Opcode(0x56, "i64.gt_u", Imm.NONE, _LL, _I),
    Opcode(0x57, "i64.le_s", Imm.NONE, _LL, _I),
    Opcode(0x58, "i64.le_u", Imm.NONE, _LL, _I),
    Opcode(0x59, "i64.ge_s", Imm.NONE, _LL, _I),
    Opcode(0x5A, "i64.ge_u", Imm.NONE, _LL, _I),
    Opcode(0x5B, "f32.eq", Imm.NONE, _FF, _I),
    Opcode(0x5C, "f32.ne", Imm.NONE, _FF, _I),
    Opcode(0x5D, "f32.lt", Imm.NONE, _FF, _I),
    Opcode(0x5E, "f32.gt", Imm.NONE, _FF, _I),
    Opcode(0x5F, "f32.le", Imm.NONE, _FF, _I),
    Opcode(0x60, "f32.ge", Imm.NONE, _FF, _I),
    Opcode(0x61, "f64.eq", Imm.NONE, _DD, _I),
    Opcode(0x62, "f64.ne", Imm.NONE, _DD, _I),
    Opcode(0x63, "f64.lt", Imm.NONE, _DD, _I),
    Opcode(0x64, "f64.gt", Imm.NONE, _DD, _I),
    Opcode(0x65, "f64.le", Imm.NONE, _DD, _I),
    Opcode(0x66, "f64.ge", Imm.NONE, _DD, _I),
    Opcode(0x67, "i32.clz", Imm.NONE, _I, _I),
    Opcode(0x68, "i32.ctz", Imm.NONE, _I, _I),
    Opcode(0x69, "i32.popcnt", Imm.NONE, _I, _I),
    Opcode(0x6A, "i32.add", Imm.NONE, _II, _I),
    Opcode(0x6B, "i32.sub", Imm.NONE, _II, _I),
    Opcode(0x6C, "i32.mul", Imm.NONE, _II, _I),
    Opcode(0x6D, "i32.div_s", Imm.NONE, _II, _I),
    Opcode(0x6E, "i32.div_u", Imm.NONE, _II, _I),
    Opcode(0x6F, "i32.rem_s", Imm.NONE, _II, _I),
    Opcode(0x70, "i32.rem_u", Imm.NONE, _II, _I),
    Opcode(0x71, "i32.and", Imm.NONE, _II, _I),
    Opcode(0x72, "i32.or", Imm.NONE, _II, _I),
    Opcode(0x73, "i32.xor", Imm.NONE, _II, _I),
    Opcode(0x74, "i32.shl", Imm.NONE, _II, _I),
    Opcode(0x75, "i32.shr_s", Imm.NONE, _II, _I),
    Opcode(0x76, "i32.shr_u", Imm.NONE, _II, _I),
    Opcode(0x77, "i32.rotl", Imm.NONE, _II, _I),
    Opcode(0x78, "i32.rotr", Imm.NONE, _II, _I),
    Opcode(0x79, "i64.clz", Imm.NONE, _L, _L),
    Opcode(0x7A, "i64.ctz", Imm.NONE, _L, _L),
    Opcode(0x7B, "i64.popcnt", Imm.NONE, _L, _L),
    Opcode(0x7C, "i64.add", Imm.NONE, _LL, _L),
    Opcode(0x7D, "i64.sub", Imm.NONE, _LL, _L),
    Opcode(0x7E, "i64.mul", Imm.NONE, _LL, _L),
    Opcode(0x7F, "i64.div_s", Imm.NONE, _LL, _L),
    Opcode(0x80, "i64.div_u", Imm.NONE, _LL, _L),
    Opcode(0x81, "i64.rem_s", Imm.NONE, _LL, _L),
    Opcode(0x82, "i64.rem_u", Imm.NONE, _LL, _L),
    Opcode(0x83, "i64.and", Imm.NONE, _LL, _L),
    Opcode(0x84, "i64.or", Imm.NONE, _LL, _L),
    Opcode(0x85, "i64.xor", Imm.NONE, _LL, _L),
    Opcode(0x86, "i64.shl", Imm.NONE, _LL, _L),
    Opcode(0x87, "i64.shr_s", Imm.NONE, _LL, _L),
    Opcode(0x88, "i64.shr_u", Imm.NONE, _LL, _L),
    Opcode(0x89, "i64.rotl", Imm.NONE, _LL, _L),
    Opcode(0x8A, "i64.rotr", Imm.NONE, _LL, _L),
    Opcode(0x8B, "f32.abs", Imm.NONE, _F, _F),
    Opcode(0x8C, "f32.neg", Imm.NONE, _F, _F),
    Opcode(0x8D, "f32.ceil", Imm.NONE, _F, _F),
    Opcode(0x8E, "f32.floor", Imm.NONE, _F, _F),
    Opcode(0x8F, "f32.trunc", Imm.NONE, _F, _F),
    Opcode(0x90, "f32.nearest", Imm.NONE, _F, _F),
    Opcode(0x91, "f32.sqrt", Imm.NONE, _F, _F),
    Opcode(0x92, "f32.add", Imm.NONE, _FF, _F),
    Opcode(0x93, "f32.sub", Imm.NONE, _FF, _F),
    Opcode(0x94, "f32.mul", Imm.NONE, _FF, _F),
    Opcode(0x95, "f32.div", Imm.NONE, _FF, _F),
    Opcode(0x96, "f32.min", Imm.NONE, _FF, _F),
    Opcode(0x97, "f32.max", Imm.NONE, _FF, _F),
    Opcode(0x98, "f32.copysign", Imm.NONE, _FF, _F),
    Opcode(0x99, "f64.abs", Imm.NONE, _D, _D),
    Opcode(0x9A, "f64.neg", Imm.NONE, _D, _D),
    Opcode(0x9B, "f64.ceil", Imm.NONE, _D, _D),
    Opcode(0x9C, "f64.floor", Imm.NONE, _D, _D),
    Opcode(0x9D, "f64.trunc", Imm.NONE, _D, _D),
    Opcode(0x9E, "f64.nearest", Imm.NONE, _D, _D),
    Opcode(0x9F, "f64.sqrt", Imm.NONE, _D, _D),
    Opcode(0xA0, "f64.add", Imm.NONE, _DD, _D),
    Opcode(0xA1, "f64.sub", Imm.NONE, _DD, _D),
    Opcode(0xA2, "f64.mul", Imm.NONE, _DD, _D),
    Opcode(0xA3, "f64.div", Imm.NONE, _DD, _D),
    Opcode(0xA4, "f64.min", Imm.NONE, _DD, _D),
    Opcode(0xA5, "f64.max", Imm.NONE, _DD, _D),
    Opcode(0xA6, "f64.copysign", Imm.NONE, _DD, _D),
    Opcode(0xA7, "i32.wrap_i64", Imm.NONE, _L, _I),
    Opcode(0xA8, "i32.trunc_f32_s", Imm.NONE, _F, _I),
    Opcode(0xA9, "i32.trunc_f32_u", Imm.NONE, _F, _I),
    Opcode(0xAA, "i32.trunc_f64_s", Imm.NONE, _D, _I),
    Opcode(0xAB, "i32.trunc_f64_u", Imm.NONE, _D, _I),
    Opcode(0xAC, "i64.extend_i32_s", Imm.NONE, _I, _L),
    Opcode(0xAD, "i64.extend_i32_u", Imm.NONE, _I, _L),
    Opcode(0xAE, "i64.trunc_f32_s", Imm.NONE, _F, _L),
    Opcode(0xAF, "i64.trunc_f32_u", Imm.NONE, _F, _L),
    Opcode(0xB0, "i64.trunc_f64_s", Imm.NONE, _D, _L),
    Opcode(0xB1, "i64.trunc_f64_u", Imm.NONE, _D, _L),
    Opcode(0xB2, "f32.convert_i32_s", Imm.NONE, _I, _F),
    Opcode(0xB3, "f32.convert_i32_u", Imm.NONE, _I, _F),
    Opcode(0xB4, "f32.convert_i64_s", Imm.NONE, _L, _F),
    Opcode(0xB5, "f32.convert_i64_u", Imm.NONE, _L, _F),
    Opcode(0xB6, "f32.demote_f64", Imm.NONE, _D, _F),
    Opcode(0xB7, "f64.convert_i32_s", Imm.NONE, _I, _D),
    Opcode(0xB8, "f64.convert_i32_u", Imm.NONE, _I, _D),
    Opcode(0xB9, "f64.convert_i64_s", Imm.NONE, _L, _D),
    Opcode(0xBA, "f64.convert_i64_u", Imm.NONE, _L, _D),
    Opcode(0xBB, "f64.promote_f32", Imm.NONE, _F, _D),
    Opcode(0xBC, "i32.reinterpret_f32", Imm.NONE, _F, _I),
    Opcode(0xBD, "i64.reinterpret_f64", Imm.NONE, _D, _L),
    Opcode(0xBE, "f32.reinterpret_i32", Imm.NONE, _I, _F),
    Opcode(0xBF, "f64.reinterpret_i64", Imm.NONE, _L, _D),
    Opcode(0xC0, "i32.extend8_s", Imm.NONE, _I, _I),
    Opcode(0xC1, "i32.extend16_s", Imm.NONE, _I, _I),
    Opcode(0xC2, "i64.extend8_s", Imm.NONE, _L, _L),
    Opcode(0xC3, "i64.extend16_s", Imm.NONE, _L, _L),
    Opcode(0xC4, "i64.extend32_s", Imm.NONE, _L, _L),
    # Saturating truncation (5.4.7)
    Opcode(0xFC00, "i32.trunc_sat_f32_s", Imm.NONE, _F, _I),
    Opcode(0xFC01, "i32.trunc_sat_f32_u", Imm.NONE, _F, _I),
    Opcode(0xFC02, "i32.trunc_sat_f64_s", Imm.NONE, _D, _I),
    Opcode(0xFC03, "i32.trunc_sat_f64_u", Imm.NONE, _D, _I),
    Opcode(0xFC04, "i64.trunc_sat_f32_s", Imm.NONE, _F, _L),
    Opcode(0xFC05, "i64.trunc_sat_f32_u", Imm.NONE, _F, _L),
    Opcode(0xFC06, "i64.trunc_sat_f64_s", Imm.NONE, _D, _L),
    Opcode(0xFC07, "i64.trunc_sat_f64_u", Imm.NONE, _D, _L),
    # Atomics on unshared memory (threads proposal, binary format)
    Opcode(0xFE00, "memory.atomic.notify", Imm.MEMARG, _II, _I, 2),
    Opcode(0xFE01, "memory.atomic.wait32", Imm.MEMARG, _IIL, _I, 2),
    Opcode(0xFE02, "memory.atomic.wait64", Imm.MEMARG, _ILL, _I, 3),
    Opcode(0xFE03, "atomic.fence", Imm.FENCE, (), ()),
    Opcode(0xFE10, "i32.atomic.load", Imm.MEMARG, _I, _I, 2),
    Opcode(0xFE11, "i64.atomic.load", Imm.MEMARG, _I, _L, 3),
    Opcode(0xFE12, "i32.atomic.load8_u", Imm.MEMARG, _I, _I, 0),
    Opcode(0xFE13, "i32.atomic.load16_u", Imm.MEMARG, _I, _I, 1),
    Opcode(0xFE14, "i64.atomic.load8_u", Imm.MEMARG, _I, _L, 0),
    Opcode(0xFE15, "i64.atomic.load16_u", Imm.MEMARG, _I, _L, 1),
    Opcode(0xFE16, "i64.atomic.load32_u", Imm.MEMARG, _I, _L, 2),
    Opcode(0xFE17, "i32.atomic.store", Imm.MEMARG, _II, (), 2),
    Opcode(0xFE18, "i64.atomic.store", Imm.MEMARG, _IL, (), 3),
    Opcode(0xFE19, "i32.atomic.store8", Imm.MEMARG, _II, (), 0),
    Opcode(0xFE1A, "i32.atomic.store16", Imm.MEMARG, _II, (), 1),
    Opcode(0xFE1B, "i64.atomic.store8", Imm.MEMARG, _IL, (), 0),
    Opcode(0xFE1C, "i64.atomic.store16", Imm.MEMARG, _IL, (), 1),
    Opcode(0xFE1D, "i64.atomic.store32", Imm.MEMARG, _IL, (), 2),
    Opcode(0xFE1E, "i32.atomic.rmw.add", Imm.MEMARG, _II, _I, 2),
    Opcode(0xFE1F, "i64.atomic.rmw.add", Imm.MEMARG, _IL, _L, 3),
    Opcode(0xFE20, "i32.atomic.rmw8.add_u", Imm.MEMARG, _II, _I, 0),
    Opcode(0xFE21, "i32.atomic.rmw16.add_u", Imm.MEMARG, _II, _I, 1),
    Opcode(0xFE22, "i64.atomic.rmw8.add_u", Imm.MEMARG, _IL, _L, 0),
    Opcode(0xFE23, "i64.atomic.rmw16.add_u", Imm.MEMARG, _IL, _L, 1),
    Opcode(0xFE24, "i64.atomic.rmw32.add_u", Imm.MEMARG, _IL, _L, 2),
    Opcode(0xFE25, "i32.atomic.rmw.sub", Imm.MEMARG, _II, _I, 2),
    Opcode(0xFE26, "i64.atomic.rmw.sub", Imm.MEMARG, _IL, _L, 3),
    Opcode(0xFE27, "i32.atomic.rmw8.sub_u", Imm.MEMARG, _II, _I, 0),
    Opcode(0xFE28, "i32.atomic.rmw16.sub_u", Imm.MEMARG, _II, _I, 1),
    Opcode(0xFE29, "i64.atomic.rmw8.sub_u", Imm.MEMARG, _IL, _L, 0),
    Opcode(0xFE2A, "i64.atomic.rmw16.sub_u", Imm.MEMARG, _IL, _L, 1),
    Opcode(0xFE2B, "i64.atomic.rmw32.sub_u", Imm.MEMARG, _IL, _L, 2),
    Opcode(0xFE2C, "i32.atomic.rmw.and", Imm.MEMARG, _II, _I, 2),
    Opcode(0xFE2D, "i64.atomic.rmw.and", Imm.MEMARG, _IL, _L, 3),
    Opcode(0xFE2E, "i32.atomic.rmw8.and_u", Imm.MEMARG, _II, _I, 0),
    Opcode(0xFE2F, "i32.atomic.rmw16.and_u", Imm.MEMARG, _II, _I, 1),
    Opcode(0xFE30, "i64.atomic.rmw8.and_u", Imm.MEMARG, _IL, _L, 0),
    Opcode(0xFE31, "i64.atomic.rmw16.and_u", Imm.MEMARG, _IL, _L, 1),
    Opcode(0xFE32, "i64.atomic.rmw32.and_u", Imm.MEMARG, _IL, _L, 2),
    Opcode(0xFE33, "i32.atomic.rmw.or", Imm.MEMARG, _II, _I, 2),
    Opcode(0xFE34, "i64.atomic.rmw.or", Imm.MEMARG, _IL, _L, 3),
    Opcode(0xFE35, "i32.atomic.rmw8.or_u", Imm.MEMARG, _II, _I, 0),
    Opcode(0xFE36, "i32.atomic.rmw16.or_u", Imm.MEMARG, _II, _I, 1),
    Opcode(0xFE37, "i64.atomic.rmw8.or_u", Imm.MEMARG, _IL, _L, 0),
    Opcode(0xFE38, "i64.atomic.rmw16.or_u", Imm.MEMARG, _IL, _L, 1),
    Opcode(0xFE39, "i64.atomic.rmw32.or_u", Imm.MEMARG, _IL, _L, 2),
    Opcode(0xFE3A, "i32.atomic.rmw.xor", Imm.MEMARG, _II, _I, 2),
    Opcode(0xFE3B, "i64.atomic.rmw.xor", Imm.MEMARG, _IL, _L, 3),
    Opcode(0xFE3C, "i32.atomic.rmw8.xor_u", Imm.MEMARG, _II, _I, 0),
    Opcode(0xFE3D, "i32.atomic.rmw16.xor_u", Imm.MEMARG, _II, _I, 1),
    Opcode(0xFE3E, "i64.atomic.rmw8.xor_u", Imm.MEMARG, _IL, _L, 0),
    Opcode(0xFE3F, "i64.atomic.rmw16.xor_u", Imm.MEMARG, _IL, _L, 1),
    Opcode(0xFE40, "i64.atomic.rmw32.xor_u", Imm.MEMARG, _IL, _L, 2),
    Opcode(0xFE41, "i32.atomic.rmw.xchg", Imm.MEMARG, _II, _I, 2),
    Opcode(0xFE42, "i64.atomic.rmw.xchg", Imm.MEMARG, _IL, _L, 3),
    Opcode(0xFE43, "i32.atomic.rmw8.xchg_u", Imm.MEMARG, _II, _I, 0),
    Opcode(0xFE44, "i32.atomic.rmw16.xchg_u", Imm.MEMARG, _II, _I, 1),
    Opcode(0xFE45, "i64.atomic.rmw8.xchg_u", Imm.MEMARG, _IL, _L, 0),
    Opcode(0xFE46, "i64.atomic.rmw16.xchg_u", Imm.MEMARG, _IL, _L, 1),
    Opcode(0xFE47, "i64.atomic.rmw32.xchg_u", Imm.MEMARG, _IL, _L, 2),
    Opcode(0xFE48, "i32.atomic.rmw.cmpxchg", Imm.MEMARG, _III, _I, 2),
    Opcode(0xFE49, "i64.atomic.rmw.cmpxchg", Imm.MEMARG, _ILL, _L, 3),
    Opcode(0xFE4A, "i32.atomic.rmw8.cmpxchg_u", Imm.MEMARG, _III, _I, 0),
    Opcode(0xFE4B, "i32.atomic.rmw16.cmpxchg_u", Imm.MEMARG, _III, _I, 1),
    Opcode(0xFE4C, "i64.atomic.rmw8.cmpxchg_u", Imm.MEMARG, _ILL, _L, 0),
    Opcode(0xFE4D, "i64.atomic.rmw16.cmpxchg_u", Imm.MEMARG, _ILL, _L, 1),
    Opcode(0xFE4E, "i64.atomic.rmw32.cmpxchg_u", Imm.MEMARG, _ILL, _L, 2),
)

BY_CODE: Final[dict[int, Opcode]] = {row.code: row for row in OPCODES}
