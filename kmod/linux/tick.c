// SPDX-License-Identifier: GPL-2.0-only
/*
 * A guest that spins on a processor of its own never reaches the slow path of a poll, where
 * RCU-tasks learns that it can go on: synchronize_rcu_tasks() would wait for ever, for the whole
 * system.  So each processor that runs a guest sends it there ten times a second, by a flag that
 * stays until the guest has seen it: with preempt=full TIF_NEED_RESCHED would not, and being
 * preempted is not enough for RCU-tasks.
 */
#include <linux/jiffies.h>
#include <linux/timer.h>
#include "kernel.h"

#ifndef WJ_HAVE_TIMER_DELETE_SYNC
#define timer_delete_sync del_timer_sync
#endif

static DEFINE_PER_CPU(struct timer_list, ticks);

/*
 * On top of the guest, in a softirq, or in a thread that has preempted it.  Elsewhere there is no
 * guest; wherever one comes back, wj_tick_start begins again.
 */
static void tick(struct timer_list *timer)
{
	if (!wj_current_context())
		return;
	set_thread_flag(TIF_NOTIFY_RESUME);
	mod_timer(timer, jiffies + HZ / 10);
}

void wj_tick_start(void)
{
	struct timer_list *timer = this_cpu_ptr(&ticks);

	if (timer_pending(timer))
		return;
	set_thread_flag(TIF_NOTIFY_RESUME);
	mod_timer(timer, jiffies + HZ / 10);
}

void wj_tick_init(void)
{
	int cpu;

	for_each_possible_cpu(cpu)
		timer_setup(per_cpu_ptr(&ticks, cpu), tick, TIMER_PINNED);
}

void wj_tick_deinit(void)
{
	int cpu;

	for_each_possible_cpu(cpu)
		timer_delete_sync(per_cpu_ptr(&ticks, cpu));
}
