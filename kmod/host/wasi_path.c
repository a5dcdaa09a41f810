// SPDX-License-Identifier: GPL-2.0-only
/*
 * WASI preview 1: paths.  Every path is relative to a directory that the program has, and the
 * kernel resolves it beneath that (openat2, RESOLVE_BENEATH): neither "..", nor absolute paths,
 * symbolic links, magic links of /proc or a directory that somebody moves meanwhile lead out.
 *
 * What changes a directory (mkdir, unlink, rename, ...) takes a parent and a name: the parent is
 * opened in that way, and the last component is handed on without being followed.
 */
#include "wasi.h"

#define PATH_SIZE 4096		/* PATH_MAX, with the NUL */

#define RESOLVE_NO_MAGICLINKS 2
#define RESOLVE_BENEATH 8

struct open_how {	/* linux/openat2.h */
	u64 flags, mode, resolve;
};

/* A path that was copied from the guest; `user` is it again, in scratch, for the kernel. */
struct path {
	char *bytes;
	u32 size;		/* without the NUL */
	u64 user;
};

static void path_deinit(struct path *path)
{
	wj_free(path->bytes);
	path->bytes = NULL;
}

static int path_init(struct wj_process *p, struct path *path, u32 address, u32 size)
{
	path->size = size;
	if (size >= PATH_SIZE)
		return -ENAMETOOLONG;
	path->bytes = wj_alloc(size + 1);
	path->user = wj_scratch_alloc(p, size + 1);
	if (!path->bytes || !path->user) {
		path_deinit(path);
		return -ENOMEM;
	}
	if (wj_get(p, path->bytes, address, size) || wj_copy_to_user(path->user, path->bytes, size + 1)) {
		path_deinit(path);
		return -EFAULT;
	}
	if (strlen(path->bytes) != size) {	/* a NUL inside */
		path_deinit(path);
		return -EINVAL;
	}
	return 0;
}

/* openat2 beneath `directory`; leading out of it is EPERM, as in other engines. */
static s64 open_beneath(struct wj_process *p, s32 directory, u64 path, u64 flags, u32 mode)
{
	struct open_how how = { flags | WJ_EM_O_CLOEXEC, mode, RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS };
	u64 scratch = wj_scratch_alloc(p, sizeof(how));
	s64 fd;

	if (!scratch)
		return -ENOMEM;
	if (wj_copy_to_user(scratch, &how, sizeof(how)))
		return -EFAULT;
	/* EAGAIN: something was renamed while the kernel looked at "..". */
	do {
		fd = wj_sys(p, __NR_openat2, directory, path, scratch, sizeof(how), 0, 0);
	} while (fd == -EAGAIN && !wj_poll(p->inst));
	return fd == -EXDEV ? -EPERM : fd;
}

static void close_native(struct wj_process *p, s32 native)
{
	wj_sys(p, __NR_close, native, 0, 0, 0, 0, 0);
}

/* The last component of a path, in an open parent. */
struct place {
	struct path path;
	s32 parent;
	bool slash;		/* "name/": it has to be a directory */
	u64 name;		/* user address */
};

static void place_deinit(struct wj_process *p, struct place *place)
{
	close_native(p, place->parent);
	path_deinit(&place->path);
}

/*
 * Find parent and name.  A last component ".." is resolved to the end first, so that it cannot
 * lead out either; what is done to it then fails as Linux says.
 */
static int place_init(struct wj_process *p, struct place *place, s32 directory, u32 address, u32 size)
{
	struct path *path = &place->path;
	u32 end, start;
	s64 fd, err = path_init(p, path, address, size);

	if (err)
		return err;
	for (end = size; end > 1 && path->bytes[end - 1] == '/'; end--)
		;
	place->slash = end < size;
	for (start = end; start && path->bytes[start - 1] != '/'; start--)
		;
	if (start && path->bytes[0] == '/')
		err = -EPERM;
	else if (!size)
		err = -ENOENT;
	if (!err && end - start == 2 && path->bytes[start] == '.' && path->bytes[start + 1] == '.') {
		fd = open_beneath(p, directory, path->user, WJ_EM_O_PATH | WJ_EM_O_DIRECTORY, 0);
		err = fd < 0 ? fd : 0;
		if (fd >= 0)
			close_native(p, fd);
	}
	if (!err && end < size && wj_zero_user(path->user + end, 1))
		err = -EFAULT;
	place->name = path->user + start;
	if (!err && !start) {
		fd = wj_sys(p, __NR_fcntl, directory, WJ_EM_F_DUPFD_CLOEXEC, 0, 0, 0, 0);
	} else if (!err) {
		u64 parent = wj_scratch_alloc(p, start + 1);

		path->bytes[start] = 0;
		fd = !parent ? -ENOMEM : wj_copy_to_user(parent, path->bytes, start + 1) ? -EFAULT :
		     open_beneath(p, directory, parent, WJ_EM_O_PATH | WJ_EM_O_DIRECTORY, 0);
	} else {
		fd = err;
	}
	if (fd < 0) {
		path_deinit(path);
		return fd;
	}
	place->parent = fd;
	return 0;
}

/* "name/" says that it is a directory: ENOTDIR if it is something else, a symbolic link too. */
static int check_slash(struct wj_process *p, const struct place *place)
{
	s64 fd;

	if (!place->slash)
		return 0;
	fd = open_beneath(p, place->parent, place->name,
			  WJ_EM_O_PATH | WJ_EM_O_DIRECTORY | WJ_EM_O_NOFOLLOW, 0);
	if (fd < 0)
		return fd == -ELOOP ? -ENOTDIR : fd;
	close_native(p, fd);
	return 0;
}

/* The object that a path names, as an O_PATH descriptor. */
static s64 open_object(struct wj_process *p, u32 fd, u64 rights, u32 lookup, u32 address, u32 size)
{
	struct wj_wasi_descriptor *d;
	struct path path;
	s64 err = wj_wasi_descriptor(p, fd, rights, &d);

	if (err)
		return err;
	if (lookup & ~(u32)WJ_WASI_LOOKUPFLAGS_SYMLINK_FOLLOW)
		return -EINVAL;
	err = path_init(p, &path, address, size);
	if (err)
		return err;
	err = open_beneath(p, d->native, path.user,
			   WJ_EM_O_PATH | (lookup ? 0 : WJ_EM_O_NOFOLLOW), 0);
	path_deinit(&path);
	return err;
}

static u64 empty_path(struct wj_process *p)
{
	u64 empty = wj_scratch_alloc(p, 1);

	return empty && !wj_zero_user(empty, 1) ? empty : 0;
}

static s64 path_filestat(struct wj_process *p, const u64 *a, bool unstable)
{
	s64 fd = open_object(p, a[0], RIGHT(PATH_FILESTAT_GET), a[1], a[2], a[3]), err;

	if (fd < 0)
		return fd;
	err = wj_wasi_filestat(p, fd, unstable, a[4]);
	close_native(p, fd);
	return err;
}

s64 wj_host_wasip1_path_filestat_get(struct wj_process *p, const u64 *a)
{
	return path_filestat(p, a, false);
}

s64 wj_host_wasip0_path_filestat_get(struct wj_process *p, const u64 *a)
{
	return path_filestat(p, a, true);
}

s64 wj_host_wasip1_path_filestat_set_times(struct wj_process *p, const u64 *a)
{
	s64 fd = open_object(p, a[0], RIGHT(PATH_FILESTAT_SET_TIMES), a[1], a[2], a[3]), ret;
	u64 times, empty = empty_path(p);
	int err;

	if (fd < 0)
		return fd;
	times = wj_wasi_times(p, a[4], a[5], a[6], &err);
	ret = err ? err : !empty ? -ENOMEM :
	      wj_sys(p, __NR_utimensat, fd, empty, times, WJ_EM_AT_EMPTY_PATH, 0, 0);
	close_native(p, fd);
	return ret;
}

s64 wj_host_wasip1_path_readlink(struct wj_process *p, const u64 *a)
{
	s64 fd = open_object(p, a[0], RIGHT(PATH_READLINK), 0, a[1], a[2]), n;
	u64 empty = empty_path(p);

	if (fd < 0)
		return fd;
	/* A size of 0 is an error to Linux; WASI programs get nothing then. */
	n = !empty ? -ENOMEM : !(u32)a[4] ? 0 :
	    wj_sys(p, __NR_readlinkat, fd, empty, wj_user(p, a[3]), min((u32)a[4], (u32)PATH_SIZE), 0, 0);
	close_native(p, fd);
	if (n == -ENOENT)	/* what Linux says of an open file that is no link */
		n = -EINVAL;
	return n < 0 ? n : wj_put_u32(p, a[5], n);
}

/* mkdir, rmdir, unlink: a[0] directory, a[1] path, a[2] its size. */
static s64 change(struct wj_process *p, const u64 *a, u64 right, int nr, u32 argument)
{
	struct wj_wasi_descriptor *d;
	struct place place;
	s64 err = wj_wasi_descriptor(p, a[0], right, &d);

	if (!err)
		err = place_init(p, &place, d->native, a[1], a[2]);
	if (err)
		return err;
	if (nr == __NR_unlinkat)
		err = check_slash(p, &place);
	if (!err)
		err = wj_sys(p, nr, place.parent, place.name, argument, 0, 0, 0);
	place_deinit(p, &place);
	return err;
}

s64 wj_host_wasip1_path_create_directory(struct wj_process *p, const u64 *a)
{
	return change(p, a, RIGHT(PATH_CREATE_DIRECTORY), __NR_mkdirat, 0777);
}

s64 wj_host_wasip1_path_remove_directory(struct wj_process *p, const u64 *a)
{
	return change(p, a, RIGHT(PATH_REMOVE_DIRECTORY), __NR_unlinkat, WJ_EM_AT_REMOVEDIR);
}

s64 wj_host_wasip1_path_unlink_file(struct wj_process *p, const u64 *a)
{
	return change(p, a, RIGHT(PATH_UNLINK_FILE), __NR_unlinkat, 0);
}

/* rename and link: two places. */
static s64 between(struct wj_process *p, int nr, const u64 *from, u64 from_right, const u64 *to, u64 to_right)
{
	struct wj_wasi_descriptor *source, *target;
	struct place a, b;
	s64 err = wj_wasi_descriptor(p, from[0], from_right, &source);

	if (!err)
		err = wj_wasi_descriptor(p, to[0], to_right, &target);
	if (!err)
		err = place_init(p, &a, source->native, from[1], from[2]);
	if (err)
		return err;
	err = place_init(p, &b, target->native, to[1], to[2]);
	if (err)
		goto out;
	if (b.slash && nr == __NR_linkat)
		err = -ENOENT;	/* as Linux says: no link is a directory */
	a.slash |= b.slash;	/* "to/" too says that a directory is moved there */
	if (!err)
		err = check_slash(p, &a);
	if (!err)
		err = wj_sys(p, nr, a.parent, a.name, b.parent, b.name, 0, 0);
	place_deinit(p, &b);
out:
	place_deinit(p, &a);
	return err;
}

s64 wj_host_wasip1_path_rename(struct wj_process *p, const u64 *a)
{
	return between(p, __NR_renameat2, a, RIGHT(PATH_RENAME_SOURCE), a + 3, RIGHT(PATH_RENAME_TARGET));
}

s64 wj_host_wasip1_path_link(struct wj_process *p, const u64 *a)
{
	const u64 from[3] = { a[0], a[2], a[3] };

	if ((u32)a[1])		/* Linux lets nobody but root link what a symbolic link points to */
		return -EINVAL;
	return between(p, __NR_linkat, from, RIGHT(PATH_LINK_SOURCE), a + 4, RIGHT(PATH_LINK_TARGET));
}

s64 wj_host_wasip1_path_symlink(struct wj_process *p, const u64 *a)
{
	struct wj_wasi_descriptor *d;
	struct place place;
	struct path target;
	s64 err = wj_wasi_descriptor(p, a[2], RIGHT(PATH_SYMLINK), &d);

	if (!err)
		err = path_init(p, &target, a[0], a[1]);
	if (err)
		return err;
	/* Others would follow an absolute one out of the directory; the guest itself could not. */
	err = target.bytes[0] == '/' ? -EPERM : place_init(p, &place, d->native, a[3], a[4]);
	if (!err) {
		err = place.slash ? -ENOENT :
		      wj_sys(p, __NR_symlinkat, target.user, place.parent, place.name, 0, 0, 0);
		place_deinit(p, &place);
	}
	path_deinit(&target);
	return err;
}

/*
 * path_open(directory, lookup flags, path, size, open flags, rights, inheriting, descriptor flags,
 * where to put the new descriptor)
 */
s64 wj_host_wasip1_path_open(struct wj_process *p, const u64 *a)
{
	u32 lookup = a[1], oflags = a[4], fdflags = a[7];
	u64 needed = RIGHT(PATH_OPEN), wanted = a[5], flags = 0, inheriting;
	struct wj_wasi_descriptor *d;
	struct path path;
	s64 fd, err;

	if (oflags & WJ_WASI_OFLAGS_CREAT)
		needed |= RIGHT(PATH_CREATE_FILE);
	if (oflags & WJ_WASI_OFLAGS_TRUNC)
		needed |= RIGHT(PATH_FILESTAT_SET_SIZE);
	err = wj_wasi_descriptor(p, a[0], needed, &d);
	if (err)
		return err;
	if (lookup & ~(u32)WJ_WASI_LOOKUPFLAGS_SYMLINK_FOLLOW || oflags & ~15u || fdflags & ~31u)
		return -EINVAL;
	wanted &= d->inheriting;
	inheriting = a[6] & d->inheriting;
	if (oflags & WJ_WASI_OFLAGS_DIRECTORY)
		flags |= WJ_EM_O_DIRECTORY;
	else if (wanted & RIGHT(FD_WRITE))
		flags |= wanted & (RIGHT(FD_READ) | RIGHT(FD_READDIR)) ? WJ_EM_O_RDWR : WJ_EM_O_WRONLY;
	if (oflags & WJ_WASI_OFLAGS_CREAT)
		flags |= WJ_EM_O_CREAT;
	if (oflags & WJ_WASI_OFLAGS_EXCL)
		flags |= WJ_EM_O_EXCL;
	if (oflags & WJ_WASI_OFLAGS_TRUNC)
		flags |= WJ_EM_O_TRUNC;
	if (!lookup)
		flags |= WJ_EM_O_NOFOLLOW;
	if (fdflags & WJ_WASI_FDFLAGS_APPEND)
		flags |= WJ_EM_O_APPEND;
	if (fdflags & WJ_WASI_FDFLAGS_NONBLOCK)
		flags |= WJ_EM_O_NONBLOCK;
	if (fdflags & WJ_WASI_FDFLAGS_DSYNC)
		flags |= WJ_EM_O_DSYNC;
	if (fdflags & (WJ_WASI_FDFLAGS_SYNC | WJ_WASI_FDFLAGS_RSYNC))
		flags |= WJ_EM_O_SYNC;
	err = path_init(p, &path, a[2], a[3]);
	if (err)
		return err;
	fd = open_beneath(p, d->native, path.user, flags | WJ_EM_O_NOCTTY, flags & WJ_EM_O_CREAT ? 0666 : 0);
	/* Asked for with rights to write, directories cannot be opened; without, they can. */
	if (fd == -EISDIR && !(oflags & (WJ_WASI_OFLAGS_CREAT | WJ_WASI_OFLAGS_TRUNC)) &&
	    wanted & RIGHT(FD_READDIR))
		fd = open_beneath(p, d->native, path.user, WJ_EM_O_DIRECTORY | (flags & WJ_EM_O_NOFOLLOW), 0);
	path_deinit(&path);
	return fd < 0 ? fd : wj_wasi_give(p, fd, wanted, inheriting, a[8]);
}
