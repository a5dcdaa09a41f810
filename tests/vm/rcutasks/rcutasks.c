// SPDX-License-Identifier: GPL-2.0-only
/* insmod takes as long as synchronize_rcu_tasks() does, says how long, and fails on purpose. */
#include <linux/ktime.h>
#include <linux/module.h>
#include <linux/rcupdate_wait.h>

static int __init wj_rcutasks_init(void)
{
	ktime_t begin = ktime_get();

	synchronize_rcu_tasks();
	pr_info("rcutasks: %lld ms\n", ktime_ms_delta(ktime_get(), begin));
	return -EAGAIN;
}

module_init(wj_rcutasks_init);
MODULE_DESCRIPTION("Waits for a grace period of RCU-tasks");
MODULE_LICENSE("GPL");
