// SPDX-License-Identifier: GPL-2.0-only
/* The x86-64 JIT's stubs: the ways into and out of guest code. */
#include "jit_x86.h"

static_assert(WJ_HOST_CALL_SAVED == 4 * 8, "pushed by host_call");
static_assert(WJ_NULL_REF == ~0u, "compared with -1");

static struct wj_mem field(size_t offset)
{
	return wj_mem(R14, (s32)offset);
}

static void load_field(struct wj_jit *j, u8 reg, size_t offset)
{
	wj_x86_rm(&j->e, X86_LOAD | X86_W, reg, field(offset));
}

static void store_field(struct wj_jit *j, u8 reg, size_t offset)
{
	wj_x86_rm(&j->e, X86_MOV | X86_W, reg, field(offset));
}

static void mov(struct wj_jit *j, u8 d, u8 a)
{
	wj_x86_rr(&j->e, X86_MOV | X86_W, a, d);
}

static void adjust_sp(struct wj_jit *j, s32 bytes)
{
	if (bytes)
		wj_x86_alu_imm(&j->e, X86_ALU_ADD, X86_W, RSP, bytes);
}

static void endbr(struct wj_jit *j)
{
	if (j->mitigations & WJ_MITIGATE_IBT)
		wj_x86_bytes(&j->e, 0xfa1e0ff3, 4);
}

/*
 * Call a C function.  Directly where a displacement will reach, which in the kernel is always:
 * an indirect call would need a retpoline, and the function an ENDBR that is not sealed.
 */
static void call_c(struct wj_jit *j, const void *function)
{
	u64 address = (u64)(unsigned long)function;

	if ((s64)address == (s32)address) {
		wj_jit_reloc(j, WJ_RELOC_EXTERNAL, wj_x86_call(&j->e), 0, function);
	} else if (j->mitigations & (WJ_MITIGATE_RETPOLINE | WJ_MITIGATE_IBT)) {
		wj_jit_fail(j, -ERANGE, "a function of the core is out of reach");
	} else {
		wj_x86_mov_imm(&j->e, RAX, address, true);
		wj_x86_rr(&j->e, X86_INDIRECT, X86_CALL_RM, RAX);
	}
}

/* AC is set in guest code only: a context switch in C would not save it. */
static void stac(struct wj_jit *j)
{
	if (j->mitigations & WJ_MITIGATE_SMAP)
		wj_x86_bytes(&j->e, 0xcb010f, 3);
}

static void clac(struct wj_jit *j)
{
	if (j->mitigations & WJ_MITIGATE_SMAP)
		wj_x86_bytes(&j->e, 0xca010f, 3);
}

/* Branch history injection: what the guest trained must not steer the kernel.  Clobbers rax, rcx. */
static void call_clear_bhb(struct wj_jit *j)
{
	if (j->mitigations & WJ_MITIGATE_BHB)
		wj_x86_call_to(&j->e, j->clear_bhb);
}

/*
 * The kernel's clear_bhb_loop (arch/x86/entry/entry_64.S), with returns in the upper half of
 * their cache lines, where indirect target selection (ITS) leaves them alone:
 *
 *	mov ecx, 5; call 1f; jmp 5f
 *	align 64, ret at 32
 * 1:	call 2f; ret
 *	align 64, ret at 32
 * 2:	mov eax, 5
 * 3:	jmp 4f; nop
 * 4:	sub eax, 1; jnz 3b; sub ecx, 1; jnz 1b; ret
 * 5:	lfence; ret
 */
static void emit_clear_bhb(struct wj_jit *j)
{
	struct wj_emit *e = &j->e;
	u32 one, two, three, call1, jump5, call2, jump4;

	j->clear_bhb = e->pos;
	wj_x86_mov_imm(e, RCX, 5, true);
	call1 = wj_x86_call(e);
	jump5 = wj_x86_jmp(e, false);
	wj_x86_align(e, 64, false);
	wj_x86_nops(e, 32 - 5);
	one = e->pos;
	call2 = wj_x86_call(e);
	wj_x86_bytes(e, 0xc3, 1);
	wj_x86_align(e, 64, false);
	wj_x86_nops(e, 32 - 18);
	two = e->pos;
	wj_x86_mov_imm(e, RAX, 5, true);	/* 5 bytes */
	three = e->pos;
	jump4 = wj_x86_jmp(e, true);		/* 2 */
	wj_x86_nops(e, 1);			/* 1 */
	wj_patch8(e, jump4, e->pos);
	wj_x86_alu_imm(e, X86_ALU_SUB, 0, RAX, 1);	/* 3 */
	wj_x86_jcc_to(e, X86_NE, three);	/* 2 */
	wj_x86_alu_imm(e, X86_ALU_SUB, 0, RCX, 1);	/* 3 */
	wj_x86_jcc_to(e, X86_NE, one);		/* 2: 18 together */
	wj_x86_bytes(e, 0xc3, 1);
	wj_patch32(e, call1, one);
	wj_patch32(e, call2, two);
	wj_patch32(e, jump5, e->pos);
	wj_x86_bytes(e, 0xe8ae0f, 3);		/* lfence */
	wj_jit_return(j);
}

/*
 * From host back to guest.  What the stack of the guest has below the arguments of a host
 * call is the callee-saved registers: a fork's child, which resumes here, has them nowhere else.
 */
static void host_return(struct wj_jit *j)
{
	load_field(j, RSP, offsetof(struct wj_instance, guest_sp));
	if (j->floats)
		wj_x86_rm(&j->e, X86_LDMXCSR, X86_LDMXCSR_DIGIT, wj_mem(WJ_RIP, (s32)(j->start + WJ_C_MXCSR)));
	stac(j);
	wj_x86_pop(&j->e, R13);
	wj_x86_pop(&j->e, R12);
	wj_x86_pop(&j->e, RBP);
	wj_x86_pop(&j->e, RBX);
	wj_jit_return(j);
}

static void call_through(struct wj_jit *j, u8 reg)
{
	if (j->mitigations & WJ_MITIGATE_RETPOLINE)
		wj_jit_reloc(j, WJ_RELOC_EXTERNAL, wj_x86_call(&j->e), 0, wj_indirect_thunk(reg));
	else
		wj_x86_rr(&j->e, X86_INDIRECT, X86_CALL_RM, reg);
}

/*
 * A routine that calls `function`, or NULL: the host function r11 points to, on the stack of the
 * host and returns to guest code with its result in eax.  Arguments are in rdi, rsi, rdx, (r11 for)
 * rcx, r8; host_sp is 16-byte aligned.
 */
static void host_call(struct wj_jit *j, const void *function, bool fourth)
{
	wj_x86_push(&j->e, RBX);
	wj_x86_push(&j->e, RBP);
	wj_x86_push(&j->e, R12);
	wj_x86_push(&j->e, R13);
	store_field(j, RSP, offsetof(struct wj_instance, guest_sp));
	clac(j);
	load_field(j, RSP, offsetof(struct wj_instance, host_sp));
	call_clear_bhb(j);
	mov(j, RDI, R14);
	if (fourth)
		mov(j, RCX, R11);
	if (function)
		call_c(j, function);
	else
		call_through(j, R11);
	host_return(j);
}

/* Leave the frame that enter and resume made on the host's stack. */
static void leave_host_frame(struct wj_jit *j)
{
	wj_x86_pop(&j->e, R15);
	wj_x86_pop(&j->e, R14);
	wj_x86_pop(&j->e, R13);
	wj_x86_pop(&j->e, R12);
	wj_x86_pop(&j->e, RBP);
	wj_x86_pop(&j->e, RBX);
	wj_jit_return(j);
}

/* (instance rdi, entry rsi): the frame of callee-saved registers and the entry, 16-byte aligned. */
static void make_host_frame(struct wj_jit *j)
{
	endbr(j);
	wj_x86_push(&j->e, RBX);
	wj_x86_push(&j->e, RBP);
	wj_x86_push(&j->e, R12);
	wj_x86_push(&j->e, R13);
	wj_x86_push(&j->e, R14);
	wj_x86_push(&j->e, R15);
	wj_x86_push(&j->e, RSI);
	mov(j, R14, RDI);
	load_field(j, R15, offsetof(struct wj_instance, memory_base));
	store_field(j, RSP, offsetof(struct wj_instance, host_sp));
}

/* int enter(struct wj_instance *, struct wj_entry *) */
static void emit_enter(struct wj_jit *j)
{
	struct wj_emit *e = &j->e;
	u32 i;

	j->enter = e->pos;
	make_host_frame(j);
	wj_x86_rm(e, X86_LOAD | X86_W, RSP, wj_mem(RSI, offsetof(struct wj_entry, sp)));
	store_field(j, RSP, offsetof(struct wj_instance, entry_sp));
	wj_x86_rm(e, X86_LOAD | X86_W, RCX, wj_mem(RSI, offsetof(struct wj_entry, target)));
	for (i = 0; i < WJ_FARGS && j->floats; i++)
		wj_x86_rm(e, X86_MOVS_LOAD | X86_F2, wj_jit_farg[i],
			  wj_mem(RSI, (s32)(offsetof(struct wj_entry, floats) + 8 * i)));
	for (i = 0; i < WJ_IARGS; i++) {
		if (wj_jit_iarg[i] != RSI)
			wj_x86_rm(e, X86_LOAD | X86_W, wj_jit_iarg[i],
				  wj_mem(RSI, (s32)(offsetof(struct wj_entry, ints) + 8 * i)));
	}
	for (i = 0; i < WJ_IARGS; i++) {
		if (wj_jit_iarg[i] == RSI)
			wj_x86_rm(e, X86_LOAD | X86_W, RSI,
				  wj_mem(RSI, (s32)(offsetof(struct wj_entry, ints) + 8 * i)));
	}
	if (j->floats)
		wj_x86_rm(e, X86_LDMXCSR, X86_LDMXCSR_DIGIT, wj_mem(WJ_RIP, (s32)(j->start + WJ_C_MXCSR)));
	stac(j);
	call_through(j, RCX);
	clac(j);
	load_field(j, RSP, offsetof(struct wj_instance, host_sp));
	wj_x86_pop(e, RSI);
	wj_x86_rm(e, X86_MOV | X86_W, RAX, wj_mem(RSI, offsetof(struct wj_entry, int_result)));
	if (j->floats)
		wj_x86_rm(e, X86_MOVS_STORE | X86_F2, 0, wj_mem(RSI, offsetof(struct wj_entry, float_result)));
	call_clear_bhb(j);
	wj_x86_rr(e, X86_XOR, RAX, RAX);
	leave_host_frame(j);
}

/* int resume(struct wj_instance *, struct wj_entry *, int trap): as if a host call had returned it. */
static void emit_resume(struct wj_jit *j)
{
	j->resume = j->e.pos;
	make_host_frame(j);
	wj_x86_rr(&j->e, X86_MOV, RDX, RAX);
	host_return(j);
}

/* [rsp] is the return address of the site, ecx the trap. */
static void emit_trap(struct wj_jit *j)
{
	j->trap = j->e.pos;
	wj_x86_pop(&j->e, RAX);
	store_field(j, RAX, offsetof(struct wj_instance, trap_pc));
	store_field(j, RSP, offsetof(struct wj_instance, trap_sp));
	clac(j);
	load_field(j, RSP, offsetof(struct wj_instance, host_sp));
	wj_x86_rr(&j->e, X86_MOV, RCX, RSI);
	call_clear_bhb(j);
	mov(j, RDI, R14);
	call_c(j, wj_jit_unwind);
	adjust_sp(j, 8);	/* the entry */
	leave_host_frame(j);
}

static u32 emit_trap_with(struct wj_jit *j, u32 trap)
{
	u32 pos = j->e.pos;

	wj_x86_mov_imm(&j->e, RCX, trap, true);
	wj_x86_jmp_to(&j->e, j->trap);
	return pos;
}

/* All registers survive but rcx, xmm14, xmm15: this is called between any two instructions. */
static void emit_poll(struct wj_jit *j, u32 routine)
{
	static const u8 saved[] = { RAX, RDX, RSI, RDI, R8, R9, R10, R11 };
	u32 i, at;

	j->poll = j->e.pos;
	for (i = 0; i < ARRAY_SIZE(saved); i++)
		wj_x86_push(&j->e, saved[i]);
	if (j->floats) {
		adjust_sp(j, -8 * WJ_FREGS);
		for (i = 0; i < WJ_FREGS; i++)
			wj_x86_rm(&j->e, X86_MOVS_STORE | X86_F2, wj_jit_freg[i], wj_mem(RSP, (s32)(8 * i)));
	}
	wj_x86_call_to(&j->e, routine);
	j->poll_return = j->e.pos;
	wj_x86_rr(&j->e, X86_MOV, RAX, RCX);
	if (j->floats) {
		for (i = 0; i < WJ_FREGS; i++)
			wj_x86_rm(&j->e, X86_MOVS_LOAD | X86_F2, wj_jit_freg[i], wj_mem(RSP, (s32)(8 * i)));
		adjust_sp(j, 8 * WJ_FREGS);
	}
	for (i = ARRAY_SIZE(saved); i-- > 0;)
		wj_x86_pop(&j->e, saved[i]);
	wj_x86_rr(&j->e, X86_TEST, RCX, RCX);
	at = wj_x86_jcc(&j->e, X86_NE, false);
	wj_patch32(&j->e, at, j->trap);
	wj_jit_return(j);
}

/* CALL_RT: helper ecx, immediates r10d and r11d, up to three arguments in r0.., result to r0. */
static void emit_runtime(struct wj_jit *j, u32 routine)
{
	u32 i, at;

	j->runtime = j->e.pos;
	adjust_sp(j, -24);
	for (i = 0; i < 3; i++)
		wj_x86_rm(&j->e, X86_MOV | X86_W, wj_jit_iarg[i], wj_mem(RSP, (s32)(8 * i)));
	wj_x86_rr(&j->e, X86_MOV, RCX, RSI);
	wj_x86_rr(&j->e, X86_MOV, R10, RDX);
	mov(j, R8, RSP);
	wj_x86_call_to(&j->e, routine);
	wj_x86_rr(&j->e, X86_MOV, RAX, RCX);
	wj_x86_rm(&j->e, X86_LOAD, RAX, wj_mem(RSP, 0));
	adjust_sp(j, 24);
	wj_x86_rr(&j->e, X86_TEST, RCX, RCX);
	at = wj_x86_jcc(&j->e, X86_NE, false);
	wj_patch32(&j->e, at, j->trap);
	wj_jit_return(j);
}

static void emit_constants(struct wj_jit *j)
{
	static const u32 constants[WJ_C_SIZE / 4] = {
		[WJ_C_ABS32 / 4] = 0x7fffffff,
		[WJ_C_SIGN32 / 4] = 0x80000000,
		[WJ_C_ABS64 / 4] = 0xffffffff, 0x7fffffff,
		[WJ_C_SIGN64 / 4] = 0, 0x80000000,
		[WJ_C_MXCSR / 4] = 0x1f80,		/* all exceptions masked, round to nearest */
		[WJ_C_F32_MIN32 / 4] = 0xcf000000,
		[WJ_C_F32_2_63 / 4] = 0x5f000000,
		[WJ_C_F32_MIN64 / 4] = 0xdf000000,
		[WJ_C_F64_MIN32 / 4] = 0x00200000, 0xc1e00000,
		[WJ_C_F64_2_63 / 4] = 0, 0x43e00000,
		[WJ_C_F64_MIN64 / 4] = 0, 0xc3e00000,
	};
	u32 i;

	j->start = j->e.pos;
	for (i = 0; i < ARRAY_SIZE(constants); i++)
		wj_x86_bytes(&j->e, constants[i], 4);
}

void wj_jit_stubs(struct wj_jit *j)
{
	u32 pad, i, poll_routine, runtime_routine, at;

	if (j->mitigations & WJ_MITIGATE_BLIND) {
		for (pad = wj_jit_random(j) & 63; pad > 0; pad--) {
			wj_x86_bytes(&j->e, 0xcc, 1);
			wj_x86_align(&j->e, 64, false);
		}
	}
	emit_constants(j);
	if (j->mitigations & WJ_MITIGATE_BHB)
		emit_clear_bhb(j);
	emit_enter(j);
	wj_x86_align(&j->e, 16, false);
	emit_resume(j);
	emit_trap(j);
	for (i = 0; i < ARRAY_SIZE(j->traps); i++)
		j->traps[i] = emit_trap_with(j, i);

	/* CALL_INDIRECT on an element, whose address is in r11, with another key: returns if of type ecx. */
	j->call_type = j->e.pos;
	wj_x86_rm(&j->e, X86_CMP_LOAD, RCX, wj_mem(R11, offsetof(struct wj_element, key.type_id)));
	at = wj_x86_jcc(&j->e, X86_NE, false);
	wj_jit_return(j);
	wj_patch32(&j->e, at, j->e.pos);
	wj_x86_rm(&j->e, X86_ALU_IMM8, X86_ALU_CMP, wj_mem(R11, offsetof(struct wj_element, ref)));
	wj_imm8(&j->e, 0xff);
	at = wj_x86_jcc(&j->e, X86_E, false);
	wj_patch32(&j->e, at, j->traps[WJ_TRAP_UNINITIALIZED_ELEMENT]);
	wj_x86_jmp_to(&j->e, j->traps[WJ_TRAP_INDIRECT_CALL_TYPE]);

	poll_routine = j->e.pos;
	host_call(j, wj_poll, false);
	emit_poll(j, poll_routine);
	runtime_routine = j->e.pos;
	host_call(j, wj_runtime, true);
	emit_runtime(j, runtime_routine);

	/* For the stubs below, whose argument array is above the return address. */
	j->import = j->e.pos;
	wj_x86_rm(&j->e, X86_LEA | X86_W, RDX, wj_mem(RSP, 8));
	host_call(j, NULL, false);
	j->other_import = j->e.pos;
	wj_x86_rm(&j->e, X86_LEA | X86_W, RDX, wj_mem(RSP, 8));
	host_call(j, wj_call_import, false);
	j->element = j->e.pos;
	wj_x86_rm(&j->e, X86_LEA | X86_W, R8, wj_mem(RSP, 8));
	host_call(j, wj_call_element, true);
}

/*
 * A function that passes its arguments on in an array on the stack, as the C functions that
 * j->import and j->element call want them: `routine` finds it above its return address.
 * Checks the stack itself where the array is large.
 */
static u32 begin_array(struct wj_jit *j, const struct wj_func_type *type)
{
	u32 size = 8 * max(max(type->n_params, type->n_results), 1u);
	u32 i, ints = 0, floats = 0, stack = 0, at;

	if (size > WJ_SMALL_FRAME) {
		wj_x86_rm(&j->e, X86_LEA | X86_W, RCX, wj_mem(RSP, -(s32)size));
		wj_x86_rm(&j->e, X86_CMP | X86_W, RCX, field(offsetof(struct wj_instance, stack_limit)));
		at = wj_x86_jcc(&j->e, X86_A, false);
		wj_patch32(&j->e, at, j->traps[WJ_TRAP_STACK_EXHAUSTED]);
	}
	adjust_sp(j, -(s32)size);
	for (i = 0; i < type->n_params; i++) {
		struct wj_mem to = wj_mem(RSP, (s32)(8 * i));
		bool wide = type->params[i] == WJ_I64 || type->params[i] == WJ_F64;

		if (type->params[i] == WJ_F32 || type->params[i] == WJ_F64) {
			if (floats < WJ_FARGS) {
				/* movd ecx, xmm: zero-extended; movq rcx, xmm */
				wj_x86_rr(&j->e, X86_MOVD_FROM_X | (wide ? X86_W : 0),
					  wj_jit_farg[floats++], RCX);
				wj_x86_rm(&j->e, X86_MOV | X86_W, RCX, to);
				continue;
			}
		} else if (ints < WJ_IARGS) {
			wj_x86_rm(&j->e, X86_MOV | X86_W, wj_jit_iarg[ints++], to);
			continue;
		}
		wj_x86_rm(&j->e, X86_LOAD | (wide ? X86_W : 0), RCX, wj_mem(RSP, (s32)(size + 8 + 8 * stack++)));
		wj_x86_rm(&j->e, X86_MOV | X86_W, RCX, to);
	}
	return size;
}

/* eax: the trap, or 0 and results are in the array, with upper halves of any kind. */
static void end_array(struct wj_jit *j, const struct wj_func_type *type, u32 size)
{
	u32 i, at;

	wj_x86_rr(&j->e, X86_MOV, RAX, RCX);
	wj_x86_rr(&j->e, X86_TEST, RCX, RCX);
	at = wj_x86_jcc(&j->e, X86_NE, false);
	/* The host went on after traps of guest functions it called, if any: no backtrace (ecx is 0). */
	wj_x86_rm(&j->e, X86_MOV, RCX, field(offsetof(struct wj_instance, n_frames)));
	for (i = 1; i < type->n_results; i++) {
		bool wide = type->results[i] == WJ_I64 || type->results[i] == WJ_F64;

		wj_x86_rm(&j->e, X86_LOAD | (wide ? X86_W : 0), RCX, wj_mem(RSP, (s32)(8 * i)));
		wj_x86_rm(&j->e, X86_MOV | X86_W, RCX, field(j->layout.results + 8 * (i - 1)));
	}
	if (type->n_results) {
		switch (type->results[0]) {
		case WJ_F32:
			wj_x86_rm(&j->e, X86_MOVS_LOAD | X86_F3, 0, wj_mem(RSP, 0));
			break;
		case WJ_F64:
			wj_x86_rm(&j->e, X86_MOVS_LOAD | X86_F2, 0, wj_mem(RSP, 0));
			break;
		default:
			wj_x86_rm(&j->e, X86_LOAD | (type->results[0] == WJ_I64 ? X86_W : 0), RAX, wj_mem(RSP, 0));
			break;
		}
	}
	adjust_sp(j, (s32)size);
	wj_jit_return(j);
	wj_patch32(&j->e, at, j->e.pos);
	adjust_sp(j, (s32)size);
	wj_x86_jmp_to(&j->e, j->trap);
}

void wj_jit_import_stub(struct wj_jit *j, u32 import)
{
	const struct wj_func_type *type = &j->image->types[j->image->functions[import].type];
	s32 binding = (s32)(j->layout.bindings + import * sizeof(struct wj_binding));
	u32 size, other, end;

	endbr(j);
	size = begin_array(j, type);
	load_field(j, R11, binding + offsetof(struct wj_binding, host));
	wj_x86_rr(&j->e, X86_TEST | X86_W, R11, R11);
	other = wj_x86_jcc(&j->e, X86_E, false);
	load_field(j, RSI, binding + offsetof(struct wj_binding, data));
	wj_x86_rm(&j->e, X86_ALU_IMM8 | X86_W, X86_ALU_ADD, field(offsetof(struct wj_instance, stats.host_calls)));
	wj_imm8(&j->e, 1);
	wj_x86_call_to(&j->e, j->import);
	end = wj_x86_jmp(&j->e, false);
	wj_patch32(&j->e, other, j->e.pos);
	/* Another instance's function, or nobody's. */
	wj_x86_mov_imm(&j->e, RSI, import, true);
	wj_x86_call_to(&j->e, j->other_import);
	wj_patch32(&j->e, end, j->e.pos);
	end_array(j, type, size);
}

/* Table in r10d, element in r11d; called directly only. */
void wj_jit_type_stub(struct wj_jit *j, u32 index)
{
	const struct wj_func_type *type = &j->image->types[index];
	u32 size = begin_array(j, type);

	wj_x86_rr(&j->e, X86_MOV, R10, RSI);
	wj_x86_rr(&j->e, X86_MOV, R11, RDX);
	wj_x86_mov_imm(&j->e, R11, index, true);
	wj_x86_call_to(&j->e, j->element);
	end_array(j, type, size);
}
