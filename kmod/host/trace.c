// SPDX-License-Identifier: GPL-2.0-only
/*
 * --trace.  A call is shown when it returns, with what it has written, in one line so that lines of
 * processes do not mix; one that may wait or never return is announced as well, "<unfinished ...>".
 * Notation and limits are strace's.  What is shown is read from guest memory after the call: a guest
 * that changes it meanwhile deceives nobody but its own reader.
 */
#include "host.h"
#include "trace.h"
#include "trace_text.h"
#include "wasi.h"

enum result { R_NUMBER, R_LIBC, R_UNSIGNED, R_OCTAL, R_ADDRESS, R_DOUBLE, R_ERRNO, R_EAI, WAITS = 0x80 };

#define TRACE(handler, result, ...) const u8 wj_trace_##handler[] = { result, ##__VA_ARGS__, T_END };
#include "trace.def"
#undef TRACE

static const struct {
	const char *name;
	u8 guest;
} errnos[] = {		/* by native number */
#define ERRNO(name, native, guest) [native] = { #name, guest },
#include "abi_errno.def"
#undef ERRNO
};

/* Arguments that depend on others: `a` points at the argument itself. */

static void put_open_mode(struct wj_text *t, const u64 *a)
{
	u32 mode;

	if ((a[-1] & (WJ_EM_O_CREAT | (WJ_EM_O_TMPFILE & ~WJ_EM_O_DIRECTORY))) && !wj_get_u32(t->p, &mode, a[0]))
		wj_text_octal(t, mode);
}

static void put_fcntl_argument(struct wj_text *t, const u64 *a)
{
	u32 command = a[-1], value;

	if (command == WJ_EM_F_GETFD || command == WJ_EM_F_GETFL || command == WJ_EM_F_GETOWN ||
	    command == WJ_EM_F_GETSIG || command == WJ_EM_F_GETPIPE_SZ || command == WJ_EM_F_GET_SEALS ||
	    command == WJ_EM_F_GETLEASE || wj_get_u32(t->p, &value, a[0]))
		return;
	switch (command) {
	case WJ_EM_F_SETFD:
		wj_text_named(t, T_FD_SETTINGS, value);
		break;
	case WJ_EM_F_SETFL:
		wj_text_named(t, T_ACCESS_MODE, value & 3);
		wj_text_more_flags(t, T_OPEN_FLAGS, value & ~3u);
		break;
	case WJ_EM_F_GETLK:
	case WJ_EM_F_SETLK:
	case WJ_EM_F_SETLKW:
	case WJ_EM_F_OFD_GETLK:
	case WJ_EM_F_OFD_SETLK:
	case WJ_EM_F_OFD_SETLKW:
		wj_text_lock(t, value);
		break;
	default:
		wj_text_signed(t, (s32)value);
	}
}

static void put_ioctl_argument(struct wj_text *t, const u64 *a)
{
	u32 value;

	if (wj_get_u32(t->p, &value, a[0]))
		return;
	switch ((u32)a[-1]) {
	case WJ_EM_FIONREAD:
	case WJ_EM_TIOCOUTQ:
	case WJ_EM_TIOCGPGRP:
	case WJ_EM_TIOCGSID:
	case WJ_EM_TIOCGPTN:
	case WJ_EM_SIOCATMARK:
		if (!t->done) {
			wj_text_address(t, value);
			break;
		}
		fallthrough;
	case WJ_EM_FIONBIO:
	case WJ_EM_FIOASYNC:
	case WJ_EM_TIOCSPGRP:
	case WJ_EM_TIOCSPTLCK:
		wj_text_array(t, value, 1, 4, wj_text_u32);
		break;
	default:
		wj_text_hex(t, value);
	}
}

static void put_string_at(struct wj_text *t, u32 address)
{
	u32 value;

	if (wj_get_u32(t->p, &value, address))
		wj_text_put(t, "?");
	else
		wj_text_string(t, value);
}

/* argv: up to NULL. */
static u32 count_strings(struct wj_text *t, u32 address)
{
	u32 n = 0, value;

	while (n < 1 << 16 && !wj_get_u32(t->p, &value, address + 4 * n) && value)
		n++;
	return n;
}

/* 0 for NULL. */
static u32 pointed_size(struct wj_text *t, u64 pointer)
{
	u32 size;

	return pointer && !wj_get_u32(t->p, &size, pointer) ? size : 0;
}

static void put_pointer_at(struct wj_text *t, u32 address)
{
	u32 value;

	if (wj_get_u32(t->p, &value, address))
		wj_text_put(t, "?");
	else
		wj_text_address(t, value);
}

/* The argument at `a`. */
static void show(struct wj_text *t, enum wj_trace_kind kind, const u64 *a)
{
	u32 v = (u32)*a;

	if (kind >= T_OUT && kind < T_NAMED && !t->done) {
		wj_text_address(t, v);
		return;
	}
	switch (kind) {
	case T_END:
	case T_NONE:
		break;
	case T_SIGNED:
		wj_text_signed(t, (s32)v);
		break;
	case T_UNSIGNED:
		wj_text_unsigned(t, v);
		break;
	case T_HEX:
		wj_text_hex(t, v);
		break;
	case T_OCTAL:
		wj_text_octal(t, v);
		break;
	case T_MODE:
		wj_text_mode(t, v);
		break;
	case T_POINTER:
		wj_text_address(t, v);
		break;
	case T_HEX64:
		wj_text_hex(t, *a);
		break;
	case T_S64:
		wj_text_signed(t, (s64)*a);
		break;
	case T_OFFSET:
		wj_text_signed(t, (s64)(v | a[1] << 32));
		break;
	case T_FD:
		if ((s32)v == WJ_EM_AT_FDCWD)
			wj_text_put(t, "AT_FDCWD");
		else
			wj_text_signed(t, (s32)v);
		break;
	case T_STRING:
	case T_OUT_STRING:
		wj_text_string(t, v);
		break;
	case T_NAME:
		wj_text_name(t, v, (u32)a[1]);
		break;
	case T_BYTES:
		wj_text_bytes(t, v, (u32)a[1]);
		break;
	case T_OUT_BYTES:
		wj_text_bytes(t, v, t->ret);
		break;
	case T_STRINGS:
		wj_text_array(t, v, count_strings(t, v), 4, put_string_at);
		break;
	case T_STRING_COUNT:
		wj_text_address(t, v);
		if (v) {
			wj_text_field(t, " /* ", count_strings(t, v));
			wj_text_put(t, " vars */");
		}
		break;
	case T_IOVECS:
		wj_text_iovecs(t, v, (u32)a[1], ~0u);
		break;
	case T_OUT_IOVECS:
		/* How much was read, the last argument points at. */
		wj_text_iovecs(t, v, (u32)a[1], pointed_size(t, t->args[t->n_args - 1]));
		break;
	case T_MSGHDR:
		wj_text_msghdr(t, v, ~0u);
		break;
	case T_OUT_MSGHDR:
		wj_text_msghdr(t, v, t->ret);
		break;
	case T_U32:
	case T_OUT_U32:
		wj_text_value_at(t, v, false);
		break;
	case T_U64:
	case T_OUT_U64:
		wj_text_value_at(t, v, true);
		break;
	case T_U32S:
		wj_text_array(t, v, (u32)a[-1], 4, wj_text_u32);
		break;
	case T_OUT_U32S:
		wj_text_array(t, v, a[-1] ? t->ret : 0, 4, wj_text_u32);
		break;
	case T_OUT_POINTER:
		wj_text_array(t, v, 1, 4, put_pointer_at);
		break;
	case T_OUT_PAIR:
		wj_text_array(t, v, 2, 4, wj_text_u32);
		break;
	case T_BITS:
	case T_OUT_BITS:
		wj_text_fd_set(t, v, 8 * min((u32)a[-1], (u32)WJ_EM_SIZEOF_fd_set));
		break;
	case T_OPEN:
		wj_text_named(t, T_ACCESS_MODE, v & 3);
		wj_text_more_flags(t, T_OPEN_FLAGS, v & ~3u);
		break;
	case T_OPEN_MODE:
		put_open_mode(t, a);
		break;
	case T_ACCESS:
		if (v)
			wj_text_named(t, T_ACCESS_FLAGS, v);
		else
			wj_text_put(t, "F_OK");
		break;
	case T_PROT:
		if (v)
			wj_text_named(t, T_PROT_FLAGS, v);
		else
			wj_text_put(t, "PROT_NONE");
		break;
	case T_FUTEX:
		wj_text_named(t, T_FUTEX_COMMAND, v & 0x7f);
		wj_text_put(t, v & 0x80 ? "_PRIVATE" : "");
		break;
	case T_FCNTL_ARGUMENT:
		put_fcntl_argument(t, a);
		break;
	case T_IOCTL_ARGUMENT:
		put_ioctl_argument(t, a);
		break;
	case T_TIME:
		wj_text_array(t, v, 1, 4, wj_text_u32);
		break;
	case T_TIMESPEC:
	case T_OUT_TIMESPEC:
		wj_text_timespec(t, v);
		break;
	case T_TWO_TIMESPECS:
		wj_text_array(t, v, 2, WJ_LAYOUT(t->p, SIZEOF_timespec), wj_text_own_timespec);
		break;
	case T_TIMEVAL:
	case T_OUT_TIMEVAL:
		wj_text_timeval(t, v);
		break;
	case T_ITIMERSPEC:
	case T_OUT_ITIMERSPEC:
		wj_text_itimer(t, v, ", tv_nsec=");
		break;
	case T_ITIMERVAL:
	case T_OUT_ITIMERVAL:
		wj_text_itimer(t, v, ", tv_usec=");
		break;
	case T_TM:
	case T_OUT_TM:
		wj_text_tm(t, v);
		break;
	case T_SIGSET:
	case T_OUT_SIGSET:
		wj_text_sigset(t, v);
		break;
	case T_SIGACTION:
	case T_OUT_SIGACTION:
		wj_text_sigaction(t, v);
		break;
	case T_SIGINFO:
	case T_OUT_SIGINFO:
		wj_text_siginfo(t, v);
		break;
	case T_RLIMIT:
	case T_OUT_RLIMIT:
		wj_text_rlimit(t, v);
		break;
	case T_OUT_RUSAGE:
		wj_text_rusage(t, v);
		break;
	case T_OUT_STATUS:
		if (t->ret > 0)
			wj_text_status(t, v);
		else
			wj_text_address(t, v);
		break;
	case T_OUT_STAT:
		wj_text_stat(t, v);
		break;
	case T_OUT_FILESTAT:
		wj_text_filestat(t, v);
		break;
	case T_OUT_STATFS:
		wj_text_statfs(t, v);
		break;
	case T_OUT_DIRENTS:
		wj_text_dirents(t, v);
		break;
	case T_OUT_UTSNAME:
		wj_text_utsname(t, v);
		break;
	case T_FD_SET:
		wj_text_fd_set(t, v, (u32)t->args[0]);
		break;
	case T_POLL:
		wj_text_array(t, v, (u32)a[1], WJ_EM_SIZEOF_pollfd, wj_text_pollfd);
		break;
	case T_EPOLL_EVENT:
		wj_text_epoll_event(t, v);
		break;
	case T_OUT_EPOLL_EVENTS:
		wj_text_array(t, v, t->ret, WJ_EM_SIZEOF_epoll_event, wj_text_epoll_event);
		break;
	case T_SOCKADDR:
		wj_text_sockaddr(t, v, (u32)a[1]);
		break;
	case T_OUT_SOCKADDR:
		wj_text_sockaddr(t, v, v ? pointed_size(t, a[1]) : 0);
		break;
	case T_SOCKET_TYPE:
		wj_text_named(t, T_SOCKET_KIND, v & 15);
		wj_text_more_flags(t, T_SOCKET_FLAGS, v & ~15u);
		break;
	case T_SOCKET_OPTION:
		wj_text_socket_option(t, (u32)a[-1], v);
		break;
	case T_SOCKET_VALUE:
		wj_text_socket_value(t, v, (u32)a[1]);
		break;
	case T_OUT_SOCKET_VALUE:
		wj_text_socket_value(t, v, pointed_size(t, a[1]));
		break;
	case T_ADDRINFO:
		wj_text_addrinfo(t, v);
		break;
	case T_OUT_ADDRINFO:
		wj_text_addrinfos(t, v);
		break;
	case T_SIGNAL:
		wj_text_signal(t, (s32)v);
		break;
#define FLAGS(kind, names) case kind:
#define VALUES(kind, names) case kind:
#include "trace_names.def"
#undef FLAGS
#undef VALUES
		wj_text_named(t, kind, v);
	}
}

/* A new line: which process it is about, where there are several.  NULL: no memory. */
static struct wj_text *begin(struct wj_process *p)
{
	struct wj_host_state *h = p->host;
	struct wj_text *t;

	if (h->trace_forked && !h->trace_pid)
		h->trace_pid = wj_sys(p, __NR_getpid, 0, 0, 0, 0, 0, 0);
	t = wj_alloc(sizeof(*t));
	if (!t)
		return NULL;
	t->p = p;
	if (h->trace_pid > 0) {
		wj_text_field(t, "[pid ", h->trace_pid);
		wj_text_put(t, "] ");
	}
	return t;
}

#define SYSCALL_PREFIX "__syscall_"

static bool name_is_syscall(const char *name)
{
	return strlen(name) > strlen(SYSCALL_PREFIX) && !memcmp(name, SYSCALL_PREFIX, strlen(SYSCALL_PREFIX));
}

/* "name(arguments" */
static struct wj_text *text_of(struct wj_process *p, const struct wj_import_line *line, const u64 *args, s64 ret,
			       bool done)
{
	struct wj_text *t = begin(p);
	u32 at = 0;

	if (!t)
		return NULL;
	t->args = args;
	t->n_args = strlen(line->signature) - 2;
	t->ret = ret;
	t->done = done;
	/* Emscripten's prefix says nothing. */
	wj_text_put(t, line->name + (name_is_syscall(line->name) ? strlen(SYSCALL_PREFIX) : 0));
	wj_text_put(t, "(");
	for (const u8 *kind = line->kinds + 1; *kind; kind++) {
		u32 start = t->used;

		u32 comma;

		wj_text_put(t, at ? ", " : "");
		comma = t->used;
		show(t, *kind, args + at);
		if (t->used == comma)	/* it is not there */
			t->used = start;
		at += *kind == T_OFFSET ? 2 : 1;
	}
	return t;
}

static void print(struct wj_text *t)
{
	/* What did not fit ends in dots. */
	if (t->used == sizeof(t->bytes) - 1)
		memcpy(t->bytes + t->used - 3, "...", 3);
	wj_log("%s", t->bytes);
	wj_free(t);
}

void wj_trace_call(struct wj_process *p, const struct wj_import_line *line, const u64 *args)
{
		struct wj_text *t;

	if (line->kinds == wj_trace_fork)
		p->host->trace_forked = true, p->host->trace_pid = 0;	/* the child's is another */
	if (!(line->kinds[0] & WAITS) ||
	    (line->kinds == wj_trace_syscall_fcntl64 && (u32)args[1] != WJ_EM_F_SETLKW &&
	     (u32)args[1] != WJ_EM_F_OFD_SETLKW))
		return;
	t = text_of(p, line, args, 0, false);
	if (!t)
		return;
	wj_text_put(t, " <unfinished ...>");
	print(t);
}

/* A number and, where it says what went wrong, its name. */
static void put_result(struct wj_text *t, enum result kind, s64 ret)
{
	const char *name = NULL;
	u32 guest = 0;

	switch (kind) {
	case R_NUMBER:
		if (ret < 0 && -ret < (s64)ARRAY_SIZE(errnos))
			name = errnos[-ret].name;
		else if (ret == -WJ_ENOTCAPABLE)
			name = "ENOTCAPABLE";
		if (name)
			ret = -1;
		wj_text_signed(t, ret);
		break;
	case R_LIBC:
		if (ret == -1 && t->p->host->errno_address)
			wj_get_u32(t->p, &guest, t->p->host->errno_address);
		wj_text_signed(t, ret);
		break;
	case R_ERRNO:
		guest = ret > 0 ? (u32)ret : 0;
		wj_text_signed(t, ret);
		break;
	case R_UNSIGNED:
		wj_text_unsigned(t, (u32)ret);
		break;
	case R_OCTAL:
		wj_text_octal(t, (u32)ret);
		break;
	case R_ADDRESS:
		if (ret < 0)
			put_result(t, R_NUMBER, ret);
		else
			wj_text_address(t, (u32)ret);
		break;
	case R_DOUBLE:
		wj_text_double(t, (u64)ret);
		break;
	case R_EAI:
		wj_text_named(t, T_EAI, (u32)ret);
		break;
	case WAITS:
		break;
	}
	for (u32 i = 0; guest && !name && i < ARRAY_SIZE(errnos); i++) {
		if (errnos[i].name && errnos[i].guest == guest)
			name = errnos[i].name;
	}
	wj_text_put(t, name ? " " : "");
	wj_text_put(t, name ? name : "");
}

void wj_trace_return(struct wj_process *p, const struct wj_import_line *line, const u64 *args, s64 ret)
{
		enum result kind = line->kinds[0] & ~(u32)WAITS;
	bool failed = kind == R_ERRNO || kind == R_EAI ? ret : kind != R_UNSIGNED && kind != R_DOUBLE && ret < 0;
	struct wj_text *t = text_of(p, line, args, ret, !failed && !p->unwind);

	if (!t)
		return;
	wj_text_put(t, ")");
	if (p->unwind) {
		wj_text_put(t, " = ?");
		if (p->unwind != WJ_TRAP_EXIT) {
			wj_text_put(t, " (");
			wj_text_put(t, wj_trap_text(p->unwind));
			wj_text_put(t, ")");
		}
	} else if (line->signature[0] != 'v') {
		wj_text_put(t, " = ");
		put_result(t, kind, ret);
	}
	print(t);
}

void wj_trace_signal(struct wj_process *p, int sig, const void *siginfo)
{
	struct wj_text *t = begin(p);

	if (!t)
		return;
	wj_text_put(t, "--- ");
	wj_text_signal(t, sig);
	wj_text_put(t, " ");
	wj_text_siginfo_bytes(t, siginfo, 16);	/* native: after a hole */
	wj_text_put(t, " ---");
	print(t);
}
