// SPDX-License-Identifier: GPL-2.0-only
/* Executable memory of the user-space host, and which of its instructions may fault. */
#include <asm/mman.h>
#include <linux/mman.h>
#include "user.h"

/* A guest has one; the test suite (script.c) has one per module. */
#define MAX_CODES 4096
static struct code {
	struct wj_exec exec;
	const struct wj_fixup *fixups;	/* sorted by fault */
	u32 count;
} *codes;			/* MAX_CODES of them, once there is one */

static struct code *find(const struct wj_exec *exec)
{
	for (u32 i = 0; codes && i < MAX_CODES; i++) {
		if (codes[i].exec.code == exec->code)
			return &codes[i];
	}
	return NULL;
}

int wj_exec_alloc(struct wj_exec *exec, size_t size)
{
	const struct wj_exec none = { 0 };
	struct code *code;
	long ret;

	if (!codes)
		codes = wj_alloc(MAX_CODES * sizeof(*codes));
	code = find(&none);
	if (!code)
		return -ENOSPC;
	/* In the low 2 GiB, as is the launcher itself: see platform.h. */
	ret = syscall6(__NR_mmap, 0, size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	if (is_error(ret))
		return ret;
	exec->code = (u8 *)ret;
	exec->size = size;
	memset(exec->code, 0xcc, size);
	code->exec = *exec;
	code->count = 0;
	return syscall3(__NR_mprotect, ret, size, PROT_READ | PROT_EXEC);
}

int wj_exec_write(struct wj_exec *exec, size_t offset, const void *src, size_t size)
{
	long ret;

	if (offset > exec->size || size > exec->size - offset)
		return -EINVAL;
	ret = syscall3(__NR_mprotect, (long)exec->code, exec->size, PROT_READ | PROT_WRITE);
	if (ret)
		return ret;
	memcpy(exec->code + offset, src, size);
	return syscall3(__NR_mprotect, (long)exec->code, exec->size, PROT_READ | PROT_EXEC);
}

int wj_exec_fixups(struct wj_exec *exec, const struct wj_fixup *fixups, u32 count)
{
	struct code *code = find(exec);

	if (!code)
		return -EINVAL;
	code->fixups = fixups;
	code->count = count;
	return 0;
}

void wj_exec_free(struct wj_exec *exec)
{
	struct code *code = exec->code ? find(exec) : NULL;

	if (!code)
		return;
	syscall2(__NR_munmap, (long)exec->code, exec->size);
	*code = (struct code){ 0 };
	exec->code = NULL;
}

bool exec_fixup(u64 pc, u64 *landing)
{
	for (u32 i = 0; codes && i < MAX_CODES; i++) {
		const struct code *code = &codes[i];
		u32 offset, at;

		if (pc - (u64)code->exec.code >= code->exec.size)
			continue;
		offset = pc - (u64)code->exec.code;
		at = wj_lower_bound((const u32 *)code->fixups, sizeof(*code->fixups) / 4, code->count, offset);
		if (at == code->count || code->fixups[at].fault != offset)
			return false;
		*landing = (u64)code->exec.code + code->fixups[at].landing;
		return true;
	}
	return false;
}

u32 wj_mitigations(void)
{
	return 0;
}

const void *wj_indirect_thunk(unsigned int reg)
{
	(void)reg;
	return NULL;
}

const void *wj_return_thunk(void)
{
	return NULL;
}
