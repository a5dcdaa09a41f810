// SPDX-License-Identifier: GPL-2.0-only
/*
 * The helpers behind CALL_RT (rt.def), as the WebAssembly specification 2.0 has them in
 * section 4.4: ranges are checked before anything is written.
 *
 * Long ones poll every 64 KiB.  A poll may run guest code: what it can move (a table's
 * elements) is looked up again afterwards; sizes only grow.
 */
#include "internal.h"

#define CHUNK		(64u << 10)
#define CHUNK_ELEMENTS	(CHUNK / (u32)sizeof(struct wj_element))

int wj_poll_if_due(struct wj_instance *inst)
{
	return *(volatile u32 *)inst->poll_flags & wj_poll_mask() ? wj_poll(inst) : 0;
}

u32 wj_lower_bound(const u32 *keys, u32 stride, u32 count, u32 key)
{
	u32 low = 0, high = count;

	while (low < high) {
		u32 middle = low + (high - low) / 2;

		if (keys[(size_t)middle * stride] < key)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool in_range(u64 start, u64 size, u64 limit)
{
	return size <= limit && start <= limit - size;
}

s64 wj_instance_memory_grow(struct wj_instance *inst, u32 pages)
{
	struct wj_memory *memory = inst->memory;
	u64 size;
	u32 old;

	if (!memory)
		return -1;
	old = memory->pages;
	if (pages > memory->max_pages - old)
		return -1;
	/* Lowering folds small sums into offsets: no memory grows to the end of the address space. */
	if (pages && old + pages == WJ_MAX_PAGES)
		return -1;
	size = (u64)(old + pages) << 16;
	if (pages && wj_memory_grow(memory->base, memory->size, size))
		return -1;
	memory->pages = old + pages;
	memory->size = size;
	return old;
}

static int memory_fill(struct wj_instance *inst, u32 dst, u8 byte, u32 size)
{
	int trap = 0;

	if (!in_range(dst, size, inst->memory->size))
		return WJ_TRAP_OUT_OF_BOUNDS;
	while (size && !trap) {
		u32 part = min(size, CHUNK);

		if (wj_fill_user(inst->memory_base + dst, byte, part))
			return WJ_TRAP_OUT_OF_BOUNDS;
		dst += part;
		size -= part;
		trap = wj_poll_if_due(inst);
	}
	return trap;
}

/* From the end that keeps an overlap intact. */
static int memory_copy(struct wj_instance *inst, u32 dst, u32 src, u32 size)
{
	bool upwards = dst <= src;
	u32 done = 0;
	int trap = 0;

	if (!in_range(dst, size, inst->memory->size) || !in_range(src, size, inst->memory->size))
		return WJ_TRAP_OUT_OF_BOUNDS;
	while (done < size && !trap) {
		u32 part = min(size - done, CHUNK);
		u32 at = upwards ? done : size - done - part;

		if (wj_move_user(inst->memory_base + dst + at, inst->memory_base + src + at, part))
			return WJ_TRAP_OUT_OF_BOUNDS;
		done += part;
		trap = wj_poll_if_due(inst);
	}
	return trap;
}

int wj_memory_init(struct wj_instance *inst, u32 segment, u32 dst, u32 src, u32 size)
{
	const struct wj_data_segment *seg = &inst->image->data[segment];
	u32 part, done;
	int trap = 0;

	if (!in_range(src, size, inst->dropped_data[segment] ? 0 : seg->size) ||
	    !in_range(dst, size, inst->memory->size))
		return WJ_TRAP_OUT_OF_BOUNDS;
	for (done = 0; done < size && !trap; done += part) {
		part = min(size - done, CHUNK);
		if (wj_copy_to_user(inst->memory_base + dst + done, seg->bytes + src + done, part))
			return WJ_TRAP_OUT_OF_BOUNDS;
		trap = wj_poll_if_due(inst);
	}
	return trap;
}

/* Elements of a segment are initialisers of kinds 3 (global), 4 (function), 5 (null). */
static u32 read_element(struct wj_instance *inst, struct wj_cursor *c)
{
	switch (wj_read_u8(c)) {
	case 3:
		return (u32)inst->globals[wj_read_u32(c)]->value;
	case 4:
		return wj_func_ref(inst, wj_read_u32(c));
	}
	return WJ_NULL_REF;
}

int wj_table_init(struct wj_instance *inst, u32 table, u32 segment, u32 dst, u32 src, u32 count)
{
	const struct wj_element_segment *seg = &inst->image->elements[segment];
	struct wj_table *t = inst->tables[table];
	struct wj_cursor c = {
		.pos = seg->inits,
		.end = inst->image->bytes + inst->image->size,
	};
	u32 i, ref;
	int trap = 0;

	if (!in_range(src, count, inst->dropped_elements[segment] ? 0 : seg->count) ||
	    !in_range(dst, count, t->size))
		return WJ_TRAP_TABLE_OUT_OF_BOUNDS;
	for (i = 0; i < src + count && !trap; i++) {
		ref = read_element(inst, &c);
		if (i >= src)
			trap = wj_table_set(inst, t, dst + (i - src), ref);
		if (!trap && i % CHUNK_ELEMENTS == CHUNK_ELEMENTS - 1)
			trap = wj_poll_if_due(inst);
	}
	return trap;
}

static int table_fill(struct wj_instance *inst, struct wj_table *t, u32 dst, u32 ref, u32 count)
{
	u32 i;
	int trap = 0;

	if (!in_range(dst, count, t->size))
		return WJ_TRAP_TABLE_OUT_OF_BOUNDS;
	for (i = 0; i < count && !trap; i++) {
		trap = wj_table_set(inst, t, dst + i, ref);
		if (!trap && i % CHUNK_ELEMENTS == CHUNK_ELEMENTS - 1)
			trap = wj_poll_if_due(inst);
	}
	return trap;
}

static int table_copy(struct wj_instance *inst, struct wj_table *to, struct wj_table *from,
		      u32 dst, u32 src, u32 count)
{
	u32 i;
	int trap = 0;

	if (!in_range(dst, count, to->size) || !in_range(src, count, from->size))
		return WJ_TRAP_TABLE_OUT_OF_BOUNDS;
	for (i = 0; i < count && !trap; i++) {
		u32 at = dst <= src ? i : count - 1 - i;

		trap = wj_table_set(inst, to, dst + at, from->elements[src + at].ref);
		if (!trap && i % CHUNK_ELEMENTS == CHUNK_ELEMENTS - 1)
			trap = wj_poll_if_due(inst);
	}
	return trap;
}

static int table_grow(struct wj_instance *inst, struct wj_table *t, u32 ref, u32 delta, u64 *ret)
{
	s64 old = wj_table_grow(inst->store, t, delta);

	*ret = (u32)old;
	return old < 0 || ref == WJ_NULL_REF ? 0 : table_fill(inst, t, (u32)old, ref, delta);
}

/* Atomics check their alignment before their range. */
static int check_atomic(struct wj_instance *inst, u32 address, u32 width)
{
	if (address & (width - 1))
		return WJ_TRAP_UNALIGNED_ATOMIC;
	return in_range(address, width, inst->memory->size) ? 0 : WJ_TRAP_OUT_OF_BOUNDS;
}

int wj_runtime(struct wj_instance *inst, u32 helper, u32 imm0, u32 imm1, u64 *args)
{
	u32 a = (u32)args[0], b = (u32)args[1], c = (u32)args[2];
	struct wj_table *t;
	int trap;

	switch ((enum wj_rt)helper) {
	case WJ_RT_MEMORY_GROW:
		args[0] = (u32)wj_instance_memory_grow(inst, a);
		return 0;
	case WJ_RT_MEMORY_FILL:
		return memory_fill(inst, a, (u8)b, c);
	case WJ_RT_MEMORY_COPY:
		return memory_copy(inst, a, b, c);
	case WJ_RT_MEMORY_INIT:
		return wj_memory_init(inst, imm0, a, b, c);
	case WJ_RT_DATA_DROP:
		inst->dropped_data[imm0] = 1;
		return 0;
	case WJ_RT_TABLE_GET:
		t = inst->tables[imm0];
		if (a >= t->size)
			return WJ_TRAP_TABLE_OUT_OF_BOUNDS;
		args[0] = t->elements[wj_index_nospec(a, t->size)].ref;
		return 0;
	case WJ_RT_TABLE_SET:
		t = inst->tables[imm0];
		if (a >= t->size)
			return WJ_TRAP_TABLE_OUT_OF_BOUNDS;
		return wj_table_set(inst, t, wj_index_nospec(a, t->size), b);
	case WJ_RT_TABLE_SIZE:
		args[0] = inst->tables[imm0]->size;
		return 0;
	case WJ_RT_TABLE_GROW:
		return table_grow(inst, inst->tables[imm0], a, b, args);
	case WJ_RT_TABLE_FILL:
		return table_fill(inst, inst->tables[imm0], a, b, c);
	case WJ_RT_TABLE_COPY:
		return table_copy(inst, inst->tables[imm0], inst->tables[imm1], a, b, c);
	case WJ_RT_TABLE_INIT:
		return wj_table_init(inst, imm1, imm0, a, b, c);
	case WJ_RT_ELEM_DROP:
		inst->dropped_elements[imm0] = 1;
		return 0;
	case WJ_RT_REF_FUNC:
		args[0] = wj_func_ref(inst, imm0);
		return 0;
	case WJ_RT_ATOMIC_NOTIFY:
		trap = check_atomic(inst, a, 4);
		args[0] = 0;	/* nobody can be waiting */
		return trap;
	case WJ_RT_ATOMIC_WAIT:
		trap = check_atomic(inst, a, b == 8 ? 8 : 4);
		return trap ? trap : WJ_TRAP_EXPECTED_SHARED_MEMORY;
	case WJ_RT_COUNT:
		break;
	}
	return WJ_TRAP_UNREACHABLE;
}
