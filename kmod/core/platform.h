/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * All that core/ and host/ may use of the world outside.  kmod/linux/ implements it for
 * the kernel, kmod/user/ for user space; the include below is the only place that says
 * which.  Errors are native Linux -errno values.
 */
#ifndef WJ_PLATFORM_H
#define WJ_PLATFORM_H

/*
 * platform_types.h is found through -I kmod/linux or -I kmod/user.  It provides:
 * u8..u64, s8..s64, bool, size_t, ssize_t, NULL; memcpy memmove memset memcmp strlen;
 * the E* errno values; __NR_* numbers; __always_inline, likely/unlikely,
 * check_add_overflow/check_mul_overflow, static_assert, ARRAY_SIZE, min/max;
 * WJ_TRACE_HOST_ENTER(name), WJ_TRACE_HOST_EXIT(name, result): around each host call.
 */
#include "platform_types.h"

struct wj_process;
struct wj_instance;

/* Zeroed memory, or NULL.  Charged to the guest.  wj_free(NULL) is fine. */
void *wj_alloc(size_t size);
/* A copy of `size` bytes, likewise. */
void *wj_memdup(const void *from, size_t size);
void wj_free(void *p);

/*
 * Executable memory.  wj_exec_alloc returns where the code will run (64-byte aligned,
 * within the low or high 2 GiB, so that absolute 32-bit sign-extended addresses and
 * rel32 calls to core functions reach), or NULL.  Filled with int3 at first and when
 * freed.  wj_exec_write copies into it (never writable and executable at once).
 * wj_exec_fixups publishes the instructions that may fault on linear memory, sorted, and
 * where each continues then: offsets relative to `code`.  The array stays the caller's and
 * lives as long as the code.
 */
struct wj_exec {
	u8 *code;
	size_t size;
};
struct wj_fixup {
	u32 fault, landing;
};
int wj_exec_alloc(struct wj_exec *exec, size_t size);
int wj_exec_write(struct wj_exec *exec, size_t offset, const void *src, size_t size);
int wj_exec_fixups(struct wj_exec *exec, const struct wj_fixup *fixups, u32 count);
void wj_exec_free(struct wj_exec *exec);

/*
 * The native stack that guest code runs on; host functions run on the caller's.  *limit is
 * the lowest stack pointer a prologue accepts: enough headroom for interrupts below it.
 */
int wj_stack_get(struct wj_process *p, u64 *limit, u64 *top);

/*
 * Linear memory: a reservation of WJ_RESERVE bytes without access whose first bytes are
 * made accessible.  The base is a USER address: core and host touch it only through the
 * accessors below and through guest code.
 */
#define WJ_RESERVE ((8ull << 30) + (64ull << 10))
int wj_memory_reserve(u64 *base);
int wj_memory_grow(u64 base, u64 old_size, u64 new_size);
void wj_memory_release(u64 base);

/* Copies between us and user addresses.  0 or -EFAULT, a partial copy may remain. */
int wj_copy_from_user(void *dst, u64 src, size_t size);
int wj_copy_to_user(u64 dst, const void *src, size_t size);
int wj_zero_user(u64 dst, size_t size);
/* Overlapping is fine; both ends are user addresses. */
int wj_move_user(u64 dst, u64 src, size_t size);
int wj_fill_user(u64 dst, u8 byte, size_t size);
/*
 * Single accesses: where the address is a multiple of `size` (1, 2, 4 or 8), no other process
 * sees or leaves half of one.  Values are zero-extended.  0 or -EFAULT.
 */
int wj_load_user(u64 src, size_t size, u64 *ret);
int wj_store_user(u64 dst, size_t size, u64 value);
/* Aligned, sequentially consistent: *expected becomes what was there; `desired` if it was the same. */
int wj_cmpxchg_user(u64 at, size_t size, u64 *expected, u64 desired);

/*
 * The system call `nr` (native number), as the guest's own: credentials, descriptors,
 * limits and filters of the process.  Pointers are user addresses.  -errno on failure.
 * Signals that arrive are run before it returns: -EINTR or -ERESTARTSYS where the guest's
 * handlers ask for it, see host/signal.h.
 */
long wj_sys(struct wj_process *p, int nr, u64 a, u64 b, u64 c, u64 d, u64 e, u64 f);

/* What came of one by the shortest way: wj_quick_sys() of the platform's quick.h. */
enum wj_quick {
	WJ_QUICK_DONE,		/* *ret is the result, which is no error; no work is due */
	WJ_QUICK_MADE,		/* *ret is what it returned: wj_quick_end() */
	WJ_QUICK_LONG		/* nothing happened: wj_sys() */
};

/*
 * Per-process scratch in user memory outside linear memory, WJ_SCRATCH_SIZE bytes: the first
 * WJ_SCRATCH_FIXED for hostio.c, whose callers no signal handler may call, then a stack
 * (wj_scratch_alloc in host/host.h) for host functions that handlers may interrupt and call.
 */
#define WJ_SCRATCH_SIZE (128u << 10)
#define WJ_SCRATCH_FIXED (64u << 10)
u64 wj_scratch(struct wj_process *p);

/* Work that is due: called when poll_flags is non-zero, from guest code and from long
 * loops in host code.  0, or a trap (WJ_TRAP_INTERRUPTED) that ends the guest. */
int wj_poll(struct wj_instance *inst);
/*
 * The bits of *poll_flags that mean work; others may be set (the kernel's thread flags).  All
 * of them (~0u) where every instance keeps its own word, which guest code then tests in place.
 */
u32 wj_poll_mask(void);

/* Called now and then while an image is loaded: lets others run.  -EINTR: the process is to die. */
int wj_breathe(void);

/* Nanoseconds of a clock that is never set, for figures. */
u64 wj_clock_ns(void);

/*
 * A clock that native programs read without a system call, as clock_gettime numbers them; false:
 * not one of those.
 */
bool wj_clock_read(int id, s64 *sec, s64 *nsec);

/* Random bytes for offsets and blinding. */
void wj_random(void *dst, size_t size);

/* Mitigations the JIT must emit, from what the running kernel selected; 0 in user space. */
#define WJ_MITIGATE_RETPOLINE	1u
#define WJ_MITIGATE_RETHUNK	2u
#define WJ_MITIGATE_IBT		4u
#define WJ_MITIGATE_BHB		8u
#define WJ_MITIGATE_BLIND	16u
#define WJ_MITIGATE_SMAP	32u	/* not one: stac on the way into guest code, clac out of it */
u32 wj_mitigations(void);
/* Address of the thunk for an indirect jump through x86 register `reg`, of the return
 * thunk; only called where the mitigation is set. */
const void *wj_indirect_thunk(unsigned int reg);
const void *wj_return_thunk(void);

/* One line to the log of the host, printf-like: %s %d %u %x %lx %llx only. */
__attribute__((format(printf, 1, 2))) void wj_log(const char *format, ...);

#endif
