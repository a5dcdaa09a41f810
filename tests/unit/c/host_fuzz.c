// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mutated inputs for the parsers of the host layer.  The sanitizers judge memory safety;
 * what else must hold is checked here.  The same seed gives the same run.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "host_fuzz.h"
#include "process.h"
#include "wj_getaddrinfo.h"
#include "wj_passwd.h"
#include "wj_time.h"
#include "wj_tz.h"

#define CHECK(what) \
	do { \
		if (!(what)) { \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #what); \
			abort(); \
		} \
	} while (0)

static u64 state;
static struct wj_process process;

static u64 next_random(void)
{
	/* splitmix64 */
	u64 z = state += 0x9e3779b97f4a7c15ull;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

static size_t below(size_t n)
{
	return n ? (size_t)(next_random() % n) : 0;
}

struct seed {
	u8 *data;
	size_t size;
};

static struct seed load(const char *path)
{
	struct seed seed = { malloc(1 << 20), 0 };
	FILE *file = fopen(path, "rb");

	CHECK(file);
	seed.size = fread(seed.data, 1, 1 << 20, file);
	fclose(file);
	return seed;
}

static u8 interesting(void)
{
	static const u8 values[] = {
		0, 1, 2, 0x0a, 0x20, 0x2e, 0x3a, 0x3f, 0x40, 0x7f, 0x80, 0xc0, 0xff
	};

	return next_random() & 1 ? values[below(sizeof(values))] : (u8)next_random();
}

/* A mutated copy in a block of exactly its size. */
static struct seed mutate(const struct seed *seeds, size_t count)
{
	const struct seed *from = &seeds[below(count)], *other = &seeds[below(count)];
	size_t room = from->size + 256, n = from->size, i, k;
	struct seed ret;
	u8 *buf = malloc(room);
	u32 rounds = 1 + (u32)below(8);

	memcpy(buf, from->data, n);
	while (rounds--) {
		i = below(n);
		switch (below(7)) {
		case 0:
			if (n)
				buf[i] ^= (u8)(1u << below(8));
			break;
		case 1:
		case 2:
			if (n)
				buf[i] = interesting();
			break;
		case 3:			/* cut */
			if (!below(4))
				n = i;
			break;
		case 4:			/* insert */
			k = 1 + below(16);
			if (n + k <= room) {
				memmove(buf + i + k, buf + i, n - i);
				while (k--)
					buf[i + k] = interesting();
				n += 1;
			}
			break;
		case 5:			/* splice */
			k = below(other->size - below(other->size));
			if (k > n - i)
				k = n - i;
			memcpy(buf + i, other->data + below(other->size - k + 1), k);
			break;
		default:		/* delete */
			k = below(n - i < 8 ? n - i : 8);
			memmove(buf + i, buf + i + k, n - i - k);
			n -= k;
			break;
		}
	}
	ret.data = malloc(n ? n : 1);
	memcpy(ret.data, buf, n);
	ret.size = n;
	free(buf);
	return ret;
}

static void probe_zone(const struct wj_tz_zone *zone)
{
	struct wj_tz_info info;
	int i;

	wj_tz_info(zone, &info);
	CHECK(strlen(info.name[0]) <= WJ_TZNAME_MAX && strlen(info.name[1]) <= WJ_TZNAME_MAX);
	for (i = 0; i < 24; i++) {
		/* Some near today, some anywhere. */
		s64 t = i < 16 ? (s64)(next_random() % 8000000000ull) - 3000000000ll :
				 (s64)next_random() >> below(64), back;
		struct wj_tz_span span;
		struct wj_tm tm, again;
		s32 hit;

		if (t < -WJ_TZ_FOREVER / 4 || t >= WJ_TZ_FOREVER / 4)
			t /= 8;
		wj_tz_find(zone, t, &span);
		CHECK(span.start <= t && t < span.end);
		CHECK(span.offset >= -WJ_TZ_OFFSET_MAX && span.offset <= WJ_TZ_OFFSET_MAX);
		CHECK(strlen(span.name) < 65536);
		if (span.end < WJ_TZ_FOREVER / 4) {
			struct wj_tz_span after;

			wj_tz_find(zone, span.end, &after);
			CHECK(after.start <= span.end && after.end > span.end);
		}
		wj_tz_strip_leaps(zone, t, &hit);
		wj_tz_add_leaps(zone, t);
		if (wj_localtime(zone, t, &tm))
			continue;
		again = tm;
		if (!wj_mktime(zone, &again, &back))
			CHECK(again.mon >= 0 && again.mon < 12 && again.sec <= 60);
	}
}

static void fuzz_tzif(const struct seed *in)
{
	struct wj_tz_zone *zone;

	if (wj_tz_parse_file(in->data, in->size, &zone))
		return;
	probe_zone(zone);
	wj_tz_destroy(zone);
}

static void fuzz_rule(const struct seed *in)
{
	struct wj_str text = { (const char *)in->data, in->size };
	struct wj_tz_zone *zone;
	struct wj_tz_rule rule;

	if (wj_tz_parse_rule(text, &rule) || wj_tz_from_rule(&rule, &zone))
		return;
	probe_zone(zone);
	wj_tz_destroy(zone);
}

static bool is_name(const u8 *name)
{
	size_t at = 0;

	while (at < WJ_DNS_NAME_MAX && name[at] && name[at] < 64)
		at += name[at] + 1u;
	return at < WJ_DNS_NAME_MAX && !name[at];
}

static void fuzz_dns(const struct seed *in)
{
	static const u16 types[] = { WJ_DNS_A, WJ_DNS_AAAA, WJ_DNS_PTR };
	struct wj_dns_records *records = malloc(sizeof(*records));
	u8 asked[WJ_DNS_NAME_MAX], name[WJ_DNS_NAME_MAX], rcode;
	char text[WJ_DNS_TEXT_SIZE];
	size_t i, next;

	CHECK(wj_dns_name_from_text(wj_str_of("www.example.com"), asked));
	for (i = 0; i < ARRAY_SIZE(types); i++) {
		if (in->size >= 2)
			wj_dns_check(in->data, in->size, (u16)(in->data[0] << 8 | in->data[1]),
				     asked, types[i], &rcode);
		wj_dns_records_read(in->data, in->size, asked, types[i], records);
		CHECK(records->count <= WJ_DNS_RECORDS_MAX);
		CHECK(is_name(records->canonical));
		if (records->count && types[i] == WJ_DNS_PTR)
			CHECK(is_name(records->target));
		wj_dns_name_to_text(records->canonical, text);
		CHECK(strlen(text) < sizeof(text));
	}
	for (i = 0; i < in->size; i++)
		if (wj_dns_name_read(in->data, in->size, i, name, &next))
			CHECK(is_name(name) && next <= in->size);
	free(records);
}

/* ---- Files, through a descriptor's path ---- */

static int file = -1;
static char file_path[32];

static void put_file(const struct seed *in)
{
	if (file < 0) {
		file = memfd_create("fuzz", 0);
		snprintf(file_path, sizeof(file_path), "/proc/self/fd/%d", file);
	}
	CHECK(!ftruncate(file, 0) && pwrite(file, in->data, in->size, 0) == (ssize_t)in->size);
}

static void fuzz_hosts(const struct seed *in)
{
	struct wj_address address[4], one = { .family = WJ_AF_INET, .ip = { 127, 0, 0, 1 } };
	struct wj_hosts_query query = { wj_str_of("localhost"), true, true, address, 4 };
	char name[WJ_HOST_SIZE];
	u32 count;

	put_file(in);
	wj_hosts_by_name(&process, file_path, &query, &count, name);
	CHECK(count <= 4);
	if (!wj_hosts_by_address(&process, file_path, &one, name))
		CHECK(strlen(name) < sizeof(name));
}

static void fuzz_services(const struct seed *in)
{
	char name[WJ_SERVICE_SIZE];
	u16 port;

	put_file(in);
	wj_service_by_name(&process, file_path, wj_str_of("http"), WJ_IPPROTO_TCP, &port);
	if (!wj_service_by_port(&process, file_path, 53, WJ_IPPROTO_UDP, name))
		CHECK(strlen(name) < sizeof(name));
}

static void fuzz_resolv(const struct seed *in)
{
	struct wj_resolver resolver = { .conf_path = file_path };
	struct wj_resolv_conf *conf = malloc(sizeof(*conf));
	u32 i;

	put_file(in);
	CHECK(!wj_resolv_conf_read(&process, &resolver, conf));
	CHECK(conf->server_count >= 1 && conf->server_count <= WJ_RESOLV_SERVERS);
	CHECK(conf->search_count <= WJ_RESOLV_SEARCH);
	CHECK(conf->attempts >= 1 && conf->attempts <= 5 && conf->timeout_ms <= 30000);
	for (i = 0; i < conf->search_count; i++)
		CHECK(strlen(conf->search[i]) < WJ_DNS_TEXT_SIZE);
	free(conf);
}

static void fuzz_passwd(const struct seed *in)
{
	struct wj_passwd pw;
	struct wj_group gr;
	u32 groups[8], count;
	u64 offset = 0, before;
	char buf[256];

	put_file(in);
	wj_getpwnam(&process, file_path, "nobody", buf, below(sizeof(buf)), &pw);
	wj_getgrgid(&process, file_path, 0, buf, below(sizeof(buf)), &gr);
	wj_getgrouplist(&process, file_path, "root", 0, groups, 8, &count);
	CHECK(count >= 1);
	do {
		before = offset;
	} while (!wj_getgrent(&process, file_path, &offset, buf, sizeof(buf), &gr) &&
		 offset > before);
	CHECK(offset <= in->size);
}

/* The input is a format, NUL, text, NUL. */
static void fuzz_format(const struct seed *in)
{
	char *copy = calloc(1, in->size + 2), out[128];
	size_t size = below(sizeof(out)), n;
	struct wj_tm tm = { 0 };
	s32 *field = &tm.sec;
	long used;
	int i;

	memcpy(copy, in->data, in->size);
	for (i = 0; i < 10; i++)
		field[i] = (s32)(next_random() >> (32 + below(32)));
	memset(out, 'x', sizeof(out));
	n = wj_strftime(out, size, copy, &tm);
	CHECK(!size ? !n : n < size && memchr(out, 0, size));
	CHECK(out[size] == 'x');
	used = wj_strptime(copy + strlen(copy) + 1, copy, NULL, &tm);
	CHECK(used == -EINVAL || (used >= 0 && (size_t)used <= in->size));
	free(copy);
}

static const struct {
	const char *name;
	void (*run)(const struct seed *in);
} targets[] = {
	{ "tzif", fuzz_tzif },
	{ "rule", fuzz_rule },
	{ "dns", fuzz_dns },
	{ "hosts", fuzz_hosts },
	{ "services", fuzz_services },
	{ "resolv", fuzz_resolv },
	{ "passwd", fuzz_passwd },
	{ "format", fuzz_format },
};

int host_fuzz(int argc, char **argv)
{
	static struct seed seeds[64];
	size_t count = 0, target;
	long rounds;
	int i;

	CHECK(argc > 4);
	rounds = strtol(argv[2], NULL, 0);
	state = strtoull(argv[3], NULL, 0);
	for (i = 4; i < argc && count < 64; i++)
		seeds[count++] = load(argv[i]);
	for (target = 0; target < ARRAY_SIZE(targets); target++)
		if (!strcmp(targets[target].name, argv[1]))
			break;
	CHECK(target < ARRAY_SIZE(targets));
	while (rounds--) {
		struct seed in = mutate(seeds, count);

		targets[target].run(&in);
		free(in.data);
	}
	while (count)
		free(seeds[--count].data);
	return 0;
}
