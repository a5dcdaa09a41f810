// SPDX-License-Identifier: GPL-2.0-only
/* Running other programs: posix_spawn, system, popen. */

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "wjposix.h"

/* The record that posix_spawn_file_actions_add*() of libc leave, newest first. */
struct file_action {
	struct file_action *next, *prev;
	int kind, fd, source, flags;
	mode_t mode;
	char path[];
};

enum { ACTION_CLOSE = 1, ACTION_DUP2, ACTION_OPEN, ACTION_CHDIR, ACTION_FCHDIR };

static int run_file_action(const struct file_action *action)
{
	int fd, ret;

	switch (action->kind) {
	case ACTION_CLOSE:
		close(action->fd);
		return 0;
	case ACTION_DUP2:
		if (action->source != action->fd)
			return dup2(action->source, action->fd);
		/* The point of this one is that the descriptor survives the exec. */
		ret = fcntl(action->fd, F_GETFD);
		return ret < 0 ? ret : fcntl(action->fd, F_SETFD, ret & ~FD_CLOEXEC);
	case ACTION_OPEN:
		fd = open(action->path, action->flags, action->mode);
		if (fd < 0 || fd == action->fd)
			return fd;
		ret = dup2(fd, action->fd);
		close(fd);
		return ret;
	case ACTION_CHDIR:
		return chdir(action->path);
	case ACTION_FCHDIR:
		return fchdir(action->fd);
	default:
		errno = EINVAL;
		return -1;
	}
}

static int run_file_actions(const posix_spawn_file_actions_t *actions)
{
	const struct file_action *action = actions ? actions->__actions : NULL;

	while (action && action->next)
		action = action->next;
	for (; action; action = action->prev)
		if (run_file_action(action) < 0)
			return -1;
	return 0;
}

/* In the child, all signals blocked.  Returns only on failure, errno set. */
static void exec_child(const char *path, const posix_spawn_file_actions_t *actions,
		       const posix_spawnattr_t *attributes, char *const argv[],
		       char *const envp[], const sigset_t *mask, int search)
{
	static const posix_spawnattr_t no_attributes;
	const posix_spawnattr_t *attr = attributes ? attributes : &no_attributes;
	short flags = attr->__flags;
	struct sigaction action;

	for (int sig = 1; sig < _NSIG; sig++) {
		int wanted = flags & POSIX_SPAWN_SETSIGDEF && sigismember(&attr->__def, sig) > 0;

		/* No handler of ours may run once the mask is restored. */
		if (sigaction(sig, NULL, &action) || action.sa_handler == SIG_DFL)
			continue;
		if (wanted || action.sa_handler != SIG_IGN)
			signal(sig, SIG_DFL);
	}
	if (flags & POSIX_SPAWN_SETSID && setsid() < 0)
		return;
	if (flags & POSIX_SPAWN_SETPGROUP && setpgid(0, attr->__pgrp))
		return;
	if (flags & POSIX_SPAWN_RESETIDS && (setegid(getgid()) || seteuid(getuid())))
		return;
	if (run_file_actions(actions))
		return;
	sigprocmask(SIG_SETMASK, flags & POSIX_SPAWN_SETSIGMASK ? &attr->__mask : mask, NULL);
	if (search)
		execvpe(path, argv, envp);
	else
		execve(path, argv, envp);
}

static int spawn(pid_t *result, const char *path, const posix_spawn_file_actions_t *actions,
		 const posix_spawnattr_t *attributes, char *const argv[], char *const envp[],
		 int search)
{
	sigset_t all, mask;
	int error = 0, pipes[2];
	pid_t pid;

	/* The child tells through a pipe that closes itself when exec succeeds. */
	if (pipe2(pipes, O_CLOEXEC))
		return errno;
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &mask);
	pid = fork();
	if (!pid) {
		close(pipes[0]);
		/* A file action may want the number that the pipe has. */
		int report = fcntl(pipes[1], F_DUPFD_CLOEXEC, 512);

		if (report < 0)
			report = pipes[1];
		else
			close(pipes[1]);
		exec_child(path, actions, attributes, argv, envp, &mask, search);
		error = errno;
		write(report, &error, sizeof(error));
		_exit(127);
	}
	error = pid < 0 ? errno : 0;
	close(pipes[1]);
	if (pid > 0 && read(pipes[0], &error, sizeof(error)) == sizeof(error))
		waitpid(pid, NULL, 0);
	else if (pid > 0 && result)
		*result = pid;
	close(pipes[0]);
	sigprocmask(SIG_SETMASK, &mask, NULL);
	return error;
}

int posix_spawn(pid_t *restrict pid, const char *restrict path,
		const posix_spawn_file_actions_t *actions,
		const posix_spawnattr_t *restrict attributes, char *const argv[restrict],
		char *const envp[restrict])
{
	return spawn(pid, path, actions, attributes, argv, envp, 0);
}

int posix_spawnp(pid_t *restrict pid, const char *restrict file,
		 const posix_spawn_file_actions_t *actions,
		 const posix_spawnattr_t *restrict attributes, char *const argv[restrict],
		 char *const envp[restrict])
{
	return spawn(pid, file, actions, attributes, argv, envp, 1);
}

int system(const char *command)
{
	char *argv[] = { "sh", "-c", (char *)command, NULL };
	struct sigaction ignore = { .sa_handler = SIG_IGN }, old_int, old_quit;
	sigset_t child, mask, defaults;
	posix_spawnattr_t attributes;
	int error, status = -1;
	pid_t pid, waited;

	if (!command)
		return access("/bin/sh", X_OK) == 0;
	/* The shell gets the terminal's signals, and only we reap it. */
	sigaction(SIGINT, &ignore, &old_int);
	sigaction(SIGQUIT, &ignore, &old_quit);
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_BLOCK, &child, &mask);

	sigemptyset(&defaults);
	if (old_int.sa_handler != SIG_IGN)
		sigaddset(&defaults, SIGINT);
	if (old_quit.sa_handler != SIG_IGN)
		sigaddset(&defaults, SIGQUIT);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setsigmask(&attributes, &mask);
	posix_spawnattr_setsigdefault(&attributes, &defaults);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
	error = posix_spawn(&pid, "/bin/sh", NULL, &attributes, argv, environ);
	posix_spawnattr_destroy(&attributes);
	if (!error) {
		do
			waited = waitpid(pid, &status, 0);
		while (waited < 0 && errno == EINTR);
		if (waited < 0)
			status = -1;
	}

	sigaction(SIGINT, &old_int, NULL);
	sigaction(SIGQUIT, &old_quit, NULL);
	sigprocmask(SIG_SETMASK, &mask, NULL);
	if (error)
		errno = error;
	return status;
}

/* Streams that popen made, with the shell behind each. */
struct piped {
	struct piped *next;
	FILE *stream;
	pid_t pid;
};

static struct piped *piped_streams;

FILE *popen(const char *command, const char *mode)
{
	char *argv[] = { "sh", "-c", (char *)command, NULL };
	int reading = *mode == 'r', error, pipes[2];
	posix_spawn_file_actions_t actions;
	struct piped *piped;

	if (!reading && *mode != 'w') {
		errno = EINVAL;
		return NULL;
	}
	piped = malloc(sizeof(*piped));
	if (!piped)
		return NULL;
	if (pipe2(pipes, O_CLOEXEC))
		goto free_piped;
	piped->stream = fdopen(pipes[!reading], reading ? "r" : "w");
	if (!piped->stream)
		goto close_pipes;

	posix_spawn_file_actions_init(&actions);
	/* POSIX: the new shell has no stream of an earlier popen open. */
	error = 0;
	for (struct piped *earlier = piped_streams; earlier && !error; earlier = earlier->next)
		error = posix_spawn_file_actions_addclose(&actions, fileno(earlier->stream));
	if (!error)
		error = posix_spawn_file_actions_adddup2(&actions, pipes[reading], reading);
	if (!error)
		error = posix_spawn(&piped->pid, "/bin/sh", &actions, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	close(pipes[reading]);
	if (error) {
		fclose(piped->stream);
		free(piped);
		errno = error;
		return NULL;
	}
	if (!__builtin_strchr(mode, 'e'))
		fcntl(fileno(piped->stream), F_SETFD, 0);
	piped->next = piped_streams;
	piped_streams = piped;
	return piped->stream;

close_pipes:
	close(pipes[0]);
	close(pipes[1]);
free_piped:
	free(piped);
	return NULL;
}

int pclose(FILE *stream)
{
	struct piped **link = &piped_streams, *piped;
	pid_t waited;
	int status;

	while (*link && (*link)->stream != stream)
		link = &(*link)->next;
	piped = *link;
	if (!piped) {
		errno = ECHILD;
		return -1;
	}
	*link = piped->next;
	fclose(stream);
	do
		waited = waitpid(piped->pid, &status, 0);
	while (waited < 0 && errno == EINTR);
	free(piped);
	return waited < 0 ? -1 : status;
}
