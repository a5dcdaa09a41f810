// SPDX-License-Identifier: GPL-2.0-only
/* Descriptors of any number: where the host has some of its own, it makes room. */

#include "transcript.h"

#define LOW 50
#define HIGH 80

static int null, pipes[2];
static volatile int replaced;

/* Afterwards all these numbers are the guest's, whoever had them. */
static void take(int from, int to)
{
	for (int fd = from; fd < to; fd++)
		replaced += dup2(null, fd) == fd;
}

static void release(int from, int to)
{
	int closed = 0;

	for (int fd = from; fd < to; fd++)
		closed += !close(fd);
	say("closed %d", closed);
}

static void on_signal(int sig)
{
	(void)sig;
	take(LOW, HIGH);
	MUST(write(pipes[1], "x", 1));
}

/* As soon as it sleeps: in the read that the signal interrupts. */
static void wake(pid_t pid)
{
	char name[64], text[512], *state;
	ssize_t n;

	snprintf(name, sizeof(name), "/proc/%d/stat", (int)pid);
	do {
		int fd = MUST(open(name, O_RDONLY));

		n = MUST(read(fd, text, sizeof(text) - 1));
		text[n] = 0;
		state = strrchr(text, ')');
		close(fd);
	} while (!state || state[2] != 'S');
	MUST(kill(pid, SIGUSR1));
	_exit(0);
}

static void in_a_handler(void)
{
	struct sigaction action;
	pid_t parent = getpid(), child;
	char byte = 0;
	ssize_t n;

	memset(&action, 0, sizeof(action));
	action.sa_handler = on_signal;
	action.sa_flags = SA_RESTART;
	MUST(sigaction(SIGUSR1, &action, NULL));
	MUST(pipe(pipes));
	child = MUST(fork());
	if (!child)
		wake(parent);
	n = read(pipes[0], &byte, 1);
	say("handler: read %d, %c, replaced %d, child %s", (int)n, byte, replaced, ended(reap(child)));
}

int main(int argc, char **argv)
{
	pid_t child;

	if (argc > 1) {
		say("executed: 50 %s, 79 %s", outcome(fcntl(LOW, F_GETFD)), outcome(fcntl(HIGH - 1, F_GETFD)));
		return 0;
	}
	null = MUST(open("/dev/null", O_RDWR));
	in_a_handler();
	release(LOW, HIGH);
	replaced = 0;
	take(LOW, HIGH);
	take(LOW, HIGH);
	say("replaced %d", replaced);
	say("not open: %s", outcome(dup2(HIGH, LOW)));
	child = MUST(fork());
	if (!child) {
		release(LOW, HIGH);
		replaced = 0;
		take(HIGH, HIGH + 30);
		say("child: replaced %d", replaced);
		_exit(3);
	}
	say("child %s", ended(reap(child)));
	MUST(execl(argv[0], argv[0], "executed", NULL));
	return 1;
}
