/* SPDX-License-Identifier: GPL-2.0-only */
/* What the files of instruction sequences share: translate_x86.c dispatches, the others emit. */
#ifndef WJ_TRANSLATE_X86_H
#define WJ_TRANSLATE_X86_H

#include "jit_x86.h"

/* From operand fields, four bits, to machine registers. */
static inline u8 wj_ireg(u8 index)
{
	return wj_jit_ireg[index & 15];
}

static inline u8 wj_freg(u8 index)
{
	return wj_jit_freg[index & 15];
}

/* X86_W where an operand of this type (enum wj_operand) is an i64. */
static inline u32 wj_wide(u8 type)
{
	return type == WJ_T_L ? X86_W : 0;
}

/* The prefix of scalar float instructions. */
static inline u32 wj_scalar(u8 type)
{
	return type == WJ_T_F ? X86_F3 : X86_F2;
}

static inline struct wj_mem wj_constant(const struct wj_jit *j, enum wj_jit_constant which)
{
	return wj_mem(WJ_RIP, (s32)(j->start + which));
}

/* A field of struct wj_instance. */
static inline struct wj_mem wj_field(size_t offset)
{
	return wj_mem(R14, (s32)offset);
}

/* d = a */
static inline void wj_mov(struct wj_jit *j, u32 w, u8 d, u8 a)
{
	if (d != a)
		wj_x86_rr(&j->e, X86_MOV | w, a, d);
}

static inline void wj_fmov(struct wj_jit *j, u8 d, u8 a)
{
	if (d != a)
		wj_x86_rr(&j->e, X86_MOVAPS, d, a);
}

/*
 * The last instruction set ZF by its result, in reg: all of it, as 32-bit operations clear the
 * upper half and no i64 becomes an i32 without an instruction.
 */
static inline void wj_zero_known(struct wj_jit *j, u8 reg)
{
	j->zero_pos = j->e.pos;
	j->zero_reg = reg;
}

/*
 * Immediates.  What the guest chose and does not fit in 16 bits is blinded: it appears only
 * xored with random bits, so that its bytes are no code to jump into.
 */
static inline bool wj_blind(const struct wj_jit *j, s64 value)
{
	return j->mitigations & WJ_MITIGATE_BLIND && (value < -0x8000 || value > 0xffff);
}

extern const u8 wj_t_cc[WJ_CC_COUNT];	/* of integer comparisons: enum wj_x86_cc */

/* translate_x86.c.  w is 0 or X86_W; d, a, b are machine registers; rcx may be clobbered. */
/* reg = value; flags survive only if keep_flags and not blinded, rcx only if it fits in 32 bits. */
void wj_jit_load_imm(struct wj_jit *j, u8 reg, u64 value, bool keep_flags);
/* The same for an immediate operand of width w. */
void wj_t_load_operand(struct wj_jit *j, u8 reg, u32 w, s32 imm);
/* rm = rm op imm, where op is the form with a register and digit the one with an immediate. */
void wj_t_alu_imm(struct wj_jit *j, u32 op, enum wj_x86_digit digit, u32 w, u8 rm, s32 imm);
void wj_t_compare_imm(struct wj_jit *j, u32 w, u8 a, s32 imm);
void wj_t_test_imm(struct wj_jit *j, u32 w, u8 a, s32 imm);
/* Where cc holds (enum wj_x86_cc), continue in cold code, which comes back here or ... */
struct wj_cold *wj_jit_cold(struct wj_jit *j, enum wj_cold_kind kind, int cc, const struct wj_insn *i);
/* ... where this is called, for the cold code begun last. */
void wj_jit_cold_back(struct wj_jit *j);
void wj_jit_trap_if(struct wj_jit *j, enum wj_x86_cc cc, enum wj_trap trap);
void wj_jit_trap_call(struct wj_jit *j, u32 trap);

/* translate_int_x86.c */
void wj_t_add(struct wj_jit *j, u32 w, u8 d, u8 a, u8 b);
void wj_t_sub(struct wj_jit *j, u32 w, u8 d, u8 a, u8 b);
void wj_t_commutative(struct wj_jit *j, u32 op, u32 w, u8 d, u8 a, u8 b);
void wj_t_add_imm(struct wj_jit *j, u32 w, u8 d, u8 a, s32 imm);
void wj_t_mul_imm(struct wj_jit *j, u32 w, u8 d, u8 a, s32 imm);
void wj_t_and_imm(struct wj_jit *j, u32 w, u8 d, u8 a, s32 imm);
void wj_t_or_imm(struct wj_jit *j, u32 w, u8 d, u8 a, s32 imm);
void wj_t_xor_imm(struct wj_jit *j, u32 w, u8 d, u8 a, s32 imm);
void wj_t_shift(struct wj_jit *j, u32 bmi2_op, enum wj_x86_digit digit, u32 w, u8 d, u8 a, u8 b);
void wj_t_shift_imm(struct wj_jit *j, enum wj_x86_digit digit, u32 w, u8 d, u8 a, u8 count);
void wj_t_lea(struct wj_jit *j, u32 w, u8 d, u8 a, u8 b, u8 scale, s32 disp);
void wj_t_divide(struct wj_jit *j, const struct wj_insn *i, u32 w, bool is_signed, bool remainder);
void wj_t_count_zeros(struct wj_jit *j, u32 w, u8 d, u8 a, bool leading);
void wj_t_popcount(struct wj_jit *j, u32 w, u8 d, u8 a);
void wj_t_set(struct wj_jit *j, u32 w, u8 cc, u8 d, u8 a, u8 b);
void wj_t_set_imm(struct wj_jit *j, u32 w, u8 cc, u8 d, u8 a, s32 imm);
void wj_t_select(struct wj_jit *j, u8 cc, u8 d, u8 a, u8 b);
void wj_t_fselect(struct wj_jit *j, u8 cc, u8 d, u8 a, u8 b);
void wj_t_cold_minus_1(struct wj_jit *j, const struct wj_cold *c);

/* translate_memory_x86.c: op is the instruction, size that of the access in bytes */
void wj_t_load(struct wj_jit *j, const struct wj_insn *i, u32 op);
void wj_t_fload(struct wj_jit *j, const struct wj_insn *i, u32 op);
void wj_t_store(struct wj_jit *j, const struct wj_insn *i, u32 op);
void wj_t_fstore(struct wj_jit *j, const struct wj_insn *i, u32 op);
void wj_t_store_imm(struct wj_jit *j, const struct wj_insn *i, u32 size);
void wj_t_atomic_load(struct wj_jit *j, const struct wj_insn *i, u32 size);
void wj_t_atomic_store(struct wj_jit *j, const struct wj_insn *i, u32 size);
void wj_t_atomic_rmw(struct wj_jit *j, const struct wj_insn *i, u32 size);
void wj_t_atomic_cmpxchg(struct wj_jit *j, const struct wj_insn *i, u32 size);

/* translate_float_x86.c: d, a, b of wj_t_float* are xmm registers */
void wj_t_float3(struct wj_jit *j, u32 op, bool commutes, u8 d, u8 a, u8 b);
void wj_t_float2(struct wj_jit *j, u32 op, u8 d, u8 a);
void wj_t_float_mask(struct wj_jit *j, u32 op, u8 d, u8 a, enum wj_jit_constant which);
void wj_t_copysign(struct wj_jit *j, bool is32, u8 d, u8 a, u8 b);
void wj_t_minmax(struct wj_jit *j, const struct wj_insn *i, u32 op);
void wj_t_cold_minmax(struct wj_jit *j, const struct wj_cold *c);
void wj_t_round(struct wj_jit *j, const struct wj_insn *i, u32 mode);
void wj_t_fset(struct wj_jit *j, const struct wj_insn *i);
void wj_t_fbranch(struct wj_jit *j, const struct wj_insn *i);
void wj_t_trunc(struct wj_jit *j, const struct wj_insn *i);
void wj_t_cold_trunc(struct wj_jit *j, const struct wj_cold *c);
void wj_t_convert(struct wj_jit *j, const struct wj_insn *i, bool is_unsigned);
void wj_t_cold_convert(struct wj_jit *j, const struct wj_cold *c);
void wj_t_float_constant(struct wj_jit *j, const struct wj_insn *i, bool is64);

#endif
