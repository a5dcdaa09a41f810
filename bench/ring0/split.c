// SPDX-License-Identifier: GPL-2.0-only
/*
 * A plugin of QEMU: counts instructions by address.  Arguments NAME=LOW:HIGH, hexadecimal, first
 * match wins.  Prints the counts whenever the guest executes WJ_MARK (ops.c).  QEMU's own header is
 * not packaged: the interface (version 1) as far as it is used here.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

typedef uint64_t plugin_id;
struct plugin_tb;
extern void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id id, void (*cb)(plugin_id id, struct plugin_tb *tb));
extern void qemu_plugin_register_vcpu_tb_exec_inline(struct plugin_tb *tb, int op, void *ptr, uint64_t imm);
struct plugin_insn;
extern void qemu_plugin_register_vcpu_insn_exec_cb(struct plugin_insn *insn,
						   void (*cb)(unsigned int cpu, void *data), int flags, void *data);
extern uint64_t qemu_plugin_tb_vaddr(const struct plugin_tb *tb);
extern size_t qemu_plugin_tb_n_insns(const struct plugin_tb *tb);
extern struct plugin_insn *qemu_plugin_tb_get_insn(const struct plugin_tb *tb, size_t i);
extern const void *qemu_plugin_insn_data(const struct plugin_insn *insn);
extern size_t qemu_plugin_insn_size(const struct plugin_insn *insn);

EXPORT int qemu_plugin_version = 1;

#define RANGES 16
static struct {
	char name[32];
	uint64_t low, high, count;
} ranges[RANGES + 1];
static int n_ranges;

static void report(unsigned int cpu, void *data)
{
	(void)cpu;
	(void)data;
	fprintf(stderr, "split");
	for (int i = 0; i <= n_ranges; i++)
		fprintf(stderr, " %s %llu", i < n_ranges ? ranges[i].name : "other",
			(unsigned long long)ranges[i].count);
	fprintf(stderr, "\n");
}

static void translate(plugin_id id, struct plugin_tb *tb)
{
	static const unsigned char mark[] = { 0x0f, 0x1f, 0x84, 0x00, 0x4a, 0x57, 0x4a, 0x57 };
	uint64_t at = qemu_plugin_tb_vaddr(tb);
	size_t n = qemu_plugin_tb_n_insns(tb);
	int i;

	(void)id;
	for (i = 0; i < n_ranges; i++) {
		if (at >= ranges[i].low && at < ranges[i].high)
			break;
	}
	qemu_plugin_register_vcpu_tb_exec_inline(tb, 0 /* add */, &ranges[i].count, n);
	for (size_t k = 0; k < n; k++) {
		struct plugin_insn *insn = qemu_plugin_tb_get_insn(tb, k);

		if (qemu_plugin_insn_size(insn) == sizeof(mark) &&
		    !memcmp(qemu_plugin_insn_data(insn), mark, sizeof(mark)))
			qemu_plugin_register_vcpu_insn_exec_cb(insn, report, 0, NULL);
	}
}

EXPORT int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv)
{
	(void)info;
	for (int i = 0; i < argc && n_ranges < RANGES; i++) {
		char *equals = strchr(argv[i], '='), *colon = equals ? strchr(equals, ':') : NULL;

		if (!colon || equals - argv[i] >= (ptrdiff_t)sizeof(ranges->name))
			return -1;
		memcpy(ranges[n_ranges].name, argv[i], equals - argv[i]);
		ranges[n_ranges].low = strtoull(equals + 1, NULL, 16);
		ranges[n_ranges++].high = strtoull(colon + 1, NULL, 16);
	}
	qemu_plugin_register_vcpu_tb_trans_cb(id, translate);
	return 0;
}
