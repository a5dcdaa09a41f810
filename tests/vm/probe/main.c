// SPDX-License-Identifier: GPL-2.0-only
/*
 * The smallest module with a device node. The harness's tests build, load, use and unload it on
 * every kernel; reading /dev/wj_probe gives a greeting.
 */
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>

static ssize_t wj_probe_read(struct file *file, char __user *to, size_t size, loff_t *position)
{
	static const char greeting[] = "probe: hello from ring 0\n";

	return simple_read_from_buffer(to, size, position, greeting, sizeof(greeting) - 1);
}

static const struct file_operations wj_probe_operations = {
	.owner = THIS_MODULE,
	.read = wj_probe_read,
};

static struct miscdevice wj_probe_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "wj_probe",
	.fops = &wj_probe_operations,
};

static int __init wj_probe_init(void)
{
	int ret = misc_register(&wj_probe_device);

	if (ret)
		return ret;
	pr_info("wj_probe: loaded\n");
	return 0;
}

static void __exit wj_probe_exit(void)
{
	misc_deregister(&wj_probe_device);
	pr_info("wj_probe: unloaded\n");
}

module_init(wj_probe_init);
module_exit(wj_probe_exit);
MODULE_DESCRIPTION("Probe for pywasmjit's VM harness");
MODULE_LICENSE("GPL");
