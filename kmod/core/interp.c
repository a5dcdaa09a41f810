// SPDX-License-Identifier: GPL-2.0-only
/*
 * The interpreter: runs verified bytecode, one instruction at a time, and says by doing so
 * what each means.  Reference of the differential tests, engine where there is no JIT.
 *
 * Guest frames are on a heap-allocated stack of the store, so guest calls, between
 * instances too, take no native stack; only host functions that call back nest.
 * Registers are 64 bits wide, i32 and f32 with a zero upper half; floats are bit patterns,
 * and what computes with them is in interp_float.c: no float type occurs here.
 */
#include "internal.h"

/* 8 MiB; the least frame takes 40 words. */
#define STACK_WORDS	(1u << 20)

/* The names interp_float.c defines, where that is left out. */
bool __attribute__((weak)) wj_float_available(void)
{
	return false;
}

int __attribute__((weak)) wj_float_op(enum wj_op op, u64 a, u64 b, u64 *ret)
{
	(void)op;
	(void)a;
	(void)b;
	(void)ret;
	return WJ_TRAP_UNREACHABLE;
}

bool __attribute__((weak)) wj_float_compare(bool is_f64, u8 cc, u64 a, u64 b)
{
	(void)is_f64;
	(void)cc;
	(void)a;
	(void)b;
	return false;
}

struct frame {
	struct wj_instance *inst;
	const struct wj_function *f;
	struct frame *caller;		/* NULL: entered from wj_interp_call */
	const u64 *args;		/* incoming stack arguments */
	u32 function;			/* its index */
	u32 pc;				/* offset of the current instruction */
	const u8 *resume;		/* the instruction after the call */
	u64 r[16];			/* r[WJ_NO_BASE] is 0 */
	u64 x[16];
	u64 words[];			/* spill slots, then outgoing arguments */
};

static_assert(sizeof(struct frame) % 8 == 0, "frames are whole words");

/* Offsets of the blocks of all functions. */
struct wj_interp_code {
	u32 *starts;		/* per defined function, in offsets */
	u32 *offsets;
};

int wj_interp_init(struct wj_instance *inst, struct wj_error *error)
{
	const struct wj_image *image = inst->image;
	u32 i, first = image->n_imported_functions, n = image->n_functions - first;
	struct wj_interp_code *code;
	size_t blocks = 0;

	for (i = first; i < image->n_functions; i++) {
		blocks += image->functions[i].block_count;
		if (image->functions[i].uses_floats && !wj_float_available()) {
			error->function = i;
			error->message = "floating point needs the JIT here";
			return -EOPNOTSUPP;
		}
	}
	code = wj_alloc(sizeof(*code) + (n + blocks) * sizeof(u32));
	if (!code)
		return -ENOMEM;
	code->starts = (u32 *)(code + 1);
	code->offsets = code->starts + n;
	for (i = 0, blocks = 0; i < n; i++) {
		code->starts[i] = (u32)blocks;
		wj_block_offsets(&image->functions[first + i], code->offsets + blocks);
		blocks += image->functions[first + i].block_count;
	}
	inst->interp = code;
	return 0;
}

void wj_interp_deinit(struct wj_instance *inst)
{
	wj_free(inst->interp);
	inst->interp = NULL;
}

/* Room on the guest stack, or NULL. */
static u64 *push(struct wj_store *store, u32 words)
{
	u64 *p = store->stack + store->stack_used;

	if (words > STACK_WORDS - store->stack_used)
		return NULL;
	store->stack_used += words;
	return p;
}

static void pop_to(struct wj_store *store, const void *p)
{
	store->stack_used = (u32)((const u64 *)p - store->stack);
}

static bool is_float(u8 type)
{
	return type == WJ_F32 || type == WJ_F64;
}

/*
 * Parameters from `values`, one after the other, to registers and stack arguments
 * (`gather`: the other way round).
 */
static void move_args(const struct wj_func_type *type, struct frame *frame, u64 *stack,
		      u64 *values, bool gather)
{
	u32 i, ints = 0, floats = 0;

	for (i = 0; i < type->n_params; i++) {
		u64 *place;

		if (is_float(type->params[i]) && floats < WJ_FARGS)
			place = &frame->x[wj_float_args[floats++]];
		else if (!is_float(type->params[i]) && ints < WJ_IARGS)
			place = &frame->r[wj_int_args[ints++]];
		else
			place = stack++;
		if (gather)
			values[i] = *place;
		else
			*place = values[i];
	}
}

static u64 *outgoing(struct frame *frame)
{
	return frame->words + frame->f->slot_count;
}

/* A frame for a function; its registers are the caller's to fill in.  NULL: no room. */
static struct frame *push_frame(struct wj_store *store, struct wj_instance *inst, u32 index,
				struct frame *caller, const u64 *args)
{
	const struct wj_function *f = &inst->image->functions[index];
	struct frame *frame;

	frame = (struct frame *)push(store, sizeof(*frame) / 8 + f->slot_count + f->out_count);
	if (!frame)
		return NULL;
	frame->inst = inst;
	frame->f = f;
	frame->caller = caller;
	frame->args = args;
	frame->function = index;
	frame->pc = 0;
	frame->resume = NULL;
	frame->r[WJ_NO_BASE] = 0;
	return frame;
}

/* Linear memory is little-endian: the lowest `size` bytes of a value, in this machine's order. */
static u64 little_endian(u64 value, u32 size)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	return __builtin_bswap64(value) >> (64 - 8 * size);
#else
	(void)size;
	return value;
#endif
}

static bool in_memory(const struct wj_instance *inst, u64 address, u32 size)
{
	return inst->memory && address + size <= inst->memory->size;
}

static int load(const struct wj_instance *inst, u64 address, u32 size, u64 *ret)
{
	if (!in_memory(inst, address, size) || wj_load_user(inst->memory_base + address, size, ret))
		return WJ_TRAP_OUT_OF_BOUNDS;
	*ret = little_endian(*ret, size);
	return 0;
}

static int store(const struct wj_instance *inst, u64 address, u32 size, u64 value)
{
	value = little_endian(value, size);
	if (!in_memory(inst, address, size) || wj_store_user(inst->memory_base + address, size, value))
		return WJ_TRAP_OUT_OF_BOUNDS;
	return 0;
}

/* What atomic accesses see is in one order for all processes that share the memory. */
static int atomic_load(const struct wj_instance *inst, u64 address, u32 size, u64 *ret)
{
	int trap;

	if (address & (size - 1))
		return WJ_TRAP_UNALIGNED_ATOMIC;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	trap = load(inst, address, size, ret);
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return trap;
}

/* *expected becomes what was there; if that is the same, `desired` replaces it. */
static int compare_exchange(const struct wj_instance *inst, u64 address, u32 size, u64 *expected,
			    u64 desired)
{
	if (address & (size - 1))
		return WJ_TRAP_UNALIGNED_ATOMIC;
	*expected = little_endian(*expected, size);
	if (!in_memory(inst, address, size) ||
	    wj_cmpxchg_user(inst->memory_base + address, size, expected, little_endian(desired, size)))
		return WJ_TRAP_OUT_OF_BOUNDS;
	*expected = little_endian(*expected, size);
	return 0;
}

static u64 modified(enum wj_rmw kind, u64 old, u64 operand)
{
	switch (kind) {
	case WJ_RMW_ADD:
		return old + operand;
	case WJ_RMW_SUB:
		return old - operand;
	case WJ_RMW_AND:
		return old & operand;
	case WJ_RMW_OR:
		return old | operand;
	case WJ_RMW_XOR:
		return old ^ operand;
	case WJ_RMW_XCHG:
	case WJ_RMW_COUNT:
		break;
	}
	return operand;
}

/* *old: what was there. */
static int rmw(const struct wj_instance *inst, enum wj_rmw kind, u64 address, u32 size, u64 operand,
	       u64 *old)
{
	u64 seen;
	int trap = atomic_load(inst, address, size, old);

	while (!trap) {
		seen = *old;
		trap = compare_exchange(inst, address, size, old, modified(kind, seen, operand));
		if (*old == seen)
			break;
	}
	return trap;
}

static bool compare(u8 cc, bool wide, u64 a, u64 b)
{
	s64 sa = wide ? (s64)a : (s32)a, sb = wide ? (s64)b : (s32)b;

	switch (cc) {
	case WJ_CC_EQ:
		return a == b;
	case WJ_CC_NE:
		return a != b;
	case WJ_CC_LT_S:
		return sa < sb;
	case WJ_CC_GE_S:
		return sa >= sb;
	case WJ_CC_LT_U:
		return a < b;
	case WJ_CC_GE_U:
		return a >= b;
	case WJ_CC_GT_S:
		return sa > sb;
	case WJ_CC_LE_S:
		return sa <= sb;
	case WJ_CC_GT_U:
		return a > b;
	}
	return a <= b;
}

/* Without __builtin_popcount, which may call a library. */
static u32 popcount(u64 v)
{
	v -= v >> 1 & 0x5555555555555555;
	v = (v & 0x3333333333333333) + (v >> 2 & 0x3333333333333333);
	v = (v + (v >> 4)) & 0x0f0f0f0f0f0f0f0f;
	return (u32)(v * 0x0101010101010101 >> 56);
}

static u32 rotl32(u32 v, u32 n)
{
	return v << (n & 31) | v >> (-n & 31);
}

static u64 rotl64(u64 v, u64 n)
{
	return v << (n & 63) | v >> (-n & 63);
}

static int divide32(struct frame *frame, u8 op, u32 b)
{
	u32 a = (u32)frame->r[0];
	bool is_signed = op == WJ_OP_I32_DIV_S || op == WJ_OP_I32_REM_S;

	if (!b)
		return WJ_TRAP_DIVIDE_BY_ZERO;
	if (is_signed && a == 0x80000000 && b == ~0u) {
		if (op == WJ_OP_I32_DIV_S)
			return WJ_TRAP_INTEGER_OVERFLOW;
		frame->r[1] = 0;
		return 0;
	}
	frame->r[0] = is_signed ? (u32)((s32)a / (s32)b) : a / b;
	frame->r[1] = is_signed ? (u32)((s32)a % (s32)b) : a % b;
	return 0;
}

static int divide64(struct frame *frame, u8 op, u64 b)
{
	u64 a = frame->r[0];
	bool is_signed = op == WJ_OP_I64_DIV_S || op == WJ_OP_I64_REM_S;

	if (!b)
		return WJ_TRAP_DIVIDE_BY_ZERO;
	if (is_signed && a == 1ull << 63 && b == ~0ull) {
		if (op == WJ_OP_I64_DIV_S)
			return WJ_TRAP_INTEGER_OVERFLOW;
		frame->r[1] = 0;
		return 0;
	}
	frame->r[0] = is_signed ? (u64)((s64)a / (s64)b) : a / b;
	frame->r[1] = is_signed ? (u64)((s64)a % (s64)b) : a % b;
	return 0;
}

/* What a call of `inst`'s function `index` really enters, when it is imported. */
static void follow_binding(struct wj_instance **inst, u32 *index)
{
	const struct wj_binding *binding;

	if (*index >= (*inst)->image->n_imported_functions)
		return;
	binding = &(*inst)->bindings[*index];
	if (binding->instance) {
		*inst = binding->instance;
		*index = binding->index;
	}
}

/* Results from the second on, which the callee left in its own instance. */
static void move_results(const struct wj_func_type *type, const u64 *from, u64 *to)
{
	if (type->n_results > 1)
		memmove(to, from, (type->n_results - 1) * sizeof(*to));
}

/* A call that leaves the interpreter: to a host function, or into another engine. */
static int call_out(struct frame *frame, struct wj_instance *inst, u32 index)
{
	const struct wj_func_type *type = &inst->image->types[inst->image->functions[index].type];
	struct wj_store *store = frame->inst->store;
	u64 *args = push(store, max(type->n_params, type->n_results) + 1);
	int trap;

	if (!args)
		return WJ_TRAP_STACK_EXHAUSTED;
	move_args(type, frame, outgoing(frame), args, true);
	if (index < inst->image->n_imported_functions)
		trap = wj_call_import(inst, index, args);
	else
		trap = wj_call(inst, index, args);
	if (!trap && type->n_results) {
		if (is_float(type->results[0]))
			frame->x[0] = args[0];
		else
			frame->r[0] = args[0];
		move_results(type, args + 1, frame->inst->results);
	}
	pop_to(store, args);
	return trap;
}

/* 0 with *callee the frame to go on in, which is `frame` itself after a call out. */
static int call(struct frame *frame, struct wj_instance *inst, u32 index, struct frame **callee)
{
	struct frame *new;

	follow_binding(&inst, &index);
	*callee = frame;
	if (index < inst->image->n_imported_functions || inst->engine != WJ_ENGINE_INTERP)
		return call_out(frame, inst, index);
	new = push_frame(inst->store, inst, index, frame, outgoing(frame));
	if (!new)
		return WJ_TRAP_STACK_EXHAUSTED;
	memcpy(new->r, frame->r, WJ_IARGS * sizeof(u64));
	memcpy(new->x, frame->x, WJ_FARGS * sizeof(u64));
	*callee = new;
	return new->f->leaf ? 0 : wj_poll_if_due(inst);
}

static_assert(WJ_IARGS == 6 && WJ_FARGS == 8, "arguments are in the first registers");

static int call_indirect(struct frame *frame, const struct wj_insn *insn, struct frame **callee)
{
	struct wj_instance *inst = frame->inst, *other;
	u32 index;
	int trap = wj_find_element(inst, insn->index2, (u32)frame->r[WJ_CALL_INDIRECT_REG],
				   inst->keys[insn->index].type_id, &other, &index);

	*callee = frame;
	return trap ? trap : call(frame, other, index, callee);
}

static int call_runtime(struct frame *frame, const struct wj_insn *insn)
{
	u64 args[3] = { frame->r[0], frame->r[1], frame->r[2] };
	int trap;

	trap = wj_runtime(frame->inst, insn->kind, insn->index, insn->index2, args);
	if (wj_rt_info[insn->kind].result)
		frame->r[0] = args[0];
	return trap;
}

/* The caller's frame; both registers of the first result are set, one of them means it. */
static struct frame *leave(struct frame *frame)
{
	struct frame *caller = frame->caller;

	caller->r[0] = frame->r[0];
	caller->x[0] = frame->x[0];
	if (caller->inst != frame->inst)
		move_results(&frame->inst->image->types[frame->f->type], frame->inst->results,
			     caller->inst->results);
	pop_to(frame->inst->store, frame);
	return caller;
}

/* The result of an operation on integers, or on memory, that has an operand a or b. */
#define R(field)	(r[insn.field])
#define R32(field)	((u32)r[insn.field])
#define IMM32		((u32)insn.imm)
#define IMM64		((u64)insn.imm)

/* One operation in its forms on registers and with an immediate, for both widths. */
#define CASE(op, value)							\
	case WJ_OP_##op:						\
		R(d) = (value);						\
		break;

#define CASE_LOAD(op, size, place, extended)				\
	case WJ_OP_##op:						\
		trap = load(inst, R(a) + insn.index, size, &value);	\
		if (!trap)						\
			place = extended;				\
		break;

#define CASE_STORE(op, size, what)					\
	case WJ_OP_##op:						\
		trap = store(inst, R(b) + insn.index, size, what);	\
		break;

#define CASE_ATOMIC_LOAD(op, size)					\
	case WJ_OP_##op:						\
		trap = atomic_load(inst, R(a) + insn.index, size, &value); \
		if (!trap)						\
			R(d) = value;					\
		break;

#define CASE_ATOMIC_STORE(op, size)					\
	case WJ_OP_##op:						\
		trap = rmw(inst, WJ_RMW_XCHG, R(b) + insn.index, size, R(a), &value); \
		break;

#define CASE_RMW(op, size)						\
	case WJ_OP_##op:						\
		trap = rmw(inst, insn.kind, R(b) + insn.index, size, R(a), &value); \
		if (!trap)						\
			r[0] = value;					\
		break;

/* A narrow access looks at the low bits of what is expected, as CMPXCHG does. */
#define CASE_CMPXCHG(op, size)						\
	case WJ_OP_##op:						\
		value = r[0] & ~0ull >> (64 - 8 * size);		\
		trap = compare_exchange(inst, R(b) + insn.index, size, &value, R(a)); \
		if (!trap)						\
			r[0] = value;					\
		break;

#define CASE_BRANCH(op, condition)					\
	case WJ_OP_##op:						\
		if (condition)						\
			c.pos = target(frame, insn.index);		\
		break;

static const u8 *target(const struct frame *frame, u32 block)
{
	const struct wj_instance *inst = frame->inst;
	u32 start = inst->interp->starts[frame->function - inst->image->n_imported_functions];

	return frame->f->code + inst->interp->offsets[start + block];
}

/* The target of BR_TABLE, whose targets follow at `c`; the last is the default. */
static u32 table_target(struct wj_cursor *c, u32 n, u32 index)
{
	u32 i, block = 0;

	for (i = 0; i <= min(index, n); i++)
		block = wj_read_u32(c);
	return block;
}

/*
 * Runs from the start of *top's function until that returns; *top is then the frame
 * where a trap happened, or that function's.
 */
static int run(struct frame **top)
{
	struct frame *frame = *top, *next;
	struct wj_instance *inst = frame->inst;
	u64 *r = frame->r, *x = frame->x, *slots = frame->words, value;
	struct wj_cursor c = {
		.pos = frame->f->code,
		.end = frame->f->code + frame->f->code_size,
	};
	struct wj_insn insn;
	int trap = frame->f->leaf ? 0 : wj_poll_if_due(inst);

	while (!trap) {
		frame->pc = (u32)(c.pos - frame->f->code);
		if (!wj_decode(&c, &insn)) {
			trap = WJ_TRAP_UNREACHABLE;	/* cannot be: it was verified */
			break;
		}
		next = frame;

		switch ((enum wj_op)insn.op) {
		case WJ_OP_UNREACHABLE:
			trap = WJ_TRAP_UNREACHABLE;
			break;
		case WJ_OP_TRAP:
			trap = insn.kind;
			break;
		case WJ_OP_POLL:
			trap = wj_poll_if_due(inst);
			break;
		case WJ_OP_RET:
			if (!frame->caller) {
				*top = frame;
				return 0;
			}
			next = leave(frame);
			break;
		case WJ_OP_BR:
			c.pos = target(frame, insn.index);
			break;
		case WJ_OP_BR_TABLE:
			c.pos = target(frame, table_target(&c, insn.index, R32(a)));
			break;
		case WJ_OP_CALL:
			frame->resume = c.pos;
			trap = call(frame, inst, insn.index, &next);
			break;
		case WJ_OP_CALL_INDIRECT:
			frame->resume = c.pos;
			trap = call_indirect(frame, &insn, &next);
			break;
		case WJ_OP_CALL_RT:
			trap = call_runtime(frame, &insn);
			break;
		CASE_BRANCH(I32_BR_IF, compare(insn.cc, false, R(a), R(b)))
		CASE_BRANCH(I32_BR_IF_IMM, compare(insn.cc, false, R(a), IMM32))
		CASE_BRANCH(I64_BR_IF, compare(insn.cc, true, R(a), R(b)))
		CASE_BRANCH(I64_BR_IF_IMM, compare(insn.cc, true, R(a), IMM64))
		CASE_BRANCH(I32_BR_TEST, compare(insn.cc, false, R(a) & R(b), 0))
		CASE_BRANCH(I32_BR_TEST_IMM, compare(insn.cc, false, R(a) & IMM32, 0))
		CASE_BRANCH(I64_BR_TEST, compare(insn.cc, true, R(a) & R(b), 0))
		CASE_BRANCH(I64_BR_TEST_IMM, compare(insn.cc, true, R(a) & IMM64, 0))
		CASE_BRANCH(F32_BR_IF, wj_float_compare(false, insn.cc, x[insn.a], x[insn.b]))
		CASE_BRANCH(F64_BR_IF, wj_float_compare(true, insn.cc, x[insn.a], x[insn.b]))

		/* Moves, constants, frame. */
		CASE(MOV, R(a))
		case WJ_OP_FMOV:
			x[insn.d] = x[insn.a];
			break;
		case WJ_OP_XCHG:
			value = R(a);
			R(a) = R(b);
			R(b) = value;
			break;
		case WJ_OP_FXCHG:
			value = x[insn.a];
			x[insn.a] = x[insn.b];
			x[insn.b] = value;
			break;
		CASE(I32_CONST, IMM32)
		CASE(I64_CONST, IMM64)
		case WJ_OP_F32_CONST:
		case WJ_OP_F64_CONST:
			x[insn.d] = IMM64;
			break;
		CASE(REF_NULL, WJ_NULL_REF)
		CASE(SLOT_LOAD, slots[insn.index])
		case WJ_OP_SLOT_STORE:
			slots[insn.index] = R(a);
			break;
		case WJ_OP_FSLOT_LOAD:
			x[insn.d] = slots[insn.index];
			break;
		case WJ_OP_FSLOT_STORE:
			slots[insn.index] = x[insn.a];
			break;
		CASE(ARG_LOAD, frame->args[insn.index])
		case WJ_OP_FARG_LOAD:
			x[insn.d] = frame->args[insn.index];
			break;
		case WJ_OP_OUT_STORE:
			outgoing(frame)[insn.index] = R(a);
			break;
		case WJ_OP_FOUT_STORE:
			outgoing(frame)[insn.index] = x[insn.a];
			break;
		CASE(RESULT_LOAD, inst->results[insn.index - 1])
		case WJ_OP_FRESULT_LOAD:
			x[insn.d] = inst->results[insn.index - 1];
			break;
		case WJ_OP_RESULT_STORE:
			inst->results[insn.index - 1] = R(a);
			break;
		case WJ_OP_FRESULT_STORE:
			inst->results[insn.index - 1] = x[insn.a];
			break;
		CASE(GLOBAL_GET, inst->globals[insn.index]->value)
		case WJ_OP_FGLOBAL_GET:
			x[insn.d] = inst->globals[insn.index]->value;
			break;
		case WJ_OP_GLOBAL_SET:
			inst->globals[insn.index]->value = R(a);
			break;
		case WJ_OP_FGLOBAL_SET:
			inst->globals[insn.index]->value = x[insn.a];
			break;
		CASE(MEMORY_SIZE, inst->memory->pages)
		CASE(REF_IS_NULL, R32(a) == WJ_NULL_REF)

		/* i32 */
		CASE(I32_ADD, R32(a) + R32(b))
		CASE(I32_SUB, R32(a) - R32(b))
		CASE(I32_MUL, R32(a) * R32(b))
		CASE(I32_AND, R32(a) & R32(b))
		CASE(I32_OR, R32(a) | R32(b))
		CASE(I32_XOR, R32(a) ^ R32(b))
		CASE(I32_SHL, R32(a) << (R32(b) & 31))
		CASE(I32_SHR_S, (u32)((s32)R32(a) >> (R32(b) & 31)))
		CASE(I32_SHR_U, R32(a) >> (R32(b) & 31))
		CASE(I32_ROTL, rotl32(R32(a), R32(b)))
		CASE(I32_ROTR, rotl32(R32(a), -R32(b)))
		CASE(I32_ADD_IMM, R32(a) + IMM32)
		CASE(I32_MUL_IMM, R32(a) * IMM32)
		CASE(I32_AND_IMM, R32(a) & IMM32)
		CASE(I32_OR_IMM, R32(a) | IMM32)
		CASE(I32_XOR_IMM, R32(a) ^ IMM32)
		CASE(I32_SHL_IMM, R32(a) << IMM32)
		CASE(I32_SHR_S_IMM, (u32)((s32)R32(a) >> IMM32))
		CASE(I32_SHR_U_IMM, R32(a) >> IMM32)
		CASE(I32_ROTR_IMM, rotl32(R32(a), -IMM32))
		CASE(I32_LEA, R32(a) + (R32(b) << insn.kind) + IMM32)
		case WJ_OP_I32_DIV_S:
		case WJ_OP_I32_DIV_U:
		case WJ_OP_I32_REM_S:
		case WJ_OP_I32_REM_U:
			trap = divide32(frame, insn.op, R32(b));
			break;
		CASE(I32_CLZ, R32(a) ? (u32)__builtin_clz(R32(a)) : 32)
		CASE(I32_CTZ, R32(a) ? (u32)__builtin_ctz(R32(a)) : 32)
		CASE(I32_POPCNT, popcount(R32(a)))
		CASE(I32_EXTEND8_S, (u32)(s8)R(a))
		CASE(I32_EXTEND16_S, (u32)(s16)R(a))
		CASE(I32_SET, compare(insn.cc, false, R(a), R(b)))
		CASE(I32_SET_IMM, compare(insn.cc, false, R(a), IMM32))
		CASE(I32_SELECT, compare(insn.cc, false, R(x), R(y)) ? R(a) : R(b))
		CASE(I32_SELECT_IMM, compare(insn.cc, false, R(x), IMM32) ? R(a) : R(b))
		CASE(I64_SELECT, compare(insn.cc, true, R(x), R(y)) ? R(a) : R(b))
		CASE(I64_SELECT_IMM, compare(insn.cc, true, R(x), IMM64) ? R(a) : R(b))
		case WJ_OP_FSELECT_IMM:
			x[insn.d] = compare(insn.cc, false, R(x), IMM32) ? x[insn.a] : x[insn.b];
			break;

		/* i64 */
		CASE(I64_ADD, R(a) + R(b))
		CASE(I64_SUB, R(a) - R(b))
		CASE(I64_MUL, R(a) * R(b))
		CASE(I64_AND, R(a) & R(b))
		CASE(I64_OR, R(a) | R(b))
		CASE(I64_XOR, R(a) ^ R(b))
		CASE(I64_SHL, R(a) << (R(b) & 63))
		CASE(I64_SHR_S, (u64)((s64)R(a) >> (R(b) & 63)))
		CASE(I64_SHR_U, R(a) >> (R(b) & 63))
		CASE(I64_ROTL, rotl64(R(a), R(b)))
		CASE(I64_ROTR, rotl64(R(a), -R(b)))
		CASE(I64_ADD_IMM, R(a) + IMM64)
		CASE(I64_MUL_IMM, R(a) * IMM64)
		CASE(I64_AND_IMM, R(a) & IMM64)
		CASE(I64_OR_IMM, R(a) | IMM64)
		CASE(I64_XOR_IMM, R(a) ^ IMM64)
		CASE(I64_SHL_IMM, R(a) << IMM64)
		CASE(I64_SHR_S_IMM, (u64)((s64)R(a) >> IMM64))
		CASE(I64_SHR_U_IMM, R(a) >> IMM64)
		CASE(I64_ROTR_IMM, rotl64(R(a), -IMM64))
		CASE(I64_LEA, R(a) + (R(b) << insn.kind) + IMM64)
		case WJ_OP_I64_DIV_S:
		case WJ_OP_I64_DIV_U:
		case WJ_OP_I64_REM_S:
		case WJ_OP_I64_REM_U:
			trap = divide64(frame, insn.op, R(b));
			break;
		CASE(I64_CLZ, R(a) ? (u64)__builtin_clzll(R(a)) : 64)
		CASE(I64_CTZ, R(a) ? (u64)__builtin_ctzll(R(a)) : 64)
		CASE(I64_POPCNT, popcount(R(a)))
		CASE(I64_EXTEND8_S, (u64)(s8)R(a))
		CASE(I64_EXTEND16_S, (u64)(s16)R(a))
		CASE(I64_EXTEND32_S, (u64)(s32)R(a))
		CASE(I64_SET, compare(insn.cc, true, R(a), R(b)))
		CASE(I64_SET_IMM, compare(insn.cc, true, R(a), IMM64))
		CASE(I32_WRAP_I64, R32(a))
		CASE(I64_EXTEND_I32_S, (u64)(s32)R(a))
		CASE(I64_EXTEND_I32_U, R32(a))

		/* Linear memory. */
		CASE_LOAD(I32_LOAD, 4, R(d), value)
		CASE_LOAD(I32_LOAD8_S, 1, R(d), (u32)(s8)value)
		CASE_LOAD(I32_LOAD8_U, 1, R(d), value)
		CASE_LOAD(I32_LOAD16_S, 2, R(d), (u32)(s16)value)
		CASE_LOAD(I32_LOAD16_U, 2, R(d), value)
		CASE_LOAD(I64_LOAD, 8, R(d), value)
		CASE_LOAD(I64_LOAD8_S, 1, R(d), (u64)(s8)value)
		CASE_LOAD(I64_LOAD8_U, 1, R(d), value)
		CASE_LOAD(I64_LOAD16_S, 2, R(d), (u64)(s16)value)
		CASE_LOAD(I64_LOAD16_U, 2, R(d), value)
		CASE_LOAD(I64_LOAD32_S, 4, R(d), (u64)(s32)value)
		CASE_LOAD(I64_LOAD32_U, 4, R(d), value)
		CASE_LOAD(F32_LOAD, 4, x[insn.d], value)
		CASE_LOAD(F64_LOAD, 8, x[insn.d], value)
		CASE_STORE(STORE8, 1, R(a))
		CASE_STORE(STORE16, 2, R(a))
		CASE_STORE(STORE32, 4, R(a))
		CASE_STORE(STORE64, 8, R(a))
		CASE_STORE(F32_STORE, 4, x[insn.a])
		CASE_STORE(F64_STORE, 8, x[insn.a])
		CASE_STORE(STORE8_IMM, 1, IMM64)
		CASE_STORE(STORE16_IMM, 2, IMM64)
		CASE_STORE(STORE32_IMM, 4, IMM64)
		CASE_STORE(STORE64_IMM, 8, IMM64)

		/* Atomics. */
		CASE_ATOMIC_LOAD(I32_ATOMIC_LOAD, 4)
		CASE_ATOMIC_LOAD(I32_ATOMIC_LOAD8_U, 1)
		CASE_ATOMIC_LOAD(I32_ATOMIC_LOAD16_U, 2)
		CASE_ATOMIC_LOAD(I64_ATOMIC_LOAD, 8)
		CASE_ATOMIC_LOAD(I64_ATOMIC_LOAD8_U, 1)
		CASE_ATOMIC_LOAD(I64_ATOMIC_LOAD16_U, 2)
		CASE_ATOMIC_LOAD(I64_ATOMIC_LOAD32_U, 4)
		CASE_ATOMIC_STORE(ATOMIC_STORE8, 1)
		CASE_ATOMIC_STORE(ATOMIC_STORE16, 2)
		CASE_ATOMIC_STORE(ATOMIC_STORE32, 4)
		CASE_ATOMIC_STORE(ATOMIC_STORE64, 8)
		CASE_RMW(I32_ATOMIC_RMW, 4)
		CASE_RMW(I32_ATOMIC_RMW8, 1)
		CASE_RMW(I32_ATOMIC_RMW16, 2)
		CASE_RMW(I64_ATOMIC_RMW, 8)
		CASE_RMW(I64_ATOMIC_RMW8, 1)
		CASE_RMW(I64_ATOMIC_RMW16, 2)
		CASE_RMW(I64_ATOMIC_RMW32, 4)
		CASE_CMPXCHG(I32_ATOMIC_CMPXCHG, 4)
		CASE_CMPXCHG(I32_ATOMIC_CMPXCHG8, 1)
		CASE_CMPXCHG(I32_ATOMIC_CMPXCHG16, 2)
		CASE_CMPXCHG(I64_ATOMIC_CMPXCHG, 8)
		CASE_CMPXCHG(I64_ATOMIC_CMPXCHG8, 1)
		CASE_CMPXCHG(I64_ATOMIC_CMPXCHG16, 2)
		CASE_CMPXCHG(I64_ATOMIC_CMPXCHG32, 4)
		case WJ_OP_ATOMIC_FENCE:
			__atomic_thread_fence(__ATOMIC_SEQ_CST);
			break;

		/* Floats: bits that only move are dealt with here. */
		CASE(I32_REINTERPRET_F32, x[insn.a])
		CASE(I64_REINTERPRET_F64, x[insn.a])
		case WJ_OP_F32_REINTERPRET_I32:
		case WJ_OP_F64_REINTERPRET_I64:
			x[insn.d] = R(a);
			break;
		CASE(F32_SET, wj_float_compare(false, insn.cc, x[insn.a], x[insn.b]))
		CASE(F64_SET, wj_float_compare(true, insn.cc, x[insn.a], x[insn.b]))
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
			trap = wj_float_op(insn.op, x[insn.a], 0, &value);
			if (!trap)
				R(d) = value;
			break;
		case WJ_OP_F32_CONVERT_I32_S:
		case WJ_OP_F32_CONVERT_I32_U:
		case WJ_OP_F32_CONVERT_I64_S:
		case WJ_OP_F32_CONVERT_I64_U:
		case WJ_OP_F64_CONVERT_I32_S:
		case WJ_OP_F64_CONVERT_I32_U:
		case WJ_OP_F64_CONVERT_I64_S:
		case WJ_OP_F64_CONVERT_I64_U:
			trap = wj_float_op(insn.op, R(a), 0, &x[insn.d]);
			break;
		case WJ_OP_F32_ADD:
		case WJ_OP_F32_SUB:
		case WJ_OP_F32_MUL:
		case WJ_OP_F32_DIV:
		case WJ_OP_F32_MIN:
		case WJ_OP_F32_MAX:
		case WJ_OP_F32_COPYSIGN:
		case WJ_OP_F64_ADD:
		case WJ_OP_F64_SUB:
		case WJ_OP_F64_MUL:
		case WJ_OP_F64_DIV:
		case WJ_OP_F64_MIN:
		case WJ_OP_F64_MAX:
		case WJ_OP_F64_COPYSIGN:
			trap = wj_float_op(insn.op, x[insn.a], x[insn.b], &x[insn.d]);
			break;
		case WJ_OP_F32_ABS:
		case WJ_OP_F32_NEG:
		case WJ_OP_F32_CEIL:
		case WJ_OP_F32_FLOOR:
		case WJ_OP_F32_TRUNC:
		case WJ_OP_F32_NEAREST:
		case WJ_OP_F32_SQRT:
		case WJ_OP_F64_ABS:
		case WJ_OP_F64_NEG:
		case WJ_OP_F64_CEIL:
		case WJ_OP_F64_FLOOR:
		case WJ_OP_F64_TRUNC:
		case WJ_OP_F64_NEAREST:
		case WJ_OP_F64_SQRT:
		case WJ_OP_F32_DEMOTE_F64:
		case WJ_OP_F64_PROMOTE_F32:
			trap = wj_float_op(insn.op, x[insn.a], 0, &x[insn.d]);
			break;
		case WJ_OP_COUNT:
			break;
		}

		if (next == frame)
			continue;
		/* Into the function that was called (resume is NULL), or back after the call. */
		frame = next;
		inst = frame->inst;
		r = frame->r;
		x = frame->x;
		slots = frame->words;
		c.pos = frame->resume ? frame->resume : frame->f->code;
		c.end = frame->f->code + frame->f->code_size;
	}
	*top = frame;
	return trap;
}

int wj_interp_call(struct wj_instance *inst, u32 index, u64 *args)
{
	const struct wj_func_type *type = &inst->image->types[inst->image->functions[index].type];
	struct wj_store *store = inst->store;
	struct frame *frame;
	u64 *stack;
	u32 used;
	int trap;

	if (!store->stack)
		store->stack = wj_alloc(STACK_WORDS * sizeof(u64));
	if (!store->stack)
		return WJ_TRAP_OUT_OF_MEMORY;
	used = store->stack_used;
	/* Room for all parameters, of which those beyond the registers are kept here. */
	stack = push(store, type->n_params);
	frame = stack ? push_frame(store, inst, index, NULL, stack) : NULL;
	if (!frame) {
		store->stack_used = used;
		return WJ_TRAP_STACK_EXHAUSTED;
	}
	move_args(type, frame, stack, args, false);
	trap = run(&frame);
	if (!trap && type->n_results) {
		args[0] = is_float(type->results[0]) ? frame->x[0] : frame->r[0];
		move_results(type, inst->results, args + 1);
	}
	if (trap)
		for (; frame; frame = frame->caller)
			if (frame->inst == inst)
				wj_add_frame(inst, frame->function, frame->pc);
	store->stack_used = used;
	return trap;
}
