/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * --trace: host calls on descriptor 2, a line each, as strace would print them.  Lines of several
 * processes are told apart by "[pid N]" once one has forked.
 */
#ifndef WJ_TRACE_H
#define WJ_TRACE_H

#include "host.h"

/* A function that guests may import. */
struct wj_import_line {
	const char *module, *name, *signature;
	wj_host_function call;
	const u8 *kinds;	/* how --trace shows the result and the arguments: trace.def */
	bool time64;		/* whoever imports it has a time_t of 64 bits */
};

#define TRACE(handler, result, ...) extern const u8 wj_trace_##handler[];
#include "trace.def"
#undef TRACE

/* Before the call: says what may not come back. */
void wj_trace_call(struct wj_process *p, const struct wj_import_line *line, const u64 *args);
/* After it, with the arguments it had; ret is the handler's, errors native and negative. */
void wj_trace_return(struct wj_process *p, const struct wj_import_line *line, const u64 *args, s64 ret);
/* A handler of the guest is about to run; the 128 bytes of a native siginfo_t. */
void wj_trace_signal(struct wj_process *p, int sig, const void *siginfo);

#endif
