// SPDX-License-Identifier: GPL-2.0-only
/* Host functions that are one system call: pass.def. */
#include "pass.h"

#define PASS(handler, system_call, kinds) \
	static_assert(sizeof(kinds) <= 7, #handler); \
	s64 wj_host_##handler(struct wj_process *p, const u64 *a) \
	{ \
		u64 args[6]; \
		if (!wj_pass_arguments(p, kinds "\0\0\0\0\0", a, args)) \
			return -EBADF; \
		return wj_sys(p, __NR_##system_call, args[0], args[1], args[2], args[3], args[4], args[5]); \
	}
#include "pass.def"
#undef PASS
