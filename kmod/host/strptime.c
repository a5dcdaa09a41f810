// SPDX-License-Identifier: GPL-2.0-only
/*
 * strptime in the C locale.  What musl 1.2 accepts means here what it means there; what
 * only glibc accepts is understood too, see wj_time.h.
 */
#include "wj_text.h"
#include "wj_time.h"
#include "wj_tz.h"

/* The fields that have been read. */
#define HAVE_YEAR	1u
#define HAVE_MON	2u
#define HAVE_MDAY	4u
#define HAVE_YDAY	8u
#define HAVE_WDAY	16u
#define HAVE_CENTURY	32u		/* %C or %y: the year is put together at the end */
#define HAVE_SHORT_YEAR	64u
#define HAVE_HALF	128u		/* AM or PM */
#define HAVE_WEEK	256u
#define HAVE_DATE	(HAVE_YEAR | HAVE_MON | HAVE_MDAY)

struct parser {
	const char *s;
	struct wj_tm *tm;
	const struct wj_tz_zone *zone;
	u32 have;
	s32 century, short_year, week, week_start;
	bool afternoon;
};

static void skip_space(struct parser *in)
{
	while (wj_is_space(*in->s))
		in->s++;
}

/*
 * A number of at most `digits` digits, from min to max; leading space is skipped.  A digit
 * that would make too much of it is left, as by glibc: "%m%d" reads 230 as 2 and 30.
 */
static bool number(struct parser *in, u32 digits, s32 min, s32 max, s32 *ret)
{
	s64 value = 0;
	u32 i;

	skip_space(in);
	if (!wj_is_digit(*in->s))
		return false;
	for (i = 0; i < digits && wj_is_digit(*in->s) && value * 10 <= max; i++)
		value = value * 10 + (*in->s++ - '0');
	if (value < min || value > max)
		return false;
	*ret = (s32)value;
	return true;
}

/* With a sign, and any value that fits. */
static bool signed_number(struct parser *in, u32 digits, s32 *ret)
{
	bool negative;
	s64 value = 0;
	u32 i;

	skip_space(in);
	negative = *in->s == '-';
	if (negative || *in->s == '+')
		in->s++;
	if (!wj_is_digit(*in->s))
		return false;
	for (i = 0; i < digits && wj_is_digit(*in->s); i++) {
		value = value * 10 + (*in->s++ - '0');
		/* Leaves room for 1900 and for a century's hundredfold. */
		if (value > 2000000000)
			return false;
	}
	*ret = (s32)(negative ? -value : value);
	return true;
}

/* One of the names, in full or its first three letters. */
static bool name(struct parser *in, const char (*names)[10], s32 count, s32 *ret)
{
	s32 i;

	for (i = 0; i < count; i++) {
		size_t n = strlen(names[i]), k = 0;

		while (k < n && wj_lower((u8)in->s[k]) == wj_lower((u8)names[i][k]))
			k++;
		if (k < 3)
			continue;
		in->s += k == n ? n : 3;
		*ret = i;
		return true;
	}
	return false;
}

static bool half_of_day(struct parser *in)
{
	u8 first = wj_lower((u8)in->s[0]);

	if ((first != 'a' && first != 'p') || wj_lower((u8)in->s[1]) != 'm')
		return false;
	in->s += 2;
	in->afternoon = first == 'p';
	in->have |= HAVE_HALF;
	return true;
}

/* Seconds since 1970, which set everything. */
static bool epoch(struct parser *in)
{
	bool negative = *in->s == '-';
	s64 t = 0;

	if (negative)
		in->s++;
	if (!wj_is_digit(*in->s))
		return false;
	while (wj_is_digit(*in->s)) {
		t = t * 10 + (*in->s++ - '0');
		if (t > 1ll << 56)
			return false;
	}
	return !wj_localtime(in->zone, negative ? -t : t, in->tm);
}

/* Z, or +hh, +hhmm, +hh:mm. */
static bool utc_offset(struct parser *in)
{
	s32 hours, minutes = 0;
	bool negative;

	skip_space(in);
	if (*in->s == 'Z') {
		in->s++;
		in->tm->gmtoff = 0;
		return true;
	}
	negative = *in->s == '-';
	if (!negative && *in->s != '+')
		return false;
	in->s++;
	if (!wj_is_digit(in->s[0]) || !wj_is_digit(in->s[1]))
		return false;
	hours = (in->s[0] - '0') * 10 + (in->s[1] - '0');
	in->s += 2;
	if (*in->s == ':' && wj_is_digit(in->s[1]))
		in->s++;
	if (wj_is_digit(*in->s)) {
		if (!wj_is_digit(in->s[1]))
			return false;
		minutes = (in->s[0] - '0') * 10 + (in->s[1] - '0');
		in->s += 2;
	}
	if (minutes > 59)
		return false;
	in->tm->gmtoff = (hours * 60 + minutes) * 60;
	if (negative)
		in->tm->gmtoff = -in->tm->gmtoff;
	return true;
}

static bool week(struct parser *in, s32 first)
{
	in->week_start = first;
	in->have |= HAVE_WEEK;
	return number(in, 2, 0, 53, &in->week);
}

/* One conversion; `width` is -1 if none was given. */
static bool convert(struct parser *in, char c, s32 width)
{
	struct wj_tm *tm = in->tm;
	s32 ignored;

	switch (c) {
	case 'a':
	case 'A':
		in->have |= HAVE_WDAY;
		return name(in, wj_weekdays, 7, &tm->wday);
	case 'b':
	case 'B':
	case 'h':
		in->have |= HAVE_MON;
		return name(in, wj_months, 12, &tm->mon);
	case 'C':
		in->have |= HAVE_CENTURY;
		return signed_number(in, width < 0 ? 2 : (u32)width, &in->century) &&
		       in->century < 20000000 && in->century > -20000000;
	case 'd':
	case 'e':
		in->have |= HAVE_MDAY;
		return number(in, 2, 1, 31, &tm->mday);
	case 'g':
		return number(in, 2, 0, 99, &ignored);
	case 'G':
		return signed_number(in, 4, &ignored);
	case 'H':
	case 'k':
		return number(in, 2, 0, 23, &tm->hour);
	case 'I':
	case 'l':
		return number(in, 2, 1, 12, &tm->hour);
	case 'j':
		if (!number(in, 3, 1, 366, &tm->yday))
			return false;
		tm->yday--;
		in->have |= HAVE_YDAY;
		return true;
	case 'm':
		if (!number(in, 2, 1, 12, &tm->mon))
			return false;
		tm->mon--;
		in->have |= HAVE_MON;
		return true;
	case 'M':
		return number(in, 2, 0, 59, &tm->min);
	case 'n':
	case 't':
		skip_space(in);
		return true;
	case 'p':
	case 'P':
		return half_of_day(in);
	case 's':
		return epoch(in);
	case 'S':
		return number(in, 2, 0, 60, &tm->sec);
	case 'u':
		if (!number(in, 1, 1, 7, &tm->wday))
			return false;
		tm->wday %= 7;
		in->have |= HAVE_WDAY;
		return true;
	case 'U':
		return week(in, 0);
	case 'V':
		return number(in, 2, 0, 53, &ignored);
	case 'w':
		in->have |= HAVE_WDAY;
		return number(in, 1, 0, 6, &tm->wday);
	case 'W':
		return week(in, 1);
	case 'y':
		in->have |= HAVE_SHORT_YEAR;
		return signed_number(in, 2, &in->short_year);
	case 'Y':
		if (!signed_number(in, width < 0 ? 4 : (u32)width, &tm->year))
			return false;
		tm->year -= 1900;
		in->have &= ~(HAVE_CENTURY | HAVE_SHORT_YEAR);
		in->have |= HAVE_YEAR;
		return true;
	case 'z':
		return utc_offset(in);
	case 'Z':
		skip_space(in);
		while (*in->s && !wj_is_space(*in->s))
			in->s++;
		return true;
	case '%':
		return *in->s++ == '%';
	default:
		return false;
	}
}

/* Fields that follow from those that were read. */
static void complete(struct parser *in)
{
	struct wj_tm *tm = in->tm, date;
	s64 first;

	if (in->have & HAVE_HALF)
		tm->hour = tm->hour % 12 + (in->afternoon ? 12 : 0);
	if (in->have & (HAVE_CENTURY | HAVE_SHORT_YEAR)) {
		tm->year = in->short_year;
		if (in->have & HAVE_CENTURY)
			tm->year += in->century * 100 - 1900;
		else if (tm->year <= 68)
			tm->year += 100;
		in->have |= HAVE_YEAR;
	}
	if (!(in->have & HAVE_YEAR))
		return;
	first = wj_days_from_date(tm->year + 1900ll, 0, 1);
	if ((in->have & (HAVE_WEEK | HAVE_WDAY)) == (HAVE_WEEK | HAVE_WDAY) &&
	    (in->have & HAVE_DATE) != HAVE_DATE && !(in->have & HAVE_YDAY)) {
		/* 1970-01-01 was a Thursday. */
		s64 weekday = ((first + 4 - in->week_start) % 7 + 7) % 7;
		s64 day = (7 - weekday) % 7 + (in->week - 1) * 7ll +
			  (tm->wday - in->week_start + 7) % 7;

		tm->yday = (s32)day;
		in->have |= HAVE_YDAY;
	}
	if ((in->have & HAVE_DATE) == HAVE_DATE) {
		s64 day = wj_days_from_date(tm->year + 1900ll, (u32)tm->mon, tm->mday);

		if (!(in->have & HAVE_YDAY))
			tm->yday = (s32)(day - first);
		if (!(in->have & HAVE_WDAY))
			tm->wday = (s32)(((day + 4) % 7 + 7) % 7);
	} else if (in->have & HAVE_YDAY) {
		/* Perhaps a day of the year before, or after, where a week is shared. */
		if (wj_gmtime((first + tm->yday) * 86400, "", &date))
			return;
		if (!(in->have & HAVE_MON))
			tm->mon = date.mon;
		if (!(in->have & HAVE_MDAY))
			tm->mday = date.mday;
		if (!(in->have & HAVE_WDAY))
			tm->wday = date.wday;
	}
}

/* Flags of strftime, which mean nothing here, a width and a modifier. */
static const char *skip_modifiers(const char *f, s32 *width)
{
	*width = -1;
	while (*f == '-' || *f == '_' || *f == '0' || *f == '^' || *f == '#' || *f == '+')
		f++;
	if (wj_is_digit(*f)) {
		*width = 0;
		for (; wj_is_digit(*f); f++)
			if (*width < 1000000)
				*width = *width * 10 + (*f - '0');
	}
	if (*f == 'E' || *f == 'O')
		f++;
	return f;
}

long wj_strptime(const char *s, const char *format, const struct wj_tz_zone *zone,
		 struct wj_tm *tm)
{
	struct parser in = { .s = s, .tm = tm, .zone = zone ? zone : wj_tz_utc() };
	const char *after = NULL;	/* the format that a longer form interrupts */
	const char *longer;
	s32 width;

	for (;;) {
		if (!*format) {
			if (!after)
				break;
			format = after;
			after = NULL;
		} else if (wj_is_space(*format)) {
			skip_space(&in);
			format++;
		} else if (*format != '%') {
			if (*in.s != *format)
				return -EINVAL;
			in.s++;
			format++;
		} else {
			format = skip_modifiers(format + 1, &width);
			longer = wj_time_expansion(*format);
			if (longer) {
				/* Longer forms hold none themselves. */
				after = format + 1;
				format = longer;
				continue;
			}
			if (!convert(&in, *format, width))
				return -EINVAL;
			format++;
		}
	}
	complete(&in);
	return (long)(in.s - s);
}
