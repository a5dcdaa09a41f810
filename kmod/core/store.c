// SPDX-License-Identifier: GPL-2.0-only
/*
 * What instances of one process share: canonical function types, function references and
 * the tables that hold them.
 */
#include "internal.h"

#define MAX_STORE_TYPES (1u << 20)

int wj_store_create(struct wj_store **ret)
{
	struct wj_store *store = wj_alloc(sizeof(*store));

	if (!store)
		return -ENOMEM;
	wj_random(&store->hash_key, sizeof(store->hash_key));
	*ret = store;
	return 0;
}

/* Hosts have null pointers where there are none. */
static bool same_types(u32 n, const u8 *a, const u8 *b)
{
	return !n || !memcmp(a, b, n);
}

bool wj_func_type_equal(const struct wj_func_type *a, const struct wj_func_type *b)
{
	return a->n_params == b->n_params && a->n_results == b->n_results &&
	       same_types(a->n_params, a->params, b->params) &&
	       same_types(a->n_results, a->results, b->results);
}

/* a * b modulo 2^61 - 1. */
static u64 mul_mersenne(u64 a, u64 b)
{
	unsigned __int128 product = (unsigned __int128)a * b;
	u64 sum = (u64)(product & ((1ull << 61) - 1)) + (u64)(product >> 61);

	return (sum & ((1ull << 61) - 1)) + (sum >> 61);
}

/* A polynomial in a secret key: nobody can choose types that collide. */
static u64 hash_type(u64 key, const struct wj_func_type *type)
{
	u64 hash = type->n_params + 1;
	u32 i;

	key >>= 4;
	for (i = 0; i < type->n_params; i++)
		hash = mul_mersenne(hash, key) + type->params[i] + 1;
	for (i = 0; i < type->n_results; i++)
		hash = mul_mersenne(hash, key) + type->results[i] + 1;
	return mul_mersenne(hash, key);
}

static struct wj_func_type stored_type(const struct wj_store_type *type)
{
	return (struct wj_func_type){
		.n_params = type->n_params,
		.n_results = type->n_results,
		.params = type->bytes,
		.results = type->bytes + type->n_params + type->gap,
	};
}

static void add_to_bucket(struct wj_store *store, u32 id)
{
	struct wj_func_type type = stored_type(&store->types[id]);
	u32 bucket = (u32)hash_type(store->hash_key, &type) & (store->types_capacity - 1);

	store->types[id].next = store->buckets[bucket];
	store->buckets[bucket] = id;
}

static int grow_types(struct wj_store *store)
{
	u32 i, capacity = store->types_capacity ? store->types_capacity * 2 : 64;
	struct wj_store_type *types;
	u32 *buckets;

	if (capacity > MAX_STORE_TYPES)
		return -ENOSPC;
	types = wj_alloc(capacity * sizeof(*types));
	buckets = wj_alloc(capacity * sizeof(*buckets));
	if (!types || !buckets) {
		wj_free(types);
		wj_free(buckets);
		return -ENOMEM;
	}
	memset(buckets, 0xff, capacity * sizeof(*buckets));
	if (store->n_types)
		memcpy(types, store->types, store->n_types * sizeof(*types));
	wj_free(store->types);
	wj_free(store->buckets);
	store->types = types;
	store->buckets = buckets;
	store->types_capacity = capacity;
	for (i = 0; i < store->n_types; i++)
		add_to_bucket(store, i);
	return 0;
}

int wj_store_type_id(struct wj_store *store, const struct wj_func_type *type, u32 *ret)
{
	struct wj_store_type *added;
	struct wj_func_type other;
	u32 id = ~0u;
	u8 *bytes;
	int err;

	if (store->n_types)
		id = store->buckets[(u32)hash_type(store->hash_key, type) &
				    (store->types_capacity - 1)];
	for (; id != ~0u; id = store->types[id].next) {
		other = stored_type(&store->types[id]);
		if (wj_func_type_equal(type, &other)) {
			*ret = id;
			return 0;
		}
	}
	if (store->n_types == store->types_capacity) {
		err = grow_types(store);
		if (err)
			return err;
	}
	added = &store->types[store->n_types];
	bytes = wj_alloc(type->n_params + type->n_results + 1);
	if (!bytes)
		return -ENOMEM;
	if (type->n_params)
		memcpy(bytes, type->params, type->n_params);
	if (type->n_results)
		memcpy(bytes + type->n_params, type->results, type->n_results);
	added->n_params = type->n_params;
	added->n_results = type->n_results;
	added->gap = 0;
	added->bytes = bytes;
	add_to_bucket(store, store->n_types);
	*ret = store->n_types++;
	return 0;
}

u32 wj_func_ref(const struct wj_instance *inst, u32 index)
{
	if (index < inst->image->n_imported_functions && inst->bindings[index].instance) {
		const struct wj_binding *binding = &inst->bindings[index];

		return binding->instance->ref_base + binding->index;
	}
	return inst->ref_base + index;
}

bool wj_resolve_ref(struct wj_store *store, u32 ref, struct wj_instance **inst, u32 *index)
{
	struct wj_instance *i = store->instances;

	while (i && i->ref_base > ref)
		i = i->next;
	if (!i || ref - i->ref_base >= i->image->n_functions)
		return false;
	*inst = i;
	*index = ref - i->ref_base;
	return true;
}

static const struct wj_element null_element = { .ref = WJ_NULL_REF, .key = { ~0u, ~0u } };

/* The limit is on what all tables of the store have together. */
static int resize(struct wj_store *store, struct wj_table *table, u32 capacity)
{
	struct wj_element *elements;
	u32 i;

	if (capacity - table->capacity > WJ_MAX_TABLE_SIZE - store->n_elements)
		return -ENOSPC;
	elements = wj_alloc((capacity + (size_t)!capacity) * sizeof(*elements));
	if (!elements)
		return -ENOMEM;
	if (table->size)
		memcpy(elements, table->elements, table->size * sizeof(*elements));
	for (i = table->size; i < capacity; i++)
		elements[i] = null_element;
	wj_free(table->elements);
	table->elements = elements;
	store->n_elements += capacity - table->capacity;
	table->capacity = capacity;
	return 0;
}

int wj_table_create(struct wj_store *store, const struct wj_table_info *info,
		    struct wj_table **ret)
{
	struct wj_table *table = wj_alloc(sizeof(*table));
	int err;

	if (!table)
		return -ENOMEM;
	table->type = info->type;
	table->max = info->limits.max;
	table->has_max = info->limits.has_max;
	table->refs = 1;
	err = resize(store, table, info->limits.min);
	if (err) {
		wj_free(table);
		return err;
	}
	table->size = info->limits.min;
	*ret = table;
	return 0;
}

void wj_table_destroy(struct wj_store *store, struct wj_table *table)
{
	if (!table || --table->refs)
		return;
	store->n_elements -= table->capacity;
	wj_free(table->elements);
	wj_free(table);
}

s64 wj_table_grow(struct wj_store *store, struct wj_table *table, u32 delta)
{
	u32 size, capacity, old = table->size;

	if (check_add_overflow(old, delta, &size) || size > table->max ||
	    size > WJ_MAX_TABLE_SIZE)
		return -1;
	if (size > table->capacity) {
		/* Room for as much again, so that growing one by one is cheap. */
		capacity = max(size, min(min(size + old, table->max), WJ_MAX_TABLE_SIZE));
		if (resize(store, table, capacity) && resize(store, table, size))
			return -1;
	}
	table->size = size;
	return old;
}

int wj_table_set(struct wj_instance *inst, struct wj_table *table, u32 index, u32 ref)
{
	struct wj_element element = null_element;
	const struct wj_function *f;
	u32 function;

	element.ref = ref;
	if (table->type == WJ_FUNCREF && ref != WJ_NULL_REF) {
		if (!wj_resolve_ref(inst->store, ref, &element.instance, &function))
			return WJ_TRAP_BAD_HOST_ARGUMENT;
		f = &element.instance->image->functions[function];
		element.key = element.instance->keys[f->type];
		if (element.instance->engine == WJ_ENGINE_JIT)
			element.code = wj_code_entry(element.instance->image->code, function);
		/* Whoever else has this table may outlive the function's instance. */
		if (element.instance != inst || table->refs > 1)
			element.instance->pinned = true;
	}
	table->elements[index] = element;
	return 0;
}
