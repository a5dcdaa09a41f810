/* SPDX-License-Identifier: GPL-2.0-only */
/* platform_types.h for tests that run host code in an ordinary process, with libc. */
#ifndef WJ_PLATFORM_TYPES_H
#define WJ_PLATFORM_TYPES_H

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef unsigned long long u64;
typedef int8_t s8;
typedef int16_t s16;
typedef int32_t s32;
typedef long long s64;

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#endif
