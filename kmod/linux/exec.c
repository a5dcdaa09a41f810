// SPDX-License-Identifier: GPL-2.0-only
/*
 * Executable memory: a pool inside the module (pool.S), so that it is in rel32 reach of the
 * kernel and of this module, and so that faults in it search this module's exception table.
 *
 * The pool is mapped executable and read-only.  Writing goes through a temporary mapping of the
 * same pages, which is not executable.
 *
 * Exception table.  Chunk i of the pool owns slice i of the table.  All entries of a slice name
 * addresses inside of its chunk or its very end, always: the table stays sorted for whoever
 * looks up other chunks while this slice is written, and no entry in use ever moves.  So nobody
 * needs to wait for a grace period, which a spinning guest could hold up.
 */
#include <linux/bitmap.h>
#include <linux/cpu.h>
#include <linux/extable.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/random.h>
#include <linux/seq_file.h>
#include <linux/vmalloc.h>
#include <asm/extable.h>
#include <asm/sync_core.h>
#include "kernel.h"

#ifndef EX_TYPE_DEFAULT_MCE_SAFE
bool ex_handler_fault(const struct exception_table_entry *fixup, struct pt_regs *regs, int trap,
		      unsigned long code, unsigned long address);
#endif

/* Weak: pool.o comes in when the module is linked for the last time, see Kbuild. */
extern u8 wj_pool[] __weak;

#define POOL_SIZE	((size_t)WJ_POOL_MB << 20)
#define CHUNK		(32u << 10)
#define CHUNKS		(POOL_SIZE / CHUNK)
/* One instruction that accesses linear memory per 8 bytes of code, on average over a chunk. */
#define SLICE		(CHUNK / 8)
#define OWN_ENTRIES	1024u
#define INT3		0xcc
#define TRAMPOLINE	32u

static struct exception_table_entry table[CHUNKS * SLICE + OWN_ENTRIES];
static struct exception_table_entry *slices;	/* that of chunk 0 */
static struct exception_table_entry *old_table;
static unsigned int old_entries;

static DEFINE_MUTEX(lock);
static DECLARE_BITMAP(used, CHUNKS);
static struct wj_arena *owners[CHUNKS];
static u32 lengths[CHUNKS];		/* in chunks, of the allocation that starts here */
static DECLARE_BITMAP(dirty, CHUNKS);	/* used, but by nobody: see release() */
static u32 trampolines;			/* in chunk 0 */

/* Linear memory: go to the landing, also where the memory itself is broken (a machine check). */
static void set_type(struct exception_table_entry *entry)
{
#ifdef EX_TYPE_DEFAULT_MCE_SAFE
	entry->data = EX_TYPE_DEFAULT_MCE_SAFE;
#else
	/* Handlers are functions.  This one changes rax, which no landing looks at. */
	entry->handler = (int)((unsigned long)ex_handler_fault - (unsigned long)&entry->handler);
#endif
}

static void move_type(struct exception_table_entry *to, const struct exception_table_entry *from)
{
#ifdef EX_TYPE_DEFAULT_MCE_SAFE
	to->data = from->data;
#else
	to->handler = (int)((unsigned long)&from->handler + from->handler - (unsigned long)&to->handler);
#endif
}

static void set_entry(struct exception_table_entry *entry, unsigned long insn, unsigned long fixup)
{
	WRITE_ONCE(entry->fixup, (int)(fixup - (unsigned long)&entry->fixup));
	set_type(entry);
	WRITE_ONCE(entry->insn, (int)(insn - (unsigned long)&entry->insn));
}

static unsigned long entry_insn(const struct exception_table_entry *entry)
{
	return (unsigned long)&entry->insn + entry->insn;
}

static void move_entry(struct exception_table_entry *to, const struct exception_table_entry *from)
{
	set_entry(to, entry_insn(from), (unsigned long)&from->fixup + from->fixup);
	move_type(to, from);
}

/* Nothing in this chunk can fault. */
static void clear_slice(u32 chunk)
{
	unsigned long end = (unsigned long)wj_pool + (chunk + 1ul) * CHUNK - 1;

	for (u32 i = 0; i < SLICE; i++)
		set_entry(&slices[chunk * (size_t)SLICE + i], end, end);
}

static void sync_core_here(void *unused)
{
	sync_core();
}

/* Through a mapping of the pages that is writable for as long as it takes; src NULL: int3. */
static int write_pool(u8 *to, const void *src, size_t size)
{
	unsigned long first = (unsigned long)to & PAGE_MASK;
	unsigned int count = (PAGE_ALIGN((unsigned long)to + size) - first) >> PAGE_SHIFT, i;
	struct page **pages;
	u8 *alias;

	if (!size)
		return 0;
	pages = kvmalloc_array(count, sizeof(*pages), GFP_KERNEL);
	if (!pages)
		return -ENOMEM;
	for (i = 0; i < count; i++)
		pages[i] = vmalloc_to_page((void *)(first + i * PAGE_SIZE));
	alias = vmap(pages, count, VM_MAP, PAGE_KERNEL);
	kvfree(pages);
	if (!alias)
		return -ENOMEM;
	if (src)
		memcpy(alias + offset_in_page(to), src, size);
	else
		memset(alias + offset_in_page(to), INT3, size);
	vunmap(alias);
	/* What a CPU has fetched of the code that was here before is forgotten. */
	on_each_cpu(sync_core_here, NULL, 1);
	return 0;
}

/* Code of somebody else must not be left in free chunks, nor may it be entered by what was compiled later. */
static int wipe(u32 at, u32 count)
{
	int err = write_pool(wj_pool + at * (size_t)CHUNK, NULL, count * (size_t)CHUNK);

	for (u32 i = 0; i < count && !err; i++)
		clear_slice(at + i);
	return err;
}

static void release(u32 at)
{
	u32 count = lengths[at];
	/* For want of memory, that is: whoever is being killed for using too much gets none. */
	bool failed = wipe(at, count);

	wj_quota_free_chunks(owners[at]->quota, count);
	mutex_lock(&lock);
	if (failed)
		bitmap_set(dirty, at, count);
	else
		bitmap_clear(used, at, count);
	lengths[at] = 0;
	owners[at] = NULL;
	mutex_unlock(&lock);
}

/* Chunks that could not be wiped when they were released. */
static void wipe_dirty(void)
{
	u32 at;

	lockdep_assert_held(&lock);
	for_each_set_bit(at, dirty, CHUNKS) {
		if (wipe(at, 1))
			break;
		bitmap_clear(dirty, at, 1);
		bitmap_clear(used, at, 1);
	}
}

int wj_exec_alloc(struct wj_exec *exec, size_t size)
{
	struct wj_context *c = wj_current_context();
	unsigned long count = DIV_ROUND_UP(size, CHUNK), at;
	int err;

	if (!c)
		return -EINVAL;
	if (!count || size > POOL_SIZE)
		return -ENOSPC;
	err = wj_quota_chunks(c->arena->quota, count, CHUNKS);
	if (err)
		return err;
	c->arena->code = true;
	mutex_lock(&lock);
	wipe_dirty();
	at = bitmap_find_next_zero_area(used, CHUNKS, 0, count, 0);
	if (at < CHUNKS) {
		bitmap_set(used, at, count);
		lengths[at] = count;
		owners[at] = c->arena;
	}
	mutex_unlock(&lock);
	if (at >= CHUNKS) {
		wj_quota_free_chunks(c->arena->quota, count);
		return -ENOSPC;
	}
	/* Free chunks are full of int3. */
	exec->code = wj_pool + at * CHUNK;
	exec->size = size;
	return 0;
}

int wj_exec_write(struct wj_exec *exec, size_t offset, const void *src, size_t size)
{
	if (offset > exec->size || size > exec->size - offset)
		return -EINVAL;
	return write_pool(exec->code + offset, src, size);
}

int wj_exec_fixups(struct wj_exec *exec, const struct wj_fixup *fixups, u32 count)
{
	u32 first = (exec->code - wj_pool) / CHUNK, chunk = first, n = 0;
	unsigned long code = (unsigned long)exec->code;

	for (u32 i = 0; i < count; i++) {
		u32 at = fixups[i].fault / CHUNK;

		if (fixups[i].fault >= exec->size || fixups[i].landing >= exec->size ||
		    (i && fixups[i].fault <= fixups[i - 1].fault))
			return -EINVAL;
		if (first + at != chunk) {
			chunk = first + at;
			n = 0;
		}
		/* The last one stays the end of the chunk. */
		if (n == SLICE - 1)
			return -ENOSPC;
		set_entry(&slices[chunk * (size_t)SLICE + n++], code + fixups[i].fault,
			  code + fixups[i].landing);
	}
	return 0;
}

void wj_exec_free(struct wj_exec *exec)
{
	if (exec->code)
		release((exec->code - wj_pool) / CHUNK);
	exec->code = NULL;
}

void wj_exec_free_all(struct wj_arena *arena)
{
	for (u32 i = 0; i < CHUNKS && arena->code; i++) {
		if (READ_ONCE(owners[i]) == arena)
			release(i);
	}
}

void wj_pool_show(struct seq_file *m)
{
	seq_printf(m, "pool_bytes %zu\npool_used %zu\n", POOL_SIZE,
		   bitmap_weight(used, CHUNKS) * (size_t)CHUNK);
}

static bool put_branch(u8 *at, u8 opcode, const u8 *place, unsigned long target)
{
	long distance = target - ((unsigned long)place + 5);

	*at++ = opcode;
	*(int *)at = distance;
	return distance == (int)distance;
}

/*
 * endbr64; jmp target, or
 * endbr64; push rbp; mov rbp, rsp; mov rsp, rsi; call target; leave; ret
 */
static bool put_trampoline(u8 *at, const u8 *place, unsigned long target, bool change)
{
	static const u8 enter[] = { 0x55, 0x48, 0x89, 0xe5, 0x48, 0x89, 0xf4 };
	static const u8 endbr[] = { 0xf3, 0x0f, 0x1e, 0xfa };
	u8 *start = at;

	memcpy(at, endbr, sizeof(endbr));
	at += sizeof(endbr);
	if (!change)
		return put_branch(at, 0xe9, place + (at - start), target);
	memcpy(at, enter, sizeof(enter));
	at += sizeof(enter);
	if (!put_branch(at, 0xe8, place + (at - start), target))
		return false;
	at += 5;
	*at++ = 0xc9;
	if (wj_mitigations() & WJ_MITIGATE_RETHUNK)
		return put_branch(at, 0xe9, place + (at - start), (unsigned long)wj_return_thunk());
	*at = 0xc3;
	return true;
}

int wj_pool_trampolines(const unsigned long *targets, u32 count, bool change, const void **ret)
{
	u8 *to = wj_pool + trampolines * TRAMPOLINE, *code;
	int err = 0;

	if (count > CHUNK / TRAMPOLINE - trampolines)
		return -ENOSPC;
	code = kvmalloc_array(count, TRAMPOLINE, GFP_KERNEL);
	if (!code)
		return -ENOMEM;
	memset(code, INT3, count * TRAMPOLINE);
	for (u32 i = 0; i < count && !err; i++) {
		ret[i] = to + i * TRAMPOLINE;
		if (!put_trampoline(code + i * TRAMPOLINE, ret[i], targets[i], change))
			err = -ERANGE;
	}
	if (!err)
		err = write_pool(to, code, count * TRAMPOLINE);
	kvfree(code);
	if (!err)
		trampolines += count;
	return err;
}

int wj_pool_init(void)
{
	struct exception_table_entry *to = table;
	unsigned int i;
	int err;

	BUILD_BUG_ON(CHUNK % PAGE_SIZE || POOL_SIZE % CHUNK);
	old_table = THIS_MODULE->extable;
	old_entries = THIS_MODULE->num_exentries;
	if (old_entries > OWN_ENTRIES)
		return -ENOSPC;
	err = write_pool(wj_pool, NULL, POOL_SIZE);
	if (err)
		return err;
	/* The module's own entries around the pool's. */
	for (i = 0; i < old_entries && entry_insn(&old_table[i]) < (unsigned long)wj_pool; i++)
		move_entry(to++, &old_table[i]);
	slices = to;
	for (u32 chunk = 0; chunk < CHUNKS; chunk++)
		clear_slice(chunk);
	to += CHUNKS * SLICE;
	for (; i < old_entries; i++)
		move_entry(to++, &old_table[i]);
	bitmap_set(used, 0, 1);		/* trampolines */

	THIS_MODULE->num_exentries = 0;
	THIS_MODULE->extable = table;
	smp_wmb();	/* whoever sees the number sees the table */
	THIS_MODULE->num_exentries = to - table;
	return 0;
}

void wj_pool_deinit(void)
{
	THIS_MODULE->num_exentries = 0;
	THIS_MODULE->extable = old_table;
	smp_wmb();	/* as above */
	THIS_MODULE->num_exentries = old_entries;
}
