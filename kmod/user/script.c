// SPDX-License-Identifier: GPL-2.0-only
/*
 * pywasmjit-launch --script: many modules in one store, driven line by line on standard input.
 * `pywasmjit wast` runs the official test suite with it.
 *
 *	module ID SIZE\n<SIZE bytes of image>	instantiate, imports from registered modules
 *	register ID NAME				its exports become NAME's
 *	invoke ID FIELD [HEX...]			call an export; arguments as 64-bit patterns
 *	get ID FIELD					read a global
 *
 * NAME and FIELD are in hexadecimal, "-" if empty.  One line answers each: "ok [HEX...]",
 * "trap TEXT", "reject TEXT" (image), "link TEXT" (imports) or "error TEXT".
 */
#include "user.h"

#define MAX_LINE 16384
#define MAX_MODULES 4096
#define MAX_VALUES 1000
#define MAX_FIELD 4096

#define MAX_REGISTERED 256

static struct {
	u32 id;
	struct wj_instance *inst;
} *modules;
static u32 n_modules;

static struct {
	char name[256];
	struct wj_instance *inst;
} *registry;
static u32 n_registered;

static struct wj_store *store;
static struct wj_process process;

static struct {
	u8 bytes[65536];
	size_t at, end;
} *input;

static int next_byte(void)
{
	if (input->at == input->end) {
		long n = syscall3(__NR_read, 0, (long)input->bytes, sizeof(input->bytes));

		if (n <= 0)
			return -1;
		input->at = 0;
		input->end = n;
	}
	return input->bytes[input->at++];
}

static struct {
	char text[MAX_LINE * 2];
	size_t used;
} answer;

static void put(const char *s)
{
	while (*s && answer.used < sizeof(answer.text) - 1)
		answer.text[answer.used++] = *s++;
}

static void put_hex(u64 value)
{
	char digits[18] = " ";
	int shift = 60, n = 1;

	while (shift && !(value >> shift))
		shift -= 4;
	for (; shift >= 0; shift -= 4)
		digits[n++] = "0123456789abcdef"[value >> shift & 15];
	digits[n] = 0;
	put(digits);
}

static void send(void)
{
	size_t at = 0;

	answer.text[answer.used++] = '\n';
	while (at < answer.used) {
		long n = syscall3(__NR_write, 1, (long)answer.text + at, answer.used - at);

		if (n <= 0)
			return;
		at += n;
	}
	answer.used = 0;
}

static int hex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The next word of the line: hexadecimal text decoded, and a NUL. */
static bool take_text(const char **line, char *to, size_t size, size_t *length)
{
	const char *at = *line;
	size_t n = 0;

	while (*at == ' ')
		at++;
	if (*at == '-')
		at++;
	while (hex_digit(at[0]) >= 0 && hex_digit(at[1]) >= 0) {
		if (n + 1 >= size)
			return false;
		to[n++] = hex_digit(at[0]) << 4 | hex_digit(at[1]);
		at += 2;
	}
	to[n] = 0;
	*length = n;
	*line = at;
	return *at == ' ' || !*at;
}

static bool take_hex(const char **line, u64 *ret)
{
	const char *at = *line;
	u64 value = 0;

	while (*at == ' ')
		at++;
	if (hex_digit(*at) < 0)
		return false;
	while (hex_digit(*at) >= 0)
		value = value << 4 | hex_digit(*at++);
	*line = at;
	*ret = value;
	return true;
}

static struct wj_instance *find(u32 id)
{
	for (u32 i = n_modules; i; i--) {
		if (modules[i - 1].id == id)
			return modules[i - 1].inst;
	}
	return NULL;
}

static bool resolve(const struct wj_import_info *info, struct wj_extern *ext)
{
	enum wj_kind kind;

	for (u32 i = n_registered; i; i--) {
		if (strlen(registry[i - 1].name) != info->module_size ||
		    memcmp(registry[i - 1].name, info->module, info->module_size))
			continue;
		if (wj_instance_find_export(registry[i - 1].inst, info->name, info->name_size,
					    &kind, &ext->index))
			return false;
		ext->kind = kind;
		ext->instance = registry[i - 1].inst;
		return true;
	}
	return false;
}

static void module(u32 id, u8 *bytes, size_t size)
{
	enum wj_engine engine = launch.engine[0] == 'i' ? WJ_ENGINE_INTERP : WJ_ENGINE_JIT;
	struct wj_error error = { 0 };
	struct wj_image *image;
	struct wj_instance *inst = NULL;
	struct wj_extern *externs;
	u64 none[1];
	u32 start;
	int ret = wj_image_create(bytes, size, &error, &image);

	if (ret) {
		put("reject ");
		put(error.message ? error.message : "no reason given");
		return;
	}
	externs = wj_alloc((wj_image_import_count(image) + 1) * sizeof(*externs));
	if (!externs || n_modules == MAX_MODULES) {
		put("error out of memory");
		return;
	}
	for (u32 i = 0; i < wj_image_import_count(image); i++) {
		struct wj_import_info info;

		wj_image_import(image, i, &info);
		if (!resolve(&info, &externs[i])) {
			put("link unknown import");
			return;
		}
	}
	ret = wj_instance_create(store, image, engine, externs, &process, &error, &inst);
	wj_free(externs);
	if (ret < 0) {
		put("link ");
		put(error.message ? error.message : "no reason given");
		return;
	}
	if (inst) {
		modules[n_modules].id = id;
		modules[n_modules++].inst = inst;
		process.inst = inst;
	}
	if (!ret && !wj_instance_start_function(inst, &start))
		ret = wj_call(inst, start, none);
	if (ret) {
		put("trap ");
		put(wj_trap_text(ret));
	} else {
		put("ok");
	}
}

static void invoke(struct wj_instance *inst, const char *line)
{
	static u64 values[MAX_VALUES + 1];
	const struct wj_func_type *type;
	static char field[MAX_FIELD];
	enum wj_kind kind;
	size_t length;
	u32 index, n = 0;
	int trap;

	if (!take_text(&line, field, sizeof(field), &length) ||
	    wj_instance_find_export(inst, (const u8 *)field, length, &kind, &index) || kind != WJ_FUNC) {
		put("error no such function");
		return;
	}
	type = wj_instance_func_type(inst, index);
	while (n < MAX_VALUES && take_hex(&line, &values[n]))
		n++;
	if (n != type->n_params) {
		put("error wrong number of arguments");
		return;
	}
	trap = wj_call(inst, index, values);
	if (trap) {
		put("trap ");
		put(wj_trap_text(trap));
		return;
	}
	put("ok");
	for (u32 i = 0; i < type->n_results; i++)
		put_hex(values[i]);
}

static void get(struct wj_instance *inst, const char *line)
{
	static char field[MAX_FIELD];
	enum wj_kind kind;
	size_t length;
	u32 index;
	u64 value;
	u8 type;

	if (!take_text(&line, field, sizeof(field), &length) ||
	    wj_instance_find_export(inst, (const u8 *)field, length, &kind, &index) || kind != WJ_GLOBAL || wj_global_get(inst, index, &value, &type)) {
		put("error no such global");
		return;
	}
	put("ok");
	put_hex(value);
}

/* The command word, if the line begins with it. */
static const char *command(const char *line, const char *word)
{
	size_t n = strlen(word);

	return strlen(line) > n && !memcmp(line, word, n) && line[n] == ' ' ? line + n : NULL;
}

static void run_line(const char *line)
{
	const char *rest;
	size_t length;
	u64 id, size;

	if ((rest = command(line, "module")) && take_hex(&rest, &id) && take_hex(&rest, &size)) {
		u8 *bytes = size <= 256 << 20 ? wj_alloc(size + 1) : NULL;	/* as long as its image */

		for (u64 i = 0; i < size; i++) {
			int c = next_byte();

			if (bytes)
				bytes[i] = c;
		}
		if (bytes)
			module(id, bytes, size);
		else
			put("error out of memory");
	} else if ((rest = command(line, "register")) && take_hex(&rest, &id) && find(id) &&
		   n_registered < MAX_REGISTERED &&
		   take_text(&rest, registry[n_registered].name, sizeof(registry[0].name), &length)) {
		registry[n_registered++].inst = find(id);
		put("ok");
	} else if ((rest = command(line, "invoke")) && take_hex(&rest, &id) && find(id)) {
		invoke(find(id), rest);
	} else if ((rest = command(line, "get")) && take_hex(&rest, &id) && find(id)) {
		get(find(id), rest);
	} else {
		put("error bad command");
	}
}

int run_script(void)
{
	static char line[MAX_LINE];
	size_t n = 0;
	int c;

	/* Not static: guests' launchers need none of it. */
	modules = wj_alloc(MAX_MODULES * sizeof(*modules));
	registry = wj_alloc(MAX_REGISTERED * sizeof(*registry));
	input = wj_alloc(sizeof(*input));
	if (!modules || !registry || !input || wj_store_create(&store) || wj_process_init(&process))
		return 71;
	while ((c = next_byte()) >= 0) {
		if (c != '\n') {
			if (n < sizeof(line) - 1)
				line[n++] = c;
			continue;
		}
		line[n] = 0;
		n = 0;
		run_line(line);
		send();
	}
	return 0;
}
