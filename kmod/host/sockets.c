// SPDX-License-Identifier: GPL-2.0-only
/* Sockets: messages, control messages and options, whose structures hold pointers or longs. */
#include "host.h"

#define MSG_CMSG_COMPAT 0x80000000
#define MAX_CONTROL 4096	/* of a native message; SCM_RIGHTS of 253 descriptors fits */

struct native_cmsghdr {
	u64 len;
	u32 level, type;
};

/* Aligned sizes: CMSG_ALIGN is to 4 bytes in the guest, to 8 here. */
static u32 align4(u32 n) { return (n + 3) & ~3u; }
static u32 align8(u32 n) { return (n + 7) & ~7u; }

/* Timestamps hold longs; everything else that comes as a control message is the same. */

/* Guest control messages -> native ones at scratch.  Bytes used, or -errno. */
static s64 control_in(struct wj_process *p, u32 from, u32 size, u64 to)
{
	u32 at = 0, used = 0;

	while (at + WJ_EM_SIZEOF_cmsghdr <= size) {
		u8 header[WJ_EM_SIZEOF_cmsghdr];
		struct native_cmsghdr native;
		u32 length, data;
		u64 data_to = to + used + sizeof(native);

		if (wj_get(p, header, from + at, sizeof(header)))
			return -EFAULT;
		length = WJ_FIELD(header, u32, WJ_EM_OFF_cmsghdr_cmsg_len);
		if (length < sizeof(header) || length > size - at)
			return -EINVAL;
		data = length - sizeof(header);
		native = (struct native_cmsghdr){ sizeof(native) + data,
						  WJ_FIELD(header, u32, WJ_EM_OFF_cmsghdr_cmsg_level),
						  WJ_FIELD(header, u32, WJ_EM_OFF_cmsghdr_cmsg_type) };
		if (align8(native.len) > MAX_CONTROL - used)
			return -ENOBUFS;
		if (wj_copy_to_user(to + used, &native, sizeof(native)) ||
		    wj_move_user(data_to, wj_user(p, from + at + sizeof(header)), data))
			return -EFAULT;
		if (native.level == WJ_EM_SOL_SOCKET && native.type == WJ_EM_SCM_RIGHTS) {
			for (u32 i = 0; i + 4 <= data; i += 4) {
				u32 fd;

				/* What was copied, not what the guest may have changed since. */
				if (wj_copy_from_user(&fd, data_to + i, 4))
					return -EFAULT;
				if (wj_bad_fd(p, fd))
					return -EBADF;
			}
		}
		used += align8(native.len);
		at += align4(length);
	}
	return used;
}

/* Native control messages in scratch -> guest.  Bytes written; *flags gets MSG_CTRUNC. */
static s64 control_out(struct wj_process *p, u64 from, u64 size, u32 to, u32 room, u32 *flags)
{
	u64 at = 0;
	u32 used = 0;

	while (at + sizeof(struct native_cmsghdr) <= size) {
		struct native_cmsghdr native;
		u8 header[WJ_EM_SIZEOF_cmsghdr];
		u64 data;

		if (wj_copy_from_user(&native, from + at, sizeof(native)))
			return -EFAULT;
		if (native.len < sizeof(native) || native.len > size - at)
			break;
		data = native.len - sizeof(native);
		if (used + sizeof(header) + data > room) {
			*flags |= WJ_EM_MSG_CTRUNC;
			/*
			 * Our buffer was larger than the guest's only by the difference of the headers;
			 * close what the guest cannot be told of.
			 */
			if (native.level == WJ_EM_SOL_SOCKET && native.type == WJ_EM_SCM_RIGHTS) {
				for (u64 i = 0; i + 4 <= data; i += 4) {
					u32 fd;

					if (!wj_copy_from_user(&fd, from + at + sizeof(native) + i, 4))
						wj_sys(p, __NR_close, fd, 0, 0, 0, 0, 0);
				}
			}
			break;
		}
		WJ_FIELD(header, u32, WJ_EM_OFF_cmsghdr_cmsg_len) = sizeof(header) + data;
		WJ_FIELD(header, u32, WJ_EM_OFF_cmsghdr_cmsg_level) = native.level;
		WJ_FIELD(header, u32, WJ_EM_OFF_cmsghdr_cmsg_type) = native.type;
		if (wj_put(p, to + used, header, sizeof(header)) ||
		    wj_move_user(wj_user(p, to + used + sizeof(header)), from + at + sizeof(native), data))
			return -EFAULT;
		used += align4(sizeof(header) + data);
		at += align8(native.len);
	}
	return min(used, room);
}

static s64 send_message(struct wj_process *p, u32 fd, u32 message, u32 flags)
{
	u8 guest[WJ_EM_SIZEOF_msghdr];
	struct wj_msghdr native = { 0 };
	u64 scratch = wj_scratch_alloc(p, sizeof(native));
	u32 control, control_size;
	int err;

	if (!scratch)
		return -ENOMEM;
	if (wj_bad_fd(p, fd))
		return -EBADF;
	if (wj_get(p, guest, message, sizeof(guest)))
		return -EFAULT;
	native.name = wj_user_or_null(p, WJ_FIELD(guest, u32, WJ_EM_OFF_msghdr_msg_name));
	native.namelen = WJ_FIELD(guest, u32, WJ_EM_OFF_msghdr_msg_namelen);
	native.iovlen = WJ_FIELD(guest, u32, WJ_EM_OFF_msghdr_msg_iovlen);
	native.iov = wj_iovec_user(p, WJ_FIELD(guest, u32, WJ_EM_OFF_msghdr_msg_iov), native.iovlen, &err);
	if (err)
		return err == -EINVAL ? -EMSGSIZE : err;
	control = WJ_FIELD(guest, u32, WJ_EM_OFF_msghdr_msg_control);
	control_size = WJ_FIELD(guest, u32, WJ_EM_OFF_msghdr_msg_controllen);
	if (control && control_size) {
		s64 used;

		if (control_size > MAX_CONTROL)
			return -ENOBUFS;
		native.control = wj_scratch_alloc(p, MAX_CONTROL);
		if (!native.control)
			return -ENOMEM;
		used = control_in(p, control, control_size, native.control);
		if (used < 0)
			return used;
		native.controllen = used;
		if (!used)
			native.control = 0;
	}
	if (wj_copy_to_user(scratch, &native, sizeof(native)))
		return -EFAULT;
	return wj_sys(p, __NR_sendmsg, (s32)fd, scratch, flags, 0, 0, 0);
}

s64 wj_host_syscall_sendmsg(struct wj_process *p, const u64 *a)
{
	return send_message(p, a[0], a[1], a[2]);
}

static s64 receive_message(struct wj_process *p, u32 fd, u32 message, u32 flags)
{
	u8 guest[WJ_EM_SIZEOF_msghdr];
	struct wj_msghdr native = { 0 };
	u64 scratch = wj_scratch_alloc(p, sizeof(native)), native_control = 0;
	u32 control, room;
	s64 ret, used = 0;
	int err;

	if (!scratch)
		return -ENOMEM;
	if (wj_bad_fd(p, fd))
		return -EBADF;
	if (wj_get(p, guest, message, sizeof(guest)))
		return -EFAULT;
	native.name = wj_user_or_null(p, WJ_FIELD(guest, u32, WJ_EM_OFF_msghdr_msg_name));
	native.namelen = WJ_FIELD(guest, u32, WJ_EM_OFF_msghdr_msg_namelen);
	native.iovlen = WJ_FIELD(guest, u32, WJ_EM_OFF_msghdr_msg_iovlen);
	native.iov = wj_iovec_user(p, WJ_FIELD(guest, u32, WJ_EM_OFF_msghdr_msg_iov), native.iovlen, &err);
	if (err)
		return err == -EINVAL ? -EMSGSIZE : err;
	control = WJ_FIELD(guest, u32, WJ_EM_OFF_msghdr_msg_control);
	room = control ? WJ_FIELD(guest, u32, WJ_EM_OFF_msghdr_msg_controllen) : 0;
	if (room) {
		native_control = wj_scratch_alloc(p, MAX_CONTROL);
		if (!native_control)
			return -ENOMEM;
		native.control = native_control;
		/* One native header is 4 bytes longer than the guest's. */
		native.controllen = min(room + 4, (u32)MAX_CONTROL);
	}
	if (wj_copy_to_user(scratch, &native, sizeof(native)))
		return -EFAULT;
	ret = wj_sys(p, __NR_recvmsg, (s32)fd, scratch, flags & ~MSG_CMSG_COMPAT, 0, 0, 0);
	if (ret < 0)
		return ret;
	if (wj_copy_from_user(&native, scratch, sizeof(native)))
		return -EFAULT;
	if (room) {
		used = control_out(p, native_control, min(native.controllen, (u64)MAX_CONTROL), control,
				   room, &native.flags);
		if (used < 0)
			return used;
	}
	if (wj_put_u32(p, message + WJ_EM_OFF_msghdr_msg_namelen, native.namelen) ||
	    wj_put_u32(p, message + WJ_EM_OFF_msghdr_msg_controllen, used) ||
	    wj_put_u32(p, message + WJ_EM_OFF_msghdr_msg_flags, native.flags))
		return -EFAULT;
	return ret;
}

s64 wj_host_syscall_recvmsg(struct wj_process *p, const u64 *a)
{
	return receive_message(p, a[0], a[1], a[2]);
}

/* One after the other, as the kernel does: what was done before an error counts. */
s64 wj_host_syscall_sendmmsg(struct wj_process *p, const u64 *a)
{
	u32 n = min((u32)a[2], 1024u), i;

	for (i = 0; i < n; i++) {
		u32 at = a[1] + i * WJ_EM_SIZEOF_mmsghdr, mark = p->host->scratch_used;
		s64 ret = send_message(p, a[0], at, a[3]);

		p->host->scratch_used = mark;
		if (ret < 0)
			return i ? i : ret;
		if (wj_put_u32(p, at + WJ_EM_OFF_mmsghdr_msg_len, ret))
			return -EFAULT;
	}
	return i;
}


s64 wj_host_syscall_recvmmsg(struct wj_process *p, const u64 *a)
{
	u32 n = min((u32)a[2], 1024u), flags = a[3] & ~WJ_EM_MSG_WAITFORONE, i;
	struct wj_timespec64 timeout;

	/* With a timeout Linux checks it after each datagram only; so do we: never wait for a second. */
	if (a[4]) {
		if (wj_get_timespec(p, &timeout, a[4]))
			return -EFAULT;
	}
	for (i = 0; i < n; i++) {
		u32 at = a[1] + i * WJ_EM_SIZEOF_mmsghdr, mark = p->host->scratch_used;
		s64 ret = receive_message(p, a[0], at, flags);

		p->host->scratch_used = mark;
		if (ret < 0)
			return i ? i : ret;
		if (wj_put_u32(p, at + WJ_EM_OFF_mmsghdr_msg_len, ret))
			return -EFAULT;
		if (a[4] || (a[3] & WJ_EM_MSG_WAITFORONE))
			flags |= WJ_EM_MSG_DONTWAIT;
	}
	return i;
}

/* Socket options that hold a struct timeval; and those that hold pointers, which guests cannot use. */
static bool is_timeout(u32 level, u32 name)
{
	return level == WJ_EM_SOL_SOCKET && (name == WJ_EM_SO_RCVTIMEO || name == WJ_EM_SO_SNDTIMEO ||
				       name == WJ_EM64_SO_RCVTIMEO || name == WJ_EM64_SO_SNDTIMEO);
}

/* The number of a timeout that comes as two words of 64 bits, which is how it is passed on. */
static u32 native_option(u32 name)
{
	return name == WJ_EM64_SO_RCVTIMEO ? WJ_EM_SO_RCVTIMEO : name == WJ_EM64_SO_SNDTIMEO ? WJ_EM_SO_SNDTIMEO : name;
}

static bool holds_pointers(u32 level, u32 name)
{
	switch (level) {
	case 0:		/* SOL_IP and SOL_IPV6: IPT and EBT tables are 64 and up */
	case 41:
		return name >= 64 && name < 80;
	case WJ_EM_SOL_SOCKET:
		return name == 26 || name == 51;	/* SO_ATTACH_FILTER, SO_ATTACH_REUSEPORT_CBPF */
	case 6:
		return name == 35;	/* TCP_ZEROCOPY_RECEIVE copies to wherever it is told */
	case 263:
		return name == 22;	/* SOL_PACKET: PACKET_FANOUT_DATA */
	case 276:	/* SOL_RDS */
	case 283:	/* SOL_XDP */
		return true;
	default:
		return false;
	}
}

s64 wj_host_syscall_setsockopt(struct wj_process *p, const u64 *a)
{
	bool wide = native_option(a[2]) != (u32)a[2];

	if (wj_bad_fd(p, a[0]))
		return -EBADF;
	if (holds_pointers(a[1], a[2]))
		return -ENOPROTOOPT;
	if (is_timeout(a[1], a[2])) {
		u64 scratch = wj_scratch_alloc(p, 16);
		struct wj_timespec64 tv;

		if (!scratch)
			return -ENOMEM;
		if ((u32)a[4] < (wide ? 16u : 8u))
			return -EINVAL;
		/* A timeval has the shape of a timespec. */
		if (wj_get_time(p, &tv, a[3], wide) || wj_copy_to_user(scratch, &tv, sizeof(tv)))
			return -EFAULT;
		return wj_sys(p, __NR_setsockopt, (s32)a[0], a[1], native_option(a[2]),
			      scratch, sizeof(tv), 0);
	}
	return wj_sys(p, __NR_setsockopt, (s32)a[0], a[1], a[2], wj_user_or_null(p, a[3]), (s32)a[4], 0);
}

s64 wj_host_syscall_getsockopt(struct wj_process *p, const u64 *a)
{
	bool wide = native_option(a[2]) != (u32)a[2];

	if (wj_bad_fd(p, a[0]))
		return -EBADF;
	if (holds_pointers(a[1], a[2]))
		return -ENOPROTOOPT;
	if (is_timeout(a[1], a[2])) {
		u64 scratch = wj_scratch_alloc(p, 32);
		struct { struct wj_timespec64 tv; u32 size; } native = { .size = sizeof(native.tv) };
		u32 size;
		s64 ret;

		if (!scratch)
			return -ENOMEM;
		if (wj_get_u32(p, &size, a[4]) || wj_copy_to_user(scratch, &native, sizeof(native)))
			return -EFAULT;
		if (size < (wide ? 16u : 8u))
			return -EINVAL;
		ret = wj_sys(p, __NR_getsockopt, (s32)a[0], a[1], native_option(a[2]),
			     scratch, scratch + sizeof(native.tv), 0);
		if (ret < 0)
			return ret;
		if (wj_copy_from_user(&native, scratch, sizeof(native)) ||
		    wj_put_time(p, a[3], &native.tv, wide) || wj_put_u32(p, a[4], wide ? 16 : 8))
			return -EFAULT;
		return ret;
	}
	return wj_sys(p, __NR_getsockopt, (s32)a[0], a[1], a[2], wj_user(p, a[3]), wj_user(p, a[4]), 0);
}
