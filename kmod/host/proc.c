// SPDX-License-Identifier: GPL-2.0-only
/* Processes: fork, execve, wait, limits, usage. */
#include "host.h"

s64 wj_host_fork(struct wj_process *p, const u64 *a)
{
	long ret = wj_platform_fork(p);

	(void)a;
	if (ret >= 0)
		return ret;
	wj_set_errno(p, -ret);
	return -1;
}

#define MAX_POINTERS (1u << 20)

/*
 * A guest's array of string pointers as a native one at `to`, or only counted where to is 0.  Not
 * more than max and the NULL: in shared memory it may grow after it was counted.
 */
static s64 pointers(struct wj_process *p, u32 from, u64 to, s64 max)
{
	u32 guest;
	s64 n;

	if (!from)
		return 0;
	for (n = 0;; n++) {
		u64 native;

		if (wj_get_u32(p, &guest, from + 4 * n))
			return -EFAULT;
		if (guest && n == max)
			return -E2BIG;
		native = wj_user_or_null(p, guest);
		if (to && wj_copy_to_user(to + 8 * (u64)n, &native, sizeof(native)))
			return -EFAULT;
		if (!guest)
			return n;
	}
}

static s64 exec_with(struct wj_process *p, const u64 *a, u64 arrays, s64 n_argv, s64 n_envp)
{
	u64 envp = arrays + 8 * ((u64)n_argv + 1);
	s64 ret = pointers(p, a[1], arrays, n_argv);
	int trap = 0;

	if (ret >= 0)
		ret = pointers(p, a[2], envp, n_envp);
	if (ret >= 0)
		ret = wj_platform_execve(p, wj_user(p, a[0]), a[1] ? arrays : 0, a[2] ? envp : 0, &trap);
	if (trap)
		p->unwind = trap;
	return ret;
}

s64 wj_host_execve(struct wj_process *p, const u64 *a)
{
	s64 n_argv = pointers(p, a[1], 0, MAX_POINTERS), n_envp = pointers(p, a[2], 0, MAX_POINTERS), ret;
	u64 size, arrays;

	ret = n_argv < 0 ? n_argv : n_envp < 0 ? n_envp : 0;
	if (!ret) {
		size = ((u64)n_argv + 1 + (u64)n_envp + 1) * 8;
		arrays = wj_sys(p, __NR_mmap, 0, size, 3, 0x22 /* PRIVATE, ANONYMOUS */, -1, 0);
		if ((s64)arrays < 0 && (s64)arrays >= -4095) {
			ret = arrays;
		} else {
			ret = exec_with(p, a, arrays, n_argv, n_envp);
			wj_sys(p, __NR_munmap, arrays, size, 0, 0, 0, 0);
		}
	}
	if (!p->unwind)
		wj_set_errno(p, -ret);
	return -1;
}

/* struct rusage: two timevals, then 14 longs. */
static int rusage_out(struct wj_process *p, u32 to, u64 from)
{
	u64 native[18];
	u32 guest[18];

	if (wj_copy_from_user(native, from, sizeof(native)))
		return -EFAULT;
	for (int i = 0; i < 18; i++)
		guest[i] = native[i];
	return wj_put(p, to, guest, sizeof(guest));
}
static_assert(WJ_EM_OFF_rusage_ru_nivcsw == 17 * 4, "struct rusage is 18 words");

s64 wj_host_syscall_wait4(struct wj_process *p, const u64 *a)
{
	u64 scratch = wj_scratch_alloc(p, 144);
	s64 ret;

	if (!scratch)
		return -ENOMEM;
	ret = wj_sys(p, __NR_wait4, (s32)a[0], wj_user_or_null(p, a[1]), (s32)a[2], a[3] ? scratch : 0, 0, 0);
	if (ret > 0 && a[3] && rusage_out(p, a[3], scratch))
		ret = -EFAULT;
	return ret;
}

s64 wj_host_syscall_waitid(struct wj_process *p, const u64 *a)
{
	u64 scratch = wj_scratch_alloc(p, 128 + 144);
	u32 native[8], guest[8] = { 0 };
	s64 ret;

	if (!scratch)
		return -ENOMEM;
	ret = wj_sys(p, __NR_waitid, (s32)a[0], (s32)a[1], scratch, (s32)a[3], a[4] ? scratch + 128 : 0, 0);
	if (ret < 0)
		return ret;
	if (a[2]) {
		if (wj_copy_from_user(native, scratch, sizeof(native)))
			return -EFAULT;
		memcpy(guest, native, 12);
		guest[3] = native[4];	/* pid */
		guest[4] = native[5];	/* uid */
		guest[5] = native[6];	/* status */
		if (wj_put(p, a[2], guest, sizeof(guest)))
			return -EFAULT;
	}
	if (a[4] && rusage_out(p, a[4], scratch + 128))
		return -EFAULT;
	return ret;
}

s64 wj_host_syscall_getrusage(struct wj_process *p, const u64 *a)
{
	u64 scratch = wj_scratch_alloc(p, 144);
	s64 ret;

	if (!scratch)
		return -ENOMEM;
	ret = wj_sys(p, __NR_getrusage, (s32)a[0], scratch, 0, 0, 0, 0);
	return ret < 0 ? ret : rusage_out(p, a[1], scratch);
}

s64 wj_host_syscall_times(struct wj_process *p, const u64 *a)
{
	u64 scratch = wj_scratch_alloc(p, 32), native[4];
	u32 guest[4];
	s64 ret;

	if (!scratch)
		return -ENOMEM;
	ret = wj_sys(p, __NR_times, scratch, 0, 0, 0, 0, 0);
	if (a[0]) {
		if (wj_copy_from_user(native, scratch, sizeof(native)))
			return -EFAULT;
		for (int i = 0; i < 4; i++)
			guest[i] = native[i];
		if (wj_put(p, a[0], guest, sizeof(guest)))
			return -EFAULT;
	}
	/* Any value of 32 bits is a time, none an error. */
	return ret & 0x7fffffff;
}

/* struct rlimit has two 64-bit numbers on both sides. */
static_assert(WJ_EM_SIZEOF_rlimit == 16, "rlim_t has 64 bits");

s64 wj_host_syscall_prlimit64(struct wj_process *p, const u64 *a)
{
	return wj_sys(p, __NR_prlimit64, (s32)a[0], (u32)a[1], wj_user_or_null(p, a[2]),
		      wj_user_or_null(p, a[3]), 0, 0);
}

s64 wj_host_syscall_ugetrlimit(struct wj_process *p, const u64 *a)
{
	return wj_sys(p, __NR_prlimit64, 0, (u32)a[0], 0, wj_user(p, a[1]), 0, 0);
}

s64 wj_host_syscall_setrlimit(struct wj_process *p, const u64 *a)
{
	return wj_sys(p, __NR_prlimit64, 0, (u32)a[0], wj_user(p, a[1]), 0, 0, 0);
}

/* prctl: what concerns the process and its name, not the host's address space. */
s64 wj_host_syscall_prctl(struct wj_process *p, const u64 *a)
{
	u64 arg = (u32)a[1];

	switch ((u32)a[0]) {
	case WJ_EM_PR_GET_PDEATHSIG:
	case WJ_EM_PR_SET_NAME:
	case WJ_EM_PR_GET_NAME:
	case WJ_EM_PR_GET_CHILD_SUBREAPER:
		arg = wj_user(p, a[1]);
		break;
	case WJ_EM_PR_SET_PDEATHSIG:
	case WJ_EM_PR_GET_DUMPABLE:
	case WJ_EM_PR_SET_DUMPABLE:
	case WJ_EM_PR_GET_KEEPCAPS:
	case WJ_EM_PR_SET_KEEPCAPS:
	case WJ_EM_PR_CAPBSET_READ:
	case WJ_EM_PR_CAPBSET_DROP:
	case WJ_EM_PR_SET_CHILD_SUBREAPER:
	case WJ_EM_PR_SET_NO_NEW_PRIVS:
	case WJ_EM_PR_GET_NO_NEW_PRIVS:
		break;
	default:
		return -EINVAL;
	}
	return wj_sys(p, __NR_prctl, (u32)a[0], arg, (u32)a[2], (u32)a[3], (u32)a[4], 0);
}

s64 wj_host_syscall_sysinfo(struct wj_process *p, const u64 *a)
{
	u64 scratch = wj_scratch_alloc(p, 112);
	struct {
		u64 uptime, loads[3], ram[4], swap[2];
		u16 procs;
		u64 high[2];
		u32 unit;
	} native;
	u8 guest[WJ_EM_SIZEOF_sysinfo] = { 0 };
	u64 unit;
	s64 ret;

	if (!scratch)
		return -ENOMEM;
	ret = wj_sys(p, __NR_sysinfo, scratch, 0, 0, 0, 0, 0);
	if (ret < 0)
		return ret;
	if (wj_copy_from_user(&native, scratch, sizeof(native)))
		return -EFAULT;
	WJ_FIELD(guest, u32, WJ_EM_OFF_sysinfo_uptime) = native.uptime;
	for (int i = 0; i < 3; i++)
		WJ_FIELD(guest, u32, WJ_EM_OFF_sysinfo_loads + 4 * i) = native.loads[i];
	/* 32 bits hold pages of 4 KiB, as 32-bit Linux counts where it must. */
	unit = 4096 / (native.unit && native.unit <= 4096 ? native.unit : 1);
	for (int i = 0; i < 4; i++)
		WJ_FIELD(guest, u32, WJ_EM_OFF_sysinfo_totalram + 4 * i) = native.ram[i] / unit;
	for (int i = 0; i < 2; i++)
		WJ_FIELD(guest, u32, WJ_EM_OFF_sysinfo_totalswap + 4 * i) = native.swap[i] / unit;
	WJ_FIELD(guest, u16, WJ_EM_OFF_sysinfo_procs) = native.procs;
	WJ_FIELD(guest, u32, WJ_EM_OFF_sysinfo_mem_unit) = native.unit * unit;
	return wj_put(p, a[0], guest, sizeof(guest));
}

s64 wj_host_getloadavg(struct wj_process *p, const u64 *a)
{
	u64 scratch = wj_scratch_alloc(p, 112), loads[4];
	s32 n = min((s32)a[1], 3);

	if (!scratch || n < 0 || wj_sys(p, __NR_sysinfo, scratch, 0, 0, 0, 0, 0) < 0 ||
	    wj_copy_from_user(loads, scratch, sizeof(loads)))
		return -1;
	for (s32 i = 0; i < n; i++) {
		if (wj_put_u64(p, a[0] + 8 * i, wj_double_bits(loads[i + 1], 16)))
			return -1;
	}
	return n;
}
