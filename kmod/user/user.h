/* SPDX-License-Identifier: GPL-2.0-only */
/* What the files of the user-space platform share.  One launcher runs one guest. */
#ifndef WJ_USER_H
#define WJ_USER_H

#include "../host/process.h"
#include "syscall.h"
#include <linux/signal.h>
#include <asm/sigcontext.h>
#include <asm/ucontext.h>

/* What stat says of a file, to know it again. */
struct file_identity {
	u64 dev, ino, size, mtime, mtime_ns;
	u32 mode;
};

/* How this launcher was started, for the guests it execs. */
struct launch {
	const char *host;		/* "user" or "kernel" */
	const char *engine;		/* "jit" or "interp" */
	const char *wasm;		/* path of the wasm or image file, or NULL */
	const char *pywasmjit;		/* command that lowers other wasm files, or NULL */
	const char *stats;		/* file that counters are appended to, or NULL */
	bool trace;
	u64 max_memory;			/* bytes of linear memory */
	int launcher_fd, image_fd;	/* ours, not the guest's */
	int device_fd;			/* /dev/wasm, opened by whoever executed us; else -1 */
	struct file_identity wasm_identity;
};
extern struct launch launch;

/* What rt_sigaction takes; the C library's struct sigaction is another. */
struct kernel_sigaction {
	void *handler;
	unsigned long flags;
	void *restorer;
	u64 mask;
};
void wj_sigreturn(void);	/* start.S: the restorer */

/* signal.c */
void signals_init(struct wj_process *p);
void signal_defer(int sig, const siginfo_t *info, struct ucontext *context);
extern struct wj_process *signal_process;

/* launcher.c */
/* Exit codes of pywasmjit (pywasmjit/errors.py). */
#define EXIT_USAGE 2
#define EXIT_DATAERR 65
#define EXIT_NOINPUT 66
#define EXIT_UNAVAILABLE 69
#define EXIT_SOFTWARE 70
#define EXIT_OSERR 71
#define EXIT_NOPERM 77
int move_up(int fd, u64 place);		/* to a number that the guest is not likely to want */
int die(int sig);
void write_stats(const struct wj_stats *stats);

/* kernel.c: the exit code. */
struct wj_uapi_run;
int run_kernel(struct wj_process *p, u8 *image, size_t size);	/* frees the image */
int end_kernel(const struct wj_uapi_run *run);

/* fault.c: SIGSEGV and SIGBUS of guest code and of user_copy end in fixups. */
int faults_init(void);
void faults_deinit(void);	/* default actions again */
bool exec_fixup(u64 pc, u64 *landing);

/* memory.c */
void memory_limit(u64 bytes);

/* script.c: exit code */
int run_script(void);

/* dump.c: exit code */
struct wj_image;
int dump_code(struct wj_image *image);

/* execve.c; 0 or -errno */
int file_identity(int fd, struct file_identity *ret);
enum file_kind { FILE_OTHER, FILE_WASM, FILE_IMAGE };
enum file_kind file_kind(int fd);
/* As execve of a wasm file or an image by way of pywasmjit; argv[0] becomes the guest's. */
long exec_pywasmjit(const char *path, char **argv, u32 argc, char **envp);

#endif
