/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the parts of the x86-64 JIT share: jit_x86.c compiles an image, function by function,
 * with translate*_x86.c (instructions) and stubs_x86.c (ways into and out of guest code);
 * run_x86.c enters the code and unwinds it.
 *
 * Registers in guest code: those of target.def; rcx, xmm14 and xmm15 are scratch within one
 * bytecode instruction; r14 is the instance, r15 the base of its linear memory.  Flags do not
 * live from one bytecode instruction to the next, but for zero_pos.  rsp is 8-byte aligned.
 *
 * A frame, upwards from rsp: outgoing arguments, spill slots, callee-saved registers, return
 * address; then the incoming stack arguments.  All 8 bytes each.  Nothing in it is the
 * address of something on the stack, so that fork can copy it to another place.
 *
 * Layout of the code: [int3 padding] constants, stubs, one stub per import, functions, cold
 * stubs for calls through tables, jump tables, literals.
 */
#ifndef WJ_JIT_X86_H
#define WJ_JIT_X86_H

#include "internal.h"
#include "emit_x86.h"

/* What the CPU has, wj_cpu_features(). */
#define WJ_CPU_SSE41	1u
#define WJ_CPU_POPCNT	2u
#define WJ_CPU_LZCNT	4u
#define WJ_CPU_BMI1	8u	/* tzcnt */
#define WJ_CPU_BMI2	16u
#define WJ_CPU_AVX	32u
u32 wj_cpu_features(void);

extern const u8 wj_jit_ireg[16], wj_jit_freg[16];	/* machine registers; of arguments: */
extern const u8 wj_jit_iarg[WJ_IARGS], wj_jit_farg[WJ_FARGS];

/* Constants at the start of the code; masks are 16 bytes for the sake of SSE. */
enum wj_jit_constant {
	WJ_C_ABS32 = 0, WJ_C_SIGN32 = 16, WJ_C_ABS64 = 32, WJ_C_SIGN64 = 48,
	WJ_C_MXCSR = 64,
	WJ_C_F32_MIN32 = 68,	/* -2^31: the least float that truncates to an i32 */
	WJ_C_F32_2_63 = 72, WJ_C_F32_MIN64 = 76,
	WJ_C_F64_MIN32 = 80,	/* -2^31 - 1: what is greater truncates to an i32 */
	WJ_C_F64_2_63 = 88, WJ_C_F64_MIN64 = 96,
	WJ_C_SIZE = 112
};

/* Grows by doubling; elements are of one size. */
struct wj_list {
	void *items;
	u32 count, capacity;
};

/* A return address of guest code and the bytecode instruction that it belongs to. */
struct wj_site {
	u32 pc;		/* offset in the code */
	u32 offset;	/* in the function's bytecode */
};
#define WJ_SITE_ENTRY (1u << 31)	/* in offset: before the function has set up its frame */

/* A displacement that is known only when all code is there, or where it runs. */
enum wj_reloc_kind {
	WJ_RELOC_FUNCTION,	/* rel32 to function `index` */
	WJ_RELOC_CALL_TYPE,	/* rel32 to the slow path of calls with type `index` */
	WJ_RELOC_EXTERNAL,	/* rel32 to `target`, outside */
	WJ_RELOC_TABLE,		/* absolute: jump table that starts with target number `index` */
	WJ_RELOC_LITERAL	/* rel32 to literal `index` */
};
struct wj_reloc {
	u32 at;
	u32 kind, index;
	const void *target;
};

/* A forward branch of the function being compiled. */
struct wj_branch {
	u32 at, block;
	u32 number;
	bool is_short;
};

/* Code out of line: the rarely taken end of what `insn` does. */
enum wj_cold_kind {
	WJ_COLD_TRAP, WJ_COLD_ENTRY_TRAP, WJ_COLD_POLL, WJ_COLD_ENTRY_POLL,
	WJ_COLD_DIV_MINUS_1, WJ_COLD_MINMAX, WJ_COLD_TRUNC, WJ_COLD_CONVERT,
	WJ_COLD_CALL_OTHER
};
struct wj_cold {
	enum wj_cold_kind kind;
	u32 trap;
	u32 from;	/* displacement of the branch to it */
	u32 back;	/* where it continues */
	u32 offset;	/* of insn in the bytecode */
	struct wj_insn insn;
};

struct wj_access {
	u32 pc, offset;
};

struct wj_jit {
	struct wj_emit e;
	const struct wj_image *image;
	struct wj_error *error;
	u32 features, mitigations;
	bool floats;		/* some function uses float registers: else stubs must not */
	struct wj_layout layout;
	u32 start;		/* of the constants */
	u32 *entries;		/* of all functions */
	u32 *frames;		/* of all functions: bytes between rsp and the return address */
	u32 *type_stubs;	/* per type: slow path of CALL_INDIRECT, 0 if not used */
	struct wj_list sites, fixups, relocs;
	struct wj_list tables, literals;	/* u32 targets, u64 values */
	u32 enter, resume, trap, fault, poll, poll_return, import, other_import, runtime, element, call_type;
	u32 traps[WJ_TRAP_STACK_EXHAUSTED + 1];	/* stubs by trap, those that code raises */
	u32 clear_bhb, functions_end;

	/* The function being compiled. */
	const struct wj_function *f;
	const struct wj_func_type *type;
	u32 index;
	u32 offset;		/* of the instruction being translated */
	u32 next;		/* of the one after it */
	u32 frame, saved;	/* bytes of the frame without and of the callee-saved registers */
	u32 last_call;		/* type of the last call; ~0: none whose results are still there */
	bool stores_results;	/* since an RST */
	u32 unpolled;		/* bytes of bytecode since a poll, calls as CALL_DISTANCE: jit_x86.c */
	u8 arg_types[WJ_MAX_PARAMS];	/* of stack arguments */
	u32 n_stack_args;
	struct wj_cursor cursor;
	u32 *block_code, *block_pos;	/* offsets of blocks in bytecode and code (WJ_UNBOUND) */
	u32 *block_unpolled;	/* `unpolled` of what branches forward to them, the largest */
	u32 block_capacity;
	struct wj_list branches, cold, accesses, runs;
	struct wj_list long_branches;	/* u8 per forward branch, in order */
	u32 n_forward, short_distance, retries;
	/* If code ends at zero_pos: ZF tells whether zero_reg is 0. */
	u32 zero_pos;
	u8 zero_reg;

	u32 random_left;
	u32 random[16];
	u64 dummy[16];		/* what wj_list_add returns when out of memory */
};
#define WJ_UNBOUND 0xffffffffu

struct wj_code {
	struct wj_exec exec;
	u32 n_functions, n_imports;
	u32 *entries, *frames;
	u32 functions_end;	/* where the code of the last function ends */
	u32 retries;		/* functions compiled once more for a branch that was too short */
	u32 data;		/* jump tables and literals: from here on no instructions */
	u32 enter, resume;
	u32 poll_return;	/* where the routine that polls returns to */
	struct wj_site *sites;
	u32 n_sites;
	struct wj_fixup *fixups;
	u32 n_fixups;
	u64 ns;			/* what compiling took */
};

/* A new element, zeroed; errors go to j->e.error and give a dummy. */
void *wj_list_add(struct wj_jit *j, struct wj_list *list, u32 size);

/* jit_x86.c */
/* Compile for given features (WJ_CPU_*) and mitigations (WJ_MITIGATE_*) instead of this machine's. */
int wj_jit_compile_for(struct wj_image *image, u32 features, u32 mitigations,
		       struct wj_error *error, struct wj_code **ret);
u32 wj_jit_random(struct wj_jit *j);
int wj_jit_fail(struct wj_jit *j, int code, const char *message);
/* The code before pos calls something: pos is the return address of the current instruction. */
void wj_jit_site(struct wj_jit *j, u32 flags);
void wj_jit_reloc(struct wj_jit *j, enum wj_reloc_kind kind, u32 at, u32 index, const void *target);
void wj_jit_return(struct wj_jit *j);
/* Position of a constant of 64 bits, for a relocation. */
u32 wj_jit_literal(struct wj_jit *j, u64 value);
/* Branch to a block; cc < 0: always. */
void wj_jit_branch(struct wj_jit *j, int cc, u32 block);
/* The instruction being translated branches there, perhaps. */
void wj_jit_reaches(struct wj_jit *j, u32 block);

/* translate_x86.c */
void wj_jit_prologue(struct wj_jit *j);
void wj_jit_poll(struct wj_jit *j);
void wj_jit_translate(struct wj_jit *j, const struct wj_insn *i);
void wj_jit_emit_cold(struct wj_jit *j, const struct wj_cold *cold);

/* stubs_x86.c */
void wj_jit_stubs(struct wj_jit *j);
void wj_jit_import_stub(struct wj_jit *j, u32 import);
void wj_jit_type_stub(struct wj_jit *j, u32 type);

/* run_x86.c: called by generated code. */
u32 wj_jit_unwind(struct wj_instance *inst, u32 trap);

/* What host calls save on the guest's stack below the return address. */
#define WJ_HOST_CALL_SAVED (4 * 8)

/*
 * Prologues compare the stack pointer with the limit, without the frame where that is no larger than
 * this; leaves with such a frame do not look at it at all, nor do stubs for calls of the host with
 * arguments of this size.  Platforms leave room below the limit for all three and interrupts.
 */
#define WJ_SMALL_FRAME 256u

/* Between wj_jit_call and the stub that enters guest code. */
struct wj_entry {
	const void *target;
	u64 sp;
	u64 ints[WJ_IARGS], floats[WJ_FARGS];
	u64 int_result, float_result;
};

#endif
