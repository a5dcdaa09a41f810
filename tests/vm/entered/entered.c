// SPDX-License-Identifier: GPL-2.0-only
/*
 * Counts how often functions of wasm.ko are entered, by kprobes of its own: wasm.ko has no ftrace
 * hooks, and the kernel's probe events take nothing else.  functions: their names; entered: the counts.
 */
#include <linux/kprobes.h>
#include <linux/module.h>

#define MOST 4

static char *functions[MOST];
static int count;
module_param_array(functions, charp, &count, 0);

static unsigned long entered[MOST];
module_param_array(entered, ulong, NULL, 0444);

static struct kprobe probes[MOST], *registered[MOST];

/* Exact on the one processor that the machine has. */
static int before(struct kprobe *probe, struct pt_regs *regs)
{
	entered[probe - probes]++;
	return 0;
}

static int __init entered_init(void)
{
	int i;

	for (i = 0; i < count; i++) {
		probes[i].symbol_name = functions[i];
		probes[i].pre_handler = before;
		registered[i] = &probes[i];
	}
	return register_kprobes(registered, count);
}

static void __exit entered_exit(void)
{
	unregister_kprobes(registered, count);
}

module_init(entered_init);
module_exit(entered_exit);
MODULE_DESCRIPTION("Counts calls of functions for pywasmjit's tests");
MODULE_LICENSE("GPL");
