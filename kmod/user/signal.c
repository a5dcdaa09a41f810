// SPDX-License-Identifier: GPL-2.0-only
/*
 * System calls and signals of the user-space host.
 *
 * A signal finds us at one of two places.  Around a system call (start.S) the guest is at a safe
 * point: its handler runs at once, inside ours, with the mask, the stack discipline and the
 * restart behaviour that the kernel gives a native handler.  Anywhere else the guest's handler
 * must wait: the signal is put down as pending, everything is blocked until it has run, so that
 * all further ones stay queued in the kernel, and the next poll or system call runs it.
 */
#include "user.h"

#define SIGNAL_BIT(sig) (1ull << ((sig) - 1))
#define SYNCHRONOUS (SIGNAL_BIT(SIGSEGV) | SIGNAL_BIT(SIGBUS) | SIGNAL_BIT(SIGILL) | \
		     SIGNAL_BIT(SIGFPE) | SIGNAL_BIT(SIGTRAP))

long wj_syscall_point(const u32 *pending, long nr, const u64 args[6], u32 *was_pending);
extern const u8 wj_syscall_begin[], wj_syscall_end[];

static u32 signal_pending;
static struct {
	int sig;
	u64 mask;	/* before everything was blocked */
	siginfo_t info;
} pending;

struct wj_process *signal_process;

static void set_mask(u64 mask, u64 *old)
{
	syscall4(__NR_rt_sigprocmask, SIG_SETMASK, (long)&mask, (long)old, sizeof(mask));
}

static void raise_unwind(int trap)
{
	if (trap && !signal_process->unwind) {
		signal_process->unwind = trap;
		*wj_poll_flags(signal_process->inst) = 1;
	}
}

static bool at_system_call(u64 pc)
{
	return pc >= (u64)wj_syscall_begin && pc <= (u64)wj_syscall_end;
}

/* Run the guest's handler at the next poll or system call, and end the one in progress. */
void signal_defer(int sig, const siginfo_t *info, struct ucontext *context)
{
	u64 *mask = (u64 *)&context->uc_sigmask;

	pending.sig = sig;
	pending.info = *info;
	pending.mask = *mask;
	*mask = ~SYNCHRONOUS;
	signal_pending = 1;
	*wj_poll_flags(signal_process->inst) = 1;
	if (at_system_call(context->uc_mcontext.rip)) {
		context->uc_mcontext.rip = (u64)wj_syscall_end;
		context->uc_mcontext.rax = (u64)-EINTR;
	}
}

static void signal_handle(int sig, siginfo_t *info, struct ucontext *context)
{
	u64 pc = context->uc_mcontext.rip;
	int trap;

	if (at_system_call(pc)) {
		trap = wj_signal_deliver(signal_process, sig, info);
		raise_unwind(trap);
		if (trap) {
			/*
			 * Do not (re)start the call: the guest is leaving.  With siglongjmp the mask is
			 * what it set last, not what it was before the signal.
			 */
			context->uc_mcontext.rip = (u64)wj_syscall_end;
			context->uc_mcontext.rax = (u64)-EINTR;
			syscall4(__NR_rt_sigprocmask, SIG_BLOCK, 0, (long)&context->uc_sigmask, sizeof(u64));
		}
		return;
	}
	signal_defer(sig, info, context);
}

/* Run the handler of the pending signal as the kernel would have: sigaction(2), signal(7). */
static int run_pending(struct wj_process *p)
{
	while (signal_pending) {
		struct wj_signal_action *action = &p->actions[pending.sig];
		siginfo_t info = pending.info;
		u64 mask = pending.mask;
		int sig = pending.sig, trap;

		if (!p->unwind)
			*wj_poll_flags(p->inst) = 0;
		signal_pending = 0;
		set_mask((mask | action->mask |
			  (action->flags & SA_NODEFER ? 0 : SIGNAL_BIT(sig))) & ~SYNCHRONOUS, NULL);
		trap = wj_signal_deliver(p, sig, &info);
		if (!trap)
			set_mask(mask, NULL);
		raise_unwind(trap);
	}
	return p->unwind;
}

int wj_poll(struct wj_instance *inst)
{
	return run_pending(wj_instance_user(inst));
}

int wj_breathe(void)
{
	return 0;
}

u32 wj_poll_mask(void)
{
	return ~0u;
}

long wj_sys(struct wj_process *p, int nr, u64 a, u64 b, u64 c, u64 d, u64 e, u64 f)
{
	const u64 args[6] = { a, b, c, d, e, f };

	for (;;) {
		u32 was_pending = 0;
		long ret = wj_syscall_point(&signal_pending, nr, args, &was_pending);

		if (!was_pending)
			return ret;
		if (run_pending(p))
			return -EINTR;
	}
}

u64 wj_platform_reserved_signals(void)
{
	return SYNCHRONOUS;
}

long wj_platform_sigaction(struct wj_process *p, int sig, const struct wj_signal_action *action)
{
	const unsigned long passed = SA_NOCLDSTOP | SA_NOCLDWAIT | SA_NODEFER | SA_RESTART | SA_RESETHAND;
	struct kernel_sigaction new = { .restorer = wj_sigreturn, .mask = action->mask & ~SYNCHRONOUS };

	(void)p;
	new.flags = (action->flags & passed) | SA_RESTORER | SA_SIGINFO;
	switch (action->kind) {
	case WJ_SIGNAL_DEFAULT:
		new.handler = SIG_DFL;
		break;
	case WJ_SIGNAL_IGNORE:
		new.handler = SIG_IGN;
		break;
	case WJ_SIGNAL_HANDLER:
		new.handler = signal_handle;
		break;
	}
	/* Faults of guest code are traps and stay ours; fault.c passes on what kill(2) sent. */
	if (sig == SIGSEGV || sig == SIGBUS)
		return 0;
	return syscall4(__NR_rt_sigaction, sig, (long)&new, 0, sizeof(new.mask));
}

long wj_platform_fork(struct wj_process *p)
{
	return wj_sys(p, __NR_clone, SIGCHLD, 0, 0, 0, 0, 0);
}

void signals_init(struct wj_process *p)
{
	u64 mask;

	signal_process = p;
	/* A mask inherited from whoever started us must not turn faults into deaths. */
	set_mask(0, &mask);
	set_mask(mask & ~SYNCHRONOUS, NULL);
}
