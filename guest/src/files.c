// SPDX-License-Identifier: GPL-2.0-only
/* Files: what Linux has and Emscripten's libc does not. */

#include <fcntl.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/sendfile.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "wjposix.h"

/* Emscripten calls every character device a terminal. */
int isatty(int fd)
{
	struct winsize size;

	if (!ioctl(fd, TIOCGWINSZ, &size))
		return 1;
	if (errno != EBADF)
		errno = ENOTTY;
	return 0;
}

int flock(int fd, int operation)
{
	return wj_result(wj_host_syscall_flock(fd, operation));
}

ssize_t sendfile(int out_fd, int in_fd, off_t *offset, size_t count)
{
	return wj_result(wj_host_syscall_sendfile64(out_fd, in_fd, P(offset), count));
}

ssize_t splice(int in_fd, off_t *in_offset, int out_fd, off_t *out_offset, size_t length,
	       unsigned int flags)
{
	return wj_result(wj_host_syscall_splice(in_fd, P(in_offset), out_fd, P(out_offset),
						length, flags));
}

ssize_t copy_file_range(int in_fd, off_t *in_offset, int out_fd, off_t *out_offset,
			size_t length, unsigned int flags)
{
	return wj_result(wj_host_syscall_copy_file_range(in_fd, P(in_offset), out_fd,
							 P(out_offset), length, flags));
}

int memfd_create(const char *name, unsigned int flags)
{
	return wj_result(wj_host_syscall_memfd_create(P(name), flags));
}

int fallocate(int fd, int mode, off_t offset, off_t length)
{
	extern int __syscall_fallocate(int, int, int, int, int, int);

	return wj_result(__syscall_fallocate(fd, mode, (int)offset, (int)(offset >> 32),
					     (int)length, (int)(length >> 32)));
}

ssize_t getrandom(void *buffer, size_t length, unsigned int flags)
{
	return wj_result(wj_host_syscall_getrandom(P(buffer), length, flags));
}

int getentropy(void *buffer, size_t length)
{
	char *next = buffer;

	if (length > 256) {
		errno = EIO;
		return -1;
	}
	while (length) {
		ssize_t got = getrandom(next, length, 0);

		if (got < 0 && errno != EINTR)
			return -1;
		if (got > 0) {
			next += got;
			length -= got;
		}
	}
	return 0;
}

int sysinfo(struct sysinfo *info)
{
	return wj_result(wj_host_syscall_sysinfo(P(info)));
}

int getloadavg(double *averages, int count)
{
	struct sysinfo info;

	if (sysinfo(&info))
		return -1;
	if (count > 3)
		count = 3;
	for (int i = 0; i < count; i++)
		averages[i] = info.loads[i] / 65536.0;
	return count;
}
