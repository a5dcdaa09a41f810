// SPDX-License-Identifier: GPL-2.0-only
/* execve, of itself and of native programs; system, popen, posix_spawn. */

#include <spawn.h>

#include "transcript.h"

extern char **environ;

static const char *self;

static int spawned(char *const argv[], char *const envp[])
{
	pid_t pid = MUST(fork());

	if (!pid) {
		execve(self, argv, envp);
		_exit(100);
	}
	return reap(pid);
}

/* What a program that was executed says about itself. */
static int second(int argc, char **argv)
{
	int environment = 0, fd = atoi(argv[2]);

	while (environ[environment])
		environment++;
	say("second: %d arguments, last \"%s\", %d variables, MARK=%s", argc, argv[argc - 1],
	    environment, getenv("MARK") ? getenv("MARK") : "none");
	say("second: descriptor %s, SIGUSR1 %s, SIGUSR2 %s",
	    fcntl(fd, F_GETFD) == -1 ? error_name(errno) : "open",
	    signal(SIGUSR1, SIG_DFL) == SIG_IGN ? "ignored" : "default",
	    signal(SIGUSR2, SIG_DFL) == SIG_DFL ? "default" : "other");
	return 17;
}

static void nothing(int sig)
{
	(void)sig;
}

static void itself(void)
{
	char number[16], *argv[] = { (char *)self, "second", number, "a b", "", NULL };
	char *envp[] = { "MARK=here", "OTHER=1", NULL };
	int kept = MUST(open("/dev/null", O_RDONLY));
	int closed = MUST(open("/dev/null", O_RDONLY | O_CLOEXEC));

	signal(SIGUSR1, SIG_IGN);
	signal(SIGUSR2, nothing);
	snprintf(number, sizeof(number), "%d", kept);
	say("kept open: %s", ended(spawned(argv, envp)));
	snprintf(number, sizeof(number), "%d", closed);
	argv[4] = "last";
	say("closed: %s", ended(spawned(argv, envp)));
	argv[4] = NULL;
	envp[0] = NULL;
	say("no environment: %s", ended(spawned(argv, envp)));
	signal(SIGUSR1, SIG_DFL);
	signal(SIGUSR2, SIG_DFL);
	close(kept);
	close(closed);
}

static void failures(void)
{
	char *argv[] = { "x", NULL };
	char long_name[5000];

	say("no such file: %s", outcome(execve("/nonexistent", argv, environ)));
	say("a directory: %s", outcome(execve("/tmp", argv, environ)));
	memset(long_name, 'x', sizeof(long_name));
	long_name[sizeof(long_name) - 1] = 0;
	say("a long name: %s", outcome(execve(long_name, argv, environ)));
	say("execvp: %s", outcome(execvp("no-such-program-anywhere", argv)));
}

static void native(void)
{
	pid_t pid = MUST(fork());

	if (!pid) {
		execl("/bin/sh", "sh", "-c", "echo the shell says $0 $1; exit 3", "zero", "one",
		      NULL);
		_exit(100);
	}
	say("sh: %s", ended(reap(pid)));
	pid = MUST(fork());
	if (!pid) {
		execlp("echo", "echo", "found in PATH", NULL);
		_exit(100);
	}
	say("echo: %s", ended(reap(pid)));
}

static void by_system(void)
{
	say("a shell is there: %d", system(NULL) != 0);
	say("system: %s", ended(system("echo from system; exit 5")));
	say("killed: %s", ended(system("kill -9 $$")));
}

static void by_popen(void)
{
	char line[100];
	FILE *stream = popen("echo one; echo two; exit 6", "r"), *other;

	while (fgets(line, sizeof(line), stream))
		say("popen read: %.*s", (int)strlen(line) - 1, line);
	say("pclose: %s", ended(pclose(stream)));

	stream = popen("cat; echo sent all", "w");
	fputs("through a pipe\n", stream);
	say("pclose: %s", ended(pclose(stream)));

	/* The second shell must not hold the first one's pipe open. */
	stream = popen("cat >/dev/null", "w");
	other = popen("cat >/dev/null", "w");
	say("two at a time: %s", ended(pclose(stream)));
	say("two at a time: %s", ended(pclose(other)));
	say("bad mode: %d", popen("true", "x") == NULL);
}

static void by_posix_spawn(void)
{
	char *argv[] = { "sh", "-c", "echo spawned; echo to a file >&3; exit 8", NULL };
	char *simple[] = { "true", NULL };
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	const char *result;
	char text[32];
	sigset_t set;
	pid_t pid;
	int fd, error;

	enter_directory();
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 7, "file", O_WRONLY | O_CREAT, 0600);
	posix_spawn_file_actions_adddup2(&actions, 7, 3);
	posix_spawn_file_actions_addclose(&actions, 7);
	posix_spawnattr_init(&attributes);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	posix_spawnattr_setsigdefault(&attributes, &set);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
	posix_spawnattr_setpgroup(&attributes, 0);
	error = posix_spawn(&pid, "/bin/sh", &actions, &attributes, argv, environ);
	result = ended(reap(pid));
	say("posix_spawn: %s, it %s", error_name(error), result);
	fd = MUST(open("file", O_RDONLY));
	text[MUST(read(fd, text, sizeof(text) - 1))] = 0;
	say("the file has: %.*s", (int)strlen(text) - 1, text);
	close(fd);
	unlink("file");
	leave_directory();
	say("not there: %s", error_name(posix_spawn(&pid, "/nonexistent", NULL, NULL, argv,
						    environ)));
	say("in PATH: %s", error_name(posix_spawnp(&pid, "true", NULL, NULL, simple, environ)));
	reap(pid);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attributes);
}

int main(int argc, char **argv)
{
	self = argv[0];
	if (argc > 2 && !strcmp(argv[1], "second"))
		return second(argc, argv);
	itself();
	failures();
	native();
	by_system();
	by_popen();
	by_posix_spawn();
	say("end");
	return 0;
}
