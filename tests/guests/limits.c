// SPDX-License-Identifier: GPL-2.0-only
/* Resource limits, and what they do; priorities; usage. */

#include <sys/resource.h>

#include "transcript.h"

static void limit(int resource, rlim_t soft)
{
	struct rlimit value;

	MUST(getrlimit(resource, &value));
	value.rlim_cur = soft;
	MUST(setrlimit(resource, &value));
}

static void files(void)
{
	struct rlimit value;
	int count = 0, fd;
	pid_t pid = MUST(fork());

	if (pid) {
		say("files: %s", ended(reap(pid)));
		return;
	}
	limit(RLIMIT_NOFILE, 50);
	MUST(getrlimit(RLIMIT_NOFILE, &value));
	while ((fd = open("/dev/null", O_RDONLY)) >= 0)
		count++;
	say("limit %d, then %s after more than %d", (int)value.rlim_cur, error_name(errno), 40);
	_exit(count > 50 || count < 40);
}

static void file_size(void)
{
	pid_t pid;
	int fd;

	enter_directory();
	fd = MUST(open("file", O_CREAT | O_WRONLY, 0600));
	pid = MUST(fork());
	if (!pid) {
		char block[1000] = { 0 };

		limit(RLIMIT_FSIZE, 3500);
		signal(SIGXFSZ, SIG_IGN);
		for (int i = 0; i < 3; i++)
			MUST(write(fd, block, sizeof(block)));
		say("last part: %ld", MUST(write(fd, block, sizeof(block))));
		say("no more: %s", outcome(write(fd, block, 1)));
		signal(SIGXFSZ, SIG_DFL);
		write(fd, block, 1);
		_exit(1);
	}
	say("file size: %s", ended(reap(pid)));
	close(fd);
	unlink("file");
	leave_directory();
}

static void processor(void)
{
	volatile unsigned int spins = 0;
	pid_t pid = MUST(fork());

	if (!pid) {
		struct rlimit value = { 1, 2 };

		MUST(setrlimit(RLIMIT_CPU, &value));
		for (;;)
			spins++;
	}
	say("processor time: %s", ended(reap(pid)));
}

static void core(void)
{
	struct rlimit value = { 0, 0 };
	pid_t pid = MUST(fork());

	if (!pid) {
		MUST(setrlimit(RLIMIT_CORE, &value));
		MUST(getrlimit(RLIMIT_CORE, &value));
		say("core: %d %d", (int)value.rlim_cur, (int)value.rlim_max);
		value = (struct rlimit){ RLIM_INFINITY, 5 };
		say("soft above hard: %s", outcome(setrlimit(RLIMIT_CORE, &value)));
		say("no such limit: %s", outcome(getrlimit(99, &value)));
		_exit(0);
	}
	reap(pid);
}

static void priorities(void)
{
	pid_t pid = MUST(fork());

	if (!pid) {
		int before = getpriority(PRIO_PROCESS, 0);

		MUST(setpriority(PRIO_PROCESS, 0, before + 1));
		say("one nicer: %d", getpriority(PRIO_PROCESS, 0) - before);
		_exit(0);
	}
	reap(pid);
}

static long long microseconds(const struct rusage *used)
{
	return (used->ru_utime.tv_sec + used->ru_stime.tv_sec) * 1000000LL +
	       used->ru_utime.tv_usec + used->ru_stime.tv_usec;
}

static void usage(void)
{
	struct rusage own, children;
	volatile unsigned int spins = 0;
	clock_t start = clock();

	while (clock() - start < CLOCKS_PER_SEC / 20)
		spins++;
	MUST(getrusage(RUSAGE_SELF, &own));
	MUST(getrusage(RUSAGE_CHILDREN, &children));
	say("own time: %d", microseconds(&own) >= 40000);
	say("children's: %d", microseconds(&children) >= 100000);
	say("memory: %d", own.ru_maxrss > 100);
	say("nobody's: %s", outcome(getrusage(77, &own)));
}

int main(void)
{
	files();
	file_size();
	processor();
	core();
	priorities();
	usage();
	say("end");
	return 0;
}
