// SPDX-License-Identifier: GPL-2.0-only
/* strftime, localtime, gmtime, mktime, in the time zone that TZ says. */

#include "transcript.h"

static const time_t moments[] = {
	0, 1, 86399, 951782400 /* a leap day */, 978307199, 1000000000, 1111111111, 1234567890,
	1616893199, 1616893200 /* summer time begins in Berlin */, 1635641999,
	1635642000 /* and ends */, 1700000000, 2147483647, -1, -86400, -2000000000,
};

#define MOMENTS (sizeof(moments) / sizeof(moments[0]))

static void broken_down(const char *what, const struct tm *tm)
{
	say("%s %d-%d-%d %d:%d:%d day %d of year %d, dst %d, offset %ld, zone %s", what,
	    tm->tm_year + 1900, tm->tm_mon + 1, tm->tm_mday, tm->tm_hour, tm->tm_min, tm->tm_sec,
	    tm->tm_wday, tm->tm_yday, tm->tm_isdst, (long)tm->tm_gmtoff,
	    tm->tm_zone ? tm->tm_zone : "none");
}

static void formats(const struct tm *tm)
{
	static const char *const list[] = {
		"%Y-%m-%d %H:%M:%S", "%a %A %b %B %h", "%C %d %D %e %F %g %G", "%H %I %j %k %l %m %M",
		"%n%p%t%r", "%R %S %T %u %U %V", "%w %W %y %Y", "%c", "%x %X", "%z %Z", "%%",
		"%d/%b/%Y:%H:%M:%S %z", "%a, %d %b %Y %H:%M:%S GMT",
	};
	char text[200];

	for (unsigned int i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
		size_t length = strftime(text, sizeof(text), list[i], tm);

		say("  %s|%d", text, (int)length);
	}
}

static void zones(void)
{
	struct tm tm;

	tzset();
	for (unsigned int i = 0; i < MOMENTS; i++) {
		struct tm copy;

		localtime_r(&moments[i], &tm);
		broken_down("local", &tm);
		copy = tm;
		say("  mktime gives it back: %d", mktime(&copy) == moments[i]);
	}
}

static void normalised(void)
{
	struct tm tm = { .tm_year = 123, .tm_mon = 14, .tm_mday = -3, .tm_hour = 49,
			 .tm_min = -70, .tm_sec = 4000, .tm_isdst = -1 };
	time_t when = mktime(&tm);

	say("mktime: %ld", (long)when);
	broken_down("normalised", &tm);
	tm = (struct tm){ .tm_year = 123, .tm_mday = 366 };
	say("timegm: %ld", (long)timegm(&tm));
}

int main(void)
{
	struct tm tm;
	char small[4];
	time_t now = 1234567890;

	for (unsigned int i = 0; i < MOMENTS; i++) {
		gmtime_r(&moments[i], &tm);
		broken_down("gmt", &tm);
		if (i % 3 == 0)
			formats(&tm);
	}
	zones();
	normalised();
	say("no room: %d", (int)strftime(small, sizeof(small), "%Y", localtime(&now)));
	say("just enough: %d", (int)strftime(small, sizeof(small), "%j", localtime(&now)));
	say("ctime: %.24s", ctime(&now));
	say("difftime: %g", difftime(now + 5, now));
	say("end");
	return 0;
}
