/* SPDX-License-Identifier: GPL-2.0-only */
/* --trace: a line on descriptor 2 for each host call, as strace would print it. */
#ifndef WJ_TRACE_H
#define WJ_TRACE_H

#include "process.h"

void wj_trace_call(struct wj_process *p, const char *name, const char *signature, const u64 *args);
void wj_trace_return(struct wj_process *p, const char *name, const char *signature, s64 ret);

#endif
