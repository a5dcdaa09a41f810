// SPDX-License-Identifier: GPL-2.0-only
/*
 * --trace.  Two lines a call, because what happens inside (handlers, blocking, death) matters as
 * much as the result: "name(args)" on the way in, "name = result" on the way out.
 */
#include "host.h"
#include "trace.h"

struct text {
	char bytes[240];
	u32 used;
};

static void put(struct text *t, const char *s)
{
	while (*s && t->used < sizeof(t->bytes) - 1)
		t->bytes[t->used++] = *s++;
	t->bytes[t->used] = 0;
}

static void put_number(struct text *t, s64 value)
{
	u64 rest = value < 0 ? -(u64)value : (u64)value;
	char digits[24] = { 0 };
	int n = sizeof(digits) - 1;

	if (value < 0)
		put(t, "-");
	do {
		digits[--n] = '0' + rest % 10;
		rest /= 10;
	} while (rest);
	put(t, digits + n);
}

/* A pointer to printable text is shown as that, up to 32 characters. */
static void put_pointer(struct wj_process *p, struct text *t, u32 address)
{
	char s[36];
	u32 n;

	for (n = 0; n < 32; n++) {
		if (wj_get(p, s + n, address + n, 1))
			break;
		if (s[n] < ' ' || s[n] > '~')
			break;
	}
	if (n < 2 || (n < 32 && s[n])) {
		put_number(t, (s32)address);
		return;
	}
	s[n] = 0;
	put(t, "\"");
	put(t, s);
	put(t, n == 32 ? "\"..." : "\"");
}

void wj_trace_call(struct wj_process *p, const char *name, const char *signature, const u64 *args)
{
	struct text t = { .used = 0 };

	for (u32 i = 0; signature[2 + i]; i++) {
		if (i)
			put(&t, ", ");
		if (signature[2 + i] == 'i' && (u32)args[i] > 1024)
			put_pointer(p, &t, args[i]);
		else
			put_number(&t, signature[2 + i] == 'i' ? (s32)args[i] : (s64)args[i]);
	}
	wj_log("%s(%s)", name, t.bytes);
}

void wj_trace_return(struct wj_process *p, const char *name, const char *signature, s64 ret)
{
	static const char *const names[] = {
#define ERRNO(name, native, guest) [native] = #name,
#include "abi_errno.def"
#undef ERRNO
	};

	if (p->unwind)
		wj_log("%s: %s", name, wj_trap_text(p->unwind));
	else if (signature[0] == 'v')
		wj_log("%s", name);
	else if (ret < 0 && ret > -(s64)ARRAY_SIZE(names) && names[-ret] && ret != -1)
		wj_log("%s = -1 %s", name, names[-ret]);
	else
		wj_log("%s = %lld", name, (long long)ret);
}
