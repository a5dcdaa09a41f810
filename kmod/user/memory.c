// SPDX-License-Identifier: GPL-2.0-only
/* Memory of the user-space host: allocations, linear memory, the guest's native stack, copies. */
#include <asm/mman.h>
#include <linux/mman.h>
#include "user.h"

#define PAGE 4096ul

static void *map(size_t size, int prot, int flags)
{
	long ret = syscall6(__NR_mmap, 0, size, prot, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);

	return is_error(ret) ? NULL : (void *)ret;
}

/*
 * Allocations: powers of two from 32 bytes to LARGE come from free lists, larger ones are mappings.
 * A header of 16 bytes keeps the size.  Never called from a signal handler's context that
 * interrupted it: handlers run at safe points only.
 */
#define LARGE (16ul << 10)
#define CHUNK (256ul << 10)
#define CLASSES 10
static_assert(32ul << (CLASSES - 1) == LARGE, "free_blocks");

struct header {
	size_t size;		/* of the whole block */
	struct header *next;	/* while free */
};
static_assert(sizeof(struct header) == 16, "keeps allocations aligned to 16");

static struct header *free_blocks[CLASSES];
/* Enough for a guest in the kernel: so there is a mapping less, and its page table, that fork copies. */
static u8 first_chunk[CHUNK / 4] __attribute__((aligned(16)));
static u8 *chunk = first_chunk;
static size_t chunk_left = sizeof(first_chunk);

void *wj_alloc(size_t size)
{
	struct header *h;
	unsigned int class = 0;
	size_t block = 32;

	if (check_add_overflow(size, sizeof(*h), &size))
		return NULL;
	if (size > LARGE) {
		if (check_add_overflow(size, PAGE - 1, &size))
			return NULL;
		size &= -PAGE;
		h = map(size, PROT_READ | PROT_WRITE, 0);
		if (!h)
			return NULL;
		h->size = size;
		return h + 1;
	}
	while (block < size) {
		block *= 2;
		class++;
	}
	h = free_blocks[class];
	if (h) {
		free_blocks[class] = h->next;
		memset(h + 1, 0, block - sizeof(*h));
	} else {
		if (chunk_left < block) {
			chunk = map(CHUNK, PROT_READ | PROT_WRITE, 0);
			chunk_left = chunk ? CHUNK : 0;
			if (!chunk)
				return NULL;
		}
		h = (struct header *)chunk;
		chunk += block;
		chunk_left -= block;
	}
	h->size = block;
	h->next = NULL;
	return h + 1;
}

void wj_free(void *p)
{
	struct header *h = p;
	unsigned int class = 0;

	if (!h)
		return;
	h--;
	if (h->size > LARGE) {
		syscall2(__NR_munmap, (long)h, h->size);
		return;
	}
	while (32ul << class < h->size)
		class++;
	h->next = free_blocks[class];
	free_blocks[class] = h;
}

static u64 max_memory = 1ull << 32;

void memory_limit(u64 bytes)
{
	max_memory = bytes;
}

int wj_memory_reserve(u64 *base)
{
	void *p = map(WJ_RESERVE, PROT_NONE, MAP_NORESERVE);

	if (!p)
		return -ENOMEM;
	*base = (u64)p;
	return 0;
}

int wj_memory_grow(u64 base, u64 old_size, u64 new_size)
{
	if (new_size > max_memory)
		return -ENOMEM;
	if (new_size == old_size)
		return 0;
	return syscall3(__NR_mprotect, base + old_size, new_size - old_size, PROT_READ | PROT_WRITE);
}

void wj_memory_release(u64 base)
{
	syscall2(__NR_munmap, base, WJ_RESERVE);
}

/*
 * As large as a shell's default `ulimit -s`.  Signal frames are pushed onto this stack below the
 * guest's, so the limit leaves room for nested ones (an AVX-512 frame has 4 KiB).
 */
#define GUEST_STACK (8ul << 20)
#define STACK_HEADROOM (64ul << 10)

int wj_stack_get(struct wj_process *p, u64 *limit, u64 *top)
{
	static u8 *stack;

	(void)p;
	if (!stack)
		stack = map(GUEST_STACK, PROT_READ | PROT_WRITE, MAP_NORESERVE | MAP_STACK);
	if (!stack)
		return -ENOMEM;
	*limit = (u64)stack + STACK_HEADROOM;
	*top = (u64)stack + GUEST_STACK;
	return 0;
}

u64 wj_scratch(struct wj_process *p)
{
	static u8 *scratch;

	(void)p;
	if (!scratch)
		scratch = map(WJ_SCRATCH_SIZE, PROT_READ | PROT_WRITE, 0);
	return (u64)scratch;	/* without memory 0, which is EFAULT for the kernel, too */
}

int wj_user_copy(void *dst, const void *src, size_t size);
int wj_user_copy_down(void *dst, const void *src, size_t size);
int wj_user_set(void *dst, int byte, size_t size);

int wj_copy_from_user(void *dst, u64 src, size_t size)
{
	return wj_user_copy(dst, (const void *)src, size);
}

int wj_copy_to_user(u64 dst, const void *src, size_t size)
{
	return wj_user_copy((void *)dst, src, size);
}

int wj_zero_user(u64 dst, size_t size)
{
	return wj_user_set((void *)dst, 0, size);
}

int wj_fill_user(u64 dst, u8 byte, size_t size)
{
	return wj_user_set((void *)dst, byte, size);
}

int wj_move_user(u64 dst, u64 src, size_t size)
{
	if (dst <= src || dst - src >= size)
		return wj_user_copy((void *)dst, (const void *)src, size);
	return wj_user_copy_down((void *)dst, (const void *)src, size);
}
