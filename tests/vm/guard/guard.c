// SPDX-License-Identifier: GPL-2.0-only
/*
 * Looks over wasm.ko's shoulder.  pool and size: the pages where guest code is; /proc/guard says how
 * many of them can be written, and how many of those that cannot be executed, there or through the
 * kernel's mapping of all memory; and, of the calls of getppid, how many there were and how many of
 * them ran with AC set.
 */
#include <linux/kprobes.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/proc_fs.h>
#include <linux/seq_file.h>
#include <asm/pgtable_types.h>
#include <asm/processor-flags.h>

static unsigned long pool, size;
module_param(pool, ulong, 0);
module_param(size, ulong, 0);

static atomic_t calls, with_ac;

static int before(struct kprobe *probe, struct pt_regs *regs)
{
	atomic_inc(&calls);
	if (regs->flags & X86_EFLAGS_AC)
		atomic_inc(&with_ac);
	return 0;
}

static struct kprobe probe = { .symbol_name = "__x64_sys_getppid", .pre_handler = before };

static unsigned long flags_of(unsigned long address)
{
	unsigned int level;
	pte_t *pte = lookup_address(address, &level);

	return pte ? pte_val(*pte) & (_PAGE_PRESENT | _PAGE_RW | _PAGE_NX) : 0;
}

static int show(struct seq_file *m, void *unused)
{
	unsigned long at;
	int writable = 0, not_executable = 0, alias_executable = 0, pages = 0;

	for (at = pool; at < pool + size; at += PAGE_SIZE, pages++) {
		struct page *page = vmalloc_to_page((void *)at);
		unsigned long flags = flags_of(at);

		writable += !!(flags & _PAGE_RW);
		not_executable += !!(flags & _PAGE_NX);
		flags = page ? flags_of((unsigned long)page_address(page)) : 0;
		alias_executable += flags & _PAGE_PRESENT && !(flags & _PAGE_NX);
	}
	seq_printf(m, "pages %d writable %d not_executable %d alias_executable %d calls %d with_ac %d\n",
		   pages, writable, not_executable, alias_executable, atomic_read(&calls),
		   atomic_read(&with_ac));
	return 0;
}

static int __init guard_init(void)
{
	int err = register_kprobe(&probe);

	if (!err && !proc_create_single("guard", 0444, NULL, show)) {
		unregister_kprobe(&probe);
		err = -ENOMEM;
	}
	return err;
}

static void __exit guard_exit(void)
{
	remove_proc_entry("guard", NULL);
	unregister_kprobe(&probe);
}

module_init(guard_init);
module_exit(guard_exit);
MODULE_DESCRIPTION("Page protection and flags under guests of wasm.ko");
MODULE_LICENSE("GPL");
