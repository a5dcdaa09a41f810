/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What C cannot say: the entry point, the signal restorer, the one place where guests' system
 * calls are made, and copies that survive a fault.  x86-64, user space, no libc.
 */
	.text

#ifndef WJ_HOSTED
/* System V ABI 3.4.1: the stack holds argc, argv[], NULL, envp[], NULL. */
	.globl _start
	.type _start, @function
_start:
	xorl %ebp, %ebp
	movq (%rsp), %rdi
	leaq 8(%rsp), %rsi
	leaq 16(%rsp,%rdi,8), %rdx
	andq $-16, %rsp
	call main
	movl %eax, %edi
	movl $231, %eax			/* exit_group */
	syscall
	ud2
	.size _start, . - _start
#endif

	.globl wj_sigreturn
	.type wj_sigreturn, @function
wj_sigreturn:
	movl $15, %eax			/* rt_sigreturn */
	syscall
	.size wj_sigreturn, . - wj_sigreturn

/*
 * long wj_syscall_point(const u32 *pending, long nr, const u64 args[6], u32 *was_pending)
 *
 * The system call, unless *pending: then *was_pending becomes 1.  A signal that arrives between
 * _begin and _end was there before the call, restarts it or interrupted it: signal.c delivers it
 * at once.  Between the test and the instruction nothing can be missed.
 */
	.globl wj_syscall_point, wj_syscall_begin, wj_syscall_end
	.type wj_syscall_point, @function
wj_syscall_point:
	pushq %rbx
	pushq %rcx
	movq %rdi, %rbx
	movq %rsi, %rax
	movq %rdx, %r11
	movq 0(%r11), %rdi
	movq 8(%r11), %rsi
	movq 16(%r11), %rdx
	movq 24(%r11), %r10
	movq 32(%r11), %r8
	movq 40(%r11), %r9
wj_syscall_begin:
	cmpl $0, (%rbx)
	jne 1f
	syscall
wj_syscall_end:
	popq %rcx
	popq %rbx
	ret
1:	popq %rcx
	popq %rbx
	movl $1, (%rcx)
	xorl %eax, %eax
	ret
	.size wj_syscall_point, . - wj_syscall_point

/*
 * long wj_ioctl(int fd, unsigned long command, void *argument): ioctl(2).  At _point the kernel has
 * yet to make it, or makes it again.
 */
	.globl wj_ioctl, wj_ioctl_point
	.type wj_ioctl, @function
wj_ioctl:
	movl $16, %eax
wj_ioctl_point:
	syscall
	ret
	.size wj_ioctl, . - wj_ioctl

/*
 * int wj_user_copy(void *dst, const void *src, size_t size)
 * int wj_user_copy_down(...)	the same from the end downwards
 * int wj_user_set(void *dst, int byte, size_t size)
 *
 * A fault between _first and _last continues at _fault, with the stack as on entry.
 */
	.globl wj_user_copy, wj_user_copy_down, wj_user_set
	.globl wj_user_access_first, wj_user_access_last, wj_user_access_fault
wj_user_access_first:
	.type wj_user_copy, @function
wj_user_copy:
	cmpq $16, %rdx
	ja 5f
	cmpq $8, %rdx
	jae 4f
	cmpq $4, %rdx
	jae 3f
	testq %rdx, %rdx
	jz 2f
1:	movb -1(%rsi,%rdx), %al
	movb %al, -1(%rdi,%rdx)
	decq %rdx
	jnz 1b
2:	xorl %eax, %eax
	ret
3:	movl (%rsi), %eax
	movl -4(%rsi,%rdx), %ecx
	movl %eax, (%rdi)
	movl %ecx, -4(%rdi,%rdx)
	xorl %eax, %eax
	ret
4:	movq (%rsi), %rax
	movq -8(%rsi,%rdx), %rcx
	movq %rax, (%rdi)
	movq %rcx, -8(%rdi,%rdx)
	xorl %eax, %eax
	ret
5:	movq %rdx, %rcx
	rep movsb
	xorl %eax, %eax
	ret
	.size wj_user_copy, . - wj_user_copy

	.type wj_user_copy_down, @function
wj_user_copy_down:
	cmpq $8, %rdx
	jb 2f
1:	movq -8(%rsi,%rdx), %rax
	movq %rax, -8(%rdi,%rdx)
	subq $8, %rdx
	cmpq $8, %rdx
	jae 1b
2:	testq %rdx, %rdx
	jz 4f
3:	movb -1(%rsi,%rdx), %al
	movb %al, -1(%rdi,%rdx)
	decq %rdx
	jnz 3b
4:	xorl %eax, %eax
	ret
	.size wj_user_copy_down, . - wj_user_copy_down

	.type wj_user_set, @function
wj_user_set:
	movl %esi, %eax
	movq %rdx, %rcx
	rep stosb
	xorl %eax, %eax
	ret
	.size wj_user_set, . - wj_user_set

/*
 * int wj_load_user(u64 src, size_t size, u64 *ret)
 * int wj_store_user(u64 dst, size_t size, u64 value)
 * int wj_cmpxchg_user(u64 at, size_t size, u64 *expected, u64 desired)
 *
 * platform.h; size is 1, 2, 4 or 8.
 */
	.globl wj_load_user, wj_store_user, wj_cmpxchg_user
	.type wj_load_user, @function
wj_load_user:
	cmpl $4, %esi
	ja 8f
	je 4f
	cmpl $1, %esi
	ja 2f
	movzbl (%rdi), %eax
	jmp 1f
2:	movzwl (%rdi), %eax
	jmp 1f
4:	movl (%rdi), %eax
	jmp 1f
8:	movq (%rdi), %rax
1:	movq %rax, (%rdx)
	xorl %eax, %eax
	ret
	.size wj_load_user, . - wj_load_user

	.type wj_store_user, @function
wj_store_user:
	xorl %eax, %eax
	cmpl $4, %esi
	ja 8f
	je 4f
	cmpl $1, %esi
	ja 2f
	movb %dl, (%rdi)
	ret
2:	movw %dx, (%rdi)
	ret
4:	movl %edx, (%rdi)
	ret
8:	movq %rdx, (%rdi)
	ret
	.size wj_store_user, . - wj_store_user

	.type wj_cmpxchg_user, @function
wj_cmpxchg_user:
	movq (%rdx), %rax
	cmpl $4, %esi
	ja 8f
	je 4f
	cmpl $1, %esi
	ja 2f
	lock cmpxchgb %cl, (%rdi)
	jmp 1f
2:	lock cmpxchgw %cx, (%rdi)
	jmp 1f
4:	lock cmpxchgl %ecx, (%rdi)
	jmp 1f
8:	lock cmpxchgq %rcx, (%rdi)
1:	movq %rax, (%rdx)
	xorl %eax, %eax
	ret
	.size wj_cmpxchg_user, . - wj_cmpxchg_user
wj_user_access_last:
wj_user_access_fault:
	movl $-14, %eax			/* -EFAULT */
	ret

	.section .note.GNU-stack, "", @progbits
