// SPDX-License-Identifier: GPL-2.0-only
/* The x86-64 JIT's instructions: integers. */
#include "translate_x86.h"

/* d = d op s */
static void alu(struct wj_jit *j, u32 op, u32 w, u8 d, u8 s)
{
	if (op == X86_IMUL)
		wj_x86_rr(&j->e, op | w, d, s);
	else
		wj_x86_rr(&j->e, op | w, s, d);
	if (op != X86_IMUL)
		wj_zero_known(j, d);
}

void wj_t_commutative(struct wj_jit *j, u32 op, u32 w, u8 d, u8 a, u8 b)
{
	if (d == b) {
		alu(j, op, w, d, a);
		return;
	}
	wj_mov(j, w, d, a);
	alu(j, op, w, d, b);
}

void wj_t_lea(struct wj_jit *j, u32 w, u8 d, u8 a, u8 b, u8 scale, s32 disp)
{
	/* rbp and r13 as base cost a displacement. */
	if (!scale && !disp && (a & 7) == RBP) {
		u8 swap = a;

		a = b;
		b = swap;
	}
	if (wj_blind(j, disp)) {
		wj_x86_rm(&j->e, X86_LEA | w, d, wj_mem_index(a, b, scale, 0));
		wj_t_alu_imm(j, X86_ADD, X86_ALU_ADD, w, d, disp);
		return;
	}
	wj_x86_rm(&j->e, X86_LEA | w, d, wj_mem_index(a, b, scale, disp));
}

void wj_t_add(struct wj_jit *j, u32 w, u8 d, u8 a, u8 b)
{
	if (d == a || d == b)
		wj_t_commutative(j, X86_ADD, w, d, a, b);
	else
		wj_t_lea(j, w, d, a, b, 0, 0);
}

void wj_t_sub(struct wj_jit *j, u32 w, u8 d, u8 a, u8 b)
{
	if (d == b && d != a) {
		/* a - d = -d + a */
		wj_x86_rr(&j->e, X86_UNARY | w, X86_NEG, d);
		alu(j, X86_ADD, w, d, a);
		return;
	}
	wj_mov(j, w, d, a);
	alu(j, X86_SUB, w, d, b);
}

void wj_t_add_imm(struct wj_jit *j, u32 w, u8 d, u8 a, s32 imm)
{
	if (d == a) {
		wj_t_alu_imm(j, X86_ADD, X86_ALU_ADD, w, d, imm);
	} else if (wj_blind(j, imm)) {
		wj_t_load_operand(j, RCX, w, imm);
		wj_t_lea(j, w, d, a, RCX, 0, 0);
	} else {
		wj_x86_rm(&j->e, X86_LEA | w, d, wj_mem(a, imm));
	}
}

void wj_t_mul_imm(struct wj_jit *j, u32 w, u8 d, u8 a, s32 imm)
{
	if (wj_blind(j, imm)) {
		wj_t_load_operand(j, RCX, w, imm);
		wj_t_commutative(j, X86_IMUL, w, d, a, RCX);
	} else if (imm >= -128 && imm <= 127) {
		wj_x86_rr(&j->e, X86_IMUL_IMM8 | w, d, a);
		wj_imm8(&j->e, (u32)imm);
	} else {
		wj_x86_rr(&j->e, X86_IMUL_IMM32 | w, d, a);
		wj_imm32(&j->e, (u32)imm);
	}
}

void wj_t_and_imm(struct wj_jit *j, u32 w, u8 d, u8 a, s32 imm)
{
	if (imm == 0xff) {
		wj_x86_rr(&j->e, X86_MOVZX8, d, a);
	} else if (imm == 0xffff) {
		wj_x86_rr(&j->e, X86_MOVZX16, d, a);
	} else {
		/* A positive mask clears the upper half, as 32-bit operations do. */
		if (imm >= 0)
			w = 0;
		wj_mov(j, w, d, a);
		wj_t_alu_imm(j, X86_AND, X86_ALU_AND, w, d, imm);
	}
}

void wj_t_or_imm(struct wj_jit *j, u32 w, u8 d, u8 a, s32 imm)
{
	wj_mov(j, w, d, a);
	wj_t_alu_imm(j, X86_OR, X86_ALU_OR, w, d, imm);
}

void wj_t_xor_imm(struct wj_jit *j, u32 w, u8 d, u8 a, s32 imm)
{
	wj_mov(j, w, d, a);
	if (imm == -1)
		wj_x86_rr(&j->e, X86_UNARY | w, X86_NOT, d);
	else
		wj_t_alu_imm(j, X86_XOR, X86_ALU_XOR, w, d, imm);
}

void wj_t_shift(struct wj_jit *j, u32 bmi2_op, enum wj_x86_digit digit, u32 w, u8 d, u8 a, u8 b)
{
	if (bmi2_op && j->features & WJ_CPU_BMI2) {
		wj_vex_rr(&j->e, bmi2_op | w, d, b, a);
		return;
	}
	wj_mov(j, 0, RCX, b);
	wj_mov(j, w, d, a);
	wj_x86_rr(&j->e, X86_SHIFT_CL | w, digit, d);
}

void wj_t_shift_imm(struct wj_jit *j, enum wj_x86_digit digit, u32 w, u8 d, u8 a, u8 count)
{
	if (digit == X86_SHL && count == 1) {
		wj_t_add(j, w, d, a, a);
		return;
	}
	if (digit == X86_ROR && d != a && j->features & WJ_CPU_BMI2) {
		wj_vex_rr(&j->e, X86_RORX | w, d, 0, a);
		wj_imm8(&j->e, count);
		return;
	}
	wj_mov(j, w, d, a);
	wj_x86_shift_imm(&j->e, digit, w, d, count);
}

/* Dividend in rax, rdx free. */
void wj_t_divide(struct wj_jit *j, const struct wj_insn *i, u32 w, bool is_signed, bool remainder)
{
	u8 b = wj_ireg(i->b);

	wj_x86_rr(&j->e, X86_TEST | w, b, b);
	wj_jit_trap_if(j, X86_E, WJ_TRAP_DIVIDE_BY_ZERO);
	if (is_signed) {
		/* The least integer divided by -1 would be #DE. */
		wj_x86_alu_imm(&j->e, X86_ALU_CMP, w, b, -1);
		wj_jit_cold(j, WJ_COLD_DIV_MINUS_1, X86_E, i)->trap = remainder;
		wj_x86_bytes(&j->e, w ? 0x9948 : 0x99, w ? 2 : 1);	/* cqo, cdq */
		wj_x86_rr(&j->e, X86_UNARY | w, X86_IDIV, b);
		wj_jit_cold_back(j);
	} else {
		wj_x86_rr(&j->e, X86_XOR, RDX, RDX);
		wj_x86_rr(&j->e, X86_UNARY | w, X86_DIV, b);
	}
}

void wj_t_cold_minus_1(struct wj_jit *j, const struct wj_cold *c)
{
	u32 w = wj_wide(wj_op_info[c->insn.op].a);
	u32 at;

	if (c->trap) {
		wj_x86_rr(&j->e, X86_XOR, RDX, RDX);
		wj_x86_jmp_to(&j->e, c->back);
		return;
	}
	wj_x86_rr(&j->e, X86_UNARY | w, X86_NEG, RAX);
	at = wj_x86_jcc(&j->e, X86_O, true);
	wj_x86_jmp_to(&j->e, c->back);
	wj_patch8(&j->e, at, j->e.pos);
	wj_jit_trap_call(j, WJ_TRAP_INTEGER_OVERFLOW);
}

void wj_t_count_zeros(struct wj_jit *j, u32 w, u8 d, u8 a, bool leading)
{
	u32 bits = w ? 64 : 32;

	if (j->features & (leading ? WJ_CPU_LZCNT : WJ_CPU_BMI1)) {
		/* Older CPUs wait for the destination as if they read it. */
		if (d != a)
			wj_x86_rr(&j->e, X86_XOR, d, d);
		wj_x86_rr(&j->e, (leading ? X86_LZCNT : X86_TZCNT) | w, d, a);
		return;
	}
	/* bsr, bsf: ZF and no result where a is 0.  31 - n = n ^ 31, and 63 ^ 31 = 32. */
	wj_x86_rr(&j->e, (leading ? X86_BSR : X86_BSF) | w, RCX, a);
	wj_x86_mov_imm(&j->e, d, leading ? 2 * bits - 1 : bits, true);
	wj_x86_rr(&j->e, X86_CMOV | X86_NE, d, RCX);
	if (leading)
		wj_x86_alu_imm(&j->e, X86_ALU_XOR, 0, d, (s32)bits - 1);
}

void wj_t_popcount(struct wj_jit *j, u32 w, u8 d, u8 a)
{
	u32 loop;

	if (j->features & WJ_CPU_POPCNT) {
		if (d != a)
			wj_x86_rr(&j->e, X86_XOR, d, d);
		wj_x86_rr(&j->e, X86_POPCNT | w, d, a);
		return;
	}
	/* One bit at a time: shr rcx, 1; adc d, 0; test rcx, rcx; jnz */
	wj_mov(j, w, RCX, a);
	wj_x86_rr(&j->e, X86_XOR, d, d);
	loop = j->e.pos;
	wj_x86_shift_imm(&j->e, X86_SHR, w, RCX, 1);
	wj_x86_rr(&j->e, X86_ALU_IMM8, 2, d);	/* adc is digit 2 */
	wj_imm8(&j->e, 0);
	wj_x86_rr(&j->e, X86_TEST | w, RCX, RCX);
	wj_x86_jcc_to(&j->e, X86_NE, loop);
}

/* d = flags; the comparison is emitted by the caller between the two halves. */
static bool set_begin(struct wj_jit *j, u8 d, bool is_operand)
{
	if (is_operand)
		return false;
	wj_x86_rr(&j->e, X86_XOR, d, d);
	return true;
}

static void set_end(struct wj_jit *j, u8 d, u8 cc, bool zeroed)
{
	wj_x86_rr(&j->e, X86_SETCC | (u32)cc, 0, zeroed ? d : RCX);
	if (!zeroed)
		wj_x86_rr(&j->e, X86_MOVZX8, d, RCX);
}

void wj_t_set(struct wj_jit *j, u32 w, u8 cc, u8 d, u8 a, u8 b)
{
	bool zeroed = set_begin(j, d, d == a || d == b);

	wj_x86_rr(&j->e, X86_CMP | w, b, a);
	set_end(j, d, wj_t_cc[cc], zeroed);
}

void wj_t_set_imm(struct wj_jit *j, u32 w, u8 cc, u8 d, u8 a, s32 imm)
{
	bool zeroed = set_begin(j, d, d == a);

	wj_t_compare_imm(j, w, a, imm);
	set_end(j, d, wj_t_cc[cc], zeroed);
}

/* d = cc ? a : b, with the flags set; moves leave them. */
void wj_t_select(struct wj_jit *j, u8 cc, u8 d, u8 a, u8 b)
{
	if (d == a) {
		wj_x86_rr(&j->e, X86_CMOV | X86_W | (u32)(cc ^ 1), d, b);
		return;
	}
	wj_mov(j, X86_W, d, b);
	wj_x86_rr(&j->e, X86_CMOV | X86_W | cc, d, a);
}

void wj_t_fselect(struct wj_jit *j, u8 cc, u8 d, u8 a, u8 b)
{
	u32 at;

	if (d == a) {
		u8 swap = a;

		a = b;
		b = swap;
		cc ^= 1;
	}
	wj_fmov(j, d, b);
	if (d == a)
		return;
	at = wj_x86_jcc(&j->e, cc ^ 1, true);
	wj_fmov(j, d, a);
	wj_patch8(&j->e, at, j->e.pos);
}
