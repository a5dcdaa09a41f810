/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * --trace: host calls on descriptor 2, a line each, as strace would print them.  `line` is the
 * place in imports.def.  Lines of several processes are told apart by "[pid N]" once one has forked.
 */
#ifndef WJ_TRACE_H
#define WJ_TRACE_H

#include "process.h"

/* Before the call: says what may not come back. */
void wj_trace_call(struct wj_process *p, u32 line, const u64 *args);
/* After it, with the arguments it had; ret is the handler's, errors native and negative. */
void wj_trace_return(struct wj_process *p, u32 line, const u64 *args, s64 ret);
/* A handler of the guest is about to run; the 128 bytes of a native siginfo_t. */
void wj_trace_signal(struct wj_process *p, int sig, const void *siginfo);

#endif
