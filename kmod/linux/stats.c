// SPDX-License-Identifier: GPL-2.0-only
/*
 * What guests do, for people: /proc/wasm/totals, /proc/wasm/guests, and tracepoints.  README.md
 * documents the formats.
 *
 * Counters live in contexts and are added up when somebody reads; those of a context that goes
 * are added to `gone`.  A context is listed from when it is complete until it is destroyed.
 */
#include <linux/atomic.h>
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/jiffies.h>
#include <linux/module.h>
#include <linux/pid_namespace.h>
#include <linux/proc_fs.h>
#include <linux/seq_file.h>
#include <linux/trace_events.h>
#include <linux/user_namespace.h>
#include "kernel.h"
#include "../core/internal.h"
#define CREATE_TRACE_POINTS
#include "trace.h"

static unsigned int interface = WJ_UAPI_VERSION;

static int set_interface(const char *value, const struct kernel_param *param)
{
	return -EPERM;
}

static const struct kernel_param_ops interface_ops = {
	.set = set_interface,
	.get = param_get_uint,
};
module_param_cb(interface, &interface_ops, &interface, 0444);
MODULE_PARM_DESC(interface, "version of the interface of /dev/wasm (cannot be set)");

static DEFINE_SPINLOCK(lock);
static LIST_HEAD(guests);		/* of wj_context.listed */
static struct wj_counts gone;
static u64 loads, shares, functions_jitted, functions_interpreted;
static atomic64_t refused = ATOMIC64_INIT(0);
static struct proc_dir_entry *directory;

static struct wj_counts counts_of(const struct wj_context *c)
{
	struct wj_counts ret = c->counts;

	ret.host_calls = READ_ONCE(c->process.inst->stats.host_calls);
	return ret;
}

static void add(struct wj_counts *to, const struct wj_counts *from)
{
#define COUNT(name) to->name += from->name;
	WJ_COUNTS
#undef COUNT
}

void wj_stats_begin(struct wj_context *c, bool loaded)
{
	c->since = ktime_get_boottime_seconds();
	spin_lock(&lock);
	if (loaded) {
		loads++;
		functions_jitted += c->process.inst->stats.functions_jitted;
		functions_interpreted += c->process.inst->stats.functions_interpreted;
	}
	list_add_tail(&c->listed, &guests);
	spin_unlock(&lock);
}

void wj_stats_end(struct wj_context *c)
{
	struct wj_counts last;

	if (list_empty(&c->listed))
		return;
	last = counts_of(c);
	spin_lock(&lock);
	list_del_init(&c->listed);
	add(&gone, &last);
	spin_unlock(&lock);
}

void wj_stats_load(struct wj_context *c, long result, bool shared)
{
	const struct wj_image *image = c->shared ? c->shared->image : NULL;
	const char *name = c->process.argv.bytes;

	if (result)
		atomic64_inc(&refused);
	spin_lock(&lock);
	shares += shared && !result;
	spin_unlock(&lock);
	trace_wasm_load(name ? name : "", result, image ? image->n_functions : 0,
			image && image->code ? wj_code_size(image->code) : 0);
}

void wj_stats_refused(void)
{
	atomic64_inc(&refused);
}

void wj_stats_fork(struct wj_context *c, long child)
{
	c->counts.forks += child > 0;
	trace_wasm_fork(child);
}

void wj_stats_exit(int status, int sig)
{
	trace_wasm_exit(status, sig);
}

/* On the guest's host stack, after its backtrace: one line in the kernel's log. */
void wj_stats_trap(struct wj_context *c, int trap)
{
	const char *name = c->process.argv.bytes, *slash = strrchr(name, '/');
	struct wj_frame frame = { .function = ~0u };
	u32 n = wj_backtrace(c->process.inst, &frame, 1);

	c->counts.traps++;
	trace_wasm_trap(trap, wj_trap_text(trap), frame.function, frame.offset);
	name = slash ? slash + 1 : name;
	if (n)
		pr_info_ratelimited("wasm: %*pE[%d]: trap: %s in function %u + 0x%x\n",
				    (int)min(strlen(name), (size_t)64), name, task_tgid_nr(current),
				    wj_trap_text(trap), frame.function, frame.offset);
	else
		pr_info_ratelimited("wasm: %*pE[%d]: trap: %s\n", (int)min(strlen(name), (size_t)64), name,
				    task_tgid_nr(current), wj_trap_text(trap));
}

void wj_trace_host_enter(const char *name)
{
	trace_wasm_host_enter(name);
}

void wj_trace_host_exit(const char *name, s64 result)
{
	trace_wasm_host_exit(name, result);
}

static void show_counts(struct seq_file *m, const struct wj_counts *counts)
{
#define COUNT(name) seq_printf(m, #name " %llu\n", counts->name);
	WJ_COUNTS
#undef COUNT
}

static int show_totals(struct seq_file *m, void *unused)
{
	u64 running = 0, waiting = 0, loaded, shared, jitted, interpreted;
	struct wj_counts counts;
	struct wj_context *c;

	spin_lock(&lock);
	counts = gone;
	loaded = loads;
	shared = shares;
	jitted = functions_jitted;
	interpreted = functions_interpreted;
	list_for_each_entry(c, &guests, listed) {
		struct wj_counts now = counts_of(c);

		add(&counts, &now);
		if (READ_ONCE(c->task))
			running++;
		else
			waiting++;
	}
	spin_unlock(&lock);
	seq_printf(m, "version %s\ninterface %u\nguests %llu\nunclaimed %llu\nloads %llu\nshared %llu\nrefused %llu\nimages %u\n",
		   WJ_VERSION, WJ_UAPI_VERSION, running, waiting, loaded, shared,
		   (u64)atomic64_read(&refused), wj_images());
	seq_printf(m, "functions_jitted %llu\nfunctions_interpreted %llu\n", jitted, interpreted);
	show_counts(m, &counts);
	wj_pool_show(m);
	return 0;
}

static void *guests_start(struct seq_file *m, loff_t *pos)
	__acquires(&lock)
{
	spin_lock(&lock);
	return seq_list_start_head(&guests, *pos);
}

static void *guests_next(struct seq_file *m, void *at, loff_t *pos)
{
	return seq_list_next(at, &guests, pos);
}

static void guests_stop(struct seq_file *m, void *at)
	__releases(&lock)
{
	spin_unlock(&lock);
}

/* A user sees his own guests, whoever may look at all processes all of them. */
static bool may_see(struct seq_file *m, kuid_t user)
{
	return uid_eq(m->file->f_cred->euid, user) ||
	       file_ns_capable(m->file, &init_user_ns, CAP_SYS_PTRACE);
}

static int guests_show(struct seq_file *m, void *at)
{
	struct wj_context *c = list_entry(at, struct wj_context, listed);
	struct wj_counts counts;
	struct task_struct *task;
	kuid_t user;
	pid_t pid;

	if (at == &guests) {
		seq_puts(m, "# pid uid state pages age_s cpu_ms");
#define COUNT(name) seq_puts(m, " " #name);
		WJ_COUNTS
#undef COUNT
		seq_puts(m, " image\n");
		return 0;
	}
	/* Set once, by who loads or claims it; the reference stays until it is off the list. */
	task = smp_load_acquire(&c->task);
	if (!task)
		return 0;
	user = task_uid(task);
	pid = task_tgid_nr_ns(task, proc_pid_ns(file_inode(m->file)->i_sb));
	if (!pid || !may_see(m, user))
		return 0;
	counts = counts_of(c);
	seq_printf(m, "%d %u %s %u %llu %llu", pid, from_kuid_munged(seq_user_ns(m), user),
		   READ_ONCE(c->state) == WJ_RUNNING ? "running" : "outside",
		   c->process.inst->memory ? READ_ONCE(c->process.inst->memory->pages) : 0,
		   (u64)(ktime_get_boottime_seconds() - c->since),
		   READ_ONCE(task->se.sum_exec_runtime) / NSEC_PER_MSEC);
#define COUNT(name) seq_printf(m, " %llu", counts.name);
	WJ_COUNTS
#undef COUNT
	seq_putc(m, ' ');
	seq_escape(m, c->process.argv.bytes, " \t\n\\#");
	seq_putc(m, '\n');
	return 0;
}

static const struct seq_operations guests_operations = {
	.start = guests_start,
	.next = guests_next,
	.stop = guests_stop,
	.show = guests_show,
};

int wj_stats_init(void)
{
	directory = proc_mkdir("wasm", NULL);
	if (!directory)
		return -ENOMEM;
	if (proc_create_single("totals", 0444, directory, show_totals) &&
	    proc_create_seq("guests", 0444, directory, &guests_operations))
		return 0;
	proc_remove(directory);
	return -ENOMEM;
}

/* Whoever reads has finished when this returns. */
void wj_stats_deinit(void)
{
	proc_remove(directory);
	tracepoint_synchronize_unregister();
}
