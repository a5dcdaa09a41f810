// SPDX-License-Identifier: GPL-2.0-only
/*
 * The Gregorian calendar, proleptic in both directions, and local time on top of wj_tz.h.
 *
 * Days are counted from 0000-03-01, so that the leap day ends a year, a century and the
 * cycle of 400 years (146,097 days).
 */
#include "wj_time.h"
#include "wj_tz.h"

#define DAYS_PER_400_YEARS	146097
#define DAYS_PER_100_YEARS	36524
#define DAYS_PER_4_YEARS	1461
/* From 0000-03-01 to 1970-01-01. */
#define EPOCH_DAY		719468
#define DAY			86400

/* Years that fit in tm->year lie well within: nothing below can overflow. */
#define SECONDS_LIMIT		(1ll << 57)

static s64 floor_div(s64 a, s64 b)
{
	s64 q = a / b;

	return a % b < 0 ? q - 1 : q;
}

bool wj_is_leap(s64 year)
{
	return !(year % 4) && (year % 100 || !(year % 400));
}

s64 wj_days_from_date(s64 year, u32 month, s64 day)
{
	/* Months from March: each pair of five has 153 days, so (153 m + 2) / 5 counts them. */
	u32 m = (month + 10) % 12;
	s64 y = month < 2 ? year - 1 : year;
	s64 cycle = floor_div(y, 400);
	s64 in_cycle = y - cycle * 400;

	return cycle * DAYS_PER_400_YEARS + in_cycle * 365 + in_cycle / 4 - in_cycle / 100 +
	       (153 * m + 2) / 5 + day - 1 - EPOCH_DAY;
}

s64 wj_tm_to_seconds(const struct wj_tm *tm)
{
	s64 carry = floor_div(tm->mon, 12);
	u32 month = (u32)(tm->mon - carry * 12);
	s64 days = wj_days_from_date(1900ll + tm->year + carry, month, tm->mday);

	return days * DAY + tm->hour * 3600ll + tm->min * 60ll + tm->sec;
}

static void set_zone(struct wj_tm *tm, const char *zone)
{
	size_t n = wj_min_size(strlen(zone), WJ_TZNAME_MAX);

	memset(tm->zone, 0, sizeof(tm->zone));
	memcpy(tm->zone, zone, n);
}

int wj_gmtime(s64 t, const char *zone, struct wj_tm *tm)
{
	s64 days, cycle, year;
	s32 second, day, century, quad, y, m;
	bool leap;

	if (t < -SECONDS_LIMIT || t > SECONDS_LIMIT)
		return -EOVERFLOW;
	days = floor_div(t, DAY);
	second = (s32)(t - days * DAY);
	cycle = floor_div(days + EPOCH_DAY, DAYS_PER_400_YEARS);
	day = (s32)(days + EPOCH_DAY - cycle * DAYS_PER_400_YEARS);

	/* The last century and the last year of four own the leap day. */
	century = day / DAYS_PER_100_YEARS;
	if (century == 4)
		century = 3;
	day -= century * DAYS_PER_100_YEARS;
	quad = day / DAYS_PER_4_YEARS;
	day -= quad * DAYS_PER_4_YEARS;
	y = day / 365;
	if (y == 4)
		y = 3;
	day -= y * 365;
	m = (5 * day + 2) / 153;
	year = cycle * 400 + century * 100 + quad * 4 + y;
	leap = wj_is_leap(year);
	if (m >= 10)
		year++;
	if (year - 1900 < -2147483648ll || year - 1900 > 2147483647ll)
		return -EOVERFLOW;

	tm->year = (s32)(year - 1900);
	tm->mon = m < 10 ? m + 2 : m - 10;
	tm->mday = day - (153 * m + 2) / 5 + 1;
	tm->yday = m < 10 ? day + 59 + leap : day - 306;
	tm->wday = (s32)(days + 4 - floor_div(days + 4, 7) * 7);
	tm->hour = second / 3600;
	tm->min = second / 60 % 60;
	tm->sec = second % 60;
	tm->isdst = 0;
	tm->gmtoff = 0;
	set_zone(tm, zone);
	return 0;
}

int wj_timegm(struct wj_tm *tm, s64 *ret)
{
	s64 t = wj_tm_to_seconds(tm);
	int err = wj_gmtime(t, "GMT", tm);

	if (!err)
		*ret = t;
	return err;
}

int wj_localtime(const struct wj_tz_zone *zone, s64 t, struct wj_tm *tm)
{
	struct wj_tz_span span;
	s32 leap_second;
	int err;

	if (t < -SECONDS_LIMIT || t > SECONDS_LIMIT)
		return -EOVERFLOW;
	t = wj_tz_strip_leaps(zone, t, &leap_second);
	wj_tz_find(zone, t, &span);
	err = wj_gmtime(t + span.offset, span.name, tm);
	if (err)
		return err;
	tm->sec += leap_second;
	tm->isdst = span.dst;
	tm->gmtoff = span.offset;
	return 0;
}

/* Changes of the clock further away than this (34 years) do not count as neighbours. */
#define NEIGHBOUR_LIMIT		(1ll << 30)
#define NEIGHBOUR_SPANS		64
/* More changes than this within four days are not looked at. */
#define CANDIDATE_SPANS		64

/*
 * isdst contradicts the zone at `t`: take the offset that was or will be in force at the
 * nearest time when isdst is right.
 */
static bool find_dst_neighbour(const struct wj_tz_zone *zone, s64 t, bool dst, s32 *offset)
{
	struct wj_tz_span span, next;
	s64 before = NEIGHBOUR_LIMIT, after = NEIGHBOUR_LIMIT;
	s32 offset_before = 0, offset_after = 0;
	int i;

	wj_tz_find(zone, t, &span);
	for (i = 0, next = span; i < NEIGHBOUR_SPANS && next.start > t - NEIGHBOUR_LIMIT; i++) {
		s64 end = next.start;

		wj_tz_find(zone, end - 1, &next);
		if (next.dst == dst) {
			before = t - end;
			offset_before = next.offset;
			break;
		}
	}
	for (i = 0, next = span; i < NEIGHBOUR_SPANS && next.end < t + NEIGHBOUR_LIMIT; i++) {
		wj_tz_find(zone, next.end, &next);
		if (next.dst == dst) {
			after = next.start - t;
			offset_after = next.offset;
			break;
		}
	}
	if (before >= NEIGHBOUR_LIMIT && after >= NEIGHBOUR_LIMIT)
		return false;
	*offset = before <= after ? offset_before : offset_after;
	return true;
}

/*
 * Finds the UTC time of which `local` is the local time.  All spans whose UTC times could
 * map there are tried; each yields at most one answer.
 */
static s64 local_to_utc(const struct wj_tz_zone *zone, s64 local, s32 isdst)
{
	struct wj_tz_span span;
	s64 first = 0, before_gap = 0, after_gap = 0;
	bool have_first = false, have_gap = false, gap_dst[2] = { false, false };
	s32 offset;
	int i;

	wj_tz_find(zone, local - WJ_TZ_OFFSET_MAX, &span);
	for (i = 0; i < CANDIDATE_SPANS; i++) {
		struct wj_tz_span next;
		s64 t = local - span.offset;
		bool last = span.end > local + WJ_TZ_OFFSET_MAX;

		if (t >= span.start && t < span.end) {
			if (!have_first)
				first = t;
			have_first = true;
			if (isdst < 0 || span.dst == (isdst > 0))
				return t;
		}
		if (last)
			break;
		wj_tz_find(zone, span.end, &next);
		/* At the change from span to next the clock jumps over `local`. */
		if (!have_gap && t >= span.end && local - next.offset < span.end) {
			have_gap = true;
			before_gap = t;
			after_gap = local - next.offset;
			gap_dst[0] = span.dst;
			gap_dst[1] = next.dst;
		}
		span = next;
	}
	if (!have_first && have_gap) {
		if (isdst >= 0 && gap_dst[0] != (isdst > 0) && gap_dst[1] == (isdst > 0))
			return after_gap;
		return before_gap;
	}
	if (!have_first)		/* more than CANDIDATE_SPANS changes */
		first = local - span.offset;
	if (isdst >= 0 && find_dst_neighbour(zone, first, isdst > 0, &offset))
		return local - offset;
	return first;
}

int wj_mktime(const struct wj_tz_zone *zone, struct wj_tm *tm, s64 *ret)
{
	s64 local = wj_tm_to_seconds(tm);
	struct wj_tm new;
	s64 t;
	int err;

	if (local < -SECONDS_LIMIT || local > SECONDS_LIMIT)
		return -EOVERFLOW;
	t = wj_tz_add_leaps(zone, local_to_utc(zone, local, tm->isdst));
	err = wj_localtime(zone, t, &new);
	if (err)
		return err;
	*tm = new;
	*ret = t;
	return 0;
}
