// SPDX-License-Identifier: GPL-2.0-only
/* Host functions that are one system call: pass.def. */
#include "host.h"

static s64 pass(struct wj_process *p, int nr, const char *kinds, const u64 *a)
{
	u64 args[6] = { 0 };

	for (int i = 0; kinds[i]; i++) {
		switch (kinds[i]) {
		case '@':
			args[i] = WJ_EM_AT_FDCWD;
			break;
		case '0':
			break;
		case 'R':
			args[i] = WJ_EM_AT_REMOVEDIR;
			break;
		case 'N':
			args[i] = WJ_EM_AT_SYMLINK_NOFOLLOW;
			break;
		case 'f':
			if (wj_bad_fd(p, *a))
				return -EBADF;
			args[i] = (s32)*a++;
			break;
		case 'i':
			args[i] = (s32)*a++;
			break;
		case 'u':
			args[i] = (u32)*a++;
			break;
		case 'p':
			args[i] = wj_user(p, *a++);
			break;
		case 'P':
			args[i] = wj_user_or_null(p, *a++);
			break;
		case 'o':
			args[i] = (u32)a[0] | a[1] << 32;
			a += 2;
			break;
		}
	}
	return wj_sys(p, nr, args[0], args[1], args[2], args[3], args[4], args[5]);
}

#define PASS(handler, system_call, kinds) \
	static_assert(sizeof(kinds) <= 7, #handler); \
	s64 wj_host_##handler(struct wj_process *p, const u64 *a) \
	{ \
		return pass(p, __NR_##system_call, kinds, a); \
	}
#include "pass.def"
#undef PASS
