// SPDX-License-Identifier: GPL-2.0-only
/*
 * What holds times, or lies elsewhere since times have 64 bits: calendar, stat, utimensat, sleep,
 * locks, timeouts of sockets, rusage.  Prints the same as a guest and natively.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static void show(const char *what, const struct tm *tm)
{
	char text[100];

	strftime(text, sizeof(text), "%F %T %Z %z %j %u", tm);
	printf("%s %s isdst %d\n", what, text, tm->tm_isdst);
}

static void calendar(long long t)
{
	time_t when = t;
	struct tm local, utc;

	localtime_r(&when, &local);
	gmtime_r(&when, &utc);
	show("local", &local);
	show("utc", &utc);
	printf("%lld %lld\n", (long long)mktime(&local), (long long)timegm(&utc));
}

static void status(int fd)
{
	struct stat st;

	printf("fstat %d", fstat(fd, &st));
	printf(" mode %o links %d uid %d gid %d size %lld blocks %lld", (int)st.st_mode, (int)st.st_nlink, (int)st.st_uid,
	       (int)st.st_gid, (long long)st.st_size, (long long)st.st_blocks);
	printf(" %lld.%09ld %lld.%09ld %lld\n", (long long)st.st_atim.tv_sec, st.st_atim.tv_nsec,
	       (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec, (long long)st.st_ino);
}

int main(int argc, char **argv)
{
	const struct timespec times[2] = { { 6000000000, 5 }, { 7000000000, 999999999 } };
	struct timespec pause = { 0, 1000000 };
	struct timeval wait = { 0, 1000 };
	struct flock lock = { .l_type = F_WRLCK, .l_start = 1, .l_len = 5 };
	struct rusage usage;
	struct timeval now;
	socklen_t size = sizeof(wait);
	char byte;
	int fd, s;

	(void)argc;
	printf("time_t %d\n", (int)sizeof(time_t));
	tzset();
	printf("%s %s %ld %d\n", tzname[0], tzname[1], timezone, daylight);
	calendar(0);
	calendar(1700000000);
	calendar(1720000000);
	calendar(5000000000);
	calendar(-1000000000);
	gettimeofday(&now, NULL);
	printf("now %d %d\n", now.tv_sec > 1700000000, now.tv_usec >= 0 && now.tv_usec < 1000000);

	fd = open(argv[1], O_RDWR | O_CREAT, 0600);
	printf("write %d\n", (int)write(fd, "0123456789", 10));
	printf("futimens %d\n", futimens(fd, times));
	status(fd);
	printf("truncate %d\n", ftruncate(fd, 3));
	printf("advise %d\n", posix_fadvise(fd, 0, 3, POSIX_FADV_SEQUENTIAL));
	printf("lock %d\n", fcntl(fd, F_SETLK, &lock));
	lock.l_type = F_WRLCK;
	printf("ask %d", fcntl(fd, F_GETLK, &lock));
	printf(" type %d\n", lock.l_type == F_UNLCK);

	printf("sleep %d\n", nanosleep(&pause, NULL));
	printf("select %d\n", select(0, NULL, NULL, NULL, &wait));
	s = socket(AF_INET, SOCK_DGRAM, 0);
	wait = (struct timeval){ 0, 20000 };
	printf("set %d\n", setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)));
	memset(&wait, 255, sizeof(wait));
	printf("get %d", getsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &wait, &size));
	printf(" %lld %ld\n", (long long)wait.tv_sec, (long)wait.tv_usec);
	printf("recv %d", (int)recv(s, &byte, 1, 0));
	printf(" %d\n", errno == EAGAIN);
	memset(&usage, 255, sizeof(usage));
	printf("rusage %d", getrusage(RUSAGE_SELF, &usage));
	printf(" %d %d %d\n", usage.ru_utime.tv_sec < 100, usage.ru_maxrss > 0, usage.ru_nivcsw >= 0);
	return 0;
}
