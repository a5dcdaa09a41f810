/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A guest process: one instance, its arguments, its signal and time state.  host/ owns the
 * structure; linux/ and user/ embed nothing in it but `platform`.
 *
 * Who calls whom: the launcher (user/) or the module (linux/) creates the process, binds the
 * image's imports, creates the instance with `user` = the process, and calls wj_process_run.
 * Host functions reach the world through wj_sys and the wj_platform_* functions below.
 */
#ifndef WJ_PROCESS_H
#define WJ_PROCESS_H

#include "../core/core.h"

#define WJ_SIGNALS 64

/* A guest's sigaction; `handler` is a table index. */
struct wj_signal_action {
	enum { WJ_SIGNAL_DEFAULT, WJ_SIGNAL_IGNORE, WJ_SIGNAL_HANDLER } kind;
	u32 handler;
	u32 flags;	/* native SA_* */
	u64 mask;	/* native, bit 0 is signal 1 */
};

/* Strings of argv or envp in one block, each with its NUL. */
struct wj_strings {
	u32 count, size;
	const char *bytes;
};

/*
 * A call by invoke_*, that is, below setjmp.  _finish does what is left to do after it: a fork's
 * child, which has no native stack of the host, calls it itself.
 */
struct wj_invoke {
	struct wj_invoke *outer;
	const struct wj_func_type *type;	/* of what was called */
	u32 sp, depth;			/* guest stack; wj_call_depth of whoever called invoke_* */
};
/*
 * A handler that runs, likewise: what is to be put back when it has returned, and what it
 * interrupted.
 */
struct wj_delivery {
	struct wj_delivery *outer;
	u32 sp, temp_ret0;		/* guest stack, Emscripten's second result */
	u32 depth;			/* wj_call_depth of whoever was interrupted */
	u32 steps;			/* p->steps of the host call that was */
	u32 place;			/* p->place */
};
struct wj_process;
int wj_invoke_finish(struct wj_process *p, const struct wj_invoke *self, u64 *results, int trap);

struct wj_process {
	struct wj_instance *inst;
	struct wj_store *store;
	void *platform;			/* the platform's own */
	struct wj_strings argv, envp;
	struct wj_strings settings;	/* what the launcher was told, see below */
	bool trace;			/* print host calls on stderr, as strace would */
	int exit_status;		/* valid once WJ_TRAP_EXIT unwound the guest */
	int unwind;			/* trap that a signal handler raised: the host call in progress returns it */
	struct wj_signal_action actions[WJ_SIGNALS + 1];
	struct wj_invoke *invokes;	/* in progress, innermost first */
	struct wj_delivery *deliveries;	/* likewise */
	u32 steps;			/* requests to the platform by the host call in progress */
	u32 place;			/* the platform's: where it delivers a signal */
	struct wj_host_state *host;	/* host/'s own: exports found, time zone, setjmp, ... */
};

/*
 * Settings, each a string:
 *	dir=FD:NAME	a WASI program gets this directory, as NAME
 *	listen=FD	a WASI program gets this listening socket
 *	env=K=V		a WASI program gets this variable
 *	inherit-env	a WASI program gets all of envp
 *	invoke=NAME	call this exported function instead of main
 *	arg=HEX		its arguments, as raw bits, in order
 *	results=FD	where the bits of its results go: a line of 16 hexadecimal digits each
 * Strings of other forms are ignored.
 */

/* host/process.c */
int wj_process_init(struct wj_process *p);
void wj_process_deinit(struct wj_process *p);
/*
 * Fill externs[0 .. import count) for the image.  Imports nobody provides stay unbound (they
 * trap when called) and are reported through wj_log by name.  -EINVAL with error->message for
 * a known name with a signature of another ABI version.
 */
int wj_process_bind(struct wj_process *p, const struct wj_image *image, struct wj_extern *externs,
		    struct wj_error *error);
/*
 * p->inst is set: find the entry (Emscripten's main or _start), run constructors, main and
 * exit handlers.  Returns WJ_TRAP_EXIT with p->exit_status, or the trap that ended the guest;
 * -ENOEXEC if there is no entry point of a right type, which it has logged.
 */
int wj_process_run(struct wj_process *p);
/*
 * For a fork that copies no native stack: `to` becomes a copy of `from`, but for the instance and
 * what the platform owns; later the copy goes on after main (or whatever called fork) has
 * returned `value` or trapped.  Returns as wj_process_run.
 */
int wj_process_clone(struct wj_process *to, const struct wj_process *from);
int wj_process_continue(struct wj_process *p, int trap, u32 value);
/* The signal that ends a native process where the guest got `trap`: SIGSEGV, SIGFPE, ... */
int wj_trap_signal(int trap);
/* Print "trap: text" and the guest backtrace with function names and code offsets on fd 2. */
void wj_process_report_trap(struct wj_process *p, int trap);

/*
 * host/signal.c: run the guest's handler for `sig` now.  Called by the platform at a safe
 * point (a poll, or around a blocking system call), with the signal mask in effect that a native
 * handler would have.  siginfo: the 128 bytes of a native siginfo_t.  0, or a trap to unwind with.
 */
int wj_signal_deliver(struct wj_process *p, int sig, const void *siginfo);
/* What is left to do when the handler has returned `trap`: the trap to unwind with. */
int wj_signal_finish(struct wj_process *p, const struct wj_delivery *self, int trap);

/*
 * What the platform provides to host/ beyond platform.h.
 */

/* fork: pid in the parent, 0 in the child, -errno. */
long wj_platform_fork(struct wj_process *p);
/*
 * execve of `path`, a user address like the pointer arrays argv and envp.  wasm files run in a
 * new guest on the same host and engine.  Returns only on failure (-errno), or, in the kernel,
 * with *trap set to unwind with.
 */
long wj_platform_execve(struct wj_process *p, u64 path, u64 argv, u64 envp, int *trap);
/* Make `action` what the kernel does for `sig`; p->actions is host/'s business. */
long wj_platform_sigaction(struct wj_process *p, int sig, const struct wj_signal_action *action);
/* Signals that guests can neither block nor (where synchronous) handle: bit 0 is signal 1. */
u64 wj_platform_reserved_signals(void);
/* True for descriptors that belong to the host, not to the guest: EBADF for every guest call. */
bool wj_platform_owns_fd(struct wj_process *p, int fd);
/* The guest wants this number for a descriptor of its own (dup2): the host's gets another.  0 or -EBADF. */
long wj_platform_move_fd(struct wj_process *p, int fd);

#endif
