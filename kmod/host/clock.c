// SPDX-License-Identifier: GPL-2.0-only
/* Clocks, and calendar time as libc delegates it to its host (time.c, tz.c do the work). */
#include "host.h"
#include "wj_tz.h"

#define CLOCK_REALTIME 0
#define CLOCK_MONOTONIC 1
#define CLOCK_PROCESS_CPUTIME_ID 2
#define NS 1000000000ll

static_assert(WJ_EM_SIZEOF_time_t == 4 && WJ_EM64_SIZEOF_time_t == 8, "Emscripten 3.1.6 and 3.1.69");
static_assert(WJ_EM_OFF_timespec_tv_nsec == 4 && WJ_EM64_OFF_timespec_tv_nsec == 8 &&
	      WJ_EM_OFF_timeval_tv_usec == 4 && WJ_EM64_OFF_timeval_tv_usec == 8, "one shape for both");

void wj_pack_time(u8 *to, s64 sec, s64 part, bool wide)
{
	if (wide) {
		WJ_FIELD(to, s64, 0) = sec;
		WJ_FIELD(to, s64, 8) = part;
	} else {
		WJ_FIELD(to, s32, 0) = sec;
		WJ_FIELD(to, s32, 4) = part;
	}
}

int wj_get_time(struct wj_process *p, struct wj_timespec64 *ts, u32 address, bool wide)
{
	u8 guest[16];

	if (wj_get(p, guest, address, wide ? 16 : 8))
		return -EFAULT;
	/* Nanoseconds are a long, 32 bits: behind them there may be anything. */
	if (wide)
		*ts = (struct wj_timespec64){ WJ_FIELD(guest, s64, 0), WJ_FIELD(guest, s32, 8) };
	else
		*ts = (struct wj_timespec64){ WJ_FIELD(guest, s32, 0), WJ_FIELD(guest, s32, 4) };
	return 0;
}

int wj_get_timespec(struct wj_process *p, struct wj_timespec64 *ts, u32 address)
{
	return wj_get_time(p, ts, address, false);
}

int wj_put_time(struct wj_process *p, u32 address, const struct wj_timespec64 *ts, bool wide)
{
	u8 guest[16];

	wj_pack_time(guest, ts->sec, ts->nsec, wide);
	return wj_put(p, address, guest, wide ? 16 : 8);
}

int wj_put_timespec(struct wj_process *p, u32 address, const struct wj_timespec64 *ts)
{
	return wj_put_time(p, address, ts, false);
}

u64 wj_timespec_user(struct wj_process *p, u32 address, int *err)
{
	struct wj_timespec64 ts;
	u64 scratch;

	*err = 0;
	if (!address)
		return 0;
	scratch = wj_scratch_alloc(p, sizeof(ts));
	if (!scratch)
		*err = -ENOMEM;
	else if (wj_get_timespec(p, &ts, address) || wj_copy_to_user(scratch, &ts, sizeof(ts)))
		*err = -EFAULT;
	return *err ? 0 : scratch;
}

u64 wj_double_bits(s64 value, int shift)
{
	u64 magnitude = value < 0 ? -(u64)value : (u64)value, sign = value < 0 ? 1ull << 63 : 0;
	int top = 63;

	if (!magnitude)
		return 0;
	while (!(magnitude >> top))
		top--;
	if (top > 52) {
		u64 rest = magnitude & ((1ull << (top - 52)) - 1), half = 1ull << (top - 53);

		magnitude >>= top - 52;
		if (rest > half || (rest == half && (magnitude & 1)))
			magnitude++;
		if (magnitude >> 53) {
			magnitude >>= 1;
			top++;
		}
	} else {
		magnitude <<= 52 - top;
	}
	return sign | (u64)(1023 + top - shift) << 52 | (magnitude & ((1ull << 52) - 1));
}

s64 wj_read_clock(struct wj_process *p, u32 id, int nr, struct wj_timespec64 *ts)
{
	u64 scratch;
	s64 ret;

	if (nr == __NR_clock_gettime && wj_clock_read((s32)id, &ts->sec, &ts->nsec))
		return 0;
	scratch = wj_scratch_alloc(p, sizeof(*ts));
	if (!scratch)
		return -ENOMEM;
	ret = wj_sys(p, nr, (s32)id, scratch, 0, 0, 0, 0);
	if (ret >= 0 && wj_copy_from_user(ts, scratch, sizeof(*ts)))
		ret = -EFAULT;
	return ret;
}

/* What a libc function returns: 0, or -1 and errno. */
static s64 libc_result(struct wj_process *p, s64 ret)
{
	if (ret >= 0)
		return 0;
	wj_set_errno(p, -ret);
	return -1;
}

s64 wj_host_clock_gettime(struct wj_process *p, const u64 *a)
{
	struct wj_timespec64 ts;
	s64 ret = wj_read_clock(p, a[0], __NR_clock_gettime, &ts);

	return libc_result(p, ret < 0 ? ret : wj_put_timespec(p, a[1], &ts));
}

s64 wj_host_clock_getres(struct wj_process *p, const u64 *a)
{
	struct wj_timespec64 ts;
	s64 ret = wj_read_clock(p, a[0], __NR_clock_getres, &ts);

	return libc_result(p, ret < 0 || !a[1] ? ret : wj_put_timespec(p, a[1], &ts));
}

s64 wj_host_gettimeofday(struct wj_process *p, const u64 *a)
{
	struct wj_timespec64 ts;
	s64 ret = wj_read_clock(p, CLOCK_REALTIME, __NR_clock_gettime, &ts);

	ts.nsec /= 1000;
	if (ret >= 0 && a[0])
		ret = wj_put_timespec(p, a[0], &ts);
	if (ret >= 0 && a[1])
		ret = wj_zero_user(wj_user(p, a[1]), WJ_EM_SIZEOF_timezone);
	return libc_result(p, ret);
}

s64 wj_host_time(struct wj_process *p, const u64 *a)
{
	struct wj_timespec64 ts;
	s64 ret = wj_read_clock(p, CLOCK_REALTIME, __NR_clock_gettime, &ts);

	if (ret >= 0 && a[0])
		ret = wj_put_u32(p, a[0], ts.sec);
	return ret < 0 ? libc_result(p, ret) : (s32)ts.sec;
}

s64 wj_host_clock(struct wj_process *p, const u64 *a)
{
	struct wj_timespec64 ts;

	(void)a;
	if (wj_read_clock(p, CLOCK_PROCESS_CPUTIME_ID, __NR_clock_gettime, &ts) < 0)
		return -1;
	return (s32)(ts.sec * 1000000 + ts.nsec / 1000);	/* CLOCKS_PER_SEC */
}

static s64 wasi_time(struct wj_process *p, u32 id, int nr, u32 to)
{
	struct wj_timespec64 ts;
	s64 ret;

	if (id > 3)	/* realtime, monotonic, process and thread CPU time: Linux's numbers */
		return -EINVAL;
	ret = wj_read_clock(p, id, nr, &ts);
	return ret < 0 ? ret : wj_put_u64(p, to, ts.sec * NS + ts.nsec);
}

s64 wj_host_wasi_clock_res_get(struct wj_process *p, const u64 *a)
{
	return wasi_time(p, a[0], __NR_clock_getres, a[1]);
}

s64 wj_host_wasi_clock_time_get(struct wj_process *p, const u64 *a)
{
	return wasi_time(p, a[0], __NR_clock_gettime, a[2]);
}

s64 wj_host_wasi_clock_time_get_split(struct wj_process *p, const u64 *a)
{
	return wasi_time(p, a[0], __NR_clock_gettime, a[3]);
}

s64 wj_host_syscall_clock_nanosleep(struct wj_process *p, const u64 *a)
{
	u64 remaining = wj_scratch_alloc(p, sizeof(struct wj_timespec64)), request;
	struct wj_timespec64 ts;
	int err;
	s64 ret;

	if (!remaining)
		return -ENOMEM;
	request = wj_timespec_user(p, a[2], &err);
	if (err)
		return err;
	ret = wj_sys(p, __NR_clock_nanosleep, (s32)a[0], (s32)a[1], request, remaining, 0, 0);
	if (ret == -EINTR && a[3] && !(a[1] & 1 /* TIMER_ABSTIME */)) {
		if (wj_copy_from_user(&ts, remaining, sizeof(ts)) || wj_put_timespec(p, a[3], &ts))
			return -EFAULT;
	}
	return ret;
}

/* Milliseconds as a double: ns / 10^6 with 20 bits of fraction. */
static s64 milliseconds(struct wj_process *p, u32 id)
{
	struct wj_timespec64 ts;
	s64 ms;

	if (wj_read_clock(p, id, __NR_clock_gettime, &ts) < 0)
		return 0;
	ms = ts.sec * 1000 + ts.nsec / 1000000;
	return wj_double_bits(ms << 20 | (ts.nsec % 1000000 << 20) / 1000000, 20);
}

s64 wj_host_emscripten_get_now(struct wj_process *p, const u64 *a)
{
	(void)a;
	return milliseconds(p, CLOCK_MONOTONIC);
}

s64 wj_host_emscripten_get_now_is_monotonic(struct wj_process *p, const u64 *a)
{
	(void)p;
	(void)a;
	return 1;
}

s64 wj_host_emscripten_date_now(struct wj_process *p, const u64 *a)
{
	(void)a;
	return milliseconds(p, CLOCK_REALTIME);
}

s64 wj_host_difftime(struct wj_process *p, const u64 *a)
{
	(void)p;
	return wj_double_bits((s64)(s32)a[0] - (s32)a[1], 0);
}

/* A variable of the environment that the process was started with, or NULL. */
static const char *environment(const struct wj_process *p, const char *name)
{
	const char *at = p->envp.bytes;
	size_t n = strlen(name);

	for (u32 i = 0; i < p->envp.count; i++) {
		size_t length = strlen(at);

		if (length > n && !memcmp(at, name, n) && at[n] == '=')
			return at + n + 1;
		at += length + 1;
	}
	return NULL;
}

/* The process's time zone; UTC where it cannot be had. */
static const struct wj_tz_zone *zone(struct wj_process *p)
{
	const struct wj_tz_zone *ret;
	long err;

	do {
		err = wj_tz_get(p, p->host->tz, environment(p, "TZ"), environment(p, "TZDIR"), &ret);
	} while (wj_is_restart(err) && !p->unwind);
	return err ? wj_tz_utc() : ret;
}

/*
 * Guest copies of zone abbreviations, for the pointers in struct tm and tzname[]: few names occur,
 * each is allocated once.
 */
static u32 zone_name(struct wj_process *p, const char *name)
{
	struct wj_zone_name *slot = NULL;
	u32 size = strlen(name) + 1;

	for (u32 i = 0; i < ARRAY_SIZE(p->host->zone_names); i++) {
		slot = &p->host->zone_names[i];
		if (!slot->address)
			break;
		if (strlen(slot->name) + 1 == size && !memcmp(slot->name, name, size))
			return slot->address;
	}
	if (slot->address || size > sizeof(slot->name))
		return 0;
	slot->address = wj_call_export(p, p->host->exports.malloc, &size, 1);
	if (slot->address && wj_put(p, slot->address, name, size))
		slot->address = 0;
	memcpy(slot->name, name, size);
	return slot->address;
}

static int get_tm(struct wj_process *p, struct wj_tm *tm, u32 from)
{
	s32 guest[11];

	if (wj_get(p, guest, from, sizeof(guest)))
		return -EFAULT;
	memset(tm, 0, sizeof(*tm));
	memcpy(tm, guest, 9 * sizeof(*guest));	/* sec .. isdst, in both */
	tm->gmtoff = guest[9];
	if (!guest[10] || wj_get_string(p, tm->zone, sizeof(tm->zone), guest[10]) < 0)
		tm->zone[0] = 0;
	return 0;
}
static_assert(WJ_EM_SIZEOF_tm == 44 && WJ_EM_OFF_tm_tm_zone == 40, "struct tm of musl");

/* `all`: gmtoff and zone too.  Later Emscriptens set the zone themselves, to their own copy. */
static int put_tm(struct wj_process *p, u32 to, const struct wj_tm *tm, bool all)
{
	s32 guest[11];

	memcpy(guest, tm, 9 * sizeof(*guest));
	guest[9] = tm->gmtoff;
	guest[10] = all && !p->host->time64 ? zone_name(p, tm->zone) : 0;
	return wj_put(p, to, guest, !all ? 36 : p->host->time64 ? 40 : 44);
}

static s64 broken_down(struct wj_process *p, s64 t, u32 to, bool local)
{
	struct wj_tm tm = { 0 };
	int err = local ? wj_localtime(zone(p), t, &tm) : wj_gmtime(t, "GMT", &tm);

	if (!err && put_tm(p, to, &tm, true))
		p->unwind = WJ_TRAP_OUT_OF_BOUNDS;
	return 0;
}

static s64 broken_down_at(struct wj_process *p, const u64 *a, bool local)
{
	u32 t;

	if (wj_get_u32(p, &t, a[0])) {
		p->unwind = WJ_TRAP_OUT_OF_BOUNDS;
		return 0;
	}
	return broken_down(p, (s32)t, a[1], local);
}

s64 wj_host_gmtime_js(struct wj_process *p, const u64 *a)
{
	return broken_down_at(p, a, false);
}

s64 wj_host_gmtime_js64(struct wj_process *p, const u64 *a)
{
	return broken_down(p, a[0], a[1], false);
}

s64 wj_host_gmtime_js64_split(struct wj_process *p, const u64 *a)
{
	return broken_down(p, (u32)a[0] | a[1] << 32, a[2], false);
}

s64 wj_host_localtime_js(struct wj_process *p, const u64 *a)
{
	return broken_down_at(p, a, true);
}

s64 wj_host_localtime_js64(struct wj_process *p, const u64 *a)
{
	return broken_down(p, a[0], a[1], true);
}

s64 wj_host_localtime_js64_split(struct wj_process *p, const u64 *a)
{
	return broken_down(p, (u32)a[0] | a[1] << 32, a[2], true);
}

static s64 seconds(struct wj_process *p, const u64 *a, bool local)
{
	struct wj_tm tm;
	s64 t;

	if (get_tm(p, &tm, a[0]))
		return -1;
	if ((local ? wj_mktime(zone(p), &tm, &t) : wj_timegm(&tm, &t)) ||
	    (!p->host->time64 && t != (s32)t)) {
		wj_set_errno(p, EOVERFLOW);
		t = -1;
	} else {
		put_tm(p, a[0], &tm, local);
	}
	/* Where imports give no i64 (no BigInt), its upper half is what the guest asks itself for. */
	if (p->host->exports.set_temp_ret0 != WJ_NO_EXPORT) {
		u32 high = t >> 32;

		wj_call_export(p, p->host->exports.set_temp_ret0, &high, 1);
	}
	return t;
}

s64 wj_host_mktime_js(struct wj_process *p, const u64 *a)
{
	return seconds(p, a, true);
}

s64 wj_host_mktime_js64(struct wj_process *p, const u64 *a)
{
	return wj_host_mktime_js(p, a);
}

s64 wj_host_timegm_js(struct wj_process *p, const u64 *a)
{
	return seconds(p, a, false);
}

s64 wj_host_timegm_js64(struct wj_process *p, const u64 *a)
{
	return wj_host_timegm_js(p, a);
}

/* (long *timezone, int *daylight, char *tzname[2]) */
s64 wj_host_tzset_js(struct wj_process *p, const u64 *a)
{
	struct wj_tz_info info;

	wj_tz_info(zone(p), &info);
	if (wj_put_u32(p, a[0], info.timezone) || wj_put_u32(p, a[1], info.daylight) ||
	    wj_put_u32(p, a[2], zone_name(p, info.name[0])) ||
	    wj_put_u32(p, a[2] + 4, zone_name(p, info.name[1])))
		p->unwind = WJ_TRAP_OUT_OF_BOUNDS;
	return 0;
}

/* (long *timezone, int *daylight, char *standard, char *summer): into the guest's own arrays */
s64 wj_host_tzset_js64(struct wj_process *p, const u64 *a)
{
	struct wj_tz_info info;

	wj_tz_info(zone(p), &info);
	for (u32 i = 0; i < 2; i++)
		info.name[i][WJ_EM64_TZNAME_MAX] = 0;
	if (wj_put_u32(p, a[0], info.timezone) || wj_put_u32(p, a[1], info.daylight) ||
	    wj_put(p, a[2], info.name[0], strlen(info.name[0]) + 1) ||
	    wj_put(p, a[3], info.name[1], strlen(info.name[1]) + 1))
		p->unwind = WJ_TRAP_OUT_OF_BOUNDS;
	return 0;
}

#define MAX_FORMAT 4096
#define MAX_FORMATTED 65536

/* (char *s, size_t max, const char *format, const struct tm *tm) */
s64 wj_host_strftime(struct wj_process *p, const u64 *a)
{
	u32 size = min((u32)a[1], (u32)MAX_FORMATTED);
	char *format = wj_alloc(MAX_FORMAT), *s = wj_alloc(size + 1);
	struct wj_tm tm;
	size_t n = 0;

	if (!format || !s) {
		wj_set_errno(p, ENOMEM);
	} else if (get_tm(p, &tm, a[3])) {
		p->unwind = WJ_TRAP_OUT_OF_BOUNDS;
	} else if (wj_get_string(p, format, MAX_FORMAT, a[2]) >= 0) {
		/* What does not fit leaves a terminated beginning, as in musl. */
		n = wj_strftime(s, size, format, &tm);
		if (size && wj_put(p, a[0], s, strlen(s) + 1))
			p->unwind = WJ_TRAP_OUT_OF_BOUNDS;
	}
	wj_free(format);
	wj_free(s);
	return n;
}

s64 wj_host_strftime_l(struct wj_process *p, const u64 *a)
{
	return wj_host_strftime(p, a);	/* every locale is the C locale */
}

/* (const char *s, const char *format, struct tm *tm): where it stopped, or NULL */
s64 wj_host_strptime(struct wj_process *p, const u64 *a)
{
	char *format = wj_alloc(MAX_FORMAT), *s = wj_alloc(MAX_FORMATTED);
	struct wj_tm tm;
	s64 ret = 0;

	if (!format || !s) {
		wj_set_errno(p, ENOMEM);
	} else if (get_tm(p, &tm, a[2])) {
		p->unwind = WJ_TRAP_OUT_OF_BOUNDS;
	} else if (wj_get_string(p, s, MAX_FORMATTED, a[0]) >= 0 &&
		   wj_get_string(p, format, MAX_FORMAT, a[1]) >= 0) {
		long used = wj_strptime(s, format, zone(p), &tm);

		if (put_tm(p, a[2], &tm, true))
			p->unwind = WJ_TRAP_OUT_OF_BOUNDS;
		ret = used < 0 ? 0 : (s64)(u32)(a[0] + used);
	}
	wj_free(format);
	wj_free(s);
	return ret;
}
