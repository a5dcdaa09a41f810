// SPDX-License-Identifier: GPL-2.0-only
/* WASI preview 1: the descriptors of a program, and what is done to one of them. */
#include "wasi.h"

/* What can be done to a file, a directory, a socket at all. */
#define FILE_RIGHTS (RIGHT(FD_DATASYNC) | RIGHT(FD_READ) | RIGHT(FD_SEEK) | RIGHT(FD_FDSTAT_SET_FLAGS) | \
	RIGHT(FD_SYNC) | RIGHT(FD_TELL) | RIGHT(FD_WRITE) | RIGHT(FD_ADVISE) | RIGHT(FD_ALLOCATE) | \
	RIGHT(FD_FILESTAT_GET) | RIGHT(FD_FILESTAT_SET_SIZE) | RIGHT(FD_FILESTAT_SET_TIMES) | \
	RIGHT(POLL_FD_READWRITE))
#define DIRECTORY_RIGHTS (RIGHT(FD_DATASYNC) | RIGHT(FD_FDSTAT_SET_FLAGS) | RIGHT(FD_SYNC) | RIGHT(FD_ADVISE) | \
	RIGHT(PATH_CREATE_DIRECTORY) | RIGHT(PATH_CREATE_FILE) | RIGHT(PATH_LINK_SOURCE) | \
	RIGHT(PATH_LINK_TARGET) | RIGHT(PATH_OPEN) | RIGHT(FD_READDIR) | RIGHT(PATH_READLINK) | \
	RIGHT(PATH_RENAME_SOURCE) | RIGHT(PATH_RENAME_TARGET) | RIGHT(PATH_FILESTAT_GET) | \
	RIGHT(PATH_FILESTAT_SET_SIZE) | RIGHT(PATH_FILESTAT_SET_TIMES) | RIGHT(FD_FILESTAT_GET) | \
	RIGHT(FD_FILESTAT_SET_TIMES) | RIGHT(PATH_SYMLINK) | RIGHT(PATH_REMOVE_DIRECTORY) | \
	RIGHT(PATH_UNLINK_FILE) | RIGHT(POLL_FD_READWRITE))
#define SOCKET_RIGHTS (RIGHT(FD_READ) | RIGHT(FD_WRITE) | RIGHT(FD_FDSTAT_SET_FLAGS) | RIGHT(FD_FILESTAT_GET) | \
	RIGHT(POLL_FD_READWRITE) | RIGHT(SOCK_SHUTDOWN) | RIGHT(SOCK_ACCEPT))
#define ALL_RIGHTS (FILE_RIGHTS | DIRECTORY_RIGHTS | SOCKET_RIGHTS)

#define SIGPIPE 13

int wj_wasi_descriptor(struct wj_process *p, u32 fd, u64 rights, struct wj_wasi_descriptor **ret)
{
	struct wj_wasi *wasi = p->host->wasi;

	if (fd >= wasi->count || wasi->slots[fd].native < 0)
		return -EBADF;
	*ret = &wasi->slots[fd];
	return rights & ~(*ret)->rights ? -WJ_ENOTCAPABLE : 0;
}

u8 wj_wasi_filetype(struct wj_process *p, s32 native, u32 mode)
{
	u64 scratch;
	u32 answer[2] = { 0, 4 };

	switch (mode & WJ_EM_S_IFMT) {
	case WJ_EM_S_IFREG:
		return WJ_WASI_FILETYPE_REGULAR_FILE;
	case WJ_EM_S_IFDIR:
		return WJ_WASI_FILETYPE_DIRECTORY;
	case WJ_EM_S_IFLNK:
		return WJ_WASI_FILETYPE_SYMBOLIC_LINK;
	case WJ_EM_S_IFCHR:
		return WJ_WASI_FILETYPE_CHARACTER_DEVICE;
	case WJ_EM_S_IFBLK:
		return WJ_WASI_FILETYPE_BLOCK_DEVICE;
	case WJ_EM_S_IFSOCK:
		scratch = wj_scratch_alloc(p, sizeof(answer));
		if (scratch && !wj_copy_to_user(scratch, answer, sizeof(answer)) &&
		    !wj_sys(p, __NR_getsockopt, native, WJ_EM_SOL_SOCKET, WJ_EM_SO_TYPE, scratch, scratch + 4, 0) &&
		    !wj_copy_from_user(answer, scratch, 4) && answer[0] == WJ_EM_SOCK_DGRAM)
			return WJ_WASI_FILETYPE_SOCKET_DGRAM;
		return WJ_WASI_FILETYPE_SOCKET_STREAM;
	default:	/* a pipe */
		return WJ_WASI_FILETYPE_UNKNOWN;
	}
}

/* A free slot, in a larger table if need be. */
static s64 free_slot(struct wj_wasi *wasi)
{
	struct wj_wasi_descriptor *slots;
	u32 count = wasi->count ? wasi->count * 2 : 16, i;

	for (i = 0; i < wasi->count; i++) {
		if (wasi->slots[i].native < 0)
			return i;
	}
	if (count > 1 << 20)
		return -EMFILE;
	slots = wj_alloc(count * sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	if (i)
		memcpy(slots, wasi->slots, i * sizeof(*slots));
	for (u32 j = i; j < count; j++)
		slots[j].native = -1;
	wj_free(wasi->slots);
	wasi->slots = slots;
	wasi->count = count;
	return i;
}

/* The rights that this very file can have. */
static s64 possible_rights(struct wj_process *p, s32 native, u64 *rights, u64 *inheriting)
{
	struct wj_statx st;
	s64 flags, err = wj_statx(p, native, 0, 0, &st);

	*inheriting = 0;
	if (err)
		return err;
	flags = wj_sys(p, __NR_fcntl, native, WJ_EM_F_GETFL, 0, 0, 0, 0);
	if (flags < 0)
		return flags;
	switch (wj_wasi_filetype(p, native, st.mode)) {
	case WJ_WASI_FILETYPE_DIRECTORY:
		*rights = DIRECTORY_RIGHTS;
		*inheriting = ALL_RIGHTS;
		return 0;
	case WJ_WASI_FILETYPE_SOCKET_STREAM:
	case WJ_WASI_FILETYPE_SOCKET_DGRAM:
		*rights = SOCKET_RIGHTS;
		*inheriting = SOCKET_RIGHTS;	/* of what it accepts */
		return 0;
	default:
		*rights = FILE_RIGHTS;
	}
	/* A terminal is what cannot seek: C libraries ask for these two rights to know one. */
	if (wj_sys(p, __NR_lseek, native, 0, WJ_EM_SEEK_CUR, 0, 0, 0) < 0)
		*rights &= ~(RIGHT(FD_SEEK) | RIGHT(FD_TELL));
	if ((flags & 3) == WJ_EM_O_RDONLY)
		*rights &= ~(RIGHT(FD_WRITE) | RIGHT(FD_ALLOCATE) | RIGHT(FD_FILESTAT_SET_SIZE));
	if ((flags & 3) == WJ_EM_O_WRONLY)
		*rights &= ~RIGHT(FD_READ);
	return 0;
}

s64 wj_wasi_add(struct wj_process *p, s32 native, const char *preopened, u64 rights, u64 inheriting)
{
	struct wj_wasi *wasi = p->host->wasi;
	u64 possible, possible_inheriting;
	s64 fd, err = possible_rights(p, native, &possible, &possible_inheriting);

	fd = err ? err : free_slot(wasi);
	if (fd < 0) {
		wj_sys(p, __NR_close, native, 0, 0, 0, 0, 0);
		return fd;
	}
	wasi->slots[fd] = (struct wj_wasi_descriptor){
		.native = native, .preopened = preopened,
		.rights = rights & possible, .inheriting = inheriting & possible_inheriting,
	};
	return fd;
}

s64 wj_wasi_give(struct wj_process *p, s32 native, u64 rights, u64 inheriting, u32 to)
{
	s64 fd = wj_wasi_add(p, native, NULL, rights, inheriting);

	if (fd < 0 || !wj_put_u32(p, to, fd))
		return min(fd, (s64)0);
	p->host->wasi->slots[fd].native = -1;
	wj_sys(p, __NR_close, native, 0, 0, 0, 0, 0);
	return -EFAULT;
}

s64 wj_host_wasip1_environ_sizes_get(struct wj_process *p, const u64 *a)
{
	return wj_string_list_sizes(p, &p->host->wasi->environment, a);
}

s64 wj_host_wasip1_environ_get(struct wj_process *p, const u64 *a)
{
	return wj_string_list(p, &p->host->wasi->environment, a);
}

s64 wj_host_wasip1_fd_close(struct wj_process *p, const u64 *a)
{
	struct wj_wasi_descriptor *d;
	int err = wj_wasi_descriptor(p, a[0], 0, &d);
	s32 native;

	if (err)
		return err;
	native = d->native;
	d->native = -1;		/* whatever close says, it is closed */
	return wj_sys(p, __NR_close, native, 0, 0, 0, 0, 0);
}

s64 wj_host_wasip1_fd_renumber(struct wj_process *p, const u64 *a)
{
	struct wj_wasi_descriptor *from, *to;
	int err = wj_wasi_descriptor(p, a[0], 0, &from);
	s32 replaced;

	if (!err)
		err = wj_wasi_descriptor(p, a[1], 0, &to);
	if (err || from == to)
		return err;
	replaced = to->native;
	*to = *from;
	from->native = -1;
	wj_sys(p, __NR_close, replaced, 0, 0, 0, 0, 0);
	return 0;
}

s64 wj_wasi_fdstat(struct wj_process *p, s32 native, u64 rights, u64 inheriting, u32 to)
{
	s64 open_flags = wj_sys(p, __NR_fcntl, native, WJ_EM_F_GETFL, 0, 0, 0, 0), err;
	u8 stat[WJ_WASI_SIZEOF_fdstat] = { 0 };
	struct wj_statx st;
	u16 flags = 0;

	if (open_flags < 0)
		return open_flags;
	err = wj_statx(p, native, 0, 0, &st);
	if (err)
		return err;
	if (open_flags & WJ_EM_O_APPEND)
		flags |= WJ_WASI_FDFLAGS_APPEND;
	if (open_flags & WJ_EM_O_NONBLOCK)
		flags |= WJ_WASI_FDFLAGS_NONBLOCK;
	if ((open_flags & WJ_EM_O_SYNC) == WJ_EM_O_SYNC)
		flags |= WJ_WASI_FDFLAGS_SYNC | WJ_WASI_FDFLAGS_RSYNC;
	if (open_flags & WJ_EM_O_DSYNC)
		flags |= WJ_WASI_FDFLAGS_DSYNC;
	stat[WJ_WASI_OFF_fdstat_fs_filetype] = wj_wasi_filetype(p, native, st.mode);
	WJ_FIELD(stat, u16, WJ_WASI_OFF_fdstat_fs_flags) = flags;
	WJ_FIELD(stat, u64, WJ_WASI_OFF_fdstat_fs_rights_base) = rights;
	WJ_FIELD(stat, u64, WJ_WASI_OFF_fdstat_fs_rights_inheriting) = inheriting;
	return wj_put(p, to, stat, sizeof(stat));
}

s64 wj_host_wasip1_fd_fdstat_get(struct wj_process *p, const u64 *a)
{
	struct wj_wasi_descriptor *d;
	int err = wj_wasi_descriptor(p, a[0], 0, &d);

	return err ? err : wj_wasi_fdstat(p, d->native, d->rights, d->inheriting, a[1]);
}

s64 wj_host_wasip1_fd_fdstat_set_flags(struct wj_process *p, const u64 *a)
{
	const u32 settable = WJ_WASI_FDFLAGS_APPEND | WJ_WASI_FDFLAGS_NONBLOCK;
	struct wj_wasi_descriptor *d;
	s64 native, err = wj_wasi_descriptor(p, a[0], RIGHT(FD_FDSTAT_SET_FLAGS), &d);
	u32 flags = a[1];

	if (err)
		return err;
	if (flags & ~31u)
		return -EINVAL;
	native = wj_sys(p, __NR_fcntl, d->native, WJ_EM_F_GETFL, 0, 0, 0, 0);
	if (native < 0)
		return native;
	/* Linux cannot change how an open file is synchronised. */
	if (flags & ~settable && !(native & WJ_EM_O_DSYNC))
		return -EOPNOTSUPP;
	native &= ~(WJ_EM_O_APPEND | WJ_EM_O_NONBLOCK);
	native |= (flags & WJ_WASI_FDFLAGS_APPEND ? WJ_EM_O_APPEND : 0) |
		  (flags & WJ_WASI_FDFLAGS_NONBLOCK ? WJ_EM_O_NONBLOCK : 0);
	return wj_sys(p, __NR_fcntl, d->native, WJ_EM_F_SETFL, native, 0, 0, 0);
}

s64 wj_host_wasip1_fd_fdstat_set_rights(struct wj_process *p, const u64 *a)
{
	struct wj_wasi_descriptor *d;
	int err = wj_wasi_descriptor(p, a[0], a[1], &d);

	if (err)
		return err;
	if (a[2] & ~d->inheriting)
		return -WJ_ENOTCAPABLE;
	d->rights = a[1];
	d->inheriting = a[2];
	return 0;
}

/* Up to the year 2554; a file's time may be any number. */
static u64 nanoseconds(const struct wj_statx_time *time)
{
	return (u64)time->sec * 1000000000 + time->nsec;
}

s64 wj_wasi_filestat(struct wj_process *p, s32 native, bool unstable, u32 to)
{
	u8 stat[WJ_WASI_SIZEOF_filestat] = { 0 };
	/* wasi_unstable has a link count of 32 bits right after the type: 8 bytes less from there on. */
	u32 less = unstable ? 8 : 0;
	struct wj_statx st;
	s64 err = wj_statx(p, native, 0, 0, &st);

	if (err)
		return err;
	WJ_FIELD(stat, u64, WJ_WASI_OFF_filestat_dev) = (u64)st.dev_major << 32 | st.dev_minor;
	WJ_FIELD(stat, u64, WJ_WASI_OFF_filestat_ino) = st.ino;
	stat[WJ_WASI_OFF_filestat_filetype] = wj_wasi_filetype(p, native, st.mode);
	if (unstable)
		WJ_FIELD(stat, u32, WJ_WASI_OFF_filestat_filetype + 4) = st.nlink;
	else
		WJ_FIELD(stat, u64, WJ_WASI_OFF_filestat_nlink) = st.nlink;
	WJ_FIELD(stat, u64, WJ_WASI_OFF_filestat_size - less) = st.size;
	WJ_FIELD(stat, u64, WJ_WASI_OFF_filestat_atim - less) = nanoseconds(&st.atime);
	WJ_FIELD(stat, u64, WJ_WASI_OFF_filestat_mtim - less) = nanoseconds(&st.mtime);
	WJ_FIELD(stat, u64, WJ_WASI_OFF_filestat_ctim - less) = nanoseconds(&st.ctime);
	return wj_put(p, to, stat, sizeof(stat) - less);
}

static s64 fd_filestat(struct wj_process *p, const u64 *a, bool unstable)
{
	struct wj_wasi_descriptor *d;
	int err = wj_wasi_descriptor(p, a[0], RIGHT(FD_FILESTAT_GET), &d);

	return err ? err : wj_wasi_filestat(p, d->native, unstable, a[1]);
}

s64 wj_host_wasip1_fd_filestat_get(struct wj_process *p, const u64 *a)
{
	return fd_filestat(p, a, false);
}

s64 wj_host_wasip0_fd_filestat_get(struct wj_process *p, const u64 *a)
{
	return fd_filestat(p, a, true);
}

u64 wj_wasi_times(struct wj_process *p, u64 access, u64 modification, u32 flags, int *err)
{
	const u32 both_a = WJ_WASI_FSTFLAGS_ATIM | WJ_WASI_FSTFLAGS_ATIM_NOW;
	const u32 both_m = WJ_WASI_FSTFLAGS_MTIM | WJ_WASI_FSTFLAGS_MTIM_NOW;
	struct wj_timespec64 ts[2];
	u64 scratch;

	*err = -EINVAL;
	if (flags & ~(both_a | both_m) || (flags & both_a) == both_a || (flags & both_m) == both_m)
		return 0;
	ts[0] = (struct wj_timespec64){ access / 1000000000, access % 1000000000 };
	ts[1] = (struct wj_timespec64){ modification / 1000000000, modification % 1000000000 };
	if (!(flags & WJ_WASI_FSTFLAGS_ATIM))
		ts[0].nsec = flags & WJ_WASI_FSTFLAGS_ATIM_NOW ? WJ_EM_UTIME_NOW : WJ_EM_UTIME_OMIT;
	if (!(flags & WJ_WASI_FSTFLAGS_MTIM))
		ts[1].nsec = flags & WJ_WASI_FSTFLAGS_MTIM_NOW ? WJ_EM_UTIME_NOW : WJ_EM_UTIME_OMIT;
	scratch = wj_scratch_alloc(p, sizeof(ts));
	*err = !scratch || wj_copy_to_user(scratch, ts, sizeof(ts)) ? -ENOMEM : 0;
	return scratch;
}

s64 wj_host_wasip1_fd_filestat_set_times(struct wj_process *p, const u64 *a)
{
	struct wj_wasi_descriptor *d;
	int err = wj_wasi_descriptor(p, a[0], RIGHT(FD_FILESTAT_SET_TIMES), &d);
	u64 times;

	if (err)
		return err;
	times = wj_wasi_times(p, a[1], a[2], a[3], &err);
	return err ? err : wj_sys(p, __NR_utimensat, d->native, 0, times, 0, 0, 0);
}

/* One system call with the native descriptor first. */
static s64 simple(struct wj_process *p, u32 fd, u64 rights, int nr, u64 b, u64 c, u64 d)
{
	struct wj_wasi_descriptor *descriptor;
	int err = wj_wasi_descriptor(p, fd, rights, &descriptor);

	return err ? err : wj_sys(p, nr, descriptor->native, b, c, d, 0, 0);
}

s64 wj_host_wasip1_fd_filestat_set_size(struct wj_process *p, const u64 *a)
{
	return simple(p, a[0], RIGHT(FD_FILESTAT_SET_SIZE), __NR_ftruncate, a[1], 0, 0);
}

s64 wj_host_wasip1_fd_allocate(struct wj_process *p, const u64 *a)
{
	return simple(p, a[0], RIGHT(FD_ALLOCATE), __NR_fallocate, 0, a[1], a[2]);
}

s64 wj_host_wasip1_fd_advise(struct wj_process *p, const u64 *a)
{
	static const u8 native[] = {	/* POSIX_FADV_* of linux/fadvise.h */
		[WJ_WASI_ADVICE_NORMAL] = 0, [WJ_WASI_ADVICE_SEQUENTIAL] = 2, [WJ_WASI_ADVICE_RANDOM] = 1,
		[WJ_WASI_ADVICE_WILLNEED] = 3, [WJ_WASI_ADVICE_DONTNEED] = 4, [WJ_WASI_ADVICE_NOREUSE] = 5,
	};
	u32 advice = a[3];

	if (advice >= ARRAY_SIZE(native))
		return -EINVAL;
	return simple(p, a[0], RIGHT(FD_ADVISE), __NR_fadvise64, a[1], a[2], native[advice]);
}

s64 wj_host_wasip1_fd_sync(struct wj_process *p, const u64 *a)
{
	return simple(p, a[0], RIGHT(FD_SYNC), __NR_fsync, 0, 0, 0);
}

s64 wj_host_wasip1_fd_datasync(struct wj_process *p, const u64 *a)
{
	return simple(p, a[0], RIGHT(FD_DATASYNC), __NR_fdatasync, 0, 0, 0);
}

static s64 seek(struct wj_process *p, u32 fd, u64 rights, u64 offset, u32 whence, u32 to)
{
	s64 at = whence > 2 ? -EINVAL : simple(p, fd, rights, __NR_lseek, offset, whence, 0);

	return at < 0 ? at : wj_put_u64(p, to, at);
}

/* Asking where it is takes the lesser right. */
static s64 seek_or_tell(struct wj_process *p, const u64 *a, u32 whence)
{
	bool tell = whence == WJ_EM_SEEK_CUR && !a[1];

	return seek(p, a[0], tell ? RIGHT(FD_TELL) : RIGHT(FD_SEEK) | RIGHT(FD_TELL), a[1], whence, a[3]);
}

s64 wj_host_wasip1_fd_seek(struct wj_process *p, const u64 *a)
{
	return seek_or_tell(p, a, a[2]);
}

s64 wj_host_wasip0_fd_seek(struct wj_process *p, const u64 *a)
{
	static const u8 whence[] = { WJ_EM_SEEK_CUR, WJ_EM_SEEK_END, WJ_EM_SEEK_SET };
	u32 guest = a[2];

	return guest < ARRAY_SIZE(whence) ? seek_or_tell(p, a, whence[guest]) : -EINVAL;
}

s64 wj_host_wasip1_fd_tell(struct wj_process *p, const u64 *a)
{
	return seek(p, a[0], RIGHT(FD_TELL), 0, WJ_EM_SEEK_CUR, a[1]);
}

s64 wj_host_wasip1_fd_read(struct wj_process *p, const u64 *a)
{
	struct wj_wasi_descriptor *d;
	int err = wj_wasi_descriptor(p, a[0], RIGHT(FD_READ), &d);

	return err ? err : wj_transfer(p, __NR_read, d->native, a[1], a[2], 0, a[3]);
}

s64 wj_host_wasip1_fd_write(struct wj_process *p, const u64 *a)
{
	struct wj_wasi_descriptor *d;
	int err = wj_wasi_descriptor(p, a[0], RIGHT(FD_WRITE), &d);

	return err ? err : wj_transfer(p, __NR_write, d->native, a[1], a[2], 0, a[3]);
}

static s64 transfer_at(struct wj_process *p, int nr, u64 rights, const u64 *a)
{
	struct wj_wasi_descriptor *d;
	int err = wj_wasi_descriptor(p, a[0], rights | RIGHT(FD_SEEK), &d);

	if (err)
		return err;
	if ((s64)a[3] < 0)
		return -EINVAL;
	return wj_transfer(p, nr, d->native, a[1], a[2], a[3], a[4]);
}

s64 wj_host_wasip1_fd_pread(struct wj_process *p, const u64 *a)
{
	return transfer_at(p, __NR_pread64, RIGHT(FD_READ), a);
}

s64 wj_host_wasip1_fd_pwrite(struct wj_process *p, const u64 *a)
{
	return transfer_at(p, __NR_pwrite64, RIGHT(FD_WRITE), a);
}

/* struct linux_dirent64, without its name. */
struct native_dirent {
	u64 ino;
	s64 off;
	u16 reclen;
	u8 type;
} __attribute__((packed));
#define DIRENT_NAME 19

static u8 entry_filetype(u8 type)
{
	switch (type) {
	case WJ_EM_DT_CHR:
		return WJ_WASI_FILETYPE_CHARACTER_DEVICE;
	case WJ_EM_DT_DIR:
		return WJ_WASI_FILETYPE_DIRECTORY;
	case WJ_EM_DT_BLK:
		return WJ_WASI_FILETYPE_BLOCK_DEVICE;
	case WJ_EM_DT_REG:
		return WJ_WASI_FILETYPE_REGULAR_FILE;
	case WJ_EM_DT_LNK:
		return WJ_WASI_FILETYPE_SYMBOLIC_LINK;
	case WJ_EM_DT_SOCK:
		return WJ_WASI_FILETYPE_SOCKET_STREAM;
	default:
		return WJ_WASI_FILETYPE_UNKNOWN;
	}
}

/* One entry at most `room` bytes long, cut off there: how much was written, or -EFAULT. */
static s64 put_entry(struct wj_process *p, u32 to, u32 room, const struct native_dirent *entry, const char *name)
{
	u8 header[WJ_WASI_SIZEOF_dirent] = { 0 };
	u32 length = strlen(name), n = min(room, (u32)sizeof(header));

	WJ_FIELD(header, u64, WJ_WASI_OFF_dirent_d_next) = entry->off;
	WJ_FIELD(header, u64, WJ_WASI_OFF_dirent_d_ino) = entry->ino;
	WJ_FIELD(header, u32, WJ_WASI_OFF_dirent_d_namlen) = length;
	header[WJ_WASI_OFF_dirent_d_type] = entry_filetype(entry->type);
	if (wj_put(p, to, header, n))
		return -EFAULT;
	length = min(length, room - n);
	return wj_put(p, to + n, name, length) ? -EFAULT : (s64)(n + length);
}

#define READDIR_BLOCK 4096

/*
 * The cookie of an entry is where the kernel goes on after it (d_off).  A buffer that comes back
 * full means that there is more; the last entry in it may be cut off.
 */
s64 wj_host_wasip1_fd_readdir(struct wj_process *p, const u64 *a)
{
	u64 scratch = wj_scratch_alloc(p, READDIR_BLOCK);
	u32 room = a[2], used = 0;
	struct wj_wasi_descriptor *d;
	s64 n, err = wj_wasi_descriptor(p, a[0], RIGHT(FD_READDIR), &d);

	if (err)
		return err;
	if (!scratch)
		return -ENOMEM;
	if ((u64)(u32)a[1] + room > 1ull << 32)	/* entries must not go on at address 0 */
		return -EFAULT;
	err = wj_sys(p, __NR_lseek, d->native, a[3], WJ_EM_SEEK_SET, 0, 0, 0);
	while (err >= 0 && used < room) {
		n = wj_sys(p, __NR_getdents64, d->native, scratch, READDIR_BLOCK, 0, 0, 0);
		if (n <= 0 || n > READDIR_BLOCK) {
			err = n > 0 ? -EIO : n;
			break;
		}
		for (s64 at = 0; at < n && used < room;) {
			struct native_dirent entry;
			char name[256];
			u32 size;

			if (wj_copy_from_user(&entry, scratch + at, sizeof(entry)) ||
			    entry.reclen <= DIRENT_NAME || entry.reclen > n - at)
				return -EIO;
			size = min(entry.reclen - DIRENT_NAME, (int)sizeof(name) - 1);
			if (wj_copy_from_user(name, scratch + at + DIRENT_NAME, size))
				return -EIO;
			name[size] = 0;
			err = put_entry(p, a[1] + used, room - used, &entry, name);
			if (err < 0)
				return err;
			used += err;
			at += entry.reclen;
		}
		if (wj_poll(p->inst))
			break;
	}
	return err < 0 ? err : wj_put_u32(p, a[4], used);
}

static int preopened(struct wj_process *p, u32 fd, const char **name)
{
	struct wj_wasi_descriptor *d;
	int err = wj_wasi_descriptor(p, fd, 0, &d);

	if (!err && !d->preopened)
		err = -EBADF;
	if (!err)
		*name = d->preopened;
	return err;
}

s64 wj_host_wasip1_fd_prestat_get(struct wj_process *p, const u64 *a)
{
	u8 prestat[WJ_WASI_SIZEOF_prestat] = { [WJ_WASI_OFF_prestat_tag] = WJ_WASI_PREOPENTYPE_DIR };
	const char *name;
	int err = preopened(p, a[0], &name);

	if (err)
		return err;
	WJ_FIELD(prestat, u32, WJ_WASI_OFF_prestat_u_dir_pr_name_len) = strlen(name);
	return wj_put(p, a[1], prestat, sizeof(prestat));
}

s64 wj_host_wasip1_fd_prestat_dir_name(struct wj_process *p, const u64 *a)
{
	const char *name;
	int err = preopened(p, a[0], &name);

	if (err)
		return err;
	if ((u32)a[2] < strlen(name))
		return -ENAMETOOLONG;
	return wj_put(p, a[1], name, strlen(name));
}

/*
 * Settings.  Each descriptor among them is the guest's from here on: it is closed when the guest
 * closes it.
 */
static int add_inherited(struct wj_process *p, const char *value, bool directory)
{
	const char *name = NULL;
	u32 native;
	s64 fd;

	value = wj_setting_number(value, &native);
	if (!value || (directory ? *value++ != ':' : *value) || wj_bad_fd(p, native))
		return -EINVAL;
	if (directory)
		name = value;
	fd = wj_wasi_add(p, native, name, ALL_RIGHTS, ALL_RIGHTS);
	return fd < 0 ? fd : 0;
}

static int add_variables(struct wj_strings *to, const struct wj_strings *from, const char *prefix)
{
	const char *s;
	u32 size = to->size, i;
	char *bytes = wj_alloc(to->size + from->size + 1);

	if (!bytes)
		return -ENOMEM;
	if (size)
		memcpy(bytes, to->bytes, size);
	wj_for_each_string(from, i, s) {
		const char *variable = wj_setting_value(s, prefix);

		if (!variable)
			continue;
		memcpy(bytes + size, variable, strlen(variable) + 1);
		size += strlen(variable) + 1;
		to->count++;
	}
	wj_free((void *)to->bytes);
	to->bytes = bytes;
	to->size = size;
	return 0;
}

int wj_wasi_init(struct wj_process *p)
{
	const struct wj_signal_action ignore = { .kind = WJ_SIGNAL_IGNORE };
	struct wj_strings *environment = &p->host->wasi->environment;
	struct wj_wasi_descriptor *slots;
	const char *s, *value;
	u32 mark = p->host->scratch_used, i;
	bool closed[3];
	int err = 0;
	s64 fd;

	fd = free_slot(p->host->wasi);
	if (fd < 0)
		return fd;
	slots = p->host->wasi->slots;
	/* Standard descriptors keep their numbers, and C libraries look for directories from 3 on. */
	for (s32 native = 0; native < 3; native++) {
		slots[native].native = native;
		closed[native] = wj_bad_fd(p, native) ||
				 possible_rights(p, native, &slots[native].rights, &slots[native].inheriting);
	}
	wj_for_each_string(&p->settings, i, s) {
		if ((value = wj_setting_value(s, "dir=")))
			err = add_inherited(p, value, true);
		else if ((value = wj_setting_value(s, "listen=")))
			err = add_inherited(p, value, false);
		else if (wj_setting_value(s, "inherit-env"))
			err = add_variables(environment, &p->envp, "");
		if (err)
			break;
		p->host->scratch_used = mark;	/* what was asked about this descriptor */
	}
	p->host->scratch_used = mark;
	for (i = 0; i < 3; i++) {
		if (closed[i])
			p->host->wasi->slots[i].native = -1;
	}
	if (!err)
		err = add_variables(environment, &p->settings, "env=");
	/* There are no signals in WASI: a write to a closed pipe is an error. */
	p->actions[SIGPIPE] = ignore;
	wj_platform_sigaction(p, SIGPIPE, &ignore);
	return err;
}

void wj_wasi_deinit(struct wj_process *p)
{
	struct wj_wasi *wasi = p->host->wasi;

	if (!wasi)
		return;
	wj_free((void *)wasi->environment.bytes);
	wj_free(wasi->slots);
	wj_free(wasi);
	p->host->wasi = NULL;
}
