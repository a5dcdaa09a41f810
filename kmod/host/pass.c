// SPDX-License-Identifier: GPL-2.0-only
/* Host functions that are one system call: pass.def. */
#include "host.h"

/* The next argument; false: -EBADF. */
static __always_inline bool convert(struct wj_process *p, char kind, const u64 **a, u64 *arg)
{
	switch (kind) {
	case '@':
		*arg = WJ_EM_AT_FDCWD;
		break;
	case 'R':
		*arg = WJ_EM_AT_REMOVEDIR;
		break;
	case 'N':
		*arg = WJ_EM_AT_SYMLINK_NOFOLLOW;
		break;
	case 'f':
		*arg = (s32)**a;
		return !wj_bad_fd(p, *(*a)++);
	case 'i':
		*arg = (s32)*(*a)++;
		break;
	case 'u':
		*arg = (u32)*(*a)++;
		break;
	case 'p':
		*arg = wj_user(p, *(*a)++);
		break;
	case 'P':
		*arg = wj_user_or_null(p, *(*a)++);
		break;
	case 'o':
		*arg = (u32)(*a)[0] | (*a)[1] << 32;
		*a += 2;
		break;
	case 'O':
		*arg = *(*a)++;
		break;
	default:
		*arg = 0;
		break;
	}
	return true;
}

/* A copy for each of them, in which `kinds` is known. */
static __always_inline s64 pass(struct wj_process *p, int nr, const char kinds[6], const u64 *a)
{
	u64 args[6];

	if (!convert(p, kinds[0], &a, &args[0]) || !convert(p, kinds[1], &a, &args[1]) ||
	    !convert(p, kinds[2], &a, &args[2]) || !convert(p, kinds[3], &a, &args[3]) ||
	    !convert(p, kinds[4], &a, &args[4]) || !convert(p, kinds[5], &a, &args[5]))
		return -EBADF;
	return wj_sys(p, nr, args[0], args[1], args[2], args[3], args[4], args[5]);
}

#define PASS(handler, system_call, kinds) \
	static_assert(sizeof(kinds) <= 7, #handler); \
	s64 wj_host_##handler(struct wj_process *p, const u64 *a) \
	{ \
		return pass(p, __NR_##system_call, kinds "\0\0\0\0\0", a); \
	}
#include "pass.def"
#undef PASS
