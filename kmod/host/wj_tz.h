/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Time zones: TZif files (RFC 8536, versions 1 to 4) and POSIX TZ strings.
 *
 * A zone is one immutable block of memory.  Inside it time is counted without leap
 * seconds; the "right" zones' extra seconds are taken off and put back at the border
 * (wj_tz_strip_leaps, wj_tz_add_leaps).
 */
#ifndef WJ_TZ_H
#define WJ_TZ_H

#include "wj_hostio.h"
#include "wj_time.h"

/* No offset from UTC is larger (RFC 8536 section 3.2), files that say so are refused. */
#define WJ_TZ_OFFSET_MAX	93600
/* The beginning and the end of time. */
#define WJ_TZ_FOREVER		(1ll << 62)
/* Larger files are refused; zic's largest are 4 KiB. */
#define WJ_TZ_FILE_MAX		(64u << 10)
/* Longer values of TZ and TZDIR are not looked up. */
#define WJ_TZ_NAME_MAX		1023

/* A stretch of time, start <= t < end, during which the clock's offset stays the same. */
struct wj_tz_span {
	s64 start, end;
	s32 offset;			/* seconds east of UTC */
	bool dst;
	const char *name;		/* inside the zone */
};

enum wj_tz_day {
	WJ_TZ_JULIAN,			/* Jn: 1..365, 29 February is never counted */
	WJ_TZ_ORDINAL,			/* n: 0..365 */
	WJ_TZ_MONTH,			/* Mm.w.d */
};

struct wj_tz_change {
	enum wj_tz_day kind;
	u16 day;			/* of the year, or of the week from Sunday */
	u8 month, week;			/* 1..12, 1..5 */
	s32 second;			/* of that day, local time; -167 to 167 hours */
};

/* What a POSIX TZ string says. */
struct wj_tz_rule {
	char std[WJ_TZNAME_MAX + 1], dst[WJ_TZNAME_MAX + 1];
	s32 std_offset, dst_offset;	/* east of UTC */
	bool has_dst;
	struct wj_tz_change start, end;	/* of daylight saving time */
};

/* All of `text` must be a TZ string with an offset; else -EINVAL. */
int wj_tz_parse_rule(struct wj_str text, struct wj_tz_rule *ret);

/*
 * From the bytes of a TZif file.  -EINVAL if they are not one, -ENOMEM.
 */
int wj_tz_parse_file(const u8 *data, size_t size, struct wj_tz_zone **ret);
int wj_tz_from_rule(const struct wj_tz_rule *rule, struct wj_tz_zone **ret);
const struct wj_tz_zone *wj_tz_utc(void);
void wj_tz_destroy(struct wj_tz_zone *zone);

/* Any t will do; the span contains it. */
void wj_tz_find(const struct wj_tz_zone *zone, s64 t, struct wj_tz_span *ret);

/* t without leap seconds; `hit` is how many seconds past :59 of a leap second it is. */
s64 wj_tz_strip_leaps(const struct wj_tz_zone *zone, s64 t, s32 *hit);
s64 wj_tz_add_leaps(const struct wj_tz_zone *zone, s64 t);

/* For tzset. */
struct wj_tz_info {
	s32 timezone;			/* of standard time, seconds west of UTC */
	int daylight;
	char name[2][WJ_TZNAME_MAX + 1];
};

void wj_tz_info(const struct wj_tz_zone *zone, struct wj_tz_info *ret);

/*
 * The zones that a process has used.  Zeroed memory is an empty state; _deinit frees what
 * it holds and leaves it empty; _clone copies it for a fork.
 */
#define WJ_TZ_SLOTS 4

struct wj_tz_slot {
	struct wj_tz_zone *zone;
	char *key;			/* TZ, NUL, TZDIR, NUL */
	size_t key_size;
	struct wj_file_id id;
	u64 checked;			/* when the file was last looked at, ns */
	u64 used;
	bool may_change;		/* it has, or could have, a file */
};

struct wj_tz_state {
	struct wj_tz_slot slot[WJ_TZ_SLOTS];
	u64 uses;
};

void wj_tz_state_deinit(struct wj_tz_state *state);
int wj_tz_state_clone(struct wj_tz_state *dst, const struct wj_tz_state *src);

/*
 * The zone that the environment's TZ and TZDIR (NULL: unset) stand for:
 *	unset			/etc/localtime
 *	""			UTC
 *	":name", "name"		a file below TZDIR or /usr/share/zoneinfo, or an absolute path
 *	a TZ string		if there is no file of that name, and no colon
 *	anything else		UTC
 * A file is looked at again at most once a second, and read again if it has changed; one
 * that is no longer there (after chroot) stays as it was.
 *
 * `ret` stays valid until the next call with this state.  A negative result is a restart
 * code or -ENOMEM, -EMFILE and the like; then `ret` is UTC.
 */
int wj_tz_get(struct wj_process *p, struct wj_tz_state *state, const char *tz,
	      const char *tzdir, const struct wj_tz_zone **ret);

#endif
