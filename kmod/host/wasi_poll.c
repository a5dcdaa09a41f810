// SPDX-License-Identifier: GPL-2.0-only
/* WASI preview 1: waiting, sockets, and the few calls that concern the process as a whole. */
#include "wasi.h"

#define MAX_SUBSCRIPTIONS 4096
#define NS 1000000000ull

/* One subscription, read once. */
struct subscription {
	u64 userdata;
	u64 timeout;		/* of a clock: nanoseconds from now, or until then if `absolute` */
	s64 error;		/* negative errno: the event says so at once */
	u32 clock, fd;
	u8 type;
	bool absolute;
};

struct native_pollfd {
	s32 fd;
	s16 events, revents;
};

/*
 * In wasi_unstable the clock has one more field in front (a second userdata), and so the
 * subscription is 8 bytes longer.
 */
static int get_subscription(struct wj_process *p, struct subscription *s, u32 from, bool unstable)
{
	u8 bytes[WJ_WASI_SIZEOF_subscription + 8];
	u32 more = unstable ? 8 : 0;
	struct wj_wasi_descriptor *d;

	if (wj_get(p, bytes, from, WJ_WASI_SIZEOF_subscription + more))
		return -EFAULT;
	*s = (struct subscription){
		.userdata = WJ_FIELD(bytes, u64, WJ_WASI_OFF_subscription_userdata),
		.type = bytes[WJ_WASI_OFF_subscription_u_tag],
	};
	switch (s->type) {
	case WJ_WASI_EVENTTYPE_CLOCK:
		s->clock = WJ_FIELD(bytes, u32, WJ_WASI_OFF_subscription_u_u_clock_id + more);
		s->timeout = WJ_FIELD(bytes, u64, WJ_WASI_OFF_subscription_u_u_clock_timeout + more);
		s->absolute = WJ_FIELD(bytes, u16, WJ_WASI_OFF_subscription_u_u_clock_flags + more) &
			      WJ_WASI_SUBCLOCKFLAGS_SUBSCRIPTION_CLOCK_ABSTIME;
		if (s->clock > 1)	/* realtime, monotonic */
			s->error = -EINVAL;
		return 0;
	case WJ_WASI_EVENTTYPE_FD_READ:
	case WJ_WASI_EVENTTYPE_FD_WRITE:
		s->fd = WJ_FIELD(bytes, u32, WJ_WASI_OFF_subscription_u_u_fd_read_file_descriptor);
		s->error = wj_wasi_descriptor(p, s->fd, RIGHT(POLL_FD_READWRITE), &d);
		return 0;
	default:
		return -EINVAL;
	}
}

static int put_event(struct wj_process *p, u32 to, const struct subscription *s, s64 error, u64 bytes, u16 flags)
{
	u8 event[WJ_WASI_SIZEOF_event] = { 0 };

	WJ_FIELD(event, u64, WJ_WASI_OFF_event_userdata) = s->userdata;
	WJ_FIELD(event, u16, WJ_WASI_OFF_event_error) = wj_guest_errno(-error);
	event[WJ_WASI_OFF_event_type] = s->type;
	WJ_FIELD(event, u64, WJ_WASI_OFF_event_fd_readwrite_nbytes) = bytes;
	WJ_FIELD(event, u16, WJ_WASI_OFF_event_fd_readwrite_flags) = flags;
	return wj_put(p, to, event, sizeof(event));
}

/* How much can be read without waiting; 1 where the kernel does not tell. */
static u64 readable(struct wj_process *p, s32 native)
{
	u64 scratch = wj_scratch_alloc(p, 4);
	s32 n = 0;

	if (!scratch || wj_sys(p, __NR_ioctl, native, WJ_EM_FIONREAD, scratch, 0, 0, 0) ||
	    wj_copy_from_user(&n, scratch, sizeof(n)))
		return 1;
	return n > 0 ? n : 0;
}

static int put_ready(struct wj_process *p, u32 to, const struct subscription *s,
		     const struct native_pollfd *pollfd)
{
	u16 flags = pollfd->revents & WJ_EM_POLLHUP ? WJ_WASI_EVENTRWFLAGS_FD_READWRITE_HANGUP : 0;

	if (pollfd->revents & WJ_EM_POLLNVAL)
		return put_event(p, to, s, -EBADF, 0, 0);
	if (pollfd->revents & WJ_EM_POLLERR)
		return put_event(p, to, s, -EIO, 0, flags);
	return put_event(p, to, s, 0, s->type == WJ_WASI_EVENTTYPE_FD_READ ? readable(p, pollfd->fd) : 1, flags);
}

/* Nanoseconds until the first thing that happens by itself; ~0: nothing does. */
static s64 shortest(struct wj_process *p, struct subscription *subs, u32 n, u64 *ret)
{
	*ret = ~0ull;
	for (u32 i = 0; i < n; i++) {
		struct subscription *s = &subs[i];
		struct wj_timespec64 ts;
		u64 now;
		s64 err;

		if (s->error) {
			*ret = 0;
			continue;
		}
		if (s->type != WJ_WASI_EVENTTYPE_CLOCK)
			continue;
		if (s->absolute) {
			err = wj_read_clock(p, s->clock, __NR_clock_gettime, &ts);
			if (err)
				return err;
			now = ts.sec * NS + ts.nsec;
			s->timeout = s->timeout > now ? s->timeout - now : 0;
		}
		*ret = min(*ret, s->timeout);
	}
	return 0;
}

/* Nothing but a clock: sleep on that very clock. */
static s64 sleep_on(struct wj_process *p, const struct subscription *s)
{
	struct wj_timespec64 ts = { (s->timeout / NS), (s->timeout % NS) };
	u64 scratch = wj_scratch_alloc(p, sizeof(ts));

	if (!scratch)
		return -ENOMEM;
	if (wj_copy_to_user(scratch, &ts, sizeof(ts)))
		return -EFAULT;
	return wj_sys(p, __NR_clock_nanosleep, s->clock, s->absolute, scratch, scratch, 0, 0);
}

static s64 wait(struct wj_process *p, struct subscription *subs, u32 n, u32 to, u32 *ready)
{
	u64 pollfds = wj_scratch_alloc(p, n * sizeof(struct native_pollfd)), timeout, limit;
	struct wj_timespec64 ts;
	s64 ret;

	if (!pollfds)
		return -ENOMEM;
	if (n == 1 && subs->type == WJ_WASI_EVENTTYPE_CLOCK && !subs->error) {
		ret = sleep_on(p, subs);
		if (!ret)
			ret = put_event(p, to, subs, 0, 0, 0);
		*ready = 1;
		return ret;
	}
	for (u32 i = 0; i < n; i++) {
		struct native_pollfd pollfd = { .fd = -1 };
		struct wj_wasi_descriptor *d;

		if (subs[i].type != WJ_WASI_EVENTTYPE_CLOCK && !subs[i].error &&
		    !wj_wasi_descriptor(p, subs[i].fd, 0, &d)) {
			pollfd.fd = d->native;
			pollfd.events = subs[i].type == WJ_WASI_EVENTTYPE_FD_READ ? WJ_EM_POLLIN : WJ_EM_POLLOUT;
		}
		if (wj_copy_to_user(pollfds + i * sizeof(pollfd), &pollfd, sizeof(pollfd)))
			return -EFAULT;
	}
	ret = shortest(p, subs, n, &limit);
	if (ret)
		return ret;
	timeout = wj_scratch_alloc(p, sizeof(ts));
	if (!timeout)
		return -ENOMEM;
	ts = (struct wj_timespec64){ (limit / NS), (limit % NS) };
	if (wj_copy_to_user(timeout, &ts, sizeof(ts)))
		return -EFAULT;
	ret = wj_sys(p, __NR_ppoll, pollfds, n, limit == ~0ull ? 0 : timeout, 0, 0, 0);
	if (ret < 0)
		return ret;
	for (u32 i = 0; i < n; i++) {
		struct native_pollfd pollfd;
		u32 event = to + *ready * WJ_WASI_SIZEOF_event;
		u32 mark = p->host->scratch_used;
		int err;

		if (wj_copy_from_user(&pollfd, pollfds + i * sizeof(pollfd), sizeof(pollfd)))
			return -EFAULT;
		if (subs[i].error)
			err = put_event(p, event, &subs[i], subs[i].error, 0, 0);
		else if (subs[i].type == WJ_WASI_EVENTTYPE_CLOCK && !ret && subs[i].timeout <= limit)
			err = put_event(p, event, &subs[i], 0, 0, 0);
		else if (subs[i].type != WJ_WASI_EVENTTYPE_CLOCK && pollfd.revents)
			err = put_ready(p, event, &subs[i], &pollfd);
		else
			continue;
		p->host->scratch_used = mark;
		if (err)
			return err;
		++*ready;
	}
	return 0;
}

/* poll_oneoff(subscriptions, events, how many, how many happened) */
static s64 poll_oneoff(struct wj_process *p, const u64 *a, bool unstable)
{
	u32 n = a[2], ready = 0, size = WJ_WASI_SIZEOF_subscription + (unstable ? 8 : 0);
	struct subscription *subs;
	s64 ret = 0;

	if (!n || n > MAX_SUBSCRIPTIONS)
		return -EINVAL;
	/* Nor do they go on at address 0. */
	if ((u64)(u32)a[0] + n * size > 1ull << 32 || (u64)(u32)a[1] + n * WJ_WASI_SIZEOF_event > 1ull << 32)
		return -EFAULT;
	subs = wj_alloc(n * sizeof(*subs));
	if (!subs)
		return -ENOMEM;
	for (u32 i = 0; i < n && !ret; i++)
		ret = get_subscription(p, &subs[i], a[0] + i * size, unstable);
	if (!ret)
		ret = wait(p, subs, n, a[1], &ready);
	wj_free(subs);
	return ret ? ret : wj_put_u32(p, a[3], ready);
}

s64 wj_host_wasip1_poll_oneoff(struct wj_process *p, const u64 *a)
{
	return poll_oneoff(p, a, false);
}

s64 wj_host_wasip0_poll_oneoff(struct wj_process *p, const u64 *a)
{
	return poll_oneoff(p, a, true);
}

/* Linux has SIGSTKFLT, number 16, which WASI has not; otherwise the numbers are the same. */
s64 wj_host_wasip1_proc_raise(struct wj_process *p, const u64 *a)
{
	u32 sig = a[0];

	if (sig > 30)
		return -EINVAL;
	return wj_sys(p, __NR_kill, wj_sys(p, __NR_getpid, 0, 0, 0, 0, 0, 0), sig < 16 ? sig : sig + 1, 0, 0, 0, 0);
}

s64 wj_host_wasip1_random_get(struct wj_process *p, const u64 *a)
{
	u32 size = a[1], done = 0;

	while (done < size) {
		s64 n = wj_sys(p, __NR_getrandom, wj_user(p, a[0]) + done, min(size - done, 65536u), 0, 0, 0, 0);

		if (n < 0)
			return n;
		done += n;
		if (wj_poll(p->inst))
			return -EINTR;
	}
	return 0;
}

s64 wj_host_wasip1_sched_yield(struct wj_process *p, const u64 *a)
{
	(void)a;
	return wj_sys(p, __NR_sched_yield, 0, 0, 0, 0, 0, 0);
}

s64 wj_host_wasip1_sock_accept(struct wj_process *p, const u64 *a)
{
	struct wj_wasi_descriptor *d;
	s64 fd = wj_wasi_descriptor(p, a[0], RIGHT(SOCK_ACCEPT), &d);
	u32 flags = a[1];
	u64 rights;

	if (fd)
		return fd;
	if (flags & ~(u32)WJ_WASI_FDFLAGS_NONBLOCK)
		return -EINVAL;
	rights = d->inheriting;
	fd = wj_sys(p, __NR_accept4, d->native, 0, 0,
		    WJ_EM_SOCK_CLOEXEC | (flags ? WJ_EM_SOCK_NONBLOCK : 0), 0, 0);
	return fd < 0 ? fd : wj_wasi_give(p, fd, rights, rights, a[2]);
}

/* A message of nothing but data. */
static u64 message(struct wj_process *p, u32 iov, u32 count, int *err)
{
	struct wj_msghdr native = { .iov = wj_iovec_user(p, iov, count, err), .iovlen = count };
	u64 scratch;

	if (*err)
		return 0;
	scratch = wj_scratch_alloc(p, sizeof(native));
	*err = !scratch || wj_copy_to_user(scratch, &native, sizeof(native)) ? -ENOMEM : 0;
	return scratch;
}

s64 wj_host_wasip1_sock_recv(struct wj_process *p, const u64 *a)
{
	struct wj_wasi_descriptor *d;
	int err = wj_wasi_descriptor(p, a[0], RIGHT(FD_READ), &d);
	u32 flags = a[3], native = 0;
	struct wj_msghdr answer;
	u64 msg;
	u16 out;
	s64 n;

	if (err)
		return err;
	if (flags & ~(u32)(WJ_WASI_RIFLAGS_RECV_PEEK | WJ_WASI_RIFLAGS_RECV_WAITALL))
		return -EINVAL;
	if (flags & WJ_WASI_RIFLAGS_RECV_PEEK)
		native |= WJ_EM_MSG_PEEK;
	if (flags & WJ_WASI_RIFLAGS_RECV_WAITALL)
		native |= WJ_EM_MSG_WAITALL;
	msg = message(p, a[1], a[2], &err);
	if (err)
		return err;
	n = wj_sys(p, __NR_recvmsg, d->native, msg, native, 0, 0, 0);
	if (n < 0)
		return n;
	if (wj_copy_from_user(&answer, msg, sizeof(answer)))
		return -EFAULT;
	out = answer.flags & WJ_EM_MSG_TRUNC ? WJ_WASI_ROFLAGS_RECV_DATA_TRUNCATED : 0;
	return wj_put_u32(p, a[4], n) || wj_put(p, a[5], &out, sizeof(out)) ? -EFAULT : 0;
}

s64 wj_host_wasip1_sock_send(struct wj_process *p, const u64 *a)
{
	struct wj_wasi_descriptor *d;
	int err = wj_wasi_descriptor(p, a[0], RIGHT(FD_WRITE), &d);
	u64 msg;
	s64 n;

	if (err)
		return err;
	if ((u32)a[3])
		return -EINVAL;
	msg = message(p, a[1], a[2], &err);
	if (err)
		return err;
	n = wj_sys(p, __NR_sendmsg, d->native, msg, WJ_EM_MSG_NOSIGNAL, 0, 0, 0);
	return n < 0 ? n : wj_put_u32(p, a[4], n);
}

s64 wj_host_wasip1_sock_shutdown(struct wj_process *p, const u64 *a)
{
	struct wj_wasi_descriptor *d;
	int err = wj_wasi_descriptor(p, a[0], RIGHT(SOCK_SHUTDOWN), &d);
	u32 how = a[1];

	if (err)
		return err;
	if (!how || how & ~(u32)(WJ_WASI_SDFLAGS_RD | WJ_WASI_SDFLAGS_WR))
		return -EINVAL;
	/* SHUT_RD 0, SHUT_WR 1, SHUT_RDWR 2 */
	return wj_sys(p, __NR_shutdown, d->native, how - 1, 0, 0, 0, 0);
}
