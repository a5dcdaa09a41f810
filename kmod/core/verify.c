// SPDX-License-Identifier: GPL-2.0-only
/*
 * The verifier: one linear pass over each function's code, which it reads once.
 *
 * It carries the types of the registers and which spill slots are defined.  At the start
 * of a block the image says what is defined there; whoever branches to it or falls into
 * it must provide that.  So every instruction, reachable or not, is checked against one
 * state, and nothing is ever revisited.
 *
 * Time is bounded by the size of the body: a step's work is in proportion to the bytes of
 * its instruction.  The exceptions are the bitmap of slots, at most 1,000 bytes, cleared at
 * each block (cheap), and compared at each branch: that is counted against a budget (real
 * programs use less than a byte per byte of body).
 */
#include "internal.h"

/* Types of values.  Both kinds of reference are one: an index that helpers check. */
enum {
	VT_I32, VT_I64, VT_F32, VT_F64, VT_REF, VT_COUNT
};

#define VT_BIT(type)	(1u << (type))
#define VT_INT		(VT_BIT(VT_I32) | VT_BIT(VT_I64) | VT_BIT(VT_REF))
#define VT_FLOAT	(VT_BIT(VT_F32) | VT_BIT(VT_F64))

static_assert((int)VT_I32 == WJ_I32 && (int)VT_I64 == WJ_I64 && (int)VT_F32 == WJ_F32 &&
	      (int)VT_F64 == WJ_F64 && (int)VT_REF == WJ_FUNCREF && (int)VT_REF < WJ_EXTERNREF,
	      "value types are those of the image up to the references");

/* The types that an operand letter of isa.def admits. */
static const u8 operand_types[] = {
	[WJ_T__] = 0,
	[WJ_T_I] = VT_BIT(VT_I32),
	[WJ_T_L] = VT_BIT(VT_I64),
	[WJ_T_F] = VT_BIT(VT_F32),
	[WJ_T_D] = VT_BIT(VT_F64),
	[WJ_T_R] = VT_BIT(VT_REF),
	[WJ_T_W] = VT_INT,
	[WJ_T_G] = VT_FLOAT,
};

/* Integer registers that survive calls. */
#define CALLER 0
#define CALLEE 1
#define IREG(index, name, saver) | (saver << index)
#define FREG(index, name, saver)
#define IARG(position, index)
#define FARG(position, index)
static const u16 callee_saved = 0
#include "target.def"
	;
#undef IREG
#undef FREG
#undef IARG
#undef FARG
#undef CALLER
#undef CALLEE

static_assert(WJ_IREGS - WJ_FIRST_CALLEE_SAVED == 4, "the body's mask has four bits");

#define INT_MASK	((1u << WJ_IREGS) - 1)
#define FLOAT_MASK	((1u << WJ_FREGS) - 1)

/* Bit i is register i.  i64 and ref are disjoint and within ints, f64 within floats. */
struct state {
	u16 ints, i64, ref, floats, f64;
};

struct block {
	u32 offset;	/* of its first instruction, in the code */
	u32 entry;	/* of its entry state, in the body */
};

/*
 * Something that holds only until the next label or call: the generation in which it was
 * written, and the type.  Forgetting all of them is to begin a new generation.
 */
struct mark {
	u32 generation;
	u8 type;
};

struct verifier {
	struct wj_image *image;
	struct wj_function *f;
	struct wj_error *error;
	u32 function;
	struct wj_cursor c;
	u32 at;			/* offset of the current instruction */
	const struct wj_func_type *type;
	struct state s;
	u32 n_blocks, next_block;
	struct block *blocks;
	u8 *slots;		/* bitmap of the defined ones */
	u32 slots_size;
	u8 *args;		/* types of the incoming stack arguments */
	u32 n_args;
	struct mark *outs, *results;
	u32 generation;		/* of outs */
	u32 result_generation;
	const struct wj_func_type *called;	/* whose results RLD may read, or NULL */
	u64 budget;
};

static int reject(struct verifier *v, const char *message)
{
	v->error->code = -EINVAL;
	v->error->section = WJ_SECTION_CODE;
	v->error->function = v->function;
	v->error->offset = v->at;
	v->error->message = message;
	return -EINVAL;
}

static u8 value_type(u8 image_type)
{
	return image_type == WJ_EXTERNREF ? VT_REF : image_type;
}

static bool is_float(u8 type)
{
	return VT_BIT(type) & VT_FLOAT;
}

/* The type of a register of either class, or VT_COUNT where it is undefined. */
static u8 int_type(const struct state *s, u8 reg)
{
	if (reg >= WJ_IREGS || !(s->ints >> reg & 1))
		return VT_COUNT;
	if (s->i64 >> reg & 1)
		return VT_I64;
	return s->ref >> reg & 1 ? VT_REF : VT_I32;
}

static u8 float_type(const struct state *s, u8 reg)
{
	if (reg >= WJ_FREGS || !(s->floats >> reg & 1))
		return VT_COUNT;
	return s->f64 >> reg & 1 ? VT_F64 : VT_F32;
}

static void define(struct state *s, u8 reg, u8 type)
{
	u16 bit = (u16)(1u << reg);

	if (is_float(type)) {
		s->floats |= bit;
		s->f64 = type == VT_F64 ? s->f64 | bit : s->f64 & ~bit;
		return;
	}
	s->ints |= bit;
	s->i64 = type == VT_I64 ? s->i64 | bit : s->i64 & ~bit;
	s->ref = type == VT_REF ? s->ref | bit : s->ref & ~bit;
}

static void undefine_ints(struct state *s, u16 mask)
{
	s->ints &= ~mask;
	s->i64 &= ~mask;
	s->ref &= ~mask;
}

/* A register that an instruction reads as `operand`, whose type goes to *ret. */
static int read_reg(struct verifier *v, u8 reg, u8 operand, u8 *ret)
{
	bool floats = operand_types[operand] & VT_FLOAT;

	if (reg >= (floats ? WJ_FREGS : WJ_IREGS))
		return reject(v, "no such register");
	*ret = floats ? float_type(&v->s, reg) : int_type(&v->s, reg);
	if (*ret == VT_COUNT)
		return reject(v, "register is read before it is defined");
	if (!(VT_BIT(*ret) & operand_types[operand]))
		return reject(v, "register has another type");
	return 0;
}

static int write_reg(struct verifier *v, u8 reg, u8 type)
{
	if (reg >= (is_float(type) ? WJ_FREGS : WJ_IREGS))
		return reject(v, "no such register");
	if (!is_float(type) && callee_saved >> reg & 1 &&
	    !(v->f->callee_saved >> (reg - WJ_FIRST_CALLEE_SAVED) & 1))
		return reject(v, "write to a callee-saved register that the body's mask lacks");
	define(&v->s, reg, type);
	return 0;
}

/* Entry state of a block at `c`, unchecked; the bitmap of slots is left in the bytes. */
static void read_state(struct wj_cursor *c, struct state *s, const u8 **slots, u32 *size)
{
	u8 flags = wj_read_u8(c);

	memset(s, 0, sizeof(*s));
	*size = 0;
	s->ints = wj_read_le16(c);
	if (flags & 1)
		s->i64 = wj_read_le16(c);
	if (flags & 2)
		s->ref = wj_read_le16(c);
	if (flags & 4) {
		s->floats = wj_read_le16(c);
		s->f64 = wj_read_le16(c);
	}
	if (flags & 8)
		*size = wj_read_u32(c);
	*slots = c->pos;
}

static void block_state(struct verifier *v, const struct block *block, struct state *s,
			const u8 **slots, u32 *size)
{
	struct wj_cursor c = {
		.pos = v->f->body + block->entry,
		.end = v->f->body + v->f->body_size,
	};

	read_state(&c, s, slots, size);
}

static int read_blocks(struct verifier *v)
{
	struct wj_function *f = v->f;
	u32 i, offset = 0, size;
	const u8 *slots;
	struct state s;

	for (i = 0; i < v->n_blocks; i++) {
		u32 delta = wj_read_u32(&v->c);

		if (v->c.bad || delta > WJ_MAX_BODY_SIZE || (i && !delta))
			return reject(v, "block offsets do not rise");
		offset += delta;
		if (offset > WJ_MAX_BODY_SIZE)
			return reject(v, "block starts behind the code");
		v->blocks[i].offset = offset;
		v->blocks[i].entry = (u32)(v->c.pos - f->body);
		if (v->c.pos < v->c.end && *v->c.pos > 15)
			return reject(v, "unknown block flags");
		read_state(&v->c, &s, &slots, &size);
		if (v->c.bad || size > (size_t)(v->c.end - v->c.pos))
			return reject(v, "block table runs over the end of the body");
		v->c.pos += size;
		if (s.ints & ~INT_MASK || s.floats & ~FLOAT_MASK)
			return reject(v, "block defines a register that does not exist");
		if ((s.i64 | s.ref) & ~s.ints || s.i64 & s.ref || s.f64 & ~s.floats)
			return reject(v, "block gives a type to what is not defined, or two");
		if (size > v->slots_size)
			return reject(v, "block defines a slot that does not exist");
		if (size == v->slots_size && f->slot_count % 8 &&
		    slots[size - 1] >> f->slot_count % 8)
			return reject(v, "block defines a slot that does not exist");
	}
	return 0;
}

/* Does the current state provide what `block` expects? */
static int check_flow(struct verifier *v, const struct block *block)
{
	struct state t;
	const u8 *slots;
	u32 i, size;

	block_state(v, block, &t, &slots, &size);
	if (t.ints & ~v->s.ints || t.floats & ~v->s.floats)
		return reject(v, "block expects a register that is not defined here");
	if (t.ints & ((t.i64 ^ v->s.i64) | (t.ref ^ v->s.ref)) || t.floats & (t.f64 ^ v->s.f64))
		return reject(v, "block expects a register to have another type");
	if (size > v->budget)
		return reject(v, "function is too complex");
	v->budget -= size;
	for (i = 0; i < size; i++)
		if (slots[i] & ~v->slots[i])
			return reject(v, "block expects a slot that is not defined here");
	return 0;
}

static int check_branch(struct verifier *v, u32 index)
{
	const struct block *block;

	if (index >= v->n_blocks)
		return reject(v, "branch to a block that does not exist");
	block = &v->blocks[index];
	/* Those behind are known to lie within the code, at an instruction. */
	if (block->offset <= v->at && v->f->code[block->offset] != WJ_OP_POLL)
		return reject(v, "backward branch to a block that does not poll first");
	return check_flow(v, block);
}

/* At the start of a block, `fallen` into from the instruction before it or not. */
static int enter_block(struct verifier *v, bool fallen)
{
	const struct block *block = &v->blocks[v->next_block++];
	const u8 *slots;
	u32 size;
	int err = fallen ? check_flow(v, block) : 0;

	if (err)
		return err;
	block_state(v, block, &v->s, &slots, &size);
	memcpy(v->slots, slots, size);
	memset(v->slots + size, 0, v->slots_size - size);
	v->generation++;
	v->result_generation++;
	v->called = NULL;
	return 0;
}

/*
 * Where the parameters of a type are: calls `visit` with a register or, in stack, the
 * number of a stack argument.  Returns the first error.
 */
struct place {
	bool stack;
	u32 index;
	u8 type;
};

typedef int (*place_visitor)(struct verifier *v, const struct place *place);

static int each_param(struct verifier *v, const struct wj_func_type *type, place_visitor visit)
{
	u32 i, ints = 0, floats = 0, stack = 0;
	int err = 0;

	for (i = 0; i < type->n_params && !err; i++) {
		struct place place = { .type = value_type(type->params[i]) };

		if (is_float(place.type) && floats < WJ_FARGS) {
			place.index = wj_float_args[floats++];
		} else if (!is_float(place.type) && ints < WJ_IARGS) {
			place.index = wj_int_args[ints++];
		} else {
			place.stack = true;
			place.index = stack++;
		}
		err = visit(v, &place);
	}
	return err;
}

static int receive_param(struct verifier *v, const struct place *place)
{
	if (place->stack)
		v->args[v->n_args++] = place->type;
	else
		define(&v->s, (u8)place->index, place->type);
	return 0;
}

static int check_argument(struct verifier *v, const struct place *place)
{
	const struct mark *out;
	u8 type;

	if (!place->stack) {
		type = is_float(place->type) ? float_type(&v->s, (u8)place->index) :
					       int_type(&v->s, (u8)place->index);
		return type == place->type ? 0 :
			reject(v, "argument register is undefined or has another type");
	}
	if (place->index >= v->f->out_count)
		return reject(v, "call has more stack arguments than outgoing slots");
	out = &v->outs[place->index];
	if (out->generation != v->generation || out->type != place->type)
		return reject(v, "stack argument is undefined or has another type");
	return 0;
}

/* Afterwards only callee-saved registers and the first result are defined. */
static int finish_call(struct verifier *v)
{
	if (v->f->leaf)
		return reject(v, "call in a leaf function");
	undefine_ints(&v->s, (u16)~callee_saved);
	v->s.floats = 0;
	v->s.f64 = 0;
	v->generation++;
	v->result_generation++;
	v->called = NULL;
	return 0;
}

static int check_call(struct verifier *v, const struct wj_func_type *type)
{
	int err = each_param(v, type, check_argument);

	if (!err)
		err = finish_call(v);
	if (err)
		return err;
	if (type->n_results)
		define(&v->s, 0, value_type(type->results[0]));
	v->called = type;
	/* Arguments may come straight from parameters, and a result may go unread. */
	v->f->has_floats |= type->has_floats;
	return 0;
}

static int check_indirect(struct verifier *v, const struct wj_insn *insn)
{
	if (insn->index >= v->image->n_types)
		return reject(v, "type index out of range");
	if (insn->index2 >= v->image->n_tables)
		return reject(v, "table index out of range");
	if (v->image->tables[insn->index2].type != WJ_FUNCREF)
		return reject(v, "indirect call through a table of another type");
	if (int_type(&v->s, WJ_CALL_INDIRECT_REG) != VT_I32)
		return reject(v, "element index is undefined or has another type");
	return check_call(v, &v->image->types[insn->index]);
}

static int check_rt_immediate(struct verifier *v, u8 what, u32 imm)
{
	const struct wj_image *image = v->image;
	u32 limit = 1;

	switch ((enum wj_rt_imm)what) {
	case WJ_RT_IMM_NONE:
		break;
	case WJ_RT_IMM_MEMORY:
		if (!image->n_memories)
			return reject(v, "no memory");
		break;
	case WJ_RT_IMM_TABLE:
		limit = image->n_tables;
		break;
	case WJ_RT_IMM_DATA:
		limit = image->n_data;
		break;
	case WJ_RT_IMM_ELEM:
		limit = image->n_elements;
		break;
	case WJ_RT_IMM_FUNC:
		limit = image->n_functions;
		break;
	}
	return imm < limit ? 0 : reject(v, "immediate of a helper out of range");
}

static int check_rt(struct verifier *v, const struct wj_insn *insn)
{
	const struct wj_image *image = v->image;
	const struct wj_rt_info *info;
	u32 i;
	int err;

	if (insn->kind >= WJ_RT_COUNT)
		return reject(v, "unknown helper");
	info = &wj_rt_info[insn->kind];
	err = check_rt_immediate(v, info->imm[0], insn->index);
	if (!err)
		err = check_rt_immediate(v, info->imm[1], insn->index2);
	for (i = 0; info->params[i] && !err; i++)
		if (int_type(&v->s, wj_int_args[i]) != (info->params[i] == 'R' ? VT_REF : VT_I32))
			err = reject(v, "argument register is undefined or has another type");
	if (!err && insn->kind == WJ_RT_TABLE_COPY &&
	    image->tables[insn->index].type != image->tables[insn->index2].type)
		err = reject(v, "copy between tables of different types");
	if (!err && insn->kind == WJ_RT_TABLE_INIT &&
	    image->elements[insn->index].type != image->tables[insn->index2].type)
		err = reject(v, "table and element segment of different types");
	if (!err)
		err = finish_call(v);
	if (!err && info->result)
		define(&v->s, 0, info->result == WJ_T_R ? VT_REF : VT_I32);
	return err;
}

/* Every result but the first must have been stored, the first be in its register. */
static int check_return(struct verifier *v)
{
	const struct wj_func_type *type = v->type;
	u32 i;

	if (type->n_results) {
		u8 t = value_type(type->results[0]);

		if ((is_float(t) ? float_type(&v->s, 0) : int_type(&v->s, 0)) != t)
			return reject(v, "result is undefined or has another type");
	}
	for (i = 1; i < type->n_results; i++)
		if (v->results[i].generation != v->result_generation ||
		    v->results[i].type != value_type(type->results[i]))
			return reject(v, "further result is not stored");
	return 0;
}

static int check_br_table(struct verifier *v, u32 n)
{
	u32 i = 0, last = ~0u;
	int err = 0;

	do {
		u32 target = wj_read_u32(&v->c);

		if (v->c.bad)
			return reject(v, "malformed instruction");
		if (target != last)
			err = check_branch(v, target);
		last = target;
	} while (i++ < n && !err);
	return err;
}

/* The largest shift count, or -1 for what is no shift by a constant. */
static int max_shift(u8 op)
{
	static_assert(WJ_OP_I32_ROTR_IMM == WJ_OP_I32_SHL_IMM + 3 &&
		      WJ_OP_I64_ROTR_IMM == WJ_OP_I64_SHL_IMM + 3,
		      "shifts by a constant are next to each other");

	if (op >= WJ_OP_I32_SHL_IMM && op <= WJ_OP_I32_ROTR_IMM)
		return 31;
	if (op >= WJ_OP_I64_SHL_IMM && op <= WJ_OP_I64_ROTR_IMM)
		return 63;
	return -1;
}

static int check_immediate(struct verifier *v, const struct wj_insn *insn)
{
	int limit = max_shift(insn->op);

	if (insn->imm != (s32)insn->imm && insn->op != WJ_OP_I64_CONST)
		return reject(v, "immediate does not fit in 32 bits");
	if (limit >= 0 && (insn->imm < 0 || insn->imm > limit))
		return reject(v, "shift count out of range");
	if (insn->imm && (insn->op == WJ_OP_REF_NULL || insn->op == WJ_OP_MEMORY_SIZE))
		return reject(v, "reserved immediate is not zero");
	if (insn->op == WJ_OP_MEMORY_SIZE && !v->image->n_memories)
		return reject(v, "no memory");
	return 0;
}

static int check_condition(struct verifier *v, const struct wj_insn *insn)
{
	bool test = insn->op >= WJ_OP_I32_BR_TEST && insn->op <= WJ_OP_I64_BR_TEST_IMM;

	static_assert(WJ_OP_I64_BR_TEST_IMM == WJ_OP_I32_BR_TEST + 3,
		      "test-and-branch instructions are next to each other");
	if (insn->cc >= (test ? 2 : WJ_CC_COUNT))
		return reject(v, "unknown condition");
	return 0;
}

/* Base and offset; what is loaded or stored is checked with the other operands. */
static int check_memory(struct verifier *v, const struct wj_insn *insn,
			const struct wj_op_info *info, u8 base)
{
	bool atomic = (info->flags & WJ_FLAG_M) && (info->flags & WJ_FLAG_S);
	u8 type;

	if (!v->image->n_memories)
		return reject(v, "no memory");
	if (atomic && insn->index >> 31)
		return reject(v, "offset of an atomic access is 2^31 or more");
	return base == WJ_NO_BASE ? 0 : read_reg(v, base, WJ_T_I, &type);
}

static u8 slot_type(const struct wj_function *f, u32 slot)
{
	u8 type = 0;

	while (type < VT_COUNT && slot >= f->slot_end[type])
		type++;
	return type;
}

/* The type that d of a load of the frame or of a global gets, if d may hold it. */
static int load_as(struct verifier *v, const struct wj_op_info *info, u8 type, u8 *ret)
{
	if (!(operand_types[info->d] & VT_BIT(type)))
		return reject(v, "load is for registers of the other class");
	*ret = type;
	return 0;
}

static int store_as(struct verifier *v, u8 from, u8 to)
{
	return from == to ? 0 : reject(v, "stored value has another type");
}

/*
 * Registers a and b as isa.def has them, their types to *at and *bt.  A memory operand's
 * base is one of them but may be absent; formats with one below check it themselves.
 */
static int check_operands(struct verifier *v, const struct wj_insn *insn,
			  const struct wj_op_info *info, u8 *at, u8 *bt)
{
	bool memory_a = false, memory_b = false;
	int err = 0;

	switch (info->format) {
	case WJ_FMT_LD:
	case WJ_FMT_ALD:
		memory_a = true;
		break;
	case WJ_FMT_ST:
	case WJ_FMT_STI:
	case WJ_FMT_ARMW:
	case WJ_FMT_ACAS:
		memory_b = true;
		break;
	}
	if (memory_a)
		err = check_memory(v, insn, info, insn->a);
	else if (info->a)
		err = read_reg(v, insn->a, info->a, at);
	if (err)
		return err;
	if (memory_b)
		err = check_memory(v, insn, info, insn->b);
	else if (info->b)
		err = read_reg(v, insn->b, info->b, bt);
	return err;
}

/* What each format asks beyond its registers; *dt is the type that d will have. */
static int check_format(struct verifier *v, const struct wj_insn *insn,
			const struct wj_op_info *info, u8 at, u8 bt, u8 *dt)
{
	struct wj_image *image = v->image;
	struct wj_function *f = v->f;
	bool wide;
	int err;
	u8 t;

	switch ((enum wj_format)info->format) {
	case WJ_FMT_N:
		/* A poll may run a signal handler, whose calls have results as well. */
		if (insn->op == WJ_OP_POLL) {
			v->result_generation++;
			v->called = NULL;
		}
		return insn->op == WJ_OP_RET ? check_return(v) : 0;
	case WJ_FMT_RR:
	case WJ_FMT_RRR:
	case WJ_FMT_C4:
	case WJ_FMT_C8:
	case WJ_FMT_LD:
	case WJ_FMT_ALD:
		return 0;
	case WJ_FMT_RRI:
	case WJ_FMT_CI:
		return check_immediate(v, insn);
	case WJ_FMT_LEA:
		return insn->kind <= 3 ? 0 : reject(v, "scale of more than 3");
	case WJ_FMT_XCH:
		err = write_reg(v, insn->a, bt);
		return err ? err : write_reg(v, insn->b, at);
	case WJ_FMT_DIV:
		if (insn->b < 2)
			return reject(v, "divisor in a fixed register");
		undefine_ints(&v->s, 3);
		return 0;
	case WJ_FMT_SET:
	case WJ_FMT_SETI:
		return check_condition(v, insn);
	case WJ_FMT_SEL:
	case WJ_FMT_SELI:
		wide = insn->op == WJ_OP_I64_SELECT || insn->op == WJ_OP_I64_SELECT_IMM;
		if (at != bt)
			return reject(v, "select between different types");
		err = check_condition(v, insn);
		if (!err)
			err = read_reg(v, insn->x, wide ? WJ_T_L : WJ_T_I, &t);
		if (!err && info->format == WJ_FMT_SEL)
			err = read_reg(v, insn->y, wide ? WJ_T_L : WJ_T_I, &t);
		return err;
	case WJ_FMT_ST:
	case WJ_FMT_STI:
		return at == VT_REF ? reject(v, "store of a reference") : 0;
	case WJ_FMT_ARMW:
		if (insn->kind >= WJ_RMW_COUNT)
			return reject(v, "unknown atomic operation");
		return insn->a ? 0 : reject(v, "operand of an atomic in a fixed register");
	case WJ_FMT_ACAS:
		if (!insn->a)
			return reject(v, "operand of an atomic in a fixed register");
		return read_reg(v, 0, info->a, &t);
	case WJ_FMT_SLD:
		if (insn->index >= f->slot_count)
			return reject(v, "no such slot");
		if (!(v->slots[insn->index / 8] >> insn->index % 8 & 1))
			return reject(v, "slot is read before it is defined");
		return load_as(v, info, slot_type(f, insn->index), dt);
	case WJ_FMT_SST:
		if (insn->index >= f->slot_count)
			return reject(v, "no such slot");
		v->slots[insn->index / 8] |= (u8)(1u << insn->index % 8);
		return store_as(v, at, slot_type(f, insn->index));
	case WJ_FMT_ARG:
		if (insn->index >= v->n_args)
			return reject(v, "no such stack argument");
		return load_as(v, info, v->args[insn->index], dt);
	case WJ_FMT_OUT:
		if (insn->index >= f->out_count)
			return reject(v, "no such outgoing slot");
		v->outs[insn->index] = (struct mark){ v->generation, at };
		return 0;
	case WJ_FMT_RLD:
		if (!v->called || !insn->index || insn->index >= v->called->n_results)
			return reject(v, "no such result of a call just made");
		return load_as(v, info, value_type(v->called->results[insn->index]), dt);
	case WJ_FMT_RST:
		if (!insn->index || insn->index >= v->type->n_results)
			return reject(v, "no such result");
		/* They share their storage with those of the last call. */
		v->called = NULL;
		v->results[insn->index] = (struct mark){ v->result_generation, at };
		return store_as(v, at, value_type(v->type->results[insn->index]));
	case WJ_FMT_GLD:
		if (insn->index >= image->n_globals)
			return reject(v, "global index out of range");
		return load_as(v, info, value_type(image->globals[insn->index].type), dt);
	case WJ_FMT_GST:
		if (insn->index >= image->n_globals)
			return reject(v, "global index out of range");
		if (!image->globals[insn->index].mutable_)
			return reject(v, "store to an immutable global");
		return store_as(v, at, value_type(image->globals[insn->index].type));
	case WJ_FMT_J:
		return check_branch(v, insn->index);
	case WJ_FMT_JRR:
	case WJ_FMT_JRI:
		err = check_condition(v, insn);
		return err ? err : check_branch(v, insn->index);
	case WJ_FMT_JT:
		return check_br_table(v, insn->index);
	case WJ_FMT_CALL:
		if (insn->index >= image->n_functions)
			return reject(v, "function index out of range");
		return check_call(v, &image->types[image->functions[insn->index].type]);
	case WJ_FMT_CALLI:
		return check_indirect(v, insn);
	case WJ_FMT_RT:
		return check_rt(v, insn);
	case WJ_FMT_TRAP:
		return insn->kind < 32 && wj_trap_text(insn->kind) ? 0 :
			reject(v, "not a trap that code may raise");
	}
	return reject(v, "unknown format");
}

/* The types of operand letters that have only one; the others are found per format. */
static u8 fixed_type(u8 operand, u8 otherwise)
{
	static const u8 types[] = {
		[WJ_T_I] = VT_I32, [WJ_T_L] = VT_I64, [WJ_T_F] = VT_F32, [WJ_T_D] = VT_F64,
		[WJ_T_R] = VT_REF,
	};

	return operand < ARRAY_SIZE(types) ? types[operand] : otherwise;
}

/* Does the instruction compute with floats, as opposed to moving their bits about? */
static bool computes_floats(const struct wj_op_info *info)
{
	u8 all = operand_types[info->d] | operand_types[info->a] | operand_types[info->b];

	if (info->a == WJ_T_G)
		return false;
	switch (info->format) {
	case WJ_FMT_RR:
	case WJ_FMT_RRR:
	case WJ_FMT_SET:
	case WJ_FMT_JRR:
		return all & VT_FLOAT;
	}
	return false;
}

static int check_instruction(struct verifier *v)
{
	const struct wj_op_info *info;
	u8 at = 0, bt = 0, dt;
	struct wj_insn insn;
	int err;

	if (!wj_decode(&v->c, &insn))
		return reject(v, "malformed instruction");
	info = &wj_op_info[insn.op];
	err = check_operands(v, &insn, info, &at, &bt);
	dt = fixed_type(info->d, at);
	if (!err)
		err = check_format(v, &insn, info, at, bt, &dt);
	if (!err && info->d)
		err = write_reg(v, insn.d, dt);
	v->f->uses_floats |= computes_floats(info);
	v->f->has_floats |= !!((operand_types[info->d] | operand_types[info->a]) & VT_FLOAT);
	return err ? err : !!(info->flags & WJ_FLAG_T);
}

/* Instructions from the first to the last, entering each block where it starts. */
static int check_code(struct verifier *v)
{
	const struct wj_function *f = v->f;
	bool fallen = true;
	u32 next_breath = 65536;
	int ret;

	while (v->c.pos < v->c.end) {
		v->at = (u32)(v->c.pos - f->code);
		if (unlikely(v->at >= next_breath)) {
			next_breath = v->at + 65536;
			if (wj_breathe()) {
				reject(v, "interrupted");
				v->error->code = -EINTR;
				return -EINTR;
			}
		}
		if (v->next_block < v->n_blocks && v->blocks[v->next_block].offset <= v->at) {
			if (v->blocks[v->next_block].offset < v->at)
				return reject(v, "block starts inside an instruction");
			ret = enter_block(v, fallen);
			if (ret)
				return ret;
		} else if (!fallen) {
			return reject(v, "code after the end of a block is not a block");
		}
		ret = check_instruction(v);
		if (ret < 0)
			return ret;
		fallen = !ret;
	}
	v->at = f->code_size;
	if (fallen)
		return reject(v, "code runs off its end");
	if (v->next_block < v->n_blocks)
		return reject(v, "block starts behind the code");
	return 0;
}

static int read_body_header(struct verifier *v)
{
	struct wj_function *f = v->f;
	u32 i, n, frame = 0;
	u8 flags;

	flags = wj_read_u8(&v->c);
	f->callee_saved = wj_read_u8(&v->c);
	if (v->c.bad || flags > 1)
		return reject(v, "unknown body flags");
	if (f->callee_saved > 15)
		return reject(v, "mask of callee-saved registers has a bit too many");
	f->leaf = flags;
	for (i = 0; i <= VT_COUNT; i++) {
		n = wj_read_u32(&v->c);
		if (n > WJ_MAX_SLOTS - frame)
			return reject(v, "frame over the limit");
		frame += n;
		if (i < VT_COUNT)
			f->slot_end[i] = frame;
		else
			f->out_count = n;
	}
	f->slot_count = f->slot_end[VT_REF];
	v->n_blocks = wj_read_u32(&v->c);
	/* An entry of the block table has four bytes at least. */
	if (v->c.bad || v->n_blocks > (size_t)(v->c.end - v->c.pos) / 4)
		return reject(v, "block table runs over the end of the body");
	f->block_count = v->n_blocks;
	f->blocks = v->c.pos;
	return 0;
}

/* One allocation for what depends on the function. */
static int allocate(struct verifier *v, void **ret)
{
	size_t blocks = v->n_blocks * sizeof(*v->blocks);
	size_t outs = v->f->out_count * sizeof(*v->outs);
	size_t results = v->type->n_results * sizeof(*v->results);
	u8 *p;

	v->slots_size = (v->f->slot_count + 7) / 8;
	p = wj_alloc(blocks + outs + results + v->slots_size + v->type->n_params + 1);
	*ret = p;
	if (!p) {
		reject(v, "out of memory");
		v->error->code = -ENOMEM;
		return -ENOMEM;
	}
	v->blocks = (struct block *)p;
	v->outs = (struct mark *)(p + blocks);
	v->results = (struct mark *)(p + blocks + outs);
	v->slots = p + blocks + outs + results;
	v->args = v->slots + v->slots_size;
	/* Zeroed marks are of no generation. */
	v->generation = 1;
	v->result_generation = 1;
	return 0;
}

int wj_verify_function(struct wj_image *image, u32 index, struct wj_error *error)
{
	struct wj_function *f = &image->functions[index];
	struct verifier v = {
		.image = image,
		.f = f,
		.error = error,
		.function = index,
		.c = { .pos = f->body, .end = f->body + f->body_size },
		.type = &image->types[f->type],
		.budget = 65536 + 8ull * f->body_size,
	};
	void *memory = NULL;
	int err = read_body_header(&v);

	if (!err)
		err = allocate(&v, &memory);
	if (!err)
		err = read_blocks(&v);
	if (!err) {
		f->has_floats = v.type->has_floats;
		f->code = v.c.pos;
		f->code_size = (u32)(v.c.end - v.c.pos);
		err = each_param(&v, v.type, receive_param);
	}
	if (!err)
		err = check_code(&v);
	wj_free(memory);
	return err;
}

void wj_block_offsets(const struct wj_function *f, u32 *offsets)
{
	struct wj_cursor c = { .pos = f->blocks, .end = f->code };
	u32 i, size, offset = 0;
	const u8 *slots;
	struct state s;

	for (i = 0; i < f->block_count; i++) {
		offset += wj_read_u32(&c);
		offsets[i] = offset;
		read_state(&c, &s, &slots, &size);
		c.pos += size;
	}
}
