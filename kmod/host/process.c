// SPDX-License-Identifier: GPL-2.0-only
/*
 * A guest process from binding to its end: imports, entry, exit, reports of traps; and the one
 * function through which every host call goes.
 */
#include "quick.h"
#include "host.h"
#include "pass.h"
#include "transfer.h"
#include "trace.h"
#include "wj_resolv.h"
#include "wj_tz.h"
#include "wasi.h"

enum result_kind {
	RESULT_NEGATIVE_ERRNO,	/* __syscall_*: -errno in the guest's numbers */
	RESULT_POSITIVE_ERRNO,	/* WASI */
	RESULT_PLAIN,
};

static const u8 guest_errno[] = {
#define ERRNO(name, native, guest) [native] = guest,
#include "abi_errno.def"
#undef ERRNO
};

u32 wj_guest_errno(s64 native)
{
	if (native > 0 && native < (s64)ARRAY_SIZE(guest_errno) && guest_errno[native])
		return guest_errno[native];
	if (native == WJ_ENOTCAPABLE)
		return WJ_WASI_ERRNO_NOTCAPABLE;
	/* What Linux has and WASI has not, and the kernel's own restart codes. */
	return native ? WJ_EM_EIO : 0;
}

u64 wj_scratch_alloc(struct wj_process *p, u32 size)
{
	u32 at = p->host->scratch_used;

	size = (size + 15) & ~15u;
	if (size > WJ_SCRATCH_SIZE - WJ_SCRATCH_FIXED - at)
		return 0;
	p->host->scratch_used = at + size;
	return wj_scratch(p) + WJ_SCRATCH_FIXED + at;
}

s64 wj_get_string(struct wj_process *p, char *dst, size_t size, u32 address)
{
	size_t n;

	for (n = 0; n < size; n++) {
		if (wj_get(p, dst + n, address + n, 1))
			return -EFAULT;
		if (!dst[n])
			return n;
	}
	return -ENAMETOOLONG;
}

static bool same_name(const char *name, const u8 *bytes, u32 size)
{
	return strlen(name) == size && !memcmp(name, bytes, size);
}

/* Is `type` what the signature ("i:ii") says? */
static bool same_signature(const struct wj_func_type *type, const char *signature)
{
	static const char letters[] = { [WJ_I32] = 'i', [WJ_I64] = 'I', [WJ_F32] = 'f', [WJ_F64] = 'd',
					[WJ_FUNCREF] = 'r', [WJ_EXTERNREF] = 'r' };
	u32 i;

	if (type->n_results > 1 ||
	    (type->n_results ? letters[type->results[0]] : 'v') != signature[0])
		return false;
	for (i = 0; i < type->n_params; i++) {
		if (letters[type->params[i]] != signature[2 + i])
			return false;
	}
	return !signature[2 + i];
}

static __always_inline enum result_kind result_kind(const char *module, const char *name)
{
	if (module[0] == 'w')
		return RESULT_POSITIVE_ERRNO;
	return name[0] == '_' && name[1] == '_' && name[2] == 's' && name[3] == 'y' ? RESULT_NEGATIVE_ERRNO :
		RESULT_PLAIN;
}

/* What every host call ends with: `ret`, native, as the guest wants it. */
static __always_inline int finish(struct wj_instance *inst, u64 *args, s64 ret, enum result_kind kind, char result)
{
	struct wj_process *p = wj_instance_user(inst);

	if (unlikely(p->unwind))
		return p->unwind;
	if (kind == RESULT_NEGATIVE_ERRNO && unlikely(ret < 0 && ret >= -4095))
		ret = -(s64)wj_guest_errno(-ret);
	else if (kind == RESULT_POSITIVE_ERRNO)
		ret = unlikely(ret < 0) ? wj_guest_errno(-ret) : 0;
	args[0] = result == 'i' ? (u32)ret : (u64)ret;
	/* Handlers run here, where nothing of the call is left to do, and not after its steps. */
	return unlikely(wj_quick_work_due(inst)) ? wj_poll(inst) : 0;
}

static __attribute__((__noinline__)) int finish_pass(struct wj_instance *inst, u64 *args, u32 nr, s64 ret)
{
	ret = wj_quick_end(wj_instance_user(inst), nr, ret);
	return finish(inst, args, ret, RESULT_NEGATIVE_ERRNO, 'i');
}

/* With everything that somebody who looks on may see. */
static __attribute__((__noinline__)) int dispatch_long(struct wj_instance *inst, const struct wj_import_line *line,
						    u64 *args, wj_handler handler, enum result_kind kind,
						    char result)
{
	struct wj_process *p = wj_instance_user(inst);
	u32 mark = p->host->scratch_used;
	s64 ret;

	p->steps = 0;
	if (unlikely(p->trace))
		wj_trace_call(p, line, args);
	WJ_TRACE_HOST_ENTER(line->name);
	ret = handler(p, args);
	WJ_TRACE_HOST_EXIT(line->name, ret);
	p->host->scratch_used = mark;
	if (unlikely(p->trace))
		wj_trace_return(p, line, args, ret);
	return finish(inst, args, ret, kind, result);
}

/*
 * Every host call of a guest ends up here, in a copy for each import: so the handler is called
 * directly, and what is known of its result costs nothing.
 */
static __always_inline int dispatch(struct wj_instance *inst, const struct wj_import_line *line, u64 *args,
				    wj_handler handler, enum result_kind kind, char result)
{
	struct wj_process *p = wj_instance_user(inst);
	u32 mark = p->host->scratch_used;
	s64 ret;

	if (unlikely(p->trace || wj_quick_tracing()))
		return dispatch_long(inst, line, args, handler, kind, result);
	p->steps = 0;
	ret = handler(p, args);
	p->host->scratch_used = mark;
	return finish(inst, args, ret, kind, result);
}

/* Host calls that are one system call: its number plus one, how many arguments it has and of which kinds. */
struct pass {
	u32 nr, n;
	char kinds[7];
};

/* The same for what is one system call, where somebody looks at those. */
static __attribute__((__noinline__)) int dispatch_filtered(struct wj_instance *inst,
							const struct wj_import_line *line, u64 *args,
							wj_handler handler, const struct pass *pass)
{
	struct wj_process *p = wj_instance_user(inst);
	u64 native[6] = { 0 };
	long ret;

	if (wj_quick_allowed(p, pass->nr - 1) && wj_pass_arguments(p, pass->kinds, args, native)) {
		if (wj_quick_make(p, pass->nr - 1, 6, native, &ret) != WJ_QUICK_DONE)
			return finish_pass(inst, args, pass->nr - 1, ret);
		args[0] = (u32)ret;
		return 0;
	}
	return dispatch_long(inst, line, args, handler, RESULT_NEGATIVE_ERRNO, 'i');
}

/* Where nobody does: without a function of its own, mostly. */
static __always_inline int dispatch_pass(struct wj_instance *inst, const struct wj_import_line *line, u64 *args,
					 wj_handler handler, const struct pass *pass)
{
	struct wj_process *p = wj_instance_user(inst);
	u32 nr = pass->nr - 1;
	u64 native[6];
	long ret;

	p->steps = 0;
	if (unlikely(p->trace || wj_quick_tracing() || !wj_pass_arguments(p, pass->kinds, args, native)))
		return dispatch_long(inst, line, args, handler, RESULT_NEGATIVE_ERRNO, 'i');
	switch (wj_quick_sys(p, nr, pass->n, native, &ret)) {
	case WJ_QUICK_DONE:
		break;
	case WJ_QUICK_MADE:
		return finish_pass(inst, args, nr, ret);
	case WJ_QUICK_LONG:
		return dispatch_filtered(inst, line, args, handler, pass);
	}
	args[0] = (u32)ret;
	return 0;
}

/*
 * The handlers that pass.def makes.  Those that it does not are declared twice here, those that it
 * does are defined, too: so for each handler `nr` is 0 or what pass.def says, plus one.
 */
#define IMPORT(module, name, signature, handler, origin) static const struct pass pass_##handler;
#include "imports.def"
#undef IMPORT
#define WASI(name, signature, handler) static const struct pass pass_##handler;
#define WASI_UNSTABLE(name, signature, handler) static const struct pass pass_##handler;
#include "wasi.def"
#undef WASI_UNSTABLE
#undef WASI
#define PASS(handler, system_call, kinds) \
	static const struct pass pass_##handler = { __NR_##system_call + 1, sizeof(kinds) - 1, kinds };
#include "pass.def"
#undef PASS

#define CALL(function, module, name, signature, handler) \
	static int function(struct wj_instance *inst, void *data, u64 *args) \
	{ \
		if (pass_##handler.nr && result_kind(module, name) == RESULT_NEGATIVE_ERRNO && signature[0] == 'i') \
			return dispatch_pass(inst, data, args, wj_host_##handler, &pass_##handler); \
		return dispatch(inst, data, args, wj_host_##handler, result_kind(module, name), signature[0]); \
	}

/* Named by their lines of imports.def: a handler can have several. */
#define CALL_NAME_(line) call_##line
#define CALL_NAME(line) CALL_NAME_(line)
#define IMPORT(module, name, signature, handler, origin) \
	CALL(CALL_NAME(__LINE__), #module, #name, signature, handler)
#include "imports.def"
#undef IMPORT

static const struct wj_import_line import_lines[] = {
#define TIME64_LIBC false
#define TIME64_STUB false
#define TIME64_OVERLAY false
#define TIME64_TIME64 true
#define IMPORT(module, name, signature, handler, origin) \
	{ #module, #name, signature, CALL_NAME(__LINE__), wj_trace_##handler, TIME64_##origin },
#include "imports.def"
#undef IMPORT
};

#define WASI(name, signature, handler) CALL(wasi_##name, "wasi_snapshot_preview1", #name, signature, handler)
#define WASI_UNSTABLE(name, signature, handler) CALL(wasi_unstable_##name, "wasi_unstable", #name, signature, handler)
#include "wasi.def"
#undef WASI_UNSTABLE
#undef WASI

static const struct wj_import_line wasi_unstable_lines[] = {
#define WASI(name, signature, handler)
#define WASI_UNSTABLE(name, signature, handler) \
	{ "wasi_unstable", #name, signature, wasi_unstable_##name, wj_trace_##handler, false },
#include "wasi.def"
#undef WASI_UNSTABLE
#undef WASI
};

static const struct wj_import_line wasi_lines[] = {
#define WASI(name, signature, handler) \
	{ "wasi_snapshot_preview1", #name, signature, wasi_##name, wj_trace_##handler, false },
#define WASI_UNSTABLE(name, signature, handler)
#include "wasi.def"
#undef WASI_UNSTABLE
#undef WASI
};

int wj_invoke_finish(struct wj_process *p, const struct wj_invoke *self, u64 *results, int trap)
{
	const u32 threw[] = { 1, 0 };

	if (trap != WJ_TRAP_LONGJMP)
		return trap;
	p->unwind = 0;
	wj_call_export(p, p->host->exports.stack_restore, &self->sp, 1);
	wj_call_export(p, p->host->exports.set_threw, threw, 2);
	results[0] = 0;
	return p->unwind;
}

/*
 * invoke_*(index, ...): call through the table; a longjmp that unwinds to here sets the guest's
 * "threw" flag, and the code after the call finds out whether the jump was for it.
 */
static int invoke(struct wj_instance *inst, void *data, u64 *args)
{
	struct wj_process *p = wj_instance_user(inst);
	struct wj_invoke self = { .outer = p->invokes, .type = data, .depth = wj_call_depth(inst) };
	u32 element = args[0];
	int trap;

	self.sp = wj_call_export(p, p->host->exports.stack_save, NULL, 0);
	for (u32 i = 0; i < self.type->n_params; i++)
		args[i] = args[i + 1];
	p->invokes = &self;
	trap = wj_call_table(inst, element, self.type, args);
	p->invokes = self.outer;
	return wj_invoke_finish(p, &self, args, trap);
}

static int bind_invoke(const struct wj_import_info *info, struct wj_extern *ext)
{
	struct wj_func_type *type;

	if (!info->type->n_params || info->type->params[0] != WJ_I32)
		return -EINVAL;
	type = wj_alloc(sizeof(*type));	/* lives as long as the process */
	if (!type)
		return -ENOMEM;
	*type = *info->type;
	type->n_params--;
	type->params++;
	ext->host = invoke;
	ext->data = type;
	return 0;
}

/*
 * Is this a WASI program?  It imports from nowhere else, and it starts as they do; what is linked
 * with Emscripten has main and constructors of its own.
 */
static bool is_wasi(const struct wj_image *image)
{
	u32 count = wj_image_import_count(image);

	for (u32 i = 0; i < count; i++) {
		struct wj_import_info info;

		wj_image_import(image, i, &info);
		if (!same_name("wasi_snapshot_preview1", info.module, info.module_size) &&
		    !same_name("wasi_unstable", info.module, info.module_size))
			return false;
	}
	return count && !wj_image_exports(image, "__wasm_call_ctors");
}

/* The first line of that name, or NULL: wasi_unstable has its own ones first. */
static const struct wj_import_line *find_wasi(const struct wj_import_info *info)
{
	if (same_name("wasi_unstable", info->module, info->module_size)) {
		for (u32 i = 0; i < ARRAY_SIZE(wasi_unstable_lines); i++) {
			if (same_name(wasi_unstable_lines[i].name, info->name, info->name_size))
				return &wasi_unstable_lines[i];
		}
	}
	for (u32 i = 0; i < ARRAY_SIZE(wasi_lines); i++) {
		if (same_name(wasi_lines[i].name, info->name, info->name_size))
			return &wasi_lines[i];
	}
	return NULL;
}

static int bind_wasi(const struct wj_import_info *info, struct wj_extern *ext, struct wj_error *error)
{
	const struct wj_import_line *line = find_wasi(info);

	if (!line)
		return -ENOENT;
	if (!same_signature(info->type, line->signature)) {
		error->message = "an import has another signature than WASI preview 1";
		return -EINVAL;
	}
	ext->host = line->call;
	ext->data = (void *)line;
	return 0;
}

static int bind(struct wj_process *p, const struct wj_import_info *info, struct wj_extern *ext,
		struct wj_error *error)
{
	bool known = false;

	for (u32 i = 0; i < ARRAY_SIZE(import_lines); i++) {
		const struct wj_import_line *line = &import_lines[i];

		if (!same_name(line->name, info->name, info->name_size) ||
		    !same_name(line->module, info->module, info->module_size))
			continue;
		known = true;
		if (same_signature(info->type, line->signature)) {
			p->host->time64 |= line->time64;
			ext->host = line->call;
			ext->data = (void *)line;
			return 0;
		}
	}
	if (info->name_size > 7 && !memcmp(info->name, "invoke_", 7) &&
	    same_name("env", info->module, info->module_size))
		return bind_invoke(info, ext);
	if (known) {
		error->message = "an import has a signature of another Emscripten version than 3.1.6 and 3.1.69";
		return -EINVAL;
	}
	return -ENOENT;
}

static void log_import(const char *what, const struct wj_import_info *info)
{
	char module[64], name[256];
	u32 n = min(info->module_size, (u32)sizeof(module) - 1);
	u32 m = min(info->name_size, (u32)sizeof(name) - 1);

	memcpy(module, info->module, n);
	module[n] = 0;
	memcpy(name, info->name, m);
	name[m] = 0;
	wj_log("pywasmjit: %s: %s.%s", what, module, name);
}

int wj_process_bind(struct wj_process *p, const struct wj_image *image, struct wj_extern *externs,
		    struct wj_error *error)
{
	u32 count = wj_image_import_count(image);

	if (is_wasi(image)) {
		p->host->wasi = wj_alloc(sizeof(*p->host->wasi));
		if (!p->host->wasi)
			return -ENOMEM;
	}
	for (u32 i = 0; i < count; i++) {
		struct wj_import_info info;
		int ret;

		wj_image_import(image, i, &info);
		externs[i].kind = info.kind;
		if (info.kind != WJ_FUNC) {
			error->message = "an import is not a function, and nobody provides it";
			log_import(error->message, &info);
			return -EINVAL;
		}
		ret = p->host->wasi ? bind_wasi(&info, &externs[i], error) : bind(p, &info, &externs[i], error);
		if (ret == -ENOENT) {
			log_import("unknown import (a trap if it is called)", &info);
		} else if (ret) {
			if (!error->message)
				error->message = ret == -ENOMEM ? "out of memory" : "an import has a wrong signature";
			log_import(error->message, &info);
			return ret;
		}
	}
	return 0;
}

int wj_process_init(struct wj_process *p)
{
	struct {
		struct wj_host_state host;
		struct wj_tz_state tz;
		struct wj_resolver resolver;
	} *all = wj_alloc(sizeof(*all));

	static_assert(!offsetof(typeof(*all), host), "wj_process_deinit");
	if (!all)
		return -ENOMEM;
	p->host = &all->host;
	p->host->tz = &all->tz;
	p->host->resolver = &all->resolver;
	return 0;
}

static bool copy_strings(struct wj_strings *to, const struct wj_strings *from)
{
	char *bytes = wj_memdup(from->bytes, from->size + 1);

	*to = *from;
	to->bytes = bytes;
	return bytes;
}

int wj_process_clone(struct wj_process *to, const struct wj_process *from)
{
	struct wj_host_state *h;
	int err = wj_process_init(to);

	if (err)
		return err;
	h = to->host;
	memcpy(to->actions, from->actions, sizeof(to->actions));
	to->trace = from->trace;
	h->trace_forked = from->host->trace_forked;
	h->base = from->host->base;
	h->temp_ret0 = from->host->temp_ret0;
	h->time64 = from->host->time64;
	h->exports = from->host->exports;
	h->stage = from->host->stage;
	h->errno_address = from->host->errno_address;
	h->hostent = from->host->hostent;
	memcpy(h->zone_names, from->host->zone_names, sizeof(h->zone_names));
	*h->resolver = *from->host->resolver;
	if (copy_strings(&to->argv, &from->argv) && copy_strings(&to->envp, &from->envp) &&
	    !wj_tz_state_clone(h->tz, from->host->tz))
		return 0;
	return -ENOMEM;		/* what there is goes with the process */
}

void wj_process_deinit(struct wj_process *p)
{
	wj_wasi_deinit(p);
	if (p->host->tz)
		wj_tz_state_deinit(p->host->tz);
	wj_free(p->host);
	p->host = NULL;
}

static u32 find_export(struct wj_process *p, const char *name)
{
	enum wj_kind kind;
	u32 index;

	if (wj_instance_export(p->inst, name, &kind, &index) || kind != WJ_FUNC)
		return WJ_NO_EXPORT;
	return index;
}

static u32 find_export2(struct wj_process *p, const char *name, const char *other)
{
	u32 index = find_export(p, name);

	return index == WJ_NO_EXPORT ? find_export(p, other) : index;
}

u32 wj_call_export(struct wj_process *p, u32 function, const u32 *args, u32 n_args)
{
	const struct wj_func_type *type;
	u64 values[8] = { 0 };
	int trap;

	if (function == WJ_NO_EXPORT || p->unwind)
		return 0;
	type = wj_instance_func_type(p->inst, function);
	if (type->n_params != n_args || type->n_results > 1) {
		p->unwind = WJ_TRAP_BAD_HOST_ARGUMENT;
		return 0;
	}
	for (u32 i = 0; i < n_args; i++)
		values[i] = args[i];
	trap = wj_call(p->inst, function, values);
	if (trap)
		p->unwind = trap;
	return trap ? 0 : values[0];
}

void wj_set_errno(struct wj_process *p, s64 native)
{
	struct wj_host_state *h = p->host;

	if (!h->errno_address)
		h->errno_address = wj_call_export(p, h->exports.errno_location, NULL, 0);
	if (h->errno_address)
		wj_put_u32(p, h->errno_address, wj_guest_errno(native));
}

/* argv as main wants it, at the top of the guest's stack; 0 on failure. */
static u32 put_argv(struct wj_process *p)
{
	u32 n = p->argv.count, size = (n + 1) * 4 + p->argv.size, block, string;
	const char *from = p->argv.bytes;

	size = (size + 15) & ~15u;
	block = wj_call_export(p, p->host->exports.stack_alloc, &size, 1);
	if (!block)
		block = wj_call_export(p, p->host->exports.malloc, &size, 1);
	if (!block)
		return 0;
	string = block + (n + 1) * 4;
	if (wj_put(p, string, from, p->argv.size))
		return 0;
	for (u32 i = 0; i < n; i++) {
		u32 length = strlen(from) + 1;

		if (wj_put_u32(p, block + 4 * i, string))
			return 0;
		string += length;
		from += length;
	}
	return wj_put_u32(p, block + 4 * n, 0) ? 0 : block;
}

/* What Emscripten's exit() does: atexit functions, then flush stdio.  Ends in WJ_TRAP_EXIT. */
s64 wj_host_exit(struct wj_process *p, const u64 *a)
{
	struct wj_host_state *h = p->host;
	const u32 all_streams = 0;

	wj_call_export(p, h->exports.funcs_on_exit, NULL, 0);
	if (h->exports.stdio_exit != WJ_NO_EXPORT)
		wj_call_export(p, h->exports.stdio_exit, NULL, 0);
	else
		wj_call_export(p, h->exports.fflush, &all_streams, 1);
	return wj_host_wasi_proc_exit(p, a);
}

s64 wj_host_wasi_proc_exit(struct wj_process *p, const u64 *a)
{
	if (!p->unwind) {
		p->exit_status = a[0] & 0xff;
		p->unwind = WJ_TRAP_EXIT;
	}
	return 0;
}

/* From `stage` on to the end. */
static int run_from(struct wj_process *p, enum wj_stage stage, u32 status)
{
	struct wj_host_state *h = p->host;
	u64 exit_args[1];
	u32 start;

	switch (stage) {
	case WJ_STAGE_START:
		h->stage = WJ_STAGE_START;
		if (!wj_instance_start_function(p->inst, &start))
			wj_call_export(p, start, NULL, 0);
		fallthrough;
	case WJ_STAGE_CONSTRUCTORS:
		h->stage = WJ_STAGE_CONSTRUCTORS;
		if (h->exports.main != WJ_NO_EXPORT)
			wj_call_export(p, h->exports.call_ctors, NULL, 0);
		fallthrough;
	case WJ_STAGE_MAIN:
		h->stage = WJ_STAGE_MAIN;
		if (h->exports.main != WJ_NO_EXPORT) {
			const struct wj_func_type *type = wj_instance_func_type(p->inst, h->exports.main);
			u32 args[2] = { p->argv.count, 0 };

			if (type->n_params == 2 && !p->unwind) {
				args[1] = put_argv(p);
				if (!args[1] && !p->unwind)
					p->unwind = WJ_TRAP_OUT_OF_MEMORY;
			}
			status = wj_call_export(p, h->exports.main, args, type->n_params);
		} else {
			wj_call_export(p, h->exports.start, NULL, 0);
		}
		fallthrough;
	case WJ_STAGE_EXIT:
		break;
	}
	h->stage = WJ_STAGE_EXIT;
	if (!p->unwind) {
		exit_args[0] = status;
		wj_host_exit(p, exit_args);
	}
	return p->unwind;
}

int wj_process_continue(struct wj_process *p, int trap, u32 value)
{
	if (p->host->exports.main == WJ_NO_EXPORT)
		value = 0;	/* _start returns nothing */
	if (trap && !p->unwind)
		p->unwind = trap;
	if (p->host->stage == WJ_STAGE_EXIT) {
		/* Forked by a function that runs at exit: that was it. */
		if (!p->unwind)
			p->unwind = WJ_TRAP_EXIT;
		return p->unwind;
	}
	return run_from(p, p->host->stage + 1, value);
}

/* A library: let it initialise itself, then call what was asked for. */
static int run_named(struct wj_process *p, const char *name)
{
	u32 initialize = find_export2(p, "_initialize", "__wasm_call_ctors"), start;
	int ret;

	if (!wj_instance_start_function(p->inst, &start))
		wj_call_export(p, start, NULL, 0);
	wj_call_export(p, initialize, NULL, 0);
	if (p->unwind)
		return p->unwind;
	ret = wj_invoke_named(p, name);
	if (ret > 0)
		return ret;
	if (ret)
		wj_log("pywasmjit: %s cannot be invoked (error %d)", name, -ret);
	p->exit_status = !ret ? 0 : ret == -ENOMEM || ret == -EIO ? 71 : 65;
	return WJ_TRAP_EXIT;
}

/* Is there an entry, and may it be called as one? */
static bool check_entry(struct wj_process *p)
{
	const struct wj_host_state *h = p->host;
	const struct wj_func_type *type;

	if (h->exports.main != WJ_NO_EXPORT) {
		type = wj_instance_func_type(p->inst, h->exports.main);
		if (same_signature(type, "i:ii") || same_signature(type, "i:"))
			return true;
		wj_log("pywasmjit: the module's main has a wrong type: it takes (i32, i32) or nothing, and returns an i32");
		return false;
	}
	if (h->exports.start != WJ_NO_EXPORT) {
		if (same_signature(wj_instance_func_type(p->inst, h->exports.start), "v:"))
			return true;
		wj_log("pywasmjit: the module's _start has a wrong type: it takes and returns nothing");
		return false;
	}
	wj_log("pywasmjit: the module exports neither main nor _start: it is a library (--invoke calls a function of it)");
	return false;
}

int wj_process_run(struct wj_process *p)
{
	struct wj_host_state *h = p->host;
	const char *name;

	h->base = wj_memory_base(p->inst);
	h->exports.call_ctors = find_export(p, "__wasm_call_ctors");
	h->exports.main = find_export2(p, "main", "__main_argc_argv");
	h->exports.start = find_export(p, "_start");
	h->exports.malloc = find_export(p, "malloc");
	h->exports.errno_location = find_export(p, "__errno_location");
	h->exports.stack_save = find_export2(p, "stackSave", "emscripten_stack_get_current");
	h->exports.stack_restore = find_export2(p, "stackRestore", "_emscripten_stack_restore");
	h->exports.stack_alloc = find_export2(p, "stackAlloc", "_emscripten_stack_alloc");
	h->exports.set_temp_ret0 = find_export(p, "_emscripten_tempret_set");
	h->exports.set_threw = find_export(p, "setThrew");
	h->exports.memalign = find_export2(p, "emscripten_builtin_memalign", "memalign");
	h->exports.funcs_on_exit = find_export(p, "__funcs_on_exit");
	h->exports.stdio_exit = find_export(p, "__stdio_exit");
	h->exports.fflush = find_export(p, "fflush");

	if (h->wasi) {
		int err = wj_wasi_init(p);

		h->exports.main = WJ_NO_EXPORT;
		if (err) {
			wj_log("pywasmjit: a directory or socket cannot be given to the guest (error %d)", -err);
			p->exit_status = 71;
			return WJ_TRAP_EXIT;
		}
	}
	name = wj_setting(p, "invoke=");
	if (name)
		return run_named(p, name);
	if (!check_entry(p))
		return -ENOEXEC;
	return run_from(p, WJ_STAGE_START, 0);
}

int wj_trap_signal(int trap)
{
	switch (trap) {
	case WJ_TRAP_UNREACHABLE:
	case WJ_TRAP_UNKNOWN_IMPORT:
		return 4;	/* SIGILL */
	case WJ_TRAP_ABORT:
		return 6;	/* SIGABRT */
	case WJ_TRAP_UNALIGNED_ATOMIC:
		return 7;	/* SIGBUS */
	case WJ_TRAP_DIVIDE_BY_ZERO:
	case WJ_TRAP_INTEGER_OVERFLOW:
	case WJ_TRAP_INVALID_CONVERSION:
		return 8;	/* SIGFPE */
	case WJ_TRAP_OUT_OF_MEMORY:
	case WJ_TRAP_INTERRUPTED:
		return 9;	/* SIGKILL */
	default:
		return 11;	/* SIGSEGV */
	}
}

void wj_process_report_trap(struct wj_process *p, int trap)
{
	struct wj_frame frames[32];
	u32 n = wj_backtrace(p->inst, frames, ARRAY_SIZE(frames));
	char name[128];

	wj_log("pywasmjit: trap: %s", wj_trap_text(trap));
	for (u32 i = 0; i < n; i++)
		wj_log("  #%u %s + 0x%x (function %u)", i,
		       wj_instance_func_name(p->inst, frames[i].function, name, sizeof(name)),
		       frames[i].offset, frames[i].function);
}
