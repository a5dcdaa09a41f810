// SPDX-License-Identifier: GPL-2.0-only
/*
 * Floating point: the guest's xmm registers are the task's user FPU state.  While a guest runs
 * the state is in the registers (TIF_NEED_FPU_LOAD clear), so a context switch saves it as ever.
 * What the kernel does only on return to user mode, loading it again, is done here
 *   - after a context switch (preempt notifier),
 *   - after somebody on top of the guest, an interrupt say, has computed with floats himself
 *     (kernel_fpu_end, through ftrace),
 *   - after a host call (wj_continue).
 */
#include <linux/ftrace.h>
#include <linux/irqflags.h>
#include <linux/module.h>
#include <asm/fpu/api.h>
#include "kernel.h"

DEFINE_PER_CPU(struct wj_context *, wj_current);

static bool hooked;

void wj_fpu_reload(void)
{
	unsigned long flags;

	local_irq_save(flags);
	if (test_thread_flag(TIF_NEED_FPU_LOAD))
		((void (*)(void))wj_switch_fpu_return)();
	local_irq_restore(flags);
}

static void sched_in(struct preempt_notifier *notifier, int cpu)
{
	struct wj_context *c = container_of(notifier, struct wj_context, notifier);

	this_cpu_write(wj_current, c);
	wj_tick_start();
	if (READ_ONCE(c->fpu_live))
		wj_fpu_reload();
}

static void sched_out(struct preempt_notifier *notifier, struct task_struct *next)
{
	this_cpu_write(wj_current, NULL);
}

static struct preempt_ops preempt_operations = {
	.sched_in = sched_in,
	.sched_out = sched_out,
};

/* At the start of kernel_fpu_end: the state of whoever computed is not needed any more. */
#ifndef WJ_HAVE_FTRACE_REGS
#define ftrace_regs pt_regs
#endif
static void notrace fpu_end(unsigned long ip, unsigned long parent_ip, struct ftrace_ops *ops,
			    struct ftrace_regs *regs)
{
	struct wj_context *c = this_cpu_read(wj_current);

	if (c && READ_ONCE(c->fpu_live))
		wj_fpu_reload();
}

static struct ftrace_ops hook = {
	.func = fpu_end,
	/* Nobody switches ftrace off while floats depend on it; where it is off, registering fails. */
	.flags = FTRACE_OPS_FL_PERMANENT,
};

void wj_enter(struct wj_context *c)
{
	preempt_notifier_init(&c->notifier, &preempt_operations);
	preempt_disable();
	preempt_notifier_register(&c->notifier);
	this_cpu_write(wj_current, c);
	wj_tick_start();
	preempt_enable();
	wj_continue(c);
}

void wj_leave(struct wj_context *c)
{
	wj_pause(c);
	preempt_disable();
	this_cpu_write(wj_current, NULL);
	preempt_notifier_unregister(&c->notifier);
	preempt_enable();
}

bool wj_fpu_available(void)
{
	return hooked;
}

/* What ftrace has allocated for the hook's filter. (Not every kernel exports ftrace_free_filter.) */
static void forget_filter(void)
{
	ftrace_set_filter(&hook, NULL, 0, 1);
}

int wj_fpu_init(void)
{
	static char name[] = "kernel_fpu_end";
	int err;

	preempt_notifier_inc();
	err = ftrace_set_filter(&hook, name, strlen(name), 1);
	if (!err)
		err = register_ftrace_function(&hook);
	if (err)
		pr_warn("wasm: kernel_fpu_end cannot be hooked (%d): guests that compute with floats are refused\n",
			err);
	hooked = !err;
	if (err)
		forget_filter();
	return 0;
}

void wj_fpu_deinit(void)
{
	if (hooked) {
		unregister_ftrace_function(&hook);
		forget_filter();
	}
	hooked = false;
	preempt_notifier_dec();
}
