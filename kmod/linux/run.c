// SPDX-License-Identifier: GPL-2.0-only
/*
 * Running a guest: in and out of the ioctl, system calls, signals and other work that is due.
 *
 * Signals.  A guest's handler runs inside the launcher's real one, which the kernel calls when
 * the ioctl returns to user mode.  So whenever there is a signal, or anything else that the
 * kernel does on the way to user mode, the host stack is left as it is and the ioctl returns:
 * with the restart code of the system call that was interrupted, so that the kernel decides as
 * for any system call whether it is made again (the ioctl is restarted) or ends with EINTR (the
 * launcher says so, WJ_OP_INTERRUPTED).  The launcher's handler comes back with WJ_OP_SIGNAL; the
 * guest's handler then runs on top of the suspended host stack.
 */
#include <linux/rcupdate.h>
#include <linux/sched/signal.h>
#include <linux/ptrace.h>
#include "kernel.h"
#include "../core/internal.h"

/* Somebody else shall run; lazily: at the latest on the way to user mode. */
#ifdef TIF_NEED_RESCHED_LAZY
#define RESCHED_WORK (_TIF_NEED_RESCHED | _TIF_NEED_RESCHED_LAZY)
#else
#define RESCHED_WORK _TIF_NEED_RESCHED
#endif

/* What the kernel would see to before it returned to user mode, scheduling aside. */
#define LAUNCHER_WORK (EXIT_TO_USER_MODE_WORK & ~RESCHED_WORK)

u32 wj_poll_mask(void)
{
	return EXIT_TO_USER_MODE_WORK;
}

static bool launcher_work(void)
{
	return READ_ONCE(current_thread_info()->flags) & LAUNCHER_WORK;
}

/* Nothing but task work, and blkcg's, hides behind TIF_NOTIFY_RESUME. */
static bool work_is_simple(void)
{
#ifdef CONFIG_MEMCG
	if (current->memcg_nr_pages_over_high)
		return false;
#endif
#ifdef CONFIG_RSEQ
#ifdef WJ_HAVE_RSEQ_DATA
	if (current->rseq.event.has_rseq)
		return false;
#else
	if (current->rseq)
		return false;
#endif
#endif
#ifdef CONFIG_KEYS_REQUEST_CACHE
	if (current->cached_requested_key)
		return false;
#endif
	return true;
}

u32 wj_return_to_launcher(struct wj_context *c, long code, u32 event, enum wj_place place)
{
	struct wj_process *p = &c->process;
	const bool expect = place == WJ_IN_LAUNCHER;
	const s32 status = c->status;
	int trap;

	for (;;) {
		c->code = code;
		c->event = event;
		c->expect = expect;
		c->status = event == WJ_EVENT_HANDLED ? !!p->unwind : status;
		c->counts.returns++;
		wj_switch(&c->host_sp, c->task_sp);
		switch (c->op) {
		case WJ_OP_SIGNAL:
			c->counts.signals++;
			break;
		case WJ_OP_RESULT:
			if (c->expect)
				return c->op;
			continue;	/* not asked for */
		default:
			return c->op;
		}
		/* Nested calls of guest functions are limited (WJ_MAX_NESTING); this is the rest. */
		if ((u64)__builtin_frame_address(0) < c->host_limit) {
			trap = WJ_TRAP_STACK_EXHAUSTED;
		} else {
			p->place = place;
			trap = wj_signal_deliver(p, c->signal, c->siginfo);
		}
		if (trap && !p->unwind)
			p->unwind = trap;
		code = 0;
		event = WJ_EVENT_HANDLED;
	}
}

static void call_on_task_stack(struct wj_context *c, const void *function)
{
	void (*call)(void *unused, u64 sp) = function;

	call(NULL, c->task_sp & ~15ul);
}

/*
 * Work other than scheduling is due.  What most often is, the last step of closing a file, can be
 * done here as well as on the way to user mode (resume_user_mode_work); all else is left to that.
 */
static void see_to_work(struct wj_context *c)
{
	u32 due = READ_ONCE(current_thread_info()->flags) & LAUNCHER_WORK;

	if (due == _TIF_NOTIFY_RESUME && wj_task_work_run && work_is_simple()) {
		clear_thread_flag(TIF_NOTIFY_RESUME);
		smp_mb__after_atomic();
		wj_pause(c);
		if (READ_ONCE(current->task_works))
			call_on_task_stack(c, wj_task_work_run);
		if (wj_blkcg_throttle)
			call_on_task_stack(c, wj_blkcg_throttle);
		wj_continue(c);
		due = READ_ONCE(current_thread_info()->flags) & LAUNCHER_WORK;
	}
	if (due)
		wj_return_to_launcher(c, -ERESTARTNOINTR, WJ_EVENT_NONE, WJ_AT_POLL);
}

int wj_breathe(void)
{
	cond_resched_tasks_rcu_qs();
	return fatal_signal_pending(current) ? -EINTR : 0;
}

int wj_poll(struct wj_instance *inst)
{
	struct wj_process *p = wj_instance_user(inst);
	struct wj_context *c = p->platform;

	c->counts.polls++;
	/* Without this a guest that never blocks would hold up synchronize_rcu_tasks() for all. */
	cond_resched_tasks_rcu_qs();
	if (READ_ONCE(current_thread_info()->flags) & RESCHED_WORK)
		schedule();
	if (!c->started)
		return fatal_signal_pending(current) ? WJ_TRAP_INTERRUPTED : 0;
	if (launcher_work())
		see_to_work(c);
	return p->unwind;
}

static __always_inline void set_arguments(struct wj_context *c, u64 a, u64 b, u64 c_, u64 d, u64 e, u64 f)
{
	c->regs.di = a;
	c->regs.si = b;
	c->regs.dx = c_;
	c->regs.r10 = d;
	c->regs.r8 = e;
	c->regs.r9 = f;
}

/* Where there is no host stack to leave yet. */
long wj_sys_direct(struct wj_context *c, unsigned int nr, const u64 args[6])
{
	long (*entry)(const struct pt_regs *regs, u64 sp) = wj_syscall_entry(nr);

	if (!entry)
		return -ENOSYS;
	c->counts.system_calls++;
	set_arguments(c, args[0], args[1], args[2], args[3], args[4], args[5]);
	/* On this stack, below what it takes to call something. */
	return entry(&c->regs, (current_stack_pointer - 64) & ~15ul);
}

/* The arguments are in c->regs. */
static long sys_on_task_stack(struct wj_context *c, unsigned int nr)
{
	const void *entry = wj_syscall_entry(nr);
	long ret;

	if (unlikely(!entry))
		return -ENOSYS;
	ret = wj_on_task_stack(c, entry);
	wj_continue(c);
	return ret;
}

long wj_sys_own(struct wj_context *c, unsigned int nr, u64 a, u64 b, u64 d)
{
	set_arguments(c, a, b, d, 0, 0, 0);
	return sys_on_task_stack(c, nr);
}

/* Audit, ptrace and friends look at system calls of user mode, and some filters do more than answer: let them. */
static long sys_through_launcher(struct wj_context *c, int nr, const u64 args[6])
{
	c->counts.launcher_calls++;
	for (;;) {
		c->nr = nr;
		memcpy(c->args, args, sizeof(c->args));
		switch (wj_return_to_launcher(c, 0, WJ_EVENT_SYSCALL, WJ_IN_LAUNCHER)) {
		case WJ_OP_RESULT:
			return c->result;
		case WJ_OP_INTERRUPTED:
			return -EINTR;
		}
	}
}

/* What is not over with one call that nobody looks at; `made`: with the result `ret`. */
static noinline long sys_slow(struct wj_context *c, unsigned int nr, bool made, long ret)
{
	const u64 args[6] = { c->regs.di, c->regs.si, c->regs.dx, c->regs.r10, c->regs.r8, c->regs.r9 };
	unsigned int call = nr;

	for (;; made = false) {
		if (!made && wj_syscall_work()) {
			switch (wj_seccomp(c, call, args, &ret)) {
			case WJ_ALLOWED:
				break;
			case WJ_REFUSED:
				return ret;
			case WJ_ASK_LAUNCHER:
				return sys_through_launcher(c, call, args);
			}
		}
		if (!made) {
			set_arguments(c, args[0], args[1], args[2], args[3], args[4], args[5]);
			ret = sys_on_task_stack(c, call);
		}
		switch (ret) {
		case -ERESTARTSYS:
		case -ERESTARTNOINTR:
		case -ERESTARTNOHAND:
			call = nr;
			break;
		case -ERESTART_RESTARTBLOCK:
			/* As -ERESTARTNOHAND, but what is called again is restart_syscall. */
			call = __NR_restart_syscall;
			ret = -ERESTARTNOHAND;
			break;
		default:
			/* Other work that is due waits for the end of the host call: dispatch(). */
			if (unlikely(need_resched()))
				schedule();
			return ret;
		}
		if (wj_return_to_launcher(c, ret, WJ_EVENT_NONE, WJ_IN_CALL) == WJ_OP_INTERRUPTED ||
		    c->process.unwind)
			return -EINTR;
	}
}

long wj_sys_finish(struct wj_context *c, unsigned int nr, long ret)
{
	wj_continue(c);
	return sys_slow(c, nr, true, ret);
}

long wj_sys(struct wj_process *p, int nr, u64 a, u64 b, u64 c_, u64 d, u64 e, u64 f)
{
	struct wj_context *c = p->platform;
	s64 ret = 0;

	if (unlikely(!c->started))
		return -EINTR;
	if (unlikely(wj_answered(c, &ret)))
		return ret;
	set_arguments(c, a, b, c_, d, e, f);
	if (unlikely(wj_syscall_work()))
		return sys_slow(c, nr, false, 0);
	ret = sys_on_task_stack(c, nr);
	if (likely(!need_resched() && (u64)ret + ERESTART_RESTARTBLOCK > ERESTART_RESTARTBLOCK - ERESTARTSYS))
		return ret;
	return sys_slow(c, nr, true, ret);
}

static void ended(struct wj_context *c, int trap)
{
	struct wj_process *p = &c->process;
	u32 event = WJ_EVENT_EXIT;
	s32 status;

	if (trap == WJ_TRAP_EXIT) {
		status = p->exit_status;
	} else if (trap == -ENOEXEC) {
		status = 65;	/* EX_DATAERR */
	} else {
		wj_process_report_trap(p, trap);
		event = WJ_EVENT_TRAP;
		status = wj_trap_signal(trap);
		wj_stats_trap(c, trap);
	}
	wj_stats_exit(event == WJ_EVENT_EXIT ? status : 0, event == WJ_EVENT_TRAP ? status : 0);
	/* Whoever asks again is told again. */
	p->unwind = trap;
	for (;;) {
		c->status = status;
		wj_return_to_launcher(c, 0, event, WJ_NOWHERE);
	}
}

void wj_run_guest(struct wj_context *c)
{
	ended(c, wj_process_run(&c->process));
}

static void at_level(struct wj_context *c, u32 n)
{
	struct wj_instance *inst = c->process.inst;

	inst->store->depth = inst->depth = n + 1;
	inst->store->running = inst;
	inst->store->level = &c->levels[n].jit;
	inst->guest_sp = c->levels[n].guest_sp;
	inst->entry_sp = c->levels[n].entry_sp;
	c->process.invokes = NULL;
	c->process.deliveries = NULL;
	for (u32 i = 0; i < n; i++) {
		if (c->levels[i].handler)
			c->process.deliveries = &c->levels[i].delivery;
		else
			c->process.invokes = &c->levels[i].invoke;
	}
}

bool wj_answered(struct wj_context *c, s64 *result)
{
	c->process.steps++;
	if (likely(!c->answered))
		return false;
	c->answered = false;
	*result = c->answer;
	return true;
}

/*
 * The handler that interrupted level `n` has returned `trap`, in a fork's child: tell the
 * launcher, and do what the host call would have done that was in progress.  One that made only
 * one system call, the one that was interrupted, gets its result, EINTR mostly; any other begins
 * again, like one whose system call is restarted.
 */
static int after_handler(struct wj_context *c, u32 n, int trap)
{
	const struct wj_level *level = &c->levels[n];
	struct wj_process *p = &c->process;
	struct wj_instance *inst = p->inst;
	u32 op;

	trap = wj_signal_finish(p, &level->delivery, trap);
	if (trap && !p->unwind)
		p->unwind = trap;
	op = wj_return_to_launcher(c, 0, WJ_EVENT_HANDLED, level->delivery.place);
	if (p->unwind || level->delivery.place == WJ_AT_POLL)
		return p->unwind;
	if (level->delivery.steps == 1 && (op == WJ_OP_INTERRUPTED || op == WJ_OP_RESULT)) {
		c->answered = true;
		c->answer = op == WJ_OP_RESULT ? c->result : -EINTR;
	}
	trap = wj_call_import(inst, level->called, wj_jit_host_args(inst));
	c->answered = false;
	return trap;
}

/*
 * Go on with call `n` of the guest, after those inside of it: as if the host call that forked had
 * returned 0, each invoke_* around it what the inner call did, and handlers had returned.
 */
static int resume_level(struct wj_context *c, u32 n, const struct wj_func_type *type, u64 *results)
{
	static const struct wj_func_type handler_type = { .n_results = 0 };
	struct wj_instance *inst = c->process.inst;
	u64 *args;
	int trap = 0;

	at_level(c, n);
	args = wj_jit_host_args(inst);
	if (n == c->n_levels - 1) {
		args[0] = 0;
	} else if (c->levels[n].handler) {
		trap = resume_level(c, n + 1, &handler_type, NULL);
		at_level(c, n);
		trap = after_handler(c, n, trap);
		at_level(c, n);
	} else {
		const struct wj_invoke *invoke = &c->levels[n].invoke;

		trap = resume_level(c, n + 1, invoke->type, args);
		at_level(c, n);
		trap = wj_invoke_finish(&c->process, invoke, args, trap);
		at_level(c, n);
	}
	return wj_jit_resume(inst, trap, type, results);
}

void wj_run_child(struct wj_context *c)
{
	static const u8 i32_type[] = { WJ_I32 };
	static const struct wj_func_type main_type = { .n_results = 1, .results = i32_type };
	struct wj_instance *inst = c->process.inst;
	u64 value = 0;
	int trap;

	for (u32 n = 0; n < c->n_levels; n++) {
		const struct wj_level *outer = n ? &c->levels[n - 1] : NULL;

		at_level(c, n);
		c->levels[n].invoke.outer = c->process.invokes;
		c->levels[n].delivery.outer = c->process.deliveries;
		if (!n)
			continue;
		c->levels[n].jit = (struct wj_jit_level){ &c->levels[n - 1].jit, outer->guest_sp,
							  outer->entry_sp };
	}
	trap = resume_level(c, 0, &main_type, &value);
	inst->store->depth = inst->depth = 0;
	inst->store->running = NULL;
	inst->store->level = NULL;
	c->process.invokes = NULL;
	c->process.deliveries = NULL;
	ended(c, wj_process_continue(&c->process, trap, (u32)value));
}

long wj_run(struct wj_context *c)
{
	wj_enter(c);
	c->started = true;
	wj_switch(&c->task_sp, c->host_sp);
	wj_leave(c);
	return c->code;
}
