/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Calendar time for guests: gmtime, localtime, mktime, timegm, strftime, strptime.
 *
 * Everything here is pure: no system call, no allocation, no state.  The time zone that
 * localtime and mktime want comes from wj_tz.h.
 */
#ifndef WJ_TIME_H
#define WJ_TIME_H

#include "platform.h"

/* Longest zone abbreviation kept, without its NUL; longer ones are cut. */
#define WJ_TZNAME_MAX 31

/* struct tm.  The fields have ISO C's meaning; zone replaces the pointer tm_zone. */
struct wj_tm {
	s32 sec, min, hour, mday, mon, year, wday, yday, isdst;
	s32 gmtoff;			/* seconds east of UTC */
	char zone[WJ_TZNAME_MAX + 1];
};

struct wj_tz_zone;

/*
 * Seconds since 1970 to the calendar, in UTC: isdst and gmtoff become 0, zone "GMT" or
 * "UTC" as `zone` says.  -EOVERFLOW if the year does not fit in tm->year; tm is unchanged.
 */
int wj_gmtime(s64 t, const char *zone, struct wj_tm *tm);

/*
 * The inverse: any fields, in and out of range, are taken as they are and normalised in
 * `tm`, wday and yday included.  -EOVERFLOW if the year no longer fits; tm is unchanged.
 */
int wj_timegm(struct wj_tm *tm, s64 *ret);

/* As wj_gmtime in the time zone: sets isdst, gmtoff and zone.  tm->sec may be 60. */
int wj_localtime(const struct wj_tz_zone *zone, s64 t, struct wj_tm *tm);

/*
 * As wj_timegm in the time zone.  A local time that occurs twice is resolved by
 * tm->isdst, else it is the earlier one; one that never occurs is read with the offset of
 * before the gap (as by ECMAScript and PEP 495), or, if isdst says so, of after it.
 */
int wj_mktime(const struct wj_tz_zone *zone, struct wj_tm *tm, s64 *ret);

/* The fields as if they were UTC, unnormalised; no combination overflows. */
s64 wj_tm_to_seconds(const struct wj_tm *tm);

/* Days since 1970-01-01 of a day in the Gregorian calendar; month 0..11, day from 1. */
s64 wj_days_from_date(s64 year, u32 month, s64 day);
bool wj_is_leap(s64 year);

/*
 * strftime in the C locale with musl's conversions, flags and widths, and %k %l %P, which
 * only glibc has.  `format` is NUL-terminated.  Returns the length without the NUL, or 0
 * if it does not fit in `size` bytes or the format is wrong; `s` is then a terminated
 * beginning of the result.  What musl would make of the pointer tm_zone is tm->zone.
 */
size_t wj_strftime(char *s, size_t size, const char *format, const struct wj_tm *tm);

/*
 * strptime in the C locale: musl's conversions and glibc's %F %G %g %k %l %P %s %u %V %z
 * %Z with E and O modifiers.  Both strings are NUL-terminated.  Returns how many bytes of
 * `s` were used, or -EINVAL where strptime returns NULL; fields that were matched before
 * are stored even then.  Fields that the format does not mention keep their values, but
 * wday and yday follow a complete date, and the date follows a year and yday, or a year,
 * week number and weekday, as in glibc.  %s uses `zone`; NULL means UTC.
 */
long wj_strptime(const char *s, const char *format, const struct wj_tz_zone *zone,
		 struct wj_tm *tm);

/*
 * Of the C locale, for both: names in full (three letters make the short ones), and what
 * %c %D %F %r %R %T %x and %X are short for (NULL for any other letter).
 */
extern const char wj_weekdays[7][10];
extern const char wj_months[12][10];
const char *wj_time_expansion(char c);

#endif
