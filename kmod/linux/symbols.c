// SPDX-License-Identifier: GPL-2.0-only
/*
 * Functions that the kernel does not export, found once through kallsyms.  They are called
 * through trampolines in the pool, that is, by a direct jump: on CPUs with indirect branch
 * tracking a call through a pointer to a function whose ENDBR was sealed is fatal.
 */
#include <linux/kprobes.h>
#include <linux/slab.h>
#include <asm/cpufeature.h>
#include <asm/nospec-branch.h>
#include "kernel.h"

const void *wj_syscall_entries[NR_syscalls];
static const void *return_thunk;
static const void *indirect_thunks[16];

static unsigned long (*lookup)(const char *name);

static int find_lookup(void)
{
	struct kprobe probe = { .symbol_name = "kallsyms_lookup_name" };
	unsigned long address;
	const void *entry;
	int err = register_kprobe(&probe);

	if (err) {
		pr_err("wasm: kallsyms_lookup_name not found (%d): the kernel needs CONFIG_KPROBES and CONFIG_KALLSYMS\n",
		       err);
		return err;
	}
	address = (unsigned long)probe.addr;
	unregister_kprobe(&probe);
	err = wj_pool_trampolines(&address, 1, false, &entry);
	if (!err)
		lookup = entry;
	return err;
}

static int find_syscalls(void)
{
	const unsigned long *entries = (const unsigned long *)lookup("sys_call_table");

	if (!entries) {
		pr_err("wasm: sys_call_table not found: the kernel needs CONFIG_KALLSYMS_ALL\n");
		return -ENOENT;
	}
	return wj_pool_trampolines(entries, NR_syscalls, true, wj_syscall_entries);
}

const void *wj_task_work_run, *wj_blkcg_throttle, *wj_switch_fpu_return;

static int find_functions(void)
{
	static const struct {
		const char *name;
		const void **ret;
		bool change, needed;
	} wanted[] = {
		{ "task_work_run", &wj_task_work_run, true, false },
		{ "blkcg_maybe_throttle_current", &wj_blkcg_throttle, true, false },
		/* Exported, but in newer kernels to KVM alone. */
		{ "switch_fpu_return", &wj_switch_fpu_return, false, true },
	};
	int err = 0;

	for (unsigned int i = 0; i < ARRAY_SIZE(wanted) && !err; i++) {
		unsigned long address = lookup(wanted[i].name);

		if (address) {
			err = wj_pool_trampolines(&address, 1, wanted[i].change, wanted[i].ret);
		} else if (wanted[i].needed) {
			pr_err("wasm: %s not found: this kernel is newer than the module knows\n", wanted[i].name);
			err = -ENOENT;
		}
	}
	return err;
}

unsigned long wj_symbol(const char *name)
{
	return lookup(name);
}

u32 wj_mitigations(void)
{
	u32 ret = WJ_MITIGATE_BLIND;

	if (boot_cpu_has(X86_FEATURE_SMAP))
		ret |= WJ_MITIGATE_SMAP;
	if (boot_cpu_has(X86_FEATURE_RETPOLINE) || boot_cpu_has(X86_FEATURE_RETPOLINE_LFENCE))
		ret |= WJ_MITIGATE_RETPOLINE;
#ifdef X86_FEATURE_INDIRECT_THUNK_ITS
	if (boot_cpu_has(X86_FEATURE_INDIRECT_THUNK_ITS))
		ret |= WJ_MITIGATE_RETPOLINE;
#endif
#ifdef X86_FEATURE_RETHUNK
	if (boot_cpu_has(X86_FEATURE_RETHUNK))
		ret |= WJ_MITIGATE_RETHUNK;
#endif
#ifdef X86_FEATURE_CLEAR_BHB_LOOP
	if (boot_cpu_has(X86_FEATURE_CLEAR_BHB_LOOP))
		ret |= WJ_MITIGATE_BHB;
#endif
#ifdef X86_FEATURE_IBT
	if (IS_ENABLED(CONFIG_X86_KERNEL_IBT) && boot_cpu_has(X86_FEATURE_IBT))
		ret |= WJ_MITIGATE_IBT;
#endif
	return ret;
}

const void *wj_indirect_thunk(unsigned int reg)
{
	return indirect_thunks[reg & 15];
}

const void *wj_return_thunk(void)
{
	return return_thunk;
}

static const char *const registers[16] = {
	"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
	"r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"
};

/* As the kernel's own eBPF JIT chooses, arch/x86/net/bpf_jit_comp.c. */
static int find_thunks(void)
{
	u32 mitigations = wj_mitigations();
	const u8 *its = NULL;
	char name[40];

#ifdef X86_FEATURE_INDIRECT_THUNK_ITS
	if (boot_cpu_has(X86_FEATURE_INDIRECT_THUNK_ITS)) {
		its = (const u8 *)lookup("__x86_indirect_its_thunk_array");
		if (!its)
			return -ENOENT;
	}
#endif
	for (unsigned int i = 0; i < 16 && mitigations & WJ_MITIGATE_RETPOLINE; i++) {
		if (i == 4)	/* rsp: nobody jumps there */
			continue;
		snprintf(name, sizeof(name), "__x86_indirect_%sthunk_%s", its ? "its_" : "", registers[i]);
		indirect_thunks[i] = (const void *)lookup(name);
		if (!indirect_thunks[i]) {
			pr_err("wasm: %s not found\n", name);
			return -ENOENT;
		}
	}
	if (mitigations & WJ_MITIGATE_RETHUNK) {
		const void *const *variable = (const void *const *)lookup("x86_return_thunk");

		if (variable)
			return_thunk = *variable;
		else
			return_thunk = (const void *)lookup("__x86_return_thunk");
		if (!return_thunk) {
			pr_err("wasm: the return thunk was not found\n");
			return -ENOENT;
		}
	}
	return 0;
}

int wj_symbols_init(void)
{
	int err = find_lookup();

	/* First: trampolines return through one. */
	if (!err)
		err = find_thunks();
	if (!err)
		err = find_syscalls();
	if (!err)
		err = find_functions();
	return err;
}
