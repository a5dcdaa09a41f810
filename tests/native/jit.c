// SPDX-License-Identifier: GPL-2.0-only
/*
 * The driver's commands for the JIT.
 *
 *   compile IMAGE FEATURES MITIGATIONS	  before the image has code; -1: this CPU's
 *   code IMAGE				  base data functions_end retries code entries fixups sites
 *   jit_speed IMAGE TIMES		  nanoseconds, bytes of bytecode, bytes of code
 *   child IMAGE			  what became of the child of the last fork: trap result
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "jit_x86.h"
#include "native.h"

static void do_compile(struct wj_image *image)
{
	u64 features = driver_number(), mitigations = driver_number();
	struct wj_error error;
	int ret = wj_jit_compile_for(image, features == ~0ull ? wj_cpu_features() : (u32)features,
				     (u32)mitigations, &error, &image->code);

	if (ret)
		printf("error %d %u %u %u %s\n", ret, error.section, error.function, error.offset, error.message);
	else
		puts("ok");
}

static void do_code(struct wj_image *image)
{
	const struct wj_code *code = image->code;
	u32 i;

	if (!code) {
		puts("error 0 0 0 0 not compiled");
		return;
	}
	printf("ok %llx %x %x %x ", (u64)code->exec.code, code->data, code->functions_end, code->retries);
	for (i = 0; i < code->exec.size; i++)
		printf("%02x", code->exec.code[i]);
	putchar(' ');
	for (i = 0; i < code->n_functions; i++)
		printf("%x,", code->entries[i]);
	printf(", ");
	for (i = 0; i < code->n_fixups; i++)
		printf("%x,%x,", code->fixups[i].fault, code->fixups[i].landing);
	printf(", ");
	for (i = 0; i < code->n_sites; i++)
		printf("%x,%x,", code->sites[i].pc, code->sites[i].offset);
	puts(",");
}

static u64 now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (u64)t.tv_sec * 1000000000 + (u64)t.tv_nsec;
}

static void do_speed(struct wj_image *image)
{
	u64 times = driver_number(), bytecode = 0, size = 0, start = now(), i;

	for (i = 0; i < times; i++) {
		struct wj_error error;
		struct wj_code *code;

		if (wj_jit_compile(image, &error, &code)) {
			printf("error 0 0 0 0 %s\n", error.message);
			return;
		}
		size = wj_code_size(code);
		wj_code_destroy(code);
	}
	start = now() - start;
	for (i = image->n_imported_functions; i < image->n_functions; i++)
		bytecode += image->functions[i].code_size;
	printf("ok %llx %llx %llx\n", start, bytecode, size);
}

/*
 * A fork, as the kernel module does it, but that the child shares memory and tables: copies of
 * the instance and of the guest stack in use, the latter at another place.
 */
static struct child {
	struct wj_instance *inst;
	struct wj_store store;
	u8 *stack;
} child;

int host_fork(struct wj_instance *inst, void *data, u64 *args)
{
	struct wj_layout layout;
	u64 used = inst->store->stack_top - inst->guest_sp, delta;
	const u64 room = 256 << 10;

	(void)data;
	wj_image_layout(inst->image, &layout);
	free(child.inst);
	free(child.stack);
	child.inst = malloc(layout.size);
	memcpy(child.inst, inst, layout.size);
	child.store = *inst->store;
	child.stack = malloc(room);
	memset(child.stack, 0xee, room);
	memcpy(child.stack + room - used, (void *)inst->guest_sp, used);
	delta = (u64)child.stack + room - inst->store->stack_top;
	child.inst->store = &child.store;
	child.inst->guest_sp += delta;
	child.inst->entry_sp += delta;
	child.inst->results = (u64 *)((u8 *)child.inst + layout.results);
	child.store.stack_top += delta;
	child.store.stack_limit = child.inst->stack_limit = (u64)child.stack + (64 << 10);
	child.inst->host_sp = 0;
	args[0] = 1;
	return 0;
}

static void do_child(struct wj_image *image)
{
	static const u8 i64[] = { WJ_I64 };
	const struct wj_func_type type = { .n_results = 1, .results = i64 };
	u64 result = 0;
	int trap;

	(void)image;
	wj_jit_host_args(child.inst)[0] = 0;
	child.inst->n_frames = 0;
	trap = wj_jit_resume(child.inst, 0, &type, &result);
	printf("ok %d %llx %x %x\n", trap, result, child.inst->n_frames,
	       child.inst->n_frames ? child.inst->frames[0].offset : 0);
}

bool jit_command(const char *word)
{
	static const struct {
		const char *name;
		void (*run)(struct wj_image *image);
	} commands[] = {
		{ "compile", do_compile }, { "code", do_code }, { "jit_speed", do_speed },
		{ "child", do_child },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(commands); i++) {
		if (!strcmp(word, commands[i].name)) {
			struct wj_image *image = driver_image(driver_number());

			if (image)
				commands[i].run(image);
			else
				puts("error 0 0 0 0 no such image");
			return true;
		}
	}
	return false;
}
