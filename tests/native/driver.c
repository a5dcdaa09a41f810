// SPDX-License-Identifier: GPL-2.0-only
/*
 * core/ behind a pipe, for tests: commands on stdin, one line each, answers on stdout.
 * A process of its own, so that a crash or a hang of the core is one failed test; linked
 * to run in the low 2 GiB, as machine code wants.  libcore.py is the other end.
 *
 * Answers: any number of "print ..." lines from host functions, then one of
 *   ok [values in hex...]
 *   trap <number> <text>
 *   error <code> <section> <function> <offset> <message>
 * Names are in hex, "-" for an empty one.  Numbers are decimal or 0x...
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "internal.h"
#include "native.h"

#define MAX_IMAGES	4096
#define MAX_INSTANCES	4096
#define MAX_VALUES	1024

static struct wj_store *store;
static struct image {
	struct wj_image *image;
	u8 *bytes;
} images[MAX_IMAGES];
static struct wj_instance *instances[MAX_INSTANCES];

static void ok(void)
{
	puts("ok");
}

static void failed(const char *message)
{
	printf("error 0 0 0 0 %s\n", message);
}

static void report(int ret, const struct wj_error *error)
{
	if (ret > 0)
		printf("trap %d %s\n", ret, wj_trap_text(ret) ? wj_trap_text(ret) : "?");
	else if (ret < 0)
		printf("error %d %u %u %u %s\n", ret, error->section, error->function,
		       error->offset, error->message ? error->message : "?");
	else
		ok();
}

/* The next word of the line as a number. */
u64 driver_number(void)
{
	const char *word = strtok(NULL, " \n");

	return word ? strtoull(word, NULL, 0) : 0;
}

static int digit(char c)
{
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= '0' && c <= '9' ? c - '0' : -1;
}

static size_t unhex(const char *text, u8 *bytes, size_t size)
{
	size_t n;

	for (n = 0; n < size && digit(text[0]) >= 0 && digit(text[1]) >= 0; n++, text += 2)
		bytes[n] = (u8)(digit(text[0]) << 4 | digit(text[1]));
	return n;
}

static struct wj_instance *instance(void)
{
	u64 i = driver_number();

	return i < MAX_INSTANCES ? instances[i] : NULL;
}

struct wj_image *driver_image(u64 id)
{
	return id < MAX_IMAGES ? images[id].image : NULL;
}

int __attribute__((weak)) host_fork(struct wj_instance *inst, void *data, u64 *args)
{
	(void)inst;
	(void)data;
	(void)args;
	return WJ_TRAP_UNKNOWN_IMPORT;
}

bool __attribute__((weak)) jit_command(const char *word)
{
	(void)word;
	return false;
}

/*
 * Host functions, by name.  data is the import's type where the function needs it, which
 * is the case where it works on any.
 */
struct host {
	const struct wj_func_type *type;
	u32 number;
};

/* Prints its parameters; results are 0. */
static int host_print(struct wj_instance *inst, void *data, u64 *args)
{
	const struct host *host = data;
	u32 i;

	(void)inst;
	printf("print %u", host->number);
	for (i = 0; i < host->type->n_params; i++)
		printf(" %d:%llx", host->type->params[i], args[i]);
	putchar('\n');
	for (i = 0; i < host->type->n_results; i++)
		args[i] = 0;
	return 0;
}

/* Returns 1, 2, ... with all bits set above the lower half. */
static int host_dirty(struct wj_instance *inst, void *data, u64 *args)
{
	const struct host *host = data;
	u32 i;

	(void)inst;
	native_clobber();
	for (i = 0; i < host->type->n_results; i++)
		args[i] = 0xffffffff00000000ull | (i + 1);
	return 0;
}

/* Traps with the number given. */
static int host_trap(struct wj_instance *inst, void *data, u64 *args)
{
	(void)inst;
	(void)data;
	return (int)args[0];
}

/* Calls entry args[0] of table 0, of type [] -> [] ... */
static int host_call_table(struct wj_instance *inst, void *data, u64 *args)
{
	const struct wj_func_type type = { 0 };
	u64 values[8] = { 0 };

	(void)data;
	return wj_call_table(inst, (u32)args[0], &type, values);
}

/* ... and hides a trap behind its number. */
static int host_catch(struct wj_instance *inst, void *data, u64 *args)
{
	args[0] = (u64)host_call_table(inst, data, args);
	return 0;
}

static const struct {
	const char *name;
	wj_host_function function;
} hosts[] = {
	{ "print", host_print }, { "dirty", host_dirty }, { "trap", host_trap },
	{ "call_table", host_call_table }, { "catch", host_catch },
	{ "fork", host_fork },
};

static void do_image(void)
{
	u64 id = driver_number(), size = driver_number();
	struct wj_error error;
	struct image *image;
	int ret;

	if (id >= MAX_IMAGES || images[id].bytes) {
		failed("bad image id");
		return;
	}
	image = &images[id];
	/* Exactly as large, so that the sanitizer sees every access beyond it. */
	image->bytes = malloc(size ? size : 1);
	if (fread(image->bytes, 1, size, stdin) != size)
		exit(1);
	ret = wj_image_create(image->bytes, size, &error, &image->image);
	if (ret) {
		free(image->bytes);
		memset(image, 0, sizeof(*image));
	}
	report(ret, &error);
}

static void put_hex(const u8 *bytes, u32 size)
{
	u32 i;

	putchar(' ');
	for (i = 0; i < size; i++)
		printf("%02x", bytes[i]);
	if (!size)
		putchar('-');
}

/* Module, name, kind of each. */
static void do_imports(void)
{
	u64 id = driver_number();
	u32 i;

	if (id >= MAX_IMAGES || !images[id].image) {
		failed("bad image id");
		return;
	}
	printf("ok");
	for (i = 0; i < wj_image_import_count(images[id].image); i++) {
		struct wj_import_info info;

		wj_image_import(images[id].image, i, &info);
		put_hex(info.module, info.module_size);
		put_hex(info.name, info.name_size);
		printf(" %x", info.kind);
	}
	putchar('\n');
}

/* What the verifier found out of a function: does it compute with floats, touch them at all. */
static void do_function(void)
{
	const struct wj_image *image = driver_image(driver_number());
	u64 index = driver_number();

	if (!image || index >= image->n_functions)
		failed("no such function");
	else
		printf("ok %x %x\n", image->functions[index].uses_floats,
		       image->functions[index].has_floats);
}

static void do_drop_image(void)
{
	u64 id = driver_number();

	if (id < MAX_IMAGES && images[id].image) {
		wj_image_destroy(images[id].image);
		free(images[id].bytes);
		memset(&images[id], 0, sizeof(images[id]));
	}
	ok();
}

/* Imports are host:NAME, or INSTANCE:KIND:INDEX, or none. */
static bool parse_import(char *word, struct wj_extern *ret, struct host *host)
{
	unsigned int i, id, kind, index;

	memset(ret, 0, sizeof(*ret));
	if (!strcmp(word, "none"))
		return true;
	if (sscanf(word, "%u:%u:%u", &id, &kind, &index) == 3) {
		ret->instance = id < MAX_INSTANCES ? instances[id] : NULL;
		ret->kind = kind;
		ret->index = index;
		return ret->instance;
	}
	for (i = 0; i < ARRAY_SIZE(hosts); i++) {
		if (strncmp(word, "host:", 5) || strcmp(word + 5, hosts[i].name))
			continue;
		ret->host = hosts[i].function;
		ret->data = host;
		return true;
	}
	return false;
}

static void do_instance(void)
{
	u64 id = driver_number(), image_id = driver_number(), engine = driver_number();
	struct wj_extern *imports;
	struct wj_image *image;
	struct wj_error error;
	struct host *host;
	u32 i, n;
	int ret;

	if (id >= MAX_INSTANCES || instances[id] || image_id >= MAX_IMAGES ||
	    !images[image_id].image) {
		failed("bad id");
		return;
	}
	image = images[image_id].image;
	n = wj_image_import_count(image);
	imports = calloc(n + 1, sizeof(*imports));
	host = calloc(n + 1, sizeof(*host));	/* lives as long as the process */
	for (i = 0; i < n; i++) {
		struct wj_import_info info;
		char *word = strtok(NULL, " \n");

		wj_image_import(image, i, &info);
		host[i] = (struct host){ info.type, i };
		if (!word || !parse_import(word, &imports[i], &host[i])) {
			failed("bad import");
			free(imports);
			free(host);
			return;
		}
	}
	ret = wj_instance_create(store, image, (enum wj_engine)engine, imports, NULL, &error,
				 &instances[id]);
	free(imports);
	report(ret, &error);
}

static void do_drop(void)
{
	u64 id = driver_number();

	if (id < MAX_INSTANCES) {
		wj_instance_destroy(instances[id]);
		instances[id] = NULL;
	}
	ok();
}

static void do_export(void)
{
	struct wj_instance *inst = instance();
	const char *word = strtok(NULL, " \n");
	u8 name[4096];
	size_t size = unhex(word && strcmp(word, "-") ? word : "", name, sizeof(name));
	enum wj_kind kind;
	u32 index;

	if (wj_instance_find_export(inst, name, size, &kind, &index))
		failed("no such export");
	else
		printf("ok %x %x\n", kind, index);
}

static void do_call(struct wj_instance *inst, u32 function)
{
	const struct wj_func_type *type = wj_instance_func_type(inst, function);
	struct wj_error error = { 0 };
	/* Not on the stack: exactly as large as promised. */
	u64 *values;
	int ret;
	u32 i;

	if (!type) {
		failed("no such function");
		return;
	}
	values = calloc(max(type->n_params, type->n_results) + 1, sizeof(*values));
	for (i = 0; i < type->n_params; i++)
		values[i] = driver_number();
	ret = wj_call(inst, function, values);
	if (ret) {
		report(ret, &error);
	} else {
		printf("ok");
		for (i = 0; i < type->n_results; i++)
			printf(" %llx", values[i]);
		putchar('\n');
	}
	free(values);
}

/* Through table 0 with the type of function `like`. */
static void do_call_table(void)
{
	struct wj_instance *inst = instance();
	u32 element = (u32)driver_number(), like = (u32)driver_number();
	u64 values[MAX_VALUES] = { 0 };
	struct wj_error error = { 0 };

	report(wj_call_table(inst, element, wj_instance_func_type(inst, like), values), &error);
}

static void do_call_ref(void)
{
	struct wj_instance *inst = instance();
	u64 values[MAX_VALUES] = { 0 };
	struct wj_error error = { 0 };

	report(wj_call_ref(inst, (u32)driver_number(), values), &error);
}

static void do_global(void)
{
	struct wj_instance *inst = instance();
	u64 value;
	u8 type;

	if (wj_global_get(inst, (u32)driver_number(), &value, &type))
		failed("no such global");
	else
		printf("ok %x %llx\n", type, value);
}

static void do_global_set(void)
{
	struct wj_instance *inst = instance();
	u32 index = (u32)driver_number();

	if (wj_global_set(inst, index, driver_number()))
		failed("not a mutable global");
	else
		ok();
}

static void do_start(void)
{
	u32 index;

	if (wj_instance_start_function(instance(), &index))
		failed("no start function");
	else
		printf("ok %x\n", index);
}

static void do_memory(void)
{
	struct wj_instance *inst = instance();

	printf("ok %llx %llx\n", wj_memory_size(inst), wj_memory_base(inst));
}

static void do_read(void)
{
	struct wj_instance *inst = instance();
	u64 i, address = driver_number(), size = driver_number();

	if (address + size > wj_memory_size(inst)) {
		failed("out of bounds");
		return;
	}
	printf("ok ");
	for (i = 0; i < size; i++)
		printf("%02x", ((u8 *)wj_memory_base(inst))[address + i]);
	putchar('\n');
}

static void do_write(void)
{
	struct wj_instance *inst = instance();
	u64 address = driver_number();
	const char *word = strtok(NULL, " \n");

	if (word && address + strlen(word) / 2 <= wj_memory_size(inst))
		unhex(word, (u8 *)wj_memory_base(inst) + address, strlen(word) / 2);
	ok();
}

/* CRC-32 (as zlib's) of all of memory, after its size: to compare much with little said. */
static void do_crc(void)
{
	struct wj_instance *inst = instance();
	const u8 *bytes = (const u8 *)wj_memory_base(inst);
	u64 i, size = wj_memory_size(inst);
	static u32 table[256];
	u32 crc = ~0u, k;

	for (i = 0; i < 256 && !table[255]; i++)
		for (table[i] = (u32)i, k = 0; k < 8; k++)
			table[i] = table[i] >> 1 ^ (table[i] & 1 ? 0xedb88320u : 0);
	for (i = 0; i < size; i++)
		crc = crc >> 8 ^ table[(crc ^ bytes[i]) & 255];
	printf("ok %llx %x\n", size, ~crc);
}

static void do_frames(void)
{
	struct wj_frame frames[64];
	u32 i, n = wj_backtrace(instance(), frames, ARRAY_SIZE(frames));

	printf("ok");
	for (i = 0; i < n; i++)
		printf(" %x %x", frames[i].function, frames[i].offset);
	putchar('\n');
}

static void do_name(void)
{
	struct wj_instance *inst = instance();
	u32 index = (u32)driver_number();
	char buffer[256];

	wj_instance_func_name(inst, index, buffer, sizeof(buffer));
	printf("print %s\nok\n", buffer);
}

static void do_stats(void)
{
	struct wj_stats s;

	wj_instance_stats(instance(), &s);
	printf("ok %llx %llx %llx %llx %llx %llx\n", s.functions_jitted, s.functions_interpreted,
	       s.code_bytes, s.host_calls, s.traps, s.jit_ns);
}

/* Sets the poll word; the n-th poll from now on traps, 0: the first clears the word. */
static void do_poll(void)
{
	struct wj_instance *inst = instance();

	*wj_poll_flags(inst) = (u32)driver_number();
	native.polls_to_trap = driver_number();
	ok();
}

static void do_polls(void)
{
	printf("ok %llx\n", native.polls);
	native.polls = 0;
}

/* Everything gone and made anew; answers with the number of allocations left over. */
static void do_reset(void)
{
	u32 i;

	wj_store_destroy(store);
	memset(instances, 0, sizeof(instances));
	for (i = 0; i < MAX_IMAGES; i++) {
		if (!images[i].image)
			continue;
		wj_image_destroy(images[i].image);
		free(images[i].bytes);
		memset(&images[i], 0, sizeof(images[i]));
	}
	native.fail_allocation = -1;
	printf("ok %lx\n", native.allocations);
	if (wj_store_create(&store))
		exit(1);
}

static void do_fail_allocation(void)
{
	native.fail_allocation = (long)driver_number();
	ok();
}

static void do_allocations(void)
{
	printf("ok %lx\n", native.allocations);
}

static void do_mitigations(void)
{
	native.mitigations = (u32)driver_number();
	ok();
}

static void do_plain_call(void)
{
	struct wj_instance *inst = instance();

	do_call(inst, (u32)driver_number());
}

/* Like call, but answers with the nanoseconds of processor time it took. */
static void do_time(void)
{
	struct wj_instance *inst = instance();
	u32 function = (u32)driver_number();
	u64 values[MAX_VALUES] = { driver_number() };
	struct timespec start, end;
	struct wj_error error = { 0 };
	int ret;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &start);
	ret = wj_call(inst, function, values);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
	if (ret)
		report(ret, &error);
	else
		printf("ok %llx\n", (u64)(end.tv_sec - start.tv_sec) * 1000000000 +
		       (u64)(end.tv_nsec - start.tv_nsec));
}

static const struct {
	const char *name;
	void (*run)(void);
	bool takes_instance;
} commands[] = {
	{ "image", do_image, false }, { "drop_image", do_drop_image, false },
	{ "imports", do_imports, false }, { "function", do_function, false },
	{ "instance", do_instance, false }, { "drop", do_drop, false },
	{ "time", do_time, true }, { "export", do_export, true }, { "call", do_plain_call, true },
	{ "call_table", do_call_table, true }, { "call_ref", do_call_ref, true },
	{ "global", do_global, true }, { "global_set", do_global_set, true },
	{ "start", do_start, true }, { "memory", do_memory, true }, { "read", do_read, true },
	{ "write", do_write, true }, { "crc", do_crc, true }, { "frames", do_frames, true }, { "name", do_name, true },
	{ "stats", do_stats, true }, { "poll", do_poll, true }, { "polls", do_polls, false },
	{ "reset", do_reset, false }, { "fail_allocation", do_fail_allocation, false },
	{ "allocations", do_allocations, false }, { "sweep", do_sweep, false }, { "mitigations", do_mitigations, false },
};

int main(void)
{
	static char line[1 << 20];
	unsigned int i;

	native_init();
	if (wj_store_create(&store))
		return 1;
	while (fgets(line, sizeof(line), stdin)) {
		const char *argument = strchr(line, ' ');
		u64 id = argument ? strtoull(argument, NULL, 0) : 0;
		char *word;

		word = strtok(line, " \n");
		for (i = 0; word && i < ARRAY_SIZE(commands); i++)
			if (!strcmp(word, commands[i].name))
				break;
		if (word && i == ARRAY_SIZE(commands) && jit_command(word))
			;
		else if (!word || i == ARRAY_SIZE(commands))
			failed("unknown command");
		else if (commands[i].takes_instance && (id >= MAX_INSTANCES || !instances[id]))
			failed("no such instance");
		else
			commands[i].run();
		if (native.canaries)
			native_check_canaries();
		fflush(stdout);
	}
	wj_store_destroy(store);
	return 0;
}
