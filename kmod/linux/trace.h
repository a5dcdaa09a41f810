/* SPDX-License-Identifier: GPL-2.0-only */
/* Tracepoints, in /sys/kernel/tracing/events/wasm: README.md says when each is hit. */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM wasm

#if !defined(WJ_LINUX_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define WJ_LINUX_TRACE_H

#include <linux/tracepoint.h>

#define WJ_TRACE_NAME 48

TRACE_EVENT(wasm_load,
	TP_PROTO(const char *name, long result, u32 functions, u64 code_bytes),
	TP_ARGS(name, result, functions, code_bytes),
	TP_STRUCT__entry(
		__array(char, name, WJ_TRACE_NAME)
		__field(long, result)
		__field(u32, functions)
		__field(u64, code_bytes)
	),
	TP_fast_assign(
		strscpy(__entry->name, name, WJ_TRACE_NAME);
		__entry->result = result;
		__entry->functions = functions;
		__entry->code_bytes = code_bytes;
	),
	TP_printk("image=%s result=%ld functions=%u code_bytes=%llu", __entry->name, __entry->result,
		  __entry->functions, __entry->code_bytes)
);

TRACE_EVENT(wasm_trap,
	TP_PROTO(int trap, const char *text, u32 function, u32 offset),
	TP_ARGS(trap, text, function, offset),
	TP_STRUCT__entry(
		__field(int, trap)
		__array(char, text, WJ_TRACE_NAME)
		__field(u32, function)
		__field(u32, offset)
	),
	TP_fast_assign(
		__entry->trap = trap;
		strscpy(__entry->text, text, WJ_TRACE_NAME);
		__entry->function = function;
		__entry->offset = offset;
	),
	TP_printk("trap=%d text=\"%s\" function=%u offset=0x%x", __entry->trap, __entry->text,
		  __entry->function, __entry->offset)
);

TRACE_EVENT(wasm_fork,
	TP_PROTO(long child),
	TP_ARGS(child),
	TP_STRUCT__entry(
		__field(long, child)
	),
	TP_fast_assign(
		__entry->child = child;
	),
	TP_printk("child=%ld", __entry->child)
);

TRACE_EVENT(wasm_exit,
	TP_PROTO(int status, int sig),
	TP_ARGS(status, sig),
	TP_STRUCT__entry(
		__field(int, status)
		__field(int, sig)
	),
	TP_fast_assign(
		__entry->status = status;
		__entry->sig = sig;
	),
	TP_printk("status=%d signal=%d", __entry->status, __entry->sig)
);

TRACE_EVENT(wasm_host_enter,
	TP_PROTO(const char *name),
	TP_ARGS(name),
	TP_STRUCT__entry(
		__array(char, name, WJ_TRACE_NAME)
	),
	TP_fast_assign(
		strscpy(__entry->name, name, WJ_TRACE_NAME);
	),
	TP_printk("name=%s", __entry->name)
);

TRACE_EVENT(wasm_host_exit,
	TP_PROTO(const char *name, s64 result),
	TP_ARGS(name, result),
	TP_STRUCT__entry(
		__array(char, name, WJ_TRACE_NAME)
		__field(s64, result)
	),
	TP_fast_assign(
		strscpy(__entry->name, name, WJ_TRACE_NAME);
		__entry->result = result;
	),
	TP_printk("name=%s result=%lld", __entry->name, __entry->result)
);

#endif

#undef TRACE_INCLUDE_PATH
#undef TRACE_INCLUDE_FILE
/* Found through -I kmod/linux. */
#define TRACE_INCLUDE_PATH .
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
