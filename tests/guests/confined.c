// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a security module lets a process do: confined DIRECTORY, which has two of the same contents,
 * allowed/ and denied/: a file, a native program, a directory. The caller has confined this process.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "transcript.h"

static char place[256];

static const char *at(const char *name)
{
	static char paths[2][512];
	static int turn;
	char *path = paths[turn = !turn];

	snprintf(path, sizeof(paths[0]), "%s/%s", place, name);
	return path;
}

static int opened(const char *path, int flags)
{
	int fd = open(path, flags, 0600), error = errno;

	if (fd >= 0)
		close(fd);
	errno = error;
	return fd;
}

static int executed(const char *path)
{
	int status;
	pid_t pid = MUST(fork());

	if (!pid) {
		execl(path, path, (char *)NULL);
		_exit(errno == EACCES ? 113 : 114);
	}
	MUST(waitpid(pid, &status, 0));
	errno = status == 113 << 8 ? EACCES : EIO;
	return status ? -1 : 0;
}

static void try_files(const char *what)
{
	int directory = open(place, O_RDONLY | O_DIRECTORY);
	struct stat status;
	int fd;

	say("%s: directory: %s", what, outcome(directory));
	say("%s: stat: %s", what, outcome(stat(at("file"), &status)));
	say("%s: read: %s", what, outcome(opened(at("file"), O_RDONLY)));
	say("%s: write: %s", what, outcome(opened(at("file"), O_WRONLY)));
	fd = openat(directory >= 0 ? directory : AT_FDCWD, directory >= 0 ? "file" : at("file"), O_RDWR);
	say("%s: openat: %s", what, outcome(fd));
	say("%s: create: %s", what, outcome(opened(at("new"), O_CREAT | O_EXCL | O_WRONLY)));
	say("%s: mkdir: %s", what, outcome(mkdir(at("made"), 0700)));
	say("%s: rmdir: %s", what, outcome(rmdir(at("directory"))));
	say("%s: symlink: %s", what, outcome(symlink("file", at("link"))));
	say("%s: rename: %s", what, outcome(rename(at("file"), at("renamed"))));
	say("%s: unlink: %s", what, outcome(unlink(at("victim"))));
	say("%s: exec: %s", what, outcome(executed(at("program"))));
}

static void try_network(void)
{
	struct sockaddr_in port = { .sin_family = AF_INET, .sin_port = htons(7081) };
	struct sockaddr_in other = { .sin_family = AF_INET, .sin_port = htons(7082) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	port.sin_addr.s_addr = other.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	say("socket: %s", outcome(fd));
	if (fd < 0)
		return;
	say("bind: %s", outcome(bind(fd, (struct sockaddr *)&port, sizeof(port))));
	say("connect: %s", outcome(connect(fd, (struct sockaddr *)&other, sizeof(other))));
}

int main(int argc, char **argv)
{
	static const char *const places[] = { "allowed", "denied" };
	size_t i;

	(void)argc;
	for (i = 0; i < 2; i++) {
		snprintf(place, sizeof(place), "%s/%s", argv[1], places[i]);
		try_files(places[i]);
	}
	try_network();
	return 0;
}
