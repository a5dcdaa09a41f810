// SPDX-License-Identifier: GPL-2.0-only
/*
 * The driver's commands for the JIT.
 *
 *   compile IMAGE FEATURES MITIGATIONS	  before the image has code; -1: this CPU's
 *   code IMAGE				  base data functions_end retries code entries fixups sites
 *   jit_speed IMAGE TIMES		  nanoseconds, bytes of bytecode, bytes of code
 */
#include <stdio.h>
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

bool jit_command(const char *word)
{
	static const struct {
		const char *name;
		void (*run)(struct wj_image *image);
	} commands[] = {
		{ "compile", do_compile }, { "code", do_code }, { "jit_speed", do_speed },
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
