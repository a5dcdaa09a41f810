// SPDX-License-Identifier: GPL-2.0-only
/* Faults: of guest code on linear memory (traps) and of copies from bad guest pointers (EFAULT). */
#include "user.h"

extern const u8 wj_user_access_first[], wj_user_access_last[], wj_user_access_fault[];

static struct kernel_sigaction default_action = { .restorer = wj_sigreturn, .flags = SA_RESTORER };

static void handle(int sig, siginfo_t *info, struct ucontext *context)
{
	u64 pc = context->uc_mcontext.rip, landing;
	struct wj_process *p = info->si_code <= 0 ? signal_process : NULL;

	if (p && p->actions[sig].kind != WJ_SIGNAL_DEFAULT) {
		/* kill(2) by somebody, not a fault.  Not handled right here: this stack is for one. */
		if (p->actions[sig].kind == WJ_SIGNAL_HANDLER)
			signal_defer(sig, info, context);
		return;
	}
	if (info->si_code > 0) {
		if (pc >= (u64)wj_user_access_first && pc < (u64)wj_user_access_last) {
			context->uc_mcontext.rip = (u64)wj_user_access_fault;
			return;
		}
		if (exec_fixup(pc, &landing)) {
			context->uc_mcontext.rip = landing;
			return;
		}
	}
	/* Neither: die of it, here and now. */
	syscall4(__NR_rt_sigaction, sig, (long)&default_action, 0, sizeof(default_action.mask));
	if (info->si_code <= 0)
		syscall2(__NR_kill, syscall2(__NR_getpid, 0, 0), sig);
}

int faults_init(void)
{
	static u8 stack[64 << 10] __attribute__((aligned(16)));
	const stack_t alternate = { .ss_sp = stack, .ss_size = sizeof(stack) };
	const struct kernel_sigaction action = {
		.handler = handle,
		.flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER | SA_RESTORER,
		.restorer = wj_sigreturn,
	};
	long ret = syscall2(__NR_sigaltstack, (long)&alternate, 0);

	if (!ret)
		ret = syscall4(__NR_rt_sigaction, SIGSEGV, (long)&action, 0, sizeof(action.mask));
	if (!ret)
		ret = syscall4(__NR_rt_sigaction, SIGBUS, (long)&action, 0, sizeof(action.mask));
	return ret;
}

void faults_deinit(void)
{
	syscall4(__NR_rt_sigaction, SIGSEGV, (long)&default_action, 0, sizeof(default_action.mask));
	syscall4(__NR_rt_sigaction, SIGBUS, (long)&default_action, 0, sizeof(default_action.mask));
}
