// SPDX-License-Identifier: GPL-2.0-only
/* The x86-64 JIT's code at work: entering it, and finding out where it was when it trapped. */
#include "jit_x86.h"

const void *wj_code_entry(const struct wj_code *code, u32 function)
{
	return code->exec.code + code->entries[function];
}

size_t wj_code_size(const struct wj_code *code)
{
	return code->exec.size;
}

u64 wj_code_ns(const struct wj_code *code)
{
	return code->ns;
}

/* The last function that starts at or before `pc`; entries rise with the index. */
static u32 find_function(const struct wj_code *code, u32 pc)
{
	return wj_lower_bound(code->entries, 1, code->n_functions, pc + 1) - 1;
}

/* The first site at or after `pc`, a number of them. */
static u32 find_site(const struct wj_code *code, u32 pc)
{
	return wj_lower_bound((const u32 *)code->sites, sizeof(*code->sites) / 4, code->n_sites, pc);
}

static bool in_functions(const struct wj_code *code, u64 pc, u32 *offset)
{
	u64 base = (u64)(unsigned long)code->exec.code;

	if (code->n_functions == code->n_imports)
		return false;
	if (pc < base + code->entries[code->n_imports] || pc > base + code->functions_end)
		return false;
	*offset = (u32)(pc - base);
	return true;
}

bool wj_code_lookup(const struct wj_code *code, u64 pc, struct wj_frame *frame)
{
	u32 offset, site;

	if (!in_functions(code, pc, &offset))
		return false;
	/* A return address may be one past the function's code. */
	frame->function = find_function(code, offset - 1);
	site = find_site(code, offset);
	frame->offset = 0;
	if (site < code->n_sites && find_function(code, code->sites[site].pc - 1) == frame->function)
		frame->offset = code->sites[site].offset & ~WJ_SITE_ENTRY;
	return true;
}

/*
 * Walk the frames from where the trap happened to the innermost entry.  Guest code cannot
 * write to this stack but through verified instructions; all the same nothing outside of
 * [trap_sp, entry_sp] is read.
 */
static void walk(struct wj_instance *inst)
{
	const struct wj_code *code = inst->image->code;
	u64 pc = inst->trap_pc, sp = inst->trap_sp;
	u32 offset, site, function, frame, depth;

	for (depth = 0; depth < ARRAY_SIZE(inst->frames); depth++) {
		if (!in_functions(code, pc, &offset))
			return;
		site = find_site(code, offset);
		if (site == code->n_sites || code->sites[site].pc != offset)
			return;
		function = find_function(code, offset - 1);
		wj_add_frame(inst, function, code->sites[site].offset & ~WJ_SITE_ENTRY);
		frame = code->sites[site].offset & WJ_SITE_ENTRY ? 0 : code->frames[function];
		if (sp & 7 || sp > inst->entry_sp || inst->entry_sp - sp < frame + 8)
			return;
		pc = *(const u64 *)(unsigned long)(sp + frame);
		sp += frame + 8;
	}
}

u32 wj_jit_unwind(struct wj_instance *inst, u32 trap)
{
	int other;

	/* In the kernel, a fatal signal makes accesses fault as well. */
	if (trap == WJ_TRAP_OUT_OF_BOUNDS) {
		inst->guest_sp = inst->trap_sp;
		inst->unwinding++;
		other = wj_poll_if_due(inst);
		inst->unwinding--;
		if (other)
			trap = (u32)other;
	}
	if (trap != WJ_TRAP_EXIT)	/* of which nobody asks where it happened */
		walk(inst);
	return trap;
}

/* Where the next entry may put its frames: below those of whoever runs. */
static int guest_stack(struct wj_instance *inst, u64 *sp)
{
	struct wj_store *store = inst->store;
	int err;

	if (!store->stack_top) {
		err = wj_stack_get(inst->user, &store->stack_limit, &store->stack_top);
		if (err)
			return err;
	}
	inst->stack_limit = store->stack_limit;
	*sp = store->running ? store->running->guest_sp : store->stack_top;
	return 0;
}

/* Arguments to registers and to the guest's stack, below *sp. */
static int put_arguments(struct wj_instance *inst, const struct wj_func_type *type,
			 const u64 *args, struct wj_entry *entry)
{
	u32 i, ints = 0, floats = 0, n = 0;
	u64 *stack;

	for (i = 0; i < type->n_params; i++) {
		if (type->params[i] == WJ_F32 || type->params[i] == WJ_F64)
			n += floats++ >= WJ_FARGS;
		else
			n += ints++ >= WJ_IARGS;
	}
	entry->sp = (entry->sp & ~15ull) - 8 * n;
	if (entry->sp < inst->stack_limit)
		return WJ_TRAP_STACK_EXHAUSTED;
	stack = (u64 *)(unsigned long)entry->sp;
	ints = floats = n = 0;
	for (i = 0; i < type->n_params; i++) {
		if (type->params[i] == WJ_F32 || type->params[i] == WJ_F64) {
			if (floats < WJ_FARGS) {
				entry->floats[floats++] = args[i];
				continue;
			}
		} else if (ints < WJ_IARGS) {
			entry->ints[ints++] = type->params[i] == WJ_I64 ? args[i] : (u32)args[i];
			continue;
		}
		stack[n++] = args[i];
	}
	return 0;
}

static void get_results(struct wj_instance *inst, const struct wj_func_type *type, u64 *args,
			const struct wj_entry *entry)
{
	u32 i;

	for (i = 0; i < type->n_results; i++) {
		u64 value = inst->results[i ? i - 1 : 0];

		if (!i)
			value = type->results[0] == WJ_F32 || type->results[0] == WJ_F64 ?
				entry->float_result : entry->int_result;
		args[i] = type->results[i] == WJ_I64 || type->results[i] == WJ_F64 ? value : (u32)value;
	}
}

int wj_jit_call(struct wj_instance *inst, u32 index, u64 *args)
{
	const struct wj_code *code = inst->image->code;
	const struct wj_func_type *type = &inst->image->types[inst->image->functions[index].type];
	struct wj_instance *outer = inst->store->running;
	/* Where the guest stands that this call is made for: see clone.c. */
	struct wj_jit_level level = { inst->store->level, inst->guest_sp, inst->entry_sp };
	u64 host_sp = inst->host_sp;
	int (*enter)(struct wj_instance *inst, struct wj_entry *entry);
	struct wj_entry entry = { .target = wj_code_entry(code, index) };
	int trap;

	if (guest_stack(inst, &entry.sp))
		return WJ_TRAP_OUT_OF_MEMORY;
	trap = put_arguments(inst, type, args, &entry);
	if (trap)
		return trap;
	enter = (void *)(code->exec.code + code->enter);
	inst->store->running = inst;
	inst->store->level = &level;
	trap = enter(inst, &entry);
	inst->store->level = level.outer;
	inst->store->running = outer;
	inst->host_sp = host_sp;
	inst->guest_sp = level.guest_sp;
	inst->entry_sp = level.entry_sp;
	if (!trap)
		get_results(inst, type, args, &entry);
	return trap;
}

u64 *wj_jit_host_args(struct wj_instance *inst)
{
	return (u64 *)(unsigned long)(inst->guest_sp + WJ_HOST_CALL_SAVED + 8);
}

u32 wj_jit_called(const struct wj_instance *inst, u64 guest_sp)
{
	const struct wj_code *code = inst->image->code;
	u64 pc = *(const u64 *)(unsigned long)(guest_sp + WJ_HOST_CALL_SAVED);
	u64 offset = pc - (u64)(unsigned long)code->exec.code;

	if (offset == code->poll_return)
		return WJ_CALLED_POLL;
	/* The stubs of imports are before all functions. */
	if (!code->n_imports || offset <= code->entries[0] || offset >= code->exec.size)
		return WJ_CALLED_OTHER;
	if (code->n_functions > code->n_imports && offset > code->entries[code->n_imports])
		return WJ_CALLED_OTHER;
	return find_function(code, (u32)offset - 1);
}

int wj_jit_resume(struct wj_instance *inst, int trap, const struct wj_func_type *type, u64 *results)
{
	const struct wj_code *code = inst->image->code;
	int (*resume)(struct wj_instance *inst, struct wj_entry *entry, int trap);
	struct wj_entry entry = { 0 };

	resume = (void *)(code->exec.code + code->resume);
	inst->store->running = inst;
	trap = resume(inst, &entry, trap);
	inst->store->running = NULL;
	if (!trap)
		get_results(inst, type, results, &entry);
	return trap;
}
