/* SPDX-License-Identifier: GPL-2.0-only */
/* What kmod/linux does inline for the sake of speed: here it is nothing special. */
#ifndef WJ_QUICK_H
#define WJ_QUICK_H

#include "../host/process.h"

/* `nr` and `n` are constants; args: the first n arguments. */
static inline enum wj_quick wj_quick_sys(struct wj_process *p, unsigned int nr, u32 n, const u64 *args, long *ret)
{
	(void)p;
	(void)nr;
	(void)n;
	(void)args;
	(void)ret;
	return WJ_QUICK_LONG;
}

static inline enum wj_quick wj_quick_make(struct wj_process *p, unsigned int nr, u32 n, const u64 *args, long *ret)
{
	return wj_quick_sys(p, nr, n, args, ret);
}

static inline bool wj_quick_allowed(struct wj_process *p, unsigned int nr)
{
	(void)p;
	(void)nr;
	return false;
}

static inline long wj_quick_end(struct wj_process *p, unsigned int nr, long ret)
{
	(void)p;
	(void)nr;
	return ret;
}

/* Does anybody look at host calls? */
static inline bool wj_quick_tracing(void)
{
	return false;
}

static inline bool wj_quick_work_due(struct wj_instance *inst)
{
	return *(volatile u32 *)wj_poll_flags(inst);
}

static inline bool wj_quick_owns_fd(struct wj_process *p, s32 fd)
{
	return wj_platform_owns_fd(p, fd);
}

/* Copies of one aligned word: 0 or -EFAULT. */
static inline int wj_quick_get_u64(u64 *dst, u64 src)
{
	return wj_copy_from_user(dst, src, sizeof(*dst));
}

static inline int wj_quick_put_u32(u64 dst, u32 value)
{
	return wj_copy_to_user(dst, &value, sizeof(value));
}

#endif
