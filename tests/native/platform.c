// SPDX-License-Identifier: GPL-2.0-only
/* platform.h over libc, for tests of core/ alone: no launcher, no kernel. */
#define _GNU_SOURCE
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <time.h>
#include <ucontext.h>
#include "native.h"

struct native native = { .fail_allocation = -1 };

/*
 * Canaries, for machine code, which no sanitizer watches: around each allocation (instances are
 * what guest code writes to), above and below the guest's stack.  Linear memory has inaccessible
 * pages on both sides.
 */
#define CANARY 0xa5
#define RED_ZONE 64

static void broken(const char *what)
{
	fprintf(stderr, "canary: %s was written\n", what);
	abort();
}

static void check_canary(const u8 *from, size_t size, const char *what)
{
	size_t i;

	for (i = 0; i < size; i++)
		if (from[i] != CANARY)
			broken(what);
}

struct block {
	size_t size;
	struct block *next, **link;
	u8 zone[RED_ZONE];
};
static struct block *blocks;

static_assert(sizeof(struct block) % 8 == 0, "allocations are aligned");

static void check_block(const struct block *b)
{
	check_canary(b->zone, RED_ZONE, "memory before an allocation");
	check_canary((const u8 *)(b + 1) + b->size, RED_ZONE, "memory behind an allocation");
}

static u8 *guest_stack;
#define GUEST_STACK (1ul << 20)
#define HEADROOM (64ul << 10)
/* A frame of 256 bytes, a leaf's of as many, and return addresses are below the limit: WJ_SMALL_FRAME. */
#define BELOW_LIMIT 1024ul
#define ABOVE_TOP 4096ul

void native_check_canaries(void)
{
	const struct block *b;

	for (b = blocks; b; b = b->next)
		check_block(b);
	if (guest_stack) {
		check_canary(guest_stack, HEADROOM - BELOW_LIMIT, "the stack below its limit");
		check_canary(guest_stack + GUEST_STACK, ABOVE_TOP, "the stack above its top");
	}
}

void *wj_alloc(size_t size)
{
	struct block *b;

	if (native.fail_allocation >= 0 && !native.fail_allocation--)
		return NULL;
	if (!native.canaries) {
		void *p = calloc(1, size);

		native.allocations += !!p;
		return p;
	}
	b = calloc(1, sizeof(*b) + size + RED_ZONE);
	if (!b)
		return NULL;
	native.allocations++;
	b->size = size;
	memset(b->zone, CANARY, RED_ZONE);
	memset((u8 *)(b + 1) + size, CANARY, RED_ZONE);
	b->next = blocks;
	b->link = &blocks;
	if (blocks)
		blocks->link = &b->next;
	blocks = b;
	return b + 1;
}

void *wj_memdup(const void *from, size_t size)
{
	void *copy = wj_alloc(size);

	if (copy)
		memcpy(copy, from, size);
	return copy;
}

void wj_free(void *p)
{
	struct block *b = p;

	native.allocations -= !!p;
	if (!native.canaries || !p) {
		free(p);
		return;
	}
	b--;
	check_block(b);
	*b->link = b->next;
	if (b->next)
		b->next->link = b->link;
	free(b);
}

/* Machine code and its fixups, for the fault handler. */
static struct region {
	struct wj_exec exec;
	const struct wj_fixup *fixups;
	u32 count;
} regions[4096];

int wj_exec_alloc(struct wj_exec *exec, size_t size)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(regions) && regions[i].exec.code; i++)
		;
	if (i == ARRAY_SIZE(regions))
		return -ENOMEM;
	size = (size + 4095) & ~4095ul;
#ifndef MAP_32BIT
#define MAP_32BIT 0	/* no JIT here that would need it */
#endif
	exec->code = mmap(NULL, size, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	if (exec->code == MAP_FAILED)
		return -ENOMEM;
	exec->size = size;
	memset(exec->code, 0xcc, size);
	mprotect(exec->code, size, PROT_READ | PROT_EXEC);
	regions[i].exec = *exec;
	return 0;
}

int wj_exec_write(struct wj_exec *exec, size_t offset, const void *src, size_t size)
{
	if (offset > exec->size || size > exec->size - offset)
		return -EINVAL;
	mprotect(exec->code, exec->size, PROT_READ | PROT_WRITE);
	memcpy(exec->code + offset, src, size);
	mprotect(exec->code, exec->size, PROT_READ | PROT_EXEC);
	return 0;
}

static struct region *find_region(const void *pc)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(regions); i++)
		if ((u8 *)pc >= regions[i].exec.code &&
		    (u8 *)pc < regions[i].exec.code + regions[i].exec.size)
			return &regions[i];
	return NULL;
}

int wj_exec_fixups(struct wj_exec *exec, const struct wj_fixup *fixups, u32 count)
{
	struct region *region = find_region(exec->code);

	if (!region)
		return -EINVAL;
	region->fixups = fixups;
	region->count = count;
	return 0;
}

void wj_exec_free(struct wj_exec *exec)
{
	struct region *region = exec->code ? find_region(exec->code) : NULL;

	if (!region)
		return;
	munmap(exec->code, exec->size);
	memset(region, 0, sizeof(*region));
	exec->code = NULL;
}

#ifdef __x86_64__
static void on_fault(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;
	u64 pc = (u64)uc->uc_mcontext.gregs[REG_RIP];
	struct region *region = find_region((void *)pc);
	u32 i;

	for (i = 0; region && i < region->count; i++) {
		if (pc != (u64)region->exec.code + region->fixups[i].fault)
			continue;
		uc->uc_mcontext.gregs[REG_RIP] =
			(greg_t)(region->exec.code + region->fixups[i].landing);
		return;
	}
	fprintf(stderr, "fault at %p, pc %llx\n", info->si_addr, pc);
	signal(sig, SIG_DFL);
}
#endif

void native_init(void)
{
	native.canaries = getenv("WJ_CANARIES");
#ifdef __x86_64__
	static char stack[65536] __attribute__((aligned(16)));
	stack_t ss = { .ss_sp = stack, .ss_size = sizeof(stack) };
	struct sigaction action = {
		.sa_sigaction = on_fault,
		.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER,
	};

	sigaltstack(&ss, NULL);
	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
#endif
}

int wj_stack_get(struct wj_process *p, u64 *limit, u64 *top)
{
	u8 *stack = guest_stack;

	(void)p;
	if (!stack) {
		stack = mmap(NULL, GUEST_STACK + ABOVE_TOP, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (stack == MAP_FAILED)
			return -ENOMEM;
		memset(stack, CANARY, HEADROOM);
		memset(stack + GUEST_STACK, CANARY, ABOVE_TOP);
		guest_stack = stack;
	}
	*limit = (u64)stack + HEADROOM;
	*top = (u64)stack + GUEST_STACK;
	return 0;
}

/* Nothing else is next to linear memory: whatever touches this dies of it. */
#define BESIDE (1ull << 20)

int wj_memory_reserve(u64 *base)
{
	void *p;

	if (native.fail_allocation >= 0 && !native.fail_allocation--)
		return -ENOMEM;
	p = mmap(NULL, WJ_RESERVE + 2 * BESIDE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		return -ENOMEM;
	native.allocations++;
	*base = (u64)p + BESIDE;
	return 0;
}

int wj_memory_grow(u64 base, u64 old_size, u64 new_size)
{
	if (native.fail_allocation >= 0 && !native.fail_allocation--)
		return -ENOMEM;
	return mprotect((void *)(base + old_size), new_size - old_size, PROT_READ | PROT_WRITE) ?
		-ENOMEM : 0;
}

void wj_memory_release(u64 base)
{
	native.allocations--;
	munmap((void *)(base - BESIDE), WJ_RESERVE + 2 * BESIDE);
}

int wj_copy_from_user(void *dst, u64 src, size_t size)
{
	memcpy(dst, (const void *)src, size);
	return 0;
}

int wj_copy_to_user(u64 dst, const void *src, size_t size)
{
	memcpy((void *)dst, src, size);
	return 0;
}

int wj_zero_user(u64 dst, size_t size)
{
	memset((void *)dst, 0, size);
	return 0;
}

int wj_move_user(u64 dst, u64 src, size_t size)
{
	memmove((void *)dst, (const void *)src, size);
	return 0;
}

int wj_fill_user(u64 dst, u8 byte, size_t size)
{
	memset((void *)dst, byte, size);
	return 0;
}

/* One access of a type wherever the compiler and the machine have one for it, aligned or not. */
#define LOAD(type)							\
	do {								\
		type value;						\
									\
		memcpy(&value, (const void *)src, sizeof(value));	\
		*ret = value;						\
	} while (0)

int wj_load_user(u64 src, size_t size, u64 *ret)
{
	if (size == 1)
		LOAD(u8);
	else if (size == 2)
		LOAD(u16);
	else if (size == 4)
		LOAD(u32);
	else
		LOAD(u64);
	return 0;
}

#define STORE(type)							\
	do {								\
		type narrow = (type)value;				\
									\
		memcpy((void *)dst, &narrow, sizeof(narrow));		\
	} while (0)

int wj_store_user(u64 dst, size_t size, u64 value)
{
	if (size == 1)
		STORE(u8);
	else if (size == 2)
		STORE(u16);
	else if (size == 4)
		STORE(u32);
	else
		STORE(u64);
	return 0;
}

#define CMPXCHG(type)							\
	do {								\
		type old = (type)*expected;				\
									\
		__atomic_compare_exchange_n((type *)at, &old, (type)desired, false, \
					    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST); \
		*expected = old;					\
	} while (0)

int wj_cmpxchg_user(u64 at, size_t size, u64 *expected, u64 desired)
{
	if (size == 1)
		CMPXCHG(u8);
	else if (size == 2)
		CMPXCHG(u16);
	else if (size == 4)
		CMPXCHG(u32);
	else
		CMPXCHG(u64);
	return 0;
}

int wj_breathe(void)
{
	return 0;
}

u32 wj_poll_mask(void)
{
	return ~0u;
}

/* A C function may change all of these; most change few. */
void native_clobber(void)
{
#ifdef __x86_64__
	__asm__ volatile("mov $-3, %%rax; mov %%rax, %%rcx; mov %%rax, %%rdx; mov %%rax, %%rsi\n"
			 "mov %%rax, %%rdi; mov %%rax, %%r8; mov %%rax, %%r9; mov %%rax, %%r10; mov %%rax, %%r11\n"
			 "movq %%rax, %%xmm0; movq %%rax, %%xmm1; movq %%rax, %%xmm2; movq %%rax, %%xmm3\n"
			 "movq %%rax, %%xmm4; movq %%rax, %%xmm5; movq %%rax, %%xmm6; movq %%rax, %%xmm7\n"
			 "movq %%rax, %%xmm8; movq %%rax, %%xmm9; movq %%rax, %%xmm10; movq %%rax, %%xmm11\n"
			 "movq %%rax, %%xmm12; movq %%rax, %%xmm13; movq %%rax, %%xmm14; movq %%rax, %%xmm15"
			 : : : "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "cc",
			 "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7",
			 "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
#endif
}

/* Counts; traps at the poll the test asked for, else clears the flags every time. */
int wj_poll(struct wj_instance *inst)
{
	native_clobber();
	native.polls++;
	if (native.polls_to_trap && !--native.polls_to_trap)
		return WJ_TRAP_INTERRUPTED;
	if (!native.polls_to_trap)
		*wj_poll_flags(inst) = 0;
	return 0;
}

u64 wj_clock_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (u64)t.tv_sec * 1000000000 + (u64)t.tv_nsec;
}

void wj_random(void *dst, size_t size)
{
	if (getrandom(dst, size, 0) != (ssize_t)size)
		memset(dst, 0x5a, size);
}

u32 wj_mitigations(void)
{
	return native.mitigations;
}

#ifdef __x86_64__
/* As the kernel's, but for alignment and alternatives. */
__asm__(".text\n"
	"thunk_rcx: call 2f\n"
	"1: pause; lfence; jmp 1b\n"
	"2: mov %rcx, (%rsp)\n"
	"thunk_return: ret\n"
	"thunk_r11: call 2f\n"
	"1: pause; lfence; jmp 1b\n"
	"2: mov %r11, (%rsp)\n"
	"ret\n"
	"thunk_r10: call 2f\n"
	"1: pause; lfence; jmp 1b\n"
	"2: mov %r10, (%rsp)\n"
	"ret\n");
extern const u8 thunk_rcx[], thunk_r10[], thunk_r11[], thunk_return[];

const void *wj_indirect_thunk(unsigned int reg)
{
	return reg == 1 ? thunk_rcx : reg == 10 ? thunk_r10 : reg == 11 ? thunk_r11 : NULL;
}

const void *wj_return_thunk(void)
{
	return thunk_return;
}
#endif

void wj_log(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
}
