/* SPDX-License-Identifier: GPL-2.0-only */
/* How arguments of host functions that are one system call become that one's: pass.def. */
#ifndef WJ_PASS_H
#define WJ_PASS_H

#include "host.h"

/* The next argument; false: -EBADF. */
static __always_inline bool wj_pass_convert(struct wj_process *p, char kind, const u64 **a, u64 *arg)
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

/* A copy for each system call, in which `kinds` is known; false: -EBADF. */
static __always_inline bool wj_pass_arguments(struct wj_process *p, const char kinds[6], const u64 *a, u64 args[6])
{
	return wj_pass_convert(p, kinds[0], &a, &args[0]) && wj_pass_convert(p, kinds[1], &a, &args[1]) &&
	       wj_pass_convert(p, kinds[2], &a, &args[2]) && wj_pass_convert(p, kinds[3], &a, &args[3]) &&
	       wj_pass_convert(p, kinds[4], &a, &args[4]) && wj_pass_convert(p, kinds[5], &a, &args[5]);
}

#endif
