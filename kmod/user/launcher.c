// SPDX-License-Identifier: GPL-2.0-only
/*
 * The launcher: what `pywasmjit exec` becomes.  Loads one image and runs its guest, in this
 * process (--host=user) or in the kernel (--host=kernel, kernel.c).
 *
 *   pywasmjit-launch [OPTION...] -- ARGV0 [ARG...]
 *   pywasmjit-launch --host=kernel --pywasmjit=PROGRAM --binfmt=NAME -- ARGV0 [ARG...]
 *	as the kernel executes wasm files and images, which it passes as AT_EXECFD (linux/binfmt.c)
 *   pywasmjit-launch [--engine=E] --script		(script.c)
 *   pywasmjit-launch --image-fd=N --dump-code		(dump.c)
 *
 * Internal: pywasmjit makes the command line; errors of usage are short.
 */
#include <linux/auxvec.h>
#include <linux/fcntl.h>
#include <linux/resource.h>
#include <asm/mman.h>
#include "user.h"


#define MAX_SETTINGS 1024

struct launch launch = { .engine = "jit", .host = "user", .max_memory = 1ull << 32, .launcher_fd = -1,
			 .image_fd = -1, .device_fd = -1 };

static bool same(const char *a, const char *b)
{
	size_t n = strlen(a);

	return n == strlen(b) && !memcmp(a, b, n);
}

static const char *value_of(const char *arg, const char *option)
{
	size_t n = strlen(option);

	return strlen(arg) >= n && !memcmp(arg, option, n) ? arg + n : NULL;
}

static bool parse_number(const char *s, u64 *ret)
{
	u64 value = 0;

	if (!*s)
		return false;
	for (; *s; s++) {
		if (*s < '0' || *s > '9' || check_mul_overflow(value, 10, &value) ||
		    check_add_overflow(value, (u64)(*s - '0'), &value))
			return false;
	}
	*ret = value;
	return true;
}

static int usage(const char *what)
{
	wj_log("pywasmjit-launch: %s; use `pywasmjit exec`", what);
	return EXIT_USAGE;
}

/*
 * Our descriptors are in the guest's way as little as can be: behind those that it is likely to
 * have, but not so high that fork copies a large table of them (it does so in steps of 64).  Where it
 * wants one of these numbers, it gets it: wj_platform_move_fd.
 */
int move_up(int fd, u64 place)
{
	struct rlimit64 { u64 cur, max; } limit = { 64, 64 };
	int moved = -EMFILE;

	syscall4(__NR_prlimit64, 0, RLIMIT_NOFILE, 0, (long)&limit);
	if (limit.cur > 64)
		limit.cur = 64;
	if (fd == (int)(limit.cur - place)) {	/* a guest's that executed itself */
		syscall3(__NR_fcntl, fd, F_SETFD, FD_CLOEXEC);
		return fd;
	}
	if (limit.cur > place)
		moved = syscall3(__NR_fcntl, fd, F_DUPFD_CLOEXEC, limit.cur - place);
	if (is_error(moved))
		moved = syscall3(__NR_fcntl, fd, F_DUPFD_CLOEXEC, 3);
	syscall2(__NR_close, fd, 0);
	return moved;
}

/* The image is copied: nobody can change what was verified. */
static int read_image(int fd, u8 **bytes, size_t *size)
{
	struct file_identity identity;
	size_t at = 0;
	int ret = file_identity(fd, &identity);

	if (ret)
		return ret;
	*size = identity.size;
	*bytes = wj_alloc(*size + 1);
	if (!*bytes)
		return -ENOMEM;
	while (at < *size) {
		long n = syscall4(__NR_pread64, fd, (long)*bytes + at, *size - at, at);

		if (n == -EINTR)
			continue;
		if (n <= 0)
			return n ? n : -EIO;
		at += n;
	}
	return 0;
}

static struct wj_strings strings(char **from, u32 count)
{
	struct wj_strings ret = { .count = count };
	char *to;

	for (u32 i = 0; i < count; i++)
		ret.size += strlen(from[i]) + 1;
	to = wj_alloc(ret.size + 1);
	ret.bytes = to;
	for (u32 i = 0; to && i < count; i++) {
		size_t n = strlen(from[i]) + 1;

		memcpy(to, from[i], n);
		to += n;
	}
	return ret;
}

/* One line of JSON per process that leaves the guest; O_APPEND keeps lines whole. */
void write_stats(const struct wj_stats *stats)
{
	int fd = syscall4(__NR_openat, AT_FDCWD, (long)launch.stats, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	int standard_error;

	if (is_error(fd))
		return;
	/* wj_log writes to 2. */
	standard_error = syscall3(__NR_fcntl, 2, F_DUPFD_CLOEXEC, 3);
	syscall3(__NR_dup3, fd, 2, 0);
	wj_log("{\"pid\": %d, \"host\": \"%s\", \"engine\": \"%s\", \"functions_jitted\": %llu, "
	       "\"functions_interpreted\": %llu, \"code_bytes\": %llu, \"host_calls\": %llu, "
	       "\"traps\": %llu, \"jit_ns\": %llu}",
	       (int)syscall2(__NR_getpid, 0, 0), launch.host, launch.engine, stats->functions_jitted,
	       stats->functions_interpreted, stats->code_bytes, stats->host_calls, stats->traps,
	       stats->jit_ns);
	if (!is_error(standard_error))
		syscall3(__NR_dup3, standard_error, 2, 0);
	syscall2(__NR_close, standard_error, 0);
	syscall2(__NR_close, fd, 0);
}

static int fail(int code, const char *what, long err)
{
	wj_log("pywasmjit: %s (error %d)", what, (int)-err);
	return code;
}

/* Die as a native process would have of the same fault. */
int die(int sig)
{
	const struct kernel_sigaction action = { .flags = SA_RESTORER, .restorer = wj_sigreturn };
	const u64 mask = ~(1ull << (sig - 1));

	syscall4(__NR_rt_sigaction, sig, (long)&action, 0, sizeof(action.mask));
	syscall4(__NR_rt_sigprocmask, SIG_SETMASK, (long)&mask, 0, sizeof(mask));
	syscall2(__NR_kill, syscall2(__NR_getpid, 0, 0), sig);
	return 128 + sig;
}

/* Verified and ready; 0 or an exit code, with a line that says why. */
static int load(const u8 *bytes, size_t size, struct wj_image **image)
{
	struct wj_error error = { 0 };
	int ret = wj_image_create(bytes, size, &error, image);

	if (!ret)
		return 0;
	if (ret == -EPROTO) {
		wj_log("pywasmjit: the image was made by another version of pywasmjit: compile it again");
		return EXIT_DATAERR;
	}
	wj_log("pywasmjit: the image was rejected: %s (section %u, function %d, offset 0x%x)",
	       error.message ? error.message : "no reason given", error.section,
	       (int)error.function, error.offset);
	return ret == -ENOMEM ? EXIT_OSERR : EXIT_DATAERR;
}

static int run(struct wj_process *p, const u8 *bytes, size_t size)
{
	enum wj_engine engine = launch.engine[0] == 'i' ? WJ_ENGINE_INTERP : WJ_ENGINE_JIT;
	struct wj_error error = { 0 };
	struct wj_image *image;
	struct wj_extern *externs;
	struct wj_stats stats;
	int ret;

	ret = load(bytes, size, &image);
	if (ret)
		return ret;
	externs = wj_alloc((wj_image_import_count(image) + 1) * sizeof(*externs));
	if (!externs || wj_store_create(&p->store))
		return fail(EXIT_OSERR, "out of memory", -ENOMEM);
	ret = wj_process_bind(p, image, externs, &error);
	if (ret)	/* it has said which import, and why */
		return EXIT_DATAERR;
	ret = wj_instance_create(p->store, image, engine, externs, p, &error, &p->inst);
	wj_free(externs);
	if (ret > 0) {
		wj_log("pywasmjit: the module cannot be instantiated: %s", wj_trap_text(ret));
		return EXIT_DATAERR;
	}
	if (ret == -ENOMEM && launch.max_memory < 1ull << 32) {
		wj_log("pywasmjit: out of memory: the module may need more than --max-memory allows");
		return EXIT_OSERR;
	}
	if (ret)
		return fail(ret == -ENOMEM ? EXIT_OSERR : EXIT_DATAERR,
			    error.message ? error.message : "the module cannot be instantiated", ret);
	signals_init(p);
	ret = wj_process_run(p);
	if (ret == -ENOEXEC)
		return EXIT_DATAERR;
	if (launch.stats) {
		wj_instance_stats(p->inst, &stats);
		write_stats(&stats);
	}
	if (ret == WJ_TRAP_EXIT)
		return p->exit_status;
	wj_process_report_trap(p, ret);
	return die(wj_trap_signal(ret));
}

/* The file that the kernel was asked to execute: a descriptor, or -1. */
static int executed_file(char **envp)
{
	const u64 *aux;

	while (*envp)
		envp++;
	for (aux = (const u64 *)(envp + 1); aux[0] != AT_NULL; aux += 2) {
		if (aux[0] == AT_EXECFD)
			return aux[1];
	}
	return -1;
}

/* Run by the kernel for a wasm file or an image: the descriptor of the image, or an exit code. */
static int from_binfmt(const char *name, char **argv, u32 argc, char **envp, int *fd)
{
	long ret;

	*fd = executed_file(envp);
	launch.wasm = name;
	if (*fd < 0 || !launch.pywasmjit)
		return usage("--binfmt is for the kernel");
	if (file_kind(*fd) == FILE_IMAGE)
		return 0;
	/* A module has to be lowered, or found in a cache. */
	syscall3(__NR_fcntl, *fd, F_SETFD, FD_CLOEXEC);
	ret = exec_pywasmjit(name, argv, argc, envp);
	wj_log("pywasmjit: %s: %s, which lowers wasm modules, cannot be run (error %d): execute an image, see `pywasmjit compile`",
	       name, launch.pywasmjit, (int)-ret);
	return EXIT_UNAVAILABLE;
}

int main(int argc, char **argv, char **envp)
{
	static struct wj_process process;
	const char *value, *image = NULL, *binfmt = NULL;
	u64 number;
	static char *settings[MAX_SETTINGS];
	u32 n_env = 0, n_settings = 0;
	bool script = false, dump = false;
	struct wj_image *dumped;
	size_t size;
	u8 *bytes;
	int i, fd = -1, ret;

	for (i = 1; i < argc && !same(argv[i], "--"); i++) {
		if ((value = value_of(argv[i], "--host="))) {
			launch.host = value;
		} else if ((value = value_of(argv[i], "--engine="))) {
			launch.engine = value;
		} else if ((value = value_of(argv[i], "--image="))) {
			image = value;
		} else if ((value = value_of(argv[i], "--image-fd=")) && parse_number(value, &number)) {
			fd = number;
		} else if ((value = value_of(argv[i], "--device-fd=")) && parse_number(value, &number)) {
			launch.device_fd = number;
		} else if ((value = value_of(argv[i], "--binfmt="))) {
			binfmt = value;
		} else if ((value = value_of(argv[i], "--wasm="))) {
			launch.wasm = value;
		} else if ((value = value_of(argv[i], "--pywasmjit="))) {
			launch.pywasmjit = value;
		} else if ((value = value_of(argv[i], "--stats="))) {
			launch.stats = value;
		} else if ((value = value_of(argv[i], "--max-memory=")) && parse_number(value, &number)) {
			launch.max_memory = number;
		} else if (value_of(argv[i], "--setting=") && n_settings < MAX_SETTINGS) {
			settings[n_settings++] = argv[i] + strlen("--setting=");
		} else if (same(argv[i], "--trace")) {
			launch.trace = true;
		} else if (same(argv[i], "--script")) {
			script = true;
		} else if (same(argv[i], "--dump-code")) {
			dump = true;
		} else {
			return usage(argv[i]);
		}
	}
	if (!same(launch.engine, "jit") && !same(launch.engine, "interp"))
		return usage("--engine is jit or interp");
	if (!same(launch.host, "user") && !same(launch.host, "kernel"))
		return usage("--host is user or kernel");
	if (same(launch.host, "kernel") && !same(launch.engine, "jit"))
		return usage("the kernel host has only the JIT (--engine=jit)");
	memory_limit(launch.max_memory);
	ret = faults_init();
	if (ret)
		return fail(EXIT_OSERR, "the fault handler cannot be set up", ret);
	if (script)
		return run_script();
	if (i + 1 >= argc && !dump)
		return usage("no arguments for the guest");
	i++;

	if (binfmt) {
		ret = from_binfmt(binfmt, argv + i, argc - i, envp, &fd);
		if (ret)
			return ret;
	}
	if (image)
		fd = syscall4(__NR_openat, AT_FDCWD, (long)image, O_RDONLY | O_CLOEXEC, 0);
	if (fd < 0)
		return fail(EXIT_NOINPUT, "the image cannot be opened", fd);
	ret = read_image(fd, &bytes, &size);
	if (ret)
		return fail(EXIT_NOINPUT, "the image cannot be read", ret);
	if (dump) {
		ret = load(bytes, size, &dumped);
		return ret ? ret : dump_code(dumped);
	}
	launch.image_fd = move_up(fd, 1);
	fd = syscall4(__NR_openat, AT_FDCWD, (long)"/proc/self/exe", O_RDONLY | O_CLOEXEC, 0);
	if (fd >= 0)
		launch.launcher_fd = move_up(fd, 2);
	if (binfmt) {
		if (file_identity(launch.image_fd, &launch.wasm_identity))
			launch.wasm = NULL;
	} else if (launch.wasm) {
		fd = syscall4(__NR_openat, AT_FDCWD, (long)launch.wasm, O_RDONLY | O_CLOEXEC, 0);
		if (is_error(fd) || file_identity(fd, &launch.wasm_identity))
			launch.wasm = NULL;
		syscall2(__NR_close, fd, 0);
	}

	while (envp[n_env])
		n_env++;
	process.argv = strings(argv + i, argc - i);
	process.envp = strings(envp, n_env);
	process.settings = strings(settings, n_settings);
	process.trace = launch.trace;
	if (!process.argv.bytes || !process.envp.bytes || !process.settings.bytes)
		return fail(EXIT_OSERR, "out of memory", -ENOMEM);
	ret = wj_process_init(&process);
	if (ret)
		return fail(EXIT_OSERR, "the process cannot be set up", ret);
	return same(launch.host, "kernel") ? run_kernel(&process, bytes, size) : run(&process, bytes, size);
}
