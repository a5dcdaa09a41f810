// SPDX-License-Identifier: GPL-2.0-only
/* Files and sockets for the host layer's libraries; see wj_hostio.h. */
#include "wj_hostio.h"
#include "process.h"

/* Where things lie in the part of the scratch area that is ours. */
#define AT_PATH			0
#define PATH_SIZE		4096
#define AT_SMALL		4096	/* up to 1 KiB: addresses, times, ... */
#define AT_SMALL2		5120
#define AT_DATA			8192

static_assert(AT_DATA + WJ_IO_MAX <= WJ_SCRATCH_FIXED, "the scratch area is too small");

#define LINUX_AT_FDCWD		(-100)
#define LINUX_AT_EMPTY_PATH	0x1000
#define LINUX_O_FLAGS		(02000000 | 04000 | 0400) /* CLOEXEC, NONBLOCK, NOCTTY */
#define LINUX_SOCK_FLAGS	(02000000 | 04000)	/* CLOEXEC, NONBLOCK */
#define LINUX_SEEK_SET		0
#define LINUX_MSG_TRUNC		0x20
#define LINUX_MSG_NOSIGNAL	0x4000
#define LINUX_SOL_SOCKET	1
#define LINUX_SO_ERROR		4
#define LINUX_SIOCGIFNAME	0x8910
#define LINUX_SIOCGIFINDEX	0x8933
#define LINUX_S_IFMT		0170000
#define LINUX_S_IFREG		0100000
#define LINUX_STATX_BASIC	0x7ff

#define CHUNK_SIZE		8192
#define NS			1000000000ull

/*
 * The system call, unless a signal handler ended the guest or jumped out of it: then all that
 * is left to do is to close what is open.
 */
static long call(struct wj_process *p, int nr, u64 a, u64 b, u64 c, u64 d, u64 e)
{
	if (p->unwind && nr != __NR_close)
		return -EINTR;
	return wj_sys(p, nr, a, b, c, d, e, 0);
}

static u64 fd_arg(int fd)
{
	return (u64)(s64)fd;
}

static u32 get_u32(const u8 *p)
{
	u32 v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static u64 get_u64(const u8 *p)
{
	u64 v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static int put_path(struct wj_process *p, const char *path)
{
	size_t n = strlen(path) + 1;

	if (n > PATH_SIZE)
		return -ENAMETOOLONG;
	return wj_copy_to_user(wj_scratch(p) + AT_PATH, path, n);
}

bool wj_file_id_same(const struct wj_file_id *a, const struct wj_file_id *b)
{
	return a->device == b->device && a->inode == b->inode && a->size == b->size &&
	       a->mtime == b->mtime && a->ctime == b->ctime;
}

/* struct statx is the same everywhere, which struct stat is not. */
#define STATX_SIZE		256
#define STATX_MODE		28
#define STATX_INO		32
#define STATX_SIZE_FIELD	40
#define STATX_CTIME		96
#define STATX_MTIME		112
#define STATX_DEV		136

static s64 statx_time(const u8 *p)
{
	s64 ns;

	/* A file's time may be any number. */
	if (__builtin_mul_overflow((s64)get_u64(p), (s64)NS, &ns) ||
	    __builtin_add_overflow(ns, (s64)get_u32(p + 8), &ns))
		return 0;
	return ns;
}

/* Of the path in the scratch area, relative to fd. */
static int stat_scratch(struct wj_process *p, int fd, int flags, struct wj_file_id *ret)
{
	u8 buf[STATX_SIZE];
	u16 mode;
	long r;

	r = call(p, __NR_statx, fd_arg(fd), wj_scratch(p) + AT_PATH, (u64)flags,
		 LINUX_STATX_BASIC, wj_scratch(p) + AT_SMALL);
	if (r < 0)
		return (int)r;
	if (wj_copy_from_user(buf, wj_scratch(p) + AT_SMALL, sizeof(buf)))
		return -EFAULT;
	memcpy(&mode, buf + STATX_MODE, sizeof(mode));
	if ((mode & LINUX_S_IFMT) != LINUX_S_IFREG)
		return -EINVAL;
	ret->device = get_u64(buf + STATX_DEV);
	ret->inode = get_u64(buf + STATX_INO);
	ret->size = get_u64(buf + STATX_SIZE_FIELD);
	ret->mtime = statx_time(buf + STATX_MTIME);
	ret->ctime = statx_time(buf + STATX_CTIME);
	return 0;
}

int wj_file_stat(struct wj_process *p, const char *path, struct wj_file_id *ret)
{
	int err = put_path(p, path);

	return err ? err : stat_scratch(p, LINUX_AT_FDCWD, 0, ret);
}

/* Opens a regular file: never a FIFO that would block or a device that would act. */
static int open_regular(struct wj_process *p, const char *path, struct wj_file_id *id)
{
	int err = wj_file_stat(p, path, id);
	long fd;

	if (err)
		return err;
	err = put_path(p, path);
	if (err)
		return err;
	fd = call(p, __NR_openat, fd_arg(LINUX_AT_FDCWD), wj_scratch(p) + AT_PATH,
		  LINUX_O_FLAGS, 0, 0);
	if (fd < 0)
		return (int)fd;
	/* It may be another file by now. */
	err = put_path(p, "");
	if (!err)
		err = stat_scratch(p, (int)fd, LINUX_AT_EMPTY_PATH, id);
	if (err) {
		wj_close(p, (int)fd);
		return err;
	}
	return (int)fd;
}

static long read_fd(struct wj_process *p, int fd, void *dst, size_t size)
{
	long n;

	if (size > WJ_IO_MAX)
		size = WJ_IO_MAX;
	n = call(p, __NR_read, fd_arg(fd), wj_scratch(p) + AT_DATA, size, 0, 0);
	if (n <= 0)
		return n;
	if ((size_t)n > size)
		return -EIO;
	if (wj_copy_from_user(dst, wj_scratch(p) + AT_DATA, (size_t)n))
		return -EFAULT;
	return n;
}

int wj_file_read(struct wj_process *p, const char *path, size_t max, u8 **data, size_t *size,
		 struct wj_file_id *id)
{
	size_t have = 0;
	u8 *buf = NULL;
	long n = 0;
	int fd = open_regular(p, path, id);

	if (fd < 0)
		return fd;
	if (id->size > max) {
		wj_close(p, fd);
		return -EFBIG;
	}
	buf = wj_alloc((size_t)id->size + 1);
	if (!buf) {
		wj_close(p, fd);
		return -ENOMEM;
	}
	while (have < id->size) {
		n = read_fd(p, fd, buf + have, (size_t)id->size - have);
		if (n <= 0)
			break;
		have += (size_t)n;
	}
	wj_close(p, fd);
	if (n < 0) {
		wj_free(buf);
		return (int)n;
	}
	*data = buf;
	*size = have;
	return 0;
}

int wj_lines_open(struct wj_lines *lines, struct wj_process *p, const char *path, u64 offset,
		  u64 limit)
{
	struct wj_file_id id;
	long r;

	memset(lines, 0, sizeof(*lines));
	lines->p = p;
	lines->limit = limit;
	lines->offset = offset;
	lines->chunk = wj_alloc(CHUNK_SIZE);
	if (!lines->chunk)
		return -ENOMEM;
	lines->fd = open_regular(p, path, &id);
	if (lines->fd < 0) {
		wj_free(lines->chunk);
		return lines->fd;
	}
	if (!offset)
		return 0;
	r = call(p, __NR_lseek, fd_arg(lines->fd), offset, LINUX_SEEK_SET, 0, 0);
	if (r < 0) {
		wj_lines_close(lines);
		return (int)r;
	}
	return 0;
}

void wj_lines_close(struct wj_lines *lines)
{
	wj_close(lines->p, lines->fd);
	wj_free(lines->line);
	wj_free(lines->chunk);
	memset(lines, 0, sizeof(*lines));
	lines->fd = -1;
}

static int fill_chunk(struct wj_lines *lines)
{
	size_t want = CHUNK_SIZE;
	long n;

	if (want > lines->limit)
		want = (size_t)lines->limit;
	n = want ? read_fd(lines->p, lines->fd, lines->chunk, want) : 0;
	if (n < 0)
		return (int)n;
	lines->eof = !n;
	lines->limit -= (u64)n;
	lines->chunk_size = (size_t)n;
	lines->chunk_pos = 0;
	return 0;
}

/* Appends to the line that is being put together, with room for a NUL. */
static int append_line(struct wj_lines *lines, size_t have, const char *text, size_t n)
{
	size_t want = have + n + 1;

	if (want > WJ_LINE_MAX + 1) {
		lines->skip = true;
		return 0;
	}
	if (want > lines->line_size) {
		size_t size = lines->line_size ? lines->line_size : 256;
		char *bigger;

		while (size < want)
			size *= 2;
		bigger = wj_alloc(size);
		if (!bigger)
			return -ENOMEM;
		memcpy(bigger, lines->line ? lines->line : "", have);
		wj_free(lines->line);
		lines->line = bigger;
		lines->line_size = size;
	}
	memcpy(lines->line + have, text, n);
	lines->line[have + n] = 0;
	return 0;
}

int wj_lines_next(struct wj_lines *lines, char **line, size_t *size)
{
	size_t have = 0;
	bool any = false;

	lines->skip = false;
	/* Ends: each turn takes at least one byte of at most `limit`, or is the last. */
	for (;;) {
		size_t i = lines->chunk_pos;
		size_t n;
		bool newline = false;
		int err;

		if (i == lines->chunk_size) {
			err = lines->eof ? 0 : fill_chunk(lines);
			if (err)
				return err;
			if (lines->eof)
				break;
			i = 0;
		}
		while (i < lines->chunk_size && !newline) {
			newline = lines->chunk[i] == '\n';
			lines->skip |= !lines->chunk[i];
			i++;
		}
		n = i - lines->chunk_pos - newline;
		any = true;
		if (!lines->skip) {
			err = append_line(lines, have, lines->chunk + lines->chunk_pos, n);
			if (err)
				return err;
			have += n;
		}
		lines->offset += i - lines->chunk_pos;
		lines->chunk_pos = i;
		if (!newline)
			continue;
		if (!lines->skip)
			break;
		lines->skip = false;
		any = false;
		have = 0;
	}
	if (!any || lines->skip)
		return 0;
	*line = lines->line;
	*size = have;
	return 1;
}

int wj_now(struct wj_process *p, bool coarse, u64 *ret)
{
	u64 at = wj_scratch(p) + AT_SMALL;
	u8 buf[16];
	long r = call(p, __NR_clock_gettime, coarse ? 6 : 1, at, 0, 0, 0);

	if (r < 0)
		return (int)r;
	if (wj_copy_from_user(buf, at, sizeof(buf)))
		return -EFAULT;
	*ret = get_u64(buf) * NS + get_u64(buf + 8);
	return 0;
}

int wj_random_bytes(struct wj_process *p, void *dst, size_t size)
{
	u64 at = wj_scratch(p) + AT_SMALL;
	long r;

	if (size > 64)
		return -EINVAL;
	r = call(p, __NR_getrandom, at, size, 0, 0, 0);
	if (r < 0)
		return (int)r;
	if ((size_t)r != size)
		return -EIO;
	return wj_copy_from_user(dst, at, size);
}

size_t wj_address_encode(const struct wj_address *address, u8 buf[WJ_SOCKADDR_MAX])
{
	memset(buf, 0, WJ_SOCKADDR_MAX);
	memcpy(buf, &address->family, 2);
	buf[2] = (u8)(address->port >> 8);
	buf[3] = (u8)address->port;
	if (address->family == WJ_AF_INET) {
		memcpy(buf + 4, address->ip, 4);
		return 16;
	}
	memcpy(buf + 8, address->ip, 16);
	memcpy(buf + 24, &address->scope, 4);
	return 28;
}

bool wj_address_decode(const u8 *buf, size_t size, struct wj_address *ret)
{
	memset(ret, 0, sizeof(*ret));
	if (size < 16)
		return false;
	memcpy(&ret->family, buf, 2);
	ret->port = (u16)(buf[2] << 8 | buf[3]);
	if (ret->family == WJ_AF_INET) {
		memcpy(ret->ip, buf + 4, 4);
		return true;
	}
	if (ret->family != WJ_AF_INET6 || size < 28)
		return false;
	memcpy(ret->ip, buf + 8, 16);
	memcpy(&ret->scope, buf + 24, 4);
	return true;
}

long wj_socket(struct wj_process *p, int family, int type, int protocol)
{
	return call(p, __NR_socket, (u64)family, (u64)(type | LINUX_SOCK_FLAGS), (u64)protocol,
		    0, 0);
}

void wj_close(struct wj_process *p, int fd)
{
	/* Whatever it returns, the descriptor is gone. */
	if (fd >= 0)
		call(p, __NR_close, fd_arg(fd), 0, 0, 0, 0);
}

long wj_connect(struct wj_process *p, int fd, const struct wj_address *to)
{
	u8 buf[WJ_SOCKADDR_MAX];
	size_t size = wj_address_encode(to, buf);
	u64 at = wj_scratch(p) + AT_SMALL;

	if (wj_copy_to_user(at, buf, size))
		return -EFAULT;
	return call(p, __NR_connect, fd_arg(fd), at, size, 0, 0);
}

int wj_socket_name(struct wj_process *p, int fd, struct wj_address *ret)
{
	u64 at = wj_scratch(p) + AT_SMALL, size_at = wj_scratch(p) + AT_SMALL2;
	u8 buf[WJ_SOCKADDR_MAX] = { 0 };
	u32 size = sizeof(buf);
	long r;

	if (wj_copy_to_user(size_at, &size, sizeof(size)))
		return -EFAULT;
	r = call(p, __NR_getsockname, fd_arg(fd), at, size_at, 0, 0);
	if (r < 0)
		return (int)r;
	if (wj_copy_from_user(&size, size_at, sizeof(size)))
		return -EFAULT;
	if (size > sizeof(buf))
		return -EINVAL;
	if (wj_copy_from_user(buf, at, size))
		return -EFAULT;
	return wj_address_decode(buf, size, ret) ? 0 : -EINVAL;
}

int wj_socket_error(struct wj_process *p, int fd)
{
	u64 at = wj_scratch(p) + AT_SMALL, size_at = wj_scratch(p) + AT_SMALL2;
	u32 size = 4;
	s32 value;
	long r;

	if (wj_copy_to_user(size_at, &size, sizeof(size)))
		return -EFAULT;
	r = call(p, __NR_getsockopt, fd_arg(fd), LINUX_SOL_SOCKET, LINUX_SO_ERROR, at, size_at);
	if (r < 0)
		return (int)r;
	if (wj_copy_from_user(&value, at, sizeof(value)))
		return -EFAULT;
	return value < 0 || value > 4095 ? -EINVAL : -value;
}

long wj_send(struct wj_process *p, int fd, const void *data, size_t size)
{
	u64 at = wj_scratch(p) + AT_DATA;

	if (size > WJ_IO_MAX)
		return -EMSGSIZE;
	if (wj_copy_to_user(at, data, size))
		return -EFAULT;
	return call(p, __NR_sendto, fd_arg(fd), at, size, LINUX_MSG_NOSIGNAL, 0);
}

static long receive(struct wj_process *p, int fd, void *data, size_t size, int flags)
{
	u64 at = wj_scratch(p) + AT_DATA;
	long n;

	if (size > WJ_IO_MAX)
		size = WJ_IO_MAX;
	n = call(p, __NR_recvfrom, fd_arg(fd), at, size, (u64)flags, 0);
	if (n <= 0)
		return n;
	if (wj_copy_from_user(data, at, wj_min_size((size_t)n, size)))
		return -EFAULT;
	return n;
}

long wj_receive_datagram(struct wj_process *p, int fd, void *data, size_t size)
{
	return receive(p, fd, data, size, LINUX_MSG_TRUNC);
}

long wj_receive_stream(struct wj_process *p, int fd, void *data, size_t size)
{
	/* On a stream MSG_TRUNC would throw the data away. */
	return receive(p, fd, data, size, 0);
}

long wj_poll_fds(struct wj_process *p, struct wj_poll_fd *fds, u32 count, u64 timeout_ns)
{
	u64 at = wj_scratch(p) + AT_SMALL, time_at = wj_scratch(p) + AT_SMALL2;
	u8 buf[WJ_POLL_MAX * 8];
	u64 time[2];
	long ready;
	u32 i;

	if (count > WJ_POLL_MAX)
		return -EINVAL;
	memset(buf, 0, sizeof(buf));
	for (i = 0; i < count; i++) {
		memcpy(buf + i * 8, &fds[i].fd, 4);
		memcpy(buf + i * 8 + 4, &fds[i].events, 2);
		fds[i].ready = 0;
	}
	time[0] = timeout_ns / NS;
	time[1] = timeout_ns % NS;
	if (wj_copy_to_user(at, buf, count * 8) ||
	    wj_copy_to_user(time_at, time, sizeof(time)))
		return -EFAULT;
	ready = call(p, __NR_ppoll, at, count, time_at, 0, 8);
	/*
	 * A handler has run, or will at the next call.  To start the lookup again, as for other
	 * calls, would never end where signals come faster than answers.
	 */
	if (ready == -EINTR && !p->unwind)
		return 0;
	if (ready <= 0)
		return ready;
	if (wj_copy_from_user(buf, at, count * 8))
		return -EFAULT;
	for (i = 0; i < count; i++)
		if (fds[i].fd >= 0)
			memcpy(&fds[i].ready, buf + i * 8 + 6, 2);
	return ready;
}

/* One of the ioctls that take a struct ifreq: 16 bytes of name, then an int. */
#define IFREQ_SIZE		40

static int interface_ioctl(struct wj_process *p, u32 request, u8 ifreq[IFREQ_SIZE])
{
	u64 at = wj_scratch(p) + AT_SMALL;
	long fd, r;

	fd = wj_socket(p, WJ_AF_INET, WJ_SOCK_DGRAM, 0);
	if (fd < 0 && !wj_is_restart(fd))
		fd = wj_socket(p, WJ_AF_INET6, WJ_SOCK_DGRAM, 0);
	if (fd < 0)
		return (int)fd;
	r = wj_copy_to_user(at, ifreq, IFREQ_SIZE);
	if (!r)
		r = call(p, __NR_ioctl, fd_arg((int)fd), request, at, 0, 0);
	if (!r)
		r = wj_copy_from_user(ifreq, at, IFREQ_SIZE);
	wj_close(p, (int)fd);
	return r < 0 ? (int)r : 0;
}

int wj_interface_index(struct wj_process *p, struct wj_str name, u32 *ret)
{
	u8 ifreq[IFREQ_SIZE] = { 0 };
	int err;

	if (!name.n || name.n >= WJ_IFNAME_SIZE)
		return -ENODEV;
	memcpy(ifreq, name.p, name.n);
	err = interface_ioctl(p, LINUX_SIOCGIFINDEX, ifreq);
	if (!err)
		*ret = get_u32(ifreq + WJ_IFNAME_SIZE);
	return err;
}

int wj_interface_name(struct wj_process *p, u32 index, char name[WJ_IFNAME_SIZE])
{
	u8 ifreq[IFREQ_SIZE] = { 0 };
	int err;

	memcpy(ifreq + WJ_IFNAME_SIZE, &index, sizeof(index));
	err = interface_ioctl(p, LINUX_SIOCGIFNAME, ifreq);
	if (err)
		return err;
	memcpy(name, ifreq, WJ_IFNAME_SIZE);
	name[WJ_IFNAME_SIZE - 1] = 0;
	return 0;
}

/* rtnetlink: messages are a header of 16 bytes and, for addresses, struct ifaddrmsg. */
#define NETLINK_ROUTE		0
#define NLMSG_HEADER		16
#define NLMSG_ERROR		2
#define NLMSG_DONE		3
#define RTM_NEWADDR		20
#define RTM_GETADDR		22
#define NLM_F_REQUEST_DUMP	0x301
#define LOOPBACK_INDEX		1
#define NETLINK_ROUNDS		64

/* True when the dump is complete. */
static bool scan_addresses(const u8 *buf, size_t size, bool *v4, bool *v6)
{
	while (size >= NLMSG_HEADER) {
		u32 length = get_u32(buf);
		u16 type;

		memcpy(&type, buf + 4, sizeof(type));
		if (length < NLMSG_HEADER || length > size ||
		    type == NLMSG_DONE || type == NLMSG_ERROR)
			return true;
		/* struct ifaddrmsg: family, prefix length, flags, scope, u32 interface */
		if (type == RTM_NEWADDR && length >= NLMSG_HEADER + 8 &&
		    get_u32(buf + NLMSG_HEADER + 4) != LOOPBACK_INDEX) {
			*v4 |= buf[NLMSG_HEADER] == WJ_AF_INET;
			*v6 |= buf[NLMSG_HEADER] == WJ_AF_INET6;
		}
		length = (length + 3) & ~3u;
		if (length >= size)
			break;
		buf += length;
		size -= length;
	}
	return false;
}

int wj_configured_families(struct wj_process *p, bool *v4, bool *v6)
{
	u8 request[NLMSG_HEADER + 8] = { 0 };
	u32 length = sizeof(request);
	u16 type = RTM_GETADDR, flags = NLM_F_REQUEST_DUMP;
	u8 *buf = wj_alloc(WJ_IO_MAX);
	int i;
	long r;
	long fd;

	*v4 = false;
	*v6 = false;
	if (!buf)
		return -ENOMEM;
	fd = wj_socket(p, WJ_AF_NETLINK, WJ_SOCK_RAW, NETLINK_ROUTE);
	if (fd < 0) {
		wj_free(buf);
		return (int)fd;
	}
	memcpy(request, &length, 4);
	memcpy(request + 4, &type, 2);
	memcpy(request + 6, &flags, 2);
	r = wj_send(p, (int)fd, request, sizeof(request));
	/* The kernel answers at once: an empty queue means that it will not. */
	for (i = 0; i < NETLINK_ROUNDS && r > 0; i++) {
		r = wj_receive_datagram(p, (int)fd, buf, WJ_IO_MAX);
		if (r <= 0)
			break;
		if (scan_addresses(buf, wj_min_size((size_t)r, WJ_IO_MAX), v4, v6))
			break;
	}
	wj_close(p, (int)fd);
	wj_free(buf);
	return r < 0 ? (int)r : 0;
}
