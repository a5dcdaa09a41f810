// SPDX-License-Identifier: GPL-2.0-only
/* What host/process.h asks of the platform: fork, execve, sigaction, descriptors. */
#include <linux/fcntl.h>
#include <linux/limits.h>
#include <linux/mm.h>
#include <linux/signal.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include "kernel.h"
#include "../core/internal.h"

long wj_platform_fork(struct wj_process *p)
{
	struct wj_context *c = p->platform;
	sigset_t all;	/* but those that user space cannot block, either: a fork can be killed */
	u64 cookie;
	long ret;
	u32 op;

	/* No handler may run between the copy of the guest and that of its memory. */
	siginitsetinv(&all, sigmask(SIGKILL) | sigmask(SIGSTOP));
	sigprocmask(SIG_SETMASK, &all, &c->blocked);
	ret = wj_context_fork(c, &cookie);
	if (!ret) {
		do {
			c->nr = cookie;
			op = wj_return_to_launcher(c, 0, WJ_EVENT_FORK, WJ_IN_LAUNCHER);
		} while (op == WJ_OP_CONTINUE);
		ret = op == WJ_OP_RESULT ? c->result : -EINTR;
		wj_context_expect(c, cookie, ret);
		wj_stats_fork(c, ret);
	}
	sigprocmask(SIG_SETMASK, &c->blocked, NULL);
	return ret;
}

/* The launcher's: it knows how to run wasm files, and nothing may end a task inside the ioctl. */
long wj_platform_execve(struct wj_process *p, u64 path, u64 argv, u64 envp, int *trap)
{
	struct wj_context *c = p->platform;
	u64 copy = c->scratch + WJ_SCRATCH_SIZE + PAGE_SIZE;
	char *name = strndup_user((const char __user *)path, PATH_MAX);
	int err;
	s64 answer;
	u32 op;

	*trap = 0;
	if (unlikely(wj_answered(c, &answer))) {
		if (!IS_ERR(name))
			kfree(name);
		return answer;
	}
	/* Where the launcher can read it, whatever the guest said. */
	if (IS_ERR(name))
		return PTR_ERR(name) == -EINVAL ? -ENAMETOOLONG : PTR_ERR(name);
	err = wj_copy_to_user(copy, name, strlen(name) + 1);
	kfree(name);
	if (err)
		return err;
	c->counts.execs++;
	do {
		c->args[0] = copy;
		c->args[1] = argv;
		c->args[2] = envp;
		op = wj_return_to_launcher(c, 0, WJ_EVENT_EXECVE, WJ_IN_LAUNCHER);
	} while (op == WJ_OP_CONTINUE);
	*trap = p->unwind;
	return op == WJ_OP_RESULT ? c->result : -EINTR;
}

/* struct sigaction as rt_sigaction takes it from user space. */
struct user_sigaction {
	u64 handler, flags, restorer, mask;
};

long wj_platform_sigaction(struct wj_process *p, int sig, const struct wj_signal_action *action)
{
	const u64 passed = SA_NOCLDSTOP | SA_NOCLDWAIT | SA_NODEFER | SA_RESTART | SA_RESETHAND;
	struct wj_context *c = p->platform;
	struct user_sigaction new = {
		.flags = (action->flags & passed) | SA_RESTORER | SA_SIGINFO,
		.restorer = c->restorer,
		.mask = action->mask,
	};
	u64 at = c->scratch + WJ_SCRATCH_SIZE + WJ_LOG_SIZE;

	switch (action->kind) {
	case WJ_SIGNAL_DEFAULT:
		new.handler = (__force u64)SIG_DFL;
		break;
	case WJ_SIGNAL_IGNORE:
		new.handler = (__force u64)SIG_IGN;
		break;
	case WJ_SIGNAL_HANDLER:
		new.handler = c->handler;
		break;
	}
	if (wj_copy_to_user(at, &new, sizeof(new)))
		return -EFAULT;
	return wj_sys(p, __NR_rt_sigaction, sig, at, 0, sizeof(new.mask), 0, 0);
}

/* Faults of guest code never become signals here: all of them are the guest's. */
u64 wj_platform_reserved_signals(void)
{
	return 0;
}

bool wj_platform_owns_fd(struct wj_process *p, int fd)
{
	const struct wj_context *c = p->platform;

	if (likely((u32)fd - c->lowest_hidden_fd > c->hidden_range))
		return false;
	for (int i = 0; fd >= 0 && i < WJ_HIDDEN_FDS; i++) {
		if (c->hidden_fds[i] == fd)
			return true;
	}
	return false;
}

long wj_platform_move_fd(struct wj_process *p, int fd)
{
	struct wj_context *c = p->platform;
	long moved = wj_sys_own(c, __NR_fcntl, fd, F_DUPFD_CLOEXEC, fd + 1);

	if (moved < 0)
		return -EBADF;
	for (int i = 0; i < WJ_HIDDEN_FDS; i++) {
		if (c->hidden_fds[i] != fd)
			continue;
		if (put_user((s32)moved, (s32 __user *)c->hidden_fds_at + i)) {
			wj_sys_own(c, __NR_close, moved, 0, 0);
			return -EBADF;
		}
		c->hidden_fds[i] = moved;
	}
	wj_hide_fds(c);
	/* Here, not by dup2: the launcher makes that where a filter looks, and its guest would end. */
	wj_sys_own(c, __NR_close, fd, 0, 0);
	return 0;
}
