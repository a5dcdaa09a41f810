// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a task's seccomp filters say to a system call that its guest is about to make.
 *
 * Where that is "allow" or "fail with this error", nothing else happens, and the call need not
 * leave the kernel.  Everything else a filter can say has effects that belong to the way from user
 * mode (a signal, a core dump, a stop for a tracer, a wait for a supervisor that may change
 * descriptors, a line in the log): then the launcher makes the system call, and the kernel asks
 * the filters itself.  So nothing but the answers of the filters' programs is repeated here, and
 * as those keep no state, they answer the kernel the same.
 *
 * The kernel has no function that only asks, and struct seccomp_filter is its own.  Where its
 * members are is read from the type information of the kernel that runs (BTF).  One that has a
 * member that is not known here may mean something by it: there the launcher makes all calls, as
 * where there is no type information.
 */
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <uapi/linux/btf.h>
#include "kernel.h"

#ifdef CONFIG_SECCOMP_FILTER

static struct {
	bool known;
	bool has_cache;
	u16 prev, prog, log;	/* offsets */
	u16 cache;		/* bits of system calls that all filters allow, whatever the arguments */
	u32 cached;		/* how many bits */
} layout __ro_after_init;

/* Types in BTF: Documentation/bpf/btf.rst.  The number of one is where it stands, from 1 on. */
static const struct btf_type *first_type __initdata, *last_type __initdata;
static const char *names __initdata;
static u32 names_size __initdata;

/* Bytes that follow struct btf_type: fixed, and for each of its elements. */
static const struct {
	u8 valid, fixed, each;
} kinds[] __initconst = {
	[BTF_KIND_INT] = { 1, 4, 0 }, [BTF_KIND_PTR] = { 1, 0, 0 }, [BTF_KIND_ARRAY] = { 1, 12, 0 },
	[BTF_KIND_STRUCT] = { 1, 0, 12 }, [BTF_KIND_UNION] = { 1, 0, 12 }, [BTF_KIND_ENUM] = { 1, 0, 8 },
	[BTF_KIND_FWD] = { 1, 0, 0 }, [BTF_KIND_TYPEDEF] = { 1, 0, 0 }, [BTF_KIND_VOLATILE] = { 1, 0, 0 },
	[BTF_KIND_CONST] = { 1, 0, 0 }, [BTF_KIND_RESTRICT] = { 1, 0, 0 }, [BTF_KIND_FUNC] = { 1, 0, 0 },
	[BTF_KIND_FUNC_PROTO] = { 1, 0, 8 }, [BTF_KIND_VAR] = { 1, 4, 0 }, [BTF_KIND_DATASEC] = { 1, 0, 12 },
	/* By number: 5.10's headers do not have them. */
	[16 /* FLOAT */] = { 1, 0, 0 }, [17 /* DECL_TAG */] = { 1, 4, 0 }, [18 /* TYPE_TAG */] = { 1, 0, 0 },
	[19 /* ENUM64 */] = { 1, 0, 12 },
};

static u32 __init kind_of(const struct btf_type *t)
{
	return t->info >> 24 & 0x1f;
}

/* NULL: a kind that is not known. */
static const struct btf_type *__init type_after(const struct btf_type *t)
{
	u32 kind = kind_of(t);

	if (kind >= ARRAY_SIZE(kinds) || !kinds[kind].valid)
		return NULL;
	return (const void *)((const u8 *)(t + 1) + kinds[kind].fixed + kinds[kind].each * BTF_INFO_VLEN(t->info));
}

static const char *__init name_at(u32 offset)
{
	return offset < names_size ? names + offset : "";
}

static const struct btf_type *__init type_of(u32 number)
{
	for (const struct btf_type *t = first_type; t && t < last_type; t = type_after(t)) {
		if (!--number)
			return t;
	}
	return NULL;
}

/* The only structure of this name, or 0. */
static u32 __init find_structure(const char *name)
{
	const struct btf_type *t = first_type;
	u32 found = 0;

	for (u32 number = 1; t && t < last_type; number++, t = type_after(t)) {
		if (kind_of(t) != BTF_KIND_STRUCT || strcmp(name_at(t->name_off), name))
			continue;
		if (found)
			return 0;
		found = number;
	}
	return t ? found : 0;
}

static bool __init points_to(u32 number, u32 structure)
{
	const struct btf_type *t = type_of(number);

	return t && structure && kind_of(t) == BTF_KIND_PTR && t->type == structure;
}

/* An integer of so many bytes, whatever it is called. */
static bool __init is_integer(u32 number, u32 size)
{
	const struct btf_type *t = type_of(number);

	while (t && kind_of(t) == BTF_KIND_TYPEDEF)
		t = type_of(t->type);
	return t && kind_of(t) == BTF_KIND_INT && t->size == size;
}

static bool __init find_cache(u32 structure, u32 offset)
{
	const struct btf_type *t = type_of(structure), *at;
	const struct btf_member *m = (const void *)(t + 1);
	const struct btf_array *array;

	for (u32 i = 0; i < BTF_INFO_VLEN(t->info); i++, m++) {
		if (strcmp(name_at(m->name_off), "allow_native"))
			continue;
		at = type_of(m->type);
		if (!at || kind_of(at) != BTF_KIND_ARRAY || m->offset % BITS_PER_LONG)
			return false;
		array = (const void *)(at + 1);
		if (!is_integer(array->type, sizeof(long)))
			return false;
		layout.has_cache = true;
		layout.cache = (offset + m->offset) / 8;
		layout.cached = array->nelems * BITS_PER_LONG;
		return true;
	}
	return false;
}

static bool __init find_layout(void)
{
	static const char *const other[] __initconst = {
		"refs", "users", "wait_killable_recv", "notif", "notify_lock", "wqh"
	};
	const u32 filter = find_structure("seccomp_filter"), program = find_structure("bpf_prog");
	const u32 cache = find_structure("action_cache");
	const struct btf_type *t = type_of(filter);
	const struct btf_member *m;
	u32 found = 0;

	if (!t || t->info >> 31)	/* bit fields */
		return false;
	m = (const void *)(t + 1);
	for (u32 i = 0; i < BTF_INFO_VLEN(t->info); i++, m++) {
		const char *name = name_at(m->name_off);

		if (m->offset / 8 > U16_MAX)
			return false;
		if (!strcmp(name, "prev") && points_to(m->type, filter)) {
			layout.prev = m->offset / 8;
			found |= 1;
		} else if (!strcmp(name, "prog") && points_to(m->type, program)) {
			layout.prog = m->offset / 8;
			found |= 2;
		} else if (!strcmp(name, "log") && is_integer(m->type, sizeof(bool))) {
			layout.log = m->offset / 8;
			found |= 4;
		} else if (!strcmp(name, "cache") && cache && m->type == cache) {
			if (!find_cache(cache, m->offset))
				return false;
		} else if (match_string(other, ARRAY_SIZE(other), name) < 0) {
			return false;
		}
	}
	return found == 7;
}

void __init wj_seccomp_init(void)
{
	const u8 *start = (const u8 *)wj_symbol("__start_BTF"), *end = (const u8 *)wj_symbol("__stop_BTF");
	const struct btf_header *header = (const void *)start;

	if (start && end > start + sizeof(*header) && header->magic == BTF_MAGIC) {
		start += header->hdr_len;
		first_type = (const void *)(start + header->type_off);
		last_type = (const void *)(start + header->type_off + header->type_len);
		names = start + header->str_off;
		names_size = header->str_len;
		layout.known = (const u8 *)last_type <= end && (const u8 *)names + names_size <= end && find_layout();
	}
	if (!layout.known)
		pr_notice("wasm: system calls of guests that have a seccomp filter are made by their launchers: this kernel's filters are not known from its type information (CONFIG_DEBUG_INFO_BTF)\n");
}

#define MEMBER(filter, type, member) READ_ONCE(*(const type *)((const u8 *)(filter) + layout.member))

/* The strictest first, as signed numbers: seccomp_run_filters. */
static s32 action(u32 answer)
{
	return (s32)(answer & SECCOMP_RET_ACTION_FULL);
}

/* The newest filter, or NULL: it is not for us to ask. */
static const void *newest_filter(void)
{
	if (!layout.known || !wj_only_filters_look() || current->ptrace ||
	    READ_ONCE(current->seccomp.mode) != SECCOMP_MODE_FILTER)
		return NULL;
	smp_rmb();	/* as the kernel between the flag and the filters */
	return READ_ONCE(current->seccomp.filter);
}

bool wj_seccomp_allows(struct wj_context *c, unsigned int nr)
{
	const void *filter = newest_filter();

	if (!filter || !layout.has_cache || nr >= layout.cached || !test_bit(nr, filter + layout.cache))
		return false;
	c->counts.filtered++;
	return true;
}

enum wj_verdict wj_seccomp(struct wj_context *c, unsigned int nr, const u64 args[6], long *ret)
{
	const void *filter = newest_filter(), *by = NULL;
	u32 strictest = SECCOMP_RET_ALLOW;
	struct seccomp_data data;

	if (!filter)
		return WJ_ASK_LAUNCHER;
	if (wj_seccomp_allows(c, nr))
		return WJ_ALLOWED;
	data.nr = nr;
	data.arch = AUDIT_ARCH_X86_64;	/* there is no ioctl for others */
	data.instruction_pointer = KSTK_EIP(current);
	memcpy(data.args, args, sizeof(data.args));
	/* Filters are never taken away while the task has them. */
	for (; filter; filter = MEMBER(filter, void *, prev)) {
		const struct bpf_prog *program = MEMBER(filter, struct bpf_prog *, prog);
		u32 answer;

		preempt_disable();
		answer = program->bpf_func(&data, program->insnsi);
		preempt_enable();
		if (action(answer) < action(strictest)) {
			strictest = answer;
			by = filter;
		}
	}
	switch (strictest & SECCOMP_RET_ACTION_FULL) {
	case SECCOMP_RET_ALLOW:
		break;
	case SECCOMP_RET_ERRNO:
		if (MEMBER(by, bool, log))
			return WJ_ASK_LAUNCHER;
		c->counts.filtered++;
		*ret = -(long)min_t(u32, strictest & SECCOMP_RET_DATA, MAX_ERRNO);
		return WJ_REFUSED;
	default:
		return WJ_ASK_LAUNCHER;
	}
	c->counts.filtered++;
	return WJ_ALLOWED;
}

#else

void __init wj_seccomp_init(void) { }

bool wj_seccomp_allows(struct wj_context *c, unsigned int nr)
{
	return false;
}

enum wj_verdict wj_seccomp(struct wj_context *c, unsigned int nr, const u64 args[6], long *ret)
{
	return WJ_ASK_LAUNCHER;
}

#endif
