/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For the test programs: what they print must not depend on where they run.
 * The same file built by gcc says what is right.
 */
#ifndef WJ_TRANSCRIPT_H
#define WJ_TRANSCRIPT_H

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* One write per line, so that the lines of several processes never mix. */
__attribute__((format(printf, 1, 2))) static inline void say(const char *format, ...)
{
	char line[1024];
	va_list list;
	int length;

	va_start(list, format);
	length = vsnprintf(line, sizeof(line) - 1, format, list);
	va_end(list);
	if (length > (int)sizeof(line) - 2)
		length = sizeof(line) - 2;
	line[length] = '\n';
	if (write(1, line, length + 1) != length + 1)
		_exit(99);
}

/* Neither the numbers nor the texts of errors are the same everywhere. */
static inline const char *error_name(int error)
{
	static const struct {
		int number;
		const char *name;
	} names[] = {
#define NAME(error) { error, #error }
		NAME(EPERM), NAME(ENOENT), NAME(ESRCH), NAME(EINTR), NAME(EIO), NAME(ENXIO),
		NAME(E2BIG), NAME(ENOEXEC), NAME(EBADF), NAME(ECHILD), NAME(EAGAIN), NAME(ENOMEM),
		NAME(EACCES), NAME(EFAULT), NAME(EBUSY), NAME(EEXIST), NAME(EXDEV), NAME(ENODEV),
		NAME(ENOTDIR), NAME(EISDIR), NAME(EINVAL), NAME(ENFILE), NAME(EMFILE),
		NAME(ENOTTY), NAME(ETXTBSY), NAME(EFBIG), NAME(ENOSPC), NAME(ESPIPE), NAME(EROFS),
		NAME(EMLINK), NAME(EPIPE), NAME(ERANGE), NAME(EDEADLK), NAME(ENAMETOOLONG),
		NAME(ENOSYS), NAME(ENOTEMPTY), NAME(ELOOP), NAME(EPROTO), NAME(EOVERFLOW),
		NAME(EILSEQ), NAME(ENOTSOCK), NAME(EDESTADDRREQ), NAME(EMSGSIZE),
		NAME(EPROTOTYPE), NAME(ENOPROTOOPT), NAME(EPROTONOSUPPORT), NAME(EOPNOTSUPP),
		NAME(EAFNOSUPPORT), NAME(EADDRINUSE), NAME(EADDRNOTAVAIL), NAME(ENETUNREACH),
		NAME(ECONNABORTED), NAME(ECONNRESET), NAME(ENOBUFS), NAME(EISCONN),
		NAME(ENOTCONN), NAME(ETIMEDOUT), NAME(ECONNREFUSED), NAME(EHOSTUNREACH),
		NAME(EALREADY), NAME(EINPROGRESS), NAME(ESTALE), NAME(ECANCELED),
#undef NAME
	};

	if (!error)
		return "no error";
	for (unsigned int i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (names[i].number == error)
			return names[i].name;
	return "another error";
}

/* "ok" for a result that is not -1, the name of errno for one that is.
 * C does not say which argument of say() is evaluated first: no call that changes
 * another argument belongs there. */
static inline const char *outcome(long result)
{
	return result == -1 ? error_name(errno) : "ok";
}

/* For what cannot fail unless the test is broken. */
static inline long must(long result, const char *what)
{
	if (result == -1) {
		say("%s: %s", what, error_name(errno));
		exit(98);
	}
	return result;
}

#define MUST(call) must((long)(call), #call)

/* "exited 3" or "killed by 9" for a wait status. */
static inline const char *ended(int status)
{
	static char text[64];

	if (WIFEXITED(status))
		snprintf(text, sizeof(text), "exited %d", WEXITSTATUS(status));
	else if (WIFSIGNALED(status))
		snprintf(text, sizeof(text), "killed by %d", WTERMSIG(status));
	else if (WIFSTOPPED(status))
		snprintf(text, sizeof(text), "stopped by %d", WSTOPSIG(status));
	else if (WIFCONTINUED(status))
		snprintf(text, sizeof(text), "continued");
	else
		snprintf(text, sizeof(text), "status %#x", status);
	return text;
}

/* waitpid that a signal does not end; the wait status. */
static inline int reap(pid_t pid)
{
	int status = -1;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -1;
	return status;
}

/* Milliseconds of a clock that never goes back. */
static inline long long milliseconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

/* A directory of our own to work in; removed at the end with leave_directory(). */
static char work_directory[32];

static inline void enter_directory(void)
{
	strcpy(work_directory, "/tmp/wj-test-XXXXXX");
	if (!mkdtemp(work_directory) || chdir(work_directory)) {
		say("no work directory: %s", error_name(errno));
		exit(98);
	}
}

static inline void leave_directory(void)
{
	if (chdir("/") || rmdir(work_directory))
		say("the work directory is not empty: %s", error_name(errno));
}

#endif
