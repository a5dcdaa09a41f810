// SPDX-License-Identifier: GPL-2.0-only
/*
 * Uses floating point registers in interrupts and softirqs, five thousand times a second, as
 * drivers that encrypt do: whoever was interrupted must not notice.
 */
#include <linux/hrtimer.h>
#include <linux/interrupt.h>
#include <linux/module.h>
#include <linux/version.h>
#include <asm/fpu/api.h>

static struct hrtimer timers[2];
static unsigned long used[2];
module_param_array(used, ulong, NULL, 0444);

static void wj_noise(unsigned int which)
{
	if (!irq_fpu_usable())
		return;
	kernel_fpu_begin();
	asm volatile("pcmpeqd %%xmm0, %%xmm0; pcmpeqd %%xmm1, %%xmm1; pcmpeqd %%xmm2, %%xmm2\n"
		     "pcmpeqd %%xmm3, %%xmm3; pcmpeqd %%xmm4, %%xmm4; pcmpeqd %%xmm5, %%xmm5\n"
		     "pcmpeqd %%xmm6, %%xmm6; pcmpeqd %%xmm7, %%xmm7; pcmpeqd %%xmm8, %%xmm8\n"
		     "pcmpeqd %%xmm9, %%xmm9; pcmpeqd %%xmm10, %%xmm10; pcmpeqd %%xmm11, %%xmm11\n"
		     "pcmpeqd %%xmm12, %%xmm12; pcmpeqd %%xmm13, %%xmm13; pcmpeqd %%xmm14, %%xmm14\n"
		     "pcmpeqd %%xmm15, %%xmm15" : : : "memory");
	kernel_fpu_end();
	used[which]++;
}

static enum hrtimer_restart wj_noise_timer(struct hrtimer *timer)
{
	wj_noise(timer - timers);
	hrtimer_forward_now(timer, ns_to_ktime(400000));
	return HRTIMER_RESTART;
}

static int __init wj_noise_init(void)
{
	static const enum hrtimer_mode modes[2] = { HRTIMER_MODE_REL_HARD, HRTIMER_MODE_REL_SOFT };

	for (int i = 0; i < 2; i++) {
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 13, 0)
		hrtimer_setup(&timers[i], wj_noise_timer, CLOCK_MONOTONIC, modes[i]);
#else
		hrtimer_init(&timers[i], CLOCK_MONOTONIC, modes[i]);
		timers[i].function = wj_noise_timer;
#endif
		hrtimer_start(&timers[i], ns_to_ktime(400000), modes[i]);
	}
	return 0;
}

static void __exit wj_noise_exit(void)
{
	for (int i = 0; i < 2; i++)
		hrtimer_cancel(&timers[i]);
}

module_init(wj_noise_init);
module_exit(wj_noise_exit);
MODULE_DESCRIPTION("Floating point in interrupts");
MODULE_LICENSE("GPL");
