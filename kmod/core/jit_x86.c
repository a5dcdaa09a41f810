// SPDX-License-Identifier: GPL-2.0-only
/* The x86-64 JIT: from a verified image to code in executable memory. */
#include "jit_x86.h"

/*
 * A forward branch whose target is this near in the bytecode is tried with a displacement of
 * 8 bits.  Where that turns out too short the function is compiled again with that branch
 * long, a few times at most, then with long branches only.
 */
#define SHORT_BRANCH	72u
#define ATTEMPTS	6u

static void cpuid(u32 leaf, u32 regs[4])
{
	__asm__ volatile("cpuid" : "=a"(regs[0]), "=b"(regs[1]), "=c"(regs[2]), "=d"(regs[3])
			 : "0"(leaf), "2"(0));
}

u32 wj_cpu_features(void)
{
	u32 r[4], features = 0, max, low, high;

	cpuid(0, r);
	max = r[0];
	cpuid(1, r);
	features |= r[2] & 1u << 19 ? WJ_CPU_SSE41 : 0;
	features |= r[2] & 1u << 23 ? WJ_CPU_POPCNT : 0;
	if ((r[2] & 3u << 27) == 3u << 27) {
		/* OSXSAVE and AVX; the system enabled SSE and AVX state. */
		__asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
		features |= (low & 6) == 6 ? WJ_CPU_AVX : 0;
	}
	if (max >= 7) {
		cpuid(7, r);
		features |= r[1] & 1u << 3 ? WJ_CPU_BMI1 : 0;
		features |= r[1] & 1u << 8 ? WJ_CPU_BMI2 : 0;
	}
	cpuid(0x80000000, r);
	if (r[0] >= 0x80000001) {
		cpuid(0x80000001, r);
		features |= r[2] & 1u << 5 ? WJ_CPU_LZCNT : 0;
	}
	return features;
}

int wj_jit_fail(struct wj_jit *j, int code, const char *message)
{
	if (!j->e.error)
		j->e.error = code;
	if (!j->error->message)
		*j->error = (struct wj_error){ .code = code, .section = WJ_SECTION_CODE,
					       .function = j->index, .offset = j->offset,
					       .message = message };
	return code;
}

u32 wj_jit_random(struct wj_jit *j)
{
	if (!j->random_left) {
		wj_random(j->random, sizeof(j->random));
		j->random_left = ARRAY_SIZE(j->random);
	}
	return j->random[--j->random_left];
}

void *wj_list_add(struct wj_jit *j, struct wj_list *list, u32 size)
{
	u8 *items;
	u32 capacity;

	if (unlikely(list->count == list->capacity)) {
		capacity = list->capacity ? list->capacity * 2 : 256;
		items = wj_alloc((size_t)capacity * size);
		if (!items) {
			wj_jit_fail(j, -ENOMEM, "out of memory");
			memset(j->dummy, 0, sizeof(j->dummy));
			return j->dummy;
		}
		if (list->count)
			memcpy(items, list->items, (size_t)list->count * size);
		wj_free(list->items);
		list->items = items;
		list->capacity = capacity;
	}
	items = (u8 *)list->items + (size_t)list->count++ * size;
	memset(items, 0, size);
	return items;
}

void wj_jit_site(struct wj_jit *j, u32 flags)
{
	struct wj_site *site = wj_list_add(j, &j->sites, sizeof(*site));

	site->pc = j->e.pos;
	site->offset = j->offset | flags;
}

void wj_jit_reloc(struct wj_jit *j, enum wj_reloc_kind kind, u32 at, u32 index, const void *target)
{
	struct wj_reloc *reloc = wj_list_add(j, &j->relocs, sizeof(*reloc));

	reloc->at = at;
	reloc->kind = kind;
	reloc->index = index;
	reloc->target = target;
}

u32 wj_jit_literal(struct wj_jit *j, u64 value)
{
	u64 *literals = j->literals.items, *added;
	u32 i, n = j->literals.count;

	/* Those of the same function, mostly. */
	for (i = 0; i < min(n, 16u); i++) {
		if (literals[n - 1 - i] == value)
			return n - 1 - i;
	}
	added = wj_list_add(j, &j->literals, sizeof(*added));
	*added = value;
	return n;
}

/* Speculation does not go on behind: int3. */
static void stop_speculation(struct wj_jit *j)
{
	if (j->mitigations & (WJ_MITIGATE_RETPOLINE | WJ_MITIGATE_RETHUNK))
		wj_x86_bytes(&j->e, 0xcc, 1);
}

void wj_jit_return(struct wj_jit *j)
{
	if (j->mitigations & WJ_MITIGATE_RETHUNK)
		wj_jit_reloc(j, WJ_RELOC_EXTERNAL, wj_x86_jmp(&j->e, false), 0, wj_return_thunk());
	else
		wj_x86_bytes(&j->e, 0xc3, 1);
	stop_speculation(j);
}

/* Branches within a function. */

void wj_jit_reaches(struct wj_jit *j, u32 block)
{
	j->block_unpolled[block] = max(j->block_unpolled[block], j->unpolled);
}

void wj_jit_branch(struct wj_jit *j, int cc, u32 block)
{
	struct wj_branch *branch;
	u8 *is_long;

	if (j->block_pos[block] != WJ_UNBOUND) {
		if (cc < 0)
			wj_x86_jmp_to(&j->e, j->block_pos[block]);
		else
			wj_x86_jcc_to(&j->e, (enum wj_x86_cc)cc, j->block_pos[block]);
		return;
	}
	wj_jit_reaches(j, block);
	branch = wj_list_add(j, &j->branches, sizeof(*branch));
	branch->number = j->n_forward++;
	if (branch->number >= j->long_branches.count)
		is_long = wj_list_add(j, &j->long_branches, 1);
	else
		is_long = (u8 *)j->long_branches.items + branch->number;
	branch->block = block;
	branch->is_short = !*is_long && j->block_code[block] - j->next <= j->short_distance;
	if (cc < 0)
		branch->at = wj_x86_jmp(&j->e, branch->is_short);
	else
		branch->at = wj_x86_jcc(&j->e, (enum wj_x86_cc)cc, branch->is_short);
}

/* False if one was too short: it is noted as long for the next attempt. */
static bool resolve_branches(struct wj_jit *j)
{
	struct wj_branch *branches = j->branches.items;
	bool fine = true;
	u32 k;

	for (k = 0; k < j->branches.count; k++) {
		struct wj_branch *b = &branches[k];
		u32 target = j->block_pos[b->block];

		if (target == WJ_UNBOUND) {
			wj_jit_fail(j, -EINVAL, "branch to a block without code");
			return true;
		}
		if (!b->is_short) {
			wj_patch32(&j->e, b->at, target);
		} else if (target - (b->at + 1) <= 127) {
			wj_patch8(&j->e, b->at, target);
		} else {
			((u8 *)j->long_branches.items)[b->number] = 1;
			fine = false;
		}
	}
	return fine;
}

/* Functions. */

/*
 * The verifier demands polls in loops and where functions begin that call others.  That leaves code
 * without either, of which an image can have megabytes: called from as many places, or on the way
 * back from a deep recursion, it could run for minutes.  So there is a poll wherever this much has been
 * passed without one, by the longest way.
 */
#define POLL_DISTANCE 512u	/* bytes of bytecode, some 200 instructions */
#define CALL_DISTANCE 64u	/* what a call counts as: of a function without polls */
/* Polls overwrite results beyond the first (isa.def).  Room to fetch or store one. */
#define RESULT_DISTANCE 32u

static bool is_call(const struct wj_insn *insn)
{
	u8 format = wj_op_info[insn->op].format;

	return format == WJ_FMT_CALL || format == WJ_FMT_CALLI || format == WJ_FMT_RT;
}

static void poll_if_due(struct wj_jit *j, const struct wj_insn *insn)
{
	u8 format = wj_op_info[insn->op].format;
	u32 distance = POLL_DISTANCE, results = 0;

	if (j->stores_results)
		results = j->type->n_results;
	else if (j->last_call != ~0u && !is_call(insn) && format != WJ_FMT_RST)
		results = j->image->types[j->last_call].n_results;
	if (results > 1)
		distance += CALL_DISTANCE + RESULT_DISTANCE * results;
	if (j->unpolled > distance) {
		wj_jit_poll(j);
		j->unpolled = j->next - j->offset;
		j->last_call = ~0u;
		if (j->stores_results)
			wj_jit_fail(j, -EINVAL, "result stored too far from the function's end");
	}
	if (format == WJ_FMT_RLD && j->last_call == ~0u)
		wj_jit_fail(j, -EINVAL, "result fetched too far from its call");
	j->stores_results |= format == WJ_FMT_RST;
}

static void translate_body(struct wj_jit *j)
{
	const struct wj_function *f = j->f;
	struct wj_insn insn;
	u32 block = 0, next_breath = 65536;

	j->cursor = (struct wj_cursor){ f->code, f->code + f->code_size, false };
	j->offset = 0;
	j->last_call = ~0u;
	j->stores_results = false;
	j->unpolled = 0;
	wj_jit_prologue(j);
	while (j->cursor.pos < j->cursor.end && !j->e.error) {
		j->offset = (u32)(j->cursor.pos - f->code);
		if (unlikely(j->offset >= next_breath)) {
			next_breath = j->offset + 65536;
			if (wj_breathe()) {
				wj_jit_fail(j, -EINTR, "interrupted");
				return;
			}
		}
		if (block < f->block_count && j->block_code[block] == j->offset) {
			/* Loops start with a poll. */
			if (*j->cursor.pos == WJ_OP_POLL)
				wj_x86_align(&j->e, 16, true);
			j->unpolled = max(j->unpolled, j->block_unpolled[block]);
			j->block_pos[block++] = j->e.pos;
			j->last_call = ~0u;
			j->stores_results = false;
			j->zero_pos = 0;
		}
		if (!wj_decode(&j->cursor, &insn)) {
			wj_jit_fail(j, -EINVAL, "malformed instruction");
			return;
		}
		j->next = (u32)(j->cursor.pos - f->code);
		j->unpolled += j->next - j->offset;
		poll_if_due(j, &insn);
		wj_jit_translate(j, &insn);
		if (insn.op == WJ_OP_POLL)
			j->unpolled = 0;
		else if (is_call(&insn))
			j->unpolled += CALL_DISTANCE;
	}
}

/* Where the accesses of the function continue when they fault: each calls from its own place. */
static void emit_landings(struct wj_jit *j)
{
	struct wj_access *a = j->accesses.items;
	struct wj_fixup *fixup;
	u32 k, landing = 0;

	for (k = 0; k < j->accesses.count; k++) {
		if (!k || a[k].offset != a[k - 1].offset) {
			landing = j->e.pos;
			j->offset = a[k].offset;
			wj_x86_call_to(&j->e, j->traps[WJ_TRAP_OUT_OF_BOUNDS]);
			wj_jit_site(j, 0);
		}
		fixup = wj_list_add(j, &j->fixups, sizeof(*fixup));
		fixup->fault = a[k].pc;
		fixup->landing = landing;
	}
}

static int compile_function(struct wj_jit *j, u32 index)
{
	const struct wj_function *f = &j->image->functions[index];
	u32 start, attempt, k, sites = j->sites.count, relocs = j->relocs.count;
	u32 tables = j->tables.count, literals = j->literals.count;
	u32 *target;
	bool fine;

	j->f = f;
	j->index = index;
	j->type = &j->image->types[f->type];
	if (f->block_count > j->block_capacity) {
		wj_free(j->block_code);
		j->block_capacity = f->block_count;
		j->block_code = wj_alloc(3 * sizeof(u32) * (size_t)f->block_count);
		if (!j->block_code) {
			j->block_capacity = 0;
			return wj_jit_fail(j, -ENOMEM, "out of memory");
		}
		j->block_pos = j->block_code + f->block_count;
		j->block_unpolled = j->block_pos + f->block_count;
	}
	if (f->block_count)
		wj_block_offsets(f, j->block_code);
	j->long_branches.count = 0;
	j->short_distance = SHORT_BRANCH;

	wj_x86_align(&j->e, 16, false);
	if (j->mitigations & WJ_MITIGATE_BLIND) {
		for (k = wj_jit_random(j) & 3; k > 0; k--) {
			wj_x86_bytes(&j->e, 0xcc, 1);
			wj_x86_align(&j->e, 16, false);
		}
	}
	start = j->e.pos;
	for (attempt = 0;; attempt++) {
		if (attempt == ATTEMPTS)
			j->short_distance = 0;
		j->e.pos = start;
		j->sites.count = sites;
		j->relocs.count = relocs;
		j->tables.count = tables;
		j->literals.count = literals;
		j->branches.count = j->cold.count = j->accesses.count = j->n_forward = 0;
		for (k = 0; k < f->block_count; k++) {
			j->block_pos[k] = WJ_UNBOUND;
			j->block_unpolled[k] = 0;
		}
		translate_body(j);
		for (k = 0; k < j->cold.count && !j->e.error; k++) {
			struct wj_cold cold = ((struct wj_cold *)j->cold.items)[k];

			wj_jit_emit_cold(j, &cold);
		}
		if (j->e.error)
			return j->e.error;
		fine = resolve_branches(j);
		if (fine || j->e.error)
			break;
		j->retries++;
	}
	emit_landings(j);
	target = j->tables.items;
	for (k = tables; k < j->tables.count; k++)
		target[k] = j->block_pos[target[k]];
	j->entries[index] = start;
	j->frames[index] = j->frame + j->saved;
	return j->e.error;
}

static int compile_all(struct wj_jit *j)
{
	const struct wj_image *image = j->image;
	struct wj_reloc *reloc;
	u32 i;

	wj_jit_stubs(j);
	for (i = 0; i < image->n_imported_functions && !j->e.error; i++) {
		wj_x86_align(&j->e, 16, false);
		j->entries[i] = j->e.pos;
		wj_jit_import_stub(j, i);
	}
	for (i = image->n_imported_functions; i < image->n_functions; i++) {
		if (wj_breathe())
			return wj_jit_fail(j, -EINTR, "interrupted");
		if (compile_function(j, i))
			return j->e.error;
	}
	j->functions_end = j->e.pos;
	for (i = 0; i < j->relocs.count && !j->e.error; i++) {
		reloc = (struct wj_reloc *)j->relocs.items + i;
		if (reloc->kind != WJ_RELOC_CALL_TYPE || j->type_stubs[reloc->index])
			continue;
		j->type_stubs[reloc->index] = j->e.pos;
		/* May add relocations: `reloc` is stale. */
		wj_jit_type_stub(j, reloc->index);
	}
	return j->e.error;
}

/* What depends on where the code runs. */
static int relocate(struct wj_jit *j, const struct wj_exec *exec, u32 data)
{
	u64 base = (u64)(unsigned long)exec->code;
	s64 distance = 0;
	u32 i, k, *targets = j->tables.items, literals = data + 8 * j->tables.count;

	for (i = 0; i < j->relocs.count; i++) {
		struct wj_reloc *reloc = (struct wj_reloc *)j->relocs.items + i;
		u8 *at = j->e.code + reloc->at;

		switch ((enum wj_reloc_kind)reloc->kind) {
		case WJ_RELOC_FUNCTION:
			wj_patch32(&j->e, reloc->at, j->entries[reloc->index]);
			continue;
		case WJ_RELOC_CALL_TYPE:
			wj_patch32(&j->e, reloc->at, j->type_stubs[reloc->index]);
			continue;
		case WJ_RELOC_EXTERNAL:
			distance = (s64)((u64)(unsigned long)reloc->target - (base + reloc->at + 4));
			break;
		case WJ_RELOC_TABLE:
			distance = (s64)(base + data + 8 * reloc->index);
			break;
		case WJ_RELOC_LITERAL:
			wj_patch32(&j->e, reloc->at, literals + 8 * reloc->index);
			continue;
		}
		if (distance != (s32)distance)
			return wj_jit_fail(j, -ERANGE, "code is out of reach of what it refers to");
		for (k = 0; k < 4; k++)
			at[k] = (u8)((u64)distance >> (8 * k));
	}
	for (i = 0; i < j->tables.count; i++) {
		for (k = 0; k < 8; k++)
			j->e.code[data + 8 * i + k] = (u8)((base + targets[i]) >> (8 * k));
	}
	if (j->literals.count)
		memcpy(j->e.code + literals, j->literals.items, 8 * (size_t)j->literals.count);
	return 0;
}

static void *exact_copy(const struct wj_list *list, size_t size)
{
	void *copy = wj_alloc(list->count ? list->count * size : 1);

	if (copy && list->count)
		memcpy(copy, list->items, list->count * size);
	return copy;
}

static int publish(struct wj_jit *j, struct wj_code *code)
{
	u32 data, total;
	int err;

	wj_x86_align(&j->e, 8, false);
	data = j->e.pos;
	if ((u64)j->tables.count + j->literals.count > WJ_MAX_CODE / 8)
		return wj_jit_fail(j, -E2BIG, "code too large");
	wj_emit_reserve(&j->e, 8 * (j->tables.count + j->literals.count));
	if (j->e.error)
		return j->e.error;
	total = data + 8 * (j->tables.count + j->literals.count);

	code->n_functions = j->image->n_functions;
	code->n_imports = j->image->n_imported_functions;
	code->functions_end = j->functions_end;
	code->data = data;
	code->enter = j->enter;
	code->resume = j->resume;
	code->poll_return = j->poll_return;
	code->retries = j->retries;
	code->n_sites = j->sites.count;
	code->n_fixups = j->fixups.count;
	code->sites = exact_copy(&j->sites, sizeof(struct wj_site));
	code->fixups = exact_copy(&j->fixups, sizeof(struct wj_fixup));
	if (!code->sites || !code->fixups)
		return wj_jit_fail(j, -ENOMEM, "out of memory");

	err = wj_exec_alloc(&code->exec, total);
	if (err)
		return wj_jit_fail(j, err, "no executable memory");
	if ((u64)(unsigned long)code->exec.code & 63)
		return wj_jit_fail(j, -EINVAL, "executable memory is misaligned");
	err = relocate(j, &code->exec, data);
	if (err)
		return err;
	err = wj_exec_write(&code->exec, 0, j->e.code, total);
	if (err)
		return wj_jit_fail(j, err, "cannot write executable memory");
	err = wj_exec_fixups(&code->exec, code->fixups, code->n_fixups);
	if (err)
		return wj_jit_fail(j, err, "cannot register fault handlers");
	return 0;
}

static void free_jit(struct wj_jit *j)
{
	wj_emit_deinit(&j->e);
	wj_free(j->type_stubs);
	wj_free(j->block_code);
	wj_free(j->sites.items);
	wj_free(j->fixups.items);
	wj_free(j->relocs.items);
	wj_free(j->tables.items);
	wj_free(j->literals.items);
	wj_free(j->branches.items);
	wj_free(j->cold.items);
	wj_free(j->accesses.items);
	wj_free(j->runs.items);
	wj_free(j->long_branches.items);
	wj_free(j);
}

int wj_jit_compile_for(struct wj_image *image, u32 features, u32 mitigations,
		       struct wj_error *error, struct wj_code **ret)
{
	struct wj_jit *j = wj_alloc(sizeof(*j));
	struct wj_code *code = wj_alloc(sizeof(*code));
	u64 start = wj_clock_ns();
	size_t bytes = 0;
	u32 i;
	int err;

	error->message = NULL;
	if (!j || !code) {
		wj_free(j);
		wj_free(code);
		*error = (struct wj_error){ .code = -ENOMEM, .function = ~0u, .message = "out of memory" };
		return -ENOMEM;
	}
	j->image = image;
	j->error = error;
	j->features = features;
	j->mitigations = mitigations;
	j->index = ~0u;
	wj_image_layout(image, &j->layout);
	for (i = image->n_imported_functions; i < image->n_functions; i++) {
		bytes += image->functions[i].code_size;
		j->floats |= image->functions[i].has_floats;
	}
	code->entries = j->entries = wj_alloc((image->n_functions + 1) * sizeof(u32));
	code->frames = j->frames = wj_alloc((image->n_functions + 1) * sizeof(u32));
	j->type_stubs = wj_alloc((image->n_types + 1) * sizeof(u32));
	err = wj_emit_init(&j->e, (u32)min(bytes / 2 * 5 + (64u << 10), (size_t)WJ_MAX_CODE));
	if (err || !j->entries || !j->frames || !j->type_stubs)
		err = wj_jit_fail(j, -ENOMEM, "out of memory");
	if (!err)
		err = compile_all(j);
	if (!err)
		err = publish(j, code);
	if (err && !error->message)
		wj_jit_fail(j, err, err == -E2BIG ? "code too large" :
			    err == -ENOMEM ? "out of memory" : "branch out of range");
	free_jit(j);
	if (err) {
		wj_code_destroy(code);
		return err;
	}
	code->ns = wj_clock_ns() - start;
	*ret = code;
	return 0;
}

int wj_jit_compile(struct wj_image *image, struct wj_error *error, struct wj_code **ret)
{
	return wj_jit_compile_for(image, wj_cpu_features(), wj_mitigations(), error, ret);
}

void wj_code_destroy(struct wj_code *code)
{
	if (!code)
		return;
	if (code->exec.code)
		wj_exec_free(&code->exec);
	wj_free(code->entries);
	wj_free(code->frames);
	wj_free(code->sites);
	wj_free(code->fixups);
	wj_free(code);
}
