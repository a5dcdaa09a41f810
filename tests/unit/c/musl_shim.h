/* SPDX-License-Identifier: GPL-2.0-only */
/* Lets musl's strftime.c and strptime.c, as Emscripten ships them, compile against glibc. */
#include <langinfo.h>
#include <locale.h>
#include <stdio.h>
#include <time.h>

#define hidden
#define weak_alias(from, to)
#define __tm_gmtoff tm_gmtoff
#define __tm_zone tm_zone
#define CURRENT_LOCALE ((locale_t)0)
#define __nl_langinfo_l(item, locale) nl_langinfo(item)
#define strftime musl_strftime
#define strptime musl_strptime

size_t __strftime_l(char *restrict s, size_t n, const char *restrict f,
		    const struct tm *restrict tm, locale_t locale);
static inline const char *__tm_to_tzname(const struct tm *tm)
{
	return tm->tm_zone ? tm->tm_zone : "";
}
