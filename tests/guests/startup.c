// SPDX-License-Identifier: GPL-2.0-only
/* What a program is given, and how it ends: arguments, environment, atexit, exit. */

#include "transcript.h"

extern char **environ;

static void first(void)
{
	say("registered first");
}

static void second(void)
{
	say("registered second");
}

__attribute__((constructor)) static void before_main(void)
{
	say("before main");
}

__attribute__((destructor)) static void after_main(void)
{
	say("after main");
}

static int compare(const void *one, const void *other)
{
	return strcmp(*(char *const *)one, *(char *const *)other);
}

/* `confined DIRECTORY PROGRAM ARGUMENT...`: become PROGRAM as nobody, with DIRECTORY as root. */
static void confined(char **argv)
{
	if (chroot(argv[0]) || chdir("/") || setgid(65534) || setuid(65534))
		say("confined: %s", strerror(errno));
	else
		execv(argv[1], argv + 1);
	say("execv: %s", strerror(errno));
	_exit(1);
}

/* Arguments: how to end (return, exit, _exit, abort, confined) and the status. */
int main(int argc, char **argv)
{
	const char *how = argc > 1 ? argv[1] : "return";
	int status = argc > 2 ? atoi(argv[2]) : 0, count = 0;

	if (argc > 3 && !strcmp(how, "confined"))
		confined(argv + 2);
	for (int i = 1; i < argc; i++)
		say("argument %d: %s", i, argv[i]);
	say("ends with a null: %d", argv[argc] == NULL);
	while (environ[count])
		count++;
	qsort(environ, count, sizeof(*environ), compare);
	for (int i = 0; i < count; i++)
		if (!strncmp(environ[i], "WJ_", 3))
			say("environment: %s", environ[i]);
	setenv("WJ_NEW", "set here", 1);
	say("setenv: %s", getenv("WJ_NEW"));
	atexit(first);
	atexit(second);
	/* Whatever the buffering: without a newline this waits for exit(). */
	printf("flushed at the end");
	if (!strcmp(how, "_exit"))
		_exit(status);
	if (!strcmp(how, "abort"))
		abort();
	if (!strcmp(how, "exit"))
		exit(status);
	return status;
}
