// SPDX-License-Identifier: GPL-2.0-only
/*
 * A launcher that wishes the kernel ill: hostile IMAGE WHAT. Prints "survived" when it is done; what
 * counts is that the kernel is unhurt, and that whoever is to be killed dies.
 *
 *	forge		results of system calls that cannot be
 *	memory		linear memory changes under the guest: unmapped, protected, a truncated file's,
 *			userfaultfd's, moved
 *	threads		loads, runs, claims, closes by many threads on one descriptor
 *	fetch		a thread rewrites the orders while they are read
 *	cookies		copies of a fork: guessed, replayed, claimed by threads and by other processes
 *	orders		signals nobody sent, results nobody asked for, operations that are none
 *	pass		the descriptor goes to another process, which outlives us
 *	exit		exit_group and execve by another thread while the guest runs
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
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

static int load(int fd, const char *what)
{
	char argv[64];
	struct wj_uapi_load order = { .version = WJ_UAPI_VERSION, .image = (uintptr_t)image,
		.image_size = image_size, .argv = (uintptr_t)argv, .argc = 2, .max_memory = 1ul << 32,
		.hidden_fds = { -1, -1, -1, -1 } };

	order.argv_size = 1 + snprintf(argv, sizeof(argv), "guest%c%s", 0, what);
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

/* Where linear memory begins: the accessible part before the largest mapping there is. */
static char *linear_memory(void)
{
	unsigned long low, high, previous = 0, previous_end = 0, found = 0;
	FILE *maps = fopen("/proc/self/maps", "r");
	char line[512];

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
	int file, uffd;

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
	}
	pause_ms(50);
	/* The guest has trapped, or waits for a page, or goes on: it dies with us. */
	_exit(0);
}

static void memory(void)
{
	for (int how = 0; how < 6; how++) {
		pid_t pid = fork();
		int status;

		if (!pid)
			change_memory(how);
		waitpid(pid, &status, 0);
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
	else
		must(0, "unknown");
	printf("survived\n");
	return 0;
}
