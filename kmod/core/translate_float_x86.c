// SPDX-License-Identifier: GPL-2.0-only
/* The x86-64 JIT's instructions: floats and conversions. */
#include "translate_x86.h"

/*
 * ucomis a, b sets CF, ZF and PF when unordered.  Codes that are true then use B or BE, the
 * others A or AE, with operands swapped where needed; EQ and NE look at PF as well.
 */
static const struct { u8 cc; bool swap; } float_cc[WJ_CC_COUNT] = {
	[WJ_FCC_EQ] = { X86_E, false }, [WJ_FCC_NE] = { X86_NE, false },
	[WJ_FCC_LT] = { X86_A, true }, [WJ_FCC_NLT] = { X86_BE, true },
	[WJ_FCC_GT] = { X86_A, false }, [WJ_FCC_NGT] = { X86_BE, false },
	[WJ_FCC_LE] = { X86_AE, true }, [WJ_FCC_NLE] = { X86_B, true },
	[WJ_FCC_GE] = { X86_AE, false }, [WJ_FCC_NGE] = { X86_B, false },
};

/* d = a op b */
void wj_t_float3(struct wj_jit *j, u32 op, bool commutes, u8 d, u8 a, u8 b)
{
	if (j->features & WJ_CPU_AVX) {
		wj_vex_rr(&j->e, op, d, a, b);
		return;
	}
	if (d == b && commutes) {
		b = a;
	} else if (d == b && d != a) {
		wj_fmov(j, 15, b);
		wj_fmov(j, d, a);
		b = 15;
	} else {
		wj_fmov(j, d, a);
	}
	wj_x86_rr(&j->e, op, d, b);
}

/* d = op(a), for instructions that keep d's upper part and so would wait for it */
void wj_t_float2(struct wj_jit *j, u32 op, u8 d, u8 a)
{
	if (j->features & WJ_CPU_AVX)
		wj_vex_rr(&j->e, op, d, a, a);
	else
		wj_x86_rr(&j->e, op, d, a);
}

/* d = a op constant, bitwise */
void wj_t_float_mask(struct wj_jit *j, u32 op, u8 d, u8 a, enum wj_jit_constant which)
{
	if (j->features & WJ_CPU_AVX) {
		wj_vex_rm(&j->e, op, d, a, wj_constant(j, which));
		return;
	}
	wj_fmov(j, d, a);
	wj_x86_rm(&j->e, op, d, wj_constant(j, which));
}

void wj_t_copysign(struct wj_jit *j, bool is32, u8 d, u8 a, u8 b)
{
	wj_t_float_mask(j, X86_ANDPS, 14, b, is32 ? WJ_C_SIGN32 : WJ_C_SIGN64);
	wj_t_float_mask(j, X86_ANDPS, d, a, is32 ? WJ_C_ABS32 : WJ_C_ABS64);
	wj_x86_rr(&j->e, X86_ORPS, d, 14);
}

static u32 ucomis(u8 type)
{
	return X86_UCOMIS | (type == WJ_T_F ? 0 : X86_66);
}

/* min and max of x86 return the second operand where it matters: equal (zeros) or unordered. */
void wj_t_minmax(struct wj_jit *j, const struct wj_insn *i, u32 op)
{
	u8 type = wj_op_info[i->op].a;

	wj_x86_rr(&j->e, ucomis(type), wj_freg(i->a), wj_freg(i->b));
	wj_jit_cold(j, WJ_COLD_MINMAX, X86_E, i);
	wj_t_float3(j, op | wj_scalar(type), false, wj_freg(i->d), wj_freg(i->a), wj_freg(i->b));
	wj_jit_cold_back(j);
}

void wj_t_cold_minmax(struct wj_jit *j, const struct wj_cold *c)
{
	const struct wj_insn *i = &c->insn;
	bool is_min = i->op == WJ_OP_F32_MIN || i->op == WJ_OP_F64_MIN;
	u32 at = wj_x86_jcc(&j->e, X86_P, true);

	/* Equal: -0 is less than +0. */
	wj_t_float3(j, is_min ? X86_ORPS : X86_ANDPS, true, wj_freg(i->d), wj_freg(i->a), wj_freg(i->b));
	wj_x86_jmp_to(&j->e, c->back);
	wj_patch8(&j->e, at, j->e.pos);
	/* The sum of a NaN and anything is a quiet NaN. */
	wj_t_float3(j, X86_ADDS | wj_scalar(wj_op_info[i->op].a), true, wj_freg(i->d), wj_freg(i->a), wj_freg(i->b));
	wj_x86_jmp_to(&j->e, c->back);
}

/* SSE4.1: bits 1-0 the mode, bit 3 no precision exception. */
void wj_t_round(struct wj_jit *j, const struct wj_insn *i, u32 mode)
{
	u32 op = wj_op_info[i->op].a == WJ_T_F ? X86_ROUNDSS : X86_ROUNDSD;

	if (!(j->features & WJ_CPU_SSE41)) {
		wj_jit_fail(j, -EOPNOTSUPP, "rounding needs a CPU with SSE4.1");
		return;
	}
	wj_t_float2(j, op, wj_freg(i->d), wj_freg(i->a));
	wj_imm8(&j->e, mode | 8);
}

void wj_t_fset(struct wj_jit *j, const struct wj_insn *i)
{
	u8 d = wj_ireg(i->d), a = wj_freg(i->a), b = wj_freg(i->b);
	u32 op = ucomis(wj_op_info[i->op].a);

	if (i->cc == WJ_FCC_EQ || i->cc == WJ_FCC_NE) {
		/* EQ: ZF ? !PF : 0.  NE: ZF ? PF : 1. */
		bool ne = i->cc == WJ_FCC_NE;

		wj_x86_rr(&j->e, X86_XOR, RCX, RCX);
		wj_x86_rr(&j->e, op, a, b);
		wj_x86_rr(&j->e, X86_SETCC | (ne ? X86_P : X86_NP), 0, RCX);
		wj_x86_mov_imm(&j->e, d, ne, true);
		wj_x86_rr(&j->e, X86_CMOV | X86_E, d, RCX);
		return;
	}
	wj_x86_rr(&j->e, X86_XOR, d, d);
	if (float_cc[i->cc].swap)
		wj_x86_rr(&j->e, op, b, a);
	else
		wj_x86_rr(&j->e, op, a, b);
	wj_x86_rr(&j->e, X86_SETCC | (u32)float_cc[i->cc].cc, 0, d);
}

void wj_t_fbranch(struct wj_jit *j, const struct wj_insn *i)
{
	u8 a = wj_freg(i->a), b = wj_freg(i->b);
	u32 op = ucomis(wj_op_info[i->op].a), at;

	if (float_cc[i->cc].swap)
		wj_x86_rr(&j->e, op, b, a);
	else
		wj_x86_rr(&j->e, op, a, b);
	if (i->cc == WJ_FCC_EQ) {
		at = wj_x86_jcc(&j->e, X86_P, true);
		wj_jit_branch(j, X86_E, i->index);
		wj_patch8(&j->e, at, j->e.pos);
		return;
	}
	if (i->cc == WJ_FCC_NE)
		wj_jit_branch(j, X86_P, i->index);
	wj_jit_branch(j, float_cc[i->cc].cc, i->index);
}

/* Conversions. */

/* Float to integer.  cvtt gives the least integer where it cannot. */
struct trunc {
	bool from64, to64, is_unsigned, saturate;
};

static struct trunc trunc_of(u8 op)
{
	struct trunc t = {
		.from64 = wj_op_info[op].a == WJ_T_D,
		.to64 = wj_op_info[op].d == WJ_T_L,
		.saturate = !(wj_op_info[op].flags & WJ_FLAG_X),
	};

	t.is_unsigned = op == WJ_OP_I32_TRUNC_F32_U || op == WJ_OP_I32_TRUNC_F64_U ||
			op == WJ_OP_I64_TRUNC_F32_U || op == WJ_OP_I64_TRUNC_F64_U ||
			op == WJ_OP_I32_TRUNC_SAT_F32_U || op == WJ_OP_I32_TRUNC_SAT_F64_U ||
			op == WJ_OP_I64_TRUNC_SAT_F32_U || op == WJ_OP_I64_TRUNC_SAT_F64_U;
	return t;
}

void wj_t_trunc(struct wj_jit *j, const struct wj_insn *i)
{
	struct trunc t = trunc_of(i->op);
	u32 cvtt = X86_CVTTS2SI | (t.from64 ? X86_F2 : X86_F3), w = t.to64 ? X86_W : 0;
	u8 d = wj_ireg(i->d), a = wj_freg(i->a);

	if (!t.is_unsigned) {
		/* cmp d, 1 overflows for the least integer only. */
		wj_x86_rr(&j->e, cvtt | w, d, a);
		wj_x86_alu_imm(&j->e, X86_ALU_CMP, w, d, 1);
		wj_jit_cold(j, WJ_COLD_TRUNC, X86_O, i);
	} else if (t.to64) {
		/* Below 2^63 as if signed. */
		wj_x86_rr(&j->e, cvtt | X86_W, d, a);
		wj_x86_rr(&j->e, X86_TEST | X86_W, d, d);
		wj_jit_cold(j, WJ_COLD_TRUNC, X86_S, i);
	} else {
		/* Through 64 bits, of which the upper half must be 0. */
		wj_x86_rr(&j->e, cvtt | X86_W, RCX, a);
		wj_x86_rr(&j->e, X86_MOV, RCX, d);
		wj_x86_rr(&j->e, X86_CMP | X86_W, RCX, d);
		wj_jit_cold(j, WJ_COLD_TRUNC, X86_NE, i);
	}
}

/* d = a - 2^63, truncated: negative if a is no u64 of 2^63 or more; then, bit 63 is set. */
static u32 trunc_upper_half(struct wj_jit *j, struct trunc t, u8 d, u8 a)
{
	u32 prefix = t.from64 ? X86_F2 : X86_F3, at;

	wj_fmov(j, 15, a);
	wj_x86_rm(&j->e, X86_SUBS | prefix, 15, wj_constant(j, t.from64 ? WJ_C_F64_2_63 : WJ_C_F32_2_63));
	wj_x86_rr(&j->e, X86_CVTTS2SI | X86_W | prefix, d, 15);
	wj_x86_rr(&j->e, X86_TEST | X86_W, d, d);
	at = wj_x86_jcc(&j->e, X86_S, true);
	wj_x86_rr(&j->e, X86_BT_IMM8 | X86_W, X86_BTC, d);
	wj_imm8(&j->e, 63);
	return at;
}

void wj_t_cold_trunc(struct wj_jit *j, const struct wj_cold *c)
{
	struct trunc t = trunc_of(c->insn.op);
	u8 d = wj_ireg(c->insn.d), a = wj_freg(c->insn.a);
	u32 op = X86_UCOMIS | (t.from64 ? X86_66 : 0);
	u32 invalid, overflow = 0;

	if (t.saturate) {
		/* Against 0: NaN gives 0, what is negative the least integer. */
		wj_x86_rr(&j->e, X86_XORPS, 15, 15);
		wj_x86_rr(&j->e, op, a, 15);
		if (!t.is_unsigned) {
			invalid = wj_x86_jcc(&j->e, X86_P, true);
			wj_x86_jcc_to(&j->e, X86_B, c->back);
			wj_x86_rr(&j->e, X86_UNARY | (t.to64 ? X86_W : 0), X86_NOT, d);
			wj_x86_jmp_to(&j->e, c->back);
			wj_patch8(&j->e, invalid, j->e.pos);
			wj_x86_rr(&j->e, X86_XOR, d, d);
			wj_x86_jmp_to(&j->e, c->back);
			return;
		}
		wj_x86_mov_imm(&j->e, d, 0, true);
		wj_x86_jcc_to(&j->e, X86_BE, c->back);
		if (t.to64) {
			overflow = trunc_upper_half(j, t, d, a);
			wj_x86_jmp_to(&j->e, c->back);
			wj_patch8(&j->e, overflow, j->e.pos);
		}
		wj_x86_mov_imm(&j->e, d, t.to64 ? ~0ull : 0xffffffffu, true);
		wj_x86_jmp_to(&j->e, c->back);
		return;
	}
	wj_x86_rr(&j->e, op, a, a);
	invalid = wj_x86_jcc(&j->e, X86_P, true);
	if (!t.is_unsigned) {
		/* The least integer is right where a is negative and not too much so. */
		wj_x86_rr(&j->e, X86_XORPS, 15, 15);
		wj_x86_rr(&j->e, op, a, 15);
		overflow = wj_x86_jcc(&j->e, X86_AE, true);
		wj_x86_rm(&j->e, op, a, wj_constant(j, t.to64 ? t.from64 ? WJ_C_F64_MIN64 : WJ_C_F32_MIN64
							   : t.from64 ? WJ_C_F64_MIN32 : WJ_C_F32_MIN32));
		wj_x86_jcc_to(&j->e, !t.to64 && t.from64 ? X86_A : X86_AE, c->back);
		wj_patch8(&j->e, overflow, j->e.pos);
	} else if (t.to64) {
		overflow = trunc_upper_half(j, t, d, a);
		wj_x86_jmp_to(&j->e, c->back);
		wj_patch8(&j->e, overflow, j->e.pos);
	}
	wj_jit_trap_call(j, WJ_TRAP_INTEGER_OVERFLOW);
	wj_patch8(&j->e, invalid, j->e.pos);
	wj_jit_trap_call(j, WJ_TRAP_INVALID_CONVERSION);
}

/* Integer to float.  An i32 as u32 is an i64 here. */
void wj_t_convert(struct wj_jit *j, const struct wj_insn *i, bool is_unsigned)
{
	const struct wj_op_info *info = &wj_op_info[i->op];
	bool from64 = info->a == WJ_T_L;
	u8 d = wj_freg(i->d), a = wj_ireg(i->a);

	if (from64 && is_unsigned) {
		wj_x86_rr(&j->e, X86_TEST | X86_W, a, a);
		wj_jit_cold(j, WJ_COLD_CONVERT, X86_S, i);
	}
	/* cvtsi2s keeps d's upper part: do not wait for it. */
	wj_x86_rr(&j->e, X86_XORPS, d, d);
	wj_x86_rr(&j->e, X86_CVTSI2S | wj_scalar(info->d) | (from64 || is_unsigned ? X86_W : 0), d, a);
	if (from64 && is_unsigned)
		wj_jit_cold_back(j);
}

/* 2^63 and more: half of it, with the lost bit kept sticky for rounding, and doubled. */
void wj_t_cold_convert(struct wj_jit *j, const struct wj_cold *c)
{
	u32 prefix = wj_scalar(wj_op_info[c->insn.op].d), at;
	u8 d = wj_freg(c->insn.d), a = wj_ireg(c->insn.a);

	wj_mov(j, X86_W, RCX, a);
	wj_x86_shift_imm(&j->e, X86_SHR, X86_W, RCX, 1);
	at = wj_x86_jcc(&j->e, X86_AE, true);
	wj_x86_alu_imm(&j->e, X86_ALU_OR, X86_W, RCX, 1);
	wj_patch8(&j->e, at, j->e.pos);
	wj_x86_rr(&j->e, X86_XORPS, d, d);
	wj_x86_rr(&j->e, X86_CVTSI2S | prefix | X86_W, d, RCX);
	wj_x86_rr(&j->e, X86_ADDS | prefix, d, d);
	wj_x86_jmp_to(&j->e, c->back);
}

void wj_t_float_constant(struct wj_jit *j, const struct wj_insn *i, bool is64)
{
	u8 d = wj_freg(i->d);

	if (!i->imm) {
		wj_x86_rr(&j->e, X86_XORPS, d, d);
		return;
	}
	if (!(j->mitigations & WJ_MITIGATE_BLIND)) {
		wj_x86_rm(&j->e, X86_MOVS_LOAD | (is64 ? X86_F2 : X86_F3), d, wj_mem(WJ_RIP, 0));
		wj_jit_reloc(j, WJ_RELOC_LITERAL, j->e.pos - 4, wj_jit_literal(j, (u64)i->imm), NULL);
		return;
	}
	wj_jit_load_imm(j, RCX, (u64)i->imm, false);
	wj_x86_rr(&j->e, X86_MOVD_TO_X | (is64 ? X86_W : 0), d, RCX);
}
