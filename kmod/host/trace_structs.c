// SPDX-License-Identifier: GPL-2.0-only
/* --trace: the structures that guests and their host exchange, as strace writes them. */
#include "trace_text.h"
#include "abi_wasi.h"
#include "wj_inet.h"

/* At most `limit` bytes in all. */
void wj_text_iovecs(struct wj_text *t, u32 address, u32 count, u32 limit)
{
	u32 iovec[2];

	wj_text_put(t, "[");
	for (u32 i = 0; i < count && i <= WJ_TRACE_LIST_MAX; i++) {
		wj_text_put(t, i ? ", " : "");
		if (i == WJ_TRACE_LIST_MAX || wj_get(t->p, iovec, address + 8 * i, sizeof(iovec))) {
			wj_text_put(t, "...");
			break;
		}
		wj_text_put(t, "{iov_base=");
		wj_text_bytes(t, iovec[0], min(iovec[1], limit));
		wj_text_put(t, ", iov_len=");
		wj_text_unsigned(t, iovec[1]);
		wj_text_put(t, "}");
		limit -= min(iovec[1], limit);
	}
	wj_text_put(t, "]");
}

/* Structures.  Each is read whole, or shown as its address. */

static bool get(struct wj_text *t, void *to, u32 address, u32 size)
{
	if (address && !wj_get(t->p, to, address, size))
		return true;
	wj_text_address(t, address);
	return false;
}

static void put_time(struct wj_text *t, u32 address, const char *fraction, bool wide)
{
	struct wj_timespec64 time;

	if (!address || wj_get_time(t->p, &time, address, wide)) {
		wj_text_address(t, address);
		return;
	}
	wj_text_field(t, "{tv_sec=", time.sec);
	wj_text_field(t, fraction, time.nsec);
	wj_text_put(t, "}");
}

void wj_text_timespec(struct wj_text *t, u32 address)
{
	put_time(t, address, ", tv_nsec=", false);
}

void wj_text_own_timespec(struct wj_text *t, u32 address)
{
	put_time(t, address, ", tv_nsec=", t->p->host->time64);
}

void wj_text_timeval(struct wj_text *t, u32 address)
{
	put_time(t, address, ", tv_usec=", false);
}

void wj_text_itimer(struct wj_text *t, u32 address, const char *fraction)
{
	if (!address) {
		wj_text_address(t, address);
		return;
	}
	wj_text_put(t, "{it_interval=");
	put_time(t, address, fraction, false);
	wj_text_put(t, ", it_value=");
	put_time(t, address + WJ_EM_OFF_itimerval_it_value, fraction, false);
	wj_text_put(t, "}");
}

void wj_text_tm(struct wj_text *t, u32 address)
{
	static const char *const labels[] = { "{tm_sec=", ", tm_min=", ", tm_hour=", ", tm_mday=", ", tm_mon=",
					      ", tm_year=", ", tm_wday=", ", tm_yday=", ", tm_isdst=" };
	s32 tm[ARRAY_SIZE(labels)];

	if (!get(t, tm, address, sizeof(tm)))
		return;
	for (u32 i = 0; i < ARRAY_SIZE(labels); i++)
		wj_text_field(t, labels[i], tm[i]);
	wj_text_put(t, "}");
}

void wj_text_mode(struct wj_text *t, u32 mode)
{
	if (mode & WJ_EM_S_IFMT) {
		wj_text_named(t, T_FILE_TYPE, mode & WJ_EM_S_IFMT);
		wj_text_put(t, "|");
	}
	wj_text_octal(t, mode & ~(u32)WJ_EM_S_IFMT);
}

void wj_text_stat(struct wj_text *t, u32 address)
{
	u8 st[WJ_EM64_SIZEOF_stat];
	u32 mode, device;

	if (!get(t, st, address, WJ_LAYOUT(t->p, SIZEOF_stat)))
		return;
	mode = WJ_FIELD(st, u32, WJ_LAYOUT(t->p, OFF_stat_st_mode));
	wj_text_put(t, "{st_mode=");
	wj_text_mode(t, mode);
	if ((mode & WJ_EM_S_IFMT) == WJ_EM_S_IFCHR || (mode & WJ_EM_S_IFMT) == WJ_EM_S_IFBLK) {
		device = WJ_FIELD(st, u32, WJ_LAYOUT(t->p, OFF_stat_st_rdev));
		wj_text_put(t, ", st_rdev=makedev(");
		wj_text_hex(t, device >> 8 & 0xfff);
		wj_text_put(t, ", ");
		wj_text_hex(t, (device & 0xff) | (device >> 12 & ~0xffu));
		wj_text_put(t, ")");
	} else {
		wj_text_field(t, ", st_size=", WJ_FIELD(st, s64, WJ_LAYOUT(t->p, OFF_stat_st_size)));
	}
	wj_text_put(t, ", ...}");
}

void wj_text_filestat(struct wj_text *t, u32 address)
{
	u8 st[WJ_WASI_SIZEOF_filestat];

	if (!get(t, st, address, sizeof(st)))
		return;
	wj_text_put(t, "{filetype=");
	wj_text_named(t, T_FILETYPE, st[WJ_WASI_OFF_filestat_filetype]);
	wj_text_field(t, ", size=", WJ_FIELD(st, s64, WJ_WASI_OFF_filestat_size));
	wj_text_put(t, ", ...}");
}

void wj_text_statfs(struct wj_text *t, u32 address)
{
	u8 st[WJ_EM_SIZEOF_statfs];

	if (!get(t, st, address, sizeof(st)))
		return;
	wj_text_put(t, "{f_type=");
	wj_text_hex(t, WJ_FIELD(st, u32, WJ_EM_OFF_statfs_f_type));
	wj_text_field(t, ", f_bsize=", WJ_FIELD(st, u32, WJ_EM_OFF_statfs_f_bsize));
	wj_text_field(t, ", f_blocks=", WJ_FIELD(st, u32, WJ_EM_OFF_statfs_f_blocks));
	wj_text_field(t, ", f_bfree=", WJ_FIELD(st, u32, WJ_EM_OFF_statfs_f_bfree));
	wj_text_put(t, ", ...}");
}

void wj_text_dirents(struct wj_text *t, u32 address)
{
	u32 at = 0, n = 0;
	u16 length;

	while (at < t->ret && !wj_get(t->p, &length, address + at + WJ_EM_OFF_dirent_d_reclen, 2) && length) {
		at += length;
		n++;
	}
	wj_text_address(t, address);
	wj_text_field(t, " /* ", n);
	wj_text_put(t, " entries */");
}

void wj_text_utsname(struct wj_text *t, u32 address)
{
	wj_text_put(t, "{sysname=");
	wj_text_string(t, address + WJ_EM_OFF_utsname_sysname);
	wj_text_put(t, ", nodename=");
	wj_text_string(t, address + WJ_EM_OFF_utsname_nodename);
	wj_text_put(t, ", release=");
	wj_text_string(t, address + WJ_EM_OFF_utsname_release);
	wj_text_put(t, ", ...}");
}

static void put_limit(struct wj_text *t, u64 value)
{
	if (value == ~0ull)
		wj_text_put(t, "RLIM64_INFINITY");
	else
		wj_text_unsigned(t, value);
}

void wj_text_rlimit(struct wj_text *t, u32 address)
{
	u64 limit[2];

	if (!get(t, limit, address, sizeof(limit)))
		return;
	wj_text_put(t, "{rlim_cur=");
	put_limit(t, limit[0]);
	wj_text_put(t, ", rlim_max=");
	put_limit(t, limit[1]);
	wj_text_put(t, "}");
}

void wj_text_rusage(struct wj_text *t, u32 address)
{
	if (!address) {
		wj_text_address(t, address);
		return;
	}
	wj_text_put(t, "{ru_utime=");
	wj_text_timeval(t, address + WJ_EM_OFF_rusage_ru_utime);
	wj_text_put(t, ", ru_stime=");
	wj_text_timeval(t, address + WJ_EM_OFF_rusage_ru_stime);
	wj_text_put(t, ", ...}");
}

void wj_text_signal(struct wj_text *t, s32 sig)
{
	const char *name = wj_signal_name(sig);

	if (!name && sig >= 32 && sig <= WJ_SIGNALS)
		wj_text_field(t, "SIGRT_", sig - 32);
	else if (name)
		wj_text_put(t, name);
	else
		wj_text_signed(t, sig);
}

void wj_text_status(struct wj_text *t, u32 address)
{
	u32 status, sig;

	if (!get(t, &status, address, sizeof(status)))
		return;
	sig = status & 0x7f;
	wj_text_put(t, "[{");
	if (status == 0xffff) {
		wj_text_put(t, "WIFCONTINUED(s)");
	} else if ((status & 0xff) == 0x7f) {
		wj_text_put(t, "WIFSTOPPED(s) && WSTOPSIG(s) == ");
		wj_text_signal(t, status >> 8 & 0xff);
	} else if (sig) {
		wj_text_put(t, "WIFSIGNALED(s) && WTERMSIG(s) == ");
		wj_text_signal(t, sig);
		wj_text_put(t, status & 0x80 ? " && WCOREDUMP(s)" : "");
	} else {
		wj_text_field(t, "WIFEXITED(s) && WEXITSTATUS(s) == ", status >> 8 & 0xff);
	}
	wj_text_put(t, "}]");
}

/* [INT TERM]; ~[...] for what is missing where most are there. */
static void put_mask(struct wj_text *t, u64 mask)
{
	bool most = false, some = false;
	u32 n = 0;

	for (int sig = 1; sig <= WJ_SIGNALS; sig++)
		n += mask >> (sig - 1) & 1;
	most = n > WJ_SIGNALS / 2;
	wj_text_put(t, most ? "~[" : "[");
	for (int sig = 1; sig <= WJ_SIGNALS; sig++) {
		const char *name = wj_signal_name(sig);

		if ((mask >> (sig - 1) & 1) == most)
			continue;
		wj_text_put(t, some ? " " : "");
		some = true;
		if (name)
			wj_text_put(t, name + strlen("SIG"));
		else
			wj_text_field(t, "RT_", sig - 32);
	}
	wj_text_put(t, "]");
}

void wj_text_sigset(struct wj_text *t, u32 address)
{
	u64 mask;

	if (get(t, &mask, address, sizeof(mask)))
		put_mask(t, mask);
}

void wj_text_sigaction(struct wj_text *t, u32 address)
{
	u8 action[WJ_EM_SIZEOF_sigaction];
	u32 handler;

	if (!get(t, action, address, sizeof(action)))
		return;
	handler = WJ_FIELD(action, u32, WJ_EM_OFF_sigaction_sa_handler);
	wj_text_put(t, "{sa_handler=");
	if (handler == WJ_GUEST_SIG_DFL)
		wj_text_put(t, "SIG_DFL");
	else if (handler == WJ_GUEST_SIG_IGN)
		wj_text_put(t, "SIG_IGN");
	else
		wj_text_hex(t, handler);
	wj_text_put(t, ", sa_mask=");
	put_mask(t, WJ_FIELD(action, u64, WJ_EM_OFF_sigaction_sa_mask));
	wj_text_put(t, ", sa_flags=");
	wj_text_named(t, T_SA_FLAGS, WJ_FIELD(action, u32, WJ_EM_OFF_sigaction_sa_flags));
	wj_text_put(t, "}");
}

/* pid: where it and uid and status begin, which the guest has 4 bytes earlier. */
void wj_text_siginfo_bytes(struct wj_text *t, const u8 *info, u32 pid)
{
	u32 sig = WJ_FIELD(info, u32, WJ_EM_OFF_siginfo_si_signo);
	u32 code = WJ_FIELD(info, u32, WJ_EM_OFF_siginfo_si_code);

	wj_text_put(t, "{si_signo=");
	wj_text_signal(t, (s32)sig);
	wj_text_put(t, ", si_code=");
	wj_text_named(t, sig == WJ_EM_SIGCHLD ? T_CLD_CODE : T_SI_CODE, code);
	wj_text_field(t, ", si_pid=", WJ_FIELD(info, s32, pid));
	wj_text_field(t, ", si_uid=", WJ_FIELD(info, u32, pid + 4));
	if (sig == WJ_EM_SIGCHLD)
		wj_text_field(t, ", si_status=", WJ_FIELD(info, s32, pid + 8));
	wj_text_put(t, "}");
}

void wj_text_siginfo(struct wj_text *t, u32 address)
{
	u8 info[WJ_EM_OFF_siginfo_si_status + 4];

	if (get(t, info, address, sizeof(info)))
		wj_text_siginfo_bytes(t, info, WJ_EM_OFF_siginfo_si_pid);
}

void wj_text_fd_set(struct wj_text *t, u32 address, u32 count)
{
	u8 set[WJ_EM_SIZEOF_fd_set];
	bool some = false;

	if (!get(t, set, address, sizeof(set)))
		return;
	wj_text_put(t, "[");
	for (u32 fd = 0; fd < min(count, 8 * (u32)sizeof(set)); fd++) {
		if (!(set[fd / 8] >> fd % 8 & 1))
			continue;
		wj_text_put(t, some ? " " : "");
		wj_text_unsigned(t, fd);
		some = true;
	}
	wj_text_put(t, "]");
}

void wj_text_pollfd(struct wj_text *t, u32 address)
{
	struct { s32 fd; u16 events, revents; } pollfd;

	if (!get(t, &pollfd, address, sizeof(pollfd)))
		return;
	wj_text_field(t, "{fd=", pollfd.fd);
	wj_text_put(t, ", events=");
	wj_text_named(t, T_POLL_EVENTS, pollfd.events);
	if (t->done && pollfd.revents) {
		wj_text_put(t, ", revents=");
		wj_text_named(t, T_POLL_EVENTS, pollfd.revents);
	}
	wj_text_put(t, "}");
}

void wj_text_epoll_event(struct wj_text *t, u32 address)
{
	u8 event[WJ_EM_SIZEOF_epoll_event];

	if (!get(t, event, address, sizeof(event)))
		return;
	wj_text_put(t, "{events=");
	wj_text_named(t, T_EPOLL_EVENT_FLAGS, WJ_FIELD(event, u32, WJ_EM_OFF_epoll_event_events));
	wj_text_put(t, ", data={u32=");
	wj_text_unsigned(t, WJ_FIELD(event, u32, WJ_EM_OFF_epoll_event_data));
	wj_text_put(t, ", u64=");
	wj_text_unsigned(t, WJ_FIELD(event, u64, WJ_EM_OFF_epoll_event_data));
	wj_text_put(t, "}}");
}

/* Sockets */

void wj_text_sockaddr(struct wj_text *t, u32 address, u32 size)
{
	u8 sockaddr[WJ_EM_SIZEOF_sockaddr_un + 1] = { 0 };
	char ip[WJ_INET_TEXT_SIZE];
	u32 family, port;

	size = min(size, (u32)WJ_EM_SIZEOF_sockaddr_un);
	if (size < 2) {
		wj_text_address(t, address);
		return;
	}
	if (!get(t, sockaddr, address, size))
		return;
	family = WJ_FIELD(sockaddr, u16, 0);
	port = sockaddr[2] << 8 | sockaddr[3];
	wj_text_put(t, "{sa_family=");
	wj_text_named(t, T_FAMILY, family);
	if (family == WJ_EM_AF_INET && size >= WJ_EM_SIZEOF_sockaddr_in) {
		wj_inet_format(family, sockaddr + WJ_EM_OFF_sockaddr_in_sin_addr, ip);
		wj_text_field(t, ", sin_port=htons(", port);
		wj_text_put(t, "), sin_addr=inet_addr(\"");
		wj_text_put(t, ip);
		wj_text_put(t, "\")");
	} else if (family == WJ_EM_AF_INET6 && size >= WJ_EM_SIZEOF_sockaddr_in6) {
		wj_inet_format(family, sockaddr + WJ_EM_OFF_sockaddr_in6_sin6_addr, ip);
		wj_text_field(t, ", sin6_port=htons(", port);
		wj_text_put(t, "), inet_pton(AF_INET6, \"");
		wj_text_put(t, ip);
		wj_text_field(t, "\", &sin6_addr), sin6_scope_id=",
			  WJ_FIELD(sockaddr, u32, WJ_EM_OFF_sockaddr_in6_sin6_scope_id));
	} else if (family == WJ_EM_AF_UNIX && size > WJ_EM_OFF_sockaddr_un_sun_path) {
		u32 at = WJ_EM_OFF_sockaddr_un_sun_path;
		bool abstract = !sockaddr[at];

		wj_text_put(t, abstract ? ", sun_path=@\"" : ", sun_path=\"");
		for (at += abstract; at < size && (abstract || sockaddr[at]); at++)
			wj_text_byte(t, sockaddr[at], sockaddr[at + 1]);
		wj_text_put(t, "\"");
	}
	wj_text_put(t, "}");
}

static void put_control(struct wj_text *t, u32 address, u32 size)
{
	u32 cmsg[3];

	wj_text_put(t, "[");
	for (u32 at = 0, n = 0; size - at >= sizeof(cmsg) && n < WJ_TRACE_LIST_MAX; n++) {
		if (wj_get(t->p, cmsg, address + at, sizeof(cmsg)) || cmsg[0] < sizeof(cmsg) || cmsg[0] > size - at)
			break;
		wj_text_put(t, at ? ", {cmsg_len=" : "{cmsg_len=");
		wj_text_unsigned(t, cmsg[0]);
		wj_text_put(t, ", cmsg_level=");
		wj_text_named(t, T_SOCKET_LEVEL, cmsg[1]);
		wj_text_put(t, ", cmsg_type=");
		if (cmsg[1] == WJ_EM_SOL_SOCKET)
			wj_text_named(t, T_CONTROL_TYPE, cmsg[2]);
		else
			wj_text_unsigned(t, cmsg[2]);
		wj_text_put(t, ", cmsg_data=");
		if (cmsg[1] == WJ_EM_SOL_SOCKET && cmsg[2] == WJ_EM_SCM_RIGHTS)
			wj_text_array(t, address + at + sizeof(cmsg), (cmsg[0] - sizeof(cmsg)) / 4, 4, wj_text_u32);
		else
			wj_text_bytes(t, address + at + sizeof(cmsg), cmsg[0] - sizeof(cmsg));
		wj_text_put(t, "}");
		at += min((cmsg[0] + 3) & ~3u, size - at);
	}
	wj_text_put(t, "]");
}

void wj_text_msghdr(struct wj_text *t, u32 address, u32 limit)
{
	u8 msg[WJ_EM_SIZEOF_msghdr];
	u32 control, size;

	if (!get(t, msg, address, sizeof(msg)))
		return;
	wj_text_put(t, "{msg_name=");
	wj_text_sockaddr(t, WJ_FIELD(msg, u32, WJ_EM_OFF_msghdr_msg_name),
		     WJ_FIELD(msg, u32, WJ_EM_OFF_msghdr_msg_namelen));
	wj_text_field(t, ", msg_namelen=", WJ_FIELD(msg, u32, WJ_EM_OFF_msghdr_msg_namelen));
	wj_text_put(t, ", msg_iov=");
	wj_text_iovecs(t, WJ_FIELD(msg, u32, WJ_EM_OFF_msghdr_msg_iov), WJ_FIELD(msg, u32, WJ_EM_OFF_msghdr_msg_iovlen),
		   limit);
	wj_text_field(t, ", msg_iovlen=", WJ_FIELD(msg, u32, WJ_EM_OFF_msghdr_msg_iovlen));
	control = WJ_FIELD(msg, u32, WJ_EM_OFF_msghdr_msg_control);
	size = WJ_FIELD(msg, u32, WJ_EM_OFF_msghdr_msg_controllen);
	if (control && size) {
		wj_text_put(t, ", msg_control=");
		put_control(t, control, size);
	}
	wj_text_field(t, ", msg_controllen=", size);
	wj_text_put(t, ", msg_flags=");
	wj_text_named(t, T_MSG, WJ_FIELD(msg, u32, WJ_EM_OFF_msghdr_msg_flags));
	wj_text_put(t, "}");
}

void wj_text_socket_option(struct wj_text *t, u32 level, u32 option)
{
	switch (level) {
	case WJ_EM_SOL_SOCKET:
		wj_text_named(t, T_SO, option);
		break;
	case WJ_EM_SOL_IP:
		wj_text_named(t, T_IP, option);
		break;
	case WJ_EM_SOL_IPV6:
		wj_text_named(t, T_IPV6, option);
		break;
	case WJ_EM_SOL_TCP:
		wj_text_named(t, T_TCP, option);
		break;
	case WJ_EM_SOL_UDP:
		wj_text_named(t, T_UDP, option);
		break;
	default:
		wj_text_unsigned(t, option);
	}
}

void wj_text_socket_value(struct wj_text *t, u32 address, u32 size)
{
	if (size == 4)
		wj_text_array(t, address, 1, 4, wj_text_u32);
	else
		wj_text_bytes(t, address, size);
}

void wj_text_addrinfo(struct wj_text *t, u32 address)
{
	u32 info[WJ_EM_SIZEOF_addrinfo / 4];

	if (!get(t, info, address, sizeof(info)))
		return;
	wj_text_put(t, "{ai_flags=");
	wj_text_named(t, T_AI, info[0]);
	wj_text_put(t, ", ai_family=");
	wj_text_named(t, T_FAMILY, info[1]);
	wj_text_put(t, ", ai_socktype=");
	wj_text_named(t, T_SOCKET_KIND, info[2]);
	wj_text_put(t, ", ai_protocol=");
	wj_text_named(t, T_PROTOCOL, info[3]);
	if (info[5]) {
		wj_text_put(t, ", ai_addr=");
		wj_text_sockaddr(t, info[5], info[4]);
	}
	wj_text_put(t, "}");
}

void wj_text_addrinfos(struct wj_text *t, u32 address)
{
	u32 at;

	if (!get(t, &at, address, sizeof(at)))
		return;
	wj_text_put(t, "[");
	for (u32 n = 0; at && n <= WJ_TRACE_LIST_MAX; n++) {
		wj_text_put(t, n ? ", " : "");
		if (n == WJ_TRACE_LIST_MAX)
			wj_text_put(t, "...");
		else
			wj_text_addrinfo(t, at);
		if (wj_get_u32(t->p, &at, at + WJ_EM_OFF_addrinfo_ai_next))
			break;
	}
	wj_text_put(t, "]");
}

void wj_text_lock(struct wj_text *t, u32 address)
{
	u8 lock[WJ_EM_SIZEOF_flock];

	if (!get(t, lock, address, sizeof(lock)))
		return;
	wj_text_put(t, "{l_type=");
	wj_text_named(t, T_LOCK_TYPE, WJ_FIELD(lock, u16, WJ_EM_OFF_flock_l_type));
	wj_text_put(t, ", l_whence=");
	wj_text_named(t, T_WHENCE, WJ_FIELD(lock, u16, WJ_EM_OFF_flock_l_whence));
	wj_text_field(t, ", l_start=", WJ_FIELD(lock, s64, WJ_EM_OFF_flock_l_start));
	wj_text_field(t, ", l_len=", WJ_FIELD(lock, s64, WJ_EM_OFF_flock_l_len));
	wj_text_put(t, "}");
}
