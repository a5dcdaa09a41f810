// SPDX-License-Identifier: GPL-2.0-only
/*
 * Parser of the image format (image.h).  Section by section: the count is bounded by its
 * limit and by the bytes that are left, then the table is allocated, then filled.  Names,
 * types, segments and bodies stay where they are, in the image's bytes.
 */
#include "internal.h"
#include "isa_hash.h"

struct parser {
	struct wj_image *image;
	struct wj_error *error;
	struct wj_cursor c;
	u32 section;
};

static int fail(struct parser *p, int code, const char *message)
{
	p->error->code = code;
	p->error->section = p->section;
	p->error->function = ~0u;
	p->error->offset = (u32)(p->c.pos - p->image->bytes);
	p->error->message = message;
	return code;
}

static int reject(struct parser *p, const char *message)
{
	return fail(p, -EINVAL, message);
}

/* A count of entries of at least one byte each, which are `size` bytes in memory. */
static int read_table(struct parser *p, u32 limit, size_t size, u32 *count, void *ret)
{
	u32 n = wj_read_u32(&p->c);
	void *table;

	if (p->c.bad)
		return reject(p, "malformed count");
	if (n > limit)
		return reject(p, "count over the limit");
	if (n > (size_t)(p->c.end - p->c.pos))
		return reject(p, "count exceeds the section");
	if (n) {
		table = wj_alloc(n * size);
		if (!table)
			return fail(p, -ENOMEM, "out of memory");
		memcpy(ret, &table, sizeof(table));
	}
	*count = n;
	return 0;
}

static int read_bytes(struct parser *p, u32 limit, u32 *size, const u8 **ret)
{
	u32 n = wj_read_u32(&p->c);

	if (p->c.bad || n > (size_t)(p->c.end - p->c.pos))
		return reject(p, "bytes run over the end of the section");
	if (n > limit)
		return reject(p, "length over the limit");
	*size = n;
	*ret = p->c.pos;
	p->c.pos += n;
	return 0;
}

static bool is_ref(u8 type)
{
	return type == WJ_FUNCREF || type == WJ_EXTERNREF;
}

static int read_value_types(struct parser *p, u32 limit, u32 *count, const u8 **ret, bool *floats)
{
	u32 i;
	int err = read_bytes(p, limit, count, ret);

	if (err)
		return err;
	for (i = 0; i < *count; i++) {
		if ((*ret)[i] > WJ_EXTERNREF)
			return reject(p, "unknown value type");
		*floats |= (*ret)[i] == WJ_F32 || (*ret)[i] == WJ_F64;
	}
	return 0;
}

static int read_types(struct parser *p)
{
	struct wj_image *image = p->image;
	int err;
	u32 i;

	err = read_table(p, WJ_MAX_TYPES, sizeof(*image->types), &image->n_types, &image->types);
	for (i = 0; i < image->n_types && !err; i++) {
		struct wj_func_type *type = &image->types[i];

		err = read_value_types(p, WJ_MAX_PARAMS, &type->n_params, &type->params,
				       &type->has_floats);
		if (!err)
			err = read_value_types(p, WJ_MAX_RESULTS, &type->n_results,
					       &type->results, &type->has_floats);
		image->max_results = max(image->max_results, type->n_results);
	}
	return err;
}

static int read_type_index(struct parser *p, u32 *ret)
{
	*ret = wj_read_u32(&p->c);
	if (p->c.bad || *ret >= p->image->n_types)
		return reject(p, "type index out of range");
	return 0;
}

static int read_limits(struct parser *p, u32 limit_min, u32 limit_max, struct wj_limits *ret)
{
	u8 flags = wj_read_u8(&p->c);

	if (flags > 1)
		return reject(p, "unknown limits flags");
	ret->has_max = flags;
	ret->min = wj_read_u32(&p->c);
	ret->max = flags ? wj_read_u32(&p->c) : limit_max;
	if (p->c.bad)
		return reject(p, "malformed limits");
	if (ret->min > limit_min || ret->max > limit_max)
		return reject(p, "limits over the limit");
	if (ret->max < ret->min)
		return reject(p, "minimum exceeds maximum");
	return 0;
}

static int read_table_type(struct parser *p, struct wj_table_info *table)
{
	table->type = wj_read_u8(&p->c);
	if (!is_ref(table->type))
		return reject(p, "table type is not a reference type");
	return read_limits(p, WJ_MAX_TABLE_SIZE, ~0u, &table->limits);
}

static int read_memory_type(struct parser *p)
{
	if (p->image->n_memories)
		return reject(p, "more than one memory");
	p->image->n_memories = 1;
	return read_limits(p, WJ_MAX_PAGES, WJ_MAX_PAGES, &p->image->memory);
}

static int read_global_type(struct parser *p, struct wj_global_info *global)
{
	global->type = wj_read_u8(&p->c);
	global->mutable_ = wj_read_u8(&p->c);
	if (p->c.bad || global->type > WJ_EXTERNREF || global->mutable_ > 1)
		return reject(p, "malformed global type");
	return 0;
}

static int read_steps(struct parser *p, u8 type);

/* The value of `type` that an initialiser gives. */
static int read_init(struct parser *p, u8 type, struct wj_init *init)
{
	struct wj_image *image = p->image;
	bool fits = true;
	s64 integer;

	init->kind = wj_read_u8(&p->c);
	switch (init->kind) {
	case 6:
		if (type != WJ_I32 && type != WJ_I64)
			return reject(p, "initialiser is not a constant of the type");
		init->value = p->c.pos - image->bytes;
		return read_steps(p, type);
	case 0:
		integer = wj_read_s64(&p->c);
		fits = type == WJ_I64 || (type == WJ_I32 && integer == (s32)integer);
		init->value = type == WJ_I32 ? (u32)integer : (u64)integer;
		break;
	case 1:
		init->value = wj_read_le32(&p->c);
		fits = type == WJ_F32;
		break;
	case 2:
		init->value = wj_read_le64(&p->c);
		fits = type == WJ_F64;
		break;
	case 3:
		init->value = wj_read_u32(&p->c);
		fits = init->value < image->n_imported_globals &&
		       !image->globals[init->value].mutable_ &&
		       image->globals[init->value].type == type;
		break;
	case 4:
		init->value = wj_read_u32(&p->c);
		fits = type == WJ_FUNCREF && init->value < image->n_functions;
		break;
	case 5:
		init->value = WJ_NULL_REF;
		fits = is_ref(type);
		break;
	default:
		return reject(p, "unknown kind of initialiser");
	}
	if (p->c.bad)
		return reject(p, "malformed initialiser");
	return fits ? 0 : reject(p, "initialiser is not a constant of the type");
}

/* An initialiser that computes: instance.c does that, when the imports are known. */
static int read_steps(struct parser *p, u8 type)
{
	u32 n = wj_read_u32(&p->c), depth = 0;
	struct wj_init operand;
	int err;

	if (p->c.bad || n > WJ_MAX_INIT_STEPS)
		return reject(p, "steps of an initialiser over the limit");
	for (u32 i = 0; i < n; i++) {
		u8 kind = p->c.pos < p->c.end ? *p->c.pos : 0;

		if (kind >= WJ_INIT_ADD && kind <= WJ_INIT_MUL) {
			if (depth < 2)
				return reject(p, "a step of an initialiser lacks operands");
			p->c.pos++;
			depth--;
			continue;
		}
		if (kind && kind != 3)
			return reject(p, "unknown step of an initialiser");
		err = read_init(p, type, &operand);
		if (err)
			return err;
		depth++;
	}
	return depth == 1 ? 0 : reject(p, "an initialiser does not leave one value");
}

/*
 * Index spaces start with the imports, whose number per kind is known only when all are
 * read; the spaces are allocated with room for imports and own entries when the section
 * that defines own ones is due, so imports keep their types here until then.
 */
static int read_imports(struct parser *p, struct wj_table_info **tables,
			struct wj_global_info **globals)
{
	struct wj_image *image = p->image;
	int err;
	u32 i;

	err = read_table(p, WJ_MAX_IMPORTS, sizeof(*image->imports), &image->n_imports,
			 &image->imports);
	if (err || !image->n_imports)
		return err;
	*tables = wj_alloc(image->n_imports * sizeof(**tables));
	*globals = wj_alloc(image->n_imports * sizeof(**globals));
	if (!*tables || !*globals)
		return fail(p, -ENOMEM, "out of memory");

	for (i = 0; i < image->n_imports && !err; i++) {
		struct wj_import_entry *entry = &image->imports[i];
		struct wj_import_info *info = &entry->info;
		u8 kind;

		err = read_bytes(p, WJ_MAX_NAME, &info->module_size, &info->module);
		if (!err)
			err = read_bytes(p, WJ_MAX_NAME, &info->name_size, &info->name);
		if (err)
			return err;
		kind = wj_read_u8(&p->c);
		info->kind = kind;
		switch (kind) {
		case WJ_FUNC:
			err = read_type_index(p, &entry->index);
			if (!err)
				info->type = &image->types[entry->index];
			image->n_imported_functions++;
			break;
		case WJ_TABLE:
			entry->index = image->n_imported_tables++;
			err = read_table_type(p, *tables + entry->index);
			break;
		case WJ_MEMORY:
			err = read_memory_type(p);
			image->n_imported_memories++;
			break;
		case WJ_GLOBAL:
			entry->index = image->n_imported_globals++;
			err = read_global_type(p, *globals + entry->index);
			break;
		default:
			err = reject(p, "unknown kind of import");
		}
	}
	return err;
}

/* An index space of `imported` entries, copied from `from`, and `n` own ones. */
static int make_space(struct parser *p, u32 imported, u32 n, u32 limit, size_t size,
		      const void *from, u32 *count, void *ret)
{
	void *space;

	if (n > limit - min(imported, limit))
		return reject(p, "count over the limit");
	*count = imported + n;
	if (!*count)
		return 0;
	space = wj_alloc(*count * size);
	if (!space)
		return fail(p, -ENOMEM, "out of memory");
	if (from)
		memcpy(space, from, imported * size);
	memcpy(ret, &space, sizeof(space));
	return 0;
}

/* The number of own entries of a section that may be missing. */
static int read_count(struct parser *p, u32 *ret)
{
	*ret = 0;
	if (p->c.pos == p->c.end)
		return 0;
	*ret = wj_read_u32(&p->c);
	if (p->c.bad || *ret > (size_t)(p->c.end - p->c.pos))
		return reject(p, "count exceeds the section");
	return 0;
}

static int read_functions(struct parser *p)
{
	struct wj_image *image = p->image;
	u32 i, n, next = 0;
	int err = read_count(p, &n);

	if (!err)
		err = make_space(p, image->n_imported_functions, n, WJ_MAX_FUNCTIONS,
				 sizeof(*image->functions), NULL, &image->n_functions,
				 &image->functions);
	if (err)
		return err;
	for (i = 0; i < image->n_imports; i++)
		if (image->imports[i].info.kind == WJ_FUNC)
			image->functions[next++].type = image->imports[i].index;
	for (; next < image->n_functions && !err; next++)
		err = read_type_index(p, &image->functions[next].type);
	return err;
}

static int read_tables(struct parser *p, const struct wj_table_info *imported)
{
	struct wj_image *image = p->image;
	u32 i, n;
	int err = read_count(p, &n);

	if (!err)
		err = make_space(p, image->n_imported_tables, n, WJ_MAX_TABLES,
				 sizeof(*image->tables), imported, &image->n_tables,
				 &image->tables);
	for (i = image->n_imported_tables; i < image->n_tables && !err; i++)
		err = read_table_type(p, &image->tables[i]);
	return err;
}

static int read_memories(struct parser *p)
{
	u32 n;
	int err = read_count(p, &n);

	while (n-- && !err)
		err = read_memory_type(p);
	return err;
}

static int read_globals(struct parser *p, const struct wj_global_info *imported)
{
	struct wj_image *image = p->image;
	u32 i, n;
	int err = read_count(p, &n);

	if (!err)
		err = make_space(p, image->n_imported_globals, n, WJ_MAX_GLOBALS,
				 sizeof(*image->globals), imported, &image->n_globals,
				 &image->globals);
	for (i = image->n_imported_globals; i < image->n_globals && !err; i++) {
		err = read_global_type(p, &image->globals[i]);
		if (!err)
			err = read_init(p, image->globals[i].type, &image->globals[i].init);
	}
	return err;
}

static u32 space_size(const struct wj_image *image, u8 kind)
{
	switch (kind) {
	case WJ_FUNC:
		return image->n_functions;
	case WJ_TABLE:
		return image->n_tables;
	case WJ_MEMORY:
		return image->n_memories;
	case WJ_GLOBAL:
		return image->n_globals;
	}
	return 0;
}

static int read_exports(struct parser *p)
{
	struct wj_image *image = p->image;
	int err;
	u32 i;

	err = read_table(p, WJ_MAX_EXPORTS, sizeof(*image->exports), &image->n_exports,
			 &image->exports);
	for (i = 0; i < image->n_exports && !err; i++) {
		struct wj_export_entry *entry = &image->exports[i];

		err = read_bytes(p, WJ_MAX_NAME, &entry->name_size, &entry->name);
		if (err)
			break;
		entry->kind = wj_read_u8(&p->c);
		entry->index = wj_read_u32(&p->c);
		if (p->c.bad || entry->index >= space_size(image, entry->kind))
			err = reject(p, "export index out of range");
	}
	return err;
}

static int read_start(struct parser *p)
{
	struct wj_image *image = p->image;
	const struct wj_func_type *type;

	image->start = wj_read_u32(&p->c);
	if (p->c.bad || image->start >= image->n_functions)
		return reject(p, "start function index out of range");
	type = &image->types[image->functions[image->start].type];
	if (type->n_params || type->n_results)
		return reject(p, "start function has parameters or results");
	return 0;
}

static int read_elements(struct parser *p)
{
	struct wj_image *image = p->image;
	struct wj_init init;
	u32 i, j;
	int err;

	err = read_table(p, WJ_MAX_SEGMENTS, sizeof(*image->elements), &image->n_elements,
			 &image->elements);
	for (i = 0; i < image->n_elements && !err; i++) {
		struct wj_element_segment *seg = &image->elements[i];

		seg->mode = wj_read_u8(&p->c);
		seg->type = wj_read_u8(&p->c);
		if (seg->mode > 2 || !is_ref(seg->type))
			return reject(p, "malformed element segment");
		if (!seg->mode) {
			seg->table = wj_read_u32(&p->c);
			if (seg->table >= image->n_tables)
				return reject(p, "table index out of range");
			if (image->tables[seg->table].type != seg->type)
				return reject(p, "table of another type");
			err = read_init(p, WJ_I32, &seg->offset);
			if (err)
				return err;
		}
		seg->count = wj_read_u32(&p->c);
		if (p->c.bad)
			return reject(p, "malformed element segment");
		seg->inits = p->c.pos;
		for (j = 0; j < seg->count && !err; j++)
			err = read_init(p, seg->type, &init);
	}
	return err;
}

static int read_data(struct parser *p)
{
	struct wj_image *image = p->image;
	int err;
	u32 i;

	err = read_table(p, WJ_MAX_SEGMENTS, sizeof(*image->data), &image->n_data, &image->data);
	for (i = 0; i < image->n_data && !err; i++) {
		struct wj_data_segment *seg = &image->data[i];

		seg->mode = wj_read_u8(&p->c);
		if (p->c.bad || seg->mode > 1)
			return reject(p, "malformed data segment");
		if (!seg->mode && !image->n_memories)
			return reject(p, "active data segment without a memory");
		if (!seg->mode)
			err = read_init(p, WJ_I32, &seg->offset);
		if (!err)
			err = read_bytes(p, ~0u, &seg->size, &seg->bytes);
	}
	return err;
}

static int read_code(struct parser *p)
{
	struct wj_image *image = p->image;
	u32 i;
	int err = 0;

	for (i = image->n_imported_functions; i < image->n_functions && !err; i++)
		err = read_bytes(p, WJ_MAX_BODY_SIZE, &image->functions[i].body_size,
				 &image->functions[i].body);
	return err;
}

static int read_names(struct parser *p)
{
	struct wj_image *image = p->image;
	const u8 *name;
	u32 i, size;
	int err = 0;

	image->n_names = wj_read_u32(&p->c);
	if (p->c.bad || image->n_names > image->n_functions)
		return reject(p, "more names than functions");
	image->names = p->c.pos;
	image->names_size = (size_t)(p->c.end - p->c.pos);
	for (i = 0; i < image->n_names && !err; i++)
		err = read_bytes(p, WJ_MAX_NAME, &size, &name);
	return err;
}

struct section {
	u32 offset, size;
};

static int read_header(struct parser *p, struct section *sections)
{
	struct wj_image *image = p->image;
	u32 i, n, id, last = 0, end;

	p->c.pos = image->bytes;
	p->c.end = image->bytes + image->size;
	if (image->size < WJ_IMAGE_HEADER_SIZE || memcmp(p->c.pos, WJ_IMAGE_MAGIC, 8))
		return reject(p, "not an image");
	p->c.pos += 8;
	if (wj_read_le64(&p->c) != WJ_ISA_HASH)
		return fail(p, -EPROTO, "image is of another version: recompile");
	if (image->size > WJ_MAX_IMAGE_SIZE)
		return fail(p, -EFBIG, "image over the size limit");
	if (wj_read_le32(&p->c) != image->size)
		return reject(p, "size differs from the header's");
	n = wj_read_le32(&p->c);
	p->c.pos += 32;
	if (wj_read_le64(&p->c))
		return reject(p, "reserved bytes are not zero");
	if (n >= WJ_SECTION_END)
		return reject(p, "too many sections");

	end = WJ_IMAGE_HEADER_SIZE + n * 12;
	for (i = 0; i < n; i++) {
		struct section s;

		id = wj_read_le32(&p->c);
		s.offset = wj_read_le32(&p->c);
		s.size = wj_read_le32(&p->c);
		if (p->c.bad)
			return reject(p, "section table runs over the end");
		if (id <= last || id >= WJ_SECTION_END)
			return reject(p, "unknown section, or out of order");
		if (s.offset != end)
			return reject(p, "gap or overlap between sections");
		if (check_add_overflow(s.offset, s.size, &end) || end > image->size)
			return reject(p, "section runs over the end");
		sections[id] = s;
		last = id;
	}
	if (end != image->size)
		return reject(p, "bytes after the last section");
	return 0;
}

static int read_section(struct parser *p, const struct section *s,
			struct wj_table_info **tables, struct wj_global_info **globals)
{
	/* A section that is missing has offset 0 and no bytes. */
	bool missing = !s->offset;

	p->c.pos = p->image->bytes + s->offset;
	p->c.end = p->c.pos + s->size;
	if (missing && p->section != WJ_SECTION_FUNCTIONS && p->section != WJ_SECTION_TABLES &&
	    p->section != WJ_SECTION_GLOBALS && p->section != WJ_SECTION_CODE)
		return 0;

	switch ((enum wj_section)p->section) {
	case WJ_SECTION_TYPES:
		return read_types(p);
	case WJ_SECTION_IMPORTS:
		return read_imports(p, tables, globals);
	case WJ_SECTION_FUNCTIONS:
		return read_functions(p);
	case WJ_SECTION_TABLES:
		return read_tables(p, *tables);
	case WJ_SECTION_MEMORIES:
		return read_memories(p);
	case WJ_SECTION_GLOBALS:
		return read_globals(p, *globals);
	case WJ_SECTION_EXPORTS:
		return read_exports(p);
	case WJ_SECTION_START:
		return read_start(p);
	case WJ_SECTION_ELEMENTS:
		return read_elements(p);
	case WJ_SECTION_DATA:
		return read_data(p);
	case WJ_SECTION_CODE:
		return read_code(p);
	case WJ_SECTION_NAMES:
		return read_names(p);
	case WJ_SECTION_END:
		break;
	}
	return 0;
}

static int parse(struct wj_image *image, struct wj_error *error)
{
	struct section sections[WJ_SECTION_END] = { { 0, 0 } };
	struct wj_global_info *globals = NULL;
	struct wj_table_info *tables = NULL;
	struct parser p = { .image = image, .error = error };
	int err = read_header(&p, sections);

	for (p.section = 1; p.section < WJ_SECTION_END && !err; p.section++) {
		err = read_section(&p, &sections[p.section], &tables, &globals);
		if (!err && (p.c.bad || p.c.pos != p.c.end))
			err = reject(&p, "section is not consumed exactly");
	}
	wj_free(tables);
	wj_free(globals);
	return err;
}

int wj_image_create(const u8 *bytes, size_t size, struct wj_error *error, struct wj_image **ret)
{
	struct wj_image *image = wj_alloc(sizeof(*image));
	int err;
	u32 i;

	*error = (struct wj_error){ .function = ~0u };
	if (!image) {
		error->code = -ENOMEM;
		error->message = "out of memory";
		return -ENOMEM;
	}
	image->bytes = bytes;
	image->size = size;
	image->start = ~0u;
	image->refs = 1;
	err = parse(image, error);
	for (i = image->n_imported_functions; i < image->n_functions && !err; i++) {
		err = wj_breathe();
		if (err)
			*error = (struct wj_error){ .code = err, .function = i,
						    .message = "interrupted" };
		else
			err = wj_verify_function(image, i, error);
	}
	if (err) {
		wj_image_destroy(image);
		return err;
	}
	*ret = image;
	return 0;
}

void __attribute__((weak)) wj_code_destroy(struct wj_code *code)
{
	(void)code;	/* built without a JIT: there is never any */
}

void wj_image_hold(struct wj_image *image)
{
	__atomic_fetch_add(&image->refs, 1, __ATOMIC_RELAXED);
}

void wj_image_destroy(struct wj_image *image)
{
	if (!image || __atomic_sub_fetch(&image->refs, 1, __ATOMIC_ACQ_REL))
		return;
	if (image->code)
		wj_code_destroy(image->code);
	wj_free(image->data);
	wj_free(image->elements);
	wj_free(image->exports);
	wj_free(image->imports);
	wj_free(image->globals);
	wj_free(image->tables);
	wj_free(image->functions);
	wj_free(image->types);
	wj_free(image);
}

u32 wj_image_import_count(const struct wj_image *image)
{
	return image->n_imports;
}

bool wj_image_exports(const struct wj_image *image, const char *name)
{
	for (u32 i = 0; i < image->n_exports; i++) {
		const struct wj_export_entry *entry = &image->exports[i];

		if (entry->name_size == strlen(name) && !memcmp(entry->name, name, entry->name_size))
			return true;
	}
	return false;
}

void wj_image_import(const struct wj_image *image, u32 i, struct wj_import_info *ret)
{
	*ret = image->imports[i].info;
}
