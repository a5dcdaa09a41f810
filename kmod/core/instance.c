// SPDX-License-Identifier: GPL-2.0-only
/*
 * Instances: linking, initial values, calls between guests and hosts.
 *
 * Lifetime.  An instance holds the instances it imports from; nothing else refers to an
 * instance but elements of tables, and those of tables it shares may be read by others
 * for ever after: such an instance is pinned, that is, it lives as long as its store.
 */
#include "internal.h"

/* Built without a JIT: asking for it is an error, never an interpreter in disguise. */
int __attribute__((weak)) wj_jit_compile(struct wj_image *image, struct wj_error *error,
					 struct wj_code **ret)
{
	(void)image;
	(void)ret;
	error->message = "built without a JIT";
	return -ENOSYS;
}

int __attribute__((weak)) wj_jit_call(struct wj_instance *inst, u32 index, u64 *args)
{
	(void)inst;
	(void)index;
	(void)args;
	return WJ_TRAP_UNREACHABLE;
}

const void *__attribute__((weak)) wj_code_entry(const struct wj_code *code, u32 function)
{
	(void)code;
	(void)function;
	return NULL;
}

size_t __attribute__((weak)) wj_code_size(const struct wj_code *code)
{
	(void)code;
	return 0;
}

u64 __attribute__((weak)) wj_code_ns(const struct wj_code *code)
{
	(void)code;
	return 0;
}

void wj_image_layout(const struct wj_image *image, struct wj_layout *layout)
{
	u32 at = (sizeof(struct wj_instance) + 7) & ~7u;

	layout->tables = at;
	at += image->n_tables * (u32)sizeof(struct wj_table *);
	layout->globals = at;
	at += image->n_globals * (u32)sizeof(struct wj_global *);
	layout->bindings = at;
	at += image->n_imported_functions * (u32)sizeof(struct wj_binding);
	layout->results = at;
	at += image->max_results * (u32)sizeof(u64);
	layout->own_globals = at;
	at += image->n_globals * (u32)sizeof(u64);
	layout->keys = at;
	at += image->n_types * (u32)sizeof(struct wj_call_key);
	layout->dropped = at;
	at += image->n_elements + image->n_data;
	layout->size = at;
}

static struct wj_instance *allocate(struct wj_image *image)
{
	struct wj_instance *inst;
	struct wj_layout layout;
	u8 *base;

	wj_image_layout(image, &layout);
	inst = wj_alloc(layout.size);
	if (!inst)
		return NULL;
	base = (u8 *)inst;
	inst->tables = (struct wj_table **)(base + layout.tables);
	inst->globals = (struct wj_global **)(base + layout.globals);
	inst->bindings = (struct wj_binding *)(base + layout.bindings);
	inst->results = (u64 *)(base + layout.results);
	inst->own_globals = (u64 *)(base + layout.own_globals);
	inst->keys = (struct wj_call_key *)(base + layout.keys);
	inst->dropped_elements = base + layout.dropped;
	inst->dropped_data = inst->dropped_elements + image->n_elements;
	return inst;
}

static int fail(struct wj_error *error, int code, u32 import, const char *message)
{
	error->code = code;
	error->section = WJ_SECTION_IMPORTS;
	error->offset = import;
	error->message = message;
	return code;
}

/* The instance of an import that is an export; takes a reference on it. */
static void hold(struct wj_instance *inst, struct wj_instance *from)
{
	from->refs++;
	inst->held[inst->n_held++] = from;
}

/* WebAssembly 2.0, section 3.2.1: limits of what there is against those asked for. */
static bool limits_match(u32 size, bool has_max, u32 max, const struct wj_limits *asked)
{
	return size >= asked->min && (!asked->has_max || (has_max && max <= asked->max));
}

static bool link_function(struct wj_instance *inst, u32 index, u32 type,
			  const struct wj_extern *from)
{
	struct wj_binding *binding = &inst->bindings[index];
	const struct wj_instance *other = from->instance;

	if (!other) {
		binding->host = from->host;
		binding->data = from->data;
		return !from->host_type ||
		       wj_func_type_equal(from->host_type, &inst->image->types[type]);
	}
	if (from->index >= other->image->n_functions ||
	    other->keys[other->image->functions[from->index].type].type_id != inst->keys[type].type_id)
		return false;
	/* What `other` imported from a third instance is bound to that one directly. */
	if (from->index < other->image->n_imported_functions &&
	    other->bindings[from->index].instance) {
		*binding = other->bindings[from->index];
	} else {
		binding->instance = from->instance;
		binding->index = from->index;
	}
	return true;
}

static bool link_table(struct wj_instance *inst, u32 index, const struct wj_extern *from)
{
	const struct wj_table_info *asked = &inst->image->tables[index];
	struct wj_table *table;

	if (from->index >= from->instance->image->n_tables)
		return false;
	table = from->instance->tables[from->index];
	if (table->type != asked->type ||
	    !limits_match(table->size, table->has_max, table->max, &asked->limits))
		return false;
	table->refs++;
	inst->tables[index] = table;
	/* From now on each writes references to its functions into what the other reads. */
	from->instance->pinned = true;
	inst->pinned = true;
	return true;
}

static bool link_memory(struct wj_instance *inst, const struct wj_extern *from)
{
	struct wj_memory *memory = from->instance->memory;

	if (from->index || !memory || !limits_match(memory->pages, memory->has_max,
						    memory->max_pages, &inst->image->memory))
		return false;
	memory->refs++;
	inst->memory = memory;
	return true;
}

static bool link_global(struct wj_instance *inst, u32 index, const struct wj_extern *from)
{
	const struct wj_global_info *asked = &inst->image->globals[index], *found;

	if (from->index >= from->instance->image->n_globals)
		return false;
	found = &from->instance->image->globals[from->index];
	if (found->type != asked->type || found->mutable_ != asked->mutable_)
		return false;
	inst->globals[index] = from->instance->globals[from->index];
	return true;
}

static int link_imports(struct wj_instance *inst, const struct wj_extern *imports,
			struct wj_error *error)
{
	const struct wj_image *image = inst->image;
	u32 i, function = 0;

	for (i = 0; i < image->n_imports; i++) {
		const struct wj_import_entry *entry = &image->imports[i];
		const struct wj_extern *from = &imports[i];
		bool match = from->kind == entry->info.kind;

		if (!from->instance && entry->info.kind != WJ_FUNC)
			return fail(error, -EINVAL, i, "unknown import");
		if (from->instance) {
			if (from->instance->store != inst->store)
				return fail(error, -EINVAL, i, "import from another store");
			hold(inst, from->instance);
		}
		if (match) {
			switch (entry->info.kind) {
			case WJ_FUNC:
				match = link_function(inst, function++, entry->index, from);
				break;
			case WJ_TABLE:
				match = link_table(inst, entry->index, from);
				break;
			case WJ_MEMORY:
				match = link_memory(inst, from);
				break;
			case WJ_GLOBAL:
				match = link_global(inst, entry->index, from);
				break;
			}
		}
		if (!match)
			return fail(error, -EINVAL, i, "incompatible import type");
	}
	return 0;
}

static int create_memory(struct wj_instance *inst)
{
	const struct wj_limits *limits = &inst->image->memory;
	struct wj_memory *memory = wj_alloc(sizeof(*memory));
	u64 size = (u64)limits->min << 16;
	int err;

	if (!memory)
		return -ENOMEM;
	memory->refs = 1;
	memory->pages = limits->min;
	memory->max_pages = limits->max;
	memory->has_max = limits->has_max;
	memory->size = size;
	err = wj_memory_reserve(&memory->base);
	if (err) {
		wj_free(memory);
		return err;
	}
	if (size)
		err = wj_memory_grow(memory->base, 0, size);
	if (err) {
		wj_memory_release(memory->base);
		wj_free(memory);
		return err;
	}
	inst->memory = memory;
	return 0;
}

/* The steps were checked when the image was read: types, operands, one value in the end. */
static u64 compute(const struct wj_instance *inst, u64 offset)
{
	const struct wj_image *image = inst->image;
	struct wj_cursor c = { .pos = image->bytes + offset, .end = image->bytes + image->size };
	u64 stack[WJ_MAX_INIT_STEPS] = { 0 };
	u32 n = wj_read_u32(&c), top = 0;

	for (u32 i = 0; i < n; i++) {
		switch (wj_read_u8(&c)) {
		case 0:
			stack[top++] = wj_read_s64(&c);
			break;
		case 3:
			stack[top++] = inst->globals[wj_read_u32(&c)]->value;
			break;
		case WJ_INIT_ADD:
			top--;
			stack[top - 1] += stack[top];
			break;
		case WJ_INIT_SUB:
			top--;
			stack[top - 1] -= stack[top];
			break;
		case WJ_INIT_MUL:
			top--;
			stack[top - 1] *= stack[top];
			break;
		}
	}
	return stack[0];
}

static u64 initial_value(const struct wj_instance *inst, const struct wj_init *init, u8 type)
{
	u64 value;

	switch (init->kind) {
	case 3:
		return inst->globals[init->value]->value;
	case 4:
		return wj_func_ref(inst, (u32)init->value);
	case 6:
		value = compute(inst, init->value);
		return type == WJ_I32 ? (u32)value : value;
	}
	return init->value;
}

/* Tables, memory and globals that are the instance's own. */
static int define_own(struct wj_instance *inst)
{
	struct wj_image *image = inst->image;
	int err = 0;
	u32 i;

	for (i = image->n_imported_tables; i < image->n_tables && !err; i++)
		err = wj_table_create(inst->store, &image->tables[i], &inst->tables[i]);
	if (!err && image->n_memories && !image->n_imported_memories)
		err = create_memory(inst);
	if (err)
		return err;
	inst->memory_base = inst->memory ? inst->memory->base : 0;
	for (i = image->n_imported_globals; i < image->n_globals; i++) {
		inst->own_globals[i] = initial_value(inst, &image->globals[i].init,
						      image->globals[i].type);
		inst->globals[i] = (struct wj_global *)&inst->own_globals[i];
	}
	return 0;
}

/* WebAssembly 2.0, section 4.5.4, steps 12 to 15.  0 or a trap. */
static int copy_segments(struct wj_instance *inst)
{
	const struct wj_image *image = inst->image;
	int trap = 0;
	u32 i;

	for (i = 0; i < image->n_elements && !trap; i++) {
		const struct wj_element_segment *seg = &image->elements[i];

		if (!seg->mode)
			trap = wj_table_init(inst, seg->table, i,
					     (u32)initial_value(inst, &seg->offset, WJ_I32), 0, seg->count);
		if (seg->mode != 1)
			inst->dropped_elements[i] = 1;
	}
	for (i = 0; i < image->n_data && !trap; i++) {
		const struct wj_data_segment *seg = &image->data[i];

		if (seg->mode)
			continue;
		trap = wj_memory_init(inst, i, (u32)initial_value(inst, &seg->offset, WJ_I32), 0,
				      seg->size);
		inst->dropped_data[i] = 1;
	}
	return trap;
}

static int prepare_engine(struct wj_instance *inst, struct wj_error *error)
{
	struct wj_image *image = inst->image;
	u32 defined = image->n_functions - image->n_imported_functions;
	int err;

	if (inst->engine == WJ_ENGINE_INTERP) {
		inst->stats.functions_interpreted = defined;
		return wj_interp_init(inst, error);
	}
	if (!image->code) {
		err = wj_jit_compile(image, error, &image->code);
		if (err)
			return err;
	}
	inst->stats.functions_jitted = defined;
	inst->stats.code_bytes = wj_code_size(image->code);
	inst->stats.jit_ns = wj_code_ns(image->code);
	return 0;
}

static void enlist(struct wj_store *store, struct wj_instance *inst)
{
	inst->ref_base = store->next_ref;
	store->next_ref += inst->image->n_functions;
	inst->next = store->instances;
	store->instances = inst;
}

static void free_instance(struct wj_instance *inst)
{
	u32 i;

	for (i = 0; i < inst->image->n_tables; i++)
		wj_table_destroy(inst->store, inst->tables[i]);
	if (inst->memory && !--inst->memory->refs) {
		wj_memory_release(inst->memory->base);
		wj_free(inst->memory);
	}
	if (inst->interp)
		wj_interp_deinit(inst);
	for (i = 0; i < inst->n_held; i++)
		inst->held[i]->refs--;
	wj_free(inst->held);
	wj_image_destroy(inst->image);
	wj_free(inst);
}

static int initialise(struct wj_instance *inst, const struct wj_extern *imports,
		      struct wj_error *error)
{
	struct wj_image *image = inst->image;
	int err = 0;
	u32 i;

	for (i = 0; i < image->n_types && !err; i++) {
		inst->keys[i].owner = inst->ref_base;
		err = wj_store_type_id(inst->store, &image->types[i], &inst->keys[i].type_id);
	}
	if (!err)
		err = link_imports(inst, imports, error);
	if (!err)
		err = define_own(inst);
	if (!err)
		err = prepare_engine(inst, error);
	return err;
}

/*
 * Frees those that nobody holds.  An instance holds only older ones, which are further on
 * in the list: one pass gets all.
 */
static void sweep(struct wj_store *store)
{
	struct wj_instance *inst, **link = &store->instances;

	while (*link) {
		inst = *link;
		if (inst->refs || inst->pinned) {
			link = &inst->next;
			continue;
		}
		*link = inst->next;
		free_instance(inst);
	}
}

int wj_instance_create(struct wj_store *store, struct wj_image *image, enum wj_engine engine,
		       const struct wj_extern *imports, void *user, struct wj_error *error,
		       struct wj_instance **ret)
{
	struct wj_instance *inst;
	int err;

	*error = (struct wj_error){ .function = ~0u };
	*ret = NULL;
	if (image->n_functions > WJ_NULL_REF - store->next_ref)
		return fail(error, -ENOSPC, 0, "too many functions in the store");
	inst = allocate(image);
	if (!inst)
		return fail(error, -ENOMEM, 0, "out of memory");
	inst->held = image->n_imports ? wj_alloc(image->n_imports * sizeof(*inst->held)) : NULL;
	if (image->n_imports && !inst->held) {
		wj_free(inst);
		return fail(error, -ENOMEM, 0, "out of memory");
	}
	inst->refs = 1;
	inst->store = store;
	inst->image = image;
	wj_image_hold(image);
	inst->engine = engine;
	inst->user = user;
	inst->poll_flags = &inst->own_poll_flags;
	enlist(store, inst);

	err = initialise(inst, imports, error);
	if (err) {
		error->code = err;
		if (!error->message)
			error->message = err == -ENOMEM ? "out of memory" : "cannot instantiate";
		inst->refs = 0;
		inst->pinned = false;
		sweep(store);
		return err;
	}
	*ret = inst;
	return copy_segments(inst);
}

void wj_instance_destroy(struct wj_instance *inst)
{
	if (inst && !--inst->refs)
		sweep(inst->store);
}

void wj_store_destroy(struct wj_store *store)
{
	struct wj_instance *inst;
	u32 i;

	if (!store)
		return;
	while (store->instances) {
		inst = store->instances;
		store->instances = inst->next;
		free_instance(inst);
	}
	for (i = 0; i < store->n_types; i++)
		wj_free((void *)store->types[i].bytes);
	wj_free(store->types);
	wj_free(store->buckets);
	wj_free(store->stack);
	wj_free(store);
}

/* Those 32 bits wide come from hosts with anything in the upper half. */
static void clean_values(u32 n, const u8 *types, u64 *values)
{
	u32 i;

	for (i = 0; i < n; i++)
		if (types[i] != WJ_I64 && types[i] != WJ_F64)
			values[i] = (u32)values[i];
}

void wj_add_frame(struct wj_instance *inst, u32 function, u32 offset)
{
	if (inst->n_frames < ARRAY_SIZE(inst->frames))
		inst->frames[inst->n_frames++] = (struct wj_frame){ function, offset };
}

int wj_call_import(struct wj_instance *inst, u32 import, u64 *args)
{
	const struct wj_binding *binding = &inst->bindings[import];
	const struct wj_func_type *type = &inst->image->types[inst->image->functions[import].type];
	u32 n_frames = inst->n_frames;
	int trap;

	if (binding->instance)
		return wj_call(binding->instance, binding->index, args);
	if (!binding->host)
		return WJ_TRAP_UNKNOWN_IMPORT;
	inst->stats.host_calls++;
	trap = binding->host(inst, binding->data, args);
	if (trap)
		return trap;
	/* The host went on after traps of guest functions it called, if any. */
	inst->n_frames = n_frames;
	clean_values(type->n_results, type->results, args);
	return 0;
}

int wj_call(struct wj_instance *inst, u32 func, u64 *args)
{
	const struct wj_func_type *type;
	int trap;

	if (func >= inst->image->n_functions)
		return WJ_TRAP_BAD_HOST_ARGUMENT;
	if (inst->store->depth >= WJ_MAX_NESTING)
		return WJ_TRAP_STACK_EXHAUSTED;
	type = &inst->image->types[inst->image->functions[func].type];
	clean_values(type->n_params, type->params, args);

	inst->store->depth++;
	if (!inst->depth++)
		inst->n_frames = 0;
	if (func < inst->image->n_imported_functions)
		trap = wj_call_import(inst, func, args);
	else if (inst->engine == WJ_ENGINE_JIT)
		trap = wj_jit_call(inst, func, args);
	else
		trap = wj_interp_call(inst, func, args);
	inst->depth--;
	inst->store->depth--;
	inst->trap = (u32)trap;
	if (trap && !inst->depth)
		inst->stats.traps++;
	return trap;
}

u32 wj_call_depth(const struct wj_instance *inst)
{
	return inst->store->depth;
}

int wj_call_ref(struct wj_instance *inst, u32 funcref, u64 *args)
{
	struct wj_instance *callee;
	u32 index;

	if (funcref == WJ_NULL_REF)
		return WJ_TRAP_UNINITIALIZED_ELEMENT;
	if (!wj_resolve_ref(inst->store, funcref, &callee, &index))
		return WJ_TRAP_BAD_HOST_ARGUMENT;
	return wj_call(callee, index, args);
}

int wj_find_element(struct wj_instance *inst, u32 table, u32 element, u32 type_id,
		    struct wj_instance **callee, u32 *index)
{
	const struct wj_table *t = inst->tables[table];
	const struct wj_element *e;

	if (element >= t->size)
		return WJ_TRAP_UNDEFINED_ELEMENT;
	e = &t->elements[wj_index_nospec(element, t->size)];
	if (e->ref == WJ_NULL_REF)
		return WJ_TRAP_UNINITIALIZED_ELEMENT;
	if (e->key.type_id != type_id)
		return WJ_TRAP_INDIRECT_CALL_TYPE;
	*callee = e->instance;
	*index = e->ref - e->instance->ref_base;
	return 0;
}

int wj_call_element(struct wj_instance *inst, u32 table, u32 element, u32 type, u64 *args)
{
	struct wj_instance *callee;
	u32 index;
	int trap = wj_find_element(inst, table, element, inst->keys[type].type_id, &callee, &index);

	return trap ? trap : wj_call(callee, index, args);
}

int wj_call_table(struct wj_instance *inst, u32 element, const struct wj_func_type *type,
		  u64 *args)
{
	struct wj_instance *callee;
	u32 index, type_id;
	int trap;

	if (!inst->image->n_tables)
		return WJ_TRAP_UNDEFINED_ELEMENT;
	if (wj_store_type_id(inst->store, type, &type_id))
		return WJ_TRAP_OUT_OF_MEMORY;
	trap = wj_find_element(inst, 0, element, type_id, &callee, &index);
	return trap ? trap : wj_call(callee, index, args);
}

struct wj_image *wj_instance_image(struct wj_instance *inst)
{
	return inst->image;
}

int wj_instance_export(struct wj_instance *inst, const char *name, enum wj_kind *kind, u32 *index)
{
	return wj_instance_find_export(inst, (const u8 *)name, strlen(name), kind, index);
}

int wj_instance_find_export(struct wj_instance *inst, const u8 *name, size_t size,
			    enum wj_kind *kind, u32 *index)
{
	u32 i;

	for (i = 0; i < inst->image->n_exports; i++) {
		const struct wj_export_entry *entry = &inst->image->exports[i];

		if (entry->name_size == size && !memcmp(entry->name, name, size)) {
			*kind = entry->kind;
			*index = entry->index;
			return 0;
		}
	}
	return -ENOENT;
}

int wj_instance_start_function(struct wj_instance *inst, u32 *index)
{
	if (inst->image->start == ~0u)
		return -ENOENT;
	*index = inst->image->start;
	return 0;
}

const struct wj_func_type *wj_instance_func_type(struct wj_instance *inst, u32 index)
{
	if (index >= inst->image->n_functions)
		return NULL;
	return &inst->image->types[inst->image->functions[index].type];
}

/* Names come from the image: what is not printable ASCII must not reach a log. */
const char *wj_instance_func_name(struct wj_instance *inst, u32 index, char *buffer, size_t size)
{
	const struct wj_image *image = inst->image;
	struct wj_cursor c = { .pos = image->names, .end = image->names + image->names_size };
	u32 i, length = 0;

	if (!size)
		return buffer;
	if (index < image->n_names) {
		for (i = 0; i < index; i++) {
			length = wj_read_u32(&c);
			c.pos += length;
		}
		length = wj_read_u32(&c);
	}
	for (i = 0; i < length && i < size - 1; i++)
		buffer[i] = c.pos[i] > ' ' && c.pos[i] < 0x7f ? (char)c.pos[i] : '?';
	buffer[i] = 0;
	return buffer;
}

u64 wj_memory_base(struct wj_instance *inst)
{
	return inst->memory_base;
}

u64 wj_memory_size(struct wj_instance *inst)
{
	return inst->memory ? inst->memory->size : 0;
}

int wj_global_get(struct wj_instance *inst, u32 index, u64 *value, u8 *type)
{
	if (index >= inst->image->n_globals)
		return -ENOENT;
	*value = inst->globals[index]->value;
	*type = inst->image->globals[index].type;
	return 0;
}

int wj_global_set(struct wj_instance *inst, u32 index, u64 value)
{
	if (index >= inst->image->n_globals)
		return -ENOENT;
	if (!inst->image->globals[index].mutable_)
		return -EPERM;
	clean_values(1, &inst->image->globals[index].type, &value);
	inst->globals[index]->value = value;
	return 0;
}

u32 wj_backtrace(struct wj_instance *inst, struct wj_frame *frames, u32 max)
{
	u32 n = min(max, inst->n_frames);

	memcpy(frames, inst->frames, n * sizeof(*frames));
	return n;
}

void wj_instance_stats(struct wj_instance *inst, struct wj_stats *stats)
{
	*stats = inst->stats;
}
