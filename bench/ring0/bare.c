// SPDX-License-Identifier: GPL-2.0-only
/*
 * What system calls cost without their callers: reading /proc/bare makes each many times through
 * sys_call_table, as the module does, on the reader's behalf (its descriptor 5 is /dev/null).
 */
#include <linux/kprobes.h>
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/module.h>
#include <linux/proc_fs.h>
#include <linux/seq_file.h>
#include <linux/syscalls.h>

static const struct {
	const char *name;
	unsigned int nr;
} calls[] = { { "getpid", __NR_getpid }, { "null", __NR_write } };

typedef long (*entry)(const struct pt_regs *regs);
static const entry *table;

static int wj_show(struct seq_file *file, void *unused)
{
	unsigned long buffer = vm_mmap(NULL, 0, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, 0);
	const int count = 10000;

	for (int i = 0; i < ARRAY_SIZE(calls); i++) {
		struct pt_regs regs = { .orig_ax = calls[i].nr, .di = 5, .si = buffer, .dx = 1 };
		ktime_t begin;

		for (int n = 0; n < count / 8; n++)
			table[calls[i].nr](&regs);
		begin = ktime_get();
		for (int n = 0; n < count; n++)
			table[calls[i].nr](&regs);
		seq_printf(file, "%s %lld\n", calls[i].name, ktime_to_ns(ktime_get() - begin) / count);
	}
	vm_munmap(buffer, PAGE_SIZE);
	return 0;
}

static int __init wj_bare_init(void)
{
	struct kprobe probe = { .symbol_name = "kallsyms_lookup_name" };
	unsigned long (*lookup)(const char *name);
	int err = register_kprobe(&probe);

	if (err)
		return err;
	lookup = (void *)probe.addr;
	unregister_kprobe(&probe);
	table = (const entry *)lookup("sys_call_table");
	if (!table || !proc_create_single("bare", 0400, NULL, wj_show))
		return -ENOENT;
	return 0;
}

static void __exit wj_bare_exit(void)
{
	remove_proc_entry("bare", NULL);
}

module_init(wj_bare_init);
module_exit(wj_bare_exit);
MODULE_DESCRIPTION("Bare cost of system calls");
MODULE_LICENSE("GPL");
