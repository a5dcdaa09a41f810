// SPDX-License-Identifier: GPL-2.0-only
/*
 * The x86-64 JIT's instructions: each bytecode instruction becomes the machine instructions
 * below, with what seldom happens (traps, polls, corner cases) out of line as cold code.
 */
#include "jit_x86.h"

enum {
	XMM0, XMM1, XMM2, XMM3, XMM4, XMM5, XMM6, XMM7,
	XMM8, XMM9, XMM10, XMM11, XMM12, XMM13, XMM14, XMM15
};

/* target.def, four times over: registers, and through them the arguments. */
#define FREG(index, reg, saver)
#define IARG(position, index)
#define FARG(position, index)
#define IREG(index, reg, saver) [index] = (reg),
const u8 wj_jit_ireg[WJ_IREGS] = {
#include "target.def"
};
#undef IREG
#undef FREG
#define IREG(index, reg, saver)
#define FREG(index, reg, saver) [index] = (reg),
const u8 wj_jit_freg[WJ_FREGS] = {
#include "target.def"
};
#undef IREG
#undef FREG
#undef IARG
#undef FARG

enum {
#define IREG(index, reg, saver) IREG_##index = (int)(reg),
#define FREG(index, reg, saver) FREG_##index = (int)(reg),
#define IARG(position, index)
#define FARG(position, index)
#include "target.def"
#undef IREG
#undef FREG
#undef IARG
#undef FARG
};

#define IREG(index, reg, saver)
#define FREG(index, reg, saver)
#define FARG(position, index)
#define IARG(position, index) [position] = IREG_##index,
const u8 wj_jit_iarg[WJ_IARGS] = {
#include "target.def"
};
#undef IARG
#undef FARG
#define IARG(position, index)
#define FARG(position, index) [position] = FREG_##index,
const u8 wj_jit_farg[WJ_FARGS] = {
#include "target.def"
};
#undef IREG
#undef FREG
#undef IARG
#undef FARG

/* What the sequences below take for granted. */
static_assert(IREG_0 == (int)RAX && IREG_1 == (int)RDX, "DIV, ARMW, ACAS");
static_assert(IREG_6 == (int)R10 && IREG_7 == (int)R11, "CALL_INDIRECT: index in r11, r10 free");
static_assert(IREG_8 == (int)RBX && IREG_9 == (int)RBP && IREG_10 == (int)R12 && IREG_11 == (int)R13,
	      "callee-saved registers, as prologue and stubs save them");
static_assert(sizeof(struct wj_element) == 32, "CALL_INDIRECT indexes with a shift");

static u8 ireg(u8 index)
{
	return wj_jit_ireg[index];
}

static u8 freg(u8 index)
{
	return wj_jit_freg[index];
}

static const u8 integer_cc[WJ_CC_COUNT] = {
	[WJ_CC_EQ] = X86_E, [WJ_CC_NE] = X86_NE, [WJ_CC_LT_S] = X86_L, [WJ_CC_GE_S] = X86_GE,
	[WJ_CC_LT_U] = X86_B, [WJ_CC_GE_U] = X86_AE, [WJ_CC_GT_S] = X86_G,
	[WJ_CC_LE_S] = X86_LE, [WJ_CC_GT_U] = X86_A, [WJ_CC_LE_U] = X86_BE,
};

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

static u32 wide(u8 type)
{
	return type == WJ_T_L ? X86_W : 0;
}

/* The prefix of scalar float instructions. */
static u32 scalar(u8 type)
{
	return type == WJ_T_F ? X86_F3 : X86_F2;
}

static struct wj_mem constant(struct wj_jit *j, enum wj_jit_constant which)
{
	return wj_mem(WJ_RIP, (s32)(j->start + which));
}

static struct wj_mem field(size_t offset)
{
	return wj_mem(R14, (s32)offset);
}

/* d = a */
static void mov(struct wj_jit *j, u32 w, u8 d, u8 a)
{
	if (d != a)
		wj_x86_rr(&j->e, X86_MOV | w, a, d);
}

static void fmov(struct wj_jit *j, u8 d, u8 a)
{
	if (d != a)
		wj_x86_rr(&j->e, X86_MOVAPS, d, a);
}

/*
 * Immediates.  What the guest chose and does not fit in 16 bits is blinded: it appears only
 * xored with random bits, so that its bytes are no code to jump into.
 */
static bool blind(const struct wj_jit *j, s64 value)
{
	return j->mitigations & WJ_MITIGATE_BLIND && (value < -0x8000 || value > 0xffff);
}

static void xor_key(struct wj_jit *j, u32 w, u8 reg, u32 key)
{
	wj_x86_rr(&j->e, X86_ALU_IMM32 | w, X86_ALU_XOR, reg);
	wj_imm32(&j->e, key);
}

/* reg = value; flags survive unless it is blinded. */
static void load_imm(struct wj_jit *j, u8 reg, u64 value, bool keep_flags)
{
	u32 key, low = (u32)value, high = (u32)(value >> 32);

	if (!blind(j, (s64)value)) {
		wj_x86_mov_imm(&j->e, reg, value, keep_flags);
		return;
	}
	key = wj_jit_random(j);
	if (!high) {
		wj_x86_mov_imm(&j->e, reg, low ^ key, true);
		xor_key(j, 0, reg, key);
		return;
	}
	/* The immediates of the two 64-bit xors are sign-extended: together, low is. */
	if ((s32)low < 0)
		high = ~high;
	wj_x86_mov_imm(&j->e, reg, high ^ key, true);
	xor_key(j, 0, reg, key);
	wj_x86_shift_imm(&j->e, X86_SHL, X86_W, reg, 32);
	key = wj_jit_random(j);
	xor_key(j, X86_W, reg, low ^ key);
	xor_key(j, X86_W, reg, key);
}

/* The same for an immediate operand of width w. */
static void load_operand(struct wj_jit *j, u8 reg, u32 w, s32 imm)
{
	load_imm(j, reg, w ? (u64)(s64)imm : (u32)imm, false);
}

/* op of the form rm = rm op reg, with an immediate */
static void alu_imm(struct wj_jit *j, u32 op, enum wj_x86_digit digit, u32 w, u8 rm, s32 imm)
{
	if (blind(j, imm)) {
		load_operand(j, RCX, w, imm);
		wj_x86_rr(&j->e, op | w, RCX, rm);
	} else {
		wj_x86_alu_imm(&j->e, digit, w, rm, imm);
	}
}

static void compare_imm(struct wj_jit *j, u32 w, u8 a, s32 imm)
{
	/* test a, a sets the flags of cmp a, 0. */
	if (!imm)
		wj_x86_rr(&j->e, X86_TEST | w, a, a);
	else
		alu_imm(j, X86_CMP, X86_ALU_CMP, w, a, imm);
}

static void test_imm(struct wj_jit *j, u32 w, u8 a, s32 imm)
{
	if (imm == -1) {
		wj_x86_rr(&j->e, X86_TEST | w, a, a);
	} else if (imm >= 0 && imm <= 0xff) {
		wj_x86_rr(&j->e, X86_TEST8_IMM8, 0, a);
		wj_imm8(&j->e, (u32)imm);
	} else if (blind(j, imm)) {
		load_operand(j, RCX, w, imm);
		wj_x86_rr(&j->e, X86_TEST | w, RCX, a);
	} else {
		/* A positive mask looks at 32 bits only. */
		wj_x86_rr(&j->e, X86_TEST_IMM32 | (imm < 0 ? w : 0), 0, a);
		wj_imm32(&j->e, (u32)imm);
	}
}

/* Cold code. */

static struct wj_cold *cold(struct wj_jit *j, enum wj_cold_kind kind, int cc, const struct wj_insn *i)
{
	struct wj_cold *c = wj_list_add(j, &j->cold, sizeof(*c));

	c->kind = kind;
	c->from = wj_x86_jcc(&j->e, cc, false);
	c->back = j->e.pos;
	c->offset = j->offset;
	if (i)
		c->insn = *i;
	return c;
}

/* What is cold comes back here. */
static void cold_back(struct wj_jit *j)
{
	if (j->e.error)
		return;
	((struct wj_cold *)j->cold.items)[j->cold.count - 1].back = j->e.pos;
}

static void trap_if(struct wj_jit *j, enum wj_x86_cc cc, enum wj_trap trap)
{
	cold(j, WJ_COLD_TRAP, cc, NULL)->trap = trap;
}

static void trap_call(struct wj_jit *j, u32 trap)
{
	wj_x86_call_to(&j->e, j->traps[trap]);
	wj_jit_site(j, 0);
}

/* Integer arithmetic. */

/* d = d op s */
static void alu(struct wj_jit *j, u32 op, u32 w, u8 d, u8 s)
{
	if (op == X86_IMUL)
		wj_x86_rr(&j->e, op | w, d, s);
	else
		wj_x86_rr(&j->e, op | w, s, d);
}

static void commutative(struct wj_jit *j, u32 op, u32 w, u8 d, u8 a, u8 b)
{
	if (d == b) {
		alu(j, op, w, d, a);
		return;
	}
	mov(j, w, d, a);
	alu(j, op, w, d, b);
}

static void lea(struct wj_jit *j, u32 w, u8 d, u8 a, u8 b, u8 scale, s32 disp)
{
	/* rbp and r13 as base cost a displacement. */
	if (!scale && !disp && (a & 7) == RBP) {
		u8 swap = a;

		a = b;
		b = swap;
	}
	wj_x86_rm(&j->e, X86_LEA | w, d, wj_mem_index(a, b, scale, disp));
}

static void add(struct wj_jit *j, u32 w, u8 d, u8 a, u8 b)
{
	if (d == a || d == b)
		commutative(j, X86_ADD, w, d, a, b);
	else
		lea(j, w, d, a, b, 0, 0);
}

static void sub(struct wj_jit *j, u32 w, u8 d, u8 a, u8 b)
{
	if (d == b && d != a) {
		/* a - d = -d + a */
		wj_x86_rr(&j->e, X86_UNARY | w, X86_NEG, d);
		alu(j, X86_ADD, w, d, a);
		return;
	}
	mov(j, w, d, a);
	alu(j, X86_SUB, w, d, b);
}

static void add_imm(struct wj_jit *j, u32 w, u8 d, u8 a, s32 imm)
{
	if (d == a) {
		alu_imm(j, X86_ADD, X86_ALU_ADD, w, d, imm);
	} else if (blind(j, imm)) {
		load_operand(j, RCX, w, imm);
		lea(j, w, d, a, RCX, 0, 0);
	} else {
		wj_x86_rm(&j->e, X86_LEA | w, d, wj_mem(a, imm));
	}
}

static void mul_imm(struct wj_jit *j, u32 w, u8 d, u8 a, s32 imm)
{
	if (blind(j, imm)) {
		load_operand(j, RCX, w, imm);
		commutative(j, X86_IMUL, w, d, a, RCX);
	} else if (imm >= -128 && imm <= 127) {
		wj_x86_rr(&j->e, X86_IMUL_IMM8 | w, d, a);
		wj_imm8(&j->e, (u32)imm);
	} else {
		wj_x86_rr(&j->e, X86_IMUL_IMM32 | w, d, a);
		wj_imm32(&j->e, (u32)imm);
	}
}

static void and_imm(struct wj_jit *j, u32 w, u8 d, u8 a, s32 imm)
{
	if (imm == 0xff) {
		wj_x86_rr(&j->e, X86_MOVZX8, d, a);
	} else if (imm == 0xffff) {
		wj_x86_rr(&j->e, X86_MOVZX16, d, a);
	} else {
		/* A positive mask clears the upper half, as 32-bit operations do. */
		if (imm >= 0)
			w = 0;
		mov(j, w, d, a);
		alu_imm(j, X86_AND, X86_ALU_AND, w, d, imm);
	}
}

static void or_imm(struct wj_jit *j, u32 w, u8 d, u8 a, s32 imm)
{
	mov(j, w, d, a);
	alu_imm(j, X86_OR, X86_ALU_OR, w, d, imm);
}

static void xor_imm(struct wj_jit *j, u32 w, u8 d, u8 a, s32 imm)
{
	mov(j, w, d, a);
	if (imm == -1)
		wj_x86_rr(&j->e, X86_UNARY | w, X86_NOT, d);
	else
		alu_imm(j, X86_XOR, X86_ALU_XOR, w, d, imm);
}

static void shift(struct wj_jit *j, u32 bmi2_op, enum wj_x86_digit digit, u32 w, u8 d, u8 a, u8 b)
{
	if (bmi2_op && j->features & WJ_CPU_BMI2) {
		wj_vex_rr(&j->e, bmi2_op | w, d, b, a);
		return;
	}
	mov(j, 0, RCX, b);
	mov(j, w, d, a);
	wj_x86_rr(&j->e, X86_SHIFT_CL | w, digit, d);
}

static void shift_imm(struct wj_jit *j, enum wj_x86_digit digit, u32 w, u8 d, u8 a, u8 count)
{
	if (digit == X86_SHL && count == 1) {
		add(j, w, d, a, a);
		return;
	}
	if (digit == X86_ROR && d != a && j->features & WJ_CPU_BMI2) {
		wj_vex_rr(&j->e, X86_RORX | w, d, 0, a);
		wj_imm8(&j->e, count);
		return;
	}
	mov(j, w, d, a);
	wj_x86_shift_imm(&j->e, digit, w, d, count);
}

/* Dividend in rax, rdx free. */
static void divide(struct wj_jit *j, const struct wj_insn *i, u32 w, bool is_signed, bool remainder)
{
	u8 b = ireg(i->b);

	wj_x86_rr(&j->e, X86_TEST | w, b, b);
	trap_if(j, X86_E, WJ_TRAP_DIVIDE_BY_ZERO);
	if (is_signed) {
		/* The least integer divided by -1 would be #DE. */
		wj_x86_alu_imm(&j->e, X86_ALU_CMP, w, b, -1);
		cold(j, WJ_COLD_DIV_MINUS_1, X86_E, i)->trap = remainder;
		wj_x86_bytes(&j->e, w ? 0x9948 : 0x99, w ? 2 : 1);	/* cqo, cdq */
		wj_x86_rr(&j->e, X86_UNARY | w, X86_IDIV, b);
		cold_back(j);
	} else {
		wj_x86_rr(&j->e, X86_XOR, RDX, RDX);
		wj_x86_rr(&j->e, X86_UNARY | w, X86_DIV, b);
	}
}

static void cold_minus_1(struct wj_jit *j, const struct wj_cold *c)
{
	u32 w = wide(wj_op_info[c->insn.op].a);
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
	trap_call(j, WJ_TRAP_INTEGER_OVERFLOW);
}

static void count_zeros(struct wj_jit *j, u32 w, u8 d, u8 a, bool leading)
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

static void popcount(struct wj_jit *j, u32 w, u8 d, u8 a)
{
	u32 loop;

	if (j->features & WJ_CPU_POPCNT) {
		if (d != a)
			wj_x86_rr(&j->e, X86_XOR, d, d);
		wj_x86_rr(&j->e, X86_POPCNT | w, d, a);
		return;
	}
	/* One bit at a time: shr rcx, 1; adc d, 0; test rcx, rcx; jnz */
	mov(j, w, RCX, a);
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

static void set(struct wj_jit *j, u32 w, u8 cc, u8 d, u8 a, u8 b)
{
	bool zeroed = set_begin(j, d, d == a || d == b);

	wj_x86_rr(&j->e, X86_CMP | w, b, a);
	set_end(j, d, integer_cc[cc], zeroed);
}

static void set_imm(struct wj_jit *j, u32 w, u8 cc, u8 d, u8 a, s32 imm)
{
	bool zeroed = set_begin(j, d, d == a);

	compare_imm(j, w, a, imm);
	set_end(j, d, integer_cc[cc], zeroed);
}

/* d = cc ? a : b, with the flags set; moves leave them. */
static void select(struct wj_jit *j, u8 cc, u8 d, u8 a, u8 b)
{
	if (d == a) {
		wj_x86_rr(&j->e, X86_CMOV | X86_W | (u32)(cc ^ 1), d, b);
		return;
	}
	mov(j, X86_W, d, b);
	wj_x86_rr(&j->e, X86_CMOV | X86_W | cc, d, a);
}

static void fselect(struct wj_jit *j, u8 cc, u8 d, u8 a, u8 b)
{
	u32 at;

	if (d == a) {
		u8 swap = a;

		a = b;
		b = swap;
		cc ^= 1;
	}
	fmov(j, d, b);
	if (d == a)
		return;
	at = wj_x86_jcc(&j->e, cc ^ 1, true);
	fmov(j, d, a);
	wj_patch8(&j->e, at, j->e.pos);
}

/* Linear memory. */

/* Before every instruction that touches it: it may fault. */
static void access(struct wj_jit *j)
{
	struct wj_access *a = wj_list_add(j, &j->accesses, sizeof(*a));

	a->pc = j->e.pos;
	a->offset = j->offset;
}

static void access_rm(struct wj_jit *j, u32 op, u8 reg, struct wj_mem m)
{
	access(j);
	wj_x86_rm(&j->e, op, reg, m);
}

/*
 * Operand for base + off, where off is up to 4 GiB and displacements are signed.  May use
 * rcx.  An i32 in a register has no upper half, so this stays within the reservation.
 */
static struct wj_mem linear(struct wj_jit *j, u8 base, u32 off)
{
	if (off < 1u << 31 && !blind(j, off)) {
		if (base == WJ_NO_BASE)
			return wj_mem(R15, (s32)off);
		return wj_mem_index(R15, ireg(base), 0, (s32)off);
	}
	load_imm(j, RCX, off, false);
	if (base != WJ_NO_BASE)
		wj_x86_rr(&j->e, X86_ADD | X86_W, ireg(base), RCX);
	return wj_mem_index(R15, RCX, 0, 0);
}

static void load(struct wj_jit *j, const struct wj_insn *i, u32 op)
{
	access_rm(j, op, ireg(i->d), linear(j, i->a, i->index));
}

static void fload(struct wj_jit *j, const struct wj_insn *i, u32 op)
{
	access_rm(j, op, freg(i->d), linear(j, i->a, i->index));
}

static void store(struct wj_jit *j, const struct wj_insn *i, u32 op)
{
	access_rm(j, op, ireg(i->a), linear(j, i->b, i->index));
}

static void fstore(struct wj_jit *j, const struct wj_insn *i, u32 op)
{
	access_rm(j, op, freg(i->a), linear(j, i->b, i->index));
}

static void store_imm(struct wj_jit *j, const struct wj_insn *i, u32 size)
{
	struct wj_mem m = linear(j, i->b, i->index);
	u32 w = size == 8 ? X86_W : 0, imm = (u32)i->imm;

	if (size == 1) {
		access_rm(j, X86_MOV8_IMM8, 0, m);
		wj_imm8(&j->e, imm);
	} else if (size == 2) {
		access_rm(j, X86_MOV16_IMM16, 0, m);
		wj_imm16(&j->e, imm);
	} else if (blind(j, i->imm)) {
		/* In place, as rcx may be taken; nobody else sees this memory. */
		u32 key = wj_jit_random(j);

		access_rm(j, X86_MOV_IMM32 | w, 0, m);
		wj_imm32(&j->e, imm ^ key);
		access_rm(j, X86_ALU_IMM32 | w, X86_ALU_XOR, m);
		wj_imm32(&j->e, key);
	} else {
		access_rm(j, X86_MOV_IMM32 | w, 0, m);
		wj_imm32(&j->e, imm);
	}
}

/*
 * Atomics.  Alignment comes first: a LOCK that crosses a cache line may be an exception (#AC
 * of split-lock detection), fatal in ring 0.
 */
static void check_alignment(struct wj_jit *j, u8 base, u32 off, u32 size)
{
	if (size == 1)
		return;
	if (base == WJ_NO_BASE) {
		if (off & (size - 1))
			trap_call(j, WJ_TRAP_UNALIGNED_ATOMIC);
		return;
	}
	if (off & (size - 1)) {
		wj_x86_rm(&j->e, X86_LEA, RCX, wj_mem(ireg(base), (s32)(off & (size - 1))));
		wj_x86_rr(&j->e, X86_TEST8_IMM8, 0, RCX);
	} else {
		wj_x86_rr(&j->e, X86_TEST8_IMM8, 0, ireg(base));
	}
	wj_imm8(&j->e, size - 1);
	trap_if(j, X86_NE, WJ_TRAP_UNALIGNED_ATOMIC);
}

/*
 * Operand of an atomic, which needs rcx itself: where linear() would use rcx, and where the
 * base is rax, which a loop overwrites, the address is added to r15 (*moved) until
 * atomic_end() loads it again.  A trap in between loses r15, which unwinding does not use.
 */
static struct wj_mem atomic_begin(struct wj_jit *j, u8 base, u32 off, u32 size, bool loop, bool *moved)
{
	check_alignment(j, base, off, size);
	*moved = off >= 1u << 31 || blind(j, off) || (loop && base != WJ_NO_BASE && ireg(base) == RAX);
	if (!*moved)
		return linear(j, base, off);
	load_imm(j, RCX, off, false);
	if (base != WJ_NO_BASE)
		wj_x86_rr(&j->e, X86_ADD | X86_W, ireg(base), RCX);
	wj_x86_rr(&j->e, X86_ADD | X86_W, RCX, R15);
	return wj_mem(R15, 0);
}

static void atomic_end(struct wj_jit *j, bool moved)
{
	if (moved)
		wj_x86_rm(&j->e, X86_LOAD | X86_W, R15, field(offsetof(struct wj_instance, memory_base)));
}

/* Instruction words by operand size. */
static u32 sized(u32 size, u32 op8, u32 op16, u32 op)
{
	return size == 1 ? op8 : size == 2 ? op16 : size == 4 ? op : op | X86_W;
}

/* d = a's low `size` bytes, zero-extended */
static void zero_extend(struct wj_jit *j, u32 size, u8 d, u8 a)
{
	if (size <= 2)
		wj_x86_rr(&j->e, size == 1 ? X86_MOVZX8 : X86_MOVZX16, d, a);
	else if (size == 4)
		wj_x86_rr(&j->e, X86_LOAD, d, a);
	else
		mov(j, X86_W, d, a);
}

static void atomic_load(struct wj_jit *j, const struct wj_insn *i, u32 size)
{
	check_alignment(j, i->a, i->index, size);
	load(j, i, sized(size, X86_MOVZX8, X86_MOVZX16, X86_LOAD));
}

static void atomic_store(struct wj_jit *j, const struct wj_insn *i, u32 size)
{
	bool moved;
	struct wj_mem m = atomic_begin(j, i->b, i->index, size, false, &moved);

	/* A store that is sequentially consistent: xchg is locked. */
	mov(j, X86_W, RCX, ireg(i->a));
	access_rm(j, sized(size, X86_XCHG8, X86_XCHG16, X86_XCHG), RCX, m);
	atomic_end(j, moved);
}

/* Old value to rax. */
static void atomic_rmw(struct wj_jit *j, const struct wj_insn *i, u32 size)
{
	u32 xadd = sized(size, X86_XADD8, X86_XADD16, X86_XADD) | X86_LOCK;
	u32 op = X86_XOR, loop;
	bool moved;
	struct wj_mem m = atomic_begin(j, i->b, i->index, size, true, &moved);

	switch ((enum wj_rmw)i->kind) {
	case WJ_RMW_ADD:
	case WJ_RMW_SUB:
		mov(j, X86_W, RCX, ireg(i->a));
		if (i->kind == WJ_RMW_SUB)
			wj_x86_rr(&j->e, X86_UNARY | X86_W, X86_NEG, RCX);
		access_rm(j, xadd, RCX, m);
		zero_extend(j, size, RAX, RCX);
		break;
	case WJ_RMW_XCHG:
		mov(j, X86_W, RCX, ireg(i->a));
		access_rm(j, sized(size, X86_XCHG8, X86_XCHG16, X86_XCHG), RCX, m);
		zero_extend(j, size, RAX, RCX);
		break;
	case WJ_RMW_AND:
	case WJ_RMW_OR:
	case WJ_RMW_XOR:
		if (i->kind != WJ_RMW_XOR)
			op = i->kind == WJ_RMW_AND ? X86_AND : X86_OR;
		/* The load zero-extends; what cmpxchg writes to rax keeps it so. */
		access_rm(j, sized(size, X86_MOVZX8, X86_MOVZX16, X86_LOAD), RAX, m);
		loop = j->e.pos;
		mov(j, X86_W, RCX, RAX);
		wj_x86_rr(&j->e, op | X86_W, ireg(i->a), RCX);
		access_rm(j, sized(size, X86_CMPXCHG8, X86_CMPXCHG16, X86_CMPXCHG) | X86_LOCK, RCX, m);
		wj_x86_jcc_to(&j->e, X86_NE, loop);
		break;
	case WJ_RMW_COUNT:
		break;
	}
	atomic_end(j, moved);
}

/* Expected in rax, of which `size` bytes count; old value to rax. */
static void atomic_cmpxchg(struct wj_jit *j, const struct wj_insn *i, u32 size)
{
	bool moved;
	struct wj_mem m = atomic_begin(j, i->b, i->index, size, false, &moved);

	access_rm(j, sized(size, X86_CMPXCHG8, X86_CMPXCHG16, X86_CMPXCHG) | X86_LOCK, ireg(i->a), m);
	zero_extend(j, size, RAX, RAX);
	atomic_end(j, moved);
}

/* Floats. */

/* d = a op b */
static void float3(struct wj_jit *j, u32 op, bool commutes, u8 d, u8 a, u8 b)
{
	if (j->features & WJ_CPU_AVX) {
		wj_vex_rr(&j->e, op, d, a, b);
		return;
	}
	if (d == b && commutes) {
		b = a;
	} else if (d == b && d != a) {
		fmov(j, 15, b);
		fmov(j, d, a);
		b = 15;
	} else {
		fmov(j, d, a);
	}
	wj_x86_rr(&j->e, op, d, b);
}

/* d = op(a), for instructions that keep d's upper part and so would wait for it */
static void float2(struct wj_jit *j, u32 op, u8 d, u8 a)
{
	if (j->features & WJ_CPU_AVX)
		wj_vex_rr(&j->e, op, d, a, a);
	else
		wj_x86_rr(&j->e, op, d, a);
}

/* d = a op constant, bitwise */
static void mask(struct wj_jit *j, u32 op, u8 d, u8 a, enum wj_jit_constant which)
{
	if (j->features & WJ_CPU_AVX) {
		wj_vex_rm(&j->e, op, d, a, constant(j, which));
		return;
	}
	fmov(j, d, a);
	wj_x86_rm(&j->e, op, d, constant(j, which));
}

static void copysign(struct wj_jit *j, bool is32, u8 d, u8 a, u8 b)
{
	mask(j, X86_ANDPS, 14, b, is32 ? WJ_C_SIGN32 : WJ_C_SIGN64);
	mask(j, X86_ANDPS, d, a, is32 ? WJ_C_ABS32 : WJ_C_ABS64);
	wj_x86_rr(&j->e, X86_ORPS, d, 14);
}

static u32 ucomis(u8 type)
{
	return X86_UCOMIS | (type == WJ_T_F ? 0 : X86_66);
}

/* min and max of x86 return the second operand where it matters: equal (zeros) or unordered. */
static void minmax(struct wj_jit *j, const struct wj_insn *i, u32 op)
{
	u8 type = wj_op_info[i->op].a;

	wj_x86_rr(&j->e, ucomis(type), freg(i->a), freg(i->b));
	cold(j, WJ_COLD_MINMAX, X86_E, i);
	float3(j, op | scalar(type), false, freg(i->d), freg(i->a), freg(i->b));
	cold_back(j);
}

static void cold_minmax(struct wj_jit *j, const struct wj_cold *c)
{
	const struct wj_insn *i = &c->insn;
	bool is_min = i->op == WJ_OP_F32_MIN || i->op == WJ_OP_F64_MIN;
	u32 at = wj_x86_jcc(&j->e, X86_P, true);

	/* Equal: -0 is less than +0. */
	float3(j, is_min ? X86_ORPS : X86_ANDPS, true, freg(i->d), freg(i->a), freg(i->b));
	wj_x86_jmp_to(&j->e, c->back);
	wj_patch8(&j->e, at, j->e.pos);
	/* The sum of a NaN and anything is a quiet NaN. */
	float3(j, X86_ADDS | scalar(wj_op_info[i->op].a), true, freg(i->d), freg(i->a), freg(i->b));
	wj_x86_jmp_to(&j->e, c->back);
}

/* SSE4.1: bits 1-0 the mode, bit 3 no precision exception. */
static void round(struct wj_jit *j, const struct wj_insn *i, u32 mode)
{
	u32 op = wj_op_info[i->op].a == WJ_T_F ? X86_ROUNDSS : X86_ROUNDSD;

	if (!(j->features & WJ_CPU_SSE41)) {
		wj_jit_fail(j, -EOPNOTSUPP, "rounding needs a CPU with SSE4.1");
		return;
	}
	float2(j, op, freg(i->d), freg(i->a));
	wj_imm8(&j->e, mode | 8);
}

static void fset(struct wj_jit *j, const struct wj_insn *i)
{
	u8 d = ireg(i->d), a = freg(i->a), b = freg(i->b);
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

static void fbranch(struct wj_jit *j, const struct wj_insn *i)
{
	u8 a = freg(i->a), b = freg(i->b);
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

static void trunc(struct wj_jit *j, const struct wj_insn *i)
{
	struct trunc t = trunc_of(i->op);
	u32 cvtt = X86_CVTTS2SI | (t.from64 ? X86_F2 : X86_F3), w = t.to64 ? X86_W : 0;
	u8 d = ireg(i->d), a = freg(i->a);

	if (!t.is_unsigned) {
		/* cmp d, 1 overflows for the least integer only. */
		wj_x86_rr(&j->e, cvtt | w, d, a);
		wj_x86_alu_imm(&j->e, X86_ALU_CMP, w, d, 1);
		cold(j, WJ_COLD_TRUNC, X86_O, i);
	} else if (t.to64) {
		/* Below 2^63 as if signed. */
		wj_x86_rr(&j->e, cvtt | X86_W, d, a);
		wj_x86_rr(&j->e, X86_TEST | X86_W, d, d);
		cold(j, WJ_COLD_TRUNC, X86_S, i);
	} else {
		/* Through 64 bits, of which the upper half must be 0. */
		wj_x86_rr(&j->e, cvtt | X86_W, RCX, a);
		wj_x86_rr(&j->e, X86_MOV, RCX, d);
		wj_x86_rr(&j->e, X86_CMP | X86_W, RCX, d);
		cold(j, WJ_COLD_TRUNC, X86_NE, i);
	}
}

/* d = a - 2^63, truncated: negative if a is no u64 of 2^63 or more; then, bit 63 is set. */
static u32 trunc_upper_half(struct wj_jit *j, struct trunc t, u8 d, u8 a)
{
	u32 prefix = t.from64 ? X86_F2 : X86_F3, at;

	fmov(j, 15, a);
	wj_x86_rm(&j->e, X86_SUBS | prefix, 15, constant(j, t.from64 ? WJ_C_F64_2_63 : WJ_C_F32_2_63));
	wj_x86_rr(&j->e, X86_CVTTS2SI | X86_W | prefix, d, 15);
	wj_x86_rr(&j->e, X86_TEST | X86_W, d, d);
	at = wj_x86_jcc(&j->e, X86_S, true);
	wj_x86_rr(&j->e, X86_BT_IMM8 | X86_W, X86_BTC, d);
	wj_imm8(&j->e, 63);
	return at;
}

static void cold_trunc(struct wj_jit *j, const struct wj_cold *c)
{
	struct trunc t = trunc_of(c->insn.op);
	u8 d = ireg(c->insn.d), a = freg(c->insn.a);
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
		wj_x86_rm(&j->e, op, a, constant(j, t.to64 ? t.from64 ? WJ_C_F64_MIN64 : WJ_C_F32_MIN64
							   : t.from64 ? WJ_C_F64_MIN32 : WJ_C_F32_MIN32));
		wj_x86_jcc_to(&j->e, !t.to64 && t.from64 ? X86_A : X86_AE, c->back);
		wj_patch8(&j->e, overflow, j->e.pos);
	} else if (t.to64) {
		overflow = trunc_upper_half(j, t, d, a);
		wj_x86_jmp_to(&j->e, c->back);
		wj_patch8(&j->e, overflow, j->e.pos);
	}
	trap_call(j, WJ_TRAP_INTEGER_OVERFLOW);
	wj_patch8(&j->e, invalid, j->e.pos);
	trap_call(j, WJ_TRAP_INVALID_CONVERSION);
}

/* Integer to float.  An i32 as u32 is an i64 here. */
static void convert(struct wj_jit *j, const struct wj_insn *i, bool is_unsigned)
{
	const struct wj_op_info *info = &wj_op_info[i->op];
	bool from64 = info->a == WJ_T_L;
	u8 d = freg(i->d), a = ireg(i->a);

	if (from64 && is_unsigned) {
		wj_x86_rr(&j->e, X86_TEST | X86_W, a, a);
		cold(j, WJ_COLD_CONVERT, X86_S, i);
	}
	/* cvtsi2s keeps d's upper part: do not wait for it. */
	wj_x86_rr(&j->e, X86_XORPS, d, d);
	wj_x86_rr(&j->e, X86_CVTSI2S | scalar(info->d) | (from64 || is_unsigned ? X86_W : 0), d, a);
	if (from64 && is_unsigned)
		cold_back(j);
}

/* 2^63 and more: half of it, with the lost bit kept sticky for rounding, and doubled. */
static void cold_convert(struct wj_jit *j, const struct wj_cold *c)
{
	u32 prefix = scalar(wj_op_info[c->insn.op].d), at;
	u8 d = freg(c->insn.d), a = ireg(c->insn.a);

	mov(j, X86_W, RCX, a);
	wj_x86_shift_imm(&j->e, X86_SHR, X86_W, RCX, 1);
	at = wj_x86_jcc(&j->e, X86_AE, true);
	wj_x86_alu_imm(&j->e, X86_ALU_OR, X86_W, RCX, 1);
	wj_patch8(&j->e, at, j->e.pos);
	wj_x86_rr(&j->e, X86_XORPS, d, d);
	wj_x86_rr(&j->e, X86_CVTSI2S | prefix | X86_W, d, RCX);
	wj_x86_rr(&j->e, X86_ADDS | prefix, d, d);
	wj_x86_jmp_to(&j->e, c->back);
}

static void float_constant(struct wj_jit *j, const struct wj_insn *i, bool is64)
{
	u8 d = freg(i->d);

	if (!i->imm) {
		wj_x86_rr(&j->e, X86_XORPS, d, d);
		return;
	}
	load_imm(j, RCX, (u64)i->imm, false);
	wj_x86_rr(&j->e, X86_MOVD_TO_X | (is64 ? X86_W : 0), d, RCX);
}

/* The frame and what else is reached through rsp and r14. */

static struct wj_mem out_slot(u32 index)
{
	return wj_mem(RSP, (s32)(8 * index));
}

static struct wj_mem spill_slot(struct wj_jit *j, u32 index)
{
	return wj_mem(RSP, (s32)(8 * (j->f->out_count + index)));
}

static struct wj_mem stack_argument(struct wj_jit *j, u32 index)
{
	return wj_mem(RSP, (s32)(j->frame + j->saved + 8 + 8 * index));
}

static struct wj_mem result_slot(struct wj_jit *j, u32 index)
{
	return field(j->layout.results + 8 * (index - 1));
}

/* i64 is one of the 64-bit types; i32 and references are reloaded with 32 bits. */
static u8 slot_type(const struct wj_jit *j, u32 index)
{
	u8 type = WJ_I32;

	while (type < WJ_FUNCREF && index >= j->f->slot_end[type])
		type++;
	return type;
}

static void load_value(struct wj_jit *j, u8 type, u8 d, struct wj_mem m)
{
	wj_x86_rm(&j->e, X86_LOAD | (type == WJ_I64 ? X86_W : 0), ireg(d), m);
}

static void store_value(struct wj_jit *j, u8 type, u8 a, struct wj_mem m)
{
	wj_x86_rm(&j->e, X86_MOV | (type == WJ_I64 ? X86_W : 0), ireg(a), m);
}

static void load_float(struct wj_jit *j, u8 type, u8 d, struct wj_mem m)
{
	wj_x86_rm(&j->e, X86_MOVS_LOAD | (type == WJ_F32 ? X86_F3 : X86_F2), freg(d), m);
}

static void store_float(struct wj_jit *j, u8 type, u8 a, struct wj_mem m)
{
	wj_x86_rm(&j->e, X86_MOVS_STORE | (type == WJ_F32 ? X86_F3 : X86_F2), freg(a), m);
}

/* Results beyond the first pass through the instance, 64 bits each. */
static u8 result_type(const struct wj_jit *j, u32 index)
{
	const struct wj_func_type *type;

	if (j->last_call == ~0u)
		return WJ_I32;
	type = &j->image->types[j->last_call];
	return index < type->n_results ? type->results[index] : WJ_I32;
}

static struct wj_mem global(struct wj_jit *j, u32 index)
{
	if (index >= j->image->n_imported_globals)
		return field(j->layout.own_globals + 8 * index);
	wj_x86_rm(&j->e, X86_LOAD | X86_W, RCX, field(j->layout.globals + 8 * index));
	return wj_mem(RCX, offsetof(struct wj_global, value));
}

/* Control. */

/* Flags: not equal if work is due.  Clobbers rcx. */
static void test_poll_flags(struct wj_jit *j)
{
	u32 mask = wj_poll_mask();

	wj_x86_rm(&j->e, X86_LOAD | X86_W, RCX, field(offsetof(struct wj_instance, poll_flags)));
	if (mask == ~0u) {
		wj_x86_rm(&j->e, X86_ALU_IMM8, X86_ALU_CMP, wj_mem(RCX, 0));
		wj_imm8(&j->e, 0);
	} else {
		wj_x86_rm(&j->e, X86_TEST_IMM32, 0, wj_mem(RCX, 0));
		wj_imm32(&j->e, mask);
	}
}

void wj_jit_prologue(struct wj_jit *j)
{
	const struct wj_func_type *type = j->type;
	u32 total, i, ints = 0, floats = 0;

	j->n_stack_args = 0;
	for (i = 0; i < type->n_params; i++) {
		bool is_float = type->params[i] == WJ_F32 || type->params[i] == WJ_F64;

		if (is_float ? floats++ >= WJ_FARGS : ints++ >= WJ_IARGS)
			j->arg_types[j->n_stack_args++] = type->params[i];
	}
	j->frame = 8 * (j->f->slot_count + j->f->out_count);
	j->saved = 0;
	for (i = 0; i < WJ_IREGS - WJ_FIRST_CALLEE_SAVED; i++)
		j->saved += j->f->callee_saved >> i & 1 ? 8 : 0;
	total = j->frame + j->saved;

	if (j->mitigations & WJ_MITIGATE_IBT)
		wj_x86_bytes(&j->e, 0xfa1e0ff3, 4);	/* endbr64 */
	if (!j->f->leaf || total > 256) {
		u8 sp = RSP;

		if (total) {
			sp = RCX;
			wj_x86_rm(&j->e, X86_LEA | X86_W, RCX, wj_mem(RSP, -(s32)total));
		}
		wj_x86_rm(&j->e, X86_CMP | X86_W, sp, field(offsetof(struct wj_instance, stack_limit)));
		/* The operands are [limit], sp: it is above. */
		cold(j, WJ_COLD_ENTRY_TRAP, X86_A, NULL);
	}
	if (!j->f->leaf) {
		test_poll_flags(j);
		cold(j, WJ_COLD_ENTRY_POLL, X86_NE, NULL);
	}
	for (i = 0; i < WJ_IREGS - WJ_FIRST_CALLEE_SAVED; i++) {
		if (j->f->callee_saved >> i & 1)
			wj_x86_push(&j->e, wj_jit_ireg[WJ_FIRST_CALLEE_SAVED + i]);
	}
	if (j->frame)
		wj_x86_alu_imm(&j->e, X86_ALU_SUB, X86_W, RSP, (s32)j->frame);
}

static void leave(struct wj_jit *j)
{
	u32 i;

	if (j->frame)
		wj_x86_alu_imm(&j->e, X86_ALU_ADD, X86_W, RSP, (s32)j->frame);
	for (i = WJ_IREGS - WJ_FIRST_CALLEE_SAVED; i-- > 0;) {
		if (j->f->callee_saved >> i & 1)
			wj_x86_pop(&j->e, wj_jit_ireg[WJ_FIRST_CALLEE_SAVED + i]);
	}
	wj_jit_return(j);
}

static void poll(struct wj_jit *j)
{
	test_poll_flags(j);
	cold(j, WJ_COLD_POLL, X86_NE, NULL);
}

/* A range of br_table indices with one target, up to where the next one starts. */
struct run {
	u32 start, block;
};

/*
 * Binary search.  Also how all tables are done where an indirect jump is dear (retpolines)
 * or would need landing pads (IBT).
 */
static void branch_tree(struct wj_jit *j, u8 a, const struct run *runs, u32 count)
{
	struct { u32 low, high, at; } todo[32];
	u32 n = 0, low = 0, high = count - 1;

	for (;;) {
		while (low < high) {
			u32 middle = low + (high - low + 1) / 2;

			compare_imm(j, 0, a, (s32)runs[middle].start);
			if (middle == high) {
				wj_jit_branch(j, X86_AE, runs[high--].block);
			} else if (low == middle - 1) {
				wj_jit_branch(j, X86_B, runs[low++].block);
			} else {
				todo[n].low = middle;
				todo[n].high = high;
				todo[n++].at = wj_x86_jcc(&j->e, X86_AE, false);
				high = middle - 1;
			}
		}
		wj_jit_branch(j, -1, runs[low].block);
		if (!n)
			return;
		n--;
		wj_patch32(&j->e, todo[n].at, j->e.pos);
		low = todo[n].low;
		high = todo[n].high;
	}
}

static void br_table(struct wj_jit *j, const struct wj_insn *i)
{
	u8 a = ireg(i->a);
	u32 n = i->index, k, first = j->tables.count;
	struct run *run = NULL;
	u32 *target;

	j->runs.count = 0;
	for (k = 0; k <= n && !j->e.error; k++) {
		u32 block = wj_read_u32(&j->cursor);

		target = wj_list_add(j, &j->tables, sizeof(*target));
		*target = block;
		if (!run || run->block != block) {
			run = wj_list_add(j, &j->runs, sizeof(*run));
			run->start = k;
			run->block = block;
		}
	}
	j->next = (u32)(j->cursor.pos - j->f->code);
	if (j->e.error)
		return;
	if (j->runs.count <= 5 || j->mitigations & (WJ_MITIGATE_RETPOLINE | WJ_MITIGATE_IBT)) {
		j->tables.count = first;
		branch_tree(j, a, j->runs.items, j->runs.count);
		return;
	}
	j->tables.count--;	/* the default */
	alu_imm(j, X86_CMP, X86_ALU_CMP, 0, a, (s32)n);
	wj_jit_branch(j, X86_AE, run->block);
	/* Out of range, a mispredicted branch gets here with entry 0. */
	wj_x86_rr(&j->e, X86_SBB, RCX, RCX);
	wj_x86_rr(&j->e, X86_AND, a, RCX);
	wj_x86_rm(&j->e, X86_INDIRECT, X86_JMP_RM, wj_mem_index(WJ_NONE, RCX, 3, 0));
	wj_jit_reloc(j, WJ_RELOC_TABLE, j->e.pos - 4, first, NULL);
}

static void call(struct wj_jit *j, const struct wj_insn *i)
{
	wj_jit_reloc(j, WJ_RELOC_FUNCTION, wj_x86_call(&j->e), i->index, NULL);
	wj_jit_site(j, 0);
	j->last_call = j->image->functions[i->index].type;
}

/* Index in r11; r10 and rcx are free, argument registers are not. */
static void call_indirect(struct wj_jit *j, const struct wj_insn *i)
{
	const struct wj_table_info *table = &j->image->tables[i->index2];

	wj_x86_rm(&j->e, X86_LOAD | X86_W, RCX, field(j->layout.tables + 8 * i->index2));
	if (i->index2 >= j->image->n_imported_tables && table->limits.has_max &&
	    table->limits.min == table->limits.max && !blind(j, table->limits.min))
		alu_imm(j, X86_CMP, X86_ALU_CMP, 0, R11, (s32)table->limits.min);
	else
		wj_x86_rm(&j->e, X86_CMP_LOAD, R11, wj_mem(RCX, offsetof(struct wj_table, size)));
	trap_if(j, X86_AE, WJ_TRAP_UNDEFINED_ELEMENT);
	/* A mispredicted branch gets here with index 0. */
	wj_x86_rr(&j->e, X86_SBB, R10, R10);
	wj_x86_rr(&j->e, X86_AND, R10, R11);
	wj_x86_shift_imm(&j->e, X86_SHL, X86_W, R11, 5);
	wj_x86_rm(&j->e, X86_ADD_LOAD | X86_W, R11, wj_mem(RCX, offsetof(struct wj_table, elements)));
	wj_x86_rm(&j->e, X86_LOAD, R10, field(j->layout.type_ids + 4 * i->index));
	wj_x86_rr(&j->e, X86_XOR, RCX, RCX);
	wj_x86_rm(&j->e, X86_CMP_LOAD, R10, wj_mem(R11, offsetof(struct wj_element, type_id)));
	/* ... and here with a null pointer: no code of another type. */
	wj_x86_rm(&j->e, X86_CMOV | X86_W | X86_E, RCX, wj_mem(R11, offsetof(struct wj_element, code)));
	cold(j, WJ_COLD_CALL_TYPE, X86_NE, i);
	wj_x86_rm(&j->e, X86_CMP_LOAD | X86_W, R14, wj_mem(R11, offsetof(struct wj_element, instance)));
	cold(j, WJ_COLD_CALL_FOREIGN, X86_NE, i);
	if (j->mitigations & WJ_MITIGATE_RETPOLINE)
		wj_jit_reloc(j, WJ_RELOC_EXTERNAL, wj_x86_call(&j->e), 0, wj_indirect_thunk(RCX));
	else
		wj_x86_rr(&j->e, X86_INDIRECT, X86_CALL_RM, RCX);
	wj_jit_site(j, 0);
	cold_back(j);
	j->last_call = i->index;
}

/* An element of another instance or without code; r11 is its address. */
static void cold_foreign(struct wj_jit *j, const struct wj_cold *c)
{
	wj_x86_rm(&j->e, X86_LOAD | X86_W, RCX, field(j->layout.tables + 8 * c->insn.index2));
	wj_x86_rm(&j->e, X86_SUB_LOAD | X86_W, R11, wj_mem(RCX, offsetof(struct wj_table, elements)));
	wj_x86_shift_imm(&j->e, X86_SHR, X86_W, R11, 5);
	load_imm(j, R10, c->insn.index2, false);
	wj_jit_reloc(j, WJ_RELOC_CALL_TYPE, wj_x86_call(&j->e), c->insn.index, NULL);
	wj_jit_site(j, 0);
	wj_x86_jmp_to(&j->e, c->back);
}

static void call_rt(struct wj_jit *j, const struct wj_insn *i)
{
	load_imm(j, RCX, i->kind, false);
	load_imm(j, R10, i->index, false);
	load_imm(j, R11, i->index2, false);
	wj_x86_call_to(&j->e, j->runtime);
	wj_jit_site(j, 0);
	j->last_call = ~0u;
}

void wj_jit_cold(struct wj_jit *j, const struct wj_cold *c)
{
	wj_patch32(&j->e, c->from, j->e.pos);
	j->offset = c->offset;
	switch (c->kind) {
	case WJ_COLD_TRAP:
		trap_call(j, c->trap);
		return;
	case WJ_COLD_ENTRY_TRAP:
		wj_x86_call_to(&j->e, j->trap_stack);
		wj_jit_site(j, WJ_SITE_ENTRY);
		return;
	case WJ_COLD_POLL:
	case WJ_COLD_ENTRY_POLL:
		wj_x86_call_to(&j->e, j->poll);
		wj_jit_site(j, c->kind == WJ_COLD_ENTRY_POLL ? WJ_SITE_ENTRY : 0);
		wj_x86_jmp_to(&j->e, c->back);
		return;
	case WJ_COLD_DIV_MINUS_1:
		cold_minus_1(j, c);
		return;
	case WJ_COLD_MINMAX:
		cold_minmax(j, c);
		return;
	case WJ_COLD_TRUNC:
		cold_trunc(j, c);
		return;
	case WJ_COLD_CONVERT:
		cold_convert(j, c);
		return;
	case WJ_COLD_CALL_TYPE:
		wj_x86_call_to(&j->e, j->call_type);
		wj_jit_site(j, 0);
		return;
	case WJ_COLD_CALL_FOREIGN:
		cold_foreign(j, c);
		return;
	}
}

void wj_jit_translate(struct wj_jit *j, const struct wj_insn *i)
{
	const struct wj_op_info *info = &wj_op_info[i->op];
	struct wj_emit *e = &j->e;
	s32 imm = (s32)i->imm;
	u32 w = wide(info->a);

	switch ((enum wj_op)i->op) {
	case WJ_OP_UNREACHABLE:
		trap_call(j, WJ_TRAP_UNREACHABLE);
		return;
	case WJ_OP_TRAP:
		trap_call(j, i->kind);
		return;
	case WJ_OP_POLL:
		poll(j);
		return;
	case WJ_OP_RET:
		leave(j);
		return;
	case WJ_OP_BR:
		if (j->block_code[i->index] != j->next)
			wj_jit_branch(j, -1, i->index);
		return;
	case WJ_OP_BR_TABLE:
		br_table(j, i);
		return;
	case WJ_OP_CALL:
		call(j, i);
		return;
	case WJ_OP_CALL_INDIRECT:
		call_indirect(j, i);
		return;
	case WJ_OP_CALL_RT:
		call_rt(j, i);
		return;
	case WJ_OP_I32_BR_IF:
	case WJ_OP_I64_BR_IF:
		wj_x86_rr(e, X86_CMP | w, ireg(i->b), ireg(i->a));
		wj_jit_branch(j, integer_cc[i->cc], i->index);
		return;
	case WJ_OP_I32_BR_IF_IMM:
	case WJ_OP_I64_BR_IF_IMM:
		compare_imm(j, w, ireg(i->a), imm);
		wj_jit_branch(j, integer_cc[i->cc], i->index);
		return;
	case WJ_OP_I32_BR_TEST:
	case WJ_OP_I64_BR_TEST:
		wj_x86_rr(e, X86_TEST | w, ireg(i->b), ireg(i->a));
		wj_jit_branch(j, integer_cc[i->cc], i->index);
		return;
	case WJ_OP_I32_BR_TEST_IMM:
	case WJ_OP_I64_BR_TEST_IMM:
		test_imm(j, w, ireg(i->a), imm);
		wj_jit_branch(j, integer_cc[i->cc], i->index);
		return;
	case WJ_OP_F32_BR_IF:
	case WJ_OP_F64_BR_IF:
		fbranch(j, i);
		return;

	case WJ_OP_MOV:
		mov(j, X86_W, ireg(i->d), ireg(i->a));
		return;
	case WJ_OP_FMOV:
		fmov(j, freg(i->d), freg(i->a));
		return;
	case WJ_OP_XCHG:
		if (i->a != i->b)
			wj_x86_rr(e, X86_XCHG | X86_W, ireg(i->a), ireg(i->b));
		return;
	case WJ_OP_FXCHG:
		if (i->a != i->b) {
			fmov(j, 15, freg(i->a));
			fmov(j, freg(i->a), freg(i->b));
			fmov(j, freg(i->b), 15);
		}
		return;
	case WJ_OP_I32_CONST:
		load_imm(j, ireg(i->d), (u32)imm, false);
		return;
	case WJ_OP_I64_CONST:
		load_imm(j, ireg(i->d), (u64)i->imm, false);
		return;
	case WJ_OP_F32_CONST:
		float_constant(j, i, false);
		return;
	case WJ_OP_F64_CONST:
		float_constant(j, i, true);
		return;
	case WJ_OP_REF_NULL:
		wj_x86_mov_imm(e, ireg(i->d), WJ_NULL_REF, false);
		return;
	case WJ_OP_SLOT_LOAD:
		load_value(j, slot_type(j, i->index), i->d, spill_slot(j, i->index));
		return;
	case WJ_OP_SLOT_STORE:
		store_value(j, slot_type(j, i->index), i->a, spill_slot(j, i->index));
		return;
	case WJ_OP_FSLOT_LOAD:
		load_float(j, slot_type(j, i->index), i->d, spill_slot(j, i->index));
		return;
	case WJ_OP_FSLOT_STORE:
		store_float(j, slot_type(j, i->index), i->a, spill_slot(j, i->index));
		return;
	case WJ_OP_ARG_LOAD:
		load_value(j, j->arg_types[i->index], i->d, stack_argument(j, i->index));
		return;
	case WJ_OP_FARG_LOAD:
		load_float(j, j->arg_types[i->index], i->d, stack_argument(j, i->index));
		return;
	case WJ_OP_OUT_STORE:
		store_value(j, WJ_I64, i->a, out_slot(i->index));
		return;
	case WJ_OP_FOUT_STORE:
		store_float(j, WJ_F64, i->a, out_slot(i->index));
		return;
	case WJ_OP_RESULT_LOAD:
		load_value(j, result_type(j, i->index), i->d, result_slot(j, i->index));
		return;
	case WJ_OP_FRESULT_LOAD:
		load_float(j, result_type(j, i->index), i->d, result_slot(j, i->index));
		return;
	case WJ_OP_RESULT_STORE:
		store_value(j, WJ_I64, i->a, result_slot(j, i->index));
		return;
	case WJ_OP_FRESULT_STORE:
		store_float(j, WJ_F64, i->a, result_slot(j, i->index));
		return;
	case WJ_OP_GLOBAL_GET:
		load_value(j, j->image->globals[i->index].type, i->d, global(j, i->index));
		return;
	case WJ_OP_FGLOBAL_GET:
		load_float(j, j->image->globals[i->index].type, i->d, global(j, i->index));
		return;
	case WJ_OP_GLOBAL_SET:
		store_value(j, j->image->globals[i->index].type, i->a, global(j, i->index));
		return;
	case WJ_OP_FGLOBAL_SET:
		store_float(j, j->image->globals[i->index].type, i->a, global(j, i->index));
		return;
	case WJ_OP_MEMORY_SIZE:
		wj_x86_rm(e, X86_LOAD | X86_W, RCX, field(offsetof(struct wj_instance, memory)));
		wj_x86_rm(e, X86_LOAD, ireg(i->d), wj_mem(RCX, offsetof(struct wj_memory, pages)));
		return;
	case WJ_OP_REF_IS_NULL:
		set_imm(j, 0, WJ_CC_EQ, ireg(i->d), ireg(i->a), (s32)WJ_NULL_REF);
		return;

	case WJ_OP_I32_ADD:
	case WJ_OP_I64_ADD:
		add(j, w, ireg(i->d), ireg(i->a), ireg(i->b));
		return;
	case WJ_OP_I32_SUB:
	case WJ_OP_I64_SUB:
		sub(j, w, ireg(i->d), ireg(i->a), ireg(i->b));
		return;
	case WJ_OP_I32_MUL:
	case WJ_OP_I64_MUL:
		commutative(j, X86_IMUL, w, ireg(i->d), ireg(i->a), ireg(i->b));
		return;
	case WJ_OP_I32_AND:
	case WJ_OP_I64_AND:
		commutative(j, X86_AND, w, ireg(i->d), ireg(i->a), ireg(i->b));
		return;
	case WJ_OP_I32_OR:
	case WJ_OP_I64_OR:
		commutative(j, X86_OR, w, ireg(i->d), ireg(i->a), ireg(i->b));
		return;
	case WJ_OP_I32_XOR:
	case WJ_OP_I64_XOR:
		commutative(j, X86_XOR, w, ireg(i->d), ireg(i->a), ireg(i->b));
		return;
	case WJ_OP_I32_SHL:
	case WJ_OP_I64_SHL:
		shift(j, X86_SHLX, X86_SHL, w, ireg(i->d), ireg(i->a), ireg(i->b));
		return;
	case WJ_OP_I32_SHR_S:
	case WJ_OP_I64_SHR_S:
		shift(j, X86_SARX, X86_SAR, w, ireg(i->d), ireg(i->a), ireg(i->b));
		return;
	case WJ_OP_I32_SHR_U:
	case WJ_OP_I64_SHR_U:
		shift(j, X86_SHRX, X86_SHR, w, ireg(i->d), ireg(i->a), ireg(i->b));
		return;
	case WJ_OP_I32_ROTL:
	case WJ_OP_I64_ROTL:
		shift(j, 0, X86_ROL, w, ireg(i->d), ireg(i->a), ireg(i->b));
		return;
	case WJ_OP_I32_ROTR:
	case WJ_OP_I64_ROTR:
		shift(j, 0, X86_ROR, w, ireg(i->d), ireg(i->a), ireg(i->b));
		return;
	case WJ_OP_I32_ADD_IMM:
	case WJ_OP_I64_ADD_IMM:
		add_imm(j, w, ireg(i->d), ireg(i->a), imm);
		return;
	case WJ_OP_I32_MUL_IMM:
	case WJ_OP_I64_MUL_IMM:
		mul_imm(j, w, ireg(i->d), ireg(i->a), imm);
		return;
	case WJ_OP_I32_AND_IMM:
	case WJ_OP_I64_AND_IMM:
		and_imm(j, w, ireg(i->d), ireg(i->a), imm);
		return;
	case WJ_OP_I32_OR_IMM:
	case WJ_OP_I64_OR_IMM:
		or_imm(j, w, ireg(i->d), ireg(i->a), imm);
		return;
	case WJ_OP_I32_XOR_IMM:
	case WJ_OP_I64_XOR_IMM:
		xor_imm(j, w, ireg(i->d), ireg(i->a), imm);
		return;
	case WJ_OP_I32_SHL_IMM:
	case WJ_OP_I64_SHL_IMM:
		shift_imm(j, X86_SHL, w, ireg(i->d), ireg(i->a), (u8)imm);
		return;
	case WJ_OP_I32_SHR_S_IMM:
	case WJ_OP_I64_SHR_S_IMM:
		shift_imm(j, X86_SAR, w, ireg(i->d), ireg(i->a), (u8)imm);
		return;
	case WJ_OP_I32_SHR_U_IMM:
	case WJ_OP_I64_SHR_U_IMM:
		shift_imm(j, X86_SHR, w, ireg(i->d), ireg(i->a), (u8)imm);
		return;
	case WJ_OP_I32_ROTR_IMM:
	case WJ_OP_I64_ROTR_IMM:
		shift_imm(j, X86_ROR, w, ireg(i->d), ireg(i->a), (u8)imm);
		return;
	case WJ_OP_I32_LEA:
	case WJ_OP_I64_LEA:
		if (blind(j, imm)) {
			lea(j, w, ireg(i->d), ireg(i->a), ireg(i->b), i->kind, 0);
			alu_imm(j, X86_ADD, X86_ALU_ADD, w, ireg(i->d), imm);
		} else {
			lea(j, w, ireg(i->d), ireg(i->a), ireg(i->b), i->kind, imm);
		}
		return;
	case WJ_OP_I32_DIV_S:
	case WJ_OP_I64_DIV_S:
		divide(j, i, w, true, false);
		return;
	case WJ_OP_I32_DIV_U:
	case WJ_OP_I64_DIV_U:
		divide(j, i, w, false, false);
		return;
	case WJ_OP_I32_REM_S:
	case WJ_OP_I64_REM_S:
		divide(j, i, w, true, true);
		return;
	case WJ_OP_I32_REM_U:
	case WJ_OP_I64_REM_U:
		divide(j, i, w, false, true);
		return;
	case WJ_OP_I32_CLZ:
	case WJ_OP_I64_CLZ:
		count_zeros(j, w, ireg(i->d), ireg(i->a), true);
		return;
	case WJ_OP_I32_CTZ:
	case WJ_OP_I64_CTZ:
		count_zeros(j, w, ireg(i->d), ireg(i->a), false);
		return;
	case WJ_OP_I32_POPCNT:
	case WJ_OP_I64_POPCNT:
		popcount(j, w, ireg(i->d), ireg(i->a));
		return;
	case WJ_OP_I32_EXTEND8_S:
	case WJ_OP_I64_EXTEND8_S:
		wj_x86_rr(e, X86_MOVSX8 | w, ireg(i->d), ireg(i->a));
		return;
	case WJ_OP_I32_EXTEND16_S:
	case WJ_OP_I64_EXTEND16_S:
		wj_x86_rr(e, X86_MOVSX16 | w, ireg(i->d), ireg(i->a));
		return;
	case WJ_OP_I64_EXTEND32_S:
	case WJ_OP_I64_EXTEND_I32_S:
		wj_x86_rr(e, X86_MOVSXD, ireg(i->d), ireg(i->a));
		return;
	case WJ_OP_I32_WRAP_I64:
		wj_x86_rr(e, X86_MOV, ireg(i->a), ireg(i->d));
		return;
	case WJ_OP_I64_EXTEND_I32_U:
		mov(j, 0, ireg(i->d), ireg(i->a));
		return;
	case WJ_OP_I32_SET:
	case WJ_OP_I64_SET:
		set(j, w, i->cc, ireg(i->d), ireg(i->a), ireg(i->b));
		return;
	case WJ_OP_I32_SET_IMM:
	case WJ_OP_I64_SET_IMM:
		set_imm(j, w, i->cc, ireg(i->d), ireg(i->a), imm);
		return;
	case WJ_OP_I32_SELECT:
	case WJ_OP_I64_SELECT:
		wj_x86_rr(e, X86_CMP | (i->op == WJ_OP_I64_SELECT ? X86_W : 0), ireg(i->y), ireg(i->x));
		select(j, integer_cc[i->cc], ireg(i->d), ireg(i->a), ireg(i->b));
		return;
	case WJ_OP_I32_SELECT_IMM:
	case WJ_OP_I64_SELECT_IMM:
		compare_imm(j, i->op == WJ_OP_I64_SELECT_IMM ? X86_W : 0, ireg(i->x), imm);
		select(j, integer_cc[i->cc], ireg(i->d), ireg(i->a), ireg(i->b));
		return;
	case WJ_OP_FSELECT_IMM:
		compare_imm(j, 0, ireg(i->x), imm);
		fselect(j, integer_cc[i->cc], freg(i->d), freg(i->a), freg(i->b));
		return;

	case WJ_OP_I32_LOAD:
	case WJ_OP_I64_LOAD32_U:
		load(j, i, X86_LOAD);
		return;
	case WJ_OP_I32_LOAD8_S:
		load(j, i, X86_MOVSX8);
		return;
	case WJ_OP_I32_LOAD8_U:
	case WJ_OP_I64_LOAD8_U:
		load(j, i, X86_MOVZX8);
		return;
	case WJ_OP_I32_LOAD16_S:
		load(j, i, X86_MOVSX16);
		return;
	case WJ_OP_I32_LOAD16_U:
	case WJ_OP_I64_LOAD16_U:
		load(j, i, X86_MOVZX16);
		return;
	case WJ_OP_I64_LOAD:
		load(j, i, X86_LOAD | X86_W);
		return;
	case WJ_OP_I64_LOAD8_S:
		load(j, i, X86_MOVSX8 | X86_W);
		return;
	case WJ_OP_I64_LOAD16_S:
		load(j, i, X86_MOVSX16 | X86_W);
		return;
	case WJ_OP_I64_LOAD32_S:
		load(j, i, X86_MOVSXD);
		return;
	case WJ_OP_F32_LOAD:
		fload(j, i, X86_MOVS_LOAD | X86_F3);
		return;
	case WJ_OP_F64_LOAD:
		fload(j, i, X86_MOVS_LOAD | X86_F2);
		return;
	case WJ_OP_STORE8:
		store(j, i, X86_MOV8);
		return;
	case WJ_OP_STORE16:
		store(j, i, X86_MOV16);
		return;
	case WJ_OP_STORE32:
		store(j, i, X86_MOV);
		return;
	case WJ_OP_STORE64:
		store(j, i, X86_MOV | X86_W);
		return;
	case WJ_OP_F32_STORE:
		fstore(j, i, X86_MOVS_STORE | X86_F3);
		return;
	case WJ_OP_F64_STORE:
		fstore(j, i, X86_MOVS_STORE | X86_F2);
		return;
	case WJ_OP_STORE8_IMM:
		store_imm(j, i, 1);
		return;
	case WJ_OP_STORE16_IMM:
		store_imm(j, i, 2);
		return;
	case WJ_OP_STORE32_IMM:
		store_imm(j, i, 4);
		return;
	case WJ_OP_STORE64_IMM:
		store_imm(j, i, 8);
		return;

	case WJ_OP_I32_ATOMIC_LOAD:
	case WJ_OP_I64_ATOMIC_LOAD32_U:
		atomic_load(j, i, 4);
		return;
	case WJ_OP_I32_ATOMIC_LOAD8_U:
	case WJ_OP_I64_ATOMIC_LOAD8_U:
		atomic_load(j, i, 1);
		return;
	case WJ_OP_I32_ATOMIC_LOAD16_U:
	case WJ_OP_I64_ATOMIC_LOAD16_U:
		atomic_load(j, i, 2);
		return;
	case WJ_OP_I64_ATOMIC_LOAD:
		atomic_load(j, i, 8);
		return;
	case WJ_OP_ATOMIC_STORE8:
		atomic_store(j, i, 1);
		return;
	case WJ_OP_ATOMIC_STORE16:
		atomic_store(j, i, 2);
		return;
	case WJ_OP_ATOMIC_STORE32:
		atomic_store(j, i, 4);
		return;
	case WJ_OP_ATOMIC_STORE64:
		atomic_store(j, i, 8);
		return;
	case WJ_OP_I32_ATOMIC_RMW:
	case WJ_OP_I64_ATOMIC_RMW32:
		atomic_rmw(j, i, 4);
		return;
	case WJ_OP_I32_ATOMIC_RMW8:
	case WJ_OP_I64_ATOMIC_RMW8:
		atomic_rmw(j, i, 1);
		return;
	case WJ_OP_I32_ATOMIC_RMW16:
	case WJ_OP_I64_ATOMIC_RMW16:
		atomic_rmw(j, i, 2);
		return;
	case WJ_OP_I64_ATOMIC_RMW:
		atomic_rmw(j, i, 8);
		return;
	case WJ_OP_I32_ATOMIC_CMPXCHG:
	case WJ_OP_I64_ATOMIC_CMPXCHG32:
		atomic_cmpxchg(j, i, 4);
		return;
	case WJ_OP_I32_ATOMIC_CMPXCHG8:
	case WJ_OP_I64_ATOMIC_CMPXCHG8:
		atomic_cmpxchg(j, i, 1);
		return;
	case WJ_OP_I32_ATOMIC_CMPXCHG16:
	case WJ_OP_I64_ATOMIC_CMPXCHG16:
		atomic_cmpxchg(j, i, 2);
		return;
	case WJ_OP_I64_ATOMIC_CMPXCHG:
		atomic_cmpxchg(j, i, 8);
		return;
	case WJ_OP_ATOMIC_FENCE:
		/* lock or dword [rsp], 0: cheaper than mfence. */
		wj_x86_rm(e, X86_ALU_IMM8 | X86_LOCK, X86_ALU_OR, wj_mem(RSP, 0));
		wj_imm8(e, 0);
		return;

	case WJ_OP_F32_ADD:
	case WJ_OP_F64_ADD:
		float3(j, X86_ADDS | scalar(info->a), true, freg(i->d), freg(i->a), freg(i->b));
		return;
	case WJ_OP_F32_SUB:
	case WJ_OP_F64_SUB:
		float3(j, X86_SUBS | scalar(info->a), false, freg(i->d), freg(i->a), freg(i->b));
		return;
	case WJ_OP_F32_MUL:
	case WJ_OP_F64_MUL:
		float3(j, X86_MULS | scalar(info->a), true, freg(i->d), freg(i->a), freg(i->b));
		return;
	case WJ_OP_F32_DIV:
	case WJ_OP_F64_DIV:
		float3(j, X86_DIVS | scalar(info->a), false, freg(i->d), freg(i->a), freg(i->b));
		return;
	case WJ_OP_F32_MIN:
	case WJ_OP_F64_MIN:
		minmax(j, i, X86_MINS);
		return;
	case WJ_OP_F32_MAX:
	case WJ_OP_F64_MAX:
		minmax(j, i, X86_MAXS);
		return;
	case WJ_OP_F32_COPYSIGN:
	case WJ_OP_F64_COPYSIGN:
		copysign(j, info->a == WJ_T_F, freg(i->d), freg(i->a), freg(i->b));
		return;
	case WJ_OP_F32_ABS:
		mask(j, X86_ANDPS, freg(i->d), freg(i->a), WJ_C_ABS32);
		return;
	case WJ_OP_F64_ABS:
		mask(j, X86_ANDPS, freg(i->d), freg(i->a), WJ_C_ABS64);
		return;
	case WJ_OP_F32_NEG:
		mask(j, X86_XORPS, freg(i->d), freg(i->a), WJ_C_SIGN32);
		return;
	case WJ_OP_F64_NEG:
		mask(j, X86_XORPS, freg(i->d), freg(i->a), WJ_C_SIGN64);
		return;
	case WJ_OP_F32_CEIL:
	case WJ_OP_F64_CEIL:
		round(j, i, 2);
		return;
	case WJ_OP_F32_FLOOR:
	case WJ_OP_F64_FLOOR:
		round(j, i, 1);
		return;
	case WJ_OP_F32_TRUNC:
	case WJ_OP_F64_TRUNC:
		round(j, i, 3);
		return;
	case WJ_OP_F32_NEAREST:
	case WJ_OP_F64_NEAREST:
		round(j, i, 0);
		return;
	case WJ_OP_F32_SQRT:
	case WJ_OP_F64_SQRT:
		float2(j, X86_SQRTS | scalar(info->a), freg(i->d), freg(i->a));
		return;
	case WJ_OP_F32_SET:
	case WJ_OP_F64_SET:
		fset(j, i);
		return;

	case WJ_OP_I32_TRUNC_F32_S:
	case WJ_OP_I32_TRUNC_F32_U:
	case WJ_OP_I32_TRUNC_F64_S:
	case WJ_OP_I32_TRUNC_F64_U:
	case WJ_OP_I64_TRUNC_F32_S:
	case WJ_OP_I64_TRUNC_F32_U:
	case WJ_OP_I64_TRUNC_F64_S:
	case WJ_OP_I64_TRUNC_F64_U:
	case WJ_OP_I32_TRUNC_SAT_F32_S:
	case WJ_OP_I32_TRUNC_SAT_F32_U:
	case WJ_OP_I32_TRUNC_SAT_F64_S:
	case WJ_OP_I32_TRUNC_SAT_F64_U:
	case WJ_OP_I64_TRUNC_SAT_F32_S:
	case WJ_OP_I64_TRUNC_SAT_F32_U:
	case WJ_OP_I64_TRUNC_SAT_F64_S:
	case WJ_OP_I64_TRUNC_SAT_F64_U:
		trunc(j, i);
		return;
	case WJ_OP_F32_CONVERT_I32_S:
	case WJ_OP_F32_CONVERT_I64_S:
	case WJ_OP_F64_CONVERT_I32_S:
	case WJ_OP_F64_CONVERT_I64_S:
		convert(j, i, false);
		return;
	case WJ_OP_F32_CONVERT_I32_U:
	case WJ_OP_F32_CONVERT_I64_U:
	case WJ_OP_F64_CONVERT_I32_U:
	case WJ_OP_F64_CONVERT_I64_U:
		convert(j, i, true);
		return;
	case WJ_OP_F32_DEMOTE_F64:
	case WJ_OP_F64_PROMOTE_F32:
		float2(j, X86_CVTS2S | scalar(info->a), freg(i->d), freg(i->a));
		return;
	case WJ_OP_I32_REINTERPRET_F32:
		wj_x86_rr(e, X86_MOVD_FROM_X, freg(i->a), ireg(i->d));
		return;
	case WJ_OP_I64_REINTERPRET_F64:
		wj_x86_rr(e, X86_MOVD_FROM_X | X86_W, freg(i->a), ireg(i->d));
		return;
	case WJ_OP_F32_REINTERPRET_I32:
		wj_x86_rr(e, X86_MOVD_TO_X, freg(i->d), ireg(i->a));
		return;
	case WJ_OP_F64_REINTERPRET_I64:
		wj_x86_rr(e, X86_MOVD_TO_X | X86_W, freg(i->d), ireg(i->a));
		return;
	case WJ_OP_COUNT:
		return;
	}
}
