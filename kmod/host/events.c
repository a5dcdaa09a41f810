// SPDX-License-Identifier: GPL-2.0-only
/* Waiting for events: poll, select, epoll, signalfd, timerfd. */
#include "host.h"

s64 wj_host_syscall_poll(struct wj_process *p, const u64 *a)
{
	return wj_sys(p, __NR_poll, wj_user(p, a[0]), a[1], (s32)a[2], 0, 0, 0);
}

s64 wj_host_syscall_ppoll(struct wj_process *p, const u64 *a)
{
	int err = 0;
	u64 timeout = wj_timespec_user(p, a[2], &err), mask = 0;

	if (!err)
		mask = wj_sigset_user(p, a[3], &err);
	if (err)
		return err;
	return wj_sys(p, __NR_ppoll, wj_user(p, a[0]), a[1], timeout, mask, 8, 0);
}

/*
 * fd_set is a bit array of 32-bit words in the guest, of 64-bit words here: the same bytes, as both
 * are little-endian, but the kernel reads whole longs.  A guest's sets have 1024 bits, so that is
 * always inside.  What the kernel does with the timeout, it does to ours.
 */
static_assert(WJ_EM_SIZEOF_fd_set == 128, "1024 descriptors");

s64 wj_host_syscall_newselect(struct wj_process *p, const u64 *a)
{
	struct wj_timespec64 tv;
	u64 timeout = 0;
	s64 ret;

	if ((s32)a[0] < 0 || (s32)a[0] > 1024)
		return -EINVAL;
	if (a[4]) {
		timeout = wj_scratch_alloc(p, sizeof(tv));
		if (!timeout)
			return -ENOMEM;
		if (wj_get_timespec(p, &tv, a[4]) || wj_copy_to_user(timeout, &tv, sizeof(tv)))
			return -EFAULT;
	}
	ret = wj_sys(p, __NR_select, (s32)a[0], wj_user_or_null(p, a[1]), wj_user_or_null(p, a[2]),
		     wj_user_or_null(p, a[3]), timeout, 0);
	if (ret >= 0 && timeout &&
	    (wj_copy_from_user(&tv, timeout, sizeof(tv)) || wj_put_timespec(p, a[4], &tv)))
		ret = -EFAULT;
	return ret;
}

s64 wj_host_syscall_pselect6(struct wj_process *p, const u64 *a)
{
	u32 guest[2] = { 0 };
	u64 native[2] = { 0, 8 }, timeout, pair;
	int err;

	if ((s32)a[0] < 0 || (s32)a[0] > 1024)
		return -EINVAL;
	timeout = wj_timespec_user(p, a[4], &err);
	if (err)
		return err;
	if (a[5]) {	/* { pointer to the mask, its size } */
		if (wj_get(p, guest, a[5], sizeof(guest)))
			return -EFAULT;
		native[0] = wj_sigset_user(p, guest[0], &err);
		if (err)
			return err;
	}
	pair = wj_scratch_alloc(p, sizeof(native));
	if (!pair)
		return -ENOMEM;
	if (wj_copy_to_user(pair, native, sizeof(native)))
		return -EFAULT;
	return wj_sys(p, __NR_pselect6, (s32)a[0], wj_user_or_null(p, a[1]), wj_user_or_null(p, a[2]),
		      wj_user_or_null(p, a[3]), timeout, pair);
}

/* struct epoll_event is packed on x86-64 (12 bytes) and only there; the guest's has 16. */
#ifdef __x86_64__
#define NATIVE_EVENT 12
#define NATIVE_DATA 4
#else
#define NATIVE_EVENT 16
#define NATIVE_DATA 8
#endif
#define MAX_EVENTS 2048	/* at once: events that wait longer come with the next call */

s64 wj_host_syscall_epoll_ctl(struct wj_process *p, const u64 *a)
{
	u8 guest[WJ_EM_SIZEOF_epoll_event], native[NATIVE_EVENT] = { 0 };
	u64 scratch = 0;

	if (wj_bad_fd(p, a[0]) || wj_bad_fd(p, a[2]))
		return -EBADF;
	if (a[3]) {
		scratch = wj_scratch_alloc(p, sizeof(native));
		if (!scratch)
			return -ENOMEM;
		if (wj_get(p, guest, a[3], sizeof(guest)))
			return -EFAULT;
		memcpy(native, guest, 4);
		memcpy(native + NATIVE_DATA, guest + WJ_EM_OFF_epoll_event_data, 8);
		if (wj_copy_to_user(scratch, native, sizeof(native)))
			return -EFAULT;
	}
	return wj_sys(p, __NR_epoll_ctl, (s32)a[0], (s32)a[1], (s32)a[2], scratch, 0, 0);
}

s64 wj_host_syscall_epoll_pwait(struct wj_process *p, const u64 *a)
{
	s32 max = min((s32)a[2], MAX_EVENTS);
	u64 scratch, mask;
	int err;
	s64 n;

	if (wj_bad_fd(p, a[0]))
		return -EBADF;
	if (max <= 0)
		return -EINVAL;
	mask = wj_sigset_user(p, a[4], &err);
	if (err)
		return err;
	scratch = wj_scratch_alloc(p, max * NATIVE_EVENT);
	if (!scratch)
		return -ENOMEM;
	n = wj_sys(p, __NR_epoll_pwait, (s32)a[0], scratch, max, (s32)a[3], mask, 8);
	/* Where a launcher makes the call, it may say anything. */
	if (n > max)
		return -EIO;
	for (s64 i = 0; i < n; i++) {
		u8 guest[WJ_EM_SIZEOF_epoll_event] = { 0 }, native[NATIVE_EVENT];

		if (wj_copy_from_user(native, scratch + i * NATIVE_EVENT, NATIVE_EVENT))
			return -EFAULT;
		memcpy(guest, native, 4);
		memcpy(guest + WJ_EM_OFF_epoll_event_data, native + NATIVE_DATA, 8);
		if (wj_put(p, a[1] + i * sizeof(guest), guest, sizeof(guest)))
			return -EFAULT;
	}
	return n;
}

s64 wj_host_syscall_signalfd4(struct wj_process *p, const u64 *a)
{
	int err;
	u64 mask = wj_sigset_user(p, a[1], &err);

	if (err)
		return err;
	if (wj_bad_fd(p, a[0]))
		return -EBADF;
	return wj_sys(p, __NR_signalfd4, (s32)a[0], mask, 8, (s32)a[3], 0, 0);
}

static int get_itimerspec(struct wj_process *p, u64 to, u32 from)
{
	struct wj_timespec64 ts[2];

	if (wj_get_timespec(p, &ts[0], from) ||
	    wj_get_timespec(p, &ts[1], from + WJ_EM_SIZEOF_timespec) ||
	    wj_copy_to_user(to, ts, sizeof(ts)))
		return -EFAULT;
	return 0;
}

static int put_itimerspec(struct wj_process *p, u32 to, u64 from)
{
	struct wj_timespec64 ts[2];

	if (wj_copy_from_user(ts, from, sizeof(ts)) || wj_put_timespec(p, to, &ts[0]) ||
	    wj_put_timespec(p, to + WJ_EM_SIZEOF_timespec, &ts[1]))
		return -EFAULT;
	return 0;
}

s64 wj_host_syscall_timerfd_settime(struct wj_process *p, const u64 *a)
{
	u64 scratch = wj_scratch_alloc(p, 64);
	s64 ret;

	if (!scratch)
		return -ENOMEM;
	if (wj_bad_fd(p, a[0]))
		return -EBADF;
	if (get_itimerspec(p, scratch, a[2]))
		return -EFAULT;
	ret = wj_sys(p, __NR_timerfd_settime, (s32)a[0], (s32)a[1], scratch, a[3] ? scratch + 32 : 0, 0, 0);
	if (ret >= 0 && a[3] && put_itimerspec(p, a[3], scratch + 32))
		ret = -EFAULT;
	return ret;
}

s64 wj_host_syscall_timerfd_gettime(struct wj_process *p, const u64 *a)
{
	u64 scratch = wj_scratch_alloc(p, 32);
	s64 ret;

	if (!scratch)
		return -ENOMEM;
	if (wj_bad_fd(p, a[0]))
		return -EBADF;
	ret = wj_sys(p, __NR_timerfd_gettime, (s32)a[0], scratch, 0, 0, 0, 0);
	if (ret >= 0 && put_itimerspec(p, a[1], scratch))
		ret = -EFAULT;
	return ret;
}
