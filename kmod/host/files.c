// SPDX-License-Identifier: GPL-2.0-only
/* Files: what needs a structure or a variable argument translated.  The rest is in pass.def. */
#include "wasi.h"

u64 wj_iovec_user(struct wj_process *p, u32 address, u32 count, int *err)
{
	u64 scratch;

	*err = -EINVAL;
	if (count > 1024)	/* UIO_MAXIOV */
		return 0;
	*err = -ENOMEM;
	scratch = wj_scratch_alloc(p, count * 16);
	if (!scratch)
		return 0;
	*err = -EFAULT;
	for (u32 i = 0; i < count; i++) {
		u32 guest[2];
		u64 native[2];

		if (wj_get(p, guest, address + 8 * i, sizeof(guest)))
			return 0;
		native[0] = wj_user(p, guest[0]);
		native[1] = guest[1];
		if (wj_copy_to_user(scratch + 16 * i, native, sizeof(native)))
			return 0;
	}
	*err = 0;
	return scratch;
}

static int vector_call(int nr)
{
	switch (nr) {
	case __NR_read:
		return __NR_readv;
	case __NR_write:
		return __NR_writev;
	case __NR_pread64:
		return __NR_preadv;
	default:
		return __NR_pwritev;
	}
}

s64 wj_transfer(struct wj_process *p, int nr, s32 fd, u32 iov, u32 count, u64 offset, u32 ret_address)
{
	u64 address, size = count;
	u32 guest[2];
	int err = 0;
	s64 n;

	if (count == 1) {
		/* By far the most frequent case needs no iovec in scratch. */
		if (wj_get(p, guest, iov, sizeof(guest)))
			return -EFAULT;
		address = wj_user(p, guest[0]);
		size = guest[1];
	} else {
		address = wj_iovec_user(p, iov, count, &err);
		nr = vector_call(nr);
	}
	if (err)
		return err;
	if (wj_bad_fd(p, fd))
		return -EBADF;
	n = wj_sys(p, nr, fd, address, size, offset, 0, 0);
	return n < 0 ? n : wj_put_u32(p, ret_address, n);
}

s64 wj_host_wasi_fd_pread(struct wj_process *p, const u64 *a)
{
	return wj_transfer(p, __NR_pread64, a[0], a[1], a[2], a[3], a[4]);
}

s64 wj_host_wasi_fd_pread_split(struct wj_process *p, const u64 *a)
{
	return wj_transfer(p, __NR_pread64, a[0], a[1], a[2], (u32)a[3] | a[4] << 32, a[5]);
}

s64 wj_host_wasi_fd_pwrite(struct wj_process *p, const u64 *a)
{
	return wj_transfer(p, __NR_pwrite64, a[0], a[1], a[2], a[3], a[4]);
}

s64 wj_host_wasi_fd_pwrite_split(struct wj_process *p, const u64 *a)
{
	return wj_transfer(p, __NR_pwrite64, a[0], a[1], a[2], (u32)a[3] | a[4] << 32, a[5]);
}

static s64 seek(struct wj_process *p, u32 fd, u64 offset, u32 whence, u32 ret_address)
{
	s64 at;

	if (wj_bad_fd(p, fd))
		return -EBADF;
	at = wj_sys(p, __NR_lseek, (s32)fd, offset, whence, 0, 0, 0);
	return at < 0 ? at : wj_put_u64(p, ret_address, at);
}

s64 wj_host_wasi_fd_seek(struct wj_process *p, const u64 *a)
{
	return seek(p, a[0], a[1], a[2], a[3]);
}

s64 wj_host_wasi_fd_seek_split(struct wj_process *p, const u64 *a)
{
	return seek(p, a[0], (u32)a[1] | a[2] << 32, a[3], a[4]);
}

#define STATX_BASIC_STATS 0x7ff

/* The kernel's new_encode_dev, which is what 32 bits of dev_t hold. */
static u32 encode_device(u32 major, u32 minor)
{
	return (minor & 0xff) | major << 8 | (minor & ~0xffu) << 12;
}

s64 wj_statx(struct wj_process *p, s32 fd, u64 path, u32 flags, struct wj_statx *st)
{
	u64 scratch = wj_scratch_alloc(p, sizeof(*st));
	s64 ret;

	if (!path) {
		path = wj_scratch_alloc(p, 1);
		flags |= WJ_EM_AT_EMPTY_PATH;
		if (!path || wj_zero_user(path, 1))
			return -ENOMEM;
	}
	if (!scratch)
		return -ENOMEM;
	ret = wj_sys(p, __NR_statx, fd, path, flags, STATX_BASIC_STATS, scratch, 0);
	if (ret < 0)
		return ret;
	return wj_copy_from_user(st, scratch, sizeof(*st));
}

static s64 stat_to(struct wj_process *p, s32 fd, u64 path, u32 flags, u32 to)
{
	struct wj_statx st;
	u8 guest[WJ_EM64_SIZEOF_stat] = { 0 };
	s64 ret = wj_statx(p, fd, path, flags, &st);

	if (ret)
		return ret;
	WJ_FIELD(guest, u32, WJ_LAYOUT(p, OFF_stat_st_dev)) = encode_device(st.dev_major, st.dev_minor);
	WJ_FIELD(guest, u32, WJ_LAYOUT(p, OFF_stat_st_mode)) = st.mode;
	WJ_FIELD(guest, u32, WJ_LAYOUT(p, OFF_stat_st_nlink)) = st.nlink;
	WJ_FIELD(guest, u32, WJ_LAYOUT(p, OFF_stat_st_uid)) = st.uid;
	WJ_FIELD(guest, u32, WJ_LAYOUT(p, OFF_stat_st_gid)) = st.gid;
	WJ_FIELD(guest, u32, WJ_LAYOUT(p, OFF_stat_st_rdev)) = encode_device(st.rdev_major, st.rdev_minor);
	WJ_FIELD(guest, u64, WJ_LAYOUT(p, OFF_stat_st_size)) = st.size;
	WJ_FIELD(guest, u32, WJ_LAYOUT(p, OFF_stat_st_blksize)) = st.blksize;
	WJ_FIELD(guest, u32, WJ_LAYOUT(p, OFF_stat_st_blocks)) = st.blocks;
	wj_pack_time(guest + WJ_LAYOUT(p, OFF_stat_st_atim), st.atime.sec, st.atime.nsec, p->host->time64);
	wj_pack_time(guest + WJ_LAYOUT(p, OFF_stat_st_mtim), st.mtime.sec, st.mtime.nsec, p->host->time64);
	wj_pack_time(guest + WJ_LAYOUT(p, OFF_stat_st_ctim), st.ctime.sec, st.ctime.nsec, p->host->time64);
	WJ_FIELD(guest, u64, WJ_LAYOUT(p, OFF_stat_st_ino)) = st.ino;
	return wj_put(p, to, guest, WJ_LAYOUT(p, SIZEOF_stat));
}

s64 wj_host_syscall_stat64(struct wj_process *p, const u64 *a)
{
	return stat_to(p, WJ_EM_AT_FDCWD, wj_user(p, a[0]), 0, a[1]);
}

s64 wj_host_syscall_lstat64(struct wj_process *p, const u64 *a)
{
	return stat_to(p, WJ_EM_AT_FDCWD, wj_user(p, a[0]), WJ_EM_AT_SYMLINK_NOFOLLOW, a[1]);
}

s64 wj_host_syscall_fstat64(struct wj_process *p, const u64 *a)
{
	if (wj_bad_fd(p, a[0]) || (s32)a[0] < 0)
		return -EBADF;
	return stat_to(p, a[0], 0, 0, a[1]);
}

s64 wj_host_syscall_fstatat64(struct wj_process *p, const u64 *a)
{
	if (wj_bad_fd(p, a[0]))
		return -EBADF;
	return stat_to(p, a[0], wj_user(p, a[1]), a[3], a[2]);
}

s64 wj_host_syscall_newfstatat(struct wj_process *p, const u64 *a)
{
	return wj_host_syscall_fstatat64(p, a);
}

/* struct statfs of 64-bit Linux: eight-byte fields. */
static s64 statfs_to(struct wj_process *p, int nr, u64 what, u32 to)
{
	u64 scratch = wj_scratch_alloc(p, 120);
	u64 st[15];
	u8 guest[WJ_EM_SIZEOF_statfs] = { 0 };
	s64 ret;

	if (!scratch)
		return -ENOMEM;
	ret = wj_sys(p, nr, what, scratch, 0, 0, 0, 0);
	if (ret < 0)
		return ret;
	if (wj_copy_from_user(st, scratch, sizeof(st)))
		return -EFAULT;
	/* type bsize blocks bfree bavail files ffree fsid namelen frsize flags */
	for (int i = 0; i < 7; i++)
		WJ_FIELD(guest, u32, 4 * i) = st[i] > 0xffffffff ? 0xffffffff : st[i];
	WJ_FIELD(guest, u64, WJ_EM_OFF_statfs_f_fsid) = st[7];
	WJ_FIELD(guest, u32, WJ_EM_OFF_statfs_f_namelen) = st[8];
	WJ_FIELD(guest, u32, WJ_EM_OFF_statfs_f_frsize) = st[9];
	WJ_FIELD(guest, u32, WJ_EM_OFF_statfs_f_flags) = st[10];
	return wj_put(p, to, guest, sizeof(guest));
}

s64 wj_host_syscall_statfs64(struct wj_process *p, const u64 *a)
{
	return statfs_to(p, __NR_statfs, wj_user(p, a[0]), a[2]);
}

s64 wj_host_syscall_fstatfs64(struct wj_process *p, const u64 *a)
{
	if (wj_bad_fd(p, a[0]))
		return -EBADF;
	return statfs_to(p, __NR_fstatfs, (s32)a[0], a[2]);
}

static s64 open_file(struct wj_process *p, s32 fd, u32 path, u32 flags, u32 varargs)
{
	u32 mode = 0;

	if (wj_bad_fd(p, fd))
		return -EBADF;
	/* O_CREAT, or O_TMPFILE, have a mode. */
	if ((flags & (WJ_EM_O_CREAT | 020000000)) && wj_get_u32(p, &mode, varargs))
		return -EFAULT;
	return wj_sys(p, __NR_openat, fd, wj_user(p, path), flags, mode, 0, 0);
}

s64 wj_host_syscall_open(struct wj_process *p, const u64 *a)
{
	return open_file(p, WJ_EM_AT_FDCWD, a[0], a[1], a[2]);
}

s64 wj_host_syscall_openat(struct wj_process *p, const u64 *a)
{
	return open_file(p, a[0], a[1], a[2], a[3]);
}

s64 wj_host_syscall_faccessat(struct wj_process *p, const u64 *a)
{
	if (wj_bad_fd(p, a[0]))
		return -EBADF;
	if (a[3])
		return wj_sys(p, __NR_faccessat2, (s32)a[0], wj_user(p, a[1]), a[2], a[3], 0, 0);
	return wj_sys(p, __NR_faccessat, (s32)a[0], wj_user(p, a[1]), a[2], 0, 0, 0);
}

/* F_GETLK.. take a struct flock of 32 bytes in both ABIs, with the same fields (both 64-bit). */
static_assert(WJ_EM_SIZEOF_flock == 32 && WJ_EM_OFF_flock_l_start == 8 && WJ_EM_OFF_flock_l_pid == 24,
	      "struct flock is the 64-bit one");

s64 wj_host_syscall_dup3(struct wj_process *p, const u64 *a)
{
	if (wj_bad_fd(p, a[0]) || (wj_bad_fd(p, a[1]) && wj_platform_move_fd(p, a[1])))
		return -EBADF;
	return wj_sys(p, __NR_dup3, (s32)a[0], (s32)a[1], (u32)a[2], 0, 0, 0);
}

s64 wj_host_syscall_fcntl64(struct wj_process *p, const u64 *a)
{
	u32 arg = 0;
	u64 native;
	u32 command = a[1];
	s64 ret;

	if (wj_bad_fd(p, a[0]))
		return -EBADF;
	/* F_GETLK64 and so on, which 64-bit kernels do not have: the structure is the same. */
	if (command >= WJ_EM64_F_GETLK && command <= WJ_EM64_F_SETLKW)
		command = command - WJ_EM64_F_GETLK + WJ_EM_F_GETLK;
	switch (command) {
	case WJ_EM_F_GETFD:
	case WJ_EM_F_GETFL:
		native = 0;
		break;
	case WJ_EM_F_GETLK:
	case WJ_EM_F_SETLK:
	case WJ_EM_F_SETLKW:
	case WJ_EM_F_OFD_GETLK:
	case WJ_EM_F_OFD_SETLK:
	case WJ_EM_F_OFD_SETLKW:
	case WJ_EM_F_GETOWN_EX:
	case WJ_EM_F_SETOWN_EX:
		if (wj_get_u32(p, &arg, a[2]))
			return -EFAULT;
		native = wj_user(p, arg);
		break;
	default:
		if (wj_get_u32(p, &arg, a[2]))
			return -EFAULT;
		native = (s32)arg;
	}
	ret = wj_sys(p, __NR_fcntl, (s32)a[0], command, native, 0, 0, 0);
	return ret;
}

/*
 * ioctl: requests whose argument is an integer or a structure that is the same in both ABIs.
 * Everything else is ENOTTY, as for a device that does not know the request.
 */
s64 wj_host_syscall_ioctl(struct wj_process *p, const u64 *a)
{
	u32 arg;

	if (wj_bad_fd(p, a[0]))
		return -EBADF;
	if (wj_get_u32(p, &arg, a[2]))
		return -EFAULT;
	switch ((u32)a[1]) {
	case WJ_EM_TCSBRK:
	case WJ_EM_TCXONC:
	case WJ_EM_TCFLSH:
	case WJ_EM_TIOCEXCL:
	case WJ_EM_TIOCNXCL:
	case WJ_EM_TIOCSCTTY:
	case WJ_EM_TIOCNOTTY:
	case WJ_EM_FIONCLEX:
	case WJ_EM_FIOCLEX:
		return wj_sys(p, __NR_ioctl, (s32)a[0], (u32)a[1], (s32)arg, 0, 0, 0);
	case WJ_EM_TCGETS:	/* the kernel's termios is a prefix of the guest's */
	case WJ_EM_TCSETS:
	case WJ_EM_TCSETSW:
	case WJ_EM_TCSETSF:
	case WJ_EM_TIOCGPGRP:
	case WJ_EM_TIOCSPGRP:
	case WJ_EM_TIOCOUTQ:
	case WJ_EM_TIOCGWINSZ:
	case WJ_EM_TIOCSWINSZ:
	case WJ_EM_TIOCGSID:
	case WJ_EM_TIOCGPTN:
	case WJ_EM_TIOCSPTLCK:
	case WJ_EM_FIONREAD:
	case WJ_EM_FIONBIO:
	case WJ_EM_FIOASYNC:
	case WJ_EM_SIOCATMARK:
		return wj_sys(p, __NR_ioctl, (s32)a[0], (u32)a[1], wj_user(p, arg), 0, 0, 0);
	case WJ_EM_SIOCGIFNAME:	/* struct ifreq: 16 bytes of name, then at most 16 that matter */
	case WJ_EM_SIOCGIFINDEX:
	case WJ_EM_SIOCGIFFLAGS:
	case WJ_EM_SIOCGIFADDR:
	case WJ_EM_SIOCGIFMTU:
	case WJ_EM_SIOCGIFHWADDR: {
		u64 scratch = wj_scratch_alloc(p, 40);
		u8 request[32];
		s64 ret;

		if (!scratch)
			return -ENOMEM;
		if (wj_get(p, request, arg, sizeof(request)) ||
		    wj_copy_to_user(scratch, request, sizeof(request)))
			return -EFAULT;
		ret = wj_sys(p, __NR_ioctl, (s32)a[0], (u32)a[1], scratch, 0, 0, 0);
		if (ret >= 0 && (wj_copy_from_user(request, scratch, sizeof(request)) ||
				 wj_put(p, arg, request, sizeof(request))))
			ret = -EFAULT;
		return ret;
	}
	default:
		return -ENOTTY;
	}
}

s64 wj_host_syscall_utimensat(struct wj_process *p, const u64 *a)
{
	bool wide = p->host->time64;
	u64 scratch = 0;

	if (wj_bad_fd(p, a[0]))
		return -EBADF;
	if (a[2]) {
		struct wj_timespec64 ts[2];

		scratch = wj_scratch_alloc(p, sizeof(ts));
		if (!scratch)
			return -ENOMEM;
		if (wj_get_time(p, &ts[0], a[2], wide) ||
		    wj_get_time(p, &ts[1], a[2] + WJ_LAYOUT(p, SIZEOF_timespec), wide) ||
		    wj_copy_to_user(scratch, ts, sizeof(ts)))
			return -EFAULT;
	}
	return wj_sys(p, __NR_utimensat, (s32)a[0], wj_user_or_null(p, a[1]), scratch, (s32)a[3], 0, 0);
}

s64 wj_host_wasi_fd_fdstat_get(struct wj_process *p, const u64 *a)
{
	return wj_bad_fd(p, a[0]) ? -EBADF : wj_wasi_fdstat(p, a[0], ~0ull, ~0ull, a[1]);
}
