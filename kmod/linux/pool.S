/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where guest code runs: a section without contents, so the loader allocates it inside the
 * module, executable and read-only, in rel32 reach of the kernel; exec.c writes it through
 * another mapping.  Not named .text.*, of which the assembler knows better what it contains.
 */
	.section .jitpool, "ax", @nobits
	.balign 4096
	.globl wj_pool
wj_pool:
	.skip WJ_POOL_MB << 20

	.section .note.GNU-stack, "", @progbits
