// SPDX-License-Identifier: GPL-2.0-only
/* Files and directories. */

#include <dirent.h>
#include <stdint.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/time.h>
#include <sys/uio.h>

#include "transcript.h"

static int create(const char *name, const char *text)
{
	int fd = MUST(open(name, O_CREAT | O_RDWR | O_TRUNC, 0644));

	MUST(write(fd, text, strlen(text)));
	return fd;
}

static void opening(void)
{
	char text[32];
	int fd;

	umask(022);
	fd = MUST(open("a", O_CREAT | O_EXCL | O_RDWR, 0666));
	say("exclusive: %s", outcome(open("a", O_CREAT | O_EXCL | O_RDWR, 0666)));
	MUST(write(fd, "0123456789", 10));
	close(fd);
	say("closed: %s", outcome(write(fd, "x", 1)));
	fd = MUST(open("a", O_WRONLY | O_APPEND));
	MUST(lseek(fd, 0, SEEK_SET));
	MUST(write(fd, "AB", 2));
	say("appended at: %ld", MUST(lseek(fd, 0, SEEK_CUR)));
	say("write only: %s", outcome(read(fd, text, 1)));
	close(fd);
	fd = MUST(open("a", O_RDONLY));
	text[MUST(read(fd, text, sizeof(text)))] = 0;
	say("read: %s", text);
	say("read only: %s", outcome(write(fd, "x", 1)));
	close(fd);
	fd = MUST(open("a", O_RDWR | O_TRUNC));
	say("truncated: %ld", MUST(lseek(fd, 0, SEEK_END)));
	close(fd);
	say("missing: %s", outcome(open("missing", O_RDONLY)));
	say("below a file: %s", outcome(open("a/b", O_RDONLY)));
	say("a directory: %s", outcome(open(".", O_WRONLY)));
	say("no directory: %s", outcome(open("a", O_RDONLY | O_DIRECTORY)));
	unlink("a");
}

static void positions(void)
{
	int fd = create("p", "abcdefghij"), copy;
	struct iovec parts[3];
	char one[4] = "", two[4] = "", three[8] = "";

	MUST(pwrite(fd, "XY", 2, 3));
	MUST(pread(fd, one, 3, 2));
	say("pread: %s, at %ld", one, MUST(lseek(fd, 0, SEEK_CUR)));
	MUST(lseek(fd, -4, SEEK_END));
	copy = MUST(dup(fd));
	MUST(read(copy, two, 2));
	say("shared position: %s %ld", two, MUST(lseek(fd, 0, SEEK_CUR)));
	close(copy);
	say("before the start: %s", outcome(lseek(fd, -1, SEEK_SET)));

	MUST(lseek(fd, 0, SEEK_SET));
	parts[0] = (struct iovec){ one, 2 };
	parts[1] = (struct iovec){ two, 0 };
	parts[2] = (struct iovec){ three, 6 };
	memset(one, 0, sizeof(one));
	say("readv: %ld", MUST(readv(fd, parts, 3)));
	say("parts: %s %s", one, three);
	MUST(lseek(fd, 0, SEEK_SET));
	say("writev: %ld", MUST(writev(fd, parts, 3)));

	/* More than 32 bits. */
	MUST(pwrite(fd, "far", 3, 0x123456789LL));
	say("far: %d", lseek(fd, 0, SEEK_END) == 0x12345678cLL);
	say("there: %d", lseek(fd, 0x100000000LL, SEEK_SET) == 0x100000000LL);
	memset(one, 0, sizeof(one));
	MUST(pread(fd, one, 3, 0x123456789LL));
	say("read back: %s", one);
	MUST(ftruncate(fd, 0x100000001LL));
	say("truncated: %d", lseek(fd, 0, SEEK_END) == 0x100000001LL);
	close(fd);
	unlink("p");
}

static void attributes(void)
{
	struct timespec times[2] = { { 1000000000, 123456789 }, { 1100000000, 987654321 } };
	struct stat status, link_status;
	struct statvfs system;
	int fd = create("s", "12345");

	MUST(fchmod(fd, 0640));
	MUST(futimens(fd, times));
	MUST(fstat(fd, &status));
	say("mode %o, size %d, links %d, own %d", (int)status.st_mode, (int)status.st_size,
	    (int)status.st_nlink, status.st_uid == geteuid());
	say("times: %ld.%09ld %ld.%09ld", (long)status.st_atim.tv_sec, status.st_atim.tv_nsec,
	    (long)status.st_mtim.tv_sec, status.st_mtim.tv_nsec);
	say("blocks: %d %d", status.st_blksize >= 512, status.st_blocks >= 0);
	MUST(link("s", "hard"));
	MUST(symlink("s", "soft"));
	MUST(stat("soft", &status));
	MUST(lstat("soft", &link_status));
	say("links: %d, same file %d, symbolic %d, its size %d", (int)status.st_nlink,
	    status.st_ino != link_status.st_ino, S_ISLNK(link_status.st_mode),
	    (int)link_status.st_size);
	MUST(chmod("s", 04711));
	MUST(stat("hard", &status));
	say("mode %o", (int)status.st_mode & 07777);
	say("access: %s %s", outcome(access("s", R_OK)), outcome(access("none", F_OK)));
	MUST(stat("/dev/null", &status));
	say("/dev/null: %d, device %x", S_ISCHR(status.st_mode), (int)status.st_rdev);
	MUST(statvfs(".", &system));
	say("statvfs: %d %d", system.f_bsize >= 512, system.f_blocks >= system.f_bfree);
	close(fd);
	unlink("hard");
	unlink("soft");
	unlink("s");
}

static void naming(void)
{
	char text[64], where[300];
	int directory;

	close(create("old", "x"));
	MUST(rename("old", "new"));
	say("renamed: %s %s", outcome(access("old", F_OK)), outcome(access("new", F_OK)));
	MUST(symlink("new", "link"));
	text[MUST(readlink("link", text, sizeof(text)))] = 0;
	say("readlink: %s", text);
	say("not a link: %s", outcome(readlink("new", text, sizeof(text))));
	MUST(mkdir("d", 0755));
	say("twice: %s", outcome(mkdir("d", 0755)));
	MUST(rename("new", "d/inside"));
	say("not empty: %s", outcome(rmdir("d")));
	directory = MUST(open("d", O_RDONLY | O_DIRECTORY));
	say("openat: %s", outcome(faccessat(directory, "inside", R_OK, 0)));
	MUST(mkdirat(directory, "deeper", 0700));
	MUST(unlinkat(directory, "deeper", AT_REMOVEDIR));
	MUST(fchdir(directory));
	MUST(chdir(".."));
	say("where: %d", getcwd(where, sizeof(where)) && !strcmp(where, work_directory));
	say("small: %s", getcwd(where, 2) ? "ok" : error_name(errno));
	MUST(unlinkat(directory, "inside", 0));
	close(directory);
	MUST(rmdir("d"));
	say("a loop: %s", outcome(symlink("loop", "loop")));
	say("followed: %s", outcome(open("loop", O_RDONLY)));
	unlink("loop");
	unlink("link");
}

static int by_name(const struct dirent **one, const struct dirent **other)
{
	return strcmp((*one)->d_name, (*other)->d_name);
}

static void directories(void)
{
	struct dirent **list, *entry;
	int count = 0;
	char name[64];
	DIR *directory;

	for (int i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "entry-with-a-rather-long-name-%03d", i);
		close(create(name, ""));
	}
	directory = opendir(".");
	while ((entry = readdir(directory)))
		count++;
	say("entries: %d", count);
	rewinddir(directory);
	say("again: %d", readdir(directory) != NULL);
	closedir(directory);
	count = scandir(".", &list, NULL, by_name);
	say("sorted: %s %s %s, type right %d", list[0]->d_name, list[2]->d_name,
	    list[count - 1]->d_name, list[count - 1]->d_type == DT_REG);
	for (int i = 0; i < count; i++) {
		unlink(list[i]->d_name);
		free(list[i]);
	}
	free(list);
	say("no directory: %s", opendir("nowhere") ? "ok" : error_name(errno));
}

static void locking(void)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 10,
			      .l_len = 5 };
	int fd = create("l", "0123456789abcdef"), other;
	pid_t pid;

	MUST(fcntl(fd, F_SETLK, &lock));
	pid = MUST(fork());
	if (!pid) {
		struct flock seen = { .l_type = F_RDLCK, .l_whence = SEEK_SET, .l_len = 100 };

		MUST(fcntl(fd, F_GETLK, &seen));
		say("locked: %d by the parent %d, %d bytes at %d", seen.l_type == F_WRLCK,
		    seen.l_pid == getppid(), (int)seen.l_len, (int)seen.l_start);
		say("conflict: %s", outcome(fcntl(fd, F_SETLK, &lock)));
		lock.l_start = 0;
		say("elsewhere: %s", outcome(fcntl(fd, F_SETLK, &lock)));
		_exit(0);
	}
	reap(pid);
	lock.l_type = F_UNLCK;
	MUST(fcntl(fd, F_SETLK, &lock));

	MUST(flock(fd, LOCK_EX));
	other = MUST(open("l", O_RDWR));
	say("flock: %s", outcome(flock(other, LOCK_EX | LOCK_NB)));
	MUST(flock(fd, LOCK_UN));
	say("after unlocking: %s", outcome(flock(other, LOCK_EX | LOCK_NB)));
	close(other);
	close(fd);
	unlink("l");
}

static void descriptors(void)
{
	int pipes[2], copy;
	char byte;

	MUST(pipe2(pipes, O_CLOEXEC | O_NONBLOCK));
	say("flags: %d %d", fcntl(pipes[0], F_GETFD) == FD_CLOEXEC,
	    !!(fcntl(pipes[0], F_GETFL) & O_NONBLOCK));
	say("empty: %s", outcome(read(pipes[0], &byte, 1)));
	copy = MUST(dup2(pipes[1], 77));
	say("dup2: %d, flags %d", copy, fcntl(copy, F_GETFD));
	say("onto itself: %ld", MUST(dup2(copy, copy)));
	say("from nothing: %s", outcome(dup2(555, 5)));
	MUST(dup3(copy, 78, O_CLOEXEC));
	say("dup3: %d", fcntl(78, F_GETFD) == FD_CLOEXEC);
	say("from: %d", fcntl(copy, F_DUPFD, 200) >= 200);
	MUST(write(78, "y", 1));
	MUST(read(pipes[0], &byte, 1));
	say("through: %c", byte);
	say("no seeking: %s", outcome(lseek(pipes[0], 0, SEEK_SET)));
	say("a terminal: %d", isatty(pipes[0]));
	close(200);
}

static void streams(void)
{
	FILE *stream = fopen("f", "w+");
	char line[64];
	int number;

	fprintf(stream, "%d %s %.3f %5x %lld\n", 42, "text", 3.14159, 255, 1LL << 40);
	fputs("second line\n", stream);
	rewind(stream);
	fgets(line, sizeof(line), stream);
	say("line: %.*s", (int)strlen(line) - 1, line);
	say("at: %ld", ftell(stream));
	fseek(stream, 0, SEEK_SET);
	say("scanned: %d", fscanf(stream, "%d %s", &number, line));
	say("%d %s", number, line);
	fclose(stream);
	stream = fopen("f", "a");
	fputs("third\n", stream);
	fclose(stream);
	stream = fopen("f", "r");
	number = 0;
	while (fgets(line, sizeof(line), stream))
		number++;
	say("lines: %d, end: %d", number, !!feof(stream));
	fclose(stream);
	say("missing: %s", fopen("nothing", "r") ? "ok" : error_name(errno));
	unlink("f");
}

int main(void)
{
	enter_directory();
	opening();
	positions();
	attributes();
	naming();
	directories();
	locking();
	descriptors();
	streams();
	leave_directory();
	say("end");
	return 0;
}
