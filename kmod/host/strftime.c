// SPDX-License-Identifier: GPL-2.0-only
/*
 * strftime in the C locale.  The padding flags, widths and what happens to fields that are
 * out of range follow musl 1.2: guests are linked with it and have it in mind.
 */
#include "wj_text.h"
#include "wj_time.h"

struct output {
	char *buf;
	size_t size, at;		/* at <= size; == size: it did not fit */
};

static void put(struct output *out, char c)
{
	if (out->at < out->size)
		out->buf[out->at++] = c;
}

static void put_text(struct output *out, const char *text, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		put(out, text[i]);
}

const char wj_weekdays[7][10] = {
	"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"
};

const char wj_months[12][10] = {
	"January", "February", "March", "April", "May", "June",
	"July", "August", "September", "October", "November", "December"
};

/* What one conversion gives: text, or a number with the width and padding it has by default. */
struct field {
	const char *text;
	size_t text_size;		/* of text, if it is not a number */
	s64 number;
	u32 width;			/* 0: not a number */
	char pad;
	char digits[32];
};

static void set_text(struct field *field, const char *text, size_t n)
{
	field->text = text;
	field->text_size = n;
}

static void set_number(struct field *field, s64 number, u32 width, char pad)
{
	field->number = number;
	field->width = width;
	field->pad = pad;
}

/* As printf's %*d or %0*d would have it. */
static void render_number(struct field *field, char pad)
{
	u64 value = field->number < 0 ? 0 - (u64)field->number : (u64)field->number;
	char *end = field->digits + sizeof(field->digits), *p = end;
	u32 width = pad == '-' ? 1 : field->width;

	do {
		*--p = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	if (pad != '_')
		while ((u32)(end - p) + (field->number < 0) < width)
			*--p = '0';
	if (field->number < 0)
		*--p = '-';
	while ((u32)(end - p) < width)
		*--p = ' ';
	set_text(field, p, (size_t)(end - p));
}

/* Fields come from the guest: any value, so the sums are in 64 bits. */
static s64 modulo(s64 a, s64 b)
{
	s64 m = a % b;

	return m < 0 ? m + b : m;
}

/* Weeks start on weekday `first`; days before the first such day are in week 0. */
static s64 week_of_year(const struct wj_tm *tm, s64 first)
{
	return (tm->yday + 7ll - modulo(tm->wday - first, 7)) / 7;
}

/* ISO 8601: the year that the week's Thursday is in, and the week's number there. */
static s64 iso_week(const struct wj_tm *tm, s64 *year)
{
	s64 y = tm->year + 1900ll;
	/* Day of the year of this week's Thursday. */
	s64 thursday = (s64)tm->yday - modulo(tm->wday - 1ll, 7) + 3;
	s64 days = 365 + wj_is_leap(y);

	if (thursday < 0) {
		y--;
		thursday += 365 + wj_is_leap(y);
	} else if (thursday >= days) {
		y++;
		thursday -= days;
	}
	*year = y;
	return thursday / 7 + 1;
}

const char *wj_time_expansion(char c)
{
	switch (c) {
	case 'c':
		return "%a %b %e %H:%M:%S %Y";
	case 'D':
	case 'x':
		return "%m/%d/%y";
	case 'F':
		return "%Y-%m-%d";
	case 'r':
		return "%I:%M:%S %p";
	case 'R':
		return "%H:%M";
	case 'T':
	case 'X':
		return "%H:%M:%S";
	default:
		return NULL;
	}
}

static void name_field(struct field *field, s32 i, u32 count, const char (*names)[10],
		       size_t max)
{
	if (i < 0 || (u32)i >= count)
		set_text(field, "-", 1);
	else
		set_text(field, names[i], wj_min_size(strlen(names[i]), max));
}

static void offset_field(struct field *field, const struct wj_tm *tm)
{
	s64 offset = tm->gmtoff;
	s64 value = offset / 3600 * 100 + offset % 3600 / 60;

	if (tm->isdst < 0) {
		set_text(field, "", 0);
		return;
	}
	set_number(field, value < 0 ? -value : value, 4, '0');
	render_number(field, '0');
	/* There are at most 8 digits. */
	field->text--;
	field->text_size++;
	field->digits[sizeof(field->digits) - field->text_size] = value < 0 ? '-' : '+';
	field->width = 0;
}

static s64 twelve_hours(s32 hour)
{
	if (!hour)
		return 12;
	return hour > 12 ? hour - 12ll : hour;
}

/* False for what is no conversion. */
static bool convert(char c, const struct wj_tm *tm, struct field *field)
{
	s64 year = tm->year + 1900ll, week_year;

	field->width = 0;
	switch (c) {
	case 'a':
		name_field(field, tm->wday, 7, wj_weekdays, 3);
		break;
	case 'A':
		name_field(field, tm->wday, 7, wj_weekdays, 10);
		break;
	case 'b':
	case 'h':
		name_field(field, tm->mon, 12, wj_months, 3);
		break;
	case 'B':
		name_field(field, tm->mon, 12, wj_months, 10);
		break;
	case 'C':
		set_number(field, year / 100, 2, '0');
		break;
	case 'd':
		set_number(field, tm->mday, 2, '0');
		break;
	case 'e':
		set_number(field, tm->mday, 2, '_');
		break;
	case 'g':
		iso_week(tm, &week_year);
		set_number(field, week_year % 100, 2, '0');
		break;
	case 'G':
		iso_week(tm, &week_year);
		set_number(field, week_year, 4, '0');
		break;
	case 'H':
		set_number(field, tm->hour, 2, '0');
		break;
	case 'I':
		set_number(field, twelve_hours(tm->hour), 2, '0');
		break;
	case 'j':
		set_number(field, tm->yday + 1ll, 3, '0');
		break;
	case 'k':
		set_number(field, tm->hour, 2, '_');
		break;
	case 'l':
		set_number(field, twelve_hours(tm->hour), 2, '_');
		break;
	case 'm':
		set_number(field, tm->mon + 1ll, 2, '0');
		break;
	case 'M':
		set_number(field, tm->min, 2, '0');
		break;
	case 'n':
		set_text(field, "\n", 1);
		break;
	case 'p':
		set_text(field, tm->hour >= 12 ? "PM" : "AM", 2);
		break;
	case 'P':
		set_text(field, tm->hour >= 12 ? "pm" : "am", 2);
		break;
	case 's':
		set_number(field, wj_tm_to_seconds(tm) - tm->gmtoff, 1, '0');
		break;
	case 'S':
		set_number(field, tm->sec, 2, '0');
		break;
	case 't':
		set_text(field, "\t", 1);
		break;
	case 'u':
		set_number(field, tm->wday ? tm->wday : 7, 1, '0');
		break;
	case 'U':
		set_number(field, week_of_year(tm, 0), 2, '0');
		break;
	case 'V':
		set_number(field, iso_week(tm, &week_year), 2, '0');
		break;
	case 'w':
		set_number(field, tm->wday, 1, '0');
		break;
	case 'W':
		set_number(field, week_of_year(tm, 1), 2, '0');
		break;
	case 'y':
		set_number(field, year < 0 ? -(year % 100) : year % 100, 2, '0');
		break;
	case 'Y':
		set_number(field, year, 4, '0');
		break;
	case 'z':
		offset_field(field, tm);
		break;
	case 'Z':
		set_text(field, tm->zone, tm->isdst < 0 ? 0 : strlen(tm->zone));
		break;
	case '%':
		set_text(field, "%", 1);
		break;
	default:
		return false;
	}
	return true;
}

/* The flags and width between the % and the letter. */
struct spec {
	char pad;			/* '-', '_', '0' or 0 */
	bool plus;
	u64 width;			/* only of C, F, G and Y, else 0 */
	char letter;
};

static const char *parse_spec(const char *f, struct spec *spec)
{
	bool digits = false;

	memset(spec, 0, sizeof(*spec));
	if (*f == '-' || *f == '_' || *f == '0')
		spec->pad = *f++;
	if (*f == '+') {
		spec->plus = true;
		f++;
	}
	for (; wj_is_digit(*f); f++) {
		digits = true;
		if (spec->width < 1ull << 40)
			spec->width = spec->width * 10 + (u64)(*f - '0');
	}
	spec->letter = *f;
	if (*f == 'C' || *f == 'F' || *f == 'G' || *f == 'Y') {
		if (digits && !spec->width)
			spec->width = 1;
	} else {
		spec->width = 0;
	}
	if (*f == 'E' || *f == 'O')
		f++;
	return f;
}

/*
 * A width given for a year makes it that wide with zeros, and '+' puts a sign before it
 * if it has more digits than usual: 2 for a century, else 4.
 */
static void put_wide(struct output *out, const struct wj_tm *tm, const struct spec *spec,
		     const char *text, size_t n)
{
	u64 width = spec->width;
	size_t digits = 0;

	if (n && (*text == '+' || *text == '-')) {
		text++;
		n--;
	}
	while (n > 1 && *text == '0' && wj_is_digit(text[1])) {
		text++;
		n--;
	}
	if (width < n)
		width = n;
	while (digits < n && wj_is_digit(text[digits]))
		digits++;
	if (tm->year < -1900) {
		put(out, '-');
		width--;
	} else if (spec->plus && digits + (width - n) >= (spec->letter == 'C' ? 3 : 5)) {
		put(out, '+');
		width--;
	}
	for (; width > n && out->at < out->size; width--)
		put(out, '0');
	put_text(out, text, n);
}

/* The longest is %c: 3 + 3 + 2 + 8 with fields of up to 11 characters. */
#define EXPANSION_MAX 100

/* Conversions that stand for others do not stand for each other: no recursion. */
static bool expand(const char *format, const struct wj_tm *tm, struct field *field,
		   struct output *out)
{
	for (; *format; format++) {
		if (*format != '%') {
			put(out, *format);
			continue;
		}
		format++;
		convert(*format, tm, field);
		if (*format == 'Y' && field->number >= 10000)
			put(out, '+');
		if (field->width)
			render_number(field, field->pad);
		put_text(out, field->text, field->text_size);
	}
	return out->at < out->size;
}

size_t wj_strftime(char *s, size_t size, const char *format, const struct wj_tm *tm)
{
	struct output out = { s, size, 0 };
	char expanded[EXPANSION_MAX];
	struct field field;
	struct spec spec;
	bool wrong = false;

	for (; *format && out.at < size; format++) {
		const char *longer;

		if (*format != '%') {
			put(&out, *format);
			continue;
		}
		format = parse_spec(format + 1, &spec);
		longer = wj_time_expansion(*format);
		if (longer) {
			struct output part = { expanded, sizeof(expanded), 0 };

			wrong = !expand(longer, tm, &field, &part);
			set_text(&field, expanded, part.at);
		} else {
			wrong = !convert(*format, tm, &field);
		}
		if (wrong)
			break;
		if (!longer && field.width) {
			char pad = spec.pad ? spec.pad : field.pad;

			/* musl: years past 9999 always have a sign, which a width drops. */
			if (*format == 'Y' && field.number >= 10000) {
				pad = '-';
				if (!spec.width)
					put(&out, '+');
			}
			render_number(&field, pad);
		}
		if (spec.width)
			put_wide(&out, tm, &spec, field.text, field.text_size);
		else
			put_text(&out, field.text, field.text_size);
	}
	if (!wrong && out.at < size) {
		s[out.at] = 0;
		return out.at;
	}
	if (size)
		s[wj_min_size(out.at, size - 1)] = 0;
	return 0;
}
