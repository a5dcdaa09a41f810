/* SPDX-License-Identifier: GPL-2.0-only */
/* The core's interface: image -> verify -> JIT or interpreter -> instance. */
#ifndef WJ_CORE_H
#define WJ_CORE_H

#include "platform.h"

enum wj_trap {
	WJ_TRAP_NONE = 0,
#define TRAP(name, value, text) WJ_TRAP_##name = value,
#include "traps.def"
#undef TRAP
};

const char *wj_trap_text(int trap);

/* Why an image was rejected: -errno and where.  message is static text naming the rule. */
struct wj_error {
	int code;
	u32 section;		/* enum wj_section, 0: header */
	u32 function;		/* index in the function index space, or ~0u */
	u32 offset;		/* in bytes: in the function's code, else in the image */
	const char *message;
};

enum wj_type { WJ_I32, WJ_I64, WJ_F32, WJ_F64, WJ_FUNCREF, WJ_EXTERNREF };
enum wj_kind { WJ_FUNC, WJ_TABLE, WJ_MEMORY, WJ_GLOBAL };

struct wj_func_type {
	u32 n_params, n_results;
	const u8 *params, *results;	/* enum wj_type */
	bool has_floats;		/* among them; set in an image's types only */
};

#define WJ_NULL_REF 0xffffffffu

struct wj_image;

/* Parse and verify.  `bytes` must stay unchanged and alive as long as the image. */
int wj_image_create(const u8 *bytes, size_t size, struct wj_error *error, struct wj_image **ret);
void wj_image_destroy(struct wj_image *image);
u32 wj_image_import_count(const struct wj_image *image);
struct wj_import_info {
	const u8 *module, *name;	/* not NUL-terminated */
	u32 module_size, name_size;
	enum wj_kind kind;
	const struct wj_func_type *type;	/* of functions */
};
void wj_image_import(const struct wj_image *image, u32 i, struct wj_import_info *ret);

enum wj_engine { WJ_ENGINE_JIT, WJ_ENGINE_INTERP };

/*
 * A host function.  args holds the parameters, one u64 each (i32 and f32 zero-extended),
 * and receives the results from index 0.  Returns 0 or a trap, which unwinds the guest.
 */
typedef int (*wj_host_function)(struct wj_instance *inst, void *data, u64 *args);

/* What an import is bound to. */
struct wj_extern {
	enum wj_kind kind;
	wj_host_function host;		/* WJ_FUNC: a host function with data, or ... */
	void *data;
	const struct wj_func_type *host_type;	/* NULL: as the import declares */
	struct wj_instance *instance;	/* ... an export of another instance: */
	u32 index;			/* index in its space of that kind */
};

/*
 * What instances that may be linked with each other have in common: canonical ids of
 * function types, the space of function references.  One per process.
 */
struct wj_store;
int wj_store_create(struct wj_store **ret);
void wj_store_destroy(struct wj_store *store);	/* destroys what is left of its instances */

/*
 * Instances hold a reference on their image and on the instances they import from.
 * imports[i] binds import i; a func with neither host nor instance traps
 * WJ_TRAP_UNKNOWN_IMPORT when called.  Evaluates globals, copies active segments, does not run
 * the start function.  Returns 0, -errno (error filled; -EINVAL "incompatible import type",
 * "unknown import"), or a positive trap (out of bounds segment), after which the instance
 * still exists for what it already wrote into imported tables: *ret is set.
 */
int wj_instance_create(struct wj_store *store, struct wj_image *image, enum wj_engine engine,
		       const struct wj_extern *imports, void *user, struct wj_error *error, struct wj_instance **ret);
void wj_instance_destroy(struct wj_instance *inst);
/* `user` given above: struct wj_process.  Every host call begins with this. */
#define WJ_INSTANCE_USER 6	/* its place in struct wj_instance, in words */
static inline void *wj_instance_user(struct wj_instance *inst)
{
	return ((void **)inst)[WJ_INSTANCE_USER];
}
struct wj_image *wj_instance_image(struct wj_instance *inst);

bool wj_image_exports(const struct wj_image *image, const char *name);
int wj_instance_export(struct wj_instance *inst, const char *name, enum wj_kind *kind, u32 *index);
/* The same for any name that wasm allows, NUL included. */
int wj_instance_find_export(struct wj_instance *inst, const u8 *name, size_t size,
			    enum wj_kind *kind, u32 *index);
int wj_instance_start_function(struct wj_instance *inst, u32 *index);	/* -ENOENT: none */
const struct wj_func_type *wj_instance_func_type(struct wj_instance *inst, u32 index);
const char *wj_instance_func_name(struct wj_instance *inst, u32 index, char *buffer, size_t size);

/*
 * Call a function; args as for a host function, with room for all results.  0 or a trap.
 * May be nested (a host function calling back); the native guest stack is shared.
 */
int wj_call(struct wj_instance *inst, u32 func, u64 *args);
/* The same through entry `element` of table 0, checking that its type is `type`. */
int wj_call_table(struct wj_instance *inst, u32 element, const struct wj_func_type *type, u64 *args);
/* Like wj_call for any function reference (funcref value). */
int wj_call_ref(struct wj_instance *inst, u32 funcref, u64 *args);

/* How many calls of guest code are in progress, nested, in the whole store. */
u32 wj_call_depth(const struct wj_instance *inst);

/* Linear memory of the instance (0 if none): user address of its base, size in bytes. */
u64 wj_memory_base(struct wj_instance *inst);
u64 wj_memory_size(struct wj_instance *inst);
/* Pages before, or -1. */
s64 wj_instance_memory_grow(struct wj_instance *inst, u32 pages);
int wj_global_get(struct wj_instance *inst, u32 index, u64 *value, u8 *type);
int wj_global_set(struct wj_instance *inst, u32 index, u64 value);

/* The word that guest code polls; any bit set calls wj_poll. */
static inline u32 *wj_poll_flags(struct wj_instance *inst)
{
	return *(u32 **)inst;
}
int wj_poll_if_due(struct wj_instance *inst);	/* 0 or a trap */

/* Where the last trap of this instance happened, innermost first. */
struct wj_frame {
	u32 function;
	u32 offset;	/* of the instruction, in the function's code */
};
u32 wj_backtrace(struct wj_instance *inst, struct wj_frame *frames, u32 max);

/* Of `count` rising keys, each the first of `stride` words: the index of the first that is >= key. */
u32 wj_lower_bound(const u32 *keys, u32 stride, u32 count, u32 key);

/* Counters: what ran where. */
struct wj_stats {
	u64 functions_jitted, functions_interpreted;	/* of the image, as instantiated */
	u64 code_bytes, host_calls, traps;
	u64 jit_ns;	/* that compiling the image took, in whichever process that was */
};
void wj_instance_stats(struct wj_instance *inst, struct wj_stats *stats);

#endif
