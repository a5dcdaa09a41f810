// SPDX-License-Identifier: GPL-2.0-only
/* Memory: allocations of a context, its stacks, linear memory, copies from and to user memory. */
#include <linux/cred.h>
#include <linux/kasan-checks.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/random.h>
#include <linux/slab.h>
#include <linux/time_namespace.h>
#include <linux/timekeeping.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>
#include "kernel.h"

#define MAX_ALLOCATION	(1ul << 30)

/* Before each allocation; keeps it aligned to 16. */
struct header {
	struct list_head link;		/* in an arena's allocations, or empty */
	u64 unused[2];
};

static void *allocate(size_t size, gfp_t flags)
{
	struct wj_context *c = wj_current_context();
	struct header *h;

	if (size > MAX_ALLOCATION)
		return NULL;
	h = kvmalloc(size + sizeof(*h), GFP_KERNEL_ACCOUNT | __GFP_NOWARN | flags);
	if (!h)
		return NULL;
	if (c)
		list_add(&h->link, &c->arena->allocations);
	else
		INIT_LIST_HEAD(&h->link);
	return h + 1;
}

void *wj_alloc(size_t size)
{
	return allocate(size, __GFP_ZERO);
}

void *wj_memdup(const void *from, size_t size)
{
	void *copy = allocate(size, 0);

	if (copy)
		memcpy(copy, from, size);
	return copy;
}

void wj_free(void *p)
{
	struct header *h = p;

	if (!h)
		return;
	h--;
	list_del(&h->link);
	kvfree(h);
}

int wj_arena_init(struct wj_arena *arena)
{
	INIT_LIST_HEAD(&arena->allocations);
	arena->code = false;
	arena->quota = wj_quota_get();
	return arena->quota ? 0 : -ENOMEM;
}

void wj_arena_deinit(struct wj_arena *arena)
{
	struct header *h, *next;

	wj_exec_free_all(arena);
	list_for_each_entry_safe(h, next, &arena->allocations, link) {
		list_del(&h->link);
		kvfree(h);
		cond_resched();
	}
	wj_quota_put(arena->quota);
}

/*
 * Page faults and interrupts run on whichever stack they hit, and may go as deep as a system
 * call: below what a guest or host/ may use, each stack has that much left, then a guard page.
 */
#define HEADROOM	(THREAD_SIZE + (8ul << 10))
#define GUEST_STACK	(1ul << 20)
/* For nested calls of host functions; what one takes is some 2 KiB, frames being 2 KiB at most. */
#define HOST_STACK	(WJ_MAX_NESTING * (5ul << 10) + HEADROOM + (32ul << 10))

static u8 *stack_create(size_t size)
{
	return __vmalloc(size, GFP_KERNEL_ACCOUNT | __GFP_ZERO | __GFP_NOWARN);
}

int wj_stacks_create(struct wj_context *c, void (*bottom)(struct wj_context *c))
{
	struct wj_file *f = c->file;
	u64 *sp;

	spin_lock(&f->lock);
	if (f->spare.guest && uid_eq(f->spare_user, current_uid()))
		swap(c->stacks, f->spare);
	spin_unlock(&f->lock);
	if (!c->stacks.guest) {
		c->stacks.guest = stack_create(GUEST_STACK);
		c->stacks.host = stack_create(PAGE_ALIGN(HOST_STACK));
		if (!c->stacks.guest || !c->stacks.host)
			return -ENOMEM;
	}
	c->stacks_user = current_uid();
	c->guest_limit = (u64)c->stacks.guest + HEADROOM;
	c->guest_top = (u64)c->stacks.guest + GUEST_STACK;
	c->host_limit = (u64)c->stacks.host + HEADROOM + (32ul << 10);

	/* What wj_switch pops: r15 r14 r13 r12 rbx rbp and its return address. */
	sp = (u64 *)((u64)c->stacks.host + PAGE_ALIGN(HOST_STACK)) - 8;
	sp[4] = (u64)bottom;
	sp[5] = (u64)c;
	sp[6] = (u64)wj_switch_start;
	c->host_sp = (u64)sp;
	return 0;
}

void wj_stacks_free(struct wj_stacks *stacks)
{
	vfree(stacks->guest);
	vfree(stacks->host);
}

void wj_stacks_destroy(struct wj_context *c)
{
	struct wj_file *f = c->file;

	spin_lock(&f->lock);
	/* KASAN has marked parts of frames that were never left as out of bounds. */
	if (!IS_ENABLED(CONFIG_KASAN_STACK) && !f->spare.guest && c->stacks.guest && c->stacks.host) {
		swap(c->stacks, f->spare);
		f->spare_user = c->stacks_user;
	}
	spin_unlock(&f->lock);
	wj_stacks_free(&c->stacks);
}

int wj_stack_get(struct wj_process *p, u64 *limit, u64 *top)
{
	struct wj_context *c = p->platform;

	*limit = c->guest_limit;
	*top = c->guest_top;
	return 0;
}

static unsigned long reserve(u64 size)
{
	return vm_mmap(NULL, 0, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, 0);
}

/*
 * fork and exit look at each 2 MiB of a GiB in which anything is. So small guests lie in the last
 * part of one in which there is nothing else, and where the reservation ends there is nothing, too:
 * the GiB after it is left free, where the kernel puts what is mapped next.
 */
#define SMALL_GUEST	(64ul << 20)

int wj_memory_reserve(u64 *base)
{
	const u64 total = WJ_RESERVE + 3 * PUD_SIZE;
	unsigned long at = reserve(total), start = ALIGN(at, PUD_SIZE) + PUD_SIZE - SMALL_GUEST;

	if (IS_ERR_VALUE(at)) {
		/* Perhaps a limit: then without. */
		at = reserve(WJ_RESERVE);
		if (IS_ERR_VALUE(at))
			return at;
		*base = at;
		return 0;
	}
	vm_munmap(at, start - at);
	vm_munmap(start + WJ_RESERVE, at + total - (start + WJ_RESERVE));
	*base = start;
	return 0;
}

/*
 * What a guest begins with, data, stack and the start of its heap, is used here and there, and
 * written after each fork: a huge page would be split then, and 512 entries copied each time.
 * What it asks for later is memory like any other.
 */
static void small_pages(struct wj_context *c, u64 base, u64 size)
{
	const u64 args[6] = { base, size, MADV_NOHUGEPAGE };

	wj_sys_direct(c, __NR_madvise, args);	/* fails where there are no huge pages */
}

int wj_memory_grow(u64 base, u64 old_size, u64 new_size)
{
	struct wj_context *c = wj_current_context();
	unsigned long at;

	if (!c || new_size > c->max_memory)
		return -ENOMEM;
	/* Where a filter looks at system calls, it is asked. */
	if (c->started && wj_syscall_work())
		at = wj_sys(&c->process, __NR_mmap, base + old_size, new_size - old_size,
			    PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	else
		at = vm_mmap(NULL, base + old_size, new_size - old_size, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, 0);
	if (IS_ERR_VALUE(at))
		return at;
	if (!c->started)
		small_pages(c, base, new_size);
	return 0;
}

/* A context that is destroyed leaves it to the mm, which need not be current's by then. */
void wj_memory_release(u64 base)
{
	struct wj_context *c = wj_current_context();

	if (c && c->mm == current->mm)
		vm_munmap(base, WJ_RESERVE);
}

u64 wj_scratch(struct wj_process *p)
{
	struct wj_context *c = p->platform;

	return c->scratch;
}

/*
 * Hardened usercopy looks up the vmalloc area of our host stacks, under a lock that all processors
 * share, for each variable that is copied. What is as small as a frame has been checked by the
 * compiler (-Wframe-larger-than).
 */
#define FRAME 2048u

int wj_copy_from_user(void *dst, u64 src, size_t size)
{
	const void __user *from = (const void __user *)src;

	if (size == 8)
		return get_user(*(u64 *)dst, (const u64 __user *)from);
	if (size == 4)
		return get_user(*(u32 *)dst, (const u32 __user *)from);
	if (size > FRAME)
		return copy_from_user(dst, from, size) ? -EFAULT : 0;
	if (!access_ok(from, size))
		return -EFAULT;
	might_fault();
	barrier_nospec();
	kasan_check_write(dst, size);
	return raw_copy_from_user(dst, from, size) ? -EFAULT : 0;
}

int wj_copy_to_user(u64 dst, const void *src, size_t size)
{
	void __user *to = (void __user *)dst;

	if (size == 8)
		return put_user(*(const u64 *)src, (u64 __user *)to);
	if (size == 4)
		return put_user(*(const u32 *)src, (u32 __user *)to);
	if (size > FRAME)
		return copy_to_user(to, src, size) ? -EFAULT : 0;
	if (!access_ok(to, size))
		return -EFAULT;
	might_fault();
	kasan_check_read(src, size);
	return raw_copy_to_user(to, src, size) ? -EFAULT : 0;
}

int wj_load_user(u64 src, size_t size, u64 *ret)
{
	int err;

	switch (size) {
	case 1:
		err = get_user(*ret, (u8 __user *)src);
		break;
	case 2:
		err = get_user(*ret, (u16 __user *)src);
		break;
	case 4:
		err = get_user(*ret, (u32 __user *)src);
		break;
	default:
		err = get_user(*ret, (u64 __user *)src);
	}
	return err;
}

int wj_store_user(u64 dst, size_t size, u64 value)
{
	switch (size) {
	case 1:
		return put_user((u8)value, (u8 __user *)dst);
	case 2:
		return put_user((u16)value, (u16 __user *)dst);
	case 4:
		return put_user((u32)value, (u32 __user *)dst);
	}
	return put_user(value, (u64 __user *)dst);
}

/* switch.S */
int wj_user_cmpxchg(u64 at, size_t size, u64 *expected, u64 desired);

int wj_cmpxchg_user(u64 at, size_t size, u64 *expected, u64 desired)
{
	if (!access_ok((void __user *)at, size))
		return -EFAULT;
	might_fault();
	barrier_nospec();
	return wj_user_cmpxchg(at, size, expected, desired);
}

/* switch.S: what is left to do after a fault. */
size_t wj_user_fill(u64 dst, u8 byte, size_t size);
size_t wj_user_move_up(u64 dst, u64 src, size_t size);
size_t wj_user_move_down(u64 dst, u64 src, size_t size);

/* Whatever size a guest asks for, others get to run, and it dies when it is killed. */
#define PIECE		((size_t)64 << 10)

int wj_fill_user(u64 dst, u8 byte, size_t size)
{
	size_t done, part;

	if (!access_ok((void __user *)dst, size))
		return -EFAULT;
	might_fault();
	barrier_nospec();
	for (done = 0; done < size; done += part) {
		part = min(size - done, PIECE);
		if (wj_user_fill(dst + done, byte, part) || wj_breathe())
			return -EFAULT;
	}
	return 0;
}

int wj_zero_user(u64 dst, size_t size)
{
	return wj_fill_user(dst, 0, size);
}

int wj_move_user(u64 dst, u64 src, size_t size)
{
	bool up = dst <= src || dst - src >= size;
	size_t done, part, left;

	if (!access_ok((void __user *)dst, size) || !access_ok((void __user *)src, size))
		return -EFAULT;
	might_fault();
	barrier_nospec();
	for (done = 0; done < size; done += part) {
		part = min(size - done, PIECE);
		if (up)
			left = wj_user_move_up(dst + done, src + done, part);
		else
			left = wj_user_move_down(dst + size - done - part, src + size - done - part, part);
		if (left || wj_breathe())
			return -EFAULT;
	}
	return 0;
}

u64 wj_clock_ns(void)
{
	return ktime_get_ns();
}

/* Those of the vDSO. */
bool wj_clock_read(int id, s64 *sec, s64 *nsec)
{
	struct timespec64 ts;

	switch (id) {
	case CLOCK_REALTIME:
		ktime_get_real_ts64(&ts);
		break;
	case CLOCK_REALTIME_COARSE:
		ktime_get_coarse_real_ts64(&ts);
		break;
	case CLOCK_MONOTONIC:
		ktime_get_ts64(&ts);
		timens_add_monotonic(&ts);
		break;
	case CLOCK_MONOTONIC_COARSE:
		ktime_get_coarse_ts64(&ts);
		timens_add_monotonic(&ts);
		break;
	default:
		return false;
	}
	*sec = ts.tv_sec;
	*nsec = ts.tv_nsec;
	return true;
}

void wj_random(void *dst, size_t size)
{
	get_random_bytes(dst, size);
}
