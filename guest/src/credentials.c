// SPDX-License-Identifier: GPL-2.0-only
/* Who the process is. */

#include <grp.h>
#include <unistd.h>

#include "wjposix.h"

int setuid(uid_t uid)
{
	return wj_result(wj_host_syscall_setuid32(uid));
}

int setgid(gid_t gid)
{
	return wj_result(wj_host_syscall_setgid32(gid));
}

int setreuid(uid_t real, uid_t effective)
{
	return wj_result(wj_host_syscall_setreuid32(real, effective));
}

int setregid(gid_t real, gid_t effective)
{
	return wj_result(wj_host_syscall_setregid32(real, effective));
}

int setresuid(uid_t real, uid_t effective, uid_t saved)
{
	return wj_result(wj_host_syscall_setresuid32(real, effective, saved));
}

int setresgid(gid_t real, gid_t effective, gid_t saved)
{
	return wj_result(wj_host_syscall_setresgid32(real, effective, saved));
}

int seteuid(uid_t effective)
{
	return setresuid(-1, effective, -1);
}

int setegid(gid_t effective)
{
	return setresgid(-1, effective, -1);
}

int setgroups(size_t count, const gid_t *groups)
{
	return wj_result(wj_host_syscall_setgroups32(count, P(groups)));
}

int chroot(const char *path)
{
	return wj_result(wj_host_syscall_chroot(P(path)));
}
