// SPDX-License-Identifier: GPL-2.0-only
/* A live patch, of what /proc/cmdline says: it is complete when every task has left the kernel once. */
#include <linux/livepatch.h>
#include <linux/module.h>
#include <linux/seq_file.h>

static int patched_show(struct seq_file *m, void *v)
{
	seq_puts(m, "patched\n");
	return 0;
}

static struct klp_func functions[] = {
	{ .old_name = "cmdline_proc_show", .new_func = patched_show, },
	{ }
};

static struct klp_object objects[] = {
	{ .funcs = functions, },
	{ }
};

static struct klp_patch patch = { .mod = THIS_MODULE, .objs = objects };

static int __init patched_init(void)
{
	return klp_enable_patch(&patch);
}

static void __exit patched_exit(void)
{
}

module_init(patched_init);
module_exit(patched_exit);
MODULE_DESCRIPTION("Live patch for a test");
MODULE_LICENSE("GPL");
MODULE_INFO(livepatch, "Y");
