// SPDX-License-Identifier: GPL-2.0-only
/*
 * --host=kernel: hand image and arguments to /dev/wasm and serve the guest, which runs inside an
 * ioctl, whenever that returns.  kmod/linux/uapi.h is the protocol.
 */
#include <linux/fcntl.h>
#include "user.h"
#include "../linux/uapi.h"

extern const u8 wj_syscall_begin[], wj_syscall_end[], wj_ioctl_point[];
long wj_ioctl(int fd, unsigned long command, void *argument);
long wj_syscall_point(const u32 *pending, long nr, const u64 args[6], u32 *was_pending);

enum { DEVICE, LAUNCHER, IMAGE };	/* in hidden_fds, which the module changes when it moves one */
static struct wj_uapi_load load;
static struct wj_process *process;

/* Run the guest until it ends or, where a handler was asked for, until that has returned. */
static void serve(struct wj_uapi_run *run)
{
	static const u32 never;
	u32 ignored;
	int trap;

	for (;;) {
		long ret = wj_ioctl(load.hidden_fds[DEVICE], WJ_IOC_RUN, run);

		if (ret == -EINTR) {
			run->op = WJ_OP_INTERRUPTED;
			continue;
		}
		if (ret <= -ERESTARTSYS && ret >= -ERESTART_RESTARTBLOCK)
			continue;	/* there was work other than signals */
		if (ret) {
			wj_log("pywasmjit: /dev/wasm: the guest cannot go on (error %d)", (int)-ret);
			syscall2(__NR_exit_group, 71, 0);
		}
		switch (run->event) {
		case WJ_EVENT_SYSCALL:
			run->result = wj_syscall_point(&never, run->nr, (const u64 *)run->args, &ignored);
			break;
		case WJ_EVENT_EXECVE:
			launch.device_fd = load.hidden_fds[DEVICE];
			launch.launcher_fd = load.hidden_fds[LAUNCHER];
			launch.image_fd = load.hidden_fds[IMAGE];
			run->result = wj_platform_execve(process, run->args[0], run->args[1], run->args[2],
							 &trap);
			break;
		case WJ_EVENT_FORK:
			run->result = syscall6(__NR_clone, SIGCHLD, 0, 0, 0, 0, 0);
			if (!run->result) {
				run->op = WJ_OP_CLAIM;
				run->result = run->nr;
				continue;
			}
			break;
		default:
			return;
		}
		run->op = WJ_OP_RESULT;
	}
}

static void handle(int sig, siginfo_t *info, struct ucontext *context)
{
	struct wj_uapi_run run = { .version = WJ_UAPI_VERSION, .op = WJ_OP_SIGNAL, .signal = sig,
				   .siginfo = (u64)info };
	u64 pc = context->uc_mcontext.rip;

	serve(&run);
	/* The descriptor has another number now, perhaps, for what the kernel restarts. */
	if (pc == (u64)wj_ioctl_point)
		context->uc_mcontext.rdi = load.hidden_fds[DEVICE];
	if (run.event == WJ_EVENT_HANDLED) {
		if (!run.status)
			return;
		/*
		 * The guest is on its way out: do not restart what it waited for.  With siglongjmp the
		 * mask is what it set last, not what it was before the signal.
		 */
		if (pc >= (u64)wj_syscall_begin && pc <= (u64)wj_syscall_end) {
			context->uc_mcontext.rip = (u64)wj_syscall_end;
			context->uc_mcontext.rax = (u64)-EINTR;
		}
		syscall4(__NR_rt_sigprocmask, SIG_BLOCK, 0, (long)&context->uc_sigmask, sizeof(u64));
		return;
	}
	/* Only a child that was forked in a handler gets here: its guest has ended. */
	syscall2(__NR_exit_group, end_kernel(&run), 0);
}

static void report(void)
{
	struct wj_uapi_stats stats = { .version = WJ_UAPI_VERSION };
	struct wj_stats core;

	if (wj_ioctl(load.hidden_fds[DEVICE], WJ_IOC_STATS, &stats))
		return;
	core = (struct wj_stats){
		.functions_jitted = stats.functions_jitted,
		.functions_interpreted = stats.functions_interpreted,
		.code_bytes = stats.code_bytes,
		.host_calls = stats.host_calls,
		.traps = stats.traps,
		.jit_ns = stats.jit_ns,
	};
	write_stats(&core);
}

/* The exit code, or death by the signal that the guest died of. */
int end_kernel(const struct wj_uapi_run *run)
{
	if (launch.stats)
		report();
	return run->event == WJ_EVENT_EXIT ? run->status : die(run->status);
}

/* What the module says of itself in a file of one line; "unknown" where it does not. */
static const char *module_says(const char *path, char text[32])
{
	int fd = syscall4(__NR_openat, AT_FDCWD, (long)path, O_RDONLY | O_CLOEXEC, 0);
	long n = fd < 0 ? -1 : syscall3(__NR_read, fd, (long)text, 31);

	if (fd >= 0)
		syscall2(__NR_close, fd, 0);
	if (n <= 0)
		return "unknown";
	text[text[n - 1] == '\n' ? n - 1 : n] = 0;
	return text;
}

static int refused(long err)
{
	/* The size of the structure is part of the ioctl's number. */
	if ((err == -EPROTO || err == -ENOTTY) && !load.error) {
		char version[32], interface[32];

		wj_log("pywasmjit: the loaded module is wasm %s with version %s of /dev/wasm, this is pywasmjit %s with version %d: sudo pywasmjit rmmod && sudo pywasmjit insmod",
		       module_says("/sys/module/wasm/version", version),
		       module_says("/sys/module/wasm/parameters/interface", interface), WJ_VERSION, WJ_UAPI_VERSION);
		return EXIT_UNAVAILABLE;
	}
	if (load.error == -EPROTO) {
		wj_log("pywasmjit: the image was made by another version of pywasmjit: compile it again");
		return EXIT_DATAERR;
	}
	if (load.error > 0) {
		wj_log("pywasmjit: the module cannot be instantiated: %s", wj_trap_text(load.error));
		return EXIT_DATAERR;
	}
	switch (err) {
	case -ENOSPC:
		wj_log("pywasmjit: no executable memory left: guests fill what the module has; end some (pywasmjit status), or pywasmjit rmmod and insmod --pool MIB");
		return EXIT_OSERR;
	case -EDQUOT:
		wj_log("pywasmjit: no executable memory left for this user: see /sys/module/wasm/parameters/max_code (percent); end some guests");
		return EXIT_OSERR;
	case -EAGAIN:
		wj_log("pywasmjit: this user runs as many guests as one may: see /sys/module/wasm/parameters/max_guests; end some");
		return EXIT_OSERR;
	}
	if (load.message[0]) {
		wj_log("pywasmjit: the image was rejected: %s (section %u, function %d, offset 0x%x)",
		       load.message, load.section, (int)load.function, load.offset);
		return err == -ENOMEM ? EXIT_OSERR : EXIT_DATAERR;
	}
	wj_log("pywasmjit: the kernel cannot load the guest (error %d)", (int)-err);
	return EXIT_OSERR;
}

int run_kernel(struct wj_process *p, u8 *image, size_t size)
{
	struct wj_uapi_run run = { .version = WJ_UAPI_VERSION, .op = WJ_OP_CONTINUE };
	int fd = launch.device_fd;
	long ret;

	load = (struct wj_uapi_load){
		.version = WJ_UAPI_VERSION,
		.flags = launch.trace ? WJ_LOAD_TRACE : 0,
		.image = (u64)image, .image_size = size,
		.argv = (u64)p->argv.bytes, .argv_size = p->argv.size, .argc = p->argv.count,
		.envp = (u64)p->envp.bytes, .envp_size = p->envp.size, .envc = p->envp.count,
		.settings = (u64)p->settings.bytes, .settings_size = p->settings.size,
		.settings_count = p->settings.count,
		.max_memory = launch.max_memory,
		.handler = (u64)handle, .restorer = (u64)wj_sigreturn,
	};

	if (fd < 0)
		fd = syscall4(__NR_openat, AT_FDCWD, (long)"/dev/wasm", O_RDWR | O_CLOEXEC, 0);
	if (fd == -EACCES || fd == -EPERM) {
		wj_log("pywasmjit: /dev/wasm: permission denied: sudo pywasmjit insmod lets you in");
		return EXIT_NOPERM;
	}
	if (fd < 0) {
		wj_log("pywasmjit: /dev/wasm cannot be opened (error %d): sudo pywasmjit insmod, or use --host=user",
		       -fd);
		return EXIT_UNAVAILABLE;
	}
	faults_deinit();
	process = p;
	load.hidden_fds[DEVICE] = move_up(fd, 3);
	load.hidden_fds[LAUNCHER] = launch.launcher_fd;
	load.hidden_fds[IMAGE] = launch.image_fd;
	load.hidden_fds[3] = -1;
	ret = wj_ioctl(load.hidden_fds[DEVICE], WJ_IOC_LOAD, &load);
	if (ret)
		return refused(ret);
	wj_free(image);		/* the module has its own; fork need not copy this */
	serve(&run);
	return end_kernel(&run);
}
