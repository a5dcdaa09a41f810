/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of the kernel platform share.
 *
 * Stacks.  A guest has two of its own, in one vmalloc'ed piece: one for guest code (RSP while it
 * runs) and one for the C of host/ and core/ that surrounds it.  The kernel's own system calls
 * run on the task's stack, as everywhere.  So a guest can stop in the middle of any host call,
 * however deeply nested, and the ioctl can return to the launcher: wj_switch.
 *
 *	task stack	ioctl -> run_loop			   system calls
 *			  | ^  wj_switch			     ^ trampoline
 *	host stack	  v |  wj_process_run -> wj_call ...  dispatch -> wj_sys
 *	guest stack				   main() ... write()
 *
 * Ownership.  A context belongs to one task and its mm, and is linked in the wj_file of the
 * /dev/wasm it was loaded through.  Everything that host/ and core/ allocate is linked in the
 * context and freed with it, also where the guest was killed in the middle.
 */
#ifndef WJ_KERNEL_H
#define WJ_KERNEL_H

#include <linux/entry-common.h>
#include <linux/fs.h>
#include <linux/list.h>
#include <linux/nospec.h>
#include <linux/percpu.h>
#include <linux/preempt.h>
#include <linux/refcount.h>
#include <linux/sched.h>
#include <linux/spinlock.h>
#include <linux/thread_info.h>
#include <linux/uidgid.h>
#include <asm/ptrace.h>
#include <asm/syscall.h>
#include "../core/internal.h"
#include "../host/process.h"
#include "uapi.h"

#define WJ_LOG_SIZE 1024u

/* Memory and code that are freed together. */
struct wj_arena {
	struct list_head allocations;
	struct wj_quota *quota;		/* of the user who made it: a reference */
	bool code;			/* owned chunks of the pool at some time */
};

/*
 * What processes have in common that run the same image for the same user: those that fork makes,
 * and others.  Nothing of it changes once it is in the list of images.
 */
struct wj_shared {
	refcount_t refs;
	struct list_head link;		/* of images */
	struct wj_arena arena;
	u8 *bytes;
	size_t size;
	u64 hash;
	struct wj_image *image;
	struct wj_extern *externs;	/* what its imports are bound to */
};

struct wj_stacks {
	u8 *guest, *host;
};

enum wj_state {
	WJ_LOADING,		/* not in the list yet */
	WJ_FORKED,		/* waits for the child that claims it */
	WJ_SUSPENDED,		/* outside of the ioctl; also before it has begun */
	WJ_RUNNING
};

/* Where the host stack is left for the launcher: what a handler that runs there has interrupted. */
enum wj_place {
	WJ_AT_POLL,		/* guest code, or the end of a host call */
	WJ_IN_CALL,		/* a system call, which did nothing yet */
	WJ_IN_LAUNCHER,		/* a request that the launcher carries out */
	WJ_NOWHERE		/* no guest code will go on from here */
};

/*
 * A call of guest code that a fork's child takes up again.  The last is waiting for fork, the
 * others for the next one: in invoke_*, or interrupted by a handler.
 */
struct wj_level {
	u64 guest_sp, entry_sp;
	struct wj_jit_level jit;	/* for a fork by the child */
	bool handler;
	u32 called;			/* wj_jit_called */
	struct wj_invoke invoke;
	struct wj_delivery delivery;
};

/* What a guest has done, in the order of /proc/wasm; host_calls are counted by the core. */
#define WJ_COUNTS \
	COUNT(host_calls) COUNT(system_calls) COUNT(filtered) COUNT(launcher_calls) COUNT(polls) COUNT(returns) \
	COUNT(signals) COUNT(forks) COUNT(execs) COUNT(traps)
struct wj_counts {
#define COUNT(name) u64 name;
	WJ_COUNTS
#undef COUNT
};

struct wj_context {
	struct list_head link;		/* in wj_file.contexts */
	struct list_head listed;	/* stats.c */
	struct wj_counts counts;
	time64_t since;			/* loaded or forked: seconds since boot */
	struct wj_file *file;
	struct task_struct *task;	/* references; NULL while nobody has claimed it */
	struct mm_struct *mm;
	u64 cookie;			/* WJ_FORKED: who knows it may claim */
	struct pid *child;		/* WJ_FORKED: who is expected to, once known */
	sigset_t blocked;		/* the guest's while a fork blocks all signals */
	int state;			/* enum wj_state; under file->lock */
	struct preempt_notifier notifier;
	bool fpu_live;			/* registers hold the user's state, also after interrupts */

	struct wj_stacks stacks;
	kuid_t stacks_user;
	u64 guest_limit, guest_top;
	u64 host_sp, task_sp;		/* suspended host stack; task stack while in the ioctl */
	u64 host_limit;			/* below it no signal handler is begun */

	/* From the ioctl to the host stack. */
	u32 op, signal;
	s64 result;
	u8 siginfo[128];
	/* From the host stack to the ioctl. */
	long code;			/* what the ioctl returns */
	u32 event;
	s32 status;
	u64 nr, args[6];

	/*
	 * Arguments of a system call, as its entry point looks for them (syscall_wrapper.h). Kept,
	 * because to clear all the other registers costs more than many a call.
	 */
	struct pt_regs regs;

	struct wj_process process;
	struct wj_shared *shared;
	u64 scratch;			/* user address; above it the platform's own: a page for
					 * wj_log and sigaction, one for the path of execve */
	u64 max_memory;
	u64 handler, restorer;
	s32 hidden_fds[WJ_HIDDEN_FDS];
	u64 hidden_fds_at;		/* user address of the launcher's array of them */
	/* None is below the first number, nor above it by more than the second. */
	u32 lowest_hidden_fd, hidden_range;
	struct wj_level *levels;	/* of a fork's child, outermost first */
	u32 n_levels;
	struct wj_arena own, *arena;	/* wj_alloc's is one of own and shared's */
	bool loaded;			/* holds a reference on the image */
	bool answered;			/* the next request to the launcher or the kernel: by answer */
	s64 answer;
	bool started;			/* the host stack is in use: system calls leave it */
	bool expect;			/* the suspended host call waits for a result */
	char line[WJ_LOG_SIZE];
};

struct wj_file {
	spinlock_t lock;		/* the list, states in it, spare stacks */
	struct list_head contexts;
	/*
	 * Of the last guest that ended, for the next that this one's family forks: memory that is
	 * charged to it already, and that only guests of the same user have seen.
	 */
	struct wj_stacks spare;
	kuid_t spare_user;
};

/* symbols.c: functions of the kernel, as trampolines that change the stack; NULL where there are none. */
extern const void *wj_task_work_run, *wj_blkcg_throttle;
extern const void *wj_switch_fpu_return;	/* on this stack */

/* The context whose guest the current task runs right now, or is loading; else NULL. */
DECLARE_PER_CPU(struct wj_context *, wj_current);
static inline struct wj_context *wj_current_context(void)
{
	return this_cpu_read(wj_current);
}

/* Does anybody look at the system calls of this task: a filter, a tracer, the audit system? */
static inline bool wj_syscall_work(void)
{
#ifdef SYSCALL_WORK_SECCOMP
	return READ_ONCE(current_thread_info()->syscall_work);
#else
	return READ_ONCE(current_thread_info()->flags) & (SYSCALL_ENTER_WORK | SYSCALL_EXIT_WORK);
#endif
}

/* Filters of seccomp, and nobody else? */
static inline bool wj_only_filters_look(void)
{
#ifdef SYSCALL_WORK_SECCOMP
	return READ_ONCE(current_thread_info()->syscall_work) == SYSCALL_WORK_SECCOMP;
#else
	return (READ_ONCE(current_thread_info()->flags) & (SYSCALL_ENTER_WORK | SYSCALL_EXIT_WORK)) == _TIF_SECCOMP;
#endif
}

/* seccomp.c: may the current task make this system call? */
enum wj_verdict {
	WJ_ALLOWED,
	WJ_REFUSED,		/* it gets *ret instead */
	WJ_ASK_LAUNCHER		/* to make it: what comes of that is more than an answer, or not known here */
};
void wj_seccomp_init(void);
bool wj_seccomp_allows(struct wj_context *c, unsigned int nr);	/* whatever the arguments; false: perhaps */
enum wj_verdict wj_seccomp(struct wj_context *c, unsigned int nr, const u64 args[6], long *ret);

/* fpu.c: from enter to leave, current runs `c` and xmm registers are the guest's. */
int wj_fpu_init(void);
void wj_fpu_deinit(void);
bool wj_fpu_available(void);
void wj_enter(struct wj_context *c);
void wj_leave(struct wj_context *c);
/*
 * Around system calls and whatever else the kernel does on a guest's behalf: floats need not be
 * kept, and the time is system time.  Everything else a guest does counts as user time, as it
 * would natively (ITIMER_VIRTUAL, times): PF_VCPU is how KVM has the time of its guests counted.
 */
static inline void wj_pause(struct wj_context *c)
{
	c->fpu_live = false;
	barrier();
	current->flags &= ~PF_VCPU;
}
void wj_fpu_reload(void);
/* Without looking whether registers are to be loaded again: for wj_sys_finish. */
static inline void wj_resume(struct wj_context *c)
{
	current->flags |= PF_VCPU;
	c->fpu_live = true;
	barrier();
}
static inline void wj_continue(struct wj_context *c)
{
	wj_resume(c);
	if (unlikely(test_thread_flag(TIF_NEED_FPU_LOAD)))
		wj_fpu_reload();
}

/* On the host stack; the arguments are in c->regs, and wj_continue has not been called yet. */
static __always_inline long wj_on_task_stack(struct wj_context *c, const void *entry)
{
	long (*call)(const struct pt_regs *regs, u64 sp) = entry;
	long ret;

	c->counts.system_calls++;
	wj_pause(c);
	ret = call(&c->regs, c->task_sp & ~15ull);
	wj_resume(c);
	return ret;
}

/* tick.c: see there; _start with preemption disabled, wherever a guest comes to run. */
void wj_tick_init(void);
void wj_tick_deinit(void);
void wj_tick_start(void);

/* binfmt.c */
int wj_binfmt_init(void);
void wj_binfmt_register(void);
void wj_binfmt_unregister(void);
void wj_binfmt_deinit(void);

/* stats.c */
int wj_stats_init(void);
void wj_stats_deinit(void);
void wj_stats_begin(struct wj_context *c, bool loaded);	/* complete: from now on it is listed */
void wj_stats_end(struct wj_context *c);
void wj_stats_load(struct wj_context *c, long result, bool shared);
void wj_stats_refused(void);		/* a load that did not get that far */
void wj_stats_fork(struct wj_context *c, long child);
void wj_stats_trap(struct wj_context *c, int trap);
void wj_stats_exit(int status, int sig);

/* quota.c: of the current user. */
struct wj_quota *wj_quota_get(void);
void wj_quota_put(struct wj_quota *q);
int wj_quota_guest(struct wj_quota *q);
void wj_quota_end_guest(struct wj_quota *q);
int wj_quota_chunks(struct wj_quota *q, u32 count, u32 all);
void wj_quota_free_chunks(struct wj_quota *q, u32 count);

/* symbols.c: functions that the kernel does not export, as trampolines in the pool. */
int wj_symbols_init(void);
unsigned long wj_symbol(const char *name);	/* its address, or 0; while the module is being loaded */
extern const void *wj_syscall_entries[NR_syscalls];
/* long (const struct pt_regs *, u64 stack), or NULL: see wj_pool_trampolines */
static inline const void *wj_syscall_entry(unsigned int nr)
{
	return nr < NR_syscalls ? wj_syscall_entries[array_index_nospec(nr, NR_syscalls)] : NULL;
}

/* exec.c */
int wj_pool_init(void);
void wj_pool_deinit(void);
/*
 * Code that jumps to the targets, for the module's own use; stays.  `change`: code that calls them
 * on the stack that the second argument is, a multiple of 16, with one argument.
 */
int wj_pool_trampolines(const unsigned long *targets, u32 count, bool change, const void **ret);
void wj_exec_free_all(struct wj_arena *arena);
struct seq_file;
void wj_pool_show(struct seq_file *m);

/* memory.c */
int wj_stacks_create(struct wj_context *c, void (*bottom)(struct wj_context *c));
void wj_stacks_destroy(struct wj_context *c);
void wj_stacks_free(struct wj_stacks *stacks);
int wj_arena_init(struct wj_arena *arena);
void wj_arena_deinit(struct wj_arena *arena);	/* frees code, too */

/* switch.S */
void wj_switch(u64 *save, u64 sp);
void wj_switch_start(void);

/* run.c */
void wj_run_guest(struct wj_context *c);	/* at the bottom of the host stack */
void wj_run_child(struct wj_context *c);	/* of a fork */
/* The body of WJ_IOC_RUN: `c` is RUNNING.  What the ioctl returns. */
long wj_run(struct wj_context *c);
/* The end of a system call, on the host stack: work is due, or `ret` says to make it again. */
long wj_sys_finish(struct wj_context *c, unsigned int nr, long ret);
/* Before there is a host stack: a system call, without looking at signals or filters. */
long wj_sys_direct(struct wj_context *c, unsigned int nr, const u64 args[6]);
/* On the host stack: likewise, for what is not the guest's own doing. */
long wj_sys_own(struct wj_context *c, unsigned int nr, u64 a, u64 b, u64 d);
/*
 * On the host stack: return from the ioctl with `code` and `event`, and wait for the next.
 * Returns the op it came with, WJ_OP_RESULT only where the event has one.
 */
u32 wj_return_to_launcher(struct wj_context *c, long code, u32 event, enum wj_place place);
/* WJ_IN_LAUNCHER, where a fork's child begins a host call again: it has the answer already. */
bool wj_answered(struct wj_context *c, s64 *result);

/* device.c */
void wj_hide_fds(struct wj_context *c);	/* c->hidden_fds has changed */
u32 wj_images(void);			/* how many different ones are loaded */
/* A copy of the suspended guest, which waits for a child; forget it if none will come. */
int wj_context_fork(struct wj_context *c, u64 *cookie);
void wj_context_expect(struct wj_context *c, u64 cookie, long pid);
int wj_device_init(void);
void wj_device_deinit(void);

#endif
