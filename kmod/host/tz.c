// SPDX-License-Identifier: GPL-2.0-only
/* Time zones; see wj_tz.h. */
#include "wj_tz.h"

#define HOUR			3600
#define DAY			86400
#define SECOND_NS		1000000000ull

#define DEFAULT_TZDIR		"/usr/share/zoneinfo"
#define LOCALTIME_PATH		"/etc/localtime"

struct type {
	s32 offset;
	u8 dst;
	u8 name;			/* index of its abbreviation */
};

struct leap {
	s64 at;				/* with the leap seconds before it */
	s64 correction;			/* from `at` on */
};

/* The arrays follow in the same allocation. */
struct wj_tz_zone {
	u32 change_count, type_count, leap_count, name_size;
	s64 *change;			/* ascending, without leap seconds */
	struct leap *leap;
	struct type *type;
	u8 *change_type;		/* in force from change[i] on */
	char *names;			/* abbreviations, each with a NUL */
	bool has_rule;			/* for the time after the last change */
	struct wj_tz_rule rule;
};

static const struct wj_tz_zone utc = {
	.has_rule = true,
	.rule = { .std = "UTC" },
};

const struct wj_tz_zone *wj_tz_utc(void)
{
	return &utc;
}

/* ---- POSIX TZ strings ---- */

static bool take(struct wj_str *s, char c)
{
	if (!s->n || *s->p != c)
		return false;
	s->p++;
	s->n--;
	return true;
}

/* One to `digits` digits; -1 if there is none or the value is above `max`. */
static s32 take_number(struct wj_str *s, int digits, s32 max)
{
	s32 value = 0;
	int i;

	for (i = 0; i < digits && s->n && wj_is_digit(*s->p); i++) {
		value = value * 10 + (*s->p - '0');
		s->p++;
		s->n--;
	}
	return i && value <= max ? value : -1;
}

/* [+-]hh[:mm[:ss]] */
static bool take_time(struct wj_str *s, s32 max_hours, s32 *ret)
{
	bool negative = take(s, '-');
	s32 hours, minutes = 0, seconds = 0;

	if (!negative)
		take(s, '+');
	hours = take_number(s, 3, max_hours);
	if (hours >= 0 && take(s, ':')) {
		minutes = take_number(s, 2, 59);
		if (minutes >= 0 && take(s, ':'))
			seconds = take_number(s, 2, 59);
	}
	if (hours < 0 || minutes < 0 || seconds < 0)
		return false;
	*ret = hours * HOUR + minutes * 60 + seconds;
	if (negative)
		*ret = -*ret;
	return true;
}

/* Three letters or more, or <letters, digits and signs>. */
static bool take_name(struct wj_str *s, char name[WJ_TZNAME_MAX + 1])
{
	bool quoted = take(s, '<');
	size_t n = 0;

	while (n < s->n && (wj_is_alpha(s->p[n]) ||
			    (quoted && (wj_is_digit(s->p[n]) || s->p[n] == '+' ||
					s->p[n] == '-'))))
		n++;
	if (n < 3)
		return false;
	memset(name, 0, WJ_TZNAME_MAX + 1);
	memcpy(name, s->p, wj_min_size(n, WJ_TZNAME_MAX));
	s->p += n;
	s->n -= n;
	return !quoted || take(s, '>');
}

/* Jn, n or Mm.w.d, then perhaps /time. */
static bool take_change(struct wj_str *s, struct wj_tz_change *ret)
{
	s32 day, week = 0, month = 0;

	if (take(s, 'M')) {
		ret->kind = WJ_TZ_MONTH;
		month = take_number(s, 2, 12);
		if (month < 1 || !take(s, '.'))
			return false;
		week = take_number(s, 1, 5);
		if (week < 1 || !take(s, '.'))
			return false;
		day = take_number(s, 1, 6);
	} else if (take(s, 'J')) {
		ret->kind = WJ_TZ_JULIAN;
		day = take_number(s, 3, 365);
		if (!day)
			return false;
	} else {
		ret->kind = WJ_TZ_ORDINAL;
		day = take_number(s, 3, 365);
	}
	if (day < 0)
		return false;
	ret->day = (u16)day;
	ret->week = (u8)week;
	ret->month = (u8)month;
	ret->second = 2 * HOUR;
	/* RFC 8536 section 3.3.1 extends POSIX's 0..24 hours. */
	return !take(s, '/') || take_time(s, 167, &ret->second);
}

int wj_tz_parse_rule(struct wj_str s, struct wj_tz_rule *ret)
{
	/* What POSIX leaves open: the United States' rule, as in tzcode. */
	static const struct wj_tz_change us_start = { WJ_TZ_MONTH, 0, 3, 2, 2 * HOUR };
	static const struct wj_tz_change us_end = { WJ_TZ_MONTH, 0, 11, 1, 2 * HOUR };

	memset(ret, 0, sizeof(*ret));
	if (!take_name(&s, ret->std) || !take_time(&s, 24, &ret->std_offset))
		return -EINVAL;
	ret->std_offset = -ret->std_offset;
	if (!s.n)
		return 0;
	if (!take_name(&s, ret->dst))
		return -EINVAL;
	ret->has_dst = true;
	ret->dst_offset = ret->std_offset + HOUR;
	if (s.n && *s.p != ',') {
		if (!take_time(&s, 24, &ret->dst_offset))
			return -EINVAL;
		ret->dst_offset = -ret->dst_offset;
	}
	ret->start = us_start;
	ret->end = us_end;
	if (!s.n)
		return 0;
	if (!take(&s, ',') || !take_change(&s, &ret->start) ||
	    !take(&s, ',') || !take_change(&s, &ret->end) || s.n)
		return -EINVAL;
	return 0;
}

/* When the change happens in that year, by the clock that is then in force. */
static s64 change_in_year(const struct wj_tz_change *change, s64 year)
{
	s64 first = wj_days_from_date(year, 0, 1);
	s64 day = 0, next;
	s32 weekday;

	switch (change->kind) {
	case WJ_TZ_JULIAN:
		day = first + change->day - 1;
		if (change->day >= 60 && wj_is_leap(year))
			day++;
		break;
	case WJ_TZ_ORDINAL:
		day = first + change->day;
		break;
	case WJ_TZ_MONTH:
		first = wj_days_from_date(year, change->month - 1u, 1);
		next = change->month == 12 ? wj_days_from_date(year + 1, 0, 1) :
		       wj_days_from_date(year, change->month, 1);
		/* 1970-01-01 was a Thursday. */
		weekday = (s32)((first + 4) % 7);
		if (weekday < 0)
			weekday += 7;
		day = first + (change->day - weekday + 7) % 7 + 7 * (change->week - 1);
		if (day >= next)	/* week 5 is the last */
			day -= 7;
		break;
	}
	return day * DAY + change->second;
}

static void find_by_rule(const struct wj_tz_rule *rule, s64 t, struct wj_tz_span *ret)
{
	s64 day = t / DAY;
	/* Within one of the right year; a change can be 8 days away from its year. */
	s64 year = 1970 + day * 400 / 146097;
	bool dst = false;
	s64 y;
	int i;

	ret->start = -WJ_TZ_FOREVER;
	ret->end = WJ_TZ_FOREVER;
	if (rule->has_dst && t > -WJ_TZ_FOREVER / 16 && t < WJ_TZ_FOREVER / 16) {
		for (y = year - 3; y <= year + 3; y++) {
			for (i = 0; i < 2; i++) {
				s64 at = i ? change_in_year(&rule->end, y) - rule->dst_offset :
					     change_in_year(&rule->start, y) - rule->std_offset;

				if (at > t) {
					if (at < ret->end)
						ret->end = at;
				} else if (at >= ret->start) {
					/* Of two at the same time the later year's counts:
					 * that is how "all year" is written.
					 */
					ret->start = at;
					dst = !i;
				}
			}
		}
	}
	ret->dst = dst;
	ret->offset = dst ? rule->dst_offset : rule->std_offset;
	ret->name = dst ? rule->dst : rule->std;
}

/* ---- Zones ---- */

void wj_tz_find(const struct wj_tz_zone *zone, s64 t, struct wj_tz_span *ret)
{
	u32 n = zone->change_count, low = 0, high = n;
	const struct type *type;

	/* Below: change[low - 1] <= t < change[high]. */
	while (low < high) {
		u32 middle = low + (high - low) / 2;

		if (zone->change[middle] <= t)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == n && zone->has_rule) {
		find_by_rule(&zone->rule, t, ret);
		if (n && ret->start < zone->change[n - 1])
			ret->start = zone->change[n - 1];
		return;
	}
	/* Before the first change it is type 0 (RFC 8536 section 3.2). */
	type = &zone->type[low ? zone->change_type[low - 1] : 0];
	ret->start = low ? zone->change[low - 1] : -WJ_TZ_FOREVER;
	ret->end = low < n ? zone->change[low] : WJ_TZ_FOREVER;
	ret->offset = type->offset;
	ret->dst = type->dst;
	ret->name = zone->names + type->name;
}

s64 wj_tz_strip_leaps(const struct wj_tz_zone *zone, s64 t, s32 *hit)
{
	const struct leap *leap = zone->leap;
	u32 i = zone->leap_count;

	*hit = 0;
	while (i && t < leap[i - 1].at)
		i--;
	if (!i)
		return t;
	/* At leap.at itself the clock shows :60. */
	if (t == leap[i - 1].at && leap[i - 1].correction > (i > 1 ? leap[i - 2].correction : 0))
		*hit = 1;
	return t - leap[i - 1].correction;
}

s64 wj_tz_add_leaps(const struct wj_tz_zone *zone, s64 t)
{
	const struct leap *leap = zone->leap;
	u32 i = zone->leap_count;

	while (i && t <= leap[i - 1].at - leap[i - 1].correction)
		i--;
	return i ? t + leap[i - 1].correction : t;
}

void wj_tz_info(const struct wj_tz_zone *zone, struct wj_tz_info *ret)
{
	const struct type *std = NULL, *dst = NULL;
	const struct wj_tz_rule *rule = &zone->rule;
	u32 i;

	memset(ret, 0, sizeof(*ret));
	if (zone->has_rule) {
		ret->timezone = -rule->std_offset;
		ret->daylight = rule->has_dst;
		memcpy(ret->name[0], rule->std, sizeof(rule->std));
		memcpy(ret->name[1], rule->has_dst ? rule->dst : rule->std, sizeof(rule->std));
		return;
	}
	/* The latest of each kind; if there is no change there is only type 0. */
	for (i = zone->change_count; i-- && !(std && dst);) {
		const struct type *type = &zone->type[zone->change_type[i]];

		if (type->dst && !dst)
			dst = type;
		if (!type->dst && !std)
			std = type;
	}
	if (!std)
		std = dst ? dst : &zone->type[0];
	ret->timezone = -std->offset;
	ret->daylight = dst != NULL;
	if (!dst)
		dst = std;
	wj_str_copy(ret->name[0], sizeof(ret->name[0]), wj_str_of(zone->names + std->name));
	wj_str_copy(ret->name[1], sizeof(ret->name[1]), wj_str_of(zone->names + dst->name));
}

/* ---- TZif ---- */

#define HEADER_SIZE		44

struct header {
	u32 isut_count, isstd_count, leap_count, change_count, type_count, name_size;
	u8 version;
};

static u32 get_be32(const u8 *p)
{
	return (u32)p[0] << 24 | (u32)p[1] << 16 | (u32)p[2] << 8 | p[3];
}

static s64 get_be_time(const u8 *p, u32 width)
{
	if (width == 4)
		return (s32)get_be32(p);
	return (s64)((u64)get_be32(p) << 32 | get_be32(p + 4));
}

static bool parse_header(const u8 *data, size_t size, struct header *ret)
{
	if (size < HEADER_SIZE || memcmp(data, "TZif", 4))
		return false;
	ret->version = data[4];
	ret->isut_count = get_be32(data + 20);
	ret->isstd_count = get_be32(data + 24);
	ret->leap_count = get_be32(data + 28);
	ret->change_count = get_be32(data + 32);
	ret->type_count = get_be32(data + 36);
	ret->name_size = get_be32(data + 40);
	return true;
}

/* Of the data after the header; 64 bits hold it whatever the counts are. */
static u64 data_size(const struct header *h, u32 width)
{
	return (u64)h->change_count * (width + 1) + (u64)h->type_count * 6 + h->name_size +
	       (u64)h->leap_count * (width + 4) + h->isstd_count + h->isut_count;
}

static s64 clamp_time(s64 t)
{
	if (t < -WJ_TZ_FOREVER)
		return -WJ_TZ_FOREVER;
	return t > WJ_TZ_FOREVER ? WJ_TZ_FOREVER : t;
}

/* One block for the zone and its arrays, the widest first so that all are aligned. */
static struct wj_tz_zone *zone_create(const struct header *h)
{
	size_t changes = (size_t)h->change_count * sizeof(s64);
	size_t leaps = (size_t)h->leap_count * sizeof(struct leap);
	size_t types = (size_t)h->type_count * sizeof(struct type);
	struct wj_tz_zone *zone;
	u8 *tail;

	/* The counts were checked against a file of at most WJ_TZ_FILE_MAX bytes. */
	zone = wj_alloc(sizeof(*zone) + changes + leaps + types + h->change_count +
			h->name_size);
	if (!zone)
		return NULL;
	tail = (u8 *)(zone + 1);
	zone->change = (s64 *)tail;
	zone->leap = (struct leap *)(tail + changes);
	zone->type = (struct type *)(tail + changes + leaps);
	zone->change_type = tail + changes + leaps + types;
	zone->names = (char *)zone->change_type + h->change_count;
	zone->change_count = h->change_count;
	zone->leap_count = h->leap_count;
	zone->type_count = h->type_count;
	zone->name_size = h->name_size;
	return zone;
}

void wj_tz_destroy(struct wj_tz_zone *zone)
{
	wj_free(zone);
}

/* Fills in what `data`, of exactly the size that `h` implies, says; false if it is wrong. */
static bool parse_data(struct wj_tz_zone *zone, const u8 *data, u32 width)
{
	u32 n = zone->change_count, i;
	const u8 *types = data + (size_t)n * (width + 1);
	const u8 *names = types + (size_t)zone->type_count * 6;
	const u8 *leaps = names + zone->name_size;
	s32 hit;

	memcpy(zone->names, names, zone->name_size);
	if (zone->names[zone->name_size - 1])
		return false;
	for (i = 0; i < zone->type_count; i++, types += 6) {
		s32 offset = (s32)get_be32(types);

		if (offset < -WJ_TZ_OFFSET_MAX || offset > WJ_TZ_OFFSET_MAX ||
		    types[4] > 1 || types[5] >= zone->name_size)
			return false;
		zone->type[i].offset = offset;
		zone->type[i].dst = types[4];
		zone->type[i].name = types[5];
	}
	for (i = 0; i < zone->leap_count; i++, leaps += width + 4) {
		zone->leap[i].at = clamp_time(get_be_time(leaps, width));
		zone->leap[i].correction = (s32)get_be32(leaps + width);
		if (i && zone->leap[i].at <= zone->leap[i - 1].at)
			return false;
	}
	for (i = 0; i < n; i++) {
		s64 at = clamp_time(get_be_time(data + (size_t)i * width, width));

		zone->change[i] = wj_tz_strip_leaps(zone, at, &hit);
		zone->change_type[i] = data[(size_t)n * width + i];
		if (zone->change_type[i] >= zone->type_count ||
		    (i && zone->change[i] <= zone->change[i - 1]))
			return false;
	}
	return true;
}

/* "\n" TZ string "\n"; an empty string says nothing. */
static bool parse_footer(struct wj_tz_zone *zone, const u8 *data, size_t size)
{
	struct wj_str s = { (const char *)data, size }, rest;

	if (!size)
		return true;
	if (!take(&s, '\n') || !wj_cut(&s, '\n', &rest))
		return false;
	if (!s.n)
		return true;
	zone->has_rule = !wj_tz_parse_rule(s, &zone->rule);
	return zone->has_rule;
}

int wj_tz_parse_file(const u8 *data, size_t size, struct wj_tz_zone **ret)
{
	struct wj_tz_zone *zone;
	struct header h;
	u32 width = 4;
	u64 need;

	if (size > WJ_TZ_FILE_MAX || !parse_header(data, size, &h))
		return -EINVAL;
	data += HEADER_SIZE;
	size -= HEADER_SIZE;
	need = data_size(&h, width);
	if (need > size)
		return -EINVAL;
	if (h.version >= '2') {
		/* The same again with 64-bit times; the first part is for old readers. */
		data += need;
		size -= (size_t)need;
		if (!parse_header(data, size, &h))
			return -EINVAL;
		data += HEADER_SIZE;
		size -= HEADER_SIZE;
		width = 8;
		need = data_size(&h, width);
		if (need > size)
			return -EINVAL;
	}
	if (!h.type_count || h.type_count > 256 || !h.name_size)
		return -EINVAL;
	zone = zone_create(&h);
	if (!zone)
		return -ENOMEM;
	if (!parse_data(zone, data, width) ||
	    (width == 8 && !parse_footer(zone, data + need, size - (size_t)need))) {
		wj_tz_destroy(zone);
		return -EINVAL;
	}
	*ret = zone;
	return 0;
}

int wj_tz_from_rule(const struct wj_tz_rule *rule, struct wj_tz_zone **ret)
{
	struct wj_tz_zone *zone = wj_alloc(sizeof(*zone));

	if (!zone)
		return -ENOMEM;
	zone->has_rule = true;
	zone->rule = *rule;
	*ret = zone;
	return 0;
}

static int zone_clone(const struct wj_tz_zone *src, struct wj_tz_zone **ret)
{
	struct header h = {
		.change_count = src->change_count, .type_count = src->type_count,
		.leap_count = src->leap_count, .name_size = src->name_size,
	};
	struct wj_tz_zone *zone = zone_create(&h);

	if (!zone)
		return -ENOMEM;
	zone->has_rule = src->has_rule;
	zone->rule = src->rule;
	if (src->type_count) {
		memcpy(zone->change, src->change, src->change_count * sizeof(s64));
		memcpy(zone->leap, src->leap, src->leap_count * sizeof(struct leap));
		memcpy(zone->type, src->type, src->type_count * sizeof(struct type));
		memcpy(zone->change_type, src->change_type, src->change_count);
		memcpy(zone->names, src->names, src->name_size);
	}
	*ret = zone;
	return 0;
}

/* ---- What TZ stands for ---- */

static void slot_clear(struct wj_tz_slot *slot)
{
	wj_tz_destroy(slot->zone);
	wj_free(slot->key);
	memset(slot, 0, sizeof(*slot));
}

void wj_tz_state_deinit(struct wj_tz_state *state)
{
	u32 i;

	for (i = 0; i < WJ_TZ_SLOTS; i++)
		slot_clear(&state->slot[i]);
	state->uses = 0;
}

int wj_tz_state_clone(struct wj_tz_state *dst, const struct wj_tz_state *src)
{
	u32 i;

	memset(dst, 0, sizeof(*dst));
	dst->uses = src->uses;
	for (i = 0; i < WJ_TZ_SLOTS; i++) {
		const struct wj_tz_slot *from = &src->slot[i];
		struct wj_tz_slot *to = &dst->slot[i];

		if (!from->zone)
			continue;
		*to = *from;
		to->key = wj_alloc(from->key_size);
		if (!to->key || zone_clone(from->zone, &to->zone)) {
			to->zone = NULL;
			wj_tz_state_deinit(dst);
			return -ENOMEM;
		}
		memcpy(to->key, from->key, from->key_size);
	}
	return 0;
}

static struct wj_tz_slot *find_slot(struct wj_tz_state *state, const char *tz,
				    const char *tzdir)
{
	size_t tz_size = strlen(tz) + 1, size = tz_size + strlen(tzdir) + 1;
	u32 i;

	for (i = 0; i < WJ_TZ_SLOTS; i++) {
		struct wj_tz_slot *slot = &state->slot[i];

		if (slot->zone && slot->key_size == size && !memcmp(slot->key, tz, tz_size) &&
		    !memcmp(slot->key + tz_size, tzdir, size - tz_size))
			return slot;
	}
	return NULL;
}

static struct wj_tz_slot *oldest_slot(struct wj_tz_state *state)
{
	struct wj_tz_slot *oldest = &state->slot[0];
	u32 i;

	for (i = 0; i < WJ_TZ_SLOTS; i++) {
		if (!state->slot[i].zone)
			return &state->slot[i];
		if (state->slot[i].used < oldest->used)
			oldest = &state->slot[i];
	}
	return oldest;
}

/* A name below the zone directory: nothing that climbs out of it, nothing hidden. */
static bool is_zone_name(const char *name)
{
	size_t i;

	for (i = 0; name[i]; i++) {
		char c = name[i];

		if (c == '.' && (!i || name[i - 1] == '/'))
			return false;
		if (!wj_is_alpha(c) && !wj_is_digit(c) && c != '/' && c != '_' && c != '-' &&
		    c != '+' && c != '.')
			return false;
	}
	return i && name[0] != '/';
}

/* The file that TZ names, or "" if it cannot name one. */
static void build_path(const char *tz, const char *tzdir, char *path)
{
	size_t n;

	path[0] = 0;
	if (*tz == ':')
		tz++;
	if (*tz == '/') {
		memcpy(path, tz, strlen(tz) + 1);
		return;
	}
	if (!is_zone_name(tz))
		return;
	n = strlen(tzdir);
	memcpy(path, tzdir, n);
	path[n] = '/';
	memcpy(path + n + 1, tz, strlen(tz) + 1);
}

static int load_file(struct wj_process *p, const char *path, struct wj_file_id *id,
		     struct wj_tz_zone **ret)
{
	u8 *data;
	size_t size;
	int err = wj_file_read(p, path, WJ_TZ_FILE_MAX, &data, &size, id);

	if (err)
		return err;
	err = wj_tz_parse_file(data, size, ret);
	wj_free(data);
	return err;
}

/* Errors that say nothing about the file. */
static bool is_transient(int err)
{
	return wj_is_restart(err) || err == -ENOMEM || err == -EMFILE || err == -ENFILE ||
	       err == -EFAULT;
}

/* A zone for TZ, whatever it is.  `id` is zero if there was no file. */
static int load(struct wj_process *p, const char *tz, const char *path, struct wj_file_id *id,
		struct wj_tz_zone **ret)
{
	struct wj_tz_rule rule;
	int err;

	memset(id, 0, sizeof(*id));
	if (*path) {
		err = load_file(p, path, id, ret);
		if (!err || is_transient(err))
			return err;
	}
	if (*tz != ':' && !wj_tz_parse_rule(wj_str_of(tz), &rule))
		return wj_tz_from_rule(&rule, ret);
	return wj_tz_from_rule(&utc.rule, ret);
}

/* Takes over the zone, even if it fails. */
static int store(struct wj_tz_state *state, const char *tz, const char *tzdir,
		 struct wj_tz_zone *zone, struct wj_tz_slot **ret)
{
	struct wj_tz_slot *slot = find_slot(state, tz, tzdir);
	size_t tz_size = strlen(tz) + 1, size = tz_size + strlen(tzdir) + 1;
	char *key;

	if (slot) {
		wj_tz_destroy(slot->zone);
		slot->zone = zone;
		*ret = slot;
		return 0;
	}
	key = wj_alloc(size);
	if (!key) {
		wj_tz_destroy(zone);
		return -ENOMEM;
	}
	memcpy(key, tz, tz_size);
	memcpy(key + tz_size, tzdir, size - tz_size);
	slot = oldest_slot(state);
	slot_clear(slot);
	slot->key = key;
	slot->key_size = size;
	slot->zone = zone;
	*ret = slot;
	return 0;
}

/*
 * A zone not seen before, or one to compare with its file again.  No pointer into the
 * state is held over a system call, which may run a signal handler of the guest's.
 */
static int refresh(struct wj_process *p, struct wj_tz_state *state, const char *tz,
		   const char *tzdir, const char *path, u64 now)
{
	struct wj_tz_slot *slot = find_slot(state, tz, tzdir);
	struct wj_file_id id, old;
	struct wj_tz_zone *zone = NULL;
	int err;

	if (!slot) {
		err = load(p, tz, path, &id, &zone);
		if (err)
			return err;
	} else {
		old = slot->id;
		err = wj_file_stat(p, path, &id);
		if (!err && !wj_file_id_same(&id, &old))
			err = load_file(p, path, &id, &zone);
		if (wj_is_restart(err))
			return err;
		/* Gone or unreadable now: it stays, and is looked at again. */
		if (err)
			id = old;
		slot = find_slot(state, tz, tzdir);
	}
	if (zone) {
		err = store(state, tz, tzdir, zone, &slot);
		if (err)
			return err;
	}
	if (slot) {
		slot->id = id;
		slot->may_change = *path;
		slot->checked = now;
	}
	return 0;
}

int wj_tz_get(struct wj_process *p, struct wj_tz_state *state, const char *tz,
	      const char *tzdir, const struct wj_tz_zone **ret)
{
	struct wj_tz_slot *slot;
	u64 now = 0;
	int err;

	*ret = &utc;
	if (!tz)
		tz = ":" LOCALTIME_PATH;
	if (!tzdir || *tzdir != '/')
		tzdir = DEFAULT_TZDIR;
	if (!*tz || strlen(tz) > WJ_TZ_NAME_MAX || strlen(tzdir) > WJ_TZ_NAME_MAX)
		return 0;
	slot = find_slot(state, tz, tzdir);
	if (!slot || slot->may_change) {
		err = wj_now(p, true, &now);
		if (err)
			return err;
		slot = find_slot(state, tz, tzdir);
	}
	if (!slot || (slot->may_change && now - slot->checked >= SECOND_NS)) {
		char *path = wj_alloc(2 * (WJ_TZ_NAME_MAX + 1));

		if (!path)
			return -ENOMEM;
		build_path(tz, tzdir, path);
		err = refresh(p, state, tz, tzdir, path, now);
		wj_free(path);
		if (err)
			return err;
		slot = find_slot(state, tz, tzdir);
	}
	if (slot) {
		slot->used = ++state->uses;
		*ret = slot->zone;
	}
	return 0;
}
