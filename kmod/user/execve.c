// SPDX-License-Identifier: GPL-2.0-only
/*
 * execve of a guest.  Native programs are the kernel's business.  A wasm file runs in a new
 * launcher: this launcher's own file with this image where the file is the one we run (works after
 * chroot, setuid and without any cache), else pywasmjit, which lowers it.
 */
#include <linux/fcntl.h>
#include <linux/stat.h>
#include <asm/stat.h>
#include "../host/wj_text.h"
#include "user.h"

#define MAX_ARGS 65536

int file_identity(int fd, struct file_identity *ret)
{
	struct stat st;
	long err = syscall2(__NR_fstat, fd, (long)&st);

	if (err)
		return err;
	*ret = (struct file_identity){ st.st_dev, st.st_ino, st.st_size, st.st_mtime, st.st_mtime_nsec,
				       st.st_mode };
	return 0;
}

enum file_kind file_kind(int fd)
{
	char magic[6] = { 0 };

	if (syscall4(__NR_pread64, fd, (long)magic, sizeof(magic), 0) != sizeof(magic))
		return FILE_OTHER;
	if (!memcmp(magic, "\0asm", 4))
		return FILE_WASM;
	return memcmp(magic, "\0wjimg", 6) ? FILE_OTHER : FILE_IMAGE;
}

/* What is at path, FILE_OTHER also if it cannot be read. */
static enum file_kind look_at(const char *path, struct file_identity *identity)
{
	int fd = syscall4(__NR_openat, AT_FDCWD, (long)path, O_RDONLY | O_CLOEXEC | O_NONBLOCK, 0);
	enum file_kind kind = FILE_OTHER;

	if (is_error(fd))
		return kind;
	if (!file_identity(fd, identity) && S_ISREG(identity->mode))
		kind = file_kind(fd);
	syscall2(__NR_close, fd, 0);
	return kind;
}

static char *join(char *to, const char *a, const char *b)
{
	size_t n = strlen(a), m = strlen(b);

	memcpy(to, a, n);
	memcpy(to + n, b, m + 1);
	return to;
}

static char *join_number(char *to, const char *option, u64 value)
{
	char digits[24], *end = digits + sizeof(digits) - 1;

	*end = 0;
	return join(to, option, wj_digits(end, value, 10));
}

static long exec_wasm(const char *path, bool same, u64 user_argv, u64 envp)
{
	static char host[32], engine[32], image[32], memory[48], wasm[4200], command[4200], stats[4200], device[32];
	const char **argv;
	u64 n = 0, at = 0, first;
	long ret;

	do {
		if (n > MAX_ARGS)
			return -E2BIG;
		if (user_argv && wj_copy_from_user(&first, user_argv + 8 * n, 8))
			return -EFAULT;
	} while (user_argv && first && ++n);
	argv = wj_alloc((n + 20) * sizeof(*argv));
	if (!argv)
		return -ENOMEM;

	join(engine, "--engine=", launch.engine);
	argv[at++] = same ? "pywasmjit-launch" : launch.pywasmjit;
	if (!same) {
		argv[at++] = "exec";
	}
	argv[at++] = join(host, "--host=", launch.host);
	argv[at++] = engine;
	argv[at++] = join_number(memory, "--max-memory=", launch.max_memory);
	if (launch.trace)
		argv[at++] = "--trace";
	if (launch.stats)
		argv[at++] = join(stats, "--stats=", launch.stats);
	if (same) {
		argv[at++] = join_number(image, "--image-fd=", launch.image_fd);
		argv[at++] = join(wasm, "--wasm=", path);
		if (launch.pywasmjit)
			argv[at++] = join(command, "--pywasmjit=", launch.pywasmjit);
		if (launch.device_fd >= 0)
			argv[at++] = join_number(device, "--device-fd=", launch.device_fd);
		argv[at++] = "--";
	} else {
		argv[at++] = "--argv0";
		argv[at++] = path;
		if (n && wj_copy_from_user(&argv[at - 1], user_argv, 8))
			goto fault;
		argv[at++] = "--";
		argv[at++] = path;
	}
	if (n > !same && wj_copy_from_user(argv + at, user_argv + 8 * !same, 8 * (n - !same)))
		goto fault;
	if (same) {
		/*
		 * The image must outlive the exec, and the right to use /dev/wasm: perhaps nobody
		 * finds it any more, after chroot or setuid.  Nothing else of ours may.
		 */
		syscall3(__NR_fcntl, launch.image_fd, F_SETFD, 0);
		if (launch.device_fd >= 0)
			syscall3(__NR_fcntl, launch.device_fd, F_SETFD, 0);
		ret = syscall6(__NR_execveat, launch.launcher_fd, (long)"", (long)argv, envp,
			       AT_EMPTY_PATH, 0);
		syscall3(__NR_fcntl, launch.image_fd, F_SETFD, FD_CLOEXEC);
		if (launch.device_fd >= 0)
			syscall3(__NR_fcntl, launch.device_fd, F_SETFD, FD_CLOEXEC);
	} else {
		ret = syscall3(__NR_execve, (long)launch.pywasmjit, (long)argv, envp);
	}
	wj_free(argv);
	return ret;
fault:
	wj_free(argv);
	return -EFAULT;
}

long wj_platform_execve(struct wj_process *p, u64 path, u64 argv, u64 envp, int *trap)
{
	static char name[4096];
	struct file_identity identity = { 0 };
	enum file_kind kind;
	bool same;
	size_t n = 0;
	long ret;

	*trap = 0;
	do {
		if (n == sizeof(name))
			return -ENAMETOOLONG;
		if (wj_copy_from_user(&name[n], path + n, 1))
			return -EFAULT;
	} while (name[n++]);
	kind = look_at(name, &identity);
	if (kind != FILE_OTHER) {
		same = launch.wasm && identity.ino == launch.wasm_identity.ino &&
		       identity.dev == launch.wasm_identity.dev &&
		       identity.size == launch.wasm_identity.size &&
		       identity.mtime == launch.wasm_identity.mtime &&
		       identity.mtime_ns == launch.wasm_identity.mtime_ns;
		/* The file we run was readable to whoever started it: it may be started again. */
		if (!same && syscall3(__NR_access, (long)name, 1, 0))
			return -EACCES;
		ret = same || launch.pywasmjit ? exec_wasm(name, same, argv, envp) : -ENOENT;
		/* Where there is no pywasmjit, in a chroot say: the kernel can run images by itself. */
		if (ret != -ENOENT || same || kind == FILE_WASM)
			return ret == -ENOENT ? -ENOEXEC : ret;
	}
	return wj_sys(p, __NR_execve, path, argv, envp, 0, 0, 0);
}

long exec_pywasmjit(const char *path, char **argv, u32 argc, char **envp)
{
	const char **to = wj_alloc((argc + 8) * sizeof(*to));
	u64 at = 0;

	if (!to)
		return -ENOMEM;
	to[at++] = launch.pywasmjit;
	to[at++] = "exec";
	to[at++] = "--host=kernel";
	to[at++] = "--argv0";
	to[at++] = argv[0];
	to[at++] = "--";
	to[at++] = path;
	for (u32 i = 1; i < argc; i++)
		to[at++] = argv[i];
	return syscall3(__NR_execve, (long)launch.pywasmjit, (long)to, (long)envp);
}

bool wj_platform_owns_fd(struct wj_process *p, int fd)
{
	(void)p;
	return fd >= 0 && (fd == launch.launcher_fd || fd == launch.image_fd);
}

long wj_platform_move_fd(struct wj_process *p, int fd)
{
	int *own = fd == launch.launcher_fd ? &launch.launcher_fd : &launch.image_fd;
	long moved = syscall3(__NR_fcntl, fd, F_DUPFD_CLOEXEC, fd + 1);

	(void)p;
	if (is_error(moved))
		return -EBADF;
	*own = moved;
	syscall2(__NR_close, fd, 0);
	return 0;
}
