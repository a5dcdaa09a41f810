// SPDX-License-Identifier: GPL-2.0-only
/*
 * Every value of every byte of an image, one byte at a time, straight at the verifier:
 *
 *   sweep SIZE FROM TO ENGINES\n<SIZE bytes>	  bytes FROM..TO-1; ENGINES 1: the interpreter, 2: the JIT, 3: both
 *
 * answers with the numbers of mutants that were accepted and rejected.  What is accepted is run; with
 * both engines they must agree.  Anything wrong ends the process, with the byte and its value on stderr.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "internal.h"
#include "native.h"

#define POLLS 30
#define FUNCTIONS 3

static struct { u32 at; u8 value; } now;

static void wrong(const char *what)
{
	fprintf(stderr, "sweep: byte %u = 0x%02x: %s\n", now.at, now.value, what);
	abort();
}

static int host_nothing(struct wj_instance *inst, void *data, u64 *args)
{
	const struct wj_func_type *type = data;
	u32 i;

	(void)inst;
	native_clobber();
	for (i = 0; i < type->n_results; i++)
		args[i] = 0;
	return 0;
}

struct outcome {
	int created, traps[FUNCTIONS];
	u64 values[FUNCTIONS][4];
	u64 size;
	u8 memory[4096];
};

static bool may_be_nan(u64 v)
{
	return (v & 0x7ff0000000000000) == 0x7ff0000000000000 || (v & 0x7f800000) == 0x7f800000;
}

static void run(struct wj_image *image, enum wj_engine engine, struct outcome *out)
{
	u32 n = wj_image_import_count(image), i, k;
	struct wj_extern *imports = calloc(n + 1, sizeof(*imports));
	struct wj_instance *inst = NULL;
	struct wj_error error;
	struct wj_store *store;

	memset(out, 0, sizeof(*out));
	for (i = 0; i < n; i++) {
		struct wj_import_info info;

		wj_image_import(image, i, &info);
		imports[i].kind = info.kind;
		if (info.kind == WJ_FUNC) {
			imports[i].host = host_nothing;
			imports[i].data = (void *)info.type;
		}
	}
	if (wj_store_create(&store))
		exit(1);
	out->created = wj_instance_create(store, image, engine, imports, NULL, &error, &inst);
	for (i = 0; inst && i < FUNCTIONS && i < image->n_functions; i++) {
		static u64 args[WJ_MAX_PARAMS + 1];
		const struct wj_func_type *type = wj_instance_func_type(inst, i);

		for (k = 0; k <= WJ_MAX_PARAMS; k++)
			args[k] = k % 3 ? 8 * k : 0xdeadbeef00000040 + k;
		*wj_poll_flags(inst) = 1;
		native.polls_to_trap = POLLS;
		out->traps[i] = wj_call(inst, i, args);
		for (k = 0; !out->traps[i] && k < type->n_results && k < 4; k++)
			out->values[i][k] = args[k];
	}
	native.polls_to_trap = 0;
	if (inst && image->n_memories) {
		out->size = wj_memory_size(inst);
		memcpy(out->memory, (void *)wj_memory_base(inst), min(out->size, (u64)sizeof(out->memory)));
	}
	wj_store_destroy(store);
	free(imports);
	if (native.canaries)
		native_check_canaries();
}

/* Where polls or the stack end a function is the engine's; what follows may differ then. */
static bool stopped(const struct outcome *o)
{
	u32 i;

	for (i = 0; i < FUNCTIONS; i++)
		if (o->traps[i] == WJ_TRAP_INTERRUPTED || o->traps[i] == WJ_TRAP_STACK_EXHAUSTED)
			return true;
	return false;
}

static void compare(const struct outcome *a, const struct outcome *b)
{
	u32 i, k;

	if (stopped(a) || stopped(b))
		return;
	if (a->created != b->created)
		wrong("one engine instantiates it, or they trap differently");
	for (i = 0; i < FUNCTIONS; i++) {
		if (a->traps[i] != b->traps[i])
			wrong("the engines trap differently");
		for (k = 0; k < 4; k++)
			if (a->values[i][k] != b->values[i][k] && !may_be_nan(a->values[i][k]))
				wrong("the engines have different results");
	}
	if (a->size != b->size)
		wrong("memories are not of one size");
}

static bool try(const u8 *bytes, size_t size, u32 engines)
{
	static struct outcome interp, jit;
	long before = native.allocations;
	struct wj_image *image;
	struct wj_error error;

	if (wj_image_create(bytes, size, &error, &image)) {
		if (native.allocations != before)
			wrong("allocations left over");
		return false;
	}
	if (engines & 1)
		run(image, WJ_ENGINE_INTERP, &interp);
	if (engines & 2)
		run(image, WJ_ENGINE_JIT, &jit);
	if (engines == 3)
		compare(&interp, &jit);
	wj_image_destroy(image);
	if (native.allocations != before)
		wrong("allocations left over");
	return true;
}

void do_sweep(void)
{
	u64 size = driver_number(), from = driver_number(), to = driver_number(), engines = driver_number();
	u64 accepted = 0, rejected = 0;
	u8 *bytes = malloc(size ? size : 1);
	u32 value;

	if (fread(bytes, 1, size, stdin) != size)
		exit(1);
	for (now.at = (u32)from; now.at < to && now.at < size; now.at++) {
		u8 right = bytes[now.at];

		for (value = 0; value < 256; value++) {
			if (value == right)
				continue;
			bytes[now.at] = now.value = (u8)value;
			if (try(bytes, size, (u32)engines))
				accepted++;
			else
				rejected++;
		}
		bytes[now.at] = right;
	}
	free(bytes);
	printf("ok %llx %llx\n", accepted, rejected);
}
