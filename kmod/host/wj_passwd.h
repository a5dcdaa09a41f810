/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Users and groups from /etc/passwd and /etc/group.
 *
 * Entries are returned in the caller's buffer: strings, each with its NUL, that the
 * structure's pointers lead into.  0; -ENOENT if there is no such entry (or no file);
 * -ERANGE if the buffer is too small; a restart code; or another -errno.
 */
#ifndef WJ_PASSWD_H
#define WJ_PASSWD_H

#include "wj_hostio.h"

#define WJ_PASSWD_PATH		"/etc/passwd"
#define WJ_GROUP_PATH		"/etc/group"
/* More than this of a file is not read. */
#define WJ_PASSWD_FILE_MAX	(64ull << 20)

struct wj_passwd {
	const char *name, *passwd, *gecos, *dir, *shell;
	u32 uid, gid;
};

struct wj_group {
	const char *name, *passwd;
	const char *members;		/* member_count strings, one after the other */
	u32 gid, member_count;
};

/* One line of the file, without newline.  -EINVAL if it is not an entry. */
int wj_passwd_parse(struct wj_str line, char *buf, size_t size, struct wj_passwd *ret);
int wj_group_parse(struct wj_str line, char *buf, size_t size, struct wj_group *ret);

/* `path` is the file; NULL stands for the usual one. */
int wj_getpwnam(struct wj_process *p, const char *path, const char *name, char *buf,
		size_t size, struct wj_passwd *ret);
int wj_getpwuid(struct wj_process *p, const char *path, u32 uid, char *buf, size_t size,
		struct wj_passwd *ret);
int wj_getgrnam(struct wj_process *p, const char *path, const char *name, char *buf,
		size_t size, struct wj_group *ret);
int wj_getgrgid(struct wj_process *p, const char *path, u32 gid, char *buf, size_t size,
		struct wj_group *ret);

/*
 * The entry at or after *offset bytes into the file, for getpwent and getgrent: start with
 * 0; *offset moves past it, except when the result is negative.
 */
int wj_getpwent(struct wj_process *p, const char *path, u64 *offset, char *buf, size_t size,
		struct wj_passwd *ret);
int wj_getgrent(struct wj_process *p, const char *path, u64 *offset, char *buf, size_t size,
		struct wj_group *ret);

/*
 * The groups of a user, `gid` first, each once as far as the first WJ_GROUPS_UNIQUE are
 * concerned.  *count is how many there are; -ERANGE if that is more than `max`, of which
 * the first `max` are stored.  For getgrouplist and initgroups.
 */
#define WJ_GROUPS_UNIQUE	1024
int wj_getgrouplist(struct wj_process *p, const char *path, const char *user, u32 gid,
		    u32 *groups, u32 max, u32 *count);

#endif
