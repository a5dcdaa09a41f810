/* SPDX-License-Identifier: GPL-2.0-only */
/* Types and helpers of platform.h in the kernel. */
#ifndef WJ_PLATFORM_TYPES_H
#define WJ_PLATFORM_TYPES_H

#include <linux/build_bug.h>
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/minmax.h>
#include <linux/overflow.h>
#include <linux/string.h>
#include <linux/tracepoint-defs.h>
#include <linux/types.h>
#include <asm/unistd.h>

/*
 * core/ and host/ mix the types of what they compare or add, as the compiler's builtins allow;
 * the kernel's own macros do not.  Kernel headers come before this one.
 */
#undef in_range
#undef round_up
#undef min
#undef max
#undef check_add_overflow
#undef check_sub_overflow
#undef check_mul_overflow
#define min(a, b) ({ __typeof__(a) a_ = (a); __typeof__(b) b_ = (b); a_ < b_ ? a_ : b_; })
#define max(a, b) ({ __typeof__(a) a_ = (a); __typeof__(b) b_ = (b); a_ > b_ ? a_ : b_; })
#define check_add_overflow(a, b, ret) __builtin_add_overflow(a, b, ret)
#define check_sub_overflow(a, b, ret) __builtin_sub_overflow(a, b, ret)
#define check_mul_overflow(a, b, ret) __builtin_mul_overflow(a, b, ret)

/* Tracepoints around host calls: a jump that is not taken unless somebody looks. */
DECLARE_TRACEPOINT(wasm_host_enter);
DECLARE_TRACEPOINT(wasm_host_exit);
void wj_trace_host_enter(const char *name);
void wj_trace_host_exit(const char *name, s64 result);
#define WJ_TRACE_HOST_ENTER(name) \
	do { if (tracepoint_enabled(wasm_host_enter)) wj_trace_host_enter(name); } while (0)
#define WJ_TRACE_HOST_EXIT(name, result) \
	do { if (tracepoint_enabled(wasm_host_exit)) wj_trace_host_exit(name, result); } while (0)

/* The host's stack in the kernel is this small: memory.c. */
#define WJ_MAX_NESTING 48ul

#endif
