/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * /dev/wasm, version 1: how a launcher gets a guest into the kernel.
 *
 *	fd = open("/dev/wasm", O_RDWR | O_CLOEXEC)
 *	ioctl(fd, WJ_IOC_LOAD, &load)		once: image, arguments
 *	ioctl(fd, WJ_IOC_RUN, &run)		again and again: see below
 *
 * One open file has one guest per process: that of the task which loaded it, and those of
 * children that the guest forked.  A guest runs only inside WJ_IOC_RUN, in the task it belongs
 * to; between two of them it is suspended.
 *
 * WJ_IOC_RUN does what run.op says and returns
 *   0		and run.event says why;
 *   -EINTR	a host call was interrupted by a signal whose handler has run: call again with
 *		op WJ_OP_INTERRUPTED;
 *   -512 to -516 (the kernel's own restart codes, visible when there was other work to do than
 *		signals): call again, as is;
 *   other	-errno: the call was wrong, nothing happened.
 * Where the kernel restarts the ioctl by itself, run.op is WJ_OP_CONTINUE by then.
 *
 * fork: at WJ_EVENT_FORK a copy of the guest is waiting for a child, and all signals are blocked
 * that can be.  The launcher forks (by clone, so that filters see it); the parent reports the
 * result, the child makes the copy its own with WJ_OP_CLAIM.  Both get the mask of signals back by
 * that.
 *
 * What guests do can be read in /proc/wasm/totals and /proc/wasm/guests: README.md.
 *
 * Everything is checked; a launcher can hurt nobody but itself.  Unknown bits and non-zero
 * reserved fields are refused (-EINVAL), another version with -EPROTO.
 */
#ifndef WJ_UAPI_H
#define WJ_UAPI_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define WJ_UAPI_VERSION 1
#define WJ_HIDDEN_FDS 4

struct wj_uapi_load {
	__u32 version;
	__u32 flags;			/* WJ_LOAD_* */
	__u64 image, image_size;	/* address and bytes */
	__u64 argv, envp;		/* addresses of strings, one after the other, each with its NUL */
	__u32 argv_size, envp_size;	/* bytes of them, NULs included */
	__u32 argc, envc;		/* how many */
	/* More strings, as argv: settings of the host layer (host/process.h). */
	__u64 settings;
	__u32 settings_size, settings_count;
	__u64 max_memory;		/* bytes of linear memory, at most 4 GiB */
	/* The launcher's signal handler (SA_SIGINFO) and its restorer. */
	__u64 handler, restorer;
	/*
	 * Descriptors of the launcher that the guest must not touch; -1: none.  Where the guest wants
	 * such a number itself, the descriptor gets another, which is written here: as long as there
	 * is a guest, this part of the structure stays where it is.
	 */
	__s32 hidden_fds[WJ_HIDDEN_FDS];
	/* Why the image was refused. */
	__s32 error;			/* -errno, 0, or a trap (positive) */
	__u32 section, function, offset;
	char message[128];
};
#define WJ_LOAD_TRACE 1u

enum {
	WJ_OP_CONTINUE,		/* start, or go on */
	WJ_OP_INTERRUPTED,	/* go on: the host call ends with EINTR */
	WJ_OP_RESULT,		/* go on after WJ_EVENT_SYSCALL, _EXECVE, _FORK: run.result */
	WJ_OP_SIGNAL,		/* run the guest's handler of run.signal, then WJ_EVENT_HANDLED */
	WJ_OP_CLAIM		/* run the copy that waits for run.result, the cookie */
};

enum {
	WJ_EVENT_NONE,
	WJ_EVENT_EXIT,		/* run.status: exit status */
	WJ_EVENT_TRAP,		/* run.status: the signal to die of */
	WJ_EVENT_SYSCALL,	/* make system call run.nr with run.args, then WJ_OP_RESULT */
	WJ_EVENT_EXECVE,	/* execve(run.args[0], [1], [2]), WJ_OP_RESULT if it fails */
	WJ_EVENT_FORK,		/* fork, then WJ_OP_RESULT, or in the child WJ_OP_CLAIM with run.nr */
	WJ_EVENT_HANDLED	/* run.status: 1 if the guest is on its way out of the host call that
				 * the handler interrupted: do not restart it */
};

struct wj_uapi_run {
	__u32 version;
	__u32 op;
	__u32 signal, reserved;
	__u64 siginfo;		/* address of its 128 bytes */
	__s64 result;
	__u32 event;
	__s32 status;
	__u64 nr, args[6];
};

struct wj_uapi_stats {
	__u32 version, reserved;
	__u64 functions_jitted, functions_interpreted, code_bytes, host_calls, traps, jit_ns;
	__u64 system_calls;	/* direct ones */
	__u64 returns;		/* to the launcher, for signals and other work */
};

/* Numbers 1 and 2 mean something else to the VFS on any file. */
#define WJ_IOC_LOAD	_IOWR('j', 0x10, struct wj_uapi_load)
#define WJ_IOC_RUN	_IOWR('j', 0x11, struct wj_uapi_run)
#define WJ_IOC_STATS	_IOWR('j', 0x12, struct wj_uapi_stats)

#endif
