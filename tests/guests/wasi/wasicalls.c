// SPDX-License-Identifier: GPL-2.0-only
/*
 * Makes the calls that a script tells, a line each, and prints what came of it: `name ERRNO VALUES`.
 *
 * argv[1] is the script.  Words are separated by spaces; numbers may be 0x...; in strings %XX is a
 * byte and a lone % the empty string.  A number `$` is the descriptor (or cookie) that came last.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "wasi_raw.h"

#define P(object) ((uint32_t)(uintptr_t)(object))
#define MAX_WORDS 16

struct text {
	char *bytes;
	uint32_t size;
};

static char buffer[1 << 20];
static uint64_t last;

static uint64_t number(const char *word)
{
	return word[0] == '$' ? last : word[0] == '-' ? strtoll(word, NULL, 0) : strtoull(word, NULL, 0);
}

static struct text text(char *word)
{
	struct text t = { word, 0 };
	const char *from = word;

	if (!strcmp(word, "%"))
		return t;
	for (; *from; t.size++) {
		if (*from == '%') {
			char hex[3] = { from[1], from[2], 0 };

			t.bytes[t.size] = strtoul(hex, NULL, 16);
			from += 3;
		} else {
			t.bytes[t.size] = *from++;
		}
	}
	return t;
}

static void show(const char *bytes, uint32_t size)
{
	for (uint32_t i = 0; i < size; i++) {
		if (bytes[i] > ' ' && bytes[i] < 127 && bytes[i] != '%')
			putchar(bytes[i]);
		else
			printf("%%%02x", (uint8_t)bytes[i]);
	}
}

static void strings(bool environment)
{
	uint32_t count = 0, size = 0, pointers[64];
	uint16_t err = environment ? raw_environ_sizes_get(P(&count), P(&size)) :
				     raw_args_sizes_get(P(&count), P(&size));

	if (!err && count <= 64)
		err = environment ? raw_environ_get(P(pointers), P(buffer)) : raw_args_get(P(pointers), P(buffer));
	printf(" %u %u %u", err, count, size);
	for (uint32_t i = environment ? 0 : 2; i < count; i++) {
		putchar(' ');
		show((char *)pointers[i], strlen((char *)pointers[i]));
	}
}

static void filestat(uint16_t err, const __wasi_filestat_t *s)
{
	printf(" %u", err);
	if (!err)	/* sizes of directories are the file system's business, and so are their links */
		printf(" type %u size %llu nlink %llu", s->filetype, s->filetype == 3 ? 0 : s->size,
		       s->filetype == 3 ? 0 : s->nlink);
}

static void transfer(uint16_t err, uint32_t n, bool print)
{
	printf(" %u", err);
	if (err)
		return;
	printf(" %u ", n);
	if (print)
		show(buffer, n);
}

/* All in one vector, or the last two thirds in a second one. */
static bool two_vectors;

static void vectors(__wasi_iovec_t *iov, char *bytes, uint32_t size)
{
	uint32_t first = two_vectors ? size / 3 : size;

	iov[0] = (__wasi_iovec_t){ (uint8_t *)bytes, first };
	iov[1] = (__wasi_iovec_t){ (uint8_t *)bytes + first, size - first };
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* All entries, sorted, read through a buffer of that size: each exactly once. */
static void readdir_all(uint32_t fd, uint32_t size, bool print)
{
	static char *names[8192];
	uint64_t cookie = 0;
	uint32_t used, count = 0;
	uint16_t err = 0;
	bool more = true;

	while (more && !err) {
		uint32_t at = 0, before = count;
		__wasi_dirent_t entry;

		err = raw_fd_readdir(fd, P(buffer), size, cookie, P(&used));
		more = !err && used == size;
		while (!err && count < 8192 && used - at >= sizeof(entry)) {
			memcpy(&entry, buffer + at, sizeof(entry));
			at += sizeof(entry);
			if (entry.d_namlen > used - at)
				break;
			names[count] = malloc(entry.d_namlen + 3);
			sprintf(names[count++], "%u:%.*s", entry.d_type, (int)entry.d_namlen, buffer + at);
			at += entry.d_namlen;
			cookie = entry.d_next;
		}
		if (more && count == before)
			err = 9999;	/* the buffer does not hold one */
	}
	qsort(names, count, sizeof(*names), compare);
	uint32_t twice = 0, checksum = 5381;

	for (uint32_t i = 0; i < count; i++) {
		twice += i && !strcmp(names[i], names[i - 1]);
		for (const char *s = names[i]; *s; s++)
			checksum = checksum * 33 + *s;
	}
	printf(" %u entries %u twice %u checksum %u", err, count, twice, checksum);
	for (uint32_t i = 0; print && i < count; i++)
		printf(" %s", names[i]);
	for (uint32_t i = 0; i < count; i++)
		free(names[i]);
}

/* Words are clock:ID:TIMEOUT:FLAGS:USERDATA, read:FD:USERDATA, write:FD:USERDATA. */
static void poll(char **words, uint32_t n)
{
	__wasi_subscription_t subs[MAX_WORDS];
	__wasi_event_t events[MAX_WORDS];
	uint32_t ready = 0;
	uint16_t err;

	memset(subs, 0, sizeof(subs));
	for (uint32_t i = 0; i < n; i++) {
		char *parts[8] = { 0 };
		int count = 0;

		for (char *s = strtok(words[i], ":"); s; s = strtok(NULL, ":"))
			parts[count++] = s;
		subs[i].userdata = number(parts[count - 1]);
		if (!strcmp(parts[0], "clock")) {
			subs[i].u.tag = __WASI_EVENTTYPE_CLOCK;
			subs[i].u.u.clock.id = number(parts[1]);
			subs[i].u.u.clock.timeout = number(parts[2]);
			subs[i].u.u.clock.flags = number(parts[3]);
			if (subs[i].u.u.clock.flags) {	/* from now on */
				uint64_t now = 0;

				(void)raw_clock_time_get(number(parts[1]), 0, P(&now));
				subs[i].u.u.clock.timeout += now;
			}
		} else {
			subs[i].u.tag = !strcmp(parts[0], "read") ? __WASI_EVENTTYPE_FD_READ :
				!strcmp(parts[0], "write") ? __WASI_EVENTTYPE_FD_WRITE : 7;
			subs[i].u.u.fd_read.file_descriptor = number(parts[1]);
		}
	}
	err = raw_poll_oneoff(P(subs), P(events), n, P(&ready));
	printf(" %u %u", err, ready);
	for (uint32_t i = 0; !err && i < ready; i++)
		printf(" [%llu error %u type %u]", events[i].userdata, events[i].error, events[i].type);
}

/*
 * race N DIR PATH [both]: open it N times, or as often as it takes until it was opened and refused;
 * what could be opened must not be what is outside.
 * `create`: with creation and truncation, writing.
 */
static void race(uint32_t n, uint32_t dir, struct text path, bool create, bool both)
{
	uint32_t opened = 0, leaked = 0, refused = 0, absent = 0;

	for (uint32_t i = 0; i < n || (both && !(opened && refused) && i < 1000 * n); i++) {
		uint32_t fd, got = 0;
		uint16_t err = raw_path_open(dir, 1, P(path.bytes), path.size, create ? 9 : 0,
					     create ? 1 << 6 : 1 << 1, 0, 0, P(&fd));
		char bytes[8] = "inside";
		__wasi_iovec_t iov = { (uint8_t *)bytes, 6 };

		if (err) {
			if (err == __WASI_ERRNO_NOENT)
				absent++;
			else
				refused++;
			continue;
		}
		opened++;
		if (create) {
			(void)!raw_fd_write(fd, P(&iov), 1, P(&got));
			(void)!raw_path_unlink_file(dir, P(path.bytes), path.size);
		} else {
			if (!raw_fd_read(fd, P(&iov), 1, P(&got)) && got == 6 && memcmp(bytes, "inside", 6))
				leaked++;
		}
		(void)!raw_fd_close(fd);
	}
	fprintf(stderr, "opened %u refused %u absent %u\n", opened, refused, absent);
	printf(" leaked %u opened %s", leaked, opened ? "some" : "none");
}

/* Every call whose pointers can be wrong: all must say so, none may do anything. */
static void faults(uint32_t dir, uint32_t file)
{
	const uint32_t bad = 0xfffffff0;
	__wasi_iovec_t iov = { (uint8_t *)bad, 64 };
	uint32_t n;
	const struct {
		const char *name;
		uint16_t err;
	} all[] = {
		{ "args_sizes_get", raw_args_sizes_get(bad, bad) },
		{ "args_get", raw_args_get(bad, bad) },
		{ "clock_res_get", raw_clock_res_get(1, bad) },
		{ "clock_time_get", raw_clock_time_get(1, 0, bad) },
		{ "environ_sizes_get", raw_environ_sizes_get(bad, bad) },
		{ "fd_fdstat_get", raw_fd_fdstat_get(file, bad) },
		{ "fd_filestat_get", raw_fd_filestat_get(file, bad) },
		{ "fd_pread", raw_fd_pread(file, P(&iov), 1, 0, P(&n)) },
		{ "fd_pread iov", raw_fd_pread(file, bad, 1, 0, P(&n)) },
		{ "fd_prestat_get", raw_fd_prestat_get(dir, bad) },
		{ "fd_prestat_dir_name", raw_fd_prestat_dir_name(dir, bad, 100) },
		{ "fd_pwrite", raw_fd_pwrite(file, P(&iov), 1, 0, P(&n)) },
		{ "fd_read", raw_fd_read(file, P(&iov), 1, P(&n)) },
		{ "fd_readdir", raw_fd_readdir(dir, bad, 100, 0, P(&n)) },
		{ "fd_seek", raw_fd_seek(file, 0, 0, bad) },
		{ "fd_tell", raw_fd_tell(file, bad) },
		{ "fd_write", raw_fd_write(file, P(&iov), 1, P(&n)) },
		{ "path_create_directory", raw_path_create_directory(dir, bad, 100) },
		{ "path_filestat_get", raw_path_filestat_get(dir, 0, bad, 100, P(buffer)) },
		{ "path_filestat_get result", raw_path_filestat_get(dir, 0, P("."), 1, bad) },
		{ "path_filestat_set_times", raw_path_filestat_set_times(dir, 0, bad, 100, 0, 0, 0) },
		{ "path_link", raw_path_link(dir, 0, bad, 100, dir, P("x"), 1) },
		{ "path_open", raw_path_open(dir, 0, bad, 100, 0, 0, 0, 0, P(&n)) },
		{ "path_open result", raw_path_open(dir, 0, P("."), 1, 0, 0, 0, 0, bad) },
		{ "path_readlink", raw_path_readlink(dir, bad, 100, P(buffer), 100, P(&n)) },
		{ "path_remove_directory", raw_path_remove_directory(dir, bad, 100) },
		{ "path_rename", raw_path_rename(dir, P("x"), 1, dir, bad, 100) },
		{ "path_symlink", raw_path_symlink(bad, 100, dir, P("x"), 1) },
		{ "path_unlink_file", raw_path_unlink_file(dir, bad, 100) },
		{ "poll_oneoff", raw_poll_oneoff(bad, bad, 1, P(&n)) },
		{ "random_get", raw_random_get(bad, 100) },
	};

	for (uint32_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
		if (all[i].err != __WASI_ERRNO_FAULT)
			printf(" %s=%u", all[i].name, all[i].err);
	}
	printf(" %u", (uint32_t)(sizeof(all) / sizeof(*all)));
}

static void run(char **w, uint32_t words)
{
	const char *name = w[0];
	__wasi_filestat_t st;
	__wasi_fdstat_t fdstat;
	__wasi_iovec_t iov[2];
	struct text path, other;
	uint64_t a, value;
	uint32_t n = 0;
	uint16_t err, out;

	/* Missing words are 0. */
	for (; words < MAX_WORDS; words++)
		w[words] = "0";
	a = number(w[1]);
#define IS(command) (!strcmp(name, command))
	if (IS("vectors")) {
		two_vectors = a == 2;
	} else if (IS("args") || IS("environ")) {
		strings(IS("environ"));
	} else if (IS("clock_res") || IS("clock_time")) {
		value = 0;
		err = IS("clock_res") ? raw_clock_res_get(a, P(&value)) : raw_clock_time_get(a, 0, P(&value));
		printf(" %u %s", err, value ? "some" : "none");
	} else if (IS("open")) {
		path = text(w[3]);
		err = raw_path_open(a, number(w[2]), P(path.bytes), path.size, number(w[4]), number(w[5]),
				    number(w[6]), number(w[7]), P(&n));
		printf(" %u", err);
		if (!err)
			printf(" fd %u", (uint32_t)(last = n));
	} else if (IS("close")) {
		printf(" %u", raw_fd_close(a));
	} else if (IS("renumber")) {
		printf(" %u", raw_fd_renumber(a, number(w[2])));
	} else if (IS("fdstat") || IS("rights")) {
		err = raw_fd_fdstat_get(a, P(&fdstat));
		printf(" %u", err);
		if (!err && IS("fdstat"))
			printf(" type %u flags %u", fdstat.fs_filetype, fdstat.fs_flags);
		else if (!err)
			printf(" 0x%llx 0x%llx", fdstat.fs_rights_base, fdstat.fs_rights_inheriting);
	} else if (IS("set_flags")) {
		printf(" %u", raw_fd_fdstat_set_flags(a, number(w[2])));
	} else if (IS("set_rights")) {
		printf(" %u", raw_fd_fdstat_set_rights(a, number(w[2]), number(w[3])));
	} else if (IS("filestat")) {
		filestat(raw_fd_filestat_get(a, P(&st)), &st);
	} else if (IS("path_filestat")) {
		path = text(w[3]);
		filestat(raw_path_filestat_get(a, number(w[2]), P(path.bytes), path.size, P(&st)), &st);
	} else if (IS("path_stamps")) {
		path = text(w[3]);
		err = raw_path_filestat_get(a, number(w[2]), P(path.bytes), path.size, P(&st));
		printf(" %u %llu %llu", err, st.atim, st.mtim);
	} else if (IS("stamps")) {
		err = raw_fd_filestat_get(a, P(&st));
		printf(" %u %llu %llu", err, st.atim, st.mtim);
	} else if (IS("set_size")) {
		printf(" %u", raw_fd_filestat_set_size(a, number(w[2])));
	} else if (IS("set_times")) {
		printf(" %u", raw_fd_filestat_set_times(a, number(w[2]), number(w[3]), number(w[4])));
	} else if (IS("path_set_times")) {
		path = text(w[3]);
		printf(" %u", raw_path_filestat_set_times(a, number(w[2]), P(path.bytes), path.size,
							  number(w[4]), number(w[5]), number(w[6])));
	} else if (IS("read") || IS("pread")) {
		vectors(iov, buffer, number(w[2]));
		err = IS("read") ? raw_fd_read(a, P(iov), 2, P(&n)) :
				   raw_fd_pread(a, P(iov), 2, number(w[3]), P(&n));
		transfer(err, n, true);
	} else if (IS("write") || IS("pwrite")) {
		path = text(w[2]);
		vectors(iov, path.bytes, path.size);
		err = IS("write") ? raw_fd_write(a, P(iov), 2, P(&n)) :
				    raw_fd_pwrite(a, P(iov), 2, number(w[3]), P(&n));
		transfer(err, n, false);
	} else if (IS("seek") || IS("tell")) {
		value = 0;
		err = IS("tell") ? raw_fd_tell(a, P(&value)) :
				   raw_fd_seek(a, number(w[2]), number(w[3]), P(&value));
		printf(" %u %llu", err, value);
	} else if (IS("sync")) {
		printf(" %u", raw_fd_sync(a));
	} else if (IS("datasync")) {
		printf(" %u", raw_fd_datasync(a));
	} else if (IS("advise")) {
		printf(" %u", raw_fd_advise(a, number(w[2]), number(w[3]), number(w[4])));
	} else if (IS("allocate")) {
		printf(" %u", raw_fd_allocate(a, number(w[2]), number(w[3])));
	} else if (IS("prestat")) {
		uint32_t prestat[2] = { 0 };

		err = raw_fd_prestat_get(a, P(prestat));
		printf(" %u", err);
		if (!err) {
			printf(" short %u", raw_fd_prestat_dir_name(a, P(buffer), prestat[1] - 1));
			printf(" name %u ", raw_fd_prestat_dir_name(a, P(buffer), prestat[1]));
			show(buffer, prestat[1]);
		}
	} else if (IS("readdir") || IS("count")) {
		readdir_all(a, number(w[2]), IS("readdir"));
	} else if (IS("readdir_at")) {
		err = raw_fd_readdir(a, P(buffer), number(w[2]), number(w[3]), P(&n));
		printf(" %u %u", err, n);
	} else if (IS("mkdir") || IS("rmdir") || IS("unlink")) {
		path = text(w[2]);
		printf(" %u", IS("mkdir") ? raw_path_create_directory(a, P(path.bytes), path.size) :
			      IS("rmdir") ? raw_path_remove_directory(a, P(path.bytes), path.size) :
					    raw_path_unlink_file(a, P(path.bytes), path.size));
	} else if (IS("link")) {
		path = text(w[3]);
		other = text(w[5]);
		printf(" %u", raw_path_link(a, number(w[2]), P(path.bytes), path.size, number(w[4]),
					    P(other.bytes), other.size));
	} else if (IS("rename")) {
		path = text(w[2]);
		other = text(w[4]);
		printf(" %u", raw_path_rename(a, P(path.bytes), path.size, number(w[3]), P(other.bytes),
					      other.size));
	} else if (IS("symlink")) {
		path = text(w[1]);
		other = text(w[3]);
		printf(" %u", raw_path_symlink(P(path.bytes), path.size, number(w[2]), P(other.bytes), other.size));
	} else if (IS("readlink")) {
		path = text(w[2]);
		err = raw_path_readlink(a, P(path.bytes), path.size, P(buffer), number(w[3]), P(&n));
		transfer(err, n, true);
	} else if (IS("poll")) {
		for (n = 1; strchr(w[n], ':'); n++)
			;
		poll(w + 1, n - 1);
	} else if (IS("raise")) {
		fflush(stdout);
		printf(" %u", raw_proc_raise(a));
	} else if (IS("exit")) {
		fflush(stdout);
		__wasi_proc_exit(a);
	} else if (IS("yield")) {
		printf(" %u", raw_sched_yield());
	} else if (IS("random")) {
		uint32_t different = 0;

		memset(buffer, 0, a);
		err = raw_random_get(P(buffer), a);
		for (uint32_t i = 1; i < a; i++)
			different += buffer[i] != buffer[i - 1];
		printf(" %u %s", err, a < 64 || different > a / 2 ? "random" : "not random");
	} else if (IS("accept")) {
		err = raw_sock_accept(a, number(w[2]), P(&n));
		printf(" %u", err);
		if (!err)
			printf(" fd %u", (uint32_t)(last = n));
	} else if (IS("recv")) {
		vectors(iov, buffer, number(w[2]));
		out = 9;
		err = raw_sock_recv(a, P(iov), 2, number(w[3]), P(&n), P(&out));
		transfer(err, n, true);
		printf(" flags %u", out);
	} else if (IS("send")) {
		path = text(w[2]);
		vectors(iov, path.bytes, path.size);
		err = raw_sock_send(a, P(iov), 2, number(w[3]), P(&n));
		transfer(err, n, false);
	} else if (IS("shutdown")) {
		printf(" %u", raw_sock_shutdown(a, number(w[2])));
	} else if (IS("accept_nowhere")) {
		printf(" %u", raw_sock_accept(a, 0, 0xfffffff0));
	} else if (IS("race") || IS("race_create")) {
		path = text(w[3]);
		race(a, number(w[2]), path, IS("race_create"), n > 4);
	} else if (IS("faults")) {
		faults(a, number(w[2]));
	} else {
		printf(": what is that?");
		exit(99);
	}
}

int main(int argc, char **argv)
{
	char *line, *end;

	for (line = argc > 1 ? argv[1] : ""; *line; line = end) {
		char *words[MAX_WORDS], *word;
		uint32_t n = 0;

		end = line + strcspn(line, "\n");
		if (*end)
			*end++ = 0;
		for (; n < MAX_WORDS && *line; line = word) {
			word = line + strcspn(line, " ");
			if (*word)
				*word++ = 0;
			words[n++] = line;
		}
		if (!n)
			continue;
		printf("%s", words[0]);
		run(words, n);
		putchar('\n');
		fflush(stdout);
	}
	return 0;
}
