// SPDX-License-Identifier: GPL-2.0-only
/* Users and groups; see wj_passwd.h. */
#include "wj_passwd.h"

/* Strings are put one after the other into the caller's buffer. */
struct packer {
	char *at;
	size_t left;
};

static const char *pack(struct packer *out, struct wj_str s)
{
	char *start = out->at;

	if (s.n >= out->left)
		return NULL;
	memcpy(start, s.p, s.n);
	start[s.n] = 0;
	out->at += s.n + 1;
	out->left -= s.n + 1;
	return start;
}

/*
 * Takes the first `count` fields off a line; the last one keeps what follows.  Comments,
 * and the + and - lines of NIS, are no entries.
 */
static bool split(struct wj_str line, struct wj_str *field, u32 count)
{
	u32 i;

	if (!line.n || *line.p == '#' || *line.p == '+' || *line.p == '-' || *line.p == ':')
		return false;
	for (i = 0; i < count; i++) {
		struct wj_str rest;

		field[i] = line;
		if (i + 1 == count)
			return true;
		if (!wj_cut(&field[i], ':', &rest))
			return false;
		line = rest;
	}
	return true;
}

/* name:passwd:uid:gid:gecos:dir:shell */
static bool split_passwd(struct wj_str line, struct wj_str field[7], u32 *uid, u32 *gid)
{
	struct wj_str rest;

	if (!split(line, field, 7))
		return false;
	wj_cut(&field[6], ':', &rest);
	return wj_parse_u32(field[2], 0xffffffffu, uid) &&
	       wj_parse_u32(field[3], 0xffffffffu, gid);
}

/* name:passwd:gid:member,member */
static bool split_group(struct wj_str line, struct wj_str field[4], u32 *gid)
{
	struct wj_str rest;

	if (!split(line, field, 4))
		return false;
	wj_cut(&field[3], ':', &rest);
	return wj_parse_u32(field[2], 0xffffffffu, gid);
}

static bool next_member(struct wj_str *rest, struct wj_str *ret)
{
	while (rest->n) {
		*ret = *rest;
		wj_cut(ret, ',', rest);
		if (ret->n)
			return true;
	}
	return false;
}

static int pack_passwd(struct wj_str field[7], char *buf, size_t size, struct wj_passwd *ret)
{
	struct packer out = { buf, size };

	ret->name = pack(&out, field[0]);
	ret->passwd = pack(&out, field[1]);
	ret->gecos = pack(&out, field[4]);
	ret->dir = pack(&out, field[5]);
	ret->shell = pack(&out, field[6]);
	if (!ret->name || !ret->passwd || !ret->gecos || !ret->dir || !ret->shell)
		return -ERANGE;
	return 0;
}

static int pack_group(struct wj_str field[4], char *buf, size_t size, struct wj_group *ret)
{
	struct packer out = { buf, size };
	struct wj_str members = field[3], member;

	ret->name = pack(&out, field[0]);
	ret->passwd = pack(&out, field[1]);
	if (!ret->name || !ret->passwd)
		return -ERANGE;
	ret->members = out.at;
	ret->member_count = 0;
	while (next_member(&members, &member)) {
		if (!pack(&out, member))
			return -ERANGE;
		ret->member_count++;
	}
	return 0;
}

int wj_passwd_parse(struct wj_str line, char *buf, size_t size, struct wj_passwd *ret)
{
	struct wj_str field[7];

	if (!split_passwd(line, field, &ret->uid, &ret->gid))
		return -EINVAL;
	return pack_passwd(field, buf, size, ret);
}

int wj_group_parse(struct wj_str line, char *buf, size_t size, struct wj_group *ret)
{
	struct wj_str field[4];

	if (!split_group(line, field, &ret->gid))
		return -EINVAL;
	return pack_group(field, buf, size, ret);
}

/* What to look for: a name, else an id, else (any) whatever comes first. */
struct query {
	const char *name;
	u32 id;
	bool any;
};

static bool matches(const struct query *query, struct wj_str name, u32 id)
{
	if (query->any)
		return true;
	return query->name ? wj_str_is(name, query->name) : id == query->id;
}

static int open_file(struct wj_lines *lines, struct wj_process *p, const char *path, u64 offset)
{
	int err = wj_lines_open(lines, p, path, offset, WJ_PASSWD_FILE_MAX);

	/* Without the file there are no entries; EINVAL: it is not a file. */
	return err == -ENOTDIR || err == -EINVAL ? -ENOENT : err;
}

/* One line: 0 if it is asked for, -ENOENT if not. */
typedef int (*take_fn)(struct wj_str line, const struct query *query, char *buf, size_t size, void *ret);

static int take_passwd(struct wj_str line, const struct query *query, char *buf, size_t size, void *to)
{
	struct wj_passwd *ret = to;
	struct wj_str field[7];

	if (!split_passwd(line, field, &ret->uid, &ret->gid) || !matches(query, field[0], ret->uid))
		return -ENOENT;
	return pack_passwd(field, buf, size, ret);
}

static int take_group(struct wj_str line, const struct query *query, char *buf, size_t size, void *to)
{
	struct wj_group *ret = to;
	struct wj_str field[4];

	if (!split_group(line, field, &ret->gid) || !matches(query, field[0], ret->gid))
		return -ENOENT;
	return pack_group(field, buf, size, ret);
}

static int find(struct wj_process *p, const char *path, u64 *offset, const struct query *query,
		take_fn take, char *buf, size_t size, void *ret)
{
	struct wj_str line;
	struct wj_lines lines;
	int r, err = open_file(&lines, p, path, *offset);
	char *text;

	if (err)
		return err;
	err = -ENOENT;
	while (err == -ENOENT && (r = wj_lines_next(&lines, &text, &line.n)) > 0) {
		line.p = text;
		err = take(line, query, buf, size, ret);
	}
	if (err == -ENOENT && r < 0)
		err = r;
	if (!err)
		*offset = lines.offset;
	wj_lines_close(&lines);
	return err;
}

static int find_passwd(struct wj_process *p, const char *path, u64 *offset,
		       const struct query *query, char *buf, size_t size, struct wj_passwd *ret)
{
	return find(p, path ? path : WJ_PASSWD_PATH, offset, query, take_passwd, buf, size, ret);
}

static int find_group(struct wj_process *p, const char *path, u64 *offset,
		      const struct query *query, char *buf, size_t size, struct wj_group *ret)
{
	return find(p, path ? path : WJ_GROUP_PATH, offset, query, take_group, buf, size, ret);
}

int wj_getpwnam(struct wj_process *p, const char *path, const char *name, char *buf,
		size_t size, struct wj_passwd *ret)
{
	struct query query = { .name = name };
	u64 offset = 0;

	return find_passwd(p, path, &offset, &query, buf, size, ret);
}

int wj_getpwuid(struct wj_process *p, const char *path, u32 uid, char *buf, size_t size,
		struct wj_passwd *ret)
{
	struct query query = { .id = uid };
	u64 offset = 0;

	return find_passwd(p, path, &offset, &query, buf, size, ret);
}

int wj_getpwent(struct wj_process *p, const char *path, u64 *offset, char *buf, size_t size,
		struct wj_passwd *ret)
{
	struct query query = { .any = true };

	return find_passwd(p, path, offset, &query, buf, size, ret);
}

int wj_getgrnam(struct wj_process *p, const char *path, const char *name, char *buf,
		size_t size, struct wj_group *ret)
{
	struct query query = { .name = name };
	u64 offset = 0;

	return find_group(p, path, &offset, &query, buf, size, ret);
}

int wj_getgrgid(struct wj_process *p, const char *path, u32 gid, char *buf, size_t size,
		struct wj_group *ret)
{
	struct query query = { .id = gid };
	u64 offset = 0;

	return find_group(p, path, &offset, &query, buf, size, ret);
}

int wj_getgrent(struct wj_process *p, const char *path, u64 *offset, char *buf, size_t size,
		struct wj_group *ret)
{
	struct query query = { .any = true };

	return find_group(p, path, offset, &query, buf, size, ret);
}

static bool is_member(struct wj_str members, const char *user)
{
	struct wj_str member;

	while (next_member(&members, &member))
		if (wj_str_is(member, user))
			return true;
	return false;
}

/* Counts the group unless it is among the first ones; stores it if there is room. */
static void add_group(u32 gid, u32 *groups, u32 max, u32 *count)
{
	u32 known = *count, i;

	if (known > max)
		known = max;
	if (known > WJ_GROUPS_UNIQUE)
		known = WJ_GROUPS_UNIQUE;
	for (i = 0; i < known; i++)
		if (groups[i] == gid)
			return;
	if (*count < max)
		groups[*count] = gid;
	++*count;
}

int wj_getgrouplist(struct wj_process *p, const char *path, const char *user, u32 gid,
		    u32 *groups, u32 max, u32 *count)
{
	struct wj_str field[4], line;
	struct wj_lines lines;
	char *text;
	int err;
	u32 id;

	*count = 0;
	add_group(gid, groups, max, count);
	err = open_file(&lines, p, path ? path : WJ_GROUP_PATH, 0);
	if (err)
		return err == -ENOENT ? 0 : err;
	while ((err = wj_lines_next(&lines, &text, &line.n)) > 0) {
		line.p = text;
		if (split_group(line, field, &id) && is_member(field[3], user))
			add_group(id, groups, max, count);
	}
	wj_lines_close(&lines);
	if (err < 0)
		return err;
	return *count > max ? -ERANGE : 0;
}
