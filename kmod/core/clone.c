// SPDX-License-Identifier: GPL-2.0-only
/*
 * A copy of an instance, for the child of a fork that has its own copy of linear memory at the
 * same address but shares nothing else: where guests run in the kernel, fork copies no kernel
 * memory.  The image and its machine code are shared; whoever calls this sees to their lifetime.
 */
#include "internal.h"

/*
 * Types of the image are the image's here: nobody has to find out again that they differ from each
 * other, nor to copy them.  Those that only the host has called something by are few.
 */
static int clone_types(struct wj_store *store, const struct wj_instance *from)
{
	const struct wj_image *image = from->image;
	const struct wj_store *old = from->store;
	u32 i;

	store->types = wj_memdup(old->types, old->types_capacity * sizeof(*old->types));
	store->buckets = wj_memdup(old->buckets, old->types_capacity * sizeof(*old->buckets));
	if (!store->types || !store->buckets)
		return -ENOMEM;
	for (i = 0; i < image->n_types; i++) {
		struct wj_store_type *type = &store->types[from->keys[i].type_id];

		/* Its results come after their number, which takes a byte or more. */
		type->bytes = image->types[i].params;
		type->gap = (u32)(image->types[i].results - (type->bytes + type->n_params));
	}
	for (i = 0; i < old->n_types; i++) {
		struct wj_store_type *type = &store->types[i];

		if (type->gap)
			continue;
		type->bytes = wj_memdup(type->bytes, type->n_params + type->n_results + 1);
		if (!type->bytes)
			return -ENOMEM;
	}
	return 0;
}

/* But for its instances; the JIT's stack is whoever's stack the copy runs on. */
static int clone_store(const struct wj_instance *from, struct wj_store **ret)
{
	const struct wj_store *old = from->store;
	struct wj_store *store = wj_alloc(sizeof(*store));

	if (!store)
		return -ENOMEM;
	store->hash_key = old->hash_key;
	store->n_types = old->n_types;
	store->types_capacity = old->types_capacity;
	store->next_ref = old->next_ref;
	store->n_elements = old->n_elements;
	*ret = store;
	return clone_types(store, from);
}

/* A pointer into the one allocation that an instance is. */
#define MOVE(copy, from, field) \
	((copy)->field = (void *)((u8 *)(copy) + ((u8 *)(from)->field - (u8 *)(from))))

static int clone_table(struct wj_instance *copy, const struct wj_instance *from, u32 index)
{
	const struct wj_table *old = from->tables[index];
	struct wj_table *table = wj_memdup(old, sizeof(*old));
	u32 i;

	if (!table)
		return -ENOMEM;
	/* There is one more than nothing where there is nothing: store.c. */
	table->elements = wj_memdup(old->elements, ((size_t)old->capacity + !old->capacity) * sizeof(*old->elements));
	if (!table->elements)
		return -ENOMEM;
	copy->tables[index] = table;
	for (i = 0; i < old->capacity; i++) {
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

int wj_instance_clone(const struct wj_instance *from, void *user, struct wj_instance **ret)
{
	const struct wj_image *image = from->image;
	struct wj_layout layout;
	struct wj_instance *copy;
	struct wj_store *store;
	u32 i;
	int err;

	if (!alone(from))
		return -EINVAL;
	err = clone_store(from, &store);
	if (err)
		return err;
	wj_image_layout(image, &layout);
	copy = wj_memdup(from, layout.size);
	if (!copy)
		return -ENOMEM;
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
	MOVE(copy, from, keys);
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
		copy->memory = wj_memdup(from->memory, sizeof(*from->memory));
		if (!copy->memory)
			return -ENOMEM;
	}
	store->instances = copy;
	*ret = copy;
	return 0;
}
