/* SPDX-License-Identifier: GPL-2.0-only */
/* Changing stacks, and copies inside user memory. */
#include <linux/linkage.h>
#include <linux/objtool.h>
#include <asm/asm.h>
#include <asm/nospec-branch.h>
#include <asm/smap.h>

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
STACK_FRAME_NON_STANDARD wj_switch

/* The first to run on a new stack: rbx is the function, rbp its argument; it never returns. */
SYM_FUNC_START(wj_switch_start)
	ANNOTATE_NOENDBR		/* wj_switch returns to it */
	movq %rbp, %rdi
	xorl %ebp, %ebp
	movq %rbx, %rax
	CALL_NOSPEC rax
	ud2
SYM_FUNC_END(wj_switch_start)
STACK_FRAME_NON_STANDARD wj_switch_start

/*
 * size_t wj_user_fill(u64 dst, u8 byte, size_t size)
 * size_t wj_user_move_up(u64 dst, u64 src, size_t size)
 * size_t wj_user_move_down(u64 dst, u64 src, size_t size)	from the end
 *
 * The caller has checked that the ranges are user memory.  Returns how many bytes are left after
 * a fault.
 */
SYM_FUNC_START(wj_user_fill)
	movl %esi, %eax
	movq %rdx, %rcx
	ASM_STAC
1:	rep stosb
2:	ASM_CLAC
	movq %rcx, %rax
	RET
	_ASM_EXTABLE(1b, 2b)
SYM_FUNC_END(wj_user_fill)

SYM_FUNC_START(wj_user_move_up)
	movq %rdx, %rcx
	ASM_STAC
1:	rep movsb
2:	ASM_CLAC
	movq %rcx, %rax
	RET
	_ASM_EXTABLE(1b, 2b)
SYM_FUNC_END(wj_user_move_up)

SYM_FUNC_START(wj_user_move_down)
	ASM_STAC
1:	cmpq $8, %rdx
	jb 4f
2:	movq -8(%rsi,%rdx), %rax
3:	movq %rax, -8(%rdi,%rdx)
	subq $8, %rdx
	jmp 1b
4:	testq %rdx, %rdx
	jz 7f
5:	movb -1(%rsi,%rdx), %al
6:	movb %al, -1(%rdi,%rdx)
	decq %rdx
	jmp 4b
7:	ASM_CLAC
	movq %rdx, %rax
	RET
	_ASM_EXTABLE(2b, 7b)
	_ASM_EXTABLE(3b, 7b)
	_ASM_EXTABLE(5b, 7b)
	_ASM_EXTABLE(6b, 7b)
SYM_FUNC_END(wj_user_move_down)

/*
 * int wj_user_cmpxchg(u64 at, size_t size, u64 *expected, u64 desired): wj_cmpxchg_user, whose
 * caller has checked the address.
 */
SYM_FUNC_START(wj_user_cmpxchg)
	movq (%rdx), %rax
	ASM_STAC
	cmpl $4, %esi
	ja 4f
	je 3f
	cmpl $1, %esi
	ja 2f
1:	lock cmpxchgb %cl, (%rdi)
	jmp 5f
2:	lock cmpxchgw %cx, (%rdi)
	jmp 5f
3:	lock cmpxchgl %ecx, (%rdi)
	jmp 5f
4:	lock cmpxchgq %rcx, (%rdi)
5:	ASM_CLAC
	movq %rax, (%rdx)
	xorl %eax, %eax
	RET
6:	ASM_CLAC
	movl $-14, %eax			/* -EFAULT */
	RET
	_ASM_EXTABLE(1b, 6b)
	_ASM_EXTABLE(2b, 6b)
	_ASM_EXTABLE(3b, 6b)
	_ASM_EXTABLE(4b, 6b)
SYM_FUNC_END(wj_user_cmpxchg)

	.section .note.GNU-stack, "", @progbits
