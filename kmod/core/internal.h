/* SPDX-License-Identifier: GPL-2.0-only */
/* Structures shared by the parts of core/: image, verifier, interpreter, JIT, instance. */
#ifndef WJ_INTERNAL_H
#define WJ_INTERNAL_H

#include "core.h"
#include "image.h"

enum wj_op {
#define OP(name, format, d, a, b, flags) WJ_OP_##name,
#include "isa.def"
#undef OP
	WJ_OP_COUNT
};

enum wj_cc {
#define CC(name, value) WJ_CC_##name = value,
#define FCC(name, value) WJ_FCC_##name = value,
#include "cc.def"
#undef CC
#undef FCC
	WJ_CC_COUNT = 10
};

/*
 * The columns of isa.def as data: what decoder, verifier, interpreter and JIT look at.
 * In all formats a register that is read is in a or b, the one written in d.
 */
enum wj_format {
	WJ_FMT_N, WJ_FMT_RR, WJ_FMT_RRR, WJ_FMT_RRI, WJ_FMT_LEA, WJ_FMT_CI, WJ_FMT_C4,
	WJ_FMT_C8, WJ_FMT_XCH, WJ_FMT_DIV, WJ_FMT_SET, WJ_FMT_SETI, WJ_FMT_SEL, WJ_FMT_SELI,
	WJ_FMT_LD, WJ_FMT_ST, WJ_FMT_STI, WJ_FMT_ALD, WJ_FMT_ARMW, WJ_FMT_ACAS, WJ_FMT_SLD,
	WJ_FMT_SST, WJ_FMT_ARG, WJ_FMT_OUT, WJ_FMT_RLD, WJ_FMT_RST, WJ_FMT_GLD, WJ_FMT_GST,
	WJ_FMT_J, WJ_FMT_JRR, WJ_FMT_JRI, WJ_FMT_JT, WJ_FMT_CALL, WJ_FMT_CALLI, WJ_FMT_RT,
	WJ_FMT_TRAP
};

/* Operand types, WJ_T__ is none. */
enum wj_operand {
	WJ_T__, WJ_T_I, WJ_T_L, WJ_T_F, WJ_T_D, WJ_T_R, WJ_T_W, WJ_T_G
};

#define WJ_FLAG_K	0x01u
#define WJ_FLAG_X	0x02u
#define WJ_FLAG_M	0x04u
#define WJ_FLAG_S	0x08u
#define WJ_FLAG_T	0x10u
#define WJ_FLAG_C	0x20u

struct wj_op_info {
	u8 format, d, a, b, flags;
};
extern const struct wj_op_info wj_op_info[WJ_OP_COUNT];

struct wj_rt_info {
	u8 result;		/* enum wj_operand */
	const char *params;	/* letters I and R */
	u8 imm[2];		/* enum wj_rt_imm */
};

enum wj_rt {
#define RT(name, value, result, params, imm0, imm1) WJ_RT_##name = value,
#include "rt.def"
#undef RT
	WJ_RT_COUNT
};

enum wj_rt_imm {
	WJ_RT_IMM_NONE, WJ_RT_IMM_MEMORY, WJ_RT_IMM_TABLE, WJ_RT_IMM_DATA, WJ_RT_IMM_ELEM,
	WJ_RT_IMM_FUNC
};
extern const struct wj_rt_info wj_rt_info[WJ_RT_COUNT];

enum wj_rmw {
#define RMW(name, value) WJ_RMW_##name = value,
#include "rmw.def"
#undef RMW
	WJ_RMW_COUNT
};

#define WJ_IREGS 12
#define WJ_FREGS 14
#define WJ_IARGS 6
#define WJ_FARGS 8
#define WJ_NO_BASE 15		/* base field of LD, ST, STI, ALD, ARMW, ACAS: address is the offset */
extern const u8 wj_int_args[WJ_IARGS], wj_float_args[WJ_FARGS];	/* registers by position */
#define WJ_FIRST_CALLEE_SAVED 8
#define WJ_CALL_INDIRECT_REG 7

struct wj_limits {
	bool has_max;
	u32 min, max;
};

struct wj_init {
	u8 kind;		/* as in image.h */
	u64 value;		/* kind 6: where in the image its steps begin, with their number */
};

enum wj_init_step {		/* in steps, beside the kinds 0 and 3 */
	WJ_INIT_ADD = 16, WJ_INIT_SUB, WJ_INIT_MUL
};

struct wj_function {
	u32 type;		/* index of its type in the image */
	const u8 *body;		/* defined functions: the body after its size field ... */
	u32 body_size;
	/* ... and, known once verified: */
	const u8 *blocks;	/* the block table */
	const u8 *code;		/* the first instruction */
	u32 code_size;
	u32 block_count;
	u32 slot_count, out_count;
	u32 slot_end[5];	/* index after the last slot of type i32, i64, f32, f64, ref */
	u8 leaf, callee_saved;
	bool uses_floats;	/* computes with floats: not for an interpreter without them */
	bool has_floats;	/* touches a float register, or passes one on, at all */
};

/*
 * Immutable once created, so that processes can share it.  Index spaces start with the
 * imports, as in wasm.
 */
struct wj_image {
	const u8 *bytes;
	size_t size;
	u32 n_types, n_imports, n_functions, n_tables, n_memories, n_globals;
	u32 n_imported_functions, n_imported_tables, n_imported_memories, n_imported_globals;
	u32 n_exports, n_elements, n_data;
	u32 start;		/* ~0u: none */
	u32 max_results;	/* of any type */
	struct wj_func_type *types;
	struct wj_function *functions;		/* all n_functions, imports included */
	struct wj_table_info { u8 type; struct wj_limits limits; } *tables;
	struct wj_limits memory;
	struct wj_global_info { u8 type, mutable_; struct wj_init init; } *globals;
	struct wj_import_entry {
		struct wj_import_info info;
		u32 index;	/* function: type index; others: index in their space */
	} *imports;
	struct wj_export_entry { const u8 *name; u32 name_size; u8 kind; u32 index; } *exports;
	struct wj_element_segment {
		u8 mode, type; u32 table; struct wj_init offset; u32 count; const u8 *inits;
	} *elements;
	struct wj_data_segment {
		u8 mode; struct wj_init offset; u32 size; const u8 *bytes;
	} *data;
	const u8 *names;	/* NAMES payload, or NULL */
	u32 n_names;
	size_t names_size;
	u32 refs;		/* atomic: processes share images */
	struct wj_code *code;	/* made by the first JIT instance; where processes share
				 * images, before they do */
};

/* What a function in a table and a call through it must have in common for machine code to call it directly. */
struct wj_call_key {
	u32 owner;		/* ref_base of the instance; callers in another one go through wj_call_element */
	u32 type_id;		/* canonical in the store; ~0u: none, equal to no type's */
};

/* An element of a table; 32 bytes, indexed with a shift by the JIT. */
struct wj_element {
	const void *code;	/* entry in machine code; never NULL where the instance has the JIT */
	struct wj_instance *instance;	/* whose code */
	struct wj_call_key key;	/* the JIT compares it as a whole */
	u32 ref;		/* WJ_NULL_REF: none */
	u32 unused;
};

struct wj_table {
	struct wj_element *elements;
	u32 size, capacity, max;
	u8 type;
	bool has_max;		/* max was declared, not just implied */
	u32 refs;
};

struct wj_memory {
	u64 base, size;		/* bytes; base is a user address */
	u32 pages, max_pages;
	u32 refs;
	bool has_max;		/* max_pages was declared, not just implied */
};

/* Own ones are elements of own_globals; whoever imports one holds its instance. */
struct wj_global {
	u64 value;
};

/* What an imported function is bound to, per instance. */
struct wj_binding {
	wj_host_function host;
	void *data;
	struct wj_instance *instance;
	u32 index;
};

/*
 * Guest code holds its address in r14.  The JIT uses offsetof() of these and the
 * trailing arrays' offsets computed by instance.c (wj_layout).
 */
struct wj_instance {
	u32 *poll_flags;	/* never NULL: the process's word; guest code tests it */
	u64 memory_base;	/* copy of memory->base; r15 */
	u64 stack_limit;	/* prologues compare rsp (after a large frame) with it */
	u64 host_sp;		/* stack pointer to run host functions on */
	u64 guest_sp;		/* guest's while a host function runs */
	u64 entry_sp;		/* where a trap unwinds to: guest stack pointer at the innermost entry */
	void *user;
	u64 trap_pc;		/* machine address where the last trap happened */
	u64 trap_sp;
	u32 trap;		/* enum wj_trap of the unwinding in progress */
	u32 depth;		/* nesting of wj_call */
	struct wj_memory *memory;
	struct wj_image *image;
	struct wj_store *store;
	enum wj_engine engine;
	u32 ref_base;		/* reference of function 0 */
	u32 refs;
	u32 own_poll_flags;	/* default target of poll_flags */
	u32 unwinding;		/* traps that poll before they unwind: guest_sp is not a host call's then */
	struct wj_stats stats;
	u32 n_frames;		/* backtrace of the last trap */
	struct wj_frame frames[64];
	u8 *dropped_elements, *dropped_data;	/* one byte per segment */
	struct wj_table **tables;	/* all, imports included */
	struct wj_global **globals;	/* all; own ones point into own_globals */
	struct wj_binding *bindings;	/* imported functions */
	struct wj_call_key *keys;	/* by type of the image: what calls through tables ask for */
	u64 *results;		/* RESULT_LOAD/STORE: max results of any type - 1 */
	u64 *own_globals;	/* by global index; imported slots unused */
	/* The pointers above point behind this struct, at offsets wj_layout gives. */
	struct wj_instance *next;	/* in the store, by falling ref_base */
	bool pinned;		/* other tables may refer to its functions: lives with the store */
	struct wj_instance **held;	/* instances it imports from; a reference each */
	u32 n_held;
	struct wj_interp_code *interp;	/* block offsets, when engine is the interpreter */
};

static_assert(!offsetof(struct wj_instance, poll_flags), "wj_poll_flags");
static_assert(offsetof(struct wj_instance, user) == WJ_INSTANCE_USER * 8, "wj_instance_user");

/* A distinct function type of the store; its id is its index.  Small: fork copies all of them. */
struct wj_store_type {
	u32 n_params, n_results;
	u32 next;		/* in the hash bucket, or ~0u */
	u32 gap;		/* between parameters and results in an image, of which the type is; else 0 */
	const u8 *bytes;	/* parameters, then results */
};

struct wj_store {
	struct wj_instance *instances;	/* latest first, so by falling ref_base */
	u32 next_ref;
	u32 depth;			/* nesting of wj_call over all instances */
	u32 n_elements;			/* of all tables, capacity */
	struct wj_store_type *types;
	u32 n_types, types_capacity;
	u32 *buckets;			/* types_capacity of them */
	u64 hash_key;
	u64 *stack;			/* the interpreter's guest frames */
	u32 stack_used;			/* in words of 8 bytes */
	/* The JIT's native guest stack, and whose frames are lowest on it: below ->guest_sp. */
	u64 stack_limit, stack_top;
	struct wj_instance *running;
	struct wj_jit_level *level;	/* of the innermost call, on the host's stack */
};

/* A call of guest code by the host, and where the instance stood before. */
struct wj_jit_level {
	struct wj_jit_level *outer;
	u64 guest_sp, entry_sp;
};

/* Host functions calling back into guests calling host functions...: each takes native stack. */
#ifndef WJ_MAX_NESTING
#define WJ_MAX_NESTING 64u
#endif

struct wj_layout {
	u32 tables, globals, bindings, keys, results, own_globals, dropped, size;
};
void wj_image_layout(const struct wj_image *image, struct wj_layout *layout);

/* decode.c */
/* LEB128 cursor over untrusted bytes: sets ->bad instead of reading past the end. */
struct wj_cursor {
	const u8 *pos, *end;
	bool bad;
};
u32 wj_read_u32(struct wj_cursor *c);
s64 wj_read_s64(struct wj_cursor *c);
s32 wj_read_s32(struct wj_cursor *c);
u8 wj_read_u8(struct wj_cursor *c);
u16 wj_read_le16(struct wj_cursor *c);
u32 wj_read_le32(struct wj_cursor *c);
u64 wj_read_le64(struct wj_cursor *c);

/* One instruction, fields of isa.def that its format lacks are 0. */
struct wj_insn {
	u8 op;
	u8 d, a, b;	/* DIV, ARMW, ACAS: fixed registers are filled in; base of LD, ALD is a,
			 * of ST, STI, ARMW, ACAS b; what ST, ARMW, ACAS store is a */
	u8 x, y;	/* SEL, SELI: what is compared */
	u8 cc;
	u8 kind;	/* LEA: scale; ARMW: wj_rmw; RT: wj_rt; TRAP: trap */
	u32 index;	/* off, slot, index, global, blk, func, type; JT: n; RT: first immediate */
	u32 index2;	/* CALLI: table; RT: second immediate */
	s64 imm;	/* and the bits of C4, C8 */
};
/* Reads one; JT stops before its n + 1 targets.  False at the end or on malformed bytes. */
bool wj_decode(struct wj_cursor *c, struct wj_insn *insn);

/* image.c: one more reference, which wj_image_destroy drops. */
void wj_image_hold(struct wj_image *image);

/* verify.c */
int wj_verify_function(struct wj_image *image, u32 index, struct wj_error *error);

/* The block table of a verified function, decoded for the engines: code offsets. */
void wj_block_offsets(const struct wj_function *f, u32 *offsets);

/* jit_x86.c: code of a whole image; entries in the order of the function index space. */
struct wj_code;
int wj_jit_compile(struct wj_image *image, struct wj_error *error, struct wj_code **ret);
void wj_code_destroy(struct wj_code *code);
const void *wj_code_entry(const struct wj_code *code, u32 function);
size_t wj_code_size(const struct wj_code *code);
u64 wj_code_ns(const struct wj_code *code);	/* how long compiling took */
/*
 * Run function `index` (defined, not imported) with args as for wj_call, on the guest
 * stack below `inst->guest_sp`.  0 or a trap, with inst->frames filled.
 */
int wj_jit_call(struct wj_instance *inst, u32 index, u64 *args);
/*
 * fork.  While a host function runs, all that guest code needs is on the guest stack from
 * inst->guest_sp up to the store's stack_top, and in the instance.  With a copy of both, and
 * host_sp, guest_sp, entry_sp, stack_limit (of instance and store) and store->running adjusted
 * to it, wj_jit_resume continues as if that host function had returned `trap`; its results, if
 * any, are in wj_jit_host_args().  Returns when the innermost entry of guest code does: 0 with
 * the results of that function's type, or a trap.
 */
u64 *wj_jit_host_args(struct wj_instance *inst);
/*
 * What guest code called where it left its stack at guest_sp: an import (its index), a poll, or
 * something else, which cannot be taken up again.  Not while inst->unwinding.
 */
#define WJ_CALLED_POLL	0xfffffffeu
#define WJ_CALLED_OTHER	0xffffffffu
u32 wj_jit_called(const struct wj_instance *inst, u64 guest_sp);
int wj_jit_resume(struct wj_instance *inst, int trap, const struct wj_func_type *type, u64 *results);
/* pc in machine code -> function and bytecode offset; false if it is not in this code. */
bool wj_code_lookup(const struct wj_code *code, u64 pc, struct wj_frame *frame);

/* interp.c */
int wj_interp_init(struct wj_instance *inst, struct wj_error *error);
void wj_interp_deinit(struct wj_instance *inst);
int wj_interp_call(struct wj_instance *inst, u32 index, u64 *args);

/*
 * interp_float.c, the only file of core/ that computes with floats; where it is left out
 * (a kernel build), interp.c's weak stand-ins answer.  Values are bit patterns.
 */
bool wj_float_available(void);
int wj_float_op(enum wj_op op, u64 a, u64 b, u64 *ret);	/* 0 or a trap */
bool wj_float_compare(bool is_f64, u8 cc, u64 a, u64 b);

/* index, which is below size, but 0 where a mispredicted check let it through. */
static inline u32 wj_index_nospec(u32 index, u32 size)
{
	u64 wide = index, mask;

	__asm__("" : "+r"(wide));
	mask = (u64)((s64)(wide - size) >> 63);
	return (u32)(wide & mask);
}

/* store.c */
int wj_store_type_id(struct wj_store *store, const struct wj_func_type *type, u32 *ret);
bool wj_func_type_equal(const struct wj_func_type *a, const struct wj_func_type *b);
/* Reference to a function of the instance: of the original where it is imported. */
u32 wj_func_ref(const struct wj_instance *inst, u32 index);
/* The function a reference stands for; false where it stands for none. */
bool wj_resolve_ref(struct wj_store *store, u32 ref, struct wj_instance **inst, u32 *index);
int wj_table_create(struct wj_store *store, const struct wj_table_info *info,
		    struct wj_table **ret);
void wj_table_destroy(struct wj_store *store, struct wj_table *table);
/* Writes a reference into the table on behalf of `inst`.  0 or a trap. */
int wj_table_set(struct wj_instance *inst, struct wj_table *table, u32 index, u32 ref);
/* Size before, or -1; new elements are null. */
s64 wj_table_grow(struct wj_store *store, struct wj_table *table, u32 delta);

/* runtime.c; ranges are checked whole before anything is written.  0 or a trap. */
int wj_table_init(struct wj_instance *inst, u32 table, u32 segment, u32 dst, u32 src, u32 count);
int wj_memory_init(struct wj_instance *inst, u32 segment, u32 dst, u32 src, u32 size);

/*
 * clone.c: a copy of an instance that is the only one of its store, and of the store, as they are
 * now, for a process with a copy of linear memory at the same address.  Both need the image for as
 * long as they live.  What has been allocated when it fails stays so: contexts in the kernel free all
 * they have at once.
 */
int wj_instance_clone(const struct wj_instance *from, void *user, struct wj_instance **ret);

/* instance.c: what both engines call. */
/* What call_indirect calls, checked.  0 or a trap. */
int wj_find_element(struct wj_instance *inst, u32 table, u32 element, u32 type_id,
		    struct wj_instance **callee, u32 *index);
/* Appends to the backtrace; engines do it innermost first when a trap unwinds. */
void wj_add_frame(struct wj_instance *inst, u32 function, u32 offset);
int wj_call_import(struct wj_instance *inst, u32 import, u64 *args);
/* CALL_RT; args in, result in args[0].  0 or a trap. */
int wj_runtime(struct wj_instance *inst, u32 helper, u32 imm0, u32 imm1, u64 *args);
/* The slow path of call_indirect: any element, also of another instance or a host function. */
int wj_call_element(struct wj_instance *inst, u32 table, u32 element, u32 type, u64 *args);

#endif
