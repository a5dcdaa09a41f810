/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What most host calls do, inline: between a guest and the kernel's own function are as few
 * instructions as can be.  Rules that ask for more than a test are kept by run.c.
 */
#ifndef WJ_QUICK_H
#define WJ_QUICK_H

#include <linux/uaccess.h>
#include "kernel.h"

/* After a system call: work, or registers that are not the guest's any more. */
#define WJ_AFTER_CALL (EXIT_TO_USER_MODE_WORK | 1u << TIF_NEED_FPU_LOAD)

/* A call that nobody looks at, or needs to. */
static __always_inline enum wj_quick wj_quick_make(struct wj_process *p, unsigned int nr, u32 n, const u64 *args,
						   long *ret)
{
	struct wj_context *c = p->platform;

	p->steps++;
	if (n > 0)
		c->regs.di = args[0];
	if (n > 1)
		c->regs.si = args[1];
	if (n > 2)
		c->regs.dx = args[2];
	if (n > 3)
		c->regs.r10 = args[3];
	if (n > 4)
		c->regs.r8 = args[4];
	if (n > 5)
		c->regs.r9 = args[5];
	*ret = wj_on_task_stack(c, wj_syscall_entries[nr]);
	if (unlikely(READ_ONCE(current_thread_info()->flags) & WJ_AFTER_CALL || (u64)*ret >= -4095ull))
		return WJ_QUICK_MADE;
	return WJ_QUICK_DONE;
}

/* `nr` and `n` are constants; args: the first n arguments. */
static __always_inline enum wj_quick wj_quick_sys(struct wj_process *p, unsigned int nr, u32 n, const u64 *args,
						  long *ret)
{
	const struct wj_context *c = p->platform;

	if (unlikely(!c->started || c->answered || wj_syscall_work()))
		return WJ_QUICK_LONG;
	return wj_quick_make(p, nr, n, args, ret);
}

/* Where that did not make it: do the filters that look allow it, whatever the arguments? */
static inline bool wj_quick_allowed(struct wj_process *p, unsigned int nr)
{
	struct wj_context *c = p->platform;

	return c->started && !c->answered && wj_syscall_work() && wj_seccomp_allows(c, nr);
}

static inline long wj_quick_end(struct wj_process *p, unsigned int nr, long ret)
{
	return wj_sys_finish(p->platform, nr, ret);
}

/* Does anybody look at host calls? */
static __always_inline bool wj_quick_tracing(void)
{
	return tracepoint_enabled(wasm_host_enter) || tracepoint_enabled(wasm_host_exit);
}

static __always_inline bool wj_quick_work_due(struct wj_instance *inst)
{
	return READ_ONCE(current_thread_info()->flags) & EXIT_TO_USER_MODE_WORK;
}

static __always_inline bool wj_quick_owns_fd(struct wj_process *p, s32 fd)
{
	const struct wj_context *c = p->platform;

	return unlikely((u32)fd - c->lowest_hidden_fd <= c->hidden_range) && wj_platform_owns_fd(p, fd);
}

/* Copies of one aligned word: 0 or -EFAULT. */
static __always_inline int wj_quick_get_u64(u64 *dst, u64 src)
{
	return get_user(*dst, (const u64 __user *)src);
}

static __always_inline int wj_quick_put_u32(u64 dst, u32 value)
{
	return put_user(value, (u32 __user *)dst);
}

#endif
