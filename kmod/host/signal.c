// SPDX-License-Identifier: GPL-2.0-only
/*
 * Signals of guests.  The kernel keeps masks, queues and restarts; here are the guest's handlers,
 * and the translation of what it says about them.
 */
#include "host.h"
#include "trace.h"

#define NATIVE_SIGINFO 128
/* LLVM's leaf functions use this much below the stack pointer without moving it. */
#define RED_ZONE 128
/* A ucontext_t that no handler looks into, but may take for granted. */
#define UCONTEXT 1024

static const u8 three_i32[] = { WJ_I32, WJ_I32, WJ_I32 };
static const struct wj_func_type handler_type = { .n_params = 1, .params = three_i32 };
static const struct wj_func_type siginfo_handler_type = { .n_params = 3, .params = three_i32 };

/* Native siginfo_t to the guest's, whose fields after si_code start 4 bytes earlier. */
static void siginfo_out(u8 *guest, const u8 *native)
{
	memset(guest, 0, WJ_EM_SIZEOF_siginfo);
	memcpy(guest, native, 12);
	if (WJ_FIELD(native, u32, 0) == WJ_EM_SIGIO && WJ_FIELD(native, s32, 8) > 0) {
		WJ_FIELD(guest, u32, WJ_EM_OFF_siginfo_si_band) = WJ_FIELD(native, u64, 16);
		WJ_FIELD(guest, u32, WJ_EM_OFF_siginfo_si_fd) = WJ_FIELD(native, u32, 24);
		return;
	}
	WJ_FIELD(guest, u32, WJ_EM_OFF_siginfo_si_pid) = WJ_FIELD(native, u32, 16);
	WJ_FIELD(guest, u32, WJ_EM_OFF_siginfo_si_uid) = WJ_FIELD(native, u32, 20);
	/* si_status, or the low half of si_value */
	WJ_FIELD(guest, u32, WJ_EM_OFF_siginfo_si_status) = WJ_FIELD(native, u32, 24);
	if (WJ_FIELD(native, u32, 0) == WJ_EM_SIGCHLD) {
		WJ_FIELD(guest, u32, WJ_EM_OFF_siginfo_si_utime) = WJ_FIELD(native, u64, 32);
		WJ_FIELD(guest, u32, WJ_EM_OFF_siginfo_si_stime) = WJ_FIELD(native, u64, 40);
	}
}

int wj_signal_finish(struct wj_process *p, const struct wj_delivery *self, int trap)
{
	struct wj_host_state *h = p->host;

	p->steps = self->steps;
	if (!trap && self->sp) {
		wj_call_export(p, h->exports.stack_restore, &self->sp, 1);
		trap = p->unwind;
	}
	h->temp_ret0 = self->temp_ret0;
	p->unwind = 0;		/* the caller raises what it is told */
	return trap;
}

int wj_signal_deliver(struct wj_process *p, int sig, const void *siginfo)
{
	struct wj_host_state *h = p->host;
	struct wj_delivery self = { p->deliveries, 0, h->temp_ret0, wj_call_depth(p->inst), p->steps,
				    p->place };
	struct wj_signal_action action;
	u8 info[WJ_EM_SIZEOF_siginfo];
	u32 size = WJ_EM_SIZEOF_siginfo + UCONTEXT, at = 0;
	u64 args[3] = { sig };
	int trap;

	if (sig < 1 || sig > WJ_SIGNALS || p->unwind)
		return 0;
	action = p->actions[sig];
	if (action.kind != WJ_SIGNAL_HANDLER)
		return 0;
	if (action.flags & WJ_EM_SA_RESETHAND)
		p->actions[sig].kind = WJ_SIGNAL_DEFAULT;
	p->deliveries = &self;
	if (p->trace)
		wj_trace_signal(p, sig, siginfo);

	self.sp = wj_call_export(p, h->exports.stack_save, NULL, 0);
	if (self.sp > RED_ZONE) {
		u32 below = (self.sp - RED_ZONE) & ~15u;

		wj_call_export(p, h->exports.stack_restore, &below, 1);
	}
	if (action.flags & WJ_EM_SA_SIGINFO) {
		at = wj_call_export(p, h->exports.stack_alloc, &size, 1);
		siginfo_out(info, siginfo);
		if (!at || wj_put(p, at, info, sizeof(info)) ||
		    wj_zero_user(wj_user(p, at + sizeof(info)), UCONTEXT))
			p->unwind = WJ_TRAP_OUT_OF_BOUNDS;	/* no room on the guest's stack */
		args[1] = at;
		args[2] = at + sizeof(info);
	}
	trap = p->unwind;
	if (!trap)
		trap = wj_call_table(p->inst, action.handler,
				     action.flags & WJ_EM_SA_SIGINFO ? &siginfo_handler_type : &handler_type, args);
	p->deliveries = self.outer;
	return wj_signal_finish(p, &self, trap);
}

s64 wj_host_syscall_sigaction(struct wj_process *p, const u64 *a)
{
	struct wj_signal_action *current, new, old;
	u8 guest[WJ_EM_SIZEOF_sigaction];
	u32 sig = a[0];
	s64 ret;

	if (sig < 1 || sig > WJ_SIGNALS)
		return -EINVAL;
	current = &p->actions[sig];
	old = *current;
	if (old.kind == WJ_SIGNAL_DEFAULT) {
		/* Perhaps ignored since before we were started. */
		u64 scratch = wj_scratch_alloc(p, 32), handler = 0;

		if (scratch && wj_sys(p, __NR_rt_sigaction, sig, 0, scratch, 8, 0, 0) >= 0 &&
		    !wj_copy_from_user(&handler, scratch, sizeof(handler)) && handler == 1)
			old.kind = WJ_SIGNAL_IGNORE;
	}
	if (a[1]) {
		if (sig == WJ_EM_SIGKILL || sig == WJ_EM_SIGSTOP)
			return -EINVAL;
		if (wj_get(p, guest, a[1], sizeof(guest)))
			return -EFAULT;
		new.handler = WJ_FIELD(guest, u32, WJ_EM_OFF_sigaction_sa_handler);
		new.kind = new.handler == WJ_GUEST_SIG_DFL ? WJ_SIGNAL_DEFAULT :
			   new.handler == WJ_GUEST_SIG_IGN ? WJ_SIGNAL_IGNORE : WJ_SIGNAL_HANDLER;
		new.flags = WJ_FIELD(guest, u32, WJ_EM_OFF_sigaction_sa_flags);
		new.mask = WJ_FIELD(guest, u64, WJ_EM_OFF_sigaction_sa_mask) & ~wj_platform_reserved_signals();
		/* First ours: a signal may arrive as soon as the kernel knows. */
		*current = new;
		ret = wj_platform_sigaction(p, sig, &new);
		if (ret < 0) {
			*current = old;
			return ret;
		}
	}
	if (a[2]) {
		memset(guest, 0, sizeof(guest));
		WJ_FIELD(guest, u32, WJ_EM_OFF_sigaction_sa_handler) =
			old.kind == WJ_SIGNAL_HANDLER ? old.handler :
			old.kind == WJ_SIGNAL_IGNORE ? WJ_GUEST_SIG_IGN : WJ_GUEST_SIG_DFL;
		WJ_FIELD(guest, u32, WJ_EM_OFF_sigaction_sa_flags) = old.flags;
		WJ_FIELD(guest, u64, WJ_EM_OFF_sigaction_sa_mask) = old.mask;
		return wj_put(p, a[2], guest, sizeof(guest));
	}
	return 0;
}

u64 wj_sigset_user(struct wj_process *p, u32 address, int *err)
{
	u64 scratch, mask;

	*err = 0;
	if (!address)
		return 0;
	scratch = wj_scratch_alloc(p, sizeof(mask));
	if (!scratch) {
		*err = -ENOMEM;
		return 0;
	}
	if (wj_get(p, &mask, address, sizeof(mask))) {
		*err = -EFAULT;
		return 0;
	}
	mask &= ~wj_platform_reserved_signals();
	if (wj_copy_to_user(scratch, &mask, sizeof(mask)))
		*err = -EFAULT;
	return scratch;
}

s64 wj_host_syscall_rt_sigprocmask(struct wj_process *p, const u64 *a)
{
	u64 scratch = wj_scratch_alloc(p, 8), set, old;
	int err;
	s64 ret;

	if (!scratch)
		return -ENOMEM;
	set = wj_sigset_user(p, a[1], &err);
	if (err)
		return err;
	/*
	 * The old mask is read through scratch, and before the change: what the change lets in may run
	 * a handler, and that must not find the guest's variable half written.
	 */
	ret = wj_sys(p, __NR_rt_sigprocmask, 0, 0, scratch, 8, 0, 0);
	if (ret >= 0 && a[2] && (wj_copy_from_user(&old, scratch, 8) || wj_put_u64(p, a[2], old)))
		ret = -EFAULT;
	if (ret >= 0 && set)
		ret = wj_sys(p, __NR_rt_sigprocmask, (s32)a[0], set, 0, 8, 0, 0);
	return ret;
}

s64 wj_host_syscall_rt_sigpending(struct wj_process *p, const u64 *a)
{
	return wj_sys(p, __NR_rt_sigpending, wj_user(p, a[0]), 8, 0, 0, 0, 0);
}

s64 wj_host_syscall_rt_sigsuspend(struct wj_process *p, const u64 *a)
{
	int err;
	u64 set = wj_sigset_user(p, a[0], &err);

	if (err)
		return err;
	return wj_sys(p, __NR_rt_sigsuspend, set, 8, 0, 0, 0, 0);
}

s64 wj_host_syscall_rt_sigtimedwait(struct wj_process *p, const u64 *a)
{
	u64 info = wj_scratch_alloc(p, NATIVE_SIGINFO), set, timeout;
	u8 native[NATIVE_SIGINFO], guest[WJ_EM_SIZEOF_siginfo];
	int err;
	s64 ret;

	if (!info)
		return -ENOMEM;
	set = wj_sigset_user(p, a[0], &err);
	if (err)
		return err;
	timeout = wj_timespec_user(p, a[2], &err);
	if (err)
		return err;
	ret = wj_sys(p, __NR_rt_sigtimedwait, set, info, timeout, 8, 0, 0);
	if (ret > 0 && a[1]) {
		if (wj_copy_from_user(native, info, sizeof(native)))
			return -EFAULT;
		siginfo_out(guest, native);
		if (wj_put(p, a[1], guest, sizeof(guest)))
			return -EFAULT;
	}
	return ret;
}

s64 wj_host_syscall_rt_sigqueueinfo(struct wj_process *p, const u64 *a)
{
	u64 scratch = wj_scratch_alloc(p, NATIVE_SIGINFO);
	u8 guest[WJ_EM_SIZEOF_siginfo], native[NATIVE_SIGINFO] = { 0 };

	if (!scratch)
		return -ENOMEM;
	if (wj_get(p, guest, a[2], sizeof(guest)))
		return -EFAULT;
	memcpy(native, guest, 12);
	WJ_FIELD(native, u32, 16) = WJ_FIELD(guest, u32, WJ_EM_OFF_siginfo_si_pid);
	WJ_FIELD(native, u32, 20) = WJ_FIELD(guest, u32, WJ_EM_OFF_siginfo_si_uid);
	WJ_FIELD(native, u64, 24) = WJ_FIELD(guest, u32, WJ_EM_OFF_siginfo_si_value);
	if (wj_copy_to_user(scratch, native, sizeof(native)))
		return -EFAULT;
	return wj_sys(p, __NR_rt_sigqueueinfo, (s32)a[0], (s32)a[1], scratch, 0, 0, 0);
}

/* Two timevals in scratch, each with the shape of a timespec. */
static int itimerval_in(struct wj_process *p, u64 to, u32 from)
{
	struct wj_timespec64 tv[2];

	if (wj_get_timespec(p, &tv[0], from) || wj_get_timespec(p, &tv[1], from + WJ_EM_SIZEOF_timeval) ||
	    wj_copy_to_user(to, tv, sizeof(tv)))
		return -EFAULT;
	return 0;
}

static int itimerval_out(struct wj_process *p, u32 to, u64 from)
{
	struct wj_timespec64 tv[2];

	if (wj_copy_from_user(tv, from, sizeof(tv)) || wj_put_timespec(p, to, &tv[0]) ||
	    wj_put_timespec(p, to + WJ_EM_SIZEOF_timeval, &tv[1]))
		return -EFAULT;
	return 0;
}

s64 wj_host_syscall_setitimer(struct wj_process *p, const u64 *a)
{
	u64 scratch = wj_scratch_alloc(p, 64);
	s64 ret;

	if (!scratch)
		return -ENOMEM;
	if (a[1] && itimerval_in(p, scratch, a[1]))
		return -EFAULT;
	ret = wj_sys(p, __NR_setitimer, (s32)a[0], a[1] ? scratch : 0, scratch + 32, 0, 0, 0);
	if (ret >= 0 && a[2] && itimerval_out(p, a[2], scratch + 32))
		ret = -EFAULT;
	return ret;
}

s64 wj_host_syscall_getitimer(struct wj_process *p, const u64 *a)
{
	u64 scratch = wj_scratch_alloc(p, 32);
	s64 ret;

	if (!scratch)
		return -ENOMEM;
	ret = wj_sys(p, __NR_getitimer, (s32)a[0], scratch, 0, 0, 0, 0);
	return ret < 0 ? ret : itimerval_out(p, a[1], scratch);
}

s64 wj_host_alarm(struct wj_process *p, const u64 *a)
{
	return wj_sys(p, __NR_alarm, (u32)a[0], 0, 0, 0, 0, 0);
}

/* Emscripten's raise() in modules without the overlay. */
s64 wj_host_call_sighandler(struct wj_process *p, const u64 *a)
{
	u64 args[1] = { (u32)a[1] };
	int trap = wj_call_table(p->inst, a[0], &handler_type, args);

	if (trap)
		p->unwind = trap;
	return 0;
}
