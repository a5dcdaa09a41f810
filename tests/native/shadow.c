// SPDX-License-Identifier: GPL-2.0-only
/*
 * The interpreter with a shadow: before each instruction, everything that the verifier has
 * promised of it is checked on the values that are there.  Registers, slots, outgoing arguments
 * and results carry the type they were written with; nothing is read before it is written, i32,
 * f32 and references have a zero upper half, branches go to blocks, backward ones to a POLL,
 * leaves do not call, frames stay within what the body declares.  Nothing of verify.c is used.
 *
 * Built instead of interp.c by libcore.py, variant "shadow"; a broken promise aborts.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "internal.h"

struct frame;
static bool shadow_decode(struct frame *frame, struct wj_cursor *c, struct wj_insn *insn);
int shadowed_interp_call(struct wj_instance *inst, u32 index, u64 *args);

#define wj_decode(c, insn) shadow_decode(frame, c, insn)
#define wj_interp_call shadowed_interp_call
#include "interp.c"
#undef wj_decode
#undef wj_interp_call

/* Types as wj_type has them, references as one, shifted by one: 0 is undefined. */
enum { NONE, I, L, F, D, REF };

struct shadow {
	struct frame *frame;
	u8 r[16], x[16];
	u8 *slots, *outs, *results;
	const struct wj_func_type *called;	/* whose further results are there */
	u32 pc, next;		/* of the last instruction, and behind it */
	bool branched;		/* it was a branch */
};

static struct shadow *shadows;
static u32 n_shadows, capacity;

static struct shadow *now;
static const struct wj_insn *at;

static void promise(bool kept, const char *what)
{
	if (kept)
		return;
	fprintf(stderr, "shadow: %s: function %u, offset %u, opcode %u\n", what,
		now->frame->function, now->frame->pc, at->op);
	abort();
}

static u8 tag(u8 type)
{
	return type >= WJ_FUNCREF ? REF : type + 1;
}

static bool is_float_tag(u8 t)
{
	return t == F || t == D;
}

static bool admits(u8 operand, u8 t)
{
	switch (operand) {
	case WJ_T_I:
		return t == I;
	case WJ_T_L:
		return t == L;
	case WJ_T_F:
		return t == F;
	case WJ_T_D:
		return t == D;
	case WJ_T_R:
		return t == REF;
	case WJ_T_W:
		return t == I || t == L || t == REF;
	case WJ_T_G:
		return t == F || t == D;
	}
	return false;
}

static bool float_operand(u8 operand)
{
	return operand == WJ_T_F || operand == WJ_T_D || operand == WJ_T_G;
}

static void clean(u8 t, u64 value)
{
	promise(t == L || t == D || !(value >> 32), "dirty upper half");
}

/* A register that is read as an operand of isa.def; its type. */
static u8 reads(u8 reg, u8 operand)
{
	bool floats = float_operand(operand);
	u8 t;

	promise(reg < (floats ? WJ_FREGS : WJ_IREGS), "no such register");
	t = floats ? now->x[reg] : now->r[reg];
	promise(t, "undefined register read");
	promise(admits(operand, t), "register of another type read");
	clean(t, floats ? now->frame->x[reg] : now->frame->r[reg]);
	return t;
}

static void writes(u8 reg, u8 t)
{
	const struct wj_function *f = now->frame->f;

	if (is_float_tag(t)) {
		promise(reg < WJ_FREGS, "no such register");
		now->x[reg] = t;
		return;
	}
	promise(reg < WJ_IREGS, "no such register");
	promise(reg < WJ_FIRST_CALLEE_SAVED || f->callee_saved >> (reg - WJ_FIRST_CALLEE_SAVED) & 1,
		"callee-saved register written without being saved");
	now->r[reg] = t;
}

/* Where parameter i of a type is: its register, or ~0 and the number of its stack argument. */
static u32 place_of(const struct wj_func_type *type, u32 which, u32 *stack)
{
	u32 i, ints = 0, floats = 0, reg = ~0u;

	for (i = *stack = 0; i <= which; i++) {
		bool is_f = is_float_tag(tag(type->params[i]));
		u32 *count = is_f ? &floats : &ints;

		*stack += i && reg == ~0u;
		reg = *count < (is_f ? WJ_FARGS : WJ_IARGS) ?
			(is_f ? wj_float_args : wj_int_args)[(*count)++] : ~0u;
	}
	return reg;
}

static void calls(const struct wj_func_type *type)
{
	u32 i, reg, stack;

	promise(!now->frame->f->leaf, "call in a leaf");
	for (i = 0; i < type->n_params; i++) {
		u8 t = tag(type->params[i]);

		reg = place_of(type, i, &stack);
		if (reg != ~0u) {
			promise((is_float_tag(t) ? now->x : now->r)[reg] == t, "argument of another type");
			clean(t, is_float_tag(t) ? now->frame->x[reg] : now->frame->r[reg]);
		} else {
			promise(stack < now->frame->f->out_count, "argument outside of the frame");
			promise(now->outs[stack] == t, "stack argument of another type");
			clean(t, outgoing(now->frame)[stack]);
		}
	}
}

/* Only callee-saved registers survive; stack arguments and results of before do not. */
static void returns(const struct wj_func_type *type)
{
	memset(now->r, 0, WJ_FIRST_CALLEE_SAVED);
	memset(now->x, 0, sizeof(now->x));
	memset(now->outs, 0, now->frame->f->out_count);
	now->called = type;
	if (now->results)
		memset(now->results, 0, 1000);
	if (type && type->n_results) {
		u8 t = tag(type->results[0]);

		(is_float_tag(t) ? now->x : now->r)[0] = t;
	}
}

static const struct wj_func_type *own_type(void)
{
	const struct frame *frame = now->frame;

	return &frame->inst->image->types[frame->f->type];
}

static u8 slot_tag(u32 slot)
{
	const struct wj_function *f = now->frame->f;
	static const u8 tags[] = { I, L, F, D, REF };
	u32 i;

	promise(slot < f->slot_count, "no such slot");
	for (i = 0; slot >= f->slot_end[i]; i++)
		;
	return tags[i];
}

static void runtime_call(const struct wj_insn *insn)
{
	const struct wj_rt_info *info;
	u32 i;

	promise(insn->kind < WJ_RT_COUNT, "unknown helper");
	promise(!now->frame->f->leaf, "call in a leaf");
	info = &wj_rt_info[insn->kind];
	for (i = 0; info->params[i]; i++)
		reads(wj_int_args[i], info->params[i] == 'R' ? WJ_T_R : WJ_T_I);
	returns(NULL);
	if (info->result)
		now->r[0] = info->result == WJ_T_R ? REF : I;
}

static void leaves(void)
{
	const struct wj_func_type *type = own_type();
	u32 i;

	if (type->n_results) {
		u8 t = tag(type->results[0]);

		promise((is_float_tag(t) ? now->x : now->r)[0] == t, "result of another type");
		clean(t, is_float_tag(t) ? now->frame->x[0] : now->frame->r[0]);
	}
	for (i = 1; i < type->n_results; i++) {
		promise(now->results[i] == tag(type->results[i]), "further result is not there");
		clean(now->results[i], now->frame->inst->results[i - 1]);
	}
}

static void memory(u8 base)
{
	promise(now->frame->inst->memory, "no memory");
	if (base != WJ_NO_BASE)
		reads(base, WJ_T_I);
}

/* All that the instruction reads and writes, in the order of verify.c's documentation in isa.def. */
static void check(const struct wj_insn *insn)
{
	const struct wj_op_info *info = &wj_op_info[insn->op];
	const struct wj_image *image = now->frame->inst->image;
	u8 a = NONE, b = NONE, d = NONE, format = info->format;
	bool memory_a = format == WJ_FMT_LD || format == WJ_FMT_ALD;
	bool memory_b = format == WJ_FMT_ST || format == WJ_FMT_STI || format == WJ_FMT_ARMW || format == WJ_FMT_ACAS;
	bool wide = insn->op == WJ_OP_I64_SELECT || insn->op == WJ_OP_I64_SELECT_IMM;

	if (memory_a)
		memory(insn->a);
	else if (info->a)
		a = reads(insn->a, info->a);
	if (memory_b)
		memory(insn->b);
	else if (info->b)
		b = reads(insn->b, info->b);
	switch (info->d) {
	case WJ_T_I:
		d = I;
		break;
	case WJ_T_L:
		d = L;
		break;
	case WJ_T_F:
		d = F;
		break;
	case WJ_T_D:
		d = D;
		break;
	case WJ_T_R:
		d = REF;
		break;
	default:
		d = a;
	}

	switch ((enum wj_format)format) {
	case WJ_FMT_N:
		if (insn->op == WJ_OP_POLL) {
			now->called = NULL;
			if (now->results)
				memset(now->results, 0, 1000);
		} else if (insn->op == WJ_OP_RET) {
			leaves();
		}
		break;
	case WJ_FMT_XCH:
		writes(insn->a, b);
		writes(insn->b, a);
		break;
	case WJ_FMT_DIV:
		promise(insn->b > 1, "divisor in a fixed register");
		now->r[0] = now->r[1] = NONE;
		break;
	case WJ_FMT_SEL:
	case WJ_FMT_SELI:
		promise(a == b, "select between different types");
		reads(insn->x, wide ? WJ_T_L : WJ_T_I);
		if (format == WJ_FMT_SEL)
			reads(insn->y, wide ? WJ_T_L : WJ_T_I);
		break;
	case WJ_FMT_ST:
		promise(a != REF, "reference stored");
		break;
	case WJ_FMT_ARMW:
		promise(insn->a && insn->kind < WJ_RMW_COUNT, "atomic operation");
		break;
	case WJ_FMT_ACAS:
		promise(insn->a, "replacement in a fixed register");
		reads(0, info->a);
		break;
	case WJ_FMT_SLD:
		d = slot_tag(insn->index);
		promise(now->slots[insn->index] == d, "undefined slot read");
		clean(d, now->frame->words[insn->index]);
		promise(admits(info->d, d), "slot of the other class");
		break;
	case WJ_FMT_SST:
		promise(slot_tag(insn->index) == a, "slot of another type written");
		now->slots[insn->index] = a;
		break;
	case WJ_FMT_ARG: {
		const struct wj_func_type *type = own_type();
		u32 i, stack;

		for (i = 0; i < type->n_params; i++)
			if (place_of(type, i, &stack) == ~0u && stack == insn->index)
				break;
		promise(i < type->n_params, "no such stack argument");
		d = tag(type->params[i]);
		clean(d, now->frame->args[insn->index]);
		promise(admits(info->d, d), "argument of the other class");
		break;
	}
	case WJ_FMT_OUT:
		promise(insn->index < now->frame->f->out_count, "outside of the frame");
		now->outs[insn->index] = a;
		break;
	case WJ_FMT_RLD:
		promise(now->called && insn->index && insn->index < now->called->n_results,
			"no such result of a call just made");
		d = tag(now->called->results[insn->index]);
		clean(d, now->frame->inst->results[insn->index - 1]);
		promise(admits(info->d, d), "result of the other class");
		break;
	case WJ_FMT_RST:
		promise(insn->index && insn->index < own_type()->n_results, "no such result");
		now->called = NULL;
		now->results[insn->index] = a;
		break;
	case WJ_FMT_GLD:
		promise(insn->index < image->n_globals, "no such global");
		d = tag(image->globals[insn->index].type);
		clean(d, now->frame->inst->globals[insn->index]->value);
		promise(admits(info->d, d), "global of the other class");
		break;
	case WJ_FMT_GST:
		promise(insn->index < image->n_globals && image->globals[insn->index].mutable_ &&
			tag(image->globals[insn->index].type) == a, "global that may not be written so");
		break;
	case WJ_FMT_CALL:
		promise(insn->index < image->n_functions, "no such function");
		calls(&image->types[image->functions[insn->index].type]);
		returns(&image->types[image->functions[insn->index].type]);
		break;
	case WJ_FMT_CALLI:
		promise(insn->index < image->n_types && insn->index2 < image->n_tables, "no such type or table");
		reads(WJ_CALL_INDIRECT_REG, WJ_T_I);
		calls(&image->types[insn->index]);
		returns(&image->types[insn->index]);
		break;
	case WJ_FMT_RT:
		runtime_call(insn);
		break;
	case WJ_FMT_TRAP:
		promise(insn->kind && insn->kind < 32, "not a trap of code");
		break;
	default:
		break;
	}
	if (info->d)
		writes(insn->d, d);
}

static void enter(struct frame *frame)
{
	const struct wj_func_type *type = &frame->inst->image->types[frame->f->type];
	struct shadow *s;
	u32 i, reg, stack;

	if (n_shadows == capacity) {
		capacity = capacity ? 2 * capacity : 64;
		shadows = realloc(shadows, capacity * sizeof(*shadows));
	}
	s = &shadows[n_shadows++];
	memset(s, 0, sizeof(*s));
	s->frame = frame;
	s->slots = calloc(1, frame->f->slot_count + 1);
	s->outs = calloc(1, frame->f->out_count + 1);
	s->results = type->n_results > 1 ? calloc(1, 1000) : NULL;
	for (i = 0; i < type->n_params; i++) {
		u8 t = tag(type->params[i]);

		reg = place_of(type, i, &stack);
		if (reg != ~0u)
			(is_float_tag(t) ? s->x : s->r)[reg] = t;
	}
}

static void drop_to(u32 n)
{
	while (n_shadows > n) {
		struct shadow *s = &shadows[--n_shadows];

		free(s->slots);
		free(s->outs);
		free(s->results);
	}
}

static bool is_block(const struct frame *frame, u32 pc)
{
	const struct wj_instance *inst = frame->inst;
	u32 i, start = inst->interp->starts[frame->function - inst->image->n_imported_functions];

	for (i = 0; i < frame->f->block_count; i++)
		if (inst->interp->offsets[start + i] == pc)
			return true;
	return false;
}

static bool shadow_decode(struct frame *frame, struct wj_cursor *c, struct wj_insn *insn)
{
	bool ok = wj_decode(c, insn);
	u8 format;

	while (n_shadows && shadows[n_shadows - 1].frame > frame)
		drop_to(n_shadows - 1);
	if (!n_shadows || shadows[n_shadows - 1].frame != frame)
		enter(frame);
	now = &shadows[n_shadows - 1];
	at = insn;
	promise(ok, "malformed instruction");
	if (frame->pc != now->next) {
		promise(now->branched && is_block(frame, frame->pc), "control went elsewhere");
		promise(frame->pc > now->pc || insn->op == WJ_OP_POLL, "backward branch without a poll");
	}
	check(insn);
	format = wj_op_info[insn->op].format;
	now->branched = format == WJ_FMT_J || format == WJ_FMT_JRR || format == WJ_FMT_JRI || format == WJ_FMT_JT;
	now->pc = frame->pc;
	now->next = (u32)(c->pos - frame->f->code);
	return ok;
}

/* Frames of a call that trapped are gone without having returned. */
int wj_interp_call(struct wj_instance *inst, u32 index, u64 *args)
{
	u32 before = n_shadows;
	int trap = shadowed_interp_call(inst, index, args);

	drop_to(before);
	return trap;
}
