// SPDX-License-Identifier: GPL-2.0-only
/*
 * The x86-64 JIT: each bytecode instruction becomes the machine instructions below, with what
 * seldom happens (traps, polls, corner cases) out of line as cold code.
 */
#include "translate_x86.h"

enum {
	XMM0, XMM1, XMM2, XMM3, XMM4, XMM5, XMM6, XMM7,
	XMM8, XMM9, XMM10, XMM11, XMM12, XMM13, XMM14, XMM15
};

/* target.def, four times over: registers, and through them the arguments. */
#define FREG(index, reg, saver)
#define IARG(position, index)
#define FARG(position, index)
#define IREG(index, reg, saver) [index] = (reg),
const u8 wj_jit_ireg[16] = {
#include "target.def"
};
#undef IREG
#undef FREG
#define IREG(index, reg, saver)
#define FREG(index, reg, saver) [index] = (reg),
const u8 wj_jit_freg[16] = {
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
static_assert(WJ_CC_EQ == 0 && WJ_CC_NE == 1, "branch_if_imm");
static_assert(sizeof(struct wj_element) == 32, "CALL_INDIRECT indexes with a shift");

const u8 wj_t_cc[WJ_CC_COUNT] = {
	[WJ_CC_EQ] = X86_E, [WJ_CC_NE] = X86_NE, [WJ_CC_LT_S] = X86_L, [WJ_CC_GE_S] = X86_GE,
	[WJ_CC_LT_U] = X86_B, [WJ_CC_GE_U] = X86_AE, [WJ_CC_GT_S] = X86_G,
	[WJ_CC_LE_S] = X86_LE, [WJ_CC_GT_U] = X86_A, [WJ_CC_LE_U] = X86_BE,
};

/*
 * Immediates.  What the guest chose and does not fit in 16 bits is blinded: it appears only
 * xored with random bits, so that its bytes are no code to jump into.
 */
static void xor_key(struct wj_jit *j, u32 w, u8 reg, u32 key)
{
	wj_x86_rr(&j->e, X86_ALU_IMM32 | w, X86_ALU_XOR, reg);
	wj_imm32(&j->e, key);
}

void wj_jit_load_imm(struct wj_jit *j, u8 reg, u64 value, bool keep_flags)
{
	u32 key, low = (u32)value, high = (u32)(value >> 32);
	u64 key64;

	/* An i32 is as small as it is with its sign. */
	if (!wj_blind(j, high ? (s64)value : (s64)(s32)low)) {
		wj_x86_mov_imm(&j->e, reg, value, keep_flags);
		return;
	}
	key = wj_jit_random(j);
	if (!high) {
		wj_x86_mov_imm(&j->e, reg, low ^ key, true);
		xor_key(j, 0, reg, key);
		return;
	}
	if ((s64)value == (s32)low) {
		/* Both immediates are sign-extended. */
		wj_x86_mov_imm(&j->e, reg, (u64)(s64)(s32)(low ^ key), true);
		xor_key(j, X86_W, reg, key);
		return;
	}
	if (reg != RCX) {
		key64 = (u64)key << 32 | wj_jit_random(j);
		wj_x86_mov_imm(&j->e, reg, value ^ key64, true);
		wj_x86_mov_imm(&j->e, RCX, key64, true);
		wj_x86_rr(&j->e, X86_XOR | X86_W, RCX, reg);
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

void wj_t_load_operand(struct wj_jit *j, u8 reg, u32 w, s32 imm)
{
	wj_jit_load_imm(j, reg, w ? (u64)(s64)imm : (u32)imm, false);
}

void wj_t_alu_imm(struct wj_jit *j, u32 op, enum wj_x86_digit digit, u32 w, u8 rm, s32 imm)
{
	if (wj_blind(j, imm)) {
		wj_t_load_operand(j, RCX, w, imm);
		wj_x86_rr(&j->e, op | w, RCX, rm);
	} else {
		wj_x86_alu_imm(&j->e, digit, w, rm, imm);
	}
	if (digit != X86_ALU_CMP)
		wj_zero_known(j, rm);
}

void wj_t_compare_imm(struct wj_jit *j, u32 w, u8 a, s32 imm)
{
	/* test a, a sets the flags of cmp a, 0. */
	if (!imm)
		wj_x86_rr(&j->e, X86_TEST | w, a, a);
	else
		wj_t_alu_imm(j, X86_CMP, X86_ALU_CMP, w, a, imm);
}

void wj_t_test_imm(struct wj_jit *j, u32 w, u8 a, s32 imm)
{
	if (imm == -1) {
		wj_x86_rr(&j->e, X86_TEST | w, a, a);
	} else if (imm >= 0 && imm <= 0xff) {
		wj_x86_rr(&j->e, X86_TEST8_IMM8, 0, a);
		wj_imm8(&j->e, (u32)imm);
	} else if (wj_blind(j, imm)) {
		wj_t_load_operand(j, RCX, w, imm);
		wj_x86_rr(&j->e, X86_TEST | w, RCX, a);
	} else {
		/* A positive mask looks at 32 bits only. */
		wj_x86_rr(&j->e, X86_TEST_IMM32 | (imm < 0 ? w : 0), 0, a);
		wj_imm32(&j->e, (u32)imm);
	}
}

struct wj_cold *wj_jit_cold(struct wj_jit *j, enum wj_cold_kind kind, int cc, const struct wj_insn *i)
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

void wj_jit_cold_back(struct wj_jit *j)
{
	if (j->e.error)
		return;
	((struct wj_cold *)j->cold.items)[j->cold.count - 1].back = j->e.pos;
}

void wj_jit_trap_if(struct wj_jit *j, enum wj_x86_cc cc, enum wj_trap trap)
{
	wj_jit_cold(j, WJ_COLD_TRAP, cc, NULL)->trap = trap;
}

void wj_jit_trap_call(struct wj_jit *j, u32 trap)
{
	wj_x86_call_to(&j->e, j->traps[trap]);
	wj_jit_site(j, 0);
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
	return wj_field(j->layout.results + 8 * (index - 1));
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
	wj_x86_rm(&j->e, X86_LOAD | (type == WJ_I64 ? X86_W : 0), d, m);
}

static void store_value(struct wj_jit *j, u8 type, u8 a, struct wj_mem m)
{
	wj_x86_rm(&j->e, X86_MOV | (type == WJ_I64 ? X86_W : 0), a, m);
}

static void load_float(struct wj_jit *j, u8 type, u8 d, struct wj_mem m)
{
	wj_x86_rm(&j->e, X86_MOVS_LOAD | (type == WJ_F32 ? X86_F3 : X86_F2), d, m);
}

static void store_float(struct wj_jit *j, u8 type, u8 a, struct wj_mem m)
{
	wj_x86_rm(&j->e, X86_MOVS_STORE | (type == WJ_F32 ? X86_F3 : X86_F2), a, m);
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
		return wj_field(j->layout.own_globals + 8 * index);
	wj_x86_rm(&j->e, X86_LOAD | X86_W, RCX, wj_field(j->layout.globals + 8 * index));
	return wj_mem(RCX, offsetof(struct wj_global, value));
}

/* Control. */

/* Flags: not equal if work is due.  Clobbers rcx. */
static void test_poll_flags(struct wj_jit *j)
{
	u32 mask = wj_poll_mask();

	if (mask == ~0u) {
		wj_x86_rm(&j->e, X86_ALU_IMM8, X86_ALU_CMP,
			  wj_field(offsetof(struct wj_instance, own_poll_flags)));
		wj_imm8(&j->e, 0);
	} else {
		wj_x86_rm(&j->e, X86_LOAD | X86_W, RCX, wj_field(offsetof(struct wj_instance, poll_flags)));
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
	if (!j->f->leaf || total > WJ_SMALL_FRAME) {
		u8 sp = RSP;

		if (total > WJ_SMALL_FRAME) {
			sp = RCX;
			wj_x86_rm(&j->e, X86_LEA | X86_W, RCX, wj_mem(RSP, -(s32)total));
		}
		wj_x86_rm(&j->e, X86_CMP | X86_W, sp, wj_field(offsetof(struct wj_instance, stack_limit)));
		/* The operands are [limit], sp: it is above. */
		wj_jit_cold(j, WJ_COLD_ENTRY_TRAP, X86_A, NULL);
	}
	if (!j->f->leaf) {
		test_poll_flags(j);
		wj_jit_cold(j, WJ_COLD_ENTRY_POLL, X86_NE, NULL);
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

void wj_jit_poll(struct wj_jit *j)
{
	test_poll_flags(j);
	wj_jit_cold(j, WJ_COLD_POLL, X86_NE, NULL);
}

static void branch(struct wj_jit *j, u32 block)
{
	if (j->block_code[block] != j->next)
		wj_jit_branch(j, -1, block);
}

static void branch_if(struct wj_jit *j, u32 op, const struct wj_insn *i)
{
	wj_x86_rr(&j->e, op, wj_ireg(i->b), wj_ireg(i->a));
	wj_jit_branch(j, wj_t_cc[i->cc], i->index);
}

static void branch_if_imm(struct wj_jit *j, const struct wj_insn *i)
{
	u32 w = wj_wide(wj_op_info[i->op].a);
	u8 a = wj_ireg(i->a);

	/* Counting down to 0: the flags are there already.  The one case in which they are used. */
	if (i->imm || i->cc > WJ_CC_NE || !j->zero_pos || j->zero_pos != j->e.pos || j->zero_reg != a)
		wj_t_compare_imm(j, w, a, (s32)i->imm);
	wj_jit_branch(j, wj_t_cc[i->cc], i->index);
}

static void branch_test_imm(struct wj_jit *j, const struct wj_insn *i)
{
	wj_t_test_imm(j, wj_wide(wj_op_info[i->op].a), wj_ireg(i->a), (s32)i->imm);
	wj_jit_branch(j, wj_t_cc[i->cc], i->index);
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

			wj_t_compare_imm(j, 0, a, (s32)runs[middle].start);
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
	u8 a = wj_ireg(i->a);
	u32 n = i->index, k, first = j->tables.count;
	struct run *run = NULL;
	u32 *target;

	j->runs.count = 0;
	for (k = 0; k <= n && !j->e.error; k++) {
		u32 block = wj_read_u32(&j->cursor);

		target = wj_list_add(j, &j->tables, sizeof(*target));
		*target = block;
		wj_jit_reaches(j, block);
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
	wj_t_alu_imm(j, X86_CMP, X86_ALU_CMP, 0, a, (s32)n);
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

	wj_x86_rm(&j->e, X86_LOAD | X86_W, RCX, wj_field(j->layout.tables + 8 * i->index2));
	if (i->index2 >= j->image->n_imported_tables && table->limits.has_max &&
	    table->limits.min == table->limits.max && !wj_blind(j, table->limits.min))
		wj_t_alu_imm(j, X86_CMP, X86_ALU_CMP, 0, R11, (s32)table->limits.min);
	else
		wj_x86_rm(&j->e, X86_CMP_LOAD, R11, wj_mem(RCX, offsetof(struct wj_table, size)));
	wj_jit_trap_if(j, X86_AE, WJ_TRAP_UNDEFINED_ELEMENT);
	/* A mispredicted branch gets here with index 0.  r10 is -1, where there is no code ... */
	wj_x86_rr(&j->e, X86_SBB | X86_W, R10, R10);
	wj_x86_rr(&j->e, X86_AND, R10, R11);
	wj_x86_shift_imm(&j->e, X86_SHL, X86_W, R11, 5);
	wj_x86_rm(&j->e, X86_ADD_LOAD | X86_W, R11, wj_mem(RCX, offsetof(struct wj_table, elements)));
	wj_x86_rm(&j->e, X86_LOAD | X86_W, RCX, wj_field(j->layout.keys + 8 * i->index));
	wj_x86_rm(&j->e, X86_CMP_LOAD | X86_W, RCX, wj_mem(R11, offsetof(struct wj_element, key)));
	/* ... and stays that if the next branch is: no code of another type. */
	wj_x86_rm(&j->e, X86_CMOV | X86_W | X86_E, R10, wj_mem(R11, offsetof(struct wj_element, code)));
	wj_jit_cold(j, WJ_COLD_CALL_OTHER, X86_NE, i);
	if (j->mitigations & WJ_MITIGATE_RETPOLINE)
		wj_jit_reloc(j, WJ_RELOC_EXTERNAL, wj_x86_call(&j->e), 0, wj_indirect_thunk(R10));
	else
		wj_x86_rr(&j->e, X86_INDIRECT, X86_CALL_RM, R10);
	wj_jit_site(j, 0);
	wj_jit_cold_back(j);
	j->last_call = i->index;
}

/* An element of another type or another instance; r11 is its address. */
static void cold_call_other(struct wj_jit *j, const struct wj_cold *c)
{
	wj_x86_rm(&j->e, X86_LOAD, RCX, wj_field(j->layout.keys + 8 * c->insn.index +
						 offsetof(struct wj_call_key, type_id)));
	wj_x86_call_to(&j->e, j->call_type);
	wj_jit_site(j, 0);
	wj_x86_rm(&j->e, X86_LOAD | X86_W, RCX, wj_field(j->layout.tables + 8 * c->insn.index2));
	wj_x86_rm(&j->e, X86_SUB_LOAD | X86_W, R11, wj_mem(RCX, offsetof(struct wj_table, elements)));
	wj_x86_shift_imm(&j->e, X86_SHR, X86_W, R11, 5);
	wj_jit_load_imm(j, R10, c->insn.index2, false);
	wj_jit_reloc(j, WJ_RELOC_CALL_TYPE, wj_x86_call(&j->e), c->insn.index, NULL);
	wj_jit_site(j, 0);
	wj_x86_jmp_to(&j->e, c->back);
}

static void call_rt(struct wj_jit *j, const struct wj_insn *i)
{
	wj_jit_load_imm(j, RCX, i->kind, false);
	wj_jit_load_imm(j, R10, i->index, false);
	wj_jit_load_imm(j, R11, i->index2, false);
	wj_x86_call_to(&j->e, j->runtime);
	wj_jit_site(j, 0);
	j->last_call = ~0u;
}

void wj_jit_emit_cold(struct wj_jit *j, const struct wj_cold *c)
{
	wj_patch32(&j->e, c->from, j->e.pos);
	j->offset = c->offset;
	switch (c->kind) {
	case WJ_COLD_TRAP:
		wj_jit_trap_call(j, c->trap);
		return;
	case WJ_COLD_ENTRY_TRAP:
		wj_x86_call_to(&j->e, j->traps[WJ_TRAP_STACK_EXHAUSTED]);
		wj_jit_site(j, WJ_SITE_ENTRY);
		return;
	case WJ_COLD_POLL:
	case WJ_COLD_ENTRY_POLL:
		wj_x86_call_to(&j->e, j->poll);
		wj_jit_site(j, c->kind == WJ_COLD_ENTRY_POLL ? WJ_SITE_ENTRY : 0);
		wj_x86_jmp_to(&j->e, c->back);
		return;
	case WJ_COLD_DIV_MINUS_1:
		wj_t_cold_minus_1(j, c);
		return;
	case WJ_COLD_MINMAX:
		wj_t_cold_minmax(j, c);
		return;
	case WJ_COLD_TRUNC:
		wj_t_cold_trunc(j, c);
		return;
	case WJ_COLD_CONVERT:
		wj_t_cold_convert(j, c);
		return;
	case WJ_COLD_CALL_OTHER:
		cold_call_other(j, c);
		return;
	}
}


static void exchange_floats(struct wj_jit *j, u8 a, u8 b)
{
	wj_fmov(j, XMM15, a);
	wj_fmov(j, a, b);
	wj_fmov(j, b, XMM15);
}

/* By comparison of x and y as i32 or, where w is set, as i64. */
static void select(struct wj_jit *j, u32 w, const struct wj_insn *i)
{
	wj_x86_rr(&j->e, X86_CMP | w, wj_ireg(i->y), wj_ireg(i->x));
	wj_t_select(j, wj_t_cc[i->cc], wj_ireg(i->d), wj_ireg(i->a), wj_ireg(i->b));
}

static void select_imm(struct wj_jit *j, u32 w, const struct wj_insn *i)
{
	wj_t_compare_imm(j, w, wj_ireg(i->x), (s32)i->imm);
	wj_t_select(j, wj_t_cc[i->cc], wj_ireg(i->d), wj_ireg(i->a), wj_ireg(i->b));
}

static void fselect_imm(struct wj_jit *j, const struct wj_insn *i)
{
	wj_t_compare_imm(j, 0, wj_ireg(i->x), (s32)i->imm);
	wj_t_fselect(j, wj_t_cc[i->cc], wj_freg(i->d), wj_freg(i->a), wj_freg(i->b));
}

static void memory_size(struct wj_jit *j, u8 d)
{
	wj_x86_rm(&j->e, X86_LOAD | X86_W, RCX, wj_field(offsetof(struct wj_instance, memory)));
	wj_x86_rm(&j->e, X86_LOAD, d, wj_mem(RCX, offsetof(struct wj_memory, pages)));
}

/* lock or dword [rsp], 0: cheaper than mfence. */
static void fence(struct wj_jit *j)
{
	wj_x86_rm(&j->e, X86_ALU_IMM8 | X86_LOCK, X86_ALU_OR, wj_mem(RSP, 0));
	wj_imm8(&j->e, 0);
}

/* One line per instruction: the switch covers all of them, or does not compile. */
#define EMIT(name, ...) case WJ_OP_##name: __VA_ARGS__; return;

void wj_jit_translate(struct wj_jit *j, const struct wj_insn *i)
{
	const struct wj_op_info *info = &wj_op_info[i->op];
	struct wj_emit *e = &j->e;
	u8 d = wj_ireg(i->d), a = wj_ireg(i->a), b = wj_ireg(i->b);
	u8 fd = wj_freg(i->d), fa = wj_freg(i->a), fb = wj_freg(i->b);
	u8 global_type = info->format == WJ_FMT_GLD || info->format == WJ_FMT_GST ?
			 j->image->globals[i->index].type : 0;
	u32 fp = wj_scalar(info->a);
	s32 imm = (s32)i->imm;
	u8 count = (u8)i->imm;

	switch ((enum wj_op)i->op) {
	EMIT(UNREACHABLE, wj_jit_trap_call(j, WJ_TRAP_UNREACHABLE))
	EMIT(TRAP, wj_jit_trap_call(j, i->kind))
	EMIT(POLL, wj_jit_poll(j))
	EMIT(RET, leave(j))
	EMIT(BR, branch(j, i->index))
	EMIT(BR_TABLE, br_table(j, i))
	EMIT(CALL, call(j, i))
	EMIT(CALL_INDIRECT, call_indirect(j, i))
	EMIT(CALL_RT, call_rt(j, i))
	EMIT(I32_BR_IF, branch_if(j, X86_CMP, i))
	EMIT(I32_BR_IF_IMM, branch_if_imm(j, i))
	EMIT(I64_BR_IF, branch_if(j, X86_CMP | X86_W, i))
	EMIT(I64_BR_IF_IMM, branch_if_imm(j, i))
	EMIT(I32_BR_TEST, branch_if(j, X86_TEST, i))
	EMIT(I32_BR_TEST_IMM, branch_test_imm(j, i))
	EMIT(I64_BR_TEST, branch_if(j, X86_TEST | X86_W, i))
	EMIT(I64_BR_TEST_IMM, branch_test_imm(j, i))
	EMIT(F32_BR_IF, wj_t_fbranch(j, i))
	EMIT(F64_BR_IF, wj_t_fbranch(j, i))

	EMIT(MOV, wj_mov(j, X86_W, d, a))
	EMIT(FMOV, wj_fmov(j, fd, fa))
	EMIT(XCHG, wj_x86_rr(e, X86_XCHG | X86_W, a, b))
	EMIT(FXCHG, exchange_floats(j, fa, fb))
	EMIT(I32_CONST, wj_jit_load_imm(j, d, (u32)imm, false))
	EMIT(I64_CONST, wj_jit_load_imm(j, d, (u64)i->imm, false))
	EMIT(F32_CONST, wj_t_float_constant(j, i, false))
	EMIT(F64_CONST, wj_t_float_constant(j, i, true))
	EMIT(REF_NULL, wj_x86_mov_imm(e, d, WJ_NULL_REF, false))
	EMIT(SLOT_LOAD, load_value(j, slot_type(j, i->index), d, spill_slot(j, i->index)))
	EMIT(SLOT_STORE, store_value(j, slot_type(j, i->index), a, spill_slot(j, i->index)))
	EMIT(FSLOT_LOAD, load_float(j, slot_type(j, i->index), fd, spill_slot(j, i->index)))
	EMIT(FSLOT_STORE, store_float(j, slot_type(j, i->index), fa, spill_slot(j, i->index)))
	EMIT(ARG_LOAD, load_value(j, j->arg_types[i->index], d, stack_argument(j, i->index)))
	EMIT(FARG_LOAD, load_float(j, j->arg_types[i->index], fd, stack_argument(j, i->index)))
	EMIT(OUT_STORE, store_value(j, WJ_I64, a, out_slot(i->index)))
	EMIT(FOUT_STORE, store_float(j, WJ_F64, fa, out_slot(i->index)))
	EMIT(RESULT_LOAD, load_value(j, result_type(j, i->index), d, result_slot(j, i->index)))
	EMIT(FRESULT_LOAD, load_float(j, result_type(j, i->index), fd, result_slot(j, i->index)))
	EMIT(RESULT_STORE, store_value(j, WJ_I64, a, result_slot(j, i->index)))
	EMIT(FRESULT_STORE, store_float(j, WJ_F64, fa, result_slot(j, i->index)))
	EMIT(GLOBAL_GET, load_value(j, global_type, d, global(j, i->index)))
	EMIT(FGLOBAL_GET, load_float(j, global_type, fd, global(j, i->index)))
	EMIT(GLOBAL_SET, store_value(j, global_type, a, global(j, i->index)))
	EMIT(FGLOBAL_SET, store_float(j, global_type, fa, global(j, i->index)))
	EMIT(MEMORY_SIZE, memory_size(j, d))
	EMIT(REF_IS_NULL, wj_t_set_imm(j, 0, WJ_CC_EQ, d, a, (s32)WJ_NULL_REF))

	EMIT(I32_ADD, wj_t_add(j, 0, d, a, b))
	EMIT(I32_SUB, wj_t_sub(j, 0, d, a, b))
	EMIT(I32_MUL, wj_t_commutative(j, X86_IMUL, 0, d, a, b))
	EMIT(I32_AND, wj_t_commutative(j, X86_AND, 0, d, a, b))
	EMIT(I32_OR, wj_t_commutative(j, X86_OR, 0, d, a, b))
	EMIT(I32_XOR, wj_t_commutative(j, X86_XOR, 0, d, a, b))
	EMIT(I32_SHL, wj_t_shift(j, X86_SHLX, X86_SHL, 0, d, a, b))
	EMIT(I32_SHR_S, wj_t_shift(j, X86_SARX, X86_SAR, 0, d, a, b))
	EMIT(I32_SHR_U, wj_t_shift(j, X86_SHRX, X86_SHR, 0, d, a, b))
	EMIT(I32_ROTL, wj_t_shift(j, 0, X86_ROL, 0, d, a, b))
	EMIT(I32_ROTR, wj_t_shift(j, 0, X86_ROR, 0, d, a, b))
	EMIT(I32_ADD_IMM, wj_t_add_imm(j, 0, d, a, imm))
	EMIT(I32_MUL_IMM, wj_t_mul_imm(j, 0, d, a, imm))
	EMIT(I32_AND_IMM, wj_t_and_imm(j, 0, d, a, imm))
	EMIT(I32_OR_IMM, wj_t_or_imm(j, 0, d, a, imm))
	EMIT(I32_XOR_IMM, wj_t_xor_imm(j, 0, d, a, imm))
	EMIT(I32_SHL_IMM, wj_t_shift_imm(j, X86_SHL, 0, d, a, count))
	EMIT(I32_SHR_S_IMM, wj_t_shift_imm(j, X86_SAR, 0, d, a, count))
	EMIT(I32_SHR_U_IMM, wj_t_shift_imm(j, X86_SHR, 0, d, a, count))
	EMIT(I32_ROTR_IMM, wj_t_shift_imm(j, X86_ROR, 0, d, a, count))
	EMIT(I32_LEA, wj_t_lea(j, 0, d, a, b, i->kind, imm))
	EMIT(I32_DIV_S, wj_t_divide(j, i, 0, true, false))
	EMIT(I32_DIV_U, wj_t_divide(j, i, 0, false, false))
	EMIT(I32_REM_S, wj_t_divide(j, i, 0, true, true))
	EMIT(I32_REM_U, wj_t_divide(j, i, 0, false, true))
	EMIT(I32_CLZ, wj_t_count_zeros(j, 0, d, a, true))
	EMIT(I32_CTZ, wj_t_count_zeros(j, 0, d, a, false))
	EMIT(I32_POPCNT, wj_t_popcount(j, 0, d, a))
	EMIT(I32_EXTEND8_S, wj_x86_rr(e, X86_MOVSX8, d, a))
	EMIT(I32_EXTEND16_S, wj_x86_rr(e, X86_MOVSX16, d, a))
	EMIT(I32_SET, wj_t_set(j, 0, i->cc, d, a, b))
	EMIT(I32_SET_IMM, wj_t_set_imm(j, 0, i->cc, d, a, imm))
	EMIT(I32_SELECT, select(j, 0, i))
	EMIT(I32_SELECT_IMM, select_imm(j, 0, i))
	EMIT(I64_SELECT, select(j, X86_W, i))
	EMIT(I64_SELECT_IMM, select_imm(j, X86_W, i))
	EMIT(FSELECT_IMM, fselect_imm(j, i))

	EMIT(I64_ADD, wj_t_add(j, X86_W, d, a, b))
	EMIT(I64_SUB, wj_t_sub(j, X86_W, d, a, b))
	EMIT(I64_MUL, wj_t_commutative(j, X86_IMUL, X86_W, d, a, b))
	EMIT(I64_AND, wj_t_commutative(j, X86_AND, X86_W, d, a, b))
	EMIT(I64_OR, wj_t_commutative(j, X86_OR, X86_W, d, a, b))
	EMIT(I64_XOR, wj_t_commutative(j, X86_XOR, X86_W, d, a, b))
	EMIT(I64_SHL, wj_t_shift(j, X86_SHLX, X86_SHL, X86_W, d, a, b))
	EMIT(I64_SHR_S, wj_t_shift(j, X86_SARX, X86_SAR, X86_W, d, a, b))
	EMIT(I64_SHR_U, wj_t_shift(j, X86_SHRX, X86_SHR, X86_W, d, a, b))
	EMIT(I64_ROTL, wj_t_shift(j, 0, X86_ROL, X86_W, d, a, b))
	EMIT(I64_ROTR, wj_t_shift(j, 0, X86_ROR, X86_W, d, a, b))
	EMIT(I64_ADD_IMM, wj_t_add_imm(j, X86_W, d, a, imm))
	EMIT(I64_MUL_IMM, wj_t_mul_imm(j, X86_W, d, a, imm))
	EMIT(I64_AND_IMM, wj_t_and_imm(j, X86_W, d, a, imm))
	EMIT(I64_OR_IMM, wj_t_or_imm(j, X86_W, d, a, imm))
	EMIT(I64_XOR_IMM, wj_t_xor_imm(j, X86_W, d, a, imm))
	EMIT(I64_SHL_IMM, wj_t_shift_imm(j, X86_SHL, X86_W, d, a, count))
	EMIT(I64_SHR_S_IMM, wj_t_shift_imm(j, X86_SAR, X86_W, d, a, count))
	EMIT(I64_SHR_U_IMM, wj_t_shift_imm(j, X86_SHR, X86_W, d, a, count))
	EMIT(I64_ROTR_IMM, wj_t_shift_imm(j, X86_ROR, X86_W, d, a, count))
	EMIT(I64_LEA, wj_t_lea(j, X86_W, d, a, b, i->kind, imm))
	EMIT(I64_DIV_S, wj_t_divide(j, i, X86_W, true, false))
	EMIT(I64_DIV_U, wj_t_divide(j, i, X86_W, false, false))
	EMIT(I64_REM_S, wj_t_divide(j, i, X86_W, true, true))
	EMIT(I64_REM_U, wj_t_divide(j, i, X86_W, false, true))
	EMIT(I64_CLZ, wj_t_count_zeros(j, X86_W, d, a, true))
	EMIT(I64_CTZ, wj_t_count_zeros(j, X86_W, d, a, false))
	EMIT(I64_POPCNT, wj_t_popcount(j, X86_W, d, a))
	EMIT(I64_EXTEND8_S, wj_x86_rr(e, X86_MOVSX8 | X86_W, d, a))
	EMIT(I64_EXTEND16_S, wj_x86_rr(e, X86_MOVSX16 | X86_W, d, a))
	EMIT(I64_EXTEND32_S, wj_x86_rr(e, X86_MOVSXD, d, a))
	EMIT(I64_SET, wj_t_set(j, X86_W, i->cc, d, a, b))
	EMIT(I64_SET_IMM, wj_t_set_imm(j, X86_W, i->cc, d, a, imm))
	EMIT(I32_WRAP_I64, wj_x86_rr(e, X86_MOV, a, d))
	EMIT(I64_EXTEND_I32_S, wj_x86_rr(e, X86_MOVSXD, d, a))
	EMIT(I64_EXTEND_I32_U, wj_mov(j, 0, d, a))

	EMIT(I32_LOAD, wj_t_load(j, i, X86_LOAD))
	EMIT(I32_LOAD8_S, wj_t_load(j, i, X86_MOVSX8))
	EMIT(I32_LOAD8_U, wj_t_load(j, i, X86_MOVZX8))
	EMIT(I32_LOAD16_S, wj_t_load(j, i, X86_MOVSX16))
	EMIT(I32_LOAD16_U, wj_t_load(j, i, X86_MOVZX16))
	EMIT(I64_LOAD, wj_t_load(j, i, X86_LOAD | X86_W))
	EMIT(I64_LOAD8_S, wj_t_load(j, i, X86_MOVSX8 | X86_W))
	EMIT(I64_LOAD8_U, wj_t_load(j, i, X86_MOVZX8))
	EMIT(I64_LOAD16_S, wj_t_load(j, i, X86_MOVSX16 | X86_W))
	EMIT(I64_LOAD16_U, wj_t_load(j, i, X86_MOVZX16))
	EMIT(I64_LOAD32_S, wj_t_load(j, i, X86_MOVSXD))
	EMIT(I64_LOAD32_U, wj_t_load(j, i, X86_LOAD))
	EMIT(F32_LOAD, wj_t_fload(j, i, X86_MOVS_LOAD | X86_F3))
	EMIT(F64_LOAD, wj_t_fload(j, i, X86_MOVS_LOAD | X86_F2))
	EMIT(STORE8, wj_t_store(j, i, X86_MOV8))
	EMIT(STORE16, wj_t_store(j, i, X86_MOV16))
	EMIT(STORE32, wj_t_store(j, i, X86_MOV))
	EMIT(STORE64, wj_t_store(j, i, X86_MOV | X86_W))
	EMIT(F32_STORE, wj_t_fstore(j, i, X86_MOVS_STORE | X86_F3))
	EMIT(F64_STORE, wj_t_fstore(j, i, X86_MOVS_STORE | X86_F2))
	EMIT(STORE8_IMM, wj_t_store_imm(j, i, 1))
	EMIT(STORE16_IMM, wj_t_store_imm(j, i, 2))
	EMIT(STORE32_IMM, wj_t_store_imm(j, i, 4))
	EMIT(STORE64_IMM, wj_t_store_imm(j, i, 8))

	EMIT(I32_ATOMIC_LOAD, wj_t_atomic_load(j, i, 4))
	EMIT(I32_ATOMIC_LOAD8_U, wj_t_atomic_load(j, i, 1))
	EMIT(I32_ATOMIC_LOAD16_U, wj_t_atomic_load(j, i, 2))
	EMIT(I64_ATOMIC_LOAD, wj_t_atomic_load(j, i, 8))
	EMIT(I64_ATOMIC_LOAD8_U, wj_t_atomic_load(j, i, 1))
	EMIT(I64_ATOMIC_LOAD16_U, wj_t_atomic_load(j, i, 2))
	EMIT(I64_ATOMIC_LOAD32_U, wj_t_atomic_load(j, i, 4))
	EMIT(ATOMIC_STORE8, wj_t_atomic_store(j, i, 1))
	EMIT(ATOMIC_STORE16, wj_t_atomic_store(j, i, 2))
	EMIT(ATOMIC_STORE32, wj_t_atomic_store(j, i, 4))
	EMIT(ATOMIC_STORE64, wj_t_atomic_store(j, i, 8))
	EMIT(I32_ATOMIC_RMW, wj_t_atomic_rmw(j, i, 4))
	EMIT(I32_ATOMIC_RMW8, wj_t_atomic_rmw(j, i, 1))
	EMIT(I32_ATOMIC_RMW16, wj_t_atomic_rmw(j, i, 2))
	EMIT(I64_ATOMIC_RMW, wj_t_atomic_rmw(j, i, 8))
	EMIT(I64_ATOMIC_RMW8, wj_t_atomic_rmw(j, i, 1))
	EMIT(I64_ATOMIC_RMW16, wj_t_atomic_rmw(j, i, 2))
	EMIT(I64_ATOMIC_RMW32, wj_t_atomic_rmw(j, i, 4))
	EMIT(I32_ATOMIC_CMPXCHG, wj_t_atomic_cmpxchg(j, i, 4))
	EMIT(I32_ATOMIC_CMPXCHG8, wj_t_atomic_cmpxchg(j, i, 1))
	EMIT(I32_ATOMIC_CMPXCHG16, wj_t_atomic_cmpxchg(j, i, 2))
	EMIT(I64_ATOMIC_CMPXCHG, wj_t_atomic_cmpxchg(j, i, 8))
	EMIT(I64_ATOMIC_CMPXCHG8, wj_t_atomic_cmpxchg(j, i, 1))
	EMIT(I64_ATOMIC_CMPXCHG16, wj_t_atomic_cmpxchg(j, i, 2))
	EMIT(I64_ATOMIC_CMPXCHG32, wj_t_atomic_cmpxchg(j, i, 4))
	EMIT(ATOMIC_FENCE, fence(j))

	EMIT(F32_ADD, wj_t_float3(j, X86_ADDS | fp, true, fd, fa, fb))
	EMIT(F32_SUB, wj_t_float3(j, X86_SUBS | fp, false, fd, fa, fb))
	EMIT(F32_MUL, wj_t_float3(j, X86_MULS | fp, true, fd, fa, fb))
	EMIT(F32_DIV, wj_t_float3(j, X86_DIVS | fp, false, fd, fa, fb))
	EMIT(F32_MIN, wj_t_minmax(j, i, X86_MINS))
	EMIT(F32_MAX, wj_t_minmax(j, i, X86_MAXS))
	EMIT(F32_COPYSIGN, wj_t_copysign(j, true, fd, fa, fb))
	EMIT(F32_ABS, wj_t_float_mask(j, X86_ANDPS, fd, fa, WJ_C_ABS32))
	EMIT(F32_NEG, wj_t_float_mask(j, X86_XORPS, fd, fa, WJ_C_SIGN32))
	EMIT(F32_CEIL, wj_t_round(j, i, 2))
	EMIT(F32_FLOOR, wj_t_round(j, i, 1))
	EMIT(F32_TRUNC, wj_t_round(j, i, 3))
	EMIT(F32_NEAREST, wj_t_round(j, i, 0))
	EMIT(F32_SQRT, wj_t_float2(j, X86_SQRTS | fp, fd, fa))
	EMIT(F32_SET, wj_t_fset(j, i))
	EMIT(F64_ADD, wj_t_float3(j, X86_ADDS | fp, true, fd, fa, fb))
	EMIT(F64_SUB, wj_t_float3(j, X86_SUBS | fp, false, fd, fa, fb))
	EMIT(F64_MUL, wj_t_float3(j, X86_MULS | fp, true, fd, fa, fb))
	EMIT(F64_DIV, wj_t_float3(j, X86_DIVS | fp, false, fd, fa, fb))
	EMIT(F64_MIN, wj_t_minmax(j, i, X86_MINS))
	EMIT(F64_MAX, wj_t_minmax(j, i, X86_MAXS))
	EMIT(F64_COPYSIGN, wj_t_copysign(j, false, fd, fa, fb))
	EMIT(F64_ABS, wj_t_float_mask(j, X86_ANDPS, fd, fa, WJ_C_ABS64))
	EMIT(F64_NEG, wj_t_float_mask(j, X86_XORPS, fd, fa, WJ_C_SIGN64))
	EMIT(F64_CEIL, wj_t_round(j, i, 2))
	EMIT(F64_FLOOR, wj_t_round(j, i, 1))
	EMIT(F64_TRUNC, wj_t_round(j, i, 3))
	EMIT(F64_NEAREST, wj_t_round(j, i, 0))
	EMIT(F64_SQRT, wj_t_float2(j, X86_SQRTS | fp, fd, fa))
	EMIT(F64_SET, wj_t_fset(j, i))

	EMIT(I32_TRUNC_F32_S, wj_t_trunc(j, i))
	EMIT(I32_TRUNC_F32_U, wj_t_trunc(j, i))
	EMIT(I32_TRUNC_F64_S, wj_t_trunc(j, i))
	EMIT(I32_TRUNC_F64_U, wj_t_trunc(j, i))
	EMIT(I64_TRUNC_F32_S, wj_t_trunc(j, i))
	EMIT(I64_TRUNC_F32_U, wj_t_trunc(j, i))
	EMIT(I64_TRUNC_F64_S, wj_t_trunc(j, i))
	EMIT(I64_TRUNC_F64_U, wj_t_trunc(j, i))
	EMIT(I32_TRUNC_SAT_F32_S, wj_t_trunc(j, i))
	EMIT(I32_TRUNC_SAT_F32_U, wj_t_trunc(j, i))
	EMIT(I32_TRUNC_SAT_F64_S, wj_t_trunc(j, i))
	EMIT(I32_TRUNC_SAT_F64_U, wj_t_trunc(j, i))
	EMIT(I64_TRUNC_SAT_F32_S, wj_t_trunc(j, i))
	EMIT(I64_TRUNC_SAT_F32_U, wj_t_trunc(j, i))
	EMIT(I64_TRUNC_SAT_F64_S, wj_t_trunc(j, i))
	EMIT(I64_TRUNC_SAT_F64_U, wj_t_trunc(j, i))
	EMIT(F32_CONVERT_I32_S, wj_t_convert(j, i, false))
	EMIT(F32_CONVERT_I32_U, wj_t_convert(j, i, true))
	EMIT(F32_CONVERT_I64_S, wj_t_convert(j, i, false))
	EMIT(F32_CONVERT_I64_U, wj_t_convert(j, i, true))
	EMIT(F64_CONVERT_I32_S, wj_t_convert(j, i, false))
	EMIT(F64_CONVERT_I32_U, wj_t_convert(j, i, true))
	EMIT(F64_CONVERT_I64_S, wj_t_convert(j, i, false))
	EMIT(F64_CONVERT_I64_U, wj_t_convert(j, i, true))
	EMIT(F32_DEMOTE_F64, wj_t_float2(j, X86_CVTS2S | fp, fd, fa))
	EMIT(F64_PROMOTE_F32, wj_t_float2(j, X86_CVTS2S | fp, fd, fa))
	EMIT(I32_REINTERPRET_F32, wj_x86_rr(e, X86_MOVD_FROM_X, fa, d))
	EMIT(I64_REINTERPRET_F64, wj_x86_rr(e, X86_MOVD_FROM_X | X86_W, fa, d))
	EMIT(F32_REINTERPRET_I32, wj_x86_rr(e, X86_MOVD_TO_X, fd, a))
	EMIT(F64_REINTERPRET_I64, wj_x86_rr(e, X86_MOVD_TO_X | X86_W, fd, a))
	case WJ_OP_COUNT:
		return;
	}
}
