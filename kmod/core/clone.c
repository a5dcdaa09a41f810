// SPDX-License-Identifier: GPL-2.0-only
/*
 * A copy of an instance, for the child of a fork that has its own copy of linear memory at the
 * same address but shares nothing else: where guests run in the kernel, fork copies no kernel
 * memory.  The image and its machine code are shared; whoever calls this sees to their lifetime.
 */
#include "internal.h"

/* A pointer into the one allocation that an instance is. */
#define MOVE(copy, from, field) \
	((copy)->field = (void *)((u8 *)(copy) + ((u8 *)(from)->field - (u8 *)(from))))

static int clone_table(struct wj_instance *copy, const struct wj_instance *from, u32 index)
{
	const struct wj_table *old = from->tables[index];
	struct wj_table *table = wj_alloc(sizeof(*table));
	u32 i;

	if (!table)
		return -ENOMEM;
	*table = *old;
	table->elements = wj_alloc(((size_t)old->capacity + !old->capacity) * sizeof(*table->elements));
	if (!table->elements)
		return -ENOMEM;
	copy->tables[index] = table;
	for (i = 0; i < old->capacity; i++) {
		table->elements[i] = old->elements[i];
		if (table->elements[i].instance)
			table->elements[i].instance = copy;
	}
	return 0;
}

static bool alone(const struct wj_instance *inst)
{
	const struct wj_image *image = inst->image;

	return inst->store->instances == inst && !inst->next && !inst->n_held &&
	       !image->n_imported_tables && !image->n_imported_memories &&
	       !image->n_imported_globals && inst->engine == WJ_ENGINE_JIT;
}

int wj_instance_clone(const struct wj_instance *from, struct wj_store *store, void *user,
		      struct wj_instance **ret)
{
	const struct wj_image *image = from->image;
	struct wj_layout layout;
	struct wj_instance *copy;
	u32 i, id;
	int err;

	if (!alone(from) || store->instances)
		return -EINVAL;
	wj_image_layout(image, &layout);
	copy = wj_alloc(layout.size);
	if (!copy)
		return -ENOMEM;
	memcpy(copy, from, layout.size);
	copy->store = store;
	copy->user = user;
	copy->poll_flags = &copy->own_poll_flags;
	copy->held = NULL;
	copy->refs = 1;
	copy->depth = 0;
	memset(&copy->stats, 0, sizeof(copy->stats));
	copy->stats.functions_jitted = from->stats.functions_jitted;
	copy->stats.code_bytes = from->stats.code_bytes;
	copy->stats.jit_ns = from->stats.jit_ns;
	MOVE(copy, from, tables);
	MOVE(copy, from, globals);
	MOVE(copy, from, bindings);
	MOVE(copy, from, results);
	MOVE(copy, from, own_globals);
	MOVE(copy, from, type_ids);
	MOVE(copy, from, dropped_elements);
	MOVE(copy, from, dropped_data);
	for (i = 0; i < image->n_globals; i++)
		copy->globals[i] = (struct wj_global *)&copy->own_globals[i];
	for (i = 0; i < image->n_tables; i++) {
		err = clone_table(copy, from, i);
		if (err)
			return err;
	}
	if (from->memory) {
		copy->memory = wj_alloc(sizeof(*copy->memory));
		if (!copy->memory)
			return -ENOMEM;
		*copy->memory = *from->memory;
	}
	/* Elements and call sites name types by their ids, which follow from their order. */
	for (i = 0; i < image->n_types; i++) {
		err = wj_store_type_id(store, &image->types[i], &id);
		if (err)
			return err;
		if (id != from->type_ids[i])
			return -EINVAL;
	}
	store->instances = copy;
	store->next_ref = from->store->next_ref;
	store->n_elements = from->store->n_elements;
	*ret = copy;
	return 0;
}
