// SPDX-License-Identifier: GPL-2.0-only
/*
 * Runs the host layer's libraries (time, names, users) in an ordinary process, under the
 * sanitizers, for tests/unit/test_host_*.py.
 *
 * Commands come on stdin, one per line; each is answered by one line on stdout.  Words are
 * separated by spaces; strings are written x<hex>, NULL is -.  At the end nothing may be
 * left open or allocated.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "wj_getaddrinfo.h"
#include "wj_passwd.h"
#include "wj_time.h"
#include "wj_tz.h"
#include "host_fuzz.h"
#include "process.h"

/* ---- The platform ---- */

static struct {
	long blocks, descriptors;	/* now in use */
	long calls, allocations;	/* made by the current command */
	long fail_call, fail_allocation; /* which of them to fail, from 0; -1: none */
	int error;			/* what the failing call returns */
	int only_call;			/* count only this system call; -1: all */
	int unwind;			/* what a handler leaves in the process then */
	u64 clock_offset;		/* ns added to the coarse clock */
} world = { .fail_call = -1, .fail_allocation = -1, .only_call = -1 };

void *wj_alloc(size_t size)
{
	if (world.allocations++ == world.fail_allocation)
		return NULL;
	world.blocks++;
	return calloc(1, size);
}

void *wj_memdup(const void *from, size_t size)
{
	void *copy = wj_alloc(size);

	if (copy)
		memcpy(copy, from, size);
	return copy;
}

void wj_free(void *p)
{
	if (p)
		world.blocks--;
	free(p);
}

static u8 scratch[WJ_SCRATCH_SIZE];

u64 wj_scratch(struct wj_process *p)
{
	(void)p;
	return (u64)(uintptr_t)scratch;
}

int wj_copy_from_user(void *dst, u64 src, size_t size)
{
	memcpy(dst, (const void *)(uintptr_t)src, size);
	return 0;
}

int wj_copy_to_user(u64 dst, const void *src, size_t size)
{
	memcpy((void *)(uintptr_t)dst, src, size);
	return 0;
}

long wj_sys(struct wj_process *p, int nr, u64 a, u64 b, u64 c, u64 d, u64 e, u64 f)
{
	long r;

	if (nr != __NR_close && (world.only_call < 0 || nr == world.only_call) &&
	    world.calls++ == world.fail_call) {
		p->unwind = world.unwind;
		if (world.error)
			return world.error;
	}
	r = syscall(nr, a, b, c, d, e, f);
	if (r < 0)
		return -errno;
	if (nr == __NR_socket || nr == __NR_openat)
		world.descriptors++;
	if (nr == __NR_close)
		world.descriptors--;
	if (nr == __NR_clock_gettime && a == 6) {
		struct timespec *time = (void *)(uintptr_t)b;
		u64 ns = (u64)time->tv_nsec + world.clock_offset;

		time->tv_sec += (time_t)(ns / 1000000000);
		time->tv_nsec = (long)(ns % 1000000000);
	}
	return r;
}

/* ---- Words in, words out ---- */

static struct wj_process process;
static char *words[512];
static int word_count, word_at;

static void die(const char *why)
{
	fprintf(stderr, "host_driver: %s\n", why);
	exit(2);
}

static const char *word(void)
{
	if (word_at >= word_count)
		die("too few words");
	return words[word_at++];
}

static s64 number(void)
{
	return strtoll(word(), NULL, 0);
}

/*
 * A string in a block of exactly its size, so that the sanitizer sees an overrun.  The
 * blocks of one command are freed after it.
 */
static char *strings[512];
static int string_count;

static char *string(size_t *size)
{
	const char *w = word();
	size_t n, i;
	char *s;

	if (*w == '-')
		return NULL;
	n = strlen(w + 1) / 2;
	s = malloc(n + 1);
	for (i = 0; i < n; i++) {
		char hex[3] = { w[1 + 2 * i], w[2 + 2 * i], 0 };

		s[i] = (char)strtol(hex, NULL, 16);
	}
	s[n] = 0;
	if (size)
		*size = n;
	strings[string_count++] = s;
	return s;
}

static void print_string(const char *s, size_t n)
{
	size_t i;

	if (!s) {
		printf(" -");
		return;
	}
	printf(" x");
	for (i = 0; i < n; i++)
		printf("%02x", (u8)s[i]);
}

static void print_text(const char *s)
{
	print_string(s, s ? strlen(s) : 0);
}

/* ---- Time ---- */

static struct wj_tz_state tz_state;

static void read_tm(struct wj_tm *tm)
{
	memset(tm, 0, sizeof(*tm));
	tm->sec = (s32)number();
	tm->min = (s32)number();
	tm->hour = (s32)number();
	tm->mday = (s32)number();
	tm->mon = (s32)number();
	tm->year = (s32)number();
	tm->wday = (s32)number();
	tm->yday = (s32)number();
	tm->isdst = (s32)number();
	tm->gmtoff = (s32)number();
	wj_str_copy(tm->zone, sizeof(tm->zone), wj_str_of(string(NULL)));
}

static void print_tm(const struct wj_tm *tm)
{
	printf(" %d %d %d %d %d %d %d %d %d %d", tm->sec, tm->min, tm->hour, tm->mday, tm->mon,
	       tm->year, tm->wday, tm->yday, tm->isdst, tm->gmtoff);
	print_text(tm->zone);
}

static int zone(const struct wj_tz_zone **ret)
{
	const char *tz = string(NULL);
	const char *tzdir = string(NULL);

	return wj_tz_get(&process, &tz_state, tz, tzdir, ret);
}

static void do_gmtime(void)
{
	struct wj_tm tm = { 0 };
	int err = wj_gmtime(number(), "GMT", &tm);

	printf("%d", err);
	print_tm(&tm);
}

static void do_timegm(void)
{
	struct wj_tm tm;
	s64 t = 0;
	int err;

	read_tm(&tm);
	err = wj_timegm(&tm, &t);
	printf("%d %lld", err, t);
	print_tm(&tm);
}

static void do_localtime(void)
{
	const struct wj_tz_zone *z;
	struct wj_tm tm = { 0 };
	int err = zone(&z);
	s64 t = number();

	if (!err)
		err = wj_localtime(z, t, &tm);
	printf("%d", err);
	print_tm(&tm);
}

static void do_mktime(void)
{
	const struct wj_tz_zone *z;
	struct wj_tm tm;
	int err = zone(&z);
	s64 t = 0;

	read_tm(&tm);
	if (!err)
		err = wj_mktime(z, &tm, &t);
	printf("%d %lld", err, t);
	print_tm(&tm);
}

static void do_tzinfo(void)
{
	const struct wj_tz_zone *z;
	struct wj_tz_info info;
	int err = zone(&z);

	wj_tz_info(z, &info);
	printf("%d %d %d", err, info.timezone, info.daylight);
	print_text(info.name[0]);
	print_text(info.name[1]);
}

/* Copies the state, drops the original and goes on with the copy. */
static void do_tzclone(void)
{
	struct wj_tz_state copy;
	int err = wj_tz_state_clone(&copy, &tz_state);

	if (!err) {
		wj_tz_state_deinit(&tz_state);
		tz_state = copy;
	}
	printf("%d", err);
}

static void do_tzreset(void)
{
	wj_tz_state_deinit(&tz_state);
	printf("0");
}

static void do_strftime(void)
{
	size_t size = (size_t)number(), n;
	char *format = string(NULL), *buf = malloc(size ? size : 1);
	struct wj_tm tm;

	read_tm(&tm);
	n = wj_strftime(buf, size, format, &tm);
	printf("%zu", n);
	print_string(buf, size ? strlen(buf) : 0);
	free(buf);
}

static void do_strptime(void)
{
	char *s = string(NULL), *format = string(NULL);
	const struct wj_tz_zone *z;
	struct wj_tm tm;
	long n;

	zone(&z);
	read_tm(&tm);
	n = wj_strptime(s, format, z, &tm);
	printf("%ld", n);
	print_tm(&tm);
}

/* ---- Users and groups ---- */

static void print_passwd(int err, const struct wj_passwd *pw)
{
	printf("%d", err);
	if (err)
		return;
	print_text(pw->name);
	print_text(pw->passwd);
	printf(" %u %u", pw->uid, pw->gid);
	print_text(pw->gecos);
	print_text(pw->dir);
	print_text(pw->shell);
}

static void print_group(int err, const struct wj_group *gr)
{
	const char *member;
	u32 i;

	printf("%d", err);
	if (err)
		return;
	print_text(gr->name);
	print_text(gr->passwd);
	printf(" %u %u", gr->gid, gr->member_count);
	member = gr->members;
	for (i = 0; i < gr->member_count; i++) {
		print_text(member);
		member += strlen(member) + 1;
	}
}

/* path size key: a name or a number */
static void do_getpw(bool by_name)
{
	char *path = string(NULL), *buf;
	size_t size = (size_t)number();
	struct wj_passwd pw;
	int err;

	buf = malloc(size ? size : 1);
	if (by_name)
		err = wj_getpwnam(&process, path, string(NULL), buf, size, &pw);
	else
		err = wj_getpwuid(&process, path, (u32)number(), buf, size, &pw);
	print_passwd(err, &pw);
	free(buf);
}

static void do_getpwnam(void)
{
	do_getpw(true);
}

static void do_getpwuid(void)
{
	do_getpw(false);
}

static void do_getgr(bool by_name)
{
	char *path = string(NULL), *buf;
	size_t size = (size_t)number();
	struct wj_group gr;
	int err;

	buf = malloc(size ? size : 1);
	if (by_name)
		err = wj_getgrnam(&process, path, string(NULL), buf, size, &gr);
	else
		err = wj_getgrgid(&process, path, (u32)number(), buf, size, &gr);
	print_group(err, &gr);
	free(buf);
}

static void do_getgrnam(void)
{
	do_getgr(true);
}

static void do_getgrgid(void)
{
	do_getgr(false);
}

static void do_getpwent(void)
{
	char *path = string(NULL), buf[4096];
	u64 offset = (u64)number();
	struct wj_passwd pw;
	int err = wj_getpwent(&process, path, &offset, buf, sizeof(buf), &pw);

	printf("%llu ", offset);
	print_passwd(err, &pw);
}

static void do_getgrent(void)
{
	char *path = string(NULL), buf[4096];
	u64 offset = (u64)number();
	struct wj_group gr;
	int err = wj_getgrent(&process, path, &offset, buf, sizeof(buf), &gr);

	printf("%llu ", offset);
	print_group(err, &gr);
}

/* path user gid max */
static void do_getgrouplist(void)
{
	char *path = string(NULL), *user = string(NULL);
	u32 gid = (u32)number(), max = (u32)number(), count, i;
	u32 *groups = calloc(max + 1, sizeof(*groups));
	int err = wj_getgrouplist(&process, path, user, gid, groups, max, &count);

	printf("%d %u", err, count);
	for (i = 0; i < count && i < max; i++)
		printf(" %u", groups[i]);
	free(groups);
}

/* ---- Names ---- */

static struct wj_resolver resolver;
static char *resolver_paths[3];

/* port timeout_ms resolv.conf hosts services */
static void do_resolver(void)
{
	const char **to[3] = { &resolver.conf_path, &resolver.hosts_path,
			       &resolver.services_path };
	int i;

	resolver.port = (u16)number();
	resolver.timeout_ms = (u32)number();
	for (i = 0; i < 3; i++) {
		char *s = string(NULL);

		free(resolver_paths[i]);
		resolver_paths[i] = s ? strdup(s) : NULL;
		*to[i] = resolver_paths[i];
	}
	printf("0");
}

static void print_address(const struct wj_address *address)
{
	char text[WJ_INET_TEXT_SIZE];

	wj_inet_format(address->family, address->ip, text);
	printf(" %s %u %u", text, address->scope, address->port);
}

/* flags family socktype protocol node service */
static void do_getaddrinfo(void)
{
	struct wj_gai_hints hints;
	struct wj_gai_result *result = malloc(sizeof(*result));
	struct wj_gai_entry entry;
	char *node, *service;
	int r, code = 0;
	u32 i;

	hints.flags = (int)number();
	hints.family = (int)number();
	hints.socktype = (int)number();
	hints.protocol = (int)number();
	node = string(NULL);
	service = string(NULL);
	r = wj_getaddrinfo(&process, &resolver, node, service, &hints, result, &code);
	printf("%d %d %d", r, code, result->error);
	print_text(result->canonical);
	for (i = 0; !r && !code && wj_gai_entry(result, i, &entry); i++) {
		printf(" | %d %d %d", entry.address.family, entry.socktype, entry.protocol);
		print_address(&entry.address);
	}
	free(result);
}

/* family address scope port flags hostsize servsize */
static void do_getnameinfo(void)
{
	struct wj_address address = { 0 };
	char *text, *host, *serv;
	size_t size, host_size, serv_size;
	int flags, r, code = 0;

	address.family = (u16)number();
	text = string(&size);
	if (!wj_inet_parse(address.family, (struct wj_str){ text, size }, address.ip))
		die("address");
	address.scope = (u32)number();
	address.port = (u16)number();
	flags = (int)number();
	host_size = (size_t)number();
	serv_size = (size_t)number();
	host = calloc(1, host_size + 1);
	serv = calloc(1, serv_size + 1);
	r = wj_getnameinfo(&process, &resolver, &address, flags, host_size ? host : NULL,
			   host_size, serv_size ? serv : NULL, serv_size, &code);
	printf("%d %d", r, code);
	print_text(host);
	print_text(serv);
	free(host);
	free(serv);
}

static void do_inet(void)
{
	size_t size;
	char *s = string(&size), text[WJ_INET_TEXT_SIZE];
	struct wj_str str = { s, size };
	u8 ip[16];

	if (wj_inet_parse(WJ_AF_INET6, str, ip))
		wj_inet_format(WJ_AF_INET6, ip, text);
	else if (wj_inet_parse(WJ_AF_INET, str, ip))
		wj_inet_format(WJ_AF_INET, ip, text);
	else
		strcpy(text, "-");
	printf("%s", text);
}

/* n, then n times: family destination usable source */
static void do_sort(void)
{
	u32 n = (u32)number(), i;
	struct wj_gai_candidate *c = calloc(n, sizeof(*c));

	for (i = 0; i < n; i++) {
		struct wj_gai_candidate *to = &c[i];
		size_t size;
		char *s;

		to->address.family = (u16)number();
		s = string(&size);
		wj_inet_parse(to->address.family, (struct wj_str){ s, size }, to->address.ip);
		to->usable = number();
		s = string(&size);
		if (s)
			wj_inet_parse(to->address.family, (struct wj_str){ s, size },
				      to->source);
		to->address.port = (u16)i;
	}
	wj_gai_sort(c, n);
	for (i = 0; i < n; i++)
		printf("%s%u", i ? " " : "", c[i].address.port);
	free(c);
}

/* ---- Control ---- */

/*
 * call|alloc n error nr unwind: the next command's n-th system call (nr; -1: any) fails, and a
 * signal handler leaves `unwind` in the process; error 0: it succeeds
 */
static void do_fault(void)
{
	bool alloc = !strcmp(word(), "alloc");
	long n = (long)number();

	world.fail_call = alloc ? -1 : n;
	world.fail_allocation = alloc ? n : -1;
	world.error = (int)number();
	world.only_call = (int)number();
	world.unwind = (int)number();
}

/* How many system calls and allocations did the last command make; what is in use? */
static void do_stats(long calls, long allocations)
{
	printf("%ld %ld %ld %ld", calls, allocations, world.descriptors, world.blocks);
}

static void do_clock(void)
{
	world.clock_offset = (u64)number();
	printf("0");
}

static const struct {
	const char *name;
	void (*run)(void);
} commands[] = {
	{ "gmtime", do_gmtime },
	{ "timegm", do_timegm },
	{ "localtime", do_localtime },
	{ "mktime", do_mktime },
	{ "tzinfo", do_tzinfo },
	{ "tzclone", do_tzclone },
	{ "tzreset", do_tzreset },
	{ "strftime", do_strftime },
	{ "strptime", do_strptime },
	{ "getpwnam", do_getpwnam },
	{ "getpwuid", do_getpwuid },
	{ "getpwent", do_getpwent },
	{ "getgrnam", do_getgrnam },
	{ "getgrgid", do_getgrgid },
	{ "getgrent", do_getgrent },
	{ "getgrouplist", do_getgrouplist },
	{ "resolver", do_resolver },
	{ "getaddrinfo", do_getaddrinfo },
	{ "getnameinfo", do_getnameinfo },
	{ "inet", do_inet },
	{ "sort", do_sort },
	{ "clock", do_clock },
};

static void run_line(char *line)
{
	static long calls, allocations;
	size_t i;
	char *w;

	word_count = 0;
	word_at = 0;
	for (w = strtok(line, " \n"); w && word_count < 512; w = strtok(NULL, " \n"))
		words[word_count++] = w;
	if (!word_count)
		return;
	if (!strcmp(words[0], "fault")) {
		word_at = 1;
		do_fault();
		return;
	}
	if (!strcmp(words[0], "stats")) {
		do_stats(calls, allocations);
		printf("\n");
		return;
	}
	for (i = 0; i < ARRAY_SIZE(commands); i++)
		if (!strcmp(words[0], commands[i].name))
			break;
	if (i == ARRAY_SIZE(commands))
		die(words[0]);
	word_at = 1;
	world.calls = 0;
	world.allocations = 0;
	commands[i].run();
	printf("\n");
	calls = world.calls;
	allocations = world.allocations;
	world.fail_call = -1;
	world.fail_allocation = -1;
	world.only_call = -1;
	process.unwind = 0;
	while (string_count)
		free(strings[--string_count]);
}

int main(int argc, char **argv)
{
	static char line[1 << 20];
	int i;

	if (argc > 1)
		return host_fuzz(argc, argv);
	while (fgets(line, sizeof(line), stdin)) {
		run_line(line);
		fflush(stdout);
	}
	wj_tz_state_deinit(&tz_state);
	for (i = 0; i < 3; i++)
		free(resolver_paths[i]);
	if (world.blocks || world.descriptors) {
		fprintf(stderr, "left: %ld blocks, %ld descriptors\n", world.blocks,
			world.descriptors);
		return 1;
	}
	return 0;
}
