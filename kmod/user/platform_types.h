/* SPDX-License-Identifier: GPL-2.0-only */
/* Types and helpers of platform.h in user space, with or without a libc. */
#ifndef WJ_PLATFORM_TYPES_H
#define WJ_PLATFORM_TYPES_H

#include <stddef.h>
#include <stdint.h>
#include <stdbool.h>
#include <asm/errno.h>
#include <asm/unistd.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
/* Not uint64_t: the kernel's u64 is unsigned long long, and %llx is to fit in both. */
typedef unsigned long long u64;
typedef int8_t s8;
typedef int16_t s16;
typedef int32_t s32;
typedef long long s64;
typedef long ssize_t;

void *memcpy(void *restrict dst, const void *restrict src, size_t size);
void *memmove(void *dst, const void *src, size_t size);
void *memset(void *dst, int byte, size_t size);
int memcmp(const void *a, const void *b, size_t size);
size_t strlen(const char *s);

#ifndef __always_inline
#define __always_inline inline __attribute__((always_inline))
#endif
#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define check_add_overflow(a, b, ret) __builtin_add_overflow(a, b, ret)
#define check_sub_overflow(a, b, ret) __builtin_sub_overflow(a, b, ret)
#define check_mul_overflow(a, b, ret) __builtin_mul_overflow(a, b, ret)
#define static_assert _Static_assert
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define min(a, b) ({ __typeof__(a) a_ = (a); __typeof__(b) b_ = (b); a_ < b_ ? a_ : b_; })
#define max(a, b) ({ __typeof__(a) a_ = (a); __typeof__(b) b_ = (b); a_ > b_ ? a_ : b_; })
#define fallthrough __attribute__((fallthrough))

/* Tracepoints, which only the kernel has. */
#define WJ_TRACE_HOST_ENTER(name) ((void)0)
#define WJ_TRACE_HOST_EXIT(name, result) ((void)0)

/* The kernel's own codes for restarts, which no header exports. */
#define ERESTARTSYS 512
#define ERESTARTNOINTR 513
#define ERESTARTNOHAND 514
#define ERESTART_RESTARTBLOCK 516

#endif
