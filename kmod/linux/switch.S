/* SPDX-License-Identifier: GPL-2.0-only */
/* Changing stacks. */
#include <linux/linkage.h>
#include <asm/nospec-branch.h>

	.text

/*
 * void wj_switch(u64 *save, u64 sp): suspend this stack, its pointer in *save, and go on on the
 * one that another wj_switch suspended at sp.
 */
SYM_FUNC_START(wj_switch)
	pushq %rbp
	pushq %rbx
	pushq %r12
	pushq %r13
	pushq %r14
	pushq %r15
	movq %rsp, (%rdi)
	movq %rsi, %rsp
	popq %r15
	popq %r14
	popq %r13
	popq %r12
	popq %rbx
	popq %rbp
	RET
SYM_FUNC_END(wj_switch)

/* The first to run on a new stack: rbx is the function, rbp its argument; it never returns. */
SYM_CODE_START(wj_switch_start)
	movq %rbp, %rdi
	xorl %ebp, %ebp
	movq %rbx, %rax
	CALL_NOSPEC rax
	ud2
SYM_CODE_END(wj_switch_start)

/* long wj_call_on(void *function, void *argument, u64 sp): call it on another stack. */
SYM_FUNC_START(wj_call_on)
	pushq %rbp
	movq %rsp, %rbp
	movq %rdx, %rsp
	andq $-16, %rsp
	movq %rdi, %rax
	movq %rsi, %rdi
	CALL_NOSPEC rax
	movq %rbp, %rsp
	popq %rbp
	RET
SYM_FUNC_END(wj_call_on)

	.section .note.GNU-stack, "", @progbits
