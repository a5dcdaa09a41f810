// SPDX-License-Identifier: GPL-2.0-only
/* wasm.ko: what is set up in which order. */
#include <linux/module.h>
#include "kernel.h"

static int __init wj_init(void)
{
	int err;

	err = wj_pool_init();
	if (err)
		return err;
	err = wj_symbols_init();
	if (err)
		goto fail_pool;
	wj_seccomp_init();
	wj_tick_init();
	err = wj_fpu_init();
	if (err)
		goto fail_pool;
	err = wj_stats_init();
	if (err)
		goto fail_fpu;
	err = wj_binfmt_init();
	if (err)
		goto fail_stats;
	/*
	 * Nothing may fail any more once the module can be used: whoever has opened the device by then
	 * would not keep the module from going.
	 */
	err = wj_device_init();
	if (err)
		goto fail_binfmt;
	wj_binfmt_register();
	return 0;

fail_binfmt:
	wj_binfmt_deinit();
fail_stats:
	wj_stats_deinit();
fail_fpu:
	wj_fpu_deinit();
fail_pool:
	wj_pool_deinit();
	return err;
}

static void __exit wj_exit(void)
{
	wj_binfmt_unregister();
	wj_device_deinit();
	wj_binfmt_deinit();
	wj_stats_deinit();
	wj_fpu_deinit();
	wj_tick_deinit();
	wj_pool_deinit();
}

module_init(wj_init);
module_exit(wj_exit);
MODULE_DESCRIPTION("pywasmjit: WebAssembly guests in ring 0");
MODULE_LICENSE("GPL");
MODULE_VERSION(WJ_VERSION);
