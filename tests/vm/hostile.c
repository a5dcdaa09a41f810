// SPDX-License-Identifier: GPL-2.0-only
/*
 * A launcher that wishes the kernel ill: hostile IMAGE WHAT. Prints "survived" when it is done; what
 * counts is that the kernel is unhurt, and that whoever is to be killed dies.
 *
 *	forge		results of system calls that cannot be
 *	memory		linear memory changes under the guest: unmapped, protected, a truncated file's,
 *			userfaultfd's, moved, secret, without a key, with holes
 *	threads		loads, runs, claims, closes by many threads on one descriptor
 *	fetch		a thread rewrites the orders while they are read
 *	cookies		copies of a fork: guessed, replayed, claimed by threads and by other processes
 *	orders		signals nobody sent, results nobody asked for, operations that are none
 *	pass		the descriptor goes to another process, which outlives us
 *	exit		exit_group and execve by another thread while the guest runs
 *	kill		SIGKILL while a fork is under way that the launcher does not finish
 *	trace		a tracer that stops the guest and changes registers, floating point modes, memory
 *	watch		sampled with backtraces, and watched by breakpoints on its memory (needs root)
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/hw_breakpoint.h>
#include <linux/perf_event.h>
#include <linux/seccomp.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "uapi.h"

#define GIB (1ul << 30)
#define FORGED (1l << 40)

static char *image;
static size_t image_size;
static atomic_int stop;

static void must(int ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	_exit(1);
}

static int device(void)
{
	int fd = open("/dev/wasm", O_RDWR | O_CLOEXEC);

	must(fd >= 0, "/dev/wasm");
	return fd;
}

/* `what`: arguments, separated by spaces. */
static int load(int fd, const char *what)
{
	char argv[64];
	struct wj_uapi_load order = { .version = WJ_UAPI_VERSION, .image = (uintptr_t)image,
		.image_size = image_size, .argv = (uintptr_t)argv, .argc = 1, .max_memory = 1ul << 32,
		.hidden_fds = { -1, -1, -1, -1 } };

	order.argv_size = 1 + snprintf(argv, sizeof(argv), "guest %s", what);
	for (char *at = argv; (at = strchr(at, ' ')); order.argc++)
		*at++ = 0;
	return ioctl(fd, WJ_IOC_LOAD, &order);
}

static long give(int fd, struct wj_uapi_run *run, unsigned int op, long result)
{
	long ret;

	run->version = WJ_UAPI_VERSION;
	run->op = op;
	run->result = result;
	do {
		run->reserved = 0;
		ret = ioctl(fd, WJ_IOC_RUN, run);
	} while (ret < 0 && errno >= 512 && errno <= 516);
	return ret;
}

/* As a launcher should, but for results of system calls, which `lie` may change. 0 at the end. */
static int drive(int fd, long (*lie)(const struct wj_uapi_run *run, long result))
{
	struct wj_uapi_run run = { 0 };
	unsigned int op = WJ_OP_CONTINUE;
	long result = 0;

	for (;;) {
		if (give(fd, &run, op, result))
			return -errno;
		op = WJ_OP_RESULT;
		switch (run.event) {
		case WJ_EVENT_SYSCALL:
			result = syscall(run.nr, run.args[0], run.args[1], run.args[2], run.args[3], run.args[4],
					 run.args[5]);
			if (result < 0)
				result = -errno;
			if (lie)
				result = lie(&run, result);
			break;
		case WJ_EVENT_EXIT:
		case WJ_EVENT_TRAP:
			return 0;
		case WJ_EVENT_NONE:
		case WJ_EVENT_HANDLED:
			op = WJ_OP_CONTINUE;
			break;
		default:
			result = -EAGAIN;
		}
	}
}

/* Where linear memory of a process begins: the accessible part before the largest mapping there is. */
static char *linear_memory_of(pid_t pid)
{
	unsigned long low, high, previous = 0, previous_end = 0, found = 0;
	char line[512];
	FILE *maps;

	snprintf(line, sizeof(line), "/proc/%d/maps", pid);
	maps = fopen(line, "r");
	must(!!maps, line);
	while (fgets(line, sizeof(line), maps)) {
		must(sscanf(line, "%lx-%lx", &low, &high) == 2, "maps");
		if (high - low > 2 * GIB)
			found = previous_end == low ? previous : low;
		previous = low;
		previous_end = high;
	}
	fclose(maps);
	return (char *)found;
}

static char *linear_memory(void)
{
	return linear_memory_of(getpid());
}

static void filter_everything(void)
{
	struct sock_filter allow = { BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW };
	struct sock_fprog program = { 1, &allow };

	must(!prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs");
	must(!prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), "seccomp");
}

static unsigned int lies;

static long lie(const struct wj_uapi_run *run, long result)
{
	static const long values[] = { FORGED, -FORGED, 1l << 31, 4096, 1, 0, -1, -516, -4095, INT64_MAX, INT64_MIN };

	(void)run;
	lies++;
	/* Whatever is read beyond scratch is there. */
	if (lies == 3)
		mmap((void *)((run->args[1] | 0xfff) + (1 << 20) + 1), 64 * GIB, PROT_READ,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
	return lies % 3 ? result : values[lies / 3 % (sizeof(values) / sizeof(*values))];
}

static void forge(const char *what)
{
	filter_everything();
	for (int i = 0; i < 20; i++) {
		pid_t pid = fork();

		if (!pid) {
			int fd = device();

			alarm(5);
			lies = i;
			must(!load(fd, what), "load");
			drive(fd, lie);
			_exit(0);
		}
		waitpid(pid, NULL, 0);
	}
}

/* Runs the guest in a thread of its own. */
struct guest {
	pthread_t thread;
	const char *what;
	int fd;
	atomic_int loaded, done;
};

static void *run_guest(void *argument)
{
	struct guest *g = argument;

	must(!load(g->fd, g->what), "load");
	g->loaded = 1;
	drive(g->fd, NULL);
	g->done = 1;
	return NULL;
}

static void start_guest(struct guest *g, const char *what)
{
	memset(g, 0, sizeof(*g));
	g->what = what;
	g->fd = device();
	must(!pthread_create(&g->thread, NULL, run_guest, g), "pthread_create");
	while (!g->loaded)
		sched_yield();
}

static void pause_ms(int ms)
{
	nanosleep(&(struct timespec){ 0, ms * 1000000l }, NULL);
}

static void change_memory(int how)
{
	char *base;
	struct guest g;
	size_t size = 16 << 20;
	int file, key, uffd;

	start_guest(&g, "memory");
	base = linear_memory();
	pause_ms(30);
	switch (how) {
	case 0:
		munmap(base, size);
		break;
	case 1:
		for (int i = 0; i < 50 && !g.done; i++) {
			mprotect(base + 65536 * (i & 127), 65536, i & 1 ? PROT_READ : PROT_NONE);
			pause_ms(1);
		}
		break;
	case 2:
		file = memfd_create("memory", 0);
		must(!ftruncate(file, size), "ftruncate");
		must(write(file, base, size) > 0, "write");
		must(mmap(base, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file, 0) == base, "mmap");
		pause_ms(20);
		must(!ftruncate(file, 4096), "ftruncate");
		break;
	case 3:
		uffd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
		if (uffd >= 0) {
			struct uffdio_api api = { .api = UFFD_API };
			struct uffdio_register area = { .range = { (uintptr_t)base, size },
				.mode = UFFDIO_REGISTER_MODE_MISSING };

			must(!ioctl(uffd, UFFDIO_API, &api), "UFFDIO_API");
			must(!ioctl(uffd, UFFDIO_REGISTER, &area), "UFFDIO_REGISTER");
			madvise(base, size, MADV_DONTNEED);
			/* Nobody answers. */
			pause_ms(50);
		}
		break;
	case 4:
		must(mremap(base, size, size, MREMAP_MAYMOVE | MREMAP_FIXED,
			    mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) != MAP_FAILED, "mremap");
		break;
	case 5:
		/* Pages that come and go all the time. */
		for (int i = 0; i < 200; i++)
			madvise(base, size, MADV_DONTNEED);
		break;
	case 6:
		/* A key that nobody has. */
		key = syscall(SYS_pkey_alloc, 0, 3);
		if (key > 0)
			must(!syscall(SYS_pkey_mprotect, base, size, PROT_READ | PROT_WRITE, key), "pkey_mprotect");
		break;
	case 7:
		/* A file that is full of holes, made while it is read and written. */
		file = memfd_create("memory", 0);
		must(!ftruncate(file, size), "ftruncate");
		must(mmap(base, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file, 0) == base, "mmap");
		for (int i = 0; i < 200; i++)
			must(!fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 65536 * (i & 127), 65536 * 9),
			     "fallocate");
		break;
	case 8:
		/* A stack that grows, up to its limit; then huge pages, and none. */
		must(!munmap(base, size), "munmap");
		must(mmap(base + size - 4096, 4096, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_GROWSDOWN, -1, 0) != MAP_FAILED, "mmap");
		break;
	case 9:
		for (int i = 0; i < 20; i++) {
			madvise(base, size, i & 1 ? MADV_NOHUGEPAGE : MADV_HUGEPAGE);
			madvise(base, size, i & 1 ? MADV_PAGEOUT : MADV_COLD);
			madvise(base, size, MADV_DONTNEED);
		}
		break;
	case 10:
		/* Memory that the kernel itself has no address for. */
		file = syscall(SYS_memfd_secret, 0);
		if (file >= 0) {
			must(!ftruncate(file, size), "ftruncate");
			mmap(base, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file, 0);
		}
		break;
	case 11:
		/* Read only for ever. */
		must(mmap(base, size, PROT_READ, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == base, "mmap");
		break;
	}
	pause_ms(50);
	/* The guest has trapped, or waits for a page, or goes on: it dies with us. */
	_exit(0);
}

static void memory(void)
{
	for (int how = 0; how < 12; how++) {
		pid_t pid = fork();
		int status;

		if (!pid)
			change_memory(how);
		waitpid(pid, &status, 0);
		if (status) {
			printf("memory %d: status %x\n", how, status);
			_exit(1);
		}
	}
}

static void *disturb(void *argument)
{
	int fd = *(int *)argument;
	struct wj_uapi_run run = { 0 };
	unsigned int chance = (uintptr_t)&run >> 12;

	while (!stop) {
		chance = chance * 1664525 + 1013904223;
		switch (chance >> 28) {
		case 0:
		case 1:
			load(fd, "hello");
			break;
		case 2:
			give(fd, &run, WJ_OP_CLAIM, chance);
			break;
		case 3:
			give(fd, &run, WJ_OP_RESULT, chance);
			break;
		case 4:
			run.signal = chance >> 8 & 127;
			run.siginfo = (uintptr_t)&run;
			give(fd, &run, WJ_OP_SIGNAL, 0);
			break;
		case 5:
			close(dup(fd));
			break;
		case 6: {
			struct wj_uapi_stats stats = { .version = WJ_UAPI_VERSION };

			ioctl(fd, WJ_IOC_STATS, &stats);
			break;
		}
		case 7: {
			pid_t pid = fork();

			if (!pid) {
				close(fd);
				_exit(0);
			}
			waitpid(pid, NULL, 0);
			break;
		}
		default:
			give(fd, &run, WJ_OP_CONTINUE, 0);
			break;
		}
	}
	return NULL;
}

static void threads(int seconds)
{
	pthread_t others[6];
	int fd = device();

	for (int i = 0; i < 6; i++)
		must(!pthread_create(&others[i], NULL, disturb, &fd), "pthread_create");
	sleep(seconds);
	stop = 1;
	close(fd);
	for (int i = 0; i < 6; i++)
		pthread_join(others[i], NULL);
}

static void *rewrite(void *argument)
{
	volatile uint32_t *words = argument;
	unsigned int chance = 1;

	while (!stop) {
		chance = chance * 1664525 + 1013904223;
		words[chance % (sizeof(struct wj_uapi_load) / 4)] ^= 1u << (chance >> 27);
	}
	return NULL;
}

static void fetch(void)
{
	static _Alignas(4096) struct wj_uapi_load shared, good;
	static char strings[4096] = "guest";
	pthread_t other;
	int fd, loaded = 0;

	good = (struct wj_uapi_load){ .version = WJ_UAPI_VERSION, .image = (uintptr_t)image, .image_size = image_size,
		.argv = (uintptr_t)strings, .argc = 1, .argv_size = 6, .max_memory = 1ul << 32 };
	must(!pthread_create(&other, NULL, rewrite, &shared), "pthread_create");
	for (int i = 0; i < 300; i++) {
		fd = device();
		shared = good;
		loaded += !ioctl(fd, WJ_IOC_LOAD, &shared);
		for (int n = 0; n < 5; n++) {
			memset(&shared, 0, sizeof(shared));
			shared.version = WJ_UAPI_VERSION;
			ioctl(fd, WJ_IOC_RUN, &shared);
		}
		close(fd);
	}
	stop = 1;
	pthread_join(other, NULL);
	if (!loaded)
		printf("nothing was ever loaded\n");
}

static int shared_fd;
static long cookie;
static atomic_int claims;

static void *claim(void *unused)
{
	struct wj_uapi_run run = { 0 };

	(void)unused;
	if (!give(shared_fd, &run, WJ_OP_CLAIM, cookie))
		claims++;
	return NULL;
}

static void cookies(void)
{
	struct wj_uapi_run run = { 0 };
	pthread_t others[8];
	int total = 0;

	shared_fd = device();
	must(!load(shared_fd, "fork"), "load");
	for (int round = 0; round < 50; round++) {
		pid_t pid = 0;

		while (!give(shared_fd, &run, round ? WJ_OP_RESULT : WJ_OP_CONTINUE, pid) && run.event != WJ_EVENT_FORK) {
			if (run.event == WJ_EVENT_EXIT || run.event == WJ_EVENT_TRAP)
				return;
			pid = -EAGAIN;
		}
		cookie = run.nr;
		claims = 0;
		if (round & 1) {
			/* Threads of this very process, whose memory is the guest's. */
			for (int i = 0; i < 8; i++)
				must(!pthread_create(&others[i], NULL, claim, NULL), "pthread_create");
			for (int i = 0; i < 8; i++)
				pthread_join(others[i], NULL);
			must(claims <= 1, "one cookie was claimed twice");
		} else {
			for (int i = 1; i < 64; i++) {
				struct wj_uapi_run guess = { 0 };

				must(give(shared_fd, &guess, WJ_OP_CLAIM, cookie ^ 1l << i) < 0, "a guessed cookie");
			}
			pid = fork();
			if (!pid) {
				claim(NULL);
				claim(NULL);
				_exit(claims);
			}
			int status = 0;
			waitpid(pid, &status, 0);
			must(WIFEXITED(status) && WEXITSTATUS(status) <= 1, "a cookie was claimed twice");
			claims = WEXITSTATUS(status);
		}
		total += claims;
		/* Again, after it was used; then lie about the child. */
		claims = 0;
		claim(NULL);
		must(!claims, "a used cookie was claimed");
		pid = round % 3 ? getppid() : 1;
		if (give(shared_fd, &run, WJ_OP_RESULT, pid))
			break;
	}
	if (!total)
		printf("nobody has claimed anything\n");
}

static sigjmp_buf back;

/* The kernel would restart the order that was interrupted, for ever. */
static void jump_back(int sig)
{
	(void)sig;
	siglongjmp(back, 1);
}

static void orders(void)
{
	static const unsigned int ops[] = { WJ_OP_CONTINUE, WJ_OP_INTERRUPTED, WJ_OP_RESULT, WJ_OP_SIGNAL, 5, ~0u };
	struct itimerval once = { { 0, 0 }, { 0, 2000 } };
	struct sigaction action = { .sa_handler = jump_back };
	static char siginfo[128];
	static volatile int round;
	int fd = device();

	must(!load(fd, "handle"), "load");
	must(!sigaction(SIGALRM, &action, NULL), "sigaction");
	for (round = 0; round < 500; round++) {
		struct wj_uapi_run run = { .signal = round % 70, .siginfo = round % 7 ? (uintptr_t)siginfo : 8 };

		if (sigsetjmp(back, 1))
			continue;
		/* Brings us back: the guest spins. */
		must(!setitimer(ITIMER_REAL, &once, NULL), "setitimer");
		give(fd, &run, ops[round * 7 / 3 % 6], round);
	}
	once.it_value.tv_usec = 0;
	must(!setitimer(ITIMER_REAL, &once, NULL), "setitimer");
	close(fd);
}

static void pass(void)
{
	int pair[2], fd = device(), got = -1;
	char control[CMSG_SPACE(sizeof(int))] = { 0 }, byte = 0;
	struct iovec iov = { &byte, 1 };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
		.msg_controllen = sizeof(control) };
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);
	pid_t pid, owner;

	must(!socketpair(AF_UNIX, SOCK_DGRAM, 0, pair), "socketpair");
	pid = fork();
	if (!pid) {
		struct wj_uapi_run run = { 0 };

		must(recvmsg(pair[1], &message, 0) == 1, "recvmsg");
		memcpy(&got, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(got));
		must(give(got, &run, WJ_OP_CONTINUE, 0) < 0 && errno == ESRCH, "somebody else's guest");
		/* The owner is gone by the time this one is loaded. */
		must(read(pair[1], &byte, 1) == 1, "read");
		must(!load(got, "hello"), "load in a passed descriptor");
		drive(got, NULL);
		_exit(0);
	}
	owner = fork();
	if (!owner) {
		must(!load(fd, "blocked"), "load");
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(header), &fd, sizeof(fd));
		must(sendmsg(pair[0], &message, 0) == 1, "sendmsg");
		alarm(1);
		drive(fd, NULL);
		_exit(0);
	}
	close(fd);
	waitpid(owner, NULL, 0);
	must(write(pair[0], &byte, 1) == 1, "write");
	int status = -1;
	waitpid(pid, &status, 0);
	must(!status, "the other process");
}

static void leave(void)
{
	for (int how = 0; how < 12; how++) {
		pid_t pid = fork();

		if (!pid) {
			struct guest g;

			start_guest(&g, how & 1 ? "loop" : "memory");
			pause_ms(how * 5);
			if (how % 3 == 0)
				_exit(0);
			if (how % 3 == 1)
				execl("/bin/true", "true", NULL);
			close(g.fd);
			munmap(linear_memory(), 8 * GIB);
			pause_ms(20);
			_exit(0);
		}
		waitpid(pid, NULL, 0);
	}
}

/* Waits for the end of a child that has been sent SIGKILL. */
static void must_die(pid_t pid, const char *what)
{
	struct pollfd end = { .fd = syscall(SYS_pidfd_open, pid, 0), .events = POLLIN };
	int status = 0;

	must(end.fd >= 0, "pidfd_open");
	if (poll(&end, 1, 60 * 1000) != 1) {
		printf("%s: survives SIGKILL\n", what);
		_exit(1);
	}
	close(end.fd);
	must(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, what);
}

/* The parent, or its child before it claims its copy, stays in user mode with the signals that fork blocks. */
static void kill_in_fork(void)
{
	for (int how = 0; how < 3; how++) {
		int report[2];
		pid_t pid, victim;

		must(!pipe(report), "pipe");
		pid = fork();
		if (!pid) {
			struct wj_uapi_run run = { 0 };
			int fd = device();

			must(!load(fd, "fork"), "load");
			while (!give(fd, &run, WJ_OP_CONTINUE, 0) && run.event != WJ_EVENT_FORK)
				;
			must(run.event == WJ_EVENT_FORK, "fork");
			victim = getpid();
			if (how == 2) {
				victim = fork();
				if (victim) {
					must_die(victim, "a child that has not claimed its copy");
					must(!kill(getpid(), SIGKILL), "kill");
				}
				victim = getpid();
			}
			must(write(report[1], &victim, sizeof(victim)) == sizeof(victim), "write");
			while (how)
				;
			for (;;)
				pause();
		}
		must(read(report[0], &victim, sizeof(victim)) == sizeof(victim), "read");
		must(!kill(victim, SIGKILL), "kill");
		must_die(pid, how ? "a launcher that spins in a fork" : "a launcher that waits in a fork");
		close(report[0]);
		close(report[1]);
	}
}

static void read_all(pid_t pid, const char *name)
{
	char path[64], buffer[4096];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	fd = open(path, O_RDONLY);
	if (fd < 0)
		return;		/* not for everybody */
	while (read(fd, buffer, sizeof(buffer)) > 0)
		;
	close(fd);
}

static void look_at(pid_t pid)
{
	static const char *const names[] = { "stack", "syscall", "wchan", "stat", "status", "maps", "smaps_rollup" };

	for (unsigned int i = 0; i < sizeof(names) / sizeof(*names); i++)
		read_all(pid, names[i]);
}

/* -1, or the status with which it has ended. */
static int interrupt(pid_t pid)
{
	int status;

	if (ptrace(PTRACE_INTERRUPT, pid, 0, 0))
		must(errno == ESRCH, "PTRACE_INTERRUPT");
	must(waitpid(pid, &status, __WALL) == pid, "waitpid");
	return WIFSTOPPED(status) ? -1 : status;
}

static pid_t start_traced(const char *what, int out, char **base)
{
	int ready[2];
	pid_t pid;
	char byte;

	must(!pipe(ready), "pipe");
	pid = fork();
	if (!pid) {
		int fd = device();

		must(!load(fd, what), "load");
		must(dup2(out, 1) == 1 && write(ready[1], "", 1) == 1, "write");
		drive(fd, NULL);
		_exit(0);
	}
	close(out);
	close(ready[1]);
	must(read(ready[0], &byte, 1) == 1, "load");
	close(ready[0]);
	*base = linear_memory_of(pid);
	must(!ptrace(PTRACE_SEIZE, pid, 0, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL), "PTRACE_SEIZE");
	return pid;
}

static int watch_by_registers(pid_t pid, char *address)
{
	const size_t at = offsetof(struct user, u_debugreg);

	/* Reads and writes of 8 bytes. */
	return ptrace(PTRACE_POKEUSER, pid, at, address) ||
	       ptrace(PTRACE_POKEUSER, pid, at + 7 * sizeof(long), 0xb0001);
}

/* What a tracer may do without changing what the guest computes. */
static void trace_gently(void)
{
	char answer[64] = "", *base;
	int out[2], status = -1;
	pid_t pid;

	must(!pipe(out), "pipe");
	pid = start_traced("floats 4000", out[1], &base);
	for (unsigned int round = 0; status < 0; round++) {
		struct user_fpregs_struct fp;
		long order = PTRACE_CONT, sig = 0;

		pause_ms(round % 4);
		status = interrupt(pid);
		if (status >= 0)
			break;
		look_at(pid);
		switch (round % 6) {
		case 0:
			/* All exceptions enabled, rounding to zero. */
			must(!ptrace(PTRACE_GETFPREGS, pid, 0, &fp), "PTRACE_GETFPREGS");
			fp.mxcsr = 0x6000;
			fp.cwd = 0;
			memset(fp.xmm_space, 0xff, sizeof(fp.xmm_space));
			must(!ptrace(PTRACE_SETFPREGS, pid, 0, &fp), "PTRACE_SETFPREGS");
			break;
		case 1:
			must(!watch_by_registers(pid, base + 4096 * (round % 64)), "debug registers");
			break;
		case 2:
			order = PTRACE_SINGLESTEP;
			break;
		case 3:
			order = PTRACE_SYSCALL;
			break;
		case 4:
			sig = SIGURG;
			break;
		}
		for (int i = 0; i < 20; i++) {
			must(!ptrace(order, pid, 0, sig), "ptrace");
			if (order == PTRACE_CONT)
				break;
			sig = 0;
			must(waitpid(pid, &status, __WALL) == pid, "waitpid");
			if (!WIFSTOPPED(status))
				break;
			status = -1;
			if (i == 19)
				must(!ptrace(PTRACE_CONT, pid, 0, 0), "PTRACE_CONT");
		}
	}
	must(!status, "the guest that was traced");
	must(read(out[0], answer, sizeof(answer) - 1) > 0, "what it says");
	close(out[0]);
	if (strcmp(answer, "wrong sums: 0\n")) {
		printf("traced: %s", answer);
		_exit(1);
	}
}

/* Anything: the guest need not live. */
static void trace_wildly(unsigned int seed)
{
	int out[2], status = -1;
	char *base;
	pid_t pid;

	must(!pipe(out), "pipe");
	pid = start_traced("faults 1000000", out[1], &base);
	for (unsigned int round = 0; round < 60 && status < 0; round++) {
		struct user_regs_struct regs;
		static char garbage[1 << 16];
		struct iovec from = { garbage, sizeof(garbage) }, to = { base, sizeof(garbage) };

		seed = seed * 1664525 + 1013904223;
		pause_ms(seed >> 30);
		/* While it runs. */
		memset(garbage, (int)(seed >> 8), sizeof(garbage));
		to.iov_base = base + (seed % 64) * sizeof(garbage);
		process_vm_writev(pid, &from, 1, &to, 1, 0);
		status = interrupt(pid);
		if (status >= 0)
			break;
		must(!ptrace(PTRACE_GETREGS, pid, 0, &regs), "PTRACE_GETREGS");
		switch (seed >> 20 & 7) {
		case 0:
			/* The ioctl once more, with other arguments. */
			regs.orig_rax = SYS_ioctl;
			regs.rax = -512;
			regs.rdx = (uintptr_t)base;
			break;
		case 1:
			regs.orig_rax = seed % 450 == SYS_reboot ? 0 : seed % 450;
			regs.rax = -514;
			break;
		case 2:
			regs.orig_rax = -1;
			regs.rax = seed;
			break;
		case 3:
			if (round > 40)
				regs.rip = regs.rsp = 0x00007fffffffe000;
			break;
		case 4:
			regs.eflags = ~0ul;
			break;
		case 5:
			ptrace(PTRACE_POKEDATA, pid, base + (seed & 0xffff8), seed);
			break;
		}
		/* Refused where no process may have such registers. */
		ptrace(PTRACE_SETREGS, pid, 0, &regs);
		must(!ptrace(PTRACE_CONT, pid, 0, 0), "PTRACE_CONT");
	}
	if (status < 0) {
		must(!kill(pid, SIGKILL), "kill");
		do
			must(waitpid(pid, &status, __WALL) == pid, "waitpid");
		while (WIFSTOPPED(status));
	}
	close(out[0]);
}

static void trace(void)
{
	trace_gently();
	for (unsigned int seed = 1; seed <= 8; seed++)
		trace_wildly(seed);
}

static int perf(struct perf_event_attr *attr, pid_t pid)
{
	int fd;

	attr->size = sizeof(*attr);
	attr->sample_period = attr->sample_period ?: 1;
	attr->sample_type = PERF_SAMPLE_IP | PERF_SAMPLE_TID | PERF_SAMPLE_ADDR | PERF_SAMPLE_CALLCHAIN |
		PERF_SAMPLE_REGS_USER | PERF_SAMPLE_STACK_USER | PERF_SAMPLE_REGS_INTR;
	attr->sample_regs_user = attr->sample_regs_intr = 0xff0fff;
	attr->sample_stack_user = 4096;
	fd = syscall(SYS_perf_event_open, attr, pid, -1, -1, PERF_FLAG_FD_CLOEXEC);
	must(fd >= 0, "perf_event_open");
	return fd;
}

/* Backtraces are made wherever it is, also on the guest's stacks; memory is watched that it writes to. */
static void watch(const char *what)
{
	const size_t pages = 64;
	char *base;
	int events[4], out[2], sampled = 0;
	struct perf_event_mmap_page *rings[4];
	pid_t pid;

	must(!pipe(out), "pipe");
	pid = start_traced(what, out[1], &base);
	must(interrupt(pid) < 0 && !ptrace(PTRACE_DETACH, pid, 0, 0), "detach");
	for (unsigned int i = 0; i < 4; i++) {
		struct perf_event_attr attr = { .type = PERF_TYPE_BREAKPOINT, .bp_type = HW_BREAKPOINT_RW,
			.bp_addr = (uintptr_t)base + 65536 * i, .bp_len = HW_BREAKPOINT_LEN_8 };

		if (i == 0)
			attr = (struct perf_event_attr){ .type = PERF_TYPE_SOFTWARE,
				.config = PERF_COUNT_SW_CPU_CLOCK, .sample_period = 100 * 1000 };
		if (i == 1)
			attr = (struct perf_event_attr){ .type = PERF_TYPE_SOFTWARE,
				.config = PERF_COUNT_SW_PAGE_FAULTS };
		events[i] = perf(&attr, pid);
		rings[i] = mmap(NULL, (1 + pages) << 12, PROT_READ | PROT_WRITE, MAP_SHARED, events[i], 0);
		must(rings[i] != MAP_FAILED, "mmap");
	}
	for (int i = 0; i < 100; i++) {
		look_at(pid);
		pause_ms(5);
		for (int n = 0; n < 4; n++) {
			/* All of it is read. */
			sampled += n < 2 && rings[n]->data_head != rings[n]->data_tail;
			rings[n]->data_tail = rings[n]->data_head;
		}
	}
	must(!kill(pid, SIGKILL), "kill");
	must_die(pid, what);
	for (int i = 0; i < 4; i++)
		close(events[i]);
	close(out[0]);
	if (!sampled)
		printf("nothing was sampled\n");
}

int main(int argc, char **argv)
{
	struct stat st;
	int fd;

	setvbuf(stdout, NULL, _IOLBF, 0);
	must(argc == 3, "usage: hostile IMAGE WHAT");
	fd = open(argv[1], O_RDONLY);
	must(fd >= 0 && !fstat(fd, &st), argv[1]);
	image_size = st.st_size;
	image = mmap(NULL, image_size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	must(image != MAP_FAILED, "mmap");
	close(fd);
	if (!strcmp(argv[2], "forge"))
		forge("");
	else if (!strcmp(argv[2], "memory"))
		memory();
	else if (!strcmp(argv[2], "threads"))
		threads(5);
	else if (!strcmp(argv[2], "fetch"))
		fetch();
	else if (!strcmp(argv[2], "cookies"))
		cookies();
	else if (!strcmp(argv[2], "orders"))
		orders();
	else if (!strcmp(argv[2], "pass"))
		pass();
	else if (!strcmp(argv[2], "exit"))
		leave();
	else if (!strcmp(argv[2], "kill"))
		kill_in_fork();
	else if (!strcmp(argv[2], "trace"))
		trace();
	else if (!strcmp(argv[2], "watch"))
		for (int i = 0; i < 3; i++)
			watch((const char *[]){ "floats 1000000000", "faults 1000000000", "calls 1000000000" }[i]);
	else
		must(0, "unknown");
	printf("survived\n");
	return 0;
}
