/* SPDX-License-Identifier: GPL-2.0-only */
/* What --trace writes: a line of text, and guest data in strace's notation. */
#ifndef WJ_TRACE_TEXT_H
#define WJ_TRACE_TEXT_H

#include "host.h"

#define WJ_TRACE_LIST_MAX 8	/* elements of an array */

enum wj_trace_kind {
	T_END, T_NONE, T_SIGNED, T_UNSIGNED, T_HEX, T_OCTAL, T_POINTER, T_S64, T_HEX64, T_OFFSET, T_FD,
	T_STRING, T_NAME, T_BYTES, T_STRINGS, T_STRING_COUNT, T_IOVECS, T_MSGHDR, T_U32, T_U32S, T_U64, T_BITS,
	T_OPEN, T_OPEN_MODE, T_ACCESS, T_MODE, T_PROT, T_FUTEX, T_FCNTL_ARGUMENT, T_IOCTL_ARGUMENT,
	T_TIME, T_TIMESPEC, T_TWO_TIMESPECS, T_TIMEVAL, T_ITIMERSPEC, T_ITIMERVAL, T_TM, T_SIGSET,
	T_SIGACTION, T_SIGINFO, T_RLIMIT, T_FD_SET, T_POLL, T_EPOLL_EVENT, T_SOCKADDR, T_SOCKET_TYPE,
	T_SOCKET_OPTION, T_SOCKET_VALUE, T_ADDRINFO, T_SIGNAL,
	/* What the call fills in: an address until it has, and if it fails. */
	T_OUT, T_OUT_STRING = T_OUT, T_OUT_BYTES, T_OUT_IOVECS, T_OUT_MSGHDR, T_OUT_U32, T_OUT_U32S,
	T_OUT_U64, T_OUT_POINTER, T_OUT_PAIR, T_OUT_BITS, T_OUT_STAT, T_OUT_STATFS, T_OUT_DIRENTS,
	T_OUT_UTSNAME, T_OUT_STATUS, T_OUT_RUSAGE, T_OUT_RLIMIT, T_OUT_TIMESPEC, T_OUT_TIMEVAL,
	T_OUT_ITIMERSPEC, T_OUT_ITIMERVAL, T_OUT_TM, T_OUT_SIGSET, T_OUT_SIGACTION, T_OUT_SIGINFO,
	T_OUT_EPOLL_EVENTS, T_OUT_SOCKADDR, T_OUT_SOCKET_VALUE, T_OUT_FILESTAT, T_OUT_ADDRINFO,
	/* Names for numbers: all that follows. */
	T_LAST_OUT = T_OUT_ADDRINFO,
#define FLAGS(kind, names) kind,
#define VALUES(kind, names) kind,
#include "trace_names.def"
#undef FLAGS
#undef VALUES
	T_NAMED = T_LAST_OUT + 1
};

/* A line in the making; what does not fit is cut. */
struct wj_text {
	struct wj_process *p;
	const u64 *args;	/* of the call */
	u32 n_args;
	s64 ret;
	bool done;		/* the call has returned, and has not failed */
	u32 used;
	char bytes[960];	/* wj_log takes 1,024 at a time */
};

/* trace_text.c */
void wj_text_put(struct wj_text *t, const char *s);
void wj_text_unsigned(struct wj_text *t, u64 value);
void wj_text_signed(struct wj_text *t, s64 value);
void wj_text_hex(struct wj_text *t, u64 value);
void wj_text_octal(struct wj_text *t, u32 value);
void wj_text_address(struct wj_text *t, u32 address);
void wj_text_field(struct wj_text *t, const char *label, s64 value);
void wj_text_named(struct wj_text *t, enum wj_trace_kind kind, u32 value);
void wj_text_more_flags(struct wj_text *t, enum wj_trace_kind kind, u32 value);
const char *wj_signal_name(s32 sig);
void wj_text_byte(struct wj_text *t, u8 byte, u8 next);
void wj_text_bytes(struct wj_text *t, u32 address, u32 size);
void wj_text_name(struct wj_text *t, u32 address, u32 size);
void wj_text_string(struct wj_text *t, u32 address);
void wj_text_array(struct wj_text *t, u32 address, u32 count, u32 size,
		   void (*show)(struct wj_text *t, u32 address));
void wj_text_u32(struct wj_text *t, u32 address);
void wj_text_value_at(struct wj_text *t, u32 address, bool wide);
void wj_text_double(struct wj_text *t, u64 bits);

/* trace_structs.c: each from a guest address, shown as that if it cannot be read */
void wj_text_iovecs(struct wj_text *t, u32 address, u32 count, u32 limit);
void wj_text_timespec(struct wj_text *t, u32 address);
void wj_text_own_timespec(struct wj_text *t, u32 address);	/* of 64 bits where its time_t is */
void wj_text_timeval(struct wj_text *t, u32 address);
void wj_text_itimer(struct wj_text *t, u32 address, const char *fraction);
void wj_text_tm(struct wj_text *t, u32 address);
void wj_text_mode(struct wj_text *t, u32 mode);
void wj_text_stat(struct wj_text *t, u32 address);
void wj_text_filestat(struct wj_text *t, u32 address);
void wj_text_statfs(struct wj_text *t, u32 address);
void wj_text_dirents(struct wj_text *t, u32 address);
void wj_text_utsname(struct wj_text *t, u32 address);
void wj_text_rlimit(struct wj_text *t, u32 address);
void wj_text_rusage(struct wj_text *t, u32 address);
void wj_text_signal(struct wj_text *t, s32 sig);
void wj_text_status(struct wj_text *t, u32 address);
void wj_text_sigset(struct wj_text *t, u32 address);
void wj_text_sigaction(struct wj_text *t, u32 address);
void wj_text_siginfo_bytes(struct wj_text *t, const u8 *info, u32 pid);
void wj_text_siginfo(struct wj_text *t, u32 address);
void wj_text_fd_set(struct wj_text *t, u32 address, u32 count);
void wj_text_pollfd(struct wj_text *t, u32 address);
void wj_text_epoll_event(struct wj_text *t, u32 address);
void wj_text_sockaddr(struct wj_text *t, u32 address, u32 size);
void wj_text_msghdr(struct wj_text *t, u32 address, u32 limit);
void wj_text_socket_option(struct wj_text *t, u32 level, u32 option);
void wj_text_socket_value(struct wj_text *t, u32 address, u32 size);
void wj_text_addrinfo(struct wj_text *t, u32 address);
void wj_text_addrinfos(struct wj_text *t, u32 address);
void wj_text_lock(struct wj_text *t, u32 address);

#endif
