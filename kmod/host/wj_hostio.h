/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Files and sockets for the parts of the host layer that are libraries natively: zone
 * files, /etc/passwd, /etc/hosts, DNS.
 *
 * All calls are the guest's own system calls.  What crosses to the kernel goes through the
 * process's scratch area and is copied back once before it is looked at.  Nothing is kept
 * in the scratch area from one call to the next.
 *
 * A result for which wj_is_restart() holds means that a signal wants to be handled: the
 * caller releases what it has and passes the code on, all the way up.  Once p->unwind is set
 * no system call but close is made any more: everything returns -EINTR.
 */
#ifndef WJ_HOSTIO_H
#define WJ_HOSTIO_H

#include "platform.h"
#include "wj_text.h"

/* The kernel's own codes, which user space never sees and <errno.h> does not name. */
#define WJ_ERESTARTSYS		512
#define WJ_ERESTART_RESTARTBLOCK 516

static inline bool wj_is_restart(long result)
{
	return result == -EINTR ||
	       (result <= -WJ_ERESTARTSYS && result >= -WJ_ERESTART_RESTARTBLOCK);
}

/* Linux's numbers, the same on every architecture with the generic system call table. */
#define WJ_AF_UNSPEC		0
#define WJ_AF_INET		2
#define WJ_AF_INET6		10
#define WJ_AF_NETLINK		16
#define WJ_SOCK_STREAM		1
#define WJ_SOCK_DGRAM		2
#define WJ_SOCK_RAW		3
#define WJ_IPPROTO_TCP		6
#define WJ_IPPROTO_UDP		17
#define WJ_POLLIN		0x001
#define WJ_POLLOUT		0x004

/* Identifies one version of a file. */
struct wj_file_id {
	u64 device, inode, size;
	s64 mtime, ctime;		/* ns */
};

bool wj_file_id_same(const struct wj_file_id *a, const struct wj_file_id *b);

/* Follows symbolic links.  -errno; -EINVAL if it is not a regular file. */
int wj_file_stat(struct wj_process *p, const char *path, struct wj_file_id *ret);

/*
 * Reads a whole regular file of at most `max` bytes (-EFBIG) to memory that the caller
 * frees.  The id is of the file that was read.
 */
int wj_file_read(struct wj_process *p, const char *path, size_t max, u8 **data, size_t *size,
		 struct wj_file_id *id);

/*
 * Line by line.  Lines longer than WJ_LINE_MAX or with a NUL in them are skipped, as is
 * everything after the first `limit` bytes.
 */
#define WJ_LINE_MAX		(256u << 10)

struct wj_lines {
	struct wj_process *p;
	int fd;
	bool eof, skip;
	char *chunk;			/* what was read last */
	size_t chunk_size, chunk_pos;
	char *line;			/* grows as needed */
	size_t line_size;
	u64 limit;			/* bytes that may still be read */
	u64 offset;			/* in the file, of the byte at chunk_pos */
};

int wj_lines_open(struct wj_lines *lines, struct wj_process *p, const char *path, u64 offset,
		  u64 limit);
void wj_lines_close(struct wj_lines *lines);
/*
 * 1 and the next line without its newline, 0 at the end, -errno.  The text is the caller's
 * to change until the next call; it is followed by a NUL.
 */
int wj_lines_next(struct wj_lines *lines, char **line, size_t *size);

/* CLOCK_MONOTONIC in ns, or its coarse form, which is cheaper. */
int wj_now(struct wj_process *p, bool coarse, u64 *ret);

/* Random bytes that an attacker cannot guess; at most 64. */
int wj_random_bytes(struct wj_process *p, void *dst, size_t size);

/* An internet address with port; host byte order. */
struct wj_address {
	u16 family;			/* WJ_AF_INET or WJ_AF_INET6 */
	u16 port;
	u32 scope;			/* interface index, IPv6 only */
	u8 ip[16];			/* 4 or 16 bytes in network order */
};

#define WJ_SOCKADDR_MAX		28

/* To and from struct sockaddr_in and sockaddr_in6, which guests lay out as Linux does. */
size_t wj_address_encode(const struct wj_address *address, u8 buf[WJ_SOCKADDR_MAX]);
bool wj_address_decode(const u8 *buf, size_t size, struct wj_address *ret);

/*
 * Sockets: close-on-exec and non-blocking.  These return what the system call does, the
 * descriptor or the size, or -errno.
 */
long wj_socket(struct wj_process *p, int family, int type, int protocol);
void wj_close(struct wj_process *p, int fd);
long wj_connect(struct wj_process *p, int fd, const struct wj_address *to);
/* The address that the socket is bound to. */
int wj_socket_name(struct wj_process *p, int fd, struct wj_address *ret);
/* SO_ERROR: 0 or -errno. */
int wj_socket_error(struct wj_process *p, int fd);
/* At most WJ_IO_MAX bytes per call. */
#define WJ_IO_MAX		(32u << 10)
long wj_send(struct wj_process *p, int fd, const void *data, size_t size);
/* Returns the size of the datagram even where that is more than `size`. */
long wj_receive_datagram(struct wj_process *p, int fd, void *data, size_t size);
long wj_receive_stream(struct wj_process *p, int fd, void *data, size_t size);

#define WJ_POLL_MAX		8
struct wj_poll_fd {
	int fd;				/* negative: ignored */
	u16 events;
	u16 ready;			/* events, POLLERR and POLLHUP included */
};
/* How many are ready; 0 after timeout_ns, or earlier if a signal was handled. */
long wj_poll_fds(struct wj_process *p, struct wj_poll_fd *fds, u32 count, u64 timeout_ns);

/* Interface name to index (-ENODEV) and back; `name` has 16 bytes. */
#define WJ_IFNAME_SIZE		16
int wj_interface_index(struct wj_process *p, struct wj_str name, u32 *ret);
int wj_interface_name(struct wj_process *p, u32 index, char name[WJ_IFNAME_SIZE]);

/*
 * Which families have an address that is not on the loopback interface?  Asked of
 * rtnetlink.
 */
int wj_configured_families(struct wj_process *p, bool *v4, bool *v6);

#endif
