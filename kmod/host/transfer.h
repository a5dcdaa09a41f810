/* SPDX-License-Identifier: GPL-2.0-only */
/* read and write, which guests call most often: part of process.c, which has them inline. */
#ifndef WJ_TRANSFER_H
#define WJ_TRANSFER_H

#include "quick.h"
#include "host.h"

/* With one buffer mostly, which needs no iovec of ours; `nr` is a constant. */
static __always_inline s64 transfer(struct wj_process *p, int nr, const u64 *a)
{
	u64 iov, args[3];
	u32 guest[2];
	long n;

	if (unlikely((u32)a[2] != 1))
		return wj_transfer(p, nr, a[0], a[1], a[2], 0, a[3]);
	if (wj_quick_get_u64(&iov, wj_user(p, a[1])))
		return -EFAULT;
	if (wj_quick_owns_fd(p, a[0]))
		return -EBADF;
	memcpy(guest, &iov, sizeof(guest));
	args[0] = (s32)a[0];
	args[1] = wj_user(p, guest[0]);
	args[2] = guest[1];
	switch (wj_quick_sys(p, nr, 3, args, &n)) {
	case WJ_QUICK_DONE:
		break;
	case WJ_QUICK_MADE:
		n = wj_quick_end(p, nr, n);
		break;
	case WJ_QUICK_LONG:
		n = wj_sys(p, nr, args[0], args[1], args[2], 0, 0, 0);
		break;
	}
	return n < 0 ? n : wj_quick_put_u32(wj_user(p, a[3]), n);
}

inline __attribute__((__always_inline__)) s64 wj_host_wasi_fd_read(struct wj_process *p, const u64 *a)
{
	return transfer(p, __NR_read, a);
}

inline __attribute__((__always_inline__)) s64 wj_host_wasi_fd_write(struct wj_process *p, const u64 *a)
{
	return transfer(p, __NR_write, a);
}

#endif
