/* SPDX-License-Identifier: GPL-2.0-only */
/* What the files of host/ share: guest memory, scratch, errno, the state of one process. */
#ifndef WJ_HOST_H
#define WJ_HOST_H

#include "process.h"
#include "abi_emscripten.h"
#include "abi_time64.h"

#define WJ_NO_EXPORT 0xffffffffu

/* Emscripten's signal.h: 1, Linux's SIG_IGN, can be a function's place in the table. */
#define WJ_GUEST_SIG_DFL 0u
#define WJ_GUEST_SIG_IGN ((u32)-2)

struct wj_tz_state;
struct wj_resolver;
struct wj_wasi;

struct wj_host_state {
	u64 base;		/* user address of linear memory */
	u32 scratch_used;	/* a stack: signal handlers nest inside blocked host calls */
	u32 temp_ret0;
	/* Functions that the guest exports for its host, WJ_NO_EXPORT if it does not. */
	struct {
		u32 call_ctors, main, start, malloc, errno_location, stack_save, stack_restore,
		    stack_alloc, set_threw, funcs_on_exit, memalign, stdio_exit, fflush, set_temp_ret0;
	} exports;
	enum wj_stage {
		WJ_STAGE_START, WJ_STAGE_CONSTRUCTORS, WJ_STAGE_MAIN, WJ_STAGE_EXIT
	} stage;		/* of wj_process_run */
	u32 errno_address;	/* guest address of errno, 0 until asked for */
	struct wj_tz_state *tz;	/* time zones in use */
	struct wj_resolver *resolver;
	struct wj_wasi *wasi;	/* NULL: the program was built with Emscripten */
	bool time64;		/* time_t has 64 bits: by a later Emscripten, as its imports say */
	u32 hostent;		/* guest memory that gethostbyname answers in */
	bool trace_forked;	/* --trace: lines say which process */
	s32 trace_pid;		/* 0 until asked for */
	struct wj_zone_name {
		u32 address;		/* in the guest, 0: slot unused */
		char name[32];
	} zone_names[16];
};

typedef s64 (*wj_handler)(struct wj_process *p, const u64 *args);

#define IMPORT(module, name, signature, handler, origin) \
	s64 wj_host_##handler(struct wj_process *p, const u64 *a);
#include "imports.def"
#undef IMPORT

/*
 * Guest addresses.  A guest address is 32 bits, sizes are at most 4 GiB: base + address + size
 * never leaves the reservation, so system calls can be given such ranges unchecked.
 */
static inline u64 wj_user(const struct wj_process *p, u32 address)
{
	return p->host->base + address;
}

/* For optional pointers: the guest's NULL is ours. */
static inline u64 wj_user_or_null(const struct wj_process *p, u32 address)
{
	return address ? wj_user(p, address) : 0;
}

static inline int wj_get(const struct wj_process *p, void *dst, u32 address, u32 size)
{
	return wj_copy_from_user(dst, wj_user(p, address), size);
}

static inline int wj_put(const struct wj_process *p, u32 address, const void *src, u32 size)
{
	return wj_copy_to_user(wj_user(p, address), src, size);
}

static inline int wj_get_u32(const struct wj_process *p, u32 *ret, u32 address)
{
	return wj_get(p, ret, address, sizeof(*ret));
}

static inline int wj_put_u32(const struct wj_process *p, u32 address, u32 value)
{
	return wj_put(p, address, &value, sizeof(value));
}

static inline int wj_put_u64(const struct wj_process *p, u32 address, u64 value)
{
	return wj_put(p, address, &value, sizeof(value));
}

/* Fields of structures that were copied here, at the offsets of abi_emscripten.h. */
#define WJ_FIELD(buffer, type, offset) (*({ \
	typedef type __attribute__((may_alias, aligned(1))) wj_field; \
	(wj_field *)((u8 *)(buffer) + (offset)); }))

/*
 * Scratch in user memory for structures that the kernel reads or writes: a stack that unwinds
 * at the end of the host call.  0: exhausted (-ENOMEM).
 */
u64 wj_scratch_alloc(struct wj_process *p, u32 size);

/* Copy a NUL-terminated guest string of at most size - 1 characters: length or -errno. */
s64 wj_get_string(struct wj_process *p, char *dst, size_t size, u32 address);

/* errno: native <-> guest, both positive. */
u32 wj_guest_errno(s64 native);
/* *__errno_location() = guest's number for -native. */
void wj_set_errno(struct wj_process *p, s64 native);

/* Descriptors of the host's own are invisible to guests. */
static inline bool wj_bad_fd(struct wj_process *p, u32 fd)
{
	return wj_platform_owns_fd(p, (int)fd);
}

/* Call an exported function; its result or 0.  A trap ends up in p->unwind. */
u32 wj_call_export(struct wj_process *p, u32 function, const u32 *args, u32 n_args);

/* A size or offset of a structure with times in it: WJ_LAYOUT(p, SIZEOF_stat). */
#define WJ_LAYOUT(p, what) ((p)->host->time64 ? WJ_EM64_##what : WJ_EM_##what)

/*
 * Times, as the kernel has them.  In a guest they are two longs of 32 bits; `wide`: in 16 bytes, the
 * first 8 for the seconds.  Where time_t has 64 bits, musl still gives most system calls two longs:
 * wide is what is a structure of the program's own.
 */
struct wj_timespec64 {
	s64 sec, nsec;
};
void wj_pack_time(u8 *to, s64 sec, s64 part, bool wide);
int wj_get_time(struct wj_process *p, struct wj_timespec64 *ts, u32 address, bool wide);
int wj_put_time(struct wj_process *p, u32 address, const struct wj_timespec64 *ts, bool wide);
/* `nr` is __NR_clock_gettime or __NR_clock_getres: 0 or -errno. */
s64 wj_read_clock(struct wj_process *p, u32 id, int nr, struct wj_timespec64 *ts);
int wj_get_timespec(struct wj_process *p, struct wj_timespec64 *ts, u32 address);
int wj_put_timespec(struct wj_process *p, u32 address, const struct wj_timespec64 *ts);
/* A timespec in scratch: user address, 0 for a NULL one; -errno in *err. */
u64 wj_timespec_user(struct wj_process *p, u32 address, int *err);
/* Guest sigset (first 8 bytes count) in scratch, without the reserved signals. */
u64 wj_sigset_user(struct wj_process *p, u32 address, int *err);

/* struct statx of linux/stat.h: unlike struct stat it is the same on all architectures. */
struct wj_statx_time {
	s64 sec;
	u32 nsec;
	s32 reserved;
};

struct wj_statx {
	u32 mask, blksize;
	u64 attributes;
	u32 nlink, uid, gid;
	u16 mode, spare0;
	u64 ino, size, blocks, attributes_mask;
	struct wj_statx_time atime, btime, ctime, mtime;
	u32 rdev_major, rdev_minor, dev_major, dev_minor;
	u64 spare[14];
};
static_assert(sizeof(struct wj_statx) == 256, "struct statx of linux/stat.h");
/* path: a user address, 0 for `fd` itself. */
s64 wj_statx(struct wj_process *p, s32 fd, u64 path, u32 flags, struct wj_statx *st);

/*
 * `nr` is __NR_read, __NR_write, __NR_pread64 or __NR_pwrite64, of which the first two ignore the
 * offset; the number of bytes goes to ret_address.
 */
s64 wj_transfer(struct wj_process *p, int nr, s32 fd, u32 iov, u32 count, u64 offset, u32 ret_address);

/* Strings for args_get and environ_get. */
s64 wj_string_list_sizes(struct wj_process *p, const struct wj_strings *list, const u64 *a);
s64 wj_string_list(struct wj_process *p, const struct wj_strings *list, const u64 *a);

/* A loop over the strings of a list; i and s are the caller's. */
#define wj_for_each_string(list, i, s) \
	for (i = 0, s = (list)->bytes; i < (list)->count; i++, s += strlen(s) + 1)
/* What follows `prefix` in a setting, or NULL. */
const char *wj_setting_value(const char *setting, const char *prefix);
/* A decimal number: what follows it, or NULL. */
const char *wj_setting_number(const char *s, u32 *ret);
/* The value of the first such setting, or NULL. */
const char *wj_setting(struct wj_process *p, const char *prefix);
/* Call the exported function that the settings name: 0, a trap, or -errno. */
int wj_invoke_named(struct wj_process *p, const char *name);

/* struct user_msghdr of linux/socket.h. */
struct wj_msghdr {
	u64 name;
	u32 namelen, pad0;
	u64 iov, iovlen, control, controllen;
	u32 flags, pad1;
};
static_assert(sizeof(struct wj_msghdr) == 56, "struct user_msghdr of linux/socket.h");

/* iovecs translated into scratch: user address of the native array, 0 with *err on failure. */
u64 wj_iovec_user(struct wj_process *p, u32 address, u32 count, int *err);

/* Bits of the double nearest to value * 2^-shift; no floating point in the kernel. */
u64 wj_double_bits(s64 value, int shift);

#endif
